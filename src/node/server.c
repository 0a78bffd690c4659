#include "node/server.h"

#include "base/mem.h"
#include "core/id.h"
#include "codec/json_doc.h"
#include "node/control.h"
#include "node/courier.h"
#include "node/home.h"
#include "node/post.h"
#include "world/socket.h"

struct th_server {
    th_kernel *kernel;
    th_buf path; /* of the socket, once it is there */
    th_sockets *sockets;
    th_couriers *couriers;
};

/* Thread: io. */
typedef struct connection {
    th_server *server;
    th_socket *socket;
    th_control *control;
    th_courier *courier; /* NULL until it is needed */
} connection;

/* --- ps --------------------------------------------------------------------------- */

/* Bytes of a listing; a socket takes twice as many. What is left out is said. */
#define LISTING_BYTES_MAX (TH_SOCKET_WRITE_BYTES_MAX / 2)

typedef struct listing {
    th_kernel *kernel;
    th_buf *out;
    int64_t now_ns;
    const char *before;
    bool has_more;
} listing;

static void put_made(th_buf *out, const char *key, const listing *list,
                     const th_ident *who,
                     void (*make)(const th_kernel *, const th_ident *, th_buf *))
{
    th_auto_buf text = TH_BUF_INIT;

    make(list->kernel, who, &text);
    th_json_put_pair(out, key, th_buf_slice(&text));
}

static bool put_process(void *context, const th_process_info *info)
{
    listing *list = context;
    th_buf *out = list->out;
    int64_t up_ms = (list->now_ns - info->started.ns) / TH_MS;

    if (out->bytes > LISTING_BYTES_MAX) {
        list->has_more = true;
        return false;
    }
    th_buf_putf(out, "%s{", list->before);
    list->before = ",";
    put_made(out, "pid", list, &info->ident, th_kernel_pid_text);
    put_made(out, "address", list, &info->ident, th_kernel_address_text);
    th_json_put_pair(out, "entry", info->ident.entry->id);
    th_json_put_pair(out, "host", info->ident.host->id);
    th_json_put_pair(out, "guest", th_slice_str(info->ident.entry->guest->name));
    th_json_put_pair(out, "state", th_slice_str(info->state));
    th_json_put_pair_u64(out, "mailbox_count", info->mailbox_count);
    th_json_put_pair_u64(out, "mailbox_bytes", info->mailbox_bytes);
    th_json_put_pair_u64(out, "memory_bytes", info->memory_bytes);
    th_json_put_pair_u64(out, "slices", info->slices);
    th_json_put_pair_u64(out, "uptime_ms", up_ms < 0 ? 0 : (uint64_t)up_ms);
    th_buf_putc(out, '}');
    return true;
}

static void do_ps(connection *from, const th_control_request *request, th_buf *out)
{
    th_kernel *kernel = from->server->kernel;
    listing list = {.kernel = kernel,
                    .out = out,
                    .now_ns = th_world_wall(th_kernel_world(kernel)).ns,
                    .before = ""};

    th_control_put_ok(out, request->id);
    th_buf_putc(out, '{');
    th_json_put_pair(out, "node", th_slice_str(th_kernel_node(kernel)));
    th_json_put_key(out, "processes");
    th_buf_putc(out, '[');
    th_kernel_each(kernel, put_process, &list);
    th_buf_puts(out, list.has_more ? "],\"more\":true}" : "]}");
    th_control_put_end(out);
}

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
                                  : "there is no process `%.*s`",
                TH_FMT(request->to));
    th_control_put_error(out, request->id, err, th_buf_text(&text));
    return false;
}

static void do_kill(connection *from, const th_control_request *request, th_buf *out)
{
    th_pid pid;

    if (!resolve(from, request, &pid, out)) {
        return;
    }
    if (th_kernel_kill(from->server->kernel, pid,
                       TH_SLICE("terminated by its owner")) != TH_OK) {
        th_control_put_error(out, request->id, TH_NOT_FOUND, "the process has ended");
        return;
    }
    th_control_put_ok(out, request->id);
    th_buf_puts(out, "{}");
    th_control_put_end(out);
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

static void ask(void *context, const th_control_request *request, th_buf *out)
{
    connection *from = context;

    switch (request->verb) {
    case TH_VERB_PS:
        do_ps(from, request, out);
        break;
    case TH_VERB_KILL:
        do_kill(from, request, out);
        break;
    case TH_VERB_SEND:
    case TH_VERB_CALL:
        do_post(from, request, out);
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
    th_control_free(from->control);
    th_free(from);
}

static bool somebody(void *context, th_socket *socket, const th_socket_events **events,
                     void **socket_context)
{
    static const th_socket_events all = {did_read, did_close};
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

th_err th_server_new(th_server **out, th_kernel *kernel, const th_host *host,
                     const char *folder, th_buf *why)
{
    th_auto(th_server) server = th_calloc(1, sizeof *server);
    th_err err;

    if (server == NULL) {
        return TH_NOMEM;
    }
    server->kernel = kernel;
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
