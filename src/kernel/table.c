#include "base/mem.h"
#include "kernel/internal.h"

/*
 * The table of processes: from a pid to its descriptor.
 *
 * Reading takes no lock: a slot holds the descriptor of the process that lives in
 * it, whose pid says whether it is the one that was meant. Descriptors are freed
 * by epochs, so a reader may look at one that ended just now, but never at freed
 * memory. A slot's generation goes up with each process, and with 40 bits of it no
 * pid comes twice in one boot.
 */

#define SLOTS_BATCH 128

th_err th_table_init(th_table *table, uint32_t processes_max)
{
    table->alive_max = processes_max;
    table->slots_max = processes_max + TH_SHARDS_MAX * TH_SHARD_SLOTS;
    table->used = 1; /* slot 0 is nobody's, so that no pid is 0 */
    return TH_OK;
}

void th_table_deinit(th_table *table)
{
    for (unsigned i = 0; i < TH_TABLE_CHUNKS; i++) {
        th_free(atomic_load(&table->chunks[i]));
    }
    table->free = th_free(table->free);
}

static th_slot *slot_at(th_table *table, uint32_t slot)
{
    th_slot *chunk = atomic_load_explicit(&table->chunks[slot / TH_TABLE_CHUNK],
                                          memory_order_acquire);

    return chunk == NULL ? NULL : &chunk[slot % TH_TABLE_CHUNK];
}

/* Under the lock: a slot that came back, or one that was never used. 0: none left. */
static uint32_t take_slot(th_table *table)
{
    _Atomic(th_slot *) *chunk;

    if (table->free_count > 0) {
        return table->free[--table->free_count];
    }
    if (table->used > table->slots_max) {
        return 0;
    }
    chunk = &table->chunks[table->used / TH_TABLE_CHUNK];
    if (atomic_load_explicit(chunk, memory_order_relaxed) == NULL) {
        th_slot *made = th_calloc(TH_TABLE_CHUNK, sizeof *made);

        if (made == NULL) {
            return 0;
        }
        atomic_store_explicit(chunk, made, memory_order_release);
    }
    return table->used++;
}

/* Under the lock. A slot that finds no room in the list is lost, which is no harm. */
static void give_slot(th_table *table, uint32_t slot)
{
    if (table->free_count == table->free_room) {
        uint32_t room = table->free_room == 0 ? 1024 : table->free_room * 2;
        uint32_t *grown = th_realloc(table->free, room * sizeof *grown);

        if (grown == NULL) {
            return;
        }
        table->free = grown;
        table->free_room = room;
    }
    table->free[table->free_count++] = slot;
}

/*
 * Each shard keeps some slots at hand, so that it seldom needs the lock. There are as
 * many more slots than processes: nobody lacks one that another keeps.
 */
static uint32_t get_slot(th_table *table, th_shard *shard)
{
    uint32_t slot;

    if (shard != NULL && shard->slots_count > 0) {
        return shard->slots[--shard->slots_count];
    }
    th_spin_lock(&table->lock);
    slot = take_slot(table);
    th_spin_unlock(&table->lock);
    return slot;
}

static void put_slot(th_table *table, th_shard *shard, uint32_t slot)
{
    const unsigned room = shard == NULL ? 0 : sizeof shard->slots / sizeof slot;

    if (shard != NULL && shard->slots_count < room) {
        shard->slots[shard->slots_count++] = slot;
        return;
    }
    th_spin_lock(&table->lock);
    give_slot(table, slot);
    for (unsigned i = 0; i < SLOTS_BATCH && shard != NULL; i++) {
        give_slot(table, shard->slots[--shard->slots_count]);
    }
    th_spin_unlock(&table->lock);
}

th_err th_table_add(th_kernel *kernel, th_process *process)
{
    th_table *table = &kernel->table;
    uint32_t slot;

    if (atomic_fetch_add_explicit(&table->alive, 1, memory_order_relaxed) >=
        table->alive_max) {
        atomic_fetch_sub_explicit(&table->alive, 1, memory_order_relaxed);
        return TH_QUOTA;
    }
    slot = get_slot(table, th_shard_self);
    if (slot == 0) {
        atomic_fetch_sub_explicit(&table->alive, 1, memory_order_relaxed);
        return TH_QUOTA;
    }
    process->ident.pid = th_pid_make(slot, ++slot_at(table, slot)->generation);
    return TH_OK;
}

void th_table_publish(th_kernel *kernel, th_process *process)
{
    th_slot *slot = slot_at(&kernel->table, th_pid_slot(process->ident.pid));

    atomic_store(&slot->process, process);
}

void th_table_remove(th_kernel *kernel, th_process *process)
{
    uint32_t number = th_pid_slot(process->ident.pid);
    th_slot *slot = slot_at(&kernel->table, number);

    atomic_store(&slot->process, NULL);
    put_slot(&kernel->table, th_shard_self, number);
    atomic_fetch_sub_explicit(&kernel->table.alive, 1, memory_order_relaxed);
}

th_process *th_table_find(th_kernel *kernel, th_pid pid)
{
    th_slot *slot = slot_at(&kernel->table, th_pid_slot(pid));
    th_process *process;

    if (slot == NULL) {
        return NULL;
    }
    process = atomic_load_explicit(&slot->process, memory_order_acquire);
    if (process == NULL || process->ident.pid.bits != pid.bits) {
        return NULL;
    }
    return process;
}
