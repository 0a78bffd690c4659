/*
 * Does the lines of a message whose body begins with "do": for tests of the rules.
 *
 *     send TARGET FLAGS BODY    FLAGS of: e expects an answer, i inherits, b has a blob of
 *                               its own, c a context, k a capability of its own, m its
 *                               messaging, w awaits the answer, - none
 *     respond FLAGS BODY
 *     forward N BODY            N times to itself and back, then to the answer: a chain
 *     receive                   the next message, told
 *     claim KIND ISSUER PARAMS  KIND of: save, drop, send, respond, exit, spawn
 *     caps                      tells what it holds
 *     state TEXT | state        set or tell its state
 *     clear
 *     exit-words TARGET BODY | exit-restart | exit-none
 *     spawn NAME FILE ON_EXIT   ON_EXIT of: none, restart; NAME of "-" for none
 *     end | trap
 *
 * A TARGET is an address. Everything that is received is told in one line.
 */
#include <thole.h>

static bool is_over;

/* --- Words ------------------------------------------------------------------------------ */

static th_slice cut(th_slice *text, char mark)
{
    const char *at = text->ptr;
    th_slice found = {at, 0};

    while (found.len < text->len && at[found.len] != mark) {
        found.len++;
    }
    text->ptr = at + found.len + (found.len < text->len);
    text->len -= found.len + (found.len < text->len);
    return found;
}

static bool is(th_slice text, const char *other)
{
    return th_equal(text, th_str(other));
}

static bool has(th_slice flags, char flag)
{
    const char *at = flags.ptr;

    for (size_t i = 0; i < flags.len; i++) {
        if (at[i] == flag) {
            return true;
        }
    }
    return false;
}

static void tell(const th_slice *parts, size_t n)
{
    th_slice line = th_concat(parts, n);

    th_print(0, line);
    th_slice_free(&line);
}

#define TELL(...)                                                                      \
    tell((th_slice[]){__VA_ARGS__},                                                    \
         sizeof((th_slice[]){__VA_ARGS__}) / sizeof(th_slice))

static th_address address(th_slice text)
{
    th_address parsed;

    if (!th_address_parse(text, &parsed)) {
        th_trap();
    }
    return parsed;
}

/* --- Telling ---------------------------------------------------------------------------- */

static th_slice caps_text(th_caps caps)
{
    th_slice text = th_str("");

    for (size_t i = 0; i < caps.len; i++) {
        text =
            th_concat((th_slice[]){text, th_str(" cap "), caps.ptr[i].issuer.id.process,
                                   th_str("/"), caps.ptr[i].params},
                      5);
    }
    return text;
}

static th_slice blob_text(bool is_there, const th_blob *blob)
{
    return is_there ? th_concat((th_slice[]){th_str(" blob "), blob->bytes}, 2)
                    : th_str(" no blob");
}

static void tell_message(const th_message *message)
{
    static const char *const kinds[] = {"request ", "response ", "offline ",
                                        "timeout "};
    bool is_error = message->kind >= TH_OFFLINE;
    th_blob blob = {0};
    bool has_blob = th_get_blob(&blob);

    TELL(th_str("got "), th_str(kinds[message->kind]), message->body,
         th_str(is_error && message->is_response ? " (a response)" : ""),
         th_str(is_error ? " to " : " from "), message->peer.id.process,
         th_str(message->context.ptr != NULL ? " context " : ""), message->context,
         blob_text(has_blob, &blob), caps_text(message->caps),
         is_error && message->has_blob ? th_str(" returned blob ") : th_str(""),
         is_error && message->has_blob ? message->blob.bytes : th_str(""));
}

/* --- The steps -------------------------------------------------------------------------- */

static const th_blob own_blob = {.mime = {"own/blob", 8}, .bytes = {"own", 3}};

static th_caps own_caps(th_slice flags)
{
    th_cap *cap = th_alloc(sizeof *cap);

    *cap = (th_cap){th_our(), th_str(has(flags, 'm') ? "\"messaging\"" : "\"own\"")};
    return (th_caps){cap, has(flags, 'k') || has(flags, 'm')};
}

static void send(th_slice rest)
{
    th_address target = address(cut(&rest, ' '));
    th_slice flags = cut(&rest, ' ');
    th_request request = {
        .body = rest,
        .inherit = has(flags, 'i'),
        .expects_response = has(flags, 'e') || has(flags, 'w'),
        .timeout_s = 5,
        .context = has(flags, 'c') ? th_str("ctx") : TH_NONE,
        .caps = own_caps(flags),
        .blob = has(flags, 'b') ? &own_blob : NULL,
    };

    if (has(flags, 'w')) {
        th_message message = th_call(&target, &request);

        tell_message(&message);
        th_message_free(&message);
    } else {
        th_send(&target, &request);
    }
}

static void respond(th_slice rest)
{
    th_slice flags = cut(&rest, ' ');

    th_respond(&(th_response){.body = rest,
                              .inherit = has(flags, 'i'),
                              .caps = own_caps(flags),
                              .blob = has(flags, 'b') ? &own_blob : NULL});
}

static uint64_t number(th_slice text)
{
    const char *at = text.ptr;
    uint64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        n = n * 10 + (uint64_t)(at[i] - '0');
    }
    return n;
}

/* To itself, with one less each time, until it answers whoever began. */
static void forward(th_slice rest)
{
    uint64_t left = number(cut(&rest, ' '));
    th_address our = th_our();

    if (left == 0) {
        th_respond(&(th_response){.body = rest, .inherit = true});
    } else {
        th_slice n = th_decimal(left - 1);
        th_slice body =
            th_concat((th_slice[]){th_str("do\nforward "), n, th_str(" "), rest}, 4);

        th_send(&our, &(th_request){.body = body, .inherit = true});
        th_slice_free(&n);
        th_slice_free(&body);
    }
    th_address_free(&our);
}

static void receive(void)
{
    th_message message = th_receive();

    tell_message(&message);
    th_message_free(&message);
}

static void leave_words(th_address target, th_slice body, th_caps caps)
{
    th_outgoing words = {target, {.body = body, .caps = caps, .blob = &own_blob}};

    th_set_on_exit(&(th_on_exit){TH_EXIT_REQUESTS, &words, 1});
}

static th_spawned spawn(th_slice name, th_slice file, th_exit_kind kind, th_caps caps)
{
    th_address our = th_our();
    th_spawn_options options = {.on_exit = {.kind = kind}, .request_caps = caps};
    th_process_id id;

    options.path = th_concat((th_slice[]){our.id.package, th_str(":"), our.id.publisher,
                                          th_str("/pkg/"), file},
                             5);
    options.name = is(name, "-") ? TH_NONE : name;
    return th_spawn(&options, &id);
}

static void claim(th_slice rest)
{
    th_slice kind = cut(&rest, ' ');
    th_address issuer = address(cut(&rest, ' '));
    th_cap cap = {issuer, rest};
    th_caps caps = {&cap, 1};
    th_address witness = address(th_str("our@witness:test:local"));

    if (is(kind, "save")) {
        th_save_caps(caps);
    } else if (is(kind, "drop")) {
        th_drop_caps(caps);
    } else if (is(kind, "send")) {
        th_send(&witness, &(th_request){.body = th_str("claimed"), .caps = caps});
    } else if (is(kind, "respond")) {
        th_respond(&(th_response){.body = th_str("claimed"), .caps = caps});
    } else if (is(kind, "exit")) {
        leave_words(witness, th_str("claimed"), caps);
    } else {
        spawn(th_str("heir"), th_str("play.wasm"), TH_EXIT_NONE, caps);
    }
}

static void state(th_slice rest)
{
    if (rest.len > 0) {
        th_set_state(rest);
        TELL(th_str("saved "), rest);
    } else {
        th_slice now = th_get_state();

        TELL(th_str("state "), now.ptr == NULL ? th_str("none") : now);
    }
}

static void on_exit(th_slice what, th_slice rest)
{
    if (is(what, "exit-words")) {
        th_address target = address(cut(&rest, ' '));

        leave_words(target, rest, own_caps(th_str("k")));
    } else {
        th_on_exit plain = {.kind = is(what, "exit-restart") ? TH_EXIT_RESTART
                                                             : TH_EXIT_NONE};

        th_set_on_exit(&plain);
    }
    TELL(th_str("on-exit is set"));
}

static void spawn_one(th_slice rest)
{
    static const char *const outcomes[] = {"spawned", "name-taken", "no-file-at-path"};
    th_slice name = cut(&rest, ' ');
    th_slice file = cut(&rest, ' ');
    th_caps none = {0};

    TELL(th_str(
        outcomes[spawn(name, file, is(rest, "restart") ? TH_EXIT_RESTART : TH_EXIT_NONE,
                       none)]));
}

static void do_line(th_slice line)
{
    th_slice what = cut(&line, ' ');

    if (is(what, "send")) {
        send(line);
    } else if (is(what, "respond")) {
        respond(line);
    } else if (is(what, "forward")) {
        forward(line);
    } else if (is(what, "receive")) {
        receive();
    } else if (is(what, "claim")) {
        claim(line);
    } else if (is(what, "caps")) {
        TELL(th_str("has"), caps_text(th_our_caps()));
    } else if (is(what, "state")) {
        state(line);
    } else if (is(what, "clear")) {
        th_clear_state();
    } else if (is(what, "spawn")) {
        spawn_one(line);
    } else if (is(what, "end")) {
        is_over = true;
    } else if (is(what, "trap")) {
        th_trap();
    } else {
        on_exit(what, line);
    }
}

void th_main(th_slice our)
{
    (void)our;
    while (!is_over) {
        th_message message = th_receive();
        th_slice lines = message.body;

        if (message.kind == TH_REQUEST && is(cut(&lines, '\n'), "do")) {
            while (lines.len > 0 && !is_over) {
                do_line(cut(&lines, '\n'));
            }
        } else {
            tell_message(&message);
        }
        th_message_free(&message);
    }
}
