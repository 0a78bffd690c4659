#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES_MAX 2048

static _Atomic int level_least = TH_LOG_WARN;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void th_log_set_level(th_log_level least)
{
    atomic_store_explicit(&level_least, (int)least, memory_order_relaxed);
}

bool th_log_wants(th_log_level level)
{
    return (int)level >= atomic_load_explicit(&level_least, memory_order_relaxed);
}

void th_log_write(th_log_level level, const char *event, const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    va_list args;
    int n;

    n = snprintf(line, sizeof line, "thole: %s %s ", level_names[level], event);
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    if (n > LINE_BYTES_MAX - 2) {
        n = LINE_BYTES_MAX - 2;
    }
    line[n] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)n + 1);
}

bool th_log_limit_pass(th_log_limit *limit)
{
    uint64_t n = atomic_fetch_add_explicit(&limit->seen, 1, memory_order_relaxed) + 1;

    return n <= 10 || (n & (n - 1)) == 0;
}
