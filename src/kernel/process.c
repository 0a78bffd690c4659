#include "base/slab.h"
#include "kernel/internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/*
 * The descriptor of a process: how it comes to be and how it goes.
 */

static void free_descriptor(th_retired *retired)
{
    th_process *process = th_container_of(retired, th_process, retired);

    th_exit_unref(process->exit);
    th_exit_unref(atomic_load(&process->kill_exit));
    th_blob_unref(process->args);
    th_ident_unref(&process->ident);
    th_free(process->pid_text);
    th_free(process->requests);
    th_ring_deinit(&process->ring);
    th_slab_free(process, sizeof *process);
}

static th_process *make_descriptor(th_kernel *kernel, const th_process *parent,
                                   const th_spawn *spec)
{
    th_process *process = th_slab_new(sizeof *process);

    if (process == NULL) {
        return NULL;
    }
    memset(process, 0, sizeof *process);
    process->ident = (th_ident){.entry = spec->entry, .host = spec->host};
    process->kernel = kernel;
    process->parent = parent == NULL ? TH_PID_NONE : parent->ident.pid;
    process->guest = spec->entry->guest;
    process->limits = &spec->entry->limits;
    process->package = spec->entry->package_number;
    process->is_public = spec->is_public || spec->entry->is_public;
    process->is_open = spec->entry->is_open;
    process->is_strict = spec->entry->is_strict || process->guest->is_strict;
    atomic_init(&process->is_held, true);
    process->started = th_world_wall(kernel->config.world);
    th_inbox_init(&process->inbox);
    atomic_init(&process->phase, TH_PHASE_RUNNABLE);
    atomic_init(&process->sweep_at, INT64_MAX);
    th_list_init(&process->run_link);
    th_list_init(&process->held);
    th_list_init(&process->ties);
    th_list_init(&process->alarms);
    th_list_init(&process->names);
    process->cancel.item.type = TH_ITEM_CANCEL;
    process->retired.free = free_descriptor;
    if (spec->args.bytes > 0) {
        process->args = th_blob_new(spec->args, th_slice_of(NULL, 0));
    }
    if (spec->name.bytes > 0) {
        process->ident.name = th_blob_new(spec->name, th_slice_of(NULL, 0));
    }
    if ((spec->args.bytes > 0 && process->args == NULL) ||
        (spec->name.bytes > 0 && process->ident.name == NULL)) {
        free_descriptor(&process->retired);
        return NULL;
    }
    return process;
}

/* What a descriptor is charged with from its spawn to its end. */
static int64_t weight(const th_process *process)
{
    return (int64_t)(sizeof *process + th_blob_slice(process->args).bytes +
                     th_blob_slice(process->ident.name).bytes);
}

/* --- Spawn ------------------------------------------------------------------------ */

/* Everything that can be refused before anything is registered. */
static th_err may_spawn(th_kernel *kernel, const th_spawn *spec, th_buf *why)
{
    if (atomic_load_explicit(&kernel->stopping, memory_order_relaxed)) {
        th_buf_puts(why, "the node is stopping");
        return TH_STOPPING;
    }
    if (th_budget_refuses(kernel, TH_BUDGET_NO_SPAWNS)) {
        th_buf_putf(why,
                    "%lld of the node's %lld MB of memory are in use: end some "
                    "processes or give it more",
                    (long long)(th_budget_bytes(kernel) >> 20),
                    (long long)(kernel->budget_bytes >> 20));
        return TH_QUOTA;
    }
    if (spec->args.bytes > spec->entry->limits.mailbox_bytes_max) {
        th_buf_putf(why, "the arguments are %zu bytes, and its mailbox takes %zu",
                    spec->args.bytes, spec->entry->limits.mailbox_bytes_max);
        return TH_QUOTA;
    }
    if (spec->entry->guest->check != NULL && !spec->is_gone) {
        return spec->entry->guest->check(spec->entry, why);
    }
    return TH_OK;
}

static th_err enter_host(th_host *host, th_buf *why)
{
    uint32_t n = atomic_fetch_add_explicit(&host->processes, 1, memory_order_relaxed);

    if (host->processes_max != 0 && n >= host->processes_max) {
        atomic_fetch_sub_explicit(&host->processes, 1, memory_order_relaxed);
        th_buf_putf(why, "the host %.*s has its limit of %u processes",
                    TH_FMT(host->id), host->processes_max);
        return TH_QUOTA;
    }
    return TH_OK;
}

static th_err register_all(th_kernel *kernel, th_process *parent, th_process *child,
                           const th_spawn *spec, th_buf *why)
{
    th_err err = th_table_add(kernel, child);

    if (err != TH_OK) {
        th_buf_putf(why, "the node has its limit of %u processes",
                    kernel->table.alive_max);
        return err;
    }
    err = th_names_claim(child, spec);
    if (err == TH_OK) {
        err = th_rights_born(parent, child, spec);
        if (err == TH_OK && parent != NULL) {
            err = th_tie_born(parent, child, spec->monitored, spec->linked);
        }
        if (err != TH_OK) {
            atomic_store(&child->is_undone, true);
            th_rights_end(child, spec->is_again);
            th_rights_close(child);
            th_names_release(child);
        }
    }
    if (err != TH_OK) {
        th_buf_puts(why, err == TH_EXISTS    ? "its name is taken"
                         : err == TH_INVALID ? "its name is not one"
                                             : "a limit is reached");
        th_table_remove(kernel, child);
    }
    return err;
}

/* Where it is to run: here, or, made from outside, wherever it is its turn. */
static void publish(th_kernel *kernel, th_process *process)
{
    unsigned next =
        atomic_fetch_add_explicit(&kernel->next_shard, 1, memory_order_relaxed);
    th_shard *first = &kernel->shards[next % kernel->shards_count];

    if (th_shard_self != NULL && th_shard_self->kernel == kernel) {
        first = th_shard_self;
    }
    atomic_store_explicit(&process->shard, first, memory_order_relaxed);
    th_table_publish(kernel, process);
}

/* One that survives comes again by its name. */
static th_slice make_name(th_kernel *kernel, char out[24])
{
    int bytes = snprintf(out, 24, "%llu",
                         (unsigned long long)th_world_dice_u64(kernel->config.world));

    return th_slice_of(out, (size_t)bytes);
}

static th_err make(th_kernel *kernel, th_process *parent, const th_spawn *spec,
                   th_process **out, th_buf *why)
{
    th_host *host = (th_host *)spec->host; /* its count of processes alone changes */
    th_process *child;
    th_err err = may_spawn(kernel, spec, why);

    if (err == TH_OK) {
        err = enter_host(host, why);
    }
    if (err != TH_OK) {
        return err;
    }
    child = make_descriptor(kernel, parent, spec);
    err = child == NULL ? TH_QUOTA : register_all(kernel, parent, child, spec, why);
    if (err != TH_OK) {
        atomic_fetch_sub_explicit(&host->processes, 1, memory_order_relaxed);
        if (child == NULL) {
            th_buf_puts(why, "the node's memory ran out");
        } else {
            free_descriptor(&child->retired);
        }
        return err;
    }
    th_budget_add(kernel, weight(child));
    publish(kernel, child);
    *out = child;
    return TH_OK;
}

bool th_spawn_must_save(const th_spawn *spec)
{
    const th_on_exit *on_exit =
        spec->on_exit != NULL ? spec->on_exit : spec->entry->on_exit;

    return !spec->is_again && th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE;
}

/* Held until its record is durable; if that cannot begin, it never was. */
static th_err save_child(th_process *parent, th_process *child, th_saving *saving,
                         th_ident *out, th_buf *why)
{
    th_err err;

    saving->what = TH_SAVE_LIFE;
    err = th_life_save(child, parent->ident.pid, saving);
    if (err != TH_OK) {
        th_buf_puts(why,
                    "its record cannot be made durable now: too much is under way");
        saving->err = err;
        th_process_spawned(parent, child->ident.pid, saving);
        th_ident_unref(out);
    }
    return err;
}

static th_err spawn(th_kernel *kernel, th_process *parent, const th_spawn *wanted,
                    th_ident *out, th_buf *why)
{
    bool saves = parent != NULL && th_spawn_must_save(wanted);
    th_spawn spec = *wanted;
    char name[24];
    th_process *child;
    th_err err;

    if (th_spawn_must_save(wanted) && wanted->name.bytes == 0) {
        spec.name = make_name(kernel, name);
    }
    if (saves && (spec.saving == NULL || kernel->config.save == NULL)) {
        th_buf_puts(why, "what survives the node cannot be kept here");
        return TH_UNSUPPORTED;
    }
    err = make(kernel, parent, &spec, &child, why);
    if (err != TH_OK) {
        return err;
    }
    *out = th_ident_ref(&child->ident);
    if (saves) {
        spec.saving->stays_held = spec.is_held;
        return save_child(parent, child, spec.saving, out, why);
    }
    if (!spec.is_held) {
        th_process_launch(child);
    }
    return TH_OK;
}

th_err th_process_spawn(th_process *self, const th_spawn *spec, th_ident *out,
                        th_buf *why)
{
    return spawn(self->kernel, self, spec, out, why);
}

th_err th_kernel_spawn(th_kernel *kernel, const th_spawn *spec, th_ident *out,
                       th_buf *why)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_err err = spawn(kernel, NULL, spec, out, why);

    th_outside_leave(kernel, reader);
    return err;
}

/* --- End ---------------------------------------------------------------------------- */

void th_process_end(th_process *self, th_exit *exit)
{
    if (self->exit != NULL) {
        th_exit_unref(exit);
        return;
    }
    self->exit = exit;
}

bool th_process_must_end(th_process *process)
{
    return (atomic_load_explicit(&process->asked, memory_order_relaxed) &
            TH_ASKED_KILL) != 0;
}

void th_process_kill(th_process *process, th_exit *exit)
{
    th_exit *none = NULL;

    if (exit == NULL ||
        !atomic_compare_exchange_strong(&process->kill_exit, &none, exit)) {
        th_exit_unref(exit);
    }
    atomic_fetch_or(&process->asked, TH_ASKED_KILL);
    if (atomic_load(&process->phase) == TH_PHASE_RUNNING) {
        th_shard *shard = atomic_load(&process->shard);

        if (shard != NULL) {
            th_shard_alert(shard);
        }
    }
    th_process_launch(process);
    th_process_wake(process);
}

/* How it ended: what it said itself counts before what others asked for. */
static void settle_exit(th_process *process)
{
    if (process->exit == NULL) {
        process->exit = atomic_exchange(&process->kill_exit, NULL);
    }
    if (process->exit == NULL) {
        process->exit =
            th_exit_new(TH_END_KILL, TH_KILLED, TH_SLICE("process terminated"),
                        TH_FORMAT_BYTES, TH_SLICE(""));
    }
}

static void refuse_item(th_process *process, th_item *item)
{
    th_kernel *kernel = process->kernel;

    switch ((th_item_type)item->type) {
    case TH_ITEM_MSG:
        th_mail_discharge(process, th_msg_of(item));
        th_msg_of(item)->hold = TH_HOLD_NONE; /* its guest may have it, too */
        th_route_return(kernel, th_msg_of(item), TH_DIED);
        break;
    case TH_ITEM_ANSWER:
        th_budget_msg(kernel, th_msg_of(item), -1);
        th_msg_unref(th_msg_of(item));
        break;
    case TH_ITEM_REQUEST:
        th_ledger_discard(item);
        break;
    case TH_ITEM_TIMER:
        th_alarm_discard(item);
        break;
    case TH_ITEM_TIE:
        th_tie_refuse(process, item);
        break;
    case TH_ITEM_JOB:
        th_job_drop(kernel, th_container_of(item, th_job, item));
        break;
    case TH_ITEM_CANCEL:
        th_ident_unref(&process->cancel.from);
        process->cancel.text = th_blob_unref(process->cancel.text);
        break;
    case TH_ITEM_REPLY:
    case TH_ITEM_EVENT:
        th_assert(false); /* never in an inbox */
    }
}

static void refuse_all(th_process *process, th_item *item)
{
    while (item != NULL) {
        th_item *next = th_item_next(item);

        refuse_item(process, item);
        item = next;
    }
}

static void return_held(th_process *process)
{
    th_list *node;

    while ((node = th_list_pop(&process->held)) != NULL) {
        th_item *item = th_container_of(node, th_item, link);

        th_mail_discharge(process, th_msg_of(item));
        th_msg_of(item)->hold = TH_HOLD_NONE; /* its guest may have it, too */
        th_route_return(process->kernel, th_msg_of(item), TH_DIED);
    }
}

/* The node hears of it last. */
static void tell_ended(th_process *process, th_ended *ended)
{
    const th_kernel_config *config = &process->kernel->config;

    ended->exit = process->exit;
    ended->is_public = process->is_public;
    ended->has_saved = process->has_saved;
    ended->started = process->started;
    if (th_life_comes_again(ended->life)) {
        ended->caps = th_rights_caps(process);
    }
    if (config->ended != NULL) {
        config->ended(config->context, ended);
    }
    th_caps_unref(ended->caps);
    th_on_exit_unref(ended->on_exit);
    th_rights_close(process);
}

/*
 * Names are free before anybody hears of the end, and whoever hears of it finds it
 * gone.
 */
void th_process_finish(th_process *process)
{
    th_kernel *kernel = process->kernel;
    th_shard *shard = th_shard_self;
    th_ended ended = {.who = &process->ident, .args = process->args};

    settle_exit(process);
    ended.life = th_life_end(process, &ended.on_exit);
    th_output_end(process);
    atomic_store(&process->phase, TH_PHASE_ENDED);
    th_rights_end(process, th_life_comes_again(ended.life));
    th_names_release(process);
    th_table_remove(kernel, process);
    refuse_all(process, process->queue);
    process->queue = NULL;
    refuse_all(process, th_inbox_close(&process->inbox));
    return_held(process);
    th_ledger_end(process);
    th_deadlines_end(process);
    th_ties_end(process);
    if (process->stack != NULL) {
        th_stack_put(&shard->stacks, process->stack);
        process->stack = NULL;
    }
    process->guest->drop(process);
    th_budget_add(kernel, -weight(process) - process->kept -
                              (int64_t)atomic_load(&process->memory_bytes));
    tell_ended(process, &ended);
    th_ident_unref(&process->event_from);
    process->event_exit = th_exit_unref(process->event_exit);
    process->event_text = th_blob_unref(process->event_text);
    atomic_fetch_sub_explicit(&((th_host *)process->ident.host)->processes, 1,
                              memory_order_relaxed);
    th_epoch_retire(&kernel->epoch, shard->reader, &process->retired);
}

/* --- Who am I ------------------------------------------------------------------------ */

const th_ident *th_process_ident(const th_process *self)
{
    return &self->ident;
}

th_kernel *th_process_kernel(const th_process *self)
{
    return self->kernel;
}

void *th_process_state(const th_process *self)
{
    return self->state;
}

void th_process_set_state(th_process *self, void *state)
{
    self->state = state;
}

const th_limits *th_process_limits(const th_process *self)
{
    return self->limits;
}

th_slice th_process_args(const th_process *self)
{
    return th_blob_slice(self->args);
}

th_slice th_process_pid_text(th_process *self)
{
    if (self->pid_text == NULL) {
        th_buf text = TH_BUF_INIT;

        th_kernel_pid_text(self->kernel, &self->ident, &text);
        if (text.failed) {
            th_buf_deinit(&text);
            return TH_SLICE("");
        }
        self->pid_text = text.at;
        self->pid_text_bytes = (uint32_t)text.bytes;
    }
    return th_slice_of(self->pid_text, self->pid_text_bytes);
}

th_mono th_process_now(const th_process *self)
{
    return th_world_mono(self->kernel->config.world);
}

th_wall th_process_wall(const th_process *self)
{
    return th_world_wall(self->kernel->config.world);
}

void th_process_dice(const th_process *self, void *bytes, size_t n)
{
    th_world_dice(self->kernel->config.world, bytes, n);
}
