#include "guest/wasm/wasm_cache.h"
#include "guest/wasm/wasm_owner.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

/*
 * The engine of a node, and the programs that it compiled.
 */

#define MAPS_FILE "/proc/sys/vm/max_map_count"
#define MAPS_OF_PROCESS 7 /* measured; see rust/engine */
#define MAPS_OF_NODE 2500 /* for all else */
#define PROCESSES_MAX 9000

/* How many instances fit into what the machine lets one program map. */
static unsigned count_processes(th_world *world)
{
    th_auto_buf text = TH_BUF_INIT;
    unsigned long maps;

    if (world->is_simulated ||
        th_world_file_read(world, MAPS_FILE, 0, 64, &text) != TH_OK) {
        return PROCESSES_MAX;
    }
    maps = strtoul(th_buf_text(&text), NULL, 10);
    if (maps <= MAPS_OF_NODE + MAPS_OF_PROCESS) {
        return PROCESSES_MAX;
    }
    maps = (maps - MAPS_OF_NODE) / MAPS_OF_PROCESS;
    return maps > TH_PID_SLOTS_MAX ? TH_PID_SLOTS_MAX : (unsigned)maps;
}

th_err th_wasm_new(th_wasm **out, const th_wasm_options *options)
{
    th_wasm *wasm = th_calloc(1, sizeof *wasm);

    if (wasm == NULL) {
        return TH_QUOTA;
    }
    wasm->options = *options;
    if (wasm->options.processes_max == 0) {
        wasm->options.processes_max = count_processes(options->world);
    }
    if (wasm->options.compile_ns_max == 0) {
        wasm->options.compile_ns_max = TH_WASM_COMPILE_S * TH_S;
    }
    *out = wasm;
    return TH_OK;
}

th_wasm *th_wasm_free(th_wasm *wasm)
{
    if (wasm == NULL) {
        return NULL;
    }
    th_assert(atomic_load(&wasm->alive) == 0);
    if (th_wasm_compiler_deinit(&wasm->compiler)) {
        th_engine_free(atomic_load(&wasm->engine));
    }
    return th_free(wasm);
}

void th_wasm_tick(th_wasm *wasm)
{
    const th_engine *engine = atomic_load_explicit(&wasm->engine, memory_order_acquire);

    if (engine != NULL) {
        th_engine_tick(engine);
    }
}

bool th_wasm_is_compiling(const th_wasm *wasm)
{
    return th_wasm_compiler_is_busy(&wasm->compiler);
}

static th_err start_engine(th_wasm *wasm, th_buf *why)
{
    th_engine_options options = {.is_deterministic = wasm->options.world->is_simulated};
    th_wbuf error = {0};
    const th_engine *engine = atomic_load(&wasm->engine);

    if (engine != NULL) {
        return TH_OK;
    }
    engine = th_engine_new(&options, &error);
    if (engine == NULL) {
        th_buf_puts(why, "the Wasm engine does not work on this machine: ");
        th_buf_put(why, error.ptr, error.len);
        free(error.ptr);
        return TH_UNSUPPORTED;
    }
    wasm->compiler = (th_wasm_compiler){.world = wasm->options.world,
                                        .engine = engine,
                                        .ns_max = wasm->options.compile_ns_max};
    atomic_store_explicit(&wasm->engine, engine, memory_order_release);
    return TH_OK;
}

/* --- Programs ----------------------------------------------------------------------- */

static th_program *open_code(th_wasm *wasm, th_slice code, th_wbuf *error)
{
    return th_program_new(atomic_load(&wasm->engine), (const uint8_t *)code.at,
                          code.bytes, error);
}

static th_program *find_program(th_wasm *wasm, const th_wasm_cache *cache,
                                th_slice component)
{
    th_auto_buf file = TH_BUF_INIT;
    th_wbuf error = {0};
    th_program *program = NULL;
    th_slice code;

    if (cache->folder != NULL && th_wasm_cache_find(cache, component, &file, &code)) {
        program = open_code(wasm, code, &error);
        if (program == NULL) {
            th_log(WARN, "wasm.cache.unusable",
                   "why=\"%.*s\" next=\"it is compiled anew\"", (int)error.len,
                   (const char *)error.ptr);
        }
        free(error.ptr);
    }
    return program;
}

static th_err make_program(th_wasm *wasm, const th_wasm_cache *cache,
                           th_slice component, th_program **out, th_buf *why)
{
    th_wbuf made = {0};
    th_wbuf error = {0};
    th_err err = th_wasm_compile(&wasm->compiler, component, &made, why);
    th_slice code = th_slice_of(made.ptr, made.len);

    if (err != TH_OK) {
        return err;
    }
    *out = open_code(wasm, code, &error);
    if (*out == NULL) {
        th_buf_put(why, error.ptr, error.len);
        err = TH_INVALID;
    } else if (cache->folder != NULL) {
        th_wasm_cache_put(cache, component, code);
    }
    free(error.ptr);
    free(made.ptr);
    return err;
}

th_err th_wasm_program_new(th_wasm_program **out, th_wasm *wasm, th_slice component,
                           th_buf *why)
{
    th_wasm_cache cache = {.world = wasm->options.world,
                           .folder = wasm->options.compiled};
    th_wasm_program *made = NULL;
    th_program *program;
    th_err err = start_engine(wasm, why);

    if (err != TH_OK) {
        return err;
    }
    cache.compatibility = th_engine_compatibility(atomic_load(&wasm->engine));
    program = find_program(wasm, &cache, component);
    if (program == NULL) {
        err = make_program(wasm, &cache, component, &program, why);
    }
    if (err == TH_OK) {
        made = th_calloc(1, sizeof *made);
        err = made == NULL ? TH_QUOTA : TH_OK;
    }
    if (err != TH_OK) {
        th_program_free(program);
        return err;
    }
    made->wasm = wasm;
    made->program = program;
    *out = made;
    return TH_OK;
}

th_wasm_program *th_wasm_program_free(th_wasm_program *program)
{
    if (program != NULL) {
        th_program_free(program->program);
    }
    return th_free(program);
}
