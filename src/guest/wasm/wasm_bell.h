/*
 * Bells: how the engine's wakers reach a process.
 *
 * A waker may outlive its process, and its node: it knows a number and nothing else. A
 * number is issued once, and means nothing any more when its bell was taken down.
 *
 * Thread: any.
 */
#ifndef TH_GUEST_WASM_WASM_BELL_H
#define TH_GUEST_WASM_WASM_BELL_H

#include "kernel/kernel.h"

/* A number for a process; 0 when memory ran out. */
uint64_t th_wasm_bell_hang(th_kernel *kernel, th_pid pid);

/* From here on ringing it does nothing. Takes 0. */
void th_wasm_bell_take_down(uint64_t number);

/* Poke its process, if there is one. */
void th_wasm_bell_ring(uint64_t number);

#endif
