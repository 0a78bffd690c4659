#include "guest/lua/modules.h"

#include "guest/lua/capability_api.h"
#include "guest/lua/channel.h"
#include "guest/lua/json.h"
#include "guest/lua/life_api.h"
#include "guest/lua/logger.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "guest/lua/request_api.h"
#include "guest/lua/state_api.h"
#include "guest/lua/time_api.h"

/*
 * A module is a global that every state has, or it is made when it is first
 * required, which keeps it out of the states that do not use it.
 */
typedef struct module {
    const char *name;
    lua_CFunction open; /* NULL: the global of this name */
} module;

static const module modules[] = {
    {"json", th_json_open}, {"logger", th_logger_open},
    {"time", th_time_open}, {"capability", th_capability_open},
    {"life", th_life_open}, {"state", th_state_open},
    {"channel", NULL},      {"process", NULL},
    {"errors", NULL},       {"request", NULL},
    {"string", NULL},       {"table", NULL},
    {"math", NULL},         {"utf8", NULL},
    {"coroutine", NULL},
};

static const module *find(th_slice name)
{
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (th_slice_is(name, modules[i].name)) {
            return &modules[i];
        }
    }
    return NULL;
}

bool th_modules_is_pure(th_slice name)
{
    return find(name) != NULL;
}

/* --- require ------------------------------------------------------------------ */

static void push_module(lua_State *L, const module *one)
{
    if (one->open == NULL) {
        lua_getglobal(L, one->name);
        return;
    }
    lua_pushcfunction(L, one->open);
    lua_call(L, 0, 1);
}

/* Run a library's chunk; its result, or true, is on top. */
static void push_library(lua_State *L, const th_lua_program *library)
{
    th_lua_program_load(L, library);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
}

/* A library is known by its program, whatever it is called; a module by its name. */
static int require_found(lua_State *L, const th_lua_program *library, const module *one)
{
    luaL_checkstack(L, 8, NULL);
    th_slot_table(L, TH_SLOT_MODULES, NULL);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        return 1;
    }
    lua_pop(L, 1);
    if (library != NULL) {
        push_library(L, library);
    } else {
        push_module(L, one);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    return 1;
}

static int require(lua_State *L)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    const th_lua_program *program = th_lua_program_of(L);
    const th_lua_program *library = NULL;
    const module *one;

    lua_settop(L, 1);
    if (program != NULL) {
        library = th_lua_program_import(program, th_slice_of(text, bytes));
    }
    one = find(th_slice_of(text, bytes));
    if (library == NULL && one == NULL) {
        return luaL_error(L, "module '%s' not found", text);
    }
    if (library == NULL && program != NULL &&
        !th_lua_program_allows(program, th_slice_of(text, bytes))) {
        return luaL_error(L, "module '%s' not found: the entry does not list it", text);
    }
    return require_found(L, library, one);
}

/* --- print -------------------------------------------------------------------- */

static int print(lua_State *L)
{
    int n = lua_gettop(L);
    th_lua *lua = th_lua_self_anywhere(L, "print");
    size_t bytes;
    const char *text;
    luaL_Buffer line;

    luaL_buffinit(L, &line);
    for (int i = 1; i <= n; i++) {
        if (i > 1) {
            luaL_addchar(&line, '\t');
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    text = lua_tolstring(L, -1, &bytes);
    th_process_output(lua->process, TH_OUTPUT_PRINT, th_slice_of(text, bytes));
    return 0;
}

int th_modules_setup(lua_State *L, void *context)
{
    (void)context;
    th_task_open(L);
    th_channel_open(L);
    th_lua_error_open(L);
    th_process_open(L);
    th_request_open(L);
    lua_pushcfunction(L, require);
    lua_setglobal(L, "require");
    lua_pushcfunction(L, print);
    lua_setglobal(L, "print");
    return 0;
}
