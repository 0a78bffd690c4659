#include "kernel/internal.h"

/*
 * The tick: one thread that raises the flag of every shard that is awake, once a
 * millisecond, so that each looks up from what it runs.
 *
 * It sleeps when all shards sleep: an idle node has no tick. It lingers a little
 * before that, so that a node which works in bursts does not wake it for each.
 */

#define TICK_NS TH_MS
#define LINGER_TICKS 20

static bool raise_flags(th_kernel *kernel)
{
    bool any = false;

    for (unsigned i = 0; i < kernel->shards_count; i++) {
        th_shard *shard = &kernel->shards[i];
        int *flag = atomic_load(&shard->flag);

        if (flag != NULL && !atomic_load(&shard->asleep)) {
            __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
            any = true;
        }
    }
    return any;
}

static bool any_awake(th_kernel *kernel)
{
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        if (!atomic_load(&kernel->shards[i].asleep)) {
            return true;
        }
    }
    return false;
}

static void sleep_until_wanted(th_kernel *kernel)
{
    th_ticker *ticker = &kernel->ticker;

    atomic_store(&ticker->running, false);
    if (!any_awake(kernel) && !atomic_load(&ticker->stop)) {
        th_world_park(kernel->config.world, ticker->parker, (th_mono){0});
    }
    atomic_store(&ticker->running, true);
}

static void run(void *context)
{
    th_kernel *kernel = context;
    th_ticker *ticker = &kernel->ticker;
    th_world *world = kernel->config.world;
    int idle = 0;

    while (!atomic_load(&ticker->stop)) {
        int64_t next = th_world_mono(world).ns + TICK_NS;

        th_world_park(world, ticker->parker, (th_mono){next});
        if (raise_flags(kernel)) {
            idle = 0;
            if (kernel->config.tick != NULL) {
                kernel->config.tick(kernel->config.context);
            }
        } else if (++idle > LINGER_TICKS) {
            sleep_until_wanted(kernel);
            idle = 0;
        }
    }
}

void th_ticker_want(th_kernel *kernel)
{
    th_ticker *ticker = &kernel->ticker;

    if (!atomic_load(&ticker->running) && ticker->parker != NULL) {
        th_world_unpark(kernel->config.world, ticker->parker);
    }
}

th_err th_ticker_start(th_kernel *kernel)
{
    th_ticker *ticker = &kernel->ticker;

    atomic_store(&ticker->stop, false);
    atomic_store(&ticker->running, true);
    return th_world_thread_start(kernel->config.world, &ticker->thread, "thole-tick",
                                 run, kernel);
}

void th_ticker_stop(th_kernel *kernel)
{
    th_ticker *ticker = &kernel->ticker;

    if (ticker->thread != NULL) {
        atomic_store(&ticker->stop, true);
        th_world_unpark(kernel->config.world, ticker->parker);
        th_world_thread_join(kernel->config.world, ticker->thread);
        ticker->thread = NULL;
    }
}
