/*
 * Blob: immutable bytes that many may hold.
 *
 * A lazy blob travels along a chain of messages of any length by reference and
 * enters a process only if that asks for it (text 000). Large bodies are blobs
 * too.
 *
 * Thread: any; the count is atomic.
 */
#ifndef TH_CORE_BLOB_H
#define TH_CORE_BLOB_H

#include "base/bytes.h"
#include "base/own.h"

#include <stdatomic.h>

typedef struct th_blob {
    _Atomic uint32_t refs;
    _Atomic uint32_t
        queued; /* messages in mailboxes that hold it: the kernel's count */
    uint32_t mime_bytes;
    bool has_mime;
    size_t bytes;
    char *at;   /* owned by malloc, or behind this struct */
    char *mime; /* owned by malloc, NULL when has_mime is false */
    char inline_bytes[];
} th_blob;

/* A copy of @content. NULL when memory runs out. @mime.at NULL: no mime. */
th_blob *th_blob_new(th_slice content, th_slice mime);

/* Take over @at, which malloc gave, without copying; on failure it stays the caller's. */
th_blob *th_blob_adopt(void *at, size_t bytes, th_slice mime);

th_blob *th_blob_ref(th_blob *blob);   /* takes NULL */
th_blob *th_blob_unref(th_blob *blob); /* takes NULL, returns NULL */

static inline th_slice th_blob_slice(const th_blob *blob)
{
    return blob == NULL ? th_slice_of(NULL, 0) : th_slice_of(blob->at, blob->bytes);
}

TH_AUTO_FREE(th_blob, th_blob_unref)

#endif
