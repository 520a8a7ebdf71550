/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas that own their memory, and the key-value metadata of fields. */
#include "data/type.h"
#include "data/internal.h"

#include <string.h>

/* Metadata of foreign schemas has no total length; these caps bound what we believe. */
#define META_PAIRS_MAX 4096
#define META_TEXT_MAX  (1 << 20)

static void release_owned(struct ArrowSchema *s)
{
    for (int64_t i = 0; s->children && i < s->n_children; i++) {
        if (s->children[i] && s->children[i]->release)
            s->children[i]->release(s->children[i]);
        wh_free(s->children[i]);
    }
    wh_free(s->children);
    if (s->dictionary && s->dictionary->release)
        s->dictionary->release(s->dictionary);
    wh_free(s->dictionary);
    wh_free((void *)(uintptr_t)s->format);
    wh_free((void *)(uintptr_t)s->name);
    wh_free((void *)(uintptr_t)s->metadata);
    *s = (struct ArrowSchema){0};
}

/* Of a packed tree's inner nodes, and of what is lent: another frees them. */
static void release_part(struct ArrowSchema *s)
{
    *s = (struct ArrowSchema){0};
}

/* Of the root: its private data is the block. */
static void release_packed(struct ArrowSchema *s)
{
    wh_free(s->private_data);
    *s = (struct ArrowSchema){0};
}

static bool is_shared(const struct ArrowSchema *s)
{
    return s->release == release_part || s->release == release_packed;
}

wh_status wh_schema_own(struct ArrowSchema *ret, const char *format, const char *name,
                        int64_t flags, int64_t n_children)
{
    struct ArrowSchema s = {.release = release_owned, .flags = flags};

    s.format = wh_strdup(format);
    s.name = wh_strdup(name ? name : "");
    if (n_children > 0)
        s.children = wh_calloc((size_t)n_children, sizeof *s.children);
    if (!s.format || !s.name || (n_children > 0 && !s.children))
        goto nomem;
    s.n_children = n_children;
    for (int64_t i = 0; i < n_children; i++)
        if (!(s.children[i] = wh_calloc(1, sizeof **s.children)))
            goto nomem;
    *ret = s;
    return WH_OK;
nomem:
    release_owned(&s);
    return WH_E_NOMEM;
}

wh_status wh_schema_own_dictionary(struct ArrowSchema *s)
{
    struct ArrowSchema *values = wh_calloc(1, sizeof *values);

    if (!values)
        return WH_E_NOMEM;
    s->dictionary = values;
    return wh_schema_own(values, "u", "", ARROW_FLAG_NULLABLE, 0);
}

wh_status wh_schema_init(struct ArrowSchema *ret, int64_t n_columns)
{
    return wh_schema_own(ret, "+s", "", 0, n_columns);
}

/* ------------------------------------------------------------------- metadata
 * Layout (Arrow C data interface): int32 pairs, then per pair int32 length and bytes of the key,
 * int32 length and bytes of the value; native byte order. */

struct cursor {
    const char *p;
    int32_t left; /* pairs */
};

static struct cursor meta_begin(const char *metadata)
{
    struct cursor c = {0};

    if (metadata) {
        memcpy(&c.left, metadata, 4);
        c.p = metadata + 4;
        if (c.left < 0 || c.left > META_PAIRS_MAX)
            c.left = 0;
    }
    return c;
}

static bool meta_text(struct cursor *c, struct wh_str *ret)
{
    int32_t n;

    memcpy(&n, c->p, 4);
    if (n < 0 || n > META_TEXT_MAX)
        return false;
    *ret = (struct wh_str){c->p + 4, (size_t)n};
    c->p += 4 + n;
    return true;
}

static bool meta_next(struct cursor *c, struct wh_str *key, struct wh_str *value)
{
    return c->left-- > 0 && meta_text(c, key) && meta_text(c, value);
}

static const char *meta_find(const char *metadata, struct wh_str key, struct wh_str *ret)
{
    struct cursor c = meta_begin(metadata);
    struct wh_str k, v;

    while (meta_next(&c, &k, &v))
        if (wh_str_eq(k, key)) {
            *ret = v;
            return v.s;
        }
    return NULL;
}

const char *wh_meta_get(const struct ArrowSchema *field, const char *key, struct wh_str *ret)
{
    struct wh_str found = {0};
    const char *p = meta_find(field->metadata, wh_str(key), &found);

    if (p && ret)
        *ret = found;
    return p;
}

bool wh_meta_each(const struct ArrowSchema *field, int64_t i, struct wh_str *key,
                  struct wh_str *value)
{
    struct cursor c = meta_begin(field->metadata);

    while (meta_next(&c, key, value))
        if (i-- == 0)
            return true;
    return false;
}

/* As long as it is: a schema is kept for long, and there may be thousands. */
static char *take_exactly(struct wh_buf *b)
{
    char *exact = wh_realloc(b->p, b->n + 1);

    if (exact) {
        b->p = exact;
        b->cap = b->n + 1;
    }
    return wh_buf_take(b);
}

static wh_status add_text(struct wh_buf *b, struct wh_str text)
{
    int32_t n = (int32_t)text.n;

    WH_TRY(wh_buf_add(b, &n, 4));
    return wh_buf_add(b, text.s, text.n);
}

wh_status wh_meta_put(struct ArrowSchema *field, struct wh_str key, struct wh_str value)
{
    struct wh_buf out WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct cursor c = meta_begin(field->metadata);
    struct wh_str k, v;
    int32_t pairs = 0;

    if (is_shared(field))
        return WH_E_BUG;
    if (value.n > META_TEXT_MAX || key.n > META_TEXT_MAX)
        return WH_E_LIMIT;
    WH_TRY(wh_buf_add(&out, &pairs, 4));
    while (meta_next(&c, &k, &v))
        if (!wh_str_eq(k, key)) {
            WH_TRY(add_text(&out, k));
            WH_TRY(add_text(&out, v));
            pairs++;
        }
    if (pairs >= META_PAIRS_MAX)
        return WH_E_LIMIT;
    if (value.s) {
        WH_TRY(add_text(&out, key));
        WH_TRY(add_text(&out, value));
        pairs++;
    }
    memcpy(out.p, &pairs, 4);
    wh_free((void *)(uintptr_t)field->metadata);
    field->metadata = take_exactly(&out);
    return WH_OK;
}

wh_status wh_meta_set(struct ArrowSchema *field, const char *key, const char *value)
{
    return wh_meta_put(field, wh_str(key), value ? wh_str(value) : (struct wh_str){0});
}

static wh_status copy_metadata(const struct ArrowSchema *from, struct ArrowSchema *to)
{
    struct wh_buf out WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct cursor c = meta_begin(from->metadata);
    struct wh_str k, v;
    int32_t pairs = 0;

    if (!from->metadata)
        return WH_OK;
    WH_TRY(wh_buf_add(&out, &pairs, 4));
    for (; meta_next(&c, &k, &v); pairs++) {
        WH_TRY(add_text(&out, k));
        WH_TRY(add_text(&out, v));
    }
    memcpy(out.p, &pairs, 4);
    to->metadata = take_exactly(&out);
    return WH_OK;
}

/* -------------------------------------------------------------------- fields */

static wh_status copy_field(const struct ArrowSchema *from, struct ArrowSchema *to)
{
    WH_TRY(wh_schema_own(to, from->format, from->name, from->flags, from->n_children));
    WH_TRY(copy_metadata(from, to));
    for (int64_t i = 0; i < from->n_children; i++)
        WH_TRY(copy_field(from->children[i], to->children[i]));
    if (from->dictionary) {
        if (!(to->dictionary = wh_calloc(1, sizeof *to->dictionary)))
            return WH_E_NOMEM;
        WH_TRY(copy_field(from->dictionary, to->dictionary));
    }
    return WH_OK;
}

wh_status wh_schema_copy(const struct ArrowSchema *from, struct ArrowSchema *ret)
{
    struct ArrowSchema s = {0};
    int st = copy_field(from, &s);

    if (st == WH_OK)
        *ret = s;
    else if (s.release)
        s.release(&s);
    return st;
}

/* ---------------------------------------------------------- packed and lent
 * A packed tree: structs of all levels, then the arrays of pointers, then the texts. */

/* Bytes of the pairs that can be read, and how many these are. */
static size_t metadata_size(const char *metadata, int32_t *ret_pairs)
{
    struct cursor c = meta_begin(metadata);
    const char *end = c.p;
    struct wh_str k, v;

    for (*ret_pairs = 0; meta_next(&c, &k, &v); ++*ret_pairs)
        end = c.p;
    return metadata ? (size_t)(end - metadata) : 0;
}

struct packing {
    size_t structs, pointers, text; /* counted first, then what is left */
    struct ArrowSchema *next_struct;
    struct ArrowSchema **next_pointer;
    char *next_text;
};

static void count_packed(const struct ArrowSchema *s, struct packing *p)
{
    int32_t pairs;

    p->text += strlen(s->format) + strlen(s->name ? s->name : "") + 2;
    p->text += metadata_size(s->metadata, &pairs);
    p->pointers += (size_t)s->n_children;
    p->structs += (size_t)s->n_children + (s->dictionary != NULL);
    for (int64_t i = 0; i < s->n_children; i++)
        count_packed(s->children[i], p);
    if (s->dictionary)
        count_packed(s->dictionary, p);
}

static char *pack_text(struct packing *p, const char *text, size_t n)
{
    char *at = p->next_text;

    memcpy(at, text, n);
    p->next_text += n;
    return at;
}

static void pack(const struct ArrowSchema *from, struct ArrowSchema *to, struct packing *p)
{
    const char *name = from->name ? from->name : "";
    int32_t pairs;

    *to = (struct ArrowSchema){
        .flags = from->flags, .n_children = from->n_children, .release = release_part};
    to->format = pack_text(p, from->format, strlen(from->format) + 1);
    to->name = pack_text(p, name, strlen(name) + 1);
    if (from->metadata) {
        size_t n = metadata_size(from->metadata, &pairs);

        to->metadata = memcpy(pack_text(p, from->metadata, n), &pairs, sizeof pairs);
    }
    if (from->n_children)
        to->children = p->next_pointer;
    p->next_pointer += from->n_children;
    for (int64_t i = 0; i < from->n_children; i++)
        to->children[i] = p->next_struct++;
    if (from->dictionary)
        to->dictionary = p->next_struct++;
    for (int64_t i = 0; i < from->n_children; i++)
        pack(from->children[i], to->children[i], p);
    if (from->dictionary)
        pack(from->dictionary, to->dictionary, p);
}

wh_status wh_schema_pack(struct ArrowSchema *s)
{
    struct packing p = {0};
    struct ArrowSchema packed;

    if (s->release == release_packed)
        return WH_OK;
    count_packed(s, &p);
    size_t heads = p.structs * sizeof(struct ArrowSchema) + p.pointers * sizeof(void *);
    char *block = wh_alloc(heads + p.text);

    if (!block)
        return WH_E_NOMEM;
    p.next_struct = (struct ArrowSchema *)block;
    p.next_pointer = (struct ArrowSchema **)(block + p.structs * sizeof(struct ArrowSchema));
    p.next_text = block + heads;
    pack(s, &packed, &p);
    packed.private_data = block;
    packed.release = release_packed;
    s->release(s);
    *s = packed;
    return WH_OK;
}

void wh_schema_lend(const struct ArrowSchema *from, struct ArrowSchema *ret)
{
    *ret = *from;
    ret->private_data = NULL;
    ret->release = release_part;
}

/* Children (or dictionary) of a nested type's own field. */
static wh_status nest(struct ArrowSchema *s, const struct wh_type *t)
{
    if (t->kind == WH_K_DICT)
        return wh_schema_own_dictionary(s);
    for (int64_t i = 0; i < s->n_children; i++)
        WH_TRY(copy_field(t->field->children[i], s->children[i]));
    return WH_OK;
}

static wh_status describe(struct ArrowSchema *s, const struct wh_type *t, const char *const *meta)
{
    struct wh_buf number WH_CLEANUP(wh_buf_free) = WH_BUF(32);

    if (t->kind == WH_K_DECTEXT)
        WH_TRY(wh_meta_set(s, WH_META_LOGICAL, "decimal_text"));
    else if (t->logical != WH_L_NONE)
        WH_TRY(wh_meta_set(s, WH_META_LOGICAL, wh_logical_name(t->logical)));
    if (t->length > 0 && t->kind != WH_K_FIXED) {
        WH_TRY(wh_buf_printf(&number, "%lld", (long long)t->length));
        WH_TRY(wh_meta_set(s, WH_META_LENGTH, number.p));
    }
    for (; meta && meta[0]; meta += 2)
        if (meta[1])
            WH_TRY(wh_meta_set(s, meta[0], meta[1]));
    return WH_OK;
}

wh_status wh_field_init(struct ArrowSchema *ret, const char *name, const struct wh_type *t,
                        const char *const *meta)
{
    struct ArrowSchema s = {0};
    bool with_children = t->kind == WH_K_LIST || t->kind == WH_K_STRUCT || t->kind == WH_K_MAP;
    char format[32];

    if (!wh_type_format(t, format) || (with_children && !t->field))
        return WH_E_TYPE;
    int st = wh_schema_own(&s, format, name, t->nullable ? ARROW_FLAG_NULLABLE : 0,
                           with_children ? t->field->n_children : 0);

    if (st == WH_OK && t->kind >= WH_K_LIST)
        st = nest(&s, t);
    if (st == WH_OK)
        st = describe(&s, t, meta);
    if (st == WH_OK)
        *ret = s;
    else if (s.release)
        s.release(&s);
    return st;
}

wh_status wh_schema_set(struct ArrowSchema *s, int64_t i, const char *name, const struct wh_type *t,
                        const char *const *meta)
{
    if (i < 0 || i >= s->n_children || s->children[i]->release)
        return WH_E_BUG;
    return wh_field_init(s->children[i], name, t, meta);
}

wh_status wh_field_rename(struct ArrowSchema *field, const char *name)
{
    if (is_shared(field))
        return WH_E_BUG;
    char *copy = wh_strdup(name);

    if (!copy)
        return WH_E_NOMEM;
    wh_free((void *)(uintptr_t)field->name);
    field->name = copy;
    return WH_OK;
}

int64_t wh_schema_find(const struct ArrowSchema *s, struct wh_str name, bool ignore_case)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        const char *have = s->children[i]->name;

        if (have && (ignore_case ? wh_str_ieqs(name, have) : wh_str_eqs(name, have)))
            return i;
    }
    return -1;
}

static bool metadata_equal(const char *a, const char *b)
{
    struct cursor c = meta_begin(a), d = meta_begin(b);
    struct wh_str k, v, other;

    if (c.left != d.left)
        return false;
    while (meta_next(&c, &k, &v))
        if (!meta_find(b, k, &other) || !wh_str_eq(v, other))
            return false;
    return true;
}

bool wh_schema_equal(const struct ArrowSchema *a, const struct ArrowSchema *b)
{
    if (strcmp(a->format, b->format) != 0 || a->flags != b->flags ||
        a->n_children != b->n_children || !a->dictionary != !b->dictionary ||
        strcmp(a->name ? a->name : "", b->name ? b->name : "") != 0 ||
        !metadata_equal(a->metadata, b->metadata))
        return false;
    for (int64_t i = 0; i < a->n_children; i++)
        if (!wh_schema_equal(a->children[i], b->children[i]))
            return false;
    return !a->dictionary || wh_schema_equal(a->dictionary, b->dictionary);
}
