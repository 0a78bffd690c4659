/*
 * Puppet: a guest for tests, whose program is a function in C.
 *
 * A test gives each process a `play`, called once for each slice, and a stage where
 * the plays leave what they saw. Everything runs on the simulated world.
 *
 * Thread: the test's.
 */
#ifndef TH_WITNESS_PUPPET_H
#define TH_WITNESS_PUPPET_H

#include "kernel/kernel.h"

typedef struct th_puppet th_puppet;

typedef th_run th_play(th_process *self, th_puppet *puppet);

struct th_puppet {
    th_entry entry;
    th_play *play;
    int n;             /* the play's own */
    th_pid peer;       /* likewise */
    th_buf *seen;      /* likewise: a trace */
    _Atomic int drops; /* how often drop was called */
};

typedef struct th_stage {
    th_world *world;
    th_kernel *kernel;
    th_host host;
    th_buf ended;   /* a line for each process that ended */
    unsigned shard; /* entered */
} th_stage;

void th_stage_set(th_stage *stage, uint64_t seed, unsigned shards);

/* In a node with this much memory; 0: with enough. */
void th_stage_set_with(th_stage *stage, uint64_t seed, unsigned shards,
                       size_t memory_bytes_max);
void th_stage_strike(th_stage *stage);

/* Make @puppet an entry "test:NAME". */
void th_puppet_cast(th_stage *stage, th_puppet *puppet, const char *id, th_play *play);

th_pid th_puppet_spawn(th_stage *stage, th_puppet *puppet);

/* Step until nothing is left to do. */
void th_stage_run(th_stage *stage);

/*
 * Or a test moves the strings itself: th_stage_doll makes a process whose program never
 * does anything, and between th_stage_enter and th_stage_leave the test may call for it
 * whatever a guest may, as if it ran on that shard. In between nothing else runs.
 */
th_process *th_stage_doll(th_stage *stage, th_puppet *puppet, const char *id);
void th_stage_enter(th_stage *stage, unsigned shard);
void th_stage_leave(th_stage *stage);

/* A message with a topic and a text as its body. */
th_msg *th_stage_msg(th_msg_kind kind, const char *body);

/*
 * End @doll with that reason, a crash unless it is TH_OK, and run what follows, in no
 * time. Entered.
 */
void th_stage_end(th_stage *stage, th_process *doll, th_err reason);

#endif
