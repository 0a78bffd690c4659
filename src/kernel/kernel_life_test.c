#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "world/world_sim.h"

#include <stdio.h>

/*
 * What follows an end, row by row; names that come back; processes that are held; what
 * is made durable. Tests move the strings of dolls.
 */

static th_stage stage;
static th_puppet cast, listener_cast;
static th_process *listener; /* public; what on-exits tell goes to it */
static unsigned starts;      /* first slices */

/* What the node was told of the last end. */
static struct {
    unsigned count;
    th_life_row row;
    th_on_exit *on_exit;
    th_caps *caps;
    char args[32];
    bool is_public, has_saved;
} told;

static th_saving *saving; /* that was asked for */
static th_err save_err;   /* what comes of the asking */

static void forget_told(void)
{
    th_on_exit_unref(told.on_exit);
    th_caps_unref(told.caps);
    memset(&told, 0, sizeof told);
}

static void ended(void *context, const th_ended *what)
{
    unsigned count = told.count + 1;

    (void)context;
    forget_told();
    told.count = count;
    told.row = *what->life;
    told.on_exit = th_on_exit_ref(what->on_exit);
    told.caps = th_caps_ref(what->caps);
    snprintf(told.args, sizeof told.args, "%.*s", TH_FMT(th_blob_slice(what->args)));
    told.is_public = what->is_public;
    told.has_saved = what->has_saved;
}

static th_err save(void *context, th_saving *what)
{
    (void)context;
    saving = save_err == TH_OK ? what : NULL;
    return save_err;
}

static th_run counts(th_process *self, th_puppet *puppet)
{
    if (th_process_state(self) == puppet) { /* its first slice */
        starts++;
        th_process_set_state(self, &starts);
    }
    return TH_RUN_ASLEEP;
}

static th_process *spawn_as(const th_spawn *more)
{
    th_spawn spec = *more;
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;

    spec.entry = spec.entry == NULL ? &cast.entry : spec.entry;
    spec.host = &stage.host;
    if (th_kernel_spawn(stage.kernel, &spec, &who, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    th_blob_unref(who.name);
    return th_table_find(stage.kernel, who.pid);
}

static void set(void)
{
    th_kernel_config config = {
        .node = "local", .boot = 1, .shards = 1, .ended = ended, .save = save};

    memset(&stage, 0, sizeof stage);
    memset(&told, 0, sizeof told);
    saving = NULL;
    save_err = TH_OK;
    starts = 0;
    T_EQ(th_world_sim_new(&stage.world, 1), TH_OK);
    config.world = stage.world;
    T_EQ(th_kernel_new(&stage.kernel, &config), TH_OK);
    stage.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(stage.kernel, &stage.host), TH_OK);
    th_puppet_cast(&stage, &cast, "test:a", counts);
    cast.entry.package_number = 1;
    th_puppet_cast(&stage, &listener_cast, "test:listener", counts);
    listener_cast.entry.package_number = 2;
    listener_cast.entry.is_public = true;
    th_stage_enter(&stage, 0);
    listener = spawn_as(
        &(th_spawn){.entry = &listener_cast.entry, .name = TH_SLICE("listener")});
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_kernel_set_life(stage.kernel, TH_LIFE_RUNNING);
    th_stage_strike(&stage);
    forget_told();
}

/* Run what there is to run, in no time. */
static void settle(void)
{
    th_stage_leave(&stage);
    while (th_shard_has_work(&stage.kernel->shards[0])) {
        th_kernel_step(stage.kernel);
    }
    th_stage_enter(&stage, 0);
}

static void end(th_process *process, th_end how)
{
    forget_told();
    th_process_kill(process, th_exit_new(how, how == TH_END_RETURN ? TH_OK : TH_FAILED,
                                         TH_SLICE("so it was told"), TH_FORMAT_BYTES,
                                         TH_SLICE("")));
    settle();
    T_EQ(told.count, 1);
}

static th_on_exit *requests_to(const char *target, th_caps *caps)
{
    th_auto(th_blob) body = th_blob_new(TH_SLICE("it ended"), th_slice_of(NULL, 0));
    th_on_exit_request request = {.target = th_slice_str(target),
                                  .body = body,
                                  .has_metadata = true,
                                  .metadata = TH_SLICE("meta"),
                                  .caps = caps};
    th_on_exit *on_exit;

    T_EQ(th_on_exit_new(&on_exit, &request, 1), TH_OK);
    return on_exit;
}

static th_on_exit *make_on_exit(th_on_exit_kind kind)
{
    return kind == TH_ON_EXIT_REQUESTS ? requests_to("listener:test:local", NULL)
                                       : th_on_exit_plain(kind);
}

static th_cap *issue(const char *issuer)
{
    return th_kernel_issue(stage.kernel, th_slice_str(issuer), TH_CAP_MESSAGING);
}

static th_err resolve(const char *text)
{
    th_id_error error;
    th_pid pid;

    return th_kernel_resolve(stage.kernel, th_slice_str(text), &pid, &error);
}

/* --- Every row ----------------------------------------------------------------------------- */

/* The requests were sent now, in its name. */
static void check_fired(th_pid from, bool should)
{
    th_delivery in;

    T_EQ(th_process_next(listener, &in), should);
    if (should) {
        T_EQ(in.type, TH_ITEM_MSG);
        T_EQ(in.msg->kind, TH_MSG_REQUEST);
        T_TRUE(th_pid_eq(in.msg->source.pid, from));
        T_TRUE(th_slice_is(th_blob_slice(in.msg->source.name), "one"));
        T_TRUE(th_slice_is(th_msg_body(in.msg), "it ended"));
        T_TRUE(th_slice_is(th_msg_metadata(in.msg), "meta"));
        T_TRUE((in.msg->flags & TH_MSG_METADATA) != 0);
        T_TRUE(th_pid_is_none(in.msg->requester)); /* nobody waits */
        th_msg_unref(in.msg);
        T_FALSE(th_process_next(listener, &in));
    }
}

static void check_row(const th_life_row *row)
{
    th_auto(th_on_exit) on_exit = make_on_exit(row->on_exit);
    th_process *one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                                           .args = TH_SLICE("args"),
                                           .is_public = true,
                                           .on_exit = on_exit});
    th_auto(th_cap) of_one = issue("one:test:local");
    th_auto(th_cap) of_other = issue("other:test:local");
    bool comes_again = th_life_comes_again(row);
    th_pid pid = one->ident.pid;

    T_EQ(th_kernel_grant(stage.kernel, pid, of_other), TH_OK);
    th_kernel_set_life(stage.kernel, row->node);
    end(one, row->end);
    T_EQ(told.row.act, row->act);
    T_EQ(told.row.end, row->end);
    T_TRUE(told.on_exit == on_exit);
    T_STR(told.args, "args");
    T_TRUE(told.is_public);
    check_fired(pid, row->act == TH_LIFE_FIRE);
    T_EQ(resolve("one:test:local"), comes_again ? TH_DIED : TH_NOT_FOUND);
    T_EQ(th_caps_count(told.caps), comes_again ? 1 : 0);
    T_EQ(th_cap_is_valid(of_one), comes_again);
    th_kernel_forget(stage.kernel, TH_SLICE("one:test:local"));
    T_FALSE(th_cap_is_valid(of_one)); /* now its life is over in any case */
    T_EQ(resolve("one:test:local"), TH_NOT_FOUND);
}

TEST(kernel_life, every_end_is_followed_by_what_its_row_says)
{
    set();
    for (int on_exit = 0; on_exit < TH_ON_EXIT_KINDS; on_exit++) {
        for (int how = TH_END_RETURN; how <= TH_END_STOP; how++) {
            for (int node = TH_LIFE_BOOTING; node <= TH_LIFE_STOPPING; node++) {
                check_row(th_life_after((th_on_exit_kind)on_exit, (th_end)how,
                                        (th_life_node)node));
            }
        }
    }
    strike();
}

/* --- Requests of an on-exit -------------------------------------------------------------------- */

TEST(kernel_life, requests_bring_their_capabilities_while_these_still_count)
{
    th_auto(th_cap) cap = NULL;
    th_auto(th_caps) caps = NULL;
    th_auto(th_on_exit) on_exit = NULL;
    th_delivery in;

    set();
    cap = issue("other:test:local");
    caps = th_caps_new(&cap, 1);
    on_exit = requests_to("listener:test:local", caps);
    end(spawn_as(&(th_spawn){.name = TH_SLICE("one"), .on_exit = on_exit}),
        TH_END_KILL);
    T_TRUE(th_process_next(listener, &in));
    T_EQ(th_caps_count(in.msg->caps), 1);
    th_msg_unref(in.msg);
    T_EQ(th_process_save_caps(
             listener, &(th_claim){TH_SLICE("other:test:local"), TH_CAP_MESSAGING}, 1),
         TH_OK);
    T_TRUE(
        th_process_has_cap(listener, TH_SLICE("other:test:local"), TH_CAP_MESSAGING));
    strike();
}

/* The end of one whose request goes to @target: is anything told of it? */
static void check_dropped(const char *target, const char *why)
{
    th_auto(th_on_exit) on_exit = requests_to(target, NULL);
    th_process *one =
        spawn_as(&(th_spawn){.name = TH_SLICE("one"), .on_exit = on_exit});
    th_pid pid = one->ident.pid;
    th_auto_buf log = TH_BUF_INIT;
    th_exit *exit = NULL;

    end(one, TH_END_RETURN);
    T_EQ(told.row.act, TH_LIFE_FIRE);
    T_EQ(th_kernel_read_log(stage.kernel, pid, &log, &exit), TH_OK);
    th_exit_unref(exit);
    if (strstr(th_buf_text(&log), why) == NULL) {
        fail_msg("no `%s` in `%s`", why, th_buf_text(&log));
    }
}

TEST(kernel_life, requests_to_who_is_gone_or_may_not_be_told_are_dropped)
{
    th_process *secret;
    th_delivery in;

    set();
    check_dropped("nobody:test:local", th_reason_of(TH_NOT_FOUND)->text);
    check_dropped("other@listener:test:local", th_reason_of(TH_OFFLINE)->text);
    listener_cast.entry.is_public = false;
    secret = spawn_as(
        &(th_spawn){.entry = &listener_cast.entry, .name = TH_SLICE("secret")});
    check_dropped("secret:test:local", th_reason_of(TH_DENIED)->text);
    T_FALSE(th_process_next(secret, &in));
    strike();
}

TEST(kernel_life, requests_to_itself_come_to_nothing)
{
    th_auto(th_on_exit) on_exit = requests_to("one:test:local", NULL);

    set();
    end(spawn_as(&(th_spawn){.name = TH_SLICE("one"), .on_exit = on_exit}),
        TH_END_RETURN);
    T_EQ(told.row.act, TH_LIFE_FIRE);
    strike();
}

TEST(kernel_life, requests_are_sent_with_what_it_held_at_its_end)
{
    th_auto(th_on_exit) on_exit = requests_to("secret:test:local", NULL);
    th_auto(th_cap) cap = NULL;
    th_process *one, *secret;
    th_delivery in;

    set();
    listener_cast.entry.is_public = false;
    secret = spawn_as(
        &(th_spawn){.entry = &listener_cast.entry, .name = TH_SLICE("secret")});
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"), .on_exit = on_exit});
    cap = issue("secret:test:local");
    T_EQ(th_kernel_grant(stage.kernel, one->ident.pid, cap), TH_OK);
    end(one, TH_END_KILL);
    T_TRUE(th_process_next(secret, &in));
    th_msg_unref(in.msg);
    strike();
}

TEST(kernel_life, the_on_exit_that_was_set_last_counts)
{
    th_auto(th_on_exit) requests = NULL;
    th_process *one;

    set();
    requests = requests_to("listener:test:local", NULL);
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                               .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART)});
    T_EQ(th_process_set_on_exit(one, requests), TH_OK);
    T_EQ(th_process_set_on_exit(one, th_on_exit_plain(TH_ON_EXIT_NONE)), TH_OK);
    end(one, TH_END_CRASH);
    T_EQ(told.row.act, TH_LIFE_FORGET);
    check_fired(TH_PID_NONE, false);
    strike();
}

TEST(kernel_life, who_has_no_chosen_name_cannot_come_again)
{
    th_process *one;

    set();
    one = spawn_as(&(th_spawn){0});
    T_EQ(th_process_set_on_exit(one, th_on_exit_plain(TH_ON_EXIT_RESTART)),
         TH_UNSUPPORTED);
    T_EQ(th_process_set_on_exit(one, th_on_exit_plain(TH_ON_EXIT_NONE)), TH_OK);
    strike();
}

TEST(kernel_life, an_entrys_on_exit_holds_where_the_spawn_says_none)
{
    set();
    cast.entry.on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART);
    end(spawn_as(&(th_spawn){.name = TH_SLICE("one")}), TH_END_CRASH);
    T_EQ(told.row.act, TH_LIFE_RESTART);
    th_kernel_forget(stage.kernel, TH_SLICE("one:test:local"));
    end(spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                             .on_exit = th_on_exit_plain(TH_ON_EXIT_NONE)}),
        TH_END_CRASH);
    T_EQ(told.row.act, TH_LIFE_FORGET);
    strike();
}

/* --- Names that come back ------------------------------------------------------------------------ */

static th_err try_spawn(const char *name, bool is_again)
{
    th_spawn spec = {.entry = &cast.entry,
                     .host = &stage.host,
                     .name = th_slice_str(name),
                     .is_again = is_again};
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;
    th_err err = th_kernel_spawn(stage.kernel, &spec, &who, &why);

    if (err == TH_OK) {
        th_blob_unref(who.name);
    }
    return err;
}

TEST(kernel_life, a_name_that_is_awaited_is_nobody_elses)
{
    set();
    T_EQ(th_kernel_await(stage.kernel, TH_SLICE("one:test:local")), TH_OK);
    T_EQ(resolve("one:test:local"), TH_DIED);
    T_EQ(try_spawn("one", false), TH_EXISTS);
    T_EQ(try_spawn("other", false), TH_OK);
    T_EQ(try_spawn("one", true), TH_OK);
    T_EQ(resolve("one:test:local"), TH_OK);
    T_EQ(try_spawn("one", true), TH_EXISTS); /* it lives */
    strike();
}

TEST(kernel_life, a_name_that_is_forgotten_is_free)
{
    set();
    T_EQ(th_kernel_await(stage.kernel, TH_SLICE("one:test:local")), TH_OK);
    th_kernel_forget(stage.kernel, TH_SLICE("one:test:local"));
    T_EQ(resolve("one:test:local"), TH_NOT_FOUND);
    T_EQ(try_spawn("one", false), TH_OK);
    th_kernel_forget(stage.kernel, TH_SLICE("one:test:local")); /* not one who lives */
    T_EQ(resolve("one:test:local"), TH_OK);
    strike();
}

TEST(kernel_life, who_comes_again_has_what_it_held_and_what_it_issued_counts)
{
    th_auto(th_cap) of_one = NULL;
    th_auto(th_cap) of_other = NULL;
    th_process *one;

    set();
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                               .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART)});
    of_one = issue("one:test:local");
    of_other = issue("other:test:local");
    T_EQ(th_kernel_grant(stage.kernel, one->ident.pid, of_other), TH_OK);
    end(one, TH_END_CRASH);
    one = spawn_as(
        &(th_spawn){.name = TH_SLICE("one"), .is_again = true, .caps = told.caps});
    T_TRUE(th_process_has_cap(one, TH_SLICE("other:test:local"), TH_CAP_MESSAGING));
    T_TRUE(th_cap_is_valid(of_one));
    strike();
}

TEST(kernel_life, names_of_the_registry_do_not_come_back)
{
    th_process *one;

    set();
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                               .registered = TH_SLICE("a name"),
                               .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART)});
    end(one, TH_END_CRASH);
    T_EQ(resolve("a name"), TH_NOT_FOUND);
    strike();
}

TEST(kernel_life, the_mail_of_an_earlier_life_is_refused)
{
    th_process *one, *asker;
    th_ask ask = {.timeout_ns = TH_S};
    th_request *request;
    th_delivery in;

    set();
    asker = spawn_as(&(th_spawn){0});
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                               .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART)});
    ask.to = one->ident.pid;
    T_EQ(th_process_request(asker, &ask, th_stage_msg(TH_MSG_REQUEST, "?"), &request),
         TH_OK);
    end(one, TH_END_CRASH);
    T_TRUE(th_process_next(asker, &in));
    T_EQ(th_request_reason(in.request), TH_DIED);
    th_request_free(asker, in.request);
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"), .is_again = true});
    T_FALSE(th_process_next(one, &in));
    strike();
}

/* --- Held processes --------------------------------------------------------------------------------- */

TEST(kernel_life, a_held_process_takes_messages_and_runs_when_it_is_launched)
{
    th_process *one;
    th_delivery in;

    set();
    settle();
    starts = 0;
    one = spawn_as(&(th_spawn){.is_held = true, .is_public = true});
    T_EQ(th_process_send(listener, one->ident.pid, th_stage_msg(TH_MSG_SEND, "x")),
         TH_OK);
    settle();
    T_EQ(starts, 0);
    T_EQ(th_kernel_launch(stage.kernel, one->ident.pid), TH_OK);
    settle();
    T_EQ(starts, 1);
    T_EQ(th_kernel_launch(stage.kernel, one->ident.pid), TH_OK); /* again: nothing */
    settle();
    T_EQ(starts, 1);
    T_TRUE(th_process_next(one, &in));
    th_msg_unref(in.msg);
    T_EQ(th_kernel_launch(stage.kernel, TH_PID_NONE), TH_NOT_FOUND);
    strike();
}

TEST(kernel_life, a_held_process_that_is_killed_never_runs)
{
    set();
    settle();
    starts = 0;
    end(spawn_as(&(th_spawn){.is_held = true}), TH_END_KILL);
    T_EQ(starts, 0);
    strike();
}

TEST(kernel_life, who_is_gone_is_only_there_for_what_it_left)
{
    th_auto(th_on_exit) on_exit = NULL;
    th_process *one;
    th_pid pid;

    set();
    settle();
    starts = 0;
    on_exit = requests_to("listener:test:local", NULL);
    T_EQ(th_kernel_await(stage.kernel, TH_SLICE("one:test:local")), TH_OK);
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one"),
                               .is_again = true,
                               .is_held = true,
                               .is_gone = true,
                               .on_exit = on_exit});
    pid = one->ident.pid;
    end(one, TH_END_KILL);
    T_EQ(starts, 0);
    check_fired(pid, true);
    strike();
}

/* --- What is made durable ------------------------------------------------------------------------------ */

static void drop_job(th_job *job)
{
    (void)job;
}

static th_err spawn_durable_as(th_process *by, const char *name, th_saving *with,
                               th_ident *who)
{
    th_spawn spec = {.entry = &cast.entry,
                     .host = &stage.host,
                     .name = th_slice_str(name),
                     .args = TH_SLICE("args"),
                     .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART),
                     .saving = with};
    th_auto_buf why = TH_BUF_INIT;
    th_err err = th_process_spawn(by, &spec, who, &why);

    T_EQ(err == TH_OK, why.bytes == 0);
    return err;
}

static th_err spawn_durable(th_process *by, th_saving *with, th_ident *who)
{
    return spawn_durable_as(by, "", with, who);
}

static void take_job(th_process *self, const th_saving *what)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_JOB);
    T_TRUE(in.job == &what->job);
}

TEST(kernel_life, a_durable_spawn_runs_once_its_record_is_kept)
{
    th_saving record = {.job = {.dropped = drop_job}};
    th_ident who;

    set();
    settle();
    starts = 0;
    T_EQ(spawn_durable(listener, &record, &who), TH_OK);
    settle();
    T_EQ(starts, 0);
    T_TRUE(saving == &record);
    T_EQ(record.what, TH_SAVE_LIFE);
    T_NOT_NULL(who.name); /* the node made one, so that it can come again */
    T_TRUE(record.id.bytes >
           strlen(":test:local")); /* the same name, and its package */
    T_TRUE(th_slice_eq(th_slice_of(record.id.at, th_blob_slice(who.name).bytes),
                       th_blob_slice(who.name)));
    T_TRUE(th_slice_is(th_blob_slice(record.args), "args"));
    T_EQ(th_on_exit_kind_of(record.on_exit), TH_ON_EXIT_RESTART);
    th_kernel_saved(stage.kernel, saving);
    take_job(listener, &record);
    T_EQ(th_process_spawned(listener, who.pid, &record), TH_OK);
    settle();
    T_EQ(starts, 1);
    th_saving_deinit(&record);
    th_blob_unref(who.name);
    strike();
}

TEST(kernel_life, a_durable_spawn_that_cannot_be_kept_never_was)
{
    th_saving record = {.job = {.dropped = drop_job}};
    th_ident who;

    set();
    settle();
    starts = 0;
    T_EQ(spawn_durable(listener, &record, &who), TH_OK);
    record.err = TH_IO;
    th_kernel_saved(stage.kernel, saving);
    take_job(listener, &record);
    T_EQ(th_process_spawned(listener, who.pid, &record), TH_IO);
    settle();
    T_EQ(starts, 0);
    T_EQ(told.row.act, TH_LIFE_FORGET);
    T_FALSE(th_kernel_is_alive(stage.kernel, who.pid));
    th_saving_deinit(&record);
    th_blob_unref(who.name);
    forget_told();

    record = (th_saving){.job = {.dropped = drop_job}};
    save_err = TH_QUOTA; /* it cannot even be asked for */
    T_EQ(spawn_durable(listener, &record, &who), TH_QUOTA);
    settle();
    T_EQ(starts, 0);
    T_EQ(th_kernel_count(stage.kernel), 1);
    th_saving_deinit(&record);
    strike();
}

TEST(kernel_life, a_spawn_that_cannot_be_kept_voids_nothing_issued_for_its_name_before)
{
    th_saving record = {.job = {.dropped = drop_job}};
    th_cap *cap;
    th_ident who;

    set();
    settle();
    cap = th_kernel_issue(stage.kernel, TH_SLICE("one:test:local"), TH_SLICE("1"));
    T_EQ(spawn_durable_as(listener, "one", &record, &who), TH_OK);
    record.err = TH_IO;
    th_kernel_saved(stage.kernel, saving);
    take_job(listener, &record);
    T_EQ(th_process_spawned(listener, who.pid, &record), TH_IO);
    settle();
    T_FALSE(th_kernel_is_alive(stage.kernel, who.pid));
    T_TRUE(th_cap_is_valid(cap));
    th_cap_unref(cap);
    th_saving_deinit(&record);
    th_blob_unref(who.name);
    strike();
}

TEST(kernel_life, a_durable_child_whose_spawner_ended_meanwhile_lives_or_never_was)
{
    static const th_err outcomes[] = {TH_OK, TH_IO};

    for (int i = 0; i < 4; i++) {
        th_saving record = {.job = {.dropped = drop_job}};
        bool is_told_first = i >= 2; /* but it has not read it */
        th_process *parent;
        th_ident who;

        set();
        parent = spawn_as(&(th_spawn){0});
        settle();
        starts = 0;
        T_EQ(spawn_durable(parent, &record, &who), TH_OK);
        record.err = outcomes[i % 2];
        if (is_told_first) {
            th_kernel_saved(stage.kernel, saving);
        }
        th_process_kill(parent, NULL);
        settle();
        if (!is_told_first) {
            th_kernel_saved(stage.kernel, saving);
        }
        settle();
        T_EQ(starts, record.err == TH_OK);
        T_EQ(th_kernel_is_alive(stage.kernel, who.pid), record.err == TH_OK);
        th_saving_deinit(&record);
        th_blob_unref(who.name);
        strike();
    }
}

TEST(kernel_life, a_durable_child_that_is_to_be_held_waits_for_its_launch)
{
    th_saving record = {.job = {.dropped = drop_job}};
    th_spawn spec = {.entry = &cast.entry,
                     .host = &stage.host,
                     .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART),
                     .is_held = true,
                     .saving = &record};
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;

    set();
    settle();
    starts = 0;
    spec.host = &stage.host;
    T_EQ(th_process_spawn(listener, &spec, &who, &why), TH_OK);
    th_kernel_saved(stage.kernel, saving);
    take_job(listener, &record);
    T_EQ(th_process_spawned(listener, who.pid, &record), TH_OK);
    settle();
    T_EQ(starts, 0);
    T_EQ(th_kernel_launch(stage.kernel, who.pid), TH_OK);
    settle();
    T_EQ(starts, 1);
    th_saving_deinit(&record);
    th_blob_unref(who.name);
    strike();
}

TEST(kernel_life, what_should_survive_is_refused_where_nothing_is_kept)
{
    th_saving record = {.job = {.dropped = drop_job}};
    th_ident who;

    set();
    stage.kernel->config.save = NULL;
    T_EQ(spawn_durable(listener, &record, &who), TH_UNSUPPORTED);
    T_EQ(spawn_durable(listener, NULL, &who), TH_UNSUPPORTED);
    T_EQ(th_process_save(listener, &record), TH_UNSUPPORTED);
    T_EQ(th_kernel_count(stage.kernel), 1);
    strike();
}

TEST(kernel_life, a_saving_says_whose_it_is_and_the_node_hears_that_there_is_state)
{
    th_saving state = {.job = {.dropped = drop_job}, .what = TH_SAVE_STATE};
    th_process *one;

    set();
    one = spawn_as(&(th_spawn){.name = TH_SLICE("one")});
    T_EQ(th_process_save(one, &state), TH_OK);
    T_STR(th_buf_text(&state.id), "one:test:local");
    th_kernel_saved(stage.kernel, saving);
    take_job(one, &state);
    end(one, TH_END_CRASH);
    T_TRUE(told.has_saved);
    th_saving_deinit(&state);
    strike();
}
