/*
 * Control: the protocol in which a node is asked and told things from outside.
 *
 * JSON, a line each way. The node begins with a hello; then each request gets one
 * answer with the same id, perhaps later and in another order:
 *
 *   {"thole":"0.1.0","protocol":1,"features":["ps","send",...]}
 *
 *   {"id":1,"verb":"ps"}
 *   {"id":2,"verb":"send","to":T,"topic":T,"values":[V,...]}   or "body", "body_base64"
 *   {"id":3,"verb":"call","to":T,"body":T,"timeout_ms":N,"blob_base64":T}
 *   {"id":4,"verb":"kill","to":T}
 *   {"id":5,"verb":"attach","name":T,...}   from then on the lines are attach's
 *   {"id":6,"verb":"info","to":T}                              or "caps"
 *   {"id":7,"verb":"grant","to":T,"issuer":T,"params":T}
 *   {"id":8,"verb":"revoke","issuer":T,"params":T,"to":T}      or from all, without to
 *   {"id":12,"verb":"state","to":T}
 *   {"id":9,"verb":"trace","to":T}                             or of all
 *
 *   {"id":1,"ok":{...}}
 *   {"id":2,"error":{"reason":"not_found","message":T,"at":N}}
 *   {"id":9,"traced":{...}}                    one for each message, behind the answer
 *
 * Unknown fields are ignored, unknown verbs refused. A line that cannot be read is
 * answered with an error whose id is null; one that is too long ends the session.
 *
 * This file is pure: bytes in, requests and bytes out.
 *
 * Thread: one at a time.
 */
#ifndef TH_NODE_CONTROL_H
#define TH_NODE_CONTROL_H

#include "base/bytes.h"
#include "base/own.h"
#include "codec/json_doc.h"

#define TH_CONTROL_PROTOCOL 1
#define TH_CONTROL_LINE_BYTES_MAX ((size_t)16 << 20)
#define TH_CONTROL_ID_BYTES_MAX 64
#define TH_CONTROL_TIMEOUT_MS 5000 /* of a call that says none */

typedef enum th_verb {
    TH_VERB_PS,
    TH_VERB_SEND,
    TH_VERB_CALL,
    TH_VERB_KILL,
    TH_VERB_ATTACH,
    TH_VERB_INFO,
    TH_VERB_CAPS,
    TH_VERB_GRANT,
    TH_VERB_REVOKE,
    TH_VERB_TRACE,
    TH_VERB_STATE,
} th_verb;

/* One request, decoded; all of it is borrowed for the call. */
typedef struct th_control_request {
    th_slice id; /* its JSON text */
    th_verb verb;
    th_slice to;           /* a PID text, an address or a name; or empty */
    th_slice topic;        /* send */
    const th_json *values; /* send: an array, or NULL: the body is bytes */
    th_buf body;           /* send, call */
    th_buf blob;           /* call, with has_blob */
    bool has_blob;
    uint64_t timeout_ms;                /* call, > 0 */
    th_slice name;                      /* attach: of the process, or empty */
    bool pulls;                         /* attach */
    bool is_public;                     /* attach */
    const th_json *grants, *granted_to; /* attach: lists, or NULL */
    th_slice issuer;                    /* grant, revoke: as `to`, or of one to come */
    th_slice params;                    /* likewise: JSON */
} th_control_request;

/* Do it: append the answer to @out, or have it sent later. */
typedef void th_control_ask(void *context, const th_control_request *request,
                            th_buf *out);

typedef struct th_control th_control;

th_err th_control_new(th_control **out, th_control_ask *ask, void *context);
th_control *th_control_free(th_control *control); /* takes NULL, returns NULL */

/*
 * From the next line on each goes to @take as it is, empty ones left out: the protocol
 * is another one.
 */
typedef void th_control_line(void *context, th_slice line, th_buf *out);
void th_control_hand_over(th_control *control, th_control_line *take);

/*
 * Append an id as JSON: a number, or a text of at most TH_CONTROL_ID_BYTES_MAX. False:
 * what is there counts as none, and "null" is appended.
 */
bool th_control_id(const th_json *json, th_buf *out);

/* Append the hello, with its line's end. */
void th_control_hello(th_buf *out);

/*
 * Take in what the other side wrote; answers go to @out.
 *
 * Refuses: INVALID, QUOTA: write @out and close.
 */
th_err th_control_feed(th_control *control, th_slice bytes, th_buf *out);

/* Append an answer: put_ok begins one, whose value the caller writes, up to put_end. */
void th_control_put_ok(th_buf *out, th_slice id);
void th_control_put_end(th_buf *out);
void th_control_put_error(th_buf *out, th_slice id, th_err err, const char *message);

/* As put_error, for a text with a mark: the byte @at of `to` is wrong. */
void th_control_put_error_at(th_buf *out, th_slice id, th_err err, const char *message,
                             size_t at);

TH_AUTO_FREE(th_control, th_control_free)

#endif
