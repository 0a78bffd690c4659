#include "store/store_vfs.h"

#include "base/mem.h"
#include "base/own.h"
#include "world/disk.h"

#include <stdio.h>
#include <string.h>

/*
 * SQLite is told of a disk whose sectors are written whole or not at all and whose
 * writes come in any order (TH_DISK_SECTOR_BYTES). What it takes as a sector is a page:
 * bytes beside those that are written stay as they are.
 */
#define SECTOR_BYTES 4096
#define PATH_BYTES_MAX 4096
#define RENEW_BYTES ((size_t)65536) /* read and written at a time */

/* 1970 in days of the Julian calendar, in milliseconds. */
#define JULIAN_1970_MS INT64_C(210866760000000)

typedef struct th_store_vfs_file {
    sqlite3_file base;
    th_store_vfs *vfs;
    th_disk_file *file;
    const char *path;    /* SQLite's, while it is open */
    bool is_name_synced; /* by us: who made it may have died before */
} vfs_file;

static th_store_vfs *vfs_of(sqlite3_vfs *vfs)
{
    return th_container_of(vfs, th_store_vfs, vfs);
}

static vfs_file *file_of(sqlite3_file *file)
{
    return th_container_of(file, vfs_file, base);
}

/* What SQLite is told of @err, @otherwise by default. */
static int failed(th_store_vfs *vfs, th_err err, int otherwise)
{
    if (err == TH_OK) {
        return SQLITE_OK;
    }
    vfs->err = err;
    return err == TH_QUOTA ? SQLITE_FULL : err == TH_NOMEM ? SQLITE_NOMEM : otherwise;
}

/* --- An open file ----------------------------------------------------------------- */

static int close_file(sqlite3_file *base)
{
    vfs_file *file = file_of(base);

    if (file->vfs->log == file) {
        file->vfs->log = NULL;
    }
    th_disk_close(file->vfs->world, file->file);
    file->file = NULL;
    return SQLITE_OK;
}

static int read_file(sqlite3_file *base, void *into, int bytes, sqlite3_int64 offset)
{
    vfs_file *file = file_of(base);
    size_t got = 0;
    th_err err = th_disk_read(file->vfs->world, file->file, (uint64_t)offset, into,
                              (size_t)bytes, &got);

    if (err != TH_OK) {
        return failed(file->vfs, err, SQLITE_IOERR_READ);
    }
    if (got < (size_t)bytes) {
        memset((char *)into + got, 0, (size_t)bytes - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

/* To the log. SQLite begins it anew by writing its head. */
static void count_write(th_store_vfs *vfs, uint64_t offset, uint64_t bytes)
{
    if (offset == 0) {
        vfs->log_kept = 0;
        vfs->log_bytes = 0;
    }
    if (offset + bytes > vfs->log_bytes) {
        vfs->log_bytes = offset + bytes;
    }
}

static int write_file(sqlite3_file *base, const void *from, int bytes,
                      sqlite3_int64 offset)
{
    vfs_file *file = file_of(base);
    th_store_vfs *vfs = file->vfs;

    if (vfs->log == file) {
        count_write(vfs, (uint64_t)offset, (uint64_t)bytes);
    }
    return failed(vfs,
                  th_disk_write(vfs->world, file->file, (uint64_t)offset,
                                th_slice_of(from, (size_t)bytes)),
                  SQLITE_IOERR_WRITE);
}

/*
 * A cut is durable at once: SQLite lets it wait for the next sync. But what a node found
 * in the log when it started, and then brought into the file, may not all have reached
 * the disk; what did of the log must not come back over the file.
 */
static th_err cut(vfs_file *file, uint64_t bytes)
{
    th_store_vfs *vfs = file->vfs;
    th_err err = th_disk_truncate(vfs->world, file->file, bytes);

    if (err == TH_OK) {
        err = th_disk_sync(vfs->world, file->file);
    }
    if (err == TH_OK && vfs->log == file) {
        vfs->log_bytes = bytes;
        vfs->log_kept = vfs->log_kept < bytes ? vfs->log_kept : bytes;
    }
    return err;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 bytes)
{
    vfs_file *file = file_of(base);

    return failed(file->vfs, cut(file, (uint64_t)bytes), SQLITE_IOERR_TRUNCATE);
}

void th_store_vfs_keep_log(th_store_vfs *vfs)
{
    vfs->log_kept = vfs->log_bytes;
}

th_err th_store_vfs_cut_log(th_store_vfs *vfs)
{
    return vfs->log == NULL || vfs->log_bytes == vfs->log_kept
               ? TH_OK
               : cut(vfs->log, vfs->log_kept);
}

static int sync_file(sqlite3_file *base, int flags)
{
    vfs_file *file = file_of(base);
    th_world *world = file->vfs->world;
    th_err err = th_disk_sync(world, file->file);

    (void)flags;
    if (err == TH_OK && !file->is_name_synced) {
        err = th_disk_sync_folder(world, file->path);
        file->is_name_synced = err == TH_OK;
    }
    return failed(file->vfs, err, SQLITE_IOERR_FSYNC);
}

static int size_file(sqlite3_file *base, sqlite3_int64 *out)
{
    vfs_file *file = file_of(base);
    uint64_t bytes = 0;
    th_err err = th_disk_size(file->vfs->world, file->file, &bytes);

    *out = (sqlite3_int64)bytes;
    return failed(file->vfs, err, SQLITE_IOERR_FSTAT);
}

/* Nobody else has the file. */
static int lock_file(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int is_locked_file(sqlite3_file *base, int *out)
{
    (void)base;
    *out = 0;
    return SQLITE_OK;
}

static int control_file(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int sector_bytes(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

static int characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1, /* later ones can share memory */
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_file,
    .xLock = lock_file,
    .xUnlock = lock_file,
    .xCheckReservedLock = is_locked_file,
    .xFileControl = control_file,
    .xSectorSize = sector_bytes,
    .xDeviceCharacteristics = characteristics,
};

/* --- Files by path ---------------------------------------------------------------- */

/*
 * Write what the log has once more. A node before us may have died after a sync that
 * failed: what the system shows of the log is then not all on the disk, and only what is
 * written again will be.
 */
static th_err renew(th_store_vfs *vfs, th_disk_file *file, uint64_t bytes)
{
    char *part = th_malloc(RENEW_BYTES);
    th_err err = part == NULL ? TH_NOMEM : TH_OK;
    size_t got = 0;

    for (uint64_t at = 0; err == TH_OK && at < bytes; at += got) {
        err = th_disk_read(vfs->world, file, at, part, RENEW_BYTES, &got);
        if (err == TH_OK && got == 0) {
            break;
        }
        if (err == TH_OK) {
            err = th_disk_write(vfs->world, file, at, th_slice_of(part, got));
        }
    }
    th_free(part);
    return err == TH_OK ? th_disk_sync(vfs->world, file) : err;
}

/* What it has stays; SQLite knows better how much of it counts. */
static th_err open_log(th_store_vfs *vfs, vfs_file *file)
{
    uint64_t bytes = 0;
    th_err err = th_disk_size(vfs->world, file->file, &bytes);

    if (err == TH_OK && bytes > 0) {
        err = renew(vfs, file->file, bytes);
    }
    if (err == TH_OK) {
        vfs->log = file;
        vfs->log_bytes = vfs->log_kept = bytes;
    }
    return err;
}

static int open_file(sqlite3_vfs *base, sqlite3_filename path, sqlite3_file *out,
                     int flags, int *flags_out)
{
    th_store_vfs *vfs = vfs_of(base);
    vfs_file *file = file_of(out);
    bool created = false;
    th_err err;

    memset(file, 0, sizeof *file);
    if (path == NULL) {
        return failed(vfs, TH_UNSUPPORTED, SQLITE_CANTOPEN);
    }
    err =
        th_disk_open(vfs->world, path,
                     (flags & SQLITE_OPEN_CREATE) != 0 ? &created : NULL, &file->file);
    file->vfs = vfs;
    file->path = path;
    if (err == TH_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        err = open_log(vfs, file);
    }
    if (err != TH_OK) {
        th_disk_close(vfs->world, file->file);
        return failed(vfs, err, SQLITE_CANTOPEN);
    }
    file->base.pMethods = &file_methods;
    if (flags_out != NULL) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

/*
 * The removal is durable at once, also where SQLite does not ask for it: a journal that
 * came back would undo what was acknowledged since.
 */
static int remove_file(sqlite3_vfs *base, const char *path, int is_synced)
{
    th_store_vfs *vfs = vfs_of(base);
    th_err err = th_world_file_remove(vfs->world, path);

    if (err == TH_NOT_FOUND) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    (void)is_synced;
    if (err == TH_OK) {
        err = th_disk_sync_folder(vfs->world, path);
    }
    return failed(vfs, err, SQLITE_IOERR_DELETE);
}

/* An empty file counts as none, as with SQLite's own. */
static int find_file(sqlite3_vfs *base, const char *path, int flags, int *out)
{
    th_store_vfs *vfs = vfs_of(base);
    th_file_info info;
    th_err err = th_world_file_info(vfs->world, path, &info);

    *out = err == TH_OK && (flags != SQLITE_ACCESS_EXISTS || info.bytes > 0);
    return err == TH_NOT_FOUND ? SQLITE_OK : failed(vfs, err, SQLITE_IOERR_ACCESS);
}

static int full_path(sqlite3_vfs *base, const char *path, int room, char *out)
{
    (void)base;
    return snprintf(out, (size_t)room, "%s", path) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* --- The rest of a world ---------------------------------------------------------- */

static int throw_dice(sqlite3_vfs *base, int bytes, char *out)
{
    th_world_dice(vfs_of(base)->world, out, (size_t)bytes);
    return bytes;
}

/* To wait would be for a lock of somebody else's. */
static int sleep_us(sqlite3_vfs *base, int us)
{
    (void)base;
    return us;
}

static int time_ms(sqlite3_vfs *base, sqlite3_int64 *out)
{
    *out = th_world_wall(vfs_of(base)->world).ns / TH_MS + JULIAN_1970_MS;
    return SQLITE_OK;
}

static int time_days(sqlite3_vfs *base, double *out)
{
    sqlite3_int64 ms;

    time_ms(base, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int last_error(sqlite3_vfs *base, int room, char *out)
{
    (void)base;
    (void)room;
    (void)out;
    return 0;
}

void th_store_vfs_init(th_store_vfs *vfs, th_world *world)
{
    *vfs = (th_store_vfs){
        .vfs =
            {
                .iVersion = 2,
                .szOsFile = sizeof(vfs_file),
                .mxPathname = PATH_BYTES_MAX,
                .zName = vfs->name,
                .xOpen = open_file,
                .xDelete = remove_file,
                .xAccess = find_file,
                .xFullPathname = full_path,
                .xRandomness = throw_dice,
                .xSleep = sleep_us,
                .xCurrentTime = time_days,
                .xGetLastError = last_error,
                .xCurrentTimeInt64 = time_ms,
            },
        .world = world,
    };
    snprintf(vfs->name, sizeof vfs->name, "thole-%p", (void *)vfs);
    th_assert(sqlite3_vfs_register(&vfs->vfs, 0) == SQLITE_OK);
}

void th_store_vfs_deinit(th_store_vfs *vfs)
{
    sqlite3_vfs_unregister(&vfs->vfs);
}
