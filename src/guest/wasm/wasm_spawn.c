#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * spawn: a sibling, from a file of the package that the node has loaded.
 *
 * A guest learns of two refusals only: its name is taken, and there is no such file.
 * Every other one is the second to it, as text 000's system has it, and its log says
 * what it was. A child that is to survive the node runs when its record is durable, and
 * only then is its spawn over.
 */

static th_slice slice_of(const th_wbuf *buf)
{
    return th_slice_of(buf->ptr, buf->len);
}

/* Take @part and a @mark behind it off the front of @text. */
static bool take(th_slice *text, th_slice part, char mark)
{
    if (text->bytes <= part.bytes || text->at[part.bytes] != mark ||
        !th_slice_eq(th_slice_of(text->at, part.bytes), part)) {
        return false;
    }
    *text = th_slice_from(*text, part.bytes + 1);
    return true;
}

/* The entry of `package:publisher/pkg/FILE`, with or without a slash before it. */
static const th_entry *find_entry(const th_wasm_process *self, th_slice path)
{
    const th_entry *own = th_process_ident(self->process)->entry;

    if (th_slice_starts(path, "/")) {
        path = th_slice_from(path, 1);
    }
    if (!take(&path, own->package, ':') || !take(&path, own->publisher, '/') ||
        !take(&path, TH_SLICE("pkg"), '/')) {
        return NULL;
    }
    return th_kernel_find_file(th_process_kernel(self->process), own, path);
}

static bool is_name(th_slice name)
{
    uint64_t boot;
    th_pid pid;

    return th_name_is_valid(name, TH_NAME_PLAIN) &&
           th_unique_decode(&boot, &pid, name) != TH_OK;
}

static void tell(th_wasm_process *self, th_slice path, th_err err, const th_buf *why)
{
    if (self->refused != (int8_t)err) {
        self->refused = (int8_t)err;
        th_wasm_logf(self, "spawn of `%.*s` was refused: %s",
                     TH_FMT(path.bytes > 400 ? th_slice_of(path.at, 400) : path),
                     why->bytes == 0 ? th_reason_of(err)->text : th_buf_text(why));
    }
}

static int give_id(th_wasm_process *self, const th_ident *child, th_wcall *reply,
                   th_wbuf *trap)
{
    reply->caps.ptr = calloc(1, sizeof *reply->caps.ptr);
    reply->caps.len = reply->caps.ptr != NULL;
    if (reply->caps.ptr == NULL ||
        !th_wasm_put_address(th_process_kernel(self->process), child,
                             &reply->caps.ptr[0].issuer)) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    reply->number = TH_W_SPAWNED;
    return TH_W_READY;
}

static int refuse(th_wasm_process *self, th_slice path, th_err err, const th_buf *why,
                  th_wcall *reply)
{
    reply->number = err == TH_EXISTS ? TH_W_NAME_TAKEN : TH_W_NO_FILE;
    if (err != TH_EXISTS) {
        tell(self, path, err, why);
    }
    return TH_W_READY;
}

int th_wasm_spawned(th_wasm_process *self, const th_ident *child, th_err err,
                    th_wcall *reply, th_wbuf *trap)
{
    th_auto_buf why = TH_BUF_INIT;

    if (err == TH_OK) {
        return give_id(self, child, reply, trap);
    }
    th_buf_putf(&why, "its record could not be made durable: %s",
                th_reason_of(err)->text);
    return refuse(self, child->entry->file, err == TH_EXISTS ? TH_FAILED : err, &why,
                  reply);
}

/* --- What a child is given ---------------------------------------------------------------- */

/* All that a spawn refers to and that is made for it alone. */
typedef struct birth {
    th_spawn spec;
    th_on_exit *on_exit; /* held */
    th_caps *caps;       /* held, or NULL */
    th_grant *grants;    /* owned */
    th_buf texts;        /* of the grants' processes */
    th_wasm_saving *saving;
} birth;

static void birth_deinit(birth *birth)
{
    th_on_exit_unref(birth->on_exit);
    th_caps_unref(birth->caps);
    th_free(birth->grants);
    th_buf_deinit(&birth->texts);
    if (birth->saving != NULL) {
        th_wasm_saving_free(birth->saving);
    }
}

#define auto_birth __attribute__((cleanup(birth_deinit))) birth

/* Who is granted something; what is no id is nobody's, and has nothing. */
static void add_grant(birth *birth, const th_wcap *from)
{
    th_grant *grant = &birth->grants[birth->spec.grants_count];
    char text[TH_ID_TEXT_BYTES];
    th_wasm_target packed;
    size_t bytes;

    if (th_wasm_target_pack(&packed, &from->issuer) == TH_OK &&
        th_wasm_target_text(&packed, text, &bytes)) {
        grant->process = th_slice_of(NULL, bytes);
        grant->params = slice_of(&from->params);
        th_buf_put(&birth->texts, text, bytes);
        birth->spec.grants_count++;
    }
}

/* False: no memory. */
static bool take_grants(birth *birth, const th_wcaps *grants)
{
    size_t at = 0;

    if (grants->len == 0) {
        return true;
    }
    birth->grants = th_calloc(grants->len, sizeof *birth->grants);
    for (size_t i = 0; i < grants->len && birth->grants != NULL; i++) {
        add_grant(birth, &grants->ptr[i]);
    }
    if (birth->grants == NULL || birth->texts.failed) {
        return false;
    }
    for (size_t i = 0; i < birth->spec.grants_count; i++) {
        birth->grants[i].process.at = birth->texts.at + at;
        at += birth->grants[i].process.bytes;
    }
    birth->spec.grants = birth->grants;
    return true;
}

static th_err prepare(th_wasm_process *self, th_wcall *args, birth *birth, th_buf *why)
{
    th_err err = th_wasm_take_on_exit(self, args, &birth->on_exit, why);

    if (err != TH_OK) {
        return err;
    }
    if (!th_wasm_claim(self, &args->caps, &birth->caps) ||
        !take_grants(birth, &args->grants)) {
        th_buf_puts(why, TH_WASM_NO_MEMORY);
        return TH_QUOTA;
    }
    birth->spec.on_exit = birth->on_exit;
    birth->spec.caps = birth->caps;
    birth->spec.is_public = args->is_public;
    if (th_spawn_must_save(&birth->spec)) {
        birth->saving = th_wasm_saving_new(TH_W_SPAWN);
        if (birth->saving == NULL) {
            th_buf_puts(why, TH_WASM_NO_MEMORY);
            return TH_QUOTA;
        }
        birth->spec.saving = th_wasm_saving_of(birth->saving);
    }
    return TH_OK;
}

/* --- Spawn --------------------------------------------------------------------------------- */

/* What a guest may not ask for at all: a text in @trap. */
static bool is_sane(const th_wcall *args, th_wbuf *trap)
{
    th_slice name = slice_of(&args->text);
    size_t bytes = 0;

    if (args->has_text && !is_name(name)) {
        th_wasm_trap(
            trap, "spawn: `%.*s` is no name for a process: use a-z, 0-9, `-` and `_`",
            TH_FMT(name.bytes > 200 ? th_slice_of(name.at, 200) : name));
        return false;
    }
    for (size_t i = 0; i < args->messages.len; i++) {
        if (!th_wasm_caps_are_few(&args->messages.ptr[i].caps, &bytes, trap)) {
            return false;
        }
    }
    return th_wasm_caps_are_few(&args->caps, &bytes, trap) &&
           th_wasm_caps_are_few(&args->grants, &bytes, trap);
}

static th_err find_and_prepare(th_wasm_process *self, th_wcall *args, birth *birth,
                               th_buf *why)
{
    birth->spec.entry = find_entry(self, slice_of(&args->path));
    if (birth->spec.entry == NULL) {
        th_buf_puts(why, "no entry of its package has this file; a path is "
                         "PACKAGE:PUBLISHER/pkg/FILE, as in `source: file://FILE`");
        return TH_NOT_FOUND;
    }
    birth->spec.host = th_process_ident(self->process)->host;
    birth->spec.name = args->has_text ? slice_of(&args->text) : TH_SLICE("");
    return prepare(self, args, birth, why);
}

int th_wasm_spawn(th_wasm_process *self, th_wcall *args, th_wcall *reply, th_wbuf *trap)
{
    auto_birth birth = {0};
    th_auto_buf why = TH_BUF_INIT;
    int answer = TH_W_PENDING;
    th_ident child;
    th_err err;

    if (!is_sane(args, trap)) {
        return TH_W_TRAP;
    }
    err = find_and_prepare(self, args, &birth, &why);
    if (err == TH_OK) {
        err = th_process_spawn(self->process, &birth.spec, &child, &why);
    }
    if (err != TH_OK) {
        return refuse(self, slice_of(&args->path), err, &why, reply);
    }
    if (birth.saving != NULL) {
        th_wasm_saving_wait(self, th_take(&birth.saving), &child);
    } else {
        answer = give_id(self, &child, reply, trap);
    }
    th_blob_unref(child.name);
    return answer;
}
