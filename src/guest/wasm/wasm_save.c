#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * What survives the process: its state, its on-exit, and, where it is to live on, what
 * it holds. Each call that changes some of it returns when that is durable.
 *
 * set-state and its like have no result, so the guest ends where the disk fails, and its
 * end says why. The memory of a call that waits is the kernel's meanwhile: if the process
 * ends before it is back, it goes by itself.
 */

struct th_wasm_saving {
    th_saving saving;
    enum th_wop op;
    th_ident child;     /* SPAWN: who waits for it; its name is held */
    th_on_exit *before; /* SET_ON_EXIT: held; what it is if this fails */
};

static const char *const names[] = {
    [TH_W_SET_ON_EXIT] = "set-on-exit",     [TH_W_GET_STATE] = "get-state",
    [TH_W_SET_STATE] = "set-state",         [TH_W_CLEAR_STATE] = "clear-state",
    [TH_W_SAVE_CAPS] = "save-capabilities", [TH_W_DROP_CAPS] = "drop-capabilities",
};

/* --- A saving ---------------------------------------------------------------------------- */

void th_wasm_saving_free(th_wasm_saving *saving)
{
    th_saving_deinit(&saving->saving);
    th_blob_unref(saving->child.name);
    th_on_exit_unref(saving->before);
    th_free(saving);
}

/* Its process ended meanwhile. */
static void dropped(th_job *job)
{
    th_saving *inner = th_container_of(job, th_saving, job);

    th_wasm_saving_free(th_container_of(inner, th_wasm_saving, saving));
}

th_wasm_saving *th_wasm_saving_new(enum th_wop op)
{
    th_wasm_saving *saving = th_calloc(1, sizeof *saving);

    if (saving != NULL) {
        saving->saving.job.dropped = dropped;
        saving->op = op;
    }
    return saving;
}

th_saving *th_wasm_saving_of(th_wasm_saving *saving)
{
    return &saving->saving;
}

static void wait_for(th_wasm_process *self, th_wasm_saving *saving)
{
    self->saving = saving;
    self->waits = TH_WASM_WAITS_SAVED;
}

void th_wasm_saving_wait(th_wasm_process *self, th_wasm_saving *saving,
                         const th_ident *child)
{
    saving->child = *child;
    th_blob_ref(child->name);
    wait_for(self, saving);
}

/* The end of a guest whose call cannot do what it says. */
static int fail(enum th_wop op, th_err err, th_wbuf *trap)
{
    if (err == TH_UNSUPPORTED) {
        return th_wasm_trap(trap, "%s: nothing is kept here: give the node a home",
                            names[op]);
    }
    if (err == TH_QUOTA) {
        return th_wasm_trap(trap,
                            "%s: it could not be made durable, for the disk is full, "
                            "too much waits for it, or memory ran out",
                            names[op]);
    }
    return th_wasm_trap(trap, "%s: it could not be made durable: %s", names[op],
                        th_reason_of(err)->text);
}

/* Takes @saving. TH_W_PENDING: it waits for it. */
static int submit(th_wasm_process *self, th_wasm_saving *saving, th_wbuf *trap)
{
    enum th_wop op = saving->op;
    th_err err = th_process_save(self->process, &saving->saving);

    if (err == TH_OK) {
        wait_for(self, saving);
        return TH_W_PENDING;
    }
    if (saving->op == TH_W_SET_ON_EXIT) {
        (void)th_process_set_on_exit(self->process, saving->before);
    }
    th_wasm_saving_free(saving);
    if (err == TH_UNSUPPORTED && (op == TH_W_GET_STATE || op == TH_W_CLEAR_STATE)) {
        return TH_W_READY; /* where nothing is kept there is none */
    }
    return fail(op, err, trap);
}

/* --- State -------------------------------------------------------------------------------- */

int th_wasm_state(th_wasm_process *self, enum th_wop op, th_wcall *args, th_wbuf *trap)
{
    th_wasm_saving *saving;

    if (args->text.len > TH_STATE_BYTES_MAX) {
        return th_wasm_trap(trap, "set-state: %zu bytes, and a state has at most %zu",
                            args->text.len, TH_STATE_BYTES_MAX);
    }
    saving = th_wasm_saving_new(op);
    if (saving == NULL) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    saving->saving.what = op == TH_W_GET_STATE   ? TH_LOAD_STATE
                          : op == TH_W_SET_STATE ? TH_SAVE_STATE
                                                 : TH_SAVE_NONE;
    if (op == TH_W_SET_STATE) {
        saving->saving.value = th_wasm_take_blob(&args->text, th_slice_of(NULL, 0));
        if (saving->saving.value == NULL) {
            th_wasm_saving_free(saving);
            return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
        }
    }
    return submit(self, saving, trap);
}

static int give_state(const th_saving *saving, th_wcall *reply, th_wbuf *trap)
{
    if (saving->err == TH_NOT_FOUND) {
        return TH_W_READY;
    }
    reply->has_text = true;
    return th_wasm_buf(&reply->text, th_buf_slice(&saving->loaded))
               ? TH_W_READY
               : th_wasm_trap(trap, TH_WASM_NO_MEMORY);
}

/* --- On-exit ------------------------------------------------------------------------------ */

bool th_wasm_is_durable(const th_wasm_process *self)
{
    th_auto(th_on_exit) on_exit = th_process_on_exit(self->process);

    return th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE;
}

/* A PID is what others wrote: the address of such a process. */
static th_err put_target(const th_kernel *kernel, th_slice text, th_waddr *out)
{
    th_pid_text pid;
    th_id_error error;
    const th_entry *entry;
    th_err err = th_wasm_put_address_text(text, out);

    if (err != TH_INVALID || th_pid_text_decode(&pid, text, &error) != TH_OK) {
        return err == TH_INVALID ? TH_OK : err;
    }
    entry = th_kernel_find_entry((th_kernel *)kernel, pid.entry);
    return th_wasm_buf(&out->node, pid.node) &&
                   th_wasm_buf(&out->process, pid.unique) &&
                   (entry == NULL || (th_wasm_buf(&out->package, entry->package) &&
                                      th_wasm_buf(&out->publisher, entry->publisher)))
               ? TH_OK
               : TH_QUOTA;
}

static th_err put_request(const th_kernel *kernel, const th_on_exit_request *from,
                          th_wmsg *out)
{
    th_err err = put_target(kernel, from->target, &out->peer);

    out->inherit = from->inherit;
    out->has_metadata = from->has_metadata;
    if (err == TH_OK && (!th_wasm_buf(&out->metadata, from->metadata) ||
                         !th_wasm_buf(&out->body, th_blob_slice(from->body)))) {
        err = TH_QUOTA;
    }
    if (err == TH_OK) {
        err = th_wasm_put_caps(kernel, from->caps, &out->caps);
    }
    return err == TH_OK && from->blob != NULL ? th_wasm_put_blob(from->blob, out) : err;
}

int th_wasm_get_on_exit(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    const th_kernel *kernel = th_process_kernel(self->process);
    th_auto(th_on_exit) on_exit = th_process_on_exit(self->process);
    size_t count = th_on_exit_count(on_exit);
    th_err err = TH_OK;

    reply->on_exit = (uint8_t)th_on_exit_kind_of(on_exit);
    if (count > 0) {
        reply->messages.ptr = calloc(count, sizeof *reply->messages.ptr);
        err = reply->messages.ptr == NULL ? TH_QUOTA : TH_OK;
    }
    for (size_t i = 0; i < count && err == TH_OK; i++) {
        reply->messages.len++;
        err = put_request(kernel, th_on_exit_at(on_exit, i), &reply->messages.ptr[i]);
    }
    return err == TH_OK ? TH_W_READY : th_wasm_trap(trap, TH_WASM_NO_MEMORY);
}

/* A request of an on-exit in the making: what it refers to is held. */
typedef struct draft {
    th_on_exit_request request;
    char target[TH_ID_TEXT_BYTES];
} draft;

static void deinit(draft *drafts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        th_blob_unref(drafts[i].request.body);
        th_blob_unref(drafts[i].request.blob);
        th_caps_unref(drafts[i].request.caps);
    }
    th_free(drafts);
}

/* Its bytes are taken where they are large. False: no memory. */
static bool take_parts(th_wasm_process *self, th_wmsg *from, th_on_exit_request *out)
{
    th_slice mime = th_slice_of(NULL, 0);

    out->inherit = from->inherit;
    out->has_metadata = from->has_metadata;
    out->metadata = th_slice_of(from->metadata.ptr, from->metadata.len);
    if (from->has_mime) {
        mime = th_slice_of(from->mime.len == 0 ? "" : (char *)from->mime.ptr,
                           from->mime.len);
    }
    out->body = th_wasm_take_blob(&from->body, th_slice_of(NULL, 0));
    out->blob = from->has_blob ? th_wasm_take_blob(&from->blob, mime) : NULL;
    return out->body != NULL && (out->blob != NULL || !from->has_blob) &&
           th_wasm_claim(self, &from->caps, &out->caps);
}

static th_err draft_one(th_wasm_process *self, th_wmsg *from, draft *out, th_buf *why)
{
    th_wasm_target target;
    size_t bytes;

    if (th_wasm_target_pack(&target, &from->peer) != TH_OK ||
        !th_wasm_target_text(&target, out->target, &bytes) ||
        !th_target_is_valid(th_slice_of(out->target, bytes))) {
        th_buf_puts(why, "a target of its on-exit is no address");
        return TH_INVALID;
    }
    out->request.target = th_slice_of(out->target, bytes);
    if (!take_parts(self, from, &out->request)) {
        th_buf_puts(why, TH_WASM_NO_MEMORY);
        return TH_QUOTA;
    }
    return TH_OK;
}

static th_err gather(const draft *drafts, size_t n, th_on_exit **out, th_buf *why)
{
    th_on_exit_request *requests = th_calloc(n + 1, sizeof *requests);
    th_err err = TH_QUOTA;

    for (size_t i = 0; i < n && requests != NULL; i++) {
        requests[i] = drafts[i].request;
    }
    if (requests != NULL) {
        err = th_on_exit_new(out, requests, n);
    }
    if (err != TH_OK) {
        th_buf_putf(why, "the requests of its on-exit have more than %zu bytes",
                    TH_ON_EXIT_BYTES_MAX);
    }
    th_free(requests);
    return err;
}

th_err th_wasm_take_on_exit(th_wasm_process *self, th_wcall *args, th_on_exit **out,
                            th_buf *why)
{
    size_t n = args->messages.len;
    th_err err = TH_OK;
    draft *drafts;

    if (args->on_exit != TH_W_REQUESTS) {
        *out = th_on_exit_plain(args->on_exit == TH_W_RESTART ? TH_ON_EXIT_RESTART
                                                              : TH_ON_EXIT_NONE);
        return TH_OK;
    }
    if (n > TH_ON_EXIT_REQUESTS_MAX) {
        th_buf_putf(why, "its on-exit has %zu requests, and %d is the limit", n,
                    TH_ON_EXIT_REQUESTS_MAX);
        return TH_QUOTA;
    }
    drafts = th_calloc(n + 1, sizeof *drafts);
    if (drafts == NULL) {
        th_buf_puts(why, TH_WASM_NO_MEMORY);
        return TH_QUOTA;
    }
    for (size_t i = 0; i < n && err == TH_OK; i++) {
        err = draft_one(self, &args->messages.ptr[i], &drafts[i], why);
    }
    if (err == TH_OK) {
        err = gather(drafts, n, out, why);
    }
    deinit(drafts, n);
    return err;
}

static bool caps_are_few(const th_wmsgs *messages, th_wbuf *trap)
{
    size_t bytes = 0;

    for (size_t i = 0; i < messages->len; i++) {
        if (!th_wasm_caps_are_few(&messages->ptr[i].caps, &bytes, trap)) {
            return false;
        }
    }
    return true;
}

/* @before, which is taken, is what it is if this fails. */
static int save_life(th_wasm_process *self, enum th_wop op, th_on_exit *before,
                     th_wbuf *trap)
{
    th_wasm_saving *saving = th_wasm_saving_new(op);

    if (saving == NULL) {
        th_on_exit_unref(before);
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    saving->saving.what = TH_SAVE_LIFE;
    saving->before = before;
    return submit(self, saving, trap);
}

int th_wasm_save_life(th_wasm_process *self, enum th_wop op, th_wbuf *trap)
{
    return save_life(self, op, NULL, trap);
}

int th_wasm_set_on_exit(th_wasm_process *self, th_wcall *args, th_wbuf *trap)
{
    th_auto(th_on_exit) before = th_process_on_exit(self->process);
    th_auto(th_on_exit) on_exit = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_err err;

    if (!caps_are_few(&args->messages, trap)) {
        return TH_W_TRAP;
    }
    err = th_wasm_take_on_exit(self, args, &on_exit, &why);
    if (err == TH_OK) {
        err = th_process_set_on_exit(self->process, on_exit);
    }
    if (err == TH_UNSUPPORTED) {
        return th_wasm_trap(trap,
                            "set-on-exit: it has no chosen name by which it could "
                            "come again: spawn it with one");
    }
    if (err != TH_OK) {
        return th_wasm_trap(trap, "set-on-exit: %s",
                            why.bytes == 0 ? TH_WASM_NO_MEMORY : th_buf_text(&why));
    }
    if (th_on_exit_kind_of(before) == TH_ON_EXIT_NONE &&
        th_on_exit_kind_of(on_exit) == TH_ON_EXIT_NONE) {
        return TH_W_READY;
    }
    return save_life(self, TH_W_SET_ON_EXIT, th_take(&before), trap);
}

/* --- What comes back ------------------------------------------------------------------------ */

static int answer(th_wasm_process *self, th_wasm_saving *saving, th_wcall *reply,
                  th_wbuf *trap)
{
    th_saving *inner = &saving->saving;
    th_err err = inner->err;

    if (saving->op == TH_W_SPAWN) {
        err = th_process_spawned(self->process, saving->child.pid, inner);
        return th_wasm_spawned(self, &saving->child, err, reply, trap);
    }
    if (saving->op == TH_W_GET_STATE && (err == TH_OK || err == TH_NOT_FOUND)) {
        return give_state(inner, reply, trap);
    }
    if (err == TH_OK) {
        return TH_W_READY;
    }
    if (saving->op == TH_W_SET_ON_EXIT) {
        (void)th_process_set_on_exit(self->process, saving->before);
    }
    return fail(saving->op, err, trap);
}

int th_wasm_save_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    th_wasm_saving *saving = th_take(&self->saving);
    int result;

    self->waits = TH_WASM_WAITS_NOT;
    if (self->is_starved) { /* the kernel still has it */
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    self->is_saved = false;
    result = answer(self, saving, reply, trap);
    th_wasm_saving_free(saving);
    return result;
}

void th_wasm_save_deinit(th_wasm_process *self)
{
    th_wasm_saving *saving = th_take(&self->saving);

    if (!self->is_saved) {
        return; /* the kernel has it */
    }
    if (saving->op == TH_W_SPAWN) {
        (void)th_process_spawned(self->process, saving->child.pid, &saving->saving);
    }
    th_wasm_saving_free(saving);
}
