/* SPDX-License-Identifier: Apache-2.0 */
/* A unit: one transaction that holds marker and rows.
 *
 * SQLite judges each row at once, so every send is acknowledged when writer_write returns and a
 * refused row is known by its number (grain ROW). Rows go in by one INSERT .. SELECT per send from
 * the session's virtual table; when it stops at a row, the rows before it are in (OR FAIL) or,
 * where SQLite had to take the whole statement back (triggers, foreign keys, updates), they are fed
 * again by themselves. */
#include <math.h>
#include <stdlib.h>

#include "core/clock.h"
#include "data/number.h"
#include "data/rowhash.h"
#include "sqlite_cell.h"
#include "sqlite_feed.h"
#include "sqlite_target.h"

enum {
    EXACT_DIGITS = 15
};

struct lite_wr {
    struct lite_fl *fl;
    struct lite_se *se;
    struct wh_fence fence;
    char *run; /* fence.run, ours */
    int64_t unit;
    sqlite3_stmt *insert;
    sqlite3_stmt *proof; /* with triggers: counts what an update must touch; inserts a row whose key
                            should be there */
    int32_t *good;       /* rows of a send that passed our own checks */
    size_t good_cap;
    struct sql_verdicts bad;
    int64_t send;
    int64_t fed, changed;       /* rows taken as input; rows SQLite says it changed */
    char why[SQL_VERDICT_TEXT]; /* SQLite's words for the last refusal */
    struct wh_rowsum sum;
    bool triggers; /* of the table: SQLite then reads all rows of a send before it inserts one */
    bool utf16;
    bool open; /* inside our transaction */
    bool dead; /* SQLite ended it by itself */
};
_Static_assert(sizeof(struct lite_wr) <= LITE_WRITER_SIZE, "what the engine allocates");

/* ---- opening -----------------------------------------------------------------------------------
 */

/* Source and destination in one file: in rollback mode our own readers would hold up the commit. */
static wh_status not_behind_ourselves(struct lite_se *se, struct wh_error *reterr)
{
    struct lite_ep *ep = se->ep;
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str mode;
    bool readers;

    pthread_mutex_lock(&ep->lock);
    readers = ep->snapped && ep->n_live + ep->n_pool > 0;
    pthread_mutex_unlock(&ep->lock);
    if (!readers)
        return WH_OK;
    WH_TRY(lite_prepare(se, "pragma journal_mode", &s, reterr));
    if (sqlite3_step(s) != SQLITE_ROW)
        return WH_OK;
    mode = lite_text_at(s, 0);
    if (wh_str_ieqs(mode, "wal"))
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_UNSUPPORTED, "E5010",
                      "%s is source and destination: with a rollback journal the commit would wait "
                      "for our own readers",
                      ep->path));
    if (reterr)
        wh_error_hint(reterr, "set journal_mode=wal on the connection, or copy by way of another "
                              "file");
    return WH_E_UNSUPPORTED;
}

/* What a trigger may leave undone is asked of the table as it was before. */
static wh_status watch_triggers(struct lite_wr *wr, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct lite_fl *fl = wr->fl;
    struct wh_str table = wh_str(fl->table);
    int st = WH_OK;

    if (fl->staged) /* a stage has none */
        return WH_OK;
    WH_TRY(lite_has_triggers(wr->se, fl->table, &wr->triggers, reterr));
    if (!wr->triggers)
        return WH_OK;
    if (fl->mode == WH_MODE_UPDATE) {
        st = sql_add(&b, "select count(*) from " LITE_FEED " as fed cross join %i where ", &table);
        if (st == WH_OK)
            st = lite_ddl_same_key(fl, fl->table, true, &b);
    } else if (fl->does_nothing) {
        st = lite_ddl_insert(fl, fl->table, LITE_FEED, true, WH_MODE_APPEND, &b);
    }
    if (st != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return b.n ? lite_prepare(wr->se, b.p, &wr->proof, reterr) : WH_OK;
}

static wh_status open_inside(struct lite_wr *wr, const struct wh_unit *u, struct wh_error *reterr)
{
    struct lite_fl *fl = wr->fl;
    int st;

    if (!fl->marker_off)
        WH_TRY(lite_marker_open(wr->se, fl->units, &wr->fence, u->id, u->attempt, u->seed, reterr));
    wr->utf16 = lite_is_utf16(wr->se->db);
    WH_TRY(lite_feed_open(wr->se, fl->n_dest, reterr));
    WH_TRY(watch_triggers(wr, reterr));
    st = lite_prepare(wr->se, fl->insert, &wr->insert, reterr);
    if (st == WH_E_REMOTE)
        return wh_fail(reterr, st, "E5012", "\"%s\" is not what it was when the run began: %s",
                       fl->staged ? fl->stage : fl->table, sqlite3_errmsg(wr->se->db));
    return st;
}

wh_status lite_writer_open(void *self, void *target, void *session, const struct wh_ctx *ctx,
                           const struct wh_unit *u, const struct wh_fence *fence,
                           struct wh_error *reterr)
{
    struct lite_wr *wr = self;
    int st;

    wr->fl = target;
    wr->se = session;
    wr->se->ctx = ctx;
    wr->unit = u->id;
    wr->fence = *fence;
    wr->run = wh_strndup(fence->run.s ? fence->run.s : "", fence->run.n);
    if (!wr->run)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a writer");
    wr->fence.run.s = wr->run;
    wr->fence.flow = u->flow;
    wr->fence.generation = u->generation;
    if (atomic_load(&wr->se->stopped))
        return wh_fail(reterr, WH_LOST, "E2008", "the session was interrupted");
    WH_TRY(lite_se_create(wr->se, reterr));
    lite_rollback(wr->se); /* nothing of an attempt before us */
    WH_TRY(not_behind_ourselves(wr->se, reterr));
    WH_TRY(lite_exec(
        wr->se, wr->fl->o->foreign_keys ? "pragma foreign_keys = on" : "pragma foreign_keys = off",
        reterr));
    WH_TRY(lite_exec(wr->se, "begin immediate", reterr));
    wr->open = true;
    st = open_inside(wr, u, reterr);
    if (st != WH_OK) {
        lite_rollback(wr->se);
        wr->open = false;
    }
    return st;
}

/* ---- our own checks ----------------------------------------------------------------------------
 */

/* What SQLite would take and change without a word. */
enum check {
    CHECK_NOTHING,
    CHECK_NULL = 1,        /* the rowid: NULL becomes a number of its own */
    CHECK_NAN = 2,         /* becomes NULL */
    CHECK_DIGITS = 4,      /* more than 15 digits are rounded in a NUMERIC column */
    CHECK_NO_NUMBERS = 8,  /* '007' becomes 7 in a NUMERIC column */
    CHECK_MINUS_ZERO = 32, /* becomes 0.0 in a REAL column */
    CHECK_JSON = 16,       /* a JSON number may, if it has no more than 15 digits */
    CHECK_WIDE = 64,       /* U+FFFE and U+FFFF become U+FFFD in a UTF-16 database */
};

static unsigned checks_of(const struct lite_wr *wr, const struct lite_dest *d,
                          const struct wh_view *v)
{
    unsigned c = 0;

    if (d->computed)
        return 0;
    if (wr->utf16 && v->type.kind == WH_K_UTF8)
        c |= CHECK_WIDE;
    if (d->never_null && (v->validity || v->type.kind == WH_K_NULL))
        c |= CHECK_NULL;
    if (v->type.kind == WH_K_F32 || v->type.kind == WH_K_F64)
        c |= CHECK_NAN;
    if (d->no_minus_zero)
        c |= CHECK_MINUS_ZERO;
    if (d->digits)
        c |= CHECK_DIGITS;
    if (d->no_numbers)
        c |= v->type.logical == WH_L_JSON ? CHECK_JSON : CHECK_NO_NUMBERS;
    return c;
}

static bool too_many_digits(const char *p, size_t n)
{
    int digits = 0;

    for (size_t i = 0; i < n && p[i] != 'e' && p[i] != 'E'; i++)
        digits += p[i] >= '0' && p[i] <= '9' && (digits > 0 || p[i] != '0');
    return digits > EXACT_DIGITS || !lite_is_decimal(p, n);
}

static bool looks_like_number(const char *p, size_t n)
{
    while (n && strchr(" \t\n\v\f\r", *p))
        p++, n--;
    while (n && strchr(" \t\n\v\f\r", p[n - 1]))
        n--;
    return lite_is_decimal(p, n);
}

/* U+FFFE or U+FFFF: EF BF BE, EF BF BF. */
static bool has_noncharacter(const char *p, size_t n)
{
    for (const char *end = p + n; (p = memchr(p, 0xef, (size_t)(end - p))) != NULL; p++)
        if (end - p > 2 && (uint8_t)p[1] == 0xbf && (uint8_t)p[2] >= 0xbe)
            return true;
    return false;
}

static wh_status check_cell(struct lite_wr *wr, int64_t row, int64_t i, int col, unsigned checks,
                            const struct wh_view *v, bool *ret_bad)
{
    const char *name = wr->fl->dest[col].name;
    struct wh_bytes b;
    size_t before = wr->bad.n;

    if (wh_view_null(v, i)) {
        if (checks & CHECK_NULL)
            WH_TRY(sql_judge(&wr->bad, wr->send, row, col, "E6002",
                             "column \"%s\" is the rowid: NULL would become a new "
                             "number",
                             name));
    } else if (checks & CHECK_NAN) {
        if (isnan(wh_view_f64(v, i)))
            WH_TRY(sql_judge(&wr->bad, wr->send, row, col, "E6012",
                             "column \"%s\": SQLite stores NaN as NULL", name));
        else if (checks & CHECK_MINUS_ZERO && wh_view_f64(v, i) == 0 && signbit(wh_view_f64(v, i)))
            WH_TRY(
                sql_judge(&wr->bad, wr->send, row, col, "E6013",
                          "column \"%s\" is REAL: SQLite would store -0.0 as 0.0 (--accept-lossy "
                          "lets it)",
                          name));
    } else if (checks & (CHECK_DIGITS | CHECK_NO_NUMBERS | CHECK_JSON | CHECK_WIDE)) {
        b = wh_view_bytes(v, i);
        if (checks & CHECK_WIDE && b.n && has_noncharacter(b.p, b.n))
            WH_TRY(sql_judge(&wr->bad, wr->send, row, col, "E6005",
                             "column \"%s\": in a UTF-16 database SQLite would store U+FFFE and "
                             "U+FFFF as U+FFFD",
                             name));
        if ((checks & CHECK_DIGITS || (checks & CHECK_JSON && looks_like_number(b.p, b.n))) &&
            too_many_digits(b.p, b.n))
            WH_TRY(sql_judge(&wr->bad, wr->send, row, col, "E6013",
                             "column \"%s\" is NUMERIC: SQLite would round %.*s", name,
                             b.n > 60 ? 60 : (int)b.n, (const char *)b.p));
        else if (checks & CHECK_NO_NUMBERS && looks_like_number(b.p, b.n))
            WH_TRY(sql_judge(
                &wr->bad, wr->send, row, col, "E6006",
                "column \"%s\" is NUMERIC: SQLite would store the text '%.*s' as a number", name,
                b.n > 60 ? 60 : (int)b.n, (const char *)b.p));
    }
    *ret_bad |= wr->bad.n > before;
    return WH_OK;
}

/* No NaN and no -0.0 among so many doubles? The sum of x - x is 0 unless one is NaN or infinite. */
static bool all_plain(const struct wh_view *v, int64_t first, int64_t n)
{
    double sum = 0;
    bool minus_zero = false;

    if (v->type.kind == WH_K_F64) {
        const double *p = (const double *)v->data + v->offset + first;

        for (int64_t i = 0; i < n; i++) {
            uint64_t bits;

            memcpy(&bits, p + i, sizeof bits);
            minus_zero |= bits == UINT64_C(1) << 63;
            sum += p[i] - p[i];
        }
    } else {
        const float *p = (const float *)v->data + v->offset + first;

        for (int64_t i = 0; i < n; i++) {
            uint32_t bits;

            memcpy(&bits, p + i, sizeof bits);
            minus_zero |= bits == UINT32_C(1) << 31;
            sum += (double)(p[i] - p[i]);
        }
    }
    return sum == 0 && !minus_zero;
}

/* Checks one column; marks bad rows with -1 in wr->good. */
static wh_status check_column(struct lite_wr *wr, int col, const int32_t *rows, int64_t first,
                              int64_t n, bool *ret_any)
{
    const struct wh_view *v = &wr->se->feed->cols[col].view;
    unsigned checks = checks_of(wr, &wr->fl->dest[col], v);

    if (!checks || (!(checks & ~(CHECK_NAN | CHECK_MINUS_ZERO)) && !rows && all_plain(v, first, n)))
        return WH_OK;
    for (int64_t r = 0; r < n; r++) {
        bool bad = false;
        int64_t i = rows ? rows[r] : first + r;

        if (wr->good[r] < 0)
            continue;
        WH_TRY(check_cell(wr, r, i, col, checks, v, &bad));
        if (bad) {
            wr->good[r] = -1;
            *ret_any = true;
        }
    }
    return WH_OK;
}

static wh_status needs_checks(struct lite_wr *wr, bool *ret)
{
    *ret = false;
    for (int i = 0; i < wr->fl->n_dest; i++)
        *ret |= checks_of(wr, &wr->fl->dest[i], &wr->se->feed->cols[i].view) != 0;
    return WH_OK;
}

/* ---- feeding -----------------------------------------------------------------------------------
 */

/* What is fed: rows [first, first + n) of the batch, or the n listed; `numbers` translates back to
 * the numbers of the send where rows were left out before. */
struct window {
    const int32_t *rows, *numbers;
    int64_t first;
};

static wh_status add_hash(struct lite_wr *wr, const struct window *w, int64_t at, int64_t n)
{
    const struct wh_view *views = wr->se->feed->views;

    return w->rows ? wh_rowhash_add(&wr->sum, views, wr->fl->n_dest, w->rows + at, 0, n)
                   : wh_rowhash_add(&wr->sum, views, wr->fl->n_dest, NULL, w->first + at, n);
}

static bool is_row_fault(int rc)
{
    return (rc & 0xff) == SQLITE_CONSTRAINT || (rc & 0xff) == SQLITE_TOOBIG ||
           (rc & 0xff) == SQLITE_MISMATCH;
}

/* No row's fault: the unit ends. */
static wh_status ended(struct lite_wr *wr, int rc, struct wh_error *reterr)
{
    wr->dead = sqlite3_get_autocommit(wr->se->db);
    return lite_fail(wr->se, rc, reterr, WH_E_REMOTE, "E5001", "cannot write to \"%s\"",
                     wr->fl->table);
}

static wh_status still_open(struct lite_wr *wr, int rc, struct wh_error *reterr)
{
    if (!sqlite3_get_autocommit(wr->se->db))
        return WH_OK;
    wr->dead = true;
    return lite_fail(wr->se, rc, reterr, WH_E_REMOTE, "E5011",
                     "\"%s\" refused a row and rolled the whole unit back", wr->fl->table);
}

/* Modes in which every row that is taken is a change. */
static bool is_plain(const struct lite_fl *fl)
{
    return fl->staged || fl->mode == WH_MODE_APPEND || fl->mode == WH_MODE_TRUNCATE ||
           fl->mode == WH_MODE_OVERWRITE;
}

/* How many changes the fed rows must make, known before they are fed. */
static wh_status due_changes(struct lite_wr *wr, int64_t n, int64_t *ret, struct wh_error *reterr)
{
    int rc;

    *ret = n;
    if (wr->fl->mode != WH_MODE_UPDATE)
        return WH_OK;
    rc = sqlite3_step(wr->proof);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(wr->proof, 0) : 0;
    sqlite3_reset(wr->proof);
    return rc == SQLITE_ROW ? WH_OK : ended(wr, rc, reterr);
}

/* A row that changed nothing, because its key is there: then SQLite refuses it where it is put in
 * without "on conflict". What a trigger skips is no conflict. */
static wh_status is_there(struct lite_wr *wr, bool *ret, struct wh_error *reterr)
{
    int rc;

    *ret = false;
    if (!wr->fl->does_nothing)
        return WH_OK;
    WH_TRY(lite_exec(wr->se, "savepoint wherry_proof", reterr));
    rc = sqlite3_step(wr->proof);
    sqlite3_reset(wr->proof);
    *ret = rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
           rc == SQLITE_CONSTRAINT_ROWID;
    if (sqlite3_get_autocommit(wr->se->db) || (rc != SQLITE_DONE && !is_row_fault(rc)))
        return ended(wr, rc, reterr);
    return lite_exec(wr->se, "rollback to wherry_proof; release wherry_proof", reterr);
}

/* The same where triggers stand between: which rows are in cannot be known, so all or none is. A
 * trigger that skips rows (RAISE(IGNORE)) is seen by the count. */
static wh_status feed_whole(struct lite_wr *wr, int64_t n, bool *ret_kept, int *ret_rc,
                            struct wh_error *reterr)
{
    int64_t due, done;
    bool there = false;

    WH_TRY(lite_exec(wr->se, "savepoint wherry_feed", reterr));
    WH_TRY(due_changes(wr, n, &due, reterr));
    *ret_rc = sqlite3_step(wr->insert);
    if (*ret_rc == SQLITE_DONE) {
        done = sqlite3_changes64(wr->se->db);
        sqlite3_reset(wr->insert);
        if (done < due)
            WH_TRY(is_there(wr, &there, reterr));
        if (done >= due || there) {
            wr->changed += done;
            *ret_kept = true;
            return lite_exec(wr->se, "release wherry_feed", reterr);
        }
        *ret_rc = SQLITE_CONSTRAINT_TRIGGER;
        snprintf(wr->why, sizeof wr->why, "a trigger of the table skipped the row");
    } else {
        snprintf(wr->why, sizeof wr->why, "%s", sqlite3_errmsg(wr->se->db));
    }
    if (!is_row_fault(*ret_rc) || sqlite3_get_autocommit(wr->se->db))
        return WH_OK; /* the caller says it */
    sqlite3_reset(wr->insert);
    return lite_exec(wr->se, "rollback to wherry_feed; release wherry_feed", reterr);
}

/* One statement over rows [at, at + n). *ret_kept: how many of them are in; n if all. Fails only
 * for what is no row's fault. `rc` of a row's refusal is returned in *ret_rc. */
static wh_status feed(struct lite_wr *wr, const struct window *w, int64_t at, int64_t n,
                      int64_t *ret_stopped, bool *ret_kept, int *ret_rc, struct wh_error *reterr)
{
    struct lite_feed *f = wr->se->feed;
    int64_t changes;
    int rc;

    f->rows = w->rows ? w->rows + at : NULL;
    f->first = w->first + at;
    f->n = n;
    f->at = 0;
    if (wr->triggers) {
        WH_TRY(feed_whole(wr, n, ret_kept, ret_rc, reterr));
        *ret_stopped = n;
        return is_row_fault(*ret_rc) || *ret_rc == SQLITE_DONE ? still_open(wr, *ret_rc, reterr)
                                                               : ended(wr, *ret_rc, reterr);
    }
    rc = sqlite3_step(wr->insert);
    changes =
        rc == SQLITE_DONE || sqlite3_changes64(wr->se->db) > 0 ? sqlite3_changes64(wr->se->db) : 0;
    *ret_stopped = f->at;
    *ret_kept = false;
    *ret_rc = rc;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(wr->insert);
        wr->changed += changes;
        *ret_kept = true;
        return WH_OK;
    }
    if (!is_row_fault(rc))
        return ended(wr, rc, reterr);
    WH_TRY(still_open(wr, rc, reterr));
    snprintf(wr->why, sizeof wr->why, "%s", sqlite3_errmsg(wr->se->db));
    sqlite3_reset(wr->insert);
    /* Kept changes are counted; none means that there were none or that all were taken back. */
    *ret_kept = changes > 0;
    wr->changed += changes;
    return WH_OK;
}

static const char *code_of(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return "E6008";
    case SQLITE_CONSTRAINT_NOTNULL:
        return "E6002";
    case SQLITE_TOOBIG:
        return "E6010";
    default:
        return "E6009";
    }
}

/* Rows [at, end) go in; refused ones are judged. Never deeper than log2 of a batch. */
static wh_status feed_range(struct lite_wr *wr, const struct window *w, int64_t at, int64_t end,
                            struct wh_error *reterr)
{
    while (at < end) {
        bool alone = wr->fl->mode == WH_MODE_UPDATE || (wr->triggers && wr->fl->does_nothing);
        int64_t n = alone && !wr->fl->staged ? 1 : end - at;
        int64_t stopped = 0;
        bool kept = false;
        int rc;

        WH_TRY(feed(wr, w, at, n, &stopped, &kept, &rc, reterr));
        if (rc == SQLITE_DONE) {
            WH_TRY(add_hash(wr, w, at, n));
            wr->fed += n;
            at += n;
            continue;
        }
        if (stopped >= n && n > 1) { /* known only at the statement's end: halve it */
            WH_TRY(feed_range(wr, w, at, at + n / 2, reterr));
            at += n / 2;
            continue;
        }
        if (stopped >= n)
            stopped = 0;
        if (kept && stopped > 0) {
            WH_TRY(add_hash(wr, w, at, stopped));
            wr->fed += stopped;
        } else if (stopped > 0) {
            WH_TRY(feed_range(wr, w, at, at + stopped, reterr));
        }
        at += stopped;
        if (sql_judge(&wr->bad, wr->send, w->numbers ? w->numbers[at] : at, -1, code_of(rc), "%s",
                      wr->why) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for verdicts");
        at++;
    }
    return WH_OK;
}

/* ---- the verbs ---------------------------------------------------------------------------------
 */

static wh_status room_for_good(struct lite_wr *wr, int64_t n)
{
    int32_t *more;

    if ((size_t)n * 2 <= wr->good_cap)
        return WH_OK;
    more = wh_realloc(wr->good, (size_t)n * 2 * sizeof *more);
    if (!more)
        return WH_E_NOMEM;
    wr->good = more;
    wr->good_cap = (size_t)n * 2;
    return WH_OK;
}

/* Leaves out rows that our checks refuse: wr->good becomes the rows that are left, and behind them
 * their numbers in the send. */
static wh_status sift(struct lite_wr *wr, const int32_t *rows, int64_t first, int64_t n,
                      struct window *w, int64_t *ret_n)
{
    bool any = false;
    int64_t left = 0;

    WH_TRY(room_for_good(wr, n));
    memset(wr->good, 0, (size_t)n * sizeof *wr->good);
    for (int i = 0; i < wr->fl->n_dest; i++)
        WH_TRY(check_column(wr, i, rows, first, n, &any));
    if (!any)
        return WH_OK;
    for (int64_t r = 0; r < n; r++) {
        if (wr->good[r] < 0)
            continue;
        wr->good[left] = rows ? rows[r] : (int32_t)(first + r);
        wr->good[n + left++] = (int32_t)r;
    }
    *w = (struct window){.rows = wr->good, .numbers = wr->good + n};
    *ret_n = left;
    return WH_OK;
}

wh_status lite_writer_write(void *self, const struct wh_batch *batch, int64_t send,
                            const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                            struct wh_error *reterr)
{
    struct lite_wr *wr = self;
    struct window w = {.rows = rows, .first = rows ? 0 : first};
    int64_t left = n;
    bool checks;
    int st;

    *ret = (struct wh_acks){.upto_send = wr->send};
    if (!wr->open || wr->dead || atomic_load(&wr->se->stopped))
        return wh_fail(reterr, WH_LOST, "E2008", "the transaction of this unit is gone");
    wr->send = send;
    wr->bad.n = 0;
    WH_TRY(lite_feed_batch(wr->se->feed, &wr->fl->accept, batch, reterr));
    for (int i = 0; i < wr->fl->n_dest; i++)
        wr->se->feed->cols[i].as_number =
            wr->fl->dest[i].affinity == LITE_A_NUMERIC &&
            wr->se->feed->cols[i].view.type.precision <= EXACT_DIGITS &&
            wr->se->feed->cols[i].view.type.scale >= 0;
    WH_TRY(needs_checks(wr, &checks));
    if (checks && sift(wr, rows, first, n, &w, &left) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a send");
    lite_patience(wr->se);
    st = feed_range(wr, &w, 0, left, reterr);
    if (st == WH_OK)
        *ret = (struct wh_acks){.upto_send = wr->send};
    sql_verdicts_lend(&wr->bad, ret);
    return st;
}

wh_status lite_writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                            struct wh_error *reterr)
{
    struct lite_wr *wr = self;

    *ret = (struct wh_acks){.upto_send = wr->send}; /* every send was judged when it came */
    return WH_OK;
}

/* Deferred foreign keys are judged by the commit, which would name no row and be tried again. */
static wh_status no_orphans(struct lite_wr *wr, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int open = 0, most, st;

    if (!wr->fl->o->foreign_keys ||
        sqlite3_db_status(wr->se->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &most, 0) != SQLITE_OK ||
        !open)
        return WH_OK;
    WH_TRY(
        lite_prepare(wr->se, "select rowid, parent from pragma_foreign_key_check(?1)", &s, reterr));
    lite_bind_str(s, 1, wh_str(wr->fl->staged ? wr->fl->stage : wr->fl->table));
    if (sqlite3_step(s) == SQLITE_ROW)
        st =
            wh_fail(reterr, WH_E_DATA, "E5011",
                    "a deferred foreign key of \"%s\" finds no row in \"%.*s\": the row with rowid "
                    "%.*s, and perhaps others",
                    wr->fl->table, WH_STR_FMT(lite_text_at(s, 1)), WH_STR_FMT(lite_text_at(s, 0)));
    else
        st = wh_fail(reterr, WH_E_DATA, "E5011",
                     "deferred foreign keys are violated by what was written to \"%s\"",
                     wr->fl->table);
    if (reterr)
        wh_error_hint(reterr, "load the other table first, or leave foreign_keys off");
    return st;
}

wh_status lite_writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    struct lite_wr *wr = self;
    bool may_skip = wr->fl->mode == WH_MODE_INSERT_IGNORE || wr->fl->mode == WH_MODE_UPDATE;
    bool plain = is_plain(wr->fl);

    if (!wr->open || wr->dead)
        return wh_fail(reterr, WH_LOST, "E2008", "the transaction of this unit is gone");
    WH_TRY(no_orphans(wr, reterr));
    *ret = (struct wh_tally){.rows = wr->fed,
                             .bytes = -1,
                             .has_hash = true,
                             .hash = {wr->sum.sum.lo, wr->sum.sum.hi},
                             .inserted = -1,
                             .updated = -1,
                             .unchanged = 0};
    if (plain) {
        ret->rows = ret->inserted = wr->changed; /* SQLite's own count */
        ret->updated = 0;
    } else if (may_skip && !wr->fl->staged) {
        ret->unchanged = wr->fed - wr->changed;
        if (wr->fl->mode == WH_MODE_UPDATE) {
            ret->updated = wr->changed;
            ret->inserted = 0;
        } else {
            ret->inserted = wr->changed;
            ret->updated = 0;
        }
    }
    return WH_OK;
}

wh_status lite_writer_commit(void *self, const struct wh_marker *m, struct wh_bytes *ret_receipt,
                             struct wh_error *reterr)
{
    struct lite_wr *wr = self;
    int st = WH_OK;

    if (!wr->open || wr->dead || sqlite3_get_autocommit(wr->se->db))
        return wh_fail(reterr, WH_LOST, "E2008", "the transaction of this unit is gone");
    lite_finalizep(&wr->insert);
    lite_finalizep(&wr->proof);
    if (!wr->fl->marker_off)
        st = lite_marker_fill(wr->se, wr->fl->units, &wr->fence, wr->unit, m, reterr);
    if (st == WH_OK)
        st = lite_commit(wr->se, reterr);
    else
        lite_rollback(wr->se);
    wr->open = false;
    if (st == WH_OK)
        *ret_receipt = (struct wh_bytes){0};
    return st;
}

void lite_writer_close(void *self)
{
    struct lite_wr *wr = self;

    lite_finalizep(&wr->insert);
    lite_finalizep(&wr->proof);
    if (wr->open)
        lite_rollback(wr->se);
    wr->open = false;
    wh_free(TAKE_PTR(wr->run));
    wh_free(TAKE_PTR(wr->good));
    sql_verdicts_free(&wr->bad);
    if (wr->se)
        wr->se->ctx = wr->se->ep->ctx;
}
