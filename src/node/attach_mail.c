#include "node/attach_parts.h"

#include "base/mem.h"
#include "core/prompt.h"
#include "node/control.h"

/*
 * What arrives, and what is current (text 000; the rules are core/prompt.h's).
 *
 * Each message has a number, by which it can be answered and passed on for as long as
 * the kernel takes an answer, whatever the prompt is: who reads lines is always behind
 * the process, so the prompt may be another one by the time it answers.
 *
 * Blobs stay here until they are asked for. Those of the last messages are kept, within
 * bounds, and charged to the mailbox.
 */

/* Something that came while another thing was awaited. */
typedef struct letter {
    th_list link;
    th_delivery what; /* MSG, REPLY, or EVENT: then it is the text */
    th_buf text;
} letter;

void th_attach_mail_init(attach_mail *mail)
{
    *mail = (attach_mail){.hears_events = true};
    th_list_init(&mail->asks);
    th_list_init(&mail->letters);
    th_list_init(&mail->receives);
}

/* --- Messages that can be answered ---------------------------------------------------- */

static bool is_open(const attach_message *one, int64_t now_ns)
{
    return one->msg != NULL && one->msg->hold != TH_HOLD_NONE &&
           one->msg->deadline_ns > now_ns;
}

/* Drop those that nobody can answer any more. */
static void sweep(attach_mail *mail, int64_t now_ns)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < mail->open_count; i++) {
        if (is_open(&mail->open[i], now_ns)) {
            mail->open[kept++] = mail->open[i];
        } else {
            th_msg_unref(mail->open[i].msg);
        }
    }
    mail->open_count = kept;
}

static bool make_room(attach_mail *mail, int64_t now_ns)
{
    uint32_t room = mail->open_room == 0 ? 16 : mail->open_room * 2;
    attach_message *grown;

    if (mail->open_count < mail->open_room) {
        return true;
    }
    sweep(mail, now_ns);
    if (mail->open_count < mail->open_room / 2) {
        return true;
    }
    grown = th_realloc(mail->open, room * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    mail->open = grown;
    mail->open_room = room;
    return true;
}

/* Where message @number stands, if it does. */
static attach_message *find_open(const attach_mail *mail, uint64_t number)
{
    uint32_t low = 0, high = mail->open_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (mail->open[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < mail->open_count && mail->open[low].number == number ? &mail->open[low]
                                                                      : NULL;
}

const attach_message *th_attach_mail_find(const attach_mail *mail, uint64_t number)
{
    const attach_message *one = number == 0 ? &mail->prompt : find_open(mail, number);

    return one == NULL || one->msg == NULL ? NULL : one;
}

void th_attach_mail_settle(attach_mail *mail, uint64_t number)
{
    attach_message *one = find_open(mail, number);

    if (one != NULL && one->msg != NULL) {
        one->msg = th_msg_unref(one->msg);
    }
}

/* --- Blobs ------------------------------------------------------------------------------ */

static void drop_blob(th_process *self, attach_mail *mail)
{
    attach_blob *oldest = &mail->blobs[mail->blobs_first];

    th_process_charge(self, -(int64_t)oldest->blob->bytes, 0);
    mail->blobs_bytes -= oldest->blob->bytes;
    oldest->blob = th_blob_unref(oldest->blob);
    mail->blobs_first = (mail->blobs_first + 1) % ATTACH_BLOBS_MAX;
    mail->blobs_count--;
}

/* The newest is kept in any case. */
static void keep_blob(th_process *self, attach_mail *mail, uint64_t number,
                      th_blob *blob)
{
    attach_blob *newest;

    if (blob == NULL) {
        return;
    }
    while (mail->blobs_count > 0 &&
           (mail->blobs_count == ATTACH_BLOBS_MAX ||
            mail->blobs_bytes + blob->bytes > ATTACH_BLOBS_BYTES_MAX)) {
        drop_blob(self, mail);
    }
    newest = &mail->blobs[(mail->blobs_first + mail->blobs_count++) % ATTACH_BLOBS_MAX];
    *newest = (attach_blob){number, th_blob_ref(blob)};
    mail->blobs_bytes += blob->bytes;
    th_process_charge(self, (int64_t)blob->bytes, 0);
}

th_blob *th_attach_mail_blob(const attach_mail *mail, uint64_t number)
{
    const attach_message *open = find_open(mail, number);

    if (number == 0) {
        return mail->blob;
    }
    for (uint32_t i = 0; i < mail->blobs_count; i++) {
        const attach_blob *one =
            &mail->blobs[(mail->blobs_first + i) % ATTACH_BLOBS_MAX];

        if (one->number == number) {
            return one->blob;
        }
    }
    return open == NULL || open->msg == NULL ? NULL : open->msg->blob;
}

/* --- What is current ---------------------------------------------------------------------- */

static void set_message(attach_message *out, const attach_message *from)
{
    th_msg *old = out->msg;

    *out = *from;
    if (out->msg != NULL) {
        th_msg_ref(out->msg);
    }
    th_msg_unref(old);
}

static void set_blob(th_blob **out, th_blob_then then, th_blob *blob)
{
    if (then != TH_BLOB_THEN_KEEP) {
        th_blob_unref(*out);
        *out = th_blob_ref(then == TH_BLOB_THEN_THIS ? blob : NULL);
    }
}

/* Message @one came; @ask is the request that it ends, if it ends one. */
static void make_current(attach_mail *mail, th_received kind, const attach_message *one,
                         th_blob *blob, const attach_ask *ask)
{
    const th_receive_row *row = th_prompt_receive(kind, blob != NULL);

    if (row->prompt == TH_PROMPT_THIS) {
        set_message(&mail->prompt, one);
    } else if (row->prompt == TH_PROMPT_SAVED && ask != NULL) {
        set_message(&mail->prompt, &ask->prompt);
    }
    if (row->prompt == TH_PROMPT_ANSWERED) {
        set_message(&mail->prompt, one);
    }
    set_blob(&mail->blob, row->blob, blob);
    set_blob(&mail->last_blob, row->last_blob, blob);
}

void th_attach_mail_unanswered(attach_mail *mail, attach_message one)
{
    make_current(mail, TH_RECEIVED_RESPONSE_FAILED, &one, NULL, NULL);
}

/* --- Own requests ----------------------------------------------------------------------- */

attach_ask *th_attach_ask_new(attach_mail *mail, const th_attach_line *line)
{
    attach_ask *ask = th_calloc(1, sizeof *ask);

    if (ask == NULL) {
        return NULL;
    }
    th_list_push(&mail->asks, &ask->link);
    th_buf_put(&ask->id, line->id.at, line->id.bytes);
    th_buf_put(&ask->to, line->to.at, line->to.bytes);
    set_message(&ask->prompt, &mail->prompt);
    if (ask->id.failed || ask->to.failed) {
        th_attach_ask_free(ask);
        return NULL;
    }
    return ask;
}

void th_attach_ask_free(attach_ask *ask)
{
    th_list_remove(&ask->link);
    th_buf_deinit(&ask->id);
    th_buf_deinit(&ask->to);
    th_msg_unref(ask->prompt.msg);
    th_free(ask);
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Begin a line for a message, in answer to the oldest `receive` where it pulls. */
static void begin_line(th_attach *attach, th_buf *line, const char *what)
{
    attach_mail *mail = &attach->mail;
    th_list *node = th_list_pop(&mail->receives);

    if (node != NULL) {
        th_attach_line *asked = th_container_of(node, th_attach_line, link);

        th_control_put_ok(line, th_buf_slice(&asked->id));
        th_attach_line_free(asked);
        mail->receives_count--;
    }
    th_buf_putf(line, "{\"%s\":", what);
}

static void end_line(th_attach *attach, th_buf *line)
{
    th_buf_puts(line, attach->pulls ? "}}\n" : "}\n");
    th_attach_write(attach, line);
}

/* The texts of who sent something. */
typedef struct who {
    th_buf pid, address;
    th_attach_from from;
} who;

static void who_init(who *out, th_process *self, const th_ident *ident, uint64_t number)
{
    *out = (who){.from.number = number};
    th_kernel_pid_text(th_process_kernel(self), ident, &out->pid);
    th_kernel_address_text(th_process_kernel(self), ident, &out->address);
    out->from.node = th_slice_str(th_kernel_node(th_process_kernel(self)));
    out->from.pid = th_buf_slice(&out->pid);
    out->from.address = th_buf_slice(&out->address);
}

static void who_deinit(who *held)
{
    th_buf_deinit(&held->pid);
    th_buf_deinit(&held->address);
}

/* --- Showing -------------------------------------------------------------------------- */

/* Takes @msg. */
static void show_msg(th_process *self, th_attach *attach, th_msg *msg)
{
    attach_mail *mail = &attach->mail;
    int64_t now_ns = th_process_now(self).ns;
    attach_message one = {++mail->numbers, msg};
    bool is_question = !th_pid_is_none(msg->requester);
    th_auto_buf line = TH_BUF_INIT;
    who sender;

    if (is_question && !make_room(mail, now_ns)) {
        attach->is_starved = true;
        th_msg_unref(msg);
        return;
    }
    who_init(&sender, self, &msg->source, one.number);
    begin_line(attach, &line, "message");
    th_attach_put_msg(&line, &sender.from, msg, now_ns);
    who_deinit(&sender);
    make_current(mail, is_question ? TH_RECEIVED_QUESTION : TH_RECEIVED_NOTICE, &one,
                 msg->blob, NULL);
    keep_blob(self, mail, one.number, msg->blob);
    if (is_question) {
        mail->open[mail->open_count++] = one;
    } else {
        th_msg_unref(msg);
    }
    end_line(attach, &line);
}

/* The object of a reply: a response, or what came back. */
static void put_reply(th_process *self, attach_mail *mail, const th_request *request,
                      th_buf *out)
{
    const attach_ask *ask = th_request_tag(request);
    const th_msg *response = th_request_response(request);
    const th_msg *original = th_request_original(request);
    th_attach_asked asked = {.id = th_buf_slice(&ask->id),
                             .to = th_buf_slice(&ask->to),
                             .context = th_request_context(request),
                             .node =
                                 th_slice_str(th_kernel_node(th_process_kernel(self)))};
    uint64_t number = ++mail->numbers;
    who sender;

    if (response == NULL) {
        th_attach_put_failure(out, number, &asked, th_request_reason(request),
                              original);
        make_current(mail, TH_RECEIVED_ERROR, NULL, NULL, ask);
        keep_blob(self, mail, number, original->blob);
        return;
    }
    who_init(&sender, self, &response->source, number);
    th_attach_put_response(out, &sender.from, &asked, response);
    who_deinit(&sender);
    make_current(mail, TH_RECEIVED_RESPONSE, NULL, response->blob, ask);
    keep_blob(self, mail, number, response->blob);
}

static void show_reply(th_process *self, th_attach *attach, th_request *request)
{
    th_auto_buf line = TH_BUF_INIT;

    begin_line(attach, &line, "message");
    put_reply(self, &attach->mail, request, &line);
    th_attach_ask_free(th_request_tag(request));
    th_request_free(self, request);
    end_line(attach, &line);
}

/* It is the answer of the line that awaited it. */
static void show_awaited(th_process *self, th_attach *attach, th_request *request)
{
    attach_ask *ask = th_request_tag(request);
    bool is_response = th_request_response(request) != NULL;
    th_auto_buf line = TH_BUF_INIT;

    th_buf_putf(&line, "{\"id\":%.*s,%s:", TH_FMT(th_buf_slice(&ask->id)),
                is_response ? "\"ok\":{\"message\"" : "\"error\"");
    put_reply(self, &attach->mail, request, &line);
    th_buf_puts(&line, is_response ? "}}\n" : "}\n");
    attach->mail.awaited = NULL;
    th_attach_ask_free(ask);
    th_request_free(self, request);
    th_attach_write(attach, &line);
}

static void put_event(th_process *self, const th_event *event, th_buf *out)
{
    who sender;

    who_init(&sender, self, &event->from, 0);
    th_attach_put_event(out, &sender.from, event);
    who_deinit(&sender);
}

static void show_event(th_attach *attach, th_slice object)
{
    th_auto_buf line = TH_BUF_INIT;

    begin_line(attach, &line, "event");
    th_buf_put(&line, object.at, object.bytes);
    end_line(attach, &line);
}

/* --- Letters ------------------------------------------------------------------------------ */

static void discard(th_process *self, const th_delivery *what)
{
    if (what->type == TH_ITEM_REPLY) {
        th_attach_ask_free(th_request_tag(what->request));
    }
    th_native_discard(self, what);
}

/* Count what is kept unread, or no longer. */
static void charge(th_process *self, const letter *one, int sign)
{
    const th_msg *response = NULL;

    if (one->what.type == TH_ITEM_MSG && sign > 0) {
        th_process_keep(self, one->what.msg);
        return;
    }
    if (one->what.type == TH_ITEM_MSG) {
        th_process_unkeep(self, one->what.msg);
        return;
    }
    if (one->what.type == TH_ITEM_REPLY) {
        response = th_request_response(one->what.request);
    }
    th_process_charge(self,
                      sign * (int64_t)(response == NULL ? sizeof *one + one->text.bytes
                                                        : th_msg_cost(response)),
                      sign);
}

static void keep_letter(th_process *self, th_attach *attach, const th_delivery *what)
{
    letter *one = th_calloc(1, sizeof *one);

    if (one == NULL) {
        attach->is_starved = true;
        discard(self, what);
        return;
    }
    one->what = *what;
    if (what->type == TH_ITEM_EVENT) {
        put_event(self, what->event, &one->text);
    }
    th_list_push(&attach->mail.letters, &one->link);
    charge(self, one, 1);
}

static bool show_letter(th_process *self, th_attach *attach)
{
    th_list *node = th_list_pop(&attach->mail.letters);
    letter *one;

    if (node == NULL) {
        return false;
    }
    one = th_container_of(node, letter, link);
    charge(self, one, -1);
    if (one->what.type == TH_ITEM_MSG) {
        th_process_given(self, one->what.msg->caps);
        show_msg(self, attach, one->what.msg);
    } else if (one->what.type == TH_ITEM_REPLY) {
        const th_msg *response = th_request_response(one->what.request);

        th_process_given(self, response == NULL ? NULL : response->caps);
        show_reply(self, attach, one->what.request);
    } else {
        show_event(attach, th_buf_slice(&one->text));
    }
    th_buf_deinit(&one->text);
    th_free(one);
    return true;
}

/* --- Taking ------------------------------------------------------------------------------- */

static void show(th_process *self, th_attach *attach, const th_delivery *what)
{
    th_auto_buf event = TH_BUF_INIT;

    if (what->type == TH_ITEM_MSG) {
        show_msg(self, attach, what->msg);
    } else if (what->type == TH_ITEM_REPLY) {
        show_reply(self, attach, what->request);
    } else {
        put_event(self, what->event, &event);
        show_event(attach, th_buf_slice(&event));
    }
}

/* Is it something that the outside is told? */
static bool is_told(const attach_mail *mail, const th_delivery *what)
{
    return what->type == TH_ITEM_MSG || what->type == TH_ITEM_REPLY ||
           (what->type == TH_ITEM_EVENT && mail->hears_events);
}

bool th_attach_mail_is_busy(const attach_mail *mail)
{
    return mail->awaited != NULL || mail->keep != NULL;
}

bool th_attach_mail_wants(const th_attach *attach)
{
    return !attach->pulls || th_attach_mail_is_busy(&attach->mail) ||
           !th_list_is_empty(&attach->mail.receives);
}

bool th_attach_mail_take(th_process *self, th_attach *attach)
{
    attach_mail *mail = &attach->mail;
    th_delivery what;

    if (!th_attach_mail_wants(attach)) {
        return false;
    }
    if (!th_attach_mail_is_busy(mail) && show_letter(self, attach)) {
        return true;
    }
    if (!th_process_next(self, &what)) {
        return false;
    }
    if (what.type == TH_ITEM_JOB) {
        th_attach_keep_came(self, attach, what.job);
    } else if (!is_told(mail, &what)) {
        discard(self, &what);
    } else if (!th_attach_mail_is_busy(mail)) {
        show(self, attach, &what);
    } else if (what.type == TH_ITEM_REPLY &&
               th_request_tag(what.request) == mail->awaited) {
        show_awaited(self, attach, what.request);
    } else {
        keep_letter(self, attach, &what);
    }
    return true;
}

/* --- The end ------------------------------------------------------------------------------ */

static void free_letters(th_process *self, attach_mail *mail)
{
    th_list *node;

    while ((node = th_list_pop(&mail->letters)) != NULL) {
        letter *one = th_container_of(node, letter, link);

        if (one->what.type != TH_ITEM_EVENT) {
            discard(self, &one->what);
        }
        th_buf_deinit(&one->text);
        th_free(one);
    }
}

void th_attach_mail_deinit(th_process *self, attach_mail *mail)
{
    th_list *node;

    free_letters(self, mail);
    while ((node = th_list_pop(&mail->receives)) != NULL) {
        th_attach_line_free(th_container_of(node, th_attach_line, link));
    }
    while (!th_list_is_empty(&mail->asks)) {
        th_attach_ask_free(th_container_of(mail->asks.next, attach_ask, link));
    }
    for (uint32_t i = 0; i < mail->open_count; i++) {
        th_msg_unref(mail->open[i].msg);
    }
    mail->open = th_free(mail->open);
    th_msg_unref(mail->prompt.msg);
    mail->blob = th_blob_unref(mail->blob);
    mail->last_blob = th_blob_unref(mail->last_blob);
    for (; mail->blobs_count > 0; mail->blobs_count--) {
        th_blob_unref(mail->blobs[mail->blobs_first].blob);
        mail->blobs_first = (mail->blobs_first + 1) % ATTACH_BLOBS_MAX;
    }
}
