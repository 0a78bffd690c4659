/*
 * What the files of attach share: attach.c has both ends and the flow between them,
 * attach_name.c says whose process it is, attach_rights.c what it may, attach_mail.c
 * what arrives, attach_verb.c what a line does, attach_send.c what it sends.
 */
#ifndef TH_NODE_ATTACH_PARTS_H
#define TH_NODE_ATTACH_PARTS_H

#include "guest/native/native.h"
#include "node/attach.h"
#include "node/attach_line.h"

#include <pthread.h>
#include <stdatomic.h>

struct th_attaches {
    th_attaches_spec spec;
    th_native program;
    th_guest guest; /* th_guest_native, with a name and rules of its own */
    pthread_mutex_t lock;

    /* Under the lock. */
    th_list entries; /* owned; as many as packages */
    uint32_t entries_count;
    uint64_t number; /* the last one given out; where it begins is random */
    th_list living;  /* th_attach.link: from before their spawn to the drop */
    th_list ending;  /* th_attach.link: their processes are being dropped */
};

/* --- Mail (owner) ------------------------------------------------------------------- */

/* A message that was received, for as long as somebody may mean it. */
typedef struct attach_message {
    uint64_t number; /* 0: none */
    th_msg *msg;     /* one reference, or NULL */
} attach_message;

typedef struct attach_blob {
    uint64_t number;
    th_blob *blob;
} attach_blob;

/* Messages whose blob can be asked for by their number. */
#define ATTACH_BLOBS_MAX 64
#define ATTACH_BLOBS_BYTES_MAX ((size_t)16 << 20)

/* Lines `receive` that may wait for a message. */
#define ATTACH_RECEIVES_MAX 4096

/* An own request that is open: the tag of the kernel's. */
typedef struct attach_ask {
    th_list link;
    th_buf id, to;         /* of the line that sent it */
    attach_message prompt; /* under which it was sent */
} attach_ask;

/* Something that is being made durable, or read (attach_keep.c). */
typedef struct attach_keep attach_keep;

typedef struct attach_mail {
    uint64_t numbers; /* the last one given out */

    /* Requests that can be answered, by number, in order; some are gone (msg NULL). */
    attach_message *open;
    uint32_t open_count, open_room;

    attach_message prompt;
    th_blob *blob, *last_blob; /* of the current message, and the last that there was */
    attach_blob blobs[ATTACH_BLOBS_MAX]; /* a ring */
    uint32_t blobs_first, blobs_count;
    size_t blobs_bytes;

    th_list asks;        /* attach_ask.link */
    attach_ask *awaited; /* nothing else goes on until it ends */
    attach_keep *keep;   /* likewise; the kernel has it meanwhile */
    th_list letters;     /* what came meanwhile */
    th_list receives;    /* th_attach_line.link: the oldest gets the next message */
    uint32_t receives_count;
    bool hears_events;
} attach_mail;

struct th_attach {
    /* Fixed when it was made. */
    th_attaches *of;
    uint64_t number;   /* the argument of its process */
    th_socket *socket; /* one reference */
    bool pulls;
    th_buf id;             /* of the `attach` */
    _Atomic uint32_t refs; /* the connection's and the process's */

    /* Thread: io. */
    th_pid pid;

    /* Under the lock. */
    pthread_mutex_t lock;
    th_list fresh; /* th_attach_line.link */
    uint32_t fresh_count;
    size_t fresh_bytes;
    bool is_held;   /* the connection */
    bool is_closed; /* the connection is gone */
    bool is_over;   /* the process is gone */

    _Atomic bool is_choked; /* the process sleeps until what waits is written */

    /* Thread: owner. */
    th_buf stuck; /* a line that did not fit the socket */
    bool is_starved;
    attach_mail mail;

    /* Under the lock of all. */
    th_list link;
    th_pid ended; /* its pid, in `ending` */
};

/* Write a line, with its end. It is emptied. */
void th_attach_write(th_attach *attach, th_buf *line);

/* --- attach_name.c ------------------------------------------------------------------ */

/*
 * The entry of the process that @name says, made at its first use; *@process is the
 * part of @name that is the process's, or empty.
 *
 * Refuses: INVALID, DENIED, EXISTS, QUOTA; @why says more.
 */
th_err th_attach_name(th_attaches *attaches, th_slice name, const th_entry **entry,
                      th_slice *process, th_buf *why);
void th_attach_names_deinit(th_attaches *attaches);

/* --- attach_rights.c ---------------------------------------------------------------- */

/* What a process has from its start, as its `attach` says. */
typedef struct attach_rights {
    th_caps *caps;    /* one reference, or NULL */
    th_grant *grants; /* owned; texts borrowed */
    size_t grants_count;
} attach_rights;

/* Refuses: INVALID, NOT_FOUND, QUOTA; @why says more. */
th_err th_attach_rights(attach_rights *out, th_kernel *kernel,
                        const th_attach_spec *spec, th_buf *why);
void th_attach_rights_deinit(attach_rights *rights);

/* --- attach_mail.c ------------------------------------------------------------------ */

void th_attach_mail_init(attach_mail *mail);

/* At the end of @self; the kernel has given back what it held. */
void th_attach_mail_deinit(th_process *self, attach_mail *mail);

/* Does it await something, so that nothing else is done or shown? */
bool th_attach_mail_is_busy(const attach_mail *mail);

/* May it take something now? */
bool th_attach_mail_wants(const th_attach *attach);

/* Take what is next and write its line. False: there is nothing. */
bool th_attach_mail_take(th_process *self, th_attach *attach);

/*
 * The message @number that can still be answered, or with 0 the prompt. Borrowed; NULL:
 * there is none.
 */
const attach_message *th_attach_mail_find(const attach_mail *mail, uint64_t number);

/* It is answered or passed on: it is no longer found by its number. */
void th_attach_mail_settle(attach_mail *mail, uint64_t number);

/* The response to @one was refused: it can be answered again, and is the prompt. */
void th_attach_mail_unanswered(attach_mail *mail, attach_message one);

/* The blob of message @number, or with 0 of the current one. Borrowed, or NULL. */
th_blob *th_attach_mail_blob(const attach_mail *mail, uint64_t number);

/* Take note of a request that @line is about to send. NULL: memory ran out. */
attach_ask *th_attach_ask_new(attach_mail *mail, const th_attach_line *line);
void th_attach_ask_free(attach_ask *ask);

/* --- Doing (attach_verb.c, attach_send.c, attach_keep.c) ---------------------------- */

/* One line that is being done. */
typedef struct attach_doing {
    th_process *self;
    th_attach *attach;
    th_attach_line *line;
    th_buf ok;  /* of the answer; empty: {} */
    th_buf why; /* of an error; empty: as its reason says */
    th_pid to;
    size_t at;     /* in `to`, where that is wrong; or SIZE_MAX */
    bool is_later; /* somebody else answers */
    bool is_ended; /* the process */
} attach_doing;

typedef th_err attach_verb(attach_doing *it);

/* Find who `to` means. Refuses: NOT_FOUND, OFFLINE, INVALID; `why` says more. */
th_err th_attach_resolve(attach_doing *it);

/* Say why nothing came of what was sent to `to`; @err comes back. */
th_err th_attach_explain(attach_doing *it, th_err err);

attach_verb th_attach_do_request, th_attach_do_forward, th_attach_do_response,
    th_attach_do_send;
attach_verb th_attach_do_spawn, th_attach_do_save_caps, th_attach_do_drop_caps,
    th_attach_do_our_caps;
attach_verb th_attach_do_set_state, th_attach_do_get_state, th_attach_do_clear_state;
attach_verb th_attach_do_set_on_exit, th_attach_do_get_on_exit;

/* The ok of what made @who. */
void th_attach_put_ident(attach_doing *it, const th_ident *who);

/* It is done: answer it. What @it holds goes. */
void th_attach_finish(attach_doing *it, th_err err);

/* What was to be kept is; @job is that. */
void th_attach_keep_came(th_process *self, th_attach *attach, th_job *job);

attach_verb th_attach_do_receive, th_attach_do_get_blob, th_attach_do_last_blob;

/* --- attach_verb.c ------------------------------------------------------------------ */

/* Do what @line says, and answer it. It is taken. True: the process ended. */
bool th_attach_do(th_process *self, th_attach *attach, th_attach_line *line);

#endif
