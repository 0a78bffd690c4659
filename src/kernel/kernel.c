#include "kernel/kernel.h"

#include "base/mem.h"
#include "kernel/internal.h"

#include <string.h>

/*
 * The kernel as a whole: its parts, started and stopped; what the node asks of it
 * from outside.
 */

static th_err init_parts(th_kernel *kernel, const th_kernel_config *config)
{
    uint32_t processes_max = config->processes_max;
    th_err err;

    if (processes_max == 0 || processes_max > TH_PROCESSES_MAX) {
        processes_max = TH_PROCESSES_MAX;
    }
    th_budget_init(kernel);
    kernel->names_seed = th_world_dice_u64(config->world);
    kernel->identities.seed = kernel->names_seed;
    th_epoch_init(&kernel->epoch);
    err = th_table_init(&kernel->table, processes_max);
    if (err == TH_OK) {
        err = th_world_parker_new(config->world, &kernel->ticker.parker);
    }
    if (err == TH_OK) {
        err = th_world_parker_new(config->world, &kernel->ender);
    }
    for (unsigned i = 0; i < config->shards && err == TH_OK; i++) {
        err = th_shard_init(&kernel->shards[i], kernel, (int)i);
    }
    return err;
}

th_err th_kernel_new(th_kernel **out, const th_kernel_config *config)
{
    th_kernel *kernel;
    th_err err;

    th_assert(config->shards >= 1 && config->shards <= TH_SHARDS_MAX);
    kernel = th_calloc(1, sizeof *kernel);
    if (kernel == NULL) {
        return th_fault(TH_NOMEM, "a kernel of %zu bytes", sizeof *kernel);
    }
    kernel->config = *config;
    kernel->shards_count = config->shards;
    th_records_init(&kernel->records);
    th_identities_init(&kernel->identities);
    atomic_init(&kernel->life, TH_LIFE_RUNNING);
    kernel->node = th_strndup(config->node, strlen(config->node));
    err = kernel->node == NULL ? th_fault(TH_NOMEM, "the node's name")
                               : init_parts(kernel, config);
    if (err != TH_OK) {
        th_kernel_free(kernel);
        return err;
    }
    *out = kernel;
    return TH_OK;
}

/* --- Start and stop --------------------------------------------------------------- */

th_err th_kernel_start(th_kernel *kernel)
{
    th_world *world = kernel->config.world;
    th_err err;

    if (world->is_simulated) {
        return TH_OK;
    }
    kernel->started = true;
    err = th_ticker_start(kernel);
    if (err == TH_OK) {
        err = th_workers_start(kernel);
    }
    for (unsigned i = 0; i < kernel->shards_count && err == TH_OK; i++) {
        th_shard *shard = &kernel->shards[i];

        atomic_store(&shard->stop, false);
        err = th_world_thread_start(world, &shard->thread, "thole-shard", th_shard_run,
                                    shard);
    }
    if (err != TH_OK) {
        th_kernel_stop(kernel);
    }
    return err;
}

static th_exit *stopped(void)
{
    return th_exit_new(TH_END_STOP, TH_STOPPING, TH_SLICE("the node stopped"),
                       TH_FORMAT_BYTES, TH_SLICE(""));
}

static bool kill_each(void *context, th_process *process)
{
    (void)context;
    th_process_kill(process, stopped());
    return true;
}

static void each_process(th_kernel *kernel, bool (*each)(void *, th_process *),
                         void *context)
{
    th_table *table = &kernel->table;
    uint32_t used;

    th_spin_lock(&table->lock);
    used = table->used;
    th_spin_unlock(&table->lock);
    for (uint32_t i = 0; i < used; i++) {
        th_slot *chunk = atomic_load(&table->chunks[i / TH_TABLE_CHUNK]);
        th_process *process =
            chunk == NULL ? NULL : atomic_load(&chunk[i % TH_TABLE_CHUNK].process);

        if (process != NULL && !each(context, process)) {
            return;
        }
    }
}

/* End whatever runs: while the shards run, or stepping them in simulation. */
static void end_all(th_kernel *kernel)
{
    th_epoch_reader *reader;

    atomic_store(&kernel->stopping, true);
    while (atomic_load(&kernel->table.alive) > 0) {
        reader = th_outside_enter(kernel);
        each_process(kernel, kill_each, NULL);
        th_outside_leave(kernel, reader);
        if (kernel->started) {
            th_mono soon = {th_kernel_now(kernel).ns + TH_MS};

            th_world_park(kernel->config.world, kernel->ender, soon);
        } else {
            th_kernel_step(kernel);
        }
    }
}

void th_kernel_stop(th_kernel *kernel)
{
    if (!kernel->started) {
        return;
    }
    if (kernel->shards[kernel->shards_count - 1].thread != NULL) {
        end_all(kernel);
    }
    th_ticker_stop(kernel); /* it writes to words of the shards' threads */
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        th_shard *shard = &kernel->shards[i];

        atomic_store(&shard->stop, true);
        if (shard->thread != NULL) {
            th_world_unpark(kernel->config.world, shard->parker);
            th_world_thread_join(kernel->config.world, shard->thread);
            shard->thread = NULL;
        }
    }
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        th_alarms_drop_all(&kernel->shards[i]); /* given up by others at the last */
    }
    th_workers_stop(kernel);
    kernel->started = false;
}

th_kernel *th_kernel_free(th_kernel *kernel)
{
    th_world *world;

    if (kernel == NULL) {
        return NULL;
    }
    world = kernel->config.world;
    if (atomic_load(&kernel->table.alive) > 0 && !kernel->started) {
        if (!world->is_simulated && th_kernel_start(kernel) != TH_OK) {
            th_assert(false); /* processes that nobody can end */
        }
    }
    th_kernel_stop(kernel);
    end_all(kernel);
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        th_shard_deinit(&kernel->shards[i]);
    }
    if (kernel->ticker.parker != NULL) {
        th_world_parker_free(world, kernel->ticker.parker);
    }
    if (kernel->ender != NULL) {
        th_world_parker_free(world, kernel->ender);
    }
    th_names_deinit(&kernel->registry);
    th_names_deinit(&kernel->chosen);
    th_epoch_deinit(&kernel->epoch);
    th_identities_deinit(&kernel->identities);
    th_records_deinit(&kernel->records);
    th_table_deinit(&kernel->table);
    th_free(kernel->node);
    return th_free(kernel);
}

const char *th_kernel_node(const th_kernel *kernel)
{
    return kernel->node;
}

uint64_t th_kernel_boot(const th_kernel *kernel)
{
    return kernel->config.boot;
}

th_world *th_kernel_world(const th_kernel *kernel)
{
    return kernel->config.world;
}

unsigned th_kernel_shards(const th_kernel *kernel)
{
    return kernel->shards_count;
}

/* --- Processes, from outside ---------------------------------------------------------- */

static th_err end_one(th_kernel *kernel, th_pid pid, th_exit *exit)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        th_process_kill(process, exit);
    } else {
        th_exit_unref(exit);
    }
    th_outside_leave(kernel, reader);
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

th_err th_kernel_kill(th_kernel *kernel, th_pid pid, th_slice text)
{
    return end_one(kernel, pid,
                   th_exit_new(TH_END_KILL, TH_KILLED, text, TH_FORMAT_BYTES,
                               TH_SLICE("")));
}

th_err th_kernel_end(th_kernel *kernel, th_pid pid)
{
    return end_one(kernel, pid, stopped());
}

void th_kernel_poke(th_kernel *kernel, th_pid pid)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        atomic_fetch_or(&process->asked, TH_ASKED_POKE);
        th_process_wake(process);
    }
    th_outside_leave(kernel, reader);
}

bool th_kernel_is_alive(th_kernel *kernel, th_pid pid)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    bool is_alive = th_table_find(kernel, pid) != NULL;

    th_outside_leave(kernel, reader);
    return is_alive;
}

th_err th_kernel_ident(th_kernel *kernel, th_pid pid, th_ident *out)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        *out = th_ident_ref(&process->ident);
    }
    th_outside_leave(kernel, reader);
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

uint32_t th_kernel_count(th_kernel *kernel)
{
    return atomic_load(&kernel->table.alive);
}

static th_slice unique_of(const th_kernel *kernel, const th_ident *who,
                          char out[TH_UNIQUE_BYTES])
{
    if (who->name != NULL) {
        return th_blob_slice(who->name);
    }
    return th_slice_of(out, th_unique_encode(out, kernel->config.boot, who->pid));
}

void th_kernel_pid_text(const th_kernel *kernel, const th_ident *who, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_pid_text text = {.node = th_slice_str(kernel->node),
                        .host = who->host->id,
                        .entry = who->entry->id,
                        .unique = unique_of(kernel, who, unique)};

    th_pid_text_encode(out, &text);
}

void th_kernel_address(const th_kernel *kernel, const th_ident *who, th_address *out,
                       char unique[TH_UNIQUE_BYTES])
{
    *out = (th_address){.node = th_slice_str(kernel->node),
                        .process = unique_of(kernel, who, unique),
                        .package = who->entry->package,
                        .publisher = who->entry->publisher};
}

void th_kernel_address_text(const th_kernel *kernel, const th_ident *who, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_address address;

    th_kernel_address(kernel, who, &address, unique);
    th_address_encode(out, &address);
}

typedef struct each_info {
    th_process_each *each;
    void *context;
} each_info;

static bool show(void *context, th_process *process)
{
    const each_info *with = context;
    th_process_info info;

    th_process_fill_info(process, &info);
    return with->each(with->context, &info);
}
void th_kernel_each(th_kernel *kernel, th_process_each *each, void *context)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    each_info with = {each, context};

    each_process(kernel, show, &with);
    th_outside_leave(kernel, reader);
}

/* --- Simulation ------------------------------------------------------------------------- */

static int64_t next_timer(th_kernel *kernel)
{
    int64_t next = 0;

    for (unsigned i = 0; i < kernel->shards_count; i++) {
        int64_t one = th_wheel_next(&kernel->shards[i].wheel);

        if (one != 0 && (next == 0 || one < next)) {
            next = one;
        }
    }
    return next;
}

bool th_kernel_step(th_kernel *kernel)
{
    unsigned ready[TH_SHARDS_MAX];
    unsigned n = 0;
    int64_t timer;

    for (unsigned i = 0; i < kernel->shards_count; i++) {
        if (th_shard_has_work(&kernel->shards[i])) {
            ready[n++] = i;
        }
    }
    if (n > 0) {
        uint64_t dice = n == 1 ? 0 : th_world_dice_u64(kernel->config.world);

        th_shard_step(&kernel->shards[ready[dice % n]]);
        return true;
    }
    timer = next_timer(kernel);
    if (timer == 0) {
        return false;
    }
    if (timer > th_kernel_now(kernel).ns) {
        th_world_advance(kernel->config.world, (th_mono){timer});
    }
    for (unsigned i = 0; i < kernel->shards_count; i++) {
        th_shard_step(&kernel->shards[i]);
    }
    return true;
}
