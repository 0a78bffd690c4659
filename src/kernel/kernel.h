/*
 * Kernel: starts and ends processes, carries their messages, checks their rights.
 *
 * One node has one kernel. It runs a shard for each core, each a thread of its own
 * (real world), or is stepped by a driver on one thread (simulated world). All
 * else (files, the command line's connections, ...) is a process of it.
 *
 * Thread: main for new/start/stop/free; any for the rest.
 */
#ifndef TH_KERNEL_KERNEL_H
#define TH_KERNEL_KERNEL_H

#include "core/life.h"
#include "kernel/process.h"

#define TH_SHARDS_MAX 64

/*
 * A life that is over. Requests of its on-exit are sent already, where `life` says so;
 * the rest is the node's to do. Where it comes again its name is taken until
 * th_kernel_forget, and what is sent to it refused as DIED.
 */
typedef struct th_ended {
    const th_ident *who;
    const th_exit *exit; /* NULL: memory ran out */
    const th_life_row *life;
    th_on_exit *on_exit; /* NULL: none */
    th_caps *caps;       /* that it held, where it comes again; else NULL */
    th_blob *args;       /* or NULL */
    bool is_public;
    bool has_saved; /* it has state, or had */
    th_wall started;
} th_ended;

typedef struct th_kernel_config {
    th_world *world;
    const char *node;        /* its name; "local" when it has none */
    uint64_t boot;           /* raised at each start of the data folder */
    unsigned shards;         /* 1..TH_SHARDS_MAX */
    size_t memory_bytes_max; /* the node's budget; 0: three quarters of the machine */
    uint32_t processes_max;  /* 0: some sixteen million, the most there can be */

    /*
     * Make something durable, or read it: on a thread of its own; th_kernel_saved is to
     * follow. In simulation that may be at once. NULL: nothing is kept.
     *
     * Refuses: QUOTA.
     */
    th_err (*save)(void *context, th_saving *saving);

    /* Called for each output of a process, on its shard's thread; may be NULL. */
    void (*output)(void *context, const th_ident *from, th_output kind, th_slice text);
    /* Called once for each process that ended, on its shard's thread; may be NULL. */
    void (*ended)(void *context, const th_ended *what);
    /* Called once for each tick that some shard wanted, any thread; may be NULL. */
    void (*tick)(void *context);
    void *context;
} th_kernel_config;

th_err th_kernel_new(th_kernel **out, const th_kernel_config *config);

/* Ends every process and frees everything. Not while started. Takes NULL. */
th_kernel *th_kernel_free(th_kernel *kernel);

/* Start and stop the shards' threads; in simulation they do nothing. */
th_err th_kernel_start(th_kernel *kernel);
void th_kernel_stop(th_kernel *kernel);

const char *th_kernel_node(const th_kernel *kernel);
uint64_t th_kernel_boot(const th_kernel *kernel);
th_world *th_kernel_world(const th_kernel *kernel);
unsigned th_kernel_shards(const th_kernel *kernel);

/* --- Entries and hosts ---------------------------------------------------------- */

/*
 * The kernel borrows them until its end. Refuses: EXISTS, the id is taken; INVALID, a
 * limit is beyond what the kernel can count.
 */
th_err th_kernel_add_entry(th_kernel *kernel, th_entry *entry);
th_err th_kernel_add_host(th_kernel *kernel, th_host *host);
const th_entry *th_kernel_find_entry(th_kernel *kernel, th_slice id);

/* The entry of the package of @of whose code is @file, or NULL. */
const th_entry *th_kernel_find_file(th_kernel *kernel, const th_entry *of,
                                    th_slice file);

/* A bare name is looked up in namespace @ns, then in `system`. */
const th_host *th_kernel_find_host(th_kernel *kernel, th_slice ns, th_slice id);

/* --- Processes ---------------------------------------------------------------------- */

/*
 * As th_process_spawn, by the node itself. Nothing is saved: `saving` is not used, and
 * whoever is to survive has a name.
 */
th_err th_kernel_spawn(th_kernel *kernel, const th_spawn *spec, th_ident *out,
                       th_buf *why);

/* Let a held process run. Refuses: NOT_FOUND. */
th_err th_kernel_launch(th_kernel *kernel, th_pid pid);

/* As th_process_set_on_exit. Refuses: NOT_FOUND, QUOTA, UNSUPPORTED. */
th_err th_kernel_set_on_exit(th_kernel *kernel, th_pid pid, th_on_exit *on_exit);

/*
 * Have the life of @pid saved (TH_SAVE_LIFE); @saving comes back to @owner, or, if that
 * is none, by its job's `dropped` on any thread. Refuses as th_process_save; NOT_FOUND.
 */
th_err th_kernel_save(th_kernel *kernel, th_pid pid, th_pid owner, th_saving *saving);

/* @saving came out as its `err` says. Thread: any. */
void th_kernel_saved(th_kernel *kernel, th_saving *saving);

/* Give @pid a job that is done, as a TH_ITEM_JOB. If it is gone the job is dropped. */
void th_kernel_tell(th_kernel *kernel, th_pid pid, th_job *job);

/* --- Rights ------------------------------------------------------------------------- */

/*
 * The capability of this text, issued in the name of its issuer: for the owner, for
 * manifests, and for the next life of a process. NULL: the issuer's text is no
 * id of this node (INVALID), or memory ran out.
 */
th_cap *th_kernel_issue(th_kernel *kernel, th_slice issuer, th_slice params);

/* Give it to @pid, or take it. Refuses: NOT_FOUND, QUOTA. */
th_err th_kernel_grant(th_kernel *kernel, th_pid pid, th_cap *cap);
th_err th_kernel_drop(th_kernel *kernel, th_pid pid, const th_claim *claim);

/* Take it from all who have it. False: nobody can have had it. */
bool th_kernel_revoke(th_kernel *kernel, const th_claim *claim);

/* What @pid holds. NULL: it is gone, or memory ran out. */
th_caps *th_kernel_caps(th_kernel *kernel, th_pid pid);

/*
 * The process "process:package:publisher" is to come, or to come again: until
 * th_kernel_forget nobody else can have its name, and sends are refused as DIED. With
 * `forget` what it issued is revoked, if no process of this name lives.
 */
th_err th_kernel_await(th_kernel *kernel, th_slice id);
void th_kernel_forget(th_kernel *kernel, th_slice id);

/*
 * As `forget`, but what it issued stays as it is, for whoever has the name next. Of a
 * process that lives `keep_issued` says that this is so once it is over.
 */
void th_kernel_release(th_kernel *kernel, th_slice id);
void th_kernel_keep_issued(th_kernel *kernel, th_pid pid);

/* From here on processes end as they do in such a node (core/life.h). */
void th_kernel_set_life(th_kernel *kernel, th_life_node node);

/* End it from outside. @text becomes its error. Refuses: NOT_FOUND. */
th_err th_kernel_kill(th_kernel *kernel, th_pid pid, th_slice text);

/* End it because the node stops: for its on-exit that is no kill. NOT_FOUND. */
th_err th_kernel_end(th_kernel *kernel, th_pid pid);

/* Make it run again though no item came (a Wasm future's waker). Never fails. */
void th_kernel_poke(th_kernel *kernel, th_pid pid);

bool th_kernel_is_alive(th_kernel *kernel, th_pid pid);

/* Who @pid is; *@out's name is to be unref'd. Refuses: NOT_FOUND. */
th_err th_kernel_ident(th_kernel *kernel, th_pid pid, th_ident *out);

/* A PID text, an address or a name, as th_process_resolve. */
th_err th_kernel_resolve(th_kernel *kernel, th_slice text, th_pid *out,
                         th_id_error *error);

/* Append both texts of an ident. */
void th_kernel_pid_text(const th_kernel *kernel, const th_ident *who, th_buf *out);
void th_kernel_address_text(const th_kernel *kernel, const th_ident *who, th_buf *out);

/* The parts of its address; the process part is written into @unique. */
void th_kernel_address(const th_kernel *kernel, const th_ident *who, th_address *out,
                       char unique[TH_UNIQUE_BYTES]);

/* What `thole ps` shows; a snapshot, each field true at some moment of the call. */
typedef struct th_process_info {
    th_ident ident;
    const char *state; /* "waiting", "runnable", "running", "new" */
    uint64_t mailbox_count, mailbox_bytes;
    uint64_t memory_bytes;
    uint64_t slices;
    uint64_t refused; /* of its one-way messages (th_process_note_refused) */
    th_wall started;
    bool is_public;
    bool hears_stop; /* th_process_set_hears_stop */
    th_ident parent; /* its spawner, if that lives; else `entry` is NULL */

    /*
     * The time that it ran, as far as shards looked at the clock: at each tick, and
     * when they had nothing to do. What passed since the look before counts for who ran
     * last. So it is true of who runs for long, and a guess of who runs for moments.
     */
    uint64_t cpu_ns;
} th_process_info;

typedef bool th_process_each(void *context, const th_process_info *info);
void th_kernel_each(th_kernel *kernel, th_process_each *each, void *context);

/* How many are alive. */
uint32_t th_kernel_count(th_kernel *kernel);

/* What `thole info` shows; each true at some moment of the call. */
typedef struct th_inspection {
    th_process_info info; /* `ident` is held, `parent` too */
    const th_limits *limits;
    bool is_public, is_held, is_strict, traps_links;
    th_on_exit *on_exit; /* held; NULL: none */
    th_caps *caps;       /* held */
    uint32_t requests;   /* own ones that are open */
    th_ident asked;      /* held: who got the newest of them, if that lives */
    uint32_t questions;  /* that it took and has not answered */
    uint32_t alarms;
    uint32_t links, watches, watched; /* monitors: its own, and of it */
} th_inspection;

/* To be deinitialised. Refuses: NOT_FOUND, QUOTA. */
th_err th_kernel_inspect(th_kernel *kernel, th_pid pid, th_inspection *out);
void th_inspection_deinit(th_inspection *inspection);

/*
 * Read the state of "process:package:publisher", which need not live. @saving comes back
 * by its job's `dropped`, on any thread. Refuses: UNSUPPORTED, QUOTA.
 */
th_err th_kernel_load_state(th_kernel *kernel, th_slice id, th_saving *saving);

/* Each name that the registry has for it. @each is called under a lock: be brief. */
typedef void th_name_each(void *context, th_slice name);
void th_kernel_each_name(th_kernel *kernel, th_pid pid, th_name_each *each,
                         void *context);

/* --- Tracing ------------------------------------------------------------------------ */

/* A message that was sent, or could not be; or the end of a request without one. */
typedef struct th_traced {
    const char *kind;   /* "send", "request", "response", "error" */
    th_ident from;      /* borrowed; of an error: who did not answer */
    th_ident to;        /* borrowed; `entry` NULL: it is gone, and has a pid alone */
    th_ident requester; /* likewise; who has the answer, if anybody */
    uint64_t request;   /* its number there; 0: no answer is expected */
    uint64_t lineage;   /* the same along a chain */
    uint16_t hops;
    bool is_inherited, is_delegated;
    th_slice topic; /* borrowed */
    size_t body_bytes, metadata_bytes, blob_bytes, caps_count;
    th_err outcome; /* OK: it is in the mailbox */
} th_traced;

/* Called on the sender's thread, and under a lock: be brief. */
typedef void th_trace_hear(void *context, const th_traced *what);

typedef struct th_tracer th_tracer;

#define TH_TRACERS_MAX 16

/*
 * Hear of each message of @pid, of its next lives if its name was chosen, and to it; of
 * all if it is none. Of two that pass between cores at one moment either may be told
 * first.
 *
 * Refuses: NOT_FOUND; QUOTA, as many listen.
 */
th_err th_tracer_new(th_tracer **out, th_kernel *kernel, th_pid pid,
                     th_trace_hear *hear, void *context);

/* Once this returned nothing more is heard. Takes NULL. */
th_tracer *th_tracer_free(th_tracer *tracer);

/*
 * Append what @pid printed last, the newest whole lines that its bound allows. *@end is
 * NULL while it lives; afterwards it is how it ended, to be unref'd, and this was the
 * one time that the record could be read. Of processes that printed nothing, and of
 * all but the newest few hundred, no record is kept.
 *
 * Refuses: NOT_FOUND.
 */
th_err th_kernel_read_log(th_kernel *kernel, th_pid pid, th_buf *out, th_exit **end);

/* The node in numbers; each true at some moment of the call. */
typedef struct th_figures {
    int64_t memory_bytes;     /* charged: messages, guests' memory, all that is held */
    int64_t memory_bytes_max; /* spawns are refused at 14/16 of it, sends at 15/16 */
    uint32_t processes;
    uint64_t refused; /* messages that a mailbox or the node had no room for */
    uint64_t late;    /* answers that nobody waited for any more */
} th_figures;

void th_kernel_figures(th_kernel *kernel, th_figures *out);

/* Is the node's memory so short that it refuses sends? For the text of a QUOTA. */
bool th_kernel_is_short(th_kernel *kernel);

/* --- Simulation ------------------------------------------------------------------------ */

/*
 * Run one slice on one shard (chosen by the world's dice among those that have
 * something to do), or advance the clock to the next timer. False: there is
 * nothing to do and never will be.
 */
bool th_kernel_step(th_kernel *kernel);

#endif
