#include "guest/wasm/wasm_stage.h"

#include "base/test.h"
#include "world/world_sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* The bodies of wasm_stage.h. In a test's file, for only test programs have cmocka. */

/* --- Signals ---------------------------------------------------------------------------- */

static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE};
static struct sigaction engine_actions[3];
static bool has_actions;

void th_wasm_stage_signals(void)
{
    for (int i = 0; i < 3 && has_actions; i++) {
        sigaction(trap_signals[i], &engine_actions[i], NULL);
    }
}

static void note_signals(void)
{
    for (int i = 0; i < 3 && !has_actions; i++) {
        sigaction(trap_signals[i], NULL, &engine_actions[i]);
    }
    has_actions = true;
}

/* --- The stage ---------------------------------------------------------------------------- */

static const char *short_name(const th_ident *who)
{
    return who->entry->id.at + strlen("test:");
}

static void output(void *context, const th_ident *from, th_output kind, th_slice text)
{
    th_wasm_stage *stage = context;

    th_buf_putf(&stage->seen, "%s%s %.*s\n", short_name(from),
                kind == TH_OUTPUT_PRINT ? ":" : " logs:", TH_FMT(text));
}

/* --- A store ------------------------------------------------------------------------------ */

static th_wasm_kept *kept_of(th_wasm_stage *stage, const th_saving *saving)
{
    const char *id = th_buf_text(&saving->id);
    th_wasm_kept *kept;

    for (unsigned i = 0; i < stage->kept_count; i++) {
        if (strcmp(stage->kept[i].id, id) == 0) {
            return &stage->kept[i];
        }
    }
    T_TRUE(stage->kept_count < WASM_STAGE_KEPT_MAX);
    kept = &stage->kept[stage->kept_count++];
    snprintf(kept->id, sizeof kept->id, "%s", id);
    return kept;
}

static const char *const on_exits[] = {"none", "restart", "requests"};

/* A name that the dice made is another one with each seed. */
static const char *shown(const char *id)
{
    size_t digits = strspn(id, "0123456789");

    return id[digits] == ':' ? id + digits : id;
}

static th_err keep(th_wasm_stage *stage, th_saving *saving)
{
    th_wasm_kept *kept = kept_of(stage, saving);

    switch (saving->what) {
    case TH_SAVE_LIFE:
        th_buf_putf(&stage->seen, "(%s is kept: %s, %zu capabilities)\n",
                    shown(kept->id), on_exits[th_on_exit_kind_of(saving->on_exit)],
                    th_caps_count(saving->caps));
        return TH_OK;
    case TH_LOAD_STATE:
        th_buf_put(&saving->loaded, kept->state.at, kept->state.bytes);
        return kept->has_state ? TH_OK : TH_NOT_FOUND;
    case TH_SAVE_STATE:
        th_buf_clear(&kept->state);
        th_buf_put(&kept->state, saving->value->at, saving->value->bytes);
        kept->has_state = true;
        return TH_OK;
    case TH_SAVE_NONE:
        kept->has_state = false;
        th_buf_clear(&kept->state);
        return TH_OK;
    }
    return TH_INVALID;
}

static void keep_one(th_wasm_stage *stage, th_saving *saving)
{
    saving->err =
        stage->keeping_fails != TH_OK ? stage->keeping_fails : keep(stage, saving);
    th_kernel_saved(stage->kernel, saving);
}

static th_err save(void *context, th_saving *saving)
{
    th_wasm_stage *stage = context;

    if (stage->keeps_nothing) {
        return TH_UNSUPPORTED;
    }
    if (stage->keeps_slowly) {
        th_list_push(&stage->savings, &saving->link);
    } else {
        keep_one(stage, saving);
    }
    return TH_OK;
}

void th_wasm_stage_keep(th_wasm_stage *stage)
{
    th_list *node;

    while ((node = th_list_pop(&stage->savings)) != NULL) {
        keep_one(stage, th_container_of(node, th_saving, link));
    }
}

/* --- What is seen --------------------------------------------------------------------------- */

static void ended(void *context, const th_ended *what)
{
    const th_exit *exit = what->exit;
    th_wasm_stage *stage = context;
    th_err reason = exit == NULL ? TH_NOMEM : exit->reason;

    th_buf_putf(&stage->seen, "%s ended %s %.*s\n", short_name(what->who),
                reason == TH_OK ? "ok" : th_reason_of(reason)->name,
                TH_FMT(exit == NULL ? TH_SLICE("?") : th_exit_error(exit)));
}

void th_wasm_stage_open(th_wasm_stage *stage, uint64_t seed, unsigned shards)
{
    th_wasm_stage_open_in(stage, seed, shards, 0);
}

void th_wasm_stage_open_in(th_wasm_stage *stage, uint64_t seed, unsigned shards,
                           size_t memory_bytes_max)
{
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .memory_bytes_max = memory_bytes_max,
                               .shards = shards,
                               .save = save,
                               .output = output,
                               .ended = ended,
                               .context = stage};

    th_wasm_stage_signals();
    memset(stage, 0, sizeof *stage);
    stage->limits = th_limits_default;
    stage->limits.memory_bytes_max = (size_t)64 << 20;
    stage->steps_max = 1000000;
    th_list_init(&stage->savings);
    T_EQ(th_world_sim_new(&stage->world, seed), TH_OK);
    config.world = stage->options.world = stage->world;
    T_EQ(th_kernel_new(&stage->kernel, &config), TH_OK);
    stage->host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(stage->kernel, &stage->host), TH_OK);
}

void th_wasm_stage_close(th_wasm_stage *stage)
{
    th_wasm_stage_keep(stage);
    stage->kernel = th_kernel_free(stage->kernel);
    for (unsigned i = 0; i < stage->kept_count; i++) {
        th_buf_deinit(&stage->kept[i].state);
    }
    for (unsigned i = 0; i < stage->count; i++) {
        th_wasm_program_free(stage->programs[i]);
    }
    stage->wasm = th_wasm_free(stage->wasm);
    stage->world = th_world_sim_free(stage->world);
    th_buf_deinit(&stage->seen);
}

void th_wasm_stage_read(const char *name, th_buf *out)
{
    const char *folder = getenv("THOLE_GUESTS");
    char path[1024];
    FILE *file;
    size_t n;

    if (folder == NULL) {
        fail_msg("THOLE_GUESTS names no folder");
    }
    snprintf(path, sizeof path, "%s/%s.wasm", folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("no file %s", path);
    }
    do {
        char *at = th_buf_reserve(out, 65536);

        n = fread(at, 1, 65536, file);
        out->bytes += n;
    } while (n > 0);
    fclose(file);
}

static th_entry *add(th_wasm_stage *stage, const char *name)
{
    unsigned i = stage->count++;

    T_TRUE(i < WASM_STAGE_ENTRIES_MAX);
    snprintf(stage->ids[i][0], sizeof stage->ids[i][0], "test:%s", name);
    snprintf(stage->ids[i][1], sizeof stage->ids[i][1], "%s.wasm", name);
    stage->entries[i] = (th_entry){.id = th_slice_str(stage->ids[i][0]),
                                   .package = TH_SLICE("test"),
                                   .publisher = TH_SLICE("local"),
                                   .package_number = stage->package_number,
                                   .limits = stage->limits};
    return &stage->entries[i];
}

const th_entry *th_wasm_stage_guest(th_wasm_stage *stage, const char *name)
{
    unsigned i = stage->count;
    th_entry *entry = add(stage, name);
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf component = TH_BUF_INIT;

    if (stage->wasm == NULL) {
        T_EQ(th_wasm_new(&stage->wasm, &stage->options), TH_OK);
    }
    th_wasm_stage_read(name, &component);
    if (th_wasm_program_new(&stage->programs[i], stage->wasm, th_buf_slice(&component),
                            &why) != TH_OK) {
        fail_msg("%s: %s", name, th_buf_text(&why));
    }
    note_signals();
    entry->guest = &th_guest_wasm;
    entry->program = stage->programs[i];
    entry->file = th_slice_str(stage->ids[i][1]);
    T_EQ(th_kernel_add_entry(stage->kernel, entry), TH_OK);
    return entry;
}

/* --- Actors --------------------------------------------------------------------------------- */

static th_err actor_start(th_process *self, th_buf *why)
{
    th_wasm_actor *actor = th_process_ident(self)->entry->program;

    (void)why;
    actor->play(self, actor, NULL);
    return TH_OK;
}

static th_run actor_run(th_process *self)
{
    th_wasm_actor *actor = th_process_ident(self)->entry->program;
    th_delivery in;

    while (!actor->is_over && th_process_next(self, &in)) {
        actor->play(self, actor, &in);
    }
    if (!actor->is_over) {
        return TH_RUN_BLOCKED;
    }
    th_process_end(self, th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return TH_RUN_ENDED;
}

static void actor_drop(th_process *self)
{
    (void)self;
}

static const th_guest actors = {.name = "actor",
                                .start = actor_start,
                                .run = actor_run,
                                .drop = actor_drop};

const th_entry *th_wasm_stage_actor(th_wasm_stage *stage, const char *name,
                                    th_wasm_play *play)
{
    unsigned i = stage->count;
    th_entry *entry = add(stage, name);

    stage->actors[i] = (th_wasm_actor){.stage = stage, .play = play};
    entry->guest = &actors;
    entry->program = &stage->actors[i];
    T_EQ(th_kernel_add_entry(stage->kernel, entry), TH_OK);
    return entry;
}

void th_wasm_actor_say(th_wasm_actor *actor, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    th_buf_putv(&actor->stage->seen, format, args);
    va_end(args);
}

void th_wasm_actor_ask(th_process *self, const char *name, th_slice body, th_slice blob,
                       unsigned expects_s)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST, .expects_s = expects_s, .body = body};
    th_ask ask = {.timeout_ns = expects_s * (uint64_t)TH_S};
    th_id_error error;
    th_request *request;
    char text[128];
    th_msg *msg;

    snprintf(text, sizeof text, "%s:test:local", name);
    T_EQ(th_process_resolve(self, th_slice_str(text), &ask.to, &error), TH_OK);
    if (blob.bytes > 0) {
        parts.blob = th_blob_new(blob, th_slice_of(NULL, 0));
    }
    msg = th_msg_new(&parts);
    if (expects_s == 0) {
        T_EQ(th_process_send(self, ask.to, msg), TH_OK);
    } else {
        T_EQ(th_process_request(self, &ask, msg, &request), TH_OK);
    }
    th_blob_unref(parts.blob);
}

/* --- Running ---------------------------------------------------------------------------------- */

th_pid th_wasm_stage_spawn(th_wasm_stage *stage, const th_entry *entry,
                           const char *name)
{
    th_spawn spec = {.entry = entry, .host = &stage->host, .name = th_slice_str(name)};
    th_auto_buf why = TH_BUF_INIT;
    th_ident ident;

    if (th_kernel_spawn(stage->kernel, &spec, &ident, &why) != TH_OK) {
        fail_msg("%.*s: %s", TH_FMT(entry->id), th_buf_text(&why));
    }
    th_blob_unref(ident.name);
    return ident.pid;
}

bool th_wasm_stage_run(th_wasm_stage *stage)
{
    for (uint64_t i = 0; i < stage->steps_max; i++) {
        if (!th_kernel_step(stage->kernel)) {
            return true;
        }
    }
    return false;
}

const char *th_wasm_stage_text(th_wasm_stage *stage)
{
    return th_buf_text(&stage->seen);
}

unsigned th_wasm_stage_count(th_wasm_stage *stage, const char *part)
{
    const char *at = th_wasm_stage_text(stage);
    unsigned n = 0;

    while ((at = strstr(at, part)) != NULL) {
        at += strlen(part);
        n++;
    }
    return n;
}

void th_wasm_stage_saw(th_wasm_stage *stage, const char *part)
{
    if (strstr(th_wasm_stage_text(stage), part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, th_wasm_stage_text(stage));
    }
}
