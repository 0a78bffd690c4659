/*
 * Disk: files that are held open, for those who say themselves what is durable when.
 *
 * What is written is durable once th_disk_sync returned OK for the file, and what was
 * done to a name once th_disk_sync_folder did for its folder. Until then a crash keeps
 * it, drops it, or keeps some of its sectors of TH_DISK_SECTOR_BYTES, in any order.
 * After a sync that failed nobody knows what of it is there, and a later sync does not
 * make up for it: what matters must be written again.
 *
 * A full disk is the refusal QUOTA; what was written by then may stay.
 *
 * Thread: one for a file at a time.
 */
#ifndef TH_WORLD_DISK_H
#define TH_WORLD_DISK_H

#include "base/own.h"
#include "world/world.h"

/* Written whole or not at all, also by a crash. */
#define TH_DISK_SECTOR_BYTES 512

typedef struct th_disk_file th_disk_file; /* open, for reading and writing */

/* The body of a disk: world_disk_real.c and world_disk_sim.c fill one in. */
struct th_disk_ops {
    th_err (*open)(th_world *world, const char *path, bool *created,
                   th_disk_file **out);
    void (*close)(th_world *world, th_disk_file *file);
    th_err (*read)(th_world *world, th_disk_file *file, uint64_t offset, void *into,
                   size_t bytes, size_t *got);
    th_err (*write)(th_world *world, th_disk_file *file, uint64_t offset,
                    th_slice bytes);
    th_err (*truncate)(th_world *world, th_disk_file *file, uint64_t bytes);
    th_err (*size)(th_world *world, th_disk_file *file, uint64_t *out);
    th_err (*sync)(th_world *world, th_disk_file *file);
    th_err (*rename)(th_world *world, const char *from, const char *to);
    th_err (*sync_folder)(th_world *world, const char *path);
};

/*
 * Open the file at @path. @created is NULL: it must be there; else it is made when it
 * is not, for its owner only, and *@created says so.
 *
 * Refuses: NOT_FOUND, it or its folder is not there; DENIED; INVALID, it is a folder;
 *          QUOTA. Faults: IO, NOMEM.
 */
static inline th_err th_disk_open(th_world *world, const char *path, bool *created,
                                  th_disk_file **out)
{
    return world->disk->open(world, path, created, out);
}

/* Does not sync. Takes NULL. */
static inline void th_disk_close(th_world *world, th_disk_file *file)
{
    world->disk->close(world, file);
}

/* Read @bytes at @offset; *@got is less only where the file ends. Faults: IO. */
static inline th_err th_disk_read(th_world *world, th_disk_file *file, uint64_t offset,
                                  void *into, size_t bytes, size_t *got)
{
    return world->disk->read(world, file, offset, into, bytes, got);
}

/*
 * Write at @offset, behind the end too: what lies between is zeros. When it fails, a
 * part may be written.
 *
 * Refuses: QUOTA. Faults: IO, NOMEM.
 */
static inline th_err th_disk_write(th_world *world, th_disk_file *file, uint64_t offset,
                                   th_slice bytes)
{
    return world->disk->write(world, file, offset, bytes);
}

/* Cut off what lies behind @bytes, or fill up to there with zeros. As write. */
static inline th_err th_disk_truncate(th_world *world, th_disk_file *file,
                                      uint64_t bytes)
{
    return world->disk->truncate(world, file, bytes);
}

static inline th_err th_disk_size(th_world *world, th_disk_file *file, uint64_t *out)
{
    return world->disk->size(world, file, out);
}

/* Make bytes and size durable; not the name. Refuses: QUOTA. Faults: IO. */
static inline th_err th_disk_sync(th_world *world, th_disk_file *file)
{
    return world->disk->sync(world, file);
}

/*
 * Give the file at @from the name @to, in place of a file that has it. After a crash
 * it has one of the two names, and @to is what was there or this.
 *
 * Refuses: NOT_FOUND, DENIED, INVALID, QUOTA. Faults: IO, NOMEM.
 */
static inline th_err th_disk_rename(th_world *world, const char *from, const char *to)
{
    return world->disk->rename(world, from, to);
}

/* Make durable what was done to names in the folder that @path lies in. Faults: IO. */
static inline th_err th_disk_sync_folder(th_world *world, const char *path)
{
    return world->disk->sync_folder(world, path);
}

#endif
