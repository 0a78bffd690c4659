/*
 * Store: what outlives the node, by table and key, in one SQLite file.
 *
 * Whoever wants something of it submits a job, from any thread, and is told when it
 * is done: a change is durable by then. One thread owns the file; jobs that come
 * while it commits share the next commit, so that a thousand which save at once wait
 * for one sync of the disk and not for a thousand.
 *
 *   - A job of several changes happens whole or not at all.
 *   - Jobs are done in the order in which they were submitted; a get sees the puts
 *     and removes before it.
 *   - A full disk (QUOTA), damage that is found (DAMAGED) and memory that runs out
 *     (NOMEM) are errors to the jobs which they concern; a disk that fails (IO) is one
 *     to all that shared the commit. Their changes are then not there, and the store
 *     goes on: later jobs succeed when the cause is gone. What a crash right after IO
 *     leaves is open: the old value or the new one.
 *
 * The caller holds the lock of the folder that the file is in: the store counts on
 * being its only user. Beside the file PATH there may be PATH-wal and PATH-journal,
 * which belong to it.
 *
 *   opened ──start──> running ──close──> gone, every job done
 *
 * Thread: any for submit; main for the rest; `done` runs on the owner thread. In
 * simulation there is no thread: who drives it calls th_store_step, and `done` runs in
 * there.
 */
#ifndef TH_STORE_STORE_H
#define TH_STORE_STORE_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/own.h"
#include "world/world.h"

/* A value, such as a process's state: what is kept whole in memory while it is put. */
#define TH_STATE_BYTES_MAX ((size_t)64 << 20)

/* A key: "process:package:publisher" and room to spare. */
#define TH_STORE_KEY_BYTES_MAX 1024

/* Changes in one job. */
#define TH_STORE_CHANGES_MAX 256

/* Jobs that wait, and what they hold: keys, values and TH_STORE_JOB_COST_BYTES each. */
#define TH_STORE_JOBS_MAX ((size_t)1 << 20)
#define TH_STORE_QUEUE_BYTES_MAX ((size_t)256 << 20)
#define TH_STORE_JOB_COST_BYTES ((size_t)256)

typedef struct th_store th_store;

typedef enum th_store_table {
    TH_STORE_PROCESS, /* the record of a process that should live */
    TH_STORE_STATE,   /* what a process saved */
    TH_STORE_TABLES,
} th_store_table;

typedef enum th_store_verb {
    TH_STORE_GET,    /* NOT_FOUND: there is none */
    TH_STORE_PUT,    /* replaces what is there */
    TH_STORE_REMOVE, /* of what is not there is OK */
} th_store_verb;

/* The bytes are borrowed until `done`. */
typedef struct th_store_change {
    th_store_verb verb;
    th_store_table table;
    th_slice key;   /* 1 to TH_STORE_KEY_BYTES_MAX bytes */
    th_slice value; /* of a put: at most TH_STATE_BYTES_MAX bytes */
} th_store_change;

/*
 * One job, embedded in what waits for it. It is the store's from submit until `done`
 * is called, in which it may be freed or submitted again.
 */
typedef struct th_store_job th_store_job;
struct th_store_job {
    /* Set before submit. A get stands alone in its job. */
    const th_store_change *changes; /* NULL: the one below */
    size_t count;                   /* of changes, 1..TH_STORE_CHANGES_MAX */
    th_store_change one;
    void (*done)(th_store_job *job); /* returns quickly; never NULL */

    /* Set before done. */
    th_err err;
    th_buf value; /* of a get that is OK; the job's owner's from then on */

    /* The store's. */
    th_list link;
    size_t bytes; /* what it counts in the queue */
};

/*
 * Open the store in the file at @path, made when there is none, in a folder that is
 * there. What a crash left is put right before this returns.
 *
 * Refuses, and @why says what, where and what to do: UNSUPPORTED, a newer thole wrote
 *          it; DAMAGED, it is no store or is damaged; QUOTA, the disk is full;
 *          NOT_FOUND, DENIED, INVALID, as th_disk_open. Faults: IO, NOMEM.
 */
th_err th_store_open(th_store **out, th_world *world, const char *path, th_buf *why);

/* Called for each row, whose bytes are borrowed for the call; false ends the walk. */
typedef bool th_store_row(void *context, th_slice key, th_slice value);

/*
 * Call @row for all rows of @table in the order of the keys' bytes. Before start.
 *
 * Refuses: DAMAGED, behind the rows that could be read; @why says where. Faults: IO,
 *          NOMEM.
 */
th_err th_store_each(th_store *store, th_store_table table, th_store_row *row,
                     void *context, th_buf *why);

/*
 * From now on jobs are done: what was submitted before waited. Once. In simulation OK,
 * and nothing happens until th_store_step. Faults: NOMEM.
 */
th_err th_store_start(th_store *store);

/*
 * Have @job done. On TH_OK `done` is called once, whatever happens; else never.
 *
 * Refuses: INVALID, it is not as written above, or too large; QUOTA, too much waits;
 *          STOPPING, the store closes.
 */
th_err th_store_submit(th_store *store, th_store_job *job);

/* Simulation: do what waits, as one group. False: there was nothing. */
bool th_store_step(th_store *store);

/*
 * Do every job that was accepted, then give everything back. No other thread submits any
 * more when this is called; `done` may, and gets STOPPING. Takes NULL, returns NULL.
 */
th_store *th_store_close(th_store *store);

/* For tests, before start: bring the log into the file when it has so many pages. */
void th_store_set_log_pages(th_store *store, unsigned pages);

TH_AUTO_FREE(th_store, th_store_close)

#endif
