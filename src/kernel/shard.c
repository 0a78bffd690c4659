#include "base/slab.h"
#include "kernel/checkpoint.h"
#include "kernel/internal.h"

/*
 * A shard: one core's share of the node.
 *
 * Two queues. `fresh` holds what this shard itself woke or made in the present
 * chain of wakes; the newest runs first, while its caches are warm, and nobody
 * else sees it, so that the hot path takes no lock. When the chain has had a slice
 * (the tick raised th_flag), all of it goes behind `fifo`, whose oldest runs next.
 * An idle shard takes from the others' fifos.
 *
 * The node's own modules (th_guest.is_urgent), once woken, stand in a fifo of their
 * own, which comes first: the owner's commands get through however many processes
 * want to run. One that goes on after its slice waits like all others.
 */

#define SPIN_NS_MIN 2000
#define SPIN_NS_MAX 20000
#define COLLECT_EVERY 16 /* loops */
#define CHAIN_MAX 24     /* slices of one chain in simulation */
#define CHECKS_MAX 3000  /* checkpoints of one slice in simulation */

__thread th_shard *th_shard_self;

th_err th_shard_init(th_shard *shard, th_kernel *kernel, int number)
{
    shard->kernel = kernel;
    shard->number = number;
    shard->spin_ns = SPIN_NS_MAX;
    th_list_init(&shard->fresh);
    th_list_init(&shard->fifo);
    th_list_init(&shard->urgent);
    th_wheel_init(&shard->wheel, th_kernel_now(kernel).ns);
    shard->reader = th_epoch_join(&kernel->epoch);
    th_assert(shard->reader != NULL);
    return th_world_parker_new(kernel->config.world, &shard->parker);
}

void th_shard_deinit(th_shard *shard)
{
    th_list rest;

    if (shard->kernel != NULL) {
        th_list_init(&rest);
        th_alarms_drop_all(shard);
        th_wheel_advance(&shard->wheel, INT64_MAX, &rest);
        th_alarms_fire(shard, &rest); /* of processes that are gone */
        th_stacks_deinit(&shard->stacks);
        shard->parker =
            th_world_parker_free(shard->kernel->config.world, shard->parker);
    }
}

/* --- Queues ------------------------------------------------------------------ */

/* May only its shard run it: has it a stack there, or is its host bound to it? */
static bool is_bound(const th_process *process)
{
    return process->stack != NULL || process->ident.host->shard != TH_SHARD_ANY;
}

/* Under the lock. */
static void fifo_remove(th_shard *shard, th_process *process)
{
    th_list_remove(&process->run_link);
    atomic_fetch_sub_explicit(&shard->fifo_count, 1, memory_order_relaxed);
    if (!is_bound(process)) {
        atomic_fetch_sub_explicit(&shard->fifo_free, 1, memory_order_relaxed);
    }
}

static void push(th_shard *shard, th_list *list, th_process *process)
{
    th_spin_lock(&shard->lock);
    th_list_push(list, &process->run_link);
    atomic_fetch_add_explicit(&shard->fifo_count, 1, memory_order_relaxed);
    if (!is_bound(process)) {
        atomic_fetch_add_explicit(&shard->fifo_free, 1, memory_order_relaxed);
    }
    th_spin_unlock(&shard->lock);
}

/* It was woken, or begins. */
static void fifo_push(th_shard *shard, th_process *process)
{
    push(shard, process->guest->is_urgent ? &shard->urgent : &shard->fifo, process);
}

static th_process *fifo_pop(th_shard *shard)
{
    th_list *list = &shard->urgent;
    th_process *process = NULL;

    if (atomic_load_explicit(&shard->fifo_count, memory_order_relaxed) == 0) {
        return NULL;
    }
    th_spin_lock(&shard->lock);
    if (th_list_is_empty(list)) {
        list = &shard->fifo;
    }
    if (!th_list_is_empty(list)) {
        process = th_container_of(list->next, th_process, run_link);
        fifo_remove(shard, process);
    }
    th_spin_unlock(&shard->lock);
    return process;
}

/* Under the lock. */
static th_process *take_free(th_shard *victim, th_list *list)
{
    TH_LIST_EACH(node, list)
    {
        th_process *process = th_container_of(node, th_process, run_link);

        if (!is_bound(process)) {
            fifo_remove(victim, process);
            return process;
        }
    }
    return NULL;
}

/* The oldest process of @victim that may run elsewhere, or NULL. */
static th_process *take_from(th_shard *victim)
{
    th_process *taken;

    if (atomic_load_explicit(&victim->fifo_free, memory_order_relaxed) == 0) {
        return NULL;
    }
    th_spin_lock(&victim->lock);
    taken = take_free(victim, &victim->urgent);
    if (taken == NULL) {
        taken = take_free(victim, &victim->fifo);
    }
    th_spin_unlock(&victim->lock);
    return taken;
}

static th_process *take(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;

    for (unsigned i = 1; i < kernel->shards_count; i++) {
        unsigned victim = ((unsigned)shard->number + i) % kernel->shards_count;
        th_process *process = take_from(&kernel->shards[victim]);

        if (process != NULL) {
            return process;
        }
    }
    return NULL;
}

static void rouse(th_shard *shard)
{
    if (atomic_load(&shard->asleep)) {
        th_world_unpark(shard->kernel->config.world, shard->parker);
    }
}

static void flush_fresh(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;
    bool some = !th_list_is_empty(&shard->fresh);

    shard->chain = 0;
    while (!th_list_is_empty(&shard->fresh)) {
        th_list *oldest = shard->fresh.prev;

        th_list_remove(oldest);
        fifo_push(shard, th_container_of(oldest, th_process, run_link));
    }
    for (unsigned i = 0; some && i < kernel->shards_count; i++) {
        if (atomic_load_explicit(&kernel->shards[i].asleep, memory_order_relaxed)) {
            rouse(&kernel->shards[i]);
            break;
        }
    }
}

static bool chain_is_over(th_shard *shard)
{
    if (th_kernel_is_simulated(shard->kernel)) {
        return shard->chain >= CHAIN_MAX;
    }
    return shard->yield || __atomic_load_n(&th_flag, __ATOMIC_RELAXED) != 0;
}

void th_shard_requeue(th_shard *shard, th_process *process)
{
    atomic_store(&process->phase, TH_PHASE_RUNNABLE);
    push(shard, &shard->fifo, process);
}

/* Put a process that has just become runnable where it is to run. */
static void enqueue(th_process *process)
{
    th_shard *here = th_shard_self;
    th_shard *to = NULL;
    int bound = process->ident.host->shard;

    if (bound != TH_SHARD_ANY) {
        to = &process->kernel->shards[(unsigned)bound % process->kernel->shards_count];
    } else if (here == NULL || here->kernel != process->kernel) {
        to = atomic_load_explicit(&process->shard, memory_order_relaxed);
    }
    if (to == NULL || to == here) {
        th_list_push_first(&here->fresh, &process->run_link);
        return;
    }
    fifo_push(to, process);
    rouse(to);
}

void th_process_wake(th_process *process)
{
    uint32_t waiting = TH_PHASE_WAITING;

    if (atomic_load(&process->phase) == waiting &&
        atomic_compare_exchange_strong(&process->phase, &waiting, TH_PHASE_RUNNABLE)) {
        enqueue(process);
    }
}

bool th_process_put(th_process *process, th_item *item)
{
    if (!th_inbox_put(&process->inbox, item)) {
        return false;
    }
    th_process_wake(process);
    return true;
}

/* --- Picking ------------------------------------------------------------------ */

static void serve_at(th_shard *shard, int64_t now_ns)
{
    th_kernel *kernel = shard->kernel;
    th_list expired;

    th_list_init(&expired);
    shard->now_ns = now_ns;
    th_budget_update(kernel);
    th_alarms_drop_all(shard);
    th_wheel_advance(&shard->wheel, shard->now_ns, &expired);
    th_alarms_fire(shard, &expired);
}

void th_shard_serve(th_shard *shard)
{
    serve_at(shard, th_kernel_now(shard->kernel).ns);
}

/* The chain of wakes had its slice: what it made runnable waits like the rest. */
void th_shard_end_chain(th_shard *shard)
{
    int64_t now_ns = th_kernel_now(shard->kernel).ns;

    th_shard_sample(shard, now_ns);
    serve_at(shard, now_ns);
    flush_fresh(shard);
}

static th_process *pick_one(th_shard *shard)
{
    th_process *process;
    th_list *node;

    if (chain_is_over(shard)) {
        shard->yield = false;
        if (!th_kernel_is_simulated(shard->kernel)) {
            __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
        }
        th_shard_end_chain(shard);
    }
    node = th_list_pop(&shard->fresh);
    if (node != NULL) {
        return th_container_of(node, th_process, run_link);
    }
    shard->chain = 0;
    process = fifo_pop(shard);
    return process != NULL ? process : take(shard);
}

th_process *th_shard_pick(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;
    th_process *process;

    for (;;) {
        if (th_kernel_is_simulated(kernel) && shard->steps == 0) {
            return NULL;
        }
        th_epoch_quiet(&kernel->epoch, shard->reader);
        if (++shard->loops % COLLECT_EVERY == 0) {
            th_epoch_collect(&kernel->epoch, shard->reader);
        }
        process = pick_one(shard);
        if (process == NULL) {
            return NULL;
        }
        shard->chain++;
        shard->steps -= shard->steps > 0;
        atomic_store_explicit(&process->shard, shard, memory_order_relaxed);
        if (!th_process_must_end(process)) {
            return process;
        }
        th_process_finish(process);
    }
}

bool th_shard_has_own_work(th_shard *shard)
{
    return !th_list_is_empty(&shard->fresh) ||
           atomic_load_explicit(&shard->fifo_count, memory_order_relaxed) > 0;
}

bool th_shard_has_work(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;

    if (!th_list_is_empty(&shard->fresh) || atomic_load(&shard->fifo_count) > 0 ||
        atomic_load(&shard->dropped) != NULL) {
        return true;
    }
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        if (atomic_load(&kernel->shards[i].fifo_free) > 0) {
            return true;
        }
    }
    return false;
}

/* --- Sleeping ------------------------------------------------------------------- */

static bool has_call(th_shard *shard)
{
    return th_shard_has_work(shard) || atomic_load(&shard->stop);
}

/* Wait awake for a while: a sleep and its end cost more than what often comes soon. */
static bool spin(th_shard *shard)
{
    int64_t now_ns = th_kernel_now(shard->kernel).ns;
    int64_t until = now_ns + shard->spin_ns;
    int64_t timer = th_wheel_next(&shard->wheel);

    th_shard_sample(shard, now_ns);
    if (timer != 0 && timer < until) {
        until = timer;
    }
    do {
        for (int i = 0; i < 16; i++) {
            if (has_call(shard)) {
                shard->spin_ns = SPIN_NS_MAX;
                return true;
            }
            th_spin_pause();
        }
    } while (th_kernel_now(shard->kernel).ns < until);
    shard->spin_ns =
        shard->spin_ns / 2 < SPIN_NS_MIN ? SPIN_NS_MIN : shard->spin_ns / 2;
    return false;
}

static void wait_for_work(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;
    int64_t timer;

    if (spin(shard)) {
        return;
    }
    th_slab_flush();
    th_epoch_quiet(&kernel->epoch, shard->reader);
    th_epoch_collect(&kernel->epoch, shard->reader);
    timer = th_wheel_next(&shard->wheel);
    atomic_store(&shard->asleep, true);
    if (!has_call(shard)) {
        th_epoch_leave(shard->reader);
        th_world_park(kernel->config.world, shard->parker, (th_mono){timer});
        th_epoch_enter(&kernel->epoch, shard->reader);
    }
    atomic_store(&shard->asleep, false);
    th_ticker_want(kernel);
}

void th_shard_run(void *context)
{
    th_shard *shard = context;
    th_kernel *kernel = shard->kernel;

    th_shard_self = shard;
    atomic_store(&shard->flag, &th_flag);
    th_stacks_init(&shard->stacks, th_loop_entry);
    th_epoch_enter(&kernel->epoch, shard->reader);
    th_ticker_want(kernel);
    while (!atomic_load(&shard->stop)) {
        th_shard_serve(shard);
        th_loop_run(shard);
        wait_for_work(shard);
    }
    th_stacks_deinit(&shard->stacks);
    th_epoch_leave(shard->reader);
    atomic_store(&shard->flag, NULL);
    th_slab_flush();
    th_shard_self = NULL;
}

void th_shard_alert(th_shard *shard)
{
    int *flag = atomic_load(&shard->flag);

    if (flag != NULL) {
        __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
    }
    rouse(shard);
}

/* --- Simulation -------------------------------------------------------------------- */

bool th_shard_step(th_shard *shard)
{
    th_kernel *kernel = shard->kernel;

    th_shard_self = shard;
    if (shard->stacks.entry == NULL) {
        th_stacks_init(&shard->stacks, th_loop_entry);
    }
    th_epoch_enter(&kernel->epoch, shard->reader);
    shard->steps = 1;
    shard->checks =
        1 + (unsigned)(th_world_dice_u64(kernel->config.world) % CHECKS_MAX);
    th_shard_serve(shard);
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    th_loop_run(shard);
    __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
    th_epoch_collect(&kernel->epoch, shard->reader);
    th_epoch_leave(shard->reader);
    th_shard_self = NULL;
    return true;
}

/* --- Outside ------------------------------------------------------------------------- */

static __thread th_epoch_reader *outside_here; /* of the innermost call */

/* Calls may stand in one another, and a thread may call one kernel after another. */
th_epoch_reader *th_outside_enter(th_kernel *kernel)
{
    th_epoch_reader *reader;

    if (th_shard_self != NULL && th_shard_self->kernel == kernel) {
        return NULL; /* a shard is always inside */
    }
    while ((reader = th_epoch_join(&kernel->epoch)) == NULL) {
        th_spin_pause(); /* as many threads are in a call now, each for a moment */
    }
    th_epoch_enter(&kernel->epoch, reader);
    reader->outer = outside_here;
    outside_here = reader;
    return reader;
}

void th_outside_leave(th_kernel *kernel, th_epoch_reader *reader)
{
    if (reader != NULL) {
        outside_here = reader->outer;
        th_epoch_part(&kernel->epoch, reader);
    }
}

th_epoch_reader *th_reader_here(th_kernel *kernel)
{
    if (th_shard_self != NULL && th_shard_self->kernel == kernel) {
        return th_shard_self->reader;
    }
    th_assert(outside_here != NULL);
    return outside_here;
}
