/*
 * Kill: the verb of the control socket that ends a process.
 *
 * Of a process that is to survive the node the end is durable when it is answered; one
 * that is backing off has no PID and is ended all the same, for good.
 *
 * Thread: io; the answer may come from another.
 */
#ifndef TH_NODE_KILL_H
#define TH_NODE_KILL_H

#include "node/control.h"
#include "svc/lives.h"
#include "world/socket.h"

/* End @pid, or what `to` says where it does not run: then it is none. */
void th_kill_run(th_kernel *kernel, th_lives *lives, th_socket *socket,
                 const th_control_request *request, th_pid pid, th_buf *out);

#endif
