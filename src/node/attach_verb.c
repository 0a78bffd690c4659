#include "node/attach_parts.h"

#include "node/control.h"

/*
 * What a line does: one function for each verb. It says how that came out, and may have
 * written what is in the ok of the answer; unless it answers later by itself.
 */

#define CANCEL_NS (30 * TH_S) /* what an event says when no deadline was given */

/* --- Who and what --------------------------------------------------------------------- */

th_err th_attach_explain(attach_doing *it, th_err err)
{
    switch (err) {
    case TH_NOT_FOUND:
        th_buf_putf(&it->why, "there is no process `%.*s`", TH_FMT(it->line->to));
        break;
    case TH_OFFLINE:
        th_buf_putf(&it->why, "the node of `%.*s` cannot be reached",
                    TH_FMT(it->line->to));
        break;
    case TH_QUOTA:
        th_buf_putf(&it->why,
                    "the mailbox of `%.*s` is full, or the node's memory is short; try "
                    "again later",
                    TH_FMT(it->line->to));
        break;
    case TH_INVALID:
        th_buf_puts(&it->why, "the process has no form for this value");
        break;
    case TH_DENIED:
        th_attach_put_no_right(&it->why, it->line->to, TH_CAP_MESSAGING);
        break;
    default:
        break;
    }
    return err;
}

th_err th_attach_resolve(attach_doing *it)
{
    th_id_error error = {0};
    th_err err = th_process_resolve(it->self, it->line->to, &it->to, &error);

    if (err == TH_INVALID) {
        th_buf_puts(&it->why, error.what);
        it->at = error.at;
        return err;
    }
    return th_attach_explain(it, err);
}

void th_attach_put_ident(attach_doing *it, const th_ident *who)
{
    th_kernel *kernel = th_process_kernel(it->self);
    th_auto_buf pid = TH_BUF_INIT;
    th_auto_buf address = TH_BUF_INIT;

    th_kernel_pid_text(kernel, who, &pid);
    th_kernel_address_text(kernel, who, &address);
    th_buf_putc(&it->ok, '{');
    th_json_put_pair(&it->ok, "pid", th_buf_slice(&pid));
    th_json_put_pair(&it->ok, "address", th_buf_slice(&address));
    th_buf_putc(&it->ok, '}');
}

/* --- Life ----------------------------------------------------------------------------- */

/* The node's own are controlled by nobody. */
static bool is_of_node(const attach_doing *it)
{
    th_ident who;
    bool is;

    if (th_kernel_ident(th_process_kernel(it->self), it->to, &who) != TH_OK) {
        return false;
    }
    is = who.entry->package_number == 0;
    th_blob_unref(who.name);
    return is;
}

static th_err explain_tie(attach_doing *it, th_err err)
{
    if (err == TH_DENIED && is_of_node(it)) {
        th_buf_puts(&it->why, "it is a process of the node itself");
    } else if (err == TH_DENIED) {
        th_attach_put_no_right(&it->why, it->line->to, TH_SLICE("\"control\""));
    } else if (err == TH_EXISTS) {
        th_buf_puts(&it->why, "it is monitored already");
    } else if (err == TH_QUOTA) {
        th_buf_putf(&it->why, "the process has its limit of %u links and monitors",
                    th_process_limits(it->self)->ties_max);
    } else {
        (void)th_attach_explain(it, err);
    }
    return err;
}

/* Do to the target what @tie does. */
static th_err tie(attach_doing *it, th_err (*tie)(th_process *self, th_pid target))
{
    th_err err = th_attach_resolve(it);

    return err == TH_OK ? explain_tie(it, tie(it->self, it->to)) : err;
}

static th_err do_monitor(attach_doing *it)
{
    return tie(it, th_process_monitor);
}

static th_err do_unmonitor(attach_doing *it)
{
    return tie(it, th_process_unmonitor);
}

static th_err do_link(attach_doing *it)
{
    return tie(it, th_process_link);
}

static th_err do_unlink(attach_doing *it)
{
    return tie(it, th_process_unlink);
}

static th_err do_terminate(attach_doing *it)
{
    return tie(it, th_process_terminate);
}

static th_err do_cancel(attach_doing *it)
{
    const th_attach_line *line = it->line;
    bool enforced = th_attach_has(line, TH_ATTACH_HAS_AFTER);
    int64_t after_ns = CANCEL_NS;
    th_err err = th_attach_resolve(it);

    if (err != TH_OK) {
        return err;
    }
    if (enforced) {
        after_ns = line->after_ms > INT64_MAX / TH_MS ? INT64_MAX
                                                      : (int64_t)line->after_ms * TH_MS;
    }
    return explain_tie(it, th_process_cancel(it->self, it->to, after_ns, enforced,
                                             line->reason));
}

/* Its end: with a value as a return, with an error as a failure. */
static th_err do_exit(attach_doing *it)
{
    const th_attach_line *line = it->line;
    bool failed = th_attach_has(line, TH_ATTACH_HAS_ERROR);
    th_slice value = line->body_blob == NULL ? th_buf_slice(&line->body)
                                             : th_blob_slice(line->body_blob);

    th_process_end(it->self, th_exit_new(failed ? TH_END_CRASH : TH_END_RETURN,
                                         failed ? TH_FAILED : TH_OK, line->error,
                                         line->format, failed ? TH_SLICE("") : value));
    it->is_ended = true;
    return TH_OK;
}

/* --- Names, events, output ------------------------------------------------------------- */

static th_err do_register(attach_doing *it)
{
    const th_attach_line *line = it->line;
    th_err err = TH_OK;

    it->to = th_process_ident(it->self)->pid;
    if (th_attach_has(line, TH_ATTACH_HAS_TO)) {
        err = th_attach_resolve(it);
    }
    if (err != TH_OK) {
        return err;
    }
    err = th_process_register(it->self, line->name, it->to);
    if (err == TH_INVALID || err == TH_EXISTS) {
        th_buf_putf(&it->why,
                    err == TH_EXISTS ? "the name `%.*s` is taken"
                                     : "`%.*s` is no name that can be registered",
                    TH_FMT(line->name));
    } else if (err == TH_QUOTA) {
        th_buf_puts(&it->why, "the process has too many names");
    } else if (err == TH_DENIED) {
        (void)explain_tie(it, err);
    }
    return err;
}

static th_err fail_name(attach_doing *it, th_err err)
{
    if (err != TH_OK) {
        th_buf_putf(&it->why,
                    err == TH_DENIED ? "the name `%.*s` is another process's"
                                     : "the name `%.*s` is not registered",
                    TH_FMT(it->line->name));
    }
    return err;
}

static th_err do_unregister(attach_doing *it)
{
    return fail_name(it, th_process_unregister(it->self, it->line->name));
}

static th_err do_lookup(attach_doing *it)
{
    th_slice name = it->line->name;
    th_id_error error;
    th_ident who;
    th_err err = th_process_resolve(it->self, name, &it->to, &error);

    if (err == TH_OK) {
        err = th_kernel_ident(th_process_kernel(it->self), it->to, &who);
    }
    if (err == TH_OK) {
        th_attach_put_ident(it, &who);
        th_blob_unref(who.name);
    }
    return fail_name(it, err == TH_OK ? TH_OK : TH_NOT_FOUND);
}

static th_err do_events(attach_doing *it)
{
    const th_attach_line *line = it->line;

    if (th_attach_has(line, TH_ATTACH_HAS_ON)) {
        it->attach->mail.hears_events = line->on;
    }
    if (th_attach_has(line, TH_ATTACH_HAS_TRAP_LINKS)) {
        th_process_set_traps_links(it->self, line->traps_links);
    }
    if (th_attach_has(line, TH_ATTACH_HAS_LINK_EVENTS)) {
        th_process_set_link_events(it->self, line->link_events);
    }
    return TH_OK;
}

static th_err do_notify_stop(attach_doing *it)
{
    th_process_set_hears_stop(it->self, !th_attach_has(it->line, TH_ATTACH_HAS_ON) ||
                                            it->line->on);
    return TH_OK;
}

static th_err do_print(attach_doing *it)
{
    th_process_output(it->self, it->line->level == 0 ? TH_OUTPUT_PRINT : TH_OUTPUT_LOG,
                      it->line->said);
    return TH_OK;
}

/* --- All of them ---------------------------------------------------------------------- */

static attach_verb *const verbs[TH_ATTACH_VERBS_COUNT] = {
    [TH_ATTACH_REQUEST] = th_attach_do_request,
    [TH_ATTACH_SEND] = th_attach_do_send,
    [TH_ATTACH_RESPONSE] = th_attach_do_response,
    [TH_ATTACH_FORWARD] = th_attach_do_forward,
    [TH_ATTACH_RECEIVE] = th_attach_do_receive,
    [TH_ATTACH_GET_BLOB] = th_attach_do_get_blob,
    [TH_ATTACH_LAST_BLOB] = th_attach_do_last_blob,
    [TH_ATTACH_SPAWN] = th_attach_do_spawn,
    [TH_ATTACH_MONITOR] = do_monitor,
    [TH_ATTACH_UNMONITOR] = do_unmonitor,
    [TH_ATTACH_LINK] = do_link,
    [TH_ATTACH_UNLINK] = do_unlink,
    [TH_ATTACH_TERMINATE] = do_terminate,
    [TH_ATTACH_CANCEL] = do_cancel,
    [TH_ATTACH_REGISTER] = do_register,
    [TH_ATTACH_UNREGISTER] = do_unregister,
    [TH_ATTACH_LOOKUP] = do_lookup,
    [TH_ATTACH_EVENTS] = do_events,
    [TH_ATTACH_SAVE_CAPS] = th_attach_do_save_caps,
    [TH_ATTACH_DROP_CAPS] = th_attach_do_drop_caps,
    [TH_ATTACH_OUR_CAPS] = th_attach_do_our_caps,
    [TH_ATTACH_SET_STATE] = th_attach_do_set_state,
    [TH_ATTACH_GET_STATE] = th_attach_do_get_state,
    [TH_ATTACH_CLEAR_STATE] = th_attach_do_clear_state,
    [TH_ATTACH_SET_ON_EXIT] = th_attach_do_set_on_exit,
    [TH_ATTACH_GET_ON_EXIT] = th_attach_do_get_on_exit,
    [TH_ATTACH_NOTIFY_STOP] = do_notify_stop,
    [TH_ATTACH_PRINT] = do_print,
    [TH_ATTACH_EXIT] = do_exit,
};

/* A line without an id is answered only where it failed. */
static void answer(attach_doing *it, th_err err)
{
    th_auto_buf out = TH_BUF_INIT;
    th_slice id = th_buf_slice(&it->line->id);

    if (err == TH_OK && !it->line->has_id) {
        return;
    }
    if (err == TH_OK) {
        th_control_put_ok(&out, id);
        th_buf_put(&out, it->ok.bytes == 0 ? "{}" : it->ok.at,
                   it->ok.bytes == 0 ? 2 : it->ok.bytes);
        th_control_put_end(&out);
    } else {
        const char *why =
            it->why.bytes > 0 ? th_buf_text(&it->why) : th_reason_of(err)->text;

        if (it->at != SIZE_MAX) {
            th_control_put_error_at(&out, id, err, why, it->at);
        } else {
            th_control_put_error(&out, id, err, why);
        }
    }
    out.failed = out.failed || it->ok.failed;
    th_attach_write(it->attach, &out);
}

void th_attach_finish(attach_doing *it, th_err err)
{
    if (!it->is_later) {
        answer(it, err);
    }
    th_buf_deinit(&it->ok);
    th_buf_deinit(&it->why);
    it->line = th_attach_line_free(it->line);
}

bool th_attach_do(th_process *self, th_attach *attach, th_attach_line *line)
{
    attach_doing it = {.self = self, .attach = attach, .line = line, .at = SIZE_MAX};
    th_err err = line->wrong;

    if (err == TH_OK) {
        err = verbs[line->verb](&it);
    } else {
        th_buf_put(&it.why, line->why.at, line->why.bytes);
    }
    th_attach_finish(&it, err);
    if (it.is_ended) {
        th_native_return(self);
    }
    return it.is_ended;
}
