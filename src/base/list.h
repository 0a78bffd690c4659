/*
 * Intrusive doubly linked list: the node is embedded in what it links.
 *
 * A list is a ring through its head; a node that is in no list points to itself,
 * so that taking it out twice does no harm.
 *
 * Thread: owner.
 */
#ifndef TH_BASE_LIST_H
#define TH_BASE_LIST_H

#include "base/own.h"

#include <stdbool.h>

typedef struct th_list {
    struct th_list *next;
    struct th_list *prev;
} th_list;

static inline void th_list_init(th_list *list)
{
    list->next = list->prev = list;
}

static inline bool th_list_is_empty(const th_list *list)
{
    return list->next == list;
}

/* Put @node behind the last of @list. */
static inline void th_list_push(th_list *list, th_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Put @node before the first of @list. */
static inline void th_list_push_first(th_list *list, th_list *node)
{
    node->next = list->next;
    node->prev = list;
    list->next->prev = node;
    list->next = node;
}

/* Take @node out of whatever list it is in, if any. */
static inline void th_list_remove(th_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}

/* Take out and return the first node, or NULL. */
static inline th_list *th_list_pop(th_list *list)
{
    th_list *node = list->next;

    if (node == list) {
        return NULL;
    }
    th_list_remove(node);
    return node;
}

/* Put all of @from behind the last of @list. */
static inline void th_list_move(th_list *list, th_list *from)
{
    if (!th_list_is_empty(from)) {
        from->next->prev = list->prev;
        list->prev->next = from->next;
        from->prev->next = list;
        list->prev = from->prev;
        th_list_init(from);
    }
}

#define TH_LIST_EACH(node, list)                                                       \
    for (th_list *node = (list)->next, *node##_next = node->next; node != (list);      \
         node = node##_next, node##_next = node->next)

#endif
