/*
 * JSON documents: read within bounds, asked field by field, and written.
 *
 * A document is read completely or not at all; keys twice, invalid UTF-8 and bytes
 * behind the end are refused. It is written straight into a buffer, without a tree.
 * Values of processes go through codec/term_json.h instead. This and that are the
 * only files that know the library.
 *
 * Thread: any; a document belongs to one at a time.
 */
#ifndef TH_CODEC_JSON_DOC_H
#define TH_CODEC_JSON_DOC_H

#include "base/bytes.h"
#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct json_t th_json;

/* What is wrong in a text, for people. */
typedef struct th_json_error {
    size_t at; /* offset of the byte behind which it was noticed */
    char what[160];
} th_json_error;

/*
 * Read one value of any type.
 *
 * Refuses: INVALID, and *error says what and where; QUOTA, memory ran out.
 */
th_err th_json_decode(th_json **out, th_slice text, th_json_error *error);
th_json *th_json_free(th_json *json); /* takes NULL, returns NULL */

/* The value of @key, borrowed; NULL when @json is no object or has no such key. */
const th_json *th_json_get(const th_json *json, const char *key);

/* How many values an array has; 0 for all else. And one of them, borrowed. */
size_t th_json_count(const th_json *json);
const th_json *th_json_at(const th_json *json, size_t index);

bool th_json_is_object(const th_json *json); /* takes NULL, as those below */
bool th_json_is_array(const th_json *json);
bool th_json_is_text(const th_json *json);

/* The value, if it is of that type; borrowed. Otherwise false and *out as it was. */
bool th_json_text(const th_json *json, th_slice *out);
bool th_json_u64(const th_json *json, uint64_t *out); /* an integer from 0 */
bool th_json_bool(const th_json *json, bool *out);

/* Call @each for each pair of an object, in their order; borrowed. False ends it. */
typedef bool th_json_each(void *context, th_slice key, const th_json *value);
void th_json_pairs(const th_json *json, th_json_each *each, void *context);

bool th_json_is_null(const th_json *json);    /* the value null; false for NULL */
bool th_json_is_integer(const th_json *json); /* of any sign */

/* Append the value as compact JSON. */
void th_json_encode(const th_json *json, th_buf *out);

/* The same with each object's keys in order: equal values give equal bytes. */
void th_json_encode_sorted(const th_json *json, th_buf *out);

/* Append a JSON string, in quotes; what is not UTF-8 becomes U+FFFD. */
void th_json_put_text(th_buf *out, th_slice text);

/* Append `"key":`, with a comma before it unless an object begins there. */
void th_json_put_key(th_buf *out, const char *key);

/* Both in one. */
void th_json_put_pair(th_buf *out, const char *key, th_slice text);
void th_json_put_pair_u64(th_buf *out, const char *key, uint64_t n);

/* Would th_json_put_text keep every byte? */
bool th_json_is_utf8(th_slice text);

/* Bytes as text (RFC 4648, with padding), and back. Refuses: INVALID. */
void th_base64_encode(th_buf *out, th_slice bytes);
th_err th_base64_decode(th_buf *out, th_slice text);

TH_AUTO_FREE(th_json, th_json_free)

#endif
