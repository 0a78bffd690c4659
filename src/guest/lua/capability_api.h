/*
 * The module `capability`: rights that processes issue and hand on (text 000).
 *
 *   capability.new(params)          ->  one of its own
 *   capability.messaging(process)   ->  the one that allows to send to it
 *   capability.list()               ->  those that it holds
 *   capability.has(issuer, params)  ->  does it hold it?
 *   capability.save(list)           ->  true; nil, err
 *   capability.drop(list)           ->  true; nil, err
 *
 * One is a table (claims.h). They travel in the option `capabilities` of requests and
 * answers. What a process that lives on saves or drops is durable when that returns.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_CAPABILITY_API_H
#define TH_GUEST_LUA_CAPABILITY_API_H

#include "guest/lua/lua_api.h"

/* Push the module's table. */
int th_capability_open(lua_State *L);

#endif
