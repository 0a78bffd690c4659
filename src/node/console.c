#include "node/console.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS 80         /* of a terminal that does not say */
#define PIECE_BYTES 16384u /* of a write: nobody else can write to a terminal then */

struct th_console {
    th_world *world;
    th_thread *thread;
    void (*broken)(void *context);
    void *context;
    bool stays;
    bool is_status_shown; /* Thread: the writer's. */
    _Atomic bool is_left; /* whoever waited for the end has gone on: write no more */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic int64_t stuck_ns; /* since when a write takes; 0: none does */

    /* Under the lock. */
    th_buf waiting; /* all of it for `to` */
    th_console_to to;
    th_buf status;       /* the line that stands below all others */
    bool has_new_status; /* it is not what is shown */
    bool is_writing;
    uint64_t writes; /* done; each takes all that waits */
    bool in_a_hurry;
    bool stopping;
    bool is_ended;     /* the thread is about to return */
    bool is_broken[2]; /* nobody reads it */
    uint64_t lost;     /* prints that were dropped and not told yet */
};

static bool write_all(th_console *console, th_console_to to, th_slice text)
{
    int fd = to == TH_CONSOLE_OUT ? STDOUT_FILENO : STDERR_FILENO;

    while (text.bytes > 0 && !atomic_load(&console->is_left)) {
        size_t part = text.bytes < PIECE_BYTES ? text.bytes : PIECE_BYTES;
        ssize_t n;

        atomic_store(&console->stuck_ns, th_world_mono(console->world).ns);
        n = write(fd, text.at, part);
        if (n != -1 || errno != EAGAIN) {
            atomic_store(&console->stuck_ns, 0);
        }
        if (n < 0 && errno == EAGAIN) {
            usleep(1000); /* somebody made our output non-blocking */
        } else if (n < 0 && errno != EINTR) {
            return false;
        }
        text = th_slice_from(text, n < 0 ? 0 : (size_t)n);
    }
    return true;
}

/* --- The status line: only the writer's thread shows it ------------------------------ */

static size_t columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col
                                                                           : COLUMNS;
}

/* As much of @text as fits into a line, without what a terminal would obey. */
static void put_fitting(th_buf *out, th_slice text)
{
    size_t room = columns() - 1;

    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool begins_character = (c & 0xC0) != 0x80;

        if (begins_character && room-- == 0) {
            return;
        }
        th_buf_putc(out, c < ' ' || c == 0x7F ? ' ' : (char)c);
    }
}

/* Take it off the terminal, and put @text in its place. */
static void show_status(th_console *console, th_slice text)
{
    th_auto_buf line = TH_BUF_INIT;

    th_buf_puts(&line, "\r\033[K");
    put_fitting(&line, text);
    (void)write_all(console, TH_CONSOLE_ERR, th_buf_slice(&line));
}

/* --- Writing ------------------------------------------------------------------------- */

/* False: nobody reads it. */
static bool write_batch(th_console *console, th_console_to to, th_slice batch,
                        th_slice status)
{
    bool is_good;

    if (console->is_status_shown && batch.bytes > 0) {
        show_status(console, TH_SLICE(""));
    }
    is_good = batch.bytes == 0 || write_all(console, to, batch);
    if (console->is_status_shown || status.bytes > 0) {
        show_status(console, status);
    }
    console->is_status_shown = status.bytes > 0;
    if (!is_good && to == TH_CONSOLE_OUT) {
        console->broken(console->context);
    }
    return is_good;
}

/* Under the lock, which it lets go while it writes. */
static void write_waiting(th_console *console, th_buf *spare)
{
    th_buf batch = console->waiting;
    th_console_to to = console->to;
    th_auto_buf status = TH_BUF_INIT;
    bool skips = console->is_broken[to];
    bool fails;

    th_buf_put(&status, console->status.at, console->status.bytes);
    console->waiting = *spare;
    console->has_new_status = false;
    console->is_writing = true;
    pthread_mutex_unlock(&console->lock);
    fails = !skips &&
            !write_batch(console, to, th_buf_slice(&batch), th_buf_slice(&status));
    pthread_mutex_lock(&console->lock);
    th_buf_clear(&batch);
    *spare = batch;
    console->is_broken[to] |= fails;
    console->is_writing = false;
    console->writes++;
    pthread_cond_broadcast(&console->changed);
}

static void run(void *context)
{
    th_console *console = context;
    th_buf spare = TH_BUF_INIT;

    pthread_mutex_lock(&console->lock);
    while (console->waiting.bytes > 0 || !console->stopping) {
        if (console->waiting.bytes > 0 || console->has_new_status) {
            write_waiting(console, &spare);
        } else {
            pthread_cond_wait(&console->changed, &console->lock);
        }
    }
    if (console->is_status_shown) {
        show_status(console, TH_SLICE(""));
    }
    console->is_ended = true;
    pthread_cond_broadcast(&console->changed);
    pthread_mutex_unlock(&console->lock);
    th_buf_deinit(&spare);
}

th_err th_console_new(th_console **out, th_world *world, bool stays,
                      void (*broken)(void *context), void *context)
{
    th_console *console = th_calloc(1, sizeof *console);
    pthread_condattr_t attr;
    th_err err;

    if (console == NULL) {
        return TH_NOMEM;
    }
    console->world = world;
    console->stays = stays;
    console->broken = broken;
    console->context = context;
    pthread_mutex_init(&console->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&console->changed, &attr);
    pthread_condattr_destroy(&attr);
    err = th_world_thread_start(world, &console->thread, "thole-console", run, console);
    if (err != TH_OK) {
        th_free(console);
        return err;
    }
    *out = console;
    return TH_OK;
}

/* In a hurry, whoever does not read gets a moment. False: it did not. */
static bool wait_for_end(th_console *console)
{
    int64_t due = th_world_mono(console->world).ns + TH_CONSOLE_FLUSH_MS * TH_MS;
    struct timespec until = {due / TH_S, due % TH_S};
    bool is_ended;

    pthread_mutex_lock(&console->lock);
    console->stopping = true;
    pthread_cond_broadcast(&console->changed);
    while (!console->is_ended) {
        if (!console->in_a_hurry) {
            pthread_cond_wait(&console->changed, &console->lock);
        } else if (pthread_cond_timedwait(&console->changed, &console->lock, &until) ==
                   ETIMEDOUT) {
            break;
        }
    }
    is_ended = console->is_ended;
    atomic_store(&console->is_left, !is_ended);
    pthread_mutex_unlock(&console->lock);
    return is_ended;
}

th_console *th_console_free(th_console *console)
{
    if (console == NULL) {
        return NULL;
    }
    if (!wait_for_end(console)) {
        return NULL; /* its thread hangs in a write; the program's end frees both */
    }
    th_world_thread_join(console->world, console->thread);
    pthread_cond_destroy(&console->changed);
    pthread_mutex_destroy(&console->lock);
    th_buf_deinit(&console->waiting);
    th_buf_deinit(&console->status);
    return th_free(console);
}

static void append(th_buf *out, th_slice prefix, th_slice text)
{
    do {
        size_t line = th_slice_find(text, '\n');

        th_buf_put(out, prefix.at, prefix.bytes);
        th_buf_put(out, text.at, line);
        th_buf_putc(out, '\n');
        text = th_slice_from(text, line + (line < text.bytes));
    } while (text.bytes > 0);
}

/* Under the lock: is there no room, or does the other stream come first? */
static bool must_wait(const th_console *console, th_console_to to, size_t bytes)
{
    if (console->waiting.bytes == 0) {
        return false;
    }
    return console->to != to || bytes > TH_CONSOLE_BYTES_MAX - console->waiting.bytes;
}

/* Under the lock. False: the reader is gone to sleep, and others are not to wait for it. */
static bool wait_for_room(th_console *console)
{
    int64_t stuck_ns = atomic_load(&console->stuck_ns);
    int64_t now_ns = th_world_mono(console->world).ns;
    int64_t due = (stuck_ns == 0 ? now_ns : stuck_ns) + TH_CONSOLE_PATIENCE_MS * TH_MS;
    struct timespec until = {due / TH_S, due % TH_S};

    if (console->in_a_hurry || (console->stays && due <= now_ns)) {
        return false;
    }
    if (console->stays) {
        (void)pthread_cond_timedwait(&console->changed, &console->lock, &until);
    } else {
        (void)pthread_cond_wait(&console->changed, &console->lock);
    }
    return true;
}

/* Under the lock, before a line for standard error. */
static void tell_lost(th_console *console)
{
    if (console->lost > 0) {
        th_buf_putf(&console->waiting,
                    "thole: %llu prints are lost, for nobody read the node's output\n",
                    (unsigned long long)console->lost);
        console->lost = 0;
    }
}

void th_console_put(th_console *console, th_console_to to, th_slice prefix,
                    th_slice text)
{
    size_t bytes =
        text.bytes < TH_CONSOLE_BYTES_MAX ? text.bytes : TH_CONSOLE_BYTES_MAX;

    pthread_mutex_lock(&console->lock);
    while (must_wait(console, to, bytes) && wait_for_room(console)) {
    }
    if (must_wait(console, to, bytes)) {
        console->lost++;
    } else {
        console->to = to;
        if (to == TH_CONSOLE_ERR) {
            tell_lost(console);
        }
        append(&console->waiting, prefix, text);
        if (console->waiting.failed) {
            th_buf_clear(&console->waiting);
        }
        pthread_cond_broadcast(&console->changed);
    }
    pthread_mutex_unlock(&console->lock);
}

void th_console_status(th_console *console, th_slice text)
{
    pthread_mutex_lock(&console->lock);
    th_buf_clear(&console->status);
    th_buf_put(&console->status, text.at, text.bytes);
    console->has_new_status = true;
    pthread_cond_broadcast(&console->changed);
    pthread_mutex_unlock(&console->lock);
}

bool th_console_flush(th_console *console)
{
    uint64_t due;
    bool is_good;

    pthread_mutex_lock(&console->lock);
    due = console->writes + console->is_writing + (console->waiting.bytes > 0);
    while (console->writes < due && !console->in_a_hurry) {
        pthread_cond_wait(&console->changed, &console->lock);
    }
    is_good = !console->is_broken[TH_CONSOLE_OUT];
    pthread_mutex_unlock(&console->lock);
    return is_good;
}

void th_console_hurry(th_console *console)
{
    pthread_mutex_lock(&console->lock);
    console->in_a_hurry = true;
    pthread_cond_broadcast(&console->changed);
    pthread_mutex_unlock(&console->lock);
}
