/*
 * Commons: what all clones of an image share.
 *
 * Strings, prototypes of functions, and the tables of libraries are the same in all
 * processes of an entry. They stand in memory that is read-only once they are in it,
 * look to every collector like objects that are neither to be marked nor swept, and
 * are counted in each process as if they were its own. A guest cannot tell (but for
 * a weak reference to a library's table that it forgot otherwise: it stays).
 *
 * A process that is about to write to a common table is given a copy of its own
 * instead, and of each common table that leads to it; the copies take the place of
 * the common ones wherever the process holds them (th_own, called by the patched
 * Lua: lua/patches/8-commons.patch). So a common table is in a process either
 * everywhere or nowhere.
 *
 * Thread: making: one; then any. th_own: owner.
 */
#ifndef TH_GUEST_LUA_COMMONS_H
#define TH_GUEST_LUA_COMMONS_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>
#include <stdint.h>

#define TH_COMMON_TABLES_MAX 64 /* the libraries have some 20 */

struct Table;
struct TString;

typedef struct th_commons th_commons;

struct th_commons {
    size_t mapped_bytes;
    char *objects; /* here they stand */
    size_t objects_bytes;
    unsigned tables_count;
    struct Table *tables[TH_COMMON_TABLES_MAX]; /* each with its place as its gclist */
    uint32_t slots_mask; /* a power of 2, less 1; at most half of the slots are used */
    struct TString **slots; /* short strings by their hash, NULL: none */
};

/*
 * Room for @objects_bytes of objects and a look-up of @strings; all zero.
 *
 * Owner:   the caller, until th_commons_free.
 * Faults:  NOMEM.
 */
th_err th_commons_new(th_commons **out, size_t objects_bytes, size_t strings);

/* Both stand among the objects of @commons, and there is room for both. */
void th_commons_add_table(th_commons *commons, struct Table *table);
void th_commons_add_string(th_commons *commons, struct TString *string);

/* From now on nobody writes to it. */
void th_commons_close(th_commons *commons);

/* No process that has it is left. Takes NULL, returns NULL. */
th_commons *th_commons_free(th_commons *commons);

#endif
