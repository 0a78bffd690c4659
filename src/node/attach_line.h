/*
 * Attach lines: what a process outside the node says and is told, a line each.
 *
 * From outside comes a call, {"id":I,"verb":V,...}, which is answered with ok or error
 * as in control.h where it has an id, and with an error where it has none and fails.
 * From the node come besides
 *
 *   {"message":{"number":N,"kind":K,...}}   K: send, request, response, error
 *   {"event":{"kind":K,...}}                as in text 003
 *   {"ended":{...}}                         the last one
 *
 * or, if the process pulls, the first two as the ok of a `receive`. docs/attach.md has
 * every field, docs/attach.schema.json their types.
 *
 * This file is pure: a line becomes a plain struct completely, or is wrong.
 *
 * Thread: any; a line belongs to one at a time.
 */
#ifndef TH_NODE_ATTACH_LINE_H
#define TH_NODE_ATTACH_LINE_H

#include "codec/json_doc.h"
#include "kernel/process.h"
#include "svc/on_exit_json.h"

/* TH_ATTACH_VERB(enum, text, fields that it needs, fields that it may have) */
#define TH_ATTACH_VERBS                                                                \
    TH_ATTACH_VERB(REQUEST, "request", OF(TO) | OF(BODY),                              \
                   OF(METADATA) | OF(CONTEXT) | OF(BLOB) | OF(INHERIT) | OF(EXPECTS) | \
                       OF(AWAIT) | OF(CAPS))                                           \
    TH_ATTACH_VERB(SEND, "send", OF(TO) | OF(TOPIC) | OF(VALUES), 0)                   \
    TH_ATTACH_VERB(RESPONSE, "response", OF(BODY),                                     \
                   OF(MESSAGE) | OF(METADATA) | OF(BLOB) | OF(INHERIT) | OF(CAPS))     \
    TH_ATTACH_VERB(FORWARD, "forward", OF(TO),                                         \
                   OF(MESSAGE) | OF(BODY) | OF(METADATA) | OF(BLOB) | OF(CAPS))        \
    TH_ATTACH_VERB(RECEIVE, "receive", 0, 0)                                           \
    TH_ATTACH_VERB(GET_BLOB, "get-blob", 0, OF(MESSAGE))                               \
    TH_ATTACH_VERB(LAST_BLOB, "last-blob", 0, 0)                                       \
    TH_ATTACH_VERB(SPAWN, "spawn", OF(ENTRY),                                          \
                   OF(HOST) | OF(NAME) | OF(ARGS) | OF(MONITOR) | OF(LINK) |           \
                       OF(REGISTER) | OF(PUBLIC) | OF(ON_EXIT) | OF(CAPS) |            \
                       OF(GRANT_TO))                                                   \
    TH_ATTACH_VERB(MONITOR, "monitor", OF(TO), 0)                                      \
    TH_ATTACH_VERB(UNMONITOR, "unmonitor", OF(TO), 0)                                  \
    TH_ATTACH_VERB(LINK, "link", OF(TO), 0)                                            \
    TH_ATTACH_VERB(UNLINK, "unlink", OF(TO), 0)                                        \
    TH_ATTACH_VERB(TERMINATE, "terminate", OF(TO), 0)                                  \
    TH_ATTACH_VERB(CANCEL, "cancel", OF(TO), OF(AFTER) | OF(REASON))                   \
    TH_ATTACH_VERB(REGISTER, "register", OF(NAME), OF(TO))                             \
    TH_ATTACH_VERB(UNREGISTER, "unregister", OF(NAME), 0)                              \
    TH_ATTACH_VERB(LOOKUP, "lookup", OF(NAME), 0)                                      \
    TH_ATTACH_VERB(EVENTS, "events", 0, OF(ON) | OF(TRAP_LINKS) | OF(LINK_EVENTS))     \
    TH_ATTACH_VERB(SAVE_CAPS, "save-capabilities", OF(CAPS), 0)                        \
    TH_ATTACH_VERB(DROP_CAPS, "drop-capabilities", OF(CAPS), 0)                        \
    TH_ATTACH_VERB(OUR_CAPS, "our-capabilities", 0, 0)                                 \
    TH_ATTACH_VERB(SET_STATE, "set-state", OF(STATE), 0)                               \
    TH_ATTACH_VERB(GET_STATE, "get-state", 0, 0)                                       \
    TH_ATTACH_VERB(CLEAR_STATE, "clear-state", 0, 0)                                   \
    TH_ATTACH_VERB(SET_ON_EXIT, "set-on-exit", OF(ON_EXIT), 0)                         \
    TH_ATTACH_VERB(GET_ON_EXIT, "get-on-exit", 0, 0)                                   \
    TH_ATTACH_VERB(NOTIFY_STOP, "notify-stop", 0, OF(ON))                              \
    TH_ATTACH_VERB(PRINT, "print", OF(TEXT), OF(LEVEL))                                \
    TH_ATTACH_VERB(EXIT, "exit", 0, OF(BODY) | OF(ERROR))

typedef enum th_attach_verb {
#define TH_ATTACH_VERB(name, text, needs, takes) TH_ATTACH_##name,
    TH_ATTACH_VERBS
#undef TH_ATTACH_VERB
        TH_ATTACH_VERBS_COUNT
} th_attach_verb;

/* What a line may have; BODY, VALUES, BLOB, CONTEXT and EXPECTS in several spellings. */
typedef enum th_attach_field {
    TH_ATTACH_HAS_TO,
    TH_ATTACH_HAS_TOPIC,
    TH_ATTACH_HAS_BODY,
    TH_ATTACH_HAS_VALUES,
    TH_ATTACH_HAS_METADATA,
    TH_ATTACH_HAS_CONTEXT,
    TH_ATTACH_HAS_BLOB,
    TH_ATTACH_HAS_INHERIT,
    TH_ATTACH_HAS_EXPECTS,
    TH_ATTACH_HAS_AWAIT,
    TH_ATTACH_HAS_MESSAGE,
    TH_ATTACH_HAS_ENTRY,
    TH_ATTACH_HAS_HOST,
    TH_ATTACH_HAS_NAME,
    TH_ATTACH_HAS_ARGS,
    TH_ATTACH_HAS_MONITOR,
    TH_ATTACH_HAS_LINK,
    TH_ATTACH_HAS_REGISTER,
    TH_ATTACH_HAS_AFTER,
    TH_ATTACH_HAS_REASON,
    TH_ATTACH_HAS_ON,
    TH_ATTACH_HAS_TRAP_LINKS,
    TH_ATTACH_HAS_LINK_EVENTS,
    TH_ATTACH_HAS_TEXT,
    TH_ATTACH_HAS_LEVEL,
    TH_ATTACH_HAS_ERROR,
    TH_ATTACH_HAS_CAPS,
    TH_ATTACH_HAS_PUBLIC,
    TH_ATTACH_HAS_ON_EXIT,
    TH_ATTACH_HAS_GRANT_TO,
    TH_ATTACH_HAS_STATE,
    TH_ATTACH_FIELDS_COUNT
} th_attach_field;

#define TH_ATTACH_TEXT_BYTES_MAX 65536 /* of a print, a reason or an error */

/* One line from outside. What it does not have is zero. Texts are borrowed from json. */
typedef struct th_attach_line {
    th_list link;
    size_t cost; /* bytes that it holds, about */
    th_buf id;   /* as JSON; "null" without has_id */
    bool has_id;
    th_err wrong; /* not OK: nothing but `why` and the id counts */
    th_buf why;
    th_attach_verb verb;
    uint32_t has; /* 1 << th_attach_field */

    th_slice to, topic, metadata, entry, host, name, registered, reason, said, error;
    uint64_t message;   /* a number, from 1 */
    uint64_t inherited; /* likewise; 0: of the prompt */
    bool inherits, awaits, monitors, links, on, traps_links, link_events;
    uint64_t expects_s, timeout_ns; /* timeout_ns > 0 */
    uint64_t after_ms, level;
    th_format format;   /* of the body */
    th_buf body;        /* also the arguments of a spawn, a term */
    th_blob *body_blob; /* a large body, instead */
    th_blob *context, *blob, *state;
    th_claim *claims; /* owned; texts borrowed */
    th_grant *grants; /* likewise */
    size_t claims_count, grants_count;
    th_on_exit_draft *on_exit; /* owned */
    bool is_public;
    th_list msgs; /* th_msg.item.link: what is to be sent on the topic, at least one */
    th_json *json;
} th_attach_line;

static inline bool th_attach_has(const th_attach_line *line, th_attach_field field)
{
    return (line->has & 1u << field) != 0;
}

/*
 * Read a line. A wrong one is made, too, and says so. NULL: memory ran out.
 */
th_attach_line *th_attach_line_new(th_slice text);
th_attach_line *th_attach_line_free(th_attach_line *line); /* takes NULL */

const char *th_attach_verb_name(th_attach_verb verb);

/* --- Capabilities ------------------------------------------------------------------- */

#define TH_ATTACH_CAPS_MAX 1024 /* in one line */

/*
 * Read a list, or none (NULL): each is a PROCESS, which means messaging, or an object,
 * {"issuer":PROCESS,"params":TEXT} of a claim, {"process":PROCESS,"params":TEXT} of a
 * grant. What comes out is to be freed; its texts are borrowed. False: it is none, or
 * memory ran out.
 */
bool th_attach_claims_read(const th_json *list, th_claim **out, size_t *n);
bool th_attach_grants_read(const th_json *list, th_grant **out, size_t *n);

/*
 * Why something of @to was not permitted, and what to do: append a sentence. @params
 * is what a capability of it must be.
 */
void th_attach_put_no_right(th_buf *out, th_slice to, th_slice params);

/* --- To the outside: each appends an object without what stands around it. --------- */

/* Whose something is, and its number. */
typedef struct th_attach_from {
    uint64_t number;
    th_slice pid, address;
    th_slice node; /* this one, for issuers without one */
} th_attach_from;

/* An own request, as its answer or error names it. */
typedef struct th_attach_asked {
    th_slice id;            /* of the line that sent it, as JSON */
    th_slice to;            /* as that wrote it */
    const th_blob *context; /* or NULL */
    th_slice node;          /* as of th_attach_from */
} th_attach_asked;

/* Append a pair, `capabilities`. */
void th_attach_put_caps(th_buf *out, th_slice node, const th_caps *caps);

/* A send or a request, received at @now_ns. */
void th_attach_put_msg(th_buf *out, const th_attach_from *from, const th_msg *msg,
                       int64_t now_ns);

void th_attach_put_response(th_buf *out, const th_attach_from *from,
                            const th_attach_asked *asked, const th_msg *response);

/* A request that came back: as a message, or as what an awaiting line is answered. */
void th_attach_put_failure(th_buf *out, uint64_t number, const th_attach_asked *asked,
                           th_err reason, const th_msg *original);

void th_attach_put_event(th_buf *out, const th_attach_from *from,
                         const th_event *event);

/* How it ended; @exit NULL: memory ran out. */
void th_attach_put_end(th_buf *out, const th_exit *exit);

TH_AUTO_FREE(th_attach_line, th_attach_line_free)

#endif
