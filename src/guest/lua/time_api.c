#include "guest/lua/time_api.h"

#include "base/slab.h"
#include "guest/lua/channel.h"
#include "guest/lua/duration.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"

#include <math.h>
#include <stdio.h>

/*
 * An alarm's tag is a sleeper or a source; both begin with what tells them apart.
 */
typedef struct sleeper {
    bool is_source; /* false */
    th_holding holding;
    th_task *task;
} sleeper;

typedef struct after {
    bool is_source; /* true */
    th_source source;
    th_alarm *alarm; /* NULL: it fired */
    th_letter letter;
} after;

/* --- Objects ------------------------------------------------------------------ */

typedef struct moment {
    th_object object;
    int64_t ns;
} moment;

static const th_class time_class, duration_class;

void th_time_push(lua_State *L, th_wall at)
{
    ((moment *)th_object_new(L, &time_class, sizeof(moment), 0))->ns = at.ns;
}

int64_t th_time_object_ns(const th_object *object)
{
    return th_container_of(object, moment, object)->ns;
}

void th_duration_push(lua_State *L, int64_t ns)
{
    ((moment *)th_object_new(L, &duration_class, sizeof(moment), 0))->ns = ns;
}

bool th_time_test(lua_State *L, int index, th_wall *at)
{
    const moment *found = th_object_test(L, index, TH_SLOT_TIME);

    if (found != NULL) {
        at->ns = found->ns;
    }
    return found != NULL;
}

bool th_duration_test(lua_State *L, int index, int64_t *ns)
{
    const moment *found = th_object_test(L, index, TH_SLOT_DURATION);

    if (found != NULL) {
        *ns = found->ns;
    }
    return found != NULL;
}

th_err th_duration_read(lua_State *L, int index, int64_t unit_ns, int64_t *ns)
{
    if (th_duration_test(L, index, ns)) {
        return TH_OK;
    }
    if (lua_isinteger(L, index)) {
        return __builtin_mul_overflow(lua_tointeger(L, index), unit_ns, ns) ? TH_INVALID
                                                                            : TH_OK;
    }
    if (lua_type(L, index) == LUA_TNUMBER) {
        double exact = (double)lua_tonumber(L, index) * (double)unit_ns;

        if (!(fabs(exact) < 9.2e18)) {
            return TH_INVALID;
        }
        *ns = (int64_t)exact;
        return TH_OK;
    }
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t bytes;
        const char *text = lua_tolstring(L, index, &bytes);

        return th_duration_decode(ns, th_slice_of(text, bytes));
    }
    return TH_INVALID;
}

/* --- Time --------------------------------------------------------------------- */

static int64_t self_ns(lua_State *L, const th_class *class)
{
    return ((const moment *)th_object_check(L, 1, class))->ns;
}

/* Of a number of seconds, rounded down. */
static int64_t seconds_of(int64_t ns)
{
    return ns / TH_S - (ns % TH_S < 0);
}

static int time_unix(lua_State *L)
{
    lua_pushinteger(L, seconds_of(self_ns(L, &time_class)));
    return 1;
}

static int time_unix_nano(lua_State *L)
{
    lua_pushinteger(L, self_ns(L, &time_class));
    return 1;
}

static int64_t check_duration(lua_State *L, int argument)
{
    int64_t ns = 0;

    if (th_duration_read(L, argument, 1, &ns) != TH_OK) {
        luaL_argerror(L, argument, "a duration is expected");
    }
    return ns;
}

static int64_t check_time(lua_State *L, int argument)
{
    return ((const moment *)th_object_check(L, argument, &time_class))->ns;
}

static int time_add(lua_State *L)
{
    int64_t sum = self_ns(L, &time_class);

    if (__builtin_add_overflow(sum, check_duration(L, 2), &sum)) {
        return luaL_argerror(L, 2, "the sum is no time");
    }
    th_time_push(L, (th_wall){sum});
    return 1;
}

static int time_sub(lua_State *L)
{
    int64_t difference;

    if (__builtin_sub_overflow(self_ns(L, &time_class), check_time(L, 2),
                               &difference)) {
        return luaL_argerror(L, 2, "the difference is no duration");
    }
    th_duration_push(L, difference);
    return 1;
}

static int time_before(lua_State *L)
{
    lua_pushboolean(L, self_ns(L, &time_class) < check_time(L, 2));
    return 1;
}

static int time_is_after(lua_State *L)
{
    lua_pushboolean(L, self_ns(L, &time_class) > check_time(L, 2));
    return 1;
}

static int time_equal(lua_State *L)
{
    lua_pushboolean(L, self_ns(L, &time_class) == check_time(L, 2));
    return 1;
}

typedef struct date {
    int64_t year;
    int month, day, hour, minute, second;
    int64_t ns;
} date;

/* The Gregorian calendar in UTC, by eras of 400 years that begin in March. */
static date date_of(int64_t ns)
{
    int64_t seconds = seconds_of(ns), of_day, days, era, day, year;
    date out;

    of_day = seconds % 86400 + (seconds % 86400 < 0 ? 86400 : 0);
    days = (seconds - of_day) / 86400 + 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    day = days - era * 146097;
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    out.month = (int)((5 * day + 2) / 153);
    out.day = (int)(day - (153 * out.month + 2) / 5 + 1);
    out.month += out.month < 10 ? 3 : -9;
    out.year = year + era * 400 + (out.month <= 2);
    out.hour = (int)(of_day / 3600);
    out.minute = (int)(of_day / 60 % 60);
    out.second = (int)(of_day % 60);
    out.ns = ns - seconds * TH_S;
    return out;
}

static int push_rfc3339(lua_State *L, bool with_ns)
{
    date at = date_of(self_ns(L, &time_class));
    char text[80], fraction[16] = "";

    if (with_ns && at.ns > 0) {
        size_t n = (size_t)snprintf(fraction, sizeof fraction, ".%09d", (int)at.ns);

        while (fraction[n - 1] == '0') {
            fraction[--n] = 0;
        }
    }
    snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d%sZ",
             (long long)at.year, at.month, at.day, at.hour, at.minute, at.second,
             fraction);
    lua_pushstring(L, text);
    return 1;
}

static int time_rfc3339(lua_State *L)
{
    return push_rfc3339(L, false);
}

static int time_tostring(lua_State *L)
{
    return push_rfc3339(L, true);
}

static int time_date(lua_State *L)
{
    date at = date_of(self_ns(L, &time_class));

    lua_pushinteger(L, at.year);
    lua_pushinteger(L, at.month);
    lua_pushinteger(L, at.day);
    return 3;
}

static int time_clock(lua_State *L)
{
    date at = date_of(self_ns(L, &time_class));

    lua_pushinteger(L, at.hour);
    lua_pushinteger(L, at.minute);
    lua_pushinteger(L, at.second);
    return 3;
}

static const luaL_Reg time_methods[] = {{"unix", time_unix},
                                        {"unix_nano", time_unix_nano},
                                        {"add", time_add},
                                        {"sub", time_sub},
                                        {"before", time_before},
                                        {"after", time_is_after},
                                        {"equal", time_equal},
                                        {"format_rfc3339", time_rfc3339},
                                        {"date", time_date},
                                        {"clock", time_clock},
                                        {NULL, NULL}};

static const luaL_Reg time_meta[] = {{"__tostring", time_tostring},
                                     {"__eq", time_equal},
                                     {"__lt", time_before},
                                     {"__sub", time_sub},
                                     {NULL, NULL}};

static const th_class time_class = {TH_SLOT_TIME, "time", time_methods, time_meta};

/* --- Duration ----------------------------------------------------------------- */

static int duration_tostring(lua_State *L)
{
    char text[TH_DURATION_BYTES];

    lua_pushlstring(L, text, th_duration_encode(text, self_ns(L, &duration_class)));
    return 1;
}

static int push_whole(lua_State *L, int64_t unit_ns)
{
    lua_pushinteger(L, self_ns(L, &duration_class) / unit_ns);
    return 1;
}

static int push_exact(lua_State *L, double unit_ns)
{
    lua_pushnumber(L, (lua_Number)((double)self_ns(L, &duration_class) / unit_ns));
    return 1;
}

static int duration_ns(lua_State *L)
{
    return push_whole(L, 1);
}

static int duration_us(lua_State *L)
{
    return push_whole(L, 1000);
}

static int duration_ms(lua_State *L)
{
    return push_whole(L, TH_MS);
}

static int duration_s(lua_State *L)
{
    return push_exact(L, 1e9);
}

static int duration_minutes(lua_State *L)
{
    return push_exact(L, 60e9);
}

static int duration_hours(lua_State *L)
{
    return push_exact(L, 3600e9);
}

static int duration_equal(lua_State *L)
{
    int64_t other;

    lua_pushboolean(L, th_duration_test(L, 2, &other) &&
                           other == self_ns(L, &duration_class));
    return 1;
}

static const luaL_Reg duration_methods[] = {{"nanoseconds", duration_ns},
                                            {"microseconds", duration_us},
                                            {"milliseconds", duration_ms},
                                            {"seconds", duration_s},
                                            {"minutes", duration_minutes},
                                            {"hours", duration_hours},
                                            {NULL, NULL}};

static const luaL_Reg duration_meta[] = {{"__tostring", duration_tostring},
                                         {"__eq", duration_equal},
                                         {NULL, NULL}};

static const th_class duration_class = {TH_SLOT_DURATION, "duration", duration_methods,
                                        duration_meta};

/* --- Waiting ------------------------------------------------------------------ */

void th_time_fired(th_lua *lua, th_alarm *alarm)
{
    bool *tag = th_alarm_tag(alarm);

    th_alarm_drop(lua->process, alarm);
    if (*tag) {
        after *timer = th_container_of(tag, after, is_source);

        timer->alarm = NULL;
        timer->letter.at = th_process_wall(lua->process);
        th_source_put(lua, &timer->source, &timer->letter);
        th_source_close(lua, &timer->source);
    } else {
        sleeper *one = th_container_of(tag, sleeper, is_source);
        th_task *task = one->task;

        th_holding_drop(lua, &one->holding);
        th_task_wake(lua, task);
    }
}

static void release_sleeper(th_lua *lua, th_holding *holding)
{
    sleeper *one = th_container_of(holding, sleeper, holding);

    (void)lua;
    th_slab_free(one, sizeof *one);
}

/* At a process's end its alarms are gone already; the kernel dropped them. */
static void release_after(th_lua *lua, th_holding *holding)
{
    th_source *source = th_container_of(holding, th_source, holding);
    after *timer = th_container_of(source, after, source);

    if (timer->alarm != NULL && !lua->is_ending) {
        th_alarm_drop(lua->process, timer->alarm);
    }
    th_letter_free(lua, &timer->letter);
    th_slab_free(timer, sizeof *timer);
}

static th_mono due_in(const th_lua *lua, int64_t ns)
{
    int64_t now = th_process_now(lua->process).ns;

    return (th_mono){ns > INT64_MAX - now ? INT64_MAX : now + ns};
}

static th_err sleep_for(th_lua *lua, int64_t ns)
{
    sleeper *one = th_slab_new(sizeof *one);
    th_alarm *alarm;
    th_err err;

    if (one == NULL) {
        return TH_QUOTA;
    }
    one->is_source = false;
    one->task = lua->current;
    err = th_alarm_set(lua->process, due_in(lua, ns), &one->is_source, &alarm);
    if (err != TH_OK) {
        th_slab_free(one, sizeof *one);
        return err;
    }
    th_holding_add(lua, &one->holding, release_sleeper);
    return TH_OK;
}

static int sleep_next(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

static int bad_duration(lua_State *L)
{
    return th_lua_fail(L, TH_INVALID, "invalid duration: %s",
                       luaL_tolstring(L, 1, NULL));
}

static int too_many(lua_State *L, th_err err)
{
    return th_lua_fail(L, err, "the process has too many timers");
}

static int time_sleep(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "time.sleep");
    int64_t ns;
    th_err err;

    luaL_checkany(L, 1);
    if (th_duration_read(L, 1, 1, &ns) != TH_OK) {
        return bad_duration(L);
    }
    if (ns <= 0) {
        return 0;
    }
    th_task_check_wait(L, lua);
    err = sleep_for(lua, ns);
    if (err != TH_OK) {
        return too_many(L, err);
    }
    return th_task_wait(L, lua, sleep_next);
}

static th_err start_timer(th_lua *lua, int64_t ns, after **out)
{
    after *timer = th_slab_new(sizeof *timer);
    th_err err;

    if (timer == NULL) {
        return TH_QUOTA;
    }
    timer->is_source = true;
    th_source_init(&timer->source, TH_SOURCE_AFTER);
    err = th_alarm_set(lua->process, due_in(lua, ns), &timer->is_source, &timer->alarm);
    if (err != TH_OK) {
        th_slab_free(timer, sizeof *timer);
        return err;
    }
    th_letter_init(lua, &timer->letter, TH_LETTER_TIME);
    timer->letter.is_embedded = true;
    th_holding_add(lua, &timer->source.holding, release_after);
    *out = timer;
    return TH_OK;
}

static int time_after(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "time.after");
    after *timer;
    int64_t ns;
    th_err err;

    luaL_checkany(L, 1);
    if (th_duration_read(L, 1, 1, &ns) != TH_OK || ns <= 0) {
        return bad_duration(L);
    }
    err = start_timer(lua, ns, &timer);
    if (err != TH_OK) {
        return too_many(L, err);
    }
    th_channel_push(L, lua, &timer->source);
    th_holding_weaken(L, lua, &timer->source.holding);
    return 1;
}

/* --- The module --------------------------------------------------------------- */

static int time_now(lua_State *L)
{
    th_time_push(L, th_process_wall(th_lua_self_anywhere(L, "time.now")->process));
    return 1;
}

static int time_from_unix(lua_State *L)
{
    lua_Integer seconds = luaL_checkinteger(L, 1);
    int64_t ns;

    if (__builtin_mul_overflow(seconds, TH_S, &ns) ||
        __builtin_add_overflow(ns, luaL_optinteger(L, 2, 0), &ns)) {
        return luaL_argerror(L, 1, "this is no time");
    }
    th_time_push(L, (th_wall){ns});
    return 1;
}

static int time_parse_duration(lua_State *L)
{
    int64_t ns;

    luaL_checkany(L, 1);
    if (th_duration_read(L, 1, 1, &ns) != TH_OK) {
        return bad_duration(L);
    }
    th_duration_push(L, ns);
    return 1;
}

int th_time_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"now", time_now},
                                         {"after", time_after},
                                         {"sleep", time_sleep},
                                         {"unix", time_from_unix},
                                         {"parse_duration", time_parse_duration},
                                         {NULL, NULL}};
    static const struct {
        const char *name;
        int64_t ns;
    } constants[] = {{"NANOSECOND", 1}, {"MICROSECOND", 1000}, {"MILLISECOND", TH_MS},
                     {"SECOND", TH_S},  {"MINUTE", 60 * TH_S}, {"HOUR", 3600 * TH_S}};

    luaL_newlib(L, functions);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        lua_pushinteger(L, constants[i].ns);
        lua_setfield(L, -2, constants[i].name);
    }
    return 1;
}
