#include "node/show.h"

#include "base/mem.h"
#include "codec/json_doc.h"
#include "svc/on_exit_json.h"
#include "world/socket.h"

#include <stdlib.h>

static void put_text(th_buf *out, th_kernel *kernel, const char *key,
                     const th_ident *who,
                     void (*make)(const th_kernel *, const th_ident *, th_buf *))
{
    th_auto_buf text = TH_BUF_INIT;

    make(kernel, who, &text);
    th_json_put_pair(out, key, th_buf_slice(&text));
}

void th_show_put_pid(th_buf *out, th_kernel *kernel, const char *key,
                     const th_ident *who)
{
    put_text(out, kernel, key, who, th_kernel_pid_text);
}

void th_show_put_address(th_buf *out, th_kernel *kernel, const char *key,
                         const th_ident *who)
{
    put_text(out, kernel, key, who, th_kernel_address_text);
}

static void put_bool(th_buf *out, const char *key, bool is_so)
{
    th_json_put_key(out, key);
    th_buf_puts(out, is_so ? "true" : "false");
}

static void put_gone(th_buf *out, const th_control_request *request, th_err err)
{
    th_control_put_error(out, request->id, err,
                         err == TH_NOT_FOUND ? "the process has ended"
                                             : th_reason_of(err)->text);
}

/* --- ps --------------------------------------------------------------------------- */

/* Bytes of a listing; a socket takes twice as many. What is left out is said. */
#define LISTING_BYTES_MAX (TH_SOCKET_WRITE_BYTES_MAX / 2)

typedef struct listing {
    th_kernel *kernel;
    th_lives *lives;
    th_buf *out;
    int64_t now_ns;
    const char *before;
    bool has_more;

    /* Who was shown, of those with a chosen name: hashes of their ids. */
    uint64_t seed;
    uint64_t *shown; /* owned */
    size_t shown_count, shown_room;
} listing;

static bool note_shown(listing *list, const th_ident *who)
{
    th_auto_buf id = TH_BUF_INIT;

    if (who->name == NULL) {
        return true;
    }
    if (list->shown_count == list->shown_room) {
        size_t room = list->shown_room == 0 ? 64 : list->shown_room * 2;
        uint64_t *more = th_realloc(list->shown, room * sizeof *more);

        if (more == NULL) {
            return false;
        }
        list->shown = more;
        list->shown_room = room;
    }
    th_lives_put_id(list->kernel, who, &id);
    list->shown[list->shown_count++] = th_slice_hash(th_buf_slice(&id), list->seed);
    return !id.failed;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return one < other ? -1 : one > other;
}

static bool is_shown(const listing *list, th_slice id)
{
    uint64_t hash = th_slice_hash(id, list->seed);

    return list->shown_count > 0 &&
           bsearch(&hash, list->shown, list->shown_count, sizeof hash, by_hash) != NULL;
}

/* What `ps` and `info` have both. */
static void put_info(th_buf *out, th_kernel *kernel, const th_process_info *info,
                     int64_t now_ns)
{
    int64_t up_ms = (now_ns - info->started.ns) / TH_MS;

    th_show_put_pid(out, kernel, "pid", &info->ident);
    th_show_put_address(out, kernel, "address", &info->ident);
    th_json_put_pair(out, "entry", info->ident.entry->id);
    th_json_put_pair(out, "host", info->ident.host->id);
    th_json_put_pair(out, "guest", th_slice_str(info->ident.entry->guest->name));
    th_json_put_pair(out, "state", th_slice_str(info->state));
    if (info->parent.entry != NULL) {
        th_show_put_pid(out, kernel, "parent", &info->parent);
    }
    th_json_put_pair_u64(out, "mailbox_count", info->mailbox_count);
    th_json_put_pair_u64(out, "mailbox_bytes", info->mailbox_bytes);
    th_json_put_pair_u64(out, "memory_bytes", info->memory_bytes);
    th_json_put_pair_u64(out, "slices", info->slices);
    th_json_put_pair_u64(out, "cpu_ms", info->cpu_ns / TH_MS);
    th_json_put_pair_u64(out, "uptime_ms", up_ms < 0 ? 0 : (uint64_t)up_ms);
}

static void put_restarts(void *context, const th_life_info *life)
{
    th_json_put_pair_u64(context, "restarts", life->restarts);
}

/* Of those that survive the node, how often they came again. */
static void put_life(th_buf *out, th_kernel *kernel, th_lives *lives,
                     const th_ident *who)
{
    th_auto_buf id = TH_BUF_INIT;

    if (who->name != NULL) {
        th_lives_put_id(kernel, who, &id);
        (void)th_lives_look(lives, th_buf_slice(&id), put_restarts, out);
    }
}

static void put_texts(th_buf *out, th_kernel *kernel, const th_life_info *life)
{
    th_slice name = th_slice_of(life->id.at, th_slice_find(life->id, ':'));
    th_slice node = th_slice_str(th_kernel_node(kernel));
    th_pid_text pid = {node, life->host->id, life->entry->id, name};
    th_auto_buf text = TH_BUF_INIT;

    th_pid_text_encode(&text, &pid);
    th_json_put_pair(out, "pid", th_buf_slice(&text));
    th_buf_clear(&text);
    th_buf_putf(&text, "%.*s@%.*s", TH_FMT(node), TH_FMT(life->id));
    th_json_put_pair(out, "address", th_buf_slice(&text));
    th_json_put_pair(out, "entry", life->entry->id);
    th_json_put_pair(out, "host", life->host->id);
    th_json_put_pair(out, "guest", th_slice_str(life->entry->guest->name));
}

/*
 * It is in the table though it does not run: it backs off, or it is just between two
 * lives, whatever its record says of it.
 */
static void put_waiting(void *context, const th_life_info *life)
{
    bool backs_off = life->phase == TH_LIFE_WAITS || life->phase == TH_LIFE_DUE;
    listing *list = context;
    th_buf *out = list->out;

    if ((!backs_off && life->phase != TH_LIFE_STARTS && life->phase != TH_LIFE_RUNS) ||
        is_shown(list, life->id)) {
        return;
    }
    if (out->bytes > LISTING_BYTES_MAX) {
        list->has_more = true;
        return;
    }
    th_buf_putf(out, "%s{", list->before);
    list->before = ",";
    put_texts(out, list->kernel, life);
    th_json_put_pair(out, "state",
                     backs_off ? TH_SLICE("backing off") : TH_SLICE("starting"));
    th_json_put_pair_u64(out, "restarts", life->restarts);
    if (backs_off) {
        th_json_put_pair_u64(out, "next_ms", life->next_ms);
    }
    th_buf_putc(out, '}');
}

static bool put_process(void *context, const th_process_info *info)
{
    listing *list = context;
    th_buf *out = list->out;

    if (out->bytes > LISTING_BYTES_MAX || !note_shown(list, &info->ident)) {
        list->has_more = true;
        return false;
    }
    th_buf_putf(out, "%s{", list->before);
    list->before = ",";
    put_info(out, list->kernel, info, list->now_ns);
    put_life(out, list->kernel, list->lives, &info->ident);
    th_buf_putc(out, '}');
    return true;
}

void th_show_ps(th_kernel *kernel, th_lives *lives, const th_control_request *request,
                th_buf *out)
{
    listing list = {.kernel = kernel,
                    .lives = lives,
                    .out = out,
                    .now_ns = th_world_wall(th_kernel_world(kernel)).ns,
                    .before = "",
                    .seed = th_world_dice_u64(th_kernel_world(kernel))};

    th_control_put_ok(out, request->id);
    th_buf_putc(out, '{');
    th_json_put_pair(out, "node", th_slice_str(th_kernel_node(kernel)));
    th_json_put_key(out, "processes");
    th_buf_putc(out, '[');
    th_kernel_each(kernel, put_process, &list);
    if (list.shown_count > 0) {
        qsort(list.shown, list.shown_count, sizeof *list.shown, by_hash);
    }
    th_lives_each(lives, put_waiting, &list);
    th_free(list.shown);
    th_buf_puts(out, list.has_more ? "],\"more\":true}" : "]}");
    th_control_put_end(out);
}

/* --- info ------------------------------------------------------------------------- */

static void put_caps(th_buf *out, th_kernel *kernel, const th_caps *caps)
{
    th_json_put_key(out, "capabilities");
    th_buf_putc(out, '[');
    for (size_t i = 0; i < th_caps_count(caps); i++) {
        th_buf_puts(out, i == 0 ? "" : ",");
        th_cap_encode(out, th_slice_str(th_kernel_node(kernel)), th_caps_at(caps, i));
    }
    th_buf_putc(out, ']');
}

typedef struct naming {
    th_buf *out;
    const char *before;
} naming;

static void put_name(void *context, th_slice name)
{
    naming *names = context;

    th_buf_puts(names->out, names->before);
    th_json_put_text(names->out, name);
    names->before = ",";
}

/* What would make it run on; nothing if it can. */
static void put_waits(th_buf *out, const th_inspection *of)
{
    bool is_waiting = strcmp(of->info.state, "waiting") == 0 || of->is_held;
    const char *before = "";

    th_json_put_key(out, "waits_for");
    th_buf_putc(out, '[');
    if (of->is_held) {
        th_buf_puts(out, "\"launch\"");
    } else if (is_waiting) {
        th_buf_puts(out, "\"message\"");
        before = ",";
    }
    if (is_waiting && !of->is_held && of->requests > 0) {
        th_buf_putf(out, "%s\"response\"", before);
    }
    if (is_waiting && !of->is_held && of->alarms > 0) {
        th_buf_putf(out, "%s\"timer\"", before);
    }
    th_buf_putc(out, ']');
}

static void put_limits(th_buf *out, const th_limits *limits)
{
    th_json_put_key(out, "limits");
    th_buf_putc(out, '{');
    th_json_put_pair_u64(out, "memory_bytes", limits->memory_bytes_max);
    th_json_put_pair_u64(out, "mailbox_bytes", limits->mailbox_bytes_max);
    th_json_put_pair_u64(out, "mailbox_count", limits->mailbox_count_max);
    th_json_put_pair_u64(out, "requests", limits->requests_max);
    th_json_put_pair_u64(out, "timers", limits->timers_max);
    th_json_put_pair_u64(out, "ties", limits->ties_max);
    th_buf_putc(out, '}');
}

static void put_rest(th_buf *out, th_kernel *kernel, const th_inspection *of)
{
    naming names = {out, ""};

    put_waits(out, of);
    th_json_put_pair_u64(out, "requests", of->requests);
    if (of->asked.entry != NULL) {
        th_show_put_pid(out, kernel, "asked_last", &of->asked);
    }
    th_json_put_pair_u64(out, "questions", of->questions);
    th_json_put_pair_u64(out, "timers", of->alarms);
    th_json_put_pair_u64(out, "links", of->links);
    th_json_put_pair_u64(out, "monitors", of->watches);
    th_json_put_pair_u64(out, "monitored_by", of->watched);
    th_json_put_pair_u64(out, "refused", of->info.refused);
    th_json_put_key(out, "names");
    th_buf_putc(out, '[');
    th_kernel_each_name(kernel, of->info.ident.pid, put_name, &names);
    th_buf_putc(out, ']');
    put_bool(out, "public", of->is_public);
    put_bool(out, "traps_links", of->traps_links);
    th_json_put_key(out, "on_exit");
    if (of->on_exit == NULL) {
        th_buf_puts(out, "\"None\"");
    } else {
        th_on_exit_encode(out, th_slice_str(th_kernel_node(kernel)), of->on_exit);
    }
    put_caps(out, kernel, of->caps);
    put_limits(out, of->limits);
}

void th_show_info(th_kernel *kernel, th_lives *lives, const th_control_request *request,
                  th_pid pid, th_buf *out)
{
    th_inspection of;
    th_err err = th_kernel_inspect(kernel, pid, &of);

    if (err != TH_OK) {
        put_gone(out, request, err);
        return;
    }
    th_control_put_ok(out, request->id);
    th_buf_putc(out, '{');
    put_info(out, kernel, &of.info, th_world_wall(th_kernel_world(kernel)).ns);
    put_life(out, kernel, lives, &of.info.ident);
    put_rest(out, kernel, &of);
    th_buf_putc(out, '}');
    th_control_put_end(out);
    th_inspection_deinit(&of);
}

/* --- Rights ------------------------------------------------------------------------ */

void th_show_caps(th_kernel *kernel, const th_control_request *request, th_pid pid,
                  th_buf *out)
{
    th_auto(th_caps) caps = th_kernel_caps(kernel, pid);

    if (caps == NULL) {
        put_gone(out, request, TH_NOT_FOUND);
        return;
    }
    th_control_put_ok(out, request->id);
    th_buf_putc(out, '{');
    put_caps(out, kernel, caps);
    th_buf_putc(out, '}');
    th_control_put_end(out);
}

static bool put_id_of(th_kernel *kernel, th_pid pid, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_inspection of;
    th_address id;

    if (th_kernel_inspect(kernel, pid, &of) != TH_OK) {
        return false;
    }
    th_kernel_address(kernel, &of.info.ident, &id, unique);
    id.node = th_slice_of(NULL, 0);
    th_address_encode(out, &id);
    th_inspection_deinit(&of);
    return true;
}

bool th_show_find_id(th_kernel *kernel, th_slice text, th_buf *out)
{
    th_slice node = th_slice_of(text.at, th_slice_find(text, '@'));
    th_id_error error;
    th_address id;
    th_pid pid;

    if (th_kernel_resolve(kernel, text, &pid, &error) == TH_OK &&
        put_id_of(kernel, pid, out)) {
        return true;
    }
    if (th_address_decode(&id, text, true, &error) != TH_OK) {
        return false;
    }
    if (node.bytes < text.bytes && !th_slice_is(node, "our") &&
        !th_slice_is(node, th_kernel_node(kernel))) {
        return false;
    }
    id.node = th_slice_of(NULL, 0);
    th_address_encode(out, &id);
    return true;
}
