/* SPDX-License-Identifier: Apache-2.0 */
/* Refused rows where an attempt is all or nothing, or where only the seal refuses: found over
 * several attempts at the unit. Rows are known by their place among those that the reader hands
 * over.
 *
 *   refused by a write or flush   the culprit is in what had no answer yet, [lo, hi). The next
 * attempt flushes that range in small pieces, down to single rows. refused by the seal the culprit
 * is anywhere: the shortest beginning of the unit that is refused ends with it. Attempts that stop
 * in the middle find it.
 *
 * A row that was found is left out by the attempts after it: archived and counted there. Its hash
 * is kept, so that a source that delivers in another order is noticed instead of a wrong row
 * blamed.
 */
#include "engine/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ROWS_MOST = 65536, /* found in one unit */
    SINGLE_MOST = 256, /* a range of so many is flushed row by row */
};

static int find_of(struct wh_run_unit *u, struct wh_find **ret, struct wh_error *reterr)
{
    if (!u->find)
        u->find = wh_calloc(1, sizeof *u->find);
    if (!u->find)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "refused rows of unit %" PRId64, u->id);
    *ret = u->find;
    return WH_OK;
}

void wh_find_forget(struct wh_run_unit *u)
{
    if (u->find)
        wh_free(u->find->rows);
    wh_free(u->find);
    u->find = NULL;
}

static int no_row(struct wh_find *f, const char *how, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_REMOTE, "E5011", "%s, and no row is to blame: %s", how, f->text);
}

static void keep_reason(struct wh_find *f, const struct wh_error *why)
{
    bool dirty_code = why->code[0] == 'E' && why->code[1] == '6';

    snprintf(f->code, sizeof f->code, "%s", dirty_code ? why->code : "E6009");
    snprintf(f->text, sizeof f->text, "%.*s", (int)sizeof f->text - 1, why->message);
}

/* ---- rows that were found ----------------------------------------------------------------------
 */

struct wh_find_row *wh_find_next(const struct wh_run_unit *u, int64_t from, int64_t to)
{
    const struct wh_find *f = u->find;
    size_t a = 0, b = f->n;

    while (a < b) {
        size_t mid = a + (b - a) / 2;

        if (f->rows[mid].at < from)
            a = mid + 1;
        else
            b = mid;
    }
    return a < f->n && f->rows[a].at < to ? &f->rows[a] : NULL;
}

static int add(struct wh_find *f, int64_t at, const struct wh_u128 *hash, struct wh_error *reterr)
{
    size_t i = f->n, cap = f->cap ? f->cap * 2 : 16;
    struct wh_find_row *rows;

    if (f->n >= ROWS_MOST)
        return wh_fail(reterr, WH_E_REMOTE, "E5011",
                       "more than %d rows of one unit are refused: %s", ROWS_MOST, f->text);
    if (f->n == f->cap) {
        rows = wh_realloc(f->rows, cap * sizeof *rows);
        if (!rows)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "refused rows");
        f->rows = rows;
        f->cap = cap;
    }
    while (i && f->rows[i - 1].at >= at)
        i--;
    if (i < f->n && f->rows[i].at == at)
        return no_row(f, "a row that was not sent is refused", reterr);
    memmove(f->rows + i + 1, f->rows + i, (f->n - i) * sizeof *f->rows);
    f->rows[i] = (struct wh_find_row){.at = at};
    if (hash) {
        f->rows[i].hash = *hash;
        f->rows[i].hashed = true;
    }
    memcpy(f->rows[i].code, f->code, sizeof f->code);
    memcpy(f->rows[i].text, f->text, sizeof f->text);
    f->n++;
    f->lo = f->hi = 0;
    if (f->late && f->clean <= at)
        f->clean = at + 1;
    return WH_OK;
}

int wh_find_blame(struct wh_run_unit *u, int64_t at, struct wh_u128 hash,
                  const struct wh_error *why, struct wh_error *reterr)
{
    struct wh_find *f = NULL;

    WH_TRY(find_of(u, &f, reterr));
    keep_reason(f, why);
    return add(f, at, &hash, reterr);
}

/* ---- refused by a write or a flush -------------------------------------------------------------
 */

int wh_find_between(struct wh_run_unit *u, int64_t lo, int64_t hi, const struct wh_error *why,
                    struct wh_error *reterr)
{
    struct wh_find *f = NULL;

    WH_TRY(find_of(u, &f, reterr));
    keep_reason(f, why);
    if (lo >= hi || (!f->late && f->lo < f->hi && hi - lo >= f->hi - f->lo))
        return no_row(f, "the destination refuses other rows each time", reterr);
    f->late = false;
    f->lo = lo;
    f->hi = hi;
    return WH_OK;
}

int64_t wh_find_step(const struct wh_run_unit *u, int64_t at, int64_t most, bool *ret_flush)
{
    const struct wh_find *f = u->find;
    int64_t n = 1;

    *ret_flush = false;
    if (f->late || f->lo >= f->hi || at >= f->hi)
        return most;
    if (at < f->lo) {
        n = f->lo - at;
    } else if (f->hi - f->lo > SINGLE_MOST) {
        while (n * n < f->hi - f->lo)
            n++;
        n = n < f->hi - at ? n : f->hi - at;
    }
    *ret_flush = n <= most;
    return n < most ? n : most;
}

/* ---- refused by the seal -----------------------------------------------------------------------
 */

int64_t wh_find_stop(const struct wh_run_unit *u)
{
    const struct wh_find *f = u->find;

    return f && f->late && f->lo < f->hi ? f->lo + (f->hi - f->lo) / 2 : INT64_MAX;
}

/* The beginning [0, hi) is refused, [0, lo) is not. */
static int narrowed(struct wh_find *f, struct wh_error *reterr)
{
    return f->hi - f->lo == 1 ? add(f, f->lo, NULL, reterr) : WH_OK;
}

int wh_find_sealed(struct wh_run_unit *u, int64_t rows, const struct wh_error *why,
                   struct wh_error *reterr)
{
    struct wh_find *f = NULL;

    WH_TRY(find_of(u, &f, reterr));
    if (!why) {
        f->lo = rows;
        return narrowed(f, reterr);
    }
    keep_reason(f, why);
    if (!f->late || f->lo >= f->hi)
        f->lo = f->clean;
    f->late = true;
    f->hi = rows;
    if (f->lo >= f->hi)
        return no_row(f, "the unit is refused when it is sealed", reterr);
    return narrowed(f, reterr);
}
