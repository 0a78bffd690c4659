/*
 * Term: a value of a process as bytes: what Lua processes send, spawn with and return.
 *
 * One encoding serves messages here and, later, between nodes. It keeps integers and
 * floats apart, strings binary, the array part of a table an array, and tables that
 * are met twice (also in a circle) one table.
 *
 *   term    = header value
 *   header  = PLAIN, or SHARED when a REF occurs in it
 *   value   = NIL | FALSE | TRUE | INT8 i8 | INT i64 | FLOAT f64
 *           | STRING u32 bytes | a tag from SHORT on: (tag - SHORT) bytes
 *           | TABLE8 u8 u8 ... | TABLE u32 u32 ...   arrays' length, pairs; then the
 *                                                    array's values, then key, value ...
 *           | REF u32               the table of this number, counted as they begin
 *           | ERROR value * 5       as guest/lua/lua_error.h orders them
 *           | TIME i64 | DURATION i64                nanoseconds
 *
 * Numbers are little-endian. No pair has a nil in it. Nothing may follow the value.
 *
 * Whoever reads a term checks it: it may come from a peer.
 *
 * Pure. Thread: any.
 */
#ifndef TH_CODEC_TERM_H
#define TH_CODEC_TERM_H

#include "base/bytes.h"

typedef enum th_term_header {
    TH_TERM_PLAIN = 0x11,
    TH_TERM_SHARED = 0x12,
} th_term_header;

typedef enum th_term_tag {
    TH_TERM_NIL,
    TH_TERM_FALSE,
    TH_TERM_TRUE,
    TH_TERM_INT8,
    TH_TERM_INT,
    TH_TERM_FLOAT,
    TH_TERM_STRING,
    TH_TERM_TABLE8,
    TH_TERM_TABLE,
    TH_TERM_REF,
    TH_TERM_ERROR,
    TH_TERM_TIME,
    TH_TERM_DURATION,
    TH_TERM_SHORT = 0x40,
} th_term_tag;

#define TH_TERM_SHORT_MAX (0xFFu - TH_TERM_SHORT)
#define TH_TERM_ERROR_VALUES 5
#define TH_TERM_DEPTH_MAX 100000 /* tables and errors in one another */

/* One step of reading: a whole simple value, or the beginning of a compound one. */
typedef struct th_term_token {
    th_term_tag tag; /* never INT8, SHORT or TABLE8: those read as INT, STRING, TABLE */
    union {
        int64_t number;  /* INT, TIME, DURATION */
        double real;     /* FLOAT */
        th_slice string; /* STRING; borrowed from the term */
        uint32_t ref;    /* REF */
        struct {
            uint32_t values; /* TABLE: of its array part */
            uint32_t pairs;
        };
    };
} th_term_token;

/* Take @bytes off the front of @rest. Returns false and takes nothing if it is short. */
static inline bool th_term_take(th_slice *rest, void *out, size_t bytes)
{
    if (rest->bytes < bytes) {
        return false;
    }
    memcpy(out, rest->at, bytes);
    *rest = th_slice_from(*rest, bytes);
    return true;
}

static inline bool th_term_take_string(th_slice *rest, uint32_t bytes, th_slice *out)
{
    if (rest->bytes < bytes) {
        return false;
    }
    *out = th_slice_of(rest->at, bytes);
    *rest = th_slice_from(*rest, bytes);
    return true;
}

/* As many values as are announced need a byte each: no table is larger than its term. */
static inline bool th_term_take_counts(th_slice *rest, bool is_wide, th_term_token *out)
{
    if (is_wide) {
        if (!th_term_take(rest, &out->values, 4) ||
            !th_term_take(rest, &out->pairs, 4)) {
            return false;
        }
    } else {
        if (rest->bytes < 2) {
            return false;
        }
        out->values = (uint8_t)rest->at[0];
        out->pairs = (uint8_t)rest->at[1];
        *rest = th_slice_from(*rest, 2);
    }
    return out->values <= rest->bytes && out->pairs <= (rest->bytes - out->values) / 2;
}

/* Read one token off the front of @rest. False: it is damaged. */
static inline bool th_term_read(th_slice *rest, th_term_token *out)
{
    uint8_t tag;
    int8_t small;
    uint32_t bytes;

    if (!th_term_take(rest, &tag, 1)) {
        return false;
    }
    if (tag >= TH_TERM_SHORT) {
        out->tag = TH_TERM_STRING;
        return th_term_take_string(rest, tag - TH_TERM_SHORT, &out->string);
    }
    out->tag = (th_term_tag)tag;
    switch (out->tag) {
    case TH_TERM_NIL:
    case TH_TERM_FALSE:
    case TH_TERM_TRUE:
    case TH_TERM_ERROR:
        return true;
    case TH_TERM_INT8:
        out->tag = TH_TERM_INT;
        if (!th_term_take(rest, &small, 1)) {
            return false;
        }
        out->number = small;
        return true;
    case TH_TERM_INT:
    case TH_TERM_TIME:
    case TH_TERM_DURATION:
        return th_term_take(rest, &out->number, 8);
    case TH_TERM_FLOAT:
        return th_term_take(rest, &out->real, 8);
    case TH_TERM_STRING:
        return th_term_take(rest, &bytes, 4) &&
               th_term_take_string(rest, bytes, &out->string);
    case TH_TERM_TABLE8:
        out->tag = TH_TERM_TABLE;
        return th_term_take_counts(rest, false, out);
    case TH_TERM_TABLE:
        return th_term_take_counts(rest, true, out);
    case TH_TERM_REF:
        return th_term_take(rest, &out->ref, 4);
    case TH_TERM_SHORT:
        break;
    }
    return false;
}

/* Take the header off. False: it is none. */
static inline bool th_term_open(th_slice *rest, bool *is_shared)
{
    uint8_t header;

    if (!th_term_take(rest, &header, 1)) {
        return false;
    }
    *is_shared = header == TH_TERM_SHARED;
    return header == TH_TERM_PLAIN || header == TH_TERM_SHARED;
}

/*
 * Where bytes and terms stand in one place (state), this stands before a term. False:
 * @bytes are none; else *@term is what is behind the mark.
 */
#define TH_TERM_MARK TH_SLICE("\0thole term 1\0")
bool th_term_unmark(th_slice bytes, th_slice *term);

/* --- Writing: append to a buffer, which remembers if memory ran out. ------------- */

void th_term_put_header(th_buf *out, th_term_header header);
void th_term_put_tag(th_buf *out, th_term_tag tag); /* NIL, FALSE, TRUE, ERROR */
void th_term_put_int(th_buf *out, int64_t number);
void th_term_put_real(th_buf *out, double number);
void th_term_put_string(th_buf *out, th_slice string); /* below 4 GiB */
void th_term_put_table(th_buf *out, uint32_t values, uint32_t pairs);
void th_term_put_ref(th_buf *out, uint32_t number);
void th_term_put_ns(th_buf *out, th_term_tag tag, int64_t ns); /* TIME, DURATION */

#endif
