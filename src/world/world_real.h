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

/*
 * Before anything else: a standard descriptor that is closed becomes one that refuses,
 * so that no file of ours takes its number.
 */
void th_world_real_open_standard(void);

#endif
