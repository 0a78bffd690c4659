/*
 * The values of thole.h: giving back what the node allocated, and addresses as text.
 *
 * The node allocates every string and list apart, so each is freed apart.
 */
#include "thole.h"

void th_slice_free(th_slice *slice)
{
    th_free((void *)slice->ptr);
    *slice = TH_NONE;
}

void th_process_id_free(th_process_id *id)
{
    th_slice_free(&id->process);
    th_slice_free(&id->package);
    th_slice_free(&id->publisher);
}

void th_address_free(th_address *address)
{
    th_slice_free(&address->node);
    th_process_id_free(&address->id);
}

void th_caps_free(th_caps *caps)
{
    for (size_t i = 0; i < caps->len; i++) {
        th_address_free(&caps->ptr[i].issuer);
        th_slice_free(&caps->ptr[i].params);
    }
    th_free(caps->ptr);
    *caps = (th_caps){0};
}

void th_blob_free(th_blob *blob)
{
    th_slice_free(&blob->mime);
    th_slice_free(&blob->bytes);
}

void th_message_free(th_message *message)
{
    th_address_free(&message->peer);
    th_slice_free(&message->body);
    th_slice_free(&message->metadata);
    th_slice_free(&message->context);
    th_caps_free(&message->caps);
    th_blob_free(&message->blob);
}

void th_on_exit_free(th_on_exit *on_exit)
{
    for (size_t i = 0; i < on_exit->n_requests; i++) {
        th_outgoing *one = &on_exit->requests[i];
        th_blob *blob = (th_blob *)one->request.blob;

        th_address_free(&one->target);
        th_slice_free(&one->request.body);
        th_slice_free(&one->request.metadata);
        th_caps_free(&one->request.caps);
        if (blob != NULL) {
            th_blob_free(blob);
            th_free(blob);
        }
    }
    th_free(on_exit->requests);
    *on_exit = (th_on_exit){0};
}

th_slice th_address_text(const th_address *address)
{
    const th_slice parts[] = {
        address->node,       th_str("@"), address->id.process,   th_str(":"),
        address->id.package, th_str(":"), address->id.publisher,
    };

    return th_concat(parts, sizeof parts / sizeof *parts);
}

/* Cut what stands before @mark off @text; false, and nothing cut, without one. */
static bool cut_at(th_slice *text, char mark, th_slice *out)
{
    const char *at = text->ptr;

    for (size_t i = 0; i < text->len; i++) {
        if (at[i] == mark) {
            *out = (th_slice){at, i};
            *text = (th_slice){at + i + 1, text->len - i - 1};
            return i > 0;
        }
    }
    return false;
}

bool th_address_parse(th_slice text, th_address *out)
{
    th_address address;

    if (!cut_at(&text, '@', &address.node) ||
        !cut_at(&text, ':', &address.id.process) ||
        !cut_at(&text, ':', &address.id.package) || text.len == 0) {
        return false;
    }
    address.id.publisher = text;
    *out = address;
    return true;
}
