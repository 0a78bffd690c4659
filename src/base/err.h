/*
 * Errors: what every call that can fail returns.
 *
 * TH_OK is 0. A refusal (> 0) is part of the contract: nothing happened, and the
 * direct caller decides what to do. A fault (< 0) is the machine's: it is logged
 * once, where it begins, by th_fault; everyone above cleans up and returns it
 * unchanged. A bug is neither: th_assert stops the node, in release builds too,
 * and never judges input. The table of reasons is reasons.def.
 *
 * Thread: any.
 */
#ifndef TH_BASE_ERR_H
#define TH_BASE_ERR_H

#include <stdbool.h>

typedef enum th_err {
    TH_OK = 0,
#define TH_REASON(name, number, json, lua, wit, exit, text) TH_##name = (number),
#include "base/reasons.def"
#undef TH_REASON
} th_err;

/* What text 000 calls the kinds of a send error; there are only two. */
typedef enum th_wit_kind {
    TH_WIT_OFFLINE,
    TH_WIT_TIMEOUT,
} th_wit_kind;

/* One row of the table of reasons. */
typedef struct th_reason {
    th_err err;
    const char *name;     /* in JSON and on the wire: "not_found" */
    const char *lua_kind; /* kind() of the Lua error object: "NotFound" */
    th_wit_kind wit_kind;
    int exit_code; /* of the command line, 0..8 */
    const char *text;
} th_reason;

/* The row of @err; the row of TH_OK has exit code 0. Never NULL. */
const th_reason *th_reason_of(th_err err);

/* The row whose JSON name is @name, or NULL. */
const th_reason *th_reason_find(const char *name);

/* Log a fault where it begins, once, and return @err (< 0) unchanged. */
th_err th_fault(th_err err, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Stop the node: a bug was found. Never returns. */
_Noreturn void th_assert_failed(const char *what, const char *file, int line)
    __attribute__((cold));

#define th_assert(condition)                                                           \
    ((condition) ? (void)0 : th_assert_failed(#condition, __FILE__, __LINE__))

#endif
