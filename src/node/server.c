#include "node/server.h"

#include "base/mem.h"
#include "core/id.h"
#include "codec/json_doc.h"
#include "node/control.h"
#include "node/courier.h"
#include "node/home.h"
#include "node/kill.h"
#include "node/listen.h"
#include "node/post.h"
#include "node/right_verb.h"
#include "node/show.h"
#include "node/state_verb.h"
#include "world/socket.h"

struct th_server {
    th_kernel *kernel;
    th_buf path; /* of the socket, once it is there */
    th_sockets *sockets;
    th_couriers *couriers;
    th_attaches *attaches; /* the node's */
    th_lives *lives;       /* likewise */
};

/* Thread: io. */
typedef struct connection {
    th_server *server;
    th_socket *socket;
    th_control *control;
    th_courier *courier; /* NULL until it is needed */
    th_attach *attach;   /* NULL until it attaches */
    th_listen *listen;   /* NULL until it traces */
} connection;

/* --- kill, send, call --------------------------------------------------------------- */

/* Who is meant. False: the answer says why not. */
static bool resolve(connection *from, const th_control_request *request, th_pid *pid,
                    th_buf *out)
{
    th_auto_buf text = TH_BUF_INIT;
    th_id_error error;
    th_err err = th_kernel_resolve(from->server->kernel, request->to, pid, &error);

    if (err == TH_OK) {
        return true;
    }
    if (err == TH_INVALID) {
        th_control_put_error_at(out, request->id, err, error.what, error.at);
        return false;
    }
    th_buf_putf(&text,
                err == TH_OFFLINE ? "the node of `%.*s` cannot be reached"
                : err == TH_DIED  ? "`%.*s` does not run just now: it is to come again"
                                  : "there is no process `%.*s`",
                TH_FMT(request->to));
    th_control_put_error(out, request->id, err, th_buf_text(&text));
    return false;
}

static void do_kill(connection *from, const th_control_request *request, th_buf *out)
{
    th_kernel *kernel = from->server->kernel;
    th_pid pid = TH_PID_NONE;
    th_id_error error;

    if (th_kernel_resolve(kernel, request->to, &pid, &error) == TH_DIED ||
        resolve(from, request, &pid, out)) { /* DIED: it is to come again */
        th_kill_run(kernel, from->server->lives, from->socket, request, pid, out);
    }
}

static void do_post(connection *from, const th_control_request *request, th_buf *out)
{
    th_auto_buf why = TH_BUF_INIT;
    th_pid pid;
    th_err err = TH_OK;

    if (!resolve(from, request, &pid, out)) {
        return;
    }
    if (from->courier == NULL) {
        err = th_courier_start(from->server->couriers, &from->courier, &why);
    }
    if (err == TH_OK) {
        err = th_post_run(from->courier, from->socket, request, pid, &why);
    }
    if (err != TH_OK) {
        th_control_put_error(out, request->id, err,
                             why.bytes > 0 ? why.at : th_reason_of(err)->text);
    }
}

static void take_attach_line(void *context, th_slice line, th_buf *out)
{
    connection *from = context;

    if (th_attach_take(from->attach, line) != TH_OK) {
        out->failed = true;
    }
}

static void do_attach(connection *from, const th_control_request *request, th_buf *out)
{
    th_auto_buf why = TH_BUF_INIT;
    th_attach_spec spec = {.id = request->id,
                           .name = request->name,
                           .pulls = request->pulls,
                           .is_public = request->is_public,
                           .grants = request->grants,
                           .granted_to = request->granted_to,
                           .socket = from->socket};
    th_err err = th_attach_start(from->server->attaches, &spec, &from->attach, &why);

    if (err == TH_OK) {
        th_control_hand_over(from->control, take_attach_line);
    } else {
        th_control_put_error(out, request->id, err,
                             why.bytes > 0 ? why.at : th_reason_of(err)->text);
    }
}

/* The newest one of a connection holds. The answer stands before the first line. */
static void do_trace(connection *from, const th_control_request *request, th_pid pid,
                     th_buf *out)
{
    th_auto_buf ok = TH_BUF_INIT;
    th_err err;

    from->listen = th_listen_free(from->listen);
    err = th_listen_new(&from->listen, from->server->kernel, from->socket, request->id,
                        pid);
    if (err != TH_OK) {
        th_control_put_error(out, request->id, err,
                             err == TH_QUOTA ? "as many listen as can; end another one"
                                             : "the process has ended");
        return;
    }
    th_control_put_ok(&ok, request->id);
    th_buf_puts(&ok, "{}");
    th_control_put_end(&ok);
    if (ok.failed || th_socket_write(from->socket, th_buf_slice(&ok)) != TH_OK) {
        out->failed = true;
        return;
    }
    th_listen_begin(from->listen);
}

/* The verbs that look, and those of rights. */
static void do_show(connection *from, const th_control_request *request, th_buf *out)
{
    th_kernel *kernel = from->server->kernel;
    th_pid pid = TH_PID_NONE;

    if (request->to.bytes > 0 && !resolve(from, request, &pid, out)) {
        return;
    }
    switch (request->verb) {
    case TH_VERB_INFO:
        th_show_info(kernel, from->server->lives, request, pid, out);
        break;
    case TH_VERB_CAPS:
        th_show_caps(kernel, request, pid, out);
        break;
    case TH_VERB_GRANT:
        th_right_grant(kernel, from->server->lives, from->socket, request, pid, out);
        break;
    case TH_VERB_REVOKE:
        th_right_revoke(kernel, from->server->lives, from->socket, request, pid, out);
        break;
    default:
        do_trace(from, request, pid, out);
    }
}

static void do_state(connection *from, const th_control_request *request, th_buf *out)
{
    th_err err = th_state_show(from->server->kernel, from->socket, request);

    if (err != TH_OK) {
        th_control_put_error(out, request->id, err,
                             err == TH_NOT_FOUND ? "there is no such process"
                                                 : th_reason_of(err)->text);
    }
}

static void ask(void *context, const th_control_request *request, th_buf *out)
{
    connection *from = context;

    switch (request->verb) {
    case TH_VERB_PS:
        th_show_ps(from->server->kernel, from->server->lives, request, out);
        break;
    case TH_VERB_STATE:
        do_state(from, request, out);
        break;
    case TH_VERB_INFO:
    case TH_VERB_CAPS:
    case TH_VERB_GRANT:
    case TH_VERB_REVOKE:
    case TH_VERB_TRACE:
        do_show(from, request, out);
        break;
    case TH_VERB_KILL:
        do_kill(from, request, out);
        break;
    case TH_VERB_SEND:
    case TH_VERB_CALL:
        do_post(from, request, out);
        break;
    case TH_VERB_ATTACH:
        do_attach(from, request, out);
        break;
    }
}

/* --- Connections ---------------------------------------------------------------------- */

static void did_read(void *context, th_slice bytes)
{
    connection *from = context;
    th_auto_buf out = TH_BUF_INIT;
    th_err err = th_control_feed(from->control, bytes, &out);

    if (out.bytes > 0 && th_socket_write(from->socket, th_buf_slice(&out)) != TH_OK) {
        err = TH_QUOTA; /* it asks faster than it reads */
    }
    if (err != TH_OK || out.failed) {
        th_socket_close(from->socket);
    }
}

static void did_close(void *context)
{
    connection *from = context;

    if (from->courier != NULL) {
        th_courier_end(from->courier);
    }
    if (from->attach != NULL) {
        th_attach_close(from->attach);
    }
    th_listen_free(from->listen);
    th_control_free(from->control);
    th_free(from);
}

static void did_write(void *context)
{
    connection *from = context;

    if (from->attach != NULL) {
        th_attach_written(from->attach);
    }
}

static bool somebody(void *context, th_socket *socket, const th_socket_events **events,
                     void **socket_context)
{
    static const th_socket_events all = {did_read, did_close, did_write};
    connection *from = th_calloc(1, sizeof *from);
    th_auto_buf hello = TH_BUF_INIT;

    if (from == NULL || th_control_new(&from->control, ask, from) != TH_OK) {
        th_free(from);
        return false;
    }
    from->server = context;
    from->socket = socket;
    *events = &all;
    *socket_context = from;
    th_control_hello(&hello);
    (void)th_socket_write(socket, th_buf_slice(&hello));
    return true;
}

/* --- The whole ------------------------------------------------------------------------- */

static th_err start(th_server *server, const th_host *host, const char *folder)
{
    th_auto_buf path = TH_BUF_INIT;
    th_err err = th_couriers_new(&server->couriers, server->kernel, host);

    if (err == TH_OK) {
        err = th_sockets_new(&server->sockets, th_kernel_world(server->kernel));
    }
    th_home_file(folder, TH_HOME_SOCKET, &path);
    if (err == TH_OK) {
        err = path.failed
                  ? TH_NOMEM
                  : th_sockets_listen(server->sockets, path.at, somebody, server);
    }
    if (err == TH_OK) {
        server->path = path;
        path = TH_BUF_INIT;
    }
    return err;
}

th_err th_server_new(th_server **out, th_kernel *kernel, th_attaches *attaches,
                     th_lives *lives, const th_host *host, const char *folder,
                     th_buf *why)
{
    th_auto(th_server) server = th_calloc(1, sizeof *server);
    th_err err;

    if (server == NULL) {
        return TH_NOMEM;
    }
    server->kernel = kernel;
    server->attaches = attaches;
    server->lives = lives;
    err = start(server, host, folder);
    if (err != TH_OK) {
        th_buf_putf(why, "the node cannot listen on `%s/" TH_HOME_SOCKET "`: %s",
                    folder, th_reason_of(err)->text);
        th_server_stop(server);
        return err;
    }
    *out = th_take(&server);
    return TH_OK;
}

void th_server_stop(th_server *server)
{
    if (server == NULL) {
        return;
    }
    server->sockets = th_sockets_free(server->sockets);
    if (server->path.bytes > 0) {
        (void)th_world_file_remove(th_kernel_world(server->kernel), server->path.at);
        th_buf_deinit(&server->path);
        server->path = TH_BUF_INIT;
    }
}

th_server *th_server_free(th_server *server)
{
    if (server == NULL) {
        return NULL;
    }
    th_assert(server->sockets == NULL);
    th_couriers_free(server->couriers);
    return th_free(server);
}
