#include "codec/term_json.h"

#include "base/test.h"
#include "codec/term.h"

#include <math.h>

/* --- From JSON and back -------------------------------------------------------- */

static void goes(const char *json, const char *again)
{
    th_auto_buf term = TH_BUF_INIT, text = TH_BUF_INIT;

    T_EQ(th_term_from_json(&term, th_slice_str(json)), TH_OK);
    T_EQ(th_term_to_json(&text, th_buf_slice(&term)), TH_OK);
    T_STR(th_buf_text(&text), again);
}

TEST(term_json, what_is_read_is_written_the_same)
{
    static const char *const same[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "127",
        "128",
        "-129",
        "9223372036854775807",
        "0.5",
        "-2.25",
        "1e+300",
        "0.1",
        "\"\"",
        "\"text\"",
        "\"\\u0000\"",
        "\"\\n\\\"\"",
        "[]",
        "[1,2,3]",
        "[[],[[]]]",
        "{\"a\":1}",
        "{\"a\":{\"b\":[true,false]}}",
    };

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        goes(same[i], same[i]);
    }
}

TEST(term_json, what_json_cannot_keep_becomes_its_nearest)
{
    goes(" [ 1.0 , 2.50 ] ", "[1,2.5]");
    goes("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}");
    goes("{\"a\":1,\"a\":2}", "{\"a\":2}");
    goes("{\"a\":null,\"b\":1}", "{\"b\":1}");
    goes("{}", "[]");
    goes("\"\\u00e9\"", "\"\xc3\xa9\"");
    goes("18446744073709551616", "1.8446744073709552e+19");
}

TEST(term_json, keys_come_in_order_of_their_bytes)
{
    th_auto_buf json = TH_BUF_INIT, sorted = TH_BUF_INIT;

    for (int i = 999; i >= 0; i--) {
        th_buf_putf(&json, "%s\"k%03d\":%d", i == 999 ? "{" : ",", i, i);
        th_buf_putf(&sorted, "%s\"k%03d\":%d", i == 999 ? "{" : ",", 999 - i, 999 - i);
    }
    th_buf_putc(&json, '}');
    th_buf_putc(&sorted, '}');
    goes(th_buf_text(&json), th_buf_text(&sorted));
}

static void refuses_text(th_slice json)
{
    th_auto_buf term = TH_BUF_INIT;
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};

    T_EQ(th_term_from_json_in(&work, &term, json), TH_INVALID);
    T_NE(work.error.what[0], 0);
}

TEST(term_json, what_is_no_json_is_refused)
{
    static const char *const bad[] = {
        "",      "x",       "[1",     "[1,]",     "{\"a\"}",     "{\"a\":}", "{a:1}",
        "1 2",   "\"a",     "\"\n\"", "[1]]",     "nul",         "+1",       "01",
        "1e999", "\"\\x\"", "\xff",   "\"\xff\"", "\"\\ud800\"", "/**/1",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuses_text(th_slice_str(bad[i]));
    }
}

TEST(term_json, depth_is_bounded_both_ways)
{
    th_auto_buf json = TH_BUF_INIT, term = TH_BUF_INIT, text = TH_BUF_INIT;

    for (int depth = 0; depth < TH_TERM_JSON_DEPTH_MAX; depth++) {
        th_buf_putc(&json, '[');
    }
    for (int depth = 0; depth < TH_TERM_JSON_DEPTH_MAX; depth++) {
        th_buf_putc(&json, ']');
    }
    goes(th_buf_text(&json), th_buf_text(&json));
    th_buf_clear(&json);
    for (int depth = 0; depth < 1000000; depth++) {
        th_buf_putc(&json, '[');
    }
    refuses_text(th_buf_slice(&json));

    th_term_put_header(&term, TH_TERM_PLAIN);
    for (int depth = 0; depth < 200; depth++) {
        th_term_put_table(&term, 1, 0);
    }
    th_term_put_int(&term, 1);
    T_EQ(th_term_to_json(&text, th_buf_slice(&term)), TH_INVALID);
    T_EQ(text.bytes, 0);
}

TEST(term_json, a_bracket_in_a_string_is_no_depth)
{
    th_auto_buf json = TH_BUF_INIT;

    th_buf_putc(&json, '"');
    for (int i = 0; i < 5000; i++) {
        th_buf_puts(&json, i % 7 == 0 ? "\\\"" : "[");
    }
    th_buf_putc(&json, '"');
    goes(th_buf_text(&json), th_buf_text(&json));
}

/* --- Terms that have no form in JSON -------------------------------------------- */

static void refuses_term(const th_buf *term, const char *what)
{
    th_auto_buf text = TH_BUF_INIT;
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};

    T_EQ(th_term_to_json_in(&work, &text, th_buf_slice(term)), TH_INVALID);
    T_STR(work.error.what, what);
}

static void begin(th_buf *term)
{
    th_buf_clear(term);
    th_term_put_header(term, TH_TERM_PLAIN);
}

TEST(term_json, a_value_without_a_form_is_refused_by_name)
{
    th_auto_buf term = TH_BUF_INIT;

    begin(&term); /* {1, x = 2} */
    th_term_put_table(&term, 1, 1);
    th_term_put_int(&term, 1);
    th_term_put_string(&term, TH_SLICE("x"));
    th_term_put_int(&term, 2);
    refuses_term(&term, "a table that has both strings and numbers as keys");

    begin(&term); /* {nil, 2} */
    th_term_put_table(&term, 2, 0);
    th_term_put_tag(&term, TH_TERM_NIL);
    th_term_put_int(&term, 2);
    refuses_term(&term, "an array with a hole");

    begin(&term); /* {[3] = true} */
    th_term_put_table(&term, 0, 1);
    th_term_put_int(&term, 3);
    th_term_put_tag(&term, TH_TERM_TRUE);
    refuses_term(&term, "an array with a hole");

    begin(&term); /* {[true] = true} */
    th_term_put_table(&term, 0, 1);
    th_term_put_tag(&term, TH_TERM_TRUE);
    th_term_put_tag(&term, TH_TERM_TRUE);
    refuses_term(&term, "a table whose keys are neither 1..n nor strings");

    begin(&term);
    th_term_put_string(&term, TH_SLICE("\xff"));
    refuses_term(&term, "a string that is not UTF-8");

    begin(&term); /* t = {t} */
    th_term_put_table(&term, 1, 0);
    th_term_put_ref(&term, 0);
    refuses_term(&term, "a table that contains itself");

    begin(&term);
    th_term_put_ref(&term, 0);
    refuses_term(&term, "the value is damaged");
}

static void writes(const th_buf *term, const char *json)
{
    th_auto_buf text = TH_BUF_INIT;

    T_EQ(th_term_to_json(&text, th_buf_slice(term)), TH_OK);
    T_STR(th_buf_text(&text), json);
}

TEST(term_json, integer_keys_from_one_on_are_an_array_in_any_order)
{
    th_auto_buf term = TH_BUF_INIT;

    begin(&term);
    th_term_put_table(&term, 1, 2);
    th_term_put_string(&term, TH_SLICE("a"));
    th_term_put_int(&term, 3);
    th_term_put_string(&term, TH_SLICE("c"));
    th_term_put_int(&term, 2);
    th_term_put_string(&term, TH_SLICE("b"));
    writes(&term, "[\"a\",\"b\",\"c\"]");
}

TEST(term_json, a_table_that_is_shared_is_written_twice)
{
    th_auto_buf term = TH_BUF_INIT;

    th_term_put_header(&term, TH_TERM_SHARED);
    th_term_put_table(&term, 3, 0); /* 0 */
    th_term_put_table(&term, 1, 0); /* 1 */
    th_term_put_table(&term, 0, 0); /* 2 */
    th_term_put_ref(&term, 1);
    th_term_put_ref(&term, 2);
    writes(&term, "[[[]],[[]],[]]");
}

/* Each table holds the one before twice: 2^60 brackets, if nobody stopped it. */
TEST(term_json, sharing_does_not_blow_up)
{
    th_auto_buf term = TH_BUF_INIT;

    th_term_put_header(&term, TH_TERM_SHARED);
    for (uint32_t i = 0; i < 60; i++) {
        th_term_put_table(&term, 2, 0);
    }
    th_term_put_int(&term, 1);
    th_term_put_int(&term, 2);
    for (uint32_t i = 59; i > 0; i--) {
        th_term_put_ref(&term, i);
    }
    refuses_term(&term, "more than 64 MiB of JSON");
}

TEST(term_json, numbers_times_and_errors_have_a_form)
{
    th_auto_buf term = TH_BUF_INIT;

    begin(&term);
    th_term_put_table(&term, 8, 0);
    th_term_put_real(&term, NAN);
    th_term_put_real(&term, -INFINITY);
    th_term_put_real(&term, -3);
    th_term_put_ns(&term, TH_TERM_TIME, 0);
    th_term_put_ns(&term, TH_TERM_TIME, INT64_C(1709210096500000000));
    th_term_put_ns(&term, TH_TERM_TIME, -1);
    th_term_put_ns(&term, TH_TERM_DURATION, 1500);
    th_term_put_tag(&term, TH_TERM_ERROR);
    th_term_put_string(&term, TH_SLICE("it broke"));
    th_term_put_string(&term, TH_SLICE("Internal"));
    th_term_put_tag(&term, TH_TERM_FALSE);
    th_term_put_tag(&term, TH_TERM_NIL);
    th_term_put_tag(&term, TH_TERM_NIL);
    writes(&term, "[null,null,-3,\"1970-01-01T00:00:00Z\",\"2024-02-29T12:34:56.5Z\","
                  "\"1969-12-31T23:59:59.999999999Z\",1500,\"it broke\"]");
}

/* --- Damage and memory ------------------------------------------------------------ */

TEST(term_json, a_term_that_is_cut_anywhere_is_refused)
{
    static const char json[] =
        "{\"a\":[1,2.5,\"text\",null,true],\"b\":{\"c\":-70000}}";
    th_auto_buf term = TH_BUF_INIT;

    T_EQ(th_term_from_json(&term, th_slice_str(json)), TH_OK);
    for (size_t bytes = 0; bytes < term.bytes; bytes++) {
        th_auto_buf text = TH_BUF_INIT;

        T_EQ(th_term_to_json(&text, th_slice_of(term.at, bytes)), TH_INVALID);
    }
}

TEST(term_json, any_bytes_are_a_term_or_refused)
{
    uint64_t dice = 1;

    for (int i = 0; i < 20000; i++) {
        char bytes[64];
        th_auto_buf text = TH_BUF_INIT;

        for (size_t at = 0; at < sizeof bytes; at++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            bytes[at] = (char)(dice >> 56 & (i % 2 == 0 ? 0x4F : 0xFF));
        }
        bytes[0] = TH_TERM_PLAIN + i % 2;
        th_term_to_json(&text, th_slice_of(bytes, sizeof bytes));
    }
}

TEST(term_json, everything_is_given_back_when_memory_runs_out)
{
    for (uint64_t n = 0;; n++) {
        th_auto_buf term = TH_BUF_INIT, text = TH_BUF_INIT;
        th_err err;

        th_mem_fail_after(n);
        err = th_term_from_json(&term, TH_SLICE("{\"a\":[1,2],\"b\":\"c\"}"));
        if (err == TH_OK) {
            err = th_term_to_json(&text, th_buf_slice(&term));
        }
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_QUOTA);
    }
}

static int pauses;

static void count_pause(void)
{
    pauses++;
}

TEST(term_json, long_work_is_cut_into_pieces)
{
    th_auto_buf json = TH_BUF_INIT, term = TH_BUF_INIT, text = TH_BUF_INIT;
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool, .pause = count_pause};

    th_buf_putc(&json, '[');
    for (int i = 0; i < 10000; i++) {
        th_buf_puts(&json, i == 0 ? "0" : ",0");
    }
    th_buf_putc(&json, ']');
    pauses = 0;
    T_EQ(th_term_from_json_in(&work, &term, th_buf_slice(&json)), TH_OK);
    T_TRUE(pauses > 10000);
    pauses = 0;
    T_EQ(th_term_to_json_in(&work, &text, th_buf_slice(&term)), TH_OK);
    T_TRUE(pauses > 10000);
    T_NULL(pool.newest);
}
