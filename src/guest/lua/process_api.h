/*
 * The module `process` of text 003: its functions, and the texts by which they know
 * a process.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_PROCESS_API_H
#define TH_GUEST_LUA_PROCESS_API_H

#include "guest/lua/lua_api.h"
#include "guest/lua/source.h"

/* Set the global `process`. */
void th_process_open(lua_State *L);

/*
 * Whom the text at @argument means: a PID, an address or a registered name. On
 * failure pushes nil and an error and returns false. Raises if it is no string.
 */
bool th_process_find(lua_State *L, th_lua *lua, int argument, th_pid *out);

/* Push the PID text of a process that is alive; false, and nothing pushed, if not. */
bool th_process_push_pid(lua_State *L, th_lua *lua, th_pid pid);

/* Push nil and an error about the process at @argument; returns 2. */
int th_process_fail(lua_State *L, th_err err, int argument);

/* The same for a refusal to end, cancel or link it, or to give it a name. */
int th_process_fail_control(lua_State *L, th_lua *lua, th_err err, int argument);

/* What a refused send says, behind it the target's text. */
#define TH_DENIED_TEXT                                                                 \
    "not permitted: this process has no messaging capability of its target; it gets "  \
    "one by request_capabilities of its own entry, by grant_capabilities or public "   \
    "of "                                                                              \
    "the target's, from the target in a message, or by `thole grant`"

/* The same for a value that the process named @name would get as JSON and cannot. */
#define TH_NO_FORM_TEXT "a value without a form in JSON can only go to a Lua process"
int th_process_fail_value(lua_State *L, const char *name);

/* send_api.c, listen_api.c, spawn_api.c, names_api.c: parts of the module. */
int th_process_api_send(lua_State *L);
int th_process_api_spawn_with(lua_State *L); /* life.spawn */
extern const luaL_Reg th_listen_functions[], th_spawn_functions[], th_names_functions[];

#endif
