/*
 * What the files of the lives share: lives.c, and lives_boot.c, which reads them.
 */
#ifndef TH_SVC_LIVES_PARTS_H
#define TH_SVC_LIVES_PARTS_H

#include "svc/lives.h"

#include <pthread.h>

#define LIVES_BUCKETS 1024
#define LIVES_ISSUERS 4096

struct th_lives {
    /* Fixed at creation. */
    th_kernel *kernel;
    th_store *store;
    uint64_t seed;

    pthread_mutex_t lock;

    /* Under the lock. */
    th_list buckets[LIVES_BUCKETS]; /* th_life.link */
    th_list gone;                   /* th_life.link */
    th_list todo;                   /* th_life.todo */
    uint64_t order;                 /* the highest */
    th_lives_poke *poke;            /* NULL: there is no keeper yet */
    void *poke_context;
    /* Capabilities in records, by the hash of their issuers; no record, no look for them. */
    uint32_t held[LIVES_ISSUERS];
    bool has_unread; /* at boot: there are records that cannot be read */
    bool has_lost;   /* at boot: a capability was not issued again */
};

/* A fresh one; NULL: memory ran out. Under the lock. */
th_life *th_lives_make(th_lives *lives, th_slice id);

/* What it holds is @caps from here on: takes them; NULL: nothing. Under the lock. */
void th_lives_hold(th_lives *lives, th_life *life, th_caps *caps);

/* May a record name what @id issued? Under the lock. */
bool th_lives_may_name(const th_lives *lives, th_slice id);

#endif
