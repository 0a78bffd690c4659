#include "svc/keeper_house.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * A node that crashes at any operation of its disk, and boots again.
 *
 * A workload of spawns, kills, ends and saves goes on in a house. At operations of its
 * disk images are taken of what a crash would leave; in each a house opens, and has
 * exactly what was acknowledged, or that and what was under way. THOLE_SEED=N plays the
 * workload of that seed alone.
 */
#define NAMES 6
#define OPS 60

#define IMAGES (TH_TEST_IS_SANITIZED ? 500u : 10000u)

typedef enum kept { KEPT_NONE, KEPT_RESTART, KEPT_REQUESTS } kept;

static const char *const kept_texts[] = {"none", "restart", "requests"};

/* What is known of one name: its record is the one or the other. */
typedef struct known {
    char name[8];
    kept acked, wanted;
    bool is_pending;
    unsigned saved, saving; /* its state: acknowledged, and asked for */
} known;

static house scene, image;
static known all[NAMES];
static uint64_t seed, dice;
static unsigned images, one_of;

#define HOLDS(condition, ...)                                                          \
    if (!(condition)) {                                                                \
        char text_[8192];                                                              \
        snprintf(text_, sizeof text_, __VA_ARGS__);                                    \
        fail_msg("seed %llu: %s", (unsigned long long)seed, text_);                    \
    }

static uint64_t roll(uint64_t sides)
{
    uint64_t z = dice += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % sides;
}

static known *find(th_slice name)
{
    for (int i = 0; i < NAMES; i++) {
        if (th_slice_is(name, all[i].name)) {
            return &all[i];
        }
    }
    return NULL;
}

/* --- What is acknowledged ----------------------------------------------------------- */

static void settle(th_slice name)
{
    known *one = find(name);

    if (one != NULL) {
        one->acked = one->wanted;
        one->is_pending = false;
    }
}

/* "saved:a1=17" says that a1 has this state. */
static void hear_saved(th_slice text)
{
    size_t at = th_slice_find(text, '=');
    known *one = find(th_slice_of(text.at, at));
    unsigned version = (unsigned)atoi(text.at + at + 1);

    if (one != NULL && version > one->saved) {
        one->saved = version;
    }
}

static void hear(house *house, th_slice word)
{
    static const char killed[] = "answer:{\"KilledProcess\":\"";

    (void)house;
    HOLDS(!th_slice_starts(word, "failed:"), "%.*s", TH_FMT(word));
    if (th_slice_starts(word, "spawned:")) {
        settle(th_slice_from(word, 8));
    } else if (th_slice_starts(word, "saved:")) {
        hear_saved(th_slice_from(word, 6));
    } else if (th_slice_starts(word, killed)) {
        word = th_slice_from(word, sizeof killed - 1);
        settle(th_slice_of(word.at, th_slice_find(word, ':')));
    }
}

/* --- Images ----------------------------------------------------------------------------- */

static unsigned count(const char *seen, const char *word)
{
    size_t n = strlen(word);
    unsigned found = 0;

    for (const char *at = seen; (at = strstr(at, word)) != NULL; at += n) {
        found += at[n] == ' ' || at[n] == '\0';
    }
    return found;
}

static void check_one(const known *one, const char *seen)
{
    char starts[256], fires[256];
    unsigned started, fired;
    bool may_restart =
        one->acked == KEPT_RESTART || (one->is_pending && one->wanted == KEPT_RESTART);
    bool must_restart =
        one->acked == KEPT_RESTART && (!one->is_pending || one->wanted == KEPT_RESTART);
    bool may_fire = one->acked == KEPT_REQUESTS ||
                    (one->is_pending && one->wanted == KEPT_REQUESTS);
    bool must_fire = one->acked == KEPT_REQUESTS &&
                     (!one->is_pending || one->wanted == KEPT_REQUESTS);

    snprintf(starts, sizeof starts, "start:%s", one->name);
    snprintf(fires, sizeof fires, "got:bye:%s", one->name);
    started = count(seen, starts);
    fired = count(seen, fires);
    HOLDS(started <= may_restart && started >= must_restart,
          "%s was %s, perhaps %s, and started %u times: %s", one->name,
          kept_texts[one->acked], kept_texts[one->wanted], started, seen);
    HOLDS(fired <= may_fire && fired >= must_fire,
          "%s was %s, perhaps %s, and fired %u times: %s", one->name,
          kept_texts[one->acked], kept_texts[one->wanted], fired, seen);
    HOLDS(house_runs(&image, one->name) == (started == 1), "%s runs or not: %s",
          one->name, seen);
}

static void check_state(const known *one)
{
    unsigned version = 0;
    const char *seen;

    if (!house_runs(&image, one->name)) {
        return;
    }
    HOLDS(house_tell(&image, one->name, "load") == TH_OK, "%s cannot be told",
          one->name);
    house_run(&image);
    seen = strstr(house_seen(&image), "loaded:");
    if (seen != NULL) {
        const char *at = strchr(seen, '=');

        version = at == NULL ? 0 : (unsigned)atoi(at + 1);
    }
    HOLDS(version >= one->saved && version <= one->saving,
          "%s saved %u, perhaps up to %u, and has %u", one->name, one->saved,
          one->saving, version);
}

static void take_image(void)
{
    th_world *left = NULL;
    char seen[4096];

    HOLDS(th_world_sim_crash(scene.stage.world, roll(UINT32_MAX), &left) == TH_OK,
          "no image");
    memset(&image, 0, sizeof image);
    image.boot = scene.boot;
    house_open(&image, left);
    snprintf(seen, sizeof seen, "%s", house_seen(&image));
    HOLDS(image.notes.bytes == 0, "%s", th_buf_text(&image.notes));
    for (int i = 0; i < NAMES; i++) {
        check_one(&all[i], seen);
    }
    for (int i = 0; i < NAMES; i++) {
        check_state(&all[i]);
    }
    th_world_sim_free(house_close(&image));
    house_is(&scene);
    images++;
}

static th_err watch(void *context, th_sim_op op, const char *path)
{
    (void)context;
    (void)path;
    if (op != TH_SIM_READ && roll(one_of) == 0) {
        take_image();
    }
    return TH_OK;
}

/* --- The workload ------------------------------------------------------------------------- */

static void want(known *one, kept wanted)
{
    one->wanted = wanted;
    one->is_pending = true;
}

static void spawn_one(known *one)
{
    kept wanted = roll(3) == 0 ? KEPT_REQUESTS : KEPT_RESTART;
    char what[32];

    if (house_runs(&scene, one->name)) {
        return; /* it is ending */
    }
    want(one, wanted);
    snprintf(what, sizeof what, "spawn %s %s", one->name, kept_texts[wanted]);
    HOLDS(house_tell(&scene, "listener", what) == TH_OK, "the listener is gone");
}

static void kill_one(known *one)
{
    char what[64];

    want(one, KEPT_NONE);
    snprintf(what, sizeof what, "{\"KillProcess\":\"%s:test:local\"}", one->name);
    house_ask(&scene, what);
}

static void end_one(known *one)
{
    if (house_tell(&scene, one->name, roll(2) == 0 ? "return" : "crash") == TH_OK &&
        one->acked == KEPT_REQUESTS) {
        want(one, KEPT_NONE); /* nobody says when: until all is quiet */
    }
}

static void save_one(known *one)
{
    char what[32];

    snprintf(what, sizeof what, "state %s=%u", one->name, one->saving + 1);
    if (house_tell(&scene, one->name, what) == TH_OK) {
        one->saving++;
    }
}

static void do_one(void)
{
    known *one = &all[roll(NAMES)];

    if (one->is_pending) {
        return;
    }
    if (one->acked == KEPT_NONE) {
        spawn_one(one);
        return;
    }
    switch (roll(4)) {
    case 0:
        kill_one(one);
        break;
    case 1:
        end_one(one);
        break;
    default:
        save_one(one);
    }
}

/* All is quiet: what was under way has come out. */
static void come_to_rest(void)
{
    house_wait(&scene, roll(2) == 0 ? 0 : 3000);
    for (int i = 0; i < NAMES; i++) {
        settle(th_slice_str(all[i].name));
    }
}

static void play(void)
{
    th_world *world = NULL;

    memset(&scene, 0, sizeof scene);
    memset(all, 0, sizeof all);
    for (int i = 0; i < NAMES; i++) {
        snprintf(all[i].name, sizeof all[i].name, "a%d", i % 10);
    }
    HOLDS(th_world_sim_new(&world, seed) == TH_OK, "no world");
    scene.acked = hear;
    house_open(&scene, world);
    th_world_sim_disk_watch(world, watch, NULL);
    for (int i = 0; i < OPS; i++) {
        do_one();
        for (uint64_t steps = roll(12); steps > 0 && house_step(&scene); steps--) {
        }
        if (roll(10) == 0) {
            come_to_rest();
        }
        th_buf_clear(&scene.seen);
    }
    come_to_rest();
    th_world_sim_disk_watch(world, NULL, NULL);
    scene.acked = NULL;
    th_world_sim_free(house_close(&scene));
}

TEST(keeper_crash, each_boot_finds_exactly_what_was_acknowledged)
{
    uint64_t only = th_test_seed();

    images = 0;
    one_of = 4;
    seed = only > 0 ? only : 1;
    do {
        th_test_plays("svc", seed);
        dice = seed * 77;
        play();
        seed++;
    } while (only == 0 && images < IMAGES);
    T_TRUE(images > 0);
}
