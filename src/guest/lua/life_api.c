#include "guest/lua/life_api.h"

#include "guest/lua/claims.h"
#include "guest/lua/keeping.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/on_exit_value.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"

/* The owner has it meanwhile: to make a value of it may raise. */
static int life_on_exit(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "life.on_exit");

    th_on_exit_unref(lua->on_exit_in_hand);
    lua->on_exit_in_hand = th_process_on_exit(lua->process);
    th_on_exit_value_push(L, lua, lua->on_exit_in_hand);
    lua->on_exit_in_hand = th_on_exit_unref(lua->on_exit_in_hand);
    return 1;
}

/* --- set_on_exit -------------------------------------------------------------- */

static int fail(lua_State *L, th_err err, bool has_name)
{
    if (err == TH_UNSUPPORTED && !has_name) {
        return th_lua_fail(L, err,
                           "this process has no chosen name, by which it could come "
                           "again: spawn it with life.spawn{name = }, or with its "
                           "on_exit");
    }
    if (err == TH_INVALID) {
        return th_lua_fail(L, err,
                           "a target of the on-exit is neither a PID nor an "
                           "address");
    }
    return th_keep_fail(L, err, "the on-exit was not set");
}

static int was_set(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    th_err err = th_keep_arrived(L, lua)->saving.err;

    (void)status;
    (void)context;
    th_keep_done(lua);
    if (err != TH_OK) {
        return fail(L, err, true);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Set it, and begin to save it where @saves. */
static th_err set(th_lua *lua, const th_on_exit_plan *plan, bool saves)
{
    th_auto(th_on_exit) on_exit = NULL;
    th_keep *keep = NULL;
    th_err err = th_on_exit_plan_make(lua, plan, &on_exit);

    if (err == TH_OK && saves) {
        err = th_keep_new(lua, TH_SAVE_LIFE, 0, &keep);
    }
    if (err != TH_OK) {
        return err;
    }
    if (saves) {
        keep->before = th_process_on_exit(lua->process);
        keep->has_before = true;
    }
    err = th_process_set_on_exit(lua->process, on_exit);
    if (err != TH_OK) {
        th_keep_free(lua, keep);
        return err;
    }
    return saves ? th_keep_begin(lua, keep) : TH_OK;
}

static int life_set_on_exit(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "life.set_on_exit");
    bool has_name = th_process_ident(lua->process)->name != NULL;
    th_on_exit_plan plan;
    bool saves;
    th_err err;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    th_on_exit_plan_read(L, 1, &plan);
    saves = plan.kind != TH_ON_EXIT_NONE || th_keep_is_durable(lua);
    if (saves) {
        th_task_check_wait(L, lua);
    }
    err = set(lua, &plan, saves);
    if (err != TH_OK) {
        return fail(L, err, has_name);
    }
    if (saves) {
        return th_keep_wait(L, lua, was_set);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* --- The rest ----------------------------------------------------------------- */

static int life_address(lua_State *L)
{
    th_claims_push_self(L, th_lua_self(L, "life.address"));
    return 1;
}

/* As process.events() does, which is the way to hear of it. */
static int life_hear_stop(lua_State *L)
{
    const th_lua *lua = th_lua_self(L, "life.hear_stop");

    luaL_checktype(L, 1, LUA_TBOOLEAN);
    th_process_set_hears_stop(lua->process, lua_toboolean(L, 1));
    return 0;
}

int th_life_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"spawn", th_process_api_spawn_with},
                                         {"on_exit", life_on_exit},
                                         {"set_on_exit", life_set_on_exit},
                                         {"address", life_address},
                                         {"hear_stop", life_hear_stop},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
