#include "fake_host.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PIDS = 16 };

static atomic_uint wakes[PIDS];

static const char *const op_names[] = {
    "print",    "get-on-exit", "set-on-exit", "get-state", "set-state", "clear-state",
    "spawn",    "save-caps",   "drop-caps",   "our-caps",  "receive",   "has-blob",
    "get-blob", "last-blob",   "send",        "respond",   "await",
};

/* ---- values ---- */

th_wbuf fake_buf(const char *text)
{
    th_wbuf buf = {(uint8_t *)strdup(text), strlen(text)};

    return buf;
}

th_wbuf fake_bytes(size_t bytes, uint8_t fill)
{
    th_wbuf buf = {malloc(bytes + 1), bytes};

    memset(buf.ptr, fill, bytes);
    return buf;
}

static th_wbuf copy_buf(const th_wbuf *from)
{
    th_wbuf buf = {malloc(from->len + 1), from->len};

    if (from->len > 0) {
        memcpy(buf.ptr, from->ptr, from->len);
    }
    return buf;
}

void fake_buf_free(th_wbuf *buf)
{
    free(buf->ptr);
    *buf = (th_wbuf){0};
}

static void free_address(th_waddr *address)
{
    fake_buf_free(&address->node);
    fake_buf_free(&address->process);
    fake_buf_free(&address->package);
    fake_buf_free(&address->publisher);
}

static void free_caps(th_wcaps *caps)
{
    for (size_t i = 0; i < caps->len; i++) {
        free_address(&caps->ptr[i].issuer);
        fake_buf_free(&caps->ptr[i].params);
    }
    free(caps->ptr);
    *caps = (th_wcaps){0};
}

void fake_msg_free(th_wmsg *message)
{
    free_address(&message->peer);
    fake_buf_free(&message->body);
    fake_buf_free(&message->metadata);
    fake_buf_free(&message->context);
    fake_buf_free(&message->mime);
    fake_buf_free(&message->blob);
    free_caps(&message->caps);
    *message = (th_wmsg){0};
}

static void free_msgs(th_wmsgs *messages)
{
    for (size_t i = 0; i < messages->len; i++) {
        fake_msg_free(&messages->ptr[i]);
    }
    free(messages->ptr);
    *messages = (th_wmsgs){0};
}

static th_waddr copy_address(const th_waddr *from)
{
    return (th_waddr){copy_buf(&from->node), copy_buf(&from->process),
                      copy_buf(&from->package), copy_buf(&from->publisher)};
}

static th_wcaps copy_caps(const th_wcaps *from)
{
    th_wcaps caps = {calloc(from->len + 1, sizeof *caps.ptr), from->len};

    for (size_t i = 0; i < from->len; i++) {
        caps.ptr[i].issuer = copy_address(&from->ptr[i].issuer);
        caps.ptr[i].params = copy_buf(&from->ptr[i].params);
    }
    return caps;
}

static th_wmsg copy_msg(const th_wmsg *from)
{
    th_wmsg message = *from;

    message.peer = copy_address(&from->peer);
    message.body = copy_buf(&from->body);
    message.metadata = copy_buf(&from->metadata);
    message.context = copy_buf(&from->context);
    message.mime = copy_buf(&from->mime);
    message.blob = copy_buf(&from->blob);
    message.caps = copy_caps(&from->caps);
    return message;
}

static th_wmsgs one_msg(th_wmsg message)
{
    th_wmsgs messages = {malloc(sizeof message), 1};

    *messages.ptr = message;
    return messages;
}

static th_waddr fake_peer(void)
{
    return (th_waddr){fake_buf("near.os"), fake_buf("asker"), fake_buf("pack"),
                      fake_buf("pub.os")};
}

th_wmsg fake_request(th_wbuf body)
{
    return (th_wmsg){.peer = fake_peer(),
                     .has_expects = true,
                     .expects_s = 5,
                     .body = body};
}

/* ---- the log ---- */

static void log_buf(FILE *log, const char *name, const th_wbuf *buf)
{
    fprintf(log, " %s=%.*s", name, (int)buf->len,
            buf->ptr == NULL ? "" : (char *)buf->ptr);
}

static void log_address(FILE *log, const th_waddr *address)
{
    log_buf(log, "node", &address->node);
    log_buf(log, "process", &address->process);
    log_buf(log, "package", &address->package);
    log_buf(log, "publisher", &address->publisher);
}

static void log_caps(FILE *log, const char *name, const th_wcaps *caps)
{
    for (size_t i = 0; i < caps->len; i++) {
        fprintf(log, "\n   %s:", name);
        log_address(log, &caps->ptr[i].issuer);
        log_buf(log, "params", &caps->ptr[i].params);
    }
}

static void log_msg(FILE *log, const th_wmsg *message)
{
    fprintf(log, "\n  message: kind=%d", message->kind);
    log_address(log, &message->peer);
    if (message->inherit) {
        fprintf(log, " inherit");
    }
    if (message->has_expects) {
        fprintf(log, " expects=%" PRIu64, message->expects_s);
    }
    log_buf(log, "body", &message->body);
    if (message->has_metadata) {
        log_buf(log, "metadata", &message->metadata);
    }
    if (message->has_context) {
        log_buf(log, "context", &message->context);
    }
    if (message->has_mime) {
        log_buf(log, "mime", &message->mime);
    }
    if (message->has_blob) {
        log_buf(log, "blob", &message->blob);
    }
    log_caps(log, "cap", &message->caps);
}

static void log_call(fake_host *host, uint32_t op, const th_wcall *args)
{
    FILE *log = host->log;

    if (host->is_quiet) {
        return;
    }
    fprintf(log, "%s", op_names[op]);
    if (args->number != 0 || op == TH_W_PRINT) {
        fprintf(log, " number=%" PRIu64, args->number);
    }
    if (args->on_exit != 0) {
        fprintf(log, " on-exit=%d", args->on_exit);
    }
    if (args->is_public) {
        fprintf(log, " public");
    }
    if (args->has_text) {
        log_buf(log, "text", &args->text);
    }
    if (args->path.ptr != NULL) {
        log_buf(log, "path", &args->path);
    }
    for (size_t i = 0; i < args->messages.len; i++) {
        log_msg(log, &args->messages.ptr[i]);
    }
    log_caps(log, "cap", &args->caps);
    log_caps(log, "grant", &args->grants);
    fprintf(log, "\n");
}

const char *fake_host_text(fake_host *host)
{
    fflush(host->log);
    return host->text;
}

/* ---- the operations ---- */

static void do_spawn(fake_host *host, th_wcall *reply)
{
    static const enum th_wspawn script[] = {TH_W_NAME_TAKEN, TH_W_SPAWNED,
                                            TH_W_NO_FILE};
    uint64_t n = host->n_spawned++;

    if (host->spawn_max == 0) {
        reply->number = script[n % 3];
    } else {
        reply->number = n < host->spawn_max ? TH_W_SPAWNED : TH_W_NO_FILE;
    }
    if (reply->number == TH_W_SPAWNED) {
        reply->caps = (th_wcaps){calloc(1, sizeof *reply->caps.ptr), 1};
        reply->caps.ptr[0].issuer = fake_peer();
    }
}

static void do_state(fake_host *host, uint32_t op, th_wcall *args, th_wcall *reply)
{
    switch (op) {
    case TH_W_GET_ON_EXIT:
        reply->on_exit = host->on_exit;
        if (host->on_exit_requests.len > 0) {
            reply->messages = one_msg(copy_msg(&host->on_exit_requests.ptr[0]));
        }
        break;
    case TH_W_SET_ON_EXIT:
        free_msgs(&host->on_exit_requests);
        host->on_exit = args->on_exit;
        host->on_exit_requests = args->messages;
        args->messages = (th_wmsgs){0};
        break;
    case TH_W_GET_STATE:
        reply->has_text = host->has_state;
        reply->text = copy_buf(&host->state);
        break;
    case TH_W_SET_STATE:
    case TH_W_CLEAR_STATE:
        fake_buf_free(&host->state);
        host->has_state = op == TH_W_SET_STATE;
        host->state = args->text;
        args->text.ptr = NULL;
        break;
    case TH_W_SAVE_CAPS:
        free_caps(&host->caps);
        host->caps = args->caps;
        args->caps = (th_wcaps){0};
        break;
    case TH_W_DROP_CAPS:
        free_caps(&host->caps);
        break;
    case TH_W_OUR_CAPS:
        reply->caps = copy_caps(&host->caps);
        break;
    default:
        break;
    }
}

static int do_message(fake_host *host, uint32_t op, th_wcall *reply, th_wbuf *trap)
{
    if (host->has_trap_op && host->trap_op == op) {
        *trap = fake_buf("the host says no");
        return TH_W_TRAP;
    }
    switch (op) {
    case TH_W_RECEIVE:
        if (host->inbox_at == host->inbox_len) {
            return TH_W_PENDING;
        }
        reply->messages = one_msg(host->inbox[host->inbox_at]);
        host->inbox[host->inbox_at++] = (th_wmsg){0};
        break;
    case TH_W_AWAIT:
        if (host->answers_at == host->answers_len) {
            return TH_W_PENDING;
        }
        reply->messages = one_msg(host->answers[host->answers_at]);
        host->answers[host->answers_at++] = (th_wmsg){0};
        break;
    case TH_W_SPAWN:
        do_spawn(host, reply);
        break;
    default:
        break;
    }
    return TH_W_READY;
}

static void take_outgoing(fake_host *host, uint32_t op, th_wcall *args)
{
    if (op == TH_W_SEND_REQUESTS) {
        host->n_sent += args->messages.len;
    } else if (op == TH_W_SEND_RESPONSE) {
        fake_msg_free(&host->response);
        host->response = args->messages.ptr[0];
        args->messages.ptr[0] = (th_wmsg){0};
        host->n_responses++;
    }
}

static bool may_wait(uint32_t op)
{
    switch (op) {
    case TH_W_PRINT:
    case TH_W_GET_ON_EXIT:
    case TH_W_OUR_CAPS:
    case TH_W_HAS_BLOB:
    case TH_W_GET_BLOB:
    case TH_W_LAST_BLOB:
        return false;
    default:
        return true;
    }
}

static int fake_call(void *env, uint32_t op, th_wcall *args, th_wcall *reply,
                     th_wbuf *trap)
{
    fake_host *host = env;

    log_call(host, op, args);
    if (op == TH_W_HAS_BLOB) {
        reply->number = host->blob.has_blob;
    } else if (op == TH_W_GET_BLOB || op == TH_W_LAST_BLOB) {
        if (host->blob.has_blob) {
            reply->messages = one_msg(copy_msg(&host->blob));
        }
    }
    do_state(host, op, args, reply);
    take_outgoing(host, op, args);
    if (may_wait(op) && host->wait_polls > 0) {
        host->waiting_op = op;
        host->polls_left = host->wait_polls;
        return TH_W_PENDING;
    }
    host->waiting_op = op;
    return do_message(host, op, reply, trap);
}

static int fake_resume(void *env, th_wcall *reply, th_wbuf *trap)
{
    fake_host *host = env;

    if (host->polls_left > 0 && --host->polls_left > 0) {
        return TH_W_PENDING;
    }
    return do_message(host, host->waiting_op, reply, trap);
}

static void fake_wake(uint64_t pid)
{
    atomic_fetch_add(&wakes[pid], 1);
}

unsigned fake_host_wakes(uint64_t pid)
{
    return atomic_load(&wakes[pid]);
}

static void fake_print(void *env, int fd, const uint8_t *text, size_t bytes)
{
    fake_host *host = env;

    fprintf(host->log, "fd %d: %.*s\n", fd, (int)bytes, (const char *)text);
}

static int64_t fake_mono(void *env)
{
    return ((fake_host *)env)->mono_ns;
}

static int64_t fake_wall(void *env)
{
    return ((fake_host *)env)->wall_ns;
}

static void fake_random(void *env, uint8_t *out, size_t bytes)
{
    (void)env;
    memset(out, 1, bytes);
}

const th_whost fake_host_table = {
    .call = fake_call,
    .resume = fake_resume,
    .wake = fake_wake,
    .print = fake_print,
    .now_mono_ns = fake_mono,
    .now_wall_ns = fake_wall,
    .random = fake_random,
};

/* ---- the host ---- */

void fake_host_init(fake_host *host)
{
    *host = (fake_host){0};
    host->log = open_memstream(&host->text, &host->text_bytes);
}

void fake_host_deinit(fake_host *host)
{
    for (size_t i = 0; i < FAKE_QUEUE_MAX; i++) {
        fake_msg_free(&host->inbox[i]);
        fake_msg_free(&host->answers[i]);
    }
    fake_msg_free(&host->response);
    fake_msg_free(&host->blob);
    fake_buf_free(&host->state);
    free_msgs(&host->on_exit_requests);
    free_caps(&host->caps);
    fclose(host->log);
    free(host->text);
}

void fake_host_receives(fake_host *host, th_wmsg message)
{
    host->inbox[host->inbox_len++] = message;
}

void fake_host_answers(fake_host *host, th_wmsg message)
{
    host->answers[host->answers_len++] = message;
}
