#include "guest/lua/json.h"

#include "codec/term_json.h"
#include "guest/lua/copier.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "kernel/checkpoint.h"

/*
 * Values go by way of terms: one copier, one JSON. All that is held meanwhile is the
 * owner's, so a text of any length can be left in the midst and forgotten.
 */
static void look_up(void)
{
    th_checkpoint();
}

static th_json_work work_of(th_lua *lua)
{
    lua->json_pool.bytes_max = th_process_limits(lua->process)->memory_bytes_max;
    return (th_json_work){.pool = &lua->json_pool, .pause = look_up};
}

/* The text as a term in the owner's scratch. */
static th_err read_text(th_lua *lua, th_json_work *work, th_slice text)
{
    th_message_trim(lua);
    th_buf_clear(&lua->scratch);
    return th_term_from_json_in(work, &lua->scratch, text);
}

bool th_json_push(lua_State *L, th_slice text)
{
    th_lua *lua = th_lua_owner(L);
    th_json_work work = work_of(lua);

    return read_text(lua, &work, text) == TH_OK &&
           th_copier_push(L, th_buf_slice(&lua->scratch)) == TH_OK;
}

static int fail(lua_State *L, const char *kind, const char *what, const char *why)
{
    lua_pushnil(L);
    th_lua_push_error(L, kind, "%s: %s", what, why);
    return 2;
}

static int decode(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "json.decode");
    th_json_work work = work_of(lua);
    th_slice text;
    th_err err;

    text.at = luaL_checklstring(L, 1, &text.bytes);
    if (text.bytes == 0) {
        return fail(L, "Invalid", "json.decode", "the text is empty");
    }
    err = read_text(lua, &work, text);
    if (err == TH_INVALID) {
        lua_pushnil(L);
        th_lua_push_error(L, "Internal", "json.decode: %s, near byte %d",
                          work.error.what, (int)work.error.at + 1);
        return 2;
    }
    if (err != TH_OK) {
        return th_lua_fail(L, err, "json.decode: the memory limit is reached");
    }
    th_copier_push(L, th_buf_slice(&lua->scratch));
    return 1;
}

/* The text is in the owner's `json`; it becomes a string and is given back. */
static int push_text(lua_State *L, th_lua *lua)
{
    lua_pushlstring(L, th_buf_text(&lua->json), lua->json.bytes);
    th_buf_deinit(&lua->json);
    lua->json = TH_BUF_INIT;
    return 1;
}

static int encode(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "json.encode");
    th_json_work work = work_of(lua);
    th_buf *term;
    th_err err;

    luaL_checkany(L, 1);
    err = th_message_encode(L, lua, 1, &term);
    if (err == TH_INVALID) {
        return fail(L, "Internal", "json.encode", th_buf_text(&lua->why));
    }
    if (err == TH_OK) {
        th_buf_clear(&lua->json);
        err = th_term_to_json_in(&work, &lua->json, th_buf_slice(term));
    }
    if (err == TH_INVALID) {
        return fail(L, "Internal", "json.encode: this has no form in JSON",
                    work.error.what);
    }
    if (err != TH_OK) {
        return th_lua_fail(L, err, "json.encode: the memory limit is reached");
    }
    return push_text(L, lua);
}

void th_json_push_text(lua_State *L, int index, const char *what)
{
    th_lua *lua = th_lua_self(L, what);
    th_json_work work = work_of(lua);
    th_buf *term;
    th_err err = th_message_encode(L, lua, index, &term);

    if (err == TH_INVALID) {
        luaL_error(L, "%s has no form in JSON: %s", what, th_buf_text(&lua->why));
    }
    if (err == TH_OK) {
        th_buf_clear(&lua->json);
        err = th_term_to_json_in(&work, &lua->json, th_buf_slice(term));
    }
    if (err == TH_INVALID) {
        luaL_error(L, "%s has no form in JSON: %s", what, work.error.what);
    }
    if (err != TH_OK) {
        luaL_error(L, "%s: the memory limit is reached", what);
    }
    push_text(L, lua);
}

int th_json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"decode", decode},
                                         {"encode", encode},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
