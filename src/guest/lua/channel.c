#include "guest/lua/channel.h"

#include "guest/lua/event.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "guest/lua/question.h"
#include "guest/lua/request_api.h"
#include "guest/lua/time_api.h"

#define BUFFER_SLOTS_MAX 64 /* made at once; more come as they are used */

/* --- Letters ------------------------------------------------------------------ */

/* The owner holds *@msg; a question may take it. */
static void push_msg(lua_State *L, th_lua *lua, const th_source *source, th_msg **msg)
{
    if (source->kind == TH_SOURCE_QUESTIONS) {
        th_question_push(L, lua, msg);
    } else if (source->kind == TH_SOURCE_INBOX || source->is_message) {
        th_message_push(L, lua, *msg);
    } else {
        th_message_push_body(L, *msg);
    }
}

void th_letter_push(lua_State *L, th_lua *lua, const th_source *source,
                    th_letter *letter)
{
    th_letter_hold(lua, letter);
    switch (letter->kind) {
    case TH_LETTER_MSG:
        push_msg(L, lua, source, &letter->msg);
        break;
    case TH_LETTER_EVENT:
        th_event_push(L, lua, &letter->event);
        break;
    case TH_LETTER_REPLY:
        th_reply_push(L, lua, letter);
        break;
    case TH_LETTER_TIME:
        th_time_push(L, letter->at);
        break;
    }
    th_letter_hold(lua, NULL);
}

/* --- What is ready ------------------------------------------------------------ */

bool th_channel_can_receive(const th_lua *lua, const th_channel *channel)
{
    if (channel->source != NULL) {
        return channel->source->is_closed || th_source_has_some(lua, channel->source);
    }
    return channel->count > 0 || !th_list_is_empty(&channel->senders) ||
           channel->is_closed;
}

bool th_channel_can_send(const th_channel *channel)
{
    return channel->count < channel->room || !th_list_is_empty(&channel->receivers) ||
           channel->is_closed;
}

/* Push the oldest value of the buffer. */
static void shift(lua_State *L, th_channel *channel, int index)
{
    lua_getiuservalue(L, index, TH_CHANNEL_BUFFER);
    lua_rawgeti(L, -1, channel->first + 1);
    lua_pushnil(L);
    lua_rawseti(L, -3, channel->first + 1);
    lua_remove(L, -2);
    channel->first = channel->first + 1 == channel->room ? 0 : channel->first + 1;
    channel->count--;
}

static void append(lua_State *L, th_channel *channel, int index, int value)
{
    lua_Integer at = channel->first + channel->count;

    lua_getiuservalue(L, index, TH_CHANNEL_BUFFER);
    lua_pushvalue(L, value);
    lua_rawseti(L, -2, (at >= channel->room ? at - channel->room : at) + 1);
    lua_pop(L, 1);
    channel->count++;
}

static th_waiter *oldest(const th_list *waiters)
{
    return th_container_of(waiters->next, th_waiter, link);
}

/* Push the value with which the oldest sender waits, who goes on. */
static void take_from_sender(lua_State *L, th_lua *lua, th_channel *channel)
{
    th_waiter *sender = oldest(&channel->senders);
    lua_State *its = sender->task->innermost;

    if (!lua_checkstack(its, 1)) {
        luaL_error(L, "stack overflow");
    }
    lua_pushvalue(its, sender->value_at);
    lua_xmove(its, L, 1);
    th_task_serve(lua, sender, true);
}

static bool take_own(lua_State *L, th_lua *lua, th_channel *channel, int index)
{
    if (channel->count > 0) {
        shift(L, channel, index);
        if (!th_list_is_empty(&channel->senders)) {
            take_from_sender(L, lua, channel);
            append(L, channel, index, lua_gettop(L));
            lua_pop(L, 1);
        }
        return true;
    }
    if (!th_list_is_empty(&channel->senders)) {
        take_from_sender(L, lua, channel);
        return true;
    }
    lua_pushnil(L);
    return false;
}

static bool take_outside(lua_State *L, th_lua *lua, th_source *source)
{
    th_letter *letter = th_source_take(lua, source);

    if (letter == NULL) {
        lua_pushnil(L);
        return false;
    }
    th_letter_push(L, lua, source, letter);
    return true;
}

bool th_channel_take(lua_State *L, th_lua *lua, int index)
{
    th_channel *channel = lua_touserdata(L, index);

    luaL_checkstack(L, 4, NULL);
    return channel->source != NULL ? take_outside(L, lua, channel->source)
                                   : take_own(L, lua, channel, index);
}

void th_channel_give(lua_State *L, th_lua *lua, int index, int value)
{
    th_channel *channel = lua_touserdata(L, index);

    luaL_checkstack(L, 4, NULL);
    if (!th_list_is_empty(&channel->receivers)) {
        th_waiter *receiver = oldest(&channel->receivers);
        lua_State *its = receiver->task->innermost;

        if (!lua_checkstack(its, 4)) {
            luaL_error(L, "stack overflow");
        }
        lua_pushvalue(L, value);
        lua_xmove(L, its, 1);
        receiver->task->values = 1;
        th_task_serve(lua, receiver, true);
        return;
    }
    append(L, channel, index, value);
}

bool th_channel_arrived(lua_State *L, th_lua *lua, const th_channel *channel)
{
    th_task *task = lua->current;
    th_letter *letter = task->letter;

    if (lua->msg_in_hand != NULL) {
        push_msg(L, lua, channel->source, &lua->msg_in_hand);
        lua->msg_in_hand = th_msg_unref(lua->msg_in_hand);
        return true;
    }
    if (letter != NULL) {
        task->letter = NULL;
        th_letter_push(L, lua, channel->source, letter);
        return true;
    }
    if (!task->ok) {
        lua_pushnil(L);
        return false;
    }
    return true;
}

/* --- Methods ------------------------------------------------------------------ */

static void wait_alone(th_lua *lua, th_list *waiters, int value_at)
{
    th_task *task = lua->current;

    task->single = (th_waiter){.task = task, .which = 0, .value_at = value_at};
    task->waiters = &task->single;
    task->waiters_count = 1;
    th_list_push(waiters, &task->single.link);
}

static int receive_next(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    const th_channel *channel = lua_touserdata(L, 1);

    (void)status;
    (void)context;
    lua_pushboolean(L, th_channel_arrived(L, lua, channel));
    return 2;
}

/* The hot path: a message that waits is read without a detour. */
static bool receive_direct(lua_State *L, th_lua *lua, th_source *source)
{
    th_msg *msg = th_mail_fetch(lua, source);

    if (msg == NULL) {
        return false;
    }
    lua->msg_in_hand = th_msg_unref(lua->msg_in_hand);
    lua->msg_in_hand = msg;
    push_msg(L, lua, source, &lua->msg_in_hand);
    lua->msg_in_hand = th_msg_unref(lua->msg_in_hand);
    return true;
}

static int channel_receive(lua_State *L)
{
    th_channel *channel = th_object_check(L, 1, &th_channel_class);
    th_lua *lua = th_lua_self_or_none(L);
    th_source *source = channel->source;

    lua_settop(L, 1);
    if (source != NULL && !source->is_closed && receive_direct(L, lua, source)) {
        lua_pushboolean(L, 1);
        return 2;
    }
    if (th_channel_can_receive(lua, channel)) {
        lua_pushboolean(L, th_channel_take(L, lua, 1));
        return 2;
    }
    lua = th_lua_self(L, "a channel to wait on");
    th_task_check_wait(L, lua);
    wait_alone(lua, source != NULL ? &source->waiters : &channel->receivers, 0);
    return th_task_wait(L, lua, receive_next);
}

static void check_own(lua_State *L, const th_channel *channel, const char *what)
{
    if (channel->source != NULL) {
        luaL_error(L, "cannot %s a channel that belongs to the process", what);
    }
}

static int raise_closed(lua_State *L)
{
    return luaL_error(L, "send on closed channel");
}

static int send_next(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    if (!th_lua_owner(L)->current->ok) {
        return raise_closed(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int channel_send(lua_State *L)
{
    th_channel *channel = th_object_check(L, 1, &th_channel_class);
    th_lua *lua = th_lua_self_or_none(L);

    lua_settop(L, 2);
    check_own(L, channel, "send to");
    if (channel->is_closed) {
        return raise_closed(L);
    }
    if (th_channel_can_send(channel)) {
        th_channel_give(L, lua, 1, 2);
        lua_pushboolean(L, 1);
        return 1;
    }
    lua = th_lua_self(L, "a channel to wait on");
    th_task_check_wait(L, lua);
    wait_alone(lua, &channel->senders, 2);
    return th_task_wait(L, lua, send_next);
}

static int channel_close(lua_State *L)
{
    th_channel *channel = th_object_check(L, 1, &th_channel_class);
    th_lua *lua = th_lua_self_or_none(L);

    check_own(L, channel, "close");
    if (channel->is_closed) {
        return luaL_error(L, "close of closed channel");
    }
    channel->is_closed = true;
    while (!th_list_is_empty(&channel->receivers)) {
        th_task_serve(lua, oldest(&channel->receivers), false);
    }
    while (!th_list_is_empty(&channel->senders)) {
        th_task_serve(lua, oldest(&channel->senders), false);
    }
    return 0;
}

/* --- Making ------------------------------------------------------------------- */

static const luaL_Reg methods[] = {{"send", channel_send},
                                   {"receive", channel_receive},
                                   {"close", channel_close},
                                   {"case_send", th_channel_case_send},
                                   {"case_receive", th_channel_case_receive},
                                   {NULL, NULL}};

const th_class th_channel_class = {TH_SLOT_CHANNEL, "channel", methods, NULL};

static th_channel *make(lua_State *L)
{
    th_channel *channel =
        th_object_new(L, &th_channel_class, sizeof *channel, TH_CHANNEL_VALUES);

    th_list_init(&channel->receivers);
    th_list_init(&channel->senders);
    return channel;
}

static void release_nothing(th_lua *lua, th_holding *holding)
{
    (void)lua;
    th_list_remove(&holding->link);
}

void th_channel_push(lua_State *L, th_lua *lua, th_source *source)
{
    if (source->is_open) {
        th_holding_push(L, &source->holding);
        return;
    }
    if (source->holding.release == NULL) { /* one of those in th_lua itself */
        th_holding_add(lua, &source->holding, release_nothing);
    }
    make(L)->source = source;
    th_holding_anchor(L, &source->holding, source->holding.is_weak);
    source->is_open = true;
}

static int channel_new(lua_State *L)
{
    lua_Integer room = luaL_optinteger(L, 1, 0);
    th_channel *channel;

    luaL_argcheck(L, room >= 0, 1, "a channel's size cannot be negative");
    channel = make(L);
    channel->room = room;
    if (room > 0) {
        lua_createtable(L, room < BUFFER_SLOTS_MAX ? (int)room : BUFFER_SLOTS_MAX, 0);
        lua_setiuservalue(L, -2, TH_CHANNEL_BUFFER);
    }
    return 1;
}

void th_channel_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", channel_new},
                                         {"select", th_channel_select},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_setglobal(L, "channel");
    th_class_open(L, &th_channel_class);
}
