/*
 * Memory and text of a guest without a C library.
 *
 * Blocks come in size classes, four for each power of two, so that at most a fifth
 * is wasted; a freed block waits in its class's list. New ones are cut from the end
 * of the linear memory, which only grows. The header is 16 bytes, which keeps every
 * block aligned to 16.
 */
#include "thole.h"

enum {
    PAGE_BYTES = 65536,
    HEADER_BYTES = 16,
    BLOCK_BYTES_MIN = 16,
    N_CLASSES = 112,
};

typedef union header {
    uint32_t class;     /* in use */
    union header *next; /* free; the class is that of the list */
    uint8_t pad[HEADER_BYTES];
} header;

/* Where the linker put the end of the static data. */
extern uint8_t __heap_base;

static header *free_blocks[N_CLASSES];
static uintptr_t heap_end;   /* what is cut off so far */
static uintptr_t memory_end; /* what the linear memory has */

_Noreturn void th_trap(void)
{
    __builtin_trap();
}

/* The bytes of class @class: 16, 20, 24, 28, 32, 40, ... */
static size_t class_bytes(uint32_t class)
{
    return (size_t)(4 + class % 4) << (class / 4 + 2);
}

static uint32_t class_of(size_t bytes)
{
    uint32_t power;
    uint32_t class;

    if (bytes <= BLOCK_BYTES_MIN) {
        return 0;
    }
    power = 31 - (uint32_t)__builtin_clzl(bytes);
    class = (power - 4) * 4;
    while (class < N_CLASSES && class_bytes(class) < bytes) {
        class ++;
    }
    return class;
}

/* A fresh block, or a trap. */
static header *cut(size_t bytes)
{
    uintptr_t start;

    if (heap_end == 0) {
        heap_end = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
        memory_end = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE_BYTES;
    }
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > memory_end - heap_end) {
        size_t missing = bytes - (memory_end - heap_end);
        size_t pages = (missing + PAGE_BYTES - 1) / PAGE_BYTES;

        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) {
            th_trap();
        }
        memory_end += pages * PAGE_BYTES;
    }
    start = heap_end;
    heap_end += bytes;
    return (header *)start;
}

void *th_alloc(size_t bytes)
{
    uint32_t class;
    header *block;

    if (bytes > (size_t)1 << 31) {
        th_trap();
    }
    class = class_of(bytes);
    block = free_blocks[class];
    if (block != NULL) {
        free_blocks[class] = block->next;
    } else {
        block = cut(HEADER_BYTES + class_bytes(class));
    }
    block->class = class;
    return block + 1;
}

void th_free(void *memory)
{
    header *block = (header *)memory - 1;
    uint32_t class;

    if ((uintptr_t)memory < (uintptr_t)&__heap_base) {
        return; /* NULL, or a constant */
    }
    class = block->class;
    block->next = free_blocks[class];
    free_blocks[class] = block;
}

void *th_realloc(void *memory, size_t bytes)
{
    size_t old_bytes;
    void *moved;

    if (memory == NULL) {
        return th_alloc(bytes);
    }
    old_bytes = class_bytes(((header *)memory - 1)->class);
    if (bytes <= old_bytes) {
        return memory;
    }
    moved = th_alloc(bytes);
    memcpy(moved, memory, old_bytes);
    th_free(memory);
    return moved;
}

th_slice th_str(const char *text)
{
    return (th_slice){text, strlen(text)};
}

bool th_equal(th_slice a, th_slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

th_slice th_concat(const th_slice *parts, size_t n)
{
    size_t len = 0;
    uint8_t *text;
    uint8_t *end;

    for (size_t i = 0; i < n; i++) {
        len += parts[i].len;
    }
    text = end = th_alloc(len);
    for (size_t i = 0; i < n; i++) {
        memcpy(end, parts[i].ptr, parts[i].len);
        end += parts[i].len;
    }
    return (th_slice){text, len};
}

th_slice th_decimal(uint64_t n)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return th_concat(&(th_slice){digits + at, sizeof digits - at}, 1);
}

/* These become one instruction; written as loops they would call themselves. */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    return __builtin_memcpy(to, from, n);
}

void *memmove(void *to, const void *from, size_t n)
{
    return __builtin_memmove(to, from, n);
}

void *memset(void *to, int byte, size_t n)
{
    return __builtin_memset(to, byte, n);
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *left = a;
    const uint8_t *right = b;

    for (size_t i = 0; i < n; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t len = 0;

    while (text[len] != 0) {
        len++;
    }
    return len;
}
