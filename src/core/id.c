#include "core/id.h"

#include <stdio.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* The offset of the first byte that may not stand in such a name, or its length. */
static size_t wrong_at(th_slice text, th_name_kind kind)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (!is_plain(text.at[i]) && !(text.at[i] == '.' && kind == TH_NAME_DOTTED)) {
            return i;
        }
    }
    return text.bytes > TH_NAME_BYTES_MAX ? TH_NAME_BYTES_MAX : text.bytes;
}

bool th_name_is_valid(th_slice text, th_name_kind kind)
{
    return text.bytes > 0 && wrong_at(text, kind) == text.bytes;
}

static th_err refuse(th_id_error *error, size_t at, const char *what)
{
    *error = (th_id_error){at, what};
    return TH_INVALID;
}

/* Check the name @part of the whole text that begins at @whole. */
static th_err check(th_slice part, th_name_kind kind, const char *whole,
                    th_id_error *error)
{
    size_t at = (size_t)(part.at - whole);
    size_t wrong = wrong_at(part, kind);

    if (part.bytes == 0) {
        return refuse(error, at, "a name is missing here");
    }
    if (wrong < part.bytes) {
        return refuse(error, at + wrong,
                      part.bytes > TH_NAME_BYTES_MAX && wrong == TH_NAME_BYTES_MAX
                          ? "this name is too long"
                          : "names have lower-case letters, digits, '-' and '_'");
    }
    return TH_OK;
}

/* What stands before the next @c; *rest is what follows it. */
static bool cut(th_slice *rest, char c, th_slice *out)
{
    size_t n = th_slice_find(*rest, c);

    *out = th_slice_of(rest->at, n);
    if (n == rest->bytes) {
        return false;
    }
    *rest = th_slice_from(*rest, n + 1);
    return true;
}

th_err th_address_decode(th_address *out, th_slice text, bool node_optional,
                         th_id_error *error)
{
    th_slice rest = text;
    th_address made = {.node = th_slice_of(text.at, 0)};
    th_err err = TH_OK;

    if (text.bytes == 0) {
        return refuse(error, 0, "the address is empty");
    }
    if (cut(&rest, '@', &made.node)) {
        err = check(made.node, TH_NAME_DOTTED, text.at, error);
    } else {
        made.node.bytes = 0;
        if (!node_optional) {
            return refuse(error, 0, "an address begins with a node and '@'");
        }
    }
    if (err == TH_OK &&
        !(cut(&rest, ':', &made.process) && cut(&rest, ':', &made.package))) {
        return refuse(error, text.bytes,
                      "an address is NODE@PROCESS:PACKAGE:PUBLISHER");
    }
    made.publisher = rest;
    if (err == TH_OK) {
        err = check(made.process, TH_NAME_PLAIN, text.at, error);
    }
    if (err == TH_OK) {
        err = check(made.package, TH_NAME_DOTTED, text.at, error);
    }
    if (err == TH_OK) {
        err = check(made.publisher, TH_NAME_DOTTED, text.at, error);
    }
    if (err == TH_OK) {
        *out = made;
    }
    return err;
}

th_err th_entry_id_decode(th_slice *ns, th_slice *name, th_slice text,
                          th_id_error *error)
{
    th_slice rest = text, first;
    th_err err;

    if (!cut(&rest, ':', &first)) {
        return refuse(error, text.bytes, "an id is NAMESPACE:NAME");
    }
    err = check(first, TH_NAME_DOTTED, text.at, error);
    if (err == TH_OK) {
        err = check(rest, TH_NAME_DOTTED, text.at, error);
    }
    if (err == TH_OK) {
        *ns = first;
        *name = rest;
    }
    return err;
}

/* "namespace:name", or a bare name. */
static th_err check_host(th_slice host, const char *whole, th_id_error *error)
{
    th_slice rest = host, ns;

    if (cut(&rest, ':', &ns)) {
        th_err err = check(ns, TH_NAME_DOTTED, whole, error);

        if (err != TH_OK) {
            return err;
        }
    }
    return check(rest, TH_NAME_DOTTED, whole, error);
}

static th_err check_entry(th_slice entry, const char *whole, th_id_error *error)
{
    size_t at = (size_t)(entry.at - whole);
    th_slice ns, name;
    th_err err = th_entry_id_decode(&ns, &name, entry, error);

    if (err != TH_OK) {
        error->at += at;
    }
    return err;
}

th_err th_pid_text_decode(th_pid_text *out, th_slice text, th_id_error *error)
{
    th_slice rest = text, node_host;
    th_pid_text made = {0};
    th_err err = TH_OK;

    if (text.bytes < 2 || text.at[0] != '{') {
        return refuse(error, 0, "a PID begins with '{'");
    }
    if (text.at[text.bytes - 1] != '}') {
        return refuse(error, text.bytes, "a PID ends with '}'");
    }
    rest = th_slice_of(text.at + 1, text.bytes - 2);
    if (!(cut(&rest, '|', &node_host) && cut(&rest, '|', &made.entry))) {
        return refuse(error, text.bytes - 1,
                      "a PID is {NODE@HOST|NAMESPACE:NAME|UNIQUE}");
    }
    made.unique = rest;
    made.host = node_host;
    made.node = th_slice_of(node_host.at, 0);
    if (cut(&made.host, '@', &made.node)) {
        err = check(made.node, TH_NAME_DOTTED, text.at, error);
    } else {
        made.node.bytes = 0;
    }
    if (err == TH_OK) {
        err = check_host(made.host, text.at, error);
    }
    if (err == TH_OK) {
        err = check_entry(made.entry, text.at, error);
    }
    if (err == TH_OK) {
        err = check(made.unique, TH_NAME_PLAIN, text.at, error);
    }
    if (err == TH_OK) {
        *out = made;
    }
    return err;
}

bool th_target_is_valid(th_slice text)
{
    th_id_error error;
    th_address address;
    th_pid_text pid;

    return th_address_decode(&address, text, true, &error) == TH_OK ||
           th_pid_text_decode(&pid, text, &error) == TH_OK;
}

static void put(th_buf *out, th_slice text)
{
    th_buf_put(out, text.at, text.bytes);
}

void th_address_encode(th_buf *out, const th_address *address)
{
    if (address->node.bytes > 0) {
        put(out, address->node);
        th_buf_putc(out, '@');
    }
    put(out, address->process);
    th_buf_putc(out, ':');
    put(out, address->package);
    th_buf_putc(out, ':');
    put(out, address->publisher);
}

void th_pid_text_encode(th_buf *out, const th_pid_text *pid)
{
    th_buf_putc(out, '{');
    if (pid->node.bytes > 0) {
        put(out, pid->node);
        th_buf_putc(out, '@');
    }
    put(out, pid->host);
    th_buf_putc(out, '|');
    put(out, pid->entry);
    th_buf_putc(out, '|');
    put(out, pid->unique);
    th_buf_putc(out, '}');
}

/* --- The part that the node makes ------------------------------------------------- */

static char *put_hex(char *at, uint64_t n)
{
    int shift = n == 0 ? 0 : (63 - __builtin_clzll(n)) / 4 * 4;

    for (; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[n >> shift & 15];
    }
    return at;
}

size_t th_unique_encode(char out[TH_UNIQUE_BYTES], uint64_t boot, th_pid pid)
{
    char *at = put_hex(out, boot);

    *at++ = '-';
    at = put_hex(at, th_pid_slot(pid));
    *at++ = '-';
    at = put_hex(at, th_pid_generation(pid));
    *at = '\0';
    return (size_t)(at - out);
}

/* Digits up to @end or the end of the text: no zero in front, at most @bits bits. */
static bool get_hex(th_slice *text, char end, unsigned bits, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < text->bytes && text->at[i] != end; i++) {
        char c = text->at[i];
        unsigned digit;

        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10;
        } else {
            return false;
        }
        if (n >> (bits - 4) != 0 || (i == 1 && n == 0)) {
            return false;
        }
        n = n << 4 | digit;
    }
    if (i == 0 || (end != '\0') != (i < text->bytes)) {
        return false;
    }
    *text = end == '\0' ? th_slice_of(NULL, 0) : th_slice_from(*text, i + 1);
    *out = n;
    return true;
}

th_err th_unique_decode(uint64_t *boot, th_pid *pid, th_slice text)
{
    uint64_t n, slot, generation;

    if (!get_hex(&text, '-', 64, &n) || !get_hex(&text, '-', TH_PID_SLOT_BITS, &slot) ||
        !get_hex(&text, '\0', 64 - TH_PID_SLOT_BITS, &generation)) {
        return TH_INVALID;
    }
    *boot = n;
    *pid = th_pid_make((uint32_t)slot, generation);
    return TH_OK;
}
