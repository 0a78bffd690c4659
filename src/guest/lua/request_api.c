#include "guest/lua/request_api.h"

#include "base/slab.h"
#include "guest/lua/channel.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "guest/lua/time_api.h"

#define CALL_NS (5 * TH_S) /* the timeout of a call that gives none */

/*
 * Both records outlive the calls that make them: an ask until its reply was read, a
 * question until it is answered or garbage.
 */
typedef struct ask {
    th_holding holding;
    th_task *waiter; /* a call; NULL: the reply goes to request.replies() */
} ask;

typedef struct question {
    th_holding holding;
    th_msg *msg; /* held */
} question;

typedef struct handle {
    th_object object;
} handle;

enum {
    HANDLE_CONTEXT = 1,
    HANDLE_BODY,
    HANDLE_TARGET, /* as the caller wrote it */
    HANDLE_VALUES = HANDLE_TARGET,
};

static const th_class handle_class = {TH_SLOT_ASK, "request handle", NULL, NULL};

static void release_ask(th_lua *lua, th_holding *holding)
{
    ask *one = th_container_of(holding, ask, holding);

    (void)lua;
    th_slab_free(one, sizeof *one);
}

static void release_question(th_lua *lua, th_holding *holding)
{
    question *one = th_container_of(holding, question, holding);

    (void)lua;
    th_msg_unref(one->msg);
    th_slab_free(one, sizeof *one);
}

/* --- Arguments ---------------------------------------------------------------- */

typedef struct options {
    int64_t timeout_ns; /* 0: none */
    bool inherits;
    question *inherited;     /* NULL: none */
    th_slice metadata, blob; /* borrowed from the options' table */
    bool has_metadata;
} options;

/* Push field @name of the table at @at, by no metamethod. */
static int push_option(lua_State *L, int at, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, at);
}

/* The string in a field; it stays on the stack, for @out borrows it. */
static bool read_text(lua_State *L, int at, const char *name, th_slice *out)
{
    int type = push_option(L, at, name);

    if (type != LUA_TNIL && type != LUA_TSTRING) {
        luaL_error(L, "option '%s' must be a string, not a %s", name,
                   lua_typename(L, type));
    }
    if (type == LUA_TSTRING) {
        out->at = lua_tolstring(L, -1, &out->bytes);
    }
    return type == LUA_TSTRING;
}

static question *test_question(lua_State *L, int index);

/* The options at @at, the top of the stack; two values are left above it. */
static void read_options(lua_State *L, int at, int64_t timeout_ns, options *out)
{
    *out = (options){.timeout_ns = timeout_ns};
    if (lua_isnil(L, at)) {
        lua_settop(L, at + 2);
        return;
    }
    luaL_checktype(L, at, LUA_TTABLE);
    if (push_option(L, at, "timeout") != LUA_TNIL) {
        if (th_duration_read(L, -1, 1, &out->timeout_ns) != TH_OK ||
            out->timeout_ns <= 0) {
            luaL_error(L, "option 'timeout' must be a duration above 0");
        }
    }
    push_option(L, at, "inherit");
    out->inherits = lua_toboolean(L, -1);
    out->inherited = test_question(L, -1);
    lua_pop(L, 2);
    out->has_metadata = read_text(L, at, "metadata", &out->metadata);
    read_text(L, at, "blob", &out->blob);
}

/*
 * The body at @index into *parts: bytes for a string, else a term. Refuses: INVALID,
 * QUOTA, as th_message_encode.
 */
static th_err read_body(lua_State *L, th_lua *lua, int index, th_msg_parts *parts)
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

/* Raises nothing. NULL: memory ran out. */
static th_msg *make(th_msg_parts *parts, const options *with)
{
    th_msg *msg = NULL;

    parts->metadata = with->metadata;
    parts->flags = (uint8_t)((with->inherits ? TH_MSG_INHERIT : 0) |
                             (with->has_metadata ? TH_MSG_METADATA : 0));
    parts->expects_s = (uint64_t)((with->timeout_ns + TH_S - 1) / TH_S);
    if (with->blob.at != NULL) {
        parts->blob = th_blob_new(with->blob, th_slice_of(NULL, 0));
        if (parts->blob == NULL) {
            return NULL;
        }
    } else if (with->inherits && with->inherited != NULL) {
        parts->blob = th_blob_ref(with->inherited->msg->blob);
    }
    msg = th_msg_new(parts);
    th_blob_unref(parts->blob);
    return msg;
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

/* Push a handle that keeps the context and body, and note it. */
static ask *push_handle(lua_State *L, th_lua *lua, bool is_call)
{
    ask *one;

    luaL_checkstack(L, 8, NULL);
    th_object_new(L, &handle_class, sizeof(handle), HANDLE_VALUES);
    if (lua_istable(L, 3)) {
        push_option(L, 3, "context");
        lua_setiuservalue(L, -2, HANDLE_CONTEXT);
    }
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, HANDLE_BODY);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, HANDLE_TARGET);
    one = th_slab_new(sizeof *one);
    if (one == NULL) {
        luaL_error(L, "not enough memory");
    }
    one->waiter = is_call ? lua->current : NULL;
    th_holding_add(lua, &one->holding, release_ask);
    th_holding_anchor(L, &one->holding, false);
    return one;
}

static th_err dispatch(th_lua *lua, const th_ask *spec, const options *with,
                       th_msg *msg)
{
    th_request *request;
    th_pid to = spec->to;

    if (spec->tag != NULL) {
        return th_process_request(lua->process, spec, msg, &request);
    }
    if (with->inherited != NULL) {
        return th_process_forward(lua->process, with->inherited->msg, to, msg);
    }
    return th_process_send(lua->process, to, msg);
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

/*
 * Read the arguments, make the message and send it. TH_OK: a handle is on top if an
 * answer is expected. Otherwise nil and an error are.
 */
static th_err send(lua_State *L, th_lua *lua, int64_t timeout_ns, bool is_call)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST};
    th_ask spec = {.to = TH_PID_NONE};
    options with;
    th_msg *msg;
    th_err err;

    lua_settop(L, 3);
    read_options(L, 3, timeout_ns, &with);
    if (!th_process_find(L, lua, 1, &spec.to)) {
        return TH_NOT_FOUND;
    }
    err = read_body(L, lua, 2, &parts);
    if (err != TH_OK) {
        th_message_fail(L, lua, err);
        return err;
    }
    if (with.timeout_ns > 0) {
        spec.timeout_ns = (uint64_t)with.timeout_ns;
        spec.tag = push_handle(L, lua, is_call);
    }
    msg = make(&parts, &with);
    err = msg == NULL ? TH_QUOTA : dispatch(lua, &spec, &with, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
        if (spec.tag != NULL) {
            forget(L, lua, spec.tag);
        }
        fail_send(L, lua, err, spec.tag != NULL);
    }
    return err;
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
    REPLY_BLOB,
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

static int reply_blob(lua_State *L)
{
    return push_field(L, REPLY_BLOB);
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

static const luaL_Reg reply_methods[] = {
    {"body", reply_body},         {"blob", reply_blob},
    {"metadata", reply_metadata}, {"source", reply_source},
    {"context", reply_context},   {"handle", reply_handle},
    {"error", reply_error},       {NULL, NULL}};

static const th_class reply_class = {TH_SLOT_REPLY, "reply", reply_methods, NULL};

static void push_blob(lua_State *L, const th_msg *msg)
{
    if (msg->blob == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, msg->blob->at, msg->blob->bytes);
    }
}

/* A new object is on top, whose values are nil. */
static void set_metadata(lua_State *L, const th_msg *msg, int value)
{
    th_slice metadata = th_msg_metadata(msg);

    if ((msg->flags & TH_MSG_METADATA) != 0 || metadata.bytes > 0) {
        lua_pushlstring(L, metadata.at, metadata.bytes);
        lua_setiuservalue(L, -2, value);
    }
}

/* The reply is on top, the handle at @handle. */
static void set_response(lua_State *L, th_lua *lua, const th_msg *msg)
{
    th_message_push_request_body(L, msg);
    lua_setiuservalue(L, -2, REPLY_BODY);
    if (msg->blob != NULL) {
        push_blob(L, msg);
        lua_setiuservalue(L, -2, REPLY_BLOB);
    }
    set_metadata(L, msg, REPLY_METADATA);
    th_message_push_ident(L, lua, &msg->source);
    lua_setiuservalue(L, -2, REPLY_SOURCE);
}

/* Push an error whose original() is the body that was sent. */
static void push_failure(lua_State *L, th_err err, int handle_at)
{
    const th_reason *reason = th_reason_of(err);

    lua_getiuservalue(L, handle_at, HANDLE_TARGET);
    lua_pushfstring(L, "%s: %s",
                    err == TH_INVALID ? TH_NO_FORM_TEXT
                    : err == TH_QUOTA ? "its mailbox is full, or memory is short"
                                      : reason->text,
                    lua_tostring(L, -1));
    lua_remove(L, -2);
    th_lua_wrap_failure(L, err);
    lua_createtable(L, 0, 1);
    lua_getiuservalue(L, handle_at, HANDLE_BODY);
    lua_setfield(L, -2, "original");
    lua_setiuservalue(L, -2, TH_ERROR_DETAILS);
}

void th_reply_push(lua_State *L, th_lua *lua, th_letter *letter)
{
    ask *one = th_request_tag(letter->request);
    th_msg *response = th_request_response(letter->request);
    int handle_at;

    luaL_checkstack(L, 10, NULL);
    th_holding_push(L, &one->holding);
    handle_at = lua_gettop(L);
    th_object_new(L, &reply_class, sizeof(th_object), REPLY_VALUES);
    lua_pushvalue(L, handle_at);
    lua_setiuservalue(L, -2, REPLY_HANDLE);
    lua_getiuservalue(L, handle_at, HANDLE_CONTEXT);
    lua_setiuservalue(L, -2, REPLY_CONTEXT);
    if (response != NULL) {
        set_response(L, lua, response);
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

/* --- Questions ---------------------------------------------------------------- */

typedef struct question_object {
    th_object object;
    question *question;  /* NULL: nothing is held */
    int64_t deadline_ns; /* monotonic, 0: none */
    bool expects;
} question_object;

enum {
    QUESTION_BODY = 1,
    QUESTION_METADATA,
    QUESTION_SOURCE,
    QUESTION_VALUES = QUESTION_SOURCE,
};

static const th_class question_class;

static question *test_question(lua_State *L, int index)
{
    const question_object *object = th_object_test(L, index, TH_SLOT_QUESTION);

    return object == NULL ? NULL : object->question;
}

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

static int question_blob(lua_State *L)
{
    const question_object *object = th_object_check(L, 1, &question_class);

    if (object->question == NULL) {
        lua_pushnil(L);
    } else {
        push_blob(L, object->question->msg);
    }
    return 1;
}

static int question_expects(lua_State *L)
{
    const question_object *object = th_object_check(L, 1, &question_class);

    lua_pushboolean(L, object->expects);
    return 1;
}

/* How long its requester still waits: a Duration, or nil. */
static int question_deadline(lua_State *L)
{
    const question_object *object = th_object_check(L, 1, &question_class);
    th_lua *lua = th_lua_self(L, "request:deadline");

    if (object->deadline_ns == 0) {
        lua_pushnil(L);
    } else {
        th_duration_push(L, object->deadline_ns - th_process_now(lua->process).ns);
    }
    return 1;
}

static int fail_answer(lua_State *L, th_err err)
{
    switch (err) {
    case TH_NOT_FOUND:
        return th_lua_fail(L, err, "nobody waits for an answer");
    case TH_TIMED_OUT:
        return th_lua_fail(L, err, "it is answered already, or too late");
    case TH_QUOTA:
        return th_lua_fail(L, err,
                           "the requester's mailbox has no room for the answer");
    case TH_INVALID:
        return th_lua_fail(L, err, TH_NO_FORM_TEXT);
    default:
        return th_lua_fail(L, err, "%s", th_reason_of(err)->text);
    }
}

/* request:answer(body, {blob=, metadata=}) */
static int question_answer(lua_State *L)
{
    const question_object *object = th_object_check(L, 1, &question_class);
    th_lua *lua = th_lua_self(L, "request:answer");
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE};
    options with;
    th_msg *msg;
    th_err err;

    lua_settop(L, 3);
    read_options(L, 3, 0, &with);
    if (object->question == NULL) {
        return fail_answer(L, TH_NOT_FOUND);
    }
    err = read_body(L, lua, 2, &parts);
    if (err != TH_OK) {
        return th_message_fail(L, lua, err);
    }
    msg = make(&parts, &with);
    err = msg == NULL ? TH_QUOTA
                      : th_process_respond(lua->process, object->question->msg, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
        return fail_answer(L, err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg question_methods[] = {
    {"body", question_body},         {"blob", question_blob},
    {"metadata", question_metadata}, {"source", question_source},
    {"expects", question_expects},   {"deadline", question_deadline},
    {"answer", question_answer},     {NULL, NULL}};

static const th_class question_class = {TH_SLOT_QUESTION, "request", question_methods,
                                        NULL};

void th_question_push(lua_State *L, th_lua *lua, th_msg **taken)
{
    const th_msg *msg = *taken;
    bool expects = !th_pid_is_none(msg->requester);
    question_object *object;

    luaL_checkstack(L, 8, NULL);
    object = th_object_new(L, &question_class, sizeof *object, QUESTION_VALUES);
    object->expects = expects;
    object->deadline_ns = msg->deadline_ns;
    th_message_push_request_body(L, msg);
    lua_setiuservalue(L, -2, QUESTION_BODY);
    set_metadata(L, msg, QUESTION_METADATA);
    th_message_push_ident(L, lua, &msg->source);
    lua_setiuservalue(L, -2, QUESTION_SOURCE);
    if (expects || msg->blob != NULL) {
        question *one = th_slab_new(sizeof *one);

        if (one == NULL) {
            luaL_error(L, "not enough memory");
        }
        one->msg = th_take(taken);
        th_holding_add(lua, &one->holding, release_question);
        object->question = one;
        th_holding_anchor_weak(L, lua, &one->holding);
    }
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
