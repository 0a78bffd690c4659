#include "base/mem.h"
#include "base/test.h"
#include "kernel/checkpoint.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * Slices: that a process is left in its midst and goes on there, that a killed one
 * never does, and that all have their turn.
 */

static th_stage stage;
static int progress[3];
static int drops;

static th_puppet cast[3];

static int number_of(const th_process *self)
{
    return (int)(((th_puppet *)th_process_ident(self)->entry->program) - cast);
}

static th_err start(th_process *self, th_buf *why)
{
    (void)self;
    (void)why;
    return TH_OK;
}

static void drop(th_process *self)
{
    (void)self;
    drops++;
}

/* Deep down, and for ever. */
__attribute__((noinline)) static void loop_deep(int n, int *counter, int depth)
{
    volatile char frame[200];

    frame[0] = (char)depth;
    if (depth > 0) {
        loop_deep(n, counter, depth - 1);
        return;
    }
    while (n < 0 || *counter < n) {
        (*counter)++;
        th_checkpoint();
    }
    T_EQ(frame[0], 0);
}

static th_run loops(th_process *self)
{
    loop_deep(-1, &progress[number_of(self)], 50);
    return TH_RUN_ENDED;
}

static th_run counts(th_process *self)
{
    loop_deep(50000, &progress[number_of(self)], 50);
    th_process_end(self, th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return TH_RUN_ENDED;
}

static const th_guest looping = {.name = "loops",
                                 .parks = true,
                                 .start = start,
                                 .run = loops,
                                 .drop = drop};
static const th_guest counting = {.name = "counts",
                                  .parks = true,
                                  .start = start,
                                  .run = counts,
                                  .drop = drop};

static void set(const th_guest *guest, unsigned shards)
{
    static const char *const ids[] = {"test:0", "test:1", "test:2"};

    th_stage_set(&stage, 1, shards);
    memset(progress, 0, sizeof progress);
    drops = 0;
    for (int i = 0; i < 3; i++) {
        th_puppet_cast(&stage, &cast[i], ids[i], NULL);
        cast[i].entry.guest = guest;
    }
}

TEST(preempt, endless_loops_all_have_their_turns_and_end_when_they_are_killed)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        th_pid pids[3];

        set(&looping, shards);
        for (int i = 0; i < 3; i++) {
            pids[i] = th_puppet_spawn(&stage, &cast[i]);
        }
        for (int i = 0; i < 300; i++) {
            T_TRUE(th_kernel_step(stage.kernel));
        }
        for (int i = 0; i < 3; i++) {
            T_TRUE(progress[i] > 10000);
            T_EQ(th_kernel_kill(stage.kernel, pids[i], TH_SLICE("enough")), TH_OK);
        }
        th_stage_run(&stage);
        T_EQ(drops, 3);
        T_EQ(th_kernel_count(stage.kernel), 0);
        th_stage_strike(&stage);
    }
}

TEST(preempt, a_loop_that_is_left_goes_on_where_it_was)
{
    set(&counting, 2);
    for (int i = 0; i < 3; i++) {
        th_puppet_spawn(&stage, &cast[i]);
    }
    th_stage_run(&stage);
    for (int i = 0; i < 3; i++) {
        T_EQ(progress[i], 50000);
    }
    T_EQ(drops, 3);
    th_stage_strike(&stage);
}

TEST(preempt, a_killed_loop_does_not_go_round_once_more)
{
    th_pid pid;
    int before;

    set(&looping, 1);
    pid = th_puppet_spawn(&stage, &cast[0]);
    for (int i = 0; i < 10; i++) {
        th_kernel_step(stage.kernel);
    }
    before = progress[0];
    th_kernel_kill(stage.kernel, pid, TH_SLICE("now"));
    th_stage_run(&stage);
    T_EQ(progress[0], before);
    th_stage_strike(&stage);
}

TEST(preempt, where_no_stack_is_left_a_busy_process_ends_and_says_why)
{
    set(&looping, 1);
    th_puppet_spawn(&stage, &cast[0]);
    th_kernel_step(stage.kernel);
    stage.kernel->shards[0].stacks.made_max = stage.kernel->shards[0].stacks.made + 1;
    th_puppet_spawn(&stage, &cast[1]);
    th_puppet_spawn(&stage, &cast[2]);
    for (int i = 0; i < 100 && stage.ended.bytes == 0; i++) {
        th_kernel_step(stage.kernel);
    }
    T_NOT_NULL(strstr(th_buf_text(&stage.ended), "overloaded it ran on while as many"));
    T_TRUE(th_kernel_count(stage.kernel) > 0);
    th_stage_strike(&stage);
}

/* --- What a guest's slice begins and ends with --------------------------------------- */

static th_run sleeps(th_process *self, th_puppet *puppet)
{
    (void)self;
    puppet->n++;
    return TH_RUN_ASLEEP;
}

static th_run waits(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    puppet->n++;
    while (th_process_next(self, &in)) {
        th_msg_unref(in.msg);
    }
    return TH_RUN_BLOCKED;
}

TEST(preempt, who_sleeps_is_woken_by_a_poke_alone_and_who_waits_by_items_too)
{
    for (int blocked = 0; blocked < 2; blocked++) {
        th_process *self;
        th_puppet puppet;
        th_pid pid;

        th_stage_set(&stage, 1, 1);
        th_puppet_cast(&stage, &puppet, "test:a", blocked ? waits : sleeps);
        pid = th_puppet_spawn(&stage, &puppet);
        th_stage_run(&stage);
        T_EQ(puppet.n, 1);
        th_kernel_poke(stage.kernel, pid);
        th_stage_run(&stage);
        T_EQ(puppet.n, 2);
        th_stage_enter(&stage, 0);
        self = th_table_find(stage.kernel, pid);
        T_EQ(th_process_send(self, pid, th_stage_msg(TH_MSG_SEND, "x")), TH_OK);
        th_stage_leave(&stage);
        th_stage_run(&stage);
        T_EQ(th_process_has_next(self), !blocked);
        th_stage_strike(&stage);
    }
}

static th_err refuses(th_process *self, th_buf *why)
{
    (void)self;
    th_buf_puts(why, "file.lua:3: no such thing");
    return TH_INVALID;
}

TEST(preempt, a_guest_that_cannot_start_ends_with_its_reason_and_is_dropped)
{
    static const th_guest refusing = {
        .name = "refuses", .parks = true, .start = refuses, .run = loops, .drop = drop};

    set(&refusing, 1);
    th_puppet_spawn(&stage, &cast[0]);
    th_stage_run(&stage);
    T_STR(th_buf_text(&stage.ended), "test:0 invalid file.lua:3: no such thing\n");
    T_EQ(drops, 1);
    th_stage_strike(&stage);
}
