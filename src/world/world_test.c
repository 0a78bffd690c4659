/*
 * What both worlds promise: each test here runs in the real one and in a simulated
 * one, in an empty folder of its own.
 */
#include "world/world_testing.h"

static void put(th_world *world, const char *path, const char *content)
{
    T_EQ(th_world_file_write(world, path, th_slice_str(content)), TH_OK);
}

/* What a read of the file gives is @expected. */
static void check_read(th_world *world, const char *path, uint64_t offset, size_t most,
                       const char *expected)
{
    th_auto_buf got = TH_BUF_INIT;

    T_EQ(th_world_file_read(world, path, offset, most, &got), TH_OK);
    T_STR(th_buf_text(&got), expected);
    T_EQ(got.bytes, strlen(expected));
}

static th_err try_read(th_world *world, const char *path)
{
    th_auto_buf got = TH_BUF_INIT;
    th_err err = th_world_file_read(world, path, 0, 10, &got);

    T_EQ(got.bytes, 0);
    return err;
}

PROMISE(a_file_reads_back_as_it_was_written)
{
    put(world, in(root, "a"), "hello");
    check_read(world, in(root, "a"), 0, SIZE_MAX, "hello");
    put(world, in(root, "a"), "");
    check_read(world, in(root, "a"), 0, SIZE_MAX, "");
    put(world, in(root, "a"), "again");
    check_read(world, in(root, "a"), 0, SIZE_MAX, "again");
}

PROMISE(a_read_takes_a_part_and_stops_at_the_end)
{
    put(world, in(root, "a"), "0123456789");
    check_read(world, in(root, "a"), 3, 4, "3456");
    check_read(world, in(root, "a"), 8, 4, "89");
    check_read(world, in(root, "a"), 10, 4, "");
    check_read(world, in(root, "a"), 11, 4, "");
    check_read(world, in(root, "a"), UINT64_MAX, 4, "");
    check_read(world, in(root, "a"), 0, 0, "");
}

PROMISE(a_read_appends_to_what_is_there)
{
    th_auto_buf got = TH_BUF_INIT;

    put(world, in(root, "a"), "world");
    th_buf_puts(&got, "hello ");
    T_EQ(th_world_file_read(world, in(root, "a"), 0, SIZE_MAX, &got), TH_OK);
    T_STR(th_buf_text(&got), "hello world");
}

PROMISE(a_large_file_is_whole)
{
    size_t n = 3 << 20;
    char *big = th_malloc(n);
    th_auto_buf got = TH_BUF_INIT;

    th_world_dice(world, big, n);
    T_EQ(th_world_file_write(world, in(root, "big"), th_slice_of(big, n)), TH_OK);
    T_EQ(th_world_file_read(world, in(root, "big"), 0, SIZE_MAX, &got), TH_OK);
    T_EQ(got.bytes, n);
    T_MEM(got.at, big, n);
    th_free(big);
}

PROMISE(what_is_not_there_is_not_found)
{
    th_file_info info = {TH_FILE_OTHER, 7, 7};
    th_lock *lock = NULL;

    put(world, in(root, "file"), "x");
    T_EQ(try_read(world, in(root, "a")), TH_NOT_FOUND);
    T_EQ(try_read(world, in(root, "file/a")), TH_NOT_FOUND);
    T_EQ(th_world_file_remove(world, in(root, "a")), TH_NOT_FOUND);
    T_EQ(th_world_file_info(world, in(root, "a"), &info), TH_NOT_FOUND);
    T_EQ(info.bytes, 7);
    T_EQ(th_world_file_write(world, in(root, "a/b"), TH_SLICE("x")), TH_NOT_FOUND);
    T_EQ(th_world_file_write(world, in(root, "file/b"), TH_SLICE("x")), TH_NOT_FOUND);
    T_EQ(th_world_folder_lock(world, in(root, "a"), &lock), TH_NOT_FOUND);
    T_NULL(lock);
}

PROMISE(a_folder_is_not_a_file)
{
    T_EQ(th_world_folder_make(world, in(root, "f")), TH_OK);
    T_EQ(try_read(world, in(root, "f")), TH_INVALID);
    T_EQ(th_world_file_write(world, in(root, "f"), TH_SLICE("x")), TH_INVALID);
    T_EQ(th_world_file_write(world, in(root, "f/"), TH_SLICE("x")), TH_INVALID);
    T_EQ(th_world_file_remove(world, in(root, "f")), TH_INVALID);
}

PROMISE(information_tells_kind_and_size)
{
    th_file_info info;

    put(world, in(root, "a"), "four");
    T_EQ(th_world_file_info(world, in(root, "a"), &info), TH_OK);
    T_EQ(info.kind, TH_FILE_REGULAR);
    T_EQ(info.bytes, 4);
    T_TRUE(info.modified_ns > INT64_C(1577836800) * TH_S);
    T_EQ(th_world_file_info(world, root, &info), TH_OK);
    T_EQ(info.kind, TH_FILE_FOLDER);
    T_EQ(info.bytes, 0);
}

PROMISE(a_removed_file_is_gone)
{
    put(world, in(root, "a"), "x");
    T_EQ(th_world_file_remove(world, in(root, "a")), TH_OK);
    T_EQ(try_read(world, in(root, "a")), TH_NOT_FOUND);
}

PROMISE(a_folder_is_made_with_those_above_it)
{
    th_file_info info;

    T_EQ(th_world_folder_make(world, in(root, "a//b/c/")), TH_OK);
    T_EQ(th_world_folder_make(world, in(root, "a/b/c")), TH_OK);
    T_EQ(th_world_file_info(world, in(root, "a/b/c"), &info), TH_OK);
    T_EQ(info.kind, TH_FILE_FOLDER);
    put(world, in(root, "a/b/c/file"), "x");
    T_EQ(th_world_folder_make(world, in(root, "a/b/c/file")), TH_INVALID);
    T_EQ(th_world_folder_make(world, in(root, "a/b/c/file/d")), TH_INVALID);
}

typedef struct names_seen {
    char text[200];
    unsigned most;
} names_seen;

static bool see(void *context, const char *name, th_file_kind kind)
{
    names_seen *seen = context;
    size_t n = strlen(seen->text);

    snprintf(seen->text + n, sizeof seen->text - n, "%s%s ", name,
             kind == TH_FILE_FOLDER ? "/" : "");
    return --seen->most > 0;
}

PROMISE(a_folder_shows_its_names_in_the_order_of_their_bytes)
{
    names_seen all = {"", 100};
    names_seen two = {"", 2};
    names_seen none = {"", 100};

    T_EQ(th_world_folder_each(world, root, see, &none), TH_OK);
    T_STR(none.text, "");
    put(world, in(root, "b"), "x");
    put(world, in(root, "B"), "x");
    put(world, in(root, "a.txt"), "x");
    put(world, in(root, "\xc3\xa9"), "x");
    T_EQ(th_world_folder_make(world, in(root, "a/inner")), TH_OK);
    put(world, in(root, "a/file"), "x");
    T_EQ(th_world_folder_each(world, root, see, &all), TH_OK);
    T_STR(all.text, "B a/ a.txt b \xc3\xa9 ");
    T_EQ(th_world_folder_each(world, root, see, &two), TH_OK);
    T_STR(two.text, "B a/ ");
    T_EQ(th_world_folder_each(world, in(root, "b"), see, &all), TH_INVALID);
    T_EQ(th_world_folder_each(world, in(root, "c"), see, &all), TH_NOT_FOUND);
}

typedef struct remover {
    th_world *world;
    const char *root;
    int seen;
} remover;

static bool remove_all(void *context, const char *name, th_file_kind kind)
{
    remover *with = context;

    (void)kind;
    with->seen++;
    (void)!th_world_file_remove(with->world, in(with->root, name));
    (void)!th_world_file_remove(with->world, in(with->root, "b"));
    return true;
}

PROMISE(a_walk_shows_the_folder_as_it_was_at_its_start)
{
    remover with = {world, root, 0};

    put(world, in(root, "a"), "x");
    put(world, in(root, "b"), "x");
    put(world, in(root, "c"), "x");
    T_EQ(th_world_folder_each(world, root, remove_all, &with), TH_OK);
    T_EQ(with.seen, 3);
}

PROMISE(a_folder_is_locked_once)
{
    th_lock *lock = NULL;
    th_lock *second = NULL;

    T_EQ(th_world_folder_lock(world, root, &lock), TH_OK);
    T_EQ(th_world_folder_lock(world, root, &second), TH_EXISTS);
    T_NULL(second);
    th_world_folder_unlock(world, lock);
    T_EQ(th_world_folder_lock(world, root, &second), TH_OK);
    th_world_folder_unlock(world, second);
}

PROMISE(dice_differ_from_throw_to_throw)
{
    char bytes[37] = {0};
    int zeros = 0;

    (void)root;
    T_TRUE(th_world_dice_u64(world) != th_world_dice_u64(world));
    th_world_dice(world, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        zeros += bytes[i] == 0;
    }
    T_TRUE(zeros < 10);
}

PROMISE(clocks_start_behind_zero_and_do_not_go_back)
{
    th_mono before = th_world_mono(world);

    (void)root;
    T_TRUE(before.ns > 0);
    T_TRUE(th_world_mono(world).ns >= before.ns);
    T_TRUE(th_world_wall(world).ns > INT64_C(1577836800) * TH_S);
}

PROMISE(a_permit_is_taken_once_and_not_counted)
{
    th_parker *parker = NULL;
    th_mono now = th_world_mono(world);

    (void)root;
    T_EQ(th_world_parker_new(world, &parker), TH_OK);
    T_FALSE(th_world_park(world, parker, now));
    th_world_unpark(world, parker);
    th_world_unpark(world, parker);
    T_TRUE(th_world_park(world, parker, (th_mono){0}));
    T_FALSE(th_world_park(world, parker, now));
    T_FALSE(th_world_park(world, parker, (th_mono){-5}));
    T_NULL(th_world_parker_free(world, parker));
}

static th_err everything(th_world *world, const char *root)
{
    th_auto_buf got = TH_BUF_INIT;
    names_seen all = {"", 100};
    th_lock *lock = NULL;
    th_err err = th_world_folder_make(world, in(root, "x/y"));

    if (err == TH_OK) {
        err = th_world_file_write(world, in(root, "x/y/z"), TH_SLICE("content"));
    }
    if (err == TH_OK) {
        err = th_world_file_read(world, in(root, "x/y/z"), 0, 100, &got);
    }
    if (err == TH_OK) {
        err = th_world_folder_each(world, in(root, "x/y"), see, &all);
    }
    if (err == TH_OK) {
        err = th_world_folder_lock(world, in(root, "x/y"), &lock);
    }
    if (err == TH_OK) {
        th_world_folder_unlock(world, lock);
        err = th_world_file_remove(world, in(root, "x/y/z"));
    }
    return err;
}

/* In the simulated world files themselves take memory: only the answer is compared. */
PROMISE(memory_that_runs_out_is_an_answer)
{
    for (uint64_t n = 0;; n++) {
        th_err err;

        th_mem_fail_after(n);
        err = everything(world, root);
        th_mem_fail_never();
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_NOMEM);
    }
}
