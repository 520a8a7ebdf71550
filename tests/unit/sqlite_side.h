/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the sqlite connector share: a scratch folder, the sqlite3 shell as an oracle,
 * an endpoint with sessions, reading all rows as text, writing a batch as a unit. */
#ifndef WHERRY_TESTS_UNIT_SQLITE_SIDE_H
#define WHERRY_TESTS_UNIT_SQLITE_SIDE_H

#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "data/builder.h"
#include "data/view.h"
#include "fake_ctx.h"

extern const struct wh_connector wh_connector_sqlite;
#define LITE (&wh_connector_sqlite)

static char scratch[64]; /* one folder per test program */

static inline const char *in_scratch(const char *name)
{
    static char path[8][160];
    static int at;

    if (!scratch[0]) {
        snprintf(scratch, sizeof scratch, "/tmp/wherry-sqlite-XXXXXX");
        assert_non_null(mkdtemp(scratch));
    }
    at = (at + 1) % 8;
    snprintf(path[at], sizeof path[at], "%s/%s", scratch, name);
    return path[at];
}

/* After the last test: what is left in the folder goes. */
static inline int scratch_end(int result)
{
    struct dirent *e;
    DIR *d = scratch[0] ? opendir(scratch) : NULL;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    if (scratch[0])
        rmdir(scratch);
    return result;
}

/* Runs SQL in the sqlite3 shell; what it prints, without the last newline. */
static inline const char *shell(const char *db, const char *sql)
{
    static char out[1 << 16];
    char cmd[400];
    const char *script = in_scratch("script.sql");
    FILE *f = fopen(script, "w");
    size_t n;

    assert_non_null(f);
    fputs(sql, f);
    fclose(f);
    snprintf(cmd, sizeof cmd, "timeout 60 sqlite3 '%s' < '%s' 2>&1", db, script);
    f = popen(cmd, "r");
    assert_non_null(f);
    n = fread(out, 1, sizeof out - 1, f);
    pclose(f);
    while (n > 0 && out[n - 1] == '\n')
        n--;
    out[n] = 0;
    return out;
}

static inline void new_db(const char *db, const char *sql)
{
    unlink(db);
    assert_string_equal(shell(db, sql), "");
}

/* ---- endpoint ---- */

struct side {
    struct fake_ctx fake;
    struct wh_arena *arena;
    void *opts, *from, *to, *ep, *se;
    struct wh_error err;
};

static inline void side_set(struct side *s, const struct wh_options *t, void *out, const char *text)
{
    struct wh_problems problems = {.arena = s->arena};
    char key[64];
    const char *eq;

    for (; text && *text; text += strcspn(text, "&"), text += *text == '&') {
        char value[200];

        eq = strchr(text, '=');
        assert_non_null(eq);
        snprintf(key, sizeof key, "%.*s", (int)(eq - text), text);
        snprintf(value, sizeof value, "%.*s", (int)strcspn(eq + 1, "&"), eq + 1);
        if (!wh_options_set_text(t, out, s->arena, key, value, "test", &problems))
            fail_msg("%s: %s", text, problems.v[0].message);
    }
}

static inline void *side_session(struct side *s, enum wh_use use)
{
    void *se = wh_calloc(1, LITE->se_size);
    struct wh_str ident;
    int st;

    assert_non_null(se);
    st = LITE->endpoint->session_open(se, s->ep, use, &ident, &s->err);
    if (st != WH_OK)
        fail_msg("session_open: %s %s", s->err.code, s->err.message);
    return se;
}

static inline void side_session_end(void *se)
{
    LITE->endpoint->session_close(se);
    wh_free(se);
}

/* options: "lock_timeout=200ms&journal_mode=wal" or NULL, per table. */
static inline void side_open(struct side *s, const char *db, const char *connection,
                             const char *from, const char *to)
{
    memset(s, 0, sizeof *s);
    fake_ctx_init(&s->fake);
    s->arena = wh_arena_new(1 << 20);
    s->opts = wh_calloc(1, LITE->connection->size);
    s->from = wh_calloc(1, LITE->from->size);
    s->to = wh_calloc(1, LITE->to->size);
    s->ep = wh_calloc(1, LITE->ep_size);
    assert_ok(wh_options_init(LITE->connection, s->opts, s->arena));
    assert_ok(wh_options_init(LITE->from, s->from, s->arena));
    assert_ok(wh_options_init(LITE->to, s->to, s->arena));
    {
        struct wh_problems problems = {.arena = s->arena};

        assert_true(wh_options_set_text(LITE->connection, s->opts, s->arena, "path", db, "test",
                                        &problems));
    }
    side_set(s, LITE->connection, s->opts, connection);
    side_set(s, LITE->from, s->from, from);
    side_set(s, LITE->to, s->to, to);
    assert_ok(LITE->endpoint->open(s->ep, &s->fake.ctx, WH_COORDINATOR, s->opts, &s->err));
    s->se = side_session(s, WH_CONTROL);
}

static inline void side_close(struct side *s)
{
    if (s->se)
        side_session_end(s->se);
    LITE->endpoint->close(s->ep);
    wh_free(s->ep);
    wh_free(s->opts);
    wh_free(s->from);
    wh_free(s->to);
    wh_arena_free(s->arena);
    fake_ctx_free(&s->fake);
}

static inline struct wh_name name1(const char *table)
{
    return (struct wh_name){.part = {{table, strlen(table)}}, .n = 1};
}

/* ---- reading ---- */

struct scan {
    struct wh_name object;
    struct wh_scan io;
    struct ArrowSchema schema;
    void *sc;
};

static inline int scan_try(struct side *s, struct scan *n)
{
    n->sc = wh_calloc(1, LITE->source->sc_size);
    n->io.object = &n->object;
    n->io.opts = s->from;
    n->io.ctx = &s->fake.ctx;
    return LITE->source->scan_open(n->sc, s->ep, s->se, &n->io, &n->schema, &s->err);
}

static inline void scan_begin(struct side *s, struct scan *n)
{
    int st = scan_try(s, n);

    if (st != WH_OK)
        fail_msg("scan_open: %s %s", s->err.code, s->err.message);
}

static inline void scan_end(struct scan *n)
{
    LITE->source->scan_close(n->sc);
    wh_free(n->sc);
    wh_schema_release(&n->schema);
}

/* "name type, name type" */
static inline const char *types_of(const struct ArrowSchema *schema)
{
    static char out[4096];
    struct wh_buf b = WH_BUF(4000);

    for (int64_t i = 0; i < schema->n_children; i++) {
        struct wh_type t;

        assert_ok(wh_type_of(schema->children[i], &t, NULL));
        assert_ok(wh_buf_printf(&b, "%s%s ", i ? ", " : "", schema->children[i]->name));
        assert_ok(wh_type_print(&t, &b));
    }
    snprintf(out, sizeof out, "%s", b.p ? b.p : "");
    wh_buf_free(&b);
    return out;
}

/* Appends rows "a|b|NULL\n". */
static inline void add_rows(const struct ArrowSchema *schema, const struct wh_batch *b,
                            struct wh_buf *out)
{
    struct wh_view views[64];
    struct wh_error err;

    assert_true(schema->n_children <= 64);
    if (wh_views_init(schema, &b->rows, views, &err) != WH_OK)
        fail_msg("views: %s", err.message);
    for (int64_t r = 0; r < b->n_rows; r++)
        for (int64_t i = 0; i < schema->n_children; i++) {
            if (i)
                assert_ok(wh_buf_addc(out, '|'));
            if (wh_view_null(&views[i], r))
                assert_ok(wh_buf_adds(out, "NULL"));
            else
                assert_ok(wh_view_text(&views[i], r, out));
            if (i + 1 == schema->n_children)
                assert_ok(wh_buf_addc(out, '\n'));
        }
}

static inline int read_split(struct side *s, struct scan *n, void *se, const struct wh_split *split,
                             struct wh_buf *out, int64_t *rows)
{
    void *rd = wh_calloc(1, LITE->source->rd_size);
    struct ArrowSchema actual = {0};
    struct wh_batch b = {0};
    int st = LITE->source->reader_open(rd, n->sc, se, &s->fake.ctx, split, &actual, &s->err);

    while (st == WH_OK) {
        st = LITE->source->reader_next(rd, &b, &s->err);
        if (st != WH_OK)
            break;
        assert_true(b.n_rows > 0);
        *rows += b.n_rows;
        if (out)
            add_rows(&n->schema, &b, out);
        wh_batch_release(&b);
    }
    if (st == WH_END)
        assert_int_equal(LITE->source->reader_next(rd, &b, &s->err), WH_END);
    LITE->source->reader_close(rd);
    wh_free(rd);
    return st == WH_END ? WH_OK : st;
}

/* All splits of a scan, one after the other; the number of splits. */
static inline int read_scan(struct side *s, struct scan *n, struct wh_buf *out, int64_t *rows)
{
    struct wh_bytes cursor = {0}, next;
    struct wh_split split;
    uint8_t keep[64];
    int count = 0, st;

    while ((st = LITE->source->split_next(n->sc, s->se, &cursor, &split, &next, &s->err)) ==
           WH_OK) {
        uint8_t token[64];

        assert_true(split.token.n <= 64 && next.n <= 64);
        memcpy(token, split.token.p, split.token.n);
        split.token.p = token;
        memcpy(keep, next.p, next.n);
        cursor = (struct wh_bytes){keep, next.n};
        st = read_split(s, n, s->se, &split, out, rows);
        if (st != WH_OK)
            fail_msg("read: %s %s", s->err.code, s->err.message);
        count++;
    }
    assert_int_equal(st, WH_END);
    return count;
}

/* A table as text: types in *ret_types (may be NULL), rows as the result; freed by the caller. */
static inline char *table_text(struct side *s, const char *table, char *ret_types, size_t size)
{
    struct scan n = {.object = name1(table)};
    struct wh_buf out = WH_BUF(64 << 20);
    int64_t rows = 0;

    scan_begin(s, &n);
    if (ret_types)
        snprintf(ret_types, size, "%s", types_of(&n.schema));
    assert_ok(wh_buf_adds(&out, ""));
    read_scan(s, &n, &out, &rows);
    scan_end(&n);
    return wh_buf_take(&out);
}

/* ---- writing ---- */

#define RUN "r-20260101-0123456789ab"

struct goal {
    struct wh_name object;
    struct wh_fence fence;
    struct wh_target io;
    void *fl;
    int n_steps;
    char says[4096];
};

static inline int goal_try(struct side *s, struct goal *g, const char *table,
                           const struct ArrowSchema *source)
{
    g->object = name1(table);
    if (!g->fence.run.s)
        g->fence = (struct wh_fence){.run = WH_STR(RUN), .epoch = 1, .flow = 1, .generation = 1};
    g->fl = wh_calloc(1, LITE->sink->fl_size);
    g->io.object = &g->object;
    g->io.opts = s->to;
    g->io.ctx = &s->fake.ctx;
    g->io.source = source;
    g->io.fence = &g->fence;
    return LITE->sink->target_open(g->fl, s->ep, s->se, &g->io, &s->err);
}

static inline void goal_end(struct goal *g)
{
    LITE->sink->target_close(g->fl);
    wh_free(g->fl);
    wh_schema_release(&g->io.accept);
    g->fl = NULL;
}

static inline void goal_begin(struct side *s, struct goal *g, const char *table,
                              const struct ArrowSchema *source)
{
    if (goal_try(s, g, table, source) != WH_OK)
        fail_msg("target_open: %s %s", s->err.code, s->err.message);
}

struct kept_step {
    struct wh_step step;
    char token[8];
};

struct step_list {
    struct wh_step_sink sink;
    struct kept_step v[8];
    int n;
    char *says;
    size_t size;
};

static inline int keep_step(struct wh_step_sink *sink, const struct wh_step *step)
{
    struct step_list *l = sink->self;
    struct kept_step *k = &l->v[l->n++];

    k->step = *step;
    memcpy(k->token, step->token.p, step->token.n);
    k->step.token.p = k->token;
    snprintf(l->says + strlen(l->says), l->size - strlen(l->says), "%.*s\n", WH_STR_FMT(step->say));
    k->step.say = (struct wh_str){0};
    return WH_OK;
}

/* Applies all steps of a phase; the first status that is not OK. Words go to g->says. */
static inline int goal_phase(struct side *s, struct goal *g, enum wh_phase phase)
{
    struct step_list l = {.says = g->says, .size = sizeof g->says};
    void *se = side_session(s, WH_STEP);
    int st;

    g->says[0] = 0;
    l.sink = (struct wh_step_sink){.self = &l, .add = keep_step};
    st = LITE->sink->steps(g->fl, se, phase, NULL, &l.sink, &s->err);
    for (int i = 0; i < l.n && st == WH_OK; i++) {
        struct wh_bytes receipt;

        st = LITE->sink->apply(g->fl, se, &l.v[i].step, &g->fence, NULL, false, &receipt, &s->err);
    }
    g->n_steps = l.n;
    side_session_end(se);
    return st;
}

static inline void claim(struct side *s, struct goal *g)
{
    struct wh_objects targets = {&g->object, 1};

    if (LITE->endpoint->claim(s->ep, s->se, &g->fence, &targets, &s->err) != WH_OK)
        fail_msg("claim: %s %s", s->err.code, s->err.message);
}

struct pen {
    void *se, *wr;
    struct wh_unit unit;
    struct wh_acks acks;
    struct wh_tally tally;
    int64_t send;
};

static inline int pen_try(struct side *s, struct goal *g, struct pen *p, int64_t unit)
{
    memset(p, 0, sizeof *p);
    p->se = side_session(s, WH_WRITE);
    p->wr = wh_calloc(1, LITE->sink->wr_size);
    p->unit = (struct wh_unit){
        .id = unit, .flow = g->fence.flow, .generation = g->fence.generation, .attempt = 1};
    return LITE->sink->writer_open(p->wr, g->fl, p->se, &s->fake.ctx, &p->unit, &g->fence, &s->err);
}

static inline void pen_end(struct pen *p)
{
    LITE->sink->writer_close(p->wr);
    side_session_end(p->se);
    wh_free(p->wr);
}

static inline int pen_commit(struct side *s, struct pen *p, const char *rest)
{
    struct wh_marker m = {.rows = p->tally.rows,
                          .bytes = 7,
                          .dirty = 1,
                          .filtered = 2,
                          .skipped = 3,
                          .hash = {p->tally.hash[0], p->tally.hash[1]},
                          .rest = {rest, rest ? strlen(rest) : 0}};
    struct wh_bytes receipt;

    return LITE->sink->writer_commit(p->wr, &m, &receipt, &s->err);
}

/* One batch as one unit, committed. */
static inline void write_unit(struct side *s, struct goal *g, int64_t unit, struct wh_batch *b,
                              struct wh_tally *ret, int64_t *ret_bad)
{
    struct pen p;
    int st = pen_try(s, g, &p, unit);

    if (st != WH_OK)
        fail_msg("writer_open: %s %s %s", wh_status_name(st), s->err.code, s->err.message);
    st = LITE->sink->writer_write(p.wr, b, 1, NULL, 0, b->n_rows, &p.acks, &s->err);
    if (st != WH_OK)
        fail_msg("writer_write: %s %s", s->err.code, s->err.message);
    assert_int_equal(p.acks.upto_send, 1);
    if (ret_bad)
        *ret_bad = (int64_t)p.acks.n_bad;
    else if (p.acks.n_bad)
        fail_msg("refused: %s %.*s", p.acks.bad[0].code, WH_STR_FMT(p.acks.bad[0].text));
    assert_ok(LITE->sink->writer_seal(p.wr, &p.tally, &s->err));
    st = pen_commit(s, &p, NULL);
    if (st != WH_OK)
        fail_msg("writer_commit: %s %s", s->err.code, s->err.message);
    if (ret)
        *ret = p.tally;
    pen_end(&p);
}

#endif
