#include "svc/keeper.h"

#include "base/log.h"
#include "base/mem.h"
#include "svc/keeper_parts.h"

#include <stdio.h>

/* --- Starting ----------------------------------------------------------------------- */

/* What a life says of its next start; its references are held until deinit. */
typedef struct start_spec {
    th_spawn spawn;
    th_blob *args;
    th_on_exit *on_exit;
    th_caps *caps;
    th_buf name;
} start_spec;

/* Under the lock. */
static void fill(start_spec *out, th_life *life, const th_keeper *keeper)
{
    th_slice id = th_buf_slice(&life->id);

    *out = (start_spec){.args = th_blob_ref(life->args),
                        .on_exit = th_on_exit_ref(life->on_exit),
                        .caps = th_caps_ref(life->caps)};
    th_buf_put(&out->name, id.at, th_slice_find(id, ':'));
    out->spawn = (th_spawn){.entry = life->entry,
                            .host = life->host == NULL ? keeper->spec.host : life->host,
                            .name = th_buf_slice(&out->name),
                            .args = th_blob_slice(out->args),
                            .is_public = life->is_public,
                            .is_again = true,
                            .is_held = true,
                            .on_exit = out->on_exit,
                            .caps = out->caps};
}

static void deinit(start_spec *spec)
{
    th_blob_unref(spec->args);
    th_on_exit_unref(spec->on_exit);
    th_caps_unref(spec->caps);
    th_buf_deinit(&spec->name);
}

static bool is_main(const th_keeper *keeper, const th_life *life)
{
    return keeper->main_id.bytes > 0 &&
           th_slice_eq(th_buf_slice(&keeper->main_id), th_buf_slice(&life->id));
}

/*
 * Spawn the next life, held. Unlocks meanwhile, and the caller sees by the phase
 * whether it was killed.
 */
static th_err spawn(th_keeper *keeper, th_life *life, bool is_gone, th_pid *pid,
                    th_buf *why)
{
    start_spec spec;
    th_ident ident;
    th_err err;

    fill(&spec, life, keeper);
    spec.spawn.is_gone = is_gone;
    th_lives_unlock(keeper->spec.lives);
    err = spec.name.failed
              ? TH_QUOTA
              : th_kernel_spawn(keeper->spec.kernel, &spec.spawn, &ident, why);
    if (err == TH_OK) {
        *pid = ident.pid;
        th_blob_unref(ident.name);
    }
    deinit(&spec);
    th_lives_lock(keeper->spec.lives);
    return err;
}

static void set_alarm(th_keeper *keeper, th_process *self, th_life *life)
{
    life->phase = TH_LIFE_WAITS;
    if (life->alarm == NULL &&
        th_alarm_set(self, life->due, life, &life->alarm) != TH_OK) {
        life->alarm = NULL;
        th_fault(TH_NOMEM, "a process is not started again in this boot");
    }
    (void)keeper;
}

/* At boot it is as if its code were missing; afterwards it tries again, ever later. */
static void could_not_start(th_keeper *keeper, th_process *self, th_life *life,
                            th_err err, const char *why)
{
    uint32_t delay_ms;

    th_log(ERROR, keeper->is_up ? "life.not_started" : "life.set_aside",
           "process=%.*s why=\"%s\"", TH_FMT(th_buf_slice(&life->id)),
           why[0] == '\0' ? th_reason_of(err)->text : why);
    if (err == TH_STOPPING) {
        life->phase = TH_LIFE_ASIDE;
        return;
    }
    if (!keeper->is_up && err != TH_QUOTA) {
        life->phase = TH_LIFE_ASIDE;
        return;
    }
    delay_ms = th_backoff_next(&life->backoff, 0);
    if (delay_ms == 0) {
        delay_ms = th_backoff_next(&life->backoff, 0);
    }
    life->due = (th_mono){th_process_now(self).ns + (int64_t)delay_ms * TH_MS};
    set_alarm(keeper, self, life);
}

static void start_life(th_keeper *keeper, th_process *self, th_life *life)
{
    th_auto_buf why = TH_BUF_INIT;
    th_pid pid = TH_PID_NONE;
    th_err err;

    life->phase = TH_LIFE_STARTS;
    err = spawn(keeper, life, false, &pid, &why);
    if (life->phase == TH_LIFE_STARTS && err == TH_OK) {
        life->phase = TH_LIFE_RUNS;
        life->pid = pid;
        if (is_main(keeper, life)) {
            atomic_store(&keeper->main_pid, pid.bits);
        }
        if (keeper->is_up) {
            (void)th_kernel_launch(keeper->spec.kernel, pid);
        } else {
            th_list_push(&keeper->started, &life->todo);
        }
    } else if (life->phase == TH_LIFE_STARTS) {
        could_not_start(keeper, self, life, err, th_buf_text(&why));
    } else if (err == TH_OK) { /* killed meanwhile */
        (void)th_kernel_kill(keeper->spec.kernel, pid,
                             TH_SLICE("terminated by its owner"));
    }
}

/* Its requests, in its name: a process that never runs is ended (kernel/life.c). */
static void fire(th_keeper *keeper, th_process *self, th_life *life)
{
    th_auto_buf why = TH_BUF_INIT;
    th_pid pid = TH_PID_NONE;
    th_err err = spawn(keeper, life, true, &pid, &why);

    if (err == TH_OK) {
        life->pid = pid;
        (void)th_kernel_kill(keeper->spec.kernel, pid,
                             TH_SLICE("it ended when the node did"));
    } else {
        could_not_start(keeper, self, life, err, th_buf_text(&why));
        life->phase = TH_LIFE_ASIDE; /* the next boot sends them */
    }
}

/* --- What the lives want --------------------------------------------------------------- */

/* Under the lock. */
static void look_at(th_keeper *keeper, th_process *self, th_life *life)
{
    switch (life->phase) {
    case TH_LIFE_DUE:
        if (atomic_load(&keeper->stop)) {
            break; /* its record stays as it is */
        }
        if (life->due.ns > th_process_now(self).ns) {
            set_alarm(keeper, self, life);
        } else {
            start_life(keeper, self, life);
        }
        break;
    case TH_LIFE_FIRES:
        if (!keeper->is_up) {
            th_list_push(&keeper->later, &life->todo);
        } else if (th_pid_is_none(life->pid) && !atomic_load(&keeper->stop)) {
            fire(keeper, self, life);
        }
        break;
    case TH_LIFE_GONE:
        if (life->alarm != NULL) {
            th_alarm_drop(self, life->alarm);
            life->alarm = NULL;
        }
        th_lives_bury(keeper->spec.lives, life);
        break;
    case TH_LIFE_RUNS:
    case TH_LIFE_WAITS:
    case TH_LIFE_STARTS:
    case TH_LIFE_ASIDE:
        break;
    }
}

/* What is woken last runs first. */
static void launch_started(th_keeper *keeper)
{
    while (!th_list_is_empty(&keeper->started)) {
        th_life *life = th_container_of(keeper->started.prev, th_life, todo);

        th_list_remove(&life->todo);
        if (life->phase == TH_LIFE_RUNS) {
            (void)th_kernel_launch(keeper->spec.kernel, life->pid);
        }
    }
}

static void look_at_all(th_keeper *keeper, th_process *self)
{
    th_lives *lives = keeper->spec.lives;
    th_life *life;
    th_list *node;

    th_lives_lock(lives);
    while ((life = th_lives_next_todo(lives)) != NULL) {
        look_at(keeper, self, life);
    }
    if (!keeper->is_up) {
        keeper->is_up = true;
        launch_started(keeper);
        th_kernel_set_life(keeper->spec.kernel, TH_LIFE_RUNNING);
        while ((node = th_list_pop(&keeper->later)) != NULL) {
            look_at(keeper, self, th_container_of(node, th_life, todo));
        }
        keeper->spec.over(keeper->spec.context);
    }
    th_lives_unlock(lives);
}

static void alarm_fired(th_keeper *keeper, th_process *self, th_alarm *alarm)
{
    th_life *life = th_alarm_tag(alarm);

    if (th_alarm_tag(alarm) == keeper) {
        th_alarm_drop(self, alarm);
        keeper->spec.shutdown(keeper->spec.context);
        return;
    }
    if (life == NULL) { /* that of the stop: who waits sees the clock */
        keeper->stopping.alarm = NULL;
        th_alarm_drop(self, alarm);
        return;
    }
    th_lives_lock(keeper->spec.lives);
    life->alarm = NULL;
    if (life->phase == TH_LIFE_WAITS) {
        life->phase = TH_LIFE_DUE;
    }
    look_at(keeper, self, life);
    th_lives_unlock(keeper->spec.lives);
    th_alarm_drop(self, alarm);
}

/* --- The main process -------------------------------------------------------------------- */

void th_keeper_finish_main(th_keeper *keeper, th_err err, const th_exit *exit,
                           const char *why)
{
    if (keeper->spec.main == NULL || atomic_exchange(&keeper->is_settled, true)) {
        return; /* who says it first is right */
    }
    keeper->refused = err;
    keeper->exit = th_exit_ref((th_exit *)exit);
    th_buf_puts(&keeper->why, why);
    atomic_store(&keeper->is_over, true);
    keeper->spec.over(keeper->spec.context);
}

/* Does a life have its name already? Under the lock: then it is the main process. */
static bool adopt_main(th_keeper *keeper, bool *waits)
{
    th_life *life = th_lives_find(keeper->spec.lives, th_buf_slice(&keeper->main_id));

    if (life == NULL || life->phase == TH_LIFE_ASIDE) {
        return false;
    }
    *waits = life->phase == TH_LIFE_FIRES; /* until its name is free */
    if (!*waits) {
        atomic_store(&keeper->main_pid, life->pid.bits);
    }
    return true;
}

static void spawn_main(th_keeper *keeper, th_process *self)
{
    bool is_durable = keeper->main_id.bytes > 0;
    th_slice id = keeper->spec.main->id;
    th_spawn spawn = {.entry = keeper->spec.main,
                      .host = keeper->spec.host,
                      .args = keeper->spec.main_args,
                      .is_held = true};
    th_auto_buf why = TH_BUF_INIT;
    th_ident ident;
    th_err err;

    if (is_durable) {
        spawn.name = th_slice_from(id, th_slice_find(id, ':') + 1);
    }
    err = th_kernel_spawn(keeper->spec.kernel, &spawn, &ident, &why);
    if (err != TH_OK) {
        th_keeper_finish_main(keeper, err, NULL, th_buf_text(&why));
        return;
    }
    atomic_store(&keeper->main_pid, ident.pid.bits);
    if (is_durable) {
        err = th_keeper_save_main(keeper, self, ident.pid);
    }
    if (err != TH_OK) {
        th_keeper_undo_main(keeper, ident.pid, err);
    } else if (!is_durable) {
        (void)th_kernel_launch(keeper->spec.kernel, ident.pid);
    }
    th_blob_unref(ident.name);
}

static void start_main(th_keeper *keeper, th_process *self)
{
    bool waits = false;
    bool is_there = false;

    if (keeper->main_id.bytes > 0) {
        th_lives_lock(keeper->spec.lives);
        is_there = adopt_main(keeper, &waits);
        th_lives_unlock(keeper->spec.lives);
    }
    if (waits) {
        return; /* its end pokes us */
    }
    keeper->main_began = true;
    if (!is_there) {
        spawn_main(keeper, self);
    }
}

/* --- The process ------------------------------------------------------------------------- */

static th_err begin(th_process *self, void *context, void **state, th_buf *why)
{
    (void)self;
    (void)why;
    *state = context;
    return TH_OK;
}

static void woken(th_process *self, void *state)
{
    th_keeper *keeper = state;

    look_at_all(keeper, self);
    if (!keeper->main_began && !atomic_load(&keeper->stop)) {
        start_main(keeper, self);
    }
    th_keeper_stop_some(keeper, self);
}

static void deliver(th_process *self, void *state, const th_delivery *what)
{
    th_keeper *keeper = state;

    switch (what->type) {
    case TH_ITEM_MSG:
        th_keeper_command(keeper, self, what->msg);
        break;
    case TH_ITEM_TIMER:
        alarm_fired(keeper, self, what->alarm);
        break;
    case TH_ITEM_JOB:
        th_keeper_did_job(keeper, self, what->job);
        break;
    case TH_ITEM_EVENT:
        if (what->event->kind == TH_EVENT_EXIT) {
            th_keeper_did_exit(keeper, self, what->event->from.pid);
        }
        break;
    case TH_ITEM_ANSWER:
    case TH_ITEM_REQUEST:
    case TH_ITEM_TIE:
    case TH_ITEM_CANCEL:
    case TH_ITEM_REPLY:
        th_native_discard(self, what);
        break;
    }
    th_keeper_stop_some(keeper, self);
}

/* Without it nothing is kept alive, so the node ends as well. */
static void drop(th_process *self, void *state)
{
    const th_native *program = th_process_ident(self)->entry->program;
    th_keeper *keeper = program->context;

    (void)state; /* it may end before it began */
    th_lives_set_keeper(keeper->spec.lives, NULL, NULL);
    th_keeper_stop_deinit(keeper, self);
    th_keeper_do_deinit(keeper);
    if (!atomic_load(&keeper->is_stopped)) {
        th_log(ERROR, "keeper.killed", "why=\"nothing is kept alive any more\"");
        th_keeper_finish_main(keeper, TH_KILLED, NULL,
                              "the process that watches it (kernel:distro:sys) was "
                              "killed");
        keeper->spec.shutdown(keeper->spec.context);
    }
    atomic_store(&keeper->is_stopped, true);
    keeper->spec.over(keeper->spec.context);
}

/* The name is free, and the record is gone or says what is next. */
static void note_main(th_keeper *keeper, const th_ended *what)
{
    th_life_act act = what->life->act;

    if (atomic_load(&keeper->main_pid) != what->who->pid.bits) {
        return;
    }
    if (act != TH_LIFE_RESTART && act != TH_LIFE_FIRE_LATER) {
        th_keeper_finish_main(keeper,
                              what->exit == NULL ? TH_FAILED : what->exit->reason,
                              what->exit, "");
    }
    atomic_store(&keeper->main_pid, 0);
}

void th_keeper_ended(th_keeper *keeper, const th_ended *what)
{
    th_lives_ended(keeper->spec.lives, what);
    if (keeper->spec.main == NULL) {
        return;
    }
    note_main(keeper, what);
    if (what->who->entry == keeper->spec.main && what->who->name != NULL) {
        th_kernel_poke(keeper->spec.kernel, keeper->pid); /* it may wait for the name */
    }
}

/* --- The whole ----------------------------------------------------------------------------- */

/* A process that comes again has the name of its entry. */
static void put_main_id(th_keeper *keeper)
{
    const th_entry *main = keeper->spec.main;
    th_slice id = main == NULL ? TH_SLICE("") : main->id;

    if (main == NULL || th_on_exit_kind_of(main->on_exit) == TH_ON_EXIT_NONE) {
        return;
    }
    th_buf_putf(&keeper->main_id, "%.*s:%.*s:%.*s",
                TH_FMT(th_slice_from(id, th_slice_find(id, ':') + 1)),
                TH_FMT(main->package), TH_FMT(main->publisher));
}

th_err th_keeper_new(th_keeper **out, const th_keeper_spec *spec)
{
    th_auto(th_keeper) keeper = th_calloc(1, sizeof *keeper);

    if (keeper == NULL) {
        return TH_NOMEM;
    }
    keeper->spec = *spec;
    th_list_init(&keeper->later);
    th_list_init(&keeper->started);
    th_list_init(&keeper->kills);
    keeper->main_began = spec->main == NULL;
    keeper->program = (th_native){.init = begin,
                                  .deliver = deliver,
                                  .woken = woken,
                                  .drop = drop,
                                  .context = keeper};
    keeper->entry = (th_entry){.id = TH_SLICE("system:kernel"),
                               .is_open = true,
                               .package = TH_SLICE("distro"),
                               .publisher = TH_SLICE("sys"),
                               .limits = th_limits_default,
                               .guest = &th_guest_native,
                               .program = &keeper->program};
    keeper->entry.limits.timers_max = UINT32_MAX; /* one for each that backs off */
    put_main_id(keeper);
    if (keeper->main_id.failed) {
        return TH_NOMEM;
    }
    *out = th_take(&keeper);
    return TH_OK;
}

th_keeper *th_keeper_free(th_keeper *keeper)
{
    if (keeper == NULL) {
        return NULL;
    }
    th_exit_unref(keeper->exit);
    th_buf_deinit(&keeper->main_id);
    th_buf_deinit(&keeper->why);
    return th_free(keeper);
}

static void poke(void *context)
{
    th_keeper *keeper = context;

    th_kernel_poke(keeper->spec.kernel, keeper->pid);
}

th_err th_keeper_start(th_keeper *keeper, th_buf *why)
{
    th_spawn spawn = {.entry = &keeper->entry,
                      .host = keeper->spec.host,
                      .name = TH_SLICE("kernel"),
                      .is_held = true};
    th_ident ident;
    th_err err;

    th_kernel_set_life(keeper->spec.kernel, TH_LIFE_BOOTING);
    err = th_kernel_spawn(keeper->spec.kernel, &spawn, &ident, why);
    if (err != TH_OK) {
        return err;
    }
    keeper->pid = ident.pid;
    th_blob_unref(ident.name);
    th_lives_set_keeper(keeper->spec.lives, poke, keeper);
    return th_kernel_launch(keeper->spec.kernel, keeper->pid);
}

bool th_keeper_is_up(const th_keeper *keeper)
{
    return atomic_load(&keeper->is_up) || atomic_load(&keeper->is_stopped);
}

bool th_keeper_is_over(const th_keeper *keeper)
{
    return atomic_load(&keeper->is_over);
}

bool th_keeper_is_stopped(const th_keeper *keeper)
{
    return atomic_load(&keeper->is_stopped);
}

th_err th_keeper_outcome(const th_keeper *keeper, th_end *end, th_buf *text)
{
    th_slice error = keeper->exit == NULL || th_buf_slice(&keeper->why).bytes > 0
                         ? th_buf_slice(&keeper->why)
                         : th_exit_error(keeper->exit);

    th_assert(th_keeper_is_over(keeper));
    *end = keeper->exit == NULL ? TH_END_CRASH : keeper->exit->end;
    if (error.bytes == 0 && keeper->refused != TH_OK) {
        error = th_slice_str(th_reason_of(keeper->refused)->text);
    }
    th_buf_put(text, error.at, error.bytes);
    return keeper->refused;
}
