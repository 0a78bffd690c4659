/*
 * Event: what events() gives: EXIT, LINK_DOWN, CANCEL and links made and removed.
 *
 * Flat tables that also answer the nested reading of text 003: event.kind and
 * event.event.kind, result.value, result.payload and result.error. Times are seconds
 * since 1970.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_EVENT_H
#define TH_GUEST_LUA_EVENT_H

#include "guest/lua/lua_api.h"
#include "kernel/process.h"

/* Push the table. May raise; @event stays the caller's. */
void th_event_push(lua_State *L, th_lua *lua, const th_event *event);

/* Push the table process.event: the constants. */
void th_event_push_kinds(lua_State *L);

#endif
