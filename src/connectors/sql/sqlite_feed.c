/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual table behind INSERT .. SELECT. */
#include "sqlite_feed.h"

#include <math.h>

#include "data/number.h"

struct feed_table {
    sqlite3_vtab base;
    struct lite_feed *feed;
};

struct feed_cursor {
    sqlite3_vtab_cursor base;
    struct lite_feed *feed;
    int64_t at;
};

/* ---- the table ---------------------------------------------------------------------------------
 */

static int feed_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **ret, char **reterr)
{
    struct lite_feed *feed = aux;
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct feed_table *t;
    int st = wh_buf_adds(&sql, "create table x("), rc;

    for (int i = 0; i < feed->n_cols && st == WH_OK; i++)
        st = wh_buf_printf(&sql, i ? ", c%d" : "c%d", i);
    if (st != WH_OK || wh_buf_addc(&sql, ')') != WH_OK)
        return SQLITE_NOMEM;
    rc = sqlite3_declare_vtab(db, sql.p);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY); /* no view or trigger may read it */
    t = sqlite3_malloc(sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    *t = (struct feed_table){.feed = feed};
    *ret = &t->base;
    return SQLITE_OK;
}

static int feed_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

static int feed_plan(sqlite3_vtab *t, sqlite3_index_info *info)
{
    info->estimatedCost = 1;
    info->estimatedRows = WH_BATCH_ROWS;
    return SQLITE_OK;
}

static int feed_cursor_open(sqlite3_vtab *t, sqlite3_vtab_cursor **ret)
{
    struct feed_cursor *c = sqlite3_malloc(sizeof *c);

    if (!c)
        return SQLITE_NOMEM;
    *c = (struct feed_cursor){.feed = ((struct feed_table *)t)->feed};
    *ret = &c->base;
    return SQLITE_OK;
}

static int feed_cursor_close(sqlite3_vtab_cursor *c)
{
    sqlite3_free(c);
    return SQLITE_OK;
}

static int feed_begin(sqlite3_vtab_cursor *base, int number, const char *text, int argc,
                      sqlite3_value **argv)
{
    struct feed_cursor *c = (struct feed_cursor *)base;

    c->at = 0;
    c->feed->at = 0;
    return SQLITE_OK;
}

static int feed_next(sqlite3_vtab_cursor *base)
{
    struct feed_cursor *c = (struct feed_cursor *)base;

    c->feed->at = ++c->at;
    return SQLITE_OK;
}

static int feed_eof(sqlite3_vtab_cursor *base)
{
    struct feed_cursor *c = (struct feed_cursor *)base;

    return c->at >= c->feed->n;
}

static int feed_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = ((struct feed_cursor *)base)->at;
    return SQLITE_OK;
}

/* ---- cells -------------------------------------------------------------------------------------
 */

/* At most 15 digits: an integer, or the one double that stands for this decimal. */
static void put_decimal_number(sqlite3_context *x, __int128 v, int scale)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

    if (scale == 0)
        sqlite3_result_int64(x, (int64_t)v);
    else
        sqlite3_result_double(x, (double)(int64_t)v / powers[scale]);
}

static size_t print_uuid(const uint8_t *p, char out[36])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = digits[p[i] >> 4];
        out[n++] = digits[p[i] & 15];
    }
    return n;
}

/* Kinds that are stored as text we print: into the column's own buffer, which stays as it is until
 * the row is inserted. */
static size_t print_cell(const struct wh_view *v, int64_t i, char *out)
{
    switch (v->type.kind) {
    case WH_K_U64:
        return wh_print_u64(((const uint64_t *)v->data)[i], out);
    case WH_K_DEC128:
        return wh_print_dec128(wh_view_dec128(v, i - v->offset), v->type.scale, out);
    case WH_K_DEC256:
        return wh_print_dec256((const uint64_t *)v->data + i * 4, v->type.scale, out);
    case WH_K_DATE32:
        return wh_print_date(((const int32_t *)v->data)[i], out);
    case WH_K_TIME64:
        return wh_print_time(((const int64_t *)v->data)[i], v->type.unit, out);
    case WH_K_TIMESTAMP:
        return wh_print_timestamp(((const int64_t *)v->data)[i], v->type.unit, v->type.zoned, out);
    case WH_K_FIXED:
        return print_uuid((const uint8_t *)v->data + i * 16, out);
    case WH_K_INTERVAL: {
        struct {
            int32_t months, days;
            int64_t ns;
        } x;

        memcpy(&x, (const uint8_t *)v->data + i * 16, sizeof x);
        return wh_print_interval(x.months, x.days, x.ns, out);
    }
    default:
        return 0;
    }
}

static void put_bytes(sqlite3_context *x, const struct wh_view *v, int64_t i)
{
    struct wh_bytes b = wh_view_bytes(v, i - v->offset);
    const char *p = b.n ? b.p : "";

    if (v->type.kind == WH_K_UTF8 || v->type.kind == WH_K_DECTEXT)
        sqlite3_result_text64(x, p, b.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_result_blob64(x, p, b.n, SQLITE_STATIC);
}

static int feed_column(sqlite3_vtab_cursor *base, sqlite3_context *x, int at)
{
    struct feed_cursor *c = (struct feed_cursor *)base;
    struct lite_feed *f = c->feed;
    struct lite_feed_col *col = &f->cols[at];
    const struct wh_view *v = &col->view;
    int64_t i = (f->rows ? f->rows[c->at] : f->first + c->at) + v->offset;

    if (v->validity && !(v->validity[i >> 3] >> (i & 7) & 1))
        return SQLITE_OK; /* NULL */
    switch (v->type.kind) {
    case WH_K_NULL:
        break;
    case WH_K_BOOL:
        sqlite3_result_int(x, ((const uint8_t *)v->data)[i >> 3] >> (i & 7) & 1);
        break;
    case WH_K_I32:
        sqlite3_result_int(x, ((const int32_t *)v->data)[i]);
        break;
    case WH_K_I64:
    case WH_K_DURATION:
        sqlite3_result_int64(x, ((const int64_t *)v->data)[i]);
        break;
    case WH_K_I8:
    case WH_K_I16:
    case WH_K_U8:
    case WH_K_U16:
    case WH_K_U32:
        sqlite3_result_int64(x, wh_view_i64(v, i - v->offset));
        break;
    case WH_K_F32:
        sqlite3_result_double(x, ((const float *)v->data)[i]);
        break;
    case WH_K_F64:
        sqlite3_result_double(x, ((const double *)v->data)[i]);
        break;
    case WH_K_UTF8:
    case WH_K_DECTEXT:
    case WH_K_BINARY:
        put_bytes(x, v, i);
        break;
    case WH_K_FIXED:
        if (v->type.logical != WH_L_UUID || v->type.length != 16) {
            put_bytes(x, v, i);
            break;
        }
        sqlite3_result_text(x, col->buf, (int)print_cell(v, i, col->buf), SQLITE_STATIC);
        break;
    case WH_K_DEC128:
        if (col->as_number) {
            put_decimal_number(x, wh_view_dec128(v, i - v->offset), v->type.scale);
            break;
        }
        __attribute__((fallthrough));
    default:
        sqlite3_result_text(x, col->buf, (int)print_cell(v, i, col->buf), SQLITE_STATIC);
    }
    return SQLITE_OK;
}

static const sqlite3_module feed_module = {
    .iVersion = 1,
    .xConnect = feed_connect,
    .xBestIndex = feed_plan,
    .xDisconnect = feed_disconnect,
    .xOpen = feed_cursor_open,
    .xClose = feed_cursor_close,
    .xFilter = feed_begin,
    .xNext = feed_next,
    .xEof = feed_eof,
    .xColumn = feed_column,
    .xRowid = feed_rowid,
};

/* ---- its batches -------------------------------------------------------------------------------
 */

void lite_feed_free(struct lite_feed *f)
{
    if (!f)
        return;
    wh_free(f->cols);
    wh_free(f->views);
    wh_free(f);
}

wh_status lite_feed_open(struct lite_se *se, int n_cols, struct wh_error *reterr)
{
    struct lite_feed *f = wh_calloc(1, sizeof *f), *old = se->feed;
    int rc = SQLITE_NOMEM;

    if (old && old->n_cols == n_cols) {
        wh_free(f);
        return WH_OK;
    }
    if (f) {
        f->n_cols = n_cols;
        f->cols = wh_calloc((size_t)n_cols, sizeof *f->cols);
        f->views = wh_calloc((size_t)n_cols, sizeof *f->views);
        if (f->cols && f->views)
            rc = sqlite3_create_module(se->db, LITE_FEED, &feed_module, f);
    }
    if (rc != SQLITE_OK) {
        lite_feed_free(f);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a writer");
    }
    se->feed = f;
    lite_feed_free(old); /* the module that pointed to it has been replaced */
    return WH_OK;
}

wh_status lite_feed_batch(struct lite_feed *f, const struct ArrowSchema *schema,
                          const struct wh_batch *b, struct wh_error *reterr)
{
    WH_TRY(wh_views_init(schema, &b->rows, f->views, reterr));
    for (int i = 0; i < f->n_cols; i++)
        f->cols[i].view = f->views[i];
    return WH_OK;
}
