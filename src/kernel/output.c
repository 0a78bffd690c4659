#include "base/mem.h"
#include "kernel/internal.h"

#include <string.h>

/*
 * What processes put out: a ring for each, of the newest bytes, and what is left of
 * those that ended. When a process ends, its ring and its exit become a record, which
 * is kept until somebody reads it. There is a bound of those, too: the oldest goes.
 */

#define RECORDS_MAX 256
#define RECORDS_BYTES_MAX ((size_t)4 << 20)

typedef struct record {
    th_list link;
    th_ident ident; /* held */
    th_exit *exit;  /* held */
    th_ring ring;
} record;

void th_process_output(th_process *self, th_output kind, th_slice text)
{
    const th_kernel_config *config = &self->kernel->config;

    if (kind != TH_OUTPUT_STATUS) {
        th_budget_add(self->kernel,
                      th_ring_put(&self->ring, text, self->limits->log_bytes_max));
    }
    if (config->output != NULL) {
        config->output(config->context, &self->ident, kind, text);
    }
}

/* --- Records ---------------------------------------------------------------------- */

static record *free_record(record *gone)
{
    if (gone != NULL) {
        th_ident_unref(&gone->ident);
        th_exit_unref(gone->exit);
        th_ring_deinit(&gone->ring);
    }
    return th_free(gone);
}

/* Under the lock. */
static record *take_out(th_records *records, th_list *link)
{
    record *taken = th_container_of(link, record, link);

    th_list_remove(link);
    records->count--;
    records->bytes -= taken->ring.room;
    return taken;
}

static void records_add(th_records *records, record *made)
{
    th_list gone;
    th_list *link;

    th_list_init(&gone);
    th_spin_lock(&records->lock);
    th_list_push(&records->all, &made->link);
    records->count++;
    records->bytes += made->ring.room;
    while (records->count > RECORDS_MAX || records->bytes > RECORDS_BYTES_MAX) {
        th_list_push(&gone, &take_out(records, records->all.next)->link);
    }
    th_spin_unlock(&records->lock);
    while ((link = th_list_pop(&gone)) != NULL) {
        free_record(th_container_of(link, record, link));
    }
}

void th_output_end(th_process *process)
{
    record *made;

    if (process->ring.bytes == 0) {
        return;
    }
    th_budget_add(process->kernel, -(int64_t)process->ring.room);
    made = th_calloc(1, sizeof *made);
    if (made == NULL) {
        return; /* its ring goes with the descriptor */
    }
    made->ident = th_ident_ref(&process->ident);
    made->exit = th_exit_ref(process->exit);
    th_ring_move(&process->ring, &made->ring);
    records_add(&process->kernel->records, made);
}

static record *records_take(th_records *records, th_pid pid)
{
    record *found = NULL;

    th_spin_lock(&records->lock);
    TH_LIST_EACH(link, &records->all)
    {
        if (th_pid_eq(th_container_of(link, record, link)->ident.pid, pid)) {
            found = take_out(records, link);
            break;
        }
    }
    th_spin_unlock(&records->lock);
    return found;
}

th_err th_kernel_read_log(th_kernel *kernel, th_pid pid, th_buf *out, th_exit **end)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);
    size_t before = out->bytes;
    record *left = NULL;

    if (process != NULL) {
        th_ring_read(&process->ring, out);
    }
    th_outside_leave(kernel, reader);
    if (out->bytes == before) { /* it has ended, or does so now, or printed nothing */
        left = records_take(&kernel->records, pid);
    }
    if (left == NULL) {
        *end = NULL;
        return process == NULL ? TH_NOT_FOUND : TH_OK;
    }
    th_ring_read(&left->ring, out);
    *end = th_take(&left->exit);
    free_record(left);
    return TH_OK;
}

void th_records_init(th_records *records)
{
    th_list_init(&records->all);
}

void th_records_deinit(th_records *records)
{
    th_list *link;

    while ((link = th_list_pop(&records->all)) != NULL) {
        free_record(th_container_of(link, record, link));
    }
}
