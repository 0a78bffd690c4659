#include "base/epoch.h"

#include "base/own.h"
#include "base/test.h"

#include <pthread.h>

static th_epoch epoch;

typedef struct thing {
    th_retired retired;
    _Atomic bool is_freed;
} thing;

static void free_thing(th_retired *retired)
{
    thing *one = th_container_of(retired, thing, retired);

    T_FALSE(atomic_exchange(&one->is_freed, true));
}

static void collect_often(th_epoch_reader *reader)
{
    for (int i = 0; i < 4; i++) {
        th_epoch_quiet(&epoch, reader);
        th_epoch_collect(&epoch, reader);
    }
}

TEST(epoch, what_is_retired_waits_for_every_reader_that_is_awake)
{
    thing one = {.retired.free = free_thing};
    th_epoch_reader *a, *b;

    th_epoch_init(&epoch);
    a = th_epoch_join(&epoch);
    b = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, a);
    th_epoch_enter(&epoch, b);
    th_epoch_retire(&epoch, a, &one.retired);
    collect_often(a);
    T_FALSE(one.is_freed);
    th_epoch_quiet(&epoch, b);
    collect_often(a);
    T_TRUE(one.is_freed);
    th_epoch_deinit(&epoch);
}

TEST(epoch, a_reader_that_left_or_sleeps_keeps_nothing_back)
{
    thing one = {.retired.free = free_thing};
    th_epoch_reader *a, *b, *c;

    th_epoch_init(&epoch);
    a = th_epoch_join(&epoch);
    b = th_epoch_join(&epoch);
    c = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, a);
    th_epoch_enter(&epoch, b);
    th_epoch_enter(&epoch, c);
    th_epoch_retire(&epoch, a, &one.retired);
    th_epoch_leave(b);
    th_epoch_part(&epoch, c);
    T_FALSE(one.is_freed);
    collect_often(a);
    T_TRUE(one.is_freed);
    th_epoch_deinit(&epoch);
}

TEST(epoch, a_place_is_taken_again_and_its_limbo_is_not_lost)
{
    thing one = {.retired.free = free_thing};
    th_epoch_reader *keeper, *first, *second;

    th_epoch_init(&epoch);
    keeper = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, keeper);
    first = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, first);
    th_epoch_retire(&epoch, first, &one.retired);
    th_epoch_part(&epoch, first);
    T_FALSE(one.is_freed);
    second = th_epoch_join(&epoch);
    T_TRUE(second == first);
    th_epoch_leave(keeper);
    th_epoch_enter(&epoch, second);
    collect_often(second);
    T_TRUE(one.is_freed);
    th_epoch_deinit(&epoch);
}

TEST(epoch, there_are_only_so_many_readers)
{
    th_epoch_init(&epoch);
    for (int i = 0; i < TH_EPOCH_READERS_MAX; i++) {
        T_NOT_NULL(th_epoch_join(&epoch));
    }
    T_NULL(th_epoch_join(&epoch));
    th_epoch_part(&epoch, &epoch.readers[17]);
    T_TRUE(th_epoch_join(&epoch) == &epoch.readers[17]);
    th_epoch_deinit(&epoch);
}

TEST(epoch, the_end_frees_all_that_is_left)
{
    thing things[3] = {{.retired.free = free_thing},
                       {.retired.free = free_thing},
                       {.retired.free = free_thing}};
    th_epoch_reader *a;

    th_epoch_init(&epoch);
    a = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, a);
    for (int i = 0; i < 3; i++) {
        th_epoch_retire(&epoch, a, &things[i].retired);
    }
    th_epoch_leave(a);
    th_epoch_deinit(&epoch);
    for (int i = 0; i < 3; i++) {
        T_TRUE(things[i].is_freed);
    }
}

/* One thread replaces a thing for ever; others look at it and must never see it freed. */
#define READERS 3
#define ROUNDS 20000

static _Atomic(thing *) current;
static _Atomic bool stop;

static void *look(void *wrong)
{
    while (!atomic_load(&stop)) {
        th_epoch_reader *reader = th_epoch_join(&epoch);

        th_epoch_enter(&epoch, reader);
        for (int i = 0; i < 20; i++) {
            if (atomic_load(&atomic_load(&current)->is_freed)) {
                *(_Atomic bool *)wrong = true;
            }
            th_epoch_quiet(&epoch, reader);
        }
        th_epoch_part(&epoch, reader);
    }
    return NULL;
}

TEST(epoch, no_reader_ever_sees_what_is_freed)
{
    thing *things = th_calloc(ROUNDS, sizeof *things);
    _Atomic bool wrong = false;
    pthread_t threads[READERS];
    th_epoch_reader *writer;

    th_epoch_init(&epoch);
    atomic_store(&stop, false);
    atomic_store(&current, &things[0]);
    writer = th_epoch_join(&epoch);
    th_epoch_enter(&epoch, writer);
    for (int i = 0; i < READERS; i++) {
        T_EQ(pthread_create(&threads[i], NULL, look, &wrong), 0);
    }
    for (int i = 1; i < ROUNDS; i++) {
        atomic_store(&current, &things[i]);
        things[i - 1].retired.free = free_thing;
        th_epoch_retire(&epoch, writer, &things[i - 1].retired);
        th_epoch_quiet(&epoch, writer);
        th_epoch_collect(&epoch, writer);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    T_FALSE(wrong);
    th_epoch_deinit(&epoch);
    th_free(things);
}
