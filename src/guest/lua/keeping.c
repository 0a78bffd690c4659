#include "guest/lua/keeping.h"

#include "base/mem.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"
#include "kernel/kernel.h"

/* Of a process that ever saved something; it lasts until its end. */
typedef struct th_keeping {
    th_list back;     /* th_keep.link: came, and not yet asked for */
    th_keep *in_hand; /* being read by a binding */
    unsigned count;
    size_t bytes;
} th_keeping;

/* --- One --------------------------------------------------------------------- */

static void free_keep(th_keep *keep)
{
    th_saving_deinit(&keep->saving);
    th_blob_unref(keep->child.name);
    th_on_exit_unref(keep->before);
    th_free(keep);
}

/* The process ended meanwhile. Thread: any. */
static void dropped(th_job *job)
{
    th_saving *saving = th_container_of(job, th_saving, job);
    th_keep *keep = th_container_of(saving, th_keep, saving);

    if (keep->is_spawn && saving->err == TH_OK) {
        (void)th_kernel_launch(job->kernel, keep->child.pid);
    } else if (keep->is_spawn) {
        (void)th_kernel_kill(job->kernel, keep->child.pid,
                             TH_SLICE("its record could not be made durable"));
    }
    free_keep(keep);
}

static th_keeping *keeping_of(th_lua *lua)
{
    if (lua->keeping == NULL) {
        lua->keeping = th_calloc(1, sizeof *lua->keeping);
        if (lua->keeping != NULL) {
            th_list_init(&lua->keeping->back);
        }
    }
    return lua->keeping;
}

th_err th_keep_new(th_lua *lua, th_save what, size_t bytes, th_keep **out)
{
    th_keeping *keeping = keeping_of(lua);
    th_keep *keep;

    if (keeping == NULL || keeping->count >= TH_KEEPING_COUNT_MAX ||
        keeping->bytes > TH_KEEPING_BYTES_MAX ||
        bytes > TH_KEEPING_BYTES_MAX - keeping->bytes) {
        return TH_QUOTA;
    }
    keep = th_calloc(1, sizeof *keep);
    if (keep == NULL) {
        return TH_QUOTA;
    }
    keep->saving.what = what;
    keep->saving.job.dropped = dropped;
    keep->waiter = lua->current;
    keep->bytes = bytes;
    th_list_init(&keep->link);
    keeping->count++;
    keeping->bytes += bytes;
    th_process_charge(lua->process, (int64_t)bytes, 0);
    *out = keep;
    return TH_OK;
}

/* It is no longer under way. */
static void uncount(th_lua *lua, th_keep *keep)
{
    lua->keeping->count--;
    lua->keeping->bytes -= keep->bytes;
    th_process_charge(lua->process, -(int64_t)keep->bytes, 0);
    keep->bytes = 0;
}

void th_keep_free(th_lua *lua, th_keep *keep)
{
    if (keep != NULL) {
        uncount(lua, keep);
        free_keep(keep);
    }
}

/* It came with what was read: that is held until it is done with. */
static void recount(th_lua *lua, th_keep *keep)
{
    uncount(lua, keep);
    lua->keeping->count++;
    keep->bytes = keep->saving.loaded.bytes;
    lua->keeping->bytes += keep->bytes;
    th_process_charge(lua->process, (int64_t)keep->bytes, 0);
}

/* As it was before, unless it was set again meanwhile. */
static void restore(th_lua *lua, th_keep *keep)
{
    th_auto(th_on_exit) now = NULL;

    if (keep->has_before) {
        now = th_process_on_exit(lua->process);
        if (keep->saving.on_exit == NULL || now == keep->saving.on_exit) {
            (void)th_process_set_on_exit(lua->process, keep->before);
        }
    }
}

th_err th_keep_begin(th_lua *lua, th_keep *keep)
{
    th_err err = th_process_save(lua->process, &keep->saving);

    if (err != TH_OK) {
        restore(lua, keep);
        th_keep_free(lua, keep);
    }
    return err;
}

/* --- Waiting ------------------------------------------------------------------ */

int th_keep_wait(lua_State *L, th_lua *lua, lua_KFunction next)
{
    return th_task_wait(L, lua, next);
}

void th_keep_came(th_lua *lua, th_job *job)
{
    th_saving *saving = th_container_of(job, th_saving, job);
    th_keep *keep = th_container_of(saving, th_keep, saving);

    recount(lua, keep);
    if (keep->is_spawn) {
        saving->err = th_process_spawned(lua->process, keep->child.pid, saving);
    } else if (saving->err != TH_OK) {
        restore(lua, keep);
    }
    th_list_push(&lua->keeping->back, &keep->link);
    keep->waiter->ok = true;
    th_task_wake(lua, keep->waiter);
}

th_keep *th_keep_arrived(lua_State *L, th_lua *lua)
{
    th_keeping *keeping = lua->keeping;

    (void)L;
    th_keep_done(lua);
    TH_LIST_EACH(node, &keeping->back)
    {
        th_keep *keep = th_container_of(node, th_keep, link);

        if (keep->waiter == lua->current) {
            th_list_remove(&keep->link);
            keeping->in_hand = keep;
            return keep;
        }
    }
    th_assert(false); /* only th_keep_came wakes who waits for it */
    return NULL;
}

void th_keep_done(th_lua *lua)
{
    th_keep *keep = lua->keeping->in_hand;

    lua->keeping->in_hand = NULL;
    th_keep_free(lua, keep);
}

void th_keep_deinit(th_lua *lua)
{
    th_list *node;

    if (lua->keeping == NULL) {
        return;
    }
    th_keep_done(lua);
    while ((node = th_list_pop(&lua->keeping->back)) != NULL) {
        th_keep_free(lua, th_container_of(node, th_keep, link));
    }
    lua->keeping = th_free(lua->keeping);
}

/* --- What makes it live on ------------------------------------------------------ */

bool th_keep_is_durable(const th_lua *lua)
{
    th_auto(th_on_exit) on_exit = th_process_on_exit(lua->process);

    return th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE;
}

void th_keep_check_life(lua_State *L, th_lua *lua)
{
    if (th_keep_is_durable(lua)) {
        th_task_check_wait(L, lua);
    }
}

static int life_saved(lua_State *L, int status, lua_KContext context)
{
    th_lua *lua = th_lua_owner(L);
    th_err err = th_keep_arrived(L, lua)->saving.err;

    (void)status;
    (void)context;
    th_keep_done(lua);
    if (err != TH_OK) {
        return th_keep_fail(L, err, "what the process lives on with");
    }
    lua_pushboolean(L, 1);
    return 1;
}

int th_keep_life(lua_State *L, th_lua *lua)
{
    th_keep *keep;
    th_err err;

    if (!th_keep_is_durable(lua)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    err = th_keep_new(lua, TH_SAVE_LIFE, 0, &keep);
    if (err == TH_OK) {
        err = th_keep_begin(lua, keep);
    }
    if (err != TH_OK) {
        return th_keep_fail(L, err, "what the process lives on with");
    }
    return th_keep_wait(L, lua, life_saved);
}

int th_keep_fail(lua_State *L, th_err err, const char *what)
{
    switch (err) {
    case TH_UNSUPPORTED:
        return th_lua_fail(L, err,
                           "%s: nothing is kept here, for the node has no home: start "
                           "it with one",
                           what);
    case TH_QUOTA:
        return th_lua_fail(L, err,
                           "%s: the disk is full, or too much is under way; try again "
                           "later",
                           what);
    case TH_IO:
        return th_lua_fail(L, err, "%s: the node's disk reported an error", what);
    default:
        return th_lua_fail(L, err, "%s: %s", what, th_reason_of(err)->text);
    }
}
