#include "base/test.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TESTS_MAX 1000

static struct CMUnitTest tests[TESTS_MAX];
static char names[TESTS_MAX][160];
static size_t n_tests;

typedef struct test_body {
    void (*run)(void);
} test_body;

static test_body bodies[TESTS_MAX];

static void run_registered(void **state)
{
    const test_body *body = *state;
    int64_t live = th_mem_live();

    th_mem_fail_never(); /* whatever the test before left when it failed */
    body->run();
    th_mem_fail_never();
    if (th_mem_live() != live) {
        fail_msg("%lld blocks of memory are left behind",
                 (long long)(th_mem_live() - live));
    }
}

void th_test_register(const char *module, const char *name, void (*run)(void))
{
    th_assert(n_tests < TESTS_MAX);
    snprintf(names[n_tests], sizeof names[0], "%s: %s", module, name);
    for (char *c = names[n_tests]; *c != '\0'; c++) {
        *c = *c == '_' ? ' ' : *c;
    }
    bodies[n_tests].run = run;
    tests[n_tests] = (struct CMUnitTest){names[n_tests], run_registered, NULL, NULL,
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
    return _cmocka_run_group_tests("thole", tests, n_tests, NULL, NULL);
}
