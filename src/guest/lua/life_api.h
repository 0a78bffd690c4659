/*
 * The module `life`: what a process is beyond one life of it.
 *
 *   life.spawn{entry = , ...}   ->  its PID; nil, err (spawn_api.c)
 *   life.on_exit()              ->  "none", "restart", or a list of requests
 *   life.set_on_exit(value)     ->  true, once it is durable; nil, err
 *   life.address()              ->  "node@process:package:publisher"
 *   life.hear_stop(boolean)     ->  is it told when the node stops, and waited for?
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_LIFE_API_H
#define TH_GUEST_LUA_LIFE_API_H

#include "guest/lua/lua_api.h"

/* Push the module's table. */
int th_life_open(lua_State *L);

#endif
