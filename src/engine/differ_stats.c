/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/differ.h"

#include <math.h>
#include <string.h>

enum {
    TEXT_MOST = 1 << 20, /* of a least or greatest value */
};

/* A value that is compared with others of its column. */
struct scalar {
    __int128 whole;
    double real;
    struct wh_bytes bytes;
};

struct extreme {
    bool any;
    struct scalar value;       /* bytes: of `kept` */
    struct wh_buf kept, shown; /* its bytes; its text */
};

struct column {
    int64_t nulls, bytes;
    struct wh_rowsum sum;
    struct extreme least, most;
};

struct wh_stats {
    int64_t n;
    struct column column[];
};

int wh_stats_new(int64_t n, struct wh_stats **ret, struct wh_error *reterr)
{
    struct wh_stats *s = wh_calloc(1, sizeof *s + (size_t)n * sizeof *s->column);

    if (!s)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for statistics");
    s->n = n;
    for (int64_t i = 0; i < n; i++) {
        struct extreme *both[] = {&s->column[i].least, &s->column[i].most};

        for (int k = 0; k < 2; k++)
            both[k]->kept = both[k]->shown = WH_BUF(TEXT_MOST);
    }
    *ret = s;
    return WH_OK;
}

void wh_stats_free(struct wh_stats *s)
{
    for (int64_t i = 0; s && i < s->n; i++) {
        struct extreme *both[] = {&s->column[i].least, &s->column[i].most};

        for (int k = 0; k < 2; k++) {
            wh_buf_free(&both[k]->kept);
            wh_buf_free(&both[k]->shown);
        }
    }
    wh_free(s);
}

enum family {
    NONE, /* no order that people would expect */
    WHOLE,
    REAL,
    BYTES,
};

static enum family family_of(enum wh_kind k)
{
    switch (k) {
    case WH_K_F32:
    case WH_K_F64:
        return REAL;
    case WH_K_UTF8:
    case WH_K_BINARY:
    case WH_K_FIXED:
    case WH_K_DICT:
        return BYTES;
    case WH_K_NULL:
    case WH_K_DEC256:
    case WH_K_DECTEXT:
    case WH_K_INTERVAL:
    case WH_K_LIST:
    case WH_K_STRUCT:
    case WH_K_MAP:
    case WH_K_COUNT:
        return NONE;
    default:
        return WHOLE;
    }
}

static struct scalar scalar_of(const struct wh_view *v, enum family f, int64_t i)
{
    struct scalar s = {0};

    if (f == BYTES)
        s.bytes = wh_view_bytes(v, i);
    else if (f == REAL)
        s.real = wh_view_f64(v, i);
    else if (v->type.kind == WH_K_DEC128)
        s.whole = wh_view_dec128(v, i);
    else if (v->type.kind == WH_K_U64)
        s.whole = wh_view_u64(v, i);
    else
        s.whole = wh_view_i64(v, i);
    return s;
}

static int order(const struct scalar *a, const struct scalar *b, enum family f)
{
    if (f == BYTES) {
        size_t n = a->bytes.n < b->bytes.n ? a->bytes.n : b->bytes.n;
        int c = n ? memcmp(a->bytes.p, b->bytes.p, n) : 0;

        return c ? c : (a->bytes.n > b->bytes.n) - (a->bytes.n < b->bytes.n);
    }
    if (f == REAL)
        return (a->real > b->real) - (a->real < b->real);
    return (a->whole > b->whole) - (a->whole < b->whole);
}

/* Row i is the new one: its text is made once per batch, not per row. */
static int keep(struct extreme *e, const struct wh_view *v, enum family f, int64_t i)
{
    e->any = true;
    e->value = scalar_of(v, f, i);
    wh_buf_clear(&e->kept);
    wh_buf_clear(&e->shown);
    if (f == BYTES) {
        struct wh_str clip = wh_str_clip((struct wh_str){e->value.bytes.p, e->value.bytes.n}, 4096);

        WH_TRY(wh_buf_add(&e->kept, clip.s, clip.n));
        e->value.bytes = (struct wh_bytes){e->kept.p, e->kept.n};
    }
    return wh_view_text(v, i, &e->shown) == WH_E_NOMEM ? WH_E_NOMEM : WH_OK;
}

static int extremes(struct column *c, const struct wh_view *v, const int32_t *rows, int64_t n)
{
    enum family f = family_of(v->type.kind);
    struct scalar low = c->least.value, high = c->most.value;
    bool any = c->least.any;
    int64_t at_low = -1, at_high = -1;

    for (int64_t k = 0; k < n; k++) {
        int64_t i = rows ? rows[k] : k;

        if (wh_view_null(v, i)) {
            c->nulls++;
            continue;
        }
        if (f == NONE)
            continue;
        struct scalar s = scalar_of(v, f, i);
        if (f == BYTES)
            c->bytes += (int64_t)s.bytes.n;
        if (f == REAL && isnan(s.real))
            continue;
        if (!any || order(&s, &low, f) < 0) {
            low = s;
            at_low = i;
        }
        if (!any || order(&s, &high, f) > 0) {
            high = s;
            at_high = i;
        }
        any = true;
    }
    if (at_low >= 0)
        WH_TRY(keep(&c->least, v, f, at_low));
    return at_high >= 0 ? keep(&c->most, v, f, at_high) : WH_OK;
}

int wh_stats_add(struct wh_stats *s, const struct wh_view *views, const int32_t *rows, int64_t n,
                 struct wh_error *reterr)
{
    for (int64_t i = 0; i < s->n; i++)
        if (wh_rowhash_add(&s->column[i].sum, &views[i], 1, rows, 0, n) != WH_OK ||
            extremes(&s->column[i], &views[i], rows, n) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for statistics");
    return WH_OK;
}

void wh_stats_of(const struct wh_stats *s, int64_t i, struct wh_column_stats *ret)
{
    const struct column *c = &s->column[i];

    *ret = (struct wh_column_stats){.nulls = c->nulls,
                                    .bytes = c->bytes,
                                    .sum = c->sum.sum,
                                    .least = c->least.any ? c->least.shown.p : NULL,
                                    .most = c->most.any ? c->most.shown.p : NULL};
    if (c->least.any && !ret->least)
        ret->least = "";
    if (c->most.any && !ret->most)
        ret->most = "";
}
