/*
 * Courier: the process that sends for somebody outside, one for each connection.
 *
 * What the command line sends comes from a process, so that rights, mailboxes,
 * timeouts and errors are the kernel's. Whoever is outside hands over errands; the
 * courier carries them out in order and tells how each came out. It ends with the
 * connection, and what is open then comes to nothing.
 *
 * Thread: any; `done` runs on the courier's shard, or where the errand was dropped.
 */
#ifndef TH_NODE_COURIER_H
#define TH_NODE_COURIER_H

#include "kernel/kernel.h"

typedef struct th_courier th_courier;
typedef struct th_couriers th_couriers; /* the entry of all of them */
typedef struct th_errand th_errand;

/* Errands of one courier that may be open at a time. */
#define TH_COURIER_ERRANDS_MAX 4096

/* Something to send; embedded in what the maker keeps about it. */
struct th_errand {
    th_list link;
    th_pid to;
    th_list msgs;        /* th_msg.item.link, owned; at least one; all are sent */
    uint64_t timeout_ns; /* of the answer to the one message; 0: none is expected */

    /* The last call: it was sent, answered or not. @answer is borrowed, or NULL. */
    void (*done)(th_errand *errand, th_err err, const th_msg *answer);
};

/* One for a node, for its life. Takes NULL. */
th_err th_couriers_new(th_couriers **out, th_kernel *kernel, const th_host *host);
th_couriers *th_couriers_free(th_couriers *couriers);

/* Start a courier. Refuses as th_kernel_spawn. */
th_err th_courier_start(th_couriers *couriers, th_courier **out, th_buf *why);

/*
 * Have @errand carried out; `done` follows, once.
 *
 * Owner:   @errand is taken on TH_OK and stays with the caller otherwise.
 * Refuses: QUOTA, too many are open; CANCELED, the courier ended.
 */
th_err th_courier_run(th_courier *courier, th_errand *errand);

/* No more errands; whoever is open is told CANCELED. The caller forgets it. */
void th_courier_end(th_courier *courier);

#endif
