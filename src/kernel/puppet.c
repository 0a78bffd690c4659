#include "kernel/puppet.h"

#include "base/test.h"
#include "world/world_sim.h"

static th_err start(th_process *self, th_buf *why)
{
    (void)why;
    th_process_set_state(self, (void *)th_process_ident(self)->entry->program);
    return TH_OK;
}

static th_run run(th_process *self)
{
    th_puppet *puppet = th_process_state(self);

    return puppet->play(self, puppet);
}

static void drop(th_process *self)
{
    th_puppet *puppet = th_process_ident(self)->entry->program;

    puppet->drops++;
}

static const th_guest puppets = {
    .name = "puppet", .parks = false, .start = start, .run = run, .drop = drop};

static void ended(void *context, const th_ident *who, const th_exit *exit)
{
    th_stage *stage = context;

    th_buf_putf(&stage->ended, "%.*s %s %.*s\n", TH_FMT(who->entry->id),
                exit == NULL ? "?" : th_reason_of(exit->reason)->name,
                exit == NULL ? 0 : (int)exit->error_bytes,
                exit == NULL ? "" : exit->text);
}

void th_stage_set(th_stage *stage, uint64_t seed, unsigned shards)
{
    th_kernel_config config = {
        .node = "local", .boot = 1, .shards = shards, .ended = ended, .context = stage};

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
