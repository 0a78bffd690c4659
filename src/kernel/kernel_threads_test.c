#include "base/test.h"
#include "kernel/kernel.h"
#include "witness/puppet.h"
#include "world/world_real.h"

#include <stdatomic.h>
#include <stdio.h>

/*
 * The same kernel on real threads: what the simulation cannot show. Nothing here
 * waits for time to pass; each test ends when its processes have.
 */

#define PLAYERS 64
#define ROUNDS 200

typedef struct crowd {
    th_kernel *kernel;
    th_host host;
    th_puppet puppet;
    th_parker *done;
    _Atomic int ended;
    _Atomic int received;
} crowd;

static crowd it;

static void ended(void *context, const th_ended *what)
{
    (void)context;
    (void)what;
    if (atomic_fetch_add(&it.ended, 1) + 1 == PLAYERS) {
        th_world_unpark(th_world_real(), it.done);
    }
}

static void gather(th_play *play, unsigned shards)
{
    th_stage stage = {0};
    th_kernel_config config = {.world = th_world_real(),
                               .node = "local",
                               .boot = 1,
                               .shards = shards,
                               .ended = ended};

    memset(&it, 0, sizeof it);
    T_EQ(th_world_parker_new(config.world, &it.done), TH_OK);
    T_EQ(th_kernel_new(&it.kernel, &config), TH_OK);
    it.host = (th_host){.id = TH_SLICE("system:processes"), .shard = TH_SHARD_ANY};
    T_EQ(th_kernel_add_host(it.kernel, &it.host), TH_OK);
    stage.kernel = it.kernel;
    th_puppet_cast(&stage, &it.puppet, "test:player", play);
}

static void spawn_all(void)
{
    th_spawn spec = {.entry = &it.puppet.entry, .host = &it.host};
    th_auto_buf why = TH_BUF_INIT;
    th_ident ident;

    for (int i = 0; i < PLAYERS; i++) {
        char name[8];

        snprintf(name, sizeof name, "p%d", i);
        spec.registered = th_slice_str(name);
        T_EQ(th_kernel_spawn(it.kernel, &spec, &ident, &why), TH_OK);
    }
}

static void disperse(void)
{
    th_world_park(th_world_real(), it.done, (th_mono){0});
    th_kernel_stop(it.kernel);
    T_EQ(th_kernel_count(it.kernel), 0);
    it.kernel = th_kernel_free(it.kernel);
    th_world_parker_free(th_world_real(), it.done);
}

/* The number behind the 'p' of the name under which it was registered. */
static int number_of(th_process *self)
{
    return (int)th_pid_slot(th_process_ident(self)->pid) - 1;
}

static bool find_player(th_process *self, int number, th_pid *out)
{
    char name[8];
    th_id_error error;

    snprintf(name, sizeof name, "p%d", number % PLAYERS);
    return th_process_resolve(self, th_slice_str(name), out, &error) == TH_OK;
}

static th_run done(th_process *self)
{
    th_process_end(self, th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""),
                                     TH_FORMAT_BYTES, TH_SLICE("")));
    return TH_RUN_ENDED;
}

static void pass(th_process *self, int step)
{
    th_msg_parts parts = {.kind = TH_MSG_SEND, .body = th_slice_of(&step, sizeof step)};
    th_msg *msg = th_msg_new(&parts);
    th_pid next;

    if (!find_player(self, number_of(self) + 1, &next) ||
        th_process_send(self, next, msg) != TH_OK) {
        th_msg_unref(msg);
    }
}

/* Each begins one message that goes round; each ends after so many have passed it. */
static th_run rings(th_process *self, th_puppet *puppet)
{
    uintptr_t seen = (uintptr_t)th_process_state(self);
    th_delivery in;

    (void)puppet;
    while (th_process_next(self, &in)) {
        int step;

        memcpy(&step, th_msg_body(in.msg).at, sizeof step);
        th_msg_unref(in.msg);
        atomic_fetch_add(&it.received, 1);
        if (step < ROUNDS) {
            pass(self, step + 1);
        }
        seen++;
    }
    (void)seen;
    return TH_RUN_BLOCKED;
}

static th_run starts_rings(th_process *self, th_puppet *puppet)
{
    if (th_process_state(self) == puppet) { /* its first slice */
        th_process_set_state(self, NULL);
        pass(self, 0);
    }
    rings(self, puppet);
    return atomic_load(&it.received) >= PLAYERS * ROUNDS / 2 ? done(self)
                                                             : TH_RUN_BLOCKED;
}

TEST(threads, many_rings_of_messages_run_on_any_number_of_shards)
{
    for (unsigned shards = 1; shards <= 4; shards++) {
        gather(starts_rings, shards);
        spawn_all();
        T_EQ(th_kernel_start(it.kernel), TH_OK);
        /* Those that wait when the last message went astray are woken to look. */
        while (atomic_load(&it.ended) < PLAYERS) {
            for (uint32_t slot = 1; slot <= PLAYERS; slot++) {
                th_kernel_poke(it.kernel, th_pid_make(slot, 1));
            }
        }
        disperse();
    }
}

/* Asks its neighbour, answers whoever asks, and kills the next but one in the end. */
static th_run quarrels(th_process *self, th_puppet *puppet)
{
    th_delivery in;
    th_pid next;

    if (th_process_state(self) == puppet) {
        th_process_set_state(self, NULL);
        if (find_player(self, number_of(self) + 1, &next)) {
            th_process_monitor(self, next);
        }
        if (find_player(self, number_of(self) + 5, &next)) {
            th_process_link(self, next);
        }
    }
    while (th_process_next(self, &in)) {
        if (in.type == TH_ITEM_MSG) {
            th_msg_parts parts = {.kind = TH_MSG_RESPONSE};
            th_msg *answer = th_msg_new(&parts);

            if (th_process_respond(self, in.msg, answer) != TH_OK) {
                th_msg_unref(answer);
            }
            th_msg_unref(in.msg);
        } else if (in.type == TH_ITEM_REPLY) {
            th_request_free(self, in.request);
            atomic_fetch_add(&it.received, 1);
        }
    }
    if (find_player(self, number_of(self) + 1, &next)) {
        th_msg_parts parts = {.kind = TH_MSG_REQUEST};
        th_ask ask = {.to = next, .timeout_ns = TH_S};
        th_msg *msg = th_msg_new(&parts);
        th_request *request;

        if (th_process_request(self, &ask, msg, &request) != TH_OK) {
            th_msg_unref(msg);
        }
    }
    if (atomic_load(&it.received) > 2000) {
        if (!find_player(self, number_of(self) + 2, &next)) {
            return done(self); /* nobody is left who would be killed or kill it */
        }
        th_process_terminate(self, next);
    }
    return TH_RUN_YIELDED;
}

TEST(threads, requests_links_and_kills_from_all_sides_leave_nothing_behind)
{
    for (unsigned shards = 1; shards <= 4; shards++) {
        gather(quarrels, shards);
        spawn_all();
        T_EQ(th_kernel_start(it.kernel), TH_OK);
        disperse();
    }
}
