/*
 * On exit: what is done when a process ends by itself (text 002): nothing, another
 * life, or requests that are sent in its name and with its capabilities.
 *
 * Immutable and counted, so that the process, its record and a change of it need no
 * lock. The two that hold nothing are shared by all.
 *
 * Thread: any.
 */
#ifndef TH_CORE_ON_EXIT_H
#define TH_CORE_ON_EXIT_H

#include "core/blob.h"
#include "core/cap.h"

typedef enum th_on_exit_kind {
    TH_ON_EXIT_NONE,
    TH_ON_EXIT_RESTART,
    TH_ON_EXIT_REQUESTS,
} th_on_exit_kind;

#define TH_ON_EXIT_KINDS 3

/*
 * It is kept durably and sent when its author is gone: so it is small. What counts are
 * bytes of bodies, blobs, texts and params, and 1024 for each request and capability.
 */
#define TH_ON_EXIT_REQUESTS_MAX 128
#define TH_ON_EXIT_BYTES_MAX ((size_t)256 << 10)

/* One request. It expects no response: nobody is there to have it. */
typedef struct th_on_exit_request {
    th_slice target; /* an address, with a node or without, or a PID */
    bool inherit;
    bool has_metadata;
    th_slice metadata;
    th_blob *body; /* NULL: empty */
    th_blob *blob; /* the lazy blob, or NULL */
    th_caps *caps; /* or NULL */
} th_on_exit_request;

typedef struct th_on_exit th_on_exit;

/* TH_ON_EXIT_NONE or TH_ON_EXIT_RESTART; cannot fail. */
th_on_exit *th_on_exit_plain(th_on_exit_kind kind);

/*
 * TH_ON_EXIT_REQUESTS: texts are copied, the rest is shared.
 *
 * Refuses: QUOTA, a bound is exceeded or memory ran out; INVALID, a target is neither
 * an address nor a PID.
 */
th_err th_on_exit_new(th_on_exit **out, const th_on_exit_request *requests, size_t n);
th_on_exit *th_on_exit_ref(th_on_exit *on_exit);   /* takes NULL */
th_on_exit *th_on_exit_unref(th_on_exit *on_exit); /* takes NULL, returns NULL */

th_on_exit_kind th_on_exit_kind_of(const th_on_exit *on_exit); /* of NULL: NONE */
size_t th_on_exit_count(const th_on_exit *on_exit);            /* of its requests */
const th_on_exit_request *th_on_exit_at(const th_on_exit *on_exit, size_t index);

/* What it costs its owner to keep. */
size_t th_on_exit_bytes(const th_on_exit *on_exit);

TH_AUTO_FREE(th_on_exit, th_on_exit_unref)

#endif
