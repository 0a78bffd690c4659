#include "guest/lua/copier_work.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/time_api.h"
#include "kernel/checkpoint.h"

#include <ldo.h>
#include <lgc.h> /* tables are built in place */
#include <lmem.h>
#include <lobject.h>
#include <lstate.h>
#include <lstring.h>
#include <ltable.h>

/*
 * The copier's other half: terms to values.
 *
 * An object that is being built is anchored from its birth: the root on the Lua stack,
 * all else in its parent. Allocating may collect (an emergency), so every store into
 * an object has its barrier.
 *
 * Most values are small and simple: they are read into their table in a row
 * (build_small_ones). What is not goes through the frames, a step at a time.
 */
typedef th_copier_frame frame;
typedef th_copier_work work;

/* --- A step at a time --------------------------------------------------------------- */

/* What lua_error.c relies on: nobody but us makes errors, but a peer's are ours. */
static bool suits_error(uint32_t step, const TValue *value)
{
    switch (step + 1) {
    case TH_ERROR_MESSAGE:
    case TH_ERROR_KIND:
        return ttisstring(value);
    case TH_ERROR_RETRYABLE:
        return ttisnil(value) || ttisboolean(value);
    case TH_ERROR_DETAILS:
        return ttisnil(value) || ttistable(value);
    default:
        return ttisnil(value) || ttisstring(value);
    }
}

/* Put @value where the frame's next step says. False: it may not stand there. */
static bool store(work *w, frame *f, TValue *value)
{
    lua_State *L = w->L;
    uint32_t step = f->at++;
    Table *t;

    if (f->is_error) {
        setobj(L, &gco2u(f->object)->uv[step].uv, value);
        luaC_barrierback(L, f->object, value);
        return suits_error(step, value);
    }
    t = gco2t(f->object);
    if (step < f->values) {
        setobj2t(L, &t->array[step], value);
        luaC_barrierback(L, f->object, value);
        return true;
    }
    if (ttisnil(value) || (ttisfloat(value) && fltvalue(value) != fltvalue(value) &&
                           (step - f->values) % 2 == 0)) {
        return false;
    }
    if ((step - f->values) % 2 == 0) {
        setobj(L, &f->key, value);
        if (iscollectable(value)) { /* until its value comes it must not be collected */
            TValue yes;

            setbtvalue(&yes);
            luaH_set(L, t, &f->key, &yes);
            luaC_barrierback(L, f->object, value);
        }
        return true;
    }
    luaH_set(L, t, &f->key, value);
    luaC_barrierback(L, f->object, value);
    return true;
}

/* The value that was just made stands at the top of the Lua stack: into its place. */
static bool settle(work *w, frame *parent)
{
    bool is_good = true;

    if (parent != NULL) {
        is_good = store(w, parent, s2v(w->L->top.p - 1));
        w->L->top.p--;
    }
    return is_good;
}

static bool open_frame(work *w, const th_term_token *token, GCObject *object)
{
    frame *f;

    if (w->depth == TH_TERM_DEPTH_MAX) {
        return false;
    }
    f = th_copier_push_frame(w);
    if (f == NULL) {
        luaM_error(w->L);
    }
    *f = (frame){.object = object, .is_error = token->tag == TH_TERM_ERROR};
    if (f->is_error) {
        f->values = f->steps = TH_ERROR_VALUES;
    } else {
        f->values = token->values;
        f->steps = token->values + 2 * token->pairs;
    }
    return true;
}

/* An array of its length for @t, which has none: what luaH_resize does slowly. */
static void make_array(lua_State *L, Table *t, uint32_t values)
{
    t->array = luaM_newvector(L, values, TValue);
    t->alimit = values;
    for (uint32_t i = 0; i < values; i++) {
        setempty(&t->array[i]);
    }
}

/* @t is anchored: give it its size and number, and go on with what is in it. */
static bool open_table(work *w, const th_term_token *token, Table *t)
{
    lua_State *L = w->L;

    if (w->is_shared && !th_copier_number(w, obj2gco(t))) {
        luaM_error(L);
    }
    if (token->pairs > 0) {
        luaH_resize(L, t, token->values, token->pairs);
    } else if (token->values > 0) {
        make_array(L, t, token->values);
    } else {
        return true;
    }
    return open_frame(w, token, obj2gco(t));
}

static bool build_table(work *w, frame *parent, const th_term_token *token)
{
    lua_State *L = w->L;
    Table *t = luaH_new(L);

    sethvalue2s(L, L->top.p, t);
    L->top.p++;
    return settle(w, parent) && open_table(w, token, t);
}

static bool build_error(work *w, frame *parent, const th_term_token *token)
{
    GCObject *object;

    th_lua_push_blank_error(w->L);
    object = gcvalue(s2v(w->L->top.p - 1));
    return settle(w, parent) && open_frame(w, token, object);
}

static bool push_ref(work *w, uint32_t number)
{
    lua_State *L = w->L;

    if (number >= w->tables_count || w->tables[number] == NULL) {
        return false;
    }
    sethvalue2s(L, L->top.p, gco2t(w->tables[number]));
    L->top.p++;
    return true;
}

/*
 * The string of these bytes, which may be one that was made lately: keys come again and
 * again. Lua's own cache of strings made by C has them, so that a collection takes out
 * those that go. It compares texts up to a NUL, so none with a NUL comes into it.
 */
static TString *make_string(lua_State *L, const char *at, size_t bytes)
{
    TString **kept, *made;

    if (bytes == 0) {
        return luaS_newlstr(L, "", 0);
    }
    kept = G(L)->strcache[(31u * (uint8_t)at[0] + 7u * (uint8_t)at[bytes - 1] +
                           (uint32_t)bytes) %
                          STRCACHE_N];
    for (int i = 0; i < STRCACHE_M; i++) {
        if (kept[i]->tt == LUA_VSHRSTR && kept[i]->shrlen == bytes &&
            th_bytes_eq_short(getshrstr(kept[i]), at, bytes)) {
            return kept[i];
        }
    }
    made = luaS_newlstr(L, at, bytes);
    if (made->tt == LUA_VSHRSTR && memchr(at, '\0', bytes) == NULL) {
        for (int i = STRCACHE_M - 1; i > 0; i--) {
            kept[i] = kept[i - 1];
        }
        kept[0] = made;
    }
    return made;
}

/* A simple value onto the stack. False: the token is damaged. */
static bool push_simple(work *w, const th_term_token *token)
{
    lua_State *L = w->L;
    StkId top = L->top.p;

    switch (token->tag) {
    case TH_TERM_NIL:
        setnilvalue(s2v(top));
        break;
    case TH_TERM_FALSE:
        setbfvalue(s2v(top));
        break;
    case TH_TERM_TRUE:
        setbtvalue(s2v(top));
        break;
    case TH_TERM_INT:
        setivalue(s2v(top), token->number);
        break;
    case TH_TERM_FLOAT:
        setfltvalue(s2v(top), token->real);
        break;
    case TH_TERM_STRING: {
        TString *string = token->string.bytes > LUAI_MAXSHORTLEN
                              ? luaS_newlstr(L, token->string.at, token->string.bytes)
                              : make_string(L, token->string.at, token->string.bytes);

        setsvalue2s(L, L->top.p, string);
        break;
    }
    case TH_TERM_TIME:
        th_time_push(L, (th_wall){token->number});
        return true;
    case TH_TERM_DURATION:
        th_duration_push(L, token->number);
        return true;
    case TH_TERM_REF:
        return push_ref(w, token->ref);
    default:
        return false;
    }
    L->top.p++;
    return true;
}

/* What @token begins, into @parent or onto the stack if that is NULL. */
static bool build(work *w, frame *parent, const th_term_token *token)
{
    if (token->tag == TH_TERM_TABLE) {
        return build_table(w, parent, token);
    }
    if (token->tag == TH_TERM_ERROR) {
        return build_error(w, parent, token);
    }
    return push_simple(w, token) && settle(w, parent);
}

/* As luaH_set; most keys of a table that is being built find their place free. */
static void set_string(lua_State *L, Table *t, const TValue *key, TValue *value)
{
    Node *place = gnode(t, lmod(tsvalue(key)->hash, sizenode(t)));

    if (isempty(gval(place)) && !isdummy(t)) {
        setnodekey(L, place, key);
        setobj2t(L, gval(place), value);
    } else {
        luaH_finishset(L, t, key, luaH_getshortstr(t, tsvalue(key)), value);
    }
}

/* The pair that stands on the stack goes into the table of the frame. */
static void store_pair(work *w, frame *f)
{
    lua_State *L = w->L;
    Table *t = gco2t(f->object);
    TValue *key = s2v(L->top.p - 2), *value = s2v(L->top.p - 1);

    if (ttisshrstring(key)) {
        set_string(L, t, key, value);
    } else {
        luaH_set(L, t, key, value);
    }
    luaC_barrierback(L, f->object, key);
    luaC_barrierback(L, f->object, value);
    L->top.p -= 2;
    f->at += 2;
}

/*
 * A key that is a string, and its value if that is simple or a table: both stay on
 * the stack until they are in the table, so that the key is looked up once.
 */
static bool build_pair(work *w, th_slice *rest, frame *f, const th_term_token *key)
{
    lua_State *L = w->L;
    th_term_token value;

    if (!push_simple(w, key) || !th_term_read(rest, &value)) {
        return false;
    }
    if (value.tag == TH_TERM_TABLE) {
        Table *t = luaH_new(L);

        sethvalue2s(L, L->top.p, t);
        L->top.p++;
        store_pair(w, f);
        return open_table(w, &value, t);
    }
    if (value.tag == TH_TERM_ERROR) {
        return settle(w, f) && build(w, f, &value);
    }
    if (!push_simple(w, &value) || ttisnil(s2v(L->top.p - 1))) {
        return false;
    }
    store_pair(w, f);
    return true;
}

/* The next step of the frame on top; the frame may move. */
static bool build_step(work *w, th_slice *rest, frame *f)
{
    th_term_token token;
    bool is_key = !f->is_error && f->at >= f->values && (f->at - f->values) % 2 == 0;

    if (!th_term_read(rest, &token)) {
        return false;
    }
    if (is_key && token.tag == TH_TERM_STRING) {
        return build_pair(w, rest, f, &token);
    }
    return build(w, f, &token);
}

/* --- What is small --------------------------------------------------------------------- */

/*
 * Read a simple value of few bytes into @out, where the collector sees it as soon as
 * it is there: where it ends, or NULL: the next is none, and nothing is read.
 */
static inline const char *take_small(lua_State *L, const char *at, const char *end,
                                     TValue *out)
{
    size_t bytes = (size_t)(end - at);
    int64_t number;
    double real;
    uint8_t tag;

    if (bytes < 2) { /* a last one that is a boolean goes the other way */
        return NULL;
    }
    tag = (uint8_t)at[0];
    if (tag >= TH_TERM_SHORT) {
        size_t length = tag - (size_t)TH_TERM_SHORT;

        if (bytes <= length) {
            return NULL;
        }
        setsvalue(L, out, make_string(L, at + 1, length));
        return at + 1 + length;
    }
    switch (tag) {
    case TH_TERM_FALSE:
        setbfvalue(out);
        return at + 1;
    case TH_TERM_TRUE:
        setbtvalue(out);
        return at + 1;
    case TH_TERM_INT8:
        setivalue(out, (int8_t)at[1]);
        return at + 2;
    case TH_TERM_INT:
        if (bytes < 9) {
            return NULL;
        }
        memcpy(&number, at + 1, sizeof number);
        setivalue(out, number);
        return at + 9;
    case TH_TERM_FLOAT:
        if (bytes < 9) {
            return NULL;
        }
        memcpy(&real, at + 1, sizeof real);
        setfltvalue(out, real);
        return at + 9;
    default:
        return NULL;
    }
}

static const char *end_of(th_slice slice)
{
    return slice.at + slice.bytes;
}

/* Go on with an array as long as its values are small. */
static void build_small_values(work *w, th_slice *rest, frame *f)
{
    Table *t = gco2t(f->object);
    const char *at = rest->at, *end = end_of(*rest);

    while (f->at < f->values) {
        TValue *value = &t->array[f->at];
        const char *after = take_small(w->L, at, end, value);

        if (after == NULL) {
            break;
        }
        luaC_barrierback(w->L, f->object, value);
        at = after;
        f->at++;
        th_checkpoint();
    }
    *rest = th_slice_of(at, (size_t)(end - at));
}

/* Go on with pairs as long as both are small and the key is a string. */
static void build_small_pairs(work *w, th_slice *rest, frame *f)
{
    lua_State *L = w->L;
    const char *end = end_of(*rest);

    while (f->at < f->steps) {
        const char *at = rest->at;

        if (at == end || (uint8_t)at[0] < TH_TERM_SHORT ||
            (at = take_small(L, at, end, s2v(L->top.p))) == NULL) {
            return;
        }
        L->top.p++;
        at = take_small(L, at, end, s2v(L->top.p));
        if (at == NULL) {
            L->top.p--;
            return;
        }
        L->top.p++;
        store_pair(w, f);
        *rest = th_slice_of(at, (size_t)(end - at));
        th_checkpoint();
    }
}

/* --- Whole values ----------------------------------------------------------------------- */

/* Read one whole value onto the stack. */
static bool build_all(work *w, th_slice *rest)
{
    th_term_token token;

    if (!th_term_read(rest, &token) || !build(w, NULL, &token)) {
        return false;
    }
    while (w->depth > 0) {
        frame *f = &w->frames[w->depth - 1];

        th_checkpoint();
        if (!f->is_error && f->at < f->values) {
            build_small_values(w, rest, f);
        } else if (!f->is_error && (f->at - f->values) % 2 == 0) {
            build_small_pairs(w, rest, f);
        }
        if (f->at == f->steps) {
            w->depth--;
        } else if (!build_step(w, rest, f)) {
            return false;
        }
    }
    return true;
}

#define STACK_NEEDED 8 /* for what makes objects of ours */

/* A term that is one small value. False: it is none, and nothing is pushed. */
static bool push_small(lua_State *L, th_slice term)
{
    StkId top = L->top.p;

    if (term.bytes < 2 || term.at[0] != TH_TERM_PLAIN) {
        return false;
    }
    setnilvalue(s2v(top));
    if (take_small(L, term.at + 1, end_of(term), s2v(top)) != end_of(term)) {
        return false;
    }
    L->top.p++;
    return true;
}

th_err th_copier_push(lua_State *L, th_slice term)
{
    int top = lua_gettop(L);
    work w;

    luaL_checkstack(L, STACK_NEEDED, NULL);
    if (push_small(L, term)) {
        luaC_checkGC(L);
        return TH_OK;
    }
    th_copier_begin(&w, L);
    if (!th_term_open(&term, &w.is_shared) || !build_all(&w, &term) || term.bytes > 0) {
        th_copier_deinit(w.spill);
        lua_settop(L, top);
        return TH_INVALID;
    }
    th_copier_deinit(w.spill);
    luaC_checkGC(L);
    return TH_OK;
}

th_err th_copier_push_all(lua_State *L, th_slice term, int *n)
{
    int top = lua_gettop(L);
    th_term_token token;
    bool is_good;
    work w;

    th_copier_begin(&w, L);
    if (!th_term_open(&term, &w.is_shared) || !th_term_read(&term, &token) ||
        token.tag != TH_TERM_TABLE || token.pairs > 0 || token.values > INT32_MAX / 2) {
        return TH_INVALID;
    }
    luaL_checkstack(L, (int)token.values + STACK_NEEDED, "too many arguments");
    w.tables_count = 1;
    w.tables[0] = NULL;
    is_good = true;
    for (uint32_t i = 0; i < token.values && is_good; i++) {
        is_good = build_all(&w, &term);
    }
    th_copier_deinit(w.spill);
    if (!is_good || term.bytes > 0) {
        lua_settop(L, top);
        return TH_INVALID;
    }
    *n = (int)token.values;
    return TH_OK;
}
