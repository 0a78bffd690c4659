/*
 * Arena: the memory of one Lua process.
 *
 * An arena is a chain of chunks. Its head stands at the base of the first chunk,
 * with the free lists and everything else the allocator knows, so that an arena of
 * one chunk is copied by copying its bytes and moving the pointers in them
 * (th_arena_new_copy; image.h makes what is copied). Chunks come in steps of a line
 * at first, for an idle process is to fit into a few of them; later ones grow with the
 * arena. Blocks above TH_ARENA_BLOCK_BYTES_MAX are malloc's, one by one. The limit
 * counts chunks and such blocks, which is what the process really holds. To end a
 * process is to free its arena: nobody walks the objects in it.
 *
 * Small chunks are slab blocks, which are recycled newest first, for memory that was
 * not touched before costs more than all the rest of a spawn.
 *
 * No call here passes a checkpoint: a process that is parked or killed never stands
 * inside its allocator.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_ARENA_H
#define TH_GUEST_LUA_ARENA_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>
#include <stdint.h>

#define TH_ARENA_FIRST_BYTES ((size_t)8 << 10)      /* a good first chunk */
#define TH_ARENA_BLOCK_BYTES_MAX ((size_t)32 << 10) /* of a block in a chunk */
#define TH_ARENA_CHUNK_BYTES_MAX ((size_t)1 << 20)

typedef struct th_arena th_arena;

/* --- Arenas ------------------------------------------------------------------- */

/*
 * An empty arena with a first chunk of @first_bytes, rounded up.
 *
 * Owner:   the caller, until th_arena_free.
 * Refuses: QUOTA, the first chunk is above @bytes_max or a chunk's limit.
 * Faults:  NOMEM.
 */
th_err th_arena_new(th_arena **out, size_t first_bytes, size_t bytes_max);

/* Drop everything in it at once. Takes NULL, returns NULL. */
th_arena *th_arena_free(th_arena *arena);

TH_AUTO_FREE(th_arena, th_arena_free)

/*
 * The allocator as Lua wants it (lua_Alloc); @arena is the arena. NULL means that
 * the limit is reached, or the machine's memory; the guest's error either way.
 */
void *th_arena_alloc(void *arena, void *block, size_t old_bytes, size_t bytes);

/*
 * Have @may_grow(@context, held, more) asked before the arena takes @more bytes of the
 * machine, beside its own limit. A copy of an arena has none.
 */
void th_arena_set_guard(th_arena *arena,
                        bool (*may_grow)(void *context, size_t held, size_t more),
                        void *context);

/* What is allocated, rounded up to classes. */
size_t th_arena_live_bytes(const th_arena *arena);

/* What the arena holds of the machine: this is what the limit counts. */
size_t th_arena_held_bytes(const th_arena *arena);

size_t th_arena_bytes_max(const th_arena *arena);

/* --- The seeds ---------------------------------------------------------------- */

/* All chance in a Lua state. It stands in the head, so a copy can be given its own. */
typedef struct th_arena_seeds {
    uint64_t dice;      /* the next number comes from here (splitmix64) */
    uint64_t random[4]; /* the state of math.random */
    uint32_t hash;      /* of strings; the same in all copies */
    uint32_t dice_used; /* numbers taken so far, not counting `random` */
    bool is_open;       /* math.random has its first state */
} th_arena_seeds;

th_arena_seeds *th_arena_seeds_of(th_arena *arena);

/* The next number of a splitmix64 sequence. */
uint64_t th_arena_dice(uint64_t *dice);

/* --- Copies ------------------------------------------------------------------- */

/*
 * An arena in @memory, which is the caller's, zeroed and aligned to 16. It never
 * grows: all blocks, large ones too, come from there. For the making of images;
 * it is forgotten by freeing the memory.
 */
th_arena *th_arena_init_fixed(void *memory, size_t bytes);

bool th_arena_is_fixed(const th_arena *arena);

/*
 * The same as th_arena_alloc, but every block is zeroed first. What is new must not
 * show remains of what was there: a byte written over a stale pointer leaves seven
 * that pass for a pointer.
 */
void *th_arena_alloc_zeroed(void *arena, void *block, size_t old_bytes, size_t bytes);

/*
 * Close a fixed arena: zero all that is free, and return how many bytes from the
 * base on are in use. Nothing is allocated in it any more. @is_free, zeroed and of an
 * element for each TH_ARENA_UNIT bytes of the arena, says what lies idle among them.
 */
#define TH_ARENA_UNIT ((size_t)16)
size_t th_arena_seal(th_arena *arena, bool *is_free);

/* Of a sealed arena: what a block of @bytes takes, and that one goes elsewhere. */
size_t th_arena_block_bytes(size_t bytes);
void th_arena_disown(th_arena *arena, size_t bytes);

/* A fixed arena, wherever it lies: what a copy is made from. Borrows. */
typedef struct th_arena_print {
    const uint64_t *words; /* pointers into the arena are counted from its base */
    const uint16_t *moves; /* which words are such pointers */
    size_t n_words;
    size_t n_moves;
} th_arena_print;

/*
 * A copy with some room to grow, in one chunk. Refuses and faults as th_arena_new.
 */
th_err th_arena_new_copy(th_arena **out, const th_arena_print *print, size_t bytes_max);

#endif
