#include "guest/lua/mail.h"

#include "base/mem.h"
#include "base/slab.h"
#include "guest/lua/keeping.h"
#include "guest/lua/owner.h"
#include "guest/lua/request_api.h"
#include "guest/lua/time_api.h"

#define BUCKETS_MIN 8 /* powers of 2 */

/* --- Topics ------------------------------------------------------------------- */

static th_topic **bucket_of(const th_lua *lua, uint64_t hash)
{
    return &lua->topics[hash & (lua->topics_room - 1)];
}

static th_topic *find_topic(const th_lua *lua, th_slice text, uint64_t hash)
{
    if (lua->topics_room == 0) {
        return NULL;
    }
    for (th_topic *topic = *bucket_of(lua, hash); topic != NULL; topic = topic->next) {
        if (topic->hash == hash &&
            th_slice_eq(th_slice_of(topic->text, topic->bytes), text)) {
            return topic;
        }
    }
    return NULL;
}

/* Room for one more; on failure the chains only become longer. */
static bool grow_topics(th_lua *lua)
{
    unsigned room = lua->topics_room == 0 ? BUCKETS_MIN : lua->topics_room * 2;
    unsigned old_room = lua->topics_room;
    th_topic **old = lua->topics;
    th_topic **buckets = th_calloc(room, sizeof *buckets);

    if (buckets == NULL) {
        return old != NULL;
    }
    lua->topics = buckets;
    lua->topics_room = room;
    for (unsigned i = 0; i < old_room; i++) {
        while (old[i] != NULL) {
            th_topic *topic = old[i];
            th_topic **to = bucket_of(lua, topic->hash);

            old[i] = topic->next;
            topic->next = *to;
            *to = topic;
        }
    }
    th_free(old);
    return true;
}

th_topic *th_mail_topic(th_lua *lua, th_slice text)
{
    uint64_t hash = th_slice_hash(text, lua->topics_seed);
    th_topic *topic = find_topic(lua, text, hash);
    th_topic **bucket;

    if (topic != NULL) {
        return topic;
    }
    if (lua->topics_count >= lua->topics_room && !grow_topics(lua)) {
        return NULL;
    }
    topic = th_slab_new(sizeof *topic + text.bytes);
    if (topic == NULL) {
        return NULL;
    }
    topic->hash = hash;
    topic->listener = NULL;
    topic->bytes = text.bytes;
    th_list_init(&topic->letters);
    memcpy(topic->text, text.at, text.bytes);
    bucket = bucket_of(lua, hash);
    topic->next = *bucket;
    *bucket = topic;
    lua->topics_count++;
    return topic;
}

static void free_topic(th_lua *lua, th_topic *topic)
{
    th_topic **at = bucket_of(lua, topic->hash);

    while (*at != topic) {
        at = &(*at)->next;
    }
    *at = topic->next;
    lua->topics_count--;
    if (lua->topic_last == topic) {
        lua->topic_last = NULL;
    }
    th_slab_free(topic, sizeof *topic + topic->bytes);
}

void th_mail_tidy(th_lua *lua, th_topic *topic)
{
    if (topic != NULL && topic->listener == NULL && th_list_is_empty(&topic->letters)) {
        free_topic(lua, topic);
    }
}

void th_mail_claim(th_lua *lua, th_topic *topic, th_source *source)
{
    th_list *node;

    topic->listener = source;
    while ((node = th_list_pop(&topic->letters)) != NULL) {
        th_letter *letter = th_container_of(node, th_letter, queue);

        th_list_remove(&letter->order);
        letter->topic = NULL;
        th_source_put(lua, source, letter);
    }
}

void th_mail_unclaim(th_lua *lua, th_topic *topic)
{
    topic->listener = NULL;
    th_mail_tidy(lua, topic);
}

/* --- Where a message goes ----------------------------------------------------- */

/* Keep it with its topic. '@' topics are out of the inbox's reach. */
static bool keep_unclaimed(th_lua *lua, th_letter *letter)
{
    th_slice text = th_msg_topic(letter->msg);
    th_topic *topic = th_mail_topic(lua, text);

    if (topic == NULL) {
        return false;
    }
    th_letter_charge(lua, letter);
    letter->topic = topic;
    th_list_push(&topic->letters, &letter->queue);
    if (text.bytes == 0 || text.at[0] != '@') {
        th_list_push(&lua->unclaimed, &letter->order);
    }
    return true;
}

/* Most messages have the topic that the last one had. */
static th_source *listener_of(th_lua *lua, th_slice text)
{
    th_topic *topic = lua->topic_last;

    if (lua->topics_count == 0) {
        return NULL;
    }
    if (topic == NULL ||
        !th_slice_eq_short(th_slice_of(topic->text, topic->bytes), text)) {
        topic = find_topic(lua, text, th_slice_hash(text, lua->topics_seed));
        lua->topic_last = topic;
    }
    return topic == NULL ? NULL : topic->listener;
}

/* Whose a plain message is; NULL: nobody wants it yet. */
static th_source *source_of(th_lua *lua, th_slice text)
{
    th_source *source = listener_of(lua, text);

    if (source == NULL && !th_list_is_empty(&lua->inbox.waiters) &&
        (text.bytes == 0 || text.at[0] != '@')) {
        source = &lua->inbox;
    }
    return source;
}

static bool put_msg(th_lua *lua, th_msg *msg)
{
    th_source *source = &lua->questions;
    th_letter *letter;

    if (msg->kind == TH_MSG_SEND) {
        source = source_of(lua, th_msg_topic(msg));
    }
    if (source != NULL && !th_list_is_empty(&source->waiters)) {
        th_source_hand(lua, source, msg);
        return true;
    }
    letter = th_letter_new(lua, TH_LETTER_MSG);
    if (letter == NULL) {
        th_msg_unref(msg);
        return false;
    }
    letter->msg = msg;
    if (source != NULL) {
        th_source_put(lua, source, letter);
    } else if (!keep_unclaimed(lua, letter)) {
        th_letter_free(lua, letter);
        return false;
    }
    return true;
}

static bool put_event(th_lua *lua, const th_event *event)
{
    th_letter *letter = th_letter_new(lua, TH_LETTER_EVENT);

    if (letter == NULL) {
        return false;
    }
    letter->event = *event;
    th_blob_ref(letter->event.from.name);
    th_exit_ref((th_exit *)letter->event.exit);
    letter->event.text = th_slice_of(NULL, 0);
    if (event->text.bytes > 0) {
        char *copy = th_strndup(event->text.at, event->text.bytes);

        letter->event.text = th_slice_of(copy, copy == NULL ? 0 : event->text.bytes);
    }
    th_source_put(lua, &lua->events, letter);
    return true;
}

static bool put_reply(th_lua *lua, th_request *request)
{
    th_letter *letter = th_letter_new(lua, TH_LETTER_REPLY);

    if (letter == NULL) {
        th_request_free(lua->process, request);
        return false;
    }
    letter->request = request;
    th_request_arrived(lua, letter);
    return true;
}

static void dispatch(th_lua *lua, th_delivery *in)
{
    bool ok = true;

    switch (in->type) {
    case TH_ITEM_MSG:
        ok = put_msg(lua, in->msg);
        break;
    case TH_ITEM_EVENT:
        ok = put_event(lua, in->event);
        break;
    case TH_ITEM_REPLY:
        ok = put_reply(lua, in->request);
        break;
    case TH_ITEM_TIMER:
        th_time_fired(lua, in->alarm);
        break;
    case TH_ITEM_JOB:
        th_keep_came(lua, in->job);
        break;
    default:
        th_assert(false); /* nothing else is ever started here */
    }
    if (!ok) {
        lua->is_starved = true;
    }
}

bool th_mail_pump(th_lua *lua)
{
    th_delivery in;

    if (!th_process_next(lua->process, &in)) {
        return false;
    }
    dispatch(lua, &in);
    return true;
}

/* Is @msg for @source itself? Then nobody waits there, or it would not be asked. */
static bool is_for(th_lua *lua, const th_msg *msg, const th_source *source)
{
    if (msg->kind != TH_MSG_SEND) {
        return source->kind == TH_SOURCE_QUESTIONS;
    }
    if (source->kind == TH_SOURCE_LISTEN) {
        const th_topic *topic = th_listener_topic(source);

        return topic != NULL &&
               th_slice_eq_short(th_slice_of(topic->text, topic->bytes),
                                 th_msg_topic(msg));
    }
    return source->kind == TH_SOURCE_INBOX && msg->topic_bytes > 0 &&
           msg->text[0] != '@' && listener_of(lua, th_msg_topic(msg)) == NULL;
}

th_msg *th_mail_fetch(th_lua *lua, th_source *source)
{
    bool is_idle = th_list_is_empty(&source->waiters);

    while (!th_source_has_some(lua, source)) {
        th_delivery in;

        if (!th_process_next(lua->process, &in)) {
            break;
        }
        if (is_idle && in.type == TH_ITEM_MSG && is_for(lua, in.msg, source)) {
            return in.msg;
        }
        dispatch(lua, &in);
    }
    return NULL;
}

void th_mail_deinit(th_lua *lua)
{
    while (!th_list_is_empty(&lua->letters)) {
        th_letter_free(lua, th_container_of(lua->letters.next, th_letter, held));
    }
    lua->in_hand = NULL;
    for (unsigned i = 0; i < lua->topics_room; i++) {
        while (lua->topics[i] != NULL) {
            free_topic(lua, lua->topics[i]);
        }
    }
    lua->topics = th_free(lua->topics);
    lua->topics_room = 0;
}
