#include "guest/lua/freeze.h"

#include "base/mem.h"
#include "guest/lua/state.h"

#include <lgc.h> /* these five: to take objects out of a state */
#include <lobject.h>
#include <lstate.h>
#include <lstring.h>
#include <ltable.h>

#include <string.h>

#define COMMON_BIT 64 /* of a table's flags (lua/patches/8-commons.patch) */

/* --- Tables ------------------------------------------------------------------- */

/* Where a candidate stands in the list; its gclist says so, which is idle here. */
static bool is_chosen(const th_frozen *all, const Table *table)
{
    uintptr_t place = (uintptr_t)table->gclist;

    return place < all->tables_count && all->tables[place] == table;
}

static bool is_tag_there(lua_State *L, Table *metatable, TMS tag)
{
    return !isempty(luaH_getshortstr(metatable, G(L)->tmname[tag]));
}

/* What a collector does more with than to mark it, stays. */
static bool is_plain(lua_State *L, Table *table)
{
    return luaH_realasize(table) == 0 &&
           (table->metatable == NULL || (!is_tag_there(L, table->metatable, TM_MODE) &&
                                         !is_tag_there(L, table->metatable, TM_GC)));
}

static void find_candidates(th_frozen *all, lua_State *L, unsigned id_max)
{
    for (GCObject *object = G(L)->allgc; object != NULL; object = object->next) {
        if (object->tt == LUA_VTABLE && all->tables_count < TH_COMMON_TABLES_MAX &&
            gco2t(object)->id <= id_max && is_plain(L, gco2t(object))) {
            gco2t(object)->gclist = (GCObject *)(uintptr_t)all->tables_count;
            all->tables[all->tables_count++] = gco2t(object);
        }
    }
}

static bool is_common_value(const th_frozen *all, const TValue *value)
{
    return !iscollectable(value) || ttisstring(value) ||
           (ttistable(value) && is_chosen(all, hvalue(value)));
}

/* Whether all that it holds is common, as far as is known. */
static bool may_be_common(const th_frozen *all, lua_State *L, Table *table)
{
    if (table->metatable != NULL && !is_chosen(all, table->metatable)) {
        return false;
    }
    for (int i = 0; table->lastfree != NULL && i < sizenode(table); i++) {
        Node *node = gnode(table, i);
        TValue key;

        getnodekey(L, &key, node);
        if (!is_common_value(all, gval(node)) ||
            (!keyisnil(node) && !keyisdead(node) && !is_common_value(all, &key))) {
            return false;
        }
    }
    return true;
}

/* Out with those that hold something else, until none is left that does. */
static void choose_tables(th_frozen *all, lua_State *L)
{
    for (unsigned i = 0; i < all->tables_count;) {
        Table *table = all->tables[i];

        if (may_be_common(all, L, table)) {
            i++;
        } else {
            all->tables[i] = all->tables[--all->tables_count];
            all->tables[i]->gclist = (GCObject *)(uintptr_t)i;
            table->gclist = NULL;
            i = 0;
        }
    }
}

/* --- Memory ------------------------------------------------------------------- */

typedef struct frame {
    const th_frozen *frozen;
    th_arena *arena;
    uint8_t *units;
} frame;

static void mark_block(const frame *to, const void *at, size_t bytes)
{
    size_t first = (size_t)((const char *)at - (const char *)to->arena) / TH_ARENA_UNIT;
    size_t units = (bytes + TH_ARENA_UNIT - 1) / TH_ARENA_UNIT;
    size_t whole = th_arena_block_bytes(bytes) / TH_ARENA_UNIT;

    if (bytes > 0) {
        memset(&to->units[first], TH_UNIT_COMMON, units);
        memset(&to->units[first + units], TH_UNIT_LEFT, whole - units);
        th_arena_disown(to->arena, bytes);
    }
}

static void mark_proto(const frame *to, const Proto *f)
{
    mark_block(to, f, sizeof *f);
    mark_block(to, f->code, (size_t)f->sizecode * sizeof *f->code);
    mark_block(to, f->k, (size_t)f->sizek * sizeof *f->k);
    mark_block(to, f->p, (size_t)f->sizep * sizeof *f->p);
    mark_block(to, f->lineinfo, (size_t)f->sizelineinfo * sizeof *f->lineinfo);
    mark_block(to, f->abslineinfo, (size_t)f->sizeabslineinfo * sizeof *f->abslineinfo);
    mark_block(to, f->locvars, (size_t)f->sizelocvars * sizeof *f->locvars);
    mark_block(to, f->upvalues, (size_t)f->sizeupvalues * sizeof *f->upvalues);
}

/* --- Looks -------------------------------------------------------------------- */

/* Nobody shall write to it any more, so it knows which metamethods it lacks. */
static void freeze_table(const frame *to, lua_State *L, Table *table)
{
    unsigned lacks = 0;

    for (int tag = 0; tag <= TM_EQ; tag++) {
        lacks |= is_tag_there(L, table, (TMS)tag) ? 0 : 1u << tag;
    }
    table->flags = (lu_byte)(lacks | COMMON_BIT);
    mark_block(to, table, sizeof *table);
    if (table->lastfree != NULL) {
        mark_block(to, table->node, (size_t)sizenode(table) * sizeof *table->node);
    }
}

static void freeze_string(const frame *to, TString *string)
{
    mark_block(to, string, sizelstring(tsslen(string)));
    if (string->tt == LUA_VSHRSTR) {
        string->u.hnext = NULL;
    } else {
        (void)luaS_hashlongstr(string);
    }
}

/* False: it is none of the commons'. */
static bool freeze_object(const frame *to, lua_State *L, GCObject *object)
{
    switch (object->tt) {
    case LUA_VSHRSTR:
    case LUA_VLNGSTR:
        freeze_string(to, gco2ts(object));
        break;
    case LUA_VPROTO:
        mark_proto(to, gco2p(object));
        gco2p(object)->gclist = NULL;
        break;
    case LUA_VTABLE:
        if (!is_chosen(to->frozen, gco2t(object))) {
            return false;
        }
        freeze_table(to, L, gco2t(object));
        break;
    default:
        return false;
    }
    object->marked = G_OLD; /* neither white nor black */
    return true;
}

static void freeze_objects(const frame *to, lua_State *L)
{
    GCObject **link = &G(L)->allgc;

    while (*link != NULL) {
        GCObject *object = *link;

        if (freeze_object(to, L, object)) {
            *link = object->next;
            object->next = NULL;
        } else {
            link = &object->next;
        }
    }
}

/*
 * The state knows none of them any more. They stay in its count, so that its table of
 * strings has the size at each time that it would have with them.
 */
static th_err take_strings(th_frozen *all, lua_State *L)
{
    stringtable *table = &G(L)->strt;

    all->strings = th_malloc(((size_t)table->nuse + 1) * sizeof *all->strings);
    if (all->strings == NULL) {
        return th_fault(TH_NOMEM, "the strings of an image");
    }
    for (int i = 0; i < table->size; i++) {
        for (TString *string = table->hash[i]; string != NULL;
             string = string->u.hnext) {
            all->strings[all->strings_count++] = string;
        }
        table->hash[i] = NULL;
    }
    return TH_OK;
}

/* Between two collections, and nothing is kept by name but names. */
static bool is_calm(const global_State *g)
{
    return g->gcstate == GCSpause && g->gckind == KGC_INC && g->fixedgc == NULL;
}

th_err th_freeze(th_frozen *out, lua_State *L, unsigned id_max, uint8_t *units)
{
    frame to = {.frozen = out, .arena = th_lua_state_arena(L), .units = units};
    th_err err;

    *out = (th_frozen){.tables_count = 0};
    if (!is_calm(G(L))) {
        return TH_OK;
    }
    err = take_strings(out, L);
    if (err != TH_OK) {
        return err;
    }
    find_candidates(out, L, id_max);
    choose_tables(out, L);
    freeze_objects(&to, L);
    for (unsigned i = 0; i < out->tables_count; i++) {
        out->tables[i]->gclist = NULL;
    }
    return TH_OK;
}

void th_frozen_deinit(th_frozen *frozen)
{
    frozen->strings = th_free(frozen->strings);
}
