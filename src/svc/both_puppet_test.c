#include "base/mem.h"
#include "base/test.h"
#include "codec/term_json.h"
#include "kernel/checkpoint.h"
#include "svc/both_sim.h"

#include <stdio.h>

/*
 * The puppets: they do whatever the dice say, and have the others do it too.
 */

#define HELD_MAX 6
#define BODY_BYTES_MAX 700

typedef struct asked {
    th_request *request; /* NULL: free */
    uint32_t number;
    unsigned target;
} asked;

typedef struct question {
    th_msg *msg; /* NULL: free */
    char said[BODY_BYTES_MAX];
} question;

typedef struct puppet {
    bool is_slow; /* reads one thing a slice */
    asked asked[HELD_MAX];
    question late[HELD_MAX];
    th_alarm *alarm;
} puppet;

static uint32_t roll(th_process *self, uint32_t sides)
{
    uint32_t n;

    th_process_dice(self, &n, sizeof n);
    return n % sides;
}

static th_pid own(const th_process *self)
{
    return th_process_ident(self)->pid;
}

/* One of the newer ones, perhaps over. */
static unsigned somebody(th_process *self)
{
    unsigned recent =
        both.people_count < BOTH_PEOPLE_MAX ? both.people_count : BOTH_PEOPLE_MAX;

    return both.people_count - 1 - roll(self, recent);
}

static const char *address(unsigned person)
{
    return both.people[person].address;
}

/* --- Bodies ----------------------------------------------------------------------- */

/* A text of Lua's is a term: its JSON has quotes, which go. */
static th_slice read_body(const th_msg *msg, th_buf *json)
{
    th_slice body = th_msg_body(msg);

    if (msg->format == TH_FORMAT_BYTES) {
        return body;
    }
    T_EQ(th_term_to_json(json, body), TH_OK);
    return th_slice_of(json->at + 1, json->bytes - 2);
}

static th_msg *make(th_msg_kind kind, const char *body, bool has_blob)
{
    th_msg_parts parts = {.kind = kind, .body = th_slice_str(body)};
    th_auto(th_blob) blob = NULL;

    if (kind == TH_MSG_SEND) {
        parts.topic = TH_SLICE("t");
    }
    if (has_blob) {
        blob = th_blob_new(TH_SLICE("a blob of some bytes"), th_slice_of(NULL, 0));
        parts.blob = blob;
    }
    return th_msg_new(&parts);
}

/* --- Messages and commands -------------------------------------------------------- */

static bool send(th_process *self, unsigned to, const char *command)
{
    th_pid pid = both.people[to].pid;
    char body[BODY_BYTES_MAX];
    th_msg *msg;
    th_err err;

    snprintf(body, sizeof body, "%u %s", th_witness_next(both.witness, own(self), pid),
             command);
    msg = make(TH_MSG_SEND, body, false);
    err = th_process_send(self, pid, msg);
    if (err == TH_OK) {
        th_witness_sent(both.witness, own(self), pid);
        return true;
    }
    th_msg_unref(msg);
    T_TRUE(err == TH_QUOTA || err == TH_NOT_FOUND ||
           (err == TH_DENIED && !both_may_send(both_index(own(self)), to)));
    th_process_note_refused(self, pid, err);
    return false;
}

/* How a question is to be answered. */
static void put_how(th_process *self, char *out, size_t bytes)
{
    static const char *const plain[] = {"now",  "now",   "now",   "late", "late",
                                        "blob", "twice", "never", "fail"};
    uint32_t which = roll(self, 19);

    if (which == 8 && roll(self, 4) > 0) {
        which = 0;
    }
    if (which < 9) {
        snprintf(out, bytes, "%s", plain[which]);
    } else if (which < 14) {
        snprintf(out, bytes, "pass %s %s", address(somebody(self)),
                 plain[roll(self, 8)]);
    } else if (which < 16) {
        snprintf(out, bytes, "both %s %s", address(somebody(self)),
                 plain[roll(self, 8)]);
    } else { /* it asks another before it answers */
        snprintf(out, bytes, "help %s 999999 %u %s", address(somebody(self)),
                 1 + roll(self, 200) * 5, plain[roll(self, 8)]);
    }
}

/* Have @to ask somebody: its request has its number from here. */
static void command_ask(th_process *self, unsigned to, const char *verb)
{
    char how[BODY_BYTES_MAX / 2], text[BODY_BYTES_MAX - 20];
    uint32_t number = th_witness_ask(both.witness, both.people[to].pid);

    put_how(self, how, sizeof how);
    snprintf(text, sizeof text, "%s %s %u %u %s", verb, address(somebody(self)), number,
             1 + roll(self, 400) * 5, how);
    if (!send(self, to, text)) {
        th_witness_unask(both.witness, number);
    }
}

static void command_relay(th_process *self, unsigned to)
{
    char text[BODY_BYTES_MAX - 20];
    unsigned me = both_index(own(self));

    snprintf(text, sizeof text, "relay %s %u %s", address(me),
             both.people[me].origins++, address(somebody(self)));
    (void)send(self, to, text);
}

/* What a script is told about others or itself; a place for each time in 32. */
typedef enum operand {
    NOTHING,
    TARGET, /* somebody */
    DICE,   /* a number below `sides` */
} operand;

typedef struct order {
    uint8_t places;
    const char *format;
    operand operand;
    uint32_t sides;
} order;

static const order orders[] = {
    {2, "monitor %s", TARGET, 0},
    {1, "unmonitor %s", TARGET, 0},
    {2, "link %s", TARGET, 0},
    {1, "unlink %s", TARGET, 0},
    {1, "kill %s", TARGET, 0},
    {1, "cancel %s 20", TARGET, 0},
    {2, "blobs %s", TARGET, 0},
    {2, "fill %s 9", TARGET, 0},
    {1, "register n%u", DICE, BOTH_NAMES},
    {1, "unregister n%u", DICE, BOTH_NAMES},
    {1, "lookup n%u", DICE, BOTH_NAMES},
    {2, "traps %u", DICE, 2},
    {2, "spin %u", DICE, 3000},
    {2, "sleep %u", DICE, 50},
    {1, "garbage %u", DICE, 100},
    {4, "settle", NOTHING, 0},
    {1, "note", NOTHING, 0},
    {3, "show", NOTHING, 0},
};

static void command_spawn(th_process *self, unsigned to)
{
    static const char *const hows[] = {"", "m", "l", "lm"};
    char text[64];

    if (both.alive < BOTH_PEOPLE_MAX && both.people_count < BOTH_LIVES_MAX) {
        snprintf(text, sizeof text, "spawn p1:%s %s",
                 roll(self, 3) > 0 ? "lua" : "wasm", hows[roll(self, 4)]);
        (void)send(self, to, text);
    }
}

static void command_other(th_process *self, unsigned to)
{
    char text[BODY_BYTES_MAX - 20];
    uint32_t place = roll(self, 32);
    const order *one = orders;

    for (; one < orders + sizeof orders / sizeof *orders && place >= one->places;
         one++) {
        place -= one->places;
    }
    if (one == orders + sizeof orders / sizeof *orders) {
        (void)send(self, to, roll(self, 2) == 0 ? "error" : "return");
        return;
    }
    if (one->operand == TARGET) {
        snprintf(text, sizeof text, one->format, address(somebody(self)));
    } else if (one->operand == DICE) {
        snprintf(text, sizeof text, one->format, roll(self, one->sides));
    } else {
        snprintf(text, sizeof text, "%s", one->format);
    }
    (void)send(self, to, text);
}

static void command(th_process *self, puppet *me)
{
    unsigned to = somebody(self);

    (void)me;
    if (both.people[to].kind <= BOTH_YIELDS) {
        (void)send(self, to, "note");
        return;
    }
    switch (roll(self, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        command_ask(self, to, "ask");
        break;
    case 4:
    case 5:
        command_ask(self, to, "call");
        break;
    case 6:
    case 7:
        command_relay(self, to);
        break;
    case 8:
        command_spawn(self, to);
        break;
    default:
        command_other(self, to);
    }
}

static void relay(th_process *self, puppet *me)
{
    (void)me;
    command_relay(self, somebody(self));
}

/* --- Questions -------------------------------------------------------------------- */

static void ask(th_process *self, puppet *me)
{
    unsigned target = somebody(self);
    th_ask spec = {.to = both.people[target].pid,
                   .timeout_ns = (uint64_t)(1 + roll(self, 200)) * TH_MS * 5};
    char how[BODY_BYTES_MAX / 2], body[BODY_BYTES_MAX];
    th_auto(th_blob) context = NULL;
    asked *place = NULL;
    th_msg *msg;

    for (int i = 0; i < HELD_MAX; i++) {
        place = me->asked[i].request == NULL ? &me->asked[i] : place;
    }
    if (place == NULL) {
        return;
    }
    *place =
        (asked){.number = th_witness_ask(both.witness, own(self)), .target = target};
    context = th_blob_new(th_slice_of(&place->number, sizeof place->number),
                          th_slice_of(NULL, 0));
    spec.context = context;
    spec.tag = place;
    put_how(self, how, sizeof how);
    snprintf(body, sizeof body, "?%u %s", place->number, how);
    msg = make(TH_MSG_REQUEST, body, place->number % 7 == 0);
    if (th_process_request(self, &spec, msg, &place->request) != TH_OK) {
        th_msg_unref(msg);
        th_witness_unask(both.witness, place->number);
        place->request = NULL;
    }
}

static void give_up(th_process *self, puppet *me)
{
    asked *place = &me->asked[roll(self, HELD_MAX)];

    if (place->request != NULL) {
        th_request_abandon(self, place->request);
        th_witness_unask(both.witness, place->number);
        place->request = NULL;
    }
}

static bool respond(th_process *self, th_msg *msg, const char *said)
{
    th_msg *answer =
        make(TH_MSG_RESPONSE, said, both_number(th_slice_str(said)) % 5 == 0);
    th_err err = th_process_respond(self, msg, answer);

    if (err != TH_OK) {
        th_msg_unref(answer);
        T_TRUE(err == TH_NOT_FOUND || err == TH_TIMED_OUT || err == TH_QUOTA);
    }
    return err == TH_OK;
}

static void pass_on(th_process *self, th_msg *question, const char *said, th_slice rest)
{
    th_slice to = both_word(&rest);
    char body[BODY_BYTES_MAX + 8];
    unsigned target;
    th_msg *msg;

    if (!both_find(to, &target)) {
        return;
    }
    snprintf(body, sizeof body, "?%s %.*s", said, TH_FMT(rest));
    msg = make(TH_MSG_REQUEST, body, false);
    if (th_process_forward(self, question, both.people[target].pid, msg) != TH_OK) {
        th_msg_unref(msg);
    }
}

/* True: it is answered later, and the message is kept. */
static bool put_off(puppet *me, th_msg *msg, const char *said)
{
    for (int i = 0; i < HELD_MAX; i++) {
        if (me->late[i].msg == NULL) {
            me->late[i].msg = msg;
            snprintf(me->late[i].said, sizeof me->late[i].said, "%s", said);
            return true;
        }
    }
    return false;
}

static bool hear_question(th_process *self, puppet *me, th_msg *msg, th_slice body)
{
    th_slice rest = th_slice_from(body, 1), q = both_word(&rest),
             how = both_word(&rest);
    char said[BODY_BYTES_MAX];

    snprintf(said, sizeof said, "%.*s", TH_FMT(q));
    if (th_pid_is_none(msg->requester)) {
        return false;
    }
    if (th_slice_is(how, "late") && !both.is_closing) {
        return put_off(me, msg, said);
    }
    if (th_slice_is(how, "pass") || th_slice_is(how, "both")) {
        pass_on(self, msg, said, rest);
    }
    if (th_slice_is(how, "twice")) {
        T_FALSE(respond(self, msg, said) && respond(self, msg, said));
    } else if (!th_slice_is(how, "pass") && !th_slice_is(how, "never")) {
        (void)respond(self, msg, said);
    }
    return false;
}

static void settle(th_process *self, puppet *me)
{
    question *late = &me->late[roll(self, HELD_MAX)];

    if (late->msg != NULL) {
        (void)respond(self, late->msg, late->said);
        late->msg = th_msg_unref(late->msg);
    }
}

/* --- What a puppet does to others -------------------------------------------------- */

static void spawn(th_process *self, puppet *me)
{
    static const both_kind kinds[] = {BOTH_PARKS, BOTH_YIELDS, BOTH_LUA,
                                      BOTH_LUA,   BOTH_WASM,   BOTH_WASM};
    th_spawn spec = {.entry = &both.entries[kinds[roll(self, 6)]],
                     .host = &both.host,
                     .monitored = roll(self, 2) == 0,
                     .linked = roll(self, 3) == 0};
    th_auto_buf why = TH_BUF_INIT;
    char name[8];
    th_ident made;

    (void)me;
    if (both.alive >= BOTH_PEOPLE_MAX || both.people_count >= BOTH_LIVES_MAX) {
        return;
    }
    snprintf(name, sizeof name, "n%u", roll(self, BOTH_NAMES));
    if (roll(self, 4) == 0) {
        spec.registered = th_slice_str(name);
    }
    if (th_process_spawn(self, &spec, &made, &why) != TH_OK) {
        T_TRUE(why.bytes > 0);
        return;
    }
    both_know(&made);
    if (spec.monitored) {
        th_witness_monitor(both.witness, own(self), made.pid, TH_OK);
    }
    if (spec.linked) {
        th_witness_link(both.witness, own(self), made.pid);
    }
    th_blob_unref(made.name);
}

static void watch(th_process *self, puppet *me)
{
    th_pid target = both.people[somebody(self)].pid;

    (void)me;
    if (roll(self, 3) == 0) {
        T_EQ(th_process_unmonitor(self, target), TH_OK);
        th_witness_unmonitor(both.witness, own(self), target);
    } else {
        th_witness_monitor(both.witness, own(self), target,
                           th_process_monitor(self, target));
    }
}

static void tie(th_process *self, puppet *me)
{
    th_pid target = both.people[somebody(self)].pid;

    (void)me;
    if (th_pid_eq(target, own(self))) {
        return;
    }
    if (roll(self, 4) == 0) {
        T_EQ(th_process_unlink(self, target), TH_OK);
        th_witness_unlink(both.witness, own(self), target);
    } else if (th_process_link(self, target) == TH_OK) {
        th_witness_link(both.witness, own(self), target);
    }
}

static void name(th_process *self, puppet *me)
{
    char text[8];
    th_id_error error;
    th_pid found;

    (void)me;
    snprintf(text, sizeof text, "n%u", roll(self, BOTH_NAMES));
    if (roll(self, 3) == 0) {
        (void)th_process_register(self, th_slice_str(text),
                                  both.people[somebody(self)].pid);
    } else if (th_process_resolve(self, th_slice_str(text), &found, &error) == TH_OK) {
        th_witness_named(both.witness, found);
    }
}

static void end_another(th_process *self, puppet *me)
{
    th_pid target = both.people[somebody(self)].pid;

    (void)me;
    if (roll(self, 4) > 0) {
        return;
    }
    if (roll(self, 2) == 0) {
        (void)th_process_terminate(self, target);
    } else {
        (void)th_process_cancel(self, target, (int64_t)roll(self, 100) * TH_MS,
                                roll(self, 2) == 0, TH_SLICE("the dice"));
    }
}

static void change_mind(th_process *self, puppet *me)
{
    me->is_slow = roll(self, 3) == 0;
    th_process_set_traps_links(self, roll(self, 2) == 0);
}

typedef void act(th_process *self, puppet *me);

static act *const acts[] = {
    command, command, command, command, command, command,     ask,         ask,   relay,
    settle,  give_up, watch,   tie,     name,    end_another, change_mind, spawn, spawn,
};

#define ACTS (sizeof acts / sizeof acts[0])

/* --- What a puppet hears ------------------------------------------------------------ */

static void obey(th_process *self, th_slice rest, th_pid from)
{
    th_slice verb = both_word(&rest), origin, m;
    char text[BODY_BYTES_MAX - 20];
    unsigned to;

    if (th_slice_is(verb, "relayed")) {
        both_relayed(own(self), from, rest);
    } else if (th_slice_is(verb, "relay")) {
        origin = both_word(&rest);
        m = both_word(&rest);
        snprintf(text, sizeof text, "relayed %.*s %.*s", TH_FMT(origin), TH_FMT(m));
        if (both_find(rest, &to)) {
            (void)send(self, to, text);
        }
    }
}

static void hear_msg(th_process *self, puppet *me, th_msg *msg)
{
    th_auto_buf json = TH_BUF_INIT;
    th_slice body = read_body(msg, &json), number;
    bool is_kept = false;

    if (body.bytes > 0 && body.at[0] == '?') {
        is_kept = hear_question(self, me, msg, body);
    } else {
        number = both_word(&body);
        both_got(own(self), msg->source.pid, number);
        obey(self, body, msg->source.pid);
    }
    if (!is_kept) {
        th_msg_unref(msg);
    }
}

static void hear_reply(th_process *self, th_request *request)
{
    asked *place = th_request_tag(request);
    const th_msg *response = th_request_response(request);
    th_slice context = th_blob_slice(th_request_context(request));
    uint32_t said = 0;

    T_TRUE(place->request == request);
    T_TRUE(th_slice_eq(context, th_slice_of(&place->number, sizeof place->number)));
    T_EQ(response == NULL, th_request_reason(request) != TH_OK);
    if (response != NULL) {
        said = both_said(th_msg_body(response), place->number);
        both.answered[both.people[both_index(own(self))].kind]
                     [both.people[both_index(response->source.pid)].kind]++;
    }
    th_witness_reply(both.witness, own(self), place->number, th_request_reason(request),
                     said);
    place->request = NULL;
    th_request_free(self, request);
}

static void hear_event(th_process *self, const th_event *event)
{
    if (event->kind == TH_EVENT_EXIT) {
        th_witness_exit(both.witness, own(self), event->from.pid, event->reason);
    } else if (event->kind == TH_EVENT_LINK_DOWN) {
        th_witness_down(both.witness, own(self), event->from.pid);
    }
}

static void hear(th_process *self, puppet *me, const th_delivery *in)
{
    both.told[both.people[both_index(own(self))].kind]++;
    switch (in->type) {
    case TH_ITEM_MSG:
        hear_msg(self, me, in->msg);
        break;
    case TH_ITEM_REPLY:
        hear_reply(self, in->request);
        break;
    case TH_ITEM_EVENT:
        hear_event(self, in->event);
        break;
    case TH_ITEM_TIMER:
        T_TRUE(me->alarm == in->alarm);
        th_alarm_drop(self, in->alarm);
        me->alarm = NULL;
        break;
    default:
        T_TRUE(false);
    }
}

/* --- The guest ---------------------------------------------------------------------- */

static th_err start(th_process *self, th_buf *why)
{
    puppet *me = th_calloc(1, sizeof *me);

    (void)why;
    change_mind(self, me);
    th_process_set_state(self, me);
    return TH_OK;
}

static void let_go(th_process *self, puppet *me)
{
    for (int i = 0; i < HELD_MAX; i++) {
        if (me->late[i].msg != NULL) {
            (void)respond(self, me->late[i].msg, me->late[i].said);
            me->late[i].msg = th_msg_unref(me->late[i].msg);
        }
    }
}

static bool may_end(th_process *self)
{
    uint32_t how = roll(self, 300);

    if (how > 1 || both.puppets < 3) {
        return false;
    }
    th_process_end(self, th_exit_new(how == 0 ? TH_END_RETURN : TH_END_CRASH,
                                     how == 0 ? TH_OK : TH_FAILED, TH_SLICE("the dice"),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return true;
}

static void act_a_little(th_process *self, puppet *me)
{
    for (uint32_t n = roll(self, 5); n > 0 && !both.is_closing; n--) {
        acts[roll(self, ACTS)](self, me);
        if (roll(self, 8) == 0) {
            th_process_yield(self);
        }
        th_checkpoint();
    }
}

static th_run run(th_process *self)
{
    puppet *me = th_process_state(self);
    uint32_t left = both.is_closing || !me->is_slow ? UINT32_MAX : 1;
    th_delivery in;

    for (; left > 0 && th_process_next(self, &in); left--) {
        hear(self, me, &in);
    }
    if (both.is_closing) {
        let_go(self, me);
        return TH_RUN_BLOCKED;
    }
    act_a_little(self, me);
    if (may_end(self)) {
        return TH_RUN_ENDED;
    }
    if (me->alarm == NULL) {
        th_mono due = {th_process_now(self).ns + (int64_t)(1 + roll(self, 20)) * TH_MS};

        T_EQ(th_alarm_set(self, due, NULL, &me->alarm), TH_OK);
    }
    return roll(self, 4) == 0 ? TH_RUN_YIELDED : TH_RUN_BLOCKED;
}

static void drop(th_process *self)
{
    puppet *me = th_process_state(self);

    for (int i = 0; me != NULL && i < HELD_MAX; i++) {
        th_msg_unref(me->late[i].msg);
    }
    th_free(me);
}

static size_t memory(const th_process *self)
{
    return th_process_state(self) == NULL ? 0 : sizeof(puppet);
}

const th_guest both_parks = {.name = "puppet",
                             .parks = true,
                             .start = start,
                             .run = run,
                             .drop = drop,
                             .memory = memory};
const th_guest both_yields = {.name = "puppet",
                              .parks = false,
                              .start = start,
                              .run = run,
                              .drop = drop,
                              .memory = memory};
