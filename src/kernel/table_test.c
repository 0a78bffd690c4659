#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "world/world_sim.h"

static th_stage stage;

static th_run ends_at_once(th_process *self, th_puppet *puppet)
{
    (void)puppet;
    th_process_end(self, NULL);
    return TH_RUN_ENDED;
}

TEST(table, no_pid_comes_twice_though_slots_do)
{
    enum { LIVES = 2000 };
    static th_pid pids[LIVES];
    uint32_t slots = 0;
    th_puppet puppet;

    th_stage_set(&stage, 1, 1);
    th_puppet_cast(&stage, &puppet, "test:a", ends_at_once);
    for (int i = 0; i < LIVES; i++) {
        pids[i] = th_puppet_spawn(&stage, &puppet);
        T_TRUE(th_kernel_is_alive(stage.kernel, pids[i]));
        th_stage_run(&stage);
        T_FALSE(th_kernel_is_alive(stage.kernel, pids[i]));
        slots = th_pid_slot(pids[i]) > slots ? th_pid_slot(pids[i]) : slots;
        for (int j = 0; j < i; j++) {
            T_FALSE(th_pid_eq(pids[i], pids[j]));
        }
    }
    T_TRUE(slots < 300); /* they are used again */
    T_FALSE(th_kernel_is_alive(stage.kernel, TH_PID_NONE));
    th_stage_strike(&stage);
}

TEST(table, a_node_refuses_processes_above_its_limit_and_takes_others_afterwards)
{
    th_kernel_config config = {.node = "local",
                               .boot = 1,
                               .shards = 1,
                               .processes_max = 3};
    th_spawn spec = {.host = &stage.host};
    th_auto_buf why = TH_BUF_INIT;
    th_puppet puppet;
    th_ident ident;

    memset(&stage, 0, sizeof stage);
    T_EQ(th_world_sim_new(&stage.world, 1), TH_OK);
    config.world = stage.world;
    T_EQ(th_kernel_new(&stage.kernel, &config), TH_OK);
    stage.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    th_puppet_cast(&stage, &puppet, "test:a", ends_at_once);
    spec.entry = &puppet.entry;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) {
            T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_OK);
        }
        th_buf_clear(&why);
        T_EQ(th_kernel_spawn(stage.kernel, &spec, &ident, &why), TH_QUOTA);
        T_STR(th_buf_text(&why), "the node has its limit of 3 processes");
        T_EQ(stage.host.processes, 3);
        th_stage_run(&stage);
    }
    th_stage_strike(&stage);
}

TEST(table, a_kernel_is_whole_or_not_at_all_when_memory_runs_out)
{
    th_world *world;
    int64_t live;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    live = th_mem_live();
    for (uint64_t n = 0;; n++) {
        th_kernel_config config = {.world = world,
                                   .node = "local",
                                   .boot = 1,
                                   .shards = 3};
        th_kernel *kernel = NULL;
        th_err err;

        th_mem_fail_after(n);
        err = th_kernel_new(&kernel, &config);
        th_mem_fail_never();
        if (err == TH_OK) {
            T_TRUE(n > 3);
            th_kernel_free(kernel);
            break;
        }
        T_EQ(err, TH_NOMEM);
        T_NULL(kernel);
        T_EQ(th_mem_live(), live);
    }
    T_EQ(th_mem_live(), live);
    th_world_sim_free(world);
}
