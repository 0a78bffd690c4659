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

#include "kernel/process.h"

#define TH_SHARDS_MAX 64

typedef struct th_kernel_config {
    th_world *world;
    const char *node;        /* its name; "local" when it has none */
    uint64_t boot;           /* raised at each start of the data folder */
    unsigned shards;         /* 1..TH_SHARDS_MAX */
    size_t memory_bytes_max; /* the node's budget; 0: three quarters of the machine */
    uint32_t processes_max;  /* 0: some sixteen million, the most there can be */

    /* Called for each output of a process, on its shard's thread; may be NULL. */
    void (*output)(void *context, const th_ident *from, th_output kind, th_slice text);
    /* Called once for each process that ended, on its shard's thread; may be NULL. */
    void (*ended)(void *context, const th_ident *who, const th_exit *exit);
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

/* As th_process_spawn, by the node itself. */
th_err th_kernel_spawn(th_kernel *kernel, const th_spawn *spec, th_ident *out,
                       th_buf *why);

/* End it from outside. @text becomes its error. Refuses: NOT_FOUND. */
th_err th_kernel_kill(th_kernel *kernel, th_pid pid, th_slice text);

/* Make it run again though no item came (a Wasm future's waker). Never fails. */
void th_kernel_poke(th_kernel *kernel, th_pid pid);

bool th_kernel_is_alive(th_kernel *kernel, th_pid pid);

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
} th_process_info;

typedef bool th_process_each(void *context, const th_process_info *info);
void th_kernel_each(th_kernel *kernel, th_process_each *each, void *context);

/* How many are alive. */
uint32_t th_kernel_count(th_kernel *kernel);

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
