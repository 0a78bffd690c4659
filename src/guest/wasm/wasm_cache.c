#include "guest/wasm/wasm_cache.h"

#include "base/log.h"

#include <inttypes.h>

typedef struct header {
    char magic[8];
    uint64_t compatibility;
    uint64_t component_bytes;
    uint64_t code_bytes;
    uint64_t sum; /* of the code, and of the fields above */
} header;

static const char magic[8] = "thole\0w1";

#define FILE_BYTES_MAX ((size_t)2 << 30)

/* A sum that finds damage: eight bytes at a time, so that it costs less than reading. */
static uint64_t sum_of(th_slice bytes, uint64_t sum)
{
    const char *at = bytes.at;
    size_t left = bytes.bytes;
    uint64_t word;

    for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return th_slice_hash(th_slice_of(at, left), sum);
}

static uint64_t sum_of_all(const header *head, th_slice code)
{
    return sum_of(code, sum_of(th_slice_of(head, offsetof(header, sum)), 1));
}

static void put_path(const th_wasm_cache *cache, th_slice component, th_buf *out)
{
    th_buf_putf(out, "%s/%016" PRIx64 "-%zx.code", cache->folder,
                th_slice_hash(component, cache->compatibility), component.bytes);
}

/* Is @file what we wrote for @component? */
static bool check(const th_wasm_cache *cache, th_slice component, th_slice file,
                  th_slice *code)
{
    header head;
    th_slice rest;

    if (file.bytes < sizeof head) {
        return false;
    }
    memcpy(&head, file.at, sizeof head);
    rest = th_slice_from(file, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 ||
        head.compatibility != cache->compatibility ||
        head.component_bytes != component.bytes || rest.bytes < component.bytes ||
        head.code_bytes != rest.bytes - component.bytes ||
        !th_slice_eq(th_slice_of(rest.at, component.bytes), component)) {
        return false;
    }
    *code = th_slice_from(rest, component.bytes);
    return sum_of_all(&head, *code) == head.sum;
}

bool th_wasm_cache_find(const th_wasm_cache *cache, th_slice component, th_buf *file,
                        th_slice *code)
{
    th_auto_buf path = TH_BUF_INIT;

    put_path(cache, component, &path);
    if (path.failed || th_world_file_read(cache->world, th_buf_text(&path), 0,
                                          FILE_BYTES_MAX, file) != TH_OK) {
        return false;
    }
    if (!check(cache, component, th_buf_slice(file), code)) {
        th_log(WARN, "wasm.cache.damaged", "file=%s next=\"it is compiled anew\"",
               th_buf_text(&path));
        return false;
    }
    return true;
}

/* --- Making room -------------------------------------------------------------------- */

typedef struct oldest {
    const th_wasm_cache *cache;
    size_t files;
    int64_t modified_ns;
    th_buf path;
} oldest;

static bool look_at(void *context, const char *name, th_file_kind kind)
{
    oldest *of = context;
    th_auto_buf path = TH_BUF_INIT;
    th_file_info info;

    th_buf_putf(&path, "%s/%s", of->cache->folder, name);
    if (kind != TH_FILE_REGULAR || path.failed ||
        th_world_file_info(of->cache->world, path.at, &info) != TH_OK) {
        return true;
    }
    if (of->files++ == 0 || info.modified_ns < of->modified_ns) {
        th_buf was = of->path;

        of->modified_ns = info.modified_ns;
        of->path = path;
        path = was;
    }
    return true;
}

static void make_room(const th_wasm_cache *cache)
{
    oldest of = {.cache = cache, .path = TH_BUF_INIT};

    (void)th_world_folder_each(cache->world, cache->folder, look_at, &of);
    if (of.files >= TH_WASM_CACHE_FILES_MAX) {
        (void)th_world_file_remove(cache->world, of.path.at);
    }
    th_buf_deinit(&of.path);
}

void th_wasm_cache_put(const th_wasm_cache *cache, th_slice component, th_slice code)
{
    header head = {.compatibility = cache->compatibility,
                   .component_bytes = component.bytes,
                   .code_bytes = code.bytes};
    th_auto_buf path = TH_BUF_INIT;
    th_auto_buf file = TH_BUF_INIT;
    th_err err = th_world_folder_make(cache->world, cache->folder);

    memcpy(head.magic, magic, sizeof magic);
    head.sum = sum_of_all(&head, code);
    put_path(cache, component, &path);
    th_buf_put(&file, &head, sizeof head);
    th_buf_put(&file, component.at, component.bytes);
    th_buf_put(&file, code.at, code.bytes);
    if (err == TH_OK && (path.failed || file.failed)) {
        err = TH_QUOTA;
    }
    if (err == TH_OK) {
        make_room(cache);
        err =
            th_world_file_write(cache->world, th_buf_text(&path), th_buf_slice(&file));
    }
    if (err != TH_OK) {
        th_log(WARN, "wasm.cache.unwritten", "file=%s why=\"%s\"", th_buf_text(&path),
               th_reason_of(err)->text);
    }
}
