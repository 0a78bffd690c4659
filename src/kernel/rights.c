#include "base/mem.h"
#include "kernel/internal.h"

#include <string.h>

/*
 * Rights: who may send to whom, and what a process holds. (DESIGN 4.5.)
 *
 * A guest names a capability by its texts and never has the thing itself: it may name
 * what it issued, what it holds, and what came with its newest messages; nothing that
 * it writes down becomes a capability. What is free needs no record: a process of text
 * 003 within its package, and everybody towards a public process and towards himself.
 */
#define GIVEN_LISTS 32
#define GIVEN_BYTES_MAX (1u << 20)

#define CLOSED ((th_rights *)1) /* the process ended: nobody gives it any more */

struct th_rights {
    th_spin lock; /* of all but the issuer, which is set once */
    _Atomic(th_issuer *) issuer;
    th_capset held;
    th_on_exit *on_exit; /* NULL: none */

    /* What the newest messages brought: a ring. */
    th_caps *given[GIVEN_LISTS];
    uint32_t given_first, given_count;
    size_t given_bytes;

    size_t charged; /* to the node */
    bool is_closed; /* nothing is any more */
    th_retired retired;
};

/* --- The record ------------------------------------------------------------------------ */

static void forget_oldest(th_rights *rights)
{
    th_caps *oldest = rights->given[rights->given_first];

    rights->given_bytes -= th_caps_bytes(oldest);
    rights->given[rights->given_first] = th_caps_unref(oldest);
    rights->given_first = (rights->given_first + 1) % GIVEN_LISTS;
    rights->given_count--;
}

static void free_rights(th_rights *rights)
{
    while (rights->given_count > 0) {
        forget_oldest(rights);
    }
    th_capset_deinit(&rights->held);
    th_issuer_unref(atomic_load(&rights->issuer));
    th_on_exit_unref(rights->on_exit);
    th_free(rights);
}

static void free_retired(th_retired *retired)
{
    free_rights(th_container_of(retired, th_rights, retired));
}

static th_rights *find(const th_process *process)
{
    th_rights *rights = atomic_load_explicit(&process->rights, memory_order_acquire);

    return rights == CLOSED ? NULL : rights;
}

/*
 * What it holds keeps its capabilities alive, so it is charged with them, though others
 * may hold the same: whoever issues many and hands them on is not the one to pay.
 */
static void unlock_changed(th_process *process, th_rights *rights)
{
    size_t bytes = sizeof *rights + rights->held.bytes + rights->given_bytes;

    if (rights->is_closed) {
        bytes = 0;
    }
    th_budget_add(process->kernel, (int64_t)bytes - (int64_t)rights->charged);
    rights->charged = bytes;
    th_spin_unlock(&rights->lock);
}

/* Made when it is needed, by any thread. NULL: memory ran out, or it ended. */
static th_rights *find_or_make(th_process *process)
{
    th_rights *rights = atomic_load_explicit(&process->rights, memory_order_acquire);
    th_rights *made;

    if (rights != NULL) {
        return rights == CLOSED ? NULL : rights;
    }
    made = th_calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->retired.free = free_retired;
    th_capset_init(&made->held);
    if (!atomic_compare_exchange_strong(&process->rights, &rights, made)) {
        free_rights(made);
        return rights == CLOSED ? NULL : rights;
    }
    th_spin_lock(&made->lock);
    unlock_changed(process, made);
    return made;
}

void th_rights_close(th_process *process)
{
    th_kernel *kernel = process->kernel;
    th_rights *rights = atomic_exchange(&process->rights, CLOSED);

    if (rights != NULL) {
        th_spin_lock(&rights->lock);
        rights->is_closed = true;
        unlock_changed(process, rights);
        th_epoch_retire(&kernel->epoch, th_reader_here(kernel), &rights->retired);
    }
}

/* "process:package:publisher" of @process. */
void th_process_put_id(const th_process *process, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_address address;

    th_kernel_address(process->kernel, &process->ident, &address, unique);
    th_buf_putf(out, "%.*s:%.*s:%.*s", TH_FMT(address.process), TH_FMT(address.package),
                TH_FMT(address.publisher));
}

static th_issuer *new_issuer(th_process *process)
{
    th_auto_buf id = TH_BUF_INIT;

    th_process_put_id(process, &id);
    if (id.failed) {
        return NULL;
    }
    return process->ident.name == NULL
               ? th_issuer_new(th_buf_slice(&id))
               : th_identity_issuer(&process->kernel->identities, th_buf_slice(&id));
}

/* Of what @process issues; borrowed. NULL: memory ran out. */
static th_issuer *issuer_of(th_process *process)
{
    th_rights *rights = find_or_make(process);
    th_issuer *issuer, *made;

    if (rights == NULL) {
        return NULL;
    }
    issuer = atomic_load(&rights->issuer);
    if (issuer != NULL) {
        return issuer;
    }
    made = new_issuer(process);
    if (made != NULL &&
        !atomic_compare_exchange_strong(&rights->issuer, &issuer, made)) {
        th_issuer_unref(made);
        return issuer;
    }
    return made;
}

/* --- Who may what ------------------------------------------------------------------------ */

static bool holds_messaging(const th_process *process, const th_issuer *issuer)
{
    th_rights *rights = find(process);
    bool holds;

    if (rights == NULL || issuer == NULL) {
        return false;
    }
    th_spin_lock(&rights->lock);
    holds = th_capset_has_messaging(&rights->held, issuer);
    th_spin_unlock(&rights->lock);
    return holds;
}

/*
 * Of what @process issued, if it did; NULL: that is nothing. In the name of one that has
 * a chosen name others may have (th_kernel_issue).
 */
static const th_issuer *known_issuer(const th_process *process)
{
    const th_rights *rights = find(process);
    const th_issuer *issuer = rights == NULL ? NULL : atomic_load(&rights->issuer);

    return issuer == NULL && process->ident.name != NULL
               ? issuer_of((th_process *)process)
               : issuer;
}

bool th_rights_hold_messaging(const th_process *self, const th_process *target)
{
    return th_rights_is_free(self, target) || self == target ||
           (find(self) != NULL && holds_messaging(self, known_issuer(target)));
}

static bool holds(const th_process *process, th_slice issuer, th_slice params)
{
    th_rights *rights = find(process);
    th_cap_key key;
    bool does;

    if (rights == NULL || th_cap_key_init(&key, issuer, params) != TH_OK) {
        return false;
    }
    th_spin_lock(&rights->lock);
    does = th_capset_match(&rights->held, &key) != NULL;
    th_spin_unlock(&rights->lock);
    th_cap_key_deinit(&key);
    return does;
}

static bool holds_of(const th_process *process, const th_process *target,
                     th_slice params)
{
    const th_issuer *issuer = find(process) == NULL ? NULL : known_issuer(target);

    return issuer != NULL && holds(process, th_issuer_id(issuer), params);
}

bool th_rights_may_control(const th_process *self, const th_process *target)
{
    if (self->package == 0 || self == target) {
        return true;
    }
    if (target->package == 0) {
        return false;
    }
    return self->package == target->package ||
           th_pid_eq(target->parent, self->ident.pid) ||
           holds_of(self, target, TH_SLICE(TH_PARAMS_CONTROL)) ||
           holds(self, TH_SLICE(TH_ID_KERNEL), TH_CAP_MESSAGING);
}

/* --- Giving -------------------------------------------------------------------------------- */

static th_err hold(th_process *process, th_cap *cap)
{
    th_rights *rights = find_or_make(process);
    th_err err = TH_QUOTA;

    if (rights != NULL && cap != NULL &&
        !th_budget_refuses(process->kernel, TH_BUDGET_NO_SENDS)) {
        th_spin_lock(&rights->lock);
        err = th_capset_add(&rights->held, cap);
        unlock_changed(process, rights);
    }
    return err;
}

/* @process holds a capability of @by from now on. */
static th_err give(th_process *process, th_process *by, th_slice params)
{
    th_issuer *issuer = issuer_of(by);
    th_cap *cap = issuer == NULL ? NULL : th_cap_issue(issuer, params);
    th_err err = cap == NULL ? TH_QUOTA : hold(process, cap);

    th_cap_unref(cap);
    return err;
}

void th_process_given(th_process *self, th_caps *caps)
{
    th_rights *rights = th_caps_count(caps) == 0 ? NULL : find_or_make(self);

    if (rights == NULL || th_caps_bytes(caps) > GIVEN_BYTES_MAX) {
        return; /* it can answer the message, but not hand these on */
    }
    th_spin_lock(&rights->lock);
    while (rights->given_count == GIVEN_LISTS ||
           rights->given_bytes + th_caps_bytes(caps) > GIVEN_BYTES_MAX) {
        forget_oldest(rights);
    }
    rights->given[(rights->given_first + rights->given_count++) % GIVEN_LISTS] =
        th_caps_ref(caps);
    rights->given_bytes += th_caps_bytes(caps);
    unlock_changed(self, rights);
}

/* --- Birth and end -------------------------------------------------------------------------- */

static th_err hold_of(th_process *process, th_slice issuer, th_slice params)
{
    th_cap *cap = th_kernel_issue(process->kernel, issuer, params);
    th_err err = cap == NULL ? TH_QUOTA : hold(process, cap);

    th_cap_unref(cap);
    return err;
}

/* What the owner said that each process of its entry may do. */
static th_err born_by_entry(th_process *child)
{
    const th_entry *entry = child->ident.entry;
    th_err err = TH_OK;

    if (entry->is_networking) {
        err = hold_of(child, TH_SLICE(TH_ID_KERNEL), TH_CAP_NETWORK);
    }
    for (size_t i = 0; i < entry->requests_count && err == TH_OK; i++) {
        err = hold_of(child, entry->requests[i].process, entry->requests[i].params);
    }
    return err;
}

static th_err grant_to(th_kernel *kernel, th_slice id, th_cap *cap)
{
    th_id_error error;
    th_err err = TH_OK;
    th_process *process;
    th_pid pid;

    if (th_names_resolve(kernel, id, &pid, &error) == TH_OK) {
        process = th_table_find(kernel, pid);
        err = process == NULL ? TH_OK : hold(process, cap);
    }
    return err;
}

/* Those named get capabilities of @child, now or when they come. */
static th_err grant_all(th_process *child, const th_grant *grants, size_t n)
{
    th_issuer *issuer = n == 0 ? NULL : issuer_of(child);
    th_err err = n == 0 || issuer != NULL ? TH_OK : TH_QUOTA;

    for (size_t i = 0; i < n && err == TH_OK; i++) {
        th_cap *cap = th_cap_issue(issuer, grants[i].params);

        err = cap == NULL ? TH_QUOTA : grant_to(child->kernel, grants[i].process, cap);
        if (err == TH_OK && grants == child->ident.entry->grants) {
            err = th_identity_grant(&child->kernel->identities, grants[i].process, cap);
        }
        th_cap_unref(cap);
    }
    return err;
}

static th_err hold_all(th_process *child, const th_caps *caps)
{
    th_err err = TH_OK;

    for (size_t i = 0; i < th_caps_count(caps) && err == TH_OK; i++) {
        err = hold(child, th_caps_at(caps, i));
    }
    return err;
}

/* What was granted to its name before it came. */
static th_err born_with_name(th_process *child)
{
    th_auto_buf id = TH_BUF_INIT;
    th_rights *rights;
    th_err err;

    if (child->ident.name == NULL) {
        return TH_OK;
    }
    th_process_put_id(child, &id);
    if (id.failed) {
        return TH_QUOTA;
    }
    child->is_heir = th_identity_came(&child->kernel->identities, th_buf_slice(&id));
    if (issuer_of(child) == NULL) { /* others may have something of it already */
        return TH_QUOTA;
    }
    rights = find(child);
    th_spin_lock(&rights->lock);
    err = th_identity_collect(&child->kernel->identities, th_buf_slice(&id),
                              &rights->held);
    unlock_changed(child, rights);
    return err;
}

static th_err born_beside(th_process *parent, th_process *child)
{
    th_err err = TH_OK;

    if (!th_rights_is_free(parent, child) || parent->is_strict) {
        child->is_lent = !holds_messaging(parent, issuer_of(child));
        err = give(parent, child, TH_CAP_MESSAGING);
    }
    if (err == TH_OK && (!th_rights_is_free(child, parent) || child->is_strict)) {
        err = give(child, parent, TH_CAP_MESSAGING);
    }
    return err;
}

th_err th_rights_born(th_process *parent, th_process *child, const th_spawn *spec)
{
    const th_entry *entry = child->ident.entry;
    th_on_exit *on_exit = spec->on_exit != NULL ? spec->on_exit : entry->on_exit;
    th_err err = TH_OK;

    if (on_exit != NULL) {
        err = find_or_make(child) == NULL ? TH_QUOTA : TH_OK;
        if (err == TH_OK) {
            th_process_set_on_exit(child, on_exit);
        }
    }
    if (err == TH_OK) {
        err = born_with_name(child);
    }
    if (err == TH_OK && child->is_strict) {
        err = give(child, child, TH_CAP_MESSAGING);
    }
    if (err == TH_OK) {
        err = born_by_entry(child);
    }
    if (err == TH_OK && spec->caps != NULL) {
        err = hold_all(child, spec->caps);
    }
    if (err == TH_OK && parent != NULL) {
        err = born_beside(parent, child);
    }
    if (err == TH_OK) {
        err = grant_all(child, entry->grants, entry->grants_count);
    }
    return err == TH_OK ? grant_all(child, spec->grants, spec->grants_count) : err;
}

/* What its spawner got of an identity that is others' concern, too, and stays. */
static void take_back(th_process *child, const th_issuer *issuer)
{
    th_process *parent = th_table_find(child->kernel, child->parent);
    th_rights *rights = parent == NULL || !child->is_lent ? NULL : find(parent);

    if (rights != NULL) {
        th_spin_lock(&rights->lock);
        th_capset_drop_messaging(&rights->held, issuer);
        unlock_changed(parent, rights);
    }
}

/* Without asking for memory: what it issued is void, however little there is. */
void th_rights_end(th_process *process, bool comes_again)
{
    th_rights *rights = find(process);
    th_issuer *issuer = rights == NULL ? NULL : atomic_load(&rights->issuer);
    th_auto_buf id = TH_BUF_INIT;

    if (comes_again && process->ident.name != NULL) {
        th_process_put_id(process, &id);
        if (th_identity_await(&process->kernel->identities,
                              issuer == NULL ? th_buf_slice(&id)
                                             : th_issuer_id(issuer)) != TH_OK) {
            th_fault(TH_NOMEM, "the name of a process that is to come again");
        }
    } else if (issuer != NULL && process->is_heir && atomic_load(&process->is_undone)) {
        take_back(process, issuer);
    } else if (process->ident.name != NULL && atomic_load(&process->keeps_issued)) {
        th_process_put_id(process, &id);
        th_identity_came(&process->kernel->identities, th_buf_slice(&id));
    } else if (issuer != NULL && process->ident.name != NULL) {
        th_identity_end(&process->kernel->identities, th_issuer_id(issuer));
    } else if (issuer != NULL) {
        th_issuer_revoke(issuer);
    }
}

/* --- What a guest says of its own ------------------------------------------------------------- */

/* Without "node@", if that is this node; else empty. */
static th_slice local_id(const th_kernel *kernel, th_slice id)
{
    size_t at = th_slice_find(id, '@');
    th_slice node = th_slice_of(id.at, at);

    if (at == id.bytes) {
        return id;
    }
    return th_slice_is(node, "our") || th_slice_is(node, kernel->node)
               ? th_slice_from(id, at + 1)
               : th_slice_of(NULL, 0);
}

/* Under the lock. One reference, or NULL: it may not name it. */
static th_cap *find_named(th_rights *rights, const th_cap_key *key)
{
    th_cap *cap = th_capset_match(&rights->held, key);

    for (uint32_t i = 0; i < rights->given_count && cap == NULL; i++) {
        cap =
            th_caps_match(rights->given[(rights->given_first + i) % GIVEN_LISTS], key);
    }
    return cap == NULL ? NULL : th_cap_ref(cap);
}

static th_cap *claim(th_process *self, const th_claim *what)
{
    th_slice issuer = local_id(self->kernel, what->issuer);
    th_auto_buf own = TH_BUF_INIT;
    th_rights *rights;
    th_cap_key key;
    th_cap *cap;

    th_process_put_id(self, &own);
    if (!own.failed && th_slice_eq(th_buf_slice(&own), issuer)) {
        return issuer_of(self) == NULL ? NULL
                                       : th_cap_issue(issuer_of(self), what->params);
    }
    rights = find(self);
    if (rights == NULL || issuer.bytes == 0 ||
        th_cap_key_init(&key, issuer, what->params) != TH_OK) {
        return NULL;
    }
    th_spin_lock(&rights->lock);
    cap = find_named(rights, &key);
    th_spin_unlock(&rights->lock);
    th_cap_key_deinit(&key);
    return cap;
}

th_caps *th_process_claim(th_process *self, const th_claim *claims, size_t n)
{
    th_cap **found = th_calloc(n + 1, sizeof(th_cap *));
    th_caps *caps = NULL;
    size_t count = 0;

    if (found == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        found[count] = claim(self, &claims[i]);
        count += found[count] != NULL;
    }
    caps = th_caps_new(found, count);
    while (count > 0) {
        th_cap_unref(found[--count]);
    }
    th_free(found);
    return caps;
}

th_err th_process_save_caps(th_process *self, const th_claim *claims, size_t n)
{
    th_caps *caps = th_process_claim(self, claims, n);
    th_err err = caps == NULL ? TH_QUOTA : hold_all(self, caps);

    th_caps_unref(caps);
    return err;
}

static void drop(th_process *self, th_rights *rights, const th_claim *what)
{
    th_cap_key key;
    th_cap *cap;

    if (th_cap_key_init(&key, local_id(self->kernel, what->issuer), what->params) !=
        TH_OK) {
        return;
    }
    th_spin_lock(&rights->lock);
    cap = th_capset_match(&rights->held, &key);
    if (cap != NULL) {
        th_capset_drop(&rights->held, cap);
    }
    unlock_changed(self, rights);
    th_cap_key_deinit(&key);
}

void th_process_drop_caps(th_process *self, const th_claim *claims, size_t n)
{
    th_rights *rights = find(self);

    for (size_t i = 0; i < n && rights != NULL; i++) {
        drop(self, rights, &claims[i]);
    }
}

th_caps *th_rights_caps(const th_process *process)
{
    th_rights *rights = find(process);
    th_caps *caps;

    if (rights == NULL) {
        return th_caps_new(NULL, 0);
    }
    th_spin_lock(&rights->lock);
    caps = th_capset_list(&rights->held);
    th_spin_unlock(&rights->lock);
    return caps;
}

th_caps *th_process_caps(th_process *self)
{
    return th_rights_caps(self);
}

bool th_process_has_cap(th_process *self, th_slice issuer, th_slice params)
{
    return holds(self, local_id(self->kernel, issuer), params);
}

th_on_exit *th_rights_on_exit(const th_process *process)
{
    th_rights *rights = find(process);
    th_on_exit *on_exit;

    if (rights == NULL) {
        return NULL;
    }
    th_spin_lock(&rights->lock);
    on_exit = th_on_exit_ref(rights->on_exit);
    th_spin_unlock(&rights->lock);
    return on_exit;
}

th_err th_process_set_on_exit(th_process *self, th_on_exit *on_exit)
{
    th_rights *rights = find_or_make(self);
    th_on_exit *old;

    if (self->ident.name == NULL && th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE) {
        return TH_UNSUPPORTED;
    }
    if (rights == NULL) {
        return TH_QUOTA;
    }
    th_spin_lock(&rights->lock);
    old = rights->on_exit;
    rights->on_exit = th_on_exit_ref(on_exit);
    th_spin_unlock(&rights->lock);
    th_on_exit_unref(old);
    return TH_OK;
}

/* --- The owner's ------------------------------------------------------------------------------ */

/* One reference. A made-up name is that of a process that lives. */
static th_issuer *find_issuer(th_kernel *kernel, th_slice id)
{
    th_id_error error;
    th_address address;
    th_process *process;
    th_pid pid;
    uint64_t boot;

    id = local_id(kernel, id);
    if (th_address_decode(&address, id, true, &error) != TH_OK) {
        return NULL;
    }
    if (th_unique_decode(&boot, &pid, address.process) != TH_OK) {
        return th_identity_issuer(&kernel->identities, id);
    }
    if (th_names_resolve(kernel, id, &pid, &error) != TH_OK) {
        return NULL;
    }
    process = th_table_find(kernel, pid);
    return process == NULL ? NULL : th_issuer_ref(issuer_of(process));
}

th_cap *th_kernel_issue(th_kernel *kernel, th_slice issuer, th_slice params)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_issuer *by = find_issuer(kernel, issuer);
    th_cap *cap = by == NULL ? NULL : th_cap_issue(by, params);

    th_issuer_unref(by);
    th_outside_leave(kernel, reader);
    return cap;
}

th_err th_kernel_grant(th_kernel *kernel, th_pid pid, th_cap *cap)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);
    th_err err = process == NULL ? TH_NOT_FOUND : hold(process, cap);

    th_outside_leave(kernel, reader);
    return err;
}

th_err th_kernel_drop(th_kernel *kernel, th_pid pid, const th_claim *what)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        th_process_drop_caps(process, what, 1);
    }
    th_outside_leave(kernel, reader);
    return process == NULL ? TH_NOT_FOUND : TH_OK;
}

bool th_kernel_revoke(th_kernel *kernel, const th_claim *what)
{
    th_cap *cap = th_kernel_issue(kernel, what->issuer, what->params);

    if (cap == NULL) {
        return false;
    }
    th_cap_revoke(cap);
    th_cap_unref(cap);
    return true;
}

th_caps *th_kernel_caps(th_kernel *kernel, th_pid pid)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);
    th_caps *caps = process == NULL ? NULL : th_rights_caps(process);

    th_outside_leave(kernel, reader);
    return caps;
}

th_err th_kernel_await(th_kernel *kernel, th_slice id)
{
    return th_identity_await(&kernel->identities, id);
}

void th_kernel_release(th_kernel *kernel, th_slice id)
{
    th_identity_came(&kernel->identities, id);
}

void th_kernel_keep_issued(th_kernel *kernel, th_pid pid)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_process *process = th_table_find(kernel, pid);

    if (process != NULL) {
        atomic_store(&process->keeps_issued, true);
    }
    th_outside_leave(kernel, reader);
}

void th_kernel_forget(th_kernel *kernel, th_slice id)
{
    th_epoch_reader *reader = th_outside_enter(kernel);
    th_id_error error;
    th_pid pid;

    if (th_names_resolve(kernel, id, &pid, &error) != TH_OK) {
        th_identity_end(&kernel->identities, id);
    }
    th_outside_leave(kernel, reader);
}
