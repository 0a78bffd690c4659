/*
 * An actor of the simulation of both kinds (src/svc/both_sim_test.c), as
 * test/lua/sim_actor.lua is: does what its messages say, and tells the test what it does
 * and sees in lines that begin with @.
 *
 * It remembers which question is its prompt, as text 000 has it, and answers with that
 * question's number: the test finds out if the node thinks otherwise. What was passed on
 * by somebody who was asked no more is only a message, and looks the same: then it may be
 * either question, and it answers "NEW/OLD". It never sleeps, for WASI does so in real
 * time (th_engine.h).
 */
#include <thole.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

IMPORT("wasi:clocks/monotonic-clock@0.2.0", "now") uint64_t wasi_mono(void);
IMPORT("wasi:clocks/wall-clock@0.2.0", "now") void wasi_wall(void *);
IMPORT("wasi:random/random@0.2.0", "get-random-u64") uint64_t wasi_dice(void);

#define PEERS_MAX 512

typedef struct {
    th_slice address;
    uint64_t sent;
} peer;

static peer peers[PEERS_MAX];
static unsigned peers_count;
static th_slice our;
static th_slice
    prompt; /* the number of the question that is to be answered now, or that of none */
static bool is_over;

/* --- Texts ------------------------------------------------------------------------------ */

static th_slice copy(th_slice text)
{
    return th_concat(&text, 1);
}

/* Take the next word off @text. */
static th_slice word(th_slice *text)
{
    const char *at = text->ptr;
    th_slice found = {at, 0};

    while (found.len < text->len && at[found.len] != ' ') {
        found.len++;
    }
    text->ptr = at + found.len + (found.len < text->len);
    text->len -= found.len + (found.len < text->len);
    return found;
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

static bool is(th_slice text, const char *other)
{
    return th_equal(text, th_str(other));
}

static void tell(const char *what, th_slice a, th_slice b, th_slice c)
{
    th_slice line = th_concat((th_slice[]){th_str("@"), th_str(what), th_str(" "), a,
                                           th_str(" "), b, th_str(" "), c},
                              8);

    th_print(0, line);
    th_slice_free(&line);
}

static void wrong(const char *what)
{
    tell("wrong", th_str(what), th_str(""), th_str(""));
}

static th_address address(th_slice text)
{
    th_address parsed;

    if (!th_address_parse(text, &parsed)) {
        wrong("no address");
        th_trap();
    }
    return parsed;
}

/* --- Messages --------------------------------------------------------------------------- */

static peer *peer_of(th_slice text)
{
    for (unsigned i = 0; i < peers_count; i++) {
        if (th_equal(peers[i].address, text)) {
            return &peers[i];
        }
    }
    if (peers_count == PEERS_MAX) {
        th_trap();
    }
    peers[peers_count].address = copy(text);
    return &peers[peers_count++];
}

/* Nobody tells a Wasm process that a one-way message was refused: its numbers have gaps. */
static void send(th_slice to, th_slice text)
{
    th_address target = address(to);
    th_slice count = th_decimal(peer_of(to)->sent++);
    th_slice body = th_concat((th_slice[]){th_str("w"), count, th_str(" "), text}, 4);

    th_send(&target, &(th_request){.body = body});
    th_slice_free(&body);
    th_slice_free(&count);
}

static th_slice question(th_slice q, th_slice how)
{
    return th_concat((th_slice[]){th_str("?"), q, th_str(" "), how}, 4);
}

/* --- Questions -------------------------------------------------------------------------- */

static void respond(void)
{
    th_respond(&(th_response){.body = prompt});
}

static void respond_with_blob(void)
{
    th_blob blob = {.bytes = {th_alloc(20000), 20000}};

    memset((void *)blob.bytes.ptr, 'b', 20000);
    th_respond(&(th_response){.body = prompt, .blob = &blob});
    th_slice_free(&blob.bytes);
}

static void pass_on(th_slice rest)
{
    th_slice to = word(&rest);
    th_address target = address(to);
    th_slice body = question(prompt, rest);

    th_send(&target, &(th_request){.body = body, .inherit = true});
    th_slice_free(&body);
}

static void ask(th_slice rest);

static void hear_question(const th_message *message)
{
    th_slice body = message->body;
    th_slice rest = {(const char *)body.ptr + 1, body.len - 1};
    th_slice q = word(&rest);
    th_slice how = word(&rest);

    prompt = message->expects_response
                 ? copy(q)
                 : th_concat((th_slice[]){q, th_str("/"), prompt}, 3);
    if (is(how, "now") || is(how, "twice")) {
        respond();
    }
    if (is(how, "twice")) {
        respond();
    } else if (is(how, "blob")) {
        respond_with_blob();
    } else if (is(how, "help")) {
        ask(rest);
    } else if (is(how, "fail")) {
        th_trap();
    } else if (is(how, "pass") || is(how, "both")) {
        pass_on(rest);
        if (is(how, "both")) {
            respond();
        }
    }
}

/* --- Requests --------------------------------------------------------------------------- */

static th_request request_of(th_slice q, th_slice ms, th_slice how)
{
    return (th_request){.body = question(q, how),
                        .context = th_concat((th_slice[]){q, th_str(" "), prompt}, 3),
                        .metadata = th_str("m"),
                        .timeout_s = 1 + number(ms) / 1000,
                        .expects_response = true};
}

static void hear_reply(const th_message *reply)
{
    th_slice rest = reply->context;
    th_slice q = word(&rest);

    prompt = copy(rest);
    tell("reply", q, th_str(reply->kind == TH_RESPONSE ? "1" : "0"),
         reply->kind == TH_RESPONSE ? reply->body : th_str("0"));
    if (is(q, "999999")) {
        respond(); /* what it was asked before it asked for help */
    }
}

static void ask(th_slice rest)
{
    th_slice to = word(&rest), q = word(&rest), ms = word(&rest);
    th_address target = address(to);
    th_request request = request_of(q, ms, rest);

    th_send(&target, &request);
    th_slice_free(&request.body);
    th_slice_free(&request.context);
}

static void call(th_slice rest)
{
    th_slice to = word(&rest), q = word(&rest), ms = word(&rest);
    th_address target = address(to);
    th_request request = request_of(q, ms, rest);
    th_message reply;

    if (th_equal(to, our)) {
        tell("unask", q, th_str(""), th_str(""));
        return;
    }
    reply = th_call(&target, &request);
    tell("reply", q, th_str(reply.kind == TH_RESPONSE ? "1" : "0"),
         reply.kind == TH_RESPONSE ? reply.body : th_str("0"));
    th_message_free(&reply);
    th_slice_free(&request.body);
    th_slice_free(&request.context);
}

/* --- The rest --------------------------------------------------------------------------- */

static void spawn(void)
{
    th_process_id id;
    th_address made = th_our();

    if (th_spawn(&(th_spawn_options){.path = th_str("p1:local/pkg/actor.wasm")}, &id) ==
        TH_SPAWNED) {
        made.id = id;
        tell("born", th_address_text(&made), th_str(""), th_str(""));
    }
}

static void spin(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++) {
    }
    th_print(0, th_str("spun"));
}

/* All that could differ between two runs of a seed. */
static void show(void)
{
    struct {
        uint64_t seconds;
        uint32_t ns;
    } wall;

    wasi_wall(&wall);
    tell("show", th_decimal(wasi_dice()), th_decimal(wasi_mono()),
         th_decimal(wall.seconds * 1000000000 + wall.ns));
}

static void relay(th_slice rest)
{
    th_slice origin = word(&rest), m = word(&rest), to = word(&rest);
    th_slice body =
        th_concat((th_slice[]){th_str("relayed "), origin, th_str(" "), m}, 4);

    send(to, body);
    th_slice_free(&body);
}

static void obey(th_slice command, th_slice rest)
{
    if (is(command, "relay")) {
        relay(rest);
    } else if (is(command, "ask")) {
        ask(rest);
    } else if (is(command, "call")) {
        call(rest);
    } else if (is(command, "settle")) {
        respond();
    } else if (is(command, "fill")) {
        th_slice to = word(&rest);

        for (uint64_t n = number(rest); n > 0; n--) {
            send(to, th_str("note"));
        }
    } else if (is(command, "spawn")) {
        spawn();
    } else if (is(command, "spin")) {
        spin(number(rest));
    } else if (is(command, "show")) {
        show();
    } else if (is(command, "error")) {
        th_trap();
    } else if (is(command, "return")) {
        is_over = true;
    }
}

/* A text of Lua's came as JSON, whose quotes go. */
static void hear_message(const th_message *message)
{
    th_slice from = th_address_text(&message->peer);
    th_slice rest = message->body;
    th_slice count, command;

    if (rest.len > 2 && *(const char *)rest.ptr == '"') {
        rest = (th_slice){(const char *)rest.ptr + 1, rest.len - 2};
    }
    count = word(&rest);
    command = word(&rest);
    tell("got", from, count, th_str(""));
    if (is(command, "relayed")) {
        tell("relayed", from, rest, th_str(""));
    } else {
        obey(command, rest);
    }
    th_slice_free(&from);
}

void th_main(th_slice address_of_ours)
{
    our = address_of_ours;
    prompt = th_str("999999");
    while (!is_over) {
        th_message message = th_receive();

        if (message.kind != TH_REQUEST) {
            hear_reply(&message);
        } else if (message.body.len > 0 && *(const char *)message.body.ptr != '?') {
            hear_message(&message);
        } else {
            hear_question(&message);
        }
        th_message_free(&message);
    }
}
