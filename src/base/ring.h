/*
 * Ring: the newest bytes of a text that grows for ever, as whole lines.
 *
 * It grows as it is written, up to a bound, and then forgets the oldest.
 *
 * Thread: one writes, any reads.
 */
#ifndef TH_BASE_RING_H
#define TH_BASE_RING_H

#include "base/bytes.h"
#include "base/spin.h"

#include <stdint.h>

/* All zero it is empty. */
typedef struct th_ring {
    th_spin lock; /* of the rest */
    uint32_t room, begin, bytes;
    bool is_cut; /* older ones were dropped */
    char *at;    /* owned */
} th_ring;

/*
 * Put one line or several, with a line's end where there is none. It never has more
 * than @bytes_max bytes, and less when memory runs out. Returns by how much it grew.
 */
int64_t th_ring_put(th_ring *ring, th_slice text, uint32_t bytes_max);

/* Append what is in it, from the first whole line on. */
void th_ring_read(th_ring *ring, th_buf *out);

/* To @to, which nobody else knows; whoever reads @from finds it empty. */
void th_ring_move(th_ring *from, th_ring *to);

void th_ring_deinit(th_ring *ring);

#endif
