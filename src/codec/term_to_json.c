#include "codec/term_json.h"

#include "codec/term.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A table's pairs are written as they come, each a segment of the output, and put in
 * order afterwards. A table that is met again is written again from where it stands
 * in the term.
 */
typedef struct segment {
    bool is_named;
    th_slice name;  /* of a string key */
    int64_t number; /* of an integer key */
    size_t from, to;
} segment;

typedef struct writer {
    th_json_work *work;
    th_buf *out;
    size_t begin; /* of our part of out */
    th_slice term;
    th_slice rest;

    size_t *tables; /* in the pool: where each table begins in the term */
    uint32_t tables_count, tables_room;
    bool is_again; /* in a table that is met again: its tables have their numbers */

    unsigned depth;
    size_t path[TH_TERM_JSON_DEPTH_MAX]; /* where the tables begin that are open */
} writer;

static th_err refuse(writer *w, const char *what)
{
    snprintf(w->work->error.what, sizeof w->work->error.what, "%s", what);
    return TH_INVALID;
}

static th_err damaged(writer *w)
{
    return refuse(w, "the value is damaged");
}

static void rest_a_moment(writer *w)
{
    if (w->work->pause != NULL) {
        w->work->pause();
    }
}

static size_t position(const writer *w)
{
    return w->term.bytes - w->rest.bytes;
}

/* --- Numbers and times ---------------------------------------------------------- */

static void put_real(th_buf *out, double real)
{
    char text[32];

    if (!isfinite(real)) {
        th_buf_puts(out, "null");
        return;
    }
    if (real == floor(real) && fabs(real) < 1e15) {
        th_buf_putf(out, "%.0f", real);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    th_buf_puts(out, text);
}

/* The date of a day counted from 1970, by the era of 400 years that it lies in. */
static void put_date(th_buf *out, int64_t day)
{
    int64_t from_era = day + 719468; /* days from 0000-03-01 */
    int64_t era = (from_era >= 0 ? from_era : from_era - 146096) / 146097;
    int64_t in_era = from_era - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* from March */

    th_buf_putf(out, "%04lld-%02lld-%02lld",
                (long long)(year + era * 400 + (month >= 10)),
                (long long)(month < 10 ? month + 3 : month - 9),
                (long long)(in_year - (153 * month + 2) / 5 + 1));
}

static void put_time(th_buf *out, int64_t ns)
{
    int64_t second = ns / 1000000000 - (ns % 1000000000 < 0);
    int64_t day = second / 86400 - (second % 86400 < 0);
    int64_t in_day = second - day * 86400;
    int64_t fraction = ns - second * 1000000000;

    th_buf_putc(out, '"');
    put_date(out, day);
    th_buf_putf(out, "T%02lld:%02lld:%02lld", (long long)(in_day / 3600),
                (long long)(in_day / 60 % 60), (long long)(in_day % 60));
    if (fraction != 0) {
        char digits[12];
        size_t n =
            (size_t)snprintf(digits, sizeof digits, "%09lld", (long long)fraction);

        while (digits[n - 1] == '0') {
            n--;
        }
        th_buf_putf(out, ".%.*s", (int)n, digits);
    }
    th_buf_puts(out, "Z\"");
}

/* --- Segments: the pairs of one table ------------------------------------------- */

static bool is_before(const segment *a, const segment *b)
{
    size_t n = a->name.bytes < b->name.bytes ? a->name.bytes : b->name.bytes;
    int order;

    if (!a->is_named || !b->is_named) {
        return a->number < b->number;
    }
    order = n == 0 ? 0 : memcmp(a->name.at, b->name.at, n);
    return order != 0 ? order < 0 : a->name.bytes < b->name.bytes;
}

/* Merge the runs [at, middle) and [middle, end) of @from into @to. */
static void merge(const segment *from, segment *to, size_t at, size_t middle,
                  size_t end)
{
    size_t left = at, right = middle;

    for (size_t i = at; i < end; i++) {
        if (left < middle && (right == end || !is_before(&from[right], &from[left]))) {
            to[i] = from[left++];
        } else {
            to[i] = from[right++];
        }
    }
}

/* Sort them, with as much room again behind them; returns where they are then. */
static segment *sort(writer *w, segment *all, size_t n)
{
    segment *from = all, *to = all + n;

    for (size_t run = 1; run < n; run *= 2) {
        segment *other = from;

        for (size_t at = 0; at < n; at += 2 * run) {
            merge(from, to, at, at + run < n ? at + run : n,
                  at + 2 * run < n ? at + 2 * run : n);
            rest_a_moment(w);
        }
        from = to;
        to = other;
    }
    return from;
}

/* Put the segments, all behind @from in the output, in order, with commas. */
static th_err arrange(writer *w, const segment *sorted, size_t n, size_t from)
{
    size_t bytes = w->out->bytes - from;
    char *copy = th_json_pool_take(w->work->pool, bytes + 1);

    if (copy == NULL || w->out->failed) {
        return TH_QUOTA;
    }
    memcpy(copy, w->out->at + from, bytes);
    w->out->bytes = from;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            th_buf_putc(w->out, ',');
        }
        th_buf_put(w->out, copy + (sorted[i].from - from),
                   sorted[i].to - sorted[i].from);
        rest_a_moment(w);
    }
    return TH_OK;
}

/* --- Tables --------------------------------------------------------------------- */

static th_err put_value(writer *w);
static th_err put_token(writer *w, const th_term_token *token, size_t at);

/* Read the key of a pair into *@out, and write it if it has a name. */
static th_err put_key(writer *w, segment *out)
{
    th_term_token key;

    if (!th_term_read(&w->rest, &key)) {
        return damaged(w);
    }
    out->from = w->out->bytes;
    if (key.tag == TH_TERM_INT) {
        out->number = key.number;
        return TH_OK;
    }
    if (key.tag != TH_TERM_STRING) {
        return refuse(w, "a table whose keys are neither 1..n nor strings");
    }
    if (!th_json_is_utf8(key.string)) {
        return refuse(w, "a key that is not UTF-8");
    }
    out->is_named = true;
    out->name = key.string;
    th_json_put_text(w->out, key.string);
    th_buf_putc(w->out, ':');
    return TH_OK;
}

static th_err put_pairs(writer *w, segment *all, uint32_t pairs)
{
    for (uint32_t i = 0; i < pairs; i++) {
        th_err err;

        all[i] = (segment){0};
        err = put_key(w, &all[i]);
        if (err == TH_OK && all[i].is_named != all[0].is_named) {
            err = refuse(w, "a table that has both strings and numbers as keys");
        }
        if (err == TH_OK) {
            err = put_value(w);
        }
        if (err != TH_OK) {
            return err;
        }
        all[i].to = w->out->bytes;
    }
    return TH_OK;
}

static th_err put_values(writer *w, uint32_t values)
{
    for (uint32_t i = 0; i < values; i++) {
        th_err err;

        if (i > 0) {
            th_buf_putc(w->out, ',');
        }
        if (w->rest.bytes > 0 && *w->rest.at == TH_TERM_NIL) {
            return refuse(w, "an array with a hole");
        }
        err = put_value(w);
        if (err != TH_OK) {
            return err;
        }
    }
    return TH_OK;
}

/* Integer keys that follow the array part without a gap. */
static bool are_next(const segment *sorted, uint32_t values, uint32_t pairs)
{
    for (uint32_t i = 0; i < pairs; i++) {
        if (sorted[i].number != (int64_t)values + i + 1) {
            return false;
        }
    }
    return true;
}

/* The pairs of a table whose bracket stands at @open in the output. */
static th_err put_all_pairs(writer *w, const th_term_token *table, size_t open)
{
    segment *all =
        th_json_pool_take(w->work->pool, 2 * (size_t)table->pairs * sizeof *all);
    size_t from;
    th_err err;

    if (all == NULL) {
        return TH_QUOTA;
    }
    if (table->values > 0) {
        th_buf_putc(w->out, ',');
    }
    from = w->out->bytes;
    err = put_pairs(w, all, table->pairs);
    if (err != TH_OK) {
        return err;
    }
    if (all[0].is_named && table->values > 0) {
        return refuse(w, "a table that has both strings and numbers as keys");
    }
    if (all[0].is_named && !w->out->failed) {
        w->out->at[open] = '{';
    }
    all = sort(w, all, table->pairs);
    if (!all[0].is_named && !are_next(all, table->values, table->pairs)) {
        return refuse(w, "an array with a hole");
    }
    return arrange(w, all, table->pairs, from);
}

static th_err put_body(writer *w, const th_term_token *table)
{
    size_t open = w->out->bytes;
    th_err err;

    th_buf_putc(w->out, '[');
    err = put_values(w, table->values);
    if (err == TH_OK && table->pairs > 0) {
        err = put_all_pairs(w, table, open);
    }
    if (err == TH_OK && !w->out->failed) {
        th_buf_putc(w->out, w->out->at[open] == '{' ? '}' : ']');
    }
    return err;
}

static th_err number_table(writer *w, size_t at)
{
    if (w->is_again) {
        return TH_OK;
    }
    if (w->tables_count == w->tables_room) {
        uint32_t room = w->tables_room == 0 ? 16 : 2 * w->tables_room;
        size_t *grown = th_json_pool_take(w->work->pool, room * sizeof *grown);

        if (grown == NULL) {
            return TH_QUOTA;
        }
        if (w->tables_count > 0) {
            memcpy(grown, w->tables, w->tables_count * sizeof *grown);
        }
        w->tables = grown;
        w->tables_room = room;
    }
    w->tables[w->tables_count++] = at;
    return TH_OK;
}

static th_err put_table(writer *w, const th_term_token *table, size_t at)
{
    th_err err;

    if (w->depth == TH_TERM_JSON_DEPTH_MAX) {
        return refuse(w, "tables that are too deep in one another");
    }
    err = number_table(w, at);
    if (err == TH_OK) {
        w->path[w->depth++] = at;
        err = put_body(w, table);
        w->depth--;
    }
    return err;
}

static th_err put_ref(writer *w, uint32_t number)
{
    th_slice rest = w->rest;
    bool was_again = w->is_again;
    th_err err;

    if (number >= w->tables_count) {
        return damaged(w);
    }
    for (unsigned i = 0; i < w->depth; i++) {
        if (w->path[i] == w->tables[number]) {
            return refuse(w, "a table that contains itself");
        }
    }
    w->rest = th_slice_from(w->term, w->tables[number]);
    w->is_again = true;
    err = put_value(w);
    w->is_again = was_again;
    w->rest = rest;
    return err;
}

/* Its message alone; the rest is read over. */
static th_err put_error(writer *w)
{
    th_err err;

    if (w->depth == TH_TERM_JSON_DEPTH_MAX) {
        return refuse(w, "errors that are too deep in one another");
    }
    w->path[w->depth++] = SIZE_MAX;
    err = put_value(w);
    for (int i = 1; i < TH_TERM_ERROR_VALUES && err == TH_OK; i++) {
        size_t bytes = w->out->bytes;

        err = put_value(w);
        w->out->bytes = bytes;
    }
    w->depth--;
    return err;
}

/* --- Values --------------------------------------------------------------------- */

static th_err put_string(writer *w, th_slice string)
{
    if (!th_json_is_utf8(string)) {
        return refuse(w, "a string that is not UTF-8");
    }
    th_json_put_text(w->out, string);
    return TH_OK;
}

static th_err put_token(writer *w, const th_term_token *token, size_t at)
{
    switch (token->tag) {
    case TH_TERM_NIL:
        th_buf_puts(w->out, "null");
        return TH_OK;
    case TH_TERM_FALSE:
        th_buf_puts(w->out, "false");
        return TH_OK;
    case TH_TERM_TRUE:
        th_buf_puts(w->out, "true");
        return TH_OK;
    case TH_TERM_INT:
    case TH_TERM_DURATION:
        th_buf_putf(w->out, "%lld", (long long)token->number);
        return TH_OK;
    case TH_TERM_FLOAT:
        put_real(w->out, token->real);
        return TH_OK;
    case TH_TERM_STRING:
        return put_string(w, token->string);
    case TH_TERM_TIME:
        put_time(w->out, token->number);
        return TH_OK;
    case TH_TERM_TABLE:
        return put_table(w, token, at);
    case TH_TERM_REF:
        return put_ref(w, token->ref);
    case TH_TERM_ERROR:
        return put_error(w);
    default:
        return damaged(w);
    }
}

static th_err put_value(writer *w)
{
    size_t at = position(w);
    th_term_token token;

    rest_a_moment(w);
    if (w->out->failed) {
        return TH_QUOTA;
    }
    if (w->out->bytes - w->begin > TH_TERM_JSON_BYTES_MAX) {
        return refuse(w, "more than 64 MiB of JSON");
    }
    if (!th_term_read(&w->rest, &token)) {
        return damaged(w);
    }
    return put_token(w, &token, at);
}

th_err th_term_to_json_in(th_json_work *work, th_buf *out, th_slice term)
{
    writer w = {.work = work, .out = out, .begin = out->bytes, .rest = term};
    bool is_shared;
    th_err err;

    th_json_pool_deinit(work->pool);
    if (!th_term_open(&w.rest, &is_shared)) {
        return damaged(&w);
    }
    w.term = w.rest;
    err = put_value(&w);
    if (err == TH_OK && w.rest.bytes > 0) {
        err = damaged(&w);
    }
    th_json_pool_deinit(work->pool);
    if (err == TH_OK && out->failed) {
        err = TH_QUOTA;
    }
    if (err != TH_OK && !out->failed) {
        out->bytes = w.begin;
    }
    return err;
}

th_err th_term_to_json(th_buf *out, th_slice term)
{
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};

    return th_term_to_json_in(&work, out, term);
}
