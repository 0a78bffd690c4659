#include "base/mem.h"
#include "kernel/internal.h"

/*
 * Tracing: whoever listens hears of each message as it is sent, on the sender's thread.
 *
 * A send reads one word to see that nobody does. Where somebody does, the list of
 * listeners is locked while they are told, so that one who leaves is told nothing
 * afterwards.
 */
struct th_tracer {
    th_kernel *kernel;
    th_ident whom; /* held; pid none: everybody */
    th_trace_hear *hear;
    void *context;
};

/* --- Listeners -------------------------------------------------------------------------- */

static bool put_in(th_tracers *tracers, th_tracer *tracer)
{
    bool is_in = false;

    th_spin_lock(&tracers->lock);
    for (unsigned i = 0; i < TH_TRACERS_MAX && !is_in; i++) {
        if (tracers->all[i] == NULL) {
            tracers->all[i] = tracer;
            is_in = true;
        }
    }
    th_spin_unlock(&tracers->lock);
    return is_in;
}

static th_err find_whom(th_kernel *kernel, th_pid pid, th_ident *out)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    const th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        *out = th_ident_ref(&process->ident);
    }
    th_outside_leave(kernel, reader);
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

th_err th_tracer_new(th_tracer **out, th_kernel *kernel, th_pid pid,
                     th_trace_hear *hear, void *context)
{
    th_tracer *tracer = th_calloc(1, sizeof *tracer);
    th_err err = TH_OK;

    if (tracer == NULL) {
        return TH_QUOTA;
    }
    *tracer = (th_tracer){.kernel = kernel, .hear = hear, .context = context};
    if (!th_pid_is_none(pid)) {
        err = find_whom(kernel, pid, &tracer->whom);
    }
    if (err == TH_OK && !put_in(&kernel->tracers, tracer)) {
        err = TH_QUOTA;
    }
    if (err != TH_OK) {
        th_ident_unref(&tracer->whom);
        th_free(tracer);
        return err;
    }
    atomic_fetch_add(&kernel->tracers_count, 1);
    *out = tracer;
    return TH_OK;
}

th_tracer *th_tracer_free(th_tracer *tracer)
{
    th_tracers *tracers;

    if (tracer == NULL) {
        return NULL;
    }
    tracers = &tracer->kernel->tracers;
    atomic_fetch_sub(&tracer->kernel->tracers_count, 1);
    th_spin_lock(&tracers->lock);
    for (unsigned i = 0; i < TH_TRACERS_MAX; i++) {
        if (tracers->all[i] == tracer) {
            tracers->all[i] = NULL;
        }
    }
    th_spin_unlock(&tracers->lock);
    th_ident_unref(&tracer->whom);
    return th_free(tracer);
}

/* --- Telling ------------------------------------------------------------------------------ */

/* Another life of a chosen name is the same to who listens. */
static bool is_same(const th_ident *a, const th_ident *b)
{
    return th_pid_eq(a->pid, b->pid) ||
           (a->name != NULL && b->name != NULL &&
            th_slice_eq(th_blob_slice(a->name), th_blob_slice(b->name)) &&
            th_slice_eq(a->entry->package, b->entry->package) &&
            th_slice_eq(a->entry->publisher, b->entry->publisher));
}

static void tell(th_kernel *kernel, const th_traced *what)
{
    th_tracers *tracers = &kernel->tracers;

    th_spin_lock(&tracers->lock);
    for (unsigned i = 0; i < TH_TRACERS_MAX; i++) {
        th_tracer *tracer = tracers->all[i];

        if (tracer != NULL &&
            (th_pid_is_none(tracer->whom.pid) || is_same(&tracer->whom, &what->from) ||
             is_same(&tracer->whom, &what->to) ||
             is_same(&tracer->whom, &what->requester))) {
            tracer->hear(tracer->context, what);
        }
    }
    th_spin_unlock(&tracers->lock);
}

static th_ident ident_of(th_kernel *kernel, th_pid pid)
{
    const th_process *process = th_pid_is_none(pid) ? NULL : th_table_find(kernel, pid);

    return process == NULL ? (th_ident){.pid = pid} : process->ident;
}

static th_traced parts_of(const th_msg *msg, th_err outcome)
{
    return (th_traced){.lineage = msg->lineage,
                       .hops = msg->hops,
                       .is_inherited = (msg->flags & TH_MSG_INHERIT) != 0,
                       .is_delegated = (msg->flags & TH_MSG_DELEGATED) != 0,
                       .topic = th_msg_topic(msg),
                       .body_bytes = th_msg_body(msg).bytes,
                       .metadata_bytes = msg->metadata_bytes,
                       .blob_bytes =
                           msg->blob == NULL ? 0 : th_blob_slice(msg->blob).bytes,
                       .caps_count = th_caps_count(msg->caps),
                       .outcome = outcome};
}

void th_trace_sent(th_process *self, const th_msg *msg, th_err outcome)
{
    th_traced what = parts_of(msg, outcome);

    what.kind = msg->kind == TH_MSG_SEND ? "send" : "request";
    what.from = self->ident;
    what.to = ident_of(self->kernel, msg->target);
    what.requester = ident_of(self->kernel, msg->requester);
    what.request = msg->request;
    tell(self->kernel, &what);
}

void th_trace_answered(th_process *self, const th_msg *question, const th_msg *answer,
                       th_err outcome)
{
    th_traced what = parts_of(answer, outcome);

    what.kind = "response";
    what.from = self->ident;
    what.to = what.requester = ident_of(self->kernel, question->requester);
    what.request = question->request;
    what.lineage = question->lineage;
    what.hops = (uint16_t)(question->hops + 1);
    tell(self->kernel, &what);
}

void th_trace_failed(th_kernel *kernel, th_pid requester, const th_msg *msg,
                     th_err reason)
{
    th_traced what = parts_of(msg, reason);

    what.kind = "error";
    what.from = ident_of(kernel, msg->target);
    what.to = what.requester = ident_of(kernel, requester);
    what.request = msg->request;
    tell(kernel, &what);
}
