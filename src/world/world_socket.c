#include "world/socket.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

/*
 * Sockets on libuv.
 *
 * The loop and all that it knows are the io thread's. Another thread that wants
 * something of a socket puts it into `wanted` and wakes the loop; one that wants a
 * new socket leaves an order and waits for it. What is to be written gathers in
 * `fresh`; while one write is under way there is no other, so that what gathered
 * meanwhile is one system call.
 *
 * One lock serves all: it is held for a copy of bytes at most, and a socket that
 * outlives its th_sockets can still take it.
 */
#define READ_BYTES ((size_t)65536)
#define BACKLOG 64
#define HELD_LOOK_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Something that the io thread shall do while its maker waits. */
typedef struct io_order {
    th_list link;
    th_err (*run)(th_sockets *sockets, struct io_order *order);
    int fd; /* taken over */
    th_socket_accept *accept;
    const th_socket_events *events;
    void *context;
    th_socket *socket; /* the outcome */
    th_err err;
    bool is_done;
} io_order;

struct th_sockets {
    th_world *world;
    th_thread *thread;

    /* Thread: any, under the lock. */
    th_list wanted;      /* th_socket.wanted */
    th_list orders;      /* io_order.link */
    pthread_cond_t done; /* an order is */
    bool stopping;

    /* Thread: io. */
    uv_loop_t loop;
    uv_async_t wake;
    uv_pipe_t listener;
    bool is_listening;
    bool is_stopping;
    th_list all; /* th_socket.link */
    unsigned count;
    th_socket_accept *accept;
    void *accept_context;
    th_log_limit turned_away;
    char read_into[READ_BYTES];
};

struct th_socket {
    _Atomic uint32_t refs; /* one is the loop's */

    /* Thread: any, under the lock. */
    th_sockets *in; /* NULL once it is gone */
    th_list wanted;
    th_buf fresh;   /* to be written next */
    size_t waiting; /* bytes of fresh and under_way */
    bool close_wanted;
    bool hold_wanted;

    /* Thread: io. */
    th_sockets *home;
    th_list link;
    uv_pipe_t pipe;
    uv_timer_t timer; /* while it closes, or is held */
    unsigned handles; /* of the two, those that the loop still has */
    uv_write_t write;
    th_buf under_way;
    bool is_writing;
    bool is_held;     /* nothing is read */
    bool is_flushing; /* it closes when all is written, or time is over */
    bool is_closing;
    const th_socket_events *events; /* NULL: nobody wanted it */
    void *context;
};

/* --- One socket, on the io thread --------------------------------------------------- */

static void handle_closed(uv_handle_t *handle)
{
    th_socket *socket = handle->data;

    if (--socket->handles > 0) {
        return;
    }
    th_list_remove(&socket->link);
    socket->home->count--;
    if (socket->events != NULL) {
        socket->events->closed(socket->context);
    }
    th_socket_unref(socket);
}

/* Close the handles; `closed` follows. */
static void shut(th_socket *socket)
{
    if (socket->is_closing) {
        return;
    }
    socket->is_closing = true;
    pthread_mutex_lock(&lock);
    socket->in = NULL;
    th_list_remove(&socket->wanted);
    pthread_mutex_unlock(&lock);
    uv_close((uv_handle_t *)&socket->pipe, handle_closed);
    uv_close((uv_handle_t *)&socket->timer, handle_closed);
}

static void write_next(th_socket *socket);

static void written(uv_write_t *write, int status)
{
    th_socket *socket = write->data;

    pthread_mutex_lock(&lock);
    socket->waiting -= socket->under_way.bytes;
    pthread_mutex_unlock(&lock);
    socket->is_writing = false;
    th_buf_clear(&socket->under_way);
    if (status != 0) {
        shut(socket);
    } else if (!socket->is_closing) {
        write_next(socket);
        if (socket->events->written != NULL) {
            socket->events->written(socket->context);
        }
    }
}

/* Take what gathered. True: and when that is written, it closes. */
static bool gather(th_socket *socket)
{
    th_buf empty = socket->under_way;
    bool close_wanted;

    pthread_mutex_lock(&lock);
    socket->under_way = socket->fresh;
    socket->fresh = empty;
    close_wanted = socket->close_wanted;
    pthread_mutex_unlock(&lock);
    return close_wanted;
}

static void write_next(th_socket *socket)
{
    bool close_wanted;
    uv_buf_t bytes;

    if (socket->is_writing) {
        return;
    }
    close_wanted = gather(socket);
    if (socket->under_way.bytes == 0) {
        if (close_wanted) {
            shut(socket);
        }
        return;
    }
    bytes = uv_buf_init(socket->under_way.at, (unsigned)socket->under_way.bytes);
    socket->write.data = socket;
    socket->is_writing = true;
    if (uv_write(&socket->write, (uv_stream_t *)&socket->pipe, &bytes, 1, written) !=
        0) {
        written(&socket->write, UV_EIO);
    }
}

static void flush_late(uv_timer_t *timer)
{
    shut(timer->data);
}

static void lend(uv_handle_t *handle, size_t wish, uv_buf_t *out)
{
    th_socket *socket = handle->data;

    (void)wish;
    *out = uv_buf_init(socket->home->read_into, sizeof socket->home->read_into);
}

static void did_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    th_socket *socket = stream->data;

    if (n < 0) {
        shut(socket);
    } else if (n > 0) {
        socket->events->read(socket->context, th_slice_of(bytes->base, (size_t)n));
    }
}

/* It is not read, so nobody would tell us that the other side is gone. */
static void look_after(uv_timer_t *timer)
{
    th_socket *socket = timer->data;
    struct pollfd pipe = {.events = POLLRDHUP};

    if (uv_fileno((const uv_handle_t *)&socket->pipe, &pipe.fd) != 0 ||
        (poll(&pipe, 1, 0) > 0 && (pipe.revents & (POLLRDHUP | POLLHUP)) != 0)) {
        shut(socket);
    }
}

static void set_held(th_socket *socket, bool is_held)
{
    if (is_held == socket->is_held) {
        return;
    }
    socket->is_held = is_held;
    if (is_held) {
        uv_read_stop((uv_stream_t *)&socket->pipe);
        uv_timer_start(&socket->timer, look_after, HELD_LOOK_MS, HELD_LOOK_MS);
        return;
    }
    uv_timer_stop(&socket->timer);
    if (uv_read_start((uv_stream_t *)&socket->pipe, lend, did_read) != 0) {
        shut(socket);
    }
}

/* Another thread wants something of it, or we do. */
static void serve(th_socket *socket)
{
    bool close_wanted, hold_wanted;

    if (socket->is_closing) {
        return;
    }
    pthread_mutex_lock(&lock);
    close_wanted = socket->close_wanted;
    hold_wanted = socket->hold_wanted || close_wanted;
    pthread_mutex_unlock(&lock);
    set_held(socket, hold_wanted);
    if (close_wanted && !socket->is_flushing) {
        socket->is_flushing = true;
        uv_timer_start(&socket->timer, flush_late, TH_SOCKET_FLUSH_MS, 0);
    }
    if (!socket->is_closing) {
        write_next(socket);
    }
}

/* With its handles; nothing is read yet. NULL: memory ran out. */
static th_socket *make_socket(th_sockets *in)
{
    th_socket *socket = th_calloc(1, sizeof *socket);

    if (socket == NULL) {
        return NULL;
    }
    atomic_init(&socket->refs, 1);
    socket->in = socket->home = in;
    th_list_init(&socket->wanted);
    uv_pipe_init(&in->loop, &socket->pipe, 0);
    uv_timer_init(&in->loop, &socket->timer);
    socket->pipe.data = socket;
    socket->timer.data = socket;
    socket->handles = 2;
    th_list_push(&in->all, &socket->link);
    in->count++;
    return socket;
}

/* --- Any thread --------------------------------------------------------------------- */

th_socket *th_socket_ref(th_socket *socket)
{
    atomic_fetch_add(&socket->refs, 1);
    return socket;
}

th_socket *th_socket_unref(th_socket *socket)
{
    if (socket != NULL && atomic_fetch_sub(&socket->refs, 1) == 1) {
        th_buf_deinit(&socket->fresh);
        th_buf_deinit(&socket->under_way);
        th_free(socket);
    }
    return NULL;
}

/* Under the lock: have the io thread look at it. */
static void want(th_socket *socket)
{
    if (th_list_is_empty(&socket->wanted)) {
        th_list_push(&socket->in->wanted, &socket->wanted);
    }
    uv_async_send(&socket->in->wake);
}

/* Under the lock. */
static th_err append(th_socket *socket, th_slice bytes, size_t bytes_max)
{
    size_t before = socket->fresh.bytes;

    if (socket->in == NULL || socket->close_wanted) {
        return TH_CANCELED;
    }
    if (socket->waiting > bytes_max || bytes.bytes > bytes_max - socket->waiting) {
        return TH_QUOTA;
    }
    th_buf_put(&socket->fresh, bytes.at, bytes.bytes);
    if (socket->fresh.failed) {
        socket->fresh.bytes = before;
        socket->fresh.failed = false;
        return TH_QUOTA;
    }
    socket->waiting += bytes.bytes;
    want(socket);
    return TH_OK;
}

th_err th_socket_write(th_socket *socket, th_slice bytes)
{
    th_err err;

    pthread_mutex_lock(&lock);
    err = append(socket, bytes, TH_SOCKET_WRITE_BYTES_MAX);
    pthread_mutex_unlock(&lock);
    return err;
}

th_err th_socket_write_large(th_socket *socket, th_slice bytes)
{
    th_err err;

    pthread_mutex_lock(&lock);
    err = append(socket, bytes,
                 socket->waiting == 0 ? SIZE_MAX : TH_SOCKET_WRITE_BYTES_MAX);
    pthread_mutex_unlock(&lock);
    return err;
}

size_t th_socket_waiting(th_socket *socket)
{
    size_t waiting;

    pthread_mutex_lock(&lock);
    waiting = socket->in == NULL ? 0 : socket->waiting;
    pthread_mutex_unlock(&lock);
    return waiting;
}

void th_socket_hold(th_socket *socket, bool holds)
{
    pthread_mutex_lock(&lock);
    if (socket->in != NULL && socket->hold_wanted != holds) {
        socket->hold_wanted = holds;
        want(socket);
    }
    pthread_mutex_unlock(&lock);
}

void th_socket_close(th_socket *socket)
{
    pthread_mutex_lock(&lock);
    if (socket->in != NULL && !socket->close_wanted) {
        socket->close_wanted = true;
        want(socket);
    }
    pthread_mutex_unlock(&lock);
}

/* --- Listening ------------------------------------------------------------------------ */

/* Root may, and who runs the node. */
static bool is_owner(const uv_pipe_t *pipe)
{
    struct ucred who;
    socklen_t bytes = sizeof who;
    uv_os_fd_t fd;

    return uv_fileno((const uv_handle_t *)pipe, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static bool may_stay(th_sockets *in, th_socket *socket)
{
    const char *why = NULL;

    if (!is_owner(&socket->pipe)) {
        why = "another user";
    } else if (in->count > TH_SOCKETS_MAX) {
        why = "too many connections";
    } else if (in->is_stopping) {
        return false;
    }
    if (why != NULL) {
        th_log_limited(&in->turned_away, WARN, "socket.turned_away", "why=\"%s\"", why);
    }
    return why == NULL;
}

static void somebody(uv_stream_t *listener, int status)
{
    th_sockets *in = listener->data;
    th_socket *socket = status == 0 ? make_socket(in) : NULL;
    const th_socket_events *events;

    if (socket == NULL) {
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)&socket->pipe) != 0 ||
        !may_stay(in, socket) ||
        !in->accept(in->accept_context, socket, &events, &socket->context)) {
        shut(socket);
        return;
    }
    socket->events = events;
    if (uv_read_start((uv_stream_t *)&socket->pipe, lend, did_read) != 0) {
        shut(socket);
    }
}

static th_err do_listen(th_sockets *sockets, io_order *order)
{
    uv_pipe_init(&sockets->loop, &sockets->listener, 0);
    sockets->listener.data = sockets;
    sockets->is_listening = true;
    sockets->accept = order->accept;
    sockets->accept_context = order->context;
    if (uv_pipe_open(&sockets->listener, order->fd) != 0) {
        close(order->fd);
        return th_fault(TH_IO, "open a listening socket");
    }
    if (uv_listen((uv_stream_t *)&sockets->listener, BACKLOG, somebody) != 0) {
        return th_fault(TH_IO, "listen on a socket");
    }
    return TH_OK;
}

static th_err do_adopt(th_sockets *sockets, io_order *order)
{
    th_socket *socket = make_socket(sockets);

    if (socket == NULL) {
        close(order->fd);
        return TH_NOMEM;
    }
    if (uv_pipe_open(&socket->pipe, order->fd) != 0) {
        close(order->fd);
        shut(socket);
        return th_fault(TH_IO, "open a socket");
    }
    socket->events = order->events;
    socket->context = order->context;
    uv_read_start((uv_stream_t *)&socket->pipe, lend, did_read);
    order->socket = th_socket_ref(socket);
    return TH_OK;
}

/* Have the io thread do it, and wait. */
static th_err place(th_sockets *sockets, io_order *order)
{
    order->is_done = false;
    pthread_mutex_lock(&lock);
    th_list_push(&sockets->orders, &order->link);
    uv_async_send(&sockets->wake);
    while (!order->is_done) {
        pthread_cond_wait(&sockets->done, &lock);
    }
    pthread_mutex_unlock(&lock);
    return order->err;
}

/* --- Paths ------------------------------------------------------------------------------ */

/*
 * An address has room for 107 bytes of path. A longer one goes by a descriptor of
 * its folder, which *@folder then is and the caller closes.
 */
static th_err address_of(const char *path, struct sockaddr_un *out, int *folder)
{
    const char *slash = strrchr(path, '/');
    size_t bytes = strlen(path);

    *folder = -1;
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (bytes < sizeof out->sun_path) {
        memcpy(out->sun_path, path, bytes);
        return TH_OK;
    }
    if (slash != NULL && strlen(slash) < 64) {
        char *parent = th_strndup(path, slash == path ? 1 : (size_t)(slash - path));

        *folder = parent == NULL ? -1 : open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        th_free(parent);
    }
    if (*folder < 0) {
        return errno == ENOENT ? TH_NOT_FOUND : TH_INVALID;
    }
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d%s", *folder, slash);
    return TH_OK;
}

static th_err refused(const char *what, const char *path)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return TH_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return TH_DENIED;
    default:
        return th_fault(TH_IO, "%s %s: %s", what, path, strerror(errno));
    }
}

/* The mode is set before the name exists, so that it is never wider. */
static th_err bind_at(int fd, const char *path)
{
    struct sockaddr_un at;
    int folder;
    th_err err = address_of(path, &at, &folder);

    if (err != TH_OK) {
        return err;
    }
    if ((unlink(at.sun_path) != 0 && errno != ENOENT) || fchmod(fd, 0600) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        err = refused("bind a socket at", path);
    }
    if (folder >= 0) {
        close(folder);
    }
    return err;
}

static th_err connect_at(int fd, const char *path)
{
    struct sockaddr_un at;
    int folder;
    th_err err = address_of(path, &at, &folder);

    if (err != TH_OK) {
        return err == TH_NOT_FOUND ? TH_OFFLINE : err;
    }
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        err = errno == ECONNREFUSED || errno == ENOENT || errno == ENOTDIR
                  ? TH_OFFLINE
                  : refused("connect to", path);
    }
    if (folder >= 0) {
        close(folder);
    }
    return err;
}

/* --- All of it ---------------------------------------------------------------------------- */

th_err th_sockets_listen(th_sockets *sockets, const char *path,
                         th_socket_accept *accept, void *context)
{
    io_order listen = {.run = do_listen, .accept = accept, .context = context};
    th_err err;

    th_assert(sockets->accept == NULL);
    listen.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listen.fd < 0) {
        return th_fault(TH_IO, "make a socket: %s", strerror(errno));
    }
    err = bind_at(listen.fd, path);
    if (err != TH_OK) {
        close(listen.fd);
        return err;
    }
    return place(sockets, &listen);
}

th_err th_sockets_connect(th_sockets *sockets, const char *path,
                          const th_socket_events *events, void *context,
                          th_socket **out)
{
    io_order adopt = {.run = do_adopt, .events = events, .context = context};
    th_err err;

    adopt.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (adopt.fd < 0) {
        return th_fault(TH_IO, "make a socket: %s", strerror(errno));
    }
    err = connect_at(adopt.fd, path);
    if (err != TH_OK) {
        close(adopt.fd);
        return err;
    }
    err = place(sockets, &adopt);
    if (err == TH_OK) {
        *out = adopt.socket;
    }
    return err;
}

static void fill_orders(th_sockets *sockets)
{
    th_list *node;

    pthread_mutex_lock(&lock);
    while ((node = th_list_pop(&sockets->orders)) != NULL) {
        io_order *next = th_container_of(node, io_order, link);

        pthread_mutex_unlock(&lock);
        next->err = next->run(sockets, next);
        pthread_mutex_lock(&lock);
        next->is_done = true;
        pthread_cond_broadcast(&sockets->done);
    }
    pthread_mutex_unlock(&lock);
}

static th_socket *next_wanted(th_sockets *sockets)
{
    th_list *node;

    pthread_mutex_lock(&lock);
    node = th_list_pop(&sockets->wanted);
    pthread_mutex_unlock(&lock);
    return node == NULL ? NULL : th_container_of(node, th_socket, wanted);
}

static void stop(th_sockets *sockets)
{
    sockets->is_stopping = true;
    if (sockets->is_listening) {
        uv_close((uv_handle_t *)&sockets->listener, NULL);
    }
    uv_close((uv_handle_t *)&sockets->wake, NULL);
    TH_LIST_EACH(node, &sockets->all)
    {
        th_socket *socket = th_container_of(node, th_socket, link);

        th_socket_close(socket);
        serve(socket);
    }
}

static void woken(uv_async_t *wake)
{
    th_sockets *sockets = wake->data;
    th_socket *socket;
    bool stopping;

    fill_orders(sockets);
    while ((socket = next_wanted(sockets)) != NULL) {
        serve(socket);
    }
    pthread_mutex_lock(&lock);
    stopping = sockets->stopping;
    pthread_mutex_unlock(&lock);
    if (stopping && !sockets->is_stopping) {
        stop(sockets);
    }
}

/* Runs until every handle is closed. */
static void run(void *context)
{
    th_sockets *sockets = context;

    uv_run(&sockets->loop, UV_RUN_DEFAULT);
}

th_err th_sockets_new(th_sockets **out, th_world *world)
{
    th_sockets *sockets = th_calloc(1, sizeof *sockets);
    th_err err;

    if (sockets == NULL) {
        return TH_NOMEM;
    }
    sockets->world = world;
    th_list_init(&sockets->wanted);
    th_list_init(&sockets->orders);
    th_list_init(&sockets->all);
    pthread_cond_init(&sockets->done, NULL);
    if (uv_loop_init(&sockets->loop) != 0) {
        th_free(sockets);
        return th_fault(TH_IO, "make a loop");
    }
    uv_async_init(&sockets->loop, &sockets->wake, woken);
    sockets->wake.data = sockets;
    err = th_world_thread_start(world, &sockets->thread, "thole-io", run, sockets);
    if (err != TH_OK) {
        uv_close((uv_handle_t *)&sockets->wake, NULL);
        run(sockets);
        th_sockets_free(sockets);
        return err;
    }
    *out = sockets;
    return TH_OK;
}

th_sockets *th_sockets_free(th_sockets *sockets)
{
    if (sockets == NULL) {
        return NULL;
    }
    if (sockets->thread != NULL) {
        pthread_mutex_lock(&lock);
        sockets->stopping = true;
        uv_async_send(&sockets->wake);
        pthread_mutex_unlock(&lock);
        th_world_thread_join(sockets->world, sockets->thread);
    }
    th_assert(uv_loop_close(&sockets->loop) == 0);
    pthread_cond_destroy(&sockets->done);
    return th_free(sockets);
}
