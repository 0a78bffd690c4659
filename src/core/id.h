/*
 * Ids: who a process is, and the two texts that say it.
 *
 *   Kinode form   node@process:package:publisher
 *   Wippy form    {node@host|namespace:name|unique}
 *
 * Both are views of one identity. The process part of the first and the unique
 * part of the second are the same text: a name that was chosen at the spawn, or
 * one that the node made (boot, slot and generation in hexadecimal: "3-1f-2"),
 * which is never issued twice in the life of a data folder.
 *
 * Names are of lower-case letters, digits, '-' and '_'; node names, publishers,
 * package names and namespaces may have '.' too. (Text 000, text 003; DESIGN 2.)
 *
 * Pure. Thread: any.
 */
#ifndef TH_CORE_ID_H
#define TH_CORE_ID_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdint.h>

/*
 * A process in this node, in one life: slot in the low 24 bits, generation above.
 * The next process in the slot has the next generation. 0 is nobody.
 */
typedef struct th_pid {
    uint64_t bits;
} th_pid;

#define TH_PID_NONE ((th_pid){0})
#define TH_PID_SLOT_BITS 24
#define TH_PID_SLOTS_MAX (1u << TH_PID_SLOT_BITS)

static inline th_pid th_pid_make(uint32_t slot, uint64_t generation)
{
    return (th_pid){generation << TH_PID_SLOT_BITS | slot};
}

static inline uint32_t th_pid_slot(th_pid pid)
{
    return (uint32_t)(pid.bits & (TH_PID_SLOTS_MAX - 1));
}

static inline uint64_t th_pid_generation(th_pid pid)
{
    return pid.bits >> TH_PID_SLOT_BITS;
}

static inline bool th_pid_eq(th_pid a, th_pid b)
{
    return a.bits == b.bits;
}

static inline bool th_pid_is_none(th_pid pid)
{
    return pid.bits == 0;
}

/* The longest name of each part, in bytes. */
#define TH_NAME_BYTES_MAX 96

/* Room for either text with its NUL. */
#define TH_ID_TEXT_BYTES 800

/* What went wrong in a text, and where: for the mark under the text. */
typedef struct th_id_error {
    size_t at; /* offset of the first byte that is wrong, <= text.bytes */
    const char *what;
} th_id_error;

/* `node@process:package:publisher`; node is empty where it was left out. */
typedef struct th_address {
    th_slice node, process, package, publisher;
} th_address;

/* `{node@host|namespace:name|unique}`; node is empty where it was left out. */
typedef struct th_pid_text {
    th_slice node;
    th_slice host;  /* "namespace:name" or a bare name */
    th_slice entry; /* "namespace:name" */
    th_slice unique;
} th_pid_text;

typedef enum th_name_kind {
    TH_NAME_PLAIN,  /* process, package, host and entry names */
    TH_NAME_DOTTED, /* nodes, publishers, namespaces */
} th_name_kind;

/* Is @text such a name: 1 to TH_NAME_BYTES_MAX bytes of its alphabet? */
bool th_name_is_valid(th_slice text, th_name_kind kind);

/*
 * Read an address; with @node_optional a text without "node@" is one too. The
 * slices borrow from @text.
 *
 * Refuses: INVALID, and *error says where.
 */
th_err th_address_decode(th_address *out, th_slice text, bool node_optional,
                         th_id_error *error);
th_err th_pid_text_decode(th_pid_text *out, th_slice text, th_id_error *error);

/* Is it an address, with a node or without, or a PID? */
bool th_target_is_valid(th_slice text);

/* Split "namespace:name". Refuses: INVALID. */
th_err th_entry_id_decode(th_slice *ns, th_slice *name, th_slice text,
                          th_id_error *error);

/* Append the texts. */
void th_address_encode(th_buf *out, const th_address *address);
void th_pid_text_encode(th_buf *out, const th_pid_text *pid);

/* The unique part that the node makes: boot, slot and generation. */
#define TH_UNIQUE_BYTES 48
size_t th_unique_encode(char out[TH_UNIQUE_BYTES], uint64_t boot, th_pid pid);

/* Read one back. Refuses: INVALID, it is not of that form (it may be a chosen name). */
th_err th_unique_decode(uint64_t *boot, th_pid *pid, th_slice text);

#endif
