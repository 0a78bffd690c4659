#include "guest/native/native.h"

#include "base/mem.h"

/* What the kernel holds for us: the program's state, and whether it said its end. */
typedef struct native_state {
    const th_native *program;
    void *state;
    bool ended;
} native_state;

static th_err start(th_process *self, th_buf *why)
{
    const th_native *program = th_process_ident(self)->entry->program;
    native_state *native = th_calloc(1, sizeof *native);
    th_err err;

    if (native == NULL) {
        th_buf_puts(why, "memory ran out");
        return TH_QUOTA;
    }
    err = program->init(self, program->context, &native->state, why);
    if (err != TH_OK) {
        th_free(native);
        return err;
    }
    native->program = program;
    th_process_set_state(self, native);
    return TH_OK;
}

static th_run run(th_process *self)
{
    native_state *native = th_process_state(self);
    th_delivery what;

    if (native->program->slice != NULL) {
        th_run result = native->program->slice(self, native->state);

        return native->ended ? TH_RUN_ENDED : result;
    }
    if (native->program->woken != NULL) {
        native->program->woken(self, native->state);
    }
    while (!native->ended && th_process_next(self, &what)) {
        native->program->deliver(self, native->state, &what);
        if (!native->ended && th_process_should_yield(self)) {
            return TH_RUN_YIELDED;
        }
    }
    return native->ended ? TH_RUN_ENDED : TH_RUN_BLOCKED;
}

static void drop(th_process *self)
{
    const th_native *program = th_process_ident(self)->entry->program;
    native_state *native = th_process_state(self);

    program->drop(self, native == NULL ? NULL : native->state);
    th_free(native);
}

static size_t memory(const th_process *self)
{
    return th_process_state(self) == NULL ? 0 : sizeof(native_state);
}

const th_guest th_guest_native = {
    .name = "native",
    .parks = false,
    .is_urgent = true,
    .start = start,
    .run = run,
    .drop = drop,
    .memory = memory,
};

void th_native_return(th_process *self)
{
    native_state *native = th_process_state(self);

    native->ended = true;
    th_process_end(self, th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
}

void th_native_discard(th_process *self, const th_delivery *what)
{
    switch (what->type) {
    case TH_ITEM_MSG:
        th_msg_unref(what->msg);
        break;
    case TH_ITEM_REPLY:
        th_request_free(self, what->request);
        break;
    case TH_ITEM_TIMER:
        th_alarm_drop(self, what->alarm);
        break;
    case TH_ITEM_JOB:
        what->job->dropped(what->job);
        break;
    case TH_ITEM_ANSWER:
    case TH_ITEM_REQUEST:
    case TH_ITEM_TIE:
    case TH_ITEM_CANCEL:
    case TH_ITEM_EVENT:
        break;
    }
}
