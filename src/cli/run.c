#include "cli/run.h"

#include "cli/say.h"
#include "cli/signals.h"
#include "node/node.h"

#include <stdlib.h>
#include <unistd.h>

static void say_up(const char *home)
{
    th_auto_buf text = TH_BUF_INIT;

    th_buf_putf(&text, "thole is up on %s\n", home);
    (void)th_say_out(th_buf_slice(&text));
}

/* @why may hold any bytes. */
static void say_end(const char *path, th_err err, th_slice why)
{
    th_auto_buf text = TH_BUF_INIT;

    th_buf_putf(&text, "`%s` %s: ", path, err == TH_CANCELED ? "ended" : "failed");
    th_buf_put(&text, why.at, why.bytes);
    th_say_error(err, th_buf_slice(&text));
}

static int be(const th_node_config *config)
{
    th_auto(th_node) node = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf notes = TH_BUF_INIT;
    th_err err = th_node_start(&node, config, &why, &notes);
    int code;

    if (notes.bytes > 0) {
        th_say_note(th_buf_slice(&notes));
    }
    if (err != TH_OK) {
        return th_say_error(err, th_buf_slice(&why));
    }
    th_signals_set_node(node);
    if (config->stays) {
        say_up(config->home);
    }
    err = th_node_wait(node, &why);
    th_signals_set_node(NULL);
    if (err == TH_OK && !config->stays) {
        err = th_node_flush(node, &why);
    }
    node = th_node_free(node);
    code = err == TH_OK ? 0 : 1;
    if (err != TH_OK) {
        say_end(config->path, err, th_buf_slice(&why));
    }
    return code;
}

int th_run_node(th_world *world, const th_words *words, const char *home)
{
    char *folder = getcwd(NULL, 0);
    th_node_config config = {.world = world,
                             .home = home,
                             .folder = folder == NULL ? "/" : folder,
                             .wanted = words->entry,
                             .shows_status = isatty(STDERR_FILENO),
                             .stays = words->command == TH_COMMAND_UP};
    int code;

    if (words->rest_count > 0) {
        config.path = words->rest[0];
        config.args = words->rest + 1;
        config.args_count = words->rest_count - 1;
    }
    code = th_reason_of(TH_NOMEM)->exit_code;
    if (th_signals_start(world) == TH_OK) {
        code = be(&config);
        th_signals_stop();
    }
    free(folder);
    return code;
}
