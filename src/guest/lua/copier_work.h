/*
 * What both halves of the copier share: the stack of values that are not done.
 *
 * Compound values that are begun and not done stand on a stack of frames; tables are
 * numbered as they begin. Both have room in the C frame for what most messages need,
 * and spill into the owner, who gives that back if the C frame is abandoned.
 *
 * Only copier.c and copier_read.c include this.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_LUA_COPIER_WORK_H
#define TH_GUEST_LUA_COPIER_WORK_H

#include "codec/term.h"
#include "guest/lua/copier.h"

#include <lobject.h>

#define TH_COPIER_FRAMES_HERE 12
#define TH_COPIER_TABLES_HERE 8

typedef struct th_copier_frame {
    GCObject *object; /* a Table, or the Udata of an error */
    uint32_t at;      /* steps done: one for each value, two for each pair */
    uint32_t values;  /* of the array part */
    uint32_t steps;   /* all of them */
    bool is_error;
    TValue key; /* decoding: of the pair whose value is next */
} th_copier_frame;

typedef struct th_copier_work {
    lua_State *L;
    th_copier *spill;

    th_copier_frame *frames;
    uint32_t depth, frames_room;
    GCObject **tables; /* by number */
    uint32_t tables_count, tables_room;
    uint32_t slots_room; /* of spill->slots, a power of 2; 0: look through tables */
    bool is_shared;      /* a REF occurs, or may */

    th_copier_frame frames_here[TH_COPIER_FRAMES_HERE];
    GCObject *tables_here[TH_COPIER_TABLES_HERE];
} th_copier_work;

void th_copier_begin(th_copier_work *w, lua_State *L);

/* A new frame on top, or NULL: no memory. */
th_copier_frame *th_copier_push_frame(th_copier_work *w);

/* Give @table the next number. False: no memory. */
bool th_copier_number(th_copier_work *w, GCObject *table);

#endif
