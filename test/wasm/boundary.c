/*
 * Does what the body of a request names, and prints all it sees of it; then answers,
 * unless the step has done so. For a test that compares the whole conversation.
 */
#include <thole.h>

#define MIB (1u << 20)

static th_address at(const char *node, const char *process)
{
    return (th_address){
        .node = th_str(node),
        .id = {th_str(process), th_str("test"), th_str("local")},
    };
}

static void say(const char *a, th_slice b, const char *c, th_slice d)
{
    th_print(0, th_concat((th_slice[]){th_str(a), b, th_str(c), d}, 4));
}

static th_slice or_none(th_slice slice)
{
    return slice.ptr == NULL ? th_str("-") : slice;
}

static void say_blob(const char *what, bool has, const th_blob *blob)
{
    if (!has) {
        say(what, th_str("none"), "", th_str(""));
    } else if (blob->bytes.len > 100) {
        say(what, th_decimal(blob->bytes.len), " bytes", th_str(""));
    } else {
        say(what, or_none(blob->mime), " ", blob->bytes);
    }
}

static void say_blobs(void)
{
    th_blob blob = {0};
    bool has = th_get_blob(&blob);

    say_blob(th_has_blob() ? "  has-blob; get-blob " : "  no blob; get-blob ", has,
             &blob);
    has = th_last_blob(&blob);
    say_blob("  last-blob ", has, &blob);
}

static void say_caps(const char *what, th_caps caps)
{
    for (size_t i = 0; i < caps.len; i++) {
        say(what, th_address_text(&caps.ptr[i].issuer), " ", caps.ptr[i].params);
    }
}

static void say_message(const th_message *message)
{
    static const char *const kinds[] = {"request ", "response ", "offline ",
                                        "timeout "};
    th_slice body = message->body;

    say(kinds[message->kind], th_address_text(&message->peer),
        message->inherit ? " inherit" : "",
        message->expects_response
            ? th_concat((th_slice[]){th_str(" expects "),
                                     th_decimal(message->timeout_s)},
                        2)
            : th_str(""));
    say("  body ", body.len > 100 ? th_decimal(body.len) : body, "; metadata ",
        or_none(message->metadata));
    say("  context ", or_none(message->context), "; caps ",
        th_decimal(message->caps.len));
    say_caps("  cap ", message->caps);
    if (message->kind >= TH_OFFLINE) {
        say_blob("  came back with blob ", message->has_blob, &message->blob);
    }
    say_blobs();
}

static void receive_and_say(void)
{
    th_message message = th_receive();

    say_message(&message);
    th_message_free(&message);
}

static void call_and_say(th_address to, th_request request)
{
    th_message answer;

    request.expects_response = true;
    answer = th_call(&to, &request);
    say_message(&answer);
    th_message_free(&answer);
}

static void answer(const char *body)
{
    th_respond(&(th_response){.body = th_str(body)});
}

/* --- The steps ------------------------------------------------------------------------- */

/* Bytes that none of the others looks like. */
static th_slice noise(size_t len)
{
    char *bytes = th_alloc(len);

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)((uint32_t)i * 2654435761u >> 24);
    }
    return (th_slice){bytes, len};
}

static void the_process(void)
{
    th_address our = th_our();

    say("our ", th_address_text(&our), "", th_str(""));
    for (uint8_t level = 1; level < 4; level++) {
        th_print(level,
                 th_concat((th_slice[]){th_str("level "), th_decimal(level)}, 2));
    }
    answer("done");
}

static void say_on_exit(void)
{
    th_on_exit on_exit = th_get_on_exit();

    say("on-exit ", th_decimal(on_exit.kind), " of ", th_decimal(on_exit.n_requests));
    for (size_t i = 0; i < on_exit.n_requests; i++) {
        const th_request *request = &on_exit.requests[i].request;

        say("  to ", th_address_text(&on_exit.requests[i].target),
            request->inherit ? " inherit " : " ", request->body);
        say("  metadata ", or_none(request->metadata),
            request->expects_response ? "; expects" : "", th_str(""));
        say_caps("  cap ", request->caps);
        if (request->blob != NULL) {
            say_blob("  blob ", true, request->blob);
        }
    }
    th_on_exit_free(&on_exit);
}

/* With a capability of its own, and one that is nobody's to hand on but its issuer's. */
static th_caps two_caps(void)
{
    th_cap *caps = th_alloc(2 * sizeof *caps);

    caps[0] = (th_cap){th_our(), th_str("{\"b\":1, \"a\":[2]}")};
    caps[1] = (th_cap){at("local", "peer"), th_str("\"messaging\"")};
    return (th_caps){caps, 2};
}

static void leave_words(void)
{
    th_blob blob = {.mime = th_str("last/words"), .bytes = th_str("of mine")};
    th_outgoing words[2] = {
        {at("our", "peer"),
         {.body = th_str("echo"),
          .metadata = th_str("{}"),
          .expects_response = true,
          .timeout_s = 5,
          .inherit = true,
          .caps = two_caps(),
          .blob = &blob}},
        {at("", "nobody"), {.body = th_str("second")}},
    };

    th_set_on_exit(&(th_on_exit){TH_EXIT_REQUESTS, words, 2});
}

static void on_exits(void)
{
    say_on_exit();
    th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_NONE});
    say_on_exit();
    th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_RESTART});
    say_on_exit();
    leave_words();
    say_on_exit();
    th_set_on_exit(&(th_on_exit){.kind = TH_EXIT_NONE});
    say_on_exit();
    answer("done");
}

static void say_state(th_slice expected)
{
    th_slice state = th_get_state();

    if (state.ptr == NULL) {
        say("state none", th_str(""), "", th_str(""));
    } else {
        say("state of ", th_decimal(state.len),
            th_equal(state, expected) ? " bytes" : " other bytes", th_str(""));
    }
    th_slice_free(&state);
}

/* The blob that is current is so after each of these calls, too. */
static void states(void)
{
    th_slice large = noise(4 * MIB);

    say_state(TH_NONE);
    th_set_state(th_str("first"));
    say_state(th_str("first"));
    th_set_state(large);
    say_state(large);
    th_set_state(th_str(""));
    say_state(th_str(""));
    th_clear_state();
    say_state(TH_NONE);
    th_clear_state();
    say_blobs();
    answer("done");
}

static void caps(void)
{
    th_caps mine = two_caps();
    th_address peer = at("local", "peer");
    th_message message;

    say_caps("has ", th_our_caps());
    th_save_caps((th_caps){0});
    th_save_caps(mine);
    say_caps("has its own ", th_our_caps());
    th_drop_caps(mine);
    say_caps("has again ", th_our_caps());
    message = th_call(&peer, &(th_request){.body = th_str("caps"),
                                           .caps = mine,
                                           .expects_response = true,
                                           .timeout_s = 5});
    say_message(&message);
    th_save_caps(message.caps);
    say_caps("was given ", th_our_caps());
    th_respond(&(th_response){.body = th_str("done"), .caps = message.caps});
}

static void requests(void)
{
    th_blob blob = {.mime = th_str("a/b"), .bytes = th_str("sent")};
    th_address peer = at("local", "peer");
    th_outgoing two[2] = {
        {at("our", "peer"),
         {.body = th_str("one way"), .context = th_str("goes nowhere")}},
        {at("", "peer"),
         {.body = th_str("echo"), .expects_response = true, .timeout_s = 9}},
    };

    th_send(&peer, &(th_request){.body = th_str("echo"),
                                 .metadata = th_str("{\"n\":1}"),
                                 .context = th_str("ctx"),
                                 .blob = &blob,
                                 .expects_response = true,
                                 .timeout_s = 5});
    receive_and_say();
    th_send_all(two, 2);
    th_send_all(two, 0);
    receive_and_say();
    answer("done");
}

static void large(void)
{
    th_address peer = at("local", "peer");
    th_blob got;
    th_blob blob = {.bytes = noise(4 * MIB)};
    th_message message;
    bool same;

    message = th_call(&peer, &(th_request){.body = blob.bytes,
                                           .blob = &blob,
                                           .expects_response = true,
                                           .timeout_s = 5});
    same = th_get_blob(&got) && th_equal(message.body, blob.bytes) &&
           th_equal(got.bytes, blob.bytes);
    say("4 MiB each way ", th_str(same ? "whole" : "damaged"), "", th_str(""));
    answer("done");
}

static void errors(void)
{
    th_blob blob = {.mime = th_str("x/y"), .bytes = th_str("kept")};
    th_request request = {.body = th_str("lost"),
                          .metadata = th_str("m"),
                          .context = th_str("ctx"),
                          .blob = &blob,
                          .timeout_s = 7};
    th_address away = at("far.os", "peer");

    call_and_say(at("local", "nobody"), request);
    call_and_say(at("local", "No Name!"), request);
    call_and_say(away, request);
    th_send(&away, &request);
    receive_and_say();
    request.expects_response = true;
    th_send(&away, &request);
    receive_and_say();
    call_and_say(at("local", "peer"),
                 (th_request){.body = th_str("silent"), .timeout_s = 3});
    call_and_say(at("local", "peer"),
                 (th_request){.body = th_str("silent"), .timeout_s = 0});
    call_and_say(at("local", "mortal"),
                 (th_request){.body = th_str("die"), .timeout_s = 60});
    answer("done");
}

static void to_self(void)
{
    th_address our = th_our();

    th_send(&our, &(th_request){.body = th_str("to myself"),
                                .context = th_str("mine"),
                                .expects_response = true,
                                .timeout_s = 5});
    receive_and_say();
    answer("from myself");
    receive_and_say();
    answer("done");
}

/* The example of text 000: ask for a chunk, hand it on with the answer. */
static void chunk_awaited(void)
{
    say_blobs();
    call_and_say(at("local", "peer"),
                 (th_request){.body = th_str("chunk"), .timeout_s = 5});
    th_respond(&(th_response){.body = th_str("with the chunk"), .inherit = true});
}

static void chunk_received(void)
{
    th_address peer = at("local", "peer");
    th_blob own = {.bytes = th_str("own")};

    th_send(&peer, &(th_request){.body = th_str("echo"),
                                 .inherit = true,
                                 .expects_response = true,
                                 .timeout_s = 5});
    receive_and_say();
    th_respond(
        &(th_response){.body = th_str("own wins"), .inherit = true, .blob = &own});
}

/* One-way messages change the blob, and not who is answered. */
static void one_ways(void)
{
    th_address asker = at("local", "asker");
    th_address peer = at("local", "peer");

    (void)asker;
    th_send(&peer, &(th_request){.body = th_str("one way back")});
    receive_and_say();
    receive_and_say();
    th_respond(&(th_response){.body = th_str("the prompt's blob"), .inherit = true});
}

static void order(void)
{
    th_address peer = at("local", "peer");

    th_send(&peer, &(th_request){.body = th_str("three back")});
    call_and_say(peer, (th_request){.body = th_str("echo"), .timeout_s = 5});
    for (int i = 0; i < 3; i++) {
        receive_and_say();
    }
    answer("done");
}

static void forwards(void)
{
    th_address peer = at("local", "peer");

    th_send(&peer, &(th_request){.body = th_str("echo"), .inherit = true});
}

static void terms(void)
{
    th_address peer = at("local", "peer");

    th_send(&peer, &(th_request){.body = th_str("sends")});
    receive_and_say();
    receive_and_say();
    call_and_say(peer, (th_request){.body = th_str("term"), .timeout_s = 5});
    answer("done");
}

static void spawns(void)
{
    th_spawn_options options = {.name = th_str("kid"),
                                .path = th_str("test:local/pkg/echo.wasm")};
    static const char *const wrong[] = {"/test:local/pkg/none.wasm", "test:local/pkg/",
                                        "test:other/pkg/echo.wasm", "echo.wasm", ""};
    th_process_id id;
    th_grant grant = {.receiver = at("", "peer").id, .params = th_str("\"messaging\"")};

    options.grants = &grant;
    options.n_grants = 1;
    say("spawn ", th_decimal(th_spawn(&options, &id)), " ", id.process);
    say("  of ", id.package, ":", id.publisher);
    say("again ", th_decimal(th_spawn(&options, &id)), "", th_str(""));
    call_and_say(at("local", "kid"),
                 (th_request){.body = th_str("hello"), .timeout_s = 5});
    options = (th_spawn_options){.path = th_str("/test:local/pkg/echo.wasm"),
                                 .is_public = true};
    say("unnamed ", th_decimal(th_spawn(&options, &id)), "", th_str(""));
    call_and_say((th_address){.id = id},
                 (th_request){.body = th_str("hi"), .timeout_s = 5});
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.path = th_str(wrong[i]);
        say("wrong ", th_decimal(th_spawn(&options, &id)), "", th_str(""));
    }
    answer("done");
}

/* Children that live on, and what is theirs from their first moment. */
static void durable_spawns(void)
{
    th_spawn_options options = {.name = th_str("again"),
                                .path = th_str("test:local/pkg/echo.wasm"),
                                .on_exit = {.kind = TH_EXIT_RESTART},
                                .request_caps = two_caps()};
    th_grant grants[2] = {
        {.receiver = at("", "boundary").id, .params = th_str("\"of the child\"")},
        {.receiver = at("", "No Name").id, .params = th_str("1")},
    };
    th_outgoing words = {at("local", "peer"), {.body = th_str("it is gone")}};
    th_process_id id;

    options.grants = grants;
    options.n_grants = 2;
    say("spawn ", th_decimal(th_spawn(&options, &id)), " ", id.process);
    say_caps("was granted ", th_our_caps());
    options.name = TH_NONE;
    options.on_exit = (th_on_exit){TH_EXIT_REQUESTS, &words, 1};
    say("unnamed ", th_decimal(th_spawn(&options, &id)), "", th_str(""));
    options.name = th_str("again");
    say("taken ", th_decimal(th_spawn(&options, &id)), "", th_str(""));
    answer("done");
}

void th_main(th_slice our)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } steps[] = {
        {"process", the_process}, {"on-exit", on_exits},
        {"state", states},        {"caps", caps},
        {"requests", requests},   {"durable spawns", durable_spawns},
        {"large", large},         {"errors", errors},
        {"self", to_self},        {"chunk awaited", chunk_awaited},
        {"order", order},         {"chunk received", chunk_received},
        {"one ways", one_ways},   {"forwards", forwards},
        {"terms", terms},         {"spawns", spawns},
    };

    say("init ", our, "", th_str(""));
    say_blobs();
    for (;;) {
        th_message message = th_receive();

        if (th_equal(message.body, th_str("end"))) {
            leave_words();
            return;
        }
        for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
            if (th_equal(message.body, th_str(steps[i].name))) {
                steps[i].run();
            }
        }
        th_message_free(&message);
    }
}
