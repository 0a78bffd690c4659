/*
 * What the clones of an image share, and how one of them changes it for itself: as the
 * slow way does, which shares nothing. Sanitizer builds have no images.
 */
#include "guest/lua/image.h"
#include "guest/lua/lua_testing.h"

#include <stdio.h>

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)
#define TEXT_BYTES 4000

static int prepare(lua_State *L, void *context)
{
    const char *source = context;

    if (luaL_loadbufferx(L, source, strlen(source), "=test", "t") != LUA_OK) {
        lua_error(L);
    }
    lua_call(L, 0, 1);
    return 1;
}

/* NULL where there are none. */
static th_image *image_of(const char *source)
{
    th_lua_plan plan = {NULL, prepare, (void *)source};
    th_auto_buf why = TH_BUF_INIT;
    th_image *image = NULL;

    if (th_image_build(&image, &plan, 5, TH_IMAGE_CHECKS_MAX, &why) != TH_OK &&
        strstr(th_buf_text(&why), "sanitizer") == NULL) {
        fail_msg("refused: %s", th_buf_text(&why));
    }
    return image;
}

/* Run main with @number; it returns a text. */
static void run_main(lua_State *L, lua_Integer number, char *text)
{
    int results;

    lua_pushinteger(L, number);
    if (lua_resume(L, NULL, 1, &results) != LUA_OK) {
        fail_msg("%lld: %s", (long long)number, th_lua_state_text(L, -1));
    }
    snprintf(text, TEXT_BYTES, "%s", lua_tostring(L, -1));
}

static void run_slowly(const char *source, lua_Integer number, char *text)
{
    th_lua_plan plan = {NULL, prepare, (void *)source};
    th_lua_birth birth = {NULL, 1, 5};
    th_auto(th_arena) arena = NULL;
    lua_State *L = NULL;

    T_EQ(th_arena_new(&arena, TH_ARENA_FIRST_BYTES, 64 * MB), TH_OK);
    T_EQ(th_lua_state_new(&L, arena, &plan, &birth), TH_OK);
    T_EQ(th_lua_state_prepare(L, &plan), TH_OK);
    run_main(L, number, text);
}

static void run_clone(const th_image *image, lua_Integer number, size_t bytes_max,
                      char *text)
{
    th_lua_birth birth = {NULL, 1, 0};
    th_auto(th_arena) arena = NULL;
    lua_State *L = NULL;

    T_EQ(th_image_clone(&arena, &L, image, &birth, bytes_max), TH_OK);
    run_main(L, number, text);
}

/* Ways to write to a table of a library; `all` tells everything that is to be seen. */
static const char writers[] =
    "local libraries = {math, string, table, utf8, coroutine, _G, getmetatable('')}\n"
    "local number = {} for i, t in ipairs(libraries) do number[t] = i end\n"
    "local old_math, old_string, old_G, weak = math, string, _G,\n"
    "  setmetatable({[math] = string}, {__mode = 'kv'})\n"
    "local function upvalue() return old_math end\n"
    "local co = coroutine.create(function(a) local here = string\n"
    "  while true do a = coroutine.yield(here == string, a == math) end end)\n"
    "coroutine.resume(co, math)\n"
    "local function tell(t) local o = {}\n"
    "  for k, v in next, t do o[#o + 1] = tostring(k) .. '=' .. tostring(v) end\n"
    "  return #o .. ':' .. table.concat(o, ' ') end\n"
    "local function all()\n"
    "  assert(rawequal(upvalue(), old_math) and rawequal(libraries[1], old_math))\n"
    "  assert(rawequal(libraries[2], old_string) and rawequal(libraries[6], _ENV))\n"
    "  assert(number[old_math] == 1 and number[old_string] == 2 and number[old_G] == "
    "6)\n"
    "  assert(weak[old_math] == old_string and rawequal(old_G, _ENV))\n"
    "  local o = {select(2, coroutine.resume(co, old_math))}\n"
    "  for i, t in ipairs(libraries) do o[#o + 1] = tostring(t) .. tell(t) end\n"
    "  for k, v in pairs(number) do o[#o + 1] = tostring(k) .. v end\n"
    "  for i, v in ipairs(o) do o[i] = tostring(v) end\n"
    "  return old_string.gsub(table.concat(o, '\\n'), 'function: %S+', 'f') end\n"
    "local ways = {\n"
    "  function() math.x = 1 assert(math.x == 1 and old_math.x == 1) end,\n"
    "  function() math.pi = 3 assert(math.pi == 3 and old_math.pi == 3) end,\n"
    "  function() math.pi = nil assert(math.pi == nil) end,\n"
    "  function() x = 1 assert(x == 1 and _G.x == 1 and old_G.x == 1) end,\n"
    "  function() math = 5 assert(_G.math == 5 and old_math.pi) end,\n"
    "  function() rawset(_G, 'y', {}) assert(type(y) == 'table') end,\n"
    "  function() rawset(math, 'pi', 1) rawset(math, 'x', 1) end,\n"
    "  function() table.insert(math, 7) assert(math[1] == 7 and #math > 0) end,\n"
    "  function() math[1] = 1 math[2.0] = 2 math[1] = 3 assert(#math == 2) end,\n"
    "  function() setmetatable(_G, {__index = math, __newindex = string})\n"
    "    z = 3 assert(string.z == 3 and pi == math.pi and z == nil) end,\n"
    "  function() setmetatable(_G, _G) assert(getmetatable(_G) == _G) end,\n"
    "  function() setmetatable(string, math) math.__index = math\n"
    "    assert(string.pi == math.pi) end,\n"
    "  function() local t = setmetatable({}, {__newindex = math}) t.pi = 9 t.q = 8\n"
    "    assert(math.pi == 9 and math.q == 8 and next(t) == nil) end,\n"
    "  function() getmetatable('').__index = function(s, k) return k end\n"
    "    assert(('').anything == 'anything') end,\n"
    "  function() string.trim = function(s) return s .. '!' end\n"
    "    assert(('a'):trim() == 'a!') end,\n"
    "  function() getmetatable('').__index = nil assert(not pcall(load \"('').x()\")) "
    "end,\n"
    "  function() for k in pairs(math) do math[k] = nil end\n"
    "    assert(next(math) == nil) end,\n"
    "  function() local n = 0 for k, v in pairs(_G) do n = n + 1 _G[k] = v end\n"
    "    assert(n > 20) end,\n"
    "  function() for i = 1, 100 do math['k' .. i] = i _G['g' .. i] = math end\n"
    "    assert(g100.k1 == 1) end,\n"
    "  function() coroutine.wrap(function() local m = math math.co = m\n"
    "    assert(m == math and m.co == m) end)() end,\n"
    "  function() local m <close> = setmetatable({}, {__close = function()\n"
    "    utf8.charpattern = '' end}) local u = utf8 end,\n"
    "  function() local function f(...) math.va = ... return select('#', ...), ... "
    "end\n"
    "    local n, a, b = f(math, string) assert(n == 2 and a == math and b == string)\n"
    "    assert(a.va == math) end,\n"
    "  function() local a, t = math, {math, {math}, m = math} a.t = t\n"
    "    assert(t[1] == math and t[2][1] == math and t.m.t == t) end,\n"
    "  function() number[math], number[_G] = nil, nil\n"
    "    local k = next(number) math.x = 1 y = 2 while k do k = next(number, k) end\n"
    "    number[math], number[_G] = 1, 6 end,\n"
    "  function() for _, m in ipairs{'generational', 'incremental'} do\n"
    "    collectgarbage(m) collectgarbage() collectgarbage() local t = {math, _G}\n"
    "    collectgarbage('step') math[m] = {m} _G[m] = {m} for i = 1, 5 do\n"
    "    collectgarbage() end assert(math[m][1] == m and _G[m][1] == m and t[1] == "
    "math)\n"
    "    end end,\n"
    "}\n"
    "return function(n) local before = all() if n > #ways then return 'end' end\n"
    "  for i = 1, 2 do ways[n]() all() end collectgarbage()\n"
    "  return before .. '\\n' .. all() end";

TEST(commons, each_clone_changes_them_for_itself_as_the_slow_way_does)
{
    th_auto(th_image) image = image_of(writers);
    static char slow[TEXT_BYTES], fast[TEXT_BYTES], first[TEXT_BYTES];

    for (lua_Integer n = 1; image != NULL; n++) {
        run_slowly(writers, n, slow);
        run_clone(image, n, 64 * MB, fast);
        T_STR(slow, fast);
        if (strcmp(fast, "end") == 0) {
            T_TRUE(n > 20);
            break;
        }
        /* The next finds them as the first did. */
        fast[200] = '\0';
        strcpy(n == 1 ? first : slow, fast);
        T_STR(n == 1 ? fast : slow, first);
    }
}

/* A collection is at any point when the first write comes, in either mode. */
static const char during[] =
    "local keep = {} for i = 1, 50 do keep[i] = {math, {_G}, string, function()\n"
    "  return keep, math end} end\n"
    "local function up() return math, string end\n"
    "return function(n)\n"
    "  collectgarbage(n % 2 == 0 and 'incremental' or 'generational')\n"
    "  local junk = {} for i = 1, n do junk[i % 9 + 1] = {math, i .. ''} end\n"
    "  if n % 3 == 0 then collectgarbage('step', 0) end\n"
    "  new, math.new, string.new = {'g'}, {'m'}, {'s'}\n"
    "  for i = 1, 300 do junk[i % 9 + 1] = {math, i .. ''} end\n"
    "  for i = 1, 3 do collectgarbage() end\n"
    "  for i = 1, 50 do assert(keep[i][1].new[1] == 'm' and keep[i][2][1] == _G) end\n"
    "  assert(new[1] == 'g' and math.new[1] == 'm' and ('').new[1] == 's')\n"
    "  return 'good' end";

TEST(commons, they_are_changed_in_the_midst_of_any_collection)
{
    th_auto(th_image) image = image_of(during);
    static char text[TEXT_BYTES];

    for (lua_Integer n = 0; n < 600 && image != NULL; n++) {
        run_clone(image, n, 64 * MB, text);
        T_STR(text, "good");
    }
}

/* Memory is used up but for the room of some tables of the size of a library. */
static const char scarce[] =
    "local function fields(n) local s = {} for i = 1, n do s[i] = 'f' .. i .. '=1' "
    "end\n"
    "  return table.concat(s, ',') end\n"
    "local large = load('return {' .. fields(32) .. '}')\n"
    "local function write() _VERSION = 1 math.pi = 2 end\n"
    "return function(n)\n"
    "  local many, junk, count = nil, nil, 0\n"
    "  pcall(function() while true do many = {many, large()} count = count + 1 end "
    "end)\n"
    "  pcall(function() while true do junk = {junk} end end)\n"
    "  if n > count then return 'end' end\n"
    "  for i = 1, n do many[2] = nil many = many[1] end collectgarbage()\n"
    "  local ok, why = pcall(write)\n"
    "  assert(ok or why == 'not enough memory', why)\n"
    "  assert(not ok or _VERSION == 1 and math.pi == 2)\n"
    "  assert(rawequal(_G, _ENV) and rawequal(_G._G, _G) and math.pi)\n"
    "  many, junk = nil, nil collectgarbage() write()\n"
    "  assert(rawequal(_G, _ENV) and _VERSION == 1 and _G.math.pi == 2 and math.sin)\n"
    "  return ok and 'good' or 'short' end";

TEST(commons, nothing_is_changed_when_memory_runs_out)
{
    th_auto(th_image) image = image_of(scarce);
    static char text[TEXT_BYTES];
    int goods = 0, shorts = 0;

    for (lua_Integer n = 0; n < 12 && image != NULL; n++) {
        run_clone(image, n, 16 * KB, text);
        goods += strcmp(text, "good") == 0;
        shorts += strcmp(text, "short") == 0;
    }
    T_TRUE(image == NULL || (goods > 1 && shorts > 1));
}

/* Each has its own list of strings, and the same string everywhere. */
static const char strings[] =
    "local t = {an_unusual_field = 1, ['a text of more than forty bytes, so a long "
    "one']"
    " = 2}\n"
    "return function(n) for i = 1, 500 do t['field' .. i] = i end\n"
    "  local name = 'an_unu' .. (n > 0 and 'sual_field' or '')\n"
    "  assert(t[name] == 1 and rawequal(name, 'an_unusual_field'))\n"
    "  assert(load('local t = ... return t.an_unusual_field')(t) == 1)\n"
    "  assert(t['a text of more than forty bytes, ' .. 'so a long one'] == 2)\n"
    "  for i = 1, 500 do t['field' .. i] = nil end collectgarbage() collectgarbage()\n"
    "  assert(t[name] == 1 and t[('x an_unusual_field'):sub(3)] == 1)\n"
    "  return 'good' end";

TEST(commons, strings_are_found_there)
{
    th_auto(th_image) image = image_of(strings);
    static char text[TEXT_BYTES];

    if (image != NULL) {
        run_clone(image, 1, 64 * MB, text);
        T_STR(text, "good");
    }
}
