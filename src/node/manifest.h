/*
 * Manifest: what the `_index.yaml` files of a folder declare.
 *
 * Each YAML file below the folder that has a `namespace` counts. All of it is read
 * and checked before any of it is used, and every error is found in one go, each
 * with file, line and column. Keys are strict: what is not known is an error, so
 * that a slip of the pen cannot be a setting that does nothing.
 *
 *   version: "1.0"
 *   namespace: app.workers
 *   entries:
 *     - name: task
 *       kind: process.lua
 *       meta: { main: true }
 *       source: file://task.lua         # relative to this file, or the text itself
 *       method: main
 *       modules: [time, json]
 *       imports: { util: app.lib:util } # alias: library; or a name of this namespace
 *       on_exit: Restart                # and the rights of manifest_rights.c
 *
 * Thread: any; immutable once it is read.
 */
#ifndef TH_NODE_MANIFEST_H
#define TH_NODE_MANIFEST_H

#include "base/list.h"
#include "base/own.h"
#include "core/entry.h"
#include "node/yaml.h"
#include "svc/on_exit_json.h"
#include "world/world.h"

#define TH_MANIFEST_ENTRIES_MAX 4096
#define TH_MANIFEST_FILES_MAX 20000 /* looked at below the folder, of any name */
#define TH_MANIFEST_DEPTH_MAX 32    /* folders below each other */
#define TH_MANIFEST_LIST_MAX 256    /* modules or imports of an entry */
#define TH_MANIFEST_LUA_BYTES_MAX ((size_t)8 << 20)
#define TH_MANIFEST_WASM_BYTES_MAX ((size_t)64 << 20)
#define TH_MANIFEST_ERRORS_MAX 50 /* shown; the rest is counted */

/* TH_KIND(enum, text in the file, can be the main entry, can be imported) */
#define TH_KINDS                                                                       \
    TH_KIND(PROCESS_LUA, "process.lua", true, false)                                   \
    TH_KIND(FUNCTION_LUA, "function.lua", true, false)                                 \
    TH_KIND(LIBRARY_LUA, "library.lua", false, true)                                   \
    TH_KIND(PROCESS_WASM, "process.wasm", true, false)                                 \
    TH_KIND(PROCESS_HOST, "process.host", false, false)                                \
    TH_KIND(REGISTRY_ENTRY, "registry.entry", false, false)                            \
    TH_KIND(UNSUPPORTED, "", false, false)

typedef enum th_kind {
#define TH_KIND(name, text, is_main, is_library) TH_KIND_##name,
    TH_KINDS
#undef TH_KIND
} th_kind;

typedef struct th_declared th_declared;

typedef struct th_import {
    th_slice alias;
    th_slice text; /* as it was written */
    unsigned line, column;
    const th_declared *entry; /* what it means */
} th_import;

/* One entry. Slices live as long as the manifest. */
struct th_declared {
    th_list link;
    const char *file; /* that declares it, for people */
    unsigned line, column;
    th_kind kind;
    th_slice kind_text;
    th_slice id; /* "namespace:name" */
    th_slice ns;
    bool is_main;            /* meta.main */
    const char *source_file; /* NULL: the text stands in the manifest itself */
    unsigned source_line;    /* where that text begins */
    th_buf source;           /* the code */
    th_slice method;         /* empty: none was said */
    th_slice *modules;
    size_t modules_count;
    th_import *imports;
    size_t imports_count;
    bool is_public, is_networking;
    th_on_exit_draft *on_exit; /* NULL: none was said */
    th_grant *requests;        /* what its processes hold */
    th_grant *grants;          /* what others hold of them */
    size_t requests_count, grants_count;
    uint32_t processes_max; /* of a host; 0: no limit was said */
    unsigned visit;         /* of the search for circles */
};

typedef struct th_manifest th_manifest;

/*
 * Read what @folder declares. @errors gets a line for each error, @notes one for
 * each thing that is left out though it is no error.
 *
 * Refuses: INVALID, there are errors; NOT_FOUND, there is no such folder or nothing
 *          in it; QUOTA, no memory. Each says so in @errors.
 */
th_err th_manifest_load(th_manifest **out, th_world *world, const char *folder,
                        th_buf *errors, th_buf *notes);
th_manifest *th_manifest_free(th_manifest *manifest); /* takes NULL, returns NULL */

/* The entries, th_declared.link, as they stand in the files. */
const th_list *th_manifest_entries(const th_manifest *manifest);

const th_declared *th_manifest_find(const th_manifest *manifest, th_slice id);

/*
 * The entry to run: @wanted if it is not empty (a full id, or a name that only one
 * namespace has), else the one with `meta.main: true`, else the only process.
 *
 * Refuses: NOT_FOUND, INVALID (it cannot run; there are several); @why says which.
 */
th_err th_manifest_main(const th_manifest *manifest, th_slice wanted,
                        const th_declared **out, th_buf *why);

TH_AUTO_FREE(th_manifest, th_manifest_free)

#endif
