#include "kernel/internal.h"

/*
 * Workers: threads for work that blocks (disk, compiling), so that no shard does.
 *
 * A job is done by the first worker that is free and then put into its process's
 * inbox. In simulation it is done at once, on the one thread there is.
 */

void th_kernel_tell(th_kernel *kernel, th_pid pid, th_job *job)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *owner = th_table_find(kernel, pid);
    bool is_back;

    job->item.type = TH_ITEM_JOB;
    is_back = owner != NULL && th_process_put(owner, &job->item);

    th_outside_leave(kernel, reader);
    if (!is_back) {
        th_job_drop(kernel, job);
    }
}

static th_job *get(th_workers *workers)
{
    th_item *item;

    th_spin_lock(&workers->lock);
    item = workers->oldest;
    if (item != NULL) {
        workers->oldest = th_item_next(item);
        if (workers->oldest == NULL) {
            workers->newest = NULL;
        }
    }
    th_spin_unlock(&workers->lock);
    return item == NULL ? NULL : th_container_of(item, th_job, item);
}

static void put(th_workers *workers, th_job *job)
{
    job->item.link.next = NULL;
    th_spin_lock(&workers->lock);
    if (workers->newest == NULL) {
        workers->oldest = &job->item;
    } else {
        workers->newest->link.next = &job->item.link;
    }
    workers->newest = &job->item;
    th_spin_unlock(&workers->lock);
}

static void run(void *context)
{
    th_worker *worker = context;
    th_kernel *kernel = worker->kernel;
    th_job *job;

    while (!atomic_load(&kernel->workers.stop)) {
        job = get(&kernel->workers);
        if (job == NULL) {
            th_world_park(kernel->config.world, worker->parker, (th_mono){0});
        } else {
            job->run(job);
            th_kernel_tell(kernel, job->owner, job);
        }
    }
}

void th_process_submit(th_process *self, th_job *job)
{
    th_kernel *kernel = self->kernel;

    job->owner = self->ident.pid;
    job->kernel = kernel;
    job->is_spawn = false;
    if (!kernel->workers.started) {
        job->run(job);
        th_kernel_tell(kernel, job->owner, job);
        return;
    }
    put(&kernel->workers, job);
    for (unsigned i = 0; i < TH_WORKERS; i++) {
        th_world_unpark(kernel->config.world, kernel->workers.all[i].parker);
    }
}

th_err th_workers_start(th_kernel *kernel)
{
    th_workers *workers = &kernel->workers;
    th_world *world = kernel->config.world;

    atomic_store(&workers->stop, false);
    workers->started = true;
    for (unsigned i = 0; i < TH_WORKERS; i++) {
        th_worker *worker = &workers->all[i];
        th_err err = TH_OK;

        worker->kernel = kernel;
        if (worker->parker == NULL) {
            err = th_world_parker_new(world, &worker->parker);
        }
        if (err == TH_OK) {
            err = th_world_thread_start(world, &worker->thread, "thole-work", run,
                                        worker);
        }
        if (err != TH_OK) {
            return err;
        }
    }
    return TH_OK;
}

/* What was not begun is dropped: its processes end next. */
void th_workers_stop(th_kernel *kernel)
{
    th_workers *workers = &kernel->workers;
    th_world *world = kernel->config.world;
    th_job *job;

    atomic_store(&workers->stop, true);
    for (unsigned i = 0; i < TH_WORKERS; i++) {
        th_worker *worker = &workers->all[i];

        if (worker->thread != NULL) {
            th_world_unpark(world, worker->parker);
            th_world_thread_join(world, worker->thread);
        }
        worker->thread = NULL;
        if (worker->parker != NULL) {
            worker->parker = th_world_parker_free(world, worker->parker);
        }
    }
    while ((job = get(workers)) != NULL) {
        job->dropped(job);
    }
    workers->started = false;
}
