#include "base/test.h"
#include "guest/wasm/wasm_bell.h"
#include "guest/wasm/wasm_stage.h"
#include "world/world_real.h"

#include <stdatomic.h>

/*
 * Wasm on real threads: the tick ends slices, and a sleeper is woken from outside. The
 * test's thread sleeps until an actor says that all is seen.
 */

#define WAIT_S 60
#define ROUNDS 50
#define HOGS 5

typedef struct node {
    th_world *world;
    th_parker *parker; /* of the test */
    th_wasm *wasm;
    th_kernel *kernel;
    th_host host;
    _Atomic unsigned ended; /* processes */
    _Atomic unsigned crashed;
} node;

static node it;

static void ended(void *context, const th_ended *what)
{
    const th_exit *exit = what->exit;
    (void)context;
    atomic_fetch_add(&it.crashed, exit == NULL || exit->end == TH_END_CRASH);
    atomic_fetch_add(&it.ended, 1);
    th_world_unpark(it.world, it.parker);
}

static void tick(void *context)
{
    (void)context;
    th_wasm_tick(it.wasm);
}

static void open(void)
{
    th_kernel_config config = {
        .node = "local", .boot = 1, .shards = 2, .ended = ended, .tick = tick};
    th_wasm_options options = {.world = th_world_real()};

    th_wasm_stage_signals();
    memset(&it, 0, sizeof it);
    it.world = config.world = options.world;
    T_EQ(th_world_parker_new(it.world, &it.parker), TH_OK);
    T_EQ(th_wasm_new(&it.wasm, &options), TH_OK);
    T_EQ(th_kernel_new(&it.kernel, &config), TH_OK);
    it.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(it.kernel, &it.host), TH_OK);
    T_EQ(th_kernel_start(it.kernel), TH_OK);
}

static void close_all(void)
{
    th_kernel_stop(it.kernel);
    it.kernel = th_kernel_free(it.kernel);
    it.wasm = th_wasm_free(it.wasm);
    th_world_parker_free(it.world, it.parker);
}

static th_entry entry_of(const char *id, const th_guest *guest, void *program)
{
    return (th_entry){.id = th_slice_str(id),
                      .package = TH_SLICE("test"),
                      .publisher = TH_SLICE("local"),
                      .limits = th_limits_default,
                      .guest = guest,
                      .program = program};
}

static th_wasm_program *program(const char *name)
{
    th_auto_buf component = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_wasm_program *made = NULL;

    th_wasm_stage_read(name, &component);
    if (th_wasm_program_new(&made, it.wasm, th_buf_slice(&component), &why) != TH_OK) {
        fail_msg("%s: %s", name, th_buf_text(&why));
    }
    return made;
}

static th_pid spawn(const th_entry *entry, const char *name)
{
    th_spawn spec = {.entry = entry, .host = &it.host, .name = th_slice_str(name)};
    th_auto_buf why = TH_BUF_INIT;
    th_ident ident;

    if (th_kernel_spawn(it.kernel, &spec, &ident, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    th_blob_unref(ident.name);
    return ident.pid;
}

static void wait_for_ends(unsigned n)
{
    th_mono due = {th_world_mono(it.world).ns + WAIT_S * TH_S};

    while (atomic_load(&it.ended) < n && th_world_mono(it.world).ns < due.ns) {
        th_world_park(it.world, it.parker, due);
    }
    T_TRUE(atomic_load(&it.ended) >= n);
}

/* --- Those who ask, and end when they have seen enough ------------------------------------- */

typedef struct asking {
    const char *name, *body;
    unsigned left, expects_s;
} asking;

static th_err asking_start(th_process *self, th_buf *why)
{
    (void)self;
    (void)why;
    return TH_OK;
}

static void asking_drop(th_process *self)
{
    (void)self;
}

static th_run asking_run(th_process *self)
{
    asking *of = th_process_ident(self)->entry->program;
    th_delivery in;

    if (th_process_next(self, &in)) {
        T_EQ(in.type, TH_ITEM_REPLY);
        T_EQ(th_request_reason(in.request), TH_OK);
        th_request_free(self, in.request);
    }
    if (of->left-- > 0) {
        th_wasm_actor_ask(self, of->name, th_slice_str(of->body), TH_SLICE(""),
                          of->expects_s);
        return of->expects_s > 0 ? TH_RUN_BLOCKED : TH_RUN_YIELDED;
    }
    th_process_end(self, NULL);
    return TH_RUN_ENDED;
}

static const th_guest asking_guest = {.name = "asking",
                                      .start = asking_start,
                                      .run = asking_run,
                                      .drop = asking_drop};

TEST(wasm_threads, endless_loops_on_all_cores_leave_time_for_others)
{
    asking asks = {.name = "echo", .body = "x", .left = ROUNDS, .expects_s = 50};
    th_entry spin, echo, asker = entry_of("test:asker", &asking_guest, &asks);
    th_wasm_program *spins, *echoes;
    th_pid hogs[HOGS];

    open();
    spins = program("spin");
    echoes = program("echo");
    spin = entry_of("test:spin", &th_guest_wasm, spins);
    echo = entry_of("test:echo", &th_guest_wasm, echoes);
    for (int i = 0; i < HOGS; i++) {
        hogs[i] = spawn(&spin, NULL);
    }
    spawn(&echo, "echo");
    spawn(&asker, NULL);
    wait_for_ends(1);
    for (int i = 0; i < HOGS; i++) {
        T_TRUE(th_kernel_is_alive(it.kernel, hogs[i]));
        T_EQ(th_kernel_kill(it.kernel, hogs[i], TH_SLICE("enough")), TH_OK);
    }
    wait_for_ends(1 + HOGS);
    T_EQ(th_kernel_count(it.kernel), 1);
    close_all();
    th_wasm_program_free(spins);
    th_wasm_program_free(echoes);
}

TEST(wasm_threads, a_sleeper_is_woken_from_outside)
{
    asking asks = {.name = "wasi", .body = "sleep", .left = 1};
    th_entry wasi, asker = entry_of("test:asker", &asking_guest, &asks);
    th_wasm_program *sleeper;
    int64_t began;

    open();
    sleeper = program("wasi");
    wasi = entry_of("test:wasi", &th_guest_wasm, sleeper);
    spawn(&wasi, "wasi");
    began = th_world_mono(it.world).ns;
    spawn(&asker, NULL);
    wait_for_ends(2);
    T_EQ(atomic_load(&it.crashed), 0);
    T_TRUE(th_world_mono(it.world).ns - began >= 50 * TH_MS);
    close_all();
    th_wasm_program_free(sleeper);
}

TEST(wasm_threads, a_bell_that_was_taken_down_rings_nobody)
{
    uint64_t first, second;

    open();
    first = th_wasm_bell_hang(it.kernel, (th_pid){12345});
    T_NE(first, 0);
    th_wasm_bell_ring(first);
    th_wasm_bell_take_down(first);
    th_wasm_bell_ring(first);
    second = th_wasm_bell_hang(it.kernel, (th_pid){12345});
    T_NE(second, first);
    th_wasm_bell_take_down(first);
    th_wasm_bell_ring(second);
    th_wasm_bell_take_down(second);
    th_wasm_bell_take_down(0);
    close_all();
}
