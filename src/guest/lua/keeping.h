/*
 * Keeping: what a process has made durable, and waits for in a coroutine.
 *
 * A piece of it is the store's from its beginning until it comes back, and then stands
 * in the process's list until the coroutine that waits goes on. If the process ends
 * before, whoever has it frees it; a child that waits for it lives all the same.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_KEEPING_H
#define TH_GUEST_LUA_KEEPING_H

#include "guest/lua/lua_api.h"
#include "kernel/process.h"

#define TH_KEEPING_COUNT_MAX 1024               /* under way at a time */
#define TH_KEEPING_BYTES_MAX TH_STATE_BYTES_MAX /* of values that are under way */
#define TH_KEEPING_LOAD_BYTES (TH_KEEPING_BYTES_MAX / 16) /* what a load counts as */

typedef struct th_keep {
    th_saving saving; /* its `err` is how it came out, the child's included */
    th_list link;     /* in the owner's list, once it is back */
    struct th_task *waiter;
    size_t bytes;       /* counted in the owner's */
    bool is_spawn;      /* of `child`, which is held */
    th_ident child;     /* its name is held */
    th_on_exit *before; /* held: what is set again if it fails; see has_before */
    bool has_before;
} th_keep;

/*
 * One to be filled in, whose waiter is the current task. Before: th_task_check_wait.
 *
 * Refuses: QUOTA, too much is under way, or memory ran out. Raises nothing.
 */
th_err th_keep_new(th_lua *lua, th_save what, size_t bytes, th_keep **out);

/* One that was never begun. Takes NULL. */
void th_keep_free(th_lua *lua, th_keep *keep);

/* Begin. Takes @keep, also on a refusal: then nothing is changed. Raises nothing. */
th_err th_keep_begin(th_lua *lua, th_keep *keep);

/*
 * Wait for what th_keep_begin began. To be returned by a binding; @next then finds it
 * by th_keep_arrived, which is to be called first.
 */
int th_keep_wait(lua_State *L, th_lua *lua, lua_KFunction next);

/* What came; it lasts until the next one is asked for. Raises nothing. */
th_keep *th_keep_arrived(lua_State *L, th_lua *lua);

/* It is done with. */
void th_keep_done(th_lua *lua);

/* It came back. Touches no lua_State. */
void th_keep_came(th_lua *lua, th_job *job);

/* Has the process something that makes it live on? */
bool th_keep_is_durable(const th_lua *lua);

/*
 * Save its life, if it is durable, and wait; to be returned by a binding that has
 * changed what it holds. Pushes true, or nil and an error. Before:
 * th_keep_check_life.
 */
int th_keep_life(lua_State *L, th_lua *lua);

/* Raises if th_keep_life would wait and cannot. */
void th_keep_check_life(lua_State *L, th_lua *lua);

/* Push nil and an error: what could not be made durable, or read; returns 2. */
int th_keep_fail(lua_State *L, th_err err, const char *what);

/* Give back all that came. At the process's end. */
void th_keep_deinit(th_lua *lua);

#endif
