#include "guest/lua/lua_error.h"

#include "guest/lua/parcel.h"

#include <stdarg.h>

static int error_index(lua_State *L);
static int error_tostring(lua_State *L);
static int error_concat(lua_State *L);
static int error_len(lua_State *L);

static const luaL_Reg meta[] = {{"__index", error_index},
                                {"__tostring", error_tostring},
                                {"__concat", error_concat},
                                {"__len", error_len},
                                {NULL, NULL}};

static const th_class error_class = {TH_SLOT_ERROR, "error", NULL, meta};

/* --- Making ------------------------------------------------------------------- */

void th_lua_wrap_error(lua_State *L, const char *kind)
{
    luaL_checkstack(L, 6, NULL);
    th_object_new(L, &error_class, sizeof(th_object), TH_ERROR_SLOTS);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, TH_ERROR_MESSAGE);
    lua_pushstring(L, kind);
    lua_setiuservalue(L, -2, TH_ERROR_KIND);
    lua_pushboolean(L, 0);
    lua_setiuservalue(L, -2, TH_ERROR_RETRYABLE);
    luaL_where(L, 1);
    lua_setiuservalue(L, -2, TH_ERROR_WHERE);
}

void th_lua_push_blank_error(lua_State *L)
{
    th_object_new(L, &error_class, sizeof(th_object), TH_ERROR_SLOTS);
}

void th_lua_push_error(lua_State *L, const char *kind, const char *format, ...)
{
    va_list args;

    luaL_checkstack(L, 6, NULL);
    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    th_lua_wrap_error(L, kind);
}

/* What is refused for want of room may be tried again. */
static void set_retryable(lua_State *L, th_err err)
{
    lua_pushboolean(L, err == TH_QUOTA || err == TH_TIMED_OUT || err == TH_OFFLINE);
    lua_setiuservalue(L, -2, TH_ERROR_RETRYABLE);
}

void th_lua_wrap_failure(lua_State *L, th_err err)
{
    th_lua_wrap_error(L, th_reason_of(err)->lua_kind);
    set_retryable(L, err);
    lua_pushstring(L, th_reason_of(err)->name);
    lua_setiuservalue(L, -2, TH_ERROR_REASON);
}

void th_lua_error_keep(lua_State *L, const char *name)
{
    luaL_checkstack(L, 4, NULL);
    if (lua_getiuservalue(L, -2, TH_ERROR_REQUEST) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 4);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -4, TH_ERROR_REQUEST);
    }
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void th_lua_push_reason(lua_State *L, th_err err, th_slice text)
{
    const th_reason *reason = th_reason_of(err);

    luaL_checkstack(L, 6, NULL);
    if (text.bytes > 0) {
        lua_pushlstring(L, text.at, text.bytes);
    } else {
        lua_pushstring(L, reason->text);
    }
    th_lua_wrap_failure(L, err);
}

int th_lua_fail(lua_State *L, th_err err, const char *format, ...)
{
    va_list args;

    luaL_checkstack(L, 8, NULL);
    lua_pushnil(L);
    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    th_lua_wrap_failure(L, err);
    return 2;
}

/* --- Reading ------------------------------------------------------------------ */

bool th_lua_is_error(lua_State *L, int index)
{
    return th_object_test(L, index, TH_SLOT_ERROR) != NULL;
}

void th_lua_error_text(lua_State *L, int index, th_buf *out)
{
    size_t bytes;
    const char *text;

    if (lua_type(L, index) == LUA_TSTRING) {
        text = lua_tolstring(L, index, &bytes);
        th_buf_put(out, text, bytes);
    } else if (lua_isinteger(L, index)) {
        th_buf_putf(out, "%lld", (long long)lua_tointeger(L, index));
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        th_buf_putf(out, "%.14g", (double)lua_tonumber(L, index));
    } else if (th_lua_is_error(L, index)) {
        lua_getiuservalue(L, index, TH_ERROR_MESSAGE);
        text = lua_tolstring(L, -1, &bytes);
        th_buf_put(out, text, bytes);
        lua_pop(L, 1);
    } else {
        th_buf_putf(out, "the error is a %s", lua_typename(L, lua_type(L, index)));
    }
}

/* Replace the value at @index by its message if it is an error. */
static void to_message(lua_State *L, int index)
{
    if (th_lua_is_error(L, index)) {
        lua_getiuservalue(L, index, TH_ERROR_MESSAGE);
        lua_replace(L, index);
    }
}

static int error_tostring(lua_State *L)
{
    th_object_check(L, 1, &error_class);
    lua_getiuservalue(L, 1, TH_ERROR_MESSAGE);
    return 1;
}

static int error_len(lua_State *L)
{
    th_object_check(L, 1, &error_class);
    lua_getiuservalue(L, 1, TH_ERROR_MESSAGE);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

static int error_concat(lua_State *L)
{
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        to_message(L, i);
        if (!lua_isstring(L, i)) {
            return luaL_error(L, "attempt to concatenate a %s value with an error",
                              luaL_typename(L, i));
        }
    }
    lua_concat(L, 2);
    return 1;
}

static int push_value(lua_State *L, int value)
{
    th_object_check(L, 1, &error_class);
    lua_getiuservalue(L, 1, value);
    return 1;
}

static int error_kind(lua_State *L)
{
    return push_value(L, TH_ERROR_KIND);
}

static int error_message(lua_State *L)
{
    return push_value(L, TH_ERROR_MESSAGE);
}

static int error_retryable(lua_State *L)
{
    return push_value(L, TH_ERROR_RETRYABLE);
}

static int error_details(lua_State *L)
{
    return push_value(L, TH_ERROR_DETAILS);
}

static int error_stack(lua_State *L)
{
    return push_value(L, TH_ERROR_WHERE);
}

static int error_reason(lua_State *L)
{
    return push_value(L, TH_ERROR_REASON);
}

/* What the request that failed had, if one did; request_api.c says what. */
static int push_kept(lua_State *L, const char *name)
{
    th_object_check(L, 1, &error_class);
    if (lua_getiuservalue(L, 1, TH_ERROR_REQUEST) != LUA_TTABLE) {
        lua_pushnil(L);
    } else {
        lua_getfield(L, -1, name);
    }
    return 1;
}

static int error_original(lua_State *L)
{
    return push_kept(L, "original");
}

static int error_target(lua_State *L)
{
    return push_kept(L, "target");
}

static int error_context(lua_State *L)
{
    return push_kept(L, "context");
}

/* A string, or it is that of a request or Reply. */
static int error_blob(lua_State *L)
{
    const th_parcel *parcel;

    push_kept(L, "blob");
    parcel = th_parcel_test(L, -1);
    if (parcel != NULL) {
        th_parcel_push_blob(L, parcel);
    } else if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushnil(L);
    }
    return 1;
}

static const struct {
    const char *name;
    lua_CFunction function;
} own[] = {{"kind", error_kind},           {"message", error_message},
           {"retryable", error_retryable}, {"details", error_details},
           {"stack", error_stack},         {"original", error_original},
           {"reason", error_reason},       {"target", error_target},
           {"context", error_context},     {"blob", error_blob}};

static int error_index(lua_State *L)
{
    const char *name = lua_tostring(L, 2);

    for (size_t i = 0; name != NULL && i < sizeof own / sizeof *own; i++) {
        if (strcmp(own[i].name, name) == 0) {
            lua_pushcfunction(L, own[i].function);
            return 1;
        }
    }
    lua_getglobal(L, LUA_STRLIBNAME);
    if (lua_istable(L, -1)) {
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* --- The string library ------------------------------------------------------- */

/*
 * Lua's own functions take strings and numbers only. Each is replaced by one that
 * turns an error into its message first and goes on as the original: functions
 * without upvalues, the same in every state.
 */
#define TOLERANT(X)                                                                    \
    X(byte)                                                                            \
    X(find) X(gmatch) X(gsub) X(len) X(lower) X(match) X(rep) X(reverse) X(sub) X(upper)

#define DEFINE(name)                                                                   \
    static lua_CFunction pristine_##name;                                              \
    static int tolerant_##name(lua_State *L)                                           \
    {                                                                                  \
        if (lua_type(L, 1) == LUA_TUSERDATA) {                                         \
            to_message(L, 1);                                                          \
        }                                                                              \
        return __atomic_load_n(&pristine_##name, __ATOMIC_RELAXED)(L);                 \
    }
TOLERANT(DEFINE)
#undef DEFINE

/* The table is on top. All states have the same original, so any may note it. */
static void replace(lua_State *L, const char *name, lua_CFunction *pristine,
                    lua_CFunction tolerant)
{
    lua_getfield(L, -1, name);
    __atomic_store_n(pristine, lua_tocfunction(L, -1), __ATOMIC_RELAXED);
    lua_pop(L, 1);
    lua_pushcfunction(L, tolerant);
    lua_setfield(L, -2, name);
}

static void make_tolerant(lua_State *L)
{
    lua_getglobal(L, LUA_STRLIBNAME);
#define REPLACE(name) replace(L, #name, &pristine_##name, tolerant_##name);
    TOLERANT(REPLACE)
#undef REPLACE
    lua_pop(L, 1);
}

/* --- The module --------------------------------------------------------------- */

/* With the spec table at 1 and the error on top. */
static void copy_field(lua_State *L, const char *name, int value, int type)
{
    int found = lua_getfield(L, 1, name);

    luaL_argcheck(L, found == LUA_TNIL || found == type, 1, name);
    if (found == LUA_TNIL) {
        lua_pop(L, 1);
    } else {
        lua_setiuservalue(L, -2, value);
    }
}

static int errors_new(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TTABLE) {
        luaL_checkstring(L, 1);
        lua_settop(L, 1);
        th_lua_wrap_error(L, "");
    } else {
        lua_settop(L, 1);
        lua_getfield(L, 1, "message");
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1, "message must be a string");
        th_lua_wrap_error(L, "");
        copy_field(L, "kind", TH_ERROR_KIND, LUA_TSTRING);
        copy_field(L, "details", TH_ERROR_DETAILS, LUA_TTABLE);
        lua_pushnil(L);
        lua_setiuservalue(L, -2, TH_ERROR_RETRYABLE);
        copy_field(L, "retryable", TH_ERROR_RETRYABLE, LUA_TBOOLEAN);
        return 1;
    }
    lua_pushnil(L);
    lua_setiuservalue(L, -2, TH_ERROR_RETRYABLE);
    return 1;
}

/* errors.wrap(err, context): the same, and "context: " before its message. */
static int errors_wrap(lua_State *L)
{
    bool is_error = th_lua_is_error(L, 1);

    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    if (!is_error) {
        luaL_checkstring(L, 1);
    }
    lua_pushvalue(L, 2);
    lua_pushliteral(L, ": ");
    lua_pushvalue(L, 1);
    to_message(L, 5);
    lua_concat(L, 3);
    th_lua_wrap_error(L, "");
    for (int value = TH_ERROR_KIND; is_error && value <= TH_ERROR_SLOTS; value++) {
        lua_getiuservalue(L, 1, value);
        lua_setiuservalue(L, -2, value);
    }
    return 1;
}

static int errors_is(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 2);

    if (!th_lua_is_error(L, 1)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_getiuservalue(L, 1, TH_ERROR_KIND);
    lua_pushboolean(L, strcmp(lua_tostring(L, -1), kind) == 0);
    return 1;
}

void th_lua_error_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", errors_new},
                                         {"wrap", errors_wrap},
                                         {"is", errors_is},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_setglobal(L, "errors");
    make_tolerant(L);
}
