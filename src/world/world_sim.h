/*
 * The simulated world: virtual time, seeded dice, a disk in memory, one thread.
 *
 * Given the same seed and the same calls it answers the same. Time stands still
 * until th_world_sim_advance. The disk can be told to fail and to lose what was
 * not synced (a crash).
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

#endif
