/*
 * Memory from malloc, for what is cold.
 *
 * Everything that a message or a slice touches comes from a slab or an arena
 * instead (kernel/slab.h, guest/lua/arena.h). These calls return NULL when memory
 * runs out, log nothing, and can be made to fail by a test.
 *
 * Thread: any; the counters are of the calling thread.
 */
#ifndef TH_BASE_MEM_H
#define TH_BASE_MEM_H

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

/* The next @n allocations of this thread succeed and the one after them fails. */
void th_mem_fail_after(uint64_t n);

/* No allocation fails any more on purpose. */
void th_mem_fail_never(void);

/* Blocks that this thread allocated less those that it freed. */
int64_t th_mem_live(void);

#endif
