/*
 * Error objects: what `nil, err` carries.
 *
 * An error is an object with a kind, a message and more, which behaves like its
 * message wherever Lua lets it: tostring, `..`, `#`, %s, the functions of `string`
 * and calls such as err:find. (`==` and `type` see the object.)
 *
 * Thread: owner. All of these may raise, but for th_lua_error_text.
 */
#ifndef TH_GUEST_LUA_LUA_ERROR_H
#define TH_GUEST_LUA_LUA_ERROR_H

#include "base/bytes.h"
#include "base/err.h"
#include "guest/lua/object.h"

/* User values of an error object. */
enum {
    TH_ERROR_MESSAGE = 1,             /* a string */
    TH_ERROR_KIND,                    /* a string; "" when unknown */
    TH_ERROR_RETRYABLE,               /* a boolean or nil */
    TH_ERROR_DETAILS,                 /* a table or nil */
    TH_ERROR_WHERE,                   /* a string: "file:line:" */
    TH_ERROR_VALUES = TH_ERROR_WHERE, /* those that cross to other processes */
    TH_ERROR_REASON,                  /* a string: the reason's name; or nil */
    TH_ERROR_REQUEST,                 /* nil, or a table: what th_lua_error_keep kept */
    TH_ERROR_SLOTS = TH_ERROR_REQUEST,
};

/* Push an error of @kind; @format as of lua_pushfstring. */
void th_lua_push_error(lua_State *L, const char *kind, const char *format, ...);

/* Push an error of @kind whose message is the string on top, which it replaces. */
void th_lua_wrap_error(lua_State *L, const char *kind);

/* Push an error that says nothing yet: whoever calls this fills in its values. */
void th_lua_push_blank_error(lua_State *L);

/* The same, with the kind of @err's reason, and whether to try again. */
void th_lua_wrap_failure(lua_State *L, th_err err);

/* Push an error with the kind of @err's reason. */
void th_lua_push_reason(lua_State *L, th_err err, th_slice text);

/* Push nil and an error with the kind of @err's reason; returns 2. */
int th_lua_fail(lua_State *L, th_err err, const char *format, ...);

/*
 * The value on top, which is popped, is what was sent with the request that failed, or
 * for it: "original" (the body), "target", "context", "blob". Below it is the error.
 */
void th_lua_error_keep(lua_State *L, const char *name);

/* Is there an error object at @index? */
bool th_lua_is_error(lua_State *L, int index);

/*
 * The text of whatever was raised, appended to @out: a string's, a number's, an
 * error object's; a sentence about anything else. Allocates nothing in @L and
 * raises nothing; needs two free slots of its stack.
 */
void th_lua_error_text(lua_State *L, int index, th_buf *out);

/* Set the global `errors`, and let the functions of `string` take errors. */
void th_lua_error_open(lua_State *L);

#endif
