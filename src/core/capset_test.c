#include "core/cap.h"

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#define ID TH_SLICE("a:b:c")

static th_cap *issue(th_issuer *issuer, int n)
{
    char params[16];

    snprintf(params, sizeof params, "%d", n);
    return th_cap_issue(issuer, th_slice_str(params));
}

TEST(capset, what_was_added_is_held_until_it_is_dropped)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) one = issue(issuer, 1);
    th_auto(th_cap) two = issue(issuer, 2);
    th_capset set;

    th_capset_init(&set);
    T_FALSE(th_capset_has(&set, one));
    T_EQ(th_capset_add(&set, one), TH_OK);
    T_TRUE(th_capset_has(&set, one));
    T_FALSE(th_capset_has(&set, two));
    T_EQ(set.bytes, th_cap_bytes(one));
    T_FALSE(th_capset_drop(&set, two));
    T_TRUE(th_capset_drop(&set, one));
    T_FALSE(th_capset_has(&set, one));
    T_FALSE(th_capset_drop(&set, one));
    T_EQ(set.bytes, 0);
    th_capset_deinit(&set);
}

TEST(capset, to_add_what_is_held_changes_nothing)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) one = issue(issuer, 1);
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, one), TH_OK);
    T_EQ(th_capset_add(&set, one), TH_OK);
    T_EQ(th_capset_count(&set), 1);
    T_TRUE(th_capset_drop(&set, one));
    T_EQ(th_capset_count(&set), 0);
    th_capset_deinit(&set);
}

TEST(capset, the_right_to_send_to_an_issuer_can_be_dropped_by_naming_it)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) right = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) one = issue(issuer, 1);
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, right), TH_OK);
    T_EQ(th_capset_add(&set, one), TH_OK);
    th_capset_drop_messaging(&set, issuer);
    th_capset_drop_messaging(&set, issuer);
    T_FALSE(th_capset_has_messaging(&set, issuer));
    T_TRUE(th_capset_has(&set, one));
    T_EQ(set.bytes, th_cap_bytes(one));
    th_capset_deinit(&set);
}

TEST(capset, a_set_keeps_what_is_in_it)
{
    th_issuer *issuer = th_issuer_new(ID);
    th_cap *one = issue(issuer, 1);
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, one), TH_OK);
    th_cap_unref(one);
    th_issuer_unref(issuer);
    T_NOT_NULL(th_capset_find(&set, ID, TH_SLICE("1")));
    th_capset_deinit(&set);
}

TEST(capset, only_messaging_of_that_issuer_is_the_right_to_send_to_it)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_issuer) other = th_issuer_new(TH_SLICE("x:b:c"));
    th_auto(th_issuer) next_life = th_issuer_new(ID);
    th_auto(th_cap) right = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) plain = issue(other, 1);
    th_capset set;

    th_capset_init(&set);
    T_FALSE(th_capset_has_messaging(&set, issuer));
    T_EQ(th_capset_add(&set, right), TH_OK);
    T_EQ(th_capset_add(&set, plain), TH_OK);
    T_TRUE(th_capset_has_messaging(&set, issuer));
    T_FALSE(th_capset_has_messaging(&set, other));
    T_FALSE(th_capset_has_messaging(&set, next_life));
    T_TRUE(th_capset_drop(&set, right));
    T_FALSE(th_capset_has_messaging(&set, issuer));
    th_capset_deinit(&set);
}

static bool note(void *context, th_cap *cap)
{
    th_buf_putf(context, "%.*s ", TH_FMT(th_cap_params(cap)));
    return true;
}

TEST(capset, a_revoked_one_is_neither_found_nor_told)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) right = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) one = issue(issuer, 1);
    th_auto(th_cap) two = issue(issuer, 2);
    th_auto_buf told = TH_BUF_INIT;
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, right), TH_OK);
    T_EQ(th_capset_add(&set, one), TH_OK);
    T_EQ(th_capset_add(&set, two), TH_OK);
    th_cap_revoke(right);
    th_cap_revoke(one);
    T_FALSE(th_capset_has(&set, right));
    T_FALSE(th_capset_has_messaging(&set, issuer));
    T_NULL(th_capset_find(&set, ID, TH_SLICE("1")));
    T_EQ(th_capset_count(&set), 1);
    th_capset_each(&set, note, &told);
    T_STR(told.at, "2 ");
    T_FALSE(th_capset_drop(&set, one));
    T_EQ(th_capset_add(&set, one), TH_OK);
    T_FALSE(th_capset_has(&set, one));
    T_EQ(set.bytes, th_cap_bytes(right) + th_cap_bytes(two)); /* not of @one again */
    th_issuer_revoke(issuer);
    T_FALSE(th_capset_has(&set, two));
    T_EQ(th_capset_count(&set), 0);
    th_capset_deinit(&set);
}

TEST(capset, messaging_that_was_issued_again_replaces_the_revoked_one)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) old = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) new = NULL;
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, old), TH_OK);
    th_cap_revoke(old);
    new = th_cap_issue(issuer, TH_CAP_MESSAGING);
    T_FALSE(th_capset_has_messaging(&set, issuer));
    T_EQ(th_capset_add(&set, new), TH_OK);
    T_TRUE(th_capset_has_messaging(&set, issuer));
    T_FALSE(th_capset_has(&set, old));
    T_FALSE(th_capset_drop(&set, old));
    T_TRUE(th_capset_has(&set, new));
    T_EQ(set.count, 1);
    T_EQ(set.bytes, th_cap_bytes(new));
    th_capset_deinit(&set);
}

TEST(capset, one_is_found_by_its_issuer_and_equal_params)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_SLICE("{\"a\":1,\"b\":2}"));
    th_capset set;

    th_capset_init(&set);
    T_EQ(th_capset_add(&set, cap), TH_OK);
    T_TRUE(th_capset_find(&set, ID, TH_SLICE(" {\"b\":2,\"a\":1}")) == cap);
    T_NULL(th_capset_find(&set, ID, TH_SLICE("{\"b\":2}")));
    T_NULL(th_capset_find(&set, TH_SLICE("x:b:c"), TH_SLICE("{\"a\":1,\"b\":2}")));
    th_capset_deinit(&set);
}

static bool stop(void *context, th_cap *cap)
{
    (void)cap;
    return ++*(int *)context < 2;
}

TEST(capset, the_order_is_that_of_the_adding_whatever_was_dropped)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto_buf told = TH_BUF_INIT;
    th_capset set;
    int seen = 0;

    th_capset_init(&set);
    for (int i = 0; i < 40; i++) {
        th_auto(th_cap) cap = issue(issuer, i);

        T_EQ(th_capset_add(&set, cap), TH_OK);
    }
    for (int i = 0; i < 40; i++) {
        th_auto(th_cap) cap = issue(issuer, i);

        if (i % 8 != 3) {
            T_TRUE(th_capset_drop(&set, cap));
        }
    }
    th_capset_each(&set, note, &told);
    T_STR(told.at, "3 11 19 27 35 ");
    th_capset_each(&set, stop, &seen);
    T_EQ(seen, 2);
    th_capset_deinit(&set);
}

/* A few hundred random moves against a plain array. */
#define KINDS 200

typedef struct model {
    th_issuer *issuers[KINDS];
    th_cap *caps[KINDS]; /* every second one is messaging */
    bool held[KINDS];
    th_capset set;
} model;

static void expect_same(const model *m)
{
    size_t n = 0;

    for (int i = 0; i < KINDS; i++) {
        bool held = m->held[i] && th_cap_is_valid(m->caps[i]);

        T_EQ(th_capset_has(&m->set, m->caps[i]), held);
        T_EQ(th_capset_has_messaging(&m->set, m->issuers[i]), held && i % 2 == 0);
        n += held;
    }
    T_EQ(th_capset_count(&m->set), n);
}

static void renew(model *m, int i)
{
    th_slice params = i % 2 == 0 ? TH_CAP_MESSAGING : TH_SLICE("1");

    m->held[i] = false;
    th_cap_unref(m->caps[i]);
    m->caps[i] = th_cap_issue(m->issuers[i], params);
}

TEST(capset, a_set_of_any_size_is_what_a_plain_list_would_be)
{
    model m = {0};
    uint64_t dice = 42;

    th_capset_init(&m.set);
    for (int i = 0; i < KINDS; i++) {
        m.issuers[i] = th_issuer_new(ID);
        renew(&m, i);
    }
    for (int step = 0; step < 6000; step++) {
        int i;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        i = (int)((dice >> 33) % KINDS);
        if ((dice >> 20) % 16 == 0) {
            th_cap_revoke(m.caps[i]);
            renew(&m, i);
        } else if ((dice >> 24) % 5 < (step < 3000 ? 3 : 1)) {
            T_EQ(th_capset_add(&m.set, m.caps[i]), TH_OK);
            m.held[i] = true;
        } else {
            T_EQ(th_capset_drop(&m.set, m.caps[i]), m.held[i]);
            m.held[i] = false;
        }
        if (step % 50 == 0) {
            expect_same(&m);
        }
    }
    th_capset_deinit(&m.set);
    for (int i = 0; i < KINDS; i++) {
        th_cap_unref(m.caps[i]);
        th_issuer_unref(m.issuers[i]);
    }
}

TEST(capset, it_has_a_bound_that_revoked_ones_do_not_count_to)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_cap) last = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_capset set;

    th_capset_init(&set);
    for (int i = 0; i < TH_CAPSET_MAX; i++) {
        th_auto(th_cap) cap = issue(issuer, i);

        T_EQ(th_capset_add(&set, cap), TH_OK);
    }
    T_EQ(th_capset_add(&set, last), TH_QUOTA);
    T_FALSE(th_capset_has(&set, last));
    th_cap_revoke(th_capset_find(&set, ID, TH_SLICE("7")));
    T_EQ(th_capset_add(&set, last), TH_OK);
    T_TRUE(th_capset_has_messaging(&set, issuer));
    T_EQ(th_capset_count(&set), TH_CAPSET_MAX);
    th_capset_deinit(&set);
}

TEST(capset, its_bytes_have_a_bound)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    char *text = malloc(TH_CAP_PARAMS_BYTES_MAX);
    size_t most = TH_CAPSET_BYTES_MAX / TH_CAP_PARAMS_BYTES_MAX;
    th_err err = TH_OK;
    th_capset set;
    size_t n = 0;

    th_capset_init(&set);
    memset(text, 'x', TH_CAP_PARAMS_BYTES_MAX);
    for (; err == TH_OK && n <= most; n++) {
        th_auto(th_cap) cap = NULL;

        text[0] = (char)n;
        cap = th_cap_issue(issuer, th_slice_of(text, TH_CAP_PARAMS_BYTES_MAX));
        err = th_capset_add(&set, cap);
    }
    T_EQ(err, TH_QUOTA);
    T_TRUE(set.bytes <= TH_CAPSET_BYTES_MAX);
    th_capset_deinit(&set);
    free(text);
}

TEST(capset, nothing_changes_when_memory_runs_out)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_capset set;

    th_capset_init(&set);
    for (int i = 0; i < 100; i++) {
        th_auto(th_cap) cap = issue(issuer, i);
        th_err err = TH_QUOTA;

        for (size_t n = 0; err != TH_OK; n++) {
            T_EQ(th_capset_count(&set), i);
            th_mem_fail_after(n);
            err = th_capset_add(&set, cap);
            th_mem_fail_never();
        }
        T_TRUE(th_capset_has(&set, cap));
    }
    th_capset_deinit(&set);
}
