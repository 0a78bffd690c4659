#include "core/life.h"

/*
 * The tables are complete: each case has its row, at the place that its fields say, and
 * the rows name their fields so that a row that is out of place cannot go unseen.
 */

#define ENDS 4
#define NODES 3
#define RECORDS 4

#define ROW(on_exit, end, node, act, revokes)                                          \
    [TH_ON_EXIT_##on_exit][TH_END_##end][TH_LIFE_##node] = {TH_ON_EXIT_##on_exit,      \
                                                            TH_END_##end,              \
                                                            TH_LIFE_##node,            \
                                                            TH_LIFE_##act, revokes}

/* clang-format off */
static const th_life_row after[TH_ON_EXIT_KINDS][ENDS][NODES] = {
    /*  on exit   end     node      then        revokes */
    ROW(NONE,     RETURN, BOOTING,  FORGET,     true),
    ROW(NONE,     RETURN, RUNNING,  FORGET,     true),
    ROW(NONE,     RETURN, STOPPING, FORGET,     true),
    ROW(NONE,     CRASH,  BOOTING,  FORGET,     true),
    ROW(NONE,     CRASH,  RUNNING,  FORGET,     true),
    ROW(NONE,     CRASH,  STOPPING, FORGET,     true),
    ROW(NONE,     KILL,   BOOTING,  FORGET,     true),
    ROW(NONE,     KILL,   RUNNING,  FORGET,     true),
    ROW(NONE,     KILL,   STOPPING, FORGET,     true),
    ROW(NONE,     STOP,   BOOTING,  FORGET,     true),
    ROW(NONE,     STOP,   RUNNING,  FORGET,     true),
    ROW(NONE,     STOP,   STOPPING, FORGET,     true),

    ROW(RESTART,  RETURN, BOOTING,  RESTART,    false),
    ROW(RESTART,  RETURN, RUNNING,  RESTART,    false),
    ROW(RESTART,  RETURN, STOPPING, KEEP,       false),
    ROW(RESTART,  CRASH,  BOOTING,  RESTART,    false),
    ROW(RESTART,  CRASH,  RUNNING,  RESTART,    false),
    ROW(RESTART,  CRASH,  STOPPING, KEEP,       false),
    ROW(RESTART,  KILL,   BOOTING,  FORGET,     true),
    ROW(RESTART,  KILL,   RUNNING,  FORGET,     true),
    ROW(RESTART,  KILL,   STOPPING, FORGET,     true),
    ROW(RESTART,  STOP,   BOOTING,  KEEP,       false),
    ROW(RESTART,  STOP,   RUNNING,  KEEP,       false),
    ROW(RESTART,  STOP,   STOPPING, KEEP,       false),

    ROW(REQUESTS, RETURN, BOOTING,  FIRE_LATER, true),
    ROW(REQUESTS, RETURN, RUNNING,  FIRE,       true),
    ROW(REQUESTS, RETURN, STOPPING, KEEP,       false),
    ROW(REQUESTS, CRASH,  BOOTING,  FIRE_LATER, true),
    ROW(REQUESTS, CRASH,  RUNNING,  FIRE,       true),
    ROW(REQUESTS, CRASH,  STOPPING, KEEP,       false),
    ROW(REQUESTS, KILL,   BOOTING,  FIRE_LATER, true),
    ROW(REQUESTS, KILL,   RUNNING,  FIRE,       true),
    ROW(REQUESTS, KILL,   STOPPING, KEEP,       false),
    ROW(REQUESTS, STOP,   BOOTING,  KEEP,       false),
    ROW(REQUESTS, STOP,   RUNNING,  KEEP,       false),
    ROW(REQUESTS, STOP,   STOPPING, KEEP,       false),
};
/* clang-format on */

const th_life_row *th_life_after(th_on_exit_kind on_exit, th_end end, th_life_node node)
{
    return &after[on_exit][end][node];
}

/* --- At boot ---------------------------------------------------------------------- */

#define BOOT(on_exit, record, act, revokes)                                            \
    [TH_ON_EXIT_##on_exit][TH_LIFE_##record] = {TH_ON_EXIT_##on_exit,                  \
                                                TH_LIFE_##record, TH_BOOT_##act,       \
                                                revokes}

/* clang-format off */
static const th_boot_row at_boot[TH_ON_EXIT_KINDS][RECORDS] = {
    BOOT(NONE, ALIVE, FORGET, true),     BOOT(NONE, BACKING_OFF, FORGET, true),
    BOOT(NONE, KILLED, FORGET, true),    BOOT(NONE, FIRING, FORGET, true),

    BOOT(RESTART, ALIVE, START, false),  BOOT(RESTART, BACKING_OFF, START, false),
    BOOT(RESTART, KILLED, FORGET, true), BOOT(RESTART, FIRING, FORGET, true),

    BOOT(REQUESTS, ALIVE, FIRE, true),   BOOT(REQUESTS, BACKING_OFF, FIRE, true),
    BOOT(REQUESTS, KILLED, FIRE, true),  BOOT(REQUESTS, FIRING, FIRE, true),
};
/* clang-format on */

const th_boot_row *th_life_at_boot(th_on_exit_kind on_exit, th_life_record record)
{
    return &at_boot[on_exit][record];
}

/* --- Back-off --------------------------------------------------------------------- */

uint32_t th_backoff_healthy_ms(const th_backoff *backoff)
{
    uint32_t delay_ms =
        backoff->delay_ms < TH_BACKOFF_MOST_MS ? backoff->delay_ms : TH_BACKOFF_MOST_MS;

    return delay_ms * 5 > TH_BACKOFF_HEALTHY_LEAST_MS ? delay_ms * 5
                                                      : TH_BACKOFF_HEALTHY_LEAST_MS;
}

uint32_t th_backoff_next(th_backoff *backoff, uint64_t ran_ms)
{
    if (backoff->restarts == 0 || ran_ms >= th_backoff_healthy_ms(backoff)) {
        *backoff = (th_backoff){.restarts = 1};
    } else if (backoff->delay_ms == 0) {
        backoff->restarts++;
        backoff->delay_ms = TH_BACKOFF_FIRST_MS;
    } else {
        backoff->restarts += backoff->restarts < UINT32_MAX;
        backoff->delay_ms = backoff->delay_ms < TH_BACKOFF_MOST_MS / 2
                                ? backoff->delay_ms * 2
                                : TH_BACKOFF_MOST_MS;
    }
    return backoff->delay_ms;
}
