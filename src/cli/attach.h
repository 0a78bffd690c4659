/*
 * Attach: the command that is a process of a node that is up (node/attach.h).
 *
 * It copies bytes between standard input and output and the socket, and knows of what
 * they say only the beginning and the end.
 *
 * Thread: main.
 */
#ifndef TH_CLI_ATTACH_H
#define TH_CLI_ATTACH_H

#include "cli/commands.h"
#include "world/world.h"

/* Be a process of the node on @home until it ends: the exit code. */
int th_attach_node(th_world *world, const th_words *words, const char *home);

#endif
