#include "base/slab.h"
#include "kernel/internal.h"

#include "base/mem.h"

#include <string.h>

/*
 * Ties: links and monitors.
 *
 * A tie is one record with two ends, each in the list of its process and touched
 * only by that process's shard. What one end has to say to the other travels as an
 * item that is embedded in the end: it cannot fail, and if something newer is to be
 * said before the older was heard, only the newer is heard.
 *
 *     LIVE ──unlink, unmonitor, watcher's end──> SEVERED
 *       └────the other's end───────────────────> DOWN
 *
 * Whoever moves the state away from LIVE decides what the other gets: after an
 * unlink that won nothing comes any more; one that lost is too late.
 *
 * An end is counted while it is in a list and while its item is on its way.
 */
typedef enum tie_state {
    TIE_LIVE,
    TIE_SEVERED,
    TIE_DOWN,
} tie_state;

typedef enum tie_op {
    OP_NONE,   /* the item is not on its way */
    OP_ATTACH, /* the other shall put its end into its list */
    OP_DETACH, /* the other shall forget it */
    OP_DOWN,   /* this end's process ended: `exit` */
} tie_op;

typedef struct tie_end {
    th_item item;
    _Atomic uint8_t op; /* tie_op */
    uint8_t side;
    bool is_listed;
    th_list link;
    th_ident who;  /* held */
    th_exit *exit; /* held; set before OP_DOWN */
    th_wall at;
} tie_end;

typedef struct th_tie {
    _Atomic uint32_t refs;
    _Atomic uint8_t state; /* tie_state */
    bool is_link;          /* else end 0 monitors end 1 */
    th_kernel *kernel;
    tie_end ends[2];
} th_tie;

static th_tie *tie_of(tie_end *end)
{
    return th_container_of(end - end->side, th_tie, ends[0]);
}

static tie_end *other_end(tie_end *end)
{
    return &tie_of(end)->ends[1 - end->side];
}

static void tie_unref(th_tie *tie)
{
    if (atomic_fetch_sub(&tie->refs, 1) != 1) {
        return;
    }
    for (int side = 0; side < 2; side++) {
        th_ident_unref(&tie->ends[side].who);
        th_exit_unref(tie->ends[side].exit);
    }
    th_budget_add(tie->kernel, -(int64_t)sizeof *tie);
    th_slab_free(tie, sizeof *tie);
}

/* One reference, which is the caller's. */
static th_tie *tie_new(th_process *from, th_process *to, bool is_link)
{
    th_tie *tie = th_slab_new(sizeof *tie);

    if (tie == NULL) {
        return NULL;
    }
    memset(tie, 0, sizeof *tie);
    atomic_init(&tie->refs, 1);
    tie->is_link = is_link;
    tie->kernel = from->kernel;
    th_budget_add(tie->kernel, (int64_t)sizeof *tie);
    tie->ends[0].who = th_ident_ref(&from->ident);
    tie->ends[1].who = th_ident_ref(&to->ident);
    for (uint8_t side = 0; side < 2; side++) {
        tie->ends[side].side = side;
        tie->ends[side].item.type = TH_ITEM_TIE;
        th_list_init(&tie->ends[side].link);
    }
    return tie;
}

static void count_end(th_process *process, tie_end *end, uint32_t by)
{
    th_count(tie_of(end)->is_link ? &process->links_count
             : end->side == 0     ? &process->watches_count
                                  : &process->watched_count,
             by);
    process->ties_count += end->side == 0 ? by : 0; /* charged to who made it */
}

static void list_end(th_process *process, tie_end *end)
{
    th_assert(!end->is_listed);
    end->is_listed = true;
    th_list_push(&process->ties, &end->link);
    count_end(process, end, 1);
    atomic_fetch_add(&tie_of(end)->refs, 1);
}

static void delist_end(th_process *process, tie_end *end)
{
    if (end->is_listed) {
        end->is_listed = false;
        th_list_remove(&end->link);
        count_end(process, end, -1u);
        tie_unref(tie_of(end));
    }
}

/* False: the other ended. */
static bool say(tie_end *end, tie_op op)
{
    th_tie *tie = tie_of(end);
    th_process *to;

    if (atomic_exchange(&end->op, (uint8_t)op) != OP_NONE) {
        return true; /* still on its way: the newer is heard instead */
    }
    atomic_fetch_add(&tie->refs, 1);
    to = th_table_find(tie->kernel, other_end(end)->who.pid);
    if (to == NULL || !th_process_put(to, &end->item)) {
        atomic_store(&end->op, OP_NONE);
        tie_unref(tie);
        return false;
    }
    return true;
}

static bool sever(th_tie *tie, tie_state state)
{
    uint8_t live = TIE_LIVE;

    return atomic_compare_exchange_strong(&tie->state, &live, (uint8_t)state);
}

/* --- Making and ending ties ------------------------------------------------------- */

/* The end of @self in its tie of that kind with @target, if it has one. */
static tie_end *find_end(th_process *self, th_pid target, bool is_link)
{
    TH_LIST_EACH(node, &self->ties)
    {
        tie_end *end = th_container_of(node, tie_end, link);
        const th_tie *tie = tie_of(end);

        if (th_pid_eq(other_end(end)->who.pid, target) && tie->is_link == is_link &&
            (is_link || end->side == 0)) {
            return end;
        }
    }
    return NULL;
}

static th_err attach(th_process *self, th_pid target, bool is_link)
{
    th_process *to = th_table_find(self->kernel, target);
    th_tie *tie;
    th_err err = TH_OK;

    if (to == NULL) {
        return TH_NOT_FOUND;
    }
    if (find_end(self, target, is_link) != NULL) {
        return is_link ? TH_OK : TH_EXISTS;
    }
    if (is_link && to == self) {
        return TH_OK;
    }
    if (self->ties_count >= self->limits->ties_max) {
        return TH_QUOTA;
    }
    tie = tie_new(self, to, is_link);
    if (tie == NULL) {
        return TH_QUOTA;
    }
    list_end(self, &tie->ends[0]);
    if (!say(&tie->ends[0], OP_ATTACH)) {
        delist_end(self, &tie->ends[0]);
        err = TH_NOT_FOUND;
    }
    tie_unref(tie);
    return err;
}

static th_err detach(th_process *self, th_pid target, bool is_link)
{
    tie_end *end = find_end(self, target, is_link);

    if (end != NULL && sever(tie_of(end), TIE_SEVERED)) {
        say(end, OP_DETACH);
        delist_end(self, end);
    }
    return TH_OK;
}

th_err th_process_monitor(th_process *self, th_pid target)
{
    return attach(self, target, false);
}

th_err th_process_link(th_process *self, th_pid target)
{
    const th_process *process = th_table_find(self->kernel, target);

    if (process != NULL && !th_rights_may_control(self, process)) {
        return TH_DENIED;
    }
    return attach(self, target, true);
}

th_err th_process_unmonitor(th_process *self, th_pid target)
{
    return detach(self, target, false);
}

th_err th_process_unlink(th_process *self, th_pid target)
{
    return detach(self, target, true);
}

static th_err born(th_process *parent, th_process *child, bool is_link)
{
    th_tie *tie;

    if (parent->ties_count >= parent->limits->ties_max) {
        return TH_QUOTA;
    }
    tie = tie_new(parent, child, is_link);
    if (tie == NULL) {
        return TH_QUOTA;
    }
    list_end(parent, &tie->ends[0]);
    list_end(child, &tie->ends[1]);
    tie_unref(tie);
    return TH_OK;
}

static void unborn(th_process *parent, th_process *child)
{
    while (!th_list_is_empty(&child->ties)) {
        tie_end *end = th_container_of(child->ties.next, tie_end, link);

        delist_end(parent, other_end(end));
        delist_end(child, end);
    }
}

th_err th_tie_born(th_process *parent, th_process *child, bool monitored, bool linked)
{
    th_err err = monitored ? born(parent, child, false) : TH_OK;

    if (err == TH_OK && linked) {
        err = born(parent, child, true);
    }
    if (err != TH_OK) {
        unborn(parent, child);
    }
    return err;
}

/* --- Receiving --------------------------------------------------------------------- */

static void lend(th_process *self, const tie_end *from, th_event_kind kind,
                 th_event *event)
{
    self->event_from = th_ident_ref(&from->who);
    self->event_exit = th_exit_ref(from->exit);
    *event = (th_event){.kind = kind,
                        .from = from->who,
                        .at = from->at,
                        .reason = from->exit == NULL ? TH_OK : from->exit->reason,
                        .exit = from->exit};
}

/*
 * The other linked this process while this one linked the other: of the two ties
 * both sides keep the one of the lower pid. False: this one goes.
 */
static bool keeps(th_process *self, tie_end *own)
{
    tie_end *rival = find_end(self, other_end(own)->who.pid, true);

    if (rival == NULL) {
        return true;
    }
    if (other_end(own)->who.pid.bits > self->ident.pid.bits) {
        return false;
    }
    if (!sever(tie_of(rival), TIE_SEVERED) &&
        atomic_load(&tie_of(rival)->state) == TIE_DOWN) {
        return false; /* what the rival says is on its way already */
    }
    delist_end(self, rival);
    return true;
}

static bool heard_attach(th_process *self, tie_end *from, th_event *event)
{
    tie_end *own = other_end(from);
    th_tie *tie = tie_of(from);

    if (atomic_load(&tie->state) != TIE_LIVE || own->is_listed) {
        return false;
    }
    if (tie->is_link && !keeps(self, own)) {
        sever(tie, TIE_SEVERED); /* the other tie says all there is to say */
        return false;
    }
    list_end(self, own);
    if (tie->is_link && self->has_link_events) {
        from->at = th_world_wall(self->kernel->config.world);
        lend(self, from, TH_EVENT_LINK_UP, event);
        return true;
    }
    return false;
}

static bool heard_detach(th_process *self, tie_end *from, th_event *event)
{
    tie_end *own = other_end(from);
    bool was_listed = own->is_listed;

    if (was_listed && tie_of(from)->is_link && self->has_link_events) {
        from->at = th_world_wall(self->kernel->config.world);
        lend(self, from, TH_EVENT_LINK_GONE, event);
        delist_end(self, own);
        return true;
    }
    delist_end(self, own);
    return false;
}

/*
 * The end of a link came before its beginning was heard. If an own link crossed it, one
 * of the two speaks: the own one, unless the other side had turned it down.
 */
static bool speaks_for_both(th_process *self, const tie_end *from)
{
    tie_end *rival = find_end(self, from->who.pid, true);

    if (rival != NULL && atomic_load(&tie_of(rival)->state) != TIE_SEVERED) {
        return false;
    }
    if (rival != NULL) {
        delist_end(self, rival);
    }
    return true;
}

static bool heard_down(th_process *self, tie_end *from, th_event *event)
{
    bool is_link = tie_of(from)->is_link;

    if (is_link && !other_end(from)->is_listed && !speaks_for_both(self, from)) {
        return false;
    }
    lend(self, from, is_link ? TH_EVENT_LINK_DOWN : TH_EVENT_EXIT, event);
    delist_end(self, other_end(from));
    return true;
}

bool th_tie_take(th_process *self, th_item *item, th_event *event)
{
    tie_end *from = th_container_of(item, tie_end, item);
    th_tie *tie = tie_of(from);
    bool is_event = false;

    switch ((tie_op)atomic_exchange(&from->op, OP_NONE)) {
    case OP_ATTACH:
        is_event = heard_attach(self, from, event);
        break;
    case OP_DETACH:
        is_event = heard_detach(self, from, event);
        break;
    case OP_DOWN:
        is_event = heard_down(self, from, event);
        break;
    case OP_NONE:
        th_assert(false);
    }
    tie_unref(tie);
    return is_event;
}

/* --- The end of a process ---------------------------------------------------------- */

void th_tie_refuse(th_process *ended, th_item *item)
{
    tie_end *from = th_container_of(item, tie_end, item);
    th_tie *tie = tie_of(from);
    tie_end *own = other_end(from);

    if (atomic_exchange(&from->op, OP_NONE) == OP_ATTACH && !own->is_listed) {
        list_end(ended, own); /* it hears of the end with all the others */
    } else {
        delist_end(ended, own);
    }
    tie_unref(tie);
}

static void say_down(th_process *self, tie_end *end)
{
    end->exit = th_exit_ref(self->exit);
    end->at = th_world_wall(self->kernel->config.world);
    say(end, OP_DOWN);
}

static void end_monitor(th_process *self, tie_end *end)
{
    if (end->side == 0) {
        if (sever(tie_of(end), TIE_SEVERED)) {
            say(end, OP_DETACH);
        }
    } else if (sever(tie_of(end), TIE_DOWN)) {
        say_down(self, end);
    }
}

static void kill_linked(th_process *self, th_process *other)
{
    th_auto_buf text = TH_BUF_INIT;

    th_buf_puts(&text, "linked process failed: ");
    th_kernel_pid_text(self->kernel, &self->ident, &text);
    if (self->exit != NULL) {
        th_slice error = th_exit_error(self->exit);

        th_buf_putf(&text, ": %.*s", TH_FMT(error));
    }
    th_process_kill(other, th_exit_new(TH_END_CRASH, TH_LINK, th_buf_slice(&text),
                                       TH_FORMAT_BYTES, TH_SLICE("")));
}

static void end_link(th_process *self, tie_end *end)
{
    bool failed = self->exit == NULL || self->exit->end == TH_END_CRASH ||
                  self->exit->end == TH_END_KILL;
    th_process *other;

    if (!sever(tie_of(end), TIE_DOWN)) {
        return;
    }
    if (!failed) {
        say(end, OP_DETACH);
        return;
    }
    other = th_table_find(self->kernel, other_end(end)->who.pid);
    if (other == NULL) {
        return;
    }
    if (atomic_load(&other->traps_links)) {
        say_down(self, end);
    } else {
        kill_linked(self, other);
    }
}

/* Watchers hear of it before linked processes do. */
void th_ties_end(th_process *self)
{
    TH_LIST_EACH(node, &self->ties)
    {
        tie_end *end = th_container_of(node, tie_end, link);

        if (!tie_of(end)->is_link) {
            end_monitor(self, end);
            delist_end(self, end);
        }
    }
    while (!th_list_is_empty(&self->ties)) {
        tie_end *end = th_container_of(self->ties.next, tie_end, link);

        end_link(self, end);
        delist_end(self, end);
    }
}

bool th_process_traps_links(const th_process *self)
{
    return atomic_load_explicit(&((th_process *)self)->traps_links,
                                memory_order_relaxed);
}

void th_process_set_traps_links(th_process *self, bool traps)
{
    atomic_store(&self->traps_links, traps);
}

bool th_process_has_link_events(const th_process *self)
{
    return self->has_link_events;
}

void th_process_set_link_events(th_process *self, bool wants)
{
    self->has_link_events = wants;
}
