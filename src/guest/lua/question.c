#include "guest/lua/question.h"

#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "guest/lua/request_api.h"
#include "guest/lua/time_api.h"

typedef struct question {
    th_parcel parcel;
    int64_t deadline_ns; /* monotonic, 0: none */
    bool expects;
} question;

enum {
    QUESTION_BODY = 1,
    QUESTION_METADATA,
    QUESTION_SOURCE,
    QUESTION_VALUES = QUESTION_SOURCE,
};

static const th_class question_class;

void th_question_set_metadata(lua_State *L, const th_msg *msg, int value)
{
    th_slice metadata = th_msg_metadata(msg);

    if ((msg->flags & TH_MSG_METADATA) != 0 || metadata.bytes > 0) {
        lua_pushlstring(L, metadata.at, metadata.bytes);
        lua_setiuservalue(L, -2, value);
    }
}

/* --- What it says ------------------------------------------------------------- */

static int push_part(lua_State *L, int value)
{
    th_object_check(L, 1, &question_class);
    lua_getiuservalue(L, 1, value);
    return 1;
}

static int question_body(lua_State *L)
{
    return push_part(L, QUESTION_BODY);
}

static int question_metadata(lua_State *L)
{
    return push_part(L, QUESTION_METADATA);
}

static int question_source(lua_State *L)
{
    return push_part(L, QUESTION_SOURCE);
}

static int question_kind(lua_State *L)
{
    th_object_check(L, 1, &question_class);
    lua_pushliteral(L, "request");
    return 1;
}

/* A context is its sender's and never comes here; a Reply has one. */
static int question_context(lua_State *L)
{
    th_object_check(L, 1, &question_class);
    lua_pushnil(L);
    return 1;
}

static int question_expects(lua_State *L)
{
    const question *object = th_object_check(L, 1, &question_class);

    lua_pushboolean(L, object->expects);
    return 1;
}

/* How long its requester still waits: a Duration, or nil. */
static int question_deadline(lua_State *L)
{
    const question *object = th_object_check(L, 1, &question_class);
    th_lua *lua = th_lua_self(L, "request:deadline");

    if (object->deadline_ns == 0) {
        lua_pushnil(L);
    } else {
        th_duration_push(L, object->deadline_ns - th_process_now(lua->process).ns);
    }
    return 1;
}

/* --- What is done with it ----------------------------------------------------- */

static int fail_answer(lua_State *L, th_err err)
{
    switch (err) {
    case TH_NOT_FOUND:
        th_lua_fail(L, err, "nobody waits for an answer");
        break;
    case TH_TIMED_OUT:
        th_lua_fail(L, err, "it is answered already, or too late");
        break;
    case TH_QUOTA:
        th_lua_fail(L, err,
                    "the requester's mailbox has no room for the answer; it may be "
                    "tried again until the deadline");
        break;
    case TH_INVALID:
        th_lua_fail(L, err, TH_NO_FORM_TEXT);
        break;
    default:
        th_lua_fail(L, err, "%s", th_reason_of(err)->text);
    }
    lua_pushvalue(L, 2);
    th_lua_error_keep(L, "original");
    return 2;
}

/* request:answer(body, {blob=, mime=, metadata=, inherit=, capabilities=}) */
static int question_answer(lua_State *L)
{
    const question *object = th_object_check(L, 1, &question_class);
    th_msg *asked = th_parcel_msg(&object->parcel);
    th_lua *lua = th_lua_self(L, "request:answer");
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE};
    th_options with;
    th_msg *msg;
    th_err err;

    lua_settop(L, 3);
    th_options_read(L, 3, 0, &with);
    if (with.inherits && with.inherited == NULL) {
        with.inherited = &object->parcel;
    }
    if (asked == NULL) {
        return fail_answer(L, TH_NOT_FOUND);
    }
    err = th_options_body(L, lua, 2, &parts);
    if (err != TH_OK) {
        return th_message_fail(L, lua, err);
    }
    msg = th_options_make(lua, &parts, &with);
    err = msg == NULL ? TH_QUOTA : th_process_respond(lua->process, asked, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
        return fail_answer(L, err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* request:forward(dest, body, opts): as it is, where they say nothing else. */
static int question_forward(lua_State *L)
{
    const question *object = th_object_check(L, 1, &question_class);

    luaL_checkany(L, 2);
    lua_settop(L, 4);
    lua_rotate(L, 1, -1);
    if (lua_isnil(L, 2)) {
        lua_getiuservalue(L, 4, QUESTION_BODY);
        lua_replace(L, 2);
    }
    lua_getiuservalue(L, 4, QUESTION_METADATA);
    return th_request_forward(L, &object->parcel);
}

static const luaL_Reg question_methods[] = {{"kind", question_kind},
                                            {"body", question_body},
                                            {"metadata", question_metadata},
                                            {"source", question_source},
                                            {"context", question_context},
                                            {"expects", question_expects},
                                            {"deadline", question_deadline},
                                            {"blob", th_parcel_blob},
                                            {"has_blob", th_parcel_has_blob},
                                            {"mime", th_parcel_mime},
                                            {"capabilities", th_parcel_capabilities},
                                            {"has_capability",
                                             th_parcel_has_capability},
                                            {"answer", question_answer},
                                            {"forward", question_forward},
                                            {NULL, NULL}};

static const th_class question_class = {TH_SLOT_QUESTION, "request", question_methods,
                                        NULL};

void th_question_push(lua_State *L, th_lua *lua, th_msg **taken)
{
    const th_msg *msg = *taken;
    question *object;

    luaL_checkstack(L, 8, NULL);
    object = th_object_new(L, &question_class, sizeof *object, QUESTION_VALUES);
    object->expects = !th_pid_is_none(msg->requester);
    object->deadline_ns = msg->deadline_ns;
    th_message_push_request_body(L, msg);
    lua_setiuservalue(L, -2, QUESTION_BODY);
    th_question_set_metadata(L, msg, QUESTION_METADATA);
    th_message_push_ident(L, lua, &msg->source);
    lua_setiuservalue(L, -2, QUESTION_SOURCE);
    if (object->expects || msg->blob != NULL || msg->caps != NULL) {
        th_parcel_take(L, lua, &object->parcel, taken);
    }
}
