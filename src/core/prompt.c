#include "core/prompt.h"

/*
 * The tables are complete: each case has its row, at the place that its fields say.
 */

/* clang-format off */

/* --- Sending a request ------------------------------------------------------------ */

#define REQUEST(expects, inherit, has_prompt, id, lineage, answer)                     \
    [expects][inherit][has_prompt] = {expects,                                         \
                                      inherit,                                         \
                                      has_prompt,                                      \
                                      TH_ORIGIN_##id,                                  \
                                      TH_ORIGIN_##lineage,                             \
                                      TH_ANSWER_TO_##answer}

static const th_request_row requests[2][2][2] = {
    /*      expects  inherit  prompt  id      lineage  answer to */
    REQUEST(false,   false,   false,  FRESH,  FRESH,   NOBODY),
    REQUEST(false,   false,   true,   FRESH,  FRESH,   NOBODY),
    REQUEST(false,   true,    false,  FRESH,  FRESH,   NOBODY),
    REQUEST(false,   true,    true,   PROMPT, PROMPT,  PROMPTER),
    REQUEST(true,    false,   false,  FRESH,  FRESH,   SELF),
    REQUEST(true,    false,   true,   FRESH,  FRESH,   SELF),
    REQUEST(true,    true,    false,  FRESH,  FRESH,   SELF),
    REQUEST(true,    true,    true,   FRESH,  PROMPT,  SELF),
};

/* --- Blobs ------------------------------------------------------------------------ */

#define BLOB(is_explicit, inherit, current_has, prompt_has, from)                      \
    [is_explicit][inherit][current_has][prompt_has] = {is_explicit, inherit,           \
                                                       current_has, prompt_has,        \
                                                       TH_BLOB_##from}

static const th_blob_row blobs[2][2][2][2] = {
    /*   explicit  inherit  current  prompt  which */
    BLOB(false,    false,   false,   false,  NONE),
    BLOB(false,    false,   false,   true,   NONE),
    BLOB(false,    false,   true,    false,  NONE),
    BLOB(false,    false,   true,    true,   NONE),
    BLOB(false,    true,    false,   false,  NONE),
    BLOB(false,    true,    false,   true,   PROMPT),
    BLOB(false,    true,    true,    false,  CURRENT),
    BLOB(false,    true,    true,    true,   CURRENT),
    BLOB(true,     false,   false,   false,  EXPLICIT),
    BLOB(true,     false,   false,   true,   EXPLICIT),
    BLOB(true,     false,   true,    false,  EXPLICIT),
    BLOB(true,     false,   true,    true,   EXPLICIT),
    BLOB(true,     true,    false,   false,  EXPLICIT),
    BLOB(true,     true,    false,   true,   EXPLICIT),
    BLOB(true,     true,    true,    false,  EXPLICIT),
    BLOB(true,     true,    true,    true,   EXPLICIT),
};

/* --- Receiving -------------------------------------------------------------------- */

#define RECEIVE(kind, has_blob, prompt, blob, last_blob, gives_context)                \
    [TH_RECEIVED_##kind][has_blob] = {TH_RECEIVED_##kind,       has_blob,              \
                                      TH_PROMPT_##prompt,       TH_BLOB_THEN_##blob,   \
                                      TH_BLOB_THEN_##last_blob, gives_context}

static const th_receive_row received[TH_RECEIVED_COUNT][2] = {
    /*      kind             blob   prompt    blob  last  context */
    RECEIVE(QUESTION,        false, THIS,     NONE, KEEP, false),
    RECEIVE(QUESTION,        true,  THIS,     THIS, THIS, false),
    RECEIVE(NOTICE,          false, KEEP,     NONE, KEEP, false),
    RECEIVE(NOTICE,          true,  KEEP,     THIS, THIS, false),
    RECEIVE(RESPONSE,        false, SAVED,    NONE, KEEP, true),
    RECEIVE(RESPONSE,        true,  SAVED,    THIS, THIS, true),
    RECEIVE(ERROR,           false, SAVED,    NONE, KEEP, true),
    RECEIVE(ERROR,           true,  SAVED,    NONE, KEEP, true),
    RECEIVE(RESPONSE_FAILED, false, ANSWERED, NONE, KEEP, false),
    RECEIVE(RESPONSE_FAILED, true,  ANSWERED, NONE, KEEP, false),
};

/* --- Answering -------------------------------------------------------------------- */

#define ANSWER(who, state, verdict, reason)                                            \
    [TH_ANSWERER_##who][TH_QUESTION_##state] = {TH_ANSWERER_##who,                     \
                                                TH_QUESTION_##state,                   \
                                                TH_VERDICT_##verdict, TH_##reason}

static const th_answer_row answers[3][4] = {
    /*     who       state     verdict  reason */
    ANSWER(TARGET,   OPEN,     DELIVER, OK),
    ANSWER(TARGET,   ANSWERED, COUNT,   EXISTS),
    ANSWER(TARGET,   LATE,     COUNT,   TIMED_OUT),
    ANSWER(TARGET,   UNKNOWN,  COUNT,   NOT_FOUND),
    ANSWER(DELEGATE, OPEN,     DELIVER, OK),
    ANSWER(DELEGATE, ANSWERED, COUNT,   EXISTS),
    ANSWER(DELEGATE, LATE,     COUNT,   TIMED_OUT),
    ANSWER(DELEGATE, UNKNOWN,  COUNT,   NOT_FOUND),
    ANSWER(OTHER,    OPEN,     DROP,    DENIED),
    ANSWER(OTHER,    ANSWERED, DROP,    DENIED),
    ANSWER(OTHER,    LATE,     DROP,    DENIED),
    ANSWER(OTHER,    UNKNOWN,  DROP,    DENIED),
};

/* --- Failing ---------------------------------------------------------------------- */

#define FAIL(what, how, then, stays_open)                                              \
    [TH_OUTGOING_##what][TH_FAILURE_##how] = {TH_OUTGOING_##what, TH_FAILURE_##how,    \
                                              TH_FAILED_##then, stays_open}

static const th_failure_row failures[3][3] = {
    /*   what      how      then     open */
    FAIL(REQUEST,  OFFLINE, RETURNS, false),
    FAIL(REQUEST,  NOBODY,  RETURNS, false),
    FAIL(REQUEST,  REFUSED, RETURNS, false),
    FAIL(ONE_WAY,  OFFLINE, RETURNS, false),
    FAIL(ONE_WAY,  NOBODY,  SILENT,  false),
    FAIL(ONE_WAY,  REFUSED, SILENT,  false),
    FAIL(RESPONSE, OFFLINE, RETURNS, true),
    FAIL(RESPONSE, NOBODY,  SILENT,  false),
    FAIL(RESPONSE, REFUSED, RETURNS, true),
};
/* clang-format on */

const th_request_row *th_prompt_request(bool expects, bool inherit, bool has_prompt)
{
    return &requests[expects][inherit][has_prompt];
}

th_answer_to th_prompt_response(bool has_prompt)
{
    return has_prompt ? TH_ANSWER_TO_PROMPTER : TH_ANSWER_TO_NOBODY;
}

const th_blob_row *th_prompt_blob(bool is_explicit, bool inherit, bool current_has,
                                  bool prompt_has)
{
    return &blobs[is_explicit][inherit][current_has][prompt_has];
}

const th_receive_row *th_prompt_receive(th_received kind, bool has_blob)
{
    return &received[kind][has_blob];
}

const th_answer_row *th_prompt_answer(th_answerer who, th_question_state state)
{
    return &answers[who][state];
}

const th_failure_row *th_prompt_fail(th_outgoing what, th_failure how)
{
    return &failures[what][how];
}
