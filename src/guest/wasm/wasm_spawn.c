#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_owner.h"

#include <stdlib.h>

/*
 * spawn: a sibling, from a file of the package that the node has loaded.
 *
 * A guest learns of two refusals only: its name is taken, and there is no such file.
 * Every other one is the second to it, as text 000's system has it, and its log says
 * what it was.
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

/* What the arguments ask for and nobody can have yet; or NULL. */
static const char *what_is_unavailable(const th_wasm_process *self,
                                       const th_wcall *args)
{
    if (args->on_exit != TH_W_NONE) {
        return "spawn with an on-exit other than `none`";
    }
    if (th_wasm_has_own_caps(self, &args->caps)) {
        return "spawn with capabilities of its own";
    }
    for (size_t i = 0; i < args->grants.len; i++) {
        if (!th_slice_is(slice_of(&args->grants.ptr[i].params), "\"messaging\"")) {
            return "spawn with a grant other than `\"messaging\"`, which all have";
        }
    }
    return NULL;
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

int th_wasm_spawn(th_wasm_process *self, const th_wcall *args, th_wcall *reply,
                  th_wbuf *trap)
{
    th_slice path = slice_of(&args->path);
    th_slice name = args->has_text ? slice_of(&args->text) : TH_SLICE("");
    const char *unavailable = what_is_unavailable(self, args);
    th_spawn spec = {.host = th_process_ident(self->process)->host, .name = name};
    th_auto_buf why = TH_BUF_INIT;
    th_ident child;
    th_err err;
    int answer;

    if (unavailable != NULL) {
        return th_wasm_trap(trap, TH_WASM_UNAVAILABLE, unavailable);
    }
    if (args->has_text && !is_name(name)) {
        return th_wasm_trap(trap,
                            "spawn: `%.*s` is no name for a process: use a-z, 0-9, `-` "
                            "and `_`",
                            TH_FMT(name.bytes > 200 ? th_slice_of(name.at, 200)
                                                    : name));
    }
    spec.entry = find_entry(self, path);
    if (spec.entry == NULL) {
        err = TH_NOT_FOUND;
        th_buf_puts(&why, "no entry of its package has this file; a path is "
                          "PACKAGE:PUBLISHER/pkg/FILE, as in `source: file://FILE`");
    } else {
        err = th_process_spawn(self->process, &spec, &child, &why);
    }
    if (err == TH_OK) {
        answer = give_id(self, &child, reply, trap);
        th_blob_unref(child.name);
        return answer;
    }
    reply->number = err == TH_EXISTS ? TH_W_NAME_TAKEN : TH_W_NO_FILE;
    if (err != TH_EXISTS) {
        tell(self, path, err, &why);
    }
    return TH_W_READY;
}
