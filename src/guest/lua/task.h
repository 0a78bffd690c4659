/*
 * Task: one coroutine of a process that runs by itself: main, or one made by
 * coroutine.spawn.
 *
 * Tasks run in turn, oldest first; one runs until it waits or ends. A wait inside
 * coroutines that the guest made and resumed within its task suspends the whole
 * task: the yield passes through our resume, which yields in turn, and on the way
 * back resumes again. A plain coroutine.yield goes no further than its resume.
 *
 * What a waiting task is to get is pushed onto the stack of the coroutine in which
 * it waits (`innermost`), or left in `msg` or `letter`.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_TASK_H
#define TH_GUEST_LUA_TASK_H

#include "base/list.h"
#include "core/msg.h"
#include "guest/lua/lua_api.h"

typedef struct th_task th_task;

/* One channel on which a task waits. Lives in the task, or in its select's memory. */
typedef struct th_waiter {
    th_list link; /* in a list of the channel or source */
    th_task *task;
    int which;    /* number of the case */
    int value_at; /* of a sender: where its value is on innermost's stack */
} th_waiter;

struct th_task {
    th_list link;         /* in th_lua.ready, or alone */
    lua_State *base;      /* its outermost coroutine */
    lua_State *innermost; /* while it waits: where */
    int values;           /* pushed there for it */
    int waiters_count;
    lua_Integer number; /* of its anchor; 0: main */

    /* What it waits for, and what came. */
    th_waiter *waiters; /* waiters_count of them */
    th_waiter single;
    int fired;                /* `which` of the waiter that was served */
    bool ok;                  /* false: the channel was closed */
    th_msg *msg;              /* handed over by a source; owned until it runs */
    struct th_letter *letter; /* likewise, and in th_lua.letters */
};

void th_task_init(th_task *task, lua_State *base, lua_Integer number);

/* Can the coroutine that runs wait here? Raises if it cannot. */
void th_task_check_wait(lua_State *L, th_lua *lua);

/*
 * Suspend the current task until th_task_wake; @next goes on then. To be returned
 * by a binding, which has registered the waiters.
 */
int th_task_wait(lua_State *L, th_lua *lua, lua_KFunction next);

/* The waiter is served: withdraw all of its task's waiters and make it ready. */
void th_task_serve(th_lua *lua, th_waiter *waiter, bool ok);

/* Make a task ready that has no waiters. */
void th_task_wake(th_lua *lua, th_task *task);

typedef enum th_task_outcome {
    TH_TASK_WENT_ON, /* it waits, or is ready again, or was not main and ended */
    TH_TASK_DONE,    /* main returned: its results are on its stack */
    TH_TASK_FAILED,  /* its error is on top of its stack */
} th_task_outcome;

/* Run the oldest ready task, if there is one, until it waits or ends. */
th_task_outcome th_task_run(th_lua *lua, th_task **ran, int *status);

/* Add spawn to the coroutine library and replace what must know of tasks. */
void th_task_open(lua_State *L);

#endif
