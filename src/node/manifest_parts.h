/*
 * What the files of the manifest share: manifest.c walks the folder and answers
 * questions, manifest_read.c reads one file, manifest_check.c holds what all files
 * say against each other.
 */
#ifndef TH_NODE_MANIFEST_PARTS_H
#define TH_NODE_MANIFEST_PARTS_H

#include "node/manifest.h"

/* One file that counts. */
typedef struct manifest_file {
    th_list link;
    char *path;      /* for people: the folder as it was given, and below it */
    const char *sub; /* in `path`: below the folder */
    th_yaml *yaml;
} manifest_file;

struct th_manifest {
    th_world *world;
    const char *folder; /* while it is read */
    th_list files;      /* manifest_file.link */
    th_list entries;    /* th_declared.link */
    size_t entries_count;
    size_t seen; /* names in folders */
    th_buf *errors;
    th_buf *notes;
    size_t errors_count;
};

/* Where something is read. */
typedef struct manifest_place {
    th_manifest *manifest;
    const manifest_file *file;
} manifest_place;

#define th_manifest_wrong(place, yaml, ...)                                            \
    th_manifest_error((place)->manifest, (place)->file->path, (yaml)->line,            \
                      (yaml)->column, __VA_ARGS__)

void th_manifest_error(th_manifest *manifest, const char *file, unsigned line,
                       unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Read the entries of @file, which has a namespace. */
th_err th_manifest_read(th_manifest *manifest, const manifest_file *file);

/* Every key of @map is among @words, which are parted by spaces. */
void th_manifest_check_keys(const manifest_place *at, const th_yaml *map,
                            const char *what, const char *words);

/* The rights of an entry, and its end. Refuses: QUOTA. */
th_err th_manifest_read_rights(const manifest_place *at, const th_yaml *map,
                               th_declared *entry);
void th_manifest_free_rights(th_declared *entry);

/* Find the entries twice, resolve the imports, find circles. */
void th_manifest_check(th_manifest *manifest);

#endif
