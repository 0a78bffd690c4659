/*
 * Select: wait on several channels at once.
 *
 * A round looks at all cases, beginning one further than the last select did, so
 * that none starves. When none is ready, things are taken from the kernel until one
 * is. Only then does the task wait, in the lists of all channels; who serves it
 * withdraws the rest. Its waiters live in an object on its own stack.
 */
#include "guest/lua/channel.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"

typedef struct choice {
    th_object object;
    bool is_send;
    th_channel *channel;
} choice;

enum { CASE_CHANNEL = 1, CASE_VALUE, CASE_VALUES = CASE_VALUE };

#define CASES_MAX 4096

static const th_class case_class = {TH_SLOT_CASE, "channel case", NULL, NULL};
static const th_class wait_class = {TH_SLOT_WAIT, "channel wait", NULL, NULL};

typedef struct wait {
    th_object object;
    th_waiter waiters[];
} wait;

static choice *make_case(lua_State *L, bool is_send)
{
    choice *made = th_object_new(L, &case_class, sizeof *made, CASE_VALUES);

    made->is_send = is_send;
    made->channel = lua_touserdata(L, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, CASE_CHANNEL);
    return made;
}

/* Immutable, so one is enough for each channel. */
int th_channel_case_receive(lua_State *L)
{
    th_object_check(L, 1, &th_channel_class);
    if (lua_getiuservalue(L, 1, TH_CHANNEL_CASE) == LUA_TNIL) {
        make_case(L, false);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, TH_CHANNEL_CASE);
    }
    return 1;
}

int th_channel_case_send(lua_State *L)
{
    const th_channel *channel = th_object_check(L, 1, &th_channel_class);

    lua_settop(L, 2);
    if (channel->source != NULL) {
        return luaL_error(L, "cannot send to a channel that belongs to the process");
    }
    make_case(L, true);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, CASE_VALUE);
    return 1;
}

/* --- Results ------------------------------------------------------------------ */

/* With the value on top: { channel, value, ok }, and an error when not ok. */
static int result(lua_State *L, const choice *one, int at, bool ok)
{
    int value = lua_gettop(L);

    lua_createtable(L, 0, 4);
    lua_getiuservalue(L, at, CASE_CHANNEL);
    lua_setfield(L, -2, "channel");
    lua_pushboolean(L, ok);
    lua_setfield(L, -2, "ok");
    if (ok) {
        lua_pushvalue(L, value);
        lua_setfield(L, -2, "value");
    } else {
        th_lua_push_error(L, "InvalidState",
                          one->is_send ? "send on closed channel"
                                       : "channel is closed");
        lua_setfield(L, -2, "error");
    }
    return 1;
}

static int result_default(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "default");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "ok");
    return 1;
}

/* --- Looking ------------------------------------------------------------------ */

/*
 * The stack of a select: 1 the list, 2 a default asked for as an argument, then the
 * n cases.
 */
#define FIRST_CASE 3

static choice *case_at(lua_State *L, int i)
{
    return lua_touserdata(L, FIRST_CASE + i);
}

static bool is_ready(const th_lua *lua, const choice *one)
{
    return one->is_send ? th_channel_can_send(one->channel)
                        : th_channel_can_receive(lua, one->channel);
}

static int find_ready(lua_State *L, const th_lua *lua, unsigned turn, int n)
{
    for (int i = 0; i < n; i++) {
        int at = (int)((turn + (unsigned)i) % (unsigned)n);

        if (is_ready(lua, case_at(L, at))) {
            return at;
        }
    }
    return -1;
}

static int fire(lua_State *L, th_lua *lua, int i)
{
    const choice *one = case_at(L, i);
    bool ok = true;

    luaL_checkstack(L, 8, NULL);
    lua_getiuservalue(L, FIRST_CASE + i, CASE_CHANNEL);
    if (!one->is_send) {
        ok = th_channel_take(L, lua, lua_gettop(L));
    } else {
        lua_getiuservalue(L, FIRST_CASE + i, CASE_VALUE);
        ok = !one->channel->is_closed;
        if (ok) {
            th_channel_give(L, lua, lua_gettop(L) - 1, lua_gettop(L));
        }
    }
    return result(L, one, FIRST_CASE + i, ok);
}

/* --- Waiting ------------------------------------------------------------------ */

static int select_next(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    int i = lua->current->fired;
    const choice *one = case_at(L, i);
    bool ok;

    (void)status;
    (void)context;
    luaL_checkstack(L, 8, NULL);
    if (one->is_send) {
        ok = lua->current->ok;
        lua_getiuservalue(L, FIRST_CASE + i, CASE_VALUE);
    } else {
        ok = th_channel_arrived(L, lua, one->channel);
    }
    return result(L, one, FIRST_CASE + i, ok);
}

static th_list *list_of(const choice *one)
{
    th_channel *channel = one->channel;

    if (channel->source != NULL) {
        return &channel->source->waiters;
    }
    return one->is_send ? &channel->senders : &channel->receivers;
}

static int wait_for_all(lua_State *L, th_lua *lua, int n)
{
    th_task *task = lua->current;
    wait *all;

    luaL_checkstack(L, n + 4, NULL);
    all = th_object_new(L, &wait_class, sizeof *all + (size_t)n * sizeof *all->waiters,
                        0);
    for (int i = 0; i < n; i++) {
        const choice *one = case_at(L, i);

        all->waiters[i] = (th_waiter){.task = task, .which = i};
        if (one->is_send) {
            lua_getiuservalue(L, FIRST_CASE + i, CASE_VALUE);
            all->waiters[i].value_at = lua_gettop(L);
        }
        th_list_init(&all->waiters[i].link);
    }
    for (int i = 0; i < n; i++) {
        th_list_push(list_of(case_at(L, i)), &all->waiters[i].link);
    }
    task->waiters = all->waiters;
    task->waiters_count = n;
    return th_task_wait(L, lua, select_next);
}

/* Push the cases; returns how many. */
static int read_cases(lua_State *L)
{
    lua_Integer n;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    n = luaL_len(L, 1);
    luaL_argcheck(L, n >= 0 && n <= CASES_MAX, 1, "too many cases");
    luaL_checkstack(L, (int)n + 8, "too many cases");
    for (int i = 1; i <= (int)n; i++) {
        lua_rawgeti(L, 1, i);
        if (th_object_test(L, -1, TH_SLOT_CASE) == NULL) {
            luaL_error(L, "case %d of a select is a %s, not a channel case", i,
                       luaL_typename(L, -1));
        }
    }
    return (int)n;
}

static bool has_default(lua_State *L)
{
    bool asked;

    lua_pushliteral(L, "default");
    asked = lua_rawget(L, 1) != LUA_TNIL && lua_toboolean(L, -1);
    lua_pop(L, 1);
    return asked || lua_toboolean(L, 2);
}

int th_channel_select(lua_State *L)
{
    int n = read_cases(L);
    bool defaults = has_default(L);
    th_lua *lua = th_lua_self_or_none(L);
    unsigned turn = lua == NULL ? 0 : lua->turn++;
    int ready = n == 0 ? -1 : find_ready(L, lua, turn, n);

    while (ready < 0 && n > 0 && lua != NULL && th_mail_pump(lua)) {
        ready = find_ready(L, lua, turn, n);
    }
    if (ready >= 0) {
        return fire(L, lua, ready);
    }
    if (defaults) {
        return result_default(L);
    }
    lua = th_lua_self(L, "a channel to wait on");
    th_task_check_wait(L, lua);
    return wait_for_all(L, lua, n);
}
