#include "base/slab.h"

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLAB_IS_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLAB_IS_MALLOC 1
#endif

#ifdef SLAB_IS_MALLOC

void *th_slab_new(size_t bytes)
{
    return th_mem_refuses() ? NULL : malloc(bytes);
}

void th_slab_free(void *block, size_t bytes)
{
    (void)bytes;
    free(block);
}

void th_slab_flush(void)
{
}

uint64_t th_slab_bytes(void)
{
    return 0;
}

#else

#define CLASS_BYTES 64
#define CLASSES (TH_SLAB_BYTES_MAX / CLASS_BYTES)
#define CHUNK_BYTES ((size_t)65536)
#define CHUNKS_AT_ONCE 16     /* mapped together: 1 MiB */
#define CHUNK_HEAD_BYTES 4096 /* of an emptied chunk: not given back */
#define NARROW 16 /* classes of up to 1 KiB; their blocks stay what they are */
#define WIDE (CLASSES - NARROW)
#define EMPTY_MAX 16 /* chunks of a wide class that are kept though they are empty */
#define BATCH 32     /* blocks of one owner that are sent home together */
#define HEAPS_MAX 256

typedef struct block {
    struct block *next;
} block;

typedef struct heap heap;

/*
 * At the head of each chunk, found from a block by masking. Blocks of a narrow class
 * are all in one list of the heap. Those of a wide class are in a list for each chunk,
 * for that is given back to the system when all of it is free.
 */
typedef struct chunk {
    heap *owner;
    th_list link; /* of a wide class: in heap.wide if it has a free block */
    block *free;
    unsigned used;
    struct chunk *next; /* in heap.emptied */
} chunk;

_Static_assert(sizeof(chunk) <= CLASS_BYTES, "blocks follow the head of a chunk");

/* Blocks of another heap that this thread freed. */
typedef struct parcel {
    heap *owner;
    block *first, *last;
    unsigned count;
    unsigned class;
} parcel;

#define PARCELS 16

struct heap {
    /* Thread: owner. */
    block *free[NARROW];
    th_list wide[WIDE];      /* chunk.link, newest first */
    unsigned empty[WIDE];    /* of them, those of which no block is used */
    chunk *emptied;          /* chunks without a class; their memory was given back */
    char *fresh, *fresh_end; /* chunks that were mapped and not cut */
    parcel parcels[PARCELS];

    /* Thread: any. */
    _Alignas(64) _Atomic(block *) home[CLASSES]; /* came back from others */
    _Atomic bool taken;
};

static heap heaps[HEAPS_MAX];
static _Atomic uint64_t mapped;
static __thread heap *own;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A thread that ends leaves its heap, with all that is in it, to the next. */
static void leave(void *held)
{
    heap *left = held;

    th_slab_flush();
    own = NULL;
    atomic_store(&left->taken, false);
}

static void make_key(void)
{
    th_assert(pthread_key_create(&key, leave) == 0);
}

static void init_wide(heap *mine)
{
    for (int i = 0; mine->wide[0].next == NULL || i > 0; i++) {
        if (i == WIDE) {
            return;
        }
        th_list_init(&mine->wide[i]);
    }
}

static heap *join(void)
{
    pthread_once(&once, make_key);
    for (int i = 0; i < HEAPS_MAX; i++) {
        bool taken = false;

        if (atomic_compare_exchange_strong(&heaps[i].taken, &taken, true)) {
            own = &heaps[i];
            init_wide(own);
            pthread_setspecific(key, own);
            return own;
        }
    }
    return NULL;
}

static bool map_chunks(heap *mine)
{
    size_t bytes = (CHUNKS_AT_ONCE + 1) * CHUNK_BYTES;
    char *map =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED) {
        return false;
    }
    mine->fresh = (char *)(((uintptr_t)map + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1));
    mine->fresh_end = mine->fresh + CHUNKS_AT_ONCE * CHUNK_BYTES;
    atomic_fetch_add_explicit(&mapped, bytes, memory_order_relaxed);
    return true;
}

/* A chunk without a class, or NULL. Its pages are made at once, which is cheaper. */
static chunk *new_chunk(heap *mine)
{
    chunk *got = mine->emptied;

    if (got != NULL) {
        mine->emptied = got->next;
        atomic_fetch_add_explicit(&mapped, CHUNK_BYTES, memory_order_relaxed);
    } else if (mine->fresh != mine->fresh_end || map_chunks(mine)) {
        got = (chunk *)(void *)mine->fresh;
        mine->fresh += CHUNK_BYTES;
    } else {
        return NULL;
    }
#ifdef MADV_POPULATE_WRITE
    (void)madvise(got, CHUNK_BYTES, MADV_POPULATE_WRITE);
#endif
    got->owner = mine;
    return got;
}

/* Its blocks of @class in a list, before @rest. */
static block *cut(chunk *whole, unsigned class, block *rest)
{
    size_t bytes = (class + 1) * CLASS_BYTES;
    char *at = (char *)whole;

    for (size_t left = (CHUNK_BYTES - CLASS_BYTES) / bytes; left > 0; left--) {
        block *made = (block *)(void *)(at + CLASS_BYTES + (left - 1) * bytes);

        made->next = rest;
        rest = made;
    }
    return rest;
}

static chunk *chunk_of(void *block_at)
{
    return (chunk *)((uintptr_t)block_at & ~(CHUNK_BYTES - 1));
}

/* Free blocks of @class: those that came home, else new ones. */
static bool refill(heap *mine, unsigned class)
{
    chunk *more;

    mine->free[class] = atomic_exchange(&mine->home[class], NULL);
    if (mine->free[class] != NULL) {
        return true;
    }
    more = new_chunk(mine);
    if (more == NULL) {
        return false;
    }
    mine->free[class] = cut(more, class, NULL);
    return true;
}

/* --- Wide classes --------------------------------------------------------------- */

static void empty_chunk(heap *mine, chunk *whole)
{
    th_list_remove(&whole->link);
    (void)madvise((char *)whole + CHUNK_HEAD_BYTES, CHUNK_BYTES - CHUNK_HEAD_BYTES,
                  MADV_DONTNEED);
    whole->next = mine->emptied;
    mine->emptied = whole;
    atomic_fetch_sub_explicit(&mapped, CHUNK_BYTES, memory_order_relaxed);
}

static void free_wide(heap *mine, unsigned class, block *freed)
{
    chunk *its = chunk_of(freed);

    if (its->free == NULL) {
        th_list_push_first(&mine->wide[class - NARROW], &its->link);
    }
    freed->next = its->free;
    its->free = freed;
    if (--its->used > 0) {
        return;
    }
    if (mine->empty[class - NARROW] < EMPTY_MAX) {
        mine->empty[class - NARROW]++;
    } else {
        empty_chunk(mine, its);
    }
}

/* As for narrow ones: first what came home. */
static bool refill_wide(heap *mine, unsigned class)
{
    block *home = atomic_exchange(&mine->home[class], NULL);
    chunk *more;

    if (home != NULL) {
        while (home != NULL) {
            block *next = home->next;

            free_wide(mine, class, home);
            home = next;
        }
        return true;
    }
    more = new_chunk(mine);
    if (more == NULL) {
        return false;
    }
    more->free = cut(more, class, NULL);
    more->used = 0;
    mine->empty[class - NARROW]++;
    th_list_push_first(&mine->wide[class - NARROW], &more->link);
    return true;
}

static void *new_wide(heap *mine, unsigned class)
{
    th_list *chunks = &mine->wide[class - NARROW];
    chunk *from;
    block *got;

    if (th_list_is_empty(chunks) && !refill_wide(mine, class)) {
        return NULL;
    }
    from = th_container_of(chunks->next, chunk, link);
    got = from->free;
    from->free = got->next;
    mine->empty[class - NARROW] -= from->used++ == 0;
    if (from->free == NULL) {
        th_list_remove(&from->link);
    }
    return got;
}

/* --- Blocks --------------------------------------------------------------------- */

void *th_slab_new(size_t bytes)
{
    unsigned class = bytes == 0 ? 0 : (unsigned)((bytes - 1) / CLASS_BYTES);
    heap *mine = own;
    block *got;

    if (th_mem_refuses()) {
        return NULL;
    }
    if (bytes > TH_SLAB_BYTES_MAX) {
        return malloc(bytes);
    }
    if (mine == NULL && (mine = join()) == NULL) {
        return NULL;
    }
    if (class >= NARROW) {
        return new_wide(mine, class);
    }
    if (mine->free[class] == NULL && !refill(mine, class)) {
        return NULL;
    }
    got = mine->free[class];
    mine->free[class] = got->next;
    return got;
}

static void send_home(parcel *full)
{
    _Atomic(block *) *home;
    block *first;

    if (full->count == 0) {
        return;
    }
    home = &full->owner->home[full->class];
    first = atomic_load_explicit(home, memory_order_relaxed);
    do {
        full->last->next = first;
    } while (!atomic_compare_exchange_weak(home, &first, full->first));
    full->count = 0;
}

static void free_foreign(heap *mine, heap *owner, unsigned class, block *freed)
{
    parcel *into = &mine->parcels[class % PARCELS];

    if (into->count > 0 &&
        (into->owner != owner || into->class != class || into->count >= BATCH)) {
        send_home(into);
    }
    if (into->count == 0) {
        into->owner = owner;
        into->class = class;
        into->last = freed;
        into->first = NULL;
    }
    freed->next = into->first;
    into->first = freed;
    into->count++;
}

void th_slab_free(void *at, size_t bytes)
{
    unsigned class = bytes == 0 ? 0 : (unsigned)((bytes - 1) / CLASS_BYTES);
    block *freed = at;
    heap *mine = own;
    heap *owner;

    if (at == NULL) {
        return;
    }
    if (bytes > TH_SLAB_BYTES_MAX) {
        free(at);
        return;
    }
    owner = chunk_of(at)->owner;
    if (owner == mine && class >= NARROW) {
        free_wide(mine, class, freed);
        return;
    }
    if (owner == mine) {
        freed->next = mine->free[class];
        mine->free[class] = freed;
        return;
    }
    if (mine == NULL && (mine = join()) == NULL) {
        parcel alone = {owner, freed, freed, 1, class};

        send_home(&alone);
        return;
    }
    free_foreign(mine, owner, class, freed);
}

void th_slab_flush(void)
{
    if (own != NULL) {
        for (int i = 0; i < PARCELS; i++) {
            send_home(&own->parcels[i]);
        }
    }
}

uint64_t th_slab_bytes(void)
{
    return atomic_load_explicit(&mapped, memory_order_relaxed);
}

#endif
