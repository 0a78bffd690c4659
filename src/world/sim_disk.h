/*
 * The simulated disk: files and their names, as they look and as a crash leaves them.
 *
 * A file has its bytes as they are read and, apart, its bytes as they were when it was
 * last synced, with the writes since. Names are kept in the same two ways: as they
 * look, and as they were when their folder was last synced, with the changes since. A
 * crash makes a new disk of what is durable, and lets dice decide for each write and
 * each change that is not. Paths are tidy: without doubled and last slashes.
 *
 * Only the simulated world includes this. Thread: one.
 */
#ifndef TH_WORLD_SIM_DISK_H
#define TH_WORLD_SIM_DISK_H

#include "base/list.h"
#include "world/world.h"
#include "world/world_sim.h"

typedef struct th_sim_file {
    unsigned refs; /* names, changes of names, and those who hold it open */
    th_file_kind kind;
    th_buf content; /* as it is read */
    th_buf durable; /* as it was synced */
    th_list writes; /* since then, oldest first */
    int64_t modified_ns;
    bool is_locked;
    struct th_sim_file *copy; /* a reference, while a crash copies the disk */
} th_sim_file;

typedef struct th_sim_name {
    th_list link;
    char *path;
    th_sim_file *file; /* a reference */
} th_sim_name;

typedef struct th_sim_disk {
    th_list names;   /* th_sim_name in order of their paths, as they look */
    th_list durable; /* th_sim_name, as their folders were synced */
    th_list changes; /* of names since then, oldest first */

    uint64_t left; /* operations until all fail; UINT64_MAX: for ever */
    uint64_t room; /* bytes that all files may have together */
    th_sim_watch *watch;
    void *watch_context;
} th_sim_disk;

void th_sim_disk_init(th_sim_disk *disk);
void th_sim_disk_deinit(th_sim_disk *disk); /* no file is held open */

/* May this operation be? Anything but OK is its answer. */
th_err th_sim_disk_ask(th_sim_disk *disk, th_sim_op op, const char *path);

/* --- Names ---------------------------------------------------------------------- */

/* The file or folder of that name, borrowed, or NULL. */
th_sim_file *th_sim_disk_find(th_sim_disk *disk, const char *path);

/*
 * Make a folder, or a file of @content, which is durable though its name is not; in
 * place of what has the name.
 *
 * Refuses: QUOTA. Faults: NOMEM.
 */
th_err th_sim_disk_make(th_sim_disk *disk, const char *path, th_file_kind kind,
                        th_slice content, th_sim_file **out);

/* Take the name away, which is there. Faults: NOMEM. */
th_err th_sim_disk_remove(th_sim_disk *disk, const char *path);

/* Give what is at @from the name @to. Faults: NOMEM. */
th_err th_sim_disk_rename(th_sim_disk *disk, const char *from, const char *to);

/* What was done to names right in @folder is durable. */
void th_sim_disk_sync_names(th_sim_disk *disk, const char *folder);

/* What follows "@folder/" in @path if @path lies right in it, or NULL. */
const char *th_sim_disk_name_in(const char *folder, const char *path);

/* --- Files ---------------------------------------------------------------------- */

th_sim_file *th_sim_file_ref(th_sim_file *file);
th_sim_file *th_sim_file_unref(th_sim_file *file); /* takes NULL, returns NULL */

/* Refuses: QUOTA, there is no room. Faults: NOMEM. */
th_err th_sim_file_write(th_sim_disk *disk, th_sim_file *file, uint64_t offset,
                         th_slice bytes);
th_err th_sim_file_truncate(th_sim_disk *disk, th_sim_file *file, uint64_t bytes);

/* What was written is durable. */
void th_sim_file_sync(th_sim_file *file);

/* The sync fails: dice decide now what is durable of it, and none will tell. */
void th_sim_file_lose(th_sim_file *file, uint64_t *dice);

/* --- Crashes -------------------------------------------------------------------- */

/*
 * Make @out, which is initialized and empty, what a crash leaves of @disk, which does
 * not change. Faults: NOMEM; @out is then to be given back.
 */
th_err th_sim_disk_crash(th_sim_disk *disk, uint64_t *dice, th_sim_disk *out);

/* The next number; splitmix64. */
uint64_t th_sim_roll(uint64_t *dice);

#endif
