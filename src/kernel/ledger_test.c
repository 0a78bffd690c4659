#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * Requests and alarms in time: deadlines, late answers, and shards that changed.
 */

static th_stage stage;
static th_puppet a_cast, b_cast;
static th_process *a, *b;
static int64_t charged; /* to the node, with nothing under way */

static void set(void)
{
    th_stage_set(&stage, 1, 2);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    charged = th_budget_bytes(stage.kernel);
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    T_EQ(th_budget_bytes(stage.kernel), charged);
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

/* From here on the test is on @shard. */
static void go_to(unsigned shard)
{
    th_stage_leave(&stage);
    th_stage_enter(&stage, shard);
}

static void let_time_pass(void)
{
    unsigned shard = stage.shard;

    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, shard);
}

static th_request *ask(uint64_t timeout_ns, void *tag)
{
    th_ask ask = {.to = b->ident.pid, .timeout_ns = timeout_ns, .tag = tag};
    th_request *request = NULL;
    th_msg *msg = th_stage_msg(TH_MSG_REQUEST, "?");

    if (th_process_request(a, &ask, msg, &request) != TH_OK) {
        th_msg_unref(msg);
        return NULL;
    }
    return request;
}

static th_msg *take(th_process *self)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    return in.msg;
}

static void respond(th_msg *question)
{
    T_EQ(th_process_respond(b, question, th_stage_msg(TH_MSG_RESPONSE, "!")), TH_OK);
    th_msg_unref(question);
}

static void check_reply(th_err reason, void *tag)
{
    th_delivery in;

    T_TRUE(th_process_next(a, &in));
    T_EQ(in.type, TH_ITEM_REPLY);
    T_EQ(th_request_reason(in.request), reason);
    T_EQ(th_request_response(in.request) == NULL, reason != TH_OK);
    T_TRUE(th_request_tag(in.request) == tag);
    T_TRUE(th_slice_is(th_msg_body(th_request_original(in.request)), "?"));
    th_request_free(a, in.request);
}

static void check_nothing(th_process *self)
{
    th_delivery in;

    T_FALSE(th_process_next(self, &in));
}

/* --- Requests ------------------------------------------------------------------------ */

TEST(ledger, a_request_times_out_once_and_its_late_answer_is_nothing)
{
    th_msg *question;
    int64_t began;

    set();
    began = th_world_mono(stage.world).ns;
    ask(TH_S, &a_cast);
    question = take(b);
    let_time_pass();
    T_TRUE(th_world_mono(stage.world).ns >= began + TH_S);
    T_TRUE(th_world_mono(stage.world).ns < began + TH_S + TH_MS);
    check_reply(TH_TIMED_OUT, &a_cast);
    respond(question);
    check_nothing(a);
    T_EQ(atomic_load(&a->mail), 0);
    strike();
}

TEST(ledger, an_answer_that_was_on_its_way_when_the_time_was_over_still_counts)
{
    set();
    ask(TH_S, NULL);
    respond(take(b)); /* in the inbox, before the time-out */
    let_time_pass();
    check_reply(TH_OK, NULL);
    check_nothing(a);
    strike();
}

TEST(ledger, a_time_out_that_is_heard_before_the_answer_is_the_one_that_counts)
{
    th_msg *question;

    set();
    ask(TH_S, NULL);
    question = take(b);
    let_time_pass();
    respond(question); /* behind the time-out */
    check_reply(TH_TIMED_OUT, NULL);
    check_nothing(a);
    strike();
}

TEST(ledger, a_request_that_was_given_up_gets_nothing_whenever_that_is)
{
    set();
    th_request_abandon(a, ask(TH_S, NULL)); /* before it is taken */
    respond(take(b));
    check_nothing(a);
    th_request_abandon(a, ask(TH_S, NULL));
    let_time_pass();
    check_nothing(a);
    th_msg_unref(take(b));
    th_process_next(b, &(th_delivery){0});
    th_held_sweep(b, INT64_MAX);
    T_EQ(atomic_load(&a->mail), 0);
    strike();
}

TEST(ledger, a_request_that_fired_and_is_given_up_before_it_is_heard_is_nothing)
{
    th_request *request;

    set();
    request = ask(TH_S, NULL);
    let_time_pass();
    th_request_abandon(a, request);
    check_nothing(a);
    respond(take(b));
    check_nothing(a);
    strike();
}

/* The wheel in which the deadline stands is that of the shard where it was asked. */
TEST(ledger, a_request_is_answered_after_its_process_moved_to_another_shard)
{
    set();
    ask(TH_S, NULL);
    go_to(1);
    respond(take(b));
    check_reply(TH_OK, NULL);
    T_NOT_NULL(atomic_load(&stage.kernel->shards[0].dropped));
    go_to(0);
    th_shard_serve(th_shard_self);
    T_EQ(th_wheel_next(&th_shard_self->wheel), 0);
    check_nothing(a);
    strike();
}

/* Both want the timer: its shard finds it given up. */
TEST(ledger, a_deadline_that_comes_while_another_shard_gives_it_up_is_nothing)
{
    th_request *request;
    th_list expired;

    set();
    request = ask(TH_S, NULL);
    go_to(1);
    th_request_abandon(a, request);
    go_to(0);
    th_list_init(&expired);
    th_wheel_advance(&th_shard_self->wheel, INT64_MAX / 2, &expired);
    T_FALSE(th_list_is_empty(&expired));
    th_alarms_fire(th_shard_self, &expired);
    check_nothing(a);
    th_alarms_drop_all(th_shard_self);
    respond(take(b));
    check_nothing(a);
    strike();
}

TEST(ledger, a_process_that_ends_takes_its_requests_with_it)
{
    th_msg *question;

    set();
    for (int i = 0; i < 10; i++) {
        ask(TH_S, NULL);
    }
    question = take(b);
    th_stage_end(&stage, a, TH_FAILED);
    T_EQ(th_process_respond(b, question, NULL), TH_NOT_FOUND);
    th_msg_unref(question);
    for (int i = 0; i < 9; i++) {
        th_msg_unref(take(b));
    }
    th_stage_end(&stage, b, TH_OK);
    T_EQ(th_budget_bytes(stage.kernel), 0);
    charged = 0;
    strike();
}

TEST(ledger, there_is_a_bound_of_open_requests_and_its_places_are_used_again)
{
    set();
    a_cast.entry.limits.requests_max = 3;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) {
            T_NOT_NULL(ask(TH_S, NULL));
        }
        T_NULL(ask(TH_S, NULL));
        for (int i = 0; i < 3; i++) {
            respond(take(b));
            check_reply(TH_OK, NULL);
        }
    }
    T_TRUE(a->requests_room <= 4);
    strike();
}

TEST(ledger, a_time_that_is_too_long_is_as_long_as_can_be)
{
    th_request *request;

    set();
    request = ask(UINT64_MAX, NULL);
    T_NOT_NULL(request);
    let_time_pass();
    check_reply(TH_TIMED_OUT, NULL);
    th_msg_unref(take(b));
    th_held_sweep(b, INT64_MAX);
    strike();
}

/* --- Alarms -------------------------------------------------------------------------- */

TEST(ledger, an_alarm_fires_once_and_not_early)
{
    th_alarm *alarm;
    th_delivery in;
    int64_t due;

    set();
    due = th_process_now(a).ns + 3 * TH_MS;
    T_EQ(th_alarm_set(a, (th_mono){due}, &a_cast, &alarm), TH_OK);
    let_time_pass();
    T_TRUE(th_world_mono(stage.world).ns >= due);
    T_TRUE(th_process_next(a, &in));
    T_EQ(in.type, TH_ITEM_TIMER);
    T_TRUE(in.alarm == alarm);
    T_TRUE(th_alarm_tag(alarm) == &a_cast);
    th_alarm_drop(a, alarm);
    check_nothing(a);
    strike();
}

TEST(ledger, an_alarm_that_is_dropped_is_not_heard_whenever_that_is)
{
    th_alarm *alarm;

    set();
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &alarm), TH_OK);
    th_alarm_drop(a, alarm); /* armed */
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &alarm), TH_OK);
    let_time_pass();
    th_alarm_drop(a, alarm); /* fired, in the inbox */
    check_nothing(a);
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &alarm), TH_OK);
    go_to(1);
    th_alarm_drop(a, alarm); /* in another shard's wheel */
    go_to(0);
    th_shard_serve(th_shard_self);
    check_nothing(a);
    T_EQ(a->alarms_count, 0);
    strike();
}

TEST(ledger, there_is_a_bound_of_alarms_and_memory_may_run_out)
{
    th_alarm *alarms[2], *none = NULL;

    set();
    a_cast.entry.limits.timers_max = 2;
    th_mem_fail_after(0);
    T_EQ(th_alarm_set(a, (th_mono){TH_S}, NULL, &none), TH_QUOTA);
    th_mem_fail_never();
    T_EQ(th_alarm_set(a, (th_mono){TH_S}, NULL, &alarms[0]), TH_OK);
    T_EQ(th_alarm_set(a, (th_mono){TH_S}, NULL, &alarms[1]), TH_OK);
    T_EQ(th_alarm_set(a, (th_mono){TH_S}, NULL, &none), TH_QUOTA);
    T_NULL(none);
    th_alarm_drop(a, alarms[0]);
    th_alarm_drop(a, alarms[1]);
    strike();
}

TEST(ledger, a_process_that_ends_takes_its_alarms_with_it)
{
    th_alarm *armed, *fired;

    set();
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &fired), TH_OK);
    let_time_pass();
    T_EQ(th_alarm_set(a, (th_mono){INT64_MAX / 2}, NULL, &armed), TH_OK);
    th_stage_end(&stage, a, TH_OK);
    th_stage_end(&stage, b, TH_OK);
    charged = 0;
    strike();
}

/* --- Enforced cancels ------------------------------------------------------------------ */

TEST(ledger, a_deadline_goes_with_its_target)
{
    set();
    T_EQ(th_process_cancel(a, b->ident.pid, INT64_MAX, true, TH_SLICE("")), TH_OK);
    T_NE(th_wheel_next(&th_shard_self->wheel), 0);
    th_stage_end(&stage, b, TH_OK);
    go_to(0);
    th_shard_serve(th_shard_self);
    T_EQ(th_wheel_next(&th_shard_self->wheel), 0);
    th_stage_end(&stage, a, TH_OK);
    charged = 0;
    strike();
}

TEST(ledger, there_is_a_bound_of_deadlines_and_memory_may_run_out)
{
    int set_there = 0;

    set();
    th_mem_fail_after(0);
    T_EQ(th_process_cancel(a, b->ident.pid, TH_S, true, TH_SLICE("")), TH_QUOTA);
    th_mem_fail_never();
    while (th_process_cancel(a, b->ident.pid, TH_S, true, TH_SLICE("")) == TH_OK) {
        set_there++;
    }
    T_EQ(set_there, 64);
    let_time_pass();
    T_EQ(th_kernel_count(stage.kernel), 1);
    T_NOT_NULL(strstr(th_buf_text(&stage.ended), "test:b canceled process terminated"));
    th_stage_end(&stage, a, TH_OK);
    charged = 0;
    strike();
}
