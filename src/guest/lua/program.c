#include "guest/lua/program.h"

#include "base/mem.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/modules.h"
#include "guest/lua/owner.h"
#include "kernel/checkpoint.h"

#include <lgc.h> /* to see whether a finalizer runs */
#include <lstate.h>

#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CHECK_BYTES_MAX ((size_t)64 << 20) /* for the compiler, and for a trial */
#define NAME_BYTES_MAX 256

typedef enum prepared {
    PREPARED_NOT,   /* nobody asked */
    PREPARED_IMAGE, /* there is an image */
    PREPARED_SLOW,  /* each process runs the chunk itself */
    PREPARED_BAD,   /* it cannot run: `why` */
} prepared;

struct th_lua_program {
    /* Fixed at creation. */
    th_slice text;
    char *name; /* "@path" */
    th_slice method;
    th_slice *modules;
    size_t modules_count;
    th_lua_import *imports;
    size_t imports_count;
    bool is_library;
    uint32_t hash_seed;

    /* Written once, before `state` is. */
    _Atomic int state; /* prepared */
    atomic_flag lock;  /* of the preparation */
    th_image *image;
    th_buf why;
};

/* While a program is prepared: which one, for states without an owner. */
static __thread const th_lua_program *preparing;

const th_lua_program *th_lua_program_of(lua_State *L)
{
    const th_lua *lua = th_lua_owner(L);

    return lua != NULL ? lua->program : preparing;
}

/* --- What it may use ---------------------------------------------------------- */

bool th_lua_program_allows(const th_lua_program *program, th_slice name)
{
    if (program->modules_count == 0) {
        return th_modules_is_pure(name);
    }
    for (size_t i = 0; i < program->modules_count; i++) {
        if (th_slice_eq(program->modules[i], name)) {
            return true;
        }
    }
    for (size_t i = 0; i < program->imports_count; i++) {
        if (th_lua_program_allows(program->imports[i].library, name)) {
            return true;
        }
    }
    return false;
}

const th_lua_program *th_lua_program_import(const th_lua_program *program,
                                            th_slice alias)
{
    for (size_t i = 0; i < program->imports_count; i++) {
        if (th_slice_eq(program->imports[i].alias, alias)) {
            return program->imports[i].library;
        }
    }
    for (size_t i = 0; i < program->imports_count; i++) {
        const th_lua_program *found =
            th_lua_program_import(program->imports[i].library, alias);

        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

void th_lua_program_load(lua_State *L, const th_lua_program *program)
{
    if (luaL_loadbufferx(L, program->text.at, program->text.bytes, program->name,
                         "t") != LUA_OK) {
        lua_error(L);
    }
}

/* --- Preparing ---------------------------------------------------------------- */

/* With the chunk's result at 1: a list of what it exports, for a message. */
static void push_exports(lua_State *L)
{
    int n = 0;

    if (!lua_istable(L, 1)) {
        lua_pushfstring(L, "the chunk returns %s", luaL_typename(L, 1));
        return;
    }
    lua_pushliteral(L, "");
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_isfunction(L, -1)) {
            lua_pushfstring(L, "%s%s%s", lua_tostring(L, -3), n++ > 0 ? ", " : "",
                            lua_tostring(L, -2));
            lua_replace(L, -4);
        }
    }
    if (n == 0) {
        lua_pushliteral(L, "the chunk exports no function");
    } else {
        lua_pushfstring(L, "the chunk exports %s", lua_tostring(L, -1));
    }
}

/* Push field @name of the table at 1 if it is a function. */
static bool push_export(lua_State *L, const char *name)
{
    if (lua_istable(L, 1)) {
        lua_pushstring(L, name);
        if (lua_rawget(L, 1) == LUA_TFUNCTION) {
            return true;
        }
        lua_pop(L, 1);
    }
    return false;
}

/* With the chunk's result at 1, push main. */
static void push_main(lua_State *L, const th_lua_program *program)
{
    if (program->method.bytes > 0) {
        if (push_export(L, program->method.at)) {
            return;
        }
        if (lua_isfunction(L, 1)) {
            lua_pushvalue(L, 1);
            return;
        }
        push_exports(L);
        luaL_error(L, "%s: no method '%s': %s", program->name + 1, program->method.at,
                   lua_tostring(L, -1));
    }
    if (push_export(L, "run") || push_export(L, "main")) {
        return;
    }
    if (lua_isfunction(L, 1)) {
        lua_pushvalue(L, 1);
        return;
    }
    push_exports(L);
    luaL_error(L, "%s: no method 'run' or 'main': %s", program->name + 1,
               lua_tostring(L, -1));
}

static int prepare(lua_State *L, void *context)
{
    const th_lua_program *program = context;

    th_lua_program_load(L, program);
    lua_call(L, 0, 1);
    if (!program->is_library) {
        push_main(L, program);
    }
    return 1;
}

static th_lua_plan plan_of(const th_lua_program *program)
{
    return (th_lua_plan){.setup = th_modules_setup,
                         .prepare = prepare,
                         .context = (void *)program};
}

static void put_error(lua_State *L, th_err err, size_t bytes_max, th_buf *why)
{
    if (err == TH_FAILED) {
        th_lua_error_text(L, -1, why);
    } else {
        th_buf_putf(why, "the memory limit of %zu bytes is reached", bytes_max);
    }
}

th_err th_lua_program_start(const th_lua_program *program, const th_lua_birth *birth,
                            size_t bytes_max, th_arena **arena, lua_State **L,
                            th_buf *why)
{
    th_lua_plan plan = plan_of(program);
    th_lua_birth own = *birth;
    th_err err;

    if (atomic_load_explicit(&program->state, memory_order_acquire) == PREPARED_IMAGE) {
        err = th_image_clone(arena, L, program->image, birth, bytes_max);
        if (err != TH_OK) {
            put_error(NULL, TH_QUOTA, bytes_max, why);
            return err;
        }
        th_lua_guard(birth->owner, *arena);
        return TH_OK;
    }
    own.hash_seed = program->hash_seed;
    err = th_arena_new(arena, TH_ARENA_FIRST_BYTES, bytes_max);
    if (err == TH_OK) {
        th_lua_guard(birth->owner, *arena);
        err = th_lua_state_new(L, *arena, &plan, &own);
    }
    if (err != TH_OK) {
        put_error(NULL, TH_QUOTA, bytes_max, why);
        return err;
    }
    err = th_lua_state_prepare(*L, &plan);
    if (err != TH_OK) {
        put_error(*L, err, bytes_max, why);
    }
    return err;
}

/* --- Trials ------------------------------------------------------------------- */

/*
 * Where images are not made at all (sanitizers), the chunk is tried in a state that
 * is thrown away, so that a bad one is found before it is spawned all the same.
 */
typedef struct trial {
    jmp_buf out;
    uint64_t checks_left;
} trial;

static __thread trial *trying;

static void spend_check(void)
{
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    if (trying->checks_left-- == 0) {
        longjmp(trying->out, 1);
    }
}

th_lua *th_lua_self_or_none(lua_State *L)
{
    if (__builtin_expect(G(L)->gcstp & GCSTPGC, 0)) {
        luaL_error(L, "processes and channels cannot be used in a finalizer");
    }
    return th_lua_owner(L);
}

th_lua *th_lua_self(lua_State *L, const char *what)
{
    (void)th_lua_self_or_none(L);
    return th_lua_self_anywhere(L, what);
}

th_lua *th_lua_self_anywhere(lua_State *L, const char *what)
{
    th_lua *lua = th_lua_owner(L);

    if (lua != NULL) {
        return lua;
    }
    if (th_image_is_building()) {
        th_image_abandon(what);
    }
    if (trying != NULL) {
        longjmp(trying->out, 1);
    }
    luaL_error(L, "%s needs a process", what);
    return NULL;
}

/* The state and the run of it; left by longjmp when the trial is over early. */
static th_err try_in(th_arena *arena, const th_lua_program *program, th_buf *why)
{
    th_lua_plan plan = plan_of(program);
    th_lua_birth birth = {.owner = NULL, .dice = 1, .hash_seed = program->hash_seed};
    lua_State *L = NULL;
    th_err err = th_lua_state_new(&L, arena, &plan, &birth);

    if (err == TH_OK) {
        err = th_lua_state_prepare(L, &plan);
    }
    if (err != TH_OK) {
        put_error(L, L == NULL ? TH_QUOTA : err, CHECK_BYTES_MAX, why);
    }
    return err;
}

static th_err try_program(const th_lua_program *program, th_buf *why)
{
    void (*hook)(void) = th_preempt_hook;
    trial one = {.checks_left = TH_IMAGE_CHECKS_MAX};
    th_arena *arena = NULL;
    volatile th_err err = th_arena_new(&arena, TH_ARENA_FIRST_BYTES, CHECK_BYTES_MAX);

    if (err != TH_OK) {
        return err;
    }
    trying = &one;
    th_preempt_hook = spend_check; /* nobody is left in the midst of a trial */
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    if (setjmp(one.out) == 0) {
        err = try_in(arena, program, why);
    }
    th_preempt_hook = hook;
    trying = NULL;
    th_arena_free(arena);
    return err;
}

static prepared outcome_of(th_err err)
{
    if (err < 0) {
        return PREPARED_NOT; /* the machine's fault: the next who asks may have luck */
    }
    return err == TH_OK       ? PREPARED_IMAGE
           : err == TH_FAILED ? PREPARED_BAD
                              : PREPARED_SLOW;
}

static prepared prepare_once(th_lua_program *program)
{
    th_lua_plan plan = plan_of(program);
    th_err err;

    th_buf_clear(&program->why);
    preparing = program;
    err = th_image_build(&program->image, &plan, program->hash_seed,
                         TH_IMAGE_CHECKS_MAX, &program->why);
    if (err == TH_UNSUPPORTED) {
        th_buf_clear(&program->why);
        err = try_program(program, &program->why);
        err = err == TH_OK ? TH_UNSUPPORTED : err;
    }
    preparing = NULL;
    return outcome_of(err);
}

th_err th_lua_program_check(th_lua_program *program, th_buf *why)
{
    int state = atomic_load_explicit(&program->state, memory_order_acquire);

    if (state == PREPARED_NOT) {
        while (atomic_flag_test_and_set(&program->lock)) {
            /* Another shard prepares it: its budget is some milliseconds, once. */
        }
        state = atomic_load(&program->state);
        if (state == PREPARED_NOT) {
            state = (int)prepare_once(program);
            atomic_store_explicit(&program->state, state, memory_order_release);
        }
        atomic_flag_clear(&program->lock);
    }
    if (state == PREPARED_BAD) {
        th_buf_put(why, program->why.at, program->why.bytes);
        return TH_INVALID;
    }
    return state == PREPARED_NOT ? TH_NOMEM : TH_OK;
}

/* --- Making ------------------------------------------------------------------- */

static bool copy_slice(th_slice *to, th_slice from)
{
    to->at = th_strndup(from.bytes == 0 ? "" : from.at, from.bytes);
    to->bytes = from.bytes;
    return to->at != NULL;
}

static bool copy_lists(th_lua_program *program, const th_lua_source *source)
{
    program->modules = th_calloc(source->modules_count + 1, sizeof *program->modules);
    program->imports = th_calloc(source->imports_count + 1, sizeof *program->imports);
    if (program->modules == NULL || program->imports == NULL) {
        return false;
    }
    for (size_t i = 0; i < source->modules_count; i++) {
        if (!copy_slice(&program->modules[program->modules_count++],
                        source->modules[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < source->imports_count; i++) {
        th_lua_import *import = &program->imports[program->imports_count++];

        import->library = source->imports[i].library;
        if (!copy_slice(&import->alias, source->imports[i].alias)) {
            return false;
        }
    }
    return true;
}

static bool copy(th_lua_program *program, const th_lua_source *source)
{
    th_slice name = source->name;
    th_auto_buf chunk = TH_BUF_INIT;

    if (name.bytes > NAME_BYTES_MAX) {
        name = th_slice_from(name, name.bytes - NAME_BYTES_MAX);
    }
    th_buf_putf(&chunk, "@%.*s", TH_FMT(name));
    program->is_library = source->is_library;
    program->hash_seed = source->hash_seed;
    program->name = th_strndup(th_buf_text(&chunk), chunk.bytes);
    return !chunk.failed && program->name != NULL &&
           copy_slice(&program->text, source->text) &&
           copy_slice(&program->method, source->method) && copy_lists(program, source);
}

static int load_only(lua_State *L)
{
    th_lua_program_load(L, lua_touserdata(L, 1));
    return 0;
}

/* What the compiler says, and of which file: not all that it says names that. */
static void put_refusal(lua_State *L, const th_lua_program *program, th_buf *why)
{
    th_auto_buf text = TH_BUF_INIT;
    const char *name = program->name + 1;

    if (th_slice_starts(program->text, LUA_SIGNATURE)) {
        th_buf_putf(why, "%s: it is compiled Lua; only source text is run", name);
        return;
    }
    th_lua_error_text(L, -1, &text);
    if (th_slice_find(th_buf_slice(&text), ':') == text.bytes) {
        th_buf_putf(why, "%s: ", name);
    }
    th_buf_put(why, text.at, text.bytes);
}

static th_err check_syntax(th_lua_program *program, th_buf *why)
{
    th_lua_plan plan = {NULL, NULL, NULL};
    th_lua_birth birth = {NULL, 1, 1};
    th_auto(th_arena) arena = NULL;
    lua_State *L;
    th_err err = th_arena_new(&arena, TH_ARENA_FIRST_BYTES, CHECK_BYTES_MAX);

    if (err == TH_OK) {
        err = th_lua_state_new(&L, arena, &plan, &birth);
    }
    if (err != TH_OK) {
        return err;
    }
    lua_pushcfunction(L, load_only);
    lua_pushlightuserdata(L, program);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
        return TH_OK;
    }
    put_refusal(L, program, why);
    return TH_INVALID;
}

th_err th_lua_program_new(th_lua_program **out, const th_lua_source *source,
                          th_buf *why)
{
    th_auto(th_lua_program) program = th_calloc(1, sizeof *program);
    th_err err;

    if (program == NULL || !copy(program, source)) {
        return th_fault(TH_NOMEM, "a Lua program");
    }
    err = check_syntax(program, why);
    if (err != TH_OK) {
        return err;
    }
    *out = th_take(&program);
    return TH_OK;
}

th_lua_program *th_lua_program_free(th_lua_program *program)
{
    if (program == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < program->modules_count; i++) {
        th_free((char *)program->modules[i].at);
    }
    for (size_t i = 0; i < program->imports_count; i++) {
        th_free((char *)program->imports[i].alias.at);
    }
    th_free(program->modules);
    th_free(program->imports);
    th_free((char *)program->text.at);
    th_free((char *)program->method.at);
    th_free(program->name);
    th_image_free(program->image);
    th_buf_deinit(&program->why);
    return th_free(program);
}
