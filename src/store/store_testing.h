/*
 * What tests of the store share: jobs that are waited for.
 */
#ifndef TH_STORE_STORE_TESTING_H
#define TH_STORE_STORE_TESTING_H

#include "store/store.h"
#include "world/world_testing.h"

#include <stdatomic.h>

typedef struct waited {
    th_store_job job;
    th_world *world;
    th_parker *parker; /* of whoever waits */
    atomic_bool is_done;
} waited;

static inline void wake(th_store_job *job)
{
    waited *with = th_container_of(job, waited, job);
    th_world *world = with->world;
    th_parker *parker = with->parker;

    atomic_store(&with->is_done, true);
    th_world_unpark(world, parker);
}

/* Have the job of @with done, which is set up but for `done`. */
static inline th_err do_job(th_world *world, th_store *store, waited *with)
{
    th_err err;

    with->world = world;
    with->job.done = wake;
    atomic_store(&with->is_done, false);
    T_EQ(th_world_parker_new(world, &with->parker), TH_OK);
    err = th_store_submit(store, &with->job);
    while (err == TH_OK && !atomic_load(&with->is_done)) {
        if (world->is_simulated) {
            T_TRUE(th_store_step(store));
        } else {
            th_world_park(world, with->parker, (th_mono){0});
        }
    }
    th_world_parker_free(world, with->parker);
    return err == TH_OK ? with->job.err : err;
}

static inline th_err do_change(th_world *world, th_store *store, th_store_change change)
{
    waited with = {.job = {.count = 1, .one = change}};
    th_err err = do_job(world, store, &with);

    th_buf_deinit(&with.job.value);
    return err;
}

static inline th_err put(th_world *world, th_store *store, const char *key,
                         const char *value)
{
    return do_change(world, store,
                     (th_store_change){TH_STORE_PUT, TH_STORE_STATE, th_slice_str(key),
                                       th_slice_str(value)});
}

static inline th_err drop(th_world *world, th_store *store, const char *key)
{
    return do_change(world, store,
                     (th_store_change){.verb = TH_STORE_REMOVE,
                                       .table = TH_STORE_STATE,
                                       .key = th_slice_str(key)});
}

/* The state of that key is @expected; NULL: there is none. */
static inline void check(th_world *world, th_store *store, const char *key,
                         const char *expected)
{
    waited with = {.job = {.count = 1,
                           .one = {.verb = TH_STORE_GET,
                                   .table = TH_STORE_STATE,
                                   .key = th_slice_str(key)}}};

    T_EQ(do_job(world, store, &with), expected == NULL ? TH_NOT_FOUND : TH_OK);
    T_STR(th_buf_text(&with.job.value), expected == NULL ? "" : expected);
    th_buf_deinit(&with.job.value);
}

static inline th_store *open_store(th_world *world, const char *path)
{
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_err err = th_store_open(&store, world, path, &why);

    T_STR(th_buf_text(&why), "");
    T_EQ(err, TH_OK);
    T_EQ(th_store_start(store), TH_OK);
    return store;
}

/* Open says this, and why in words that begin with the path or "the store PATH". */
static inline void check_refused(th_world *world, const char *path, th_err expected,
                                 const char *part)
{
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_store_open(&store, world, path, &why), expected);
    T_NULL(store);
    T_NOT_NULL(strstr(th_buf_text(&why), path));
    T_NOT_NULL(strstr(th_buf_text(&why), part));
}

#endif
