#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

#include <stdio.h>

static th_stage stage;
static th_puppet cast;
static th_process *self;

static void set(uint32_t log_bytes_max)
{
    th_stage_set(&stage, 1, 1);
    self = th_stage_doll(&stage, &cast, "test:a");
    cast.entry.limits.log_bytes_max = log_bytes_max;
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

static void print(const char *text)
{
    th_process_output(self, TH_OUTPUT_PRINT, th_slice_str(text));
}

static void check_log(const char *expected)
{
    th_auto_buf log = TH_BUF_INIT;
    th_exit *end = NULL;

    T_EQ(th_kernel_read_log(stage.kernel, th_pid_make(1, 1), &log, &end), TH_OK);
    T_STR(th_buf_text(&log), expected);
    T_NULL(end);
}

TEST(output, lines_are_kept_in_their_order_and_each_ends)
{
    set(1000);
    check_log("");
    print("one");
    print("two\n");
    print("");
    print("three\nfour");
    check_log("one\ntwo\n\nthree\nfour\n");
    check_log("one\ntwo\n\nthree\nfour\n"); /* reading takes nothing away */
    strike();
}

TEST(output, only_the_newest_whole_lines_are_kept)
{
    set(10);
    print("abc");
    print("def");
    print("gh");
    check_log("def\ngh\n");
    print("this line is longer than the ring");
    check_log(" the ring\n");
    print("x");
    check_log("x\n");
    strike();
}

TEST(output, a_process_that_may_keep_nothing_keeps_nothing)
{
    set(0);
    print("abc");
    check_log("");
    strike();
}

/* Against the plain way, for every length of line and each place where it may wrap. */
TEST(output, a_ring_holds_the_end_of_all_that_was_written)
{
    set(64);
    for (unsigned i = 1; i < 300; i++) {
        th_auto_buf log = TH_BUF_INIT;
        char line[80];
        th_exit *end;

        memset(line, 'a' + (char)(i % 26), sizeof line);
        snprintf(line + i % 61, 8, "%u", i);
        print(line);
        T_EQ(th_kernel_read_log(stage.kernel, self->ident.pid, &log, &end), TH_OK);
        T_TRUE(log.bytes <= 64 && log.bytes > strlen(line));
        T_MEM(log.at + log.bytes - strlen(line) - 1, line, strlen(line));
    }
    strike();
}

TEST(output, a_log_survives_its_process_until_it_is_read_with_the_exit)
{
    th_auto_buf log = TH_BUF_INIT;
    th_exit *end = NULL;
    th_pid pid;

    set(1000);
    pid = self->ident.pid;
    print("last words");
    th_stage_end(&stage, self, TH_FAILED);
    T_EQ(th_kernel_read_log(stage.kernel, pid, &log, &end), TH_OK);
    T_STR(th_buf_text(&log), "last words\n");
    T_TRUE(th_slice_is(th_exit_error(end), "so it was told"));
    th_exit_unref(end);
    T_EQ(th_kernel_read_log(stage.kernel, pid, &log, &end), TH_NOT_FOUND);
    strike();
}

TEST(output, of_the_ended_only_the_newest_are_kept_and_the_silent_ones_not_at_all)
{
    th_auto_buf log = TH_BUF_INIT;
    th_pid pids[300];
    th_exit *end;
    int kept = 0;

    set(1000);
    for (int i = 0; i < 300; i++) {
        if (i != 299) {
            print("line");
        }
        pids[i] = self->ident.pid;
        th_stage_end(&stage, self, TH_OK);
        th_stage_leave(&stage);
        self = th_table_find(stage.kernel, th_puppet_spawn(&stage, &cast));
        th_stage_enter(&stage, 0);
    }
    T_EQ(th_kernel_read_log(stage.kernel, pids[0], &log, &end), TH_NOT_FOUND);
    T_EQ(th_kernel_read_log(stage.kernel, pids[299], &log, &end), TH_NOT_FOUND);
    for (int i = 0; i < 300; i++) {
        if (th_kernel_read_log(stage.kernel, pids[i], &log, &end) == TH_OK) {
            th_exit_unref(end);
            kept++;
        }
    }
    T_EQ(kept, 256);
    strike();
}

TEST(output, a_line_that_finds_no_memory_is_lost_and_nothing_else)
{
    set(5000);
    th_mem_fail_after(0);
    print("lost");
    th_mem_fail_never();
    check_log("");
    print("kept");
    check_log("kept\n");
    strike();
}
