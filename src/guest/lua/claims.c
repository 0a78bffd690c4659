#include "guest/lua/claims.h"

#include "guest/lua/json.h"
#include "guest/lua/owner.h"
#include "kernel/kernel.h"

/* --- Texts -------------------------------------------------------------------- */

static void put_address(const th_kernel *kernel, const th_ident *who, th_buf *out)
{
    th_buf_clear(out);
    th_kernel_address_text(kernel, who, out);
}

void th_claims_push_self(lua_State *L, th_lua *lua)
{
    put_address(th_process_kernel(lua->process), th_process_ident(lua->process),
                &lua->scratch);
    lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
}

/* A PID's text says all that its address does; what is none stays as it is. */
static bool put_pid_as_address(th_kernel *kernel, th_slice text, th_buf *out)
{
    const th_entry *entry;
    th_id_error error;
    th_pid_text pid;
    th_address address;

    if (th_pid_text_decode(&pid, text, &error) != TH_OK) {
        return false;
    }
    entry = th_kernel_find_entry(kernel, pid.entry);
    if (entry == NULL) {
        return false;
    }
    address = (th_address){.node = pid.node,
                           .process = pid.unique,
                           .package = entry->package,
                           .publisher = entry->publisher};
    th_buf_clear(out);
    th_address_encode(out, &address);
    return true;
}

void th_claims_push_address(lua_State *L, int index, const char *what)
{
    th_lua *lua = th_lua_self(L, what);
    th_slice text;

    index = lua_absindex(L, index);
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "%s must be an address or a PID, not a %s", what,
                   luaL_typename(L, index));
    }
    text.at = lua_tolstring(L, index, &text.bytes);
    if (text.bytes > 0 && text.at[0] == '{' &&
        put_pid_as_address(th_process_kernel(lua->process), text, &lua->scratch)) {
        lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
    } else {
        lua_pushvalue(L, index);
    }
}

void th_claims_push_params(lua_State *L, int index, const char *what)
{
    index = lua_absindex(L, index);
    if (lua_isnil(L, index)) {
        luaL_error(L, "%s must be a text of JSON, or a value that has one", what);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        lua_pushvalue(L, index);
    } else {
        th_json_push_text(L, index, what);
    }
    if (lua_rawlen(L, -1) > TH_CAP_PARAMS_BYTES_MAX) {
        luaL_error(L, "%s has at most %d bytes", what, TH_CAP_PARAMS_BYTES_MAX);
    }
}

/* --- Lists -------------------------------------------------------------------- */

static size_t count_of(lua_State *L, int index, const char *what)
{
    size_t n;

    if (lua_isnil(L, index)) {
        return 0;
    }
    if (!lua_istable(L, index)) {
        luaL_error(L, "%s must be a list of capabilities, not a %s", what,
                   luaL_typename(L, index));
    }
    n = lua_rawlen(L, index);
    if (n > TH_CAPS_MAX) {
        luaL_error(L, "%s has at most %d capabilities", what, TH_CAPS_MAX);
    }
    return n;
}

/* Keep the text on top in the list at @kept; it is popped. */
static th_slice keep(lua_State *L, int kept)
{
    th_slice text;

    text.at = lua_tolstring(L, -1, &text.bytes);
    lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
    return text;
}

/* The one on top, whose address stands in @field. */
static th_claim read_one(lua_State *L, int kept, const char *field, const char *what)
{
    th_claim claim;

    if (!lua_istable(L, -1)) {
        luaL_error(L, "%s must be tables {%s = , params = }, not a %s", what, field,
                   luaL_typename(L, -1));
    }
    lua_pushstring(L, field);
    lua_rawget(L, -2);
    th_claims_push_address(L, -1, field);
    claim.issuer = keep(L, kept);
    lua_pop(L, 1);
    lua_pushliteral(L, "params");
    lua_rawget(L, -2);
    th_claims_push_params(L, -1, "params");
    claim.params = keep(L, kept);
    lua_pop(L, 1);
    return claim;
}

void th_claims_read(lua_State *L, int index, const char *what, th_claims *out)
{
    size_t n;
    th_claim *claims;
    int kept;

    index = lua_absindex(L, index);
    luaL_checkstack(L, 10, NULL);
    n = count_of(L, index, what);
    *out = (th_claims){NULL, n};
    if (n == 0) {
        lua_pushnil(L);
        lua_pushnil(L);
        return;
    }
    claims = lua_newuserdatauv(L, n * sizeof *claims, 0);
    lua_newtable(L);
    kept = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        claims[i] = read_one(L, kept, "issuer", what);
        lua_pop(L, 1);
    }
    out->at = claims;
}

/* "node@" of this node says nothing: grants are of one node. */
static th_slice without_node(th_slice address)
{
    size_t at = th_slice_find(address, '@');

    return at == address.bytes ? address : th_slice_from(address, at + 1);
}

void th_grants_read(lua_State *L, int index, const char *what, const th_grant **out,
                    size_t *count)
{
    size_t n;
    th_grant *grants;
    int kept;

    index = lua_absindex(L, index);
    luaL_checkstack(L, 10, NULL);
    n = count_of(L, index, what);
    *out = NULL;
    *count = n;
    if (n == 0) {
        lua_pushnil(L);
        lua_pushnil(L);
        return;
    }
    grants = lua_newuserdatauv(L, n * sizeof *grants, 0);
    lua_newtable(L);
    kept = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        th_claim claim = {.params = TH_CAP_MESSAGING};

        lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            th_claims_push_address(L, -1, what);
            claim.issuer = keep(L, kept);
        } else {
            claim = read_one(L, kept, "process", what);
        }
        lua_pop(L, 1);
        grants[i] = (th_grant){without_node(claim.issuer), claim.params};
    }
    *out = grants;
}

/* Issuers of this node have no node in their id. */
static void push_issuer(lua_State *L, th_lua *lua, const th_cap *cap)
{
    th_slice id = th_issuer_id(th_cap_issuer(cap));

    th_buf_clear(&lua->scratch);
    if (th_slice_find(id, '@') == id.bytes) {
        th_buf_putf(&lua->scratch, "%s@",
                    th_kernel_node(th_process_kernel(lua->process)));
    }
    th_buf_put(&lua->scratch, id.at, id.bytes);
    lua_pushlstring(L, th_buf_text(&lua->scratch), lua->scratch.bytes);
}

void th_claims_push(lua_State *L, th_lua *lua, const th_caps *caps)
{
    size_t count = th_caps_count(caps);
    lua_Integer n = 0;

    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const th_cap *cap = th_caps_at(caps, i);
        th_slice params = th_cap_params(cap);

        if (!th_cap_is_valid(cap)) {
            continue;
        }
        lua_createtable(L, 0, 2);
        push_issuer(L, lua, cap);
        lua_setfield(L, -2, "issuer");
        lua_pushlstring(L, params.at, params.bytes);
        lua_setfield(L, -2, "params");
        lua_rawseti(L, -2, ++n);
    }
}
