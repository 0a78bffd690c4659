#include "guest/lua/parcel.h"

#include "base/slab.h"
#include "guest/lua/claims.h"
#include "guest/lua/owner.h"

#define GARBAGE_BYTES_MIN ((size_t)8 << 20) /* held, before the first look */

struct th_parcel_held {
    th_holding holding;
    th_msg *msg; /* held */
    bool is_charged;
};

static void release(th_lua *lua, th_holding *holding)
{
    th_parcel_held *held = th_container_of(holding, th_parcel_held, holding);

    if (held->is_charged) {
        lua->parcels_bytes -= th_msg_cost(held->msg);
        th_process_charge(lua->process, -(int64_t)th_msg_cost(held->msg), 0);
    }
    th_msg_unref(held->msg);
    th_slab_free(held, sizeof *held);
}

/* An object is small, what it holds need not be: so the collector would come late. */
static void collect(lua_State *L, th_lua *lua)
{
    if (lua->parcels_bytes_max == 0) {
        lua->parcels_bytes_max = GARBAGE_BYTES_MIN;
    }
    if (lua->parcels_bytes <= lua->parcels_bytes_max) {
        return;
    }
    lua_gc(L, LUA_GCCOLLECT);
    th_holding_collect(L, lua);
    lua->parcels_bytes_max = lua->parcels_bytes < GARBAGE_BYTES_MIN / 2
                                 ? GARBAGE_BYTES_MIN
                                 : lua->parcels_bytes * 2;
}

void th_parcel_take(lua_State *L, th_lua *lua, th_parcel *parcel, th_msg **msg)
{
    th_parcel_held *held;

    if (lua->parcels_bytes > 0) {
        collect(L, lua);
    }
    held = th_slab_new(sizeof *held);
    if (held == NULL) {
        luaL_error(L, "not enough memory");
    }
    held->msg = th_take(msg);
    held->is_charged = held->msg->blob != NULL || held->msg->caps != NULL;
    if (held->is_charged) {
        lua->parcels_bytes += th_msg_cost(held->msg);
        th_process_charge(lua->process, (int64_t)th_msg_cost(held->msg), 0);
    }
    th_holding_add(lua, &held->holding, release);
    parcel->held = held;
    th_holding_anchor_weak(L, lua, &held->holding);
}

/* What is counted is given back if this raises: the owner has it meanwhile. */
void th_parcel_hold(lua_State *L, th_lua *lua, th_parcel *parcel, th_msg *msg)
{
    th_msg_unref(lua->msg_in_hand);
    lua->msg_in_hand = th_msg_ref(msg);
    th_parcel_take(L, lua, parcel, &lua->msg_in_hand);
}

th_parcel *th_parcel_test(lua_State *L, int index)
{
    th_parcel *parcel = th_object_test(L, index, TH_SLOT_QUESTION);

    return parcel != NULL ? parcel : th_object_test(L, index, TH_SLOT_REPLY);
}

th_parcel *th_parcel_check(lua_State *L, int argument)
{
    th_parcel *parcel = th_parcel_test(L, argument);

    if (parcel == NULL) {
        luaL_typeerror(L, argument, "request or reply");
    }
    return parcel;
}

th_msg *th_parcel_msg(const th_parcel *parcel)
{
    return parcel->held == NULL ? NULL : parcel->held->msg;
}

/* --- Its blob ----------------------------------------------------------------- */

static const th_blob *blob_of(const th_parcel *parcel)
{
    return parcel->held == NULL ? NULL : parcel->held->msg->blob;
}

void th_parcel_push_blob(lua_State *L, const th_parcel *parcel)
{
    const th_blob *blob = blob_of(parcel);

    if (blob == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, blob->at, blob->bytes);
    }
}

int th_parcel_blob(lua_State *L)
{
    th_parcel_push_blob(L, th_parcel_check(L, 1));
    return 1;
}

int th_parcel_has_blob(lua_State *L)
{
    lua_pushboolean(L, blob_of(th_parcel_check(L, 1)) != NULL);
    return 1;
}

int th_parcel_mime(lua_State *L)
{
    const th_blob *blob = blob_of(th_parcel_check(L, 1));

    if (blob == NULL || !blob->has_mime) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, blob->mime, blob->mime_bytes);
    }
    return 1;
}

/* --- Its capabilities --------------------------------------------------------- */

static th_caps *caps_of(const th_parcel *parcel)
{
    return parcel->held == NULL ? NULL : parcel->held->msg->caps;
}

/* Whoever asks for them may hand them on, however long ago they came. */
int th_parcel_capabilities(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "capabilities");
    th_caps *caps = caps_of(th_parcel_check(L, 1));

    if (caps != NULL) {
        th_process_given(lua->process, caps);
    }
    th_claims_push(L, lua, caps);
    return 1;
}

/* Does @text, the issuer, with @params stand in @caps, and is it valid? */
static bool has(const th_caps *caps, th_slice issuer, th_slice params)
{
    th_cap_key key;
    bool found;

    if (th_cap_key_init(&key, issuer, params) != TH_OK) {
        return false;
    }
    found = th_caps_match(caps, &key) != NULL;
    th_cap_key_deinit(&key);
    return found;
}

/* has_capability(params): of this process's own. */
int th_parcel_has_capability(lua_State *L)
{
    th_lua *lua = th_lua_self(L, "has_capability");
    const th_caps *caps = caps_of(th_parcel_check(L, 1));
    th_slice self, params;
    size_t node;

    lua_settop(L, 2);
    th_claims_push_params(L, 2, "params");
    params.at = lua_tolstring(L, -1, &params.bytes);
    th_claims_push_self(L, lua);
    self.at = lua_tolstring(L, -1, &self.bytes);
    node = th_slice_find(self, '@');
    lua_pushboolean(L, has(caps, th_slice_from(self, node + 1), params));
    return 1;
}
