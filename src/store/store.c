#include "store/store.h"

#include "base/mem.h"
#include "base/spin.h"
#include "store/db.h"

#include <stdatomic.h>

/*
 * Group commit.
 *
 * Submitted jobs wait in one list under a spin lock. The owner takes all of it, applies
 * job after job to one transaction, looks once more for those that came meanwhile, and
 * commits; while the disk syncs, the next group gathers by itself.
 *
 * A transaction that fails is tried again with each of its jobs alone, so that an error
 * goes to those whom it concerns: one large value that no longer fits on the disk, one
 * key on a damaged page. Not so when the disk itself fails: each try could take long, and
 * fail as well.
 */
#define GROUP_JOBS_MAX 10000
#define GROUP_BYTES_MAX ((size_t)32 << 20) /* written and read in one transaction */

/* The log is brought into the file when it has so many pages of 4 KiB. */
#define LOG_PAGES 2000

struct th_store {
    /* Fixed at creation; the thread at start. */
    th_world *world;
    th_db *db;
    th_parker *parker;
    th_thread *thread; /* NULL in simulation and before start */
    unsigned log_pages;

    /* Under the lock. */
    th_spin lock;
    th_list waiting; /* th_store_job, oldest first */
    size_t jobs;     /* accepted and not done */
    size_t bytes;    /* of those */
    bool closes;

    /* Thread: owner. */
    th_list taken; /* from waiting, older than what is there now */
};

static th_store_job *job_of(th_list *node)
{
    return th_container_of(node, th_store_job, link);
}

/* --- Submitting ------------------------------------------------------------------- */

static const th_store_change *changes_of(const th_store_job *job)
{
    return job->changes == NULL ? &job->one : job->changes;
}

static bool is_valid(const th_store_change *change)
{
    return (unsigned)change->verb <= TH_STORE_REMOVE &&
           (unsigned)change->table < TH_STORE_TABLES && change->key.bytes > 0 &&
           change->key.bytes <= TH_STORE_KEY_BYTES_MAX &&
           (change->verb != TH_STORE_PUT || change->value.bytes <= TH_STATE_BYTES_MAX);
}

/* Check @job and set what it counts. */
static th_err weigh(th_store_job *job)
{
    const th_store_change *changes = changes_of(job);

    if (job->count == 0 || job->count > TH_STORE_CHANGES_MAX ||
        (job->changes == NULL && job->count != 1)) {
        return TH_INVALID;
    }
    job->bytes = TH_STORE_JOB_COST_BYTES;
    for (size_t i = 0; i < job->count; i++) {
        if (!is_valid(&changes[i]) ||
            (changes[i].verb == TH_STORE_GET && job->count > 1)) {
            return TH_INVALID;
        }
        job->bytes += changes[i].key.bytes;
        job->bytes += changes[i].verb == TH_STORE_PUT ? changes[i].value.bytes : 0;
    }
    return job->bytes <= TH_STORE_QUEUE_BYTES_MAX ? TH_OK : TH_INVALID;
}

/* Under the lock. */
static th_err enqueue(th_store *store, th_store_job *job)
{
    if (store->closes) {
        return TH_STOPPING;
    }
    if (store->jobs == TH_STORE_JOBS_MAX ||
        job->bytes > TH_STORE_QUEUE_BYTES_MAX - store->bytes) {
        return TH_QUOTA;
    }
    store->jobs++;
    store->bytes += job->bytes;
    th_list_push(&store->waiting, &job->link);
    return TH_OK;
}

th_err th_store_submit(th_store *store, th_store_job *job)
{
    th_err err = weigh(job);

    th_assert(job->done != NULL);
    if (err != TH_OK) {
        return err;
    }
    job->err = TH_OK;
    job->value = TH_BUF_INIT;
    th_spin_lock(&store->lock);
    err = enqueue(store, job);
    th_spin_unlock(&store->lock);
    if (err == TH_OK) {
        th_world_unpark(store->world, store->parker);
    }
    return err;
}

/* --- Groups ----------------------------------------------------------------------- */

/* The oldest job, which stays where it is, or NULL. */
static th_store_job *oldest(th_store *store)
{
    if (th_list_is_empty(&store->taken)) {
        th_spin_lock(&store->lock);
        th_list_move(&store->taken, &store->waiting);
        th_spin_unlock(&store->lock);
    }
    return th_list_is_empty(&store->taken) ? NULL : job_of(store->taken.next);
}

static th_err apply(th_store *store, th_store_job *job)
{
    const th_store_change *changes = changes_of(job);

    for (size_t i = 0; i < job->count; i++) {
        th_err err = th_db_apply(store->db, &changes[i], &job->value);

        if (err == TH_NOT_FOUND) {
            job->err = TH_NOT_FOUND; /* the answer of a get */
        } else if (err != TH_OK) {
            return err;
        }
    }
    return TH_OK;
}

/* Move jobs to @group and apply them, until there are none or it has enough. */
static th_err apply_group(th_store *store, th_list *group)
{
    size_t bytes = 0;
    th_store_job *job;

    for (int n = 0; n < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX; n++) {
        th_err err;

        job = oldest(store);
        if (job == NULL) {
            break;
        }
        th_list_remove(&job->link);
        th_list_push(group, &job->link);
        err = apply(store, job);
        if (err != TH_OK) {
            return err;
        }
        bytes += job->bytes + job->value.bytes;
    }
    return TH_OK;
}

/* Let go of the group's jobs, which are done; an @err is the answer to all. */
static void answer(th_store *store, th_list *group, th_err err)
{
    size_t jobs = 0, bytes = 0;

    TH_LIST_EACH(node, group)
    {
        jobs++;
        bytes += job_of(node)->bytes;
    }
    th_spin_lock(&store->lock);
    store->jobs -= jobs;
    store->bytes -= bytes;
    th_spin_unlock(&store->lock);
    for (th_list *node; (node = th_list_pop(group)) != NULL;) {
        th_store_job *job = job_of(node);

        job->err = err != TH_OK ? err : job->err;
        if (job->err != TH_OK) {
            th_buf_deinit(&job->value);
        }
        job->done(job);
    }
}

static th_err end(th_store *store, th_err err)
{
    if (err == TH_OK) {
        return th_db_commit(store->db);
    }
    th_db_rollback(store->db);
    return err;
}

static void do_alone(th_store *store, th_store_job *job)
{
    th_list alone;
    th_err err;

    th_list_init(&alone);
    th_list_push(&alone, &job->link);
    job->err = TH_OK;
    th_buf_deinit(&job->value);
    err = th_db_begin(store->db);
    if (err == TH_OK) {
        err = end(store, apply(store, job));
    }
    answer(store, &alone, err);
}

/* False: nothing waits. */
static bool do_group(th_store *store)
{
    th_list group;
    th_err err;

    if (oldest(store) == NULL) {
        return false;
    }
    th_list_init(&group);
    err = th_db_begin(store->db);
    if (err == TH_OK) {
        err = end(store, apply_group(store, &group));
    }
    if (th_list_is_empty(&group)) {
        th_list_push(&group, th_list_pop(&store->taken)); /* it is told why */
    }
    if (err == TH_OK || err == TH_IO || group.next == group.prev) {
        answer(store, &group, err);
    }
    for (th_list *node; (node = th_list_pop(&group)) != NULL;) {
        do_alone(store, job_of(node));
    }
    th_db_tidy(store->db, store->log_pages);
    return true;
}

/* --- The owner -------------------------------------------------------------------- */

static bool is_closing(th_store *store)
{
    bool closes;

    th_spin_lock(&store->lock);
    closes = store->closes;
    th_spin_unlock(&store->lock);
    return closes;
}

/* No job is accepted once it closes, so what is seen after that is all there is. */
static void own(void *context)
{
    th_store *store = context;

    for (;;) {
        bool is_last = is_closing(store);

        while (do_group(store)) {
        }
        if (is_last) {
            return;
        }
        th_world_park(store->world, store->parker, (th_mono){0});
    }
}

bool th_store_step(th_store *store)
{
    th_assert(store->world->is_simulated);
    return do_group(store);
}

/* --- Opening and closing ---------------------------------------------------------- */

static th_store *free_store(th_store *store)
{
    if (store != NULL) {
        th_db_close(store->db);
        if (store->parker != NULL) {
            th_world_parker_free(store->world, store->parker);
        }
    }
    return th_free(store);
}

th_err th_store_open(th_store **out, th_world *world, const char *path, th_buf *why)
{
    th_store *store = th_calloc(1, sizeof *store);
    th_err err;

    if (store == NULL) {
        return TH_NOMEM;
    }
    store->world = world;
    store->log_pages = LOG_PAGES;
    th_list_init(&store->waiting);
    th_list_init(&store->taken);
    err = th_world_parker_new(world, &store->parker);
    if (err == TH_OK) {
        err = th_db_open(&store->db, world, path, why);
    }
    if (err != TH_OK) {
        free_store(store);
        return err;
    }
    *out = store;
    return TH_OK;
}

th_err th_store_each(th_store *store, th_store_table table, th_store_row *row,
                     void *context, th_buf *why)
{
    th_assert(store->thread == NULL);
    return th_db_each(store->db, table, row, context, why);
}

th_err th_store_start(th_store *store)
{
    th_assert(store->thread == NULL);
    return store->world->is_simulated
               ? TH_OK
               : th_world_thread_start(store->world, &store->thread, "store", own,
                                       store);
}

th_store *th_store_close(th_store *store)
{
    if (store == NULL) {
        return NULL;
    }
    th_spin_lock(&store->lock);
    store->closes = true;
    th_spin_unlock(&store->lock);
    if (store->thread == NULL) {
        own(store);
    } else {
        th_world_unpark(store->world, store->parker);
        th_world_thread_join(store->world, store->thread);
    }
    return free_store(store);
}

void th_store_set_log_pages(th_store *store, unsigned pages)
{
    store->log_pages = pages;
}
