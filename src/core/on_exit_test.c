#include "core/on_exit.h"

#include "base/test.h"

#include <stdlib.h>

TEST(on_exit, the_plain_ones_are_shared_and_cost_nothing)
{
    th_auto(th_on_exit) none = th_on_exit_plain(TH_ON_EXIT_NONE);
    th_auto(th_on_exit) restart = th_on_exit_ref(th_on_exit_plain(TH_ON_EXIT_RESTART));

    T_TRUE(none == th_on_exit_plain(TH_ON_EXIT_NONE));
    T_EQ(th_on_exit_kind_of(none), TH_ON_EXIT_NONE);
    T_EQ(th_on_exit_kind_of(restart), TH_ON_EXIT_RESTART);
    T_EQ(th_on_exit_count(none), 0);
    T_EQ(th_on_exit_bytes(restart), 0);
    T_NULL(th_on_exit_unref(restart));
    T_EQ(th_on_exit_kind_of(restart), TH_ON_EXIT_RESTART);
    T_NULL(th_on_exit_ref(NULL));
    T_NULL(th_on_exit_unref(NULL));
}

TEST(on_exit, it_keeps_what_it_was_made_of)
{
    char target[] = "p:k:s";
    th_issuer *issuer = th_issuer_new(TH_SLICE("a:b:c"));
    th_cap *cap = th_cap_issue(issuer, TH_SLICE("1"));
    th_on_exit_request request = {.target = th_slice_str(target),
                                  .has_metadata = true,
                                  .metadata = TH_SLICE(""),
                                  .body = th_blob_new(TH_SLICE("x"), TH_SLICE("")),
                                  .caps = th_caps_new(&cap, 1)};
    th_auto(th_on_exit) on_exit = NULL;
    const th_on_exit_request *kept;

    T_EQ(th_on_exit_new(&on_exit, &request, 1), TH_OK);
    th_blob_unref(request.body);
    th_caps_unref(request.caps);
    th_cap_unref(cap);
    th_issuer_unref(issuer);
    memset(target, 'x', sizeof target - 1);
    T_NULL(th_on_exit_unref(th_on_exit_ref(on_exit)));
    kept = th_on_exit_at(on_exit, 0);
    T_TRUE(th_slice_is(kept->target, "p:k:s"));
    T_TRUE(kept->has_metadata);
    T_TRUE(th_slice_is(th_blob_slice(kept->body), "x"));
    T_TRUE(th_slice_is(th_cap_params(th_caps_at(kept->caps, 0)), "1"));
    T_TRUE(th_on_exit_bytes(on_exit) > 2048);
}

TEST(on_exit, a_target_is_an_address_or_a_pid)
{
    static const struct {
        const char *target;
        th_err err;
    } rows[] = {{"p:k:s", TH_OK},           {"our@p:k:s", TH_OK},
                {"{n@h|a:b|1-2-3}", TH_OK}, {"", TH_INVALID},
                {"p:k", TH_INVALID},        {"P:k:s", TH_INVALID},
                {"{n@h|a:b}", TH_INVALID}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_on_exit_request request = {.target = th_slice_str(rows[i].target)};
        th_auto(th_on_exit) on_exit = NULL;

        T_EQ(th_on_exit_new(&on_exit, &request, 1), rows[i].err);
    }
}

/* --- Bounds ----------------------------------------------------------------------- */

TEST(on_exit, its_requests_have_a_bound)
{
    th_on_exit_request *requests =
        calloc(TH_ON_EXIT_REQUESTS_MAX + 1, sizeof *requests);
    th_auto(th_on_exit) full = NULL;
    th_auto(th_on_exit) over = NULL;

    for (size_t i = 0; i <= TH_ON_EXIT_REQUESTS_MAX; i++) {
        requests[i].target = TH_SLICE("p:k:s");
    }
    T_EQ(th_on_exit_new(&full, requests, TH_ON_EXIT_REQUESTS_MAX), TH_OK);
    T_EQ(th_on_exit_new(&over, requests, TH_ON_EXIT_REQUESTS_MAX + 1), TH_QUOTA);
    free(requests);
}

TEST(on_exit, each_of_body_blob_mime_metadata_and_capabilities_counts)
{
    th_auto_buf big = TH_BUF_INIT;
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_SLICE("1"));
    th_cap *many[TH_ON_EXIT_BYTES_MAX / 1024];
    th_auto(th_caps) caps = NULL;
    th_auto(th_blob) blob = NULL;
    th_auto(th_blob) mime = NULL;

    for (size_t i = 0; i < TH_ON_EXIT_BYTES_MAX; i++) {
        th_buf_putc(&big, 'x');
    }
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        many[i] = cap;
    }
    caps = th_caps_new(many, sizeof many / sizeof many[0]);
    blob = th_blob_new(th_buf_slice(&big), th_slice_of(NULL, 0));
    mime = th_blob_new(TH_SLICE(""), th_buf_slice(&big));
    {
        th_on_exit_request rows[] = {
            {.target = TH_SLICE("p:k:s"), .body = blob},
            {.target = TH_SLICE("p:k:s"), .blob = blob},
            {.target = TH_SLICE("p:k:s"), .blob = mime},
            {.target = TH_SLICE("p:k:s"), .metadata = th_buf_slice(&big)},
            {.target = TH_SLICE("p:k:s"), .caps = caps},
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            th_on_exit *on_exit = NULL;

            T_EQ(th_on_exit_new(&on_exit, &rows[i], 1), TH_QUOTA);
            T_NULL(on_exit);
        }
    }
}
