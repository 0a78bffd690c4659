/*
 * The module `time`: now, after, sleep, durations.
 *
 * A duration is a text ("1h30m5s"), a number of nanoseconds or a Duration object.
 * Timers belong to the process and end with it.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_TIME_API_H
#define TH_GUEST_LUA_TIME_API_H

#include "guest/lua/object.h"
#include "guest/lua/source.h"
#include "kernel/process.h"

/* Push the module's table. */
int th_time_open(lua_State *L);

/* Push a Time. */
void th_time_push(lua_State *L, th_wall at);

/* Push a Duration. */
void th_duration_push(lua_State *L, int64_t ns);

/* The nanoseconds of an object that is known to be a Time or a Duration. */
int64_t th_time_object_ns(const th_object *object);

/* The time or duration at @index; false: there is none of that class. */
bool th_time_test(lua_State *L, int index, th_wall *at);
bool th_duration_test(lua_State *L, int index, int64_t *ns);

/*
 * The duration at @index. Refuses: INVALID, it is none; raises nothing.
 * @unit_ns: of a bare number.
 */
th_err th_duration_read(lua_State *L, int index, int64_t unit_ns, int64_t *ns);

/* An alarm of this module fired; touches no lua_State. */
void th_time_fired(th_lua *lua, th_alarm *alarm);

#endif
