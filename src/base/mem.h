/*
 * Memory from malloc, for what is cold.
 *
 * Everything that a message or a slice touches comes from a slab or an arena
 * instead (kernel/slab.h, guest/lua/arena.h). These calls return NULL when memory
 * runs out, log nothing, and can be made to fail by a test.
 *
 * Thread: any; a test that makes them fail does so for its own thread.
 */
#ifndef TH_BASE_MEM_H
#define TH_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *th_malloc(size_t bytes) __attribute__((malloc, warn_unused_result));
void *th_calloc(size_t n, size_t bytes) __attribute__((malloc, warn_unused_result));

/* On failure NULL comes back and @old stays valid. */
void *th_realloc(void *old, size_t bytes) __attribute__((warn_unused_result));

/* Takes NULL; always returns NULL. */
void *th_free(void *block);

/* A copy of @length bytes with a NUL behind them. */
char *th_strndup(const char *text, size_t length) __attribute__((malloc));

/*
 * The next @n allocations of this thread, here and from slabs, succeed and those after
 * them fail.
 */
void th_mem_fail_after(uint64_t n);

/* No allocation fails any more on purpose. */
void th_mem_fail_never(void);

/*
 * Blocks that this thread and those that ended allocated, less those that they freed:
 * exact once no other is left.
 */
int64_t th_mem_live(void);

/* The last act of a thread that is joined. */
void th_mem_end_thread(void);

/* Allocations of this thread until one fails; UINT64_MAX: none does. */
extern __thread uint64_t th_mem_left;

/* Shall this allocation fail? For th_malloc and the slabs. */
bool th_mem_refuses_now(void);

static inline bool th_mem_refuses(void)
{
    return __builtin_expect(th_mem_left != UINT64_MAX, 0) && th_mem_refuses_now();
}

#endif
