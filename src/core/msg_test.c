#include "core/msg.h"

#include "base/test.h"

TEST(msg, a_message_keeps_what_it_was_given)
{
    th_auto(th_blob) blob = th_blob_new(TH_SLICE("lazy"), TH_SLICE("text/plain"));
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .format = TH_FORMAT_TERM,
                          .flags = TH_MSG_METADATA,
                          .expects_s = 5,
                          .topic = TH_SLICE("topic"),
                          .metadata = TH_SLICE("meta"),
                          .body = TH_SLICE("body"),
                          .blob = blob};
    th_auto(th_msg) msg = th_msg_new(&parts);

    T_EQ(msg->kind, TH_MSG_REQUEST);
    T_EQ(msg->format, TH_FORMAT_TERM);
    T_EQ(msg->flags, TH_MSG_METADATA);
    T_EQ(msg->expects_s, 5);
    T_TRUE(th_slice_is(th_msg_topic(msg), "topic"));
    T_TRUE(th_slice_is(th_msg_metadata(msg), "meta"));
    T_TRUE(th_slice_is(th_msg_body(msg), "body"));
    T_TRUE(msg->blob == blob);
    T_EQ(atomic_load(&blob->refs), 2);
    T_EQ(th_msg_cost(msg), TH_MSG_COST_BYTES + 5 + 4 + 4 + 4);
}

TEST(msg, an_empty_message_is_one)
{
    th_msg_parts parts = {.kind = TH_MSG_SEND};
    th_auto(th_msg) msg = th_msg_new(&parts);

    T_EQ(th_msg_topic(msg).bytes, 0);
    T_EQ(th_msg_metadata(msg).bytes, 0);
    T_EQ(th_msg_body(msg).bytes, 0);
    T_EQ(th_msg_cost(msg), TH_MSG_COST_BYTES);
}

TEST(msg, a_large_body_is_shared_and_costs_its_bytes)
{
    th_auto(th_blob) large =
        th_blob_new(TH_SLICE("a large body"), th_slice_of(NULL, 0));
    th_msg_parts parts = {.body = TH_SLICE("ignored"), .body_blob = large};
    th_auto(th_msg) msg = th_msg_new(&parts);

    T_TRUE(th_slice_is(th_msg_body(msg), "a large body"));
    T_TRUE(th_msg_body(msg).at == large->at);
    T_EQ(th_msg_cost(msg), TH_MSG_COST_BYTES + 12);
}

TEST(msg, the_last_holder_frees_it_and_its_blobs)
{
    th_auto(th_blob) blob = th_blob_new(TH_SLICE("x"), th_slice_of(NULL, 0));
    th_msg_parts parts = {.body_blob = blob, .blob = blob};
    th_msg *msg = th_msg_new(&parts);

    T_EQ(atomic_load(&blob->refs), 3);
    T_TRUE(th_msg_ref(msg) == msg);
    T_NULL(th_msg_unref(msg));
    T_EQ(atomic_load(&blob->refs), 3);
    T_NULL(th_msg_unref(msg));
    T_EQ(atomic_load(&blob->refs), 1);
    T_NULL(th_msg_unref(NULL));
}

TEST(msg, none_is_made_when_memory_runs_out_and_no_blob_is_held)
{
    th_auto(th_blob) blob = th_blob_new(TH_SLICE("x"), th_slice_of(NULL, 0));
    th_msg_parts parts = {.body = TH_SLICE("body"), .blob = blob};

    th_mem_fail_after(0);
    T_NULL(th_msg_new(&parts));
    th_mem_fail_never();
    T_EQ(atomic_load(&blob->refs), 1);
}
