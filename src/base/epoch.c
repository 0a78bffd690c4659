#include "base/epoch.h"

#include "base/err.h"

#include <stddef.h>

void th_epoch_init(th_epoch *epoch)
{
    atomic_init(&epoch->now, 1);
    atomic_init(&epoch->used, 0);
    for (int i = 0; i < TH_EPOCH_READERS_MAX; i++) {
        th_epoch_reader *reader = &epoch->readers[i];

        atomic_init(&reader->seen, 0);
        atomic_init(&reader->taken, false);
        reader->oldest = NULL;
        reader->tail = &reader->oldest;
    }
}

static void free_until(th_epoch_reader *reader, uint64_t before)
{
    while (reader->oldest != NULL && reader->oldest->epoch < before) {
        th_retired *retired = reader->oldest;

        reader->oldest = retired->next;
        if (reader->oldest == NULL) {
            reader->tail = &reader->oldest;
        }
        retired->free(retired);
    }
}

void th_epoch_deinit(th_epoch *epoch)
{
    for (int i = 0; i < TH_EPOCH_READERS_MAX; i++) {
        free_until(&epoch->readers[i], UINT64_MAX);
    }
}

th_epoch_reader *th_epoch_join(th_epoch *epoch)
{
    for (int i = 0; i < TH_EPOCH_READERS_MAX; i++) {
        bool taken = false;

        if (atomic_compare_exchange_strong(&epoch->readers[i].taken, &taken, true)) {
            int used = atomic_load(&epoch->used);

            while (used <= i &&
                   !atomic_compare_exchange_weak(&epoch->used, &used, i + 1)) {
            }
            return &epoch->readers[i];
        }
    }
    return NULL;
}

void th_epoch_part(th_epoch *epoch, th_epoch_reader *reader)
{
    th_epoch_collect(epoch, reader);
    th_epoch_leave(reader);
    atomic_store(&reader->taken, false);
}

void th_epoch_enter(th_epoch *epoch, th_epoch_reader *reader)
{
    /* Seen must be visible before the first read of a table, hence the exchange. */
    atomic_exchange(&reader->seen, atomic_load(&epoch->now));
}

void th_epoch_leave(th_epoch_reader *reader)
{
    atomic_store_explicit(&reader->seen, 0, memory_order_release);
}

void th_epoch_retire(th_epoch *epoch, th_epoch_reader *reader, th_retired *retired)
{
    retired->next = NULL;
    retired->epoch = atomic_load(&epoch->now);
    *reader->tail = retired;
    reader->tail = &retired->next;
}

/* The oldest epoch that a reader who is awake has seen. */
static uint64_t oldest_seen(th_epoch *epoch)
{
    uint64_t oldest = atomic_load(&epoch->now);
    int used = atomic_load(&epoch->used);

    for (int i = 0; i < used; i++) {
        uint64_t seen = atomic_load(&epoch->readers[i].seen);

        if (seen != 0 && seen < oldest) {
            oldest = seen;
        }
    }
    return oldest;
}

void th_epoch_collect(th_epoch *epoch, th_epoch_reader *reader)
{
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_relaxed);
    uint64_t oldest;

    if (reader->oldest == NULL) {
        return;
    }
    oldest = oldest_seen(epoch);
    if (oldest == now) { /* everybody saw this one: begin the next */
        atomic_compare_exchange_strong(&epoch->now, &now, now + 1);
    }
    free_until(reader, oldest);
}
