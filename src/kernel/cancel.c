#include "kernel/internal.h"

/*
 * Ending others: terminate, and cancel, which asks first.
 *
 * A cancel's node is embedded in its target, so that it cannot fail to arrive. One
 * is on its way at most: while the target has not seen it, a further one adds
 * nothing but its deadline, if that is enforced.
 */

#define AFTER_NS_MAX (INT64_MAX / 4) /* some seventy years: no sum overflows */
#define TEXT_BYTES_MAX 1024          /* of a cancel's reason; the rest is cut off */

static th_exit *terminated(void)
{
    return th_exit_new(TH_END_KILL, TH_KILLED, TH_SLICE("process terminated"),
                       TH_FORMAT_BYTES, TH_SLICE(""));
}

th_err th_process_terminate(th_process *self, th_pid target)
{
    th_process *process = th_table_find(self->kernel, target);

    if (process == NULL) {
        return TH_NOT_FOUND;
    }
    if (!th_rights_may_control(self, process)) {
        return TH_DENIED;
    }
    th_process_kill(process, terminated());
    if (process == self) {
        th_process_yield(self);
    }
    return TH_OK;
}

static void tell(th_process *self, th_process *target, int64_t after_ns, bool enforced,
                 th_slice text)
{
    th_cancel *cancel = &target->cancel;
    bool in_use = false;

    if (text.bytes > TEXT_BYTES_MAX) {
        text.bytes = TEXT_BYTES_MAX;
    }
    if (!atomic_compare_exchange_strong(&cancel->in_use, &in_use, true)) {
        return;
    }
    cancel->from = th_ident_ref(&self->ident);
    cancel->at = th_world_wall(self->kernel->config.world);
    cancel->deadline = (th_wall){cancel->at.ns + after_ns};
    cancel->enforced = enforced;
    cancel->text = text.bytes == 0 ? NULL : th_blob_new(text, th_slice_of(NULL, 0));
    if (!th_process_put(target, &cancel->item)) {
        th_ident_unref(&cancel->from);
        cancel->text = th_blob_unref(cancel->text);
    }
}

th_err th_process_cancel(th_process *self, th_pid target, int64_t after_ns,
                         bool enforced, th_slice text)
{
    th_process *process = th_table_find(self->kernel, target);
    th_err err = TH_OK;

    if (process == NULL) {
        return TH_NOT_FOUND;
    }
    if (!th_rights_may_control(self, process)) {
        return TH_DENIED;
    }
    if (after_ns > AFTER_NS_MAX) {
        after_ns = AFTER_NS_MAX;
    }
    if (enforced && after_ns <= 0) {
        return th_process_terminate(self, target);
    }
    if (enforced) {
        err = th_deadline_set(process,
                              (th_mono){th_kernel_now(self->kernel).ns + after_ns});
    }
    if (err == TH_OK) {
        tell(self, process, after_ns, enforced, text);
    }
    return err;
}
