#include "world/world_sim.h"

#include "base/mem.h"
#include "world/sim_world.h"

#include <string.h>

/*
 * The simulated world.
 *
 * Its disk is sim_disk.c; here are the operations by path, and those on files that are
 * held open are in world_disk_sim.c. A path is made tidy first; "/" and "." are always
 * there. A failure that a test asked for is not logged.
 */
struct th_parker {
    bool permit;
};

struct th_lock {
    th_sim_file *folder; /* a reference */
};

#define START_NS TH_S                        /* of the monotonic clock */
#define WALL_NS (INT64_C(1767225600) * TH_S) /* 2026-01-01, at START_NS */

/* --- Clocks and dice -------------------------------------------------------------- */

static th_mono sim_mono(th_world *world)
{
    return (th_mono){th_sim(world)->mono_ns};
}

static th_wall sim_wall(th_world *world)
{
    return (th_wall){WALL_NS + th_sim(world)->mono_ns - START_NS};
}

static void sim_dice(th_world *world, void *bytes, size_t n)
{
    char *at = bytes;

    while (n > 0) {
        uint64_t word = th_sim_roll(&th_sim(world)->dice);
        size_t part = n < sizeof word ? n : sizeof word;

        memcpy(at, &word, part);
        at += part;
        n -= part;
    }
}

static void sim_advance(th_world *world, th_mono to)
{
    if (to.ns > th_sim(world)->mono_ns) {
        th_sim(world)->mono_ns = to.ns;
    }
}

void th_world_sim_advance(th_world *world, th_mono to)
{
    sim_advance(world, to);
}

/* --- Disk ------------------------------------------------------------------------- */

void th_world_sim_disk_fails_after(th_world *world, uint64_t n)
{
    th_sim(world)->disk.left = n;
}

void th_world_sim_disk_holds(th_world *world, uint64_t bytes)
{
    th_sim(world)->disk.room = bytes;
}

void th_world_sim_disk_watch(th_world *world, th_sim_watch *watch, void *context)
{
    th_sim(world)->disk.watch = watch;
    th_sim(world)->disk.watch_context = context;
}

char *th_sim_tidy(const char *path)
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

char *th_sim_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return th_strndup(".", 1);
    }
    return th_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

bool th_sim_is_folder(th_world *world, const char *path)
{
    th_sim_file *file = th_sim_disk_find(&th_sim(world)->disk, path);

    return strcmp(path, "/") == 0 || strcmp(path, ".") == 0 ||
           (file != NULL && file->kind == TH_FILE_FOLDER);
}

static th_err ask(th_world *world, th_sim_op op, const char *path)
{
    return th_sim_disk_ask(&th_sim(world)->disk, op, path);
}

/* The file or folder at @path, which is not tidy, for an operation of the disk. */
static th_err look(th_world *world, th_sim_op op, const char *path, th_sim_file **out)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_err err = tidied == NULL ? TH_NOMEM : ask(world, op, tidied);
    th_sim_file *file;

    if (err != TH_OK) {
        return err;
    }
    file = th_sim_disk_find(&th_sim(world)->disk, tidied);
    if (file == NULL) {
        return TH_NOT_FOUND;
    }
    *out = file;
    return TH_OK;
}

static th_err sim_file_read(th_world *world, const char *path, uint64_t offset,
                            size_t bytes_max, th_buf *out)
{
    th_sim_file *file = NULL;
    th_err err = look(world, TH_SIM_READ, path, &file);
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

/* Put @content at tidy @path in @folder, which is there: whole and durable. */
static th_err put_file(th_world *world, const char *folder, const char *path,
                       th_slice content)
{
    th_sim_disk *disk = &th_sim(world)->disk;
    th_sim_file *file = th_sim_disk_find(disk, path);
    th_err err;

    if (file == NULL ? th_sim_is_folder(world, path) : file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    err = th_sim_disk_make(disk, path, TH_FILE_REGULAR, content, &file);
    if (err == TH_OK) {
        file->modified_ns = sim_wall(world).ns;
        th_sim_disk_sync_names(disk, folder);
    }
    return err;
}

static th_err sim_file_write(th_world *world, const char *path, th_slice content)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_auto(char) folder = tidied == NULL ? NULL : th_sim_folder_of(tidied);
    th_err err = folder == NULL ? TH_NOMEM : ask(world, TH_SIM_WRITE, tidied);
    size_t n = strlen(path);

    if (err != TH_OK) {
        return err;
    }
    if (!th_sim_is_folder(world, folder)) {
        return TH_NOT_FOUND;
    }
    if (n == 0 || path[n - 1] == '/') {
        return TH_INVALID;
    }
    return put_file(world, folder, tidied, content);
}

static th_err sim_file_info(th_world *world, const char *path, th_file_info *out)
{
    th_sim_file *file = NULL;
    th_err err = look(world, TH_SIM_READ, path, &file);

    if (err == TH_OK) {
        *out = (th_file_info){file->kind, file->content.bytes, file->modified_ns};
    }
    return err;
}

static th_err sim_file_remove(th_world *world, const char *path)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_sim_file *file = NULL;
    th_err err = tidied == NULL ? TH_NOMEM : look(world, TH_SIM_NAME, tidied, &file);

    if (err != TH_OK) {
        return err;
    }
    if (file->kind != TH_FILE_REGULAR) {
        return TH_INVALID;
    }
    return th_sim_disk_remove(&th_sim(world)->disk, tidied);
}

/* Durable, as what is made in it may be. */
static th_err make_folder(th_world *world, const char *path)
{
    th_sim_disk *disk = &th_sim(world)->disk;
    th_auto(char) folder = th_sim_folder_of(path);
    th_sim_file *made;
    th_err err;

    if (folder == NULL) {
        return TH_NOMEM;
    }
    if (th_sim_is_folder(world, path)) {
        return TH_OK;
    }
    if (th_sim_disk_find(disk, path) != NULL) {
        return TH_INVALID;
    }
    err = th_sim_disk_make(disk, path, TH_FILE_FOLDER, th_slice_of(NULL, 0), &made);
    if (err == TH_OK) {
        made->modified_ns = sim_wall(world).ns;
        th_sim_disk_sync_names(disk, folder);
    }
    return err;
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
    th_auto(char) tidied = th_sim_tidy(path);
    th_err err = tidied == NULL ? TH_NOMEM : ask(world, TH_SIM_NAME, tidied);

    return err == TH_OK ? make_folders(world, tidied) : err;
}

th_err th_world_sim_put(th_world *world, const char *path, th_slice content)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_auto(char) folder = tidied == NULL ? NULL : th_sim_folder_of(tidied);
    th_err err = folder == NULL ? TH_NOMEM : make_folders(world, folder);

    return err == TH_OK ? put_file(world, folder, tidied, content) : err;
}

/* Names are copied first, each behind a byte for its kind: @each may change things. */
static th_err sim_folder_each(th_world *world, const char *path, th_file_each *each,
                              void *context)
{
    th_auto(char) folder = th_sim_tidy(path);
    th_auto_buf names = TH_BUF_INIT;
    th_sim_disk *disk = &th_sim(world)->disk;
    th_err err = folder == NULL ? TH_NOMEM : ask(world, TH_SIM_READ, folder);

    if (err != TH_OK) {
        return err;
    }
    if (!th_sim_is_folder(world, folder)) {
        return th_sim_disk_find(disk, folder) == NULL ? TH_NOT_FOUND : TH_INVALID;
    }
    TH_LIST_EACH(node, &disk->names)
    {
        th_sim_name *each_name = th_container_of(node, th_sim_name, link);
        const char *name = th_sim_disk_name_in(folder, each_name->path);

        if (name != NULL) {
            th_buf_putc(&names, (char)each_name->file->kind);
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
static th_err put_lock(th_world *world, const char *folder)
{
    th_auto_buf path = TH_BUF_INIT;

    th_buf_putf(&path, "%s/lock", folder);
    return path.failed ? TH_NOMEM
                       : put_file(world, folder, th_buf_text(&path), TH_SLICE("1\n"));
}

static th_err sim_folder_lock(th_world *world, const char *path, th_lock **out)
{
    th_auto(char) tidied = th_sim_tidy(path);
    th_sim_file *folder = NULL;
    th_err err = tidied == NULL ? TH_NOMEM : look(world, TH_SIM_NAME, tidied, &folder);
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
    err = put_lock(world, tidied);
    if (err != TH_OK) {
        return err;
    }
    lock = th_calloc(1, sizeof *lock);
    if (lock == NULL) {
        return TH_NOMEM;
    }
    lock->folder = th_sim_file_ref(folder);
    folder->is_locked = true;
    *out = lock;
    return TH_OK;
}

static void sim_folder_unlock(th_world *world, th_lock *lock)
{
    (void)world;
    lock->folder->is_locked = false;
    th_sim_file_unref(lock->folder);
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
    th_auto(char) tidied = th_sim_tidy(path);
    th_sim_file *file = NULL;
    th_err err = tidied == NULL ? TH_NOMEM : look(world, TH_SIM_READ, path, &file);

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
    th_sim_file *file = NULL;
    th_pin *pin;
    th_err err;

    if (climbs(path)) {
        return TH_DENIED;
    }
    th_buf_putf(&whole, "%s%s%s", root, *path == '\0' ? "" : "/", path);
    err = whole.failed ? TH_NOMEM : look(world, TH_SIM_READ, whole.at, &file);
    if (err != TH_OK) {
        return err;
    }
    pin = th_calloc(1, sizeof *pin);
    if (pin == NULL) {
        return TH_NOMEM;
    }
    pin->path = th_sim_tidy(whole.at);
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

static th_sim_world *new_sim(uint64_t seed)
{
    th_sim_world *made = th_calloc(1, sizeof *made);

    if (made != NULL) {
        made->world = (th_world){&sim_ops, &th_disk_sim_ops, .is_simulated = true};
        made->dice = seed;
        made->mono_ns = START_NS;
        th_sim_disk_init(&made->disk);
    }
    return made;
}

th_err th_world_sim_new(th_world **out, uint64_t seed)
{
    th_sim_world *made = new_sim(seed);

    if (made == NULL) {
        return TH_NOMEM;
    }
    *out = &made->world;
    return TH_OK;
}

th_err th_world_sim_crash(th_world *world, uint64_t seed, th_world **out)
{
    th_sim_world *made = new_sim(seed);
    th_err err;

    if (made == NULL) {
        return TH_NOMEM;
    }
    made->mono_ns = th_sim(world)->mono_ns;
    err = th_sim_disk_crash(&th_sim(world)->disk, &made->dice, &made->disk);
    if (err != TH_OK) {
        th_world_sim_free(&made->world);
        return err;
    }
    *out = &made->world;
    return TH_OK;
}

th_world *th_world_sim_free(th_world *world)
{
    if (world != NULL) {
        th_sim_disk_deinit(&th_sim(world)->disk);
        th_free(th_sim(world));
    }
    return NULL;
}
