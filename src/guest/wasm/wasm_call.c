#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_bell.h"
#include "guest/wasm/wasm_owner.h"

#include <stdlib.h>

/*
 * The host of a process: what each function of kinode:process/standard does.
 */

bool th_wasm_one_message(th_wcall *reply)
{
    reply->messages.ptr = calloc(1, sizeof *reply->messages.ptr);
    reply->messages.len = reply->messages.ptr != NULL;
    return reply->messages.ptr != NULL;
}

/* --- One operation each ------------------------------------------------------------------ */

static int print(th_wasm_process *self, const th_wcall *args)
{
    th_wasm_print(self, args->number == 0 ? TH_OUTPUT_PRINT : TH_OUTPUT_LOG,
                  th_slice_of(args->text.ptr, args->text.len));
    return TH_W_READY;
}

static int give_blob(const th_blob *blob, th_wcall *reply, th_wbuf *trap)
{
    if (blob == NULL) {
        return TH_W_READY;
    }
    if (!th_wasm_one_message(reply) ||
        th_wasm_put_blob(blob, reply->messages.ptr) != TH_OK) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    return TH_W_READY;
}

static int go_on(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    if (!th_wasm_mail_look(self)) {
        return TH_W_PENDING;
    }
    return self->waits == TH_WASM_WAITS_SAVED ? th_wasm_save_answer(self, reply, trap)
                                              : th_wasm_mail_answer(self, reply, trap);
}

static int await(th_wasm_process *self, th_wcall *args, th_wcall *reply, th_wbuf *trap)
{
    int answer = th_wasm_send_awaited(self, &args->messages.ptr[0], trap);

    return answer == TH_W_READY ? go_on(self, reply, trap) : answer;
}

/* --- The table ------------------------------------------------------------------------------ */

/* What is kept of it. Those that change it may have to wait. */
static int call_kept(th_wasm_process *self, enum th_wop op, th_wcall *args,
                     th_wcall *reply, th_wbuf *trap)
{
    switch (op) {
    case TH_W_GET_ON_EXIT:
        return th_wasm_get_on_exit(self, reply, trap);
    case TH_W_SET_ON_EXIT:
        return th_wasm_set_on_exit(self, args, trap);
    case TH_W_GET_STATE:
    case TH_W_SET_STATE:
    case TH_W_CLEAR_STATE:
        return th_wasm_state(self, op, args, trap);
    case TH_W_SPAWN:
        return th_wasm_spawn(self, args, reply, trap);
    case TH_W_SAVE_CAPS:
    case TH_W_DROP_CAPS:
        return th_wasm_hold_caps(self, op, &args->caps, trap);
    case TH_W_OUR_CAPS:
        return th_wasm_our_caps(self, reply, trap);
    default:
        return th_wasm_trap(trap, "the node does not know this function");
    }
}

/* What was submitted may be done already, as always in simulation. */
static int call_process(th_wasm_process *self, enum th_wop op, th_wcall *args,
                        th_wcall *reply, th_wbuf *trap)
{
    int answer = call_kept(self, op, args, reply, trap);

    return answer == TH_W_PENDING ? go_on(self, reply, trap) : answer;
}

static int call(void *env, uint32_t op, th_wcall *args, th_wcall *reply, th_wbuf *trap)
{
    th_wasm_process *self = env;

    switch ((enum th_wop)op) {
    case TH_W_PRINT:
        return print(self, args);
    case TH_W_RECEIVE:
        self->waits = TH_WASM_WAITS_MAIL;
        return go_on(self, reply, trap);
    case TH_W_AWAIT:
        return await(self, args, reply, trap);
    case TH_W_SEND_REQUESTS:
        return th_wasm_send_all(self, args, trap);
    case TH_W_SEND_RESPONSE:
        return th_wasm_respond(self, &args->messages.ptr[0], trap);
    case TH_W_HAS_BLOB:
        reply->number = self->blob != NULL;
        return TH_W_READY;
    case TH_W_GET_BLOB:
        return give_blob(self->blob, reply, trap);
    case TH_W_LAST_BLOB:
        return give_blob(self->last_blob, reply, trap);
    default:
        return call_process(self, (enum th_wop)op, args, reply, trap);
    }
}

static int resume(void *env, th_wcall *reply, th_wbuf *trap)
{
    th_wasm_process *self = env;

    if (self->waits == TH_WASM_WAITS_TURN) {
        return th_wasm_send_rest(self, trap);
    }
    return go_on(self, reply, trap);
}

/* --- World ------------------------------------------------------------------------------------ */

static int64_t now_mono_ns(void *env)
{
    return th_process_now(((th_wasm_process *)env)->process).ns;
}

static int64_t now_wall_ns(void *env)
{
    return th_process_wall(((th_wasm_process *)env)->process).ns;
}

static void dice(void *env, uint8_t *out, size_t bytes)
{
    th_process_dice(((th_wasm_process *)env)->process, out, bytes);
}

static bool may_grow(void *env, uint64_t held, uint64_t more)
{
    th_wasm_process *self = env;

    self->is_short = !th_process_may_grow(self->process, held, more);
    return !self->is_short;
}

const th_whost th_wasm_host = {
    .call = call,
    .resume = resume,
    .wake = th_wasm_wake,
    .print = th_wasm_print_raw,
    .now_mono_ns = now_mono_ns,
    .now_wall_ns = now_wall_ns,
    .random = dice,
    .may_grow = may_grow,
};
