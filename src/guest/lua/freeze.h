/*
 * Freeze: what of a finished state all its copies can share (commons.h).
 *
 * That are all strings and prototypes, and those tables of our setup whose contents
 * are common as well. Tables that the guest made stay with each process, for it may
 * forget them, and so does all that has a place for a value that changes.
 *
 * Thread: that of the image's build.
 */
#ifndef TH_GUEST_LUA_FREEZE_H
#define TH_GUEST_LUA_FREEZE_H

#include "guest/lua/commons.h"
#include "guest/lua/lua_api.h"

/* To whom each TH_ARENA_UNIT of the state's memory goes. */
typedef enum th_unit {
    TH_UNIT_COPY,   /* each copy gets it */
    TH_UNIT_FREE,   /* it was free */
    TH_UNIT_COMMON, /* the commons get it */
    TH_UNIT_LEFT,   /* the rest of a block of the commons: nobody does */
} th_unit;

typedef struct th_frozen {
    struct Table *tables[TH_COMMON_TABLES_MAX];
    unsigned tables_count;
    struct TString **strings; /* owned: the short ones */
    size_t strings_count;
} th_frozen;

/*
 * Choose, make what was chosen look as it is to stand in the commons, and take it out
 * of the state's lists; all of it is still where it was. @units, which belong to the
 * arena of the state, say TH_UNIT_COPY or _FREE before. Tables are chosen up to
 * @id_max, the number of the last that our setup made.
 *
 * Owner:   the state is good for nothing but to be copied. @out: th_frozen_deinit.
 * Faults:  NOMEM.
 */
th_err th_freeze(th_frozen *out, lua_State *L, unsigned id_max, uint8_t *units);

void th_frozen_deinit(th_frozen *frozen);

#endif
