#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

/*
 * Who is refused, and why; who is told, and when. Tests move the strings of dolls.
 */

static th_stage stage;
static th_puppet a_cast, b_cast, c_cast;
static th_process *a, *b, *c;
static th_pid b_pid, c_pid; /* for those who may have ended */

static void set(size_t memory_bytes_max)
{
    th_stage_set_with(&stage, 1, 2, memory_bytes_max);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test:b");
    c = th_stage_doll(&stage, &c_cast, "test:c");
    b_pid = b->ident.pid;
    c_pid = c->ident.pid;
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

static th_err send_to(th_process *from, th_process *to, const char *body)
{
    th_msg *msg = th_stage_msg(TH_MSG_SEND, body);
    th_err err = th_process_send(from, to->ident.pid, msg);

    if (err != TH_OK) {
        T_EQ(atomic_load(&msg->refs), 1); /* it stayed with the sender */
        th_msg_unref(msg);
    }
    return err;
}

static th_request *ask(th_process *from, th_pid to)
{
    th_ask ask = {.to = to, .timeout_ns = TH_S, .tag = from};
    th_request *request = NULL;

    T_EQ(th_process_request(from, &ask, th_stage_msg(TH_MSG_REQUEST, "?"), &request),
         TH_OK);
    return request;
}

/* The next thing for @self, which is a message. */
static th_msg *take(th_process *self)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_MSG);
    return in.msg;
}

/* The next thing for @self is a request of its own that came back so. */
static void check_reply(th_process *self, th_err reason)
{
    th_delivery in;

    T_TRUE(th_process_next(self, &in));
    T_EQ(in.type, TH_ITEM_REPLY);
    T_EQ(th_request_reason(in.request), reason);
    th_request_free(self, in.request);
    T_FALSE(th_process_has_next(self));
}

static th_err answer(th_process *self, th_msg *question, const char *body)
{
    th_msg *msg = th_stage_msg(TH_MSG_RESPONSE, body);
    th_err err = th_process_respond(self, question, msg);

    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

static void answer_and_let_go(th_process *self, th_msg *question)
{
    T_EQ(answer(self, question, "!"), TH_OK);
    th_msg_unref(question);
}

/* --- Sends ------------------------------------------------------------------------- */

TEST(route, a_message_arrives_with_its_sender_and_its_charge_goes_with_it)
{
    th_msg *msg;

    set(0);
    T_EQ(send_to(a, b, "hello"), TH_OK);
    T_EQ(TH_MAIL_COUNT(atomic_load(&b->mail)), 1);
    T_EQ(TH_MAIL_BYTES(atomic_load(&b->mail)), TH_MSG_COST_BYTES + 6);
    msg = take(b);
    T_TRUE(th_pid_eq(msg->source.pid, a->ident.pid));
    T_TRUE(th_pid_eq(msg->target, b->ident.pid));
    T_EQ(atomic_load(&b->mail), 0);
    th_msg_unref(msg);
    strike();
}

TEST(route, a_send_to_nobody_or_to_an_earlier_life_is_refused)
{
    th_pid pid;
    th_msg *msg;

    set(0);
    msg = th_stage_msg(TH_MSG_SEND, "x");
    pid = th_pid_make(th_pid_slot(b->ident.pid), th_pid_generation(b->ident.pid) - 1);
    T_EQ(th_process_send(a, TH_PID_NONE, msg), TH_NOT_FOUND);
    T_EQ(th_process_send(a, pid, msg), TH_NOT_FOUND);
    T_EQ(th_process_send(a, th_pid_make(TH_PID_SLOTS_MAX - 1, 1), msg), TH_NOT_FOUND);
    th_msg_unref(msg);
    strike();
}

TEST(route, a_message_that_is_larger_than_the_mailbox_is_refused_however_empty_it_is)
{
    set(0);
    b_cast.entry.limits.mailbox_bytes_max = TH_MSG_COST_BYTES + 2;
    T_EQ(send_to(a, b, "xx"), TH_QUOTA);
    T_EQ(send_to(a, b, "x"), TH_OK);
    T_EQ(atomic_load(&th_shard_self->refused), 1);
    strike();
}

TEST(route, past_half_full_a_send_costs_the_rest_of_the_slice)
{
    set(0);
    b_cast.entry.limits.mailbox_count_max = 4;
    T_EQ(send_to(a, b, "1"), TH_OK);
    T_EQ(send_to(a, b, "2"), TH_OK);
    T_FALSE(th_process_should_yield(a));
    T_EQ(send_to(a, b, "3"), TH_OK);
    T_TRUE(th_process_should_yield(a));
    strike();
}

TEST(route, a_package_that_has_half_of_a_foreign_mailbox_is_refused_past_a_quarter)
{
    set(0);
    b_cast.entry.limits.mailbox_count_max = 16;
    a->package = 1;
    b->is_public = true;
    c->package = 2;
    for (int i = 0; i < 4; i++) {
        T_EQ(send_to(a, b, "flood"), TH_OK);
    }
    T_EQ(send_to(a, b, "flood"), TH_QUOTA);
    for (int i = 0; i < 4; i++) { /* half each, and neither has more */
        T_EQ(send_to(c, b, "other"), TH_OK);
    }
    T_EQ(send_to(c, b, "other"), TH_QUOTA);
    for (int i = 0; i < 8; i++) { /* its own package has the whole */
        T_EQ(send_to(b, b, "own"), TH_OK);
    }
    T_EQ(send_to(b, b, "own"), TH_QUOTA);
    for (int i = 0; i < 16; i++) {
        th_msg_unref(take(b));
    }
    T_EQ(send_to(a, b, "again"), TH_OK);
    strike();
}

TEST(route, what_a_guest_keeps_unread_still_counts_for_its_package)
{
    th_msg *kept[4];

    set(0);
    b_cast.entry.limits.mailbox_count_max = 16;
    a->package = 1;
    b->is_public = true;
    for (int i = 0; i < 4; i++) {
        T_EQ(send_to(a, b, "flood"), TH_OK);
        kept[i] = take(b);
        th_process_keep(b, kept[i]);
    }
    T_EQ(TH_MAIL_COUNT(atomic_load(&b->mail)), 4);
    T_EQ(send_to(a, b, "flood"), TH_QUOTA);
    for (int i = 0; i < 4; i++) {
        th_process_unkeep(b, kept[i]);
        th_msg_unref(kept[i]);
    }
    T_EQ(atomic_load(&b->mail), 0);
    T_EQ(atomic_load(&b->shares[2]), 0); /* package 1: the place after that of 0 */
    T_EQ(send_to(a, b, "again"), TH_OK);
    strike();
}

/* --- Requests ------------------------------------------------------------------------ */

TEST(route, a_request_that_is_refused_comes_back_at_once_with_its_reason)
{
    set(0);
    b_cast.entry.limits.mailbox_count_max = 1;
    T_EQ(send_to(a, b, "in the way"), TH_OK);
    ask(a, b_pid);
    check_reply(a, TH_QUOTA);
    th_stage_end(&stage, b, TH_OK);
    ask(a, b_pid);
    check_reply(a, TH_NOT_FOUND);
    T_EQ(atomic_load(&a->mail), 0);
    strike();
}

TEST(route, a_request_that_waits_in_a_mailbox_comes_back_when_its_process_ends)
{
    set(0);
    ask(a, b_pid);
    th_stage_end(&stage, b, TH_FAILED);
    check_reply(a, TH_DIED);
    strike();
}

TEST(route, a_request_that_was_taken_counts_until_it_is_answered)
{
    th_msg *question;

    set(0);
    ask(a, b_pid);
    question = take(b);
    T_EQ(TH_MAIL_COUNT(atomic_load(&b->mail)), 1);
    answer_and_let_go(b, question);
    T_EQ(atomic_load(&b->mail), 0);
    check_reply(a, TH_OK);
    T_EQ(atomic_load(&a->mail), 0);
    strike();
}

TEST(route, a_request_whose_time_is_over_no_longer_counts)
{
    set(0);
    b_cast.entry.limits.mailbox_count_max = 2;
    for (int i = 0; i < 2; i++) {
        ask(a, b_pid);
        th_msg_unref(take(b)); /* and is silent */
    }
    T_EQ(TH_MAIL_COUNT(atomic_load(&b->mail)), 2);
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    T_EQ(send_to(c, b, "full, and so it looks"), TH_QUOTA);
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    T_EQ(atomic_load(&b->mail), 0);
    T_EQ(send_to(c, b, "now there is room"), TH_OK);
    strike();
}

TEST(route, the_oldest_that_are_over_go_when_others_come)
{
    set(0);
    ask(a, b_pid);
    th_msg_unref(take(b));
    th_stage_leave(&stage);
    th_stage_run(&stage);
    th_stage_enter(&stage, 0);
    ask(a, b_pid);
    th_msg_unref(take(b));
    T_EQ(TH_MAIL_COUNT(atomic_load(&b->mail)), 1);
    strike();
}

TEST(route, whom_nobody_asked_cannot_answer)
{
    th_msg *msg;

    set(0);
    T_EQ(send_to(a, b, "no question"), TH_OK);
    msg = take(b);
    T_EQ(answer(b, msg, "!"), TH_NOT_FOUND);
    th_msg_unref(msg);
    strike();
}

TEST(route, an_answer_too_many_or_to_nobody_is_refused)
{
    th_msg *question;

    set(0);
    ask(a, b_pid);
    question = take(b);
    T_EQ(answer(b, question, "!"), TH_OK);
    T_EQ(answer(b, question, "!"), TH_TIMED_OUT);
    th_msg_unref(question);
    check_reply(a, TH_OK);
    ask(a, b_pid);
    question = take(b);
    th_stage_end(&stage, a, TH_OK);
    T_EQ(answer(b, question, "!"), TH_NOT_FOUND);
    T_EQ(answer(b, question, "!"), TH_TIMED_OUT);
    th_msg_unref(question);
    T_EQ(atomic_load(&b->mail), 0);
    strike();
}

TEST(route, an_answer_that_does_not_fit_may_be_tried_again)
{
    th_msg *question;

    set(0);
    a_cast.entry.limits.mailbox_bytes_max = TH_MSG_COST_BYTES + 10;
    ask(a, b_pid);
    question = take(b);
    T_EQ(answer(b, question, "much too much"), TH_QUOTA);
    T_EQ(answer(b, question, "small"), TH_OK);
    th_msg_unref(question);
    check_reply(a, TH_OK);
    strike();
}

TEST(route, a_full_mailbox_has_room_for_the_answers_that_it_waits_for)
{
    th_msg *question;

    set(0);
    a_cast.entry.limits.mailbox_count_max = 3;
    ask(a, b_pid);
    T_EQ(send_to(c, a, "1"), TH_OK);
    T_EQ(send_to(c, a, "2"), TH_OK);
    T_EQ(send_to(c, a, "3"), TH_QUOTA); /* the slot is reserved */
    question = take(b);
    answer_and_let_go(b, question);
    th_msg_unref(take(a));
    th_msg_unref(take(a));
    check_reply(a, TH_OK);
    strike();
}

/* --- Passing on ---------------------------------------------------------------------- */

static th_msg *pass(th_process *from, th_msg *question, th_pid to)
{
    T_EQ(th_process_forward(from, question, to,
                            th_stage_msg(TH_MSG_REQUEST, "for you")),
         TH_OK);
    return question;
}

TEST(route, the_deadline_goes_with_a_request_that_is_passed_on)
{
    th_msg *question, *passed;

    set(0);
    ask(a, b_pid);
    question = take(b);
    T_EQ(question->deadline_ns, th_world_mono(stage.world).ns + TH_S);
    th_msg_unref(pass(b, question, c_pid));
    T_EQ(atomic_load(&b->mail), 0); /* it owes nothing any more */
    passed = take(c);
    T_EQ(passed->deadline_ns, th_world_mono(stage.world).ns + TH_S);
    T_EQ(passed->hops, 1);
    T_TRUE((passed->flags & TH_MSG_DELEGATED) != 0);
    answer_and_let_go(c, passed);
    check_reply(a, TH_OK);
    strike();
}

TEST(route, the_requester_hears_at_once_when_a_delegate_refuses_is_gone_or_ends)
{
    th_msg *question;

    set(0);
    c_cast.entry.limits.mailbox_count_max = 1;
    T_EQ(send_to(b, c, "in the way"), TH_OK);
    ask(a, b_pid);
    th_msg_unref(pass(b, take(b), c_pid));
    check_reply(a, TH_QUOTA);
    th_msg_unref(take(c));
    ask(a, b_pid);
    th_msg_unref(pass(b, take(b), c_pid));
    th_msg_unref(take(c)); /* it took it */
    th_stage_end(&stage, c, TH_FAILED);
    check_reply(a, TH_DIED);
    ask(a, b_pid);
    question = pass(b, take(b), c_pid);
    check_reply(a, TH_NOT_FOUND);
    T_EQ(answer(b, question, "late"), TH_OK); /* it still may, and nobody hears it */
    th_msg_unref(question);
    T_FALSE(th_process_next(a, &(th_delivery){0}));
    T_EQ(atomic_load(&th_shard_self->late), 1);
    strike();
}

TEST(route, the_one_in_the_middle_may_end_without_harm)
{
    th_msg *passed;

    set(0);
    ask(a, b_pid);
    th_msg_unref(pass(b, take(b), c_pid));
    th_stage_end(&stage, b, TH_FAILED);
    T_FALSE(th_process_has_next(a));
    passed = take(c);
    answer_and_let_go(c, passed);
    check_reply(a, TH_OK);
    strike();
}

TEST(route, passing_on_what_is_settled_is_a_plain_send)
{
    th_msg *question, *sent;

    set(0);
    ask(a, b_pid);
    question = take(b);
    T_EQ(answer(b, question, "!"), TH_OK);
    th_msg_unref(pass(b, question, c_pid));
    sent = take(c);
    T_TRUE(th_pid_is_none(sent->requester));
    th_msg_unref(sent);
    check_reply(a, TH_OK);
    strike();
}

/* --- Memory -------------------------------------------------------------------------- */

TEST(route, a_request_is_refused_whole_when_memory_runs_out)
{
    set(0);
    for (uint64_t n = 0;; n++) {
        th_ask with = {.to = b->ident.pid, .timeout_ns = TH_S};
        th_msg *msg = th_stage_msg(TH_MSG_REQUEST, "?");
        th_request *request;
        th_err err;

        th_mem_fail_after(n);
        err = th_process_request(a, &with, msg, &request);
        th_mem_fail_never();
        if (err == TH_OK) {
            T_TRUE(n > 0);
            break;
        }
        T_EQ(err, TH_QUOTA);
        T_EQ(atomic_load(&msg->refs), 1);
        T_EQ(atomic_load(&a->mail), 0);
        th_msg_unref(msg);
    }
    answer_and_let_go(b, take(b));
    check_reply(a, TH_OK);
    strike();
}

TEST(route, refusals_that_a_program_cannot_see_are_told_at_powers_of_two)
{
    th_auto_buf log = TH_BUF_INIT;
    th_exit *end;
    size_t lines = 0;

    set(0);
    for (int i = 0; i < 1000; i++) {
        th_process_note_refused(a, b->ident.pid, TH_QUOTA);
    }
    T_EQ(atomic_load(&a->refused), 1000);
    T_EQ(th_kernel_read_log(stage.kernel, a->ident.pid, &log, &end), TH_OK);
    for (size_t i = 0; i < log.bytes; i++) {
        lines += log.at[i] == '\n';
    }
    T_EQ(lines, 10); /* 1, 2, 4, ... 512 */
    T_NOT_NULL(strstr(th_buf_text(&log), "512 of this process's one-way messages"));
    T_NOT_NULL(strstr(th_buf_text(&log), "|test:b|"));
    T_NOT_NULL(strstr(th_buf_text(&log), "mailbox is full"));
    strike();
}
