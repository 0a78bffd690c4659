/*
 * Stop: the command that ends a node, and waits until it has.
 *
 * Thread: main.
 */
#ifndef TH_CLI_STOP_H
#define TH_CLI_STOP_H

#include "cli/commands.h"
#include "world/world.h"

/*
 * Have the node on @home stop as Ctrl-C does. The exit code: 0 once it has left its home,
 * and another can be up there.
 */
int th_stop_node(th_world *world, const th_words *words, const char *home);

#endif
