/*
 * Puppet: a guest for tests, whose program is a function in C.
 *
 * A test gives each process a `play`, called once for each slice, and a stage where
 * the plays leave what they saw. Everything runs on the simulated world.
 *
 * Thread: the test's.
 */
#ifndef TH_KERNEL_PUPPET_H
#define TH_KERNEL_PUPPET_H

#include "kernel/kernel.h"

typedef struct th_puppet th_puppet;

typedef th_run th_play(th_process *self, th_puppet *puppet);

struct th_puppet {
    th_entry entry;
    th_play *play;
    int n;        /* the play's own */
    th_pid peer;  /* likewise */
    th_buf *seen; /* likewise: a trace */
    int drops;    /* how often drop was called */
};

typedef struct th_stage {
    th_world *world;
    th_kernel *kernel;
    th_host host;
    th_buf ended; /* a line for each process that ended */
} th_stage;

void th_stage_set(th_stage *stage, uint64_t seed, unsigned shards);
void th_stage_strike(th_stage *stage);

/* Make @puppet an entry "test:NAME". */
void th_puppet_cast(th_stage *stage, th_puppet *puppet, const char *id, th_play *play);

th_pid th_puppet_spawn(th_stage *stage, th_puppet *puppet);

/* Step until nothing is left to do. */
void th_stage_run(th_stage *stage);

#endif
