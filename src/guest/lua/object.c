#include "guest/lua/object.h"

#include <string.h>

void th_class_open(lua_State *L, const th_class *class)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, class->name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    if (class->methods != NULL) {
        lua_newtable(L);
        luaL_setfuncs(L, class->methods, 0);
        lua_setfield(L, -2, "__index");
    }
    if (class->meta != NULL) {
        luaL_setfuncs(L, class->meta, 0);
    }
    lua_rawseti(L, LUA_REGISTRYINDEX, class->slot);
}

void *th_object_new(lua_State *L, const th_class *class, size_t bytes, int values)
{
    th_object *object = lua_newuserdatauv(L, bytes, values);

    memset(object, 0, bytes);
    object->class = (uint32_t) class->slot;
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, class->slot) == LUA_TNIL) {
        lua_pop(L, 1);
        th_class_open(L, class);
        lua_rawgeti(L, LUA_REGISTRYINDEX, class->slot);
    }
    lua_setmetatable(L, -2);
    return object;
}

void *th_object_check(lua_State *L, int argument, const th_class *class)
{
    void *object = th_object_test(L, argument, class->slot);

    if (object == NULL) {
        luaL_typeerror(L, argument, class->name);
    }
    return object;
}

void th_slot_table(lua_State *L, th_slot slot, const char *mode)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, slot) != LUA_TNIL) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    if (mode != NULL) {
        lua_createtable(L, 0, 1);
        lua_pushstring(L, mode);
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, slot);
}
