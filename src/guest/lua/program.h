/*
 * Program: what an entry of kind Lua runs, and what is prepared of it.
 *
 * A program is read once, when its entry is made, and checked for syntax. Its chunk
 * runs in an image at the first spawn, of which each process then is a copy; where
 * that cannot be, each process runs the chunk itself (image.h says when).
 *
 * Thread: any; immutable but for what is prepared, which is under a lock.
 */
#ifndef TH_GUEST_LUA_PROGRAM_H
#define TH_GUEST_LUA_PROGRAM_H

#include "base/bytes.h"
#include "base/own.h"
#include "guest/lua/image.h"

typedef struct th_lua_program th_lua_program;

/* A library that the program gets by require(alias). */
typedef struct th_lua_import {
    th_slice alias;
    const th_lua_program *library; /* outlives the program */
} th_lua_import;

typedef struct th_lua_source {
    th_slice text;   /* the chunk */
    th_slice name;   /* for messages: the file's path */
    th_slice method; /* which export is main; empty: run, main, or the chunk's result */
    const th_slice *modules; /* that it may require */
    size_t modules_count;    /* 0: all that are pure */
    const th_lua_import *imports;
    size_t imports_count;
    bool is_library;    /* it is required, never run: any result will do */
    uint32_t hash_seed; /* of strings: from the world's dice, new at each boot */
} th_lua_source;

/*
 * Everything is copied but for the imported programs.
 *
 * Refuses: INVALID, it is no Lua: @why says file, line and what.
 * Faults:  NOMEM.
 */
th_err th_lua_program_new(th_lua_program **out, const th_lua_source *source,
                          th_buf *why);

/* Not while a process of it lives. Takes NULL, returns NULL. */
th_lua_program *th_lua_program_free(th_lua_program *program);

TH_AUTO_FREE(th_lua_program, th_lua_program_free)

/*
 * Can it run? Prepares it when first asked.
 *
 * Refuses: INVALID, the chunk fails or does not export its method.
 */
th_err th_lua_program_check(th_lua_program *program, th_buf *why);

/* A state for one process: *L has main on its stack. Runs guest code if there is no
 * image. On refusal @why gets a text, and *arena is to be freed if it is not NULL. */
th_err th_lua_program_start(const th_lua_program *program, const th_lua_birth *birth,
                            size_t bytes_max, th_arena **arena, lua_State **L,
                            th_buf *why);

/* May it require module @name? */
bool th_lua_program_allows(const th_lua_program *program, th_slice name);

/* The library that it, or a library of it, imports as @alias; or NULL. */
const th_lua_program *th_lua_program_import(const th_lua_program *program,
                                            th_slice alias);

/*
 * The program of a state: its owner's, or the one that is being prepared on this
 * thread.
 */
const th_lua_program *th_lua_program_of(lua_State *L);

/* Load its chunk: pushes a function. Raises what the compiler says. */
void th_lua_program_load(lua_State *L, const th_lua_program *program);

#endif
