#include "base/wheel.h"

#define DIGIT_BITS 6
#define TICK_MAX ((uint64_t)INT64_MAX >> TH_WHEEL_TICK_SHIFT) /* the last with a time */

typedef struct wheel_place {
    unsigned level;
    unsigned slot;
    uint64_t tick; /* when the slot begins */
} wheel_place;

void th_wheel_init(th_wheel *wheel, int64_t now_ns)
{
    wheel->tick = (uint64_t)now_ns >> TH_WHEEL_TICK_SHIFT;
    for (unsigned level = 0; level < TH_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < TH_WHEEL_SLOTS; slot++) {
            th_list_init(&wheel->slots[level][slot]);
        }
    }
}

static void put(th_wheel *wheel, th_timer *timer)
{
    uint64_t differs = timer->due_tick ^ wheel->tick;
    unsigned level = 0;
    unsigned slot;

    if (differs != 0) {
        level = (63u - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
    }
    slot = (unsigned)(timer->due_tick >> (DIGIT_BITS * level)) % TH_WHEEL_SLOTS;
    th_list_push(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void th_wheel_add(th_wheel *wheel, th_timer *timer, int64_t due_ns)
{
    uint64_t round_up = (UINT64_C(1) << TH_WHEEL_TICK_SHIFT) - 1;
    uint64_t due =
        due_ns <= 0 ? 0 : ((uint64_t)due_ns + round_up) >> TH_WHEEL_TICK_SHIFT;

    if (due > TICK_MAX) {
        due = TICK_MAX;
    }
    if (due < wheel->tick) {
        due = wheel->tick;
    }
    timer->due_tick = due;
    put(wheel, timer);
}

void th_wheel_remove(th_timer *timer)
{
    th_list_remove(&timer->link);
}

/* The slot that comes next. Bits of slots that removals emptied are cleared here. */
static bool find_next(th_wheel *wheel, wheel_place *out)
{
    for (unsigned level = 0; level < TH_WHEEL_LEVELS; level++) {
        while (wheel->occupied[level] != 0) {
            unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
            unsigned shift = DIGIT_BITS * level;

            if (th_list_is_empty(&wheel->slots[level][slot])) {
                wheel->occupied[level] &= wheel->occupied[level] - 1;
                continue;
            }
            out->level = level;
            out->slot = slot;
            out->tick = (wheel->tick >> shift >> DIGIT_BITS << DIGIT_BITS | slot)
                        << shift;
            return true;
        }
    }
    return false;
}

void th_wheel_advance(th_wheel *wheel, int64_t now_ns, th_list *expired)
{
    uint64_t to = (uint64_t)now_ns >> TH_WHEEL_TICK_SHIFT;
    wheel_place next;

    while (find_next(wheel, &next) && next.tick <= to) {
        th_list *slot = &wheel->slots[next.level][next.slot];
        th_list *node;

        if (next.tick > wheel->tick) {
            wheel->tick = next.tick;
        }
        wheel->occupied[next.level] &= ~(UINT64_C(1) << next.slot);
        while ((node = th_list_pop(slot)) != NULL) {
            th_timer *timer = th_container_of(node, th_timer, link);

            if (timer->due_tick <= wheel->tick) {
                th_list_push(expired, &timer->link);
            } else {
                put(wheel, timer);
            }
        }
    }
    if (to > wheel->tick) {
        wheel->tick = to;
    }
}

int64_t th_wheel_next(th_wheel *wheel)
{
    wheel_place next;

    if (!find_next(wheel, &next)) {
        return 0;
    }
    return next.tick == 0 ? 1 : (int64_t)(next.tick << TH_WHEEL_TICK_SHIFT);
}
