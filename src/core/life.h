/*
 * Life: what follows when a process ends, and what becomes of its record at the next
 * boot, as two tables (text 002, DESIGN 4.6); and how long a restart waits.
 *
 *                  return, crash      kill          the node stops or crashes
 *   None           forget             forget        forget
 *   Restart        restart            forget        keep, start at the next boot
 *   Requests       fire               fire          keep, fire at the next boot
 *
 * While the node boots, requests wait until all Restart processes run; while it stops,
 * what should be restarted or fired is kept for the next boot.
 *
 * Pure. Thread: any.
 */
#ifndef TH_CORE_LIFE_H
#define TH_CORE_LIFE_H

#include "core/exit.h"
#include "core/on_exit.h"

typedef enum th_life_node {
    TH_LIFE_BOOTING, /* until all Restart processes run */
    TH_LIFE_RUNNING,
    TH_LIFE_STOPPING, /* from the first word of it */
} th_life_node;

typedef enum th_life_act {
    TH_LIFE_FORGET,     /* its record goes, durably */
    TH_LIFE_RESTART,    /* again, after th_backoff_next; its record stays */
    TH_LIFE_FIRE,       /* its record says FIRING; send the requests; then forget */
    TH_LIFE_FIRE_LATER, /* its record says FIRING; all else when the boot is done */
    TH_LIFE_KEEP,       /* its record stays, or says FIRING, for the next boot */
} th_life_act;

typedef struct th_life_row {
    th_on_exit_kind on_exit;
    th_end end; /* of STOP, BOOTING and RUNNING are a crash of the node */
    th_life_node node;
    th_life_act act;
    bool revokes; /* what it issued, when @act is done: after the firing */
} th_life_row;

/* The row; there is one for each. */
const th_life_row *th_life_after(th_on_exit_kind on_exit, th_end end,
                                 th_life_node node);

/* --- At boot ---------------------------------------------------------------------- */

/* What the durable record of a process says. */
typedef enum th_life_record {
    TH_LIFE_ALIVE,       /* it ran when the node ended */
    TH_LIFE_BACKING_OFF, /* it was about to be restarted */
    TH_LIFE_KILLED,      /* and nothing of that was done yet */
    TH_LIFE_FIRING,      /* its requests may be sent, or not, or in part */
} th_life_record;

typedef enum th_boot_act {
    TH_BOOT_START, /* at once; its back-off goes on where it was */
    TH_BOOT_FIRE,  /* once all that START run; then forget; it does not start */
    TH_BOOT_FORGET,
} th_boot_act;

typedef struct th_boot_row {
    th_on_exit_kind on_exit;
    th_life_record record;
    th_boot_act act;
    bool revokes; /* when @act is done */
} th_boot_row;

const th_boot_row *th_life_at_boot(th_on_exit_kind on_exit, th_life_record record);

/* --- Back-off --------------------------------------------------------------------- */

/*
 * How long a restart waits: not at all the first time and after a healthy run, then
 * 1 s, twice as long each time up to 10 min, for ever. A run is healthy when it lasted
 * 5 times the last delay, at least 5 s (and so at most 50 min).
 *
 * Two numbers, zero at first, that are stored with the process's record.
 */
typedef struct th_backoff {
    uint32_t restarts; /* since the last healthy run */
    uint32_t delay_ms; /* of the last one */
} th_backoff;

#define TH_BACKOFF_FIRST_MS 1000u
#define TH_BACKOFF_MOST_MS 600000u
#define TH_BACKOFF_HEALTHY_LEAST_MS 5000u

/* The process ended after @ran_ms: the delay of its next start, which is noted. */
uint32_t th_backoff_next(th_backoff *backoff, uint64_t ran_ms);

/* How long it must run to be healthy. */
uint32_t th_backoff_healthy_ms(const th_backoff *backoff);

#endif
