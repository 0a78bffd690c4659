#include "codec/json_doc.h"

#include "base/test.h"

TEST(json_doc, a_document_is_read_and_written)
{
    th_auto(th_json) json = NULL;
    th_auto_buf out = TH_BUF_INIT;
    th_json_error error;
    th_slice text;
    uint64_t n = 0;

    T_EQ(th_json_decode(&json, TH_SLICE("{\"a\":\"x\\u0000y\",\"n\":7,\"l\":[1,null]}"),
                        &error),
         TH_OK);
    T_TRUE(th_json_text(th_json_get(json, "a"), &text));
    T_TRUE(th_slice_eq(text, TH_SLICE("x\0y")));
    T_TRUE(th_json_u64(th_json_get(json, "n"), &n));
    T_EQ(n, 7);
    T_FALSE(th_json_u64(th_json_get(json, "a"), &n));
    T_FALSE(th_json_u64(th_json_get(json, "none"), &n));
    T_EQ(th_json_count(th_json_get(json, "l")), 2);
    th_json_encode(json, &out);
    T_STR(out.at, "{\"a\":\"x\\u0000y\",\"n\":7,\"l\":[1,null]}");
}

TEST(json_doc, what_is_no_document_is_refused)
{
    static const char *const texts[] = {
        "", "{", "{}x", "{\"a\":1,\"a\":2}", "\"\xff\"", "nul", "[1,]", "{'a':1}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        th_auto(th_json) json = NULL;
        th_json_error error;

        T_EQ(th_json_decode(&json, th_slice_str(texts[i]), &error), TH_INVALID);
        T_TRUE(error.what[0] != '\0');
    }
}

TEST(json_doc, a_nul_byte_is_refused_wherever_it_stands)
{
    static const th_slice texts[] = {{"1\0", 2},
                                     {"[1\0]", 4},
                                     {"\0"
                                      "1",
                                      2},
                                     {"\"a\0\"", 4}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        th_auto(th_json) json = NULL;
        th_json_error error;

        T_EQ(th_json_decode(&json, texts[i], &error), TH_INVALID);
        T_STR(error.what, "a NUL byte stands in the text");
    }
}

static void expect_sorted(const char *text, const char *sorted)
{
    th_auto(th_json) json = NULL;
    th_auto_buf out = TH_BUF_INIT;
    th_json_error error;

    T_EQ(th_json_decode(&json, th_slice_str(text), &error), TH_OK);
    th_json_encode_sorted(json, &out);
    T_STR(th_buf_text(&out), sorted);
}

TEST(json_doc, equal_values_are_written_sorted_as_equal_bytes)
{
    expect_sorted("{ \"b\" : [ 1 , 1.0, 1e0 ] , \"a\":{\"d\":null,\"c\":\"\\u00e9\"} }",
                  "{\"a\":{\"c\":\"\xc3\xa9\",\"d\":null},\"b\":[1,1.0,1.0]}");
    expect_sorted(" \"\\u006dessaging\" ", "\"messaging\"");
}

TEST(json_doc, null_is_a_value_and_nothing_is_none)
{
    th_auto(th_json) json = NULL;
    th_json_error error;

    T_EQ(th_json_decode(&json, TH_SLICE("{\"a\":null,\"b\":-1,\"c\":1.0}"), &error),
         TH_OK);
    T_TRUE(th_json_is_null(th_json_get(json, "a")));
    T_FALSE(th_json_is_null(th_json_get(json, "b")));
    T_FALSE(th_json_is_null(th_json_get(json, "none")));
    T_TRUE(th_json_is_integer(th_json_get(json, "b")));
    T_FALSE(th_json_is_integer(th_json_get(json, "c")));
    T_FALSE(th_json_is_integer(th_json_get(json, "none")));
}

static void expect_text(th_slice text, const char *json)
{
    th_auto_buf out = TH_BUF_INIT;

    th_json_put_text(&out, text);
    T_STR(out.at, json);
}

TEST(json_doc, every_text_is_written_as_json)
{
    expect_text(TH_SLICE(""), "\"\"");
    expect_text(TH_SLICE("a\"b\\c\n\t\r\1\x7f"),
                "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u007f\"");
    expect_text(TH_SLICE("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\"");
    expect_text(TH_SLICE("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_text(TH_SLICE("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_text(TH_SLICE("\xc0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(json_doc, base64_goes_there_and_back)
{
    for (size_t n = 0; n < 70; n++) {
        th_auto_buf text = TH_BUF_INIT;
        th_auto_buf back = TH_BUF_INIT;
        char bytes[70];

        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)(i * 37 + n);
        }
        th_base64_encode(&text, th_slice_of(bytes, n));
        T_EQ(text.bytes, (n + 2) / 3 * 4);
        T_EQ(th_base64_decode(&back, th_buf_slice(&text)), TH_OK);
        T_TRUE(th_slice_eq(th_buf_slice(&back), th_slice_of(bytes, n)));
    }
}

TEST(json_doc, base64_has_one_text_for_each_value)
{
    static const char *const texts[] = {"a",    "ab==c", "ab=c", "aB==",    "aaB=",
                                        "=aaa", "a===",  "****", "aa==aaaa"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        th_auto_buf back = TH_BUF_INIT;

        T_EQ(th_base64_decode(&back, th_slice_str(texts[i])), TH_INVALID);
        T_EQ(back.bytes, 0);
    }
}

TEST(json_doc, memory_that_runs_out_is_never_taken_for_a_wrong_text)
{
    for (size_t n = 0;; n++) {
        th_auto(th_json) json = NULL;
        th_json_error error;
        th_err err;

        th_mem_fail_after(n);
        err =
            th_json_decode(&json, TH_SLICE("{\"a\":[1,2.5,\"x\"],\"b\":{\"c\":null}}"),
                           &error);
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_QUOTA);
        T_STR(error.what, "memory ran out");
    }
}
