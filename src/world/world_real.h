/*
 * The real world: this machine's clock, dice, disk and threads.
 *
 * Thread: any.
 */
#ifndef TH_WORLD_REAL_H
#define TH_WORLD_REAL_H

#include "world/world.h"

/* The one real world of this program; never freed. */
th_world *th_world_real(void);

#endif
