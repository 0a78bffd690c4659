#include "base/ring.h"

#include "base/mem.h"

#include <string.h>

#define RING_BYTES_MIN 1024

/* The bytes of @ring in the order in which they came; under its lock. */
static void ring_copy(const th_ring *ring, char *to)
{
    uint32_t first = ring->room - ring->begin;

    if (first > ring->bytes) {
        first = ring->bytes;
    }
    if (ring->bytes > 0) {
        memcpy(to, ring->at + ring->begin, first);
        memcpy(to + first, ring->at, ring->bytes - first);
    }
}

/* Make room for @bytes more, within @bytes_max. The old room serves if memory runs out. */
static void ring_grow(th_ring *ring, size_t bytes, uint32_t bytes_max)
{
    uint64_t room = ring->room < RING_BYTES_MIN ? RING_BYTES_MIN : ring->room;
    char *grown, *old;

    while (room < ring->bytes + bytes && room < bytes_max) {
        room *= 2;
    }
    room = room > bytes_max ? bytes_max : room;
    if (room <= ring->room) {
        return;
    }
    grown = th_malloc(room);
    if (grown == NULL) {
        return;
    }
    th_spin_lock(&ring->lock);
    ring_copy(ring, grown);
    old = ring->at;
    ring->at = grown;
    ring->begin = 0;
    ring->room = (uint32_t)room;
    th_spin_unlock(&ring->lock);
    th_free(old);
}

/* Under the lock: the oldest bytes go where there is no room. */
static void ring_append(th_ring *ring, th_slice text)
{
    uint32_t end, first, bytes;

    if (text.bytes > ring->room) {
        text = th_slice_from(text, text.bytes - ring->room);
        ring->is_cut = true;
    }
    bytes = (uint32_t)text.bytes;
    if (bytes == 0) {
        return;
    }
    if (bytes > ring->room - ring->bytes) {
        uint32_t drop = bytes - (ring->room - ring->bytes);

        ring->begin = (ring->begin + drop) % ring->room;
        ring->bytes -= drop;
        ring->is_cut = true;
    }
    end = (uint32_t)(((uint64_t)ring->begin + ring->bytes) % ring->room);
    first = bytes < ring->room - end ? bytes : ring->room - end;
    memcpy(ring->at + end, text.at, first);
    memcpy(ring->at, text.at + first, bytes - first);
    ring->bytes += bytes;
}

int64_t th_ring_put(th_ring *ring, th_slice text, uint32_t bytes_max)
{
    uint32_t before = ring->room;
    bool is_open = text.bytes == 0 || text.at[text.bytes - 1] != '\n';

    ring_grow(ring, text.bytes + is_open, bytes_max);
    th_spin_lock(&ring->lock);
    ring_append(ring, text);
    if (is_open) {
        ring_append(ring, TH_SLICE("\n"));
    }
    th_spin_unlock(&ring->lock);
    return (int64_t)ring->room - before;
}

void th_ring_read(th_ring *ring, th_buf *out)
{
    char *to;
    size_t bytes = 0, skip = 0;

    th_spin_lock(&ring->lock);
    bytes = ring->room;
    th_spin_unlock(&ring->lock);
    to = th_buf_reserve(out, bytes * 2); /* it may grow once meanwhile */
    if (to == NULL) {
        return;
    }
    th_spin_lock(&ring->lock);
    bytes = ring->bytes <= bytes * 2 ? ring->bytes : 0;
    if (bytes > 0) {
        ring_copy(ring, to);
    }
    if (ring->is_cut) {
        skip = th_slice_find(th_slice_of(to, bytes), '\n') + 1;
        skip = skip >= bytes ? 0 : skip; /* there is only the end of one line */
    }
    th_spin_unlock(&ring->lock);
    memmove(to, to + skip, bytes - skip);
    out->bytes += bytes - skip;
    out->at[out->bytes] = '\0';
}

void th_ring_move(th_ring *from, th_ring *to)
{
    th_spin_lock(&from->lock);
    to->room = from->room;
    to->begin = from->begin;
    to->bytes = from->bytes;
    to->is_cut = from->is_cut;
    to->at = from->at;
    from->at = NULL;
    from->room = from->begin = from->bytes = 0;
    th_spin_unlock(&from->lock);
}

void th_ring_deinit(th_ring *ring)
{
    ring->at = th_free(ring->at);
}
