#include "core/entry.h"

const th_limits th_limits_default = {
    .memory_bytes_max = (size_t)256 << 20,
    .mailbox_bytes_max = (size_t)256 << 20,
    .mailbox_count_max = 1u << 20,
    .requests_max = 65536,
    .ties_max = 65536,
    .timers_max = 65536,
    .names_max = 1024,
    .log_bytes_max = 64u << 10,
};
