/*
 * Images against the slow way: what a guest sees must be the same. Sanitizer builds
 * have no images; there each test ends at its first line.
 */
#include "guest/lua/image.h"
#include "guest/lua/lua_testing.h"

#include <stdio.h>

#define MB ((size_t)1 << 20)

static int someone; /* an owner is only an address here */
#define OWNER ((th_lua *)(void *)&someone)

/* What a plan's steps do. */
typedef struct script {
    const char *setup;  /* a chunk, or NULL */
    const char *source; /* a chunk that returns the main function */
    void *pointer;      /* global `pointer`, if not NULL */
} script;

static void run_chunk(lua_State *L, const char *source, int results)
{
    if (luaL_loadbufferx(L, source, strlen(source), "=actor", "t") != LUA_OK) {
        lua_error(L);
    }
    lua_call(L, 0, results);
}

static int needs_owner(lua_State *L)
{
    if (th_lua_owner(L) == NULL) {
        th_image_abandon("test.pid");
    }
    lua_pushboolean(L, th_lua_owner(L) == OWNER);
    return 1;
}

static int setup(lua_State *L, void *context)
{
    const script *what = context;

    lua_register(L, "needs_owner", needs_owner);
    if (what->pointer != NULL) {
        lua_pushlightuserdata(L, what->pointer);
        lua_setglobal(L, "pointer");
    }
    if (what->setup != NULL) {
        run_chunk(L, what->setup, 0);
    }
    return 0;
}

static int prepare(lua_State *L, void *context)
{
    const script *what = context;

    run_chunk(L, what->source, 1);
    return 1;
}

static th_lua_plan plan_of(script *what)
{
    return (th_lua_plan){setup, prepare, what};
}

static bool has_images(void)
{
    script empty = {NULL, "return print", NULL};
    th_lua_plan plan = plan_of(&empty);
    th_auto(th_image) image = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_err err = th_image_build(&image, &plan, 1, TH_IMAGE_CHECKS_MAX, &why);

    T_TRUE(err == TH_OK || err == TH_UNSUPPORTED);
    if (err == TH_UNSUPPORTED) {
        T_STR(th_buf_text(&why), "the program runs under a sanitizer");
    }
    return err == TH_OK;
}

static th_image *build_image(script *what)
{
    th_lua_plan plan = plan_of(what);
    th_image *image = NULL;
    th_auto_buf why = TH_BUF_INIT;

    if (th_image_build(&image, &plan, 5, TH_IMAGE_CHECKS_MAX, &why) != TH_OK) {
        fail_msg("refused: %s", th_buf_text(&why));
    }
    return image;
}

static void expect_refusal(script *what, uint64_t checks_max, th_err expected,
                           const char *text)
{
    th_lua_plan plan = plan_of(what);
    th_auto(th_image) image = NULL;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_image_build(&image, &plan, 5, checks_max, &why), expected);
    T_NULL(image);
    T_FALSE(th_image_is_building());
    T_NULL(th_preempt_hook);
    if (strstr(th_buf_text(&why), text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", th_buf_text(&why), text);
    }
}

static lua_State *make_slowly(th_arena **arena, script *what, uint64_t dice)
{
    th_lua_plan plan = plan_of(what);
    th_lua_birth birth = {OWNER, dice, 5};
    lua_State *L = NULL;

    T_EQ(th_arena_new(arena, TH_ARENA_FIRST_BYTES, 64 * MB), TH_OK);
    T_EQ(th_lua_state_new(&L, *arena, &plan, &birth), TH_OK);
    T_EQ(th_lua_state_prepare(L, &plan), TH_OK);
    return L;
}

static lua_State *make_clone(th_arena **arena, const th_image *image, uint64_t dice)
{
    th_lua_birth birth = {OWNER, dice, 0};
    lua_State *L = NULL;

    T_EQ(th_image_clone(arena, &L, image, &birth, 64 * MB), TH_OK);
    return L;
}

/* --- Behaviour ---------------------------------------------------------------- */

/* Everything that an image may hold, made before it and used after it. */
static const char actor[] =
    "local k1, k2, k3, k4 = {}, {}, load, function() end\n"
    "local k5 = coroutine.create(function() coroutine.yield(7) return 8 end)\n"
    "local long = 'a string longer than forty characters, so not interned'\n"
    "local t = {[k1] = 1, [k2] = 2, [k3] = 3, [k4] = 4, [k5] = 5, [long] = 6,\n"
    "    [1.5] = 7, [true] = 8, [false] = 9}\n"
    "local weak = setmetatable({[k1] = {}, [k2] = k2}, {__mode = 'k'})\n"
    "local up, log = 0, {}\n"
    "local co = coroutine.wrap(function() for i = 1, 1e9 do coroutine.yield(i) end "
    "end)\n"
    "co() co() coroutine.resume(k5)\n"
    "local dead = coroutine.create(error) coroutine.resume(dead, {'an error'})\n"
    "local count, shared do local n = 10 count = function() n = n + 1 return n end\n"
    "    shared = function() return n end end\n"
    "local obj = setmetatable({}, {__gc = function() up = up + 1000 end,\n"
    "    __tostring = function() return 'OBJ' end})\n"
    "local function ids() local o = {} for k in pairs(t) do\n"
    "    o[#o + 1] = type(k) == 'string' and 's' or tostring(k) end\n"
    "    return table.concat(o, ' ') end\n"
    "local words = {} for i = 1, 50 do words[i] = 'word' .. i words['w' .. i] = i end\n"
    "for i = 1, 40 do words['w' .. i] = nil end\n"
    "return function() local began = collectgarbage('count')\n"
    "  assert(t[k1] == 1 and t[k2] == 2 and t[k3] == 3 and t[k4] == 4 and t[k5] == 5)\n"
    "  assert(t[load] == 3 and t[1.5] == 7 and t[true] == 8 and t[false] == 9)\n"
    "  assert(t['a string longer than forty' .. ' characters, so not interned'] == 6)\n"
    "  local n = 0 for k, v in pairs(t) do n = n + 1 assert(t[k] == v) end\n"
    "  assert(n == 9 and words.w50 == 50 and words.w1 == nil and #words == 50)\n"
    "  local a = 'inter' .. tostring('ned_x') t[a] = 9\n"
    "  assert(t['interned_x'] == 9 and rawequal(a, 'interned_x')) t[a] = nil\n"
    "  up = up + 1 assert(co() == 3)\n"
    "  assert(count() == 11 and shared() == 11)\n"
    "  local ok, v = coroutine.resume(k5) assert(ok and v == 8)\n"
    "  assert(coroutine.status(dead) == 'dead' and needs_owner())\n"
    "  assert(coroutine.wrap(needs_owner)())\n"
    "  local ok, e = pcall(error, 'boom', 0) assert(not ok and e == 'boom')\n"
    "  ok, e = pcall(function() local x = nil; return x.y end)\n"
    "  assert(e == \"actor:34: attempt to index a nil value (local 'x')\", e)\n"
    "  for i = 1, 3 do collectgarbage() end collectgarbage('generational')\n"
    "  local j = {} for i = 1, 5000 do j[{}] = i end collectgarbage()\n"
    "  collectgarbage('incremental')\n"
    "  for k, v in pairs(j) do assert(j[k] == v) end j = nil collectgarbage()\n"
    "  assert(weak[k1] and weak[k2] == k2)\n"
    "  assert(tostring(obj) == 'OBJ') obj = nil collectgarbage() collectgarbage()\n"
    "  assert(up == 1001)\n"
    "  for i = 1, 2000 do t[{}] = i t['k' .. i] = i end assert(t[k1] == 1 and t.k77 == "
    "77)\n"
    "  for i = 1, 2000 do t['k' .. i] = nil end for k, v in pairs(t) do\n"
    "      if type(k) == 'table' and k ~= k1 and k ~= k2 then t[k] = nil end end\n"
    "  local r = coroutine.yield('hello') assert(r == 1)\n"
    "  assert(string.format('%p', k1) == tostring(k1):match('0x%x+'))\n"
    "  local f = assert(load('return ...')) assert(f(5) == 5)\n"
    "  return math.random(0) .. ' ' .. ids() .. string.format(' %p %p ', t, load)\n"
    "      .. began\n"
    "end";

/* Two slices of the actor; what it returns goes to @text. */
static void run_actor(lua_State *L, char *text, size_t bytes)
{
    int results;

    if (lua_resume(L, NULL, 0, &results) != LUA_YIELD) {
        fail_msg("first slice: %s", th_lua_state_text(L, -1));
    }
    T_STR(lua_tostring(L, -1), "hello");
    lua_pop(L, results);
    lua_pushinteger(L, 1);
    if (lua_resume(L, NULL, 1, &results) != LUA_OK) {
        fail_msg("second slice: %s", th_lua_state_text(L, -1));
    }
    snprintf(text, bytes, "%s", lua_tostring(L, -1));
}

TEST(image, clones_of_a_large_actor_behave_like_the_slow_way)
{
    script what = {NULL, actor, NULL};
    th_image *image = NULL;
    th_arena *arena = NULL;
    char slow[1000];
    char fast[1000];

    if (!has_images()) {
        return;
    }
    run_actor(make_slowly(&arena, &what, 77), slow, sizeof slow);
    arena = th_arena_free(arena);
    image = build_image(&what);
    for (int i = 0; i < 20; i++) {
        void *odd = th_malloc((size_t)i * 16); /* another place for each clone */
        lua_State *L = make_clone(&arena, image, 77);

        run_actor(L, fast, sizeof fast);
        T_STR(slow, fast);
        if (i % 2 == 0) {
            lua_close(L);
        }
        arena = th_arena_free(arena);
        (void)th_free(odd);
    }
    (void)th_image_free(image);
}

TEST(image, clones_stand_alone)
{
    script what = {NULL,
                   "local n = 0 return function() for i = 1, 9 do n = n + 1 "
                   "coroutine.yield(n) end end",
                   NULL};
    th_image *image = NULL;
    th_arena *arenas[2];
    lua_State *L[2];
    int results;

    if (!has_images()) {
        return;
    }
    image = build_image(&what);
    for (int i = 0; i < 2; i++) {
        L[i] = make_clone(&arenas[i], image, 1);
    }
    for (int round = 1; round < 5; round++) {
        for (int i = 0; i < 2; i++) {
            T_EQ(lua_resume(L[i], NULL, 0, &results), LUA_YIELD);
            T_EQ(lua_tointeger(L[i], -1), round);
            lua_pop(L[i], results);
        }
    }
    (void)th_arena_free(arenas[0]);
    (void)th_arena_free(arenas[1]);
    image = th_image_free(image);
}

static void first_random(lua_State *L, char *text, size_t bytes)
{
    int results;

    T_EQ(lua_resume(L, NULL, 0, &results), LUA_OK);
    snprintf(text, bytes, "%s", lua_tostring(L, -1));
}

TEST(image, dice_differ_by_clone_and_are_those_of_the_slow_way)
{
    script what = {NULL,
                   "return function() return math.random(0) .. ' ' .. "
                   "math.randomseed() .. ' ' .. math.random(0) end",
                   NULL};
    th_auto(th_image) image = NULL;
    char texts[3][80];
    th_arena *arena = NULL;

    if (!has_images()) {
        return;
    }
    image = build_image(&what);
    for (uint64_t i = 0; i < 3; i++) {
        first_random(make_clone(&arena, image, i / 2), texts[i], sizeof texts[i]);
        arena = th_arena_free(arena);
    }
    T_STR(texts[0], texts[1]);
    T_NE(strcmp(texts[0], texts[2]), 0);
    first_random(make_slowly(&arena, &what, 1), texts[0], sizeof texts[0]);
    arena = th_arena_free(arena);
    T_STR(texts[0], texts[2]);
}

/* --- What is refused ---------------------------------------------------------- */

TEST(image, pointers_to_elsewhere_are_refused)
{
    char here = 0;
    char *heap = th_malloc(100);
    script what = {NULL, "return function() end", heap};

    if (has_images()) {
        expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_UNSUPPORTED,
                       "pointer to elsewhere");
        what.pointer = &here;
        expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_UNSUPPORTED,
                       "pointer to elsewhere");
    }
    (void)th_free(heap);
}

TEST(image, texts_that_look_like_pointers_and_static_data_are_not_refused)
{
    char *heap = th_malloc(100);
    char source[200] = "local s = '";
    script what = {NULL, source, &someone};

    for (size_t i = 0; i < sizeof heap; i++) {
        snprintf(source + strlen(source), 8, "\\%03u",
                 (unsigned)((uintptr_t)heap >> (8 * i) & 255));
    }
    strcat(source, "' return function() return s end");
    if (has_images()) {
        (void)th_image_free(build_image(&what));
    }
    (void)th_free(heap);
}

static int prepare_differently(lua_State *L, void *context)
{
    static int n;

    (void)context;
    lua_pushinteger(L, n++);
    lua_setglobal(L, "n");
    return 0;
}

TEST(image, preparations_that_differ_are_refused)
{
    th_lua_plan plan = {NULL, prepare_differently, NULL};
    th_auto(th_image) image = NULL;
    th_auto_buf why = TH_BUF_INIT;

    if (!has_images()) {
        return;
    }
    T_EQ(th_image_build(&image, &plan, 1, TH_IMAGE_CHECKS_MAX, &why), TH_UNSUPPORTED);
    T_NOT_NULL(strstr(th_buf_text(&why), "differ"));
}

TEST(image, preparations_that_draw_numbers_are_refused)
{
    static const char *const sources[] = {
        "x = math.random() return function() end",
        "math.randomseed() return function() end",
        "math.randomseed(42) return function() end",
        "x = math.random() math = nil collectgarbage() return function() end",
    };

    for (size_t i = 0; i < sizeof sources / sizeof *sources && has_images(); i++) {
        script what = {NULL, sources[i], NULL};

        expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_UNSUPPORTED, "random numbers");
    }
}

TEST(image, endless_preparations_end_with_their_budget)
{
    static const char *const sources[] = {
        "while true do end",
        "while true do pcall(error) end",
        "string.gsub('x', '.', function() while true do end end)",
        "coroutine.wrap(function() while true do end end)()",
        "return (('a'):rep(400)):find(('.-'):rep(4) .. 'b')",
        "setmetatable({}, {__gc = function() while true do end end}) return load",
    };

    for (size_t i = 0; i < sizeof sources / sizeof *sources && has_images(); i++) {
        script what = {NULL, sources[i], NULL};

        expect_refusal(&what, 20000, TH_TIMED_OUT, "takes too long");
    }
}

/* Whether a plan's preparation fits into @checks_max. */
static bool fits(script *what, uint64_t checks_max)
{
    th_lua_plan plan = plan_of(what);
    th_auto(th_image) image = NULL;
    th_auto_buf why = TH_BUF_INIT;

    return th_image_build(&image, &plan, 5, checks_max, &why) == TH_OK;
}

TEST(image, a_budget_ends_at_the_same_check_in_every_run)
{
    script what = {NULL, "for i = 1, 1000 do end return load", NULL};
    uint64_t least = 1;

    if (!has_images()) {
        return;
    }
    while (!fits(&what, least)) {
        least++;
        T_TRUE(least < 20000);
    }
    T_TRUE(least > 1000);
    for (int i = 0; i < 10; i++) {
        T_TRUE(fits(&what, least));
        T_FALSE(fits(&what, least - 1));
    }
}

TEST(image, who_needs_a_process_abandons_the_build_even_in_a_pcall)
{
    script what = {NULL, "pcall(needs_owner) return function() end", NULL};

    if (has_images()) {
        expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_UNSUPPORTED, "test.pid");
    }
}

TEST(image, failures_and_excess_are_told)
{
    script what = {NULL, "error('on purpose', 0)", NULL};

    if (!has_images()) {
        return;
    }
    expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_FAILED, "on purpose");
    what.source = "this is not Lua";
    expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_FAILED, "syntax error");
    what.source = "t = {} for i = 1, 1e6 do t[i] = i end return load";
    expect_refusal(&what, 100 * TH_IMAGE_CHECKS_MAX, TH_QUOTA, "too large");
    what.source = "return load";
    what.setup = "error('no')";
    expect_refusal(&what, TH_IMAGE_CHECKS_MAX, TH_FAILED, "setup failed");
}

/* --- Memory ------------------------------------------------------------------- */

TEST(image, build_gives_everything_back_when_memory_runs_out)
{
    script what = {NULL, "return function() end", NULL};
    th_lua_plan plan = plan_of(&what);

    if (!has_images()) {
        return;
    }
    for (uint64_t n = 0;; n++) {
        th_auto(th_image) image = NULL;
        th_auto_buf why = TH_BUF_INIT;
        int64_t live = th_mem_live();
        th_err err;

        th_mem_fail_after(n);
        err = th_image_build(&image, &plan, 1, TH_IMAGE_CHECKS_MAX, &why);
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_NOMEM);
        T_EQ(th_mem_live(), live);
    }
}

TEST(image, a_clone_that_does_not_fit_is_refused)
{
    script what = {NULL, "return function() end", NULL};
    th_lua_birth birth = {OWNER, 1, 1};
    th_auto(th_image) image = NULL;
    th_arena *arena = NULL;
    lua_State *L = NULL;

    if (!has_images()) {
        return;
    }
    image = build_image(&what);
    T_EQ(th_image_clone(&arena, &L, image, &birth, th_image_bytes(image)), TH_QUOTA);
    th_mem_fail_after(0);
    T_EQ(th_image_clone(&arena, &L, image, &birth, MB), TH_NOMEM);
    T_NULL(arena);
    T_NULL(L);
}

TEST(image, a_small_actor_is_small)
{
    script what = {NULL,
                   "local n = 0 return function() n = n + 1 coroutine.yield() end",
                   NULL};
    th_auto(th_image) image = NULL;
    th_arena *arena = NULL;
    int results;

    if (!has_images()) {
        return;
    }
    image = build_image(&what);
    T_EQ(lua_resume(make_clone(&arena, image, 1), NULL, 0, &results), LUA_YIELD);
    print_message("image %zu bytes, %zu moves; a clone that runs holds %zu\n",
                  th_image_bytes(image), th_image_moves(image),
                  th_arena_held_bytes(arena));
    T_TRUE(th_arena_held_bytes(arena) <= 24 * 1024);
    arena = th_arena_free(arena);
}
