/*
 * What the files that are the real world's body share of its disk.
 *
 * Only those include this. Thread: any.
 */
#ifndef TH_WORLD_REAL_DISK_H
#define TH_WORLD_REAL_DISK_H

#include "world/disk.h"

/* What errno means to a caller; only what is the machine's own is a fault. */
th_err th_real_refused(const char *what, const char *path);

/* Open the folder that @path lies in; *@name is what follows. Below 0: errno says. */
int th_real_open_folder_of(const char *path, const char **name);

extern const th_disk_ops th_disk_real_ops;

#endif
