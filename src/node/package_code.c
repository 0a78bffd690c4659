#include "base/mem.h"
#include "guest/lua/lua_guest.h"
#include "guest/lua/program.h"
#include "node/package.h"

/*
 * From code to what a guest can run.
 */

/* --- Lua --------------------------------------------------------------------------- */

static void free_lua(void *program)
{
    th_lua_program_free(program);
}

/*
 * The text as the compiler gets it: what stands in a manifest keeps its line there,
 * and a first line that is for a shell is empty.
 */
static void put_lua(th_buf *out, const th_declared *entry)
{
    th_slice text = th_buf_slice(&entry->source);

    for (unsigned line = 1; line < entry->source_line; line++) {
        th_buf_putc(out, '\n');
    }
    if (th_slice_starts(text, "\xef\xbb\xbf")) {
        text = th_slice_from(text, 3); /* some editors' mark of UTF-8 */
    }
    if (th_slice_starts(text, "#")) {
        text = th_slice_from(text, th_slice_find(text, '\n'));
    }
    th_buf_put(out, text.at, text.bytes);
}

static th_err new_lua(th_code *out, const th_declared *entry, const th_code *libraries,
                      th_world *world, th_buf *why)
{
    th_auto_buf text = TH_BUF_INIT;
    th_lua_program *program = NULL;
    th_lua_import *imports = th_calloc(entry->imports_count, sizeof *imports);
    th_lua_source source = {.name = th_slice_str(entry->source_file),
                            .method = entry->method,
                            .modules = entry->modules,
                            .modules_count = entry->modules_count,
                            .imports = imports,
                            .imports_count = entry->imports_count,
                            .is_library = entry->kind == TH_KIND_LIBRARY_LUA,
                            .hash_seed = (uint32_t)th_world_dice_u64(world)};
    th_err err = TH_QUOTA;

    put_lua(&text, entry);
    source.text = th_buf_slice(&text);
    if (entry->source_file == NULL) {
        source.name = th_slice_str(entry->file);
    }
    if (imports != NULL && !text.failed) {
        for (size_t i = 0; i < entry->imports_count; i++) {
            imports[i] = (th_lua_import){entry->imports[i].alias, libraries[i].program};
        }
        err = th_lua_program_new(&program, &source, why);
    }
    th_free(imports);
    if (err == TH_OK) {
        *out = (th_code){&th_guest_lua, program, free_lua};
    }
    return err;
}

/* --- Wasm -------------------------------------------------------------------------- */

static void free_wasm(void *program)
{
    th_wasm_program_free(program);
}

/* What a component begins with: the magic number, its version, its layer. */
#define HEAD_BYTES 8

static th_err check_head(const th_declared *entry, th_buf *why)
{
    static const char module[HEAD_BYTES] = "\0asm\1\0\0";
    static const char component[HEAD_BYTES] = "\0asm\15\0\1";
    th_slice code = th_buf_slice(&entry->source);
    const char *file = entry->source_file;

    if (code.bytes < HEAD_BYTES) {
        th_buf_putf(why, "`%s` is not a Wasm component: it has only %zu bytes", file,
                    code.bytes);
        return TH_INVALID;
    }
    if (memcmp(code.at, module, HEAD_BYTES) == 0) {
        th_buf_putf(why,
                    "`%s` is a core module, not a component; make it one with "
                    "`thole-component %s WIT process-v1 NEW.wasm`, where WIT is the "
                    "folder of kinode.wit (./x build makes the tool)",
                    file, file);
        return TH_INVALID;
    }
    if (memcmp(code.at, component, HEAD_BYTES) != 0) {
        th_buf_putf(why, "`%s` is not a Wasm component: it does not begin like one",
                    file);
        return TH_INVALID;
    }
    return TH_OK;
}

static th_err new_wasm(th_code *out, const th_declared *entry, th_wasm *wasm,
                       th_buf *why)
{
    th_auto_buf reason = TH_BUF_INIT;
    th_wasm_program *program;
    th_err err = check_head(entry, why);

    if (err != TH_OK) {
        return err;
    }
    err = th_wasm_program_new(&program, wasm, th_buf_slice(&entry->source), &reason);
    if (err != TH_OK) {
        th_buf_putf(why, "`%s` cannot run: %s", entry->source_file,
                    reason.bytes == 0 ? th_reason_of(err)->text : th_buf_text(&reason));
        return err;
    }
    *out = (th_code){&th_guest_wasm, program, free_wasm};
    return TH_OK;
}

th_err th_code_new(th_code *out, const th_declared *entry, const th_code *libraries,
                   const th_package_spec *spec, th_buf *why)
{
    if (entry->kind == TH_KIND_PROCESS_WASM) {
        return new_wasm(out, entry, spec->wasm, why);
    }
    return new_lua(out, entry, libraries, spec->world, why);
}

void th_code_free(th_code *code)
{
    if (code->program != NULL) {
        code->free_program(code->program);
        code->program = NULL;
    }
}
