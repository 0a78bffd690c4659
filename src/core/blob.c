#include "core/blob.h"

#include "base/mem.h"

#include <stdlib.h>

static th_blob *make(size_t inline_bytes, th_slice mime)
{
    th_blob *blob = th_malloc(sizeof *blob + inline_bytes);

    if (blob == NULL) {
        return NULL;
    }
    atomic_init(&blob->refs, 1);
    atomic_init(&blob->queued, 0);
    blob->has_mime = mime.at != NULL;
    blob->mime_bytes = (uint32_t)mime.bytes;
    blob->mime = NULL;
    blob->at = blob->inline_bytes;
    if (blob->has_mime) {
        blob->mime = th_strndup(mime.at, mime.bytes);
        if (blob->mime == NULL) {
            return th_free(blob);
        }
    }
    return blob;
}

th_blob *th_blob_new(th_slice content, th_slice mime)
{
    th_blob *blob = make(content.bytes, mime);

    if (blob != NULL) {
        blob->bytes = content.bytes;
        if (content.bytes > 0) {
            memcpy(blob->inline_bytes, content.at, content.bytes);
        }
    }
    return blob;
}

th_blob *th_blob_adopt(void *at, size_t bytes, th_slice mime)
{
    th_blob *blob = make(0, mime);

    if (blob != NULL) {
        blob->at = at;
        blob->bytes = bytes;
    }
    return blob;
}

th_blob *th_blob_ref(th_blob *blob)
{
    if (blob != NULL) {
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    }
    return blob;
}

th_blob *th_blob_unref(th_blob *blob)
{
    if (blob == NULL ||
        atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1) {
        return NULL;
    }
    if (blob->at != blob->inline_bytes) {
        free(blob->at); /* it was malloc's when it was adopted */
    }
    th_free(blob->mime);
    return th_free(blob);
}
