/* Disks that are full, fail or tear the log, and nodes that are killed. */
#include "store/store_testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH "/node/store"

static th_world *new_world(void)
{
    th_world *world = NULL;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    T_EQ(th_world_folder_make(world, "/node"), TH_OK);
    return world;
}

static uint64_t bytes_of(th_world *world, const char *path)
{
    th_file_info info = {TH_FILE_OTHER, 0, 0};

    (void)th_world_file_info(world, path, &info);
    return info.bytes;
}

/* --- Jobs in one group ------------------------------------------------------------ */

typedef struct fault_job {
    th_store_job job;
    bool is_done;
} fault_job;

static void mark(th_store_job *job)
{
    th_container_of(job, fault_job, job)->is_done = true;
}

static void submit_put(th_store *store, fault_job *job, const char *key, th_slice value)
{
    *job = (fault_job){
        .job = {.count = 1,
                .one = {TH_STORE_PUT, TH_STORE_STATE, th_slice_str(key), value},
                .done = mark}};
    T_EQ(th_store_submit(store, &job->job), TH_OK);
}

#define BIG_BYTES 1000000

TEST(store_fault, a_value_that_finds_no_room_is_an_error_to_its_job_alone)
{
    th_world *world = new_world();
    th_store *store = open_store(world, PATH);
    char *big = th_calloc(1, BIG_BYTES);
    fault_job jobs[3];

    T_EQ(put(world, store, "a", "old"), TH_OK);
    th_world_sim_disk_holds(world, bytes_of(world, PATH) +
                                       bytes_of(world, PATH "-wal") + 100000);
    submit_put(store, &jobs[0], "a", TH_SLICE("new"));
    submit_put(store, &jobs[1], "big", th_slice_of(big, BIG_BYTES));
    submit_put(store, &jobs[2], "c", TH_SLICE("three"));
    T_TRUE(th_store_step(store));
    T_TRUE(jobs[0].is_done && jobs[1].is_done && jobs[2].is_done);
    T_EQ(jobs[0].job.err, TH_OK);
    T_EQ(jobs[1].job.err, TH_QUOTA);
    T_EQ(jobs[2].job.err, TH_OK);
    check(world, store, "a", "new");
    check(world, store, "big", NULL);
    th_world_sim_disk_holds(world, UINT64_MAX);
    submit_put(store, &jobs[1], "big", th_slice_of(big, BIG_BYTES));
    T_TRUE(th_store_step(store));
    T_EQ(jobs[1].job.err, TH_OK);
    th_store_close(store);
    th_free(big);
    th_world_sim_free(world);
}

TEST(store_fault, a_full_disk_can_be_read_and_written_again_when_there_is_room)
{
    th_world *world = new_world();
    th_store *store = open_store(world, PATH);
    th_err err;
    int kept = 0;

    th_world_sim_disk_holds(world, bytes_of(world, PATH) +
                                       bytes_of(world, PATH "-wal") + 9000);
    do {
        char key[16];

        snprintf(key, sizeof key, "k%d", kept);
        err = put(world, store, key, "value");
        kept += err == TH_OK;
    } while (err == TH_OK);
    T_EQ(err, TH_QUOTA);
    T_TRUE(kept > 0);
    check(world, store, "k0", "value");
    T_EQ(put(world, store, "more", "value"), TH_QUOTA);
    store = th_store_close(store);
    store = open_store(world, PATH); /* a full disk keeps no node from starting */
    check(world, store, "k0", "value");
    check(world, store, "more", NULL);
    th_world_sim_disk_holds(world, UINT64_MAX);
    T_EQ(put(world, store, "more", "value"), TH_OK);
    check(world, store, "more", "value");
    th_store_close(store);
    th_world_sim_free(world);
}

static th_err fail_op(void *context, th_sim_op op, const char *path)
{
    (void)path;
    return op == *(th_sim_op *)context ? TH_IO : TH_OK;
}

static void check_failing(th_sim_op op)
{
    th_world *world = new_world();
    th_store *store = open_store(world, PATH);
    fault_job jobs[2];

    T_EQ(put(world, store, "a", "old"), TH_OK);
    th_world_sim_disk_watch(world, fail_op, &op);
    submit_put(store, &jobs[0], "a", TH_SLICE("new"));
    submit_put(store, &jobs[1], "b", TH_SLICE("new"));
    T_TRUE(th_store_step(store));
    T_EQ(jobs[0].job.err, TH_IO);
    T_EQ(jobs[1].job.err, TH_IO);
    T_EQ(put(world, store, "b", "new"), TH_IO);
    check(world, store, "a", "old");
    check(world, store, "b", NULL);
    th_world_sim_disk_watch(world, NULL, NULL);
    T_EQ(put(world, store, "b", "new"), TH_OK);
    check(world, store, "a", "old");
    check(world, store, "b", "new");
    th_store_close(store);
    th_world_sim_free(world);
}

TEST(store_fault, a_write_that_fails_is_an_error_to_the_group_and_to_no_later_one)
{
    check_failing(TH_SIM_WRITE);
}

TEST(store_fault, a_sync_that_fails_is_an_error_to_the_group_and_to_no_later_one)
{
    check_failing(TH_SIM_SYNC);
}

typedef struct sync_count {
    int syncs;
} sync_count;

static th_err count_syncs(void *context, th_sim_op op, const char *path)
{
    (void)path;
    ((sync_count *)context)->syncs += op == TH_SIM_SYNC;
    return TH_OK;
}

TEST(store_fault, a_thousand_that_save_at_once_share_one_sync)
{
    static fault_job jobs[1000];
    static char keys[1000][8];
    th_world *world = new_world();
    th_store *store = open_store(world, PATH);
    sync_count count = {0};

    T_EQ(put(world, store, "a", "1"), TH_OK); /* the log has begun */
    th_world_sim_disk_watch(world, count_syncs, &count);
    for (int i = 0; i < 1000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        submit_put(store, &jobs[i], keys[i], TH_SLICE("state"));
    }
    T_TRUE(th_store_step(store));
    T_FALSE(th_store_step(store));
    T_TRUE(jobs[999].is_done);
    T_EQ(count.syncs, 1);
    check(world, store, "k500", "state");
    T_EQ(count.syncs, 1); /* a get takes none */
    th_store_close(store);
    th_world_sim_free(world);
}

/* --- The log ---------------------------------------------------------------------- */

#define PUTS 12

/* A store's file and log, as puts of "k" = 1, 2 and so on leave them. */
static void log_bytes(th_buf *file, th_buf *log)
{
    th_world *world = new_world();
    th_store *store = open_store(world, PATH);

    for (int i = 1; i <= PUTS; i++) {
        char value[8];

        snprintf(value, sizeof value, "%d", i);
        T_EQ(put(world, store, "k", value), TH_OK);
    }
    T_EQ(th_world_file_read(world, PATH, 0, SIZE_MAX, file), TH_OK);
    T_EQ(th_world_file_read(world, PATH "-wal", 0, SIZE_MAX, log), TH_OK);
    th_store_close(store);
    th_world_sim_free(world);
}

/* The number that "k" has in a store with that file and log. */
static int boot_with(th_slice file, th_slice log)
{
    th_world *world = new_world();
    th_store *store;
    waited with = {.job = {.count = 1,
                           .one = {.verb = TH_STORE_GET,
                                   .table = TH_STORE_STATE,
                                   .key = TH_SLICE("k")}}};
    int number = 0;

    T_EQ(th_world_sim_put(world, PATH, file), TH_OK);
    T_EQ(th_world_sim_put(world, PATH "-wal", log), TH_OK);
    store = open_store(world, PATH);
    if (do_job(world, store, &with) == TH_OK) {
        number = atoi(th_buf_text(&with.job.value));
    }
    th_buf_deinit(&with.job.value);
    T_EQ(put(world, store, "k", "new"), TH_OK);
    check(world, store, "k", "new");
    th_store_close(store);
    th_world_sim_free(world);
    return number;
}

TEST(store_fault, a_log_that_is_cut_off_has_the_commits_that_are_whole)
{
    th_auto_buf file = TH_BUF_INIT, log = TH_BUF_INIT;
    int before = 0;

    log_bytes(&file, &log);
    for (size_t n = 0; n <= log.bytes; n += 509) {
        int now = boot_with(th_buf_slice(&file), th_slice_of(log.at, n));

        T_TRUE(now >= before && now <= PUTS);
        before = now;
    }
    T_EQ(boot_with(th_buf_slice(&file), th_buf_slice(&log)), PUTS);
}

TEST(store_fault, a_log_that_is_torn_has_the_commits_before)
{
    th_auto_buf file = TH_BUF_INIT, log = TH_BUF_INIT;

    log_bytes(&file, &log);
    for (size_t n = 0; n < log.bytes; n += 1021) {
        int number;

        log.at[n] ^= 0x40;
        number = boot_with(th_buf_slice(&file), th_buf_slice(&log));
        T_TRUE(number <= (int)(n / 4120));
        log.at[n] ^= 0x40;
    }
}

/* --- Killed ----------------------------------------------------------------------- */

#define SAVERS 20
#define KILLS 10

typedef struct saver {
    th_store_job job;
    th_store *store;
    int pipe;
    char key[8];
    int number;
    char value[16];
} saver;

static void save(saver *with)
{
    snprintf(with->value, sizeof with->value, "%d", ++with->number);
    with->job.one.value = th_slice_str(with->value);
    T_EQ(th_store_submit(with->store, &with->job), TH_OK);
}

/* Tell the parent, and save again. */
static void saved(th_store_job *job)
{
    saver *with = th_container_of(job, saver, job);
    int told[2] = {atoi(with->key), with->number};

    if (job->err != TH_OK || write(with->pipe, told, sizeof told) != sizeof told) {
        _exit(1);
    }
    save(with);
}

static void save_for_ever(const char *path, int from, int pipe)
{
    static saver savers[SAVERS];
    th_store *store = open_store(th_world_real(), path);

    for (int i = 0; i < SAVERS; i++) {
        snprintf(savers[i].key, sizeof savers[i].key, "%d", i);
        savers[i] = (saver){.job = {.count = 1, .done = saved},
                            .store = store,
                            .pipe = pipe,
                            .number = from};
        snprintf(savers[i].key, sizeof savers[i].key, "%d", i);
        savers[i].job.one = (th_store_change){.verb = TH_STORE_PUT,
                                              .table = TH_STORE_STATE,
                                              .key = th_slice_str(savers[i].key)};
        save(&savers[i]);
    }
    for (;;) {
        pause();
    }
}

typedef struct saver_rows {
    int number[SAVERS];
} saver_rows;

static bool see_number(void *context, th_slice key, th_slice value)
{
    th_auto_buf text = TH_BUF_INIT;

    th_buf_put(&text, value.at, value.bytes);
    ((saver_rows *)context)->number[atoi(key.at)] = atoi(th_buf_text(&text));
    return true;
}

/* Let a program save, kill it after so many savings, and see what is there. */
static void kill_one(const char *path, int from, int savings)
{
    saver_rows acked = {{0}}, found = {{0}};
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;
    int pipes[2], told[2], seen = 0;
    pid_t child;

    T_EQ(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        close(pipes[0]);
        save_for_ever(path, from, pipes[1]);
    }
    close(pipes[1]);
    while (read(pipes[0], told, sizeof told) == sizeof told) {
        T_TRUE(told[1] > acked.number[told[0]]);
        acked.number[told[0]] = told[1];
        if (++seen == savings) {
            kill(child, SIGKILL); /* what it said until then is read as well */
        }
    }
    T_TRUE(seen >= savings);
    close(pipes[0]);
    waitpid(child, NULL, 0);
    T_EQ(th_store_open(&store, th_world_real(), path, &why), TH_OK);
    T_EQ(th_store_each(store, TH_STORE_STATE, see_number, &found, &why), TH_OK);
    for (int i = 0; i < SAVERS; i++) {
        T_TRUE(found.number[i] == acked.number[i] ||
               found.number[i] == acked.number[i] + 1 || acked.number[i] == 0);
    }
    th_store_close(store);
}

TEST(store_fault, a_program_that_is_killed_has_lost_nothing_that_was_acknowledged)
{
    char root[] = "/tmp/thole-test-XXXXXX";

    T_NOT_NULL(mkdtemp(root));
    for (int i = 0; i < KILLS; i++) {
        kill_one(in(root, "s"), i * 100000, 1 + i * i * 37);
    }
    T_EQ(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
