#include "kernel/internal.h"

#include <unistd.h>

/*
 * The node's memory: who charges what, and what is refused when it gets short.
 *
 * Charged are descriptors, guests' own memory, messages that wait or are owed an
 * answer, open requests, alarms, ties, names and what was printed. A blob is charged
 * once, however many messages hold it. Each shard counts what happened on it, in plain
 * words that are its own; the sum, looked at once a slice and when a guest takes much,
 * sets the level, and that is all that a send reads. So the budget is passed by what one
 * slice can make, at most, for which the watermarks leave room.
 */

/* In sixteenths of the budget: from where on each thing is refused. */
#define SPAWNS_MAX 14
#define SENDS_MAX 15

#define SIMULATED_BYTES (INT64_C(16) << 30)

static int64_t three_quarters_of_the_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);

    return pages <= 0 || bytes <= 0 ? SIMULATED_BYTES : (int64_t)pages * bytes / 4 * 3;
}

void th_budget_init(th_kernel *kernel)
{
    size_t asked = kernel->config.memory_bytes_max;

    if (asked != 0) {
        kernel->budget_bytes = asked > INT64_MAX / 16 ? INT64_MAX / 16 : (int64_t)asked;
    } else if (th_kernel_is_simulated(kernel)) {
        kernel->budget_bytes = SIMULATED_BYTES;
    } else {
        kernel->budget_bytes = three_quarters_of_the_machine();
    }
}

int64_t th_budget_bytes(th_kernel *kernel)
{
    int64_t sum = atomic_load_explicit(&kernel->outside_bytes, memory_order_relaxed);

    for (unsigned i = 0; i < kernel->shards_count; i++) {
        sum += atomic_load_explicit(&kernel->shards[i].bytes, memory_order_relaxed);
    }
    return sum;
}

void th_budget_update(th_kernel *kernel)
{
    int64_t bytes = th_budget_bytes(kernel), sixteenth = kernel->budget_bytes / 16;
    uint32_t level = TH_BUDGET_FREE;

    if (bytes >= kernel->budget_bytes) {
        level = TH_BUDGET_NO_ANSWERS;
    } else if (bytes >= SENDS_MAX * sixteenth) {
        level = TH_BUDGET_NO_SENDS;
    } else if (bytes >= SPAWNS_MAX * sixteenth) {
        level = TH_BUDGET_NO_SPAWNS;
    }
    if (level != atomic_load_explicit(&kernel->budget_level, memory_order_relaxed)) {
        atomic_store_explicit(&kernel->budget_level, level, memory_order_relaxed);
    }
}

bool th_budget_refuses_now(th_kernel *kernel, th_budget_level from)
{
    th_budget_update(kernel);
    return atomic_load_explicit(&kernel->budget_level, memory_order_relaxed) >= from;
}

bool th_process_may_grow(th_process *self, size_t held, size_t more)
{
    th_kernel *kernel = self->kernel;
    uint64_t bytes = atomic_load_explicit(&self->memory_bytes, memory_order_relaxed);
    bool is_small = held < TH_GROWTH_SMALL_BYTES && more < TH_GROWTH_SMALL_BYTES;

    th_budget_update(kernel);
    if (th_budget_refuses(kernel,
                          is_small ? TH_BUDGET_NO_ANSWERS : TH_BUDGET_NO_SENDS) ||
        (int64_t)more > kernel->budget_bytes - th_budget_bytes(kernel)) {
        return false;
    }
    atomic_store_explicit(&self->memory_bytes, bytes + more, memory_order_relaxed);
    th_budget_add(kernel, (int64_t)more);
    return true;
}

int64_t th_budget_blob(th_blob *blob, int sign)
{
    if (blob == NULL) {
        return 0;
    }
    if (sign > 0) {
        bool is_first =
            atomic_fetch_add_explicit(&blob->queued, 1, memory_order_relaxed) == 0;

        return is_first ? (int64_t)blob->bytes : 0;
    }
    if (atomic_fetch_sub_explicit(&blob->queued, 1, memory_order_relaxed) == 1) {
        return -(int64_t)blob->bytes;
    }
    return 0;
}

int64_t th_budget_parts(th_msg *msg, int sign)
{
    return th_budget_blob(msg->body_blob, sign) + th_budget_blob(msg->blob, sign) +
           sign * (int64_t)th_caps_bytes(msg->caps);
}

void th_kernel_figures(th_kernel *kernel, th_figures *out)
{
    *out = (th_figures){.memory_bytes = th_budget_bytes(kernel),
                        .memory_bytes_max = kernel->budget_bytes,
                        .processes = atomic_load(&kernel->table.alive)};
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        out->refused += atomic_load(&kernel->shards[i].refused);
        out->late += atomic_load(&kernel->shards[i].late);
    }
}

bool th_kernel_is_short(th_kernel *kernel)
{
    return th_budget_refuses(kernel, TH_BUDGET_NO_SENDS);
}
