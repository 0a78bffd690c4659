#include "kernel/internal.h"

/*
 * Receiving: what a process takes out of its inbox, and what becomes of it.
 */

static th_item *pop(th_process *self)
{
    th_item *item = self->queue;

    if (item == NULL) {
        item = th_inbox_take(&self->inbox);
        if (item == NULL) {
            return NULL;
        }
    }
    self->queue = th_item_next(item);
    return item;
}

/* Give back what the last event lent out. */
static void end_loan(th_process *self)
{
    if (self->has_loan) {
        self->has_loan = false;
        th_ident_unref(&self->event_from);
        self->event_exit = th_exit_unref(self->event_exit);
        self->event_text = th_blob_unref(self->event_text);
    }
}

static void take_msg(th_process *self, th_msg *msg, th_delivery *out)
{
    if (th_pid_is_none(msg->requester)) {
        th_mail_discharge(self, msg);
    } else {
        th_held_add(self, msg);
    }
    if (msg->caps != NULL) {
        th_process_given(self, msg->caps);
    }
    out->type = TH_ITEM_MSG;
    out->msg = msg;
}

static bool take_answer(th_process *self, th_msg *msg, th_delivery *out)
{
    atomic_fetch_sub_explicit(&self->mail, msg->charged, memory_order_relaxed);
    th_budget_msg(self->kernel, msg, -1);
    if (msg->caps != NULL && msg->leg == TH_LEG_OUT) {
        th_process_given(self, msg->caps);
    }
    return th_ledger_answer(self, msg, out);
}

static bool take_cancel(th_process *self, th_delivery *out)
{
    th_cancel *cancel = &self->cancel;

    self->event_from = cancel->from;
    self->event_text = cancel->text;
    self->event = (th_event){.kind = TH_EVENT_CANCEL,
                             .from = cancel->from,
                             .at = cancel->at,
                             .deadline = cancel->deadline,
                             .enforced = cancel->enforced,
                             .text = th_blob_slice(cancel->text)};
    cancel->text = NULL;
    cancel->from = (th_ident){0};
    atomic_store(&cancel->in_use, false);
    self->has_loan = true;
    out->type = TH_ITEM_EVENT;
    out->event = &self->event;
    return true;
}

static bool take_tie(th_process *self, th_item *item, th_delivery *out)
{
    if (!th_tie_take(self, item, &self->event)) {
        return false;
    }
    self->has_loan = true;
    out->type = TH_ITEM_EVENT;
    out->event = &self->event;
    return true;
}

/* False: it was nothing that the guest need know of. */
static bool take(th_process *self, th_item *item, th_delivery *out)
{
    switch ((th_item_type)item->type) {
    case TH_ITEM_MSG:
        take_msg(self, th_msg_of(item), out);
        return true;
    case TH_ITEM_ANSWER:
        return take_answer(self, th_msg_of(item), out);
    case TH_ITEM_REQUEST:
        return th_ledger_expire(self, item, out);
    case TH_ITEM_TIMER:
        return th_alarm_take(self, item, out);
    case TH_ITEM_TIE:
        return take_tie(self, item, out);
    case TH_ITEM_CANCEL:
        return take_cancel(self, out);
    case TH_ITEM_JOB:
        out->type = TH_ITEM_JOB;
        out->job = th_container_of(item, th_job, item);
        return true;
    case TH_ITEM_REPLY:
    case TH_ITEM_EVENT:
        break;
    }
    th_assert(false); /* never in an inbox */
    return false;
}

bool th_process_next(th_process *self, th_delivery *out)
{
    th_item *item;

    end_loan(self);
    while ((item = pop(self)) != NULL) {
        if (take(self, item, out)) {
            return true;
        }
    }
    return false;
}

bool th_process_has_next(const th_process *self)
{
    return self->queue != NULL || th_inbox_has_some(&self->inbox);
}
