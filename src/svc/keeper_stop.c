#include "base/mem.h"
#include "svc/keeper_parts.h"

#include <stdlib.h>

/*
 * The stop. Those who hear of it are told one by one, the newest first: who was started
 * later may need who was there before, and not the other way round.
 */
typedef struct keeper_told {
    th_pid pid;
    th_wall started;
} keeper_told;

static bool note(void *context, const th_process_info *info)
{
    th_keeper *keeper = context;
    keeper_stop *stopping = &keeper->stopping;

    if (!info->hears_stop && atomic_load(&keeper->main_pid) != info->ident.pid.bits) {
        return true;
    }
    if (stopping->count == stopping->room) {
        size_t room = stopping->room == 0 ? 64 : stopping->room * 2;
        keeper_told *more = th_realloc(stopping->told, room * sizeof *more);

        if (more == NULL) {
            return false; /* the rest is ended without a word */
        }
        stopping->told = more;
        stopping->room = room;
    }
    stopping->told[stopping->count++] = (keeper_told){info->ident.pid, info->started};
    return true;
}

static int by_start(const void *a, const void *b)
{
    const keeper_told *one = a, *other = b;
    int64_t x = one->started.ns, y = other->started.ns;

    if (x == y) {
        return one->pid.bits < other->pid.bits ? -1 : 1;
    }
    return x < y ? -1 : 1;
}

static void begin(th_keeper *keeper, th_process *self)
{
    keeper_stop *stopping = &keeper->stopping;

    stopping->began = true;
    stopping->end = (th_mono){th_process_now(self).ns + TH_KEEPER_STOP_ALL_MS * TH_MS};
    th_kernel_set_life(keeper->spec.kernel, TH_LIFE_STOPPING);
    th_kernel_each(keeper->spec.kernel, note, keeper);
    if (stopping->count > 1) {
        qsort(stopping->told, stopping->count, sizeof *stopping->told, by_start);
    }
}

static void drop_alarm(keeper_stop *stopping, th_process *self)
{
    if (stopping->alarm != NULL) {
        th_alarm_drop(self, stopping->alarm);
        stopping->alarm = NULL;
    }
}

/* Its end is an event, or its time is over. */
static void tell(th_keeper *keeper, th_process *self, th_pid pid)
{
    keeper_stop *stopping = &keeper->stopping;
    int64_t now = th_process_now(self).ns;
    int64_t due = now + TH_KEEPER_STOP_EACH_MS * TH_MS;
    th_err err = th_process_monitor(self, pid);

    if (due > stopping->end.ns) {
        due = stopping->end.ns;
    }
    if (err == TH_NOT_FOUND) {
        return;
    }
    if (err == TH_EXISTS || err == TH_OK) {
        err = th_alarm_set(self, (th_mono){due}, NULL, &stopping->alarm);
    }
    if (err == TH_OK) {
        err = th_process_cancel(self, pid, due - now, false,
                                TH_SLICE("the node is stopping"));
    }
    if (err != TH_OK) {
        drop_alarm(stopping, self);
        (void)th_kernel_end(keeper->spec.kernel, pid);
        return;
    }
    stopping->current = pid;
    stopping->is_waiting = true;
}

static bool current_is_done(th_keeper *keeper)
{
    keeper_stop *stopping = &keeper->stopping;

    if (!th_kernel_is_alive(keeper->spec.kernel, stopping->current)) {
        return true;
    }
    if (stopping->alarm == NULL) { /* it fired */
        (void)th_kernel_end(keeper->spec.kernel, stopping->current);
        return true;
    }
    return false;
}

/* It does not run just now, and will not in this boot. */
static void give_up_main(th_keeper *keeper)
{
    if (atomic_load(&keeper->main_pid) == 0) {
        th_keeper_finish_main(keeper, TH_STOPPING, NULL, "");
    }
}

void th_keeper_stop_some(th_keeper *keeper, th_process *self)
{
    keeper_stop *stopping = &keeper->stopping;

    if (!atomic_load(&keeper->stop) || atomic_load(&keeper->is_stopped)) {
        return;
    }
    if (!stopping->began) {
        begin(keeper, self);
    }
    if (stopping->is_waiting && current_is_done(keeper)) {
        stopping->is_waiting = false;
        drop_alarm(stopping, self);
    }
    while (!stopping->is_waiting && stopping->count > 0 &&
           th_process_now(self).ns < stopping->end.ns) {
        tell(keeper, self, stopping->told[--stopping->count].pid);
    }
    if (!stopping->is_waiting) {
        give_up_main(keeper);
        atomic_store(&keeper->is_stopped, true);
        keeper->spec.over(keeper->spec.context);
    }
}

void th_keeper_stop_deinit(th_keeper *keeper, th_process *self)
{
    (void)self; /* its alarms end with it */
    keeper->stopping.told = th_free(keeper->stopping.told);
    keeper->stopping.count = 0;
}

void th_keeper_stop(th_keeper *keeper)
{
    atomic_store(&keeper->stop, true);
    th_kernel_poke(keeper->spec.kernel, keeper->pid);
}
