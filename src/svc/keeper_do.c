#include "base/mem.h"
#include "core/id.h"
#include "svc/keeper_parts.h"

/*
 * Commands whose answer waits: for a record to be durable, or for an end.
 */

/* What somebody waits for to be saved. */
typedef struct keeper_saving {
    th_saving saving; /* its job is first */
    th_msg *question; /* NULL: the main process is to run */
    th_kernel_command_kind kind;
    th_buf id; /* of the command */
    th_pid pid;
} keeper_saving;

static keeper_saving *saving_of(th_job *job)
{
    return th_container_of(th_container_of(job, th_saving, job), keeper_saving, saving);
}

static void free_saving(keeper_saving *waits)
{
    th_msg_unref(waits->question);
    th_saving_deinit(&waits->saving);
    th_buf_deinit(&waits->id);
    th_free(waits);
}

static void dropped_saving(th_job *job)
{
    free_saving(saving_of(job));
}

/* Takes @question on TH_OK. */
static th_err save(th_keeper *keeper, th_process *self, th_pid pid, th_msg *question,
                   const th_kernel_command *command)
{
    keeper_saving *waits = th_calloc(1, sizeof *waits);
    th_err err;

    if (waits == NULL) {
        return TH_QUOTA;
    }
    waits->saving.job.dropped = dropped_saving;
    waits->pid = pid;
    if (command != NULL) {
        waits->kind = command->kind;
        th_buf_put(&waits->id, command->id.at, command->id.bytes);
    }
    waits->question = question;
    err = waits->id.failed
              ? TH_QUOTA
              : th_kernel_save(keeper->spec.kernel, pid, th_process_ident(self)->pid,
                               &waits->saving);
    if (err != TH_OK) {
        waits->question = NULL;
        free_saving(waits);
    }
    return err;
}

th_err th_keeper_save_main(th_keeper *keeper, th_process *self, th_pid pid)
{
    return save(keeper, self, pid, NULL, NULL);
}

/* It never was: what it should have been could not be kept. */
static void undo(th_keeper *keeper, th_pid pid)
{
    (void)th_kernel_set_on_exit(keeper->spec.kernel, pid, NULL);
    (void)th_kernel_kill(keeper->spec.kernel, pid,
                         TH_SLICE("its record cannot be made durable"));
}

void th_keeper_undo_main(th_keeper *keeper, th_pid pid, th_err err)
{
    th_auto_buf why = TH_BUF_INIT;

    th_buf_putf(&why, "its record cannot be made durable: %s", th_reason_of(err)->text);
    th_keeper_finish_main(keeper, err, NULL, th_buf_text(&why));
    undo(keeper, pid);
}

static void did_save(th_keeper *keeper, th_process *self, keeper_saving *waits)
{
    th_err err = waits->saving.err;
    th_msg *question = waits->question;

    waits->question = NULL;
    if (question == NULL && err == TH_OK) {
        (void)th_kernel_launch(keeper->spec.kernel, waits->pid);
    } else if (question == NULL) {
        th_keeper_undo_main(keeper, waits->pid, err);
    } else {
        if (err != TH_OK && waits->kind == TH_KC_INITIALIZE) {
            undo(keeper, waits->pid);
        }
        th_keeper_answer(self, question, waits->kind, th_buf_slice(&waits->id), err,
                         TH_SLICE(""));
    }
    free_saving(waits);
}

/* --- InitializeProcess ------------------------------------------------------------------ */

#define WHERE "`pkg:publisher/pkg/FILE`"

/* The entry whose code is at "/k:s/pkg/FILE". */
static const th_entry *find_code(th_keeper *keeper, const th_kernel_command *command,
                                 th_buf *why)
{
    th_slice path = command->handle;
    th_entry of = {.package = command->address.package,
                   .publisher = command->address.publisher};
    th_auto_buf start = TH_BUF_INIT;
    const th_entry *entry = NULL;

    if (th_slice_starts(path, "/")) {
        path = th_slice_from(path, 1);
    }
    th_buf_putf(&start, "%.*s:%.*s/pkg/", TH_FMT(of.package), TH_FMT(of.publisher));
    if (start.failed || !th_slice_starts(path, th_buf_text(&start))) {
        th_buf_putf(why,
                    "the code of `%.*s` is to be a file of its own package, " WHERE
                    ", not `%.*s`",
                    TH_FMT(command->id), TH_FMT(command->handle));
        return NULL;
    }
    path = th_slice_from(path, start.bytes);
    entry = th_kernel_find_file(keeper->spec.kernel, &of, path);
    if (entry == NULL) {
        th_buf_putf(why, "no entry that is loaded has its code at `%.*s`",
                    TH_FMT(command->handle));
    }
    return entry;
}

typedef struct giver {
    th_keeper *keeper;
    th_slice id;   /* of who asks */
    th_caps *caps; /* that it holds */
    bool is_owner; /* it is the node's own: it may give everything */
} giver;

/* What is asked for, if who asks has it, or has issued it. */
static th_cap *resolve(void *context, const th_cap_claim *claim)
{
    const giver *from = context;
    th_cap_key key;
    th_cap *cap;

    if (from->is_owner || th_slice_eq(claim->id, from->id)) {
        return th_kernel_issue(from->keeper->spec.kernel, claim->id, claim->params);
    }
    if (th_cap_key_init(&key, claim->id, claim->params) != TH_OK) {
        return NULL;
    }
    cap = th_caps_match(from->caps, &key);
    th_cap_key_deinit(&key);
    return cap == NULL ? NULL : th_cap_ref(cap);
}

static th_caps *resolve_all(const giver *from, const th_kernel_command *command)
{
    th_cap **found = th_calloc(command->caps_count + 1, sizeof(th_cap *));
    size_t count = 0;
    th_caps *caps;

    if (found == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < command->caps_count; i++) {
        found[count] = resolve((void *)from, &command->caps[i]);
        count += found[count] != NULL;
    }
    caps = th_caps_new(found, count);
    while (count > 0) {
        th_cap_unref(found[--count]);
    }
    th_free(found);
    return caps;
}

/* It may send to what it made. */
static void give_messaging(th_keeper *keeper, th_pid to, th_slice id)
{
    th_cap *cap = th_kernel_issue(keeper->spec.kernel, id, TH_CAP_MESSAGING);

    if (cap != NULL) {
        (void)th_kernel_grant(keeper->spec.kernel, to, cap);
        th_cap_unref(cap);
    }
}

static th_err make(th_keeper *keeper, const giver *from,
                   const th_kernel_command *command, th_pid *pid, th_buf *why)
{
    th_spawn spawn = {.host = keeper->spec.host,
                      .name = command->address.process,
                      .is_public = command->is_public,
                      .is_held = true};
    th_caps *caps = NULL;
    th_ident ident;
    th_err err;

    spawn.entry = find_code(keeper, command, why);
    if (spawn.entry == NULL) {
        return TH_NOT_FOUND;
    }
    err = th_on_exit_settle(&spawn.on_exit, command->on_exit, resolve, (void *)from);
    if (err == TH_OK) {
        caps = resolve_all(from, command);
        spawn.caps = caps;
        err = caps == NULL ? TH_QUOTA
                           : th_kernel_spawn(keeper->spec.kernel, &spawn, &ident, why);
    }
    if (err == TH_OK) {
        *pid = ident.pid;
        th_blob_unref(ident.name);
    }
    th_caps_unref(caps);
    th_on_exit_unref(spawn.on_exit);
    return err;
}

void th_keeper_initialize(th_keeper *keeper, th_process *self, th_msg *question,
                          const th_kernel_command *command)
{
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf id = TH_BUF_INIT;
    giver from = {.keeper = keeper};
    bool is_durable = th_on_exit_draft_kind(command->on_exit) != TH_ON_EXIT_NONE;
    th_pid pid = TH_PID_NONE;
    th_err err = TH_OK;

    if (question->blob != NULL && command->handle.bytes == 0) {
        th_buf_puts(&why,
                    "code in a blob is not taken: name a file of a package, " WHERE);
        err = TH_UNSUPPORTED;
    }
    if (err == TH_OK) {
        th_lives_put_id(keeper->spec.kernel, &question->source, &id);
        from.id = th_buf_slice(&id);
        from.is_owner = question->source.entry->package_number == 0;
        from.caps = th_kernel_caps(keeper->spec.kernel, question->source.pid);
        err = make(keeper, &from, command, &pid, &why);
        th_caps_unref(from.caps);
    }
    if (err == TH_OK) {
        give_messaging(keeper, question->source.pid, command->id);
        if (is_durable) {
            err = save(keeper, self, pid, question, command);
            if (err == TH_OK) {
                return; /* did_save answers */
            }
            undo(keeper, pid);
        }
    }
    th_keeper_answer(self, question, command->kind, command->id, err,
                     th_buf_slice(&why));
}

/* --- GrantCapabilities, DropCapabilities, SetOnExit ---------------------------------------- */

static th_err grant_all(th_keeper *keeper, const th_kernel_command *command, th_pid pid,
                        th_buf *why)
{
    for (size_t i = 0; i < command->caps_count; i++) {
        th_cap *cap = th_kernel_issue(keeper->spec.kernel, command->caps[i].id,
                                      command->caps[i].params);
        th_err err =
            cap == NULL ? TH_NOT_FOUND : th_kernel_grant(keeper->spec.kernel, pid, cap);

        th_cap_unref(cap);
        if (err != TH_OK) {
            th_buf_putf(why, "capability %zu, of `%.*s`, could not be granted", i + 1,
                        TH_FMT(command->caps[i].id));
            return err;
        }
    }
    return TH_OK;
}

static th_err drop_all(th_keeper *keeper, const th_kernel_command *command, th_pid pid)
{
    th_err err = TH_OK;

    for (size_t i = 0; i < command->caps_count && err == TH_OK; i++) {
        th_claim claim = {command->caps[i].id, command->caps[i].params};

        err = th_kernel_drop(keeper->spec.kernel, pid, &claim);
    }
    return err;
}

/* It is sent in the name of @pid, and with what that holds. */
static th_err set_on_exit(th_keeper *keeper, const th_kernel_command *command,
                          th_pid pid, th_buf *why)
{
    giver from = {.keeper = keeper,
                  .id = command->id,
                  .caps = th_kernel_caps(keeper->spec.kernel, pid)};
    th_on_exit *on_exit = NULL;
    th_err err = th_on_exit_settle(&on_exit, command->on_exit, resolve, &from);

    if (err == TH_OK) {
        err = th_kernel_set_on_exit(keeper->spec.kernel, pid, on_exit);
    }
    if (err == TH_UNSUPPORTED) {
        th_buf_putf(why,
                    "`%.*s` has no chosen name, and so could not come again under it",
                    TH_FMT(command->id));
    }
    th_on_exit_unref(on_exit);
    th_caps_unref(from.caps);
    return err;
}

static void note_kept(void *context, const th_life_info *info)
{
    bool *is_kept = context;

    *is_kept = info->phase != TH_LIFE_ASIDE;
}

void th_keeper_update(th_keeper *keeper, th_process *self, th_msg *question,
                      const th_kernel_command *command, th_pid pid)
{
    th_auto_buf why = TH_BUF_INIT;
    bool is_kept = false;
    th_err err;

    (void)th_lives_look(keeper->spec.lives, command->id, note_kept, &is_kept);
    if (command->kind == TH_KC_SET_ON_EXIT) {
        err = set_on_exit(keeper, command, pid, &why);
        is_kept |= th_on_exit_draft_kind(command->on_exit) != TH_ON_EXIT_NONE;
    } else {
        err = command->kind == TH_KC_GRANT ? grant_all(keeper, command, pid, &why)
                                           : drop_all(keeper, command, pid);
    }
    if (err == TH_OK && is_kept) {
        err = save(keeper, self, pid, question, command);
        if (err == TH_OK) {
            return;
        }
    }
    th_keeper_answer(self, question, command->kind, command->id, err,
                     th_buf_slice(&why));
}

/* --- KillProcess ------------------------------------------------------------------------------ */

/* Who waits for an end: of a record, by `waiter`, or of a process, by its EXIT. */
typedef struct keeper_kill {
    th_job job;
    th_lives_waiter waiter;
    th_list link; /* among the keeper's kills, while it waits for an EXIT */
    th_msg *question;
    th_buf id;
    th_pid pid;
    th_err err;
} keeper_kill;

static void free_kill(keeper_kill *kill)
{
    th_list_remove(&kill->link);
    th_msg_unref(kill->question);
    th_buf_deinit(&kill->id);
    th_free(kill);
}

static void dropped_kill(th_job *job)
{
    free_kill(th_container_of(job, keeper_kill, job));
}

static void record_is_gone(th_lives_waiter *waiter, th_err err)
{
    keeper_kill *kill = th_container_of(waiter, keeper_kill, waiter);

    kill->err = err;
    if (err == TH_STOPPING) {
        free_kill(kill); /* and the keeper is gone */
    } else {
        th_kernel_tell(kill->job.kernel, kill->job.owner, &kill->job);
    }
}

static void answer_kill(th_process *self, keeper_kill *kill)
{
    th_msg *question = kill->question;

    kill->question = NULL;
    th_keeper_answer(self, question, TH_KC_KILL, th_buf_slice(&kill->id), kill->err,
                     TH_SLICE(""));
    free_kill(kill);
}

static bool is_of_the_node(th_slice id)
{
    static const char end[] = ":distro:sys";
    size_t n = sizeof end - 1;

    return id.bytes > n && memcmp(id.at + id.bytes - n, end, n) == 0;
}

/* One that has no record: its EXIT is awaited. */
static th_err kill_plain(th_keeper *keeper, th_process *self, keeper_kill *kill)
{
    th_id_error error;
    th_err err = th_kernel_resolve(keeper->spec.kernel, th_buf_slice(&kill->id),
                                   &kill->pid, &error);

    if (err == TH_OK) {
        err = th_process_monitor(self, kill->pid);
    }
    if ((err == TH_OK || err == TH_EXISTS) && kill->waiter.keeps_issued) {
        th_kernel_keep_issued(keeper->spec.kernel, kill->pid);
    }
    if (err == TH_OK || err == TH_EXISTS) {
        err = th_kernel_kill(keeper->spec.kernel, kill->pid,
                             TH_SLICE("terminated by the kernel"));
    }
    if (err == TH_OK) {
        th_list_push(&keeper->kills, &kill->link);
    }
    return err;
}

void th_keeper_kill(th_keeper *keeper, th_process *self, th_msg *question,
                    const th_kernel_command *command)
{
    keeper_kill *kill = th_calloc(1, sizeof *kill);
    th_auto_buf why = TH_BUF_INIT;
    th_err err;

    if (kill == NULL) {
        th_keeper_answer(self, question, command->kind, command->id, TH_QUOTA,
                         TH_SLICE(""));
        return;
    }
    kill->job = (th_job){.owner = th_process_ident(self)->pid,
                         .kernel = keeper->spec.kernel,
                         .dropped = dropped_kill};
    kill->waiter.done = record_is_gone;
    kill->waiter.keeps_issued = th_slice_is(th_msg_metadata(question), "no-revoke");
    kill->question = question;
    th_list_init(&kill->link);
    th_buf_put(&kill->id, command->id.at, command->id.bytes);
    err = kill->id.failed ? TH_QUOTA
          : is_of_the_node(command->id)
              ? TH_DENIED
              : th_lives_kill(keeper->spec.lives, command->id, &kill->waiter);
    if (err == TH_NOT_FOUND) {
        err = kill_plain(keeper, self, kill);
    }
    if (err != TH_OK) {
        th_buf_putf(&why,
                    err == TH_NOT_FOUND ? "there is no process `%.*s`"
                    : err == TH_DENIED  ? "`%.*s` is the node's own"
                                        : "`%.*s` cannot be killed now",
                    TH_FMT(command->id));
        kill->question = NULL;
        free_kill(kill);
        th_keeper_answer(self, question, command->kind, command->id, err,
                         th_buf_slice(&why));
    }
}

void th_keeper_did_exit(th_keeper *keeper, th_process *self, th_pid pid)
{
    TH_LIST_EACH(node, &keeper->kills)
    {
        keeper_kill *kill = th_container_of(node, keeper_kill, link);

        if (th_pid_eq(kill->pid, pid)) {
            answer_kill(self, kill);
        }
    }
}

void th_keeper_did_job(th_keeper *keeper, th_process *self, th_job *job)
{
    if (job->dropped == dropped_saving) {
        did_save(keeper, self, saving_of(job));
    } else {
        answer_kill(self, th_container_of(job, keeper_kill, job));
    }
}

void th_keeper_do_deinit(th_keeper *keeper)
{
    th_list *node;

    while ((node = th_list_pop(&keeper->kills)) != NULL) {
        free_kill(th_container_of(node, keeper_kill, link));
    }
}
