/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions of whole columns: choosing the kernel, rejects with their words, copies. */
#include "data/lattice.h"
#include "data/column.h"
#include "data/internal.h"
#include "data/kernel.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_CHARS 80 /* of a value in a reject */

struct wh_convert {
    struct wh_job job;
    wh_kernel kernel;
    bool identity;
};

/* --------------------------------------------------------------------- choice */

static wh_status dict_by_policy(struct wh_job *);

static bool is_float(const struct wh_type *t)
{
    return wh_class_of(t->kind) == WH_C_FLOAT;
}

/* Does a policy ask for looking at values that would otherwise pass? */
static bool policy_acts(const struct wh_type *t, const struct wh_value_policy *p)
{
    if (is_float(t) || t->kind == WH_K_DECTEXT)
        return p->nan_null || p->infinity_null || p->nan_refuse || p->infinity_refuse;
    if (t->kind == WH_K_UTF8 || t->kind == WH_K_DICT)
        return p->empty_text_null || p->char_padding_trim;
    return false;
}

/* Same bytes in the same buffers, whatever the types are called. */
static bool same_storage(const struct wh_type *a, const struct wh_type *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case WH_K_DEC128:
    case WH_K_DEC256:
        return a->scale == b->scale;
    case WH_K_TIME64:
    case WH_K_DURATION:
        return a->unit == b->unit;
    case WH_K_TIMESTAMP:
        return a->unit == b->unit && a->zoned == b->zoned;
    default:
        return true;
    }
}

static wh_status refuse(const struct ArrowSchema *from, const struct wh_job *j, enum wh_fit fit,
                        const char *why, struct wh_error *reterr)
{
    struct wh_buf a WH_CLEANUP(wh_buf_free) = WH_BUF(4096),
                    b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    bool zone = j->to.kind == WH_K_TIMESTAMP && j->to.zoned && fit == WH_FIT_IMPOSSIBLE &&
                (j->from.kind == WH_K_TIMESTAMP || j->from.kind == WH_K_DATE32);
    int st;

    wh_ignore(wh_type_print(&j->from, &a));
    wh_ignore(wh_type_print(&j->to, &b));
    st = wh_fail(reterr, WH_E_TYPE,
                 fit == WH_FIT_LOSSY ? "E3004"
                 : zone              ? "E3011"
                                     : "E3003",
                 "column '%s': %s to %s: %s", from->name ? from->name : "", a.p ? a.p : "?",
                 b.p ? b.p : "?", why);
    if (fit == WH_FIT_LOSSY)
        wh_error_hint(reterr, "write accept_lossy: [%s] if that loss is meant",
                      from->name ? from->name : "");
    return st;
}

static wh_status set_up(struct wh_convert *c, const struct ArrowSchema *from,
                        const struct ArrowSchema *to, const struct wh_value_policy *policy,
                        struct wh_error *reterr)
{
    struct wh_job *j = &c->job;
    struct wh_buf words WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const char *why;

    WH_TRY(wh_type_of(from, &j->from, reterr));
    WH_TRY(wh_type_of(to, &j->to, reterr));
    j->policy = *policy;
    enum wh_fit fit = wh_lattice(&j->from, &j->to, &why);

    if (fit == WH_FIT_IMPOSSIBLE || (fit == WH_FIT_LOSSY && !policy->accept_lossy))
        return refuse(from, j, fit, why, reterr);
    bool passes = fit <= WH_FIT_WIDENING && same_storage(&j->from, &j->to);

    c->identity = passes && !policy_acts(&j->to, policy);
    c->kernel = c->identity ? wh_k_copy : wh_pairing(&j->from, &j->to)->kernel;
    if (passes && !c->identity && is_float(&j->to))
        c->kernel = wh_k_float_float;
    else if (passes && !c->identity && j->to.kind == WH_K_DECTEXT)
        c->kernel = wh_k_text_dectext;
    else if (passes && !c->identity)
        c->kernel = j->to.kind == WH_K_DICT ? dict_by_policy : wh_k_text_text;
    if (wh_type_print(&j->to, &words) == WH_OK)
        snprintf(j->type_text, sizeof j->type_text, "%s", words.p);
    j->from.field = j->to.field = NULL; /* the schemas are not ours to keep */
    return WH_OK;
}

wh_status wh_convert_new(const struct ArrowSchema *from, const struct ArrowSchema *to,
                         const struct wh_value_policy *policy, struct wh_convert **ret,
                         struct wh_error *reterr)
{
    struct wh_convert *c = wh_calloc(1, sizeof *c);

    if (!c)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a conversion");
    c->job.scratch = WH_BUF((size_t)1 << 30);
    int st = set_up(c, from, to, policy, reterr);

    if (st == WH_OK)
        *ret = c;
    else
        wh_convert_free(c);
    return st;
}

void wh_convert_free(struct wh_convert *c)
{
    if (c)
        wh_buf_free(&c->job.scratch);
    wh_free(c);
}

bool wh_convert_is_identity(const struct wh_convert *c)
{
    return c->identity;
}

wh_status wh_convert_run(struct wh_convert *c, const struct wh_view *in, int32_t column,
                         struct wh_column *out, struct wh_cell_reject *rejects, size_t cap,
                         size_t *ret_n, struct wh_error *reterr)
{
    struct wh_job *j = &c->job;
    int st;

    j->in = in;
    j->out = out;
    j->column = column;
    j->rejects = rejects;
    j->cap = cap;
    j->n_rejects = 0;
    j->reterr = reterr;
    if (in->type.kind != j->from.kind || out->type.kind != j->to.kind)
        return wh_fail(reterr, WH_E_BUG, "E9001", "column %d: a conversion of other types", column);
    st = c->kernel(j);
    *ret_n = j->n_rejects;
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory to convert column '%s'",
                       in->field->name ? in->field->name : "");
    if (st == WH_E_LIMIT)
        return wh_fail(reterr, st, "E8006", "column '%s': one batch of it is above 2 GiB",
                       in->field->name ? in->field->name : "");
    return st;
}

/* --------------------------------------------------------------------- blocks */

uint64_t wh_valid_bits(const struct wh_view *v, int64_t i, int m)
{
    uint64_t all = m == 64 ? UINT64_MAX : (UINT64_C(1) << m) - 1, bits = 0;
    int64_t at = i + v->offset;

    if (v->type.kind == WH_K_NULL)
        return 0;
    if (!v->validity)
        return all;
    int shift = (int)(at & 7), bytes = (shift + m + 7) / 8;

    memcpy(&bits, v->validity + (at >> 3), (size_t)(bytes < 8 ? bytes : 8));
    bits >>= shift;
    if (bytes > 8)
        bits |= (uint64_t)v->validity[(at >> 3) + 8] << (64 - shift);
    return bits & all;
}

void wh_pack_bools(struct wh_column *c, const uint8_t *bytes, int m)
{
    for (int k = 0; k < m; k++)
        c->data[(c->n + k) >> 3] |= (uint8_t)((unsigned)(bytes[k] & 1) << ((c->n + k) & 7));
}

/* -------------------------------------------------------------------- rejects */

/* The value as people read it, cut at a character. */
static void show_value(struct wh_job *j, int64_t row, char out[SHOWN_CHARS * 4 + 8])
{
    struct wh_buf *b = &j->scratch;
    size_t n, kept = 0;
    const char *s;

    wh_buf_clear(b);
    if (j->from.kind == WH_K_UTF8 || j->from.kind == WH_K_DECTEXT || j->from.kind == WH_K_DICT) {
        struct wh_bytes cell = wh_view_bytes(j->in, row);

        s = cell.p;
        n = cell.n;
    } else {
        if (wh_view_text(j->in, row, b) != WH_OK)
            wh_buf_clear(b);
        s = b->p;
        n = b->n;
    }
    for (int chars = 0; kept < n && chars < SHOWN_CHARS; chars++) {
        size_t len = wh_utf8_len(s + kept, n - kept);

        if (len > 1)
            memcpy(out + kept, s + kept, len);
        else
            out[kept] = len == 0 || (unsigned char)s[kept] < 0x20 ? '?' : s[kept];
        kept += len ? len : 1;
    }
    memcpy(out + kept, kept < n ? "..." : "", kept < n ? 4 : 1);
}

static const struct {
    char code[6];
    const char *words; /* behind the value; %s is the type */
} causes[] = {
    [WH_BAD_RANGE] = {"E6003", "does not fit %s"},
    [WH_BAD_DIGITS] = {"E6013", "has digits that %s would lose"},
    [WH_BAD_SYNTAX] = {"E6006", "cannot be read as %s"},
    [WH_BAD_DATE] = {"E6007", "is no date or time that exists (%s)"},
    [WH_BAD_NAN] = {"E6012", "cannot be held by %s"},
    [WH_BAD_LENGTH] = {"E6004", "is too long for %s"},
    [WH_BAD_NO_ZONE] = {"E6021", "has no time zone, %s needs one"},
    [WH_BAD_ZONE] = {"E6021", "has a time zone that %s would lose"},
};

wh_status wh_job_reject(struct wh_job *j, int64_t row, enum wh_cause cause)
{
    char value[SHOWN_CHARS * 4 + 8], words[120], text[sizeof value + sizeof words + 8];
    struct wh_cell_reject *r;

    if (j->n_rejects++ >= j->cap)
        return WH_OK;
    r = &j->rejects[j->n_rejects - 1];
    *r = (struct wh_cell_reject){.row = row, .column = j->column};
    memcpy(r->code, causes[cause].code, sizeof r->code);
    show_value(j, row, value);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* a const table above */
    snprintf(words, sizeof words, causes[cause].words, j->type_text);
#pragma GCC diagnostic pop
    size_t n = (size_t)snprintf(text, sizeof text, "'%s' %s", value, words);

    if (n >= sizeof r->text) { /* wide characters: shorten the value, keep the words */
        size_t keep = sizeof r->text - strlen(words) - 8;

        while (keep && ((unsigned char)value[keep] & 0xC0) == 0x80)
            keep--;
        value[keep] = 0;
        snprintf(text, sizeof text, "'%s...' %s", value, words);
    }
    memcpy(r->text, text, strnlen(text, sizeof r->text - 1)); /* r was zeroed */
    return WH_OK;
}

wh_status wh_job_rejects(struct wh_job *j, int64_t row, uint64_t mask)
{
    for (; mask; mask &= mask - 1) {
        int k = __builtin_ctzll(mask);

        if (j->cause[k] != WH_MAKE_NULL)
            WH_TRY(wh_job_reject(j, row + k, (enum wh_cause)j->cause[k]));
    }
    return WH_OK;
}

/* --------------------------------------------------------------------- copies */

wh_status wh_k_nulls(struct wh_job *j)
{
    for (int64_t i = 0; i < j->in->n; i++)
        WH_TRY(wh_col_null(j->out));
    return WH_OK;
}

wh_status wh_k_copy(struct wh_job *j)
{
    return wh_col_append(j->out, j->in, 0, j->in->n, j->reterr);
}

static wh_status append_bytes(struct wh_column *c, const struct wh_view *v, int64_t first,
                              int64_t n)
{
    for (int64_t i = first; i < first + n; i++) {
        if (wh_view_null(v, i)) {
            WH_TRY(wh_put_null(c));
            continue;
        }
        struct wh_bytes cell = wh_view_bytes(v, i);

        WH_TRY(wh_col_reserve(c, 1, cell.n)); /* a copy is not held to max_cell */
        if (cell.n)
            memcpy(c->data + c->data_n, cell.p, cell.n);
        c->data_n += cell.n;
        c->offsets[++c->n] = (int32_t)c->data_n;
    }
    return WH_OK;
}

static wh_status append_fixed(struct wh_column *c, const struct wh_view *v, int64_t first,
                              int64_t n)
{
    uint8_t bools[WH_BLOCK];

    WH_TRY(wh_col_reserve(c, n, 0));
    for (int64_t i = first; i < first + n; i += WH_BLOCK) {
        int m = first + n - i < WH_BLOCK ? (int)(first + n - i) : WH_BLOCK;

        if (c->width) {
            memcpy(c->data + c->n * c->width, (const uint8_t *)v->data + (i + v->offset) * c->width,
                   (size_t)m * (size_t)c->width);
        } else {
            for (int k = 0; k < m; k++)
                bools[k] = (uint8_t)wh_view_i64(v, i + k);
            wh_pack_bools(c, bools, m);
        }
        WH_TRY(wh_col_add_valid(c, wh_valid_bits(v, i, m), m));
    }
    return WH_OK;
}

/* Dictionary values of the batch are added once behind those that are there. */
static wh_status append_dict(struct wh_column *c, const struct wh_view *v, int64_t first, int64_t n,
                             struct wh_error *reterr)
{
    struct wh_view values;
    int64_t base = c->children[0].n;

    WH_TRY(wh_view_child(v, 0, &values, reterr));
    if (base + values.n > INT32_MAX)
        return WH_E_LIMIT;
    WH_TRY(wh_col_append(&c->children[0], &values, 0, values.n, reterr));
    for (int64_t i = first; i < first + n; i++) {
        if (wh_view_null(v, i))
            WH_TRY(wh_put_null(c));
        else
            WH_TRY(wh_put_i32(c, (int32_t)(base + wh_view_i64(v, i))));
    }
    return WH_OK;
}

/* Dictionary to dictionary when a policy looks at the values: each value once, not each row. */
static wh_status dict_by_policy(struct wh_job *j)
{
    struct wh_column *c = j->out, *values = c->children;
    int64_t base = values->n;
    struct wh_view dict;

    WH_TRY(wh_view_child(j->in, 0, &dict, j->reterr));
    for (int64_t i = 0; i < dict.n; i++) {
        struct wh_bytes cell = wh_view_bytes(&dict, i);

        wh_text_policy(&j->policy, &cell);
        WH_TRY(wh_put_bytes(values, cell.p, cell.n));
    }
    for (int64_t i = 0; i < j->in->n; i++) {
        int64_t k = wh_view_null(j->in, i) ? -1 : base + wh_view_i64(j->in, i);
        bool empty = k >= 0 && values->offsets[k] == values->offsets[k + 1];

        if (k < 0 || (empty && j->policy.empty_text_null))
            WH_TRY(wh_put_null(c));
        else
            WH_TRY(wh_put_i32(c, (int32_t)k));
    }
    return WH_OK;
}

static wh_status append_lists(struct wh_column *c, const struct wh_view *v, int64_t first,
                              int64_t n, struct wh_error *reterr)
{
    bool map = c->type.kind == WH_K_MAP;
    struct wh_view items, members[2];
    int64_t from, to;

    WH_TRY(wh_view_child(v, 0, &items, reterr));
    for (int k = 0; map && k < 2; k++)
        WH_TRY(wh_view_child(&items, k, &members[k], reterr));
    for (int64_t i = first; i < first + n; i++) {
        if (wh_view_null(v, i)) {
            WH_TRY(wh_col_null(c));
            continue;
        }
        wh_view_span(v, i, &from, &to);
        for (int k = 0; map && k < 2; k++)
            WH_TRY(
                wh_col_append(&c->children[0].children[k], &members[k], from, to - from, reterr));
        if (!map)
            WH_TRY(wh_col_append(&c->children[0], &items, from, to - from, reterr));
        WH_TRY(wh_col_close(c));
    }
    return WH_OK;
}

static wh_status append_structs(struct wh_column *c, const struct wh_view *v, int64_t first,
                                int64_t n, struct wh_error *reterr)
{
    struct wh_view member;

    for (int64_t k = 0; k < c->n_children; k++) {
        WH_TRY(wh_view_child(v, k, &member, reterr));
        WH_TRY(wh_col_append(&c->children[k], &member, first, n, reterr));
    }
    WH_TRY(wh_col_reserve(c, n, 0));
    for (int64_t i = first; i < first + n; i += WH_BLOCK) {
        int m = first + n - i < WH_BLOCK ? (int)(first + n - i) : WH_BLOCK;

        WH_TRY(wh_col_add_valid(c, wh_valid_bits(v, i, m), m));
    }
    return WH_OK;
}

wh_status wh_col_append(struct wh_column *c, const struct wh_view *v, int64_t first, int64_t n,
                        struct wh_error *reterr)
{
    if (v->type.kind != c->type.kind)
        return WH_E_BUG;
    switch (c->type.kind) {
    case WH_K_NULL:
        for (int64_t i = 0; i < n; i++)
            WH_TRY(wh_col_null(c));
        return WH_OK;
    case WH_K_UTF8:
    case WH_K_DECTEXT:
    case WH_K_BINARY:
        return append_bytes(c, v, first, n);
    case WH_K_DICT:
        return append_dict(c, v, first, n, reterr);
    case WH_K_LIST:
    case WH_K_MAP:
        return append_lists(c, v, first, n, reterr);
    case WH_K_STRUCT:
        return append_structs(c, v, first, n, reterr);
    default:
        return append_fixed(c, v, first, n);
    }
}

wh_status wh_utf8_repair(const char *s, size_t n, struct wh_buf *out)
{
    size_t i = 0, good = 0;

    while (i < n) {
        size_t len = wh_utf8_len(s + i, n - i);

        if (len) {
            i += len;
            continue;
        }
        WH_TRY(wh_buf_add(out, s + good, i - good));
        WH_TRY(wh_buf_add(out, "\xEF\xBF\xBD", 3));
        good = ++i;
    }
    return wh_buf_add(out, s + good, n - good);
}
