#include "base/mem.h"
#include "base/test.h"
#include "kernel/checkpoint.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "world/world_real.h"

#include <stdio.h>

/*
 * Everything at once on real threads, for the sanitizers and for what only they can
 * meet: processes that do whatever their dice say to one another, while a thread
 * outside looks, pokes and kills. Nothing waits for time to pass; a test ends when so
 * many have lived.
 *
 * Each has its own dice, so what happens differs from run to run; what must hold does
 * not: who ends of itself has had each of its requests back, and in the end nobody is
 * left and nothing is charged.
 */

#define LIVES 2000
#define PEOPLE_MAX 60
#define NAMES 16
#define HELD_MAX 4

typedef struct town {
    th_kernel *kernel;
    th_host host;
    th_entry entries[2]; /* one is preempted, the other yields */
    th_parker *done;
    _Atomic unsigned born, alive, killed;
    _Atomic uint64_t heard;
    unsigned lives; /* so many are born, then no more */
} town;

static town it;

typedef struct citizen {
    uint64_t dice;
    unsigned slices;
    int open; /* requests */
    th_msg *questions[HELD_MAX];
    th_alarm *alarm;
} citizen;

static uint32_t roll(citizen *me, uint32_t sides)
{
    me->dice = me->dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(me->dice >> 33) % sides;
}

/* Somebody who lives, or did. */
static th_pid somebody(citizen *me)
{
    return th_pid_make(1 + roll(me, PEOPLE_MAX), 1 + roll(me, 40));
}

static th_pid named(th_process *self, citizen *me)
{
    char text[8];
    th_pid found = somebody(me);
    th_id_error error;

    snprintf(text, sizeof text, "n%u", roll(me, NAMES));
    th_process_resolve(self, th_slice_str(text), &found, &error);
    return found;
}

static th_msg *letter(citizen *me, th_msg_kind kind)
{
    th_msg_parts parts = {.kind = kind, .body = TH_SLICE("some text")};
    th_auto(th_blob) blob = NULL;

    if (roll(me, 4) == 0) {
        parts.blob = blob = th_blob_new(TH_SLICE("blob"), th_slice_of(NULL, 0));
    }
    return th_msg_new(&parts);
}

/* --- What they do ----------------------------------------------------------------- */

static void send(th_process *self, citizen *me)
{
    th_msg *msg = letter(me, TH_MSG_SEND);
    th_pid to = named(self, me);
    th_err err = th_process_send(self, to, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
        th_process_note_refused(self, to, err);
    }
}

static void ask(th_process *self, citizen *me)
{
    th_ask ask = {.to = named(self, me),
                  .timeout_ns = (uint64_t)(1 + roll(me, 20)) * (TH_MS / 2)};
    th_msg *msg = letter(me, TH_MSG_REQUEST);
    th_request *request;

    if (th_process_request(self, &ask, msg, &request) != TH_OK) {
        th_msg_unref(msg);
        return;
    }
    if (roll(me, 16) == 0) {
        th_request_abandon(self, request);
    } else {
        me->open++;
    }
}

static void settle(th_process *self, citizen *me, th_msg *question)
{
    th_msg *msg;

    if (roll(me, 4) == 0) {
        msg = letter(me, TH_MSG_REQUEST);
        if (th_process_forward(self, question, named(self, me), msg) != TH_OK) {
            th_msg_unref(msg);
        }
    }
    if (roll(me, 8) > 0) {
        msg = letter(me, TH_MSG_RESPONSE);
        if (th_process_respond(self, question, msg) != TH_OK) {
            th_msg_unref(msg);
        }
    }
    th_msg_unref(question);
}

static void settle_one(th_process *self, citizen *me)
{
    th_msg **place = &me->questions[roll(me, HELD_MAX)];

    if (*place != NULL) {
        settle(self, me, *place);
        *place = NULL;
    }
}

/* Room for one more among those who are born and alive? Then it is taken. */
static bool may_be_born(void)
{
    if (atomic_fetch_add(&it.alive, 1) >= PEOPLE_MAX) {
        atomic_fetch_sub(&it.alive, 1);
        return false;
    }
    if (atomic_fetch_add(&it.born, 1) >= it.lives) {
        atomic_fetch_sub(&it.born, 1);
        atomic_fetch_sub(&it.alive, 1);
        return false;
    }
    return true;
}

static void unborn(void)
{
    atomic_fetch_sub(&it.born, 1);
    atomic_fetch_sub(&it.alive, 1);
}

static void spawn(th_process *self, citizen *me)
{
    th_spawn spec = {.entry = &it.entries[roll(me, 2)],
                     .host = &it.host,
                     .args = TH_SLICE("args"),
                     .monitored = roll(me, 2) == 0,
                     .linked = roll(me, 4) == 0};
    th_auto_buf why = TH_BUF_INIT;
    char text[8];
    th_ident made;

    if (!may_be_born()) {
        return;
    }
    snprintf(text, sizeof text, "n%u", roll(me, NAMES));
    if (roll(me, 2) == 0) {
        spec.registered = th_slice_str(text);
    }
    if (th_process_spawn(self, &spec, &made, &why) != TH_OK) {
        unborn();
        return;
    }
    th_blob_unref(made.name);
}

static void tie(th_process *self, citizen *me)
{
    th_pid other = named(self, me);

    switch (roll(me, 5)) {
    case 0:
        th_process_unmonitor(self, other);
        break;
    case 1:
        th_process_unlink(self, other);
        break;
    case 2:
        th_process_link(self, other);
        break;
    default:
        th_process_monitor(self, other);
    }
}

static void name(th_process *self, citizen *me)
{
    char text[8];

    snprintf(text, sizeof text, "n%u", roll(me, NAMES));
    if (roll(me, 4) == 0) {
        th_process_unregister(self, th_slice_str(text));
    } else {
        th_process_register(self, th_slice_str(text),
                            roll(me, 2) == 0 ? named(self, me)
                                             : th_process_ident(self)->pid);
    }
}

static void end_another(th_process *self, citizen *me)
{
    if (roll(me, 8) > 0) {
        return;
    }
    if (roll(me, 2) == 0) {
        th_process_terminate(self, named(self, me));
    } else {
        th_process_cancel(self, named(self, me), (int64_t)roll(me, 4) * TH_MS / 2,
                          roll(me, 2) == 0, TH_SLICE("the dice"));
    }
}

static void set_alarm(th_process *self, citizen *me)
{
    if (me->alarm != NULL) {
        th_alarm_drop(self, me->alarm);
        me->alarm = NULL;
    } else if (th_alarm_set(self,
                            (th_mono){th_process_now(self).ns + roll(me, 1000000)},
                            NULL, &me->alarm) != TH_OK) {
        me->alarm = NULL;
    }
}

static void run_job(th_job *job)
{
    (void)job;
}

static void free_job(th_job *job)
{
    th_free(job);
}

static void submit(th_process *self, citizen *me)
{
    th_job *job = th_calloc(1, sizeof *job);

    (void)me;
    job->run = run_job;
    job->dropped = free_job;
    th_process_submit(self, job);
}

static void work(th_process *self, citizen *me)
{
    (void)self;
    for (uint32_t i = roll(me, 20000); i > 0; i--) {
        th_checkpoint();
    }
    if (roll(me, 8) == 0) {
        th_process_output(self, TH_OUTPUT_LOG, TH_SLICE("it worked"));
    }
    th_process_set_traps_links(self, roll(me, 2) == 0);
}

typedef void act(th_process *self, citizen *me);

static act *const acts[] = {send,   send,  ask, ask,         settle_one,
                            spawn,  spawn, tie, end_another, set_alarm,
                            submit, work,  name};

/* --- The guest -------------------------------------------------------------------- */

static void hear(th_process *self, citizen *me, const th_delivery *in)
{
    th_msg **place;

    atomic_fetch_add_explicit(&it.heard, 1, memory_order_relaxed);
    switch (in->type) {
    case TH_ITEM_MSG:
        place = &me->questions[roll(me, HELD_MAX)];
        if (*place != NULL) {
            settle(self, me, *place);
        }
        *place = in->msg;
        break;
    case TH_ITEM_REPLY:
        me->open--;
        th_request_free(self, in->request);
        break;
    case TH_ITEM_TIMER:
        T_TRUE(in->alarm == me->alarm);
        th_alarm_drop(self, in->alarm);
        me->alarm = NULL;
        break;
    case TH_ITEM_JOB:
        th_free(in->job);
        break;
    default:
        T_EQ(in->type, TH_ITEM_EVENT);
    }
}

static th_err start(th_process *self, th_buf *why)
{
    citizen *me = th_calloc(1, sizeof *me);

    (void)why;
    me->dice = th_process_ident(self)->pid.bits * 0x9e3779b97f4a7c15u;
    th_process_set_state(self, me);
    return TH_OK;
}

static bool is_over(void)
{
    return atomic_load(&it.born) >= it.lives;
}

/* It goes when it has lived long enough and has all its requests back. */
static bool may_end(th_process *self, citizen *me)
{
    bool wants = is_over() || me->slices > 20 + roll(me, 20);

    if (!wants || me->open > 0 || (!is_over() && atomic_load(&it.alive) < 4)) {
        return false;
    }
    th_process_end(self,
                   th_exit_new(roll(me, 4) == 0 ? TH_END_CRASH : TH_END_RETURN, TH_OK,
                               TH_SLICE(""), TH_FORMAT_BYTES, TH_SLICE("")));
    return true;
}

static th_run run(th_process *self)
{
    citizen *me = th_process_state(self);
    th_delivery in;

    while (th_process_next(self, &in)) {
        hear(self, me, &in);
    }
    me->slices++;
    if (may_end(self, me)) {
        return TH_RUN_ENDED;
    }
    for (int i = 0; i < 6 && !is_over(); i++) {
        acts[roll(me, sizeof acts / sizeof acts[0])](self, me);
        th_checkpoint();
    }
    return TH_RUN_YIELDED;
}

static void drop(th_process *self)
{
    citizen *me = th_process_state(self);

    if (me != NULL) {
        for (int i = 0; i < HELD_MAX; i++) {
            th_msg_unref(me->questions[i]);
        }
        th_free(me);
    }
}

static size_t memory(const th_process *self)
{
    return th_process_state(self) == NULL ? 0 : sizeof(citizen);
}

static const th_guest guests[] = {
    {.name = "citizen",
     .parks = true,
     .start = start,
     .run = run,
     .drop = drop,
     .memory = memory},
    {.name = "citizen",
     .parks = false,
     .start = start,
     .run = run,
     .drop = drop,
     .memory = memory},
};

/* --- The town --------------------------------------------------------------------- */

static void ended(void *context, const th_ended *what)
{
    (void)context;
    atomic_fetch_add(&it.killed, what->exit != NULL && what->exit->end == TH_END_KILL);
    if (atomic_fetch_sub(&it.alive, 1) == 1) {
        th_world_unpark(th_world_real(), it.done);
    }
}

static void found(unsigned shards, unsigned lives, size_t memory_bytes_max)
{
    th_kernel_config config = {.world = th_world_real(),
                               .node = "local",
                               .boot = 1,
                               .shards = shards,
                               .memory_bytes_max = memory_bytes_max,
                               .ended = ended};

    memset(&it, 0, sizeof it);
    it.lives = lives;
    T_EQ(th_world_parker_new(config.world, &it.done), TH_OK);
    T_EQ(th_kernel_new(&it.kernel, &config), TH_OK);
    it.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    for (unsigned i = 0; i < 2; i++) {
        it.entries[i] = (th_entry){.id = i == 0 ? TH_SLICE("a:a") : TH_SLICE("b:b"),
                                   .package = TH_SLICE("a"),
                                   .publisher = TH_SLICE("local"),
                                   .package_number = i,
                                   .is_public = true,
                                   .limits = {.mailbox_bytes_max = 64 * 1024,
                                              .mailbox_count_max = 40,
                                              .requests_max = 16,
                                              .ties_max = 40,
                                              .timers_max = 4,
                                              .names_max = 4,
                                              .log_bytes_max = 200},
                                   .guest = &guests[i]};
        T_EQ(th_kernel_add_entry(it.kernel, &it.entries[i]), TH_OK);
    }
}

static void settle_town(unsigned people)
{
    for (unsigned i = 0; i < people; i++) {
        th_spawn spec = {.entry = &it.entries[i % 2], .host = &it.host};
        th_auto_buf why = TH_BUF_INIT;
        th_ident made;

        if (may_be_born() && th_kernel_spawn(it.kernel, &spec, &made, &why) != TH_OK) {
            unborn();
        }
    }
}

static bool look(void *context, const th_process_info *info)
{
    *(uint64_t *)context += info->mailbox_count;
    return true;
}

/* What others do meanwhile, each time it is called. */
static void meddle(citizen *me)
{
    th_auto_buf text = TH_BUF_INIT;
    th_exit *end = NULL;
    th_figures figures;
    uint64_t sum = 0;
    th_id_error error;
    th_pid pid = somebody(me);

    th_kernel_each(it.kernel, look, &sum);
    th_kernel_figures(it.kernel, &figures);
    th_kernel_poke(it.kernel, pid);
    if (th_kernel_read_log(it.kernel, pid, &text, &end) == TH_OK) {
        th_exit_unref(end);
    }
    th_kernel_resolve(it.kernel, TH_SLICE("n1"), &pid, &error);
    if (roll(me, 4) == 0) {
        th_kernel_kill(it.kernel, pid, TH_SLICE("from outside"));
    }
    if (atomic_load(&it.alive) < 10) {
        settle_town(10);
    }
}

static void close_town(void)
{
    th_figures figures;

    th_kernel_stop(it.kernel);
    th_kernel_figures(it.kernel, &figures);
    T_EQ(figures.processes, 0);
    T_EQ(figures.memory_bytes, 0);
    T_EQ(atomic_load(&it.alive), 0);
    it.kernel = th_kernel_free(it.kernel);
    it.done = th_world_parker_free(th_world_real(), it.done);
}

TEST(stress, whatever_happens_on_all_threads_nobody_and_nothing_is_left)
{
    citizen outside = {.dice = 7};

    for (unsigned shards = 1; shards <= 4; shards++) {
        found(shards, LIVES, shards == 3 ? 300000 : 0);
        T_EQ(th_kernel_start(it.kernel), TH_OK);
        settle_town(20);
        while (!is_over()) {
            meddle(&outside);
        }
        while (atomic_load(&it.alive) > 0) {
            th_world_park(th_world_real(), it.done, (th_mono){0});
        }
        T_TRUE(atomic_load(&it.heard) > LIVES);
        T_TRUE(atomic_load(&it.killed) > 0);
        close_town();
    }
}

TEST(stress, a_kernel_may_stop_in_the_midst_of_all_its_work)
{
    citizen outside = {.dice = 7};

    for (unsigned round = 0; round < 30; round++) {
        found(1 + round % 4, UINT32_MAX, 0);
        settle_town(round % 7 == 0 ? 1 : 40); /* some before it starts */
        T_EQ(th_kernel_start(it.kernel), TH_OK);
        for (unsigned i = 0; i < round; i++) {
            meddle(&outside);
        }
        close_town();
    }
}
