#include "node/listen.h"

#include "base/mem.h"
#include "codec/json_doc.h"
#include "node/show.h"

#include <stdatomic.h>

/* So much may wait to be read before lines are left out. */
#define WAITING_BYTES_MAX ((size_t)4 << 20)

struct th_listen {
    th_kernel *kernel;
    th_socket *socket; /* one reference */
    th_tracer *tracer;
    th_buf id;
    _Atomic bool began;

    /* Under the kernel's lock of tracing. */
    uint64_t left_out;
};

static void put_who(th_buf *out, th_kernel *kernel, const char *key,
                    const th_ident *who)
{
    if (who->entry != NULL) {
        th_show_put_address(out, kernel, key, who);
    }
}

/* Whole numbers that not everybody reads whole: as a text, in hexadecimal. */
static void put_hex(th_buf *out, const char *key, uint64_t number)
{
    th_json_put_key(out, key);
    th_buf_putf(out, "\"%llx\"", (unsigned long long)number);
}

static void put_traced(th_buf *out, th_kernel *kernel, const th_traced *what)
{
    th_wall at = th_world_wall(th_kernel_world(kernel));

    th_json_put_pair_u64(out, "at_ms", (uint64_t)(at.ns / TH_MS));
    th_json_put_pair(out, "kind", th_slice_str(what->kind));
    put_who(out, kernel, "from", &what->from);
    put_who(out, kernel, "to", &what->to);
    if (what->topic.bytes > 0) {
        th_json_put_pair(out, "topic", what->topic);
    }
    if (what->request != 0) {
        put_hex(out, "request", what->request);
        put_who(out, kernel, "requester", &what->requester);
    }
    if (what->lineage != 0) {
        put_hex(out, "chain", what->lineage);
    }
    th_json_put_pair_u64(out, "hops", what->hops);
    if (what->is_inherited || what->is_delegated) {
        th_json_put_key(out, what->is_delegated ? "delegated" : "inherits");
        th_buf_puts(out, "true");
    }
    th_json_put_pair_u64(out, "body_bytes", what->body_bytes);
    th_json_put_pair_u64(out, "metadata_bytes", what->metadata_bytes);
    th_json_put_pair_u64(out, "blob_bytes", what->blob_bytes);
    th_json_put_pair_u64(out, "capabilities", what->caps_count);
    th_json_put_pair(out, "outcome",
                     th_slice_str(what->outcome == TH_OK
                                      ? "delivered"
                                      : th_reason_of(what->outcome)->name));
}

static void hear(void *context, const th_traced *what)
{
    th_listen *self = context;
    th_auto_buf line = TH_BUF_INIT;

    if (!atomic_load(&self->began)) {
        return;
    }
    if (th_socket_waiting(self->socket) > WAITING_BYTES_MAX) {
        self->left_out++;
        return;
    }
    th_buf_putf(&line, "{\"id\":%s,\"traced\":{", th_buf_text(&self->id));
    put_traced(&line, self->kernel, what);
    if (self->left_out > 0) {
        th_json_put_pair_u64(&line, "left_out", self->left_out);
    }
    th_buf_puts(&line, "}}\n");
    if (line.failed || th_socket_write(self->socket, th_buf_slice(&line)) != TH_OK) {
        self->left_out++;
    } else {
        self->left_out = 0;
    }
}

th_err th_listen_new(th_listen **out, th_kernel *kernel, th_socket *socket, th_slice id,
                     th_pid pid)
{
    th_listen *self = th_calloc(1, sizeof *self);
    th_err err = TH_QUOTA;

    if (self == NULL) {
        return TH_QUOTA;
    }
    self->kernel = kernel;
    self->socket = th_socket_ref(socket);
    th_buf_put(&self->id, id.at, id.bytes);
    if (!self->id.failed) {
        err = th_tracer_new(&self->tracer, kernel, pid, hear, self);
    }
    if (err != TH_OK) {
        th_listen_free(self);
        return err;
    }
    *out = self;
    return TH_OK;
}

void th_listen_begin(th_listen *listen)
{
    atomic_store(&listen->began, true);
}

th_listen *th_listen_free(th_listen *listen)
{
    if (listen == NULL) {
        return NULL;
    }
    th_tracer_free(listen->tracer);
    th_socket_unref(listen->socket);
    th_buf_deinit(&listen->id);
    return th_free(listen);
}
