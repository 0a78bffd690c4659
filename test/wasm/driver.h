/*
 * What the tests of the engine share: guests, programs, and one process run to its
 * next stop.
 *
 * THOLE_GUESTS (environment) names the folder with the components that build.sh makes;
 * SCRIPT names the expected conversation of script.c.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "fake_host.h"

#define MIB ((size_t)1 << 20)

/* cmocka takes the signals of traps for itself before each test. */
#define TEST(name)                                                                     \
    static void name##_(void **state);                                                 \
    static void name(void **state)                                                     \
    {                                                                                  \
        signals_set();                                                                 \
        name##_(state);                                                                \
    }                                                                                  \
    static void name##_(void **state)

/* The engine of the tests, and what the next instances get; a test may change them for
 * its time. */
extern const th_engine *engine;
extern const th_wlimits limits;
extern const char *tmp_dir;

/* Note what the engine installed; take it back. */
void signals_get(void);
void signals_set(void);

/* Each fails the test if it can't. */
th_wbuf read_file(const char *path);
th_wbuf guest(const char *name);
th_program *program_of(const th_engine *of, const char *name);
th_instance *instance_of(const th_program *program, uint64_t pid, const th_wlimits *of);

/* A process of guest @name on the engine of the tests. */
th_instance *start(const char *name, uint64_t pid);

/* Poll until the process ends, or blocks without a wake. Returns enum th_wstatus. */
int run(th_instance *instance, uint64_t pid, fake_host *host, th_wend *end);

/* Run @name to its end, which must be @status. */
th_wend run_whole(const char *name, fake_host *host, int status);

/* The text of a buffer with a zero byte at its end, which it does not have itself. */
const char *text_of(th_wbuf *buf);
void assert_has(th_wbuf *buf, const char *part);

int64_t now_ns(clockid_t clock);

/* The groups of tests; each returns how many failed. */
int conversation_tests(void);
int process_tests(void);
int program_tests(void);
int wasi_tests(void);

#endif
