/*
 * Node: one kernel with a home, its runtime modules, and the program it was given.
 *
 * th_node_start boots in this order, and th_node_free undoes it backwards: home,
 * program (read and checked before anything runs), kernel, hosts and entries, the
 * file process, the control socket, init with the main process.
 *
 * Thread: main; th_node_ask_stop: any.
 */
#ifndef TH_NODE_NODE_H
#define TH_NODE_NODE_H

#include "base/own.h"
#include "world/world.h"

typedef struct th_node th_node;

typedef struct th_node_config {
    th_world *world;
    const char *home;        /* the folder */
    const char *folder;      /* where relative paths begin, absolute */
    const char *path;        /* of the program; NULL: none */
    const char *wanted;      /* its main entry; NULL: as the manifest says */
    const char *const *args; /* of the main process */
    size_t args_count;
    bool shows_status; /* standard error is a terminal */
    bool stays;        /* the node goes on when its main process ended */
    unsigned shards;   /* 0: one for each core */
} th_node_config;

/*
 * Boot. @why gets the reason, @notes what is left out; a line each, or several.
 *
 * Refuses: EXISTS, a node is up on the home; INVALID, NOT_FOUND and others of the
 *          program; DAMAGED, UNSUPPORTED, DENIED of the home.
 */
th_err th_node_start(th_node **out, const th_node_config *config, th_buf *why,
                     th_buf *notes);

/*
 * Wait until the node shall end: its main process ended and it does not stay, or
 * somebody asked. TH_OK after a normal return, or when a node that stays was asked
 * to stop; else why, with a text in @why.
 */
th_err th_node_wait(th_node *node, th_buf *why);

/*
 * Write what was printed so far.
 *
 * Refuses: CANCELED, it cannot be written, and @why says so.
 */
th_err th_node_flush(th_node *node, th_buf *why);

/* End: whatever runs is stopped and its output written. Takes NULL. */
th_node *th_node_free(th_node *node);

/* Have th_node_wait return soon. */
void th_node_ask_stop(th_node *node);

TH_AUTO_FREE(th_node, th_node_free)

#endif
