/* SPDX-License-Identifier: Apache-2.0 */
/* The file connector with its N-th allocation failing: reading, cutting, writing, publishing. Red
 * when something leaks, crashes, or ends with another status than no memory. */
#include "files_rig.h"
#include "sweep.h"

struct job {
    struct rig *r;
    const char *from, *to;
    const void *from_opts, *to_opts;
    bool chained;
};

static wh_status no_receipt(struct wh_receipts *r, struct wh_receipt *ret)
{
    struct wh_receipt *one = r->self;
    if (!one->unit)
        return WH_END;
    *ret = *one;
    one->unit = 0;
    return WH_OK;
}

static void again(struct wh_receipts *r)
{
    ((struct wh_receipt *)r->self)->unit = 1;
}

struct parts {
    const struct job *j;
    const struct wh_source_ops *from;
    const struct wh_sink_ops *to;
    void *sc, *rd, *fl, *wr;
    struct wh_error err;
    struct wh_fence fence;
};

static int read_write(struct parts *p, const struct wh_split *split, struct wh_receipt *receipt)
{
    const struct wh_ctx *ctx = &p->j->r->fake.ctx;
    struct wh_unit unit = {.id = 1, .flow = 1, .generation = 1, .attempt = 1};
    struct ArrowSchema actual = {0};
    struct wh_tally tally;
    struct wh_acks acks;
    struct wh_bytes bytes;
    struct wh_split rest;
    int64_t send = 0;
    int st = p->from->reader_open(p->rd, p->sc, p->j->r->se, ctx, split, &actual, &p->err);
    if (st == WH_OK)
        st = p->to->writer_open(p->wr, p->fl, p->j->r->se, ctx, &unit, &p->fence, &p->err);
    while (st == WH_OK) {
        struct wh_batch b = {0};
        st = p->from->reader_next(p->rd, &b, &p->err);
        if (st == WH_OK)
            st = p->to->writer_write(p->wr, &b, ++send, NULL, 0, b.n_rows, &acks, &p->err);
        wh_batch_release(&b);
        if (st == WH_OK)
            st = p->from->reader_cut(p->rd, &rest, NULL, &p->err);
    }
    if (st != WH_END)
        return st;
    WH_TRY(p->to->writer_seal(p->wr, &tally, &p->err));
    struct wh_marker marker = {.rows = tally.rows};
    WH_TRY(p->to->writer_commit(p->wr, &marker, &bytes, &p->err));
    if (bytes.n > 500)
        return WH_E_BUG;
    memcpy((void *)(uintptr_t)receipt->receipt.p, bytes.p, bytes.n);
    receipt->receipt.n = bytes.n;
    return WH_OK;
}

/* Applies each step as it is told; never allocates by itself. */
static wh_status apply_now(struct wh_step_sink *out, const struct wh_step *step)
{
    struct {
        struct parts *p;
        struct wh_receipts *receipts;
    } *a = out->self;
    struct wh_bytes receipt;
    return a->p->to->apply(a->p->fl, a->p->j->r->se, step, &a->p->fence, a->receipts, false,
                           &receipt, &a->p->err);
}

static int phase(struct parts *p, enum wh_phase ph, struct wh_receipts *receipts)
{
    struct {
        struct parts *p;
        struct wh_receipts *receipts;
    } a = {p, receipts};
    struct wh_step_sink out = {&a, apply_now};
    return p->to->steps(p->fl, p->j->r->se, ph, receipts, &out, &p->err);
}

static int copy(struct parts *p, struct wh_scan *scan, struct wh_target *target,
                struct ArrowSchema *schema)
{
    void *se = p->j->r->se, *ep = p->j->r->ep;
    char kept[500];
    struct wh_receipt receipt = {.unit = 1, .receipt = {kept, 0}};
    struct wh_receipts receipts = {.self = &receipt, .next = no_receipt, .rewind = again, .n = 1};
    struct wh_split split;
    struct wh_bytes cursor;
    WH_TRY(p->from->scan_open(p->sc, ep, se, scan, schema, &p->err));
    target->source = schema;
    WH_TRY(p->to->target_open(p->fl, ep, se, target, &p->err));
    WH_TRY(p->from->split_next(p->sc, se, NULL, &split, &cursor, &p->err));
    int st = phase(p, WH_PREPARE, NULL);
    if (st == WH_OK)
        st = read_write(p, &split, &receipt);
    if (st == WH_OK)
        st = phase(p, WH_PUBLISH, &receipts);
    p->to->writer_close(p->wr);
    p->from->reader_close(p->rd);
    return st == WH_OK ? phase(p, WH_FINISH, &receipts) : st;
}

static int copy_once(void *arg)
{
    const struct job *j = arg;
    const struct wh_source_ops *from = FILE_CONNECTOR->source;
    const struct wh_sink_ops *to = FILE_CONNECTOR->sink;
    struct wh_name in = {.part = {wh_str(j->from)}, .n = 1},
                   out = {.part = {wh_str(j->to)}, .n = 1};
    struct wh_fence fence = {
        .run = wh_str(j->r->fake.ctx.run), .epoch = 1, .flow = 1, .generation = 1};
    struct wh_scan scan = {
        .object = &in, .opts = j->from_opts, .ctx = &j->r->fake.ctx, .unit_bytes = 1 << 30};
    struct wh_target target = {.object = &out,
                               .source_name = WH_STR("t"),
                               .opts = j->to_opts,
                               .ctx = &j->r->fake.ctx,
                               .mode = WH_MODE_OVERWRITE,
                               .fence = &fence};
    struct ArrowSchema schema = {0};
    /* The engine's memory, of which it has enough. */
    char *memory = calloc(1, from->sc_size + from->rd_size + to->fl_size + to->wr_size);
    struct parts p = {.j = j, .from = from, .to = to, .fence = fence, .sc = memory};
    p.rd = memory + from->sc_size;
    p.fl = memory + from->sc_size + from->rd_size;
    p.wr = memory + from->sc_size + from->rd_size + to->fl_size;
    int st = copy(&p, &scan, &target, &schema);
    wh_schema_release(&schema);
    wh_schema_release(&target.accept);
    to->target_close(p.fl);
    from->scan_close(p.sc);
    free(memory);
    if (st == WH_E_NOMEM && strcmp(p.err.code, "E8002") != 0)
        fail_msg("no memory is said as %s %s", p.err.code, p.err.message);
    return st;
}

static void sweep_copy(const char *from, const char *const *from_kv, const char *to,
                       const char *const *to_kv)
{
    struct rig r;
    rig_open(&r);
    r.fake.helpers = false;
    rig_puts(&r, "a.csv", "id,name,at\n1,\"x,\"\"y\",2024-01-01\n2,NA,NA\n3,,2024-02-29\n");
    FILE *f = popen(wh_arena_printf(r.arena, "cd %s && gzip -k a.csv", r.folder), "r");
    assert_int_equal(pclose(f), 0);
    struct job j = {.r = &r,
                    .from = rig_path(&r, from),
                    .to = rig_path(&r, to),
                    .from_opts = rig_options(&r, FILE_CONNECTOR->from, from_kv),
                    .to_opts = rig_options(&r, FILE_CONNECTOR->to, to_kv)};
    sweep(copy_once, &j, WH_E_NOMEM);
    rig_close(&r);
}

static void test_plain(void **state)
{
    sweep_copy("a.csv", NULL, "out.csv", NULL);
}

static void test_packed(void **state)
{
    sweep_copy("a.csv.gz", NULL, "sub/out.csv.zst", NULL);
}

static void test_folder(void **state)
{
    static const char *const to[] = {"part_rows=1", "compression=gzip", NULL};
    sweep_copy("*.csv", NULL, "out/", to);
}

static void test_converted(void **state)
{
    static const char *const from[] = {"encoding=latin1", NULL};
    sweep_copy("a.csv", from, "out.csv", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_converted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
