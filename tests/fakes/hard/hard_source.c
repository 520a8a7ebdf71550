/* SPDX-License-Identifier: Apache-2.0 */
/* What fake sources share: the schema, bounds, a reader over one SELECT, and id ranges. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

#include "data/number.h"

enum {
    ROW_BYTES = 40 /* a guess, for unit sizes */
};

wh_status hard_source_schema(struct ArrowSchema *ret)
{
    static const char *const key[] = {WH_META_KEY, "1", NULL};
    struct wh_type id = {.kind = WH_K_I64}, text = WH_TYPE(WH_K_UTF8), amount = WH_TYPE(WH_K_I64);

    WH_TRY(wh_schema_init(ret, 3));
    int st = wh_schema_set(ret, 0, "id", &id, key);

    if (st == WH_OK)
        st = wh_schema_set(ret, 1, "account", &text, NULL);
    if (st == WH_OK)
        st = wh_schema_set(ret, 2, "amount", &amount, NULL);
    if (st != WH_OK)
        wh_schema_release(ret);
    return st;
}

bool hard_two(struct wh_bytes token, int64_t *ret_a, int64_t *ret_b)
{
    const char *p = token.p, *colon = p ? memchr(p, ':', token.n) : NULL;

    return colon && wh_read_i64(p, (size_t)(colon - p), ret_a) &&
           wh_read_i64(colon + 1, token.n - (size_t)(colon - p) - 1, ret_b);
}

/* Ids of the table: what the plan fixes. */
static wh_status measure(struct hard_scan *sc, struct hard_session *se, struct wh_scan *io,
                         struct wh_error *reterr)
{
    HARD_STMT *stmt = NULL;
    int64_t there = 0;

    WH_TRY(hard_int(se->db, &there, NULL, reterr,
                    "select count(*) from sqlite_schema where type = 'table' and name = %Q",
                    sc->name));
    if (!there)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "no table '%s'", sc->name);
    WH_TRY(hard_prepare(se->db, &stmt, reterr,
                        "select coalesce(min(id), 0), coalesce(max(id) + 1, 0), count(*) from"
                        " \"%w\"",
                        sc->name));
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return hard_sql_failed(se->db, reterr, "bounds");
    sc->low = sqlite3_column_int64(stmt, 0);
    sc->high = sqlite3_column_int64(stmt, 1);
    sc->rows = sqlite3_column_int64(stmt, 2);
    if (io->frozen && io->bounds.n && !hard_two(io->bounds, &sc->low, &sc->high))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the bounds are none of ours");
    return WH_OK;
}

wh_status hard_scan_open(struct hard_scan *sc, void *ep, void *session, struct wh_scan *io,
                         struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct wh_str object = io->object->n > 0 ? io->object->part[io->object->n - 1] : WH_STR("");

    sc->ep = ep;
    if (!object.n || object.n >= HARD_NAME)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "no table '%.*s'", WH_STR_FMT(object));
    snprintf(sc->name, sizeof sc->name, "%.*s", WH_STR_FMT(object));
    sc->object = wh_str(sc->name);
    WH_TRY(hard_source_schema(&sc->schema));
    WH_TRY(measure(sc, session, io, reterr));
    snprintf(sc->cursor, sizeof sc->cursor, "%lld:%lld", (long long)sc->low, (long long)sc->high);
    io->ret_bounds = (struct wh_bytes){sc->cursor, strlen(sc->cursor)};
    sc->step = sc->ep->opts->split_rows     ? sc->ep->opts->split_rows
               : io->unit_bytes > ROW_BYTES ? io->unit_bytes / ROW_BYTES
                                            : 100000;
    io->est_rows = sc->rows;
    io->est_bytes = sc->rows * ROW_BYTES;
    io->resumable = true;
    for (size_t i = 0; i < io->n_preds; i++)
        io->preds[i].pushed = WH_PUSH_NO;
    return wh_schema_copy(&sc->schema, ret);
}

void hard_scan_close(void *self)
{
    wh_schema_release(&((struct hard_scan *)self)->schema);
}

/* --------------------------------------------------------------------------------------- reader */

wh_status hard_reader_begin(struct hard_reader *rd, struct hard_scan *sc, void *session,
                            const struct wh_ctx *ctx, const char *sql_fmt, struct wh_error *reterr)
{
    char name[HARD_NAME + 24];

    rd->sc = sc;
    rd->se = session;
    rd->ctx = ctx;
    if (rd->se->dead || atomic_load(&rd->se->interrupted))
        return hard_lost(rd->se, reterr, "the session was ended");
    hard_version_name(name, rd->se->slot >= 0 ? 0 : atomic_load(&sc->ep->version), sc->object);
    WH_TRY(hard_prepare(rd->se->db, &rd->stmt, reterr, sql_fmt, name));
    return wh_builder_new(&sc->schema, &rd->builder, reterr);
}

static wh_status put_text(struct wh_column *c, sqlite3_stmt *stmt, int i)
{
    if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
        return wh_col_null(c);
    const void *text = sqlite3_column_text(stmt, i);

    return wh_col_bytes(c, text, (size_t)sqlite3_column_bytes(stmt, i));
}

static wh_status put_int(struct wh_column *c, sqlite3_stmt *stmt, int i)
{
    if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
        return wh_col_null(c);
    return wh_col_i64(c, sqlite3_column_int64(stmt, i));
}

static wh_status put_row(struct hard_reader *rd)
{
    WH_TRY(put_int(wh_builder_column(rd->builder, 0), rd->stmt, 1));
    WH_TRY(put_text(wh_builder_column(rd->builder, 1), rd->stmt, 2));
    WH_TRY(put_int(wh_builder_column(rd->builder, 2), rd->stmt, 3));
    rd->position = sqlite3_column_int64(rd->stmt, 0);
    return WH_OK;
}

wh_status hard_reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct hard_reader *rd = self;
    int64_t n = 0;

    if (rd->end)
        return WH_END;
    WH_TRY(hard_fault(rd->se, rd->ctx, "a read", reterr));
    while (n < rd->sc->ep->opts->batch_rows) {
        int code = sqlite3_step(rd->stmt);

        if (code == SQLITE_DONE) {
            rd->end = true;
            break;
        }
        if (code != SQLITE_ROW)
            return hard_sql_failed(rd->se->db, reterr, "read");
        WH_TRY(put_row(rd));
        n++;
    }
    if (!n)
        return WH_END;
    WH_TRY(wh_builder_finish(rd->builder, ret));
    ret->first = rd->delivered;
    ret->source_bytes = ret->bytes;
    rd->delivered += n;
    return WH_OK;
}

void hard_reader_close(void *self)
{
    struct hard_reader *rd = self;

    hard_finalize(&rd->stmt);
    wh_builder_free(rd->builder);
    rd->builder = NULL;
}

/* ------------------------------------------------------------------------------------ id ranges */

wh_status hard_range_scan(void *self, void *ep, void *se, struct wh_scan *io,
                          struct ArrowSchema *ret, struct wh_error *reterr)
{
    snprintf(io->method, sizeof io->method, "id ranges");
    io->splittable = true;
    return hard_scan_open(self, ep, se, io, ret, reterr);
}

static void range_split(const struct hard_scan *sc, int64_t low, int64_t high, char token[64],
                        struct wh_split *ret)
{
    int64_t end = high < sc->high ? high : sc->high, rows = end > low ? end - low : 0;

    snprintf(token, 64, "%lld:%lld", (long long)low, (long long)high);
    *ret = (struct wh_split){.token = {token, strlen(token)},
                             .est_rows = rows,
                             .est_bytes = rows * ROW_BYTES,
                             .order_seq = (uint64_t)((low - sc->low) / sc->step)};
    snprintf(ret->label, sizeof ret->label, "id %lld..%lld", (long long)low, (long long)high - 1);
}

/* Cursor: "next:0". */
wh_status hard_range_split(void *self, void *se, const struct wh_bytes *cursor,
                           struct wh_split *ret, struct wh_bytes *ret_cursor,
                           struct wh_error *reterr)
{
    struct hard_scan *sc = self;
    int64_t low = sc->low, none = 0;

    if (cursor && cursor->n && !hard_two(*cursor, &low, &none))
        return wh_fail(reterr, WH_E_STATE, "E7003", "a cursor that is none of ours");
    if (low >= sc->high)
        return WH_END;
    int64_t high = sc->high - low > sc->step ? low + sc->step : sc->high;

    range_split(sc, low, high, sc->token, ret);
    snprintf(sc->cursor, sizeof sc->cursor, "%lld:0", (long long)high);
    *ret_cursor = (struct wh_bytes){sc->cursor, strlen(sc->cursor)};
    return WH_OK;
}

wh_status hard_range_open(void *self, void *scan, void *se, const struct wh_ctx *ctx,
                          const struct wh_split *split, struct ArrowSchema *ret_actual,
                          struct wh_error *reterr)
{
    struct hard_reader *rd = self;

    if (!hard_two(split->token, &rd->low, &rd->high))
        return wh_fail(reterr, WH_E_STATE, "E7003", "a split that is none of ours");
    rd->position = rd->low - 1;
    WH_TRY(hard_reader_begin(rd, scan, se, ctx,
                             "select id, id, account, amount from \"%w\""
                             " where id >= ?1 and id < ?2 order by id",
                             reterr));
    sqlite3_bind_int64(rd->stmt, 1, rd->low);
    sqlite3_bind_int64(rd->stmt, 2, rd->high);
    ret_actual->release = NULL;
    return WH_OK;
}

wh_status hard_range_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                         struct wh_error *reterr)
{
    struct hard_reader *rd = self;
    int64_t next = rd->end ? rd->high : rd->position + 1;

    if (ret_done)
        range_split(rd->sc, rd->low, next, rd->done, ret_done);
    if (next >= rd->high)
        return WH_END;
    range_split(rd->sc, next, rd->high, rd->rest, ret_rest);
    return WH_OK;
}

const struct wh_source_ops hard_range_source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct hard_scan),
    .rd_size = sizeof(struct hard_reader),
    .scan_open = hard_range_scan,
    .split_next = hard_range_split,
    .reader_open = hard_range_open,
    .reader_next = hard_reader_next,
    .reader_cut = hard_range_cut,
    .reader_close = hard_reader_close,
    .scan_close = hard_scan_close,
};
