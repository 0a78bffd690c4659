/*
 * Package: what the PATH of a command line holds, ready to run.
 *
 * PATH is a `.lua` or `.wasm` file, or a folder with `_index.yaml`. A file is
 * package *its name* of publisher `local`, with the one entry `NAME:main`; a folder
 * is package *its name*, with the entries that its manifest declares. All code is
 * read and checked before any of it runs.
 *
 * Thread: main; what it made is immutable.
 */
#ifndef TH_NODE_PACKAGE_H
#define TH_NODE_PACKAGE_H

#include "base/own.h"
#include "guest/wasm/wasm_engine.h"
#include "kernel/kernel.h"
#include "node/manifest.h"

typedef struct th_package th_package;

/* What runs an entry's code; package_code.c has one for each guest. */
typedef struct th_code {
    const th_guest *guest;
    void *program;
    void (*free_program)(void *program);
} th_code;

typedef struct th_package_spec {
    th_world *world;
    const char *path;
    th_slice wanted; /* the main entry, or empty */
    bool needs_main; /* there must be one to run */
    uint32_t number; /* of the package in this node */
    th_wasm *wasm;   /* the engine of components; outlives the package */
} th_package_spec;

/*
 * Read PATH. @why gets the reason, a line for each error; @notes what is left out.
 *
 * Refuses: NOT_FOUND, INVALID, DENIED, UNSUPPORTED, QUOTA.
 */
th_err th_package_open(th_package **out, const th_package_spec *spec, th_buf *why,
                       th_buf *notes);

/* Not while the kernel that has its entries lives. Takes NULL. */
th_package *th_package_close(th_package *package);

/* Give the kernel its entries and hosts. Refuses: EXISTS. */
th_err th_package_install(th_package *package, th_kernel *kernel, th_buf *why);

/* Its name, of publisher `local`. */
th_slice th_package_id(const th_package *package);

/* The entry to run, or NULL. */
const th_entry *th_package_main(const th_package *package);

/* Append "hello-world" for "/a/Hello World.lua": a valid name, whatever comes in. */
void th_package_name(th_slice path, th_buf *out);

/*
 * Compile the code of @entry. @libraries are the codes of its imports, in order.
 * Package_code.c.
 *
 * Refuses: INVALID, and @why says what is wrong with it; UNSUPPORTED.
 */
th_err th_code_new(th_code *out, const th_declared *entry, const th_code *libraries,
                   const th_package_spec *spec, th_buf *why);
void th_code_free(th_code *code);

TH_AUTO_FREE(th_package, th_package_close)

#endif
