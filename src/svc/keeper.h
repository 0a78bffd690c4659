/*
 * Keeper: the process kernel:distro:sys, which keeps others alive.
 *
 * At boot it starts, in the order of their first starts, what should live; then sends
 * the requests that were left to be sent; then starts the main process. Afterwards it
 * starts again what comes again, carries out the kernel's commands (svc/command.h), and
 * at the end tells those who asked for it that the node stops.
 *
 * The stop: those who hear of it (the main process does always) are told one after the
 * other, in the reverse order of their start; each has 2 s to end, all together 5 s.
 * Whoever does not is ended, before the next older one is told.
 *
 * The main process of an entry with an on-exit is as durable as others: its chosen name
 * is the entry's, and it is not started beside one that lives from an earlier boot.
 *
 * Thread: main for new, start and free; any for the rest.
 */
#ifndef TH_SVC_KEEPER_H
#define TH_SVC_KEEPER_H

#include "svc/lives.h"

typedef struct th_keeper th_keeper;

#define TH_KEEPER_STOP_EACH_MS 2000
#define TH_KEEPER_STOP_ALL_MS 5000

/* From the answer to a Shutdown to the stop. */
#define TH_KEEPER_SHUTDOWN_MS 100

typedef struct th_keeper_spec {
    th_kernel *kernel;
    th_lives *lives;
    const th_host *host;
    const th_entry *main; /* NULL: none */
    th_slice main_args;   /* a term, an array; borrowed until the end */

    /* One of those below came true: th_keeper_is_*; on any thread. */
    void (*over)(void *context);
    /* Somebody with the right to asks the node to stop; on any thread. */
    void (*shutdown)(void *context);
    void *context;
} th_keeper_spec;

th_err th_keeper_new(th_keeper **out, const th_keeper_spec *spec);

/* Not while its process runs. Takes NULL. */
th_keeper *th_keeper_free(th_keeper *keeper);

/* Boot, as above: what can be started is. Refuses as th_kernel_spawn. */
th_err th_keeper_start(th_keeper *keeper, th_buf *why);

/* All that should live was started, or never will be; `over` tells that, too. */
bool th_keeper_is_up(const th_keeper *keeper);

/* Tell and end, as above; `over` follows. Idempotent. */
void th_keeper_stop(th_keeper *keeper);

/* Those who hear of it were told and have ended. */
bool th_keeper_is_stopped(const th_keeper *keeper);

/* For th_kernel_config.ended. */
void th_keeper_ended(th_keeper *keeper, const th_ended *what);

/* --- The main process ----------------------------------------------------------------- */

/* Is it over for good, or could it not start? */
bool th_keeper_is_over(const th_keeper *keeper);

/*
 * How it ended, once it is over: TH_OK after a return, or the reason, with a text for
 * people.
 */
th_err th_keeper_outcome(const th_keeper *keeper, th_end *end, th_buf *text);

TH_AUTO_FREE(th_keeper, th_keeper_free)

#endif
