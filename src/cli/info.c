#include "cli/ask.h"

#include <stdio.h>

/*
 * What `thole info`, `thole caps` and `thole trace` show people. All of it comes from
 * the node as JSON; a field that is not there is not shown.
 */

static uint64_t number(const th_json *of, const char *key)
{
    uint64_t n = 0;

    th_json_u64(th_json_get(of, key), &n);
    return n;
}

static th_slice text(const th_json *of, const char *key)
{
    th_slice found = TH_SLICE("");

    th_json_text(th_json_get(of, key), &found);
    return found;
}

static bool is_true(const th_json *of, const char *key)
{
    bool is = false;

    th_json_bool(th_json_get(of, key), &is);
    return is;
}

/* What a guest chose: without what would do something to a terminal. */
static void put_clean(th_buf *out, th_slice chosen)
{
    for (size_t i = 0; i < chosen.bytes; i++) {
        unsigned char c = (unsigned char)chosen.at[i];

        th_buf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

/* --- info ------------------------------------------------------------------------- */

static void begin_line(th_buf *out, const char *what)
{
    th_buf_putf(out, "%-13s", what);
}

static void put_line(th_buf *out, const char *what, th_slice value)
{
    if (value.bytes > 0) {
        begin_line(out, what);
        th_buf_putf(out, "%.*s\n", TH_FMT(value));
    }
}

static void put_texts(th_buf *out, const th_json *list)
{
    for (size_t i = 0; i < th_json_count(list); i++) {
        th_slice one = TH_SLICE("?");

        th_json_text(th_json_at(list, i), &one);
        th_buf_puts(out, i == 0 ? "" : ", ");
        put_clean(out, one);
    }
}

static void put_state(th_buf *out, const th_json *of)
{
    const th_json *waits = th_json_get(of, "waits_for");

    begin_line(out, "state");
    th_buf_putf(out, "%.*s", TH_FMT(text(of, "state")));
    if (th_json_count(waits) > 0) {
        th_buf_puts(out, ", for a ");
        put_texts(out, waits);
    }
    th_buf_putc(out, '\n');
}

static void put_memory(th_buf *out, const th_json *of)
{
    const th_json *limits = th_json_get(of, "limits");
    char used[TH_ASK_CELL_BYTES], most[TH_ASK_CELL_BYTES];

    th_ask_put_size(used, number(of, "mailbox_bytes"));
    th_ask_put_size(most, number(limits, "mailbox_bytes"));
    begin_line(out, "mailbox");
    th_buf_putf(out, "%llu of %llu messages, %s of %s\n",
                (unsigned long long)number(of, "mailbox_count"),
                (unsigned long long)number(limits, "mailbox_count"), used, most);
    th_ask_put_size(used, number(of, "memory_bytes"));
    th_ask_put_size(most, number(limits, "memory_bytes"));
    begin_line(out, "memory");
    th_buf_putf(out, "%s of %s\n", used, most);
}

static void put_cpu(th_buf *out, const th_json *of)
{
    uint64_t up_ms = number(of, "uptime_ms"), cpu_ms = number(of, "cpu_ms");
    char up[TH_ASK_CELL_BYTES], cpu[TH_ASK_CELL_BYTES];

    th_ask_put_time(up, up_ms);
    th_ask_put_time(cpu, cpu_ms);
    begin_line(out, "cpu");
    th_buf_putf(out, "%s of %s, %.1f %%, in %llu slices\n", cpu, up,
                up_ms == 0 ? 0.0 : 100.0 * (double)cpu_ms / (double)up_ms,
                (unsigned long long)number(of, "slices"));
}

static void put_ties(th_buf *out, const th_json *of)
{
    begin_line(out, "requests");
    th_buf_putf(out, "%llu open", (unsigned long long)number(of, "requests"));
    if (th_json_get(of, "asked_last") != NULL) {
        th_buf_putf(out, ", the newest to %.*s", TH_FMT(text(of, "asked_last")));
    }
    th_buf_putf(out, "; %llu of others not answered yet\n",
                (unsigned long long)number(of, "questions"));
    begin_line(out, "timers");
    th_buf_putf(out, "%llu\n", (unsigned long long)number(of, "timers"));
    begin_line(out, "links");
    th_buf_putf(out, "%llu; monitors %llu, is monitored by %llu\n",
                (unsigned long long)number(of, "links"),
                (unsigned long long)number(of, "monitors"),
                (unsigned long long)number(of, "monitored_by"));
}

static void put_on_exit(th_buf *out, const th_json *of)
{
    const th_json *on_exit = th_json_get(of, "on_exit");
    const th_json *requests = th_json_get(on_exit, "Requests");
    th_slice plain;

    begin_line(out, "on exit");
    if (th_json_text(on_exit, &plain)) {
        th_buf_putf(out, "%.*s\n", TH_FMT(plain));
    } else {
        th_buf_putf(out, "%zu requests\n", th_json_count(requests));
    }
}

static void put_cap(th_buf *out, const th_json *cap)
{
    put_clean(out, text(cap, "params"));
    th_buf_putf(out, " of %.*s\n", TH_FMT(text(cap, "issuer")));
}

void th_ask_put_info(th_buf *out, const th_json *of)
{
    const th_json *names = th_json_get(of, "names");
    const th_json *caps = th_json_get(of, "capabilities");

    put_line(out, "address", text(of, "address"));
    put_line(out, "pid", text(of, "pid"));
    put_line(out, "entry", text(of, "entry"));
    put_line(out, "host", text(of, "host"));
    put_line(out, "guest", text(of, "guest"));
    put_line(out, "parent", text(of, "parent"));
    if (th_json_count(names) > 0) {
        begin_line(out, "names");
        put_texts(out, names);
        th_buf_putc(out, '\n');
    }
    put_state(out, of);
    if (th_json_get(of, "restarts") != NULL) {
        begin_line(out, "restarts");
        th_buf_putf(out, "%llu\n", (unsigned long long)number(of, "restarts"));
    }
    put_memory(out, of);
    put_cpu(out, of);
    put_ties(out, of);
    put_line(out, "public", is_true(of, "public") ? TH_SLICE("yes") : TH_SLICE("no"));
    put_on_exit(out, of);
    for (size_t i = 0; i < th_json_count(caps); i++) {
        begin_line(out, i == 0 ? "capabilities" : "");
        put_cap(out, th_json_at(caps, i));
    }
}

void th_ask_put_caps(th_buf *out, const th_json *answer)
{
    const th_json *caps = th_json_get(answer, "capabilities");

    for (size_t i = 0; i < th_json_count(caps); i++) {
        put_cap(out, th_json_at(caps, i));
    }
}

/* --- trace ------------------------------------------------------------------------ */

static void put_bytes(th_buf *out, const char *what, uint64_t bytes)
{
    char size[TH_ASK_CELL_BYTES];

    th_ask_put_size(size, bytes);
    th_buf_putf(out, ", %s %s", what, size);
}

static void put_sizes(th_buf *out, const th_json *of)
{
    put_bytes(out, "body", number(of, "body_bytes"));
    if (number(of, "metadata_bytes") > 0) {
        put_bytes(out, "metadata", number(of, "metadata_bytes"));
    }
    if (number(of, "blob_bytes") > 0) {
        put_bytes(out, "blob", number(of, "blob_bytes"));
    }
    if (number(of, "capabilities") > 0) {
        th_buf_putf(out, ", capabilities %llu",
                    (unsigned long long)number(of, "capabilities"));
    }
}

void th_ask_put_traced(th_buf *out, const th_json *of)
{
    th_slice from = text(of, "from"), to = text(of, "to");
    uint64_t at_ms = number(of, "at_ms");

    if (number(of, "left_out") > 0) {
        th_buf_putf(out, "... %llu were left out here: they come too fast\n",
                    (unsigned long long)number(of, "left_out"));
    }
    th_buf_putf(out, "%02llu:%02llu:%02llu.%03llu %-8.*s %.*s -> %.*s",
                (unsigned long long)(at_ms / 3600000 % 24),
                (unsigned long long)(at_ms / 60000 % 60),
                (unsigned long long)(at_ms / 1000 % 60),
                (unsigned long long)(at_ms % 1000), TH_FMT(text(of, "kind")),
                TH_FMT(from.bytes == 0 ? TH_SLICE("(gone)") : from),
                TH_FMT(to.bytes == 0 ? TH_SLICE("(gone)") : to));
    if (th_json_get(of, "topic") != NULL) {
        th_buf_puts(out, ", topic ");
        put_clean(out, text(of, "topic"));
    }
    if (th_json_get(of, "request") != NULL) {
        th_buf_putf(out, ", request %.*s", TH_FMT(text(of, "request")));
    }
    if (th_json_get(of, "chain") != NULL) {
        th_buf_putf(out, ", chain %.*s hop %llu", TH_FMT(text(of, "chain")),
                    (unsigned long long)number(of, "hops"));
    }
    if (is_true(of, "delegated")) {
        th_buf_puts(out, ", passed on");
    }
    put_sizes(out, of);
    th_buf_putf(out, ": %.*s\n", TH_FMT(text(of, "outcome")));
}
