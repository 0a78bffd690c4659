/*
 * Post: one `send` or `call` of a connection, from its request to its answer.
 *
 * Thread: io; the answer is made on the courier's shard.
 */
#ifndef TH_NODE_POST_H
#define TH_NODE_POST_H

#include "node/control.h"
#include "node/courier.h"
#include "world/socket.h"

/*
 * Send what @request says to @to; the answer goes to @socket.
 *
 * Refuses: INVALID, a value cannot be sent; QUOTA; @why may say more.
 */
th_err th_post_run(th_courier *courier, th_socket *socket,
                   const th_control_request *request, th_pid to, th_buf *why);

#endif
