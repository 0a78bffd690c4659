/*
 * What the files of guest/wasm share and nobody else sees: what is kept of one process
 * besides its instance, and of the node's engine.
 *
 *   wasm_engine.c   the engine, programs      wasm_guest.c   start, slices, the end
 *   wasm_compile.c  their machine code        wasm_call.c    the operations
 *   wasm_cache.c    the same, kept            wasm_mail.c    what arrives
 *   wasm_bell.c     wakers                    wasm_send.c    what is sent
 *   wasm_output.c   what it prints            wasm_spawn.c   spawn
 *   wasm_caps.c     capabilities              wasm_save.c    what survives it
 *   wasm_sys.c      kernel:distro:sys         wasm_convert.c messages, both ways
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_WASM_WASM_OWNER_H
#define TH_GUEST_WASM_WASM_OWNER_H

#include "base/list.h"
#include "core/prompt.h"
#include "guest/wasm/wasm_compile.h"
#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_engine.h"
#include "kernel/kernel.h"

/* Payload of one call of a guest; it is copied, so that no call costs a slice. */
#define TH_WASM_CALL_BYTES_MAX ((uint64_t)64 << 20)

struct th_wasm {
    th_wasm_options options;
    _Atomic(const th_engine *) engine; /* made with the first program */
    th_wasm_compiler compiler;
    _Atomic unsigned alive; /* processes that have an instance */
};

struct th_wasm_program {
    th_wasm *wasm;
    th_program *program;
};

/* Requests of one send-requests that wait for their sender's next slice. */
typedef struct th_wasm_outbox {
    th_wmsgs messages; /* owned */
    size_t next;
} th_wasm_outbox;

/* What the guest waits for in an operation that is PENDING. */
typedef enum th_wasm_wait {
    TH_WASM_WAITS_NOT,
    TH_WASM_WAITS_MAIL,  /* receive */
    TH_WASM_WAITS_REPLY, /* send-and-await-response */
    TH_WASM_WAITS_TURN,  /* its slice is over */
    TH_WASM_WAITS_SAVED, /* something of it is being made durable */
} th_wasm_wait;

/*
 * A prompt that is to come back: the message that was current when a request was sent.
 * One for all requests that were sent under it.
 */
typedef struct th_wasm_prompt {
    th_list link; /* in the process's list, for its end */
    uint32_t refs;
    th_msg *msg; /* held */
} th_wasm_prompt;

/*
 * A message that comes from this process's own guest and not from its mailbox: what
 * kernel:distro:sys says, and a response that was refused.
 */
typedef struct th_wasm_note {
    uint8_t kind;          /* th_received: NOTICE, RESPONSE or RESPONSE_FAILED */
    th_msg *msg;           /* held */
    th_blob *context;      /* RESPONSE: of the request; held, or NULL */
    th_wasm_prompt *saved; /* RESPONSE, RESPONSE_FAILED: comes back; or NULL */
    th_ident to;           /* RESPONSE_FAILED: who did not get it; its name is held */
} th_wasm_note;

typedef enum th_wasm_from { TH_WASM_MSG, TH_WASM_REPLY, TH_WASM_NOTE } th_wasm_from;

/* One thing that the guest is to receive. */
typedef struct th_wasm_letter {
    th_wasm_from from;
    bool was_kept; /* while the guest awaited something else */
    union {
        th_msg *msg;
        th_request *request;
        th_wasm_note *note;
    };
} th_wasm_letter;

typedef struct th_wasm_saving th_wasm_saving;

typedef struct th_wasm_process {
    th_process *process;
    th_instance *instance;
    uint64_t bell;   /* what the engine knows it by */
    bool is_woken;   /* by itself, in this poll */
    uint8_t waits;   /* th_wasm_wait */
    bool is_ending;  /* it is being dropped */
    bool is_starved; /* what came could not be kept: it ends */
    bool is_short;   /* the last memory that it asked for was refused by the node */
    bool has_in_hand;
    bool is_saved;          /* WAITS_SAVED: it came back */
    bool hears_stop;        /* it wants to be told of cancels */
    th_wasm_letter in_hand; /* what its wait ended with */
    th_request *awaited;    /* WAITS_REPLY */
    th_wasm_saving *saving; /* WAITS_SAVED: the kernel's, once is_saved this one's */

    /* The current message, as text 000 has it. */
    th_msg *prompt;        /* the last that can be answered, held, or NULL */
    th_wasm_prompt *saved; /* the same, where a request was sent under it */
    th_list prompts;       /* all that are saved */
    th_blob *blob;         /* of the current message, held, or NULL */
    th_blob *last_blob;    /* the newest of any message, held, or NULL */

    /* What came while it awaited something else: a ring. */
    th_wasm_letter *letters;
    uint32_t letters_room, letters_first, letters_count;
    uint32_t notes_count; /* of them, and what they cost */
    size_t notes_bytes;

    th_wasm_outbox *outbox; /* owned; WAITS_TURN, or NULL */
    th_buf lines[2];        /* standard output and error, until a line is whole */
    int8_t refused;         /* th_err: why a spawn was refused last */

    /* The target of its last send (th_wasm_target), and who that is. */
    uint8_t known_bytes;
    char known[112];
    th_pid known_pid;
} th_wasm_process;

/* Why a guest is ended, for th_wasm_trap. */
#define TH_WASM_NO_MEMORY "the node's memory ran out"

/* --- wasm_guest.c --- */

/* The engine's waker. Thread: any. */
void th_wasm_wake(uint64_t number);

/* --- wasm_call.c --- */

extern const th_whost th_wasm_host;

/* Room for the one message of a reply. False: no memory. */
bool th_wasm_one_message(th_wcall *reply);

/* --- wasm_mail.c --- */

/* Has what it waits for come? Takes from the mailbox until it has. */
bool th_wasm_mail_look(th_wasm_process *self);

/* Give the guest what th_wasm_mail_look found. Returns TH_W_READY or TH_W_TRAP. */
int th_wasm_mail_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap);

/* A reference to the prompt, or NULL where there is none. False: no memory. */
bool th_wasm_mail_save_prompt(th_wasm_process *self, th_wasm_prompt **out);
void th_wasm_mail_unsave_prompt(th_wasm_process *self, th_wasm_prompt *saved);

/*
 * Put @note, of which only the parts that it needs are set, into its mail: to be
 * received, or to be what it awaits. All that it holds is taken, @from is not.
 *
 * Refuses: QUOTA, there are too many, or no memory.
 */
th_err th_wasm_mail_note(th_wasm_process *self, const th_wasm_note *from,
                         bool is_awaited);

void th_wasm_mail_deinit(th_wasm_process *self);

/* --- wasm_send.c, wasm_spawn.c: each returns enum th_wanswer --- */

int th_wasm_send(th_wasm_process *self, th_wmsg *message, th_wbuf *trap);

/* After TH_W_READY it waits for the reply. */
int th_wasm_send_awaited(th_wasm_process *self, th_wmsg *message, th_wbuf *trap);

/*
 * Send all, with others' slices in between if they are many: then TH_W_PENDING, and go
 * on after that.
 */
int th_wasm_send_all(th_wasm_process *self, th_wcall *args, th_wbuf *trap);
int th_wasm_send_rest(th_wasm_process *self, th_wbuf *trap);

/* What is not sent yet. Takes NULL. */
th_wasm_outbox *th_wasm_outbox_free(th_wasm_outbox *outbox);

int th_wasm_respond(th_wasm_process *self, th_wmsg *message, th_wbuf *trap);
int th_wasm_spawn(th_wasm_process *self, th_wcall *args, th_wcall *reply,
                  th_wbuf *trap);

/* Its child is there for good, or, with @err, was never. */
int th_wasm_spawned(th_wasm_process *self, const th_ident *child, th_err err,
                    th_wcall *reply, th_wbuf *trap);

/* --- wasm_caps.c --- */

/*
 * What this process may hand on of @caps; *out is NULL where that is nothing. False: no
 * memory.
 */
bool th_wasm_claim(th_wasm_process *self, const th_wcaps *caps, th_caps **out);

/*
 * May a call name so many? @bytes counts those of all lists of one call. False: a text
 * in @trap.
 */
bool th_wasm_caps_are_few(const th_wcaps *caps, size_t *bytes, th_wbuf *trap);

/* They return enum th_wanswer. */
int th_wasm_hold_caps(th_wasm_process *self, enum th_wop op, const th_wcaps *caps,
                      th_wbuf *trap);
int th_wasm_our_caps(th_wasm_process *self, th_wcall *reply, th_wbuf *trap);

/* --- wasm_save.c: each returns enum th_wanswer --- */

/* Is this process to survive the node? */
bool th_wasm_is_durable(const th_wasm_process *self);

int th_wasm_get_on_exit(th_wasm_process *self, th_wcall *reply, th_wbuf *trap);
int th_wasm_set_on_exit(th_wasm_process *self, th_wcall *args, th_wbuf *trap);

/* @op is one of GET_STATE, SET_STATE, CLEAR_STATE. */
int th_wasm_state(th_wasm_process *self, enum th_wop op, th_wcall *args, th_wbuf *trap);

/* Save that it lives with what it holds now: for SAVE_CAPS, DROP_CAPS. */
int th_wasm_save_life(th_wasm_process *self, enum th_wop op, th_wbuf *trap);

/* What is done with a guest's on-exit. A refusal's text is in @why. */
th_err th_wasm_take_on_exit(th_wasm_process *self, th_wcall *args, th_on_exit **out,
                            th_buf *why);

/* For a spawn: NULL, no memory. To be given back where nothing was submitted. */
th_wasm_saving *th_wasm_saving_new(enum th_wop op);
void th_wasm_saving_free(th_wasm_saving *saving);
th_saving *th_wasm_saving_of(th_wasm_saving *saving);

/* The spawn of @child waits for @saving, which is taken. */
void th_wasm_saving_wait(th_wasm_process *self, th_wasm_saving *saving,
                         const th_ident *child);

/* At its end: what came back and was not used. */
void th_wasm_save_deinit(th_wasm_process *self);

/* What waited for it goes on: it came back. */
int th_wasm_save_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap);

/* --- wasm_sys.c --- */

/*
 * Is @message, to @target, a command to the kernel that a process's own guest does:
 * about its links, its monitors and what it is told? Then it is done, and answered if
 * it expects that; *err says what came of the answer.
 */
bool th_wasm_sys_does(th_wasm_process *self, const th_wasm_target *target,
                      th_wmsg *message, bool is_awaited, th_err *err);

/* Does the guest want to know of @event? Then @note is filled. False, too: no memory,
 * and then the process is starved. */
bool th_wasm_sys_tells(th_wasm_process *self, const th_event *event,
                       th_wasm_note *note);

/* --- wasm_output.c --- */

/* Print @text, however long, in pieces of whole lines. */
void th_wasm_print(th_wasm_process *self, th_output kind, th_slice text);

/* What it wrote to standard output or error, by lines. */
void th_wasm_print_raw(void *env, int fd, const uint8_t *text, size_t bytes);
void th_wasm_print_rest(th_wasm_process *self);
void th_wasm_logf(th_wasm_process *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* End the guest: @format says why. Returns TH_W_TRAP. */
int th_wasm_trap(th_wbuf *trap, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
