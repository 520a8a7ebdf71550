/* SPDX-License-Identifier: Apache-2.0 */
/* Rowid ranges with about equal numbers of rows, found without counting.
 *
 * Rowids may be dense (1, 2, 3...), sparse (timestamps) or in clusters with wide gaps. A probe in
 * the middle of an interval asks the tree for its two neighbours: what lies between them is a gap
 * and falls away. How dense an interval is, is measured by a short walk from each of its ends. The
 * interval with the most rows (by that measure, rather too many than too few) is halved next, until
 * no interval is bigger than a quarter of a split. Each probe is a few descents of the tree; what
 * is misjudged makes splits uneven, never wrong: they always cover every rowid. */
#include "sqlite_scan.h"

#include <stdlib.h>

enum {
    WALK = 16,
    PIECES = 4096 /* most intervals */
};

struct piece {
    int64_t lo, hi;            /* both exist */
    double thick_lo, thick_hi; /* rows per rowid near each end, at most 1 */
    double rows;
};

struct cutter {
    struct lite_se *se;
    sqlite3_stmt *next, *before, *walk_up, *walk_down;
    struct piece *v; /* a heap would do; so few need none */
    size_t n;
    double total;
};

static void cutter_free(struct cutter *c)
{
    lite_finalizep(&c->next);
    lite_finalizep(&c->before);
    lite_finalizep(&c->walk_up);
    lite_finalizep(&c->walk_down);
    wh_free(TAKE_PTR(c->v));
}

static wh_status make(struct cutter *c, const struct lite_table *t, const char *fmt,
                      sqlite3_stmt **ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name = wh_str(t->name), id = wh_str(t->rowid);

    if (sql_add(&sql, fmt, &id, &name, &id, &id, (int64_t)WALK) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return lite_prepare(c->se, sql.p, ret, reterr);
}

/* The first column of the first row, or `otherwise`. */
static wh_status ask(struct cutter *c, sqlite3_stmt *s, int64_t at, int64_t otherwise, int64_t *ret,
                     struct wh_error *reterr)
{
    int rc;

    sqlite3_bind_int64(s, 1, at);
    rc = sqlite3_step(s);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : otherwise;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return lite_fail(c->se, rc, reterr, WH_E_REMOTE, "E4002", "cannot look for splits");
    sqlite3_reset(s);
    return WH_OK;
}

static double extent(int64_t lo, int64_t hi)
{
    return (double)((uint64_t)hi - (uint64_t)lo) + 1;
}

static wh_status thickness(struct cutter *c, const struct piece *p, bool up, double *ret,
                           struct wh_error *reterr)
{
    int64_t end;

    WH_TRY(ask(c, up ? c->walk_up : c->walk_down, up ? p->lo : p->hi, up ? p->hi : p->lo, &end,
               reterr));
    if (up ? end >= p->hi : end <= p->lo) /* fewer rows than a walk: as good as known */
        *ret = (double)WALK / extent(p->lo, p->hi);
    else
        *ret = (double)(WALK + 1) / (up ? extent(p->lo, end) : extent(end, p->hi));
    if (*ret > 1)
        *ret = 1;
    return WH_OK;
}

static void weigh(struct cutter *c, struct piece *p)
{
    double thick = p->thick_lo > p->thick_hi ? p->thick_lo : p->thick_hi;

    p->rows = extent(p->lo, p->hi) * thick;
    if (p->rows < 1)
        p->rows = 1;
    c->total += p->rows;
}

static size_t biggest(const struct cutter *c)
{
    size_t at = 0;

    for (size_t i = 1; i < c->n; i++)
        if (c->v[i].rows > c->v[at].rows)
            at = i;
    return at;
}

/* Halves piece `at`: [lo, l] and [r, hi] with nothing between l and r. */
static wh_status halve(struct cutter *c, size_t at, struct wh_error *reterr)
{
    struct piece *p = &c->v[at], *q = &c->v[c->n];
    int64_t mid = p->lo + (int64_t)(((uint64_t)p->hi - (uint64_t)p->lo) / 2 + 1), l, r;

    WH_TRY(ask(c, c->next, mid, p->hi, &r, reterr));
    WH_TRY(ask(c, c->before, mid, p->lo, &l, reterr));
    c->total -= p->rows;
    *q = (struct piece){.lo = r, .hi = p->hi, .thick_hi = p->thick_hi};
    p->hi = l;
    WH_TRY(thickness(c, p, false, &p->thick_hi, reterr));
    WH_TRY(thickness(c, q, true, &q->thick_lo, reterr));
    weigh(c, p);
    weigh(c, q);
    c->n++;
    return WH_OK;
}

static int by_lo(const void *a, const void *b)
{
    const struct piece *p = a, *q = b;

    return p->lo < q->lo ? -1 : p->lo > q->lo;
}

static int64_t wanted(const struct lite_sc *sc, const struct cutter *c, int64_t unit, int parallel)
{
    double pieces = c->total * (double)sc->row_bytes / (double)unit;

    if (pieces < parallel)
        pieces = parallel;
    if (sc->unit_rows > 0)
        pieces = c->total / (double)sc->unit_rows + 0.5;
    if (sc->parts > 0)
        pieces = (double)sc->parts;
    return pieces >= LITE_CUTS ? LITE_CUTS : (int64_t)pieces < 1 ? 1 : (int64_t)pieces;
}

static wh_status keep_cuts(struct lite_sc *sc, struct cutter *c, int64_t pieces,
                           struct wh_error *reterr)
{
    double each = c->total / (double)pieces, sum = 0;

    qsort(c->v, c->n, sizeof *c->v, by_lo);
    sc->cuts.v = wh_alloc(c->n * sizeof *sc->cuts.v);
    if (!sc->cuts.v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for splits");
    for (size_t i = 0; i + 1 < c->n; i++) {
        sum += c->v[i].rows;
        if (sum + c->v[i + 1].rows / 2 < each)
            continue;
        sc->cuts.v[sc->cuts.n++] = c->v[i].hi;
        sum = 0;
    }
    sc->cuts.rows_each = (int64_t)(c->total / (double)(sc->cuts.n + 1));
    return WH_OK;
}

static wh_status cut(struct lite_sc *sc, struct cutter *c, int64_t unit, int parallel,
                     struct wh_error *reterr)
{
    const struct lite_table *t = &sc->t;

    c->v = wh_alloc(PIECES * sizeof *c->v);
    if (!c->v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for splits");
    WH_TRY(make(c, t, "select %i from %i where %i >= ?1 order by %i limit 1", &c->next, reterr));
    WH_TRY(
        make(c, t, "select %i from %i where %i < ?1 order by %i desc limit 1", &c->before, reterr));
    WH_TRY(make(c, t, "select %i from %i where %i >= ?1 order by %i limit 1 offset %d", &c->walk_up,
                reterr));
    WH_TRY(make(c, t, "select %i from %i where %i <= ?1 order by %i desc limit 1 offset %d",
                &c->walk_down, reterr));
    c->v[0] = (struct piece){.lo = t->lo, .hi = t->hi};
    c->n = 1;
    WH_TRY(thickness(c, &c->v[0], true, &c->v[0].thick_lo, reterr));
    WH_TRY(thickness(c, &c->v[0], false, &c->v[0].thick_hi, reterr));
    weigh(c, &c->v[0]);
    while (c->n < PIECES) {
        size_t at = biggest(c);

        if (c->v[at].lo == c->v[at].hi ||
            c->v[at].rows * 4 * (double)wanted(sc, c, unit, parallel) <= c->total)
            break;
        WH_TRY(halve(c, at, reterr));
    }
    return WH_OK;
}

wh_status lite_cut(struct lite_sc *sc, struct lite_se *se, int64_t unit, int parallel,
                   struct wh_error *reterr)
{
    struct cutter c WH_CLEANUP(cutter_free) = {.se = se};
    int64_t pieces;

    WH_TRY(cut(sc, &c, unit, parallel, reterr));
    sc->t.est_rows = c.total < 9e18 ? (int64_t)c.total : INT64_MAX;
    if (!sc->parts && !sc->unit_rows && c.total * (double)sc->row_bytes < LITE_SMALL_TABLE)
        return WH_OK;
    pieces = wanted(sc, &c, unit, parallel);
    return pieces > 1 ? keep_cuts(sc, &c, pieces, reterr) : WH_OK;
}
