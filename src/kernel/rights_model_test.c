#include "witness/rights_model.h"

#include "base/mem.h"
#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "world/world_sim.h"

#include <stdio.h>

/*
 * The kernel's rights beside their model: every sequence of operations up to a depth,
 * and walks by the dice far beyond it. After each operation the kernel must have said
 * what the model says, and then all is looked at: what each holds, what it may name, whom
 * it may send to and whom it may end. So nothing is delivered without a right, and
 * nothing that is right is refused.
 */

#define DEPTH (TH_TEST_IS_SANITIZED ? 2 : 3)
#define WALKS (TH_TEST_IS_SANITIZED ? 200 : 3000)
#define WALK_STEPS 60

typedef struct person {
    th_puppet cast;
    th_process *process; /* NULL: it is dead */
    th_caps *left;       /* what it held when it crashed */
    char id[32];         /* "pN:kN:local" */
} person;

static th_stage stage;
static person people[MODEL_PEOPLE];
static model want;
static unsigned caps_count; /* how many of the model's are played with */
static th_caps *ended_caps;

/* --- The stage --------------------------------------------------------------------------- */

static void ended(void *context, const th_ended *what)
{
    (void)context;
    ended_caps = th_caps_ref(what->caps);
}

static th_run lies_there(th_process *self, th_puppet *puppet)
{
    (void)self;
    (void)puppet;
    return TH_RUN_ASLEEP;
}

static void set(uint64_t seed)
{
    th_kernel_config config = {.node = "local", .boot = 1, .shards = 1};
    static const char *const entries[] = {"k0:e", "k1:e", "k2:e"};

    memset(&stage, 0, sizeof stage);
    memset(people, 0, sizeof people);
    T_EQ(th_world_sim_new(&stage.world, seed), TH_OK);
    config.world = stage.world;
    config.ended = ended;
    T_EQ(th_kernel_new(&stage.kernel, &config), TH_OK);
    stage.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(stage.kernel, &stage.host), TH_OK);
    for (unsigned i = 0; i < MODEL_PEOPLE; i++) {
        th_puppet_cast(&stage, &people[i].cast, entries[i], lies_there);
        people[i].cast.entry.package = th_slice_of(entries[i], 2);
        snprintf(people[i].id, sizeof people[i].id, "p%u:k%u:local", i, i);
    }
}

static void strike(void)
{
    th_stage_strike(&stage);
}

/* --- What the kernel does ------------------------------------------------------------------ */

static th_claim claim_of(unsigned cap)
{
    return (th_claim){th_slice_str(people[model_issuer(cap)].id),
                      cap < MODEL_PEOPLE ? TH_CAP_MESSAGING
                                         : TH_SLICE(" \"control\" ")};
}

static th_cap *issue(unsigned cap)
{
    th_claim claim = claim_of(cap);
    th_cap *issued = th_kernel_issue(stage.kernel, claim.issuer, claim.params);

    T_NOT_NULL(issued);
    return issued;
}

static void start(unsigned i)
{
    person *p = &people[i];
    th_spawn spec = {.entry = &p->cast.entry,
                     .host = &stage.host,
                     .name = th_slice_of(p->id, 2),
                     .is_again = want.people[i].phase == MODEL_AWAITED,
                     .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART),
                     .caps = p->left};
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;

    T_EQ(th_kernel_spawn(stage.kernel, &spec, &who, &why), TH_OK);
    p->process = th_table_find(stage.kernel, who.pid);
    p->left = th_caps_unref(p->left);
    th_blob_unref(who.name);
}

static void end(unsigned i, th_end how)
{
    person *p = &people[i];

    th_process_kill(p->process, th_exit_new(how, TH_KILLED, TH_SLICE("so it was told"),
                                            TH_FORMAT_BYTES, TH_SLICE("")));
    th_stage_leave(&stage);
    while (th_shard_has_work(&stage.kernel->shards[0])) {
        th_kernel_step(stage.kernel);
    }
    th_stage_enter(&stage, 0);
    p->process = NULL;
    p->left = th_take(&ended_caps);
}

/* A message of @from with @cap, if it may name it. */
static th_msg *letter(unsigned from, th_msg_kind kind, unsigned cap, bool has_cap)
{
    th_claim claim = claim_of(cap);
    th_auto(th_caps) caps = NULL;
    th_msg_parts parts = {.kind = kind, .body = TH_SLICE("x")};

    if (has_cap) {
        caps = th_process_claim(people[from].process, &claim, 1);
        T_NOT_NULL(caps);
        parts.caps = caps;
    }
    return th_msg_new(&parts);
}

static th_msg *take(unsigned i)
{
    th_delivery in;

    T_TRUE(th_process_next(people[i].process, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    return in.msg;
}

/* Was it delivered? */
static bool send(unsigned a, unsigned b, unsigned cap, bool has_cap)
{
    th_msg *msg = letter(a, TH_MSG_SEND, cap, has_cap);
    th_err err = th_process_send(people[a].process, people[b].process->ident.pid, msg);

    T_TRUE(err == TH_OK || err == TH_DENIED);
    T_EQ(th_process_has_next(people[b].process), err == TH_OK);
    th_msg_unref(err == TH_OK ? take(b) : msg);
    return err == TH_OK;
}

static void answer(unsigned b, unsigned cap)
{
    th_msg *question = take(b);

    T_EQ(th_process_respond(people[b].process, question,
                            letter(b, TH_MSG_RESPONSE, cap, true)),
         TH_OK);
    th_msg_unref(question);
}

/* Was it answered? The answer needs no right. */
static bool call(unsigned a, unsigned b, unsigned cap)
{
    th_ask ask = {.to = people[b].process->ident.pid, .timeout_ns = TH_S};
    th_msg *msg = letter(a, TH_MSG_REQUEST, cap, false);
    th_request *request;
    th_delivery in;
    th_err reason;

    T_EQ(th_process_request(people[a].process, &ask, msg, &request), TH_OK);
    if (th_process_has_next(people[b].process)) {
        answer(b, cap);
    }
    T_TRUE(th_process_next(people[a].process, &in));
    T_EQ(in.type, TH_ITEM_REPLY);
    reason = th_request_reason(in.request);
    th_request_free(people[a].process, in.request);
    T_TRUE(reason == TH_OK || reason == TH_DENIED);
    return reason == TH_OK;
}

static bool do_op(const model_op *op)
{
    person *a = &people[op->a];
    th_claim claim = claim_of(op->cap);
    th_cap *cap;

    switch (op->verb) {
    case MODEL_SEND:
        return send(op->a, op->b, op->cap, true);
    case MODEL_CALL:
        return call(op->a, op->b, op->cap);
    case MODEL_SAVE:
        return th_process_save_caps(a->process, &claim, 1) == TH_OK;
    case MODEL_DROP:
        th_process_drop_caps(a->process, &claim, 1);
        return true;
    case MODEL_KILL:
        end(op->a, TH_END_KILL);
        return true;
    case MODEL_CRASH:
        end(op->a, TH_END_CRASH);
        return true;
    case MODEL_START:
        start(op->a);
        return true;
    case MODEL_FORGET:
        th_kernel_forget(stage.kernel, th_slice_str(a->id));
        a->left = th_caps_unref(a->left);
        return true;
    case MODEL_GRANT:
        cap = issue(op->cap);
        T_EQ(th_kernel_grant(stage.kernel, a->process->ident.pid, cap), TH_OK);
        th_cap_unref(cap);
        return true;
    case MODEL_REVOKE:
    case MODEL_VERBS:
        break;
    }
    return th_kernel_revoke(stage.kernel, &claim);
}

/* --- What is compared ------------------------------------------------------------------------ */

static model_op trail[WALK_STEPS]; /* what was done, for a failure */
static unsigned trail_count;

static void print_trail(void)
{
    static const char *const verbs[MODEL_VERBS] = {"send",  "call",  "save",  "drop",
                                                   "kill",  "crash", "start", "forget",
                                                   "grant", "revoke"};

    for (unsigned i = 0; i < trail_count; i++) {
        const model_op *op = &trail[i];

        print_error("  %s a=%u b=%u cap=%u\n", verbs[op->verb], op->a, op->b, op->cap);
    }
}

static void same(bool is, bool wanted, const char *what, unsigned a, unsigned b)
{
    if (is == wanted) {
        return;
    }
    print_trail();
    fail_msg("%s %u %u: the kernel says %d, the model %d", what, a, b, is, wanted);
}

static bool may_name(unsigned a, unsigned cap)
{
    th_claim claim = claim_of(cap);
    th_auto(th_caps) caps = th_process_claim(people[a].process, &claim, 1);

    return th_caps_count(caps) == 1;
}

static bool may_control(unsigned a, unsigned b)
{
    th_pid pid = people[b].process->ident.pid;
    th_err err =
        th_process_cancel(people[a].process, pid, TH_S, false, TH_SLICE("probe"));
    th_delivery in;

    T_TRUE(err == TH_OK || err == TH_DENIED);
    if (err == TH_OK) {
        T_TRUE(th_process_next(people[b].process, &in));
        T_EQ(in.type, TH_ITEM_EVENT);
    }
    T_FALSE(th_process_next(people[b].process, &in));
    return err == TH_OK;
}

static void check_caps(unsigned a)
{
    th_auto(th_caps) caps = th_process_caps(people[a].process);
    unsigned held = 0;

    for (unsigned cap = 0; cap < MODEL_CAPS; cap++) {
        th_claim claim = claim_of(cap);

        held += model_holds(&want, a, cap);
        same(th_process_has_cap(people[a].process, claim.issuer, claim.params),
             model_holds(&want, a, cap), "holds", a, cap);
        same(may_name(a, cap), model_may_name(&want, a, cap), "may name", a, cap);
    }
    T_EQ(th_caps_count(caps), held);
}

static void check_all(void)
{
    for (unsigned a = 0; a < MODEL_PEOPLE; a++) {
        T_EQ(people[a].process != NULL, want.people[a].phase == MODEL_ALIVE);
        if (people[a].process == NULL) {
            continue;
        }
        check_caps(a);
        for (unsigned b = 0; b < MODEL_PEOPLE; b++) {
            if (people[b].process != NULL) {
                same(send(a, b, 0, false), model_may_send(&want, a, b), "may send", a,
                     b);
                same(may_control(a, b), model_may_control(&want, a, b), "may end", a,
                     b);
            }
        }
    }
}

static void perform(const model_op *op)
{
    bool is;

    trail[trail_count++] = *op;
    is = do_op(op);
    same(is, model_do(&want, op), "does", op->a, op->b);
}

/* --- Lives of all three ------------------------------------------------------------------------ */

static void begin(const model *cast)
{
    want = *cast;
    trail_count = 0;
    th_stage_enter(&stage, 0);
    for (unsigned i = 0; i < MODEL_PEOPLE; i++) {
        people[i].cast.entry.package_number = cast->people[i].package;
        people[i].cast.entry.is_strict = cast->people[i].is_strict;
        people[i].cast.entry.is_public = cast->people[i].is_public;
        T_TRUE(do_op(&(model_op){.verb = MODEL_START, .a = i}));
        T_TRUE(model_do(&want, &(model_op){.verb = MODEL_START, .a = i}));
    }
}

static void finish(void)
{
    for (unsigned i = 0; i < MODEL_PEOPLE; i++) {
        if (people[i].process != NULL) {
            end(i, TH_END_KILL);
        }
        th_kernel_forget(stage.kernel, th_slice_str(people[i].id));
        people[i].left = th_caps_unref(people[i].left);
    }
    th_stage_leave(&stage);
}

/* All that is to be done with those that are played with; how many. */
static unsigned all_ops(model_op *out)
{
    unsigned n = 0;

    for (unsigned verb = 0; verb < MODEL_VERBS; verb++) {
        bool has_b = verb == MODEL_SEND || verb == MODEL_CALL;
        bool has_cap = verb <= MODEL_DROP || verb >= MODEL_GRANT;

        for (unsigned a = 0; a < (verb == MODEL_REVOKE ? 1 : MODEL_PEOPLE); a++) {
            for (unsigned b = 0; b < (has_b ? MODEL_PEOPLE : 1); b++) {
                for (unsigned cap = 0; cap < (has_cap ? caps_count : 1); cap++) {
                    if (!has_b || a != b) {
                        out[n++] = (model_op){(model_verb)verb, a, b, cap};
                    }
                }
            }
        }
    }
    return n;
}

#define OPS_MAX 200

/* --- The tests ------------------------------------------------------------------------------------ */

static model_op ops[OPS_MAX];
static unsigned ops_count;

/* Can they be done one after another? */
static bool is_sequence(const model *cast, const unsigned *which, unsigned n)
{
    model m = *cast;

    for (unsigned i = 0; i < MODEL_PEOPLE; i++) {
        m.people[i].phase = MODEL_ALIVE;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!model_has(&m, &ops[which[i]])) {
            return false;
        }
        model_do(&m, &ops[which[i]]);
    }
    return true;
}

static void play(const model *cast, const unsigned *which, unsigned n)
{
    if (!is_sequence(cast, which, n)) {
        return;
    }
    begin(cast);
    for (unsigned i = 0; i < n; i++) {
        perform(&ops[which[i]]);
    }
    check_all();
    finish();
}

/* All sequences of exactly @n. */
static void play_all(const model *cast, unsigned n)
{
    unsigned which[DEPTH] = {0};
    unsigned at;

    do {
        play(cast, which, n);
        for (at = n; at > 0 && ++which[at - 1] == ops_count; at--) {
            which[at - 1] = 0;
        }
    } while (at > 0);
}

TEST(rights_model, all_sequences_of_three_operations_come_out_as_the_model_says)
{
    /* A strict one and a lax one of one package, and a stranger. */
    static const model cast = {
        .people = {{.package = 1}, {.package = 1, .is_strict = true}, {.package = 2}}};

    set(1);
    caps_count = 3;
    ops_count = all_ops(ops);
    T_TRUE(ops_count <= OPS_MAX);
    for (unsigned n = 1; n <= DEPTH; n++) {
        play_all(&cast, n);
    }
    strike();
}

static unsigned roll(unsigned sides)
{
    return (unsigned)(th_world_dice_u64(stage.world) % sides);
}

static void walk(void)
{
    model cast = {0};

    for (unsigned i = 0; i < MODEL_PEOPLE; i++) {
        cast.people[i] = (model_person){.package = 1 + roll(3),
                                        .is_strict = roll(2) == 0,
                                        .is_public = roll(6) == 0};
    }
    begin(&cast);
    for (unsigned i = 0; i < WALK_STEPS; i++) {
        const model_op *op;

        do {
            op = &ops[roll(ops_count)];
        } while (!model_has(&want, op));
        perform(op);
        if (i % 8 == 7) {
            check_all();
        }
    }
    check_all();
    finish();
}

TEST(rights_model, long_walks_come_out_as_the_model_says)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        set(seed);
        caps_count = MODEL_CAPS;
        ops_count = all_ops(ops);
        T_TRUE(ops_count <= OPS_MAX);
        for (unsigned i = 0; i < WALKS / 3; i++) {
            walk();
        }
        strike();
    }
}
