#include "guest/lua/lua_app.h"

#include "base/mem.h"
#include "base/test.h"
#include "world/world_sim.h"

#include <stdio.h>

/* The bodies of lua_app.h. In a test's file, for only test programs have cmocka. */

static void output(void *context, const th_ident *from, th_output kind, th_slice text)
{
    th_lua_app *app = context;

    (void)from;
    th_buf_putf(kind == TH_OUTPUT_PRINT ? &app->printed : &app->logged, "%.*s\n",
                TH_FMT(text));
}

static void ended(void *context, const th_ident *who, const th_exit *exit)
{
    th_lua_app *app = context;
    th_slice error = exit == NULL ? TH_SLICE("?") : th_exit_error(exit);
    const char *how = exit == NULL || exit->reason != TH_OK
                          ? th_reason_of(exit == NULL ? TH_NOMEM : exit->reason)->name
                          : "ok";

    th_buf_putf(&app->ended, "%.*s %s %.*s\n", TH_FMT(who->entry->id), how,
                TH_FMT(error));
}

void th_lua_app_open(th_lua_app *app, uint64_t seed, unsigned shards)
{
    th_kernel_config config = {.node = "local", .boot = 1, .shards = shards};

    th_lua_app_open_as(app, seed, &config);
}

void th_lua_app_open_as(th_lua_app *app, uint64_t seed, const th_kernel_config *of)
{
    th_kernel_config config = *of;

    config.output = output;
    config.ended = ended;
    config.context = app;
    memset(app, 0, sizeof *app);
    app->limits = th_limits_default;
    app->slices_max = 1000000;
    T_EQ(th_world_sim_new(&app->world, seed), TH_OK);
    config.world = app->world;
    T_EQ(th_kernel_new(&app->kernel, &config), TH_OK);
    app->host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(app->kernel, &app->host), TH_OK);
    app->other_host =
        (th_host){.id = TH_SLICE("app:few"), .shard = TH_SHARD_ANY, .processes_max = 2};
    T_EQ(th_kernel_add_host(app->kernel, &app->other_host), TH_OK);
}

void th_lua_app_close(th_lua_app *app)
{
    app->kernel = th_kernel_free(app->kernel);
    for (unsigned i = 0; i < app->entries_count; i++) {
        th_lua_program_free(app->programs[i]);
        th_free(app->ids[i]);
    }
    app->world = th_world_sim_free(app->world);
    th_buf_deinit(&app->printed);
    th_buf_deinit(&app->logged);
    th_buf_deinit(&app->ended);
}

static th_err add_one(th_lua_app *app, const char *name, th_slice method, th_slice text,
                      th_buf *why)
{
    unsigned i = app->entries_count;
    th_lua_source source = {.text = text,
                            .name = th_slice_str(name),
                            .method = method,
                            .hash_seed = (uint32_t)th_world_dice_u64(app->world)};
    th_err err = th_lua_program_new(&app->programs[i], &source, why);
    char id[128];

    if (err != TH_OK) {
        return err;
    }
    snprintf(id, sizeof id, "app:%s", name);
    app->ids[i] = th_strndup(id, strlen(id));
    app->entries[i] = (th_entry){.id = th_slice_str(app->ids[i]),
                                 .package = TH_SLICE("app"),
                                 .publisher = TH_SLICE("local"),
                                 .limits = app->limits,
                                 .guest = &th_guest_lua,
                                 .program = app->programs[i]};
    app->entries_count++;
    return th_kernel_add_entry(app->kernel, &app->entries[i]);
}

th_err th_lua_app_add(th_lua_app *app, const char *text, th_buf *why)
{
    char name[64] = "main", method[64] = "";

    if (strncmp(text, "--@ ", 4) == 0) {
        sscanf(text, "--@ %63s%*[ ]%63[a-z_]", name, method);
    }
    for (;;) {
        const char *next = strstr(text + 1, "\n--@ ");
        size_t bytes = next == NULL ? strlen(text) : (size_t)(next - text);
        th_err err =
            add_one(app, name, th_slice_str(method), th_slice_of(text, bytes), why);

        if (err != TH_OK || next == NULL) {
            return err;
        }
        text = next + 1;
        method[0] = 0;
        sscanf(text, "--@ %63s%*[ ]%63[a-z_]", name, method);
    }
}

th_err th_lua_app_spawn(th_lua_app *app, const char *id, th_pid *out, th_buf *why)
{
    th_spawn spec = {.host = &app->host};
    th_ident ident;
    th_err err;

    spec.entry = th_kernel_find_entry(app->kernel, th_slice_str(id));
    if (spec.entry == NULL) {
        return TH_NOT_FOUND;
    }
    err = th_kernel_spawn(app->kernel, &spec, &ident, why);
    if (err == TH_OK && out != NULL) {
        *out = ident.pid;
    }
    return err;
}

bool th_lua_app_run(th_lua_app *app)
{
    th_figures figures;

    for (uint64_t i = 0; i < app->slices_max; i++) {
        th_kernel_figures(app->kernel, &figures);
        if (figures.memory_bytes > app->memory_most) {
            app->memory_most = figures.memory_bytes;
        }
        if (!th_kernel_step(app->kernel)) {
            return true;
        }
    }
    return false;
}

void th_lua_app_play(th_lua_app *app, const char *text)
{
    th_auto_buf why = TH_BUF_INIT;

    if (th_lua_app_add(app, text, &why) != TH_OK ||
        th_lua_app_spawn(app, "app:main", NULL, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    if (!th_lua_app_run(app)) {
        fail_msg("it does not come to an end: %s%s", th_buf_text(&app->printed),
                 th_buf_text(&app->ended));
    }
}
