/*
 * Sockets: streams on Unix sockets, served by one thread with a loop.
 *
 * A th_sockets is an io thread; it listens, connects, reads and writes. Callbacks
 * run on that thread and return quickly. Writing and closing work from any thread:
 * they leave an order in the socket's own queue, which is bounded, and wake the
 * thread.
 *
 *   a socket:   OPEN ──close, end, error──> CLOSING ──flushed──> closed(), freed
 *
 * Thread: any but io for what makes, ends, listens and connects; any for the rest;
 * callbacks: io.
 */
#ifndef TH_WORLD_SOCKET_H
#define TH_WORLD_SOCKET_H

#include "world/world.h"

typedef struct th_sockets th_sockets;
typedef struct th_socket th_socket;

/* Bytes that may wait to be written on one socket. */
#define TH_SOCKET_WRITE_BYTES_MAX ((size_t)64 << 20)

/* Sockets that one listener serves at a time; more are closed when they come. */
#define TH_SOCKETS_MAX 1024

/* How long a socket that was closed may take to be rid of what waits. */
#define TH_SOCKET_FLUSH_MS 2000

/* What happens to a socket; Thread: io. */
typedef struct th_socket_events {
    /* Bytes came, borrowed for the call. */
    void (*read)(void *context, th_slice bytes);
    /* The last call: the socket is gone; whoever kept it forgets it before. */
    void (*closed)(void *context);
    /* Some of what waited is written. NULL: nobody wants to know. */
    void (*written)(void *context);
} th_socket_events;

/*
 * Somebody connected. Set *@events and *@context and return true to keep @socket,
 * which stays valid until `closed` returned. Thread: io.
 */
typedef bool th_socket_accept(void *context, th_socket *socket,
                              const th_socket_events **events, void **socket_context);

/* Start the thread. Simulation: UNSUPPORTED. */
th_err th_sockets_new(th_sockets **out, th_world *world);

/* Close all sockets, as th_socket_close, and end the thread. Takes NULL. */
th_sockets *th_sockets_free(th_sockets *sockets);

/*
 * Listen on a Unix socket at @path that only its owner can open, whose folder is
 * there and whose lock the caller holds: a file of that name is replaced. Others
 * than the owner and root are turned away. One listener for a th_sockets.
 *
 * Refuses: DENIED, NOT_FOUND, INVALID. Faults: IO, NOMEM.
 */
th_err th_sockets_listen(th_sockets *sockets, const char *path,
                         th_socket_accept *accept, void *context);

/*
 * Connect to the Unix socket at @path. *@out is one reference, for th_socket_unref:
 * the other side may close before this returns.
 *
 * Refuses: OFFLINE, nobody listens there; DENIED. Faults: IO, NOMEM.
 */
th_err th_sockets_connect(th_sockets *sockets, const char *path,
                          const th_socket_events *events, void *context,
                          th_socket **out);

/*
 * Append @bytes to what is to be written.
 *
 * Refuses: QUOTA, more than TH_SOCKET_WRITE_BYTES_MAX would wait, or no memory;
 *          CANCELED, it is closing.
 */
th_err th_socket_write(th_socket *socket, th_slice bytes);

/* The same, but where nothing waits @bytes may be as many as they are. */
th_err th_socket_write_large(th_socket *socket, th_slice bytes);

/* How many bytes wait to be written. */
size_t th_socket_waiting(th_socket *socket);

/*
 * Read no more, or again: whoever sends is held up. What was read before may still
 * come.
 */
void th_socket_hold(th_socket *socket, bool holds);

/*
 * Write what waits, within TH_SOCKET_FLUSH_MS, then close. Idempotent; returns at
 * once.
 */
void th_socket_close(th_socket *socket);

/* Hold on to the struct beyond `closed`; writes to it then come to nothing. */
th_socket *th_socket_ref(th_socket *socket);
th_socket *th_socket_unref(th_socket *socket); /* takes NULL, returns NULL */

#endif
