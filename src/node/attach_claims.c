#include "node/attach_line.h"

#include "base/mem.h"

/*
 * Capabilities, as a line has them: what somebody claims to have, and what is to be
 * granted to whom.
 */

typedef struct named {
    th_slice process, params;
} named;

/* PROCESS, which means messaging, or {@key: PROCESS, "params": TEXT}. */
static bool read_one(const th_json *value, const char *key, named *out)
{
    const th_json *params;

    out->params = TH_CAP_MESSAGING;
    if (th_json_text(value, &out->process)) {
        return out->process.bytes > 0;
    }
    if (!th_json_is_object(value) ||
        !th_json_text(th_json_get(value, key), &out->process)) {
        return false;
    }
    params = th_json_get(value, "params");
    return params == NULL || (th_json_text(params, &out->params) &&
                              out->params.bytes <= TH_CAP_PARAMS_BYTES_MAX);
}

static bool is_list(const th_json *list)
{
    return list == NULL ||
           (th_json_is_array(list) && th_json_count(list) <= TH_ATTACH_CAPS_MAX);
}

bool th_attach_claims_read(const th_json *list, th_claim **out, size_t *n)
{
    size_t count = list == NULL ? 0 : th_json_count(list);
    th_claim *made;
    named one;

    if (!is_list(list)) {
        return false;
    }
    made = th_calloc(count + 1, sizeof *made);
    for (size_t i = 0; i < count && made != NULL; i++) {
        if (!read_one(th_json_at(list, i), "issuer", &one)) {
            made = th_free(made);
            break;
        }
        made[i] = (th_claim){.issuer = one.process, .params = one.params};
    }
    *out = made;
    *n = made == NULL ? 0 : count;
    return made != NULL;
}

bool th_attach_grants_read(const th_json *list, th_grant **out, size_t *n)
{
    size_t count = list == NULL ? 0 : th_json_count(list);
    th_grant *made;
    named one;

    if (!is_list(list)) {
        return false;
    }
    made = th_calloc(count + 1, sizeof *made);
    for (size_t i = 0; i < count && made != NULL; i++) {
        if (!read_one(th_json_at(list, i), "process", &one)) {
            made = th_free(made);
            break;
        }
        made[i] = (th_grant){.process = one.process, .params = one.params};
    }
    *out = made;
    *n = made == NULL ? 0 : count;
    return made != NULL;
}
