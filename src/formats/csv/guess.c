/* SPDX-License-Identifier: Apache-2.0 */
/* Types from a sample. A text is a number only if the number is the same value and the text is no
 * code: a leading zero or plus sign, or an integer of more than 15 digits beside shorter ones,
 * keeps the column text. */
#include <stdio.h>
#include <string.h>

#include "data/number.h"
#include "formats/csv/cell.h"
#include "formats/csv/sample.h"

/* What a column may still be. */
enum {
    MAY_INT = 1,
    MAY_FLOAT = 2,
    MAY_BOOL = 4,
    MAY_DATE = 8,
    MAY_NAIVE = 16, /* timestamp without a zone */
    MAY_ZONED = 32,
    MAY_ALL = 63,
};

static const char *const TOKENS[] = {"NA", "NULL", "null", "\\N", "N/A", "n/a", "#N/A"};
enum {
    N_TOKENS = sizeof TOKENS / sizeof *TOKENS
};

struct guess {
    unsigned may;
    int64_t values, digits; /* values that are not null; those of them with a digit */
    int64_t tokens[N_TOKENS];
    int min_digits, max_digits; /* of integers */
    bool nanos;
    bool declared; /* not text, whatever is found */
};

struct wh_csv_guess {
    int64_t n_columns, rows;
    struct guess *v;
};

wh_status wh_csv_guess_new(int64_t n_columns, struct wh_csv_guess **ret)
{
    struct wh_csv_guess *g = wh_calloc(1, sizeof *g);
    if (!g)
        return WH_E_NOMEM;
    g->n_columns = n_columns;
    g->v = wh_calloc((size_t)n_columns + 1, sizeof *g->v);
    if (!g->v) {
        wh_free(g);
        return WH_E_NOMEM;
    }
    for (int64_t i = 0; i < n_columns; i++)
        g->v[i] = (struct guess){.may = MAY_ALL, .min_digits = INT32_MAX};
    *ret = g;
    return WH_OK;
}

void wh_csv_guess_free(struct wh_csv_guess *g)
{
    if (g)
        wh_free(g->v);
    wh_free(g);
}

void wh_csv_guess_declare(struct wh_csv_guess *g, int64_t column)
{
    g->v[column].declared = true;
}

int64_t wh_csv_guess_rows(const struct wh_csv_guess *g)
{
    return g->rows;
}

/* ---- one value --------------------------------------------------------------------------------
 */

/* A decimal number taken apart: its significant digits and the power of ten of the last one. */
struct number {
    char digits[64];
    int n, exponent;
    bool minus, integer;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with at most one point; *i behind them. False for none, or too many. */
static bool take_digits(const char *s, size_t n, char point, size_t *i, struct number *x)
{
    size_t digits = 0;
    bool dot = false;
    for (; *i < n && (is_digit(s[*i]) || (s[*i] == point && !dot)); ++*i) {
        if (s[*i] == point) {
            dot = true;
            x->integer = false;
            continue;
        }
        digits++;
        x->exponent -= dot;
        if (!x->n && s[*i] == '0')
            continue;
        if (x->n == (int)sizeof x->digits)
            return false;
        x->digits[x->n++] = s[*i];
    }
    return digits > 0;
}

/* e[+-]digits, at most three of them. */
static bool take_exponent(const char *s, size_t n, size_t *i, struct number *x)
{
    int exponent = 0;
    if (*i >= n || (s[*i] != 'e' && s[*i] != 'E'))
        return true;
    x->integer = false;
    ++*i;
    bool minus = *i < n && s[*i] == '-';
    *i += *i < n && (s[*i] == '-' || s[*i] == '+');
    if (*i >= n || n - *i > 3)
        return false;
    for (; *i < n && is_digit(s[*i]); ++*i)
        exponent = exponent * 10 + (s[*i] - '0');
    x->exponent += minus ? -exponent : exponent;
    return true;
}

/* [-]digits[.digits][e[+-]digits], no leading zero, no plus. */
static bool take_apart(const char *s, size_t n, char point, struct number *x)
{
    *x = (struct number){.integer = true, .minus = n && s[0] == '-'};
    size_t i = x->minus;
    if (i + 1 < n && s[i] == '0' && is_digit(s[i + 1]))
        return false;
    if (!take_digits(s, n, point, &i, x) || !take_exponent(s, n, &i, x) || i != n)
        return false;
    while (x->n && x->digits[x->n - 1] == '0') {
        x->n--;
        x->exponent++;
    }
    if (!x->n)
        x->exponent = 0;
    return true;
}

static bool same_number(const struct number *a, const struct number *b)
{
    return a->minus == b->minus && a->n == b->n && a->exponent == b->exponent &&
           !memcmp(a->digits, b->digits, (size_t)a->n);
}

static bool prints_as(const char *printed, size_t n, const struct number *x)
{
    struct number back;
    return take_apart(printed, n, '.', &back) && same_number(x, &back);
}

/* The double nearest to it, printed with as many digits, is the same number: programs that print 17
 * digits write numbers that have a shorter form (48.053808600000004). */
static bool survives_double(const char *s, size_t n, char point, const struct number *x)
{
    char text[80], printed[32];
    double v;
    if (x->n <= 15 && x->exponent > -200 && x->exponent < 200)
        return true; /* 15 digits always survive */
    if (n >= sizeof text || x->n > 17)
        return false;
    memcpy(text, s, n);
    char *comma = point == '.' ? NULL : memchr(text, point, n);
    if (comma)
        *comma = '.';
    if (!wh_read_f64(text, n, &v))
        return false;
    if (prints_as(printed, wh_print_f64(v, printed), x))
        return true;
    int k = snprintf(printed, sizeof printed, "%.*e", x->n ? x->n - 1 : 0, v);
    return prints_as(printed, (size_t)k, x);
}

bool csv_same_as_double(const char *s, size_t n, char point)
{
    struct number x;
    return !take_apart(s, n, point, &x) || survives_double(s, n, point, &x);
}

/* NaN and infinities as programs print them; numbers only beside real ones. */
static bool is_special_float(struct wh_str s)
{
    static const char *const words[] = {"nan", "inf", "-inf", "infinity", "-infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wh_str_ieqs(s, words[i]))
            return true;
    return false;
}

static unsigned number_class(struct guess *g, struct wh_str s, char point)
{
    struct number x;
    int64_t v;
    if (!take_apart(s.s, s.n, point, &x))
        return is_special_float(s) ? MAY_FLOAT : 0;
    g->digits++;
    unsigned may = survives_double(s.s, s.n, point, &x) ? MAY_FLOAT : 0;
    if (x.integer) {
        int digits = (int)s.n - x.minus;
        if (digits < g->min_digits)
            g->min_digits = digits;
        if (digits > g->max_digits)
            g->max_digits = digits;
        bool minus_zero = x.minus && !x.n;
        if (!minus_zero && wh_read_i64(s.s, s.n, &v))
            may |= MAY_INT;
    }
    return may;
}

static unsigned time_class(struct guess *g, struct wh_str s)
{
    int32_t days;
    int64_t at;
    bool zoned;
    if (s.n < 10 || s.s[4] != '-')
        return 0;
    if (wh_read_date(s.s, s.n, &days))
        return MAY_DATE;
    if (!wh_read_timestamp(s.s, s.n, WH_NANO, &at, &zoned))
        return 0;
    g->nanos |= !wh_read_timestamp(s.s, s.n, WH_MICRO, &at, &zoned);
    return zoned ? MAY_ZONED : MAY_NAIVE;
}

static unsigned bool_class(struct wh_str s)
{
    static const char *const words[] = {"true", "false", "TRUE", "FALSE", "True", "False"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wh_str_eqs(s, words[i]))
            return MAY_BOOL;
    return 0;
}

static void look_at(struct guess *g, const struct wh_csv_dialect *d, struct wh_str s, bool quoted)
{
    if (!s.n)
        return;
    for (int i = 0; i < d->n_nulls; i++)
        if (!quoted && d->nulls[i].n == s.n && !memcmp(d->nulls[i].text, s.s, s.n))
            return;
    bool token = !quoted && s.n >= 2 && s.n <= 4 && memchr("Nn\\#", s.s[0], 4);
    for (int i = 0; i < N_TOKENS && token; i++) {
        if (wh_str_eqs(s, TOKENS[i])) {
            g->tokens[i]++;
            return;
        }
    }
    g->values++;
    unsigned is = 0;
    if (g->may & (MAY_INT | MAY_FLOAT))
        is |= number_class(g, s, d->decimal);
    if (g->may & (MAY_DATE | MAY_NAIVE | MAY_ZONED))
        is |= time_class(g, s);
    if (g->may & MAY_BOOL)
        is |= bool_class(s);
    g->may &= is;
}

wh_status wh_csv_guess_add(struct wh_csv_guess *g, const struct wh_csv_shape *shape,
                           const void *data, size_t n, bool whole, int64_t max_rows)
{
    struct csv_sample s = {0};
    int st = csv_sample_open(&s, &shape->dialect, data, n, whole);
    int64_t rows = 0;
    for (size_t r = 0; st == WH_OK && r < s.ix.n_rec && rows < max_rows; r++) {
        if (csv_sample_fields(&s, r) != shape->n_fields)
            continue;
        rows++;
        for (int64_t c = 0; c < g->n_columns; c++) {
            bool quoted;
            if (!g->v[c].may && !g->v[c].declared)
                continue;
            struct wh_str cell = csv_sample_cell(&s, r, c, &quoted);
            look_at(&g->v[c], &shape->dialect, cell, quoted);
        }
    }
    g->rows += rows;
    csv_sample_close(&s);
    return st;
}

/* ---- the verdict ------------------------------------------------------------------------------
 */

static struct wh_type type_of(const struct guess *g)
{
    struct wh_type t = {.kind = WH_K_UTF8, .nullable = true};
    bool codes = g->max_digits > 15 && g->min_digits <= 15;
    if (!g->values)
        return t;
    if (g->may & MAY_INT && !codes) {
        t.kind = WH_K_I64;
    } else if (g->may & MAY_FLOAT && g->digits && !codes) {
        t.kind = WH_K_F64;
    } else if (g->may & MAY_BOOL) {
        t.kind = WH_K_BOOL;
    } else if (g->may & MAY_DATE) {
        t.kind = WH_K_DATE32;
    } else if (g->may & (MAY_NAIVE | MAY_ZONED)) {
        t.kind = WH_K_TIMESTAMP;
        t.unit = g->nanos ? WH_NANO : WH_MICRO;
        t.zoned = g->may & MAY_ZONED;
    }
    return t;
}

/* Null words that stand beside numbers, dates or truth values are null in the whole file. */
static void take_tokens(const struct wh_csv_guess *g, struct wh_csv_dialect *d, char *note,
                        size_t note_n)
{
    for (int i = 0; i < N_TOKENS; i++) {
        bool found = false;
        for (int64_t c = 0; c < g->n_columns; c++)
            found |= g->v[c].tokens[i] && (g->v[c].declared || type_of(&g->v[c]).kind != WH_K_UTF8);
        if (found && wh_csv_add_null(d, wh_str(TOKENS[i]))) {
            char said[40];
            snprintf(said, sizeof said, "%s = NULL", TOKENS[i]);
            csv_note(note, note_n, said);
        }
    }
}

wh_status wh_csv_guess_schema(struct wh_csv_guess *g, char *const *names, bool nulls_given,
                              struct wh_csv_dialect *d, struct ArrowSchema *ret, char *note,
                              size_t note_n)
{
    static const char *const meta[] = {WH_META_GUESSED, "1", NULL};
    struct ArrowSchema schema = {0};
    /* With null_text given the words are data, and a column that holds them is text. */
    for (int64_t c = 0; nulls_given && c < g->n_columns; c++)
        for (int i = 0; i < N_TOKENS; i++)
            if (g->v[c].tokens[i]) {
                g->v[c].values += g->v[c].tokens[i];
                g->v[c].may = 0;
            }
    if (!nulls_given)
        take_tokens(g, d, note, note_n);
    int st = wh_schema_init(&schema, g->n_columns);
    for (int64_t c = 0; st == WH_OK && c < g->n_columns; c++) {
        struct wh_type t = type_of(&g->v[c]);
        st = wh_schema_set(&schema, c, names[c], &t, meta);
    }
    if (st != WH_OK) {
        wh_schema_release(&schema);
        return st;
    }
    *ret = schema;
    return WH_OK;
}
