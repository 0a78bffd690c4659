#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static __thread uint64_t left = UINT64_MAX; /* allocations until one fails */
static __thread int64_t live;

static int refuse(void)
{
    if (__builtin_expect(left == UINT64_MAX, 1)) {
        return 0;
    }
    if (left == 0) {
        return 1;
    }
    left--;
    return 0;
}

void *th_malloc(size_t bytes)
{
    void *block = refuse() ? NULL : malloc(bytes == 0 ? 1 : bytes);

    live += block != NULL;
    return block;
}

void *th_calloc(size_t n, size_t bytes)
{
    void *block = refuse() ? NULL : calloc(n == 0 ? 1 : n, bytes == 0 ? 1 : bytes);

    live += block != NULL;
    return block;
}

void *th_realloc(void *old, size_t bytes)
{
    void *block = refuse() ? NULL : realloc(old, bytes == 0 ? 1 : bytes);

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
    left = n;
}

void th_mem_fail_never(void)
{
    left = UINT64_MAX;
}

int64_t th_mem_live(void)
{
    return live;
}
