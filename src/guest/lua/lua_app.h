/*
 * For tests: an application of Lua entries on a kernel in the simulated world.
 *
 * A text holds one or several chunks, each begun by a line "--@ name [method]"; the
 * first needs none and is `main`. They become entries app:NAME of package app, or what
 * they say, such as other:NAME, of another one. Only tests include this.
 *
 * What is saved is kept in memory: at once, or when there is nothing else to do.
 *
 * Thread: the test's.
 */
#ifndef TH_GUEST_LUA_LUA_APP_H
#define TH_GUEST_LUA_LUA_APP_H

#include "guest/lua/lua_guest.h"
#include "guest/lua/program.h"
#include "kernel/kernel.h"

#define LUA_APP_ENTRIES_MAX 16
#define LUA_APP_KEPT_MAX 16

/* What the store has of one process. */
typedef struct th_lua_kept {
    char id[256];
    th_buf state;
    bool has_state;
    unsigned lives;      /* how often its life was saved */
    th_on_exit *on_exit; /* as it was saved last; held */
    size_t caps;         /* how many it had then */
} th_lua_kept;

typedef struct th_lua_app {
    th_world *world;
    th_kernel *kernel;
    th_host host;
    th_host other_host;
    th_entry entries[LUA_APP_ENTRIES_MAX];
    th_lua_program *programs[LUA_APP_ENTRIES_MAX];
    char *ids[LUA_APP_ENTRIES_MAX];
    unsigned entries_count;
    th_limits limits; /* of all entries; may be changed before th_lua_app_add */
    th_buf printed;   /* what processes printed, a line each */
    th_buf logged;    /* what they logged */
    th_buf ended;     /* "app:name reason error" for each that ended */
    th_lua_kept kept[LUA_APP_KEPT_MAX];
    th_list savings;        /* th_saving.link: not yet answered */
    bool keeps_late;        /* they are answered when there is nothing else to do */
    th_err keeping_fails;   /* not OK: this is how they come out */
    th_err refuses_to_keep; /* not OK: they do not even begin */
    uint64_t slices_max;    /* steps of th_lua_app_run */
    int64_t memory_most;    /* that the node had charged after any of them */
} th_lua_app;

void th_lua_app_open(th_lua_app *app, uint64_t seed, unsigned shards);

/* The same, of a kernel that @config says more of. */
void th_lua_app_open_as(th_lua_app *app, uint64_t seed, const th_kernel_config *config);
void th_lua_app_close(th_lua_app *app);

/* Make the entries; on a refusal @why says which and what. */
th_err th_lua_app_add(th_lua_app *app, const char *text, th_buf *why);

th_err th_lua_app_spawn(th_lua_app *app, const char *id, th_pid *out, th_buf *why);

/* Step until there is nothing left to do, or slices_max. False: it was cut short. */
bool th_lua_app_run(th_lua_app *app);

/* One chunk or several, run to the end: what `app:main` left in `ended`. */
void th_lua_app_play(th_lua_app *app, const char *text);

#endif
