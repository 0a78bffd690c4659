/*
 * thole-bench: run one workload of the bench once.
 *
 *     thole-bench SHARDS FILE.lua [ARG...]
 *
 * The Wasm guests that the workload spawns come from the folder THOLE_GUESTS.
 * What its main process prints are its figures, a line "NAME NUMBER" each; bench.py
 * runs this program and its counterpart in turn.
 */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The Wasm guests that a workload names in its text: only those are compiled. */
static th_err add_guests(th_stage *stage, const char *text, th_buf *why)
{
    static const char *const names[] = {"echo", "pinger", "spin"};
    const char *folder = getenv("THOLE_GUESTS");
    th_err err = TH_OK;

    for (size_t i = 0; i < sizeof names / sizeof *names && err == TH_OK; i++) {
        char id[32];

        snprintf(id, sizeof id, "\"bench:%s\"", names[i]);
        if (folder != NULL && strstr(text, id) != NULL) {
            err = th_stage_add_wasm(stage, folder, names[i], why);
        }
    }
    return err;
}

static int run(unsigned shards, const char *path, int words_count, char **words)
{
    th_auto_buf text = TH_BUF_INIT, why = TH_BUF_INIT;
    th_auto(th_stage) stage = NULL;
    th_err err;

    if (!th_stage_read_file(path, &text)) {
        fprintf(stderr, "thole-bench: %s cannot be read; give the path of a workload\n",
                path);
        return 1;
    }
    err = th_stage_new(&stage,
                       &(th_stage_spec){.text = th_buf_slice(&text),
                                        .name = path,
                                        .shards = shards},
                       &why);
    if (err == TH_OK) {
        err = add_guests(stage, th_buf_text(&text), &why);
    }
    if (err == TH_OK) {
        err =
            th_stage_run(stage, (const char *const *)words, (size_t)words_count, &why);
    }
    if (err != TH_OK) {
        fprintf(stderr, "thole-bench: %s: %s\n", path,
                why.bytes > 0 ? th_buf_text(&why) : th_reason_of(err)->text);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    long shards = argc < 3 ? 0 : strtol(argv[1], NULL, 10);

    if (shards < 1 || shards > TH_SHARDS_MAX) {
        fprintf(stderr,
                "usage: thole-bench SHARDS FILE.lua [ARG...]\n"
                "SHARDS is a number from 1 to %d\n",
                TH_SHARDS_MAX);
        return 2;
    }
    return run((unsigned)shards, argv[2], argc - 3, argv + 3);
}
