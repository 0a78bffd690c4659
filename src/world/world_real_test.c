#include "world/world_real.h"

#include "base/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static const char *new_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/thole-test-XXXXXX");
    T_NOT_NULL(mkdtemp(folder));
    return folder;
}

static const char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool count(void *context, const char *name, th_file_kind kind)
{
    (void)name;
    (void)kind;
    ++*(int *)context;
    return true;
}

TEST(world_real, a_refused_write_leaves_nothing_beside_the_file)
{
    th_world *world = th_world_real();
    int files = 0;

    new_folder();
    T_EQ(mkdir(in_folder("taken"), 0700), 0);
    T_EQ(th_world_file_write(world, in_folder("taken"), TH_SLICE("x")), TH_INVALID);
    T_EQ(th_world_folder_each(world, folder, count, &files), TH_OK);
    T_EQ(files, 1);
    T_EQ(rmdir(in_folder("taken")), 0);
    T_EQ(rmdir(folder), 0); /* empty, hidden names included */
}

TEST(world_real, what_a_crash_left_of_a_write_is_not_shown)
{
    th_world *world = th_world_real();
    int files = 0;

    new_folder();
    T_EQ(th_world_file_write(world, in_folder(".thole-new-0123"), TH_SLICE("x")),
         TH_OK);
    T_EQ(th_world_folder_each(world, folder, count, &files), TH_OK);
    T_EQ(files, 0);
    T_EQ(unlink(in_folder(".thole-new-0123")), 0);
    T_EQ(rmdir(folder), 0);
}

TEST(world_real, folders_and_files_are_the_owners_only)
{
    th_world *world = th_world_real();
    struct stat info;

    new_folder();
    T_EQ(th_world_folder_make(world, in_folder("a")), TH_OK);
    T_EQ(stat(in_folder("a"), &info), 0);
    T_EQ(info.st_mode & 0777, 0700);
    T_EQ(th_world_file_write(world, in_folder("a/b"), TH_SLICE("x")), TH_OK);
    T_EQ(stat(in_folder("a/b"), &info), 0);
    T_EQ(info.st_mode & 0777, 0600);
    T_EQ(unlink(in_folder("a/b")), 0);
    T_EQ(rmdir(in_folder("a")), 0);
    T_EQ(rmdir(folder), 0);
}

TEST(world_real, a_link_to_nowhere_and_a_pipe_are_something_else)
{
    th_world *world = th_world_real();
    th_auto_buf got = TH_BUF_INIT;
    th_file_info info;

    new_folder();
    T_EQ(symlink("nowhere", in_folder("link")), 0);
    T_EQ(th_world_file_info(world, in_folder("link"), &info), TH_OK);
    T_EQ(info.kind, TH_FILE_OTHER);
    T_EQ(mkfifo(in_folder("pipe"), 0600), 0);
    T_EQ(th_world_file_read(world, in_folder("pipe"), 0, 10, &got), TH_INVALID);
    T_EQ(unlink(in_folder("link")), 0);
    T_EQ(unlink(in_folder("pipe")), 0);
    T_EQ(rmdir(folder), 0);
}

TEST(world_real, a_lock_names_its_holder_and_ends_with_it)
{
    th_world *world = th_world_real();
    th_auto_buf holder = TH_BUF_INIT;
    th_lock *lock = NULL;
    int status;
    pid_t child;

    new_folder();
    child = fork();
    if (child == 0) {
        _exit(th_world_folder_lock(world, folder, &lock) == TH_OK ? 0 : 1);
    }
    T_EQ(waitpid(child, &status, 0), child);
    T_EQ(status, 0);
    T_EQ(th_world_folder_lock(world, folder, &lock), TH_OK);
    T_EQ(th_world_file_read(world, in_folder("lock"), 0, 100, &holder), TH_OK);
    T_EQ(atoi(th_buf_text(&holder)), getpid());
    th_world_folder_unlock(world, lock);
    T_EQ(unlink(in_folder("lock")), 0);
    T_EQ(rmdir(folder), 0);
}

typedef struct pair {
    th_parker *mine;
    th_parker *theirs;
    _Atomic int turns;
} pair;

#define TURNS 2000

static void answer(void *context)
{
    pair *with = context;

    for (int i = 0; i < TURNS; i++) {
        while (!th_world_park(th_world_real(), with->theirs, (th_mono){0})) {
        }
        atomic_fetch_add(&with->turns, 1);
        th_world_unpark(th_world_real(), with->mine);
    }
}

TEST(world_real, two_threads_wake_each_other_and_lose_no_permit)
{
    th_world *world = th_world_real();
    th_thread *thread = NULL;
    pair with = {NULL, NULL, 0};

    T_EQ(th_world_parker_new(world, &with.mine), TH_OK);
    T_EQ(th_world_parker_new(world, &with.theirs), TH_OK);
    T_EQ(th_world_thread_start(world, &thread, "a name longer than 15", answer, &with),
         TH_OK);
    for (int i = 0; i < TURNS; i++) {
        T_EQ(atomic_load(&with.turns), i);
        th_world_unpark(world, with.theirs);
        T_TRUE(th_world_park(world, with.mine, (th_mono){0}));
    }
    th_world_thread_join(world, thread);
    th_world_parker_free(world, with.mine);
    th_world_parker_free(world, with.theirs);
}

TEST(world_real, a_park_ends_at_its_time_and_not_before)
{
    th_world *world = th_world_real();
    th_mono until = {th_world_mono(world).ns + 20 * TH_MS};
    th_parker *parker = NULL;

    T_EQ(th_world_parker_new(world, &parker), TH_OK);
    T_FALSE(th_world_park(world, parker, until));
    T_TRUE(th_world_mono(world).ns >= until.ns);
    th_world_parker_free(world, parker);
}

static void look_at_signals(void *context)
{
    pthread_sigmask(SIG_SETMASK, NULL, context);
}

TEST(world_real, a_thread_gets_no_signals_but_those_it_causes)
{
    th_thread *thread = NULL;
    sigset_t blocked, before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    T_EQ(th_world_thread_start(th_world_real(), &thread, "t", look_at_signals,
                               &blocked),
         TH_OK);
    th_world_thread_join(th_world_real(), thread);
    T_TRUE(sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD));
    T_FALSE(sigismember(&blocked, SIGSEGV) || sigismember(&blocked, SIGILL));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    T_MEM(&before, &after, 8);
}

static void use_the_stack(void *context)
{
    volatile char deep[4 << 20];

    deep[0] = 1;
    deep[sizeof deep - 1] = 1;
    *(int *)context = deep[0] + deep[sizeof deep - 1];
}

TEST(world_real, a_thread_has_a_deep_stack)
{
    th_thread *thread = NULL;
    int sum = 0;

    T_EQ(th_world_thread_start(th_world_real(), &thread, "t", use_the_stack, &sum),
         TH_OK);
    th_world_thread_join(th_world_real(), thread);
    T_EQ(sum, 2);
    th_world_thread_join(th_world_real(), NULL);
}

TEST(world_real, threads_and_parkers_answer_when_memory_runs_out)
{
    th_thread *thread = NULL;
    th_parker *parker = NULL;

    th_mem_fail_after(0);
    T_EQ(th_world_thread_start(th_world_real(), &thread, "t", use_the_stack, NULL),
         TH_NOMEM);
    T_EQ(th_world_parker_new(th_world_real(), &parker), TH_NOMEM);
    T_NULL(thread);
    T_NULL(parker);
}
