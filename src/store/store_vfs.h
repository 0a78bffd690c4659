/*
 * Store VFS: the disk of a world, as SQLite wants to have it.
 *
 * For one user of a file at a time: it locks nothing and shares no memory, so that WAL
 * needs `PRAGMA locking_mode = EXCLUSIVE`, and it has no temporary files. The
 * name of a file becomes durable with its first sync, and its removal at once.
 *
 * Thread: one at a time.
 */
#ifndef TH_STORE_STORE_VFS_H
#define TH_STORE_STORE_VFS_H

#include "world/world.h"

#include <sqlite3.h>

typedef struct th_store_vfs {
    sqlite3_vfs vfs;
    char name[40]; /* of this one alone, for sqlite3_open_v2 */
    th_world *world;
    th_err err; /* why the last call failed that failed; whoever reads it resets it */

    /* The log (WAL), while SQLite has it open, else NULL. */
    struct th_store_vfs_file *log;
    uint64_t log_bytes; /* written */
    uint64_t log_kept;  /* of those, what must stay */
} th_store_vfs;

/* Make SQLite know it, until deinit; it stays where it is. */
void th_store_vfs_init(th_store_vfs *vfs, th_world *world);
void th_store_vfs_deinit(th_store_vfs *vfs);

/* A transaction was committed: what was written to the log must stay. */
void th_store_vfs_keep_log(th_store_vfs *vfs);

/*
 * Cut off the log what was written to it since. SQLite would write over it and rely on
 * checksums to tell apart what is left: but those of two pages which differ in the low
 * bytes of a few numbers are the same for one in 65,536, or more.
 */
th_err th_store_vfs_cut_log(th_store_vfs *vfs);

#endif
