#include "world/world_real.h"

#include "base/mem.h"
#include "world/real_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * The real world, on Linux.
 *
 * A file is replaced by writing a new one beside it under a name of chance,
 * syncing it, renaming it and syncing the folder. What a crash leaves of that is
 * a file that begins with NEW_PREFIX, which no walk of a folder shows.
 *
 * A parker is one word. Giving a permit is one exchange, and a system call only if
 * somebody sleeps; so the waker pays nothing while the other side is busy.
 */
#define READ_BYTES ((size_t)65536)    /* asked of the system at a time */
#define NEW_PREFIX ".thole-new-"      /* of a file that is being written */
#define STACK_BYTES ((size_t)8 << 20) /* of a thread; only what is touched counts */
#define THREAD_NAME_BYTES_MAX 15      /* what the system shows of a name */
#define LOCK_NAME "lock"

struct th_lock {
    int fd;
};

struct th_thread {
    pthread_t handle;
    void (*run)(void *context);
    void *context;
    char name[THREAD_NAME_BYTES_MAX + 1];
};

enum parker_state {
    PARKER_EMPTY,
    PARKER_PERMIT,
    PARKER_ASLEEP,
};

struct th_parker {
    _Atomic uint32_t state; /* enum parker_state */
};

#define DICE_BYTES 512

/* --- Clocks and dice -------------------------------------------------------------- */

static int64_t clock_ns(clockid_t which)
{
    struct timespec now;

    th_assert(clock_gettime(which, &now) == 0);
    return now.tv_sec * TH_S + now.tv_nsec;
}

static th_mono real_mono(th_world *world)
{
    (void)world;
    return (th_mono){clock_ns(CLOCK_MONOTONIC)};
}

static th_wall real_wall(th_world *world)
{
    (void)world;
    return (th_wall){clock_ns(CLOCK_REALTIME)};
}

static void fresh_dice(char *at, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        th_assert(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

/*
 * Each spawn draws a few bytes, and to ask the system for them costs half as much as
 * all the rest of it: some are kept, and wiped as they are handed out.
 */
static __thread struct {
    char bytes[DICE_BYTES];
    size_t left; /* at the end of them */
} dice_here;

static void real_dice(th_world *world, void *bytes, size_t n)
{
    char *from;

    (void)world;
    if (n > DICE_BYTES / 8) {
        fresh_dice(bytes, n);
        return;
    }
    if (n > dice_here.left) {
        fresh_dice(dice_here.bytes, DICE_BYTES);
        dice_here.left = DICE_BYTES;
    }
    from = dice_here.bytes + DICE_BYTES - dice_here.left;
    memcpy(bytes, from, n);
    memset(from, 0, n);
    dice_here.left -= n;
}

/* --- Disk ------------------------------------------------------------------------- */

th_err th_real_refused(const char *what, const char *path)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return TH_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return TH_DENIED;
    case EISDIR:
    case EINVAL:
    case EBUSY:
    case ELOOP:
    case ENXIO:
    case ENAMETOOLONG:
        return TH_INVALID;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TH_QUOTA;
    case ENOMEM:
        return th_fault(TH_NOMEM, "%s %s", what, path);
    default:
        return th_fault(TH_IO, "%s %s: %s", what, path, strerror(errno));
    }
}

static void close_fd(const int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* A file descriptor that is closed when the scope ends. */
#define auto_fd __attribute__((cleanup(close_fd))) int

static th_file_kind kind_of(mode_t mode)
{
    return S_ISREG(mode)   ? TH_FILE_REGULAR
           : S_ISDIR(mode) ? TH_FILE_FOLDER
                           : TH_FILE_OTHER;
}

static th_err read_some(int fd, const char *path, uint64_t offset, size_t bytes_max,
                        th_buf *out)
{
    while (bytes_max > 0 && offset <= INT64_MAX) {
        size_t want = bytes_max < READ_BYTES ? bytes_max : READ_BYTES;
        char *into = th_buf_reserve(out, want);
        ssize_t got = into == NULL ? 0 : pread(fd, into, want, (off_t)offset);

        if (into == NULL) {
            return TH_NOMEM;
        }
        if (got < 0 && errno != EINTR) {
            return th_real_refused("read", path);
        }
        if (got == 0) {
            break;
        }
        if (got > 0) {
            out->bytes += (size_t)got;
            offset += (uint64_t)got;
            bytes_max -= (size_t)got;
        }
    }
    return TH_OK;
}

static th_err real_file_read(th_world *world, const char *path, uint64_t offset,
                             size_t bytes_max, th_buf *out)
{
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t before = out->bytes;
    struct stat info;
    th_err err;

    (void)world;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return th_real_refused("open", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return TH_INVALID;
    }
    err = read_some(fd, path, offset, bytes_max, out);
    if (err != TH_OK) {
        out->bytes = before;
        return err;
    }
    th_buf_puts(out, ""); /* for the NUL */
    return out->failed ? TH_NOMEM : TH_OK;
}

int th_real_open_folder_of(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    char folder[PATH_MAX];

    if (n >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, slash == NULL ? "." : path, n);
    folder[n] = '\0';
    *name = slash == NULL ? path : slash + 1;
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool write_all(int fd, th_slice content)
{
    while (content.bytes > 0) {
        ssize_t put = write(fd, content.at, content.bytes);

        if (put < 0 && errno != EINTR) {
            return false;
        }
        if (put > 0) {
            content = th_slice_from(content, (size_t)put);
        }
    }
    return true;
}

static bool write_new(int folder, const char *name, th_slice content)
{
    auto_fd fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd >= 0 && write_all(fd, content) && fsync(fd) == 0;
}

static th_err real_file_write(th_world *world, const char *path, th_slice content)
{
    const char *name;
    auto_fd folder = th_real_open_folder_of(path, &name);
    char fresh[sizeof NEW_PREFIX + 16];
    th_err err;

    if (folder < 0) {
        return th_real_refused("open folder of", path);
    }
    if (*name == '\0') {
        return TH_INVALID;
    }
    snprintf(fresh, sizeof fresh, NEW_PREFIX "%016llx",
             (unsigned long long)th_world_dice_u64(world));
    if (!write_new(folder, fresh, content) ||
        renameat(folder, fresh, folder, name) != 0) {
        err = th_real_refused("write", path);
        unlinkat(folder, fresh, 0);
        return err;
    }
    return fsync(folder) == 0 ? TH_OK : th_real_refused("sync folder of", path);
}

static th_err real_file_info(th_world *world, const char *path, th_file_info *out)
{
    struct stat info;

    (void)world;
    if (stat(path, &info) != 0 && (errno != ENOENT || lstat(path, &info) != 0)) {
        return th_real_refused("stat", path);
    }
    *out = (th_file_info){
        .kind = kind_of(info.st_mode),
        .bytes = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0,
        .modified_ns = info.st_mtim.tv_sec * TH_S + info.st_mtim.tv_nsec,
    };
    return TH_OK;
}

static th_err real_file_remove(th_world *world, const char *path)
{
    (void)world;
    return unlink(path) == 0 ? TH_OK : th_real_refused("remove", path);
}

static th_err real_file_resolve(th_world *world, const char *path, th_buf *out)
{
    char *real = realpath(path, NULL);

    (void)world;
    if (real == NULL) {
        return th_real_refused("resolve", path);
    }
    th_buf_puts(out, real);
    free(real);
    return out->failed ? TH_NOMEM : TH_OK;
}

/* A pin is a descriptor that can do nothing but be named, and its name. */
typedef struct real_pin {
    th_pin pin;
    int fd;
    char path[32];
} real_pin;

static int open_beneath(int root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static th_err real_file_pin(th_world *world, const char *root, const char *path,
                            th_pin **out)
{
    auto_fd from = open(root, O_PATH | O_CLOEXEC);
    auto_fd fd = from < 0        ? -1
                 : *path == '\0' ? fcntl(from, F_DUPFD_CLOEXEC, 0)
                                 : open_beneath(from, path);
    real_pin *pin;

    (void)world;
    if (fd < 0) {
        return errno == EXDEV ? TH_DENIED : th_real_refused("open beneath", root);
    }
    pin = th_calloc(1, sizeof *pin);
    if (pin == NULL) {
        return TH_NOMEM;
    }
    pin->fd = fd;
    fd = -1;
    snprintf(pin->path, sizeof pin->path, "/proc/self/fd/%d", pin->fd);
    pin->pin.path = pin->path;
    *out = &pin->pin;
    return TH_OK;
}

static void real_file_unpin(th_world *world, th_pin *pin)
{
    (void)world;
    if (pin != NULL) {
        close(((real_pin *)pin)->fd);
        th_free(pin);
    }
}

/* Make one folder whose parent is there; its name in there is made durable. */
static th_err make_one(const char *path)
{
    const char *name;
    struct stat info;

    if (mkdir(path, 0700) == 0) {
        auto_fd parent = th_real_open_folder_of(path, &name);

        return parent >= 0 && fsync(parent) == 0 ? TH_OK
                                                 : th_real_refused("sync", path);
    }
    if (errno != EEXIST && errno != EROFS && errno != EACCES) {
        return errno == ENOTDIR ? TH_INVALID : th_real_refused("make folder", path);
    }
    if (stat(path, &info) != 0) {
        return errno == ENOENT ? TH_DENIED : th_real_refused("make folder", path);
    }
    return S_ISDIR(info.st_mode) ? TH_OK : TH_INVALID;
}

static th_err real_folder_make(th_world *world, const char *path)
{
    char *part = th_strndup(path, strlen(path));
    th_err err = part == NULL ? TH_NOMEM : TH_OK;

    (void)world;
    for (size_t n = 1; err == TH_OK && n <= strlen(path); n++) {
        if ((path[n] == '/' || path[n] == '\0') && path[n - 1] != '/') {
            part[n] = '\0';
            err = make_one(part);
            part[n] = path[n];
        }
    }
    th_free(part);
    return err;
}

/* Of names in a th_buf: a byte for the kind, the name, a NUL. */
static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

static void put_entry(th_buf *names, size_t *count, DIR *folder,
                      const struct dirent *entry)
{
    const char *name = entry->d_name;
    th_file_kind kind = entry->d_type == DT_REG   ? TH_FILE_REGULAR
                        : entry->d_type == DT_DIR ? TH_FILE_FOLDER
                                                  : TH_FILE_OTHER;
    struct stat info;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0) {
        return;
    }
    if ((entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) &&
        fstatat(dirfd(folder), name, &info, 0) == 0) {
        kind = kind_of(info.st_mode);
        kind = kind == TH_FILE_FOLDER && entry->d_type == DT_LNK ? TH_FILE_LINK : kind;
    }
    th_buf_putc(names, (char)kind);
    th_buf_put(names, name, strlen(name) + 1);
    ++*count;
}

static th_err list_folder(const char *path, th_buf *names, size_t *count)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    th_err err = TH_OK;

    if (folder == NULL) {
        return errno == ENOTDIR ? TH_INVALID : th_real_refused("open folder", path);
    }
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0) {
        put_entry(names, count, folder, entry);
    }
    if (errno != 0) {
        err = th_real_refused("read folder", path);
    } else if (names->failed) {
        err = TH_NOMEM;
    }
    closedir(folder);
    return err;
}

/* The names are read first: @each may change the folder. */
static th_err real_folder_each(th_world *world, const char *path, th_file_each *each,
                               void *context)
{
    th_auto_buf names = TH_BUF_INIT;
    size_t count = 0;
    th_err err = list_folder(path, &names, &count);
    char **sorted = err == TH_OK ? th_calloc(count, sizeof *sorted) : NULL;
    char *at = names.at;

    (void)world;
    if (sorted == NULL) {
        return err == TH_OK ? TH_NOMEM : err;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = at;
        at += 1 + strlen(at + 1) + 1;
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        if (!each(context, sorted[i] + 1, (th_file_kind)sorted[i][0])) {
            break;
        }
    }
    th_free(sorted);
    return TH_OK;
}

/* The lock is the system's, so that it ends with us; the number is for people. */
static th_err take_lock(int fd, const char *path)
{
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? TH_EXISTS : th_real_refused("lock", path);
    }
    if (ftruncate(fd, 0) != 0 || !write_all(fd, th_slice_of(pid, (size_t)n))) {
        return th_real_refused("lock", path);
    }
    return TH_OK;
}

static th_err real_folder_lock(th_world *world, const char *path, th_lock **out)
{
    auto_fd folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd fd = folder < 0 ? -1
                            : openat(folder, LOCK_NAME,
                                     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    th_lock *lock;
    th_err err;

    (void)world;
    if (fd < 0) {
        return th_real_refused("lock", path);
    }
    err = take_lock(fd, path);
    if (err != TH_OK) {
        return err;
    }
    lock = th_calloc(1, sizeof *lock);
    if (lock == NULL) {
        return TH_NOMEM;
    }
    lock->fd = fd;
    fd = -1;
    *out = lock;
    return TH_OK;
}

/* The file stays: to remove it would let two nodes lock two files of one name. */
static void real_folder_unlock(th_world *world, th_lock *lock)
{
    (void)world;
    (void)!ftruncate(lock->fd, 0);
    close(lock->fd);
    th_free(lock);
}

/* --- Threads ---------------------------------------------------------------------- */

static void *run_thread(void *context)
{
    th_thread *thread = context;

    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->context);
    th_mem_end_thread();
    return NULL;
}

/*
 * All signals but those that an instruction causes: blocked, they would end the
 * node at once instead of reaching the Wasm engine, which turns them into traps.
 */
static void fill_blocked(sigset_t *set)
{
    static const int caused[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

    sigfillset(set);
    for (size_t i = 0; i < sizeof caused / sizeof caused[0]; i++) {
        sigdelset(set, caused[i]);
    }
}

static int start_blocked(th_thread *thread)
{
    pthread_attr_t attr;
    sigset_t blocked, before;
    int error;

    error = pthread_attr_init(&attr);
    if (error != 0) {
        return error;
    }
    error = pthread_attr_setstacksize(&attr, STACK_BYTES);
    th_assert(error == 0);
    fill_blocked(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(&thread->handle, &attr, run_thread, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

static th_err real_thread_start(th_world *world, th_thread **out, const char *name,
                                void (*run)(void *), void *context)
{
    th_thread *thread = th_calloc(1, sizeof *thread);
    int error;

    (void)world;
    if (thread == NULL) {
        return TH_NOMEM;
    }
    thread->run = run;
    thread->context = context;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    error = start_blocked(thread);
    if (error != 0) {
        th_free(thread);
        return th_fault(TH_NOMEM, "start thread %s: %s", name, strerror(error));
    }
    *out = thread;
    return TH_OK;
}

static void real_thread_join(th_world *world, th_thread *thread)
{
    (void)world;
    if (thread != NULL) {
        th_assert(pthread_join(thread->handle, NULL) == 0);
        th_free(thread);
    }
}

static th_err real_parker_new(th_world *world, th_parker **out)
{
    th_parker *parker = th_calloc(1, sizeof *parker);

    (void)world;
    if (parker == NULL) {
        return TH_NOMEM;
    }
    *out = parker;
    return TH_OK;
}

static th_parker *real_parker_free(th_world *world, th_parker *parker)
{
    (void)world;
    return th_free(parker);
}

/* False once @until is past. It also wakes without a reason. */
static bool sleep_on(th_parker *parker, th_mono until)
{
    struct timespec at = {until.ns / TH_S, until.ns % TH_S};
    long result =
        syscall(SYS_futex, &parker->state, FUTEX_WAIT_BITSET_PRIVATE, PARKER_ASLEEP,
                until.ns == 0 ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);

    return result == 0 || errno == EAGAIN || errno == EINTR;
}

static bool real_park(th_world *world, th_parker *parker, th_mono until)
{
    uint32_t state = PARKER_EMPTY;

    (void)world;
    if (atomic_compare_exchange_strong(&parker->state, &state, PARKER_ASLEEP)) {
        while (sleep_on(parker, until) &&
               atomic_load(&parker->state) == PARKER_ASLEEP) {
        }
    }
    return atomic_exchange(&parker->state, PARKER_EMPTY) == PARKER_PERMIT;
}

static void real_unpark(th_world *world, th_parker *parker)
{
    (void)world;
    if (atomic_exchange(&parker->state, PARKER_PERMIT) == PARKER_ASLEEP) {
        syscall(SYS_futex, &parker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static const th_world_ops real_ops = {
    .mono = real_mono,
    .wall = real_wall,
    .dice = real_dice,
    .advance = NULL,
    .file_read = real_file_read,
    .file_write = real_file_write,
    .file_info = real_file_info,
    .file_remove = real_file_remove,
    .file_resolve = real_file_resolve,
    .file_pin = real_file_pin,
    .file_unpin = real_file_unpin,
    .folder_make = real_folder_make,
    .folder_each = real_folder_each,
    .folder_lock = real_folder_lock,
    .folder_unlock = real_folder_unlock,
    .thread_start = real_thread_start,
    .thread_join = real_thread_join,
    .parker_new = real_parker_new,
    .parker_free = real_parker_free,
    .park = real_park,
    .unpark = real_unpark,
};

th_world *th_world_real(void)
{
    static th_world real = {&real_ops, &th_disk_real_ops, .is_simulated = false};

    return &real;
}

void th_world_real_open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The wrong way round: it takes the lowest number, which is this one. */
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}
