#include "guest/lua/lua_guest.h"

#include "base/test.h"
#include "guest/lua/lua_app.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * Processes in Lua, each test a sentence that holds. An app in test/lua is a main
 * that checks all it sees with assert and returns, on one shard and on two.
 */

/* Run an app; its main must return without an error. */
static void holds_within(const char *text, size_t memory_bytes_max)
{
    for (unsigned seed = 1; seed <= 4; seed++) {
        th_lua_app app;
        char *line;

        th_lua_app_open(&app, seed, 1 + seed % 2);
        app.limits.memory_bytes_max = memory_bytes_max;
        app.keeps_late = seed > 2;
        th_lua_app_play(&app, text);
        line = strstr(th_buf_text(&app.ended), "app:main ");
        if (line == NULL || strncmp(line, "app:main ok", 11) != 0) {
            fail_msg("seed %u: %s%s", seed, th_buf_text(&app.ended),
                     th_buf_text(&app.logged));
        }
        th_lua_app_close(&app);
    }
}

static void holds(const char *text)
{
    holds_within(text, th_limits_default.memory_bytes_max);
}

/* The file test/lua/NAME.lua, seen from this one. */
static char *read_app(const char *name)
{
    char path[1024];
    const char *here = __FILE__, *end = strstr(here, "src/guest/lua/");
    th_buf text = TH_BUF_INIT;
    FILE *file;
    int c;

    snprintf(path, sizeof path, "%.*stest/lua/%s.lua", (int)(end - here), here, name);
    file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("no file %s", path);
    }
    while ((c = fgetc(file)) != EOF) {
        th_buf_putc(&text, (char)c);
    }
    fclose(file);
    return text.at;
}

#define APP(name)                                                                      \
    TEST(lua_app, name)                                                                \
    {                                                                                  \
        char *text = read_app(#name);                                                  \
                                                                                       \
        holds(text);                                                                   \
        th_free(text);                                                                 \
    }

TEST(lua_guest, a_process_runs_and_returns)
{
    holds("return { run = function() return 1 end }");
}

TEST(lua_guest, print_joins_with_tabs)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, "return function() print('a', 1, nil, true) end");
    T_STR(th_buf_text(&app.printed), "a\t1\tnil\ttrue\n");
    th_lua_app_close(&app);
}

TEST(lua_guest, a_recursion_without_end_is_told_in_few_lines)
{
    th_lua_app app;
    size_t lines = 0;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, "local function f(n) return 1 + f(n + 1) end\n"
                          "return function() f(1) end");
    T_TRUE(strstr(th_buf_text(&app.ended), "stack overflow") != NULL);
    T_TRUE(strstr(th_buf_text(&app.logged), "\n\t... and more\n") != NULL);
    for (const char *at = th_buf_text(&app.logged); *at != '\0'; at++) {
        lines += *at == '\n';
    }
    T_TRUE(lines < 40);
    th_lua_app_close(&app);
}

TEST(lua_guest, ping_pong_through_listen)
{
    holds("return function()\n"
          "  local pid = process.spawn('app:echo', 'system:processes')\n"
          "  local pong = process.listen('pong')\n"
          "  for i = 1, 1000 do\n"
          "    assert(process.send(pid, 'ping', {from = process.pid(), n = i}))\n"
          "    local v, ok = pong:receive()\n"
          "    assert(ok and v == i)\n"
          "  end\n"
          "  process.send(pid, 'ping', false)\n"
          "end\n"
          "--@ echo\n"
          "return function()\n"
          "  local ping = process.listen('ping')\n"
          "  while true do\n"
          "    local m = ping:receive()\n"
          "    if not m then return end\n"
          "    process.send(m.from, 'pong', m.n)\n"
          "  end\n"
          "end\n");
}

APP(a_blob_goes_along_without_being_read)
APP(a_message_is_handed_to_the_task_that_waits)
APP(a_payload_is_forwarded_as_its_value)
APP(a_processs_own_channels_are_only_received_from)
APP(a_request_and_its_response_by_messages)
APP(a_request_is_forwarded_as_it_is)
APP(a_request_is_passed_on)
APP(a_request_to_oneself_is_answered_by_another_task)
APP(a_spawn_gives_rights_and_a_public_process_takes_all)
APP(a_supervisor_restarts_its_children)
APP(a_terminated_process_runs_no_further)
APP(a_topic_has_one_channel_and_keeps_what_came_before)
APP(a_wait_inside_nested_coroutines_suspends_the_whole_task)
APP(an_event_loop_of_the_specification)
APP(cancel_asks_first_and_ends_at_the_deadline)
APP(capabilities_are_issued_sent_and_checked)
APP(channels_hand_values_over_in_order)
APP(errors_behave_like_their_message)
APP(errors_say_what_was_sent)
APP(exit_tells_result_and_error)
APP(link_events_come_only_when_asked_for)
APP(links_carry_failure_and_monitors_only_tell)
APP(method_run_main_or_the_function_itself)
APP(names_find_processes)
APP(on_exit_is_set_told_and_carried_out)
APP(requests_are_answered)
APP(require_gives_what_is_listed)
APP(select_waits_for_several)
APP(send_gives_a_message_for_each_value)
APP(sends_that_cannot_arrive_say_why)
APP(spawn_is_refused_with_a_reason)
APP(state_is_there_in_the_next_life)
APP(the_chunk_may_need_a_process)
APP(time_and_durations)
APP(values_cross_unchanged)
APP(json_reads_and_writes)
APP(finalizers_may_not_use_the_process)
APP(hostile_processes_neither_stop_others_nor_survive_a_kill)

TEST(lua_app, limits_end_one_process_only)
{
    char *text = read_app("limits_end_one_process_only");

    holds_within(text, (size_t)32 << 20);
    th_free(text);
}

/* The limit is passed at a table's first byte, in its midst and at its end. */
TEST(lua_guest, a_value_above_the_memory_limit_is_refused_wherever_it_passes_it)
{
    holds_within("return function()\n"
                 "  local me, refused, sent = process.pid(), 0, 0\n"
                 "  local inner = { 1, 2, 3, 4, 5, 6, 7, 8, { true } }\n"
                 "  for less = 1, 40 do\n"
                 "    local s = ('x'):rep((1 << 20) - less)\n"
                 "    local ok, err = process.send(me, 'self', "
                 "{ s, s, s, s, s, s, s, s, inner, x = inner, less })\n"
                 "    if ok then sent = sent + 1 else\n"
                 "      refused = refused + 1\n"
                 "      assert(tostring(err):find('memory limit') or "
                 "tostring(err):find('mailbox'), tostring(err))\n"
                 "    end\n"
                 "    s = nil collectgarbage()\n"
                 "  end\n"
                 "  assert(refused > 0)\n"
                 "end\n",
                 (size_t)8 << 20);
}

/* --- Programs ----------------------------------------------------------------- */

TEST(lua_guest, a_program_with_bad_syntax_names_file_and_line)
{
    th_lua_source source = {.text = TH_SLICE("local x =\nlocal"),
                            .name = TH_SLICE("a/b.lua")};
    th_auto(th_lua_program) program = NULL;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_lua_program_new(&program, &source, &why), TH_INVALID);
    T_NOT_NULL(strstr(th_buf_text(&why), "a/b.lua:2:"));
    T_NULL(program);
}

TEST(lua_guest, whatever_is_wrong_with_a_program_its_file_is_named)
{
    th_lua_source source = {.text = TH_SLICE("\x1bLua"), .name = TH_SLICE("a/b.lua")};
    th_auto_buf nested = TH_BUF_INIT;

    for (int i = 0; i < 2; i++) {
        th_auto(th_lua_program) program = NULL;
        th_auto_buf why = TH_BUF_INIT;

        T_EQ(th_lua_program_new(&program, &source, &why), TH_INVALID);
        T_TRUE(th_slice_starts(th_buf_slice(&why), "a/b.lua:"));
        th_buf_puts(&nested, "return ");
        for (int n = 0; n < 1000; n++) {
            th_buf_putc(&nested, '(');
        }
        source.text = th_buf_slice(&nested);
    }
}

/*
 * No guest grows beyond the node's memory, but what a slice does beside (messages, ends,
 * printed lines) is counted when it is over; here it is less than a small guest's room.
 */
#define SLICE_BYTES ((int64_t)TH_GROWTH_SMALL_BYTES)

TEST(lua_guest, many_that_take_memory_end_before_the_nodes_is_used_up)
{
    static const char text[] =
        "return function()\n"
        "  local pids, done = {}, process.listen('done')\n"
        "  for i = 1, 24 do\n"
        "    process.spawn_monitored('app:bomb', 'system:processes', i % 4)\n"
        "  end\n"
        "  local events, ended = process.events(), 0\n"
        "  for i = 1, 24 do\n"
        "    local result = events:receive().result\n"
        "    assert(result.error:find(\"the node's memory is used up\"), "
        "result.error)\n"
        "    local t = {}\n" /* this one is small, and goes on */
        "    for n = 1, 1000 do t[n] = { n } end\n"
        "  end\n"
        "  assert(process.send(process.pid(), 'done', true) and done:receive())\n"
        "end\n"
        "--@ bomb\n"
        "local forms = {}\n"
        "forms[0] = function() local t = {} while true do t[#t + 1] = { 1, 2, 3 } end "
        "end\n"
        "forms[1] = function() local s = 'x' while true do s = s .. s end end\n"
        "forms[2] = function() local t = {}\n"
        "  while true do t[#t + 1] = string.rep('x', 100000) .. #t end end\n"
        "forms[3] = function() while true do coroutine.spawn(print) end end\n"
        "return function(form) forms[form]() end";

    for (unsigned seed = 1; seed <= 3; seed++) {
        th_kernel_config small = {.node = "local", .boot = 1, .shards = 1 + seed % 2};
        th_lua_app app;

        small.memory_bytes_max = (size_t)48 << 20;
        th_lua_app_open_as(&app, seed, &small);
        app.slices_max = 10000000;
        th_lua_app_play(&app, text);
        T_TRUE(strstr(th_buf_text(&app.ended), "app:main ok") != NULL);
        T_TRUE(app.memory_most <= (int64_t)small.memory_bytes_max + SLICE_BYTES);
        th_lua_app_close(&app);
    }
}

TEST(lua_guest, a_program_gives_everything_back_when_memory_runs_out)
{
    static const th_slice modules[] = {TH_SLICE("time"), TH_SLICE("json")};
    th_lua_source source = {.text = TH_SLICE("return {}"),
                            .name = TH_SLICE("a.lua"),
                            .method = TH_SLICE("run"),
                            .modules = modules,
                            .modules_count = 2};

    for (uint64_t n = 0;; n++) {
        th_auto(th_lua_program) program = NULL;
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        th_mem_fail_after(n);
        err = th_lua_program_new(&program, &source, &why);
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_NE(err, TH_INVALID);
        T_NULL(program);
    }
}

/* Make an entry app:main with a list of modules and one library. */
static void play_with(th_lua_app *app, const char *text, const char *library)
{
    static const th_slice modules[] = {TH_SLICE("time")};
    static const th_slice none[] = {TH_SLICE("table")};
    th_lua_source source = {.text = th_slice_str(library),
                            .name = TH_SLICE("lib.lua"),
                            .modules = none,
                            .modules_count = 1,
                            .is_library = true};
    th_lua_import import = {.alias = TH_SLICE("util")};
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_lua_program_new(&app->programs[0], &source, &why), TH_OK);
    app->ids[0] = th_strndup("app:util", 8);
    import.library = app->programs[0];
    source = (th_lua_source){.text = th_slice_str(text),
                             .name = TH_SLICE("main.lua"),
                             .modules = modules,
                             .modules_count = 1,
                             .imports = &import,
                             .imports_count = 1};
    T_EQ(th_lua_program_new(&app->programs[1], &source, &why), TH_OK);
    app->ids[1] = th_strndup("app:main", 8);
    app->entries_count = 2;
    app->entries[1] = (th_entry){.id = th_slice_str(app->ids[1]),
                                 .package = TH_SLICE("app"),
                                 .publisher = TH_SLICE("local"),
                                 .limits = app->limits,
                                 .guest = &th_guest_lua,
                                 .program = app->programs[1]};
    T_EQ(th_kernel_add_entry(app->kernel, &app->entries[1]), TH_OK);
    if (th_lua_app_spawn(app, "app:main", NULL, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    T_TRUE(th_lua_app_run(app));
}

TEST(lua_guest, an_entry_requires_what_it_lists_and_imports)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    play_with(&app,
              "local util = require('util')\n"
              "return function()\n"
              "  assert(util == require('util') and util.double(4) == 8)\n"
              "  assert(require('time').now)\n"
              "  local ok, err = pcall(require, 'json')\n"
              "  assert(not ok and err:find(\"module 'json' not found\"))\n"
              "end",
              "local m = {}\n"
              "function m.double(x) return 2 * x end\n"
              "return m");
    T_STR(th_buf_text(&app.ended), "app:main ok \n");
    th_lua_app_close(&app);
}

TEST(lua_guest, a_crash_leaves_its_traceback_in_the_log)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, "local function f() error('oh') end\n"
                          "return function() f() end");
    T_STR(th_buf_text(&app.ended), "app:main failed main:1: oh\n");
    T_NOT_NULL(strstr(th_buf_text(&app.logged), "main:1: oh\n"));
    T_NOT_NULL(strstr(th_buf_text(&app.logged), "main:1: in upvalue 'f'"));
    th_lua_app_close(&app);
}

TEST(lua_guest, the_end_of_a_deep_recursion_is_told_at_once)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    th_lua_app_play(&app, "local function f() return f() + 1 end\n"
                          "return function() f() end");
    T_STR(th_buf_text(&app.ended), "app:main failed main:1: stack overflow\n");
    T_NOT_NULL(strstr(th_buf_text(&app.logged), "... and more"));
    th_lua_app_close(&app);
}

TEST(lua_guest, a_run_is_the_same_for_the_same_seed)
{
    static const char *const text =
        "return function()\n"
        "  local t = {}\n"
        "  for i = 1, 20 do t[{}] = i end\n"
        "  local s = ''\n"
        "  for k, v in pairs(t) do s = s .. v .. ' ' end\n"
        "  print(s, math.random(1000000), tostring(t), process.pid())\n"
        "  local c = channel.new(1)\n"
        "  c:send(1)\n"
        "end";
    th_lua_app a, b;

    th_lua_app_open(&a, 42, 2);
    th_lua_app_play(&a, text);
    th_lua_app_open(&b, 42, 2);
    th_lua_app_play(&b, text);
    T_STR(th_buf_text(&a.printed), th_buf_text(&b.printed));
    th_lua_app_close(&a);
    th_lua_app_close(&b);
}

/* --- Bounds and strangers ----------------------------------------------------- */

TEST(lua_guest, a_full_mailbox_refuses_with_rate_limited)
{
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    app.limits.mailbox_count_max = 100;
    th_lua_app_play(
        &app,
        "return function()\n"
        "  local me, n, err = process.pid(), 0\n"
        "  repeat\n"
        "    local ok, e = process.send(me, 'unclaimed', n)\n"
        "    if ok then n = n + 1 else err = e end\n"
        "  until err\n"
        "  assert(n == 100 and err:kind() == 'RateLimited' and err:retryable())\n"
        "  -- Taken out and unclaimed, they still count.\n"
        "  local own = process.listen('own')\n"
        "  assert(channel.select { own:case_receive(), default = true }.default)\n"
        "  assert(process.send(me, 'own', 1) == nil)\n"
        "  local t = process.listen('unclaimed')\n"
        "  for i = 0, n - 1 do assert(t:receive() == i) end\n"
        "  for i = 1, 100 do assert(process.send(me, 'own', i)) end\n"
        "end");
    T_STR(th_buf_text(&app.ended), "app:main ok \n");
    th_lua_app_close(&app);
}

/* Stands for a Wasm process: bytes, metadata, blobs, requests. */
static th_pid stranger_peer;
static char stranger_saw[64];

static th_run stranger(th_process *self)
{
    static const th_msg_parts plain = {.kind = TH_MSG_SEND,
                                       .format = TH_FORMAT_BYTES,
                                       .topic = TH_SLICE("t"),
                                       .body = TH_SLICE("\1\2\0bytes")};
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .format = TH_FORMAT_BYTES,
                          .flags = TH_MSG_METADATA,
                          .metadata = TH_SLICE("about"),
                          .body = TH_SLICE("question")};
    th_ask ask = {.to = stranger_peer, .timeout_ns = 5000000000u};
    th_request *request;
    th_delivery in;

    if (!th_pid_is_none(stranger_peer)) {
        stranger_peer = TH_PID_NONE;
        T_EQ(th_process_send(self, ask.to, th_msg_new(&plain)), TH_OK);
        parts.blob = th_blob_new(TH_SLICE("lazy"), th_slice_of(NULL, 0));
        T_EQ(th_process_request(self, &ask, th_msg_new(&parts), &request), TH_OK);
        th_blob_unref(parts.blob);
    }
    while (th_process_next(self, &in)) {
        T_EQ(in.type, TH_ITEM_REPLY);
        T_NOT_NULL(th_request_response(in.request));
        snprintf(stranger_saw, sizeof stranger_saw, "%.*s",
                 TH_FMT(th_msg_body(th_request_response(in.request))));
        th_request_free(self, in.request);
        th_process_end(self, NULL);
        return TH_RUN_ENDED;
    }
    return TH_RUN_BLOCKED;
}

static th_err stranger_start(th_process *self, th_buf *why)
{
    (void)self;
    (void)why;
    return TH_OK;
}

static void stranger_drop(th_process *self)
{
    (void)self;
}

TEST(lua_guest, bytes_of_a_stranger_are_strings_and_its_requests_are_answered)
{
    static const th_guest guest = {.name = "stranger",
                                   .start = stranger_start,
                                   .run = stranger,
                                   .drop = stranger_drop};
    th_entry entry = {.id = TH_SLICE("test:stranger"),
                      .package = TH_SLICE("test"),
                      .publisher = TH_SLICE("local"),
                      .limits = th_limits_default,
                      .guest = &guest};
    th_auto_buf why = TH_BUF_INIT;
    th_lua_app app;

    th_lua_app_open(&app, 1, 1);
    T_EQ(th_kernel_add_entry(app.kernel, &entry), TH_OK);
    T_EQ(th_lua_app_add(&app,
                        "return function()\n"
                        "  assert(process.listen('t'):receive() == '\\1\\2\\0bytes')\n"
                        "  local r = request.listen():receive()\n"
                        "  assert(r:body() == 'question' and r:metadata() == 'about')\n"
                        "  assert(r:blob() == 'lazy' and r:expects())\n"
                        "  assert(r:source():find('test:stranger'))\n"
                        "  assert(r:answer('answer'))\n"
                        "end",
                        &why),
         TH_OK);
    T_EQ(th_lua_app_spawn(&app, "app:main", &stranger_peer, &why), TH_OK);
    T_EQ(th_lua_app_spawn(&app, "test:stranger", NULL, &why), TH_OK);
    T_TRUE(th_lua_app_run(&app));
    T_NOT_NULL(strstr(th_buf_text(&app.ended), "app:main ok \n"));
    T_STR(stranger_saw, "answer");
    th_lua_app_close(&app);
}

TEST(lua_guest, when_memory_runs_out_nothing_is_left_behind)
{
    static const char *const text =
        "local time = require('time')\n"
        "return function()\n"
        "  local events, t = process.events(), process.listen('t')\n"
        "  process.spawn_monitored('app:child', 'system:processes', process.pid(), {1, "
        "2})\n"
        "  coroutine.spawn(function() time.sleep('1ms') end)\n"
        "  local after, inbox = time.after('10ms'), process.inbox()\n"
        "  process.send(process.pid(), 'other', 1, 2, 3)\n"
        "  request.send(process.pid(), 1, {timeout = '5ms'})\n"
        "  for i = 1, 8 do\n"
        "    channel.select { t:case_receive(), events:case_receive(),\n"
        "      inbox:case_receive(), request.replies():case_receive(),\n"
        "      after:case_receive() }\n"
        "  end\n"
        "end\n"
        "--@ child\n"
        "return function(parent, x)\n"
        "  process.registry.register('name')\n"
        "  process.send(parent, 't', x)\n"
        "  error('end')\n"
        "end\n";

    for (uint64_t n = 0; n < 400; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_lua_app app;

        th_lua_app_open(&app, 1, 1);
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
