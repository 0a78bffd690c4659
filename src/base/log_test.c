#include "base/log.h"

#include "base/test.h"

#include <unistd.h>

TEST(log, a_limit_passes_ten_and_then_powers_of_two)
{
    th_log_limit limit = {0};
    uint64_t passed = 0;

    for (uint64_t n = 1; n <= 1000; n++) {
        bool pass = th_log_limit_pass(&limit);

        T_EQ(pass, n <= 10 || n == 16 || n == 32 || n == 64 || n == 128 || n == 256 ||
                       n == 512);
        passed += pass;
    }
    T_EQ(passed, 16);
}

TEST(log, levels_below_the_least_are_not_wanted)
{
    th_log_set_level(TH_LOG_WARN);
    T_FALSE(th_log_wants(TH_LOG_DEBUG));
    T_FALSE(th_log_wants(TH_LOG_INFO));
    T_TRUE(th_log_wants(TH_LOG_WARN));
    T_TRUE(th_log_wants(TH_LOG_ERROR));
    th_log_set_level(TH_LOG_ERROR);
    T_FALSE(th_log_wants(TH_LOG_WARN));
}

/* What @write sends to standard error. */
static size_t caught(char *into, size_t bytes_max, void (*write)(void))
{
    int ends[2];
    int kept = dup(STDERR_FILENO);
    ssize_t got;

    T_EQ(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    write();
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    got = read(ends[0], into, bytes_max);
    close(ends[0]);
    close(kept);
    T_TRUE(got >= 0);
    return (size_t)got;
}

static void write_one(void)
{
    th_log(ERROR, "test.event", "peer=%s n=%d", "a", 7);
    th_log(DEBUG, "test.hidden", "n=%d", 8);
}

static void write_long(void)
{
    th_log(ERROR, "test.long", "%5000d", 1);
}

TEST(log, an_event_is_one_line)
{
    char line[200];
    size_t n = caught(line, sizeof line, write_one);

    line[n] = '\0';
    T_STR(line, "thole: error test.event peer=a n=7\n");
}

TEST(log, a_line_that_is_too_long_is_cut)
{
    char line[8000];
    size_t n = caught(line, sizeof line, write_long);

    T_TRUE(n > 1000 && n <= 2048);
    T_EQ(line[n - 1], '\n');
}
