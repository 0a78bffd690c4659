#include "base/stack.h"

#include "base/test.h"

static th_stacks stacks;
static th_stack *parked;
static int steps;

static void record(int n)
{
    steps = steps * 10 + n;
}

static void goes_home_for_ever(void)
{
    th_stack_arrived(&stacks);
    record(1);
    th_stack_switch(&stacks, &stacks.home, true);
}

TEST(stack, a_stack_runs_its_entry_and_comes_back_to_the_pool)
{
    th_stacks_init(&stacks, goes_home_for_ever);
    steps = 0;
    for (int i = 0; i < 3; i++) {
        th_stack *stack = th_stack_get(&stacks);

        th_stack_switch(&stacks, stack, false);
        T_TRUE(stacks.current == &stacks.home);
        T_TRUE(stacks.pool == stack);
    }
    T_EQ(steps, 111);
    T_EQ(stacks.made, 1);
    th_stacks_deinit(&stacks);
    T_EQ(stacks.made, 0);
}

static void parks_once(void)
{
    volatile int local = 7; /* must be the same when it comes back */

    th_stack_arrived(&stacks);
    record(1);
    parked = stacks.current;
    th_stack_switch(&stacks, &stacks.home, false);
    record(local == 7 ? 3 : 0);
    th_stack_switch(&stacks, &stacks.home, true);
}

TEST(stack, what_was_left_goes_on_where_it_was)
{
    th_stacks_init(&stacks, parks_once);
    steps = 0;
    th_stack_switch(&stacks, th_stack_get(&stacks), false);
    record(2);
    th_stack_switch(&stacks, parked, false);
    T_EQ(steps, 123);
    th_stacks_deinit(&stacks);
}

TEST(stack, frames_that_are_forgotten_are_never_run)
{
    th_stacks_init(&stacks, parks_once);
    steps = 0;
    th_stack_switch(&stacks, th_stack_get(&stacks), false);
    th_stack_put(&stacks, parked);
    th_stack_switch(&stacks, th_stack_get(&stacks), false); /* the same, anew */
    T_EQ(steps, 11);
    th_stack_put(&stacks, parked);
    T_EQ(stacks.made, 1);
    th_stacks_deinit(&stacks);
}

TEST(stack, there_is_a_bound_and_what_comes_back_counts)
{
    th_stack *made[3];

    th_stacks_init(&stacks, parks_once);
    stacks.made_max = 3;
    for (int i = 0; i < 3; i++) {
        made[i] = th_stack_get(&stacks);
        T_NOT_NULL(made[i]);
    }
    T_NULL(th_stack_get(&stacks));
    th_stack_put(&stacks, made[1]);
    T_TRUE(th_stack_get(&stacks) == made[1]);
    for (int i = 0; i < 3; i++) {
        th_stack_put(&stacks, made[i]);
    }
    th_stacks_deinit(&stacks);
}

TEST(stack, none_is_made_when_memory_runs_out)
{
    int64_t live = th_mem_live();

    th_stacks_init(&stacks, parks_once);
    th_mem_fail_after(0);
    T_NULL(th_stack_get(&stacks));
    th_mem_fail_never();
    T_EQ(stacks.made, 0);
    T_EQ(th_mem_live(), live);
    th_stacks_deinit(&stacks);
}

TEST(stack, many_that_come_back_do_not_keep_their_memory)
{
    enum { MANY = 100 };
    th_stack *made[MANY];

    th_stacks_init(&stacks, parks_once);
    for (int i = 0; i < MANY; i++) {
        made[i] = th_stack_get(&stacks);
    }
    for (int i = 0; i < MANY; i++) {
        th_stack_put(&stacks, made[i]);
    }
    T_TRUE(stacks.made <= TH_STACKS_POOLED_MAX);
    T_TRUE(stacks.made > 0);
    th_stacks_deinit(&stacks);
}
