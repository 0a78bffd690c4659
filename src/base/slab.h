/*
 * Slabs: small blocks for messages and kernel objects.
 *
 * Each thread that allocates has a heap of its own; a block that another thread
 * frees goes home in batches, so that neither side takes a lock or shares a line
 * for each block. Blocks come in classes of 64 bytes up to TH_SLAB_BYTES_MAX;
 * larger ones are malloc's. The size is given again at the end, which is cheaper
 * than looking it up. Of blocks above 1 KiB, memory of which much is free goes back
 * to the system; of smaller ones it is only reused. Memory that was a slab block
 * stays readable for ever.
 *
 * Under a sanitizer every block is malloc's, so that it sees each use after free.
 *
 * Thread: any.
 */
#ifndef TH_BASE_SLAB_H
#define TH_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define TH_SLAB_BYTES_MAX 8192

/* A block of @bytes, aligned to 16; NULL when memory runs out. */
void *th_slab_new(size_t bytes) __attribute__((malloc, warn_unused_result));

/* Takes NULL. @bytes is what it was allocated with. */
void th_slab_free(void *block, size_t bytes);

/* Send home what this thread holds of other threads' blocks. */
void th_slab_flush(void);

/* Bytes that all heaps have of the system, an estimate. */
uint64_t th_slab_bytes(void);

#endif
