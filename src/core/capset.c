#include "core/cap.h"

#include "base/mem.h"

/*
 * A set is an array in the order of the adding, since what a guest may list has no
 * order of addresses. One word of each slot is its key: the issuer for the right to
 * send to it, of which there is one, and the capability itself for all others. So both
 * questions, has it this one and may it send there, are a search for a word: through
 * the array while that is short, by an index of hashed positions when it is long.
 */

typedef struct th_capset_slot {
    const void *key;
    th_cap *cap; /* held */
} slot;

#define SCAN_MAX 16 /* slots that are faster read than hashed */
#define NOWHERE UINT32_MAX

static const void *key_of(const th_cap *cap)
{
    return th_cap_is_messaging(cap) ? (const void *)th_cap_issuer(cap) : cap;
}

void th_capset_init(th_capset *set)
{
    *set = (th_capset){0};
}

void th_capset_deinit(th_capset *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        th_cap_unref(set->slots[i].cap);
    }
    th_free(set->slots);
    th_free(set->index);
    th_capset_init(set);
}

/* --- Where a key is --------------------------------------------------------------- */

static uint32_t hash_of(const void *key)
{
    uint64_t h = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;

    return (uint32_t)(h >> 32);
}

static uint32_t search_index(const th_capset *set, const void *key)
{
    uint32_t mask = set->index_room - 1;

    for (uint32_t i = hash_of(key) & mask; set->index[i] != 0; i = (i + 1) & mask) {
        uint32_t at = set->index[i] - 1u;

        if (set->slots[at].key == key) {
            return at;
        }
    }
    return NOWHERE;
}

static uint32_t search(const th_capset *set, const void *key)
{
    if (set->index != NULL) {
        return search_index(set, key);
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->slots[i].key == key) {
            return i;
        }
    }
    return NOWHERE;
}

static void put_index(th_capset *set, uint32_t at)
{
    uint32_t mask = set->index_room - 1;
    uint32_t i = hash_of(set->slots[at].key) & mask;

    while (set->index[i] != 0) {
        i = (i + 1) & mask;
    }
    set->index[i] = (uint16_t)(at + 1);
}

static void fill_index(th_capset *set)
{
    memset(set->index, 0, set->index_room * sizeof *set->index);
    for (uint32_t i = 0; i < set->count; i++) {
        put_index(set, i);
    }
}

/* --- Changing --------------------------------------------------------------------- */

/* Close the gaps that slots without a capability are. */
static void close_gaps(th_capset *set)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        if (set->slots[i].cap != NULL) {
            set->slots[kept++] = set->slots[i];
        }
    }
    set->count = kept;
    if (set->index != NULL) {
        fill_index(set);
    }
}

/* Leave a gap. */
static void give_up(th_capset *set, uint32_t at)
{
    th_cap *cap = set->slots[at].cap;

    set->slots[at].cap = NULL;
    set->bytes -= th_cap_bytes(cap);
    th_cap_unref(cap);
}

static void purge(th_capset *set)
{
    bool has_gaps = false;

    for (uint32_t i = 0; i < set->count; i++) {
        if (!th_cap_is_valid(set->slots[i].cap)) {
            give_up(set, i);
            has_gaps = true;
        }
    }
    if (has_gaps) {
        close_gaps(set);
    }
}

/* Room for one slot more, or no change. */
static bool grow(th_capset *set)
{
    uint32_t room = set->room == 0 ? 4 : set->room * 2;
    uint16_t *index = NULL;
    slot *slots;

    if (room > SCAN_MAX) {
        index = th_calloc((size_t)room * 2, sizeof *index);
        if (index == NULL) {
            return false;
        }
    }
    slots = th_realloc(set->slots, room * sizeof *slots);
    if (slots == NULL) {
        th_free(index);
        return false;
    }
    set->slots = slots;
    set->room = room;
    if (index != NULL) {
        th_free(set->index);
        set->index = index;
        set->index_room = room * 2;
        fill_index(set);
    }
    return true;
}

static bool has_room(th_capset *set, size_t bytes)
{
    if (set->count < set->room && bytes <= TH_CAPSET_BYTES_MAX - set->bytes) {
        return true;
    }
    purge(set);
    return set->count < TH_CAPSET_MAX && bytes <= TH_CAPSET_BYTES_MAX - set->bytes &&
           (set->count < set->room || grow(set));
}

th_err th_capset_add(th_capset *set, th_cap *cap)
{
    uint32_t at = search(set, key_of(cap));

    if (!th_cap_is_valid(cap)) {
        return TH_OK;
    }
    if (at != NOWHERE && set->slots[at].cap == cap) {
        return TH_OK;
    }
    if (at != NOWHERE) { /* an older one, revoked, to send to the same issuer */
        give_up(set, at);
        close_gaps(set);
    }
    if (!has_room(set, th_cap_bytes(cap))) {
        return TH_QUOTA;
    }
    set->slots[set->count] = (slot){key_of(cap), th_cap_ref(cap)};
    set->bytes += th_cap_bytes(cap);
    set->count++;
    if (set->index != NULL) {
        put_index(set, set->count - 1);
    }
    return TH_OK;
}

bool th_capset_drop(th_capset *set, const th_cap *cap)
{
    uint32_t at = search(set, key_of(cap));
    bool was_held = at != NOWHERE && set->slots[at].cap == cap && th_cap_is_valid(cap);

    if (at != NOWHERE && set->slots[at].cap == cap) {
        give_up(set, at);
        close_gaps(set);
    }
    return was_held;
}

void th_capset_drop_messaging(th_capset *set, const th_issuer *issuer)
{
    uint32_t at = search(set, issuer);

    if (at != NOWHERE) {
        give_up(set, at);
        close_gaps(set);
    }
}

/* --- Asking ----------------------------------------------------------------------- */

bool th_capset_has(const th_capset *set, const th_cap *cap)
{
    uint32_t at = search(set, key_of(cap));

    return at != NOWHERE && set->slots[at].cap == cap && th_cap_is_valid(cap);
}

bool th_capset_has_messaging(const th_capset *set, const th_issuer *issuer)
{
    uint32_t at = search(set, issuer);

    return at != NOWHERE && th_cap_is_valid(set->slots[at].cap);
}

th_cap *th_capset_match(const th_capset *set, const th_cap_key *key)
{
    for (uint32_t i = 0; i < set->count; i++) {
        th_cap *cap = set->slots[i].cap;

        if (th_cap_matches(cap, key) && th_cap_is_valid(cap)) {
            return cap;
        }
    }
    return NULL;
}

th_cap *th_capset_find(const th_capset *set, th_slice issuer, th_slice params)
{
    th_cap *found;
    th_cap_key key;

    if (th_cap_key_init(&key, issuer, params) != TH_OK) {
        return NULL;
    }
    found = th_capset_match(set, &key);
    th_cap_key_deinit(&key);
    return found;
}

void th_capset_each(const th_capset *set, th_capset_visit *each, void *context)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (th_cap_is_valid(set->slots[i].cap) && !each(context, set->slots[i].cap)) {
            return;
        }
    }
}

size_t th_capset_count(const th_capset *set)
{
    size_t n = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        n += th_cap_is_valid(set->slots[i].cap);
    }
    return n;
}

typedef struct collected {
    th_cap **all;
    size_t count;
} collected;

static bool collect(void *context, th_cap *cap)
{
    collected *into = context;

    into->all[into->count++] = cap;
    return true;
}

th_caps *th_capset_list(const th_capset *set)
{
    collected into = {th_calloc(set->count + 1, sizeof(th_cap *)), 0};
    th_caps *caps;

    if (into.all == NULL) {
        return NULL;
    }
    th_capset_each(set, collect, &into);
    caps = th_caps_new(into.all, into.count);
    th_free(into.all);
    return caps;
}
