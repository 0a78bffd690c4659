/*
 * Names: strings that all states share, for they are the same in every one.
 *
 * A name is a short string of Lua's in read-only memory. It is never white, so no
 * collector ever marks it, and it is in nobody's list, so none ever sweeps it; its
 * hash is a number by which only tables place it. To intern a string is to look
 * here first (lua/patches/7-names.patch). Names are not counted as a guest's memory.
 *
 * Thread: any.
 */
#include <lgc.h> /* to lay out strings as the collector expects old ones */
#include <lobject.h>
#include <ltm.h>

#include <string.h>

#define TEXT_BYTES 32
#define SLOTS 1024 /* a power of 2, more than twice the names */

typedef union name {
    struct {
        GCObject *next;
        lu_byte type, marked, extra, length;
        unsigned int hash;
        size_t unused;
        char text[TEXT_BYTES];
    } is;
    TString string;
} name;

_Static_assert(offsetof(name, is.type) == offsetof(TString, tt), "laid out as TString");
_Static_assert(offsetof(name, is.marked) == offsetof(TString, marked), "as TString");
_Static_assert(offsetof(name, is.extra) == offsetof(TString, extra), "as TString");
_Static_assert(offsetof(name, is.length) == offsetof(TString, shrlen), "as TString");
_Static_assert(offsetof(name, is.hash) == offsetof(TString, hash), "as TString");
_Static_assert(offsetof(name, is.text) == offsetof(TString, contents), "as TString");

static const name names[] = {
#define TH_NAME(literal, reserved)                                                     \
    {.is = {.type = LUA_VSHRSTR,                                                       \
            .marked = G_OLD,                                                           \
            .extra = (reserved),                                                       \
            .length = sizeof(literal) - 1,                                             \
            .hash = (__COUNTER__ + 1u) * 2654435769u,                                  \
            .text = literal}},
#include "guest/lua/names.def"
#undef TH_NAME
};

#define NAMES (sizeof names / sizeof *names)

_Static_assert(NAMES * 2 < SLOTS, "most looks must end at once");

/* The metamethods, in the order of Lua's TMS; names.def has them behind the reserved. */
#define TAGS_AT 22
#define TAG(n) &names[TAGS_AT + (n)].string
const void *const th_tagnames[TM_N] = {TAG(0),  TAG(1),  TAG(2),  TAG(3),  TAG(4),
                                       TAG(5),  TAG(6),  TAG(7),  TAG(8),  TAG(9),
                                       TAG(10), TAG(11), TAG(12), TAG(13), TAG(14),
                                       TAG(15), TAG(16), TAG(17), TAG(18), TAG(19),
                                       TAG(20), TAG(21), TAG(22), TAG(23), TAG(24)};

/* 0, or 1 more than the place of the name. Fixed before main. */
static uint16_t slots[SLOTS];

static inline unsigned slot_of(const char *text, size_t length)
{
    unsigned first = (unsigned char)text[0];
    unsigned middle = (unsigned char)text[length / 2];
    unsigned last = (unsigned char)text[length - 1];

    return ((unsigned)length * 179 + first * 31 + middle * 101 + last * 7) % SLOTS;
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        unsigned slot = slot_of(names[i].is.text, names[i].is.length);

        while (slots[slot] != 0) {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = (uint16_t)(i + 1);
    }
}

/* The shared string with this text, or NULL: called by the patched Lua. */
const void *th_name(const char *text, unsigned long length)
{
    if (length - 1 >= TEXT_BYTES - 1) {
        return NULL;
    }
    for (unsigned slot = slot_of(text, length); slots[slot] != 0;
         slot = (slot + 1) % SLOTS) {
        const name *found = &names[slots[slot] - 1];

        if (found->is.length == length && memcmp(found->is.text, text, length) == 0) {
            return &found->string;
        }
    }
    return NULL;
}
