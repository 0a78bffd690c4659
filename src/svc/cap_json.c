#include "svc/cap_json.h"

void th_cap_encode(th_buf *out, th_slice node, const th_cap *cap)
{
    th_slice id = th_issuer_id(th_cap_issuer(cap));
    th_auto_buf issuer = TH_BUF_INIT;

    if (th_slice_find(id, '@') == id.bytes) {
        th_buf_put(&issuer, node.at, node.bytes);
        th_buf_putc(&issuer, '@');
    }
    th_buf_put(&issuer, id.at, id.bytes);
    th_buf_putc(out, '{');
    th_json_put_pair(out, "issuer", th_buf_slice(&issuer));
    th_json_put_pair(out, "params", th_cap_params(cap));
    th_buf_putc(out, '}');
    out->failed |= issuer.failed;
}

/* [CAP, SIGNATURE]: the capability. */
static const th_json *unpair(const th_json *json)
{
    return th_json_count(json) == 2 ? th_json_at(json, 0) : json;
}

static bool check_key(void *context, th_slice key, const th_json *value)
{
    th_buf *why = context;

    (void)value;
    if (!th_slice_is(key, "issuer") && !th_slice_is(key, "params")) {
        th_buf_putf(why, "a capability has no field \"%.*s\"",
                    key.bytes < 40 ? (int)key.bytes : 40, key.at);
        return false;
    }
    return true;
}

th_err th_cap_claim_read(th_cap_claim *out, const th_json *json, th_buf *why)
{
    size_t before = why->bytes;
    th_cap_claim made;
    th_id_error error;
    th_slice issuer;

    json = unpair(json);
    if (!th_json_is_object(json)) {
        th_buf_puts(why, "a capability is {\"issuer\":ADDRESS,\"params\":TEXT}");
        return TH_INVALID;
    }
    th_json_pairs(json, check_key, why);
    if (why->bytes > before || why->failed) {
        return TH_INVALID;
    }
    if (!th_json_text(th_json_get(json, "issuer"), &issuer)) {
        th_buf_puts(why, "a capability's \"issuer\" is an address, in quotes");
        return TH_INVALID;
    }
    if (th_address_decode(&made.issuer, issuer, true, &error) != TH_OK) {
        th_buf_putf(why, "a capability's \"issuer\" is no address: byte %zu: %s",
                    error.at, error.what);
        return TH_INVALID;
    }
    if (!th_json_text(th_json_get(json, "params"), &made.params)) {
        th_buf_puts(why, "a capability's \"params\" is a text that holds JSON, as in "
                         "\"\\\"messaging\\\"\"");
        return TH_INVALID;
    }
    if (made.params.bytes > TH_CAP_PARAMS_BYTES_MAX) {
        th_buf_putf(why, "a capability's \"params\" has %zu bytes; %d is the most",
                    made.params.bytes, TH_CAP_PARAMS_BYTES_MAX);
        return TH_INVALID;
    }
    made.id = made.issuer.node.bytes == 0
                  ? issuer
                  : th_slice_from(issuer, made.issuer.node.bytes + 1);
    *out = made;
    return TH_OK;
}
