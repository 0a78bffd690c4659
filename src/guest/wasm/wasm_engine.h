/*
 * Wasm: the engine of one node, and what all of its Wasm processes share.
 *
 * The engine itself (th_engine.h) is made with the first program, so that a node
 * without Wasm pays nothing for it. In the simulated world it is deterministic: slices
 * are counted instead of timed, and compiling takes no thread.
 *
 * Signals: the engine takes SIGSEGV, SIGILL and SIGFPE for itself, for traps are told
 * by them. Nobody may replace these handlers afterwards.
 *
 * Thread: any, but for new and free.
 */
#ifndef TH_GUEST_WASM_WASM_ENGINE_H
#define TH_GUEST_WASM_WASM_ENGINE_H

#include "base/own.h"
#include "kernel/guest.h"
#include "world/world.h"

typedef struct th_wasm th_wasm;
typedef struct th_wasm_program th_wasm_program;

/* The guest: the program of an entry is a th_wasm_program. */
extern const th_guest th_guest_wasm;

/* What compiling one component may take before it is refused. */
#define TH_WASM_COMPILE_S 60

typedef struct th_wasm_options {
    th_world *world;
    const char *compiled; /* the folder of machine code; NULL: none is kept */
    unsigned
        processes_max; /* alive at a time; 0: what the machine's limit of maps allows */
    int64_t compile_ns_max; /* 0: TH_WASM_COMPILE_S */
} th_wasm_options;

/* Refuses: QUOTA, no memory. */
th_err th_wasm_new(th_wasm **out, const th_wasm_options *options);

/* Not while a program or a process of it lives. Takes NULL. */
th_wasm *th_wasm_free(th_wasm *wasm);

/* End all slices that run now. */
void th_wasm_tick(th_wasm *wasm);

/* Is a component still being compiled that was given up for its time? */
bool th_wasm_is_compiling(const th_wasm *wasm);

/*
 * Make a program of the bytes of a component: from the folder of machine code if it
 * was compiled before, else by compiling it, which takes milliseconds to seconds.
 *
 * Refuses: INVALID, it cannot run here, and @why says why, with the names of all imports
 *          that are missing; QUOTA, no memory.
 */
th_err th_wasm_program_new(th_wasm_program **out, th_wasm *wasm, th_slice component,
                           th_buf *why);

/* Not while a process of it lives. Takes NULL. */
th_wasm_program *th_wasm_program_free(th_wasm_program *program);

TH_AUTO_FREE(th_wasm, th_wasm_free)
TH_AUTO_FREE(th_wasm_program, th_wasm_program_free)

#endif
