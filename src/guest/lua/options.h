/*
 * Options: what the last argument of a request, an answer and a forward says, and
 * the message that is made of it.
 *
 *   timeout, metadata, blob, mime, inherit, capabilities (context is the caller's)
 *
 * `blob` is a string, or a request or Reply whose blob goes along without entering
 * the process; `inherit` is a request or Reply that was received, or a boolean.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_OPTIONS_H
#define TH_GUEST_LUA_OPTIONS_H

#include "guest/lua/claims.h"
#include "guest/lua/parcel.h"

typedef struct th_options {
    int64_t timeout_ns; /* 0: none */
    bool inherits;
    bool has_metadata;
    const th_parcel *inherited; /* NULL: none */
    const th_parcel *blob_of;   /* NULL: none */
    th_slice metadata, blob, mime;
    th_claims claims;
} th_options;

/*
 * Read the options at @at, the top of the stack, or nil. They borrow from what is left
 * above it. May raise.
 */
void th_options_read(lua_State *L, int at, int64_t timeout_ns, th_options *out);

/*
 * The body at @index into *@parts: bytes for a string, else a term in the owner's
 * scratch. Refuses: INVALID, QUOTA, as th_message_encode. Raises nothing.
 */
th_err th_options_body(lua_State *L, th_lua *lua, int index, th_msg_parts *parts);

/* The message of both. NULL: memory ran out. Raises nothing. */
th_msg *th_options_make(th_lua *lua, th_msg_parts *parts, const th_options *with);

/* Push field @name of the table at @at, by no metamethod. */
int th_options_push(lua_State *L, int at, const char *name);

/* The string in a field of the table at @at; it stays on the stack, borrowed. */
bool th_options_text(lua_State *L, int at, const char *name, th_slice *out);

#endif
