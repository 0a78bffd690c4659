#include "node/control.h"

#include "base/mem.h"
#include "node/content.h"
#include "node/version.h"

#include <stdio.h>

struct th_control {
    th_control_ask *ask;
    void *context;
    th_control_line *take; /* NULL: the lines are requests */
    th_buf line;           /* the beginning of one that has not ended */
};

static const char *const verbs[] = {
    [TH_VERB_PS] = "ps",       [TH_VERB_SEND] = "send",     [TH_VERB_CALL] = "call",
    [TH_VERB_KILL] = "kill",   [TH_VERB_ATTACH] = "attach", [TH_VERB_INFO] = "info",
    [TH_VERB_CAPS] = "caps",   [TH_VERB_GRANT] = "grant",   [TH_VERB_REVOKE] = "revoke",
    [TH_VERB_TRACE] = "trace", [TH_VERB_STATE] = "state",
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

bool th_control_id(const th_json *json, th_buf *out)
{
    uint64_t number;
    th_slice text;

    if (th_json_u64(json, &number)) {
        th_buf_putf(out, "%llu", (unsigned long long)number);
    } else if (th_json_text(json, &text) && text.bytes <= TH_CONTROL_ID_BYTES_MAX) {
        th_json_put_text(out, text);
    } else {
        th_buf_puts(out, "null");
        return false;
    }
    return true;
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

static const char *decode_send(th_control_request *request, const th_json *json)
{
    bool has_body;

    if (!th_json_text(th_json_get(json, "topic"), &request->topic)) {
        return "`send` needs a `topic`, a text";
    }
    if (request->topic.bytes == 0 || request->topic.at[0] == '@') {
        return "a topic is not empty, and does not begin with `@`";
    }
    if (!th_content_get(json, "body", "body_base64", &request->body, &has_body)) {
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
    if (!th_content_get(json, "body", "body_base64", &request->body, &has_body) ||
        !th_content_get(json, NULL, "blob_base64", &request->blob,
                        &request->has_blob)) {
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

static const char *decode_attach(th_control_request *request, const th_json *json)
{
    const th_json *name = th_json_get(json, "name");
    const th_json *pull = th_json_get(json, "pull");
    const th_json *is_public = th_json_get(json, "public");

    if (name != NULL && !th_json_text(name, &request->name)) {
        return "`name` is the text of a process id, or empty";
    }
    if (pull != NULL && !th_json_bool(pull, &request->pulls)) {
        return "`pull` is true or false";
    }
    if (is_public != NULL && !th_json_bool(is_public, &request->is_public)) {
        return "`public` is true or false";
    }
    request->grants = th_json_get(json, "grants");
    request->granted_to = th_json_get(json, "grant_to");
    return NULL;
}

static const char *decode_cap(th_control_request *request, const th_json *json)
{
    const th_json *params = th_json_get(json, "params");

    request->params = TH_SLICE("\"messaging\"");
    if (!th_json_text(th_json_get(json, "issuer"), &request->issuer)) {
        return "the request needs `issuer`, the text of a process";
    }
    if (params != NULL && !th_json_text(params, &request->params)) {
        return "`params` is a text that holds JSON";
    }
    return NULL;
}

static const char *decode_to(th_control_request *request, const th_json *json)
{
    const th_json *to = th_json_get(json, "to");
    bool may_lack = request->verb == TH_VERB_REVOKE || request->verb == TH_VERB_TRACE;

    if (to == NULL && may_lack) {
        return NULL;
    }
    return th_json_text(to, &request->to) && (request->to.bytes > 0 || !may_lack)
               ? NULL
               : "the request needs `to`, the text of a process";
}

static const char *decode(th_control_request *request, const th_json *json)
{
    const char *wrong = NULL;

    if (!decode_verb(th_json_get(json, "verb"), &request->verb)) {
        return "the `verb` is none that this node knows; its hello lists those";
    }
    if (request->verb != TH_VERB_PS && request->verb != TH_VERB_ATTACH) {
        wrong = decode_to(request, json);
    }
    if (wrong != NULL) {
        return wrong;
    }
    switch (request->verb) {
    case TH_VERB_SEND:
        return decode_send(request, json);
    case TH_VERB_CALL:
        return decode_call(request, json);
    case TH_VERB_ATTACH:
        return decode_attach(request, json);
    case TH_VERB_GRANT:
    case TH_VERB_REVOKE:
        return decode_cap(request, json);
    default:
        return NULL;
    }
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
    (void)th_control_id(th_json_get(json, "id"), &id);
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

void th_control_hand_over(th_control *control, th_control_line *take)
{
    control->take = take;
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
    if (line.bytes > 0 && control->take != NULL) {
        control->take(control->context, line, out);
    } else if (line.bytes > 0) {
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
