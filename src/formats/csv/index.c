/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "formats/csv/index.h"
#include "formats/digits_simd.h"

struct wh_csv_dialect wh_csv_dialect_default(void)
{
    return (struct wh_csv_dialect){
        .delimiter = ",",
        .delimiter_n = 1,
        .quote = '"',
        .escape = -1,
        .comment = -1,
        .decimal = '.',
        .empty_null = true,
        .max_row = WH_CSV_MAX_ROW,
    };
}

bool wh_csv_add_null(struct wh_csv_dialect *d, struct wh_str text)
{
    if (!text.n) {
        d->empty_null = true;
        return true;
    }
    if (text.n > WH_CSV_NULL_TEXT_MAX || d->n_nulls == WH_CSV_NULLS_MAX)
        return false;
    struct wh_csv_null *null = &d->nulls[d->n_nulls++];
    memcpy(null->text, text.s, text.n);
    null->n = (uint8_t)text.n;
    return true;
}

void csv_index_free(struct csv_index *ix)
{
    wh_free(ix->at);
    wh_free(ix->rec);
    *ix = (struct csv_index){0};
}

static wh_status grow(uint32_t **v, size_t *cap, size_t need)
{
    if (need <= *cap)
        return WH_OK;
    size_t want = *cap ? *cap * 2 : 8192;
    while (want < need)
        want *= 2;
    uint32_t *p = wh_realloc(*v, want * sizeof **v);
    if (!p)
        return WH_E_NOMEM;
    *v = p;
    *cap = want;
    return WH_OK;
}

wh_status csv_index_grow(struct csv_index *ix, size_t at_more, size_t rec_more)
{
    WH_TRY(grow(&ix->at, &ix->cap, ix->n + at_more));
    return grow(&ix->rec, &ix->rec_cap, ix->n_rec + rec_more);
}

enum csv_simd csv_index_best(const struct wh_csv_dialect *d)
{
    if (d->delimiter_n != 1 || d->comment >= 0 || (d->escape >= 0 && d->escape != d->quote))
        return CSV_SCALAR;
#if defined(__x86_64__)
    return wh_has_avx2() ? CSV_AVX2 : CSV_SSE2;
#else
    return CSV_SCALAR;
#endif
}

/* ---- the scalar walk ------------------------------------------------------------------------- */

struct walk {
    struct csv_index *ix;
    const struct wh_csv_dialect *d;
    const uint8_t *p;
    size_t n, i;
    bool escapes; /* an escape byte other than the quote */
};

static bool at_delimiter(const struct walk *w)
{
    const struct wh_csv_dialect *d = w->d;
    if (w->p[w->i] != (uint8_t)d->delimiter[0])
        return false;
    return d->delimiter_n == 1 ||
           (w->n - w->i >= d->delimiter_n && !memcmp(w->p + w->i, d->delimiter, d->delimiter_n));
}

/* To the delimiter or record end of an unquoted field, or to the end of the window. */
static void walk_plain(struct walk *w)
{
    for (; w->i < w->n; w->i++) {
        uint8_t c = w->p[w->i];
        if (csv_is_end(c) || at_delimiter(w))
            return;
        if (w->escapes && c == (uint8_t)w->d->escape && w->i + 1 + w->ix->closing < w->n)
            w->i++;
    }
}

/* Behind the closing quote of a field whose opening quote is at i; false if it never closes. */
static bool walk_quoted(struct walk *w)
{
    uint8_t quote = (uint8_t)w->d->quote;
    size_t opened = w->i++;
    for (; w->i < w->n; w->i++) {
        uint8_t c = w->p[w->i];
        if (w->escapes && c == (uint8_t)w->d->escape) {
            w->i++;
        } else if (c == quote) {
            if (w->i + 1 >= w->n || w->p[w->i + 1] != quote || w->escapes) {
                w->i++;
                return true;
            }
            w->i++;
        }
    }
    w->i = w->n;
    w->ix->open = true;
    w->ix->opened_at = (uint32_t)opened;
    return false;
}

static wh_status put(struct walk *w, uint32_t flags, bool end)
{
    struct csv_index *ix = w->ix;
    WH_TRY(csv_index_grow(ix, 1, 1));
    if (end)
        ix->rec[ix->n_rec++] = (uint32_t)ix->n;
    ix->at[ix->n++] = (uint32_t)w->i | flags;
    ix->flagged |= flags != 0;
    return WH_OK;
}

/* One field and the structural behind it. False in *ret_more at the end of the window. */
static wh_status walk_field(struct walk *w, bool *ret_more, bool *ret_end)
{
    uint32_t flags = 0;
    *ret_more = false;
    if (w->d->quote >= 0 && w->i < w->n && w->p[w->i] == (uint8_t)w->d->quote) {
        if (!walk_quoted(w))
            return WH_OK;
        if (w->i < w->n && !csv_is_end(w->p[w->i]) && !at_delimiter(w))
            flags = CSV_AT_MALFORMED;
    }
    walk_plain(w);
    if (w->i >= w->n)
        return WH_OK;
    *ret_more = true;
    *ret_end = csv_is_end(w->p[w->i]);
    WH_TRY(put(w, flags, *ret_end));
    w->i = *ret_end ? csv_after_end(w->p, w->n, w->i) : w->i + w->d->delimiter_n;
    return WH_OK;
}

static wh_status walk_comment(struct walk *w, bool *ret_more)
{
    while (w->i < w->n && !csv_is_end(w->p[w->i]))
        w->i++;
    *ret_more = w->i < w->n;
    if (!*ret_more)
        return WH_OK;
    WH_TRY(put(w, CSV_AT_COMMENT, true));
    w->i = csv_after_end(w->p, w->n, w->i);
    return WH_OK;
}

static bool all_ascii(const uint8_t *p, size_t n)
{
    uint64_t any = 0, word;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        any |= word;
    }
    for (; i < n; i++)
        any |= (uint64_t)p[i];
    return !(any & 0x8080808080808080u);
}

static struct walk walk_of(struct csv_index *ix, const struct wh_csv_dialect *d, const void *p,
                           size_t n)
{
    return (struct walk){
        .ix = ix, .d = d, .p = p, .n = n, .escapes = d->escape >= 0 && d->escape != d->quote};
}

static wh_status index_scalar(struct csv_index *ix, const struct wh_csv_dialect *d,
                              const uint8_t *p, size_t n)
{
    struct walk w = {
        .ix = ix, .d = d, .p = p, .n = n, .escapes = d->escape >= 0 && d->escape != d->quote};
    bool more = true, start = true;
    ix->ascii = all_ascii(p, n);
    while (more && w.i < n) {
        if (start && d->comment >= 0 && p[w.i] == (uint8_t)d->comment)
            WH_TRY(walk_comment(&w, &more));
        else
            WH_TRY(walk_field(&w, &more, &start));
    }
    return WH_OK;
}

wh_status csv_index_run(struct csv_index *ix, const struct wh_csv_dialect *d, enum csv_simd simd,
                        const uint8_t *p, size_t n)
{
    ix->n = ix->n_rec = 0;
    ix->ascii = true;
    ix->open = ix->irregular = ix->flagged = false;
#if defined(__x86_64__)
    if (simd != CSV_SCALAR) {
        WH_TRY((simd == CSV_AVX2 ? csv_index_avx2 : csv_index_sse2)(ix, d, p, n));
        if (!ix->irregular)
            return WH_OK;
        ix->n = ix->n_rec = 0;
        ix->open = ix->irregular = false;
    }
#endif
    return index_scalar(ix, d, p, n);
}

size_t csv_index_end(const struct csv_index *ix, const uint8_t *p, size_t n)
{
    return ix->n_rec ? csv_after_end(p, n, ix->at[ix->rec[ix->n_rec - 1]] & CSV_AT_MASK) : 0;
}

size_t csv_unquote(const struct wh_csv_dialect *d, const uint8_t *s, size_t n, uint8_t *out)
{
    bool escapes = d->escape >= 0 && d->escape != d->quote;
    bool quoted = csv_is_quoted(d, s, n);
    size_t i = 0, k = 0;
    if (quoted) { /* the index only closes a field behind its closing quote */
        i = 1;
        n -= n > 1 && s[n - 1] == (uint8_t)d->quote;
    }
    for (; i < n; i++) {
        if (escapes && s[i] == (uint8_t)d->escape && i + 1 < n)
            i++;
        else if (quoted && !escapes && s[i] == (uint8_t)d->quote && i + 1 < n)
            i++;
        out[k++] = s[i];
    }
    return k;
}

/* ---- beginning in the middle ----------------------------------------------------------------- */

/* Walks from inside a record to its end. Returns the offset behind it, or -1. */
static int64_t first_start(struct walk *w, enum wh_csv_place place)
{
    bool quote_here =
        place == WH_CSV_FIELD && w->n && w->d->quote >= 0 && w->p[0] == (uint8_t)w->d->quote;
    if (place == WH_CSV_INSIDE)
        w->i = (size_t)-1; /* the opening quote lies before the text */
    if ((place == WH_CSV_INSIDE || quote_here) && !walk_quoted(w))
        return -1;
    walk_plain(w);
    while (w->i < w->n && !csv_is_end(w->p[w->i])) {
        w->i += w->d->delimiter_n;
        if (w->d->quote >= 0 && w->i < w->n && w->p[w->i] == (uint8_t)w->d->quote &&
            !walk_quoted(w))
            return -1;
        walk_plain(w);
    }
    if (w->i >= w->n || (w->p[w->i] == '\r' && w->i + 1 >= w->n))
        return -1;
    return (int64_t)csv_after_end(w->p, w->n, w->i);
}

int64_t wh_csv_sync(const struct wh_csv_dialect *d, const void *p, size_t n,
                    enum wh_csv_place place)
{
    struct csv_index none = {0};
    struct walk w = walk_of(&none, d, p, n);
    return first_start(&w, place);
}

/* Points of one record: 2 for one that is as it should be, 1 for one with quotes in odd places,
 * which a wrong guess makes of good ones. */
static int points(const struct csv_index *ix, const struct wh_csv_dialect *d, const uint8_t *p,
                  size_t n, size_t record, int64_t n_fields)
{
    size_t first = record ? ix->rec[record - 1] + 1 : 0, last = ix->rec[record];
    size_t start = record ? csv_after_end(p, n, ix->at[first - 1] & CSV_AT_MASK) : 0;
    bool odd = false;
    if ((int64_t)(last + 1 - first) != n_fields)
        return 0;
    for (size_t i = first; i <= last; i++) {
        size_t end = ix->at[i] & CSV_AT_MASK;
        odd |= (ix->at[i] & CSV_AT_MALFORMED) != 0;
        odd |= end > start && p[start] != (uint8_t)d->quote &&
               memchr(p + start, d->quote, end - start);
        start = end + d->delimiter_n;
    }
    return odd ? 1 : 2;
}

/* Inside quotes, the first closing quote must end a field. */
static bool closes_well(const struct wh_csv_dialect *d, const uint8_t *p, size_t n)
{
    struct csv_index none = {0};
    struct walk w = walk_of(&none, d, p, n);
    w.i = (size_t)-1;
    return walk_quoted(&w) && (w.i >= n || csv_is_end(p[w.i]) || at_delimiter(&w));
}

/* How well the records after the first line end fit, in per mille; -1 = no record. */
static int fitness(const struct wh_csv_dialect *d, const uint8_t *p, size_t n,
                   enum wh_csv_place place, int64_t n_fields)
{
    int64_t start = wh_csv_sync(d, p, n, place);
    if (start < 0 || (place == WH_CSV_INSIDE && !closes_well(d, p, n)))
        return -1;
    struct csv_index ix = {0};
    int64_t good = 0, all = 0;
    p += start;
    n -= (size_t)start;
    if (index_scalar(&ix, d, p, n) == WH_OK) {
        for (size_t r = 0; r < ix.n_rec; r++) {
            if (ix.at[ix.rec[r]] & CSV_AT_COMMENT)
                continue;
            all++;
            good += points(&ix, d, p, n, r, n_fields);
        }
    }
    csv_index_free(&ix);
    return all ? (int)(good * 1000 / all) : -1;
}

enum wh_csv_place wh_csv_guess_place(const struct wh_csv_dialect *d, const void *p, size_t n,
                                     int64_t n_fields)
{
    static const enum wh_csv_place places[] = {WH_CSV_OUTSIDE, WH_CSV_INSIDE, WH_CSV_FIELD};
    enum wh_csv_place best = WH_CSV_OUTSIDE;
    int most = -1;
    if (d->quote < 0 || !n || !memchr(p, d->quote, n))
        return best;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == WH_CSV_FIELD && *(const uint8_t *)p != (uint8_t)d->quote)
            continue;
        int fit = fitness(d, p, n, places[i], n_fields);
        if (fit > most) {
            most = fit;
            best = places[i];
        }
    }
    return best;
}
