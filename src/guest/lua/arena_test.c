#include "base/test.h"

#include "guest/lua/arena.h"

#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#endif

#define MB ((size_t)1 << 20)

static void *get(th_arena *arena, size_t bytes)
{
    return th_arena_alloc(arena, NULL, 0, bytes);
}

static void give(th_arena *arena, void *block, size_t bytes)
{
    T_NULL(th_arena_alloc(arena, block, bytes, 0));
}

TEST(arena, new_gives_everything_back_when_memory_runs_out)
{
    th_arena *arena = NULL;

    th_mem_fail_after(0);
    T_EQ(th_arena_new(&arena, 1024, MB), TH_NOMEM);
    T_NULL(arena);
    th_mem_fail_never();
    T_EQ(th_arena_new(&arena, 1024, MB), TH_OK);
    th_mem_fail_after(0);
    T_NULL(get(arena, 2000));
    T_NULL(get(arena, 50000));
    th_mem_fail_never();
    T_NOT_NULL(get(arena, 2000));
    T_NULL(th_arena_free(arena));
}

TEST(arena, a_first_chunk_above_the_limit_is_refused)
{
    th_arena *arena = NULL;

    T_EQ(th_arena_new(&arena, 4096, 4095), TH_QUOTA);
    T_EQ(th_arena_new(&arena, 2 * MB, 64 * MB), TH_QUOTA);
    T_EQ(th_arena_new(&arena, 1, 1023), TH_QUOTA);
    T_NULL(arena);
    T_NULL(th_arena_free(NULL));
}

TEST(arena, blocks_of_every_size_are_aligned_apart_and_counted)
{
    th_auto(th_arena) arena = NULL;
    size_t live;

    T_EQ(th_arena_new(&arena, TH_ARENA_FIRST_BYTES, 256 * MB), TH_OK);
    for (size_t bytes = 1; bytes < 100000; bytes += 1 + bytes / 7) {
        unsigned char *a = get(arena, bytes);
        unsigned char *b = get(arena, bytes);

        T_NOT_NULL(a);
        T_NOT_NULL(b);
        T_EQ((uintptr_t)a % 16, 0);
        T_EQ((uintptr_t)b % 16, 0);
        memset(a, 1, bytes);
        memset(b, 2, bytes);
        T_EQ(a[0] + a[bytes - 1], 2);
        live = th_arena_live_bytes(arena);
        give(arena, a, bytes);
        give(arena, b, bytes);
        T_TRUE(live - th_arena_live_bytes(arena) >= 2 * bytes);
        T_TRUE(live - th_arena_live_bytes(arena) <= 3 * bytes + 100);
        T_TRUE(th_arena_held_bytes(arena) <= th_arena_bytes_max(arena));
    }
    T_EQ(th_arena_live_bytes(arena), 0);
}

TEST(arena, a_freed_block_is_the_next_of_its_size)
{
    th_auto(th_arena) arena = NULL;
    void *block;

    T_EQ(th_arena_new(&arena, 4096, MB), TH_OK);
    block = get(arena, 100);
    (void)get(arena, 100);
    give(arena, block, 100);
    T_TRUE(get(arena, 112) == block);
    T_TRUE(get(arena, 112) != block);
}

/* A model of what the arena holds, to be compared with it. */
typedef struct held {
    unsigned char *at;
    size_t bytes;
    unsigned char mark;
} held;

static void check_marks(const held *block)
{
    for (size_t i = 0; i < block->bytes; i += 1 + block->bytes / 16) {
        T_EQ(block->at[i], block->mark);
    }
}

TEST(arena, content_survives_any_sequence_of_new_resize_and_free)
{
    static const size_t sizes[] = {40, 600, 5000, 40000, 300000};
    th_auto(th_arena) arena = NULL;
    held blocks[64] = {{0}};
    uint64_t dice = 1;

    T_EQ(th_arena_new(&arena, 2048, 64 * MB), TH_OK);
    for (int step = 0; step < 20000; step++) {
        held *block = &blocks[th_arena_dice(&dice) % 64];
        size_t bytes = th_arena_dice(&dice) % sizes[th_arena_dice(&dice) % 5];
        size_t kept = bytes < block->bytes ? bytes : block->bytes;
        unsigned char *moved = th_arena_alloc(arena, block->at, block->bytes, bytes);

        T_TRUE((moved != NULL) == (bytes > 0));
        *block = (held){moved, kept, block->mark};
        check_marks(block);
        *block = (held){moved, bytes, (unsigned char)step};
        if (bytes > 0) {
            memset(moved, (unsigned char)step, bytes);
        }
    }
    for (int i = 0; i < 64; i++) {
        check_marks(&blocks[i]);
        (void)th_arena_alloc(arena, blocks[i].at, blocks[i].bytes, 0);
    }
    T_EQ(th_arena_live_bytes(arena), 0);
}

TEST(arena, the_limit_holds_for_small_and_large_blocks)
{
    static const size_t sizes[] = {16, 48, 1000, 20000, 40000, 2 * 1024 * 1024};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        th_auto(th_arena) arena = NULL;
        size_t total = 0;

        T_EQ(th_arena_new(&arena, 4096, 3 * MB), TH_OK);
        while (get(arena, sizes[i]) != NULL) {
            total += sizes[i];
            T_TRUE(th_arena_held_bytes(arena) <= 3 * MB);
        }
        T_TRUE(total >= 3 * MB / 2);
        T_NULL(get(arena, 4 * MB));
        T_NULL(get(arena, SIZE_MAX / 2));
    }
}

TEST(arena, at_the_limit_larger_free_blocks_serve_smaller_ones)
{
    th_auto(th_arena) arena = NULL;
    void *block;
    size_t n = 0;

    T_EQ(th_arena_new(&arena, 4096, 8192), TH_OK);
    block = get(arena, 1000);
    while (get(arena, 64) != NULL) {
    }
    give(arena, block, 1000);
    while (get(arena, 64) != NULL) {
        n++;
    }
    T_EQ(n, 16);
}

TEST(arena, a_large_block_that_cannot_grow_stays_as_it_was)
{
    th_auto(th_arena) arena = NULL;
    char *block;

    T_EQ(th_arena_new(&arena, 4096, MB), TH_OK);
    block = get(arena, 100000);
    memset(block, 7, 100000);
    T_NULL(th_arena_alloc(arena, block, 100000, 2 * MB));
    th_mem_fail_after(0);
    T_NULL(th_arena_alloc(arena, block, 100000, 200000));
    th_mem_fail_never();
    T_EQ(block[99999], 7);
    block = th_arena_alloc(arena, block, 100000, 500000);
    T_EQ(block[99999], 7);
    block = th_arena_alloc(arena, block, 500000, 10);
    T_EQ(block[9], 7);
    T_EQ(th_arena_held_bytes(arena), 4096);
}

TEST(arena, growth_stays_near_what_is_needed)
{
    for (size_t need = 1024; need <= 8 * MB; need *= 3) {
        th_auto(th_arena) arena = NULL;

        T_EQ(th_arena_new(&arena, 1024, 64 * MB), TH_OK);
        while (th_arena_live_bytes(arena) < need) {
            T_NOT_NULL(get(arena, 56));
        }
        T_TRUE(th_arena_held_bytes(arena) <= need + need / 2 + 4096);
    }
}

TEST(arena, chunks_of_every_size_come_and_go)
{
    for (int round = 0; round < 2; round++) {
        for (size_t bytes = 1000; bytes <= MB; bytes += 50 + bytes / 4) {
            th_arena *arena = NULL;

            T_EQ(th_arena_new(&arena, bytes, 2 * MB), TH_OK);
            T_NOT_NULL(get(arena, 3000));
            T_TRUE(th_arena_held_bytes(arena) >= bytes);
            (void)th_arena_free(arena);
        }
    }
}

/* A fixed arena with a chain of blocks in it: each holds the address of the last. */
static void **fill_fixed(th_arena *arena)
{
    void **last = NULL;

    for (int i = 0; i < 100; i++) {
        void **block = th_arena_alloc_zeroed(arena, NULL, 0, 24 + (size_t)i);
        void *gone = th_arena_alloc_zeroed(arena, NULL, 0, 700);

        memset(gone, 0xee, 700);
        (void)th_arena_alloc_zeroed(arena, gone, 700, 0);
        block[0] = last;
        last = block;
    }
    return last;
}

TEST(arena, a_fixed_arena_zeroes_and_does_not_grow)
{
    bool is_free[65536 / TH_ARENA_UNIT] = {false};
    char *memory = aligned_alloc(16, 65536);
    th_arena *arena;
    char *block, *freed;

    memset(memory, 0, 65536);
    arena = th_arena_init_fixed(memory, 65536);
    T_TRUE(th_arena_is_fixed(arena));
    block = th_arena_alloc_zeroed(arena, NULL, 0, 40000);
    memset(block, 1, 40000);
    block = th_arena_alloc_zeroed(arena, block, 40000, 400);
    T_EQ(block[399], 1);
    freed = block;
    block = th_arena_alloc_zeroed(arena, block, 400, 500);
    T_EQ(block[399] + block[499], 1);
    T_NULL(th_arena_alloc_zeroed(arena, NULL, 0, 40000));
    T_EQ(th_arena_held_bytes(arena), 65536);
    T_TRUE(th_arena_seal(arena, is_free) < 60000);
    T_TRUE(is_free[(size_t)(freed - memory) / TH_ARENA_UNIT]);
    T_FALSE(is_free[(size_t)(block - memory) / TH_ARENA_UNIT]);
    T_FALSE(is_free[0]);
    T_EQ(freed[0] + freed[8] + freed[399], 0);
    free(memory);
}

TEST(arena, a_copy_has_its_own_pointers_and_may_grow)
{
    bool is_free[65536 / TH_ARENA_UNIT] = {false};
    uint64_t *memory = aligned_alloc(16, 65536);
    uint16_t moves[8192];
    th_arena_print print = {.words = memory, .moves = moves};
    th_auto(th_arena) copy = NULL;
    th_arena *arena;
    void **chain;
    size_t at;
    int n = 0;

    memset(memory, 0, 65536);
    arena = th_arena_init_fixed(memory, 65536);
    chain = fill_fixed(arena);
    at = (size_t)((char *)chain - (char *)memory);
    print.n_words = th_arena_seal(arena, is_free) / 8;
    for (size_t i = 0; i < print.n_words; i++) {
        if (memory[i] - (uintptr_t)memory <= 65536) {
            memory[i] -= (uintptr_t)memory;
            moves[print.n_moves++] = (uint16_t)i;
        }
    }
    T_EQ(th_arena_new_copy(&copy, &print, 2048), TH_QUOTA);
    T_EQ(th_arena_new_copy(&copy, &print, MB), TH_OK);
    memset(memory, 0xff, 65536);
    free(memory);
    T_FALSE(th_arena_is_fixed(copy));
    for (void **b = (void **)(void *)((char *)copy + at); b != NULL; b = *b) {
        n++;
    }
    T_EQ(n, 100);
    for (int i = 0; i < 1000; i++) {
        T_NOT_NULL(get(copy, 700));
    }
    T_NOT_NULL(get(copy, 100000));
    T_TRUE(th_arena_held_bytes(copy) > 700000);
}

#ifdef POISONED
TEST(arena, what_is_free_is_poisoned)
{
    th_arena *arena = NULL;
    char *block;

    T_EQ(th_arena_new(&arena, 4096, MB), TH_OK);
    block = get(arena, 100);
    T_FALSE(__asan_address_is_poisoned(block + 99));
    T_TRUE(__asan_address_is_poisoned(block + 100));
    T_TRUE(__asan_address_is_poisoned(block + 112));
    block = th_arena_alloc(arena, block, 100, 98);
    T_TRUE(__asan_address_is_poisoned(block + 98));
    give(arena, block, 98);
    T_TRUE(__asan_address_is_poisoned(block));
    (void)th_arena_free(arena);
}
#endif
