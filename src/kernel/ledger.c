#include "base/slab.h"
#include "kernel/internal.h"

#include "base/mem.h"

#include <string.h>

/*
 * What a process waits for: its open requests and its alarms.
 *
 * Each has a timer on the wheel of the shard where it was set, and the node that
 * the timer puts into the process's inbox. The process may meanwhile have moved to
 * another shard, so a wait is counted: one reference is the owner's, one the
 * timer's from its setting until it was taken out of the wheel or of the inbox.
 *
 *   ARMED --fires--> FIRED (in the inbox)
 *     |
 *     +--the owner gives it up--> DROPPED, if it stands in another shard's wheel;
 *                                 that shard takes it out
 */
typedef enum wait_state {
    WAIT_IDLE,
    WAIT_ARMED,
    WAIT_FIRED,
    WAIT_DROPPED,
} wait_state;

typedef struct th_wait {
    th_timer timer;
    th_item item; /* REQUEST, TIMER or CANCEL (a deadline); in `dropped` if given up */
    th_kernel *kernel;
    th_shard *shard; /* whose wheel it stands in */
    th_pid owner;
    _Atomic uint8_t state;
    _Atomic uint32_t refs;
} th_wait;

struct th_request {
    th_wait wait;
    uint64_t id;
    bool is_open; /* in the ledger */
    void *tag;
    th_msg *original;
    th_blob *context;
    th_msg *response; /* NULL: `reason` says why */
    th_err reason;
};

struct th_alarm {
    th_wait wait;
    th_list link; /* in the owner's list */
    void *tag;
    bool is_dropped; /* the owner does not want it any more */
};

/*
 * An enforced cancel: it ends the process. It is on the list of its target, which any
 * shard may put it on and only the target's end takes it off.
 */
typedef struct deadline {
    th_wait wait;
    th_list listed; /* `next` alone */
} deadline;

#define DEADLINES_CLOSED ((th_list *)1) /* the target ended */

#define INDEX_BITS TH_REQUEST_INDEX_BITS
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define INDEX_NONE UINT32_MAX
#define DEADLINES_MAX 64 /* enforced cancels of one process */

/* --- Waits ----------------------------------------------------------------------- */

/* What is held with a request: itself, its message and its context; -1: no longer. */
static void charge_request(th_kernel *kernel, th_request *request, int sign)
{
    th_budget_msg(kernel, request->original, sign);
    th_budget_add(kernel, sign * (int64_t)sizeof *request +
                              th_budget_blob(request->context, sign));
}

static void free_request(th_request *request)
{
    charge_request(request->wait.kernel, request, -1);
    th_msg_unref(request->original);
    th_msg_unref(request->response);
    th_blob_unref(request->context);
    th_slab_free(request, sizeof *request);
}

static void wait_unref(th_wait *wait)
{
    if (atomic_fetch_sub(&wait->refs, 1) != 1) {
        return;
    }
    if (wait->item.type == TH_ITEM_REQUEST) {
        free_request(th_container_of(wait, th_request, wait));
    } else if (wait->item.type == TH_ITEM_TIMER) {
        th_budget_add(wait->kernel, -(int64_t)sizeof(th_alarm));
        th_slab_free(th_container_of(wait, th_alarm, wait), sizeof(th_alarm));
    } else {
        th_budget_add(wait->kernel, -(int64_t)sizeof(deadline));
        th_slab_free(th_container_of(wait, deadline, wait), sizeof(deadline));
    }
}

static void wait_arm(th_wait *wait, th_process *owner, th_item_type type, th_mono due)
{
    th_shard *shard = th_shard_self;

    wait->item.type = (uint8_t)type;
    wait->kernel = owner->kernel;
    wait->shard = shard;
    wait->owner = owner->ident.pid;
    atomic_init(&wait->state, WAIT_ARMED);
    atomic_init(&wait->refs, 2);
    th_wheel_add(&shard->wheel, &wait->timer, due.ns);
}

/* The owner waits no longer. Gives up the timer's reference where it can. */
static void wait_drop(th_wait *wait)
{
    uint8_t armed = WAIT_ARMED;
    th_shard *shard = wait->shard;

    if (atomic_load(&wait->state) != WAIT_ARMED) {
        return;
    }
    if (shard == th_shard_self) {
        atomic_store_explicit(&wait->state, WAIT_IDLE, memory_order_relaxed);
        th_wheel_remove(&wait->timer);
        wait_unref(wait);
    } else if (atomic_compare_exchange_strong(&wait->state, &armed, WAIT_DROPPED)) {
        th_list *first = atomic_load(&shard->dropped);

        do {
            wait->item.link.next = first;
        } while (
            !atomic_compare_exchange_weak(&shard->dropped, &first, &wait->item.link));
    }
}

void th_alarms_drop_all(th_shard *shard)
{
    th_list *node;

    if (atomic_load_explicit(&shard->dropped, memory_order_relaxed) == NULL) {
        return;
    }
    node = atomic_exchange(&shard->dropped, NULL);
    while (node != NULL) {
        th_item *item = th_container_of(node, th_item, link);
        th_wait *wait = th_container_of(item, th_wait, item);

        node = node->next;
        th_wheel_remove(&wait->timer);
        wait_unref(wait);
    }
}

static void wait_fire(th_wait *wait)
{
    uint8_t armed = WAIT_ARMED;
    th_process *owner;

    if (!atomic_compare_exchange_strong(&wait->state, &armed, WAIT_FIRED)) {
        return; /* given up: its shard is about to be told */
    }
    owner = th_table_find(wait->kernel, wait->owner);
    if (owner == NULL || !th_process_put(owner, &wait->item)) {
        wait_unref(wait);
    }
}

static void deadline_fire(th_wait *wait)
{
    uint8_t armed = WAIT_ARMED;
    th_process *target;

    if (!atomic_compare_exchange_strong(&wait->state, &armed, WAIT_FIRED)) {
        return; /* given up: its shard is about to be told */
    }
    target = th_table_find(wait->kernel, wait->owner);
    if (target != NULL) {
        th_process_kill(target, th_exit_new(TH_END_KILL, TH_CANCELED,
                                            TH_SLICE("process terminated: it did not "
                                                     "end by the cancel's deadline"),
                                            TH_FORMAT_BYTES, TH_SLICE("")));
    }
    wait_unref(wait);
}

void th_alarms_fire(th_shard *shard, th_list *expired)
{
    th_list *node;

    (void)shard;
    while ((node = th_list_pop(expired)) != NULL) {
        th_timer *timer = th_container_of(node, th_timer, link);
        th_wait *wait = th_container_of(timer, th_wait, timer);

        if (wait->item.type == TH_ITEM_CANCEL) {
            deadline_fire(wait);
        } else {
            wait_fire(wait);
        }
    }
}

/* --- Requests ---------------------------------------------------------------------- */

/* A free place of the ledger holds the index of the next free one. */
static th_request *free_mark(uint32_t next)
{
    return (th_request *)((uintptr_t)next << 1 | 1);
}

static bool is_free_mark(const th_request *place)
{
    return ((uintptr_t)place & 1) != 0;
}

static bool ledger_grow(th_process *self)
{
    uint32_t room = self->requests_room == 0 ? 4 : self->requests_room * 2;
    th_request **grown = th_realloc(self->requests, room * sizeof(th_request *));

    if (grown == NULL) {
        return false;
    }
    for (uint32_t i = self->requests_room; i < room; i++) {
        grown[i] = free_mark(i + 1 == room ? INDEX_NONE : i + 1);
    }
    self->requests_free = self->requests_room;
    self->requests = grown;
    self->requests_room = room;
    return true;
}

static th_err ledger_add(th_process *self, th_request *request)
{
    bool is_full = self->requests_count == self->requests_room;
    uint32_t index;

    if (self->requests_count >= self->limits->requests_max) {
        return TH_QUOTA;
    }
    if (is_full && !ledger_grow(self)) {
        return TH_QUOTA;
    }
    index = self->requests_free;
    self->requests_free = (uint32_t)((uintptr_t)self->requests[index] >> 1);
    self->requests[index] = request;
    th_count(&self->requests_count, 1);
    request->id = ++self->requests_serial << INDEX_BITS | index;
    request->is_open = true;
    return TH_OK;
}

static void ledger_remove(th_process *self, th_request *request)
{
    uint32_t index = (uint32_t)(request->id & INDEX_MASK);

    self->requests[index] = free_mark(self->requests_free);
    self->requests_free = index;
    th_count(&self->requests_count, -1u);
    request->is_open = false;
    /* The slot that was reserved for its answer. */
    atomic_fetch_sub_explicit(&self->mail, TH_MAIL_ONE, memory_order_relaxed);
}

static th_request *ledger_find(th_process *self, uint64_t id)
{
    uint64_t index = id & INDEX_MASK;
    th_request *request;

    if (index >= self->requests_room) {
        return NULL;
    }
    request = self->requests[index];
    return is_free_mark(request) || request->id != id ? NULL : request;
}

th_err th_ledger_open(th_process *self, const th_ask *ask, th_msg *msg, th_mono due,
                      th_request **out)
{
    th_request *request = th_slab_new(sizeof *request);
    th_err err;

    if (request == NULL) {
        return TH_QUOTA;
    }
    memset(request, 0, sizeof *request);
    err = ledger_add(self, request);
    if (err != TH_OK) {
        th_slab_free(request, sizeof *request);
        return err;
    }
    atomic_fetch_add_explicit(&self->mail, TH_MAIL_ONE, memory_order_relaxed);
    request->tag = ask->tag;
    request->context = th_blob_ref(ask->context);
    request->original = th_msg_ref(msg);
    wait_arm(&request->wait, self, TH_ITEM_REQUEST, due);
    charge_request(self->kernel, request, 1);
    msg->requester = self->ident.pid;
    msg->request = request->id;
    *out = request;
    return TH_OK;
}

/* Out of the ledger, as an item for the guest. */
static void close_request(th_process *self, th_request *request, th_delivery *out)
{
    ledger_remove(self, request);
    out->type = TH_ITEM_REPLY;
    out->request = request;
}

bool th_ledger_answer(th_process *self, th_msg *msg, th_delivery *out)
{
    th_request *request = ledger_find(self, msg->request);

    if (request == NULL) { /* late, or a second one: silent */
        atomic_fetch_add_explicit(&th_shard_self->late, 1, memory_order_relaxed);
        th_msg_unref(msg);
        return false;
    }
    if (msg->leg == TH_LEG_RETURNED) {
        request->reason = (th_err)msg->reason;
        th_msg_unref(msg);
    } else {
        request->response = msg;
    }
    close_request(self, request, out);
    wait_drop(&request->wait);
    return true;
}

bool th_ledger_expire(th_process *self, th_item *item, th_delivery *out)
{
    th_wait *wait = th_container_of(item, th_wait, item);
    th_request *request = th_container_of(wait, th_request, wait);
    bool was_open = request->is_open;

    if (was_open) {
        request->reason = TH_TIMED_OUT;
        if (th_is_traced(self->kernel)) {
            th_trace_failed(self->kernel, self->ident.pid, request->original,
                            TH_TIMED_OUT);
        }
        close_request(self, request, out);
    }
    wait_unref(wait);
    return was_open;
}

void th_ledger_discard(th_item *item)
{
    wait_unref(th_container_of(item, th_wait, item));
}

void th_ledger_end(th_process *self)
{
    th_list *node;

    for (uint32_t i = 0; i < self->requests_room; i++) {
        th_request *request = self->requests[i];

        if (!is_free_mark(request)) {
            request->is_open = false;
            wait_drop(&request->wait);
            wait_unref(&request->wait);
        }
    }
    self->requests_room = 0;
    atomic_store_explicit(&self->requests_count, 0, memory_order_relaxed);
    while ((node = th_list_pop(&self->alarms)) != NULL) {
        th_alarm *alarm = th_container_of(node, th_alarm, link);

        wait_drop(&alarm->wait);
        wait_unref(&alarm->wait);
    }
}

void *th_request_tag(const th_request *request)
{
    return request->tag;
}

th_blob *th_request_context(const th_request *request)
{
    return request->context;
}

const th_msg *th_request_original(const th_request *request)
{
    return request->original;
}

th_msg *th_request_response(const th_request *request)
{
    return request->response;
}

th_err th_request_reason(const th_request *request)
{
    return request->reason;
}

void th_request_free(th_process *self, th_request *request)
{
    (void)self;
    th_assert(!request->is_open);
    wait_unref(&request->wait);
}

void th_request_abandon(th_process *self, th_request *request)
{
    ledger_remove(self, request);
    wait_drop(&request->wait);
    wait_unref(&request->wait);
}

/* --- Alarms -------------------------------------------------------------------------- */

static th_alarm *make_alarm(th_process *self, th_mono due, void *tag)
{
    th_alarm *alarm = th_slab_new(sizeof *alarm);

    if (alarm != NULL) {
        memset(alarm, 0, sizeof *alarm);
        alarm->tag = tag;
        wait_arm(&alarm->wait, self, TH_ITEM_TIMER, due);
        th_budget_add(self->kernel, (int64_t)sizeof *alarm);
        th_list_push(&self->alarms, &alarm->link);
        th_count(&self->alarms_count, 1);
    }
    return alarm;
}

th_err th_alarm_set(th_process *self, th_mono due, void *tag, th_alarm **out)
{
    th_alarm *alarm = NULL;

    if (self->alarms_count < self->limits->timers_max) {
        alarm = make_alarm(self, due, tag);
    }
    if (alarm == NULL) {
        return TH_QUOTA;
    }
    *out = alarm;
    return TH_OK;
}

void *th_alarm_tag(const th_alarm *alarm)
{
    return alarm->tag;
}

void th_alarm_drop(th_process *self, th_alarm *alarm)
{
    if (alarm != NULL) {
        alarm->is_dropped = true;
        th_list_remove(&alarm->link);
        th_count(&self->alarms_count, -1u);
        wait_drop(&alarm->wait);
        wait_unref(&alarm->wait);
    }
}

bool th_alarm_take(th_process *self, th_item *item, th_delivery *out)
{
    th_wait *wait = th_container_of(item, th_wait, item);
    th_alarm *alarm = th_container_of(wait, th_alarm, wait);
    bool is_wanted = !alarm->is_dropped;

    (void)self;
    out->type = TH_ITEM_TIMER;
    out->alarm = alarm;
    wait_unref(wait);
    return is_wanted;
}

void th_alarm_discard(th_item *item)
{
    wait_unref(th_container_of(item, th_wait, item));
}

/* --- Deadlines ------------------------------------------------------------------------- */

/* False: @target ended. */
static bool list_deadline(th_process *target, deadline *made)
{
    th_list *first = atomic_load(&target->deadlines);

    do {
        if (first == DEADLINES_CLOSED) {
            return false;
        }
        made->listed.next = first;
    } while (!atomic_compare_exchange_weak(&target->deadlines, &first, &made->listed));
    return true;
}

static void drop_deadline(deadline *given_up)
{
    wait_drop(&given_up->wait);
    wait_unref(&given_up->wait);
}

th_err th_deadline_set(th_process *target, th_mono due)
{
    deadline *made = NULL;

    if (atomic_fetch_add(&target->deadlines_count, 1) < DEADLINES_MAX) {
        made = th_slab_new(sizeof *made);
    }
    if (made == NULL) {
        atomic_fetch_sub(&target->deadlines_count, 1);
        return TH_QUOTA;
    }
    memset(made, 0, sizeof *made);
    th_budget_add(target->kernel, (int64_t)sizeof *made);
    wait_arm(&made->wait, target, TH_ITEM_CANCEL, due);
    if (!list_deadline(target, made)) {
        drop_deadline(made);
        return TH_NOT_FOUND;
    }
    return TH_OK;
}

void th_deadlines_end(th_process *process)
{
    th_list *listed = atomic_exchange(&process->deadlines, DEADLINES_CLOSED);

    while (listed != NULL) {
        deadline *one = th_container_of(listed, deadline, listed);

        listed = listed->next;
        drop_deadline(one);
    }
}
