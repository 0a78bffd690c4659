#include "guest/lua/task.h"

#include "guest/lua/owner.h"

static const th_class task_class = {TH_SLOT_TASK, "task", NULL, NULL};

void th_task_init(th_task *task, lua_State *base, lua_Integer number)
{
    task->base = task->innermost = base;
    task->values = 0;
    task->number = number;
    task->waiters = NULL;
    task->waiters_count = 0;
    task->msg = NULL;
    task->letter = NULL;
    th_list_init(&task->link);
    th_list_init(&task->single.link);
    task->single.task = task;
}

/* --- Waiting and waking ------------------------------------------------------- */

void th_task_check_wait(lua_State *L, th_lua *lua)
{
    if (lua->current == NULL) {
        luaL_error(L, "cannot wait while the chunk is loaded");
    }
    if (lua->pinned > 0 || !lua_isyieldable(L)) {
        luaL_error(L, "cannot wait here (inside a metamethod, a comparison or a "
                      "callback of a C function)");
    }
}

int th_task_wait(lua_State *L, th_lua *lua, lua_KFunction next)
{
    th_task *task = lua->current;

    task->innermost = L;
    task->values = 0;
    task->fired = -1;
    task->ok = false;
    lua->waits = true;
    return lua_yieldk(L, 0, 0, next);
}

void th_task_wake(th_lua *lua, th_task *task)
{
    th_list_push(&lua->ready, &task->link);
}

void th_task_serve(th_lua *lua, th_waiter *waiter, bool ok)
{
    th_task *task = waiter->task;

    for (int i = 0; i < task->waiters_count; i++) {
        th_list_remove(&task->waiters[i].link);
    }
    task->waiters_count = 0;
    task->fired = waiter->which;
    task->ok = ok;
    th_task_wake(lua, task);
}

/* --- Running ------------------------------------------------------------------ */

/* Take a task that ended out of its anchor. Raises nothing: the slot is there. */
static void forget(th_lua *lua, th_task *task)
{
    lua_State *L = lua->L;

    /* Setting an existing field to nil allocates nothing. */
    if (lua_checkstack(L, 2)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, TH_SLOT_TASKS);
        lua_pushnil(L);
        lua_rawseti(L, -2, task->number);
        lua_pop(L, 1);
    }
}

/* What it was handed is now in the hand of the binding that goes on. */
static void take_in_hand(th_lua *lua, th_task *task)
{
    if (lua->msg_in_hand != NULL) { /* of a binding that was left by an error */
        th_msg_unref(lua->msg_in_hand);
    }
    lua->msg_in_hand = task->msg;
    task->msg = NULL;
}

th_task_outcome th_task_run(th_lua *lua, th_task **ran, int *status)
{
    th_list *node = th_list_pop(&lua->ready);
    th_task *task;
    int values, results = 0;

    if (node == NULL) {
        return TH_TASK_WENT_ON;
    }
    task = th_container_of(node, th_task, link);
    *ran = task;
    values = task->innermost == task->base ? task->values : 0;
    lua->current = task;
    lua->waits = false;
    take_in_hand(lua, task);
    *status = lua_resume(task->base, NULL, values, &results);
    lua->current = NULL;
    if (*status == LUA_YIELD) {
        if (!lua->waits) { /* the guest's own: it lets the others run */
            lua_pop(task->base, results);
            task->innermost = task->base;
            task->values = 0;
            th_task_wake(lua, task);
        }
        lua->waits = false;
        return TH_TASK_WENT_ON;
    }
    if (*status != LUA_OK) {
        return TH_TASK_FAILED;
    }
    if (task == &lua->main) {
        return TH_TASK_DONE;
    }
    forget(lua, task);
    return TH_TASK_WENT_ON;
}

/* --- The library -------------------------------------------------------------- */

static lua_State *check_thread(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

/* Does @co belong to the scheduler, as a task or as part of a waiting one? */
static bool is_busy(lua_State *L, lua_State *co)
{
    th_lua *lua = th_lua_owner(L);
    bool busy;

    if (lua == NULL || lua->busy == 0) {
        return false;
    }
    if (!lua_checkstack(L, 4) || !lua_checkstack(co, 1)) {
        return false;
    }
    th_slot_table(L, TH_SLOT_BUSY, "k");
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    busy = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return busy;
}

static void set_busy(lua_State *L, lua_State *co, bool busy)
{
    th_lua *lua = th_lua_owner(L);

    luaL_checkstack(L, 4, NULL);
    th_slot_table(L, TH_SLOT_BUSY, "k");
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    if (busy) {
        lua_pushboolean(L, 1);
    } else {
        lua_pushnil(L);
    }
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua->busy += busy ? 1 : -1;
}

#define RESUME_FAILED (-1)
#define RESUME_WAITS (-2)

/* As Lua's own, but for a wait inside @co. Its results or its error move to L. */
static int resume_once(lua_State *L, lua_State *co, int values)
{
    th_lua *lua = th_lua_owner(L);
    bool pins = lua != NULL && !lua_isyieldable(L);
    int status, results = 0;

    if (pins) {
        lua->pinned++;
    }
    status = lua_resume(co, L, values, &results);
    if (pins) {
        lua->pinned--;
    }
    if (status == LUA_YIELD && lua != NULL && lua->waits) {
        return RESUME_WAITS;
    }
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return RESUME_FAILED;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return RESUME_FAILED;
    }
    lua_xmove(co, L, results);
    return results;
}

/* The first time, with what stands on L above @keep as the values. */
static int resume_first(lua_State *L, lua_State *co, int keep)
{
    int values = lua_gettop(L) - keep;

    if (is_busy(L, co)) {
        lua_pushliteral(L, "cannot resume non-suspended coroutine");
        return RESUME_FAILED;
    }
    if (!lua_checkstack(co, values)) {
        lua_pushliteral(L, "too many arguments to resume");
        return RESUME_FAILED;
    }
    lua_xmove(L, co, values);
    return resume_once(L, co, values);
}

/* After a wait inside @co: what it waited for came. */
static int resume_again(lua_State *L, lua_State *co)
{
    th_task *task = th_lua_owner(L)->current;

    set_busy(L, co, false);
    return resume_once(L, co, task->innermost == co ? task->values : 0);
}

static int resume_next(lua_State *L, int status, lua_KContext context);
static int wrap_next(lua_State *L, int status, lua_KContext context);

static int resume_done(lua_State *L, lua_State *co, int results)
{
    if (results == RESUME_WAITS) {
        set_busy(L, co, true);
        return lua_yieldk(L, 0, 0, resume_next);
    }
    if (results == RESUME_FAILED) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int resume_next(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = lua_tothread(L, 1);

    (void)status;
    (void)context;
    return resume_done(L, co, resume_again(L, co));
}

static int co_resume(lua_State *L)
{
    lua_State *co = check_thread(L);

    return resume_done(L, co, resume_first(L, co, 1));
}

static int wrap_failed(lua_State *L, lua_State *co)
{
    int status = lua_status(co);

    if (status != LUA_OK && status != LUA_YIELD) {
        status = lua_closethread(co, L);
        lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_done(lua_State *L, lua_State *co, int results)
{
    if (results == RESUME_WAITS) {
        set_busy(L, co, true);
        return lua_yieldk(L, 0, 0, wrap_next);
    }
    return results == RESUME_FAILED ? wrap_failed(L, co) : results;
}

static int wrap_next(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));

    (void)status;
    (void)context;
    return wrap_done(L, co, resume_again(L, co));
}

static int wrap_call(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));

    return wrap_done(L, co, resume_first(L, co, 0));
}

static int co_wrap(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, wrap_call, 1);
    return 1;
}

/* Lua's own, for coroutines that are the guest's. */
static lua_CFunction pristine_close, pristine_status;

static int co_close(lua_State *L)
{
    if (is_busy(L, check_thread(L))) {
        return luaL_error(L, "cannot close a normal coroutine");
    }
    return pristine_close(L);
}

static int co_status(lua_State *L)
{
    lua_State *co = check_thread(L);

    if (co != L && lua_status(co) == LUA_YIELD && is_busy(L, co)) {
        lua_pushliteral(L, "normal");
        return 1;
    }
    return pristine_status(L);
}

static int co_spawn(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "coroutine.spawn");
    lua_State *co;
    th_task *task;
    struct {
        th_object object;
        th_task task;
    } * made;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    made = th_object_new(L, &task_class, sizeof *made, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    set_busy(L, co, true);
    th_slot_table(L, TH_SLOT_TASKS, NULL);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, ++lua->numbers);
    task = &made->task;
    th_task_init(task, co, lua->numbers);
    th_task_wake(lua, task);
    lua_settop(L, 2);
    return 1;
}

void th_task_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"resume", co_resume}, {"wrap", co_wrap},
                                         {"close", co_close},   {"status", co_status},
                                         {"spawn", co_spawn},   {NULL, NULL}};
    lua_CFunction own;

    lua_getglobal(L, LUA_COLIBNAME);
    lua_getfield(L, -1, "close");
    own = lua_tocfunction(L, -1);
    __atomic_store_n(&pristine_close, own, __ATOMIC_RELAXED);
    lua_getfield(L, -2, "status");
    own = lua_tocfunction(L, -1);
    __atomic_store_n(&pristine_status, own, __ATOMIC_RELAXED);
    lua_pop(L, 2);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
