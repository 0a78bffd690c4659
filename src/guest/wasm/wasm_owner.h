/*
 * What the files of guest/wasm share and nobody else sees: what is kept of one process
 * besides its instance, and of the node's engine.
 *
 *   wasm_engine.c   the engine, programs      wasm_guest.c   start, slices, the end
 *   wasm_compile.c  their machine code        wasm_call.c    the operations
 *   wasm_cache.c    the same, kept            wasm_mail.c    what arrives
 *   wasm_bell.c     wakers                    wasm_send.c    what is sent
 *   wasm_output.c   what it prints            wasm_spawn.c   spawn
 *                                             wasm_convert.c messages, both ways
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_WASM_WASM_OWNER_H
#define TH_GUEST_WASM_WASM_OWNER_H

#include "base/list.h"
#include "guest/wasm/wasm_compile.h"
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
    th_delivery in_hand; /* what its wait ended with */
    th_request *awaited; /* WAITS_REPLY */

    /* The current message, as text 000 has it. */
    th_msg *prompt;        /* the last that can be answered, held, or NULL */
    th_wasm_prompt *saved; /* the same, where a request was sent under it */
    th_list prompts;       /* all that are saved */
    th_blob *blob;         /* of the current message, held, or NULL */
    th_blob *last_blob;    /* the newest of any message, held, or NULL */

    /* What came while it awaited something else: a ring. */
    th_delivery *letters;
    uint32_t letters_room, letters_first, letters_count;

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
#define TH_WASM_UNAVAILABLE "%s is not available in this version of thole"

/* --- wasm_guest.c --- */

/* The engine's waker. Thread: any. */
void th_wasm_wake(uint64_t number);

/* --- wasm_call.c --- */

extern const th_whost th_wasm_host;

/* Room for the one message of a reply. False: no memory. */
bool th_wasm_one_message(th_wcall *reply);

/* Is one of @caps issued by this process itself? No other can be its to hand on. */
bool th_wasm_has_own_caps(const th_wasm_process *self, const th_wcaps *caps);

/* --- wasm_mail.c --- */

/* Has what it waits for come? Takes from the mailbox until it has. */
bool th_wasm_mail_look(th_wasm_process *self);

/* Give the guest what th_wasm_mail_look found. Returns TH_W_READY or TH_W_TRAP. */
int th_wasm_mail_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap);

/* A reference to the prompt, or NULL where there is none. False: no memory. */
bool th_wasm_mail_save_prompt(th_wasm_process *self, th_wasm_prompt **out);
void th_wasm_mail_unsave_prompt(th_wasm_process *self, th_wasm_prompt *saved);

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
int th_wasm_spawn(th_wasm_process *self, const th_wcall *args, th_wcall *reply,
                  th_wbuf *trap);

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
