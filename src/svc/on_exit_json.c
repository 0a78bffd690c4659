#include "svc/on_exit_json.h"

#include "base/mem.h"

/*
 * Reading on-exit: all of it, into a draft, before anything is made of it. The draft
 * keeps texts where the document has them; bodies and blobs are already what they will
 * be.
 */

typedef struct draft_request {
    th_on_exit_request parts; /* without capabilities */
    const th_cap_claim *claims;
    size_t claims_count;
} draft_request;

struct th_on_exit_draft {
    th_on_exit_kind kind;
    size_t count; /* requests that may hold something */
    draft_request *requests;
    th_cap_claim *claims; /* of all requests */
    size_t claims_count;  /* in use */
    size_t bytes;
    th_json *json; /* owned, or NULL when somebody else has it */
};

th_on_exit_draft *th_on_exit_draft_free(th_on_exit_draft *draft)
{
    if (draft != NULL) {
        for (size_t i = 0; i < draft->count; i++) {
            th_blob_unref(draft->requests[i].parts.body);
            th_blob_unref(draft->requests[i].parts.blob);
        }
        th_free(draft->requests);
        th_free(draft->claims);
        th_json_free(draft->json);
    }
    return th_free(draft);
}

th_on_exit_kind th_on_exit_draft_kind(const th_on_exit_draft *draft)
{
    return draft->kind;
}

/* --- Parts ------------------------------------------------------------------------ */

#define FORM                                                                           \
    "on_exit is \"None\", \"Restart\" or "                                             \
    "{\"Requests\":[[ADDRESS,REQUEST,BLOB or null],...]}"

static th_err no_memory(th_buf *why)
{
    th_buf_puts(why, "on_exit: the node's memory ran out");
    return TH_QUOTA;
}

/* Charge @bytes. False: the whole is too much. */
static bool charge(th_on_exit_draft *draft, size_t bytes)
{
    if (bytes > TH_ON_EXIT_BYTES_MAX - draft->bytes) {
        return false;
    }
    draft->bytes += bytes;
    return true;
}

static th_err too_much(th_buf *why)
{
    th_buf_putf(why,
                "on_exit: its requests have more than %zu bytes together (each one and "
                "each capability counts 1024 beyond its own): send less, or a pointer "
                "to where it is",
                TH_ON_EXIT_BYTES_MAX);
    return TH_QUOTA;
}

static th_err wrong(th_buf *why, size_t index, const char *what)
{
    th_buf_putf(why, "on_exit: request %zu: %s", index + 1, what);
    return TH_INVALID;
}

/* An array of numbers, as the bytes that it is; NULL for an empty body. */
static th_err read_bytes(th_on_exit_draft *draft, th_blob **out, const th_json *json,
                         th_slice mime)
{
    size_t n = th_json_count(json);
    th_auto_buf bytes = TH_BUF_INIT;
    char *at;

    if (!th_json_is_array(json)) {
        return TH_INVALID;
    }
    if (!charge(draft, n) || !charge(draft, mime.bytes)) {
        return TH_QUOTA;
    }
    at = th_buf_reserve(&bytes, n);
    if (at == NULL) {
        return TH_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t byte;

        if (!th_json_u64(th_json_at(json, i), &byte) || byte > 255) {
            return TH_INVALID;
        }
        at[i] = (char)byte;
    }
    *out = th_blob_new(th_slice_of(at, n), mime);
    return *out == NULL ? TH_NOMEM : TH_OK;
}

static th_err bytes_error(th_buf *why, size_t index, th_err err, const char *what)
{
    switch (err) {
    case TH_QUOTA:
        return too_much(why);
    case TH_NOMEM:
        return no_memory(why);
    default:
        th_buf_putf(why,
                    "on_exit: request %zu: %s are an array of numbers from 0 to 255",
                    index + 1, what);
        return TH_INVALID;
    }
}

typedef struct keys {
    const char *const *known;
    th_slice unknown;
} keys;

static bool check_key(void *context, th_slice key, const th_json *value)
{
    keys *keys = context;

    (void)value;
    for (size_t i = 0; keys->known[i] != NULL; i++) {
        if (th_slice_is(key, keys->known[i])) {
            return true;
        }
    }
    keys->unknown = key;
    return false;
}

static th_err check_keys(const th_json *json, const char *const *known, size_t index,
                         th_buf *why)
{
    keys keys = {.known = known};

    th_json_pairs(json, check_key, &keys);
    if (keys.unknown.at == NULL) {
        return TH_OK;
    }
    th_buf_putf(why, "on_exit: request %zu: there is no field \"%.*s\"", index + 1,
                keys.unknown.bytes < 40 ? (int)keys.unknown.bytes : 40,
                keys.unknown.at);
    return TH_INVALID;
}

static th_err read_blob(th_on_exit_draft *draft, size_t index, const th_json *json,
                        th_buf *why)
{
    static const char *const known[] = {"mime", "bytes", NULL};
    th_slice text = th_slice_of(NULL, 0);
    const th_json *mime = th_json_get(json, "mime");
    th_err err;

    if (th_json_is_null(json)) {
        return TH_OK;
    }
    if (!th_json_is_object(json) ||
        (mime != NULL && !th_json_is_null(mime) && !th_json_text(mime, &text))) {
        return wrong(why, index,
                     "its blob is null or {\"mime\":TEXT or null,\"bytes\":[...]}");
    }
    err = check_keys(json, known, index, why);
    if (err != TH_OK) {
        return err;
    }
    err = read_bytes(draft, &draft->requests[index].parts.blob,
                     th_json_get(json, "bytes"), text);
    return err == TH_OK ? TH_OK : bytes_error(why, index, err, "a blob's \"bytes\"");
}

static th_err read_caps(th_on_exit_draft *draft, size_t index, const th_json *json,
                        th_buf *why)
{
    draft_request *request = &draft->requests[index];

    request->claims = draft->claims + draft->claims_count;
    request->claims_count = th_json_count(json);
    for (size_t i = 0; i < request->claims_count; i++) {
        th_cap_claim *claim = &draft->claims[draft->claims_count];
        th_auto_buf what = TH_BUF_INIT;

        if (th_cap_claim_read(claim, th_json_at(json, i), &what) != TH_OK) {
            th_buf_putf(why, "on_exit: request %zu: capability %zu: %s", index + 1,
                        i + 1, th_buf_text(&what));
            return TH_INVALID;
        }
        draft->claims_count++;
        if (!charge(draft, 1024 + claim->params.bytes)) {
            return too_much(why);
        }
    }
    return TH_OK;
}

/* The fields of a request that need no more than a look. */
static const char *read_plain(th_on_exit_request *out, const th_json *json)
{
    const th_json *expects = th_json_get(json, "expects_response");
    const th_json *metadata = th_json_get(json, "metadata");
    uint64_t seconds;

    if (!th_json_bool(th_json_get(json, "inherit"), &out->inherit)) {
        return "its \"inherit\" is true or false";
    }
    if (expects != NULL && !th_json_is_null(expects) &&
        !th_json_u64(expects, &seconds)) {
        return "its \"expects_response\" is null (nobody would be there to have it)";
    }
    if (metadata != NULL && !th_json_is_null(metadata)) {
        out->has_metadata = th_json_text(metadata, &out->metadata);
        if (!out->has_metadata) {
            return "its \"metadata\" is a text or null";
        }
    }
    if (!th_json_is_array(th_json_get(json, "capabilities"))) {
        return "its \"capabilities\" are an array";
    }
    return NULL;
}

static th_err read_body(th_on_exit_draft *draft, size_t index, const th_json *json,
                        th_buf *why)
{
    th_on_exit_request *parts = &draft->requests[index].parts;
    th_err err = read_bytes(draft, &parts->body, th_json_get(json, "body"),
                            th_slice_of(NULL, 0));

    return err == TH_OK ? TH_OK : bytes_error(why, index, err, "its \"body\"'s bytes");
}

static th_err read_request(th_on_exit_draft *draft, size_t index, const th_json *json,
                           th_buf *why)
{
    static const char *const known[] = {"inherit",  "expects_response", "body",
                                        "metadata", "capabilities",     NULL};
    th_on_exit_request *parts = &draft->requests[index].parts;
    const th_json *request = th_json_at(json, 1);
    const char *what;
    th_err err;

    if (th_json_count(json) != 3 ||
        !th_json_text(th_json_at(json, 0), &parts->target) ||
        !th_json_is_object(request)) {
        return wrong(why, index, "it is [ADDRESS,REQUEST,BLOB or null]");
    }
    if (!th_target_is_valid(parts->target)) {
        return wrong(why, index,
                     "its target is no address NODE@PROCESS:PACKAGE:PUBLISHER");
    }
    err = check_keys(request, known, index, why);
    if (err != TH_OK) {
        return err;
    }
    what = read_plain(parts, request);
    if (what != NULL) {
        return wrong(why, index, what);
    }
    if (!charge(draft, 1024 + parts->target.bytes + parts->metadata.bytes)) {
        return too_much(why);
    }
    err = read_body(draft, index, request, why);
    if (err == TH_OK) {
        err = read_caps(draft, index, th_json_get(request, "capabilities"), why);
    }
    return err == TH_OK ? read_blob(draft, index, th_json_at(json, 2), why) : err;
}

/* --- The whole -------------------------------------------------------------------- */

/* Room for all requests and their claims. */
static th_err make_room(th_on_exit_draft *draft, const th_json *requests, th_buf *why)
{
    size_t n = th_json_count(requests);
    size_t claims = 0;

    if (n > TH_ON_EXIT_REQUESTS_MAX) {
        th_buf_putf(why, "on_exit: it has %zu requests; %d are the most", n,
                    TH_ON_EXIT_REQUESTS_MAX);
        return TH_QUOTA;
    }
    for (size_t i = 0; i < n; i++) {
        const th_json *request = th_json_at(th_json_at(requests, i), 1);

        claims += th_json_count(th_json_get(request, "capabilities"));
    }
    if (claims > TH_ON_EXIT_BYTES_MAX / 1024) {
        return too_much(why);
    }
    draft->requests = th_calloc(n + 1, sizeof *draft->requests);
    draft->claims = th_calloc(claims + 1, sizeof *draft->claims);
    if (draft->requests == NULL || draft->claims == NULL) {
        return no_memory(why);
    }
    return TH_OK;
}

static bool count_key(void *context, th_slice key, const th_json *value)
{
    (void)key;
    (void)value;
    (*(size_t *)context)++;
    return true;
}

static th_err read_requests(th_on_exit_draft *draft, const th_json *json, th_buf *why)
{
    const th_json *requests = th_json_get(json, "Requests");
    size_t fields = 0;
    th_err err;

    th_json_pairs(json, count_key, &fields);
    if (fields != 1 || !th_json_is_array(requests)) {
        th_buf_puts(why, FORM);
        return TH_INVALID;
    }
    draft->kind = TH_ON_EXIT_REQUESTS;
    err = make_room(draft, requests, why);
    for (size_t i = 0; err == TH_OK && i < th_json_count(requests); i++) {
        draft->count = i + 1;
        err = read_request(draft, i, th_json_at(requests, i), why);
    }
    return err;
}

th_err th_on_exit_read(th_on_exit_draft **out, const th_json *json, th_buf *why)
{
    th_auto(th_on_exit_draft) draft = th_calloc(1, sizeof *draft);
    th_err err = TH_OK;
    th_slice text;

    if (draft == NULL) {
        return no_memory(why);
    }
    if (!th_json_text(json, &text)) {
        err = read_requests(draft, json, why);
    } else if (th_slice_is(text, "Restart")) {
        draft->kind = TH_ON_EXIT_RESTART;
    } else if (!th_slice_is(text, "None")) {
        th_buf_puts(why, FORM);
        err = TH_INVALID;
    }
    if (err == TH_OK) {
        *out = th_take(&draft);
    }
    return err;
}

th_err th_on_exit_decode(th_on_exit_draft **out, th_slice text, th_buf *why)
{
    th_auto(th_json) json = NULL;
    th_json_error error;
    th_err err;

    if (text.bytes > TH_ON_EXIT_TEXT_BYTES_MAX) {
        th_buf_putf(why, "on_exit: its text has %zu bytes; %zu are the most",
                    text.bytes, TH_ON_EXIT_TEXT_BYTES_MAX);
        return TH_QUOTA;
    }
    err = th_json_decode(&json, text, &error);
    if (err != TH_OK) {
        th_buf_putf(why, "on_exit: byte %zu: %s", error.at, error.what);
        return err;
    }
    err = th_on_exit_read(out, json, why);
    if (err == TH_OK) {
        (*out)->json = th_take(&json);
    }
    return err;
}

/* --- Settling --------------------------------------------------------------------- */

/* The capabilities of one request. NULL with *err OK: it has none. */
static th_caps *settle_caps(const draft_request *from, th_on_exit_resolve *resolve,
                            void *context, th_err *err)
{
    th_cap **found;
    th_caps *caps;
    size_t n = 0;

    if (from->claims_count == 0) {
        return NULL;
    }
    found = th_calloc(from->claims_count, sizeof(th_cap *));
    if (found == NULL) {
        *err = TH_QUOTA;
        return NULL;
    }
    for (size_t i = 0; i < from->claims_count; i++) {
        found[n] = resolve(context, &from->claims[i]);
        n += found[n] != NULL;
    }
    caps = th_caps_new(found, n);
    if (caps == NULL) {
        *err = TH_QUOTA;
    }
    while (n > 0) {
        th_cap_unref(found[--n]);
    }
    th_free(found);
    return caps;
}

th_err th_on_exit_settle(th_on_exit **out, const th_on_exit_draft *draft,
                         th_on_exit_resolve *resolve, void *context)
{
    th_on_exit_request *requests;
    th_err err = TH_OK;

    if (draft->kind != TH_ON_EXIT_REQUESTS) {
        *out = th_on_exit_plain(draft->kind);
        return TH_OK;
    }
    requests = th_calloc(draft->count + 1, sizeof *requests);
    if (requests == NULL) {
        return TH_QUOTA;
    }
    for (size_t i = 0; err == TH_OK && i < draft->count; i++) {
        requests[i] = draft->requests[i].parts;
        requests[i].caps = settle_caps(&draft->requests[i], resolve, context, &err);
    }
    if (err == TH_OK) {
        err = th_on_exit_new(out, requests, draft->count);
    }
    for (size_t i = 0; i < draft->count; i++) {
        th_caps_unref(requests[i].caps);
    }
    th_free(requests);
    return err;
}

/* --- Writing ---------------------------------------------------------------------- */

/* [1,2,3]: bytes as numbers. */
static void put_bytes(th_buf *out, th_slice bytes)
{
    th_buf_putc(out, '[');
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned n = (unsigned char)bytes.at[i];
        char text[4] = {(char)('0' + n / 100), (char)('0' + n / 10 % 10),
                        (char)('0' + n % 10), ','};
        size_t zeros = n < 10 ? 2 : n < 100 ? 1 : 0;

        th_buf_put(out, text + zeros, 3 - zeros + (i + 1 < bytes.bytes));
    }
    th_buf_putc(out, ']');
}

static void put_blob(th_buf *out, const th_blob *blob)
{
    if (blob == NULL) {
        th_buf_puts(out, "null");
        return;
    }
    th_buf_puts(out, "{\"mime\":");
    if (blob->has_mime) {
        th_json_put_text(out, th_slice_of(blob->mime, blob->mime_bytes));
    } else {
        th_buf_puts(out, "null");
    }
    th_json_put_key(out, "bytes");
    put_bytes(out, th_blob_slice(blob));
    th_buf_putc(out, '}');
}

static void put_request(th_buf *out, th_slice node, const th_on_exit_request *request)
{
    th_buf_putc(out, '[');
    th_json_put_text(out, request->target);
    th_buf_putf(out, ",{\"inherit\":%s,\"expects_response\":null,\"body\":",
                request->inherit ? "true" : "false");
    put_bytes(out, th_blob_slice(request->body));
    th_json_put_key(out, "metadata");
    if (request->has_metadata) {
        th_json_put_text(out, request->metadata);
    } else {
        th_buf_puts(out, "null");
    }
    th_json_put_key(out, "capabilities");
    th_buf_putc(out, '[');
    for (size_t i = 0; i < th_caps_count(request->caps); i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        th_cap_encode(out, node, th_caps_at(request->caps, i));
    }
    th_buf_puts(out, "]},");
    put_blob(out, request->blob);
    th_buf_putc(out, ']');
}

void th_on_exit_encode(th_buf *out, th_slice node, const th_on_exit *on_exit)
{
    th_on_exit_kind kind = th_on_exit_kind_of(on_exit);

    if (kind != TH_ON_EXIT_REQUESTS) {
        th_buf_puts(out, kind == TH_ON_EXIT_NONE ? "\"None\"" : "\"Restart\"");
        return;
    }
    th_buf_puts(out, "{\"Requests\":[");
    for (size_t i = 0; i < th_on_exit_count(on_exit); i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        put_request(out, node, th_on_exit_at(on_exit, i));
    }
    th_buf_puts(out, "]}");
}
