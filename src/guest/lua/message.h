/*
 * Message: how what is sent becomes Lua values, and back.
 *
 * This is the one place that says how a body is read:
 *
 *   body            on a topic (listen, inbox)         in a request or reply
 *   TERM            the value                          the value
 *   BYTES           metadata says json: the value,     the bytes, as a string
 *                   else the bytes, as a string
 *
 * "Metadata says json" is a JSON object with "format": "json", as text 000's
 * processes have it. What Lua sends is a TERM, but for strings in requests, which go
 * as BYTES. A text that should be JSON and is none is given as the string it is.
 *
 * A Message answers topic(), from() and payload(), a Payload data(), get_format() and
 * unmarshal(). Both are read at once and hold nothing outside the arena; a Payload
 * that is sent is its value.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_MESSAGE_H
#define TH_GUEST_LUA_MESSAGE_H

#include "core/msg.h"
#include "guest/lua/object.h"

/* Push the body of a message on a topic. May raise; @msg stays the caller's. */
void th_message_push_body(lua_State *L, const th_msg *msg);

/* Push the body of a request or reply. */
void th_message_push_request_body(lua_State *L, const th_msg *msg);

/* Push a value from its format. */
void th_message_push_value(lua_State *L, th_format format, th_slice body);

/* Push a Message object. */
void th_message_push(lua_State *L, th_lua *lua, const th_msg *msg);

/* Push a process's PID text, by way of the owner's scratch. */
void th_message_push_ident(lua_State *L, th_lua *lua, const th_ident *who);

/* Replace the value on top by a Payload of it. */
void th_payload_wrap(lua_State *L);

/* If there is a Payload at @index, push its value and return true. */
bool th_payload_unwrap(lua_State *L, int index);

/*
 * Encode the value at @index into the owner's scratch as a term.
 *
 * Refuses: INVALID, it cannot be sent, and the owner's `why` says what in it; QUOTA,
 *          no memory.
 */
th_err th_message_encode(lua_State *L, th_lua *lua, int index, th_buf **out);

/* The same for @n values from @first on, as a term that is an array of them. */
th_err th_message_encode_all(lua_State *L, th_lua *lua, int first, int n, th_buf **out);

/* Give back a scratch that grew large; before the process waits. */
void th_message_trim(th_lua *lua);

/* Push nil and an error for a refusal of the above; returns 2. */
int th_message_fail(lua_State *L, th_lua *lua, th_err err);

#endif
