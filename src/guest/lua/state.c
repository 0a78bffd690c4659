#include "guest/lua/state.h"

#include "kernel/checkpoint.h"

#include <lgc.h>     /* to hold the patches to their promise, to size tables, and */
#include <lobject.h> /* to make a string a piece at a time */
#include <lstate.h>
#include <lstring.h>
#include <ltable.h>

#include <string.h>

/* th_id reads the number of all four with one load. */
_Static_assert(offsetof(Table, id) == 12, "identity stands at offset 12");
_Static_assert(offsetof(CClosure, id) == 12, "identity stands at offset 12");
_Static_assert(offsetof(LClosure, id) == 12, "identity stands at offset 12");
_Static_assert(offsetof(Udata, id) == 12, "identity stands at offset 12");
_Static_assert(offsetof(lua_State, id) == 12, "identity stands at offset 12");
_Static_assert(offsetof(Udata, len) == offsetof(Udata0, len), "Udata0 begins alike");
_Static_assert(LUA_EXTRASPACE == sizeof(th_lua *), "the owner fits before a state");

/* --- What the patched sources ask for ----------------------------------------- */

th_arena *th_lua_state_arena(lua_State *L)
{
    void *arena;

    (void)lua_getallocf(L, &arena);
    return arena;
}

unsigned int th_hashseed(lua_State *L)
{
    return th_arena_seeds_of(th_lua_state_arena(L))->hash;
}

/* A number for math.randomseed() without arguments. */
unsigned long long th_dice(lua_State *L)
{
    th_arena_seeds *seeds = th_arena_seeds_of(th_lua_state_arena(L));

    seeds->dice_used++;
    return th_arena_dice(&seeds->dice);
}

/* The first state of math.random, four words, when the library is opened. */
void th_seed(lua_State *L, void *state)
{
    th_arena_seeds *seeds = th_arena_seeds_of(th_lua_state_arena(L));

    th_assert(state == seeds->random);
    seeds->is_open = true;
    for (int i = 0; i < 4; i++) {
        seeds->random[i] = th_arena_dice(&seeds->dice);
    }
}

void *th_random(lua_State *L)
{
    return th_arena_seeds_of(th_lua_state_arena(L))->random;
}

/*
 * What a buffer holds becomes a string, a large one a piece at a time: its memory was
 * not touched before, which takes a millisecond for each 2 MiB or so.
 */
#define PIECE_BYTES ((size_t)256 << 10)

void th_pushpieces(lua_State *L, const char *from, size_t bytes)
{
    TString *string;
    char *to;

    if (bytes <= PIECE_BYTES || bytes >= MAX_SIZE - sizeof(TString)) {
        lua_pushlstring(L, from, bytes);
        return;
    }
    string = luaS_createlngstrobj(L, bytes);
    setsvalue2s(L, L->top.p, string);
    L->top.p++;
    to = getstr(string);
    for (size_t done = 0; done < bytes; done += PIECE_BYTES) {
        size_t left = bytes - done;

        memcpy(to + done, from + done, left < PIECE_BYTES ? left : PIECE_BYTES);
        th_checkpoint();
    }
    luaC_checkGC(L);
}

/* --- Libraries ---------------------------------------------------------------- */

/*
 * collectgarbage: what can be asked is harmless; nobody stops the collector. Inside
 * a finalizer lua_gc answers -1, and then nil is the result, as in any Lua.
 */
static int collect_garbage(lua_State *L)
{
    static const char *const options[] = {"collect",   "count",       "step",
                                          "isrunning", "incremental", "generational",
                                          NULL};
    int option = luaL_checkoption(L, 1, "collect", options);
    int result;

    switch (option) {
    case 0:
        result = lua_gc(L, LUA_GCCOLLECT);
        lua_pushinteger(L, result);
        break;
    case 1:
        result = lua_gc(L, LUA_GCCOUNT);
        lua_pushnumber(L, result + (lua_Number)lua_gc(L, LUA_GCCOUNTB) / 1024);
        break;
    case 2:
        result = lua_gc(L, LUA_GCSTEP, (int)luaL_optinteger(L, 2, 0));
        lua_pushboolean(L, result);
        break;
    case 3:
        result = lua_gc(L, LUA_GCISRUNNING);
        lua_pushboolean(L, result);
        break;
    default:
        result =
            option == 4 ? lua_gc(L, LUA_GCINC, 0, 0, 0) : lua_gc(L, LUA_GCGEN, 0, 0);
        lua_pushstring(L, result == LUA_GCGEN ? "generational" : "incremental");
        break;
    }
    if (result == -1) {
        lua_pushnil(L);
    }
    return 1;
}

/* Give the hash part of the table on top room for @n, no more, no less. */
static void size_table(lua_State *L, unsigned n)
{
    luaH_resize(L, hvalue(s2v(L->top.p - 1)), 0, n);
}

/*
 * The global table stays on the stack while the others come. It has 32 names with ours,
 * and one more would double it: warn, which says nothing here, is not among them.
 */
static void open_base(lua_State *L)
{
    static const char *const absent[] = {"dofile", "loadfile", "print", "warn"};

    lua_pushglobaltable(L);
    size_table(L, 32);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 0);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, absent[i]);
    }
    lua_pushcfunction(L, collect_garbage);
    lua_setfield(L, -2, "collectgarbage");
    /* Messages name a function by where they find it below this. */
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* Without dump, 16 nodes are enough; what that frees is just right for math. */
static void open_string(lua_State *L)
{
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    size_table(L, 16);
    lua_setglobal(L, LUA_STRLIBNAME);
}

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    lua_setglobal(L, name);
}

static void open_libraries(lua_State *L)
{
    open_base(L);
    open_string(L);
    open_library(L, LUA_MATHLIBNAME, luaopen_math);
    open_library(L, LUA_COLIBNAME, luaopen_coroutine);
    open_library(L, LUA_TABLIBNAME, luaopen_table);
    open_library(L, LUA_UTF8LIBNAME, luaopen_utf8);
}

/* --- Steps -------------------------------------------------------------------- */

static int run_setup(lua_State *L)
{
    const th_lua_plan *plan = lua_touserdata(L, 1);

    open_libraries(L);
    lua_settop(L, 0);
    return plan->setup == NULL ? 0 : plan->setup(L, plan->context);
}

static int run_prepare(lua_State *L)
{
    const th_lua_plan *plan = lua_touserdata(L, 1);

    lua_settop(L, 0);
    return plan->prepare == NULL ? 0 : plan->prepare(L, plan->context);
}

static int run_collection(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

static th_err run(lua_State *L, lua_CFunction function, const th_lua_plan *plan,
                  int results)
{
    int status;

    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, (void *)plan);
    status = lua_pcall(L, 1, results, 0);
    if (status == LUA_OK) {
        return TH_OK;
    }
    return status == LUA_ERRMEM ? TH_QUOTA : TH_FAILED;
}

/* What is raised outside any protected call is a bug of ours. */
static int panic(lua_State *L)
{
    (void)L;
    th_assert_failed("an error was raised outside a protected call", __FILE__,
                     __LINE__);
}

th_err th_lua_state_new(lua_State **out, th_arena *arena, const th_lua_plan *plan,
                        const th_lua_birth *birth)
{
    th_arena_seeds *seeds = th_arena_seeds_of(arena);
    lua_State *L;
    th_err err;

    *seeds = (th_arena_seeds){.dice = birth->dice, .hash = birth->hash_seed};
    L = lua_newstate(th_arena_is_fixed(arena) ? th_arena_alloc_zeroed : th_arena_alloc,
                     arena);
    if (L == NULL) {
        return TH_QUOTA;
    }
    lua_atpanic(L, panic);
    memcpy(lua_getextraspace(L), &birth->owner, sizeof birth->owner);
    err = run(L, run_setup, plan, 0);
    if (err != TH_OK) {
        return err;
    }
    *out = L;
    return TH_OK;
}

th_err th_lua_state_prepare(lua_State *L, const th_lua_plan *plan)
{
    th_err err = run(L, run_prepare, plan, LUA_MULTRET);

    if (err != TH_OK) {
        return err;
    }
    return lua_checkstack(L, LUA_MINSTACK) ? run(L, run_collection, plan, 0) : TH_QUOTA;
}

const char *th_lua_state_text(lua_State *L, int value)
{
    if (lua_type(L, value) == LUA_TSTRING) {
        return lua_tostring(L, value);
    }
    return "the error is not a text";
}
