/*
 * Claims: capabilities as Lua sees them, tables of {issuer = , params = }.
 *
 * Such a table is nothing but its texts: the kernel finds the capability that is
 * meant, if the process may name it (kernel/process.h). An issuer is an address, with
 * a node or without, or a PID; params are a text of JSON, or any other value, which
 * is encoded as JSON.
 *
 * Thread: owner. All of these may raise, unless they say otherwise.
 */
#ifndef TH_GUEST_LUA_CLAIMS_H
#define TH_GUEST_LUA_CLAIMS_H

#include "guest/lua/lua_api.h"
#include "kernel/process.h"

/* What was read; it borrows from the values that stand on the stack. */
typedef struct th_claims {
    const th_claim *at;
    size_t n;
} th_claims;

#define TH_CLAIMS_VALUES 2

/*
 * Read the list at @index; nil is an empty one. Leaves TH_CLAIMS_VALUES values on the
 * stack. @what names the list in an error.
 */
void th_claims_read(lua_State *L, int index, const char *what, th_claims *out);

/* The same for a list of {process = , params = }, or of texts that mean messaging. */
void th_grants_read(lua_State *L, int index, const char *what, const th_grant **out,
                    size_t *n);

/* Push the JSON text of the params at @index. */
void th_claims_push_params(lua_State *L, int index, const char *what);

/* Push the address that the issuer's or target's text at @index means. */
void th_claims_push_address(lua_State *L, int index, const char *what);

/* Push a list of those that are valid. The caller's @caps are held meanwhile. */
void th_claims_push(lua_State *L, th_lua *lua, const th_caps *caps);

/* Push the process's own address. */
void th_claims_push_self(lua_State *L, th_lua *lua);

#endif
