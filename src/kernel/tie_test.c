#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * Links and monitors, in the orders in which two ends can speak past one another.
 */

static th_stage stage;
static th_puppet a_cast, b_cast, c_cast;
static th_process *a, *b;

static void set(void)
{
    th_stage_set(&stage, 1, 2);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    th_stage_enter(&stage, 0);
}

/* Everybody ends, and no tie is left. */
static void strike(void)
{
    th_stage_leave(&stage);
    for (uint32_t slot = 1; slot < 10; slot++) {
        th_kernel_kill(stage.kernel, th_pid_make(slot, 1), TH_SLICE(""));
    }
    th_stage_run(&stage);
    T_EQ(th_kernel_count(stage.kernel), 0);
    T_EQ(th_budget_bytes(stage.kernel), 0);
    th_stage_strike(&stage);
}

static void check_event(th_process *self, th_event_kind kind, const th_ident *from,
                        th_err reason)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_EVENT);
    T_EQ(in.event->kind, kind);
    T_TRUE(th_pid_eq(in.event->from.pid, from->pid));
    T_EQ(in.event->reason, reason);
}

static void check_nothing(th_process *self)
{
    th_delivery in;

    T_FALSE(th_process_next(self, &in));
}

/* --- Monitors ------------------------------------------------------------------------ */

TEST(tie, a_monitor_speaks_once_whether_or_not_it_was_heard_of_before)
{
    for (int heard = 0; heard < 2; heard++) {
        th_ident gone;

        set();
        gone = b->ident;
        T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
        T_EQ(th_process_monitor(a, b->ident.pid), TH_EXISTS);
        if (heard) {
            check_nothing(b);
        }
        th_stage_end(&stage, b, TH_FAILED);
        check_event(a, TH_EVENT_EXIT, &gone, TH_FAILED);
        check_nothing(a);
        T_EQ(th_process_monitor(a, gone.pid), TH_NOT_FOUND);
        T_EQ(a->ties_count, 0);
        strike();
    }
}

TEST(tie, a_monitor_that_was_taken_back_is_silent_and_may_be_set_again)
{
    for (int heard = 0; heard < 2; heard++) {
        th_ident gone;

        set();
        gone = b->ident;
        T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
        if (heard) {
            check_nothing(b);
        }
        T_EQ(th_process_unmonitor(a, b->ident.pid), TH_OK);
        T_EQ(th_process_unmonitor(a, b->ident.pid), TH_OK);
        T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
        check_nothing(b);
        th_stage_end(&stage, b, TH_OK);
        check_event(a, TH_EVENT_EXIT, &gone, TH_OK);
        check_nothing(a);
        strike();
    }
}

TEST(tie, a_monitor_taken_back_after_the_end_is_too_late)
{
    th_ident gone;

    set();
    gone = b->ident;
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    th_stage_end(&stage, b, TH_OK);
    T_EQ(th_process_unmonitor(a, gone.pid), TH_OK);
    check_event(a, TH_EVENT_EXIT, &gone, TH_OK);
    check_nothing(a);
    strike();
}

TEST(tie, a_watcher_that_ends_leaves_nothing_with_whom_it_watched)
{
    for (int heard = 0; heard < 2; heard++) {
        set();
        T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
        if (heard) {
            check_nothing(b);
        }
        th_stage_end(&stage, a, TH_OK);
        check_nothing(b);
        T_TRUE(th_list_is_empty(&b->ties));
        strike();
    }
}

TEST(tie, who_is_watched_by_many_may_still_watch)
{
    set();
    b_cast.entry.limits.ties_max = 1;
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    check_nothing(b);
    T_EQ(b->ties_count, 0);
    T_EQ(th_process_monitor(b, a->ident.pid), TH_OK);
    T_EQ(th_process_monitor(b, b->ident.pid), TH_QUOTA);
    T_EQ(th_process_link(b, a->ident.pid), TH_QUOTA);
    strike();
}

TEST(tie, a_process_may_watch_itself_in_vain)
{
    set();
    T_EQ(th_process_monitor(a, a->ident.pid), TH_OK);
    check_nothing(a);
    T_EQ(th_process_link(a, a->ident.pid), TH_OK);
    th_stage_end(&stage, a, TH_FAILED);
    strike();
}

/* --- Links --------------------------------------------------------------------------- */

TEST(tie, a_link_that_fails_kills_the_other_end_or_tells_it)
{
    for (int variant = 0; variant < 8; variant++) {
        bool traps = (variant & 1) != 0, heard = (variant & 2) != 0;
        bool from_target = (variant & 4) != 0;
        th_process *ends, *stays;
        th_ident gone;

        set();
        ends = from_target ? b : a;
        stays = from_target ? a : b;
        gone = ends->ident;
        th_process_set_traps_links(stays, traps);
        T_EQ(th_process_link(a, b->ident.pid), TH_OK);
        T_EQ(th_process_link(a, b->ident.pid), TH_OK);
        if (heard) {
            check_nothing(b);
        }
        th_stage_end(&stage, ends, TH_FAILED);
        T_EQ(th_kernel_count(stage.kernel), traps ? 1 : 0);
        if (traps) {
            check_event(stays, TH_EVENT_LINK_DOWN, &gone, TH_FAILED);
            check_nothing(stays);
            T_TRUE(th_list_is_empty(&stays->ties));
        } else {
            T_NOT_NULL(strstr(th_buf_text(&stage.ended),
                              "linked_process_failed linked process failed: {local@"));
        }
        strike();
    }
}

TEST(tie, a_link_with_one_who_returns_just_goes)
{
    set();
    T_EQ(th_process_link(a, b->ident.pid), TH_OK);
    check_nothing(b);
    th_stage_end(&stage, b, TH_OK);
    check_nothing(a);
    T_TRUE(th_list_is_empty(&a->ties));
    T_EQ(th_kernel_count(stage.kernel), 1);
    strike();
}

TEST(tie, two_links_that_cross_are_one)
{
    for (int heard = 0; heard < 8; heard++) { /* by nobody, by one, by both; by whom */
        th_process *first;
        th_ident gone;

        set();
        first = a;
        if ((heard & 4) != 0) { /* the one that ends has the lower pid */
            a = b;
            b = first;
        }
        gone = b->ident;
        th_process_set_traps_links(a, true);
        T_EQ(th_process_link(a, b->ident.pid), TH_OK);
        T_EQ(th_process_link(b, a->ident.pid), TH_OK);
        if ((heard & 1) != 0) {
            check_nothing(a);
        }
        if ((heard & 2) != 0) {
            check_nothing(b);
        }
        th_stage_end(&stage, b, TH_FAILED);
        check_event(a, TH_EVENT_LINK_DOWN, &gone, TH_FAILED);
        check_nothing(a);
        T_TRUE(th_list_is_empty(&a->ties));
        strike();
    }
}

TEST(tie, a_link_that_was_undone_says_nothing)
{
    set();
    T_EQ(th_process_link(a, b->ident.pid), TH_OK);
    check_nothing(b);
    T_EQ(th_process_unlink(b, a->ident.pid), TH_OK);
    th_stage_end(&stage, a, TH_FAILED);
    T_EQ(th_kernel_count(stage.kernel), 1);
    check_nothing(b);
    strike();
}

TEST(tie, both_ends_hear_of_links_that_come_and_go_if_they_want_to)
{
    set();
    th_process_set_link_events(b, true);
    T_EQ(th_process_link(a, b->ident.pid), TH_OK);
    check_event(b, TH_EVENT_LINK_UP, &a->ident, TH_OK);
    T_EQ(th_process_unlink(a, b->ident.pid), TH_OK);
    check_event(b, TH_EVENT_LINK_GONE, &a->ident, TH_OK);
    check_nothing(b);
    strike();
}

/* --- Spawn --------------------------------------------------------------------------- */

static th_run ends_at_once(th_process *self, th_puppet *puppet)
{
    (void)puppet;
    th_process_end(self, th_exit_new(TH_END_CRASH, TH_FAILED, TH_SLICE("at once"),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return TH_RUN_ENDED;
}

TEST(tie, a_parent_misses_nothing_of_a_child_that_ends_in_its_first_slice)
{
    th_spawn spec = {.host = &stage.host, .monitored = true, .linked = true};
    th_auto_buf why = TH_BUF_INIT;
    th_ident child;

    set();
    th_puppet_cast(&stage, &c_cast, "test:c", ends_at_once);
    spec.entry = &c_cast.entry;
    th_process_set_traps_links(a, true);
    T_EQ(th_process_spawn(a, &spec, &child, &why), TH_OK);
    T_EQ(a->ties_count, 2);
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    check_event(a, TH_EVENT_EXIT, &child, TH_FAILED);
    check_event(a, TH_EVENT_LINK_DOWN, &child, TH_FAILED);
    check_nothing(a);
    strike();
}

TEST(tie, a_spawn_that_would_pass_the_bound_of_ties_leaves_nothing)
{
    th_spawn spec = {.host = &stage.host, .monitored = true, .linked = true};
    th_auto_buf why = TH_BUF_INIT;
    th_ident child;
    int64_t charged;

    set();
    charged = th_budget_bytes(stage.kernel);
    a_cast.entry.limits.ties_max = 1;
    spec.entry = &b_cast.entry;
    T_EQ(th_process_spawn(a, &spec, &child, &why), TH_QUOTA);
    T_EQ(a->ties_count, 0);
    T_EQ(th_kernel_count(stage.kernel), 2);
    T_EQ(th_budget_bytes(stage.kernel), charged);
    strike();
}

/* --- Memory -------------------------------------------------------------------------- */

TEST(tie, none_is_made_when_memory_runs_out)
{
    set();
    th_mem_fail_after(0);
    T_EQ(th_process_monitor(a, b->ident.pid), TH_QUOTA);
    T_EQ(th_process_link(a, b->ident.pid), TH_QUOTA);
    th_mem_fail_never();
    T_EQ(a->ties_count, 0);
    check_nothing(b);
    strike();
}
