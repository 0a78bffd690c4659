/* WASI: its clocks, dice, folder and words are the host's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

/* ---- WASI ---- */

static th_wend wasi_run(const char *what, fake_host *host, int status)
{
    fake_host_init(host);
    host->mono_ns = 12345;
    host->wall_ns = 7000000089;
    fake_host_receives(host, fake_request(fake_buf(what)));
    return run_whole("wasi.wasm", host, status);
}

static void wasi_says(const char *what, const char *const *lines)
{
    fake_host host;
    th_wend end = wasi_run(what, &host, TH_W_RETURNED);

    for (; *lines != NULL; lines++) {
        if (strstr(fake_host_text(&host), *lines) == NULL) {
            fail_msg("no %s in:\n%s", *lines, fake_host_text(&host));
        }
    }
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(a_process_may_exit_with_a_code)
{
    fake_host host;
    th_wend end = wasi_run("exit", &host, TH_W_EXITED);

    (void)state;
    assert_int_equal(end.exit_code, 1);
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(the_last_words_follow_the_trap)
{
    fake_host host;
    th_wend end = wasi_run("words", &host, TH_W_TRAPPED);

    (void)state;
    assert_has(&end.text, "unreachable");
    assert_has(&end.text, "line 999");
    assert_null(strstr(text_of(&end.text), "line 100\n"));
    assert_non_null(strstr(fake_host_text(&host), "fd 2: line 0\n"));
    assert_true(end.text.len < 8192);
    fake_buf_free(&end.text);
    fake_host_deinit(&host);
}

TEST(clocks_and_dice_are_the_hosts)
{
    (void)state;
    wasi_says("clocks",
              (const char *const[]){"text=12345", "text=7\n", "text=89", NULL});
    wasi_says("dice", (const char *const[]){"text=72340172838076673", NULL});
    wasi_says("vars",
              (const char *const[]){"text=COLOUR", "text=green", "text=EMPTY", NULL});
}

/* Files are read on another thread: such a poll returns BLOCKED without a wake. */
static void run_patiently(th_instance *instance, uint64_t pid, fake_host *host)
{
    while (run(instance, pid, host, NULL) == TH_W_BLOCKED) {
        usleep(1000);
    }
    th_instance_free(instance);
}

TEST(the_tmp_folder_is_all_there_is_of_the_disk)
{
    char folder[] = "/tmp/engine_test.XXXXXX";
    char made[64];
    fake_host host;

    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const folders[] = {"text=1\n", "text=0\n", "text=0\n"};

        tmp_dir = i == 0 ? mkdtemp(folder) : i == 1 ? "/nowhere" : NULL;
        fake_host_init(&host);
        fake_host_receives(&host, fake_request(fake_buf("folders")));
        run_patiently(start("wasi.wasm", 4), 4, &host);
        assert_non_null(strstr(fake_host_text(&host), folders[i]));
        if (i == 0) {
            assert_non_null(strstr(fake_host_text(&host), "text=/tmp\n"));
            assert_non_null(strstr(fake_host_text(&host), "text=made it\n"));
            assert_non_null(strstr(fake_host_text(&host), "text=refused\n"));
        }
        fake_host_deinit(&host);
    }
    tmp_dir = NULL;
    snprintf(made, sizeof made, "%s/made", folder);
    assert_int_equal(rmdir(made), 0);
    assert_int_equal(rmdir(folder), 0);
}

TEST(a_sleeper_wakes_its_process)
{
    th_instance *instance = start("wasi.wasm", 2);
    unsigned wakes = fake_host_wakes(2);
    int64_t before_ns = now_ns(CLOCK_MONOTONIC);
    fake_host host;

    (void)state;
    fake_host_init(&host);
    fake_host_receives(&host, fake_request(fake_buf("sleep")));
    assert_int_equal(th_instance_poll(instance, &host, NULL), TH_W_BLOCKED);
    while (fake_host_wakes(2) == wakes) {
        usleep(1000);
    }
    assert_true(now_ns(CLOCK_MONOTONIC) - before_ns >= 49000000);
    assert_int_equal(run(instance, 2, &host, NULL), TH_W_RETURNED);
    th_instance_free(instance);
    fake_host_deinit(&host);
}

TEST(a_sleeper_can_be_killed)
{
    th_instance *instance = start("wasi.wasm", 3);
    unsigned wakes;
    fake_host host;

    (void)state;
    fake_host_init(&host);
    fake_host_receives(&host, fake_request(fake_buf("sleep")));
    assert_int_equal(th_instance_poll(instance, &host, NULL), TH_W_BLOCKED);
    th_instance_free(instance);
    wakes = fake_host_wakes(3);
    usleep(100000);
    assert_true(fake_host_wakes(3) <= wakes + 1);
    fake_host_deinit(&host);
}

int wasi_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_may_exit_with_a_code),
        cmocka_unit_test(the_last_words_follow_the_trap),
        cmocka_unit_test(clocks_and_dice_are_the_hosts),
        cmocka_unit_test(the_tmp_folder_is_all_there_is_of_the_disk),
        cmocka_unit_test(a_sleeper_wakes_its_process),
        cmocka_unit_test(a_sleeper_can_be_killed),
    };

    return cmocka_run_group_tests_name("wasi", tests, NULL, NULL);
}
