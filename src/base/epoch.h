/*
 * Epochs: tables that are read without locks, and memory that is freed only when
 * no reader can still hold it.
 *
 * Each reader says at its quiet moments which epoch it has seen. What is retired
 * in an epoch is freed once every reader that is not asleep has seen a later one.
 * A shard is quiet between two slices; a thread outside reads between
 * th_epoch_enter and th_epoch_leave.
 *
 * Thread: any; a reader and its limbo belong to one thread.
 */
#ifndef TH_BASE_EPOCH_H
#define TH_BASE_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Shards stay; a thread outside has one for the time of a call, one in another. */
#define TH_EPOCH_READERS_MAX 256

/* Embedded in what is to be freed later. */
typedef struct th_retired {
    struct th_retired *next;
    uint64_t epoch;
    void (*free)(struct th_retired *retired);
} th_retired;

typedef struct th_epoch_reader {
    _Alignas(64) _Atomic uint64_t seen; /* 0: asleep, holds nothing */
    _Atomic bool taken;
    th_retired *oldest; /* limbo, in order of epochs; stays when the reader leaves */
    th_retired **tail;
    struct th_epoch_reader *outer; /* shard.c: of the call in which this one is */
} th_epoch_reader;

typedef struct th_epoch {
    _Atomic uint64_t now; /* from 1 on */
    _Atomic int used;     /* readers from here on were never taken */
    th_epoch_reader readers[TH_EPOCH_READERS_MAX];
} th_epoch;

void th_epoch_init(th_epoch *epoch);

/* Free everything that is retired; no reader may be left. */
void th_epoch_deinit(th_epoch *epoch);

/* A reader for the calling thread; NULL when all are taken. Asleep at first. */
th_epoch_reader *th_epoch_join(th_epoch *epoch);

/* It is asleep and for others to take. What it retired is freed in time. */
void th_epoch_part(th_epoch *epoch, th_epoch_reader *reader);

/* From here on @reader may hold what it finds in the tables. */
void th_epoch_enter(th_epoch *epoch, th_epoch_reader *reader);

/* It holds nothing now, but reads on. */
static inline void th_epoch_quiet(th_epoch *epoch, th_epoch_reader *reader)
{
    atomic_store_explicit(&reader->seen,
                          atomic_load_explicit(&epoch->now, memory_order_acquire),
                          memory_order_release);
}

/* It holds nothing and does not read until it enters again. */
void th_epoch_leave(th_epoch_reader *reader);

/* Free @retired, which no table leads to any more, when nobody can hold it. */
void th_epoch_retire(th_epoch *epoch, th_epoch_reader *reader, th_retired *retired);

/* Free what is due of @reader's limbo. Quick when there is nothing. */
void th_epoch_collect(th_epoch *epoch, th_epoch_reader *reader);

#endif
