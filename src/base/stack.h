/*
 * Stacks: the C stacks on which a shard runs, and the switch between them.
 *
 * The scheduler's loop runs on a pooled stack and calls guests straight. To
 * preempt is to leave the stack with the process and go on upon another; to kill
 * is to forget the frames. Either costs some ten nanoseconds, whatever the depth.
 *
 * A stack is 1 MB of reserved address space with a guard page below (the deepest
 * use by Lua was measured at 425 KB); only touched pages count. Sanitizers are told
 * of each switch.
 *
 * Thread: the shard's; a stack never moves to another thread.
 */
#ifndef TH_BASE_STACK_H
#define TH_BASE_STACK_H

#include "base/err.h"

#include <stddef.h>

/* More that are free are given back: after a storm their touched pages are waste. */
#define TH_STACKS_POOLED_MAX 64

typedef struct th_stack {
    struct th_stack *next; /* in the pool */
    void *sp;              /* where it was left */
    char *low;             /* NULL: the thread's own stack */
    size_t bytes;
    void *fake, *fiber; /* the sanitizers' */
} th_stack;

typedef struct th_stacks {
    th_stack home;     /* the thread's own */
    th_stack *current; /* runs now */
    th_stack *pool;    /* free ones, newest first */
    th_stack *leaving; /* to be pooled by who arrives: one can't free one's ground */
    unsigned made;     /* owned, in the pool or in use */
    unsigned pooled;
    unsigned made_max;
    void (*entry)(void); /* what a fresh stack runs; never returns */
} th_stacks;

/* Of the calling thread, which must be the one that switches. */
void th_stacks_init(th_stacks *stacks, void (*entry)(void));

/* Unmap the pooled ones. */
void th_stacks_deinit(th_stacks *stacks);

/* A stack whose first frame will run the entry; NULL when no more can be made. */
th_stack *th_stack_get(th_stacks *stacks);

/* Forget whatever frames are on it. */
void th_stack_put(th_stacks *stacks, th_stack *stack);

/*
 * Leave the current stack and go on upon @to. With @for_ever the frames left
 * behind are forgotten and the stack goes back to the pool; otherwise this returns
 * when somebody comes back.
 */
void th_stack_switch(th_stacks *stacks, th_stack *to, bool for_ever);

/* The first thing that an entry does. */
void th_stack_arrived(th_stacks *stacks);

#endif
