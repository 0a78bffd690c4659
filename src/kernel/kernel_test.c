#include "kernel/kernel.h"

#include "base/test.h"
#include "witness/puppet.h"
#include "world/world_sim.h"

/*
 * What processes may rely on, each sentence a test; on the simulated world.
 */

static th_stage stage;

static th_msg *message(th_msg_kind kind, const char *body)
{
    th_msg_parts parts = {.kind = kind,
                          .topic = TH_SLICE("t"),
                          .body = th_slice_str(body)};

    return th_msg_new(&parts);
}

static th_run finish(th_process *self, th_end end, th_err reason, const char *error)
{
    th_process_end(self, th_exit_new(end, reason, th_slice_str(error), TH_FORMAT_BYTES,
                                     TH_SLICE("")));
    return TH_RUN_ENDED;
}

static th_run done(th_process *self)
{
    return finish(self, TH_END_RETURN, TH_OK, "");
}

/* Writes down whatever it gets; ends at a message "end", fails at "fail". */
static th_run listener(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    while (th_process_next(self, &in)) {
        if (in.type == TH_ITEM_MSG) {
            th_slice body = th_msg_body(in.msg);
            bool ends = th_slice_is(body, "end"), fails = th_slice_is(body, "fail");

            th_buf_putf(puppet->seen, "%.*s ", TH_FMT(body));
            th_msg_unref(in.msg);
            if (ends) {
                return done(self);
            }
            if (fails) {
                return finish(self, TH_END_CRASH, TH_FAILED, "it failed");
            }
        } else if (in.type == TH_ITEM_EVENT) {
            static const char *const kinds[] = {"EXIT", "DOWN", "UP", "GONE", "CANCEL"};

            th_buf_putf(puppet->seen, "%s:%s ", kinds[in.event->kind],
                        th_reason_of(in.event->reason)->name);
        } else if (in.type == TH_ITEM_TIMER) {
            th_buf_putf(puppet->seen, "timer ");
            th_alarm_drop(self, in.alarm);
        } else if (in.type == TH_ITEM_REPLY) {
            const th_msg *response = th_request_response(in.request);
            th_blob *context = th_request_context(in.request);

            th_buf_putf(puppet->seen, "reply:%s:%.*s:%.*s ",
                        th_reason_of(th_request_reason(in.request))->name,
                        TH_FMT(response == NULL ? TH_SLICE("-")
                                                : th_msg_body(response)),
                        TH_FMT(th_blob_slice(context)));
            th_request_free(self, in.request);
        }
    }
    return TH_RUN_BLOCKED;
}

static th_run ends_at_once(th_process *self, th_puppet *puppet)
{
    (void)puppet;
    return done(self);
}

/* --- Messages ---------------------------------------------------------------------- */

static th_run counts_to_nine(th_process *self, th_puppet *puppet)
{
    for (int i = 0; i < 9; i++) {
        char text[2] = {(char)('1' + i), 0};

        T_EQ(th_process_send(self, puppet->peer, message(TH_MSG_SEND, text)), TH_OK);
    }
    return done(self);
}

TEST(kernel, messages_of_one_sender_arrive_in_order)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet sender, receiver;

    for (uint64_t seed = 1; seed < 20; seed++) {
        th_buf_clear(&seen);
        th_stage_set(&stage, seed, 3);
        th_puppet_cast(&stage, &receiver, "test:receiver", listener);
        th_puppet_cast(&stage, &sender, "test:sender", counts_to_nine);
        receiver.seen = &seen;
        sender.peer = th_puppet_spawn(&stage, &receiver);
        th_puppet_spawn(&stage, &sender);
        th_stage_run(&stage);
        T_STR(th_buf_text(&seen), "1 2 3 4 5 6 7 8 9 ");
        T_EQ(th_kernel_count(stage.kernel), 1);
        th_stage_strike(&stage);
        T_EQ(receiver.drops, 1);
        T_EQ(sender.drops, 1);
    }
}

static th_run sends_to_the_dead(th_process *self, th_puppet *puppet)
{
    th_msg *msg = message(TH_MSG_SEND, "x");

    T_EQ(th_process_send(self, puppet->peer, msg), TH_NOT_FOUND);
    th_msg_unref(msg);
    puppet->n++;
    return done(self);
}

TEST(kernel, a_send_to_a_dead_process_is_refused)
{
    th_puppet dead, sender;

    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &dead, "test:dead", ends_at_once);
    th_puppet_cast(&stage, &sender, "test:sender", sends_to_the_dead);
    sender.peer = th_puppet_spawn(&stage, &dead);
    th_stage_run(&stage);
    th_puppet_spawn(&stage, &sender);
    th_stage_run(&stage);
    T_EQ(sender.n, 1);
    th_stage_strike(&stage);
}

static th_run fills_a_mailbox(th_process *self, th_puppet *puppet)
{
    for (;;) {
        th_msg *msg = message(TH_MSG_SEND, "0123456789");
        th_err err = th_process_send(self, puppet->peer, msg);

        if (err != TH_OK) {
            T_EQ(err, TH_QUOTA);
            th_msg_unref(msg);
            return done(self);
        }
        puppet->n++;
    }
}

static th_run never_reads(th_process *self, th_puppet *puppet)
{
    (void)self;
    (void)puppet;
    return TH_RUN_ASLEEP;
}

TEST(kernel, a_full_mailbox_refuses_by_count_and_by_bytes)
{
    th_puppet sender, receiver;

    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        th_stage_set(&stage, 1, 1);
        th_puppet_cast(&stage, &receiver, "test:receiver", never_reads);
        th_puppet_cast(&stage, &sender, "test:sender", fills_a_mailbox);
        if (by_bytes) {
            receiver.entry.limits.mailbox_bytes_max = 10 * (TH_MSG_COST_BYTES + 11);
        } else {
            receiver.entry.limits.mailbox_count_max = 10;
        }
        sender.peer = th_puppet_spawn(&stage, &receiver);
        th_puppet_spawn(&stage, &sender);
        th_stage_run(&stage);
        T_EQ(sender.n, 10);
        th_stage_strike(&stage);
    }
}

/* --- Requests ---------------------------------------------------------------------- */

static th_run asks(th_process *self, th_puppet *puppet)
{
    if (puppet->n++ == 0) {
        th_auto(th_blob) context = th_blob_new(TH_SLICE("ctx"), th_slice_of(NULL, 0));
        th_ask ask = {.to = puppet->peer, .timeout_ns = TH_S, .context = context};
        th_request *request;

        T_EQ(th_process_request(self, &ask, message(TH_MSG_REQUEST, "?"), &request),
             TH_OK);
    }
    return listener(self, puppet);
}

/* Answers each request twice; the second is refused. */
static th_run answers(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    (void)puppet;
    while (th_process_next(self, &in)) {
        th_msg *late = message(TH_MSG_RESPONSE, "late");

        T_EQ(in.type, TH_ITEM_MSG);
        T_EQ(th_process_respond(self, in.msg, message(TH_MSG_RESPONSE, "!")), TH_OK);
        T_EQ(th_process_respond(self, in.msg, late), TH_TIMED_OUT);
        th_msg_unref(late);
        th_msg_unref(in.msg);
    }
    return TH_RUN_BLOCKED;
}

/* Takes requests and keeps silent about them; ends at its second slice. */
static th_run takes_and_ends(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    while (th_process_next(self, &in)) {
        th_msg_unref(in.msg);
        puppet->n++;
    }
    return puppet->n == 0 ? TH_RUN_BLOCKED : done(self);
}

static th_run takes_and_keeps_silent(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    (void)puppet;
    while (th_process_next(self, &in)) {
        th_msg_unref(in.msg);
    }
    return TH_RUN_BLOCKED;
}

static void ask_one(th_play *answerer, const char *expected)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet asker, other;

    for (uint64_t seed = 1; seed < 10; seed++) {
        th_buf_clear(&seen);
        th_stage_set(&stage, seed, 2);
        th_puppet_cast(&stage, &other, "test:other", answerer);
        th_puppet_cast(&stage, &asker, "test:asker", asks);
        asker.seen = &seen;
        asker.peer = th_puppet_spawn(&stage, &other);
        th_puppet_spawn(&stage, &asker);
        th_stage_run(&stage);
        T_STR(th_buf_text(&seen), expected);
        th_stage_strike(&stage);
    }
}

TEST(kernel, a_request_gets_its_response_and_its_context_and_no_second_one)
{
    ask_one(answers, "reply:ok:!:ctx ");
}

TEST(kernel, a_request_to_one_who_is_silent_times_out)
{
    ask_one(takes_and_keeps_silent, "reply:timeout:-:ctx ");
}

TEST(kernel, a_request_whose_taker_ends_gets_its_error_at_once)
{
    ask_one(takes_and_ends, "reply:died:-:ctx ");
}

TEST(kernel, a_request_that_is_never_taken_gets_its_error_at_once)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet asker, dead;

    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &dead, "test:dead", ends_at_once);
    th_puppet_cast(&stage, &asker, "test:asker", asks);
    asker.seen = &seen;
    asker.peer = th_puppet_spawn(&stage, &dead);
    th_stage_run(&stage);
    th_puppet_spawn(&stage, &asker);
    th_stage_run(&stage);
    T_STR(th_buf_text(&seen), "reply:not_found:-:ctx ");
    th_stage_strike(&stage);
}

static th_run forwards(th_process *self, th_puppet *puppet)
{
    th_delivery in;

    while (th_process_next(self, &in)) {
        th_auto(th_msg) question = in.msg;

        T_EQ(th_process_forward(self, question, puppet->peer,
                                message(TH_MSG_REQUEST, "for another")),
             TH_OK);
    }
    return puppet->n == 0 ? TH_RUN_BLOCKED : done(self);
}

static void ask_through_one(th_play *answerer, bool is_dead, const char *expected)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet asker, middle, last;

    for (uint64_t seed = 1; seed < 10; seed++) {
        th_buf_clear(&seen);
        th_stage_set(&stage, seed, 2);
        th_puppet_cast(&stage, &last, "test:last", answerer);
        th_puppet_cast(&stage, &middle, "test:middle", forwards);
        th_puppet_cast(&stage, &asker, "test:asker", asks);
        asker.seen = &seen;
        middle.peer = th_puppet_spawn(&stage, &last);
        if (is_dead) {
            th_stage_run(&stage);
        }
        asker.peer = th_puppet_spawn(&stage, &middle);
        th_puppet_spawn(&stage, &asker);
        th_stage_run(&stage);
        T_STR(th_buf_text(&seen), expected);
        th_stage_strike(&stage);
    }
}

TEST(kernel, a_forwarded_request_is_answered_directly)
{
    ask_through_one(answers, false, "reply:ok:!:ctx ");
}

TEST(kernel, the_requester_hears_at_once_when_the_delegate_ends)
{
    ask_through_one(takes_and_ends, false, "reply:died:-:ctx ");
}

TEST(kernel, the_requester_hears_at_once_when_the_delegate_is_gone)
{
    ask_through_one(ends_at_once, true, "reply:not_found:-:ctx ");
}

/* --- Links and monitors ------------------------------------------------------------------ */

typedef struct tie_row {
    const char *order; /* what the target is told to do */
    bool links, traps, undoes;
    const char *seen;  /* by the watcher */
    const char *ended; /* who ended, and how */
} tie_row;

static const tie_row *row;

static th_run watches(th_process *self, th_puppet *puppet)
{
    if (puppet->n++ == 0) {
        th_process_set_traps_links(self, row->traps);
        T_EQ(row->links ? th_process_link(self, puppet->peer)
                        : th_process_monitor(self, puppet->peer),
             TH_OK);
        if (row->undoes) {
            T_EQ(row->links ? th_process_unlink(self, puppet->peer)
                            : th_process_unmonitor(self, puppet->peer),
                 TH_OK);
        }
        T_EQ(th_process_send(self, puppet->peer, message(TH_MSG_SEND, row->order)),
             TH_OK);
    }
    return listener(self, puppet);
}

TEST(kernel, links_and_monitors_tell_what_the_table_says)
{
    static const tie_row rows[] = {
        {"end", false, false, false, "EXIT:ok ", "test:target ok \n"},
        {"fail", false, false, false, "EXIT:failed ", "test:target failed it failed\n"},
        {"end", false, false, true, "", "test:target ok \n"},
        {"end", true, false, false, "", "test:target ok \n"},
        {"end", true, true, false, "", "test:target ok \n"},
        {"fail", true, true, false, "DOWN:failed ", "test:target failed it failed\n"},
        {"fail", true, false, true, "", "test:target failed it failed\n"},
        {"fail", true, false, false, "", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint64_t seed = 1; seed < 10; seed++) {
            th_auto_buf seen = TH_BUF_INIT, ignored = TH_BUF_INIT;
            th_puppet watcher, target;

            row = &rows[i];
            th_stage_set(&stage, seed, 2);
            th_puppet_cast(&stage, &target, "test:target", listener);
            th_puppet_cast(&stage, &watcher, "test:watcher", watches);
            watcher.seen = &seen;
            target.seen = &ignored;
            watcher.peer = th_puppet_spawn(&stage, &target);
            th_puppet_spawn(&stage, &watcher);
            th_stage_run(&stage);
            T_STR(th_buf_text(&seen), row->seen);
            if (row->ended != NULL) {
                T_STR(th_buf_text(&stage.ended), row->ended);
            } else {
                T_NOT_NULL(strstr(th_buf_text(&stage.ended),
                                  "test:watcher linked_process_failed linked process "
                                  "failed: {local@system:processes|test:target|"));
            }
            th_stage_strike(&stage);
        }
    }
}

/* --- Time, cancel, kill ---------------------------------------------------------------------- */

static th_run sets_an_alarm(th_process *self, th_puppet *puppet)
{
    if (puppet->n++ == 0) {
        th_alarm *alarm, *other;
        th_mono soon = {th_process_now(self).ns + TH_S};

        T_EQ(th_alarm_set(self, soon, NULL, &alarm), TH_OK);
        T_EQ(th_alarm_set(self, soon, NULL, &other), TH_OK);
        th_alarm_drop(self, other);
    }
    return listener(self, puppet);
}

TEST(kernel, an_alarm_fires_once_and_a_dropped_one_never)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet puppet;

    th_stage_set(&stage, 1, 2);
    th_puppet_cast(&stage, &puppet, "test:puppet", sets_an_alarm);
    puppet.seen = &seen;
    th_puppet_spawn(&stage, &puppet);
    th_stage_run(&stage);
    T_STR(th_buf_text(&seen), "timer ");
    th_stage_strike(&stage);
}

static th_run cancels(th_process *self, th_puppet *puppet)
{
    T_EQ(th_process_cancel(self, puppet->peer, 5 * TH_S, puppet->n != 0, TH_SLICE("")),
         TH_OK);
    return done(self);
}

TEST(kernel, an_enforced_cancel_ends_who_ignores_it_at_its_deadline)
{
    for (int enforced = 0; enforced < 2; enforced++) {
        th_auto_buf seen = TH_BUF_INIT;
        th_puppet target, other;
        int64_t began;

        th_stage_set(&stage, 1, 2);
        th_puppet_cast(&stage, &target, "test:target", listener);
        th_puppet_cast(&stage, &other, "test:other", cancels);
        target.seen = &seen;
        other.n = enforced;
        other.peer = th_puppet_spawn(&stage, &target);
        th_puppet_spawn(&stage, &other);
        began = th_world_mono(stage.world).ns;
        th_stage_run(&stage);
        T_STR(th_buf_text(&seen), "CANCEL:ok ");
        T_EQ(th_kernel_count(stage.kernel), enforced ? 0 : 1);
        if (enforced) {
            T_TRUE(th_world_mono(stage.world).ns - began >= 5 * TH_S);
            T_TRUE(th_world_mono(stage.world).ns - began < 5 * TH_S + 5 * TH_MS);
        }
        th_stage_strike(&stage);
    }
}

static th_run tries_to_end_its_peer(th_process *self, th_puppet *puppet)
{
    if (puppet->n++ == 0) {
        T_EQ(th_process_terminate(self, puppet->peer), TH_DENIED);
        T_EQ(th_process_cancel(self, puppet->peer, 0, true, TH_SLICE("")), TH_DENIED);
        T_EQ(th_process_cancel(self, puppet->peer, TH_S, false, TH_SLICE("")),
             TH_DENIED);
        T_EQ(th_process_link(self, puppet->peer), TH_DENIED);
        T_EQ(th_process_monitor(self, puppet->peer), TH_OK);
    }
    th_process_end(self, NULL);
    return TH_RUN_ENDED;
}

TEST(kernel, a_guest_cannot_end_a_process_of_the_node)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet guest, own;

    th_stage_set(&stage, 1, 2);
    th_puppet_cast(&stage, &own, "test:own", listener);
    th_puppet_cast(&stage, &guest, "test:guest", tries_to_end_its_peer);
    guest.entry.package_number = 2;
    own.seen = &seen;
    guest.peer = th_puppet_spawn(&stage, &own);
    th_puppet_spawn(&stage, &guest);
    th_stage_run(&stage);
    T_NULL(strstr(th_buf_text(&stage.ended), "test:own"));
    T_NOT_NULL(strstr(th_buf_text(&stage.ended), "test:guest"));
    th_stage_strike(&stage);
}

TEST(kernel, a_killed_process_runs_no_more_and_says_who_asked)
{
    th_auto_buf seen = TH_BUF_INIT;
    th_puppet target;
    th_pid pid;

    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &target, "test:target", listener);
    target.seen = &seen;
    pid = th_puppet_spawn(&stage, &target);
    T_EQ(th_kernel_kill(stage.kernel, pid, TH_SLICE("by the owner")), TH_OK);
    th_stage_run(&stage);
    T_STR(th_buf_text(&stage.ended), "test:target killed by the owner\n");
    T_EQ(th_kernel_kill(stage.kernel, pid, TH_SLICE("again")), TH_NOT_FOUND);
    T_FALSE(th_kernel_is_alive(stage.kernel, pid));
    th_stage_strike(&stage);
}

/* --- Names --------------------------------------------------------------------------------------- */

static th_run names(th_process *self, th_puppet *puppet)
{
    th_pid own = th_process_ident(self)->pid, found = {0};
    th_id_error error;

    if (puppet->n++ > 0) {
        return listener(self, puppet);
    }
    T_EQ(th_process_register(self, TH_SLICE("me"), own), TH_OK);
    T_EQ(th_process_register(self, TH_SLICE("me"), own), TH_OK);
    T_EQ(th_process_register(self, TH_SLICE("me"), puppet->peer), TH_EXISTS);
    T_EQ(th_process_register(self, TH_SLICE("you"), puppet->peer), TH_OK);
    T_EQ(th_process_register(self, TH_SLICE("{a|b:c|d}"), own), TH_INVALID);
    T_EQ(th_process_register(self, TH_SLICE("a:b:c"), own), TH_INVALID);
    T_EQ(th_process_register(self, TH_SLICE(""), own), TH_INVALID);
    T_EQ(th_process_resolve(self, TH_SLICE("me"), &found, &error), TH_OK);
    T_TRUE(th_pid_eq(found, own));
    T_EQ(th_process_resolve(self, th_process_pid_text(self), &found, &error), TH_OK);
    T_TRUE(th_pid_eq(found, own));
    T_EQ(th_process_resolve(self, TH_SLICE("{system:processes|test:peer|1-99-1}"),
                            &found, &error),
         TH_NOT_FOUND);
    T_EQ(th_process_resolve(self, TH_SLICE("{nowhere"), &found, &error), TH_INVALID);
    T_EQ(th_process_resolve(self, TH_SLICE("elsewhere@a:b:c"), &found, &error),
         TH_OFFLINE);
    T_EQ(th_process_unregister(self, TH_SLICE("me")), TH_OK);
    T_EQ(th_process_unregister(self, TH_SLICE("me")), TH_NOT_FOUND);
    return TH_RUN_BLOCKED;
}

TEST(kernel, names_mean_one_process_until_its_end)
{
    th_puppet puppet, peer;
    th_pid pid, found;
    th_id_error error;

    th_stage_set(&stage, 1, 2);
    th_puppet_cast(&stage, &peer, "test:peer", never_reads);
    th_puppet_cast(&stage, &puppet, "test:puppet", names);
    pid = puppet.peer = th_puppet_spawn(&stage, &peer);
    puppet.peer = pid;
    th_puppet_spawn(&stage, &puppet);
    th_stage_run(&stage);
    T_EQ(th_kernel_resolve(stage.kernel, TH_SLICE("you"), &found, &error), TH_OK);
    T_TRUE(th_pid_eq(found, pid));
    T_EQ(th_kernel_kill(stage.kernel, pid, TH_SLICE("")), TH_OK);
    th_stage_run(&stage);
    T_EQ(th_kernel_resolve(stage.kernel, TH_SLICE("you"), &found, &error),
         TH_NOT_FOUND);
    th_stage_strike(&stage);
}

TEST(kernel, a_chosen_name_is_unique_in_its_package_and_found_by_both_texts)
{
    th_auto_buf why = TH_BUF_INIT, text = TH_BUF_INIT;
    th_puppet puppet;
    th_spawn spec = {.host = &stage.host, .name = TH_SLICE("chosen")};
    th_ident ident, second;
    th_pid found;
    th_id_error error;

    th_stage_set(&stage, 1, 2);
    th_puppet_cast(&stage, &puppet, "test:puppet", never_reads);
    spec.entry = &puppet.entry;
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_OK);
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &second, &why), TH_EXISTS);
    spec.name = TH_SLICE("1-2-3");
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &second, &why), TH_INVALID);
    th_kernel_address_text(stage.kernel, &ident, &text);
    T_STR(th_buf_text(&text), "local@chosen:test:local");
    T_EQ(th_kernel_resolve(stage.kernel, th_buf_slice(&text), &found, &error), TH_OK);
    T_TRUE(th_pid_eq(found, ident.pid));
    th_buf_clear(&text);
    th_kernel_pid_text(stage.kernel, &ident, &text);
    T_STR(th_buf_text(&text), "{local@system:processes|test:puppet|chosen}");
    T_EQ(th_kernel_resolve(stage.kernel, th_buf_slice(&text), &found, &error), TH_OK);
    T_TRUE(th_pid_eq(found, ident.pid));
    T_EQ(th_kernel_resolve(stage.kernel, TH_SLICE("our@chosen:test:local"), &found,
                           &error),
         TH_OK);
    th_blob_unref(ident.name);
    th_stage_strike(&stage);
}

/* --- Limits ---------------------------------------------------------------------------------------- */

TEST(kernel, a_host_and_a_node_refuse_processes_above_their_limit)
{
    th_auto_buf why = TH_BUF_INIT;
    th_puppet puppet;
    th_spawn spec = {.host = &stage.host};
    th_ident ident;

    th_stage_set(&stage, 1, 1);
    stage.host.processes_max = 2;
    th_puppet_cast(&stage, &puppet, "test:puppet", never_reads);
    spec.entry = &puppet.entry;
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_OK);
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_OK);
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_QUOTA);
    T_STR(th_buf_text(&why), "the host system:processes has its limit of 2 processes");
    th_stage_strike(&stage);
}

/* --- The node's own ------------------------------------------------------------- */

static th_run never_done(th_process *self, th_puppet *puppet)
{
    (void)self;
    puppet->n++;
    return TH_RUN_YIELDED;
}

static th_err module_start(th_process *self, th_buf *why)
{
    (void)self;
    (void)why;
    return TH_OK;
}

static th_run module_run(th_process *self)
{
    int *runs = th_process_ident(self)->entry->program;

    (*runs)++;
    return TH_RUN_YIELDED;
}

static void module_drop(th_process *self)
{
    (void)self;
}

TEST(kernel, the_nodes_own_modules_run_before_all_who_wait_and_then_in_their_turn)
{
    static const th_guest guest = {.name = "module",
                                   .is_urgent = true,
                                   .start = module_start,
                                   .run = module_run,
                                   .drop = module_drop};
    int runs = 0;
    th_entry entry = {.id = TH_SLICE("test:module"),
                      .package = TH_SLICE("test"),
                      .publisher = TH_SLICE("local"),
                      .limits = th_limits_default,
                      .guest = &guest,
                      .program = &runs};
    th_spawn spec = {.entry = &entry};
    th_auto_buf why = TH_BUF_INIT;
    th_puppet busy;
    th_ident ident;

    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &busy, "test:busy", never_done);
    for (int i = 0; i < 200; i++) {
        th_puppet_spawn(&stage, &busy);
    }
    T_EQ(th_kernel_add_entry(stage.kernel, &entry), TH_OK);
    spec.host = &stage.host;
    T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_OK);
    for (int i = 0; i < 3; i++) {
        T_TRUE(th_kernel_step(stage.kernel));
    }
    T_EQ(runs, 1); /* it goes on, and so it waits */
    for (int i = 0; i < 200; i++) {
        T_TRUE(th_kernel_step(stage.kernel));
    }
    T_EQ(runs, 2);
    T_TRUE(busy.n >= 200);
    th_stage_strike(&stage);
}
