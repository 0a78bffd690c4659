/*
 * Conversion: messages as the kernel has them, and as the engine gives them to a guest.
 *
 * A Wasm process knows requests, responses and what came back of its own. What others
 * send reaches it like this:
 *
 *   a send (text 003)      a request that expects no response; its metadata is
 *                          {"topic":T,"format":"json"|"bytes"}
 *   a value of Lua         as JSON; the kernel asks th_wasm_accept first, so that the
 *                          sender is refused where there is no such form
 *   bytes                  as they are
 *
 * What it sends is bytes. A request carries the target as it was written in the place of
 * the topic, packed, since an error gives the target back.
 *
 * Large bodies and all blobs move: bytes of the engine's become a th_blob, and a body
 * that nobody else holds becomes the engine's.
 *
 * Thread: owner.
 */
#ifndef TH_GUEST_WASM_WASM_CONVERT_H
#define TH_GUEST_WASM_WASM_CONVERT_H

#include "kernel/kernel.h"

#include <th_engine.h>

/* Of each part of an address that a guest writes, also of one that is none. */
#define TH_WASM_PART_BYTES_MAX 255

/* A target, packed: four lengths, then the four parts. */
typedef struct th_wasm_target {
    uint16_t bytes;
    char packed[4 + 4 * TH_WASM_PART_BYTES_MAX];
} th_wasm_target;

/* Refuses: INVALID, a part is too long to be of any address. */
th_err th_wasm_target_pack(th_wasm_target *out, const th_waddr *address);

/* The address's text; false: it does not fit, so it is none. */
bool th_wasm_target_text(const th_wasm_target *target, char out[TH_ID_TEXT_BYTES],
                         size_t *bytes);

/* A copy of @from for the engine. False: no memory. */
bool th_wasm_buf(th_wbuf *out, th_slice from);

/* The address of @who. False: no memory. */
bool th_wasm_put_address(const th_kernel *kernel, const th_ident *who, th_waddr *out);

/* The bytes of @from as a blob, which takes them. NULL: no memory. */
th_blob *th_wasm_take_blob(th_wbuf *from, th_slice mime);

/*
 * Does its metadata, an object of at most so many bytes, name a topic? It is appended.
 * False: it does not, or memory ran out.
 */
#define TH_WASM_METADATA_BYTES_MAX 4096
bool th_wasm_names_topic(const th_wmsg *message, th_buf *topic);

/* What a message carries beside its bytes; shared, not taken; each may be NULL. */
typedef struct th_wasm_freight {
    th_blob *blob;
    th_caps *caps;
} th_wasm_freight;

/* What a guest sends. @topic is shared, not taken. NULL: no memory. */
th_msg *th_wasm_msg_new(th_msg_kind kind, th_wmsg *from, th_slice topic,
                        const th_wasm_freight *freight);

/*
 * What a guest receives: a message; the end of a request; a blob by itself. What is
 * left in *out after a refusal is the engine's to free.
 *
 * Refuses: QUOTA, no memory; INVALID, a value that has no form in JSON.
 */
th_err th_wasm_put_msg(const th_kernel *kernel, th_msg *msg, th_wmsg *out);
th_err th_wasm_put_reply(const th_kernel *kernel, const th_request *request,
                         th_wmsg *out);
th_err th_wasm_put_blob(const th_blob *blob, th_wmsg *out);

/* A response of its own, which did not reach @to. */
th_err th_wasm_put_failed(const th_kernel *kernel, th_msg *response, const th_ident *to,
                          th_wmsg *out);

/* What kernel:distro:sys says; @context may be NULL. */
th_err th_wasm_put_sys(const th_kernel *kernel, th_msg *msg, const th_blob *context,
                       th_wmsg *out);

/* An address as it is written, with a node or without, into its parts. */
th_err th_wasm_put_address_text(th_slice text, th_waddr *out);

/* Those of @caps that are valid; NULL: none. */
th_err th_wasm_put_caps(const th_kernel *kernel, const th_caps *caps, th_wcaps *out);

/*
 * A value that is to become JSON: that is done at one go, by its sender's slice and by
 * its receiver's. What is larger can go as bytes, or in the blob.
 */
#define TH_WASM_VALUE_BYTES_MAX ((size_t)4 << 20)

/* Has @msg a form for a Wasm process? Refuses: INVALID; QUOTA, it is too large. */
th_err th_wasm_accept(const th_msg *msg);

#endif
