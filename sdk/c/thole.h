/*
 * Write a process in C.
 *
 * A program is one file that defines th_main; `thole-cc` makes a component of it.
 * There is no C library: memory, strings and everything the node offers are here.
 *
 *     #include <thole.h>
 *
 *     void th_main(th_slice our)
 *     {
 *         for (;;) {
 *             th_message message = th_receive();
 *
 *             if (message.kind == TH_REQUEST) {
 *                 th_respond(&(th_response){.body = message.body});
 *             }
 *             th_message_free(&message);
 *         }
 *     }
 *
 * Memory. What a function returns belongs to the caller, who may give it back with
 * the free function of its type, or leave it: it goes with the process. What is
 * passed in is copied by the node during the call and stays the caller's. A program
 * that runs out of memory traps.
 *
 * Options. A slice whose ptr is NULL is none; an empty one with any other ptr is
 * there and empty. TH_NONE and th_str make them.
 *
 * All pointers may be NULL only where it says so. A process has one thread.
 */
#ifndef THOLE_H
#define THOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes, or text in UTF-8 without a zero byte at its end. */
typedef struct {
    const void *ptr;
    size_t len;
} th_slice;

#define TH_NONE ((th_slice){0})

typedef struct {
    th_slice process;
    th_slice package;
    th_slice publisher;
} th_process_id;

typedef struct {
    th_slice node;
    th_process_id id;
} th_address;

/*
 * A right on its issuer; params is JSON. What we write down of others' that we neither
 * hold nor were given is left out, in silence.
 */
typedef struct {
    th_address issuer;
    th_slice params;
} th_cap;

typedef struct {
    th_cap *ptr;
    size_t len;
} th_caps;

/* The large second part of a message. */
typedef struct {
    th_slice mime; /* or none */
    th_slice bytes;
} th_blob;

typedef struct {
    th_slice body;
    th_slice metadata; /* JSON, or none */
    th_slice context;  /* given back with the answer; or none */
    th_caps caps;
    const th_blob *blob; /* or NULL */
    uint64_t timeout_s;  /* if it expects a response */
    bool expects_response;
    bool inherit; /* hand on the current message's blob, and its asker if no response is
                     expected here */
} th_request;

typedef struct {
    th_slice body;
    th_slice metadata; /* JSON, or none */
    th_caps caps;
    const th_blob *blob; /* or NULL */
    bool inherit;        /* hand on the current message's blob */
} th_response;

typedef struct {
    th_address target;
    th_request request;
} th_outgoing;

typedef enum {
    TH_REQUEST,
    TH_RESPONSE,
    TH_OFFLINE, /* what we sent came back: the node can't be reached */
    TH_TIMEOUT, /* what we sent came back: no answer in time; or at once: there is no such
                   process, we may not send to it, its mailbox is full, it ended */
} th_kind;

typedef struct {
    th_kind kind;
    bool
        is_response; /* OFFLINE, TIMEOUT: what came back was a response; the request that
                         it answers is current again, so that it can be repeated */
    bool inherit;
    bool expects_response;
    bool has_blob; /* OFFLINE, TIMEOUT only; else ask th_get_blob */
    uint64_t timeout_s;
    th_address peer; /* source; of what came back the target */
    th_slice body;
    th_slice metadata; /* or none */
    th_slice context;  /* of the request that this ends; or none */
    th_caps caps;
    th_blob blob;
} th_message;

typedef enum { TH_EXIT_NONE, TH_EXIT_RESTART, TH_EXIT_REQUESTS } th_exit_kind;

/* What happens when this process ends. */
typedef struct {
    th_exit_kind kind;
    th_outgoing *requests; /* EXIT_REQUESTS */
    size_t n_requests;
} th_on_exit;

typedef enum { TH_SPAWNED, TH_NAME_TAKEN, TH_NO_FILE_AT_PATH } th_spawned;

/* A right on the new process for @receiver. */
typedef struct {
    th_process_id receiver;
    th_slice params;
} th_grant;

typedef struct {
    th_slice name; /* or none: the node makes one */
    th_slice path; /* package:publisher/drive/file.wasm */
    th_on_exit on_exit;
    th_caps request_caps; /* of ours, for the new process */
    const th_grant *grants;
    size_t n_grants;
    bool is_public;
} th_spawn_options;

/* The program. @our is the process's address as text. To return is to end. */
void th_main(th_slice our);

/* ---- messages ---- */

/* Wait for the next message. */
th_message th_receive(void);

/* Send; what becomes of it arrives as a message if a response is expected. */
void th_send(const th_address *target, const th_request *request);
void th_send_all(const th_outgoing *list, size_t n);

/* Answer the current request. */
void th_respond(const th_response *response);

/*
 * Send and wait for the answer; what else arrives meanwhile waits for th_receive.
 * The request must expect a response, and its context is not used.
 */
th_message th_call(const th_address *target, const th_request *request);

/* The current message's blob; false, and *out untouched, if it has none. */
bool th_has_blob(void);
bool th_get_blob(th_blob *out);

/* The newest blob of any message so far. */
bool th_last_blob(th_blob *out);

void th_message_free(th_message *message);
void th_blob_free(th_blob *blob);

/* ---- the process ---- */

/* Shown on the terminal; verbosity 0 always. */
void th_print(uint8_t verbosity, th_slice text);

th_address th_our(void);

/* To set it returns when it is durable; a process without a chosen name may not. */
th_on_exit th_get_on_exit(void);
void th_set_on_exit(const th_on_exit *on_exit);

/*
 * What the next life of this process finds; none if there is none. To set or to clear it
 * returns when that is durable; a disk that fails is a trap.
 */
th_slice th_get_state(void);
void th_set_state(th_slice bytes);
void th_clear_state(void);

/*
 * Start a process of our package. *id is written if it is TH_SPAWNED. One with an
 * on-exit is sure to come again when this returns.
 */
th_spawned th_spawn(const th_spawn_options *options, th_process_id *id);

/* Hold what we issued or were given with our newest messages, or hold it no longer. */
void th_save_caps(th_caps caps);
void th_drop_caps(th_caps caps);
th_caps th_our_caps(void);

void th_address_free(th_address *address);
void th_process_id_free(th_process_id *id);
void th_caps_free(th_caps *caps);
void th_on_exit_free(th_on_exit *on_exit);
void th_slice_free(th_slice *slice);

/* ---- memory and text ---- */

/* Aligned to 16. Never NULL: out of memory is a trap. th_free ignores NULL and
 * constants, so a slice of th_str may be freed like any other. */
void *th_alloc(size_t bytes);
void *th_realloc(void *block, size_t bytes);
void th_free(void *block);

/* A slice of a C string, which it does not copy. */
th_slice th_str(const char *text);

bool th_equal(th_slice a, th_slice b);

/* One fresh slice of all of @parts. */
th_slice th_concat(const th_slice *parts, size_t n);

/* The decimal digits of @n. */
th_slice th_decimal(uint64_t n);

/* node@process:package:publisher; the slices of a parsed address point into @text. */
th_slice th_address_text(const th_address *address);
bool th_address_parse(th_slice text, th_address *out);

/* End at once, as a crash. */
_Noreturn void th_trap(void);

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);

#endif
