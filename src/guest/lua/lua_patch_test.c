/*
 * One test for each group of lua/patches. The tick is played by th_preempt_hook with
 * the flag always up, so that each check counts.
 */
#include "guest/lua/lua_testing.h"

#include <stdio.h>

static __thread long checks;
static __thread long checks_max;
static __thread jmp_buf killed;

static void count_check(void)
{
    if (++checks == checks_max) {
        longjmp(killed, 1);
    }
}

static void flag_up(long max)
{
    checks = 0;
    checks_max = max;
    th_preempt_hook = count_check;
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
}

static void flag_down(void)
{
    th_preempt_hook = NULL;
    __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
}

/* --- The tick and the checkpoints --------------------------------------------- */

typedef struct form {
    const char *before; /* what the call needs, not counted */
    const char *call;
    long checks; /* at least */
} form;

static const form forms[] = {
    /* The interpreter: jumps, calls and returns. */
    {"", "for i = 1, 5000 do end", 5000},
    {"", "local i = 0 while i < 5000 do i = i + 1 end", 5000},
    {"", "local i = 0 repeat i = i + 1 until i == 5000", 5000},
    {"", "local i = 0 ::a:: i = i + 1 if i < 5000 then goto a end", 5000},
    {"local t = {} for i = 1, 5000 do t[i] = i end", "for k in pairs(t) do end", 5000},
    {"local function f(n) if n > 0 then return f(n - 1) end end", "f(5000)", 5000},
    {"local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end",
     "f(5000)", 5000},
    /* Code that the interpreter is not asked for. */
    {"", "coroutine.wrap(function() for i = 1, 5000 do end end)()", 5000},
    {"", "pcall(function() for i = 1, 5000 do end end)", 5000},
    {"", "xpcall(error, function() for i = 1, 5000 do end end)", 5000},
    {"local t = setmetatable({}, {__index = function() for i = 1, 5000 do end end})",
     "local x = t.x", 5000},
    {"local m = {__close = function() for i = 1, 5000 do end end}",
     "local c <close> = setmetatable({}, m)", 5000},
    {"setmetatable({}, {__gc = function() for i = 1, 5000 do end end})",
     "collectgarbage()", 5000},
    /* Patterns. */
    {"local s = ('a'):rep(150)", "s:find('.-.-b')", 5000},
    {"local s = ('a'):rep(5000)", "s:find('^a*$')", 5000},
    {"local s = '(' .. ('a'):rep(5000) .. ')'", "s:find('^%b()')", 5000},
    {"local s = ('a'):rep(5000)", "s:find('ab', 1, true)", 4999},
    {"local s = ('a'):rep(5000)", "s:gsub('b', 'c')", 5000},
    {"local s = ('a'):rep(5000)", "for x in s:gmatch('b') do end", 5000},
    /* Strings. */
    {"", "string.rep(' ', 5000)", 4999},
    {"local s = string.rep(' ', 20 << 20)", "string.format('%s', s)", 80},
    {"local s = ('a'):rep(5000)", "s:reverse()", 5000},
    {"local s = ('a'):rep(5000)", "s:lower()", 5000},
    {"local s = ('a'):rep(5000)", "s:upper()", 5000},
    {"local s = ('a'):rep(5000)", "string.format('%q', s)", 5000},
    {"local s = ('%%'):rep(5000)", "string.format(s)", 5000},
    {"local s = ('x'):rep(5000)", "string.pack(s)", 5000},
    {"local s = ('x'):rep(5000)", "string.packsize(s)", 5000},
    {"local s = ('x'):rep(5000)", "string.unpack(s, s)", 5000},
    {"local s = ('a'):rep(5000)", "utf8.len(s)", 5000},
    {"local s = ('a'):rep(5000)", "utf8.offset(s, 5000)", 4999},
    {"local s = ('a'):rep(5000)", "utf8.offset(s, -5000)", 5000},
    /* Tables. */
    {"local t = {} for i = 1, 5000 do t[i] = i end", "table.insert(t, 1, 0)", 5000},
    {"local t = {} for i = 1, 5000 do t[i] = i end", "table.remove(t, 1)", 4999},
    {"local t = {} for i = 1, 5000 do t[i] = i end", "table.move(t, 1, 5000, 2)", 5000},
    {"local t = {} for i = 1, 5000 do t[i] = i end", "table.move(t, 2, 5000, 1)", 4999},
    {"local t = {} for i = 1, 5000 do t[i] = i end", "table.concat(t)", 4999},
    {"local t = {} for i = 1, 1000 do t[i] = -i end", "table.sort(t)", 5000},
    /* Counting 4096 nodes, clearing 8192 and inserting 4096. */
    {"local t = {} for i = 1, 4096 do t[i .. ''] = i end", "rawset(t, 'x', 1)", 16384},
    /* The lexer, and the search for a function's name. */
    {"local s = '--' .. ('x'):rep(5000)", "load(s)", 5000},
    {"local s = '[[' .. ('x'):rep(5000)", "load(s)", 5000},
    {"g = {} for i = 1, 5000 do g['k' .. i] = i end local r = string.rep string.rep = "
     "nil",
     "pcall(r)", 5000},
    /* Collections: marking and sweeping, step by step and at once, and young ones. */
    {"g = {} for i = 1, 5000 do g[i] = {} end", "collectgarbage()", 10000},
    {"g = {} for i = 1, 5000 do g[i] = {} end collectgarbage('generational')",
     "collectgarbage()", 10000},
    {"collectgarbage('generational') g = {} for i = 1, 5000 do g[i] = {} end",
     "collectgarbage('step')", 10000},
    {"g = {} for i = 1, 100 do local t = {} g[i] = setmetatable({}, {__mode = 'k'}) "
     "g[i][t] = {} end",
     "collectgarbage()", 200},
};

TEST(lua_patch, tick_reaches_every_form_of_loop)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = testing_state(&arena, 1, 1);
        char source[400];

        snprintf(source, sizeof source, "%s return function() %s end", forms[i].before,
                 forms[i].call);
        testing_run(L, source);
        flag_up(-1);
        T_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
        flag_down();
        if (checks < forms[i].checks) {
            fail_msg("%s: %ld checks, not %ld", forms[i].call, checks, forms[i].checks);
        }
    }
}

static const char *const endless[] = {
    "while true do end",
    "coroutine.wrap(function() local c = coroutine.wrap(function() while true do end "
    "end) c() end)()",
    "while true do xpcall(error, function() while true do end end) end",
    "while true do pcall(pcall, error) end",
    "local function f() return f() end f()",
    "while true do local t = setmetatable({}, {__gc = function() while true do end "
    "end}) end",
    "local c <close> = setmetatable({}, {__close = function() while true do end end})",
    "local t = {} for i = 1, 50 do t[i] = i end "
    "table.sort(t, function() while true do end end)",
    "string.gsub('xx', '.', function() while true do end end)",
    "return (('a'):rep(400)):find(('.-'):rep(4) .. 'b')",
    "local a, b = ('a'):rep(20000), ('a'):rep(10000) .. 'b' while true do a:find(b, 1, "
    "true) end",
    "local t = {} for i = 1, 3000 do t[i] = {} end while true do collectgarbage() end",
    "local s = ('x = 1 '):rep(1000) while true do load(s) end",
    "load(function() return ' ' end)",
    "local s = ('('):rep(1000) for i = 1, 1e9 do s:find('%b()') end",
};

TEST(lua_patch, endless_guests_are_killed_wherever_they_stand)
{
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        th_arena *arena = NULL;
        lua_State *L = testing_state(&arena, 1, 1);

        flag_up(200000);
        if (setjmp(killed) == 0) {
            if (luaL_loadstring(L, endless[i]) == LUA_OK) {
                (void)lua_pcall(L, 0, 0, 0);
            }
            fail_msg("%s: it ended", endless[i]);
        }
        flag_down();
        (void)th_arena_free(arena);
    }
}

TEST(lua_patch, a_run_with_the_flag_up_is_the_same_and_counts_the_same)
{
    static const char source[] =
        "local out = {} "
        "for i = 1, 300 do "
        "  local co = coroutine.wrap(function(a) local b = coroutine.yield(a * 2) "
        "return b .. '!' end) "
        "  out[#out + 1] = co(i) .. co('x') "
        "  local t = {} for j = 1, 30 do t[j] = (j * 7919 + i) % 101 end "
        "  table.sort(t, function(a, b) return a < b end) "
        "  out[#out + 1] = table.concat(t, ','):gsub('%d', {['1'] = 'one'}) "
        "  out[#out + 1] = select(2, pcall(error, 'e' .. i)) "
        "  setmetatable({}, {__gc = function() out.gc = (out.gc or 0) + 1 end}) "
        "end "
        "collectgarbage() "
        "return #table.concat(out, ';') .. ' ' .. out.gc";
    char text[2][40];
    long counts[2];
    th_arena *arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    snprintf(text[0], sizeof text[0], "%s", testing_text(L, source));
    arena = th_arena_free(arena);
    for (int i = 0; i < 2; i++) {
        L = testing_state(&arena, 1, 1);
        flag_up(-1);
        snprintf(text[1], sizeof text[1], "%s", testing_text(L, source));
        flag_down();
        counts[i] = checks;
        T_STR(text[0], text[1]);
        arena = th_arena_free(arena);
    }
    T_TRUE(counts[0] > 10000);
    T_EQ(counts[0], counts[1]);
}

/* --- Identity ----------------------------------------------------------------- */

static const char identities[] =
    "local out, t = {}, {} "
    "local keys = {{}, function() end, print, coroutine.create(print or type), "
    "string.rep, io, math.random, setmetatable({}, {__name = 'named'})} "
    "for i = 1, 50 do keys[#keys + 1] = i % 2 == 0 and {} or function() return i end "
    "end "
    "for _, k in pairs(keys) do t[k] = true end "
    "for k in pairs(t) do out[#out + 1] = tostring(k) end "
    "out[#out + 1] = string.format('%p %p %p', t, 'text', 1) "
    "return table.concat(out, ' ')";

TEST(lua_patch, identity_is_the_same_in_every_state)
{
    char *first = NULL;

    for (int i = 0; i < 4; i++) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = testing_state(&arena, (uint64_t)i, (uint32_t)i);
        void *elsewhere = th_malloc(1000);
        const char *text = testing_text(L, identities);

        if (first == NULL) {
            first = th_strndup(text, strlen(text));
        }
        T_STR(first, text);
        T_NOT_NULL(strstr(text, "named: 0x"));
        T_NULL(strstr(text, "0x7f"));
        (void)th_free(elsewhere);
    }
    (void)th_free(first);
}

TEST(lua_patch, order_of_pairs_follows_the_hash_seed_only)
{
    static const char source[] =
        "local t, out = {}, {} for i = 1, 40 do t['key' .. i] = i t[i + 0.5] = i end "
        "t[true], t[false] = 1, 2 "
        "for k in pairs(t) do out[#out + 1] = tostring(k) end "
        "return table.concat(out, ' ')";
    char *texts[3];

    for (uint32_t i = 0; i < 3; i++) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = testing_state(&arena, i, i / 2);
        const char *text = testing_text(L, source);

        texts[i] = th_strndup(text, strlen(text));
    }
    T_STR(texts[0], texts[1]);
    T_NE(strcmp(texts[0], texts[2]), 0);
    for (int i = 0; i < 3; i++) {
        (void)th_free(texts[i]);
    }
}

/* --- Dice --------------------------------------------------------------------- */

TEST(lua_patch, dice_are_those_of_the_arena)
{
    static const char source[] =
        "local a = math.random(0) .. ' ' .. math.random(0) "
        "local x, y = math.randomseed() local b = math.random(0) "
        "math.randomseed(x, y) assert(b == math.random(0)) "
        "return a .. ' ' .. b";
    char *texts[3];

    for (uint32_t i = 0; i < 3; i++) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = testing_state(&arena, i / 2, i);
        const char *text = testing_text(L, source);

        texts[i] = th_strndup(text, strlen(text));
    }
    T_STR(texts[0], texts[1]);
    T_NE(strcmp(texts[0], texts[2]), 0);
    for (int i = 0; i < 3; i++) {
        (void)th_free(texts[i]);
    }
}

TEST(lua_patch, sort_compares_the_same_in_every_run)
{
    static const char source[] =
        "local t, log = {}, 0 for i = 1, 500 do t[i] = (i * 7919) % 503 end "
        "table.sort(t, function(a, b) log = (log * 31 + a * 7 + b) % 1000003 return "
        "a < b end) return tostring(log)";
    char first[20];
    th_arena *arena = NULL;

    snprintf(first, sizeof first, "%s",
             testing_text(testing_state(&arena, 1, 1), source));
    arena = th_arena_free(arena);
    T_STR(first, testing_text(testing_state(&arena, 2, 2), source));
    arena = th_arena_free(arena);
}

/* --- Yield ---------------------------------------------------------------------- */

static const char yields[] =
    "local y = coroutine.yield "
    "local m = {__index = function(_, k) return y(k) end, __call = y, "
    "  __add = function(_, b) return (y(b)) end, __lt = function() return y('lt') end, "
    "  __concat = function() return y('..') end, __close = function() y('close') end} "
    "local o = setmetatable({}, m) "
    "local ways = { "
    "  function() local a = y(1) return a end, "
    "  function() return y(1) end, "
    "  function(...) return y(...) end, "
    "  function() return select(2, pcall(y, 1)) end, "
    "  function() return select(2, pcall(function() return y(1) end)) end, "
    "  function() return select(2, pcall(function() error((y(1)), 0) end)) end, "
    "  function() return select(2, xpcall(y, tostring, 1)) end, "
    "  function() return o.x end, "
    "  function() return (o(1)) end, "
    "  function() return o(1) end, "
    "  function() return o + 1 end, "
    "  function() return o < o and 'back' end, "
    "  function() return o .. o end, "
    "  function() do local c <close> = o end return 'back' end, "
    "  function() for a in y do return a end end, "
    "  function() return coroutine.wrap(function() return coroutine.wrap(function() "
    "    return 'back' end)() end)(y(1)) end, "
    "  function() local a = table.pack(y(1)) return table.unpack(a) end, "
    "} ";

TEST(lua_patch, a_yield_passes_every_kind_of_call)
{
    static const char *const checks_of[] = {
        "for i, way in ipairs(ways) do for _ = 1, 3 do "
        "  local co = coroutine.create(way) "
        "  local ok, got = coroutine.resume(co, 1) "
        "  assert(ok and got ~= 'back', i .. tostring(got)) "
        "  assert(coroutine.status(co) == 'suspended', i) "
        "  ok, got = coroutine.resume(co, 'back') "
        "  assert(ok and got == 'back', i .. tostring(got)) "
        "  assert(coroutine.status(co) == 'dead', i) end end",
        /* Many in a row, from one frame and from deeper and deeper ones. */
        "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return y(0) "
        "end "
        "local co = coroutine.wrap(function() for i = 1, 100 do "
        "  assert(pcall(deep, i)) assert(y(i) == -i) end return 'end' end) "
        "assert(co() == 0) for i = 1, 100 do assert(co(i) == i) "
        "  assert(co(-i) == (i < 100 and 0 or 'end')) end",
        /* Where none may pass: a comparison in C, a finalizer, the main thread. */
        "local co = coroutine.wrap(function() "
        "  return pcall(table.sort, {3, 2, 1}, function() y(1) end) end) "
        "local ok, why = co() "
        "assert(not ok and why:find('across a C%-call boundary'), why) "
        "assert(not pcall(y, 1)) "
        "local seen "
        "setmetatable({}, {__gc = function() seen = {pcall(y, 1)} "
        "  assert(rawlen('x') == 1) end}) "
        "co = coroutine.wrap(function() y(1) collectgarbage() y(2) return 3 end) "
        "assert(co() == 1 and co() == 2 and co() == 3) "
        "assert(seen and seen[1] == false)",
    };
    char source[4000];

    for (size_t i = 0; i < sizeof checks_of / sizeof *checks_of; i++) {
        th_auto(th_arena) arena = NULL;
        lua_State *L = testing_state(&arena, 1, 1);

        snprintf(source, sizeof source, "%s %s", yields, checks_of[i]);
        if (luaL_loadstring(L, source) != LUA_OK || lua_pcall(L, 0, 0, 0) != LUA_OK) {
            fail_msg("%s", lua_tostring(L, -1));
        }
    }
}

/* --- Sandbox ------------------------------------------------------------------ */

TEST(lua_patch, load_refuses_bytecode_in_every_mode)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    testing_run(L, "local code = '\\27Lua\\x54\\0\\x19\\x93' "
                   "for _, mode in ipairs{'b', 'bt', 't', 'tb', ''} do "
                   "  local f, e = load(code, 'x', mode) "
                   "  assert(f == nil and e:find('attempt to load a binary chunk')) "
                   "end "
                   "local f, e = load(code) "
                   "assert(f == nil and e:find('binary chunk')) "
                   "f, e = load(function() local c = code code = nil return c end) "
                   "assert(f == nil and e:find('binary chunk')) "
                   "f, e = load('return 1', 'x', 'b') "
                   "assert(f == nil and e:find('text chunk')) "
                   "assert(load('return 1', 'x', 'bt')() == 1)");
}
