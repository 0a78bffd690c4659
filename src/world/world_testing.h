/*
 * What tests of both worlds share: a promise is run in a simulated world and in the real
 * one, in an empty folder of its own.
 */
#ifndef TH_WORLD_WORLD_TESTING_H
#define TH_WORLD_WORLD_TESTING_H

#include "world/world.h"

#include "base/test.h"
#include "world/world_real.h"
#include "world/world_sim.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef void promise(th_world *world, const char *root);

static inline int remove_one(const char *path, const struct stat *info, int type,
                             struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void in_both_worlds(promise *holds)
{
    char root[] = "/tmp/thole-test-XXXXXX";
    th_world *simulated = NULL;

    T_EQ(th_world_sim_new(&simulated, 1), TH_OK);
    T_EQ(th_world_folder_make(simulated, "/tmp/root"), TH_OK);
    holds(simulated, "/tmp/root");
    th_world_sim_free(simulated);

    T_NOT_NULL(mkdtemp(root));
    holds(th_world_real(), root);
    T_EQ(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Define a test of @module that takes the @world and the path of the folder, @root. */
#define PROMISE_OF(module, name)                                                       \
    static void name(th_world *world, const char *root);                               \
    TEST(module, name)                                                                 \
    {                                                                                  \
        in_both_worlds(name);                                                          \
    }                                                                                  \
    static void name(th_world *world, const char *root)

#define PROMISE(name) PROMISE_OF(world, name)

/* "@root/@name", until the next call but three. */
static inline const char *in(const char *root, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

#endif
