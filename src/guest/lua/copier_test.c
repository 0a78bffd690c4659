#include "guest/lua/copier.h"

#include "codec/term.h"
#include "guest/lua/lua_testing.h"
#include "guest/lua/owner.h"

/*
 * Damaged terms. That whole ones cross unchanged is test/lua/values_cross_unchanged.
 */

/* A state with an owner that has nothing else. */
static lua_State *state_of(th_lua *lua, th_arena **arena)
{
    lua_State *L = testing_state(arena, 1, 1);

    memset(lua, 0, sizeof *lua);
    *(th_lua **)lua_getextraspace(L) = lua;
    return L;
}

static th_err outcome;

static int push(lua_State *L)
{
    const th_slice *term = lua_touserdata(L, 1);

    outcome = th_copier_push(L, *term);
    return 0;
}

static th_err decode(lua_State *L, th_slice term)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, push);
    lua_pushlightuserdata(L, &term);
    return lua_pcall(L, 1, 0, 0) == LUA_OK ? outcome : TH_QUOTA;
}

static void put_sample(th_buf *term)
{
    th_term_put_header(term, TH_TERM_SHARED);
    th_term_put_table(term, 6, 3);
    th_term_put_int(term, 5);
    th_term_put_real(term, 0.5);
    th_term_put_string(term,
                       TH_SLICE("a longer string, which is not a short one of Lua's"));
    th_term_put_table(term, 1, 0);
    th_term_put_ref(term, 0);
    th_term_put_tag(term, TH_TERM_ERROR);
    th_term_put_string(term, TH_SLICE("message"));
    th_term_put_string(term, TH_SLICE("Internal"));
    th_term_put_tag(term, TH_TERM_FALSE);
    th_term_put_table(term, 0, 0);
    th_term_put_tag(term, TH_TERM_NIL);
    th_term_put_ns(term, TH_TERM_TIME, 1);
    th_term_put_string(term, TH_SLICE("key"));
    th_term_put_ref(term, 1);
    th_term_put_table(term, 0, 1); /* a key */
    th_term_put_int(term, 1);
    th_term_put_tag(term, TH_TERM_TRUE);
    th_term_put_int(term, 70000);
    th_term_put_ns(term, TH_TERM_DURATION, 2);
    th_term_put_tag(term, TH_TERM_TRUE);
}

TEST(copier, a_term_that_is_cut_anywhere_is_refused)
{
    th_auto(th_arena) arena = NULL;
    th_auto_buf term = TH_BUF_INIT;
    th_lua lua;
    lua_State *L = state_of(&lua, &arena);

    put_sample(&term);
    T_EQ(decode(L, th_buf_slice(&term)), TH_OK);
    for (size_t bytes = 0; bytes < term.bytes; bytes++) {
        T_EQ(decode(L, th_slice_of(term.at, bytes)), TH_INVALID);
    }
    th_buf_putc(&term, 0);
    T_EQ(decode(L, th_buf_slice(&term)), TH_INVALID);
}

TEST(copier, any_bytes_are_a_term_or_refused)
{
    th_auto(th_arena) arena = NULL;
    th_auto_buf sample = TH_BUF_INIT;
    th_lua lua;
    lua_State *L = state_of(&lua, &arena);
    uint64_t dice = 1;

    put_sample(&sample);
    for (int i = 0; i < 50000; i++) {
        char bytes[512];
        size_t n = sample.bytes;

        memcpy(bytes, sample.at, n);
        for (int change = 0; change < 1 + i % 4; change++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            bytes[(dice >> 33) % n] = (char)(dice >> 56);
        }
        decode(L, th_slice_of(bytes, n));
        if (i % 1000 == 0) {
            lua_gc(L, LUA_GCCOLLECT);
        }
    }
}

static void refuses(lua_State *L, th_buf *term)
{
    T_EQ(decode(L, th_buf_slice(term)), TH_INVALID);
    th_buf_clear(term);
}

TEST(copier, what_no_table_or_error_can_hold_is_refused)
{
    th_auto(th_arena) arena = NULL;
    th_auto_buf term = TH_BUF_INIT;
    th_lua lua;
    lua_State *L = state_of(&lua, &arena);

    th_term_put_header(&term, TH_TERM_PLAIN); /* {[nil] = 1} */
    th_term_put_table(&term, 0, 1);
    th_term_put_tag(&term, TH_TERM_NIL);
    th_term_put_int(&term, 1);
    refuses(L, &term);

    th_term_put_header(&term, TH_TERM_PLAIN); /* {[nan] = 1} */
    th_term_put_table(&term, 0, 1);
    th_term_put_real(&term, __builtin_nan(""));
    th_term_put_int(&term, 1);
    refuses(L, &term);

    th_term_put_header(&term, TH_TERM_PLAIN); /* {x = nil} */
    th_term_put_table(&term, 0, 1);
    th_term_put_string(&term, TH_SLICE("x"));
    th_term_put_tag(&term, TH_TERM_NIL);
    refuses(L, &term);

    th_term_put_header(&term,
                       TH_TERM_PLAIN); /* a reference without the header for it */
    th_term_put_table(&term, 1, 0);
    th_term_put_ref(&term, 0);
    refuses(L, &term);

    th_term_put_header(&term, TH_TERM_PLAIN); /* more values than there are bytes */
    th_term_put_table(&term, UINT32_MAX, UINT32_MAX);
    refuses(L, &term);

    th_term_put_header(&term, TH_TERM_PLAIN); /* an error whose message is a number */
    th_term_put_tag(&term, TH_TERM_ERROR);
    for (int i = 0; i < TH_TERM_ERROR_VALUES; i++) {
        th_term_put_int(&term, 1);
    }
    refuses(L, &term);
}

TEST(copier, memory_that_runs_out_while_building_leaves_nothing_behind)
{
    th_auto_buf term = TH_BUF_INIT;

    th_term_put_header(&term, TH_TERM_SHARED);
    for (int depth = 0; depth < 2000; depth++) {
        th_term_put_table(&term, 1, 0);
    }
    th_term_put_ref(&term, 7);
    for (uint64_t n = 0; n < 64; n++) {
        th_auto(th_arena) arena = NULL;
        th_lua lua;
        lua_State *L = state_of(&lua, &arena);
        th_err err;

        th_mem_fail_after(n);
        err = decode(L, th_buf_slice(&term));
        th_mem_fail_never();
        th_copier_deinit(&lua.copier);
        T_TRUE(err == TH_OK || err == TH_QUOTA);
    }
}
