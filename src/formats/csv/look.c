/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the beginning of a file: marks, `sep=`, skipped lines, delimiter, header, names. */
#include <stdio.h>
#include <string.h>

#include "data/number.h"
#include "formats/csv/sample.h"
#include "formats/textin.h"

enum {
    TRY_BYTES = 64 * 1024, /* of the sample, to choose a delimiter */
    TRY_ROWS = 200,
    COLUMNS_MAX = 16384, /* names are compared with each other */
};

void wh_csv_shape_free(struct wh_csv_shape *s)
{
    for (int64_t i = 0; s->names && i < s->n_columns; i++)
        wh_free(s->names[i]);
    wh_free(s->names);
    *s = (struct wh_csv_shape){0};
}

void csv_note(char *note, size_t cap, const char *text)
{
    size_t n = strlen(note);
    if (n < cap)
        snprintf(note + n, cap - n, "%s%s", n ? "; " : "", text);
}

/* ---- samples --------------------------------------------------------------------------------- */

wh_status csv_sample_open(struct csv_sample *s, const struct wh_csv_dialect *d, const void *p,
                          size_t n, bool whole)
{
    *s = (struct csv_sample){.d = d};
    s->buf = wh_alloc(n + CSV_PADDING + 1);
    s->scratch = wh_alloc(n + CSV_PADDING + 1);
    if (!s->buf || !s->scratch)
        return WH_E_NOMEM;
    memcpy(s->buf, p, n);
    if (whole && n && s->buf[n - 1] == 0x1a)
        n--;
    s->ix.closing = whole && n && !csv_is_end(s->buf[n - 1]);
    if (s->ix.closing)
        s->buf[n++] = '\n';
    memset(s->buf + n, 0, CSV_PADDING);
    WH_TRY(csv_index_run(&s->ix, d, csv_index_best(d), s->buf, n));
    if (whole && !s->ix.closing && !s->ix.open && csv_index_end(&s->ix, s->buf, n) < n) {
        s->ix.closing = true; /* the line end that is there is escaped */
        s->buf[n++] = '\n';
        WH_TRY(csv_index_run(&s->ix, d, CSV_SCALAR, s->buf, n));
    }
    s->n = n;
    if (!whole && s->ix.n_rec && n && s->buf[n - 1] == '\r')
        s->ix.n_rec--;
    return WH_OK;
}

void csv_sample_close(struct csv_sample *s)
{
    csv_index_free(&s->ix);
    wh_free(s->buf);
    wh_free(s->scratch);
    *s = (struct csv_sample){0};
}

size_t csv_sample_start(const struct csv_sample *s, size_t record)
{
    if (!record)
        return 0;
    return csv_after_end(s->buf, s->n, s->ix.at[s->ix.rec[record - 1]] & CSV_AT_MASK);
}

int64_t csv_sample_fields(const struct csv_sample *s, size_t record)
{
    size_t first = record ? s->ix.rec[record - 1] + 1 : 0, last = s->ix.rec[record];
    if (s->ix.at[last] & CSV_AT_COMMENT)
        return 0;
    size_t n = last - first + 1;
    if (n == 1 && (s->ix.at[last] & CSV_AT_MASK) == csv_sample_start(s, record))
        return 0;
    return (int64_t)n;
}

struct wh_str csv_sample_cell(const struct csv_sample *s, size_t record, int64_t field,
                              bool *ret_quoted)
{
    const uint32_t *at = s->ix.at + (record ? s->ix.rec[record - 1] + 1 : 0) + field;
    size_t from = field ? (at[-1] & CSV_AT_MASK) + s->d->delimiter_n : csv_sample_start(s, record);
    const uint8_t *p = s->buf + from;
    size_t n = (at[0] & CSV_AT_MASK) - from;
    *ret_quoted = csv_is_quoted(s->d, p, n);
    if (!*ret_quoted && s->d->escape < 0)
        return (struct wh_str){(const char *)p, n};
    n = csv_unquote(s->d, p, n, s->scratch);
    return (struct wh_str){(const char *)s->scratch, n};
}

/* ---- the first bytes --------------------------------------------------------------------------
 */

struct look {
    const struct wh_csv_ask *ask;
    const char *p;
    size_t n, at; /* at: behind what was dropped */
    int64_t line; /* of `at`, from 1 */
    bool whole;
    struct wh_csv_shape *shape;
};

static size_t line_end(const struct look *l, size_t at)
{
    while (at < l->n && !csv_is_end((uint8_t)l->p[at]))
        at++;
    return at;
}

static void drop_line(struct look *l)
{
    size_t end = line_end(l, l->at);
    l->at = end < l->n ? csv_after_end((const uint8_t *)l->p, l->n, end) : l->n;
    l->line++;
}

static void drop_mark(struct look *l)
{
    if (l->n >= 3 && !memcmp(l->p, "\xef\xbb\xbf", 3)) {
        l->at = 3;
        csv_note(l->shape->note, sizeof l->shape->note, "byte order mark dropped");
    }
}

/* "sep=;" as spreadsheet programs write it. */
static bool drop_sep(struct look *l)
{
    const char *s = l->p + l->at;
    size_t end = line_end(l, l->at) - l->at;
    if (end < 5 || end > 6 || memcmp(s, "sep=", 4) != 0)
        return false;
    if (l->ask->delimiter_auto) {
        l->shape->dialect.delimiter[0] = s[4];
        l->shape->dialect.delimiter_n = 1;
    }
    drop_line(l);
    csv_note(l->shape->note, sizeof l->shape->note, "sep= line dropped");
    return true;
}

/* ---- the delimiter ----------------------------------------------------------------------------
 */

/* How well a delimiter splits: records with the commonest count, times fields; 0 = not at all. */
static int64_t score(const struct csv_sample *s)
{
    int64_t best = 0;
    size_t n = s->ix.n_rec < TRY_ROWS ? s->ix.n_rec : TRY_ROWS;
    for (size_t r = 0; r < n && r < 8; r++) {
        int64_t fields = csv_sample_fields(s, r), same = 0, all = 0;
        if (fields < 2)
            continue;
        for (size_t k = 0; k < n; k++) {
            int64_t f = csv_sample_fields(s, k);
            all += f > 0;
            same += f == fields;
        }
        int64_t points = same * 1000 / (all ? all : 1) * 1000 + (fields < 1000 ? fields : 999);
        if (points > best)
            best = points;
    }
    return best;
}

static wh_status choose_delimiter(struct look *l)
{
    static const char candidates[] = ",;\t|";
    struct wh_csv_dialect d = l->shape->dialect;
    size_t n = l->n - l->at;
    bool cut = n > TRY_BYTES;
    int64_t best = 0;
    char choice = ',';
    for (const char *c = candidates; *c; c++) {
        struct csv_sample s = {0};
        d.delimiter[0] = *c;
        d.delimiter_n = 1;
        int st = csv_sample_open(&s, &d, l->p + l->at, cut ? TRY_BYTES : n, l->whole && !cut);
        int64_t points = st == WH_OK ? score(&s) : 0;
        csv_sample_close(&s);
        if (st != WH_OK)
            return st;
        if (points > best) {
            best = points;
            choice = *c;
        }
    }
    l->shape->dialect.delimiter[0] = choice;
    l->shape->dialect.delimiter_n = 1;
    return WH_OK;
}

/* ---- header and names -------------------------------------------------------------------------
 */

static bool is_value(struct wh_str s)
{
    double number;
    int32_t days;
    int64_t at;
    bool zoned;
    return wh_read_f64(s.s, s.n, &number) || wh_read_date(s.s, s.n, &days) ||
           wh_read_timestamp(s.s, s.n, WH_NANO, &at, &zoned);
}

/* A header has names: no number, no date, at least one text; and it is not all the file has of one
 * kind. Files where every column is text cannot be told; they have a header then. */
static bool looks_like_header(const struct csv_sample *s, size_t record)
{
    int64_t n = csv_sample_fields(s, record), texts = 0;
    for (int64_t f = 0; f < n; f++) {
        bool quoted;
        struct wh_str cell = csv_sample_cell(s, record, f, &quoted);
        if (cell.n && is_value(cell))
            return false;
        texts += cell.n > 0;
    }
    return texts > 0;
}

/* True if the last field of every record from `first` on is empty: a trailing delimiter. */
static bool trailing(const struct csv_sample *s, size_t first, int64_t n_fields)
{
    size_t seen = 0;
    for (size_t r = first; r < s->ix.n_rec && r < first + 1000; r++) {
        int64_t n = csv_sample_fields(s, r);
        bool quoted;
        if (n == 0)
            continue;
        if (n != n_fields || csv_sample_cell(s, r, n - 1, &quoted).n || quoted)
            return false;
        seen++;
    }
    return seen > 0 && n_fields > 1;
}

static size_t first_record(const struct csv_sample *s, size_t from)
{
    while (from < s->ix.n_rec && !csv_sample_fields(s, from))
        from++;
    return from;
}

static wh_status name_column(struct wh_csv_shape *shape, int64_t i, struct wh_str cell)
{
    char made[32];
    if (!cell.n) {
        snprintf(made, sizeof made, "c%lld", (long long)i + 1);
        cell = wh_str(made);
    }
    shape->names[i] = wh_strndup(cell.s, cell.n);
    return shape->names[i] ? WH_OK : WH_E_NOMEM;
}

static bool taken(const struct wh_csv_shape *shape, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(shape->names[i], name))
            return true;
    return false;
}

/* A name that stands twice gets a number; the note says so. */
static wh_status make_unique(struct wh_csv_shape *shape)
{
    for (int64_t i = 1; i < shape->n_columns; i++) {
        if (!taken(shape, i, shape->names[i]))
            continue;
        size_t room = strlen(shape->names[i]) + 16;
        char *made = wh_alloc(room), said[120];
        if (!made)
            return WH_E_NOMEM;
        for (int k = 2; k < WH_CSV_FIELDS_MAX; k++) {
            snprintf(made, room, "%s_%d", shape->names[i], k);
            if (!taken(shape, shape->n_columns, made))
                break;
        }
        snprintf(said, sizeof said, "second column '%.40s' is named '%.44s'", shape->names[i],
                 made);
        csv_note(shape->note, sizeof shape->note, said);
        wh_free(shape->names[i]);
        shape->names[i] = made;
    }
    return WH_OK;
}

static wh_status take_names(struct wh_csv_shape *shape, const struct csv_sample *s, size_t header)
{
    int64_t given = shape->has_header ? csv_sample_fields(s, header) : 0;
    shape->names = wh_calloc((size_t)shape->n_columns + 1, sizeof *shape->names);
    if (!shape->names)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < shape->n_columns; i++) {
        bool quoted;
        struct wh_str cell = {NULL, 0};
        if (i < given)
            cell = csv_sample_cell(s, header, i, &quoted);
        WH_TRY(name_column(shape, i, cell));
    }
    return make_unique(shape);
}

/* Fields of the records: what most of the first ones have. */
static int64_t common_fields(const struct csv_sample *s, size_t first, int64_t otherwise)
{
    int64_t best = otherwise, best_count = 0;
    for (size_t r = first; r < s->ix.n_rec && r < first + 8; r++) {
        int64_t n = csv_sample_fields(s, r), count = 0;
        for (size_t k = first; n && k < s->ix.n_rec && k < first + TRY_ROWS; k++)
            count += csv_sample_fields(s, k) == n;
        if (n && count > best_count) {
            best_count = count;
            best = n;
        }
    }
    return best;
}

static int64_t lines_in(const struct csv_sample *s, size_t n)
{
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s->buf[i] == '\n' || (s->buf[i] == '\r' && s->buf[i + 1] != '\n');
    return lines;
}

static void say_header(struct wh_csv_shape *shape, const struct wh_csv_ask *ask)
{
    if (ask->header == WH_CSV_HEADER_AUTO && !shape->has_header)
        csv_note(shape->note, sizeof shape->note, "no header line: columns are c1, c2...");
}

static wh_status shape_of(struct look *l, const struct csv_sample *s, struct wh_error *reterr)
{
    struct wh_csv_shape *shape = l->shape;
    size_t first = first_record(s, 0), data;
    bool any = first < s->ix.n_rec;
    shape->has_header =
        any && (l->ask->header == WH_CSV_HEADER_YES ||
                (l->ask->header == WH_CSV_HEADER_AUTO && looks_like_header(s, first)));
    data = shape->has_header ? first + 1 : 0;
    int64_t header_fields = any ? csv_sample_fields(s, first) : 1;
    if (header_fields > COLUMNS_MAX) {
        int st = wh_fail(reterr, WH_E_TYPE, "E3014", "%lld columns; at most %d are read",
                         (long long)header_fields, (int)COLUMNS_MAX);
        wh_error_hint(reterr, "is the delimiter the right one? --from delimiter=...");
        return st;
    }
    shape->n_fields = header_fields;
    size_t at = first_record(s, data);
    int64_t common = common_fields(s, at, header_fields);
    shape->n_columns = header_fields;
    /* A trailing delimiter in all lines, or in all but the header. */
    if ((common == header_fields || (shape->has_header && common == header_fields + 1)) &&
        trailing(s, at, common)) {
        bool quoted, named = shape->has_header && common == header_fields &&
                             csv_sample_cell(s, first, header_fields - 1, &quoted).n;
        if (!named) {
            shape->n_fields = common;
            shape->n_columns = common - 1;
            csv_note(shape->note, sizeof shape->note, "delimiter at line ends dropped");
        }
    }
    shape->data_at = l->at + (data ? csv_sample_start(s, data) : 0);
    if (shape->data_at > l->n)
        shape->data_at = l->n; /* the line end was ours */
    shape->first_line = l->line + lines_in(s, shape->data_at - l->at);
    say_header(shape, l->ask);
    return take_names(shape, s, first);
}

wh_status wh_csv_look(const struct wh_csv_ask *ask, const void *sample, size_t n, bool whole,
                      struct wh_csv_shape *ret, struct wh_error *reterr)
{
    struct look l = {.ask = ask, .p = sample, .n = n, .line = 1, .whole = whole, .shape = ret};
    struct csv_sample s = {0};
    *ret = (struct wh_csv_shape){.dialect = ask->dialect};
    if (!ask->any_text)
        WH_TRY(textin_check_utf8(sample, n, whole, reterr));
    drop_mark(&l);
    bool sep = drop_sep(&l);
    for (int64_t i = 0; i < ask->skip_lines; i++)
        drop_line(&l);
    int st = ask->delimiter_auto && !sep ? choose_delimiter(&l) : WH_OK;
    if (st == WH_OK)
        st = csv_sample_open(&s, &ret->dialect, l.p + l.at, n - l.at, whole);
    if (st == WH_OK)
        st = shape_of(&l, &s, reterr);
    csv_sample_close(&s);
    if (st == WH_OK)
        return WH_OK;
    wh_csv_shape_free(ret);
    if (st == WH_E_TYPE) /* said */
        return st;
    return wh_fail(reterr, st, "E8002", "no memory for a sample of %zu bytes", n);
}
