/* What is a program, and what is refused with which words. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

/* ---- what is not a program ---- */

static th_wbuf refusal(const uint8_t *wasm, size_t bytes)
{
    th_wbuf compiled = {0};
    th_wbuf error = {0};

    assert_false(th_compile(engine, wasm, bytes, &compiled, &error));
    assert_null(compiled.ptr);
    assert_true(error.len > 0);
    return error;
}

static void assert_refused(const char *name, const char *const *parts)
{
    th_wbuf wasm = guest(name);
    th_wbuf error = refusal(wasm.ptr, wasm.len);

    for (; *parts != NULL; parts++) {
        assert_has(&error, *parts);
    }
    fake_buf_free(&wasm);
    fake_buf_free(&error);
}

TEST(a_core_module_is_told_what_to_become)
{
    (void)state;
    assert_refused("strange.core",
                   (const char *const[]){"core module", "thole-component", NULL});
}

TEST(missing_imports_are_all_named)
{
    static const char *const names[] = {
        "acme:thing/one@1.0.0", "acme:thing/two@1.0.0",          "lonely",
        "does not have",        "kinode:process/standard@2.0.0", NULL,
    };

    (void)state;
    assert_refused("strange.wasm", names);
}

TEST(a_component_without_init_is_refused)
{
    (void)state;
    assert_refused("mute.wasm", (const char *const[]){"no function `init`", NULL});
}

TEST(a_damaged_component_is_an_error_and_nothing_worse)
{
    th_wbuf wasm = guest("echo.wasm");
    th_wbuf error;

    (void)state;
    for (size_t bytes = 0; bytes < wasm.len; bytes += 97) {
        error = refusal(wasm.ptr, bytes);
        fake_buf_free(&error);
    }
    for (size_t at = 0; at < wasm.len; at += 61) {
        th_wbuf compiled = {0};

        wasm.ptr[at] ^= 0x55;
        error = (th_wbuf){0};
        th_compile(engine, wasm.ptr, wasm.len, &compiled, &error);
        assert_true(compiled.ptr != NULL || error.len > 0);
        wasm.ptr[at] ^= 0x55;
        fake_buf_free(&error);
        fake_buf_free(&compiled);
    }
    fake_buf_free(&wasm);
}

TEST(a_compiled_file_fits_only_its_engine)
{
    th_wbuf error = {0};
    th_wbuf wasm = guest("echo.wasm");
    th_wbuf compiled = {0};
    const th_engine *other =
        th_engine_new(&(th_engine_options){.is_deterministic = true}, &error);
    char path[] = "/tmp/engine_test.XXXXXX";
    int fd = mkstemp(path);
    th_program *program;

    (void)state;
    assert_true(th_engine_compatibility(engine) != th_engine_compatibility(other));
    assert_true(th_compile(engine, wasm.ptr, wasm.len, &compiled, &error));
    assert_int_equal(write(fd, compiled.ptr, compiled.len), compiled.len);
    close(fd);
    assert_null(th_program_open(other, path, &error));
    assert_true(error.len > 0);
    fake_buf_free(&error);
    assert_null(th_program_open(engine, "/nowhere", &error));
    assert_true(error.len > 0);
    fake_buf_free(&error);
    program = th_program_open(engine, path, &error);
    assert_non_null(program);
    th_program_free(program);
    assert_int_equal(truncate(path, (off_t)compiled.len / 2), 0);
    assert_null(th_program_open(engine, path, &error));
    unlink(path);
    fake_buf_free(&error);
    fake_buf_free(&compiled);
    fake_buf_free(&wasm);
    th_engine_free(other);
}

TEST(an_address_must_be_one)
{
    th_program *program = program_of(engine, "echo.wasm");
    static const char *const wrong[] = {"",          "a:b:c",   "n@a:b",
                                        "n@a:b:c:d", "a:b@c:d", "n@a@b:c"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        th_instance_options options = {.our = wrong[i],
                                       .host = &fake_host_table,
                                       .limits = limits};
        th_wbuf error = {0};

        assert_null(th_instance_new(program, &options, &error));
        assert_has(&error, "not an address");
        fake_buf_free(&error);
    }
    th_program_free(program);
}

int program_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_core_module_is_told_what_to_become),
        cmocka_unit_test(missing_imports_are_all_named),
        cmocka_unit_test(a_component_without_init_is_refused),
        cmocka_unit_test(a_damaged_component_is_an_error_and_nothing_worse),
        cmocka_unit_test(a_compiled_file_fits_only_its_engine),
        cmocka_unit_test(an_address_must_be_one),
    };

    return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
