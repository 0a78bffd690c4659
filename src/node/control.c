#include "node/control.h"

#include "base/mem.h"
#include "node/version.h"

#include <stdio.h>

struct th_control {
    th_control_ask *ask;
    void *context;
    th_buf line; /* the beginning of one that has not ended */
};

static const char *const verbs[] = {
    [TH_VERB_PS] = "ps",
    [TH_VERB_SEND] = "send",
    [TH_VERB_CALL] = "call",
    [TH_VERB_KILL] = "kill",
};

#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

/* --- Answers ---------------------------------------------------------------------- */

void th_control_hello(th_buf *out)
{
    th_buf_putc(out, '{');
    th_json_put_pair(out, "thole", th_slice_str(TH_VERSION));
    th_json_put_pair_u64(out, "protocol", TH_CONTROL_PROTOCOL);
    th_json_put_key(out, "features");
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        th_buf_putf(out, "%s\"%s\"", i == 0 ? "[" : ",", verbs[i]);
    }
    th_buf_puts(out, "]}\n");
}

void th_control_put_ok(th_buf *out, th_slice id)
{
    th_buf_putf(out, "{\"id\":%.*s,\"ok\":", TH_FMT(id));
}

void th_control_put_end(th_buf *out)
{
    th_buf_puts(out, "}\n");
}

static void begin_error(th_buf *out, th_slice id, th_err err, const char *message)
{
    th_buf_putf(out, "{\"id\":%.*s,\"error\":{", TH_FMT(id));
    th_json_put_pair(out, "reason", th_slice_str(th_reason_of(err)->name));
    th_json_put_pair(out, "message", th_slice_str(message));
}

void th_control_put_error(th_buf *out, th_slice id, th_err err, const char *message)
{
    begin_error(out, id, err, message);
    th_buf_puts(out, "}}\n");
}

void th_control_put_error_at(th_buf *out, th_slice id, th_err err, const char *message,
                             size_t at)
{
    begin_error(out, id, err, message);
    th_json_put_pair_u64(out, "at", at);
    th_buf_puts(out, "}}\n");
}

/* --- Requests --------------------------------------------------------------------- */

/* A short text or a number; what else there is counts as none. */
static void decode_id(const th_json *json, th_buf *out)
{
    uint64_t number;
    th_slice text;

    if (th_json_u64(json, &number)) {
        th_buf_putf(out, "%llu", (unsigned long long)number);
    } else if (th_json_text(json, &text) && text.bytes <= TH_CONTROL_ID_BYTES_MAX) {
        th_json_put_text(out, text);
    } else {
        th_buf_puts(out, "null");
    }
}

static bool decode_verb(const th_json *json, th_verb *out)
{
    th_slice text;

    if (!th_json_text(json, &text)) {
        return false;
    }
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        if (th_slice_is(text, verbs[i])) {
            *out = (th_verb)i;
            return true;
        }
    }
    return false;
}

/* The bytes of field @plain, or of @base64. False: one is there and is wrong. */
static bool decode_bytes(const th_json *json, const char *plain, const char *base64,
                         th_buf *out, bool *is_there)
{
    const th_json *value = th_json_get(json, base64);
    th_slice text;

    *is_there = value != NULL;
    if (value != NULL) {
        return th_json_text(value, &text) && th_base64_decode(out, text) == TH_OK;
    }
    value = plain == NULL ? NULL : th_json_get(json, plain);
    *is_there = value != NULL;
    if (value == NULL) {
        return true;
    }
    if (!th_json_text(value, &text)) {
        return false;
    }
    th_buf_put(out, text.at, text.bytes);
    return true;
}

static const char *decode_send(th_control_request *request, const th_json *json)
{
    bool has_body;

    if (!th_json_text(th_json_get(json, "topic"), &request->topic)) {
        return "`send` needs a `topic`, a text";
    }
    if (request->topic.bytes == 0 || request->topic.at[0] == '@') {
        return "a topic is not empty, and does not begin with `@`";
    }
    if (!decode_bytes(json, "body", "body_base64", &request->body, &has_body)) {
        return "`body` is a text, `body_base64` bytes in base64";
    }
    request->values = th_json_get(json, "values");
    if (request->values != NULL && (has_body || !th_json_is_array(request->values))) {
        return "`values` is a list, and there is no body then";
    }
    if (request->values == NULL && !has_body) {
        return "`send` needs `values`, `body` or `body_base64`";
    }
    return NULL;
}

static const char *decode_call(th_control_request *request, const th_json *json)
{
    const th_json *timeout = th_json_get(json, "timeout_ms");
    bool has_body;

    request->timeout_ms = TH_CONTROL_TIMEOUT_MS;
    if (!decode_bytes(json, "body", "body_base64", &request->body, &has_body) ||
        !decode_bytes(json, NULL, "blob_base64", &request->blob, &request->has_blob)) {
        return "`body` is a text, `body_base64` and `blob_base64` bytes in base64";
    }
    if (!has_body) {
        return "`call` needs `body` or `body_base64`";
    }
    if (timeout != NULL &&
        (!th_json_u64(timeout, &request->timeout_ms) || request->timeout_ms == 0 ||
         request->timeout_ms > UINT32_MAX)) {
        return "`timeout_ms` is a whole number from 1 to 4294967295";
    }
    return NULL;
}

static const char *decode(th_control_request *request, const th_json *json)
{
    if (!decode_verb(th_json_get(json, "verb"), &request->verb)) {
        return "the `verb` is none that this node knows: ps, send, call, kill";
    }
    if (request->verb != TH_VERB_PS &&
        !th_json_text(th_json_get(json, "to"), &request->to)) {
        return "the request needs `to`, the text of a process";
    }
    return request->verb == TH_VERB_SEND   ? decode_send(request, json)
           : request->verb == TH_VERB_CALL ? decode_call(request, json)
                                           : NULL;
}

static void take_line(th_control *control, th_slice line, th_buf *out)
{
    th_auto(th_json) json = NULL;
    th_auto_buf id = TH_BUF_INIT;
    th_control_request request = {0};
    th_json_error error;
    const char *wrong;

    if (th_json_decode(&json, line, &error) != TH_OK || !th_json_is_object(json)) {
        th_auto_buf text = TH_BUF_INIT;

        th_buf_putf(&text, "the line is not a JSON object%s%s",
                    json == NULL ? ": " : "", json == NULL ? error.what : "");
        th_control_put_error(out, TH_SLICE("null"), TH_INVALID, th_buf_text(&text));
        return;
    }
    decode_id(th_json_get(json, "id"), &id);
    request.id = th_buf_slice(&id);
    wrong = decode(&request, json);
    if (wrong != NULL) {
        th_control_put_error(out, request.id, TH_INVALID, wrong);
    } else if (id.failed || request.body.failed || request.blob.failed) {
        th_control_put_error(out, TH_SLICE("null"), TH_QUOTA, "memory ran out");
    } else {
        control->ask(control->context, &request, out);
    }
    th_buf_deinit(&request.body);
    th_buf_deinit(&request.blob);
}

th_err th_control_new(th_control **out, th_control_ask *ask, void *context)
{
    th_control *control = th_calloc(1, sizeof *control);

    if (control == NULL) {
        return TH_NOMEM;
    }
    control->ask = ask;
    control->context = context;
    *out = control;
    return TH_OK;
}

th_control *th_control_free(th_control *control)
{
    if (control != NULL) {
        th_buf_deinit(&control->line);
    }
    return th_free(control);
}

/* A line that is whole as it came is not copied. */
static th_err finish_line(th_control *control, th_slice end, th_buf *out)
{
    th_slice line = end;

    if (end.bytes > TH_CONTROL_LINE_BYTES_MAX - control->line.bytes) {
        th_control_put_error(out, TH_SLICE("null"), TH_QUOTA,
                             "the line is longer than 16 MiB");
        return TH_QUOTA;
    }
    if (control->line.bytes > 0) {
        th_buf_put(&control->line, end.at, end.bytes);
        line = th_buf_slice(&control->line);
    }
    if (line.bytes > 0 && line.at[line.bytes - 1] == '\r') {
        line.bytes--;
    }
    if (control->line.failed) {
        return TH_QUOTA;
    }
    if (line.bytes > 0) {
        take_line(control, line, out);
    }
    th_buf_deinit(&control->line);
    control->line = TH_BUF_INIT;
    return TH_OK;
}

th_err th_control_feed(th_control *control, th_slice bytes, th_buf *out)
{
    while (bytes.bytes > 0) {
        size_t line = th_slice_find(bytes, '\n');
        th_err err;

        if (line == bytes.bytes) {
            break;
        }
        err = finish_line(control, th_slice_of(bytes.at, line), out);
        if (err != TH_OK) {
            return err;
        }
        bytes = th_slice_from(bytes, line + 1);
    }
    if (bytes.bytes > TH_CONTROL_LINE_BYTES_MAX - control->line.bytes) {
        return finish_line(control, bytes, out);
    }
    th_buf_put(&control->line, bytes.at, bytes.bytes);
    return control->line.failed ? TH_QUOTA : TH_OK;
}
