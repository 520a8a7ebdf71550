/* SPDX-License-Identifier: Apache-2.0 */
/* What cells really hold. SQLite lets any cell hold anything, so a declared type is a promise that
 * a sample may overrule: DATE columns with Unix times, DECIMAL(10,2) with sums of doubles,
 * VARCHAR(20) with longer text, columns without any type. What was decided against the declared
 * type stands in the plan (note, and wherry.type beside the type); cells beyond the sample that do
 * not fit become dirty rows, never other values. */
#include <math.h>

#include "core/clock.h"
#include "data/number.h"
#include "sqlite_cell.h"
#include "sqlite_scan.h"

struct tally {
    int64_t n_int, n_real, n_text, n_blob;    /* by storage class */
    int64_t fits;                             /* values of the promised type */
    int64_t odd_numbers, odd_text, odd_blobs; /* the others */
    int64_t bits;                             /* integers 0 and 1 */
    int64_t wide;                             /* integers that a double cannot hold */
    int64_t decimals;                         /* texts that are decimal numbers */
    int64_t dates, naive, zoned;              /* texts that are ISO dates and timestamps */
    bool finer_than_us;
};

static int64_t total(const struct tally *t)
{
    return t->n_int + t->n_real + t->n_text + t->n_blob;
}

/* ---- counting ----------------------------------------------------------------------------------
 */

static void count_text(sqlite3_stmt *s, int at, const struct lite_col *c, struct tally *t)
{
    struct wh_str x = lite_text_at(s, at);
    int64_t v;
    int32_t days;
    bool zoned;

    t->n_text++;
    if (c->promise == LITE_P_SURE || x.n > 64)
        return;
    t->decimals += lite_is_decimal(x.s, x.n);
    if (wh_read_date(x.s, x.n, &days)) {
        t->dates++;
    } else if (wh_read_timestamp(x.s, x.n, WH_MICRO, &v, &zoned)) {
        *(zoned ? &t->zoned : &t->naive) += 1;
    } else if (wh_read_timestamp(x.s, x.n, WH_NANO, &v, &zoned)) {
        *(zoned ? &t->zoned : &t->naive) += 1;
        t->finer_than_us = true;
    }
}

static void count_cell(sqlite3_stmt *s, int at, const struct lite_col *c, struct tally *t)
{
    int storage = sqlite3_column_type(s, at);
    struct lite_value v;

    switch (storage) {
    case SQLITE_NULL:
        return;
    case SQLITE_INTEGER: {
        int64_t i = sqlite3_column_int64(s, at);

        t->n_int++;
        t->bits += i == 0 || i == 1;
        t->wide += i > (INT64_C(1) << 53) || i < -(INT64_C(1) << 53);
        break;
    }
    case SQLITE_FLOAT:
        t->n_real++;
        break;
    case SQLITE_BLOB:
        t->n_blob++;
        break;
    default:
        count_text(s, at, c, t);
    }
    if (c->promise == LITE_P_NONE ||
        lite_cell_take(sqlite3_column_value(s, at), storage, &c->type, &v))
        t->fits++;
    else if (storage == SQLITE_TEXT)
        t->odd_text++;
    else if (storage == SQLITE_BLOB)
        t->odd_blobs++;
    else
        t->odd_numbers++;
}

/* ---- deciding ----------------------------------------------------------------------------------
 */

static void set_kind(struct lite_col *c, enum wh_kind kind)
{
    c->type = (struct wh_type){.kind = kind, .nullable = c->type.nullable};
}

/* The type of what is stored, when nothing else is known. */
static void by_storage(struct lite_col *c, const struct tally *t)
{
    int64_t n = total(t);

    if (n == 0)
        set_kind(c, c->promise == LITE_P_NONE ? WH_K_UTF8 : c->type.kind);
    else if (t->n_int == n)
        set_kind(c, WH_K_I64);
    else if (t->n_int + t->n_real == n && t->wide == 0)
        set_kind(c, WH_K_F64);
    else if (t->n_blob == n)
        set_kind(c, WH_K_BINARY);
    else if (t->n_blob == 0 || t->n_text >= t->n_blob)
        set_kind(c, WH_K_UTF8); /* numbers among text are read as their text */
    else
        set_kind(c, WH_K_BINARY);
}

static bool all_times(const struct tally *t, struct lite_col *c)
{
    int64_t n = total(t);

    if (t->n_text != n)
        return false;
    if (t->dates == n) {
        set_kind(c, WH_K_DATE32);
    } else if (t->dates + t->naive == n || t->zoned == n) {
        set_kind(c, WH_K_TIMESTAMP);
        c->type.zoned = t->zoned == n;
        c->type.unit = t->finer_than_us ? WH_NANO : WH_MICRO;
    } else {
        return false;
    }
    return true;
}

static void overrule(struct lite_col *c, const struct tally *t)
{
    int64_t n = total(t);

    switch (c->type.kind) {
    case WH_K_UTF8:
        if (t->n_text == n) {
            c->type.length = 0;
            return;
        }
        break;
    case WH_K_BINARY:
        if (t->n_blob == n) {
            c->type.length = 0;
            return;
        }
        break;
    case WH_K_DATE32:
    case WH_K_TIMESTAMP:
        if (all_times(t, c))
            return;
        break;
    case WH_K_DEC128:
    case WH_K_DEC256:
    case WH_K_DECTEXT:
        if (t->n_text > 0 && t->n_int + t->n_real + t->decimals == n) {
            set_kind(c, WH_K_DECTEXT);
            return;
        }
        break;
    default:
        break;
    }
    by_storage(c, t);
}

/* Strays of a promise that most cells keep stay dirty rows; only limits that cost nothing to give
 * up (lengths, digits of numbers) are given up for one cell. */
static bool keep_promise(const struct lite_col *c, const struct tally *t)
{
    int64_t n = total(t);

    if (t->fits == n)
        return true;
    switch (c->type.kind) {
    case WH_K_UTF8:
        if (t->odd_text)
            return false;
        break;
    case WH_K_BINARY:
        if (t->odd_blobs)
            return false;
        break;
    case WH_K_DEC128:
    case WH_K_DEC256:
        if (t->odd_numbers)
            return false;
        break;
    case WH_K_TIMESTAMP:
    case WH_K_DATE32:
        if (t->dates + t->naive == n || t->zoned == n)
            return false;
        break;
    default:
        break;
    }
    return t->fits * 2 > n;
}

static void remark(struct lite_sc *sc, const struct lite_col *c, const struct tally *t)
{
    struct wh_buf type WH_CLEANUP(wh_buf_free) = WH_BUF(512);
    struct wh_buf *b = &sc->note;
    int st = wh_type_print(&c->type, &type);

    if (st != WH_OK || b->n > 200)
        return;
    if (b->n)
        st = wh_buf_adds(b, "; ");
    if (st == WH_OK && c->overruled)
        st = wh_buf_printf(b, "%s %s%sis read as %s:", c->name, c->decl, *c->decl ? " " : "",
                           type.p);
    else if (st == WH_OK)
        st =
            wh_buf_printf(b, "%s: %lld of %lld sampled cells are no %s and will be dirty:", c->name,
                          (long long)(total(t) - t->fits), (long long)total(t), type.p);
    static const char *const words[] = {"integer", "real", "text", "blob"};
    const int64_t counts[] = {t->n_int, t->n_real, t->n_text, t->n_blob};

    for (int i = 0; i < 4 && st == WH_OK; i++)
        if (counts[i])
            st = wh_buf_printf(b, " %lld %s", (long long)counts[i], words[i]);
    wh_ignore(st);
}

static void decide(struct lite_sc *sc, struct lite_col *c, const struct tally *t)
{
    struct wh_type before = c->type;

    if (c->promise == LITE_P_NONE) {
        c->guessed = true;
        by_storage(c, t);
        if (t->n_int + t->n_real > 0 && t->n_text + t->n_blob > 0) {
            c->overruled = true; /* mixed: worth a word */
            remark(sc, c, t);
        }
        return;
    }
    if (total(t) == t->fits)
        return;
    if (c->promise == LITE_P_CHECK && !keep_promise(c, t)) {
        c->guessed = true;
        overrule(c, t);
        c->overruled = !wh_type_equal(&before, &c->type);
    }
    remark(sc, c, t);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct patience {
    int64_t until;
    bool out;
};

static int on_progress(void *arg)
{
    struct patience *p = arg;

    p->out |= wh_now_ns() > p->until;
    return p->out;
}

static wh_status sample_rows(struct lite_sc *sc, struct lite_se *se, const char *tail,
                             struct tally *tallies, int64_t *bytes, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct patience p = {.until = wh_now_ns() + LITE_SAMPLE_MS * INT64_C(1000000)};
    int st = wh_buf_adds(&sql, "select "), rc = SQLITE_DONE;

    for (int i = 0; i < sc->n_sel && st == WH_OK; i++) {
        st = i ? wh_buf_adds(&sql, ", ") : WH_OK;
        if (st == WH_OK)
            st = lite_selected(&sc->t.cols[sc->sel[i]], &sql);
    }
    if (st == WH_OK)
        st = sql_add(&sql, " from %s %s limit %d", sc->from, tail, (int64_t)LITE_SAMPLE_ROWS);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a statement");
    WH_TRY(lite_prepare(se, sql.p, &s, reterr));
    sqlite3_progress_handler(se->db, 10000, on_progress, &p);
    while (*bytes < LITE_SAMPLE_BYTES && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        sc->sampled++;
        for (int i = 0; i < sc->n_sel; i++) {
            int storage = sqlite3_column_type(s, i);

            count_cell(s, i, &sc->t.cols[sc->sel[i]], &tallies[i]);
            *bytes +=
                storage == SQLITE_TEXT || storage == SQLITE_BLOB ? sqlite3_column_bytes(s, i) : 8;
        }
        if (on_progress(&p))
            break;
    }
    sqlite3_progress_handler(se->db, 0, NULL, NULL);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE && !p.out)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read a sample of %s",
                         sc->t.name);
    return WH_OK;
}

wh_status lite_sample(struct lite_sc *sc, struct lite_se *se, struct wh_error *reterr)
{
    struct tally *tallies = wh_arena_alloc(sc->t.arena, (size_t)sc->n_sel * sizeof *tallies);
    int64_t bytes = 0, half = 0;

    if (!tallies)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a sample");
    WH_TRY(sample_rows(sc, se, "", tallies, &bytes, reterr));
    half = sc->sampled;
    /* The end of a table often looks different: newer rows, other programs. */
    if (sc->t.rowid && half == LITE_SAMPLE_ROWS) {
        struct wh_buf tail WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
        struct wh_str rowid = wh_str(sc->t.rowid);

        if (sql_add(&tail, "order by %i desc", &rowid) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
        bytes /= 2;
        WH_TRY(sample_rows(sc, se, tail.p, tallies, &bytes, reterr));
    }
    sc->row_bytes = sc->sampled ? bytes / sc->sampled + 1 : 0;
    for (int i = 0; i < sc->n_sel; i++)
        decide(sc, &sc->t.cols[sc->sel[i]], &tallies[i]);
    return WH_OK;
}

wh_status lite_describe_settled(struct lite_se *se, const char *table, struct lite_table *ret,
                                struct wh_error *reterr)
{
    struct lite_sc sc = {.note = WH_BUF(1024)};
    struct wh_buf from WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int st;

    WH_TRY(lite_describe(se, wh_str(table), ret, reterr));
    sc.t = *ret;
    sc.sel = wh_arena_alloc(ret->arena, (size_t)(ret->n_cols + 1) * sizeof *sc.sel);
    if (!sc.sel || sql_ident(&from, wh_str(table)) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table's description");
    for (sc.n_sel = 0; sc.n_sel < ret->n_cols; sc.n_sel++)
        sc.sel[sc.n_sel] = sc.n_sel;
    sc.from = from.p;
    st = sc.n_sel ? lite_sample(&sc, se, reterr) : WH_OK; /* changes the columns in place */
    wh_buf_free(&sc.note);
    return st;
}
