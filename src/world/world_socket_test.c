#include "world/socket.h"

#include "base/test.h"
#include "world/world_real.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One side of a connection; what came is counted. */
typedef struct side {
    th_parker *parker;
    _Atomic(th_socket *) socket;
    _Atomic size_t came;
    _Atomic bool is_closed;
    bool echoes;
} side;

static void did_read(void *context, th_slice bytes)
{
    side *self = context;

    if (self->echoes) {
        th_assert(th_socket_write(self->socket, bytes) == TH_OK);
    }
    atomic_fetch_add(&self->came, bytes.bytes);
    th_world_unpark(th_world_real(), self->parker);
}

static void did_close(void *context)
{
    side *self = context;

    atomic_store(&self->is_closed, true);
    th_world_unpark(th_world_real(), self->parker);
}

static const th_socket_events events = {did_read, did_close, NULL};

static bool somebody(void *context, th_socket *socket, const th_socket_events **all,
                     void **socket_context)
{
    side *self = context;

    self->socket = socket;
    *all = &events;
    *socket_context = self;
    return true;
}

static void wait_for(side *self, size_t came)
{
    while (!self->is_closed && self->came < came) {
        th_world_park(th_world_real(), self->parker, (th_mono){0});
    }
}

static void wait_closed(side *self)
{
    while (!self->is_closed) {
        th_world_park(th_world_real(), self->parker, (th_mono){0});
    }
}

/* A server that echoes at @path, a client, and @bytes there and back. */
static void echo(const char *path, size_t bytes)
{
    th_world *world = th_world_real();
    side server = {.echoes = true};
    side client = {0};
    th_sockets *sockets = NULL;
    th_socket *socket = NULL;
    th_auto_buf text = TH_BUF_INIT;
    struct stat info;

    th_assert(th_world_parker_new(world, &server.parker) == TH_OK);
    th_assert(th_world_parker_new(world, &client.parker) == TH_OK);
    th_assert(th_sockets_new(&sockets, world) == TH_OK);
    th_assert(th_sockets_listen(sockets, path, somebody, &server) == TH_OK);
    th_assert(stat(path, &info) == 0);
    th_assert((info.st_mode & 0777) == 0600);
    th_assert(th_sockets_connect(sockets, path, &events, &client, &socket) == TH_OK);
    memset(th_buf_reserve(&text, bytes), 'x', bytes);
    text.bytes = bytes;
    th_assert(th_socket_write(socket, th_buf_slice(&text)) == TH_OK);
    wait_for(&client, bytes);
    th_assert(client.came == bytes);
    th_socket_close(socket);
    th_socket_close(socket);
    wait_closed(&server);
    wait_closed(&client);
    th_assert(th_sockets_free(sockets) == NULL);
    th_assert(th_socket_unref(socket) == NULL);
    th_world_parker_free(world, server.parker);
    th_world_parker_free(world, client.parker);
}

/*
 * A test on a thread of its own: bytes that one thread wrote are freed by another,
 * which the harness would count as left behind, and an assertion stops any thread.
 */
static void run_body(void *body)
{
    (*(void (**)(void))body)();
}

#define SOCKET_TEST(name)                                                              \
    static void name(void);                                                            \
    TEST(socket, name)                                                                 \
    {                                                                                  \
        void (*body)(void) = name;                                                     \
        th_thread *thread;                                                             \
                                                                                       \
        T_EQ(th_world_thread_start(th_world_real(), &thread, "test", run_body, &body), \
             TH_OK);                                                                   \
        th_world_thread_join(th_world_real(), thread);                                 \
    }                                                                                  \
    static void name(void)

SOCKET_TEST(bytes_go_there_and_back)
{
    char folder[] = "/tmp/thole-test-XXXXXX";
    char path[64];

    th_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    echo(path, 1);
    echo(path, 5000000); /* over the file that the one before left */
    th_assert(unlink(path) == 0);
    th_assert(rmdir(folder) == 0);
}

SOCKET_TEST(a_long_path_is_no_hindrance)
{
    char folder[] = "/tmp/thole-test-XXXXXX";
    char name[201];
    char path[512];

    th_assert(mkdtemp(folder) != NULL);
    memset(name, 'n', sizeof name);
    name[200] = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, name);
    th_assert(th_world_folder_make(th_world_real(), path) == TH_OK);
    snprintf(path, sizeof path, "%s/%s/socket", folder, name);
    echo(path, 100);
    snprintf(path, sizeof path, "rm -r %s", folder);
    th_assert(system(path) == 0);
}

SOCKET_TEST(where_nobody_listens_is_offline)
{
    th_sockets *sockets = NULL;
    th_socket *socket = NULL;
    side client = {0};

    th_assert(th_sockets_new(&sockets, th_world_real()) == TH_OK);
    th_assert(th_sockets_connect(sockets, "/tmp/no/such", &events, &client, &socket) ==
              TH_OFFLINE);
    th_assert(th_sockets_free(sockets) == NULL);
}

SOCKET_TEST(a_socket_outlives_its_end_for_who_holds_it)
{
    char folder[] = "/tmp/thole-test-XXXXXX";
    th_world *world = th_world_real();
    th_sockets *sockets = NULL;
    th_socket *socket = NULL;
    side server = {0};
    side client = {0};
    char path[64];

    th_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    th_assert(th_world_parker_new(world, &server.parker) == TH_OK);
    th_assert(th_world_parker_new(world, &client.parker) == TH_OK);
    th_assert(th_sockets_new(&sockets, world) == TH_OK);
    th_assert(th_sockets_listen(sockets, path, somebody, &server) == TH_OK);
    th_assert(th_sockets_connect(sockets, path, &events, &client, &socket) == TH_OK);
    th_assert(th_sockets_free(sockets) == NULL);
    th_assert(client.is_closed);
    th_assert(th_socket_write(socket, TH_SLICE("x")) == TH_CANCELED);
    th_socket_close(socket);
    th_assert(th_socket_unref(socket) == NULL);
    th_world_parker_free(world, server.parker);
    th_world_parker_free(world, client.parker);
    th_assert(unlink(path) == 0);
    th_assert(rmdir(folder) == 0);
}

/* Both sides of a connection, and what serves them. */
typedef struct pair {
    char folder[32];
    char path[64];
    th_sockets *sockets;
    th_socket *socket; /* the client's */
    side server, client;
} pair;

static void connect_pair(pair *both)
{
    th_world *world = th_world_real();

    *both = (pair){.folder = "/tmp/thole-test-XXXXXX"};
    th_assert(mkdtemp(both->folder) != NULL);
    snprintf(both->path, sizeof both->path, "%s/socket", both->folder);
    th_assert(th_world_parker_new(world, &both->server.parker) == TH_OK);
    th_assert(th_world_parker_new(world, &both->client.parker) == TH_OK);
    th_assert(th_sockets_new(&both->sockets, world) == TH_OK);
    th_assert(th_sockets_listen(both->sockets, both->path, somebody, &both->server) ==
              TH_OK);
    th_assert(th_sockets_connect(both->sockets, both->path, &events, &both->client,
                                 &both->socket) == TH_OK);
    th_assert(th_socket_write(both->socket, TH_SLICE("x")) == TH_OK);
    wait_for(&both->server, 1);
}

static void end_pair(pair *both)
{
    th_assert(th_sockets_free(both->sockets) == NULL);
    th_assert(th_socket_unref(both->socket) == NULL);
    th_world_parker_free(th_world_real(), both->server.parker);
    th_world_parker_free(th_world_real(), both->client.parker);
    th_assert(unlink(both->path) == 0);
    th_assert(rmdir(both->folder) == 0);
}

static void fill(th_buf *text, size_t bytes)
{
    memset(th_buf_reserve(text, bytes), 'x', bytes);
    text->bytes = bytes;
}

SOCKET_TEST(who_is_held_is_not_read_and_is_read_again)
{
    th_auto_buf text = TH_BUF_INIT;
    size_t came;
    pair both;

    connect_pair(&both);
    th_socket_hold(both.server.socket, true);
    fill(&text, 8000000);
    th_assert(th_socket_write(both.socket, th_buf_slice(&text)) == TH_OK);
    /* A word in the other direction: by then the hold is in force. */
    th_assert(th_socket_write(both.server.socket, TH_SLICE("y")) == TH_OK);
    wait_for(&both.client, 1);
    came = both.server.came;
    th_assert(came < text.bytes);
    th_assert(th_socket_waiting(both.socket) > 0);
    th_socket_hold(both.server.socket, false);
    wait_for(&both.server, 1 + text.bytes);
    end_pair(&both);
}

SOCKET_TEST(who_is_held_is_still_seen_to_go_away)
{
    pair both;

    connect_pair(&both);
    th_socket_hold(both.server.socket, true);
    th_assert(th_socket_write(both.server.socket, TH_SLICE("y")) == TH_OK);
    wait_for(&both.client, 1);
    th_assert(th_socket_write(both.socket, TH_SLICE("unread")) == TH_OK);
    th_socket_close(both.socket);
    wait_closed(&both.server);
    end_pair(&both);
}

SOCKET_TEST(one_write_may_be_larger_than_what_may_wait)
{
    th_auto_buf text = TH_BUF_INIT;
    pair both;

    connect_pair(&both);
    fill(&text, TH_SOCKET_WRITE_BYTES_MAX + 1);
    th_assert(th_socket_write(both.socket, th_buf_slice(&text)) == TH_QUOTA);
    while (th_socket_waiting(both.socket) > 0) {
        th_world_park(th_world_real(), both.client.parker,
                      (th_mono){th_world_mono(th_world_real()).ns + TH_MS});
    }
    th_assert(th_socket_write_large(both.socket, th_buf_slice(&text)) == TH_OK);
    wait_for(&both.server, 1 + text.bytes);
    end_pair(&both);
}
