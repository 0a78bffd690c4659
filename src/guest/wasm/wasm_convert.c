#include "guest/wasm/wasm_convert.h"

#include "codec/term_json.h"

#include <stdlib.h>

/* --- Bytes ---------------------------------------------------------------------------- */

bool th_wasm_buf(th_wbuf *out, th_slice from)
{
    *out = (th_wbuf){0};
    if (from.bytes == 0) {
        return true;
    }
    out->ptr = malloc(from.bytes);
    if (out->ptr == NULL) {
        return false;
    }
    memcpy(out->ptr, from.at, from.bytes);
    out->len = from.bytes;
    return true;
}

static th_slice slice_of(const th_wbuf *buf)
{
    return th_slice_of(buf->ptr, buf->len);
}

th_blob *th_wasm_take_blob(th_wbuf *from, th_slice mime)
{
    th_blob *made = th_blob_adopt(from->ptr, from->len, mime);

    if (made != NULL) {
        *from = (th_wbuf){0};
    }
    return made;
}

/* --- Addresses ------------------------------------------------------------------------ */

th_err th_wasm_target_pack(th_wasm_target *out, const th_waddr *address)
{
    const th_wbuf *const parts[4] = {&address->node, &address->process,
                                     &address->package, &address->publisher};
    char *at = out->packed + 4;

    for (int i = 0; i < 4; i++) {
        if (parts[i]->len > TH_WASM_PART_BYTES_MAX) {
            return TH_INVALID;
        }
        out->packed[i] = (char)parts[i]->len;
        if (parts[i]->len > 0) {
            at = (char *)mempcpy(at, parts[i]->ptr, parts[i]->len);
        }
    }
    out->bytes = (uint16_t)(at - out->packed);
    return TH_OK;
}

static void unpack(th_slice packed, th_slice parts[4])
{
    const char *at = packed.at + 4;

    for (int i = 0; i < 4; i++) {
        parts[i] = th_slice_of(at, (unsigned char)packed.at[i]);
        at += parts[i].bytes;
    }
}

bool th_wasm_target_text(const th_wasm_target *target, char out[TH_ID_TEXT_BYTES],
                         size_t *bytes)
{
    static const char marks[4] = {'@', ':', ':', 0};
    char *at = out;
    th_slice parts[4];

    if (target->bytes >=
        TH_ID_TEXT_BYTES) { /* its marks take the place of the lengths */
        return false;
    }
    unpack(th_slice_of(target->packed, target->bytes), parts);
    for (int i = 0; i < 4; i++) {
        at =
            parts[i].bytes == 0 ? at : (char *)mempcpy(at, parts[i].at, parts[i].bytes);
        if (i > 0 || parts[i].bytes > 0) {
            *at = marks[i];
            at += i < 3;
        }
    }
    *bytes = (size_t)(at - out);
    return true;
}

static bool put_parts(th_slice node, th_slice process, th_slice package,
                      th_slice publisher, th_waddr *out)
{
    return th_wasm_buf(&out->node, node) && th_wasm_buf(&out->process, process) &&
           th_wasm_buf(&out->package, package) &&
           th_wasm_buf(&out->publisher, publisher);
}

bool th_wasm_put_address(const th_kernel *kernel, const th_ident *who, th_waddr *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_address parts;

    th_kernel_address(kernel, who, &parts, unique);
    return put_parts(parts.node, parts.process, parts.package, parts.publisher, out);
}

th_err th_wasm_put_address_text(th_slice text, th_waddr *out)
{
    th_id_error error;
    th_address parts;

    if (th_address_decode(&parts, text, true, &error) != TH_OK) {
        return TH_INVALID;
    }
    return put_parts(parts.node, parts.process, parts.package, parts.publisher, out)
               ? TH_OK
               : TH_QUOTA;
}

static bool put_target(const th_msg *sent, th_waddr *out)
{
    th_slice parts[4];

    unpack(th_msg_topic(sent), parts);
    return put_parts(parts[0], parts[1], parts[2], parts[3], out);
}

/* --- From a guest ---------------------------------------------------------------------- */

th_msg *th_wasm_msg_new(th_msg_kind kind, th_wmsg *from, th_slice topic,
                        const th_wasm_freight *freight)
{
    th_msg_parts parts = {.kind = kind,
                          .format = TH_FORMAT_BYTES,
                          .expects_s = from->expects_s,
                          .topic = topic,
                          .body = slice_of(&from->body),
                          .blob = freight->blob,
                          .caps = freight->caps};
    th_msg *made;

    parts.flags = (uint8_t)((from->has_expects ? TH_MSG_EXPECTS : 0) |
                            (from->inherit ? TH_MSG_INHERIT : 0) |
                            (from->has_metadata ? TH_MSG_METADATA : 0));
    if (from->has_metadata) {
        parts.metadata = slice_of(&from->metadata);
    }
    if (from->body.len > TH_MSG_INLINE_BYTES_MAX) {
        parts.body_blob = th_wasm_take_blob(&from->body, th_slice_of(NULL, 0));
        if (parts.body_blob == NULL) {
            return NULL;
        }
    }
    made = th_msg_new(&parts);
    th_blob_unref(parts.body_blob);
    return made;
}

bool th_wasm_names_topic(const th_wmsg *message, th_buf *topic)
{
    static const char key[] = "\"topic\"";
    th_slice metadata = slice_of(&message->metadata);
    th_auto(th_json) json = NULL;
    th_slice text = TH_SLICE("");
    th_json_error error;

    if (metadata.bytes == 0 || metadata.bytes > TH_WASM_METADATA_BYTES_MAX ||
        memmem(metadata.at, metadata.bytes, key, sizeof key - 1) == NULL ||
        th_json_decode(&json, metadata, &error) != TH_OK ||
        !th_json_text(th_json_get(json, "topic"), &text) || text.bytes == 0 ||
        text.bytes > TH_TOPIC_BYTES_MAX || text.at[0] == '@') {
        return false;
    }
    th_buf_put(topic, text.at, text.bytes);
    return !topic->failed;
}

/* --- Capabilities, to a guest ----------------------------------------------------------- */

/* Issuers of this node have no node in their id. */
static bool put_issuer(const th_kernel *kernel, const th_cap *cap, th_waddr *out)
{
    th_slice id = th_issuer_id(th_cap_issuer(cap));

    return th_wasm_put_address_text(id, out) == TH_OK &&
           (out->node.len > 0 ||
            th_wasm_buf(&out->node, th_slice_str(th_kernel_node(kernel))));
}

th_err th_wasm_put_caps(const th_kernel *kernel, const th_caps *caps, th_wcaps *out)
{
    size_t count = th_caps_count(caps);

    if (count == 0) {
        return TH_OK;
    }
    out->ptr = calloc(count, sizeof *out->ptr);
    if (out->ptr == NULL) {
        return TH_QUOTA;
    }
    for (size_t i = 0; i < count; i++) {
        const th_cap *cap = th_caps_at(caps, i);

        if (!th_cap_is_valid(cap)) {
            continue;
        }
        out->len++;
        if (!put_issuer(kernel, cap, &out->ptr[out->len - 1].issuer) ||
            !th_wasm_buf(&out->ptr[out->len - 1].params, th_cap_params(cap))) {
            return TH_QUOTA;
        }
    }
    return TH_OK;
}

/* --- To a guest ------------------------------------------------------------------------ */

/* A body that nobody else has or will have is handed over as it is. */
static bool move_body(th_msg *msg, th_wbuf *out)
{
    th_blob *body = msg->body_blob;

    if (body == NULL || body->at == body->inline_bytes ||
        atomic_load_explicit(&msg->refs, memory_order_acquire) != 1 ||
        atomic_load_explicit(&body->refs, memory_order_acquire) != 1) {
        return false;
    }
    *out = (th_wbuf){(uint8_t *)body->at, body->bytes};
    body->at = NULL;
    body->bytes = 0;
    return true;
}

static th_err put_body(th_msg *msg, th_wbuf *out)
{
    th_auto_buf json = TH_BUF_INIT;
    th_err err;

    if (msg->format == TH_FORMAT_BYTES) {
        return move_body(msg, out) || th_wasm_buf(out, th_msg_body(msg)) ? TH_OK
                                                                         : TH_QUOTA;
    }
    err = th_term_to_json(&json, th_msg_body(msg));
    if (err == TH_OK && !th_wasm_buf(out, th_buf_slice(&json))) {
        err = TH_QUOTA;
    }
    return err;
}

/* What a send of Lua's says beside its value: {"topic":T,"format":F}. */
static bool put_topic(const th_msg *msg, th_wmsg *out)
{
    th_auto_buf json = TH_BUF_INIT;

    th_buf_putc(&json, '{');
    th_json_put_pair(&json, "topic", th_msg_topic(msg));
    th_json_put_pair(&json, "format",
                     msg->format == TH_FORMAT_BYTES ? TH_SLICE("bytes")
                                                    : TH_SLICE("json"));
    th_buf_putc(&json, '}');
    out->has_metadata = true;
    return !json.failed && th_wasm_buf(&out->metadata, th_buf_slice(&json));
}

/* All but whose it is. */
static th_err put_parts_of(const th_kernel *kernel, th_msg *msg, th_wmsg *out)
{
    bool is_whole = true;
    th_err err;

    out->kind = msg->kind == TH_MSG_RESPONSE ? TH_W_RESPONSE : TH_W_REQUEST;
    out->inherit = (msg->flags & TH_MSG_INHERIT) != 0;
    out->has_expects = (msg->flags & TH_MSG_EXPECTS) != 0;
    out->expects_s = msg->expects_s;
    if ((msg->flags & TH_MSG_METADATA) != 0) {
        out->has_metadata = true;
        is_whole = th_wasm_buf(&out->metadata, th_msg_metadata(msg));
    } else if (msg->kind == TH_MSG_SEND) {
        is_whole = put_topic(msg, out);
    }
    err = is_whole ? th_wasm_put_caps(kernel, msg->caps, &out->caps) : TH_QUOTA;
    return err == TH_OK ? put_body(msg, &out->body) : err;
}

th_err th_wasm_put_msg(const th_kernel *kernel, th_msg *msg, th_wmsg *out)
{
    if (!th_wasm_put_address(kernel, &msg->source, &out->peer)) {
        return TH_QUOTA;
    }
    return put_parts_of(kernel, msg, out);
}

static th_err put_context(const th_blob *context, th_wmsg *out)
{
    out->has_context = context != NULL;
    return th_wasm_buf(&out->context, th_blob_slice(context)) ? TH_OK : TH_QUOTA;
}

/* It came back: what was sent, with its blob. */
static th_err put_returned(const th_kernel *kernel, th_msg *sent, th_err reason,
                           th_wmsg *out)
{
    th_err err = put_parts_of(kernel, sent, out);

    out->is_response = sent->kind == TH_MSG_RESPONSE;
    out->kind =
        th_reason_of(reason)->wit_kind == TH_WIT_OFFLINE ? TH_W_OFFLINE : TH_W_TIMEOUT;
    return err == TH_OK && sent->blob != NULL ? th_wasm_put_blob(sent->blob, out) : err;
}

static th_err put_error(const th_kernel *kernel, const th_request *request,
                        th_wmsg *out)
{
    th_msg *sent = (th_msg *)th_request_original(request); /* shared: its body stays */

    return put_target(sent, &out->peer)
               ? put_returned(kernel, sent, th_request_reason(request), out)
               : TH_QUOTA;
}

th_err th_wasm_put_reply(const th_kernel *kernel, const th_request *request,
                         th_wmsg *out)
{
    th_msg *response = th_request_response(request);
    th_err err = response == NULL ? put_error(kernel, request, out)
                                  : th_wasm_put_msg(kernel, response, out);

    return err == TH_OK ? put_context(th_request_context(request), out) : err;
}

th_err th_wasm_put_failed(const th_kernel *kernel, th_msg *response, const th_ident *to,
                          th_wmsg *out)
{
    return th_wasm_put_address(kernel, to, &out->peer)
               ? put_returned(kernel, response, TH_QUOTA, out)
               : TH_QUOTA;
}

th_err th_wasm_put_sys(const th_kernel *kernel, th_msg *msg, const th_blob *context,
                       th_wmsg *out)
{
    th_err err;

    if (!put_parts(th_slice_str(th_kernel_node(kernel)), TH_SLICE("kernel"),
                   TH_SLICE("distro"), TH_SLICE("sys"), &out->peer)) {
        return TH_QUOTA;
    }
    err = put_parts_of(kernel, msg, out);
    return err == TH_OK ? put_context(context, out) : err;
}

th_err th_wasm_put_blob(const th_blob *blob, th_wmsg *out)
{
    out->has_blob = true;
    out->has_mime = blob->has_mime;
    return th_wasm_buf(&out->blob, th_blob_slice(blob)) &&
                   th_wasm_buf(&out->mime, th_slice_of(blob->mime, blob->mime_bytes))
               ? TH_OK
               : TH_QUOTA;
}

th_err th_wasm_accept(const th_msg *msg)
{
    th_auto_buf json = TH_BUF_INIT;

    if (msg->format == TH_FORMAT_BYTES) {
        return TH_OK;
    }
    if (th_msg_body(msg).bytes > TH_WASM_VALUE_BYTES_MAX) {
        return TH_QUOTA;
    }
    return th_term_to_json(&json, th_msg_body(msg));
}
