#include "svc/files_job.h"

#include "base/mem.h"
#include "codec/json_doc.h"

static void put_error(th_buf *body, th_err err, const char *what, th_slice about)
{
    th_auto_buf message = TH_BUF_INIT;

    th_buf_putf(&message, "%s", what);
    if (about.bytes > 0) {
        th_buf_putf(&message, ": `%.*s`", TH_FMT(about));
    }
    th_buf_clear(body);
    th_buf_puts(body, "{\"error\":{");
    th_json_put_pair(body, "kind", th_slice_str(th_reason_of(err)->name));
    th_json_put_pair(body, "message", th_buf_slice(&message));
    th_buf_puts(body, "}}");
}

/* --- The question ----------------------------------------------------------------- */

static const char *decode_read(files_job *job, const th_json *read)
{
    const th_json *offset = th_json_get(read, "offset");
    const th_json *bytes = th_json_get(read, "bytes");
    th_slice path;

    if (!th_json_text(th_json_get(read, "path"), &path)) {
        return "`read` is an object with a `path`, and perhaps `offset` and `bytes`";
    }
    job->bytes = TH_FILES_READ_BYTES;
    if ((offset != NULL && !th_json_u64(offset, &job->offset)) ||
        (bytes != NULL && !th_json_u64(bytes, &job->bytes))) {
        return "`offset` and `bytes` of `read` are whole numbers from 0";
    }
    if (job->bytes > TH_FILES_READ_BYTES_MAX) {
        job->bytes = TH_FILES_READ_BYTES_MAX;
    }
    th_buf_put(&job->path, path.at, path.bytes);
    job->verb = FILES_READ;
    return NULL;
}

static const char *decode_object(files_job *job, const th_json *object)
{
    const th_json *read = th_json_get(object, "read");
    th_slice path;

    if (read != NULL) {
        return decode_read(job, read);
    }
    if (th_json_text(th_json_get(object, "list"), &path)) {
        job->verb = FILES_LIST;
    } else if (th_json_text(th_json_get(object, "info"), &path)) {
        job->verb = FILES_INFO;
    } else {
        return "a request is {\"list\": PATH}, {\"info\": PATH} or {\"read\": {...}}";
    }
    th_buf_put(&job->path, path.at, path.bytes);
    return NULL;
}

static void decode(files_job *job)
{
    th_slice text = th_msg_body(job->question);
    th_auto(th_json) json = NULL;
    th_json_error error;
    const char *wrong = "the body of a request has at most 65536 bytes";
    th_slice about = TH_SLICE("");

    if (text.bytes <= TH_FILES_QUESTION_BYTES_MAX) {
        if (th_json_decode(&json, text, &error) == TH_OK) {
            wrong = decode_object(job, json);
        } else {
            wrong = "the body of a request is one JSON object";
            about = th_slice_str(error.what);
        }
    }
    if (wrong != NULL) {
        put_error(&job->body, TH_INVALID, wrong, about);
    }
}

files_job *th_files_job_new(const th_files *files, th_world *world, th_msg *question)
{
    files_job *job = th_calloc(1, sizeof *job);

    if (job == NULL) {
        return NULL;
    }
    atomic_init(&job->refs, 1);
    th_list_init(&job->link);
    job->files = files;
    job->world = world;
    job->question = question;
    decode(job);
    return job;
}

void th_files_job_unref(files_job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) != 1) {
        return;
    }
    th_buf_deinit(&job->path);
    th_buf_deinit(&job->body);
    th_buf_deinit(&job->content);
    th_msg_unref(job->question);
    th_free(job);
}

files_job *th_files_job_of(th_job *job)
{
    return th_container_of(job, files_job, job);
}

/* --- The work --------------------------------------------------------------------- */

static const char *kind_text(th_file_kind kind)
{
    static const char *const texts[] = {"file", "folder", "link", "other"};

    return texts[kind];
}

static bool put_name(void *context, const char *name, th_file_kind kind)
{
    files_job *job = context;

    if (job->names == TH_FILES_LIST_MAX) {
        th_buf_puts(&job->body, "],\"more\":true}");
        job->names++;
        return false;
    }
    th_buf_puts(&job->body, job->names++ == 0 ? "{" : ",{");
    th_json_put_pair(&job->body, "name", th_slice_str(name));
    th_json_put_pair(&job->body, "kind", th_slice_str(kind_text(kind)));
    th_buf_putc(&job->body, '}');
    return true;
}

static th_err list(files_job *job, const th_pin *at)
{
    th_err err;

    th_buf_puts(&job->body, "{\"entries\":[");
    err = th_world_folder_each(job->world, at->path, put_name, job);
    if (job->names <= TH_FILES_LIST_MAX) {
        th_buf_puts(&job->body, "]}");
    }
    return err;
}

static th_err info(files_job *job, const th_pin *at)
{
    th_file_info found;
    th_err err = th_world_file_info(job->world, at->path, &found);

    if (err == TH_OK) {
        th_buf_putc(&job->body, '{');
        th_json_put_pair(&job->body, "kind", th_slice_str(kind_text(found.kind)));
        th_json_put_pair_u64(&job->body, "bytes", found.bytes);
        th_json_put_pair_u64(&job->body, "modified_ms",
                             (uint64_t)(found.modified_ns / TH_MS));
        th_buf_putc(&job->body, '}');
    }
    return err;
}

/* The end is known by asking for one byte more. */
static th_err read(files_job *job, const th_pin *at)
{
    th_err err = th_world_file_read(job->world, at->path, job->offset,
                                    (size_t)job->bytes + 1, &job->content);
    bool is_end = job->content.bytes <= job->bytes;

    if (err == TH_OK) {
        job->content.bytes -= !is_end;
        job->has_content = true;
        th_buf_putc(&job->body, '{');
        th_json_put_pair_u64(&job->body, "bytes", job->content.bytes);
        th_json_put_key(&job->body, "end");
        th_buf_puts(&job->body, is_end ? "true}" : "false}");
    }
    return err;
}

static const char *refusal(const files_job *job, th_err err, bool is_granted)
{
    switch (err) {
    case TH_NOT_FOUND:
        return "there is no such file or folder";
    case TH_DENIED:
        return is_granted
                   ? "the node may not read it: its permissions say so, or a link "
                     "leads out of what was granted"
                   : "it was not granted; only what the command line names can be read";
    case TH_INVALID:
        return job->verb == FILES_LIST   ? "it is not a folder"
               : job->verb == FILES_READ ? "it is not a regular file"
                                         : "the path is not valid";
    default:
        return "it could not be read";
    }
}

static void run(th_job *work)
{
    files_job *job = th_files_job_of(work);
    th_slice path = th_buf_slice(&job->path);
    th_auto_buf rest = TH_BUF_INIT;
    const char *root = NULL;
    th_pin *pin = NULL;
    th_err err;

    if (job->verb == FILES_NOTHING) {
        return;
    }
    err = th_files_locate(job->files, path, &root, &rest);
    if (err == TH_OK) {
        err = th_world_file_pin(job->world, root, rest.at, &pin);
    }
    if (err == TH_OK) {
        err = job->verb == FILES_LIST   ? list(job, pin)
              : job->verb == FILES_INFO ? info(job, pin)
                                        : read(job, pin);
    }
    th_world_file_unpin(job->world, pin);
    if (err == TH_OK && (job->body.failed || job->content.failed)) {
        err = TH_NOMEM;
    }
    if (err != TH_OK) {
        job->has_content = false;
        put_error(&job->body, err, refusal(job, err, root != NULL), path);
    }
}

static void dropped(th_job *work)
{
    th_files_job_unref(th_files_job_of(work));
}

void th_files_job_submit(th_process *self, files_job *job)
{
    atomic_fetch_add(&job->refs, 1);
    job->job.run = run;
    job->job.dropped = dropped;
    th_process_submit(self, &job->job);
}

/* --- The answer ------------------------------------------------------------------- */

static th_err respond(th_process *self, files_job *job)
{
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE, .body = th_buf_slice(&job->body)};
    th_auto(th_blob) blob = NULL;
    th_auto(th_msg) answer = NULL;
    th_err err;

    if (job->has_content) {
        blob = th_blob_new(th_buf_slice(&job->content), th_slice_of(NULL, 0));
        if (blob == NULL) {
            return TH_QUOTA;
        }
        parts.blob = blob;
    }
    answer = th_msg_new(&parts);
    if (answer == NULL) {
        return TH_QUOTA;
    }
    err = th_process_respond(self, job->question, answer);
    if (err == TH_OK) {
        (void)th_take(&answer);
    }
    return err;
}

/* An answer that does not fit becomes a small error; who has no room for that waits. */
void th_files_job_answer(th_process *self, files_job *job)
{
    if (respond(self, job) == TH_QUOTA) {
        job->has_content = false;
        put_error(&job->body, TH_QUOTA, "the answer does not fit the mailbox",
                  th_buf_slice(&job->path));
        (void)respond(self, job);
    }
}
