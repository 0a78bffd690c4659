/*
 * Run: the commands that are a node, `run` and `up`.
 *
 * Thread: main.
 */
#ifndef TH_CLI_RUN_H
#define TH_CLI_RUN_H

#include "cli/commands.h"
#include "world/world.h"

/* Be a node on @home until it ends: the exit code. */
int th_run_node(th_world *world, const th_words *words, const char *home);

#endif
