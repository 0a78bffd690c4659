/*
 * thole-save: how many states a second a disk takes, beside its own syncs.
 *
 *     thole-save store FOLDER SAVERS SAVES    SAVES in all, each saver one at a time
 *     thole-save syncs FOLDER COUNT           write 4 KiB in place and sync, COUNT times
 *
 * Both leave their file in FOLDER. It prints figures as thole-bench does.
 */
#include "base/mem.h"
#include "store/store.h"
#include "world/disk.h"
#include "world/world_real.h"

#include <stdio.h>
#include <stdlib.h>

#define STATE_BYTES 100
#define SYNC_BYTES 4096
#define SAVERS_MAX 1000000

typedef struct saver {
    th_store_job job;
    struct savers *all;
    char key[40];
    char state[STATE_BYTES];
} saver;

typedef struct savers {
    th_world *world;
    th_store *store;
    saver *each;
    long count;
    long left;    /* saves to submit; Thread: owner, once it runs */
    long running; /* savers whose last save is not done; the same */
    th_parker *finished;
} savers;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "thole-save: %s: %s\n", what, why);
    exit(1);
}

static void check(th_err err, const char *what)
{
    if (err != TH_OK) {
        fail(what, th_reason_of(err)->text);
    }
}

static void print_rate(th_world *world, th_mono began, long count)
{
    double took = (double)(th_world_mono(world).ns - began.ns) / 1e9;

    printf("value %.1f\n", (double)count / took);
}

/* --- The store -------------------------------------------------------------------- */

static void submit(saver *with)
{
    snprintf(with->state, sizeof with->state, "state %ld", with->all->left);
    check(th_store_submit(with->all->store, &with->job), "submit");
}

static void saved(th_store_job *job)
{
    saver *with = th_container_of(job, saver, job);
    savers *all = with->all;

    check(job->err, "save");
    if (all->left > 0) {
        all->left--;
        submit(with);
    } else if (--all->running == 0) {
        th_world_unpark(all->world, all->finished);
    }
}

static void make_saver(savers *all, long i)
{
    saver *with = &all->each[i];

    *with = (saver){.all = all, .job = {.count = 1, .done = saved}};
    snprintf(with->key, sizeof with->key, "saver-%ld:bench:thole", i);
    with->job.one =
        (th_store_change){TH_STORE_PUT, TH_STORE_STATE, th_slice_str(with->key),
                          th_slice_of(with->state, sizeof with->state)};
}

/* All savers save at once, and again as soon as they have. */
static void run_savers(savers *all, long saves)
{
    all->left = saves;
    all->running = all->count;
    for (long i = 0; i < all->count; i++) {
        all->left--;
        submit(&all->each[i]);
    }
    check(th_store_start(all->store), "start");
    while (!th_world_park(all->world, all->finished, (th_mono){0})) {
    }
}

static void bench_store(const char *folder, long count, long saves)
{
    savers all = {.world = th_world_real(), .count = count};
    th_auto_buf path = TH_BUF_INIT, why = TH_BUF_INIT;
    th_mono began;

    th_buf_putf(&path, "%s/store", folder);
    if (th_store_open(&all.store, all.world, th_buf_text(&path), &why) != TH_OK) {
        fail("open", th_buf_text(&why));
    }
    check(th_world_parker_new(all.world, &all.finished), "parker");
    all.each = th_calloc((size_t)count, sizeof *all.each);
    if (all.each == NULL) {
        fail("savers", "memory ran out");
    }
    for (long i = 0; i < count; i++) {
        make_saver(&all, i);
    }
    began = th_world_mono(all.world);
    run_savers(&all, saves);
    print_rate(all.world, began, saves);
    th_store_close(all.store);
    th_world_parker_free(all.world, all.finished);
    th_free(all.each);
}

/* --- The disk ----------------------------------------------------------------------- */

static void bench_syncs(const char *folder, long count)
{
    static char bytes[SYNC_BYTES];
    th_world *world = th_world_real();
    th_disk_file *file = NULL;
    th_auto_buf path = TH_BUF_INIT;
    bool created;
    th_mono began;

    th_buf_putf(&path, "%s/syncs", folder);
    check(th_disk_open(world, th_buf_text(&path), &created, &file), "open");
    check(th_disk_write(world, file, 0, th_slice_of(bytes, sizeof bytes)), "write");
    check(th_disk_sync(world, file), "sync");
    began = th_world_mono(world);
    for (long i = 0; i < count; i++) {
        bytes[i % SYNC_BYTES]++;
        check(th_disk_write(world, file, 0, th_slice_of(bytes, sizeof bytes)), "write");
        check(th_disk_sync(world, file), "sync");
    }
    print_rate(world, began, count);
    th_disk_close(world, file);
}

int main(int argc, char **argv)
{
    long a = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    long b = argc > 4 ? strtol(argv[4], NULL, 10) : 0;

    if (argc == 5 && strcmp(argv[1], "store") == 0 && a >= 1 && a <= SAVERS_MAX &&
        b >= a) {
        bench_store(argv[2], a, b);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "syncs") == 0 && a >= 1) {
        bench_syncs(argv[2], a);
        return 0;
    }
    fprintf(stderr,
            "usage: thole-save store FOLDER SAVERS SAVES, not less than SAVERS\n"
            "       thole-save syncs FOLDER COUNT\n");
    return 2;
}
