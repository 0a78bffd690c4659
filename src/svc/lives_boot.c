#include "svc/lives_parts.h"

#include "base/mem.h"
#include "core/id.h"

#include <stdlib.h>

/*
 * Reading what the node's last life left.
 */

/* --- Reading ---------------------------------------------------------------------- */

typedef struct reading {
    th_lives *lives;
    th_buf *notes;
    th_err err;
} reading;

static bool read_record(void *context, th_slice key, th_slice value)
{
    reading *with = context;
    th_auto_buf why = TH_BUF_INIT;
    th_life *life;
    th_life_doc doc;
    th_err err = th_life_record_decode(&doc, value, &why);

    if (err != TH_OK) {
        th_buf_putf(with->notes, "the process `%.*s` is set aside: %s\n", TH_FMT(key),
                    th_buf_text(&why));
        with->lives->has_unread = true;
        return true;
    }
    life = th_lives_make(with->lives, key);
    if (life == NULL) {
        th_life_doc_deinit(&doc);
        with->err = TH_NOMEM;
        return false;
    }
    life->doc = doc;
    life->phase = TH_LIFE_ASIDE;
    life->order = doc.order;
    life->restarts = doc.restarts;
    life->backoff = doc.backoff;
    life->is_public = doc.is_public;
    return true;
}

/* The name in @id is one that a node made: that process is over. */
static bool is_made(th_slice id)
{
    uint64_t boot;
    th_pid pid;

    return th_unique_decode(&boot, &pid, th_slice_of(id.at, th_slice_find(id, ':'))) ==
           TH_OK;
}

/* Of one state that nobody reads again; freed when it is done. */
typedef struct sweep {
    th_store_job job;
    char key[];
} sweep;

static void did_sweep(th_store_job *job)
{
    th_free(th_container_of(job, sweep, job));
}

static bool sweep_state(void *context, th_slice key, th_slice value)
{
    reading *with = context;
    sweep *job;

    (void)value;
    if (!is_made(key)) {
        return true;
    }
    job = th_calloc(1, sizeof *job + key.bytes);
    if (job == NULL) {
        return false;
    }
    memcpy(job->key, key.at, key.bytes);
    job->job = (th_store_job){.count = 1,
                              .one = {.verb = TH_STORE_REMOVE,
                                      .table = TH_STORE_STATE,
                                      .key = th_slice_of(job->key, key.bytes)},
                              .done = did_sweep};
    if (th_store_submit(with->lives->store, &job->job) != TH_OK) {
        th_free(job);
        return false; /* the next boot goes on */
    }
    return true;
}

static void count_orders(th_lives *lives)
{
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            const th_life *life = th_container_of(node, th_life, link);

            lives->order = life->order > lives->order ? life->order : lives->order;
        }
    }
}

th_err th_lives_read(th_lives *lives, th_buf *notes)
{
    reading with = {lives, notes, TH_OK};
    th_auto_buf why = TH_BUF_INIT;
    th_err err =
        th_store_each(lives->store, TH_STORE_PROCESS, read_record, &with, &why);

    if (err == TH_DAMAGED) { /* what could be read is there: the rest waits */
        th_buf_putf(notes, "not all processes could be read: %s\n", th_buf_text(&why));
        lives->has_unread = true;
        err = TH_OK;
    }
    if (err == TH_OK) {
        err = with.err;
    }
    if (err == TH_OK) {
        count_orders(lives);
        (void)th_store_each(lives->store, TH_STORE_STATE, sweep_state, &with, &why);
    }
    return err;
}

/* --- Settling --------------------------------------------------------------------- */

/* Does whoever issued it come again, or is it of the node itself? */
static bool issuer_lives(th_lives *lives, const th_cap_claim *claim)
{
    return (th_slice_is(claim->issuer.package, "distro") &&
            th_slice_is(claim->issuer.publisher, "sys")) ||
           th_lives_find(lives, claim->id) != NULL;
}

static th_cap *resolve(void *context, const th_cap_claim *claim)
{
    th_lives *lives = context;

    if (!issuer_lives(lives, claim)) {
        lives->has_lost = true;
        return NULL;
    }
    return th_kernel_issue(lives->kernel, claim->id, claim->params);
}

static th_err settle_caps(th_lives *lives, th_life *life)
{
    const th_life_doc *doc = &life->doc;
    th_cap **caps = th_calloc(doc->caps_count + 1, sizeof(th_cap *));
    size_t count = 0;

    if (caps == NULL) {
        return TH_NOMEM;
    }
    for (size_t i = 0; i < doc->caps_count && count < TH_CAPS_MAX; i++) {
        caps[count] = resolve(lives, &doc->caps[i]);
        count += caps[count] != NULL;
    }
    th_lives_hold(lives, life, th_caps_new(caps, count));
    while (count > 0) {
        th_cap_unref(caps[--count]);
    }
    th_free(caps);
    return life->caps == NULL ? TH_NOMEM : TH_OK;
}

/* Everything but the entry and the host, which are there. */
static th_err settle_rest(th_lives *lives, th_life *life)
{
    th_life_doc *doc = &life->doc;
    th_err err = settle_caps(lives, life);

    if (err == TH_OK) {
        err = th_on_exit_settle(&life->on_exit, doc->on_exit, resolve, lives);
    }
    if (err == TH_OK && doc->args.bytes > 0) {
        life->args = th_blob_new(th_buf_slice(&doc->args), th_slice_of(NULL, 0));
        err = life->args == NULL ? TH_NOMEM : TH_OK;
    }
    return err;
}

/*
 * What whoever is gone had issued is void for good, also when its name comes back: so
 * it goes from the record. But not while there are records which cannot be read.
 */
static void write_less(th_lives *lives, th_life *life, bool has_lost)
{
    if (has_lost && !lives->has_unread) {
        (void)th_lives_write(lives, life, NULL); /* else the next boot does it */
    }
}

static bool belongs(const th_life *life)
{
    th_auto_buf rest = TH_BUF_INIT;
    th_slice id = th_buf_slice(&life->id);

    th_buf_putf(&rest, ":%.*s:%.*s", TH_FMT(life->entry->package),
                TH_FMT(life->entry->publisher));
    return id.bytes > rest.bytes &&
           th_slice_eq(th_slice_from(id, id.bytes - rest.bytes), th_buf_slice(&rest));
}

/* What th_lives_settle was given. */
typedef struct settling {
    th_lives *lives;
    th_lives_make_entry *make;
    void *context;
    th_buf *notes;
} settling;

static const char *find_code(const settling *with, th_life *life)
{
    th_lives *lives = with->lives;

    life->entry = th_kernel_find_entry(lives->kernel, life->doc.entry);
    if (life->entry == NULL && with->make != NULL) {
        with->make(with->context, th_buf_slice(&life->id));
        life->entry = th_kernel_find_entry(lives->kernel, life->doc.entry);
    }
    life->host = th_kernel_find_host(lives->kernel, TH_SLICE("system"), life->doc.host);
    return life->entry == NULL  ? "there is no entry"
           : life->host == NULL ? "there is no host for its entry"
           : !belongs(life)     ? "another package has its entry"
                                : NULL;
}

/* Refuses: NOMEM. */
static th_err settle(const settling *with, th_life *life)
{
    th_lives *lives = with->lives;
    const char *missing = find_code(with, life);
    const th_boot_row *row;
    bool has_lost;
    th_err err;

    lives->has_lost = false;
    err = settle_rest(lives, life);
    has_lost = lives->has_lost;
    if (err != TH_OK) {
        return err;
    }
    if (missing != NULL) {
        th_buf_putf(with->notes,
                    "the process `%.*s` is set aside until its code is back: %s "
                    "`%.*s`\n",
                    TH_FMT(th_buf_slice(&life->id)), missing, TH_FMT(life->doc.entry));
        write_less(lives, life, has_lost);
        return TH_OK;
    }
    row = th_life_at_boot(th_on_exit_kind_of(life->on_exit), life->doc.state);
    th_life_doc_deinit(&life->doc);
    if (row->act == TH_BOOT_FORGET) {
        th_lives_remove(lives, life);
        return TH_OK;
    }
    life->phase = row->act == TH_BOOT_FIRE ? TH_LIFE_FIRES : TH_LIFE_DUE;
    write_less(lives, life, has_lost);
    return th_kernel_await(lives->kernel, th_buf_slice(&life->id));
}

static int by_order(const void *a, const void *b)
{
    const th_life *one = *(th_life *const *)a, *other = *(th_life *const *)b;

    return one->order < other->order ? -1 : one->order > other->order;
}

/* What is to be started, the first ones first; for the keeper. */
static th_err queue(th_lives *lives)
{
    size_t count = 0, n = 0;
    th_life **all;

    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            count++;
        }
    }
    all = th_calloc(count + 1, sizeof(th_life *));
    if (all == NULL) {
        return TH_NOMEM;
    }
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            all[n++] = th_container_of(node, th_life, link);
        }
    }
    qsort(all, count, sizeof(th_life *), by_order);
    for (size_t i = 0; i < count; i++) {
        th_lives_want(lives, all[i]);
    }
    th_free(all);
    return TH_OK;
}

th_err th_lives_settle(th_lives *lives, th_lives_make_entry *make, void *context,
                       th_buf *notes)
{
    settling with = {lives, make, context, notes};
    th_err err = TH_OK;

    th_lives_lock(lives);
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            if (err == TH_OK) {
                err = settle(&with, th_container_of(node, th_life, link));
            }
        }
    }
    if (err == TH_OK) {
        err = queue(lives);
    }
    th_lives_unlock(lives);
    return err;
}
