#include "svc/files.h"

#include "base/mem.h"
#include "svc/files_job.h"

/*
 * What may be read, and the process that answers.
 *
 * Every question is kept in the order of arrival, charged to the mailbox like an
 * unread message, so that who asks too much meets the mailbox's bound. A few at a
 * time are with the workers. One that is done is answered when no older one of the
 * same requester is left.
 */
#define PATH_BYTES_MAX 4096
#define BEGUN_MAX 16

typedef struct grant {
    char *given; /* as it was given */
    char *named; /* the same, absolute and without dots */
    char *real;  /* where it is; NULL: `missing` says why that is not known */
    th_err missing;
} grant;

struct th_files {
    th_world *world;
    char *folder;
    grant grants[TH_FILES_GRANTS_MAX];
    size_t grants_count;
    th_native program;
    th_entry entry;
};

typedef struct files_state {
    th_files *files;
    th_list questions; /* files_job.link, oldest first */
    unsigned begun;    /* the oldest so many are with the workers, or done */
} files_state;

/* --- Grants --------------------------------------------------------------------- */

/* Append @part to the path @out, a step at a time, leaving out ".". False: it climbs. */
static bool put_steps(th_buf *out, th_slice part)
{
    while (part.bytes > 0) {
        th_slice step = {part.at, th_slice_find(part, '/')};

        part = th_slice_from(part, step.bytes + (step.bytes < part.bytes));
        if (th_slice_is(step, "..")) {
            return false;
        }
        if (step.bytes > 0 && !th_slice_is(step, ".")) {
            th_buf_putc(out, '/');
            th_buf_put(out, step.at, step.bytes);
        }
    }
    return true;
}

/* As put_steps, and ".." takes one step back: for paths of the command line. */
static void put_named(th_buf *out, th_slice part)
{
    while (part.bytes > 0) {
        th_slice step = {part.at, th_slice_find(part, '/')};

        part = th_slice_from(part, step.bytes + (step.bytes < part.bytes));
        if (th_slice_is(step, "..")) {
            while (out->bytes > 0 && out->at[--out->bytes] != '/') {
            }
        } else {
            put_steps(out, step);
        }
    }
    th_buf_puts(out, "");
}

th_err th_files_new(th_files **out, th_world *world, const char *folder)
{
    th_auto(th_files) files = th_calloc(1, sizeof *files);

    if (files == NULL) {
        return TH_NOMEM;
    }
    files->world = world;
    files->folder = th_strndup(folder, strlen(folder));
    if (files->folder == NULL) {
        return TH_NOMEM;
    }
    files->program = th_files_program;
    files->program.context = files;
    files->entry = (th_entry){.id = TH_SLICE("system:files"),
                              .is_public = true,
                              .package = TH_SLICE("distro"),
                              .publisher = TH_SLICE("sys"),
                              .limits = th_limits_default,
                              .guest = &th_guest_native,
                              .program = &files->program};
    *out = th_take(&files);
    return TH_OK;
}

th_files *th_files_free(th_files *files)
{
    if (files == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < files->grants_count; i++) {
        th_free(files->grants[i].given);
        th_free(files->grants[i].named);
        th_free(files->grants[i].real);
    }
    th_free(files->folder);
    return th_free(files);
}

const th_entry *th_files_entry(th_files *files)
{
    return &files->entry;
}

/* Where @path leads now; a NULL *real without an error: nowhere, and @missing says why. */
static th_err find_real(th_world *world, const char *path, char **real, th_err *missing)
{
    th_auto_buf place = TH_BUF_INIT;

    *missing = th_world_file_resolve(world, path, &place);
    if (*missing != TH_OK) {
        return *missing == TH_NOMEM ? TH_NOMEM : TH_OK;
    }
    *real = th_strndup(place.at, place.bytes);
    return *real == NULL ? TH_NOMEM : TH_OK;
}

th_err th_files_grant(th_files *files, const char *path)
{
    grant *fresh = &files->grants[files->grants_count];
    th_auto_buf named = TH_BUF_INIT;

    if (files->grants_count == TH_FILES_GRANTS_MAX) {
        return TH_QUOTA;
    }
    if (*path != '/') {
        put_named(&named, th_slice_str(files->folder));
    }
    put_named(&named, th_slice_str(path));
    if (named.failed) {
        return TH_NOMEM;
    }
    files->grants_count++;
    fresh->given = th_strndup(path, strlen(path));
    fresh->named = th_strndup(th_buf_text(&named), named.bytes);
    if (fresh->given == NULL || fresh->named == NULL) {
        return TH_NOMEM;
    }
    return find_real(files->world, path, &fresh->real, &fresh->missing);
}

/* Does @path lie in @top; then @rest is what follows, without a slash before it. */
static bool lies_in(th_slice path, const char *top, th_slice *rest)
{
    size_t n = strlen(top);

    while (n > 0 && top[n - 1] == '/') {
        n--;
    }
    if (path.bytes < n || memcmp(path.at, top, n) != 0 ||
        (path.bytes > n && path.at[n] != '/')) {
        return false;
    }
    *rest = th_slice_from(path, n + (path.bytes > n));
    return true;
}

/* What a path, as it was @said and as a @whole one, is below @in. */
static bool is_granted(const grant *in, th_slice said, th_slice whole, th_buf *rest)
{
    th_slice left;

    th_buf_clear(rest);
    if (in->given == NULL || in->named == NULL) {
        return false;
    }
    if (lies_in(said, in->given, &left)) {
        return put_steps(rest, left); /* the dots of the grant itself are its own */
    }
    if (whole.bytes > 0 && (lies_in(whole, in->named, &left) ||
                            (in->real != NULL && lies_in(whole, in->real, &left)))) {
        return put_steps(rest, left);
    }
    return false;
}

th_err th_files_locate(const th_files *files, th_slice path, const char **root,
                       th_buf *rest)
{
    th_auto_buf whole = TH_BUF_INIT;
    th_auto_buf below = TH_BUF_INIT;
    th_err err = TH_DENIED;

    if (path.bytes == 0 || path.bytes > PATH_BYTES_MAX ||
        th_slice_find(path, '\0') < path.bytes) {
        return TH_INVALID;
    }
    if (path.at[0] != '/') {
        put_named(&whole, th_slice_str(files->folder));
    }
    if (!put_steps(&whole, path)) {
        th_buf_clear(&whole); /* it climbs: only its own words can be a grant */
    }
    for (size_t i = 0; i < files->grants_count; i++) {
        const grant *in = &files->grants[i];

        if (!is_granted(in, path, th_buf_slice(&whole), &below)) {
            continue;
        }
        if (in->real != NULL) {
            *root = in->real;
            th_buf_puts(rest, below.bytes > 0 ? th_buf_text(&below) + 1 : "");
            return rest->failed || below.failed ? TH_NOMEM : TH_OK;
        }
        err = in->missing;
    }
    return whole.failed || below.failed ? TH_NOMEM : err;
}

/* --- The process ---------------------------------------------------------------- */

static th_err init(th_process *self, void *context, void **state, th_buf *why)
{
    files_state *fresh = th_calloc(1, sizeof *fresh);

    (void)self;
    if (fresh == NULL) {
        th_buf_puts(why, "memory ran out");
        return TH_QUOTA;
    }
    fresh->files = context;
    th_list_init(&fresh->questions);
    *state = fresh;
    return TH_OK;
}

/* Let the workers have what there is room for. */
static void submit_some(th_process *self, files_state *state)
{
    TH_LIST_EACH(node, &state->questions)
    {
        files_job *job = th_container_of(node, files_job, link);

        if (state->begun == BEGUN_MAX) {
            return;
        }
        if (job->phase == FILES_JOB_WAITS) {
            job->phase = FILES_JOB_RUNS;
            state->begun++;
            th_files_job_submit(self, job);
        }
    }
}

static void forget(th_process *self, files_state *state, files_job *job)
{
    th_list_remove(&job->link);
    state->begun--;
    th_process_charge(self, -(int64_t)th_msg_cost(job->question), -1);
    th_files_job_unref(job);
}

static bool is_first_of_its_requester(files_state *state, const files_job *job)
{
    TH_LIST_EACH(node, &state->questions)
    {
        files_job *older = th_container_of(node, files_job, link);

        if (older == job) {
            return true;
        }
        if (th_pid_eq(older->question->requester, job->question->requester)) {
            return false;
        }
    }
    return true;
}

/* Answer all that are done and whose turn it is. */
static void answer_some(th_process *self, files_state *state)
{
    TH_LIST_EACH(node, &state->questions)
    {
        files_job *job = th_container_of(node, files_job, link);

        if (job->phase == FILES_JOB_WAITS) {
            return;
        }
        if (job->phase == FILES_JOB_IS_DONE && is_first_of_its_requester(state, job)) {
            th_files_job_answer(self, job);
            forget(self, state, job);
        }
    }
}

static void take_question(th_process *self, files_state *state, th_msg *msg)
{
    files_job *job = NULL;

    if (!th_pid_is_none(msg->requester)) {
        job = th_files_job_new(state->files, state->files->world, msg);
    }
    if (job == NULL) {
        th_msg_unref(msg); /* nobody waits, or will hear when this process ends */
        return;
    }
    th_process_charge(self, (int64_t)th_msg_cost(msg), 1);
    th_list_push(&state->questions, &job->link);
}

static void deliver(th_process *self, void *context, const th_delivery *what)
{
    files_state *state = context;

    if (what->type == TH_ITEM_MSG) {
        take_question(self, state, what->msg);
    } else if (what->type == TH_ITEM_JOB) {
        files_job *job = th_files_job_of(what->job);

        job->phase = FILES_JOB_IS_DONE;
        th_files_job_unref(job); /* the worker's */
        answer_some(self, state);
    } else {
        th_native_discard(self, what);
    }
    submit_some(self, state);
}

static void drop(th_process *self, void *context)
{
    files_state *state = context;
    th_list *node;

    (void)self;
    while (state != NULL && (node = th_list_pop(&state->questions)) != NULL) {
        th_files_job_unref(th_container_of(node, files_job, link));
    }
    th_free(state);
}

const th_native th_files_program = {.init = init, .deliver = deliver, .drop = drop};
