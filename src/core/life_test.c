#include "core/life.h"

#include "base/test.h"

/* --- After an end: each row, by its sentence ---------------------------------------- */

static void expect(th_on_exit_kind on_exit, th_end end, th_life_node node,
                   th_life_act act, bool revokes)
{
    const th_life_row *row = th_life_after(on_exit, end, node);

    T_EQ(row->on_exit, on_exit);
    T_EQ(row->end, end);
    T_EQ(row->node, node);
    T_EQ(row->act, act);
    T_EQ(row->revokes, revokes);
}

#define HOLDS(sentence, on_exit, end, node, act, revokes)                              \
    TEST(life, sentence)                                                               \
    {                                                                                  \
        expect(TH_ON_EXIT_##on_exit, TH_END_##end, TH_LIFE_##node, TH_LIFE_##act,      \
               revokes);                                                               \
    }

/* clang-format off */
HOLDS(a_none_that_returns_during_boot_is_forgotten_and_its_capabilities_revoked,
      NONE, RETURN, BOOTING, FORGET, true)
HOLDS(a_none_that_returns_is_forgotten_and_its_capabilities_revoked,
      NONE, RETURN, RUNNING, FORGET, true)
HOLDS(a_none_that_returns_during_the_stop_is_forgotten_and_its_capabilities_revoked,
      NONE, RETURN, STOPPING, FORGET, true)
HOLDS(a_none_that_crashes_during_boot_is_forgotten_and_its_capabilities_revoked,
      NONE, CRASH, BOOTING, FORGET, true)
HOLDS(a_none_that_crashes_is_forgotten_and_its_capabilities_revoked,
      NONE, CRASH, RUNNING, FORGET, true)
HOLDS(a_none_that_crashes_during_the_stop_is_forgotten_and_its_capabilities_revoked,
      NONE, CRASH, STOPPING, FORGET, true)
HOLDS(a_none_that_is_killed_during_boot_is_forgotten_and_its_capabilities_revoked,
      NONE, KILL, BOOTING, FORGET, true)
HOLDS(a_none_that_is_killed_is_forgotten_and_its_capabilities_revoked,
      NONE, KILL, RUNNING, FORGET, true)
HOLDS(a_none_that_is_killed_during_the_stop_is_forgotten_and_its_capabilities_revoked,
      NONE, KILL, STOPPING, FORGET, true)
HOLDS(a_none_is_forgotten_when_the_node_crashes_during_boot,
      NONE, STOP, BOOTING, FORGET, true)
HOLDS(a_none_is_forgotten_when_the_node_crashes, NONE, STOP, RUNNING, FORGET, true)
HOLDS(a_none_is_forgotten_when_the_node_stops, NONE, STOP, STOPPING, FORGET, true)

HOLDS(a_restart_that_returns_during_boot_is_restarted_with_its_capabilities,
      RESTART, RETURN, BOOTING, RESTART, false)
HOLDS(a_restart_that_returns_is_restarted_with_its_capabilities,
      RESTART, RETURN, RUNNING, RESTART, false)
HOLDS(a_restart_that_returns_during_the_stop_starts_at_the_next_boot,
      RESTART, RETURN, STOPPING, KEEP, false)
HOLDS(a_restart_that_crashes_during_boot_is_restarted_with_its_capabilities,
      RESTART, CRASH, BOOTING, RESTART, false)
HOLDS(a_restart_that_crashes_is_restarted_with_its_capabilities,
      RESTART, CRASH, RUNNING, RESTART, false)
HOLDS(a_restart_that_crashes_during_the_stop_starts_at_the_next_boot,
      RESTART, CRASH, STOPPING, KEEP, false)
HOLDS(a_restart_that_is_killed_during_boot_is_forgotten_as_a_none_would_be,
      RESTART, KILL, BOOTING, FORGET, true)
HOLDS(a_restart_that_is_killed_is_forgotten_as_a_none_would_be,
      RESTART, KILL, RUNNING, FORGET, true)
HOLDS(a_restart_that_is_killed_during_the_stop_is_forgotten_as_a_none_would_be,
      RESTART, KILL, STOPPING, FORGET, true)
HOLDS(a_restart_is_kept_when_the_node_crashes_during_boot,
      RESTART, STOP, BOOTING, KEEP, false)
HOLDS(a_restart_is_kept_when_the_node_crashes, RESTART, STOP, RUNNING, KEEP, false)
HOLDS(a_restart_is_kept_when_the_node_stops, RESTART, STOP, STOPPING, KEEP, false)

HOLDS(requests_of_one_that_returns_during_boot_are_fired_after_it,
      REQUESTS, RETURN, BOOTING, FIRE_LATER, true)
HOLDS(requests_of_one_that_returns_are_fired_then_its_capabilities_revoked,
      REQUESTS, RETURN, RUNNING, FIRE, true)
HOLDS(requests_of_one_that_returns_during_the_stop_are_kept_for_the_next_boot,
      REQUESTS, RETURN, STOPPING, KEEP, false)
HOLDS(requests_of_one_that_crashes_during_boot_are_fired_after_it,
      REQUESTS, CRASH, BOOTING, FIRE_LATER, true)
HOLDS(requests_of_one_that_crashes_are_fired_then_its_capabilities_revoked,
      REQUESTS, CRASH, RUNNING, FIRE, true)
HOLDS(requests_of_one_that_crashes_during_the_stop_are_kept_for_the_next_boot,
      REQUESTS, CRASH, STOPPING, KEEP, false)
HOLDS(requests_of_one_that_is_killed_during_boot_are_fired_after_it,
      REQUESTS, KILL, BOOTING, FIRE_LATER, true)
HOLDS(requests_of_one_that_is_killed_are_fired_then_its_capabilities_revoked,
      REQUESTS, KILL, RUNNING, FIRE, true)
HOLDS(requests_of_one_that_is_killed_during_the_stop_are_kept_for_the_next_boot,
      REQUESTS, KILL, STOPPING, KEEP, false)
HOLDS(requests_are_kept_when_the_node_crashes_during_boot,
      REQUESTS, STOP, BOOTING, KEEP, false)
HOLDS(requests_are_kept_when_the_node_crashes, REQUESTS, STOP, RUNNING, KEEP, false)
HOLDS(requests_are_kept_when_the_node_stops, REQUESTS, STOP, STOPPING, KEEP, false)
/* clang-format on */

/* --- At boot -------------------------------------------------------------------------- */

static void expect_boot(th_on_exit_kind on_exit, th_life_record record, th_boot_act act,
                        bool revokes)
{
    const th_boot_row *row = th_life_at_boot(on_exit, record);

    T_EQ(row->on_exit, on_exit);
    T_EQ(row->record, record);
    T_EQ(row->act, act);
    T_EQ(row->revokes, revokes);
}

#define BOOTS(sentence, on_exit, record, act, revokes)                                 \
    TEST(life, sentence)                                                               \
    {                                                                                  \
        expect_boot(TH_ON_EXIT_##on_exit, TH_LIFE_##record, TH_BOOT_##act, revokes);   \
    }

/* clang-format off */
BOOTS(a_none_that_was_alive_does_not_start_at_boot, NONE, ALIVE, FORGET, true)
BOOTS(what_became_a_none_while_it_backed_off_does_not_start_at_boot,
      NONE, BACKING_OFF, FORGET, true)
BOOTS(a_none_that_was_killed_does_not_start_at_boot, NONE, KILLED, FORGET, true)
BOOTS(a_none_has_nothing_to_fire_at_boot, NONE, FIRING, FORGET, true)
BOOTS(a_restart_that_was_alive_starts_at_boot, RESTART, ALIVE, START, false)
BOOTS(a_restart_that_backed_off_starts_at_boot, RESTART, BACKING_OFF, START, false)
BOOTS(a_restart_that_was_killed_does_not_start_at_boot, RESTART, KILLED, FORGET, true)
BOOTS(a_restart_has_nothing_to_fire_at_boot, RESTART, FIRING, FORGET, true)
BOOTS(requests_of_one_that_was_alive_are_fired_at_boot, REQUESTS, ALIVE, FIRE, true)
BOOTS(requests_of_one_that_backed_off_are_fired_at_boot,
      REQUESTS, BACKING_OFF, FIRE, true)
BOOTS(requests_of_one_that_was_killed_are_fired_at_boot, REQUESTS, KILLED, FIRE, true)
BOOTS(requests_that_were_being_fired_are_fired_again_at_boot,
      REQUESTS, FIRING, FIRE, true)
/* clang-format on */

/* What is kept over the end of the node is what the boot does something with. */
TEST(life, what_is_kept_is_started_or_fired_at_the_next_boot)
{
    for (int on_exit = 0; on_exit < TH_ON_EXIT_KINDS; on_exit++) {
        for (int end = TH_END_RETURN; end <= TH_END_STOP; end++) {
            const th_life_row *row =
                th_life_after((th_on_exit_kind)on_exit, (th_end)end, TH_LIFE_STOPPING);
            const th_boot_row *boot =
                th_life_at_boot((th_on_exit_kind)on_exit, TH_LIFE_ALIVE);

            if (row->act == TH_LIFE_KEEP) {
                T_NE(boot->act, TH_BOOT_FORGET);
            } else {
                T_EQ(row->act, TH_LIFE_FORGET);
            }
        }
    }
}

/* --- Back-off --------------------------------------------------------------------------- */

TEST(life, the_first_restart_is_immediate)
{
    th_backoff backoff = {0};

    T_EQ(th_backoff_next(&backoff, 0), 0);
    T_EQ(backoff.restarts, 1);
    T_EQ(backoff.delay_ms, 0);
}

TEST(life, restarts_wait_one_second_and_twice_as_long_each_time_up_to_ten_minutes)
{
    static const uint32_t delays_ms[] = {0,      1000,   2000,   4000,   8000,
                                         16000,  32000,  64000,  128000, 256000,
                                         512000, 600000, 600000, 600000};
    th_backoff backoff = {0};

    for (size_t i = 0; i < sizeof delays_ms / sizeof delays_ms[0]; i++) {
        T_EQ(th_backoff_next(&backoff, 4999), delays_ms[i]);
        T_EQ(backoff.restarts, i + 1);
    }
}

TEST(life, a_run_is_healthy_after_five_times_the_last_delay_at_least_five_seconds)
{
    static const uint32_t rows[][2] = {{0, 5000},         {1000, 5000},
                                       {2000, 10000},     {64000, 320000},
                                       {600000, 3000000}, {UINT32_MAX, 3000000}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_backoff backoff = {3, rows[i][0]};

        T_EQ(th_backoff_healthy_ms(&backoff), rows[i][1]);
    }
}

TEST(life, a_restart_after_a_healthy_run_is_immediate)
{
    th_backoff backoff = {9, 128000};
    th_backoff almost = backoff;

    T_EQ(th_backoff_next(&backoff, 640000), 0);
    T_EQ(backoff.restarts, 1);
    T_EQ(th_backoff_next(&backoff, 4999), 1000);
    T_EQ(th_backoff_next(&almost, 639999), 256000);
    T_EQ(almost.restarts, 10);
}

TEST(life, restarts_go_on_for_ever)
{
    th_backoff backoff = {UINT32_MAX, TH_BACKOFF_MOST_MS};

    T_EQ(th_backoff_next(&backoff, 0), TH_BACKOFF_MOST_MS);
    T_EQ(backoff.restarts, UINT32_MAX);
}

TEST(life, a_stored_back_off_out_of_bounds_does_no_harm)
{
    th_backoff backoff = {7, UINT32_MAX};

    T_EQ(th_backoff_next(&backoff, 0), TH_BACKOFF_MOST_MS);
    T_EQ(th_backoff_next(&backoff, UINT64_MAX), 0);
}
