/*
 * thole.h over the canonical ABI of kinode:process/standard@1.0.0.
 *
 * On wasm32 the canonical layout of a record is the layout of a C struct with the
 * same fields, an option or variant is a struct of a tag and its payload, and a list
 * is a pointer and a length. The w_ types are those, one for each WIT type; the rest
 * is moving fields between them and the types of thole.h.
 */
#include "thole.h"

typedef struct {
    uint8_t is_some;
    th_slice value;
} w_option;

typedef struct {
    uint8_t is_some;
    uint64_t value;
} w_option_u64;

typedef struct {
    w_option mime;
    th_slice bytes;
} w_blob;

typedef struct {
    uint8_t is_some;
    w_blob value;
} w_option_blob;

typedef struct {
    uint8_t inherit;
    w_option_u64 expects_response;
    th_slice body;
    w_option metadata;
    th_caps caps;
} w_request;

typedef struct {
    uint8_t inherit;
    th_slice body;
    w_option metadata;
    th_caps caps;
} w_response;

typedef struct {
    uint8_t is_response;
    union {
        w_request request;
        struct {
            w_response response;
            w_option context;
        };
    };
} w_message;

typedef struct {
    th_address source;
    w_message message;
} w_received;

typedef struct {
    uint8_t kind;
    th_address target;
    w_message message;
    w_option_blob blob;
} w_send_error;

/* receive: the error has a context beside it; send-and-await-response: it has none. */
typedef struct {
    uint8_t is_error;
    union {
        w_received ok;
        struct {
            w_send_error error;
            w_option context;
        };
    };
} w_receive_result;

typedef struct {
    uint8_t is_error;
    union {
        w_received ok;
        w_send_error error;
    };
} w_call_result;

/* One of send-requests, and the parameters of send-request. */
typedef struct {
    th_address target;
    w_request request;
    w_option context;
    w_option_blob blob;
} w_outgoing;

/* One of on-exit's, and the parameters of send-and-await-response. */
typedef struct {
    th_address target;
    w_request request;
    w_option_blob blob;
} w_call;

typedef struct {
    uint8_t kind;
    struct {
        w_call *ptr;
        size_t len;
    } requests;
} w_on_exit;

typedef struct {
    uint8_t is_error;
    union {
        th_process_id id;
        uint8_t error;
    };
} w_spawn_result;

_Static_assert(sizeof(w_request) == 56 && sizeof(w_response) == 32, "records");
_Static_assert(sizeof(w_message) == 64 && sizeof(w_send_error) == 128, "variants");
_Static_assert(sizeof(w_receive_result) == 152 && sizeof(w_call_result) == 136,
               "results");
_Static_assert(sizeof(w_outgoing) == 128 && sizeof(w_call) == 112, "tuples");
_Static_assert(sizeof(w_spawn_result) == 28 && sizeof(th_grant) == 32, "spawn");
_Static_assert(sizeof(th_cap) == 40 && sizeof(th_address) == 32, "capabilities");

/* The same interface goes by two names. */
#ifndef THOLE_INTERFACE
#define THOLE_INTERFACE "kinode:process/standard@1.0.0"
#endif

#define IMPORT(name) __attribute__((import_module(THOLE_INTERFACE), import_name(name)))

IMPORT("print-to-terminal") void w_print(uint32_t verbosity, const void *, size_t);
IMPORT("our") void w_our(th_address *);
IMPORT("get-on-exit") void w_get_on_exit(w_on_exit *);
IMPORT("set-on-exit") void w_set_on_exit(uint32_t kind, const w_call *, size_t);
IMPORT("get-state") void w_get_state(w_option *);
IMPORT("set-state") void w_set_state(const void *, size_t);
IMPORT("clear-state") void w_clear_state(void);
IMPORT("spawn")
void w_spawn(uint32_t has_name, const void *name, size_t name_len, const void *path,
             size_t path_len, uint32_t exit_kind, const w_call *, size_t,
             const th_cap *, size_t, const th_grant *, size_t, uint32_t is_public,
             w_spawn_result *);
IMPORT("save-capabilities") void w_save_caps(const th_cap *, size_t);
IMPORT("drop-capabilities") void w_drop_caps(const th_cap *, size_t);
IMPORT("our-capabilities") void w_our_caps(th_caps *);
IMPORT("receive") void w_receive(w_receive_result *);
IMPORT("has-blob") uint32_t w_has_blob(void);
IMPORT("get-blob") void w_get_blob(w_option_blob *);
IMPORT("last-blob") void w_last_blob(w_option_blob *);
IMPORT("send-request") void w_send_request(const w_outgoing *);
IMPORT("send-requests") void w_send_requests(const w_outgoing *, size_t);
IMPORT("send-response")
void w_send_response(uint32_t inherit, const void *body, size_t, uint32_t has_metadata,
                     const void *metadata, size_t, const th_cap *, size_t,
                     uint32_t has_blob, uint32_t has_mime, const void *mime, size_t,
                     const void *bytes, size_t);
IMPORT("send-and-await-response") void w_call_out(const w_call *, w_call_result *);

/* What the node asks for to put results in. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old,
                                                                size_t old_bytes,
                                                                size_t align,
                                                                size_t bytes)
{
    (void)old_bytes;
    (void)align; /* never above 8 */
    return th_realloc(old, bytes);
}

__attribute__((export_name("init"))) void init(const void *our, size_t len)
{
    th_main((th_slice){our, len});
}

/* ---- to the node ---- */

static w_option option(th_slice slice)
{
    return (w_option){slice.ptr != NULL, slice};
}

static w_option_blob option_blob(const th_blob *blob)
{
    if (blob == NULL) {
        return (w_option_blob){0};
    }
    return (w_option_blob){true, {option(blob->mime), blob->bytes}};
}

static w_request request_out(const th_request *request)
{
    return (w_request){
        .inherit = request->inherit,
        .expects_response = {request->expects_response, request->timeout_s},
        .body = request->body,
        .metadata = option(request->metadata),
        .caps = request->caps,
    };
}

static w_outgoing outgoing(const th_address *target, const th_request *request)
{
    return (w_outgoing){*target, request_out(request), option(request->context),
                        option_blob(request->blob)};
}

static w_call call_out(const th_address *target, const th_request *request)
{
    return (w_call){*target, request_out(request), option_blob(request->blob)};
}

/* Only the list is the caller's to free. */
static w_on_exit on_exit_out(const th_on_exit *on_exit)
{
    w_on_exit out = {.kind = (uint8_t)on_exit->kind};

    if (on_exit->kind == TH_EXIT_REQUESTS) {
        out.requests.ptr = th_alloc(on_exit->n_requests * sizeof *out.requests.ptr);
        out.requests.len = on_exit->n_requests;
        for (size_t i = 0; i < on_exit->n_requests; i++) {
            const th_outgoing *one = &on_exit->requests[i];

            out.requests.ptr[i] = call_out(&one->target, &one->request);
        }
    }
    return out;
}

/* ---- from the node ---- */

static th_slice slice_in(w_option option)
{
    return option.is_some ? option.value : TH_NONE;
}

static bool blob_in(const w_option_blob *option, th_blob *out)
{
    if (!option->is_some) {
        return false;
    }
    *out = (th_blob){slice_in(option->value.mime), option->value.bytes};
    return true;
}

static th_message message_in(const w_message *message)
{
    if (message->is_response) {
        return (th_message){
            .kind = TH_RESPONSE,
            .inherit = message->response.inherit,
            .body = message->response.body,
            .metadata = slice_in(message->response.metadata),
            .context = slice_in(message->context),
            .caps = message->response.caps,
        };
    }
    return (th_message){
        .kind = TH_REQUEST,
        .inherit = message->request.inherit,
        .expects_response = message->request.expects_response.is_some,
        .timeout_s = message->request.expects_response.value,
        .body = message->request.body,
        .metadata = slice_in(message->request.metadata),
        .caps = message->request.caps,
    };
}

static th_message received_in(const w_received *received)
{
    th_message message = message_in(&received->message);

    message.peer = received->source;
    return message;
}

static th_message error_in(const w_send_error *error)
{
    th_message message = message_in(&error->message);

    message.is_response = message.kind == TH_RESPONSE;
    message.kind = error->kind == 0 ? TH_OFFLINE : TH_TIMEOUT;
    message.peer = error->target;
    message.has_blob = blob_in(&error->blob, &message.blob);
    return message;
}

/* ---- messages ---- */

th_message th_receive(void)
{
    w_receive_result result;
    th_message message;

    w_receive(&result);
    if (!result.is_error) {
        return received_in(&result.ok);
    }
    message = error_in(&result.error);
    message.context = slice_in(result.context);
    return message;
}

void th_send(const th_address *target, const th_request *request)
{
    w_outgoing out = outgoing(target, request);

    w_send_request(&out);
}

void th_send_all(const th_outgoing *list, size_t n)
{
    w_outgoing *out = th_alloc(n * sizeof *out);

    for (size_t i = 0; i < n; i++) {
        out[i] = outgoing(&list[i].target, &list[i].request);
    }
    w_send_requests(out, n);
    th_free(out);
}

void th_respond(const th_response *response)
{
    th_blob blob = response->blob != NULL ? *response->blob : (th_blob){0};

    w_send_response(response->inherit, response->body.ptr, response->body.len,
                    response->metadata.ptr != NULL, response->metadata.ptr,
                    response->metadata.len, response->caps.ptr, response->caps.len,
                    response->blob != NULL, blob.mime.ptr != NULL, blob.mime.ptr,
                    blob.mime.len, blob.bytes.ptr, blob.bytes.len);
}

th_message th_call(const th_address *target, const th_request *request)
{
    w_call call = call_out(target, request);
    w_call_result result;

    w_call_out(&call, &result);
    return result.is_error ? error_in(&result.error) : received_in(&result.ok);
}

bool th_has_blob(void)
{
    return w_has_blob() != 0;
}

bool th_get_blob(th_blob *out)
{
    w_option_blob blob;

    w_get_blob(&blob);
    return blob_in(&blob, out);
}

bool th_last_blob(th_blob *out)
{
    w_option_blob blob;

    w_last_blob(&blob);
    return blob_in(&blob, out);
}

/* ---- the process ---- */

void th_print(uint8_t verbosity, th_slice text)
{
    w_print(verbosity, text.ptr, text.len);
}

th_address th_our(void)
{
    th_address our;

    w_our(&our);
    return our;
}

th_on_exit th_get_on_exit(void)
{
    w_on_exit in;
    th_on_exit on_exit = {0};

    w_get_on_exit(&in);
    on_exit.kind = in.kind;
    if (on_exit.kind != TH_EXIT_REQUESTS) {
        return on_exit;
    }
    on_exit.requests = th_alloc(in.requests.len * sizeof *on_exit.requests);
    on_exit.n_requests = in.requests.len;
    for (size_t i = 0; i < in.requests.len; i++) {
        const w_call *one = &in.requests.ptr[i];
        th_blob *blob = one->blob.is_some ? th_alloc(sizeof *blob) : NULL;

        blob_in(&one->blob, blob);
        on_exit.requests[i] = (th_outgoing){
            .target = one->target,
            .request =
                {
                    .inherit = one->request.inherit,
                    .expects_response = one->request.expects_response.is_some,
                    .timeout_s = one->request.expects_response.value,
                    .body = one->request.body,
                    .metadata = slice_in(one->request.metadata),
                    .caps = one->request.caps,
                    .blob = blob,
                },
        };
    }
    th_free(in.requests.ptr);
    return on_exit;
}

void th_set_on_exit(const th_on_exit *on_exit)
{
    w_on_exit out = on_exit_out(on_exit);

    w_set_on_exit(out.kind, out.requests.ptr, out.requests.len);
    th_free(out.requests.ptr);
}

th_slice th_get_state(void)
{
    w_option state;

    w_get_state(&state);
    return slice_in(state);
}

void th_set_state(th_slice bytes)
{
    w_set_state(bytes.ptr, bytes.len);
}

void th_clear_state(void)
{
    w_clear_state();
}

th_spawned th_spawn(const th_spawn_options *options, th_process_id *id)
{
    w_on_exit on_exit = on_exit_out(&options->on_exit);
    w_spawn_result result;

    w_spawn(options->name.ptr != NULL, options->name.ptr, options->name.len,
            options->path.ptr, options->path.len, on_exit.kind, on_exit.requests.ptr,
            on_exit.requests.len, options->request_caps.ptr, options->request_caps.len,
            options->grants, options->n_grants, options->is_public, &result);
    th_free(on_exit.requests.ptr);
    if (result.is_error) {
        return result.error == 0 ? TH_NAME_TAKEN : TH_NO_FILE_AT_PATH;
    }
    *id = result.id;
    return TH_SPAWNED;
}

void th_save_caps(th_caps caps)
{
    w_save_caps(caps.ptr, caps.len);
}

void th_drop_caps(th_caps caps)
{
    w_drop_caps(caps.ptr, caps.len);
}

th_caps th_our_caps(void)
{
    th_caps caps;

    w_our_caps(&caps);
    return caps;
}
