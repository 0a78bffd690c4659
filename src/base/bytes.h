/*
 * Bytes: borrowed slices, and a buffer that grows.
 *
 * A slice borrows: whoever made it says how long it holds. A buffer owns; it may
 * fail to grow, which it remembers, so that a chain of appends is checked once at
 * its end. Its bytes are followed by a NUL that does not count.
 *
 * Thread: owner.
 */
#ifndef TH_BASE_BYTES_H
#define TH_BASE_BYTES_H

#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct th_slice {
    const char *at; /* may be NULL when bytes is 0 */
    size_t bytes;
} th_slice;

#define TH_SLICE(literal) ((th_slice){"" literal, sizeof(literal) - 1})

static inline th_slice th_slice_of(const void *at, size_t bytes)
{
    return (th_slice){at, bytes};
}

static inline th_slice th_slice_str(const char *text)
{
    return (th_slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool th_slice_eq(th_slice a, th_slice b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

/* Are the bytes of a @type the same there? */
#define TH_BYTES_SAME(type, a, b, at)                                                  \
    ({                                                                                 \
        type th_x, th_y;                                                               \
        memcpy(&th_x, (a) + (at), sizeof th_x);                                        \
        memcpy(&th_y, (b) + (at), sizeof th_y);                                        \
        th_x == th_y;                                                                  \
    })

/* memcmp() == 0 of a few bytes: to call it takes longer than to compare. */
static inline bool th_bytes_eq_short(const char *a, const char *b, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8) {
            if (!TH_BYTES_SAME(uint64_t, a, b, i)) {
                return false;
            }
        }
        return TH_BYTES_SAME(uint64_t, a, b, n - 8);
    }
    if (n >= 4) {
        return TH_BYTES_SAME(uint32_t, a, b, 0) && TH_BYTES_SAME(uint32_t, a, b, n - 4);
    }
    return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

/* memcpy of a few bytes, likewise. */
static inline void th_copy_short(char *to, const char *from, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8) {
            __builtin_memcpy(to + i, from + i, 8);
        }
        __builtin_memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        uint32_t last;

        memcpy(&last, from + n - 4, sizeof last);
        __builtin_memcpy(to, from, 4);
        memcpy(to + n - 4, &last, sizeof last);
    } else if (n > 0) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

/* th_slice_eq of what is mostly short, as topics and PID texts are. */
static inline bool th_slice_eq_short(th_slice a, th_slice b)
{
    return a.bytes == b.bytes && (a.bytes <= 64 ? th_bytes_eq_short(a.at, b.at, a.bytes)
                                                : memcmp(a.at, b.at, a.bytes) == 0);
}

static inline bool th_slice_is(th_slice a, const char *text)
{
    return th_slice_eq(a, th_slice_str(text));
}

static inline bool th_slice_starts(th_slice a, const char *prefix)
{
    size_t n = strlen(prefix);

    return a.bytes >= n && memcmp(a.at, prefix, n) == 0;
}

/* What follows the first @n bytes; n <= a.bytes. */
static inline th_slice th_slice_from(th_slice a, size_t n)
{
    return (th_slice){a.at + n, a.bytes - n};
}

/* Where @c first stands in @a, or a.bytes. */
size_t th_slice_find(th_slice a, char c);

/* A hash of the bytes, the same in every run. Not for keys a guest chooses. */
uint64_t th_slice_hash(th_slice a, uint64_t seed);

/* For printf: "%.*s", TH_FMT(slice). */
#define TH_FMT(slice) (int)(slice).bytes, (slice).bytes == 0 ? "" : (slice).at

typedef struct th_buf {
    char *at;     /* owned; NULL while nothing was written */
    size_t bytes; /* in use */
    size_t room;  /* allocated, with the NUL's byte */
    bool failed;  /* memory ran out: what is here is not whole */
} th_buf;

#define TH_BUF_INIT ((th_buf){NULL, 0, 0, false})

void th_buf_deinit(th_buf *buf);

/* Space for @bytes more, or NULL (and buf->failed). Does not change buf->bytes. */
char *th_buf_reserve(th_buf *buf, size_t bytes);

void th_buf_put(th_buf *buf, const void *at, size_t bytes);
void th_buf_puts(th_buf *buf, const char *text);
void th_buf_putc(th_buf *buf, char c);
void th_buf_putf(th_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void th_buf_putv(th_buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Empty again; the room stays. */
static inline void th_buf_clear(th_buf *buf)
{
    buf->bytes = 0;
    buf->failed = false;
}

static inline th_slice th_buf_slice(const th_buf *buf)
{
    return (th_slice){buf->at, buf->bytes};
}

/* The text, never NULL. */
static inline const char *th_buf_text(const th_buf *buf)
{
    return buf->at == NULL ? "" : buf->at;
}

/* For locals: `th_buf text __attribute__((cleanup(th_buf_deinit))) = TH_BUF_INIT;` */
#define th_auto_buf __attribute__((cleanup(th_buf_deinit))) th_buf

#endif
