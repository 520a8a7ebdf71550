/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of a server that says what it likes: this file takes the place of the client (its
 * seam is net/pg_client.h), so that every cell the connector reads comes from the input. */
#include "fuzz.h"

#include "pg.h"
#include "pg_scan.h"

#include <string.h>

enum {
    COLUMNS = 24, /* more than any query of ours has */
    ROWS = 4,
};

struct pg_conn {
    int version;
};

struct pg_rows {
    int n;
    struct wh_str cell[ROWS][COLUMNS];
    uint32_t type[COLUMNS];
    int32_t typmod[COLUMNS];
    char text[ROWS * COLUMNS][40];
};

static const uint8_t *at, *end;

static uint8_t byte(void)
{
    return at < end ? *at++ : 0;
}

static uint64_t number(void)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | byte();
    return v;
}

/* What servers do say, so that the input need not find it letter by letter. */
static const char *const words[] = {
    "r",
    "p",
    "v",
    "m",
    "f",
    "t",
    "u",
    "b",
    "d",
    "c",
    "e",
    "a",
    "s",
    "i",
    "f",
    "t",
    "",
    "0",
    "1",
    "-1",
    "23",
    "1700",
    "1043",
    "1042",
    "1114",
    "1186",
    "3802",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "65540",
    "public",
    "orders",
    "integer",
    "numeric(10,2)",
    "numeric(1000,-5)",
    "character varying(20)",
    "character(0)",
    "timestamp(3) without time zone",
    "interval day to second(3)",
    "integer[]",
    "\"odd \"\"name\"",
    "now()",
    "8192",
    "UTF8",
};

static struct wh_str cell(char text[40])
{
    uint8_t what = byte();
    size_t n = 0;

    if (what < 40)
        return (struct wh_str){NULL, 0};
    if (what < 200)
        return wh_str(words[what % (sizeof words / sizeof *words)]);
    if (what < 230)
        return (struct wh_str){text, (size_t)snprintf(text, 40, "%lld", (long long)number())};
    for (n = 0; n < (size_t)(what - 230) && n < 39; n++) {
        text[n] = (char)byte();
        if (!text[n])
            break;
    }
    text[n] = 0;
    return (struct wh_str){text, n};
}

/* ---- the client --------------------------------------------------------------------------------
 */

wh_status pg_query(struct pg_conn *c, const char *sql, int n, const char *const *params,
                   struct pg_rows **ret, struct wh_error *reterr)
{
    struct pg_rows *r;
    uint8_t answer = byte();

    if (answer > 250)
        return wh_fail(reterr, answer & 1 ? WH_LOST : WH_E_REMOTE, "E2008", "as it likes");
    r = wh_calloc(1, sizeof *r);
    if (!r)
        return WH_E_NOMEM;
    r->n = answer % (ROWS + 1);
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < COLUMNS; k++)
            r->cell[i][k] = cell(r->text[i * COLUMNS + k]);
    for (int k = 0; k < COLUMNS; k++) {
        r->type[k] = (uint32_t)number();
        r->typmod[k] = (int32_t)number();
    }
    *ret = r;
    return WH_OK;
}

wh_status pg_query_after(struct pg_conn *c, const char *first, const char *sql, int n,
                         const char *const *params, struct pg_rows **ret, struct wh_error *reterr)
{
    return pg_query(c, sql, n, params, ret, reterr);
}

wh_status pg_query_commit(struct pg_conn *c, const char *sql, int n, const char *const *params,
                          int64_t require, int64_t *ret_rows, struct wh_error *reterr)
{
    *ret_rows = require;
    return WH_OK;
}

wh_status pg_exec(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    return byte() > 250 ? wh_fail(reterr, WH_E_REMOTE, "E2008", "as it likes") : WH_OK;
}

int pg_n_rows(const struct pg_rows *r)
{
    return r->n;
}

int pg_n_columns(const struct pg_rows *r)
{
    return COLUMNS;
}

struct wh_str pg_cell(const struct pg_rows *r, int row, int column)
{
    FUZZ_CHECK(row >= 0 && row < r->n && column >= 0 && column < COLUMNS);
    return r->cell[row][column];
}

int64_t pg_cell_i64(const struct pg_rows *r, int row, int column, int64_t otherwise)
{
    struct wh_str s = pg_cell(r, row, column);
    char *stop;
    long long v;

    if (!s.s || !s.n)
        return otherwise;
    v = strtoll(s.s, &stop, 10);
    return *stop ? otherwise : v;
}

bool pg_cell_bool(const struct pg_rows *r, int row, int column)
{
    struct wh_str s = pg_cell(r, row, column);

    return s.n == 1 && *s.s == 't';
}

int64_t pg_touched(const struct pg_rows *r)
{
    return r->n;
}

uint32_t pg_column_type(const struct pg_rows *r, int column, int32_t *ret_typmod)
{
    *ret_typmod = r->typmod[column];
    return r->type[column];
}

const char *pg_column_name(const struct pg_rows *r, int column)
{
    return words[column];
}

void pg_rows_free(struct pg_rows *r)
{
    wh_free(r);
}

void pg_rows_freep(struct pg_rows **r)
{
    wh_free(*r);
}

int pg_server_version(const struct pg_conn *c)
{
    return c->version;
}

int pg_library_version(void)
{
    return 150000;
}

const char *pg_parameter(const struct pg_conn *c, const char *name)
{
    return "UTF8";
}

char pg_transaction(const struct pg_conn *c)
{
    return 'I';
}

const char *pg_who(const struct pg_conn *c)
{
    return "somewhere";
}

const char *pg_database(const struct pg_conn *c)
{
    return "db";
}

void pg_use(struct pg_conn *c, const struct wh_ctx *ctx)
{
}

bool pg_dead(const struct pg_conn *c)
{
    return false;
}

void pg_rollback(struct pg_conn *c)
{
}

/* Never called by what is tested, but linked with it: with one of them missing the true client
 * would come in. */
struct pg_conn *pg_new(const struct wh_ctx *ctx)
{
    return NULL;
}

void pg_free(struct pg_conn *c)
{
}

void pg_interrupt(struct pg_conn *c)
{
}

wh_status pg_connect(struct pg_conn *c, const char *const *keys, const char *const *values,
                     const struct pg_times *t, struct wh_error *reterr)
{
    return WH_LOST;
}

int pg_backend_pid(const struct pg_conn *c)
{
    return 1;
}

bool pg_uses_tls(const struct pg_conn *c)
{
    return false;
}

bool pg_effective(const char *const *keys, const char *const *values, const char *want, char *out,
                  size_t size)
{
    return false;
}

void pg_place(const char *const *keys, const char *const *values, char *out, size_t size)
{
    *out = '\0';
}

const char *pg_notice(const struct pg_conn *c, int back)
{
    return NULL;
}

struct wh_str pg_said(const struct pg_conn *c, char field)
{
    return (struct wh_str){NULL, 0};
}

wh_status pg_copy_out(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    return WH_LOST;
}

wh_status pg_copy_get(struct pg_conn *c, struct wh_bytes *ret, struct wh_error *reterr)
{
    return WH_LOST;
}

wh_status pg_copy_in(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    return WH_LOST;
}

wh_status pg_copy_put(struct pg_conn *c, const void *p, size_t n, struct wh_error *reterr)
{
    return WH_LOST;
}

wh_status pg_copy_end(struct pg_conn *c, const char *why, int64_t *ret_rows,
                      struct wh_error *reterr)
{
    return WH_LOST;
}

int64_t pg_copy_rows(const struct pg_conn *c)
{
    return 0;
}

/* ---- what is done with it ----------------------------------------------------------------------
 */

static void types(const struct pg_col *c)
{
    char decl[PG_DECL];
    const char *why;
    enum pg_wire wire;
    struct wh_type t = c->type;

    pg_decl_for(&t, wh_str(c->type_text), decl, &wire);
    FUZZ_CHECK(strlen(decl) > 0 && strlen(decl) < sizeof decl);
    pg_accept_type(c, &t);
    (void)pg_rounds(c);
    struct pg_passes p = {wh_str(c->type_text), wh_str(c->shape ? c->shape : "")};

    (void)pg_frame_fits(&p, &p, &why);
}

/* Whatever was understood of a table makes a schema that a builder and a decoder take. */
static void use_table(struct pg_table *t, bool build)
{
    struct ArrowSchema schema = {0};
    struct wh_builder *b = NULL;
    struct pg_decoder *d = NULL;

    for (int i = 0; i < t->n_cols; i++)
        types(&t->cols[i]);
    if (build && pg_table_schema(t, &schema) == WH_OK) {
        FUZZ_CHECK(schema.n_children == t->n_cols);
        FUZZ_CHECK(wh_builder_new(&schema, &b, NULL) == WH_OK);
        FUZZ_CHECK(pg_decoder_new(t->cols, t->n_cols, b, false, &d, NULL) == WH_OK);
    }
    pg_decoder_free(d);
    wh_builder_free(b);
    wh_schema_release(&schema);
}

static wh_status each(void *arg, const struct wh_object *o)
{
    FUZZ_CHECK(o->name.n > 0);
    return WH_OK;
}

static bool any(const struct wh_pattern *p, const struct wh_name *n)
{
    return true;
}

static void *ctx_alloc(const struct wh_ctx *c, size_t n)
{
    return NULL;
}

static void ctx_log(const struct wh_ctx *c, int level, const char *fmt, ...)
{
}

static bool ctx_cancelled(const struct wh_ctx *c)
{
    return false;
}

/* A stored split: read, printed, written again as it was. */
static void range(const uint8_t *p, size_t n)
{
    struct pg_sc sc = {.tree = true};
    struct pg_col key = {.name = "a column"};
    struct wh_buf back = WH_BUF(1 << 20);
    struct pg_range r;
    char label[WH_SPLIT_LABEL];

    sc.key = &key;
    if (pg_range_get((struct wh_bytes){p, n}, &r)) {
        pg_range_label(&sc, &r, label, sizeof label);
        FUZZ_CHECK(memchr(label, 0, sizeof label) != NULL);
        FUZZ_CHECK(pg_range_put(&r, &back) == WH_OK);
        FUZZ_CHECK(back.n == n && memcmp(back.p, p, n) == 0);
    }
    wh_buf_free(&back);
}

/* Red when an answer of a catalogue query, whatever it says, leads out of its memory, to a type
 * that cannot be built or decoded, or to a number that overflows. First byte: which verb. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_ctx ctx = {.size = sizeof ctx,
                         .connection = "c",
                         .alloc = ctx_alloc,
                         .log = ctx_log,
                         .cancelled = ctx_cancelled};
    struct pg_connection o = {0};
    struct pg_ep ep = {.ctx = &ctx, .o = &o};
    struct pg_conn c = {150000};
    struct pg_se se = {.ep = &ep, .c = &c, .ctx = &ctx};
    struct wh_name name = {.part = {WH_STR("orders")}, .n = 1};
    struct wh_pattern pattern = {.match = any};
    struct pg_table t = {0};
    struct wh_error err;

    if (n < 2)
        return 0;
    at = data + 1;
    end = data + n;
    c.version = data[0] & 8 ? 90600 : data[0] & 16 ? 120000 : 170000;
    switch (data[0] % 4) {
    case 0:
        if (pg_describe(&se, &name, NULL, &t, &err) == WH_OK)
            use_table(&t, data[0] & 32);
        pg_table_free(&t);
        break;
    case 1:
        if (pg_describe_query(&se, "select 1", &t, &err) == WH_OK)
            use_table(&t, data[0] & 32);
        pg_table_free(&t);
        break;
    case 2:
        wh_ignore(pg_catalog(&ep, &se, &pattern, each, NULL, &err));
        break;
    default:
        range(data + 1, n - 1);
    }
    return 0;
}
