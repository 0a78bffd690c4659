#include "core/id.h"
#include "node/manifest_parts.h"

/*
 * What all files together must fulfil: each id once, each import there and a
 * library, and no library that needs itself.
 */

static void check_once(th_manifest *manifest, const th_declared *entry)
{
    const th_declared *first = th_manifest_find(manifest, entry->id);

    if (first != entry) {
        th_manifest_error(manifest, entry->file, entry->line, entry->column,
                          "entry `%.*s` is there twice, first in %s:%u",
                          TH_FMT(entry->id), first->file, first->line);
    }
}

static const th_declared *find_import(th_manifest *manifest, const th_declared *entry,
                                      th_slice text)
{
    th_auto_buf id = TH_BUF_INIT;

    if (th_slice_find(text, ':') < text.bytes) {
        return th_manifest_find(manifest, text);
    }
    th_buf_putf(&id, "%.*s:%.*s", TH_FMT(entry->ns), TH_FMT(text));
    return id.failed ? NULL : th_manifest_find(manifest, th_buf_slice(&id));
}

static void resolve(th_manifest *manifest, const th_declared *entry, th_import *import)
{
    const th_declared *found = find_import(manifest, entry, import->text);

    if (found == NULL) {
        th_manifest_error(manifest, entry->file, import->line, import->column,
                          "entry `%.*s` imports `%.*s`, and there is no such entry",
                          TH_FMT(entry->id), TH_FMT(import->text));
    } else if (found->kind != TH_KIND_LIBRARY_LUA) {
        th_manifest_error(manifest, entry->file, import->line, import->column,
                          "entry `%.*s` imports `%.*s`, which is a %.*s; only a "
                          "library.lua can be imported",
                          TH_FMT(entry->id), TH_FMT(import->text),
                          TH_FMT(found->kind_text));
    } else {
        import->entry = found;
    }
}

enum visit_state {
    VISIT_NOT_YET,
    VISIT_UNDER_WAY,
    VISIT_DONE,
};

/* The way is as deep as there are entries, which is bounded. */
static void find_circle(th_manifest *manifest, th_declared *entry)
{
    entry->visit = VISIT_UNDER_WAY;
    for (size_t i = 0; i < entry->imports_count; i++) {
        th_declared *next = (th_declared *)entry->imports[i].entry;

        if (next == NULL) {
            continue;
        }
        if (next->visit == VISIT_UNDER_WAY) {
            th_manifest_error(manifest, entry->file, entry->imports[i].line,
                              entry->imports[i].column,
                              "the imports go in a circle: `%.*s` imports `%.*s`, "
                              "which needs it",
                              TH_FMT(entry->id), TH_FMT(next->id));
        } else if (next->visit == VISIT_NOT_YET) {
            find_circle(manifest, next);
        }
    }
    entry->visit = VISIT_DONE;
}

void th_manifest_check(th_manifest *manifest)
{
    TH_LIST_EACH(node, &manifest->entries)
    {
        th_declared *entry = th_container_of(node, th_declared, link);

        check_once(manifest, entry);
        for (size_t i = 0; i < entry->imports_count; i++) {
            resolve(manifest, entry, &entry->imports[i]);
        }
    }
    TH_LIST_EACH(other, &manifest->entries)
    {
        th_declared *entry = th_container_of(other, th_declared, link);

        if (entry->visit == VISIT_NOT_YET) {
            find_circle(manifest, entry);
        }
    }
}
