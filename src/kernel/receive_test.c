#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * What comes out of an inbox, in which order, and what is borrowed with it.
 */

static th_stage stage;
static th_puppet a_cast, b_cast;
static th_process *a, *b;

static void set(void)
{
    th_stage_set(&stage, 1, 1);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

static void send(const char *body)
{
    T_EQ(th_process_send(b, a->ident.pid, th_stage_msg(TH_MSG_SEND, body)), TH_OK);
}

static void check_msg(const char *body)
{
    th_delivery in;

    T_TRUE(th_process_next(a, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    T_TRUE(th_slice_is(th_msg_body(in.msg), body));
    th_msg_unref(in.msg);
}

TEST(receive, things_of_all_kinds_come_in_the_order_of_their_arrival)
{
    th_delivery in;
    th_alarm *alarm;
    th_ident gone;

    set();
    gone = b->ident;
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    send("1");
    T_EQ(th_alarm_set(a, (th_mono){1}, NULL, &alarm), TH_OK);
    th_shard_serve(th_shard_self);
    send("2");
    T_EQ(th_process_cancel(b, a->ident.pid, 5, false, TH_SLICE("why")), TH_OK);
    send("3");
    th_stage_end(&stage, b, TH_FAILED);
    check_msg("1");
    T_TRUE(th_process_next(a, &in));
    T_TRUE(in.type == TH_ITEM_TIMER && in.alarm == alarm);
    th_alarm_drop(a, alarm);
    check_msg("2");
    T_TRUE(th_process_next(a, &in));
    T_TRUE(in.type == TH_ITEM_EVENT && in.event->kind == TH_EVENT_CANCEL);
    T_TRUE(th_slice_is(in.event->text, "why"));
    check_msg("3");
    T_TRUE(th_process_next(a, &in));
    T_TRUE(in.type == TH_ITEM_EVENT && in.event->kind == TH_EVENT_EXIT);
    T_TRUE(th_pid_eq(in.event->from.pid, gone.pid));
    T_TRUE(th_slice_is(th_exit_error(in.event->exit), "so it was told"));
    T_FALSE(th_process_next(a, &in));
    strike();
}

TEST(receive, a_cancel_that_was_not_heard_yet_is_not_told_twice)
{
    th_delivery in;
    char text[3000];

    set();
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 5; i++) {
        T_EQ(th_process_cancel(b, a->ident.pid, 5, false,
                               th_slice_of(text, sizeof text)),
             TH_OK);
    }
    T_TRUE(th_process_next(a, &in));
    T_EQ(in.event->text.bytes, 1024); /* whoever asks does not say how much is kept */
    T_EQ(in.event->deadline.ns - in.event->at.ns, 5);
    T_FALSE(th_process_next(a, &in));
    T_EQ(th_process_cancel(b, a->ident.pid, 5, false, TH_SLICE("")), TH_OK);
    T_TRUE(th_process_next(a, &in));
    T_FALSE(th_process_next(a, &in));
    strike();
}

TEST(receive, a_cancel_at_once_is_a_kill)
{
    set();
    T_EQ(th_process_cancel(b, a->ident.pid, 0, true, TH_SLICE("")), TH_OK);
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    T_STR(th_buf_text(&stage.ended), "test:a killed process terminated\n");
    T_EQ(th_process_cancel(b, th_pid_make(1, 1), 0, true, TH_SLICE("")), TH_NOT_FOUND);
    T_EQ(th_process_terminate(b, th_pid_make(1, 1)), TH_NOT_FOUND);
    strike();
}

/* --- Jobs ------------------------------------------------------------------------------ */

typedef struct job {
    th_job job;
    int runs, drops;
} job;

static void run_job(th_job *one)
{
    th_container_of(one, job, job)->runs++;
}

static void drop_job(th_job *one)
{
    th_container_of(one, job, job)->drops++;
}

TEST(receive, a_job_comes_back_or_is_dropped_when_its_process_is_gone)
{
    job heard = {.job = {.run = run_job, .dropped = drop_job}}, unheard = heard;
    th_delivery in;

    set();
    th_process_submit(a, &heard.job);
    T_TRUE(th_process_next(a, &in));
    T_TRUE(in.type == TH_ITEM_JOB && in.job == &heard.job);
    th_process_submit(a, &unheard.job);
    th_stage_end(&stage, a, TH_OK);
    T_EQ(heard.runs, 1);
    T_EQ(heard.drops, 0);
    T_EQ(unheard.runs, 1);
    T_EQ(unheard.drops, 1);
    strike();
}
