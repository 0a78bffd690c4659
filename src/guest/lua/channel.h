/*
 * Channel: coroutines of one process hand values to each other.
 *
 * A channel that a guest makes lies in the arena with its buffer and the lists of
 * those who wait; values pass by reference. One that belongs to the process
 * (listen, inbox, events, timers) is a view of a source and can only be received
 * from. Who waits is served in order. A closed channel gives what is buffered, then
 * nil and false; to send to one raises.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_CHANNEL_H
#define TH_GUEST_LUA_CHANNEL_H

#include "guest/lua/object.h"
#include "guest/lua/source.h"
#include "guest/lua/task.h"

typedef struct th_channel {
    th_object object;
    bool is_closed;
    th_source *source; /* NULL: the guest's own; else all below is unused */
    th_list receivers; /* th_waiter.link */
    th_list senders;   /* likewise; the buffer is full */
    lua_Integer room;  /* >= 0 */
    lua_Integer count; /* in the buffer, <= room */
    lua_Integer first; /* where its oldest is, 0..room-1 */
} th_channel;

enum {
    TH_CHANNEL_BUFFER = 1, /* user values: slots 1..room */
    TH_CHANNEL_CASE,       /* its case_receive, made once */
    TH_CHANNEL_VALUES = TH_CHANNEL_CASE,
};

extern const th_class th_channel_class;

/* Push the channel of @source, made at the first call. Raises when memory runs out. */
void th_channel_push(lua_State *L, th_lua *lua, th_source *source);

/* --- For select --------------------------------------------------------------- */

bool th_channel_can_receive(const th_lua *lua, const th_channel *channel);
bool th_channel_can_send(const th_channel *channel);

/*
 * Receive what is there: pushes the value and returns true, or pushes nil and
 * returns false when the channel is closed and empty. @index: the channel.
 */
bool th_channel_take(lua_State *L, th_lua *lua, int index);

/* Give the value at @value to the channel at @index, which can take it. */
void th_channel_give(lua_State *L, th_lua *lua, int index, int value);

/*
 * After a wait to receive: push what came, as th_channel_take. @value: it was pushed
 * by the sender and stands on top.
 */
bool th_channel_arrived(lua_State *L, th_lua *lua, const th_channel *channel);

/* Push the value that a letter stands for; the letter is used up. May raise. */
void th_letter_push(lua_State *L, th_lua *lua, const th_source *source,
                    th_letter *letter);

void th_channel_open(lua_State *L);

/* select.c */
int th_channel_select(lua_State *L);
int th_channel_case_receive(lua_State *L);
int th_channel_case_send(lua_State *L);

#endif
