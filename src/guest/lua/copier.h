/*
 * Copier: Lua values to terms and back; the hot path of a node.
 *
 * It reads and builds tables through Lua's internal headers: by the public API this
 * costs three times as much. Both ways go without recursion and past a checkpoint for
 * each value, so that neither depth nor size can hold up a shard.
 *
 * What crosses: nil, booleans, integers, floats, strings (binary), tables (all keys;
 * both parts; circles and sharing kept; without metatables), Error, Time and Duration
 * objects; a Payload as its value. Functions, threads and all other userdata are
 * refused, by the path to them.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_COPIER_H
#define TH_GUEST_LUA_COPIER_H

#include "base/bytes.h"
#include "guest/lua/lua_api.h"

/*
 * What a copy needs beyond what its C frame holds: a part of the owner, for the frame
 * may be abandoned. All zero: empty.
 */
typedef struct th_copier {
    void *frames;    /* owned: compound values that are not done */
    void *tables;    /* owned: tables by their number */
    uint32_t *slots; /* owned: numbers by the tables' identity */
} th_copier;

/* Give back its memory. Not during a copy, unless that was abandoned. */
void th_copier_deinit(th_copier *copier);

/*
 * Append the term of the value at @index to @out, which the owner holds.
 *
 * Refuses: INVALID, it cannot be sent, and @why, cleared before, says where and what;
 *          QUOTA, no memory. @out is then not whole. Raises nothing.
 */
th_err th_copier_encode(lua_State *L, int index, th_buf *out, th_buf *why);

/* The same for @n values from @first on, as one term: a table of them. */
th_err th_copier_encode_all(lua_State *L, int first, int n, th_buf *out, th_buf *why);

/*
 * Push the value of @term. May raise (memory); the owner holds the term.
 *
 * Refuses: INVALID, the term is damaged; nothing is pushed then.
 */
th_err th_copier_push(lua_State *L, th_slice term);

/* The same for what encode_all made: push each value, *n of them. */
th_err th_copier_push_all(lua_State *L, th_slice term, int *n);

#endif
