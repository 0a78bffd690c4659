/* Does what the first request names, and what no process may do. */
#include <thole.h>

static void spawn_with(th_slice what)
{
    th_spawn_options spawn = {.path = th_str("test:local/pkg/echo.wasm")};
    th_process_id id;

    if (th_equal(what, th_str("spawn name"))) {
        spawn.name = th_str("No Name");
    } else {
        spawn.request_caps = (th_caps){th_alloc(5000 * sizeof(th_cap)), 5000};
        for (int i = 0; i < 5000; i++) {
            spawn.request_caps.ptr[i] = (th_cap){th_our(), th_decimal((uint64_t)i)};
        }
    }
    th_spawn(&spawn, &id);
}

static void leave_words(const char *target, size_t bytes)
{
    th_address to = th_our();
    th_outgoing words = {.request = {.body = {th_alloc(bytes), bytes}}};

    to.id.process = th_str(target);
    words.target = to;
    th_set_on_exit(&(th_on_exit){TH_EXIT_REQUESTS, &words, 1});
}

static void call(th_slice what)
{
    th_address our = th_our();
    th_cap cap = {.issuer = our, .params = {th_alloc(5 << 20), 5 << 20}};
    th_caps large = {&cap, 1};
    th_request request = {.body = th_str("x"),
                          .timeout_s = 1,
                          .expects_response = true};

    if (th_equal(what, th_str("set-state"))) {
        th_set_state(th_str("abc"));
    } else if (th_equal(what, th_str("set-on-exit"))) {
        th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_RESTART});
    } else if (th_equal(what, th_str("on-exit target"))) {
        leave_words("No Name", 1);
    } else if (th_equal(what, th_str("on-exit bytes"))) {
        leave_words("peer", 300000);
    } else if (th_equal(what, th_str("save"))) {
        th_save_caps(large);
    } else if (th_equal(what, th_str("send capabilities"))) {
        request.caps = large;
        th_send(&our, &request);
    } else if (th_equal(what, th_str("respond capabilities"))) {
        th_respond(&(th_response){.body = th_str("x"), .caps = large});
    } else if (th_equal(what, th_str("await self"))) {
        th_call(&our, &request);
    } else if (th_equal(what, th_str("await nothing"))) {
        request.expects_response = false;
        th_call(&our, &request);
    } else if (th_equal(what, th_str("long address"))) {
        our.id.process = (th_slice){th_alloc(300), 300};
        th_send(&our, &request);
    } else {
        spawn_with(what);
    }
}

void th_main(th_slice our)
{
    th_message message = th_receive();

    (void)our;
    call(message.body);
}
