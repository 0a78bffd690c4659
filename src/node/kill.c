#include "node/kill.h"

#include "base/mem.h"
#include "core/id.h"

/* Somebody waits for a record to be gone. */
typedef struct kill_wait {
    th_lives_waiter waiter;
    th_socket *socket; /* one reference */
    th_buf id;         /* of the request */
} kill_wait;

static void free_wait(kill_wait *wait)
{
    if (wait == NULL) {
        return;
    }
    th_socket_unref(wait->socket);
    th_buf_deinit(&wait->id);
    th_free(wait);
}

static void put_done(th_buf *out, th_slice id)
{
    th_control_put_ok(out, id);
    th_buf_puts(out, "{}");
    th_control_put_end(out);
}

static void is_gone(th_lives_waiter *waiter, th_err err)
{
    kill_wait *wait = th_container_of(waiter, kill_wait, waiter);
    th_auto_buf out = TH_BUF_INIT;

    if (err == TH_OK) {
        put_done(&out, th_buf_slice(&wait->id));
    } else {
        th_control_put_error(&out, th_buf_slice(&wait->id), err,
                             "it ended, but its record could not be removed: it comes "
                             "again when the node does");
    }
    if (!out.failed) {
        (void)th_socket_write(wait->socket, th_buf_slice(&out));
    }
    free_wait(wait);
}

static kill_wait *make_wait(th_socket *socket, th_slice id)
{
    kill_wait *wait = th_calloc(1, sizeof *wait);

    if (wait == NULL) {
        return NULL;
    }
    wait->waiter.done = is_gone;
    wait->socket = th_socket_ref(socket);
    th_buf_put(&wait->id, id.at, id.bytes);
    if (wait->id.failed) {
        free_wait(wait);
        return NULL;
    }
    return wait;
}

/* "process:package:publisher" of a text that is a PID or an address. */
static void put_id(th_kernel *kernel, th_slice to, th_buf *out)
{
    th_id_error error;
    th_address address;
    th_pid_text pid;

    if (th_address_decode(&address, to, true, &error) == TH_OK) {
        th_buf_putf(out, "%.*s:%.*s:%.*s", TH_FMT(address.process),
                    TH_FMT(address.package), TH_FMT(address.publisher));
    } else if (th_pid_text_decode(&pid, to, &error) == TH_OK) {
        const th_entry *entry = th_kernel_find_entry(kernel, pid.entry);

        if (entry != NULL) {
            th_buf_putf(out, "%.*s:%.*s:%.*s", TH_FMT(pid.unique),
                        TH_FMT(entry->package), TH_FMT(entry->publisher));
        }
    }
}

void th_kill_run(th_kernel *kernel, th_lives *lives, th_socket *socket,
                 const th_control_request *request, th_pid pid, th_buf *out)
{
    kill_wait *wait = make_wait(socket, request->id);
    th_auto_buf id = TH_BUF_INIT;
    th_err err = TH_QUOTA;

    if (wait != NULL && th_pid_is_none(pid)) {
        put_id(kernel, request->to, &id);
        err = th_lives_kill(lives, th_buf_slice(&id), &wait->waiter);
    } else if (wait != NULL) {
        err = th_lives_kill_pid(lives, pid, &wait->waiter);
    }
    if (err == TH_OK) {
        return; /* is_gone answers */
    }
    free_wait(wait);
    if (err == TH_NOT_FOUND && !th_pid_is_none(pid)) {
        err = th_kernel_kill(kernel, pid, TH_SLICE("terminated by its owner"));
    }
    if (err == TH_OK) {
        put_done(out, request->id);
    } else {
        th_control_put_error(out, request->id, err,
                             err == TH_NOT_FOUND ? "the process has ended"
                                                 : th_reason_of(err)->text);
    }
}
