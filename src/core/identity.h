/*
 * Identities: what outlives one life of a process with a chosen name.
 *
 * An identity is "process:package:publisher". It is kept while its process lives on in
 * some form: as the issuer of capabilities that others hold, as a name that is to come
 * back, or as one that was granted something before it came. A process with a name that
 * the node made has no identity here: it does not come back.
 *
 * Thread: any.
 */
#ifndef TH_CORE_IDENTITY_H
#define TH_CORE_IDENTITY_H

#include "base/list.h"
#include "base/spin.h"
#include "core/cap.h"

#define TH_IDENTITY_BUCKETS 1024

typedef struct th_identities {
    uint64_t seed; /* of the hashes: a guest chooses ids, but not this */
    th_spin lock;  /* of the rest */
    th_list buckets[TH_IDENTITY_BUCKETS];
} th_identities;

void th_identities_init(th_identities *identities); /* before its first, set the seed */
void th_identities_deinit(th_identities *identities);

/* Who issues in that name; one reference. NULL: memory ran out. */
th_issuer *th_identity_issuer(th_identities *identities, th_slice id);

/* Each life of it holds @cap, too. Refuses: QUOTA. */
th_err th_identity_grant(th_identities *identities, th_slice id, th_cap *cap);

/* Put what it was granted into @into. Refuses: QUOTA. */
th_err th_identity_collect(th_identities *identities, th_slice id, th_capset *into);

/* It is to come again. Refuses: QUOTA. */
th_err th_identity_await(th_identities *identities, th_slice id);
bool th_identity_is_awaited(th_identities *identities, th_slice id);

/* It is awaited no longer. Was there something of it? */
bool th_identity_came(th_identities *identities, th_slice id);

/* What it issued is void; what it was granted waits for who has the name next. */
void th_identity_end(th_identities *identities, th_slice id);

#endif
