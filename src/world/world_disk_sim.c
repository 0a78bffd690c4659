#include "world/sim_world.h"

#include <string.h>

/*
 * Files held open, in the simulated world: a reference to the file, and the path that
 * it was opened by, for whoever watches.
 */
struct th_disk_file {
    th_sim_file *file;
    char *path;
};

static th_err ask(th_world *world, th_sim_op op, const char *path)
{
    return th_sim_disk_ask(&th_sim(world)->disk, op, path);
}

static void sim_close(th_world *world, th_disk_file *open)
{
    (void)world;
    if (open != NULL) {
        th_sim_file_unref(open->file);
        th_free(open->path);
        th_free(open);
    }
}

/* Hold @file; takes tidy *@path. */
static th_err hold(th_sim_file *file, char **path, th_disk_file **out)
{
    th_disk_file *made = th_calloc(1, sizeof *made);

    if (made == NULL) {
        return TH_NOMEM;
    }
    made->file = th_sim_file_ref(file);
    made->path = th_take(path);
    *out = made;
    return TH_OK;
}

/* The file at tidy @path; @created as in th_disk_open. */
static th_err find_or_make(th_world *world, const char *path, bool *created,
                           th_sim_file **out)
{
    th_sim_disk *disk = &th_sim(world)->disk;
    th_sim_file *file = th_sim_disk_find(disk, path);
    th_auto(char) folder = th_sim_folder_of(path);
    th_err err;

    if (folder == NULL) {
        return TH_NOMEM;
    }
    if (file == NULL && created != NULL && th_sim_is_folder(world, folder)) {
        err = th_sim_disk_make(disk, path, TH_FILE_REGULAR, th_slice_of(NULL, 0), out);
        if (err == TH_OK) {
            (*out)->modified_ns = th_world_wall(world).ns;
            *created = true;
        }
        return err;
    }
    if (file == NULL) {
        return th_sim_is_folder(world, path) ? TH_INVALID : TH_NOT_FOUND;
    }
    if (created != NULL) {
        *created = false;
    }
    *out = file;
    return file->kind == TH_FILE_REGULAR ? TH_OK : TH_INVALID;
}

static th_err sim_open(th_world *world, const char *path, bool *created,
                       th_disk_file **out)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_sim_file *file = NULL;
    th_err err = tidied == NULL ? TH_NOMEM : ask(world, TH_SIM_NAME, tidied);

    if (err == TH_OK) {
        err = find_or_make(world, tidied, created, &file);
    }
    return err == TH_OK ? hold(file, &tidied, out) : err;
}

static th_err sim_read(th_world *world, th_disk_file *open, uint64_t offset, void *into,
                       size_t bytes, size_t *got)
{
    const th_buf *content = &open->file->content;
    th_err err = ask(world, TH_SIM_READ, open->path);
    size_t left = offset < content->bytes ? content->bytes - (size_t)offset : 0;

    if (err != TH_OK) {
        return err;
    }
    *got = bytes < left ? bytes : left;
    if (*got > 0) {
        memcpy(into, content->at + offset, *got);
    }
    return TH_OK;
}

/* What a write that fails has written: some of the first sectors. */
static th_slice part_of(th_world *world, uint64_t offset, th_slice bytes)
{
    size_t n = (size_t)(th_sim_roll(&th_sim(world)->dice) % (bytes.bytes + 1));
    size_t over = (size_t)((offset + n) % TH_DISK_SECTOR_BYTES);

    bytes.bytes = over < n ? n - over : 0;
    return bytes;
}

static th_err sim_write(th_world *world, th_disk_file *open, uint64_t offset,
                        th_slice bytes)
{
    th_sim_disk *disk = &th_sim(world)->disk;
    th_err err = ask(world, TH_SIM_WRITE, open->path);
    th_slice whole = bytes;

    if (err != TH_OK) {
        whole = part_of(world, offset, bytes);
    }
    if (err == TH_OK || whole.bytes > 0) {
        th_err wrote = th_sim_file_write(disk, open->file, offset, whole);

        err = err == TH_OK ? wrote : err;
        open->file->modified_ns = th_world_wall(world).ns;
    }
    return err;
}

static th_err sim_truncate(th_world *world, th_disk_file *open, uint64_t bytes)
{
    th_err err = ask(world, TH_SIM_WRITE, open->path);

    return err == TH_OK ? th_sim_file_truncate(&th_sim(world)->disk, open->file, bytes)
                        : err;
}

static th_err sim_size(th_world *world, th_disk_file *open, uint64_t *out)
{
    th_err err = ask(world, TH_SIM_READ, open->path);

    if (err == TH_OK) {
        *out = open->file->content.bytes;
    }
    return err;
}

static th_err sim_sync(th_world *world, th_disk_file *open)
{
    th_err err = ask(world, TH_SIM_SYNC, open->path);

    if (err == TH_OK) {
        th_sim_file_sync(open->file);
    } else {
        th_sim_file_lose(open->file, &th_sim(world)->dice);
    }
    return err;
}

static th_err sim_rename(th_world *world, const char *from, const char *to)
{
    th_auto(char) old = th_sim_tidy(from);
    th_auto(char) new = th_sim_tidy(to);
    th_auto(char) folder = new == NULL ? NULL : th_sim_folder_of(new);
    th_err err =
        old == NULL || folder == NULL ? TH_NOMEM : ask(world, TH_SIM_NAME, old);
    th_sim_disk *disk = &th_sim(world)->disk;
    th_sim_file *moved;

    if (err != TH_OK) {
        return err;
    }
    moved = th_sim_disk_find(disk, old);
    if (moved == NULL || !th_sim_is_folder(world, folder)) {
        return TH_NOT_FOUND;
    }
    if (moved->kind != TH_FILE_REGULAR || th_sim_is_folder(world, new)) {
        return TH_INVALID;
    }
    return th_sim_disk_rename(disk, old, new);
}

static th_err sim_sync_folder(th_world *world, const char *path)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_auto(char) folder = tidied == NULL ? NULL : th_sim_folder_of(tidied);
    th_err err = folder == NULL ? TH_NOMEM : ask(world, TH_SIM_SYNC, folder);

    if (err == TH_OK) {
        th_sim_disk_sync_names(&th_sim(world)->disk, folder);
    }
    return err;
}

const th_disk_ops th_disk_sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .truncate = sim_truncate,
    .size = sim_size,
    .sync = sim_sync,
    .rename = sim_rename,
    .sync_folder = sim_sync_folder,
};
