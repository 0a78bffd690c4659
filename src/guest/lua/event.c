#include "guest/lua/event.h"

#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/object.h"

#include <string.h>

static const char *const kinds[] = {
    [TH_EVENT_EXIT] = "pid.exit",
    [TH_EVENT_LINK_DOWN] = "pid.link.down",
    [TH_EVENT_LINK_UP] = "pid.link.established",
    [TH_EVENT_LINK_GONE] = "pid.link.removed",
    [TH_EVENT_CANCEL] = "pid.cancel",
};

static const char *const names[] = {
    [TH_EVENT_EXIT] = "EXIT",
    [TH_EVENT_LINK_DOWN] = "LINK_DOWN",
    [TH_EVENT_LINK_UP] = "LINK_ESTABLISHED",
    [TH_EVENT_LINK_GONE] = "LINK_REMOVED",
    [TH_EVENT_CANCEL] = "CANCEL",
};

#define KINDS (sizeof kinds / sizeof *kinds)

void th_event_push_kinds(lua_State *L)
{
    lua_createtable(L, 0, KINDS);
    for (size_t i = 0; i < KINDS; i++) {
        lua_pushstring(L, kinds[i]);
        lua_setfield(L, -2, names[i]);
    }
}

static void set_seconds(lua_State *L, const char *name, th_wall at)
{
    lua_pushnumber(L, (lua_Number)at.ns / 1e9);
    lua_setfield(L, -2, name);
}

static void push_error(lua_State *L, const th_event *event)
{
    th_slice text =
        event->exit == NULL ? th_slice_of(NULL, 0) : th_exit_error(event->exit);

    th_lua_push_reason(L, event->reason, text);
}

/* event.event is the event itself, without a circle that pairs would see. */
static int index_event(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "event") == 0) {
        lua_pushvalue(L, 1);
        return 1;
    }
    return 0;
}

/* result.payload is made when somebody asks for it; there is none beside an error. */
static int index_result(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "payload") != 0) {
        return 0;
    }
    lua_settop(L, 2);
    lua_pushliteral(L, "error");
    if (lua_rawget(L, 1) != LUA_TNIL) {
        return 0;
    }
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "value");
    lua_rawget(L, 1);
    th_payload_wrap(L);
    lua_pushvalue(L, -1);
    lua_insert(L, -3);
    lua_rawset(L, 1);
    return 1;
}

/* Give the table on top the metatable of @slot, made on first use. */
static void set_index(lua_State *L, th_slot slot, lua_CFunction index)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, slot) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushcfunction(L, index);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pushvalue(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, slot);
    }
    lua_setmetatable(L, -2);
}

/* result: { value, error }, and payload */
static void push_result(lua_State *L, const th_event *event)
{
    lua_createtable(L, 0, 1);
    if (event->reason != TH_OK) {
        push_error(L, event);
        lua_setfield(L, -2, "error");
    } else if (event->exit != NULL && th_exit_value(event->exit).bytes > 0) {
        th_message_push_value(L, event->exit->format, th_exit_value(event->exit));
        lua_setfield(L, -2, "value");
    }
    set_index(L, TH_SLOT_RESULT, index_result);
}

void th_event_push(lua_State *L, th_lua *lua, const th_event *event)
{
    luaL_checkstack(L, 12, NULL);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kinds[event->kind]);
    lua_setfield(L, -2, "kind");
    th_message_push_ident(L, lua, &event->from);
    lua_setfield(L, -2, "from");
    set_seconds(L, "at", event->at);
    if (event->kind == TH_EVENT_EXIT || event->kind == TH_EVENT_LINK_DOWN) {
        push_result(L, event);
        lua_setfield(L, -2, "result");
    }
    if (event->kind == TH_EVENT_CANCEL) {
        set_seconds(L, "deadline", event->deadline);
        if (event->text.bytes > 0) {
            lua_pushlstring(L, event->text.at, event->text.bytes);
            lua_setfield(L, -2, "reason");
        }
    }
    set_index(L, TH_SLOT_EVENT, index_event);
}
