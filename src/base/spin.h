/*
 * Spin lock: for a few instructions that two shards may want at once.
 *
 * Thread: any. Nothing that may block, fail or call out stands inside one.
 */
#ifndef TH_BASE_SPIN_H
#define TH_BASE_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct th_spin {
    atomic_bool held;
} th_spin;

static inline void th_spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static inline void th_spin_lock(th_spin *spin)
{
    while (atomic_exchange_explicit(&spin->held, true, memory_order_acquire)) {
        while (atomic_load_explicit(&spin->held, memory_order_relaxed)) {
            th_spin_pause();
        }
    }
}

static inline void th_spin_unlock(th_spin *spin)
{
    atomic_store_explicit(&spin->held, false, memory_order_release);
}

#endif
