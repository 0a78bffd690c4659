/*
 * Init: the first process of a node. It starts the main one and sees its end.
 *
 * It is a process so that it can do what only processes can: monitor the main one,
 * and ask it to end with a deadline when the node is to stop.
 *
 * Thread: main.
 */
#ifndef TH_NODE_INIT_H
#define TH_NODE_INIT_H

#include "base/own.h"
#include "kernel/kernel.h"

typedef struct th_init th_init;

/* How long the main process may take to end once it is asked to. */
#define TH_INIT_STOP_MS 2000

typedef struct th_init_spec {
    th_kernel *kernel;
    const th_host *host;
    const th_entry *main;
    th_slice args;               /* a term, an array; borrowed until the end */
    void (*over)(void *context); /* the main process ended; on a shard's thread */
    void *context;
} th_init_spec;

th_err th_init_new(th_init **out, const th_init_spec *spec);

/* Not while its process runs. Takes NULL. */
th_init *th_init_free(th_init *init);

/* Start both. Refuses as th_kernel_spawn. */
th_err th_init_start(th_init *init, th_buf *why);

/* Ask the main process to end within TH_INIT_STOP_MS. Idempotent. */
void th_init_stop(th_init *init);

/* Has the main process ended, or could it not start? */
bool th_init_is_over(const th_init *init);

/*
 * How it ended, once it is over: TH_OK after a return, or the reason, with a text
 * for people.
 */
th_err th_init_outcome(const th_init *init, th_end *end, th_buf *text);

TH_AUTO_FREE(th_init, th_init_free)

#endif
