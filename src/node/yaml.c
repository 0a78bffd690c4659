#include "node/yaml.h"

#include "base/mem.h"

#include <stdio.h>
#include <yaml.h>

/*
 * The library's events become a tree. The way down is a stack of our own, so that
 * neither reading nor freeing recurses.
 */
typedef struct yaml_reader {
    yaml_parser_t parser;
    th_yaml *root;
    th_yaml *open[TH_YAML_DEPTH_MAX]; /* maps and lists that are not closed */
    unsigned depth;
    unsigned nodes;
    th_yaml *key; /* of the innermost map, whose value comes next; owned */
    th_yaml_error *error;
} yaml_reader;

static th_err wrong(yaml_reader *reader, yaml_mark_t at, const char *what)
{
    reader->error->line = (unsigned)at.line + 1;
    reader->error->column = (unsigned)at.column + 1;
    snprintf(reader->error->what, sizeof reader->error->what, "%s", what);
    return TH_INVALID;
}

th_yaml *th_yaml_free(th_yaml *yaml)
{
    while (yaml != NULL) {
        th_yaml *next = yaml->child;

        if (next != NULL) { /* its children come before what follows it */
            yaml->last->next = yaml->next;
        } else {
            next = yaml->next;
        }
        th_free((char *)yaml->text.at);
        th_free((char *)yaml->key.at);
        th_free(yaml);
        yaml = next;
    }
    return NULL;
}

static const char *map_refusal(const th_yaml *map, th_slice key)
{
    unsigned count = 0;

    for (const th_yaml *other = map->child; other != NULL; other = other->next) {
        if (th_slice_eq(other->key, key)) {
            return "this key was there before";
        }
        if (++count == TH_YAML_KEYS_MAX) {
            return "the map has too many keys";
        }
    }
    return NULL;
}

/* Put @node where it belongs: the root, a list, or a map, where it may be a key. */
static th_err place(yaml_reader *reader, th_yaml *node, yaml_mark_t at)
{
    th_yaml *in = reader->depth == 0 ? NULL : reader->open[reader->depth - 1];
    const char *refusal = NULL;

    if (in == NULL) {
        reader->root = node;
        return TH_OK;
    }
    if (in->type == TH_YAML_MAP && reader->key == NULL) {
        refusal = node->type == TH_YAML_SCALAR ? map_refusal(in, node->text)
                                               : "a key is a plain text";
        if (refusal != NULL) {
            th_yaml_free(node);
            return wrong(reader, at, refusal);
        }
        reader->key = node;
        return TH_OK;
    }
    if (in->type == TH_YAML_MAP) {
        node->key = reader->key->text;
        node->key_line = reader->key->line;
        node->key_column = reader->key->column;
        reader->key->text = th_slice_of(NULL, 0);
        reader->key = th_yaml_free(reader->key);
    }
    if (in->child == NULL) {
        in->child = node;
    } else {
        in->last->next = node;
    }
    in->last = node;
    return TH_OK;
}

static th_err add(yaml_reader *reader, th_yaml_type type, const yaml_event_t *event,
                  th_yaml **out)
{
    th_yaml *node;

    if (++reader->nodes > TH_YAML_NODES_MAX) {
        return wrong(reader, event->start_mark, "the file has too many values");
    }
    node = th_calloc(1, sizeof *node);
    if (node == NULL) {
        return TH_QUOTA;
    }
    node->type = type;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    if (type == TH_YAML_SCALAR) {
        node->is_block = event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
                         event->data.scalar.style == YAML_FOLDED_SCALAR_STYLE;
        node->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text.at = th_strndup((const char *)event->data.scalar.value,
                                   event->data.scalar.length);
        node->text.bytes = event->data.scalar.length;
        if (node->text.at == NULL) {
            th_free(node);
            return TH_QUOTA;
        }
    }
    *out = node;
    return place(reader, node, event->start_mark);
}

static th_err open_one(yaml_reader *reader, th_yaml_type type,
                       const yaml_event_t *event)
{
    th_yaml *node = NULL;
    th_err err;

    if (reader->depth == TH_YAML_DEPTH_MAX) {
        return wrong(reader, event->start_mark, "the values are nested too deeply");
    }
    err = add(reader, type, event, &node);
    if (err == TH_OK) {
        reader->open[reader->depth++] = node;
    }
    return err;
}

static bool has_extras(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL ||
               event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL ||
               event->data.mapping_start.tag != NULL;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

static th_err take(yaml_reader *reader, const yaml_event_t *event)
{
    th_yaml *node;

    if (has_extras(event)) {
        return wrong(reader, event->start_mark,
                     "anchors (&), aliases (*) and tags (!) are not allowed here");
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add(reader, TH_YAML_SCALAR, event, &node);
    case YAML_SEQUENCE_START_EVENT:
        return open_one(reader, TH_YAML_LIST, event);
    case YAML_MAPPING_START_EVENT:
        return open_one(reader, TH_YAML_MAP, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return TH_OK;
    case YAML_DOCUMENT_START_EVENT:
        return reader->root == NULL
                   ? TH_OK
                   : wrong(reader, event->start_mark, "a file has one document");
    default:
        return TH_OK;
    }
}

static th_err complain(yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t at = parser->problem_mark;

    if (parser->error == YAML_MEMORY_ERROR) {
        return TH_QUOTA;
    }
    if (parser->error == YAML_READER_ERROR) {
        at = parser->mark;
    }
    return wrong(reader, at, parser->problem == NULL ? "not YAML" : parser->problem);
}

static th_err read_all(yaml_reader *reader)
{
    bool is_end = false;
    th_err err = TH_OK;

    while (!is_end && err == TH_OK) {
        yaml_event_t event;

        if (!yaml_parser_parse(&reader->parser, &event)) {
            return complain(reader);
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        err = take(reader, &event);
        yaml_event_delete(&event);
    }
    return err;
}

th_err th_yaml_decode(th_yaml **out, th_slice text, th_yaml_error *error)
{
    yaml_reader reader = {.error = error};
    th_err err;

    if (text.bytes > TH_YAML_BYTES_MAX) {
        return wrong(&reader, (yaml_mark_t){0}, "the file is larger than 1 MiB");
    }
    if (th_slice_starts(text, "\xef\xbb\xbf")) {
        text = th_slice_from(text, 3); /* some editors' mark of UTF-8 */
    }
    if (!yaml_parser_initialize(&reader.parser)) {
        return TH_QUOTA;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser,
                                 (const unsigned char *)(text.bytes == 0 ? ""
                                                                         : text.at),
                                 text.bytes);
    err = read_all(&reader);
    yaml_parser_delete(&reader.parser);
    th_yaml_free(reader.key);
    if (err != TH_OK) {
        th_yaml_free(reader.root);
        return err;
    }
    *out = reader.root;
    return TH_OK;
}

const th_yaml *th_yaml_get(const th_yaml *map, const char *key)
{
    const th_yaml *child = map->type == TH_YAML_MAP ? map->child : NULL;

    while (child != NULL && !th_slice_is(child->key, key)) {
        child = child->next;
    }
    return child;
}

const char *th_yaml_type_text(const th_yaml *yaml)
{
    return yaml->type == TH_YAML_LIST  ? "a list"
           : yaml->type == TH_YAML_MAP ? "a map"
                                       : "a text";
}
