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

#define COST_BYTES_MAX UINT32_MAX /* of one message, whatever the mailbox takes */

/* --- Mailboxes -------------------------------------------------------------------- */

static _Atomic uint64_t *share_of(th_process *process, unsigned share)
{
    return &process->shares[share - 1];
}

/* Is more than 1/@part of @target's mailbox in use, by count or by bytes? */
static bool is_past(const th_process *target, uint64_t mail, unsigned part)
{
    const th_limits *limits = target->limits;

    return TH_MAIL_COUNT(mail) > limits->mailbox_count_max / part ||
           TH_MAIL_BYTES(mail) > limits->mailbox_bytes_max / part;
}

/* Past half full a send costs its sender the rest of the slice. */
static void slow_down(th_process *self, th_process *target, uint64_t mail)
{
    if (!is_past(target, mail, 2)) {
        return;
    }
    th_process_yield(self);
    if (atomic_load_explicit(&target->sweep_at, memory_order_relaxed) <=
        th_shard_self->now_ns) {
        atomic_fetch_or(&target->asked, TH_ASKED_SWEEP);
        th_process_wake(target);
    }
}

/*
 * The mailbox is filling up: does the package of the sender, not the owner's, hold half
 * of what is in it?
 */
static bool is_greedy(th_process *target, uint64_t mail, uint64_t share)
{
    return is_past(target, mail, 4) &&
           (TH_MAIL_COUNT(share) > TH_MAIL_COUNT(mail) / 2 ||
            TH_MAIL_BYTES(share) > TH_MAIL_BYTES(mail) / 2);
}

/* Charge a message of another package to its part. False: refused. */
static bool charge_share(th_process *self, th_process *target, th_msg *msg,
                         uint64_t charge, uint64_t mail)
{
    unsigned number = 1 + self->package % TH_SHARES;
    _Atomic uint64_t *part = share_of(target, number);
    uint64_t share =
        atomic_fetch_add_explicit(part, charge, memory_order_relaxed) + charge;

    if (is_greedy(target, mail, share)) {
        atomic_fetch_sub_explicit(part, charge, memory_order_relaxed);
        return false;
    }
    msg->share = (uint8_t)number;
    return true;
}

/* Is there room in @target's mailbox? Then @msg is charged to it. */
static bool charge(th_process *self, th_process *target, th_msg *msg, uint64_t *out)
{
    size_t cost = th_msg_cost(msg);
    uint64_t added = TH_MAIL_ONE + cost;
    uint64_t mail;

    if (cost > target->limits->mailbox_bytes_max || cost > COST_BYTES_MAX ||
        th_budget_refuses(self->kernel, TH_BUDGET_NO_SENDS)) {
        return false;
    }
    mail =
        atomic_fetch_add_explicit(&target->mail, added, memory_order_relaxed) + added;
    *out = mail;
    msg->share = 0;
    if (!is_past(target, mail, 1) &&
        (__builtin_expect(self->package == target->package, 1) ||
         charge_share(self, target, msg, added, mail))) {
        msg->charged = (uint32_t)cost;
        th_budget_msg(self->kernel, msg, 1);
        return true;
    }
    atomic_fetch_sub_explicit(&target->mail, added, memory_order_relaxed);
    return false;
}

void th_mail_discharge(th_process *process, th_msg *msg)
{
    uint64_t charged = TH_MAIL_ONE + msg->charged;

    atomic_fetch_sub_explicit(&process->mail, charged, memory_order_relaxed);
    if (msg->share != 0) {
        atomic_fetch_sub_explicit(share_of(process, msg->share), charged,
                                  memory_order_relaxed);
    }
    th_budget_msg(process->kernel, msg, -1);
}

void th_process_charge(th_process *self, int64_t cost, int count)
{
    uint64_t charged = (uint64_t)count * TH_MAIL_ONE + (uint64_t)cost;

    atomic_fetch_add_explicit(&self->mail, charged, memory_order_relaxed);
    self->kept += cost;
    th_budget_add(self->kernel, cost);
}

static void keep(th_process *self, const th_msg *msg, int sign)
{
    int64_t cost = (int64_t)th_msg_cost(msg);

    th_process_charge(self, sign * cost, sign);
    if (msg->share != 0) {
        atomic_fetch_add_explicit(share_of(self, msg->share),
                                  (uint64_t)(sign * ((int64_t)TH_MAIL_ONE + cost)),
                                  memory_order_relaxed);
    }
}

void th_process_keep(th_process *self, th_msg *msg)
{
    keep(self, msg, 1);
}

void th_process_unkeep(th_process *self, th_msg *msg)
{
    keep(self, msg, -1);
}

/* --- Sending ---------------------------------------------------------------------- */

/* Has @guest a form for what @msg holds? */
static th_err accept(const th_guest *guest, const th_msg *msg)
{
    return msg->format == TH_FORMAT_BYTES || guest->accept == NULL ? TH_OK
                                                                   : guest->accept(msg);
}

/* May @self send to @target? An open one is told whether this needed to be asked. */
static bool may_send(const th_process *self, const th_process *target, th_msg *msg)
{
    if (target->is_open) {
        msg->flags |= th_rights_hold_messaging(self, target) ? TH_MSG_RIGHTFUL : 0;
        return true;
    }
    return th_rights_is_free(self, target) || target->is_public ||
           th_rights_hold_messaging(self, target);
}

/* Put a stamped message into @target's mailbox. Takes it on TH_OK. */
static th_err deliver(th_process *self, th_process *target, th_msg *msg)
{
    uint64_t mail = UINT64_MAX;
    th_err err = may_send(self, target, msg) ? accept(target->guest, msg) : TH_DENIED;

    if (err != TH_OK) {
        return err;
    }
    if (!charge(self, target, msg, &mail)) {
        atomic_fetch_add_explicit(&th_shard_self->refused, 1, memory_order_relaxed);
        slow_down(self, target, mail);
        return TH_QUOTA;
    }
    if (!th_process_put(target, &msg->item)) {
        th_mail_discharge(target, msg);
        return TH_NOT_FOUND;
    }
    slow_down(self, target, mail);
    return TH_OK;
}

/* Where somebody listens: @msg may be read and gone before that is told. */
static th_err deliver_traced(th_process *self, th_process *target, th_msg *msg)
{
    th_auto(th_msg) held = th_msg_ref(msg);
    th_err err = target == NULL ? TH_NOT_FOUND : deliver(self, target, msg);

    th_trace_sent(self, held, err);
    return err;
}

/* Deliver to @target, NULL if there is none. */
static th_err pass(th_process *self, th_process *target, th_msg *msg)
{
    if (th_is_traced(self->kernel)) {
        return deliver_traced(self, target, msg);
    }
    return target == NULL ? TH_NOT_FOUND : deliver(self, target, msg);
}

th_err th_process_send(th_process *self, th_pid to, th_msg *msg)
{
    th_process *target = th_table_find(self->kernel, to);
    th_err err;

    stamp(self, msg, to);
    err = pass(self, target, msg);
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
    if (ask->refused == TH_OK) {
        msg->flags |= TH_MSG_EXPECTS;
    }
    msg->deadline_ns = now + left;
    msg->lineage = ask->under != NULL && ask->under->lineage != 0
                       ? ask->under->lineage
                       : msg->request ^ self->ident.pid.bits << 20;
    msg->hops = ask->under != NULL ? (uint16_t)(ask->under->hops + 1) : 0;
    atomic_store_explicit(&self->asked_last, ask->to.bits, memory_order_relaxed);
    err = ask->refused == TH_OK ? pass(self, target, msg) : ask->refused;
    if (err != TH_OK) {
        th_route_return(self->kernel, msg, err);
    }
    return TH_OK;
}

/* --- Answers ---------------------------------------------------------------------- */

void th_route_return(th_kernel *kernel, th_msg *msg, th_err reason)
{
    th_process *requester = NULL;

    if (!th_pid_is_none(msg->requester)) {
        requester = th_table_find(kernel, msg->requester);
    }
    if (requester != NULL && th_is_traced(kernel)) {
        th_trace_failed(kernel, msg->requester, msg, reason);
    }
    msg->item.type = TH_ITEM_ANSWER;
    msg->leg = TH_LEG_RETURNED;
    msg->reason = (int8_t)reason;
    msg->charged = 0;
    th_budget_msg(kernel, msg, 1);
    if (requester == NULL || !th_process_put(requester, &msg->item)) {
        th_budget_msg(kernel, msg, -1);
        th_msg_unref(msg);
    }
}

/* The question is settled for this process: nothing is owed any more. */
static void release(th_process *self, th_msg *question)
{
    if (question->hold == TH_HOLD_OWED) {
        question->hold = TH_HOLD_NONE;
        th_list_remove(&question->item.link);
        th_count(&self->held_count, -1u);
        th_mail_discharge(self, question);
        th_msg_unref(question); /* the kernel's; the guest may have its own */
    }
}

/* The oldest of those that it took are given up when their time is over. */
void th_held_add(th_process *self, th_msg *msg)
{
    int64_t now = th_shard_self->now_ns;

    for (int i = 0; i < 2 && !th_list_is_empty(&self->held); i++) {
        th_item *item = th_container_of(self->held.next, th_item, link);

        if (th_msg_of(item)->deadline_ns > now) {
            break;
        }
        release(self, th_msg_of(item));
    }
    msg->hold = TH_HOLD_OWED;
    th_count(&self->held_count, 1);
    th_list_push(&self->held, &th_msg_ref(msg)->item.link);
    if (msg->deadline_ns <
        atomic_load_explicit(&self->sweep_at, memory_order_relaxed)) {
        atomic_store_explicit(&self->sweep_at, msg->deadline_ns, memory_order_relaxed);
    }
}

void th_held_sweep(th_process *self, int64_t now)
{
    int64_t next = INT64_MAX;

    TH_LIST_EACH(link, &self->held)
    {
        th_msg *msg = th_msg_of(th_container_of(link, th_item, link));

        if (msg->deadline_ns <= now) {
            release(self, msg);
        } else if (msg->deadline_ns < next) {
            next = msg->deadline_ns;
        }
    }
    atomic_store_explicit(&self->sweep_at, next, memory_order_relaxed);
}

/* May @answer come into the slot that its requester reserved? Then it is charged. */
static bool charge_answer(th_process *requester, th_msg *answer)
{
    size_t cost = th_msg_cost(answer);
    uint64_t mail;

    if (cost > requester->limits->mailbox_bytes_max || cost > COST_BYTES_MAX ||
        th_budget_refuses(requester->kernel, TH_BUDGET_NO_ANSWERS)) {
        return false;
    }
    mail =
        atomic_fetch_add_explicit(&requester->mail, cost, memory_order_relaxed) + cost;
    if (TH_MAIL_BYTES(mail) > requester->limits->mailbox_bytes_max) {
        atomic_fetch_sub_explicit(&requester->mail, cost, memory_order_relaxed);
        return false;
    }
    answer->charged = (uint32_t)cost;
    th_budget_msg(requester->kernel, answer, 1);
    return true;
}

void th_process_forget(th_process *self, th_msg *question)
{
    release(self, question);
    question->hold = TH_HOLD_NONE;
}

void th_process_refuse(th_process *self, th_msg *question, th_err reason)
{
    if (question->hold == TH_HOLD_OWED) {
        question->hold = TH_HOLD_NONE;
        th_list_remove(&question->item.link);
        th_mail_discharge(self, question);
        th_route_return(self->kernel, question, reason);
    }
}

static th_err respond(th_process *self, th_msg *question, th_msg *answer)
{
    th_process *requester;
    th_err err;

    if (th_pid_is_none(question->requester)) {
        return TH_NOT_FOUND;
    }
    if (question->hold == TH_HOLD_NONE) {
        atomic_fetch_add_explicit(&th_shard_self->late, 1, memory_order_relaxed);
        return TH_TIMED_OUT;
    }
    requester = th_table_find(self->kernel, question->requester);
    if (requester == NULL) {
        release(self, question);
        question->hold = TH_HOLD_NONE;
        return TH_NOT_FOUND;
    }
    err = accept(requester->guest, answer);
    if (err != TH_OK) {
        return err;
    }
    if (!charge_answer(requester, answer)) {
        atomic_fetch_add_explicit(&th_shard_self->refused, 1, memory_order_relaxed);
        return TH_QUOTA;
    }
    stamp(self, answer, question->requester);
    answer->item.type = TH_ITEM_ANSWER;
    answer->request = question->request;
    answer->lineage = question->lineage;
    answer->hops = (uint16_t)(question->hops + 1);
    release(self, question);
    question->hold = TH_HOLD_NONE;
    if (!th_process_put(requester, &answer->item)) {
        th_budget_msg(self->kernel, answer, -1);
        unstamp(answer);
        return TH_NOT_FOUND;
    }
    return TH_OK;
}

th_err th_process_respond(th_process *self, th_msg *question, th_msg *answer)
{
    th_auto(th_msg) held = NULL;
    th_err err;

    if (!th_is_traced(self->kernel)) {
        return respond(self, question, answer);
    }
    held = th_msg_ref(answer);
    err = respond(self, question, answer);
    th_trace_answered(self, question, held, err);
    return err;
}

/* From here on another process answers; this one may, but need not. */
static void pass_on(th_process *self, th_msg *question, th_msg *msg)
{
    msg->requester = question->requester;
    msg->request = question->request;
    msg->lineage = question->lineage;
    msg->deadline_ns = question->deadline_ns;
    msg->hops = (uint16_t)(question->hops + 1);
    msg->flags |= TH_MSG_DELEGATED;
    release(self, question);
    question->hold = TH_HOLD_PASSED_ON;
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
    pass_on(self, question, msg);
    err = pass(self, target, msg);
    if (err != TH_OK) {
        th_route_return(self->kernel, msg, err);
    }
    return TH_OK;
}

/* --- Refusals that a program cannot see ------------------------------------------- */

void th_process_note_refused(th_process *self, th_pid to, th_err reason)
{
    uint64_t n = atomic_load_explicit(&self->refused, memory_order_relaxed) + 1;
    const th_process *target = th_table_find(self->kernel, to);
    th_auto_buf text = TH_BUF_INIT;

    atomic_store_explicit(&self->refused, n, memory_order_relaxed);
    if ((n & (n - 1)) != 0) {
        return; /* told at each power of two */
    }
    th_buf_putf(&text,
                "%llu of this process's one-way messages came to nothing so far; "
                "the last one, to ",
                (unsigned long long)n);
    if (target == NULL) {
        th_buf_puts(&text, "a process that is gone");
    } else {
        th_kernel_pid_text(self->kernel, &target->ident, &text);
    }
    if (reason == TH_QUOTA && th_kernel_is_short(self->kernel)) {
        th_buf_puts(&text,
                    ": the node's memory is nearly used up; end some processes or "
                    "give it more");
    } else if (reason == TH_QUOTA) {
        th_buf_puts(&text, ": its mailbox is full; send less at a time, or requests, "
                           "whose answers show its pace");
    } else {
        th_buf_putf(&text, ": %s", th_reason_of(reason)->text);
    }
    th_process_output(self, TH_OUTPUT_LOG, th_buf_slice(&text));
}
