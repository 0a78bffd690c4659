/* Files held open: what both worlds promise, and what a simulated crash leaves. */
#include "world/disk.h"

#include "world/world_testing.h"

/* --- Both worlds ------------------------------------------------------------------ */

static th_disk_file *open_new(th_world *world, const char *path)
{
    th_disk_file *file = NULL;
    bool created = false;

    T_EQ(th_disk_open(world, path, &created, &file), TH_OK);
    T_TRUE(created);
    return file;
}

static void write_at(th_world *world, th_disk_file *file, uint64_t offset,
                     const char *text)
{
    T_EQ(th_disk_write(world, file, offset, th_slice_str(text)), TH_OK);
}

static void check_at(th_world *world, th_disk_file *file, uint64_t offset, size_t most,
                     th_slice expected)
{
    char bytes[100];
    size_t got = 77;

    T_TRUE(most <= sizeof bytes);
    T_EQ(th_disk_read(world, file, offset, bytes, most, &got), TH_OK);
    T_EQ(got, expected.bytes);
    T_MEM(bytes, expected.at, got);
}

static void check_size(th_world *world, th_disk_file *file, uint64_t expected)
{
    uint64_t bytes = 77;

    T_EQ(th_disk_size(world, file, &bytes), TH_OK);
    T_EQ(bytes, expected);
}

PROMISE_OF(world_disk, a_file_is_written_and_read_at_any_place)
{
    th_disk_file *file = open_new(world, in(root, "a"));

    check_size(world, file, 0);
    check_at(world, file, 0, 10, TH_SLICE(""));
    write_at(world, file, 0, "0123456789");
    write_at(world, file, 3, "abc");
    check_at(world, file, 0, 100, TH_SLICE("012abc6789"));
    check_at(world, file, 8, 10, TH_SLICE("89"));
    check_at(world, file, 10, 10, TH_SLICE(""));
    check_at(world, file, 1000, 10, TH_SLICE(""));
    write_at(world, file, 12, "x");
    write_at(world, file, 40, "");
    check_at(world, file, 9, 10, TH_SLICE("9\0\0x"));
    check_size(world, file, 13);
    T_EQ(th_disk_sync(world, file), TH_OK);
    T_EQ(th_disk_sync_folder(world, in(root, "a")), TH_OK);
    th_disk_close(world, file);
}

PROMISE_OF(world_disk, a_file_is_cut_and_filled_up)
{
    th_disk_file *file = open_new(world, in(root, "a"));

    write_at(world, file, 0, "0123456789");
    T_EQ(th_disk_truncate(world, file, 4), TH_OK);
    check_size(world, file, 4);
    T_EQ(th_disk_truncate(world, file, 6), TH_OK);
    check_at(world, file, 0, 10, TH_SLICE("0123\0\0"));
    th_disk_close(world, file);
}

PROMISE_OF(world_disk, open_makes_a_file_only_when_asked_to)
{
    th_disk_file *file = NULL;
    bool created = true;

    T_EQ(th_disk_open(world, in(root, "a"), NULL, &file), TH_NOT_FOUND);
    T_EQ(th_disk_open(world, in(root, "b/a"), &created, &file), TH_NOT_FOUND);
    T_NULL(file);
    th_disk_close(world, NULL);
    T_EQ(th_world_file_write(world, in(root, "a"), TH_SLICE("old")), TH_OK);
    T_EQ(th_disk_open(world, in(root, "a"), &created, &file), TH_OK);
    T_FALSE(created);
    check_at(world, file, 0, 10, TH_SLICE("old"));
    th_disk_close(world, file);
    T_EQ(th_disk_open(world, root, &created, &file), TH_INVALID);
    T_EQ(th_disk_open(world, root, NULL, &file), TH_INVALID);
}

PROMISE_OF(world_disk, a_file_outlives_its_name_while_it_is_open)
{
    th_disk_file *file = open_new(world, in(root, "a"));
    th_disk_file *second;

    write_at(world, file, 0, "first");
    T_EQ(th_world_file_remove(world, in(root, "a")), TH_OK);
    second = open_new(world, in(root, "a"));
    write_at(world, second, 0, "second");
    check_at(world, file, 0, 10, TH_SLICE("first"));
    th_disk_close(world, file);
    th_disk_close(world, second);
}

PROMISE_OF(world_disk, a_rename_replaces_what_has_the_name)
{
    th_auto_buf got = TH_BUF_INIT;
    th_file_info info;

    T_EQ(th_world_file_write(world, in(root, "a"), TH_SLICE("a")), TH_OK);
    T_EQ(th_world_file_write(world, in(root, "b"), TH_SLICE("b")), TH_OK);
    T_EQ(th_world_folder_make(world, in(root, "f")), TH_OK);
    T_EQ(th_disk_rename(world, in(root, "a"), in(root, "b")), TH_OK);
    T_EQ(th_disk_rename(world, in(root, "b"), in(root, "b")), TH_OK);
    T_EQ(th_world_file_read(world, in(root, "b"), 0, 10, &got), TH_OK);
    T_STR(th_buf_text(&got), "a");
    T_EQ(th_world_file_info(world, in(root, "a"), &info), TH_NOT_FOUND);
    T_EQ(th_disk_rename(world, in(root, "a"), in(root, "c")), TH_NOT_FOUND);
    T_EQ(th_disk_rename(world, in(root, "b"), in(root, "x/c")), TH_NOT_FOUND);
    T_EQ(th_disk_rename(world, in(root, "b"), in(root, "f")), TH_INVALID);
    T_EQ(th_disk_rename(world, in(root, "f"), in(root, "c")), TH_INVALID);
}

static th_err use_disk(th_world *world, const char *root)
{
    th_disk_file *file = NULL;
    bool created;
    th_err err = th_disk_open(world, in(root, "a"), &created, &file);

    if (err == TH_OK) {
        err = th_disk_write(world, file, 0, TH_SLICE("content"));
    }
    if (err == TH_OK) {
        err = th_disk_truncate(world, file, 100);
    }
    if (err == TH_OK) {
        err = th_disk_sync(world, file);
    }
    if (err == TH_OK) {
        err = th_disk_rename(world, in(root, "a"), in(root, "b"));
    }
    if (err == TH_OK) {
        err = th_world_file_remove(world, in(root, "b"));
    }
    th_disk_close(world, file);
    return err;
}

PROMISE_OF(world_disk, memory_that_runs_out_is_an_answer_to_those_who_hold_files)
{
    th_err err = TH_NOMEM;

    for (uint64_t n = 0; err != TH_OK; n++) {
        th_mem_fail_after(n);
        err = use_disk(world, root);
        th_mem_fail_never();
        T_TRUE(err == TH_OK || err == TH_NOMEM);
    }
}

/* --- The simulated one ------------------------------------------------------------ */

#define CRASHES 400

static th_world *new_world(void)
{
    th_world *world = NULL;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    return world;
}

static th_world *crash(th_world *world, uint64_t seed)
{
    th_world *left = NULL;

    T_EQ(th_world_sim_crash(world, seed, &left), TH_OK);
    return left;
}

/* Read all of a file, or "(none)". */
static void read_all(th_world *world, const char *path, th_buf *out)
{
    th_buf_clear(out);
    if (th_world_file_read(world, path, 0, SIZE_MAX, out) == TH_NOT_FOUND) {
        th_buf_puts(out, "(none)");
    }
}

/* How often each of @expected is what crashes leave of the file; they leave no other. */
static void count_crashes(th_world *world, const char *path,
                          const char *const *expected, int *counts)
{
    th_auto_buf got = TH_BUF_INIT;

    for (uint64_t seed = 0; seed < CRASHES; seed++) {
        th_world *left = crash(world, seed);
        int i = 0;

        read_all(left, path, &got);
        while (expected[i] != NULL && strcmp(expected[i], th_buf_text(&got)) != 0) {
            i++;
        }
        T_NOT_NULL(expected[i]);
        counts[i]++;
        th_world_sim_free(left);
    }
}

TEST(world_disk, what_was_synced_is_there_after_every_crash)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    int counts[1] = {0};

    write_at(world, file, 0, "one");
    T_EQ(th_disk_sync(world, file), TH_OK);
    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    count_crashes(world, "a", (const char *[]){"one", NULL}, counts);
    T_EQ(counts[0], CRASHES);
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_write_that_was_not_synced_is_there_or_not_after_a_crash)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    int counts[4] = {0};

    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    write_at(world, file, 0, "one");
    T_EQ(th_disk_sync(world, file), TH_OK);
    write_at(world, file, 1, "N");
    T_EQ(th_disk_truncate(world, file, 2), TH_OK);
    count_crashes(world, "a", (const char *[]){"one", "oNe", "on", "oN", NULL}, counts);
    for (int i = 0; i < 4; i++) {
        T_TRUE(counts[i] > CRASHES / 20);
    }
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_write_may_be_torn_between_sectors_and_nowhere_else)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    char bytes[3 * TH_DISK_SECTOR_BYTES];
    th_auto_buf got = TH_BUF_INIT;
    int torn = 0;

    T_EQ(th_disk_truncate(world, file, 4 * TH_DISK_SECTOR_BYTES), TH_OK);
    T_EQ(th_disk_sync(world, file), TH_OK);
    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    memset(bytes, 'x', sizeof bytes);
    T_EQ(th_disk_write(world, file, 256, th_slice_of(bytes, sizeof bytes)), TH_OK);
    for (uint64_t seed = 0; seed < CRASHES; seed++) {
        th_world *left = crash(world, seed);
        int changes = 0;

        read_all(left, "a", &got);
        T_EQ(got.bytes, 4 * TH_DISK_SECTOR_BYTES);
        T_EQ(got.at[255], 0);
        T_EQ(got.at[256 + sizeof bytes], 0);
        for (size_t i = 257; i < 256 + sizeof bytes; i++) {
            if (got.at[i] != got.at[i - 1]) {
                T_EQ(i % TH_DISK_SECTOR_BYTES, 0);
                changes++;
            }
        }
        torn += changes > 0;
        th_world_sim_free(left);
    }
    T_TRUE(torn > CRASHES / 20);
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_new_name_is_there_for_sure_when_its_folder_was_synced)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    int before[2] = {0};
    int after[1] = {0};

    write_at(world, file, 0, "one");
    T_EQ(th_disk_sync(world, file), TH_OK);
    count_crashes(world, "a", (const char *[]){"(none)", "one", NULL}, before);
    T_TRUE(before[0] > CRASHES / 20 && before[1] > CRASHES / 20);
    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    count_crashes(world, "a", (const char *[]){"one", NULL}, after);
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_removal_is_there_for_sure_when_its_folder_was_synced)
{
    th_world *world = new_world();
    int before[2] = {0};
    int after[1] = {0};

    T_EQ(th_world_file_write(world, "a", TH_SLICE("one")), TH_OK);
    T_EQ(th_world_file_remove(world, "a"), TH_OK);
    count_crashes(world, "a", (const char *[]){"(none)", "one", NULL}, before);
    T_TRUE(before[0] > CRASHES / 20 && before[1] > CRASHES / 20);
    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    count_crashes(world, "a", (const char *[]){"(none)", NULL}, after);
    th_world_sim_free(world);
}

TEST(world_disk, a_crash_leaves_a_renamed_file_one_of_its_names)
{
    th_world *world = new_world();
    th_auto_buf a = TH_BUF_INIT, b = TH_BUF_INIT;
    int moved = 0;

    T_EQ(th_world_file_write(world, "a", TH_SLICE("new")), TH_OK);
    T_EQ(th_world_file_write(world, "b", TH_SLICE("old")), TH_OK);
    T_EQ(th_disk_rename(world, "a", "b"), TH_OK);
    for (uint64_t seed = 0; seed < CRASHES; seed++) {
        th_world *left = crash(world, seed);
        bool is_moved;

        read_all(left, "a", &a);
        read_all(left, "b", &b);
        is_moved = th_slice_is(th_buf_slice(&a), "(none)");
        T_STR(th_buf_text(&b), is_moved ? "new" : "old");
        T_STR(th_buf_text(&a), is_moved ? "(none)" : "new");
        moved += is_moved;
        th_world_sim_free(left);
    }
    T_TRUE(moved > CRASHES / 20 && moved < CRASHES - CRASHES / 20);
    th_world_sim_free(world);
}

TEST(world_disk, a_crash_after_renames_in_a_row_is_one_of_what_was_there)
{
    th_world *world = new_world();
    int counts[3] = {0};

    T_EQ(th_world_file_write(world, "a", TH_SLICE("one")), TH_OK);
    T_EQ(th_world_file_write(world, "b", TH_SLICE("two")), TH_OK);
    T_EQ(th_disk_rename(world, "b", "c"), TH_OK);
    T_EQ(th_disk_rename(world, "a", "b"), TH_OK);
    T_EQ(th_disk_rename(world, "b", "c"), TH_OK);
    count_crashes(world, "c", (const char *[]){"(none)", "one", "two", NULL}, counts);
    T_TRUE(counts[0] > 0 && counts[1] > 0 && counts[2] > 0);
    th_world_sim_free(world);
}

TEST(world_disk, a_file_written_whole_is_durable_with_its_folder)
{
    th_world *world = new_world();
    int counts[1] = {0};

    T_EQ(th_world_folder_make(world, "/x/y"), TH_OK);
    T_EQ(th_world_file_write(world, "/x/y/a", TH_SLICE("one")), TH_OK);
    count_crashes(world, "/x/y/a", (const char *[]){"one", NULL}, counts);
    th_world_sim_free(world);
}

TEST(world_disk, one_seed_gives_one_crash)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    th_auto_buf a = TH_BUF_INIT, b = TH_BUF_INIT;

    T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
    for (uint64_t i = 0; i < 100; i++) {
        write_at(world, file, i, "x");
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        th_world *first = crash(world, seed);
        th_world *second = crash(world, seed);

        read_all(first, "a", &a);
        read_all(second, "a", &b);
        T_TRUE(th_slice_eq(th_buf_slice(&a), th_buf_slice(&b)));
        th_world_sim_free(first);
        th_world_sim_free(second);
    }
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_crash_without_memory_leaves_nothing_behind)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    th_world *left = NULL;

    write_at(world, file, 0, "one");
    T_EQ(th_world_file_write(world, "b", TH_SLICE("two")), TH_OK);
    T_EQ(th_disk_rename(world, "b", "c"), TH_OK);
    for (uint64_t n = 0; left == NULL; n++) {
        th_err err;

        th_mem_fail_after(n);
        err = th_world_sim_crash(world, 2, &left);
        th_mem_fail_never();
        T_EQ(err, left == NULL ? TH_NOMEM : TH_OK);
    }
    th_world_sim_free(left);
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_full_disk_refuses_what_is_more_and_takes_what_is_not)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");

    th_world_sim_disk_holds(world, 10);
    write_at(world, file, 0, "01234567");
    T_EQ(th_disk_write(world, file, 7, TH_SLICE("0123")), TH_QUOTA);
    T_EQ(th_disk_truncate(world, file, 11), TH_QUOTA);
    T_EQ(th_world_file_write(world, "b", TH_SLICE("012")), TH_QUOTA);
    check_at(world, file, 0, 20, TH_SLICE("01234567"));
    write_at(world, file, 0, "x");
    T_EQ(th_world_file_write(world, "b", TH_SLICE("01")), TH_OK);
    T_EQ(th_disk_truncate(world, file, 4), TH_OK);
    write_at(world, file, 4, "0123");
    th_disk_close(world, file);
    th_world_sim_free(world);
}

typedef struct watcher {
    th_sim_op fails;
    th_err err;
    int seen;
} watcher;

static th_err watch(void *context, th_sim_op op, const char *path)
{
    watcher *with = context;

    T_STR(path, op == TH_SIM_SYNC ? path : "a");
    with->seen++;
    return op == with->fails ? with->err : TH_OK;
}

TEST(world_disk, a_watcher_sees_each_operation_and_may_let_it_fail)
{
    th_world *world = new_world();
    th_disk_file *file = open_new(world, "a");
    watcher with = {TH_SIM_WRITE, TH_IO, 0};
    char byte;
    size_t got;

    th_world_sim_disk_watch(world, watch, &with);
    T_EQ(th_disk_write(world, file, 0, TH_SLICE("x")), TH_IO);
    T_EQ(th_disk_truncate(world, file, 1), TH_IO);
    T_EQ(th_disk_read(world, file, 0, &byte, 1, &got), TH_OK);
    with.fails = TH_SIM_READ;
    T_EQ(th_disk_read(world, file, 0, &byte, 1, &got), TH_IO);
    with.fails = TH_SIM_SYNC;
    T_EQ(th_disk_sync(world, file), TH_IO);
    T_EQ(th_disk_sync_folder(world, "a"), TH_IO);
    with.fails = TH_SIM_NAME;
    with.err = TH_QUOTA;
    T_EQ(th_disk_rename(world, "a", "b"), TH_QUOTA);
    T_EQ(th_world_file_remove(world, "a"), TH_QUOTA);
    T_EQ(with.seen, 8);
    th_world_sim_disk_watch(world, NULL, NULL);
    T_EQ(th_world_file_remove(world, "a"), TH_OK);
    th_disk_close(world, file);
    th_world_sim_free(world);
}

TEST(world_disk, a_sync_after_one_that_failed_does_not_make_up_for_it)
{
    int kept = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        th_world *world = NULL;
        th_disk_file *file;
        watcher with = {TH_SIM_SYNC, TH_IO, 0};
        th_auto_buf got = TH_BUF_INIT;
        th_world *left;

        T_EQ(th_world_sim_new(&world, seed), TH_OK);
        file = open_new(world, "a");
        T_EQ(th_disk_sync_folder(world, "a"), TH_OK);
        write_at(world, file, 0, "lost?");
        th_world_sim_disk_watch(world, watch, &with);
        T_EQ(th_disk_sync(world, file), TH_IO);
        th_world_sim_disk_watch(world, NULL, NULL);
        T_EQ(th_disk_sync(world, file), TH_OK);
        check_at(world, file, 0, 10, TH_SLICE("lost?"));
        left = crash(world, seed);
        read_all(left, "a", &got);
        kept += got.bytes == 5;
        th_world_sim_free(left);
        th_disk_close(world, file);
        th_world_sim_free(world);
    }
    T_TRUE(kept > 5 && kept < 35);
}
