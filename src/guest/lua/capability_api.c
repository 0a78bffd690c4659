#include "guest/lua/capability_api.h"

#include "codec/json_doc.h"
#include "guest/lua/claims.h"
#include "guest/lua/keeping.h"
#include "guest/lua/lua_error.h"
#include "guest/lua/owner.h"

/* Push a table of the issuer and the params on top, which are popped. */
static void push_pair(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);
    lua_setfield(L, -3, "params");
    lua_setfield(L, -2, "issuer");
}

static bool is_json(th_slice text)
{
    th_auto(th_json) json = NULL;
    th_json_error error;

    return th_json_decode(&json, text, &error) == TH_OK;
}

/* It exists once it is sent or saved; here it is only named. */
static int capability_new(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capability.new");
    th_slice params;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    th_claims_push_params(L, 1, "params");
    params.at = lua_tolstring(L, -1, &params.bytes);
    if (!is_json(params)) {
        return th_lua_fail(L, TH_INVALID,
                           "params that are a string must be a text of JSON, such as "
                           "'\"read\"', in both quotes");
    }
    th_claims_push_self(L, lua);
    lua_insert(L, -2);
    push_pair(L);
    return 1;
}

static int capability_messaging(lua_State *L)
{
    lua_settop(L, 1);
    th_claims_push_address(L, 1, "process");
    lua_pushlstring(L, TH_CAP_MESSAGING.at, TH_CAP_MESSAGING.bytes);
    push_pair(L);
    return 1;
}

/* The owner has the list meanwhile: to make a table of it may raise. */
static int capability_list(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capability.list");

    th_caps_unref(lua->caps_in_hand);
    lua->caps_in_hand = th_process_caps(lua->process);
    if (lua->caps_in_hand == NULL) {
        return luaL_error(L, "not enough memory");
    }
    th_claims_push(L, lua, lua->caps_in_hand);
    lua->caps_in_hand = th_caps_unref(lua->caps_in_hand);
    return 1;
}

/* has(issuer, params), or has(capability) */
static int capability_has(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capability.has");
    th_slice issuer, params;

    lua_settop(L, 2);
    if (lua_istable(L, 1)) {
        lua_pushliteral(L, "params");
        lua_rawget(L, 1);
        lua_replace(L, 2);
        lua_pushliteral(L, "issuer");
        lua_rawget(L, 1);
        lua_replace(L, 1);
    }
    th_claims_push_address(L, 1, "issuer");
    issuer.at = lua_tolstring(L, -1, &issuer.bytes);
    th_claims_push_params(L, 2, "params");
    params.at = lua_tolstring(L, -1, &params.bytes);
    lua_pushboolean(L, th_process_has_cap(lua->process, issuer, params));
    return 1;
}

static int capability_save(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capability.save");
    th_claims claims;
    th_err err;

    luaL_checktype(L, 1, LUA_TTABLE);
    th_keep_check_life(L, lua);
    th_claims_read(L, 1, "what is saved", &claims);
    err = th_process_save_caps(lua->process, claims.at, claims.n);
    if (err != TH_OK) {
        return th_lua_fail(L, err,
                           "the process holds as many capabilities as it may (%d), or "
                           "memory is short",
                           TH_CAPSET_MAX);
    }
    return th_keep_life(L, lua);
}

static int capability_drop(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capability.drop");
    th_claims claims;

    luaL_checktype(L, 1, LUA_TTABLE);
    th_keep_check_life(L, lua);
    th_claims_read(L, 1, "what is dropped", &claims);
    th_process_drop_caps(lua->process, claims.at, claims.n);
    return th_keep_life(L, lua);
}

int th_capability_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", capability_new},
                                         {"messaging", capability_messaging},
                                         {"list", capability_list},
                                         {"has", capability_has},
                                         {"save", capability_save},
                                         {"drop", capability_drop},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
