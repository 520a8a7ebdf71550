/* SPDX-License-Identifier: Apache-2.0 */
/* The fakes themselves, driven by the smallest engine that keeps the contract: one thread, units in
 * order, acknowledged sends, seal, commit, look-up, steps. If a fake is wrong the engine suite
 * above it proves nothing, so each promise and each refusal is tried here, judged by hardctl.py. */
#include "../../unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hard.h"
#include "core/clock.h"
#include "core/options.h"
#include "data/lattice.h"

extern const struct wh_connector wh_connector_gen;
extern const struct wh_connector wh_connector_hard_plain, wh_connector_hard_paged,
    wh_connector_hard_sessions, wh_connector_hard_held, wh_connector_hard_late,
    wh_connector_hard_again, wh_connector_hard_manifest, wh_connector_hard_settle,
    wh_connector_hard_ordered;

enum {
    ROWS = 3000
};
static char folder[64];
static int64_t total; /* sum of the amounts that fill() made */

/* ------------------------------------------------------------------------- the world of a test */

static int run_tool(const char *fmt, ...) WH_PRINTF(1, 2);
static int run_tool(const char *fmt, ...)
{
    char args[512], line[900], out[1024] = "";
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(args, sizeof args, fmt, ap);
    va_end(ap);
    snprintf(line, sizeof line, "python3 tests/fakes/hard/hardctl.py %s 2>&1", args);
    FILE *p = popen(line, "r");

    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);

    out[n] = 0;
    const char *sum = strstr(out, "sum ");

    if (sum && strncmp(args, "fill", 4) == 0)
        total = strtoll(sum + 4, NULL, 10);
    int code = pclose(p);

    if (code)
        print_message("hardctl.py %s: %s\n", args, out);
    return code;
}

static int fresh_world(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/wherry-hard-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(run_tool("fill %s account %d", folder, ROWS), 0);
    return 0;
}

static int end_world(void **state)
{
    char line[128];

    snprintf(line, sizeof line, "rm -rf %s", folder);
    FILE *p = popen(line, "r");

    return p ? pclose(p) : -1;
}

/* ------------------------------------------------------------------------ services of the engine
 */

static struct wh_arena *services;
static pid_t holder;
static const struct wh_connector *holder_of;

static void *ctx_alloc(const struct wh_ctx *ctx, size_t n)
{
    return wh_arena_alloc(services, n);
}

static bool still_there(void *arg)
{
    return getppid() == *(pid_t *)arg;
}

static wh_status ctx_holder(const struct wh_ctx *ctx, struct wh_bytes config, int64_t ttl_ms,
                            struct wh_bytes *ret_ready, struct wh_error *reterr)
{
    int fds[2];
    pid_t parent = getpid();
    char *ready = wh_arena_alloc(services, 64);

    assert_int_equal(pipe(fds), 0);
    holder = fork();
    if (holder == 0) {
        close(fds[0]);
        _exit(holder_of->hold(config, fds[1], still_there, &parent, NULL) != WH_OK);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], ready, 63);

    close(fds[0]);
    *ret_ready = (struct wh_bytes){ready, n > 0 ? (size_t)n : 0};
    return n > 0 ? WH_OK : WH_E_REMOTE;
}

static void ctx_holder_release(const struct wh_ctx *ctx)
{
    if (holder > 0) {
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
        holder = 0;
    }
}

static struct wh_ctx ctx = {.size = sizeof(struct wh_ctx),
                            .run = "r-20261122-0123456789ab",
                            .connection = "test",
                            .tag = "wherry/0123456789ab/e1/c0",
                            .alloc = ctx_alloc,
                            .holder = ctx_holder,
                            .holder_release = ctx_holder_release};

/* One side of a copy. */
struct side {
    const struct wh_connector *c;
    void *opts, *ep, *control, *session;
    struct wh_str ident;
};

static void *zeroed(size_t n)
{
    void *p = wh_calloc(1, n ? n : 1);

    assert_non_null(p);
    return p;
}

/* options: "key", "value", ..., NULL */
static void open_side(struct side *s, const struct wh_connector *c, const char *const *options)
{
    struct wh_problems problems = {.arena = services};
    struct wh_error err = {0};

    *s = (struct side){.c = c};
    if (c->connection) {
        s->opts = zeroed(c->connection->size);
        assert_ok(wh_options_init(c->connection, s->opts, services));
        assert_true(wh_options_set_text(c->connection, s->opts, services, "path", folder, "test",
                                        &problems));
        for (; options && options[0]; options += 2)
            if (!wh_options_set_text(c->connection, s->opts, services, options[0], options[1],
                                     "test", &problems))
                fail_msg("option %s=%s", options[0], options[1]);
    }
    s->ep = zeroed(c->ep_size);
    s->control = zeroed(c->se_size);
    s->session = zeroed(c->se_size);
    assert_ok(c->endpoint->open(s->ep, &ctx, WH_COORDINATOR, s->opts, &err));
    assert_ok(c->endpoint->session_open(s->control, s->ep, WH_CONTROL, &s->ident, &err));
}

static int use_session(struct side *s, enum wh_use use, struct wh_error *err)
{
    s->c->endpoint->session_close(s->session);
    memset(s->session, 0, s->c->se_size);
    return s->c->endpoint->session_open(s->session, s->ep, use, &s->ident, err);
}

static void close_side(struct side *s)
{
    if (!s->c)
        return;
    s->c->endpoint->session_close(s->session);
    s->c->endpoint->session_close(s->control);
    s->c->endpoint->close(s->ep);
    wh_free(s->session);
    wh_free(s->control);
    wh_free(s->ep);
    wh_free(s->opts);
    *s = (struct side){0};
}

/* --------------------------------------------------------------------------- the smallest engine
 */

struct copy {
    struct side from, to;
    struct wh_name source, target;
    void *from_opts, *sc, *fl;
    struct wh_scan scan;
    struct wh_target tgt;
    struct ArrowSchema schema;
    struct wh_fence fence;
    struct wh_receipt receipts[256]; /* receipts' bytes live in the arena */
    int64_t n_units, dirty, again, unknown;
    int batches_per_unit; /* 0 = as the splits are */
};

struct cursor {
    struct wh_receipts base;
    const struct copy *copy;
    int64_t at;
};

static int receipts_next(struct wh_receipts *r, struct wh_receipt *ret)
{
    struct cursor *c = (struct cursor *)r;

    if (c->at >= c->copy->n_units)
        return WH_END;
    *ret = c->copy->receipts[c->at++];
    return WH_OK;
}

static void receipts_rewind(struct wh_receipts *r)
{
    ((struct cursor *)r)->at = 0;
}

static struct cursor cursor_of(const struct copy *c)
{
    return (struct cursor){
        .base = {.next = receipts_next, .rewind = receipts_rewind, .n = c->n_units}, .copy = c};
}

static void begin(struct copy *c, const struct wh_connector *from, const char *const *from_options,
                  const struct wh_connector *to, const char *const *to_options)
{
    struct wh_error err = {0};
    struct wh_objects targets;

    *c = (struct copy){.source = {.part = {WH_STR("account")}, .n = 1},
                       .target = {.part = {WH_STR("dst")}, .n = 1},
                       .fence = {.run = wh_str(ctx.run), .epoch = 1, .flow = 1}};
    open_side(&c->from, from, from_options);
    open_side(&c->to, to, to_options);
    targets = (struct wh_objects){.v = &c->target, .n = 1};
    assert_ok(to->endpoint->claim(c->to.ep, c->to.control, &c->fence, &targets, &err));
    assert_ok(use_session(&c->to, WH_WRITE, &err));
    c->sc = zeroed(from->source->sc_size);
    c->scan = (struct wh_scan){.object = &c->source, .ctx = &ctx};
    assert_ok(
        from->source->scan_open(c->sc, c->from.ep, c->from.control, &c->scan, &c->schema, &err));
    c->fl = zeroed(to->sink->fl_size);
    c->tgt = (struct wh_target){
        .object = &c->target, .source = &c->schema, .fence = &c->fence, .ctx = &ctx};
}

static void open_target(struct copy *c)
{
    struct wh_error err = {0};
    int st = c->to.c->sink->target_open(c->fl, c->to.ep, c->to.control, &c->tgt, &err);

    if (st != WH_OK)
        fail_msg("target_open: %s", err.message);
}

static void take_snapshot(struct copy *c)
{
    struct wh_snapshot snap;
    struct wh_error err = {0};
    struct wh_objects pin = {.v = &c->source, .n = 1};

    holder_of = c->from.c;
    assert_ok(c->from.c->endpoint->snapshot(c->from.ep, c->from.control, &pin, 2, &snap, &err));
    assert_ok(use_session(&c->from, WH_READ, &err));
}

static void end(struct copy *c)
{
    c->to.c->sink->target_close(c->fl);
    c->from.c->source->scan_close(c->sc);
    wh_schema_release(&c->tgt.accept);
    wh_schema_release(&c->schema);
    wh_free(c->fl);
    wh_free(c->sc);
    close_side(&c->from);
    close_side(&c->to);
    ctx_holder_release(&ctx);
}

/* Steps of one phase, each applied twice: that must be harmless. */
struct step_list {
    struct wh_step_sink base;
    struct wh_step v[64];
    int n;
};

static int keep_step(struct wh_step_sink *s, const struct wh_step *step)
{
    struct step_list *l = (struct step_list *)s;
    char *token = wh_arena_strndup(services, step->token.p, step->token.n);

    assert_true(l->n < 64);
    l->v[l->n] = *step;
    l->v[l->n++].token.p = token;
    return WH_OK;
}

static void do_steps(struct copy *c, enum wh_phase phase)
{
    const struct wh_sink_ops *sink = c->to.c->sink;
    struct step_list list = {.base = {.add = keep_step}};
    struct cursor cursor = cursor_of(c);
    struct wh_error err = {0};
    struct wh_bytes receipt;

    assert_ok(sink->steps(c->fl, c->to.control, phase, &cursor.base, &list.base, &err));
    for (int i = 0; i < 2 * list.n; i++) {
        cursor.at = 0;
        int st = sink->apply(c->fl, c->to.session, &list.v[i / 2], &c->fence, &cursor.base, i % 2,
                             &receipt, &err);

        if (st != WH_OK && st != WH_TWIN)
            fail_msg("step %d of phase %d: %s %s", i, phase, wh_status_name(st), err.message);
    }
}

/* What is on its way in one attempt. */
struct attempt {
    struct copy *c;
    void *wr;
    struct wh_unit unit;
    struct wh_error *err;
    int64_t send, acked, dirty;
    struct {
        struct wh_batch b;
        int64_t send; /* last send that has rows of it */
    } batch[64];
    int first, n;
    struct wh_rowsum sum;
    struct wh_view views[128];
};

/* Batches whose sends are judged are let go at once, as the engine does. */
static void release_judged(struct attempt *a)
{
    while (a->first < a->n && a->batch[a->first].send <= a->acked)
        wh_batch_release(&a->batch[a->first++].b);
}

static struct wh_batch *batch_of(struct attempt *a, int64_t send, int *ret_at)
{
    for (int i = a->first; i < a->n; i++)
        if (a->batch[i].send >= send) {
            *ret_at = i;
            return &a->batch[i].b;
        }
    fail_msg("verdict on send %lld, which is not open", (long long)send);
    return NULL;
}

static int send_rows(struct attempt *a, int at, const int32_t *rows, int64_t n, int64_t first);

/* `again` rows go out as new sends, refused ones are dirty. Only whole batches are sent here, so a
 * verdict's row is its place in the batch, or in the one-row selection. */
static int take_acks(struct attempt *a, const struct wh_acks *acks)
{
    struct {
        int64_t send, row;
        bool again;
    } copy[256];
    size_t n = acks->n_bad;

    assert_true(n <= 256);
    for (size_t i = 0; i < n; i++) {
        copy[i].send = acks->bad[i].send;
        copy[i].row = acks->bad[i].row;
        copy[i].again = acks->bad[i].again;
    }
    a->acked = acks->upto_send;
    for (size_t i = 0; i < n; i++) {
        int at = 0;
        struct wh_batch *b = batch_of(a, copy[i].send, &at);
        int32_t row = (int32_t)copy[i].row;

        assert_true(row < b->n_rows);
        if (!copy[i].again) {
            a->dirty++;
            WH_TRY(wh_rowhash_add(&a->sum, a->views, 0, NULL, 0, 0));
            continue;
        }
        a->c->again++;
        WH_TRY(send_rows(a, at, &row, 1, 0));
    }
    return WH_OK;
}

static int send_rows(struct attempt *a, int at, const int32_t *rows, int64_t n, int64_t first)
{
    struct wh_acks acks;
    int32_t kept = rows ? rows[0] : 0;
    int64_t send = ++a->send;

    a->batch[at].send = send;
    int st = a->c->to.c->sink->writer_write(a->wr, &a->batch[at].b, send, rows ? &kept : NULL,
                                            first, n, &acks, a->err);

    if (st != WH_OK)
        return st;
    /* A row that is wanted again counts from its own send: place 0 of a selection of one. */
    if (rows && acks.n_bad == 1 && acks.bad[0].again && acks.upto_send == send) {
        a->c->again++;
        a->acked = acks.upto_send;
        return send_rows(a, at, rows, 1, 0);
    }
    if (rows && acks.n_bad) {
        a->dirty += (int64_t)acks.n_bad;
        a->acked = acks.upto_send;
        return WH_OK;
    }
    return take_acks(a, &acks);
}

static int flush_all(struct attempt *a)
{
    while (a->acked < a->send) {
        struct wh_acks acks;
        int64_t before = a->acked;

        WH_TRY(a->c->to.c->sink->writer_flush(a->wr, wh_now_ns() + 1000000000, &acks, a->err));
        WH_TRY(take_acks(a, &acks));
        release_judged(a);
        assert_true(a->acked > before || a->acked == a->send);
    }
    return WH_OK;
}

/* Reads up to `batches` (0 = all) into the writer; *ret_end tells that the reader is done. */
static int move_rows(struct attempt *a, void *rd, int batches, bool *ret_end, struct wh_error *err)
{
    int st;

    *ret_end = false;
    for (int i = 0; batches == 0 || i < batches; i++) {
        struct wh_batch b;

        st = a->c->from.c->source->reader_next(rd, &b, err);
        if (st == WH_END) {
            *ret_end = true;
            return WH_OK;
        }
        if (st != WH_OK)
            return st;
        assert_true(a->n < 64);
        assert_ok(wh_views_init(&a->c->tgt.accept, &b.rows, a->views, err));
        assert_ok(
            wh_rowhash_add(&a->sum, a->views, a->c->tgt.accept.n_children, NULL, 0, b.n_rows));
        a->batch[a->n].b = b;
        a->n++;
        WH_TRY(send_rows(a, a->n - 1, NULL, b.n_rows, 0));
        release_judged(a);
    }
    return WH_OK;
}

static void record(struct copy *c, const struct attempt *a, struct wh_bytes receipt, int64_t rows)
{
    assert_true(c->n_units < 256);
    c->receipts[c->n_units++] = (struct wh_receipt){
        .unit = a->unit.id,
        .rows = rows,
        .attempt = a->unit.attempt,
        .receipt = {wh_arena_strndup(services, receipt.p, receipt.n), receipt.n}};
    c->dirty += a->dirty;
}

/* Seals, compares, commits; an unknown outcome is looked up. OK or a failure of the attempt. */
static int seal_and_commit(struct copy *c, struct attempt *a, const char *rest,
                           struct wh_error *err)
{
    const struct wh_sink_ops *sink = c->to.c->sink;
    struct wh_tally tally;
    struct wh_bytes receipt = {0};

    WH_TRY(flush_all(a));
    WH_TRY(sink->writer_seal(a->wr, &tally, err));
    assert_int_equal(tally.rows + a->dirty, a->sum.rows);
    if (a->dirty == 0)
        assert_true(tally.hash[0] == a->sum.sum.lo && tally.hash[1] == a->sum.sum.hi);
    struct wh_marker m = {.rows = tally.rows,
                          .bytes = tally.bytes,
                          .dirty = a->dirty,
                          .hash = {tally.hash[0], tally.hash[1]},
                          .rest = {rest, strlen(rest)}};
    int st = sink->writer_commit(a->wr, &m, &receipt, err);

    if (st == WH_UNKNOWN) {
        struct wh_fate fate;

        c->unknown++;
        assert_ok(sink->lookup(c->fl, c->to.control, &a->unit, &fate, err));
        if (fate.kind == WH_FATE_ABSENT)
            return WH_UNKNOWN;
        assert_int_equal(fate.marker.rows, tally.rows);
        assert_int_equal(fate.marker.rest.n, strlen(rest));
        assert_memory_equal(fate.marker.rest.p, rest, strlen(rest));
        receipt = fate.receipt;
        st = WH_OK;
    }
    if (st == WH_OK)
        record(c, a, receipt, tally.rows);
    return st;
}

static void drop_attempt(struct attempt *a)
{
    a->c->to.c->sink->writer_close(a->wr);
    for (int i = a->first; i < a->n; i++)
        wh_batch_release(&a->batch[i].b);
    wh_free(a->wr);
}

/* One attempt at the split; *token becomes what is left ("" = nothing). */
static int try_unit(struct copy *c, char token[64], int attempt, struct wh_error *err)
{
    const struct wh_source_ops *src = c->from.c->source;
    struct attempt *a = zeroed(sizeof *a);
    void *rd = zeroed(src->rd_size);
    struct wh_split split = {.token = {token, strlen(token)}}, rest;
    struct ArrowSchema actual = {0};
    char left[64] = "";
    bool ended = false;

    a->c = c;
    a->err = err;
    a->wr = zeroed(c->to.c->sink->wr_size);
    a->unit = (struct wh_unit){.id = c->n_units + 1, .flow = 1, .attempt = attempt};
    int st = src->reader_open(rd, c->sc, c->from.session, &ctx, &split, &actual, err);

    if (st == WH_OK)
        st =
            c->to.c->sink->writer_open(a->wr, c->fl, c->to.session, &ctx, &a->unit, &c->fence, err);
    if (st == WH_OK)
        st = move_rows(a, rd, c->batches_per_unit, &ended, err);
    if (st == WH_OK && !ended && src->reader_cut(rd, &rest, NULL, err) == WH_OK)
        memcpy(left, rest.token.p, rest.token.n);
    if (st == WH_OK)
        st = seal_and_commit(c, a, left, err);
    drop_attempt(a);
    src->reader_close(rd);
    wh_free(rd);
    wh_free(a);
    if (st == WH_OK)
        memcpy(token, left, 64);
    return st;
}

static void fresh_sessions(struct copy *c, int st, const struct wh_error *err)
{
    struct wh_error ignored = {0};

    if (st != WH_LOST)
        return;
    assert_ok(use_session(&c->to, WH_WRITE, &ignored));
    assert_ok(use_session(&c->from, WH_READ, &ignored));
}

/* A split until nothing of it is left, in as many units and attempts as that takes. */
static int copy_split(struct copy *c, char token[64], struct wh_error *err)
{
    for (int attempt = 1; *token; attempt++) {
        int64_t before = c->n_units;
        int st = try_unit(c, token, attempt, err);

        if (c->n_units > before)
            attempt = 0;
        bool retry = st == WH_UNKNOWN || st == WH_LOST || (st < 0 && err->retriable);

        if (st != WH_OK && (!retry || attempt > 50))
            return st;
        fresh_sessions(c, st, err);
    }
    return WH_OK;
}

static int copy_all(struct copy *c, struct wh_error *err)
{
    struct wh_bytes cursor = {0}, next;
    struct wh_split split;
    char kept[64], token[64];

    while (c->from.c->source->split_next(c->sc, c->from.control, &cursor, &split, &next, err) ==
           WH_OK) {
        memset(token, 0, sizeof token);
        memcpy(token, split.token.p, split.token.n);
        memcpy(kept, next.p, next.n);
        cursor = (struct wh_bytes){kept, next.n};
        WH_TRY(copy_split(c, token, err));
    }
    return WH_OK;
}

static void finish(struct copy *c)
{
    struct wh_error err = {0};
    struct cursor all = cursor_of(c);

    if (c->to.c->sink->verify)
        assert_ok(c->to.c->sink->verify(c->fl, c->to.control, &all.base, &c->fence, &err));
    do_steps(c, WH_SETTLE);
    do_steps(c, WH_PUBLISH);
    do_steps(c, WH_FINISH);
    do_steps(c, WH_DROP);
    for (int i = 0; i < 2; i++)
        assert_ok(c->to.c->endpoint->run_close(c->to.ep, c->to.control, &c->fence, &err));
}

/* A whole copy of `account` into `dst`, judged by count, ids and sum. */
static void whole_copy(const struct wh_connector *from, const char *const *from_options,
                       const struct wh_connector *to, const char *const *to_options, int batches,
                       struct copy *ret)
{
    struct copy c;
    struct wh_error err = {0};

    begin(&c, from, from_options, to, to_options);
    c.batches_per_unit = batches;
    open_target(&c);
    take_snapshot(&c);
    do_steps(&c, WH_PREPARE);
    int st = copy_all(&c, &err);

    if (st != WH_OK)
        fail_msg("%s -> %s: %s %s", from->name, to->name, wh_status_name(st), err.message);
    finish(&c);
    *ret = c;
    end(&c);
}

/* ---------------------------------------------------------------------------------------- tests */

static const char *const small[] = {"batch_rows", "100", "split_rows", "700", NULL};

/* Fails if a source loses or repeats a row between splits, batches or cuts. */
static void test_sources(void **state)
{
    const struct wh_connector *const sources[] = {
        &wh_connector_hard_plain, &wh_connector_hard_paged, &wh_connector_hard_sessions,
        &wh_connector_hard_held, &wh_connector_hard_ordered};

    for (size_t i = 0; i < 5; i++) {
        struct copy c;

        end_world(state);
        fresh_world(state);
        whole_copy(sources[i], small, &wh_connector_hard_plain, NULL, 2, &c);
        assert_true(c.n_units > 10);
        assert_int_equal(
            run_tool("judge %s dst --rows %d --sum %lld", folder, ROWS, (long long)total), 0);
    }
}

/* Fails if a sink loses or repeats a row, or leaves a stage, marker or session behind. */
static void test_sinks(void **state)
{
    const struct wh_connector *const sinks[] = {
        &wh_connector_hard_late, &wh_connector_hard_again, &wh_connector_hard_manifest,
        &wh_connector_hard_settle, &wh_connector_hard_ordered};

    for (size_t i = 0; i < 5; i++) {
        struct copy c;

        end_world(state);
        fresh_world(state);
        whole_copy(i == 4 ? &wh_connector_hard_ordered : &wh_connector_hard_plain, small, sinks[i],
                   NULL, 4, &c);
        assert_true(i != 1 || c.again >= ROWS / 100);
        assert_int_equal(
            run_tool("judge %s dst --rows %d --sum %lld", folder, ROWS, (long long)total), 0);
    }
}

/* Fails if a fault leaves half of a unit, or UNKNOWN does not mean both. */
static void test_faults(void **state)
{
    static const char *const faulty[] = {"fail_every",    "17", "lose_every", "29",
                                         "unknown_every", "3",  NULL};
    const struct wh_connector *const sinks[] = {
        &wh_connector_hard_plain, &wh_connector_hard_late, &wh_connector_hard_again,
        &wh_connector_hard_manifest, &wh_connector_hard_settle};

    for (size_t i = 0; i < 5; i++) {
        struct copy c;
        struct wh_error err = {0};

        end_world(state);
        fresh_world(state);
        begin(&c, &wh_connector_hard_paged, small, sinks[i], faulty);
        c.batches_per_unit = 2;
        open_target(&c);
        take_snapshot(&c);
        ((struct hard_options *)c.to.opts)->fail_every = 0; /* steps are not tried again here */
        do_steps(&c, WH_PREPARE);
        ((struct hard_options *)c.to.opts)->fail_every = 17;
        int st = copy_all(&c, &err);

        if (st != WH_OK)
            fail_msg("%s: %s %s", sinks[i]->name, wh_status_name(st), err.message);
        assert_true(c.unknown >= 4);
        ((struct hard_options *)c.to.opts)->fail_every = 0;
        ((struct hard_options *)c.to.opts)->lose_every = 0;
        assert_ok(use_session(&c.to, WH_STEP, &err));
        finish(&c);
        end(&c);
        if (run_tool("judge %s dst --rows %d --sum %lld", folder, ROWS, (long long)total))
            fail_msg("%s", sinks[i]->name);
    }
}

/* Fails if refused rows get in, or others are refused: verdicts by row, also three sends late. */
static void test_refused_rows(void **state)
{
    static const char *const rule[] = {"refuse", "id % 100 = 7", NULL};
    const struct wh_connector *const sinks[] = {&wh_connector_hard_late, &wh_connector_hard_again};

    for (size_t i = 0; i < 2; i++) {
        struct copy c;

        end_world(state);
        fresh_world(state);
        whole_copy(&wh_connector_hard_plain, small, sinks[i], rule, 4, &c);
        assert_int_equal(c.dirty, ROWS / 100);
        assert_int_equal(run_tool("judge %s dst --rows %d --refused 'id %% 100 = 7'", folder, ROWS),
                         0);
    }
}

static void start_copy(struct copy *c, const struct wh_connector *from,
                       const struct wh_connector *to)
{
    begin(c, from, small, to, NULL);
    c->batches_per_unit = 2;
    open_target(c);
    take_snapshot(c);
    do_steps(c, WH_PREPARE);
}

/* Fails if a zombie of an older epoch, an evicted session or a twin can commit. */
static void test_fences(void **state)
{
    const struct wh_sink_ops *sink = wh_connector_hard_plain.sink;
    struct copy c;
    struct wh_error err = {0};
    char token[64] = "1:201";

    start_copy(&c, &wh_connector_hard_plain, &wh_connector_hard_plain);
    struct wh_unit unit = {.id = 1, .flow = 1, .attempt = 1};
    void *one = zeroed(sink->wr_size), *two = zeroed(sink->wr_size);
    struct wh_bytes receipt;
    struct wh_fate fate;

    assert_ok(sink->writer_open(one, c.fl, c.to.session, &ctx, &unit, &c.fence, &err));
    assert_ok(try_unit(&c, token, 2, &err));
    assert_int_equal(sink->writer_commit(one, &(struct wh_marker){0}, &receipt, &err), WH_UNKNOWN);
    assert_ok(sink->lookup(c.fl, c.to.control, &unit, &fate, &err));
    assert_int_equal(fate.kind, WH_FATE_COMMITTED);
    assert_int_equal(fate.attempt, 2);
    assert_int_equal(sink->writer_open(two, c.fl, c.to.session, &ctx, &unit, &c.fence, &err),
                     WH_TWIN);
    sink->writer_close(one);
    sink->writer_close(two);
    memset(one, 0, sink->wr_size);
    memset(two, 0, sink->wr_size);
    unit.id = 2;
    assert_ok(sink->writer_open(one, c.fl, c.to.session, &ctx, &unit, &c.fence, &err));
    struct wh_fence next = c.fence;
    struct wh_objects targets = {.v = &c.target, .n = 1};

    next.epoch = 2;
    assert_ok(
        wh_connector_hard_plain.endpoint->claim(c.to.ep, c.to.control, &next, &targets, &err));
    assert_int_equal(sink->writer_commit(one, &(struct wh_marker){0}, &receipt, &err), WH_FENCED);
    assert_int_equal(sink->writer_open(two, c.fl, c.to.session, &ctx, &unit, &c.fence, &err),
                     WH_FENCED);
    sink->writer_close(two);
    memset(two, 0, sink->wr_size);
    assert_ok(sink->writer_open(two, c.fl, c.to.session, &ctx, &unit, &next, &err));
    assert_ok(wh_connector_hard_plain.endpoint->evict(c.to.ep, c.to.control, &next, NULL, &err));
    assert_int_equal(sink->writer_commit(two, &(struct wh_marker){0}, &receipt, &err), WH_LOST);
    sink->writer_close(one);
    sink->writer_close(two);
    struct wh_fence other = {.run = WH_STR("r-other"), .epoch = 1};

    assert_int_equal(
        wh_connector_hard_plain.endpoint->claim(c.to.ep, c.to.control, &other, &targets, &err),
        WH_HELD_BY);
    assert_int_equal(
        wh_connector_hard_plain.endpoint->claim(c.to.ep, c.to.control, &c.fence, &targets, &err),
        WH_FENCED);
    wh_free(one);
    wh_free(two);
    end(&c);
}

/* Sum of the amounts that READ sessions see now. */
static int64_t seen(struct copy *c, const char *token)
{
    const struct wh_source_ops *src = c->from.c->source;
    void *rd = zeroed(src->rd_size);
    struct wh_split split = {.token = {token, strlen(token)}};
    struct ArrowSchema actual = {0};
    struct wh_error err = {0};
    struct wh_batch b;
    int64_t sum = 0;
    int st;

    assert_ok(src->reader_open(rd, c->sc, c->from.session, &ctx, &split, &actual, &err));
    while ((st = src->reader_next(rd, &b, &err)) == WH_OK) {
        struct wh_view v;

        assert_ok(wh_view_init(c->schema.children[2], b.rows.children[2], &v, &err));
        for (int64_t i = 0; i < b.n_rows; i++)
            sum += wh_view_i64(&v, i);
        wh_batch_release(&b);
    }
    assert_int_equal(st, WH_END);
    src->reader_close(rd);
    wh_free(rd);
    return sum;
}

static void change_source(int64_t by)
{
    sqlite3 *db = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/server.db", folder);
    assert_ok(hard_db_open(path, &db, NULL));
    assert_ok(hard_exec(db, NULL, "update account set amount = amount + %lld", (long long)by));
    sqlite3_close(db);
}

/* Fails if a session of the snapshot can be replaced, or the instant moves with the writer. */
static void test_session_snapshot(void **state)
{
    const struct wh_endpoint_ops *ops = wh_connector_hard_sessions.endpoint;
    struct copy c;
    struct wh_error err = {0};
    struct wh_str ident;
    void *second = zeroed(wh_connector_hard_sessions.se_size);
    void *third = zeroed(wh_connector_hard_sessions.se_size);

    start_copy(&c, &wh_connector_hard_sessions, &wh_connector_hard_plain);
    change_source(5);
    assert_int_equal(seen(&c, "1:3001"), total);
    assert_ok(ops->session_open(second, c.from.ep, WH_READ, &ident, &err));
    assert_int_equal(ops->session_open(third, c.from.ep, WH_READ, &ident, &err), WH_GONE);
    ops->interrupt(second);
    ops->session_close(third);
    ops->session_close(second);
    memset(second, 0, wh_connector_hard_sessions.se_size);
    assert_int_equal(ops->session_open(second, c.from.ep, WH_READ, &ident, &err), WH_GONE);
    ops->session_close(second);
    assert_int_equal(seen(&c, "1:3001"), total); /* the first one is still good */
    struct side other;
    struct wh_snapshot snap = {.kind = WH_SNAP_SESSIONS, .token = {"1:2", 3}};

    open_side(&other, &wh_connector_hard_sessions, NULL);
    assert_int_equal(ops->join(other.ep, &snap, &err), WH_GONE);
    close_side(&other);
    open_side(&other, &wh_connector_hard_sessions, (const char *[]){"snapshot", "off", NULL});
    assert_ok(ops->join(other.ep, &snap, &err)); /* the control */
    close_side(&other);
    wh_free(second);
    wh_free(third);
    end(&c);
}

/* Fails if the snapshot is lost while its holder lives, or can be entered when it is dead. */
static void test_held_snapshot(void **state)
{
    const struct wh_endpoint_ops *ops = wh_connector_hard_held.endpoint;
    struct copy c;
    struct wh_error err = {0};
    struct wh_snapshot snap;
    struct wh_objects pin;
    struct side other;
    struct wh_str ident;

    begin(&c, &wh_connector_hard_held, small, &wh_connector_hard_plain, NULL);
    pin = (struct wh_objects){.v = &c.source, .n = 1};
    holder_of = &wh_connector_hard_held;
    assert_true(c.scan.physical);
    assert_ok(ops->snapshot(c.from.ep, c.from.control, &pin, 1, &snap, &err));
    assert_ok(use_session(&c.from, WH_READ, &err));
    change_source(3);
    assert_int_equal(seen(&c, "1:3001"), total);
    open_side(&other, &wh_connector_hard_held, NULL);
    assert_ok(ops->join(other.ep, &snap, &err));
    close_side(&other);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    holder = 0;
    assert_int_equal(seen(&c, "1:3001"), total); /* entered before */
    void *late = zeroed(wh_connector_hard_held.se_size);

    assert_int_equal(ops->session_open(late, c.from.ep, WH_READ, &ident, &err), WH_GONE);
    ops->session_close(late);
    wh_free(late);
    open_side(&other, &wh_connector_hard_held, NULL);
    assert_int_equal(ops->join(other.ep, &snap, &err), WH_GONE);
    close_side(&other);
    open_side(&other, &wh_connector_hard_held, (const char *[]){"snapshot", "off", NULL});
    assert_ok(ops->join(other.ep, &snap, &err)); /* the control */
    close_side(&other);
    end(&c);
}

/* Fails if a version moves with the writer, or the control enters it. */
static void test_point_snapshot(void **state)
{
    const struct wh_endpoint_ops *ops = wh_connector_hard_plain.endpoint;
    struct copy c;
    struct wh_error err = {0};
    struct wh_objects pin;
    struct wh_snapshot snap;

    begin(&c, &wh_connector_hard_plain, small, &wh_connector_hard_plain, NULL);
    pin = (struct wh_objects){.v = &c.source, .n = 1};
    assert_ok(ops->snapshot(c.from.ep, c.from.control, &pin, 1, &snap, &err));
    assert_ok(use_session(&c.from, WH_READ, &err));
    change_source(1);
    assert_int_equal(seen(&c, "1:3001"), total);
    atomic_store(&((struct hard_endpoint *)c.from.ep)->version, 0);
    assert_int_equal(seen(&c, "1:3001"), total + ROWS);
    ((struct hard_options *)c.from.opts)->snapshot = false;
    assert_ok(ops->join(c.from.ep, &snap, &err));
    assert_int_equal(seen(&c, "1:3001"), total + ROWS);
    ((struct hard_options *)c.from.opts)->snapshot = true;
    assert_ok(ops->join(c.from.ep, &snap, &err));
    assert_int_equal(seen(&c, "1:3001"), total);
    end(&c);
}

/* Fails if the ordered sink takes an older row after a newer one, or one key from two writers. */
static void test_order_is_watched(void **state)
{
    const struct wh_sink_ops *sink = wh_connector_hard_ordered.sink;
    struct copy c;
    struct wh_error err = {0};
    char late[64] = "0/1001:1701", early[64] = "0/1:701";

    start_copy(&c, &wh_connector_hard_ordered, &wh_connector_hard_ordered);
    c.batches_per_unit = 0;
    assert_true(c.tgt.needs_key_order);
    assert_ok(try_unit(&c, late, 1, &err));
    assert_int_equal(try_unit(&c, early, 1, &err), WH_E_BUG);
    assert_string_equal(err.code, "E9003");
    end(&c);
    end_world(state);
    fresh_world(state);
    start_copy(&c, &wh_connector_hard_ordered, &wh_connector_hard_ordered);
    struct wh_unit unit = {.id = 1, .flow = 1, .attempt = 1};
    void *one = zeroed(sink->wr_size), *rd = zeroed(wh_connector_hard_ordered.source->rd_size);
    struct wh_split split = {.token = {"0/1:701", 7}};
    struct ArrowSchema actual = {0};
    struct wh_batch b;
    struct wh_acks acks;

    assert_ok(wh_connector_hard_ordered.source->reader_open(rd, c.sc, c.from.session, &ctx, &split,
                                                            &actual, &err));
    assert_ok(wh_connector_hard_ordered.source->reader_next(rd, &b, &err));
    assert_ok(sink->writer_open(one, c.fl, c.to.session, &ctx, &unit, &c.fence, &err));
    assert_ok(sink->writer_write(one, &b, 1, NULL, 0, b.n_rows, &acks, &err));
    c.n_units = 1;
    snprintf(late, sizeof late, "0/1001:1701");
    assert_int_equal(try_unit(&c, late, 1, &err), WH_E_BUG);
    assert_non_null(strstr(err.message, "two writers"));
    sink->writer_close(one);
    c.n_units = 0;
    assert_ok(try_unit(&c, late, 1, &err)); /* the key is free again */
    wh_batch_release(&b);
    wh_connector_hard_ordered.source->reader_close(rd);
    wh_free(one);
    wh_free(rd);
    end(&c);
}

/* Fails if a seal with sends open passes. */
static void test_seal_needs_acks(void **state)
{
    struct copy c;
    struct wh_error err = {0};
    struct wh_unit unit = {.id = 1, .flow = 1, .attempt = 1};
    struct wh_split split = {.token = {"1:201", 5}};
    struct ArrowSchema actual = {0};
    struct wh_batch b;
    struct wh_acks acks;
    struct wh_tally tally;
    const struct wh_sink_ops *sink = wh_connector_hard_late.sink;

    start_copy(&c, &wh_connector_hard_plain, &wh_connector_hard_late);
    void *wr = zeroed(sink->wr_size), *rd = zeroed(c.from.c->source->rd_size);

    assert_ok(c.from.c->source->reader_open(rd, c.sc, c.from.session, &ctx, &split, &actual, &err));
    assert_ok(c.from.c->source->reader_next(rd, &b, &err));
    assert_ok(sink->writer_open(wr, c.fl, c.to.session, &ctx, &unit, &c.fence, &err));
    for (int i = 1; i <= 3; i++) {
        assert_ok(sink->writer_write(wr, &b, i, NULL, 0, 10, &acks, &err));
        assert_int_equal(acks.upto_send, 0);
    }
    assert_int_equal(sink->writer_seal(wr, &tally, &err), WH_E_BUG);
    for (int i = 1; i <= 3; i++) {
        assert_ok(sink->writer_flush(wr, 0, &acks, &err));
        assert_int_equal(acks.upto_send, i);
    }
    assert_ok(sink->writer_seal(wr, &tally, &err));
    assert_int_equal(tally.rows, 30);
    wh_batch_release(&b);
    sink->writer_close(wr);
    c.from.c->source->reader_close(rd);
    wh_free(wr);
    wh_free(rd);
    end(&c);
}

/* Fails if an upsert that settles does not read what was there, or append merges. */
static void test_settle_reads_the_base(void **state)
{
    for (int upsert = 1; upsert >= 0; upsert--) {
        struct copy c;
        struct wh_error err = {0};

        end_world(state);
        fresh_world(state);
        for (int round = 0; round < 2; round++) {
            ctx.run = round ? "r-20261122-second000000" : "r-20261122-0123456789ab";
            begin(&c, &wh_connector_hard_plain, small, &wh_connector_hard_settle, NULL);
            c.tgt.mode = upsert ? WH_MODE_UPSERT : WH_MODE_APPEND;
            open_target(&c);
            take_snapshot(&c);
            do_steps(&c, WH_PREPARE);
            if (round) /* half of the ids again */
                assert_ok(copy_split(&c, (char[64]){"1:1501"}, &err));
            else
                assert_ok(copy_all(&c, &err));
            finish(&c);
            end(&c);
            change_source(round ? 0 : 7);
        }
        ctx.run = "r-20261122-0123456789ab";
        if (upsert)
            assert_int_equal(run_tool("judge %s dst --rows %d --sum %lld", folder, ROWS,
                                      (long long)total + 1500 * 7),
                             0);
        else
            assert_int_not_equal(run_tool("judge %s dst --rows %d", folder, ROWS), 0);
    }
}

/* Fails if a manifest publishes what was staged but not recorded, or publishes twice. */
static void test_manifest_publishes_receipts(void **state)
{
    struct copy c;
    struct wh_error err = {0};
    char token[64] = "1:701", twice[64];

    start_copy(&c, &wh_connector_hard_plain, &wh_connector_hard_manifest);
    c.batches_per_unit = 0;
    memcpy(twice, token, 64);
    assert_ok(try_unit(&c, token, 1, &err));
    c.n_units = 0; /* the record was lost: the same unit is tried again */
    assert_ok(try_unit(&c, twice, 2, &err));
    assert_int_not_equal(run_tool("judge %s dst --rows 700", folder), 0); /* nothing visible yet */
    finish(&c);
    end(&c);
    assert_int_equal(run_tool("judge %s dst --rows 700", folder), 0);
}

/* Fails if markers that are off still show: then the control of the engine suite proves nothing. */
static void test_marker_control(void **state)
{
    struct copy c;
    struct wh_error err = {0};
    char token[64] = "1:701", twice[64] = "1:701";

    begin(&c, &wh_connector_hard_plain, small, &wh_connector_hard_plain,
          (const char *[]){"marker", "off", NULL});
    open_target(&c);
    take_snapshot(&c);
    do_steps(&c, WH_PREPARE);
    assert_int_equal(c.tgt.commit_class, WH_CLASS_T);
    assert_ok(try_unit(&c, token, 1, &err));
    c.n_units = 0;
    assert_ok(try_unit(&c, twice, 2, &err));
    end(&c);
    assert_int_not_equal(
        run_tool("judge %s dst --rows 700 --allow open_runs,targets,dead_sessions", folder), 0);
}

/* Fails if close cannot take zeroed memory, or an endpoint that did not open. */
static void test_close_on_zeroes(void **state)
{
    const struct wh_connector *const all[] = {
        &wh_connector_hard_plain,    &wh_connector_hard_paged,  &wh_connector_hard_sessions,
        &wh_connector_hard_held,     &wh_connector_hard_late,   &wh_connector_hard_again,
        &wh_connector_hard_manifest, &wh_connector_hard_settle, &wh_connector_hard_ordered};

    for (size_t i = 0; i < 9; i++) {
        const struct wh_connector *c = all[i];
        const size_t sizes[] = {c->source ? c->source->sc_size : 0,
                                c->source ? c->source->rd_size : 0,
                                c->sink ? c->sink->fl_size : 0,
                                c->sink ? c->sink->wr_size : 0,
                                c->se_size,
                                c->ep_size};
        void (*const close[])(void *) = {c->source ? c->source->scan_close : NULL,
                                         c->source ? c->source->reader_close : NULL,
                                         c->sink ? c->sink->target_close : NULL,
                                         c->sink ? c->sink->writer_close : NULL,
                                         c->endpoint->session_close,
                                         c->endpoint->close};

        for (int k = 0; k < 6; k++)
            if (close[k]) {
                void *p = zeroed(sizes[k]);

                close[k](p);
                wh_free(p);
            }
        struct hard_options opts = {.path = "/nonexistent/folder"};
        struct wh_error err = {0};
        void *ep = zeroed(c->ep_size);

        assert_int_equal(c->endpoint->open(ep, &ctx, WH_COORDINATOR, &opts, &err), WH_E_IO);
        c->endpoint->close(ep);
        wh_free(ep);
    }
}

int main(void)
{
    services = wh_arena_new(64 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sources, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_sinks, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_faults, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_refused_rows, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_fences, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_session_snapshot, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_held_snapshot, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_point_snapshot, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_order_is_watched, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_seal_needs_acks, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_settle_reads_the_base, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_manifest_publishes_receipts, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_marker_control, fresh_world, end_world),
        cmocka_unit_test_setup_teardown(test_close_on_zeroes, fresh_world, end_world),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    wh_arena_free(services);
    return failed;
}
