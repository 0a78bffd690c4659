#include "witness/puppet.h"

#include "base/test.h"
#include "kernel/internal.h"
#include "world/world_sim.h"

#include <limits.h>

static th_err start(th_process *self, th_buf *why)
{
    (void)why;
    th_process_set_state(self, (void *)th_process_ident(self)->entry->program);
    return TH_OK;
}

static th_run run(th_process *self)
{
    th_puppet *puppet = th_process_ident(self)->entry->program;

    return puppet->play(self, puppet);
}

static void drop(th_process *self)
{
    th_puppet *puppet = th_process_ident(self)->entry->program;

    puppet->drops++;
}

static const th_guest puppets = {.name = "puppet",
                                 .parks = false,
                                 .start = start,
                                 .run = run,
                                 .drop = drop};

static void ended(void *context, const th_ended *what)
{
    const th_exit *exit = what->exit;
    th_stage *stage = context;

    th_buf_putf(&stage->ended, "%.*s %s %.*s\n", TH_FMT(what->who->entry->id),
                exit == NULL ? "?" : th_reason_of(exit->reason)->name,
                exit == NULL ? 0 : (int)exit->error_bytes,
                exit == NULL ? "" : exit->text);
}

void th_stage_set(th_stage *stage, uint64_t seed, unsigned shards)
{
    th_stage_set_with(stage, seed, shards, 0);
}

void th_stage_set_with(th_stage *stage, uint64_t seed, unsigned shards,
                       size_t memory_bytes_max)
{
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .shards = shards,
                               .memory_bytes_max = memory_bytes_max,
                               .ended = ended,
                               .context = stage};

    memset(stage, 0, sizeof *stage);
    T_EQ(th_world_sim_new(&stage->world, seed), TH_OK);
    config.world = stage->world;
    T_EQ(th_kernel_new(&stage->kernel, &config), TH_OK);
    stage->host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(stage->kernel, &stage->host), TH_OK);
}

void th_stage_strike(th_stage *stage)
{
    stage->kernel = th_kernel_free(stage->kernel);
    stage->world = th_world_sim_free(stage->world);
    th_buf_deinit(&stage->ended);
}

void th_puppet_cast(th_stage *stage, th_puppet *puppet, const char *id, th_play *play)
{
    memset(puppet, 0, sizeof *puppet);
    puppet->play = play;
    puppet->entry = (th_entry){.id = th_slice_str(id),
                               .package = TH_SLICE("test"),
                               .publisher = TH_SLICE("local"),
                               .limits = th_limits_default,
                               .guest = &puppets,
                               .program = puppet};
    T_EQ(th_kernel_add_entry(stage->kernel, &puppet->entry), TH_OK);
}

th_pid th_puppet_spawn(th_stage *stage, th_puppet *puppet)
{
    th_spawn spec = {.entry = &puppet->entry, .host = &stage->host};
    th_auto_buf why = TH_BUF_INIT;
    th_ident ident;

    T_EQ(th_kernel_spawn(stage->kernel, &spec, &ident, &why), TH_OK);
    th_blob_unref(ident.name);
    return ident.pid;
}

void th_stage_run(th_stage *stage)
{
    while (th_kernel_step(stage->kernel)) {
    }
}

/* --- Dolls ------------------------------------------------------------------------ */

static th_run lies_there(th_process *self, th_puppet *puppet)
{
    (void)self;
    (void)puppet;
    return TH_RUN_ASLEEP;
}

th_process *th_stage_doll(th_stage *stage, th_puppet *puppet, const char *id)
{
    th_pid pid;

    th_puppet_cast(stage, puppet, id, lies_there);
    pid = th_puppet_spawn(stage, puppet);
    th_stage_run(stage);
    return th_table_find(stage->kernel, pid);
}

void th_stage_enter(th_stage *stage, unsigned shard)
{
    stage->shard = shard;
    th_shard_self = &stage->kernel->shards[shard];
    th_shard_self->now_ns = th_world_mono(stage->world).ns;
    th_epoch_enter(&stage->kernel->epoch, th_shard_self->reader);
}

void th_stage_leave(th_stage *stage)
{
    (void)stage;
    th_epoch_leave(th_shard_self->reader);
    th_shard_self = NULL;
}

th_msg *th_stage_msg(th_msg_kind kind, const char *body)
{
    th_msg_parts parts = {.kind = kind,
                          .topic = TH_SLICE("t"),
                          .body = th_slice_str(body)};

    return th_msg_new(&parts);
}

/* Without letting time pass. */
static void run_at_once(th_stage *stage)
{
    for (unsigned i = 0; i < stage->kernel->shards_count; i++) {
        if (th_shard_has_work(&stage->kernel->shards[i])) {
            th_kernel_step(stage->kernel);
            i = UINT_MAX; /* from the first again */
        }
    }
}

void th_stage_end(th_stage *stage, th_process *doll, th_err reason)
{
    th_end end = reason == TH_OK ? TH_END_RETURN : TH_END_CRASH;

    th_process_kill(doll, th_exit_new(end, reason, TH_SLICE("so it was told"),
                                      TH_FORMAT_BYTES, TH_SLICE("")));
    th_stage_leave(stage);
    run_at_once(stage);
    th_stage_enter(stage, stage->shard);
}
