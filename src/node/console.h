/*
 * Console: what processes print, on its way to standard output and standard error.
 *
 * Shards leave whole lines here and a thread writes them, in their order, as many
 * at a time as have gathered. Who reads our output sets the pace: when too much
 * waits, the printing shard waits too; this is the one place where one does, so
 * that nothing that is printed is lost. But a node that stays serves others than that
 * reader: there one who reads nothing for TH_CONSOLE_PATIENCE_MS is waited for no more,
 * and what does not fit is dropped and counted. So it is in every node once it is in a
 * hurry to stop.
 *
 * Thread: any.
 */
#ifndef TH_NODE_CONSOLE_H
#define TH_NODE_CONSOLE_H

#include "base/own.h"
#include "world/world.h"

typedef struct th_console th_console;

/* Bytes that may wait. */
#define TH_CONSOLE_BYTES_MAX ((size_t)4 << 20)

#define TH_CONSOLE_PATIENCE_MS 100

/* How long the end waits for a reader that does not read, in a hurry. */
#define TH_CONSOLE_FLUSH_MS 500

typedef enum th_console_to {
    TH_CONSOLE_OUT,
    TH_CONSOLE_ERR,
} th_console_to;

/*
 * @broken is called once, on the writer's thread, if nobody reads what is printed.
 * @stays: it is a node that stays.
 */
th_err th_console_new(th_console **out, th_world *world, bool stays,
                      void (*broken)(void *context), void *context);

/* Write what waits, then end. Takes NULL. */
th_console *th_console_free(th_console *console);

/* Write @text, behind @prefix at the start of each line, and a line's end if needed. */
void th_console_put(th_console *console, th_console_to to, th_slice prefix,
                    th_slice text);

/*
 * Show @text as the last line of the terminal that standard error is, in place of the
 * text before. What does not fit is cut; with the end it goes.
 */
void th_console_status(th_console *console, th_slice text);

/*
 * Wait until all that was put before is written, or somebody is in a hurry. False:
 * standard output cannot be written.
 */
bool th_console_flush(th_console *console);

/* Nobody waits for room any more. */
void th_console_hurry(th_console *console);

TH_AUTO_FREE(th_console, th_console_free)

#endif
