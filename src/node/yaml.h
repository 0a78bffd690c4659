/*
 * YAML: a small tree of a document, with the place of each value.
 *
 * Strict and bounded: one document, no anchors, aliases or tags, keys are scalars
 * and appear once; sizes, depth and counts have limits, so that no file can make
 * reading it long. Only this file knows the library.
 *
 * Thread: any; a tree is immutable.
 */
#ifndef TH_NODE_YAML_H
#define TH_NODE_YAML_H

#include "base/bytes.h"
#include "base/own.h"

#include <stdbool.h>

#define TH_YAML_BYTES_MAX ((size_t)1 << 20)
#define TH_YAML_DEPTH_MAX 32
#define TH_YAML_NODES_MAX 65536
#define TH_YAML_KEYS_MAX 2048 /* of one map, which are compared with each other */

typedef enum th_yaml_type {
    TH_YAML_SCALAR,
    TH_YAML_LIST,
    TH_YAML_MAP,
} th_yaml_type;

typedef struct th_yaml th_yaml;

/* A value; a list's items and a map's values are its children, in order. */
struct th_yaml {
    th_yaml_type type;
    bool is_block;         /* of a scalar: its text begins on the next line */
    bool is_quoted;        /* of a scalar: it is a text whatever it looks like */
    unsigned line, column; /* from 1 */
    th_slice text;         /* of a scalar; followed by a NUL */
    th_slice key;          /* in a map */
    unsigned key_line, key_column;
    th_yaml *child; /* the first one, owned */
    th_yaml *next;  /* of its parent, owned */
    th_yaml *last;  /* child */
};

typedef struct th_yaml_error {
    unsigned line, column; /* from 1 */
    char what[160];
} th_yaml_error;

/*
 * Read a document. An empty one is NULL.
 *
 * Refuses: INVALID, and *error says what and where; QUOTA, no memory.
 */
th_err th_yaml_decode(th_yaml **out, th_slice text, th_yaml_error *error);
th_yaml *th_yaml_free(th_yaml *yaml); /* takes NULL, returns NULL */

/* The value of @key in a map, or NULL. */
const th_yaml *th_yaml_get(const th_yaml *map, const char *key);

/* "a list", for people. */
const char *th_yaml_type_text(const th_yaml *yaml);

TH_AUTO_FREE(th_yaml, th_yaml_free)

#endif
