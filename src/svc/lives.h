/*
 * Lives: the processes that are to survive the node, in memory and in its store.
 *
 * A process with an on-exit has a record here from the moment that whoever made it is
 * told so, until it is over (core/life.h). The kernel says what happens
 * (th_kernel_config.save and .ended); the record is changed at once and durably; what
 * is left to do is the keeper's (svc/keeper.h), who is poked.
 *
 *              ended: RESTART          the keeper
 *     RUNS ─────────────────────> DUE ────────────> WAITS (its back-off)
 *      ^                           │                  │
 *      └──────── STARTS <──────────┴──────────────────┘
 *
 *   FIRES   its requests are sent as soon as nothing hinders: at boot
 *   ASIDE   its code is missing or broken: its record waits for another boot
 *   GONE    over, and freed when nobody has it any more; from everywhere
 *
 * What a record says is changed in the order of the store's jobs, so that a removal never
 * overtakes the save before it. A saving or an end of an older life of a name does
 * nothing to a newer one.
 *
 * Thread: any, but where it says something else.
 */
#ifndef TH_SVC_LIVES_H
#define TH_SVC_LIVES_H

#include "kernel/kernel.h"
#include "store/store.h"
#include "svc/life_record.h"

typedef struct th_lives th_lives;

typedef enum th_life_phase {
    TH_LIFE_RUNS,
    TH_LIFE_DUE,
    TH_LIFE_WAITS,
    TH_LIFE_STARTS,
    TH_LIFE_FIRES,
    TH_LIFE_ASIDE,
    TH_LIFE_GONE,
} th_life_phase;

/* One process. All is under the lock; its address holds while it is not GONE. */
typedef struct th_life {
    th_list link; /* in its bucket, or among those that are gone */
    th_list todo; /* among those that the keeper is to look at */
    th_lives *lives;
    th_buf id; /* "process:package:publisher" */
    th_life_phase phase;
    th_pid pid;        /* TH_PID_NONE: it does not run */
    bool is_killed;    /* whatever it says itself: it does not come again */
    bool keeps_issued; /* and what it issued stays */

    const th_entry *entry; /* NULL: not found yet */
    const th_host *host;
    th_blob *args;
    bool is_public;
    th_on_exit *on_exit;
    th_caps *caps;
    uint64_t restarts;
    th_backoff backoff;
    uint64_t order;
    th_mono due;     /* DUE, WAITS */
    th_life_doc doc; /* as it was read, while its code is not there */

    th_list waiters;      /* for its end */
    th_store_job removal; /* of its record: made with it, so that it cannot fail */
    bool is_removed;
    th_alarm *alarm; /* the keeper's */
} th_life;

/* The keeper is to look: from any thread. */
typedef void th_lives_poke(void *context);

th_err th_lives_new(th_lives **out, th_kernel *kernel, th_store *store);

/* The store is closed. Takes NULL. */
th_lives *th_lives_free(th_lives *lives);

void th_lives_set_keeper(th_lives *lives, th_lives_poke *poke, void *context);

/* --- Boot: main, before the store starts -------------------------------------------- */

/*
 * Read all records. One that cannot be read stays where it is; @notes says so. State of
 * processes that can never come again goes.
 */
th_err th_lives_read(th_lives *lives, th_buf *notes);

/*
 * Find their entries, and issue their capabilities again: those of whom comes again, and
 * of the node's own. Those whose code is missing are set aside, and @notes says so. The
 * names of all others are taken.
 *
 * Before an entry is said to be missing, @make, if there is one, is told whose it was,
 * and may add it.
 */
typedef void th_lives_make_entry(void *context, th_slice id);
th_err th_lives_settle(th_lives *lives, th_lives_make_entry *make, void *context,
                       th_buf *notes);

/* --- For the kernel's configuration --------------------------------------------------- */

th_err th_lives_save(th_lives *lives, th_saving *saving);
void th_lives_ended(th_lives *lives, const th_ended *what);

/* --- For those who look, or kill -------------------------------------------------------- */

typedef struct th_lives_waiter th_lives_waiter;
struct th_lives_waiter {
    th_list link;
    void (*done)(th_lives_waiter *waiter, th_err err); /* any thread; once */
    bool keeps_issued; /* what it issued stays, for the next who has its name */
};

/*
 * End it for good, also while it is backing off. @waiter is told when that is durable:
 * STOPPING if the node ended before. Refuses: NOT_FOUND, there is no record of @id.
 */
th_err th_lives_kill(th_lives *lives, th_slice id, th_lives_waiter *waiter);
th_err th_lives_kill_pid(th_lives *lives, th_pid pid, th_lives_waiter *waiter);

/*
 * Capabilities were revoked: they go from all records that name them. @waiter is told
 * when that is durable. Refuses: QUOTA; some may have gone all the same.
 */
th_err th_lives_scrub(th_lives *lives, th_lives_waiter *waiter);

/* Is there a record of what runs as @pid? */
bool th_lives_has_pid(th_lives *lives, th_pid pid);

/* What is to be seen of one; a copy but for the entry, the host and borrowed texts. */
typedef struct th_life_info {
    th_slice id;
    const th_entry *entry;
    const th_host *host;
    th_life_phase phase;
    th_pid pid;
    uint64_t restarts;
    uint64_t next_ms; /* WAITS: until its next start */
    const th_on_exit *on_exit;
} th_life_info;

typedef void th_lives_visit(void *context, const th_life_info *info);

/* The lock is held meanwhile. */
void th_lives_each(th_lives *lives, th_lives_visit *visit, void *context);

/* Of one; false: there is no record. */
bool th_lives_look(th_lives *lives, th_slice id, th_lives_visit *visit, void *context);

/* --- For the keeper ----------------------------------------------------------------------- */

void th_lives_lock(th_lives *lives);
void th_lives_unlock(th_lives *lives);

/* The rest: under the lock. */
th_life *th_lives_find(th_lives *lives, th_slice id);
th_life *th_lives_next_todo(th_lives *lives);       /* taken off the list; NULL: none */
void th_lives_want(th_lives *lives, th_life *life); /* put it there */

/* Make its record what it says now. */
th_err th_lives_write(th_lives *lives, th_life *life, th_saving *saving);

/* It is over: its record goes. The caller tells the kernel to forget its name. */
void th_lives_remove(th_lives *lives, th_life *life);

/* The keeper holds nothing of a life that is GONE any more. */
void th_lives_bury(th_lives *lives, th_life *life);

/* Text of an ident: "process:package:publisher". */
void th_lives_put_id(th_kernel *kernel, const th_ident *who, th_buf *out);

TH_AUTO_FREE(th_lives, th_lives_free)

#endif
