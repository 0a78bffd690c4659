/*
 * Cache: machine code on the disk, found again by the component that it was made of.
 *
 * A file holds the component and its code, and is used only if the component is the
 * same byte by byte, the code is whole, and an engine like ours made it. Whatever else
 * stands there is as good as nothing: it is compiled and written anew.
 *
 *   HASH-BYTES.code = header component code
 *
 * Only the node writes here (its home is its owner's alone), for what is loaded runs as
 * it is: the check finds damage, not malice.
 *
 * Thread: any; two that write the same file write the same bytes.
 */
#ifndef TH_GUEST_WASM_WASM_CACHE_H
#define TH_GUEST_WASM_WASM_CACHE_H

#include "base/bytes.h"
#include "world/world.h"

/* Files in the folder; the one that was written longest ago makes room. */
#define TH_WASM_CACHE_FILES_MAX 256

typedef struct th_wasm_cache {
    th_world *world;
    const char *folder;
    uint64_t compatibility; /* of the engine */
} th_wasm_cache;

/*
 * Read what was kept for @component into @file; *code borrows from it. False: there is
 * nothing, or it is damaged.
 */
bool th_wasm_cache_find(const th_wasm_cache *cache, th_slice component, th_buf *file,
                        th_slice *code);

/* Keep @code. What the disk says against it is logged and no more. */
void th_wasm_cache_put(const th_wasm_cache *cache, th_slice component, th_slice code);

#endif
