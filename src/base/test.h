/*
 * The test harness: thin macros over cmocka.
 *
 * TEST(module, what_holds) defines a test and registers it; the one main() of the
 * test programs (test_main.c) runs all of its program, prints a line each, and
 * fails a test that leaves memory of th_malloc behind. Only tests include this.
 */
#ifndef TH_BASE_TEST_H
#define TH_BASE_TEST_H

#include "base/err.h"
#include "base/mem.h"

/* clang-format off: cmocka needs these four, in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

void th_test_register(const char *module, const char *name, void (*run)(void));

#define TEST(module, name)                                                             \
    static void test_##module##_##name(void);                                          \
    __attribute__((constructor)) static void register_##module##_##name(void)          \
    {                                                                                  \
        th_test_register(#module, #name, test_##module##_##name);                      \
    }                                                                                  \
    static void test_##module##_##name(void)

/*
 * The running test plays @seed from now on, and lies in src/@folder: should it fail, in
 * whatever way, the command that plays this seed alone is printed.
 */
void th_test_plays(const char *folder, uint64_t seed);

/* The one seed to play, as THOLE_SEED says; 0: all. */
uint64_t th_test_seed(void);

/* Sanitizers make everything slow: there is less to play then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TH_TEST_IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TH_TEST_IS_SANITIZED true
#endif
#endif
#ifndef TH_TEST_IS_SANITIZED
#define TH_TEST_IS_SANITIZED false
#endif

#define T_TRUE(condition) assert_true(condition)
#define T_FALSE(condition) assert_false(condition)
#define T_EQ(a, b) assert_int_equal((intmax_t)(a), (intmax_t)(b))
#define T_NE(a, b) assert_int_not_equal((intmax_t)(a), (intmax_t)(b))
#define T_STR(a, b) assert_string_equal(a, b)
#define T_NULL(a) assert_null(a)
#define T_NOT_NULL(a) assert_non_null(a)
#define T_MEM(a, b, n) assert_memory_equal(a, b, n)

#endif
