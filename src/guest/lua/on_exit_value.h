/*
 * On-exit values: core/on_exit.h as Lua sees it: "none", "restart", or a list of
 * requests {target = , body = , metadata = , inherit = , blob = , mime = ,
 * capabilities = }.
 *
 * A body that is no string goes as JSON, for it is kept beyond its process. What is
 * sent is what stands in the list when it is set.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_ON_EXIT_VALUE_H
#define TH_GUEST_LUA_ON_EXIT_VALUE_H

#include "guest/lua/lua_api.h"
#include "kernel/process.h"

/* What was read; it borrows from the values that stand on the stack. */
typedef struct th_on_exit_plan {
    bool is_given; /* false: nil was read */
    th_on_exit_kind kind;
    const struct th_on_exit_planned *at;
    size_t n;
} th_on_exit_plan;

/* Read the value at @index, and leave some on the stack. Raises if it is none. */
void th_on_exit_plan_read(lua_State *L, int index, th_on_exit_plan *out);

/* Make what was given. Refuses: QUOTA, INVALID, as th_on_exit_new. Raises nothing. */
th_err th_on_exit_plan_make(th_lua *lua, const th_on_exit_plan *plan, th_on_exit **out);

/* Push its value; the owner holds @on_exit. May raise. */
void th_on_exit_value_push(lua_State *L, th_lua *lua, const th_on_exit *on_exit);

#endif
