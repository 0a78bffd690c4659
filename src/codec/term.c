#include "codec/term.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "terms are read in place");

void th_term_put_header(th_buf *out, th_term_header header)
{
    th_buf_putc(out, (char)header);
}

void th_term_put_tag(th_buf *out, th_term_tag tag)
{
    th_buf_putc(out, (char)tag);
}

/* A tag and what follows it, of a fixed size. */
static void put(th_buf *out, th_term_tag tag, const void *at, size_t bytes)
{
    char *to = th_buf_reserve(out, 1 + bytes);

    if (to != NULL) {
        to[0] = (char)tag;
        memcpy(to + 1, at, bytes);
        out->bytes += 1 + bytes;
    }
}

void th_term_put_int(th_buf *out, int64_t number)
{
    int8_t small = (int8_t)number;

    if (small == number) {
        put(out, TH_TERM_INT8, &small, sizeof small);
    } else {
        put(out, TH_TERM_INT, &number, sizeof number);
    }
}

void th_term_put_real(th_buf *out, double number)
{
    put(out, TH_TERM_FLOAT, &number, sizeof number);
}

void th_term_put_string(th_buf *out, th_slice string)
{
    uint32_t bytes = (uint32_t)string.bytes;

    th_assert(string.bytes <= UINT32_MAX);
    if (bytes <= TH_TERM_SHORT_MAX) {
        put(out, (th_term_tag)(TH_TERM_SHORT + bytes), string.at, bytes);
    } else {
        put(out, TH_TERM_STRING, &bytes, sizeof bytes);
        th_buf_put(out, string.at, bytes);
    }
}

void th_term_put_table(th_buf *out, uint32_t values, uint32_t pairs)
{
    uint8_t narrow[2] = {(uint8_t)values, (uint8_t)pairs};
    uint32_t wide[2] = {values, pairs};

    if (values <= UINT8_MAX && pairs <= UINT8_MAX) {
        put(out, TH_TERM_TABLE8, narrow, sizeof narrow);
    } else {
        put(out, TH_TERM_TABLE, wide, sizeof wide);
    }
}

void th_term_put_ref(th_buf *out, uint32_t number)
{
    put(out, TH_TERM_REF, &number, sizeof number);
}

void th_term_put_ns(th_buf *out, th_term_tag tag, int64_t ns)
{
    put(out, tag, &ns, sizeof ns);
}

bool th_term_unmark(th_slice bytes, th_slice *term)
{
    th_slice mark = TH_TERM_MARK;

    if (bytes.bytes < mark.bytes || memcmp(bytes.at, mark.at, mark.bytes) != 0) {
        return false;
    }
    *term = th_slice_from(bytes, mark.bytes);
    return true;
}
