#include "world/world_sim.h"

#include "base/test.h"

static th_world *new_world(uint64_t seed)
{
    th_world *world = NULL;

    T_EQ(th_world_sim_new(&world, seed), TH_OK);
    return world;
}

TEST(world_sim, time_stands_still_until_it_is_moved)
{
    th_world *world = new_world(1);
    th_wall wall = th_world_wall(world);

    T_EQ(th_world_mono(world).ns, TH_S);
    T_EQ(th_world_mono(world).ns, TH_S);
    th_world_sim_advance(world, (th_mono){5 * TH_S});
    T_EQ(th_world_mono(world).ns, 5 * TH_S);
    T_EQ(th_world_wall(world).ns - wall.ns, 4 * TH_S);
    th_world_advance(world, (th_mono){3 * TH_S});
    T_EQ(th_world_mono(world).ns, 5 * TH_S);
    th_world_sim_free(world);
}

TEST(world_sim, one_seed_gives_one_row_of_dice)
{
    th_world *a = new_world(7);
    th_world *b = new_world(7);
    th_world *other = new_world(8);
    uint64_t first = th_world_dice_u64(a);

    T_TRUE(th_world_dice_u64(b) == first);
    T_TRUE(th_world_dice_u64(other) != first);
    T_TRUE(th_world_dice_u64(a) == th_world_dice_u64(b));
    th_world_sim_free(a);
    th_world_sim_free(b);
    th_world_sim_free(other);
}

TEST(world_sim, a_test_lays_its_ground)
{
    th_world *world = new_world(1);
    th_auto_buf got = TH_BUF_INIT;

    T_EQ(th_world_sim_put(world, "/a/b/c.lua", TH_SLICE("return 1")), TH_OK);
    T_EQ(th_world_sim_put(world, "loose", TH_SLICE("x")), TH_OK);
    T_EQ(th_world_file_read(world, "/a//b/c.lua", 0, 100, &got), TH_OK);
    T_STR(th_buf_text(&got), "return 1");
    T_EQ(th_world_sim_put(world, "/a/b", TH_SLICE("x")), TH_INVALID);
    T_EQ(th_world_sim_put(world, "/a/b/c.lua/d", TH_SLICE("x")), TH_INVALID);
    th_world_sim_free(world);
}

TEST(world_sim, the_disk_fails_when_told_and_then_changes_nothing)
{
    th_world *world = new_world(1);
    th_auto_buf got = TH_BUF_INIT;
    th_file_info info;
    th_lock *lock = NULL;

    T_EQ(th_world_sim_put(world, "/a/b", TH_SLICE("old")), TH_OK);
    th_world_sim_disk_fails_after(world, 1);
    T_EQ(th_world_file_info(world, "/a/b", &info), TH_OK);
    T_EQ(th_world_file_write(world, "/a/b", TH_SLICE("new")), TH_IO);
    T_EQ(th_world_file_read(world, "/a/b", 0, 100, &got), TH_IO);
    T_EQ(th_world_file_remove(world, "/a/b"), TH_IO);
    T_EQ(th_world_folder_make(world, "/c"), TH_IO);
    T_EQ(th_world_folder_lock(world, "/a", &lock), TH_IO);
    th_world_sim_disk_fails_after(world, UINT64_MAX);
    T_EQ(th_world_file_read(world, "/a/b", 0, 100, &got), TH_OK);
    T_STR(th_buf_text(&got), "old");
    T_EQ(th_world_file_info(world, "/c", &info), TH_NOT_FOUND);
    th_world_sim_free(world);
}

TEST(world_sim, there_are_no_threads)
{
    th_world *world = new_world(1);
    th_thread *thread = NULL;

    T_TRUE(world->is_simulated);
    T_EQ(th_world_thread_start(world, &thread, "t", NULL, NULL), TH_UNSUPPORTED);
    T_NULL(thread);
    th_world_thread_join(world, thread);
    th_world_sim_free(world);
}

TEST(world_sim, a_write_without_memory_leaves_the_file_as_it_was)
{
    th_world *world = new_world(1);
    th_auto_buf got = TH_BUF_INIT;
    th_err err = TH_NOMEM;

    T_EQ(th_world_sim_put(world, "/a", TH_SLICE("old")), TH_OK);
    for (uint64_t n = 0; err != TH_OK; n++) {
        th_file_info info;

        th_mem_fail_after(n);
        err = th_world_file_write(world, "/b", TH_SLICE("new"));
        if (err == TH_OK) {
            err = th_world_file_write(world, "/a", TH_SLICE("new"));
        }
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_NOMEM);
        th_buf_clear(&got);
        T_EQ(th_world_file_read(world, "/a", 0, 100, &got), TH_OK);
        T_STR(th_buf_text(&got), "old");
        if (th_world_file_info(world, "/b", &info) == TH_OK) {
            T_EQ(info.bytes, 3);
        }
    }
    th_world_sim_free(world);
}

TEST(world_sim, new_gives_everything_back_when_memory_runs_out)
{
    th_world *world = NULL;

    th_mem_fail_after(0);
    T_EQ(th_world_sim_new(&world, 1), TH_NOMEM);
    T_NULL(world);
    T_NULL(th_world_sim_free(NULL));
}
