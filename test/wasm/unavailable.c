/* Calls the function that the first request names, which no version has yet. */
#include <thole.h>

static void call(th_slice what)
{
    th_address our = th_our();
    th_cap cap = {.issuer = our, .params = th_str("1")};
    th_caps caps = {&cap, 1};
    th_grant grant = {.receiver = our.id, .params = th_str("\"other\"")};
    th_spawn_options spawn = {.path = th_str("test:local/pkg/echo.wasm")};
    th_request request = {.body = th_str("x"),
                          .timeout_s = 1,
                          .expects_response = true};
    th_process_id id;

    if (th_equal(what, th_str("set-state"))) {
        th_set_state(th_str("abc"));
    } else if (th_equal(what, th_str("set-on-exit"))) {
        th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_RESTART});
    } else if (th_equal(what, th_str("save-capabilities"))) {
        th_save_caps(caps);
    } else if (th_equal(what, th_str("spawn on-exit"))) {
        spawn.on_exit.kind = TH_EXIT_RESTART;
        th_spawn(&spawn, &id);
    } else if (th_equal(what, th_str("spawn capabilities"))) {
        spawn.request_caps = caps;
        th_spawn(&spawn, &id);
    } else if (th_equal(what, th_str("spawn grant"))) {
        spawn.grants = &grant;
        spawn.n_grants = 1;
        th_spawn(&spawn, &id);
    } else if (th_equal(what, th_str("spawn name"))) {
        spawn.name = th_str("No Name");
        th_spawn(&spawn, &id);
    } else if (th_equal(what, th_str("send capabilities"))) {
        request.caps = caps;
        th_send(&our, &request);
    } else if (th_equal(what, th_str("respond capabilities"))) {
        th_respond(&(th_response){.body = th_str("x"), .caps = caps});
    } else if (th_equal(what, th_str("await self"))) {
        th_call(&our, &request);
    } else if (th_equal(what, th_str("await nothing"))) {
        request.expects_response = false;
        th_call(&our, &request);
    } else if (th_equal(what, th_str("long address"))) {
        our.id.process = (th_slice){th_alloc(300), 300};
        th_send(&our, &request);
    }
}

void th_main(th_slice our)
{
    th_message message = th_receive();

    (void)our;
    call(message.body);
}
