#include "base/test.h"
#include "guest/wasm/wasm_cast.h"

#include <stdio.h>

/*
 * What a Wasm process is told: how others end, that it is to end, and that its response
 * found no room.
 */

#define KERNEL "send our@kernel:distro:sys "

/* --- Monitors and links ------------------------------------------------------------------- */

TEST(wasm_told, a_monitor_is_told_how_a_process_ends)
{
    static const char *const ends[][2] = {
        {"do\nend", "\"reason\":null,\"error\":null,\"value\":null}}"},
        {"do\ntrap", "\"reason\":\"failed\",\"error\":\"wasm trap: "},
    };

    for (size_t i = 0; i < 2; i++) {
        th_wasm_cast_open(0);
        th_wasm_cast_add("c");
        th_wasm_tell("b", "do\n" KERNEL "wc {\"Monitor\":\"c:test:local\"}", NULL);
        th_wasm_stage_saw(&cast.stage, "got response \"Ok\" from kernel no blob\n");
        th_wasm_tell("c", ends[i][0], NULL);
        th_wasm_stage_saw(&cast.stage,
                          "got request {\"Exit\":{\"process\":\"local@c:test:local\","
                          "\"pid\":\"{local@system:processes|test:play|c}\",");
        th_wasm_stage_saw(&cast.stage, ends[i][1]);
        th_wasm_cast_close();
    }
}

TEST(wasm_told, who_monitors_no_more_is_told_nothing)
{
    th_wasm_cast_open(0);
    th_wasm_cast_add("c");
    th_wasm_tell("b",
                 "do\n" KERNEL "- {\"Monitor\":\"our@c:test:local\"}\n" KERNEL
                 "ec {\"Unmonitor\":\"our@c:test:local\"}",
                 NULL);
    th_wasm_stage_saw(&cast.stage, "got response \"Ok\" from kernel context ctx");
    th_wasm_tell("c", "do\nend", NULL);
    T_FALSE(th_wasm_cast_saw("\"Exit\""));
    th_wasm_cast_close();
}

TEST(wasm_told, what_cannot_be_monitored_is_answered_with_its_reason)
{
    th_wasm_cast_open(0);
    th_wasm_tell("b",
                 "do\n" KERNEL "w {\"Monitor\":\"nobody:test:local\"}\n" KERNEL
                 "w {\"Monitor\":\"No Name:x:y\"}\n" KERNEL
                 "w {\"Monitor\":\"witness:test:local\"}\n" KERNEL
                 "w {\"Monitor\":\"witness:test:local\"}",
                 NULL);
    th_wasm_stage_saw(&cast.stage, "{\"Err\":{\"reason\":\"not_found\",\"message\":\"");
    th_wasm_stage_saw(&cast.stage, "{\"Err\":{\"reason\":\"invalid\",\"message\":\"");
    th_wasm_stage_saw(&cast.stage, "got response \"Ok\"");
    th_wasm_stage_saw(&cast.stage, "{\"Err\":{\"reason\":\"already_exists\"");
    th_wasm_cast_close();
}

TEST(wasm_told, other_commands_go_to_the_process_of_that_name)
{
    static const char *const others[] = {"\"Shutdown\"", "{\"Monitor\":1}",
                                         "{\"Monitor\":\"c:test:local\",\"x\":1}",
                                         "{\"KillProcess\":\"c:test:local\"}"};

    for (size_t i = 0; i < 4; i++) {
        char line[200];

        th_wasm_cast_open(0);
        snprintf(line, sizeof line, "do\n" KERNEL "w %s", others[i]);
        th_wasm_tell("b", line, NULL);
        snprintf(line, sizeof line, "got timeout %s to kernel", others[i]);
        th_wasm_stage_saw(&cast.stage, line); /* there is none on this stage */
        th_wasm_cast_close();
    }
}

TEST(wasm_told, a_failed_link_ends_the_other_unless_that_traps_links)
{
    for (int traps = 0; traps < 2; traps++) {
        th_wasm_cast_open(0);
        th_wasm_cast_add("c");
        if (traps) {
            th_wasm_tell("b", "do\n" KERNEL "w {\"TrapLinks\":true}", NULL);
        }
        th_wasm_tell("b", "do\n" KERNEL "w {\"Link\":\"c:test:local\"}", NULL);
        th_wasm_tell("c", "do\ntrap", NULL);
        if (traps) {
            th_wasm_stage_saw(&cast.stage, "got request {\"LinkDown\":{\"process\":");
            th_wasm_tell("b", "still there", NULL);
            th_wasm_stage_saw(&cast.stage, "got request still there");
        } else {
            th_wasm_stage_saw(&cast.stage,
                              "play ended linked_process_failed linked process failed");
        }
        th_wasm_cast_close();
    }
}

TEST(wasm_told, who_unlinks_lives_on)
{
    th_wasm_cast_open(0);
    th_wasm_cast_add("c");
    th_wasm_tell("b",
                 "do\n" KERNEL "w {\"Link\":\"c:test:local\"}\n" KERNEL
                 "w {\"Unlink\":\"c:test:local\"}",
                 NULL);
    th_wasm_tell("c", "do\ntrap", NULL);
    th_wasm_tell("b", "still there", NULL);
    th_wasm_stage_saw(&cast.stage, "got request still there");
    th_wasm_cast_close();
}

TEST(wasm_told, a_link_to_what_it_may_not_end_is_refused)
{
    th_wasm_cast_open(1);
    cast.stage.package_number = 2;
    th_wasm_stage_spawn(&cast.stage, th_wasm_stage_guest(&cast.stage, "echo"), "echo");
    th_wasm_tell("b", "do\n" KERNEL "w {\"Link\":\"echo:test:local\"}", NULL);
    th_wasm_stage_saw(&cast.stage, "{\"Err\":{\"reason\":\"not_permitted\"");
    th_wasm_cast_close();
}

TEST(wasm_told, the_prompt_and_the_blob_are_those_of_before_a_command_that_it_awaited)
{
    th_wasm_cast_open(0);
    th_wasm_ask("b", "wait", "of the question");
    th_wasm_tell("b",
                 "do\n" KERNEL "w {\"NotifyStop\":true}\nrespond i after the command",
                 "of the line");
    th_wasm_stage_saw(&cast.stage,
                      "asker: answer after the command, blob of the question, 0 ");
    th_wasm_cast_close();
}

/* --- To be told of a stop -------------------------------------------------------------------- */

/* Asks B to end within 7 s. */
static void canceller(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_id_error error;
    th_pid target;

    if (in == NULL) {
        T_EQ(th_process_resolve(self, TH_SLICE("b:test:local"), &target, &error),
             TH_OK);
        T_EQ(th_process_cancel(self, target, 7 * TH_S, true, TH_SLICE("time to go")),
             TH_OK);
        actor->is_over = true;
    }
}

static void cancel(void)
{
    th_wasm_stage_spawn(&cast.stage,
                        th_wasm_stage_actor(&cast.stage, "canceller", canceller), NULL);
    th_wasm_pause();
}

TEST(wasm_told, who_wants_to_is_told_that_it_is_to_end)
{
    th_wasm_cast_open(0);
    th_wasm_tell("b", "do\n" KERNEL "w {\"NotifyStop\":true}", NULL);
    cancel();
    th_wasm_stage_saw(
        &cast.stage,
        "got request {\"Stop\":{\"deadline_ms\":7000,\"reason\":\"time to go\"}} from "
        "kernel");
    th_wasm_tell("b", "do\nend", NULL);
    th_wasm_stage_saw(&cast.stage, "play ended ok");
    th_wasm_cast_close();
}

TEST(wasm_told, who_does_not_want_to_is_told_nothing_and_ended_in_time)
{
    th_wasm_cast_open(0);
    th_wasm_tell("b",
                 "do\n" KERNEL "w {\"NotifyStop\":true}\n" KERNEL
                 "w {\"NotifyStop\":false}",
                 NULL);
    cancel();
    T_FALSE(th_wasm_cast_saw("\"Stop\""));
    T_TRUE(th_wasm_stage_run(&cast.stage));
    th_wasm_stage_saw(&cast.stage, "play ended canceled process terminated");
    th_wasm_cast_close();
}

/* --- Responses that come back ------------------------------------------------------------------ */

/* Asks B, and takes nothing until it is told to. */
static bool hears;

static th_err deaf_start(th_process *self, th_buf *why)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST, .body = TH_SLICE("wait")};
    th_ask ask = {.timeout_ns = 600 * (uint64_t)TH_S};
    th_id_error error;
    th_request *request;

    (void)why;
    T_EQ(th_process_resolve(self, TH_SLICE("b:test:local"), &ask.to, &error), TH_OK);
    T_EQ(th_process_request(self, &ask, th_msg_new(&parts), &request), TH_OK);
    return TH_OK;
}

static th_run deaf_run(th_process *self)
{
    th_wasm_actor teller = {.stage = &cast.stage};
    th_delivery in;

    while (hears && th_process_next(self, &in)) {
        if (in.type == TH_ITEM_MSG) {
            th_msg_unref(in.msg);
            continue;
        }
        T_EQ(in.type, TH_ITEM_REPLY);
        th_wasm_actor_say(&teller, "deaf: %zu bytes\n",
                          th_msg_body(th_request_response(in.request)).bytes);
        th_request_free(self, in.request);
    }
    return hears ? TH_RUN_BLOCKED : TH_RUN_ASLEEP;
}

static void deaf_drop(th_process *self)
{
    (void)self;
}

static const th_guest deaf = {.name = "deaf",
                              .start = deaf_start,
                              .run = deaf_run,
                              .drop = deaf_drop};

#define ROOM_BYTES 40000

static char large[30000], line[31000];

static th_pid set_deaf(void)
{
    static th_entry entry;
    th_pid pid;

    th_wasm_cast_open(0);
    entry = (th_entry){.id = TH_SLICE("test:deaf"),
                       .package = TH_SLICE("test"),
                       .publisher = TH_SLICE("local"),
                       .limits = th_limits_default,
                       .guest = &deaf};
    entry.limits.mailbox_bytes_max = ROOM_BYTES;
    T_EQ(th_kernel_add_entry(cast.stage.kernel, &entry), TH_OK);
    hears = false;
    pid = th_wasm_stage_spawn(&cast.stage, &entry, "deaf");
    th_wasm_pause();
    memset(large, 'x', sizeof large - 1);
    th_wasm_tell("deaf", large, NULL);
    snprintf(line, sizeof line, "do\nrespond k %s", large);
    return pid;
}

TEST(wasm_told, a_response_without_room_comes_back_and_can_be_sent_again)
{
    th_pid pid = set_deaf();

    th_wasm_tell("b", line, NULL);
    th_wasm_stage_saw(&cast.stage, "play: got timeout xxx");
    th_wasm_stage_saw(&cast.stage, "x (a response) to deaf no blob cap b/\"own\"\n");
    th_wasm_tell("b", line, NULL); /* still not */
    T_EQ(th_wasm_stage_count(&cast.stage, "(a response) to deaf"), 2);
    hears = true;
    th_kernel_poke(cast.stage.kernel, pid);
    th_wasm_pause();
    th_wasm_tell("b", line, NULL);
    th_wasm_stage_saw(&cast.stage, "deaf: 29999 bytes\n");
    T_EQ(th_wasm_stage_count(&cast.stage, "(a response) to deaf"), 2);
    th_wasm_cast_close();
}

TEST(wasm_told, who_does_not_try_again_answers_others_as_ever)
{
    th_pid pid = set_deaf();

    th_wasm_tell("b", line, NULL);
    th_wasm_ask("b", "another", NULL);
    th_wasm_tell("b", "do\nrespond - to the other", NULL);
    th_wasm_stage_saw(&cast.stage, "asker: answer to the other");
    hears = true;
    th_kernel_poke(cast.stage.kernel, pid);
    th_wasm_pause();
    T_FALSE(th_wasm_cast_saw("deaf: "));
    th_wasm_cast_close();
}

TEST(wasm_told, a_response_that_came_back_is_bounded_and_goes_with_its_process)
{
    static char lines[10 * 31000];
    size_t at = 3;

    set_deaf();
    memcpy(lines, "do\n", 3);
    for (int i = 0; i < 10; i++) {
        at += (size_t)snprintf(lines + at, sizeof lines - at, "respond b %s\n", large);
    }
    th_wasm_tell("b", lines, NULL); /* without receiving between */
    T_EQ(th_wasm_stage_count(&cast.stage, "(a response) to deaf"), 10);
    snprintf(lines + at, sizeof lines - at, "trap");
    th_wasm_tell("b", lines, NULL);
    T_TRUE(th_wasm_cast_saw("play ended failed"));
    th_wasm_cast_close();
}
