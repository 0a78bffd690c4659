#include "node/attach_line.h"

#include "base/mem.h"
#include "node/content.h"
#include "node/control.h"
#include "node/terms.h"

/* --- Fields ------------------------------------------------------------------------ */

/* What is in a field of a line, or in one of its spellings. */
typedef enum found {
    FOUND_NONE,
    FOUND_RIGHT,
    FOUND_WRONG,
} found;

typedef found read_field(th_attach_line *line, const th_json *object);

typedef struct field_row {
    const char *name;
    const char *what; /* is right */
    read_field *read;
} field_row;

static found of(const th_json *value, bool is_right)
{
    return value == NULL ? FOUND_NONE : is_right ? FOUND_RIGHT : FOUND_WRONG;
}

static found read_text(const th_json *object, const char *key, th_slice *out,
                       size_t bytes_max)
{
    const th_json *value = th_json_get(object, key);

    return of(value, th_json_text(value, out) && out->bytes <= bytes_max);
}

static found read_bool(const th_json *object, const char *key, bool *out)
{
    const th_json *value = th_json_get(object, key);

    return of(value, th_json_bool(value, out));
}

static found read_number(const th_json *object, const char *key, uint64_t *out)
{
    const th_json *value = th_json_get(object, key);

    return of(value, th_json_u64(value, out));
}

#define TEXT_FIELD(field, key, bytes_max)                                              \
    static found read_##field(th_attach_line *line, const th_json *object)             \
    {                                                                                  \
        return read_text(object, key, &line->field, bytes_max);                        \
    }

#define BOOL_FIELD(field, key)                                                         \
    static found read_##field(th_attach_line *line, const th_json *object)             \
    {                                                                                  \
        return read_bool(object, key, &line->field);                                   \
    }

#define NUMBER_FIELD(field, key)                                                       \
    static found read_##field(th_attach_line *line, const th_json *object)             \
    {                                                                                  \
        return read_number(object, key, &line->field);                                 \
    }

TEXT_FIELD(to, "to", SIZE_MAX)
TEXT_FIELD(metadata, "metadata", SIZE_MAX)
TEXT_FIELD(entry, "entry", SIZE_MAX)
TEXT_FIELD(host, "host", SIZE_MAX)
TEXT_FIELD(name, "name", SIZE_MAX)
TEXT_FIELD(registered, "register", SIZE_MAX)
TEXT_FIELD(reason, "reason", TH_ATTACH_TEXT_BYTES_MAX)
TEXT_FIELD(said, "text", TH_ATTACH_TEXT_BYTES_MAX)
TEXT_FIELD(error, "error", TH_ATTACH_TEXT_BYTES_MAX)
BOOL_FIELD(awaits, "await")
BOOL_FIELD(monitors, "monitor")
BOOL_FIELD(links, "link")
BOOL_FIELD(on, "on")
BOOL_FIELD(traps_links, "trap_links")
BOOL_FIELD(link_events, "link_events")
NUMBER_FIELD(message, "message")
NUMBER_FIELD(after_ms, "after_ms")
NUMBER_FIELD(level, "level")

BOOL_FIELD(is_public, "public")

static found read_claims(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "capabilities");

    return of(value, value != NULL && th_attach_claims_read(value, &line->claims,
                                                            &line->claims_count));
}

static found read_grants(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "grant_to");

    return of(value, value != NULL && th_attach_grants_read(value, &line->grants,
                                                            &line->grants_count));
}

static found read_on_exit(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "on_exit");

    if (value == NULL) {
        return FOUND_NONE;
    }
    line->wrong = th_on_exit_read(&line->on_exit, value, &line->why);
    return line->wrong == TH_OK ? FOUND_RIGHT : FOUND_WRONG;
}

static found read_topic(th_attach_line *line, const th_json *object)
{
    found is = read_text(object, "topic", &line->topic, TH_TOPIC_BYTES_MAX);

    return is == FOUND_RIGHT && (line->topic.bytes == 0 || line->topic.at[0] == '@')
               ? FOUND_WRONG
               : is;
}

/* A term of @json, appended. False: it cannot be one, and the line says why. */
static bool put_term(th_attach_line *line, const th_json *json, th_buf *out)
{
    th_json_error error;
    th_err err = th_terms_put_json(out, json, &error);

    if (err != TH_OK) {
        line->wrong = err;
        th_buf_putf(&line->why, "a value cannot be sent: %s",
                    err == TH_INVALID ? error.what : th_reason_of(err)->text);
    }
    return err == TH_OK;
}

static found read_body(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "value");
    bool has_bytes;

    if (!th_content_get(object, "body", "body_base64", &line->body, &has_bytes) ||
        (has_bytes && value != NULL)) {
        return FOUND_WRONG;
    }
    if (value != NULL) {
        line->format = TH_FORMAT_TERM;
        return put_term(line, value, &line->body) ? FOUND_RIGHT : FOUND_WRONG;
    }
    return has_bytes ? FOUND_RIGHT : FOUND_NONE;
}

static found read_inherit(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "inherit");

    if (th_json_u64(value, &line->inherited)) {
        line->inherits = true;
        return line->inherited > 0 ? FOUND_RIGHT : FOUND_WRONG;
    }
    return of(value, th_json_bool(value, &line->inherits));
}

/* A blob of the bytes. False: memory ran out. */
static bool keep_blob(th_attach_line *line, th_buf *bytes, th_slice mime, th_blob **out)
{
    *out = bytes->failed ? NULL : th_blob_new(th_buf_slice(bytes), mime);
    line->wrong = *out == NULL ? TH_QUOTA : line->wrong;
    return *out != NULL;
}

static found read_context(th_attach_line *line, const th_json *object)
{
    th_auto_buf bytes = TH_BUF_INIT;
    bool is_there;

    if (!th_content_get(object, "context", "context_base64", &bytes, &is_there)) {
        return FOUND_WRONG;
    }
    if (!is_there) {
        return FOUND_NONE;
    }
    return keep_blob(line, &bytes, th_slice_of(NULL, 0), &line->context) ? FOUND_RIGHT
                                                                         : FOUND_WRONG;
}

static found read_state(th_attach_line *line, const th_json *object)
{
    th_auto_buf bytes = TH_BUF_INIT;
    bool is_there;

    if (!th_content_get(object, "state", "state_base64", &bytes, &is_there)) {
        return FOUND_WRONG;
    }
    if (!is_there) {
        return FOUND_NONE;
    }
    return keep_blob(line, &bytes, th_slice_of(NULL, 0), &line->state) ? FOUND_RIGHT
                                                                       : FOUND_WRONG;
}

static found read_blob(th_attach_line *line, const th_json *object)
{
    th_auto_buf bytes = TH_BUF_INIT;
    th_slice mime = th_slice_of(NULL, 0);
    bool is_there;

    if (!th_content_get(object, "blob", "blob_base64", &bytes, &is_there) ||
        read_text(object, "mime", &mime, TH_ATTACH_TEXT_BYTES_MAX) == FOUND_WRONG) {
        return FOUND_WRONG;
    }
    if (!is_there) {
        return mime.at == NULL ? FOUND_NONE : FOUND_WRONG;
    }
    return keep_blob(line, &bytes, mime, &line->blob) ? FOUND_RIGHT : FOUND_WRONG;
}

static found read_expects(th_attach_line *line, const th_json *object)
{
    uint64_t seconds = 0, ms = 0;
    found in_s = read_number(object, "expects_s", &seconds);
    found in_ms = read_number(object, "timeout_ms", &ms);

    if (in_s == FOUND_NONE && in_ms == FOUND_NONE) {
        return FOUND_NONE;
    }
    if (in_s == FOUND_WRONG || in_ms == FOUND_WRONG || in_s == in_ms) {
        return FOUND_WRONG;
    }
    line->timeout_ns = INT64_MAX;
    if (in_s == FOUND_RIGHT && seconds < INT64_MAX / TH_S) {
        line->timeout_ns = seconds * TH_S;
    } else if (in_ms == FOUND_RIGHT && ms < INT64_MAX / TH_MS) {
        line->timeout_ns = ms * TH_MS;
    }
    line->expects_s = in_s == FOUND_RIGHT ? seconds : ms / 1000 + (ms % 1000 > 0);
    line->timeout_ns += line->timeout_ns == 0; /* none at all: at once */
    return FOUND_RIGHT;
}

/* The arguments of a spawn, as one term. */
static found read_args(th_attach_line *line, const th_json *object)
{
    const th_json *value = th_json_get(object, "args");

    if (value == NULL || !th_json_is_array(value)) {
        return of(value, false);
    }
    return th_json_count(value) == 0 || put_term(line, value, &line->body)
               ? FOUND_RIGHT
               : FOUND_WRONG;
}

/* --- Messages of a send -------------------------------------------------------------- */

static bool add_msg(th_attach_line *line, th_format format, th_slice body)
{
    th_msg_parts parts = {.kind = TH_MSG_SEND,
                          .format = format,
                          .topic = line->topic,
                          .body = body};
    th_msg *msg;

    if (body.bytes > TH_MSG_INLINE_BYTES_MAX) {
        parts.body_blob = th_blob_new(body, th_slice_of(NULL, 0));
        if (parts.body_blob == NULL) {
            line->wrong = TH_QUOTA;
            return false;
        }
    }
    msg = th_msg_new(&parts);
    th_blob_unref(parts.body_blob);
    if (msg == NULL) {
        line->wrong = TH_QUOTA;
        return false;
    }
    th_list_push(&line->msgs, &msg->item.link);
    return true;
}

static bool add_value(th_attach_line *line, const th_json *value)
{
    th_auto_buf term = TH_BUF_INIT;

    return put_term(line, value, &term) &&
           add_msg(line, TH_FORMAT_TERM, th_buf_slice(&term));
}

static bool add_nil(th_attach_line *line)
{
    th_auto(th_json) nil = NULL;
    th_json_error error;

    return th_json_decode(&nil, TH_SLICE("null"), &error) == TH_OK &&
           add_value(line, nil);
}

/* A message for each value, or one with nil; or one of bytes, or of one value. */
static found read_values(th_attach_line *line, const th_json *object)
{
    const th_json *values = th_json_get(object, "values");
    found body = read_body(line, object);
    bool is_right = true;

    if (line->topic.bytes == 0) {
        return FOUND_RIGHT; /* it is told already */
    }
    if (body == FOUND_WRONG || (values != NULL && body != FOUND_NONE)) {
        return FOUND_WRONG;
    }
    if (body == FOUND_RIGHT) {
        is_right = add_msg(line, line->format, th_buf_slice(&line->body));
        th_buf_deinit(&line->body);
    } else if (values == NULL || !th_json_is_array(values)) {
        return of(values, false);
    } else if (th_json_count(values) == 0) {
        is_right = add_nil(line);
    }
    for (size_t i = 0; i < th_json_count(values) && is_right; i++) {
        is_right = add_value(line, th_json_at(values, i));
    }
    return is_right ? FOUND_RIGHT : FOUND_WRONG;
}

/* --- Lines ---------------------------------------------------------------------------- */

static const field_row fields[TH_ATTACH_FIELDS_COUNT] = {
    [TH_ATTACH_HAS_TO] = {"to", "the text of a process", read_to},
    [TH_ATTACH_HAS_TOPIC] = {"topic",
                             "a text of at most 1024 bytes that is not empty and does "
                             "not begin with `@`",
                             read_topic},
    [TH_ATTACH_HAS_BODY] =
        {"body",
         "a text, or instead of it `body_base64` bytes in base64, or "
         "`value` any value",
         read_body},
    [TH_ATTACH_HAS_VALUES] = {"values",
                              "a list, or instead of it one `value`, `body` or "
                              "`body_base64`",
                              read_values},
    [TH_ATTACH_HAS_METADATA] = {"metadata", "a text", read_metadata},
    [TH_ATTACH_HAS_CONTEXT] = {"context",
                               "a text, or instead of it `context_base64` bytes in "
                               "base64",
                               read_context},
    [TH_ATTACH_HAS_BLOB] = {"blob",
                            "a text, or instead of it `blob_base64` bytes in base64; "
                            "then it may have a `mime`, a text",
                            read_blob},
    [TH_ATTACH_HAS_INHERIT] = {"inherit", "true, false, or the number of a message",
                               read_inherit},
    [TH_ATTACH_HAS_EXPECTS] = {"expects_s",
                               "a whole number of seconds, or instead of it "
                               "`timeout_ms` one of milliseconds",
                               read_expects},
    [TH_ATTACH_HAS_AWAIT] = {"await", "true or false", read_awaits},
    [TH_ATTACH_HAS_MESSAGE] = {"message", "the number of a message", read_message},
    [TH_ATTACH_HAS_ENTRY] = {"entry", "the id of an entry, NAMESPACE:NAME", read_entry},
    [TH_ATTACH_HAS_HOST] = {"host", "the id of a host", read_host},
    [TH_ATTACH_HAS_NAME] = {"name", "a text", read_name},
    [TH_ATTACH_HAS_ARGS] = {"args", "a list of values", read_args},
    [TH_ATTACH_HAS_MONITOR] = {"monitor", "true or false", read_monitors},
    [TH_ATTACH_HAS_LINK] = {"link", "true or false", read_links},
    [TH_ATTACH_HAS_REGISTER] = {"register", "a text", read_registered},
    [TH_ATTACH_HAS_AFTER] = {"after_ms", "a whole number of milliseconds",
                             read_after_ms},
    [TH_ATTACH_HAS_REASON] = {"reason", "a text of at most 65536 bytes", read_reason},
    [TH_ATTACH_HAS_ON] = {"on", "true or false", read_on},
    [TH_ATTACH_HAS_TRAP_LINKS] = {"trap_links", "true or false", read_traps_links},
    [TH_ATTACH_HAS_LINK_EVENTS] = {"link_events", "true or false", read_link_events},
    [TH_ATTACH_HAS_TEXT] = {"text", "a text of at most 65536 bytes", read_said},
    [TH_ATTACH_HAS_LEVEL] = {"level", "a whole number", read_level},
    [TH_ATTACH_HAS_ERROR] = {"error", "a text of at most 65536 bytes", read_error},
    [TH_ATTACH_HAS_CAPS] = {"capabilities",
                            "a list of at most 1024 {\"issuer\": PROCESS, \"params\": "
                            "TEXT}, or PROCESS for its \"messaging\"",
                            read_claims},
    [TH_ATTACH_HAS_PUBLIC] = {"public", "true or false", read_is_public},
    [TH_ATTACH_HAS_ON_EXIT] = {"on_exit",
                               "\"None\", \"Restart\" or {\"Requests\": [...]}",
                               read_on_exit},
    [TH_ATTACH_HAS_GRANT_TO] = {"grant_to",
                                "a list of at most 1024 {\"process\": PROCESS, "
                                "\"params\": TEXT}, or PROCESS for \"messaging\"",
                                read_grants},
    [TH_ATTACH_HAS_STATE] = {"state",
                             "a text, or instead of it `state_base64` bytes in base64",
                             read_state},
};

typedef struct verb_row {
    const char *name;
    uint32_t needs, takes; /* fields */
} verb_row;

#define OF(field) (1u << TH_ATTACH_HAS_##field)

static const verb_row verbs[TH_ATTACH_VERBS_COUNT] = {
#define TH_ATTACH_VERB(name, text, needs, takes) {text, needs, takes},
    TH_ATTACH_VERBS
#undef TH_ATTACH_VERB
};

const char *th_attach_verb_name(th_attach_verb verb)
{
    return verbs[verb].name;
}

static void refuse(th_attach_line *line, const char *verb, const char *how,
                   const field_row *field)
{
    if (line->wrong == TH_OK) {
        line->wrong = TH_INVALID;
        th_buf_putf(&line->why, "`%s` %s `%s`: %s", verb, how, field->name,
                    field->what);
    }
}

static void read_fields(th_attach_line *line, const th_json *object)
{
    const verb_row *verb = &verbs[line->verb];

    for (unsigned i = 0; i < TH_ATTACH_FIELDS_COUNT && line->wrong == TH_OK; i++) {
        found is = FOUND_NONE;

        if (((verb->needs | verb->takes) & 1u << i) != 0) {
            is = fields[i].read(line, object);
        }
        if (is == FOUND_WRONG) {
            refuse(line, verb->name, "has a wrong", &fields[i]);
        } else if (is == FOUND_NONE && (verb->needs & 1u << i) != 0) {
            refuse(line, verb->name, "needs", &fields[i]);
        }
        line->has |= is == FOUND_RIGHT ? 1u << i : 0;
    }
}

/* A large body moves out of the line once, on this thread. */
static void settle_body(th_attach_line *line)
{
    if (line->wrong == TH_OK && line->verb != TH_ATTACH_SPAWN &&
        line->body.bytes > TH_MSG_INLINE_BYTES_MAX) {
        (void)keep_blob(line, &line->body, th_slice_of(NULL, 0), &line->body_blob);
        th_buf_deinit(&line->body);
    }
    if (line->body.failed || line->id.failed || line->why.failed) {
        line->wrong = TH_QUOTA;
    }
}

static bool read_verb(th_attach_line *line, const th_json *object)
{
    th_slice text = TH_SLICE("");

    (void)th_json_text(th_json_get(object, "verb"), &text);
    for (unsigned i = 0; i < TH_ATTACH_VERBS_COUNT; i++) {
        if (th_slice_is(text, verbs[i].name)) {
            line->verb = (th_attach_verb)i;
            return true;
        }
    }
    line->wrong = TH_INVALID;
    th_buf_puts(&line->why, "the `verb` is none that a process has here: ");
    for (unsigned i = 0; i < TH_ATTACH_VERBS_COUNT; i++) {
        th_buf_putf(&line->why, "%s%s", i == 0 ? "" : ", ", verbs[i].name);
    }
    return false;
}

th_attach_line *th_attach_line_new(th_slice text)
{
    th_attach_line *line = th_calloc(1, sizeof *line);
    th_json_error error;
    th_err err;

    if (line == NULL) {
        return NULL;
    }
    th_list_init(&line->msgs);
    line->cost = sizeof *line + 2 * text.bytes;
    err = th_json_decode(&line->json, text, &error);
    if (err == TH_OK && !th_json_is_object(line->json)) {
        err = TH_INVALID;
        error.what[0] = '\0';
    }
    line->has_id =
        th_control_id(err == TH_OK ? th_json_get(line->json, "id") : NULL, &line->id);
    line->wrong = err;
    if (err == TH_INVALID) {
        th_buf_putf(&line->why, "the line is not a JSON object%s%s",
                    error.what[0] == '\0' ? "" : ": ", error.what);
    } else if (err == TH_OK && read_verb(line, line->json)) {
        read_fields(line, line->json);
    }
    settle_body(line);
    return line;
}

th_attach_line *th_attach_line_free(th_attach_line *line)
{
    th_list *node;

    if (line == NULL) {
        return NULL;
    }
    while ((node = th_list_pop(&line->msgs)) != NULL) {
        th_msg_unref(th_msg_of(th_container_of(node, th_item, link)));
    }
    th_blob_unref(line->body_blob);
    th_blob_unref(line->context);
    th_blob_unref(line->blob);
    th_blob_unref(line->state);
    th_free(line->claims);
    th_free(line->grants);
    th_on_exit_draft_free(line->on_exit);
    th_json_free(line->json);
    th_buf_deinit(&line->id);
    th_buf_deinit(&line->why);
    th_buf_deinit(&line->body);
    return th_free(line);
}
