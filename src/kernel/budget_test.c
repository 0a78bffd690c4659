#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * The node's memory: refused are spawns first, then sends, answers last, and never
 * what the kernel itself has to say.
 */

#define BUDGET 160000 /* a sixteenth: 10,000 */

static th_stage stage;
static th_puppet a_cast, b_cast;
static th_process *a, *b;

static void set(void)
{
    th_stage_set_with(&stage, 1, 2, BUDGET);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

/* Use so much of it, in all; then a shard looks up. */
static void use(int64_t bytes)
{
    th_process_charge(a, bytes - th_budget_bytes(stage.kernel), 0);
    th_shard_serve(th_shard_self);
}

static th_err spawn(th_buf *why)
{
    th_spawn spec = {.entry = &a_cast.entry, .host = &stage.host};
    th_ident ident;

    return th_process_spawn(b, &spec, &ident, why);
}

static th_err send(void)
{
    th_msg *msg = th_stage_msg(TH_MSG_SEND, "x");
    th_err err = th_process_send(b, a->ident.pid, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

static th_msg *ask(void)
{
    th_ask with = {.to = b->ident.pid, .timeout_ns = TH_S};
    th_request *request;
    th_delivery in;

    T_EQ(th_process_request(a, &with, th_stage_msg(TH_MSG_REQUEST, "?"), &request),
         TH_OK);
    T_TRUE(th_process_next(b, &in));
    return in.msg;
}

static th_err answer(th_msg *question)
{
    th_msg *msg = th_stage_msg(TH_MSG_RESPONSE, "!");
    th_err err = th_process_respond(b, question, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

TEST(budget, spawns_are_refused_first_then_sends_then_answers)
{
    th_auto_buf why = TH_BUF_INIT;
    th_msg *first, *second;

    set();
    first = ask();
    second = ask();
    use(139000);
    T_EQ(spawn(&why), TH_OK);
    use(140000);
    T_EQ(spawn(&why), TH_QUOTA);
    T_NOT_NULL(strstr(th_buf_text(&why), "memory are in use: end some processes"));
    T_EQ(send(), TH_OK);
    T_FALSE(th_kernel_is_short(stage.kernel));
    use(150000);
    T_TRUE(th_kernel_is_short(stage.kernel));
    T_EQ(send(), TH_QUOTA);
    T_EQ(answer(first), TH_OK);
    use(160000);
    T_EQ(answer(second), TH_QUOTA);
    use(100000);
    T_EQ(answer(second), TH_OK); /* it may be tried again */
    T_EQ(send(), TH_OK);
    T_EQ(spawn(&why), TH_OK);
    th_msg_unref(first);
    th_msg_unref(second);
    strike();
}

TEST(budget, what_the_kernel_says_is_never_refused)
{
    th_alarm *alarm;
    th_delivery in;
    th_ident gone;

    set();
    gone = b->ident;
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &alarm), TH_OK);
    th_msg_unref(ask());
    use(2 * BUDGET);
    T_EQ(th_process_cancel(b, a->ident.pid, TH_S, false, TH_SLICE("")), TH_OK);
    th_stage_end(&stage, b, TH_FAILED);
    for (int seen = 0; seen < 4; seen++) {
        T_TRUE(th_process_next(a, &in));
        if (in.type == TH_ITEM_REPLY) {
            T_EQ(th_request_reason(in.request), TH_DIED);
            th_request_free(a, in.request);
        } else if (in.type == TH_ITEM_TIMER) {
            th_alarm_drop(a, in.alarm);
        } else {
            T_EQ(in.type, TH_ITEM_EVENT);
            T_TRUE(in.event->kind == TH_EVENT_CANCEL ||
                   th_pid_eq(in.event->from.pid, gone.pid));
        }
    }
    strike();
}

TEST(budget, a_blob_is_charged_once_however_many_messages_hold_it)
{
    th_blob *blob;
    th_msg_parts parts = {.kind = TH_MSG_SEND};
    int64_t before, small;
    th_delivery in;
    char bytes[20000] = {0};

    set();
    blob = th_blob_new(th_slice_of(bytes, sizeof bytes), th_slice_of(NULL, 0));
    parts.body_blob = blob;
    before = th_budget_bytes(stage.kernel);
    for (int i = 0; i < 5; i++) {
        T_EQ(th_process_send(b, a->ident.pid, th_msg_new(&parts)), TH_OK);
    }
    small = 5 * (int64_t)sizeof(th_msg);
    T_EQ(th_budget_bytes(stage.kernel) - before, small + (int64_t)sizeof bytes);
    T_EQ(TH_MAIL_BYTES(atomic_load(&a->mail)), 5 * (TH_MSG_COST_BYTES + sizeof bytes));
    for (int i = 0; i < 5; i++) {
        T_TRUE(th_process_next(a, &in));
        th_msg_unref(in.msg);
    }
    T_EQ(th_budget_bytes(stage.kernel), before);
    T_EQ(atomic_load(&blob->refs), 1);
    th_blob_unref(blob);
    strike();
}

/* All that a process can be charged with goes with it. */
TEST(budget, a_process_that_ends_leaves_nothing_charged)
{
    th_auto(th_blob) context = th_blob_new(TH_SLICE("context"), th_slice_of(NULL, 0));
    th_ask with = {.timeout_ns = TH_S, .context = context};
    th_request *request;
    th_alarm *alarm;
    th_exit *end;
    th_auto_buf log = TH_BUF_INIT;

    set();
    with.to = b->ident.pid;
    T_EQ(th_process_request(a, &with, th_stage_msg(TH_MSG_REQUEST, "?"), &request),
         TH_OK);
    T_EQ(th_alarm_set(a, (th_mono){TH_S}, NULL, &alarm), TH_OK);
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    T_EQ(th_process_link(a, b->ident.pid), TH_OK);
    T_EQ(th_process_register(a, TH_SLICE("a"), a->ident.pid), TH_OK);
    T_EQ(th_process_cancel(b, a->ident.pid, TH_S, true, TH_SLICE("text")), TH_OK);
    th_process_output(a, TH_OUTPUT_LOG, TH_SLICE("line"));
    th_process_charge(a, 1000, 1);
    T_EQ(send(), TH_OK);
    th_process_set_traps_links(b, true);
    th_stage_end(&stage, a, TH_FAILED);
    th_stage_end(&stage, b, TH_FAILED);
    T_EQ(th_budget_bytes(stage.kernel), 0);
    T_EQ(th_kernel_read_log(stage.kernel, th_pid_make(1, 1), &log, &end), TH_OK);
    T_EQ(end->reason, TH_FAILED);
    th_exit_unref(end);
    strike();
}

TEST(budget, the_nodes_figures_say_what_is_used_and_refused)
{
    th_figures figures;

    set();
    use(155000);
    T_EQ(send(), TH_QUOTA);
    th_kernel_figures(stage.kernel, &figures);
    T_EQ(figures.memory_bytes, 155000);
    T_EQ(figures.memory_bytes_max, BUDGET);
    T_EQ(figures.processes, 2);
    T_EQ(figures.refused, 1);
    T_EQ(figures.late, 0);
    strike();
}

TEST(budget, what_came_free_unseen_is_seen_by_the_next_who_would_be_refused)
{
    th_auto_buf why = TH_BUF_INIT;

    set();
    use(155000);
    T_EQ(send(), TH_QUOTA);
    th_process_charge(a, -100000, 0); /* and no shard looks up */
    T_EQ(send(), TH_OK);
    T_EQ(spawn(&why), TH_OK);
    strike();
}

/* --- Capabilities ------------------------------------------------------------------ */

TEST(budget, what_a_process_holds_of_capabilities_and_was_given_counts)
{
    static char params[4000]; /* no JSON, so kept once more as what it is equal to */
    const int64_t each = 2 * sizeof params;
    th_auto(th_caps) caps = NULL;
    th_auto_buf id = TH_BUF_INIT;
    th_claim claim;
    th_msg_parts parts = {.kind = TH_MSG_SEND};
    int64_t before;
    th_delivery in;

    set();
    memset(params, 'x', sizeof params);
    th_process_put_id(a, &id);
    claim = (th_claim){th_buf_slice(&id), th_slice_of(params, sizeof params)};
    before = th_budget_bytes(stage.kernel);
    T_EQ(th_process_save_caps(a, &claim, 1), TH_OK);
    T_TRUE(th_budget_bytes(stage.kernel) >= before + each);
    parts.caps = caps = th_process_claim(a, &claim, 1);
    T_EQ(th_process_send(a, b->ident.pid, th_msg_new(&parts)), TH_OK);
    T_TRUE(th_budget_bytes(stage.kernel) >= before + 2 * each); /* in the mailbox */
    T_TRUE(th_process_next(b, &in));
    th_msg_unref(in.msg);
    T_TRUE(th_budget_bytes(stage.kernel) >= before + 2 * each); /* to be named */
    th_process_drop_caps(a, &claim, 1);
    T_TRUE(th_budget_bytes(stage.kernel) < before + 2 * each);
    T_TRUE(th_budget_bytes(stage.kernel) >= before + each);
    use(BUDGET);
    T_EQ(th_process_save_caps(b, &claim, 1), TH_QUOTA);
    use(before + each);
    T_EQ(th_process_save_caps(b, &claim, 1), TH_OK);
    th_process_charge(a, -a->kept, 0);
    strike();
}
