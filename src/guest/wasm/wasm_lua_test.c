#include "base/test.h"
#include "guest/lua/lua_guest.h"
#include "guest/lua/program.h"
#include "guest/wasm/wasm_stage.h"

/*
 * Lua and Wasm processes on one kernel, each asking the other: values, bytes, blobs.
 */

static th_wasm_stage stage;
static th_entry lua_entries[4];
static th_lua_program *lua_programs[4];
static unsigned lua_count;

static void add_lua(const char *id, const char *name, const char *text)
{
    th_lua_source source = {.text = th_slice_str(text), .name = th_slice_str(id)};
    th_entry *entry = &lua_entries[lua_count];
    th_auto_buf why = TH_BUF_INIT;

    if (th_lua_program_new(&lua_programs[lua_count], &source, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    *entry = (th_entry){.id = th_slice_str(id),
                        .package = TH_SLICE("test"),
                        .publisher = TH_SLICE("local"),
                        .limits = th_limits_default,
                        .guest = &th_guest_lua,
                        .package_number = stage.package_number,
                        .program = lua_programs[lua_count++]};
    T_EQ(th_kernel_add_entry(stage.kernel, entry), TH_OK);
    th_wasm_stage_spawn(&stage, entry, name);
}

static void finish(void)
{
    stage.kernel = th_kernel_free(stage.kernel);
    while (lua_count > 0) {
        th_lua_program_free(lua_programs[--lua_count]);
    }
    th_wasm_stage_close(&stage);
}

TEST(wasm_lua, lua_asks_wasm)
{
    static const char *const text =
        "return function()\n"
        "  local echo = 'echo:test:local'\n"
        "  local timeout = {timeout = '5s', blob = 'lazy \\0 bytes', context = 'c'}\n"
        "  local r = assert(request.call(echo, 'raw \\0\\xff', timeout))\n"
        "  assert(r:body() == 'raw \\0\\xff' and r:blob() == 'lazy \\0 bytes')\n"
        "  assert(r:context() == 'c' and r:source():find('|test:echo|', 1, true))\n"
        "  r = assert(request.call(echo, {n = 1, list = {1, 'x'}}, {timeout = '5s'}))\n"
        "  assert(r:body() == '{\"list\":[1,\"x\"],\"n\":1}', r:body())\n"
        "  assert(r:blob() == nil)\n"
        "  local big = ('0123456789abcdef'):rep(1 << 18)\n"
        "  r = assert(request.call(echo, big, {timeout = '5s', blob = big}))\n"
        "  assert(r:body() == big and r:blob() == big)\n"
        "end";

    for (uint64_t seed = 1; seed <= 4; seed++) {
        th_wasm_stage_open(&stage, seed, 1 + seed % 2);
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), "echo");
        add_lua("test:lua", NULL, text);
        T_TRUE(th_wasm_stage_run(&stage));
        th_wasm_stage_saw(&stage, "lua ended ok \n");
        finish();
    }
}

TEST(wasm_lua, a_value_without_a_form_in_json_is_refused_to_its_sender)
{
    static const char *const text =
        "return function()\n"
        "  local echo = 'echo:test:local'\n"
        "  for _, value in ipairs {{1, x = 2}, {[1.5] = 1}, {'\\xff'}, {[true] = 1}} "
        "do\n"
        "    local r, err = request.call(echo, value, {timeout = '5s'})\n"
        "    assert(r == nil and err:kind() == 'Invalid', tostring(err))\n"
        "    assert(err:find('without a form in JSON', 1, true) and err:find(echo))\n"
        "    local ok\n"
        "    ok, err = process.send(echo, 'topic', value)\n"
        "    assert(ok == nil and err:kind() == 'Invalid', tostring(err))\n"
        "    assert(err:find('without a form in JSON', 1, true) and err:find(echo))\n"
        "  end\n"
        "  local r, err = request.call(echo, {('x'):rep(5 << 20)}, {timeout = '5s'})\n"
        "  assert(r == nil and err:kind() == 'RateLimited', tostring(err))\n"
        "  assert(request.call(echo, ('x'):rep(5 << 20), {timeout = '5s'}))\n"
        "  assert(process.send(echo, 'topic', {fine = {true, 2, 'x'}}))\n"
        "  assert(request.call(echo, 'x', {timeout = '5s'}))\n"
        "end";

    th_wasm_stage_open(&stage, 1, 1);
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), "echo");
    add_lua("test:lua", NULL, text);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage, "lua ended ok \n");
    finish();
}

/* The peer of test/wasm/boundary.c. */
static const char *const lua_peer =
    "return function()\n"
    "  local requests = request.listen()\n"
    "  while true do\n"
    "    local r = requests:receive()\n"
    "    local body = r:body()\n"
    "    if body == 'sends' then\n"
    "      assert(process.send(r:source(), 'a \"topic\"', {1, true}, 'text'))\n"
    "    elseif body == 'chunk' then\n"
    "      assert(r:answer('here', {blob = 'the chunk'}))\n"
    "    elseif body == 'term' then\n"
    "      local ok, err = r:answer({1, x = 2})\n"
    "      assert(ok == nil and err:kind() == 'Invalid')\n"
    "      assert(r:answer({yes = {1, 2.5}}))\n"
    "    elseif r:expects() or body == 'echo' then\n"
    "      assert(r:answer(body, {blob = r:blob(), metadata = r:metadata()}))\n"
    "    end\n"
    "  end\n"
    "end";

TEST(wasm_lua, wasm_asks_lua)
{
    static const char *const asker =
        "local function ask(body)\n"
        "  local r = assert(request.call('boundary:test:local', body,\n"
        "    {timeout = '9s', blob = 'asked'}))\n"
        "  print(body .. ' = ' .. r:body() .. ' ' .. tostring(r:blob()))\n"
        "end\n"
        "return function()\n"
        "  ask('requests') ask('large') ask('chunk awaited')\n"
        "  ask('chunk received') ask('forwards') ask('terms')\n"
        "  assert(request.send('boundary:test:local', 'end'))\n"
        "end";
    static const char *const lines[] = {
        "asker: requests = done nil\n",
        "boundary: 4 MiB each way whole\n",
        "asker: large = done nil\n",
        "asker: chunk awaited = with the chunk the chunk\n",
        "asker: chunk received = own wins own\n",
        "asker: forwards = echo asked\n",
        "boundary:   body [1,true]; metadata {\"topic\":\"a \\\"topic\\\"\","
        "\"format\":\"json\"}\n",
        "boundary:   body \"text\"; metadata {\"topic\":\"a \\\"topic\\\"\","
        "\"format\":\"json\"}\n",
        "boundary:   body {\"yes\":[1,2.5]}; metadata -\n",
        "asker: terms = done nil\n",
        "asker ended ok \n",
        "boundary ended ok \n",
    };

    for (uint64_t seed = 1; seed <= 4; seed++) {
        th_wasm_stage_open(&stage, seed, 1 + seed % 2);
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "boundary"),
                            "boundary");
        add_lua("test:peer", "peer", lua_peer);
        add_lua("test:asker", "asker", asker);
        T_TRUE(th_wasm_stage_run(&stage));
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            th_wasm_stage_saw(&stage, lines[i]);
        }
        finish();
    }
}

/* The guest is test/wasm/play.c, which needs a right also within its package. */
TEST(wasm_lua, capabilities_blobs_and_last_words_cross_both_ways)
{
    static const char *const text =
        "local capability = require('capability')\n"
        "return function()\n"
        "  local b, asked = 'b:test:local', request.listen()\n"
        "  local mine, b_has = capability.new('\"messaging\"'), {}\n"
        "  -- A response brings them, and a blob with its type.\n"
        "  local r = assert(request.call(b, 'do\\nrespond kb here', {timeout = "
        "'5s'}))\n"
        "  assert(r:body() == 'here' and r:has_blob() and #r:capabilities() == 1)\n"
        "  assert(r:capabilities()[1].issuer == 'local@b:test:local')\n"
        "  assert(r:capabilities()[1].params == '\"own\"'\n"
        "    and r:mime() == 'own/blob')\n"
        "  assert(not r:has_capability('\"own\"'))\n"
        "  -- Without a right nothing comes; it is handed on, saved, and used.\n"
        "  local to_me = 'do\\nsend our@lua:test:local k '\n"
        "  assert(request.send(b, to_me .. 'too early'))\n"
        "  assert(request.send(b, 'do\\nclaim save our@lua:test:local  \"messaging\" "
        "',\n"
        "    {capabilities = {mine}}))\n"
        "  assert(request.send(b, to_me .. 'hello'))\n"
        "  local a = asked:receive()\n"
        "  assert(a:body() == 'hello' and a:capabilities()[1].params == '\"own\"')\n"
        "  -- What it gave comes back to it, and what it said at its end comes here.\n"
        "  assert(request.send(b, 'shown', {blob = 'B', mime = 'text/x',\n"
        "    capabilities = a:capabilities()}))\n"
        "  assert(request.send(b, 'do\\nexit-words our@lua:test:local "
        "farewell\\nend'))\n"
        "  a = asked:receive()\n"
        "  assert(a:body() == 'farewell' and not a:expects())\n"
        "  assert(a:source():find('|test:play|b}', 1, true), a:source())\n"
        "end";

    for (uint64_t seed = 1; seed <= 4; seed++) {
        th_wasm_stage_open(&stage, seed, 1 + seed % 2);
        stage.package_number = 1;
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "play"), "b");
        add_lua("test:lua", "lua", text);
        T_TRUE(th_wasm_stage_run(&stage));
        th_wasm_stage_saw(&stage, "lua ended ok \n");
        th_wasm_stage_saw(&stage, "got request shown from lua blob B cap b/\"own\"");
        finish();
    }
}

TEST(wasm_lua, a_one_way_request_that_names_a_topic_is_a_message_on_it)
{
    static const char *const text =
        "return function()\n"
        "  local topic, told = 'topic:test:local', process.listen('told')\n"
        "  local requests, inbox = request.listen(), process.inbox()\n"
        "  local function tell(body, metadata)\n"
        "    assert(request.send(topic, body, {metadata = metadata}))\n"
        "  end\n"
        "  tell('[1,{\"x\":2}]', '{\"topic\":\"told\",\"format\":\"json\"}')\n"
        "  local value = told:receive()\n"
        "  assert(value[1] == 1 and value[2].x == 2)\n"
        "  tell('[1]', '{\"topic\": \"told\"}')\n"
        "  assert(told:receive() == '[1]')\n"
        "  tell('no json', '{\"topic\":\"told\",\"format\":\"json\"}')\n"
        "  assert(told:receive() == 'no json')\n"
        "  tell('x', '{\"topic\":\"other\"}')\n"
        "  local message = inbox:receive()\n"
        "  assert(message:topic() == 'other' and message:payload():data() == 'x')\n"
        "  assert(message:from():find('|test:topic|', 1, true))\n"
        "  for _, metadata in ipairs {'{\"topic\":\"@told\"}', '{\"topic\":\"\"}',\n"
        "      '{\"topic\":1}', '\"topic\"', '{\"topic\":', '[\"topic\"]'} do\n"
        "    tell('y', metadata)\n"
        "    assert(requests:receive():metadata() == metadata)\n"
        "  end\n"
        "  assert(process.send(topic, 'told', {z = 1}))\n"
        "  assert(told:receive().z == 1)\n"
        "end";

    th_wasm_stage_open(&stage, 1, 1);
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "topic"), "topic");
    add_lua("test:lua", NULL, text);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage, "lua ended ok \n");
    finish();
}

TEST(wasm_lua, lua_sees_how_a_wasm_process_ends)
{
    static const char *const text =
        "return function()\n"
        "  local events = process.events()\n"
        "  local pid = assert(process.spawn_monitored('test:trap', "
        "'system:processes'))\n"
        "  local e = events:receive()\n"
        "  assert(e.kind == 'pid.exit' and e.from == pid)\n"
        "  print(tostring(e.result.error))\n"
        "  local spin = assert(process.spawn_linked('test:spin', 'system:processes'))\n"
        "  assert(process.set_options({trap_links = true}))\n"
        "  assert(process.terminate(spin))\n"
        "  e = events:receive()\n"
        "  assert(e.kind == 'pid.link.down' and e.from == spin)\n"
        "  pid = assert(process.spawn_monitored('test:echo', 'system:processes'))\n"
        "  assert(process.cancel(pid, '1s'))\n"
        "  e = events:receive()\n"
        "  assert(e.kind == 'pid.exit' and e.from == pid)\n"
        "end";

    th_wasm_stage_open(&stage, 1, 2);
    th_wasm_stage_guest(&stage, "trap");
    th_wasm_stage_guest(&stage, "spin");
    th_wasm_stage_guest(&stage, "echo");
    add_lua("test:lua", NULL, text);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage,
                      "lua: wasm trap: wasm `unreachable` instruction executed");
    th_wasm_stage_saw(&stage, "lua ended ok \n");
    th_wasm_stage_saw(&stage, "spin ended killed ");
    th_wasm_stage_saw(&stage, "echo ended canceled ");
    finish();
}

TEST(wasm_lua, the_same_seed_gives_the_same_run)
{
    th_auto_buf first = TH_BUF_INIT;

    for (int round = 0; round < 2; round++) {
        th_wasm_stage_open(&stage, 42, 2);
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "boundary"),
                            "boundary");
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "spin"), NULL);
        add_lua("test:peer", "peer", lua_peer);
        add_lua("test:asker", "asker",
                "return function()\n"
                "  for i, step in ipairs {'requests', 'terms', 'forwards'} do\n"
                "    local r = request.call('boundary:test:local', step,\n"
                "      {timeout = '9s'})\n"
                "    print(step, r:body(), process.pid(), math.random(1000))\n"
                "  end\n"
                "end");
        stage.steps_max = 5000;
        T_FALSE(th_wasm_stage_run(&stage));
        th_wasm_stage_saw(&stage, "asker ended ok");
        if (round == 0) {
            th_buf_put(&first, stage.seen.at, stage.seen.bytes);
        } else {
            T_STR(th_buf_text(&first), th_wasm_stage_text(&stage));
        }
        finish();
    }
}
