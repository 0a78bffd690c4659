#include "base/test.h"

#include "node/control.h"

/* Answers at once with what it understood. */
static void ask(void *context, const th_control_request *request, th_buf *out)
{
    static const char *const names[] = {"ps",     "send",  "call", "kill",
                                        "attach", "info",  "caps", "grant",
                                        "revoke", "trace", "state"};

    (void)context;
    th_control_put_ok(out, request->id);
    if (request->issuer.bytes > 0) {
        th_buf_puts(out, "[");
        th_json_put_text(out, request->params);
        th_buf_putf(out, ",\"%s %.*s %.*s\"]", names[request->verb],
                    TH_FMT(request->to), TH_FMT(request->issuer));
        th_control_put_end(out);
        return;
    }
    th_buf_putf(out, "\"%s %.*s %.*s %zu %.*s %zu %llu\"", names[request->verb],
                TH_FMT(request->to), TH_FMT(request->topic),
                th_json_count(request->values), TH_FMT(th_buf_slice(&request->body)),
                request->blob.bytes, (unsigned long long)request->timeout_ms);
    th_control_put_end(out);
}

static void expect(const char *line, const char *answer)
{
    th_auto(th_control) control = NULL;
    th_auto_buf out = TH_BUF_INIT;

    T_EQ(th_control_new(&control, ask, NULL), TH_OK);
    T_EQ(th_control_feed(control, th_slice_str(line), &out), TH_OK);
    T_STR(th_buf_text(&out), answer);
}

#define NO(id, text)                                                                   \
    "{\"id\":" id ",\"error\":{\"reason\":\"invalid\",\"message\":\"" text "\"}}\n"

TEST(control, requests_are_understood)
{
    expect("{\"id\":1,\"verb\":\"ps\",\"new\":true}\n",
           "{\"id\":1,\"ok\":\"ps   0  0 0\"}\n");
    expect("{\"verb\":\"kill\",\"to\":\"a\"}\r\n",
           "{\"id\":null,\"ok\":\"kill a  0  0 0\"}\n");
    expect("{\"id\":\"x\",\"verb\":\"send\",\"to\":\"a\",\"topic\":\"t\",\"values\":[1,"
           "2]}\n",
           "{\"id\":\"x\",\"ok\":\"send a t 2  0 0\"}\n");
    expect("{\"id\":2,\"verb\":\"call\",\"to\":\"a\",\"body_base64\":\"aGk=\","
           "\"blob_base64\":\"AAAA\",\"timeout_ms\":7}\n",
           "{\"id\":2,\"ok\":\"call a  0 hi 3 7\"}\n");
    expect("\n\n", "");
}

TEST(control, rights_are_given_taken_and_looked_at)
{
    expect("{\"id\":1,\"verb\":\"info\",\"to\":\"a\"}\n",
           "{\"id\":1,\"ok\":\"info a  0  0 0\"}\n");
    expect("{\"id\":1,\"verb\":\"grant\",\"to\":\"a\",\"issuer\":\"b\"}\n",
           "{\"id\":1,\"ok\":[\"\\\"messaging\\\"\",\"grant a b\"]}\n");
    expect("{\"id\":1,\"verb\":\"revoke\",\"issuer\":\"b\",\"params\":\"1\"}\n",
           "{\"id\":1,\"ok\":[\"1\",\"revoke  b\"]}\n");
    expect("{\"id\":1,\"verb\":\"trace\"}\n", "{\"id\":1,\"ok\":\"trace   0  0 0\"}\n");
    expect("{\"id\":1,\"verb\":\"caps\"}\n",
           NO("1", "the request needs `to`, the text of a process"));
    expect("{\"id\":1,\"verb\":\"grant\",\"to\":\"a\"}\n",
           NO("1", "the request needs `issuer`, the text of a process"));
    expect("{\"id\":1,\"verb\":\"revoke\",\"issuer\":\"b\",\"params\":1}\n",
           NO("1", "`params` is a text that holds JSON"));
    expect("{\"id\":1,\"verb\":\"revoke\",\"issuer\":\"b\",\"to\":\"\"}\n",
           NO("1", "the request needs `to`, the text of a process"));
}

TEST(control, what_is_wrong_is_answered)
{
    expect("hello\n", NO("null", "the line is not a JSON object: invalid token near "
                                 "'hello'"));
    expect("[1]\n", NO("null", "the line is not a JSON object"));
    expect("{\"id\":1}\n",
           NO("1", "the `verb` is none that this node knows; its hello lists those"));
    expect("{\"id\":1,\"verb\":\"reboot\"}\n",
           NO("1", "the `verb` is none that this node knows; its hello lists those"));
    expect("{\"id\":-1,\"verb\":\"kill\"}\n",
           NO("null", "the request needs `to`, the text of a process"));
    expect("{\"id\":1,\"verb\":\"send\",\"to\":\"a\"}\n",
           NO("1", "`send` needs a `topic`, a text"));
    expect("{\"id\":1,\"verb\":\"send\",\"to\":\"a\",\"topic\":\"\",\"values\":[]}\n",
           NO("1", "a topic is not empty, and does not begin with `@`"));
    expect("{\"id\":1,\"verb\":\"send\",\"to\":\"a\",\"topic\":\"@t\",\"values\":[]}\n",
           NO("1", "a topic is not empty, and does not begin with `@`"));
    expect("{\"id\":1,\"verb\":\"send\",\"to\":\"a\",\"topic\":\"t\"}\n",
           NO("1", "`send` needs `values`, `body` or `body_base64`"));
    expect("{\"id\":1,\"verb\":\"send\",\"to\":\"a\",\"topic\":\"t\",\"values\":3}\n",
           NO("1", "`values` is a list, and there is no body then"));
    expect("{\"id\":1,\"verb\":\"call\",\"to\":\"a\"}\n",
           NO("1", "`call` needs `body` or `body_base64`"));
    expect("{\"id\":1,\"verb\":\"call\",\"to\":\"a\",\"body_base64\":\"a\"}\n",
           NO("1",
              "`body` is a text, `body_base64` and `blob_base64` bytes in base64"));
    expect("{\"id\":1,\"verb\":\"call\",\"to\":\"a\",\"body\":\"\",\"timeout_ms\":0}\n",
           NO("1", "`timeout_ms` is a whole number from 1 to 4294967295"));
    expect("{\"a\":1,\"a\":1}\n",
           NO("null", "the line is not a JSON object: duplicate object key near '\\\"a"
                      "\\\"'"));
}

TEST(control, a_line_may_come_byte_by_byte)
{
    static const char line[] = "{\"id\":1,\"verb\":\"ps\"}\n";
    th_auto(th_control) control = NULL;
    th_auto_buf out = TH_BUF_INIT;

    T_EQ(th_control_new(&control, ask, NULL), TH_OK);
    for (size_t i = 0; i + 1 < sizeof line; i++) {
        T_EQ(out.bytes, 0);
        T_EQ(th_control_feed(control, th_slice_of(line + i, 1), &out), TH_OK);
    }
    T_STR(out.at, "{\"id\":1,\"ok\":\"ps   0  0 0\"}\n");
}

TEST(control, a_line_without_an_end_is_cut_off)
{
    th_auto(th_control) control = NULL;
    th_auto_buf out = TH_BUF_INIT;
    th_auto_buf part = TH_BUF_INIT;
    size_t fed = 0;

    T_EQ(th_control_new(&control, ask, NULL), TH_OK);
    memset(th_buf_reserve(&part, 1 << 20), 'x', 1 << 20);
    part.bytes = 1 << 20;
    while (th_control_feed(control, th_buf_slice(&part), &out) == TH_OK) {
        fed += part.bytes;
        T_TRUE(fed <= TH_CONTROL_LINE_BYTES_MAX);
    }
    T_STR(out.at, "{\"id\":null,\"error\":{\"reason\":\"overloaded\",\"message\":\"the "
                  "line is longer than 16 MiB\"}}\n");
}

TEST(control, no_bytes_do_harm)
{
    uint64_t dice = 42;

    for (int round = 0; round < 200; round++) {
        th_auto(th_control) control = NULL;
        th_auto_buf out = TH_BUF_INIT;
        char bytes[512];

        T_EQ(th_control_new(&control, ask, NULL), TH_OK);
        for (size_t i = 0; i < sizeof bytes; i++) {
            static const char some[] = "{}[]\",:\\u0dev rbtosp1-\n";

            dice = dice * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = dice >> 63 ? (char)(dice >> 40)
                                  : some[(dice >> 33) % (sizeof some - 1)];
        }
        T_EQ(th_control_feed(control, th_slice_of(bytes, sizeof bytes), &out), TH_OK);
    }
}

TEST(control, deep_nesting_is_refused)
{
    th_auto(th_control) control = NULL;
    th_auto_buf out = TH_BUF_INIT;
    th_auto_buf line = TH_BUF_INIT;

    T_EQ(th_control_new(&control, ask, NULL), TH_OK);
    for (int i = 0; i < 1000000; i++) {
        th_buf_puts(&line, "[");
    }
    th_buf_putc(&line, '\n');
    T_EQ(th_control_feed(control, th_buf_slice(&line), &out), TH_OK);
    T_NOT_NULL(strstr(out.at, "\"reason\":\"invalid\""));
}

TEST(control, the_hello_says_who_speaks)
{
    th_auto_buf out = TH_BUF_INIT;

    th_control_hello(&out);
    T_NOT_NULL(strstr(out.at, "\"protocol\":1,\"features\":[\"ps\",\"send\","
                              "\"call\",\"kill\",\"attach\",\"info\","
                              "\"caps\",\"grant\",\"revoke\",\"trace\",\"state\"]}"));
}
