/*
 * Attach: a program outside the node is a process, over its connection.
 *
 * From its `attach` on a connection is a process: a native one whose program takes its
 * next step from the lines of the connection (attach_line.h) and writes a line for
 * whatever it receives. It has a mailbox, a name, links and limits as all others.
 *
 * Nobody's pace fills the node's memory. Does the outside not read, then the process
 * takes nothing more from its mailbox, which has its own bounds, and does no more lines;
 * are too many of those waiting, then the connection is not read.
 *
 *   lines ──> [fresh] ──> process ──> [socket] ──> lines
 *      held when full         asleep when full
 *
 * The end of the connection is a return of the process. If the process ends otherwise,
 * its last line says how, and the connection is closed.
 *
 * Thread: io; the process: owner.
 */
#ifndef TH_NODE_ATTACH_H
#define TH_NODE_ATTACH_H

#include "base/own.h"
#include "codec/json_doc.h"
#include "kernel/kernel.h"
#include "world/socket.h"

typedef struct th_attach th_attach;
typedef struct th_attaches th_attaches; /* what all of them share */

typedef struct th_attaches_spec {
    th_kernel *kernel;
    const th_host *host;
    th_slice package; /* of the loaded program, of publisher `local`; or empty */
    uint32_t package_number;
    uint32_t next_number; /* the first of the numbers for packages of outsiders */
} th_attaches_spec;

/* The packages whose processes may be outside, in the life of a node. */
#define TH_ATTACH_PACKAGES_MAX 1024

/* The package of those that name none. */
#define TH_ATTACH_PACKAGE "outside"

/* Bytes that may wait on the socket until the process stops, and goes on. */
#define TH_ATTACH_OUT_BYTES_MAX ((size_t)4 << 20)
#define TH_ATTACH_OUT_BYTES_LOW ((size_t)1 << 20)

/* Lines, and bytes of them, that may wait until the connection is held. */
#define TH_ATTACH_IN_COUNT_MAX 1024
#define TH_ATTACH_IN_BYTES_MAX ((size_t)4 << 20)

/* One for a node, for its life; freed after the kernel. Takes NULL. */
th_err th_attaches_new(th_attaches **out, const th_attaches_spec *spec);
th_attaches *th_attaches_free(th_attaches *attaches);

/* The process @who, whose program was one of these, ended: from the kernel's `ended`. */
void th_attaches_ended(th_attaches *attaches, const th_ident *who, const th_exit *exit);

typedef struct th_attach_spec {
    th_slice id;   /* of the line that asked for it; its answer is the first line */
    th_slice name; /* a process name, "process:package:publisher", or empty */
    bool pulls;    /* messages come when asked for by `receive` alone */
    bool is_public;
    const th_json *grants;     /* capabilities that it holds: claims; or NULL */
    const th_json *granted_to; /* who holds some of it: grants; or NULL */
    th_socket *socket;
} th_attach_spec;

/*
 * Be a process. @why gets the reason.
 *
 * Refuses: INVALID, the name or what is granted is none; DENIED, it is the node's own;
 *          NOT_FOUND, nobody is there to be granted something; and as th_kernel_spawn.
 */
th_err th_attach_start(th_attaches *attaches, const th_attach_spec *spec,
                       th_attach **out, th_buf *why);

/* A line came. Refuses: QUOTA, no memory: close the connection. */
th_err th_attach_take(th_attach *attach, th_slice line);

/* Some of what waited on the socket is written. */
void th_attach_written(th_attach *attach);

/* The connection is gone. The caller forgets it. */
void th_attach_close(th_attach *attach);

/*
 * @id ("process:package:publisher") was outside in an earlier life of the node: its
 * entry is there from now on, so that what it left can be done.
 */
void th_attaches_know(th_attaches *attaches, th_slice id);

TH_AUTO_FREE(th_attaches, th_attaches_free)

#endif
