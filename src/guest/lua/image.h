/*
 * Image: a prepared Lua state, of which any number of copies are made.
 *
 * A state is built twice by the same plan, in memory at two places and on two C
 * stacks. What differs between the two by exactly their distance is a pointer and is
 * moved with a copy; what differs otherwise, or is the same pointer to elsewhere in
 * both, cannot be copied, and the image is refused with a reason. Whoever is refused
 * makes each state the slow way (state.h), which a guest cannot tell from a copy:
 * images that drew from math.random are refused too, lest all copies draw the same.
 *
 * To prepare runs guest code, without a process: it has no owner, is not scheduled,
 * and has a budget of checks instead (each look of the interpreter at the tick is
 * one, so that it ends at the same instruction in every run). A binding that cannot
 * do without an owner abandons the build.
 *
 * Thread: any; a build and its hooks stay on one thread. A finished image never
 * changes and may be copied by many threads at a time.
 */
#ifndef TH_GUEST_LUA_IMAGE_H
#define TH_GUEST_LUA_IMAGE_H

#include "base/bytes.h"
#include "guest/lua/state.h"

/* Of a state that is worth an image; larger ones are made the slow way. */
#define TH_IMAGE_BYTES_MAX ((size_t)512 << 10)

/* A good budget: some milliseconds. */
#define TH_IMAGE_CHECKS_MAX UINT64_C(1000000)

typedef struct th_image th_image;

/*
 * Prepare an image. @why gets the reason of a refusal.
 *
 * th_flag is raised meanwhile and stays so; th_preempt_hook is taken and given back.
 *
 * Owner:   the caller, until th_image_free.
 * Refuses: TIMED_OUT, the budget of @checks_max is spent; FAILED, the plan raised;
 *          QUOTA, the state is too large; UNSUPPORTED, it cannot be copied, or the
 *          program runs under a sanitizer.
 * Faults:  NOMEM.
 */
th_err th_image_build(th_image **out, const th_lua_plan *plan, uint32_t hash_seed,
                      uint64_t checks_max, th_buf *why);

/* No copy is left. Takes NULL, returns NULL. */
th_image *th_image_free(th_image *image);

TH_AUTO_FREE(th_image, th_image_free)

/*
 * A process's state: *state in an *arena of its own, as th_lua_state_new and
 * th_lua_state_prepare would have made it, but for the hash seed, the image's.
 *
 * Owner:   the arena is the caller's, and the state is dropped with it.
 * Refuses: QUOTA, the image does not fit into @bytes_max.
 * Faults:  NOMEM.
 */
th_err th_image_clone(th_arena **arena, lua_State **state, const th_image *image,
                      const th_lua_birth *birth, size_t bytes_max);

/* How large a copy is, and how many pointers it moves. */
size_t th_image_bytes(const th_image *image);
size_t th_image_moves(const th_image *image);

/* --- For bindings ------------------------------------------------------------- */

/* Whether this thread is inside th_image_build. */
bool th_image_is_building(void);

/*
 * Leave the build: what was asked for needs a process. The C stack and both states
 * are dropped where they stand, so the caller must own nothing outside of them.
 * @what is a static text such as "process.pid".
 */
_Noreturn void th_image_abandon(const char *what);

#endif
