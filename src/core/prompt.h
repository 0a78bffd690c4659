/*
 * Prompt: the rules of messages, as tables (text 000, DESIGN 4.1 to 4.3).
 *
 * The prompt of a process is the last message received that can be answered; the
 * current message is the last one received. A request takes note of the prompt under
 * which it was sent, and what ends it brings that back.
 *
 * Each function finds the row for a case; rows are there for all.
 *
 * Pure. Thread: any.
 */
#ifndef TH_CORE_PROMPT_H
#define TH_CORE_PROMPT_H

#include "base/err.h"

#include <stdbool.h>

/* --- Sending a request ------------------------------------------------------------ */

typedef enum th_origin {
    TH_ORIGIN_FRESH,  /* a new one */
    TH_ORIGIN_PROMPT, /* the prompt's */
} th_origin;

typedef enum th_answer_to {
    TH_ANSWER_TO_NOBODY,
    TH_ANSWER_TO_SELF,
    TH_ANSWER_TO_PROMPTER, /* the prompt's requester: the target is its delegate */
} th_answer_to;

typedef struct th_request_row {
    bool expects, inherit, has_prompt;
    th_origin id;      /* of the request, under which its answer is matched */
    th_origin lineage; /* of the chain */
    th_answer_to answer;
} th_request_row;

const th_request_row *th_prompt_request(bool expects, bool inherit, bool has_prompt);

/* Where a response goes: to the prompt's requester, or to nobody, in silence. */
th_answer_to th_prompt_response(bool has_prompt);

/* --- The blob that goes along: requests and responses alike ------------------------- */

typedef enum th_blob_from {
    TH_BLOB_NONE,
    TH_BLOB_EXPLICIT,
    TH_BLOB_CURRENT, /* of the current message */
    TH_BLOB_PROMPT,  /* of the message that gave the prompt */
} th_blob_from;

typedef struct th_blob_row {
    bool is_explicit; /* the sender gave one */
    bool inherit;
    bool current_has; /* the current message has one */
    bool prompt_has;  /* there is a prompt, and it has one */
    th_blob_from from;
} th_blob_row;

const th_blob_row *th_prompt_blob(bool is_explicit, bool inherit, bool current_has,
                                  bool prompt_has);

/* --- Receiving -------------------------------------------------------------------- */

typedef enum th_received {
    TH_RECEIVED_QUESTION,        /* a request that can be answered */
    TH_RECEIVED_NOTICE,          /* a request or send that cannot */
    TH_RECEIVED_RESPONSE,        /* to a request of ours, awaited or not */
    TH_RECEIVED_ERROR,           /* a request of ours came back */
    TH_RECEIVED_RESPONSE_FAILED, /* a response of ours came back */
} th_received;

#define TH_RECEIVED_COUNT 5

typedef enum th_prompt_then {
    TH_PROMPT_KEEP,
    TH_PROMPT_THIS,     /* the message itself */
    TH_PROMPT_SAVED,    /* the one under which the request was sent, if any */
    TH_PROMPT_ANSWERED, /* the request that the response answered: it can be re-sent */
} th_prompt_then;

typedef enum th_blob_then {
    TH_BLOB_THEN_KEEP,
    TH_BLOB_THEN_THIS, /* the message's */
    TH_BLOB_THEN_NONE,
} th_blob_then;

typedef struct th_receive_row {
    th_received kind;
    bool has_blob;
    th_prompt_then prompt;
    th_blob_then blob;      /* what get-blob gives */
    th_blob_then last_blob; /* what last-blob gives */
    bool gives_context;     /* the stored one, if any, unless it was awaited */
} th_receive_row;

const th_receive_row *th_prompt_receive(th_received kind, bool has_blob);

/* --- Answering -------------------------------------------------------------------- */

typedef enum th_answerer {
    TH_ANSWERER_TARGET,   /* of the request, also when it has passed it on */
    TH_ANSWERER_DELEGATE, /* one whom it was passed on to */
    TH_ANSWERER_OTHER,
} th_answerer;

typedef enum th_question_state {
    TH_QUESTION_OPEN,
    TH_QUESTION_ANSWERED, /* a response was accepted before */
    TH_QUESTION_LATE,     /* its deadline has passed, or it came back as an error */
    TH_QUESTION_UNKNOWN,  /* its requester or that life of it is gone */
} th_question_state;

typedef enum th_verdict {
    TH_VERDICT_DELIVER, /* without a capability */
    TH_VERDICT_COUNT,   /* as late, duplicate or orphan, and trace it */
    TH_VERDICT_DROP,    /* it is no business of its sender's: trace it */
} th_verdict;

typedef struct th_answer_row {
    th_answerer who;
    th_question_state state;
    th_verdict verdict;
    th_err reason; /* what Lua is told; a Wasm process is told nothing */
} th_answer_row;

const th_answer_row *th_prompt_answer(th_answerer who, th_question_state state);

/* --- Failing ---------------------------------------------------------------------- */

typedef enum th_outgoing {
    TH_OUTGOING_REQUEST,  /* that expects a response */
    TH_OUTGOING_ONE_WAY,  /* that expects none; or a send */
    TH_OUTGOING_RESPONSE, /* to an open request */
} th_outgoing;

typedef enum th_failure {
    TH_FAILURE_OFFLINE, /* the target's node cannot be reached */
    TH_FAILURE_NOBODY,  /* there is no such process here, or it ended */
    TH_FAILURE_REFUSED, /* not permitted, or its mailbox is full */
} th_failure;

typedef enum th_failed_then {
    TH_FAILED_RETURNS, /* to its sender as an error, with its context */
    TH_FAILED_SILENT,  /* counted and traced; `nil, err` of a send in Lua */
} th_failed_then;

typedef struct th_failure_row {
    th_outgoing what;
    th_failure how;
    th_failed_then then;
    bool stays_open; /* the request that it is or answers, until its deadline */
} th_failure_row;

const th_failure_row *th_prompt_fail(th_outgoing what, th_failure how);

#endif
