#include "cli/client.h"

#include "node/control.h"
#include "node/home.h"
#include "world/socket.h"

#include <pthread.h>

/* An answer may be as large as what a socket holds back for us. */
#define ANSWER_BYTES_MAX (TH_SOCKET_WRITE_BYTES_MAX * 2)

typedef struct client {
    th_world *world;
    th_parker *parker;
    th_sockets *sockets;
    th_socket *socket;
    pthread_mutex_t lock;

    /* Under the lock. */
    th_buf came;
    bool is_closed;
} client;

/* Thread: io. */
static void did_read(void *context, th_slice bytes)
{
    client *self = context;

    pthread_mutex_lock(&self->lock);
    if (bytes.bytes > ANSWER_BYTES_MAX - self->came.bytes) {
        self->came.failed = true;
    } else {
        th_buf_put(&self->came, bytes.at, bytes.bytes);
    }
    pthread_mutex_unlock(&self->lock);
    th_world_unpark(self->world, self->parker);
}

static void did_close(void *context)
{
    client *self = context;

    pthread_mutex_lock(&self->lock);
    self->is_closed = true;
    pthread_mutex_unlock(&self->lock);
    th_world_unpark(self->world, self->parker);
}

/* Take the first line that came, if there is one. */
static th_err take_line(client *self, th_buf *line)
{
    th_slice came;
    size_t end;
    th_err err = TH_NOT_FOUND;

    pthread_mutex_lock(&self->lock);
    came = th_buf_slice(&self->came);
    end = th_slice_find(came, '\n');
    if (self->came.failed) {
        err = TH_QUOTA;
    } else if (end < came.bytes) {
        th_buf_put(line, came.at, end);
        self->came.bytes -= end + 1;
        memmove(self->came.at, self->came.at + end + 1, self->came.bytes);
        err = line->failed ? TH_QUOTA : TH_OK;
    } else if (self->is_closed) {
        err = TH_OFFLINE;
    }
    pthread_mutex_unlock(&self->lock);
    return err;
}

static th_err wait_line(client *self, uint64_t timeout_ms, th_buf *line)
{
    th_mono due = {th_world_mono(self->world).ns + (int64_t)timeout_ms * TH_MS};
    th_err err;

    while ((err = take_line(self, line)) == TH_NOT_FOUND) {
        if (th_world_mono(self->world).ns >= due.ns) {
            return TH_TIMED_OUT;
        }
        th_world_park(self->world, self->parker, due);
    }
    return err;
}

th_err th_client_check_hello(th_slice line, th_buf *why)
{
    th_auto(th_json) hello = NULL;
    th_json_error error;
    uint64_t protocol = 0;

    if (th_json_decode(&hello, line, &error) != TH_OK ||
        !th_json_u64(th_json_get(hello, "protocol"), &protocol)) {
        th_buf_puts(why, "what answers is not a node");
        return TH_INVALID;
    }
    if (protocol != TH_CONTROL_PROTOCOL) {
        th_buf_putf(why,
                    "the node speaks protocol %llu and this command %d; use a command "
                    "of the node's version",
                    (unsigned long long)protocol, TH_CONTROL_PROTOCOL);
        return TH_UNSUPPORTED;
    }
    return TH_OK;
}

static th_err check_hello(client *self, th_buf *why)
{
    th_auto_buf line = TH_BUF_INIT;
    th_err err = wait_line(self, TH_CLIENT_PATIENCE_MS, &line);

    if (err != TH_OK) {
        th_buf_puts(why, "the node does not say hello");
        return err;
    }
    return th_client_check_hello(th_buf_slice(&line), why);
}

th_err th_client_read_error(const th_json *error, th_buf *why)
{
    th_slice reason = TH_SLICE(""), message = TH_SLICE("");
    const th_reason *row;
    th_auto_buf name = TH_BUF_INIT;

    th_json_text(th_json_get(error, "reason"), &reason);
    th_json_text(th_json_get(error, "message"), &message);
    th_buf_put(why, message.at, message.bytes);
    th_buf_put(&name, reason.at, reason.bytes);
    row = th_reason_find(th_buf_text(&name));
    return row == NULL || row->err == TH_OK ? TH_FAILED : row->err;
}

static th_err read_error(const th_json *error, th_answer *out)
{
    uint64_t offset;

    if (th_json_u64(th_json_get(error, "at"), &offset)) {
        out->at = (size_t)offset;
    }
    return th_client_read_error(error, &out->why);
}

static th_err read_answer(client *self, const th_question *question, th_answer *out)
{
    th_auto_buf line = TH_BUF_INIT;
    th_json_error error;
    th_err err = wait_line(self, question->timeout_ms + TH_CLIENT_PATIENCE_MS, &line);

    if (err != TH_OK) {
        th_buf_puts(&out->why, err == TH_TIMED_OUT ? "the node does not answer"
                               : err == TH_QUOTA   ? "the answer is too large"
                                                   : "the node went away");
        return err;
    }
    if (th_json_decode(&out->document, th_buf_slice(&line), &error) != TH_OK) {
        th_buf_puts(&out->why, "what answers is not a node");
        return TH_INVALID;
    }
    out->ok = th_json_get(out->document, "ok");
    return out->ok != NULL ? TH_OK
                           : read_error(th_json_get(out->document, "error"), out);
}

void th_client_put_unreachable(const char *home, th_err err, th_buf *why)
{
    th_buf_putf(why, "the home `%s` cannot be used: %s", home,
                err == TH_DENIED    ? "the node on it is another user's"
                : err == TH_INVALID ? "its path is too long, or no folder's"
                                    : th_reason_of(err)->text);
}

/* The lines behind the answer. */
static th_err hear(client *self, const th_question *question, th_buf *why)
{
    int64_t end = question->hear_ms == 0 ? INT64_MAX
                                         : th_world_mono(self->world).ns +
                                               (int64_t)question->hear_ms * TH_MS;
    int64_t left = end;
    th_err err = TH_OK;

    while (err == TH_OK && left > 0) {
        th_auto_buf line = TH_BUF_INIT;

        left = end - th_world_mono(self->world).ns;
        err = wait_line(self, left <= 0 ? 0 : (uint64_t)(left / TH_MS) % UINT32_MAX + 1,
                        &line);
        if (err == TH_OK && !question->hear(question->context, th_buf_slice(&line))) {
            return TH_OK;
        }
        if (err == TH_TIMED_OUT) {
            err = TH_OK;
        }
    }
    if (err != TH_OK) {
        th_buf_puts(why, "the node went away");
    }
    return err;
}

static th_err talk(client *self, const th_question *question, th_answer *out)
{
    th_auto_buf path = TH_BUF_INIT;
    static const th_socket_events events = {did_read, did_close, NULL};
    th_err err;

    th_home_file(question->home, TH_HOME_SOCKET, &path);
    err = path.failed ? TH_NOMEM
                      : th_sockets_connect(self->sockets, path.at, &events, self,
                                           &self->socket);
    if (err == TH_OK) {
        err = check_hello(self, &out->why);
    } else if (err != TH_OFFLINE) {
        th_client_put_unreachable(question->home, err, &out->why);
    }
    if (err == TH_OK) {
        err = th_socket_write(self->socket, question->request);
    }
    if (err == TH_OK) {
        err = th_socket_write(self->socket, TH_SLICE("\n"));
    }
    if (err == TH_OK) {
        err = read_answer(self, question, out);
    }
    return err == TH_OK && question->hear != NULL ? hear(self, question, &out->why)
                                                  : err;
}

void th_answer_deinit(th_answer *answer)
{
    th_json_free(answer->document);
    th_buf_deinit(&answer->why);
}

th_err th_client_ask(const th_question *question, th_answer *out)
{
    client self = {.world = question->world, .lock = PTHREAD_MUTEX_INITIALIZER};
    th_err err = th_world_parker_new(self.world, &self.parker);

    *out = (th_answer){.at = SIZE_MAX};
    if (err == TH_OK) {
        err = th_sockets_new(&self.sockets, self.world);
    }
    if (err == TH_OK) {
        err = talk(&self, question, out);
    }
    th_sockets_free(self.sockets);
    th_socket_unref(self.socket);
    if (self.parker != NULL) {
        th_world_parker_free(self.world, self.parker);
    }
    th_buf_deinit(&self.came);
    return err;
}
