/*
 * Terms and JSON: one as the other.
 *
 * Read (term_from_json.c): null is nil; an integer of 64 bits is an integer, every
 * other number a float (in a text with an integer that does not fit, all numbers are);
 * an array is a table with an array part, an object one with string keys, the last of
 * equal keys counts. A null in an object is no pair, one in an array a hole.
 *
 * Written (term_to_json.c): a table is an array if its keys are 1..n ({} is []), an
 * object if they are strings, in order of their bytes. Everything else has no form in
 * JSON and is refused: holes, mixed and other keys, strings that are not UTF-8, tables
 * in a circle, more than TH_TERM_JSON_DEPTH_MAX in one another. A float without a
 * fraction looks like an integer, NaN and the infinities become null, an Error is its
 * message, a Time its text in RFC 3339, a Duration its nanoseconds.
 *
 * A guest's text can take long, so its work is cut into pieces: `pause` is called
 * between them and may never return. What is allocated meanwhile is the pool's or
 * @out's, so that their owner can give back everything.
 *
 * Thread: any; a pool belongs to one at a time.
 */
#ifndef TH_CODEC_TERM_JSON_H
#define TH_CODEC_TERM_JSON_H

#include "base/bytes.h"
#include "codec/json_doc.h"

#define TH_TERM_JSON_DEPTH_MAX 128
#define TH_TERM_JSON_BYTES_MAX ((size_t)64 << 20) /* of what is written */

/* Memory of one piece of work, given back at once. All zero: empty. */
typedef struct th_json_pool {
    struct th_json_chunk *newest; /* owned */
    size_t bytes;
    size_t bytes_max; /* 0: no bound */
    bool failed;      /* a block could not be had; until it is emptied */
} th_json_pool;

void th_json_pool_deinit(th_json_pool *pool);

/* A block of the pool; NULL: no memory, or the bound is reached. */
void *th_json_pool_take(th_json_pool *pool, size_t bytes);

/*
 * The library was refused memory on this thread since this was last made false: what it
 * says then about the text need not be true.
 */
extern __thread bool th_json_starved;

typedef struct th_json_work {
    th_json_pool *pool;  /* empty before and after */
    void (*pause)(void); /* NULL: none */
    th_json_error error; /* INVALID: what is wrong; reading, also where */
} th_json_work;

/*
 * Append the term of a JSON text.
 *
 * Refuses: INVALID, it is none; QUOTA, no memory.
 */
th_err th_term_from_json(th_buf *out, th_slice text);
th_err th_term_from_json_in(th_json_work *work, th_buf *out, th_slice text);

/*
 * Append the JSON of a term.
 *
 * Refuses: INVALID, it has no form in JSON, or is no term; QUOTA, no memory.
 */
th_err th_term_to_json(th_buf *out, th_slice term);
th_err th_term_to_json_in(th_json_work *work, th_buf *out, th_slice term);

#endif
