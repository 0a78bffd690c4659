#include "node/attach_parts.h"

#include "core/prompt.h"
#include "node/content.h"

/*
 * What it sends: requests in their kinds (core/prompt.h), responses, messages; and the
 * verbs that take what came.
 */

static attach_mail *mail_of(const attach_doing *it)
{
    return &it->attach->mail;
}

/* --- What is meant -------------------------------------------------------------------- */

/* The message that is meant, to be answered or passed on. NULL: there is none. */
static const attach_message *find_message(attach_doing *it, uint64_t number)
{
    const attach_message *found = th_attach_mail_find(mail_of(it), number);

    if (found == NULL && number == 0) {
        th_buf_puts(&it->why, "there is no request to answer");
    } else if (found == NULL) {
        th_buf_putf(&it->why,
                    "message %llu is none that can be answered, or not any more",
                    (unsigned long long)number);
    }
    return found;
}

/* The blob that goes along, shared; of @under where it is inherited. */
static th_blob *choose_blob(const attach_doing *it, const attach_message *under)
{
    const th_attach_line *line = it->line;
    const attach_mail *mail = mail_of(it);
    th_blob *prompt = under == NULL ? NULL : under->msg->blob;
    th_blob *current = line->inherited > 0 ? prompt : mail->blob;

    switch (th_prompt_blob(line->blob != NULL, line->inherits, current != NULL,
                           prompt != NULL)
                ->from) {
    case TH_BLOB_EXPLICIT:
        return line->blob;
    case TH_BLOB_CURRENT:
        return current;
    case TH_BLOB_PROMPT:
        return prompt;
    case TH_BLOB_NONE:
        break;
    }
    return NULL;
}

/* The capabilities that it hands on; those that it may not name are left out. */
static bool claim(const attach_doing *it, th_caps **out)
{
    const th_attach_line *line = it->line;

    *out = NULL;
    if (line->claims_count > 0) {
        *out = th_process_claim(it->self, line->claims, line->claims_count);
    }
    return *out != NULL || line->claims_count == 0;
}

static th_msg *make_of(const attach_doing *it, th_msg_parts *parts)
{
    th_auto(th_caps) caps = NULL;

    if (!claim(it, &caps)) {
        return NULL;
    }
    parts->caps = caps;
    return th_msg_new(parts);
}

/* What the line says as a message. NULL: memory ran out. */
static th_msg *make(const attach_doing *it, th_msg_kind kind, th_blob *blob)
{
    const th_attach_line *line = it->line;
    bool expects = th_attach_has(line, TH_ATTACH_HAS_EXPECTS);
    bool has_metadata = th_attach_has(line, TH_ATTACH_HAS_METADATA);
    th_msg_parts parts = {.kind = kind,
                          .format = line->format,
                          .expects_s = line->expects_s,
                          .metadata = line->metadata,
                          .body = th_buf_slice(&line->body),
                          .body_blob = line->body_blob,
                          .blob = blob};

    parts.flags = (uint8_t)((expects ? TH_MSG_EXPECTS : 0) |
                            (line->inherits ? TH_MSG_INHERIT : 0) |
                            (has_metadata ? TH_MSG_METADATA : 0));
    return make_of(it, &parts);
}

/* --- Requests ------------------------------------------------------------------------- */

static th_err fail_request(attach_doing *it, th_err err)
{
    if (err == TH_QUOTA) {
        th_buf_putf(&it->why,
                    "the process has its limit of %u open requests, or the node's "
                    "memory is short",
                    th_process_limits(it->self)->requests_max);
    }
    return err;
}

/* One that comes back, as its answer or as an error; also where nobody can be asked. */
static th_err send_tracked(attach_doing *it, th_err found, const attach_message *under,
                           th_msg *msg)
{
    attach_mail *mail = mail_of(it);
    attach_ask *note = th_attach_ask_new(mail, it->line);
    th_ask ask = {.to = it->to,
                  .refused = found,
                  .timeout_ns = it->line->timeout_ns,
                  .context = it->line->context,
                  .under = under == NULL ? NULL : under->msg,
                  .tag = note};
    th_request *request;
    th_err err = TH_QUOTA;

    if (note != NULL) {
        err = th_process_request(it->self, &ask, msg, &request);
    }
    if (err != TH_OK && note != NULL) {
        th_attach_ask_free(note);
    } else if (err == TH_OK && it->line->awaits) {
        mail->awaited = note;
        it->is_later = true;
    }
    return fail_request(it, err);
}

static th_err send_one_way(attach_doing *it, const attach_message *under, th_msg *msg)
{
    uint64_t number = under == NULL ? 0 : under->number;
    th_err err;

    if (under == NULL) {
        return th_attach_explain(it, th_process_send(it->self, it->to, msg));
    }
    err = th_process_forward(it->self, under->msg, it->to, msg);
    if (err == TH_OK) {
        th_attach_mail_settle(mail_of(it), number);
    }
    return th_attach_explain(it, err);
}

/* Nothing is written about it yet; what cannot be awaited is refused. */
static th_err check_await(attach_doing *it)
{
    if (!it->line->awaits) {
        return TH_OK;
    }
    if (!it->line->has_id) {
        th_buf_puts(&it->why, "`await` needs an `id`, for its answer");
    } else if (!th_attach_has(it->line, TH_ATTACH_HAS_EXPECTS)) {
        th_buf_puts(&it->why, "a request that expects no response would be awaited for "
                              "ever: give it `expects_s` or `timeout_ms`");
    } else if (th_pid_eq(it->to, th_process_ident(it->self)->pid)) {
        th_buf_puts(&it->why, "a request to itself would be awaited for ever");
    } else {
        return TH_OK;
    }
    return TH_INVALID;
}

th_err th_attach_do_request(attach_doing *it)
{
    const th_attach_line *line = it->line;
    bool expects = th_attach_has(line, TH_ATTACH_HAS_EXPECTS);
    const attach_message *under = NULL;
    th_err found = th_attach_resolve(it), err;
    th_msg *msg;

    if (found == TH_INVALID || (found != TH_OK && !expects)) {
        return found;
    }
    th_buf_clear(&it->why);
    err = check_await(it);
    if (err != TH_OK) {
        return err;
    }
    if (line->inherited > 0) {
        under = find_message(it, line->inherited);
    } else if (line->inherits) {
        under = th_attach_mail_find(mail_of(it), 0);
    }
    if (line->inherited > 0 && under == NULL) {
        return TH_NOT_FOUND;
    }
    msg = make(it, TH_MSG_REQUEST, choose_blob(it, under));
    if (msg == NULL) {
        return TH_QUOTA;
    }
    err = expects ? send_tracked(it, found, under, msg) : send_one_way(it, under, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

/* A message with what the line does not say taken from @question. NULL: no memory. */
static th_msg *make_forward(const attach_doing *it, const th_msg *question)
{
    const th_attach_line *line = it->line;
    bool has_body = th_attach_has(line, TH_ATTACH_HAS_BODY);
    bool has_metadata = th_attach_has(line, TH_ATTACH_HAS_METADATA);
    th_msg_parts parts = {
        .kind = TH_MSG_REQUEST,
        .format = has_body ? line->format : (th_format)question->format,
        .flags = TH_MSG_INHERIT,
        .metadata = has_metadata ? line->metadata : th_msg_metadata(question),
        .body = has_body ? th_buf_slice(&line->body) : th_msg_body(question),
        .body_blob = has_body ? line->body_blob : question->body_blob,
        .blob = line->blob != NULL ? line->blob : question->blob};

    if (has_metadata || (question->flags & TH_MSG_METADATA) != 0) {
        parts.flags |= TH_MSG_METADATA;
    }
    return make_of(it, &parts);
}

th_err th_attach_do_forward(attach_doing *it)
{
    const attach_message *question;
    th_msg *msg;
    th_err err = th_attach_resolve(it);

    if (err != TH_OK) {
        return err;
    }
    question = find_message(it, it->line->message);
    if (question == NULL) {
        return TH_NOT_FOUND;
    }
    if (question->msg->hold == TH_HOLD_NONE) {
        th_buf_puts(&it->why, "it is answered already, or too late");
        return TH_TIMED_OUT;
    }
    msg = make_forward(it, question->msg);
    if (msg == NULL) {
        return TH_QUOTA;
    }
    err = send_one_way(it, question, msg);
    if (err != TH_OK) {
        th_msg_unref(msg);
    }
    return err;
}

/* --- Responses ------------------------------------------------------------------------ */

static th_err explain_response(attach_doing *it, th_err err)
{
    switch (err) {
    case TH_NOT_FOUND:
        th_buf_puts(&it->why, "nobody waits for a response any more");
        break;
    case TH_TIMED_OUT:
    case TH_EXISTS:
        th_buf_puts(&it->why, "it is answered already, or too late");
        break;
    case TH_QUOTA:
        th_buf_puts(&it->why,
                    "the requester's mailbox has no room for the response; try "
                    "again until its time is over");
        break;
    case TH_INVALID:
        th_buf_puts(&it->why, "the requester has no form for this value");
        break;
    default:
        break;
    }
    return err;
}

th_err th_attach_do_response(attach_doing *it)
{
    const th_attach_line *line = it->line;
    const attach_message *question = find_message(it, line->message);
    const attach_message *under = question;
    attach_message answered;
    th_msg *msg;
    th_err err;

    if (line->inherited > 0) {
        under = find_message(it, line->inherited);
    }
    if (question == NULL || (line->inherited > 0 && under == NULL)) {
        return TH_NOT_FOUND;
    }
    msg = make(it, TH_MSG_RESPONSE, choose_blob(it, under));
    if (msg == NULL) {
        return TH_QUOTA;
    }
    answered = *question;
    err = th_process_respond(it->self, question->msg, msg);
    if (err == TH_OK) {
        th_attach_mail_settle(mail_of(it), answered.number);
        return TH_OK;
    }
    th_msg_unref(msg);
    if (err == TH_QUOTA) {
        th_attach_mail_unanswered(mail_of(it), answered);
    }
    return explain_response(it, err);
}

/* --- Messages ------------------------------------------------------------------------- */

th_err th_attach_do_send(attach_doing *it)
{
    uint64_t sent = 0;
    th_list *node;
    th_err err = th_attach_resolve(it);

    while (err == TH_OK && (node = th_list_pop(&it->line->msgs)) != NULL) {
        th_msg *msg = th_msg_of(th_container_of(node, th_item, link));

        err = th_attach_explain(it, th_process_send(it->self, it->to, msg));
        if (err != TH_OK) {
            th_msg_unref(msg);
        }
        sent += err == TH_OK;
    }
    th_buf_putf(&it->ok, "{\"messages\":%llu}", (unsigned long long)sent);
    return err;
}

/* It waits for a message, which is its answer. */
th_err th_attach_do_receive(attach_doing *it)
{
    attach_mail *mail = mail_of(it);

    if (!it->attach->pulls || !it->line->has_id) {
        th_buf_puts(&it->why, "`receive` needs an `id`, and is for a process that was "
                              "attached with `pull`");
        return TH_INVALID;
    }
    if (mail->receives_count == ATTACH_RECEIVES_MAX) {
        th_buf_putf(&it->why, "%d receives wait already", ATTACH_RECEIVES_MAX);
        return TH_QUOTA;
    }
    th_list_push(&mail->receives, &th_take(&it->line)->link);
    mail->receives_count++;
    it->is_later = true;
    return TH_OK;
}

/* What was asked for; nothing in it where there is none. */
static th_err put_blob(attach_doing *it, const th_blob *blob)
{
    th_buf_putc(&it->ok, '{');
    if (blob != NULL) {
        th_content_put(&it->ok, "blob", "blob_base64", th_blob_slice(blob));
        if (blob->has_mime) {
            th_json_put_pair(&it->ok, "mime",
                             th_slice_of(blob->mime, blob->mime_bytes));
        }
    }
    th_buf_putc(&it->ok, '}');
    return TH_OK;
}

th_err th_attach_do_get_blob(attach_doing *it)
{
    th_blob *blob = th_attach_mail_blob(mail_of(it), it->line->message);

    if (blob == NULL && it->line->message > 0) {
        th_buf_putf(&it->why, "message %llu has no blob, or not any more",
                    (unsigned long long)it->line->message);
        return TH_NOT_FOUND;
    }
    return put_blob(it, blob);
}

th_err th_attach_do_last_blob(attach_doing *it)
{
    return put_blob(it, mail_of(it)->last_blob);
}
