/*
 * process.send: the hot path of a node.
 *
 * To read a PID text costs more than to send a message, and a text means the same
 * process for ever: what was resolved once is kept for each thread, known by its
 * unique part and compared byte by byte. The text to which a process sends twice in a
 * row it keeps, and then the string itself, which cannot become another, is compared.
 */
#include "core/id.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"
#include "kernel/kernel.h"

#include <lobject.h> /* strings are read in place, and told apart by where they are */
#include <lstate.h>

#include <string.h>

#define KNOWN 256 /* a power of 2 */
#define KNOWN_BYTES 104

typedef struct known {
    const th_kernel *kernel;
    uint64_t boot;
    th_pid pid;
    uint32_t bytes;
    char text[KNOWN_BYTES];
} known;

static __thread known knowns[KNOWN];

/* By the last bytes, in which the texts of one program differ. */
static known *slot_of(th_slice text)
{
    uint64_t tail;

    memcpy(&tail, text.at + text.bytes - sizeof tail, sizeof tail);
    return &knowns[(tail * UINT64_C(0x9E3779B97F4A7C15)) >> 56 & (KNOWN - 1)];
}

static bool is_pid_text(th_slice text)
{
    return text.bytes >= 16 && text.bytes <= KNOWN_BYTES && text.at[0] == '{';
}

/* Only a unique part that the node made is one process's for ever. */
static void keep(known *slot, const th_kernel *kernel, th_slice text, th_pid pid)
{
    size_t at = text.bytes;
    th_slice unique;
    uint64_t boot;
    th_pid own;

    while (at > 0 && text.at[at - 1] != '|') {
        at--;
    }
    unique = th_slice_of(text.at + at, text.bytes - at - 1);
    if (th_unique_decode(&boot, &own, unique) != TH_OK || !th_pid_eq(own, pid)) {
        return;
    }
    *slot = (known){.kernel = kernel,
                    .boot = th_kernel_boot(kernel),
                    .pid = pid,
                    .bytes = (uint32_t)text.bytes};
    memcpy(slot->text, text.at, text.bytes);
}

/* The argument if it is a string, else NULL. */
static const TString *string_at(lua_State *L, int argument)
{
    StkId at = L->ci->func.p + argument;

    return at < L->top.p && ttisstring(s2v(at)) ? tsvalue(s2v(at)) : NULL;
}

/* The text of an argument; raises if it is none. */
static th_slice text_at(lua_State *L, int argument)
{
    const TString *string = string_at(L, argument);
    th_slice text;

    if (string != NULL) {
        return th_slice_of(getstr(string), tsslen(string));
    }
    text.at = luaL_checklstring(L, argument, &text.bytes);
    return text;
}

/* The second time in a row that it sends to this PID text, it keeps it. */
static void remember(lua_State *L, th_lua *lua, int argument, th_pid pid)
{
    const TString *string = string_at(L, argument);

    if (string == lua->to_next) {
        lua_pushvalue(L, argument);
        lua_rawseti(L, LUA_REGISTRYINDEX, TH_SLOT_TO);
        lua->to = string;
        lua->to_pid = pid;
    }
    lua->to_next = string;
}

static th_err find(lua_State *L, th_lua *lua, int argument, th_pid *out)
{
    th_slice text = text_at(L, argument);
    const th_kernel *kernel = th_process_kernel(lua->process);
    known *slot = NULL;
    th_id_error error;
    th_err err;

    if (is_pid_text(text)) {
        slot = slot_of(text);
        if (slot->bytes == text.bytes && slot->kernel == kernel &&
            slot->boot == th_kernel_boot(kernel) &&
            th_slice_eq_short(th_slice_of(slot->text, slot->bytes), text)) {
            *out = slot->pid;
            remember(L, lua, argument, slot->pid);
            return TH_OK;
        }
    }
    err = th_process_resolve(lua->process, text, out, &error);
    if (err == TH_OK && slot != NULL) {
        keep(slot, kernel, text, *out);
    }
    return err;
}

int th_process_fail(lua_State *L, th_err err, int argument)
{
    const char *name = lua_tostring(L, argument);

    switch (err) {
    case TH_NOT_FOUND:
        return th_lua_fail(L, err, "process not found: %s", name);
    case TH_INVALID:
        return th_lua_fail(L, err, "not a process id or name: %s", name);
    case TH_QUOTA:
        return th_lua_fail(L, err,
                           "its mailbox is full, or the node's memory is short; send "
                           "less at a time, or try again later: %s",
                           name);
    case TH_EXISTS:
        return th_lua_fail(L, err, "it exists already: %s", name);
    case TH_DENIED:
        return th_lua_fail(L, err, TH_DENIED_TEXT ": %s", name);
    default:
        return th_lua_fail(L, err, "%s: %s", th_reason_of(err)->text, name);
    }
}

int th_process_fail_value(lua_State *L, const char *name)
{
    return th_lua_fail(L, TH_INVALID, TH_NO_FORM_TEXT ": %s", name);
}

bool th_process_find(lua_State *L, th_lua *lua, int argument, th_pid *out)
{
    const TString *string = string_at(L, argument);
    th_slice text;
    th_err err;

    if (string != NULL && string == lua->to) {
        *out = lua->to_pid;
        return true;
    }
    err = find(L, lua, argument, out);
    if (err == TH_OK) {
        return true;
    }
    text = text_at(L, argument);
    if (err == TH_NOT_FOUND && (text.bytes == 0 || text.at[0] != '{')) {
        th_lua_fail(L, err, "could not resolve '%s': process not found", text.at);
    } else {
        th_process_fail(L, err, argument);
    }
    return false;
}

/* --- Sending ------------------------------------------------------------------ */

static th_msg *make(th_slice topic, const th_buf *body)
{
    th_msg_parts parts = {.kind = TH_MSG_SEND,
                          .format = TH_FORMAT_TERM,
                          .topic = topic,
                          .body = th_buf_slice(body)};

    return th_msg_new(&parts);
}

/* One value, or none: no message outlives the call if it is refused. */
static th_err send_one(lua_State *L, th_lua *lua, th_pid to, th_slice topic)
{
    th_buf *body;
    th_msg *msg;
    th_err err = th_message_encode(L, lua, 3, &body);

    if (err != TH_OK) {
        return err;
    }
    msg = make(topic, body);
    if (msg == NULL) {
        return TH_QUOTA;
    }
    err = th_process_send(lua->process, to, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

static void drop_outgoing(th_lua *lua)
{
    th_list *node;

    while ((node = th_list_pop(&lua->outgoing)) != NULL) {
        th_msg_unref(th_msg_of(th_container_of(node, th_item, link)));
    }
}

/* All values are encoded before the first is sent. */
static th_err make_all(lua_State *L, th_lua *lua, th_slice topic, int n)
{
    drop_outgoing(lua);
    for (int i = 0; i < n; i++) {
        th_buf *body;
        th_err err = th_message_encode(L, lua, 3 + i, &body);
        th_msg *msg = err == TH_OK ? make(topic, body) : NULL;

        if (msg == NULL) {
            return err == TH_OK ? TH_QUOTA : err;
        }
        th_list_push(&lua->outgoing, &msg->item.link);
    }
    return TH_OK;
}

static th_err send_all(lua_State *L, th_lua *lua, th_pid to, th_slice topic)
{
    th_err err = make_all(L, lua, topic, lua_gettop(L) - 2);
    th_list *node;

    while (err == TH_OK && (node = th_list_pop(&lua->outgoing)) != NULL) {
        th_msg *msg = th_msg_of(th_container_of(node, th_item, link));

        err = th_process_send(lua->process, to, msg);
        if (err != TH_OK) {
            th_msg_unref(msg);
        }
    }
    drop_outgoing(lua);
    return err;
}

static bool check_topic(lua_State *L, th_slice *topic)
{
    *topic = text_at(L, 2);
    if (topic->bytes == 0) {
        th_lua_fail(L, TH_INVALID, "topic cannot be empty");
        return false;
    }
    if (topic->at[0] == '@') {
        th_lua_fail(L, TH_INVALID, "topics that begin with @ are reserved");
        return false;
    }
    if (topic->bytes > TH_TOPIC_BYTES_MAX) {
        th_lua_fail(L, TH_INVALID, "a topic has at most %d bytes", TH_TOPIC_BYTES_MAX);
        return false;
    }
    return true;
}

/* process.send(destination, topic, ...): a message for each value, all or none. */
int th_process_api_send(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.send");
    int top = lua_gettop(L);
    th_slice topic;
    th_pid to;
    th_err err;

    if (top < 2) {
        return th_lua_fail(L, TH_INVALID, "send needs a destination and a topic");
    }
    if (!check_topic(L, &topic) || !th_process_find(L, lua, 1, &to)) {
        return 2;
    }
    th_buf_clear(&lua->why);
    if (top == 2) {
        lua_pushnil(L);
    }
    err = top <= 3 ? send_one(L, lua, to, topic) : send_all(L, lua, to, topic);
    if (err == TH_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (lua->why.bytes > 0) {
        return th_message_fail(L, lua, err);
    }
    return err == TH_INVALID ? th_process_fail_value(L, lua_tostring(L, 1))
                             : th_process_fail(L, err, 1);
}
