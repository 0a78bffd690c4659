/*
 * The Wasm engine: components of the world process-v1, run a slice at a time.
 *
 * This is the whole C ABI of the Rust crate in rust/engine. The engine knows
 * nothing of the kernel: it compiles, it runs a process until that must wait, and
 * it turns each call of the guest into one operation of a host that is given as a
 * table of functions. A process is one instance: it owns its memory, polls do its
 * work, and to free it is to kill it.
 *
 * Memory. Both sides use malloc. Whoever is left holding a th_wbuf, th_wcaps or
 * th_wmsgs frees it with free(). To take one: copy it and set its ptr to NULL. A
 * list owns its items. A buffer of length 0 may have any ptr that free() takes.
 *
 * Errors. `th_wbuf *error` may be NULL. It is written on failure only, with a text
 * for people (no zero byte at its end); what was in it before is not freed.
 *
 * Panics of the Rust side never get out: they end the process that caused them, or
 * the call, with a text.
 *
 * Signals. The first engine installs handlers of SIGSEGV, SIGILL and SIGFPE, and
 * each thread that polls gets an alternate signal stack. Nobody may replace these
 * handlers afterwards: a trap of a guest would end the node. (cmocka does, before
 * each test: sigaction them back, as test/wasm/driver.h does.)
 *
 * Layouts are asserted at the end, and in rust/process/src/abi.rs with the same
 * numbers: change both.
 */
#ifndef TH_ENGINE_H
#define TH_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct th_engine th_engine;
typedef struct th_program th_program;
typedef struct th_instance th_instance;

/* Bytes of malloc's; never ends in a zero byte. */
typedef struct {
    uint8_t *ptr; /* NULL when empty or taken */
    size_t len;
} th_wbuf;

/* A process id is an address whose node is empty. */
typedef struct {
    th_wbuf node;
    th_wbuf process;
    th_wbuf package;
    th_wbuf publisher;
} th_waddr;

typedef struct {
    th_waddr issuer;
    th_wbuf params;
} th_wcap;

typedef struct {
    th_wcap *ptr;
    size_t len;
} th_wcaps;

enum th_wkind {
    TH_W_REQUEST,
    TH_W_RESPONSE,
    TH_W_OFFLINE, /* a message of ours came back: its node can't be reached */
    TH_W_TIMEOUT, /* a message of ours came back: every other reason */
};

/* One shape for what is sent, what is received and what comes back. */
typedef struct {
    th_waddr peer;    /* the target of what is sent or came back, else the source */
    uint8_t kind;     /* enum th_wkind */
    bool is_response; /* OFFLINE, TIMEOUT: what came back is a response */
    bool inherit;
    bool has_expects;
    bool has_metadata;
    bool has_context;
    bool has_blob;
    bool has_mime;
    uint64_t expects_s;
    th_wbuf body;
    th_wbuf metadata;
    th_wbuf context; /* of requests sent, and responses and errors received */
    th_wbuf mime;
    th_wbuf blob; /* never of a received message: the guest asks for it */
    th_wcaps caps;
} th_wmsg;

typedef struct {
    th_wmsg *ptr;
    size_t len;
} th_wmsgs;

enum th_wonexit { TH_W_NONE, TH_W_RESTART, TH_W_REQUESTS };

enum th_wspawn { TH_W_SPAWNED, TH_W_NAME_TAKEN, TH_W_NO_FILE };

/*
 * The operations. Arguments and reply use the fields of th_wcall that are named;
 * all others are zero. All messages that are sent have their own target.
 *
 *                 arguments                        reply
 * PRINT           number (verbosity), text
 * GET_ON_EXIT                                      on_exit, messages
 * SET_ON_EXIT     on_exit, messages
 * GET_STATE                                        has_text, text
 * SET_STATE       text
 * CLEAR_STATE
 * SPAWN           has_text, text (name), path,     number (enum th_wspawn),
 *                 on_exit, messages, is_public,    caps[0].issuer (the new id)
 *                 caps (requested),
 *                 grants (issuer: who gets it)
 * SAVE_CAPS       caps
 * DROP_CAPS       caps
 * OUR_CAPS                                         caps
 * RECEIVE                                          messages[0]
 * HAS_BLOB                                         number (0 or 1)
 * GET_BLOB                                         messages[0], blob only, or none
 * LAST_BLOB                                        the same
 * SEND_REQUESTS   messages (any number)
 * SEND_RESPONSE   messages[0]
 * AWAIT           messages[0]                      messages[0]
 *
 * `our` is answered by the engine. SET_ON_EXIT, those of state, SPAWN, SAVE_CAPS,
 * DROP_CAPS, RECEIVE, the sends and AWAIT may wait.
 */
enum th_wop {
    TH_W_PRINT,
    TH_W_GET_ON_EXIT,
    TH_W_SET_ON_EXIT,
    TH_W_GET_STATE,
    TH_W_SET_STATE,
    TH_W_CLEAR_STATE,
    TH_W_SPAWN,
    TH_W_SAVE_CAPS,
    TH_W_DROP_CAPS,
    TH_W_OUR_CAPS,
    TH_W_RECEIVE,
    TH_W_HAS_BLOB,
    TH_W_GET_BLOB,
    TH_W_LAST_BLOB,
    TH_W_SEND_REQUESTS,
    TH_W_SEND_RESPONSE,
    TH_W_AWAIT,
};

typedef struct {
    uint64_t number;
    uint8_t on_exit; /* enum th_wonexit */
    bool is_public;
    bool has_text;
    th_wbuf text;
    th_wbuf path;
    th_wmsgs messages;
    th_wcaps caps;
    th_wcaps grants;
} th_wcall;

enum th_wanswer {
    TH_W_READY,   /* *reply is complete */
    TH_W_PENDING, /* only for operations that may wait: this poll ends, BLOCKED */
    TH_W_TRAP,    /* end the guest; *trap may say why */
};

/*
 * The host of a process.
 *
 * All but wake run inside th_instance_poll, on its thread, with the @env of that
 * poll, and on the instance's own stack: at least 128 KiB are free, big frames are
 * not for it. It may neither longjmp out nor switch to another C stack, and keeps no
 * pointer to thread-local data over a PENDING.
 */
typedef struct {
    /*
     * Do operation @op (enum th_wop). @args is the callee's to take from; what it
     * leaves is freed when this returns, also for PENDING. @reply and @trap are zero.
     * Returns enum th_wanswer.
     */
    int (*call)(void *env, uint32_t op, th_wcall *args, th_wcall *reply, th_wbuf *trap);

    /*
     * Go on with the operation that was PENDING, at each later poll until it is not.
     * @reply and @trap are still zero. A kill does not call this: the host forgets
     * the operation by itself.
     */
    int (*resume)(void *env, th_wcall *reply, th_wbuf *trap);

    /*
     * Process @pid wants a poll.
     *
     * Thread: any, at any time, also during its poll and after th_instance_free. A
     * process whose slice is used up wakes itself during its poll, and that poll
     * returns BLOCKED: who doesn't count wakes loses it.
     */
    void (*wake)(uint64_t pid);

    /* The guest wrote to standard output (@fd 1) or error (2); not by lines. */
    void (*print)(void *env, int fd, const uint8_t *text, size_t bytes);

    /* What wasi:clocks and wasi:random answer. */
    int64_t (*now_mono_ns)(void *env);
    int64_t (*now_wall_ns)(void *env);
    void (*random)(void *env, uint8_t *out, size_t bytes);

    /*
     * May its memories, which hold @held bytes now, take @more? Asked beside the
     * limit, during a poll. NULL: always.
     */
    bool (*may_grow)(void *env, uint64_t held, uint64_t more);
} th_whost;

typedef struct {
    /*
     * The same inputs give the same run: slices are counted in fuel instead of
     * timed by th_engine_tick, and NaNs are canonical.
     *
     * Known limit: a guest that sleeps or polls (wasi:clocks subscribe-*) still
     * sleeps in real time, and times of files are real.
     */
    bool is_deterministic;

    /*
     * Reserve little address space for each process: about 16,000 instead of 9,300
     * fit into the stock limit of mappings, and memory accesses are up to 60 %
     * slower in tight loops.
     */
    bool many_processes;
} th_engine_options;

typedef struct {
    uint64_t memory_bytes_max;   /* linear memories of the process, together */
    uint64_t table_elements_max; /* tables of the process, together; 20,000 is usual */
    uint64_t message_bytes_max; /* payload of one call of the guest: beyond, it traps */
    uint64_t slice_fuel;        /* deterministic: > 0, about one per instruction */
} th_wlimits;

typedef struct {
    const char *our;      /* node@process:package:publisher */
    uint64_t pid;         /* what wake is called with */
    const th_whost *host; /* copied */
    th_wlimits limits;
    const char *tmp_dir;    /* the guest's /tmp; NULL, or one that is gone: none */
    const char *const *env; /* "NAME=value", ends in NULL; or NULL */
} th_instance_options;

enum th_wstatus {
    TH_W_BLOCKED,  /* waits for a wake, which may have come already */
    TH_W_RETURNED, /* init returned */
    TH_W_EXITED,   /* wasi:cli/exit */
    TH_W_TRAPPED,
    TH_W_PANICKED, /* a defect of the engine; the process is gone, the engine is fine */
};

typedef struct {
    th_wbuf text; /* TRAPPED: reason, backtrace, last lines of standard error;
                     EXITED: only the latter; PANICKED: what panicked */
    int32_t exit_code;
    uint64_t refused_bytes; /* of memory that it asked for last and did not get, or 0 */
} th_wend;

/*
 * Make an engine. NULL and @error if the options don't work on this machine.
 *
 * Owner:  counted; programs and instances hold it too, so it may be freed first.
 * Thread: any, as for everything of an engine and of a program.
 */
const th_engine *th_engine_new(const th_engine_options *options, th_wbuf *error);
const th_engine *th_engine_free(const th_engine *engine);

/* End all running slices. Async-signal-safe. Nothing if deterministic. */
void th_engine_tick(const th_engine *engine);

/*
 * Two engines with the same number open each other's compiled files: part of their
 * names in the cache.
 */
uint64_t th_engine_compatibility(const th_engine *engine);

/*
 * Compile a component. Checks that its imports are there and that it exports init,
 * and names everything that is missing. Takes milliseconds to seconds of the calling
 * thread.
 *
 * Owner: @compiled is the caller's, written on success only.
 */
bool th_compile(const th_engine *engine, const uint8_t *wasm, size_t wasm_bytes,
                th_wbuf *compiled, th_wbuf *error);

/*
 * Load what th_compile made, from a file (mapped: it must not change; unlink and
 * rename are fine) or from memory (copied). It is machine code and is trusted: never
 * one that the node itself did not write. Tens of microseconds. NULL and @error if
 * it is cut short, or of an engine with another number.
 */
th_program *th_program_open(const th_engine *engine, const char *path, th_wbuf *error);
th_program *th_program_new(const th_engine *engine, const uint8_t *compiled,
                           size_t compiled_bytes, th_wbuf *error);

/* Its instances keep what they need. Takes NULL. */
th_program *th_program_free(th_program *program);

/*
 * Make a process, which runs nothing before its first poll. @options and what it
 * points to are not needed afterwards. NULL and @error if `our` is no address.
 */
th_instance *th_instance_new(const th_program *program,
                             const th_instance_options *options, th_wbuf *error);

/*
 * Run until the process blocks, uses up its slice, or ends. Returns enum th_wstatus.
 * @env is lent to the host's functions for this poll.
 *
 * Whatever is not BLOCKED is the end: the process's memory is gone, @end (NULL is
 * fine) is written and the caller's, and only th_instance_free may follow.
 *
 * Thread: any, one at a time for each instance.
 */
int th_instance_poll(th_instance *instance, void *env, th_wend *end);

/* What its linear memories hold now, in bytes. Thread: as th_instance_poll. */
uint64_t th_instance_memory_bytes(const th_instance *instance);

/*
 * Kill the process if it has not ended, at whatever point it is; no code of the
 * guest and no function of the host runs. Takes NULL. Not during its poll: to kill a
 * running process, wait for the end of its slice.
 */
th_instance *th_instance_free(th_instance *instance);

_Static_assert(sizeof(void *) == 8, "the ABI is for 64 bits");
_Static_assert(sizeof(th_wbuf) == 16 && offsetof(th_wbuf, len) == 8, "th_wbuf");
_Static_assert(sizeof(th_wcaps) == 16 && offsetof(th_wcaps, len) == 8, "th_wcaps");
_Static_assert(sizeof(th_wmsgs) == 16 && offsetof(th_wmsgs, len) == 8, "th_wmsgs");
_Static_assert(sizeof(th_waddr) == 64 && offsetof(th_waddr, publisher) == 48,
               "th_waddr");
_Static_assert(sizeof(th_wcap) == 80 && offsetof(th_wcap, params) == 64, "th_wcap");
_Static_assert(sizeof(th_wmsg) == 176 && offsetof(th_wmsg, kind) == 64, "th_wmsg");
_Static_assert(offsetof(th_wmsg, has_mime) == 71, "th_wmsg");
_Static_assert(offsetof(th_wmsg, expects_s) == 72, "th_wmsg");
_Static_assert(offsetof(th_wmsg, body) == 80 && offsetof(th_wmsg, caps) == 160,
               "th_wmsg");
_Static_assert(sizeof(th_wcall) == 96 && offsetof(th_wcall, on_exit) == 8, "th_wcall");
_Static_assert(offsetof(th_wcall, has_text) == 10, "th_wcall");
_Static_assert(offsetof(th_wcall, text) == 16, "th_wcall");
_Static_assert(offsetof(th_wcall, messages) == 48, "th_wcall");
_Static_assert(offsetof(th_wcall, grants) == 80, "th_wcall");
_Static_assert(sizeof(th_whost) == 64 && offsetof(th_whost, may_grow) == 56, "th_whost");
_Static_assert(sizeof(th_wlimits) == 32, "th_wlimits");
_Static_assert(offsetof(th_wlimits, slice_fuel) == 24, "th_wlimits");
_Static_assert(sizeof(th_instance_options) == 72, "th_instance_options");
_Static_assert(offsetof(th_instance_options, limits) == 24, "th_instance_options");
_Static_assert(offsetof(th_instance_options, env) == 64, "th_instance_options");
_Static_assert(sizeof(th_engine_options) == 2, "th_engine_options");
_Static_assert(sizeof(th_wend) == 32 && offsetof(th_wend, exit_code) == 16, "th_wend");
_Static_assert(offsetof(th_wend, refused_bytes) == 24, "th_wend");

#endif
