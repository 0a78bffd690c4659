#include "svc/lives.h"

#include "base/mem.h"
#include "svc/lives_parts.h"

/* --- Finding ------------------------------------------------------------------------ */

void th_lives_lock(th_lives *lives)
{
    pthread_mutex_lock(&lives->lock);
}

void th_lives_unlock(th_lives *lives)
{
    pthread_mutex_unlock(&lives->lock);
}

void th_lives_put_id(th_kernel *kernel, const th_ident *who, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_address address;

    th_kernel_address(kernel, who, &address, unique);
    th_buf_putf(out, "%.*s:%.*s:%.*s", TH_FMT(address.process), TH_FMT(address.package),
                TH_FMT(address.publisher));
}

static th_list *bucket_of(th_lives *lives, th_slice id)
{
    return &lives->buckets[th_slice_hash(id, lives->seed) % LIVES_BUCKETS];
}

th_life *th_lives_find(th_lives *lives, th_slice id)
{
    TH_LIST_EACH(node, bucket_of(lives, id))
    {
        th_life *life = th_container_of(node, th_life, link);

        if (th_slice_eq(th_buf_slice(&life->id), id)) {
            return life;
        }
    }
    return NULL;
}

/* --- One life ------------------------------------------------------------------------- */

static void free_life(th_life *life)
{
    th_list_remove(&life->link);
    th_list_remove(&life->todo);
    th_life_doc_deinit(&life->doc);
    th_blob_unref(life->args);
    th_on_exit_unref(life->on_exit);
    th_lives_hold(life->lives, life, NULL);
    th_buf_deinit(&life->id);
    th_free(life);
}

th_life *th_lives_make(th_lives *lives, th_slice id)
{
    th_life *life = th_calloc(1, sizeof *life);

    if (life == NULL) {
        return NULL;
    }
    life->lives = lives;
    th_list_init(&life->todo);
    th_list_init(&life->waiters);
    th_buf_put(&life->id, id.at, id.bytes);
    life->order = ++lives->order;
    th_list_push(bucket_of(lives, id), &life->link);
    if (life->id.failed) {
        free_life(life);
        return NULL;
    }
    return life;
}

void th_lives_want(th_lives *lives, th_life *life)
{
    th_list_remove(&life->todo);
    th_list_init(&life->todo);
    th_list_push(&lives->todo, &life->todo);
    if (lives->poke != NULL) {
        lives->poke(lives->poke_context);
    }
}

th_life *th_lives_next_todo(th_lives *lives)
{
    th_list *node = th_list_pop(&lives->todo);

    if (node == NULL) {
        return NULL;
    }
    th_list_init(node);
    return th_container_of(node, th_life, todo);
}

void th_lives_bury(th_lives *lives, th_life *life)
{
    (void)lives;
    if (life->phase == TH_LIFE_GONE && life->is_removed && life->alarm == NULL) {
        free_life(life);
    }
}

/* --- Writing ---------------------------------------------------------------------------- */

/* What one job of the store needs, beside the life itself. */
typedef struct write_job {
    th_store_job job;
    th_lives *lives;
    th_saving *saving; /* who waits, or NULL */
    th_buf key, value;
} write_job;

static void free_write(write_job *write)
{
    th_buf_deinit(&write->key);
    th_buf_deinit(&write->value);
    th_buf_deinit(&write->job.value);
    th_free(write);
}

static void did_write(th_store_job *job)
{
    write_job *write = th_container_of(job, write_job, job);
    th_saving *saving = write->saving;

    if (saving != NULL) {
        saving->err = job->err;
        if (job->one.verb == TH_STORE_GET && job->err == TH_OK) {
            saving->loaded = job->value;
            job->value = TH_BUF_INIT;
        }
        th_kernel_saved(write->lives->kernel, saving);
    }
    free_write(write);
}

static write_job *make_write(th_lives *lives, th_slice key, th_saving *saving)
{
    write_job *write = th_calloc(1, sizeof *write);

    if (write == NULL) {
        return NULL;
    }
    *write = (write_job){.job = {.count = 1, .done = did_write},
                         .lives = lives,
                         .saving = saving};
    th_buf_put(&write->key, key.at, key.bytes);
    if (write->key.failed) {
        free_write(write);
        return NULL;
    }
    write->job.one.key = th_buf_slice(&write->key);
    return write;
}

/* Takes @write. */
static th_err submit(th_lives *lives, write_job *write)
{
    th_err err = th_store_submit(lives->store, &write->job);

    if (err != TH_OK) {
        free_write(write);
    }
    return err;
}

th_err th_lives_write(th_lives *lives, th_life *life, th_saving *saving)
{
    write_job *write = make_write(lives, th_buf_slice(&life->id), saving);
    bool is_read = life->doc.json != NULL; /* and not more than that */
    th_life_parts parts = {.entry = is_read ? life->doc.entry : life->entry->id,
                           .host = is_read ? life->doc.host : life->host->id,
                           .args = th_blob_slice(life->args),
                           .is_public = life->is_public,
                           .on_exit = life->on_exit,
                           .caps = life->caps,
                           .restarts = life->restarts,
                           .backoff = life->backoff,
                           .order = life->order,
                           .state = TH_LIFE_ALIVE};

    if (write == NULL) {
        return TH_QUOTA;
    }
    parts.state = is_read ? life->doc.state
                  : life->phase == TH_LIFE_DUE || life->phase == TH_LIFE_WAITS
                      ? TH_LIFE_BACKING_OFF
                  : life->phase == TH_LIFE_FIRES ? TH_LIFE_FIRING
                                                 : TH_LIFE_ALIVE;
    th_life_record_encode(&write->value, &parts);
    if (write->value.failed) {
        free_write(write);
        return TH_QUOTA;
    }
    write->job.one.verb = TH_STORE_PUT;
    write->job.one.table = TH_STORE_PROCESS;
    write->job.one.value = th_buf_slice(&write->value);
    return submit(lives, write);
}

static void did_remove(th_store_job *job)
{
    th_life *life = th_container_of(job, th_life, removal);
    th_lives *lives = life->lives;
    th_err err = job->err;
    th_list waiters, *node;

    th_list_init(&waiters);
    th_lives_lock(lives);
    th_list_move(&waiters, &life->waiters);
    life->is_removed = true;
    th_lives_bury(lives, life);
    th_lives_unlock(lives);
    while ((node = th_list_pop(&waiters)) != NULL) {
        th_lives_waiter *waiter = th_container_of(node, th_lives_waiter, link);

        waiter->done(waiter, err);
    }
}

void th_lives_remove(th_lives *lives, th_life *life)
{
    th_list_remove(&life->link);
    th_list_push(&lives->gone, &life->link);
    life->phase = TH_LIFE_GONE;
    life->pid = TH_PID_NONE;
    th_lives_hold(lives, life, NULL);
    life->removal = (th_store_job){.count = 1,
                                   .one = {.verb = TH_STORE_REMOVE,
                                           .table = TH_STORE_PROCESS,
                                           .key = th_buf_slice(&life->id)},
                                   .done = did_remove};
    if (life->alarm != NULL) {
        th_lives_want(lives, life);
    }
    if (th_store_submit(lives->store, &life->removal) != TH_OK) {
        th_fault(TH_NOMEM, "the record of a process that is over could not be removed");
        life->is_removed = true; /* its waiters are told when the lives are freed */
    }
}

/* --- What the kernel says --------------------------------------------------------------- */

/* A copy of what the kernel knows of it. */
static void take_over(th_life *life, const th_saving *saving)
{
    th_on_exit_unref(life->on_exit);
    th_blob_unref(life->args);
    life->on_exit = th_on_exit_ref(saving->on_exit);
    th_lives_hold(life->lives, life, th_caps_ref(saving->caps));
    life->args = th_blob_ref(saving->args);
    life->entry = saving->entry;
    life->host = saving->host;
    life->is_public = saving->is_public;
    life->phase = TH_LIFE_RUNS;
    life->pid = saving->pid;
    th_life_doc_deinit(&life->doc);
}

/* It is to survive no longer: the record goes, and @saving is told after that. */
static th_err save_none(th_lives *lives, th_life *life, th_saving *saving)
{
    write_job *write = make_write(lives, th_buf_slice(&saving->id), saving);

    if (write == NULL) {
        return TH_QUOTA;
    }
    write->job.one.verb = TH_STORE_REMOVE;
    write->job.one.table = TH_STORE_PROCESS;
    if (life != NULL) {
        th_lives_remove(lives, life);
    }
    return submit(lives, write);
}

static th_err save_life(th_lives *lives, th_saving *saving)
{
    th_life *life = th_lives_find(lives, th_buf_slice(&saving->id));
    bool is_fresh = life == NULL;
    th_err err;

    if (!th_kernel_is_alive(lives->kernel, saving->pid)) {
        return TH_DIED; /* perhaps its name has a newer life */
    }
    if (th_on_exit_kind_of(saving->on_exit) == TH_ON_EXIT_NONE) {
        return save_none(lives, life, saving);
    }
    if (is_fresh) {
        life = th_lives_make(lives, th_buf_slice(&saving->id));
        if (life == NULL) {
            return TH_QUOTA;
        }
    } else if (!th_pid_eq(life->pid, saving->pid)) {
        life->backoff = (th_backoff){0}; /* the one before ended, or was set aside */
        life->restarts = 0;
        life->is_killed = false;
        life->keeps_issued = false;
    }
    take_over(life, saving);
    err = th_lives_write(lives, life, saving); /* from here on it may be freed */
    if (err != TH_OK && is_fresh) {
        free_life(life);
    }
    if (err == TH_OK && !th_kernel_is_alive(lives->kernel, life->pid)) {
        th_lives_remove(lives, life); /* it ended meanwhile; nobody else says so */
    }
    return err;
}

static th_err save_state(th_lives *lives, th_saving *saving)
{
    write_job *write = make_write(lives, th_buf_slice(&saving->id), saving);

    if (write == NULL) {
        return TH_QUOTA;
    }
    write->job.one.table = TH_STORE_STATE;
    write->job.one.verb = saving->what == TH_SAVE_STATE   ? TH_STORE_PUT
                          : saving->what == TH_LOAD_STATE ? TH_STORE_GET
                                                          : TH_STORE_REMOVE;
    if (saving->what == TH_SAVE_STATE) {
        write->job.one.value = th_blob_slice(saving->value);
    }
    return submit(lives, write);
}

th_err th_lives_save(th_lives *lives, th_saving *saving)
{
    th_err err;

    if (saving->what != TH_SAVE_LIFE) {
        return save_state(lives, saving);
    }
    th_lives_lock(lives);
    err = save_life(lives, saving);
    th_lives_unlock(lives);
    return err;
}

/* With a name that the node made it never comes again, and so nobody reads its state. */
static void drop_state(th_lives *lives, const th_ident *who)
{
    th_auto_buf id = TH_BUF_INIT;
    write_job *write;

    th_lives_put_id(lives->kernel, who, &id);
    write = id.failed ? NULL : make_write(lives, th_buf_slice(&id), NULL);
    if (write != NULL) {
        write->job.one.verb = TH_STORE_REMOVE;
        write->job.one.table = TH_STORE_STATE;
        (void)submit(lives, write); /* else the next boot does it */
    }
}

static void come_again(th_lives *lives, th_life *life, const th_ended *what,
                       th_life_phase phase)
{
    th_world *world = th_kernel_world(lives->kernel);
    int64_t ran_ns = th_world_wall(world).ns - what->started.ns;

    th_on_exit_unref(life->on_exit);
    life->on_exit = th_on_exit_ref(what->on_exit);
    th_lives_hold(lives, life, th_caps_ref(what->caps));
    life->is_public = what->is_public;
    life->phase = phase;
    life->pid = TH_PID_NONE;
    if (phase == TH_LIFE_DUE) {
        uint32_t delay_ms =
            th_backoff_next(&life->backoff,
                            ran_ns < 0 ? 0 : (uint64_t)(ran_ns / TH_MS));

        life->restarts++;
        life->due = (th_mono){th_world_mono(world).ns + (int64_t)delay_ms * TH_MS};
    }
    if (th_lives_write(lives, life, NULL) != TH_OK) {
        th_fault(TH_NOMEM, "the record of a process says less than there is");
    }
    th_lives_want(lives, life);
}

/* Under the lock. True: the kernel awaits its name, and is to forget it. */
static bool note_end(th_lives *lives, th_life *life, const th_ended *what)
{
    switch (what->life->act) {
    case TH_LIFE_FORGET:
    case TH_LIFE_FIRE:
        th_lives_remove(lives, life);
        return false;
    case TH_LIFE_RESTART:
        if (life->is_killed) {
            th_lives_remove(lives, life);
            return true;
        }
        come_again(lives, life, what, TH_LIFE_DUE);
        return false;
    case TH_LIFE_FIRE_LATER:
        come_again(lives, life, what, TH_LIFE_FIRES);
        return false;
    case TH_LIFE_KEEP:
        break;
    }
    return false;
}

/* What it issued is void, also when its name comes back in this boot. */
static void scrub(th_lives *lives)
{
    if (th_lives_scrub(lives, NULL) != TH_OK) {
        th_fault(TH_NOMEM, "records name capabilities that are void");
    }
}

static void forget(th_lives *lives, th_slice id, bool keeps_issued)
{
    if (keeps_issued) {
        th_kernel_release(lives->kernel, id);
    } else {
        th_kernel_forget(lives->kernel, id);
    }
}

void th_lives_ended(th_lives *lives, const th_ended *what)
{
    th_auto_buf id = TH_BUF_INIT;
    bool forgets = false, keeps_issued = false, is_named;
    th_life *life;

    if (what->who->name == NULL) {
        if (what->has_saved) {
            drop_state(lives, what->who);
        }
        return;
    }
    th_lives_put_id(lives->kernel, what->who, &id);
    if (id.failed) {
        th_fault(TH_NOMEM, "the end of a process is not in its record");
        return;
    }
    th_lives_lock(lives);
    life = th_lives_find(lives, th_buf_slice(&id));
    if (life != NULL && life->phase != TH_LIFE_ASIDE &&
        (th_pid_eq(life->pid, what->who->pid) || th_pid_is_none(life->pid))) {
        keeps_issued = life->keeps_issued;
        forgets = note_end(lives, life, what);
    }
    is_named =
        (what->life->revokes || forgets) && th_lives_may_name(lives, th_buf_slice(&id));
    th_lives_unlock(lives);
    if (forgets) {
        forget(lives, th_buf_slice(&id), keeps_issued);
    }
    if (is_named) {
        scrub(lives);
    }
}

/* --- Those who look, or kill ---------------------------------------------------------------- */

/* Under the lock. True: it does not run, and its name is to be forgotten. */
static bool kill_life(th_lives *lives, th_life *life, bool keeps_issued)
{
    bool fires = th_on_exit_kind_of(life->on_exit) == TH_ON_EXIT_REQUESTS;

    life->is_killed = true;
    life->keeps_issued = keeps_issued;
    switch (life->phase) {
    case TH_LIFE_RUNS:
        if (keeps_issued) {
            th_kernel_keep_issued(lives->kernel, life->pid);
        }
        (void)th_kernel_kill(lives->kernel, life->pid,
                             TH_SLICE("terminated by its owner"));
        return false;
    case TH_LIFE_DUE:
    case TH_LIFE_WAITS:
    case TH_LIFE_STARTS: /* the keeper sees that it is gone */
    case TH_LIFE_ASIDE:
        th_lives_remove(lives, life);
        return true;
    case TH_LIFE_FIRES:
    case TH_LIFE_GONE:
        th_assert(fires || life->phase == TH_LIFE_GONE);
        break;
    }
    return false;
}

th_err th_lives_kill(th_lives *lives, th_slice id, th_lives_waiter *waiter)
{
    bool keeps_issued = waiter->keeps_issued; /* it may be gone soon */
    bool forgets = false, is_named;
    th_life *life;

    th_lives_lock(lives);
    life = th_lives_find(lives, id);
    if (life != NULL) {
        th_list_push(&life->waiters, &waiter->link);
        forgets = kill_life(lives, life, keeps_issued);
    }
    is_named = forgets && th_lives_may_name(lives, id);
    th_lives_unlock(lives);
    if (forgets) {
        forget(lives, id, keeps_issued);
    }
    if (is_named) {
        scrub(lives);
    }
    return life == NULL ? TH_NOT_FOUND : TH_OK;
}

/* Under the lock. For the owner, who is not in a hurry. */
static th_life *find_pid(th_lives *lives, th_pid pid)
{
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            th_life *life = th_container_of(node, th_life, link);

            if (th_pid_eq(life->pid, pid)) {
                return life;
            }
        }
    }
    return NULL;
}

th_err th_lives_kill_pid(th_lives *lives, th_pid pid, th_lives_waiter *waiter)
{
    th_life *life;

    th_lives_lock(lives);
    life = find_pid(lives, pid);
    if (life != NULL) {
        th_list_push(&life->waiters, &waiter->link);
        (void)kill_life(lives, life,
                        waiter->keeps_issued); /* it runs: there is no name to forget */
    }
    th_lives_unlock(lives);
    return life == NULL ? TH_NOT_FOUND : TH_OK;
}

static void show(const th_life *life, th_lives_visit *visit, void *context)
{
    th_world *world = th_kernel_world(life->lives->kernel);
    int64_t left_ns = life->due.ns - th_world_mono(world).ns;
    th_life_info info = {.id = th_buf_slice(&life->id),
                         .entry = life->entry,
                         .host = life->host,
                         .phase = life->phase,
                         .pid = life->pid,
                         .restarts = life->restarts,
                         .next_ms = left_ns < 0 ? 0 : (uint64_t)(left_ns / TH_MS),
                         .on_exit = life->on_exit};

    visit(context, &info);
}

void th_lives_each(th_lives *lives, th_lives_visit *visit, void *context)
{
    th_lives_lock(lives);
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        TH_LIST_EACH(node, &lives->buckets[i])
        {
            show(th_container_of(node, th_life, link), visit, context);
        }
    }
    th_lives_unlock(lives);
}

bool th_lives_has_pid(th_lives *lives, th_pid pid)
{
    bool has;

    th_lives_lock(lives);
    has = find_pid(lives, pid) != NULL;
    th_lives_unlock(lives);
    return has;
}

bool th_lives_look(th_lives *lives, th_slice id, th_lives_visit *visit, void *context)
{
    th_life *life;

    th_lives_lock(lives);
    life = th_lives_find(lives, id);
    if (life != NULL) {
        show(life, visit, context);
    }
    th_lives_unlock(lives);
    return life != NULL;
}

/* --- The whole -------------------------------------------------------------------------------- */

th_err th_lives_new(th_lives **out, th_kernel *kernel, th_store *store)
{
    th_lives *lives = th_calloc(1, sizeof *lives);

    if (lives == NULL) {
        return TH_NOMEM;
    }
    lives->kernel = kernel;
    lives->store = store;
    lives->seed = th_world_dice_u64(th_kernel_world(kernel));
    pthread_mutex_init(&lives->lock, NULL);
    th_list_init(&lives->todo);
    th_list_init(&lives->gone);
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        th_list_init(&lives->buckets[i]);
    }
    *out = lives;
    return TH_OK;
}

void th_lives_set_keeper(th_lives *lives, th_lives_poke *poke, void *context)
{
    th_lives_lock(lives);
    lives->poke = poke;
    lives->poke_context = context;
    th_lives_unlock(lives);
}

static void free_list(th_list *list)
{
    th_list *node;

    while (!th_list_is_empty(list)) {
        th_life *life = th_container_of(list->next, th_life, link);

        while ((node = th_list_pop(&life->waiters)) != NULL) {
            th_lives_waiter *waiter = th_container_of(node, th_lives_waiter, link);

            waiter->done(waiter, TH_STOPPING);
        }
        free_life(life);
    }
}

th_lives *th_lives_free(th_lives *lives)
{
    if (lives == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < LIVES_BUCKETS; i++) {
        free_list(&lives->buckets[i]);
    }
    free_list(&lives->gone);
    pthread_mutex_destroy(&lives->lock);
    return th_free(lives);
}
