#include "base/test.h"
#include "core/prompt.h"
#include "guest/wasm/wasm_cast.h"

#include <stdio.h>

/*
 * The rules of messages, row by row of core/prompt.h, as a Wasm process has them: a guest
 * that does what it is told (test/wasm/play.c) between one who asks and a witness.
 */

/* --- Requests: expects, inherit, prompt --------------------------------------------------- */

static void check_request(bool expects, bool inherit, bool has_prompt)
{
    const th_request_row *row = th_prompt_request(expects, inherit, has_prompt);
    char line[128];

    th_wasm_cast_open(0);
    if (has_prompt) {
        th_wasm_ask("b", "wait", NULL);
    }
    snprintf(line, sizeof line, "do\nsend our@witness:test:local -%s%s x",
             expects ? "ec" : "", inherit ? "i" : "");
    th_wasm_tell("b", line, NULL);
    T_TRUE(cast.seen.was_sent);
    T_EQ(cast.seen.is_answerable, row->answer != TH_ANSWER_TO_NOBODY);
    T_EQ(cast.seen.is_of_asker, row->answer == TH_ANSWER_TO_PROMPTER);
    T_EQ(cast.seen.has_id, row->id == TH_ORIGIN_PROMPT);
    T_EQ(cast.seen.has_lineage, row->lineage == TH_ORIGIN_PROMPT);
    T_EQ(th_wasm_cast_saw("got response answered from witness context ctx"),
         row->answer == TH_ANSWER_TO_SELF);
    T_EQ(th_wasm_cast_saw("asker: answer answered"),
         row->answer == TH_ANSWER_TO_PROMPTER);
    th_wasm_tell("b", "do\nrespond - afterwards", NULL);
    T_EQ(th_wasm_cast_saw("asker: answer afterwards"),
         has_prompt && row->answer != TH_ANSWER_TO_PROMPTER);
    th_wasm_cast_close();
}

TEST(wasm_rules, a_request_alone_is_answered_by_nobody)
{
    check_request(false, false, false);
}

TEST(wasm_rules, a_request_beside_a_prompt_is_answered_by_nobody)
{
    check_request(false, false, true);
}

TEST(wasm_rules, a_request_that_inherits_from_nothing_is_answered_by_nobody)
{
    check_request(false, true, false);
}

TEST(wasm_rules, a_request_that_inherits_is_answered_to_the_prompts_requester)
{
    check_request(false, true, true);
}

TEST(wasm_rules, a_request_that_expects_is_answered_to_its_sender)
{
    check_request(true, false, false);
}

TEST(wasm_rules, a_request_that_expects_leaves_the_prompt_answerable)
{
    check_request(true, false, true);
}

TEST(wasm_rules, a_request_that_expects_and_inherits_nothing_is_answered_to_its_sender)
{
    check_request(true, true, false);
}

TEST(wasm_rules, a_request_that_expects_and_inherits_continues_the_chain)
{
    check_request(true, true, true);
}

/* --- Blobs ----------------------------------------------------------------------------------- */

static const char *blob_of(const th_blob_row *row)
{
    switch (row->from) {
    case TH_BLOB_EXPLICIT:
        return "own";
    case TH_BLOB_CURRENT:
        return "current";
    case TH_BLOB_PROMPT:
        return "prompt";
    case TH_BLOB_NONE:
        break;
    }
    return "";
}

static void check_blob(const th_blob_row *row, bool has_prompt, bool is_response)
{
    char line[128], expected[128];

    th_wasm_cast_open(0);
    if (has_prompt) {
        th_wasm_ask("b", "wait", row->prompt_has ? "prompt" : NULL);
    }
    th_wasm_tell("b", "older", "older"); /* is never taken */
    snprintf(line, sizeof line, "do\n%s -%s%s x",
             is_response ? "respond" : "send our@witness:test:local",
             row->is_explicit ? "b" : "", row->inherit ? "i" : "");
    th_wasm_tell("b", line, row->current_has ? "current" : NULL);
    snprintf(expected, sizeof expected, "%s x, blob %s, 0 ",
             is_response ? "asker: answer" : "witness:", blob_of(row));
    th_wasm_stage_saw(&cast.stage, expected);
    th_wasm_cast_close();
}

TEST(wasm_rules, each_row_of_the_table_of_blobs_holds_for_requests_and_responses)
{
    for (unsigned i = 0; i < 16; i++) {
        const th_blob_row *row =
            th_prompt_blob((i & 8) != 0, (i & 4) != 0, (i & 2) != 0, (i & 1) != 0);

        check_blob(row, true, false);
        check_blob(row, true, true);
        if (!row->prompt_has) {
            check_blob(row, false, false);
        }
    }
}

/* --- Middleware --------------------------------------------------------------------------------- */

/* C takes what B hands on, and then ends as @line says; or is not there. */
static void check_delegate(const char *target, const char *line, const char *expected)
{
    char script[160];

    th_wasm_cast_open(0);
    th_wasm_cast_add("c");
    snprintf(script, sizeof script, "do\nsend %s i for C", target);
    th_wasm_ask("b", script, NULL);
    if (line != NULL) {
        th_wasm_tell("c", line, NULL);
    }
    th_wasm_stage_saw(&cast.stage, expected);
    T_EQ(th_wasm_stage_count(&cast.stage, "asker: "), 1);
    T_EQ(th_wasm_stage_count(&cast.stage, "got response"), 0); /* B is told nothing */
    T_EQ(th_wasm_stage_count(&cast.stage, "got timeout"), 0);
    T_EQ(th_wasm_stage_count(&cast.stage, "got offline"), 0);
    th_wasm_cast_close();
}

TEST(wasm_rules, a_delegates_answer_reaches_the_requester_directly)
{
    check_delegate("our@c:test:local", "do\nrespond - from C", "asker: answer from C");
}

TEST(wasm_rules, when_the_delegate_is_gone_the_requester_hears_it_at_once)
{
    check_delegate("our@nobody:test:local", NULL, "asker: not_found");
}

TEST(wasm_rules, when_the_delegate_is_offline_the_requester_hears_it_at_once)
{
    check_delegate("far.os@c:test:local", NULL, "asker: offline");
}

TEST(wasm_rules, when_the_delegate_returns_the_requester_hears_it_at_once)
{
    check_delegate("our@c:test:local", "do\nend", "asker: died");
}

TEST(wasm_rules, when_the_delegate_crashes_the_requester_hears_it_at_once)
{
    check_delegate("our@c:test:local", "do\ntrap", "asker: died");
}

TEST(wasm_rules, a_delegate_of_a_delegate_answers_the_requester)
{
    th_wasm_cast_open(0);
    th_wasm_cast_add("c");
    th_wasm_ask("b", "do\nsend our@c:test:local i for C", "lazy");
    th_wasm_tell("c", "do\nsend our@witness:test:local i from C", NULL);
    th_wasm_stage_saw(&cast.stage, "witness: from C, blob lazy, 0 ");
    th_wasm_stage_saw(&cast.stage, "asker: answer answered");
    T_TRUE(cast.seen.has_lineage);
    th_wasm_cast_close();
}

TEST(wasm_rules, a_chain_of_ten_thousand_reaches_its_requester_with_its_blob)
{
    th_wasm_cast_open(0);
    cast.stage.steps_max = 10000000;
    th_wasm_ask("b", "do\nforward 10000 at last", "lazy");
    th_wasm_stage_saw(&cast.stage, "asker: answer at last, blob lazy, 0 ");
    th_wasm_cast_close();
}

/* --- Answers that come too often, too late, or for nobody ----------------------------------------- */

TEST(wasm_rules, the_first_answer_counts_and_others_are_lost_in_silence)
{
    th_figures figures;

    th_wasm_cast_open(0);
    th_wasm_ask("b", "do\nrespond - first\nrespond - second\nrespond - third", NULL);
    th_wasm_stage_saw(&cast.stage, "asker: answer first");
    T_EQ(th_wasm_stage_count(&cast.stage, "asker: "), 1);
    T_EQ(th_wasm_stage_count(&cast.stage, "got timeout"), 0);
    th_kernel_figures(cast.stage.kernel, &figures);
    T_EQ(figures.late, 2);
    th_wasm_cast_close();
}

TEST(wasm_rules, an_answer_after_the_deadline_is_lost_in_silence)
{
    th_wasm_cast_open(0);
    th_wasm_ask("b", "wait", NULL);
    T_TRUE(th_wasm_stage_run(&cast.stage));
    T_EQ(th_wasm_stage_count(&cast.stage, "asker: timeout"), 1);
    th_wasm_tell("b", "do\nrespond - late", NULL);
    T_EQ(th_wasm_stage_count(&cast.stage, "late"), 0);
    th_wasm_cast_close();
}

TEST(wasm_rules, an_answer_to_nothing_is_lost_in_silence)
{
    th_wasm_cast_open(0);
    th_wasm_tell("b", "do\nrespond - to whom", NULL);
    T_EQ(th_wasm_stage_count(&cast.stage, "whom"), 0);
    th_wasm_cast_close();
}
