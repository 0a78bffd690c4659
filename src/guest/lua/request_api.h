/*
 * The module `request`: calls, as text 000's processes make and answer them.
 *
 *   request.send(dest, body, opts)  ->  a handle, or true; nil, err
 *   request.call(dest, body, opts)  ->  a reply; nil, err
 *   request.listen()                ->  channel of requests to this process
 *   request.replies()               ->  channel of replies to what was sent
 *   opts: timeout, context, blob, metadata, inherit
 *
 * With a timeout a send expects an answer, which comes as a reply whose handle() is
 * what send returned and whose context() is the value given. A reply that is an
 * error has an error(); call gives that as its second result, with an original().
 * inherit = a request that was received: its requester gets the answer directly.
 *
 *   request: body() blob() metadata() source() deadline() expects() answer(body, opts)
 *   reply:   body() blob() metadata() source() context() handle() error()
 *
 * A request stays answerable as long as it is referenced, or until it is answered;
 * one that wants no answer holds nothing but its blob.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_REQUEST_API_H
#define TH_GUEST_LUA_REQUEST_API_H

#include "guest/lua/lua_api.h"
#include "guest/lua/source.h"

/* Set the global `request`. */
void th_request_open(lua_State *L);

/* A reply came: wake who waits for it, or queue it. Touches no lua_State. */
void th_request_arrived(th_lua *lua, th_letter *letter);

/* Push what arrived; the msg, or the letter's request, is taken over or stays there. */
void th_question_push(lua_State *L, th_lua *lua, th_msg **msg);
void th_reply_push(lua_State *L, th_lua *lua, th_letter *letter);

#endif
