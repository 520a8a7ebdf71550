/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/differ.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 1 << 16,
    ROWS_MOST = 500000, /* rows of differing buckets that are kept, of each end: 16 MB */
    CELL_MOST = 200,    /* characters of a value that are shown */
};

struct bucket {
    struct wh_u128 sum;
    int64_t n;
};

struct entry {
    struct wh_u128 key, row;
};

/* A row to be fetched; texts[i] is column i's, NULL for NULL. */
struct wanted {
    struct entry id;
    char sign;
    size_t pair; /* place in the list of differences */
    bool there;
    char **texts;
};

struct wh_differ {
    int64_t n, n_keys, cap;
    int64_t *keys;
    struct wh_view *key_views;
    struct wh_u128 *key_hash, *row_hash; /* of a batch */
    struct bucket *bucket;
    bool *chosen; /* per bucket */
    bool more;    /* not all that differ are chosen */
    struct entry *entries;
    size_t n_entries, cap_entries;
    struct wanted *wanted; /* sorted by id */
    size_t n_wanted;
    struct wh_arena *arena; /* of the texts */
};

static int no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the rows that differ");
}

int wh_differ_new(int64_t n, const int64_t *keys, int64_t n_keys, struct wh_differ **ret,
                  struct wh_error *reterr)
{
    struct wh_differ *d = wh_calloc(1, sizeof *d);

    if (!d)
        return no_memory(reterr);
    d->n = n;
    d->n_keys = n_keys;
    d->keys = wh_calloc((size_t)n_keys + 1, sizeof *d->keys);
    d->key_views = wh_calloc((size_t)n_keys + 1, sizeof *d->key_views);
    d->bucket = wh_calloc(BUCKETS, sizeof *d->bucket);
    d->chosen = wh_calloc(BUCKETS, sizeof *d->chosen);
    d->arena = wh_arena_new(64 << 20);
    if (!d->keys || !d->key_views || !d->bucket || !d->chosen || !d->arena) {
        wh_differ_free(d);
        return no_memory(reterr);
    }
    if (n_keys)
        memcpy(d->keys, keys, (size_t)n_keys * sizeof *keys);
    *ret = d;
    return WH_OK;
}

void wh_differ_free(struct wh_differ *d)
{
    if (!d)
        return;
    wh_free(d->keys);
    wh_free(d->key_views);
    wh_free(d->key_hash);
    wh_free(d->row_hash);
    wh_free(d->bucket);
    wh_free(d->chosen);
    wh_free(d->entries);
    wh_free(d->wanted);
    wh_arena_free(d->arena);
    wh_free(d);
}

/* ---- reading ---- */

static int hash_batch(struct wh_differ *d, const struct wh_view *views, const int32_t *rows,
                      int64_t n)
{
    if (n > d->cap) {
        size_t size = (size_t)n * sizeof *d->row_hash;
        struct wh_u128 *k = wh_realloc(d->key_hash, size), *r;

        if (!k)
            return WH_E_NOMEM;
        d->key_hash = k;
        r = wh_realloc(d->row_hash, size);
        if (!r)
            return WH_E_NOMEM;
        d->row_hash = r;
        d->cap = n;
    }
    WH_TRY(wh_rowhash_each(views, d->n, rows, 0, n, d->row_hash));
    if (d->n_keys == 0) {
        if (n > 0)
            memcpy(d->key_hash, d->row_hash, (size_t)n * sizeof *d->row_hash);
        return WH_OK;
    }
    for (int64_t i = 0; i < d->n_keys; i++)
        d->key_views[i] = views[d->keys[i]];
    return wh_rowhash_each(d->key_views, d->n_keys, rows, 0, n, d->key_hash);
}

static size_t bucket_of(struct wh_u128 key)
{
    return (size_t)(key.lo & (BUCKETS - 1));
}

static int add_entry(struct wh_differ *d, struct wh_u128 key, struct wh_u128 row)
{
    if (d->n_entries == d->cap_entries) {
        size_t cap = d->cap_entries ? d->cap_entries * 2 : 1024;
        struct entry *more = wh_realloc(d->entries, cap * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        d->entries = more;
        d->cap_entries = cap;
    }
    d->entries[d->n_entries++] = (struct entry){key, row};
    return WH_OK;
}

static int order128(struct wh_u128 a, struct wh_u128 b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return (a.lo > b.lo) - (a.lo < b.lo);
}

static int order_entry(const struct entry *a, const struct entry *b)
{
    int c = order128(a->key, b->key);

    return c ? c : order128(a->row, b->row);
}

static struct wanted *find_wanted(struct wh_differ *d, const struct entry *e)
{
    size_t lo = 0, hi = d->n_wanted;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = order_entry(&d->wanted[mid].id, e);

        if (c == 0)
            return &d->wanted[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int fetch(struct wh_differ *d, struct wanted *w, const struct wh_view *views, int64_t row)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256 << 20);

    if (w->there)
        return WH_OK;
    w->there = true;
    w->texts = wh_arena_alloc(d->arena, (size_t)(d->n + 1) * sizeof *w->texts);
    if (!w->texts)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < d->n; i++) {
        if (wh_view_null(&views[i], row))
            continue;
        wh_buf_clear(&b);
        WH_TRY(wh_view_text(&views[i], row, &b));
        w->texts[i] = wh_arena_strndup(d->arena, b.n ? b.p : "", b.n);
        if (!w->texts[i])
            return WH_E_NOMEM;
    }
    return WH_OK;
}

/* The k-th of the batch's rows that count, and where it stands in the views. */
static int add_row(struct wh_differ *d, enum wh_pass pass, const struct wh_view *views, int64_t k,
                   int64_t row)
{
    struct entry e = {d->key_hash[k], d->row_hash[k]};
    struct bucket *b = &d->bucket[bucket_of(e.key)];
    struct wanted *w;

    if (pass == WH_PASS_SUM) {
        b->sum = wh_u128_add(b->sum, e.row);
        b->n++;
        return WH_OK;
    }
    if (!d->chosen[bucket_of(e.key)])
        return WH_OK;
    if (pass == WH_PASS_HASH)
        return add_entry(d, e.key, e.row);
    w = find_wanted(d, &e);
    return w ? fetch(d, w, views, row) : WH_OK;
}

int wh_differ_add(struct wh_differ *d, enum wh_pass pass, const struct wh_view *views,
                  const int32_t *rows, int64_t n, struct wh_error *reterr)
{
    int st = hash_batch(d, views, rows, n);

    for (int64_t k = 0; st == WH_OK && k < n; k++)
        st = add_row(d, pass, views, k, rows ? rows[k] : k);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- comparing ---- */

bool wh_differ_choose(struct wh_differ *a, struct wh_differ *b)
{
    int64_t rows_a = 0, rows_b = 0;
    bool any = false;

    for (size_t i = 0; i < BUCKETS; i++) {
        const struct bucket *x = &a->bucket[i], *y = &b->bucket[i];

        if (x->n == y->n && wh_u128_eq(x->sum, y->sum))
            continue;
        /* One bucket is looked at however large: at least something is named. */
        if (any && (rows_a + x->n > ROWS_MOST || rows_b + y->n > ROWS_MOST)) {
            a->more = b->more = true;
            continue;
        }
        any = a->chosen[i] = b->chosen[i] = true;
        rows_a += x->n;
        rows_b += y->n;
    }
    return any;
}

static int compare_entries(const void *a, const void *b)
{
    return order_entry(a, b);
}

static int compare_wanted(const void *a, const void *b)
{
    return order_entry(&((const struct wanted *)a)->id, &((const struct wanted *)b)->id);
}

struct pairing {
    struct wh_differ *a, *b;
    struct wh_differences *ret;
    size_t most, listed;
};

static void want(struct wh_differ *d, const struct entry *e, size_t pair)
{
    if (e)
        d->wanted[d->n_wanted++] = (struct wanted){.id = *e, .pair = pair};
}

static void differs(struct pairing *p, const struct entry *x, const struct entry *y)
{
    int64_t *count = x && y ? &p->ret->changed : x ? &p->ret->missing : &p->ret->extra;

    ++*count;
    if (p->listed == p->most)
        return;
    want(p->a, x, p->listed);
    want(p->b, y, p->listed);
    p->ret->v[p->listed++].sign = x && y ? '*' : x ? '-' : '+';
}

/* Rows of one key, sorted by their hashes: equal ones cancel, what is left is moved to the front
 * and paired as it comes. Without a key each row is its own, so nothing is ever paired. */
static void one_key(struct pairing *p, struct entry *x, size_t nx, struct entry *y, size_t ny)
{
    size_t i = 0, k = 0, left_x = 0, left_y = 0;

    while (i < nx || k < ny) {
        int c = i == nx ? 1 : k == ny ? -1 : order128(x[i].row, y[k].row);

        if (c < 0) {
            x[left_x++] = x[i++];
        } else if (c > 0) {
            y[left_y++] = y[k++];
        } else {
            i++;
            k++;
        }
    }
    for (i = 0; i < left_x || i < left_y; i++)
        differs(p, i < left_x ? &x[i] : NULL, i < left_y ? &y[i] : NULL);
}

static size_t same_key(const struct entry *v, size_t from, size_t n)
{
    size_t end = from;

    while (end < n && order128(v[end].key, v[from].key) == 0)
        end++;
    return end;
}

int wh_differ_pair(struct wh_differ *a, struct wh_differ *b, size_t most, struct wh_arena *arena,
                   struct wh_differences *ret, struct wh_error *reterr)
{
    struct pairing p = {a, b, ret, most, 0};
    size_t i = 0, k = 0;

    a->wanted = wh_calloc(most + 1, sizeof *a->wanted);
    b->wanted = wh_calloc(most + 1, sizeof *b->wanted);
    ret->v = wh_arena_alloc(arena, (most + 1) * sizeof *ret->v);
    if (!a->wanted || !b->wanted || !ret->v)
        return no_memory(reterr);
    if (a->n_entries)
        qsort(a->entries, a->n_entries, sizeof *a->entries, compare_entries);
    if (b->n_entries)
        qsort(b->entries, b->n_entries, sizeof *b->entries, compare_entries);
    while (i < a->n_entries || k < b->n_entries) {
        int c = i == a->n_entries   ? 1
                : k == b->n_entries ? -1
                                    : order128(a->entries[i].key, b->entries[k].key);
        size_t i_end = c <= 0 ? same_key(a->entries, i, a->n_entries) : i;
        size_t k_end = c >= 0 ? same_key(b->entries, k, b->n_entries) : k;

        one_key(&p, a->entries + i, i_end - i, b->entries + k, k_end - k);
        i = i_end;
        k = k_end;
    }
    ret->n = p.listed;
    ret->more = a->more;
    qsort(a->wanted, a->n_wanted, sizeof *a->wanted, compare_wanted);
    qsort(b->wanted, b->n_wanted, sizeof *b->wanted, compare_wanted);
    return WH_OK;
}

/* ---- words ---- */

static void cell(struct wh_buf *b, const char *text)
{
    if (!text) {
        wh_ignore(wh_buf_adds(b, "NULL"));
        return;
    }
    struct wh_str clip = wh_str_clip(wh_str(text), CELL_MOST);
    wh_ignore(wh_buf_printf(b, "'%.*s'%s", WH_STR_FMT(clip), text[clip.n] ? "..." : ""));
}

static bool in_key(const struct wh_differ *d, int64_t column)
{
    for (int64_t i = 0; i < d->n_keys; i++)
        if (d->keys[i] == column)
            return true;
    return d->n_keys == 0;
}

/* "id='3', day='2024-01-01'" */
static void key_words(const struct wh_differ *d, const struct wanted *w, const char *const *names,
                      struct wh_buf *b)
{
    for (int64_t i = 0; w && w->texts && i < d->n; i++) {
        if (!in_key(d, i))
            continue;
        wh_ignore(wh_buf_printf(b, "%s%s=", b->n ? ", " : "", names[i]));
        cell(b, w->texts[i]);
    }
}

/* "v: 'x' against 'y'" of each column that differs. */
static void change_words(const struct wh_differ *d, const struct wanted *x, const struct wanted *y,
                         const char *const *names, struct wh_buf *b)
{
    for (int64_t i = 0; x->texts && y->texts && i < d->n; i++) {
        const char *s = x->texts[i], *t = y->texts[i];

        if ((!s && !t) || (s && t && strcmp(s, t) == 0))
            continue;
        wh_ignore(wh_buf_printf(b, "%s%s: ", b->n ? ", " : "", names[i]));
        cell(b, s);
        wh_ignore(wh_buf_adds(b, " against "));
        cell(b, t);
    }
}

static const struct wanted *of_pair(const struct wh_differ *d, size_t pair)
{
    for (size_t i = 0; i < d->n_wanted; i++)
        if (d->wanted[i].pair == pair)
            return &d->wanted[i];
    return NULL;
}

/* Identical rows that stand twice were fetched once. */
static void share_texts(struct wh_differ *d)
{
    for (size_t i = 0; i < d->n_wanted; i++) {
        const struct wanted *first = find_wanted(d, &d->wanted[i].id);

        for (size_t k = 0; !d->wanted[i].texts && k < d->n_wanted; k++)
            if (order_entry(&d->wanted[k].id, &first->id) == 0)
                d->wanted[i].texts = d->wanted[k].texts;
    }
}

int wh_differ_texts(struct wh_differ *a, struct wh_differ *b, const char *const *names,
                    struct wh_arena *arena, struct wh_differences *ret, struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);

    share_texts(a);
    share_texts(b);
    for (size_t i = 0; i < ret->n; i++) {
        const struct wanted *x = of_pair(a, i), *y = of_pair(b, i);

        wh_buf_clear(&text);
        key_words(a, x ? x : y, names, &text);
        ret->v[i].key = wh_arena_strndup(arena, text.n ? text.p : "", text.n);
        wh_buf_clear(&text);
        if (x && y)
            change_words(a, x, y, names, &text);
        ret->v[i].what = wh_arena_strndup(arena, text.n ? text.p : "", text.n);
        if (!ret->v[i].key || !ret->v[i].what)
            return no_memory(reterr);
    }
    return WH_OK;
}
