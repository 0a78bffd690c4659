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

void th_manifest_error(th_manifest *manifest, const char *file, unsigned line,
                       unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Read the entries of @file, which has a namespace. */
th_err th_manifest_read(th_manifest *manifest, const manifest_file *file);

/* Find the entries twice, resolve the imports, find circles. */
void th_manifest_check(th_manifest *manifest);

#endif
