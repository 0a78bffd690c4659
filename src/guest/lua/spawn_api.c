/*
 * process.spawn and its kin: new processes.
 */
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
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

static int spawn(lua_State *L, bool monitored, bool linked)
{
    th_lua *lua = th_lua_self(L, "process.spawn");
    th_spawn spec = {.monitored = monitored, .linked = linked};
    th_kernel *kernel = th_process_kernel(lua->process);
    th_slice id, host;
    th_buf *args;
    th_ident child;
    th_err err;

    if (lua_gettop(L) < 2) {
        return th_lua_fail(L, TH_INVALID, "spawn needs an entry and a host");
    }
    id.at = luaL_checklstring(L, 1, &id.bytes);
    host.at = luaL_checklstring(L, 2, &host.bytes);
    spec.entry = find_entry(lua, id);
    if (spec.entry == NULL) {
        return th_lua_fail(L, TH_NOT_FOUND, "entry not found: %s", id.at);
    }
    spec.host =
        th_kernel_find_host(kernel, namespace_of(th_process_ident(lua->process)->entry),
                            host);
    if (spec.host == NULL) {
        return th_lua_fail(L, TH_NOT_FOUND, "host not found: %s", host.at);
    }
    err = th_message_encode_all(L, lua, 3, lua_gettop(L) - 2, &args);
    if (err != TH_OK) {
        return th_message_fail(L, lua, err);
    }
    spec.args = lua_gettop(L) > 2 ? th_buf_slice(args) : th_slice_of(NULL, 0);
    th_buf_clear(&lua->why);
    err = th_process_spawn(lua->process, &spec, &child, &lua->why);
    if (err != TH_OK) {
        lua_pushnil(L);
        th_lua_push_reason(L, err, th_buf_slice(&lua->why));
        return 2;
    }
    th_message_push_ident(L, lua, &child); /* it has no chosen name to give back */
    return 1;
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
