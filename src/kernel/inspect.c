#include "kernel/internal.h"

/*
 * What can be seen of a process from outside, while it runs: counts that its owner keeps
 * in words that anybody may read. None of it is exact for longer than a moment.
 */

void th_shard_sample(th_shard *shard, int64_t now_ns)
{
    int64_t busy_ns = now_ns - shard->now_ns;
    th_process *process = NULL;

    if (busy_ns > 0 && !th_pid_is_none(shard->ran)) {
        process = th_table_find(shard->kernel, shard->ran);
    }
    if (process != NULL) {
        atomic_fetch_add_explicit(&process->cpu_ns, (uint64_t)busy_ns,
                                  memory_order_relaxed);
    }
    if (shard->current == NULL) {
        shard->ran = TH_PID_NONE;
    }
}

/* Borrowed; of one who is gone only its pid. */
static th_ident ident_of(th_kernel *kernel, th_pid pid)
{
    const th_process *process = th_table_find(kernel, pid);

    return process == NULL ? (th_ident){.pid = pid} : process->ident;
}

void th_process_fill_info(const th_process *process, th_process_info *out)
{
    static const char *const phases[] = {"waiting", "runnable", "running", "ended"};
    uint64_t mail = atomic_load(&process->mail);

    *out = (th_process_info){
        .ident = process->ident,
        .state = phases[atomic_load(&process->phase)],
        .mailbox_count = TH_MAIL_COUNT(mail),
        .mailbox_bytes = TH_MAIL_BYTES(mail),
        .memory_bytes = atomic_load(&process->memory_bytes),
        .slices = atomic_load(&process->slices),
        .refused = atomic_load(&process->refused),
        .started = process->started,
        .is_public = process->is_public,
        .hears_stop = atomic_load_explicit(&process->hears_stop, memory_order_relaxed),
        .parent = ident_of(process->kernel, process->parent),
        .cpu_ns = atomic_load(&process->cpu_ns),
    };
    if (out->slices == 0) {
        out->state = "new";
    }
}

static void fill(th_process *process, th_inspection *out)
{
    th_pid asked = {atomic_load(&process->asked_last)};

    *out = (th_inspection){
        .limits = process->limits,
        .is_public = process->is_public,
        .is_held = atomic_load(&process->is_held),
        .is_strict = process->is_strict,
        .traps_links = atomic_load(&process->traps_links),
        .on_exit = th_rights_on_exit(process),
        .caps = th_rights_caps(process),
        .requests = atomic_load(&process->requests_count),
        .questions = atomic_load(&process->held_count),
        .alarms = atomic_load(&process->alarms_count),
        .links = atomic_load(&process->links_count),
        .watches = atomic_load(&process->watches_count),
        .watched = atomic_load(&process->watched_count),
    };
    th_process_fill_info(process, &out->info);
    th_ident_ref(&out->info.ident);
    th_ident_ref(&out->info.parent);
    if (out->requests > 0) {
        out->asked = ident_of(process->kernel, asked);
        th_ident_ref(&out->asked);
    }
}

th_err th_kernel_inspect(th_kernel *kernel, th_pid pid, th_inspection *out)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        fill(process, out);
    }
    th_outside_leave(kernel, reader);
    if (process != NULL && out->caps == NULL) {
        th_inspection_deinit(out);
        return TH_QUOTA;
    }
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

void th_inspection_deinit(th_inspection *inspection)
{
    th_ident_unref(&inspection->info.ident);
    th_ident_unref(&inspection->info.parent);
    th_ident_unref(&inspection->asked);
    inspection->on_exit = th_on_exit_unref(inspection->on_exit);
    inspection->caps = th_caps_unref(inspection->caps);
}
