#include "core/cap.h"

#include "base/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ID TH_SLICE("a:b:c")

/* --- Params as values ------------------------------------------------------------- */

static bool are_equal(th_slice a, th_slice b)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) one = th_cap_issue(issuer, a);
    th_auto(th_cap) other = th_cap_issue(issuer, b);

    T_NOT_NULL(one);
    T_NOT_NULL(other);
    T_EQ(one == other, th_cap_is(one, ID, b));
    T_EQ(one == other, th_cap_is(other, ID, a));
    return one == other;
}

static void expect_equal(const char *a, const char *b, bool are)
{
    if (are_equal(th_slice_str(a), th_slice_str(b)) != are) {
        print_error("%s and %s: %s expected\n", a, b, are ? "equal" : "different");
        fail();
    }
}

TEST(cap, the_order_of_keys_and_spacing_do_not_matter)
{
    expect_equal("{\"a\":1,\"b\":[1,{\"d\":2,\"c\":3}]}",
                 " { \"b\" : [ 1 , { \"c\":3, \"d\":2 } ] ,\n\"a\" : 1 } ", true);
}

TEST(cap, the_order_of_an_array_matters)
{
    expect_equal("[1,2]", "[2,1]", false);
}

TEST(cap, integers_and_reals_differ)
{
    expect_equal("1", "1.0", false);
    expect_equal("1.0", "1e0", true);
    expect_equal("10", "1e1", false);
    expect_equal("9223372036854775807", "9223372036854775806", false);
}

TEST(cap, texts_are_equal_by_value)
{
    expect_equal("\"messaging\"", "\"m\\u0065ssaging\"", true);
    expect_equal("\"\\u00e9\"", "\"\xc3\xa9\"", true);
    expect_equal("\"a\"", "\"A\"", false);
    expect_equal("\"a\\u0000b\"", "\"a\\u0000c\"", false);
    expect_equal("1", "\"1\"", false);
}

TEST(cap, what_is_no_json_is_equal_to_itself_alone)
{
    expect_equal("messaging", "messaging", true);
    expect_equal("messaging", "\"messaging\"", false);
    expect_equal("{", "[", false);
    expect_equal("", "null", false);
    expect_equal("nul", "null", false);
    expect_equal("{a:1}", "{ a:1}", false);
    expect_equal("1 2", "1  2", false);
    expect_equal("{\"a\":1,\"a\":1}", "{\"a\":1}", false);
    expect_equal("1e999", "1e9999", false);
    expect_equal("18446744073709551616", "18446744073709551617", false);
}

TEST(cap, bytes_that_are_no_text_are_equal_to_themselves_alone)
{
    T_TRUE(are_equal(TH_SLICE("\xff\0x"), TH_SLICE("\xff\0x")));
    T_FALSE(are_equal(TH_SLICE("\xff\0x"), TH_SLICE("\xff\0y")));
    T_FALSE(are_equal(TH_SLICE("\"\xff\""), TH_SLICE("\"\xfe\"")));
    T_FALSE(are_equal(TH_SLICE("1\0"), TH_SLICE("1")));
    T_TRUE(are_equal(th_slice_of(NULL, 0), TH_SLICE("")));
}

static void nest(th_buf *out, size_t depth, const char *space)
{
    for (size_t i = 0; i < depth; i++) {
        th_buf_puts(out, "[");
    }
    th_buf_puts(out, space);
    for (size_t i = 0; i < depth; i++) {
        th_buf_puts(out, "]");
    }
}

static bool are_nests_equal(size_t depth)
{
    th_auto_buf one = TH_BUF_INIT;
    th_auto_buf other = TH_BUF_INIT;

    nest(&one, depth, "");
    nest(&other, depth, " ");
    return are_equal(th_buf_slice(&one), th_buf_slice(&other));
}

TEST(cap, params_are_read_as_json_up_to_a_depth)
{
    T_TRUE(are_nests_equal(TH_CAP_DEPTH_MAX));
    T_FALSE(are_nests_equal(TH_CAP_DEPTH_MAX + 1));
    T_FALSE(are_nests_equal(TH_CAP_PARAMS_BYTES_MAX / 2 - 1));
}

TEST(cap, brackets_in_texts_do_not_nest)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto_buf spaced = TH_BUF_INIT;

    th_buf_puts(&text, "\"\\\"");
    for (size_t i = 0; i < 2 * TH_CAP_DEPTH_MAX; i++) {
        th_buf_puts(&text, "[{");
    }
    th_buf_puts(&text, "\\\\\"");
    th_buf_putf(&spaced, " %s", text.at);
    T_TRUE(are_equal(th_buf_slice(&text), th_buf_slice(&spaced)));
}

TEST(cap, params_have_a_bound)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    char *text = malloc(TH_CAP_PARAMS_BYTES_MAX + 1);
    th_auto(th_cap) cap = NULL;

    memset(text, '7', TH_CAP_PARAMS_BYTES_MAX + 1);
    cap = th_cap_issue(issuer, th_slice_of(text, TH_CAP_PARAMS_BYTES_MAX));
    T_NOT_NULL(cap);
    T_EQ(th_cap_params(cap).bytes, TH_CAP_PARAMS_BYTES_MAX);
    T_TRUE(th_cap_bytes(cap) > TH_CAP_PARAMS_BYTES_MAX);
    T_NULL(th_cap_issue(issuer, th_slice_of(text, TH_CAP_PARAMS_BYTES_MAX + 1)));
    T_FALSE(th_cap_is(cap, ID, th_slice_of(text, TH_CAP_PARAMS_BYTES_MAX + 1)));
    free(text);
}

/* --- Issuing ---------------------------------------------------------------------- */

TEST(cap, equal_ones_are_one_object_while_somebody_holds_it)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_cap *one = th_cap_issue(issuer, TH_SLICE("{\"a\":1, \"b\":2}"));
    th_cap *other = th_cap_issue(issuer, TH_SLICE("{\"b\":2,\"a\":1}"));

    T_TRUE(one == other);
    T_TRUE(th_slice_is(th_cap_params(one), "{\"a\":1, \"b\":2}"));
    T_TRUE(th_cap_issuer(one) == issuer);
    T_NULL(th_cap_unref(one));
    T_TRUE(th_slice_is(th_cap_params(other), "{\"a\":1, \"b\":2}"));
    th_cap_unref(other);
    one = th_cap_issue(issuer, TH_SLICE("{\"b\":2,\"a\":1}"));
    T_TRUE(th_slice_is(th_cap_params(one), "{\"b\":2,\"a\":1}"));
    T_TRUE(th_cap_ref(one) == one);
    th_cap_unref(one);
    th_cap_unref(one);
    T_NULL(th_cap_ref(NULL));
    T_NULL(th_cap_unref(NULL));
    T_NULL(th_issuer_ref(NULL));
    T_NULL(th_issuer_unref(NULL));
}

TEST(cap, those_of_two_issuers_are_two_even_of_one_identity)
{
    th_auto(th_issuer) one = th_issuer_new(ID);
    th_auto(th_issuer) next_life = th_issuer_new(ID);
    th_auto(th_cap) a = th_cap_issue(one, TH_CAP_MESSAGING);
    th_auto(th_cap) b = th_cap_issue(next_life, TH_CAP_MESSAGING);

    T_TRUE(a != b);
    th_issuer_revoke(one);
    T_FALSE(th_cap_is_valid(a));
    T_TRUE(th_cap_is_valid(b));
}

TEST(cap, a_capability_outlives_what_its_issuer_is_held_by)
{
    th_issuer *issuer = th_issuer_new(ID);
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_CAP_MESSAGING);

    th_issuer_unref(issuer);
    T_TRUE(th_slice_eq(th_issuer_id(th_cap_issuer(cap)), ID));
    T_TRUE(th_cap_is_valid(cap));
}

TEST(cap, messaging_is_the_text_messaging_however_it_is_written)
{
    static const struct {
        const char *params;
        bool is;
    } rows[] = {{"\"messaging\"", true},    {" \"m\\u0065ssaging\"\n", true},
                {"messaging", false},       {"\"Messaging\"", false},
                {"[\"messaging\"]", false}, {"\"messaging\\u0000\"", false}};
    th_auto(th_issuer) issuer = th_issuer_new(ID);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto(th_cap) cap = th_cap_issue(issuer, th_slice_str(rows[i].params));

        T_EQ(th_cap_is_messaging(cap), rows[i].is);
    }
}

TEST(cap, a_capability_is_that_of_its_issuer_and_params)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_SLICE("{\"a\": 1}"));

    T_TRUE(th_cap_is(cap, ID, TH_SLICE("{\"a\": 1}")));
    T_TRUE(th_cap_is(cap, ID, TH_SLICE("{\"a\":1}")));
    T_FALSE(th_cap_is(cap, ID, TH_SLICE("{\"a\":2}")));
    T_FALSE(th_cap_is(cap, TH_SLICE("a:b:d"), TH_SLICE("{\"a\": 1}")));
    T_FALSE(th_cap_is(cap, TH_SLICE("n@a:b:c"), TH_SLICE("{\"a\": 1}")));
}

TEST(cap, an_issuer_has_a_bound_of_those_alive)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_cap **caps = calloc(TH_ISSUER_CAPS_MAX, sizeof(th_cap *));
    th_cap *again;

    for (int i = 0; i < TH_ISSUER_CAPS_MAX; i++) {
        char params[16];

        snprintf(params, sizeof params, "%d", i);
        caps[i] = th_cap_issue(issuer, th_slice_str(params));
        T_NOT_NULL(caps[i]);
    }
    T_NULL(th_cap_issue(issuer, TH_SLICE("\"one more\"")));
    again = th_cap_issue(issuer, TH_SLICE(" 77"));
    T_TRUE(again == caps[77]);
    th_cap_unref(again);
    caps[5] = th_cap_unref(caps[5]);
    caps[5] = th_cap_issue(issuer, TH_SLICE("\"one more\""));
    T_NOT_NULL(caps[5]);
    for (int i = 0; i < TH_ISSUER_CAPS_MAX; i++) {
        th_cap_unref(caps[i]);
    }
    free(caps);
}

TEST(cap, issuing_gives_everything_back_when_memory_runs_out)
{
    for (size_t n = 0;; n++) {
        th_auto(th_issuer) issuer = NULL;
        th_auto(th_cap) cap = NULL;
        bool is_whole;

        th_mem_fail_after(n);
        issuer = th_issuer_new(ID);
        if (issuer != NULL) {
            cap = th_cap_issue(issuer, TH_SLICE("{ \"a\" : 1 }"));
        }
        is_whole = cap != NULL && th_cap_is(cap, ID, TH_SLICE("{\"a\":1}"));
        th_mem_fail_never();
        if (is_whole) {
            break;
        }
    }
}

/* --- Revoking --------------------------------------------------------------------- */

TEST(cap, a_revoked_one_is_revoked_in_all_hands_and_replaced_by_a_new_one)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) one = th_cap_issue(issuer, TH_SLICE("1"));
    th_auto(th_cap) same = th_cap_issue(issuer, TH_SLICE("1"));
    th_auto(th_cap) other = th_cap_issue(issuer, TH_SLICE("2"));
    th_auto(th_cap) again = NULL;

    th_cap_revoke(one);
    T_FALSE(th_cap_is_valid(same));
    T_TRUE(th_cap_is_valid(other));
    again = th_cap_issue(issuer, TH_SLICE("1"));
    T_TRUE(again != one);
    T_TRUE(th_cap_is_valid(again));
}

TEST(cap, a_revoked_issuer_revokes_all_and_issues_no_more)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) one = th_cap_issue(issuer, TH_SLICE("1"));

    T_FALSE(th_issuer_is_revoked(issuer));
    th_issuer_revoke(issuer);
    T_TRUE(th_issuer_is_revoked(issuer));
    T_FALSE(th_cap_is_valid(one));
    T_NULL(th_cap_issue(issuer, TH_SLICE("1")));
    T_NULL(th_cap_issue(issuer, TH_SLICE("2")));
}

/* --- Many at once ----------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 3000

static void *issue_and_drop(void *context)
{
    th_issuer *issuer = context;
    th_cap *held[64] = {0};

    for (unsigned i = 0; i < ROUNDS; i++) {
        th_cap **slot = &held[i * 7 % 64];
        char params[32];

        th_cap_unref(*slot);
        snprintf(params, sizeof params, "%s%u", i % 2 == 0 ? "" : " ", i * 31 % 97);
        *slot = th_cap_issue(issuer, th_slice_str(params));
        T_NOT_NULL(*slot);
        T_TRUE(th_cap_is(*slot, ID, th_slice_str(params)));
        if (i % 50 == 0) {
            th_cap_revoke(*slot);
        }
    }
    for (int i = 0; i < 64; i++) {
        th_cap_unref(held[i]);
    }
    th_mem_end_thread();
    return NULL;
}

TEST(cap, many_threads_may_issue_revoke_and_drop_at_once)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        T_EQ(pthread_create(&threads[i], NULL, issue_and_drop, issuer), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* --- Lists ------------------------------------------------------------------------ */

TEST(cap, a_list_keeps_what_is_in_it)
{
    th_issuer *issuer = th_issuer_new(ID);
    th_cap *caps[2] = {th_cap_issue(issuer, TH_SLICE("1")),
                       th_cap_issue(issuer, TH_SLICE("2"))};
    th_auto(th_caps) list = th_caps_new(caps, 2);
    th_caps *same = th_caps_ref(list);

    T_TRUE(th_caps_bytes(list) > th_cap_bytes(caps[0]) + th_cap_bytes(caps[1]));
    th_cap_unref(caps[0]);
    th_cap_unref(caps[1]);
    th_issuer_unref(issuer);
    T_NULL(th_caps_unref(same));
    T_EQ(th_caps_count(list), 2);
    T_TRUE(th_cap_is(th_caps_at(list, 1), ID, TH_SLICE("2")));
}

TEST(cap, a_list_may_be_empty_and_has_a_bound)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_SLICE("1"));
    th_cap *many[TH_CAPS_MAX + 1];
    th_auto(th_caps) empty = th_caps_new(NULL, 0);
    th_auto(th_caps) full = NULL;

    for (size_t i = 0; i <= TH_CAPS_MAX; i++) {
        many[i] = cap;
    }
    full = th_caps_new(many, TH_CAPS_MAX);
    T_EQ(th_caps_count(empty), 0);
    T_EQ(th_caps_count(NULL), 0);
    T_EQ(th_caps_bytes(NULL), 0);
    T_EQ(th_caps_count(full), TH_CAPS_MAX);
    T_NULL(th_caps_new(many, TH_CAPS_MAX + 1));
    T_NULL(th_caps_unref(NULL));
    T_NULL(th_caps_ref(NULL));
    th_mem_fail_after(0);
    T_NULL(th_caps_new(many, 1));
    th_mem_fail_never();
}
