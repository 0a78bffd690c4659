#include "core/exit.h"

#include "base/slab.h"

#include <string.h>

th_exit *th_exit_new(th_end end, th_err reason, th_slice error, th_format format,
                     th_slice value)
{
    size_t room = sizeof(th_exit) + error.bytes + value.bytes;
    th_exit *made;

    if (room > UINT32_MAX) {
        return NULL;
    }
    made = th_slab_new(room);
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->refs, 1);
    made->end = end;
    made->reason = reason;
    made->format = format;
    made->room = (uint32_t)room;
    made->error_bytes = (uint32_t)error.bytes;
    made->value_bytes = (uint32_t)value.bytes;
    if (error.bytes > 0) {
        memcpy(made->text, error.at, error.bytes);
    }
    if (value.bytes > 0) {
        memcpy(made->text + error.bytes, value.at, value.bytes);
    }
    return made;
}

th_exit *th_exit_ref(th_exit *held)
{
    if (held != NULL) {
        atomic_fetch_add_explicit(&held->refs, 1, memory_order_relaxed);
    }
    return held;
}

th_exit *th_exit_unref(th_exit *held)
{
    if (held != NULL &&
        atomic_fetch_sub_explicit(&held->refs, 1, memory_order_acq_rel) == 1) {
        th_slab_free(held, held->room);
    }
    return NULL;
}
