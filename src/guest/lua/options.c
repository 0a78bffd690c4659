#include "guest/lua/options.h"

#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/time_api.h"

/* --- Reading ------------------------------------------------------------------ */

int th_options_push(lua_State *L, int at, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, at);
}

bool th_options_text(lua_State *L, int at, const char *name, th_slice *out)
{
    int type = th_options_push(L, at, name);

    if (type != LUA_TNIL && type != LUA_TSTRING) {
        luaL_error(L, "option '%s' must be a string, not a %s", name,
                   lua_typename(L, type));
    }
    if (type == LUA_TSTRING) {
        out->at = lua_tolstring(L, -1, &out->bytes);
    }
    return type == LUA_TSTRING;
}

static void read_timeout(lua_State *L, int at, th_options *out)
{
    if (th_options_push(L, at, "timeout") != LUA_TNIL &&
        (th_duration_read(L, -1, 1, &out->timeout_ns) != TH_OK ||
         out->timeout_ns <= 0)) {
        luaL_error(L, "option 'timeout' must be a duration above 0");
    }
    lua_pop(L, 1);
}

/* A parcel that the table holds stays there: no code of the guest's runs meanwhile. */
static void read_inherit(lua_State *L, int at, th_options *out)
{
    int type = th_options_push(L, at, "inherit");

    out->inherits = lua_toboolean(L, -1);
    out->inherited = th_parcel_test(L, -1);
    if (out->inherited == NULL && type != LUA_TNIL && type != LUA_TBOOLEAN) {
        luaL_error(L, "option 'inherit' must be a request or a reply, not a %s",
                   luaL_typename(L, -1));
    }
}

static void read_blob(lua_State *L, int at, th_options *out)
{
    int type = th_options_push(L, at, "blob");

    out->blob_of = th_parcel_test(L, -1);
    if (type == LUA_TSTRING) {
        out->blob.at = lua_tolstring(L, -1, &out->blob.bytes);
    } else if (type != LUA_TNIL && out->blob_of == NULL) {
        luaL_error(L, "option 'blob' must be a string, a request or a reply, not a %s",
                   luaL_typename(L, -1));
    }
    if (th_options_text(L, at, "mime", &out->mime) && type != LUA_TSTRING) {
        luaL_error(L, "option 'mime' goes with a blob that is a string");
    }
}

void th_options_read(lua_State *L, int at, int64_t timeout_ns, th_options *out)
{
    *out = (th_options){.timeout_ns = timeout_ns};
    if (lua_isnil(L, at)) {
        return;
    }
    luaL_checktype(L, at, LUA_TTABLE);
    luaL_checkstack(L, 16, NULL);
    read_timeout(L, at, out);
    read_inherit(L, at, out);
    read_blob(L, at, out);
    out->has_metadata = th_options_text(L, at, "metadata", &out->metadata);
    if (th_options_push(L, at, "capabilities") != LUA_TNIL) {
        th_claims_read(L, -1, "option 'capabilities'", &out->claims);
    }
}

/* --- Making ------------------------------------------------------------------- */

th_err th_options_body(lua_State *L, th_lua *lua, int index, th_msg_parts *parts)
{
    th_buf *term;
    th_err err;

    if (lua_type(L, index) == LUA_TSTRING) {
        parts->format = TH_FORMAT_BYTES;
        parts->body.at = lua_tolstring(L, index, &parts->body.bytes);
        return TH_OK;
    }
    err = th_message_encode(L, lua, index, &term);
    if (err == TH_OK) {
        parts->format = TH_FORMAT_TERM;
        parts->body = th_buf_slice(term);
    }
    return err;
}

/* The blob that goes along: one reference, or NULL. False: memory ran out. */
static bool take_blob(const th_options *with, th_blob **out)
{
    const th_parcel *from = with->blob_of != NULL ? with->blob_of : with->inherited;

    *out = NULL;
    if (with->blob.at != NULL) {
        *out = th_blob_new(with->blob, with->mime);
        return *out != NULL;
    }
    if (from != NULL && th_parcel_msg(from) != NULL) {
        *out = th_blob_ref(th_parcel_msg(from)->blob);
    }
    return true;
}

th_msg *th_options_make(th_lua *lua, th_msg_parts *parts, const th_options *with)
{
    th_auto(th_blob) blob = NULL;
    th_auto(th_caps) caps = NULL;

    if (!take_blob(with, &blob)) {
        return NULL;
    }
    if (with->claims.n > 0) {
        caps = th_process_claim(lua->process, with->claims.at, with->claims.n);
        if (caps == NULL) {
            return NULL;
        }
    }
    parts->metadata = with->metadata;
    parts->flags = (uint8_t)((with->inherits ? TH_MSG_INHERIT : 0) |
                             (with->has_metadata ? TH_MSG_METADATA : 0));
    parts->expects_s = (uint64_t)((with->timeout_ns + TH_S - 1) / TH_S);
    parts->blob = blob;
    parts->caps = th_caps_count(caps) > 0 ? caps : NULL;
    return th_msg_new(parts);
}
