#include "kernel/internal.h"

/*
 * What follows when a process ends, and what survives it (core/life.h). The kernel
 * sends the requests of its on-exit, while it still has its rights, and keeps its name
 * where it comes again; to start it again is the node's (th_kernel_config.ended).
 */

/* --- The end --------------------------------------------------------------------------- */

static th_msg *make_request(const th_on_exit_request *request)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .format = TH_FORMAT_BYTES,
                          .body_blob = request->body,
                          .metadata = request->metadata,
                          .blob = request->blob,
                          .caps = request->caps};

    parts.flags = (uint8_t)((request->has_metadata ? TH_MSG_METADATA : 0) |
                            (request->inherit ? TH_MSG_INHERIT : 0));
    return th_msg_new(&parts);
}

/* A target that is gone, or that it may not send to, gets nothing (text 002). */
static void fire_one(th_process *process, const th_on_exit_request *request)
{
    th_msg *msg = make_request(request);
    th_pid to = TH_PID_NONE;
    th_id_error error;
    th_err err;

    if (msg == NULL) {
        th_fault(TH_NOMEM, "a request of an on-exit was not sent");
        return;
    }
    err = th_names_resolve(process->kernel, request->target, &to, &error);
    if (err == TH_OK) {
        err = th_process_send(process, to, msg);
    }
    if (err != TH_OK) {
        th_process_note_refused(process, to, err);
        th_msg_unref(msg);
    }
}

const th_life_row *th_life_end(th_process *process, th_on_exit **on_exit)
{
    const th_exit *exit = process->exit;
    const th_life_row *row;

    *on_exit = th_process_on_exit(process);
    row = th_life_after(th_on_exit_kind_of(*on_exit),
                        exit == NULL ? TH_END_CRASH : exit->end,
                        (th_life_node)atomic_load(&process->kernel->life));
    if (row->act == TH_LIFE_FIRE) {
        for (size_t i = 0; i < th_on_exit_count(*on_exit); i++) {
            fire_one(process, th_on_exit_at(*on_exit, i));
        }
    }
    return row;
}

bool th_life_comes_again(const th_life_row *row)
{
    return row->act == TH_LIFE_RESTART || row->act == TH_LIFE_FIRE_LATER ||
           row->act == TH_LIFE_KEEP;
}

void th_kernel_set_life(th_kernel *kernel, th_life_node node)
{
    atomic_store(&kernel->life, (uint32_t)node);
}

/* --- Held processes ---------------------------------------------------------------------- */

void th_process_launch(th_process *process)
{
    if (atomic_exchange(&process->is_held, false)) {
        atomic_store(&process->phase, TH_PHASE_WAITING);
        th_process_wake(process);
    }
}

th_err th_kernel_launch(th_kernel *kernel, th_pid pid)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        th_process_launch(process);
    }
    th_outside_leave(kernel, reader);
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

/* The record of @child is kept, or it is as if it had never been. */
static th_err settle_child(th_process *child, const th_saving *saving)
{
    if (saving->err != TH_OK) {
        atomic_store(&child->is_undone, true);
        th_process_set_on_exit(child, NULL);
        th_process_kill(child, NULL);
    } else if (!saving->stays_held) {
        th_process_launch(child);
    }
    return saving->err;
}

th_err th_process_spawned(th_process *self, th_pid child, const th_saving *saving)
{
    th_process *process = th_table_find(self->kernel, child);

    if (process == NULL) {
        return saving->err; /* killed meanwhile */
    }
    if (saving->err != TH_OK) {
        th_process_unmonitor(self, child);
        th_process_unlink(self, child);
    }
    return settle_child(process, saving);
}

/* Its spawner ended before it could hear: the child lives as others whose did. */
static void settle_orphan(th_kernel *kernel, const th_saving *saving)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *child = th_table_find(kernel, saving->pid);

    if (child != NULL) {
        settle_child(child, saving);
    }
    th_outside_leave(kernel, reader);
}

void th_job_drop(th_kernel *kernel, th_job *job)
{
    if (job->is_spawn) {
        settle_orphan(kernel, th_container_of(job, th_saving, job));
    }
    job->dropped(job);
}

/* --- Saving ------------------------------------------------------------------------------- */

static bool fill_life(th_process *process, th_saving *saving)
{
    saving->on_exit = th_process_on_exit(process);
    saving->caps = th_rights_caps(process);
    saving->args = th_blob_ref(process->args);
    saving->entry = process->ident.entry;
    saving->host = process->ident.host;
    saving->is_public = process->is_public;
    return saving->caps != NULL;
}

th_err th_life_save(th_process *process, th_pid owner, th_saving *saving)
{
    th_kernel *kernel = process->kernel;
    bool is_full = false;
    th_err err;

    if (kernel->config.save == NULL) {
        return TH_UNSUPPORTED;
    }
    saving->job.item.type = TH_ITEM_JOB;
    saving->job.owner = owner;
    saving->job.kernel = kernel;
    saving->job.is_spawn =
        !th_pid_is_none(owner) && !th_pid_eq(owner, process->ident.pid);
    saving->pid = process->ident.pid;
    saving->err = TH_OK;
    th_buf_clear(&saving->id);
    th_process_put_id(process, &saving->id);
    is_full = saving->id.failed;
    if (saving->what == TH_SAVE_LIFE) {
        is_full |= !fill_life(process, saving);
    } else {
        process->has_saved = true;
    }
    err = is_full ? TH_QUOTA : kernel->config.save(kernel->config.context, saving);
    return err;
}

th_err th_process_save(th_process *self, th_saving *saving)
{
    return th_life_save(self, self->ident.pid, saving);
}

th_err th_kernel_save(th_kernel *kernel, th_pid pid, th_pid owner, th_saving *saving)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);
    th_err err = TH_NOT_FOUND;

    saving->what = TH_SAVE_LIFE;
    if (process != NULL) {
        err = th_life_save(process, owner, saving);
    }
    th_outside_leave(kernel, reader);
    return err;
}

th_err th_kernel_set_on_exit(th_kernel *kernel, th_pid pid, th_on_exit *on_exit)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);
    th_err err = TH_NOT_FOUND;

    if (process != NULL) {
        err = th_process_set_on_exit(process, on_exit);
    }
    th_outside_leave(kernel, reader);
    return err;
}

th_err th_kernel_load_state(th_kernel *kernel, th_slice id, th_saving *saving)
{
    if (kernel->config.save == NULL) {
        return TH_UNSUPPORTED;
    }
    saving->job.item.type = TH_ITEM_JOB;
    saving->job.owner = TH_PID_NONE;
    saving->job.kernel = kernel;
    saving->job.is_spawn = false;
    saving->what = TH_LOAD_STATE;
    saving->err = TH_OK;
    th_buf_put(&saving->id, id.at, id.bytes);
    return saving->id.failed ? TH_QUOTA
                             : kernel->config.save(kernel->config.context, saving);
}

void th_kernel_saved(th_kernel *kernel, th_saving *saving)
{
    th_kernel_tell(kernel, saving->job.owner, &saving->job);
}

void th_saving_deinit(th_saving *saving)
{
    saving->value = th_blob_unref(saving->value);
    saving->on_exit = th_on_exit_unref(saving->on_exit);
    saving->caps = th_caps_unref(saving->caps);
    saving->args = th_blob_unref(saving->args);
    th_buf_deinit(&saving->loaded);
    th_buf_deinit(&saving->id);
}

th_on_exit *th_process_on_exit(const th_process *self)
{
    return th_rights_on_exit(self);
}

bool th_process_is_public(const th_process *self)
{
    return self->is_public;
}

void th_process_set_hears_stop(th_process *self, bool hears)
{
    atomic_store_explicit(&self->hears_stop, hears, memory_order_relaxed);
}
