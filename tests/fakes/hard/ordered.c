/* SPDX-License-Identifier: Apache-2.0 */
/* hard-ordered: rows of one key must arrive in order, from one writer at a time.
 *
 * Source: a log in partitions (account number mod `groups`), each partition in ranges of ids:
 * splits with order_group = partition + 1 and order_seq counting its ranges. Sink: needs_key_order;
 * key (write.keys, else `account`), order = `id`. It fails loudly, as E9003, when a row's id is not
 * above the last one of its key, within an attempt or against what was committed, and when two
 * writers have rows of one key open at the same time. An engine that runs two splits of a group
 * side by side, or commits the second before the first, lets an older value win at the destination;
 * most sinks never notice, this one does. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

#include "data/number.h"

/* --------------------------------------------------------------------------------------- source */

/* Token: "partition/low:high". */
static bool read_token(struct wh_bytes t, int64_t *p, int64_t *low, int64_t *high)
{
    const char *s = t.p, *slash = s ? memchr(s, '/', t.n) : NULL;

    return slash && wh_read_i64(s, (size_t)(slash - s), p) &&
           hard_two((struct wh_bytes){slash + 1, t.n - (size_t)(slash + 1 - s)}, low, high);
}

static void fill_split(const struct hard_scan *sc, int64_t p, int64_t low, int64_t high,
                       char token[64], struct wh_split *ret)
{
    snprintf(token, 64, "%lld/%lld:%lld", (long long)p, (long long)low, (long long)high);
    *ret = (struct wh_split){.token = {token, strlen(token)},
                             .est_rows = (high - low) / sc->ep->opts->groups,
                             .est_bytes = -1,
                             .order_group = (uint64_t)p + 1,
                             .order_seq = (uint64_t)((low - sc->low) / sc->step)};
    snprintf(ret->label, sizeof ret->label, "partition %lld, id %lld..%lld", (long long)p,
             (long long)low, (long long)high - 1);
}

static wh_status scan_open(void *sc, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    snprintf(io->method, sizeof io->method, "ranges of partitions");
    io->splittable = true;
    return hard_scan_open(sc, ep, se, io, ret, reterr);
}

/* Cursor "partition:next id": partition after partition. */
static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct hard_scan *sc = self;
    int64_t p = 0, low = sc->low;

    if (cursor && cursor->n && !hard_two(*cursor, &p, &low))
        return wh_fail(reterr, WH_E_STATE, "E7003", "a cursor that is none of ours");
    if (low >= sc->high) {
        p++;
        low = sc->low;
    }
    if (p >= sc->ep->opts->groups || sc->low >= sc->high)
        return WH_END;
    int64_t high = sc->high - low > sc->step ? low + sc->step : sc->high;

    fill_split(sc, p, low, high, sc->token, ret);
    snprintf(sc->cursor, sizeof sc->cursor, "%lld:%lld", (long long)p, (long long)high);
    *ret_cursor = (struct wh_bytes){sc->cursor, strlen(sc->cursor)};
    return WH_OK;
}

struct reader {
    struct hard_reader base;
    int64_t partition;
};

static wh_status reader_open(void *self, void *scan, void *se, const struct wh_ctx *ctx,
                             const struct wh_split *split, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr)
{
    struct reader *rd = self;
    struct hard_scan *sc = scan;

    if (!read_token(split->token, &rd->partition, &rd->base.low, &rd->base.high))
        return wh_fail(reterr, WH_E_STATE, "E7003", "a split that is none of ours");
    rd->base.position = rd->base.low - 1;
    WH_TRY(hard_reader_begin(&rd->base, sc, se, ctx,
                             "select id, id, account, amount from \"%w\""
                             " where id >= ?1 and id < ?2"
                             " and cast(substr(account, 2) as integer) %% ?3 = ?4 order by id",
                             reterr));
    sqlite3_bind_int64(rd->base.stmt, 1, rd->base.low);
    sqlite3_bind_int64(rd->base.stmt, 2, rd->base.high);
    sqlite3_bind_int64(rd->base.stmt, 3, sc->ep->opts->groups);
    sqlite3_bind_int64(rd->base.stmt, 4, rd->partition);
    ret_actual->release = NULL;
    return WH_OK;
}

static wh_status reader_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                            struct wh_error *reterr)
{
    struct reader *rd = self;
    struct hard_reader *b = &rd->base;
    int64_t next = b->end ? b->high : b->position + 1;

    if (ret_done)
        fill_split(b->sc, rd->partition, b->low, next, b->done, ret_done);
    if (next >= b->high)
        return WH_END;
    fill_split(b->sc, rd->partition, next, b->high, b->rest, ret_rest);
    return WH_OK;
}

static const struct wh_source_ops source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct hard_scan),
    .rd_size = sizeof(struct reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = reader_open,
    .reader_next = hard_reader_next,
    .reader_cut = reader_cut,
    .reader_close = hard_reader_close,
    .scan_close = hard_scan_close,
};

/* ----------------------------------------------------------------------------------------- sink */

/* Keys that open writers of this process have rows of: a table in memory, under the endpoint's
 * mutex. */
struct open_keys {
    sqlite3 *db;
    sqlite3_stmt *put, *get, *drop;
};

static wh_status endpoint_open(void *self, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct open_keys *k;

    WH_TRY(hard_open(ep, ctx, role, opts, reterr));
    k = ep->own = wh_calloc(1, sizeof *k);
    if (!k)
        return WH_E_NOMEM;
    if (sqlite3_open_v2(":memory:", &k->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
        return hard_sql_failed(k->db, reterr, "keys");
    WH_TRY(hard_exec(k->db, reterr, "create table k(key text primary key, owner integer)"));
    WH_TRY(hard_prepare(k->db, &k->put, reterr,
                        "insert into k values(?1, ?2)"
                        " on conflict do nothing"));
    WH_TRY(hard_prepare(k->db, &k->get, reterr, "select owner from k where key = ?1"));
    return hard_prepare(k->db, &k->drop, reterr, "delete from k where owner = ?1");
}

static void endpoint_close(void *self)
{
    struct hard_endpoint *ep = self;
    struct open_keys *k = ep->open ? ep->own : NULL;

    if (k) {
        hard_finalize(&k->put);
        hard_finalize(&k->get);
        hard_finalize(&k->drop);
        sqlite3_close(k->db);
    }
    hard_close(ep);
}

static wh_status target_open(void *self, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct hard_target *fl = self;
    const char *key = io->n_keys > 0 ? io->keys[0] : "account";

    WH_TRY(hard_target_open(fl, ep, se, io, reterr));
    io->needs_key_order = true;
    fl->key_column = -1;
    for (int64_t i = 0; i < fl->accept.n_children; i++)
        if (strcmp(fl->accept.children[i]->name, key) == 0)
            fl->key_column = (int)i;
    if (fl->key_column < 0)
        fl->key_column = (int)fl->id_column;
    if (fl->id_column < 0)
        return wh_fail(reterr, WH_E_USAGE, "E1062", "an ordered table needs a column id");
    return WH_OK;
}

struct writer {
    struct hard_writer base;
};

static wh_status take_key(struct open_keys *k, struct wh_str key, int64_t owner,
                          struct wh_error *reterr)
{
    int64_t other = owner;

    sqlite3_bind_text(k->put, 1, key.s, (int)key.n, SQLITE_STATIC);
    sqlite3_bind_int64(k->put, 2, owner);
    int code = sqlite3_step(k->put);
    bool made = sqlite3_changes(k->db) == 1;

    sqlite3_reset(k->put);
    if (code != SQLITE_DONE)
        return hard_sql_failed(k->db, reterr, "keys");
    if (made)
        return WH_OK;
    sqlite3_bind_text(k->get, 1, key.s, (int)key.n, SQLITE_STATIC);
    if (sqlite3_step(k->get) == SQLITE_ROW)
        other = sqlite3_column_int64(k->get, 0);
    sqlite3_reset(k->get);
    if (other == owner)
        return WH_OK;
    return wh_fail(reterr, WH_E_BUG, "E9003",
                   "two writers have rows of key '%.*s' open: order is lost", WH_STR_FMT(key));
}

static struct wh_str key_of(const struct wh_view *v, int64_t row, char text[24])
{
    if (wh_view_null(v, row))
        return WH_STR("null");
    if (v->type.kind == WH_K_I64)
        return (struct wh_str){text, wh_print_i64(wh_view_i64(v, row), text)};
    struct wh_bytes b = wh_view_bytes(v, row);

    return (struct wh_str){b.p, b.n};
}

static wh_status take_keys(struct writer *wr, const int32_t *rows, int64_t first, int64_t n,
                           struct wh_error *reterr)
{
    struct hard_target *fl = wr->base.fl;
    const struct wh_view *key = &wr->base.views[fl->key_column];
    char text[24];
    int st = WH_OK;

    pthread_mutex_lock(&fl->ep->mutex);
    for (int64_t i = 0; st == WH_OK && i < n; i++)
        st = take_key(fl->ep->own, key_of(key, rows ? rows[i] : first + i, text),
                      (int64_t)(intptr_t)wr, reterr);
    pthread_mutex_unlock(&fl->ep->mutex);
    return st;
}

static wh_status writer_write(void *self, const struct wh_batch *b, int64_t send,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    *ret = (struct wh_acks){.upto_send = wr->base.acked};
    WH_TRY(hard_views(&wr->base, &b->rows, wr->base.views, reterr));
    WH_TRY(take_keys(wr, rows, first, n, reterr));
    return hard_writer_write(&wr->base, b, send, rows, first, n, ret, reterr);
}

static wh_status key_text(const struct hard_value *v, char out[256])
{
    if (v->kind == HARD_TEXT)
        snprintf(out, 256, "%.*s", (int)(v->text.n < 255 ? v->text.n : 255), v->text.s);
    else
        snprintf(out, 256, "%lld", (long long)v->i);
    return WH_OK;
}

/* Row after row against the last id of its key, which the same transaction moves on. */
static wh_status check_order(struct hard_writer *wr, sqlite3 *db, struct wh_error *reterr)
{
    const struct hard_target *fl = wr->fl;
    struct hard_value *row WH_CLEANUP(wh_freep) =
        wh_calloc((size_t)fl->accept.n_children + 1, sizeof *row);
    char object[HARD_NAME + HARD_RUN + 32], key[256];
    HARD_STMT *put = NULL;
    size_t at = 0;

    if (!row)
        return WH_E_NOMEM;
    snprintf(object, sizeof object, "%s/%s/%u", fl->object, wr->run, wr->unit.generation);
    WH_TRY(hard_prepare(db, &put, reterr,
                        "insert into hard_order values(?1, ?2, ?3) on conflict do update"
                        " set last = excluded.last where last < excluded.last"));
    while (hard_spool_next(wr, &at, row)) {
        WH_TRY(key_text(&row[fl->key_column], key));
        sqlite3_bind_text(put, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 2, key, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 3, row[fl->id_column].i);
        if (sqlite3_step(put) != SQLITE_DONE)
            return hard_sql_failed(db, reterr, "order");
        sqlite3_reset(put);
        if (sqlite3_changes(db) == 0)
            return wh_fail(reterr, WH_E_BUG, "E9003",
                           "id %lld of key '%s' came after a later one: order is lost",
                           (long long)row[fl->id_column].i, key);
    }
    return WH_OK;
}

static wh_status writer_commit(void *self, const struct wh_marker *marker,
                               struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    return hard_commit_with(self, marker, check_order, ret_receipt, reterr);
}

static void writer_close(void *self)
{
    struct writer *wr = self;
    struct hard_endpoint *ep = wr->base.fl ? wr->base.fl->ep : NULL;

    if (ep) {
        struct open_keys *k = ep->own;

        pthread_mutex_lock(&ep->mutex);
        sqlite3_bind_int64(k->drop, 1, (int64_t)(intptr_t)wr);
        sqlite3_step(k->drop);
        sqlite3_reset(k->drop);
        pthread_mutex_unlock(&ep->mutex);
    }
    hard_writer_close(&wr->base);
}

static const struct wh_endpoint_ops endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .check = hard_check,
    .session_open = hard_session_open,
    .interrupt = hard_interrupt,
    .snapshot = hard_point_snapshot,
    .join = hard_point_join,
    .release = hard_no_release,
    .catalog = hard_catalog,
    .claim = hard_claim,
    .evict = hard_evict,
    .run_close = hard_run_close,
    .session_close = hard_session_close,
    .close = endpoint_close,
};

static const struct wh_sink_ops sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct hard_target),
    .wr_size = sizeof(struct writer),
    .target_open = target_open,
    .steps = hard_steps,
    .apply = hard_apply,
    .writer_open = hard_writer_open,
    .writer_write = writer_write,
    .writer_flush = hard_writer_flush,
    .writer_seal = hard_writer_seal,
    .writer_commit = writer_commit,
    .lookup = hard_lookup,
    .verify = hard_verify,
    .writer_close = writer_close,
    .target_close = hard_target_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_T);
static const char *const schemes[] = {"hard-ordered", NULL};

WH_CONNECTOR(hard_ordered);
const struct wh_connector wh_connector_hard_ordered = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-ordered",
    .title = "Fake: a sink that wants each key in order from one writer",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &endpoint_ops,
    .source = &source,
    .sink = &sink,
};
