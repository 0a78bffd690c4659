#include "base/test.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TESTS_MAX 1000

static struct CMUnitTest tests[TESTS_MAX];
static char names[TESTS_MAX][160];
static size_t n_tests;

typedef struct test_body {
    void (*run)(void);
    const char *name;
} test_body;

static test_body bodies[TESTS_MAX];

static const char *running; /* its name */
static char replay[400];    /* what to say when it fails; empty: nothing */

void th_test_plays(const char *folder, uint64_t seed)
{
    const char *flavour = TH_TEST_IS_SANITIZED ? "asan" : "release";

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    flavour = "tsan";
#endif
#endif
    snprintf(replay, sizeof replay,
             "The last seed that it played: THOLE_SEED=%llu ./x test %s %s '%s'\n",
             (unsigned long long)seed, flavour, folder, running);
}

uint64_t th_test_seed(void)
{
    const char *seed = getenv("THOLE_SEED");

    return seed == NULL ? 0 : strtoull(seed, NULL, 10);
}

static void say_replay(void)
{
    if (write(STDERR_FILENO, replay, strlen(replay)) < 0) {
        return; /* nobody listens */
    }
}

/* An assertion of the code under test, or the end of its time. */
static void on_abort(int number)
{
    say_replay();
    signal(number, SIG_DFL);
    raise(number);
}

/* The sanitizers', where there are any. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static int after(void **state)
{
    (void)state;
    say_replay();
    replay[0] = '\0';
    return 0;
}

static void run_registered(void **state)
{
    const test_body *body = *state;
    int64_t live = th_mem_live();

    th_mem_fail_never(); /* whatever the test before left when it failed */
    running = body->name;
    body->run();
    th_mem_fail_never();
    if (th_mem_live() != live) {
        fail_msg("%lld blocks of memory are left behind",
                 (long long)(th_mem_live() - live));
    }
    replay[0] = '\0'; /* it went well */
}

void th_test_register(const char *module, const char *name, void (*run)(void))
{
    th_assert(n_tests < TESTS_MAX);
    snprintf(names[n_tests], sizeof names[0], "%s: %s", module, name);
    for (char *c = names[n_tests]; *c != '\0'; c++) {
        *c = *c == '_' ? ' ' : *c;
    }
    bodies[n_tests] = (test_body){run, names[n_tests]};
    tests[n_tests] = (struct CMUnitTest){names[n_tests], run_registered, NULL, after,
                                         &bodies[n_tests]};
    n_tests++;
}

/* An argument is a pattern of names: only the tests that match it run. */
int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    th_log_set_level(TH_LOG_ERROR);
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_replay);
    }
    return _cmocka_run_group_tests("thole", tests, n_tests, NULL, NULL);
}
