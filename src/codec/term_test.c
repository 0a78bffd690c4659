#include "codec/term.h"

#include "base/test.h"

#include <math.h>

static void check_int(int64_t number, size_t bytes)
{
    th_auto_buf text = TH_BUF_INIT;
    th_slice rest;
    th_term_token token;

    th_term_put_int(&text, number);
    T_EQ(text.bytes, bytes);
    rest = th_buf_slice(&text);
    T_TRUE(th_term_read(&rest, &token));
    T_EQ(token.tag, TH_TERM_INT);
    T_TRUE(token.number == number);
    T_EQ(rest.bytes, 0);
}

TEST(term, integers_are_short_where_they_can_be)
{
    check_int(0, 2);
    check_int(127, 2);
    check_int(-128, 2);
    check_int(128, 9);
    check_int(-129, 9);
    check_int(INT64_MAX, 9);
    check_int(INT64_MIN, 9);
}

TEST(term, floats_keep_every_bit)
{
    static const double rows[] = {0.0, -0.0, 1.5, INFINITY, -INFINITY, NAN, 1e-310};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto_buf text = TH_BUF_INIT;
        th_slice rest;
        th_term_token token;

        th_term_put_real(&text, rows[i]);
        rest = th_buf_slice(&text);
        T_TRUE(th_term_read(&rest, &token));
        T_EQ(token.tag, TH_TERM_FLOAT);
        T_MEM(&token.real, &rows[i], sizeof rows[i]);
    }
}

TEST(term, strings_of_any_length_are_read_back)
{
    static const size_t rows[] = {0, 1, TH_TERM_SHORT_MAX, TH_TERM_SHORT_MAX + 1,
                                  100000};
    static char bytes[100000];

    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto_buf text = TH_BUF_INIT;
        th_slice rest;
        th_term_token token;

        th_term_put_string(&text, th_slice_of(bytes, rows[i]));
        T_EQ(text.bytes, rows[i] + (rows[i] <= TH_TERM_SHORT_MAX ? 1 : 5));
        rest = th_buf_slice(&text);
        T_TRUE(th_term_read(&rest, &token));
        T_EQ(token.tag, TH_TERM_STRING);
        T_TRUE(th_slice_eq(token.string, th_slice_of(bytes, rows[i])));
    }
}

static void put_all(th_buf *out)
{
    th_term_put_header(out, TH_TERM_SHARED);
    th_term_put_table(out, 6, 1);
    th_term_put_tag(out, TH_TERM_NIL);
    th_term_put_tag(out, TH_TERM_TRUE);
    th_term_put_int(out, 300);
    th_term_put_real(out, 0.5);
    th_term_put_ns(out, TH_TERM_TIME, -1);
    th_term_put_ref(out, 0);
    th_term_put_string(out, TH_SLICE("key"));
    th_term_put_table(out, 0, 0);
}

TEST(term, a_whole_term_is_read_as_it_was_written)
{
    static const th_term_tag tags[] = {TH_TERM_TABLE, TH_TERM_NIL,    TH_TERM_TRUE,
                                       TH_TERM_INT,   TH_TERM_FLOAT,  TH_TERM_TIME,
                                       TH_TERM_REF,   TH_TERM_STRING, TH_TERM_TABLE};
    th_auto_buf text = TH_BUF_INIT;
    th_slice rest;
    bool is_shared = false;

    put_all(&text);
    rest = th_buf_slice(&text);
    T_TRUE(th_term_open(&rest, &is_shared));
    T_TRUE(is_shared);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        th_term_token token;

        T_TRUE(th_term_read(&rest, &token));
        T_EQ(token.tag, tags[i]);
    }
    T_EQ(rest.bytes, 0);
}

TEST(term, a_term_that_was_cut_is_damaged_and_never_read_beyond)
{
    th_auto_buf text = TH_BUF_INIT;

    put_all(&text);
    for (size_t bytes = 0; bytes < text.bytes; bytes++) {
        char *copy = th_malloc(bytes); /* a sanitizer sees a read behind it */
        th_slice rest = th_slice_of(memcpy(copy, text.at, bytes), bytes);
        th_term_token token;
        bool is_shared;
        int values = 0;

        if (th_term_open(&rest, &is_shared)) {
            while (th_term_read(&rest, &token)) {
                values++;
            }
        }
        T_TRUE(values < 9);
        th_free(copy);
    }
}

TEST(term, no_table_is_larger_than_its_bytes)
{
    static const unsigned char wide[] = {
        TH_TERM_TABLE, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, TH_TERM_NIL};
    static const unsigned char narrow[] = {TH_TERM_TABLE8, 1, 1, TH_TERM_NIL,
                                           TH_TERM_NIL};
    th_slice rest = th_slice_of(wide, sizeof wide);
    th_term_token token;

    T_FALSE(th_term_read(&rest, &token));
    rest = th_slice_of(narrow, sizeof narrow);
    T_FALSE(th_term_read(&rest, &token));
}

TEST(term, unknown_headers_and_tags_are_damage)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        th_slice header = th_slice_of(&one, 1), tag = th_slice_of(&one, 1);
        bool is_shared;
        th_term_token token;

        T_EQ(th_term_open(&header, &is_shared),
             byte == TH_TERM_PLAIN || byte == TH_TERM_SHARED);
        T_EQ(th_term_read(&tag, &token),
             byte == TH_TERM_NIL || byte == TH_TERM_FALSE || byte == TH_TERM_TRUE ||
                 byte == TH_TERM_ERROR || byte == TH_TERM_SHORT);
    }
}

TEST(term, a_buffer_that_could_not_grow_says_so)
{
    th_auto_buf text = TH_BUF_INIT;

    th_mem_fail_after(0);
    put_all(&text);
    th_mem_fail_never();
    T_TRUE(text.failed);
}
