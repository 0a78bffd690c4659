#include "cli/stop.h"

#include "cli/ask.h"
#include "cli/client.h"
#include "cli/say.h"
#include "world/world.h"

#define LOOK_EACH_MS 20
#define WAIT_MS 30000 /* it has some 6 s for its processes, and what the disk takes */

/* False: somebody has it still. */
static bool is_left(th_world *world, const char *home)
{
    th_lock *lock;
    th_err err = th_world_folder_lock(world, home, &lock);

    if (err == TH_OK) {
        th_world_folder_unlock(world, lock);
    }
    return err != TH_EXISTS;
}

static th_err wait_left(th_world *world, const char *home)
{
    int64_t end = th_world_mono(world).ns + WAIT_MS * TH_MS;
    th_parker *parker;
    th_err err = th_world_parker_new(world, &parker);

    if (err != TH_OK) {
        return err;
    }
    while (!is_left(world, home) && err == TH_OK) {
        th_mono due = {th_world_mono(world).ns + LOOK_EACH_MS * TH_MS};

        err = due.ns > end ? TH_TIMED_OUT : TH_OK;
        th_world_park(world, parker, due);
    }
    th_world_parker_free(world, parker);
    return err;
}

int th_stop_node(th_world *world, const th_words *words, const char *home)
{
    static const char request[] = "{\"id\":1,\"verb\":\"call\","
                                  "\"to\":\"kernel:distro:sys\","
                                  "\"body\":\"\\\"Shutdown\\\"\"}";
    th_question question = {.world = world,
                            .home = home,
                            .request = th_slice_str(request)};
    th_answer answer;
    th_err err = th_client_ask(&question, &answer);
    int code = 0;

    if (err == TH_OFFLINE && answer.why.bytes == 0) {
        code = th_ask_say_offline(words, home);
    } else if (err != TH_OK) {
        code = th_say_error(err, th_buf_slice(&answer.why));
    }
    th_answer_deinit(&answer);
    if (code == 0 && wait_left(world, home) == TH_TIMED_OUT) {
        code = th_say_errorf(TH_TIMED_OUT,
                             "the node on `%s` is to stop, and has not ended in %d "
                             "seconds; `thole ps` shows who still runs",
                             home, WAIT_MS / 1000);
    }
    return code;
}
