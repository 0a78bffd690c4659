/* The life and the ends of a process, on each kind of engine. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

/* ---- a ticker ---- */

static atomic_bool is_ticking;
static pthread_t ticker;

static void *tick(void *arg)
{
    while (atomic_load(&is_ticking)) {
        usleep(1000);
        th_engine_tick(arg);
    }
    return NULL;
}

static void ticker_start(void)
{
    atomic_store(&is_ticking, true);
    pthread_create(&ticker, NULL, tick, (void *)engine);
}

static void ticker_stop(void)
{
    atomic_store(&is_ticking, false);
    pthread_join(ticker, NULL);
}

/* ---- ends ---- */

TEST(a_trap_names_the_functions)
{
    fake_host host;
    th_wend end;

    (void)state;
    fake_host_init(&host);
    end = run_whole("trap.wasm", &host, TH_W_TRAPPED);
    assert_has(&end.text, "wasm `unreachable` instruction executed");
    assert_has(&end.text, "innermost");
    assert_has(&end.text, "init");
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(endless_recursion_traps)
{
    fake_host host;
    th_wend end;

    (void)state;
    fake_host_init(&host);
    end = run_whole("deep.wasm", &host, TH_W_TRAPPED);
    if (strstr(text_of(&end.text), "call stack exhausted") == NULL) {
        assert_has(&end.text, "out of bounds"); /* its own stack ended first */
    }
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(memory_ends_at_its_limit)
{
    th_instance *instance = start("bomb.wasm", 1);
    fake_host host;
    th_wend end = {0};

    (void)state;
    fake_host_init(&host);
    assert_int_equal(run(instance, 1, &host, &end), TH_W_TRAPPED);
    assert_non_null(strstr(fake_host_text(&host), "text=63"));
    assert_int_equal(th_instance_memory_bytes(instance), 0);
    fake_buf_free(&end.text);
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(memory_that_a_process_starts_with_is_limited_too)
{
    th_program *program = program_of(engine, "echo.wasm");
    th_wlimits small = limits;
    th_instance *instance;
    fake_host host;
    th_wend end = {0};

    (void)state;
    small.memory_bytes_max = 65536;
    instance = instance_of(program, 1, &small);
    fake_host_init(&host);
    assert_int_equal(run(instance, 1, &host, &end), TH_W_TRAPPED);
    assert_has(&end.text, "exceeds memory limits");
    fake_buf_free(&end.text);
    th_instance_free(instance);

    instance = instance_of(program, 1, &limits);
    assert_int_equal(run(instance, 1, &host, NULL), TH_W_BLOCKED);
    assert_int_equal(th_instance_memory_bytes(instance), 2 * 65536);
    th_instance_free(instance);
    th_program_free(program);
    fake_host_deinit(&host);
}

TEST(a_process_that_ended_only_says_so)
{
    th_instance *instance = start("trap.wasm", 1);
    fake_host host;
    th_wend end = {0};

    (void)state;
    fake_host_init(&host);
    assert_int_equal(th_instance_poll(instance, &host, NULL), TH_W_TRAPPED);
    assert_int_equal(th_instance_poll(instance, &host, &end), TH_W_PANICKED);
    assert_has(&end.text, "after its end");
    fake_buf_free(&end.text);
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(a_blocked_process_can_be_killed)
{
    fake_host host;

    (void)state;
    fake_host_init(&host);
    for (int i = 0; i < 3; i++) {
        th_instance *instance = start("echo.wasm", 1);

        if (i > 0) {
            assert_int_equal(run(instance, 1, &host, NULL), TH_W_BLOCKED);
        }
        assert_null(th_instance_free(instance)); /* the first one never ran */
    }
    assert_null(th_instance_free(NULL));
    assert_null(th_program_free(NULL));
    assert_null(th_engine_free(NULL));
    fake_host_deinit(&host);
}

TEST(a_spinning_process_yields_at_each_tick_and_can_be_killed)
{
    th_instance *instance = start("spin.wasm", 1);
    unsigned wakes = fake_host_wakes(1);
    fake_host host;

    (void)state;
    fake_host_init(&host);
    ticker_start();
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(th_instance_poll(instance, &host, NULL), TH_W_BLOCKED);
        assert_int_equal(fake_host_wakes(1), wakes + i);
    }
    ticker_stop();
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(processes_may_change_their_thread)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        th_instance *instance = start("echo.wasm", 1);
        fake_host host;

        fake_host_init(&host);
        assert_int_equal(run(instance, 1, &host, NULL), TH_W_BLOCKED);
        pthread_create(&thread, NULL, (void *(*)(void *))th_instance_free, instance);
        pthread_join(thread, NULL);
        fake_host_deinit(&host);
    }
}

/* ---- other engines ---- */

/* The slices that @name takes to its end, at most @slices_max. */
static unsigned deterministic_slices(const char *name, uint64_t slice_fuel,
                                     unsigned slices_max)
{
    th_wbuf error = {0};
    const th_engine *of =
        th_engine_new(&(th_engine_options){.is_deterministic = true}, &error);
    th_program *program = program_of(of, name);
    th_wlimits counted = limits;
    th_instance *instance;
    unsigned n = 0;
    fake_host host;

    counted.slice_fuel = slice_fuel;
    instance = instance_of(program, 1, &counted);
    th_engine_free(of);
    th_program_free(program);
    fake_host_init(&host);
    while (n < slices_max) {
        unsigned wakes = fake_host_wakes(1);

        n++;
        th_engine_tick(engine);
        if (th_instance_poll(instance, &host, NULL) != TH_W_BLOCKED) {
            break;
        }
        assert_int_equal(fake_host_wakes(1), wakes + 1);
    }
    th_instance_free(instance);
    fake_host_deinit(&host);
    return n;
}

TEST(a_deterministic_engine_counts_its_slices)
{
    unsigned n_short = deterministic_slices("bomb.wasm", 20, 1000);
    unsigned n_long = deterministic_slices("bomb.wasm", 200, 1000);

    (void)state;
    assert_int_equal(deterministic_slices("spin.wasm", 100000, 50), 50);
    assert_int_equal(deterministic_slices("bomb.wasm", 20, 1000), n_short);
    assert_in_range(n_long, 2, n_short / 4);
}

TEST(an_engine_for_many_processes_runs_the_same)
{
    th_engine_options options = {.many_processes = true};
    th_wbuf error = {0};
    const th_engine *usual = engine;

    (void)state;
    engine = th_engine_new(&options, &error);
    assert_non_null(engine);
    assert_true(th_engine_compatibility(engine) != th_engine_compatibility(usual));
    a_trap_names_the_functions(NULL);
    endless_recursion_traps(NULL);
    memory_ends_at_its_limit(NULL);
    th_engine_free(engine);
    engine = usual;
}

int process_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trap_names_the_functions),
        cmocka_unit_test(endless_recursion_traps),
        cmocka_unit_test(memory_ends_at_its_limit),
        cmocka_unit_test(memory_that_a_process_starts_with_is_limited_too),
        cmocka_unit_test(a_process_that_ended_only_says_so),
        cmocka_unit_test(a_blocked_process_can_be_killed),
        cmocka_unit_test(a_spinning_process_yields_at_each_tick_and_can_be_killed),
        cmocka_unit_test(processes_may_change_their_thread),
        cmocka_unit_test(a_deterministic_engine_counts_its_slices),
        cmocka_unit_test(an_engine_for_many_processes_runs_the_same),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
