/*
 * For tests: the simulation of both kinds of guests.
 *
 * On one kernel in the simulated world live puppets (C, which decide and command), Lua
 * processes (test/lua/sim_actor.lua) and Wasm processes (test/wasm/actor.c), which do
 * what messages and questions say. All three talk with each other. What they do and see
 * comes to the kernel's witness: a puppet tells it directly, the others by lines that
 * begin with @. Everything that anybody prints or that ends is the trace.
 *
 *   message   NUMBER COMMAND ...   the next of its pair; wNUMBER may have gaps
 *   question  ?NUMBER HOW ...      the number is the witness's, and so is the answer;
 *                                  999999 is that of questions which nobody counts
 *
 * Thread: the test's.
 */
#ifndef TH_SVC_BOTH_SIM_H
#define TH_SVC_BOTH_SIM_H

#include "kernel/kernel.h"
#include "witness/witness.h"

#define BOTH_PEOPLE_MAX 30 /* alive at a time, about */
#define BOTH_LIVES_MAX 400 /* in all, about */
#define BOTH_NAMES 6
#define BOTH_TEXT_BYTES 128

typedef enum both_kind {
    BOTH_PARKS,  /* puppets */
    BOTH_YIELDS, /* puppets that are not preempted */
    BOTH_LUA,
    BOTH_WASM,
    BOTH_KINDS,
} both_kind;

extern const th_guest both_parks, both_yields;

typedef struct both_person {
    th_pid pid, parent;
    both_kind kind;
    char address[BOTH_TEXT_BYTES];
    uint32_t origins; /* messages that it had relayed */
} both_person;

/* The last that came this way; plus 1. */
typedef struct both_way {
    uint32_t numbered; /* with gaps, from the first to the second */
    uint32_t relayed;  /* by the second, of the first's: seen last by `relayed_to` */
    uint32_t relayed_to;
} both_way;

typedef struct both_sim {
    th_world *world;
    th_kernel *kernel;
    th_witness *witness;
    th_entry entries[BOTH_KINDS];
    th_host host;
    unsigned people_count, alive, puppets;
    both_person people[TH_WITNESS_LIVES_MAX];
    both_way ways[TH_WITNESS_LIVES_MAX][TH_WITNESS_LIVES_MAX];
    bool is_closing, is_traced;
    th_buf trace;
    char wrong[200];           /* what the witness cannot know; the first */
    unsigned told[BOTH_KINDS]; /* lines or facts of each kind: all were there */
    unsigned answered[BOTH_KINDS][BOTH_KINDS]; /* questions, by asker and answerer */
} both_sim;

extern both_sim both;

/* Not so: the first one is kept. */
void both_wrong(const char *what, th_pid a, th_pid b, uint32_t number);

/* Make it known, if it is not. Its index. */
unsigned both_know(const th_ident *who);

/* The index of who a PID text or an address means; false: it cannot be told any more. */
bool both_find(th_slice text, unsigned *index);
unsigned both_index(th_pid pid);

/* Who they are when they are known. */
static inline both_person *both_of(th_pid pid)
{
    return &both.people[both_index(pid)];
}

/* The next word of @text, which is taken off it; and a number. */
th_slice both_word(th_slice *text);
uint32_t both_number(th_slice text);

/* "5" or "5/3": one of them is @number, or else the first. */
uint32_t both_said(th_slice text, uint32_t number);

/* Has the one a right to send to the other? Nobody hands any on here. */
bool both_may_send(unsigned from, unsigned to);

/* A message came: "NUMBER" or "wNUMBER"; and one that was relayed: "ORIGIN M". */
void both_got(th_pid self, th_pid from, th_slice number);
void both_relayed(th_pid self, th_pid by, th_slice rest);

/* All is at rest: what is still charged must be what is still there. */
void both_check_books(void);

/* For th_kernel_config. */
void both_output(void *context, const th_ident *from, th_output kind, th_slice text);
void both_ended(void *context, const th_ended *what);

#endif
