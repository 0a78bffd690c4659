/*
 * The simulated world: virtual time, seeded dice, a disk in memory, one thread.
 *
 * Given the same seed and the same calls it answers the same. Time stands still
 * until th_world_sim_advance. The disk can be told to fail or to be full, and a world
 * be made of what a crash would leave of it.
 *
 * Thread: one.
 */
#ifndef TH_WORLD_SIM_H
#define TH_WORLD_SIM_H

#include "world/world.h"

th_err th_world_sim_new(th_world **out, uint64_t seed);
th_world *th_world_sim_free(th_world *world);

/* Move both clocks on to @to; never back. */
void th_world_sim_advance(th_world *world, th_mono to);

/* Put a file onto the disk, folders above it included, as a test's ground. */
th_err th_world_sim_put(th_world *world, const char *path, th_slice content);

/* The next @n disk operations work and those after them fail with IO. */
void th_world_sim_disk_fails_after(th_world *world, uint64_t n);

/* All files together have at most @bytes from now on: what would be more is QUOTA. */
void th_world_sim_disk_holds(th_world *world, uint64_t bytes);

typedef enum th_sim_op {
    TH_SIM_READ,  /* also of names, sizes and kinds */
    TH_SIM_WRITE, /* and truncate */
    TH_SIM_SYNC,  /* of a file or of a folder */
    TH_SIM_NAME,  /* make, remove, rename */
} th_sim_op;

/*
 * Asked before each operation of the disk, which then has the answer if that is not OK.
 * A write that fails so writes a part, a sync makes durable what the dice say.
 */
typedef th_err th_sim_watch(void *context, th_sim_op op, const char *path);

/* NULL: nobody is asked. */
void th_world_sim_disk_watch(th_world *world, th_sim_watch *watch, void *context);

/*
 * Make the world that comes up after a crash at this moment: of what was not synced on
 * @world's disk, dice that begin with @seed choose what is there (world/disk.h). @world
 * does not change, and may be in the midst of an operation. Faults: NOMEM.
 */
th_err th_world_sim_crash(th_world *world, uint64_t seed, th_world **out);

#endif
