/*
 * Message: the one thing that passes between processes.
 *
 * A message is immutable once it is sent, counted, and never copied inside a node
 * except into a guest's own memory. Topic, metadata and a small body stand behind
 * the envelope in one allocation; a large body and the lazy blob are shared.
 *
 * Only `item` (the link of whatever queue holds it) and `leg` change on the way,
 * and only the one who carries the message touches them.
 *
 * Thread: any; the count is atomic.
 */
#ifndef TH_CORE_MSG_H
#define TH_CORE_MSG_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "core/blob.h"
#include "core/cap.h"
#include "core/id.h"

#include <stdatomic.h>

typedef struct th_entry th_entry;
typedef struct th_host th_host;

/* What an inbox carries; the first field of each such thing. */
typedef enum th_item_type {
    TH_ITEM_MSG,     /* th_msg: a send or a request for this process */
    TH_ITEM_ANSWER,  /* th_msg: a response, or a request that came back */
    TH_ITEM_REQUEST, /* th_request: its deadline passed */
    TH_ITEM_TIE,     /* th_tie_end: a link or monitor says something */
    TH_ITEM_CANCEL,  /* th_cancel: somebody asks this process to end */
    TH_ITEM_TIMER,   /* th_alarm: it fired */
    TH_ITEM_JOB,     /* th_job: it is done */
    TH_ITEM_REPLY,   /* th_request: the answer or error of an own request */
    TH_ITEM_EVENT,   /* th_event: EXIT, LINK_DOWN, CANCEL, ... */
} th_item_type;

typedef struct th_item {
    th_list link; /* an inbox uses `next` alone */
    uint8_t type; /* th_item_type */
} th_item;

/*
 * Who a process is: enough to print both of its texts even after its end.
 * Entries and hosts live as long as the node.
 */
typedef struct th_ident {
    th_pid pid;
    const th_entry *entry;
    const th_host *host;
    th_blob *name; /* the chosen name, held; NULL when the node made one */
} th_ident;

typedef enum th_msg_kind {
    TH_MSG_SEND,     /* one way, with a topic (text 003) */
    TH_MSG_REQUEST,  /* text 000; may expect a response */
    TH_MSG_RESPONSE, /* text 000 */
} th_msg_kind;

/* How the body is to be read. */
typedef enum th_format {
    TH_FORMAT_BYTES, /* as the sender gave it; a Wasm process always sends these */
    TH_FORMAT_TERM,  /* codec/term.h: a Lua value */
} th_format;

typedef enum th_msg_flag {
    TH_MSG_EXPECTS = 1,   /* the sender of this request waits for a response */
    TH_MSG_INHERIT = 2,   /* as the sender set it */
    TH_MSG_METADATA = 4,  /* there is metadata (perhaps empty) */
    TH_MSG_DELEGATED = 8, /* the answer goes to `requester`, who is not the source */
    TH_MSG_RIGHTFUL = 16, /* to an open process: its sender has messaging on it */
} th_msg_flag;

/* Why a message is travelling: with it its reason when it comes back. */
typedef enum th_msg_leg {
    TH_LEG_OUT,      /* to its target */
    TH_LEG_RETURNED, /* a request that will not be answered, back to its requester */
} th_msg_leg;

/* What the process that took a request still owes its requester. */
typedef enum th_msg_hold {
    TH_HOLD_NONE, /* nothing: it expects no answer, or has had it */
    TH_HOLD_OWED, /* an answer, or an error when this process ends; still charged */
    TH_HOLD_PASSED_ON, /* another one answers; this one still may */
} th_msg_hold;

typedef struct th_msg {
    th_item item;
    uint8_t kind;   /* th_msg_kind */
    uint8_t format; /* th_format */
    uint8_t flags;  /* th_msg_flag */
    uint8_t leg;    /* th_msg_leg */
    int8_t reason;  /* th_err, of a returned leg */
    uint8_t hold;   /* th_msg_hold; the process that took the request writes it */
    uint16_t hops;
    _Atomic uint32_t refs;
    uint32_t room; /* bytes of this allocation */

    th_ident source;
    th_pid target;

    /* Where the answer goes, and the number of the request there; none: nowhere. */
    th_pid requester;
    uint64_t request;
    uint64_t lineage;    /* the same for all messages of a chain, 0: none */
    int64_t deadline_ns; /* monotonic, 0: none */
    uint64_t expects_s;  /* seconds, as the sender said; valid with TH_MSG_EXPECTS */
    uint64_t trace, span;

    uint32_t charged; /* bytes that the holder's mailbox pays */
    uint16_t topic_bytes;
    uint8_t share; /* of a package's part of that mailbox, 0: none is counted */
    uint32_t metadata_bytes;
    uint32_t body_bytes; /* of the body behind the envelope */
    th_blob *body_blob;  /* a large body, or NULL */
    th_blob *blob;       /* the lazy blob, or NULL */
    th_caps *caps;       /* capabilities that are handed on, or NULL */
    char text[];         /* topic, metadata, body */
} th_msg;

/* What a message costs beyond its bytes. */
#define TH_MSG_COST_BYTES (sizeof(th_msg) + 64)

/* Bodies above this are kept as a blob of their own. */
#define TH_MSG_INLINE_BYTES_MAX 16384

#define TH_TOPIC_BYTES_MAX 1024

/* What a sender says; everything is copied, but for the blobs, which are shared. */
typedef struct th_msg_parts {
    th_msg_kind kind;
    th_format format;
    uint8_t flags;
    uint64_t expects_s;
    th_slice topic;
    th_slice metadata;
    th_slice body;      /* used when body_blob is NULL */
    th_blob *body_blob; /* shared, not taken */
    th_blob *blob;      /* shared, not taken */
    th_caps *caps;      /* shared, not taken */
} th_msg_parts;

/* A message with one reference, or NULL when memory runs out. topic fits its bound. */
th_msg *th_msg_new(const th_msg_parts *parts);
th_msg *th_msg_ref(th_msg *msg);
th_msg *th_msg_unref(th_msg *msg); /* takes NULL, returns NULL */

static inline th_slice th_msg_topic(const th_msg *msg)
{
    return th_slice_of(msg->text, msg->topic_bytes);
}

static inline th_slice th_msg_metadata(const th_msg *msg)
{
    return th_slice_of(msg->text + msg->topic_bytes, msg->metadata_bytes);
}

static inline th_slice th_msg_body(const th_msg *msg)
{
    if (msg->body_blob != NULL) {
        return th_blob_slice(msg->body_blob);
    }
    return th_slice_of(msg->text + msg->topic_bytes + msg->metadata_bytes,
                       msg->body_bytes);
}

/* What a mailbox is charged for it: a shared blob is charged to each holder. */
size_t th_msg_cost(const th_msg *msg);

static inline th_msg *th_msg_of(th_item *item)
{
    return th_container_of(item, th_msg, item);
}

TH_AUTO_FREE(th_msg, th_msg_unref)

#endif
