/*
 * Uses every function of the interface in a fixed order, and prints what it was
 * given, so that a host can compare the whole conversation.
 */
#include <thole.h>

static th_address peer(void)
{
    return (th_address){
        .node = th_str("far.os"),
        .id = {th_str("peer"), th_str("pack"), th_str("pub.os")},
    };
}

static void say(th_slice a, th_slice b, th_slice c)
{
    th_print(0, th_concat((th_slice[]){a, th_str(" "), b, th_str(" "), c}, 5));
}

static th_slice or_none(th_slice slice)
{
    return slice.ptr == NULL ? th_str("(none)") : slice;
}

static th_slice flag(bool flag)
{
    return flag ? th_str("yes") : th_str("no");
}

static void say_caps(th_caps caps)
{
    for (size_t i = 0; i < caps.len; i++) {
        say(th_str("cap"), th_address_text(&caps.ptr[i].issuer), caps.ptr[i].params);
    }
}

static void say_message(const th_message *message)
{
    say(th_str("message"), th_decimal(message->kind), th_address_text(&message->peer));
    say(th_str("is-response, inherit"), flag(message->is_response),
        flag(message->inherit));
    say(th_str("expects"), flag(message->expects_response),
        th_decimal(message->timeout_s));
    say(th_str("body, metadata"), message->body, or_none(message->metadata));
    say(th_str("context"), or_none(message->context), th_str("."));
    say_caps(message->caps);
    if (message->has_blob) {
        say(th_str("blob"), or_none(message->blob.mime), message->blob.bytes);
    }
}

static void say_state(void)
{
    say(th_str("state"), or_none(th_get_state()), th_str("."));
}

static void say_on_exit(void)
{
    th_on_exit on_exit = th_get_on_exit();

    say(th_str("on-exit"), th_decimal(on_exit.kind), th_decimal(on_exit.n_requests));
    for (size_t i = 0; i < on_exit.n_requests; i++) {
        const th_outgoing *one = &on_exit.requests[i];

        say(th_address_text(&one->target), one->request.body, one->request.blob->bytes);
    }
    th_on_exit_free(&on_exit);
}

static void the_process(th_caps caps)
{
    th_blob blob = {.mime = th_str("text/plain"), .bytes = th_str("last blob")};
    th_outgoing last_words = {
        .target = peer(),
        .request = {.body = th_str("bye"),
                    .metadata = th_str("{}"),
                    .caps = caps,
                    .blob = &blob},
    };
    th_address our = th_our();

    say(th_str("our"), th_address_text(&our), th_str("."));
    th_address_free(&our);

    say_on_exit();
    th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_RESTART});
    say_on_exit();
    th_set_on_exit(&(th_on_exit){TH_EXIT_REQUESTS, &last_words, 1});
    say_on_exit();

    say_state();
    th_set_state(th_str("abc"));
    say_state();
    th_set_state(th_str(""));
    say_state();
    th_clear_state();
    say_state();

    th_save_caps(caps);
    say_caps(th_our_caps());
    th_drop_caps(caps);
    say_caps(th_our_caps());
}

static void spawning(th_caps caps)
{
    th_grant grant = {.receiver = peer().id, .params = th_str("\"messaging\"")};
    th_spawn_options options = {
        .name = th_str("child"),
        .path = th_str("pack:pub.os/pkg/child.wasm"),
        .request_caps = caps,
        .grants = &grant,
        .n_grants = 1,
        .is_public = true,
    };
    th_process_id id;

    say(th_str("spawn"), th_decimal(th_spawn(&options, &id)), th_str("."));
    options.name = TH_NONE;
    options.is_public = false;
    options.on_exit.kind = TH_EXIT_RESTART;
    say(th_str("spawn"), th_decimal(th_spawn(&options, &id)), id.process);
    say(th_str("spawned"), id.package, id.publisher);
    th_process_id_free(&id);
    options.path = th_str("/nothing");
    say(th_str("spawn"), th_decimal(th_spawn(&options, &id)), th_str("."));
}

static void sending(th_caps caps)
{
    th_blob blob = {.bytes = th_str("sent blob")};
    th_outgoing list[] = {
        {peer(), {.body = th_str("first of two")}},
        {peer(),
         {.body = th_str("second of two"), .context = th_str("ctx 2"), .blob = &blob}},
    };
    th_address target = peer();

    th_send(&target, &(th_request){
                         .body = th_str("hello"),
                         .metadata = th_str("{\"n\":1}"),
                         .context = th_str("ctx"),
                         .caps = caps,
                         .blob = &blob,
                         .expects_response = true,
                         .timeout_s = 0x1122334455667788,
                         .inherit = true,
                     });
    th_send_all(list, 2);
    th_send_all(list, 0);
}

static void say_blobs(void)
{
    th_blob blob;

    say(th_str("has-blob"), flag(th_has_blob()), th_str("."));
    if (th_get_blob(&blob)) {
        say(th_str("get-blob"), or_none(blob.mime), blob.bytes);
        th_blob_free(&blob);
    }
    if (th_last_blob(&blob)) {
        say(th_str("last-blob"), or_none(blob.mime), blob.bytes);
        th_blob_free(&blob);
    }
}

static void receiving(th_caps caps)
{
    th_blob blob = {.mime = th_str("a/b"), .bytes = th_str("response blob")};

    for (int i = 0; i < 4; i++) {
        th_message message = th_receive();

        say_message(&message);
        say_blobs();
        th_message_free(&message);
    }
    th_respond(&(th_response){.body = th_str("plain")});
    th_respond(&(th_response){
        .body = th_str("full"),
        .metadata = th_str("[]"),
        .caps = caps,
        .blob = &blob,
        .inherit = true,
    });
}

static void calling(void)
{
    th_address target = peer();
    th_request request = {.body = th_str("call"),
                          .expects_response = true,
                          .timeout_s = 3};
    th_blob blob = {.mime = th_str(""), .bytes = th_str("")};

    for (int i = 0; i < 2; i++) {
        th_message answer = th_call(&target, &request);

        say_message(&answer);
        th_message_free(&answer);
        request.blob = &blob;
    }
}

void th_main(th_slice our)
{
    th_cap cap = {.issuer = peer(), .params = th_str("\"right\"")};
    th_caps caps = {&cap, 1};

    th_print(3, our);
    the_process(caps);
    spawning(caps);
    sending(caps);
    receiving(caps);
    calling();
}
