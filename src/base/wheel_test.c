#include "base/wheel.h"

#include "base/test.h"

#define TICK (INT64_C(1) << TH_WHEEL_TICK_SHIFT)

static uint64_t dice = 1;

static uint64_t roll(uint64_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (dice >> 33) % sides;
}

static int count(th_list *list)
{
    int n = 0;

    while (th_list_pop(list) != NULL) {
        n++;
    }
    return n;
}

TEST(wheel, a_timer_never_fires_early_and_fires_within_a_tick)
{
    static th_wheel wheel;
    th_timer timer;
    th_list expired;

    for (int64_t due = 1; due < INT64_C(1) << 50; due = due * 3 + 17) {
        th_list_init(&expired);
        th_wheel_init(&wheel, 5 * TICK);
        th_wheel_add(&wheel, &timer, 5 * TICK + due);
        th_wheel_advance(&wheel, 5 * TICK + due - 1, &expired);
        T_EQ(count(&expired), 0);
        th_wheel_advance(&wheel, 5 * TICK + due + TICK, &expired);
        T_EQ(count(&expired), 1);
        T_EQ(th_wheel_next(&wheel), 0);
    }
}

TEST(wheel, what_is_in_the_past_fires_at_the_next_advance)
{
    static th_wheel wheel;
    th_timer timer;
    th_list expired;

    th_list_init(&expired);
    th_wheel_init(&wheel, 1000 * TICK);
    th_wheel_add(&wheel, &timer, -5);
    th_wheel_advance(&wheel, 1000 * TICK, &expired);
    T_EQ(count(&expired), 1);
}

TEST(wheel, what_was_removed_does_not_fire)
{
    static th_wheel wheel;
    th_timer a, b;
    th_list expired;

    th_list_init(&expired);
    th_wheel_init(&wheel, 0);
    th_wheel_add(&wheel, &a, 100 * TICK);
    th_wheel_add(&wheel, &b, 100 * TICK);
    th_wheel_remove(&a);
    th_wheel_advance(&wheel, 200 * TICK, &expired);
    T_EQ(count(&expired), 1);
}

TEST(wheel, next_is_never_later_than_the_first_timer)
{
    static th_wheel wheel;
    static th_timer timers[500];
    th_list expired;
    int64_t now = 0;
    int left = 500;

    th_list_init(&expired);
    th_wheel_init(&wheel, 0);
    for (int i = 0; i < 500; i++) {
        th_wheel_add(&wheel, &timers[i], (int64_t)roll(UINT64_C(1) << (20 + roll(25))));
    }
    while (left > 0) {
        int64_t next = th_wheel_next(&wheel);
        th_list *node;

        T_TRUE(next > 0);
        now = next > now ? next : now;
        th_wheel_advance(&wheel, now, &expired);
        while ((node = th_list_pop(&expired)) != NULL) {
            th_timer *timer = th_container_of(node, th_timer, link);

            T_EQ((int64_t)timer->due_tick, now / TICK);
            left--;
        }
    }
}

TEST(wheel, timers_fire_in_the_order_of_their_ticks)
{
    static th_wheel wheel;
    static th_timer timers[2000];
    th_list expired;
    th_list *node;
    uint64_t last = 0;

    th_list_init(&expired);
    th_wheel_init(&wheel, 0);
    for (int i = 0; i < 2000; i++) {
        th_wheel_add(&wheel, &timers[i], (int64_t)roll(UINT64_C(1) << 40));
    }
    th_wheel_advance(&wheel, INT64_C(1) << 41, &expired);
    while ((node = th_list_pop(&expired)) != NULL) {
        th_timer *timer = th_container_of(node, th_timer, link);

        T_TRUE(timer->due_tick >= last);
        last = timer->due_tick;
    }
}

TEST(wheel, the_latest_time_there_is_is_a_time)
{
    static th_wheel wheel;
    th_timer timer;
    th_list expired;

    th_list_init(&expired);
    th_wheel_init(&wheel, TICK);
    th_wheel_add(&wheel, &timer, INT64_MAX);
    for (int i = 0; th_list_is_empty(&expired); i++) {
        T_TRUE(th_wheel_next(&wheel) > 0 && i < TH_WHEEL_LEVELS);
        th_wheel_advance(&wheel, th_wheel_next(&wheel), &expired);
    }
    T_TRUE(wheel.tick == (uint64_t)INT64_MAX >> TH_WHEEL_TICK_SHIFT);
    T_EQ(th_wheel_next(&wheel), 0);
}
