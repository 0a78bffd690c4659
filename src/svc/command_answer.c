#include "svc/command.h"

/* What the kernel answers to its commands. */

void th_kernel_command_put_reason(th_buf *out, th_err err, th_slice message)
{
    th_buf_putc(out, '{');
    th_json_put_pair(out, "reason", th_slice_str(th_reason_of(err)->name));
    th_json_put_pair(out, "message",
                     message.bytes > 0 ? message
                                       : th_slice_str(th_reason_of(err)->text));
    th_buf_putc(out, '}');
}

void th_kernel_command_put_error(th_buf *out, th_err err, th_slice message)
{
    th_buf_puts(out, "{\"Err\":");
    th_kernel_command_put_reason(out, err, message);
    th_buf_putc(out, '}');
}

void th_kernel_command_put_answer(th_buf *out, th_kernel_command_kind kind, th_slice id,
                                  th_err err, th_slice message)
{
    if (kind == TH_KC_INITIALIZE) {
        th_buf_puts(out, err == TH_OK ? "\"InitializedProcess\""
                                      : "\"InitializeProcessError\"");
    } else if (kind == TH_KC_RUN) {
        th_buf_puts(out, err == TH_OK ? "\"StartedProcess\"" : "\"RunProcessError\"");
    } else if (err != TH_OK) {
        th_kernel_command_put_error(out, err, message);
    } else if (kind == TH_KC_KILL) {
        th_buf_putc(out, '{');
        th_json_put_pair(out, "KilledProcess", id);
        th_buf_putc(out, '}');
    } else {
        th_buf_puts(out, "\"Ok\"");
    }
}

/* --- Debug ------------------------------------------------------------------------ */

typedef struct putting {
    th_buf *out;
    th_slice node;
    bool is_first;
} putting;

static bool put_cap(void *context, th_cap *cap)
{
    putting *putting = context;

    th_buf_puts(putting->out, putting->is_first ? "" : ",");
    putting->is_first = false;
    th_cap_encode(putting->out, putting->node, cap);
    return true;
}

static void put_process(th_buf *out, th_slice node,
                        const th_kernel_command_process *process)
{
    putting putting = {out, node, true};

    th_buf_putc(out, '{');
    th_json_put_pair(out, "wasm_bytes_handle", process->handle);
    th_json_put_key(out, "wit_version");
    if (process->has_wit_version) {
        th_buf_putf(out, "%u", process->wit_version);
    } else {
        th_buf_puts(out, "null");
    }
    th_json_put_key(out, "on_exit");
    th_on_exit_encode(out, node, process->on_exit);
    th_json_put_key(out, "capabilities");
    th_buf_putc(out, '[');
    th_capset_each(process->caps, put_cap, &putting);
    th_buf_putf(out, "],\"public\":%s}", process->is_public ? "true" : "false");
}

void th_kernel_command_map_begin(th_buf *out)
{
    th_buf_puts(out, "{\"Debug\":{\"ProcessMap\":{");
}

void th_kernel_command_map_put(th_buf *out, th_slice node,
                               const th_kernel_command_process *process)
{
    if (out->bytes > 0 && out->at[out->bytes - 1] != '{') {
        th_buf_putc(out, ',');
    }
    th_json_put_text(out, process->id);
    th_buf_putc(out, ':');
    put_process(out, node, process);
}

void th_kernel_command_map_end(th_buf *out)
{
    th_buf_puts(out, "}}}");
}

void th_kernel_command_put_process(th_buf *out, th_slice node,
                                   const th_kernel_command_process *process)
{
    th_buf_puts(out, "{\"Debug\":{\"Process\":");
    if (process == NULL) {
        th_buf_puts(out, "null");
    } else {
        put_process(out, node, process);
    }
    th_buf_puts(out, "}}");
}

void th_kernel_command_put_has_cap(th_buf *out, th_has_cap has)
{
    th_buf_putf(out, "{\"Debug\":{\"HasCap\":%s}}",
                has == TH_HAS_CAP_NOBODY ? "null"
                : has == TH_HAS_CAP_YES  ? "true"
                                         : "false");
}
