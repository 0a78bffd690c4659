#include "base/mem.h"
#include "kernel/internal.h"

#include <string.h>

/*
 * What processes put out: a ring for each, of the newest bytes, and what is left of
 * those that ended.
 *
 * A ring grows as it is written, up to the bound of its process. When the process ends,
 * its ring and its exit become a record, which is kept until somebody reads it. There
 * is a bound of those, too: the oldest goes.
 */

#define RING_BYTES_MIN 1024
#define RECORDS_MAX 256
#define RECORDS_BYTES_MAX ((size_t)4 << 20)

typedef struct record {
    th_list link;
    th_ident ident; /* held */
    th_exit *exit;  /* held */
    th_ring ring;
} record;

/* --- Rings ------------------------------------------------------------------------ */

/* The bytes of @ring in the order in which they came; under its lock. */
static void ring_copy(const th_ring *ring, char *to)
{
    uint32_t first = ring->room - ring->begin;

    if (first > ring->bytes) {
        first = ring->bytes;
    }
    if (ring->bytes > 0) {
        memcpy(to, ring->at + ring->begin, first);
        memcpy(to + first, ring->at, ring->bytes - first);
    }
}

/* Make room for @bytes more, within @bytes_max. The old room serves if memory runs out. */
static void ring_grow(th_ring *ring, size_t bytes, uint32_t bytes_max)
{
    uint64_t room = ring->room < RING_BYTES_MIN ? RING_BYTES_MIN : ring->room;
    char *grown, *old;

    while (room < ring->bytes + bytes && room < bytes_max) {
        room *= 2;
    }
    room = room > bytes_max ? bytes_max : room;
    if (room <= ring->room) {
        return;
    }
    grown = th_malloc(room);
    if (grown == NULL) {
        return;
    }
    th_spin_lock(&ring->lock);
    ring_copy(ring, grown);
    old = ring->at;
    ring->at = grown;
    ring->begin = 0;
    ring->room = (uint32_t)room;
    th_spin_unlock(&ring->lock);
    th_free(old);
}

/* Under the lock: the oldest bytes go where there is no room. */
static void ring_append(th_ring *ring, th_slice text)
{
    uint32_t end, first, bytes;

    if (text.bytes > ring->room) {
        text = th_slice_from(text, text.bytes - ring->room);
        ring->is_cut = true;
    }
    bytes = (uint32_t)text.bytes;
    if (bytes == 0) {
        return;
    }
    if (bytes > ring->room - ring->bytes) {
        uint32_t drop = bytes - (ring->room - ring->bytes);

        ring->begin = (ring->begin + drop) % ring->room;
        ring->bytes -= drop;
        ring->is_cut = true;
    }
    end = (uint32_t)(((uint64_t)ring->begin + ring->bytes) % ring->room);
    first = bytes < ring->room - end ? bytes : ring->room - end;
    memcpy(ring->at + end, text.at, first);
    memcpy(ring->at, text.at + first, bytes - first);
    ring->bytes += bytes;
}

static void ring_put(th_process *self, th_slice text)
{
    th_ring *ring = &self->ring;
    uint32_t before = ring->room;
    bool is_open = text.bytes == 0 || text.at[text.bytes - 1] != '\n';

    ring_grow(ring, text.bytes + is_open, self->limits->log_bytes_max);
    th_budget_add(self->kernel, (int64_t)ring->room - before);
    th_spin_lock(&ring->lock);
    ring_append(ring, text);
    if (is_open) {
        ring_append(ring, TH_SLICE("\n"));
    }
    th_spin_unlock(&ring->lock);
}

/* Append what is in it, from the first whole line on. */
static void ring_read(th_ring *ring, th_buf *out)
{
    char *to;
    size_t bytes = 0, skip = 0;

    th_spin_lock(&ring->lock);
    bytes = ring->room;
    th_spin_unlock(&ring->lock);
    to = th_buf_reserve(out, bytes * 2); /* it may grow once meanwhile */
    if (to == NULL) {
        return;
    }
    th_spin_lock(&ring->lock);
    bytes = ring->bytes <= bytes * 2 ? ring->bytes : 0;
    if (bytes > 0) {
        ring_copy(ring, to);
    }
    if (ring->is_cut) {
        skip = th_slice_find(th_slice_of(to, bytes), '\n') + 1;
        skip = skip >= bytes ? 0 : skip; /* there is only the end of one line */
    }
    th_spin_unlock(&ring->lock);
    memmove(to, to + skip, bytes - skip);
    out->bytes += bytes - skip;
    out->at[out->bytes] = '\0';
}

void th_ring_deinit(th_ring *ring)
{
    ring->at = th_free(ring->at);
}

void th_process_output(th_process *self, th_output kind, th_slice text)
{
    const th_kernel_config *config = &self->kernel->config;

    if (kind != TH_OUTPUT_STATUS) {
        ring_put(self, text);
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

/* To @to, which nobody else knows; whoever reads @from finds it empty. */
static void ring_move(th_ring *from, th_ring *to)
{
    th_spin_lock(&from->lock);
    to->room = from->room;
    to->begin = from->begin;
    to->bytes = from->bytes;
    to->is_cut = from->is_cut;
    to->at = from->at;
    from->at = NULL;
    from->room = from->begin = from->bytes = 0;
    th_spin_unlock(&from->lock);
}

void th_ring_end(th_process *process)
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
    ring_move(&process->ring, &made->ring);
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
        ring_read(&process->ring, out);
    }
    th_outside_leave(kernel, reader);
    if (out->bytes == before) { /* it has ended, or does so now, or printed nothing */
        left = records_take(&kernel->records, pid);
    }
    if (left == NULL) {
        *end = NULL;
        return process == NULL ? TH_NOT_FOUND : TH_OK;
    }
    ring_read(&left->ring, out);
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
