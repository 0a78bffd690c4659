#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "world/world_sim.h"

#include <stdio.h>

/*
 * Rights, rule by rule (DESIGN 4.5). Tests move the strings of dolls, each of a package
 * of its own unless it says otherwise.
 */

static th_stage stage;
static th_puppet a_cast, b_cast, c_cast;
static th_process *a, *b, *c; /* of packages 1, 2 and 3 */

enum { LAX = 0, STRICT = 1, PUBLIC = 2, OPEN = 4 };

static th_run lies_there(th_process *self, th_puppet *puppet)
{
    (void)self;
    (void)puppet;
    return TH_RUN_ASLEEP;
}

static void cast_as(th_puppet *cast, const char *id, uint32_t package, unsigned how)
{
    th_puppet_cast(&stage, cast, id, lies_there);
    cast->entry.package_number = package;
    cast->entry.is_strict = (how & STRICT) != 0;
    cast->entry.is_public = (how & PUBLIC) != 0;
    cast->entry.is_open = (how & OPEN) != 0;
}

static th_process *spawn_by(th_process *parent, const th_spawn *spec)
{
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;
    th_err err = parent == NULL ? th_kernel_spawn(stage.kernel, spec, &who, &why)
                                : th_process_spawn(parent, spec, &who, &why);

    if (err != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    th_blob_unref(who.name);
    return th_table_find(stage.kernel, who.pid);
}

static th_process *spawn(const th_puppet *cast)
{
    return spawn_by(NULL, &(th_spawn){.entry = &cast->entry, .host = &stage.host});
}

static th_process *spawn_named(const th_puppet *cast, const char *name)
{
    return spawn_by(NULL, &(th_spawn){.entry = &cast->entry,
                                      .host = &stage.host,
                                      .name = th_slice_str(name)});
}

static void set_as(uint32_t a_package, unsigned a_how, uint32_t b_package,
                   unsigned b_how)
{
    th_stage_set(&stage, 1, 1);
    cast_as(&a_cast, "test:a", a_package, a_how);
    cast_as(&b_cast, "test:b", b_package, b_how);
    cast_as(&c_cast, "test:c", 3, LAX);
    th_stage_enter(&stage, 0);
    a = spawn(&a_cast);
    b = spawn(&b_cast);
    c = spawn(&c_cast);
}

static void set(void)
{
    set_as(1, LAX, 2, LAX);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

/* --- What tests do ----------------------------------------------------------------------- */

static void check_nothing(th_process *self)
{
    th_delivery in;

    T_FALSE(th_process_next(self, &in));
}

static th_msg *take(th_process *self)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    return in.msg;
}

static th_msg *letter(th_msg_kind kind, th_caps *caps)
{
    th_msg_parts parts = {.kind = kind, .body = TH_SLICE("x"), .caps = caps};

    return th_msg_new(&parts);
}

/* What comes of a send; it is read. */
static th_err send_with(th_process *from, th_process *to, th_caps *caps)
{
    th_msg *msg = letter(TH_MSG_SEND, caps);
    th_err err = th_process_send(from, to->ident.pid, msg);

    th_msg_unref(err == TH_OK ? take(to) : msg);
    check_nothing(to);
    return err;
}

static th_err send(th_process *from, th_process *to)
{
    return send_with(from, to, NULL);
}

static void ask(th_process *from, th_process *to)
{
    th_ask ask = {.to = to->ident.pid, .timeout_ns = TH_S};
    th_request *request;

    T_EQ(th_process_request(from, &ask, letter(TH_MSG_REQUEST, NULL), &request), TH_OK);
}

static th_err answer_with(th_process *self, th_msg *question, th_caps *caps)
{
    th_msg *msg = letter(TH_MSG_RESPONSE, caps);
    th_err err = th_process_respond(self, question, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    th_msg_unref(question);
    return err;
}

static void check_reply(th_process *self, th_err reason)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_REPLY);
    T_EQ(th_request_reason(in.request), reason);
    th_request_free(self, in.request);
    check_nothing(self);
}

/* "process:package:publisher" of it; the newest four stay. */
static th_slice id_of(const th_process *process)
{
    static char texts[4][TH_ID_TEXT_BYTES];
    static unsigned n;
    th_auto_buf id = TH_BUF_INIT;
    char *text = texts[n++ % 4];

    th_process_put_id(process, &id);
    T_TRUE(id.bytes < TH_ID_TEXT_BYTES);
    memcpy(text, id.at, id.bytes);
    return th_slice_of(text, id.bytes);
}

static void grant_of(th_process *to, th_slice id, const char *params)
{
    th_cap *cap = th_kernel_issue(stage.kernel, id, th_slice_str(params));

    T_NOT_NULL(cap);
    T_EQ(th_kernel_grant(stage.kernel, to->ident.pid, cap), TH_OK);
    th_cap_unref(cap);
}

static void grant(th_process *to, th_process *of, const char *params)
{
    grant_of(to, id_of(of), params);
}

/* What @self may name of one capability: a list of one, or of none. */
static th_caps *claim(th_process *self, th_slice issuer, const char *params)
{
    th_caps *caps =
        th_process_claim(self, &(th_claim){issuer, th_slice_str(params)}, 1);

    T_NOT_NULL(caps);
    return caps;
}

static bool may_name(th_process *self, th_slice issuer, const char *params)
{
    th_auto(th_caps) caps = claim(self, issuer, params);

    return th_caps_count(caps) == 1;
}

/* @from sends @to a capability, which it may name. */
static void pass(th_process *from, th_process *to, th_slice issuer, const char *params)
{
    th_auto(th_caps) caps = claim(from, issuer, params);

    T_EQ(th_caps_count(caps), 1);
    T_EQ(send_with(from, to, caps), TH_OK);
}

static th_err save(th_process *self, th_slice issuer, const char *params)
{
    return th_process_save_caps(self, &(th_claim){issuer, th_slice_str(params)}, 1);
}

static size_t count_held(th_process *self)
{
    th_auto(th_caps) caps = th_process_caps(self);

    return th_caps_count(caps);
}

/* --- Who may send to whom ------------------------------------------------------------------ */

TEST(rights, beyond_its_package_a_process_needs_messaging_on_its_target)
{
    set();
    T_EQ(send(a, b), TH_DENIED);
    grant(a, b, "\"messaging\"");
    T_EQ(send(a, b), TH_OK);
    T_EQ(send(b, a), TH_DENIED); /* a right has a direction */
    T_EQ(send(c, b), TH_DENIED); /* and an owner */
    th_process_drop_caps(a, &(th_claim){id_of(b), TH_CAP_MESSAGING}, 1);
    T_EQ(send(a, b), TH_DENIED);
    strike();
}

TEST(rights, within_a_package_all_is_free_but_for_strict_processes)
{
    set_as(1, LAX, 1, LAX);
    T_EQ(send(a, b), TH_OK);
    T_EQ(send(b, a), TH_OK);
    strike();
    set_as(1, STRICT, 1, LAX);
    T_EQ(send(a, b), TH_DENIED);
    T_EQ(send(b, a), TH_OK);
    grant(a, b, "\"messaging\"");
    T_EQ(send(a, b), TH_OK);
    strike();
}

TEST(rights, all_may_send_to_a_public_process_and_to_themselves)
{
    th_process *one;

    set_as(1, STRICT, 2, PUBLIC);
    T_EQ(send(a, b), TH_OK);
    T_EQ(send(a, a), TH_OK);
    T_EQ(send(b, a), TH_DENIED);
    one = spawn_by(NULL, &(th_spawn){.entry = &c_cast.entry,
                                     .host = &stage.host,
                                     .is_public = true}); /* of the spawn alone */
    T_EQ(send(a, one), TH_OK);
    T_EQ(send(a, c), TH_DENIED);
    strike();
}

TEST(rights, an_open_process_hears_all_and_is_told_whose_right_it_was)
{
    th_msg *msg;

    set_as(1, LAX, 2, OPEN);
    T_EQ(th_process_send(a, b->ident.pid, letter(TH_MSG_REQUEST, NULL)), TH_OK);
    msg = take(b);
    T_EQ(msg->flags & TH_MSG_RIGHTFUL, 0);
    th_msg_unref(msg);
    grant(a, b, "\"messaging\"");
    T_EQ(th_process_send(a, b->ident.pid, letter(TH_MSG_REQUEST, NULL)), TH_OK);
    msg = take(b);
    T_EQ(msg->flags & TH_MSG_RIGHTFUL, TH_MSG_RIGHTFUL);
    th_msg_unref(msg);
    strike();
}

TEST(rights, spawner_and_child_may_send_to_each_other)
{
    static const unsigned how[] = {LAX, STRICT};

    for (size_t i = 0; i < 2; i++) {
        th_process *child;

        set_as(1, how[i], 1, how[1 - i]);
        child = spawn_by(a, &(th_spawn){.entry = &b_cast.entry, .host = &stage.host});
        T_EQ(send(a, child), TH_OK);
        T_EQ(send(child, a), TH_OK);
        child = spawn_by(a, &(th_spawn){.entry = &c_cast.entry, .host = &stage.host});
        T_EQ(send(a, child), TH_OK);
        T_EQ(send(child, a), TH_OK);
        T_EQ(send(a, c), TH_DENIED); /* not its child, though of one entry with it */
        strike();
    }
}

TEST(rights, the_nodes_own_processes_need_none_and_give_none_over_themselves)
{
    set_as(0, STRICT, 2, LAX);
    T_EQ(send(a, b), TH_OK);
    T_EQ(send(b, a), TH_DENIED);
    T_EQ(th_process_cancel(b, a->ident.pid, TH_S, false, TH_SLICE("")), TH_DENIED);
    grant(b, a, "\"control\"");
    T_EQ(th_process_terminate(b, a->ident.pid), TH_DENIED);
    T_EQ(th_process_cancel(a, b->ident.pid, TH_S, false, TH_SLICE("")), TH_OK);
    strike();
}

TEST(rights, a_request_without_the_right_comes_back_as_not_permitted)
{
    set();
    ask(a, b);
    check_reply(a, TH_DENIED);
    check_nothing(b);
    strike();
}

TEST(rights, an_answer_always_returns_to_who_asked)
{
    set();
    grant(a, b, "\"messaging\"");
    ask(a, b);
    T_EQ(send(b, a), TH_DENIED);
    T_EQ(answer_with(b, take(b), NULL), TH_OK);
    check_reply(a, TH_OK);
    T_EQ(send(b, a), TH_DENIED); /* and opens nothing else */
    strike();
}

TEST(rights, who_a_question_was_passed_on_to_may_answer_it_without_a_right)
{
    th_msg *question;

    set();
    grant(a, b, "\"messaging\"");
    grant(b, c, "\"messaging\"");
    ask(a, b);
    question = take(b);
    T_EQ(th_process_forward(b, question, c->ident.pid, letter(TH_MSG_REQUEST, NULL)),
         TH_OK);
    th_msg_unref(question);
    T_EQ(answer_with(c, take(c), NULL), TH_OK);
    check_reply(a, TH_OK);
    strike();
}

TEST(rights, passing_on_needs_the_right_of_who_does_it)
{
    th_msg *question;

    set();
    grant(a, b, "\"messaging\"");
    grant(a, c, "\"messaging\""); /* of the requester: it helps the other nothing */
    ask(a, b);
    question = take(b);
    T_EQ(th_process_forward(b, question, c->ident.pid, letter(TH_MSG_REQUEST, NULL)),
         TH_OK);
    th_msg_unref(question);
    check_nothing(c);
    check_reply(a, TH_DENIED);
    strike();
}

/* --- Control ------------------------------------------------------------------------------- */

/* All that is control: may @self do it to @target, which survives? */
static bool controls(th_process *self, th_process *target)
{
    th_pid pid = target->ident.pid;
    th_err err = th_process_cancel(self, pid, TH_S, false, TH_SLICE("probe"));
    th_delivery in;

    T_TRUE(err == TH_OK || err == TH_DENIED);
    T_EQ(th_process_link(self, pid), err);
    if (err == TH_OK) {
        T_EQ(th_process_unlink(self, pid), TH_OK);
    }
    T_EQ(th_process_register(self, TH_SLICE("a name"), pid), err);
    T_EQ(th_process_unregister(self, TH_SLICE("a name")),
         err == TH_OK ? TH_OK : TH_NOT_FOUND);
    while (th_process_next(target, &in)) {
    }
    return err == TH_OK;
}

TEST(rights, control_is_of_the_same_package_the_spawner_and_those_who_hold_it)
{
    th_process *child;

    set();
    T_FALSE(controls(a, b));
    grant(a, b, "\"messaging\"");
    T_FALSE(controls(a, b)); /* to send is not to control */
    T_EQ(th_process_terminate(a, b->ident.pid), TH_DENIED);
    grant(a, b, " \"control\"");
    T_TRUE(controls(a, b));
    T_FALSE(controls(b, a));
    child = spawn_by(a, &(th_spawn){.entry = &c_cast.entry, .host = &stage.host});
    T_TRUE(controls(a, child));
    T_FALSE(controls(child, a));
    strike();
    set_as(1, STRICT, 1, STRICT);
    T_TRUE(controls(a, b));
    strike();
}

TEST(rights, messaging_on_the_kernel_controls_all_but_the_nodes_own)
{
    static th_puppet kernel_cast;
    th_process *kernel;
    th_cap *cap;

    set();
    cast_as(&kernel_cast, "system:kernel", 0, OPEN);
    kernel_cast.entry.package = TH_SLICE("distro");
    kernel_cast.entry.publisher = TH_SLICE("sys");
    kernel = spawn_named(&kernel_cast, "kernel");
    cap = th_kernel_issue(stage.kernel, TH_SLICE(TH_ID_KERNEL), TH_CAP_MESSAGING);
    T_EQ(th_kernel_grant(stage.kernel, a->ident.pid, cap), TH_OK);
    th_cap_unref(cap);
    T_TRUE(controls(a, b));
    T_FALSE(controls(b, a));
    T_EQ(th_process_terminate(a, kernel->ident.pid), TH_DENIED);
    T_EQ(send(a, kernel), TH_OK);
    strike();
}

TEST(rights, no_package_but_the_nodes_own_can_be_the_kernel)
{
    static th_puppet fake_cast;
    th_process *fake;

    set();
    cast_as(&fake_cast, "test:fake", 4, LAX);
    fake = spawn_named(&fake_cast, "kernel");
    T_TRUE(may_name(fake, id_of(fake), "\"messaging\""));
    pass(fake, fake, id_of(fake), "\"messaging\"");
    T_EQ(save(fake, id_of(fake), "\"messaging\""), TH_OK);
    T_FALSE(controls(fake, a)); /* "kernel:test:local" is somebody else */
    strike();
}

/* --- What may be named ---------------------------------------------------------------------- */

TEST(rights, a_process_names_what_it_issued_holds_or_was_given_and_nothing_else)
{
    set();
    T_TRUE(may_name(a, id_of(a), "{\"any\":[1,2]}")); /* its own, without ado */
    T_FALSE(may_name(a, id_of(b), "\"messaging\""));
    grant(a, b, "\"messaging\"");
    T_TRUE(may_name(a, id_of(b), "\"messaging\""));
    T_FALSE(may_name(a, id_of(b), "\"control\""));
    T_FALSE(may_name(c, id_of(b), "\"messaging\""));
    grant(a, c, "\"messaging\"");
    pass(a, c, id_of(b), "\"messaging\"");
    T_TRUE(may_name(c, id_of(b), "\"messaging\""));
    T_EQ(send(c, b), TH_DENIED); /* what it was given counts once it is saved */
    T_EQ(save(c, id_of(b), "\"messaging\""), TH_OK);
    T_EQ(send(c, b), TH_OK);
    strike();
}

TEST(rights, what_may_not_be_named_is_left_out_in_silence)
{
    th_auto(th_caps) caps = NULL;

    set();
    {
        th_claim claims[] = {{id_of(a), TH_SLICE("1")},
                             {id_of(b), TH_SLICE("1")},
                             {TH_SLICE("no id"), TH_SLICE("1")},
                             {TH_SLICE(""), TH_SLICE("")},
                             {id_of(a), TH_SLICE("no JSON {")}};

        caps = th_process_claim(a, claims, 5);
        T_EQ(th_caps_count(caps), 2);
        T_EQ(th_process_save_caps(a, &claims[1], 3), TH_OK);
        T_EQ(count_held(a), 0);
        th_process_drop_caps(a, claims, 5);
    }
    strike();
}

TEST(rights, params_are_the_same_if_they_are_the_same_json)
{
    set();
    grant(a, b, "{\"x\": 1, \"y\": [true]}");
    T_TRUE(may_name(a, id_of(b), "{\"y\":[true],\"x\":1}"));
    T_FALSE(may_name(a, id_of(b), "{\"x\":1.0,\"y\":[true]}"));
    T_FALSE(may_name(a, id_of(b), "{\"x\":1}"));
    grant(a, b, " \"mess\\u0061ging\" ");
    T_EQ(send(a, b), TH_OK);
    strike();
}

TEST(rights, an_issuer_may_be_said_with_this_node_and_with_no_other)
{
    static const struct {
        const char *node;
        bool is_here;
    } rows[] = {{"", true}, {"our@", true}, {"local@", true}, {"other@", false}};

    set();
    grant(a, b, "1");
    for (size_t i = 0; i < 4; i++) {
        th_auto_buf text = TH_BUF_INIT;

        th_buf_putf(&text, "%s%.*s", rows[i].node, TH_FMT(id_of(b)));
        T_EQ(may_name(a, th_buf_slice(&text), "1"), rows[i].is_here);
        th_buf_clear(&text);
        th_buf_putf(&text, "%s%.*s", rows[i].node, TH_FMT(id_of(a)));
        T_EQ(may_name(a, th_buf_slice(&text), "1"), rows[i].is_here);
    }
    strike();
}

TEST(rights, the_newest_messages_with_capabilities_can_be_handed_on_from)
{
    set();
    grant(a, b, "\"messaging\"");
    pass(a, b, id_of(a), "\"first\"");
    for (int i = 0; i < 100; i++) {
        T_EQ(send(a, b), TH_OK); /* without any: nothing is forgotten */
    }
    for (int i = 0; i < 100; i++) {
        th_auto(th_caps) none = claim(a, id_of(c), "\"not its own\"");

        T_EQ(th_caps_count(none), 0);
        T_EQ(send_with(a, b, none), TH_OK); /* nor by those that name none */
    }
    for (int i = 0; i < 31; i++) {
        pass(a, b, id_of(a), "\"more\"");
        T_TRUE(may_name(b, id_of(a), "\"first\""));
    }
    pass(a, b, id_of(a), "\"more\"");
    T_FALSE(may_name(b, id_of(a), "\"first\""));
    strike();
}

TEST(rights, capabilities_come_with_answers_too)
{
    th_auto(th_caps) caps = NULL;

    set();
    grant(a, b, "\"messaging\"");
    ask(a, b);
    caps = claim(b, id_of(b), "\"more\"");
    T_EQ(answer_with(b, take(b), caps), TH_OK);
    T_FALSE(may_name(a, id_of(b), "\"more\"")); /* not before it was read */
    check_reply(a, TH_OK);
    T_TRUE(may_name(a, id_of(b), "\"more\""));
    strike();
}

TEST(rights, a_request_that_comes_back_brings_nobody_its_capabilities)
{
    th_auto(th_caps) caps = NULL;
    th_ask ask = {.timeout_ns = TH_S};
    th_request *request;

    set();
    caps = claim(a, id_of(a), "1");
    ask.to = b->ident.pid;
    T_EQ(th_process_request(a, &ask, letter(TH_MSG_REQUEST, caps), &request), TH_OK);
    check_reply(a, TH_DENIED);
    T_FALSE(may_name(b, id_of(a), "1"));
    strike();
}

/* --- Taking back ------------------------------------------------------------------------------ */

TEST(rights, who_drops_one_takes_it_from_nobody_else)
{
    set();
    grant(a, c, "\"messaging\"");
    grant(b, c, "\"messaging\"");
    th_process_drop_caps(a, &(th_claim){id_of(c), TH_CAP_MESSAGING}, 1);
    T_EQ(send(a, c), TH_DENIED);
    T_EQ(send(b, c), TH_OK);
    T_EQ(th_kernel_drop(stage.kernel, b->ident.pid,
                        &(th_claim){id_of(c), TH_CAP_MESSAGING}),
         TH_OK);
    T_EQ(send(b, c), TH_DENIED);
    strike();
}

TEST(rights, a_revocation_reaches_every_copy_and_those_under_way)
{
    th_auto(th_caps) caps = NULL;
    th_claim what;

    set();
    what = (th_claim){id_of(c), TH_SLICE("\"messaging\"")};
    grant(a, c, "\"messaging\"");
    grant(a, b, "\"messaging\"");
    pass(a, b, id_of(c), "\"messaging\"");
    T_EQ(save(b, id_of(c), "\"messaging\""), TH_OK);
    caps = claim(a, id_of(c), "\"messaging\"");
    T_EQ(th_process_send(a, b->ident.pid, letter(TH_MSG_SEND, caps)), TH_OK);
    T_TRUE(th_kernel_revoke(stage.kernel, &what));
    T_EQ(send(a, c), TH_DENIED);
    T_EQ(send(b, c), TH_DENIED);
    th_msg_unref(take(b)); /* it came after the revocation */
    T_FALSE(may_name(b, id_of(c), "\"messaging\""));
    T_EQ(count_held(b), 0);
    grant(b, c, "\"messaging\""); /* a new one is another */
    T_EQ(send(b, c), TH_OK);
    T_EQ(send(a, c), TH_DENIED);
    strike();
}

TEST(rights, what_a_process_issued_is_void_when_it_was_killed)
{
    static th_puppet named_cast;
    th_process *named;

    set();
    cast_as(&named_cast, "test:named", 4, LAX);
    named = spawn_named(&named_cast, "name");
    grant(a, named, "\"messaging\"");
    T_EQ(send(a, named), TH_OK);
    th_stage_end(&stage, named, TH_FAILED);
    T_EQ(count_held(a), 0);
    named = spawn_named(&named_cast, "name"); /* another one of that name */
    T_EQ(send(a, named), TH_DENIED);
    grant(a, named, "\"messaging\"");
    T_EQ(send(a, named), TH_OK);
    strike();
}

TEST(rights, the_owners_capability_counts_though_its_issuer_comes_later)
{
    static th_puppet named_cast;

    set();
    cast_as(&named_cast, "test:named", 4, LAX);
    grant_of(a, TH_SLICE("name:test:local"), "\"messaging\"");
    T_EQ(send(a, spawn_named(&named_cast, "name")), TH_OK);
    strike();
}

TEST(rights, nobody_issues_for_an_id_that_is_none_or_has_gone)
{
    th_slice gone;

    set();
    gone = id_of(b);
    th_stage_end(&stage, b, TH_OK);
    T_NULL(th_kernel_issue(stage.kernel, gone, TH_CAP_MESSAGING));
    T_NULL(th_kernel_issue(stage.kernel, TH_SLICE("no id"), TH_CAP_MESSAGING));
    T_NULL(th_kernel_issue(stage.kernel, TH_SLICE("other@a:b:c"), TH_CAP_MESSAGING));
    T_FALSE(th_kernel_revoke(stage.kernel, &(th_claim){gone, TH_CAP_MESSAGING}));
    strike();
}

/* --- Birth -------------------------------------------------------------------------------------- */

TEST(rights, a_process_is_born_with_what_its_entry_requests)
{
    static const th_grant requests[] = {
        {TH_SLICE("late:test:local"), TH_SLICE("\"messaging\"")}};
    static th_puppet late_cast, asks_cast;
    th_process *asks;

    set();
    cast_as(&late_cast, "test:late", 4, LAX);
    cast_as(&asks_cast, "test:asks", 5, LAX);
    asks_cast.entry.requests = requests;
    asks_cast.entry.requests_count = 1;
    asks_cast.entry.is_networking = true;
    asks = spawn(&asks_cast);
    T_EQ(count_held(asks), 2);
    T_TRUE(th_process_has_cap(asks, TH_SLICE(TH_ID_KERNEL), TH_CAP_NETWORK));
    T_EQ(send(asks, spawn_named(&late_cast, "late")), TH_OK);
    strike();
}

TEST(rights, what_an_entry_grants_goes_to_those_who_live_and_those_who_come)
{
    static const th_grant grants[] = {{TH_SLICE("now:test:local"),
                                       TH_SLICE("\"messaging\"")},
                                      {TH_SLICE("later:test:local"),
                                       TH_SLICE("\"messaging\"")}};
    static th_puppet now_cast, gives_cast;
    th_process *now, *gives;

    set();
    cast_as(&now_cast, "test:now", 4, LAX);
    cast_as(&gives_cast, "test:gives", 5, LAX);
    now = spawn_named(&now_cast, "now");
    gives_cast.entry.grants = grants;
    gives_cast.entry.grants_count = 2;
    gives = spawn(&gives_cast);
    T_EQ(send(now, gives), TH_OK);
    T_EQ(send(spawn_named(&now_cast, "later"), gives), TH_OK);
    T_EQ(send(spawn_named(&now_cast, "never"), gives), TH_DENIED);
    th_stage_end(&stage, now, TH_FAILED);
    T_EQ(send(spawn_named(&now_cast, "now"), gives), TH_OK); /* each life of it */
    strike();
}

TEST(rights, a_spawn_gives_the_child_capabilities_and_others_those_of_the_child)
{
    th_auto(th_caps) caps = NULL;
    th_spawn spec = {.entry = &b_cast.entry, .host = &stage.host};
    th_grant grants;
    th_process *child;

    set();
    grant(a, c, "\"messaging\"");
    caps = claim(a, id_of(c), "\"messaging\"");
    grants = (th_grant){id_of(c), TH_SLICE("\"messaging\"")};
    spec.caps = caps;
    spec.grants = &grants;
    spec.grants_count = 1;
    child = spawn_by(a, &spec);
    T_EQ(send(child, c), TH_OK);
    T_EQ(send(c, child), TH_OK);
    T_EQ(send(b, c), TH_DENIED);
    strike();
}

/* --- Bounds ---------------------------------------------------------------------------------------- */

TEST(rights, a_process_holds_so_many_and_is_refused_more)
{
    set();
    for (int i = 0; i < TH_CAPSET_MAX; i++) {
        char params[16];

        snprintf(params, sizeof params, "%d", i);
        T_EQ(save(a, id_of(a), params), TH_OK);
    }
    T_EQ(save(a, id_of(a), "\"one more\""), TH_QUOTA);
    T_EQ(save(a, id_of(a), "17"), TH_OK); /* it has that one */
    T_EQ(count_held(a), TH_CAPSET_MAX);
    strike();
}

/* Spawn, at last with success; the failures before it leave no trace. */
static void spawn_short_of_memory(size_t c_holds)
{
    static const th_grant requests[] = {
        {TH_SLICE("x:test:local"), TH_SLICE("\"messaging\"")}};
    th_err err = TH_NOMEM;

    c_cast.entry.requests = requests;
    c_cast.entry.requests_count = 1;
    for (size_t n = 0; err != TH_OK; n++) {
        th_spawn spec = {.entry = &c_cast.entry,
                         .host = &stage.host,
                         .name = TH_SLICE("name"),
                         .on_exit = th_on_exit_plain(TH_ON_EXIT_NONE)};
        th_auto_buf why = TH_BUF_INIT;
        int64_t charged = th_budget_bytes(stage.kernel);
        th_id_error error;
        th_ident who;
        th_pid pid;

        th_mem_fail_after(n);
        err = th_process_spawn(a, &spec, &who, &why);
        th_mem_fail_never();
        if (err == TH_OK) {
            th_blob_unref(who.name);
            break;
        }
        T_EQ(err, TH_QUOTA);
        T_EQ(th_process_resolve(a, TH_SLICE("name:test:local"), &pid, &error),
             TH_NOT_FOUND);
        T_TRUE(th_budget_bytes(stage.kernel) <= charged + 4096); /* of a's own record */
        T_EQ(th_kernel_count(stage.kernel), 3);
        T_EQ(count_held(a), 0);
        T_EQ(count_held(c), c_holds);
    }
    T_EQ(count_held(a), 1); /* messaging on its child */
}

TEST(rights, a_spawn_with_rights_is_whole_or_not_at_all_when_memory_runs_out)
{
    set();
    spawn_short_of_memory(0);
    strike();
}

TEST(rights, a_spawn_that_fails_voids_nothing_that_was_issued_for_its_name_before)
{
    set();
    grant_of(c, TH_SLICE("name:test:local"), "\"messaging\"");
    spawn_short_of_memory(1);
    strike();
}
