/*
 * What the files of the kernel share and nobody else sees: the descriptor of a
 * process, a shard, the kernel, and the few functions between the files.
 *
 *   process.c  descriptor: spawn, end          route.c   send, request, answer
 *   receive.c  what a process takes out        ledger.c  open requests, alarms
 *   tie.c      links and monitors              names.c   registry, chosen names
 *   table.c    pid to descriptor               shard.c   slices, the run queue
 *   preempt.c  stacks and the scheduler's loop ticker.c  the tick
 *   worker.c   blocking work                   kernel.c  all of it together
 */
#ifndef TH_KERNEL_INTERNAL_H
#define TH_KERNEL_INTERNAL_H

#include "base/list.h"
#include "kernel/epoch.h"
#include "kernel/inbox.h"
#include "kernel/kernel.h"
#include "kernel/spin.h"
#include "kernel/stack.h"
#include "kernel/wheel.h"

#include <stdatomic.h>

typedef struct th_shard th_shard;

/* --- Process -------------------------------------------------------------------- */

/*
 *            wake                pick
 *   WAITING ------> RUNNABLE ---------> RUNNING ---> ENDED
 *      ^               ^  yield, preempt   |
 *      |               +-------------------+
 *      +-----------------------------------+  blocked
 *
 * Who moves WAITING to RUNNABLE puts it into a run queue, nobody else.
 */
typedef enum th_process_phase {
    TH_PHASE_WAITING,
    TH_PHASE_RUNNABLE,
    TH_PHASE_RUNNING,
    TH_PHASE_ENDED,
} th_process_phase;

typedef enum th_asked {
    TH_ASKED_POKE = 1, /* run though there may be no item */
    TH_ASKED_KILL = 2, /* end: kill_exit says how */
} th_asked;

/* The mailbox's ledger in one word: messages in the high bits, bytes in the low. */
#define TH_MAIL_BYTES_BITS 40
#define TH_MAIL_ONE (UINT64_C(1) << TH_MAIL_BYTES_BITS)
#define TH_MAIL_BYTES(mail) ((mail) & (TH_MAIL_ONE - 1))
#define TH_MAIL_COUNT(mail) ((mail) >> TH_MAIL_BYTES_BITS)

/* A cancel is coalesced: one is on its way at most. */
typedef struct th_cancel {
    th_item item;
    _Atomic bool in_use; /* from the put until it is taken out */
    bool enforced;
    th_ident from;
    th_wall at, deadline;
    th_blob *text;
} th_cancel;

struct th_process {
    /* Fixed at creation. */
    th_ident ident;
    th_kernel *kernel;
    const th_guest *guest;
    const th_limits *limits;
    th_blob *args;
    th_wall started;

    /* Thread: any. */
    _Alignas(64) th_inbox inbox;
    _Atomic uint64_t mail;
    _Atomic uint32_t phase; /* th_process_phase */
    _Atomic uint32_t asked; /* th_asked */
    _Atomic(th_shard *) shard;      /* that runs it or ran it last */
    _Atomic(th_exit *) kill_exit;   /* owned; the first killer's */
    _Atomic bool traps_links;
    _Atomic uint64_t slices, memory_bytes; /* written by the owner */
    th_cancel cancel;
    _Atomic uint32_t deadlines; /* enforced cancels that are armed */

    /* Thread: whoever holds the run queue it is in. */
    _Alignas(64) th_list run_link;

    /* Thread: owner. */
    th_item *queue;  /* taken out of the inbox, oldest first */
    void *state;     /* the guest's */
    th_stack *stack; /* left in the midst of a slice; it then stays on its shard */
    bool began;
    bool has_link_events;
    th_exit *exit;     /* set by th_process_end */
    th_list held;      /* requests that it took and did not answer */
    th_list ties;      /* th_tie_end.link */
    th_list alarms;    /* th_alarm.link */
    th_list names;     /* th_name.owned; under the kernel's names_lock */
    bool names_closed; /* likewise: it ends */
    uint32_t names_count;
    uint32_t ties_count, alarms_count;
    th_request **requests; /* the ledger: open requests by index */
    uint32_t requests_room, requests_count, requests_free;
    uint64_t requests_serial;
    char *pid_text;
    uint32_t pid_text_bytes;
    bool has_loan;
    th_event event; /* what th_process_next lent out last */
    th_ident event_from;
    th_exit *event_exit;
    th_blob *event_text;
    th_retired retired;
};

/* --- Shard ------------------------------------------------------------------------ */

struct th_shard {
    th_kernel *kernel;
    int number;
    th_thread *thread;
    th_parker *parker;
    th_epoch_reader *reader;

    /* Thread: owner. */
    th_stacks stacks;
    th_process *current; /* runs now */
    th_process *start;   /* the next loop begins with it */
    th_process *ending;  /* to be ended by the next stack that runs */
    th_list fresh;       /* woken or made here in this chain, newest first */
    unsigned chain;      /* slices since the chain of wakes began (simulation) */
    unsigned steps;      /* slices left before going home (simulation) */
    unsigned checks;     /* checkpoints left in this slice (simulation) */
    bool yield;          /* the running process shall end its slice */
    th_wheel wheel;
    uint32_t slots[256]; /* free slots of the table */
    unsigned slots_count;
    uint64_t loops;
    int64_t spin_ns; /* how long it is worth to wait awake, adaptive */

    /* Thread: any. */
    _Alignas(64) th_spin lock; /* of fifo */
    th_list fifo;              /* oldest first */
    _Atomic uint32_t fifo_count;
    _Atomic uint32_t fifo_free; /* of them, those that any shard may run */
    _Atomic(th_list *) dropped; /* alarms that others want out of the wheel */
    _Atomic bool asleep;
    _Atomic bool stop;
    _Atomic(int *) flag; /* the thread's th_flag */
};

/* The shard of this thread, or NULL outside. */
extern __thread th_shard *th_shard_self;

/* --- Kernel ------------------------------------------------------------------------- */

#define TH_TABLE_CHUNK 4096
#define TH_TABLE_CHUNKS (TH_PID_SLOTS_MAX / TH_TABLE_CHUNK)

typedef struct th_slot {
    _Atomic(th_process *) process;
    uint64_t generation; /* of the last process in it; its owner's */
} th_slot;

typedef struct th_table {
    _Atomic(th_slot *) chunks[TH_TABLE_CHUNKS];
    th_spin lock;       /* of the rest */
    uint32_t used;      /* slots below it were given out once */
    uint32_t *free;     /* a stack of slots that came back */
    uint32_t free_count, free_room;
    uint32_t slots_max;
    _Atomic uint32_t alive;
} th_table;

typedef struct th_name th_name;

#define TH_NAMES_BUCKETS 16384

/* Text to pid; read without a lock, written under one. */
typedef struct th_names {
    _Atomic(th_name *) buckets[TH_NAMES_BUCKETS];
} th_names;

typedef struct th_ticker {
    th_thread *thread;
    th_parker *parker;
    _Atomic bool running; /* it ticks; else somebody must unpark it */
    _Atomic bool stop;
} th_ticker;

#define TH_WORKERS 2

typedef struct th_worker {
    th_kernel *kernel;
    th_thread *thread;
    th_parker *parker;
} th_worker;

typedef struct th_workers {
    th_worker all[TH_WORKERS];
    th_spin lock; /* of the queue */
    th_item *oldest, *newest;
    _Atomic bool stop;
    bool started;
} th_workers;

struct th_kernel {
    /* Fixed at creation. */
    th_kernel_config config;
    char *node;
    unsigned shards_count;

    /* Thread: any. */
    th_epoch epoch;
    th_table table;
    th_spin names_lock;
    th_names registry; /* names of text 003 */
    th_names chosen;   /* "name:package:publisher" of chosen process names */
    th_spin entries_lock;
    th_list entries, hosts;
    th_ticker ticker;
    th_workers workers;
    _Atomic bool stopping;
    _Atomic uint32_t next_shard; /* where the next process from outside begins */
    bool started;
    th_parker *ender; /* who ends all processes sleeps on it between two looks */
    th_shard shards[TH_SHARDS_MAX];
};

/* --- Between the files ----------------------------------------------------------------- */

/* table.c */
th_err th_table_init(th_table *table, uint32_t processes_max);
void th_table_deinit(th_table *table);
th_err th_table_add(th_kernel *kernel, th_process *process); /* gives it its pid */
void th_table_publish(th_kernel *kernel, th_process *process);
void th_table_remove(th_kernel *kernel, th_process *process);

/* The process, or NULL. The caller is in an epoch and keeps it no longer. */
th_process *th_table_find(th_kernel *kernel, th_pid pid);

/* shard.c: a thread outside brackets its reads of the tables with these. */
th_epoch_reader *th_outside_enter(th_kernel *kernel);
void th_outside_leave(th_epoch_reader *reader);
th_epoch_reader *th_reader_here(th_kernel *kernel); /* of this thread; entered */

th_err th_shard_init(th_shard *shard, th_kernel *kernel, int number);
void th_shard_deinit(th_shard *shard);
void th_shard_run(void *shard);            /* the body of its thread */
bool th_shard_step(th_shard *shard);       /* simulation: one slice */
bool th_shard_has_own_work(th_shard *shard);
bool th_shard_has_work(th_shard *shard); /* own, or another's that it may take */
void th_shard_end_chain(th_shard *shard);
void th_shard_alert(th_shard *shard);      /* look up: from any thread */
void th_shard_serve(th_shard *shard);      /* timers, limbo; between two slices */
th_process *th_shard_pick(th_shard *shard);
void th_shard_requeue(th_shard *shard, th_process *process); /* it yielded */

/* Make @process run if it waits. */
void th_process_wake(th_process *process);

/* Put @item into its inbox and wake it. False: it ended. */
bool th_process_put(th_process *process, th_item *item);

/* preempt.c */
void th_loop_entry(void);
void th_loop_run(th_shard *shard); /* from home, until there is nothing to run */

/* process.c */
void th_process_finish(th_process *process); /* on its shard, off its stack */
bool th_process_must_end(th_process *process);

/* Set its end from outside: the first counts. Takes @exit, which may be NULL. */
void th_process_kill(th_process *process, th_exit *exit);

/* route.c: tell whoever waits for the answer to @msg that none comes. Takes it. */
void th_route_return(th_kernel *kernel, th_msg *msg, th_err reason);

/* ledger.c */
th_err th_ledger_open(th_process *self, const th_ask *ask, th_msg *msg, th_mono due,
                      th_request **out);
bool th_ledger_answer(th_process *self, th_msg *msg, th_delivery *out);
bool th_ledger_expire(th_process *self, th_item *item, th_delivery *out);
void th_ledger_discard(th_item *item); /* a fired deadline nobody waits for */
void th_ledger_end(th_process *self);  /* all open requests and alarms */
bool th_alarm_take(th_process *self, th_item *item, th_delivery *out);
void th_alarm_discard(th_item *item);
void th_alarms_drop_all(th_shard *shard); /* those that other shards gave up */
void th_alarms_fire(th_shard *shard, th_list *expired);
th_err th_deadline_set(th_process *target, th_mono due); /* QUOTA: too many */

/* tie.c */
th_err th_tie_born(th_process *parent, th_process *child, bool monitored, bool linked);
bool th_tie_take(th_process *self, th_item *item, th_event *event);
void th_tie_refuse(th_process *ended, th_item *item);
void th_ties_end(th_process *self);

/* names.c */
th_err th_names_claim(th_process *process, th_slice chosen, th_slice registered);
void th_names_release(th_process *process);
void th_names_deinit(th_names *names);

/* ticker.c, worker.c */
void th_ticker_want(th_kernel *kernel);
th_err th_ticker_start(th_kernel *kernel);
void th_ticker_stop(th_kernel *kernel);
th_err th_workers_start(th_kernel *kernel);
void th_workers_stop(th_kernel *kernel);

static inline th_mono th_kernel_now(const th_kernel *kernel)
{
    return th_world_mono(kernel->config.world);
}

static inline bool th_kernel_is_simulated(const th_kernel *kernel)
{
    return kernel->config.world->is_simulated;
}

/* Copy an ident, holding its name. */
static inline th_ident th_ident_ref(const th_ident *ident)
{
    th_ident copy = *ident;

    th_blob_ref(copy.name);
    return copy;
}

static inline void th_ident_unref(th_ident *ident)
{
    ident->name = th_blob_unref(ident->name);
}

#endif
