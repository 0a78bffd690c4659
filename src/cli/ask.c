#include "cli/ask.h"

#include "cli/client.h"
#include "cli/say.h"
#include "core/id.h"

/* Of a body and a blob: in base64 they fit a line. */
#define CONTENT_BYTES_MAX ((size_t)11 << 20)

/* --- Addresses ---------------------------------------------------------------------- */

static void put_mark(th_buf *why, const char *text, const char *what, size_t at)
{
    th_buf_putf(why, "`%s` is no address: %s\n    %s\n    %*s", text, what, text,
                (int)at + 1, "^");
}

static bool looks_like_address(th_slice text)
{
    size_t colon = th_slice_find(text, ':');

    return th_slice_find(text, '@') < text.bytes ||
           (colon < text.bytes && th_slice_find(th_slice_from(text, colon + 1), ':') <
                                      text.bytes - colon - 1);
}

th_err th_ask_check_address(const char *text, th_buf *why)
{
    th_slice slice = th_slice_str(text);
    th_id_error error;
    th_pid_text pid;
    th_address address;
    th_err err = TH_OK;

    if (slice.bytes == 0) {
        th_buf_puts(why, "the address is empty; `thole ps` lists those there are");
        return TH_INVALID;
    }
    if (slice.bytes > TH_ID_TEXT_BYTES || !th_json_is_utf8(slice)) {
        th_buf_puts(why, "the address is too long, or no text; `thole ps` lists those "
                         "there are");
        return TH_INVALID;
    }
    if (slice.at[0] == '{') {
        err = th_pid_text_decode(&pid, slice, &error);
    } else if (looks_like_address(slice)) {
        err = th_address_decode(&address, slice, true, &error);
    }
    if (err != TH_OK) {
        put_mark(why, text, error.what, error.at);
    }
    return err;
}

/* --- Requests ----------------------------------------------------------------------- */

static void put_content(th_buf *out, const char *plain, const char *base64,
                        th_slice content)
{
    if (plain != NULL && th_json_is_utf8(content)) {
        th_json_put_pair(out, plain, content);
        return;
    }
    th_json_put_key(out, base64);
    th_buf_putc(out, '"');
    th_base64_encode(out, content);
    th_buf_putc(out, '"');
}

/* Words that are JSON, as a list. */
static th_err put_values(th_buf *out, const th_words *words, th_buf *why)
{
    th_json_put_key(out, "values");
    th_buf_putc(out, '[');
    for (size_t i = 2; i < words->rest_count; i++) {
        th_auto(th_json) json = NULL;
        th_json_error error;

        if (th_json_decode(&json, th_slice_str(words->rest[i]), &error) != TH_OK) {
            th_buf_putf(why,
                        "`%s` is no JSON: %s; a text stands in quotes, as in '\"%s\"'",
                        words->rest[i], error.what, "hello");
            return TH_INVALID;
        }
        th_buf_puts(out, i == 2 ? "" : ",");
        th_json_encode(json, out);
    }
    th_buf_putc(out, ']');
    return TH_OK;
}

static th_err put_send(th_buf *out, const th_words *words, th_buf *why)
{
    if (!th_json_is_utf8(th_slice_str(words->rest[1])) || words->rest[1][0] == '\0' ||
        words->rest[1][0] == '@') {
        th_buf_puts(why,
                    "a topic is a text that is not empty and does not begin with @");
        return TH_INVALID;
    }
    th_json_put_pair(out, "topic", th_slice_str(words->rest[1]));
    if (words->bytes != NULL) {
        put_content(out, "body", "body_base64", th_slice_str(words->bytes));
        return TH_OK;
    }
    return put_values(out, words, why);
}

static th_err put_call(th_world *world, th_buf *out, const th_words *words, th_buf *why)
{
    th_slice body = th_slice_str(words->rest[1]);
    th_auto_buf blob = TH_BUF_INIT;
    th_err err = TH_OK;

    if (words->blob != NULL) {
        err = th_world_file_read(world, words->blob, 0, CONTENT_BYTES_MAX + 1, &blob);
    }
    if (err != TH_OK) {
        th_buf_putf(why,
                    err == TH_NOT_FOUND ? "there is no file `%s`"
                                        : "the file `%s` cannot be read",
                    words->blob);
        return err;
    }
    if (body.bytes > CONTENT_BYTES_MAX || blob.bytes > CONTENT_BYTES_MAX - body.bytes) {
        th_buf_puts(why, "body and blob have more than 11 MiB");
        return TH_QUOTA;
    }
    put_content(out, "body", "body_base64", body);
    if (words->blob != NULL) {
        put_content(out, NULL, "blob_base64", th_buf_slice(&blob));
    }
    if (words->has_timeout) {
        th_json_put_pair_u64(out, "timeout_ms", words->timeout_ms);
    }
    return TH_OK;
}

/* The words of `grant` and `revoke` from @at on: issuer and params. */
static th_err put_cap(th_buf *out, const th_words *words, size_t at, th_buf *why)
{
    th_auto(th_json) params = NULL;
    th_json_error error;
    th_err err = th_ask_check_address(words->rest[at], why);

    if (err != TH_OK) {
        return err;
    }
    th_json_put_pair(out, "issuer", th_slice_str(words->rest[at]));
    if (words->rest_count == at + 1) {
        return TH_OK;
    }
    if (th_json_decode(&params, th_slice_str(words->rest[at + 1]), &error) != TH_OK) {
        th_buf_putf(why,
                    "`%s` is no JSON: %s; a text stands in quotes, as in "
                    "'\"messaging\"'",
                    words->rest[at + 1], error.what);
        return TH_INVALID;
    }
    th_json_put_pair(out, "params", th_slice_str(words->rest[at + 1]));
    return TH_OK;
}

/* Whom it is about; NULL: nobody. */
static const char *whom(const th_words *words)
{
    switch (words->command) {
    case TH_COMMAND_PS:
        return NULL;
    case TH_COMMAND_REVOKE:
        return words->from;
    case TH_COMMAND_STATE:
        return words->rest[1];
    default:
        return words->rest_count == 0 ? NULL : words->rest[0];
    }
}

static th_err put_request(th_world *world, th_buf *out, const th_words *words,
                          th_buf *why)
{
    const char *to = whom(words);
    th_err err = TH_OK;

    if (words->command == TH_COMMAND_STATE && strcmp(words->rest[0], "show") != 0) {
        th_buf_putf(why, "state can only be shown, not `%s`: thole state show ADDRESS",
                    words->rest[0]);
        return TH_INVALID;
    }
    th_buf_puts(out, "{\"id\":1");
    th_json_put_pair(out, "verb", th_slice_str(th_command_name(words->command)));
    if (to != NULL) {
        err = th_ask_check_address(to, why);
        if (err != TH_OK) {
            return err;
        }
        th_json_put_pair(out, "to", th_slice_str(to));
    }
    if (words->command == TH_COMMAND_SEND) {
        err = put_send(out, words, why);
    } else if (words->command == TH_COMMAND_CALL) {
        err = put_call(world, out, words, why);
    } else if (words->command == TH_COMMAND_GRANT ||
               words->command == TH_COMMAND_REVOKE) {
        err = put_cap(out, words, words->command == TH_COMMAND_GRANT, why);
    }
    th_buf_putc(out, '}');
    return out->failed ? TH_NOMEM : err;
}

/* --- Answers ------------------------------------------------------------------------ */

/* The exit code. */
static int put_call_answer(th_buf *out, const th_json *answer)
{
    const th_json *value = th_json_get(answer, "value");
    th_slice text;

    if (th_json_text(th_json_get(answer, "body"), &text)) {
        th_buf_put(out, text.at, text.bytes);
    } else if (th_json_text(th_json_get(answer, "body_base64"), &text)) {
        (void)th_base64_decode(out, text);
    } else if (value != NULL) {
        th_json_encode(value, out);
        th_buf_putc(out, '\n');
    } else if (th_json_text(th_json_get(answer, "no_json"), &text)) {
        return th_say_errorf(TH_FAILED,
                             "it answered with a value that has no form in JSON: %.*s",
                             TH_FMT(text));
    }
    if (th_say_is_terminal() && out->bytes > 0 && out->at[out->bytes - 1] != '\n') {
        th_buf_putc(out, '\n');
    }
    return 0;
}

static void put_state(th_buf *out, const th_json *answer)
{
    th_slice text;

    if (th_json_text(th_json_get(answer, "state"), &text)) {
        th_buf_put(out, text.at, text.bytes);
    } else if (th_json_text(th_json_get(answer, "state_base64"), &text)) {
        (void)th_base64_decode(out, text);
    } else if (th_json_get(answer, "value") != NULL) {
        th_json_encode(th_json_get(answer, "value"), out);
        th_buf_putc(out, '\n');
    } else if (th_json_text(th_json_get(answer, "no_json"), &text)) {
        th_buf_putf(out, "a Lua value that has no form in JSON: %.*s\n", TH_FMT(text));
    }
}

static int print(const th_words *words, const th_json *answer)
{
    th_auto_buf out = TH_BUF_INIT;
    int code = 0, written;

    if (words->command == TH_COMMAND_CALL) {
        code = put_call_answer(&out, answer);
    } else if (words->command == TH_COMMAND_TRACE) {
        return 0; /* its lines were shown as they came */
    } else if (words->command == TH_COMMAND_STATE && !words->json) {
        put_state(&out, answer);
    } else if (words->json) {
        th_json_encode(answer, &out);
        th_buf_putc(&out, '\n');
    } else if (words->command == TH_COMMAND_PS) {
        th_ask_put_table(&out, answer, th_say_has_colour(), words->tree);
    } else if (words->command == TH_COMMAND_INFO) {
        th_ask_put_info(&out, answer);
    } else if (words->command == TH_COMMAND_CAPS) {
        th_ask_put_caps(&out, answer);
    }
    written = th_say_out(th_buf_slice(&out));
    if (words->command == TH_COMMAND_PS && th_json_get(answer, "more") != NULL) {
        th_say_note(TH_SLICE("there are more processes than fit a listing"));
    }
    return code != 0 ? code : written;
}

int th_ask_say_offline(const th_words *words, const char *home)
{
    th_say_errorf(TH_NOT_FOUND, "no node is up on `%s`; start one with `thole up%s%s`",
                  home, words->home == NULL ? "" : " --home ",
                  words->home == NULL ? "" : words->home);
    return th_reason_of(TH_NOT_FOUND)->exit_code;
}

static int say_refused(const th_words *words, th_err err, const th_answer *answer)
{
    th_auto_buf marked = TH_BUF_INIT;

    if (answer->at == SIZE_MAX || words->rest_count == 0) {
        return th_say_error(err, th_buf_slice(&answer->why));
    }
    put_mark(&marked, whom(words) == NULL ? words->rest[0] : whom(words),
             th_buf_text(&answer->why), answer->at);
    return th_say_error(err, th_buf_slice(&marked));
}

/* A line of `thole trace`. */
static bool show_traced(void *context, th_slice line)
{
    const th_words *words = context;
    th_auto(th_json) json = NULL;
    th_auto_buf out = TH_BUF_INIT;
    th_json_error error;
    const th_json *traced;

    if (th_json_decode(&json, line, &error) != TH_OK) {
        return true;
    }
    traced = th_json_get(json, "traced");
    if (traced != NULL && words->json) {
        th_json_encode(traced, &out);
        th_buf_putc(&out, '\n');
    } else if (traced != NULL) {
        th_ask_put_traced(&out, traced);
    }
    return th_say_out(th_buf_slice(&out)) == 0;
}

int th_ask_node(th_world *world, const th_words *words, const char *home)
{
    th_auto_buf request = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_question question = {.world = world, .home = home};
    th_answer answer;
    int code = 0;
    th_err err = put_request(world, &request, words, &why);

    if (err != TH_OK) {
        return th_say_error(err, th_buf_slice(&why));
    }
    question.request = th_buf_slice(&request);
    if (words->command == TH_COMMAND_TRACE) {
        question.hear = show_traced;
        question.context = (void *)words;
        question.hear_ms = words->has_timeout ? words->timeout_ms : 0;
    } else {
        question.timeout_ms = words->has_timeout ? words->timeout_ms : 0;
    }
    err = th_client_ask(&question, &answer);
    if (err == TH_OK) {
        code = print(words, answer.ok);
    } else if (err == TH_OFFLINE && answer.why.bytes == 0) {
        code = th_ask_say_offline(words, home);
    } else {
        code = say_refused(words, err, &answer);
    }
    th_answer_deinit(&answer);
    return code;
}
