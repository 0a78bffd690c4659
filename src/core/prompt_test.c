#include "core/prompt.h"

#include "base/test.h"

/* Each row of each table, by its sentence. */

/* --- Sending a request ------------------------------------------------------------ */

#define REQUEST(sentence, expects_, inherit_, prompt_, id_, lineage_, answer_)         \
    TEST(prompt, sentence)                                                             \
    {                                                                                  \
        const th_request_row *row = th_prompt_request(expects_, inherit_, prompt_);    \
                                                                                       \
        T_EQ(row->expects, expects_);                                                  \
        T_EQ(row->inherit, inherit_);                                                  \
        T_EQ(row->has_prompt, prompt_);                                                \
        T_EQ(row->id, TH_ORIGIN_##id_);                                                \
        T_EQ(row->lineage, TH_ORIGIN_##lineage_);                                      \
        T_EQ(row->answer, TH_ANSWER_TO_##answer_);                                     \
    }

/* clang-format off */
REQUEST(a_request_that_expects_nothing_is_answered_by_nobody,
        false, false, false, FRESH, FRESH, NOBODY)
REQUEST(a_request_that_expects_and_inherits_nothing_is_no_part_of_the_prompts_chain,
        false, false, true, FRESH, FRESH, NOBODY)
REQUEST(a_request_that_inherits_without_a_prompt_is_answered_by_nobody,
        false, true, false, FRESH, FRESH, NOBODY)
REQUEST(a_request_that_inherits_and_expects_nothing_is_answered_to_the_prompts_requester,
        false, true, true, PROMPT, PROMPT, PROMPTER)
REQUEST(a_request_that_expects_is_answered_to_its_sender,
        true, false, false, FRESH, FRESH, SELF)
REQUEST(a_request_that_expects_under_a_prompt_begins_a_chain_of_its_own,
        true, false, true, FRESH, FRESH, SELF)
REQUEST(a_request_that_expects_and_inherits_without_a_prompt_begins_a_chain,
        true, true, false, FRESH, FRESH, SELF)
REQUEST(a_request_that_expects_and_inherits_has_its_own_id_in_the_prompts_chain,
        true, true, true, FRESH, PROMPT, SELF)
/* clang-format on */

TEST(prompt, a_response_goes_to_the_prompts_requester_and_without_a_prompt_to_nobody)
{
    T_EQ(th_prompt_response(true), TH_ANSWER_TO_PROMPTER);
    T_EQ(th_prompt_response(false), TH_ANSWER_TO_NOBODY);
}

/* --- Blobs ------------------------------------------------------------------------ */

#define BLOB(sentence, explicit_, inherit_, current_, prompt_, from_)                  \
    TEST(prompt, sentence)                                                             \
    {                                                                                  \
        const th_blob_row *row =                                                       \
            th_prompt_blob(explicit_, inherit_, current_, prompt_);                    \
                                                                                       \
        T_EQ(row->is_explicit, explicit_);                                             \
        T_EQ(row->inherit, inherit_);                                                  \
        T_EQ(row->current_has, current_);                                              \
        T_EQ(row->prompt_has, prompt_);                                                \
        T_EQ(row->from, TH_BLOB_##from_);                                              \
    }

/* clang-format off */
BLOB(a_message_without_a_blob_has_none, false, false, false, false, NONE)
BLOB(the_prompts_blob_does_not_go_along_uninherited, false, false, false, true, NONE)
BLOB(the_current_blob_does_not_go_along_uninherited, false, false, true, false, NONE)
BLOB(no_blob_goes_along_uninherited, false, false, true, true, NONE)
BLOB(where_nobody_has_a_blob_none_is_inherited, false, true, false, false, NONE)
BLOB(where_the_current_message_has_no_blob_the_prompts_is_inherited,
     false, true, false, true, PROMPT)
BLOB(the_current_messages_blob_is_inherited, false, true, true, false, CURRENT)
BLOB(the_current_messages_blob_is_inherited_before_the_prompts,
     false, true, true, true, CURRENT)
BLOB(an_explicit_blob_goes_along, true, false, false, false, EXPLICIT)
BLOB(an_explicit_blob_goes_along_whatever_the_prompt_has,
     true, false, false, true, EXPLICIT)
BLOB(an_explicit_blob_goes_along_whatever_the_current_message_has,
     true, false, true, false, EXPLICIT)
BLOB(an_explicit_blob_goes_along_whatever_both_have, true, false, true, true, EXPLICIT)
BLOB(an_explicit_blob_wins_where_there_is_none_to_inherit,
     true, true, false, false, EXPLICIT)
BLOB(an_explicit_blob_wins_over_the_prompts, true, true, false, true, EXPLICIT)
BLOB(an_explicit_blob_wins_over_the_current_messages, true, true, true, false, EXPLICIT)
BLOB(an_explicit_blob_wins_over_all, true, true, true, true, EXPLICIT)
/* clang-format on */

/* --- Receiving -------------------------------------------------------------------- */

#define RECEIVE(sentence, kind_, has_blob_, prompt_, blob_, last_, context_)           \
    TEST(prompt, sentence)                                                             \
    {                                                                                  \
        const th_receive_row *row = th_prompt_receive(TH_RECEIVED_##kind_, has_blob_); \
                                                                                       \
        T_EQ(row->kind, TH_RECEIVED_##kind_);                                          \
        T_EQ(row->has_blob, has_blob_);                                                \
        T_EQ(row->prompt, TH_PROMPT_##prompt_);                                        \
        T_EQ(row->blob, TH_BLOB_THEN_##blob_);                                         \
        T_EQ(row->last_blob, TH_BLOB_THEN_##last_);                                    \
        T_EQ(row->gives_context, context_);                                            \
    }

/* clang-format off */
RECEIVE(a_request_that_can_be_answered_is_the_prompt_and_leaves_no_current_blob,
        QUESTION, false, THIS, NONE, KEEP, false)
RECEIVE(a_request_that_can_be_answered_is_the_prompt_with_its_blob,
        QUESTION, true, THIS, THIS, THIS, false)
RECEIVE(a_one_way_message_keeps_the_prompt_and_leaves_no_current_blob,
        NOTICE, false, KEEP, NONE, KEEP, false)
RECEIVE(a_one_way_message_with_a_blob_changes_only_the_blob,
        NOTICE, true, KEEP, THIS, THIS, false)
RECEIVE(a_response_brings_back_the_prompt_of_its_request_and_its_context,
        RESPONSE, false, SAVED, NONE, KEEP, true)
RECEIVE(a_response_with_a_blob_brings_back_the_prompt_and_makes_its_blob_current,
        RESPONSE, true, SAVED, THIS, THIS, true)
RECEIVE(an_error_brings_back_the_prompt_of_its_request_and_its_context,
        ERROR, false, SAVED, NONE, KEEP, true)
RECEIVE(an_error_does_not_make_its_own_blob_current,
        ERROR, true, SAVED, NONE, KEEP, true)
RECEIVE(the_error_of_a_response_makes_its_request_the_prompt_again,
        RESPONSE_FAILED, false, ANSWERED, NONE, KEEP, false)
RECEIVE(the_error_of_a_response_does_not_make_its_own_blob_current,
        RESPONSE_FAILED, true, ANSWERED, NONE, KEEP, false)
/* clang-format on */

/* --- Answering -------------------------------------------------------------------- */

#define ANSWER(sentence, who_, state_, verdict_, reason_)                              \
    TEST(prompt, sentence)                                                             \
    {                                                                                  \
        const th_answer_row *row =                                                     \
            th_prompt_answer(TH_ANSWERER_##who_, TH_QUESTION_##state_);                \
                                                                                       \
        T_EQ(row->who, TH_ANSWERER_##who_);                                            \
        T_EQ(row->state, TH_QUESTION_##state_);                                        \
        T_EQ(row->verdict, TH_VERDICT_##verdict_);                                     \
        T_EQ(row->reason, TH_##reason_);                                               \
    }

/* clang-format off */
ANSWER(the_target_of_an_open_request_may_answer, TARGET, OPEN, DELIVER, OK)
ANSWER(a_second_answer_of_the_target_is_counted, TARGET, ANSWERED, COUNT, EXISTS)
ANSWER(a_late_answer_of_the_target_is_counted, TARGET, LATE, COUNT, TIMED_OUT)
ANSWER(an_answer_of_the_target_to_one_that_is_gone_is_counted,
       TARGET, UNKNOWN, COUNT, NOT_FOUND)
ANSWER(a_delegate_may_answer_an_open_request, DELEGATE, OPEN, DELIVER, OK)
ANSWER(a_second_answer_by_a_delegate_is_counted, DELEGATE, ANSWERED, COUNT, EXISTS)
ANSWER(a_late_answer_of_a_delegate_is_counted, DELEGATE, LATE, COUNT, TIMED_OUT)
ANSWER(an_answer_of_a_delegate_to_one_that_is_gone_is_counted,
       DELEGATE, UNKNOWN, COUNT, NOT_FOUND)
ANSWER(nobody_else_may_answer_an_open_request, OTHER, OPEN, DROP, DENIED)
ANSWER(nobody_else_may_answer_an_answered_request, OTHER, ANSWERED, DROP, DENIED)
ANSWER(nobody_else_may_answer_a_late_request, OTHER, LATE, DROP, DENIED)
ANSWER(nobody_else_may_answer_what_is_unknown, OTHER, UNKNOWN, DROP, DENIED)
/* clang-format on */

/* --- Failing ---------------------------------------------------------------------- */

#define FAIL(sentence, what_, how_, then_, open_)                                      \
    TEST(prompt, sentence)                                                             \
    {                                                                                  \
        const th_failure_row *row =                                                    \
            th_prompt_fail(TH_OUTGOING_##what_, TH_FAILURE_##how_);                    \
                                                                                       \
        T_EQ(row->what, TH_OUTGOING_##what_);                                          \
        T_EQ(row->how, TH_FAILURE_##how_);                                             \
        T_EQ(row->then, TH_FAILED_##then_);                                            \
        T_EQ(row->stays_open, open_);                                                  \
    }

/* clang-format off */
FAIL(a_request_that_expects_returns_when_its_target_is_offline,
     REQUEST, OFFLINE, RETURNS, false)
FAIL(a_request_that_expects_returns_when_there_is_no_such_process,
     REQUEST, NOBODY, RETURNS, false)
FAIL(a_request_that_expects_returns_when_it_is_refused,
     REQUEST, REFUSED, RETURNS, false)
FAIL(a_one_way_request_returns_when_its_target_is_offline,
     ONE_WAY, OFFLINE, RETURNS, false)
FAIL(a_one_way_request_to_nobody_is_lost_in_silence, ONE_WAY, NOBODY, SILENT, false)
FAIL(a_one_way_request_that_is_refused_is_lost_in_silence,
     ONE_WAY, REFUSED, SILENT, false)
FAIL(a_response_returns_when_its_requester_is_offline_and_the_request_stays_open,
     RESPONSE, OFFLINE, RETURNS, true)
FAIL(a_response_to_nobody_is_lost_in_silence, RESPONSE, NOBODY, SILENT, false)
FAIL(a_response_that_has_no_room_returns_and_the_request_stays_open,
     RESPONSE, REFUSED, RETURNS, true)
/* clang-format on */
