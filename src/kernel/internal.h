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
 *   catalog.c  entries and hosts              budget.c  the node's memory
 *   output.c   what processes print            rights.c   capabilities
 *   life.c     on-exit, what survives          inspect.c  what can be seen of one
 *   trace.c    messages, seen
 */
#ifndef TH_KERNEL_INTERNAL_H
#define TH_KERNEL_INTERNAL_H

#include "base/list.h"
#include "base/ring.h"
#include "base/epoch.h"
#include "core/identity.h"
#include "core/inbox.h"
#include "kernel/kernel.h"
#include "base/spin.h"
#include "base/stack.h"
#include "base/wheel.h"

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
    TH_ASKED_POKE = 1,  /* run though there may be no item */
    TH_ASKED_KILL = 2,  /* end: kill_exit says how */
    TH_ASKED_SWEEP = 4, /* forget the requests that it took and whose time is over */
} th_asked;

/* The mailbox's ledger in one word: messages in the high bits, bytes in the low. */
#define TH_MAIL_BYTES_BITS 40
#define TH_MAIL_ONE (UINT64_C(1) << TH_MAIL_BYTES_BITS)
#define TH_MAIL_BYTES(mail) ((mail) & (TH_MAIL_ONE - 1))
#define TH_MAIL_COUNT(mail) ((mail) >> TH_MAIL_BYTES_BITS)

/*
 * What the packages of others hold of a mailbox, each as `mail`. Packages share a
 * place where there are more of them.
 */
#define TH_SHARES 8

/* A request's id: a serial number above, its place in the ledger below. */
#define TH_REQUEST_INDEX_BITS 20

/* A cancel is coalesced: one is on its way at most. */
typedef struct th_cancel {
    th_item item;
    _Atomic bool in_use; /* from the put until it is taken out */
    bool enforced;
    th_ident from;
    th_wall at, deadline;
    th_blob *text;
} th_cancel;

#define TH_SHARD_SLOTS 256 /* free slots of the table that a shard keeps at most */

typedef struct th_rights th_rights;

struct th_process {
    /* Fixed at creation. */
    th_ident ident;
    th_kernel *kernel;
    const th_guest *guest;
    const th_limits *limits;
    uint32_t package; /* its entry's package_number */
    bool is_public;
    bool is_open;
    bool is_strict;
    bool is_heir; /* others had something of its name before it came */
    bool is_lent; /* its spawner may send to it since its birth, and could not before */
    _Atomic bool keeps_issued; /* any: th_kernel_keep_issued */
    th_pid parent;             /* its spawner, for what that may do to it */
    th_blob *args;
    th_wall started;

    /* Thread: any. */
    _Alignas(64) th_inbox inbox;
    _Atomic uint64_t mail;
    _Atomic int64_t sweep_at; /* no request that it took is over before; owner writes */
    _Atomic uint32_t phase;   /* th_process_phase */
    _Atomic uint32_t asked;   /* th_asked */
    _Atomic(th_shard *) shard;    /* that runs it or ran it last */
    _Atomic(th_exit *) kill_exit; /* owned; the first killer's */
    _Atomic bool traps_links;
    _Atomic bool hears_stop;
    _Atomic bool is_held;        /* it does not run yet */
    _Atomic bool is_undone;      /* its spawn failed: it is to leave no trace */
    _Atomic(th_rights *) rights; /* owned, made when it is needed (rights.c) */
    _Atomic uint64_t slices, memory_bytes, refused; /* written by the owner */
    _Atomic uint64_t cpu_ns; /* by the looks of shards at the clock (inspect.c) */
    th_cancel cancel;
    _Atomic uint64_t shares[TH_SHARES];
    th_ring ring;                 /* what it printed */
    _Atomic bool names_closed;    /* it ends */
    _Atomic uint32_t names_count; /* changes under the kernel's names_lock */
    _Atomic(th_list *) deadlines; /* enforced cancels (ledger.c) */
    _Atomic uint32_t deadlines_count;

    /* Thread: whoever holds the run queue it is in. */
    _Alignas(64) th_list run_link;

    /* Thread: owner. */
    th_item *queue;  /* taken out of the inbox, oldest first */
    int64_t kept;    /* bytes that the guest charged to the mailbox */
    void *state;     /* the guest's */
    th_stack *stack; /* left in the midst of a slice; it then stays on its shard */
    bool began;
    bool has_link_events;
    bool has_saved;      /* state */
    th_exit *exit;       /* set by th_process_end */
    th_list held;        /* requests that it took and did not answer */
    th_list ties;        /* th_tie_end.link */
    th_list alarms;      /* th_alarm.link */
    th_list names;       /* th_name.owned; under the kernel's names_lock */
    uint32_t ties_count; /* those that it made */

    /* Written with th_count, and read by whoever looks at it (inspect.c). */
    _Atomic uint32_t requests_count, alarms_count, held_count;
    _Atomic uint32_t links_count, watches_count, watched_count;
    _Atomic uint64_t asked_last; /* the pid that its newest request went to */
    th_request **requests;       /* the ledger: open requests by index */
    uint32_t requests_room, requests_free;
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
    th_pid ran;          /* runs now, or ran last */
    th_process *start;   /* the next loop begins with it */
    th_process *ending;  /* to be ended by the next stack that runs */
    th_list fresh;       /* woken or made here in this chain, newest first */
    unsigned chain;      /* slices since the chain of wakes began (simulation) */
    unsigned steps;      /* slices left before going home (simulation) */
    unsigned checks;     /* checkpoints left in this slice (simulation) */
    bool yield;          /* the running process shall end its slice */
    th_wheel wheel;
    uint32_t slots[TH_SHARD_SLOTS]; /* free slots of the table */
    unsigned slots_count;
    uint64_t loops;
    int64_t now_ns;  /* when it last looked at the clock; not in the future */
    int64_t spin_ns; /* how long it is worth to wait awake, adaptive */

    /* Thread: any. */
    _Alignas(64) th_spin lock;   /* of fifo and urgent */
    th_list fifo;                /* oldest first */
    th_list urgent;              /* likewise, before it: the node's own, just woken */
    _Atomic uint32_t fifo_count; /* of both */
    _Atomic uint32_t fifo_free;  /* of them, those that any shard may run */
    _Atomic(th_list *) dropped;  /* alarms that others want out of the wheel */
    _Atomic bool asleep;
    _Atomic bool stop;
    _Atomic(int *) flag; /* the thread's th_flag */

    /* Written by the owner, summed by any. */
    _Alignas(64) _Atomic int64_t bytes; /* charged here less discharged here */
    _Atomic uint64_t refused, late;
};

/* The shard of this thread, or NULL outside. */
extern __thread th_shard *th_shard_self;

/* --- Kernel ------------------------------------------------------------------------- */

#define TH_TABLE_CHUNK 4096
#define TH_TABLE_CHUNKS (TH_PID_SLOTS_MAX / TH_TABLE_CHUNK)

#define TH_PROCESSES_MAX (TH_PID_SLOTS_MAX - 1 - TH_SHARDS_MAX * TH_SHARD_SLOTS)

typedef struct th_slot {
    _Atomic(th_process *) process;
    uint64_t generation; /* of the last process in it; its owner's */
} th_slot;

typedef struct th_table {
    _Atomic(th_slot *) chunks[TH_TABLE_CHUNKS];
    th_spin lock;   /* of the rest */
    uint32_t used;  /* slots below it were given out once */
    uint32_t *free; /* a stack of slots that came back */
    uint32_t free_count, free_room;
    uint32_t slots_max, alive_max;
    _Atomic uint32_t alive;
} th_table;

typedef struct th_name th_name;

#define TH_NAMES_BUCKETS 16384

/* Text to pid; read without a lock, written under one. */
typedef struct th_names {
    _Atomic(th_name *) buckets[TH_NAMES_BUCKETS];
} th_names;

#define TH_CATALOG_BUCKETS 4096

/* What is left of processes that ended and had put something out, oldest first. */
typedef struct th_records {
    th_spin lock; /* of the rest */
    th_list all;
    uint32_t count;
    size_t bytes;
} th_records;

/* How far the node's memory is used up, and so what is refused (budget.c). */
typedef enum th_budget_level {
    TH_BUDGET_FREE,
    TH_BUDGET_NO_SPAWNS,
    TH_BUDGET_NO_SENDS,
    TH_BUDGET_NO_ANSWERS,
} th_budget_level;

/* Id to entry or host; read without a lock, written under one (catalog.c). */
typedef struct th_catalog {
    _Atomic(th_list *) buckets[TH_CATALOG_BUCKETS];
    th_spin lock;
} th_catalog;

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

/* Those who listen to messages (trace.c). */
typedef struct th_tracers {
    th_spin lock;
    th_tracer *all[TH_TRACERS_MAX];
} th_tracers;

struct th_kernel {
    /* Fixed at creation. */
    th_kernel_config config;
    char *node;
    unsigned shards_count;
    int64_t budget_bytes;

    /* Seldom written, read at each send. */
    _Atomic uint32_t budget_level;
    _Atomic uint32_t tracers_count;

    /* Thread: any. */
    _Alignas(64) _Atomic int64_t outside_bytes; /* as a shard's, by all other threads */
    th_records records;
    th_epoch epoch;
    th_table table;
    th_spin names_lock;
    th_names registry;   /* names of text 003 */
    th_names chosen;     /* "name:package:publisher" of chosen process names */
    uint64_t names_seed; /* of their hashes: a guest chooses names, but not this */
    th_identities identities;
    _Atomic uint32_t life; /* th_life_node */
    th_tracers tracers;
    th_catalog entries, hosts;
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
void th_outside_leave(th_kernel *kernel, th_epoch_reader *reader);
th_epoch_reader *th_reader_here(th_kernel *kernel); /* of this thread; entered */

th_err th_shard_init(th_shard *shard, th_kernel *kernel, int number);
void th_shard_deinit(th_shard *shard);
void th_shard_run(void *shard);      /* the body of its thread */
bool th_shard_step(th_shard *shard); /* simulation: one slice */
bool th_shard_has_own_work(th_shard *shard);
bool th_shard_has_work(th_shard *shard); /* own, or another's that it may take */
void th_shard_end_chain(th_shard *shard);
void th_shard_alert(th_shard *shard); /* look up: from any thread */
void th_shard_serve(th_shard *shard); /* timers, limbo; between two slices */
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

/* life.c */
const th_life_row *th_life_end(th_process *process, th_on_exit **on_exit);
bool th_life_comes_again(const th_life_row *row);
th_err th_life_save(th_process *process, th_pid owner, th_saving *saving);
void th_process_launch(th_process *process);      /* if it is held; any thread */
void th_job_drop(th_kernel *kernel, th_job *job); /* nobody is there to have it */

/* route.c: tell whoever waits for the answer to @msg that none comes. Takes it. */
void th_route_return(th_kernel *kernel, th_msg *msg, th_err reason);

/* route.c: it left the mailbox, whose process may be ending. */
void th_mail_discharge(th_process *process, th_msg *msg);

/* route.c: requests that were taken and not answered. */
void th_held_add(th_process *self, th_msg *msg);
void th_held_sweep(th_process *self, int64_t now); /* without those that are over */

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
th_err th_deadline_set(th_process *target, th_mono due); /* NOT_FOUND, QUOTA */
void th_deadlines_end(th_process *process);

/* budget.c */
void th_budget_init(th_kernel *kernel);
void th_budget_update(th_kernel *kernel); /* now and then, by any shard */
int64_t th_budget_bytes(th_kernel *kernel);
int64_t th_budget_parts(th_msg *msg, int sign);  /* what it shares with others */
int64_t th_budget_blob(th_blob *blob, int sign); /* takes NULL */

/* Charge @bytes to the node, or discharge them: on any thread, often. */
static inline void th_budget_add(th_kernel *kernel, int64_t bytes)
{
    th_shard *shard = th_shard_self;

    if (shard != NULL && shard->kernel == kernel) {
        int64_t sum = atomic_load_explicit(&shard->bytes, memory_order_relaxed) + bytes;

        atomic_store_explicit(&shard->bytes, sum, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&kernel->outside_bytes, bytes, memory_order_relaxed);
    }
}

/* A message comes into somebody's hold (1) or leaves it (-1). */
static inline void th_budget_msg(th_kernel *kernel, th_msg *msg, int sign)
{
    int64_t bytes = sign * (int64_t)msg->room;

    if (__builtin_expect(msg->body_blob != NULL || msg->blob != NULL ||
                             msg->caps != NULL,
                         0)) {
        bytes += th_budget_parts(msg, sign);
    }
    th_budget_add(kernel, bytes);
}

/* Is it so far used up? The sum is looked at anew before that is said. */
bool th_budget_refuses_now(th_kernel *kernel, th_budget_level from);

static inline bool th_budget_refuses(th_kernel *kernel, th_budget_level from)
{
    uint32_t level = atomic_load_explicit(&kernel->budget_level, memory_order_relaxed);

    return __builtin_expect(level >= from, 0) && th_budget_refuses_now(kernel, from);
}

/* output.c */
void th_output_end(th_process *process); /* keep the record, if there is something */
void th_records_init(th_records *records);
void th_records_deinit(th_records *records);

/* tie.c */
th_err th_tie_born(th_process *parent, th_process *child, bool monitored, bool linked);
bool th_tie_take(th_process *self, th_item *item, th_event *event);
void th_tie_refuse(th_process *ended, th_item *item);
void th_ties_end(th_process *self);

/* names.c */
th_err th_names_claim(th_process *process, const th_spawn *spec);
void th_names_release(th_process *process);
void th_names_deinit(th_names *names);
th_err th_names_resolve(th_kernel *kernel, th_slice text, th_pid *out,
                        th_id_error *error);

/* rights.c */
#define TH_ID_KERNEL "kernel:distro:sys"
#define TH_PARAMS_CONTROL "\"control\"" /* to end, link and name its issuer */

th_err th_rights_born(th_process *parent, th_process *child, const th_spawn *spec);
void th_rights_end(th_process *process, bool comes_again);
void th_rights_close(th_process *process);          /* the last call for it */
th_caps *th_rights_caps(const th_process *process); /* NULL: no memory */
th_on_exit *th_rights_on_exit(const th_process *process);
void th_process_put_id(const th_process *process, th_buf *out);

/* Does @self hold messaging on @target, or need it not? */
bool th_rights_hold_messaging(const th_process *self, const th_process *target);

/* May @self end @target, be it by a link, or give it names? */
bool th_rights_may_control(const th_process *self, const th_process *target);

/* What needs no capability whoever the target is. */
static inline bool th_rights_is_free(const th_process *self, const th_process *target)
{
    return self->package == 0 || (self->package == target->package && !self->is_strict);
}

/* inspect.c */
void th_process_fill_info(const th_process *process, th_process_info *out);

/* From its last look at the clock until @now the shard was busy. */
void th_shard_sample(th_shard *shard, int64_t now_ns);

/* Change a count that its owner alone writes. */
static inline void th_count(_Atomic uint32_t *count, uint32_t by)
{
    uint32_t sum = atomic_load_explicit(count, memory_order_relaxed) + by;

    atomic_store_explicit(count, sum, memory_order_relaxed);
}

/* trace.c: for those who listen. What follows only when somebody does. */
static inline bool th_is_traced(const th_kernel *kernel)
{
    return __builtin_expect(atomic_load_explicit(&kernel->tracers_count,
                                                 memory_order_relaxed) != 0,
                            0);
}

/* @msg, stamped, went to its target, or was refused. */
void th_trace_sent(th_process *self, const th_msg *msg, th_err outcome);
void th_trace_answered(th_process *self, const th_msg *question, const th_msg *answer,
                       th_err outcome);

/* The request @msg ends so for @requester. */
void th_trace_failed(th_kernel *kernel, th_pid requester, const th_msg *msg,
                     th_err reason);

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
