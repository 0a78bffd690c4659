/*
 * State: a Lua state in an arena, with the libraries that a guest may have.
 *
 * The base library has no dofile, loadfile and print, loads text only, and its
 * collectgarbage can collect but not switch the collector off; string has no dump;
 * there is no io, os, debug or package. What else a guest gets is registered by the
 * plan's setup, which is ours and trusted. The plan's prepare is the guest's part:
 * it loads and runs what every process of an entry begins with.
 *
 * A state is not closed: its arena is freed.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_STATE_H
#define TH_GUEST_LUA_STATE_H

#include "guest/lua/arena.h"
#include "guest/lua/lua_api.h"

/*
 * A step of making a state, run in a protected call with an empty stack: it may
 * raise, owns nothing meanwhile, and returns how many values it leaves, as any C
 * function does. It may run twice, in two states, so it leaves @context as it was.
 */
typedef int th_lua_step(lua_State *L, void *context);

typedef struct th_lua_plan {
    th_lua_step *setup;   /* registers our other modules; NULL: none */
    th_lua_step *prepare; /* loads and runs the guest's chunk; NULL: none */
    void *context;        /* of both; borrowed for the call */
} th_lua_plan;

/* What differs between two processes of one plan. */
typedef struct th_lua_birth {
    th_lua *owner;
    uint64_t dice;      /* seed of math.random */
    uint32_t hash_seed; /* of strings; a copy of an image has its image's */
} th_lua_birth;

/*
 * Make a state in @arena, which is empty, and run the setup. Whatever setup leaves
 * on the stack is dropped. On any refusal the arena is good for nothing any more.
 *
 * Refuses: QUOTA, the arena's limit is reached; FAILED, the setup raised.
 */
th_err th_lua_state_new(lua_State **out, th_arena *arena, const th_lua_plan *plan,
                        const th_lua_birth *birth);

/*
 * Run the plan's prepare and a full collection, as for an image. What prepare left
 * is on the stack, which was empty before: a function there can be resumed at once.
 * This is guest code: it takes its time and can be preempted and killed.
 *
 * Refuses: QUOTA; FAILED, it raised, and what it raised is on the stack.
 */
th_err th_lua_state_prepare(lua_State *L, const th_lua_plan *plan);

/* What @value on the stack says, if it is a text, or a sentence about its type. */
const char *th_lua_state_text(lua_State *L, int value);

/* The arena in which a state lives. */
th_arena *th_lua_state_arena(lua_State *L);

#endif
