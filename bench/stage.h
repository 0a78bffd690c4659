/*
 * Stage: a kernel with the Lua entries of one workload, for the bench.
 *
 * A text holds one or several chunks, each begun by a line "--@ NAME" or, of several
 * entries, "--@ NAME NAME"; they become entries bench:NAME, of which bench:main is run
 * with the arguments. Beside
 * system:processes there is a host bench:coreN for each shard, bound to it.
 *
 * A line that a process prints goes to standard output. "resident NAME" is not
 * printed as it is: the bytes that this program has in memory at that moment follow.
 *
 * Thread: main.
 */
#ifndef TH_BENCH_STAGE_H
#define TH_BENCH_STAGE_H

#include "base/bytes.h"
#include "base/own.h"
#include "kernel/kernel.h"

typedef struct th_stage th_stage;

typedef struct th_stage_spec {
    th_slice text;    /* the chunks */
    const char *name; /* for messages: the file's path */
    unsigned shards;
} th_stage_spec;

/* Refuses: INVALID, a chunk is no Lua or there is no main; @why says what. */
th_err th_stage_new(th_stage **out, const th_stage_spec *spec, th_buf *why);

/*
 * The Wasm guest in @folder/@name.wasm becomes entry bench:@name; @name is a literal.
 * Refuses: as th_wasm_program_new, NOT_FOUND; @why says what.
 */
th_err th_stage_add_wasm(th_stage *stage, const char *folder, const char *name,
                         th_buf *why);

/* Append what is in a file. False: it cannot be read, or is too large. */
bool th_stage_read_file(const char *path, th_buf *out);

/*
 * Run bench:main with @words to its end.
 * Refuses: FAILED and what the spawn refuses; @why says what went wrong.
 */
th_err th_stage_run(th_stage *stage, const char *const *words, size_t count,
                    th_buf *why);

/* Stops the kernel and ends what still runs. Takes NULL. */
th_stage *th_stage_free(th_stage *stage);

TH_AUTO_FREE(th_stage, th_stage_free)

/* The bytes of memory that this program has. */
uint64_t th_stage_resident_bytes(void);

#endif
