#include "node/terms.h"

#include "codec/term.h"
#include "codec/term_json.h"

/* Words may be any bytes: a path is in no encoding. */
th_err th_terms_put_args(th_buf *out, const char *const *words, size_t count)
{
    if (count == 0) {
        return TH_OK;
    }
    th_term_put_header(out, TH_TERM_PLAIN);
    th_term_put_table(out, (uint32_t)count, 0);
    for (size_t i = 0; i < count; i++) {
        th_term_put_string(out, th_slice_str(words[i]));
    }
    return out->failed ? TH_NOMEM : TH_OK;
}

th_err th_terms_put_json(th_buf *out, const th_json *json, th_json_error *error)
{
    th_auto_buf text = TH_BUF_INIT;
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};
    th_err err;

    th_json_encode(json, &text);
    err =
        text.failed ? TH_QUOTA : th_term_from_json_in(&work, out, th_buf_slice(&text));
    *error = work.error;
    return err;
}

th_err th_terms_to_json(th_buf *out, th_slice term, th_json_error *error)
{
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};
    th_err err = th_term_to_json_in(&work, out, term);

    *error = work.error;
    return err;
}
