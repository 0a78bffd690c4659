#include "guest/lua/logger.h"

#include "base/test.h"
#include "guest/lua/lua_app.h"

/* Run an app and compare its log; main must end well. */
static void logs(const char *text, const char *log)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, text);
    T_STR(th_buf_text(&app.ended), "app:main ok \n");
    T_STR(th_buf_text(&app.logged), log);
    T_STR(th_buf_text(&app.printed), "");
    th_lua_app_close(&app);
}

TEST(logger, a_line_has_its_level_and_sorted_fields)
{
    logs("local logger = require('logger')\n"
         "return function()\n"
         "  logger:info('up', { port = 80, host = 'h', [1] = 'left out' })\n"
         "  logger.warn('low', {})\n"
         "  logger:error(errors.new('broken'))\n"
         "  logger.debug(1.5, { ok = true })\n"
         "end",
         "up host=h port=80\nwarning: low\nerror: broken\ndebug: 1.5 ok=true\n");
}

TEST(logger, what_is_no_message_or_no_table_is_refused)
{
    logs(
        "local logger = require('logger')\n"
        "return function()\n"
        "  assert(not pcall(logger.info))\n"
        "  assert(not pcall(logger.info, 'x', 7))\n"
        "  assert(not pcall(logger.info, logger))\n"
        "  assert(not pcall(logger.info, setmetatable({}, {__tostring = error}), {}))\n"
        "end",
        "");
}

TEST(logger, many_fields_are_cut_short)
{
    logs("local logger = require('logger')\n"
         "return function()\n"
         "  local fields = {}\n"
         "  for i = 10, 60 do fields['k' .. i] = i end\n"
         "  logger.info('m', fields)\n"
         "end",
         "m k10=10 k11=11 k12=12 k13=13 k14=14 k15=15 k16=16 k17=17 k18=18 k19=19 "
         "k20=20 k21=21 k22=22 k23=23 k24=24 k25=25 k26=26 k27=27 k28=28 k29=29 k30=30 "
         "k31=31 k32=32 k33=33 k34=34 k35=35 k36=36 k37=37 k38=38 k39=39 k40=40 k41=41 "
         "...\n");
}
