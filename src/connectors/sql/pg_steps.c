/* SPDX-License-Identifier: Apache-2.0 */
/* What happens outside of units: create, clear, stage, index, swap, drop. PostgreSQL's DDL is
 * transactional, so each step is one transaction with its own marker: done wholly and once, or not
 * at all. */
#include "pg_target.h"

#include <stdlib.h>

#define TRUNCATE "truncate"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a step");
}

/* ---- what a step does, as statements -----------------------------------------------------------
 */

static wh_status script_add_columns(const struct pg_fl *fl, struct sql_script *s)
{
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (!fl->dest[i].added)
            continue;
        WH_TRY(
            sql_add(&s->b, "alter table %s add column %i %s", fl->name, &name, fl->dest[i].decl));
        WH_TRY(sql_script_end(s));
    }
    return WH_OK;
}

static wh_status drop_stage(const struct pg_fl *fl, struct sql_script *s)
{
    WH_TRY(sql_add(&s->b, "drop table if exists %s", fl->stage_name));
    return sql_script_end(s);
}

static wh_status script_stage(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                              struct wh_error *reterr)
{
    if (drop_stage(fl, s) != WH_OK)
        return no_memory(reterr);
    if (!fl->create_stage) /* made after the table that is there */
        return pg_swap_stage(se, fl, s, reterr);
    if (wh_buf_add(&s->b, fl->create_stage, strlen(fl->create_stage)) != WH_OK)
        return no_memory(reterr);
    return sql_script_end(s) == WH_OK ? WH_OK : no_memory(reterr);
}

/* No other relation has the name yet; an index of the table that goes does not count. */
static wh_status name_free(struct pg_se *se, const struct pg_fl *fl, const char *name, bool *ret,
                           struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->schema, name, fl->name};

    WH_TRY(pg_query(se->c,
                    "select not exists (select from pg_class c join pg_namespace n on "
                    "n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2 and not exists "
                    "(select from pg_index i where i.indexrelid = c.oid and "
                    "i.indrelid = to_regclass($3)))",
                    3, params, &r, reterr));
    *ret = pg_cell_bool(r, 0, 0);
    return WH_OK;
}

static wh_status rename_stage(const struct pg_fl *fl, struct sql_script *s)
{
    struct wh_str table = wh_str(fl->table);

    if (fl->existed) {
        WH_TRY(sql_add(&s->b, "drop table if exists %s", fl->name));
        WH_TRY(sql_script_end(s));
    }
    WH_TRY(sql_add(&s->b, "alter table %s rename to %i", fl->stage_name, &table));
    return sql_script_end(s);
}

/* A table that was made as a stage; its primary key gets the name that it would have had. */
static wh_status script_rename(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                               struct wh_error *reterr)
{
    char made[SQL_STAGE_NAME + 8], wanted[72];
    struct wh_str from, to;
    bool is_free = false;

    snprintf(made, sizeof made, "%s_pkey", fl->stage);
    snprintf(wanted, sizeof wanted, "%.*s_pkey", WH_STR_FMT(wh_str_clip(wh_str(fl->table), 58)));
    from = wh_str(made);
    to = wh_str(wanted);
    if (rename_stage(fl, s) != WH_OK)
        return no_memory(reterr);
    if (fl->keyed)
        WH_TRY(name_free(se, fl, wanted, &is_free, reterr));
    if (is_free && (sql_add(&s->b, "alter table %s rename constraint %i to %i", fl->name, &from,
                            &to) != WH_OK ||
                    sql_script_end(s) != WH_OK))
        return no_memory(reterr);
    return WH_OK;
}

static wh_status put(const struct pg_fl *fl, enum wh_mode mode, struct sql_script *s)
{
    WH_TRY(pg_ddl_put(fl, fl->name, fl->stage_name, false, mode, false, &s->b));
    return sql_script_end(s);
}

static wh_status drop_full_stage(const struct pg_fl *fl, struct sql_script *s)
{
    WH_TRY(sql_add(&s->b, "drop table %s", fl->stage_name));
    return sql_script_end(s);
}

/* Rows that are exchanged fire no triggers, as rows that are swapped in do not: off before, and
 * back to what they were. Only their owner may do so. */
static wh_status triggers(struct pg_se *se, const struct pg_fl *fl, bool off, struct sql_script *s,
                          struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->name};

    WH_TRY(pg_query(se->c,
                    "select format('alter table %s disable trigger %I', $1::text, g.tgname), "
                    "format('alter table %s enable %s trigger %I', $1::text, case g.tgenabled "
                    "when 'R' then 'replica' when 'A' then 'always' else '' end, g.tgname) "
                    "from pg_trigger g join pg_class c on c.oid = g.tgrelid where "
                    "c.oid = $1::text::regclass and not g.tgisinternal and g.tgenabled <> 'D' and "
                    "pg_has_role(c.relowner, 'USAGE') order by g.oid",
                    1, params, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_str text = pg_cell(r, i, off ? 0 : 1);

        if (wh_buf_add(&s->b, text.s, text.n) != WH_OK || sql_script_end(s) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

static wh_status script_exchange(const struct pg_fl *fl, struct sql_script *s)
{
    WH_TRY(sql_add(&s->b, TRUNCATE " %s", fl->name));
    WH_TRY(sql_script_end(s));
    WH_TRY(put(fl, WH_MODE_APPEND, s));
    return drop_full_stage(fl, s);
}

/* Rows whose key is not in the stage go, all others are written over or added: no key is away for a
 * moment, so nothing that points here breaks or cascades. */
static wh_status script_merge(const struct pg_fl *fl, struct sql_script *s)
{
    WH_TRY(sql_add(&s->b, PG_DELETE "%s t where not exists (select 1 from %s r where ", fl->name,
                   fl->stage_name));
    WH_TRY(pg_ddl_same_key(fl, "t", false, "r", false, &s->b));
    WH_TRY(wh_buf_addc(&s->b, ')'));
    WH_TRY(sql_script_end(s));
    WH_TRY(put(fl, WH_MODE_REPLACE, s));
    return drop_full_stage(fl, s);
}

static wh_status script_pour(struct pg_se *full, const struct pg_fl *fl, struct sql_script *s,
                             struct wh_error *reterr)
{
    int st = WH_OK;

    if (fl->replace_keys) {
        WH_TRY(pg_replaced_script(full, fl, s, reterr));
    } else if (fl->mode == WH_MODE_DELETE_INSERT) {
        st = sql_add(&s->b, PG_DELETE "%s where (%s\n)", fl->name, fl->replace_where);
        if (st == WH_OK)
            st = sql_script_end(s);
    }
    if (st == WH_OK)
        st = put(fl, sql_by_key(fl->mode) ? fl->mode : WH_MODE_APPEND, s);
    if (st == WH_OK)
        st = drop_full_stage(fl, s);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

static wh_status one(struct sql_script *s, const char *verb, const char *name)
{
    WH_TRY(sql_add(&s->b, "%s %s", verb, name));
    return sql_script_end(s);
}

static wh_status script_publish(struct pg_se *se, const struct pg_fl *fl, bool doing,
                                struct sql_script *s, struct wh_error *reterr)
{
    int st;

    if (fl->publish == PG_PUB_SWAP)
        return pg_swap_script(se, fl, s, reterr);
    if (fl->publish == PG_PUB_RENAME)
        return script_rename(se, fl, s, reterr);
    if (fl->publish == PG_PUB_POUR)
        return script_pour(doing ? se : NULL, fl, s, reterr);
    WH_TRY(triggers(se, fl, true, s, reterr));
    st = fl->publish == PG_PUB_MERGE ? script_merge(fl, s) : script_exchange(fl, s);
    return st == WH_OK ? triggers(se, fl, false, s, reterr) : no_memory(reterr);
}

static wh_status recreate(const struct pg_fl *fl, struct sql_script *s)
{
    WH_TRY(one(s, "drop table if exists", fl->name));
    return wh_buf_add(&s->b, fl->create, strlen(fl->create)) == WH_OK ? sql_script_end(s)
                                                                      : WH_E_NOMEM;
}

/* Values were given where a sequence would have given them: it goes on behind them, never back. Who
 * has no right to is warned. */
static wh_status script_sequences(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                                  struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->name};

    WH_TRY(pg_query(se->c,
                    "select a.attname, d.objid::regclass::text, s.seqincrement < 0 from pg_depend "
                    "d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid "
                    "join pg_sequence s on s.seqrelid = d.objid where d.classid = "
                    "'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = "
                    "to_regclass($1) and d.deptype in ('a', 'i') order by a.attnum, d.objid",
                    1, params, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_str column = pg_cell(r, i, 0), sequence = pg_cell(r, i, 1);
        bool down = pg_cell_bool(r, i, 2), delivered = false;
        char name[600];
        int st;

        for (int k = 0; k < fl->n_dest && !delivered; k++)
            delivered = wh_str_eqs(column, fl->dest[k].name);
        if (!delivered)
            continue;
        snprintf(name, sizeof name, "%.*s", WH_STR_FMT(sequence));
        st = sql_add(&s->b,
                     down ? "select setval(%l, x.v) from (select min(%i) as v from %s) x, %s q, "
                            "pg_sequence p where p.seqrelid = %l::regclass and x.v between "
                            "p.seqmin and p.seqmax and (x.v < q.last_value or x.v = q.last_value "
                            "and not q.is_called)"
                          : "select setval(%l, x.v) from (select max(%i) as v from %s) x, %s q, "
                            "pg_sequence p where p.seqrelid = %l::regclass and x.v between "
                            "p.seqmin and p.seqmax and (x.v > q.last_value or x.v = q.last_value "
                            "and not q.is_called)",
                     &sequence, &column, fl->name, name, &sequence);
        if (st != WH_OK || sql_script_end(s) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

/* doing: inside the step's transaction, where a stage that is poured is full. */
static wh_status script_of(struct pg_se *se, const struct pg_fl *fl, struct wh_bytes token,
                           bool doing, struct sql_script *s, struct wh_error *reterr)
{
    const char *t = token.p;
    char oid[24] = "";
    int st = WH_OK;

    snprintf(oid, sizeof oid, "%.*s", (int)(token.n - 1), t + 1);
    switch (*t) {
    case SQL_STEP_CREATE:
        st = sql_script_text(s, fl->create);
        break;
    case SQL_STEP_RECREATE:
        st = recreate(fl, s);
        break;
    case SQL_STEP_ADD:
        st = script_add_columns(fl, s);
        break;
    case SQL_STEP_CLEAR:
        st = one(s, TRUNCATE, fl->name);
        break;
    case SQL_STEP_STAGE:
        return script_stage(se, fl, s, reterr);
    case SQL_STEP_INDEX:
    case SQL_STEP_FOREIGN:
        return pg_swap_one(se, fl, *t, oid, s, reterr);
    case SQL_STEP_ANALYZE:
        st = one(s, "analyze", fl->stage_name);
        break;
    case SQL_STEP_SWAP:
    case SQL_STEP_POUR:
        return script_publish(se, fl, doing, s, reterr);
    case SQL_STEP_DROP:
        st = drop_stage(fl, s);
        break;
    case SQL_STEP_SEQUENCES:
        return script_sequences(se, fl, s, reterr);
    default:
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    }
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- listing -----------------------------------------------------------------------------------
 */

struct listing {
    struct pg_fl *fl;
    struct pg_se *se;
    struct wh_step_sink *out;
    uint32_t id;
};

static int fill(void *self, struct wh_bytes token, struct sql_script *s, struct wh_error *reterr)
{
    struct listing *l = self;

    return script_of(l->se, l->fl, token, false, s, reterr);
}

static int add_later(void *arg, char kind, uint32_t oid, struct wh_error *reterr)
{
    struct listing *l = arg;
    char token[24];
    int n = snprintf(token, sizeof token, "%c%u", kind, oid);

    return sql_step_add(WH_SETTLE, &l->id, (struct wh_bytes){token, (size_t)n}, 0, fill, l, l->out,
                        reterr);
}

/* What a full stage needs before it can take the table's place. */
static wh_status settle(struct listing *l, struct wh_error *reterr)
{
    if (l->fl->publish == PG_PUB_SWAP)
        WH_TRY(pg_swap_later(l->se, l->fl, add_later, l, reterr));
    if (l->fl->publish == PG_PUB_SWAP || l->fl->publish == PG_PUB_RENAME)
        WH_TRY(sql_step_add(WH_SETTLE, &l->id, (struct wh_bytes){"z", 1}, WH_STEP_OPTIONAL, fill, l,
                            l->out, reterr));
    return WH_OK;
}

/* A column that a sequence may belong to. */
static bool counted(const struct pg_fl *fl)
{
    bool found = false;

    for (int k = 0; k < fl->now.n_cols && !found && fl->existed && !fl->recreate; k++) {
        const struct pg_col *c = &fl->now.cols[k];
        bool whole = c->wire == PG_W_I16 || c->wire == PG_W_I32 || c->wire == PG_W_I64;

        for (int i = 0; i < fl->n_dest && !found && (c->identity || (c->has_default && whole)); i++)
            found = strcmp(fl->dest[i].name, c->name) == 0;
    }
    return found;
}

static wh_status sequences(struct listing *l, struct wh_error *reterr)
{
    struct sql_script s = SQL_SCRIPT;
    int st;

    if (!l->fl->o->sequences || l->fl->no_sequences || !counted(l->fl))
        return WH_OK;
    st = script_sequences(l->se, l->fl, &s, reterr);
    if (st == WH_OK && s.b.n)
        st = sql_step_add(WH_FINISH, &l->id, (struct wh_bytes){"q", 1}, WH_STEP_OPTIONAL, fill, l,
                          l->out, reterr);
    wh_buf_free(&s.b);
    return st;
}

static wh_status list_own(struct pg_fl *fl, struct listing *l, enum wh_phase phase,
                          struct wh_error *reterr)
{
    struct sql_shape shape = {.existed = fl->existed,
                              .creates = fl->create != NULL,
                              .clears = fl->mode == WH_MODE_TRUNCATE,
                              .staged = fl->staged,
                              .swaps = fl->mode == WH_MODE_OVERWRITE};

    for (int i = 0; i < fl->n_dest; i++)
        shape.adds |= fl->dest[i].added;
    if (phase == WH_SETTLE && fl->staged)
        return settle(l, reterr);
    if (phase == WH_FINISH)
        return sequences(l, reterr);
    return sql_steps_of(&shape, phase, &l->id, fill, l, l->out, reterr);
}

wh_status pg_steps(void *self, void *session, enum wh_phase phase, struct wh_receipts *receipts,
                   struct wh_step_sink *out, struct wh_error *reterr)
{
    struct pg_fl *fl = self;
    struct listing l = {.fl = fl, .se = session, .out = out};

    WH_TRY(list_own(fl, &l, phase, reterr));
    return sql_statement_steps(&fl->statements, phase, &l.id, out, reterr);
}

/* ---- doing -------------------------------------------------------------------------------------
 */

/* In one packet. A message of the server names the statement by its own words. */
static wh_status run_script(struct pg_se *se, struct sql_script *s, struct wh_error *reterr)
{
    int st;

    if (s->b.n == 0)
        return WH_OK;
    st = pg_exec(se->c, sql_script_say(s).s, reterr);
    if (st < 0 && st != WH_E_CANCELLED && reterr)
        snprintf(reterr->code, sizeof reterr->code, "E5008");
    return st;
}

static wh_status put_new(struct pg_se *se, const struct pg_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    int64_t in = 0;

    if (sql_add(&b, "select count(*) from %s", fl->stage_name) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    return pg_prove_ignored(se, fl, fl->stage_name, false, pg_cell_i64(r, 0, 0, 0), &in, reterr);
}

/* The rows of a full stage into the table; as many as are due, or none. */
static wh_status run_put(struct pg_se *se, const struct pg_fl *fl, const char *sql,
                         enum wh_mode mode, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *put WH_CLEANUP(pg_rows_freep) = NULL, *due WH_CLEANUP(pg_rows_freep) = NULL;
    int64_t n = 0;

    if (mode == WH_MODE_INSERT_IGNORE)
        return put_new(se, fl, reterr);
    if (pg_ddl_due(fl, fl->stage_name, false, mode, &b) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, sql, 0, NULL, &put, reterr));
    if (!b.n)
        return WH_OK;
    WH_TRY(pg_query(se->c, b.p, 0, NULL, &due, reterr));
    n = pg_cell_i64(due, 0, 0, 0);
    if (pg_touched(put) >= n)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "%s took %lld of %lld rows (does a trigger or a rule drop rows?)", fl->name,
                   (long long)pg_touched(put), (long long)n);
}

/* The step that puts the rows of a stage into the table, where they meet its triggers and rules. */
static bool puts_rows(const struct pg_fl *fl, struct wh_bytes token)
{
    char kind = *(const char *)token.p;

    return (kind == SQL_STEP_SWAP || kind == SQL_STEP_POUR) &&
           (fl->publish == PG_PUB_POUR || fl->publish == PG_PUB_EXCHANGE ||
            fl->publish == PG_PUB_MERGE);
}

static wh_status run_publish(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                             struct wh_error *reterr)
{
    enum wh_mode mode = fl->publish == PG_PUB_MERGE                          ? WH_MODE_REPLACE
                        : fl->publish == PG_PUB_POUR && sql_by_key(fl->mode) ? fl->mode
                                                                             : WH_MODE_APPEND;
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const char *at = s->b.p, *end = at + s->b.n;

    if (pg_ddl_put(fl, fl->name, fl->stage_name, false, mode, false, &sql) != WH_OK)
        return no_memory(reterr);
    for (int st = WH_OK; at < end; at += strlen(at) + 1) {
        if (strcmp(at, sql.p) == 0)
            st = run_put(se, fl, at, mode, reterr);
        else if (strncmp(at, PG_DELETE, strlen(PG_DELETE)) == 0)
            st = pg_prove_delete(se, fl, at, reterr);
        else
            st = pg_exec(se->c, at, reterr);
        if (st == WH_OK && strncmp(at, TRUNCATE " ", strlen(TRUNCATE " ")) == 0)
            st = pg_prove_empty(se, fl, reterr);
        if (st < 0 && st != WH_E_CANCELLED && reterr && strcmp(reterr->code, "E5005") != 0)
            snprintf(reterr->code, sizeof reterr->code, "E5008");
        WH_TRY(st);
    }
    return WH_OK;
}

/* Dropping needs no marker of its own, only the proof that nobody newer owns the run: its stage may
 * be in use. A run that is closed or unknown here uses none. */
static wh_status may_drop(struct pg_se *se, const char *schema, const struct wh_fence *f,
                          struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    name WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char *run WH_CLEANUP(wh_freep) = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    struct wh_str s = wh_str(schema);
    char epoch[24];

    snprintf(epoch, sizeof epoch, "%u", f->epoch);
    if (!run || sql_add(&name, "%i.wherry_run", &s) != WH_OK ||
        sql_add(&b,
                "select 1 from %i.wherry_run where run = $1::text and state = 'open' and "
                "epoch > $2::bigint",
                &s) != WH_OK)
        return no_memory(reterr);
    const char *params[] = {run, epoch}, *table[] = {name.p};

    WH_TRY(pg_query(se->c, "select to_regclass($1) is not null", 1, table, &r, reterr));
    if (!pg_cell_bool(r, 0, 0))
        return WH_OK;
    pg_rows_freep(&r);
    WH_TRY(pg_query(se->c, b.p, 2, params, &r, reterr));
    if (pg_n_rows(r))
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns this run");
    return WH_OK;
}

/* Without markers a step that was done leaves the database as it wants it: nothing to create, no
 * stage to publish. */
static wh_status done_before(struct pg_fl *fl, struct pg_se *se, char kind, bool *ret,
                             struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {kind == SQL_STEP_CREATE ? fl->name : fl->stage_name};

    *ret = false;
    if (kind != SQL_STEP_CREATE && kind != SQL_STEP_SWAP && kind != SQL_STEP_POUR)
        return WH_OK;
    WH_TRY(pg_query(se->c, "select to_regclass($1) is not null", 1, params, &r, reterr));
    *ret = pg_cell_bool(r, 0, 0) == (kind == SQL_STEP_CREATE);
    return WH_OK;
}

/* Who needs the table alone does not wait long for it: everybody else would wait behind. */
static int64_t patience(const struct pg_fl *fl, char kind)
{
    bool rows_only = kind == SQL_STEP_POUR || kind == SQL_STEP_BEFORE || kind == SQL_STEP_AFTER ||
                     (kind == SQL_STEP_SWAP && fl->publish == PG_PUB_MERGE);

    return rows_only ? fl->ep->o->lock_timeout : PG_STEP_LOCK_MS;
}

/* A statement of the job, alone in its transaction, under the role's own search path. With
 * parameters, though there are none, the server takes exactly one statement. */
static wh_status run_statement(struct pg_fl *fl, struct pg_se *se, struct wh_bytes token,
                               struct wh_error *reterr)
{
    static const char *const none[] = {NULL};
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    int st;

    WH_TRY(sql_statement_text(&fl->statements, token, &text, reterr));
    WH_TRY(pg_exec(se->c, "set local search_path to default", reterr));
    st = pg_query(se->c, text.p, 0, none, &r, reterr);
    if (st == WH_OK && pg_transaction(se->c) != 'T')
        st = wh_fail(reterr, WH_E_USAGE, "E5016", "%.160s: it ended our transaction", text.p);
    if (st < 0 && st != WH_E_CANCELLED && reterr) {
        char words[sizeof reterr->message];

        snprintf(words, sizeof words, "%s", reterr->message);
        snprintf(reterr->message, sizeof reterr->message, "%.120s: %.300s", text.p, words);
        snprintf(reterr->code, sizeof reterr->code, "E5016");
    }
    if (st == WH_OK)
        st = pg_exec(se->c, "set local search_path to ''", reterr);
    return st;
}

static wh_status apply_inside(struct pg_fl *fl, struct pg_se *se, const struct wh_step *step,
                              const struct wh_fence *f, struct wh_error *reterr)
{
    struct sql_script s = SQL_SCRIPT;
    char kind = *(const char *)step->token.p;
    int st = WH_OK;

    if (step->phase == WH_DROP && !fl->marker_off)
        st = may_drop(se, fl->markers, f, reterr);
    if (st == WH_OK && step->phase == WH_PUBLISH)
        st = pg_mute_triggers(se, fl->o, reterr);
    if (st == WH_OK && sql_is_statement(step->token))
        return run_statement(fl, se, step->token, reterr);
    if (st == WH_OK)
        st = script_of(se, fl, step->token, true, &s, reterr);
    if (st == WH_OK && (puts_rows(fl, step->token) || kind == SQL_STEP_CLEAR))
        st = pg_exec(se->c, "set local search_path to default",
                     reterr); /* theirs are its triggers */
    if (st == WH_OK)
        st = step->phase == WH_PUBLISH && puts_rows(fl, step->token)
                 ? run_publish(se, fl, &s, reterr)
                 : run_script(se, &s, reterr);
    if (st == WH_OK && kind == SQL_STEP_CLEAR)
        st = pg_prove_empty(se, fl, reterr);
    if (st == WH_BLOCKED) {
        pg_rollback(se->c);
        wh_ignore(wh_fail(reterr, WH_BLOCKED, "E5010", "table %s is in use", fl->name));
        pg_blocked_by_table(se, fl->name, reterr);
    }
    wh_buf_free(&s.b);
    return st;
}

static wh_status begin(struct pg_fl *fl, struct pg_se *se, const struct pg_mark *m,
                       const struct wh_step *step, struct wh_error *reterr)
{
    if (fl->marker_off || step->phase == WH_DROP)
        return pg_mark_none(se, m, reterr);
    return pg_mark_open(se, m, reterr);
}

wh_status pg_apply(void *self, void *session, const struct wh_step *step, const struct wh_fence *f,
                   struct wh_receipts *receipts, bool maybe_done, struct wh_bytes *ret_receipt,
                   struct wh_error *reterr)
{
    struct pg_fl *fl = self;
    struct pg_se *se = session;
    bool marked = !fl->marker_off && step->phase != WH_DROP, done = false;
    struct pg_mark m = {.schema = fl->markers,
                        .units = fl->units,
                        .units_schema = fl->units_schema,
                        .units_table = fl->units_table,
                        .attempt = 1};
    int st = WH_OK;

    if (step->token.n < 1 || step->token.n > 16)
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    m.unit = sql_step_mark(step, f, &m.fence);
    m.lock_ms = patience(fl, *(const char *)step->token.p);
    if (pg_transaction(se->c) != 'I')
        pg_rollback(se->c);
    /* An older generation of the flow may have made the table; it was none of anybody else's. */
    if ((fl->marker_off && maybe_done) ||
        (f->generation > 1 && *(const char *)step->token.p == SQL_STEP_CREATE))
        WH_TRY(done_before(fl, se, *(const char *)step->token.p, &done, reterr));
    if (!done)
        st = begin(fl, se, &m, step, reterr);
    if (st == WH_OK && !done)
        st = apply_inside(fl, se, step, f, reterr);
    if (st == WH_OK && !done)
        st = marked ? pg_mark_commit(se, &m, NULL, reterr) : pg_commit(se, reterr);
    if (st != WH_OK)
        pg_rollback(se->c);
    if (st == WH_OK && ret_receipt)
        *ret_receipt = (struct wh_bytes){0};
    return st;
}
