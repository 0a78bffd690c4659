/*
 * What is there after a crash, at any operation of the disk.
 *
 * A workload of jobs in groups goes on in a simulated world. At operations of its disk
 * images are taken of what a crash would leave; in each a store is opened, and has
 * exactly what was acknowledged, or that and all of the group which was under way.
 * THOLE_SEED=N plays the workload of that seed alone.
 */
#include "store/store_testing.h"

#define KEYS 10
#define JOBS_MAX 12
#define CHANGES_MAX 3
#define VALUE_BYTES_MAX 9000

#define IMAGES (TH_TEST_IS_SANITIZED ? 500 : 10000)

/* Versions of what is stored: 0, there is nothing. */
typedef struct content {
    uint32_t version[TH_STORE_TABLES][KEYS];
} content;

typedef struct scene scene;

typedef struct crash_job {
    th_store_job job;
    scene *scene;
    th_store_change changes[CHANGES_MAX];
    uint32_t versions[CHANGES_MAX];
    char keys[CHANGES_MAX][8];
    int key[CHANGES_MAX];
    char *values[CHANGES_MAX];
} crash_job;

struct scene {
    uint64_t dice;
    th_world *world;
    th_store *store;
    content acked;
    crash_job jobs[JOBS_MAX]; /* of the group under way, */
    int first, count;         /* from first on */
    uint32_t version;

    /* The images. */
    unsigned one_of; /* operations has one */
    int images;

    /* Where the disk fails. */
    bool forgives;         /* errors are part of it: see check_forgiving */
    unsigned fails_one_of; /* operations fails; 0: none does */
    int errors;            /* jobs that were answered by one */
    bool has_put;          /* a put was acknowledged since that was set to false */
    content least;         /* the newest change that was acknowledged, */
    content most;          /* that was submitted, */
    content most_removed;  /* that was submitted and is a remove */
};

static uint64_t seed_played;
static int errors_played;

#define HOLDS(condition)                                                               \
    if (!(condition)) {                                                                \
        fail_msg("seed %llu: %s", (unsigned long long)seed_played, #condition);        \
    }

/* --- Values ----------------------------------------------------------------------- */

static uint64_t roll(uint64_t *dice)
{
    uint64_t z = *dice += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t value_bytes(uint32_t version)
{
    uint64_t dice = version;
    uint64_t kind = roll(&dice) % 16;

    return 4 + (size_t)(roll(&dice) % (kind == 0  ? VALUE_BYTES_MAX - 4
                                       : kind < 4 ? 1500
                                                  : 60));
}

/* A value that tells its version, and by every byte. */
static size_t fill_value(char *value, uint32_t version)
{
    size_t bytes = value_bytes(version);

    for (size_t i = 0; i < bytes; i++) {
        value[i] = (char)(version * 31 + i);
    }
    memcpy(value, &version, sizeof version);
    return bytes;
}

static bool load_row(void *context, th_slice key, th_slice value)
{
    static char expected[VALUE_BYTES_MAX];
    uint32_t *versions = context;
    uint32_t version;
    int k = atoi(key.at + 1);

    HOLDS(key.bytes == 2 && k < KEYS && value.bytes >= sizeof version);
    memcpy(&version, value.at, sizeof version);
    HOLDS(version > 0);
    HOLDS(value.bytes == fill_value(expected, version));
    T_MEM(value.at, expected, value.bytes);
    versions[k] = version;
    return true;
}

/* What a store has. */
static void load(th_store *store, content *out)
{
    th_auto_buf why = TH_BUF_INIT;

    *out = (content){{{0}}};
    for (int table = 0; table < TH_STORE_TABLES; table++) {
        HOLDS(th_store_each(store, (th_store_table)table, load_row, out->version[table],
                            &why) == TH_OK);
    }
}

static bool is_same(const content *a, const content *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- The workload ----------------------------------------------------------------- */

static void apply_to(content *to, const crash_job *job)
{
    for (size_t i = 0; i < job->job.count; i++) {
        to->version[job->changes[i].table][job->key[i]] =
            job->changes[i].verb == TH_STORE_PUT ? job->versions[i] : 0;
    }
}

static void acknowledge(th_store_job *job)
{
    crash_job *with = th_container_of(job, crash_job, job);
    scene *in = with->scene;

    HOLDS(with == &in->jobs[in->first]);
    in->first++;
    in->count--;
    if (job->err == TH_OK) {
        apply_to(&in->acked, with);
    } else {
        HOLDS(in->forgives && (job->err == TH_IO || job->err == TH_QUOTA));
        in->errors++;
    }
    for (size_t i = 0; i < job->count; i++) {
        if (job->err == TH_OK) {
            in->least.version[with->changes[i].table][with->key[i]] = with->versions[i];
            in->has_put |= with->changes[i].verb == TH_STORE_PUT;
        }
        th_free(with->values[i]);
    }
}

static void make_change(scene *in, crash_job *job, size_t i)
{
    th_store_change *change = &job->changes[i];
    uint64_t dice = roll(&in->dice);

    job->versions[i] = ++in->version;
    job->key[i] = (int)(dice % KEYS);
    snprintf(job->keys[i], sizeof job->keys[i], "k%d", job->key[i]);
    job->values[i] = NULL;
    *change = (th_store_change){.verb = dice >> 8 & 3 ? TH_STORE_PUT : TH_STORE_REMOVE,
                                .table = (th_store_table)(dice >> 16 & 1),
                                .key = th_slice_of(job->keys[i], 2)};
    if (change->verb == TH_STORE_PUT) {
        job->values[i] = th_malloc(VALUE_BYTES_MAX);
        change->value =
            th_slice_of(job->values[i], fill_value(job->values[i], job->versions[i]));
    }
    in->most.version[change->table][job->key[i]] = in->version;
    if (change->verb == TH_STORE_REMOVE) {
        in->most_removed.version[change->table][job->key[i]] = in->version;
    }
}

static void submit_some(scene *in)
{
    int count = 1 + (int)(roll(&in->dice) % JOBS_MAX);

    in->first = 0;
    for (in->count = 0; in->count < count; in->count++) {
        crash_job *job = &in->jobs[in->count];

        *job = (crash_job){.scene = in};
        job->job = (th_store_job){.changes = job->changes,
                                  .count = 1 + roll(&in->dice) % CHANGES_MAX,
                                  .done = acknowledge};
        for (size_t i = 0; i < job->job.count; i++) {
            make_change(in, job, i);
        }
        HOLDS(th_store_submit(in->store, &job->job) == TH_OK);
    }
}

/* --- Images ----------------------------------------------------------------------- */

static void check_exact(const scene *in, const content *found)
{
    content with_group = in->acked;

    for (int i = 0; i < in->count; i++) {
        apply_to(&with_group, &in->jobs[in->first + i]);
    }
    HOLDS(is_same(found, &in->acked) || is_same(found, &with_group));
}

/*
 * Where jobs fail, what a crash leaves of them is open, key by key: nothing older than
 * what was acknowledged, nothing newer than what was submitted.
 */
static void check_forgiving(const scene *in, const content *found)
{
    for (int table = 0; table < TH_STORE_TABLES; table++) {
        for (int k = 0; k < KEYS; k++) {
            uint32_t version = found->version[table][k];
            uint32_t least = in->least.version[table][k];

            if (version == 0) {
                HOLDS(in->acked.version[table][k] == 0 ||
                      in->most_removed.version[table][k] > least);
            } else {
                HOLDS(version >= least && version <= in->most.version[table][k]);
            }
        }
    }
}

static th_store *boot(th_world *world, content *found)
{
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_err err = th_store_open(&store, world, "/node/store", &why);

    if (err != TH_OK) {
        fprintf(stderr, "%s\n", th_buf_text(&why));
    }
    HOLDS(err == TH_OK);
    load(store, found);
    return store;
}

/* Of a world that boots after a crash: crash again, when it has done so much. */
typedef struct second_crash {
    th_world *world;
    unsigned ops_left;
    th_world *left;
} second_crash;

static th_err watch_boot(void *context, th_sim_op op, const char *path)
{
    second_crash *with = context;

    (void)path;
    if (op != TH_SIM_READ && with->left == NULL && with->ops_left-- == 0) {
        HOLDS(th_world_sim_crash(with->world, with->ops_left, &with->left) == TH_OK);
    }
    return TH_OK;
}

/* What was found is found again after one more crash while it was put right. */
static void check_second(const content *found, second_crash *with)
{
    content again;

    if (with->left != NULL) {
        th_store_close(boot(with->left, &again));
        HOLDS(is_same(&again, found));
        th_world_sim_free(with->left);
    }
}

/* What is put after a crash is there after the next. */
static void check_goes_on(th_world *world, th_store *store, const content *found)
{
    th_world *left = NULL;
    content expected = *found, again;
    char value[VALUE_BYTES_MAX];
    size_t bytes = fill_value(value, 77);

    HOLDS(do_change(world, store,
                    (th_store_change){TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("k3"),
                                      th_slice_of(value, bytes)}) == TH_OK);
    HOLDS(th_world_sim_crash(world, bytes, &left) == TH_OK);
    expected.version[TH_STORE_STATE][3] = 77;
    th_store_close(boot(left, &again));
    HOLDS(is_same(&again, &expected));
    th_world_sim_free(left);
}

static void take_image(scene *in)
{
    second_crash second = {.ops_left = (unsigned)(in->images % 40)};
    th_world *left = NULL;
    th_store *store;
    content found;

    HOLDS(th_world_sim_crash(in->world, roll(&in->dice), &left) == TH_OK);
    second.world = left;
    if (in->images % 4 == 0) {
        th_world_sim_disk_watch(left, watch_boot, &second);
    }
    store = boot(left, &found);
    th_world_sim_disk_watch(left, NULL, NULL);
    if (in->forgives) {
        check_forgiving(in, &found);
    } else {
        check_exact(in, &found);
    }
    if (in->images % 4 == 1) {
        check_goes_on(left, store, &found);
    }
    th_store_close(store);
    check_second(&found, &second);
    th_world_sim_free(left);
    in->images++;
}

static th_err watch_scene(void *context, th_sim_op op, const char *path)
{
    scene *in = context;

    (void)path;
    if (op != TH_SIM_READ && roll(&in->dice) % in->one_of == 0) {
        take_image(in);
    }
    if (in->fails_one_of == 0 || roll(&in->dice) % in->fails_one_of != 0) {
        return TH_OK;
    }
    return op == TH_SIM_READ || roll(&in->dice) % 2 == 0 ? TH_IO : TH_QUOTA;
}

/* --- Scenes ----------------------------------------------------------------------- */

static void begin(scene *in, uint64_t seed)
{
    *in = (scene){.dice = seed};
    HOLDS(th_world_sim_new(&in->world, seed) == TH_OK);
    HOLDS(th_world_folder_make(in->world, "/node") == TH_OK);
    th_world_sim_disk_watch(in->world, watch_scene, in);
}

/* Where the disk fails, try again until it does not. */
static void open_scene_store(scene *in)
{
    th_err err;

    do {
        th_auto_buf why = TH_BUF_INIT;

        err = th_store_open(&in->store, in->world, "/node/store", &why);
        HOLDS((err == TH_OK) == (why.bytes == 0));
        HOLDS(err == TH_OK || (in->forgives && (err == TH_IO || err == TH_QUOTA)));
    } while (err != TH_OK);
    th_store_set_log_pages(in->store, 12);
    HOLDS(th_store_start(in->store) == TH_OK);
}

static void take_turn(scene *in)
{
    submit_some(in);
    while (th_store_step(in->store)) {
    }
    HOLDS(in->count == 0);
}

static void end_scene(scene *in)
{
    th_store_close(in->store);
    th_world_sim_disk_watch(in->world, NULL, NULL);
    th_world_sim_free(in->world);
}

static int play(uint64_t seed)
{
    static scene in;

    begin(&in, seed);
    in.one_of = seed % 2 == 0 ? 1 : 4;
    open_scene_store(&in);
    for (int turn = 0; turn < 6; turn++) {
        take_turn(&in);
        if (turn == 3) {
            th_store_close(in.store);
            open_scene_store(&in);
        }
    }
    end_scene(&in);
    return in.images;
}

/* Play seed after seed, or that of THOLE_SEED, until there are so many images. */
static void play_seeds(int (*play_one)(uint64_t seed), int images_min)
{
    int images = 0;

    seed_played = th_test_seed();
    if (seed_played > 0) {
        th_test_plays("store", seed_played);
        play_one(seed_played);
        return;
    }
    for (uint64_t n = 1; images < images_min; n++) {
        seed_played = n;
        th_test_plays("store", n);
        images += play_one(n);
    }
    printf("%d images\n", images);
}

TEST(store_crash, a_boot_after_a_crash_finds_exactly_what_was_acknowledged)
{
    play_seeds(play, IMAGES);
}

/* --- A disk that fails ------------------------------------------------------------ */

/* The store that goes on has exactly what was acknowledged. */
static void check_live(scene *in)
{
    for (int i = 0; i < TH_STORE_TABLES * KEYS; i++) {
        char key[3] = {'k', (char)('0' + i % KEYS), 0};
        uint32_t versions[KEYS] = {0};
        uint32_t expected = in->acked.version[i / KEYS][i % KEYS];
        waited with = {.job = {.count = 1,
                               .one = {.verb = TH_STORE_GET,
                                       .table = (th_store_table)(i / KEYS),
                                       .key = th_slice_of(key, 2)}}};

        HOLDS(do_job(in->world, in->store, &with) ==
              (expected == 0 ? TH_NOT_FOUND : TH_OK));
        if (expected != 0) {
            load_row(versions, with.job.one.key, th_buf_slice(&with.job.value));
        }
        HOLDS(versions[i % KEYS] == expected);
        th_buf_deinit(&with.job.value);
    }
}

/*
 * The node dies while the disk fails and is started again on a disk that works: what it
 * finds is what was acknowledged, or newer, and is what counts from then on.
 */
static void die_and_return(scene *in)
{
    in->fails_one_of = 1;
    th_store_close(in->store);
    in->fails_one_of = 0;
    th_world_sim_disk_watch(in->world, NULL, NULL);
    in->store = boot(in->world, &in->acked);
    th_store_set_log_pages(in->store, 12);
    th_world_sim_disk_watch(in->world, watch_scene, in);
    check_forgiving(in, &in->acked);
    for (int i = 0; i < TH_STORE_TABLES * KEYS; i++) {
        uint32_t version = in->acked.version[i / KEYS][i % KEYS];

        in->least.version[i / KEYS][i % KEYS] =
            version > 0 ? version : in->most.version[i / KEYS][i % KEYS];
    }
}

/* What is acknowledged on a disk that works stands, whatever failed before. */
static void take_good_turn(scene *in)
{
    in->fails_one_of = 0;
    in->has_put = false;
    take_turn(in);
    if (in->has_put) {
        in->forgives = false;
        take_image(in);
        in->forgives = true;
    }
}

static int play_failing(uint64_t seed)
{
    static scene in;

    begin(&in, seed);
    in.one_of = 5;
    in.forgives = true;
    in.fails_one_of = 20;
    open_scene_store(&in);
    for (int turn = 0; turn < 8; turn++) {
        in.fails_one_of = 4 + (unsigned)(roll(&in.dice) % 40);
        take_turn(&in);
        in.fails_one_of = 0;
        check_live(&in);
        if (turn % 2 == 0) {
            die_and_return(&in);
        }
        take_good_turn(&in);
        if (turn % 3 == 2) {
            in.fails_one_of = 10;
            th_store_close(in.store);
            open_scene_store(&in);
        }
    }
    in.fails_one_of = 0;
    end_scene(&in);
    errors_played += in.errors;
    return in.images;
}

TEST(store_crash, a_disk_that_fails_loses_nothing_that_was_acknowledged)
{
    errors_played = 0;
    play_seeds(play_failing, IMAGES / 2);
    HOLDS(th_test_seed() > 0 || errors_played > 0);
}
