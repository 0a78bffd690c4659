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

static void ended(void *context, const th_ended *what)
{
    const th_exit *exit = what->exit;
    th_lua_app *app = context;
    th_slice error = exit == NULL ? TH_SLICE("?") : th_exit_error(exit);
    const char *how = exit == NULL || exit->reason != TH_OK
                          ? th_reason_of(exit == NULL ? TH_NOMEM : exit->reason)->name
                          : "ok";

    th_buf_putf(&app->ended, "%.*s %s %.*s\n", TH_FMT(what->who->entry->id), how,
                TH_FMT(error));
}

/* --- The store ---------------------------------------------------------------- */

static th_lua_kept *kept_of(th_lua_app *app, const char *id)
{
    for (unsigned i = 0; i < LUA_APP_KEPT_MAX; i++) {
        if (app->kept[i].id[0] == '\0') {
            snprintf(app->kept[i].id, sizeof app->kept[i].id, "%s", id);
        }
        if (strcmp(app->kept[i].id, id) == 0) {
            return &app->kept[i];
        }
    }
    fail_msg("more is kept than the test has room for");
    return NULL;
}

static th_err keep(th_lua_app *app, th_saving *saving)
{
    th_lua_kept *kept = kept_of(app, th_buf_text(&saving->id));

    switch (saving->what) {
    case TH_SAVE_LIFE:
        kept->lives++;
        th_on_exit_unref(kept->on_exit);
        kept->on_exit = th_on_exit_ref(saving->on_exit);
        kept->caps = th_caps_count(saving->caps);
        return TH_OK;
    case TH_LOAD_STATE:
        th_buf_put(&saving->loaded, kept->state.at, kept->state.bytes);
        return kept->has_state ? TH_OK : TH_NOT_FOUND;
    case TH_SAVE_STATE:
    case TH_SAVE_NONE:
        th_buf_clear(&kept->state);
        kept->has_state = saving->what == TH_SAVE_STATE;
        if (kept->has_state) {
            th_buf_put(&kept->state, saving->value->at, saving->value->bytes);
        }
        return TH_OK;
    }
    return TH_INVALID;
}

static void answer(th_lua_app *app, th_saving *saving)
{
    saving->err = app->keeping_fails != TH_OK ? app->keeping_fails : keep(app, saving);
    th_kernel_saved(app->kernel, saving);
}

static th_err save(void *context, th_saving *saving)
{
    th_lua_app *app = context;

    if (app->refuses_to_keep != TH_OK) {
        return app->refuses_to_keep;
    }
    if (app->keeps_late) {
        th_list_push(&app->savings, &saving->link);
    } else {
        answer(app, saving);
    }
    return TH_OK;
}

/* False: there is nothing to answer. */
static bool answer_oldest(th_lua_app *app)
{
    th_list *node = th_list_pop(&app->savings);

    if (node != NULL) {
        answer(app, th_container_of(node, th_saving, link));
    }
    return node != NULL;
}

/* --- The stage ---------------------------------------------------------------- */

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
    config.save = save;
    config.context = app;
    memset(app, 0, sizeof *app);
    th_list_init(&app->savings);
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
    while (answer_oldest(app)) {
    }
    app->kernel = th_kernel_free(app->kernel);
    for (unsigned i = 0; i < app->entries_count; i++) {
        th_lua_program_free(app->programs[i]);
        th_free(app->ids[i]);
    }
    app->world = th_world_sim_free(app->world);
    for (unsigned i = 0; i < LUA_APP_KEPT_MAX; i++) {
        th_buf_deinit(&app->kept[i].state);
        th_on_exit_unref(app->kept[i].on_exit);
    }
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
    snprintf(id, sizeof id, "%s%s", strchr(name, ':') == NULL ? "app:" : "", name);
    app->ids[i] = th_strndup(id, strlen(id));
    app->entries[i] =
        (th_entry){.id = th_slice_str(app->ids[i]),
                   .package =
                       th_slice_of(app->ids[i],
                                   th_slice_find(th_slice_str(app->ids[i]), ':')),
                   .publisher = TH_SLICE("local"),
                   .package_number = (uint32_t)(app->ids[i][0] - 'a') + 1,
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
        if (!th_kernel_step(app->kernel) && !answer_oldest(app)) {
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
