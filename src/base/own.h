/*
 * Ownership: locals that clean up after themselves, and the way to hand one over.
 *
 * TH_AUTO_FREE(type, free) makes th_auto(type) run @free, which takes NULL, at the
 * end of the scope; th_take(&x) gives x away and leaves NULL behind.
 */
#ifndef TH_BASE_OWN_H
#define TH_BASE_OWN_H

#include <stddef.h>

#define TH_AUTO_FREE(type, free_function)                                              \
    static inline __attribute__((unused)) void th_auto_free_##type(type **held)        \
    {                                                                                  \
        (void)free_function(*held);                                                    \
    }

/* A pointer to @type that is freed when the scope ends. */
#define th_auto(type) __attribute__((cleanup(th_auto_free_##type))) type *

/* The value of *@held, which is NULL afterwards. */
#define th_take(held)                                                                  \
    ({                                                                                 \
        __typeof__(*(held)) th_taken_ = *(held);                                       \
        *(held) = NULL;                                                                \
        th_taken_;                                                                     \
    })

/* The struct of @type whose @field stands at @pointer. */
#define th_container_of(pointer, type, field)                                          \
    ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

#endif
