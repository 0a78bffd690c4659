/*
 * Native: processes whose program is a C struct of callbacks.
 *
 * The node's own modules are processes like all others, so that their rights,
 * limits and timeouts are the kernel's. A native program is trusted: it returns
 * quickly, and gives blocking work to th_process_submit. An entry whose guest is
 * th_guest_native has a th_native as its program.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_NATIVE_NATIVE_H
#define TH_GUEST_NATIVE_NATIVE_H

#include "kernel/process.h"

typedef struct th_native {
    /*
     * Make the state. What it is given comes from `context`, or from the process's
     * arguments where only the node itself can spawn the entry.
     */
    th_err (*init)(th_process *self, void *context, void **state, th_buf *why);

    /* What happened; all of it is taken over. After th_process_end nothing follows. */
    void (*deliver)(th_process *self, void *state, const th_delivery *what);

    /* It runs, perhaps because it was poked; NULL: pokes mean nothing to it. */
    void (*woken)(th_process *self, void *state);

    /*
     * In place of the two above, for a program that chooses when it takes what came
     * (th_process_next): one slice, as th_guest.run. Its end it says itself.
     */
    th_run (*slice)(th_process *self, void *state);

    /* Give back the state; NULL: the process ended before its first slice. */
    void (*drop)(th_process *self, void *state);

    void *context; /* borrowed for the node's life */
} th_native;

extern const th_guest th_guest_native;

/* End normally. */
void th_native_return(th_process *self);

/* Give back what @what brought, for those who have no use for it. */
void th_native_discard(th_process *self, const th_delivery *what);

#endif
