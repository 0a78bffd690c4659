#include "guest/lua/state_api.h"

#include "codec/term.h"
#include "guest/lua/keeping.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"

static int finish(lua_State *L, th_lua *lua, th_keep *keep, th_err err,
                  const char *what, lua_KFunction next)
{
    if (err == TH_OK) {
        err = th_keep_begin(lua, keep);
    }
    if (err != TH_OK) {
        return th_keep_fail(L, err, what);
    }
    return th_keep_wait(L, lua, next);
}

/* --- set ---------------------------------------------------------------------- */

/* The value at 1 as bytes: those of the string, or marked ones in the scratch. */
static th_err read_value(lua_State *L, th_lua *lua, th_slice *out)
{
    th_slice mark = TH_TERM_MARK;
    th_slice marked;
    th_buf *term;
    th_err err;

    if (lua_type(L, 1) == LUA_TSTRING) {
        out->at = lua_tolstring(L, 1, &out->bytes);
        if (!th_term_unmark(*out, &marked)) {
            return TH_OK; /* one that begins with the mark is kept as a term, too */
        }
    }
    err = th_message_encode(L, lua, 1, &term);
    if (err != TH_OK) {
        return err;
    }
    th_buf_clear(&lua->json);
    th_buf_put(&lua->json, mark.at, mark.bytes);
    th_buf_put(&lua->json, term->at, term->bytes);
    *out = th_buf_slice(&lua->json);
    return lua->json.failed ? TH_QUOTA : TH_OK;
}

/* Its own copy of @value. */
static th_err new_save(th_lua *lua, th_slice value, th_keep **out)
{
    th_keep *keep;
    th_err err = th_keep_new(lua, TH_SAVE_STATE, value.bytes, &keep);

    if (err != TH_OK) {
        return err;
    }
    keep->saving.value = th_blob_new(value, th_slice_of(NULL, 0));
    if (keep->saving.value == NULL) {
        th_keep_free(lua, keep);
        return TH_QUOTA;
    }
    *out = keep;
    return TH_OK;
}

static int saved(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    th_err err = th_keep_arrived(L, lua)->saving.err;

    (void)status;
    (void)context;
    th_keep_done(lua);
    if (err != TH_OK) {
        return th_keep_fail(L, err, "the state was not saved");
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int state_set(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "state.set");
    th_keep *keep = NULL;
    th_slice value;
    size_t bytes;
    th_err err;

    luaL_checkany(L, 1);
    th_task_check_wait(L, lua);
    err = read_value(L, lua, &value);
    if (err != TH_OK) {
        return th_message_fail(L, lua, err);
    }
    bytes = value.bytes;
    if (bytes <= TH_STATE_BYTES_MAX) {
        err = new_save(lua, value, &keep);
    }
    th_buf_deinit(&lua->json);
    lua->json = TH_BUF_INIT;
    if (bytes > TH_STATE_BYTES_MAX) {
        return th_lua_fail(L, TH_QUOTA,
                           "the state would have %d bytes, and the most is %d",
                           (int)(bytes > INT32_MAX ? INT32_MAX : bytes),
                           (int)TH_STATE_BYTES_MAX);
    }
    return finish(L, lua, keep, err, "the state was not saved", saved);
}

static int state_clear(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "state.clear");
    th_keep *keep = NULL;
    th_err err;

    th_task_check_wait(L, lua);
    err = th_keep_new(lua, TH_SAVE_NONE, 0, &keep);
    return finish(L, lua, keep, err, "the state was not cleared", saved);
}

/* --- get ---------------------------------------------------------------------- */

static void push_value(lua_State *L, th_slice bytes)
{
    th_slice term;

    if (!th_term_unmark(bytes, &term) || th_copier_push(L, term) != TH_OK) {
        lua_pushlstring(L, bytes.bytes == 0 ? "" : bytes.at, bytes.bytes);
    }
}

static int loaded(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    const th_saving *saving = &th_keep_arrived(L, lua)->saving;
    th_err err = saving->err;

    (void)status;
    (void)context;
    if (err == TH_OK) {
        push_value(L, th_buf_slice(&saving->loaded));
    }
    th_keep_done(lua);
    if (err == TH_NOT_FOUND) {
        lua_pushnil(L);
    } else if (err != TH_OK) {
        return th_keep_fail(L, err, "the state cannot be read");
    }
    return 1;
}

static int state_get(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "state.get");
    th_keep *keep = NULL;
    th_err err;

    th_task_check_wait(L, lua);
    err = th_keep_new(lua, TH_LOAD_STATE, TH_KEEPING_LOAD_BYTES, &keep);
    return finish(L, lua, keep, err, "the state cannot be read", loaded);
}

int th_state_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"set", state_set},
                                         {"get", state_get},
                                         {"clear", state_clear},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
