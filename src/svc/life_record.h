/*
 * Life record: what is kept of a process that should live, as JSON.
 *
 *   {"version":1,"entry":"app:task","host":"system:processes","args":BASE64,
 *    "public":false,"on_exit":ON_EXIT,"capabilities":[CAP,...],
 *    "restarts":N,"backoff":{"restarts":N,"delay_ms":N},"order":N,"state":"alive"}
 *
 * Its key is "process:package:publisher". Capabilities are written as texts, with the
 * node as "our", and are issued again when the node is up.
 *
 * Pure. Thread: any.
 */
#ifndef TH_SVC_LIFE_RECORD_H
#define TH_SVC_LIFE_RECORD_H

#include "base/own.h"
#include "core/life.h"
#include "svc/on_exit_json.h"

#define TH_LIFE_RECORD_VERSION 1

/* One to write; all of it is borrowed. */
typedef struct th_life_parts {
    th_slice entry, host;
    th_slice args; /* a term, or empty */
    bool is_public;
    const th_on_exit *on_exit;
    const th_caps *caps;
    uint64_t restarts; /* in all */
    th_backoff backoff;
    uint64_t order; /* of the first starts */
    th_life_record state;
} th_life_parts;

void th_life_record_encode(th_buf *out, const th_life_parts *parts);

/* One that was read; slices are borrowed from `json`. */
typedef struct th_life_doc {
    th_slice entry, host;
    th_buf args; /* owned; empty: none */
    bool is_public;
    th_on_exit_draft *on_exit; /* owned */
    th_cap_claim *caps;        /* owned */
    size_t caps_count;
    uint64_t restarts;
    th_backoff backoff;
    uint64_t order;
    th_life_record state;
    th_json *json; /* owned */
} th_life_doc;

/*
 * Refuses: INVALID, it is no record; UNSUPPORTED, a newer thole wrote it; QUOTA, memory
 * ran out. Then @why is appended.
 */
th_err th_life_record_decode(th_life_doc *out, th_slice text, th_buf *why);
void th_life_doc_deinit(th_life_doc *doc);

#endif
