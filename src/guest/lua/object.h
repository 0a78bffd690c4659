/*
 * Object: what our userdata have in common.
 *
 * Each begins with its class's number, so that a binding knows what it was given
 * without a look into the registry. Metatables stand in the registry under that
 * number and are made on first use; guests never see them. None has a finalizer.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_OBJECT_H
#define TH_GUEST_LUA_OBJECT_H

#include "guest/lua/lua_api.h"

#include <stdint.h>

/* Our places in the registry; Lua itself uses those up to LUA_RIDX_LAST. */
typedef enum th_slot {
    TH_SLOT_CHANNEL = LUA_RIDX_LAST + 2, /* classes: metatables */
    TH_SLOT_CASE,
    TH_SLOT_WAIT,
    TH_SLOT_TASK,
    TH_SLOT_ERROR,
    TH_SLOT_MESSAGE,
    TH_SLOT_PAYLOAD,
    TH_SLOT_TIME,
    TH_SLOT_DURATION,
    TH_SLOT_ASK,
    TH_SLOT_QUESTION,
    TH_SLOT_REPLY,
    TH_SLOT_TASKS,   /* number to task */
    TH_SLOT_BUSY,    /* threads that only the scheduler may resume: weak keys */
    TH_SLOT_HELD,    /* number of a holding to its object */
    TH_SLOT_WEAK,    /* the same, weak: what may be given back when it is garbage */
    TH_SLOT_MODULES, /* what require found or made */
    TH_SLOT_EVENT,   /* metatables of what events() gives */
    TH_SLOT_RESULT,
    TH_SLOT_PEER, /* the PID text of whom the last message came from */
    TH_SLOT_TO,   /* the PID text to which it sends */
    TH_SLOT_LAST,
} th_slot;

typedef struct th_object {
    uint32_t class; /* th_slot */
} th_object;

typedef struct th_class {
    th_slot slot;
    const char *name;
    const luaL_Reg *methods; /* NULL: none */
    const luaL_Reg *meta;    /* metamethods but __index; NULL: none */
} th_class;

/*
 * Make the metatable now: at the setup for what most processes have, for there it is
 * common (commons.h).
 */
void th_class_open(lua_State *L, const th_class *class);

/* A new object on top of the stack, zeroed behind its class. */
void *th_object_new(lua_State *L, const th_class *class, size_t bytes, int values);

/* The object at @index if it is of that class, else NULL. */
static inline void *th_object_test(lua_State *L, int index, th_slot class)
{
    th_object *object;

    if (lua_type(L, index) != LUA_TUSERDATA) {
        return NULL;
    }
    object = lua_touserdata(L, index);
    return object->class == (uint32_t) class ? object : NULL;
}

/* As above; raises an argument error instead. */
void *th_object_check(lua_State *L, int argument, const th_class *class);

/* Push the table in registry slot @slot, made on first use; @mode as of __mode. */
void th_slot_table(lua_State *L, th_slot slot, const char *mode);

#endif
