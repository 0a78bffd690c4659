#include "node/manifest.h"

#include "base/mem.h"
#include "core/id.h"
#include "node/manifest_parts.h"

#include <stdio.h>

/* --- Errors --------------------------------------------------------------------- */

void th_manifest_error(th_manifest *manifest, const char *file, unsigned line,
                       unsigned column, const char *format, ...)
{
    va_list args;

    if (++manifest->errors_count > TH_MANIFEST_ERRORS_MAX) {
        return;
    }
    th_buf_putf(manifest->errors, "%s:", file);
    if (line > 0) {
        th_buf_putf(manifest->errors, "%u:%u:", line, column);
    }
    th_buf_putc(manifest->errors, ' ');
    va_start(args, format);
    th_buf_putv(manifest->errors, format, args);
    va_end(args);
    th_buf_putc(manifest->errors, '\n');
}

/* --- The walk ------------------------------------------------------------------- */

typedef struct folder_walk {
    th_manifest *manifest;
    const char *folder;
    unsigned depth;
    th_err err;
} folder_walk;

static bool is_yaml_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* Is it meant to count: then what is wrong in it is an error. */
static bool looks_meant(const char *path, th_slice text)
{
    const char *name = strrchr(path, '/');

    if (strcmp(name == NULL ? path : name + 1, "_index.yaml") == 0) {
        return true;
    }
    while (text.bytes > 0) {
        size_t line = th_slice_find(text, '\n');

        if (th_slice_starts(text, "namespace:")) {
            return true;
        }
        text = th_slice_from(text, line + (line < text.bytes));
    }
    return false;
}

static th_err keep_file(th_manifest *manifest, const char *path, th_yaml **yaml)
{
    manifest_file *file = th_calloc(1, sizeof *file);

    if (file == NULL) {
        return TH_QUOTA;
    }
    th_list_push(&manifest->files, &file->link);
    file->yaml = th_take(yaml);
    file->path = th_strndup(path, strlen(path));
    if (file->path == NULL) {
        return TH_QUOTA;
    }
    file->sub = file->path + strlen(manifest->folder);
    file->sub += *file->sub == '/';
    return th_manifest_read(manifest, file);
}

static th_err read_yaml(th_manifest *manifest, const char *path)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto(th_yaml) yaml = NULL;
    th_yaml_error error;
    th_err err;

    err = th_world_file_read(manifest->world, path, 0, TH_YAML_BYTES_MAX + 1, &text);
    if (err != TH_OK) {
        th_manifest_error(manifest, path, 0, 0, "it cannot be read: %s",
                          th_reason_of(err)->text);
        return err == TH_NOMEM ? TH_QUOTA : TH_OK;
    }
    err = th_yaml_decode(&yaml, th_buf_slice(&text), &error);
    if (err == TH_INVALID && looks_meant(path, th_buf_slice(&text))) {
        th_manifest_error(manifest, path, error.line, error.column, "%s", error.what);
    }
    if (err != TH_OK) {
        return err == TH_INVALID ? TH_OK : err;
    }
    if (yaml == NULL || th_yaml_get(yaml, "namespace") == NULL) {
        if (looks_meant(path, TH_SLICE(""))) {
            th_manifest_error(manifest, path, 1, 1,
                              "there is no `namespace`; add one, as in "
                              "`namespace: app`");
        }
        return TH_OK;
    }
    return keep_file(manifest, path, &yaml);
}

static th_err walk_folder(th_manifest *manifest, const char *folder, unsigned depth);

static bool visit(void *context, const char *name, th_file_kind kind)
{
    folder_walk *walk = context;
    th_manifest *manifest = walk->manifest;
    th_auto_buf path = TH_BUF_INIT;

    if (name[0] == '.') {
        return true;
    }
    if (++manifest->seen > TH_MANIFEST_FILES_MAX) {
        th_manifest_error(manifest, walk->folder, 0, 0,
                          "there are more than %d files below the folder",
                          TH_MANIFEST_FILES_MAX);
        walk->err = TH_INVALID;
        return false;
    }
    th_buf_putf(&path, "%s/%s", walk->folder, name);
    if (path.failed) {
        walk->err = TH_QUOTA;
    } else if (kind == TH_FILE_FOLDER) {
        walk->err = walk_folder(manifest, path.at, walk->depth + 1);
    } else if (kind == TH_FILE_LINK) {
        th_buf_putf(manifest->notes, "%s: a link to a folder is left out\n", path.at);
    } else if (kind == TH_FILE_REGULAR && is_yaml_name(name)) {
        walk->err = read_yaml(manifest, path.at);
    }
    return walk->err == TH_OK;
}

static th_err walk_folder(th_manifest *manifest, const char *folder, unsigned depth)
{
    folder_walk walk = {.manifest = manifest, .folder = folder, .depth = depth};
    th_err err;

    if (depth > TH_MANIFEST_DEPTH_MAX) {
        th_manifest_error(manifest, folder, 0, 0, "the folders are nested too deeply");
        return TH_INVALID;
    }
    err = th_world_folder_each(manifest->world, folder, visit, &walk);
    if (err != TH_OK) {
        th_manifest_error(manifest, folder, 0, 0, "it cannot be read: %s",
                          th_reason_of(err)->text);
        return depth == 0 || err == TH_NOMEM ? err : TH_OK;
    }
    return walk.err;
}

/* --- The whole ------------------------------------------------------------------ */

static th_err judge(th_manifest *manifest, th_err err)
{
    if (manifest->errors_count > TH_MANIFEST_ERRORS_MAX) {
        th_buf_putf(manifest->errors, "and %zu errors more\n",
                    manifest->errors_count - TH_MANIFEST_ERRORS_MAX);
    }
    if (err == TH_OK && manifest->errors_count > 0) {
        err = TH_INVALID;
    }
    if (err == TH_OK && th_list_is_empty(&manifest->files)) {
        th_buf_putf(manifest->errors,
                    "%s: there is no `_index.yaml` in the folder; it says which "
                    "entries there are\n",
                    manifest->folder);
        err = TH_NOT_FOUND;
    }
    if (err == TH_QUOTA || err == TH_NOMEM) {
        th_buf_putf(manifest->errors, "%s: memory ran out\n", manifest->folder);
        err = TH_QUOTA;
    }
    return err;
}

th_err th_manifest_load(th_manifest **out, th_world *world, const char *folder,
                        th_buf *errors, th_buf *notes)
{
    th_auto(th_manifest) manifest = th_calloc(1, sizeof *manifest);
    th_err err;

    if (manifest == NULL) {
        return TH_QUOTA;
    }
    *manifest = (th_manifest){.world = world,
                              .folder = folder,
                              .errors = errors,
                              .notes = notes};
    th_list_init(&manifest->files);
    th_list_init(&manifest->entries);
    err = walk_folder(manifest, folder, 0);
    if (err == TH_OK) {
        th_manifest_check(manifest);
    }
    err = judge(manifest, err);
    if (err != TH_OK) {
        return err;
    }
    manifest->folder = NULL;
    manifest->errors = manifest->notes = NULL;
    *out = th_take(&manifest);
    return TH_OK;
}

th_manifest *th_manifest_free(th_manifest *manifest)
{
    th_list *node;

    if (manifest == NULL) {
        return NULL;
    }
    while ((node = th_list_pop(&manifest->entries)) != NULL) {
        th_declared *entry = th_container_of(node, th_declared, link);

        th_manifest_free_rights(entry);
        th_buf_deinit(&entry->source);
        th_free((char *)entry->source_file);
        th_free((char *)entry->id.at);
        th_free(entry->modules);
        th_free(entry->imports);
        th_free(entry);
    }
    while ((node = th_list_pop(&manifest->files)) != NULL) {
        manifest_file *file = th_container_of(node, manifest_file, link);

        th_yaml_free(file->yaml);
        th_free(file->path);
        th_free(file);
    }
    return th_free(manifest);
}

const th_list *th_manifest_entries(const th_manifest *manifest)
{
    return &manifest->entries;
}

const th_declared *th_manifest_find(const th_manifest *manifest, th_slice id)
{
    TH_LIST_EACH(node, &manifest->entries)
    {
        const th_declared *entry = th_container_of(node, th_declared, link);

        if (th_slice_eq(entry->id, id)) {
            return entry;
        }
    }
    return NULL;
}

/* --- The main entry ------------------------------------------------------------- */

static bool can_run(const th_declared *entry)
{
    static const bool can[] = {
#define TH_KIND(name, text, is_main, is_library) is_main,
        TH_KINDS
#undef TH_KIND
    };

    return can[entry->kind];
}

static bool is_process(const th_declared *entry)
{
    return entry->kind == TH_KIND_PROCESS_LUA || entry->kind == TH_KIND_PROCESS_WASM;
}

static bool has_main(const th_declared *entry)
{
    return entry->is_main && can_run(entry);
}

/* Those that @fits; the last one is *@found. */
static size_t count(const th_manifest *manifest, bool (*fits)(const th_declared *),
                    const th_declared **found)
{
    size_t n = 0;

    TH_LIST_EACH(node, &manifest->entries)
    {
        const th_declared *entry = th_container_of(node, th_declared, link);

        if (fits(entry)) {
            *found = entry;
            n++;
        }
    }
    return n;
}

#define LISTED_MAX 10

/* "`a:b`, `a:c`", as many as a person reads. */
static void put_list(const th_manifest *manifest, bool (*fits)(const th_declared *),
                     th_buf *why)
{
    size_t n = 0;

    TH_LIST_EACH(node, &manifest->entries)
    {
        const th_declared *entry = th_container_of(node, th_declared, link);

        if (fits(entry) && n++ < LISTED_MAX) {
            th_buf_putf(why, "%s`%.*s`", n == 1 ? "" : ", ", TH_FMT(entry->id));
        }
    }
    if (n > LISTED_MAX) {
        th_buf_putf(why, " and %zu more", n - LISTED_MAX);
    } else if (n == 0) {
        th_buf_puts(why, "none");
    }
}

static const th_declared *find_short(const th_manifest *manifest, th_slice name)
{
    const th_declared *found = NULL;

    TH_LIST_EACH(node, &manifest->entries)
    {
        const th_declared *entry = th_container_of(node, th_declared, link);

        if (th_slice_eq(th_slice_from(entry->id, entry->ns.bytes + 1), name)) {
            if (found != NULL) {
                return NULL;
            }
            found = entry;
        }
    }
    return found;
}

static th_err find_wanted(const th_manifest *manifest, th_slice wanted,
                          const th_declared **out, th_buf *why)
{
    const th_declared *found = th_manifest_find(manifest, wanted);

    if (found == NULL) {
        found = find_short(manifest, wanted);
    }
    if (found == NULL) {
        th_buf_putf(why, "there is no entry `%.*s`; those that can run are ",
                    TH_FMT(wanted));
        put_list(manifest, can_run, why);
        return TH_NOT_FOUND;
    }
    if (!can_run(found)) {
        th_buf_putf(why,
                    "entry `%.*s` is a %.*s, which cannot run; those that can are ",
                    TH_FMT(found->id), TH_FMT(found->kind_text));
        put_list(manifest, can_run, why);
        return TH_INVALID;
    }
    *out = found;
    return TH_OK;
}

th_err th_manifest_main(const th_manifest *manifest, th_slice wanted,
                        const th_declared **out, th_buf *why)
{
    const th_declared *found = NULL;
    size_t n;

    if (wanted.bytes > 0) {
        return find_wanted(manifest, wanted, out, why);
    }
    n = count(manifest, has_main, &found);
    if (n == 1 || (n == 0 && count(manifest, is_process, &found) == 1)) {
        *out = found;
        return TH_OK;
    }
    if (n > 1) {
        th_buf_puts(why, "several entries have `meta.main: true`: ");
        put_list(manifest, has_main, why);
    } else if (count(manifest, can_run, &found) == 0) {
        th_buf_puts(why, "no entry is one that can run");
        return TH_NOT_FOUND;
    } else {
        th_buf_puts(why, "it is not clear which entry to run: ");
        put_list(manifest, can_run, why);
    }
    th_buf_puts(why, "; choose one with -x, or with `meta: {main: true}`");
    return TH_INVALID;
}
