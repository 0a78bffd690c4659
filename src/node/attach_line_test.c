#include "base/test.h"

#include "base/mem.h"
#include "node/attach_line.h"

static th_attach_line *line_of(const char *text)
{
    return th_attach_line_new(th_slice_str(text));
}

/* It is wrong, and @why is how its sentence begins. */
static void refuse(const char *text, const char *why)
{
    th_auto(th_attach_line) line = line_of(text);

    T_NOT_NULL(line);
    T_EQ(line->wrong, TH_INVALID);
    if (strncmp(th_buf_text(&line->why), why, strlen(why)) != 0) {
        T_STR(th_buf_text(&line->why), why);
    }
}

static th_attach_line *accept(const char *text, th_attach_verb verb)
{
    th_attach_line *line = line_of(text);

    T_NOT_NULL(line);
    T_STR(th_buf_text(&line->why), "");
    T_EQ(line->wrong, TH_OK);
    T_EQ(line->verb, verb);
    return line;
}

static bool is(th_slice text, const char *expected)
{
    return th_slice_is(text, expected);
}

TEST(attach_line, a_request_is_read_with_all_that_it_may_have)
{
    th_auto(th_attach_line) line =
        accept("{\"id\":\"a\",\"verb\":\"request\",\"to\":\"echo\",\"body\":\"b\","
               "\"metadata\":\"m\",\"context_base64\":\"Yw==\",\"blob\":\"bb\","
               "\"mime\":\"x/y\",\"inherit\":7,\"timeout_ms\":1500,\"await\":true,"
               "\"new\":[1]}",
               TH_ATTACH_REQUEST);

    T_TRUE(line->has_id && is(th_buf_slice(&line->id), "\"a\""));
    T_TRUE(is(line->to, "echo") && is(line->metadata, "m"));
    T_TRUE(is(th_buf_slice(&line->body), "b"));
    T_EQ(line->format, TH_FORMAT_BYTES);
    T_TRUE(is(th_blob_slice(line->context), "c"));
    T_TRUE(is(th_blob_slice(line->blob), "bb"));
    T_TRUE(is(th_slice_of(line->blob->mime, line->blob->mime_bytes), "x/y"));
    T_TRUE(line->inherits && line->inherited == 7 && line->awaits);
    T_EQ(line->timeout_ns, 1500 * TH_MS);
    T_EQ(line->expects_s, 2);
    T_TRUE(th_attach_has(line, TH_ATTACH_HAS_METADATA));
    T_TRUE(!th_attach_has(line, TH_ATTACH_HAS_TOPIC));
}

TEST(attach_line, a_timeout_of_nothing_is_over_at_once_and_a_huge_one_never)
{
    const char *form = "{\"verb\":\"request\",\"to\":\"a\",\"body\":\"\",\"%s\":%s}";
    static const struct {
        const char *key, *value;
        uint64_t ns, s;
    } rows[] = {{"expects_s", "0", 1, 0},
                {"timeout_ms", "0", 1, 0},
                {"expects_s", "3", 3 * TH_S, 3},
                {"timeout_ms", "1", TH_MS, 1},
                {"expects_s", "9223372036854775807", INT64_MAX, INT64_MAX},
                {"timeout_ms", "9223372036854775807", INT64_MAX, 9223372036854776}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto(th_attach_line) line = NULL;
        th_auto_buf text = TH_BUF_INIT;

        th_buf_putf(&text, form, rows[i].key, rows[i].value);
        line = accept(th_buf_text(&text), TH_ATTACH_REQUEST);
        T_EQ(line->timeout_ns, rows[i].ns);
        T_EQ(line->expects_s, rows[i].s);
    }
}

TEST(attach_line, a_send_is_a_message_for_each_value)
{
    static const struct {
        const char *what;
        size_t count;
    } rows[] = {{"\"values\":[1,{\"a\":2}]", 2},
                {"\"values\":[]", 1},
                {"\"value\":null", 1},
                {"\"body\":\"x\"", 1},
                {"\"body_base64\":\"\"", 1}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto(th_attach_line) line = NULL;
        th_auto_buf text = TH_BUF_INIT;
        size_t count = 0;

        th_buf_putf(&text, "{\"verb\":\"send\",\"to\":\"a\",\"topic\":\"t\",%s}",
                    rows[i].what);
        line = accept(th_buf_text(&text), TH_ATTACH_SEND);
        TH_LIST_EACH(node, &line->msgs)
        {
            const th_msg *msg = th_msg_of(th_container_of(node, th_item, link));

            T_TRUE(is(th_msg_topic(msg), "t"));
            T_EQ(msg->kind, TH_MSG_SEND);
            count++;
        }
        T_EQ(count, rows[i].count);
    }
}

TEST(attach_line, a_large_body_is_a_blob)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto(th_attach_line) line = NULL;

    th_buf_puts(&text, "{\"verb\":\"response\",\"body\":\"");
    for (int i = 0; i <= TH_MSG_INLINE_BYTES_MAX; i++) {
        th_buf_putc(&text, 'x');
    }
    th_buf_puts(&text, "\"}");
    line = accept(th_buf_text(&text), TH_ATTACH_RESPONSE);
    T_EQ(line->body.bytes, 0);
    T_EQ(line->body_blob->bytes, TH_MSG_INLINE_BYTES_MAX + 1);
    T_TRUE(line->cost > text.bytes);
}

TEST(attach_line, what_is_wrong_is_said)
{
    refuse("hello", "the line is not a JSON object: ");
    refuse("[]", "the line is not a JSON object");
    refuse("{}", "the `verb` is none that a process has here: request, send, ");
    refuse("{\"verb\":\"atach\"}", "the `verb` is none");
    refuse("{\"verb\":\"monitor\"}", "`monitor` needs `to`: the text of a process");
    refuse("{\"verb\":\"request\",\"to\":\"a\",\"body\":\"\",\"inherit\":0}",
           "`request` has a wrong `inherit`");
    refuse("{\"verb\":\"request\",\"to\":\"a\",\"body\":\"\",\"body_base64\":\"\"}",
           "`request` has a wrong `body`");
    refuse("{\"verb\":\"send\",\"to\":\"a\",\"values\":[1]}", "`send` needs `topic`");
    refuse(
        "{\"verb\":\"send\",\"to\":\"a\",\"topic\":\"t\",\"values\":[1],\"value\":1}",
        "`send` has a wrong `values`");
    refuse("{\"verb\":\"print\"}", "`print` needs `text`");
}

TEST(attach_line, an_id_is_a_number_or_a_short_text)
{
    static const struct {
        const char *id, *shown;
        bool has_id;
    } rows[] = {{"3", "3", true},       {"\"\\u0041\"", "\"A\"", true},
                {"-1", "null", false},  {"null", "null", false},
                {"1.5", "null", false}, {"[1]", "null", false},
                {"\"\"", "\"\"", true}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto(th_attach_line) line = NULL;
        th_auto_buf text = TH_BUF_INIT;

        th_buf_putf(&text, "{\"id\":%s,\"verb\":\"receive\"}", rows[i].id);
        line = accept(th_buf_text(&text), TH_ATTACH_RECEIVE);
        T_EQ(line->has_id, rows[i].has_id);
        T_TRUE(is(th_buf_slice(&line->id), rows[i].shown));
    }
}

TEST(attach_line, each_verb_is_told_its_fields)
{
    for (int i = 0; i < TH_ATTACH_VERBS_COUNT; i++) {
        th_auto(th_attach_line) line = NULL;
        th_auto_buf text = TH_BUF_INIT;

        th_buf_putf(&text,
                    "{\"verb\":\"%s\",\"to\":\"a\",\"topic\":\"t\",\"body\":\"b\","
                    "\"entry\":\"e\",\"name\":\"n\",\"text\":\"x\",\"state\":\"s\","
                    "\"capabilities\":[\"c\"],\"on_exit\":\"None\"}",
                    th_attach_verb_name((th_attach_verb)i));
        line = accept(th_buf_text(&text), (th_attach_verb)i);
        T_NOT_NULL(line);
    }
}

TEST(attach_line, a_line_gives_everything_back_when_memory_runs_out)
{
    const char *text = "{\"id\":1,\"verb\":\"request\",\"to\":\"a\",\"value\":[1,2],"
                       "\"context\":\"c\",\"blob\":\"b\",\"mime\":\"m\"}";

    for (size_t n = 0;; n++) {
        th_attach_line *line;
        bool is_whole;

        th_mem_fail_after(n);
        line = line_of(text);
        th_mem_fail_never();
        is_whole = line != NULL && line->wrong == TH_OK;
        T_TRUE(line == NULL || is_whole || line->wrong == TH_QUOTA);
        th_attach_line_free(line);
        T_EQ(th_mem_live(), 0);
        if (is_whole) {
            break;
        }
    }
}

/* --- To the outside ----------------------------------------------------------------- */

TEST(attach_line, capabilities_and_what_is_granted_are_read)
{
    th_auto(th_attach_line) line =
        accept("{\"verb\":\"spawn\",\"entry\":\"a:b\",\"public\":true,"
               "\"capabilities\":[\"p\",{\"issuer\":\"q:k:s\",\"params\":\"{}\"}],"
               "\"grant_to\":[\"r\",{\"process\":\"s\"}],\"on_exit\":\"Restart\"}",
               TH_ATTACH_SPAWN);

    T_EQ(line->claims_count, 2);
    T_TRUE(is(line->claims[0].issuer, "p") && is(line->claims[1].issuer, "q:k:s"));
    T_TRUE(is(line->claims[0].params, "\"messaging\""));
    T_TRUE(is(line->claims[1].params, "{}"));
    T_EQ(line->grants_count, 2);
    T_TRUE(is(line->grants[0].process, "r") && is(line->grants[1].process, "s"));
    T_TRUE(is(line->grants[1].params, "\"messaging\"") && line->is_public);
    T_EQ(th_on_exit_draft_kind(line->on_exit), TH_ON_EXIT_RESTART);
}

TEST(attach_line, what_is_kept_is_checked)
{
    refuse("{\"verb\":\"save-capabilities\"}",
           "`save-capabilities` needs `capabilities`");
    refuse("{\"verb\":\"save-capabilities\",\"capabilities\":[\"\"]}",
           "`save-capabilities` has a wrong `capabilities`");
    refuse("{\"verb\":\"save-capabilities\",\"capabilities\":[{}]}",
           "`save-capabilities` has a wrong `capabilities`");
    refuse("{\"verb\":\"save-capabilities\",\"capabilities\":{}}",
           "`save-capabilities` has a wrong `capabilities`");
    refuse("{\"verb\":\"set-state\"}", "`set-state` needs `state`");
    refuse("{\"verb\":\"set-state\",\"state\":1}", "`set-state` has a wrong `state`");
    refuse("{\"verb\":\"set-on-exit\",\"on_exit\":\"Never\"}", "");
    refuse("{\"verb\":\"set-on-exit\"}", "`set-on-exit` needs `on_exit`");
    refuse("{\"verb\":\"spawn\",\"entry\":\"a:b\",\"grant_to\":[{\"issuer\":\"p\"}]}",
           "`spawn` has a wrong `grant_to`");
    refuse("{\"verb\":\"spawn\",\"entry\":\"a:b\",\"public\":1}",
           "`spawn` has a wrong `public`");
}

static const th_attach_from from = {5, {"{p}", 3}, {"a@b:c:d", 7}, {"a", 1}};

#define FROM "\"from\":\"{p}\",\"address\":\"a@b:c:d\""

TEST(attach_line, a_message_is_shown)
{
    th_auto_buf out = TH_BUF_INIT;
    th_auto(th_blob) blob = th_blob_new(TH_SLICE("blob"), th_slice_of(NULL, 0));
    th_auto(th_msg) sent = th_msg_new(&(th_msg_parts){.kind = TH_MSG_SEND,
                                                      .topic = TH_SLICE("t"),
                                                      .body = TH_SLICE("\xff")});
    th_auto(th_msg) asked = th_msg_new(
        &(th_msg_parts){.kind = TH_MSG_REQUEST,
                        .flags = TH_MSG_EXPECTS | TH_MSG_INHERIT | TH_MSG_METADATA,
                        .expects_s = 2,
                        .body = TH_SLICE("b"),
                        .blob = blob});

    th_attach_put_msg(&out, &from, sent, 0);
    T_STR(th_buf_text(&out), "{\"number\":5,\"kind\":\"send\"," FROM
                             ",\"topic\":\"t\",\"body_base64\":\"/w==\"}");
    th_buf_clear(&out);
    asked->requester = th_pid_make(1, 1);
    asked->deadline_ns = 3 * TH_S;
    th_attach_put_msg(&out, &from, asked, TH_S);
    T_STR(th_buf_text(&out),
          "{\"number\":5,\"kind\":\"request\"," FROM
          ",\"inherit\":true,\"expects\":true,\"expects_s\":2,\"timeout_ms\":2000,"
          "\"body\":\"b\",\"metadata\":\"\",\"has_blob\":true,\"blob_bytes\":4}");
}

TEST(attach_line, bytes_with_control_characters_are_no_text)
{
    th_auto_buf out = TH_BUF_INIT;
    th_auto(th_msg) sent = th_msg_new(&(th_msg_parts){.kind = TH_MSG_SEND,
                                                      .topic = TH_SLICE("t"),
                                                      .body = TH_SLICE("a\0b")});

    th_attach_put_msg(&out, &from, sent, 0);
    T_NOT_NULL(strstr(th_buf_text(&out), "\"body_base64\":\"YQBi\""));
}

TEST(attach_line, what_came_back_is_shown_with_what_was_sent)
{
    th_auto_buf out = TH_BUF_INIT;
    th_auto(th_blob) context = th_blob_new(TH_SLICE("c"), th_slice_of(NULL, 0));
    th_auto(th_msg) original = th_msg_new(&(th_msg_parts){.kind = TH_MSG_REQUEST,
                                                          .flags = TH_MSG_EXPECTS,
                                                          .expects_s = 1,
                                                          .body = TH_SLICE("b")});
    th_attach_asked asked = {TH_SLICE("7"), TH_SLICE("far@x:y:z"), context,
                             TH_SLICE("a")};

    th_attach_put_failure(&out, 9, &asked, TH_OFFLINE, original);
    T_STR(th_buf_text(&out),
          "{\"number\":9,\"kind\":\"error\",\"request\":7,\"context\":\"c\","
          "\"error\":\"offline\",\"reason\":\"offline\",\"message\":\"the other node "
          "cannot be reached\",\"original\":{\"to\":\"far@x:y:z\",\"inherit\":false,"
          "\"expects_s\":1,\"body\":\"b\"}}");
}

TEST(attach_line, an_end_is_a_value_or_a_reason)
{
    th_auto_buf out = TH_BUF_INIT;
    th_auto(th_exit) returned =
        th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""), TH_FORMAT_BYTES, TH_SLICE("v"));
    th_auto(th_exit) killed = th_exit_new(TH_END_KILL, TH_KILLED, TH_SLICE("why"),
                                          TH_FORMAT_BYTES, TH_SLICE(""));

    th_attach_put_end(&out, returned);
    th_attach_put_end(&out, killed);
    th_attach_put_end(&out, NULL);
    T_STR(th_buf_text(&out), "{\"body\":\"v\"}{\"reason\":\"killed\",\"error\":\"why\"}"
                             "{\"reason\":\"overloaded\",\"error\":\"a limit is "
                             "reached\"}");
}
