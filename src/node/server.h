/*
 * Server: the node's end of the control protocol, on the socket in its home.
 *
 * Each connection has a session (control.h) on the io thread, and from its first
 * `send` or `call` on a courier, or it becomes a process itself (attach.h). Listing, resolving and killing need no process and
 * are done on the io thread, so that no shard waits for them.
 *
 * Thread: main; its callbacks: io.
 */
#ifndef TH_NODE_SERVER_H
#define TH_NODE_SERVER_H

#include "base/own.h"
#include "kernel/kernel.h"
#include "node/attach.h"
#include "svc/lives.h"

typedef struct th_server th_server;

/*
 * Listen on HOME/socket. @why gets the reason. @attaches: for those who attach;
 * @lives: what comes again.
 *
 * Refuses: as th_sockets_listen.
 */
th_err th_server_new(th_server **out, th_kernel *kernel, th_attaches *attaches,
                     th_lives *lives, const th_host *host, const char *folder,
                     th_buf *why);

/* Close all connections: while the kernel still runs. Takes NULL. */
void th_server_stop(th_server *server);

/* Stopped, and the kernel ended. Takes NULL. */
th_server *th_server_free(th_server *server);

TH_AUTO_FREE(th_server, th_server_free)

#endif
