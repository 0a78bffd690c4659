/*
 * Owner: the state of one Lua process, as the files of this folder share it.
 *
 * Everything of the guest's lies in the arena. What it holds outside hangs on two
 * lists here, `holdings` and `letters`, so that to end a process is to release
 * both and to drop the arena. A binding that owns something while it may raise or
 * be left keeps it in `in_hand` or `outgoing`.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_OWNER_H
#define TH_GUEST_LUA_OWNER_H

#include "codec/term_json.h"
#include "guest/lua/arena.h"
#include "guest/lua/copier.h"
#include "guest/lua/lua_api.h"
#include "guest/lua/mail.h"
#include "guest/lua/object.h"
#include "guest/lua/program.h"
#include "guest/lua/source.h"
#include "guest/lua/task.h"
#include "kernel/process.h"

struct th_lua {
    th_process *process;
    const th_lua_program *program;
    th_arena *arena; /* owned */
    lua_State *L;    /* its main thread */

    /* Tasks. */
    th_task main;
    th_task *current; /* runs now */
    th_list ready;    /* th_task.link, oldest first */
    bool waits;       /* the yield on its way up is a wait, not the guest's */
    bool is_ending;   /* drop: the kernel gave back its part already */
    bool is_starved;  /* memory for a letter ran out: it ends */
    bool is_short;    /* the last memory that it asked for was refused by the node */
    int pinned;       /* resumes on the C stack that cannot themselves yield */
    int busy;         /* threads in TH_SLOT_BUSY, about */
    unsigned turn;    /* where the next select begins */

    /* What it holds outside the arena. */
    th_list holdings;   /* th_holding.link */
    th_list letters;    /* th_letter.held */
    th_letter *in_hand; /* being read by a binding; also in `letters` */
    th_msg *msg_in_hand;
    th_caps *caps_in_hand;
    th_on_exit *on_exit_in_hand;
    th_pid peer;    /* whose text stands in TH_SLOT_PEER; none at first */
    const void *to; /* the text in TH_SLOT_TO, which is the PID text of ... */
    th_pid to_pid;
    const void *to_next; /* what was sent to last, if not by that text */
    th_list outgoing;    /* th_msg.item.link: made and not yet sent */
    th_buf scratch;      /* where values are encoded */
    th_buf why;          /* what the kernel or the copier says of a refusal */
    th_copier copier;
    th_json_pool json_pool;        /* of a text that is being read or written */
    th_buf json;                   /* the text */
    lua_Integer numbers;           /* the last number given to a holding or task */
    unsigned weak_count, weak_max; /* holdings in TH_SLOT_WEAK, and when to look */
    size_t parcels_bytes, parcels_bytes_max; /* the same of what parcels hold */
    struct th_keeping *keeping; /* owned: what it has made durable, NULL at first */

    /* Mail. */
    struct th_topic **topics;    /* owned: buckets, NULL at first */
    struct th_topic *topic_last; /* what a message came for last, or NULL */
    unsigned topics_room, topics_count;
    uint64_t topics_seed;
    th_list unclaimed; /* th_letter.order: topics nobody listens to */
    th_source inbox, events, questions, replies;
};

/* What its arena takes is the node's to grant as well. */
void th_lua_guard(th_lua *lua, th_arena *arena);

/*
 * The owner, for a binding that touches more than its arguments. Raises in a
 * finalizer, which can run wherever memory is allocated, in the midst of any
 * binding too; without an owner it abandons what is being prepared, naming @what.
 */
th_lua *th_lua_self(lua_State *L, const char *what);

/* The same for a binding that holds nothing and may be called in a finalizer. */
th_lua *th_lua_self_anywhere(lua_State *L, const char *what);

/* The owner or NULL, for what a preparation may do as well. Raises in a finalizer. */
th_lua *th_lua_self_or_none(lua_State *L);

#endif
