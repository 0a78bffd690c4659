#include "codec/term_json.h"
#include "svc/keeper_parts.h"

/*
 * The kernel's commands: each is read whole, judged, carried out, and answered.
 */

void th_keeper_answer(th_process *self, th_msg *question, th_kernel_command_kind kind,
                      th_slice id, th_err err, th_slice message)
{
    th_auto_buf body = TH_BUF_INIT;
    th_auto_buf metadata = TH_BUF_INIT;
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE, .format = TH_FORMAT_BYTES};
    th_msg *answer;

    th_kernel_command_put_answer(&body, kind, id, err, message);
    if (err != TH_OK) {
        th_kernel_command_put_reason(&metadata, err, message);
        parts.flags = TH_MSG_METADATA;
    }
    parts.body = th_buf_slice(&body);
    parts.metadata = th_buf_slice(&metadata);
    answer = body.failed || metadata.failed ? NULL : th_msg_new(&parts);
    if (answer != NULL && th_process_respond(self, question, answer) != TH_OK) {
        th_msg_unref(answer);
    }
    th_msg_unref(question);
}

static void answer_text(th_process *self, th_msg *question, const th_buf *body)
{
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE,
                          .format = TH_FORMAT_BYTES,
                          .body = th_buf_slice(body)};
    th_msg *answer = body->failed ? NULL : th_msg_new(&parts);

    if (answer != NULL && th_process_respond(self, question, answer) != TH_OK) {
        th_msg_unref(answer);
    }
    th_msg_unref(question);
}

/* --- Debug ------------------------------------------------------------------------ */

typedef struct shown {
    th_keeper *keeper;
    th_buf *out;
    th_slice only; /* empty: all */
    bool is_found;
} shown;

static void take_on_exit(void *context, const th_life_info *info)
{
    th_on_exit **on_exit = context;

    if (info->phase != TH_LIFE_ASIDE) { /* else it is not that one's */
        *on_exit = th_on_exit_ref((th_on_exit *)info->on_exit);
    }
}

/* What a process holds, as a set. False: memory ran out. */
static bool fill_set(th_kernel *kernel, th_pid pid, th_capset *set)
{
    th_caps *caps = th_kernel_caps(kernel, pid);
    bool is_whole = true;

    for (size_t i = 0; i < th_caps_count(caps); i++) {
        is_whole &= th_capset_add(set, th_caps_at(caps, i)) == TH_OK;
    }
    th_caps_unref(caps);
    return is_whole;
}

static void put_handle(th_buf *out, const th_entry *entry)
{
    if (entry->file.bytes > 0) {
        th_buf_putf(out, "/%.*s:%.*s/pkg/%.*s", TH_FMT(entry->package),
                    TH_FMT(entry->publisher), TH_FMT(entry->file));
    }
}

static bool show_process(void *context, const th_process_info *info)
{
    shown *with = context;
    th_kernel *kernel = with->keeper->spec.kernel;
    th_slice node = th_slice_str(th_kernel_node(kernel));
    th_kernel_command_process told = {.is_public = info->is_public};
    th_auto_buf id = TH_BUF_INIT;
    th_auto_buf handle = TH_BUF_INIT;
    th_on_exit *on_exit = NULL;
    th_capset caps;

    th_lives_put_id(kernel, &info->ident, &id);
    if (with->only.bytes > 0 && !th_slice_eq(with->only, th_buf_slice(&id))) {
        return true;
    }
    th_capset_init(&caps);
    put_handle(&handle, info->ident.entry);
    (void)th_lives_look(with->keeper->spec.lives, th_buf_slice(&id), take_on_exit,
                        &on_exit);
    with->out->failed |= !fill_set(kernel, info->ident.pid, &caps);
    told.id = th_buf_slice(&id);
    told.handle = th_buf_slice(&handle);
    told.on_exit = on_exit;
    told.caps = &caps;
    with->is_found = true;
    if (with->only.bytes > 0) {
        th_kernel_command_put_process(with->out, node, &told);
    } else {
        th_kernel_command_map_put(with->out, node, &told);
    }
    th_on_exit_unref(on_exit);
    th_capset_deinit(&caps);
    return with->only.bytes == 0 && !with->out->failed;
}

static void debug(th_keeper *keeper, th_process *self, th_msg *question,
                  const th_kernel_command *command)
{
    th_kernel *kernel = keeper->spec.kernel;
    th_slice node = th_slice_str(th_kernel_node(kernel));
    th_auto_buf out = TH_BUF_INIT;
    shown with = {.keeper = keeper, .out = &out};

    if (command->kind == TH_KC_DEBUG_MAP) {
        th_kernel_command_map_begin(&out);
        th_kernel_each(kernel, show_process, &with);
        th_kernel_command_map_end(&out);
    } else {
        with.only = command->id;
        th_kernel_each(kernel, show_process, &with);
        if (!with.is_found) {
            th_kernel_command_put_process(&out, node, NULL);
        }
    }
    answer_text(self, question, &out);
}

static void debug_has_cap(th_keeper *keeper, th_process *self, th_msg *question,
                          const th_kernel_command *command)
{
    th_auto_buf out = TH_BUF_INIT;
    th_has_cap has = TH_HAS_CAP_NOBODY;
    th_id_error error;
    th_cap_key key;
    th_pid pid;

    if (th_kernel_resolve(keeper->spec.kernel, command->id, &pid, &error) == TH_OK &&
        th_cap_key_init(&key, command->caps[0].id, command->caps[0].params) == TH_OK) {
        th_caps *caps = th_kernel_caps(keeper->spec.kernel, pid);

        has = th_caps_match(caps, &key) != NULL ? TH_HAS_CAP_YES : TH_HAS_CAP_NO;
        th_caps_unref(caps);
        th_cap_key_deinit(&key);
    }
    th_kernel_command_put_has_cap(&out, has);
    answer_text(self, question, &out);
}

/* --- One command -------------------------------------------------------------------- */

/* Who is meant, or an answer that says that nobody is. */
static bool find(th_keeper *keeper, th_process *self, th_msg *question,
                 const th_kernel_command *command, th_pid *pid)
{
    th_auto_buf why = TH_BUF_INIT;
    th_id_error error;
    th_err err = th_kernel_resolve(keeper->spec.kernel, command->id, pid, &error);

    if (err == TH_OK) {
        return true;
    }
    th_buf_putf(&why,
                err == TH_DIED ? "`%.*s` does not run just now: it is to come again"
                               : "there is no process `%.*s`",
                TH_FMT(command->id));
    th_keeper_answer(self, question, command->kind, command->id, err,
                     th_buf_slice(&why));
    return false;
}

static void run_process(th_keeper *keeper, th_process *self, th_msg *question,
                        const th_kernel_command *command)
{
    th_pid pid;

    if (find(keeper, self, question, command, &pid)) {
        th_keeper_answer(self, question, command->kind, command->id,
                         th_kernel_launch(keeper->spec.kernel, pid), TH_SLICE(""));
    }
}

/* Taken back, or given: from the process, and for its next lives. */
static void update(th_keeper *keeper, th_process *self, th_msg *question,
                   const th_kernel_command *command)
{
    th_pid pid;

    if (find(keeper, self, question, command, &pid)) {
        th_keeper_update(keeper, self, question, command, pid);
    }
}

static void not_here(th_process *self, th_msg *question,
                     const th_kernel_command *command)
{
    th_keeper_answer(self, question, command->kind, command->id, TH_UNSUPPORTED,
                     TH_SLICE("this is for Wasm processes of this node; a Lua process "
                              "has `process.monitor`, `process.link` and its events"));
}

/* Soon: whoever asked is to have the answer while there are still sockets. */
static void shut_down(th_keeper *keeper, th_process *self)
{
    th_mono due = {th_process_now(self).ns + TH_KEEPER_SHUTDOWN_MS * TH_MS};
    th_alarm *alarm;

    if (th_alarm_set(self, due, keeper, &alarm) != TH_OK) {
        keeper->spec.shutdown(keeper->spec.context);
    }
}

static void act(th_keeper *keeper, th_process *self, th_msg *question,
                const th_kernel_command *command)
{
    switch (command->kind) {
    case TH_KC_INITIALIZE:
        th_keeper_initialize(keeper, self, question, command);
        break;
    case TH_KC_GRANT:
    case TH_KC_DROP:
    case TH_KC_SET_ON_EXIT:
        update(keeper, self, question, command);
        break;
    case TH_KC_RUN:
        run_process(keeper, self, question, command);
        break;
    case TH_KC_KILL:
        th_keeper_kill(keeper, self, question, command);
        break;
    case TH_KC_SHUTDOWN:
        th_keeper_answer(self, question, command->kind, command->id, TH_OK,
                         TH_SLICE(""));
        shut_down(keeper, self);
        break;
    case TH_KC_DEBUG_MAP:
    case TH_KC_DEBUG_PROCESS:
        debug(keeper, self, question, command);
        break;
    case TH_KC_DEBUG_HAS_CAP:
        debug_has_cap(keeper, self, question, command);
        break;
    case TH_KC_NOTIFY_STOP:
    case TH_KC_MONITOR:
    case TH_KC_UNMONITOR:
    case TH_KC_LINK:
    case TH_KC_UNLINK:
        not_here(self, question, command);
        break;
    }
}

/* A value of Lua is read as its JSON. */
static th_err read_body(const th_msg *msg, th_buf *json, th_slice *body)
{
    th_err err = TH_OK;

    *body = th_msg_body(msg);
    if (msg->format == TH_FORMAT_TERM) {
        err = th_term_to_json(json, *body);
        *body = th_buf_slice(json);
    }
    return err;
}

static void answer_wrong(th_process *self, th_msg *question, th_err err, th_slice why)
{
    th_auto_buf body = TH_BUF_INIT;
    th_auto_buf metadata = TH_BUF_INIT;
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE,
                          .format = TH_FORMAT_BYTES,
                          .flags = TH_MSG_METADATA};
    th_msg *answer;

    th_kernel_command_put_error(&body, err, why);
    th_kernel_command_put_reason(&metadata, err, why);
    parts.body = th_buf_slice(&body);
    parts.metadata = th_buf_slice(&metadata);
    answer = body.failed || metadata.failed ? NULL : th_msg_new(&parts);
    if (answer != NULL && th_process_respond(self, question, answer) != TH_OK) {
        th_msg_unref(answer);
    }
    th_msg_unref(question);
}

void th_keeper_command(th_keeper *keeper, th_process *self, th_msg *msg)
{
    bool has_right = (msg->flags & TH_MSG_RIGHTFUL) != 0;
    th_auto_buf json = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_kernel_command command;
    th_slice body;
    th_err err;

    if (msg->kind != TH_MSG_REQUEST) {
        th_msg_unref(msg); /* no command comes so */
        return;
    }
    err = read_body(msg, &json, &body);
    if (err == TH_OK) {
        err = th_kernel_command_decode(&command, body, has_right, &why);
    } else {
        th_buf_puts(&why, "the value has no form in JSON");
    }
    if (err == TH_DENIED) {
        th_process_refuse(self, msg, TH_DENIED);
        th_msg_unref(msg);
    } else if (err != TH_OK) {
        answer_wrong(self, msg, err, th_buf_slice(&why));
    } else {
        act(keeper, self, msg, &command);
        th_kernel_command_deinit(&command);
    }
}
