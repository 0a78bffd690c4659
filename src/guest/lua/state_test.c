#include "guest/lua/lua_testing.h"

TEST(state, guests_get_no_more_than_they_should)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    T_STR(testing_text(L,
                       "local names = {} for name in pairs(_G) do names[#names + 1] = "
                       "name end table.sort(names) return table.concat(names, ' ')"),
          "_G _VERSION assert collectgarbage coroutine error getmetatable ipairs load "
          "math next pairs pcall rawequal rawget rawlen rawset select setmetatable "
          "string table tonumber tostring type utf8 xpcall");
    testing_run(L, "assert(string.dump == nil and ('').dump == nil)");
}

TEST(state, collectgarbage_cannot_switch_the_collector_off)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    testing_run(
        L, "for _, o in ipairs{'stop', 'restart', 'setpause', 'setstepmul', ''} do "
           "  local ok, e = pcall(collectgarbage, o) "
           "  assert(not ok and e:find('invalid option')) "
           "end "
           "assert(collectgarbage() == 0 and collectgarbage('collect') == 0) "
           "assert(math.type(collectgarbage('count')) == 'float') "
           "assert(collectgarbage('isrunning') == true) "
           "assert(type(collectgarbage('step')) == 'boolean') "
           "assert(collectgarbage('generational') == 'incremental') "
           "assert(collectgarbage('incremental') == 'generational') "
           "local inside "
           "setmetatable({}, {__gc = function() inside = {collectgarbage()} end}) "
           "collectgarbage() assert(inside and inside[1] == nil)");
}

TEST(state, load_takes_text_and_an_environment)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    testing_run(L, "assert(load('x = y', 'c', 't', {y = 1})) "
                   "local e = {y = 2} load('x = y', 'c', nil, e)() assert(e.x == 2)");
}

TEST(state, messages_name_the_functions_of_libraries)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    testing_run(
        L, "local ok, e = pcall(string.rep) "
           "assert(e == \"bad argument #1 to 'string.rep' (string expected, got no "
           "value)\" or e:find(\"'rep'\"), e)");
}

TEST(state, a_limit_too_small_is_refused_at_every_step)
{
    th_lua_plan plan = {NULL, NULL, NULL};
    th_lua_birth birth = {NULL, 1, 1};
    size_t bytes_max = 1024;
    th_err err = TH_QUOTA;

    for (; err != TH_OK; bytes_max += 256) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = NULL;

        T_EQ(th_arena_new(&arena, 1024, bytes_max), TH_OK);
        err = th_lua_state_new(&L, arena, &plan, &birth);
        T_TRUE(err == TH_OK || (err == TH_QUOTA && L == NULL));
    }
    T_TRUE(bytes_max > 4096 && bytes_max < 32768);
}

TEST(state, a_guest_at_its_limit_gets_an_error_and_goes_on)
{
    th_auto(th_arena) arena = NULL;
    th_lua_plan plan = {NULL, NULL, NULL};
    th_lua_birth birth = {NULL, 1, 1};
    lua_State *L = NULL;

    T_EQ(th_arena_new(&arena, 8192, (size_t)1 << 20), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_OK);
    testing_run(L,
                "local t = {} "
                "local ok, e = pcall(function() for i = 1, 1e9 do t[i] = {} end end) "
                "assert(not ok and e == 'not enough memory') t = nil "
                "local ok, e = pcall(string.rep, 'x', 1 << 24) "
                "assert(not ok and e == 'not enough memory') "
                "for i = 1, 100 do local s = ('x'):rep(100000) end");
    T_TRUE(th_arena_held_bytes(arena) <= (size_t)1 << 20);
}

static int setup_or_prepare(lua_State *L, void *context)
{
    const char *source = context;

    if (luaL_loadbufferx(L, source, strlen(source), "=plan", "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L);
}

TEST(state, setup_registers_and_its_failure_is_told)
{
    th_lua_plan plan = {setup_or_prepare, NULL, "added = 42"};
    th_lua_birth birth = {NULL, 1, 1};
    th_arena *arena = NULL;
    lua_State *L = NULL;

    T_EQ(th_arena_new(&arena, 8192, (size_t)1 << 20), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_OK);
    T_EQ(lua_gettop(L), 0);
    testing_run(L, "assert(added == 42)");
    (void)th_arena_free(arena);

    plan.context = "error('no')";
    T_EQ(th_arena_new(&arena, 8192, (size_t)1 << 20), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_FAILED);
    (void)th_arena_free(arena);
}

TEST(state, prepare_leaves_its_results_on_the_stack)
{
    th_lua_plan plan = {NULL, setup_or_prepare,
                        "return function() return 7 end, 'two'"};
    th_lua_birth birth = {NULL, 1, 1};
    th_auto(th_arena) arena = NULL;
    lua_State *L = NULL;
    int results;

    T_EQ(th_arena_new(&arena, 8192, (size_t)1 << 20), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_OK);
    T_EQ(th_lua_state_prepare(L, &plan), TH_OK);
    T_EQ(lua_gettop(L), 2);
    lua_settop(L, 1);
    T_EQ(lua_resume(L, NULL, 0, &results), LUA_OK);
    T_EQ(lua_tointeger(L, -1), 7);

    lua_settop(L, 0);
    plan.context = "error('what it raised', 0)";
    T_EQ(th_lua_state_prepare(L, &plan), TH_FAILED);
    T_STR(th_lua_state_text(L, -1), "what it raised");
    plan.context = "error({})";
    T_EQ(th_lua_state_prepare(L, &plan), TH_FAILED);
    T_STR(th_lua_state_text(L, -1), "the error is not a text");
}

TEST(state, coroutines_know_the_owner_and_the_arena)
{
    int someone;
    th_lua_plan plan = {NULL, NULL, NULL};
    th_lua_birth birth = {(th_lua *)(void *)&someone, 1, 1};
    th_auto(th_arena) arena = NULL;
    lua_State *L = NULL;
    lua_State *co;

    T_EQ(th_arena_new(&arena, 8192, (size_t)1 << 20), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_OK);
    testing_run(L, "return coroutine.create(function() end)");
    co = lua_tothread(L, -1);
    T_TRUE((void *)th_lua_owner(L) == &someone);
    T_TRUE((void *)th_lua_owner(co) == &someone);
    T_TRUE(th_lua_state_arena(co) == arena);
}
