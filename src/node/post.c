#include "node/post.h"

#include "base/mem.h"
#include "node/content.h"
#include "node/terms.h"

typedef struct parcel {
    th_errand errand;
    th_socket *socket; /* one reference */
    th_buf id;
    size_t sent; /* messages */
    bool is_call;
} parcel;

static void free_post(parcel *post)
{
    th_list *node;

    while ((node = th_list_pop(&post->errand.msgs)) != NULL) {
        th_msg_unref(th_msg_of(th_container_of(node, th_item, link)));
    }
    th_socket_unref(post->socket);
    th_buf_deinit(&post->id);
    th_free(post);
}

/* --- The answer -------------------------------------------------------------------- */

static void put_answer(th_buf *out, const th_msg *answer)
{
    th_buf_putc(out, '{');
    th_content_put_body(out, answer->format, th_msg_body(answer));
    if (answer->blob != NULL) {
        th_content_put_base64(out, "blob_base64", th_blob_slice(answer->blob));
    }
    th_buf_putc(out, '}');
}

static const char *text_of(th_err err, bool is_call)
{
    switch (err) {
    case TH_TIMED_OUT:
        return "no answer came in time";
    case TH_QUOTA:
        return "the mailbox of the process is full; try again later";
    case TH_NOT_FOUND:
        return "the process has ended";
    case TH_DIED:
        return is_call ? "the process ended before it answered" : "the process ended";
    default:
        return th_reason_of(err)->text;
    }
}

static void done(th_errand *errand, th_err err, const th_msg *answer)
{
    parcel *post = th_container_of(errand, parcel, errand);
    th_auto_buf out = TH_BUF_INIT;
    th_slice id = th_buf_slice(&post->id);

    if (err != TH_OK) {
        th_control_put_error(&out, id, err, text_of(err, post->is_call));
    } else {
        th_control_put_ok(&out, id);
        if (answer != NULL) {
            put_answer(&out, answer);
        } else {
            th_buf_putf(&out, "{\"messages\":%zu}", post->sent);
        }
        th_control_put_end(&out);
    }
    if (out.failed || th_socket_write(post->socket, th_buf_slice(&out)) == TH_QUOTA) {
        th_buf_clear(&out);
        th_control_put_error(&out, id, TH_QUOTA, "the answer is too large to be shown");
        (void)th_socket_write(post->socket, th_buf_slice(&out));
    }
    free_post(post);
}

/* --- The messages -------------------------------------------------------------------- */

static th_err add_msg(parcel *post, const th_msg_parts *parts)
{
    th_msg *msg = th_msg_new(parts);

    if (msg == NULL) {
        return TH_QUOTA;
    }
    th_list_push(&post->errand.msgs, &msg->item.link);
    post->sent++;
    return TH_OK;
}

/* @value NULL: nil. */
static th_err add_value(parcel *post, const th_control_request *request,
                        const th_json *value, th_buf *why)
{
    th_auto_buf term = TH_BUF_INIT;
    th_auto(th_json) nil = NULL;
    th_json_error error;
    th_err err = TH_OK;

    if (value == NULL) {
        err = th_json_decode(&nil, TH_SLICE("null"), &error);
    }
    if (err == TH_OK) {
        err = th_terms_put_json(&term, value == NULL ? nil : value, &error);
    }
    if (err == TH_INVALID) {
        th_buf_putf(why, "a value cannot be sent: %s", error.what);
    }
    if (err != TH_OK) {
        return err;
    }
    return add_msg(post, &(th_msg_parts){.kind = TH_MSG_SEND,
                                         .format = TH_FORMAT_TERM,
                                         .topic = request->topic,
                                         .body = th_buf_slice(&term)});
}

/* A message for each value; without any, one with nil. */
static th_err add_send(parcel *post, const th_control_request *request, th_buf *why)
{
    size_t count = th_json_count(request->values);
    th_err err = TH_OK;

    if (request->values == NULL) {
        return add_msg(post, &(th_msg_parts){.kind = TH_MSG_SEND,
                                             .topic = request->topic,
                                             .body = th_buf_slice(&request->body)});
    }
    for (size_t i = 0; i < (count == 0 ? 1 : count) && err == TH_OK; i++) {
        err = add_value(post, request, th_json_at(request->values, i), why);
    }
    return err;
}

static th_err add_call(parcel *post, const th_control_request *request)
{
    th_auto(th_blob) blob = NULL;

    if (request->has_blob) {
        blob = th_blob_new(th_buf_slice(&request->blob), th_slice_of(NULL, 0));
        if (blob == NULL) {
            return TH_QUOTA;
        }
    }
    post->errand.timeout_ns = request->timeout_ms * (uint64_t)TH_MS;
    return add_msg(post,
                   &(th_msg_parts){.kind = TH_MSG_REQUEST,
                                   .flags = TH_MSG_EXPECTS,
                                   .expects_s = (request->timeout_ms + 999) / 1000,
                                   .body = th_buf_slice(&request->body),
                                   .blob = blob});
}

th_err th_post_run(th_courier *courier, th_socket *socket,
                   const th_control_request *request, th_pid to, th_buf *why)
{
    parcel *post;
    th_err err;

    if (request->topic.bytes == 0 && request->verb == TH_VERB_SEND) {
        th_buf_puts(why, "the topic is empty");
        return TH_INVALID;
    }
    if (th_slice_starts(request->topic, "@")) {
        th_buf_puts(why, "topics that begin with @ are reserved");
        return TH_INVALID;
    }
    if (request->topic.bytes > TH_TOPIC_BYTES_MAX) {
        th_buf_putf(why, "the topic has more than %d bytes", TH_TOPIC_BYTES_MAX);
        return TH_INVALID;
    }
    post = th_calloc(1, sizeof *post);
    if (post == NULL) {
        return TH_QUOTA;
    }
    post->errand.to = to;
    post->errand.done = done;
    th_list_init(&post->errand.msgs);
    post->socket = th_socket_ref(socket);
    post->is_call = request->verb == TH_VERB_CALL;
    th_buf_put(&post->id, request->id.at, request->id.bytes);
    err = post->is_call ? add_call(post, request) : add_send(post, request, why);
    if (err == TH_OK) {
        err = post->id.failed ? TH_QUOTA : th_courier_run(courier, &post->errand);
    }
    if (err != TH_OK) {
        free_post(post);
    }
    return err;
}
