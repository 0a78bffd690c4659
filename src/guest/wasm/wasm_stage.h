/*
 * For tests: Wasm guests and actors in C on one kernel in the simulated world.
 *
 * Guests are the components of test/wasm, from the folder THOLE_GUESTS. Everything that
 * is printed, logged, said by an actor or ended goes into one text, in its order. Only
 * tests include this.
 *
 * Thread: the test's.
 */
#ifndef TH_GUEST_WASM_WASM_STAGE_H
#define TH_GUEST_WASM_WASM_STAGE_H

#include "guest/wasm/wasm_engine.h"
#include "kernel/kernel.h"

#define WASM_STAGE_ENTRIES_MAX 16
#define WASM_STAGE_KEPT_MAX 16

typedef struct th_wasm_stage th_wasm_stage;
typedef struct th_wasm_actor th_wasm_actor;

/* Called with each thing that an actor gets; first, with none, at its start. */
typedef void th_wasm_play(th_process *self, th_wasm_actor *actor, th_delivery *in);

struct th_wasm_actor {
    th_wasm_stage *stage;
    th_wasm_play *play;
    unsigned step; /* the play's own */
    bool is_over;
};

/* What the stage keeps of one process, as a node's store would. */
typedef struct th_wasm_kept {
    char id[128]; /* "process:package:publisher" */
    bool has_state;
    th_buf state;
} th_wasm_kept;

struct th_wasm_stage {
    th_world *world;
    th_kernel *kernel;
    th_host host;
    th_wasm_options options; /* may be changed before the first guest */
    th_wasm *wasm;
    th_limits limits; /* of the entries that are added from now on, as the number */
    uint32_t package_number; /* 0, as at first: nothing needs a right */
    th_entry entries[WASM_STAGE_ENTRIES_MAX];
    char ids[WASM_STAGE_ENTRIES_MAX][2][64];
    th_wasm_program *programs[WASM_STAGE_ENTRIES_MAX];
    th_wasm_actor actors[WASM_STAGE_ENTRIES_MAX];
    unsigned count;
    th_wasm_kept kept[WASM_STAGE_KEPT_MAX];
    unsigned kept_count;
    bool keeps_nothing;   /* there is no store */
    bool keeps_slowly;    /* until th_wasm_stage_keep */
    th_err keeping_fails; /* the disk does */
    th_list savings;      /* that wait, keeps_slowly */
    th_buf seen;
    uint64_t steps_max;
};

void th_wasm_stage_open(th_wasm_stage *stage, uint64_t seed, unsigned shards);

/* The same in a node of so much memory. */
void th_wasm_stage_open_in(th_wasm_stage *stage, uint64_t seed, unsigned shards,
                           size_t memory_bytes_max);
void th_wasm_stage_close(th_wasm_stage *stage);

/* The bytes of a component of test/wasm. */
void th_wasm_stage_read(const char *name, th_buf *out);

/* Entry test:NAME, of file NAME.wasm; and one that an actor plays. */
const th_entry *th_wasm_stage_guest(th_wasm_stage *stage, const char *name);
const th_entry *th_wasm_stage_actor(th_wasm_stage *stage, const char *name,
                                    th_wasm_play *play);

/* With a name chosen for it, or NULL. */
th_pid th_wasm_stage_spawn(th_wasm_stage *stage, const th_entry *entry,
                           const char *name);

/* What waits to be kept is. */
void th_wasm_stage_keep(th_wasm_stage *stage);

/* Until there is nothing to do, or steps_max. False: it was cut short. */
bool th_wasm_stage_run(th_wasm_stage *stage);

/* What was seen; and how often @part is in it. */
const char *th_wasm_stage_text(th_wasm_stage *stage);
unsigned th_wasm_stage_count(th_wasm_stage *stage, const char *part);

/* Fail the test unless @part was seen. */
void th_wasm_stage_saw(th_wasm_stage *stage, const char *part);

/* cmocka takes the signals of traps for itself before each test: give them back. */
void th_wasm_stage_signals(void);

/* A request from an actor to "NAME:test:local"; @expects_s 0: one way. */
void th_wasm_actor_ask(th_process *self, const char *name, th_slice body, th_slice blob,
                       unsigned expects_s);
void th_wasm_actor_say(th_wasm_actor *actor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
