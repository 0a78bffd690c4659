/*
 * Ask: the commands that ask a node that is up.
 *
 * Thread: main.
 */
#ifndef TH_CLI_ASK_H
#define TH_CLI_ASK_H

#include "cli/commands.h"
#include "codec/json_doc.h"
#include "world/world.h"

/* Run `send`, `call`, `kill` or `ps` against the node on @home: the exit code. */
int th_ask_node(th_world *world, const th_words *words, const char *home);

/*
 * Is @text one that can mean a process: a PID text, an address or a name?
 *
 * Refuses: INVALID; @why says what is wrong, and marks where.
 */
th_err th_ask_check_address(const char *text, th_buf *why);

/* Append the table of `thole ps` from the node's answer. */
void th_ask_put_table(th_buf *out, const th_json *answer, bool has_colour);

#endif
