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

/* Run a command of those that ask the node on @home: the exit code. */
int th_ask_node(th_world *world, const th_words *words, const char *home);

/* Say that no node is up on @home: the exit code. */
int th_ask_say_offline(const th_words *words, const char *home);

/*
 * Is @text one that can mean a process: a PID text, an address or a name?
 *
 * Refuses: INVALID; @why says what is wrong, and marks where.
 */
th_err th_ask_check_address(const char *text, th_buf *why);

/* Append the table of `thole ps` from the node's answer; @is_tree: by who spawned whom. */
void th_ask_put_table(th_buf *out, const th_json *answer, bool has_colour,
                      bool is_tree);

/* "1.5K", "17B"; "2m05s". */
#define TH_ASK_CELL_BYTES 24
void th_ask_put_size(char out[TH_ASK_CELL_BYTES], uint64_t bytes);
void th_ask_put_time(char out[TH_ASK_CELL_BYTES], uint64_t ms);

/* Append what `thole info`, `thole caps` and `thole trace` show, for people. */
void th_ask_put_info(th_buf *out, const th_json *answer);
void th_ask_put_caps(th_buf *out, const th_json *answer);
void th_ask_put_traced(th_buf *out, const th_json *traced);

#endif
