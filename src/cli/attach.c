#include "cli/attach.h"

#include "base/mem.h"
#include "cli/ask.h"
#include "cli/client.h"
#include "cli/say.h"
#include "node/home.h"
#include "world/socket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/*
 * Three threads: io writes what comes to standard output, a reader takes what standard
 * input has, and main waits for the end. Nobody can wake the reader out of its read, so
 * it is left there when the process ends first.
 */
#define READ_BYTES ((size_t)65536)
#define LINE_BYTES_MAX ((size_t)65536) /* of a line that we look into */
#define WAITING_BYTES_MAX ((size_t)1 << 20)

typedef enum stage {
    STAGE_HELLO,  /* the node's first line is to come */
    STAGE_ANSWER, /* that of the attach is */
    STAGE_LINES,  /* the process's are */
    STAGE_CLOSED,
} stage;

typedef struct attached {
    th_world *world;
    const th_words *words;
    th_buf rights; /* of the line that asks for it */
    th_sockets *sockets;
    th_socket *socket; /* Thread: main, reader */
    th_parker *main, *reader;
    _Atomic int stage;
    _Atomic bool is_read; /* the reader is done */

    /* Thread: io; main, once it is closed. */
    th_buf line;       /* the beginning of the last one */
    bool is_unwritten; /* standard output failed */
    th_err err;        /* of what came before the lines */
    th_buf why;
} attached;

/* --- What comes (io) ------------------------------------------------------------------ */

static void be(attached *self, stage now)
{
    if (atomic_load(&self->stage) < (int)now) {
        atomic_store(&self->stage, now);
        th_world_unpark(self->world, self->main);
    }
}

static void fail(attached *self, th_err err)
{
    self->err = err;
    be(self, STAGE_CLOSED);
}

static void show(attached *self, th_slice text)
{
    if (th_say_out(text) != 0) {
        self->is_unwritten = true;
        be(self, STAGE_CLOSED);
    }
}

/* The answer of the attach is the first line that is shown. */
static void take_answer(attached *self, th_slice line)
{
    th_auto(th_json) answer = NULL;
    th_json_error error;

    if (th_json_decode(&answer, line, &error) != TH_OK) {
        th_buf_puts(&self->why, "what answers is not a node");
        fail(self, TH_INVALID);
    } else if (th_json_get(answer, "ok") == NULL) {
        fail(self, th_client_read_error(th_json_get(answer, "error"), &self->why));
    } else {
        show(self, line);
        show(self, TH_SLICE("\n"));
        be(self, STAGE_LINES);
    }
}

/* Take @bytes up to the end of a line, and what to do with it. */
static void take_first(attached *self, th_slice *bytes)
{
    size_t end = th_slice_find(*bytes, '\n');
    bool is_whole = end < bytes->bytes;
    stage now = (stage)atomic_load(&self->stage);
    th_err err;

    th_buf_put(&self->line, bytes->at, end);
    *bytes = th_slice_from(*bytes, end + is_whole);
    if (self->line.bytes > LINE_BYTES_MAX || self->line.failed) {
        fail(self, TH_QUOTA);
        return;
    }
    if (!is_whole) {
        return;
    }
    if (now == STAGE_HELLO) {
        err = th_client_check_hello(th_buf_slice(&self->line), &self->why);
        be(self, STAGE_ANSWER);
        if (err != TH_OK) {
            fail(self, err);
        }
    } else {
        take_answer(self, th_buf_slice(&self->line));
    }
    th_buf_clear(&self->line);
}

/* Keep how the last line begins: it says how the process ended. */
static void keep_last(attached *self, th_slice bytes)
{
    if (bytes.bytes > 0 && self->line.bytes > 0 &&
        self->line.at[self->line.bytes - 1] == '\n') {
        th_buf_clear(&self->line);
    }
    for (size_t end = th_slice_find(bytes, '\n'); end + 1 < bytes.bytes;
         end = th_slice_find(bytes, '\n')) {
        bytes = th_slice_from(bytes, end + 1);
        th_buf_clear(&self->line);
    }
    if (bytes.bytes <= LINE_BYTES_MAX - self->line.bytes) {
        th_buf_put(&self->line, bytes.at, bytes.bytes);
    }
}

static void did_read(void *context, th_slice bytes)
{
    attached *self = context;

    while (bytes.bytes > 0 && atomic_load(&self->stage) < STAGE_LINES) {
        take_first(self, &bytes);
    }
    if (bytes.bytes > 0 && atomic_load(&self->stage) == STAGE_LINES) {
        keep_last(self, bytes);
        show(self, bytes);
    }
}

static void did_close(void *context)
{
    attached *self = context;

    be(self, STAGE_CLOSED);
    th_world_unpark(self->world, self->reader);
}

static void did_write(void *context)
{
    attached *self = context;

    th_world_unpark(self->world, self->reader);
}

/* --- What is said (the reader) ------------------------------------------------------- */

/* Send it, at the pace of the node. False: the node does not want it any more. */
static bool send(attached *self, th_slice bytes)
{
    while (th_socket_waiting(self->socket) > WAITING_BYTES_MAX) {
        th_world_park(self->world, self->reader, (th_mono){0});
    }
    return th_socket_write(self->socket, bytes) == TH_OK;
}

/* The end of the input is an `exit`, so that all that was said before is done. */
static void read_all(void *context)
{
    attached *self = context;
    char bytes[READ_BYTES];
    char last = '\n';
    ssize_t n;

    do {
        n = read(STDIN_FILENO, bytes, sizeof bytes);
        if (n > 0) {
            last = bytes[n - 1];
        }
    } while ((n > 0 && send(self, th_slice_of(bytes, (size_t)n))) ||
             (n < 0 && errno == EINTR));
    if (n <= 0) {
        (void)send(self, last == '\n' ? TH_SLICE("{\"verb\":\"exit\"}\n")
                                      : TH_SLICE("\n{\"verb\":\"exit\"}\n"));
    }
    atomic_store(&self->is_read, true);
}

/* --- The whole ------------------------------------------------------------------------- */

static void wait_beyond(attached *self, stage past)
{
    while (atomic_load(&self->stage) <= (int)past) {
        th_world_park(self->world, self->main, (th_mono){0});
    }
}

/* The exit code. */
static int say_end(const attached *self)
{
    th_auto(th_json) line = NULL;
    const th_json *ended;
    th_slice reason, error = TH_SLICE("");
    th_auto_buf name = TH_BUF_INIT;
    const th_reason *row;
    th_json_error wrong;

    if (self->err != TH_OK) {
        return th_say_error(self->err, th_buf_slice(&self->why));
    }
    if (self->is_unwritten) {
        return 1;
    }
    if (th_json_decode(&line, th_buf_slice(&self->line), &wrong) != TH_OK ||
        !th_json_is_object(ended = th_json_get(line, "ended"))) {
        return th_say_error(TH_OFFLINE, TH_SLICE("the node went away"));
    }
    if (!th_json_text(th_json_get(ended, "reason"), &reason)) {
        return 0;
    }
    th_buf_put(&name, reason.at, reason.bytes);
    row = th_reason_find(th_buf_text(&name));
    (void)th_json_text(th_json_get(ended, "error"), &error);
    return th_say_errorf(row == NULL || row->err == TH_OK ? TH_FAILED : row->err,
                         "the process ended: %.*s", TH_FMT(error));
}

/* Append PROCESS or PROCESS=PARAMS. */
static th_err put_grant(th_buf *out, const char *word, th_buf *why)
{
    th_slice text = th_slice_str(word);
    size_t at = th_slice_find(text, '=');
    th_auto(th_json) params = NULL;
    th_json_error error;

    th_buf_putc(out, '{');
    th_json_put_pair(out, "issuer", th_slice_of(text.at, at));
    if (at < text.bytes) {
        text = th_slice_from(text, at + 1);
        if (th_json_decode(&params, text, &error) != TH_OK) {
            th_buf_putf(why,
                        "`%s` is no JSON: %s; a text stands in quotes, as in --grant "
                        "'PROCESS=\"messaging\"'",
                        text.at, error.what);
            return TH_INVALID;
        }
        th_json_put_pair(out, "params", text);
    }
    th_buf_putc(out, '}');
    return TH_OK;
}

static th_err put_rights(th_buf *out, const th_words *words, th_buf *why)
{
    th_err err = TH_OK;

    if (words->is_public) {
        th_buf_puts(out, ",\"public\":true");
    }
    th_buf_puts(out, ",\"grants\":[");
    for (unsigned i = 0; i < words->grants_count && err == TH_OK; i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        err = put_grant(out, words->grants[i], why);
    }
    th_buf_puts(out, "],\"grant_to\":[");
    for (unsigned i = 0; i < words->granted_to_count; i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        th_json_put_text(out, th_slice_str(words->granted_to[i]));
    }
    th_buf_putc(out, ']');
    return err;
}

/* Ask to be a process; the node answers after its hello. */
static th_err ask(attached *self)
{
    th_auto_buf line = TH_BUF_INIT;

    th_buf_puts(&line, "{\"id\":\"attach\",\"verb\":\"attach\"");
    if (self->words->name != NULL) {
        th_json_put_pair(&line, "name", th_slice_str(self->words->name));
    }
    th_buf_put(&line, self->rights.at, self->rights.bytes);
    th_buf_puts(&line, self->words->pull ? ",\"pull\":true}\n" : "}\n");
    return line.failed ? TH_NOMEM : th_socket_write(self->socket, th_buf_slice(&line));
}

/* Until it is over. False: the reader still reads. */
static bool talk(attached *self)
{
    th_thread *reader = NULL;

    if (ask(self) == TH_OK) {
        wait_beyond(self, STAGE_ANSWER);
    }
    if (atomic_load(&self->stage) == STAGE_LINES &&
        th_world_thread_start(self->world, &reader, "thole-stdin", read_all, self) ==
            TH_OK) {
        wait_beyond(self, STAGE_LINES);
    }
    self->sockets = th_sockets_free(self->sockets);
    if (reader == NULL) {
        return true;
    }
    if (!atomic_load(&self->is_read)) {
        return false;
    }
    th_world_thread_join(self->world, reader);
    return true;
}

static th_err open_all(attached *self, const char *home)
{
    static const th_socket_events events = {did_read, did_close, did_write};
    th_auto_buf path = TH_BUF_INIT;
    th_err err = th_world_parker_new(self->world, &self->main);

    if (err == TH_OK) {
        err = th_world_parker_new(self->world, &self->reader);
    }
    if (err == TH_OK) {
        err = th_sockets_new(&self->sockets, self->world);
    }
    th_home_file(home, TH_HOME_SOCKET, &path);
    if (err == TH_OK) {
        err = path.failed ? TH_NOMEM
                          : th_sockets_connect(self->sockets, path.at, &events, self,
                                               &self->socket);
    }
    return err;
}

static void free_all(attached *self)
{
    th_sockets_free(self->sockets);
    th_socket_unref(self->socket);
    if (self->main != NULL) {
        th_world_parker_free(self->world, self->main);
    }
    if (self->reader != NULL) {
        th_world_parker_free(self->world, self->reader);
    }
    th_buf_deinit(&self->line);
    th_buf_deinit(&self->rights);
    th_buf_deinit(&self->why);
    th_free(self);
}

static int say_unreachable(const th_words *words, const char *home, th_err err)
{
    th_auto_buf why = TH_BUF_INIT;

    if (err == TH_OFFLINE) {
        return th_ask_say_offline(words, home);
    }
    th_client_put_unreachable(home, err, &why);
    return th_say_error(err, th_buf_slice(&why));
}

int th_attach_node(th_world *world, const th_words *words, const char *home)
{
    attached *self = th_calloc(1, sizeof *self);
    bool is_done = true;
    th_err err;
    int code;

    if (self == NULL) {
        return th_say_error(TH_NOMEM, TH_SLICE(""));
    }
    self->world = world;
    self->words = words;
    if (put_rights(&self->rights, words, &self->why) != TH_OK) {
        code = th_say_error(TH_INVALID, th_buf_slice(&self->why));
        free_all(self);
        return code;
    }
    err = open_all(self, home);
    if (err == TH_OK) {
        is_done = talk(self);
        code = say_end(self);
    } else {
        code = say_unreachable(words, home, err);
    }
    if (is_done) { /* else the reader has it to the program's end */
        free_all(self);
    }
    return code;
}
