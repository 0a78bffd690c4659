#include "base/mem.h"
#include "core/id.h"
#include "node/manifest_parts.h"

/*
 * Reading one file of a manifest into entries.
 *
 * An entry that has an error is kept as far as it was understood, so that what
 * imports it is not said to import nothing.
 */

#define wrong th_manifest_wrong

/* Keys that an entry of each kind may have; "*" is any. */
#define RIGHTS                                                                         \
    " public on_exit request_capabilities grant_capabilities request_networking"

static const char *const keys_of[] = {
    [TH_KIND_PROCESS_LUA] = "name kind meta source method modules imports" RIGHTS,
    [TH_KIND_FUNCTION_LUA] = "name kind meta source method modules imports pool" RIGHTS,
    [TH_KIND_LIBRARY_LUA] = "name kind meta source method modules imports",
    [TH_KIND_PROCESS_WASM] = "name kind meta source method imports" RIGHTS,
    [TH_KIND_PROCESS_HOST] = "name kind meta limits host lifecycle",
    [TH_KIND_REGISTRY_ENTRY] = "*",
    [TH_KIND_UNSUPPORTED] = "*",
};

static bool is_listed(const char *words, th_slice word)
{
    th_slice left = th_slice_str(words);

    while (left.bytes > 0) {
        th_slice one = {left.at, th_slice_find(left, ' ')};

        if (th_slice_eq(one, word)) {
            return true;
        }
        left = th_slice_from(left, one.bytes + (one.bytes < left.bytes));
    }
    return strcmp(words, "*") == 0;
}

/* Every key of @map is among @words. */
void th_manifest_check_keys(const manifest_place *at, const th_yaml *map,
                            const char *what, const char *words)
{
    for (const th_yaml *child = map->child; child != NULL; child = child->next) {
        if (!is_listed(words, child->key)) {
            th_manifest_error(at->manifest, at->file->path, child->key_line,
                              child->key_column, "%s has no key `%.*s`; it has: %s",
                              what, TH_FMT(child->key), words);
        }
    }
}

/* The text of @key; an error if it is there and is none. False: it is not there. */
static bool get_text(const manifest_place *at, const th_yaml *map, const char *key,
                     th_slice *out)
{
    const th_yaml *value = th_yaml_get(map, key);

    if (value == NULL) {
        return false;
    }
    if (value->type != TH_YAML_SCALAR || value->text.bytes == 0 ||
        th_slice_find(value->text, '\0') < value->text.bytes) {
        wrong(at, value, "`%s` is a text that is not empty, not %s", key,
              value->type == TH_YAML_SCALAR ? "this" : th_yaml_type_text(value));
        return false;
    }
    *out = value->text;
    return true;
}

/* --- Source --------------------------------------------------------------------- */

/* "sub/_index.yaml" and "task.lua" are "sub/task.lua". */
static void beside(th_buf *out, const char *file, th_slice name)
{
    const char *slash = strrchr(file, '/');

    if (slash != NULL) {
        th_buf_put(out, file, (size_t)(slash - file) + 1);
    }
    th_buf_put(out, name.at, name.bytes);
    th_buf_puts(out, "");
}

static th_err read_pinned(const manifest_place *at, const char *sub, size_t bytes_max,
                          th_buf *out)
{
    th_world *world = at->manifest->world;
    th_pin *pin = NULL;
    th_err err = th_world_file_pin(world, at->manifest->folder, sub, &pin);

    if (err == TH_OK) {
        err = th_world_file_read(world, pin->path, 0, bytes_max + 1, out);
    }
    th_world_file_unpin(world, pin);
    return err;
}

static void read_source_file(const manifest_place *at, const th_yaml *yaml,
                             th_slice name, th_declared *entry)
{
    size_t bytes_max = entry->kind == TH_KIND_PROCESS_WASM ? TH_MANIFEST_WASM_BYTES_MAX
                                                           : TH_MANIFEST_LUA_BYTES_MAX;
    th_auto_buf sub = TH_BUF_INIT;
    th_auto_buf whole = TH_BUF_INIT;
    th_err err;

    beside(&sub, at->file->sub, name);
    beside(&whole, at->file->path, name);
    err = sub.failed || whole.failed
              ? TH_NOMEM
              : read_pinned(at, sub.at, bytes_max, &entry->source);
    if (err != TH_OK) {
        wrong(at, yaml,
              err == TH_NOT_FOUND ? "there is no file `%.*s`"
              : err == TH_DENIED  ? "`%.*s` may not be read, or lies outside the folder"
                                  : "`%.*s` cannot be read as a file",
              TH_FMT(name));
        return;
    }
    if (entry->source.bytes > bytes_max) {
        wrong(at, yaml, "`%.*s` has more than %zu MiB", TH_FMT(name), bytes_max >> 20);
        return;
    }
    entry->source_line = 1;
    entry->source_file = th_take(&whole.at);
}

static void read_source(const manifest_place *at, const th_yaml *map,
                        th_declared *entry)
{
    const th_yaml *yaml = th_yaml_get(map, "source");
    th_slice text;

    if (yaml == NULL) {
        wrong(at, map,
              "entry `%.*s` has no `source`; it says where the code is, as in "
              "`source: file://%s`",
              TH_FMT(entry->id),
              entry->kind == TH_KIND_PROCESS_WASM ? "main.wasm" : "main.lua");
        return;
    }
    if (!get_text(at, map, "source", &text)) {
        return;
    }
    if (th_slice_starts(text, "file://")) {
        read_source_file(at, yaml, th_slice_from(text, 7), entry);
    } else if (entry->kind == TH_KIND_PROCESS_WASM) {
        wrong(at, yaml,
              "the code of a process.wasm is a file, as in "
              "`source: file://main.wasm`");
    } else {
        entry->source_line = yaml->line + yaml->is_block;
        th_buf_put(&entry->source, text.at, text.bytes);
    }
}

/* --- The other keys -------------------------------------------------------------- */

static size_t count_children(const th_yaml *yaml)
{
    size_t n = 0;

    for (const th_yaml *child = yaml->child; child != NULL; child = child->next) {
        n++;
    }
    return n;
}

static th_err read_modules(const manifest_place *at, const th_yaml *map,
                           th_declared *entry)
{
    const th_yaml *list = th_yaml_get(map, "modules");
    size_t count = list == NULL ? 0 : count_children(list);

    if (list != NULL && (list->type != TH_YAML_LIST || count > TH_MANIFEST_LIST_MAX)) {
        wrong(at, list, "`modules` is a list of names, as in `modules: [time, json]`");
        return TH_OK;
    }
    entry->modules = th_calloc(count, sizeof *entry->modules);
    if (entry->modules == NULL) {
        return TH_QUOTA;
    }
    for (const th_yaml *one = count == 0 ? NULL : list->child; one != NULL;
         one = one->next) {
        if (one->type != TH_YAML_SCALAR || one->text.bytes == 0) {
            wrong(at, one, "the name of a module is a text");
        } else {
            entry->modules[entry->modules_count++] = one->text;
        }
    }
    return TH_OK;
}

static th_err read_imports(const manifest_place *at, const th_yaml *map,
                           th_declared *entry)
{
    const th_yaml *imports = th_yaml_get(map, "imports");
    size_t count = imports == NULL ? 0 : count_children(imports);

    if (imports != NULL &&
        (imports->type != TH_YAML_MAP || count > TH_MANIFEST_LIST_MAX)) {
        wrong(at, imports,
              "`imports` is a map of names to libraries, as in "
              "`imports: {util: app.lib:util}`");
        return TH_OK;
    }
    entry->imports = th_calloc(count, sizeof *entry->imports);
    if (entry->imports == NULL) {
        return TH_QUOTA;
    }
    for (const th_yaml *one = count == 0 ? NULL : imports->child; one != NULL;
         one = one->next) {
        if (one->type != TH_YAML_SCALAR || one->text.bytes == 0 ||
            one->key.bytes == 0) {
            wrong(at, one, "an import is the id of a library");
        } else {
            entry->imports[entry->imports_count++] = (th_import){.alias = one->key,
                                                                 .text = one->text,
                                                                 .line = one->line,
                                                                 .column = one->column};
        }
    }
    return TH_OK;
}

static void read_meta(const manifest_place *at, const th_yaml *map, th_declared *entry)
{
    const th_yaml *meta = th_yaml_get(map, "meta");
    const th_yaml *main = meta == NULL ? NULL : th_yaml_get(meta, "main");

    if (meta != NULL && meta->type != TH_YAML_MAP) {
        wrong(at, meta, "`meta` is a map, not %s", th_yaml_type_text(meta));
    }
    if (main != NULL) {
        entry->is_main = th_slice_is(main->text, "true");
        if (!entry->is_main && !th_slice_is(main->text, "false")) {
            wrong(at, main, "`meta.main` is true or false");
        }
    }
}

static void read_limits(const manifest_place *at, const th_yaml *map,
                        th_declared *entry)
{
    const th_yaml *limits = th_yaml_get(map, "limits");
    const th_yaml *processes;
    uint64_t n = 0;

    if (limits == NULL) {
        return;
    }
    if (limits->type != TH_YAML_MAP) {
        wrong(at, limits, "`limits` is a map, as in `limits: {processes: 100}`");
        return;
    }
    th_manifest_check_keys(at, limits, "`limits`", "processes");
    processes = th_yaml_get(limits, "processes");
    if (processes == NULL) {
        return;
    }
    for (size_t i = 0; i < processes->text.bytes && n <= UINT32_MAX; i++) {
        char c = processes->text.at[i];

        n = c >= '0' && c <= '9' ? n * 10 + (uint64_t)(c - '0') : UINT64_MAX / 16;
    }
    if (n == 0 || n > UINT32_MAX) {
        wrong(at, processes, "`limits.processes` is a whole number from 1");
        return;
    }
    entry->processes_max = (uint32_t)n;
}

/* --- An entry -------------------------------------------------------------------- */

static th_kind kind_of(th_slice text)
{
    static const char *const texts[] = {
#define TH_KIND(name, text, is_main, is_library) text,
        TH_KINDS
#undef TH_KIND
    };
    th_kind kind = 0;

    while (kind != TH_KIND_UNSUPPORTED && !th_slice_is(text, texts[kind])) {
        kind++;
    }
    return kind;
}

static th_err read_body(const manifest_place *at, const th_yaml *map,
                        th_declared *entry)
{
    th_auto_buf what = TH_BUF_INIT;
    th_err err = TH_OK;

    th_buf_putf(&what, "a %.*s", TH_FMT(entry->kind_text));
    th_manifest_check_keys(at, map, th_buf_text(&what), keys_of[entry->kind]);
    switch (entry->kind) {
    case TH_KIND_PROCESS_LUA:
    case TH_KIND_FUNCTION_LUA:
    case TH_KIND_LIBRARY_LUA:
        err = read_modules(at, map, entry);
        if (err == TH_OK) {
            err = read_imports(at, map, entry);
        }
        read_source(at, map, entry);
        get_text(at, map, "method", &entry->method);
        break;
    case TH_KIND_PROCESS_WASM:
        read_source(at, map, entry);
        get_text(at, map, "method", &entry->method);
        break;
    case TH_KIND_PROCESS_HOST:
        read_limits(at, map, entry);
        break;
    case TH_KIND_REGISTRY_ENTRY:
        break;
    case TH_KIND_UNSUPPORTED:
        th_buf_putf(at->manifest->notes,
                    "%s:%u:%u: entry `%.*s` is a %.*s, which is not supported; it is "
                    "left out\n",
                    at->file->path, map->line, map->column, TH_FMT(entry->id),
                    TH_FMT(entry->kind_text));
        break;
    }
    if (entry->kind != TH_KIND_REGISTRY_ENTRY && entry->kind != TH_KIND_UNSUPPORTED) {
        read_meta(at, map, entry);
    }
    if (err == TH_OK && is_listed(keys_of[entry->kind], TH_SLICE("on_exit")) &&
        entry->kind != TH_KIND_REGISTRY_ENTRY && entry->kind != TH_KIND_UNSUPPORTED) {
        err = th_manifest_read_rights(at, map, entry);
    }
    return err;
}

static th_err make_id(th_declared *entry, th_slice ns, th_slice name)
{
    th_buf id = TH_BUF_INIT;

    th_buf_putf(&id, "%.*s:%.*s", TH_FMT(ns), TH_FMT(name));
    entry->id = th_buf_slice(&id);
    entry->ns = th_slice_of(id.at, ns.bytes);
    return id.failed ? TH_QUOTA : TH_OK;
}

static th_err read_entry(const manifest_place *at, const th_yaml *map, th_slice ns)
{
    th_manifest *manifest = at->manifest;
    th_slice name, kind;
    th_declared *entry;
    th_err err;

    if (map->type != TH_YAML_MAP) {
        wrong(at, map, "an entry is a map with `name` and `kind`, not %s",
              th_yaml_type_text(map));
        return TH_OK;
    }
    if (!get_text(at, map, "name", &name) || !get_text(at, map, "kind", &kind)) {
        if (th_yaml_get(map, "name") == NULL || th_yaml_get(map, "kind") == NULL) {
            wrong(at, map, "the entry has no `%s`",
                  th_yaml_get(map, "name") == NULL ? "name" : "kind");
        }
        return TH_OK;
    }
    if (!th_name_is_valid(name, TH_NAME_PLAIN)) {
        wrong(at, th_yaml_get(map, "name"),
              "`%.*s` is not a name: it is of a-z, 0-9, `-` and `_`", TH_FMT(name));
        return TH_OK;
    }
    entry = th_calloc(1, sizeof *entry);
    if (entry == NULL) {
        return TH_QUOTA;
    }
    th_list_push(&manifest->entries, &entry->link);
    manifest->entries_count++;
    entry->file = at->file->path;
    entry->line = map->line;
    entry->column = map->column;
    entry->kind = kind_of(kind);
    entry->kind_text = kind;
    err = make_id(entry, ns, name);
    return err == TH_OK ? read_body(at, map, entry) : err;
}

static th_err read_entries(const manifest_place *at, const th_yaml *list, th_slice ns)
{
    if (list->type != TH_YAML_LIST) {
        wrong(at, list, "`entries` is a list, not %s", th_yaml_type_text(list));
        return TH_OK;
    }
    for (const th_yaml *one = list->child; one != NULL; one = one->next) {
        th_err err;

        if (at->manifest->entries_count == TH_MANIFEST_ENTRIES_MAX) {
            wrong(at, one, "there are more than %d entries", TH_MANIFEST_ENTRIES_MAX);
            return TH_OK;
        }
        err = read_entry(at, one, ns);
        if (err != TH_OK) {
            return err;
        }
    }
    return TH_OK;
}

th_err th_manifest_read(th_manifest *manifest, const manifest_file *file)
{
    const manifest_place at = {manifest, file};
    const th_yaml *version = th_yaml_get(file->yaml, "version");
    const th_yaml *entries = th_yaml_get(file->yaml, "entries");
    th_slice ns;

    th_manifest_check_keys(&at, file->yaml, "a manifest",
                           "version namespace meta entries");
    if (version == NULL) {
        wrong(&at, file->yaml, "there is no `version`; add `version: \"1.0\"`");
    } else if (!th_slice_is(version->text, "1.0") && !th_slice_is(version->text, "1")) {
        wrong(&at, version, "version `%.*s` is not known; this node reads \"1.0\"",
              TH_FMT(version->text));
    }
    if (!get_text(&at, file->yaml, "namespace", &ns)) {
        return TH_OK;
    }
    if (!th_name_is_valid(ns, TH_NAME_DOTTED)) {
        wrong(&at, th_yaml_get(file->yaml, "namespace"),
              "`%.*s` is not a namespace: it is of a-z, 0-9, `-`, `_` and `.`",
              TH_FMT(ns));
        return TH_OK;
    }
    return entries == NULL ? TH_OK : read_entries(&at, entries, ns);
}
