/*
 * Mail: where each thing that arrives for a process goes.
 *
 * A message goes to the channel that listens to its topic, else to a task that
 * waits on the inbox; unclaimed it waits with its topic, at the cost of the
 * process's mailbox, until a listen for the topic or the inbox takes it. Topics
 * that begin with '@' never reach the inbox. Events wait for events(), requests
 * for request.listen(), replies for request.replies().
 *
 * Messages stay in the kernel's mailbox until something here asks for them, so
 * that the order of arrival is the order in which a process gets them.
 *
 * Nothing here touches a lua_State, unless it says so.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_MAIL_H
#define TH_GUEST_LUA_MAIL_H

#include "base/bytes.h"
#include "guest/lua/source.h"

typedef struct th_topic th_topic;

struct th_topic {
    th_topic *next; /* in its bucket */
    uint64_t hash;
    th_source *listener; /* NULL: nobody listens */
    th_list letters;     /* th_letter.queue: unclaimed */
    size_t bytes;
    char text[];
};

/* Take one thing from the kernel and put it where it belongs. False: there is none. */
bool th_mail_pump(th_lua *lua);

/*
 * As long as @source is empty, take things from the kernel. A message for @source
 * is handed out itself (it is yours), anything else waits in its
 * place. NULL: look whether @source has something.
 */
th_msg *th_mail_fetch(th_lua *lua, th_source *source);

/* The topic, made if it is not there; NULL: memory ran out. */
th_topic *th_mail_topic(th_lua *lua, th_slice text);

/* Forget a topic that neither listens nor has letters. */
void th_mail_tidy(th_lua *lua, th_topic *topic);

/* @source listens to @topic from now on and gets what waits there. */
void th_mail_claim(th_lua *lua, th_topic *topic, th_source *source);

/* Nobody listens to it any more. */
void th_mail_unclaim(th_lua *lua, th_topic *topic);

/* Give back everything; at the process's end. */
void th_mail_deinit(th_lua *lua);

#endif
