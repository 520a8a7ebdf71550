/* SPDX-License-Identifier: Apache-2.0 */
/* The sqlite connector with its N-th allocation failing: no crash, no leak, no half success. */
#include "sqlite_side.h"
#include "sweep.h"

struct job {
    const char *from, *to;
    int64_t rows;
};

/* Buffers are the test's own: only the connector's allocations fail. */
static union {
    char bytes[8192];
    max_align_t align;
} mem[6];

static void *zeroed(int i, size_t n)
{
    assert_true(n <= sizeof mem[i]);
    memset(&mem[i], 0, sizeof mem[i]);
    return &mem[i];
}

static int open_side(struct side *s, const char *db)
{
    static struct {
        const char *path;
        int64_t lock_timeout, cache;
        int journal_mode, synchronous;
    } opts;
    struct wh_str ident;
    int st;

    memset(s, 0, sizeof *s);
    fake_ctx_init(&s->fake);
    if (!s->fake.arena)
        return WH_E_NOMEM;
    opts.path = db;
    opts.lock_timeout = 1000;
    opts.cache = 1 << 20;
    s->opts = &opts;
    s->ep = zeroed(0, LITE->ep_size);
    s->se = zeroed(1, LITE->se_size);
    st = LITE->endpoint->open(s->ep, &s->fake.ctx, WH_COORDINATOR, s->opts, &s->err);
    if (st != WH_OK)
        return st;
    return LITE->endpoint->session_open(s->se, s->ep, WH_CONTROL, &ident, &s->err);
}

static void close_side(struct side *s)
{
    if (s->se)
        LITE->endpoint->session_close(s->se);
    if (s->ep)
        LITE->endpoint->close(s->ep);
    fake_ctx_free(&s->fake);
}

static int read_table(struct side *s, const char *table, int64_t *rows)
{
    static char from[64]; /* all defaults are zero */
    struct wh_name name = name1(table);
    struct wh_scan io = {.object = &name, .opts = from, .ctx = &s->fake.ctx};
    struct ArrowSchema schema = {0}, actual = {0};
    void *sc = zeroed(2, LITE->source->sc_size), *rd = zeroed(3, LITE->source->rd_size);
    struct wh_split split;
    struct wh_bytes next;
    struct wh_batch b = {0};
    bool opened = false;
    int st = LITE->source->scan_open(sc, s->ep, s->se, &io, &schema, &s->err);

    *rows = 0;
    if (st == WH_OK)
        st = LITE->source->split_next(sc, s->se, NULL, &split, &next, &s->err);
    if (st == WH_OK) {
        opened = true;
        st = LITE->source->reader_open(rd, sc, s->se, &s->fake.ctx, &split, &actual, &s->err);
    }
    while (st == WH_OK) {
        st = LITE->source->reader_next(rd, &b, &s->err);
        *rows += st == WH_OK ? b.n_rows : 0;
        wh_batch_release(&b);
    }
    if (opened)
        LITE->source->reader_close(rd);
    LITE->source->scan_close(sc);
    wh_schema_release(&schema);
    return st == WH_END ? WH_OK : st;
}

static int read_once(void *arg)
{
    struct job *j = arg;
    struct side s;
    int64_t rows = 0;
    int st = open_side(&s, j->from);

    if (st == WH_OK)
        st = read_table(&s, "t", &rows);
    if (st == WH_OK && s.fake.n_rejects == 0)
        assert_int_equal(rows, j->rows); /* success means all rows */
    else if (st == WH_OK)
        st = WH_E_BUG; /* a row must not be called dirty for want of memory */
    close_side(&s);
    return st;
}

/* Fails if a read that ran out of memory leaks, crashes, or loses or rejects rows silently. */
static void reading(void **state)
{
    struct job j = {.from = in_scratch("alloc.db"), .rows = 300};

    new_db(j.from,
           "create table t(k integer primary key, d decimal(10,2), x text, b blob, s date);"
           "with recursive c(i) as (select 1 union all select i+1 from c where i<300) insert "
           "into t select i, i/4.0, 'text '||i, zeroblob(i), '2024-01-01' from c;");
    sweep(read_once, &j, WH_E_LIMIT);
}

/* ---- writing ---- */

static struct wh_batch batch;
static struct ArrowSchema schema;

static int run_phase(struct side *s, void *fl, const struct wh_fence *fence, enum wh_phase phase)
{
    static char says[4096];
    struct step_list l = {.says = says, .size = sizeof says};
    struct wh_bytes receipt;
    int st;

    says[0] = 0;
    l.sink = (struct wh_step_sink){.self = &l, .add = keep_step};
    st = LITE->sink->steps(fl, s->se, phase, NULL, &l.sink, &s->err);
    for (int i = 0; i < l.n && st == WH_OK; i++)
        st = LITE->sink->apply(fl, s->se, &l.v[i].step, fence, NULL, false, &receipt, &s->err);
    return st;
}

static int write_rows(struct side *s, void *fl, const struct wh_fence *fence)
{
    struct wh_unit u = {.id = 1, .flow = 1, .generation = 1, .attempt = 1};
    struct wh_acks acks;
    struct wh_tally tally;
    struct wh_marker m = {.rows = 0};
    struct wh_bytes receipt;
    void *wr = zeroed(4, LITE->sink->wr_size);
    int st = LITE->sink->writer_open(wr, fl, s->se, &s->fake.ctx, &u, fence, &s->err);

    if (st == WH_OK)
        st = LITE->sink->writer_write(wr, &batch, 1, NULL, 0, batch.n_rows, &acks, &s->err);
    if (st == WH_OK && acks.n_bad != 1)
        st = WH_E_BUG;
    if (st == WH_OK)
        st = LITE->sink->writer_seal(wr, &tally, &s->err);
    if (st == WH_OK)
        st = LITE->sink->writer_commit(wr, &m, &receipt, &s->err);
    LITE->sink->writer_close(wr);
    return st;
}

static int write_once(void *arg)
{
    static char to[64];
    struct job *j = arg;
    struct side s;
    struct wh_name name = name1("t");
    struct wh_objects targets = {&name, 1};
    struct wh_fence fence = {.run = WH_STR(RUN), .epoch = 1, .flow = 1, .generation = 1};
    struct wh_target io = {
        .object = &name, .opts = to, .source = &schema, .fence = &fence, .mode = WH_MODE_OVERWRITE};
    void *fl = zeroed(5, LITE->sink->fl_size);
    bool opened = false;
    int st;

    unlink(j->to);
    st = open_side(&s, j->to);
    if (st == WH_OK) {
        io.ctx = &s.fake.ctx;
        opened = true;
        st = LITE->sink->target_open(fl, s.ep, s.se, &io, &s.err);
    }
    if (st == WH_OK)
        st = LITE->endpoint->claim(s.ep, s.se, &fence, &targets, &s.err);
    if (st == WH_OK)
        st = run_phase(&s, fl, &fence, WH_PREPARE);
    if (st == WH_OK)
        st = write_rows(&s, fl, &fence);
    if (st == WH_OK)
        st = run_phase(&s, fl, &fence, WH_PUBLISH);
    if (st == WH_OK)
        st = LITE->endpoint->run_close(s.ep, s.se, &fence, &s.err);
    if (opened)
        LITE->sink->target_close(fl);
    wh_schema_release(&io.accept);
    close_side(&s);
    return st;
}

/* Fails if a write that ran out of memory leaks, crashes, or reports rows that are not there. */
static void writing(void **state)
{
    struct job j = {.to = in_scratch("alloc2.db")};
    const struct wh_type k = {.kind = WH_K_I64}, v = {.kind = WH_K_F64, .nullable = true};
    const char *const key[] = {WH_META_KEY, "1", NULL};
    struct wh_builder *b;
    struct wh_error err;

    assert_ok(wh_schema_init(&schema, 2));
    assert_ok(wh_schema_set(&schema, 0, "k", &k, key));
    assert_ok(wh_schema_set(&schema, 1, "v", &v, NULL));
    assert_ok(wh_builder_new(&schema, &b, &err));
    for (int i = 0; i < 10; i++) {
        assert_ok(wh_col_i64(wh_builder_column(b, 0), i));
        assert_ok(wh_col_f64(wh_builder_column(b, 1), i == 4 ? __builtin_nan("") : i));
    }
    assert_ok(wh_builder_finish(b, &batch));
    wh_builder_free(b);
    sweep(write_once, &j, WH_E_LIMIT);
    assert_int_equal(write_once(&j), WH_OK);
    assert_string_equal(shell(j.to, "select count(*), sum(k) from t"), "9|41");
    wh_batch_release(&batch);
    wh_schema_release(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reading), cmocka_unit_test(writing)};

    return scratch_end(cmocka_run_group_tests(tests, NULL, NULL));
}
