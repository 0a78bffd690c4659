#include "guest/lua/request_api.h"

#include "base/slab.h"
#include "guest/lua/channel.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "guest/lua/question.h"

#define CALL_NS (5 * TH_S) /* the timeout of a call that gives none */

/* It outlives the call that makes it, until its reply was read. */
typedef struct ask {
    th_holding holding;
    th_task *waiter; /* a call; NULL: the reply goes to request.replies() */
} ask;

typedef struct handle {
    th_object object;
} handle;

enum {
    HANDLE_CONTEXT = 1,
    HANDLE_BODY,
    HANDLE_TARGET, /* as the caller wrote it */
    HANDLE_BLOB,   /* a string, or whose blob it was */
    HANDLE_VALUES = HANDLE_BLOB,
};

static const th_class handle_class = {TH_SLOT_ASK, "request handle", NULL, NULL};

static void release_ask(th_lua *lua, th_holding *holding)
{
    ask *one = th_container_of(holding, ask, holding);

    (void)lua;
    th_slab_free(one, sizeof *one);
}

/* --- Sending ------------------------------------------------------------------ */

/* Nobody waits for its reply any more. */
static void forget(lua_State *L, th_lua *lua, ask *one)
{
    th_slot_table(L, TH_SLOT_HELD, NULL);
    lua_pushnil(L);
    lua_rawseti(L, -2, one->holding.number);
    lua_pop(L, 1);
    th_holding_drop(lua, &one->holding);
}

/* Push what the options say of the blob: a string, whose it is, or nil. */
static void push_blob_option(lua_State *L)
{
    if (!lua_istable(L, 3)) {
        lua_pushnil(L);
    } else if (th_options_push(L, 3, "blob") == LUA_TNIL) {
        lua_pop(L, 1);
        th_options_push(L, 3, "inherit");
    }
}

static void push_context(lua_State *L)
{
    if (lua_istable(L, 3)) {
        th_options_push(L, 3, "context");
    } else {
        lua_pushnil(L);
    }
}

/* Push a handle that keeps the context and what is sent, and note it. */
static ask *push_handle(lua_State *L, th_lua *lua, bool is_call)
{
    ask *one;

    luaL_checkstack(L, 8, NULL);
    th_object_new(L, &handle_class, sizeof(handle), HANDLE_VALUES);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, HANDLE_BODY);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, HANDLE_TARGET);
    if (lua_istable(L, 3)) {
        push_context(L);
        lua_setiuservalue(L, -2, HANDLE_CONTEXT);
        push_blob_option(L);
        lua_setiuservalue(L, -2, HANDLE_BLOB);
    }
    one = th_slab_new(sizeof *one);
    if (one == NULL) {
        luaL_error(L, "not enough memory");
    }
    one->waiter = is_call ? lua->current : NULL;
    th_holding_add(lua, &one->holding, release_ask);
    th_holding_anchor(L, &one->holding, false);
    return one;
}

/* The request to inherit from; of a reply there is only the blob to inherit. */
static th_msg *question_of(const th_options *with)
{
    th_msg *msg = with->inherited == NULL ? NULL : th_parcel_msg(with->inherited);

    return msg == NULL || msg->kind != TH_MSG_REQUEST ? NULL : msg;
}

/* With an answer of its own it only goes on with the chain; else it delegates. */
static th_err dispatch(th_lua *lua, th_ask *spec, const th_options *with, th_msg *msg)
{
    th_msg *question = question_of(with);
    th_request *request;

    if (spec->tag != NULL) {
        spec->under = question;
        return th_process_request(lua->process, spec, msg, &request);
    }
    if (question != NULL) {
        return th_process_forward(lua->process, question, spec->to, msg);
    }
    return th_process_send(lua->process, spec->to, msg);
}

/* A request that expects an answer is refused for want of room in its sender alone. */
static void fail_send(lua_State *L, const th_lua *lua, th_err err, bool expects)
{
    if (err == TH_QUOTA && expects) {
        th_lua_fail(L, err,
                    "the process has its limit of %d open requests, or the node's "
                    "memory is short: %s",
                    (int)th_process_limits(lua->process)->requests_max,
                    lua_tostring(L, 1));
    } else {
        th_process_fail(L, err, 1);
    }
}

/* The error on top is told what was sent, and to whom. */
static void note_original(lua_State *L)
{
    luaL_checkstack(L, 6, NULL);
    lua_pushvalue(L, 1);
    th_lua_error_keep(L, "target");
    lua_pushvalue(L, 2);
    th_lua_error_keep(L, "original");
    push_context(L);
    th_lua_error_keep(L, "context");
    push_blob_option(L);
    th_lua_error_keep(L, "blob");
}

/* Where nobody is, it is the requester of what is passed on who is told. */
static bool find_target(lua_State *L, th_lua *lua, const th_options *with, th_pid *out)
{
    const th_msg *question = question_of(with);
    const char *reason;

    if (th_process_find(L, lua, 1, out)) {
        return true;
    }
    if (question == NULL || th_pid_is_none(question->requester) ||
        with->timeout_ns > 0) {
        return false;
    }
    lua_getiuservalue(L, -1, TH_ERROR_REASON);
    reason = lua_tostring(L, -1);
    if (reason == NULL || strcmp(reason, th_reason_of(TH_NOT_FOUND)->name) != 0) {
        lua_pop(L, 1);
        return false;
    }
    lua_pop(L, 3);
    *out = TH_PID_NONE;
    return true;
}

/*
 * Send the body at 2 to the target at 1, as @with says, whose table is at 3. TH_OK: a
 * handle is on top if an answer is expected. Otherwise nil and an error are.
 */
static th_err send_with(lua_State *L, th_lua *lua, const th_options *with, bool is_call)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST};
    th_ask spec = {.to = TH_PID_NONE};
    th_msg *msg;
    th_err err;

    if (!find_target(L, lua, with, &spec.to)) {
        note_original(L);
        return TH_NOT_FOUND;
    }
    if (with->timeout_ns > 0) {
        spec.timeout_ns = (uint64_t)with->timeout_ns;
        spec.tag = push_handle(L, lua, is_call);
    }
    err = th_options_body(L, lua, 2, &parts);
    if (err != TH_OK) {
        if (spec.tag != NULL) {
            forget(L, lua, spec.tag);
        }
        th_message_fail(L, lua, err);
        return err;
    }
    msg = th_options_make(lua, &parts, with);
    err = msg == NULL ? TH_QUOTA : dispatch(lua, &spec, with, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
        if (spec.tag != NULL) {
            forget(L, lua, spec.tag);
        }
        fail_send(L, lua, err, spec.tag != NULL);
        note_original(L);
    }
    return err;
}

static th_err send(lua_State *L, th_lua *lua, int64_t timeout_ns, bool is_call)
{
    th_options with;

    lua_settop(L, 3);
    th_options_read(L, 3, timeout_ns, &with);
    return send_with(L, lua, &with, is_call);
}

static int request_send(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "request.send");

    luaL_checkany(L, 2);
    if (send(L, lua, 0, false) != TH_OK) {
        return 2;
    }
    if (th_object_test(L, -1, TH_SLOT_ASK) == NULL) {
        lua_pushboolean(L, 1);
    }
    return 1;
}

int th_request_forward(lua_State *L, const th_parcel *question)
{
    th_lua *lua = th_lua_self(L, "request:forward");
    th_options with;

    th_options_read(L, 3, 0, &with);
    if (with.timeout_ns > 0) {
        return luaL_error(L, "forward takes no timeout: who asked waits, not this "
                             "process");
    }
    if (!with.has_metadata && lua_type(L, 5) == LUA_TSTRING) {
        with.metadata.at = lua_tolstring(L, 5, &with.metadata.bytes);
        with.has_metadata = true;
    }
    with.inherits = true;
    with.inherited = question;
    if (send_with(L, lua, &with, false) != TH_OK) {
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* --- Replies ------------------------------------------------------------------ */

void th_request_arrived(th_lua *lua, th_letter *letter)
{
    ask *one = th_request_tag(letter->request);
    th_task *task = one->waiter;

    if (task == NULL) {
        th_source_put(lua, &lua->replies, letter);
        return;
    }
    task->letter = letter;
    task->ok = true;
    th_task_wake(lua, task);
}

enum {
    REPLY_BODY = 1,
    REPLY_METADATA,
    REPLY_SOURCE,
    REPLY_CONTEXT,
    REPLY_HANDLE,
    REPLY_ERROR,
    REPLY_VALUES = REPLY_ERROR,
};

static const luaL_Reg reply_methods[];
static const th_class reply_class;

static int push_field(lua_State *L, int value)
{
    th_object_check(L, 1, &reply_class);
    lua_getiuservalue(L, 1, value);
    return 1;
}

static int reply_body(lua_State *L)
{
    return push_field(L, REPLY_BODY);
}

static int reply_metadata(lua_State *L)
{
    return push_field(L, REPLY_METADATA);
}

static int reply_source(lua_State *L)
{
    return push_field(L, REPLY_SOURCE);
}

static int reply_context(lua_State *L)
{
    return push_field(L, REPLY_CONTEXT);
}

static int reply_handle(lua_State *L)
{
    return push_field(L, REPLY_HANDLE);
}

static int reply_error(lua_State *L)
{
    return push_field(L, REPLY_ERROR);
}

static int reply_kind(lua_State *L)
{
    push_field(L, REPLY_ERROR);
    lua_pushstring(L, lua_isnil(L, -1) ? "response" : "error");
    return 1;
}

static const luaL_Reg reply_methods[] = {{"kind", reply_kind},
                                         {"body", reply_body},
                                         {"metadata", reply_metadata},
                                         {"source", reply_source},
                                         {"context", reply_context},
                                         {"handle", reply_handle},
                                         {"error", reply_error},
                                         {"blob", th_parcel_blob},
                                         {"has_blob", th_parcel_has_blob},
                                         {"mime", th_parcel_mime},
                                         {"capabilities", th_parcel_capabilities},
                                         {"has_capability", th_parcel_has_capability},
                                         {NULL, NULL}};

static const th_class reply_class = {TH_SLOT_REPLY, "reply", reply_methods, NULL};

/* The reply is on top. */
static void set_response(lua_State *L, th_lua *lua, th_parcel *reply, th_msg *msg)
{
    th_message_push_request_body(L, msg);
    lua_setiuservalue(L, -2, REPLY_BODY);
    th_question_set_metadata(L, msg, REPLY_METADATA);
    th_message_push_ident(L, lua, &msg->source);
    lua_setiuservalue(L, -2, REPLY_SOURCE);
    if (msg->blob != NULL || msg->caps != NULL) {
        th_parcel_hold(L, lua, reply, msg);
    }
}

static const char *failure_text(th_err err)
{
    switch (err) {
    case TH_INVALID:
        return TH_NO_FORM_TEXT;
    case TH_QUOTA:
        return "its mailbox is full, or memory is short";
    case TH_DENIED:
        return TH_DENIED_TEXT;
    case TH_NOT_FOUND:
        return "process not found";
    default:
        return th_reason_of(err)->text;
    }
}

/* Push an error that says what was sent, and to whom. */
static void push_failure(lua_State *L, th_err err, int handle_at)
{
    static const struct {
        int value;
        const char *name;
    } kept[] = {{HANDLE_BODY, "original"},
                {HANDLE_TARGET, "target"},
                {HANDLE_CONTEXT, "context"},
                {HANDLE_BLOB, "blob"}};

    lua_getiuservalue(L, handle_at, HANDLE_TARGET);
    lua_pushfstring(L, "%s: %s", failure_text(err), lua_tostring(L, -1));
    lua_remove(L, -2);
    th_lua_wrap_failure(L, err);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        lua_getiuservalue(L, handle_at, kept[i].value);
        th_lua_error_keep(L, kept[i].name);
    }
}

void th_reply_push(lua_State *L, th_lua *lua, th_letter *letter)
{
    ask *one = th_request_tag(letter->request);
    th_msg *response = th_request_response(letter->request);
    th_parcel *reply;
    int handle_at;

    luaL_checkstack(L, 10, NULL);
    th_holding_push(L, &one->holding);
    handle_at = lua_gettop(L);
    reply = th_object_new(L, &reply_class, sizeof *reply, REPLY_VALUES);
    lua_pushvalue(L, handle_at);
    lua_setiuservalue(L, -2, REPLY_HANDLE);
    lua_getiuservalue(L, handle_at, HANDLE_CONTEXT);
    lua_setiuservalue(L, -2, REPLY_CONTEXT);
    if (response != NULL) {
        set_response(L, lua, reply, response);
    } else {
        push_failure(L, th_request_reason(letter->request), handle_at);
        lua_setiuservalue(L, -2, REPLY_ERROR);
    }
    lua_remove(L, handle_at);
    forget(L, lua, one);
}

static int call_next(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    th_letter *letter = lua->current->letter;

    (void)status;
    (void)context;
    lua->current->letter = NULL;
    th_letter_push(L, lua, &lua->replies, letter);
    if (lua_getiuservalue(L, -1, REPLY_ERROR) != LUA_TNIL) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pop(L, 1);
    return 1;
}

static int request_call(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "request.call");

    luaL_checkany(L, 2);
    th_task_check_wait(L, lua);
    if (send(L, lua, CALL_NS, true) != TH_OK) {
        return 2;
    }
    return th_task_wait(L, lua, call_next);
}

static int request_replies(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "request.replies");

    th_channel_push(L, lua, &lua->replies);
    return 1;
}

static int request_listen(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "request.listen");

    th_channel_push(L, lua, &lua->questions);
    return 1;
}

void th_request_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"send", request_send},
                                         {"call", request_call},
                                         {"listen", request_listen},
                                         {"replies", request_replies},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_setglobal(L, "request");
}
