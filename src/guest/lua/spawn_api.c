/*
 * process.spawn and its kin, and life.spawn: new processes.
 *
 * One that is to survive the node is there once its record is durable: the spawn
 * waits for that in its coroutine.
 */
#include "guest/lua/claims.h"
#include "guest/lua/keeping.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/on_exit_value.h"
#include "guest/lua/options.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "kernel/kernel.h"

#include <stdio.h>

/* The namespace of an entry's id. */
static th_slice namespace_of(const th_entry *entry)
{
    return th_slice_of(entry->id.at, th_slice_find(entry->id, ':'));
}

/* An id without a namespace is in the caller's. */
static const th_entry *find_entry(th_lua *lua, th_slice id)
{
    th_kernel *kernel = th_process_kernel(lua->process);
    const th_entry *own = th_process_ident(lua->process)->entry;
    char full[TH_ID_TEXT_BYTES];
    int bytes;

    if (th_slice_find(id, ':') < id.bytes) {
        return th_kernel_find_entry(kernel, id);
    }
    bytes =
        snprintf(full, sizeof full, "%.*s:%.*s", TH_FMT(namespace_of(own)), TH_FMT(id));
    if (bytes < 0 || (size_t)bytes >= sizeof full) {
        return NULL;
    }
    return th_kernel_find_entry(kernel, th_slice_of(full, (size_t)bytes));
}

/* Entry and host by their ids; on failure pushes nil and an error. */
static bool find_both(lua_State *L, th_lua *lua, th_slice id, th_slice host,
                      th_spawn *spec)
{
    th_kernel *kernel = th_process_kernel(lua->process);
    const th_entry *own = th_process_ident(lua->process)->entry;

    spec->entry = find_entry(lua, id);
    if (spec->entry == NULL) {
        th_lua_fail(L, TH_NOT_FOUND, "entry not found: %s", id.at);
        return false;
    }
    spec->host = th_kernel_find_host(kernel, namespace_of(own), host);
    if (spec->host == NULL) {
        th_lua_fail(L, TH_NOT_FOUND, "host not found: %s", host.at);
        return false;
    }
    return true;
}

/* --- Making it ---------------------------------------------------------------- */

/* The text of @child, whose name is given back. */
static int push_child(lua_State *L, th_lua *lua, th_ident *child)
{
    th_buf_clear(&lua->scratch);
    th_kernel_pid_text(th_process_kernel(lua->process), child, &lua->scratch);
    child->name = th_blob_unref(child->name);
    lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
    return 1;
}

static int was_saved(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    th_keep *keep = th_keep_arrived(L, lua);
    th_err err = keep->saving.err;

    (void)status;
    (void)context;
    if (err == TH_OK) {
        push_child(L, lua, &keep->child);
    }
    th_keep_done(lua);
    return err == TH_OK ? 1 : th_keep_fail(L, err, "the process was not made");
}

/* Of life.spawn; it borrows from the stack. */
typedef struct wanted {
    th_slice entry, host;
    th_on_exit_plan on_exit;
    th_claims claims;
} wanted;

/* What is shared with the spawn and given back after it. */
static th_err make_shared(th_lua *lua, const wanted *from, th_spawn *spec)
{
    th_err err = TH_OK;

    if (from != NULL && from->on_exit.is_given) {
        err = th_on_exit_plan_make(lua, &from->on_exit, &spec->on_exit);
    }
    if (err == TH_OK && from != NULL && from->claims.n > 0) {
        spec->caps = th_process_claim(lua->process, from->claims.at, from->claims.n);
        err = spec->caps == NULL ? TH_QUOTA : TH_OK;
    }
    return err;
}

/* Spawn; *keep is to be waited for, or NULL. */
static th_err act(th_lua *lua, th_spawn *spec, th_keep **keep, th_ident *child)
{
    th_err err = TH_OK;

    if (th_spawn_must_save(spec)) {
        err = th_keep_new(lua, TH_SAVE_LIFE, 0, keep);
        if (err != TH_OK) {
            th_buf_puts(&lua->why, "too much of this process's is being made durable; "
                                   "try again later");
            return err;
        }
        (*keep)->is_spawn = true;
        spec->saving = &(*keep)->saving;
    }
    err = th_process_spawn(lua->process, spec, child, &lua->why);
    if (err != TH_OK) {
        th_keep_free(lua, *keep);
        *keep = NULL;
    } else if (*keep != NULL) {
        (*keep)->child = *child;
    }
    return err;
}

/*
 * Spawn by @spec and @from, which may be NULL, with the @n arguments from @first on.
 * Before: th_task_check_wait, if its record is to be saved.
 */
static int spawn_by(lua_State *L, th_lua *lua, th_spawn *spec, const wanted *from,
                    int n)
{
    th_keep *keep = NULL;
    th_buf *args;
    th_ident child;
    th_err err = th_message_encode_all(L, lua, lua_gettop(L) - n + 1, n, &args);

    if (err != TH_OK) {
        return th_message_fail(L, lua, err);
    }
    spec->args = n > 0 ? th_buf_slice(args) : th_slice_of(NULL, 0);
    th_buf_clear(&lua->why);
    err = make_shared(lua, from, spec);
    if (err == TH_OK) {
        err = act(lua, spec, &keep, &child);
    }
    th_on_exit_unref(spec->on_exit);
    th_caps_unref((th_caps *)spec->caps);
    if (err != TH_OK) {
        lua_pushnil(L);
        th_lua_push_reason(L, err, th_buf_slice(&lua->why));
        return 2;
    }
    return keep != NULL ? th_keep_wait(L, lua, was_saved) : push_child(L, lua, &child);
}

/* --- process.spawn ------------------------------------------------------------ */

static int spawn(lua_State *L, bool monitored, bool linked)
{
    th_lua *lua = th_lua_self(L, "process.spawn");
    th_spawn spec = {.monitored = monitored, .linked = linked};
    th_slice id, host;

    if (lua_gettop(L) < 2) {
        return th_lua_fail(L, TH_INVALID, "spawn needs an entry and a host");
    }
    id.at = luaL_checklstring(L, 1, &id.bytes);
    host.at = luaL_checklstring(L, 2, &host.bytes);
    if (!find_both(L, lua, id, host, &spec)) {
        return 2;
    }
    if (th_spawn_must_save(&spec)) {
        th_task_check_wait(L, lua);
    }
    return spawn_by(L, lua, &spec, NULL, lua_gettop(L) - 2);
}

static int process_spawn(lua_State *L)
{
    return spawn(L, false, false);
}

static int process_spawn_monitored(lua_State *L)
{
    return spawn(L, true, false);
}

static int process_spawn_linked(lua_State *L)
{
    return spawn(L, false, true);
}

static int process_spawn_linked_monitored(lua_State *L)
{
    return spawn(L, true, true);
}

const luaL_Reg th_spawn_functions[] = {{"spawn", process_spawn},
                                       {"spawn_monitored", process_spawn_monitored},
                                       {"spawn_linked", process_spawn_linked},
                                       {"spawn_linked_monitored",
                                        process_spawn_linked_monitored},
                                       {NULL, NULL}};

/* --- life.spawn --------------------------------------------------------------- */

static void check_names(lua_State *L)
{
    static const char *const known[] = {"entry",        "host",      "name",
                                        "args",         "monitored", "linked",
                                        "public",       "on_exit",   "register",
                                        "capabilities", "grants"};

    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool is_known = false;

        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            is_known |= strcmp(name, known[i]) == 0;
        }
        if (!is_known) {
            luaL_error(L, "life.spawn has no option '%s'", name);
        }
    }
}

static bool read_flag(lua_State *L, const char *name)
{
    bool flag;

    th_options_push(L, 1, name);
    flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

/* Push the arguments: as many as `args` has, or says in `n`. */
static int push_args(lua_State *L)
{
    lua_Integer n;
    int at;

    if (th_options_push(L, 1, "args") == LUA_TNIL) {
        return 0;
    }
    if (!lua_istable(L, -1)) {
        luaL_error(L, "option 'args' must be a list, not a %s", luaL_typename(L, -1));
    }
    at = lua_gettop(L);
    th_options_push(L, at, "n");
    n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : (lua_Integer)lua_rawlen(L, at);
    lua_pop(L, 1);
    if (n < 0 || n > 10000) {
        luaL_error(L, "option 'args' has at most 10000 values");
    }
    luaL_checkstack(L, (int)n, "too many arguments");
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, at, i);
    }
    return (int)n;
}

/* All but the arguments; it stays on the stack. */
static void read_wanted(lua_State *L, wanted *out, th_spawn *spec)
{
    out->host = TH_SLICE("system:processes");
    if (!th_options_text(L, 1, "entry", &out->entry)) {
        luaL_error(L, "life.spawn needs an entry");
    }
    th_options_text(L, 1, "host", &out->host);
    th_options_text(L, 1, "name", &spec->name);
    th_options_text(L, 1, "register", &spec->registered);
    spec->monitored = read_flag(L, "monitored");
    spec->linked = read_flag(L, "linked");
    spec->is_public = read_flag(L, "public");
    th_options_push(L, 1, "on_exit");
    th_on_exit_plan_read(L, -1, &out->on_exit);
    th_options_push(L, 1, "capabilities");
    th_claims_read(L, -1, "option 'capabilities'", &out->claims);
    th_options_push(L, 1, "grants");
    th_grants_read(L, -1, "option 'grants'", &spec->grants, &spec->grants_count);
}

int th_process_api_spawn_with(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "life.spawn");
    th_spawn spec = {.monitored = false};
    wanted what = {.entry = TH_SLICE("")};
    int n;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_checkstack(L, 32, NULL);
    check_names(L);
    read_wanted(L, &what, &spec);
    if (!find_both(L, lua, what.entry, what.host, &spec)) {
        return 2;
    }
    if (what.on_exit.is_given ? what.on_exit.kind != TH_ON_EXIT_NONE
                              : th_spawn_must_save(&spec)) {
        th_task_check_wait(L, lua);
    }
    n = push_args(L);
    return spawn_by(L, lua, &spec, &what, n);
}
