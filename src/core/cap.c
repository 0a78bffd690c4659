#include "core/cap.h"

#include "base/mem.h"
#include "base/slab.h"
#include "base/spin.h"
#include "codec/json_doc.h"

/*
 * An issuer knows its capabilities that are alive, without holding them: the table
 * from params to object is what makes equal ones one. A capability whose count has
 * come to 0 is still in there until it takes itself out, and is passed over.
 *
 * The key is the canonical text: the value as compact JSON with sorted keys, or the
 * params themselves where they are no JSON, and so never the canonical text of others.
 */

struct th_cap {
    _Atomic uint32_t refs;
    atomic_bool is_revoked;
    bool is_messaging;
    th_issuer *issuer; /* held */
    th_slice params;
    th_slice canonical; /* of what stands behind, as params */

    /* Under the issuer's lock. */
    th_cap *next; /* in its bucket */
    uint64_t hash;
    char text[];
};

struct th_issuer {
    _Atomic uint32_t refs;
    atomic_bool is_revoked;
    th_slice id;

    /* Under the lock. */
    th_spin lock;
    uint32_t count;
    uint32_t room;    /* of buckets, a power of two */
    th_cap **buckets; /* owned, or `first` */
    th_cap *first;
    char text[];
};

/* --- Issuers ---------------------------------------------------------------------- */

th_issuer *th_issuer_new(th_slice id)
{
    th_issuer *made;

    th_assert(id.bytes <= TH_ID_TEXT_BYTES);
    made = th_calloc(1, sizeof *made + id.bytes);
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->refs, 1);
    atomic_init(&made->is_revoked, false);
    if (id.bytes > 0) {
        memcpy(made->text, id.at, id.bytes);
    }
    made->id = th_slice_of(made->text, id.bytes);
    made->room = 1;
    made->buckets = &made->first;
    return made;
}

th_issuer *th_issuer_ref(th_issuer *issuer)
{
    if (issuer != NULL) {
        atomic_fetch_add_explicit(&issuer->refs, 1, memory_order_relaxed);
    }
    return issuer;
}

th_issuer *th_issuer_unref(th_issuer *issuer)
{
    if (issuer != NULL &&
        atomic_fetch_sub_explicit(&issuer->refs, 1, memory_order_acq_rel) == 1) {
        if (issuer->buckets != &issuer->first) {
            th_free(issuer->buckets);
        }
        th_free(issuer);
    }
    return NULL;
}

th_slice th_issuer_id(const th_issuer *issuer)
{
    return issuer->id;
}

void th_issuer_revoke(th_issuer *issuer)
{
    atomic_store(&issuer->is_revoked, true);
}

bool th_issuer_is_revoked(const th_issuer *issuer)
{
    return atomic_load_explicit(&issuer->is_revoked, memory_order_acquire);
}

/* --- Params as values ------------------------------------------------------------- */

/* How deep brackets nest outside of strings: the reader's stack is not for guests. */
static bool is_shallow(th_slice text)
{
    bool is_in_string = false;
    int depth = 0;

    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];

        if (is_in_string) {
            i += c == '\\'; /* what it escapes is none of these */
            is_in_string = c != '"';
        } else if (c == '"') {
            is_in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > TH_CAP_DEPTH_MAX) {
                return false;
            }
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return true;
}

void th_cap_key_deinit(th_cap_key *key)
{
    th_buf_deinit(&key->canonical);
}

th_err th_cap_key_init(th_cap_key *key, th_slice issuer, th_slice params)
{
    th_auto(th_json) json = NULL;
    th_json_error error;
    th_err err = TH_INVALID;

    if (params.bytes > TH_CAP_PARAMS_BYTES_MAX) {
        return TH_INVALID;
    }
    *key = (th_cap_key){.issuer = issuer, .params = params, .canonical = TH_BUF_INIT};
    if (is_shallow(params)) {
        err = th_json_decode(&json, params, &error);
    }
    if (err == TH_OK) {
        th_json_encode_sorted(json, &key->canonical);
    } else if (err == TH_INVALID) {
        th_buf_put(&key->canonical, params.at, params.bytes);
    } else {
        return err;
    }
    if (key->canonical.failed) {
        th_cap_key_deinit(key);
        return TH_QUOTA;
    }
    return TH_OK;
}

bool th_cap_matches(const th_cap *cap, const th_cap_key *key)
{
    return th_slice_eq(cap->canonical, th_buf_slice(&key->canonical)) &&
           th_slice_eq(cap->issuer->id, key->issuer);
}

bool th_cap_is(const th_cap *cap, th_slice issuer, th_slice params)
{
    th_cap_key key;
    bool is_it;

    if (!th_slice_eq(cap->issuer->id, issuer)) {
        return false;
    }
    if (th_slice_eq(cap->params, params)) {
        return true;
    }
    if (th_cap_key_init(&key, issuer, params) != TH_OK) {
        return false;
    }
    is_it = th_cap_matches(cap, &key);
    th_cap_key_deinit(&key);
    return is_it;
}

/* --- The table of an issuer ------------------------------------------------------- */

static th_cap **bucket_of(th_cap **buckets, uint32_t room, uint64_t hash)
{
    return &buckets[hash & (room - 1)];
}

/* Twice the buckets, if memory allows; without them it is only slower. */
static void grow(th_issuer *issuer, uint32_t room)
{
    th_cap **old = th_calloc((size_t)room * 2, sizeof *old);
    th_cap **buckets = old;

    if (buckets == NULL) {
        return;
    }
    th_spin_lock(&issuer->lock);
    if (issuer->room == room) {
        old = issuer->buckets;
        for (uint32_t i = 0; i < room; i++) {
            th_cap *cap = old[i];

            while (cap != NULL) {
                th_cap *next = cap->next;
                th_cap **bucket = bucket_of(buckets, room * 2, cap->hash);

                cap->next = *bucket;
                *bucket = cap;
                cap = next;
            }
        }
        issuer->buckets = buckets;
        issuer->room = room * 2;
    }
    th_spin_unlock(&issuer->lock);
    if (old != &issuer->first) {
        th_free(old);
    }
}

/* Another reference to @cap, unless its last one has just gone. */
static bool ref_alive(th_cap *cap)
{
    uint32_t refs = atomic_load_explicit(&cap->refs, memory_order_relaxed);

    while (refs != 0) {
        if (atomic_compare_exchange_weak_explicit(&cap->refs, &refs, refs + 1,
                                                  memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* The one that is equal to @cap, with a reference, or NULL. Under the lock. */
static th_cap *find_equal(th_issuer *issuer, const th_cap *cap)
{
    th_cap *other = *bucket_of(issuer->buckets, issuer->room, cap->hash);

    for (; other != NULL; other = other->next) {
        if (other->hash == cap->hash && th_slice_eq(other->canonical, cap->canonical) &&
            !atomic_load_explicit(&other->is_revoked, memory_order_relaxed) &&
            ref_alive(other)) {
            return other;
        }
    }
    return NULL;
}

/* The one that is equal to @cap, or @cap itself, which is in the table then, or NULL. */
static th_cap *intern(th_issuer *issuer, th_cap *cap)
{
    th_cap *found;
    uint32_t crowded = 0;

    th_spin_lock(&issuer->lock);
    found = find_equal(issuer, cap);
    if (found == NULL && issuer->count < TH_ISSUER_CAPS_MAX) {
        th_cap **bucket = bucket_of(issuer->buckets, issuer->room, cap->hash);

        cap->next = *bucket;
        *bucket = found = cap;
        crowded = ++issuer->count > issuer->room * 4 ? issuer->room : 0;
    }
    th_spin_unlock(&issuer->lock);
    if (crowded != 0) {
        grow(issuer, crowded);
    }
    return found;
}

static void forget(th_issuer *issuer, th_cap *cap)
{
    th_cap **at;

    th_spin_lock(&issuer->lock);
    at = bucket_of(issuer->buckets, issuer->room, cap->hash);
    while (*at != cap) {
        at = &(*at)->next;
    }
    *at = cap->next;
    issuer->count--;
    th_spin_unlock(&issuer->lock);
}

/* --- Capabilities ----------------------------------------------------------------- */

/* One that is in no table yet, without a reference to its issuer. */
static th_cap *make(th_issuer *issuer, th_slice params)
{
    th_cap_key key;
    th_slice canonical;
    th_cap *cap;

    if (th_cap_key_init(&key, issuer->id, params) != TH_OK) {
        return NULL;
    }
    canonical = th_buf_slice(&key.canonical);
    if (th_slice_eq(canonical, params)) {
        canonical.bytes = 0;
    }
    cap = th_malloc(sizeof *cap + params.bytes + canonical.bytes);
    if (cap != NULL) {
        atomic_init(&cap->refs, 1);
        atomic_init(&cap->is_revoked, false);
        cap->issuer = issuer;
        cap->params = cap->canonical = th_slice_of(cap->text, params.bytes);
        if (params.bytes > 0) {
            memcpy(cap->text, params.at, params.bytes);
        }
        if (canonical.bytes > 0) {
            memcpy(cap->text + params.bytes, canonical.at, canonical.bytes);
            cap->canonical = th_slice_of(cap->text + params.bytes, canonical.bytes);
        }
        cap->is_messaging = th_slice_eq(cap->canonical, TH_CAP_MESSAGING);
        cap->hash = th_slice_hash(cap->canonical, (uintptr_t)issuer);
    }
    th_cap_key_deinit(&key);
    return cap;
}

th_cap *th_cap_issue(th_issuer *issuer, th_slice params)
{
    th_cap *cap, *found;

    if (th_issuer_is_revoked(issuer)) {
        return NULL;
    }
    cap = make(issuer, params);
    if (cap == NULL) {
        return NULL;
    }
    found = intern(issuer, cap);
    if (found == cap) {
        th_issuer_ref(issuer);
    } else {
        th_free(cap);
    }
    return found;
}

th_cap *th_cap_ref(th_cap *cap)
{
    if (cap != NULL) {
        atomic_fetch_add_explicit(&cap->refs, 1, memory_order_relaxed);
    }
    return cap;
}

th_cap *th_cap_unref(th_cap *cap)
{
    if (cap != NULL &&
        atomic_fetch_sub_explicit(&cap->refs, 1, memory_order_acq_rel) == 1) {
        forget(cap->issuer, cap);
        th_issuer_unref(cap->issuer);
        th_free(cap);
    }
    return NULL;
}

th_slice th_cap_params(const th_cap *cap)
{
    return cap->params;
}

th_issuer *th_cap_issuer(const th_cap *cap)
{
    return cap->issuer;
}

void th_cap_revoke(th_cap *cap)
{
    atomic_store(&cap->is_revoked, true);
}

bool th_cap_is_valid(const th_cap *cap)
{
    return !atomic_load_explicit(&cap->is_revoked, memory_order_acquire) &&
           !th_issuer_is_revoked(cap->issuer);
}

bool th_cap_is_messaging(const th_cap *cap)
{
    return cap->is_messaging;
}

size_t th_cap_bytes(const th_cap *cap)
{
    return sizeof *cap + cap->params.bytes + cap->canonical.bytes;
}

/* --- Lists ------------------------------------------------------------------------ */

struct th_caps {
    _Atomic uint32_t refs;
    uint32_t count;
    size_t bytes;
    th_cap *at[]; /* held */
};

static size_t room_of(size_t n)
{
    return sizeof(th_caps) + n * sizeof(th_cap *);
}

th_caps *th_caps_new(th_cap *const *caps, size_t n)
{
    th_caps *made;

    if (n > TH_CAPS_MAX) {
        return NULL;
    }
    made = th_slab_new(room_of(n));
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->refs, 1);
    made->count = (uint32_t)n;
    made->bytes = room_of(n);
    for (size_t i = 0; i < n; i++) {
        made->at[i] = th_cap_ref(caps[i]);
        made->bytes += th_cap_bytes(caps[i]);
    }
    return made;
}

th_caps *th_caps_ref(th_caps *caps)
{
    if (caps != NULL) {
        atomic_fetch_add_explicit(&caps->refs, 1, memory_order_relaxed);
    }
    return caps;
}

th_caps *th_caps_unref(th_caps *caps)
{
    if (caps != NULL &&
        atomic_fetch_sub_explicit(&caps->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < caps->count; i++) {
            th_cap_unref(caps->at[i]);
        }
        th_slab_free(caps, room_of(caps->count));
    }
    return NULL;
}

size_t th_caps_count(const th_caps *caps)
{
    return caps == NULL ? 0 : caps->count;
}

th_cap *th_caps_at(const th_caps *caps, size_t index)
{
    th_assert(index < th_caps_count(caps));
    return caps->at[index];
}

size_t th_caps_bytes(const th_caps *caps)
{
    return caps == NULL ? 0 : caps->bytes;
}

th_cap *th_caps_match(const th_caps *caps, const th_cap_key *key)
{
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        th_cap *cap = th_caps_at(caps, i);

        if (th_cap_matches(cap, key) && th_cap_is_valid(cap)) {
            return cap;
        }
    }
    return NULL;
}
