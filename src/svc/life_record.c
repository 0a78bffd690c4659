#include "svc/life_record.h"

#include "base/mem.h"

static const char *const states[] = {
    [TH_LIFE_ALIVE] = "alive",
    [TH_LIFE_BACKING_OFF] = "backing_off",
    [TH_LIFE_KILLED] = "killed",
    [TH_LIFE_FIRING] = "firing",
};

#define STATES_COUNT (sizeof states / sizeof states[0])

/* --- Writing ---------------------------------------------------------------------- */

static void put_caps(th_buf *out, const th_caps *caps)
{
    bool is_first = true;

    th_buf_putc(out, '[');
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        if (th_cap_is_valid(th_caps_at(caps, i))) {
            th_buf_puts(out, is_first ? "" : ",");
            th_cap_encode(out, TH_SLICE("our"), th_caps_at(caps, i));
            is_first = false;
        }
    }
    th_buf_putc(out, ']');
}

void th_life_record_encode(th_buf *out, const th_life_parts *parts)
{
    th_buf_putc(out, '{');
    th_json_put_pair_u64(out, "version", TH_LIFE_RECORD_VERSION);
    th_json_put_pair(out, "entry", parts->entry);
    th_json_put_pair(out, "host", parts->host);
    if (parts->args.bytes > 0) {
        th_json_put_key(out, "args");
        th_buf_putc(out, '"');
        th_base64_encode(out, parts->args);
        th_buf_putc(out, '"');
    }
    th_json_put_key(out, "public");
    th_buf_puts(out, parts->is_public ? "true" : "false");
    th_json_put_key(out, "on_exit");
    th_on_exit_encode(out, TH_SLICE("our"), parts->on_exit);
    th_json_put_key(out, "capabilities");
    put_caps(out, parts->caps);
    th_json_put_pair_u64(out, "restarts", parts->restarts);
    th_json_put_key(out, "backoff");
    th_buf_putc(out, '{');
    th_json_put_pair_u64(out, "restarts", parts->backoff.restarts);
    th_json_put_pair_u64(out, "delay_ms", parts->backoff.delay_ms);
    th_buf_putc(out, '}');
    th_json_put_pair_u64(out, "order", parts->order);
    th_json_put_pair(out, "state", th_slice_str(states[parts->state]));
    th_buf_putc(out, '}');
}

/* --- Reading ---------------------------------------------------------------------- */

static th_err wrong(th_buf *why, const char *what)
{
    th_buf_putf(why, "its record is damaged: %s", what);
    return TH_INVALID;
}

static bool read_u32(const th_json *json, uint32_t *out)
{
    uint64_t n;

    if (!th_json_u64(json, &n) || n > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static th_err read_version(const th_json *json, th_buf *why)
{
    uint64_t version;

    if (!th_json_u64(th_json_get(json, "version"), &version) || version == 0) {
        return wrong(why, "it has no version");
    }
    if (version > TH_LIFE_RECORD_VERSION) {
        th_buf_putf(why, "a newer thole wrote its record (version %llu)",
                    (unsigned long long)version);
        return TH_UNSUPPORTED;
    }
    return TH_OK;
}

static bool read_state(const th_json *json, th_life_record *out)
{
    th_slice text;

    if (!th_json_text(json, &text)) {
        return false;
    }
    for (size_t i = 0; i < STATES_COUNT; i++) {
        if (th_slice_is(text, states[i])) {
            *out = (th_life_record)i;
            return true;
        }
    }
    return false;
}

static th_err read_args(th_life_doc *doc, th_buf *why)
{
    const th_json *json = th_json_get(doc->json, "args");
    th_slice text;

    if (json == NULL) {
        return TH_OK;
    }
    if (!th_json_text(json, &text) || th_base64_decode(&doc->args, text) != TH_OK) {
        return wrong(why, "`args` are no bytes in base64");
    }
    return doc->args.failed ? TH_QUOTA : TH_OK;
}

static th_err read_caps(th_life_doc *doc, th_buf *why)
{
    const th_json *json = th_json_get(doc->json, "capabilities");
    size_t count = th_json_count(json);

    if (!th_json_is_array(json) || count > TH_CAPSET_MAX) {
        return wrong(why, "`capabilities` is no list");
    }
    doc->caps = th_calloc(count + 1, sizeof *doc->caps);
    if (doc->caps == NULL) {
        return TH_QUOTA;
    }
    for (size_t i = 0; i < count; i++) {
        th_err err = th_cap_claim_read(&doc->caps[i], th_json_at(json, i), why);

        if (err != TH_OK) {
            return err;
        }
    }
    doc->caps_count = count;
    return TH_OK;
}

static th_err read_plain(th_life_doc *doc, th_buf *why)
{
    const th_json *json = doc->json;
    const th_json *backoff = th_json_get(json, "backoff");

    if (!th_json_text(th_json_get(json, "entry"), &doc->entry) ||
        !th_json_text(th_json_get(json, "host"), &doc->host) ||
        !th_json_bool(th_json_get(json, "public"), &doc->is_public) ||
        !th_json_u64(th_json_get(json, "restarts"), &doc->restarts) ||
        !th_json_u64(th_json_get(json, "order"), &doc->order) ||
        !read_u32(th_json_get(backoff, "restarts"), &doc->backoff.restarts) ||
        !read_u32(th_json_get(backoff, "delay_ms"), &doc->backoff.delay_ms) ||
        !read_state(th_json_get(json, "state"), &doc->state)) {
        return wrong(why, "a field is missing or is not what it should be");
    }
    return TH_OK;
}

static th_err read_all(th_life_doc *doc, th_slice text, th_buf *why)
{
    th_json_error error;
    th_err err = th_json_decode(&doc->json, text, &error);

    if (err != TH_OK) {
        return err == TH_INVALID ? wrong(why, error.what) : err;
    }
    err = read_version(doc->json, why);
    if (err == TH_OK) {
        err = read_plain(doc, why);
    }
    if (err == TH_OK) {
        err = read_args(doc, why);
    }
    if (err == TH_OK) {
        err = read_caps(doc, why);
    }
    return err == TH_OK
               ? th_on_exit_read(&doc->on_exit, th_json_get(doc->json, "on_exit"), why)
               : err;
}

th_err th_life_record_decode(th_life_doc *out, th_slice text, th_buf *why)
{
    th_life_doc doc = {0};
    th_err err = read_all(&doc, text, why);

    if (err != TH_OK) {
        if (why->bytes == 0) {
            th_buf_puts(why, "memory ran out while its record was read");
        }
        th_life_doc_deinit(&doc);
        return err;
    }
    *out = doc;
    return TH_OK;
}

void th_life_doc_deinit(th_life_doc *doc)
{
    doc->on_exit = th_on_exit_draft_free(doc->on_exit);
    doc->caps = th_free(doc->caps);
    th_buf_deinit(&doc->args);
    doc->json = th_json_free(doc->json);
    *doc = (th_life_doc){0};
}
