#include "base/slab.h"

#include "base/test.h"

#include <pthread.h>

#define BLOCKS 3000

static void *blocks[BLOCKS];

static size_t size_of(size_t i)
{
    return 1 + i * 37 % (TH_SLAB_BYTES_MAX + 500);
}

static void allocate_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = th_slab_new(size_of(i));
        T_NOT_NULL(blocks[i]);
        T_EQ((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 0xff), size_of(i));
    }
}

static void *free_all(void *unused)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        th_slab_free(blocks[i], size_of(i));
    }
    th_slab_flush();
    return unused;
}

TEST(slab, blocks_of_all_sizes_do_not_overlap)
{
    allocate_all();
    for (size_t i = 0; i < BLOCKS; i++) {
        unsigned char *block = blocks[i];

        T_EQ(block[0], i & 0xff);
        T_EQ(block[size_of(i) - 1], i & 0xff);
    }
    free_all(NULL);
    th_slab_free(NULL, 10);
}

TEST(slab, blocks_freed_elsewhere_come_home_and_are_used_again)
{
    uint64_t bytes = 0;

    for (int round = 0; round < 20; round++) {
        pthread_t thread;

        allocate_all();
        T_EQ(pthread_create(&thread, NULL, free_all, NULL), 0);
        T_EQ(pthread_join(thread, NULL), 0);
        if (round == 1) {
            bytes = th_slab_bytes();
        }
    }
    T_EQ(th_slab_bytes(), bytes);
}

TEST(slab, memory_of_large_blocks_goes_back_and_is_used_again)
{
    static void *wide[4000];
    uint64_t before = 0, most = 0;

    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 4000; i++) {
            wide[i] = th_slab_new(4000);
            memset(wide[i], 1, 4000);
        }
        most = th_slab_bytes();
        for (size_t i = 0; i < 4000; i++) {
            th_slab_free(wide[i * 7 % 4000], 4000);
        }
        if (round == 0) {
            before = th_slab_bytes();
        }
        T_EQ(th_slab_bytes(), before);
    }
    T_TRUE(most == 0 || before + (8 << 20) < most);
}

TEST(slab, blocks_run_out_when_told)
{
    void *small, *large;

    th_mem_fail_after(2);
    small = th_slab_new(100);
    large = th_slab_new(TH_SLAB_BYTES_MAX + 1);
    T_NOT_NULL(small);
    T_NOT_NULL(large);
    T_NULL(th_slab_new(100));
    T_NULL(th_slab_new(TH_SLAB_BYTES_MAX + 1));
    th_mem_fail_never();
    th_slab_free(small, 100);
    th_slab_free(large, TH_SLAB_BYTES_MAX + 1);
}
