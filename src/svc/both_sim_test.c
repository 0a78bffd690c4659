#include "base/mem.h"
#include "base/test.h"
#include "guest/lua/lua_guest.h"
#include "guest/lua/program.h"
#include "guest/wasm/wasm_engine.h"
#include "svc/both_sim.h"
#include "world/world_sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * 10,000 seeds of a workload of both guest kinds, each a whole life of a kernel: the
 * promises of witness/witness.h hold, what is relayed stays in order, every request ends
 * once, and in the end nothing is left. And a seed plays the same again, byte for byte.
 *
 * THOLE_SEED=N plays that seed alone, and shows its trace.
 */

#define SEEDS (TH_TEST_IS_SANITIZED ? 500u : 10000u)
#define STEPS 2000       /* of the kernel, in which puppets act */
#define STEPS_MAX 200000 /* by then all has come to rest */
#define PUPPETS_LEAST 3

static th_world *ground; /* the engine's, whose programs serve all seeds */
static th_wasm *wasm;
static th_wasm_program *wasm_program;
static th_lua_program *lua_program;

/* --- What is made once ---------------------------------------------------------------- */

static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE};
static struct sigaction engine_actions[3];
static bool has_actions;

/* cmocka takes the signals of traps for itself before each test. */
static void give_signals_back(void)
{
    for (int i = 0; i < 3; i++) {
        sigaction(trap_signals[i], has_actions ? &engine_actions[i] : NULL,
                  has_actions ? NULL : &engine_actions[i]);
    }
    has_actions = true;
}

static void read_file(const char *path, th_buf *out)
{
    FILE *file = fopen(path, "rb");
    int c;

    if (file == NULL) {
        fail_msg("no file %s", path);
    }
    while ((c = fgetc(file)) != EOF) {
        th_buf_putc(out, (char)c);
    }
    fclose(file);
}

static void open_ground(void)
{
    th_wasm_options options = {0};
    th_auto_buf component = TH_BUF_INIT, why = TH_BUF_INIT;
    char path[1024];

    T_EQ(th_world_sim_new(&ground, 1), TH_OK);
    options.world = ground;
    T_EQ(th_wasm_new(&wasm, &options), TH_OK);
    T_NOT_NULL(getenv("THOLE_GUESTS"));
    snprintf(path, sizeof path, "%s/actor.wasm", getenv("THOLE_GUESTS"));
    read_file(path, &component);
    if (th_wasm_program_new(&wasm_program, wasm, th_buf_slice(&component), &why) !=
        TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    give_signals_back();
}

static void close_ground(void)
{
    wasm_program = th_wasm_program_free(wasm_program);
    wasm = th_wasm_free(wasm);
    ground = th_world_sim_free(ground);
}

/* --- A seed ---------------------------------------------------------------------------- */

static void make_lua(th_buf *text)
{
    const char *here = __FILE__, *end = strstr(here, "src/svc/");
    th_lua_source source = {.name = TH_SLICE("sim_actor.lua"),
                            .hash_seed = (uint32_t)th_world_dice_u64(both.world)};
    th_auto_buf why = TH_BUF_INIT;
    char path[1024];

    snprintf(path, sizeof path, "%.*stest/lua/sim_actor.lua", (int)(end - here), here);
    read_file(path, text);
    source.text = th_buf_slice(text);
    if (th_lua_program_new(&lua_program, &source, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
}

static void add_entries(void)
{
    static const struct {
        const char *id, *package;
        const th_guest *guest;
        uint32_t number;
    } all[BOTH_KINDS] = {{"p0:parks", "p0", &both_parks, 0},
                         {"p1:yields", "p1", &both_yields, 1},
                         {"p1:lua", "p1", &th_guest_lua, 1},
                         {"p1:wasm", "p1", &th_guest_wasm, 1}};

    for (int i = 0; i < BOTH_KINDS; i++) {
        both.entries[i] = (th_entry){.id = th_slice_str(all[i].id),
                                     .package = th_slice_str(all[i].package),
                                     .publisher = TH_SLICE("local"),
                                     .package_number = all[i].number,
                                     .is_public = i != BOTH_LUA,
                                     .limits = {.memory_bytes_max = 4 << 20,
                                                .mailbox_bytes_max = 256 * 1024,
                                                .mailbox_count_max = 24,
                                                .requests_max = 6,
                                                .ties_max = 12,
                                                .timers_max = 4,
                                                .names_max = 2,
                                                .log_bytes_max = 300},
                                     .guest = all[i].guest};
    }
    both.entries[BOTH_LUA].program = lua_program;
    both.entries[BOTH_WASM].program = wasm_program;
    both.entries[BOTH_WASM].file = TH_SLICE("actor.wasm");
    for (int i = 0; i < BOTH_KINDS; i++) {
        T_EQ(th_kernel_add_entry(both.kernel, &both.entries[i]), TH_OK);
    }
}

static void set_stage(uint64_t seed, bool is_traced)
{
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .shards = 1 + (unsigned)(seed % 3),
                               .memory_bytes_max = seed % 5 == 0 ? 3 << 20 : 64 << 20,
                               .output = both_output,
                               .ended = both_ended};
    th_auto_buf text = TH_BUF_INIT;

    memset(&both, 0, sizeof both);
    both.is_traced = is_traced;
    both.witness = th_witness_new(is_traced);
    T_EQ(th_world_sim_new(&both.world, seed), TH_OK);
    config.world = both.world;
    T_EQ(th_kernel_new(&both.kernel, &config), TH_OK);
    both.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(both.kernel, &both.host), TH_OK);
    make_lua(&text);
    add_entries();
}

/* From outside, as the node does. */
static void spawn(both_kind kind)
{
    th_spawn spec = {.entry = &both.entries[kind], .host = &both.host};
    th_auto_buf why = TH_BUF_INIT;
    th_ident made;

    if (th_kernel_spawn(both.kernel, &spec, &made, &why) == TH_OK) {
        both_know(&made);
        th_blob_unref(made.name);
    } else {
        T_TRUE(why.bytes > 0);
    }
}

static bool is_wrong(void)
{
    return both.wrong[0] != '\0' || th_witness_wrong(both.witness)[0] != '\0';
}

static void act(void)
{
    for (int i = 0; i < STEPS && !is_wrong(); i++) {
        if (both.puppets < PUPPETS_LEAST && both.people_count < BOTH_LIVES_MAX) {
            spawn((both_kind)(th_world_dice_u64(both.world) % 2));
        }
        if (!th_kernel_step(both.kernel)) {
            break;
        }
    }
}

static void run_until_rest(void)
{
    for (int i = 0; th_kernel_step(both.kernel) && !is_wrong(); i++) {
        if (i == STEPS_MAX) {
            both_wrong("it does not come to rest", TH_PID_NONE, TH_PID_NONE, 0);
        }
    }
}

static void poke_puppets(void)
{
    for (unsigned i = 0; i < both.people_count; i++) {
        if (both.people[i].kind <= BOTH_YIELDS) {
            th_kernel_poke(both.kernel, both.people[i].pid);
        }
    }
}

/* Who began it ended before it could tell, and it said nothing yet. */
static bool know_too(void *context, const th_process_info *info)
{
    (void)context;
    both_know(&info->ident);
    return true;
}

static void close_down(void)
{
    both.is_closing = true;
    for (int i = 0; i < 2; i++) { /* again, for whoever held something back meanwhile */
        poke_puppets();
        run_until_rest();
    }
    th_kernel_each(both.kernel, know_too, NULL);
    if (!is_wrong()) {
        th_witness_settle(both.witness);
        both_check_books();
    }
}

/* Everybody ends; nothing is charged to nobody. */
static void strike(void)
{
    th_figures figures;

    for (unsigned i = 0; i < both.people_count; i++) {
        th_kernel_kill(both.kernel, both.people[i].pid, TH_SLICE("end"));
    }
    for (int i = 0; i < STEPS_MAX && th_kernel_step(both.kernel); i++) {
    }
    th_kernel_figures(both.kernel, &figures);
    if (figures.processes != 0) {
        both_wrong("a process does not end", TH_PID_NONE, TH_PID_NONE,
                   figures.processes);
    }
    if (figures.memory_bytes != 0) {
        both_wrong("bytes are charged to nobody", TH_PID_NONE, TH_PID_NONE,
                   (uint32_t)figures.memory_bytes);
    }
    both.kernel = th_kernel_free(both.kernel);
    lua_program = th_lua_program_free(lua_program);
    both.world = th_world_sim_free(both.world);
}

static void judge(uint64_t seed)
{
    const char *wrong = th_witness_wrong(both.witness);

    if (is_wrong()) {
        fail_msg("seed %llu: %s", (unsigned long long)seed,
                 wrong[0] != '\0' ? wrong : both.wrong);
    }
}

/* What was told stays in `both`, until forget. */
static void play(uint64_t seed, bool is_traced)
{
    int64_t live = th_mem_live();

    th_test_plays("svc", seed);
    set_stage(seed, is_traced);
    act();
    close_down();
    strike();
    if (is_traced) {
        th_slice told = th_witness_trace(both.witness);

        th_buf_put(&both.trace, told.at, told.bytes);
    } else if (th_mem_live() > live + 4) { /* the witness's */
        both_wrong("memory is left", TH_PID_NONE, TH_PID_NONE,
                   (uint32_t)(th_mem_live() - live));
    }
}

static void forget(void)
{
    both.witness = th_witness_free(both.witness);
    th_buf_deinit(&both.trace);
}

TEST(both_kinds, whatever_processes_do_to_one_another_the_kernel_keeps_its_promises)
{
    unsigned told[BOTH_KINDS] = {0}, answered[BOTH_KINDS] = {0};
    uint64_t first = th_test_seed() > 0 ? th_test_seed() : 1;
    uint64_t last = th_test_seed() > 0 ? th_test_seed() : SEEDS;

    open_ground();
    for (uint64_t seed = first; seed <= last; seed++) {
        play(seed, th_test_seed() > 0);
        if (th_test_seed() > 0) {
            fputs(th_buf_text(&both.trace), stderr);
        }
        for (int i = 0; i < BOTH_KINDS; i++) {
            told[i] += both.told[i];
            answered[i] += both.answered[BOTH_PARKS][i];
        }
        judge(seed);
        forget();
    }
    for (int i = 0; i < BOTH_KINDS && th_test_seed() == 0;
         i++) { /* it was no empty house */
        T_TRUE(told[i] > 50 * SEEDS);
        T_TRUE(answered[i] > SEEDS);
    }
    close_ground();
}

static void same(const th_buf *first, const th_buf *second)
{
    const char *a = th_buf_text(first), *b = th_buf_text(second);

    while (*a != '\0' && strcspn(a, "\n") == strcspn(b, "\n") &&
           memcmp(a, b, strcspn(a, "\n") + 1) == 0) {
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    if (*a != *b || strcmp(a, b) != 0) {
        fail_msg("one run says\n%.*s\nand the other\n%.*s", (int)strcspn(a, "\n"), a,
                 (int)strcspn(b, "\n"), b);
    }
}

TEST(both_kinds, a_seed_plays_the_same_again_byte_for_byte)
{
    open_ground();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        th_auto_buf first = TH_BUF_INIT;

        play(seed, true);
        judge(seed);
        first = both.trace;
        both.trace = TH_BUF_INIT;
        forget();
        play(seed, true);
        T_TRUE(first.bytes > 10000);
        same(&first, &both.trace);
        forget();
    }
    close_ground();
}
