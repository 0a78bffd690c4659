/*
 * The node's log: one line an event, on standard error.
 *
 * th_log(WARN, "net.refused", "peer=%s", ...): a stable dotted event, then
 * key=value. The one who decides logs. What a stranger can trigger goes through
 * th_log_limited. Never a payload, never a key. A process's own output does not
 * come here: each process has a log of its own.
 *
 * Thread: any. A line is written with one write.
 */
#ifndef TH_BASE_LOG_H
#define TH_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

typedef enum th_log_level {
    TH_LOG_DEBUG,
    TH_LOG_INFO,
    TH_LOG_WARN,
    TH_LOG_ERROR,
} th_log_level;

/* Lines below @least are not written. The default is WARN. */
void th_log_set_level(th_log_level least);

bool th_log_wants(th_log_level level);

void th_log_write(th_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define th_log(level, event, ...)                                                      \
    (th_log_wants(TH_LOG_##level) ? th_log_write(TH_LOG_##level, event, __VA_ARGS__)   \
                                  : (void)0)

/* Lets 10 lines through, then one for each power of two of lines kept back. */
typedef struct th_log_limit {
    _Atomic uint64_t seen;
} th_log_limit;

bool th_log_limit_pass(th_log_limit *limit);

#define th_log_limited(limit, level, event, ...)                                       \
    (th_log_wants(TH_LOG_##level) && th_log_limit_pass(limit)                          \
         ? th_log_write(TH_LOG_##level, event, __VA_ARGS__)                            \
         : (void)0)

#endif
