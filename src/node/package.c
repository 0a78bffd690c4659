#include "node/package.h"

#include "base/mem.h"
#include "core/id.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * From PATH to entries. A loose file becomes a th_declared as if a manifest had
 * said so, and from there on both go the same way.
 */
typedef struct package_item {
    const th_declared *declared;
    th_code code;
    bool is_tried; /* compiled, or not: `err` */
    th_err err;
    th_entry entry; /* of what can be spawned */
    th_host host;   /* of a process.host */
} package_item;

struct th_package {
    th_manifest *manifest; /* of a folder */
    th_declared loose;     /* of a file; its id is NULL for a folder */
    th_buf name;           /* of the package */
    package_item *items;
    size_t items_count;
    const th_entry *main;
};

#define NAME_BYTES 64 /* kept of a file's name */

void th_package_name(th_slice path, th_buf *out)
{
    size_t end = path.bytes;
    size_t start, dot;
    size_t before = out->bytes;

    while (end > 1 && path.at[end - 1] == '/') {
        end--;
    }
    for (start = end; start > 0 && path.at[start - 1] != '/'; start--) {
    }
    for (dot = end; dot > start && path.at[dot - 1] != '.'; dot--) {
    }
    if (dot > start + 1) {
        end = dot - 1;
    }
    for (size_t i = start; i < end && i - start < NAME_BYTES; i++) {
        char c = path.at[i];

        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        th_buf_putc(out, th_name_is_valid(th_slice_of(&c, 1), TH_NAME_PLAIN) ? c : '-');
    }
    if (!th_name_is_valid(th_slice_of(th_buf_text(out) + before, out->bytes - before),
                          TH_NAME_PLAIN)) {
        out->bytes = before;
        th_buf_puts(out, "main");
    }
}

/* --- A loose file ------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static th_err read_loose(th_package *package, const th_package_spec *spec, th_buf *why)
{
    th_declared *loose = &package->loose;
    bool is_lua = ends_with(spec->path, ".lua");
    size_t bytes_max = is_lua ? TH_MANIFEST_LUA_BYTES_MAX : TH_MANIFEST_WASM_BYTES_MAX;
    th_buf id = TH_BUF_INIT;
    th_err err;

    if (!is_lua && !ends_with(spec->path, ".wasm")) {
        th_buf_putf(
            why,
            "`%s` is not a program: a program is a `.lua` or `.wasm` file, or a "
            "folder with `_index.yaml`",
            spec->path);
        return TH_INVALID;
    }
    loose->kind = is_lua ? TH_KIND_PROCESS_LUA : TH_KIND_PROCESS_WASM;
    loose->kind_text = is_lua ? TH_SLICE("process.lua") : TH_SLICE("process.wasm");
    loose->file = loose->source_file = spec->path;
    loose->source_line = 1;
    loose->is_main = true;
    th_buf_putf(&id, "%.*s:main", TH_FMT(th_buf_slice(&package->name)));
    loose->id = th_buf_slice(&id);
    loose->ns = th_slice_of(id.at, package->name.bytes);
    err = id.failed ? TH_QUOTA
                    : th_world_file_read(spec->world, spec->path, 0, bytes_max + 1,
                                         &loose->source);
    if (err != TH_OK) {
        th_buf_putf(why,
                    err == TH_DENIED ? "you may not read `%s`" : "`%s` cannot be read",
                    spec->path);
        return err;
    }
    if (loose->source.bytes > bytes_max) {
        th_buf_putf(why, "`%s` has more than %zu MiB", spec->path, bytes_max >> 20);
        return TH_INVALID;
    }
    return TH_OK;
}

/* --- Items --------------------------------------------------------------------------- */

static package_item *item_of(const th_package *package, const th_declared *declared)
{
    for (size_t i = 0; i < package->items_count; i++) {
        if (package->items[i].declared == declared) {
            return &package->items[i];
        }
    }
    return NULL;
}

static bool has_code(const th_declared *declared)
{
    switch (declared->kind) {
    case TH_KIND_PROCESS_LUA:
    case TH_KIND_FUNCTION_LUA:
    case TH_KIND_LIBRARY_LUA:
    case TH_KIND_PROCESS_WASM:
        return true;
    case TH_KIND_PROCESS_HOST:
    case TH_KIND_REGISTRY_ENTRY:
    case TH_KIND_UNSUPPORTED:
        break;
    }
    return false;
}

static th_err add_items(th_package *package)
{
    const th_list *list =
        package->manifest == NULL ? NULL : th_manifest_entries(package->manifest);
    size_t count = 1;

    if (list != NULL) {
        count = 0;
        TH_LIST_EACH(node, list)
        {
            count++;
        }
    }
    package->items = th_calloc(count, sizeof *package->items);
    if (package->items == NULL) {
        return TH_QUOTA;
    }
    if (list == NULL) {
        package->items[package->items_count++].declared = &package->loose;
        return TH_OK;
    }
    TH_LIST_EACH(other, list)
    {
        package->items[package->items_count++].declared =
            th_container_of(other, th_declared, link);
    }
    return TH_OK;
}

static th_err compile(th_package *package, package_item *item,
                      const th_package_spec *spec, th_buf *why);

/* The imports first; there are no circles, and their depth is bounded. */
static th_err compile_imports(th_package *package, const th_declared *declared,
                              th_code *libraries, const th_package_spec *spec,
                              th_buf *why)
{
    th_err err = TH_OK;

    for (size_t i = 0; i < declared->imports_count; i++) {
        package_item *library = item_of(package, declared->imports[i].entry);
        th_err one = compile(package, library, spec, why);

        libraries[i] = library->code;
        err = err == TH_OK ? one : err;
    }
    return err;
}

static th_err compile(th_package *package, package_item *item,
                      const th_package_spec *spec, th_buf *why)
{
    const th_declared *declared = item->declared;
    th_code *libraries;
    th_err err;

    if (item->is_tried) {
        return item->err;
    }
    item->is_tried = true;
    item->err = TH_QUOTA;
    libraries = th_calloc(declared->imports_count, sizeof *libraries);
    if (libraries == NULL) {
        return TH_QUOTA;
    }
    err = compile_imports(package, declared, libraries, spec, why);
    if (err == TH_OK) {
        err = th_code_new(&item->code, declared, libraries, spec, why);
    }
    th_free(libraries);
    item->err = err;
    return err;
}

/* Where its code is, seen from the package's folder; empty if that is in a manifest. */
static th_slice file_of(const th_package *package, const th_declared *declared,
                        const char *folder)
{
    th_slice file = th_slice_str(declared->source_file);
    size_t start = strlen(folder);

    if (package->manifest == NULL) {
        for (start = file.bytes; start > 0 && file.at[start - 1] != '/'; start--) {
        }
        return th_slice_from(file, start);
    }
    if (!th_slice_starts(file, folder)) {
        return th_slice_of(NULL, 0);
    }
    while (start < file.bytes && file.at[start] == '/') {
        start++;
    }
    return th_slice_from(file, start);
}

static void fill_entry(th_package *package, package_item *item,
                       const th_package_spec *spec)
{
    item->entry = (th_entry){.id = item->declared->id,
                             .package = th_buf_slice(&package->name),
                             .publisher = TH_SLICE("local"),
                             .file = file_of(package, item->declared, spec->path),
                             .package_number = spec->number,
                             .is_public = item->declared->is_public,
                             .is_networking = item->declared->is_networking,
                             .requests = item->declared->requests,
                             .requests_count = item->declared->requests_count,
                             .grants = item->declared->grants,
                             .grants_count = item->declared->grants_count,
                             .limits = th_limits_default,
                             .guest = item->code.guest,
                             .program = item->code.program};
    item->host = (th_host){.id = item->declared->id,
                           .shard = TH_SHARD_ANY,
                           .processes_max = item->declared->processes_max};
}

/* All errors are found, not just the first. */
static th_err compile_all(th_package *package, const th_package_spec *spec, th_buf *why)
{
    th_err err = TH_OK;

    for (size_t i = 0; i < package->items_count; i++) {
        package_item *item = &package->items[i];
        size_t before = why->bytes;
        th_err one = TH_OK;

        if (has_code(item->declared)) {
            one = compile(package, item, spec, why);
        }
        if (one != TH_OK && why->bytes > before && why->at[why->bytes - 1] != '\n') {
            th_buf_putc(why, '\n');
        }
        err = err == TH_OK ? one : err;
        fill_entry(package, item, spec);
    }
    return err;
}

static th_err choose_main(th_package *package, const th_package_spec *spec, th_buf *why)
{
    const th_declared *main = &package->loose;
    th_err err = TH_OK;

    if (package->manifest != NULL) {
        err = th_manifest_main(package->manifest, spec->wanted, &main, why);
        if (err != TH_OK && !spec->needs_main && spec->wanted.bytes == 0) {
            th_buf_clear(why);
            return TH_OK;
        }
    } else if (spec->wanted.bytes > 0 && !th_slice_eq(spec->wanted, main->id) &&
               !th_slice_is(spec->wanted, "main")) {
        th_buf_putf(why, "there is no entry `%.*s`; the only one of a file is `%.*s`",
                    TH_FMT(spec->wanted), TH_FMT(main->id));
        err = TH_NOT_FOUND;
    }
    if (err == TH_OK) {
        package->main = &item_of(package, main)->entry;
    }
    return err;
}

/* --- The whole ------------------------------------------------------------------------- */

static th_err read_path(th_package *package, const th_package_spec *spec, th_buf *why,
                        th_buf *notes)
{
    th_file_info info;
    th_auto_buf whole = TH_BUF_INIT;
    th_err err = th_world_file_info(spec->world, spec->path, &info);

    if (err == TH_OK) {
        err = th_world_file_resolve(spec->world, spec->path, &whole);
    }
    if (err != TH_OK) {
        th_buf_putf(why,
                    err == TH_NOT_FOUND ? "there is no file or folder `%s`"
                    : err == TH_DENIED  ? "you may not read `%s`"
                                        : "`%s` cannot be read",
                    spec->path);
        return err;
    }
    th_package_name(th_buf_slice(&whole), &package->name);
    if (info.kind == TH_FILE_FOLDER) {
        return th_manifest_load(&package->manifest, spec->world, spec->path, why,
                                notes);
    }
    return read_loose(package, spec, why);
}

th_err th_package_open(th_package **out, const th_package_spec *spec, th_buf *why,
                       th_buf *notes)
{
    th_auto(th_package) package = th_calloc(1, sizeof *package);
    th_err err;

    if (package == NULL) {
        return TH_QUOTA;
    }
    err = read_path(package, spec, why, notes);
    if (err == TH_OK) {
        err = add_items(package);
    }
    if (err == TH_OK) {
        err = choose_main(package, spec, why);
    }
    if (err == TH_OK) {
        err = compile_all(package, spec, why);
    }
    if (err != TH_OK) {
        return err;
    }
    *out = th_take(&package);
    return TH_OK;
}

th_package *th_package_close(th_package *package)
{
    if (package == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < package->items_count; i++) {
        th_on_exit_unref(package->items[i].entry.on_exit);
        th_code_free(&package->items[i].code);
    }
    th_free(package->items);
    th_free((char *)package->loose.id.at);
    th_buf_deinit(&package->loose.source);
    th_buf_deinit(&package->name);
    th_manifest_free(package->manifest);
    return th_free(package);
}

/* Its owner says so: whatever is named is given. */
static th_cap *issue(void *context, const th_cap_claim *claim)
{
    return th_kernel_issue(context, claim->id, claim->params);
}

static th_err add_entry(package_item *item, th_kernel *kernel)
{
    const th_on_exit_draft *draft = item->declared->on_exit;
    th_err err = TH_OK;

    if (draft != NULL && item->entry.on_exit == NULL) {
        err = th_on_exit_settle(&item->entry.on_exit, draft, issue, kernel);
    }
    return err == TH_OK ? th_kernel_add_entry(kernel, &item->entry) : err;
}

th_err th_package_install(th_package *package, th_kernel *kernel, th_buf *why)
{
    for (size_t i = 0; i < package->items_count; i++) {
        package_item *item = &package->items[i];
        th_err err = TH_OK;

        if (item->declared->kind == TH_KIND_PROCESS_HOST) {
            err = th_kernel_add_host(kernel, &item->host);
        } else if (has_code(item->declared) &&
                   item->declared->kind != TH_KIND_LIBRARY_LUA) {
            err = add_entry(item, kernel);
        }
        if (err != TH_OK) {
            th_buf_putf(why,
                        err == TH_EXISTS ? "there is an entry `%.*s` already"
                                         : "entry `%.*s` cannot be installed",
                        TH_FMT(item->declared->id));
            return err;
        }
    }
    return TH_OK;
}

th_slice th_package_id(const th_package *package)
{
    return th_buf_slice(&package->name);
}

const th_entry *th_package_main(const th_package *package)
{
    return package->main;
}
