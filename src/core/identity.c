#include "core/identity.h"

#include "base/mem.h"

typedef struct th_identity {
    th_list link; /* in its bucket */
    th_issuer *issuer;
    th_capset granted; /* by others, to every life of it */
    bool is_awaited;
} th_identity;

void th_identities_init(th_identities *identities)
{
    for (unsigned i = 0; i < TH_IDENTITY_BUCKETS; i++) {
        th_list_init(&identities->buckets[i]);
    }
}

static void free_identity(th_identity *identity)
{
    th_list_remove(&identity->link);
    th_issuer_unref(identity->issuer);
    th_capset_deinit(&identity->granted);
    th_free(identity);
}

void th_identities_deinit(th_identities *identities)
{
    for (unsigned i = 0; i < TH_IDENTITY_BUCKETS; i++) {
        while (!th_list_is_empty(&identities->buckets[i])) {
            free_identity(
                th_container_of(identities->buckets[i].next, th_identity, link));
        }
    }
}

static th_list *bucket_of(th_identities *identities, th_slice id)
{
    uint64_t hash = th_slice_hash(id, identities->seed);

    return &identities->buckets[hash % TH_IDENTITY_BUCKETS];
}

/* Under the lock. */
static th_identity *find(th_identities *identities, th_slice id)
{
    TH_LIST_EACH(link, bucket_of(identities, id))
    {
        th_identity *identity = th_container_of(link, th_identity, link);

        if (th_slice_eq(th_issuer_id(identity->issuer), id)) {
            return identity;
        }
    }
    return NULL;
}

/* Under the lock. NULL: memory ran out. */
static th_identity *find_or_make(th_identities *identities, th_slice id)
{
    th_identity *identity = find(identities, id);

    if (identity != NULL) {
        return identity;
    }
    identity = th_calloc(1, sizeof *identity);
    if (identity == NULL) {
        return NULL;
    }
    identity->issuer = th_issuer_new(id);
    if (identity->issuer == NULL) {
        th_free(identity);
        return NULL;
    }
    th_capset_init(&identity->granted);
    th_list_push(bucket_of(identities, id), &identity->link);
    return identity;
}

th_issuer *th_identity_issuer(th_identities *identities, th_slice id)
{
    th_issuer *issuer = NULL;
    th_identity *identity;

    th_spin_lock(&identities->lock);
    identity = find_or_make(identities, id);
    if (identity != NULL) {
        issuer = th_issuer_ref(identity->issuer);
    }
    th_spin_unlock(&identities->lock);
    return issuer;
}

th_err th_identity_grant(th_identities *identities, th_slice id, th_cap *cap)
{
    th_identity *identity;
    th_err err = TH_QUOTA;

    th_spin_lock(&identities->lock);
    identity = find_or_make(identities, id);
    if (identity != NULL) {
        err = th_capset_add(&identity->granted, cap);
    }
    th_spin_unlock(&identities->lock);
    return err;
}

typedef struct collect {
    th_capset *into;
    th_err err;
} collect;

static bool collect_one(void *context, th_cap *cap)
{
    collect *to = context;

    to->err = th_capset_add(to->into, cap);
    return to->err == TH_OK;
}

th_err th_identity_collect(th_identities *identities, th_slice id, th_capset *into)
{
    collect to = {into, TH_OK};
    th_identity *identity;

    th_spin_lock(&identities->lock);
    identity = find(identities, id);
    if (identity != NULL) {
        th_capset_each(&identity->granted, collect_one, &to);
    }
    th_spin_unlock(&identities->lock);
    return to.err;
}

/* --- Names that come back ------------------------------------------------------------ */

bool th_identity_is_awaited(th_identities *identities, th_slice id)
{
    th_identity *identity;
    bool is_awaited;

    th_spin_lock(&identities->lock);
    identity = find(identities, id);
    is_awaited = identity != NULL && identity->is_awaited;
    th_spin_unlock(&identities->lock);
    return is_awaited;
}

th_err th_identity_await(th_identities *identities, th_slice id)
{
    th_identity *identity;

    th_spin_lock(&identities->lock);
    identity = find_or_make(identities, id);
    if (identity != NULL) {
        identity->is_awaited = true;
    }
    th_spin_unlock(&identities->lock);
    return identity == NULL ? TH_QUOTA : TH_OK;
}

bool th_identity_came(th_identities *identities, th_slice id)
{
    th_identity *identity;

    th_spin_lock(&identities->lock);
    identity = find(identities, id);
    if (identity != NULL) {
        identity->is_awaited = false;
    }
    th_spin_unlock(&identities->lock);
    return identity != NULL;
}

/* What it was granted waits for whoever has the name next; what it issued is void. */
void th_identity_end(th_identities *identities, th_slice id)
{
    th_identity *identity;
    th_issuer *next = NULL;

    th_spin_lock(&identities->lock);
    identity = find(identities, id);
    if (identity != NULL) {
        th_issuer_revoke(identity->issuer);
        identity->is_awaited = false;
        if (th_capset_count(&identity->granted) > 0) {
            next = th_issuer_new(id);
        }
        if (next == NULL) {
            free_identity(identity);
        } else {
            th_issuer_unref(identity->issuer);
            identity->issuer = next;
        }
    }
    th_spin_unlock(&identities->lock);
}
