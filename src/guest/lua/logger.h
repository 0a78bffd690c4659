/*
 * The module `logger`: a process's own words for its log, and for standard error.
 *
 *   logger:info(message, fields)   also debug, warn and error, and with a dot
 *
 *   logger:status(text)            what is going on just now: on a terminal in place of
 *                                  the text before, in no log
 *
 * A line is the message behind its level (info has none), then the fields, a table, as
 * key=value in order of the keys; those whose key is no string are left out.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_LOGGER_H
#define TH_GUEST_LUA_LOGGER_H

#include "guest/lua/lua_api.h"

/* Push the module's table. May raise. */
int th_logger_open(lua_State *L);

#endif
