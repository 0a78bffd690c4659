#include "node/attach_line.h"

#include "node/content.h"

/*
 * What the outside is told: messages, errors, events and the end, as JSON.
 */

static void put_bool(th_buf *out, const char *key, bool value)
{
    th_json_put_key(out, key);
    th_buf_puts(out, value ? "true" : "false");
}

static void begin(th_buf *out, uint64_t number, const char *kind)
{
    th_buf_putc(out, '{');
    th_json_put_pair_u64(out, "number", number);
    th_json_put_pair(out, "kind", th_slice_str(kind));
}

static void put_who(th_buf *out, const th_attach_from *from)
{
    th_json_put_pair(out, "from", from->pid);
    th_json_put_pair(out, "address", from->address);
}

/* --- Messages ----------------------------------------------------------------------- */

void th_attach_put_caps(th_buf *out, th_slice node, const th_caps *caps)
{
    th_json_put_key(out, "capabilities");
    th_buf_putc(out, '[');
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        th_cap_encode(out, node, th_caps_at(caps, i));
    }
    th_buf_putc(out, ']');
}

/* What every message may have. A metadata is a text of the sender's, of any bytes. */
static void put_content(th_buf *out, const th_msg *msg, th_slice node)
{
    th_content_put_body(out, (th_format)msg->format, th_msg_body(msg));
    if ((msg->flags & TH_MSG_METADATA) != 0 || msg->metadata_bytes > 0) {
        th_json_put_pair(out, "metadata", th_msg_metadata(msg));
    }
    if (msg->blob != NULL) {
        put_bool(out, "has_blob", true);
        th_json_put_pair_u64(out, "blob_bytes", msg->blob->bytes);
    }
    if (th_caps_count(msg->caps) > 0) {
        th_attach_put_caps(out, node, msg->caps);
    }
}

static void put_request(th_buf *out, const th_msg *msg, int64_t now_ns)
{
    bool expects = !th_pid_is_none(msg->requester);
    int64_t left_ns = msg->deadline_ns - now_ns;

    put_bool(out, "inherit", (msg->flags & TH_MSG_INHERIT) != 0);
    put_bool(out, "expects", expects);
    if ((msg->flags & TH_MSG_EXPECTS) != 0) {
        th_json_put_pair_u64(out, "expects_s", msg->expects_s);
    }
    if (expects) {
        th_json_put_pair_u64(out, "timeout_ms",
                             left_ns <= 0 ? 0 : (uint64_t)(left_ns / TH_MS));
    }
}

void th_attach_put_msg(th_buf *out, const th_attach_from *from, const th_msg *msg,
                       int64_t now_ns)
{
    begin(out, from->number, msg->kind == TH_MSG_SEND ? "send" : "request");
    put_who(out, from);
    if (msg->kind == TH_MSG_SEND) {
        th_json_put_pair(out, "topic", th_msg_topic(msg));
    } else {
        put_request(out, msg, now_ns);
    }
    put_content(out, msg, from->node);
    th_buf_putc(out, '}');
}

static void put_asked(th_buf *out, const th_attach_asked *asked)
{
    th_json_put_key(out, "request");
    th_buf_put(out, asked->id.at, asked->id.bytes);
    if (asked->context != NULL) {
        th_content_put(out, "context", "context_base64", th_blob_slice(asked->context));
    }
}

void th_attach_put_response(th_buf *out, const th_attach_from *from,
                            const th_attach_asked *asked, const th_msg *response)
{
    begin(out, from->number, "response");
    put_who(out, from);
    put_asked(out, asked);
    put_content(out, response, asked->node);
    th_buf_putc(out, '}');
}

void th_attach_put_no_right(th_buf *out, th_slice to, th_slice params)
{
    bool is_control = !th_slice_eq(params, TH_CAP_MESSAGING);

    th_buf_putf(out,
                "there is no right to %s `%.*s`, which is of another package. Attach "
                "with --grant '%.*s%s%.*s' (in JSON: \"grants\":[",
                is_control ? "control" : "send to", TH_FMT(to), TH_FMT(to),
                is_control ? "=" : "", is_control ? (int)params.bytes : 0, params.at);
    if (is_control) {
        th_buf_putc(out, '{');
        th_json_put_pair(out, "issuer", to);
        th_json_put_pair(out, "params", params);
        th_buf_putc(out, '}');
    } else {
        th_json_put_text(out, to);
    }
    th_buf_puts(out, "]), or as a process of its package, or use `thole grant`");
}

static const char *text_of(th_err reason)
{
    switch (reason) {
    case TH_NOT_FOUND:
        return "there is no such process";
    case TH_QUOTA:
        return "its mailbox is full, or the node's memory is short; try again later";
    case TH_INVALID:
        return "it has no form for this value";
    default:
        return th_reason_of(reason)->text;
    }
}

void th_attach_put_failure(th_buf *out, uint64_t number, const th_attach_asked *asked,
                           th_err reason, const th_msg *original)
{
    const th_reason *row = th_reason_of(reason);
    th_auto_buf why = TH_BUF_INIT;

    if (reason == TH_DENIED) {
        th_attach_put_no_right(&why, asked->to, TH_CAP_MESSAGING);
    } else {
        th_buf_puts(&why, text_of(reason));
    }
    begin(out, number, "error");
    put_asked(out, asked);
    th_json_put_pair(out, "error",
                     row->wit_kind == TH_WIT_OFFLINE ? TH_SLICE("offline")
                                                     : TH_SLICE("timeout"));
    th_json_put_pair(out, "reason", th_slice_str(row->name));
    th_json_put_pair(out, "message", th_buf_slice(&why));
    th_json_put_key(out, "original");
    th_buf_putc(out, '{');
    th_json_put_pair(out, "to", asked->to);
    put_bool(out, "inherit", (original->flags & TH_MSG_INHERIT) != 0);
    th_json_put_pair_u64(out, "expects_s", original->expects_s);
    put_content(out, original, asked->node);
    th_buf_puts(out, "}}");
}

/* --- Events and the end --------------------------------------------------------------- */

static const char *const kinds[] = {
    [TH_EVENT_EXIT] = "pid.exit",
    [TH_EVENT_LINK_DOWN] = "pid.link.down",
    [TH_EVENT_LINK_UP] = "pid.link.established",
    [TH_EVENT_LINK_GONE] = "pid.link.removed",
    [TH_EVENT_CANCEL] = "pid.cancel",
};

/* How somebody ended: its value, or a reason and a text. */
static void put_result(th_buf *out, th_err reason, const th_exit *exit)
{
    th_slice error = exit == NULL ? th_slice_of(NULL, 0) : th_exit_error(exit);

    th_buf_putc(out, '{');
    if (reason != TH_OK) {
        th_json_put_pair(out, "reason", th_slice_str(th_reason_of(reason)->name));
        th_json_put_pair(out, "error",
                         error.bytes > 0 ? error
                                         : th_slice_str(th_reason_of(reason)->text));
    } else if (exit != NULL && th_exit_value(exit).bytes > 0) {
        th_content_put_body(out, exit->format, th_exit_value(exit));
    }
    th_buf_putc(out, '}');
}

static void put_ms(th_buf *out, const char *key, th_wall at)
{
    th_json_put_pair_u64(out, key, at.ns < 0 ? 0 : (uint64_t)(at.ns / TH_MS));
}

void th_attach_put_event(th_buf *out, const th_attach_from *from, const th_event *event)
{
    th_buf_putc(out, '{');
    th_json_put_pair(out, "kind", th_slice_str(kinds[event->kind]));
    put_who(out, from);
    put_ms(out, "at_ms", event->at);
    if (event->kind == TH_EVENT_EXIT || event->kind == TH_EVENT_LINK_DOWN) {
        th_json_put_key(out, "result");
        put_result(out, event->reason, event->exit);
    }
    if (event->kind == TH_EVENT_CANCEL) {
        put_ms(out, "deadline_ms", event->deadline);
        put_bool(out, "enforced", event->enforced);
        if (event->text.bytes > 0) {
            th_json_put_pair(out, "reason", event->text);
        }
    }
    th_buf_putc(out, '}');
}

void th_attach_put_end(th_buf *out, const th_exit *exit)
{
    put_result(out, exit == NULL ? TH_QUOTA : exit->reason, exit);
}
