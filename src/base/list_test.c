#include "base/list.h"

#include "base/test.h"

typedef struct item {
    int number;
    th_list link;
} item;

static int numbers(th_list *list)
{
    int all = 0;

    TH_LIST_EACH(node, list)
    {
        all = all * 10 + th_container_of(node, item, link)->number;
    }
    return all;
}

TEST(list, pushes_keep_their_order)
{
    th_list list;
    item a = {1, {0}}, b = {2, {0}}, c = {3, {0}};

    th_list_init(&list);
    T_TRUE(th_list_is_empty(&list));
    th_list_push(&list, &a.link);
    th_list_push(&list, &b.link);
    th_list_push_first(&list, &c.link);
    T_EQ(numbers(&list), 312);
    T_FALSE(th_list_is_empty(&list));
}

TEST(list, pop_takes_the_first_until_none_is_left)
{
    th_list list;
    item a = {1, {0}}, b = {2, {0}};

    th_list_init(&list);
    th_list_push(&list, &a.link);
    th_list_push(&list, &b.link);
    T_TRUE(th_list_pop(&list) == &a.link);
    T_TRUE(th_list_pop(&list) == &b.link);
    T_NULL(th_list_pop(&list));
    T_TRUE(th_list_is_empty(&list));
}

TEST(list, a_node_taken_out_twice_does_no_harm)
{
    th_list list;
    item a = {1, {0}}, b = {2, {0}};

    th_list_init(&list);
    th_list_push(&list, &a.link);
    th_list_push(&list, &b.link);
    th_list_remove(&a.link);
    th_list_remove(&a.link);
    T_EQ(numbers(&list), 2);
    T_TRUE(th_list_is_empty(&a.link));
}

TEST(list, a_walk_may_take_out_the_node_it_stands_at)
{
    th_list list;
    item items[5];

    th_list_init(&list);
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        th_list_push(&list, &items[i].link);
    }
    TH_LIST_EACH(node, &list)
    {
        if (th_container_of(node, item, link)->number % 2 == 0) {
            th_list_remove(node);
        }
    }
    T_EQ(numbers(&list), 135);
}

TEST(list, all_of_one_goes_behind_the_last_of_another)
{
    th_list list, from;
    item a = {1, {0}}, b = {2, {0}}, c = {3, {0}};

    th_list_init(&list);
    th_list_init(&from);
    th_list_move(&list, &from);
    T_EQ(numbers(&list), 0);
    th_list_push(&from, &a.link);
    th_list_move(&list, &from);
    T_TRUE(th_list_is_empty(&from));
    th_list_push(&from, &b.link);
    th_list_push(&from, &c.link);
    th_list_move(&list, &from);
    T_EQ(numbers(&list), 123);
    T_EQ(numbers(&from), 0);
    T_TRUE(list.prev == &c.link && c.link.prev == &b.link && b.link.prev == &a.link);
}
