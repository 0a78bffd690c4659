/*
 * process.registry: names by which processes find each other.
 */
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "kernel/kernel.h"

static int fail(lua_State *L, th_err err, const char *name)
{
    switch (err) {
    case TH_EXISTS:
        return th_lua_fail(L, err, "name already registered: %s", name);
    case TH_INVALID:
        return th_lua_fail(L, err, "not a name that can be registered: '%s'", name);
    case TH_QUOTA:
        return th_lua_fail(L, err, "the process has too many names");
    case TH_NOT_FOUND:
        return th_lua_fail(L, err, "process not found");
    default:
        return th_lua_fail(L, err, "%s: %s", th_reason_of(err)->text, name);
    }
}

/* Does @pid have @name already? To register it again is no error. */
static bool has_name(th_lua *lua, th_slice name, th_pid pid)
{
    th_id_error error;
    th_pid owner;

    return th_process_resolve(lua->process, name, &owner, &error) == TH_OK &&
           th_pid_eq(owner, pid);
}

static int names_register(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.registry.register");
    th_pid pid = th_process_ident(lua->process)->pid;
    th_slice name;
    th_err err;

    name.at = luaL_checklstring(L, 1, &name.bytes);
    if (!lua_isnoneornil(L, 2)) {
        const char *text = luaL_checkstring(L, 2);

        if (text[0] != '{') {
            return th_lua_fail(L, TH_INVALID, "not a process id: %s", text);
        }
        if (!th_process_find(L, lua, 2, &pid)) {
            return 2;
        }
    }
    err = th_process_register(lua->process, name, pid);
    if (err == TH_OK || (err == TH_EXISTS && has_name(lua, name, pid))) {
        lua_pushboolean(L, 1);
        return 1;
    }
    return err == TH_DENIED ? th_process_fail_control(L, lua, err, 2)
                            : fail(L, err, name.at);
}

static int names_lookup(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.registry.lookup");
    th_id_error error;
    th_slice name;
    th_pid pid;

    name.at = luaL_checklstring(L, 1, &name.bytes);
    if (name.bytes > 0 && name.at[0] != '{' &&
        th_process_resolve(lua->process, name, &pid, &error) == TH_OK &&
        th_process_push_pid(L, lua, pid)) {
        return 1;
    }
    return th_lua_fail(L, TH_NOT_FOUND, "name not registered: %s", name.at);
}

static int names_unregister(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.registry.unregister");
    th_slice name;

    name.at = luaL_checklstring(L, 1, &name.bytes);
    lua_pushboolean(L, th_process_unregister(lua->process, name) == TH_OK);
    return 1;
}

const luaL_Reg th_names_functions[] = {{"register", names_register},
                                       {"lookup", names_lookup},
                                       {"unregister", names_unregister},
                                       {NULL, NULL}};
