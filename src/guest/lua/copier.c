#include "guest/lua/copier.h"

#include "base/mem.h"
#include "guest/lua/copier_work.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"
#include "guest/lua/time_api.h"
#include "kernel/checkpoint.h"

#include <lgc.h> /* tables are read in place; copier_read.c builds them */
#include <lobject.h>
#include <lstate.h>
#include <ltable.h>

/*
 * Most values of most messages are small and simple: those of a table are written in
 * a row, with one look at the room that is left for each (put_small). What is not goes
 * through the frames, a step at a time.
 */
typedef th_copier_frame frame;
typedef th_copier_work work;

#define SMALL_BYTES 48 /* of a value that is written without more ado */

_Static_assert(TH_ERROR_VALUES == TH_TERM_ERROR_VALUES, "errors have five values");
_Static_assert(LUAI_MAXSHORTLEN < SMALL_BYTES, "a short string is small");

void th_copier_begin(work *w, lua_State *L)
{
    th_lua *lua = th_lua_owner(L);

    th_assert(lua != NULL);
    w->L = L;
    w->spill = &lua->copier;
    th_copier_deinit(w->spill); /* of a copy that was cut off by an error */
    w->frames = w->frames_here;
    w->depth = 0;
    w->frames_room = TH_COPIER_FRAMES_HERE;
    w->tables = w->tables_here;
    w->tables_count = 0;
    w->tables_room = TH_COPIER_TABLES_HERE;
    w->slots_room = 0;
    w->is_shared = false;
}

void th_copier_deinit(th_copier *copier)
{
    if (copier->frames != NULL || copier->tables != NULL) {
        copier->frames = th_free(copier->frames);
        copier->tables = th_free(copier->tables);
        copier->slots = th_free(copier->slots);
    }
}

/* Twice the room in *@spilled, whatever is in @here; NULL: no memory. */
static void *spill(void **spilled, const void *here, uint32_t room, size_t bytes)
{
    void *grown = th_realloc(*spilled, 2 * room * bytes);

    if (grown != NULL && *spilled == NULL) {
        memcpy(grown, here, room * bytes);
    }
    if (grown != NULL) {
        *spilled = grown;
    }
    return grown;
}

frame *th_copier_push_frame(work *w)
{
    if (w->depth == w->frames_room) {
        frame *grown =
            spill(&w->spill->frames, w->frames_here, w->frames_room, sizeof(frame));

        if (grown == NULL) {
            return NULL;
        }
        w->frames = grown;
        w->frames_room *= 2;
    }
    return &w->frames[w->depth++];
}

bool th_copier_number(work *w, GCObject *table)
{
    if (w->tables_count == w->tables_room) {
        GCObject **grown = spill(&w->spill->tables, w->tables_here, w->tables_room,
                                 sizeof(GCObject *));

        if (grown == NULL) {
            return false;
        }
        w->tables = grown;
        w->tables_room *= 2;
    }
    w->tables[w->tables_count++] = table;
    return true;
}

/* --- Encoding: which tables were met ------------------------------------------- */

#define SLOT_FREE UINT32_MAX

static uint32_t slot_of(const work *w, const GCObject *table)
{
    uint32_t mask = w->slots_room - 1;
    uint32_t at = (th_id(table) * 2654435769u) & mask;

    while (w->spill->slots[at] != SLOT_FREE &&
           w->tables[w->spill->slots[at]] != table) {
        at = (at + 1) & mask;
    }
    return at;
}

static bool grow_slots(work *w)
{
    uint32_t room = 4 * w->tables_room;
    uint32_t *slots = th_realloc(w->spill->slots, room * sizeof *slots);

    if (slots == NULL) {
        return false;
    }
    memset(slots, 0xFF, room * sizeof *slots);
    w->spill->slots = slots;
    w->slots_room = room;
    for (uint32_t i = 0; i < w->tables_count; i++) {
        slots[slot_of(w, w->tables[i])] = i;
        th_checkpoint();
    }
    return true;
}

/* The number of @table if it was met before; else it gets one. */
static th_err meet(work *w, GCObject *table, bool *was_met, uint32_t *number)
{
    uint32_t at = 0;

    *was_met = true;
    if (w->slots_room > 0) {
        at = slot_of(w, table);
        if (w->spill->slots[at] != SLOT_FREE) {
            *number = w->spill->slots[at];
            return TH_OK;
        }
    } else {
        for (uint32_t i = 0; i < w->tables_count; i++) {
            if (w->tables[i] == table) {
                *number = i;
                return TH_OK;
            }
        }
    }
    *was_met = false;
    if (!th_copier_number(w, table)) {
        return TH_QUOTA;
    }
    if (w->tables_count > TH_COPIER_TABLES_HERE &&
        w->slots_room < 2 * w->tables_count) {
        return grow_slots(w) ? TH_OK : TH_QUOTA;
    }
    if (w->slots_room > 0) {
        w->spill->slots[at] = w->tables_count - 1;
    }
    return TH_OK;
}

#define KEY_BYTES_MAX 64 /* of a path in an error */

/* --- Encoding: refusals --------------------------------------------------------- */

static const char *type_text(const TValue *value)
{
    switch (ttype(value)) {
    case LUA_TFUNCTION:
        return "a function";
    case LUA_TTHREAD:
        return "a coroutine";
    case LUA_TTABLE:
        return "a table";
    default:
        return "an object that belongs to its process";
    }
}

static void put_key(th_buf *why, const TValue *key)
{
    if (ttisstring(key)) {
        size_t bytes = tsslen(tsvalue(key));

        th_buf_putf(why, ".%.*s", bytes < KEY_BYTES_MAX ? (int)bytes : KEY_BYTES_MAX,
                    getstr(tsvalue(key)));
    } else if (ttisinteger(key)) {
        th_buf_putf(why, "[%lld]", (long long)ivalue(key));
    } else if (ttisfloat(key)) {
        th_buf_putf(why, "[%.14g]", (double)fltvalue(key));
    } else if (ttisboolean(key)) {
        th_buf_puts(why, ttistrue(key) ? "[true]" : "[false]");
    } else {
        th_buf_putf(why, "[%s]", type_text(key));
    }
}

/* Where the step that was begun last stands in its frame. */
static void put_step(work *w, const frame *f, th_buf *why)
{
    uint32_t step = f->at - 1;
    TValue key;

    if (f->at == 0) { /* not even its first */
        return;
    }
    if (f->is_error) {
        th_buf_puts(why, step + 1 == TH_ERROR_DETAILS ? ".details" : ".message");
    } else if (step < f->values) {
        th_buf_putf(why, "[%u]", step + 1);
    } else {
        const Node *node = gnode(gco2t(f->object), (step - f->values) / 2);

        getnodekey(w->L, &key, node);
        if ((step - f->values) % 2 == 0) {
            th_buf_puts(why, ", among its keys, ");
        }
        put_key(why, &key);
    }
}

#define PATH_STEPS_MAX 16

static th_err refuse(work *w, const char *what, th_buf *why)
{
    th_buf_puts(why, what);
    if (w->depth > 0) {
        th_buf_puts(why, ", at value");
    }
    for (uint32_t i = 0; i < w->depth; i++) {
        if (i == PATH_STEPS_MAX) {
            th_buf_putf(why, " ... %u deeper", w->depth - i);
            break;
        }
        put_step(w, &w->frames[i], why);
    }
    return TH_INVALID;
}

/* --- Encoding: what is small ------------------------------------------------------ */

static inline char *put_number(char *to, th_term_tag tag, const void *at)
{
    to[0] = (char)tag;
    memcpy(to + 1, at, 8);
    return to + 9;
}

/* Write a simple value of at most SMALL_BYTES; its end, or NULL: it is none. */
static inline char *put_small(const TValue *value, char *to)
{
    if (ttisinteger(value)) {
        if (ivalue(value) != (int8_t)ivalue(value)) {
            return put_number(to, TH_TERM_INT, &value->value_.i);
        }
        to[0] = TH_TERM_INT8;
        to[1] = (char)ivalue(value);
        return to + 2;
    }
    if (ttisshrstring(value)) {
        size_t bytes = tsvalue(value)->shrlen;

        to[0] = (char)(TH_TERM_SHORT + bytes);
        th_copy_short(to + 1, getshrstr(tsvalue(value)), bytes);
        return to + 1 + bytes;
    }
    if (ttisfloat(value)) {
        return put_number(to, TH_TERM_FLOAT, &value->value_.n);
    }
    if (ttisboolean(value)) {
        to[0] = (char)(ttistrue(value) ? TH_TERM_TRUE : TH_TERM_FALSE);
        return to + 1;
    }
    return NULL;
}

/* A whole term of a small value. False: it is none, and nothing is done. */
static bool put_small_term(const TValue *value, th_buf *out)
{
    char *to = th_buf_reserve(out, 1 + SMALL_BYTES);
    char *end = to == NULL ? NULL : put_small(value, to + 1);

    if (end == NULL) {
        return false;
    }
    to[0] = TH_TERM_PLAIN;
    out->bytes = (size_t)(end - out->at);
    return true;
}

/*
 * Where the next small value may be written, if not at @to, which is kept as the end.
 * NULL: no memory, or there are more than @bytes_max.
 */
static inline char *make_room(th_buf *out, char *to, size_t bytes_max)
{
    if (__builtin_expect(out->at + out->room - to > 2 * SMALL_BYTES, 1)) {
        return to;
    }
    out->bytes = (size_t)(to - out->at);
    return out->bytes > bytes_max ? NULL : th_buf_reserve(out, 2 * SMALL_BYTES);
}

/* Go on with an array as long as its values are small. */
static char *put_small_values(frame *f, th_buf *out, char *to, size_t bytes_max)
{
    const TValue *array = gco2t(f->object)->array;
    uint32_t at = f->at;

    while (at < f->values) {
        char *room = make_room(out, to, bytes_max);
        char *end = room == NULL ? NULL : put_small(&array[at], room);

        if (end == NULL) {
            to = room == NULL ? to : room;
            break;
        }
        to = end;
        at++;
        th_checkpoint();
    }
    f->at = at;
    return to;
}

/* Go on with pairs as long as both are small. */
static char *put_small_pairs(work *w, frame *f, th_buf *out, char *to, size_t bytes_max)
{
    const Table *t = gco2t(f->object);

    while (f->at < f->steps && (f->at - f->values) % 2 == 0) {
        const Node *node = gnode(t, (f->at - f->values) / 2);
        char *room, *end;
        TValue key;

        th_checkpoint();
        if (isempty(gval(node))) {
            f->at += 2;
            continue;
        }
        room = make_room(out, to, bytes_max);
        if (room == NULL) {
            return to;
        }
        to = room;
        getnodekey(w->L, &key, node);
        end = put_small(&key, to);
        if (end == NULL) {
            return to;
        }
        to = end;
        f->at++;
        end = put_small(gval(node), to);
        if (end == NULL) {
            return to;
        }
        to = end;
        f->at++;
    }
    return to;
}

/* Go on with a table as long as its values are small, and its keys. */
static void put_small_ones(work *w, frame *f, th_buf *out, size_t bytes_max)
{
    char *to = out->at + out->bytes;

    if (f->at < f->values) {
        to = put_small_values(f, out, to, bytes_max);
    }
    if (f->at >= f->values) {
        to = put_small_pairs(w, f, out, to, bytes_max);
    }
    out->bytes = (size_t)(to - out->at);
}

/* --- Encoding ---------------------------------------------------------------------- */

static uint32_t count_values(const Table *t)
{
    uint32_t n = luaH_realasize(t);

    while (n > 0 && isempty(&t->array[n - 1])) {
        th_checkpoint();
        n--;
    }
    return n;
}

static uint32_t count_pairs(const Table *t)
{
    uint32_t n = 0;

    if (isdummy(t)) {
        return 0;
    }
    for (int i = 0; i < sizenode(t); i++) {
        n += !isempty(gval(gnode(t, i)));
        th_checkpoint();
    }
    return n;
}

static th_err begin_table(work *w, GCObject *object, th_buf *out, th_buf *why)
{
    const Table *t = gco2t(object);
    uint32_t values, number;
    bool was_met;
    frame *f;

    if (meet(w, object, &was_met, &number) != TH_OK) {
        return TH_QUOTA;
    }
    if (was_met) {
        w->is_shared = true;
        th_term_put_ref(out, number);
        return TH_OK;
    }
    if (w->depth == TH_TERM_DEPTH_MAX) {
        return refuse(w, "tables that are too deep in one another", why);
    }
    f = th_copier_push_frame(w);
    if (f == NULL) {
        return TH_QUOTA;
    }
    values = count_values(t);
    *f = (frame){.object = object,
                 .values = values,
                 .steps = values + (isdummy(t) ? 0 : 2 * (uint32_t)sizenode(t))};
    th_term_put_table(out, values, count_pairs(t));
    return TH_OK;
}

static th_err begin_error(work *w, GCObject *object, th_buf *out, th_buf *why)
{
    frame *f;

    if (w->depth == TH_TERM_DEPTH_MAX) {
        return refuse(w, "errors that are too deep in one another", why);
    }
    f = th_copier_push_frame(w);
    if (f == NULL) {
        return TH_QUOTA;
    }
    *f = (frame){.object = object,
                 .values = TH_ERROR_VALUES,
                 .steps = TH_ERROR_VALUES,
                 .is_error = true};
    th_term_put_tag(out, TH_TERM_ERROR);
    return TH_OK;
}

static th_err put_value(work *w, const TValue *value, th_buf *out, th_buf *why);

/* Only our own userdata cross, and not all of them. */
static th_err put_object(work *w, const TValue *value, th_buf *out, th_buf *why)
{
    const th_object *object = (const th_object *)getudatamem(uvalue(value));
    int64_t ns;

    switch (object->class) {
    case TH_SLOT_PAYLOAD:
        return put_value(w, &uvalue(value)->uv[0].uv, out, why);
    case TH_SLOT_ERROR:
        return begin_error(w, gcvalue(value), out, why);
    case TH_SLOT_TIME:
    case TH_SLOT_DURATION:
        ns = th_time_object_ns(object);
        th_term_put_ns(out,
                       object->class == TH_SLOT_TIME ? TH_TERM_TIME : TH_TERM_DURATION,
                       ns);
        return TH_OK;
    default:
        return refuse(w, type_text(value), why);
    }
}

static th_err put_string(work *w, const TString *string, th_buf *out, th_buf *why)
{
    th_slice text = th_slice_of(getstr(string), tsslen(string));

    if (text.bytes > UINT32_MAX) {
        return refuse(w, "a string of 4 GiB or more", why);
    }
    th_term_put_string(out, text);
    return TH_OK;
}

static th_err put_value(work *w, const TValue *value, th_buf *out, th_buf *why)
{
    switch (ttypetag(value)) {
    case LUA_VNUMINT:
        th_term_put_int(out, ivalue(value));
        return TH_OK;
    case LUA_VNUMFLT:
        th_term_put_real(out, fltvalue(value));
        return TH_OK;
    case LUA_VFALSE:
        th_term_put_tag(out, TH_TERM_FALSE);
        return TH_OK;
    case LUA_VTRUE:
        th_term_put_tag(out, TH_TERM_TRUE);
        return TH_OK;
    case LUA_VSHRSTR:
    case LUA_VLNGSTR:
        return put_string(w, tsvalue(value), out, why);
    case LUA_VTABLE:
        return begin_table(w, gcvalue(value), out, why);
    case LUA_VUSERDATA:
        return put_object(w, value, out, why);
    default:
        if (ttisnil(value)) {
            th_term_put_tag(out, TH_TERM_NIL);
            return TH_OK;
        }
        return refuse(w, type_text(value), why);
    }
}

/* The value of the frame's next step; NULL: it has none, or the step is a nil's. */
static const TValue *next_value(work *w, frame *f, TValue *key)
{
    uint32_t step = f->at++;
    Node *node;

    if (f->is_error) {
        return &gco2u(f->object)->uv[step].uv;
    }
    if (step < f->values) {
        return &gco2t(f->object)->array[step];
    }
    step -= f->values;
    node = gnode(gco2t(f->object), step / 2);
    if (step % 2 == 1) {
        return gval(node);
    }
    if (isempty(gval(node))) {
        f->at++;
        return NULL;
    }
    getnodekey(w->L, key, node);
    return key;
}

static th_err put_rest(work *w, th_buf *out, th_buf *why)
{
    size_t bytes_max = th_process_limits(th_lua_owner(w->L)->process)->memory_bytes_max;

    while (w->depth > 0) {
        frame *f = &w->frames[w->depth - 1];
        const TValue *value;
        TValue key;
        th_err err;

        th_checkpoint();
        if (out->failed) {
            return TH_QUOTA;
        }
        if (!f->is_error) {
            put_small_ones(w, f, out, bytes_max);
        }
        if (out->bytes > bytes_max) {
            return refuse(w, "more than the process's memory limit in all", why);
        }
        if (f->at == f->steps) {
            w->depth--;
            continue;
        }
        value = next_value(w, f, &key);
        err = value == NULL ? TH_OK : put_value(w, value, out, why);
        if (err != TH_OK) {
            return err;
        }
    }
    return TH_OK;
}

static th_err finish(work *w, size_t begin, th_err err, th_buf *out)
{
    th_copier_deinit(w->spill);
    if (err == TH_OK && out->failed) {
        return TH_QUOTA;
    }
    if (err == TH_OK && w->is_shared) {
        out->at[begin] = TH_TERM_SHARED;
    }
    return err;
}

th_err th_copier_encode(lua_State *L, int index, th_buf *out, th_buf *why)
{
    size_t begin = out->bytes;
    const TValue *value = s2v(L->ci->func.p + lua_absindex(L, index));
    work w;
    th_err err;

    th_buf_clear(why);
    if (put_small_term(value, out)) {
        return TH_OK;
    }
    th_copier_begin(&w, L);
    th_term_put_header(out, TH_TERM_PLAIN);
    err = put_value(&w, value, out, why);
    if (err == TH_OK && w.depth > 0) {
        err = put_rest(&w, out, why);
    }
    return finish(&w, begin, err, out);
}

th_err th_copier_encode_all(lua_State *L, int first, int n, th_buf *out, th_buf *why)
{
    size_t begin = out->bytes;
    th_err err = TH_OK;
    work w;

    first = lua_absindex(L, first);
    th_copier_begin(&w, L);
    th_buf_clear(why);
    w.tables_count = 1; /* the table of all */
    w.tables[0] = NULL;
    th_term_put_header(out, TH_TERM_PLAIN);
    th_term_put_table(out, (uint32_t)n, 0);
    for (int i = 0; i < n && err == TH_OK; i++) {
        err = put_value(&w, s2v(L->ci->func.p + first + i), out, why);
        if (err == TH_OK && w.depth > 0) {
            err = put_rest(&w, out, why);
        }
    }
    return finish(&w, begin, err, out);
}
