/*
 * Files: the process that reads the disk for others, named `files`.
 *
 * It answers requests whose body is one JSON object:
 *
 *   {"list": PATH}   {"entries": [{"name": N, "kind": "file|folder|link|other"}, ...]},
 *                    where a link is one to a folder; other links are what they lead to
 *   {"info": PATH}   {"kind": K, "bytes": N, "modified_ms": N}
 *   {"read": {"path": PATH, "offset": N, "bytes": N}}
 *                    {"bytes": N, "end": BOOL}, and the content is the blob
 *
 * or {"error": {"kind": REASON, "message": TEXT}}. Answers to one requester come in
 * the order of its requests; the disk is read on worker threads.
 *
 * Only what was granted can be read: files and folders that are named when the
 * node starts. A path is that of the command line's folder if it is relative, may
 * not contain ".." but where its grant was given so, and is followed without leaving
 * that, be it by a link or by what changes meanwhile (th_world_file_pin).
 *
 * Thread: main for new, grant and free, while no process runs; else the owner's.
 */
#ifndef TH_SVC_FILES_H
#define TH_SVC_FILES_H

#include "base/own.h"
#include "core/entry.h"
#include "world/world.h"

typedef struct th_files th_files;

/* Bytes of one read, and what it gives when the request does not say. */
#define TH_FILES_READ_BYTES_MAX ((uint64_t)8 << 20)
#define TH_FILES_READ_BYTES ((uint64_t)1 << 20)

/* Names in the answer to one `list`; "more" is true when there are more. */
#define TH_FILES_LIST_MAX 65536

/* Bytes of the body of a request. */
#define TH_FILES_QUESTION_BYTES_MAX 65536

#define TH_FILES_GRANTS_MAX 256

/* @folder is what relative paths are relative to, absolute. */
th_err th_files_new(th_files **out, th_world *world, const char *folder);
th_files *th_files_free(th_files *files); /* takes NULL, returns NULL */

/*
 * Let it read what is at @path, and below it. Where there is nothing now, or nothing
 * that can be reached, asking for it is answered so.
 *
 * Refuses: QUOTA, too many.
 */
th_err th_files_grant(th_files *files, const char *path);

/* Of the process; not for the kernel's list, or a guest could start another. */
const th_entry *th_files_entry(th_files *files);

/*
 * Find the grant that @path, as a request says it, lies in: *@root is where the
 * grant is on disk and *@rest, appended, what follows below it. Pure.
 *
 * Refuses: INVALID, it is empty, too long or has a NUL; DENIED, it is in none or
 *          climbs; NOT_FOUND and others, its grant led nowhere.
 */
th_err th_files_locate(const th_files *files, th_slice path, const char **root,
                       th_buf *rest);

TH_AUTO_FREE(th_files, th_files_free)

#endif
