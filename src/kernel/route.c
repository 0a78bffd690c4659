#include "kernel/internal.h"

/*
 * Routing: from one process to another.
 *
 * No sender ever waits for room: its message fits the target's mailbox or it is
 * refused. The mailbox's ledger is one word, so that a send costs one addition
 * there, one compare-and-swap at the inbox and nothing else that is shared.
 */

static void stamp(th_process *self, th_msg *msg, th_pid to)
{
    msg->source = th_ident_ref(&self->ident);
    msg->target = to;
    msg->item.type = TH_ITEM_MSG;
    msg->leg = TH_LEG_OUT;
}

static void unstamp(th_msg *msg)
{
    th_ident_unref(&msg->source);
    msg->requester = TH_PID_NONE;
    msg->request = 0;
}

/* Past half full a send costs its sender the rest of the slice. */
static void slow_down(th_process *self, const th_process *target, uint64_t mail)
{
    const th_limits *limits = target->limits;

    if (TH_MAIL_COUNT(mail) > limits->mailbox_count_max / 2 ||
        TH_MAIL_BYTES(mail) > limits->mailbox_bytes_max / 2) {
        th_process_yield(self);
    }
}

/* Put a stamped message into @target's mailbox. Takes it on TH_OK. */
static th_err deliver(th_process *self, th_process *target, th_msg *msg)
{
    size_t cost = th_msg_cost(msg);
    uint64_t charge = TH_MAIL_ONE + cost;
    uint64_t mail;

    if (cost > target->limits->mailbox_bytes_max) {
        return TH_QUOTA;
    }
    mail = atomic_fetch_add_explicit(&target->mail, charge, memory_order_relaxed) + charge;
    if (TH_MAIL_COUNT(mail) > target->limits->mailbox_count_max ||
        TH_MAIL_BYTES(mail) > target->limits->mailbox_bytes_max) {
        atomic_fetch_sub_explicit(&target->mail, charge, memory_order_relaxed);
        return TH_QUOTA;
    }
    msg->charged = (uint32_t)cost;
    if (!th_process_put(target, &msg->item)) {
        return TH_NOT_FOUND;
    }
    slow_down(self, target, mail);
    return TH_OK;
}

th_err th_process_send(th_process *self, th_pid to, th_msg *msg)
{
    th_process *target = th_table_find(self->kernel, to);
    th_err err;

    if (target == NULL) {
        return TH_NOT_FOUND;
    }
    stamp(self, msg, to);
    err = deliver(self, target, msg);
    if (err != TH_OK) {
        unstamp(msg);
    }
    return err;
}

th_err th_process_request(th_process *self, const th_ask *ask, th_msg *msg,
                          th_request **out)
{
    th_process *target = th_table_find(self->kernel, ask->to);
    int64_t now = th_kernel_now(self->kernel).ns;
    int64_t left = ask->timeout_ns > (uint64_t)(INT64_MAX - now)
                       ? INT64_MAX - now
                       : (int64_t)ask->timeout_ns;
    th_err err = th_ledger_open(self, ask, msg, (th_mono){now + left}, out);

    if (err != TH_OK) {
        return err;
    }
    stamp(self, msg, ask->to);
    msg->flags |= TH_MSG_EXPECTS;
    msg->deadline_ns = now + left;
    msg->lineage = msg->request ^ self->ident.pid.bits << 20;
    err = target == NULL ? TH_NOT_FOUND : deliver(self, target, msg);
    if (err != TH_OK) {
        th_route_return(self->kernel, msg, err);
    }
    return TH_OK;
}

void th_route_return(th_kernel *kernel, th_msg *msg, th_err reason)
{
    th_process *requester = NULL;

    if (!th_pid_is_none(msg->requester)) {
        requester = th_table_find(kernel, msg->requester);
    }
    msg->item.type = TH_ITEM_ANSWER;
    msg->leg = TH_LEG_RETURNED;
    msg->reason = (int8_t)reason;
    msg->charged = 0;
    if (requester == NULL || !th_process_put(requester, &msg->item)) {
        th_msg_unref(msg);
    }
}

/* The question is settled for this process: nothing is owed any more. */
static void release(th_msg *question)
{
    if (question->hold == TH_HOLD_OWED) {
        th_list_remove(&question->item.link);
        th_msg_unref(question); /* the kernel's; the guest has its own */
    }
    question->hold = TH_HOLD_NONE;
}

th_err th_process_respond(th_process *self, th_msg *question, th_msg *answer)
{
    th_process *requester;
    size_t cost = th_msg_cost(answer);
    uint64_t mail;

    if (th_pid_is_none(question->requester)) {
        return TH_NOT_FOUND;
    }
    if (question->hold == TH_HOLD_NONE) {
        return TH_TIMED_OUT;
    }
    requester = th_table_find(self->kernel, question->requester);
    if (requester == NULL) {
        release(question);
        return TH_NOT_FOUND;
    }
    mail = atomic_fetch_add_explicit(&requester->mail, cost, memory_order_relaxed) + cost;
    if (TH_MAIL_BYTES(mail) > requester->limits->mailbox_bytes_max) {
        atomic_fetch_sub_explicit(&requester->mail, cost, memory_order_relaxed);
        return TH_QUOTA;
    }
    stamp(self, answer, question->requester);
    answer->item.type = TH_ITEM_ANSWER;
    answer->request = question->request;
    answer->lineage = question->lineage;
    answer->hops = (uint16_t)(question->hops + 1);
    answer->charged = (uint32_t)cost;
    release(question);
    if (!th_process_put(requester, &answer->item)) {
        unstamp(answer);
        return TH_NOT_FOUND;
    }
    return TH_OK;
}

/* From here on another process answers; this one may, but need not. */
static void pass_on(th_msg *question, th_msg *msg)
{
    msg->requester = question->requester;
    msg->request = question->request;
    msg->lineage = question->lineage;
    msg->deadline_ns = question->deadline_ns;
    msg->hops = (uint16_t)(question->hops + 1);
    msg->flags |= TH_MSG_DELEGATED;
    if (question->hold == TH_HOLD_OWED) {
        release(question);
        question->hold = TH_HOLD_PASSED_ON;
    }
}

th_err th_process_forward(th_process *self, th_msg *question, th_pid to, th_msg *msg)
{
    th_process *target;
    th_err err;

    if (question == NULL || th_pid_is_none(question->requester) ||
        question->hold == TH_HOLD_NONE) {
        return th_process_send(self, to, msg);
    }
    target = th_table_find(self->kernel, to);
    stamp(self, msg, to);
    pass_on(question, msg);
    err = target == NULL ? TH_NOT_FOUND : deliver(self, target, msg);
    if (err != TH_OK) {
        th_route_return(self->kernel, msg, err);
    }
    return TH_OK;
}
