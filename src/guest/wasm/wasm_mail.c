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

/* A message without a blob makes that of the one before it unreachable but as the last. */
static void set_blob(th_wasm_process *self, th_blob *blob)
{
    th_blob_unref(self->blob);
    self->blob = th_blob_ref(blob);
    if (blob != NULL) {
        th_blob_unref(self->last_blob);
        self->last_blob = th_blob_ref(blob);
    }
}

/* --- Letters: what came while it awaited something else ---------------------------------- */

static const th_msg *msg_of(const th_delivery *in)
{
    return in->type == TH_ITEM_MSG ? in->msg : th_request_response(in->request);
}

static void charge(th_wasm_process *self, const th_delivery *in, int sign)
{
    const th_msg *msg = msg_of(in);
    int64_t cost = msg == NULL ? 0 : (int64_t)th_msg_cost(msg);

    th_process_charge(self->process, sign * cost, sign);
}

static void discard(th_wasm_process *self, const th_delivery *in)
{
    if (in->type == TH_ITEM_MSG) {
        th_msg_unref(in->msg);
    } else {
        th_wasm_prompt *saved = th_request_tag(in->request);

        th_wasm_mail_unsave_prompt(self, saved);
        th_request_free(self->process, in->request);
    }
}

static bool grow(th_wasm_process *self)
{
    uint32_t room = self->letters_room == 0 ? 8 : self->letters_room * 2;
    th_delivery *grown = th_calloc(room, sizeof *grown);

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

static bool keep(th_wasm_process *self, const th_delivery *in)
{
    if (self->letters_count == self->letters_room && !grow(self)) {
        discard(self, in);
        return false;
    }
    self->letters[(self->letters_first + self->letters_count++) % self->letters_room] =
        *in;
    charge(self, in, 1);
    return true;
}

static bool pop(th_wasm_process *self, th_delivery *out)
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

/* --- Looking ------------------------------------------------------------------------------ */

static bool is_awaited(const th_wasm_process *self, const th_delivery *in)
{
    return self->waits == TH_WASM_WAITS_MAIL ||
           (in->type == TH_ITEM_REPLY && in->request == self->awaited);
}

bool th_wasm_mail_look(th_wasm_process *self)
{
    th_delivery in;

    if (self->has_in_hand || self->is_starved) {
        return true;
    }
    if (self->waits == TH_WASM_WAITS_MAIL && pop(self, &self->in_hand)) {
        return self->has_in_hand = true;
    }
    while (th_process_next(self->process, &in)) {
        if (in.type == TH_ITEM_EVENT) {
            continue; /* a cancel takes effect by itself; there is nothing else to tell */
        }
        th_assert(in.type == TH_ITEM_MSG || in.type == TH_ITEM_REPLY);
        if (is_awaited(self, &in)) {
            self->in_hand = in;
            return self->has_in_hand = true;
        }
        if (!keep(self, &in)) {
            return self->is_starved = true;
        }
    }
    return false;
}

/* --- Answering ------------------------------------------------------------------------------ */

static th_err take_msg(th_wasm_process *self, th_msg *msg, th_wmsg *out)
{
    th_err err;

    set_blob(self, msg->blob);
    err = th_wasm_put_msg(th_process_kernel(self->process), msg, out);
    if (th_pid_is_none(msg->requester)) {
        th_msg_unref(msg);
        return err;
    }
    release_prompt(self);
    self->prompt = msg;
    return err;
}

static th_err take_reply(th_wasm_process *self, th_request *request, th_wmsg *out)
{
    const th_msg *response = th_request_response(request);
    th_err err;

    set_blob(self, response == NULL ? NULL : response->blob);
    err = th_wasm_put_reply(th_process_kernel(self->process), request, out);
    restore_prompt(self, th_request_tag(request));
    th_request_free(self->process, request);
    return err;
}

int th_wasm_mail_answer(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    th_delivery in = self->in_hand;
    th_err err;

    self->waits = TH_WASM_WAITS_NOT;
    self->awaited = NULL;
    if (self->is_starved) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    self->has_in_hand = false;
    if (!th_wasm_one_message(reply)) {
        discard(self, &in);
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    err = in.type == TH_ITEM_MSG ? take_msg(self, in.msg, reply->messages.ptr)
                                 : take_reply(self, in.request, reply->messages.ptr);
    if (err == TH_INVALID) {
        return th_wasm_trap(trap, "it was sent a value that has no form in JSON");
    }
    return err == TH_OK ? TH_W_READY : th_wasm_trap(trap, TH_WASM_NO_MEMORY);
}

void th_wasm_mail_deinit(th_wasm_process *self)
{
    th_delivery in;
    th_list *node;

    self->is_ending = true;
    if (self->has_in_hand) {
        discard(self, &self->in_hand);
    }
    while (pop(self, &in)) {
        discard(self, &in);
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
