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

#define T_TRUE(condition) assert_true(condition)
#define T_FALSE(condition) assert_false(condition)
#define T_EQ(a, b) assert_int_equal((intmax_t)(a), (intmax_t)(b))
#define T_NE(a, b) assert_int_not_equal((intmax_t)(a), (intmax_t)(b))
#define T_STR(a, b) assert_string_equal(a, b)
#define T_NULL(a) assert_null(a)
#define T_NOT_NULL(a) assert_non_null(a)
#define T_MEM(a, b, n) assert_memory_equal(a, b, n)

#endif
