/*
 * Signals: Ctrl-C and its relatives end a node, the second one at once.
 *
 * They are blocked in all threads and taken by one that waits for nothing else, so
 * that no code of ours ever runs in the middle of other code.
 *
 * Thread: main.
 */
#ifndef TH_CLI_SIGNALS_H
#define TH_CLI_SIGNALS_H

#include "node/node.h"

/* Before any other thread is started: from now on the second signal ends the program. */
th_err th_signals_start(th_world *world);

/*
 * From now on the first one, which may have come before, asks @node to stop. NULL: it
 * ends already, and only the second one does something.
 */
void th_signals_set_node(th_node *node);

void th_signals_stop(void);

#endif
