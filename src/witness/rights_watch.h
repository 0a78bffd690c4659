/*
 * Rights watch: who may have come by a right to send to whom, in a simulation; for tests.
 *
 * It believes of every right that it was kept, and that it is never lost: what comes
 * without even that is wrong for certain. So is the refusal of what needs no right.
 *
 * Thread: one.
 */
#ifndef TH_WITNESS_RIGHTS_WATCH_H
#define TH_WITNESS_RIGHTS_WATCH_H

#include "base/test.h"
#include "kernel/internal.h"
#include "witness/witness.h"

typedef struct rights_watch {
    const th_witness *witness; /* who knows all lives */
    bool may[TH_WITNESS_LIVES_MAX][TH_WITNESS_LIVES_MAX];
    unsigned denied, came_by_right;
} rights_watch;

static inline bool *watch_place(rights_watch *watch, th_pid from, th_pid to)
{
    unsigned a = 0, b = 0, lives = th_witness_lives(watch->witness);

    while (a < lives && !th_pid_eq(th_witness_life(watch->witness, a), from)) {
        a++;
    }
    while (b < lives && !th_pid_eq(th_witness_life(watch->witness, b), to)) {
        b++;
    }
    T_TRUE(a < lives && b < lives);
    return &watch->may[a][b];
}

static inline bool watch_is_free(const th_ident *from, const th_ident *to)
{
    return to->entry->is_public || from->entry->package_number == 0 ||
           (from->entry->package_number == to->entry->package_number &&
            !from->entry->is_strict && !from->entry->guest->is_strict) ||
           th_pid_eq(from->pid, to->pid);
}

/* Spawner and child. */
static inline void watch_born(rights_watch *watch, th_pid parent, th_pid child)
{
    *watch_place(watch, parent, child) = true;
    *watch_place(watch, child, parent) = true;
}

/* @self is about to hold @cap, which is messaging on its issuer. */
static inline void watch_may_save(rights_watch *watch, th_process *self, th_cap *cap)
{
    th_id_error error;
    th_pid issuer;

    if (th_process_resolve(self, th_issuer_id(th_cap_issuer(cap)), &issuer, &error) ==
        TH_OK) {
        *watch_place(watch, th_process_ident(self)->pid, issuer) = true;
    }
}

/* A message of @from came to @to. */
static inline void watch_came(rights_watch *watch, const th_ident *from,
                              const th_ident *to)
{
    if (!watch_is_free(from, to)) {
        T_TRUE(*watch_place(watch, from->pid, to->pid));
        watch->came_by_right++;
    }
}

/* What @self sent was refused as DENIED. */
static inline void watch_denied(rights_watch *watch, th_process *self, th_pid to)
{
    const th_process *target = th_table_find(self->kernel, to);

    T_TRUE(target == NULL || !watch_is_free(&self->ident, &target->ident));
    watch->denied++;
}

#endif
