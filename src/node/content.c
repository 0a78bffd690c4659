#include "node/content.h"

#include "node/terms.h"

bool th_content_get(const th_json *json, const char *plain, const char *base64,
                    th_buf *out, bool *is_there)
{
    const th_json *text_of = plain == NULL ? NULL : th_json_get(json, plain);
    const th_json *base64_of = th_json_get(json, base64);
    th_slice text;

    *is_there = text_of != NULL || base64_of != NULL;
    if (text_of != NULL && base64_of != NULL) {
        return false;
    }
    if (base64_of != NULL) {
        return th_json_text(base64_of, &text) && th_base64_decode(out, text) == TH_OK;
    }
    if (text_of == NULL) {
        return true;
    }
    if (!th_json_text(text_of, &text)) {
        return false;
    }
    th_buf_put(out, text.at, text.bytes);
    return true;
}

static bool is_text(th_slice bytes)
{
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned char c = (unsigned char)bytes.at[i];

        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            return false;
        }
    }
    return th_json_is_utf8(bytes);
}

void th_content_put_base64(th_buf *out, const char *key, th_slice bytes)
{
    th_json_put_key(out, key);
    th_buf_putc(out, '"');
    th_base64_encode(out, bytes);
    th_buf_putc(out, '"');
}

void th_content_put(th_buf *out, const char *plain, const char *base64, th_slice bytes)
{
    if (is_text(bytes)) {
        th_json_put_pair(out, plain, bytes);
    } else {
        th_content_put_base64(out, base64, bytes);
    }
}

/* The value in JSON, or why it has no form there. */
static void put_value(th_buf *out, th_slice term)
{
    th_auto_buf value = TH_BUF_INIT;
    th_json_error error;
    th_err err = th_terms_to_json(&value, term, &error);

    if (err == TH_OK) {
        th_json_put_key(out, "value");
        th_buf_put(out, value.at, value.bytes);
    } else {
        th_json_put_pair(out, "no_json",
                         th_slice_str(err == TH_INVALID ? error.what
                                                        : th_reason_of(err)->text));
    }
}

void th_content_put_body(th_buf *out, th_format format, th_slice body)
{
    if (format == TH_FORMAT_BYTES) {
        th_content_put(out, "body", "body_base64", body);
    } else {
        put_value(out, body);
    }
}
