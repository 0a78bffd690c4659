/*
 * The simulated world's own state, shared by the files that are its body.
 *
 * Only those include this. Thread: one.
 */
#ifndef TH_WORLD_SIM_WORLD_H
#define TH_WORLD_SIM_WORLD_H

#include "base/mem.h"
#include "base/own.h"
#include "world/disk.h"
#include "world/sim_disk.h"

typedef struct th_sim_world {
    th_world world;
    uint64_t dice;
    int64_t mono_ns;
    th_sim_disk disk;
} th_sim_world;

static inline th_sim_world *th_sim(th_world *world)
{
    return th_container_of(world, th_sim_world, world);
}

TH_AUTO_FREE(char, th_free)

/* A copy of @path without doubled and last slashes, or NULL. */
char *th_sim_tidy(const char *path);

/* The folder that tidy @path lies in, or NULL. */
char *th_sim_folder_of(const char *path);

bool th_sim_is_folder(th_world *world, const char *path);

extern const th_disk_ops th_disk_sim_ops;

#endif
