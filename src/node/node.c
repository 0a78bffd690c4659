#include "node/node.h"

#include "base/log.h"
#include "base/mem.h"
#include "guest/native/native.h"
#include "kernel/kernel.h"
#include "node/attach.h"
#include "node/console.h"
#include "node/home.h"
#include "node/package.h"
#include "node/server.h"
#include "node/terms.h"
#include "svc/files.h"
#include "svc/keeper.h"

#include <stdatomic.h>
#include <unistd.h>

#define PACKAGE_SYSTEM 1 /* the numbers of packages in a node */
#define PACKAGE_PROGRAM 2
#define PACKAGE_OUTSIDE 3 /* and those that follow */

struct th_node {
    th_node_config config; /* its strings are the caller's */
    th_parker *parker;     /* of who waits */
    _Atomic bool stop;
    _Atomic bool is_unread; /* nobody reads standard output */

    /* In the order of the boot. */
    th_home *home;
    th_buf compiled;
    th_wasm *wasm;
    th_package *package;
    th_console *console;
    th_store *store;
    th_kernel *kernel;
    th_host host; /* system:processes */
    th_lives *lives;
    th_files *files;
    th_attaches *attaches;
    th_server *server;
    th_buf args;
    th_keeper *keeper;
};

void th_node_ask_stop(th_node *node)
{
    atomic_store(&node->stop, true);
    th_world_unpark(node->config.world, node->parker);
}

/* --- What the kernel tells us ------------------------------------------------------- */

/* Of a log line: "main 3-1f-2: ". */
static void put_short_name(th_node *node, const th_ident *from, th_buf *out)
{
    th_slice id = from->entry->id;
    char unique[TH_UNIQUE_BYTES];
    th_address address;

    th_kernel_address(node->kernel, from, &address, unique);
    th_buf_putf(out,
                "%.*s %.*s: ", TH_FMT(th_slice_from(id, th_slice_find(id, ':') + 1)),
                TH_FMT(address.process));
}

static void output(void *context, const th_ident *from, th_output kind, th_slice text)
{
    th_node *node = context;
    th_auto_buf name = TH_BUF_INIT;

    if (kind == TH_OUTPUT_PRINT) {
        th_console_put(node->console, TH_CONSOLE_OUT, TH_SLICE(""), text);
        return;
    }
    if (kind == TH_OUTPUT_STATUS) {
        if (node->config.shows_status) {
            th_console_status(node->console, text);
        }
        return;
    }
    put_short_name(node, from, &name);
    th_console_put(node->console, TH_CONSOLE_ERR, th_buf_slice(&name), text);
}

/* A process that crashed says so; the main one's end is told by who waits for it. */
static void ended(void *context, const th_ended *what)
{
    const th_ident *who = what->who;
    const th_exit *exit = what->exit;
    th_node *node = context;
    th_auto_buf name = TH_BUF_INIT;
    th_auto_buf text = TH_BUF_INIT;

    th_attaches_ended(node->attaches, who, exit);
    if (exit == NULL || exit->end != TH_END_CRASH ||
        (node->package != NULL && who->entry == th_package_main(node->package) &&
         what->life->act != TH_LIFE_RESTART)) {
        return;
    }
    put_short_name(node, who, &name);
    th_buf_puts(&text, "failed: ");
    th_buf_put(&text, th_exit_error(exit).at, th_exit_error(exit).bytes);
    th_console_put(node->console, TH_CONSOLE_ERR, th_buf_slice(&name),
                   th_buf_slice(&text));
}

/* Its record first: what it says is true from then on. */
static void did_end(void *context, const th_ended *what)
{
    th_node *node = context;

    if (node->keeper != NULL) {
        th_keeper_ended(node->keeper, what);
    } else {
        th_lives_ended(node->lives, what);
    }
    ended(node, what);
}

static th_err save(void *context, th_saving *saving)
{
    th_node *node = context;

    return th_lives_save(node->lives, saving);
}

static void tick(void *context)
{
    th_node *node = context;

    th_wasm_tick(node->wasm);
}

static void is_unread(void *context)
{
    th_node *node = context;

    if (node->config.stays) {
        th_log(WARN, "output.lost", "why=\"standard output cannot be written\"");
        return; /* what is printed still goes to the logs of the processes */
    }
    atomic_store(&node->is_unread, true);
    th_node_ask_stop(node);
}

static void shutdown(void *context)
{
    th_node_ask_stop(context);
}

static void is_over(void *context)
{
    th_node *node = context;

    th_world_unpark(node->config.world, node->parker);
}

/* --- Boot --------------------------------------------------------------------------- */

static th_err open_wasm(th_node *node)
{
    th_wasm_options options = {.world = node->config.world};

    th_home_file(node->config.home, TH_HOME_COMPILED, &node->compiled);
    options.compiled = node->compiled.failed ? NULL : th_buf_text(&node->compiled);
    return th_wasm_new(&node->wasm, &options);
}

static th_err open_program(th_node *node, th_buf *why, th_buf *notes)
{
    const th_node_config *config = &node->config;
    th_package_spec spec = {.world = config->world,
                            .path = config->path,
                            .wanted = th_slice_str(config->wanted),
                            .needs_main = !config->stays,
                            .number = PACKAGE_PROGRAM,
                            .wasm = node->wasm};

    if (config->path == NULL) {
        return TH_OK;
    }
    return th_package_open(&node->package, &spec, why, notes);
}

static unsigned count_shards(const th_node_config *config)
{
    long cores =
        config->shards > 0 ? (long)config->shards : sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > TH_SHARDS_MAX ? TH_SHARDS_MAX : (unsigned)cores;
}

/* Before the kernel starts: whoever ends may be one of these. */
static th_err make_attaches(th_node *node)
{
    th_attaches_spec spec = {.kernel = node->kernel,
                             .host = &node->host,
                             .package_number = PACKAGE_PROGRAM,
                             .next_number = PACKAGE_OUTSIDE};

    if (node->package != NULL) {
        spec.package = th_package_id(node->package);
    }
    return th_attaches_new(&node->attaches, &spec);
}

static th_err open_store(th_node *node, th_buf *why)
{
    th_auto_buf path = TH_BUF_INIT;

    th_home_file(node->config.home, TH_HOME_STATE, &path);
    return path.failed ? TH_NOMEM
                       : th_store_open(&node->store, node->config.world,
                                       th_buf_text(&path), why);
}

/* An entry of a process outside is made when it is first used. */
static void make_outside(void *context, th_slice id)
{
    th_node *node = context;

    th_attaches_know(node->attaches, id);
}

/* What the last life of the node left, before anything runs. */
static th_err read_lives(th_node *node, th_buf *notes)
{
    th_err err = th_lives_new(&node->lives, node->kernel, node->store);

    if (err == TH_OK) {
        err = th_lives_read(node->lives, notes);
    }
    if (err == TH_OK) {
        err = th_lives_settle(node->lives, make_outside, node, notes);
    }
    return err == TH_OK ? th_store_start(node->store) : err;
}

static th_err start_kernel(th_node *node, th_buf *why, th_buf *notes)
{
    th_kernel_config config = {.world = node->config.world,
                               .node = "local",
                               .boot = th_home_boot(node->home),
                               .shards = count_shards(&node->config),
                               .output = output,
                               .save = save,
                               .ended = did_end,
                               .tick = tick,
                               .context = node};
    th_err err = th_kernel_new(&node->kernel, &config);

    if (err != TH_OK) {
        return err;
    }
    node->host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    err = th_kernel_add_host(node->kernel, &node->host);
    if (err == TH_OK && node->package != NULL) {
        err = th_package_install(node->package, node->kernel, why);
    }
    if (err == TH_OK) {
        err = make_attaches(node);
    }
    if (err == TH_OK) {
        err = read_lives(node, notes);
    }
    return err == TH_OK ? th_kernel_start(node->kernel) : err;
}

/* What the command line names may be read. */
static th_err grant_all(th_node *node, th_buf *why)
{
    const th_node_config *config = &node->config;
    th_err err = TH_OK;

    if (config->path != NULL) {
        err = th_files_grant(node->files, config->path);
    }
    for (size_t i = 0; i < config->args_count && err == TH_OK; i++) {
        th_file_info info;

        err = th_files_grant(node->files, config->args[i]);
        if (err == TH_QUOTA &&
            th_world_file_info(config->world, config->args[i], &info) != TH_OK) {
            err = TH_OK; /* a word that names nothing */
        }
    }
    if (err == TH_QUOTA) {
        th_buf_putf(why, "the command line names more than %d files",
                    TH_FILES_GRANTS_MAX);
        return TH_INVALID;
    }
    return err == TH_NOMEM ? err : TH_OK;
}

static th_err start_files(th_node *node, th_buf *why)
{
    th_spawn spawn = {.host = &node->host,
                      .name = TH_SLICE("files"),
                      .registered = TH_SLICE("files")};
    th_ident ident;
    th_err err = th_files_new(&node->files, node->config.world, node->config.folder);

    if (err == TH_OK) {
        err = grant_all(node, why);
    }
    if (err == TH_OK) {
        spawn.entry = th_files_entry(node->files);
        err = th_kernel_spawn(node->kernel, &spawn, &ident, why);
    }
    if (err == TH_OK) {
        th_blob_unref(ident.name);
    }
    return err;
}

static th_err start_keeper(th_node *node, th_buf *why)
{
    th_keeper_spec spec = {.kernel = node->kernel,
                           .lives = node->lives,
                           .host = &node->host,
                           .over = is_over,
                           .shutdown = shutdown,
                           .context = node};
    th_err err;

    spec.main = node->package == NULL ? NULL : th_package_main(node->package);
    err = th_terms_put_args(&node->args, node->config.args, node->config.args_count);
    if (err == TH_OK) {
        spec.main_args = th_buf_slice(&node->args);
        err = th_keeper_new(&node->keeper, &spec);
    }
    if (err == TH_OK) {
        err = th_keeper_start(node->keeper, why);
    }
    while (err == TH_OK && !th_keeper_is_up(node->keeper)) {
        th_world_park(node->config.world, node->parker, (th_mono){0});
    }
    return err;
}

static th_err boot(th_node *node, th_buf *why, th_buf *notes)
{
    th_world *world = node->config.world;
    th_err err = th_world_parker_new(world, &node->parker);

    if (err == TH_OK) {
        err = th_home_open(&node->home, world, node->config.home, why);
    }
    if (err == TH_OK) {
        err = open_store(node, why);
    }
    if (err == TH_OK) {
        err = open_wasm(node);
    }
    if (err == TH_OK) {
        err = open_program(node, why, notes);
    }
    if (err == TH_OK) {
        err =
            th_console_new(&node->console, world, node->config.stays, is_unread, node);
    }
    if (err == TH_OK) {
        err = start_kernel(node, why, notes);
    }
    if (err == TH_OK) {
        err = start_files(node, why);
    }
    if (err == TH_OK) {
        err = th_server_new(&node->server, node->kernel, node->attaches, node->lives,
                            &node->host, node->config.home, why);
    }
    return err == TH_OK ? start_keeper(node, why) : err;
}

th_err th_node_start(th_node **out, const th_node_config *config, th_buf *why,
                     th_buf *notes)
{
    th_auto(th_node) node = th_calloc(1, sizeof *node);
    th_err err;

    if (node == NULL) {
        return TH_NOMEM;
    }
    node->config = *config;
    err = boot(node, why, notes);
    if (err != TH_OK) {
        if (why->bytes == 0) {
            th_buf_putf(why, "the node cannot start: %s", th_reason_of(err)->text);
        }
        return err;
    }
    *out = th_take(&node);
    return TH_OK;
}

/* --- Life and end ----------------------------------------------------------------------- */

static bool has_main(const th_node *node)
{
    return node->package != NULL && th_package_main(node->package) != NULL;
}

static bool is_main_over(const th_node *node)
{
    return has_main(node) && th_keeper_is_over(node->keeper);
}

/* Give those who hear of it time to end. */
static void wind_down(th_node *node)
{
    th_world *world = node->config.world;
    th_mono due = {th_world_mono(world).ns + (TH_KEEPER_STOP_ALL_MS + 1000) * TH_MS};

    th_keeper_stop(node->keeper);
    while ((!th_keeper_is_stopped(node->keeper) ||
            (has_main(node) && !is_main_over(node))) &&
           th_world_mono(world).ns < due.ns) {
        th_world_park(world, node->parker, due);
    }
}

static void tell_main_end(th_node *node)
{
    th_auto_buf text = TH_BUF_INIT;
    th_end end;
    th_err err = th_keeper_outcome(node->keeper, &end, &text);

    if (err != TH_OK) {
        th_log(ERROR, "main.ended", "why=\"%s\"", th_buf_text(&text));
    }
}

/* A node that stays says how its main process ended, and goes on. */
static void wait(th_node *node)
{
    bool is_told = false;

    while (!atomic_load(&node->stop)) {
        if (is_main_over(node) && !node->config.stays) {
            break;
        }
        if (is_main_over(node) && !is_told) {
            tell_main_end(node);
            is_told = true;
        }
        th_world_park(node->config.world, node->parker, (th_mono){0});
    }
    if (atomic_load(&node->stop)) {
        th_console_hurry(node->console); /* nobody waits for our readers any more */
    }
    wind_down(node);
}

static th_err say_unread(th_buf *why)
{
    th_buf_puts(why, "its output cannot be written: the reader went away, or the disk "
                     "is full");
    return TH_CANCELED;
}

th_err th_node_flush(th_node *node, th_buf *why)
{
    return th_console_flush(node->console) ? TH_OK : say_unread(why);
}

th_err th_node_wait(th_node *node, th_buf *why)
{
    bool was_asked;
    th_end end;

    wait(node);
    was_asked = atomic_load(&node->stop);
    if (node->config.stays) {
        return TH_OK;
    }
    if (atomic_load(&node->is_unread)) {
        return say_unread(why);
    }
    if (!th_keeper_is_over(node->keeper)) {
        th_buf_puts(why, "it was stopped");
        return TH_CANCELED;
    }
    if (th_keeper_outcome(node->keeper, &end, why) == TH_OK) {
        return TH_OK;
    }
    if (was_asked && end != TH_END_CRASH) {
        th_buf_clear(why);
        th_buf_puts(why, "it was stopped");
    }
    return TH_FAILED;
}

th_node *th_node_free(th_node *node)
{
    if (node == NULL) {
        return NULL;
    }
    th_server_stop(node->server);
    if (node->kernel != NULL) {
        th_kernel_stop(node->kernel);
    }
    node->store = th_store_close(node->store); /* what was submitted is done */
    node->kernel = th_kernel_free(node->kernel);
    node->lives = th_lives_free(node->lives);
    node->server = th_server_free(node->server);
    node->attaches = th_attaches_free(node->attaches);
    node->keeper = th_keeper_free(node->keeper);
    node->files = th_files_free(node->files);
    node->console = th_console_free(node->console);
    node->package = th_package_close(node->package);
    node->wasm = th_wasm_free(node->wasm);
    node->home = th_home_close(node->home);
    if (node->parker != NULL) {
        th_world_parker_free(node->config.world, node->parker);
    }
    th_buf_deinit(&node->args);
    th_buf_deinit(&node->compiled);
    return th_free(node);
}
