/*
 * The module `state`: what a process finds again in its next life.
 *
 *   state.set(value)  ->  true; nil, err
 *   state.get()       ->  value, or nil if there is none; nil, err
 *   state.clear()     ->  true; nil, err
 *
 * Each is durable when it returns; it waits in its coroutine. A string is kept as its
 * bytes, which a Wasm process of the same address reads as they are, any other value
 * as a term behind a mark, and comes back as it was.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_STATE_API_H
#define TH_GUEST_LUA_STATE_API_H

#include "guest/lua/lua_api.h"

/* Push the module's table. */
int th_state_open(lua_State *L);

#endif
