#include "world/real_disk.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files held open, on Linux: a descriptor, and the path for messages. */
struct th_disk_file {
    int fd;
    char path[];
};

static void real_close(th_world *world, th_disk_file *file)
{
    (void)world;
    if (file != NULL) {
        close(file->fd);
        th_free(file);
    }
}

static int open_or_make(const char *path, bool *created)
{
    int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags);

    if (created == NULL || fd >= 0) {
        if (created != NULL) {
            *created = false;
        }
        return fd;
    }
    if (errno == ENOENT) {
        fd = open(path, flags | O_CREAT | O_EXCL, 0600);
        *created = fd >= 0;
    }
    return fd;
}

static th_err real_open(th_world *world, const char *path, bool *created,
                        th_disk_file **out)
{
    th_disk_file *file = th_malloc(sizeof *file + strlen(path) + 1);
    struct stat info;
    th_err err = TH_OK;

    (void)world;
    if (file == NULL) {
        return TH_NOMEM;
    }
    strcpy(file->path, path);
    file->fd = open_or_make(path, created);
    if (file->fd < 0) {
        err = th_real_refused("open", path);
        th_free(file);
        return err;
    }
    if (fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        real_close(world, file);
        return TH_INVALID;
    }
    *out = file;
    return TH_OK;
}

static th_err real_read(th_world *world, th_disk_file *file, uint64_t offset,
                        void *into, size_t bytes, size_t *got)
{
    size_t done = 0;

    (void)world;
    while (done < bytes) {
        ssize_t n =
            pread(file->fd, (char *)into + done, bytes - done, (off_t)(offset + done));

        if (n < 0 && errno != EINTR) {
            return th_real_refused("read", file->path);
        }
        if (n == 0) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    *got = done;
    return TH_OK;
}

static th_err real_write(th_world *world, th_disk_file *file, uint64_t offset,
                         th_slice bytes)
{
    (void)world;
    while (bytes.bytes > 0) {
        ssize_t n = pwrite(file->fd, bytes.at, bytes.bytes, (off_t)offset);

        if (n < 0 && errno != EINTR) {
            return th_real_refused("write", file->path);
        }
        if (n > 0) {
            offset += (uint64_t)n;
            bytes = th_slice_from(bytes, (size_t)n);
        }
    }
    return TH_OK;
}

static th_err real_truncate(th_world *world, th_disk_file *file, uint64_t bytes)
{
    int result;

    (void)world;
    do {
        result = ftruncate(file->fd, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? TH_OK : th_real_refused("truncate", file->path);
}

static th_err real_size(th_world *world, th_disk_file *file, uint64_t *out)
{
    struct stat info;

    (void)world;
    if (fstat(file->fd, &info) != 0) {
        return th_real_refused("stat", file->path);
    }
    *out = (uint64_t)info.st_size;
    return TH_OK;
}

/* The size is synced with the bytes, the times are not. */
static th_err real_sync(th_world *world, th_disk_file *file)
{
    (void)world;
    return fdatasync(file->fd) == 0 ? TH_OK : th_real_refused("sync", file->path);
}

static th_err real_rename(th_world *world, const char *from, const char *to)
{
    struct stat info;

    (void)world;
    if (lstat(from, &info) != 0) {
        return th_real_refused("rename", from);
    }
    if (!S_ISREG(info.st_mode)) {
        return TH_INVALID;
    }
    return rename(from, to) == 0 ? TH_OK : th_real_refused("rename", from);
}

static th_err real_sync_folder(th_world *world, const char *path)
{
    const char *name;
    int folder = th_real_open_folder_of(path, &name);
    th_err err = TH_OK;

    (void)world;
    if (folder < 0 || fsync(folder) != 0) {
        err = th_real_refused("sync folder of", path);
    }
    if (folder >= 0) {
        close(folder);
    }
    return err;
}

const th_disk_ops th_disk_real_ops = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .truncate = real_truncate,
    .size = real_size,
    .sync = real_sync,
    .rename = real_rename,
    .sync_folder = real_sync_folder,
};
