/*
 * Guest: what runs the program of a process.
 *
 * There is one implementation for each kind of program: guest/lua, guest/wasm,
 * guest/native. The kernel calls these functions and nothing else of a guest; a
 * guest calls the functions of kernel/process.h for the process that is running.
 *
 * Life of one process, all on the thread of the shard that holds it:
 *
 *     start ──> run ──> run ... ──> drop
 *                └ BLOCKED, ASLEEP, YIELDED, ENDED, or left in the midst of run by th_preempt
 *
 * start comes with the first slice (a process that was spawned and has not run is
 * only a descriptor). drop comes once, after the end and whatever the cause; no
 * code of the program runs in it or after it. It may come on another C stack than
 * the run that it cuts short, whose frames are simply forgotten.
 */
#ifndef TH_KERNEL_GUEST_H
#define TH_KERNEL_GUEST_H

#include "base/bytes.h"
#include "base/err.h"

typedef struct th_process th_process;
typedef struct th_msg th_msg;
typedef struct th_entry th_entry;

typedef enum th_run {
    TH_RUN_BLOCKED, /* it took all items: nothing to do until one comes, or a poke */
    TH_RUN_ASLEEP,  /* nothing to do until a poke, though items may wait */
    TH_RUN_YIELDED, /* there is more to do */
    TH_RUN_ENDED,   /* th_process_end was called */
} th_run;

typedef struct th_guest {
    const char *name; /* "lua", "wasm", "native" */

    /*
     * Its slices run on the shard's stack and may be left at any th_checkpoint. A
     * guest with stacks of its own (Wasm) says false and yields by returning.
     */
    bool parks;

    /*
     * Its processes live under the rules of text 000: to send they need a capability
     * also within their package. Those of text 003 do not.
     */
    bool is_strict;

    /*
     * The node's own modules: one that is woken runs before those that are runnable
     * already, however many these are. Only for what returns quickly, always.
     */
    bool is_urgent;

    /*
     * Can @entry run at all? Called at each spawn, before anything is registered;
     * must be quick when it was asked before. On a refusal @why says what is wrong
     * (file, line, the exports that there are).
     */
    th_err (*check)(const th_entry *entry, th_buf *why);

    /*
     * Can its processes be given @msg, whose format is TERM? Asked on the sender's
     * thread before it is delivered, or answered with. NULL: they take everything.
     *
     * Refuses: INVALID, the value has no form in this guest; QUOTA, no memory.
     */
    th_err (*accept)(const th_msg *msg);

    /*
     * Make the guest's state (th_process_set_state). After a refusal the process
     * ends as a crash with @why.
     */
    th_err (*start)(th_process *self, th_buf *why);

    th_run (*run)(th_process *self);

    /* Give back everything. The state may be NULL: start was never called. */
    void (*drop)(th_process *self);

    /* Bytes of the guest's own memory, for `thole info`; the owner's thread. */
    size_t (*memory)(const th_process *self);
} th_guest;

#endif
