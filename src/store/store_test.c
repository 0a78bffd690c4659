/* What the store promises in both worlds. */
#include "store/store_testing.h"

#include <sqlite3.h>

#define STORE(name) PROMISE_OF(store, name)

STORE(what_was_put_is_read_back)
{
    th_store *store = open_store(world, in(root, "s"));

    check(world, store, "a", NULL);
    T_EQ(put(world, store, "a", "one"), TH_OK);
    check(world, store, "a", "one");
    T_EQ(put(world, store, "a", "another"), TH_OK);
    check(world, store, "a", "another");
    T_EQ(put(world, store, "b", ""), TH_OK);
    check(world, store, "b", "");
    T_EQ(drop(world, store, "a"), TH_OK);
    T_EQ(drop(world, store, "a"), TH_OK);
    check(world, store, "a", NULL);
    th_store_close(store);
}

STORE(it_is_there_when_the_store_is_opened_again)
{
    th_store *store = open_store(world, in(root, "s"));

    T_EQ(put(world, store, "a", "one"), TH_OK);
    T_EQ(put(world, store, "b", "two"), TH_OK);
    T_EQ(drop(world, store, "a"), TH_OK);
    store = th_store_close(store);
    store = open_store(world, in(root, "s"));
    check(world, store, "a", NULL);
    check(world, store, "b", "two");
    th_store_close(store);
}

STORE(the_tables_are_two)
{
    th_store *store = open_store(world, in(root, "s"));
    th_store_change change = {TH_STORE_PUT, TH_STORE_PROCESS, TH_SLICE("a"),
                              TH_SLICE("record")};

    T_EQ(put(world, store, "a", "state"), TH_OK);
    T_EQ(do_change(world, store, change), TH_OK);
    check(world, store, "a", "state");
    T_EQ(drop(world, store, "a"), TH_OK);
    change.verb = TH_STORE_GET;
    T_EQ(do_change(world, store, change), TH_OK);
    th_store_close(store);
}

STORE(keys_and_values_are_any_bytes)
{
    th_store *store = open_store(world, in(root, "s"));
    char key[TH_STORE_KEY_BYTES_MAX], value[256];
    waited with;

    for (int i = 0; i < 256; i++) {
        value[i] = (char)i;
    }
    memset(key, 0xff, sizeof key);
    for (int i = 0; i < 2; i++) {
        th_store_change change = {TH_STORE_PUT, TH_STORE_STATE,
                                  th_slice_of(i == 0 ? key : "a\0b", i == 0 ? 1024 : 3),
                                  th_slice_of(value, 256)};

        T_EQ(do_change(world, store, change), TH_OK);
        change.verb = TH_STORE_GET;
        with = (waited){.job = {.count = 1, .one = change}};
        T_EQ(do_job(world, store, &with), TH_OK);
        T_EQ(with.job.value.bytes, 256);
        T_MEM(with.job.value.at, value, 256);
        th_buf_deinit(&with.job.value);
    }
    check(world, store, "a", NULL);
    th_store_close(store);
}

STORE(a_large_value_is_whole_and_one_too_large_is_refused)
{
    th_store *store = open_store(world, in(root, "s"));
    size_t n = 5000000;
    char *big = th_malloc(n);
    th_store_change change = {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("big"),
                              th_slice_of(big, n)};
    waited with = {.job = {.count = 1}};

    th_world_dice(world, big, n);
    T_EQ(do_change(world, store, change), TH_OK);
    with.job.one = change;
    with.job.one.verb = TH_STORE_GET;
    T_EQ(do_job(world, store, &with), TH_OK);
    T_EQ(with.job.value.bytes, n);
    T_MEM(with.job.value.at, big, n);
    th_buf_deinit(&with.job.value);
    change.value.bytes = TH_STATE_BYTES_MAX + 1;
    T_EQ(do_change(world, store, change), TH_INVALID);
    th_store_close(store);
    th_free(big);
}

STORE(a_job_that_makes_no_sense_is_refused)
{
    th_store *store = open_store(world, in(root, "s"));
    char key[TH_STORE_KEY_BYTES_MAX + 1] = "x";
    th_store_change changes[2] = {
        {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("1")},
        {.verb = TH_STORE_GET, .table = TH_STORE_STATE, .key = TH_SLICE("a")}};
    waited with = {.job = {.changes = changes, .count = 2}};

    T_EQ(do_job(world, store, &with), TH_INVALID);
    with.job.count = 0;
    T_EQ(do_job(world, store, &with), TH_INVALID);
    with.job.count = TH_STORE_CHANGES_MAX + 1;
    T_EQ(do_job(world, store, &with), TH_INVALID);
    with.job.changes = NULL;
    with.job.one = changes[0];
    with.job.count = 2;
    T_EQ(do_job(world, store, &with), TH_INVALID);
    T_EQ(put(world, store, "", "1"), TH_INVALID);
    changes[0].key = th_slice_of(key, sizeof key);
    T_EQ(do_change(world, store, changes[0]), TH_INVALID);
    changes[0].key = TH_SLICE("a");
    changes[0].table = TH_STORE_TABLES;
    T_EQ(do_change(world, store, changes[0]), TH_INVALID);
    th_store_close(store);
}

STORE(several_changes_are_one_job)
{
    th_store *store = open_store(world, in(root, "s"));
    th_store_change changes[] = {
        {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("1")},
        {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("b"), TH_SLICE("2")},
        {.verb = TH_STORE_REMOVE, .table = TH_STORE_STATE, .key = TH_SLICE("c")},
        {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("3")},
    };
    waited with = {.job = {.changes = changes, .count = 4}};

    T_EQ(put(world, store, "c", "old"), TH_OK);
    T_EQ(do_job(world, store, &with), TH_OK);
    check(world, store, "a", "3");
    check(world, store, "b", "2");
    check(world, store, "c", NULL);
    th_store_close(store);
}

/* --- Order ------------------------------------------------------------------------ */

#define ROW_JOBS 300

typedef struct row_job {
    th_store_job job;
    char value[8];
    int number;
    int *done; /* how many are */
} row_job;

/* Each third is a get, and sees the put before it. */
static void check_turn(th_store_job *job)
{
    row_job *with = th_container_of(job, row_job, job);

    T_EQ(with->number, (*with->done)++);
    T_EQ(job->err, with->number % 3 == 2 ? TH_NOT_FOUND : TH_OK);
    if (with->number % 3 == 1) {
        T_STR(th_buf_text(&job->value), with->value);
    }
    th_buf_deinit(&job->value);
}

/* put k = i, get k, get another key; then the same with i + 1 and so on. */
static void submit_row(th_store *store, row_job *jobs, int *done)
{
    for (int i = 0; i < ROW_JOBS; i++) {
        jobs[i] = (row_job){.number = i, .done = done};
        snprintf(jobs[i].value, sizeof jobs[i].value, "%d", i / 3);
        jobs[i].job = (th_store_job){.count = 1,
                                     .one = {i % 3 == 0 ? TH_STORE_PUT : TH_STORE_GET,
                                             TH_STORE_STATE,
                                             th_slice_str(i % 3 == 2 ? "none" : "k"),
                                             th_slice_str(jobs[i].value)},
                                     .done = check_turn};
        T_EQ(th_store_submit(store, &jobs[i].job), TH_OK);
    }
}

STORE(jobs_are_done_in_order_and_close_does_all_that_were_accepted)
{
    static row_job jobs[ROW_JOBS];
    int done = 0;
    th_store *store = open_store(world, in(root, "s"));

    submit_row(store, jobs, &done);
    th_store_close(store);
    T_EQ(done, ROW_JOBS);
    store = open_store(world, in(root, "s"));
    check(world, store, "k", "99");
    th_store_close(store);
}

STORE(jobs_wait_for_the_start)
{
    static row_job jobs[ROW_JOBS];
    int done = 0;
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_store_open(&store, world, in(root, "s"), &why), TH_OK);
    submit_row(store, jobs, &done);
    T_EQ(done, 0);
    T_EQ(th_store_start(store), TH_OK);
    check(world, store, "k", "99");
    T_EQ(done, ROW_JOBS);
    th_store_close(store);
}

typedef struct again {
    th_store_job job;
    th_store *store;
    int left;
    th_err last; /* what the last submit said */
} again;

static void submit_again(th_store_job *job)
{
    again *with = th_container_of(job, again, job);

    T_EQ(job->err, TH_OK);
    if (with->left-- > 0) {
        with->last = th_store_submit(with->store, job);
    }
}

STORE(a_job_may_be_submitted_again_when_it_is_done)
{
    again with = {
        .job = {.count = 1,
                .one = {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("1")},
                .done = submit_again},
        .store = open_store(world, in(root, "s")),
        .left = 5,
    };

    T_EQ(th_store_submit(with.store, &with.job), TH_OK);
    for (int i = 0; i < 8; i++) {
        check(world, with.store, "a", "1"); /* behind a turn of it */
    }
    th_store_close(with.store);
    T_EQ(with.left, -1);
    T_EQ(with.last, TH_OK);
}

STORE(what_is_submitted_while_it_closes_is_refused)
{
    again with = {
        .job = {.count = 1,
                .one = {TH_STORE_PUT, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("1")},
                .done = submit_again},
        .left = 1000000000,
    };

    with.store = open_store(world, in(root, "s"));
    T_EQ(th_store_submit(with.store, &with.job), TH_OK);
    th_store_close(with.store);
    T_EQ(with.last, TH_STOPPING);
}

/* --- Walks ------------------------------------------------------------------------ */

typedef struct rows {
    char text[200];
    int most;
} rows;

static bool see_row(void *context, th_slice key, th_slice value)
{
    rows *seen = context;
    size_t n = strlen(seen->text);

    snprintf(seen->text + n, sizeof seen->text - n, "%.*s=%.*s ", TH_FMT(key),
             TH_FMT(value));
    return --seen->most > 0;
}

STORE(a_walk_shows_all_rows_of_a_table_in_order)
{
    th_store *store = open_store(world, in(root, "s"));
    th_auto_buf why = TH_BUF_INIT;
    rows all = {"", 100}, two = {"", 2}, none = {"", 100};

    T_EQ(put(world, store, "b", "2"), TH_OK);
    T_EQ(put(world, store, "a:x", "1"), TH_OK);
    T_EQ(put(world, store, "B", ""), TH_OK);
    store = th_store_close(store);
    T_EQ(th_store_open(&store, world, in(root, "s"), &why), TH_OK);
    T_EQ(th_store_each(store, TH_STORE_STATE, see_row, &all, &why), TH_OK);
    T_STR(all.text, "B= a:x=1 b=2 ");
    T_EQ(th_store_each(store, TH_STORE_STATE, see_row, &two, &why), TH_OK);
    T_STR(two.text, "B= a:x=1 ");
    T_EQ(th_store_each(store, TH_STORE_PROCESS, see_row, &none, &why), TH_OK);
    T_STR(none.text, "");
    th_store_close(store);
}

/* --- Bounds ----------------------------------------------------------------------- */

static void free_done(th_store_job *job)
{
    th_free(job);
}

TEST(store, a_queue_that_is_full_refuses_and_takes_more_later)
{
    th_world *world = NULL;
    th_store *store = NULL;
    th_auto_buf why = TH_BUF_INIT;
    char *big = th_calloc(1, TH_STATE_BYTES_MAX);
    th_store_job *job = NULL;
    th_err err = TH_OK;
    int n = 0;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    T_EQ(th_store_open(&store, world, "s", &why), TH_OK);
    for (; err == TH_OK; n++) {
        job = th_calloc(1, sizeof *job);
        job->count = 1;
        job->done = free_done;
        job->one = (th_store_change){TH_STORE_REMOVE, TH_STORE_STATE, TH_SLICE("a"),
                                     th_slice_of(big, TH_STATE_BYTES_MAX)};
        job->one.verb = n == 0 ? TH_STORE_REMOVE : TH_STORE_PUT;
        err = th_store_submit(store, job);
    }
    T_EQ(err, TH_QUOTA);
    T_EQ(n, TH_STORE_QUEUE_BYTES_MAX / TH_STATE_BYTES_MAX + 1);
    th_free(job);
    job = th_calloc(1, sizeof *job);
    job->count = 1;
    job->done = free_done;
    job->one =
        (th_store_change){TH_STORE_REMOVE, TH_STORE_STATE, TH_SLICE("a"), TH_SLICE("")};
    T_EQ(th_store_submit(store, job), TH_OK);
    T_EQ(th_store_start(store), TH_OK);
    check(world, store, "a", NULL);
    T_EQ(put(world, store, "a", "1"), TH_OK);
    th_store_close(store);
    th_free(big);
    th_world_sim_free(world);
}

/* --- Files that are no stores ------------------------------------------------------ */

static void write_file(th_world *world, const char *path, th_slice content)
{
    T_EQ(th_world_file_write(world, path, content), TH_OK);
}

STORE(a_file_that_is_no_store_is_refused_in_words)
{
    char page[5000];

    memset(page, 'x', sizeof page);
    write_file(world, in(root, "text"), th_slice_of(page, sizeof page));
    check_refused(world, in(root, "text"), TH_DAMAGED, "put back a backup");
    check_refused(world, in(root, "none/s"), TH_NOT_FOUND, "its folder is not there");
    check_refused(world, root, TH_INVALID, "not the path of a file");
}

/* The bytes of a store with a few rows. */
static void store_bytes(th_world *world, const char *path, th_buf *out)
{
    th_store *store = open_store(world, path);

    for (int i = 0; i < 40; i++) {
        char key[8], value[400];

        snprintf(key, sizeof key, "k%d", i);
        snprintf(value, sizeof value, "%0399d", i);
        T_EQ(put(world, store, key, value), TH_OK);
    }
    th_store_close(store);
    T_EQ(th_world_file_read(world, path, 0, SIZE_MAX, out), TH_OK);
}

STORE(a_store_that_is_cut_off_is_damaged_or_has_the_rows_that_are_left)
{
    th_auto_buf bytes = TH_BUF_INIT;

    store_bytes(world, in(root, "s"), &bytes);
    for (size_t n = 1; n < bytes.bytes; n += 1777) {
        th_store *store = NULL;
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        write_file(world, in(root, "cut"), th_slice_of(bytes.at, n));
        err = th_store_open(&store, world, in(root, "cut"), &why);
        T_TRUE(err == TH_DAMAGED || err == TH_OK);
        T_TRUE((err == TH_OK) == (why.bytes == 0));
        th_store_close(store);
    }
}

static bool pass_row(void *context, th_slice key, th_slice value)
{
    *(size_t *)context += key.bytes + value.bytes;
    return true;
}

/* Bits are turned over anywhere. */
STORE(a_damaged_store_answers_and_never_crashes)
{
    th_auto_buf bytes = TH_BUF_INIT;
    int refused = 0;

    store_bytes(world, in(root, "s"), &bytes);
    for (int n = 0; n < (world->is_simulated ? 300 : 15); n++) {
        th_store *store = NULL;
        th_auto_buf why = TH_BUF_INIT, bad = TH_BUF_INIT;
        size_t size = 0;
        th_err err;

        th_buf_put(&bad, bytes.at, bytes.bytes);
        for (int i = 0; i < 1 + n % 20; i++) {
            bad.at[th_world_dice_u64(world) % (n % 2 == 0 ? bad.bytes : 8192)] ^=
                (char)(1 << n % 8);
        }
        write_file(world, in(root, "bad"), th_buf_slice(&bad));
        err = th_store_open(&store, world, in(root, "bad"), &why);
        if (err == TH_OK) {
            err = th_store_each(store, TH_STORE_STATE, pass_row, &size, &why);
            T_EQ(th_store_start(store), TH_OK);
            (void)put(world, store, "k7", "x");
            (void)drop(world, store, "k20");
        }
        T_TRUE(err == TH_OK || err == TH_DAMAGED || err == TH_UNSUPPORTED);
        T_TRUE((err == TH_OK) == (why.bytes == 0));
        refused += err != TH_OK;
        th_store_close(store);
        (void)th_world_file_remove(world, in(root, "bad-wal"));
        (void)th_world_file_remove(world, in(root, "bad-journal"));
    }
    T_TRUE(refused > 0 || !world->is_simulated);
}

/* --- Formats ---------------------------------------------------------------------- */

static void sql(const char *path, const char *text)
{
    sqlite3 *sqlite = NULL;

    T_EQ(sqlite3_open(path, &sqlite), SQLITE_OK);
    T_EQ(sqlite3_exec(sqlite, text, NULL, NULL, NULL), SQLITE_OK);
    T_EQ(sqlite3_close(sqlite), SQLITE_OK);
}

static void with_real_file(void (*run)(th_world *world, const char *path))
{
    char root[] = "/tmp/thole-test-XXXXXX";

    T_NOT_NULL(mkdtemp(root));
    run(th_world_real(), in(root, "s"));
    T_EQ(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void newer(th_world *world, const char *path)
{
    th_store_close(open_store(world, path));
    sql(path, "UPDATE meta SET value = 2 WHERE name = 'format'");
    check_refused(world, path, TH_UNSUPPORTED, "has format 2");
    sql(path, "UPDATE meta SET value = 1 WHERE name = 'format'");
    th_store_close(open_store(world, path));
    sql(path, "DELETE FROM meta");
    check_refused(world, path, TH_DAMAGED, "something is missing");
}

TEST(store, a_newer_format_is_refused_with_a_sentence)
{
    with_real_file(newer);
}

static void foreign(th_world *world, const char *path)
{
    sql(path, "CREATE TABLE mine (a)");
    check_refused(world, path, TH_DAMAGED, "another program");
}

TEST(store, a_database_of_another_program_is_left_alone)
{
    with_real_file(foreign);
}

static void planted(th_world *world, const char *path)
{
    th_store *store = open_store(world, path);

    T_EQ(put(world, store, "a", "1"), TH_OK);
    th_store_close(store);
    sql(path, "CREATE TRIGGER t AFTER INSERT ON state BEGIN DELETE FROM state; END");
    store = open_store(world, path);
    T_EQ(put(world, store, "b", "2"), TH_OK);
    check(world, store, "a", "1");
    th_store_close(store);
    sql(path, "DROP TRIGGER t; ALTER TABLE state RENAME TO s;"
              "CREATE VIEW state AS SELECT 1 AS id, 2 AS value");
    check_refused(world, path, TH_DAMAGED, "state");
}

TEST(store, what_is_planted_in_the_file_does_not_run)
{
    with_real_file(planted);
}

static void sync_mode(th_world *world, const char *path)
{
    th_auto_buf head = TH_BUF_INIT;
    th_file_info info;
    th_store *store = open_store(world, path);
    th_auto_buf log = TH_BUF_INIT;

    T_EQ(put(world, store, "a", "1"), TH_OK);
    T_EQ(th_world_file_read(world, path, 0, 20, &head), TH_OK);
    T_EQ(head.at[18], 2); /* the file says that it has a log */
    th_buf_putf(&log, "%s-wal", path);
    T_EQ(th_world_file_info(world, log.at, &info), TH_OK);
    T_TRUE(info.bytes > 4096);
    th_store_close(store);
    T_EQ(th_world_file_info(world, log.at, &info), TH_NOT_FOUND);
}

TEST(store, the_file_has_a_log_until_it_is_closed)
{
    with_real_file(sync_mode);
}

/* --- Memory ----------------------------------------------------------------------- */

STORE(open_gives_everything_back_when_memory_runs_out)
{
    int64_t live = world->is_simulated ? 0 : th_mem_live();
    th_store *store = NULL;

    for (uint64_t n = 0; store == NULL; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        th_mem_fail_after(n);
        err = th_store_open(&store, world, in(root, "s"), &why);
        th_mem_fail_never();
        if (err != TH_OK) {
            T_EQ(err, TH_NOMEM);
            T_NULL(store);
            th_buf_deinit(&why);
            T_TRUE(world->is_simulated || th_mem_live() == live);
        }
    }
    T_EQ(th_store_start(store), TH_OK);
    T_EQ(put(world, store, "a", "1"), TH_OK);
    th_store_close(store);
}
