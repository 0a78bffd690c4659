/*
 * The Lua guest: runs processes whose entry has a th_lua_program.
 *
 * th_entry.program is a th_lua_program (program.h). A process ends when its main
 * function returns: the first result is its value, a second one that is a string or
 * an error makes it a crash; an error that no coroutine catches does too, and its
 * traceback goes to the process's log.
 *
 * Thread: as kernel/guest.h says.
 */
#ifndef TH_GUEST_LUA_LUA_GUEST_H
#define TH_GUEST_LUA_LUA_GUEST_H

#include "kernel/guest.h"

extern const th_guest th_guest_lua;

#endif
