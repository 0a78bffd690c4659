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

/* The same, faster where both are short, as topics and PID texts are. */
static inline bool th_slice_eq_short(th_slice a, th_slice b)
{
    uint64_t x, y;
    size_t i = 0;

    if (a.bytes != b.bytes || a.bytes > 64) {
        return th_slice_eq(a, b);
    }
    if (a.bytes < sizeof x) {
        while (i < a.bytes && a.at[i] == b.at[i]) {
            i++;
        }
        return i == a.bytes;
    }
    for (; i < a.bytes - sizeof x; i += sizeof x) {
        memcpy(&x, a.at + i, sizeof x);
        memcpy(&y, b.at + i, sizeof y);
        if (x != y) {
            return false;
        }
    }
    memcpy(&x, a.at + a.bytes - sizeof x, sizeof x);
    memcpy(&y, b.at + a.bytes - sizeof y, sizeof y);
    return x == y;
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
