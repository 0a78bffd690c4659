#include "base/mem.h"
#include "base/test.h"
#include "kernel/checkpoint.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "witness/rights_watch.h"
#include "world/world_sim.h"

#include <stdio.h>

/*
 * The simulation: actors that do whatever the dice say to one another, on as many
 * shards as the dice say, and a witness who holds the kernel to its promises.
 *
 * Each seed is a whole life of a kernel: actors are born, send, ask, answer, pass on,
 * link, watch, name and kill one another within narrow limits, now and then in a node
 * that is short of memory; then they only read, until nothing is left to happen.
 *
 * THOLE_SEED=N plays that seed alone, and shows its trace.
 */

#define SEEDS (TH_TEST_IS_SANITIZED ? 500u : 10000u)
#define STEPS 1500       /* of the kernel, in which actors act */
#define STEPS_MAX 100000 /* by then all has come to rest */
#define PEOPLE_MAX 40    /* alive at a time */
#define NAMES 8
#define HELD_MAX 6

typedef struct sim {
    th_stage stage;
    th_witness *witness;
    th_entry entries[3]; /* of two packages; the last: not preempted, not public */
    th_host host;
    unsigned alive;
    bool is_closing;
    bool is_short; /* of memory, at times */
    rights_watch rights;
} sim;

static sim it;

typedef struct asked {
    th_request *request; /* NULL: free */
    uint32_t number;
} asked;

typedef struct actor {
    bool is_slow; /* reads one thing a slice */
    asked asked[HELD_MAX];
    th_msg *questions[HELD_MAX];
    th_msg *kept[HELD_MAX];
    th_alarm *alarms[HELD_MAX];
    int64_t due[HELD_MAX];
    th_job job;
    bool works; /* its job is on its way */
} actor;

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

/* One of the newer lives, perhaps over. */
static th_pid somebody(th_process *self)
{
    unsigned lives = th_witness_lives(it.witness);
    unsigned recent = lives < PEOPLE_MAX ? lives : PEOPLE_MAX;

    return th_witness_life(it.witness, lives - 1 - roll(self, recent));
}

/* A list of one: a right to send to itself, or to another; or NULL. */
static th_caps *some_right(th_process *self)
{
    th_auto(th_caps) held = NULL;
    th_auto_buf id = TH_BUF_INIT;
    th_cap *one;

    if (roll(self, 3) > 0) {
        return NULL;
    }
    held = th_process_caps(self);
    if (th_caps_count(held) == 0 || roll(self, 2) == 0) {
        th_process_put_id(self, &id);
        return th_process_claim(self, &(th_claim){th_buf_slice(&id), TH_CAP_MESSAGING},
                                1);
    }
    one = th_caps_at(held, roll(self, (uint32_t)th_caps_count(held)));
    return th_caps_new(&one, 1);
}

/* Refused only where the node's memory is nearly used up. */
static void save_right(th_process *self, const th_claim *claim)
{
    th_err err = th_process_save_caps(self, claim, 1);

    T_TRUE(err == TH_OK || (err == TH_QUOTA && th_kernel_is_short(self->kernel)));
}

static void save_rights(th_process *self, const th_caps *caps)
{
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        th_cap *cap = th_caps_at(caps, i);
        th_claim claim = {th_issuer_id(th_cap_issuer(cap)), th_cap_params(cap)};

        if (roll(self, 2) == 0) {
            watch_may_save(&it.rights, self, cap);
            save_right(self, &claim);
        } else {
            th_process_drop_caps(self, &claim, 1);
        }
    }
}

static int free_place(void *const *places)
{
    for (int i = 0; i < HELD_MAX; i++) {
        if (places[i] == NULL) {
            return i;
        }
    }
    return -1;
}

static th_msg *letter(th_process *from, th_msg_kind kind, uint32_t number)
{
    th_auto(th_caps) caps = some_right(from);
    th_msg_parts parts = {.kind = kind,
                          .body = th_slice_of(&number, sizeof number),
                          .caps = caps};
    th_auto(th_blob) blob = NULL;

    if (number % 7 == 0) {
        blob = th_blob_new(TH_SLICE("a blob of some bytes"), th_slice_of(NULL, 0));
        parts.blob = blob;
    }
    return th_msg_new(&parts);
}

static uint32_t number_of(const th_msg *msg)
{
    uint32_t number;

    T_EQ(th_msg_body(msg).bytes, sizeof number);
    memcpy(&number, th_msg_body(msg).at, sizeof number);
    return number;
}

/* --- What an actor does ------------------------------------------------------------ */

static void send(th_process *self, actor *me)
{
    th_pid to = somebody(self);
    th_msg *msg = letter(self, TH_MSG_SEND, th_witness_next(it.witness, own(self), to));
    th_err err = th_process_send(self, to, msg);

    (void)me;
    if (err == TH_OK) {
        th_witness_sent(it.witness, own(self), to);
        return;
    }
    th_msg_unref(msg);
    T_TRUE(err == TH_QUOTA || err == TH_NOT_FOUND || err == TH_DENIED);
    if (err == TH_DENIED) {
        watch_denied(&it.rights, self, to);
    }
    th_process_note_refused(self, to, err);
}

static void ask(th_process *self, actor *me)
{
    uint32_t number;
    th_ask ask = {.to = somebody(self),
                  .timeout_ns = (uint64_t)(1 + roll(self, 200)) * TH_MS * 5};
    th_auto(th_blob) context = NULL;
    th_msg *msg;
    asked *place = NULL;

    for (int i = 0; i < HELD_MAX; i++) {
        place = me->asked[i].request == NULL ? &me->asked[i] : place;
    }
    if (place == NULL) {
        return;
    }
    number = th_witness_ask(it.witness, own(self));
    context = th_blob_new(th_slice_of(&number, sizeof number), th_slice_of(NULL, 0));
    ask.context = context;
    ask.tag = place;
    place->number = number;
    msg = letter(self, TH_MSG_REQUEST, number);
    if (th_process_request(self, &ask, msg, &place->request) != TH_OK) {
        th_msg_unref(msg);
        th_witness_unask(it.witness, number);
        place->request = NULL;
    }
}

static void give_up(th_process *self, actor *me)
{
    asked *place = &me->asked[roll(self, HELD_MAX)];

    if (place->request != NULL) {
        th_request_abandon(self, place->request);
        th_witness_unask(it.witness, place->number);
        place->request = NULL;
    }
}

static void answer(th_process *self, th_msg *question)
{
    th_msg *msg = letter(self, TH_MSG_RESPONSE, number_of(question));
    th_err err = th_process_respond(self, question, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
        T_TRUE(err == TH_NOT_FOUND || err == TH_TIMED_OUT || err == TH_QUOTA);
    }
}

static void pass_on(th_process *self, th_msg *question)
{
    th_msg *msg = letter(self, TH_MSG_REQUEST, number_of(question));

    if (th_process_forward(self, question, somebody(self), msg) != TH_OK) {
        th_msg_unref(msg);
    }
}

/* Answer a question that was put off, pass it on, both, or be silent for ever. */
static void settle_question(th_process *self, actor *me)
{
    th_msg **place = &me->questions[roll(self, HELD_MAX)];
    uint32_t how = roll(self, 5);

    if (*place == NULL) {
        return;
    }
    if (how == 0 || how == 3) {
        pass_on(self, *place);
    }
    if (how == 1 || how == 2 || how == 3) {
        answer(self, *place);
    }
    *place = th_msg_unref(*place);
}

static void spawn(th_process *self, actor *me)
{
    char name[16];
    th_spawn spec = {.entry = &it.entries[roll(self, 3)],
                     .host = &it.host,
                     .args = TH_SLICE("args"),
                     .monitored = roll(self, 2) == 0,
                     .linked = roll(self, 3) == 0};
    th_auto_buf why = TH_BUF_INIT;
    th_ident made;

    (void)me;
    if (it.alive >= PEOPLE_MAX ||
        th_witness_lives(it.witness) == TH_WITNESS_LIVES_MAX) {
        return;
    }
    snprintf(name, sizeof name, "n%u", roll(self, NAMES));
    if (roll(self, 4) == 0) {
        spec.registered = th_slice_str(name);
    } else if (roll(self, 4) == 0) {
        spec.name = th_slice_str(name);
    }
    if (th_process_spawn(self, &spec, &made, &why) != TH_OK) {
        T_TRUE(why.bytes > 0);
        return;
    }
    it.alive++;
    th_witness_born(it.witness, made.pid);
    watch_born(&it.rights, own(self), made.pid);
    if (spec.monitored) {
        th_witness_monitor(it.witness, own(self), made.pid, TH_OK);
    }
    if (spec.linked) {
        th_witness_link(it.witness, own(self), made.pid);
    }
    th_blob_unref(made.name);
}

static void watch(th_process *self, actor *me)
{
    th_pid target = somebody(self);

    (void)me;
    if (roll(self, 3) == 0) {
        T_EQ(th_process_unmonitor(self, target), TH_OK);
        th_witness_unmonitor(it.witness, own(self), target);
    } else {
        th_witness_monitor(it.witness, own(self), target,
                           th_process_monitor(self, target));
    }
}

static void tie(th_process *self, actor *me)
{
    th_pid target = somebody(self);

    (void)me;
    if (th_pid_eq(target, own(self))) {
        return;
    }
    if (roll(self, 4) == 0) {
        T_EQ(th_process_unlink(self, target), TH_OK);
        th_witness_unlink(it.witness, own(self), target);
    } else if (th_process_link(self, target) == TH_OK) {
        th_witness_link(it.witness, own(self), target);
    }
}

static void name(th_process *self, actor *me)
{
    char text[16];
    th_id_error error;
    th_pid found;

    (void)me;
    snprintf(text, sizeof text, "n%u", roll(self, NAMES));
    switch (roll(self, 4)) {
    case 0:
        th_process_register(self, th_slice_str(text), somebody(self));
        break;
    case 1:
        th_process_unregister(self, th_slice_str(text));
        break;
    case 2:
        if (th_process_resolve(self, th_slice_str(text), &found, &error) == TH_OK) {
            th_witness_named(it.witness, found);
        }
        break;
    default:
        snprintf(text, sizeof text, "n%u:%s:local", roll(self, NAMES),
                 th_pid_slot(own(self)) % 2 == 0 ? "p0" : "p1");
        if (th_process_resolve(self, th_slice_str(text), &found, &error) == TH_OK) {
            th_witness_named(it.witness, found);
        }
    }
}

static void end_another(th_process *self, actor *me)
{
    th_pid target = somebody(self);

    (void)me;
    if (roll(self, 4) > 0) {
        return;
    }
    if (roll(self, 2) == 0) {
        th_process_terminate(self, target);
    } else {
        int64_t after_ns = (int64_t)roll(self, 100) * TH_MS;

        th_process_cancel(self, target, after_ns, roll(self, 2) == 0,
                          TH_SLICE("the dice"));
    }
}

static void set_alarm(th_process *self, actor *me)
{
    int i = free_place((void *const *)me->alarms);

    if (i >= 0) {
        me->due[i] = th_process_now(self).ns + (int64_t)roll(self, 30) * TH_MS;
        if (th_alarm_set(self, (th_mono){me->due[i]}, &me->alarms[i], &me->alarms[i]) !=
            TH_OK) {
            me->alarms[i] = NULL;
        }
    }
}

static void drop_alarm(th_process *self, actor *me)
{
    th_alarm **place = &me->alarms[roll(self, HELD_MAX)];

    th_alarm_drop(self, *place);
    *place = NULL;
}

static void run_job(th_job *job)
{
    (void)job;
}

static void submit(th_process *self, actor *me)
{
    if (!me->works) {
        me->works = true;
        me->job = (th_job){.run = run_job, .dropped = run_job};
        th_process_submit(self, &me->job);
    }
}

static void unkeep(th_process *self, actor *me)
{
    th_msg **place = &me->kept[roll(self, HELD_MAX)];

    if (*place != NULL) {
        th_process_unkeep(self, *place);
        *place = th_msg_unref(*place);
    }
}

static void change_mind(th_process *self, actor *me)
{
    me->is_slow = roll(self, 3) == 0;
    th_process_set_traps_links(self, roll(self, 2) == 0);
    th_process_set_link_events(self, roll(self, 2) == 0);
    if (roll(self, 8) == 0) {
        th_process_output(self, TH_OUTPUT_LOG, TH_SLICE("a line of it"));
    }
}

typedef void act(th_process *self, actor *me);

static act *const acts[] = {
    send,   send,   send,    ask,         ask,         settle_question, spawn,
    watch,  tie,    name,    name,        end_another, set_alarm,       drop_alarm,
    submit, unkeep, give_up, change_mind, send,        settle_question,
};

#define ACTS (sizeof acts / sizeof acts[0])

/* --- What an actor hears ------------------------------------------------------------ */

static void hear_msg(th_process *self, actor *me, th_msg *msg)
{
    void **places = (void **)(msg->kind == TH_MSG_SEND ? me->kept : me->questions);
    int i = free_place(places);
    bool puts_off = i >= 0 && !it.is_closing && roll(self, 2) == 0;

    watch_came(&it.rights, &msg->source, th_process_ident(self));
    save_rights(self, msg->caps);
    if (msg->kind == TH_MSG_SEND) {
        th_witness_got(it.witness, msg->source.pid, own(self), number_of(msg));
        if (puts_off) {
            th_process_keep(self, msg);
        }
    } else if (!puts_off) {
        answer(self, msg);
    }
    if (puts_off) {
        places[i] = msg;
    } else {
        th_msg_unref(msg);
    }
}

static void hear_reply(th_process *self, th_request *request)
{
    asked *place = th_request_tag(request);
    const th_msg *response = th_request_response(request);
    th_slice context = th_blob_slice(th_request_context(request));

    T_TRUE(place->request == request);
    T_TRUE(th_slice_eq(context, th_slice_of(&place->number, sizeof place->number)));
    T_EQ(response == NULL, th_request_reason(request) != TH_OK);
    th_witness_reply(it.witness, own(self), place->number, th_request_reason(request),
                     response == NULL ? 0 : number_of(response));
    save_rights(self, response == NULL ? NULL : response->caps);
    place->request = NULL;
    th_request_free(self, request);
}

static void hear_event(th_process *self, const th_event *event)
{
    switch (event->kind) {
    case TH_EVENT_EXIT:
        th_witness_exit(it.witness, own(self), event->from.pid, event->reason);
        break;
    case TH_EVENT_LINK_DOWN:
        th_witness_down(it.witness, own(self), event->from.pid);
        break;
    case TH_EVENT_LINK_UP:
    case TH_EVENT_LINK_GONE:
    case TH_EVENT_CANCEL:
        break;
    }
}

static void hear(th_process *self, actor *me, const th_delivery *in)
{
    th_alarm **place;

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
        place = th_alarm_tag(in->alarm);
        T_TRUE(*place == in->alarm);
        T_TRUE(me->due[place - me->alarms] <= th_process_now(self).ns);
        th_alarm_drop(self, in->alarm);
        *place = NULL;
        break;
    case TH_ITEM_JOB:
        T_TRUE(in->job == &me->job && me->works);
        me->works = false;
        break;
    default:
        T_TRUE(false);
    }
}

/* --- The guest ---------------------------------------------------------------------- */

static th_err start(th_process *self, th_buf *why)
{
    actor *me = th_calloc(1, sizeof *me);

    if (roll(self, 50) == 0) {
        th_free(me);
        th_buf_puts(why, "the dice said no");
        return TH_INVALID;
    }
    change_mind(self, me);
    th_process_set_state(self, me);
    return TH_OK;
}

static bool may_end(th_process *self)
{
    uint32_t how = roll(self, 60);

    if (how > 1 || it.alive < 4) {
        return false;
    }
    th_process_end(self,
                   how == 0 ? th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                          TH_FORMAT_BYTES, TH_SLICE("value"))
                            : th_exit_new(TH_END_CRASH, TH_FAILED, TH_SLICE("the dice"),
                                          TH_FORMAT_BYTES, TH_SLICE("")));
    return true;
}

/* Everything that it held back for others is settled. */
static void let_go(th_process *self, actor *me)
{
    for (int i = 0; i < HELD_MAX; i++) {
        if (me->questions[i] != NULL) {
            answer(self, me->questions[i]);
            me->questions[i] = th_msg_unref(me->questions[i]);
        }
        if (me->kept[i] != NULL) {
            th_process_unkeep(self, me->kept[i]);
            me->kept[i] = th_msg_unref(me->kept[i]);
        }
    }
}

static th_run run(th_process *self)
{
    actor *me = th_process_state(self);
    uint32_t left = it.is_closing || !me->is_slow ? UINT32_MAX : 1;
    th_delivery in;

    for (; left > 0 && th_process_next(self, &in); left--) {
        hear(self, me, &in);
    }
    if (it.is_closing) {
        let_go(self, me);
        return TH_RUN_BLOCKED;
    }
    for (uint32_t n = roll(self, 6); n > 0; n--) {
        acts[roll(self, ACTS)](self, me);
        if (roll(self, 8) == 0) {
            th_process_yield(self);
        }
        th_checkpoint();
    }
    if (may_end(self)) {
        return TH_RUN_ENDED;
    }
    set_alarm(self, me);
    return roll(self, 4) == 0 ? TH_RUN_YIELDED : TH_RUN_BLOCKED;
}

static void drop(th_process *self)
{
    actor *me = th_process_state(self);

    if (me != NULL) {
        for (int i = 0; i < HELD_MAX; i++) {
            th_msg_unref(me->questions[i]);
            th_msg_unref(me->kept[i]);
        }
        th_free(me);
    }
}

static size_t memory(const th_process *self)
{
    return th_process_state(self) == NULL ? 0 : sizeof(actor);
}

static const th_guest parks = {.name = "actor",
                               .parks = true,
                               .start = start,
                               .run = run,
                               .drop = drop,
                               .memory = memory};
static const th_guest yields = {.name = "actor",
                                .parks = false,
                                .start = start,
                                .run = run,
                                .drop = drop,
                                .memory = memory};

/* --- A seed -------------------------------------------------------------------------- */

static void ended(void *context, const th_ended *what)
{
    (void)context;
    it.alive--;
    th_witness_gone(it.witness, what->who->pid, what->exit);
}

static void set_stage(uint64_t seed, bool is_traced)
{
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .shards = 1 + (unsigned)(seed % 4),
                               .memory_bytes_max = seed % 5 == 0 ? 60000 : 0,
                               .ended = ended};
    static const char *const ids[] = {"p0:parks", "p1:parks", "p1:yields"};

    memset(&it, 0, sizeof it);
    it.witness = th_witness_new(is_traced);
    it.rights.witness = it.witness;
    T_EQ(th_world_sim_new(&it.stage.world, seed), TH_OK);
    config.world = it.stage.world;
    T_EQ(th_kernel_new(&it.stage.kernel, &config), TH_OK);
    it.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(it.stage.kernel, &it.host), TH_OK);
    for (int i = 0; i < 3; i++) {
        it.entries[i] = (th_entry){.id = th_slice_str(ids[i]),
                                   .package = th_slice_of(ids[i], 2),
                                   .publisher = TH_SLICE("local"),
                                   .package_number = i > 0 ? 2 : 1,
                                   .is_public = i < 2,
                                   .limits = {.mailbox_bytes_max = 64 * 1024,
                                              .mailbox_count_max = 12,
                                              .requests_max = 4,
                                              .ties_max = 12,
                                              .timers_max = 4,
                                              .names_max = 2,
                                              .log_bytes_max = 100},
                                   .guest = i < 2 ? &parks : &yields};
        T_EQ(th_kernel_add_entry(it.stage.kernel, &it.entries[i]), TH_OK);
    }
}

static void first_people(void)
{
    for (int i = 0; i < 6; i++) {
        th_spawn spec = {.entry = &it.entries[i % 3], .host = &it.host};
        th_auto_buf why = TH_BUF_INIT;
        th_ident made;

        T_EQ(th_kernel_spawn(it.stage.kernel, &spec, &made, &why), TH_OK);
        it.alive++;
        th_witness_born(it.witness, made.pid);
    }
}

/* All is at rest: what is still charged is what is still there. */
static bool check_books(void *context, const th_process_info *info)
{
    th_process *process = th_table_find(it.stage.kernel, info->ident.pid);
    uint64_t held = 0;

    (void)context;
    TH_LIST_EACH(link, &process->held)
    {
        held++;
    }
    T_EQ(info->mailbox_count, held); /* it was silent, and nobody waits any more */
    T_EQ(process->requests_count, 0);
    T_EQ(process->kept, 0);
    th_held_sweep(process, INT64_MAX);
    T_EQ(atomic_load(&process->mail), 0);
    for (int i = 0; i < TH_SHARES; i++) {
        T_EQ(atomic_load(&process->shares[i]), 0);
    }
    return true;
}

static void run_until_rest(void)
{
    for (int i = 0; th_kernel_step(it.stage.kernel); i++) {
        T_TRUE(i < STEPS_MAX);
    }
}

static void poke_all(void)
{
    for (unsigned i = 0; i < th_witness_lives(it.witness); i++) {
        th_kernel_poke(it.stage.kernel, th_witness_life(it.witness, i));
    }
}

/* Everybody ends; nothing is charged to nobody. */
static void strike(uint64_t seed)
{
    th_figures figures;

    for (unsigned i = 0; i < th_witness_lives(it.witness); i++) {
        th_kernel_kill(it.stage.kernel, th_witness_life(it.witness, i),
                       TH_SLICE("end"));
    }
    run_until_rest();
    th_kernel_figures(it.stage.kernel, &figures);
    T_EQ(figures.processes, 0);
    if (figures.memory_bytes != 0) {
        fail_msg("seed %llu: %lld bytes are charged to nobody",
                 (unsigned long long)seed, (long long)figures.memory_bytes);
    }
    it.stage.kernel = th_kernel_free(it.stage.kernel);
    it.stage.world = th_world_sim_free(it.stage.world);
}

static void play(uint64_t seed, bool is_traced)
{
    th_test_plays("kernel", seed);
    set_stage(seed, is_traced);
    first_people();
    for (int i = 0; i < STEPS && th_kernel_step(it.stage.kernel); i++) {
        if (th_witness_wrong(it.witness)[0] != '\0') {
            break;
        }
    }
    it.is_closing = true;
    poke_all();
    run_until_rest();
    poke_all(); /* whoever held something back while it was preempted */
    run_until_rest();
    th_witness_settle(it.witness);
    if (th_test_seed() > 0) {
        th_slice told = th_witness_trace(it.witness);

        fwrite(told.at, 1, told.bytes, stderr);
    }
    if (th_witness_wrong(it.witness)[0] != '\0') {
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 th_witness_wrong(it.witness));
    }
    th_kernel_each(it.stage.kernel, check_books, NULL);
    strike(seed);
}

TEST(simulation, whatever_processes_do_to_one_another_the_kernel_keeps_its_promises)
{
    unsigned denied = 0, came_by_right = 0;
    uint64_t only = th_test_seed();

    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : SEEDS);
         seed++) {
        play(seed, only > 0);
        it.witness = th_witness_free(it.witness);
        denied += it.rights.denied;
        came_by_right += it.rights.came_by_right;
    }
    T_TRUE(only > 0 || (denied > SEEDS && came_by_right > SEEDS));
}

TEST(simulation, a_seed_plays_the_same_again_byte_for_byte)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        th_auto(th_witness) first = NULL;

        play(seed, true);
        first = th_take(&it.witness);
        play(seed, true);
        T_TRUE(th_witness_trace(first).bytes > 10000);
        T_TRUE(th_slice_eq(th_witness_trace(first), th_witness_trace(it.witness)));
        it.witness = th_witness_free(it.witness);
    }
}
