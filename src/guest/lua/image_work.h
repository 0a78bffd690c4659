/*
 * Image work: what the two files share that make an image. image.c builds two states
 * and compares them; image_pack.c makes the image of the first.
 *
 * Thread: that of the build.
 */
#ifndef TH_GUEST_LUA_IMAGE_WORK_H
#define TH_GUEST_LUA_IMAGE_WORK_H

#include "guest/lua/commons.h"
#include "guest/lua/image.h"

#include <lobject.h>

#define TH_IMAGE_WORDS_MAX (TH_IMAGE_BYTES_MAX / sizeof(uint64_t))
#define TH_IMAGE_UNITS_MAX (TH_IMAGE_BYTES_MAX / TH_ARENA_UNIT)

_Static_assert(TH_IMAGE_WORDS_MAX <= UINT16_MAX + 1, "a move is counted in 16 bits");

struct th_image {
    uint64_t *words;  /* owned */
    uint16_t *moves;  /* owned */
    uint32_t *owners; /* owned: the words that hold the owner, one for each thread */
    th_arena_print print; /* borrows words and moves */
    size_t n_owners;
    size_t state_at;     /* bytes from the base to the lua_State */
    th_commons *commons; /* owned: what copies do not copy */
};

/* A state that is found good, and where its parts go. Large, and zero at first. */
typedef struct th_image_packing {
    lua_State *L;
    char *memory;        /* its arena */
    size_t bytes;        /* in use, from the base on */
    unsigned id_max;     /* the number of the last object that our setup made */
    const bool *is_free; /* of each unit of them */
    size_t n_moves;
    uint16_t moves[TH_IMAGE_WORDS_MAX]; /* words that are pointers into it */
    th_buf *why;

    th_image *image;
    size_t copy_bytes, common_bytes;
    uint8_t unit[TH_IMAGE_UNITS_MAX + 1];    /* th_unit: who gets it */
    uint16_t packed[TH_IMAGE_UNITS_MAX + 1]; /* where it comes to stand, as a unit */
    bool is_end[TH_IMAGE_WORDS_MAX];         /* words that may point behind a block */
} th_image_packing;

/* Call @each for every object but the strings that are never collected. */
void th_image_each(lua_State *L, void (*each)(GCObject *object, void *context),
                   void *context);

/* The image, and the state is good for nothing any more. */
th_err th_image_pack(th_image **out, th_image_packing *to);

#endif
