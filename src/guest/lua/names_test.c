#include "base/bytes.h"
#include "guest/lua/lua_testing.h"

TEST(names, every_name_is_found_as_itself)
{
    static const th_slice names[] = {
#define TH_NAME(literal, reserved) {literal, sizeof(literal) - 1},
#include "guest/lua/names.def"
#undef TH_NAME
    };
    const void *last = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const void *name = th_name(names[i].at, names[i].bytes);

        T_NOT_NULL(name);
        T_TRUE(last == NULL || name > last);
        last = name;
    }
    T_NULL(th_name("", 0));
    T_NULL(th_name("no such name", 12));
    T_NULL(th_name("process", 6));
    T_NULL(th_name("a name too long to be one", 25));
}

TEST(names, metamethods_are_in_the_order_of_the_interpreter)
{
    static const char *const tags[] = {"__index", "__newindex", "__gc",     "__mode",
                                       "__len",   "__eq",       "__add",    "__sub",
                                       "__mul",   "__mod",      "__pow",    "__div",
                                       "__idiv",  "__band",     "__bor",    "__bxor",
                                       "__shl",   "__shr",      "__unm",    "__bnot",
                                       "__lt",    "__le",       "__concat", "__call",
                                       "__close"};

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        T_TRUE(th_tagnames[i] == th_name(tags[i], strlen(tags[i])));
    }
}

TEST(names, they_are_strings_like_any_other)
{
    th_auto(th_arena) arena = NULL;
    lua_State *L = testing_state(&arena, 1, 1);

    testing_run(
        L, "local t = {process = 1, ['pro' .. 'cess'] = 2} "
           "assert(t.process == 2 and #'process' == 7 and 'process' < 'q') "
           "local w = setmetatable({}, {__mode = 'kv'}) w.process = {} "
           "w[1] = 'process' w.other = 'process' "
           "for _, mode in ipairs{'incremental', 'generational'} do "
           "  collectgarbage(mode) for i = 1, 3 do collectgarbage() end "
           "  local n = {} for i = 1, 1000 do n[i] = {process = 'send' .. i} end "
           "  for i = 1, 1000 do assert(n[i].process == 'send' .. i) end "
           "end "
           "assert(w.process == nil and w[1] == 'process' and w.other == 'process') "
           "local f = load('local process, goto_ = 1, 2 return process + goto_') "
           "assert(f() == 3 and not load('local end = 1'))");
}
