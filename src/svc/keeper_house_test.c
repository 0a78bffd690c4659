#include "svc/keeper_house.h"

#include <stdio.h>

/* What the tests of the keeper share; see keeper_house.h. */

#define PATH "/node/state.sqlite"

static void see(house *house, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void see(house *house, const char *format, ...)
{
    size_t before = house->seen.bytes + (house->seen.bytes > 0);
    va_list args;

    th_buf_puts(&house->seen, house->seen.bytes > 0 ? " " : "");
    va_start(args, format);
    th_buf_putv(&house->seen, format, args);
    va_end(args);
    if (house->acked != NULL && !house->seen.failed) {
        house->acked(house, th_slice_from(th_buf_slice(&house->seen), before));
    }
}

/* --- Actors ----------------------------------------------------------------------- */

static house *here; /* one at a time */

void house_is(house *house)
{
    here = house;
}

static th_slice name_of(th_process *self)
{
    return th_blob_slice(th_process_ident(self)->name);
}

typedef struct acting {
    th_saving saving;
    char word[32]; /* that is said when it is done */
    th_pid child;  /* of a spawn */
} acting;

static void drop_acting(th_job *job)
{
    acting *act = th_container_of(th_container_of(job, th_saving, job), acting, saving);

    th_saving_deinit(&act->saving);
    th_free(act);
}

static acting *make_acting(const char *what, th_slice name)
{
    acting *act = th_calloc(1, sizeof *act);

    act->saving.job.dropped = drop_acting;
    snprintf(act->word, sizeof act->word, "%s:%.*s", what, TH_FMT(name));
    return act;
}

static th_on_exit *on_exit_of(th_slice text)
{
    th_blob *body = th_blob_new(TH_SLICE("bye"), th_slice_of(NULL, 0));
    th_on_exit_request request = {.target = TH_SLICE("listener:test:local"),
                                  .body = body};
    th_on_exit *on_exit = NULL;

    if (th_slice_is(text, "requests")) {
        T_EQ(th_on_exit_new(&on_exit, &request, 1), TH_OK);
    } else {
        on_exit = th_on_exit_plain(th_slice_is(text, "restart") ? TH_ON_EXIT_RESTART
                                                                : TH_ON_EXIT_NONE);
    }
    th_blob_unref(body);
    return on_exit;
}

static void do_spawn(th_process *self, th_puppet *puppet, th_slice text)
{
    th_slice name = th_slice_of(text.at, th_slice_find(text, ' '));
    acting *act = make_acting("spawned", name);
    th_spawn spec = {.entry = &puppet->entry,
                     .host = &here->stage.host,
                     .name = name,
                     .args = TH_SLICE("args"),
                     .on_exit = on_exit_of(th_slice_from(text, name.bytes + 1)),
                     .saving = &act->saving};
    th_auto_buf why = TH_BUF_INIT;
    th_ident child;
    bool saves = th_spawn_must_save(&spec);
    th_err err = th_process_spawn(self, &spec, &child, &why);

    if (err == TH_OK) {
        act->child = child.pid;
        th_blob_unref(child.name);
    } else {
        see(here, "refused:%.*s:%s", TH_FMT(name), th_reason_of(err)->name);
    }
    if (err != TH_OK || !saves) {
        drop_acting(&act->saving.job);
    }
    th_on_exit_unref(spec.on_exit);
}

static void do_state(th_process *self, th_slice text)
{
    acting *act = make_acting("saved", text);

    act->saving.what = TH_SAVE_STATE;
    act->saving.value = th_blob_new(text, th_slice_of(NULL, 0));
    T_EQ(th_process_save(self, &act->saving), TH_OK);
}

static void do_load(th_process *self)
{
    acting *act = make_acting("loaded", TH_SLICE(""));

    act->saving.what = TH_LOAD_STATE;
    T_EQ(th_process_save(self, &act->saving), TH_OK);
}

static void did_job(th_process *self, th_job *job)
{
    acting *act = th_container_of(th_container_of(job, th_saving, job), acting, saving);

    if (act->saving.what == TH_SAVE_LIFE) {
        (void)th_process_spawned(self, act->child, &act->saving);
    }
    if (act->saving.err == TH_OK) {
        see(here, "%s%.*s", act->word, TH_FMT(th_buf_slice(&act->saving.loaded)));
    } else {
        see(here, "failed:%s", act->word);
    }
    drop_acting(job);
}

static th_run end_as(th_process *self, th_end how)
{
    th_process_end(self, th_exit_new(how, how == TH_END_RETURN ? TH_OK : TH_FAILED,
                                     TH_SLICE("so it was told"), TH_FORMAT_BYTES,
                                     TH_SLICE("")));
    return TH_RUN_ENDED;
}

static th_run take(th_process *self, th_msg *msg)
{
    th_slice body = th_msg_body(msg);
    th_run then = TH_RUN_BLOCKED;

    if (th_slice_is(body, "return")) {
        then = end_as(self, TH_END_RETURN);
    } else if (th_slice_is(body, "crash")) {
        then = end_as(self, TH_END_CRASH);
    } else if (th_slice_starts(body, "spawn ")) {
        do_spawn(self, &here->actor, th_slice_from(body, 6));
    } else if (th_slice_starts(body, "state ")) {
        do_state(self, th_slice_from(body, 6));
    } else if (th_slice_starts(body, "main ")) {
        do_spawn(self, &here->main_actor, th_slice_from(body, 5));
    } else if (th_slice_is(body, "load")) {
        see(here, "args:%.*s", TH_FMT(th_process_args(self)));
        do_load(self);
    } else if (th_slice_is(body, "hear")) {
        th_process_set_hears_stop(self, true);
    } else if (th_slice_is(body, "deaf")) {
        th_process_set_hears_stop(self, true);
        th_process_set_link_events(self, true); /* stands for: does not heed it */
    } else {
        see(here, "got:%.*s:%.*s", TH_FMT(body),
            TH_FMT(th_blob_slice(msg->source.name)));
    }
    th_msg_unref(msg);
    return then;
}

static th_run acts(th_process *self, th_puppet *puppet)
{
    th_delivery what;
    th_run then = TH_RUN_BLOCKED;

    if (th_process_state(self) == puppet) { /* its first slice */
        th_process_set_state(self, here);
        if (puppet != &here->listener && puppet != &here->boss) {
            see(here, "start:%.*s", TH_FMT(name_of(self)));
        }
    }
    while (then == TH_RUN_BLOCKED && th_process_next(self, &what)) {
        if (what.type == TH_ITEM_MSG) {
            then = take(self, what.msg);
        } else if (what.type == TH_ITEM_JOB) {
            did_job(self, what.job);
        } else if (what.type == TH_ITEM_REPLY) {
            const th_msg *answer = th_request_response(what.request);

            see(here, "answer:%.*s",
                answer == NULL ? 4 : (int)th_msg_body(answer).bytes,
                answer == NULL ? "none" : th_msg_body(answer).at);
            th_request_free(self, what.request);
        } else if (what.type == TH_ITEM_EVENT && what.event->kind == TH_EVENT_CANCEL) {
            see(here, "told:%.*s", TH_FMT(name_of(self)));
            if (!th_process_has_link_events(self)) {
                then = end_as(self, TH_END_RETURN);
            }
        }
    }
    return then;
}

/* --- The house -------------------------------------------------------------------- */

static void ended(void *context, const th_ended *what)
{
    house *house = context;

    if (house->keeper != NULL) {
        th_keeper_ended(house->keeper, what);
    } else {
        th_lives_ended(house->lives, what);
    }
}

static th_err save(void *context, th_saving *saving)
{
    house *house = context;

    return th_lives_save(house->lives, saving);
}

static void over(void *context)
{
    house *house = context;

    house->overs++;
}

static void asked_to_stop(void *context)
{
    house *house = context;

    house->shutdowns++;
}

static void cast(house *house, th_puppet *puppet, const char *id)
{
    th_puppet_cast(&house->stage, puppet, id, acts);
    puppet->entry.package_number = 1;
    puppet->entry.file = TH_SLICE("actor.lua");
}

static void cast_all(house *house)
{
    if (!house->lacks_actor) {
        cast(house, &house->actor, "test:actor");
    }
    cast(house, &house->boss, "test:boss");
    house->boss.entry.file = TH_SLICE("");
    house->boss.entry.package_number = 0;
    cast(house, &house->listener, "test:listener");
    house->listener.entry.file = TH_SLICE("");
    house->listener.entry.is_public = true;
    cast(house, &house->main_actor, "test:main");
    house->main_actor.entry.file = TH_SLICE("main.lua");
    house->main_actor.entry.on_exit = (th_on_exit *)house->main;
}

static void start_store(house *house)
{
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_world_folder_make(house->stage.world, "/node"), TH_OK);
    if (th_store_open(&house->store, house->stage.world, PATH, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    T_EQ(th_lives_new(&house->lives, house->stage.kernel, house->store), TH_OK);
    T_EQ(th_lives_read(house->lives, &house->notes), TH_OK);
    T_EQ(th_lives_settle(house->lives, NULL, NULL, &house->notes), TH_OK);
    T_EQ(th_store_start(house->store), TH_OK);
}

static th_pid spawn_as(house *house, th_puppet *puppet, const char *name)
{
    th_spawn spec = {.entry = &puppet->entry,
                     .host = &house->stage.host,
                     .name = th_slice_str(name)};
    th_auto_buf why = TH_BUF_INIT;
    th_ident who;

    if (th_kernel_spawn(house->stage.kernel, &spec, &who, &why) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    th_blob_unref(who.name);
    return who.pid;
}

void house_open(house *house, th_world *world)
{
    th_kernel_config config = {.world = world,
                               .node = "local",
                               .boot = ++house->boot,
                               .shards = 1,
                               .memory_bytes_max = (size_t)1 << 30,
                               .save = save,
                               .ended = ended,
                               .context = house};
    th_keeper_spec spec = {.over = over, .shutdown = asked_to_stop, .context = house};
    th_auto_buf why = TH_BUF_INIT;
    th_pid boss;

    here = house;
    memset(&house->stage, 0, sizeof house->stage);
    house->stage.world = world;
    T_EQ(th_kernel_new(&house->stage.kernel, &config), TH_OK);
    house->stage.host =
        (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(house->stage.kernel, &house->stage.host), TH_OK);
    cast_all(house);
    start_store(house);
    boss = spawn_as(house, &house->boss, "boss");
    (void)spawn_as(house, &house->listener, "listener");
    house->boss_process = th_table_find(house->stage.kernel, boss);
    spec.kernel = house->stage.kernel;
    spec.lives = house->lives;
    spec.host = &house->stage.host;
    spec.main = house->main == NULL ? NULL : &house->main_actor.entry;
    T_EQ(th_keeper_new(&house->keeper, &spec), TH_OK);
    T_EQ(th_keeper_start(house->keeper, &why), TH_OK);
    house_run(house);
}

static bool end_each(void *context, const th_process_info *info)
{
    house *house = context;

    (void)th_kernel_end(house->stage.kernel, info->ident.pid);
    return true;
}

th_world *house_close(house *house)
{
    th_world *world = house->stage.world;

    th_keeper_stop(house->keeper);
    house_run(house);
    th_kernel_each(house->stage.kernel, end_each, house); /* as th_kernel_stop */
    house_run(house);
    T_EQ(th_kernel_count(house->stage.kernel), 0);
    house->store = th_store_close(house->store);
    th_kernel_free(house->stage.kernel);
    house->lives = th_lives_free(house->lives);
    house->keeper = th_keeper_free(house->keeper);
    th_buf_deinit(&house->stage.ended);
    th_buf_deinit(&house->seen);
    th_buf_deinit(&house->notes);
    house->seen = house->notes = TH_BUF_INIT;
    return world;
}

bool house_step(house *house)
{
    if (th_shard_has_work(&house->stage.kernel->shards[0])) {
        return th_kernel_step(house->stage.kernel);
    }
    return th_store_step(house->store);
}

void house_run(house *house)
{
    while (house_step(house)) {
    }
}

void house_wait(house *house, uint64_t ms)
{
    int64_t until = th_world_mono(house->stage.world).ns + (int64_t)ms * TH_MS;

    house_run(house);
    while (th_world_mono(house->stage.world).ns < until) {
        int64_t next = th_wheel_next(&house->stage.kernel->shards[0].wheel);

        if (next == 0 || next > until) {
            th_world_advance(house->stage.world, (th_mono){until});
        } else {
            T_TRUE(th_kernel_step(house->stage.kernel));
        }
        house_run(house);
    }
}

th_err house_tell(house *house, const char *name, const char *what)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST, .body = th_slice_str(what)};
    th_auto_buf id = TH_BUF_INIT;
    th_id_error error;
    th_pid pid;
    th_msg *msg;
    th_err err;

    th_buf_putf(&id, "%s:test:local", name);
    err = th_kernel_resolve(house->stage.kernel, th_buf_slice(&id), &pid, &error);
    if (err == TH_OK) {
        msg = th_msg_new(&parts);
        th_stage_enter(&house->stage, 0);
        err = th_process_send(house->boss_process, pid, msg);
        th_stage_leave(&house->stage);
        if (err != TH_OK) {
            th_msg_unref(msg);
        }
    }
    return err;
}

void house_ask(house *house, const char *command)
{
    house_ask_with(house, command, NULL);
}

void house_ask_with(house *house, const char *command, const char *metadata)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .flags = TH_MSG_EXPECTS,
                          .body = th_slice_str(command)};
    th_ask ask = {.timeout_ns = (uint64_t)(60 * TH_S)};
    th_request *request;
    th_id_error error;

    if (metadata != NULL) {
        parts.flags |= TH_MSG_METADATA;
        parts.metadata = th_slice_str(metadata);
    }
    T_EQ(th_kernel_resolve(house->stage.kernel, TH_SLICE("kernel:distro:sys"), &ask.to,
                           &error),
         TH_OK);
    th_stage_enter(&house->stage, 0);
    T_EQ(th_process_request(house->boss_process, &ask, th_msg_new(&parts), &request),
         TH_OK);
    th_stage_leave(&house->stage);
}

bool house_runs(house *house, const char *name)
{
    th_auto_buf id = TH_BUF_INIT;
    th_id_error error;
    th_pid pid;

    th_buf_putf(&id, "%s:test:local", name);
    return th_kernel_resolve(house->stage.kernel, th_buf_slice(&id), &pid, &error) ==
           TH_OK;
}

static void ignore(void *context, const th_life_info *info)
{
    (void)context;
    (void)info;
}

bool house_has_record(house *house, const char *name)
{
    th_auto_buf id = TH_BUF_INIT;

    th_buf_putf(&id, "%s:test:local", name);
    return th_lives_look(house->lives, th_buf_slice(&id), ignore, NULL);
}

const char *house_seen(house *house)
{
    static char seen[4096];

    snprintf(seen, sizeof seen, "%.*s", TH_FMT(th_buf_slice(&house->seen)));
    th_buf_clear(&house->seen);
    return seen;
}
