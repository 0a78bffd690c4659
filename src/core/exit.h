/*
 * Exit: how a life of a process ended, kept for those who want to know.
 *
 * Thread: any; immutable and counted.
 */
#ifndef TH_CORE_EXIT_H
#define TH_CORE_EXIT_H

#include "base/bytes.h"
#include "base/own.h"
#include "core/msg.h"

/* The four ways of text 002, and the end of one that never began. */
typedef enum th_end {
    TH_END_RETURN, /* its code ran to completion */
    TH_END_CRASH,  /* error, trap, limit, failed second return value, link death */
    TH_END_KILL,   /* terminate, an enforced deadline, the owner */
    TH_END_STOP,   /* the node stopped */
} th_end;

typedef struct th_exit {
    _Atomic uint32_t refs;
    th_end end;
    th_err reason;    /* TH_OK after a return */
    th_format format; /* of the value */
    uint32_t room;    /* bytes of this allocation */
    uint32_t error_bytes;
    uint32_t value_bytes;
    char text[]; /* error (a text for people), then the value; no NUL */
} th_exit;

/* NULL when memory runs out: the readers then show the reason alone. */
th_exit *th_exit_new(th_end end, th_err reason, th_slice error, th_format format,
                     th_slice value);
th_exit *th_exit_ref(th_exit *exit);   /* takes NULL */
th_exit *th_exit_unref(th_exit *exit); /* takes NULL, returns NULL */

static inline th_slice th_exit_error(const th_exit *exit)
{
    return th_slice_of(exit->text, exit->error_bytes);
}

static inline th_slice th_exit_value(const th_exit *exit)
{
    return th_slice_of(exit->text + exit->error_bytes, exit->value_bytes);
}

TH_AUTO_FREE(th_exit, th_exit_unref)

#endif
