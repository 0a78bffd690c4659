/*
 * process.listen, unlisten, inbox and events: the channels that belong to a process.
 */
#include "base/slab.h"
#include "guest/lua/channel.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"
#include "guest/lua/process_api.h"

typedef struct listener {
    th_source source;
    th_topic *topic; /* NULL once it does not listen any more */
} listener;

const th_topic *th_listener_topic(const th_source *source)
{
    return ((const listener *)source)->topic;
}

static void release(th_lua *lua, th_holding *holding)
{
    th_source *source = th_container_of(holding, th_source, holding);

    while (!th_list_is_empty(&source->letters)) {
        th_letter_free(lua, th_container_of(source->letters.next, th_letter, queue));
    }
    th_slab_free(source, sizeof(listener));
}

static listener *start(th_lua *lua, th_topic *topic, bool is_message)
{
    listener *made = th_slab_new(sizeof *made);

    if (made == NULL) {
        return NULL;
    }
    th_source_init(&made->source, TH_SOURCE_LISTEN);
    made->source.is_message = is_message;
    made->topic = topic;
    th_holding_add(lua, &made->source.holding, release);
    return made;
}

static bool wants_messages(lua_State *L)
{
    bool wants;

    if (lua_isnoneornil(L, 2)) {
        return false;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "message");
    wants = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return wants;
}

static int out_of_memory(lua_State *L, th_lua *lua, th_topic *topic)
{
    if (topic != NULL) {
        th_mail_tidy(lua, topic);
    }
    return th_lua_fail(L, TH_QUOTA, "no memory to listen");
}

/* process.listen(topic, {message = true}): the same channel for the same topic. */
static int process_listen(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.listen");
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    bool is_message = wants_messages(L);
    th_topic *topic;
    listener *made;

    if (bytes == 0 || bytes > TH_TOPIC_BYTES_MAX) {
        return bytes == 0 ? th_lua_fail(L, TH_INVALID, "topic cannot be empty")
                          : th_lua_fail(L, TH_INVALID, "a topic has at most %d bytes",
                                        TH_TOPIC_BYTES_MAX);
    }
    if (text[0] == '@') {
        return th_lua_fail(L, TH_INVALID, "cannot listen to @ topics");
    }
    topic = th_mail_topic(lua, th_slice_of(text, bytes));
    if (topic != NULL && topic->listener != NULL) {
        topic->listener->is_message = is_message;
        th_channel_push(L, lua, topic->listener);
        return 1;
    }
    made = topic == NULL ? NULL : start(lua, topic, is_message);
    if (made == NULL) {
        return out_of_memory(L, lua, topic);
    }
    th_mail_claim(lua, topic, &made->source);
    th_channel_push(L, lua, &made->source);
    return 1;
}

/* process.unlisten(channel): what is queued can still be received. */
static int process_unlisten(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.unlisten");
    const th_channel *channel = th_object_check(L, 1, &th_channel_class);
    listener *own = (listener *)channel->source;

    if (own == NULL || own->source.kind != TH_SOURCE_LISTEN || own->topic == NULL) {
        lua_pushboolean(L, 0);
        th_lua_push_error(L, "NotFound", "channel not found");
        return 2;
    }
    th_holding_weaken(L, lua, &own->source.holding);
    th_mail_unclaim(lua, own->topic);
    own->topic = NULL;
    th_source_close(lua, &own->source);
    lua_pushboolean(L, 1);
    return 1;
}

static int process_inbox(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.inbox");

    th_channel_push(L, lua, &lua->inbox);
    return 1;
}

static int process_events(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "process.events");

    th_channel_push(L, lua, &lua->events);
    th_process_set_hears_stop(lua->process, true);
    return 1;
}

const luaL_Reg th_listen_functions[] = {{"listen", process_listen},
                                        {"unlisten", process_unlisten},
                                        {"inbox", process_inbox},
                                        {"events", process_events},
                                        {NULL, NULL}};
