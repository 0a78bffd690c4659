/*
 * Right verb: `grant` and `revoke` of the control socket.
 *
 * Of a process that is to survive the node they are durable when they are answered; a
 * right that is taken from all is then in the record of none.
 *
 * Thread: io; the answer may come from another.
 */
#ifndef TH_NODE_RIGHT_VERB_H
#define TH_NODE_RIGHT_VERB_H

#include "node/control.h"
#include "svc/lives.h"
#include "world/socket.h"

/* Give it to @pid. Appends the answer to @out, or has it sent later. */
void th_right_grant(th_kernel *kernel, th_lives *lives, th_socket *socket,
                    const th_control_request *request, th_pid pid, th_buf *out);

/* Likewise: take it from @pid, or from all if it is none. */
void th_right_revoke(th_kernel *kernel, th_lives *lives, th_socket *socket,
                     const th_control_request *request, th_pid pid, th_buf *out);

#endif
