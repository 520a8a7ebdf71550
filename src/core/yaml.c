/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML reader: libyaml's events to a tree, strictly. */
#include "core/tree.h"

#include "core/doc.h"
#include "core/yaml_traps.h"

#include <string.h>

#define MAX_ANCHORS  100
#define MAX_EXPANDED ((size_t)1 << 20)

struct anchor {
    const char *name;
    struct wh_node *node;
    size_t weight; /* bytes that an alias of it stands for */
};

struct reader {
    struct doc doc;
    struct yaml_source source;
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    struct anchor anchors[MAX_ANCHORS];
    size_t n_anchors;
    size_t weight;   /* of the tree so far, aliases written out */
    size_t expanded; /* of all aliases */
    int depth;
    bool split; /* the last flow value was cut by a comma: what follows is noise */
};

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

static int column_of(const yaml_event_t *event)
{
    return (int)event->start_mark.column + 1;
}

static int next(struct reader *r)
{
    if (r->have_event)
        yaml_event_delete(&r->event);
    r->have_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (r->have_event)
        return WH_OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return WH_E_NOMEM;
    yaml_explain(&r->doc, &r->source, &r->parser);
    return WH_E_USAGE;
}

static int refuse(struct reader *r, const char *code, const char *what)
{
    doc_problem(&r->doc, code, line_of(&r->event), column_of(&r->event), NULL, "%s", what);
    return WH_E_USAGE;
}

/* ---- anchors ------------------------------------------------------------------------------- */

static int keep_anchor(struct reader *r, const char *name, struct wh_node *node, size_t weight)
{
    if (!name)
        return WH_OK;
    if (r->n_anchors == MAX_ANCHORS) {
        doc_problem(&r->doc, "E1035", node->line, node->column, NULL,
                    "more than %d anchors in one document", MAX_ANCHORS);
        return WH_E_USAGE;
    }
    r->anchors[r->n_anchors++] = (struct anchor){name, node, weight};
    return WH_OK;
}

/* The event is an alias. The node is shared, not copied; what a walk over it costs is counted. */
static int follow_alias(struct reader *r, struct wh_node **ret)
{
    const char *name = (const char *)r->event.data.alias.anchor;

    for (size_t i = r->n_anchors; i-- > 0;) { /* the latest of a name counts */
        const struct anchor *anchor = &r->anchors[i];

        if (strcmp(anchor->name, name) != 0)
            continue;
        r->weight += anchor->weight;
        r->expanded += anchor->weight;
        if (r->expanded > MAX_EXPANDED)
            return refuse(r, "E1035", "aliases expand to more than 1 MB");
        *ret = anchor->node;
        return WH_OK;
    }
    yaml_refuse_alias(&r->doc, &r->source, &r->event);
    /* Go on: an unquoted pattern says nothing about the rest of the document. */
    return doc_node(&r->doc, WH_NODE_NULL, line_of(&r->event), column_of(&r->event), ret);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static bool is_null_word(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static int read_scalar(struct reader *r, const struct yaml_place *place, struct wh_node **ret)
{
    const yaml_event_t *event = &r->event;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct wh_node *node;

    r->split = !yaml_check_scalar(&r->doc, &r->source, event, place);
    WH_TRY(doc_node(&r->doc, WH_NODE_SCALAR, line_of(event), column_of(event), &node));
    node->quoted = !plain;
    node->text = wh_arena_strndup(r->doc.arena, (const char *)event->data.scalar.value,
                                  event->data.scalar.length);
    if (!node->text)
        return WH_E_NOMEM;
    if (plain && is_null_word(node->text))
        node->kind = WH_NODE_NULL;
    r->weight += event->data.scalar.length + 16;
    *ret = node;
    return WH_OK;
}

static int read_node(struct reader *r, const struct yaml_place *place, struct wh_node **ret);

static int read_list(struct reader *r, const struct yaml_place *outer, struct wh_node *list)
{
    bool flow = r->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    const struct yaml_place place = {.key = outer->key, .flow = flow};
    struct wh_node *item;

    for (;;) {
        WH_TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return WH_OK;
        WH_TRY(read_node(r, &place, &item));
        WH_TRY(wh_node_push(r->doc.arena, list, item));
    }
}

/* The event is a key's first. */
static int read_key(struct reader *r, bool flow, struct wh_node **ret)
{
    const struct yaml_place place = {.flow = flow, .is_key = true};

    if (r->event.type == YAML_ALIAS_EVENT)
        return refuse(r, "E1035", "a key that begins with '*' must be quoted");
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, "E1031", "a key must be a text");
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (r->event.data.scalar.length == 0)
        return refuse(r, "E1031", "a key is empty");
    if (r->event.data.scalar.anchor)
        return refuse(r, "E1035", "a key cannot have an anchor");
    WH_TRY(read_scalar(r, &place, ret));
    (*ret)->kind = WH_NODE_SCALAR; /* a key may be the word null */
    (*ret)->quoted = !plain;
    return WH_OK;
}

/* Adds the pairs of a merged map that the map does not have itself. */
static int merge_map(struct reader *r, struct wh_node *map, const struct wh_node *from)
{
    const struct wh_node *twin;

    if (from->kind != WH_NODE_MAP) {
        doc_problem(&r->doc, "E1041", from->line, from->column, "write <<: *name",
                    "'<<' takes a map, or a list of maps");
        return WH_OK;
    }
    for (size_t i = 0; i < from->n; i++)
        WH_TRY(doc_put_absent(&r->doc, map, from->keys[i], from->items[i], &twin));
    return WH_OK;
}

static int merge(struct reader *r, struct wh_node *map, const struct wh_node *from)
{
    if (from->kind != WH_NODE_LIST)
        return merge_map(r, map, from);
    for (size_t i = 0; i < from->n; i++)
        WH_TRY(merge_map(r, map, from->items[i]));
    return WH_OK;
}

static bool nothing_written(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag &&
           !event->data.scalar.anchor;
}

struct map_state {
    bool flow;
    struct wh_node *merged;   /* value of '<<' */
    struct wh_node *lone_key; /* first key of a flow map that has no value */
    bool colon;               /* ... but a colon */
    size_t entries;
};

/* One pair; the event is the key's. */
static int read_pair(struct reader *r, struct wh_node *map, struct map_state *state)
{
    struct wh_node *key, *value;
    bool after_split = r->split;

    WH_TRY(read_key(r, state->flow, &key));
    const struct yaml_place place = {.key = key, .flow = state->flow};

    struct wh_str rest = yaml_rest(&r->source, &r->event.end_mark);

    WH_TRY(next(r));
    if (state->flow && !after_split && !state->lone_key && nothing_written(&r->event)) {
        state->lone_key = key;
        state->colon = rest.n > 0 && *rest.s == ':';
    }
    WH_TRY(read_node(r, &place, &value));
    state->entries++;
    if (key->quoted || strcmp(key->text, "<<") != 0)
        return doc_put(&r->doc, map, key, value);
    if (state->merged) {
        doc_problem(&r->doc, "E1033", key->line, key->column, "write one: <<: [*a, *b]",
                    "'<<' is given twice in one map");
        return WH_OK;
    }
    state->merged = value;
    return WH_OK;
}

static int read_map(struct reader *r, struct wh_node *map)
{
    struct map_state state = {.flow = r->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE};

    r->split = false;
    for (;;) {
        WH_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            break;
        WH_TRY(read_pair(r, map, &state));
    }
    if (state.lone_key)
        yaml_refuse_lone_key(&r->doc, state.lone_key, state.colon, state.entries);
    return state.merged ? merge(r, map, state.merged) : WH_OK;
}

static int read_collection(struct reader *r, const struct yaml_place *place, struct wh_node **ret)
{
    bool map = r->event.type == YAML_MAPPING_START_EVENT;
    const char *tag =
        (const char *)(map ? r->event.data.mapping_start.tag : r->event.data.sequence_start.tag);

    if (tag)
        yaml_refuse_tag(&r->doc, &r->event, tag);
    if (++r->depth > DOC_MAX_DEPTH)
        return refuse(r, "E1040", "lists and maps are nested deeper than 64 levels");
    WH_TRY(doc_node(&r->doc, map ? WH_NODE_MAP : WH_NODE_LIST, line_of(&r->event),
                    column_of(&r->event), ret));
    r->weight += 16;
    WH_TRY(map ? read_map(r, *ret) : read_list(r, place, *ret));
    r->depth--;
    return WH_OK;
}

static const char *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

/* The value whose first event is read. */
static int read_node(struct reader *r, const struct yaml_place *place, struct wh_node **ret)
{
    const char *anchor = anchor_of(&r->event);
    size_t before = r->weight;

    if (anchor && !(anchor = wh_arena_strdup(r->doc.arena, anchor)))
        return WH_E_NOMEM;
    if (r->event.type == YAML_ALIAS_EVENT)
        return follow_alias(r, ret);
    if (r->event.type == YAML_SCALAR_EVENT)
        WH_TRY(read_scalar(r, place, ret));
    else
        WH_TRY(read_collection(r, place, ret));
    /* Known only when complete, so nothing can hold itself. */
    return keep_anchor(r, anchor, *ret, r->weight - before);
}

static int read_document(struct reader *r, struct wh_node **ret)
{
    const struct yaml_place top = {0};

    WH_TRY(next(r)); /* start of the stream */
    WH_TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT)
        return doc_node(&r->doc, WH_NODE_NULL, 1, 1, ret);
    if (r->event.data.document_start.tag_directives.start !=
        r->event.data.document_start.tag_directives.end)
        return refuse(r, "E1034", "%TAG is not used in job files");
    WH_TRY(next(r));
    WH_TRY(read_node(r, &top, ret));
    WH_TRY(next(r)); /* end of the document */
    WH_TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return refuse(r, "E1039", "a second document begins here; one file holds one");
    return WH_OK;
}

static int parse(struct reader *r, const char *text, size_t n, struct wh_node **ret)
{
    r->source = (struct yaml_source){.text = text, .n = n};
    if (!yaml_parser_initialize(&r->parser))
        return WH_E_NOMEM;
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, n);
    int st = read_document(r, ret);

    if (r->have_event)
        yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    return st;
}

int wh_yaml_parse(struct wh_arena *arena, const char *file, const char *text, size_t n,
                  struct wh_node **ret, struct wh_problems *problems)
{
    struct reader r = {.doc = {.arena = arena, .file = file, .problems = problems}};
    size_t before = problems->errors;
    struct wh_node *root;
    int st = doc_check_text(&r.doc, &text, &n, DOC_MAX_YAML, "E1031");

    if (st == WH_OK)
        st = parse(&r, text, n, &root);
    doc_done(&r.doc);
    if (st == WH_OK && problems->errors > before)
        st = WH_E_USAGE;
    if (st == WH_OK)
        *ret = root;
    return st;
}
