#include "codec/json_doc.h"

#include "codec/term_json.h"

#include <jansson.h>
#include <stdio.h>

/* --- Reading -------------------------------------------------------------------- */

th_err th_json_decode(th_json **out, th_slice text, th_json_error *error)
{
    size_t nul = th_slice_find(text, '\0'); /* the library passes over some of them */
    json_error_t what;
    json_t *json;

    if (nul < text.bytes) {
        *error = (th_json_error){nul, "a NUL byte stands in the text"};
        return TH_INVALID;
    }
    th_json_starved = false;
    json = json_loadb(text.bytes == 0 ? "" : text.at, text.bytes,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &what);
    if (json != NULL) {
        *out = json;
        return TH_OK;
    }
    error->at = what.position < 0 ? 0 : (size_t)what.position;
    snprintf(error->what, sizeof error->what, "%s",
             th_json_starved ? "memory ran out" : what.text);
    return th_json_starved ? TH_QUOTA : TH_INVALID;
}

th_json *th_json_free(th_json *json)
{
    json_decref(json);
    return NULL;
}

const th_json *th_json_get(const th_json *json, const char *key)
{
    return json_object_get(json, key);
}

size_t th_json_count(const th_json *json)
{
    return json_array_size(json);
}

const th_json *th_json_at(const th_json *json, size_t index)
{
    return json_array_get(json, index);
}

bool th_json_is_object(const th_json *json)
{
    return json_is_object(json);
}

bool th_json_is_array(const th_json *json)
{
    return json_is_array(json);
}

bool th_json_is_text(const th_json *json)
{
    return json_is_string(json);
}

bool th_json_text(const th_json *json, th_slice *out)
{
    if (!json_is_string(json)) {
        return false;
    }
    *out = th_slice_of(json_string_value(json), json_string_length(json));
    return true;
}

bool th_json_u64(const th_json *json, uint64_t *out)
{
    if (!json_is_integer(json) || json_integer_value(json) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(json);
    return true;
}

bool th_json_bool(const th_json *json, bool *out)
{
    if (!json_is_boolean(json)) {
        return false;
    }
    *out = json_is_true(json);
    return true;
}

bool th_json_is_null(const th_json *json)
{
    return json_is_null(json);
}

bool th_json_is_integer(const th_json *json)
{
    return json_is_integer(json);
}

void th_json_pairs(const th_json *json, th_json_each *each, void *context)
{
    json_t *object = (json_t *)json; /* only read; the library has no const here */
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        if (!each(context, th_slice_str(key), value)) {
            return;
        }
    }
}

/* --- Writing -------------------------------------------------------------------- */

static int put_part(const char *at, size_t bytes, void *out)
{
    th_buf_put(out, at, bytes);
    return 0;
}

static void encode(const th_json *json, th_buf *out, size_t flags)
{
    if (json_dump_callback(json, put_part, out,
                           flags | JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
        out->failed = true;
    }
}

void th_json_encode(const th_json *json, th_buf *out)
{
    encode(json, out, 0);
}

void th_json_encode_sorted(const th_json *json, th_buf *out)
{
    encode(json, out, JSON_SORT_KEYS);
}

/* How many bytes the character at @at has, or 0 when it is not UTF-8. */
static size_t char_bytes(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    size_t bytes = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (bytes == 0 || c > 0xf4 || bytes > left) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
        (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return bytes;
}

bool th_json_is_utf8(th_slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;

    while (i < text.bytes) {
        size_t n = char_bytes(at + i, text.bytes - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

static void put_escaped(th_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        th_buf_puts(out, "\\\"");
        break;
    case '\\':
        th_buf_puts(out, "\\\\");
        break;
    case '\n':
        th_buf_puts(out, "\\n");
        break;
    case '\r':
        th_buf_puts(out, "\\r");
        break;
    case '\t':
        th_buf_puts(out, "\\t");
        break;
    default:
        th_buf_putf(out, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void th_json_put_text(th_buf *out, th_slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;

    th_buf_putc(out, '"');
    while (i < text.bytes) {
        size_t run = 0;
        size_t n;

        while (i + run < text.bytes && is_plain(at[i + run])) {
            run++;
        }
        th_buf_put(out, at + i, run);
        i += run;
        if (i == text.bytes) {
            break;
        }
        n = char_bytes(at + i, text.bytes - i);
        if (n > 1) {
            th_buf_put(out, at + i, n);
        } else if (n == 1) {
            put_escaped(out, at[i]);
        } else {
            th_buf_puts(out, "\xef\xbf\xbd");
        }
        i += n == 0 ? 1 : n;
    }
    th_buf_putc(out, '"');
}

void th_json_put_key(th_buf *out, const char *key)
{
    if (out->bytes > 0 && strchr("{[:,", out->at[out->bytes - 1]) == NULL) {
        th_buf_putc(out, ',');
    }
    th_json_put_text(out, th_slice_str(key));
    th_buf_putc(out, ':');
}

void th_json_put_pair(th_buf *out, const char *key, th_slice text)
{
    th_json_put_key(out, key);
    th_json_put_text(out, text);
}

void th_json_put_pair_u64(th_buf *out, const char *key, uint64_t n)
{
    th_json_put_key(out, key);
    th_buf_putf(out, "%llu", (unsigned long long)n);
}

/* --- Base64 --------------------------------------------------------------------- */

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void th_base64_encode(th_buf *out, th_slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t left = bytes.bytes;

    for (; left > 0; at += 3) {
        unsigned long word = (unsigned long)at[0] << 16 |
                             (left > 1 ? (unsigned long)at[1] << 8 : 0) |
                             (left > 2 ? at[2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};

        th_buf_put(out, four, sizeof four);
        left -= left < 3 ? left : 3;
    }
}

static int digit_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* How many bytes four digits are, 0 when they are none; padding only @last. */
static size_t decode_four(const char four[4], bool last, char out[3])
{
    size_t pad = last && four[3] == '=' ? (four[2] == '=' ? 2 : 1) : 0;
    long word = 0;

    for (size_t i = 0; i < 4; i++) {
        int digit = i < 4 - pad ? digit_of(four[i]) : 0;

        if (digit < 0) {
            return 0;
        }
        word = word << 6 | digit;
    }
    if ((pad == 1 && (word & 0xff) != 0) || (pad == 2 && (word & 0xffff) != 0)) {
        return 0; /* two texts for one value */
    }
    out[0] = (char)(word >> 16);
    out[1] = (char)(word >> 8);
    out[2] = (char)word;
    return 3 - pad;
}

th_err th_base64_decode(th_buf *out, th_slice text)
{
    size_t before = out->bytes;

    if (text.bytes % 4 != 0) {
        return TH_INVALID;
    }
    for (size_t i = 0; i < text.bytes; i += 4) {
        char three[3];
        size_t n = decode_four(text.at + i, i + 4 == text.bytes, three);

        if (n == 0) {
            out->bytes = before;
            return TH_INVALID;
        }
        th_buf_put(out, three, n);
    }
    return TH_OK;
}
