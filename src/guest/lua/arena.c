#include "guest/lua/arena.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/slab.h"

#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TH_ARENA_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define TH_ARENA_ASAN
#endif

#ifdef TH_ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

/*
 * Blocks come in classes: steps of 16 bytes up to 512, then two steps for each
 * doubling up to 32 KiB, as tables grow. (Finer ones would make the head larger, which
 * every idle process pays.) A free block is on the list of its
 * class; when that list is empty, a block is cut from the region, which is the rest
 * of the newest chunk, or a large free block. Blocks are never joined again: what a
 * class once needed stays with the arena until it ends.
 */
#define ALIGN TH_ARENA_UNIT
#define SMALL_BYTES_MAX ((size_t)512)
#define SMALL_CLASSES 32
#define CLASSES 44
#define REGION_BYTES_MIN ((size_t)256) /* a free block to cut others from */
#define LINE_BYTES ((size_t)64)        /* chunks that are slab blocks: in steps of it */
#define STEPS_BYTES_MAX ((size_t)64 << 10) /* larger ones up to here: of 1 KiB */
#define GROW_BYTES_MIN ((size_t)1 << 10)   /* of a further chunk */
#define COPY_ROOM_BYTES ((size_t)512)      /* for what a copy allocates first */

typedef struct free_block {
    struct free_block *next;
} free_block;

typedef struct chunk {
    struct chunk *next; /* older, or NULL */
    size_t bytes;
} chunk;

typedef struct large {
    th_list node;
    size_t bytes; /* with this head */
    size_t unused;
} large;

/* Its own first chunk. Everything here is moved with a copy. */
struct th_arena {
    char *at; /* the region: at <= end, both aligned */
    char *end;
    free_block *free[CLASSES];
    size_t live_bytes;
    size_t held_bytes; /* <= bytes_max */
    size_t bytes_max;
    size_t first_bytes; /* the chunk in which this stands */
    chunk *chunks;      /* owned: the further ones, newest first */
    th_list large;      /* owned */
    th_arena_seeds seeds;
    bool is_fixed;
    bool (*may_grow)(void *context, size_t held, size_t more); /* or NULL */
    void *context;
};

_Static_assert(sizeof(chunk) % ALIGN == 0, "blocks follow the head of a chunk");
_Static_assert(sizeof(large) % ALIGN == 0, "a large block follows its head");

/* --- Chunks ------------------------------------------------------------------- */

static size_t chunk_round(size_t bytes)
{
    if (bytes <= TH_SLAB_BYTES_MAX) {
        return (bytes + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
    }
    if (bytes <= STEPS_BYTES_MAX) {
        return (bytes + 1023) & ~(size_t)1023;
    }
    return (size_t)1 << (64 - __builtin_clzl(bytes - 1));
}

/* @bytes is rounded. */
static void *chunk_get(size_t bytes)
{
    return bytes <= TH_SLAB_BYTES_MAX ? th_slab_new(bytes) : th_malloc(bytes);
}

static void chunk_put(void *memory, size_t bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    if (bytes <= TH_SLAB_BYTES_MAX) {
        th_slab_free(memory, bytes);
    } else {
        (void)th_free(memory);
    }
}

/* --- Classes of blocks -------------------------------------------------------- */

/* The smallest class that holds @bytes, 1 <= bytes <= TH_ARENA_BLOCK_BYTES_MAX. */
static inline size_t class_of(size_t bytes)
{
    size_t top;

    if (bytes <= SMALL_BYTES_MAX) {
        return (bytes - 1) / ALIGN;
    }
    top = 63 - (size_t)__builtin_clzl(bytes - 1);
    return SMALL_CLASSES + (top - 9) * 2 + (((bytes - 1) >> (top - 1)) & 1);
}

static inline size_t class_bytes(size_t class)
{
    size_t step = class - SMALL_CLASSES;

    if (class < SMALL_CLASSES) {
        return (class + 1) * ALIGN;
    }
    return ((step & 1) + 3) << (step / 2 + 8);
}

static inline void class_push(th_arena *arena, size_t class, void *block)
{
    free_block *head = block;

    head->next = arena->free[class];
    arena->free[class] = head;
    ASAN_POISON_MEMORY_REGION(block, class_bytes(class));
}

/* The list is not empty. */
static inline void *class_pop(th_arena *arena, size_t class)
{
    free_block *block = arena->free[class];

    ASAN_UNPOISON_MEMORY_REGION(block, class_bytes(class));
    arena->free[class] = block->next;
    return block;
}

/* Put a span, a multiple of ALIGN, on the lists in pieces as large as can be. */
static void span_put(th_arena *arena, char *at, size_t bytes)
{
    while (bytes > 0) {
        size_t class = CLASSES - 1;

        if (bytes < TH_ARENA_BLOCK_BYTES_MAX) {
            class = class_of(bytes);
            class -= class_bytes(class) > bytes;
        }
        ASAN_UNPOISON_MEMORY_REGION(at, sizeof(free_block));
        class_push(arena, class, at);
        at += class_bytes(class);
        bytes -= class_bytes(class);
    }
}

/* --- The region --------------------------------------------------------------- */

static void region_set(th_arena *arena, char *at, size_t bytes)
{
    span_put(arena, arena->at, (size_t)(arena->end - arena->at));
    arena->at = at;
    arena->end = at + bytes;
    ASAN_POISON_MEMORY_REGION(at, bytes);
}

/* Cut on from the largest free block of at least @bytes, if there is one. */
static bool region_reuse(th_arena *arena, size_t bytes)
{
    for (size_t class = CLASSES; class -- > 0;) {
        if (class_bytes(class) < bytes) {
            return false;
        }
        if (arena->free[class] != NULL) {
            region_set(arena, class_pop(arena, class), class_bytes(class));
            return true;
        }
    }
    return false;
}

static bool is_granted(const th_arena *arena, size_t more)
{
    return arena->may_grow == NULL ||
           arena->may_grow(arena->context, arena->held_bytes, more);
}

/* Cut on from a new chunk, if the limit and the machine permit one. */
static bool region_grow(th_arena *arena, size_t bytes)
{
    size_t left = arena->bytes_max - arena->held_bytes;
    size_t least = chunk_round(bytes + sizeof(chunk));
    size_t want = chunk_round(arena->held_bytes / 4 + 1); /* at most a half */
    chunk *more;

    want = want < GROW_BYTES_MIN ? GROW_BYTES_MIN : want;
    want = want > TH_ARENA_CHUNK_BYTES_MAX ? TH_ARENA_CHUNK_BYTES_MAX : want;
    want = want < least || want > left ? least : want;
    more = want > left || !is_granted(arena, want) ? NULL : chunk_get(want);
    if (more == NULL) {
        return false;
    }
    *more = (chunk){.next = arena->chunks, .bytes = want};
    arena->chunks = more;
    arena->held_bytes += want;
    region_set(arena, (char *)(more + 1), want - sizeof *more);
    return true;
}

/* Bring a region of at least @bytes about. */
static bool region_refill(th_arena *arena, size_t bytes)
{
    size_t least = bytes < REGION_BYTES_MIN ? REGION_BYTES_MIN : bytes;

    return region_reuse(arena, least) || region_grow(arena, bytes) ||
           region_reuse(arena, bytes);
}

/*
 * In a fixed arena every byte is in each copy: take the smallest free block that
 * will do and put back the rest of it, and only then cut from the region.
 */
static void *fixed_cut(th_arena *arena, size_t bytes)
{
    for (size_t class = class_of(bytes); class < CLASSES; class ++) {
        if (arena->free[class] != NULL) {
            char *block = class_pop(arena, class);

            span_put(arena, block + bytes, class_bytes(class) - bytes);
            return block;
        }
    }
    if (bytes > (size_t)(arena->end - arena->at)) {
        return NULL;
    }
    arena->at += bytes;
    return arena->at - bytes;
}

static void *region_cut(th_arena *arena, size_t bytes)
{
    char *block;

    if (arena->is_fixed) {
        return fixed_cut(arena, bytes);
    }
    if (bytes > (size_t)(arena->end - arena->at) && !region_refill(arena, bytes)) {
        return NULL;
    }
    block = arena->at;
    arena->at += bytes;
    return block;
}

/* --- Large blocks ------------------------------------------------------------- */

static bool is_in_first_chunk(const th_arena *arena, const void *block)
{
    return (uintptr_t)block - (uintptr_t)arena < arena->first_bytes;
}

static size_t large_bytes(size_t bytes)
{
    return (bytes + sizeof(large) + ALIGN - 1) & ~(ALIGN - 1);
}

/* A new block, or @old made larger or smaller; NULL leaves @old as it was. */
static void *large_resize(th_arena *arena, large *old, size_t bytes)
{
    size_t old_bytes = old == NULL ? 0 : old->bytes;
    large *block;

    if (bytes > arena->bytes_max ||
        large_bytes(bytes) > arena->bytes_max - arena->held_bytes + old_bytes) {
        return NULL;
    }
    if (large_bytes(bytes) > old_bytes &&
        !is_granted(arena, large_bytes(bytes) - old_bytes)) {
        return NULL;
    }
    if (old != NULL) {
        th_list_remove(&old->node);
    }
    block = th_realloc(old, large_bytes(bytes));
    if (block == NULL) {
        if (old != NULL) {
            th_list_push_first(&arena->large, &old->node);
        }
        return NULL;
    }
    block->bytes = large_bytes(bytes);
    th_list_push_first(&arena->large, &block->node);
    arena->held_bytes += block->bytes - old_bytes;
    arena->live_bytes += block->bytes - old_bytes;
    return block + 1;
}

static void *large_alloc(th_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + ALIGN - 1) & ~(ALIGN - 1);
    char *block;

    if (!arena->is_fixed) {
        return large_resize(arena, NULL, bytes);
    }
    if (rounded < bytes || rounded > (size_t)(arena->end - arena->at)) {
        return NULL;
    }
    block = arena->at;
    arena->at += rounded;
    arena->live_bytes += rounded;
    ASAN_UNPOISON_MEMORY_REGION(block, rounded);
    return block;
}

static void large_free(th_arena *arena, void *block, size_t bytes)
{
    large *head = (large *)block - 1;

    if (is_in_first_chunk(arena, block)) { /* it was allocated before the copy */
        size_t rounded = (bytes + ALIGN - 1) & ~(ALIGN - 1);

        arena->live_bytes -= rounded;
        span_put(arena, block, rounded);
        return;
    }
    arena->held_bytes -= head->bytes;
    arena->live_bytes -= head->bytes;
    th_list_remove(&head->node);
    (void)th_free(head);
}

/* --- The allocator ------------------------------------------------------------ */

static inline void *block_new(th_arena *arena, size_t bytes)
{
    size_t class;
    void *block;

    if (__builtin_expect(bytes > TH_ARENA_BLOCK_BYTES_MAX, 0)) {
        return large_alloc(arena, bytes);
    }
    class = class_of(bytes);
    if (arena->free[class] != NULL) {
        block = class_pop(arena, class);
    } else {
        block = region_cut(arena, class_bytes(class));
        if (block == NULL) {
            return NULL;
        }
    }
    arena->live_bytes += class_bytes(class);
    ASAN_POISON_MEMORY_REGION(block, class_bytes(class));
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
}

static inline void block_free(th_arena *arena, void *block, size_t bytes)
{
    size_t class;

    if (__builtin_expect(bytes > TH_ARENA_BLOCK_BYTES_MAX, 0)) {
        large_free(arena, block, bytes);
        return;
    }
    class = class_of(bytes);
    arena->live_bytes -= class_bytes(class);
    ASAN_UNPOISON_MEMORY_REGION(block, sizeof(free_block));
    class_push(arena, class, block);
}

static void *block_resize(th_arena *arena, void *block, size_t old_bytes, size_t bytes)
{
    size_t max = TH_ARENA_BLOCK_BYTES_MAX;
    void *moved;

    if (old_bytes <= max && bytes <= max && class_of(old_bytes) == class_of(bytes)) {
        ASAN_POISON_MEMORY_REGION(block, class_bytes(class_of(bytes)));
        ASAN_UNPOISON_MEMORY_REGION(block, bytes);
        return block;
    }
    if (old_bytes > max && bytes > max && !is_in_first_chunk(arena, block)) {
        return large_resize(arena, (large *)block - 1, bytes);
    }
    moved = block_new(arena, bytes);
    if (moved != NULL) {
        memcpy(moved, block, old_bytes < bytes ? old_bytes : bytes);
        block_free(arena, block, old_bytes);
    }
    return moved;
}

void *th_arena_alloc(void *arena, void *block, size_t old_bytes, size_t bytes)
{
    if (block == NULL) {
        return bytes == 0 ? NULL : block_new(arena, bytes);
    }
    if (bytes == 0) {
        block_free(arena, block, old_bytes);
        return NULL;
    }
    return block_resize(arena, block, old_bytes, bytes);
}

void *th_arena_alloc_zeroed(void *arena, void *block, size_t old_bytes, size_t bytes)
{
    size_t whole = bytes;
    void *moved;

    if (bytes == 0) {
        return th_arena_alloc(arena, block, old_bytes, 0);
    }
    if (bytes <= TH_ARENA_BLOCK_BYTES_MAX) {
        whole = class_bytes(class_of(bytes));
    }
    moved = block_new(arena, whole);
    if (moved == NULL) {
        return NULL;
    }
    memset(moved, 0, whole);
    if (block != NULL) {
        memcpy(moved, block, old_bytes < bytes ? old_bytes : bytes);
        block_free(arena, block, old_bytes);
    }
    return moved;
}

/* --- Arenas ------------------------------------------------------------------- */

static th_arena *arena_init(void *memory, size_t bytes, size_t bytes_max)
{
    size_t head = (sizeof(th_arena) + ALIGN - 1) & ~(ALIGN - 1);
    th_arena *arena = memory;

    memset(arena, 0, sizeof *arena);
    arena->held_bytes = bytes;
    arena->bytes_max = bytes_max;
    arena->first_bytes = bytes;
    arena->at = (char *)memory + head;
    arena->end = (char *)memory + bytes;
    th_list_init(&arena->large);
    ASAN_POISON_MEMORY_REGION(arena->at, bytes - head);
    return arena;
}

/* Refuse or allocate a first chunk of @bytes, which is rounded up. */
static th_err first_chunk(void **out, size_t *bytes, size_t bytes_max)
{
    void *memory;

    if (*bytes > TH_ARENA_CHUNK_BYTES_MAX || chunk_round(*bytes) > bytes_max) {
        return TH_QUOTA;
    }
    *bytes = chunk_round(*bytes);
    memory = chunk_get(*bytes);
    if (memory == NULL) {
        return th_fault(TH_NOMEM, "an arena of %zu bytes", *bytes);
    }
    *out = memory;
    return TH_OK;
}

th_err th_arena_new(th_arena **out, size_t first_bytes, size_t bytes_max)
{
    size_t bytes = first_bytes < 1024 ? 1024 : first_bytes;
    void *memory = NULL;
    th_err err = first_chunk(&memory, &bytes, bytes_max);

    if (err != TH_OK) {
        return err;
    }
    *out = arena_init(memory, bytes, bytes_max);
    return TH_OK;
}

th_arena *th_arena_free(th_arena *arena)
{
    chunk *more;
    th_list *node;

    if (arena == NULL) {
        return NULL;
    }
    while ((node = th_list_pop(&arena->large)) != NULL) {
        (void)th_free(th_container_of(node, large, node));
    }
    while ((more = arena->chunks) != NULL) {
        arena->chunks = more->next;
        chunk_put(more, more->bytes);
    }
    chunk_put(arena, arena->first_bytes);
    return NULL;
}

void th_arena_set_guard(th_arena *arena,
                        bool (*may_grow)(void *context, size_t held, size_t more),
                        void *context)
{
    arena->may_grow = may_grow;
    arena->context = context;
}

size_t th_arena_live_bytes(const th_arena *arena)
{
    return arena->live_bytes;
}

size_t th_arena_held_bytes(const th_arena *arena)
{
    return arena->held_bytes;
}

size_t th_arena_bytes_max(const th_arena *arena)
{
    return arena->bytes_max;
}

th_arena_seeds *th_arena_seeds_of(th_arena *arena)
{
    return &arena->seeds;
}

uint64_t th_arena_dice(uint64_t *dice)
{
    uint64_t n = (*dice += UINT64_C(0x9e3779b97f4a7c15));

    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ^ (n >> 31);
}

/* --- Copies ------------------------------------------------------------------- */

th_arena *th_arena_init_fixed(void *memory, size_t bytes)
{
    th_arena *arena;

    th_assert((uintptr_t)memory % ALIGN == 0 && bytes % ALIGN == 0);
    arena = arena_init(memory, bytes, bytes);
    arena->is_fixed = true;
    return arena;
}

bool th_arena_is_fixed(const th_arena *arena)
{
    return arena->is_fixed;
}

size_t th_arena_seal(th_arena *arena, bool *is_free)
{
    th_assert(arena->is_fixed);
    ASAN_UNPOISON_MEMORY_REGION(arena, arena->first_bytes);
    for (size_t class = 0; class < CLASSES; class ++) {
        while (arena->free[class] != NULL) {
            char *block = class_pop(arena, class);

            memset(block, 0, class_bytes(class));
            memset(is_free + (size_t)(block - (char *)arena) / ALIGN, true,
                   class_bytes(class) / ALIGN);
        }
    }
    arena->end = arena->at; /* what lies behind was never used */
    return (size_t)(arena->at - (char *)arena);
}

size_t th_arena_block_bytes(size_t bytes)
{
    return bytes <= TH_ARENA_BLOCK_BYTES_MAX ? class_bytes(class_of(bytes))
                                             : (bytes + ALIGN - 1) & ~(ALIGN - 1);
}

void th_arena_disown(th_arena *arena, size_t bytes)
{
    arena->live_bytes -= th_arena_block_bytes(bytes);
}

/* A copy of a fixed arena becomes one that may grow. */
static void unfix(th_arena *arena, size_t bytes, size_t bytes_max)
{
    arena->end = (char *)arena + bytes;
    arena->first_bytes = bytes;
    arena->held_bytes = bytes;
    arena->bytes_max = bytes_max;
    arena->is_fixed = false;
    ASAN_POISON_MEMORY_REGION(arena->at, (size_t)(arena->end - arena->at));
}

th_err th_arena_new_copy(th_arena **out, const th_arena_print *print, size_t bytes_max)
{
    size_t bytes = print->n_words * sizeof(uint64_t) + COPY_ROOM_BYTES;
    void *memory = NULL;
    th_err err = first_chunk(&memory, &bytes, bytes_max);
    uint64_t *words = memory;

    if (err != TH_OK) {
        return err;
    }
    memcpy(words, print->words, print->n_words * sizeof *words);
    for (size_t i = 0; i < print->n_moves; i++) {
        words[print->moves[i]] += (uint64_t)(uintptr_t)memory;
    }
    unfix(memory, bytes, bytes_max);
    *out = memory;
    return TH_OK;
}
