/*
 * Timer wheel: many timers, each set and taken out in constant time.
 *
 * Eight levels of 64 slots, more than 63 bits of nanoseconds need. A timer stands in the
 * level of the highest digit (base 64) in which its tick differs from the wheel's, so
 * the lowest occupied slot of the lowest occupied level is always the next one: no
 * search, no sorting. A tick is 2^18 ns, about a quarter of a millisecond; a timer never
 * fires early.
 *
 * Thread: the shard's.
 */
#ifndef TH_BASE_WHEEL_H
#define TH_BASE_WHEEL_H

#include "base/list.h"

#include <stdint.h>

#define TH_WHEEL_LEVELS 8
#define TH_WHEEL_SLOTS 64
#define TH_WHEEL_TICK_SHIFT 18

typedef struct th_timer {
    th_list link;      /* in its slot */
    uint64_t due_tick; /* fires at the first tick that is not below it */
} th_timer;

typedef struct th_wheel {
    uint64_t tick;                      /* all timers below it have fired */
    uint64_t occupied[TH_WHEEL_LEVELS]; /* a bit for each slot that may hold some */
    th_list slots[TH_WHEEL_LEVELS][TH_WHEEL_SLOTS];
} th_wheel;

void th_wheel_init(th_wheel *wheel, int64_t now_ns);

/* @due_ns may lie in the past: it then fires at the next advance. */
void th_wheel_add(th_wheel *wheel, th_timer *timer, int64_t due_ns);

/* Take out a timer that was added and did not fire. */
void th_wheel_remove(th_timer *timer);

/* Move on to @now_ns and put what is due behind @expired, in order of its ticks. */
void th_wheel_advance(th_wheel *wheel, int64_t now_ns, th_list *expired);

/* No timer fires before this time; 0: there is none. */
int64_t th_wheel_next(th_wheel *wheel);

#endif
