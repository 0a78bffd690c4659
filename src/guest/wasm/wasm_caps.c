#include "guest/wasm/wasm_owner.h"

#include "base/mem.h"

/*
 * Capabilities. What a guest writes down are texts; the kernel knows which of them the
 * process may name, and leaves out the others in silence (text 000).
 */

#define CALL_CAPS_MAX TH_CAPS_MAX
#define CALL_BYTES_MAX TH_CAPSET_BYTES_MAX /* of their params: each is read as JSON */

/* --- Claims ------------------------------------------------------------------------------ */

typedef struct claims {
    th_claim *all; /* owned */
    size_t count;
    th_buf issuers; /* their texts, one behind the other */
} claims;

static void claims_deinit(claims *claims)
{
    th_free(claims->all);
    th_buf_deinit(&claims->issuers);
}

#define auto_claims __attribute__((cleanup(claims_deinit))) claims

/* Where its text begins, until all are there; one that is no address names nothing. */
static void add(claims *claims, const th_wcap *cap)
{
    th_claim *claim = &claims->all[claims->count];
    char text[TH_ID_TEXT_BYTES];
    th_wasm_target packed;
    size_t bytes;

    if (th_wasm_target_pack(&packed, &cap->issuer) == TH_OK &&
        th_wasm_target_text(&packed, text, &bytes)) {
        claim->issuer = th_slice_of(NULL, bytes);
        claim->params = th_slice_of(cap->params.ptr, cap->params.len);
        th_buf_put(&claims->issuers, text, bytes);
        claims->count++;
    }
}

/* False: no memory. @caps are few. */
static bool claims_init(claims *claims, const th_wcaps *caps)
{
    size_t at = 0;

    claims->all = th_calloc(caps->len + 1, sizeof *claims->all);
    for (size_t i = 0; i < caps->len && claims->all != NULL; i++) {
        add(claims, &caps->ptr[i]);
    }
    for (size_t i = 0; i < claims->count && !claims->issuers.failed; i++) {
        claims->all[i].issuer.at = claims->issuers.at + at;
        at += claims->all[i].issuer.bytes;
    }
    return claims->all != NULL && !claims->issuers.failed;
}

bool th_wasm_caps_are_few(const th_wcaps *caps, size_t *bytes, th_wbuf *trap)
{
    if (caps->len > CALL_CAPS_MAX) {
        th_wasm_trap(trap, "a list of %zu capabilities: at most %d can be named",
                     caps->len, CALL_CAPS_MAX);
        return false;
    }
    for (size_t i = 0; i < caps->len; i++) {
        size_t more = caps->ptr[i].params.len;

        if (more > CALL_BYTES_MAX - *bytes) {
            th_wasm_trap(trap,
                         "the params of the capabilities of one call have more than "
                         "%zu bytes together",
                         CALL_BYTES_MAX);
            return false;
        }
        *bytes += more;
    }
    return true;
}

bool th_wasm_claim(th_wasm_process *self, const th_wcaps *caps, th_caps **out)
{
    auto_claims claims = {0};

    *out = NULL;
    if (caps->len == 0) {
        return true;
    }
    if (claims_init(&claims, caps)) {
        *out = th_process_claim(self->process, claims.all, claims.count);
    }
    if (*out == NULL) {
        return false;
    }
    if (th_caps_count(*out) == 0) {
        *out = th_caps_unref(*out);
    }
    return true;
}

/* --- The operations --------------------------------------------------------------------- */

int th_wasm_hold_caps(th_wasm_process *self, enum th_wop op, const th_wcaps *caps,
                      th_wbuf *trap)
{
    auto_claims claims = {0};
    size_t bytes = 0;
    th_err err = TH_OK;

    if (!th_wasm_caps_are_few(caps, &bytes, trap)) {
        return TH_W_TRAP;
    }
    if (!claims_init(&claims, caps)) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    if (op == TH_W_DROP_CAPS) {
        th_process_drop_caps(self->process, claims.all, claims.count);
    } else {
        err = th_process_save_caps(self->process, claims.all, claims.count);
    }
    if (err != TH_OK) {
        return th_wasm_trap(trap,
                            "save-capabilities: a process can hold %d capabilities, "
                            "of %zu bytes together: drop some",
                            TH_CAPSET_MAX, TH_CAPSET_BYTES_MAX);
    }
    return claims.count > 0 && th_wasm_is_durable(self)
               ? th_wasm_save_life(self, op, trap)
               : TH_W_READY;
}

int th_wasm_our_caps(th_wasm_process *self, th_wcall *reply, th_wbuf *trap)
{
    th_auto(th_caps) caps = th_process_caps(self->process);

    if (caps == NULL || th_wasm_put_caps(th_process_kernel(self->process), caps,
                                         &reply->caps) != TH_OK) {
        return th_wasm_trap(trap, TH_WASM_NO_MEMORY);
    }
    return TH_W_READY;
}
