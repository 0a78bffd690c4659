/*
 * Inbox: where everybody puts what one process is to get.
 *
 * Many senders, one reader, no lock: putting is one compare-and-swap, taking all
 * is one exchange. The order of each sender is kept. It is closed at the process's
 * end; from then on a put is refused, so that nothing is ever left in it.
 *
 * Thread: any puts; the owner takes and closes.
 */
#ifndef TH_CORE_INBOX_H
#define TH_CORE_INBOX_H

#include "core/msg.h"

#include <stdatomic.h>

typedef struct th_inbox {
    _Atomic(th_list *) newest; /* linked by `next`, newest first */
} th_inbox;

/* What `newest` is when the inbox is closed. */
#define TH_INBOX_CLOSED ((th_list *)1)

static inline void th_inbox_init(th_inbox *inbox)
{
    atomic_init(&inbox->newest, NULL);
}

/* False: it is closed, and the item is still the caller's. */
static inline bool th_inbox_put(th_inbox *inbox, th_item *item)
{
    th_list *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);

    do {
        if (newest == TH_INBOX_CLOSED) {
            return false;
        }
        item->link.next = newest;
    } while (!atomic_compare_exchange_weak(&inbox->newest, &newest, &item->link));
    return true;
}

static inline bool th_inbox_has_some(const th_inbox *inbox)
{
    th_list *newest = atomic_load((_Atomic(th_list *) *)&inbox->newest);

    return newest != NULL && newest != TH_INBOX_CLOSED;
}

/* Turn a chain of the newest first into one of the oldest first. */
static inline th_item *th_inbox_reverse(th_list *newest)
{
    th_list *oldest = NULL;

    while (newest != NULL) {
        th_list *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest == NULL ? NULL : th_container_of(oldest, th_item, link);
}

/* All that is in it, oldest first, linked by `next`; NULL when there is nothing. */
static inline th_item *th_inbox_take(th_inbox *inbox)
{
    if (atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL) {
        return NULL;
    }
    return th_inbox_reverse(atomic_exchange(&inbox->newest, NULL));
}

/* Refuse all puts from now on, and take what is in it. */
static inline th_item *th_inbox_close(th_inbox *inbox)
{
    return th_inbox_reverse(atomic_exchange(&inbox->newest, TH_INBOX_CLOSED));
}

static inline th_item *th_item_next(th_item *item)
{
    th_list *next = item->link.next;

    return next == NULL ? NULL : th_container_of(next, th_item, link);
}

#endif
