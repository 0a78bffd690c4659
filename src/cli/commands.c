#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>

/* --- The tables ------------------------------------------------------------------- */

typedef struct command_row {
    const char *name, *arguments;
    int least, most; /* words; -1: any number */
    const char *summary;
    const char *more; /* of `thole help COMMAND` */
} command_row;

static const char *const more[TH_COMMANDS_COUNT] = {
    [TH_COMMAND_RUN] =
        "PATH is a `.lua` or `.wasm` file, or a folder with `_index.yaml`. The ARGs "
        "are\n"
        "the arguments of its main process. The program may read PATH, and the files "
        "and\n"
        "folders that the ARGs name. What it prints goes to standard output, its log "
        "to\n"
        "standard error. Its state is kept in a home of its own, one for each PATH.\n"
        "\n"
        "Exit code: 0 when the main process returned, 1 when it failed or was "
        "stopped.\n",
    [TH_COMMAND_UP] =
        "The node stays until Ctrl-C or SIGTERM; a second Ctrl-C ends it at once.\n"
        "With PATH it also runs a program, as `thole run` does.\n",
    [TH_COMMAND_STOP] =
        "As Ctrl-C does: its processes are told, and have a few seconds to end. Those\n"
        "that come again do so when a node is up on this home again.\n",
    [TH_COMMAND_SEND] =
        "Each JSON value is a message on TOPIC; without any there is one with null.\n",
    [TH_COMMAND_CALL] =
        "BODY goes as it is. What the process answers is printed as it is, too.\n",
    [TH_COMMAND_GRANT] =
        "ISSUER is a process, or the `process:package:publisher` of one to come. "
        "PARAMS\n"
        "is JSON; without it the right is \"messaging\", to send to ISSUER.\n",
    [TH_COMMAND_REVOKE] =
        "ISSUER and PARAMS as of `thole grant`. All copies of it are void, wherever "
        "they\n"
        "are; with --from only that process holds it no longer.\n",
    [TH_COMMAND_STATE] =
        "Its bytes as they are. ADDRESS may be that of a process which comes again.\n",
    [TH_COMMAND_TRACE] =
        "A line for each message as it is sent, with what came of it, until Ctrl-C.\n"
        "Of two that pass between cores at one moment either may stand first.\n",
    [TH_COMMAND_HELP] =
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 timeout,\n"
        "6 offline, 7 overloaded, 8 damaged data.\n",
    [TH_COMMAND_ATTACH] =
        "JSON, a line each: what it receives is written, what it does is read\n"
        "(docs/attach.md). It ends with standard input, or as the process does.\n"
        "Within its package, and with those that it spawns, it needs no right.\n"
        "\n"
        "Exit code: 0 when the process returned, else by the reason of its end.\n",
};

static const command_row rows[TH_COMMANDS_COUNT] = {
#define TH_COMMAND(name, text, arguments, least, most, summary)                        \
    {text, arguments, least, most, summary, NULL},
    TH_COMMANDS
#undef TH_COMMAND
};

typedef enum option_kind {
    OPTION_HOME,
    OPTION_ENTRY,
    OPTION_TIMEOUT,
    OPTION_BLOB,
    OPTION_BYTES,
    OPTION_NAME,
    OPTION_PULL,
    OPTION_GRANT,
    OPTION_GRANT_TO,
    OPTION_PUBLIC,
    OPTION_FROM,
    OPTION_FOR,
    OPTION_TREE,
    OPTION_JSON,
    OPTION_HELP,
} option_kind;

#define OF(command) (1u << TH_COMMAND_##command)
#define OF_ALL (~0u)

typedef struct option_row {
    option_kind kind;
    const char *name;
    const char *letter; /* another way to write it, or "" */
    const char *value;  /* NULL: it takes none */
    unsigned of;        /* the commands that have it */
    const char *summary;
} option_row;

static const option_row options[] = {
    {OPTION_ENTRY, "--entry", "-x", "NS:ENTRY", OF(RUN) | OF(UP),
     "the entry to run, if not the one of `meta.main`"},
    {OPTION_TIMEOUT, "--timeout", "", "TIME", OF(CALL),
     "how long to wait for the response: 5s (if not given), 300ms, 2m"},
    {OPTION_BLOB, "--blob", "", "FILE", OF(CALL), "send the file's content along"},
    {OPTION_BYTES, "--bytes", "", "TEXT", OF(SEND),
     "send TEXT as bytes instead of JSON values"},
    {OPTION_NAME, "--name", "", "PROCESS-ID", OF(ATTACH),
     "its name: PROCESS, or PROCESS:PACKAGE:PUBLISHER"},
    {OPTION_PULL, "--pull", "", NULL, OF(ATTACH),
     "messages come only when `receive` asks for them"},
    {OPTION_GRANT_TO, "--grant-to", "", "PROCESS", OF(ATTACH),
     "PROCESS may send to it; may be given again"},
    {OPTION_GRANT, "--grant", "", "PROCESS", OF(ATTACH),
     "it may send to PROCESS; or PROCESS=PARAMS, another right"},
    {OPTION_PUBLIC, "--public", "", NULL, OF(ATTACH), "all of the node may send to it"},
    {OPTION_FROM, "--from", "", "ADDRESS", OF(REVOKE), "from this process alone"},
    {OPTION_FOR, "--for", "", "TIME", OF(TRACE), "end after so long: 10s, 300ms, 2m"},
    {OPTION_TREE, "--tree", "", NULL, OF(PS), "below each process those it spawned"},
    {OPTION_JSON, "--json", "", NULL,
     OF(PS) | OF(VERSION) | OF(INFO) | OF(CAPS) | OF(TRACE) | OF(GRANT) | OF(REVOKE) |
         OF(STATE),
     "print JSON"},
    {OPTION_HOME, "--home", "", "DIR", OF_ALL,
     "the node's home, wherever it stands on the line"},
    {OPTION_HELP, "--help", "-h", NULL, OF_ALL, "explain the command"},
};

#define OPTIONS_COUNT (sizeof options / sizeof options[0])

const char *th_command_name(th_command command)
{
    return rows[command].name;
}

/* --- Help ------------------------------------------------------------------------- */

static void put_padded(th_buf *out, const char *left, const char *right, unsigned width)
{
    th_buf_putf(out, "  %-*s  %s\n", (int)width, left, right);
}

static void put_option(th_buf *out, const option_row *option)
{
    char left[64];

    snprintf(left, sizeof left, "%s%s%s%s%s", option->letter,
             *option->letter == '\0' ? "" : ", ", option->name,
             option->value == NULL ? "" : " ",
             option->value == NULL ? "" : option->value);
    put_padded(out, left, option->summary, 20);
}

void th_commands_help(th_buf *out)
{
    th_buf_puts(out, "thole runs isolated Wasm and Lua processes that talk only by "
                     "messages.\nUsage: thole COMMAND [OPTION...]\n\n");
    for (int i = 0; i < TH_COMMANDS_COUNT; i++) {
        char left[64];

        snprintf(left, sizeof left, "%s %s", rows[i].name, rows[i].arguments);
        put_padded(out, left, rows[i].summary, 28);
    }
    th_buf_puts(out,
                "\nAn ADDRESS is a PID, an address or a registered name; `thole ps` "
                "lists them.\n`thole help COMMAND` has the options of each, `thole "
                "help help` the exit codes.\n");
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (options[i].of == OF_ALL) {
            put_option(out, &options[i]);
        }
    }
}

void th_command_help(th_command command, th_buf *out)
{
    const command_row *row = &rows[command];

    th_buf_putf(out, "Usage: thole %s%s%s [OPTION...]\n\n%s.\n", row->name,
                *row->arguments == '\0' ? "" : " ", row->arguments, row->summary);
    if (more[command] != NULL) {
        th_buf_putf(out, "\n%s", more[command]);
    }
    th_buf_putc(out, '\n');
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if ((options[i].of & (1u << command)) != 0) {
            put_option(out, &options[i]);
        }
    }
}

/* --- Words ------------------------------------------------------------------------- */

th_err th_words_duration(uint64_t *out_ms, const char *text)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    uint64_t n = 0;
    const char *at = text;

    while (*at >= '0' && *at <= '9' && at - text < 9) {
        n = n * 10 + (uint64_t)(*at++ - '0');
    }
    for (size_t i = 0; n > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(at, units[i].name) == 0 && n <= UINT32_MAX / units[i].ms) {
            *out_ms = n * units[i].ms;
            return TH_OK;
        }
    }
    return TH_INVALID;
}

typedef struct reading {
    const char **words;
    int count;
    int next;
    bool is_raw;      /* behind "--": no options any more */
    bool has_command; /* out->command is set */
    th_words *out;
    th_buf *why;
} reading;

static th_err refuse(reading *in, const char *format, const char *word,
                     const char *also)
{
    th_buf_putf(in->why, "%s `%s`; %s", format, word, also);
    return TH_INVALID;
}

/* Is @word this option; then *@value is what is behind its '=', or NULL. */
static bool is_option(const option_row *option, const char *word, const char **value)
{
    size_t n = strlen(option->name);

    *value = NULL;
    if (strcmp(word, option->letter) == 0 && *word != '\0') {
        return true;
    }
    if (strncmp(word, option->name, n) != 0) {
        return false;
    }
    if (word[n] == '=' && option->value != NULL) {
        *value = word + n + 1;
        return true;
    }
    return word[n] == '\0';
}

/* Of an option that may stand again. */
static th_err add(reading *in, const option_row *option, const char **list,
                  unsigned *count, const char *value)
{
    if (*count == TH_WORDS_GRANTS_MAX) {
        th_buf_putf(in->why, "`%s` may stand %d times", option->name,
                    TH_WORDS_GRANTS_MAX);
        return TH_INVALID;
    }
    list[(*count)++] = value;
    return TH_OK;
}

static th_err set_option(reading *in, const option_row *option, const char *value)
{
    th_words *out = in->out;

    switch (option->kind) {
    case OPTION_HOME:
        out->home = value;
        break;
    case OPTION_ENTRY:
        out->entry = value;
        break;
    case OPTION_BLOB:
        out->blob = value;
        break;
    case OPTION_BYTES:
        out->bytes = value;
        break;
    case OPTION_NAME:
        out->name = value;
        break;
    case OPTION_PULL:
        out->pull = true;
        break;
    case OPTION_GRANT:
        return add(in, option, out->grants, &out->grants_count, value);
    case OPTION_GRANT_TO:
        return add(in, option, out->granted_to, &out->granted_to_count, value);
    case OPTION_PUBLIC:
        out->is_public = true;
        break;
    case OPTION_JSON:
        out->json = true;
        break;
    case OPTION_HELP:
        out->wants_help = true;
        break;
    case OPTION_FROM:
        out->from = value;
        break;
    case OPTION_TREE:
        out->tree = true;
        break;
    case OPTION_FOR:
    case OPTION_TIMEOUT:
        out->has_timeout = true;
        if (th_words_duration(&out->timeout_ms, value) != TH_OK) {
            return refuse(in, "this is no time:", value, "write it as 5s, 300ms or 2m");
        }
        break;
    }
    return TH_OK;
}

static th_err take_option(reading *in, const option_row *option, const char *value)
{
    if (option->value != NULL && value == NULL) {
        if (in->next == in->count) {
            th_buf_putf(in->why, "`%s` needs a value: %s %s", option->name,
                        option->name, option->value);
            return TH_INVALID;
        }
        value = in->words[in->next++];
    }
    if (option->value != NULL && *value == '\0' && option->kind != OPTION_BYTES) {
        th_buf_putf(in->why, "the value of `%s` is empty: %s %s", option->name,
                    option->name, option->value);
        return TH_INVALID;
    }
    return set_option(in, option, value);
}

static bool takes_program(const reading *in)
{
    return in->has_command &&
           (in->out->command == TH_COMMAND_RUN || in->out->command == TH_COMMAND_UP);
}

/* The option that @word is, for this command; NULL: none. */
static const option_row *find_option(const reading *in, const char *word,
                                     const char **value)
{
    bool is_behind_args = takes_program(in) && in->out->rest_count > 1;

    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const option_row *option = &options[i];

        /* Behind the first ARG all words are the program's, but for the home. */
        if (is_behind_args && option->kind != OPTION_HOME) {
            continue;
        }
        if (takes_program(in) && in->out->rest_count > 0 &&
            option->kind == OPTION_HELP) {
            continue;
        }
        if ((option->of == OF_ALL ||
             (in->has_command && (option->of & (1u << in->out->command)) != 0)) &&
            is_option(option, word, value)) {
            return option;
        }
    }
    return NULL;
}

static th_err take_command(reading *in, const char *word)
{
    for (int i = 0; i < TH_COMMANDS_COUNT; i++) {
        if (strcmp(word, rows[i].name) == 0) {
            in->out->command = (th_command)i;
            in->has_command = true;
            return TH_OK;
        }
    }
    return refuse(in, "there is no command", word,
                  "`thole help` lists those there are");
}

static th_err take_word(reading *in, const char *word)
{
    bool is_program_arg = takes_program(in) && in->out->rest_count > 0;
    const char *value;
    const option_row *option = in->is_raw ? NULL : find_option(in, word, &value);

    if (option != NULL) {
        return take_option(in, option, value);
    }
    if (!in->is_raw && strcmp(word, "--") == 0) {
        in->is_raw = true;
        return TH_OK;
    }
    if (!in->is_raw && !is_program_arg && word[0] == '-' && word[1] != '\0' &&
        !(word[1] >= '0' && word[1] <= '9')) {
        return refuse(in, "there is no option", word,
                      in->has_command ? "`--help` lists those there are"
                                      : "`thole help` lists those there are");
    }
    if (!in->has_command) {
        return take_command(in, word);
    }
    in->words[in->out->rest_count++] = word; /* never ahead of what is still to read */
    return TH_OK;
}

static th_err check_count(const reading *in)
{
    const command_row *row = &rows[in->out->command];
    size_t n = in->out->rest_count;

    if (n >= (size_t)row->least && (row->most < 0 || n <= (size_t)row->most)) {
        return TH_OK;
    }
    th_buf_putf(in->why, "%s: thole %s%s%s",
                n < (size_t)row->least ? "something is missing" : "there is too much",
                row->name, *row->arguments == '\0' ? "" : " ", row->arguments);
    return TH_INVALID;
}

th_err th_words_decode(th_words *out, int count, const char **words, th_buf *why)
{
    reading in = {.words = words, .count = count, .out = out, .why = why};
    th_err err = TH_OK;

    *out = (th_words){.command = TH_COMMAND_HELP, .rest = words};
    if (count == 1 && strcmp(words[0], "--version") == 0) {
        out->command = TH_COMMAND_VERSION;
        return TH_OK;
    }
    while (in.next < count && err == TH_OK) {
        err = take_word(&in, words[in.next++]);
    }
    if (err != TH_OK || out->wants_help) {
        return err;
    }
    if (!in.has_command) {
        th_buf_puts(why, "there is no command; `thole help` lists those there are");
        return TH_INVALID;
    }
    if (out->command == TH_COMMAND_SEND && out->bytes != NULL && out->rest_count > 2) {
        th_buf_puts(why, "there are --bytes and JSON values; send one or the other");
        return TH_INVALID;
    }
    return check_count(&in);
}
