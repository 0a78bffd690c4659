#include "node/state_verb.h"

#include "base/mem.h"
#include "codec/term.h"
#include "node/content.h"
#include "node/show.h"

typedef struct look {
    th_saving saving;
    th_socket *socket; /* one reference */
    th_buf id;         /* of the request */
} look;

static void free_look(look *self)
{
    th_saving_deinit(&self->saving);
    th_socket_unref(self->socket);
    th_buf_deinit(&self->id);
    th_free(self);
}

static void put_answer(th_buf *out, const look *self)
{
    th_slice id = th_buf_slice(&self->id);
    th_slice state = th_buf_slice(&self->saving.loaded);
    th_err err = self->saving.err;
    th_slice term;

    if (err != TH_OK) {
        th_control_put_error(out, id, err,
                             err == TH_NOT_FOUND ? "it has no state"
                                                 : th_reason_of(err)->text);
        return;
    }
    th_control_put_ok(out, id);
    th_buf_putc(out, '{');
    th_json_put_pair_u64(out, "bytes", state.bytes);
    if (th_term_unmark(state, &term)) {
        th_content_put_body(out, TH_FORMAT_TERM, term);
    } else {
        th_content_put(out, "state", "state_base64", state);
    }
    th_buf_putc(out, '}');
    th_control_put_end(out);
}

static void did_load(th_job *job)
{
    look *self = th_container_of(th_container_of(job, th_saving, job), look, saving);
    th_auto_buf out = TH_BUF_INIT;

    put_answer(&out, self);
    if (out.failed || th_socket_write(self->socket, th_buf_slice(&out)) == TH_QUOTA) {
        th_buf_clear(&out);
        th_control_put_error(&out, th_buf_slice(&self->id), TH_QUOTA,
                             "the state is too large to be shown");
        (void)th_socket_write(self->socket, th_buf_slice(&out));
    }
    free_look(self);
}

th_err th_state_show(th_kernel *kernel, th_socket *socket,
                     const th_control_request *request)
{
    th_auto_buf whose = TH_BUF_INIT;
    look *self;
    th_err err;

    if (!th_show_find_id(kernel, request->to, &whose)) {
        return TH_NOT_FOUND;
    }
    self = th_calloc(1, sizeof *self);
    if (self == NULL) {
        return TH_QUOTA;
    }
    self->socket = th_socket_ref(socket);
    self->saving.job.dropped = did_load;
    th_buf_put(&self->id, request->id.at, request->id.bytes);
    err = self->id.failed
              ? TH_QUOTA
              : th_kernel_load_state(kernel, th_buf_slice(&whose), &self->saving);
    if (err != TH_OK) {
        free_look(self);
    }
    return err;
}
