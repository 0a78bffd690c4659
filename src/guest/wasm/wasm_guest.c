#include "guest/wasm/wasm_bell.h"
#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"
#include "base/slab.h"

#include <stdlib.h>

/*
 * A Wasm process: one instance of the engine, which runs on a stack of its own and
 * yields by returning from its poll.
 *
 * A poll that ends BLOCKED may mean three things: the slice is used up, then the guest
 * woke itself meanwhile; an operation waits for the mailbox; or the guest sleeps, and a
 * waker pokes it.
 */

#define TABLE_ELEMENTS_MAX 20000 /* what large programs of compilers need */
#define SLICE_FUEL 20000         /* simulation: about so many instructions */
#define ERROR_BYTES_MAX 2048     /* of the reason of an end */
#define LOG_BYTES_MAX 8192       /* of the backtrace */

static __thread th_wasm_process *polled; /* by this thread, now */

void th_wasm_wake(uint64_t number)
{
    if (polled != NULL && polled->bell == number) {
        polled->is_woken = true;
    } else {
        th_wasm_bell_ring(number);
    }
}

/* --- Start ------------------------------------------------------------------------------ */

static th_wasm *wasm_of(const th_entry *entry)
{
    return ((const th_wasm_program *)entry->program)->wasm;
}

static th_err refuse_more(const th_wasm *wasm, th_buf *why)
{
    th_buf_putf(
        why,
        "the node runs %u Wasm processes, which is its limit on this machine: end "
        "some, or raise vm.max_map_count and start it anew",
        wasm->options.processes_max);
    return TH_QUOTA;
}

static th_err check(const th_entry *entry, th_buf *why)
{
    th_wasm *wasm = wasm_of(entry);

    return atomic_load_explicit(&wasm->alive, memory_order_relaxed) <
                   wasm->options.processes_max
               ? TH_OK
               : refuse_more(wasm, why);
}

static bool count_in(th_wasm *wasm)
{
    if (atomic_fetch_add(&wasm->alive, 1) < wasm->options.processes_max) {
        return true;
    }
    atomic_fetch_sub(&wasm->alive, 1);
    return false;
}

static th_err make_instance(th_wasm_process *self, th_buf *why)
{
    const th_entry *entry = th_process_ident(self->process)->entry;
    const th_wasm_program *program = entry->program;
    th_auto_buf our = TH_BUF_INIT;
    th_instance_options options = {.pid = self->bell,
                                   .host = &th_wasm_host,
                                   .limits = {.memory_bytes_max =
                                                  entry->limits.memory_bytes_max,
                                              .table_elements_max = TABLE_ELEMENTS_MAX,
                                              .message_bytes_max =
                                                  TH_WASM_CALL_BYTES_MAX,
                                              .slice_fuel = SLICE_FUEL}};
    th_wbuf error = {0};

    th_kernel_address_text(th_process_kernel(self->process),
                           th_process_ident(self->process), &our);
    options.our = th_buf_text(&our);
    self->instance = th_instance_new(program->program, &options, &error);
    if (self->instance == NULL) {
        th_buf_put(why, error.ptr, error.len);
        free(error.ptr);
        return TH_FAILED;
    }
    return TH_OK;
}

static th_err start(th_process *process, th_buf *why)
{
    th_wasm *wasm = wasm_of(th_process_ident(process)->entry);
    th_wasm_process *self;

    if (!count_in(wasm)) {
        return refuse_more(wasm, why);
    }
    self = th_slab_new(sizeof *self);
    if (self == NULL) {
        atomic_fetch_sub(&wasm->alive, 1);
        th_buf_puts(why, TH_WASM_NO_MEMORY);
        return TH_QUOTA;
    }
    memset(self, 0, sizeof *self);
    self->process = process;
    th_list_init(&self->prompts);
    th_process_set_state(process, self);
    self->bell =
        th_wasm_bell_hang(th_process_kernel(process), th_process_ident(process)->pid);
    if (self->bell == 0) {
        th_buf_puts(why, TH_WASM_NO_MEMORY);
        return TH_QUOTA;
    }
    return make_instance(self, why);
}

/* --- End --------------------------------------------------------------------------------- */

/* The last link of a chain of causes: "    0: ...\n    1: ...", or the one by itself. */
static th_slice last_link(th_slice chain)
{
    size_t start = 0;

    for (size_t at = 0; at + 1 < chain.bytes; at++) {
        size_t digits = at;

        if (at > 0 && chain.at[at - 1] != '\n') {
            continue;
        }
        while (digits < chain.bytes && chain.at[digits] == ' ') {
            digits++;
        }
        if (digits + 1 < chain.bytes && chain.at[digits] >= '0' &&
            chain.at[digits] <= '9' && chain.at[digits + 1] == ':') {
            start = digits + 2;
        }
    }
    return th_slice_from(chain, start);
}

static th_slice trim(th_slice text)
{
    while (text.bytes > 0 && (*text.at == ' ' || *text.at == '\n')) {
        text = th_slice_from(text, 1);
    }
    while (text.bytes > 0 && text.at[text.bytes - 1] == '\n') {
        text.bytes--;
    }
    return text.bytes > ERROR_BYTES_MAX ? th_slice_of(text.at, ERROR_BYTES_MAX) : text;
}

/* What it came to: behind the backtrace, before its last words. */
static th_slice cause_of(th_slice text)
{
    static const char mark[] = "Caused by:\n";
    const char *found = memmem(text.at, text.bytes, mark, sizeof mark - 1);
    const char *words;

    if (found != NULL) {
        text = th_slice_from(text, (size_t)(found - text.at) + sizeof mark - 1);
    }
    words = memmem(text.at, text.bytes, "\n\n", 2);
    if (words != NULL) {
        text.bytes = (size_t)(words - text.at);
    }
    return trim(found == NULL ? text : last_link(text));
}

static void end(th_wasm_process *self, th_end how, th_err reason, th_slice error)
{
    th_process_end(self->process,
                   th_exit_new(how, reason, error, TH_FORMAT_BYTES, TH_SLICE("")));
}

static void end_crashed(th_wasm_process *self, const char *prefix, const th_wend *how)
{
    th_slice text = th_slice_of(how->text.ptr, how->text.len);
    th_slice cause = cause_of(text);
    bool is_limit = self->is_starved || how->refused_bytes > 0;
    th_auto_buf error = TH_BUF_INIT;

    th_buf_puts(&error, prefix);
    th_buf_put(&error, cause.at, cause.bytes);
    if (how->refused_bytes > 0 && self->is_short) {
        th_buf_putf(
            &error,
            "; it had asked for %llu bytes more, and the node's memory is used up: "
            "end some processes, or give the node more",
            (unsigned long long)how->refused_bytes);
    } else if (how->refused_bytes > 0) {
        th_buf_putf(&error,
                    "; it had asked for %llu bytes more than its memory limit of %zu "
                    "allows",
                    (unsigned long long)how->refused_bytes,
                    th_process_limits(self->process)->memory_bytes_max);
    }
    end(self, TH_END_CRASH, is_limit ? TH_QUOTA : TH_FAILED, th_buf_slice(&error));
    if (text.bytes > cause.bytes) {
        th_process_output(self->process, TH_OUTPUT_LOG,
                          text.bytes > LOG_BYTES_MAX
                              ? th_slice_of(text.at, LOG_BYTES_MAX)
                              : text);
    }
}

static void end_exited(th_wasm_process *self, int code)
{
    th_auto_buf error = TH_BUF_INIT;

    if (code == 0) {
        end(self, TH_END_RETURN, TH_OK, TH_SLICE(""));
        return;
    }
    th_buf_putf(&error, "it exited with code %d", code);
    end(self, TH_END_CRASH, TH_FAILED, th_buf_slice(&error));
}

static void finish(th_wasm_process *self, int status, th_wend *how)
{
    th_wasm_print_rest(self);
    switch ((enum th_wstatus)status) {
    case TH_W_BLOCKED:
    case TH_W_RETURNED:
        end(self, TH_END_RETURN, TH_OK, TH_SLICE(""));
        break;
    case TH_W_EXITED:
        end_exited(self, how->exit_code);
        break;
    case TH_W_TRAPPED:
        end_crashed(self, "", how);
        break;
    case TH_W_PANICKED:
        end_crashed(self, "a defect of the node's Wasm engine: ", how);
        break;
    }
    free(how->text.ptr);
}

/* --- Run ---------------------------------------------------------------------------------- */

static bool waits_for_mail(const th_wasm_process *self)
{
    return self->waits == TH_WASM_WAITS_MAIL || self->waits == TH_WASM_WAITS_REPLY ||
           self->waits == TH_WASM_WAITS_SAVED;
}

static th_run run(th_process *process)
{
    th_wasm_process *self = th_process_state(process);
    th_wend how = {0};
    int status;

    if (waits_for_mail(self) && !th_wasm_mail_look(self)) {
        return TH_RUN_BLOCKED;
    }
    self->is_woken = false;
    polled = self;
    status = th_instance_poll(self->instance, self, &how);
    polled = NULL;
    if (status != TH_W_BLOCKED) {
        finish(self, status, &how);
        return TH_RUN_ENDED;
    }
    if (self->is_woken || self->waits == TH_WASM_WAITS_TURN) {
        return TH_RUN_YIELDED;
    }
    return waits_for_mail(self) ? TH_RUN_BLOCKED : TH_RUN_ASLEEP;
}

static void drop(th_process *process)
{
    th_wasm_process *self = th_process_state(process);

    if (self == NULL) {
        return;
    }
    th_instance_free(self->instance);
    th_wasm_bell_take_down(self->bell);
    th_wasm_mail_deinit(self);
    th_wasm_save_deinit(self);
    th_wasm_outbox_free(self->outbox);
    th_buf_deinit(&self->lines[0]);
    th_buf_deinit(&self->lines[1]);
    th_process_set_state(process, NULL);
    th_slab_free(self, sizeof *self);
    atomic_fetch_sub(&wasm_of(th_process_ident(process)->entry)->alive, 1);
}

static size_t memory(const th_process *process)
{
    const th_wasm_process *self = th_process_state(process);

    return self == NULL || self->instance == NULL
               ? 0
               : (size_t)th_instance_memory_bytes(self->instance);
}

const th_guest th_guest_wasm = {.name = "wasm",
                                .is_strict = true,
                                .parks = false,
                                .check = check,
                                .accept = th_wasm_accept,
                                .start = start,
                                .run = run,
                                .drop = drop,
                                .memory = memory};
