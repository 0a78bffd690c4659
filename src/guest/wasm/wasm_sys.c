#include "guest/wasm/wasm_owner.h"

#include "codec/json_doc.h"
#include "codec/term_json.h"

/*
 * kernel:distro:sys, as far as it is each process's own affair: its links, its monitors,
 * and what it is told. Text 003 gives a Lua process functions for that; a Wasm process
 * writes to the kernel, and its guest does it here, for a tie is made where its owner
 * runs. All other commands go to the process of that name.
 *
 * What comes of it are messages from kernel:distro:sys, which expect no response:
 *
 *   {"Exit":{"process":ADDRESS,"pid":PID,"reason":R,"error":TEXT,"value":V}}
 *   {"LinkDown":{the same}}
 *   {"Stop":{"deadline_ms":N,"reason":TEXT}}
 */

#define COMMAND_BYTES_MAX 2048 /* of those that are open to all (svc/command.h) */
#define VALUE_BYTES_MAX 65536  /* of the value that a process ended with, as a term */

typedef enum sys_verb {
    SYS_MONITOR,
    SYS_UNMONITOR,
    SYS_LINK,
    SYS_UNLINK,
    SYS_TRAP_LINKS,
    SYS_NOTIFY_STOP,
} sys_verb;

static const char *const verbs[] = {
    [SYS_MONITOR] = "Monitor",
    [SYS_UNMONITOR] = "Unmonitor",
    [SYS_LINK] = "Link",
    [SYS_UNLINK] = "Unlink",
    [SYS_TRAP_LINKS] = "TrapLinks",
    [SYS_NOTIFY_STOP] = "NotifyStop",
};

#define VERBS (sizeof verbs / sizeof *verbs)

typedef struct sys_command {
    sys_verb verb;
    th_slice id; /* whom it is about; borrowed */
    bool on;     /* TRAP_LINKS, NOTIFY_STOP */
} sys_command;

/* --- Reading ------------------------------------------------------------------------------ */

static bool is_kernel(const th_kernel *kernel, const th_wasm_target *target)
{
    char text[TH_ID_TEXT_BYTES];
    th_address address;
    th_id_error error;
    size_t bytes;

    return target->packed[1] == 6 && target->packed[2] == 6 && target->packed[3] == 3 &&
           th_wasm_target_text(target, text, &bytes) &&
           th_address_decode(&address, th_slice_of(text, bytes), true, &error) ==
               TH_OK &&
           th_slice_is(address.process, "kernel") &&
           th_slice_is(address.package, "distro") &&
           th_slice_is(address.publisher, "sys") &&
           (address.node.bytes == 0 || th_slice_is(address.node, "our") ||
            th_slice_is(address.node, th_kernel_node(kernel)));
}

typedef struct pair {
    unsigned count;
    th_slice key;
    const th_json *value;
} pair;

static bool note_pair(void *context, th_slice key, const th_json *value)
{
    pair *pair = context;

    pair->count++;
    pair->key = key;
    pair->value = value;
    return true;
}

/* False: it is none of these. */
static bool read_command(const th_json *json, sys_command *out)
{
    pair pair = {0};

    th_json_pairs(json, note_pair, &pair);
    if (pair.count != 1) {
        return false;
    }
    for (size_t i = 0; i < VERBS; i++) {
        if (th_slice_is(pair.key, verbs[i])) {
            out->verb = (sys_verb)i;
            return i >= SYS_TRAP_LINKS ? th_json_bool(pair.value, &out->on)
                                       : th_json_text(pair.value, &out->id);
        }
    }
    return false;
}

/* --- Doing --------------------------------------------------------------------------------- */

static th_err tie(th_process *self, const sys_command *command, th_buf *why)
{
    th_id_error error = {0};
    th_pid target;
    th_err err = th_process_resolve(self, command->id, &target, &error);

    if (err == TH_INVALID && error.what != NULL) {
        th_buf_putf(why, "%s, at byte %zu of the id", error.what, error.at);
    }
    if (err != TH_OK) {
        return err;
    }
    switch (command->verb) {
    case SYS_MONITOR:
        return th_process_monitor(self, target);
    case SYS_UNMONITOR:
        return th_process_unmonitor(self, target);
    case SYS_LINK:
        return th_process_link(self, target);
    default:
        return th_process_unlink(self, target);
    }
}

static th_err carry_out(th_wasm_process *self, const sys_command *command, th_buf *why)
{
    switch (command->verb) {
    case SYS_TRAP_LINKS:
        th_process_set_traps_links(self->process, command->on);
        return TH_OK;
    case SYS_NOTIFY_STOP:
        th_process_set_hears_stop(self->process, command->on);
        self->hears_stop = command->on;
        return TH_OK;
    default:
        return tie(self->process, command, why);
    }
}

/* As the kernel's process answers: "Ok", or {"Err":{"reason":R,"message":TEXT}}. */
static th_msg *make_answer(th_err err, const th_buf *why)
{
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE, .format = TH_FORMAT_BYTES};
    th_auto_buf reason = TH_BUF_INIT;
    th_auto_buf body = TH_BUF_INIT;

    if (err == TH_OK) {
        parts.body = TH_SLICE("\"Ok\"");
        return th_msg_new(&parts);
    }
    th_buf_putc(&reason, '{');
    th_json_put_pair(&reason, "reason", th_slice_str(th_reason_of(err)->name));
    th_json_put_pair(&reason, "message",
                     why->bytes > 0 ? th_buf_slice(why)
                                    : th_slice_str(th_reason_of(err)->text));
    th_buf_putc(&reason, '}');
    th_buf_putf(&body, "{\"Err\":%s}", th_buf_text(&reason));
    parts.flags = TH_MSG_METADATA;
    parts.metadata = th_buf_slice(&reason);
    parts.body = th_buf_slice(&body);
    return reason.failed || body.failed ? NULL : th_msg_new(&parts);
}

static th_err answer(th_wasm_process *self, th_wmsg *message, bool is_awaited,
                     th_msg *msg)
{
    th_wasm_note note = {.kind = TH_RECEIVED_RESPONSE, .msg = msg};

    if (message->has_context) {
        note.context = th_wasm_take_blob(&message->context, th_slice_of(NULL, 0));
    }
    if ((message->has_context && note.context == NULL) ||
        !th_wasm_mail_save_prompt(self, &note.saved)) {
        note.msg = th_msg_unref(note.msg); /* so that it is refused */
    }
    return th_wasm_mail_note(self, &note, is_awaited);
}

bool th_wasm_sys_does(th_wasm_process *self, const th_wasm_target *target,
                      th_wmsg *message, bool is_awaited, th_err *err)
{
    th_slice body = th_slice_of(message->body.ptr, message->body.len);
    th_auto_buf why = TH_BUF_INIT;
    th_auto(th_json) json = NULL;
    th_json_error error;
    sys_command command;

    if (!is_kernel(th_process_kernel(self->process), target) ||
        body.bytes > COMMAND_BYTES_MAX || !th_slice_starts(body, "{") ||
        th_json_decode(&json, body, &error) != TH_OK || !read_command(json, &command)) {
        return false;
    }
    *err = carry_out(self, &command, &why);
    *err = message->has_expects
               ? answer(self, message, is_awaited, make_answer(*err, &why))
               : TH_OK;
    return true;
}

/* --- Telling -------------------------------------------------------------------------------- */

static void put_text_or_null(th_buf *out, const char *key, th_slice text)
{
    if (text.bytes > 0) {
        th_json_put_pair(out, key, text);
    } else {
        th_json_put_key(out, key);
        th_buf_puts(out, "null");
    }
}

/* What it returned, where that is a value of Lua which has a form in JSON. */
static void put_value(th_buf *out, const th_exit *exit)
{
    th_auto_buf json = TH_BUF_INIT;

    th_json_put_key(out, "value");
    if (exit == NULL || exit->format != TH_FORMAT_TERM || exit->value_bytes == 0 ||
        exit->value_bytes > VALUE_BYTES_MAX ||
        th_term_to_json(&json, th_exit_value(exit)) != TH_OK) {
        th_buf_puts(out, "null");
        return;
    }
    th_buf_put(out, json.at, json.bytes);
}

static void put_end(th_buf *out, const th_kernel *kernel, const char *what,
                    const th_event *event)
{
    th_auto_buf address = TH_BUF_INIT;
    th_auto_buf pid = TH_BUF_INIT;

    th_kernel_address_text(kernel, &event->from, &address);
    th_kernel_pid_text(kernel, &event->from, &pid);
    th_buf_putf(out, "{\"%s\":{", what);
    th_json_put_pair(out, "process", th_buf_slice(&address));
    th_json_put_pair(out, "pid", th_buf_slice(&pid));
    put_text_or_null(out, "reason",
                     event->reason == TH_OK
                         ? TH_SLICE("")
                         : th_slice_str(th_reason_of(event->reason)->name));
    put_text_or_null(out, "error",
                     event->exit == NULL ? TH_SLICE("") : th_exit_error(event->exit));
    put_value(out, event->exit);
    th_buf_puts(out, "}}");
    out->failed |= address.failed || pid.failed;
}

static void put_stop(th_buf *out, th_wall now, const th_event *event)
{
    int64_t left = event->deadline.ns - now.ns;

    th_buf_puts(out, "{\"Stop\":{");
    th_json_put_pair_u64(out, "deadline_ms",
                         left > 0 ? (uint64_t)left / TH_MS : UINT64_C(0));
    put_text_or_null(out, "reason", event->text);
    th_buf_puts(out, "}}");
}

bool th_wasm_sys_tells(th_wasm_process *self, const th_event *event, th_wasm_note *note)
{
    const th_kernel *kernel = th_process_kernel(self->process);
    th_msg_parts parts = {.kind = TH_MSG_REQUEST, .format = TH_FORMAT_BYTES};
    th_auto_buf body = TH_BUF_INIT;

    switch (event->kind) {
    case TH_EVENT_EXIT:
        put_end(&body, kernel, "Exit", event);
        break;
    case TH_EVENT_LINK_DOWN:
        put_end(&body, kernel, "LinkDown", event);
        break;
    case TH_EVENT_CANCEL:
        if (!self->hears_stop) {
            return false; /* it takes effect by itself */
        }
        put_stop(&body, th_process_wall(self->process), event);
        break;
    case TH_EVENT_LINK_UP:
    case TH_EVENT_LINK_GONE:
        return false;
    }
    parts.body = th_buf_slice(&body);
    note->msg = body.failed ? NULL : th_msg_new(&parts);
    self->is_starved |= note->msg == NULL;
    return note->msg != NULL;
}
