#include "node/home.h"

#include "base/test.h"
#include "world/world_sim.h"

static void expect_default(const char *xdg, const char *home, const char *path,
                           const char *folder)
{
    th_home_env env = {xdg, home};
    th_auto_buf out = TH_BUF_INIT;

    T_EQ(th_home_default(&out, &env, path), folder == NULL ? TH_NOT_FOUND : TH_OK);
    T_STR(th_buf_text(&out), folder == NULL ? "" : folder);
}

TEST(home, it_is_where_state_belongs)
{
    expect_default("/s", "/h", NULL, "/s/thole/node");
    expect_default("relative", "/h", NULL, "/h/.local/state/thole/node");
    expect_default(NULL, "/h", NULL, "/h/.local/state/thole/node");
    expect_default(NULL, NULL, NULL, NULL);
    expect_default("", "", NULL, NULL);
}

TEST(home, each_program_has_its_own)
{
    th_home_env env = {"/s", NULL};
    th_auto_buf one = TH_BUF_INIT;
    th_auto_buf other = TH_BUF_INIT;

    T_EQ(th_home_default(&one, &env, "/a/x y.lua"), TH_OK);
    T_EQ(th_home_default(&other, &env, "/b/x y.lua"), TH_OK);
    T_TRUE(th_slice_starts(th_buf_slice(&one), "/s/thole/run/x-y-lua-"));
    T_EQ(one.bytes, other.bytes);
    T_TRUE(strcmp(one.at, other.at) != 0);
}

TEST(home, the_boot_number_rises_and_a_second_node_is_refused)
{
    th_auto_buf why = TH_BUF_INIT;
    th_home *home = NULL;
    th_home *second = NULL;
    th_world *world;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    for (uint64_t boot = 1; boot < 4; boot++) {
        T_EQ(th_home_open(&home, world, "/h/x", &why), TH_OK);
        T_EQ(th_home_boot(home), boot);
        T_EQ(th_home_open(&second, world, "/h/x", &why), TH_EXISTS);
        T_NOT_NULL(strstr(th_buf_text(&why),
                          "the home `/h/x` cannot be used: a node is "
                          "up on it"));
        th_buf_clear(&why);
        home = th_home_close(home);
    }
    world = th_world_sim_free(world);
}

TEST(home, damage_and_newer_versions_are_refused_with_a_sentence)
{
    static const struct {
        const char *boot;
        th_err err;
    } rows[] = {
        {"", TH_DAMAGED},
        {"thole home 1\n", TH_DAMAGED},
        {"thole home 1\nboot 5", TH_DAMAGED},
        {"thole home 1\nboot 5\nmore", TH_DAMAGED},
        {"thole home 1\nboot x\n", TH_DAMAGED},
        {"thole home 2\nanything", TH_UNSUPPORTED},
        {"thole home 1\nboot 5\n", TH_OK},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto_buf why = TH_BUF_INIT;
        th_home *home = NULL;
        th_world *world;

        T_EQ(th_world_sim_new(&world, 1), TH_OK);
        T_EQ(th_world_sim_put(world, "/h/boot", th_slice_str(rows[i].boot)), TH_OK);
        T_EQ(th_home_open(&home, world, "/h", &why), rows[i].err);
        T_EQ(why.bytes > 0, rows[i].err != TH_OK);
        th_home_close(home);
        th_world_sim_free(world);
    }
}

TEST(home, nothing_is_half_done_when_the_disk_fails)
{
    for (uint64_t n = 0; n < 20; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_home *home = NULL;
        th_world *world;
        th_err err;

        T_EQ(th_world_sim_new(&world, 1), TH_OK);
        th_world_sim_disk_fails_after(world, n);
        err = th_home_open(&home, world, "/h", &why);
        th_world_sim_disk_fails_after(world, UINT64_MAX);
        if (err != TH_OK) {
            T_EQ(th_home_open(&home, world, "/h", &why), TH_OK);
        }
        T_TRUE(th_home_boot(home) <= 2);
        th_home_close(home);
        th_world_sim_free(world);
    }
}
