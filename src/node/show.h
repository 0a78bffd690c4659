/*
 * Show: the verbs of the control socket that look at processes and at their rights.
 *
 * Thread: any; none of it waits for a process.
 */
#ifndef TH_NODE_SHOW_H
#define TH_NODE_SHOW_H

#include "kernel/kernel.h"
#include "node/control.h"
#include "svc/lives.h"

/* Each appends the answer. @pid: who is meant by `to`. */
/* @lives: those that do not run just now are shown, too. */
void th_show_ps(th_kernel *kernel, th_lives *lives, const th_control_request *request,
                th_buf *out);
void th_show_info(th_kernel *kernel, th_lives *lives, const th_control_request *request,
                  th_pid pid, th_buf *out);
void th_show_caps(th_kernel *kernel, const th_control_request *request, th_pid pid,
                  th_buf *out);

/*
 * Append "process:package:publisher" of who is meant by @text: who lives, or an address.
 * False: it can mean nobody here.
 */
bool th_show_find_id(th_kernel *kernel, th_slice text, th_buf *out);

/* Append the pair @key: its PID; and `address` beside a PID. */
void th_show_put_pid(th_buf *out, th_kernel *kernel, const char *key,
                     const th_ident *who);
void th_show_put_address(th_buf *out, th_kernel *kernel, const char *key,
                         const th_ident *who);

#endif
