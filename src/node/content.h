/*
 * Content: bodies, blobs and values as fields of a line, read and written.
 *
 * Bytes that are a text stand as such, others in base64 in a field of another name.
 * A text is UTF-8 without control characters other than tab and line ends, so that it
 * never becomes much longer by being written.
 *
 * Pure. Thread: any.
 */
#ifndef TH_NODE_CONTENT_H
#define TH_NODE_CONTENT_H

#include "codec/json_doc.h"
#include "core/msg.h"

/*
 * Append the bytes of field @plain (NULL: there is none such) or of field @base64, if
 * one *@is_there. False: it is no text, or no base64, or both are there.
 */
bool th_content_get(const th_json *json, const char *plain, const char *base64,
                    th_buf *out, bool *is_there);

/* Append a pair, named @plain or @base64. */
void th_content_put(th_buf *out, const char *plain, const char *base64, th_slice bytes);
void th_content_put_base64(th_buf *out, const char *key, th_slice bytes);

/* Append `body`, `body_base64`, `value`, or a sentence `no_json` where there is none. */
void th_content_put_body(th_buf *out, th_format format, th_slice body);

#endif
