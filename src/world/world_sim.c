#include "world/world_sim.h"

#include "base/list.h"
#include "base/mem.h"

#include <string.h>

/*
 * The simulated world.
 *
 * Its disk is one list of files and folders, sorted by path: small, and enough.
 * Paths are kept without needless slashes; "/" and "." are always there. A failure
 * that a test asked for is not logged.
 */
typedef struct sim_file {
    th_list link;
    char *path;
    th_file_kind kind;
    th_buf content;
    int64_t modified_ns;
    bool is_locked;
} sim_file;

TH_AUTO_FREE(char, th_free)

typedef struct sim_world {
    th_world world;
    uint64_t dice;
    int64_t mono_ns;
    th_list files;
    uint64_t disk_left; /* operations until all fail; UINT64_MAX: for ever */
} sim_world;

struct th_parker {
    bool permit;
};

struct th_lock {
    char *path;
};

#define START_NS TH_S                        /* of the monotonic clock */
#define WALL_NS (INT64_C(1767225600) * TH_S) /* 2026-01-01, at START_NS */

static sim_world *sim(th_world *world)
{
    return th_container_of(world, sim_world, world);
}

/* --- Clocks and dice -------------------------------------------------------------- */

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

/* --- Disk ------------------------------------------------------------------------- */

static bool disk_works(th_world *world)
{
    sim_world *in = sim(world);

    if (in->disk_left == 0) {
        return false;
    }
    in->disk_left -= in->disk_left != UINT64_MAX;
    return true;
}

void th_world_sim_disk_fails_after(th_world *world, uint64_t n)
{
    sim(world)->disk_left = n;
}

/* A copy of @path without doubled and last slashes, or NULL. */
static char *tidy(const char *path)
{
    char *copy = th_strndup(path, strlen(path));
    size_t n = 0;

    for (const char *at = path; copy != NULL && *at != '\0'; at++) {
        if (*at != '/' || n == 0 || copy[n - 1] != '/') {
            copy[n++] = *at;
        }
    }
    if (copy != NULL) {
        n -= n > 1 && copy[n - 1] == '/';
        copy[n] = '\0';
    }
    return copy;
}

/* The folder that tidy @path lies in, or NULL. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return th_strndup(".", 1);
    }
    return th_strndup(path, slash == path ? 1 : (size_t)(slash - path));
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

static bool is_folder(sim_world *in, const char *path)
{
    sim_file *file = find(in, path);

    return strcmp(path, "/") == 0 || strcmp(path, ".") == 0 ||
           (file != NULL && file->kind == TH_FILE_FOLDER);
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

/* The file or folder at @path, which is not tidy, for an operation of the disk. */
static th_err look(th_world *world, const char *path, sim_file **out)
{
    th_auto(char) tidied = tidy(path);
    sim_file *file;

    if (tidied == NULL) {
        return TH_NOMEM;
    }
    if (!disk_works(world)) {
        return TH_IO;
    }
    file = find(sim(world), tidied);
    if (file == NULL) {
        return TH_NOT_FOUND;
    }
    *out = file;
    return TH_OK;
}

static th_err sim_file_read(th_world *world, const char *path, uint64_t offset,
                            size_t bytes_max, th_buf *out)
{
    sim_file *file = NULL;
    th_err err = look(world, path, &file);
    size_t left;

    if (err != TH_OK) {
        return err;
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

/* Put @content at tidy @path; its folder is there. */
static th_err put_file(th_world *world, const char *path, th_slice content)
{
    sim_file *file = find(sim(world), path);
    th_auto_buf fresh = TH_BUF_INIT;

    if (file == NULL ? is_folder(sim(world), path) : file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    th_buf_put(&fresh, content.at, content.bytes);
    if (fresh.failed) {
        return TH_NOMEM;
    }
    if (file == NULL) {
        file = make(sim(world), path, TH_FILE_REGULAR);
    }
    if (file == NULL) {
        return TH_NOMEM;
    }
    th_buf_deinit(&file->content);
    file->content = fresh;
    fresh = TH_BUF_INIT;
    file->modified_ns = sim_wall(world).ns;
    return TH_OK;
}

static th_err sim_file_write(th_world *world, const char *path, th_slice content)
{
    th_auto(char) tidied = tidy(path);
    th_auto(char) folder = tidied == NULL ? NULL : folder_of(tidied);
    size_t n = strlen(path);

    if (folder == NULL) {
        return TH_NOMEM;
    }
    if (!disk_works(world)) {
        return TH_IO;
    }
    if (!is_folder(sim(world), folder)) {
        return TH_NOT_FOUND;
    }
    if (n == 0 || path[n - 1] == '/') {
        return TH_INVALID;
    }
    return put_file(world, tidied, content);
}

static th_err sim_file_info(th_world *world, const char *path, th_file_info *out)
{
    sim_file *file = NULL;
    th_err err = look(world, path, &file);

    if (err == TH_OK) {
        *out = (th_file_info){file->kind, file->content.bytes, file->modified_ns};
    }
    return err;
}

static th_err sim_file_remove(th_world *world, const char *path)
{
    sim_file *file = NULL;
    th_err err = look(world, path, &file);

    if (err != TH_OK) {
        return err;
    }
    if (file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    free_file(file);
    return TH_OK;
}

static th_err make_folder(th_world *world, const char *path)
{
    sim_file *made;

    if (is_folder(sim(world), path)) {
        return TH_OK;
    }
    if (find(sim(world), path) != NULL) {
        return TH_INVALID;
    }
    made = make(sim(world), path, TH_FILE_FOLDER);
    if (made == NULL) {
        return TH_NOMEM;
    }
    made->modified_ns = sim_wall(world).ns;
    return TH_OK;
}

/* Make tidy @path and the folders above it; changes @path and restores it. */
static th_err make_folders(th_world *world, char *path)
{
    th_err err = TH_OK;

    for (size_t n = 1, end = strlen(path); err == TH_OK && n <= end; n++) {
        if (path[n] == '/' || path[n] == '\0') {
            char kept = path[n];

            path[n] = '\0';
            err = make_folder(world, path);
            path[n] = kept;
        }
    }
    return err;
}

static th_err sim_folder_make(th_world *world, const char *path)
{
    th_auto(char) tidied = tidy(path);

    if (tidied == NULL) {
        return TH_NOMEM;
    }
    if (!disk_works(world)) {
        return TH_IO;
    }
    return make_folders(world, tidied);
}

th_err th_world_sim_put(th_world *world, const char *path, th_slice content)
{
    th_auto(char) tidied = tidy(path);
    th_auto(char) folder = tidied == NULL ? NULL : folder_of(tidied);
    th_err err = folder == NULL ? TH_NOMEM : make_folders(world, folder);

    return err == TH_OK ? put_file(world, tidied, content) : err;
}

/* What follows "@folder/" in @path if @path lies right in it, or NULL. */
static const char *name_in(const char *folder, const char *path)
{
    size_t n = strlen(folder);

    if (strcmp(folder, ".") == 0) {
        return strchr(path, '/') == NULL ? path : NULL;
    }
    n -= strcmp(folder, "/") == 0;
    if (strncmp(path, folder, n) != 0 || path[n] != '/') {
        return NULL;
    }
    return strchr(path + n + 1, '/') == NULL ? path + n + 1 : NULL;
}

/* Names are copied first, each behind a byte for its kind: @each may change things. */
static th_err sim_folder_each(th_world *world, const char *path, th_file_each *each,
                              void *context)
{
    th_auto(char) folder = tidy(path);
    th_auto_buf names = TH_BUF_INIT;

    if (folder == NULL) {
        return TH_NOMEM;
    }
    if (!disk_works(world)) {
        return TH_IO;
    }
    if (!is_folder(sim(world), folder)) {
        return find(sim(world), folder) == NULL ? TH_NOT_FOUND : TH_INVALID;
    }
    TH_LIST_EACH(node, &sim(world)->files)
    {
        sim_file *file = th_container_of(node, sim_file, link);
        const char *name = name_in(folder, file->path);

        if (name != NULL) {
            th_buf_putc(&names, (char)file->kind);
            th_buf_put(&names, name, strlen(name) + 1);
        }
    }
    if (names.failed) {
        return TH_NOMEM;
    }
    for (size_t at = 0; at < names.bytes; at += 1 + strlen(names.at + at + 1) + 1) {
        if (!each(context, names.at + at + 1, (th_file_kind)names.at[at])) {
            break;
        }
    }
    return TH_OK;
}

/* As in the real world, a file of name "lock" shows whose the folder is. */
static th_err put_lock(th_world *world, sim_file *folder)
{
    th_auto_buf path = TH_BUF_INIT;

    th_buf_putf(&path, "%s/lock", folder->path);
    return path.failed ? TH_NOMEM
                       : put_file(world, th_buf_text(&path), TH_SLICE("1\n"));
}

static th_err sim_folder_lock(th_world *world, const char *path, th_lock **out)
{
    sim_file *folder = NULL;
    th_err err = look(world, path, &folder);
    th_lock *lock;

    if (err != TH_OK) {
        return err;
    }
    if (folder->kind != TH_FILE_FOLDER) {
        return TH_NOT_FOUND;
    }
    if (folder->is_locked) {
        return TH_EXISTS;
    }
    err = put_lock(world, folder);
    if (err != TH_OK) {
        return err;
    }
    lock = th_calloc(1, sizeof *lock);
    if (lock != NULL) {
        lock->path = th_strndup(folder->path, strlen(folder->path));
    }
    if (lock == NULL || lock->path == NULL) {
        th_free(lock);
        return TH_NOMEM;
    }
    folder->is_locked = true;
    *out = lock;
    return TH_OK;
}

static void sim_folder_unlock(th_world *world, th_lock *lock)
{
    sim_file *folder = find(sim(world), lock->path);

    if (folder != NULL) {
        folder->is_locked = false;
    }
    th_free(lock->path);
    th_free(lock);
}

/* --- Threads ---------------------------------------------------------------------- */

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

/* There are no links, and paths begin where they like. */
static th_err sim_file_resolve(th_world *world, const char *path, th_buf *out)
{
    th_auto(char) tidied = tidy(path);
    sim_file *file = NULL;
    th_err err = tidied == NULL ? TH_NOMEM : look(world, path, &file);

    if (err != TH_OK) {
        return err;
    }
    th_buf_puts(out, tidied);
    return out->failed ? TH_NOMEM : TH_OK;
}

static bool climbs(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0')) {
            return true;
        }
    }
    return *path == '/';
}

static th_err sim_file_pin(th_world *world, const char *root, const char *path,
                           th_pin **out)
{
    th_auto_buf whole = TH_BUF_INIT;
    sim_file *file = NULL;
    th_pin *pin;
    th_err err;

    if (climbs(path)) {
        return TH_DENIED;
    }
    th_buf_putf(&whole, "%s%s%s", root, *path == '\0' ? "" : "/", path);
    err = whole.failed ? TH_NOMEM : look(world, whole.at, &file);
    if (err != TH_OK) {
        return err;
    }
    pin = th_calloc(1, sizeof *pin);
    if (pin == NULL) {
        return TH_NOMEM;
    }
    pin->path = tidy(whole.at);
    if (pin->path == NULL) {
        th_free(pin);
        return TH_NOMEM;
    }
    *out = pin;
    return TH_OK;
}

static void sim_file_unpin(th_world *world, th_pin *pin)
{
    (void)world;
    if (pin != NULL) {
        th_free((char *)pin->path);
        th_free(pin);
    }
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
    .file_resolve = sim_file_resolve,
    .file_pin = sim_file_pin,
    .file_unpin = sim_file_unpin,
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
    made->world = (th_world){.ops = &sim_ops, .is_simulated = true};
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
