/*
 * For tests: who plays beside guests that do what they are told (test/wasm/play.c) on the
 * stage: one who asks them, one who tells them, and a witness, who answers.
 *
 * What each sees goes into the stage's text. The guest B is there from the beginning.
 * Only tests include this.
 *
 * Thread: the test's.
 */
#ifndef TH_GUEST_WASM_WASM_CAST_H
#define TH_GUEST_WASM_WASM_CAST_H

#include "guest/wasm/wasm_stage.h"

typedef struct th_wasm_cast {
    th_wasm_stage stage;
    const th_entry *play, *asks, *tells;

    /* The last question, and the last message to the witness against it. */
    uint64_t lineage, request;
    th_pid asker, witness;
    struct {
        bool was_sent, is_answerable, is_of_asker, has_lineage, has_id;
    } seen;
} th_wasm_cast;

extern th_wasm_cast cast;

/* @package_number 0: nothing needs a right. */
void th_wasm_cast_open(uint32_t package_number);
void th_wasm_cast_close(void);

/* Another guest that does what it is told; one in whose mailbox anybody may put things. */
th_pid th_wasm_cast_add(const char *name);
void th_wasm_cast_open_to_all(void); /* those that are added from now on */

/*
 * A message or a question to the process @to, with a blob or NULL; then all that can
 * happen within a second.
 */
void th_wasm_tell(const char *to, const char *body, const char *blob);
void th_wasm_ask(const char *to, const char *body, const char *blob);

/* Let a second pass. */
void th_wasm_pause(void);

bool th_wasm_cast_saw(const char *text);

#endif
