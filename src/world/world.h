/*
 * World: clock, dice, disk, sockets and threads, behind one interface.
 *
 * Nothing else in the tree asks the operating system for time, randomness, a
 * file or a socket, so that a node can run in a world that is made up: virtual
 * time, seeded dice, a disk in memory, one thread. There are two bodies:
 * th_world_real (world_real.c, world_socket.c) and th_world_sim (world_sim.c).
 *
 * Thread: any, unless a call says otherwise. The simulated world has one thread.
 */
#ifndef TH_WORLD_WORLD_H
#define TH_WORLD_WORLD_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds of a clock that never jumps: for deadlines and timers. 0 is never. */
typedef struct th_mono {
    int64_t ns;
} th_mono;

/* Nanoseconds since 1970, UTC: for display and certificates only. */
typedef struct th_wall {
    int64_t ns;
} th_wall;

#define TH_MS INT64_C(1000000)
#define TH_S INT64_C(1000000000)

typedef struct th_world th_world;
typedef struct th_parker th_parker; /* one thread sleeps on it, any thread wakes it */
typedef struct th_thread th_thread;
typedef struct th_lock th_lock; /* an exclusive hold on a folder */

/* What a path meant at one moment, held on to. */
typedef struct th_pin {
    const char *path; /* means it for the other calls, while it is pinned */
} th_pin;

typedef enum th_file_kind {
    TH_FILE_REGULAR,
    TH_FILE_FOLDER,
    TH_FILE_LINK,  /* a link to a folder, where a folder is listed */
    TH_FILE_OTHER, /* a device, socket or link to nowhere */
} th_file_kind;

typedef struct th_file_info {
    th_file_kind kind;
    uint64_t bytes;
    int64_t modified_ns;
} th_file_info;

/* Called for each name in a folder, "." and ".." left out; false ends the walk. */
typedef bool th_file_each(void *context, const char *name, th_file_kind kind);

/* The body of a world: world_real.c and world_sim.c fill one in. */
typedef struct th_world_ops {
    th_mono (*mono)(th_world *world);
    th_wall (*wall)(th_world *world);
    void (*dice)(th_world *world, void *bytes, size_t n);
    void (*advance)(th_world *world, th_mono to); /* NULL in the real world */

    th_err (*file_read)(th_world *world, const char *path, uint64_t offset,
                        size_t bytes_max, th_buf *out);
    th_err (*file_write)(th_world *world, const char *path, th_slice content);
    th_err (*file_info)(th_world *world, const char *path, th_file_info *out);
    th_err (*file_remove)(th_world *world, const char *path);
    th_err (*file_resolve)(th_world *world, const char *path, th_buf *out);
    th_err (*file_pin)(th_world *world, const char *root, const char *path,
                       th_pin **out);
    void (*file_unpin)(th_world *world, th_pin *pin);
    th_err (*folder_make)(th_world *world, const char *path);
    th_err (*folder_each)(th_world *world, const char *path, th_file_each *each,
                          void *context);
    th_err (*folder_lock)(th_world *world, const char *path, th_lock **out);
    void (*folder_unlock)(th_world *world, th_lock *lock);

    th_err (*thread_start)(th_world *world, th_thread **out, const char *name,
                           void (*run)(void *), void *context);
    void (*thread_join)(th_world *world, th_thread *thread);
    th_err (*parker_new)(th_world *world, th_parker **out);
    th_parker *(*parker_free)(th_world *world, th_parker *parker);
    bool (*park)(th_world *world, th_parker *parker, th_mono until);
    void (*unpark)(th_world *world, th_parker *parker);
} th_world_ops;

typedef struct th_disk_ops th_disk_ops; /* world/disk.h */

struct th_world {
    const th_world_ops *ops;
    const th_disk_ops *disk;
    bool is_simulated; /* one thread: whoever would wait must be stepped instead */
};

/* --- Clocks and dice ---------------------------------------------------------- */

static inline th_mono th_world_mono(th_world *world)
{
    return world->ops->mono(world);
}

static inline th_wall th_world_wall(th_world *world)
{
    return world->ops->wall(world);
}

/* Simulation only: let time pass until @to, if that lies ahead. */
static inline void th_world_advance(th_world *world, th_mono to)
{
    world->ops->advance(world, to);
}

/* Fill @n bytes: from the kernel's generator, or from the seed in simulation. */
static inline void th_world_dice(th_world *world, void *bytes, size_t n)
{
    world->ops->dice(world, bytes, n);
}

static inline uint64_t th_world_dice_u64(th_world *world)
{
    uint64_t n;

    world->ops->dice(world, &n, sizeof n);
    return n;
}

/* --- Disk --------------------------------------------------------------------- */

/*
 * Append up to @bytes_max bytes of the file at @path, from @offset on, to @out.
 * Fewer come at the file's end; none behind it. A folder is INVALID.
 *
 * Refuses: NOT_FOUND, DENIED, INVALID. Faults: IO, NOMEM.
 */
static inline th_err th_world_file_read(th_world *world, const char *path,
                                        uint64_t offset, size_t bytes_max, th_buf *out)
{
    return world->ops->file_read(world, path, offset, bytes_max, out);
}

/*
 * Replace the file at @path by @content: durable and whole, or unchanged, whatever
 * crashes (written beside it, synced, renamed, and the folder synced).
 */
static inline th_err th_world_file_write(th_world *world, const char *path,
                                         th_slice content)
{
    return world->ops->file_write(world, path, content);
}

static inline th_err th_world_file_info(th_world *world, const char *path,
                                        th_file_info *out)
{
    return world->ops->file_info(world, path, out);
}

static inline th_err th_world_file_remove(th_world *world, const char *path)
{
    return world->ops->file_remove(world, path);
}

/*
 * Append the absolute path, without links and dots, of what is at @path.
 *
 * Refuses: NOT_FOUND, DENIED, INVALID.
 */
static inline th_err th_world_file_resolve(th_world *world, const char *path,
                                           th_buf *out)
{
    return world->ops->file_resolve(world, path, out);
}

/*
 * Pin what the relative @path means beneath @root; "" is @root itself. No step of
 * the way leaves @root, be it by "..", by a link or by what changes meanwhile.
 *
 * Refuses: NOT_FOUND; DENIED, also where it would leave @root; INVALID.
 */
static inline th_err th_world_file_pin(th_world *world, const char *root,
                                       const char *path, th_pin **out)
{
    return world->ops->file_pin(world, root, path, out);
}

/* Takes NULL. */
static inline void th_world_file_unpin(th_world *world, th_pin *pin)
{
    world->ops->file_unpin(world, pin);
}

/* Make the folder and those above it, readable by the owner only. Existing: OK. */
static inline th_err th_world_folder_make(th_world *world, const char *path)
{
    return world->ops->folder_make(world, path);
}

/*
 * Call @each for what is in the folder, in order of the names' bytes. Who goes down
 * into folders but not into links meets everything once.
 */
static inline th_err th_world_folder_each(th_world *world, const char *path,
                                          th_file_each *each, void *context)
{
    return world->ops->folder_each(world, path, each, context);
}

/*
 * Hold the folder for this node alone until th_world_folder_unlock, or the end of
 * the process.
 *
 * Refuses: EXISTS, another node holds it.
 */
static inline th_err th_world_folder_lock(th_world *world, const char *path,
                                          th_lock **out)
{
    return world->ops->folder_lock(world, path, out);
}

static inline void th_world_folder_unlock(th_world *world, th_lock *lock)
{
    world->ops->folder_unlock(world, lock);
}

/* --- Threads ------------------------------------------------------------------ */

/*
 * Start a thread (with all signals blocked). In simulation: UNSUPPORTED; who wants
 * one there is stepped by the driver.
 */
static inline th_err th_world_thread_start(th_world *world, th_thread **out,
                                           const char *name, void (*run)(void *),
                                           void *context)
{
    return world->ops->thread_start(world, out, name, run, context);
}

/* Wait for its end and free it. Takes NULL. */
static inline void th_world_thread_join(th_world *world, th_thread *thread)
{
    world->ops->thread_join(world, thread);
}

/* A parker holds at most one permit, which an unpark gives and a park takes. */
static inline th_err th_world_parker_new(th_world *world, th_parker **out)
{
    return world->ops->parker_new(world, out);
}

static inline th_parker *th_world_parker_free(th_world *world, th_parker *parker)
{
    return world->ops->parker_free(world, parker);
}

/*
 * Sleep until there is a permit or @until (ns 0: for ever). True: a permit was
 * taken. In simulation it never sleeps: true if there was a permit.
 */
static inline bool th_world_park(th_world *world, th_parker *parker, th_mono until)
{
    return world->ops->park(world, parker, until);
}

static inline void th_world_unpark(th_world *world, th_parker *parker)
{
    world->ops->unpark(world, parker);
}

#endif
