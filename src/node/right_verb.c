#include "node/right_verb.h"

#include "base/mem.h"
#include "node/show.h"

/*
 * A right is given or taken at once. Where a record names it, the answer waits until
 * the disk knows.
 */

/* Somebody waits for that. */
typedef struct right_wait {
    th_saving saving;       /* of one process */
    th_lives_waiter waiter; /* or of all records that are to change */
    th_socket *socket;      /* one reference */
    th_buf id;              /* of the request */
} right_wait;

static void free_wait(right_wait *wait)
{
    if (wait == NULL) {
        return;
    }
    th_saving_deinit(&wait->saving);
    th_socket_unref(wait->socket);
    th_buf_deinit(&wait->id);
    th_free(wait);
}

static void put_answer(th_buf *out, th_slice id, th_err err)
{
    th_auto_buf text = TH_BUF_INIT;

    if (err == TH_OK) {
        th_control_put_ok(out, id);
        th_buf_puts(out, "{}");
        th_control_put_end(out);
        return;
    }
    if (err == TH_NOT_FOUND || err == TH_DIED) {
        th_buf_puts(&text, "the process has ended");
    } else {
        th_buf_putf(&text,
                    "it holds only until the node ends, as it could not be made "
                    "durable: %s; when that is mended, do it again",
                    th_reason_of(err)->text);
    }
    th_control_put_error(out, id, err, th_buf_text(&text));
}

static void answer(right_wait *wait, th_err err)
{
    th_auto_buf out = TH_BUF_INIT;

    put_answer(&out, th_buf_slice(&wait->id), err);
    if (!out.failed) {
        (void)th_socket_write(wait->socket, th_buf_slice(&out));
    }
    free_wait(wait);
}

static void did_save(th_job *job)
{
    th_saving *saving = th_container_of(job, th_saving, job);

    answer(th_container_of(saving, right_wait, saving), saving->err);
}

static void did_write(th_lives_waiter *waiter, th_err err)
{
    answer(th_container_of(waiter, right_wait, waiter), err);
}

static right_wait *make_wait(th_socket *socket, th_slice id)
{
    right_wait *wait = th_calloc(1, sizeof *wait);

    if (wait == NULL) {
        return NULL;
    }
    wait->saving.job.dropped = did_save; /* nobody owns it: so it comes back */
    wait->waiter.done = did_write;
    wait->socket = th_socket_ref(socket);
    th_buf_put(&wait->id, id.at, id.bytes);
    if (wait->id.failed) {
        free_wait(wait);
        return NULL;
    }
    return wait;
}

/* What @pid holds now is to be in its record, if it has one. */
static void save(th_kernel *kernel, th_lives *lives, th_socket *socket,
                 const th_control_request *request, th_pid pid, th_buf *out)
{
    right_wait *wait;
    th_err err;

    if (!th_lives_has_pid(lives, pid)) {
        put_answer(out, request->id, TH_OK);
        return;
    }
    wait = make_wait(socket, request->id);
    err = wait == NULL ? TH_QUOTA
                       : th_kernel_save(kernel, pid, TH_PID_NONE, &wait->saving);
    if (err != TH_OK) {
        free_wait(wait);
        put_answer(out, request->id, err);
    }
}

static void put_no_issuer(th_buf *out, const th_control_request *request)
{
    th_auto_buf text = TH_BUF_INIT;

    th_buf_putf(&text,
                "`%.*s` issues nothing here: it is neither a process nor the "
                "process:package:publisher of one to come",
                TH_FMT(request->issuer));
    th_control_put_error(out, request->id, TH_INVALID, th_buf_text(&text));
}

void th_right_grant(th_kernel *kernel, th_lives *lives, th_socket *socket,
                    const th_control_request *request, th_pid pid, th_buf *out)
{
    th_auto_buf issuer = TH_BUF_INIT;
    th_auto(th_cap) cap = NULL;
    th_err err;

    if (th_show_find_id(kernel, request->issuer, &issuer)) {
        cap = th_kernel_issue(kernel, th_buf_slice(&issuer), request->params);
    }
    if (cap == NULL) {
        put_no_issuer(out, request);
        return;
    }
    err = th_kernel_grant(kernel, pid, cap);
    if (err == TH_OK) {
        save(kernel, lives, socket, request, pid, out);
    } else {
        th_control_put_error(out, request->id, err,
                             err == TH_NOT_FOUND ? "the process has ended"
                                                 : th_reason_of(err)->text);
    }
}

static void revoke_all(th_kernel *kernel, th_lives *lives, th_socket *socket,
                       const th_control_request *request, const th_claim *what,
                       th_buf *out)
{
    right_wait *wait = make_wait(socket, request->id);
    th_err err = wait == NULL ? TH_QUOTA : TH_OK;

    if (err == TH_OK && !th_kernel_revoke(kernel, what)) {
        free_wait(wait);
        put_no_issuer(out, request);
        return;
    }
    if (err == TH_OK) {
        err = th_lives_scrub(lives, &wait->waiter);
    }
    if (err != TH_OK) {
        free_wait(wait);
        put_answer(out, request->id, err);
    }
}

void th_right_revoke(th_kernel *kernel, th_lives *lives, th_socket *socket,
                     const th_control_request *request, th_pid pid, th_buf *out)
{
    th_auto_buf issuer = TH_BUF_INIT;
    th_claim what = {.params = request->params};
    th_err err;

    if (!th_show_find_id(kernel, request->issuer, &issuer)) {
        put_no_issuer(out, request);
        return;
    }
    what.issuer = th_buf_slice(&issuer);
    if (th_pid_is_none(pid)) {
        revoke_all(kernel, lives, socket, request, &what, out);
        return;
    }
    err = th_kernel_drop(kernel, pid, &what);
    if (err == TH_OK) {
        save(kernel, lives, socket, request, pid, out);
    } else {
        put_answer(out, request->id, err);
    }
}
