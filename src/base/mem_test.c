#include "base/mem.h"

#include "base/test.h"

#include <pthread.h>

TEST(mem, live_counts_blocks)
{
    int64_t before = th_mem_live();
    char *a = th_malloc(10);
    char *b = th_calloc(10, 10);
    char *c = th_realloc(NULL, 10);

    T_EQ(th_mem_live() - before, 3);
    c = th_realloc(c, 1000);
    T_EQ(th_mem_live() - before, 3);
    T_NULL(th_free(a));
    T_NULL(th_free(b));
    T_NULL(th_free(c));
    T_NULL(th_free(NULL));
    T_EQ(th_mem_live(), before);
}

TEST(mem, nothing_is_a_block_too)
{
    char *a = th_malloc(0);
    char *b = th_calloc(0, 8);

    T_NOT_NULL(a);
    T_NOT_NULL(b);
    th_free(a);
    th_free(b);
}

TEST(mem, allocations_fail_when_told_and_go_on_when_told)
{
    char *kept = th_malloc(8);
    char *second;

    strcpy(kept, "kept");
    th_mem_fail_after(1);
    second = th_malloc(1);
    T_NOT_NULL(second);
    T_NULL(th_malloc(1));
    T_NULL(th_calloc(1, 1));
    T_NULL(th_strndup("a", 1));
    T_NULL(th_realloc(kept, 100));
    T_STR(kept, "kept");
    th_mem_fail_never();
    kept = th_realloc(kept, 100);
    T_STR(kept, "kept");
    th_free(kept);
    th_free(second);
}

static void *leaves_one(void *context)
{
    char **kept = context;

    *kept = th_malloc(1);
    th_mem_end_thread();
    return NULL;
}

TEST(mem, blocks_of_a_thread_that_ended_count_and_others_may_free_them)
{
    int64_t before = th_mem_live();
    char *kept = NULL;
    pthread_t thread;

    T_EQ(pthread_create(&thread, NULL, leaves_one, &kept), 0);
    pthread_join(thread, NULL);
    T_EQ(th_mem_live() - before, 1);
    th_free(kept);
    T_EQ(th_mem_live(), before);
}

TEST(mem, a_copy_of_a_text_ends_in_a_nul)
{
    char *copy = th_strndup("abcdef", 3);
    char *none = th_strndup(NULL, 0);

    T_STR(copy, "abc");
    T_STR(none, "");
    th_free(copy);
    th_free(none);
}
