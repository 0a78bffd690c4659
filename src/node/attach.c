#include "node/attach_parts.h"

#include "base/mem.h"
#include "node/control.h"
#include "node/terms.h"

#include <string.h>

/* --- Writing (owner) ---------------------------------------------------------------- */

/*
 * What does not fit waits in `stuck`, and the process with it. A socket that is gone
 * takes everything: the connection's end follows.
 */
void th_attach_write(th_attach *attach, th_buf *line)
{
    if (line->failed) {
        attach->is_starved = true;
    } else if (attach->stuck.bytes > 0) {
        th_buf_put(&attach->stuck, line->at, line->bytes);
    } else if (th_socket_write_large(attach->socket, th_buf_slice(line)) == TH_QUOTA) {
        attach->stuck = *line;
        *line = TH_BUF_INIT;
    }
    th_buf_clear(line);
    attach->is_starved = attach->is_starved || attach->stuck.failed;
}

/* Has the outside more to read than it may have? */
static bool is_full(th_attach *attach, size_t bytes_max)
{
    if (attach->stuck.bytes > 0) {
        if (th_socket_write_large(attach->socket, th_buf_slice(&attach->stuck)) ==
            TH_QUOTA) {
            return true;
        }
        th_buf_deinit(&attach->stuck);
    }
    return th_socket_waiting(attach->socket) > bytes_max;
}

/* Is it? Then th_attach_written pokes the process. */
static bool is_choked(th_attach *attach)
{
    if (!is_full(attach, TH_ATTACH_OUT_BYTES_MAX)) {
        return false;
    }
    atomic_store(&attach->is_choked, true);
    if (!is_full(attach, TH_ATTACH_OUT_BYTES_LOW)) { /* written in the meantime */
        atomic_store(&attach->is_choked, false);
        return false;
    }
    return true;
}

/* --- Lines (owner) -------------------------------------------------------------------- */

/* The oldest line, if one is wanted, or NULL. *@is_closed: the connection is gone. */
static th_attach_line *next_fresh(th_attach *attach, bool is_wanted, bool *is_closed)
{
    th_attach_line *line = NULL;
    th_list *node = NULL;

    pthread_mutex_lock(&attach->lock);
    *is_closed = attach->is_closed;
    if (is_wanted && !attach->is_closed) {
        node = th_list_pop(&attach->fresh);
    }
    if (node != NULL) {
        line = th_container_of(node, th_attach_line, link);
        attach->fresh_count--;
        attach->fresh_bytes -= line->cost;
    }
    if (attach->is_held && attach->fresh_count <= TH_ATTACH_IN_COUNT_MAX / 2 &&
        attach->fresh_bytes <= TH_ATTACH_IN_BYTES_MAX / 2) {
        attach->is_held = false;
        th_socket_hold(attach->socket, false);
    }
    pthread_mutex_unlock(&attach->lock);
    return line;
}

/* --- The process -------------------------------------------------------------------- */

static th_attaches *all_of(const th_process *self)
{
    return th_container_of(th_process_ident(self)->entry->guest, th_attaches, guest);
}

/*
 * Its argument is a number. NULL: it is of somebody who is gone, for the node has it
 * back to do what its on-exit says.
 */
static th_attach *attach_of(th_process *self)
{
    th_attaches *all = all_of(self);
    th_slice args = th_process_args(self);
    th_attach *found = NULL;
    uint64_t number;

    if (args.bytes != sizeof number) {
        return NULL;
    }
    memcpy(&number, args.at, sizeof number);
    pthread_mutex_lock(&all->lock);
    TH_LIST_EACH(node, &all->living)
    {
        th_attach *one = th_container_of(node, th_attach, link);

        if (one->number == number) {
            found = one;
            break;
        }
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

static _Thread_local bool is_starting;

/*
 * Asked on the spawner's thread: no guest can start an entry of ours, nor can it be
 * started again, for there is nobody outside.
 */
static th_err may_start(const th_entry *entry, th_buf *why)
{
    (void)entry;
    if (!is_starting) {
        th_buf_puts(why, "it is the entry of programs outside the node, which start by "
                         "themselves (thole attach)");
        return TH_DENIED;
    }
    return TH_OK;
}

/* What is larger can come as bytes, or in the blob: encoding takes a slice at once. */
#define VALUE_BYTES_MAX ((size_t)4 << 20)

/* A value that has no form in JSON is refused to its sender, as by Wasm processes. */
static th_err accept(const th_msg *msg)
{
    th_auto_buf json = TH_BUF_INIT;
    th_json_error error;

    return th_msg_body(msg).bytes > VALUE_BYTES_MAX
               ? TH_QUOTA
               : th_terms_to_json(&json, th_msg_body(msg), &error);
}

/* The answer to the `attach` is its first line. */
static th_err begin(th_process *self, void *context, void **state, th_buf *why)
{
    th_kernel *kernel = th_process_kernel(self);
    th_attach *attach = attach_of(self);
    th_auto_buf address = TH_BUF_INIT;
    th_auto_buf line = TH_BUF_INIT;

    (void)context;
    if (attach == NULL) {
        th_buf_puts(why, "nobody is outside");
        return TH_DENIED;
    }
    th_attach_mail_init(&attach->mail);
    th_kernel_address_text(kernel, th_process_ident(self), &address);
    th_control_put_ok(&line, th_buf_slice(&attach->id));
    th_buf_putc(&line, '{');
    th_json_put_pair(&line, "pid", th_process_pid_text(self));
    th_json_put_pair(&line, "address", th_buf_slice(&address));
    th_buf_putc(&line, '}');
    th_control_put_end(&line);
    th_attach_write(attach, &line);
    *state = attach;
    return TH_OK;
}

static void end_starved(th_process *self)
{
    th_process_end(self, th_exit_new(TH_END_CRASH, TH_QUOTA, TH_SLICE("memory ran out"),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    th_native_return(self);
}

/* One line, then one thing that came, in turns. */
static th_run slice(th_process *self, void *state)
{
    th_attach *attach = state;

    do {
        bool may_write = !is_choked(attach);
        bool may_do = may_write && !th_attach_mail_is_busy(&attach->mail);
        bool is_closed, did_take;
        th_attach_line *line = next_fresh(attach, may_do, &is_closed);

        if (is_closed) {
            th_native_return(self);
            return TH_RUN_ENDED;
        }
        if (!may_write) {
            return TH_RUN_ASLEEP;
        }
        if (line != NULL && th_attach_do(self, attach, line)) {
            return TH_RUN_ENDED;
        }
        did_take = th_attach_mail_take(self, attach);
        if (attach->is_starved) {
            end_starved(self);
            return TH_RUN_ENDED;
        }
        if (line == NULL && !did_take) {
            return th_attach_mail_wants(attach) ? TH_RUN_BLOCKED : TH_RUN_ASLEEP;
        }
    } while (!th_process_should_yield(self));
    return TH_RUN_YIELDED;
}

static void unref(th_attach *attach)
{
    th_list *node;

    if (atomic_fetch_sub(&attach->refs, 1) != 1) {
        return;
    }
    while ((node = th_list_pop(&attach->fresh)) != NULL) {
        th_attach_line_free(th_container_of(node, th_attach_line, link));
    }
    pthread_mutex_destroy(&attach->lock);
    th_socket_unref(attach->socket);
    th_buf_deinit(&attach->id);
    th_buf_deinit(&attach->stuck);
    th_free(attach);
}

/* How it ended the kernel says after this: th_attaches_ended. */
static void drop(th_process *self, void *state)
{
    th_attach *attach = attach_of(self);
    th_attaches *all = all_of(self);

    if (attach == NULL) {
        return;
    }
    if (state != NULL) { /* it may end before it began */
        th_attach_mail_deinit(self, &attach->mail);
    }
    pthread_mutex_lock(&attach->lock);
    attach->is_over = true;
    pthread_mutex_unlock(&attach->lock);
    attach->ended = th_process_ident(self)->pid;
    pthread_mutex_lock(&all->lock);
    th_list_remove(&attach->link);
    th_list_push(&all->ending, &attach->link);
    pthread_mutex_unlock(&all->lock);
}

static th_attach *take_ending(th_attaches *all, th_pid pid)
{
    th_attach *found = NULL;

    pthread_mutex_lock(&all->lock);
    TH_LIST_EACH(node, &all->ending)
    {
        th_attach *one = th_container_of(node, th_attach, link);

        if (th_pid_eq(one->ended, pid)) {
            found = one;
            break;
        }
    }
    if (found != NULL) {
        th_list_remove(&found->link);
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

void th_attaches_ended(th_attaches *attaches, const th_ident *who, const th_exit *exit)
{
    th_auto_buf line = TH_BUF_INIT;
    th_attach *attach;

    if (attaches == NULL || who->entry->guest != &attaches->guest) {
        return;
    }
    attach = take_ending(attaches, who->pid);
    if (attach == NULL) {
        return;
    }
    th_buf_puts(&line, "{\"ended\":");
    th_attach_put_end(&line, exit);
    th_buf_puts(&line, "}\n");
    th_attach_write(attach, &line);
    th_socket_close(attach->socket);
    unref(attach);
}

/* --- From outside (io) ---------------------------------------------------------------- */

static th_attach *make(th_attaches *attaches, const th_attach_spec *spec)
{
    th_attach *attach = th_calloc(1, sizeof *attach);

    if (attach == NULL) {
        return NULL;
    }
    th_buf_put(&attach->id, spec->id.at, spec->id.bytes);
    if (attach->id.failed) {
        return th_free(attach);
    }
    attach->of = attaches;
    attach->socket = th_socket_ref(spec->socket);
    attach->pulls = spec->pulls;
    atomic_init(&attach->refs, 2);
    pthread_mutex_init(&attach->lock, NULL);
    th_list_init(&attach->fresh);
    th_list_init(&attach->link);
    return attach;
}

/* Known by its number, or, if it did not start, not any more. */
static void set_known(th_attaches *all, th_attach *attach, bool is_known)
{
    pthread_mutex_lock(&all->lock);
    if (is_known) {
        attach->number = ++all->number;
        th_list_push(&all->living, &attach->link);
    } else {
        th_list_remove(&attach->link);
    }
    pthread_mutex_unlock(&all->lock);
}

static th_err spawn(th_attaches *attaches, th_attach *attach, const th_spawn *spec,
                    th_buf *why)
{
    th_ident ident;
    th_err err;

    is_starting = true;
    err = th_kernel_spawn(attaches->spec.kernel, spec, &ident, why);
    is_starting = false;
    if (err == TH_OK) {
        attach->pid = ident.pid;
        th_blob_unref(ident.name);
    }
    return err;
}

static th_err start(th_attaches *attaches, const th_attach_spec *spec,
                    th_attach *attach, th_spawn *with, th_buf *why)
{
    attach_rights rights;
    th_err err = th_attach_rights(&rights, attaches->spec.kernel, spec, why);

    if (err != TH_OK) {
        return err;
    }
    set_known(attaches, attach, true);
    with->host = attaches->spec.host;
    with->args = th_slice_of(&attach->number, sizeof attach->number);
    with->is_public = spec->is_public;
    with->caps = rights.caps;
    with->grants = rights.grants;
    with->grants_count = rights.grants_count;
    err = spawn(attaches, attach, with, why);
    if (err != TH_OK) {
        set_known(attaches, attach, false);
    }
    th_attach_rights_deinit(&rights);
    return err;
}

th_err th_attach_start(th_attaches *attaches, const th_attach_spec *spec,
                       th_attach **out, th_buf *why)
{
    th_spawn with = {.entry = NULL};
    th_attach *attach;
    th_err err = th_attach_name(attaches, spec->name, &with.entry, &with.name, why);

    if (err != TH_OK) {
        return err;
    }
    attach = make(attaches, spec);
    if (attach == NULL) {
        return TH_QUOTA;
    }
    err = start(attaches, spec, attach, &with, why);
    if (err != TH_OK) {
        unref(attach);
        unref(attach);
        return err;
    }
    *out = attach;
    return TH_OK;
}

th_err th_attach_take(th_attach *attach, th_slice text)
{
    th_attach_line *line = th_attach_line_new(text);
    bool is_over;

    if (line == NULL) {
        return TH_QUOTA;
    }
    pthread_mutex_lock(&attach->lock);
    is_over = attach->is_over;
    if (!is_over) {
        th_list_push(&attach->fresh, &line->link);
        attach->fresh_count++;
        attach->fresh_bytes += line->cost;
    }
    if (!is_over && !attach->is_held &&
        (attach->fresh_count > TH_ATTACH_IN_COUNT_MAX ||
         attach->fresh_bytes > TH_ATTACH_IN_BYTES_MAX)) {
        attach->is_held = true;
        th_socket_hold(attach->socket, true);
    }
    pthread_mutex_unlock(&attach->lock);
    if (is_over) { /* its last line is on its way */
        th_attach_line_free(line);
    } else {
        th_kernel_poke(attach->of->spec.kernel, attach->pid);
    }
    return TH_OK;
}

void th_attach_written(th_attach *attach)
{
    if (th_socket_waiting(attach->socket) <= TH_ATTACH_OUT_BYTES_LOW &&
        atomic_exchange(&attach->is_choked, false)) {
        th_kernel_poke(attach->of->spec.kernel, attach->pid);
    }
}

void th_attach_close(th_attach *attach)
{
    pthread_mutex_lock(&attach->lock);
    attach->is_closed = true;
    pthread_mutex_unlock(&attach->lock);
    th_kernel_poke(attach->of->spec.kernel, attach->pid);
    unref(attach);
}

/* --- All of them ---------------------------------------------------------------------- */

th_err th_attaches_new(th_attaches **out, const th_attaches_spec *spec)
{
    th_attaches *attaches = th_calloc(1, sizeof *attaches);

    if (attaches == NULL) {
        return TH_NOMEM;
    }
    attaches->spec = *spec;
    attaches->program = (th_native){.init = begin, .slice = slice, .drop = drop};
    attaches->guest = th_guest_native;
    attaches->guest.name = "outside";
    attaches->guest.is_urgent = false; /* it does as much as its program likes */
    attaches->guest.check = may_start;
    attaches->guest.accept = accept;
    pthread_mutex_init(&attaches->lock, NULL);
    th_list_init(&attaches->entries);
    th_list_init(&attaches->living);
    th_list_init(&attaches->ending);
    attaches->number = th_world_dice_u64(th_kernel_world(spec->kernel));
    *out = attaches;
    return TH_OK;
}

th_attaches *th_attaches_free(th_attaches *attaches)
{
    if (attaches == NULL) {
        return NULL;
    }
    th_attach_names_deinit(attaches);
    pthread_mutex_destroy(&attaches->lock);
    return th_free(attaches);
}
