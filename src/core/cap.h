/*
 * Capability: a right that a process issued and others hold (text 000).
 *
 * It is its issuer and its params, a text that holds JSON. It cannot be forged,
 * because it is not a text: who holds it has a reference to this object, and only
 * an issuer makes one. Equal ones of one issuer are one object while somebody holds
 * it, so that having a right is having a pointer.
 *
 * A capability is immutable but for its revocation, which is a flag that all copies
 * share. An issuer is one identity in one life; its own flag revokes everything that
 * it ever issued.
 *
 * Params are equal when they are the same JSON value: order of keys, spacing and
 * escapes do not matter, 1 and 1.0 differ. What this node cannot read as JSON (keys
 * twice, integers beyond 64 bits, more than TH_CAP_DEPTH_MAX levels, too) is equal
 * to the same bytes and to nothing else.
 *
 * Thread: any, but for th_capset, which is its owner's.
 */
#ifndef TH_CORE_CAP_H
#define TH_CORE_CAP_H

#include "base/bytes.h"
#include "base/own.h"
#include "core/id.h"

#define TH_CAP_PARAMS_BYTES_MAX 65536
#define TH_CAP_DEPTH_MAX 64

/* Different capabilities of one issuer that are alive at a time. */
#define TH_ISSUER_CAPS_MAX 16384

/* What a process may hold; a list takes all of it. */
#define TH_CAPSET_MAX 4096
#define TH_CAPS_MAX TH_CAPSET_MAX
#define TH_CAPSET_BYTES_MAX ((size_t)4 << 20) /* of their th_cap_bytes */

/* The params that allow to send to their issuer, and those of the kernel's network. */
#define TH_CAP_MESSAGING TH_SLICE("\"messaging\"")
#define TH_CAP_NETWORK TH_SLICE("\"network\"")

/* --- Issuers ---------------------------------------------------------------------- */

typedef struct th_issuer th_issuer;

/*
 * @id is "process:package:publisher", or "node@process:package:publisher" for one
 * elsewhere; at most TH_ID_TEXT_BYTES. NULL when memory runs out.
 */
th_issuer *th_issuer_new(th_slice id);
th_issuer *th_issuer_ref(th_issuer *issuer);   /* takes NULL */
th_issuer *th_issuer_unref(th_issuer *issuer); /* takes NULL, returns NULL */

th_slice th_issuer_id(const th_issuer *issuer);

/* Take back everything that it issued, in all hands, for good: its life is over. */
void th_issuer_revoke(th_issuer *issuer);
bool th_issuer_is_revoked(const th_issuer *issuer);

/* --- Capabilities ----------------------------------------------------------------- */

typedef struct th_cap th_cap;

/*
 * A reference to the capability of @issuer with these @params: the same object for
 * equal ones while it is alive and not revoked.
 *
 * NULL when memory runs out, @params have more than TH_CAP_PARAMS_BYTES_MAX, @issuer
 * has TH_ISSUER_CAPS_MAX others or is revoked.
 */
th_cap *th_cap_issue(th_issuer *issuer, th_slice params);
th_cap *th_cap_ref(th_cap *cap);   /* takes NULL */
th_cap *th_cap_unref(th_cap *cap); /* takes NULL, returns NULL */

th_slice th_cap_params(const th_cap *cap); /* the text as it was first given */
th_issuer *th_cap_issuer(const th_cap *cap);

/* Take this one back, in all hands. The next issue of equal params is a new object. */
void th_cap_revoke(th_cap *cap);

/* Is neither it nor its issuer revoked? */
bool th_cap_is_valid(const th_cap *cap);
bool th_cap_is_messaging(const th_cap *cap);

/* What it costs who holds it. */
size_t th_cap_bytes(const th_cap *cap);

/* Is it the one of that issuer, with equal params? False, too, when memory runs out. */
bool th_cap_is(const th_cap *cap, th_slice issuer, th_slice params);

/*
 * What to look for, when many are compared with one: the params are read once.
 *
 * Refuses: QUOTA, memory ran out. INVALID, no capability has so long params.
 */
typedef struct th_cap_key {
    th_slice issuer; /* borrowed, as params */
    th_slice params;
    th_buf canonical; /* owned */
} th_cap_key;

th_err th_cap_key_init(th_cap_key *key, th_slice issuer, th_slice params);
void th_cap_key_deinit(th_cap_key *key);
bool th_cap_matches(const th_cap *cap, const th_cap_key *key);

/* --- Lists ------------------------------------------------------------------------ */

/* What a message carries: immutable, counted; it may be empty. */
typedef struct th_caps th_caps;

/*
 * A list that refers to each of @caps, or NULL: memory ran out, or n > TH_CAPS_MAX.
 */
th_caps *th_caps_new(th_cap *const *caps, size_t n);
th_caps *th_caps_ref(th_caps *caps);   /* takes NULL */
th_caps *th_caps_unref(th_caps *caps); /* takes NULL, returns NULL */

size_t th_caps_count(const th_caps *caps);             /* 0 for NULL */
th_cap *th_caps_at(const th_caps *caps, size_t index); /* borrowed */
size_t th_caps_bytes(const th_caps *caps); /* what it costs who holds it; 0 for NULL */

/* The valid one that is meant by @key, borrowed, or NULL. */
th_cap *th_caps_match(const th_caps *caps, const th_cap_key *key);

/* --- Sets ------------------------------------------------------------------------- */

/*
 * What one process holds. Revoked ones are never found or told and go when there is
 * an occasion. Empty, it holds no memory; the order is that of the adding.
 *
 * Thread: owner.
 */
typedef struct th_capset {
    struct th_capset_slot *slots; /* owned, in order; NULL when there is none */
    uint16_t *index;              /* owned; of a large set: where in slots, from 1 */
    uint32_t count;               /* slots in use, <= TH_CAPSET_MAX */
    uint32_t room;
    uint32_t index_room; /* a power of two, or 0 */
    size_t bytes;        /* of what is held, <= TH_CAPSET_BYTES_MAX */
} th_capset;

void th_capset_init(th_capset *set);
void th_capset_deinit(th_capset *set); /* empty and usable again afterwards */

/*
 * Hold @cap, too. OK as well when it does so already, or when @cap is revoked (then
 * nothing is held).
 *
 * Refuses: QUOTA, a bound of what it holds is reached, or memory ran out.
 */
th_err th_capset_add(th_capset *set, th_cap *cap);

/* Hold it no longer. Was it held? */
bool th_capset_drop(th_capset *set, const th_cap *cap);
void th_capset_drop_messaging(th_capset *set, const th_issuer *issuer);

bool th_capset_has(const th_capset *set, const th_cap *cap);

/* May its owner send to @issuer? For each send: a few nanoseconds. */
bool th_capset_has_messaging(const th_capset *set, const th_issuer *issuer);

/* The one of that issuer (of any life) with equal params, borrowed, or NULL. */
th_cap *th_capset_find(const th_capset *set, th_slice issuer, th_slice params);
th_cap *th_capset_match(const th_capset *set, const th_cap_key *key);

/* The valid ones. False of @each ends it; @each may not change the set. */
typedef bool th_capset_visit(void *context, th_cap *cap);
void th_capset_each(const th_capset *set, th_capset_visit *each, void *context);
size_t th_capset_count(const th_capset *set);

/* The valid ones as a list; NULL: memory ran out. */
th_caps *th_capset_list(const th_capset *set);

TH_AUTO_FREE(th_issuer, th_issuer_unref)
TH_AUTO_FREE(th_cap, th_cap_unref)
TH_AUTO_FREE(th_caps, th_caps_unref)

#endif
