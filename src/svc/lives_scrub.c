#include "svc/lives_parts.h"

#include "base/mem.h"

#include <stdatomic.h>

/*
 * What was revoked goes from the records.
 *
 * A record is never encoded with a capability that is void, so it is enough to write
 * those anew that named one. Saves that were submitted before stand before in the store,
 * and those that come later find it void.
 */

/* --- Who is named ----------------------------------------------------------------------- */

static size_t slot_of(const th_lives *lives, th_slice id)
{
    return th_slice_hash(id, lives->seed) % LIVES_ISSUERS;
}

static void count_issuers(th_lives *lives, const th_caps *caps, uint32_t by)
{
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        lives->held[slot_of(lives, th_issuer_id(th_cap_issuer(th_caps_at(caps, i))))] +=
            by;
    }
}

void th_lives_hold(th_lives *lives, th_life *life, th_caps *caps)
{
    count_issuers(lives, life->caps, (uint32_t)-1);
    th_caps_unref(life->caps);
    life->caps = caps;
    count_issuers(lives, caps, 1);
}

bool th_lives_may_name(const th_lives *lives, th_slice id)
{
    return lives->held[slot_of(lives, id)] > 0;
}

/* --- Writing ---------------------------------------------------------------------------- */

/* All that is written at once. */
typedef struct scrub {
    atomic_size_t left;      /* writes, and one for who began it */
    _Atomic th_err err;      /* the last that there was */
    th_lives_waiter *waiter; /* or NULL */
} scrub;

typedef struct scrub_write {
    th_saving saving;
    scrub *of;
} scrub_write;

static void finish_one(scrub *of, th_err err)
{
    if (err != TH_OK) {
        atomic_store(&of->err, err);
    }
    if (atomic_fetch_sub(&of->left, 1) > 1) {
        return;
    }
    if (of->waiter != NULL) {
        of->waiter->done(of->waiter, atomic_load(&of->err));
    }
    th_free(of);
}

static void did_write(th_job *job)
{
    th_saving *saving = th_container_of(job, th_saving, job);
    scrub_write *write = th_container_of(saving, scrub_write, saving);

    finish_one(write->of, saving->err);
    th_saving_deinit(saving);
    th_free(write);
}

static bool has_void(const th_caps *caps)
{
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        if (!th_cap_is_valid(th_caps_at(caps, i))) {
            return true;
        }
    }
    return false;
}

static bool names_void(const th_life *life)
{
    if (has_void(life->caps)) {
        return true;
    }
    for (size_t i = 0; i < th_on_exit_count(life->on_exit); i++) {
        if (has_void(th_on_exit_at(life->on_exit, i)->caps)) {
            return true;
        }
    }
    return false;
}

/* It is not looked at again for those that went. Without memory it is. */
static void keep_valid(th_life *life)
{
    size_t n = th_caps_count(life->caps), count = 0;
    th_cap **valid = th_calloc(n + 1, sizeof(th_cap *));
    th_caps *caps;

    for (size_t i = 0; valid != NULL && i < n; i++) {
        if (th_cap_is_valid(th_caps_at(life->caps, i))) {
            valid[count++] = th_caps_at(life->caps, i);
        }
    }
    caps = valid == NULL ? NULL : th_caps_new(valid, count);
    if (caps != NULL) {
        th_lives_hold(life->lives, life, caps);
    }
    th_free(valid);
}

static void write_one(th_lives *lives, th_life *life, scrub *of)
{
    scrub_write *write = th_calloc(1, sizeof *write);
    th_err err = TH_QUOTA;

    atomic_fetch_add(&of->left, 1);
    if (write != NULL) {
        write->of = of;
        write->saving.job.kernel = lives->kernel;
        write->saving.job.owner = TH_PID_NONE;
        write->saving.job.dropped = did_write;
        err = th_lives_write(lives, life, &write->saving);
    }
    if (err == TH_OK) {
        keep_valid(life);
    } else {
        th_free(write);
        finish_one(of, err);
    }
}

th_err th_lives_scrub(th_lives *lives, th_lives_waiter *waiter)
{
    scrub *of = th_calloc(1, sizeof *of);

    if (of == NULL) {
        return TH_QUOTA;
    }
    atomic_init(&of->left, 1);
    atomic_init(&of->err, TH_OK);
    of->waiter = waiter;
    th_lives_lock(lives);
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            th_life *life = th_container_of(node, th_life, link);

            if (names_void(life)) {
                write_one(lives, life, of);
            }
        }
    }
    th_lives_unlock(lives);
    finish_one(of, TH_OK);
    return TH_OK;
}
