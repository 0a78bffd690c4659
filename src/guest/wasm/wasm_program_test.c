#include "base/test.h"
#include "guest/wasm/wasm_cache.h"
#include "guest/wasm/wasm_owner.h"
#include "guest/wasm/wasm_stage.h"
#include "world/world_real.h"
#include "world/world_sim.h"

#include <sched.h>

/*
 * Programs: compiled once, found again on the disk, and never loaded from a file that is
 * not as it was written.
 */

static th_world *world;
static th_wasm *wasm;
static th_buf echo, trap; /* components */

static void set(void)
{
    th_wasm_options options = {.compiled = "/home/compiled"};

    th_wasm_stage_signals();
    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    options.world = world;
    T_EQ(th_wasm_new(&wasm, &options), TH_OK);
    th_wasm_stage_read("echo", &echo);
    th_wasm_stage_read("trap", &trap);
}

static void strike(void)
{
    wasm = th_wasm_free(wasm);
    world = th_world_sim_free(world);
    th_buf_deinit(&echo);
    th_buf_deinit(&trap);
}

static void make(const th_buf *component)
{
    th_auto_buf why = TH_BUF_INIT;
    th_wasm_program *program;

    if (th_wasm_program_new(&program, wasm, th_buf_slice(component), &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    th_wasm_program_free(program);
}

static th_wasm_cache cache_of(void)
{
    return (th_wasm_cache){.world = world,
                           .folder = "/home/compiled",
                           .compatibility =
                               th_engine_compatibility(atomic_load(&wasm->engine))};
}

typedef struct files {
    unsigned count;
    th_buf path;
} files;

static bool note(void *context, const char *name, th_file_kind kind)
{
    files *all = context;

    (void)kind;
    all->count++;
    th_buf_clear(&all->path);
    th_buf_putf(&all->path, "/home/compiled/%s", name);
    return true;
}

static files list(void)
{
    files all = {0, TH_BUF_INIT};

    T_EQ(th_world_folder_each(world, "/home/compiled", note, &all), TH_OK);
    return all;
}

TEST(wasm_program, code_is_kept_and_found_again)
{
    th_auto_buf file = TH_BUF_INIT;
    th_auto_buf again = TH_BUF_INIT;
    th_slice code, found;
    th_wasm_cache cache;
    files all;

    set();
    make(&trap);
    cache = cache_of();
    T_FALSE(th_wasm_cache_find(&cache, th_buf_slice(&echo), &again, &found));
    T_TRUE(th_wasm_cache_find(&cache, th_buf_slice(&trap), &file, &code));

    /* What is found is what is used: other code under the echo's name is its code. */
    th_wasm_cache_put(&cache, th_buf_slice(&echo), code);
    make(&echo);
    T_TRUE(th_wasm_cache_find(&cache, th_buf_slice(&echo), &again, &found));
    T_TRUE(th_slice_eq(code, found));
    all = list();
    T_EQ(all.count, 2);
    th_buf_deinit(&all.path);
    strike();
}

TEST(wasm_program, code_of_another_engine_is_not_used)
{
    th_auto_buf file = TH_BUF_INIT;
    th_wasm_cache cache;
    th_slice code;

    set();
    make(&trap);
    cache = cache_of();
    cache.compatibility++;
    T_FALSE(th_wasm_cache_find(&cache, th_buf_slice(&trap), &file, &code));
    strike();
}

/* The one file in the cache becomes @content: it is not used, and written anew. */
static void survives(const char *path, th_slice content)
{
    th_auto_buf file = TH_BUF_INIT;
    th_wasm_cache cache = cache_of();
    th_slice code;

    T_EQ(th_world_file_write(world, path, content), TH_OK);
    T_FALSE(th_wasm_cache_find(&cache, th_buf_slice(&trap), &file, &code));
}

TEST(wasm_program, a_damaged_file_is_never_loaded_but_compiled_anew)
{
    th_auto_buf file = TH_BUF_INIT;
    th_auto_buf again = TH_BUF_INIT;
    files all;

    set();
    make(&trap);
    all = list();
    T_EQ(all.count, 1);
    T_EQ(th_world_file_read(world, all.path.at, 0, SIZE_MAX / 2, &file), TH_OK);
    for (size_t bytes = 0; bytes < file.bytes; bytes += bytes < 64 ? 1 : 997) {
        survives(all.path.at, th_slice_of(file.at, bytes));
    }
    for (size_t at = 0; at < file.bytes; at += at < 64 ? 1 : 101) {
        file.at[at] ^= 0x10;
        survives(all.path.at, th_buf_slice(&file));
        file.at[at] ^= 0x10;
    }
    for (int i = 0; i < 50; i++) {
        char noise[4096];

        th_world_dice(world, noise, sizeof noise);
        survives(all.path.at, th_slice_of(noise, (size_t)i * 80));
    }
    make(&trap);
    T_EQ(th_world_file_read(world, all.path.at, 0, SIZE_MAX / 2, &again), TH_OK);
    T_TRUE(th_slice_eq(th_buf_slice(&file), th_buf_slice(&again)));
    th_buf_deinit(&all.path);
    strike();
}

TEST(wasm_program, a_disk_that_fails_is_no_hindrance)
{
    for (uint64_t n = 0; n < 8; n++) {
        set();
        th_world_sim_disk_fails_after(world, n);
        make(&trap);
        strike();
    }
}

TEST(wasm_program, the_folder_is_bounded)
{
    th_wasm_cache cache;
    files all;

    set();
    make(&trap);
    cache = cache_of();
    for (unsigned i = 0; i < TH_WASM_CACHE_FILES_MAX + 20; i++) {
        th_world_advance(world, (th_mono){th_world_mono(world).ns + TH_S});
        th_wasm_cache_put(&cache, th_slice_of(&i, sizeof i), TH_SLICE("code"));
    }
    all = list();
    T_EQ(all.count, TH_WASM_CACHE_FILES_MAX);
    th_buf_deinit(&all.path);
    strike();
}

TEST(wasm_program, new_gives_everything_back_when_memory_runs_out)
{
    for (uint64_t n = 0;; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_wasm_program *program = NULL;
        th_err err;

        set();
        th_mem_fail_after(n);
        err = th_wasm_program_new(&program, wasm, th_buf_slice(&trap), &why);
        th_mem_fail_never();
        th_wasm_program_free(program);
        strike();
        T_TRUE(n < 1000);
        if (err == TH_OK && n > 50) {
            break;
        }
    }
}

/* --- Compile bombs ----------------------------------------------------------------------- */

static void put_leb(th_buf *out, uint64_t n)
{
    do {
        th_buf_putc(out, (char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
        n >>= 7;
    } while (n > 0);
}

static void put_section(th_buf *out, char id, const th_buf *content)
{
    th_buf_putc(out, id);
    put_leb(out, content->bytes);
    th_buf_put(out, content->at, content->bytes);
}

/* A function of many locals and many branches, each of which may go to all others. */
static void put_function(th_buf *out, unsigned locals, unsigned branches)
{
    th_auto_buf body = TH_BUF_INIT;

    th_buf_put(&body, "\1", 1);
    put_leb(&body, locals);
    th_buf_putc(&body, 0x7f); /* i32 */
    for (unsigned i = 0; i < branches; i++) {
        th_buf_put(&body, "\x03\x40", 2); /* loop */
        th_buf_putc(&body, 0x20);         /* local.get */
        put_leb(&body, i * 7 % locals);
        th_buf_putc(&body, 0x20);
        put_leb(&body, i * 13 % locals);
        th_buf_put(&body, "\x6a", 1); /* i32.add */
        th_buf_putc(&body, 0x22);     /* local.tee */
        put_leb(&body, i * 17 % locals);
        th_buf_put(&body, "\x0d\0\x0b", 3); /* br_if 0, end */
    }
    th_buf_putc(&body, 0x0b);
    put_leb(out, body.bytes);
    th_buf_put(out, body.at, body.bytes);
}

/* A component around a module of such functions; it exports nothing. */
static void put_bomb(th_buf *out, unsigned functions, unsigned locals,
                     unsigned branches)
{
    th_auto_buf module = TH_BUF_INIT;
    th_auto_buf types = TH_BUF_INIT;
    th_auto_buf indices = TH_BUF_INIT;
    th_auto_buf code = TH_BUF_INIT;

    th_buf_put(&types, "\1\x60\0\0", 4);
    put_leb(&indices, functions);
    put_leb(&code, functions);
    for (unsigned i = 0; i < functions; i++) {
        th_buf_putc(&indices, 0);
        put_function(&code, locals, branches);
    }
    th_buf_put(&module, "\0asm\1\0\0\0", 8);
    put_section(&module, 1, &types);
    put_section(&module, 3, &indices);
    put_section(&module, 10, &code);
    th_buf_put(out, "\0asm\15\0\1\0", 8);
    put_section(out, 1, &module);
}

TEST(wasm_program, a_bomb_for_the_compiler_is_refused_when_its_time_is_up)
{
    th_auto_buf bomb = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_wasm_options options = {.world = th_world_real(), .compile_ns_max = 20 * TH_MS};
    th_wasm_program *program;

    th_wasm_stage_signals();
    T_EQ(th_wasm_new(&wasm, &options), TH_OK);
    put_bomb(&bomb, 1, 1000, 2000);
    T_EQ(th_wasm_program_new(&program, wasm, th_buf_slice(&bomb), &why), TH_INVALID);
    T_NOT_NULL(strstr(th_buf_text(&why), "takes more than the 0.02 s that it may"));
    while (th_wasm_is_compiling(wasm)) {
        sched_yield(); /* it cannot be ended, but it ends */
    }
    wasm = th_wasm_free(wasm);
}
