#include "node/attach_parts.h"

#include "base/mem.h"

/*
 * What a process outside may from its start, and who may send to it: the owner of the
 * node says so in its `attach`, so that nothing has to be checked.
 */

/* The id of who is meant, "process:package:publisher"; or the text as it is. */
static void put_id(th_kernel *kernel, th_slice text, th_buf *out)
{
    char unique[TH_UNIQUE_BYTES];
    th_id_error error;
    th_address id;
    th_ident who;
    th_pid pid;

    if (th_kernel_resolve(kernel, text, &pid, &error) == TH_OK &&
        th_kernel_ident(kernel, pid, &who) == TH_OK) {
        th_kernel_address(kernel, &who, &id, unique);
        id.node = th_slice_of(NULL, 0);
        th_address_encode(out, &id);
        th_blob_unref(who.name);
    } else {
        th_buf_put(out, text.at, text.bytes);
    }
}

static th_cap *issue(th_kernel *kernel, const th_claim *claim, th_buf *why)
{
    th_auto_buf id = TH_BUF_INIT;
    th_cap *cap;

    put_id(kernel, claim->issuer, &id);
    cap = id.failed ? NULL : th_kernel_issue(kernel, th_buf_slice(&id), claim->params);
    if (cap == NULL) {
        th_buf_putf(why,
                    "`%.*s` issues nothing here: it is neither a process nor the "
                    "process:package:publisher of one to come",
                    TH_FMT(claim->issuer));
    }
    return cap;
}

static th_err issue_all(th_caps **out, th_kernel *kernel, const th_claim *claims,
                        size_t n, th_buf *why)
{
    th_cap **caps = th_calloc(n + 1, sizeof(th_cap *));
    th_err err = caps == NULL ? TH_QUOTA : TH_OK;
    size_t made = 0;

    while (err == TH_OK && made < n) {
        caps[made] = issue(kernel, &claims[made], why);
        err = caps[made] == NULL ? TH_INVALID : TH_OK;
        made += err == TH_OK;
    }
    if (err == TH_OK) {
        *out = th_caps_new(caps, n);
        err = *out == NULL ? TH_QUOTA : TH_OK;
    }
    while (made > 0) {
        th_cap_unref(caps[--made]);
    }
    th_free(caps);
    return err;
}

static th_err hold(attach_rights *out, th_kernel *kernel, const th_json *grants,
                   th_buf *why)
{
    th_claim *claims = NULL;
    size_t n = 0;
    th_err err = TH_OK;

    if (!th_attach_claims_read(grants, &claims, &n)) {
        th_buf_puts(why,
                    "`grants` is a list of {\"issuer\": PROCESS, \"params\": TEXT}, "
                    "or PROCESS for the right to send to it");
        return TH_INVALID;
    }
    if (n > 0) {
        err = issue_all(&out->caps, kernel, claims, n, why);
    }
    th_free(claims);
    return err;
}

static th_err check_there(th_kernel *kernel, const attach_rights *rights, th_buf *why)
{
    th_id_error error;
    th_pid pid;

    for (size_t i = 0; i < rights->grants_count; i++) {
        th_slice who = rights->grants[i].process;

        if (th_kernel_resolve(kernel, who, &pid, &error) != TH_OK) {
            th_buf_putf(why,
                        "there is no process `%.*s` to be granted something; who comes "
                        "later can be granted it by `thole grant`",
                        TH_FMT(who));
            return TH_NOT_FOUND;
        }
    }
    return TH_OK;
}

th_err th_attach_rights(attach_rights *out, th_kernel *kernel,
                        const th_attach_spec *spec, th_buf *why)
{
    th_err err = TH_OK;

    *out = (attach_rights){.caps = NULL};
    if (!th_attach_grants_read(spec->granted_to, &out->grants, &out->grants_count)) {
        th_buf_puts(why, "`grant_to` is a list of PROCESS, who may send to it, or "
                         "{\"process\": PROCESS, \"params\": TEXT}");
        return TH_INVALID;
    }
    err = check_there(kernel, out, why);
    if (err == TH_OK) {
        err = hold(out, kernel, spec->grants, why);
    }
    if (err != TH_OK) {
        th_attach_rights_deinit(out);
    }
    return err;
}

void th_attach_rights_deinit(attach_rights *rights)
{
    th_caps_unref(rights->caps);
    th_free(rights->grants);
}
