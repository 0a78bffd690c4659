/* What a process says to its host, and what it hears. */
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* ---- the script ---- */

static th_wcaps script_caps(void)
{
    th_wcaps caps = {calloc(1, sizeof *caps.ptr), 1};

    caps.ptr[0].issuer = fake_request((th_wbuf){0}).peer;
    caps.ptr[0].params = fake_buf("\"theirs\"");
    return caps;
}

static void script_prepare(fake_host *host)
{
    th_wmsg request = fake_request(fake_buf("a request"));
    th_wmsg response = fake_request(fake_buf("a response"));
    th_wmsg offline = fake_request(fake_buf("came back"));
    th_wmsg late = fake_request(fake_buf("came back too"));

    request.has_metadata = true;
    request.metadata = fake_buf("{\"a\":1}");
    request.caps = script_caps();
    response.kind = TH_W_RESPONSE;
    response.inherit = true;
    response.has_context = true;
    response.context = fake_buf("ctx");
    offline.kind = TH_W_OFFLINE;
    offline.has_context = offline.has_blob = offline.has_mime = true;
    offline.context = fake_buf("ctx of offline");
    offline.mime = fake_buf("x/y");
    offline.blob = fake_buf("blob of offline");
    late.kind = TH_W_TIMEOUT;
    late.is_response = true;
    fake_host_receives(host, request);
    fake_host_receives(host, response);
    fake_host_receives(host, offline);
    fake_host_receives(host, late);

    response = fake_request(fake_buf("an answer"));
    response.kind = TH_W_RESPONSE;
    fake_host_answers(host, response);
    late = fake_request(fake_buf("no answer"));
    late.kind = TH_W_TIMEOUT;
    late.has_blob = true;
    late.blob = fake_buf("blob of no answer");
    fake_host_answers(host, late);

    host->blob = (th_wmsg){.has_blob = true, .has_mime = true};
    host->blob.mime = fake_buf("b/c");
    host->blob.blob = fake_buf("the blob");
}

static void script_run(const char *name, unsigned wait_polls)
{
    fake_host host;
    th_wend end;
    th_wbuf expected;

    fake_host_init(&host);
    script_prepare(&host);
    host.wait_polls = wait_polls;
    end = run_whole(name, &host, TH_W_RETURNED);
    if (getenv("SCRIPT_WRITE") != NULL) {
        FILE *file = fopen(getenv("SCRIPT"), "w");

        fputs(fake_host_text(&host), file);
        fclose(file);
    }
    expected = read_file(getenv("SCRIPT"));
    assert_string_equal(fake_host_text(&host), text_of(&expected));
    fake_buf_free(&expected);
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(every_function_carries_every_field)
{
    (void)state;
    script_run("script.wasm", 0);
}

TEST(every_operation_that_may_wait_gives_the_same_when_it_does)
{
    (void)state;
    script_run("script.wasm", 1);
    script_run("script.wasm", 3);
}

TEST(the_interface_has_a_second_name)
{
    (void)state;
    script_run("hyperware.wasm", 0);
}

TEST(a_host_may_end_a_guest_in_any_operation)
{
    (void)state;
    for (uint32_t op = TH_W_PRINT; op <= TH_W_AWAIT; op++) {
        for (unsigned wait_polls = 0; wait_polls < 3; wait_polls += 2) {
            fake_host host;
            th_wend end;

            fake_host_init(&host);
            script_prepare(&host);
            host.has_trap_op = true;
            host.trap_op = op;
            host.wait_polls = wait_polls;
            end = run_whole("script.wasm", &host, TH_W_TRAPPED);
            assert_has(&end.text, "the host says no");
            fake_buf_free(&end.text);
            fake_host_deinit(&host);
        }
    }
}

/* ---- messages ---- */

TEST(bodies_and_blobs_of_all_sizes_come_back)
{
    static const size_t sizes[] = {0, 1, 65536, 4 * MIB};
    th_instance *instance = start("echo.wasm", 1);
    fake_host host;

    (void)state;
    fake_host_init(&host);
    host.is_quiet = true;
    for (size_t i = 0; i < 4; i++) {
        fake_msg_free(&host.blob);
        host.blob = (th_wmsg){.has_blob = true, .blob = fake_bytes(sizes[3 - i], 'b')};
        fake_host_receives(&host, fake_request(fake_bytes(sizes[i], 'a')));
        assert_int_equal(run(instance, 1, &host, NULL), TH_W_BLOCKED);
        assert_int_equal(host.n_responses, i + 1);
        assert_int_equal(host.response.body.len, sizes[i]);
        assert_int_equal(host.response.blob.len, sizes[3 - i]);
        assert_true(host.response.has_blob && !host.response.has_mime);
        for (size_t at = 0; at < sizes[i]; at++) {
            assert_true(host.response.body.ptr[at] == 'a');
        }
        for (size_t at = 0; at < sizes[3 - i]; at++) {
            assert_true(host.response.blob.ptr[at] == 'b');
        }
    }
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(a_guest_that_frees_does_not_grow)
{
    th_instance *instance = start("echo.wasm", 1);
    uint64_t memory_bytes = 0;
    fake_host host;

    (void)state;
    fake_host_init(&host);
    host.is_quiet = true;
    for (size_t i = 0; i < 5000; i++) {
        host.inbox[0] = fake_request(fake_bytes(i % 1000, 'a'));
        host.inbox_len = 1;
        host.inbox_at = 0;
        assert_int_equal(run(instance, 1, &host, NULL), TH_W_BLOCKED);
        if (i == 1000) {
            memory_bytes = th_instance_memory_bytes(instance);
        }
    }
    assert_int_equal(th_instance_memory_bytes(instance), memory_bytes);
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(a_message_beyond_the_limit_traps)
{
    th_program *program = program_of(engine, "echo.wasm");
    th_wlimits small = limits;
    th_instance *instance;
    fake_host host;
    th_wend end = {0};

    (void)state;
    small.message_bytes_max = 100000;
    instance = instance_of(program, 1, &small);
    fake_host_init(&host);
    host.is_quiet = true;
    fake_host_receives(&host, fake_request(fake_bytes(90000, 'a')));
    fake_host_receives(&host, fake_request(fake_bytes(200000, 'a')));
    assert_int_equal(run(instance, 1, &host, &end), TH_W_TRAPPED);
    assert_int_equal(host.n_responses, 1);
    assert_has(&end.text, "too much data");
    fake_buf_free(&end.text);
    th_instance_free(instance);
    th_program_free(program);
    fake_host_deinit(&host);
}

TEST(a_flood_is_slowed_by_a_host_that_waits)
{
    th_instance *instance = start("flood.wasm", 1);
    fake_host host;

    (void)state;
    fake_host_init(&host);
    host.is_quiet = true;
    host.wait_polls = 1;
    fake_host_receives(&host, fake_request(fake_buf("far.os@a:b:c")));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(th_instance_poll(instance, &host, NULL), TH_W_BLOCKED);
    }
    assert_in_range(host.n_sent, 98, 100);
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(a_spawn_bomb_is_told_when_it_is_enough)
{
    th_instance *instance = start("spawnbomb.wasm", 1);
    fake_host host;

    (void)state;
    fake_host_init(&host);
    host.is_quiet = true;
    host.spawn_max = 1000;
    fake_host_receives(&host, fake_request(fake_buf("/p:p/pkg/bomb.wasm")));
    assert_int_equal(run(instance, 1, &host, NULL), TH_W_RETURNED);
    assert_string_equal(text_of(&host.response.body), "1000");
    th_instance_free(instance);
    fake_host_deinit(&host);
}

/* ---- numbers ---- */

static void print_cost(const char *what, int64_t ns, int n)
{
    print_message("%-44s %8.2f us\n", what, (double)ns / 1000 / n);
}

TEST(costs)
{
    enum { N = 2000 };
    th_program *program = program_of(engine, "echo.wasm");
    th_instance *instance;
    fake_host host;
    int64_t start_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);

    (void)state;
    fake_host_init(&host);
    host.is_quiet = true;
    for (int i = 0; i < N; i++) {
        instance = instance_of(program, 1, &limits);
        th_instance_poll(instance, &host, NULL);
        th_instance_free(instance);
    }
    print_cost("spawn until it waits, and kill",
               now_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns, N);

    instance = instance_of(program, 1, &limits);
    th_instance_poll(instance, &host, NULL);
    start_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < N; i++) {
        th_instance_poll(instance, &host, NULL);
    }
    print_cost("poll of a blocked process", now_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns,
               N);
    start_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < N; i++) {
        host.inbox[0] = fake_request(fake_bytes(100, 'a'));
        host.inbox_len = 1;
        host.inbox_at = 0;
        th_instance_poll(instance, &host, NULL);
    }
    print_cost("message of 100 bytes, in and back out",
               now_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns, N);
    assert_int_equal(host.n_responses, N);
    th_instance_free(instance);
    th_program_free(program);
    fake_host_deinit(&host);
}

int conversation_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_carries_every_field),
        cmocka_unit_test(every_operation_that_may_wait_gives_the_same_when_it_does),
        cmocka_unit_test(the_interface_has_a_second_name),
        cmocka_unit_test(a_host_may_end_a_guest_in_any_operation),
        cmocka_unit_test(bodies_and_blobs_of_all_sizes_come_back),
        cmocka_unit_test(a_guest_that_frees_does_not_grow),
        cmocka_unit_test(a_message_beyond_the_limit_traps),
        cmocka_unit_test(a_flood_is_slowed_by_a_host_that_waits),
        cmocka_unit_test(a_spawn_bomb_is_told_when_it_is_enough),
        cmocka_unit_test(costs),
    };

    return cmocka_run_group_tests_name("conversation", tests, NULL, NULL);
}
