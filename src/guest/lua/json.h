/*
 * The module `json`: encode, decode.
 *
 * Thread: owner. All of these may raise.
 */
#ifndef TH_GUEST_LUA_JSON_H
#define TH_GUEST_LUA_JSON_H

#include "base/bytes.h"
#include "guest/lua/lua_api.h"

/* Push the module's table. */
int th_json_open(lua_State *L);

/* Push the value of a JSON text; false, and nothing is pushed: it is none. */
bool th_json_push(lua_State *L, th_slice text);

/* Push the JSON text of the value at @index; raises, naming @what, where it has none. */
void th_json_push_text(lua_State *L, int index, const char *what);

#endif
