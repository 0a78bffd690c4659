#include "guest/lua/message.h"

#include "codec/json_doc.h"
#include "guest/lua/json.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"
#include "kernel/kernel.h"

/* --- Bodies ------------------------------------------------------------------- */

#define METADATA_BYTES_MAX 4096 /* more is not looked into */

void th_message_push_value(lua_State *L, th_format format, th_slice body)
{
    if (format != TH_FORMAT_TERM) {
        lua_pushlstring(L, body.bytes == 0 ? "" : body.at, body.bytes);
    } else if (th_copier_push(L, body) != TH_OK) {
        lua_pushnil(L); /* only ours make terms, so this is a term from elsewhere */
    }
}

/* Does the metadata say {"format": "json"}? */
static bool is_json(const th_msg *msg)
{
    th_slice metadata = th_msg_metadata(msg), format = TH_SLICE("");
    th_auto(th_json) json = NULL;
    th_json_error error;

    if (metadata.bytes == 0 || metadata.bytes > METADATA_BYTES_MAX ||
        th_json_decode(&json, metadata, &error) != TH_OK) {
        return false;
    }
    return th_json_text(th_json_get(json, "format"), &format) &&
           th_slice_is(format, "json");
}

void th_message_push_body(lua_State *L, const th_msg *msg)
{
    th_slice body = th_msg_body(msg);

    if (msg->format == TH_FORMAT_BYTES && is_json(msg) && th_json_push(L, body)) {
        return;
    }
    th_message_push_value(L, (th_format)msg->format, body);
}

void th_message_push_request_body(lua_State *L, const th_msg *msg)
{
    th_message_push_value(L, (th_format)msg->format, th_msg_body(msg));
}

/* Most messages come from whom the last one came from, whose text is kept. */
void th_message_push_ident(lua_State *L, th_lua *lua, const th_ident *who)
{
    if (!th_pid_is_none(who->pid) && th_pid_eq(who->pid, lua->peer)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, TH_SLOT_PEER);
        return;
    }
    th_buf_clear(&lua->scratch);
    th_kernel_pid_text(th_process_kernel(lua->process), who, &lua->scratch);
    lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, TH_SLOT_PEER);
    lua->peer = who->pid;
}

/* --- Payload ------------------------------------------------------------------ */

static int payload_data(lua_State *L);
static int payload_format(lua_State *L);

static const luaL_Reg payload_methods[] = {{"data", payload_data},
                                           {"unmarshal", payload_data},
                                           {"get_format", payload_format},
                                           {NULL, NULL}};

static const th_class payload_class = {TH_SLOT_PAYLOAD, "payload", payload_methods,
                                       NULL};

static int payload_data(lua_State *L)
{
    th_object_check(L, 1, &payload_class);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int payload_format(lua_State *L)
{
    th_object_check(L, 1, &payload_class);
    lua_pushliteral(L, "lua/any");
    return 1;
}

void th_payload_wrap(lua_State *L)
{
    th_object_new(L, &payload_class, sizeof(th_object), 1);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

bool th_payload_unwrap(lua_State *L, int index)
{
    if (th_object_test(L, index, TH_SLOT_PAYLOAD) == NULL) {
        return false;
    }
    lua_getiuservalue(L, index, 1);
    return true;
}

/* --- Message ------------------------------------------------------------------ */

enum {
    MESSAGE_TOPIC = 1,
    MESSAGE_FROM,
    MESSAGE_PAYLOAD,
    MESSAGE_VALUES = MESSAGE_PAYLOAD
};

static int message_topic(lua_State *L);
static int message_from(lua_State *L);
static int message_payload(lua_State *L);
static int message_tostring(lua_State *L);

static const luaL_Reg message_methods[] = {{"topic", message_topic},
                                           {"from", message_from},
                                           {"payload", message_payload},
                                           {NULL, NULL}};
static const luaL_Reg message_meta[] = {{"__tostring", message_tostring}, {NULL, NULL}};

static const th_class message_class = {TH_SLOT_MESSAGE, "message", message_methods,
                                       message_meta};

static int push_part(lua_State *L, int part)
{
    th_object_check(L, 1, &message_class);
    lua_getiuservalue(L, 1, part);
    return 1;
}

static int message_topic(lua_State *L)
{
    return push_part(L, MESSAGE_TOPIC);
}

static int message_from(lua_State *L)
{
    return push_part(L, MESSAGE_FROM);
}

static int message_payload(lua_State *L)
{
    return push_part(L, MESSAGE_PAYLOAD);
}

static int message_tostring(lua_State *L)
{
    push_part(L, MESSAGE_TOPIC);
    lua_pushfstring(L, "message: %s", lua_tostring(L, -1));
    return 1;
}

void th_message_push(lua_State *L, th_lua *lua, const th_msg *msg)
{
    th_slice topic = th_msg_topic(msg);

    luaL_checkstack(L, 6, NULL);
    th_object_new(L, &message_class, sizeof(th_object), MESSAGE_VALUES);
    lua_pushlstring(L, topic.at, topic.bytes);
    lua_setiuservalue(L, -2, MESSAGE_TOPIC);
    th_message_push_ident(L, lua, &msg->source);
    lua_setiuservalue(L, -2, MESSAGE_FROM);
    th_message_push_body(L, msg);
    th_payload_wrap(L);
    lua_setiuservalue(L, -2, MESSAGE_PAYLOAD);
}

/* --- Encoding ----------------------------------------------------------------- */

#define SCRATCH_BYTES_KEPT 4096

void th_message_trim(th_lua *lua)
{
    if (lua->scratch.room > SCRATCH_BYTES_KEPT) {
        th_buf_deinit(&lua->scratch);
        lua->scratch = TH_BUF_INIT;
    }
}

static th_buf *scratch_of(th_lua *lua)
{
    th_message_trim(lua);
    th_buf_clear(&lua->scratch);
    return &lua->scratch;
}

th_err th_message_encode(lua_State *L, th_lua *lua, int index, th_buf **out)
{
    th_err err;

    *out = scratch_of(lua);
    err = th_copier_encode(L, index, *out, &lua->why);
    return err == TH_OK && (*out)->failed ? TH_QUOTA : err;
}

th_err th_message_encode_all(lua_State *L, th_lua *lua, int first, int n, th_buf **out)
{
    th_err err;

    *out = scratch_of(lua);
    err = th_copier_encode_all(L, first, n, *out, &lua->why);
    return err == TH_OK && (*out)->failed ? TH_QUOTA : err;
}

int th_message_fail(lua_State *L, th_lua *lua, th_err err)
{
    if (err == TH_INVALID && lua->why.bytes > 0) {
        return th_lua_fail(L, err, "a value cannot be sent: %s",
                           th_buf_text(&lua->why));
    }
    return th_lua_fail(L, err, "a value cannot be sent: %s", th_reason_of(err)->text);
}
