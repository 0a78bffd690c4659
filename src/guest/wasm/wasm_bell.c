#include "guest/wasm/wasm_bell.h"

#include "base/mem.h"

#include <pthread.h>

/*
 * One table for all nodes of this program, since a number is all that a waker has. It
 * is locked while a bell rings, so that no process, and with it no kernel, goes away
 * meanwhile. Processes that wake themselves do not come here: only sleepers do.
 */
typedef struct bell {
    th_kernel *kernel; /* NULL: free */
    th_pid pid;
    uint32_t serial; /* of the number that is valid, or the last one */
    uint32_t next;   /* free: the next free place, or NONE */
} bell;

#define PLACE_BITS 32
#define NONE UINT32_MAX

static struct {
    pthread_mutex_t lock;
    bell *bells;
    uint32_t room, used;
    uint32_t free; /* the first free place, or NONE */
    uint32_t serial;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .free = NONE};

/* Under the lock. */
static bool grow(void)
{
    uint32_t room = table.room == 0 ? 64 : table.room * 2;
    bell *grown = th_realloc(table.bells, room * sizeof *grown);

    if (grown == NULL) {
        return false;
    }
    for (uint32_t i = table.room; i < room; i++) {
        grown[i] = (bell){.next = i + 1 == room ? table.free : i + 1};
    }
    table.free = table.room;
    table.bells = grown;
    table.room = room;
    return true;
}

/* Under the lock. */
static bell *find(uint64_t number)
{
    uint32_t place = (uint32_t)number;
    bell *found = place < table.room ? &table.bells[place] : NULL;

    if (found == NULL || found->kernel == NULL ||
        found->serial != (uint32_t)(number >> PLACE_BITS)) {
        return NULL;
    }
    return found;
}

uint64_t th_wasm_bell_hang(th_kernel *kernel, th_pid pid)
{
    uint64_t number = 0;

    pthread_mutex_lock(&table.lock);
    if (table.free != NONE || grow()) {
        uint32_t place = table.free;
        bell *made = &table.bells[place];

        table.free = made->next;
        table.serial += table.serial == UINT32_MAX ? 2 : 1; /* never 0 */
        *made = (bell){.kernel = kernel, .pid = pid, .serial = table.serial};
        table.used++;
        number = (uint64_t)made->serial << PLACE_BITS | place;
    }
    pthread_mutex_unlock(&table.lock);
    return number;
}

void th_wasm_bell_take_down(uint64_t number)
{
    bell *gone;

    pthread_mutex_lock(&table.lock);
    gone = find(number);
    if (gone != NULL) {
        gone->kernel = NULL;
        gone->next = table.free;
        table.free = (uint32_t)(gone - table.bells);
        table.used--;
    }
    if (table.used == 0) {
        table.bells = th_free(table.bells);
        table.room = 0;
        table.free = NONE;
    }
    pthread_mutex_unlock(&table.lock);
}

void th_wasm_bell_ring(uint64_t number)
{
    const bell *rung;

    pthread_mutex_lock(&table.lock);
    rung = find(number);
    if (rung != NULL) {
        th_kernel_poke(rung->kernel, rung->pid);
    }
    pthread_mutex_unlock(&table.lock);
}
