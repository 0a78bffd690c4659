#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct {
    th_world *world;
    th_thread *thread;
    sigset_t set;
    pthread_mutex_t lock;

    /* Under the lock. */
    th_node *node; /* NULL: it boots, or ends already */
    bool was_asked;
    bool is_done;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say_stopping(void)
{
    static const char text[] = "\nthole: stopping; once more stops at once\n";
    int skip = isatty(STDERR_FILENO) ? 0 : 1; /* a terminal has shown ^C */

    (void)!write(STDERR_FILENO, text + skip, sizeof text - 1 - (size_t)skip);
}

/* The first one asks; who repeats it means it. */
static void run(void *context)
{
    bool is_done = false;
    int signal;

    (void)context;
    while (!is_done && sigwait(&self.set, &signal) == 0) {
        pthread_mutex_lock(&self.lock);
        is_done = self.is_done;
        if (!is_done && self.was_asked) {
            _exit(1);
        }
        if (!is_done) {
            self.was_asked = true;
            say_stopping();
            if (self.node != NULL) {
                th_node_ask_stop(self.node);
            }
        }
        pthread_mutex_unlock(&self.lock);
    }
}

th_err th_signals_start(th_world *world)
{
    struct sigaction hangup;

    sigemptyset(&self.set);
    sigaddset(&self.set, SIGINT);
    sigaddset(&self.set, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
        sigaddset(&self.set, SIGHUP); /* nohup is not in the way */
    }
    pthread_sigmask(SIG_BLOCK, &self.set, NULL);
    self.world = world;
    return th_world_thread_start(world, &self.thread, "thole-signals", run, NULL);
}

void th_signals_set_node(th_node *node)
{
    pthread_mutex_lock(&self.lock);
    self.node = node;
    if (node != NULL && self.was_asked) { /* while it booted */
        th_node_ask_stop(node);
    }
    pthread_mutex_unlock(&self.lock);
}

/* The thread is woken by what it waits for. */
void th_signals_stop(void)
{
    pthread_mutex_lock(&self.lock);
    self.is_done = true;
    pthread_mutex_unlock(&self.lock);
    if (self.thread != NULL) {
        kill(getpid(), SIGTERM);
        th_world_thread_join(self.world, self.thread);
        self.thread = NULL;
    }
}
