#include "base/test.h"
#include "kernel/kernel.h"
#include "witness/puppet.h"

/*
 * What guests may say about the questions and values that they take: forget, refuse,
 * accept.
 */

static th_stage stage;

static th_msg *message(th_msg_kind kind, th_format format)
{
    th_msg_parts parts = {.kind = kind, .format = format, .body = TH_SLICE("x")};

    return th_msg_new(&parts);
}

static th_run done(th_process *self)
{
    th_process_end(self, th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return TH_RUN_ENDED;
}

/* --- Who asks once, and notes what came of it, and when ------------------------------------ */

#define DEADLINE_S 7

static th_format asked_in; /* the format of the question */
static th_err refused;     /* what it says of itself */

static th_run asks_once(th_process *self, th_puppet *puppet)
{
    th_ask ask = {.to = puppet->peer,
                  .timeout_ns = DEADLINE_S * (uint64_t)TH_S,
                  .refused = refused};
    th_request *request;
    th_delivery in;

    if (puppet->n++ == 0) {
        T_EQ(th_process_request(self, &ask, message(TH_MSG_REQUEST, asked_in),
                                &request),
             TH_OK);
    }
    if (!th_process_next(self, &in)) {
        return TH_RUN_BLOCKED;
    }
    T_EQ(in.type, TH_ITEM_REPLY);
    th_buf_putf(puppet->seen, "%s after %lld s",
                th_reason_of(th_request_reason(in.request))->name,
                (long long)(th_process_now(self).ns / TH_S));
    th_request_free(self, in.request);
    return done(self);
}

static th_run forgets(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    (void)puppet;
    if (!th_process_next(self, &in)) {
        return TH_RUN_BLOCKED;
    }
    th_process_forget(self, in.msg);
    th_process_forget(self, in.msg); /* once is as good as twice */
    th_msg_unref(in.msg);
    return done(self);
}

static void play(th_play *answerer, th_err (*accept)(const th_msg *),
                 const char *outcome)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_auto_buf expected = TH_BUF_INIT;
    th_puppet asker, other;
    th_guest guest;
    int64_t began;

    th_stage_set(&stage, 1, 1);
    began = th_world_mono(stage.world).ns / TH_S;
    th_puppet_cast(&stage, &asker, "test:asker", asks_once);
    th_puppet_cast(&stage, &other, "test:other", answerer);
    guest = *other.entry.guest;
    guest.accept = accept;
    other.entry.guest = &guest;
    asker.seen = &seen;
    asker.peer = th_puppet_spawn(&stage, &other);
    th_puppet_spawn(&stage, &asker);
    th_stage_run(&stage);
    th_buf_putf(&expected, outcome, (long long)began, (long long)began + DEADLINE_S);
    T_STR(th_buf_text(&seen), th_buf_text(&expected));
    th_stage_strike(&stage);
}

TEST(question, one_that_was_forgotten_waits_for_its_deadline)
{
    asked_in = TH_FORMAT_BYTES;
    refused = TH_OK;
    play(forgets, NULL, "timeout after %2$lld s");
}

static th_err nothing(const th_msg *msg)
{
    T_EQ(msg->format, TH_FORMAT_TERM); /* bytes are never asked about */
    return TH_INVALID;
}

TEST(question, a_value_without_a_form_at_the_target_is_refused_at_once)
{
    asked_in = TH_FORMAT_TERM;
    refused = TH_OK;
    play(forgets, nothing, "invalid after %1$lld s");
    asked_in = TH_FORMAT_BYTES;
    play(forgets, nothing, "timeout after %2$lld s");
}

TEST(question, what_its_sender_refuses_comes_back_to_it_as_an_error)
{
    asked_in = TH_FORMAT_BYTES;
    refused = TH_OFFLINE;
    play(forgets, NULL, "offline after %1$lld s");
    refused = TH_OK;
}

/* An answer that has no form at the requester stays with who gave it, who may try again. */
static th_run answers_twice(th_process *self, th_puppet *puppet)
{
    th_msg *answer = message(TH_MSG_RESPONSE, TH_FORMAT_TERM);
    th_delivery in;

    (void)puppet;
    if (!th_process_next(self, &in)) {
        th_msg_unref(answer);
        return TH_RUN_BLOCKED;
    }
    T_EQ(th_process_respond(self, in.msg, answer), TH_INVALID);
    th_msg_unref(answer);
    T_EQ(th_process_respond(self, in.msg, message(TH_MSG_RESPONSE, TH_FORMAT_BYTES)),
         TH_OK);
    th_msg_unref(in.msg);
    return done(self);
}

TEST(question, an_answer_without_a_form_at_the_requester_is_refused_to_the_answerer)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet asker, other;
    th_guest guest;

    asked_in = TH_FORMAT_BYTES;
    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &asker, "test:asker", asks_once);
    th_puppet_cast(&stage, &other, "test:other", answers_twice);
    guest = *asker.entry.guest;
    guest.accept = nothing;
    asker.entry.guest = &guest;
    asker.seen = &seen;
    asker.peer = th_puppet_spawn(&stage, &other);
    th_puppet_spawn(&stage, &asker);
    th_stage_run(&stage);
    T_NOT_NULL(strstr(th_buf_text(&seen), "ok after "));
    th_stage_strike(&stage);
}
