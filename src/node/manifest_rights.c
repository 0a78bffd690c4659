#include "base/mem.h"
#include "core/id.h"
#include "node/manifest_parts.h"

/*
 * What an entry says of its processes' rights and of their end, in the names and forms of
 * Kinode's manifest.json:
 *
 *   public: true
 *   request_networking: true
 *   request_capabilities:              # what they hold
 *     - main:chat:sys                  # may send to it
 *     - {process: "vfs:distro:sys", params: {kind: read}}
 *   grant_capabilities: [ui:chat:sys]  # who holds theirs; the same forms
 *   on_exit: Restart                   # None, Restart, or
 *   on_exit: {Requests: [["main:chat:sys", {inherit: false, body: "gone",
 *                          capabilities: []}, null]]}
 *
 * A text stands for its bytes where Kinode has a list of numbers.
 */

/* --- YAML as JSON ------------------------------------------------------------------ */

static bool is_number(th_slice text)
{
    size_t i = text.bytes > 0 && text.at[0] == '-';

    if (i == text.bytes || (text.at[i] == '0' && text.bytes > i + 1)) {
        return false;
    }
    for (; i < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return true;
}

static void put_bytes(th_buf *out, th_slice text)
{
    th_buf_putc(out, '[');
    for (size_t i = 0; i < text.bytes; i++) {
        th_buf_putf(out, "%s%u", i == 0 ? "" : ",", (unsigned char)text.at[i]);
    }
    th_buf_putc(out, ']');
}

static void put_scalar(th_buf *out, const th_yaml *yaml)
{
    th_slice text = yaml->text;
    bool is_plain = !yaml->is_quoted;

    if (is_plain && (text.bytes == 0 || th_slice_is(text, "~"))) {
        th_buf_puts(out, "null");
    } else if (is_plain && (is_number(text) || th_slice_is(text, "true") ||
                            th_slice_is(text, "false") || th_slice_is(text, "null"))) {
        th_buf_put(out, text.at, text.bytes);
    } else {
        th_json_put_text(out, text);
    }
}

/* As deep as the YAML, which is bounded. With @bytes the texts of bodies are bytes. */
static void put_json(th_buf *out, const th_yaml *yaml, bool bytes)
{
    bool is_map = yaml->type == TH_YAML_MAP;

    if (yaml->type == TH_YAML_SCALAR) {
        put_scalar(out, yaml);
        return;
    }
    th_buf_putc(out, is_map ? '{' : '[');
    for (const th_yaml *one = yaml->child; one != NULL; one = one->next) {
        th_buf_puts(out, one == yaml->child ? "" : ",");
        if (is_map) {
            th_json_put_text(out, one->key);
            th_buf_putc(out, ':');
        }
        if (bytes && is_map && one->type == TH_YAML_SCALAR &&
            (th_slice_is(one->key, "body") || th_slice_is(one->key, "bytes"))) {
            put_bytes(out, one->text);
        } else {
            put_json(out, one, bytes);
        }
    }
    th_buf_putc(out, is_map ? '}' : ']');
}

/* --- Capabilities ------------------------------------------------------------------ */

static bool is_process_id(th_slice text)
{
    th_address address;
    th_id_error error;

    return th_address_decode(&address, text, true, &error) == TH_OK &&
           address.node.bytes == 0;
}

static void read_object(const manifest_place *at, const th_yaml *one, th_grant *out,
                        th_buf *json)
{
    const th_yaml *process = th_yaml_get(one, "process");
    const th_yaml *params = th_yaml_get(one, "params");

    th_manifest_check_keys(at, one, "a capability", "process params");
    if (process == NULL || params == NULL) {
        th_manifest_wrong(at, one,
                          "a capability is a process id, which is the right to send to "
                          "it, or `{process: ID, params: VALUE}`");
        return;
    }
    put_json(json, params, false);
    out->process = process->text;
}

/* "process:package:publisher" alone is the right to send. Refuses: QUOTA. */
static th_err read_capability(const manifest_place *at, const th_yaml *one,
                              th_grant *out)
{
    th_buf json = TH_BUF_INIT;

    if (one->type == TH_YAML_MAP) {
        read_object(at, one, out, &json);
    } else {
        th_buf_put(&json, TH_CAP_MESSAGING.at, TH_CAP_MESSAGING.bytes);
        out->process = one->type == TH_YAML_SCALAR ? one->text : TH_SLICE("");
    }
    out->params = th_buf_slice(&json); /* the manifest frees it */
    if (json.failed) {
        return TH_QUOTA;
    }
    if (json.bytes > TH_CAP_PARAMS_BYTES_MAX) {
        th_manifest_wrong(at, one, "`params` have more than %d bytes",
                          TH_CAP_PARAMS_BYTES_MAX);
    } else if (json.bytes > 0 && !is_process_id(out->process)) {
        th_manifest_wrong(at, one,
                          "`%.*s` is not a process id: it is "
                          "`process:package:publisher`",
                          TH_FMT(out->process));
    }
    return TH_OK;
}

static th_err read_capabilities(const manifest_place *at, const th_yaml *map,
                                const char *key, th_grant **out, size_t *count)
{
    const th_yaml *list = th_yaml_get(map, key);
    size_t n = 0;
    th_err err = TH_OK;

    if (list == NULL) {
        return TH_OK;
    }
    for (const th_yaml *one = list->child; one != NULL; one = one->next) {
        n++;
    }
    if (list->type != TH_YAML_LIST || n > TH_MANIFEST_LIST_MAX) {
        th_manifest_wrong(at, list,
                          "`%s` is a list of at most %d capabilities, as in "
                          "`%s: [\"main:chat:sys\"]`",
                          key, TH_MANIFEST_LIST_MAX, key);
        return TH_OK;
    }
    *out = th_calloc(n + 1, sizeof **out);
    if (*out == NULL) {
        return TH_QUOTA;
    }
    for (const th_yaml *one = list->child; one != NULL && err == TH_OK;
         one = one->next) {
        err = read_capability(at, one, &(*out)[(*count)++]);
    }
    return err;
}

/* --- The rest ---------------------------------------------------------------------- */

static void read_bool(const manifest_place *at, const th_yaml *map, const char *key,
                      bool *out)
{
    const th_yaml *value = th_yaml_get(map, key);

    if (value != NULL) {
        *out = th_slice_is(value->text, "true");
        if (!*out && !th_slice_is(value->text, "false")) {
            th_manifest_wrong(at, value, "`%s` is true or false", key);
        }
    }
}

static th_err read_on_exit(const manifest_place *at, const th_yaml *map,
                           th_declared *entry)
{
    const th_yaml *value = th_yaml_get(map, "on_exit");
    th_auto_buf json = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_err err;

    if (value == NULL) {
        return TH_OK;
    }
    put_json(&json, value, true);
    err = json.failed ? TH_QUOTA
                      : th_on_exit_decode(&entry->on_exit, th_buf_slice(&json), &why);
    if (err != TH_OK && why.bytes > 0) {
        th_manifest_wrong(at, value,
                          "`on_exit` is None, Restart or {Requests: [...]}: %s",
                          th_buf_text(&why));
        return TH_OK;
    }
    return err;
}

th_err th_manifest_read_rights(const manifest_place *at, const th_yaml *map,
                               th_declared *entry)
{
    th_err err;

    read_bool(at, map, "public", &entry->is_public);
    read_bool(at, map, "request_networking", &entry->is_networking);
    err = read_capabilities(at, map, "request_capabilities", &entry->requests,
                            &entry->requests_count);
    if (err == TH_OK) {
        err = read_capabilities(at, map, "grant_capabilities", &entry->grants,
                                &entry->grants_count);
    }
    return err == TH_OK ? read_on_exit(at, map, entry) : err;
}

static void free_grants(th_grant *grants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        th_free((char *)grants[i].params.at);
    }
    th_free(grants);
}

void th_manifest_free_rights(th_declared *entry)
{
    free_grants(entry->requests, entry->requests_count);
    free_grants(entry->grants, entry->grants_count);
    th_on_exit_draft_free(entry->on_exit);
}
