/*
 * For tests of this folder: small states and chunks to run in them. Only tests
 * include this.
 */
#ifndef TH_GUEST_LUA_LUA_TESTING_H
#define TH_GUEST_LUA_LUA_TESTING_H

#include "base/test.h"

#include "guest/lua/state.h"
#include "kernel/checkpoint.h"

#define TESTING_BYTES_MAX ((size_t)256 << 20)

/* A state with nothing but our libraries; its arena is the caller's. */
static inline lua_State *testing_state(th_arena **arena, uint64_t dice, uint32_t seed)
{
    th_lua_plan plan = {NULL, NULL, NULL};
    th_lua_birth birth = {NULL, dice, seed};
    lua_State *L = NULL;

    T_EQ(th_arena_new(arena, TH_ARENA_FIRST_BYTES, TESTING_BYTES_MAX), TH_OK);
    T_EQ(th_lua_state_new(&L, *arena, &plan, &birth), TH_OK);
    return L;
}

/* Run a chunk; its one result stays on the stack. */
static inline void testing_run(lua_State *L, const char *source)
{
    lua_settop(L, 0);
    if (luaL_loadbufferx(L, source, strlen(source), "=test", "t") != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fail_msg("%s: %s", source, th_lua_state_text(L, -1));
    }
}

/* Run a chunk that returns a text. */
static inline const char *testing_text(lua_State *L, const char *source)
{
    testing_run(L, source);
    T_EQ(lua_type(L, -1), LUA_TSTRING);
    return lua_tostring(L, -1);
}

#endif
