#include "guest/lua/process_api.h"

#include "guest/lua/event.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/time_api.h"
#include "kernel/checkpoint.h"
#include "kernel/kernel.h"

#define CANCEL_NS (30 * TH_S) /* what an event says when no deadline was given */

/* --- Texts -------------------------------------------------------------------- */

bool th_process_push_pid(lua_State *L, th_lua *lua, th_pid pid)
{
    th_kernel *kernel = th_process_kernel(lua->process);
    th_ident found;

    if (th_kernel_ident(kernel, pid, &found) != TH_OK) {
        return false;
    }
    th_buf_clear(&lua->scratch);
    th_kernel_pid_text(kernel, &found, &lua->scratch);
    th_blob_unref(found.name);
    lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
    return true;
}

static int process_pid(lua_State *L)
{
    th_slice text =
        th_process_pid_text(th_lua_self_anywhere(L, "process.pid")->process);

    lua_pushlstring(L, text.at, text.bytes);
    return 1;
}

static int process_id(lua_State *L)
{
    const th_lua *lua = th_lua_self_anywhere(L, "process.id");
    th_slice id = th_process_ident(lua->process)->entry->id;

    lua_pushlstring(L, id.at, id.bytes);
    return 1;
}

/* --- What is done to others --------------------------------------------------- */

/* Is it one of the node itself? */
static bool is_node_process(th_lua *lua, th_pid pid)
{
    th_ident found;
    bool is_node;

    if (th_kernel_ident(th_process_kernel(lua->process), pid, &found) != TH_OK) {
        return false;
    }
    is_node = found.entry->package_number == 0;
    th_blob_unref(found.name);
    return is_node;
}

int th_process_fail_control(lua_State *L, th_lua *lua, th_err err, int argument)
{
    const char *name = lua_tostring(L, argument);
    th_id_error error;
    th_pid pid;

    if (err != TH_DENIED) {
        return th_process_fail(L, err, argument);
    }
    if (th_process_resolve(lua->process, th_slice_str(name), &pid, &error) == TH_OK &&
        is_node_process(lua, pid)) {
        return th_lua_fail(L, err,
                           "not allowed: the process belongs to the node itself: %s",
                           name);
    }
    return th_lua_fail(L, err,
                       "not permitted: the process is of another package and no child "
                       "of this one; it takes a capability of it with params "
                       "\"control\", by request_capabilities of this entry, "
                       "grant_capabilities of the other's, or `thole grant`: %s",
                       name);
}

typedef th_err operation(th_process *self, th_pid target);

static int operate(lua_State *L, operation *operate_on, const char *what)
{
    th_lua *lua = th_lua_self(L, what);
    th_pid target;
    th_err err;

    if (lua_isnoneornil(L, 1)) {
        return th_lua_fail(L, TH_INVALID, "%s needs a destination", what);
    }
    if (!th_process_find(L, lua, 1, &target)) {
        return 2;
    }
    err = operate_on(lua->process, target);
    th_checkpoint(); /* to end oneself is to go no further */
    if (err == TH_QUOTA) {
        return th_lua_fail(L, err, "the process has its limit of %d links and monitors",
                           (int)th_process_limits(lua->process)->ties_max);
    }
    if (err != TH_OK) {
        return th_process_fail_control(L, lua, err, 1);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int process_terminate(lua_State *L)
{
    return operate(L, th_process_terminate, "process.terminate");
}

static int process_monitor(lua_State *L)
{
    return operate(L, th_process_monitor, "process.monitor");
}

static int process_link(lua_State *L)
{
    return operate(L, th_process_link, "process.link");
}

/* What is gone has no monitor and no link: that is what was asked for. */
static int release(lua_State *L, operation *operate_on, const char *what)
{
    int results = operate(L, operate_on, what);

    if (results == 2 && th_lua_is_error(L, -1)) {
        lua_getiuservalue(L, -1, TH_ERROR_KIND);
        if (strcmp(lua_tostring(L, -1), th_reason_of(TH_NOT_FOUND)->lua_kind) == 0) {
            lua_pushboolean(L, 1);
            return 1;
        }
        lua_pop(L, 1);
    }
    return results;
}

static int process_unmonitor(lua_State *L)
{
    return release(L, th_process_unmonitor, "process.unmonitor");
}

static int process_unlink(lua_State *L)
{
    return release(L, th_process_unlink, "process.unlink");
}

typedef struct deadline {
    int64_t ns;
    bool enforced;
    th_slice reason; /* borrowed from the stack */
} deadline;

/* A duration or milliseconds; any other string is a reason. */
static bool read_deadline(lua_State *L, deadline *out)
{
    *out = (deadline){.ns = CANCEL_NS};
    if (lua_isnoneornil(L, 2)) {
        return true;
    }
    if (th_duration_read(L, 2, TH_MS, &out->ns) == TH_OK) {
        out->enforced = true;
        return true;
    }
    out->ns = CANCEL_NS;
    if (lua_type(L, 2) == LUA_TSTRING) {
        out->reason.at = lua_tolstring(L, 2, &out->reason.bytes);
        return true;
    }
    return false;
}

/* process.cancel(destination, "5s" | milliseconds | reason) */
static int process_cancel(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.cancel");
    deadline when;
    th_pid target;
    th_err err;

    if (lua_isnoneornil(L, 1)) {
        return th_lua_fail(L, TH_INVALID, "process.cancel needs a destination");
    }
    if (!read_deadline(L, &when)) {
        return th_lua_fail(L, TH_INVALID,
                           "deadline must be a duration, milliseconds or a reason");
    }
    if (!th_process_find(L, lua, 1, &target)) {
        return 2;
    }
    err = th_process_cancel(lua->process, target, when.ns, when.enforced, when.reason);
    th_checkpoint();
    if (err != TH_OK) {
        return th_process_fail_control(L, lua, err, 1);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* --- Options ------------------------------------------------------------------ */

static int process_get_options(lua_State *L)
{
    const th_process *self = th_lua_self(L, "process.get_options")->process;

    lua_createtable(L, 0, 2);
    lua_pushboolean(L, th_process_traps_links(self));
    lua_setfield(L, -2, "trap_links");
    lua_pushboolean(L, th_process_has_link_events(self));
    lua_setfield(L, -2, "link_events");
    return 1;
}

static int refuse_option(lua_State *L, const char *what, const char *name)
{
    lua_pushboolean(L, 0);
    th_lua_push_error(L, "Invalid", what, name);
    return 2;
}

/* All or nothing: every pair is looked at before the first is set. */
static int process_set_options(lua_State *L)
{
    th_process *self = th_lua_self(L, "process.set_options")->process;

    if (!lua_istable(L, 1)) {
        return refuse_option(L, "options must be a table, not a %s",
                             luaL_typename(L, 1));
    }
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";

        if (strcmp(name, "trap_links") != 0 && strcmp(name, "link_events") != 0) {
            return refuse_option(L, "unknown option: %s", name);
        }
        if (!lua_isboolean(L, -1)) {
            return refuse_option(L, "option %s must be a boolean", name);
        }
    }
    if (lua_getfield(L, 1, "trap_links") != LUA_TNIL) {
        th_process_set_traps_links(self, lua_toboolean(L, -1));
    }
    if (lua_getfield(L, 1, "link_events") != LUA_TNIL) {
        th_process_set_link_events(self, lua_toboolean(L, -1));
    }
    lua_pushboolean(L, 1);
    return 1;
}

void th_process_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"pid", process_pid},
                                         {"id", process_id},
                                         {"send", th_process_api_send},
                                         {"terminate", process_terminate},
                                         {"cancel", process_cancel},
                                         {"monitor", process_monitor},
                                         {"unmonitor", process_unmonitor},
                                         {"link", process_link},
                                         {"unlink", process_unlink},
                                         {"get_options", process_get_options},
                                         {"set_options", process_set_options},
                                         {NULL, NULL}};

    lua_createtable(L, 0, 32);
    luaL_setfuncs(L, functions, 0);
    luaL_setfuncs(L, th_listen_functions, 0);
    luaL_setfuncs(L, th_spawn_functions, 0);
    th_event_push_kinds(L);
    lua_setfield(L, -2, "event");
    lua_newtable(L);
    luaL_setfuncs(L, th_names_functions, 0);
    lua_setfield(L, -2, "registry");
    lua_setglobal(L, "process");
}
