#include "base/bytes.h"

#include "base/mem.h"

#include <stdio.h>

size_t th_slice_find(th_slice a, char c)
{
    const char *found = a.bytes == 0 ? NULL : memchr(a.at, c, a.bytes);

    return found == NULL ? a.bytes : (size_t)(found - a.at);
}

/* FNV-1a over the bytes, then a finaliser so that all bits of it are good. */
uint64_t th_slice_hash(th_slice a, uint64_t seed)
{
    uint64_t h = seed ^ 0xcbf29ce484222325u;

    for (size_t i = 0; i < a.bytes; i++) {
        h = (h ^ (unsigned char)a.at[i]) * 0x100000001b3u;
    }
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

void th_buf_deinit(th_buf *buf)
{
    buf->at = th_free(buf->at);
    *buf = TH_BUF_INIT;
}

char *th_buf_reserve(th_buf *buf, size_t bytes)
{
    size_t room = buf->room < 64 ? 64 : buf->room;
    char *at;

    if (bytes < buf->room - buf->bytes) {
        return buf->at + buf->bytes;
    }
    if (bytes > SIZE_MAX / 4 - buf->bytes) {
        buf->failed = true;
        return NULL;
    }
    while (room - buf->bytes <= bytes) {
        room *= 2;
    }
    at = th_realloc(buf->at, room);
    if (at == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->at = at;
    buf->room = room;
    return at + buf->bytes;
}

void th_buf_put(th_buf *buf, const void *at, size_t bytes)
{
    char *to = th_buf_reserve(buf, bytes);

    if (to != NULL) {
        if (bytes > 0) {
            memcpy(to, at, bytes);
        }
        buf->bytes += bytes;
        buf->at[buf->bytes] = '\0';
    }
}

void th_buf_puts(th_buf *buf, const char *text)
{
    th_buf_put(buf, text, strlen(text));
}

void th_buf_putc(th_buf *buf, char c)
{
    th_buf_put(buf, &c, 1);
}

void th_buf_putv(th_buf *buf, const char *format, va_list args)
{
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n >= 0 && th_buf_reserve(buf, (size_t)n) != NULL) {
        vsnprintf(buf->at + buf->bytes, (size_t)n + 1, format, args);
        buf->bytes += (size_t)n;
    }
}

void th_buf_putf(th_buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    th_buf_putv(buf, format, args);
    va_end(args);
}
