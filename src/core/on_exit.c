#include "core/on_exit.h"

#include "base/mem.h"

/* One allocation: the requests, and behind them their texts. */
struct th_on_exit {
    _Atomic uint32_t refs; /* of the two plain ones: not counted */
    th_on_exit_kind kind;
    size_t count;
    size_t bytes;
    th_on_exit_request *requests; /* behind this struct */
};

static th_on_exit plain[] = {
    {.kind = TH_ON_EXIT_NONE},
    {.kind = TH_ON_EXIT_RESTART},
};

th_on_exit *th_on_exit_plain(th_on_exit_kind kind)
{
    th_assert(kind != TH_ON_EXIT_REQUESTS);
    return &plain[kind];
}

static size_t bytes_of(const th_on_exit_request *request)
{
    size_t bytes = 1024 + request->target.bytes + request->metadata.bytes +
                   th_blob_slice(request->body).bytes +
                   th_blob_slice(request->blob).bytes;

    if (request->blob != NULL) {
        bytes += request->blob->mime_bytes;
    }
    for (size_t i = 0; i < th_caps_count(request->caps); i++) {
        bytes += 1024 + th_cap_params(th_caps_at(request->caps, i)).bytes;
    }
    return bytes;
}

static th_slice copy_text(char **at, th_slice text)
{
    th_slice copy = th_slice_of(*at, text.bytes);

    if (text.bytes > 0) {
        memcpy(*at, text.at, text.bytes);
        *at += text.bytes;
    }
    return copy;
}

static void copy(th_on_exit_request *to, const th_on_exit_request *from, char **at)
{
    *to = (th_on_exit_request){
        .target = copy_text(at, from->target),
        .inherit = from->inherit,
        .has_metadata = from->has_metadata,
        .metadata = copy_text(at, from->metadata),
        .body = th_blob_ref(from->body),
        .blob = th_blob_ref(from->blob),
        .caps = th_caps_ref(from->caps),
    };
}

th_err th_on_exit_new(th_on_exit **out, const th_on_exit_request *requests, size_t n)
{
    size_t bytes = 0, text = 0;
    th_on_exit *made;
    char *at;

    if (n > TH_ON_EXIT_REQUESTS_MAX) {
        return TH_QUOTA;
    }
    for (size_t i = 0; i < n; i++) {
        size_t more = bytes_of(&requests[i]);

        if (more > TH_ON_EXIT_BYTES_MAX - bytes) {
            return TH_QUOTA;
        }
        if (!th_target_is_valid(requests[i].target)) {
            return TH_INVALID;
        }
        bytes += more;
        text += requests[i].target.bytes + requests[i].metadata.bytes;
    }
    made = th_malloc(sizeof *made + n * sizeof *requests + text);
    if (made == NULL) {
        return TH_QUOTA;
    }
    atomic_init(&made->refs, 1);
    made->kind = TH_ON_EXIT_REQUESTS;
    made->count = n;
    made->bytes = bytes;
    made->requests = (th_on_exit_request *)(made + 1);
    at = (char *)(made->requests + n);
    for (size_t i = 0; i < n; i++) {
        copy(&made->requests[i], &requests[i], &at);
    }
    *out = made;
    return TH_OK;
}

th_on_exit *th_on_exit_ref(th_on_exit *on_exit)
{
    if (on_exit != NULL && on_exit->kind == TH_ON_EXIT_REQUESTS) {
        atomic_fetch_add_explicit(&on_exit->refs, 1, memory_order_relaxed);
    }
    return on_exit;
}

th_on_exit *th_on_exit_unref(th_on_exit *on_exit)
{
    if (on_exit != NULL && on_exit->kind == TH_ON_EXIT_REQUESTS &&
        atomic_fetch_sub_explicit(&on_exit->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < on_exit->count; i++) {
            th_blob_unref(on_exit->requests[i].body);
            th_blob_unref(on_exit->requests[i].blob);
            th_caps_unref(on_exit->requests[i].caps);
        }
        th_free(on_exit);
    }
    return NULL;
}

th_on_exit_kind th_on_exit_kind_of(const th_on_exit *on_exit)
{
    return on_exit == NULL ? TH_ON_EXIT_NONE : on_exit->kind;
}

size_t th_on_exit_count(const th_on_exit *on_exit)
{
    return on_exit == NULL ? 0 : on_exit->count;
}

const th_on_exit_request *th_on_exit_at(const th_on_exit *on_exit, size_t index)
{
    th_assert(index < on_exit->count);
    return &on_exit->requests[index];
}

size_t th_on_exit_bytes(const th_on_exit *on_exit)
{
    return on_exit->bytes;
}
