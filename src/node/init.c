#include "node/init.h"

#include "base/mem.h"
#include "guest/native/native.h"

#include <stdatomic.h>

struct th_init {
    /* Fixed when it was made. */
    th_init_spec spec;
    th_native program;
    th_entry entry;
    th_pid pid; /* of its process */

    /* Thread: any. */
    _Atomic bool stop;
    _Atomic bool is_over; /* what follows is there to be read */

    /* Thread: owner, until it is over. */
    th_pid main;
    bool asked; /* the main process, to end */
    th_exit *exit;
    th_err refused; /* it could not even start */
    th_buf why;
};

static void finish(th_init *init)
{
    if (!atomic_exchange(&init->is_over, true)) {
        init->spec.over(init->spec.context);
    }
}

static th_err begin(th_process *self, void *context, void **state, th_buf *why)
{
    th_init *init = context;
    th_spawn spawn = {.entry = init->spec.main,
                      .host = init->spec.host,
                      .args = init->spec.args,
                      .monitored = true};
    th_ident ident;

    (void)why;
    *state = init;
    init->refused = th_process_spawn(self, &spawn, &ident, &init->why);
    if (init->refused != TH_OK) {
        finish(init);
        return TH_OK;
    }
    init->main = ident.pid;
    th_blob_unref(ident.name);
    return TH_OK;
}

static void woken(th_process *self, void *state)
{
    th_init *init = state;

    if (atomic_load(&init->stop) && !init->asked && !atomic_load(&init->is_over)) {
        init->asked = true;
        (void)th_process_cancel(self, init->main, TH_INIT_STOP_MS * TH_MS, true,
                                TH_SLICE("the node is stopping"));
    }
}

static void deliver(th_process *self, void *state, const th_delivery *what)
{
    th_init *init = state;

    if (what->type == TH_ITEM_EVENT && what->event->kind == TH_EVENT_EXIT &&
        th_pid_eq(what->event->from.pid, init->main)) {
        init->exit = th_exit_ref((th_exit *)what->event->exit);
        init->refused = what->event->reason;
        finish(init);
    } else {
        th_native_discard(self, what);
    }
}

/* Without it nobody sees the main process end, so the node ends as well. */
static void drop(th_process *self, void *state)
{
    const th_native *program = th_process_ident(self)->entry->program;
    th_init *init = program->context;

    (void)state; /* it may end before it began */
    if (!atomic_load(&init->is_over)) {
        init->refused = TH_KILLED;
        th_buf_puts(&init->why, "the process that watches it (system:init) was killed");
        finish(init);
    }
}

th_err th_init_new(th_init **out, const th_init_spec *spec)
{
    th_init *init = th_calloc(1, sizeof *init);

    if (init == NULL) {
        return TH_NOMEM;
    }
    init->spec = *spec;
    init->program = (th_native){.init = begin,
                                .deliver = deliver,
                                .woken = woken,
                                .drop = drop,
                                .context = init};
    init->entry = (th_entry){.id = TH_SLICE("system:init"),
                             .package = TH_SLICE("distro"),
                             .publisher = TH_SLICE("sys"),
                             .limits = th_limits_default,
                             .guest = &th_guest_native,
                             .program = &init->program};
    *out = init;
    return TH_OK;
}

th_init *th_init_free(th_init *init)
{
    if (init == NULL) {
        return NULL;
    }
    th_exit_unref(init->exit);
    th_buf_deinit(&init->why);
    return th_free(init);
}

th_err th_init_start(th_init *init, th_buf *why)
{
    th_spawn spawn = {.entry = &init->entry, .host = init->spec.host};
    th_ident ident;
    th_err err = th_kernel_spawn(init->spec.kernel, &spawn, &ident, why);

    if (err == TH_OK) {
        init->pid = ident.pid;
        th_blob_unref(ident.name);
    }
    return err;
}

void th_init_stop(th_init *init)
{
    atomic_store(&init->stop, true);
    th_kernel_poke(init->spec.kernel, init->pid);
}

bool th_init_is_over(const th_init *init)
{
    return atomic_load(&init->is_over);
}

th_err th_init_outcome(const th_init *init, th_end *end, th_buf *text)
{
    th_slice error =
        init->exit == NULL ? th_buf_slice(&init->why) : th_exit_error(init->exit);

    th_assert(th_init_is_over(init));
    *end = init->exit == NULL ? TH_END_CRASH : init->exit->end;
    if (error.bytes == 0 && init->refused != TH_OK) {
        error = th_slice_str(th_reason_of(init->refused)->text);
    }
    th_buf_put(text, error.at, error.bytes);
    return init->refused;
}
