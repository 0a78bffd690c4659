#include "guest/lua/lua_guest.h"

#include "base/slab.h"
#include "guest/lua/keeping.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/message.h"
#include "guest/lua/owner.h"
#include "kernel/checkpoint.h"
#include "kernel/kernel.h"

#include <string.h>

#define LOOK_EVERY 64   /* tasks run, before what came from outside is looked at */
#define TRACE_FRAMES 24 /* of a traceback; to find a frame is to walk up to it */
#define LOG_BYTES_MAX 8192

/* --- Start -------------------------------------------------------------------- */

static th_lua *owner_new(th_process *self)
{
    th_lua *lua = th_slab_new(sizeof *lua);

    if (lua == NULL) {
        return NULL;
    }
    memset(lua, 0, sizeof *lua);
    lua->process = self;
    lua->program = th_process_ident(self)->entry->program;
    th_list_init(&lua->ready);
    th_list_init(&lua->holdings);
    th_list_init(&lua->letters);
    th_list_init(&lua->outgoing);
    th_list_init(&lua->unclaimed);
    th_source_init(&lua->inbox, TH_SOURCE_INBOX);
    th_source_init(&lua->events, TH_SOURCE_EVENTS);
    th_source_init(&lua->questions, TH_SOURCE_QUESTIONS);
    th_source_init(&lua->replies, TH_SOURCE_REPLIES);
    return lua;
}

static bool may_grow(void *context, size_t held, size_t more)
{
    th_lua *lua = context;

    lua->is_short = !th_process_may_grow(lua->process, held, more);
    return !lua->is_short;
}

void th_lua_guard(th_lua *lua, th_arena *arena)
{
    th_arena_set_guard(arena, may_grow, lua);
}

/* Above main, which stands at 1, come its arguments. */
static int push_arguments(lua_State *L)
{
    th_slice args = th_process_args(th_lua_owner(L)->process);
    int n = 0;

    if (args.bytes > 0 && th_copier_push_all(L, args, &n) != TH_OK) {
        return luaL_error(L, "the arguments cannot be read");
    }
    return n;
}

static th_err start_main(th_lua *lua, th_buf *why)
{
    lua_State *L = lua->L;
    int status;

    lua_pushcfunction(L, push_arguments);
    status = lua_pcall(L, 0, LUA_MULTRET, 0);
    if (status != LUA_OK) {
        th_lua_error_text(L, -1, why);
        return status == LUA_ERRMEM ? TH_QUOTA : TH_FAILED;
    }
    th_task_init(&lua->main, L, 0);
    lua->main.values = lua_gettop(L) - 1;
    th_task_wake(lua, &lua->main);
    return TH_OK;
}

static th_err start(th_process *self, th_buf *why)
{
    th_lua *lua = owner_new(self);
    th_lua_birth birth = {.owner = lua};
    uint64_t dice[2];
    th_err err;

    if (lua == NULL) {
        return TH_QUOTA;
    }
    th_process_set_state(self, lua);
    th_process_dice(self, dice, sizeof dice);
    birth.dice = dice[0];
    lua->topics_seed = dice[1];
    lua->turn = (unsigned)(dice[1] >> 32);
    err = th_lua_program_start(lua->program, &birth,
                               th_process_limits(self)->memory_bytes_max, &lua->arena,
                               &lua->L, why);
    return err == TH_OK ? start_main(lua, why) : err;
}

/* --- End ---------------------------------------------------------------------- */

static void end(th_lua *lua, th_end how, th_err reason, th_slice error, th_slice value)
{
    th_process_end(lua->process,
                   th_exit_new(how, reason, error, TH_FORMAT_TERM, value));
}

/* Main's first result as a term in the owner's scratch. One argument. */
static int encode_result(lua_State *L)
{
    th_lua *lua = th_lua_owner(L);
    th_buf *term;

    if (th_message_encode(L, lua, 1, &term) != TH_OK) {
        th_buf_clear(&lua->scratch);
    }
    return 0;
}

static void end_returned(th_lua *lua)
{
    lua_State *L = lua->L;
    th_slice value = TH_SLICE("");

    th_buf_clear(&lua->why);
    if (lua_gettop(L) >= 2 &&
        (lua_type(L, 2) == LUA_TSTRING || th_lua_is_error(L, 2))) {
        if (lua_checkstack(L, 2)) {
            th_lua_error_text(L, 2, &lua->why);
        }
        end(lua, TH_END_CRASH, TH_FAILED, th_buf_slice(&lua->why), value);
        return;
    }
    if (lua_gettop(L) >= 1 && !lua_isnil(L, 1) && lua_checkstack(L, 2)) {
        lua_settop(L, 1);
        lua_pushcfunction(L, encode_result);
        lua_insert(L, 1);
        if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
            value = th_buf_slice(&lua->scratch);
        }
    }
    end(lua, TH_END_RETURN, TH_OK, TH_SLICE(""), value);
}

static void put_frame(th_buf *out, lua_State *L, lua_Debug *frame)
{
    if (lua_getinfo(L, "Sln", frame) == 0) {
        return;
    }
    th_buf_putf(out, "\n\t%s:", frame->short_src);
    if (frame->currentline > 0) {
        th_buf_putf(out, "%d:", frame->currentline);
    }
    if (frame->name != NULL) {
        th_buf_putf(out, " in %s '%s'", frame->namewhat, frame->name);
    } else if (*frame->what == 'm') {
        th_buf_puts(out, " in main chunk");
    } else if (*frame->what != 'C') {
        th_buf_putf(out, " in function <%s:%d>", frame->short_src, frame->linedefined);
    }
}

/*
 * The call chain of a coroutine that failed. Allocates nothing in it. What is left out
 * is not counted: to find a frame takes as long as it is deep, and there may be 200,000.
 */
static void put_traceback(th_buf *out, lua_State *L)
{
    lua_Debug frame;

    for (int level = 0; lua_getstack(L, level, &frame) != 0; level++) {
        if (level == TRACE_FRAMES) {
            th_buf_puts(out, "\n\t... and more");
            return;
        }
        put_frame(out, L, &frame);
    }
}

static void put_limit(const th_lua *lua, th_buf *text)
{
    if (lua->is_short) {
        th_buf_putf(
            text,
            "the node's memory is used up, of which this process has %zu bytes: "
            "end some processes, or give the node more",
            th_arena_held_bytes(lua->arena));
    } else {
        th_buf_putf(text, "the memory limit of %zu bytes is reached",
                    th_process_limits(lua->process)->memory_bytes_max);
    }
}

static void end_failed(th_lua *lua, lua_State *L, int status)
{
    th_buf *text = &lua->why;
    th_err reason = TH_FAILED;

    th_buf_clear(text);
    if (status == LUA_ERRMEM) {
        reason = TH_QUOTA;
        put_limit(lua, text);
    } else if (lua_checkstack(L, 2)) {
        th_lua_error_text(L, -1, text);
    }
    end(lua, TH_END_CRASH, reason, th_buf_slice(text), TH_SLICE(""));
    put_traceback(text, L);
    if (text->bytes > LOG_BYTES_MAX) {
        text->bytes = LOG_BYTES_MAX;
    }
    th_process_output(lua->process, TH_OUTPUT_LOG, th_buf_slice(text));
}

static void end_starved(th_lua *lua)
{
    end(lua, TH_END_CRASH, TH_QUOTA, TH_SLICE("the node's memory ran out"),
        TH_SLICE(""));
}

/* --- Run ---------------------------------------------------------------------- */

static th_run run(th_process *self)
{
    th_lua *lua = th_process_state(self);
    th_task *task = NULL;
    int status = LUA_OK;

    for (unsigned turn = 1;; turn++) {
        if (lua->is_starved) {
            end_starved(lua);
            return TH_RUN_ENDED;
        }
        if ((th_list_is_empty(&lua->ready) || turn % LOOK_EVERY == 0) &&
            !th_mail_pump(lua) && th_list_is_empty(&lua->ready)) {
            th_message_trim(lua);
            return TH_RUN_BLOCKED;
        }
        switch (th_task_run(lua, &task, &status)) {
        case TH_TASK_WENT_ON:
            break;
        case TH_TASK_DONE:
            end_returned(lua);
            return TH_RUN_ENDED;
        case TH_TASK_FAILED:
            end_failed(lua, task->base, status);
            return TH_RUN_ENDED;
        }
        th_checkpoint();
    }
}

/* --- Drop --------------------------------------------------------------------- */

static void drop(th_process *self)
{
    th_lua *lua = th_process_state(self);
    th_list *node;

    if (lua == NULL) {
        return;
    }
    lua->is_ending = true;
    th_mail_deinit(lua);
    while (!th_list_is_empty(&lua->holdings)) {
        th_holding_drop(lua, th_container_of(lua->holdings.next, th_holding, link));
    }
    while ((node = th_list_pop(&lua->outgoing)) != NULL) {
        th_msg_unref(th_msg_of(th_container_of(node, th_item, link)));
    }
    TH_LIST_EACH(ready, &lua->ready)
    {
        th_msg_unref(th_container_of(ready, th_task, link)->msg);
    }
    th_msg_unref(lua->msg_in_hand);
    th_caps_unref(lua->caps_in_hand);
    th_on_exit_unref(lua->on_exit_in_hand);
    th_keep_deinit(lua);
    th_copier_deinit(&lua->copier);
    th_json_pool_deinit(&lua->json_pool);
    th_buf_deinit(&lua->json);
    th_buf_deinit(&lua->scratch);
    th_buf_deinit(&lua->why);
    th_arena_free(lua->arena);
    th_slab_free(lua, sizeof *lua);
    th_process_set_state(self, NULL);
}

/* --- Check -------------------------------------------------------------------- */

static th_err check(const th_entry *entry, th_buf *why)
{
    return th_lua_program_check(entry->program, why);
}

static size_t memory(const th_process *self)
{
    const th_lua *lua = th_process_state(self);

    return lua == NULL || lua->arena == NULL ? 0 : th_arena_held_bytes(lua->arena);
}

const th_guest th_guest_lua = {.name = "lua",
                               .parks = true,
                               .check = check,
                               .start = start,
                               .run = run,
                               .drop = drop,
                               .memory = memory};
