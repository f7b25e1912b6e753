/* SPDX-License-Identifier: MIT
 * Around libyaml's events. Its document API would be shorter, but it resolves aliases and forgets
 * that they were there, and it builds the whole tree before its depth can be judged. */
#include "base/yaml.h"

#include <string.h>

#include <yaml.h>

#include "base/check.h"

struct builder {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; replaced by advance */
    struct arena *arena;
    struct error *error;
};

static size_t event_line(const struct builder *builder)
{
    return builder->event.start_mark.line + 1;
}

static bool refuse(const struct builder *builder, const char *what)
{
    return error_set(builder->error, ERROR_USAGE, "line %zu: %s", event_line(builder), what);
}

/* Moves to the next event and refuses what Salvor's files never use. */
static bool advance(struct builder *builder)
{
    yaml_event_delete(&builder->event);
    if (!yaml_parser_parse(&builder->parser, &builder->event)) {
        const yaml_parser_t *parser = &builder->parser;
        size_t line = parser->problem_mark.line;
        if (line == 0 && parser->problem_offset > 0) {
            line = parser->mark.line; /* A reader error tells its offset alone. */
        }
        return error_set(builder->error, ERROR_USAGE, "line %zu: %s", line + 1,
                         parser->problem == NULL ? "not YAML" : parser->problem);
    }
    const yaml_event_t *event = &builder->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        anchor = event->data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL) {
        return refuse(builder, "anchors and aliases (& and *) are not supported; repeat the value");
    }
    return tag == NULL || refuse(builder, "tags (!) are not supported; write a plain value");
}

static struct span event_text(const struct builder *builder)
{
    CHECK(builder->event.type == YAML_SCALAR_EVENT);
    return (struct span){(const char *)builder->event.data.scalar.value,
                         builder->event.data.scalar.length};
}

static bool read_key(struct builder *builder, const struct yaml_node *mapping, struct span *key,
                     size_t *line)
{
    if (builder->event.type != YAML_SCALAR_EVENT) {
        return refuse(builder, "a key must be a word");
    }
    if (mapping->count >= YAML_ENTRIES_MAX) {
        return refuse(builder, "too many keys in one mapping");
    }
    *key = arena_copy(builder->arena, event_text(builder));
    *line = event_line(builder);
    const struct yaml_node *twin = yaml_get(mapping, key->data);
    if (twin != NULL) {
        return error_set(builder->error, ERROR_USAGE,
                         "line %zu: \"%.100s\" was already given in line %zu", *line, key->data,
                         twin->line);
    }
    return advance(builder);
}

static struct yaml_node *read_node(struct builder *builder, unsigned depth);

static bool read_children(struct builder *builder, struct yaml_node *parent, unsigned depth)
{
    bool is_mapping = parent->kind == YAML_KIND_MAPPING;
    yaml_event_type_t end = is_mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    struct yaml_node **link = &parent->first;
    if (!advance(builder)) {
        return false;
    }
    while (builder->event.type != end) {
        struct span key = SPAN_NONE;
        size_t line = 0;
        if (is_mapping && !read_key(builder, parent, &key, &line)) {
            return false;
        }
        struct yaml_node *child = read_node(builder, depth + 1);
        if (child == NULL) {
            return false;
        }
        if (is_mapping) {
            child->key = key;
            child->line = line;
        }
        *link = child;
        link = &child->next;
        parent->count++;
        if (!advance(builder)) {
            return false;
        }
    }
    return true;
}

static struct yaml_node *create_node(struct arena *arena, enum yaml_kind kind, size_t line)
{
    struct yaml_node *node = arena_take(arena, sizeof(*node));
    *node = (struct yaml_node){.kind = kind, .line = line};
    return node;
}

/* Reads the node that begins with the current event; afterwards the current event is its last. */
static struct yaml_node *read_node(struct builder *builder, unsigned depth)
{
    if (depth > YAML_DEPTH_MAX) {
        refuse(builder, "nested too deeply");
        return NULL;
    }
    if (builder->event.type == YAML_SCALAR_EVENT) {
        struct yaml_node *scalar =
            create_node(builder->arena, YAML_KIND_SCALAR, event_line(builder));
        scalar->text = arena_copy(builder->arena, event_text(builder));
        scalar->is_quoted = builder->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return scalar;
    }
    bool is_mapping = builder->event.type == YAML_MAPPING_START_EVENT;
    CHECK(is_mapping || builder->event.type == YAML_SEQUENCE_START_EVENT);
    struct yaml_node *node = create_node(
        builder->arena, is_mapping ? YAML_KIND_MAPPING : YAML_KIND_SEQUENCE, event_line(builder));
    return read_children(builder, node, depth) ? node : NULL;
}

static const struct yaml_node *read_document(struct builder *builder)
{
    if (!advance(builder) || !advance(builder)) { /* the start of the stream, then what is in it */
        return NULL;
    }
    if (builder->event.type == YAML_STREAM_END_EVENT) {
        return create_node(builder->arena, YAML_KIND_MAPPING, 1);
    }
    CHECK(builder->event.type == YAML_DOCUMENT_START_EVENT);
    if (!advance(builder)) {
        return NULL;
    }
    const struct yaml_node *root = read_node(builder, 1);
    if (root == NULL || !advance(builder) || !advance(builder)) { /* the document's end, the next */
        return NULL;
    }
    if (builder->event.type != YAML_STREAM_END_EVENT) {
        refuse(builder, "a second document; one file holds one");
        return NULL;
    }
    return root;
}

const struct yaml_node *yaml_parse(struct arena *arena, struct span text, struct error *error)
{
    if (text.size > YAML_SIZE_MAX) {
        error_set(error, ERROR_USAGE, "line 1: larger than %zu bytes", YAML_SIZE_MAX);
        return NULL;
    }
    struct builder builder = {.arena = arena, .error = error};
    CHECK(yaml_parser_initialize(&builder.parser));
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &builder.parser, (const unsigned char *)(text.size > 0 ? text.data : ""), text.size);
    const struct yaml_node *root = read_document(&builder);
    yaml_event_delete(&builder.event);
    yaml_parser_delete(&builder.parser);
    return root;
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
    if (node == NULL || node->kind != YAML_KIND_MAPPING) {
        return NULL;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (span_is(child->key, key)) {
            return child;
        }
    }
    return NULL;
}
