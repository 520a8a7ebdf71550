/* SPDX-License-Identifier: Apache-2.0 */
/* The class T target that the fakes share: its shape, steps, markers, look-up. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

static bool as_integer(enum wh_kind k)
{
    return k >= WH_K_I8 && k <= WH_K_U32;
}

/* Integers stay integers, everything else comes as its canonical text. */
static wh_status set_column(struct ArrowSchema *to, int64_t i, const struct ArrowSchema *from,
                            struct wh_error *reterr)
{
    const char *meta[3] = {NULL};
    struct wh_str key = {0};
    char text[16];
    struct wh_type type;

    WH_TRY(wh_type_of(from, &type, reterr));
    struct wh_type want = {.kind = as_integer(type.kind) ? WH_K_I64 : WH_K_UTF8,
                           .nullable = type.nullable};

    if (wh_meta_get(from, WH_META_KEY, &key) && key.n < sizeof text) {
        snprintf(text, sizeof text, "%.*s", WH_STR_FMT(key));
        meta[0] = WH_META_KEY;
        meta[1] = text;
    }
    return wh_schema_set(to, i, from->name, &want, meta);
}

static wh_status make_accept(const struct wh_target *io, struct ArrowSchema *ret,
                             struct wh_error *reterr)
{
    if (io->frozen)
        return wh_schema_copy(io->frozen, ret);
    WH_TRY(wh_schema_init(ret, io->source->n_children));
    for (int64_t i = 0; i < io->source->n_children; i++) {
        int st = set_column(ret, i, io->source->children[i], reterr);

        if (st != WH_OK) {
            wh_schema_release(ret);
            return st;
        }
    }
    return WH_OK;
}

/* The table that is there must have our columns. */
static wh_status compare_table(struct hard_target *fl, sqlite3 *db, struct wh_error *reterr)
{
    for (int64_t i = 0; i < fl->accept.n_children; i++) {
        int64_t found = 0;

        WH_TRY(hard_int(db, &found, NULL, reterr,
                        "select count(*) from pragma_table_info(%Q) where name = %Q", fl->object,
                        fl->accept.children[i]->name));
        if (!found)
            return wh_fail(reterr, WH_E_TYPE, "E3002", "table %s has no column %s", fl->object,
                           fl->accept.children[i]->name);
    }
    return WH_OK;
}

static wh_status look_at_table(struct hard_target *fl, struct wh_target *io, sqlite3 *db,
                               struct wh_error *reterr)
{
    int64_t found = 0;

    WH_TRY(hard_int(db, &found, NULL, reterr,
                    "select count(*) from sqlite_schema where type = 'table' and name = %Q",
                    fl->object));
    io->exists = found > 0;
    io->existing_rows = 0;
    if (!found)
        return WH_OK;
    WH_TRY(compare_table(fl, db, reterr));
    return hard_int(db, &io->existing_rows, NULL, reterr, "select count(*) from \"%w\"",
                    fl->object);
}

static void answer(struct hard_target *fl, struct wh_target *io)
{
    io->grain = WH_GRAIN_BATCH;
    io->commit_class = io->marker_off ? WH_CLASS_A : WH_CLASS_T;
    io->atomic_given = WH_ATOMIC_UNIT;
    io->ret_object = (struct wh_name){.part = {wh_str(fl->object)}, .n = 1};
    snprintf(io->identity, sizeof io->identity, "hard:%.200s:%.100s", fl->ep->db_path, fl->object);
    snprintf(io->instant, sizeof io->instant, "each unit when it commits");
    snprintf(io->on_kill, sizeof io->on_kill, "committed units stay; open ones leave nothing");
}

wh_status hard_target_open(void *self, void *ep, void *session, struct wh_target *io,
                           struct wh_error *reterr)
{
    struct hard_target *fl = self;
    struct hard_session *se = session;
    struct wh_str name =
        io->object && io->object->n > 0 ? io->object->part[io->object->n - 1] : io->source_name;

    fl->ep = ep;
    fl->marker = fl->ep->opts->marker && !io->marker_off;
    fl->id_column = -1;
    if (!name.n || name.n >= HARD_NAME)
        return wh_fail(reterr, WH_E_USAGE, "E1020", "no table name");
    snprintf(fl->object, sizeof fl->object, "%.*s", WH_STR_FMT(name));
    WH_TRY(make_accept(io, &fl->accept, reterr));
    for (int64_t i = 0; i < fl->accept.n_children; i++)
        if (strcmp(fl->accept.children[i]->name, "id") == 0)
            fl->id_column = i;
    WH_TRY(look_at_table(fl, io, se->db, reterr));
    if (io->fence) {
        snprintf(fl->run, sizeof fl->run, "%.*s", WH_STR_FMT(io->fence->run));
        fl->flow = io->fence->flow;
        fl->generation = io->fence->generation;
    }
    answer(fl, io);
    return wh_schema_copy(&fl->accept, &io->accept);
}

void hard_target_close(void *self)
{
    wh_schema_release(&((struct hard_target *)self)->accept);
}

/* ---------------------------------------------------------------------------------------- steps */

static char *create_sql(const struct hard_target *fl)
{
    sqlite3_str *s = sqlite3_str_new(NULL);

    sqlite3_str_appendf(s, "create table if not exists \"%w\"(", fl->object);
    for (int64_t i = 0; i < fl->accept.n_children; i++) {
        struct wh_type type;
        bool integer =
            wh_type_of(fl->accept.children[i], &type, NULL) == WH_OK && type.kind == WH_K_I64;

        sqlite3_str_appendf(s, "%s\"%w\" %s", i ? ", " : "", fl->accept.children[i]->name,
                            integer ? "integer" : "text");
    }
    sqlite3_str_appendf(s, ")");
    return sqlite3_str_finish(s);
}

/* PREPARE makes the table, without any key: a doubled row must show as a doubled row. */
wh_status hard_steps(void *self, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                     struct wh_step_sink *out, struct wh_error *reterr)
{
    char *sql;

    if (phase != WH_PREPARE)
        return WH_OK;
    sql = create_sql(self);
    if (!sql)
        return WH_E_NOMEM;
    struct wh_step step = {.id = 1,
                           .phase = WH_PREPARE,
                           .flags = WH_STEP_TRANSACTIONAL,
                           .say = wh_str(sql),
                           .token = {sql, strlen(sql)}};
    int st = out->add(out, &step);

    sqlite3_free(sql);
    return st;
}

static wh_status add_marker(sqlite3 *db, const struct hard_target *fl, const char *run,
                            const struct wh_fence *fence, int64_t unit, bool *ret_twin,
                            struct wh_error *reterr)
{
    *ret_twin = false;
    if (!fl->marker)
        return WH_OK;
    WH_TRY(hard_exec(db, reterr,
                     "insert or ignore into wherry_unit(run, flow, generation, unit)"
                     " values(%Q, %lld, %lld, %lld)",
                     run, (long long)fence->flow, (long long)fence->generation, (long long)unit));
    *ret_twin = sqlite3_changes(db) == 0;
    return WH_OK;
}

static wh_status apply_in(struct hard_target *fl, struct hard_session *se,
                          const struct wh_step *step, const struct wh_fence *fence, bool *ret_twin,
                          struct wh_error *reterr)
{
    char run[HARD_RUN];

    snprintf(run, sizeof run, "%.*s", WH_STR_FMT(fence->run));
    WH_TRY(hard_fenced(se, run, fence->epoch, reterr));
    WH_TRY(add_marker(se->db, fl, run, fence, -(int64_t)(step->phase * 1000 + step->id), ret_twin,
                      reterr));
    if (*ret_twin)
        return WH_OK;
    WH_TRY(hard_exec(se->db, reterr, "%.*s", (int)step->token.n, (const char *)step->token.p));
    return hard_exec(se->db, reterr, "commit");
}

wh_status hard_apply(void *self, void *session, const struct wh_step *step,
                     const struct wh_fence *fence, struct wh_receipts *receipts, bool maybe_done,
                     struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct hard_session *se = session;
    bool twin = false;

    WH_TRY(hard_fault(se, se->ep->ctx, "a step", reterr));
    WH_TRY(hard_exec(se->db, reterr, "begin immediate"));
    int st = apply_in(self, se, step, fence, &twin, reterr);

    if (st != WH_OK || twin)
        hard_rollback(se->db);
    *ret_receipt = (struct wh_bytes){0};
    return st == WH_OK && twin ? WH_TWIN : st;
}

/* -------------------------------------------------------------------------------------- look-up */

static struct wh_bytes blob(sqlite3_stmt *stmt, int i)
{
    const void *p = sqlite3_column_blob(stmt, i);

    return (struct wh_bytes){p, (size_t)sqlite3_column_bytes(stmt, i)};
}

static wh_status copy_bytes(const struct wh_ctx *ctx, struct wh_bytes *b)
{
    void *p;

    if (!b->n)
        return WH_OK;
    if (!ctx || !(p = ctx->alloc(ctx, b->n)))
        return WH_E_NOMEM;
    memcpy(p, b->p, b->n);
    b->p = p;
    return WH_OK;
}

wh_status hard_lookup(void *self, void *session, const struct wh_unit *unit, struct wh_fate *ret,
                      struct wh_error *reterr)
{
    struct hard_target *fl = self;
    struct hard_session *se = session;
    const char *run = fl->ep->run[0] ? fl->ep->run : fl->run;
    HARD_STMT *stmt = NULL;

    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    if (!fl->marker)
        return WH_OK;
    WH_TRY(hard_prepare(se->db, &stmt, reterr,
                        "select attempt, rows, bytes, dirty, filtered, skipped, h0, h1, rest,"
                        " \"end\" from wherry_unit where run = %Q and flow = %lld"
                        " and generation = %lld and unit = %lld",
                        run, (long long)unit->flow, (long long)unit->generation,
                        (long long)unit->id));
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return WH_OK;
    struct wh_marker *m = &ret->marker;

    ret->kind = WH_FATE_COMMITTED;
    ret->attempt = sqlite3_column_int(stmt, 0);
    m->rows = sqlite3_column_int64(stmt, 1);
    m->bytes = sqlite3_column_int64(stmt, 2);
    m->dirty = sqlite3_column_int64(stmt, 3);
    m->filtered = sqlite3_column_int64(stmt, 4);
    m->skipped = sqlite3_column_int64(stmt, 5);
    m->hash[0] = (uint64_t)sqlite3_column_int64(stmt, 6);
    m->hash[1] = (uint64_t)sqlite3_column_int64(stmt, 7);
    m->rest = blob(stmt, 8);
    m->end = blob(stmt, 9);
    WH_TRY(copy_bytes(fl->ep->ctx, &m->rest));
    return copy_bytes(fl->ep->ctx, &m->end);
}

/* The table must be there and hold at least the rows that were committed. */
wh_status hard_verify(void *self, void *session, struct wh_receipts *committed,
                      const struct wh_fence *fence, struct wh_error *reterr)
{
    struct hard_target *fl = self;
    struct hard_session *se = session;
    struct wh_receipt r;
    int64_t want = 0, have = 0, exists = 0;

    while (committed && committed->next(committed, &r) == WH_OK)
        want += r.rows;
    if (!want)
        return WH_OK;
    WH_TRY(hard_int(se->db, &exists, NULL, reterr,
                    "select count(*) from sqlite_schema where name = %Q", fl->object));
    if (exists)
        WH_TRY(hard_int(se->db, &have, NULL, reterr, "select count(*) from \"%w\"", fl->object));
    if (have >= want)
        return WH_OK;
    return wh_fail(reterr, WH_E_STATE, "E7009", "table %s has %lld rows, %lld were committed",
                   fl->object, (long long)have, (long long)want);
}
