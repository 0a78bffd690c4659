/*
 * Process: what a guest may ask of the kernel while its process runs.
 *
 * Every function here is called on the thread of the shard that runs @self, during
 * its slice, and never blocks. Those that speak to another process find it by its
 * pid and push one item into its inbox; what the kernel must deliver later
 * (timeout, EXIT, cancel, timer) has its node in the record that may cause it, so
 * that its delivery cannot fail. (DESIGN 3, "Bounds".)
 */
#ifndef TH_KERNEL_PROCESS_H
#define TH_KERNEL_PROCESS_H

#include "core/cap.h"
#include "core/entry.h"
#include "core/exit.h"
#include "core/msg.h"
#include "core/on_exit.h"
#include "kernel/guest.h"
#include "world/world.h"

typedef struct th_kernel th_kernel;
typedef struct th_request th_request; /* an own request that expects a response */
typedef struct th_alarm th_alarm;     /* a timer of this process */
typedef struct th_job th_job;         /* blocking work on another thread */
typedef struct th_saving th_saving;   /* something to be made durable */

/* A process that is not large, when the node's memory gets short. */
#define TH_GROWTH_SMALL_BYTES ((size_t)1 << 20)

/* --- Who am I ----------------------------------------------------------------- */

const th_ident *th_process_ident(const th_process *self);
th_kernel *th_process_kernel(const th_process *self);
void *th_process_state(const th_process *self); /* the guest's */
void th_process_set_state(th_process *self, void *state);
const th_limits *th_process_limits(const th_process *self);

/* The arguments of the spawn: a term (codec/term.h), an array; borrowed. */
th_slice th_process_args(const th_process *self);

/* Its canonical PID text, made once, borrowed until its end; with a NUL. */
th_slice th_process_pid_text(th_process *self);

/* --- Receiving ---------------------------------------------------------------- */

typedef enum th_event_kind {
    TH_EVENT_EXIT,      /* a monitored process ended */
    TH_EVENT_LINK_DOWN, /* a linked one failed, and this one traps links */
    TH_EVENT_LINK_UP,   /* link_events: a link was established */
    TH_EVENT_LINK_GONE, /* link_events: a link was removed */
    TH_EVENT_CANCEL,    /* it is asked to end */
} th_event_kind;

typedef struct th_event {
    th_event_kind kind;
    th_ident from; /* borrowed: held until the next th_process_next */
    th_wall at;
    th_wall deadline;    /* CANCEL: when it takes effect */
    bool enforced;       /* CANCEL: the kernel terminates it then */
    th_err reason;       /* EXIT, LINK_DOWN; TH_OK after a return */
    const th_exit *exit; /* borrowed; NULL when memory ran out */
    th_slice text;       /* CANCEL: the reason given, borrowed */
} th_event;

/* What th_process_next hands out. */
typedef struct th_delivery {
    th_item_type type; /* MSG, REPLY, EVENT, TIMER or JOB as below */
    union {
        th_msg *msg;           /* TH_ITEM_MSG: one reference is yours */
        th_request *request;   /* TH_ITEM_REPLY: yours, for th_request_free */
        const th_event *event; /* TH_ITEM_EVENT: valid until the next call */
        th_alarm *alarm;       /* TH_ITEM_TIMER: it fired; yours, for th_alarm_drop */
        th_job *job;           /* TH_ITEM_JOB: it is done; yours */
    };
} th_delivery;

/*
 * The next thing for this process, in the order of arrival. False: there is none;
 * return TH_RUN_BLOCKED and run is called again when there may be one.
 *
 * A request that expects an answer is held by the kernel, and counts against the
 * mailbox, until it is answered or passed on or its deadline is over: if this process
 * ends before, the requester is told. What else is handed out no longer counts, unless
 * the guest keeps it: then it calls th_process_keep.
 */
bool th_process_next(th_process *self, th_delivery *out);

/* Is there something for th_process_next? Cheap; may be wrong for a moment. */
bool th_process_has_next(const th_process *self);

/*
 * Count @cost bytes that the guest keeps unread on the process's behalf (unclaimed
 * topics) against its mailbox, or with a negative @cost no longer.
 */
void th_process_charge(th_process *self, int64_t cost, int count);

/*
 * Count @msg, which th_process_next gave and the guest keeps unread, against the
 * mailbox and its sender's package again; and no longer.
 */
void th_process_keep(th_process *self, th_msg *msg);
void th_process_unkeep(th_process *self, th_msg *msg);

/* --- Sending ------------------------------------------------------------------ */

/*
 * Send @msg (kind SEND, or REQUEST without EXPECTS) to @to.
 *
 * Owner:   @msg is taken on TH_OK and stays with the caller otherwise.
 * Refuses: NOT_FOUND, no such process; QUOTA, its mailbox is full, this process's
 *          package has half of it and it is filling up, or the node's memory is short
 *          (th_kernel_is_short); DENIED; INVALID, its guest has no form for the value.
 */
th_err th_process_send(th_process *self, th_pid to, th_msg *msg);

typedef struct th_ask {
    th_pid to;
    uint64_t timeout_ns; /* > 0 */
    th_blob *context;    /* shared, not taken; NULL: none */
    const th_msg *under; /* the request that this one inherits from, or NULL */
    void *tag;           /* the guest's, comes back with the reply */
    th_err refused;      /* not OK: nobody is asked, and this is what comes back */
} th_ask;

/*
 * Send @msg, a request that expects a response. Exactly one TH_ITEM_REPLY follows:
 * the response, or the error with its reason, also where the kernel knows at once
 * that there will be none (no such process, mailbox full, not permitted).
 *
 * Owner:   @msg is taken on TH_OK and stays with the caller otherwise.
 * Refuses: QUOTA, too many open requests; NOMEM.
 */
th_err th_process_request(th_process *self, const th_ask *ask, th_msg *msg,
                          th_request **out);

/* The tag, context and outcome of a request that came back as TH_ITEM_REPLY. */
void *th_request_tag(const th_request *request);
th_blob *th_request_context(const th_request *request);       /* borrowed, or NULL */
const th_msg *th_request_original(const th_request *request); /* borrowed */
th_msg *th_request_response(const th_request *request); /* borrowed; NULL: an error */
th_err th_request_reason(const th_request *request);    /* TH_OK with a response */
void th_request_free(th_process *self, th_request *request);

/* Forget an open request: whatever still comes for it is dropped. */
void th_request_abandon(th_process *self, th_request *request);

/*
 * Answer @question, a request that th_process_next gave and that the guest still
 * holds. Its requester gets @answer (kind RESPONSE), whoever that is.
 *
 * Owner:   @answer is taken on TH_OK; @question stays the caller's.
 * Refuses: NOT_FOUND, the requester ended or @question expects no answer; TIMED_OUT,
 *          it is answered already or too late; QUOTA, the answer's bytes do not fit
 *          its mailbox now: it may be tried again until the deadline; INVALID, its
 *          guest has no form for the value.
 */
th_err th_process_respond(th_process *self, th_msg *question, th_msg *answer);

/*
 * Send @msg (REQUEST without EXPECTS) on behalf of @question's requester, who gets
 * its answer directly, or an error when @to is gone, refuses or ends (text 000,
 * "Inheriting a Response"). Without an answerable @question as th_process_send.
 */
th_err th_process_forward(th_process *self, th_msg *question, th_pid to, th_msg *msg);

/*
 * The guest can answer @question no more: the kernel holds it no longer, and its
 * requester waits for its deadline. Nothing if it is answered or expects no answer.
 */
void th_process_forget(th_process *self, th_msg *question);

/*
 * Nobody will answer @question, which this process took: its requester gets @reason at
 * once. Nothing if it is answered or passed on, or expects no answer.
 */
void th_process_refuse(th_process *self, th_msg *question, th_err reason);

/*
 * A one-way message of a guest that has no way to tell its program was refused: it is
 * counted, and told in the process's log, but never once for each.
 */
void th_process_note_refused(th_process *self, th_pid to, th_err reason);

/* --- Life ---------------------------------------------------------------------- */

/*
 * Say how this life ends; run then returns TH_RUN_ENDED. @exit is taken; NULL when
 * memory ran out. Only the first call counts.
 */
void th_process_end(th_process *self, th_exit *exit);

typedef struct th_spawn {
    const th_entry *entry;
    const th_host *host;
    th_slice name;  /* the chosen name, or empty: the node makes one */
    th_slice args;  /* a term: an array of the arguments; empty: none */
    bool monitored; /* by the spawner, from before its first slice */
    bool linked;
    th_slice registered; /* a name in the registry, or empty */
    bool is_public;      /* all of this node may send to it; so may be its entry */
    bool is_again;       /* the next life of a process that is awaited (th_life_*) */
    bool is_held;        /* it takes messages, and runs from th_kernel_launch on */
    bool is_gone;        /* with is_held: it never runs, what it left is to be done */
    th_on_exit *on_exit; /* shared, not taken; NULL: as its entry says */
    const th_caps *caps; /* that it holds from its start; shared, or NULL */
    const th_grant *grants; /* capabilities of its own, for others */
    size_t grants_count;

    /* Where it is to survive the node (th_process_must_save): tells when that is so. */
    th_saving *saving;
} th_spawn;

/*
 * Make a process. It does not run before this returns. @why gets a text on refusal.
 *
 * A process that is to survive the node has a chosen name (the node makes one up
 * where there is none), and is held until its record is durable: @spec->saving then
 * comes back as a TH_ITEM_JOB, for th_process_spawned.
 *
 * Spawner and child may send to each other.
 *
 * Refuses: NOT_FOUND, INVALID (the guest's check), EXISTS (name taken), QUOTA
 *          (processes, memory), STOPPING, UNSUPPORTED (nothing is kept here).
 */
th_err th_process_spawn(th_process *self, const th_spawn *spec, th_ident *out,
                        th_buf *why);

/* Does @spec need `saving`? */
bool th_spawn_must_save(const th_spawn *spec);

/* The saving of @child came back: it runs now, or, with what is returned, never. */
th_err th_process_spawned(th_process *self, th_pid child, const th_saving *saving);

/* End @target now: none of its code runs any more. Refuses: NOT_FOUND, DENIED. */
th_err th_process_terminate(th_process *self, th_pid target);

/*
 * Ask @target to end: it gets a CANCEL event. With @enforced it is terminated once
 * @after_ns have passed; at or below zero at once. Refuses: NOT_FOUND, DENIED.
 */
th_err th_process_cancel(th_process *self, th_pid target, int64_t after_ns,
                         bool enforced, th_slice text);

/* It wants to be told when the node stops: by a CANCEL, as from others. */
void th_process_set_hears_stop(th_process *self, bool hears);

/* --- What survives ---------------------------------------------------------------- */

/* What is done when it ends; one reference, or NULL: nothing. */
th_on_exit *th_process_on_exit(const th_process *self);
bool th_process_is_public(const th_process *self);

/*
 * From here on; to be saved (TH_SAVE_LIFE) before anybody is told. Shares @on_exit.
 * Refuses: QUOTA; UNSUPPORTED, it has no chosen name and could not come again.
 */
th_err th_process_set_on_exit(th_process *self, th_on_exit *on_exit);

typedef enum th_save {
    TH_SAVE_STATE, /* `value` becomes its state */
    TH_SAVE_NONE,  /* it has no state any more */
    TH_LOAD_STATE, /* `loaded` gets its state; NOT_FOUND: it has none */
    TH_SAVE_LIFE,  /* that it is to live on, with its on-exit and its capabilities */
} th_save;

/*
 * Blocking work of a guest, embedded in its own struct, by the node's store instead of a
 * worker (th_kernel_config.save). `run` is not used. State belongs to the process's
 * address, so only a chosen name finds it again.
 */
#define TH_STATE_BYTES_MAX ((size_t)64 << 20)

/* --- Capabilities ------------------------------------------------------------------ */

/*
 * What a guest says of a capability: nothing but its texts. Those that it may not name
 * (it did not issue them, holds them not and was not given them) are left out in
 * silence, as text 000's system does.
 */
typedef struct th_claim {
    th_slice issuer; /* "process:package:publisher", with or without "node@" */
    th_slice params;
} th_claim;

/*
 * They came with a message that the guest kept and that its program sees only now: of
 * what came, the newest can be named.
 */
void th_process_given(th_process *self, th_caps *caps);

/* What of @claims it may hand on. A list, perhaps empty; NULL: memory ran out. */
th_caps *th_process_claim(th_process *self, const th_claim *claims, size_t n);

/*
 * Hold what it may name, for good; or hold it no longer. What it holds and may name is
 * charged to the node. Refuses: QUOTA, a bound of it, or the node's memory is short.
 */
th_err th_process_save_caps(th_process *self, const th_claim *claims, size_t n);
void th_process_drop_caps(th_process *self, const th_claim *claims, size_t n);

/* All that it holds. NULL: memory ran out. */
th_caps *th_process_caps(th_process *self);

/* Does it hold this one? */
bool th_process_has_cap(th_process *self, th_slice issuer, th_slice params);

/* --- Links and monitors ---------------------------------------------------------- */

/*
 * Refuses: NOT_FOUND, QUOTA; a second monitor of one target EXISTS; a link again OK; a
 * link to a process of the node itself, which it could end, DENIED.
 */
th_err th_process_monitor(th_process *self, th_pid target);
th_err th_process_link(th_process *self, th_pid target);

/* OK also when there was none. */
th_err th_process_unmonitor(th_process *self, th_pid target);
th_err th_process_unlink(th_process *self, th_pid target);

/* Traps: a failed link is an event instead of this process's end. */
bool th_process_traps_links(const th_process *self);
void th_process_set_traps_links(th_process *self, bool traps);
bool th_process_has_link_events(const th_process *self);
void th_process_set_link_events(th_process *self, bool wants);

/* --- Names ----------------------------------------------------------------------- */

/*
 * Who is meant by @text: a PID text, an address, or a registered name.
 * Refuses: NOT_FOUND; INVALID, it looks like an id and is none (@error says where).
 */
th_err th_process_resolve(th_process *self, th_slice text, th_pid *out,
                          th_id_error *error);

/* Refuses: EXISTS, NOT_FOUND (the process), INVALID (no name), QUOTA, DENIED. */
th_err th_process_register(th_process *self, th_slice name, th_pid pid);
th_err th_process_unregister(th_process *self, th_slice name); /* NOT_FOUND, DENIED */

/* --- Time ------------------------------------------------------------------------ */

th_mono th_process_now(const th_process *self);
th_wall th_process_wall(const th_process *self);
void th_process_dice(const th_process *self, void *bytes, size_t n);

/*
 * A TH_ITEM_TIMER at @due. Refuses: QUOTA. The guest holds it until it drops it,
 * fired or not.
 */
th_err th_alarm_set(th_process *self, th_mono due, void *tag, th_alarm **out);
void *th_alarm_tag(const th_alarm *alarm);
void th_alarm_drop(th_process *self, th_alarm *alarm); /* takes NULL */

/* --- Blocking work ----------------------------------------------------------------- */

/*
 * A piece of work for a worker thread; the guest embeds it first in its own struct.
 * Where the process has ended meanwhile, `dropped` frees it instead.
 */
struct th_job {
    th_item item;
    th_pid owner;
    th_kernel *kernel;
    void (*run)(th_job *job);     /* on a worker; touches nothing of the process */
    void (*dropped)(th_job *job); /* any thread; the process is gone */
    bool is_spawn;                /* the kernel's: it is a saving of a child */
};

/* One TH_ITEM_JOB follows. In simulation the work is done at once. */
void th_process_submit(th_process *self, th_job *job);

/* See th_save. One for the node's store; `job` comes back as a TH_ITEM_JOB. */
struct th_saving {
    th_job job; /* `dropped` is the guest's; the rest is the kernel's */
    th_save what;
    th_blob *value;      /* SAVE_STATE: held */
    th_buf loaded;       /* LOAD_STATE */
    th_err err;          /* how it came out */
    th_pid pid;          /* whose, in which life; a child is held until this is kept */
    th_buf id;           /* whose: "process:package:publisher" */
    th_on_exit *on_exit; /* SAVE_LIFE: held, as at the submission */
    th_caps *caps;       /* likewise */
    th_blob *args;       /* likewise, or NULL */
    const th_entry *entry;
    const th_host *host;
    bool is_public;
    bool stays_held; /* and longer, for th_kernel_launch */
    th_list link;    /* the store's */
};

/*
 * Have it saved. Refuses: UNSUPPORTED, nothing is kept here; QUOTA. Then it stays with
 * the caller.
 */
th_err th_process_save(th_process *self, th_saving *saving);

/* Give back what a saving holds; not the struct. */
void th_saving_deinit(th_saving *saving);

/* --- Log --------------------------------------------------------------------------- */

typedef enum th_output {
    TH_OUTPUT_PRINT,  /* print, print-to-terminal level 0: standard output too */
    TH_OUTPUT_LOG,    /* everything else, traps and standard error */
    TH_OUTPUT_STATUS, /* what it is at just now: for a terminal, in no log */
} th_output;

/*
 * One line or several of this process's output. The newest are kept in its ring, of
 * th_limits.log_bytes_max, until its exit record is read (th_kernel_read_log).
 */
void th_process_output(th_process *self, th_output kind, th_slice text);

/* --- Memory ------------------------------------------------------------------------ */

/*
 * May the guest's memory grow by @more bytes, where it has @held? To be asked beside
 * its own limit; what is granted is charged. At 15/16 of the node's budget only those
 * that hold less than TH_GROWTH_SMALL_BYTES grow on, so that it is the large ones that
 * end; at all of it nobody does.
 */
bool th_process_may_grow(th_process *self, size_t held, size_t more);

/* --- Slices -------------------------------------------------------------------------- */

/* Let others run: at once where the guest parks, at its next return otherwise. */
void th_process_yield(th_process *self);

/* Should the slice end? For guests that do not park: asked at safe points. */
bool th_process_should_yield(const th_process *self);

#endif
