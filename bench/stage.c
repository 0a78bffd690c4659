#include "stage.h"

#include "base/mem.h"
#include "guest/lua/lua_guest.h"
#include "guest/lua/program.h"
#include "guest/wasm/wasm_engine.h"
#include "node/terms.h"
#include "world/world_real.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTRIES_MAX 16
#define WASM_MAX 4
#define FILE_BYTES_MAX ((size_t)4 << 20)
#define MARK "--@ "
#define RESIDENT "resident "

struct th_stage {
    th_world *world;
    th_parker *parker;
    th_kernel *kernel;
    th_host any, cores[TH_SHARDS_MAX];
    th_entry entries[ENTRIES_MAX];
    th_lua_program *programs[ENTRIES_MAX];
    char *ids[ENTRIES_MAX], *core_ids[TH_SHARDS_MAX];
    unsigned entries_count, shards;
    th_wasm *wasm;
    th_entry wasm_entries[WASM_MAX];
    th_wasm_program *wasm_programs[WASM_MAX];
    char *wasm_ids[WASM_MAX];
    unsigned wasm_count;
    bool started;

    /* Thread: any, until it is over. */
    _Atomic bool is_over;
    th_err reason;
    th_buf error;
};

/* --- What the kernel tells us --------------------------------------------------- */

uint64_t th_stage_resident_bytes(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%llu %llu", &all, &resident) != 2) {
        resident = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void output(void *context, const th_ident *from, th_output kind, th_slice text)
{
    th_slice mark = TH_SLICE(RESIDENT);

    (void)context;
    (void)from;
    if (kind == TH_OUTPUT_PRINT && text.bytes > mark.bytes &&
        memcmp(text.at, mark.at, mark.bytes) == 0) {
        th_slice name = th_slice_from(text, mark.bytes);

        printf("%.*s %llu\n", TH_FMT(name),
               (unsigned long long)th_stage_resident_bytes());
    } else {
        fprintf(kind == TH_OUTPUT_PRINT ? stdout : stderr, "%.*s\n", TH_FMT(text));
    }
}

static void tick(void *context)
{
    th_stage *stage = context;

    th_wasm_tick(stage->wasm);
}

static void ended(void *context, const th_ended *what)
{
    th_stage *stage = context;
    const th_exit *exit = what->exit;

    if (what->who->entry != &stage->entries[0]) {
        return;
    }
    stage->reason = exit == NULL ? TH_NOMEM : exit->reason;
    if (exit != NULL && exit->reason != TH_OK) {
        th_buf_putf(&stage->error, "%.*s", TH_FMT(th_exit_error(exit)));
    }
    atomic_store(&stage->is_over, true);
    th_world_unpark(stage->world, stage->parker);
}

/* --- Making ------------------------------------------------------------------------ */

static th_err add_entry(th_stage *stage, th_entry *entry)
{
    entry->package = TH_SLICE("bench");
    entry->publisher = TH_SLICE("local");
    return th_kernel_add_entry(stage->kernel, entry);
}

/* "foreign_NAME" is of another package: what it sends needs a right. */
static bool is_foreign(th_slice name)
{
    return th_slice_starts(name, "foreign_");
}

static th_err add_chunk(th_stage *stage, const char *path, th_slice name, th_slice text,
                        th_buf *why)
{
    unsigned i = stage->entries_count;
    th_lua_source source = {.text = text,
                            .name = th_slice_str(path),
                            .hash_seed = (uint32_t)th_world_dice_u64(stage->world)};
    th_err err;

    if (i == ENTRIES_MAX) {
        th_buf_putf(why, "%s: more than %d chunks", path, ENTRIES_MAX);
        return TH_INVALID;
    }
    err = th_lua_program_new(&stage->programs[i], &source, why);
    if (err != TH_OK) {
        return err;
    }
    stage->entries_count++;
    if (asprintf(&stage->ids[i], "bench:%.*s", TH_FMT(name)) < 0) {
        stage->ids[i] = NULL;
        return TH_NOMEM;
    }
    stage->entries[i] = (th_entry){.id = th_slice_str(stage->ids[i]),
                                   .limits = th_limits_default,
                                   .package_number = is_foreign(name) ? 2 : 1,
                                   .guest = &th_guest_lua,
                                   .program = stage->programs[i]};
    return add_entry(stage, &stage->entries[i]);
}

/* Where the next chunk begins, or the end. */
static size_t find_mark(th_slice text)
{
    for (size_t at = 0; at + strlen(MARK) <= text.bytes; at++) {
        if ((at == 0 || text.at[at - 1] == '\n') &&
            memcmp(text.at + at, MARK, strlen(MARK)) == 0) {
            return at;
        }
    }
    return text.bytes;
}

/* An entry for each of @names, which blanks part. */
static th_err add_named(th_stage *stage, const char *path, th_slice names,
                        th_slice text, th_buf *why)
{
    th_err err;

    do {
        size_t bytes = th_slice_find(names, ' ');

        err = add_chunk(stage, path, th_slice_of(names.at, bytes), text, why);
        names = th_slice_from(names, bytes < names.bytes ? bytes + 1 : bytes);
    } while (err == TH_OK && names.bytes > 0);
    return err;
}

static th_err add_chunks(th_stage *stage, const th_stage_spec *spec, th_buf *why)
{
    th_slice rest = th_slice_from(spec->text, find_mark(spec->text));
    th_err err = TH_OK;

    while (err == TH_OK && rest.bytes > 0) {
        th_slice chunk = th_slice_from(rest, strlen(MARK));
        size_t names_bytes = th_slice_find(chunk, '\n');
        size_t bytes;

        rest = th_slice_from(chunk, names_bytes);
        bytes = find_mark(rest);
        err = add_named(stage, spec->name, th_slice_of(chunk.at, names_bytes),
                        th_slice_of(rest.at, bytes), why);
        rest = th_slice_from(rest, bytes);
    }
    if (err == TH_OK && (stage->entries_count == 0 ||
                         !th_slice_is(stage->entries[0].id, "bench:main"))) {
        th_buf_putf(why, "%s: its first chunk is to begin with the line '" MARK "main'",
                    spec->name);
        return TH_INVALID;
    }
    return err;
}

static th_err add_hosts(th_stage *stage)
{
    th_err err;

    stage->any = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    err = th_kernel_add_host(stage->kernel, &stage->any);
    for (unsigned i = 0; i < stage->shards && err == TH_OK; i++) {
        if (asprintf(&stage->core_ids[i], "bench:core%u", i) < 0) {
            stage->core_ids[i] = NULL;
            return TH_NOMEM;
        }
        stage->cores[i] =
            (th_host){.id = th_slice_str(stage->core_ids[i]), .shard = (int)i};
        err = th_kernel_add_host(stage->kernel, &stage->cores[i]);
    }
    return err;
}

th_err th_stage_new(th_stage **out, const th_stage_spec *spec, th_buf *why)
{
    th_auto(th_stage) stage = th_calloc(1, sizeof *stage);
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .shards = spec->shards,
                               .output = output,
                               .ended = ended,
                               .tick = tick,
                               .context = stage};
    th_err err;

    if (stage == NULL) {
        return TH_NOMEM;
    }
    stage->world = config.world = th_world_real();
    stage->shards = spec->shards;
    err = th_world_parker_new(stage->world, &stage->parker);
    if (err == TH_OK) {
        err = th_wasm_new(&stage->wasm, &(th_wasm_options){.world = stage->world});
    }
    if (err == TH_OK) {
        err = th_kernel_new(&stage->kernel, &config);
    }
    if (err == TH_OK) {
        err = add_hosts(stage);
    }
    if (err == TH_OK) {
        err = add_chunks(stage, spec, why);
    }
    if (err == TH_OK) {
        *out = th_take(&stage);
    }
    return err;
}

/* --- Wasm guests ------------------------------------------------------------------- */

bool th_stage_read_file(const char *path, th_buf *out)
{
    char part[4096];
    size_t bytes;
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        return false;
    }
    while ((bytes = fread(part, 1, sizeof part, file)) > 0 &&
           out->bytes < FILE_BYTES_MAX) {
        th_buf_put(out, part, bytes);
    }
    fclose(file);
    return !out->failed && out->bytes < FILE_BYTES_MAX;
}

th_err th_stage_add_wasm(th_stage *stage, const char *folder, const char *name,
                         th_buf *why)
{
    unsigned i = stage->wasm_count;
    th_auto_buf path = TH_BUF_INIT, component = TH_BUF_INIT;
    th_err err;

    th_assert(i < WASM_MAX);
    th_buf_putf(&path, "%s/%s.wasm", folder, name);
    if (!th_stage_read_file(th_buf_text(&path), &component)) {
        th_buf_putf(why, "%s cannot be read; ./x build makes it", th_buf_text(&path));
        return TH_NOT_FOUND;
    }
    err = th_wasm_program_new(&stage->wasm_programs[i], stage->wasm,
                              th_buf_slice(&component), why);
    if (err != TH_OK) {
        return err;
    }
    stage->wasm_count++;
    if (asprintf(&stage->wasm_ids[i], "bench:%s", name) < 0) {
        stage->wasm_ids[i] = NULL;
        return TH_NOMEM;
    }
    stage->wasm_entries[i] = (th_entry){.id = th_slice_str(stage->wasm_ids[i]),
                                        .limits = th_limits_default,
                                        .package_number = 1,
                                        .is_public = true,
                                        .guest = &th_guest_wasm,
                                        .program = stage->wasm_programs[i]};
    return add_entry(stage, &stage->wasm_entries[i]);
}

/* --- The end ------------------------------------------------------------------------ */

th_stage *th_stage_free(th_stage *stage)
{
    if (stage == NULL) {
        return NULL;
    }
    if (stage->started) {
        th_kernel_stop(stage->kernel);
    }
    if (stage->kernel != NULL) {
        stage->kernel = th_kernel_free(stage->kernel);
    }
    for (unsigned i = 0; i < stage->entries_count; i++) {
        th_lua_program_free(stage->programs[i]);
        free(stage->ids[i]);
    }
    for (unsigned i = 0; i < stage->wasm_count; i++) {
        th_wasm_program_free(stage->wasm_programs[i]);
        free(stage->wasm_ids[i]);
    }
    stage->wasm = th_wasm_free(stage->wasm);
    for (unsigned i = 0; i < stage->shards; i++) {
        free(stage->core_ids[i]);
    }
    if (stage->parker != NULL) {
        th_world_parker_free(stage->world, stage->parker);
    }
    th_buf_deinit(&stage->error);
    return th_free(stage);
}

/* --- Running ----------------------------------------------------------------------- */

static th_err start(th_stage *stage, th_slice args, th_buf *why)
{
    th_spawn spec = {.entry = &stage->entries[0],
                     .host = &stage->cores[0],
                     .args = args};
    th_ident ident;
    th_err err = th_kernel_start(stage->kernel);

    if (err != TH_OK) {
        return err;
    }
    stage->started = true;
    err = th_kernel_spawn(stage->kernel, &spec, &ident, why);
    if (err == TH_OK) {
        th_blob_unref(ident.name);
    }
    return err;
}

th_err th_stage_run(th_stage *stage, const char *const *words, size_t count,
                    th_buf *why)
{
    th_auto_buf args = TH_BUF_INIT;
    th_err err = th_terms_put_args(&args, words, count);

    if (err == TH_OK) {
        err = start(stage, th_buf_slice(&args), why);
    }
    if (err != TH_OK) {
        return err;
    }
    while (!atomic_load(&stage->is_over)) {
        th_world_park(stage->world, stage->parker, (th_mono){0});
    }
    fflush(stdout);
    if (stage->reason != TH_OK) {
        th_buf_putf(why, "%s", th_buf_text(&stage->error));
        return TH_FAILED;
    }
    return TH_OK;
}
