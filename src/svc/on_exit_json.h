/*
 * On-exit as JSON. It has Kinode's form: "None", "Restart", {"Requests":[[ADDRESS,
 * REQUEST, BLOB or null], ...]}, bytes as arrays of numbers. Reading that gives a
 * draft: its capabilities are claims, which somebody who knows what the author holds
 * resolves.
 *
 * Thread: any.
 */
#ifndef TH_SVC_ON_EXIT_JSON_H
#define TH_SVC_ON_EXIT_JSON_H

#include "core/on_exit.h"
#include "svc/cap_json.h"

/* No longer text is read; whatever is within the bounds of one fits as text. */
#define TH_ON_EXIT_TEXT_BYTES_MAX ((size_t)2 << 20)

/* Append it; @node for issuers without one. Capabilities are plain objects. */
void th_on_exit_encode(th_buf *out, th_slice node, const th_on_exit *on_exit);

/* What was read: right in form, with capabilities that are claims. */
typedef struct th_on_exit_draft th_on_exit_draft;

/*
 * Read a text; th_on_exit_read, a value within a document, which the draft borrows
 * from.
 *
 * Refuses: INVALID, QUOTA: a bound is exceeded or memory ran out. Then @why (a text for
 * people, with the place) is appended.
 */
th_err th_on_exit_decode(th_on_exit_draft **out, th_slice text, th_buf *why);
th_err th_on_exit_read(th_on_exit_draft **out, const th_json *json, th_buf *why);
th_on_exit_draft *th_on_exit_draft_free(th_on_exit_draft *draft); /* takes NULL */

th_on_exit_kind th_on_exit_draft_kind(const th_on_exit_draft *draft);

/* Who is meant by a claim: a reference, or NULL: it is left out. */
typedef th_cap *th_on_exit_resolve(void *context, const th_cap_claim *claim);

/*
 * Make it: @resolve is asked for each claim, in their order.
 *
 * Refuses: QUOTA, memory ran out, or params that were written shorter in the claims
 * exceed the bound.
 */
th_err th_on_exit_settle(th_on_exit **out, const th_on_exit_draft *draft,
                         th_on_exit_resolve *resolve, void *context);

TH_AUTO_FREE(th_on_exit_draft, th_on_exit_draft_free)

#endif
