#include "base/test.h"
#include "guest/lua/lua_app.h"

/*
 * What survives a Lua process, where the store is slow, fails, or is not there; and where
 * memory runs out. How it goes where all is well is told by the applications of test/lua.
 */

static void expect_ok(const th_lua_app *app)
{
    if (strstr(th_buf_text((th_buf *)&app->ended), "app:main ok") == NULL) {
        fail_msg("%s%s", th_buf_text((th_buf *)&app->ended),
                 th_buf_text((th_buf *)&app->logged));
    }
}

TEST(lua_keeping, a_disk_that_fails_is_told_to_who_saves_and_nothing_else)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    app.keeping_fails = TH_QUOTA;
    app.keeps_late = true;
    th_lua_app_play(
        &app,
        "local state, life = require('state'), require('life')\n"
        "return function()\n"
        "  local ok, err = state.set('x')\n"
        "  assert(ok == nil and err:reason() == 'overloaded' and err:retryable())\n"
        "  assert(err:find('disk is full'), tostring(err))\n"
        "  ok, err = state.get()\n"
        "  assert(ok == nil and err:kind() == 'RateLimited')\n"
        "  ok, err = state.clear()\n"
        "  assert(ok == nil and err)\n"
        "  ok, err = life.spawn{entry = 'app:child', on_exit = 'restart',\n"
        "    name = 'kept', monitored = true}\n"
        "  assert(ok == nil and err:find('not made'), tostring(err))\n"
        "  -- It never was: the name is free, and nothing of it is told.\n"
        "  require('time').sleep('1ms')\n"
        "  local child = assert(life.spawn{entry = 'app:child', name = 'kept',\n"
        "    monitored = true})\n"
        "  local event = process.events():receive()\n"
        "  assert(event.from == child and event.result.value == 'none')\n"
        "end\n"
        "--@ child\n"
        "local life = require('life')\n"
        "return function()\n"
        "  local ok, err = life.set_on_exit('restart')\n"
        "  assert(ok == nil and err:find('not set'), tostring(err))\n"
        "  return life.on_exit()\n"
        "end\n");
    expect_ok(&app);
    th_lua_app_close(&app);
}

TEST(lua_keeping, where_nothing_is_kept_that_is_the_error)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    app.refuses_to_keep = TH_UNSUPPORTED;
    th_lua_app_play(
        &app,
        "local state, life = require('state'), require('life')\n"
        "return function()\n"
        "  local ok, err = state.set('x')\n"
        "  assert(ok == nil and err:reason() == 'unsupported' and err:find('home'))\n"
        "  ok, err = life.spawn{entry = 'app:child', on_exit = 'restart'}\n"
        "  assert(ok == nil and err)\n"
        "  local child = assert(life.spawn{entry = 'app:child', name = 'c',\n"
        "    monitored = true})\n"
        "  assert(process.events():receive().result.value == 'none')\n"
        "end\n"
        "--@ child\n"
        "local life = require('life')\n"
        "return function()\n"
        "  local ok, err = life.set_on_exit('restart')\n"
        "  assert(ok == nil and err:reason() == 'unsupported')\n"
        "  return life.on_exit()\n"
        "end\n");
    expect_ok(&app);
    th_lua_app_close(&app);
}

TEST(lua_keeping, a_child_that_is_to_survive_runs_when_its_record_is_durable)
{
    static const char *const text =
        "return function()\n"
        "  coroutine.spawn(function() print('meanwhile') end)\n"
        "  local child = assert(process.spawn('app:child', 'system:processes', 1))\n"
        "  print('spawned')\n"
        "  local ok, err = process.spawn('app:child', 'system:processes', 2)\n"
        "  assert(ok)\n"
        "end\n"
        "--@ child\n"
        "return function(n) print('child', n) end\n";
    th_auto_buf why = TH_BUF_INIT;
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    app.keeps_late = true;
    T_EQ(th_lua_app_add(&app, text, &why), TH_OK);
    app.entries[1].on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART);
    T_EQ(th_lua_app_spawn(&app, "app:main", NULL, &why), TH_OK);
    T_TRUE(th_lua_app_run(&app));
    expect_ok(&app);
    T_TRUE(strncmp(th_buf_text(&app.printed), "meanwhile\n", 10) == 0);
    T_NOT_NULL(strstr(th_buf_text(&app.printed), "spawned\n"));
    T_NOT_NULL(strstr(th_buf_text(&app.printed), "child\t1\n"));
    T_NOT_NULL(strstr(th_buf_text(&app.printed), "child\t2\n"));
    T_EQ(app.kept[0].lives, 1);
    T_EQ(th_on_exit_kind_of(app.kept[0].on_exit), TH_ON_EXIT_RESTART);
    th_lua_app_close(&app);
}

TEST(lua_keeping, a_child_lives_though_its_spawner_ended_before_its_record_was_durable)
{
    static const char *const text =
        "local life = require('life')\n"
        "return function()\n"
        "  coroutine.spawn(function()\n"
        "    life.spawn{entry = 'app:child', name = 'kept', on_exit = 'restart'}\n"
        "  end)\n"
        "  coroutine.spawn(function() require('state').set('never told') end)\n"
        "  local news = channel.new(1)\n"
        "  coroutine.spawn(function() news:send(1) end)\n"
        "  news:receive()\n"
        "end\n"
        "--@ child\n"
        "return function() print('child') end\n";
    th_lua_app app;

    for (int fails = 0; fails < 2; fails++) {
        th_lua_app_open(&app, 1, 1);
        app.keeps_late = true;
        app.keeping_fails = fails ? TH_IO : TH_OK;
        th_lua_app_play(&app, text);
        expect_ok(&app);
        T_STR(th_buf_text(&app.printed), fails ? "" : "child\n");
        th_lua_app_close(&app);
    }
}

TEST(lua_keeping, what_it_lives_on_with_is_saved_as_it_changes)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(
        &app, "local life = require('life')\n"
              "return function()\n"
              "  local child = assert(life.spawn{entry = 'app:child', name = 'c',\n"
              "    monitored = true})\n"
              "  assert(process.events():receive().result.error == nil)\n"
              "end\n"
              "--@ child\n"
              "local life, capability = require('life'), require('capability')\n"
              "return function()\n"
              "  assert(capability.save{capability.new('1')})\n"
              "  assert(life.set_on_exit('restart'))\n"
              "  assert(capability.save{capability.new('2'), capability.new('3')})\n"
              "  assert(capability.drop{capability.new('1')})\n"
              "end\n");
    expect_ok(&app);
    T_STR(app.kept[0].id, "c:app:local");
    T_EQ(app.kept[0].lives, 3);
    T_EQ(app.kept[0].caps, 2);
    th_lua_app_close(&app);
}

TEST(lua_keeping, a_process_that_listens_to_events_is_told_of_the_stop)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, "return function()\n"
                          "  local life = require('life')\n"
                          "  process.events()\n"
                          "  life.hear_stop(false)\n"
                          "  life.hear_stop(true)\n"
                          "  assert(not pcall(life.hear_stop))\n"
                          "end\n");
    expect_ok(&app);
    th_lua_app_close(&app);
}

/* Is what dead requests and replies hold given back though no memory is short? */
TEST(lua_parcel, blobs_that_nobody_has_any_more_are_given_back)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app,
                    "local blob = ('x'):rep(1 << 20)\n"
                    "return function()\n"
                    "  local echo = process.spawn('app:echo', 'system:processes')\n"
                    "  for i = 1, 300 do\n"
                    "    local reply = assert(request.call(echo, i, {blob = blob}))\n"
                    "    assert(reply:has_blob())\n"
                    "  end\n"
                    "  process.terminate(echo)\n"
                    "end\n"
                    "--@ echo\n"
                    "return function()\n"
                    "  local requests = request.listen()\n"
                    "  while true do\n"
                    "    local asked = requests:receive()\n"
                    "    asked:answer(asked:body(), {blob = asked})\n"
                    "  end\n"
                    "end\n");
    expect_ok(&app);
    T_TRUE(app.memory_most < (int64_t)100 << 20);
    th_lua_app_close(&app);
}

TEST(lua_keeping, when_memory_runs_out_nothing_is_left_behind)
{
    static const char *const text =
        "local life, state, capability = require('life'), require('state'), "
        "require('capability')\n"
        "return function()\n"
        "  local own = capability.new('1')\n"
        "  capability.save{own}\n"
        "  life.spawn{entry = 'app:child', name = 'c', monitored = true,\n"
        "    capabilities = capability.list(), grants = {process.pid()},\n"
        "    on_exit = {{target = process.pid(), body = {1}, blob = 'b',\n"
        "      capabilities = {own}}}, args = {process.pid()}}\n"
        "  state.set({1})\n"
        "  state.get()\n"
        "  local asked = request.listen():receive()\n"
        "  asked:has_capability('1')\n"
        "  asked:forward(process.pid(), 1, {blob = asked, capabilities = {own}})\n"
        "  asked:answer(1, {inherit = true})\n"
        "end\n"
        "--@ child\n"
        "local life, capability = require('life'), require('capability')\n"
        "return function(parent)\n"
        "  life.on_exit()\n"
        "  life.set_on_exit('restart')\n"
        "  request.call(parent, 1, {timeout = '1ms', blob = 'x', mime = 'y',\n"
        "    capabilities = capability.list()})\n"
        "  life.set_on_exit('none')\n"
        "end\n";

    for (uint64_t n = 0; n < 500; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_lua_app app;

        th_lua_app_open(&app, 1, 1);
        app.keeps_late = n % 2 == 0;
        T_EQ(th_lua_app_add(&app, text, &why), TH_OK);
        app.slices_max = 500;
        th_mem_fail_after(n);
        (void)th_lua_app_spawn(&app, "app:main", NULL, &why);
        (void)th_lua_app_run(&app);
        th_mem_fail_never();
        app.slices_max = 100000;
        T_TRUE(th_lua_app_run(&app));
        th_lua_app_close(&app);
    }
}
