/*
 * Listen: the verb `trace` of the control socket. What a process sends and gets is a
 * line each, behind the answer, until the connection ends.
 *
 * Lines are written on the sender's thread. Where the other side reads too slowly some
 * are left out, and the next one says how many.
 *
 * Thread: any, one at a time.
 */
#ifndef TH_NODE_LISTEN_H
#define TH_NODE_LISTEN_H

#include "kernel/kernel.h"
#include "world/socket.h"

typedef struct th_listen th_listen;

/*
 * @id: of the request. @pid: whom to hear; none: all. Refuses: as th_tracer_new.
 */
th_err th_listen_new(th_listen **out, th_kernel *kernel, th_socket *socket, th_slice id,
                     th_pid pid);

/* From here on lines are written: the answer has been. */
void th_listen_begin(th_listen *listen);
th_listen *th_listen_free(th_listen *listen); /* takes NULL */

#endif
