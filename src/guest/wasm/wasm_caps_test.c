#include "base/test.h"
#include "guest/wasm/wasm_cast.h"

#include <stdio.h>

/*
 * Capabilities of Wasm processes: what they may hand on, and that nothing which they
 * write down becomes one (test/wasm/play.c). Here processes need rights.
 */

/* How many capabilities does @pid hold? */
static size_t held(th_pid pid)
{
    th_caps *caps = th_kernel_caps(cast.stage.kernel, pid);
    size_t count;

    T_NOT_NULL(caps);
    count = th_caps_count(caps);
    th_caps_unref(caps);
    return count;
}

static th_pid find(const char *id)
{
    th_id_error error;
    th_pid pid;

    T_EQ(th_kernel_resolve(cast.stage.kernel, th_slice_str(id), &pid, &error), TH_OK);
    return pid;
}

static void give(th_pid pid, const char *issuer, const char *params)
{
    th_cap *cap =
        th_kernel_issue(cast.stage.kernel, th_slice_str(issuer), th_slice_str(params));

    T_NOT_NULL(cap);
    T_EQ(th_kernel_grant(cast.stage.kernel, pid, cap), TH_OK);
    th_cap_unref(cap);
}

#define WITNESS "witness:test:local"
#define MESSAGING "\"messaging\""

/* B may write to the witness, C too; neither to the other. */
static th_pid b, c;

static void set(void)
{
    th_wasm_cast_open(1);
    b = find("b:test:local");
    c = th_wasm_cast_add("c");
    give(b, WITNESS, MESSAGING);
    give(c, WITNESS, MESSAGING);
    /* who tells them needs none: a process of text 003, and of their package */
}

#define ASK_C "send our@c:test:local w hello\n"

static void reaches_c(bool does)
{
    unsigned before = th_wasm_stage_count(&cast.stage, "got request hello from b");

    th_wasm_tell("b", "do\n" ASK_C, NULL);
    T_EQ(th_wasm_stage_count(&cast.stage, "got request hello from b") - before, does);
}

/* --- Sending -------------------------------------------------------------------------------- */

TEST(wasm_caps, without_messaging_a_request_comes_back_at_once_also_in_the_package)
{
    set();
    reaches_c(false);
    th_wasm_stage_saw(&cast.stage, "play: got timeout hello to c");
    th_wasm_cast_close();
}

TEST(wasm_caps, with_messaging_it_arrives_until_that_is_dropped)
{
    set();
    give(b, "c:test:local", MESSAGING);
    reaches_c(true);
    th_wasm_tell("b", "do\nclaim drop our@c:test:local " MESSAGING, NULL);
    reaches_c(false);
    th_wasm_cast_close();
}

TEST(wasm_caps, a_capability_that_is_taken_back_is_void_in_all_hands)
{
    th_claim claim = {TH_SLICE("c:test:local"), TH_SLICE(MESSAGING)};

    set();
    give(b, "c:test:local", MESSAGING);
    T_TRUE(th_kernel_revoke(cast.stage.kernel, &claim));
    reaches_c(false);
    th_wasm_tell("b", "do\ncaps", NULL);
    th_wasm_stage_saw(&cast.stage,
                      "has cap b/\"messaging\" cap witness/\"messaging\"\n");
    th_wasm_cast_close();
}

TEST(wasm_caps, a_public_process_can_be_written_to_by_all)
{
    set();
    th_wasm_cast_open_to_all();
    th_wasm_cast_add("open");
    th_wasm_tell("b", "do\nsend our@open:test:local - hello", NULL);
    th_wasm_stage_saw(&cast.stage, "got request hello from b");
    th_wasm_cast_close();
}

TEST(wasm_caps, an_answer_needs_no_capability)
{
    set();
    give(b, "c:test:local", MESSAGING);
    th_wasm_tell("c", "do\nreceive\nrespond - to you", NULL);
    reaches_c(true);
    th_wasm_stage_saw(&cast.stage, "play: got response to you from c");
    th_wasm_cast_close();
}

TEST(wasm_caps, a_delegate_needs_none_either)
{
    set();
    give(b, "c:test:local", MESSAGING);
    th_wasm_ask("b", "do\nsend our@c:test:local i for you", NULL);
    th_wasm_tell("c", "do\nrespond k from C", NULL);
    th_wasm_stage_saw(&cast.stage, "asker: answer from C, blob , 1 capabilities");
    th_wasm_cast_close();
}

/* --- Handing on ------------------------------------------------------------------------------ */

TEST(wasm_caps, what_a_process_issues_goes_along_with_requests_and_responses)
{
    set();
    th_wasm_tell("b", "do\nsend our@witness:test:local k here", NULL);
    th_wasm_stage_saw(&cast.stage, "witness: here, blob , 1 capabilities");
    th_wasm_ask("b", "do\nrespond k there", NULL);
    th_wasm_stage_saw(&cast.stage, "asker: answer there, blob , 1 capabilities");
    th_wasm_cast_close();
}

TEST(wasm_caps, messaging_that_is_handed_on_and_saved_is_a_right)
{
    set();
    give(c, "b:test:local", MESSAGING);
    th_wasm_tell("c", "do\nsend our@b:test:local m take this", NULL);
    th_wasm_stage_saw(&cast.stage,
                      "got request take this from c no blob cap c/\"messaging\"");
    reaches_c(false); /* given is not held */
    th_wasm_tell("b", "do\nclaim save our@c:test:local  \"messaging\" ", NULL);
    reaches_c(true);
    th_wasm_cast_close();
}

/* Of messages that came since, the kernel remembers what the newest 32 brought. */
TEST(wasm_caps, what_came_while_it_awaited_can_be_named_when_it_is_received)
{
    th_auto_buf line = TH_BUF_INIT;

    set();
    give(b, "c:test:local", MESSAGING);
    give(c, "b:test:local", MESSAGING);
    th_wasm_tell("b",
                 "do\n" ASK_C "receive\nclaim drop our@c:test:local " MESSAGING
                 "\nclaim save our@c:test:local " MESSAGING,
                 NULL);
    th_buf_puts(&line, "do\nsend our@b:test:local m the first\n");
    for (int i = 0; i < 40; i++) {
        th_buf_puts(&line, "send our@b:test:local k one of many\n");
    }
    th_buf_puts(&line, "respond - at last");
    th_wasm_tell("c", th_buf_text(&line), NULL);
    T_EQ(th_wasm_stage_count(&cast.stage, "got request one of many"), 40);
    reaches_c(true);
    th_wasm_cast_close();
}

/* --- Forging ----------------------------------------------------------------------------------- */

static const char *const treasures[][2] = {
    {"our@c:test:local", MESSAGING},
    {"our@kernel:distro:sys", MESSAGING},
    {"our@kernel:distro:sys", "\"network\""},
    {"our@vfs:distro:sys", "{\"root\":true}"},
    {"our@nobody:test:local", "1"},
    {"far.os@c:test:local", MESSAGING},
    {"b@c:test:local", MESSAGING},
    {"our@c:test:local", "not json"},
};

static void forge(const char *how, const char *to)
{
    size_t before = held(b);

    for (size_t i = 0; i < sizeof treasures / sizeof *treasures; i++) {
        char line[200];

        snprintf(line, sizeof line, "do\nclaim %s %s %s", how, treasures[i][0],
                 treasures[i][1]);
        if (strcmp(how, "respond") == 0) {
            th_wasm_ask(to, line, NULL);
        } else {
            th_wasm_tell(to, line, NULL);
        }
        T_EQ(held(b), before);
    }
}

TEST(wasm_caps, saving_what_others_issued_saves_nothing)
{
    set();
    forge("save", "b");
    reaches_c(false);
    th_wasm_cast_close();
}

TEST(wasm_caps, sending_what_others_issued_sends_nothing)
{
    set();
    forge("send", "b");
    T_EQ(th_wasm_stage_count(&cast.stage, "witness: claimed, blob , 0 capabilities"),
         8);
    T_EQ(th_wasm_stage_count(&cast.stage, "witness: claimed"), 8);
    th_wasm_cast_close();
}

TEST(wasm_caps, answering_with_what_others_issued_gives_nothing)
{
    set();
    forge("respond", "b");
    T_EQ(th_wasm_stage_count(&cast.stage, "asker: answer claimed, blob , 0 cap"), 8);
    th_wasm_cast_close();
}

TEST(wasm_caps, a_child_does_not_inherit_what_its_spawner_wrote_down)
{
    for (size_t i = 0; i < sizeof treasures / sizeof *treasures; i++) {
        char line[200];

        set();
        snprintf(line, sizeof line, "do\nclaim spawn %s %s", treasures[i][0],
                 treasures[i][1]);
        th_wasm_tell("b", line, NULL);
        T_EQ(held(find("heir:test:local")), 2); /* messaging on itself and on B */
        th_wasm_cast_close();
    }
}

TEST(wasm_caps, last_words_do_not_carry_what_others_issued)
{
    set();
    forge("exit", "b");
    th_wasm_tell("b", "do\nend", NULL);
    th_wasm_stage_saw(&cast.stage, "witness: claimed, blob own, 0 capabilities");
    th_wasm_cast_close();
}

TEST(wasm_caps, what_one_was_given_another_cannot_name)
{
    set();
    give(c, "b:test:local", MESSAGING);
    th_wasm_tell("c", "do\nsend our@b:test:local k for B alone", NULL);
    th_wasm_cast_add("d");
    th_wasm_tell("d", "do\nclaim save our@c:test:local \"own\"", NULL);
    T_EQ(held(find("d:test:local")), 1);
    th_wasm_tell("b", "do\nclaim save our@c:test:local \"own\"", NULL);
    T_EQ(held(b), 3);
    th_wasm_cast_close();
}

TEST(wasm_caps, who_has_the_name_of_an_issuer_in_a_later_life_has_none_of_its_rights)
{
    set();
    give(b, "c:test:local", MESSAGING);
    th_wasm_tell("c", "do\nend", NULL);
    th_wasm_cast_add("c");
    reaches_c(false);
    th_wasm_cast_close();
}

/* --- Spawning ------------------------------------------------------------------------------------ */

TEST(wasm_caps, a_spawner_and_its_child_may_write_to_each_other)
{
    set();
    th_wasm_tell("b", "do\nspawn kid play.wasm none\nsend our@kid:test:local - hello",
                 NULL);
    th_wasm_stage_saw(&cast.stage, "play: spawned");
    th_wasm_stage_saw(&cast.stage, "got request hello from b");
    th_wasm_tell("kid", "do\nsend our@b:test:local - and to you", NULL);
    th_wasm_stage_saw(&cast.stage, "got request and to you from kid");
    th_wasm_cast_close();
}

TEST(wasm_caps, a_child_may_be_given_what_its_spawner_holds)
{
    set();
    give(b, "c:test:local", MESSAGING);
    th_wasm_tell("b", "do\nclaim spawn our@c:test:local " MESSAGING, NULL);
    th_wasm_tell("heir", "do\nsend our@c:test:local - from the heir", NULL);
    th_wasm_stage_saw(&cast.stage, "got request from the heir from heir");
    th_wasm_cast_close();
}
