#define _GNU_SOURCE
#include "core/msg.h"

#include "base/slab.h"

#include <string.h>

th_msg *th_msg_new(const th_msg_parts *parts)
{
    size_t body = parts->body_blob == NULL ? parts->body.bytes : 0;
    size_t room = sizeof(th_msg) + parts->topic.bytes + parts->metadata.bytes + body;
    th_msg *msg;
    char *at;

    th_assert(parts->topic.bytes <= TH_TOPIC_BYTES_MAX);
    if (room > UINT32_MAX) {
        return NULL;
    }
    msg = th_slab_new(room);
    if (msg == NULL) {
        return NULL;
    }
    memset(msg, 0, sizeof *msg);
    th_list_init(&msg->item.link);
    atomic_init(&msg->refs, 1);
    msg->room = (uint32_t)room;
    msg->kind = (uint8_t)parts->kind;
    msg->format = (uint8_t)parts->format;
    msg->flags = parts->flags;
    msg->expects_s = parts->expects_s;
    msg->topic_bytes = (uint16_t)parts->topic.bytes;
    msg->metadata_bytes = (uint32_t)parts->metadata.bytes;
    msg->body_bytes = (uint32_t)body;
    msg->body_blob = th_blob_ref(parts->body_blob);
    msg->blob = th_blob_ref(parts->blob);
    msg->caps = th_caps_ref(parts->caps);
    at = msg->text;
    if (parts->topic.bytes > 0) {
        at = (char *)mempcpy(at, parts->topic.at, parts->topic.bytes);
    }
    if (parts->metadata.bytes > 0) {
        at = (char *)mempcpy(at, parts->metadata.at, parts->metadata.bytes);
    }
    if (body > 0) {
        memcpy(at, parts->body.at, body);
    }
    return msg;
}

th_msg *th_msg_ref(th_msg *msg)
{
    atomic_fetch_add_explicit(&msg->refs, 1, memory_order_relaxed);
    return msg;
}

th_msg *th_msg_unref(th_msg *msg)
{
    if (msg == NULL) {
        return NULL;
    }
    /* Most messages have one holder: then nobody else can be counting. */
    if (atomic_load_explicit(&msg->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel) != 1) {
        return NULL;
    }
    th_blob_unref(msg->source.name);
    th_blob_unref(msg->body_blob);
    th_blob_unref(msg->blob);
    th_caps_unref(msg->caps);
    th_slab_free(msg, msg->room);
    return NULL;
}

size_t th_msg_cost(const th_msg *msg)
{
    return TH_MSG_COST_BYTES + msg->topic_bytes + msg->metadata_bytes +
           th_msg_body(msg).bytes + th_blob_slice(msg->blob).bytes +
           th_caps_bytes(msg->caps);
}
