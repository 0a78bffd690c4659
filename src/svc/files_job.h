/*
 * One question to the file process, from its decoding to its answer.
 *
 * It has two holders: the process's list, and the worker (or the inbox) while it
 * is there; whoever lets go last frees it.
 *
 * Thread: owner; th_files_job's run: a worker, which touches only what it may.
 */
#ifndef TH_SVC_FILES_JOB_H
#define TH_SVC_FILES_JOB_H

#include "guest/native/native.h"
#include "svc/files.h"

#include <stdatomic.h>

typedef enum files_verb {
    FILES_NOTHING, /* the question could not be read; the answer is there already */
    FILES_LIST,
    FILES_INFO,
    FILES_READ,
} files_verb;

typedef enum files_phase {
    FILES_JOB_WAITS,
    FILES_JOB_RUNS,
    FILES_JOB_IS_DONE,
} files_phase;

typedef struct files_job {
    th_job job;
    _Atomic uint32_t refs;
    th_list link;
    th_msg *question;  /* one reference */
    files_phase phase; /* Thread: owner. */

    /* Fixed when it was made. */
    const th_files *files;
    th_world *world;
    files_verb verb;
    th_buf path;
    uint64_t offset, bytes;

    /* Thread: the worker, then the owner. */
    th_buf body; /* of the answer */
    th_buf content;
    bool has_content;
    size_t names; /* so far in a list */
} files_job;

/* The program of the process; `context` is its th_files. */
extern const th_native th_files_program;

/* Takes @question. NULL, and it stays the caller's: memory ran out. */
files_job *th_files_job_new(const th_files *files, th_world *world, th_msg *question);
void th_files_job_unref(files_job *job);

files_job *th_files_job_of(th_job *job);

/* Have it done by a worker. */
void th_files_job_submit(th_process *self, files_job *job);

/* Tell the requester, if it still wants to know. */
void th_files_job_answer(th_process *self, files_job *job);

#endif
