/*
 * Durations: "1h30m5s", "250ms", "-1.5h", as Go writes them.
 *
 * A sign, then numbers (with a fraction, if you like) each with its unit: ns, us
 * (or the two spellings of the Greek letter), ms, s, m, h. "0" needs no unit.
 *
 * Pure. Thread: any.
 */
#ifndef TH_GUEST_LUA_DURATION_H
#define TH_GUEST_LUA_DURATION_H

#include "base/bytes.h"
#include "base/err.h"

/* Refuses: INVALID, it is none or does not fit into 64 bits of nanoseconds. */
th_err th_duration_decode(int64_t *ns, th_slice text);

/* Room for any of them, with a NUL. */
#define TH_DURATION_BYTES 40

/* Write it as Go does: "1h30m5s", "1.5ms"; returns its length. */
size_t th_duration_encode(char out[TH_DURATION_BYTES], int64_t ns);

#endif
