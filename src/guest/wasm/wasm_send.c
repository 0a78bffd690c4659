#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * What a process sends: requests and responses, as the tables of core/prompt.h say.
 *
 * What nobody answers and nobody takes is lost in silence (text 000): the kernel counts
 * it. A node out of reach sends it back, and a response that finds no room comes back,
 * too, with the request that it answers.
 *
 * A request that nobody is to answer and whose metadata is an object with a "topic" is a
 * message on that topic: so a Lua process that listens gets what it could get from its
 * like. To a Wasm process it is the request that it was, metadata and all.
 */

/* A request on its way out. */
typedef struct outgoing {
    th_wmsg *message;
    const th_request_row *row; /* what it is */
    th_wasm_target target;
    th_pid to;
    th_err found; /* OK, or why there is nobody */
} outgoing;

/*
 * Who is meant. The target of the last send is remembered: an address means the same
 * process for as long as that lives.
 */
static th_err resolve(th_wasm_process *self, const th_wasm_target *target, th_pid *out)
{
    char text[TH_ID_TEXT_BYTES];
    th_id_error error;
    size_t bytes;
    th_err err;

    if (target->bytes == self->known_bytes &&
        memcmp(target->packed, self->known, target->bytes) == 0 &&
        th_kernel_is_alive(th_process_kernel(self->process), self->known_pid)) {
        *out = self->known_pid;
        return TH_OK;
    }
    if (!th_wasm_target_text(target, text, &bytes)) {
        return TH_NOT_FOUND;
    }
    err = th_process_resolve(self->process, th_slice_of(text, bytes), out, &error);
    if (err == TH_OK && target->bytes <= sizeof self->known) {
        self->known_bytes = (uint8_t)target->bytes;
        self->known_pid = *out;
        memcpy(self->known, target->packed, target->bytes);
    }
    return err == TH_INVALID ? TH_NOT_FOUND : err;
}

static th_blob *take_explicit_blob(th_wmsg *message)
{
    th_slice mime = th_slice_of(NULL, 0);

    if (message->has_mime) {
        mime = th_slice_of(message->mime.len == 0 ? "" : (char *)message->mime.ptr,
                           message->mime.len);
    }
    return th_wasm_take_blob(&message->blob, mime);
}

/* The blob that goes along. False: no memory. */
static bool take_blob(th_wasm_process *self, th_wmsg *message, th_blob **out)
{
    th_blob *of_prompt = self->prompt == NULL ? NULL : self->prompt->blob;

    *out = NULL;
    switch (th_prompt_blob(message->has_blob, message->inherit, self->blob != NULL,
                           of_prompt != NULL)
                ->from) {
    case TH_BLOB_NONE:
        return true;
    case TH_BLOB_EXPLICIT:
        *out = take_explicit_blob(message);
        break;
    case TH_BLOB_CURRENT:
        *out = th_blob_ref(self->blob);
        break;
    case TH_BLOB_PROMPT:
        *out = th_blob_ref(of_prompt);
        break;
    }
    return *out != NULL;
}

static th_msg *make(th_wasm_process *self, th_msg_kind kind, th_wmsg *message,
                    th_slice topic)
{
    th_auto(th_blob) blob = NULL;
    th_auto(th_caps) caps = NULL;

    if (!take_blob(self, message, &blob) ||
        !th_wasm_claim(self, &message->caps, &caps)) {
        return NULL;
    }
    return th_wasm_msg_new(kind, message, topic, &(th_wasm_freight){blob, caps});
}

static th_failure failure_of(th_err err)
{
    switch (err) {
    case TH_OFFLINE:
        return TH_FAILURE_OFFLINE;
    case TH_NOT_FOUND:
    case TH_DIED:
        return TH_FAILURE_NOBODY;
    default:
        return TH_FAILURE_REFUSED;
    }
}

/* --- Requests --------------------------------------------------------------------------- */

static uint64_t timeout_of(const th_wmsg *message)
{
    uint64_t seconds = message->has_expects ? message->expects_s : 0;

    if (seconds > INT64_MAX / TH_S) {
        return INT64_MAX;
    }
    return seconds == 0 ? 1 : seconds * TH_S; /* none at all: at once */
}

/* One that comes back, as its answer or as an error. */
static th_err send_tracked(th_wasm_process *self, const outgoing *what, th_msg *msg,
                           th_request **out)
{
    th_ask ask = {.to = what->to,
                  .refused = what->found,
                  .timeout_ns = timeout_of(what->message)};
    th_wmsg *message = what->message;
    th_wasm_prompt *saved = NULL;
    th_err err = TH_QUOTA;

    if (what->row->lineage == TH_ORIGIN_PROMPT) {
        ask.under = self->prompt;
    }
    if (message->has_context) {
        ask.context = th_wasm_take_blob(&message->context, th_slice_of(NULL, 0));
    }
    if ((ask.context != NULL || !message->has_context) &&
        th_wasm_mail_save_prompt(self, &saved)) {
        ask.tag = saved;
        err = th_process_request(self->process, &ask, msg, out);
        if (err != TH_OK) {
            th_wasm_mail_unsave_prompt(self, saved);
        }
    }
    th_blob_unref(ask.context);
    return err;
}

/* For the prompt's requester, who is told what comes of it. */
static th_err send_on(th_wasm_process *self, const outgoing *what, th_msg *msg)
{
    if (what->found == TH_OFFLINE) {
        th_process_refuse(self->process, self->prompt, TH_OFFLINE);
        th_msg_unref(msg);
        return TH_OK;
    }
    return th_process_forward(self->process, self->prompt, what->to, msg);
}

static th_err send_one_way(th_wasm_process *self, const outgoing *what, th_msg *msg)
{
    th_err err = what->found;

    if (what->row->answer == TH_ANSWER_TO_PROMPTER) {
        err = send_on(self, what, msg);
    } else if (err == TH_OK) {
        err = th_process_send(self->process, what->to, msg);
    }
    if (err != TH_OK) {
        th_process_note_refused(self->process, what->to, err);
        th_msg_unref(msg);
    }
    return TH_OK;
}

static th_err send_one_way_of(th_wasm_process *self, const outgoing *what)
{
    th_auto_buf topic = TH_BUF_INIT;
    bool is_send = what->row->answer == TH_ANSWER_TO_NOBODY &&
                   th_wasm_names_topic(what->message, &topic);
    th_msg *msg = make(self, is_send ? TH_MSG_SEND : TH_MSG_REQUEST, what->message,
                       th_buf_slice(&topic));

    return msg == NULL ? TH_QUOTA : send_one_way(self, what, msg);
}

/* Does it come back by itself, or have its answer? */
static bool is_tracked(const outgoing *what)
{
    return what->row->answer == TH_ANSWER_TO_SELF ||
           (what->row->answer == TH_ANSWER_TO_NOBODY && what->found != TH_OK &&
            th_prompt_fail(TH_OUTGOING_ONE_WAY, failure_of(what->found))->then ==
                TH_FAILED_RETURNS);
}

static th_err send_request(th_wasm_process *self, const outgoing *what,
                           th_request **out)
{
    bool is_awaited = out == &self->awaited;
    th_msg *msg;
    th_err err;

    if (what->row->answer != TH_ANSWER_TO_PROMPTER &&
        th_wasm_sys_does(self, &what->target, what->message, is_awaited, &err)) {
        return err;
    }
    if (!is_tracked(what)) {
        return send_one_way_of(self, what);
    }
    msg = make(self, TH_MSG_REQUEST, what->message,
               th_slice_of(what->target.packed, what->target.bytes));
    if (msg == NULL) {
        return TH_QUOTA;
    }
    err = send_tracked(self, what, msg, out);
    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

static int refuse(const th_wasm_process *self, th_wbuf *trap)
{
    return th_wasm_trap(
        trap,
        "a request could not be sent: it has its limit of %u open requests, "
        "or the node's memory ran out",
        th_process_limits(self->process)->requests_max);
}

/* Find the target; a text in @trap if that cannot be. */
static bool address(th_wasm_process *self, outgoing *what, th_wbuf *trap)
{
    th_wmsg *message = what->message;
    size_t bytes = 0;

    if (!th_wasm_caps_are_few(&message->caps, &bytes, trap)) {
        return false;
    }
    if (th_wasm_target_pack(&what->target, &message->peer) != TH_OK) {
        th_wasm_trap(trap, "a part of a target's address has more than %d bytes",
                     TH_WASM_PART_BYTES_MAX);
        return false;
    }
    what->row =
        th_prompt_request(message->has_expects, message->inherit, self->prompt != NULL);
    what->to = TH_PID_NONE;
    what->found = resolve(self, &what->target, &what->to);
    return true;
}

int th_wasm_send(th_wasm_process *self, th_wmsg *message, th_wbuf *trap)
{
    outgoing what = {.message = message};
    th_request *request;

    if (!address(self, &what, trap)) {
        return TH_W_TRAP;
    }
    return send_request(self, &what, &request) == TH_OK ? TH_W_READY
                                                        : refuse(self, trap);
}

int th_wasm_send_awaited(th_wasm_process *self, th_wmsg *message, th_wbuf *trap)
{
    outgoing what = {.message = message};

    if (!message->has_expects) {
        return th_wasm_trap(trap,
                            "send-and-await-response of a request that expects no "
                            "response would wait for ever: give it a timeout");
    }
    if (!address(self, &what, trap)) {
        return TH_W_TRAP;
    }
    if (th_pid_eq(what.to, th_process_ident(self->process)->pid)) {
        return th_wasm_trap(trap,
                            "send-and-await-response to itself would wait for ever: "
                            "use send-request, then receive");
    }
    if (send_request(self, &what, &self->awaited) != TH_OK) {
        return refuse(self, trap);
    }
    self->waits = TH_WASM_WAITS_REPLY;
    return TH_W_READY;
}

/* --- Many at a time ------------------------------------------------------------------------ */

/* A sender whose slice is over lets others run before it goes on. */
static int end_send(th_wasm_process *self, int answer)
{
    if (answer == TH_W_READY && th_process_should_yield(self->process)) {
        self->waits = TH_WASM_WAITS_TURN;
        return TH_W_PENDING;
    }
    return answer;
}

/* From @next on, until all are sent or the slice is over. */
static int send_from(th_wasm_process *self, th_wmsgs *messages, size_t *next,
                     th_wbuf *trap)
{
    int answer = TH_W_READY;

    while (answer == TH_W_READY && *next < messages->len) {
        answer = th_wasm_send(self, &messages->ptr[(*next)++], trap);
        answer = end_send(self, answer);
    }
    return answer;
}

int th_wasm_send_all(th_wasm_process *self, th_wcall *args, th_wbuf *trap)
{
    size_t next = 0;
    int answer = send_from(self, &args->messages, &next, trap);

    if (answer == TH_W_PENDING && next < args->messages.len) {
        self->outbox = th_malloc(sizeof *self->outbox);
        if (self->outbox == NULL) {
            return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
        }
        *self->outbox = (th_wasm_outbox){args->messages, next};
        args->messages.ptr = NULL;
    }
    return answer;
}

int th_wasm_send_rest(th_wasm_process *self, th_wbuf *trap)
{
    th_wasm_outbox *outbox = self->outbox;
    int answer = TH_W_READY;

    self->waits = TH_WASM_WAITS_NOT;
    if (outbox != NULL) {
        answer = send_from(self, &outbox->messages, &outbox->next, trap);
        if (outbox->next == outbox->messages.len) {
            self->outbox = th_wasm_outbox_free(outbox);
        }
    }
    return answer;
}

static void free_address(th_waddr *address)
{
    free(address->node.ptr);
    free(address->process.ptr);
    free(address->package.ptr);
    free(address->publisher.ptr);
}

static void free_message(th_wmsg *message)
{
    free_address(&message->peer);
    free(message->body.ptr);
    free(message->metadata.ptr);
    free(message->context.ptr);
    free(message->mime.ptr);
    free(message->blob.ptr);
    for (size_t i = 0; i < message->caps.len; i++) {
        free_address(&message->caps.ptr[i].issuer);
        free(message->caps.ptr[i].params.ptr);
    }
    free(message->caps.ptr);
}

th_wasm_outbox *th_wasm_outbox_free(th_wasm_outbox *outbox)
{
    for (size_t i = 0; outbox != NULL && i < outbox->messages.len; i++) {
        free_message(&outbox->messages.ptr[i]);
    }
    if (outbox != NULL) {
        free(outbox->messages.ptr);
    }
    return th_free(outbox);
}

/* --- Responses --------------------------------------------------------------------------- */

/*
 * It comes back, as an error of its own, and the prompt with it, so that it can be sent
 * again. Where there is no room for that it is only counted. Takes @answer.
 */
static void return_response(th_wasm_process *self, th_msg *answer, th_err err)
{
    th_wasm_note note = {.kind = TH_RECEIVED_RESPONSE_FAILED, .msg = answer};
    th_pid to = self->prompt->requester;

    if (th_kernel_ident(th_process_kernel(self->process), to, &note.to) != TH_OK) {
        th_msg_unref(answer);
        return;
    }
    if (!th_wasm_mail_save_prompt(self, &note.saved)) {
        note.msg = th_msg_unref(answer); /* so that it is refused */
    }
    if (th_wasm_mail_note(self, &note, false) != TH_OK) {
        th_process_note_refused(self->process, to, err);
    }
}

static void respond(th_wasm_process *self, th_msg *answer)
{
    th_err err = th_process_respond(self->process, self->prompt, answer);

    if (err == TH_OK) {
        return;
    }
    if (err == TH_TIMED_OUT || /* it is late, or the second one */
        th_prompt_fail(TH_OUTGOING_RESPONSE, failure_of(err))->then ==
            TH_FAILED_SILENT) {
        th_msg_unref(answer);
        return;
    }
    return_response(self, answer, err);
}

int th_wasm_respond(th_wasm_process *self, th_wmsg *message, th_wbuf *trap)
{
    size_t bytes = 0;
    th_msg *answer;

    if (!th_wasm_caps_are_few(&message->caps, &bytes, trap)) {
        return TH_W_TRAP;
    }
    if (th_prompt_response(self->prompt != NULL) == TH_ANSWER_TO_NOBODY) {
        return TH_W_READY; /* silent, as text 000 has it */
    }
    answer = make(self, TH_MSG_RESPONSE, message, TH_SLICE(""));
    if (answer == NULL) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    respond(self, answer);
    return end_send(self, TH_W_READY);
}
