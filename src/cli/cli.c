#include "cli/cli.h"

#include "base/mem.h"
#include "cli/ask.h"
#include "cli/attach.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/stop.h"
#include "node/control.h"
#include "node/home.h"
#include "node/version.h"
#include "world/world_real.h"

#include <signal.h>
#include <stdlib.h>

/* The home that is meant; `run` without one has its own for each program. */
static th_err find_home(th_world *world, const th_words *words, th_buf *home,
                        th_buf *why)
{
    th_home_env env = {getenv("XDG_STATE_HOME"), getenv("HOME")};
    th_auto_buf path = TH_BUF_INIT;
    th_err err = TH_OK;

    if (words->home != NULL) {
        th_buf_puts(home, words->home);
        return TH_OK;
    }
    if (words->command == TH_COMMAND_RUN) {
        err = th_world_file_resolve(world, words->rest[0], &path);
    }
    if (err != TH_OK) {
        th_buf_putf(why,
                    err == TH_NOT_FOUND ? "there is no file or folder `%s`"
                    : err == TH_DENIED  ? "you may not read `%s`"
                                        : "`%s` cannot be read",
                    words->rest[0]);
        return err;
    }
    err = th_home_default(home, &env, path.at);
    if (err == TH_NOT_FOUND) {
        th_buf_puts(why,
                    "neither XDG_STATE_HOME nor HOME says where to keep state; use "
                    "--home DIR");
        return TH_INVALID;
    }
    return err;
}

static int say_version(const th_words *words)
{
    th_auto_buf out = TH_BUF_INIT;

    if (words->json) {
        th_buf_putc(&out, '{');
        th_json_put_pair(&out, "thole", th_slice_str(TH_VERSION));
        th_json_put_pair_u64(&out, "protocol", TH_CONTROL_PROTOCOL);
        th_buf_puts(&out, "}\n");
    } else {
        th_buf_puts(&out, "thole " TH_VERSION "\n");
    }
    return th_say_out(th_buf_slice(&out));
}

/* Of @words, which ask for help in one of two ways. */
static int say_help(const th_words *words)
{
    th_auto_buf out = TH_BUF_INIT;
    const char *name = words->command == TH_COMMAND_HELP
                           ? (words->rest_count == 0 ? NULL : words->rest[0])
                           : th_command_name(words->command);

    for (int i = 0; name != NULL && i < TH_COMMANDS_COUNT; i++) {
        if (strcmp(name, th_command_name((th_command)i)) == 0) {
            th_command_help((th_command)i, &out);
            return th_say_out(th_buf_slice(&out));
        }
    }
    if (name != NULL) {
        return th_say_errorf(TH_INVALID,
                             "there is no command `%s`; `thole help` lists those there "
                             "are",
                             name);
    }
    th_commands_help(&out);
    return th_say_out(th_buf_slice(&out));
}

static int do_words(th_world *world, const th_words *words)
{
    th_auto_buf home = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_err err;

    if (words->wants_help || words->command == TH_COMMAND_HELP) {
        return say_help(words);
    }
    if (words->command == TH_COMMAND_VERSION) {
        return say_version(words);
    }
    err = find_home(world, words, &home, &why);
    if (err != TH_OK) {
        return th_say_error(err, th_buf_slice(&why));
    }
    if (words->command == TH_COMMAND_RUN || words->command == TH_COMMAND_UP) {
        return th_run_node(world, words, th_buf_text(&home));
    }
    if (words->command == TH_COMMAND_ATTACH) {
        return th_attach_node(world, words, th_buf_text(&home));
    }
    if (words->command == TH_COMMAND_STOP) {
        return th_stop_node(world, words, th_buf_text(&home));
    }
    return th_ask_node(world, words, th_buf_text(&home));
}

int th_cli(int argc, char **argv)
{
    th_auto_buf why = TH_BUF_INIT;
    const char **words = th_calloc((size_t)argc, sizeof *words);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    th_words decoded;
    th_err err;
    int code;

    th_world_real_open_standard();
    sigaction(SIGPIPE, &ignore, NULL); /* a reader that is gone is an error instead */
    if (words == NULL) {
        return th_say_error(TH_NOMEM, TH_SLICE(""));
    }
    for (int i = 1; i < argc; i++) {
        words[i - 1] = argv[i];
    }
    err = th_words_decode(&decoded, argc < 1 ? 0 : argc - 1, words, &why);
    code = err != TH_OK ? th_say_error(err, th_buf_slice(&why))
                        : do_words(th_world_real(), &decoded);
    th_free(words);
    return code;
}
