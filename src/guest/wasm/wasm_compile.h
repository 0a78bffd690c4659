/*
 * Compiler: from a component to machine code, within a bounded time.
 *
 * Compiling cannot be interrupted, and a component can be made so that it takes
 * minutes. So it is done on a thread of its own; when the time is up that is left to
 * itself, and the component is refused. In simulation, which has no threads, it is
 * waited for.
 *
 * Thread: one at a time.
 */
#ifndef TH_GUEST_WASM_WASM_COMPILE_H
#define TH_GUEST_WASM_WASM_COMPILE_H

#include "base/bytes.h"
#include "world/world.h"

#include <th_engine.h>

typedef struct th_wasm_compiler {
    th_world *world;
    const th_engine *engine; /* may be freed only when deinit said so */
    int64_t ns_max;
    struct th_wasm_job *strays; /* owned list: those that were left to themselves */
} th_wasm_compiler;

/* Is one of the strays still at work? */
bool th_wasm_compiler_is_busy(const th_wasm_compiler *compiler);

/* False: a stray still uses the engine, which must then stay. */
bool th_wasm_compiler_deinit(th_wasm_compiler *compiler);

/*
 * Compile @component. *code is the caller's, to be freed with free().
 *
 * Refuses: INVALID, and @why says what is wrong; QUOTA, no memory.
 */
th_err th_wasm_compile(th_wasm_compiler *compiler, th_slice component, th_wbuf *code,
                       th_buf *why);

#endif
