/*
 * Source: a channel's end that belongs to the process.
 *
 * What arrives from outside (messages, events, timers) is put into a source while
 * no Lua runs, and taken out by receive and select. So a source stands outside the
 * arena and touches no lua_State; its channel (channel.h) is a view of it. A letter
 * is handed to the task that has waited longest, else it waits itself.
 *
 * A holding is what the process must give back at its end. It has a number, under
 * which its Lua object is anchored: in TH_SLOT_HELD, or in TH_SLOT_WEAK once the
 * process may do without it.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_SOURCE_H
#define TH_GUEST_LUA_SOURCE_H

#include "base/list.h"
#include "guest/lua/lua_api.h"
#include "guest/lua/task.h"
#include "kernel/process.h"

typedef struct th_holding th_holding;

struct th_holding {
    th_list link; /* in th_lua.holdings */
    lua_Integer number;
    bool is_weak;
    void (*release)(th_lua *lua, th_holding *holding); /* frees it; touches no Lua */
};

void th_holding_add(th_lua *lua, th_holding *holding,
                    void (*release)(th_lua *lua, th_holding *holding));

/* Take it off the list and release it. */
void th_holding_drop(th_lua *lua, th_holding *holding);

/* Anchor the object at the top of the stack, which stays there. May raise. */
void th_holding_anchor(lua_State *L, th_holding *holding, bool weak);

/* The same for one that is weak from the start: released when nobody has its object. */
void th_holding_anchor_weak(lua_State *L, th_lua *lua, th_holding *holding);

/* Push its object, or nil when that is garbage. */
void th_holding_push(lua_State *L, const th_holding *holding);

/*
 * From now on it may go when its object is garbage. May raise. Now and then, this
 * gives back all that went.
 */
void th_holding_weaken(lua_State *L, th_lua *lua, th_holding *holding);

/* Give back all that went, without waiting for the occasion. May raise. */
void th_holding_collect(lua_State *L, th_lua *lua);

/* --- Letters ------------------------------------------------------------------ */

typedef enum th_letter_kind {
    TH_LETTER_MSG,
    TH_LETTER_EVENT,
    TH_LETTER_REPLY,
    TH_LETTER_TIME,
} th_letter_kind;

typedef struct th_letter {
    th_list held;           /* in th_lua.letters */
    th_list queue;          /* in its source or topic, or alone */
    th_list order;          /* in th_lua.unclaimed, or alone */
    struct th_topic *topic; /* whose it is while it is unclaimed */
    th_letter_kind kind;
    bool is_embedded; /* its memory is another's */
    bool is_charged;  /* to the mailbox, while it waits */
    union {
        th_msg *msg;         /* owned */
        th_request *request; /* owned */
        th_event event;      /* with references to from.name and exit; text owned */
        th_wall at;
    };
} th_letter;

/* NULL: memory ran out. */
th_letter *th_letter_new(th_lua *lua, th_letter_kind kind);
void th_letter_init(th_lua *lua, th_letter *letter, th_letter_kind kind);
void th_letter_free(th_lua *lua, th_letter *letter);

/* It waits, at the process's cost, or no longer does. */
void th_letter_charge(th_lua *lua, th_letter *letter);
void th_letter_discharge(th_lua *lua, th_letter *letter);

/* Keep @letter, which a binding is about to read; the one before it is freed. */
void th_letter_hold(th_lua *lua, th_letter *letter);

/* --- Sources ------------------------------------------------------------------ */

typedef enum th_source_kind {
    TH_SOURCE_INBOX,
    TH_SOURCE_EVENTS,
    TH_SOURCE_QUESTIONS,
    TH_SOURCE_REPLIES,
    TH_SOURCE_LISTEN,
    TH_SOURCE_AFTER,
} th_source_kind;

typedef struct th_source {
    th_source_kind kind;
    bool is_open;    /* somebody asked for its channel */
    bool is_closed;  /* nothing comes any more */
    bool is_message; /* LISTEN: give Message objects */
    bool is_held;    /* `holding` is on the list */
    th_holding holding;
    th_list letters; /* th_letter.queue, oldest first */
    th_list waiters; /* th_waiter.link, oldest first */
} th_source;

void th_source_init(th_source *source, th_source_kind kind);

/* What a LISTEN source listens to; NULL once it does not any more (listen_api.c). */
const struct th_topic *th_listener_topic(const th_source *source);

/* Give @letter, which is taken, to whoever waits, or queue it. */
void th_source_put(th_lua *lua, th_source *source, th_letter *letter);

/* Give a message, which is taken, to whoever has waited longest: some do. */
void th_source_hand(th_lua *lua, th_source *source, th_msg *msg);

/* The oldest letter, or NULL. INBOX: the oldest that nobody listens for. */
th_letter *th_source_take(th_lua *lua, th_source *source);
bool th_source_has_some(const th_lua *lua, const th_source *source);

/* Nothing comes any more: wakes all who wait. */
void th_source_close(th_lua *lua, th_source *source);

#endif
