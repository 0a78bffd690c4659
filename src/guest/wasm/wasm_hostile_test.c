#include "base/test.h"
#include "guest/wasm/wasm_stage.h"

#include <stdio.h>

/*
 * Hostile guests: the node and its other processes go on, and the offender ends with a
 * reason that names what it did.
 */

static th_wasm_stage stage;

#define ROUNDS 50

/* Asks the echo ROUNDS times, then says so. */
static void bystander(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in != NULL) {
        if (in->type != TH_ITEM_REPLY) {
            return;
        }
        T_EQ(th_request_reason(in->request), TH_OK);
        th_request_free(self, in->request);
    }
    if (actor->step++ < ROUNDS) {
        th_wasm_actor_ask(self, "echo", TH_SLICE("still there?"), TH_SLICE(""), 60);
        return;
    }
    th_wasm_actor_say(actor, "the bystander is well\n");
    actor->is_over = true;
}

/* Tells the offender its target, and prints what it answers. */
static const char *offender_is, *its_target;

static void instigator(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in == NULL) {
        th_wasm_actor_ask(self, offender_is, th_slice_str(its_target), TH_SLICE(""),
                          3600);
        return;
    }
    if (th_request_response(in->request) != NULL) {
        th_wasm_actor_say(actor, "it answers %.*s\n",
                          TH_FMT(th_msg_body(th_request_response(in->request))));
    }
    th_request_free(self, in->request);
    actor->is_over = true;
}

static void prepare(uint64_t seed)
{
    th_wasm_stage_open(&stage, seed, 2);
    stage.steps_max = 20000;
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), "echo");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "bystander", bystander),
                        NULL);
}

/* An offender that goes on for ever beside a bystander who must not notice, until it is
 * killed. */
static void goes_on_beside(const char *name)
{
    th_pid pid = th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, name), name);

    if (its_target != NULL) {
        offender_is = name;
        th_wasm_stage_spawn(&stage,
                            th_wasm_stage_actor(&stage, "instigator", instigator),
                            NULL);
    }
    T_FALSE(th_wasm_stage_run(&stage)); /* it never ends by itself */
    th_wasm_stage_saw(&stage, "the bystander is well\n");
    T_EQ(th_kernel_kill(stage.kernel, pid, TH_SLICE("enough")), TH_OK);
    T_TRUE(th_wasm_stage_run(&stage));
    T_FALSE(th_kernel_is_alive(stage.kernel, pid));
}

TEST(wasm_hostile, an_endless_loop_holds_up_nobody_and_can_be_killed)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        its_target = NULL;
        prepare(seed);
        goes_on_beside("spin");
        th_wasm_stage_saw(&stage, "spin ended killed enough\n");
        th_wasm_stage_close(&stage);
    }
}

static void sink(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    (void)self;
    (void)actor;
    if (in != NULL) {
        th_msg_unref(in->msg);
    }
}

TEST(wasm_hostile, a_flood_is_bounded_and_holds_up_nobody)
{
    th_pid target;

    its_target = "local@sink:test:local";
    prepare(1);
    stage.limits.mailbox_count_max = 100;
    target =
        th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "sink", sink), "sink");
    goes_on_beside("flood");
    T_TRUE(th_kernel_is_alive(stage.kernel, target));
    th_wasm_stage_close(&stage);
}

/* Expects the numbers in their order. */
static void counter(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    char expected[16];

    (void)self;
    if (in != NULL) {
        snprintf(expected, sizeof expected, "%u", actor->step++);
        T_TRUE(th_slice_is(th_msg_body(in->msg), expected));
        th_msg_unref(in->msg);
    }
}

/* With a mailbox that is soon half full, each of its last sends ends a slice. */
TEST(wasm_hostile, many_requests_at_one_go_take_many_slices_and_keep_their_order)
{
    its_target = "local@counter:test:local";
    offender_is = "burst";
    prepare(1);
    stage.limits.mailbox_count_max = 6000;
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "counter", counter),
                        "counter");
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "burst"), "burst");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "instigator", instigator),
                        NULL);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage, "it answers sent\n");
    th_wasm_stage_saw(&stage, "burst ended ok");
    T_EQ(stage.actors[3].step + stage.actors[2].step, 5000);
    th_wasm_stage_close(&stage);
}

TEST(wasm_hostile, who_is_killed_in_the_midst_of_many_sends_leaves_nothing_behind)
{
    its_target = "local@counter:test:local";
    offender_is = "burst";
    for (uint64_t steps = 1; steps < 400; steps += 37) {
        th_wasm_stage_open(&stage, steps, 1);
        stage.limits.mailbox_count_max = 50; /* most sends are past its half */
        th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "counter", sink),
                            "counter");
        th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "burst"), "burst");
        th_wasm_stage_spawn(&stage,
                            th_wasm_stage_actor(&stage, "instigator", instigator),
                            NULL);
        stage.steps_max = steps;
        (void)th_wasm_stage_run(&stage);
        th_wasm_stage_close(&stage);
    }
}

/* Takes nothing at all: it sleeps for ever in its first slice. */
static void deaf(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_alarm *alarm;

    if (in == NULL) {
        T_EQ(th_alarm_set(self, (th_mono){INT64_MAX / 2}, NULL, &alarm), TH_OK);
    } else {
        th_wasm_actor_say(actor, "impossible\n");
    }
}

static th_err deaf_start(th_process *self, th_buf *why)
{
    (void)why;
    deaf(self, NULL, NULL);
    return TH_OK;
}

static th_run deaf_run(th_process *self)
{
    (void)self;
    return TH_RUN_ASLEEP;
}

static void deaf_drop(th_process *self)
{
    (void)self;
}

TEST(wasm_hostile, what_a_full_mailbox_refuses_is_told_in_few_words)
{
    static const th_guest deaf_guest = {.name = "deaf",
                                        .start = deaf_start,
                                        .run = deaf_run,
                                        .drop = deaf_drop};
    th_entry entry = {.id = TH_SLICE("test:deaf"),
                      .package = TH_SLICE("test"),
                      .publisher = TH_SLICE("local"),
                      .limits = th_limits_default,
                      .guest = &deaf_guest};

    its_target = "local@deaf:test:local";
    prepare(1);
    entry.limits.mailbox_count_max = 100;
    T_EQ(th_kernel_add_entry(stage.kernel, &entry), TH_OK);
    th_wasm_stage_spawn(&stage, &entry, "deaf");
    goes_on_beside("flood");
    th_wasm_stage_saw(&stage,
                      "flood logs: 1 of this process's one-way messages came to "
                      "nothing");
    th_wasm_stage_saw(&stage, "flood logs: 1024 of this process's");
    th_wasm_stage_saw(&stage, "its mailbox is full");
    T_TRUE(th_wasm_stage_count(&stage, "flood logs:") < 32);
    th_wasm_stage_close(&stage);
}

/* --- Those that end by themselves --------------------------------------------------------- */

static void ends_with(const char *name, const char *reason)
{
    char text[128];

    its_target = NULL;
    prepare(1);
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, name), NULL);
    T_TRUE(th_wasm_stage_run(&stage));
    snprintf(text, sizeof text, "%s ended ", name);
    th_wasm_stage_saw(&stage, text);
    th_wasm_stage_saw(&stage, reason);
    th_wasm_stage_saw(&stage, "the bystander is well\n");
    T_EQ(th_kernel_count(stage.kernel), 1); /* the echo */
    th_wasm_stage_close(&stage);
}

TEST(wasm_hostile, a_trap_ends_one_process_with_its_cause_and_a_backtrace)
{
    ends_with("trap", "trap ended failed wasm trap: wasm `unreachable` instruction "
                      "executed\n");
}

TEST(wasm_hostile, deep_recursion_ends_one_process)
{
    ends_with("deep", "deep ended failed wasm trap: call stack exhausted\n");
}

TEST(wasm_hostile, a_memory_bomb_ends_at_its_limit_and_the_reason_says_so)
{
    ends_with("bomb", "it had asked for 1048576 bytes more than its memory limit of "
                      "67108864 allows\n");
}

TEST(wasm_hostile, memory_that_a_guest_begins_with_is_limited_too)
{
    th_wasm_stage_open(&stage, 1, 1);
    stage.limits.memory_bytes_max = 65536;
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), NULL);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage, "echo ended overloaded ");
    th_wasm_stage_saw(&stage, "more than its memory limit of 65536 allows\n");
    th_wasm_stage_close(&stage);
}

TEST(wasm_hostile, a_spawn_bomb_is_refused_at_the_limit_of_processes)
{
    its_target = "test:local/pkg/echo.wasm";
    offender_is = "spawnbomb";
    th_wasm_stage_open(&stage, 1, 2);
    stage.options.processes_max = 40;
    stage.steps_max = 100000;
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), "echo");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "bystander", bystander),
                        NULL);
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "spawnbomb"), "spawnbomb");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "instigator", instigator),
                        NULL);
    T_TRUE(th_wasm_stage_run(&stage));
    th_wasm_stage_saw(&stage, "the bystander is well\n");
    th_wasm_stage_saw(&stage, "spawnbomb logs: spawn of `test:local/pkg/echo.wasm` was "
                              "refused: the node runs 40 Wasm processes");
    th_wasm_stage_saw(&stage, "it answers ");
    th_wasm_stage_saw(&stage, "spawnbomb ended ok");
    T_TRUE(th_kernel_count(stage.kernel) <= 40);
    T_TRUE(th_wasm_stage_count(&stage, "echo ended overloaded the node runs 40") > 0);
    th_wasm_stage_close(&stage);
}

#define NODE_BYTES ((size_t)50 << 20) /* a bomb may take 64 MB */

TEST(wasm_hostile, who_takes_memory_ends_before_the_nodes_is_used_up)
{
    const th_entry *bomb;
    th_figures figures;

    th_wasm_stage_open_in(&stage, 1, 2, NODE_BYTES);
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "echo"), "echo");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "bystander", bystander),
                        NULL);
    bomb = th_wasm_stage_guest(&stage, "bomb");
    for (int i = 0; i < 4; i++) {
        th_wasm_stage_spawn(&stage, bomb, NULL);
    }
    while (th_kernel_step(stage.kernel)) {
        th_kernel_figures(stage.kernel, &figures);
        T_TRUE(figures.memory_bytes <= (int64_t)NODE_BYTES);
    }
    th_wasm_stage_saw(&stage, "the bystander is well\n");
    T_EQ(th_wasm_stage_count(&stage, "bomb ended overloaded "), 4);
    th_wasm_stage_saw(&stage, "bytes more, and the node's memory is used up");
    th_wasm_stage_close(&stage);
}

/* --- Components that are none ---------------------------------------------------------------- */

static th_err make(th_slice component, th_wasm_program **out, th_buf *why)
{
    if (stage.wasm == NULL) {
        T_EQ(th_wasm_new(&stage.wasm, &stage.options), TH_OK);
    }
    return th_wasm_program_new(out, stage.wasm, component, why);
}

static void refused(const char *name, const char *const *parts)
{
    th_auto_buf component = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_wasm_program *program;

    th_wasm_stage_open(&stage, 1, 1);
    th_wasm_stage_read(name, &component);
    T_EQ(make(th_buf_slice(&component), &program, &why), TH_INVALID);
    for (; *parts != NULL; parts++) {
        if (strstr(th_buf_text(&why), *parts) == NULL) {
            fail_msg("\"%s\" is not in: %s", *parts, th_buf_text(&why));
        }
    }
    th_wasm_stage_close(&stage);
}

TEST(wasm_hostile, imports_that_are_missing_are_listed_by_name)
{
    refused("strange",
            (const char *const[]){"acme:thing/one@1.0.0", "acme:thing/two@1.0.0",
                                  "lonely", "kinode:process/standard@2.0.0", NULL});
}

TEST(wasm_hostile, a_component_without_init_is_refused)
{
    refused("mute", (const char *const[]){"no function `init`", NULL});
}

TEST(wasm_hostile, every_truncation_of_a_component_is_refused_with_a_reason)
{
    th_auto_buf component = TH_BUF_INIT;
    unsigned whole = 0;

    th_wasm_stage_open(&stage, 1, 1);
    th_wasm_stage_read("trap", &component);
    for (size_t bytes = 0; bytes < component.bytes; bytes++) {
        th_auto_buf why = TH_BUF_INIT;
        th_wasm_program *program = NULL;
        th_err err = make(th_slice_of(component.at, bytes), &program, &why);

        T_TRUE(err == TH_OK || (err == TH_INVALID && why.bytes > 0));
        whole += err == TH_OK; /* only what tools wrote about it was cut off */
        th_wasm_program_free(program);
    }
    T_TRUE(whole < 4);
    th_wasm_stage_close(&stage);
}

#define MUTATIONS 300

static void mutate(th_buf *component)
{
    unsigned n = 1 + th_world_dice_u64(stage.world) % 3;

    while (n-- > 0) {
        size_t at = th_world_dice_u64(stage.world) % component->bytes;

        component->at[at] ^= (char)(1 + th_world_dice_u64(stage.world) % 255);
    }
}

static void run_mutant(th_wasm_program *program, unsigned n)
{
    static th_entry entries[MUTATIONS];
    static char ids[MUTATIONS][32];
    th_entry *entry = &entries[n];
    th_pid pid;

    snprintf(ids[n], sizeof ids[n], "test:mutant%u", n);
    *entry = (th_entry){.id = th_slice_str(ids[n]),
                        .package = TH_SLICE("test"),
                        .publisher = TH_SLICE("local"),
                        .limits = stage.limits,
                        .guest = &th_guest_wasm,
                        .program = program};
    T_EQ(th_kernel_add_entry(stage.kernel, entry), TH_OK);
    pid = th_wasm_stage_spawn(&stage, entry, NULL);
    stage.steps_max = 200;
    (void)th_wasm_stage_run(&stage);
    (void)th_kernel_kill(stage.kernel, pid, TH_SLICE("enough"));
    stage.steps_max = 1000;
    T_TRUE(th_wasm_stage_run(&stage));
    T_FALSE(th_kernel_is_alive(stage.kernel, pid));
}

TEST(wasm_hostile, a_mutated_component_is_refused_or_runs_and_harms_nobody)
{
    th_auto_buf original = TH_BUF_INIT;
    th_wasm_program *programs[MUTATIONS] = {NULL};
    unsigned run = 0;

    its_target = NULL;
    prepare(7);
    th_wasm_stage_read("caller", &original);
    for (unsigned n = 0; n < MUTATIONS; n++) {
        th_auto_buf component = TH_BUF_INIT;
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        th_buf_put(&component, original.at, original.bytes);
        mutate(&component);
        err = make(th_buf_slice(&component), &programs[n], &why);
        T_TRUE(err == TH_OK || (err == TH_INVALID && why.bytes > 0));
        if (err == TH_OK) {
            run_mutant(programs[n], n);
            run++;
        }
    }
    T_TRUE(run > 0 && run < MUTATIONS);
    th_wasm_stage_saw(&stage, "the bystander is well\n");
    stage.kernel = th_kernel_free(stage.kernel);
    for (unsigned n = 0; n < MUTATIONS; n++) {
        th_wasm_program_free(programs[n]);
    }
    th_wasm_stage_close(&stage);
}

/* --- Memory ------------------------------------------------------------------------------------ */

static void echo_once(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .expects_s = 5,
                          .body = TH_SLICE("x")};
    th_ask ask = {.timeout_ns = 5 * (uint64_t)TH_S};
    th_id_error error;
    th_request *request;
    th_msg *msg;

    actor->is_over = in != NULL;
    if (in != NULL) {
        th_request_free(self, in->request);
        return;
    }
    msg = th_msg_new(&parts);
    if (th_process_resolve(self, TH_SLICE("echo:test:local"), &ask.to, &error) !=
            TH_OK ||
        msg == NULL || th_process_request(self, &ask, msg, &request) != TH_OK) {
        th_msg_unref(msg);
        actor->is_over = true;
    }
}

TEST(wasm_hostile, when_memory_runs_out_nothing_is_left_behind)
{
    for (uint64_t n = 0; n < 60; n++) {
        const th_entry *echo, *asker;

        th_wasm_stage_open(&stage, 1, 1);
        echo = th_wasm_stage_guest(&stage, "echo");
        asker = th_wasm_stage_actor(&stage, "asker", echo_once);
        th_wasm_stage_spawn(&stage, echo, "echo");
        th_wasm_stage_spawn(&stage, asker, NULL);
        th_buf_reserve(&stage.seen, 65536);
        th_mem_fail_after(n);
        stage.steps_max = 1000;
        (void)th_wasm_stage_run(&stage);
        th_mem_fail_never();
        T_TRUE(th_wasm_stage_run(&stage));
        th_wasm_stage_close(&stage);
    }
}

/* Everything that a guest can do, to be cut short anywhere. */
static void give_tasks(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in == NULL) {
        th_wasm_actor_ask(self, "b",
                          TH_SLICE("do\n"
                                   "send our@b:test:local eck to myself\n"
                                   "send our@c:test:local ebk to C\n"
                                   "send our@c:test:local ib on to C\n"
                                   "send our@kernel:distro:sys w "
                                   "{\"Monitor\":\"c:test:local\"}\n"
                                   "send our@kernel:distro:sys ec "
                                   "{\"NotifyStop\":true}\n"
                                   "state x\n"
                                   "state\n"
                                   "exit-words our@c:test:local bye\n"
                                   "claim save our@b:test:local \"z\"\n"
                                   "caps\n"
                                   "respond kb done\n"
                                   "spawn kid play.wasm restart\n"
                                   "receive\n"
                                   "receive"),
                          TH_SLICE("blob"), 0);
    }
    actor->is_over = true;
}

TEST(wasm_hostile,
     wherever_memory_runs_out_a_guest_with_much_to_do_leaves_nothing_behind)
{
    for (uint64_t n = 0; n < 170; n++) {
        const th_entry *play;

        th_wasm_stage_open(&stage, 1, 1);
        play = th_wasm_stage_guest(&stage, "play");
        th_wasm_stage_spawn(&stage, play, "b");
        th_wasm_stage_spawn(&stage, play, "c");
        th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "tasks", give_tasks),
                            NULL);
        while (!stage.actors[1].is_over) {
            T_TRUE(th_kernel_step(stage.kernel));
        }
        th_buf_reserve(&stage.seen, 65536);
        th_mem_fail_after(n);
        stage.steps_max = 2000;
        (void)th_wasm_stage_run(&stage);
        th_mem_fail_never();
        stage.steps_max = 100000;
        T_TRUE(th_wasm_stage_run(&stage));
        th_wasm_stage_close(&stage);
    }
}
