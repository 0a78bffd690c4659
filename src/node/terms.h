/*
 * Terms: what the outside says and is told, as the values of processes and back.
 *
 * Everything of the node that knows how a value is encoded stands here.
 *
 * Pure. Thread: any.
 */
#ifndef TH_NODE_TERMS_H
#define TH_NODE_TERMS_H

#include "codec/json_doc.h"

/* Append the arguments of a process: an array of texts; nothing without words. */
th_err th_terms_put_args(th_buf *out, const char *const *words, size_t count);

/*
 * Append the value that is @json.
 *
 * Refuses: INVALID, it cannot be a value, and *error says why; QUOTA, no memory.
 */
th_err th_terms_put_json(th_buf *out, const th_json *json, th_json_error *error);

/*
 * Append @term as JSON.
 *
 * Refuses: INVALID, it has no form in JSON, and *error says why; QUOTA, no memory.
 */
th_err th_terms_to_json(th_buf *out, th_slice term, th_json_error *error);

#endif
