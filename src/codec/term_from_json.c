#include "codec/term_json.h"

#include "base/mem.h"
#include "codec/term.h"

#include <jansson.h>
#include <stdio.h>

/* --- Pool ----------------------------------------------------------------------- */

#define CHUNK_BYTES ((size_t)16 << 10)
#define ALIGNMENT 16

struct th_json_chunk {
    struct th_json_chunk *next;
    size_t used, room;
    _Alignas(ALIGNMENT) char at[];
};

static bool add_chunk(th_json_pool *pool, size_t bytes)
{
    size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct th_json_chunk *chunk;

    if (pool->bytes_max != 0 && room > pool->bytes_max - pool->bytes) {
        return false;
    }
    chunk = th_malloc(sizeof *chunk + room);
    if (chunk == NULL) {
        return false;
    }
    chunk->next = pool->newest;
    chunk->used = 0;
    chunk->room = room;
    pool->newest = chunk;
    pool->bytes += room;
    return true;
}

void *th_json_pool_take(th_json_pool *pool, size_t bytes)
{
    struct th_json_chunk *chunk;
    void *block;

    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (pool->newest == NULL || pool->newest->room - pool->newest->used < bytes) {
        if (!add_chunk(pool, bytes)) {
            pool->failed = true;
            return NULL;
        }
    }
    chunk = pool->newest;
    block = chunk->at + chunk->used;
    chunk->used += bytes;
    return block;
}

void th_json_pool_deinit(th_json_pool *pool)
{
    while (pool->newest != NULL) {
        struct th_json_chunk *chunk = pool->newest;

        pool->newest = chunk->next;
        th_free(chunk);
    }
    pool->bytes = 0;
    pool->failed = false;
}

/*
 * The library allocates from the pool of the work that runs on this thread, and from
 * malloc where there is none (json_doc.c).
 */
static __thread th_json_pool *pool_here;

__thread bool th_json_starved;

static void *library_malloc(size_t bytes)
{
    void *block =
        pool_here == NULL ? th_malloc(bytes) : th_json_pool_take(pool_here, bytes);

    th_json_starved |= block == NULL;
    return block;
}

static void library_free(void *block)
{
    if (pool_here == NULL) {
        th_free(block);
    }
}

__attribute__((constructor)) static void set_library_up(void)
{
    json_set_alloc_funcs(library_malloc, library_free);
}

/* --- Reading -------------------------------------------------------------------- */

typedef struct reader {
    th_json_work *work;
    th_slice rest;
    unsigned depth;
    bool in_string, is_escaped, is_too_deep;
} reader;

/* Another process may have run on this thread meanwhile, with a pool of its own. */
static void rest_a_moment(th_json_work *work)
{
    if (work->pause != NULL) {
        pool_here = NULL;
        work->pause();
        pool_here = work->pool;
    }
}

/* The library would recurse for each bracket. */
static bool is_too_deep(reader *r, const char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = at[i];

        if (r->in_string) {
            r->in_string = c != '"' || r->is_escaped;
            r->is_escaped = c == '\\' && !r->is_escaped;
        } else if (c == '"') {
            r->in_string = true;
        } else if (c == '[' || c == '{') {
            if (++r->depth > TH_TERM_JSON_DEPTH_MAX) {
                return true;
            }
        } else if ((c == ']' || c == '}') && r->depth > 0) {
            r->depth--;
        }
    }
    return false;
}

static size_t read_some(void *buffer, size_t room, void *context)
{
    reader *r = context;
    size_t bytes = r->rest.bytes < room ? r->rest.bytes : room;

    rest_a_moment(r->work);
    if (bytes == 0) {
        return 0;
    }
    if (is_too_deep(r, r->rest.at, bytes)) {
        r->is_too_deep = true;
        return (size_t)-1;
    }
    memcpy(buffer, r->rest.at, bytes);
    r->rest = th_slice_from(r->rest, bytes);
    return bytes;
}

static json_t *load(th_json_work *work, th_slice text, size_t flags, json_error_t *what,
                    bool *is_deep)
{
    reader r = {.work = work, .rest = text};
    json_t *json = json_load_callback(read_some, &r,
                                      JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, what);

    *is_deep = r.is_too_deep;
    return json;
}

static th_err read_text(th_json_work *work, th_slice text, json_t **out)
{
    json_error_t what;
    bool is_deep;
    json_t *json = load(work, text, 0, &what, &is_deep);

    if (json == NULL && json_error_code(&what) == json_error_numeric_overflow) {
        json = load(work, text, JSON_DECODE_INT_AS_REAL, &what, &is_deep);
    }
    *out = json;
    if (json != NULL) {
        return TH_OK;
    }
    if (work->pool->failed) { /* which the library reports in several ways */
        return TH_QUOTA;
    }
    work->error.at = what.position < 0 ? 0 : (size_t)what.position;
    if (is_deep) {
        snprintf(work->error.what, sizeof work->error.what,
                 "more than %d arrays and objects in one another",
                 TH_TERM_JSON_DEPTH_MAX);
    } else {
        snprintf(work->error.what, sizeof work->error.what, "%s", what.text);
    }
    return TH_INVALID;
}

/* --- The tree as a term --------------------------------------------------------- */

static void put_value(th_json_work *work, th_buf *out, const json_t *json);

static void put_array(th_json_work *work, th_buf *out, const json_t *json)
{
    size_t n = json_array_size(json);

    th_term_put_table(out, (uint32_t)n, 0);
    for (size_t i = 0; i < n; i++) {
        put_value(work, out, json_array_get(json, i));
    }
}

static void put_object(th_json_work *work, th_buf *out, json_t *json)
{
    uint32_t pairs = 0;

    for (void *at = json_object_iter(json); at != NULL;
         at = json_object_iter_next(json, at)) {
        pairs += !json_is_null(json_object_iter_value(at));
        rest_a_moment(work);
    }
    th_term_put_table(out, 0, pairs);
    for (void *at = json_object_iter(json); at != NULL;
         at = json_object_iter_next(json, at)) {
        if (!json_is_null(json_object_iter_value(at))) {
            th_term_put_string(out, th_slice_of(json_object_iter_key(at),
                                                json_object_iter_key_len(at)));
            put_value(work, out, json_object_iter_value(at));
        }
    }
}

static void put_value(th_json_work *work, th_buf *out, const json_t *json)
{
    rest_a_moment(work);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        put_object(work, out, (json_t *)json); /* only read */
        break;
    case JSON_ARRAY:
        put_array(work, out, json);
        break;
    case JSON_STRING:
        th_term_put_string(out, th_slice_of(json_string_value(json),
                                            json_string_length(json)));
        break;
    case JSON_INTEGER:
        th_term_put_int(out, json_integer_value(json));
        break;
    case JSON_REAL:
        th_term_put_real(out, json_real_value(json));
        break;
    case JSON_TRUE:
        th_term_put_tag(out, TH_TERM_TRUE);
        break;
    case JSON_FALSE:
        th_term_put_tag(out, TH_TERM_FALSE);
        break;
    case JSON_NULL:
        th_term_put_tag(out, TH_TERM_NIL);
        break;
    }
}

th_err th_term_from_json_in(th_json_work *work, th_buf *out, th_slice text)
{
    th_err err;
    json_t *json;

    th_json_pool_deinit(work->pool);
    pool_here = work->pool;
    err = read_text(work, text, &json);
    if (err == TH_OK) {
        th_term_put_header(out, TH_TERM_PLAIN);
        put_value(work, out, json);
    }
    pool_here = NULL; /* the tree goes with the pool */
    th_json_pool_deinit(work->pool);
    return err == TH_OK && out->failed ? TH_QUOTA : err;
}

th_err th_term_from_json(th_buf *out, th_slice text)
{
    th_json_pool pool = {0};
    th_json_work work = {.pool = &pool};

    return th_term_from_json_in(&work, out, text);
}
