#include "base/test.h"
#include "guest/wasm/wasm_stage.h"

#include <stdio.h>

/*
 * WASI: what a guest's libraries ask for is the world's, and what it writes is its log.
 */

static th_wasm_stage stage;
static const char *wanted;

static void asker(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    (void)in;
    th_wasm_actor_ask(self, "wasi", th_slice_str(wanted), TH_SLICE(""), 0);
    actor->is_over = true;
}

static void play(const char *what)
{
    wanted = what;
    th_wasm_stage_open(&stage, 9, 1);
    th_world_advance(stage.world,
                     (th_mono){th_world_mono(stage.world).ns + 777 * TH_S});
    th_wasm_stage_spawn(&stage, th_wasm_stage_guest(&stage, "wasi"), "wasi");
    th_wasm_stage_spawn(&stage, th_wasm_stage_actor(&stage, "asker", asker), NULL);
    T_TRUE(th_wasm_stage_run(&stage));
}

TEST(wasm_wasi, an_exit_that_is_no_success_is_a_crash_with_its_code)
{
    play("exit");
    th_wasm_stage_saw(&stage, "wasi ended failed it exited with code 1\n");
    th_wasm_stage_close(&stage);
}

TEST(wasm_wasi, standard_error_goes_to_the_log_by_lines)
{
    play("words");
    T_EQ(th_wasm_stage_count(&stage, "wasi logs: line "), 1000);
    th_wasm_stage_saw(&stage, "wasi logs: line 0\nwasi logs: line 1\n");
    th_wasm_stage_saw(&stage, "wasi ended failed wasm trap: wasm `unreachable`");
    th_wasm_stage_saw(&stage, "Last lines of its standard error:\n");
    th_wasm_stage_close(&stage);
}

TEST(wasm_wasi, clocks_are_the_worlds)
{
    char line[64];
    th_wall wall;

    play("clocks");
    wall = th_world_wall(stage.world);
    snprintf(line, sizeof line, "wasi: %lld\n",
             (long long)th_world_mono(stage.world).ns);
    th_wasm_stage_saw(&stage, line);
    snprintf(line, sizeof line, "wasi: %lld\nwasi: %lld\n", (long long)(wall.ns / TH_S),
             (long long)(wall.ns % TH_S));
    th_wasm_stage_saw(&stage, line);
    th_wasm_stage_close(&stage);
}

TEST(wasm_wasi, dice_are_the_worlds)
{
    th_auto_buf first = TH_BUF_INIT;

    for (int i = 0; i < 2; i++) {
        play("dice");
        if (i == 0) {
            th_buf_put(&first, stage.seen.at, stage.seen.bytes);
        }
        T_STR(th_wasm_stage_text(&stage), th_buf_text(&first));
        th_wasm_stage_close(&stage);
    }
}

TEST(wasm_wasi, there_is_no_environment_and_no_folder)
{
    play("vars");
    T_STR(th_wasm_stage_text(&stage), "asker ended ok \nwasi ended ok \n");
    th_wasm_stage_close(&stage);
    play("folders");
    T_STR(th_wasm_stage_text(&stage), "asker ended ok \nwasi: 0\nwasi ended ok \n");
    th_wasm_stage_close(&stage);
}
