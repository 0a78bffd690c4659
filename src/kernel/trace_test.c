#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

#include <stdio.h>

/*
 * What is seen from outside: messages as they pass, and what a process is at. Tests move
 * the strings of dolls.
 */

static th_stage stage;
static th_puppet a_cast, b_cast, c_cast;
static th_process *a, *b, *c;
static th_buf heard; /* "KIND FROM>TO OUTCOME HOPS", a line each */

static void set(void)
{
    th_stage_set(&stage, 1, 1);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    c = th_stage_doll(&stage, &c_cast, "test:c");
    c_cast.entry.package_number = 1; /* only for those to come */
    th_buf_clear(&heard);
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
    th_buf_deinit(&heard);
    heard = (th_buf)TH_BUF_INIT;
}

static char letter_of(const th_ident *who)
{
    return who->entry == NULL ? '-' : who->entry->id.at[who->entry->id.bytes - 1];
}

static void hear(void *context, const th_traced *what)
{
    th_buf_putf(context, "%s %c>%c %s %u\n", what->kind, letter_of(&what->from),
                letter_of(&what->to),
                what->outcome == TH_OK ? "ok" : th_reason_of(what->outcome)->name,
                what->hops);
}

static th_tracer *trace(th_pid whom)
{
    th_tracer *tracer;

    T_EQ(th_tracer_new(&tracer, stage.kernel, whom, hear, &heard), TH_OK);
    return tracer;
}

static th_msg *take(th_process *self)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    return in.msg;
}

static void send(th_process *from, th_process *to)
{
    T_EQ(th_process_send(from, to->ident.pid, th_stage_msg(TH_MSG_SEND, "x")), TH_OK);
    th_msg_unref(take(to));
}

static th_request *ask(th_process *from, th_process *to)
{
    th_ask ask = {.to = to->ident.pid, .timeout_ns = TH_S};
    th_request *request;

    T_EQ(th_process_request(from, &ask, th_stage_msg(TH_MSG_REQUEST, "?"), &request),
         TH_OK);
    return request;
}

static void answer(th_process *self, th_msg *question)
{
    T_EQ(th_process_respond(self, question, th_stage_msg(TH_MSG_RESPONSE, "!")), TH_OK);
    th_msg_unref(question);
}

static void end_reply(th_process *self)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_REPLY);
    th_request_free(self, in.request);
}

static void expect(const char *lines)
{
    T_STR(heard.bytes == 0 ? "" : th_buf_text(&heard), lines);
    th_buf_clear(&heard);
}

/* --- Traces --------------------------------------------------------------------------- */

TEST(trace, each_message_of_a_process_is_heard_and_no_other)
{
    th_tracer *tracer;

    set();
    tracer = trace(b->ident.pid);
    send(a, b);
    send(b, c);
    send(a, c);
    ask(a, b);
    answer(b, take(b));
    end_reply(a);
    expect("send a>b ok 0\nsend b>c ok 0\nrequest a>b ok 0\nresponse b>a ok 1\n");
    th_tracer_free(tracer);
    send(a, b);
    expect("");
    strike();
}

TEST(trace, of_nobody_is_of_all)
{
    th_tracer *tracer;

    set();
    tracer = trace(TH_PID_NONE);
    send(a, b);
    send(c, a);
    expect("send a>b ok 0\nsend c>a ok 0\n");
    th_tracer_free(tracer);
    strike();
}

TEST(trace, what_is_refused_is_heard_with_its_reason)
{
    th_tracer *tracer;
    th_msg *msg;
    th_pid gone;

    set();
    tracer = trace(a->ident.pid);
    gone = c->ident.pid;
    th_stage_end(&stage, c, TH_OK);
    msg = th_stage_msg(TH_MSG_SEND, "x");
    T_EQ(th_process_send(a, gone, msg), TH_NOT_FOUND);
    T_EQ(atomic_load(&msg->refs), 1);
    th_msg_unref(msg);
    expect("send a>- not_found 0\n");
    b_cast.entry.limits.mailbox_count_max = 0;
    ask(a, b);
    end_reply(a);
    expect("request a>b overloaded 0\nerror b>a overloaded 0\n");
    th_tracer_free(tracer);
    strike();
}

TEST(trace, a_chain_is_heard_link_by_link_by_who_waits_at_its_end)
{
    th_tracer *tracer;
    th_msg *question;

    set();
    tracer = trace(a->ident.pid);
    ask(a, b);
    question = take(b);
    T_EQ(th_process_forward(b, question, c->ident.pid,
                            th_stage_msg(TH_MSG_REQUEST, "?")),
         TH_OK);
    th_msg_unref(question);
    answer(c, take(c));
    end_reply(a);
    expect("request a>b ok 0\nrequest b>c ok 1\nresponse c>a ok 2\n");
    th_tracer_free(tracer);
    strike();
}

TEST(trace, the_end_of_a_request_without_an_answer_is_heard)
{
    th_tracer *tracer;

    set();
    tracer = trace(a->ident.pid);
    ask(a, b);
    th_stage_end(&stage, b, TH_FAILED);
    end_reply(a);
    expect("request a>b ok 0\nerror ->a died 0\n");
    ask(a, c);
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    end_reply(a);
    expect("request a>c ok 0\nerror c>a timeout 0\n");
    th_tracer_free(tracer);
    strike();
}

static th_process *spawn_named(void)
{
    th_spawn spec = {.entry = &c_cast.entry,
                     .host = &stage.host,
                     .name = TH_SLICE("name")};
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;

    T_EQ(th_kernel_spawn(stage.kernel, &spec, &who, &why), TH_OK);
    th_blob_unref(who.name);
    return th_table_find(stage.kernel, who.pid);
}

TEST(trace, of_a_chosen_name_it_hears_the_next_lives_too)
{
    th_process *named;
    th_tracer *tracer;

    set();
    c_cast.entry.package_number = 0;
    named = spawn_named();
    tracer = trace(named->ident.pid);
    send(a, named);
    th_stage_end(&stage, named, TH_OK);
    named = spawn_named();
    send(a, named);
    expect("send a>c ok 0\nsend a>c ok 0\n");
    th_tracer_free(tracer);
    strike();
}

TEST(trace, so_many_may_listen_and_one_who_is_gone_cannot_be_heard)
{
    th_tracer *all[TH_TRACERS_MAX], *more;
    th_pid gone;

    set();
    for (int i = 0; i < TH_TRACERS_MAX; i++) {
        all[i] = trace(a->ident.pid);
    }
    T_EQ(th_tracer_new(&more, stage.kernel, a->ident.pid, hear, &heard), TH_QUOTA);
    for (int i = 0; i < TH_TRACERS_MAX; i++) {
        th_tracer_free(all[i]);
    }
    gone = c->ident.pid;
    th_stage_end(&stage, c, TH_OK);
    T_EQ(th_tracer_new(&more, stage.kernel, gone, hear, &heard), TH_NOT_FOUND);
    T_EQ(atomic_load(&stage.kernel->tracers_count), 0);
    T_NULL(th_tracer_free(NULL));
    strike();
}

/* --- Inspection -------------------------------------------------------------------------- */

static void put_name(void *context, th_slice name)
{
    th_buf_putf(context, "%.*s;", TH_FMT(name));
}

TEST(inspect, a_process_shows_what_it_waits_for_holds_and_is_tied_to)
{
    th_auto_buf names = TH_BUF_INIT;
    th_inspection of;
    th_request *request;
    th_alarm *alarm;
    th_msg *question;

    set();
    request = ask(a, b);
    question = take(b);
    T_EQ(th_alarm_set(a, (th_mono){INT64_MAX / 2}, NULL, &alarm), TH_OK);
    T_EQ(th_process_monitor(a, b->ident.pid), TH_OK);
    T_EQ(th_process_register(a, TH_SLICE("one"), a->ident.pid), TH_OK);
    th_process_next(b, &(th_delivery){0}); /* it hears of the monitor */
    T_EQ(th_kernel_inspect(stage.kernel, a->ident.pid, &of), TH_OK);
    T_EQ(of.requests, 1);
    T_TRUE(th_pid_eq(of.asked.pid, b->ident.pid));
    T_EQ(of.alarms, 1);
    T_EQ(of.watches, 1);
    T_EQ(of.watched, 0);
    T_EQ(of.questions, 0);
    T_FALSE(of.is_held);
    th_inspection_deinit(&of);
    th_kernel_each_name(stage.kernel, a->ident.pid, put_name, &names);
    T_STR(th_buf_text(&names), "one;");
    T_EQ(th_kernel_inspect(stage.kernel, b->ident.pid, &of), TH_OK);
    T_EQ(of.questions, 1);
    T_EQ(of.watched, 1);
    T_EQ(of.requests, 0);
    th_inspection_deinit(&of);

    answer(b, question);
    end_reply(a);
    (void)request;
    th_alarm_drop(a, alarm);
    T_EQ(th_process_unmonitor(a, b->ident.pid), TH_OK);
    th_process_next(b, &(th_delivery){0});
    T_EQ(th_kernel_inspect(stage.kernel, a->ident.pid, &of), TH_OK);
    T_EQ(of.requests + of.alarms + of.watches + of.links, 0);
    T_TRUE(of.asked.entry == NULL);
    th_inspection_deinit(&of);
    T_EQ(th_kernel_inspect(stage.kernel, b->ident.pid, &of), TH_OK);
    T_EQ(of.questions + of.watched, 0);
    th_inspection_deinit(&of);
    T_EQ(th_kernel_inspect(stage.kernel, TH_PID_NONE, &of), TH_NOT_FOUND);
    strike();
}

TEST(inspect, time_counts_for_who_ran_last_before_the_clock_was_looked_at)
{
    th_shard *shard;
    int64_t now_ns;

    set();
    shard = th_shard_self;
    now_ns = shard->now_ns;
    shard->ran = a->ident.pid;
    th_shard_sample(shard, now_ns + 5);
    T_EQ(atomic_load(&a->cpu_ns), 5);
    th_shard_sample(shard, now_ns + 9); /* nobody has run since */
    T_EQ(atomic_load(&a->cpu_ns), 5);
    shard->ran = c->ident.pid;
    th_stage_end(&stage, c,
                 TH_OK); /* one who ended meanwhile is charged with nothing */
    th_shard_sample(shard, now_ns + 10);
    strike();
}
