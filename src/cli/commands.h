/*
 * Commands: what the command line understands.
 *
 * One table of commands and options, from which the words are parsed and the help
 * is made. Words are parsed completely before anything is done or a node is asked.
 *
 * Pure. Thread: any.
 */
#ifndef TH_CLI_COMMANDS_H
#define TH_CLI_COMMANDS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* TH_COMMAND(enum, name, arguments, least, most words, summary) */
#define TH_COMMANDS                                                                    \
    TH_COMMAND(RUN, "run", "PATH [ARG...]", 1, -1,                                     \
               "run a program, and end when it ends")                                  \
    TH_COMMAND(UP, "up", "[PATH [ARG...]]", 0, -1,                                     \
               "start a node that stays, perhaps with a program")                      \
    TH_COMMAND(STOP, "stop", "", 0, 0, "stop the node, and wait until it has ended")   \
    TH_COMMAND(PS, "ps", "", 0, 0, "list the processes of the node")                   \
    TH_COMMAND(SEND, "send", "ADDRESS TOPIC [JSON...]", 2, -1,                         \
               "send a process a message for each JSON value")                         \
    TH_COMMAND(CALL, "call", "ADDRESS BODY", 2, 2,                                     \
               "send a process a request, and print its response")                     \
    TH_COMMAND(KILL, "kill", "ADDRESS", 1, 1, "end a process at once")                 \
    TH_COMMAND(INFO, "info", "ADDRESS", 1, 1,                                          \
               "show what there is to see of a process")                               \
    TH_COMMAND(TRACE, "trace", "[ADDRESS]", 0, 1,                                      \
               "show the messages of a process, or all")                               \
    TH_COMMAND(CAPS, "caps", "ADDRESS", 1, 1, "list what a process has a right to")    \
    TH_COMMAND(GRANT, "grant", "ADDRESS ISSUER [PARAMS]", 2, 3,                        \
               "give a process a right")                                               \
    TH_COMMAND(REVOKE, "revoke", "ISSUER [PARAMS]", 1, 2,                              \
               "take a right from all, or from one")                                   \
    TH_COMMAND(STATE, "state", "show ADDRESS", 2, 2,                                   \
               "print the state that a process keeps")                                 \
    TH_COMMAND(ATTACH, "attach", "", 0, 0,                                             \
               "be a process: its lines are standard input and output")                \
    TH_COMMAND(VERSION, "version", "", 0, 0, "say which version this is")              \
    TH_COMMAND(HELP, "help", "[COMMAND]", 0, 1, "explain the commands, or one")

typedef enum th_command {
#define TH_COMMAND(name, text, arguments, least, most, summary) TH_COMMAND_##name,
    TH_COMMANDS
#undef TH_COMMAND
        TH_COMMANDS_COUNT
} th_command;

#define TH_WORDS_GRANTS_MAX 64

/* The words of a command line; all of it borrowed from there. */
typedef struct th_words {
    th_command command;
    bool wants_help;
    const char *home;                            /* --home; NULL: not given, as below */
    const char *entry;                           /* -x */
    const char *blob;                            /* --blob */
    const char *bytes;                           /* --bytes */
    const char *name;                            /* --name */
    const char *from;                            /* --from */
    const char *grants[TH_WORDS_GRANTS_MAX];     /* --grant, as often as it stands */
    const char *granted_to[TH_WORDS_GRANTS_MAX]; /* --grant-to, likewise */
    unsigned grants_count, granted_to_count;
    bool is_public;
    bool pull;
    bool tree;
    bool json;
    bool has_timeout;
    uint64_t timeout_ms;     /* --timeout, or --for */
    const char *const *rest; /* what the command takes, in order */
    size_t rest_count;
} th_words;

/*
 * Read the words behind the program's name. The array @words is put in order:
 * out->rest points into it.
 *
 * Refuses: INVALID, and @why says what is wrong and what to do.
 */
th_err th_words_decode(th_words *out, int count, const char **words, th_buf *why);

/* "5s", "300ms", "2m", "1h" in milliseconds. Refuses: INVALID; 0 is too. */
th_err th_words_duration(uint64_t *out_ms, const char *text);

/* Append the help: of all commands, or of one. */
void th_commands_help(th_buf *out);
void th_command_help(th_command command, th_buf *out);

const char *th_command_name(th_command command);

#endif
