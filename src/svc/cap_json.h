/*
 * The text form of a capability, as JSON: what people, logs, packages and Kinode's
 * kernel commands write. It is never a right, only a claim to one.
 *
 * Thread: any.
 */
#ifndef TH_SVC_CAP_JSON_H
#define TH_SVC_CAP_JSON_H

#include "codec/json_doc.h"
#include "core/cap.h"

/*
 * What somebody writes down as a capability: a claim, until one who knows the issuers
 * and what its author holds has found the object. Borrows from the document.
 */
typedef struct th_cap_claim {
    th_address issuer; /* its node may be empty */
    th_slice id;       /* the same without the node: "process:package:publisher" */
    th_slice params;
} th_cap_claim;

/* Append {"issuer":"NODE@P:K:S","params":"TEXT"}; @node for an issuer without one. */
void th_cap_encode(th_buf *out, th_slice node, const th_cap *cap);

/*
 * Read one: the object above, or a pair [OBJECT, SIGNATURE] as Kinode's kernel has it,
 * whose signature counts for nothing.
 *
 * Refuses: INVALID, and @why (a text for people) is appended.
 */
th_err th_cap_claim_read(th_cap_claim *out, const th_json *json, th_buf *why);

#endif
