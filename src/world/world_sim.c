#include "world/world_sim.h"

#include "base/list.h"
#include "base/mem.h"

#include <string.h>

/*
 * The simulated world. Its disk is a sorted list of paths: small, and enough.
 */
typedef struct sim_file {
    th_list link;
    char *path;
    th_file_kind kind;
    th_buf content;
    int64_t modified_ns;
    bool is_locked;
} sim_file;

typedef struct sim_world {
    th_world world;
    uint64_t dice;
    int64_t mono_ns;
    th_list files;
    uint64_t disk_left; /* operations until all fail */
} sim_world;

struct th_parker {
    bool permit;
};

struct th_lock {
    char *path;
};

#define START_NS TH_S                                /* of the monotonic clock */
#define WALL_NS (INT64_C(1767225600) * TH_S)         /* 2026-01-01, less START_NS */

static sim_world *sim(th_world *world)
{
    return th_container_of(world, sim_world, world);
}

static th_mono sim_mono(th_world *world)
{
    return (th_mono){sim(world)->mono_ns};
}

static th_wall sim_wall(th_world *world)
{
    return (th_wall){WALL_NS + sim(world)->mono_ns - START_NS};
}

/* splitmix64 */
static uint64_t roll(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void sim_dice(th_world *world, void *bytes, size_t n)
{
    char *at = bytes;

    while (n > 0) {
        uint64_t word = roll(&sim(world)->dice);
        size_t part = n < sizeof word ? n : sizeof word;

        memcpy(at, &word, part);
        at += part;
        n -= part;
    }
}

static void sim_advance(th_world *world, th_mono to)
{
    if (to.ns > sim(world)->mono_ns) {
        sim(world)->mono_ns = to.ns;
    }
}

void th_world_sim_advance(th_world *world, th_mono to)
{
    sim_advance(world, to);
}

/* --- Disk -------------------------------------------------------------------------- */

static bool disk_works(th_world *world)
{
    sim_world *in = sim(world);

    if (in->disk_left == 0) {
        return false;
    }
    in->disk_left -= in->disk_left != UINT64_MAX;
    return true;
}

static sim_file *find(sim_world *in, const char *path)
{
    TH_LIST_EACH(node, &in->files)
    {
        sim_file *file = th_container_of(node, sim_file, link);

        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

static sim_file *free_file(sim_file *file)
{
    th_list_remove(&file->link);
    th_buf_deinit(&file->content);
    th_free(file->path);
    return th_free(file);
}

static sim_file *make(sim_world *in, const char *path, th_file_kind kind)
{
    sim_file *file = th_calloc(1, sizeof *file);
    th_list *after = in->files.next;

    if (file == NULL) {
        return NULL;
    }
    th_list_init(&file->link);
    file->kind = kind;
    file->path = th_strndup(path, strlen(path));
    if (file->path == NULL) {
        return free_file(file);
    }
    while (after != &in->files &&
           strcmp(th_container_of(after, sim_file, link)->path, path) < 0) {
        after = after->next;
    }
    th_list_push(after, &file->link);
    return file;
}

static th_err sim_folder_make(th_world *world, const char *path)
{
    sim_world *in = sim(world);

    if (!disk_works(world)) {
        return TH_IO;
    }
    for (size_t n = 1; n <= strlen(path); n++) {
        if (path[n] == '/' || path[n] == '\0') {
            char *part = th_strndup(path, n);
            sim_file *file = part == NULL ? NULL : find(in, part);

            if (part != NULL && file == NULL) {
                file = make(in, part, TH_FILE_FOLDER);
            }
            th_free(part);
            if (file == NULL) {
                return TH_NOMEM;
            }
            if (file->kind != TH_FILE_FOLDER) {
                return TH_INVALID;
            }
        }
    }
    return TH_OK;
}

static th_err sim_file_read(th_world *world, const char *path, uint64_t offset,
                            size_t bytes_max, th_buf *out)
{
    sim_file *file = find(sim(world), path);
    size_t left;

    if (!disk_works(world)) {
        return TH_IO;
    }
    if (file == NULL) {
        return TH_NOT_FOUND;
    }
    if (file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    if (offset < file->content.bytes) {
        left = file->content.bytes - (size_t)offset;
        th_buf_put(out, file->content.at + offset, left < bytes_max ? left : bytes_max);
    }
    return out->failed ? TH_NOMEM : TH_OK;
}

static th_err put_file(th_world *world, const char *path, th_slice content)
{
    sim_world *in = sim(world);
    sim_file *file = find(in, path);
    th_buf fresh = TH_BUF_INIT;

    if (file != NULL && file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    th_buf_put(&fresh, content.at, content.bytes);
    if (file == NULL) {
        file = make(in, path, TH_FILE_REGULAR);
    }
    if (fresh.failed || file == NULL) {
        th_buf_deinit(&fresh);
        return TH_NOMEM;
    }
    th_buf_deinit(&file->content);
    file->content = fresh;
    file->modified_ns = sim_wall(world).ns;
    return TH_OK;
}

static th_err sim_file_write(th_world *world, const char *path, th_slice content)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    sim_file *parent;

    if (!disk_works(world)) {
        return TH_IO;
    }
    if (slash != NULL && slash != path) {
        folder = th_strndup(path, (size_t)(slash - path));
        if (folder == NULL) {
            return TH_NOMEM;
        }
        parent = find(sim(world), folder);
        th_free(folder);
        if (parent == NULL) {
            return TH_NOT_FOUND;
        }
    }
    return put_file(world, path, content);
}

th_err th_world_sim_put(th_world *world, const char *path, th_slice content)
{
    const char *slash = strrchr(path, '/');

    if (slash != NULL && slash != path) {
        char *folder = th_strndup(path, (size_t)(slash - path));
        th_err err = folder == NULL ? TH_NOMEM : sim_folder_make(world, folder);

        th_free(folder);
        if (err != TH_OK) {
            return err;
        }
    }
    return put_file(world, path, content);
}

static th_err sim_file_info(th_world *world, const char *path, th_file_info *out)
{
    sim_file *file = find(sim(world), path);

    if (!disk_works(world)) {
        return TH_IO;
    }
    if (file == NULL) {
        return TH_NOT_FOUND;
    }
    *out = (th_file_info){file->kind, file->content.bytes, file->modified_ns};
    return TH_OK;
}

static th_err sim_file_remove(th_world *world, const char *path)
{
    sim_file *file = find(sim(world), path);

    if (!disk_works(world)) {
        return TH_IO;
    }
    if (file == NULL) {
        return TH_NOT_FOUND;
    }
    if (file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    free_file(file);
    return TH_OK;
}

static th_err sim_folder_each(th_world *world, const char *path, th_file_each *each,
                              void *context)
{
    sim_world *in = sim(world);
    size_t n = strlen(path);
    sim_file *folder = find(in, path);

    if (!disk_works(world)) {
        return TH_IO;
    }
    if (folder == NULL) {
        return TH_NOT_FOUND;
    }
    if (folder->kind != TH_FILE_FOLDER) {
        return TH_INVALID;
    }
    TH_LIST_EACH(node, &in->files)
    {
        sim_file *file = th_container_of(node, sim_file, link);

        if (strncmp(file->path, path, n) == 0 && file->path[n] == '/' &&
            strchr(file->path + n + 1, '/') == NULL &&
            !each(context, file->path + n + 1, file->kind)) {
            break;
        }
    }
    return TH_OK;
}

static th_err sim_folder_lock(th_world *world, const char *path, th_lock **out)
{
    sim_file *file = find(sim(world), path);
    th_lock *lock;

    if (file == NULL || file->kind != TH_FILE_FOLDER) {
        return TH_NOT_FOUND;
    }
    if (file->is_locked) {
        return TH_EXISTS;
    }
    lock = th_calloc(1, sizeof *lock);
    if (lock != NULL) {
        lock->path = th_strndup(path, strlen(path));
    }
    if (lock == NULL || lock->path == NULL) {
        th_free(lock);
        return TH_NOMEM;
    }
    file->is_locked = true;
    *out = lock;
    return TH_OK;
}

static void sim_folder_unlock(th_world *world, th_lock *lock)
{
    sim_file *file = find(sim(world), lock->path);

    if (file != NULL) {
        file->is_locked = false;
    }
    th_free(lock->path);
    th_free(lock);
}

void th_world_sim_disk_fails_after(th_world *world, uint64_t n)
{
    sim(world)->disk_left = n;
}

/* --- Threads ------------------------------------------------------------------------ */

static th_err sim_thread_start(th_world *world, th_thread **out, const char *name,
                               void (*run)(void *), void *context)
{
    (void)world;
    (void)out;
    (void)name;
    (void)run;
    (void)context;
    return TH_UNSUPPORTED;
}

static void sim_thread_join(th_world *world, th_thread *thread)
{
    (void)world;
    th_assert(thread == NULL);
}

static th_err sim_parker_new(th_world *world, th_parker **out)
{
    th_parker *parker = th_calloc(1, sizeof *parker);

    (void)world;
    if (parker == NULL) {
        return TH_NOMEM;
    }
    *out = parker;
    return TH_OK;
}

static th_parker *sim_parker_free(th_world *world, th_parker *parker)
{
    (void)world;
    return th_free(parker);
}

static bool sim_park(th_world *world, th_parker *parker, th_mono until)
{
    bool had = parker->permit;

    (void)world;
    (void)until;
    parker->permit = false;
    return had;
}

static void sim_unpark(th_world *world, th_parker *parker)
{
    (void)world;
    parker->permit = true;
}

static const th_world_ops sim_ops = {
    .mono = sim_mono,
    .wall = sim_wall,
    .dice = sim_dice,
    .advance = sim_advance,
    .file_read = sim_file_read,
    .file_write = sim_file_write,
    .file_info = sim_file_info,
    .file_remove = sim_file_remove,
    .folder_make = sim_folder_make,
    .folder_each = sim_folder_each,
    .folder_lock = sim_folder_lock,
    .folder_unlock = sim_folder_unlock,
    .thread_start = sim_thread_start,
    .thread_join = sim_thread_join,
    .parker_new = sim_parker_new,
    .parker_free = sim_parker_free,
    .park = sim_park,
    .unpark = sim_unpark,
};

th_err th_world_sim_new(th_world **out, uint64_t seed)
{
    sim_world *made = th_calloc(1, sizeof *made);

    if (made == NULL) {
        return TH_NOMEM;
    }
    made->world = (th_world){&sim_ops, true};
    made->dice = seed;
    made->mono_ns = START_NS;
    made->disk_left = UINT64_MAX;
    th_list_init(&made->files);
    *out = &made->world;
    return TH_OK;
}

th_world *th_world_sim_free(th_world *world)
{
    sim_world *in;

    if (world == NULL) {
        return NULL;
    }
    in = sim(world);
    while (!th_list_is_empty(&in->files)) {
        free_file(th_container_of(in->files.next, sim_file, link));
    }
    th_free(in);
    return NULL;
}
