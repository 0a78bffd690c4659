/*
 * The module `request`: calls, as text 000's processes make and answer them.
 *
 *   request.send(dest, body, opts)  ->  a handle, or true; nil, err
 *   request.call(dest, body, opts)  ->  a reply; nil, err
 *   request.listen()                ->  channel of requests to this process
 *   request.replies()               ->  channel of replies to what was sent
 *   opts: context, and those of options.h
 *
 * With a timeout a send expects an answer, which comes as a reply whose handle() is
 * what send returned and whose context() is the value given. A reply that is an
 * error has an error(); call gives that as its second result. Such an error, and that
 * of a refused send, has original(), target(), context() and blob().
 * inherit = a request that was received: its requester gets the answer directly.
 *
 *   reply:   kind() body() metadata() source() context() handle() error()
 *            blob() has_blob() mime() capabilities() has_capability(params)
 *   request: question.h
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_REQUEST_API_H
#define TH_GUEST_LUA_REQUEST_API_H

#include "guest/lua/parcel.h"
#include "guest/lua/source.h"

/* Set the global `request`. */
void th_request_open(lua_State *L);

/* A reply came: wake who waits for it, or queue it. Touches no lua_State. */
void th_request_arrived(th_lua *lua, th_letter *letter);

/* Push what arrived; the letter keeps its request. May raise. */
void th_reply_push(lua_State *L, th_lua *lua, th_letter *letter);

/*
 * Pass @question on: its stack is the target, the body, the options, whatever, and the
 * metadata that goes along if the options have none. May raise; the results of
 * request.send.
 */
int th_request_forward(lua_State *L, const th_parcel *question);

#endif
