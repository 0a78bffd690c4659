#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

__thread uint64_t th_mem_left = UINT64_MAX;

static __thread int64_t live;
static _Atomic int64_t settled; /* of threads that ended */

bool th_mem_refuses_now(void)
{
    if (th_mem_left == 0) {
        return true;
    }
    th_mem_left--;
    return false;
}

void *th_malloc(size_t bytes)
{
    void *block = th_mem_refuses() ? NULL : malloc(bytes == 0 ? 1 : bytes);

    live += block != NULL;
    return block;
}

void *th_calloc(size_t n, size_t bytes)
{
    void *block =
        th_mem_refuses() ? NULL : calloc(n == 0 ? 1 : n, bytes == 0 ? 1 : bytes);

    live += block != NULL;
    return block;
}

void *th_realloc(void *old, size_t bytes)
{
    void *block = th_mem_refuses() ? NULL : realloc(old, bytes == 0 ? 1 : bytes);

    live += block != NULL && old == NULL;
    return block;
}

void *th_free(void *block)
{
    live -= block != NULL;
    free(block);
    return NULL;
}

char *th_strndup(const char *text, size_t length)
{
    char *copy = th_malloc(length + 1);

    if (copy != NULL) {
        if (length > 0) {
            memcpy(copy, text, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

void th_mem_fail_after(uint64_t n)
{
    th_mem_left = n;
}

void th_mem_fail_never(void)
{
    th_mem_left = UINT64_MAX;
}

int64_t th_mem_live(void)
{
    return live + atomic_load(&settled);
}

void th_mem_end_thread(void)
{
    atomic_fetch_add(&settled, live);
    live = 0;
}
