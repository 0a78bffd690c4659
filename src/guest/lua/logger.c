#include "guest/lua/logger.h"

#include "guest/lua/owner.h"
#include "kernel/checkpoint.h"

#define FIELDS_MAX 32 /* shown; finding each reads all of the table */

enum { MESSAGE = 1, FIELDS, KEY };

/* Move KEY to the next of the string keys of FIELDS; nil comes before and behind all. */
static bool next_key(lua_State *L)
{
    bool is_first = lua_isnil(L, KEY);
    int best;

    lua_pushnil(L);
    best = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, FIELDS) != 0) {
        th_checkpoint(); /* the table may be large */
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING &&
            (is_first || lua_compare(L, KEY, -1, LUA_OPLT)) &&
            (lua_isnil(L, best) || lua_compare(L, -1, best, LUA_OPLT))) {
            lua_pushvalue(L, -1);
            lua_replace(L, best);
        }
    }
    lua_replace(L, KEY);
    return !lua_isnil(L, KEY);
}

static void add_fields(lua_State *L, luaL_Buffer *line)
{
    for (int i = 0; next_key(L); i++) {
        if (i == FIELDS_MAX) {
            luaL_addstring(line, " ...");
            return;
        }
        luaL_addchar(line, ' ');
        lua_pushvalue(L, KEY);
        luaL_addvalue(line);
        luaL_addchar(line, '=');
        lua_pushvalue(L, KEY);
        lua_rawget(L, FIELDS);
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        luaL_addvalue(line);
    }
}

static int put(lua_State *L, const char *what, const char *level)
{
    th_lua *lua = th_lua_self_anywhere(L, what);
    size_t bytes;
    const char *text;
    luaL_Buffer line;

    if (lua_rawequal(L, 1, lua_upvalueindex(1))) {
        lua_remove(L, 1); /* logger:info */
    }
    luaL_checkany(L, MESSAGE);
    lua_settop(L, FIELDS);
    lua_pushnil(L);
    luaL_buffinit(L, &line);
    luaL_addstring(&line, level);
    luaL_tolstring(L, MESSAGE, NULL);
    luaL_addvalue(&line);
    if (!lua_isnil(L, FIELDS)) {
        luaL_checktype(L, FIELDS, LUA_TTABLE);
        add_fields(L, &line);
    }
    luaL_pushresult(&line);
    text = lua_tolstring(L, -1, &bytes);
    th_process_output(lua->process, TH_OUTPUT_LOG, th_slice_of(text, bytes));
    return 0;
}

static int logger_debug(lua_State *L)
{
    return put(L, "logger.debug", "debug: ");
}

static int logger_info(lua_State *L)
{
    return put(L, "logger.info", "");
}

static int logger_warn(lua_State *L)
{
    return put(L, "logger.warn", "warning: ");
}

static int logger_error(lua_State *L)
{
    return put(L, "logger.error", "error: ");
}

/* logger.status(text): what is going on, in place of the text before. */
static int logger_status(lua_State *L)
{
    th_lua *lua = th_lua_self_anywhere(L, "logger.status");
    th_slice text;

    if (lua_rawequal(L, 1, lua_upvalueindex(1))) {
        lua_remove(L, 1);
    }
    text.at = luaL_checklstring(L, 1, &text.bytes);
    th_process_output(lua->process, TH_OUTPUT_STATUS, text);
    return 0;
}

int th_logger_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"debug", logger_debug}, {"info", logger_info},     {"warn", logger_warn},
        {"error", logger_error}, {"status", logger_status}, {NULL, NULL}};

    luaL_newlibtable(L, functions);
    lua_pushvalue(L, -1);
    luaL_setfuncs(L, functions, 1); /* each knows its table */
    return 1;
}
