#include "guest/wasm/wasm_convert.h"
#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"
#include "base/slab.h"

/*
 * What arrives, and what is current.
 *
 * Of what arrives, the last message that can be answered is the prompt. A request takes
 * note of the prompt under which it was sent, and its end brings that back (text 000):
 * so a process may answer what it was asked before it had to ask somebody itself.
 */

/* --- The prompt ------------------------------------------------------------------------ */

/* At its end the kernel has given back what it held: then there is nothing to forget. */
static void forget(th_wasm_process *self, th_msg *question)
{
    if (!self->is_ending) {
        th_process_forget(self->process, question);
    }
}

static void saved_unref(th_wasm_process *self, th_wasm_prompt *saved)
{
    if (--saved->refs > 0) {
        return;
    }
    forget(self, saved->msg);
    th_msg_unref(saved->msg);
    th_list_remove(&saved->link);
    th_slab_free(saved, sizeof *saved);
}

/* The prompt goes; if nothing brings it back, nobody can answer it any more. */
static void release_prompt(th_wasm_process *self)
{
    if (self->saved != NULL) {
        saved_unref(self, th_take(&self->saved));
    } else if (self->prompt != NULL) {
        forget(self, self->prompt);
    }
    self->prompt = th_msg_unref(self->prompt);
}

static void restore_prompt(th_wasm_process *self, th_wasm_prompt *saved)
{
    release_prompt(self);
    if (saved != NULL) {
        self->prompt = th_msg_ref(saved->msg);
        self->saved = saved; /* the request's reference is now this one's */
    }
}

bool th_wasm_mail_save_prompt(th_wasm_process *self, th_wasm_prompt **out)
{
    th_wasm_prompt *saved = self->saved;

    if (self->prompt == NULL) {
        *out = NULL;
        return true;
    }
    if (saved == NULL) {
        saved = th_slab_new(sizeof *saved);
        if (saved == NULL) {
            return false;
        }
        saved->refs = 1;
        saved->msg = th_msg_ref(self->prompt);
        th_list_push(&self->prompts, &saved->link);
        self->saved = saved;
    }
    saved->refs++;
    *out = saved;
    return true;
}

void th_wasm_mail_unsave_prompt(th_wasm_process *self, th_wasm_prompt *saved)
{
    if (saved != NULL) {
        saved_unref(self, saved);
    }
}

/* What the table says of what has come: the prompt, the blob and the last one. */
static void settle(th_wasm_process *self, const th_receive_row *row, th_msg *msg,
                   th_wasm_prompt *saved)
{
    if (row->last_blob == TH_BLOB_THEN_THIS) {
        th_blob_unref(self->last_blob);
        self->last_blob = th_blob_ref(msg->blob);
    }
    if (row->blob != TH_BLOB_THEN_KEEP) {
        th_blob_unref(self->blob);
        self->blob = row->blob == TH_BLOB_THEN_THIS ? th_blob_ref(msg->blob) : NULL;
    }
    if (row->prompt == TH_PROMPT_THIS) {
        release_prompt(self);
        self->prompt = th_msg_ref(msg);
    } else if (row->prompt != TH_PROMPT_KEEP) {
        restore_prompt(self, saved);
    }
}

/* --- Letters: what came while it awaited something else ---------------------------------- */

/* The message by itself; NULL: a request of its own came back. */
static th_msg *msg_of(const th_wasm_letter *letter)
{
    switch (letter->from) {
    case TH_WASM_MSG:
        return letter->msg;
    case TH_WASM_REPLY:
        return th_request_response(letter->request);
    case TH_WASM_NOTE:
        return letter->note->msg;
    }
    return NULL;
}

static size_t cost_of(const th_wasm_letter *letter)
{
    const th_msg *msg = msg_of(letter);
    size_t cost = msg == NULL ? 0 : th_msg_cost(msg);

    return letter->from == TH_WASM_NOTE ? cost + sizeof *letter->note +
                                              th_blob_slice(letter->note->context).bytes
                                        : cost;
}

static void charge(th_wasm_process *self, const th_wasm_letter *letter, int sign)
{
    size_t cost = cost_of(letter);

    th_process_charge(self->process, sign * (int64_t)cost, sign);
    if (letter->from == TH_WASM_NOTE) {
        self->notes_count += (uint32_t)sign;
        self->notes_bytes += (size_t)sign * cost;
    }
}

static void free_note(th_wasm_process *self, th_wasm_note *note)
{
    th_wasm_mail_unsave_prompt(self, note->saved);
    th_msg_unref(note->msg);
    th_blob_unref(note->context);
    th_blob_unref(note->to.name);
    th_slab_free(note, sizeof *note);
}

static void discard(th_wasm_process *self, const th_wasm_letter *letter)
{
    switch (letter->from) {
    case TH_WASM_MSG:
        th_msg_unref(letter->msg);
        break;
    case TH_WASM_REPLY:
        th_wasm_mail_unsave_prompt(self, th_request_tag(letter->request));
        th_request_free(self->process, letter->request);
        break;
    case TH_WASM_NOTE:
        free_note(self, letter->note);
        break;
    }
}

static bool grow(th_wasm_process *self)
{
    uint32_t room = self->letters_room == 0 ? 8 : self->letters_room * 2;
    th_wasm_letter *grown = th_calloc(room, sizeof *grown);

    if (grown == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < self->letters_count; i++) {
        grown[i] = self->letters[(self->letters_first + i) % self->letters_room];
    }
    th_free(self->letters);
    self->letters = grown;
    self->letters_room = room;
    self->letters_first = 0;
    return true;
}

/* Takes it in any case. */
static bool keep(th_wasm_process *self, th_wasm_letter letter)
{
    if (self->letters_count == self->letters_room && !grow(self)) {
        discard(self, &letter);
        return false;
    }
    letter.was_kept = true;
    self->letters[(self->letters_first + self->letters_count++) % self->letters_room] =
        letter;
    charge(self, &letter, 1);
    return true;
}

static bool pop(th_wasm_process *self, th_wasm_letter *out)
{
    if (self->letters_count == 0) {
        return false;
    }
    *out = self->letters[self->letters_first];
    self->letters_first = (self->letters_first + 1) % self->letters_room;
    charge(self, out, -1);
    if (--self->letters_count == 0) {
        self->letters = th_free(self->letters);
        self->letters_room = self->letters_first = 0;
    }
    return true;
}

/* --- Notes: what does not come from the mailbox ------------------------------------------ */

/* As for open requests, which these stand for. */
static bool has_room(const th_wasm_process *self, const th_wasm_letter *note)
{
    const th_limits *limits = th_process_limits(self->process);
    size_t cost = cost_of(note);

    return self->notes_count < limits->requests_max &&
           cost <= limits->mailbox_bytes_max &&
           self->notes_bytes <= limits->mailbox_bytes_max - cost &&
           !th_kernel_is_short(th_process_kernel(self->process));
}

static bool make_note(const th_wasm_note *from, th_wasm_letter *out)
{
    *out = (th_wasm_letter){.from = TH_WASM_NOTE, .note = th_slab_new(sizeof *from)};
    if (out->note == NULL) {
        return false;
    }
    *out->note = *from;
    return true;
}

static void drop_note(th_wasm_process *self, const th_wasm_note *from)
{
    th_wasm_mail_unsave_prompt(self, from->saved);
    th_msg_unref(from->msg);
    th_blob_unref(from->context);
    th_blob_unref(from->to.name);
}

th_err th_wasm_mail_note(th_wasm_process *self, const th_wasm_note *from,
                         bool is_awaited)
{
    th_wasm_letter letter;

    if (from->msg == NULL || !make_note(from, &letter)) {
        drop_note(self, from);
        return TH_QUOTA;
    }
    if (is_awaited) {
        self->in_hand = letter;
        self->has_in_hand = true;
        return TH_OK;
    }
    if (!has_room(self, &letter)) {
        discard(self, &letter);
        return TH_QUOTA;
    }
    return keep(self, letter) ? TH_OK : TH_QUOTA;
}

/* --- Looking ------------------------------------------------------------------------------ */

/* False: it is nothing for the guest, or it is starved. */
static bool take_event(th_wasm_process *self, const th_event *event,
                       th_wasm_letter *out)
{
    th_wasm_note note = {.kind = TH_RECEIVED_NOTICE};

    if (!th_wasm_sys_tells(self, event, &note)) {
        return false;
    }
    if (make_note(&note, out)) {
        return true;
    }
    drop_note(self, &note);
    self->is_starved = true;
    return false;
}

static bool take(th_wasm_process *self, const th_delivery *in, th_wasm_letter *out)
{
    switch (in->type) {
    case TH_ITEM_MSG:
        *out = (th_wasm_letter){.from = TH_WASM_MSG, .msg = in->msg};
        return true;
    case TH_ITEM_REPLY:
        *out = (th_wasm_letter){.from = TH_WASM_REPLY, .request = in->request};
        return true;
    case TH_ITEM_EVENT:
        return take_event(self, in->event, out);
    case TH_ITEM_JOB:
        self->is_saved = true;
        return false;
    default:
        th_assert(false); /* it sets no timers */
        return false;
    }
}

static bool is_awaited(const th_wasm_process *self, const th_wasm_letter *letter)
{
    return self->waits == TH_WASM_WAITS_MAIL ||
           (self->waits == TH_WASM_WAITS_REPLY && letter->from == TH_WASM_REPLY &&
            letter->request == self->awaited);
}

bool th_wasm_mail_look(th_wasm_process *self)
{
    th_wasm_letter letter;
    th_delivery in;

    if (self->has_in_hand || self->is_saved || self->is_starved) {
        return true;
    }
    if (self->waits == TH_WASM_WAITS_MAIL && pop(self, &self->in_hand)) {
        return self->has_in_hand = true;
    }
    while (th_process_next(self->process, &in)) {
        if (!take(self, &in, &letter)) {
            if (self->is_saved || self->is_starved) {
                return true;
            }
        } else if (is_awaited(self, &letter)) {
            self->in_hand = letter;
            return self->has_in_hand = true;
        } else if (!keep(self, letter)) {
            return self->is_starved = true;
        }
    }
    return false;
}

/* --- Answering ------------------------------------------------------------------------------ */

static bool has_blob(const th_msg *msg)
{
    return msg != NULL && msg->blob != NULL;
}

/* What a message that was kept brought may be forgotten by now: it is named anew. */
static void give(th_wasm_process *self, const th_wasm_letter *letter)
{
    th_msg *msg = letter->from == TH_WASM_NOTE ? NULL : msg_of(letter);

    if (letter->was_kept && msg != NULL && msg->caps != NULL) {
        th_process_given(self->process, msg->caps);
    }
}

static th_err take_msg(th_wasm_process *self, th_msg *msg, th_wmsg *out)
{
    bool is_question = !th_pid_is_none(msg->requester);
    th_err err;

    settle(self,
           th_prompt_receive(is_question ? TH_RECEIVED_QUESTION : TH_RECEIVED_NOTICE,
                             has_blob(msg)),
           msg, NULL);
    err = th_wasm_put_msg(th_process_kernel(self->process), msg, out);
    th_msg_unref(msg);
    return err;
}

static th_err take_reply(th_wasm_process *self, th_request *request, th_wmsg *out)
{
    th_msg *response = th_request_response(request);
    const th_receive_row *row =
        th_prompt_receive(response == NULL ? TH_RECEIVED_ERROR : TH_RECEIVED_RESPONSE,
                          has_blob(response));
    th_err err;

    settle(self, row, response, th_request_tag(request));
    err = th_wasm_put_reply(th_process_kernel(self->process), request, out);
    th_request_free(self->process, request);
    return err;
}

static th_err take_note(th_wasm_process *self, th_wasm_note *note, th_wmsg *out)
{
    th_received kind = (th_received)note->kind;
    const th_kernel *kernel = th_process_kernel(self->process);
    th_err err = kind == TH_RECEIVED_RESPONSE_FAILED
                     ? th_wasm_put_failed(kernel, note->msg, &note->to, out)
                     : th_wasm_put_sys(kernel, note->msg, note->context, out);

    settle(self, th_prompt_receive(kind, has_blob(note->msg)), note->msg,
           th_take(&note->saved));
    free_note(self, note);
    return err;
}

static th_err take_letter(th_wasm_process *self, const th_wasm_letter *letter,
                          th_wmsg *out)
{
    give(self, letter);
    switch (letter->from) {
    case TH_WASM_MSG:
        return take_msg(self, letter->msg, out);
    case TH_WASM_REPLY:
        return take_reply(self, letter->request, out);
    case TH_WASM_NOTE:
        return take_note(self, letter->note, out);
    }
    return TH_INVALID;
}

int th_wasm_mail_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    th_wasm_letter letter = self->in_hand;
    th_err err;

    self->waits = TH_WASM_WAITS_NOT;
    self->awaited = NULL;
    if (self->is_starved) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    self->has_in_hand = false;
    if (!th_wasm_one_message(reply)) {
        discard(self, &letter);
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    err = take_letter(self, &letter, reply->messages.ptr);
    if (err == TH_INVALID) {
        return th_wasm_trap(trap, "it was sent a value that has no form in JSON");
    }
    return err == TH_OK ? TH_W_READY : th_wasm_trap(trap, TH_WASM_NO_MEMORY);
}

void th_wasm_mail_deinit(th_wasm_process *self)
{
    th_wasm_letter letter;
    th_list *node;

    self->is_ending = true;
    if (self->has_in_hand) {
        discard(self, &self->in_hand);
    }
    while (pop(self, &letter)) {
        discard(self, &letter);
    }
    release_prompt(self);
    while ((node = th_list_pop(&self->prompts)) != NULL) { /* of requests still open */
        th_wasm_prompt *saved = th_container_of(node, th_wasm_prompt, link);

        th_msg_unref(saved->msg);
        th_slab_free(saved, sizeof *saved);
    }
    self->blob = th_blob_unref(self->blob);
    self->last_blob = th_blob_unref(self->last_blob);
}
