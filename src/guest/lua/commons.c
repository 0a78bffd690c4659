#include "guest/lua/commons.h"

#include "base/mem.h"
#include "guest/lua/lua_api.h"
#include "kernel/checkpoint.h"

#include <lfunc.h> /* these five: to find a table wherever a state may hold it */
#include <lgc.h>
#include <lobject.h>
#include <lstate.h>
#include <lstring.h>
#include <ltable.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- Making ------------------------------------------------------------------- */

static size_t slots_for(size_t strings)
{
    size_t slots = 8;

    while (slots < strings * 2) {
        slots *= 2;
    }
    return slots;
}

th_err th_commons_new(th_commons **out, size_t objects_bytes, size_t strings)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t slots = slots_for(strings);
    size_t head = (sizeof(th_commons) + 15) & ~(size_t)15;
    size_t bytes = head + slots * sizeof(struct TString *) + objects_bytes;
    th_commons *made;

    bytes = (bytes + page - 1) & ~(page - 1);
    if (th_mem_refuses()) {
        return th_fault(TH_NOMEM, "what the copies of an image share");
    }
    made =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
        return th_fault(TH_NOMEM, "what the copies of an image share: %zu bytes",
                        bytes);
    }
    made->mapped_bytes = bytes;
    made->slots_mask = (uint32_t)slots - 1;
    made->slots = (struct TString **)(void *)((char *)made + head);
    made->objects = (char *)(made->slots + slots);
    made->objects_bytes = objects_bytes;
    *out = made;
    return TH_OK;
}

/* Where it is in the list: no collector uses that field of it. */
static unsigned place_of(const Table *common)
{
    return (unsigned)(uintptr_t)common->gclist;
}

void th_commons_add_table(th_commons *commons, struct Table *table)
{
    th_assert(commons->tables_count < TH_COMMON_TABLES_MAX);
    table->gclist = (GCObject *)(uintptr_t)commons->tables_count;
    commons->tables[commons->tables_count++] = table;
}

void th_commons_add_string(th_commons *commons, struct TString *string)
{
    uint32_t slot = string->hash & commons->slots_mask;

    while (commons->slots[slot] != NULL) {
        slot = (slot + 1) & commons->slots_mask;
    }
    commons->slots[slot] = string;
}

void th_commons_close(th_commons *commons)
{
    th_assert(mprotect(commons, commons->mapped_bytes, PROT_READ) == 0);
}

th_commons *th_commons_free(th_commons *commons)
{
    if (commons != NULL) {
        (void)munmap(commons, commons->mapped_bytes);
    }
    return NULL;
}

/* The common string with this text, or NULL: called by the patched Lua. */
const void *th_common(const th_commons *commons, const char *text, size_t length,
                      unsigned hash)
{
    uint32_t slot = hash & commons->slots_mask;

    for (; commons->slots[slot] != NULL; slot = (slot + 1) & commons->slots_mask) {
        const TString *found = commons->slots[slot];

        if (found->hash == hash && found->shrlen == length &&
            memcmp(getshrstr(found), text, length) == 0) {
            return found;
        }
    }
    return NULL;
}

/* --- Which tables a process takes --------------------------------------------- */

/* The copies that a process gets, by the places of the common tables. */
typedef struct taking {
    lua_State *L;
    const th_commons *commons;
    Table *own[TH_COMMON_TABLES_MAX]; /* NULL: it does without */
} taking;

static bool is_common(const th_commons *commons, const void *object)
{
    return (size_t)((const char *)object - commons->objects) < commons->objects_bytes;
}

static bool is_wanted(const bool *wanted, const th_commons *commons, const Table *table)
{
    return table != NULL && is_common(commons, table) && wanted[place_of(table)];
}

static bool leads_to(const th_commons *commons, const Table *from, const bool *wanted)
{
    if (is_wanted(wanted, commons, from->metatable)) {
        return true;
    }
    for (int i = 0; from->lastfree != NULL && i < sizenode(from); i++) {
        const Node *node = gnode(from, i);

        if (ttistable(gval(node)) && is_wanted(wanted, commons, hvalue(gval(node)))) {
            return true;
        }
    }
    return false;
}

/* With the table that is wanted, all that lead to it. */
static void want_ancestors(const th_commons *commons, bool *wanted)
{
    bool is_done = false;

    while (!is_done) {
        is_done = true;
        for (unsigned i = 0; i < commons->tables_count; i++) {
            if (!wanted[i] && leads_to(commons, commons->tables[i], wanted)) {
                wanted[i] = true;
                is_done = false;
            }
        }
    }
}

/* --- Copies ------------------------------------------------------------------- */

/*
 * A copy in the slot below the top, which anchors all of them: each has the one
 * before it as its metatable until they take their places. May raise (memory).
 */
static Table *copy_table(lua_State *L, StkId anchor, const Table *common)
{
    Table *copy = luaH_new(L);
    Node *nodes;

    copy->metatable = ttistable(s2v(anchor)) ? hvalue(s2v(anchor)) : NULL;
    sethvalue2s(L, anchor, copy);
    if (common->lastfree != NULL) { /* else the node that all empty tables share */
        nodes = luaM_newvector(L, sizenode(common), Node);
        memcpy(nodes, common->node, (size_t)sizenode(common) * sizeof *nodes);
        copy->node = nodes;
        copy->lsizenode = common->lsizenode;
        copy->lastfree = nodes + (common->lastfree - common->node);
    }
    copy->id = common->id;
    return copy;
}

/*
 * All copies that are wanted. What they take was counted when the process was made,
 * and their numbers were drawn. The room above a function of Lua is that behind its
 * registers, for it writes to tables without saying where its stack ends.
 */
static void copy_tables(taking *all, const bool *wanted)
{
    lua_State *L = all->L;
    global_State *g = G(L);
    l_mem total = gettotalbytes(g);
    unsigned id = g->lastid;
    StkId top = L->top.p;

    if (isLua(L->ci)) {
        L->top.p = L->ci->top.p;
    }
    setnilvalue(s2v(L->top.p));
    L->top.p++; /* within EXTRA_STACK */
    for (unsigned i = 0; i < all->commons->tables_count; i++) {
        if (wanted[i]) {
            all->own[i] = copy_table(L, L->top.p - 1, all->commons->tables[i]);
        }
    }
    setnilvalue(s2v(L->top.p - 1));
    L->top.p = top;
    g->lastid = id;
    g->GCdebt -= gettotalbytes(g) - total;
}

/* From here on nothing is allocated, and nothing raises. */
static void finish_tables(const taking *all)
{
    for (unsigned i = 0; i < all->commons->tables_count; i++) {
        const Table *common = all->commons->tables[i];
        Table *own = all->own[i];

        if (own != NULL) {
            own->flags = (lu_byte)(common->flags & maskflags);
            own->metatable = common->metatable;
        }
    }
}

/* --- Where they stand --------------------------------------------------------- */

static Table *own_of(const taking *all, const void *table)
{
    const GCObject *object = table; /* a key that is dead may be anything */

    return is_common(all->commons, table) && object->tt == LUA_VTABLE
               ? all->own[place_of(table)]
               : NULL;
}

/* Whether @value was a common table and is an own one now. */
static bool swap_value(const taking *all, TValue *value)
{
    Table *own = ttistable(value) ? own_of(all, hvalue(value)) : NULL;

    if (own != NULL) {
        value->value_.gc = obj2gco(own);
    }
    return own != NULL;
}

static void swap_metatable(const taking *all, GCObject *object, Table **metatable)
{
    Table *own = *metatable == NULL ? NULL : own_of(all, *metatable);

    if (own != NULL) {
        *metatable = own;
        luaC_objbarrier(all->L, object, own);
    }
}

/* An entry that is gone keeps its key for those who go through the table. */
static bool swap_key(const taking *all, Node *node)
{
    Table *own = NULL;

    if (keytt(node) == ctb(LUA_VTABLE) || keyisdead(node)) {
        own = own_of(all, keyval(node).gc);
    }
    if (own != NULL) {
        keyval(node).gc = obj2gco(own);
    }
    return own != NULL;
}

static void swap_in_table(const taking *all, Table *table)
{
    unsigned n = luaH_realasize(table);
    GCObject *object = obj2gco(table);

    for (unsigned i = 0; i < n; i++) {
        if (swap_value(all, &table->array[i])) {
            luaC_barrierback(all->L, object, &table->array[i]);
        }
    }
    for (int i = 0; table->lastfree != NULL && i < sizenode(table); i++) {
        Node *node = gnode(table, i);

        if (swap_key(all, node) && !keyisdead(node) && isblack(object)) {
            luaC_barrierback_(all->L, object);
        }
        if (swap_value(all, gval(node))) {
            luaC_barrierback(all->L, object, gval(node));
        }
    }
    swap_metatable(all, object, &table->metatable);
}

static void swap_in_userdata(const taking *all, Udata *data)
{
    for (int i = 0; i < data->nuvalue; i++) {
        if (swap_value(all, &data->uv[i].uv)) {
            luaC_barrierback(all->L, obj2gco(data), &data->uv[i].uv);
        }
    }
    swap_metatable(all, obj2gco(data), &data->metatable);
}

/* All of its stack, for it cannot be told which registers are in use. */
static void swap_in_thread(const taking *all, lua_State *thread)
{
    if (thread->stack.p == NULL) {
        return;
    }
    for (StkId slot = thread->stack.p; slot < thread->stack_last.p + EXTRA_STACK;
         slot++) {
        (void)swap_value(all, s2v(slot));
    }
}

static void swap_in_object(const taking *all, GCObject *object)
{
    switch (object->tt) {
    case LUA_VTABLE:
        swap_in_table(all, gco2t(object));
        break;
    case LUA_VUSERDATA:
        swap_in_userdata(all, gco2u(object));
        break;
    case LUA_VTHREAD:
        swap_in_thread(all, gco2th(object));
        break;
    case LUA_VUPVAL:
        if (!upisopen(gco2upv(object)) && swap_value(all, &gco2upv(object)->u.value)) {
            luaC_barrier(all->L, object, &gco2upv(object)->u.value);
        }
        break;
    case LUA_VCCL:
        for (int i = 0; i < gco2ccl(object)->nupvalues; i++) {
            if (swap_value(all, &gco2ccl(object)->upvalue[i])) {
                luaC_barrier(all->L, object, &gco2ccl(object)->upvalue[i]);
            }
        }
        break;
    default: /* the others hold no tables */
        break;
    }
}

static void swap_everywhere(const taking *all)
{
    global_State *g = G(all->L);
    GCObject *lists[] = {g->allgc, g->finobj, g->tobefnz};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (GCObject *object = lists[i]; object != NULL; object = object->next) {
            swap_in_object(all, object);
            th_checkpoint();
        }
    }
    for (int i = 0; i < LUA_NUMTYPES; i++) {
        Table *own = g->mt[i] == NULL ? NULL : own_of(all, g->mt[i]);

        g->mt[i] = own != NULL ? own : g->mt[i];
    }
}

/*
 * The process's own table in the place of @common, which it has no more: called by
 * the patched Lua before it writes to a table. May raise (memory); then nothing is
 * changed. C code that holds a common table over this writes to nothing: it is
 * read-only; and what only reads finds there what was there before.
 */
struct Table *th_own(lua_State *L, struct Table *common)
{
    bool wanted[TH_COMMON_TABLES_MAX] = {false};
    taking all = {.L = L, .commons = G(L)->commons};

    th_assert(is_common(all.commons, common));
    wanted[place_of(common)] = true;
    want_ancestors(all.commons, wanted);
    copy_tables(&all, wanted);
    finish_tables(&all);
    swap_everywhere(&all);
    return all.own[place_of(common)];
}

/* The same for one slot of *table, or for no slot of it, and *table is its own. */
const TValue *th_ownslot(lua_State *L, struct Table **table, const TValue *slot)
{
    const Table *common = *table;
    const char *at = (const char *)slot;
    size_t offset = (size_t)(at - (const char *)common->node);

    *table = th_own(L, *table);
    if (common->lastfree == NULL || offset >= sizenode(common) * sizeof(Node)) {
        return slot;
    }
    return (const TValue *)(const void *)((char *)(*table)->node + offset);
}
