/*
 * State verb: the state of a process, shown on the control socket. The store reads it;
 * the answer is written when it has.
 *
 * Thread: any.
 */
#ifndef TH_NODE_STATE_VERB_H
#define TH_NODE_STATE_VERB_H

#include "kernel/kernel.h"
#include "node/control.h"
#include "world/socket.h"

/*
 * Answer @request later. State belongs to an address: of a process that lives, or of one
 * that is to come again. Refuses: NOT_FOUND, `to` means nobody; UNSUPPORTED; QUOTA. Then
 * there will be no answer.
 */
th_err th_state_show(th_kernel *kernel, th_socket *socket,
                     const th_control_request *request);

#endif
