#include "base/test.h"
#include "codec/term.h"
#include "guest/wasm/wasm_stage.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * The boundary: every function of kinode:process/standard, from a guest in C through the
 * kernel and back, compared line by line with test/wasm/boundary.txt.
 */

static th_msg *message(th_msg_kind kind, th_format format, th_slice body,
                       const char *blob)
{
    th_msg_parts parts = {.kind = kind, .format = format, .body = body};
    th_msg *made;

    if (kind == TH_MSG_SEND) {
        parts.topic = TH_SLICE("a \"topic\"");
    }
    if (blob != NULL) {
        parts.blob = th_blob_new(th_slice_str(blob), TH_SLICE("text/plain"));
    }
    made = th_msg_new(&parts);
    th_blob_unref(parts.blob);
    return made;
}

/* --- Who is asked --------------------------------------------------------------------- */

static void respond(th_process *self, th_msg *question, th_msg *answer)
{
    T_EQ(th_process_respond(self, question, answer), TH_OK);
}

static void echo(th_process *self, th_msg *question)
{
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE,
                          .flags = question->flags & TH_MSG_METADATA,
                          .metadata = th_msg_metadata(question),
                          .body = th_msg_body(question),
                          .blob = question->blob};

    respond(self, question, th_msg_new(&parts));
}

static void send(th_process *self, const th_msg *to, th_msg *msg)
{
    T_EQ(th_process_send(self, to->source.pid, msg), TH_OK);
}

/* {1, true}, as a term. */
static void put_pair(th_buf *out)
{
    th_term_put_header(out, TH_TERM_PLAIN);
    th_term_put_table(out, 2, 0);
    th_term_put_int(out, 1);
    th_term_put_tag(out, TH_TERM_TRUE);
}

/* Answers with what it was given, and with one of its own. */
static void give_caps(th_process *self, th_msg *question)
{
    th_claim own = {TH_SLICE("peer:test:local"), TH_SLICE("\"peer's\"")};
    th_caps *caps = th_process_claim(self, &own, 1);
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE,
                          .format = TH_FORMAT_BYTES,
                          .body = TH_SLICE("yours"),
                          .caps = caps};

    T_EQ(th_caps_count(caps), 1);
    respond(self, question, th_msg_new(&parts));
    th_caps_unref(caps);
}

static void act(th_process *self, th_msg *msg, th_slice body)
{
    th_auto_buf pair = TH_BUF_INIT;

    put_pair(&pair);
    if (th_slice_is(body, "chunk")) {
        respond(self, msg,
                message(TH_MSG_RESPONSE, TH_FORMAT_BYTES, TH_SLICE("here"),
                        "the chunk"));
    } else if (th_slice_is(body, "caps")) {
        give_caps(self, msg);
    } else if (th_slice_is(body, "term")) {
        respond(self, msg,
                message(TH_MSG_RESPONSE, TH_FORMAT_TERM, th_buf_slice(&pair), NULL));
    } else if (th_slice_is(body, "one way back")) {
        send(self, msg,
             message(TH_MSG_REQUEST, TH_FORMAT_BYTES, TH_SLICE("first"), "o"));
        send(self, msg,
             message(TH_MSG_REQUEST, TH_FORMAT_BYTES, TH_SLICE("second"), NULL));
    } else if (th_slice_is(body, "three back")) {
        for (int i = 0; i < 3; i++) {
            char n = (char)('1' + i);

            send(self, msg,
                 message(TH_MSG_REQUEST, TH_FORMAT_BYTES, th_slice_of(&n, 1), NULL));
        }
    } else if (th_slice_is(body, "sends")) {
        send(self, msg,
             message(TH_MSG_SEND, TH_FORMAT_TERM, th_buf_slice(&pair), NULL));
        send(self, msg, message(TH_MSG_SEND, TH_FORMAT_BYTES, TH_SLICE("raw"), "blob"));
    } else if (th_slice_is(body, "echo") || body.bytes > 1000) {
        echo(self, msg);
    }
}

static void say_caps(th_wasm_actor *actor, const char *who, const th_caps *caps)
{
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        const th_cap *cap = th_caps_at(caps, i);

        th_wasm_actor_say(actor, "%s got capability: %.*s %.*s\n", who,
                          TH_FMT(th_issuer_id(th_cap_issuer(cap))),
                          TH_FMT(th_cap_params(cap)));
    }
}

static void peer(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_slice body, blob;

    if (in == NULL) {
        return;
    }
    T_EQ(in->type, TH_ITEM_MSG);
    body = th_msg_body(in->msg);
    blob = th_blob_slice(in->msg->blob);
    if (body.bytes < 1000) {
        th_wasm_actor_say(actor, "peer got: %.*s; metadata %.*s; blob %.*s%s%s%s\n",
                          TH_FMT(body), TH_FMT(th_msg_metadata(in->msg)), TH_FMT(blob),
                          (in->msg->flags & TH_MSG_EXPECTS) != 0 ? "; expects" : "",
                          (in->msg->flags & TH_MSG_INHERIT) != 0 ? "; inherit" : "",
                          th_pid_is_none(in->msg->requester) ? "" : "; answerable");
    }
    say_caps(actor, "peer", in->msg->caps);
    if ((in->msg->flags & TH_MSG_EXPECTS) == 0 && th_pid_is_none(in->msg->requester) &&
        th_slice_is(body, "echo")) {
        th_msg_unref(in->msg); /* last words */
        return;
    }
    act(self, in->msg, body);
    th_msg_unref(in->msg);
}

static void mortal(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    (void)self;
    if (in != NULL) {
        th_msg_unref(in->msg);
        actor->is_over = true;
    }
}

/* --- Who asks ---------------------------------------------------------------------------- */

static const char *const steps[] = {
    "process",  "on-exit", "state",         "caps",           "requests", "large",
    "errors",   "self",    "chunk awaited", "chunk received", "one ways", "order",
    "forwards", "terms",   "spawns",        "durable spawns",
};

#define STEPS (sizeof steps / sizeof *steps)

static void ask_next(th_process *self, th_wasm_actor *actor)
{
    if (actor->step == STEPS) {
        th_wasm_actor_ask(self, "boundary", TH_SLICE("end"), TH_SLICE(""), 0);
        actor->is_over = true;
        return;
    }
    th_wasm_actor_say(actor, "--- %s\n", steps[actor->step]);
    th_wasm_actor_ask(self, "boundary", th_slice_str(steps[actor->step]),
                      TH_SLICE("asked"), 100);
    actor->step++;
}

static void asker(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in != NULL) {
        const th_msg *answer;

        T_EQ(in->type, TH_ITEM_REPLY);
        answer = th_request_response(in->request);
        if (answer == NULL) {
            th_wasm_actor_say(actor, "asker got: %s\n",
                              th_reason_of(th_request_reason(in->request))->name);
        } else {
            th_wasm_actor_say(actor, "asker got: %.*s; blob %.*s\n",
                              TH_FMT(th_msg_body(answer)),
                              TH_FMT(th_blob_slice(answer->blob)));
            say_caps(actor, "asker", answer->caps);
        }
        th_request_free(self, in->request);
    }
    ask_next(self, actor);
}

/* --- The tests ------------------------------------------------------------------------------ */

/* The file test/wasm/boundary.txt, seen from this one. */
static void read_expected(th_buf *out)
{
    const char *here = __FILE__, *end = strstr(here, "src/guest/wasm/");
    char path[1024];
    FILE *file;
    int c;

    snprintf(path, sizeof path, "%.*stest/wasm/boundary.txt", (int)(end - here), here);
    file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("no file %s", path);
    }
    while ((c = fgetc(file)) != EOF) {
        th_buf_putc(out, (char)c);
    }
    fclose(file);
}

static void expect_lines(const char *seen, const char *expected)
{
    for (unsigned line = 1; *seen != '\0' || *expected != '\0'; line++) {
        size_t n = strcspn(seen, "\n"), m = strcspn(expected, "\n");

        if (n != m || memcmp(seen, expected, n) != 0) {
            fail_msg("line %u is\n%.*s\nand not\n%.*s", line, (int)n, seen, (int)m,
                     expected);
        }
        seen += n + (seen[n] == '\n');
        expected += m + (expected[m] == '\n');
    }
}

static void play_boundary(th_wasm_stage *stage, uint64_t seed)
{
    th_wasm_stage_open(stage, seed, 1);
    th_wasm_stage_spawn(stage, th_wasm_stage_guest(stage, "boundary"), "boundary");
    th_wasm_stage_guest(stage, "echo");
    th_wasm_stage_spawn(stage, th_wasm_stage_actor(stage, "peer", peer), "peer");
    th_wasm_stage_spawn(stage, th_wasm_stage_actor(stage, "mortal", mortal), "mortal");
    th_wasm_stage_spawn(stage, th_wasm_stage_actor(stage, "asker", asker), "asker");
    T_TRUE(th_wasm_stage_run(stage));
}

TEST(wasm_boundary, every_function_does_what_the_script_says)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        th_auto_buf expected = TH_BUF_INIT;
        th_wasm_stage stage;

        play_boundary(&stage, seed);
        if (getenv("BOUNDARY_SHOW") != NULL) {
            fputs(th_wasm_stage_text(&stage), stderr);
        }
        read_expected(&expected);
        expect_lines(th_wasm_stage_text(&stage), th_buf_text(&expected));
        th_wasm_stage_close(&stage);
    }
}

/* --- Misuse --------------------------------------------------------------------------------- */

static const char *wanted;

static void wants(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in == NULL) {
        th_wasm_actor_ask(self, "misuse", th_slice_str(wanted), TH_SLICE(""), 9);
        return;
    }
    th_wasm_actor_say(actor, "told: %s\n",
                      th_reason_of(th_request_reason(in->request))->name);
    th_request_free(self, in->request);
}

TEST(wasm_boundary, what_cannot_be_done_ends_the_guest_with_a_text_that_says_why)
{
    static const char *const all[][2] = {
        {"set-state", "set-state: nothing is kept here: give the node a home"},
        {"set-on-exit", "set-on-exit: nothing is kept here: give the node a home"},
        {"on-exit target", "set-on-exit: a target of its on-exit is no address"},
        {"on-exit bytes", "set-on-exit: the requests of its on-exit have more than "},
        {"save", "the params of the capabilities of one call have more than"},
        {"spawn capabilities", "a list of 5000 capabilities: at most 4096"},
        {"spawn name", "`No Name` is no name for a process"},
        {"send capabilities", "the params of the capabilities of one call"},
        {"respond capabilities", "the params of the capabilities of one call"},
        {"await self", "send-and-await-response to itself would wait for ever"},
        {"await nothing", "of a request that expects no response"},
        {"long address", "a part of a target's address has more than 255 bytes"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        th_wasm_stage stage;

        wanted = all[i][0];
        th_wasm_stage_open(&stage, 1, 1);
        stage.keeps_nothing = true;
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "misuse"), "misuse");
        th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "asker", wants), NULL);
        T_TRUE(th_wasm_stage_run(&stage));
        th_wasm_stage_saw(&stage, "misuse ended failed ");
        th_wasm_stage_saw(&stage, all[i][1]);
        th_wasm_stage_saw(&stage, "told: died\n");
        th_wasm_stage_close(&stage);
    }
}
