#include "svc/command.h"

#include "base/mem.h"

/*
 * A command is one row of a table: its name, whether all may give it, what stands
 * behind its name and how that is read. A reader fills the command; what is wrong it
 * says in a sentence, to which the name is put before.
 */

#define HANDLE_BYTES_MAX 1024
#define NAME_CLIP 40 /* of what a stranger wrote, in a sentence */

typedef th_err reader(th_kernel_command *out, const th_json *json, th_buf *why);

typedef struct row {
    const char *name;  /* outside */
    const char *inner; /* of a Debug: the name within */
    bool is_open;
    reader *read; /* NULL: nothing stands behind the name */
} row;

static const row rows[TH_KC_COUNT];

static int clip(th_slice text)
{
    return text.bytes < NAME_CLIP ? (int)text.bytes : NAME_CLIP;
}

static th_err no_memory(th_buf *why)
{
    th_buf_puts(why, "the node's memory ran out");
    return TH_QUOTA;
}

/* --- Fields ----------------------------------------------------------------------- */

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

/* An object with no field but those of @known, which ends with NULL. */
static th_err check_object(const th_json *json, const char *const *known, th_buf *why)
{
    keys keys = {.known = known};

    if (!th_json_is_object(json)) {
        th_buf_puts(why, "it takes an object with the fields");
        for (size_t i = 0; known[i] != NULL; i++) {
            th_buf_putf(why, "%s \"%s\"", i == 0 ? "" : ",", known[i]);
        }
        return TH_INVALID;
    }
    th_json_pairs(json, check_key, &keys);
    if (keys.unknown.at == NULL) {
        return TH_OK;
    }
    th_buf_putf(why, "it has no field \"%.*s\"", clip(keys.unknown), keys.unknown.at);
    return TH_INVALID;
}

/* A process of this node: "p:k:s". @what names the field. */
static th_err read_id(th_kernel_command *out, const char *what, const th_json *json,
                      th_buf *why)
{
    th_id_error error;
    th_address address;
    th_slice text;

    if (!th_json_text(json, &text)) {
        th_buf_putf(why,
                    "%s is a process's id, in quotes: \"PROCESS:PACKAGE:PUBLISHER\"",
                    what);
        return TH_INVALID;
    }
    if (th_address_decode(&address, text, true, &error) != TH_OK) {
        th_buf_putf(why, "%s is no process's id: byte %zu: %s", what, error.at,
                    error.what);
        return TH_INVALID;
    }
    if (address.node.bytes > 0) {
        th_buf_putf(why,
                    "%s has a node; the kernel commands its own processes alone: leave "
                    "out \"%.*s@\"",
                    what, clip(address.node), address.node.at);
        return TH_INVALID;
    }
    out->id = text;
    out->address = address;
    return TH_OK;
}

static th_err read_caps(th_kernel_command *out, const char *what, const th_json *json,
                        th_buf *why)
{
    size_t n = th_json_count(json);

    if (!th_json_is_array(json)) {
        th_buf_putf(why, "\"%s\" is an array of capabilities", what);
        return TH_INVALID;
    }
    if (n > TH_KERNEL_COMMAND_CAPS_MAX) {
        th_buf_putf(why, "\"%s\" has %zu capabilities; %d are the most in one command",
                    what, n, TH_KERNEL_COMMAND_CAPS_MAX);
        return TH_QUOTA;
    }
    out->caps = th_calloc(n + 1, sizeof *out->caps);
    if (out->caps == NULL) {
        return no_memory(why);
    }
    for (; out->caps_count < n; out->caps_count++) {
        th_auto_buf wrong = TH_BUF_INIT;

        if (th_cap_claim_read(&out->caps[out->caps_count],
                              th_json_at(json, out->caps_count), &wrong) != TH_OK) {
            th_buf_putf(why, "\"%s\" %zu: %s", what, out->caps_count + 1,
                        th_buf_text(&wrong));
            return TH_INVALID;
        }
    }
    return TH_OK;
}

/* --- Kinode's --------------------------------------------------------------------- */

/* The fields of InitializeProcess that need no more than a look. */
static const char *read_plain(th_kernel_command *out, const th_json *json)
{
    const th_json *version = th_json_get(json, "wit_version");
    uint64_t n = 0;

    if (!th_json_text(th_json_get(json, "wasm_bytes_handle"), &out->handle) ||
        out->handle.bytes > HANDLE_BYTES_MAX ||
        th_slice_find(out->handle, '\0') < out->handle.bytes) {
        return "\"wasm_bytes_handle\" is the path of its code: a text of at most 1024 "
               "bytes";
    }
    if (version != NULL && !th_json_is_null(version)) {
        out->has_wit_version = th_json_u64(version, &n) && n <= UINT32_MAX;
        if (!out->has_wit_version) {
            return "\"wit_version\" is null or a number from 0 to 4294967295";
        }
        out->wit_version = (uint32_t)n;
    }
    if (!th_json_bool(th_json_get(json, "public"), &out->is_public)) {
        return "\"public\" is true or false";
    }
    return NULL;
}

static th_err read_initialize(th_kernel_command *out, const th_json *json, th_buf *why)
{
    static const char *const known[] = {
        "id",      "wasm_bytes_handle",    "wit_version",
        "on_exit", "initial_capabilities", "public",
        NULL};
    th_err err = check_object(json, known, why);
    const char *wrong;

    if (err == TH_OK) {
        err = read_id(out, "\"id\"", th_json_get(json, "id"), why);
    }
    if (err != TH_OK) {
        return err;
    }
    wrong = read_plain(out, json);
    if (wrong != NULL) {
        th_buf_puts(why, wrong);
        return TH_INVALID;
    }
    err = th_on_exit_read(&out->on_exit, th_json_get(json, "on_exit"), why);
    if (err != TH_OK) {
        return err;
    }
    return read_caps(out, "initial_capabilities",
                     th_json_get(json, "initial_capabilities"), why);
}

static th_err read_target_caps(th_kernel_command *out, const th_json *json, th_buf *why)
{
    static const char *const known[] = {"target", "capabilities", NULL};
    th_err err = check_object(json, known, why);

    if (err == TH_OK) {
        err = read_id(out, "\"target\"", th_json_get(json, "target"), why);
    }
    if (err == TH_OK) {
        err = read_caps(out, "capabilities", th_json_get(json, "capabilities"), why);
    }
    return err;
}

static th_err read_set_on_exit(th_kernel_command *out, const th_json *json, th_buf *why)
{
    static const char *const known[] = {"target", "on_exit", NULL};
    th_err err = check_object(json, known, why);

    if (err == TH_OK) {
        err = read_id(out, "\"target\"", th_json_get(json, "target"), why);
    }
    if (err == TH_OK) {
        err = th_on_exit_read(&out->on_exit, th_json_get(json, "on_exit"), why);
    }
    return err;
}

static th_err read_process(th_kernel_command *out, const th_json *json, th_buf *why)
{
    return read_id(out, "what it takes", json, why);
}

static th_err read_has_cap(th_kernel_command *out, const th_json *json, th_buf *why)
{
    static const char *const known[] = {"on", "cap", NULL};
    th_err err = check_object(json, known, why);

    if (err == TH_OK) {
        err = read_id(out, "\"on\"", th_json_get(json, "on"), why);
    }
    if (err != TH_OK) {
        return err;
    }
    out->caps = th_calloc(1, sizeof *out->caps);
    if (out->caps == NULL) {
        return no_memory(why);
    }
    err = th_cap_claim_read(out->caps, th_json_get(json, "cap"), why);
    out->caps_count = err == TH_OK;
    return err;
}

/* --- Thole's own ------------------------------------------------------------------ */

static th_err read_on(th_kernel_command *out, const th_json *json, th_buf *why)
{
    if (!th_json_bool(json, &out->on)) {
        th_buf_puts(why, "it takes true (tell me when the node stops) or false");
        return TH_INVALID;
    }
    return TH_OK;
}

static th_err read_target(th_kernel_command *out, const th_json *json, th_buf *why)
{
    th_id_error error;
    th_pid_text pid;

    if (!th_json_text(json, &out->id)) {
        th_buf_puts(why, "it takes an address or a PID, in quotes");
        return TH_INVALID;
    }
    if (th_pid_text_decode(&pid, out->id, &error) == TH_OK) {
        out->is_pid = true;
        return TH_OK;
    }
    if (th_slice_starts(out->id, "{") ||
        th_address_decode(&out->address, out->id, true, &error) != TH_OK) {
        th_buf_putf(why,
                    "it takes an address NODE@PROCESS:PACKAGE:PUBLISHER or a PID "
                    "{NODE@HOST|NAMESPACE:NAME|UNIQUE}: byte %zu: %s",
                    error.at, error.what);
        return TH_INVALID;
    }
    return TH_OK;
}

/* --- The table -------------------------------------------------------------------- */

static const row rows[TH_KC_COUNT] = {
    [TH_KC_INITIALIZE] = {"InitializeProcess", NULL, false, read_initialize},
    [TH_KC_GRANT] = {"GrantCapabilities", NULL, false, read_target_caps},
    [TH_KC_DROP] = {"DropCapabilities", NULL, false, read_target_caps},
    [TH_KC_SET_ON_EXIT] = {"SetOnExit", NULL, false, read_set_on_exit},
    [TH_KC_RUN] = {"RunProcess", NULL, false, read_process},
    [TH_KC_KILL] = {"KillProcess", NULL, false, read_process},
    [TH_KC_SHUTDOWN] = {"Shutdown", NULL, false, NULL},
    [TH_KC_DEBUG_MAP] = {"Debug", "ProcessMap", false, NULL},
    [TH_KC_DEBUG_PROCESS] = {"Debug", "Process", false, read_process},
    [TH_KC_DEBUG_HAS_CAP] = {"Debug", "HasCap", false, read_has_cap},
    [TH_KC_NOTIFY_STOP] = {"NotifyStop", NULL, true, read_on},
    [TH_KC_MONITOR] = {"Monitor", NULL, true, read_target},
    [TH_KC_UNMONITOR] = {"Unmonitor", NULL, true, read_target},
    [TH_KC_LINK] = {"Link", NULL, true, read_target},
    [TH_KC_UNLINK] = {"Unlink", NULL, true, read_target},
};

const char *th_kernel_command_name(th_kernel_command_kind kind)
{
    return rows[kind].name;
}

bool th_kernel_command_is_open(th_kernel_command_kind kind)
{
    return rows[kind].is_open;
}

/* --- Reading ---------------------------------------------------------------------- */

/* A name and what stands behind it: "NAME", or {"NAME":VALUE}. */
typedef struct named {
    th_slice name;
    const th_json *value; /* NULL: nothing */
    size_t count;
} named;

static bool note_pair(void *context, th_slice key, const th_json *value)
{
    named *found = context;

    found->name = key;
    found->value = value;
    return ++found->count < 2;
}

static bool read_named(const th_json *json, named *out)
{
    *out = (named){0};
    if (th_json_text(json, &out->name)) {
        return true;
    }
    th_json_pairs(json, note_pair, out);
    return th_json_is_object(json) && out->count == 1;
}

static th_err unknown(th_slice name, bool is_debug, th_buf *why)
{
    th_buf_putf(why, "there is no %s \"%.*s\"; there are",
                is_debug ? "Debug" : "command", clip(name), name.at);
    for (size_t i = 0; i < TH_KC_COUNT; i++) {
        const char *shown = is_debug ? rows[i].inner : rows[i].name;

        if (shown != NULL && (is_debug || i == 0 || rows[i].inner == NULL ||
                              strcmp(rows[i].name, rows[i - 1].name) != 0)) {
            th_buf_putf(why, " %s", shown);
        }
    }
    return TH_INVALID;
}

static th_err not_named(th_buf *why)
{
    th_buf_puts(why, "a command is \"NAME\" or {\"NAME\":WHAT IT TAKES}");
    return TH_INVALID;
}

/* Which row is meant; *value becomes what is behind the name, or NULL. */
static th_err find_row(const th_json *json, const row **out, const th_json **value,
                       th_buf *why)
{
    named outer, inner = {0};
    bool is_debug;

    if (!read_named(json, &outer)) {
        return not_named(why);
    }
    is_debug = th_slice_is(outer.name, "Debug") && outer.value != NULL;
    if (is_debug && !read_named(outer.value, &inner)) {
        return not_named(why);
    }
    for (size_t i = 0; i < TH_KC_COUNT; i++) {
        const row *row = &rows[i];

        if (is_debug ? row->inner != NULL && th_slice_is(inner.name, row->inner)
                     : row->inner == NULL && th_slice_is(outer.name, row->name)) {
            *out = row;
            *value = is_debug ? inner.value : outer.value;
            return TH_OK;
        }
    }
    return unknown(is_debug ? inner.name : outer.name, is_debug, why);
}

static th_err deny(const row *row, th_buf *why)
{
    th_buf_putf(why,
                "%s needs messaging on kernel:distro:sys: the manifest's "
                "request_capabilities can ask for it",
                row->name);
    return TH_DENIED;
}

/* Both have a value, or neither. */
static th_err check_value(const row *row, const th_json *value, th_buf *why)
{
    if ((row->read == NULL) == (value == NULL)) {
        return TH_OK;
    }
    th_buf_puts(why, row->read == NULL ? "it takes nothing" : "it takes something");
    return TH_INVALID;
}

static th_err read_command(th_kernel_command *out, bool has_right, th_buf *why)
{
    th_auto_buf wrong = TH_BUF_INIT;
    const th_json *value;
    const row *row;
    th_err err = find_row(out->json, &row, &value, why);

    if (err != TH_OK) {
        return err;
    }
    if (!row->is_open && !has_right) {
        return deny(row, why);
    }
    out->kind = (th_kernel_command_kind)(row - rows);
    err = check_value(row, value, &wrong);
    if (err == TH_OK && row->read != NULL) {
        err = row->read(out, value, &wrong);
    }
    if (err != TH_OK) {
        th_buf_putf(why, "%s%s%s: %s", row->name, row->inner == NULL ? "" : " ",
                    row->inner == NULL ? "" : row->inner, th_buf_text(&wrong));
    }
    return err;
}

th_err th_kernel_command_decode(th_kernel_command *out, th_slice body, bool has_right,
                                th_buf *why)
{
    size_t most =
        has_right ? TH_KERNEL_COMMAND_BYTES_MAX : TH_KERNEL_COMMAND_OPEN_BYTES_MAX;
    th_kernel_command made = {0};
    th_json_error error;
    th_err err;

    if (body.bytes > most) {
        th_buf_putf(why, "a command has at most %zu bytes%s; this one has %zu", most,
                    has_right ? "" : " without messaging on kernel:distro:sys",
                    body.bytes);
        return TH_QUOTA;
    }
    err = th_json_decode(&made.json, body, &error);
    if (err != TH_OK) {
        th_buf_putf(why, "a command is JSON: byte %zu: %s", error.at, error.what);
        return err;
    }
    err = read_command(&made, has_right, why);
    if (err == TH_OK) {
        *out = made;
    } else {
        th_kernel_command_deinit(&made);
    }
    return err;
}

void th_kernel_command_deinit(th_kernel_command *command)
{
    th_on_exit_draft_free(command->on_exit);
    th_free(command->caps);
    th_json_free(command->json);
    *command = (th_kernel_command){0};
}
