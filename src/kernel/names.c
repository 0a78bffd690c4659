#include "base/mem.h"
#include "kernel/internal.h"

#include <string.h>

/*
 * Names: the registry of text 003, the chosen names of processes, and what a text
 * that is meant to be a process means.
 *
 * Looking up takes no lock: a chain of a bucket is only ever changed by one store,
 * and a name that is taken out is freed by epochs. Changes are under one lock, which
 * the end of a process without names does without: whoever gives it one at that
 * moment sees that it ends and takes the name back.
 */
struct th_name {
    _Atomic(th_name *) next;
    th_names *in;
    uint64_t hash;
    th_pid pid;
    th_pid registrar;
    th_process *process; /* whose list it is in; under the lock */
    th_list owned;
    th_retired retired;
    uint32_t bytes;
    char text[];
};

#define REGISTERED_BYTES_MAX 255

static th_name *find(th_names *names, th_slice text, uint64_t hash)
{
    th_name *name = atomic_load_explicit(&names->buckets[hash % TH_NAMES_BUCKETS],
                                         memory_order_acquire);

    while (name != NULL) {
        if (name->hash == hash &&
            th_slice_eq(th_slice_of(name->text, name->bytes), text)) {
            return name;
        }
        name = atomic_load_explicit(&name->next, memory_order_acquire);
    }
    return NULL;
}

static th_pid find_pid(th_kernel *kernel, th_names *names, th_slice text)
{
    const th_name *name = find(names, text, th_slice_hash(text, kernel->names_seed));

    return name == NULL ? TH_PID_NONE : name->pid;
}

static void free_name(th_retired *retired)
{
    th_free(th_container_of(retired, th_name, retired));
}

static th_name *make_name(th_names *names, th_slice text, uint64_t hash)
{
    th_name *name = th_calloc(1, sizeof *name + text.bytes);

    if (name != NULL) {
        name->in = names;
        name->hash = hash;
        name->retired.free = free_name;
        name->bytes = (uint32_t)text.bytes;
        memcpy(name->text, text.at, text.bytes);
    }
    return name;
}

/* Under the lock. */
static void put_in(th_name *name, th_process *process)
{
    _Atomic(th_name *) *bucket = &name->in->buckets[name->hash % TH_NAMES_BUCKETS];

    name->pid = process->ident.pid;
    name->process = process;
    th_list_push(&process->names, &name->owned);
    atomic_fetch_add(&process->names_count, 1);
    th_budget_add(process->kernel, (int64_t)(sizeof *name + name->bytes));
    atomic_store_explicit(&name->next, atomic_load(bucket), memory_order_relaxed);
    atomic_store_explicit(bucket, name, memory_order_release);
}

/* Under the lock. */
static void take_out(th_kernel *kernel, th_name *name)
{
    _Atomic(th_name *) *at = &name->in->buckets[name->hash % TH_NAMES_BUCKETS];

    while (atomic_load(at) != name) {
        at = &atomic_load(at)->next;
    }
    atomic_store(at, atomic_load(&name->next));
    th_list_remove(&name->owned);
    atomic_fetch_sub(&name->process->names_count, 1);
    th_budget_add(kernel, -(int64_t)(sizeof *name + name->bytes));
    th_epoch_retire(&kernel->epoch, th_reader_here(kernel), &name->retired);
}

/* Under the lock. Refuses: EXISTS, another process has it; QUOTA; NOT_FOUND. */
static th_err add(th_names *names, th_slice text, th_process *process, th_pid registrar)
{
    th_kernel *kernel = process->kernel;
    uint64_t hash = th_slice_hash(text, kernel->names_seed);
    th_name *name = find(names, text, hash);

    if (name != NULL) {
        return th_pid_eq(name->pid, process->ident.pid) ? TH_OK : TH_EXISTS;
    }
    if (atomic_load(&process->names_count) >= process->limits->names_max) {
        return TH_QUOTA;
    }
    name = make_name(names, text, hash);
    if (name == NULL) {
        return TH_QUOTA;
    }
    name->registrar = registrar;
    put_in(name, process);
    if (atomic_load(&process->names_closed)) {
        take_out(kernel, name);
        return TH_NOT_FOUND;
    }
    return TH_OK;
}

void th_names_deinit(th_names *names)
{
    for (unsigned i = 0; i < TH_NAMES_BUCKETS; i++) {
        th_assert(atomic_load(&names->buckets[i]) == NULL);
    }
}

/* --- Processes' own ----------------------------------------------------------------- */

/* "name:package:publisher", under which a chosen name is kept. */
static void chosen_key(th_buf *out, th_slice name, const th_entry *entry)
{
    th_buf_putf(out, "%.*s:%.*s:%.*s", TH_FMT(name), TH_FMT(entry->package),
                TH_FMT(entry->publisher));
}

static bool may_choose(th_slice name)
{
    uint64_t boot;
    th_pid pid;

    return th_name_is_valid(name, TH_NAME_PLAIN) &&
           th_unique_decode(&boot, &pid, name) != TH_OK;
}

static bool may_register(th_slice name)
{
    th_pid_text pid;
    th_address address;
    th_id_error error;

    return name.bytes > 0 && name.bytes <= REGISTERED_BYTES_MAX &&
           th_pid_text_decode(&pid, name, &error) != TH_OK &&
           th_address_decode(&address, name, true, &error) != TH_OK;
}

th_err th_names_claim(th_process *process, const th_spawn *spec)
{
    th_slice chosen = spec->name, registered = spec->registered;
    th_kernel *kernel = process->kernel;
    th_auto_buf key = TH_BUF_INIT;
    th_err err = TH_OK;

    if ((chosen.bytes > 0 && !may_choose(chosen)) ||
        (registered.bytes > 0 && !may_register(registered))) {
        return TH_INVALID;
    }
    if (chosen.bytes == 0 && registered.bytes == 0) {
        return TH_OK;
    }
    chosen_key(&key, chosen, process->ident.entry);
    if (key.failed) {
        return TH_QUOTA;
    }
    th_spin_lock(&kernel->names_lock);
    if (chosen.bytes > 0 && !spec->is_again &&
        th_identity_is_awaited(&kernel->identities, th_buf_slice(&key))) {
        err = TH_EXISTS;
    } else if (chosen.bytes > 0) {
        err = add(&kernel->chosen, th_buf_slice(&key), process, process->ident.pid);
    }
    if (err == TH_OK && registered.bytes > 0) {
        err = add(&kernel->registry, registered, process, process->ident.pid);
    }
    th_spin_unlock(&kernel->names_lock);
    if (err != TH_OK) {
        th_names_release(process);
    }
    return err;
}

void th_names_release(th_process *process)
{
    th_kernel *kernel = process->kernel;

    atomic_store(&process->names_closed, true);
    if (atomic_load(&process->names_count) == 0) {
        return;
    }
    th_spin_lock(&kernel->names_lock);
    while (!th_list_is_empty(&process->names)) {
        take_out(kernel, th_container_of(process->names.next, th_name, owned));
    }
    th_spin_unlock(&kernel->names_lock);
}

th_err th_process_register(th_process *self, th_slice name, th_pid pid)
{
    th_kernel *kernel = self->kernel;
    th_process *process = th_table_find(kernel, pid);
    th_err err;

    if (!may_register(name)) {
        return TH_INVALID;
    }
    if (process == NULL) {
        return TH_NOT_FOUND;
    }
    if (!th_rights_may_control(self, process)) {
        return TH_DENIED;
    }
    th_spin_lock(&kernel->names_lock);
    err = add(&kernel->registry, name, process, self->ident.pid);
    th_spin_unlock(&kernel->names_lock);
    return err;
}

th_err th_process_unregister(th_process *self, th_slice text)
{
    th_kernel *kernel = self->kernel;
    th_name *name;
    th_err err = TH_NOT_FOUND;

    th_spin_lock(&kernel->names_lock);
    name = find(&kernel->registry, text, th_slice_hash(text, kernel->names_seed));
    if (name != NULL) {
        err = TH_DENIED;
        if (th_pid_eq(name->pid, self->ident.pid) ||
            th_pid_eq(name->registrar, self->ident.pid)) {
            take_out(kernel, name);
            err = TH_OK;
        }
    }
    th_spin_unlock(&kernel->names_lock);
    return err;
}

/* --- What a text means ----------------------------------------------------------------- */

static bool is_here(const th_kernel *kernel, th_slice node)
{
    return node.bytes == 0 || th_slice_is(node, "our") ||
           th_slice_is(node, kernel->node);
}

/* The process of a unique part, if it lives and its package is that of @address. */
static th_process *find_unique(th_kernel *kernel, th_slice unique)
{
    uint64_t boot;
    th_pid pid;

    if (th_unique_decode(&boot, &pid, unique) != TH_OK || boot != kernel->config.boot) {
        return NULL;
    }
    return th_table_find(kernel, pid);
}

/* The entry of that id; the node's own modules are in no list, so nobody starts one. */
static const th_entry *entry_of(th_kernel *kernel, th_slice id)
{
    static const th_entry own = {.package = {"distro", 6}, .publisher = {"sys", 3}};

    return th_slice_starts(id, "system:") ? &own : th_kernel_find_entry(kernel, id);
}

static th_err resolve_pid_text(th_kernel *kernel, th_slice text, th_pid *out,
                               th_id_error *error)
{
    th_pid_text parts;
    th_process *process;
    th_err err = th_pid_text_decode(&parts, text, error);

    if (err != TH_OK) {
        return err;
    }
    if (!is_here(kernel, parts.node)) {
        return TH_OFFLINE;
    }
    process = find_unique(kernel, parts.unique);
    if (process == NULL || process->ident.name != NULL) {
        const th_entry *entry = entry_of(kernel, parts.entry);
        th_auto_buf key = TH_BUF_INIT;

        if (entry == NULL) {
            return TH_NOT_FOUND;
        }
        chosen_key(&key, parts.unique, entry);
        process = th_table_find(kernel,
                                find_pid(kernel, &kernel->chosen, th_buf_slice(&key)));
        if (process == NULL &&
            th_identity_is_awaited(&kernel->identities, th_buf_slice(&key))) {
            return TH_DIED;
        }
    }
    if (process == NULL || !th_slice_eq(process->ident.entry->id, parts.entry) ||
        !th_slice_eq(process->ident.host->id, parts.host)) {
        return TH_NOT_FOUND;
    }
    *out = process->ident.pid;
    return TH_OK;
}

static th_err resolve_address(th_kernel *kernel, th_slice text, th_pid *out,
                              th_id_error *error)
{
    th_address parts;
    th_process *process;
    th_slice key = text;
    th_err err = th_address_decode(&parts, text, true, error);

    if (err != TH_OK) {
        return err;
    }
    if (!is_here(kernel, parts.node)) {
        return TH_OFFLINE;
    }
    if (parts.node.bytes > 0) {
        key = th_slice_from(text, parts.node.bytes + 1);
    }
    process = th_table_find(kernel, find_pid(kernel, &kernel->chosen, key));
    if (process == NULL) {
        process = find_unique(kernel, parts.process);
        if (process != NULL && process->ident.name != NULL) {
            process = NULL;
        }
    }
    if (process == NULL || !th_slice_eq(process->ident.entry->package, parts.package) ||
        !th_slice_eq(process->ident.entry->publisher, parts.publisher)) {
        return th_identity_is_awaited(&kernel->identities, key) ? TH_DIED
                                                                : TH_NOT_FOUND;
    }
    *out = process->ident.pid;
    return TH_OK;
}

static bool looks_like_address(th_slice text)
{
    size_t colons = 0;

    for (size_t i = 0; i < text.bytes; i++) {
        if (text.at[i] == '@') {
            return true;
        }
        colons += text.at[i] == ':';
    }
    return colons >= 2;
}

th_err th_names_resolve(th_kernel *kernel, th_slice text, th_pid *out,
                        th_id_error *error)
{
    th_pid pid;

    *error = (th_id_error){0, "there is no process of this name"};
    if (text.bytes > 0 && text.at[0] == '{') {
        return resolve_pid_text(kernel, text, out, error);
    }
    pid = find_pid(kernel, &kernel->registry, text);
    if (th_table_find(kernel, pid) != NULL) {
        *out = pid;
        return TH_OK;
    }
    return looks_like_address(text) ? resolve_address(kernel, text, out, error)
                                    : TH_NOT_FOUND;
}

th_err th_process_resolve(th_process *self, th_slice text, th_pid *out,
                          th_id_error *error)
{
    return th_names_resolve(self->kernel, text, out, error);
}

th_err th_kernel_resolve(th_kernel *kernel, th_slice text, th_pid *out,
                         th_id_error *error)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_err err = th_names_resolve(kernel, text, out, error);

    th_outside_leave(kernel, reader);
    return err;
}

void th_kernel_each_name(th_kernel *kernel, th_pid pid, th_name_each *each,
                         void *context)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    th_spin_lock(&kernel->names_lock);
    if (process != NULL) {
        TH_LIST_EACH(link, &process->names)
        {
            const th_name *name = th_container_of(link, th_name, owned);

            if (name->in == &kernel->registry) {
                each(context, th_slice_of(name->text, name->bytes));
            }
        }
    }
    th_spin_unlock(&kernel->names_lock);
    th_outside_leave(kernel, reader);
}
