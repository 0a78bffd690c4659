/*
 * Modules: what a guest finds in its globals, and what require gives it.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_MODULES_H
#define TH_GUEST_LUA_MODULES_H

#include "base/bytes.h"
#include "guest/lua/lua_api.h"

/* The setup of every state (th_lua_plan). */
int th_modules_setup(lua_State *L, void *context);

/* Is there a module of this name, and may a program that lists none use it? */
bool th_modules_is_pure(th_slice name);

#endif
