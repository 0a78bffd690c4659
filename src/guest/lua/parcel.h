/*
 * Parcel: what of a message that came stays outside the arena until the guest asks
 * for it: its blob and its capabilities.
 *
 * The objects of a request and of a Reply begin with one. While it holds a message
 * that has a blob or capabilities the mailbox pays for it; what many dead objects hold
 * is given back by a collection, whose occasion is the bytes that they hold.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_PARCEL_H
#define TH_GUEST_LUA_PARCEL_H

#include "core/msg.h"
#include "guest/lua/object.h"

typedef struct th_parcel_held th_parcel_held;

typedef struct th_parcel {
    th_object object;     /* of TH_SLOT_QUESTION or TH_SLOT_REPLY */
    th_parcel_held *held; /* NULL: nothing */
} th_parcel;

/* Let @parcel, whose object is on top, hold @msg, too. May raise. */
void th_parcel_hold(lua_State *L, th_lua *lua, th_parcel *parcel, th_msg *msg);

/* The same, and *@msg is taken. */
void th_parcel_take(lua_State *L, th_lua *lua, th_parcel *parcel, th_msg **msg);

/* The request or Reply at @index, or NULL; and with an argument error. */
th_parcel *th_parcel_test(lua_State *L, int index);
th_parcel *th_parcel_check(lua_State *L, int argument);

/* Its message, borrowed, or NULL. */
th_msg *th_parcel_msg(const th_parcel *parcel);

/* Push its blob as a string, or nil. May raise. */
void th_parcel_push_blob(lua_State *L, const th_parcel *parcel);

/* Methods of both: blob, has_blob, mime, capabilities, has_capability. */
int th_parcel_blob(lua_State *L);
int th_parcel_has_blob(lua_State *L);
int th_parcel_mime(lua_State *L);
int th_parcel_capabilities(lua_State *L);
int th_parcel_has_capability(lua_State *L);

#endif
