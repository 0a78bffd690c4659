/*
 * Question: a request that came, as an object.
 *
 *   kind() body() metadata() source() context() expects() deadline()
 *   blob() has_blob() mime() capabilities() has_capability(params)
 *   answer(body, opts) forward(dest, body, opts)
 *
 * It stays answerable as long as it is referenced, or until it is answered; one that
 * wants no answer holds nothing but its blob and its capabilities.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_QUESTION_H
#define TH_GUEST_LUA_QUESTION_H

#include "guest/lua/options.h"

/* Push what arrived; *@msg is taken over, or stays there. May raise. */
void th_question_push(lua_State *L, th_lua *lua, th_msg **msg);

/* Set a user value of the new object on top to the metadata, if there is some. */
void th_question_set_metadata(lua_State *L, const th_msg *msg, int value);

#endif
