#include "node/attach_parts.h"

#include "base/mem.h"
#include "node/content.h"

/*
 * What is kept: state, on-exit, capabilities, and children that are to survive the node.
 *
 * A line that has something made durable is answered when that is so. Until then no
 * other line is done and nothing is shown, so that lines come out in their order.
 */

struct attach_keep {
    th_saving saving;
    th_attach_line *line; /* owned: what is to be answered */
    th_ident child;       /* is_spawn; its name is held */
    bool is_spawn;
    bool has_before;
    th_on_exit *before; /* one reference, or NULL: comes back if it is not kept */
};

static attach_keep *free_keep(attach_keep *keep)
{
    if (keep != NULL) {
        th_saving_deinit(&keep->saving);
        th_attach_line_free(keep->line);
        th_blob_unref(keep->child.name);
        th_on_exit_unref(keep->before);
    }
    return th_free(keep);
}

static attach_keep *keep_of(th_job *job)
{
    return th_container_of(th_container_of(job, th_saving, job), attach_keep, saving);
}

/* The process ended meanwhile. Thread: any. */
static void dropped(th_job *job)
{
    free_keep(keep_of(job));
}

/* NULL: memory ran out. */
static attach_keep *new_keep(th_save what)
{
    attach_keep *keep = th_calloc(1, sizeof *keep);

    if (keep != NULL) {
        keep->saving.what = what;
        keep->saving.job.dropped = dropped;
    }
    return keep;
}

static th_err explain(attach_doing *it, th_err err)
{
    if (it->why.bytes > 0) {
        return err;
    }
    if (err == TH_QUOTA) {
        th_buf_puts(&it->why, "it is not kept: the disk is full, or too much is under "
                              "way; try again later");
    } else if (err == TH_IO) {
        th_buf_puts(&it->why, "it is not kept: the node's disk reported an error");
    } else if (err == TH_UNSUPPORTED) {
        th_buf_puts(&it->why, "nothing is kept here");
    }
    return err;
}

/* The line is answered when it comes back. */
static void await(attach_doing *it, attach_keep *keep)
{
    keep->line = th_take(&it->line);
    it->attach->mail.keep = keep;
    it->is_later = true;
}

static void restore(th_process *self, const attach_keep *keep)
{
    if (keep->has_before) {
        (void)th_process_set_on_exit(self, keep->before);
    }
}

/* Have it saved. @keep is taken; NULL: memory ran out. */
static th_err begin(attach_doing *it, attach_keep *keep)
{
    th_err err = keep == NULL ? TH_QUOTA : th_process_save(it->self, &keep->saving);

    if (err == TH_OK) {
        await(it, keep);
    } else if (keep != NULL) {
        restore(it->self, keep);
        free_keep(keep);
    }
    return explain(it, err);
}

/* --- State ---------------------------------------------------------------------------- */

th_err th_attach_do_set_state(attach_doing *it)
{
    attach_keep *keep = new_keep(TH_SAVE_STATE);

    if (keep != NULL) {
        keep->saving.value = th_blob_ref(it->line->state);
    }
    return begin(it, keep);
}

th_err th_attach_do_clear_state(attach_doing *it)
{
    return begin(it, new_keep(TH_SAVE_NONE));
}

th_err th_attach_do_get_state(attach_doing *it)
{
    return begin(it, new_keep(TH_LOAD_STATE));
}

/* --- Capabilities --------------------------------------------------------------------- */

static bool is_durable(th_process *self)
{
    th_auto(th_on_exit) on_exit = th_process_on_exit(self);

    return th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE;
}

/* With what it lives on, if it does, is kept before anybody is told. */
static th_err keep_life(attach_doing *it)
{
    return is_durable(it->self) ? begin(it, new_keep(TH_SAVE_LIFE)) : TH_OK;
}

th_err th_attach_do_save_caps(attach_doing *it)
{
    const th_attach_line *line = it->line;
    th_err err = th_process_save_caps(it->self, line->claims, line->claims_count);

    if (err != TH_OK) {
        th_buf_putf(&it->why, "a process holds at most %d capabilities, of 4 MiB",
                    TH_CAPSET_MAX);
        return err;
    }
    return keep_life(it);
}

th_err th_attach_do_drop_caps(attach_doing *it)
{
    const th_attach_line *line = it->line;

    th_process_drop_caps(it->self, line->claims, line->claims_count);
    return keep_life(it);
}

static th_slice node_of(const attach_doing *it)
{
    return th_slice_str(th_kernel_node(th_process_kernel(it->self)));
}

th_err th_attach_do_our_caps(attach_doing *it)
{
    th_auto(th_caps) caps = th_process_caps(it->self);

    if (caps == NULL) {
        return TH_QUOTA;
    }
    th_buf_putc(&it->ok, '{');
    th_attach_put_caps(&it->ok, node_of(it), caps);
    th_buf_putc(&it->ok, '}');
    return TH_OK;
}

/* --- On exit -------------------------------------------------------------------------- */

/* What it may hand on, as in a message. */
static th_cap *resolve(void *context, const th_cap_claim *claim)
{
    attach_doing *it = context;
    th_auto_buf issuer = TH_BUF_INIT;
    th_auto(th_caps) caps = NULL;
    th_claim what = {.params = claim->params};

    th_address_encode(&issuer, &claim->issuer);
    what.issuer = th_buf_slice(&issuer);
    caps = issuer.failed ? NULL : th_process_claim(it->self, &what, 1);
    return th_caps_count(caps) == 0 ? NULL : th_cap_ref(th_caps_at(caps, 0));
}

static th_err check_on_exit(attach_doing *it, th_on_exit_kind kind)
{
    if (kind == TH_ON_EXIT_RESTART) {
        th_buf_puts(&it->why, "the node cannot start a process outside again: its "
                              "on-exit is \"None\" or {\"Requests\": [...]}");
        return TH_UNSUPPORTED;
    }
    if (kind != TH_ON_EXIT_NONE && th_process_ident(it->self)->name == NULL) {
        th_buf_puts(&it->why, "it has no chosen name, by which its on-exit could be "
                              "kept: attach with --name PROCESS");
        return TH_UNSUPPORTED;
    }
    return TH_OK;
}

static th_err set_on_exit(attach_doing *it, th_on_exit *on_exit)
{
    bool saves = th_on_exit_kind_of(on_exit) != TH_ON_EXIT_NONE || is_durable(it->self);
    attach_keep *keep = saves ? new_keep(TH_SAVE_LIFE) : NULL;
    th_err err;

    if (saves && keep == NULL) {
        return TH_QUOTA;
    }
    if (saves) {
        keep->has_before = true;
        keep->before = th_process_on_exit(it->self);
    }
    err = th_process_set_on_exit(it->self, on_exit);
    if (err != TH_OK) {
        free_keep(keep);
        return explain(it, err);
    }
    return saves ? begin(it, keep) : TH_OK;
}

th_err th_attach_do_set_on_exit(attach_doing *it)
{
    th_auto(th_on_exit) on_exit = NULL;
    th_err err = check_on_exit(it, th_on_exit_draft_kind(it->line->on_exit));

    if (err == TH_OK) {
        err = th_on_exit_settle(&on_exit, it->line->on_exit, resolve, it);
    }
    return err == TH_OK ? set_on_exit(it, on_exit) : explain(it, err);
}

th_err th_attach_do_get_on_exit(attach_doing *it)
{
    th_auto(th_on_exit) on_exit = th_process_on_exit(it->self);

    if (on_exit == NULL) {
        on_exit = th_on_exit_plain(TH_ON_EXIT_NONE);
    }
    th_buf_putc(&it->ok, '{');
    th_json_put_key(&it->ok, "on_exit");
    th_on_exit_encode(&it->ok, node_of(it), on_exit);
    th_buf_putc(&it->ok, '}');
    return TH_OK;
}

/* --- Spawn ---------------------------------------------------------------------------- */

static th_slice namespace_of(const th_entry *entry)
{
    return th_slice_of(entry->id.at, th_slice_find(entry->id, ':'));
}

static th_err find_code(attach_doing *it, th_spawn *out)
{
    const th_attach_line *line = it->line;
    th_kernel *kernel = th_process_kernel(it->self);
    th_slice host = th_attach_has(line, TH_ATTACH_HAS_HOST)
                        ? line->host
                        : TH_SLICE("system:processes");

    out->entry = th_kernel_find_entry(kernel, line->entry);
    if (out->entry == NULL) {
        th_buf_putf(&it->why, "there is no entry `%.*s`; its id is NAMESPACE:NAME",
                    TH_FMT(line->entry));
        return TH_NOT_FOUND;
    }
    out->host = th_kernel_find_host(kernel, namespace_of(out->entry), host);
    if (out->host == NULL) {
        th_buf_putf(&it->why, "there is no host `%.*s`", TH_FMT(host));
        return TH_NOT_FOUND;
    }
    return TH_OK;
}

/* One that survives the node is told of when its record is kept. */
static th_err spawn(attach_doing *it, th_spawn *spec)
{
    bool saves = th_spawn_must_save(spec);
    attach_keep *keep = saves ? new_keep(TH_SAVE_LIFE) : NULL;
    th_ident child;
    th_err err;

    if (saves && keep == NULL) {
        return TH_QUOTA;
    }
    spec->saving = saves ? &keep->saving : NULL;
    err = th_process_spawn(it->self, spec, &child, &it->why);
    if (err != TH_OK) {
        free_keep(keep);
        return err;
    }
    if (saves) {
        keep->is_spawn = true;
        keep->child = child;
        await(it, keep);
        return TH_OK;
    }
    th_attach_put_ident(it, &child);
    th_blob_unref(child.name);
    return TH_OK;
}

th_err th_attach_do_spawn(attach_doing *it)
{
    const th_attach_line *line = it->line;
    th_auto(th_on_exit) on_exit = NULL;
    th_auto(th_caps) caps = NULL;
    th_spawn spec = {.name = line->name,
                     .args = th_buf_slice(&line->body),
                     .monitored = line->monitors,
                     .linked = line->links,
                     .registered = line->registered,
                     .is_public = line->is_public,
                     .grants = line->grants,
                     .grants_count = line->grants_count};
    th_err err = find_code(it, &spec);

    if (err == TH_OK && line->on_exit != NULL) {
        err = th_on_exit_settle(&on_exit, line->on_exit, resolve, it);
    }
    if (err == TH_OK && line->claims_count > 0) {
        caps = th_process_claim(it->self, line->claims, line->claims_count);
        err = caps == NULL ? TH_QUOTA : TH_OK;
    }
    if (err != TH_OK) {
        return err;
    }
    spec.on_exit = on_exit;
    spec.caps = caps;
    return spawn(it, &spec);
}

/* --- It came -------------------------------------------------------------------------- */

static th_err settle(attach_doing *it, attach_keep *keep)
{
    const th_saving *saving = &keep->saving;

    if (keep->is_spawn) {
        th_err err = th_process_spawned(it->self, keep->child.pid, saving);

        if (err == TH_OK) {
            th_attach_put_ident(it, &keep->child);
        }
        return err;
    }
    if (saving->what == TH_LOAD_STATE && saving->err == TH_OK) {
        th_buf_putc(&it->ok, '{');
        th_content_put(&it->ok, "state", "state_base64", th_buf_slice(&saving->loaded));
        th_buf_putc(&it->ok, '}');
    } else if (saving->what == TH_LOAD_STATE && saving->err == TH_NOT_FOUND) {
        return TH_OK; /* there is none */
    } else if (saving->err != TH_OK) {
        restore(it->self, keep);
    }
    return saving->err;
}

void th_attach_keep_came(th_process *self, th_attach *attach, th_job *job)
{
    attach_keep *keep = keep_of(job);
    attach_doing it = {.self = self,
                       .attach = attach,
                       .line = th_take(&keep->line),
                       .at = SIZE_MAX};
    th_err err = settle(&it, keep);

    attach->mail.keep = NULL;
    th_attach_finish(&it, explain(&it, err));
    free_keep(keep);
}
