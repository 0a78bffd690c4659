/*
 * Lua: the one home of its public headers, and whose state it is.
 *
 * The sources are PUC Lua 5.4 with the patches of lua/patches. Internal headers are
 * included by the .c files of this folder that say why.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_LUA_API_H
#define TH_GUEST_LUA_LUA_API_H

#include <lua.h>

#include <lauxlib.h>
#include <lualib.h>

/* The process to which a state belongs; only its own module knows more. */
typedef struct th_lua th_lua;

/*
 * The owner of a state, from any of its coroutines. NULL while an image is built:
 * who needs an owner then calls th_image_abandon (image.h).
 */
static inline th_lua *th_lua_owner(lua_State *L)
{
    return *(th_lua **)lua_getextraspace(L);
}

#endif
