#include "guest/lua/on_exit_value.h"

#include "base/mem.h"
#include "guest/lua/claims.h"
#include "guest/lua/json.h"
#include "guest/lua/options.h"
#include "guest/lua/owner.h"

typedef struct th_on_exit_planned {
    th_slice target, metadata, body, blob, mime;
    bool has_metadata, inherit;
    th_claims claims;
} planned;

/* --- Reading ------------------------------------------------------------------ */

/* Keep the value on top in the list at @kept; it is popped. */
static void keep(lua_State *L, int kept)
{
    lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
}

static th_slice keep_text(lua_State *L, int kept)
{
    th_slice text = TH_SLICE("");

    if (lua_type(L, -1) == LUA_TSTRING) {
        text.at = lua_tolstring(L, -1, &text.bytes);
    }
    keep(L, kept);
    return text;
}

static bool read_text(lua_State *L, int at, int kept, const char *name, th_slice *out)
{
    th_slice text = {NULL, 0};
    bool is_there = th_options_text(L, at, name, &text);

    *out = text;
    if (is_there) {
        keep(L, kept);
    } else {
        lua_pop(L, 1);
    }
    return is_there;
}

static th_slice read_body(lua_State *L, int at, int kept)
{
    int type = th_options_push(L, at, "body");

    if (type != LUA_TNIL && type != LUA_TSTRING) {
        th_json_push_text(L, -1, "the body of an on-exit request");
        lua_remove(L, -2);
    }
    return keep_text(L, kept);
}

/* The request at @at. */
static void read_one(lua_State *L, int at, int kept, planned *out)
{
    if (!lua_istable(L, at)) {
        luaL_error(L,
                   "an on-exit request must be a table {target = , body = }, not a %s",
                   luaL_typename(L, at));
    }
    *out = (planned){.inherit = false};
    th_options_push(L, at, "target");
    if (lua_isnil(L, -1)) {
        luaL_error(L, "an on-exit request needs a target");
    }
    th_claims_push_address(L, -1, "target");
    out->target = keep_text(L, kept);
    lua_pop(L, 1);
    out->body = read_body(L, at, kept);
    out->has_metadata = read_text(L, at, kept, "metadata", &out->metadata);
    read_text(L, at, kept, "blob", &out->blob);
    read_text(L, at, kept, "mime", &out->mime);
    th_options_push(L, at, "inherit");
    out->inherit = lua_toboolean(L, -1);
    lua_pop(L, 1);
    th_options_push(L, at, "capabilities");
    th_claims_read(L, -1, "capabilities", &out->claims);
    keep(L, kept);
    if (out->claims.n > 0) { /* its second value, too */
        keep(L, kept);
    } else {
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_requests(lua_State *L, int index, th_on_exit_plan *out)
{
    size_t n = lua_rawlen(L, index);
    planned *requests;
    int kept;

    if (n == 0 || n > TH_ON_EXIT_REQUESTS_MAX) {
        luaL_error(L,
                   "an on-exit is \"none\", \"restart\" or a list of 1 to %d requests",
                   TH_ON_EXIT_REQUESTS_MAX);
    }
    luaL_checkstack(L, 16, NULL);
    requests = lua_newuserdatauv(L, n * sizeof *requests, 0);
    lua_newtable(L);
    kept = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        read_one(L, lua_gettop(L), kept, &requests[i]);
        lua_pop(L, 1);
    }
    out->at = requests;
    out->n = n;
}

void th_on_exit_plan_read(lua_State *L, int index, th_on_exit_plan *out)
{
    const char *text;

    index = lua_absindex(L, index);
    *out = (th_on_exit_plan){.is_given = !lua_isnil(L, index)};
    if (lua_istable(L, index)) {
        out->kind = TH_ON_EXIT_REQUESTS;
        read_requests(L, index, out);
        return;
    }
    text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    if (strcmp(text, "restart") == 0 || strcmp(text, "Restart") == 0) {
        out->kind = TH_ON_EXIT_RESTART;
    } else if (out->is_given && strcmp(text, "none") != 0 &&
               strcmp(text, "None") != 0) {
        luaL_error(L,
                   "an on-exit is \"none\", \"restart\" or a list of requests, not %s",
                   *text == '\0' ? luaL_typename(L, index) : text);
    }
}

/* --- Making ------------------------------------------------------------------- */

static void deinit(th_on_exit_request *requests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        th_blob_unref(requests[i].body);
        th_blob_unref(requests[i].blob);
        th_caps_unref(requests[i].caps);
    }
    th_free(requests);
}

/* False: memory ran out; what was made is there to be given back. */
static bool make_one(th_lua *lua, const planned *from, th_on_exit_request *to)
{
    to->target = from->target;
    to->inherit = from->inherit;
    to->has_metadata = from->has_metadata;
    to->metadata = from->metadata;
    to->body = th_blob_new(from->body, th_slice_of(NULL, 0));
    if (from->blob.at != NULL) {
        to->blob = th_blob_new(from->blob, from->mime);
    }
    if (from->claims.n > 0) {
        to->caps = th_process_claim(lua->process, from->claims.at, from->claims.n);
    }
    return to->body != NULL && (from->blob.at == NULL || to->blob != NULL) &&
           (from->claims.n == 0 || to->caps != NULL);
}

th_err th_on_exit_plan_make(th_lua *lua, const th_on_exit_plan *plan, th_on_exit **out)
{
    th_on_exit_request *requests;
    th_err err = TH_OK;

    if (plan->kind != TH_ON_EXIT_REQUESTS) {
        *out = th_on_exit_plain(plan->kind);
        return TH_OK;
    }
    requests = th_calloc(plan->n, sizeof *requests);
    if (requests == NULL) {
        return TH_QUOTA;
    }
    for (size_t i = 0; i < plan->n && err == TH_OK; i++) {
        err = make_one(lua, &plan->at[i], &requests[i]) ? TH_OK : TH_QUOTA;
    }
    if (err == TH_OK) {
        err = th_on_exit_new(out, requests, plan->n);
    }
    deinit(requests, plan->n);
    return err;
}

/* --- As a value --------------------------------------------------------------- */

static void set_bytes(lua_State *L, const char *name, th_slice bytes)
{
    lua_pushlstring(L, bytes.bytes == 0 ? "" : bytes.at, bytes.bytes);
    lua_setfield(L, -2, name);
}

static void push_request(lua_State *L, th_lua *lua, const th_on_exit_request *request)
{
    lua_createtable(L, 0, 6);
    set_bytes(L, "target", request->target);
    set_bytes(L, "body", th_blob_slice(request->body));
    if (request->has_metadata) {
        set_bytes(L, "metadata", request->metadata);
    }
    if (request->inherit) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "inherit");
    }
    if (request->blob != NULL) {
        set_bytes(L, "blob", th_blob_slice(request->blob));
    }
    if (request->blob != NULL && request->blob->has_mime) {
        set_bytes(L, "mime",
                  th_slice_of(request->blob->mime, request->blob->mime_bytes));
    }
    if (th_caps_count(request->caps) > 0) {
        th_claims_push(L, lua, request->caps);
        lua_setfield(L, -2, "capabilities");
    }
}

void th_on_exit_value_push(lua_State *L, th_lua *lua, const th_on_exit *on_exit)
{
    size_t n = th_on_exit_count(on_exit);

    luaL_checkstack(L, 8, NULL);
    switch (th_on_exit_kind_of(on_exit)) {
    case TH_ON_EXIT_NONE:
        lua_pushliteral(L, "none");
        return;
    case TH_ON_EXIT_RESTART:
        lua_pushliteral(L, "restart");
        return;
    case TH_ON_EXIT_REQUESTS:
        break;
    }
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_request(L, lua, th_on_exit_at(on_exit, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}
