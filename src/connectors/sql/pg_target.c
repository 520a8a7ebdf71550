/* SPDX-License-Identifier: Apache-2.0 */
/* A destination: is the table there, does it fit, which types shall the engine deliver, what will
 * be made. Looks only; making is PREPARE's. */
#include "pg_target.h"

enum {
    COUNT_MS = 200,   /* longest time for counting the rows of an existing table */
    MEMO_VERSION = 1, /* (version, existed, publish), oid of the table that was there */
    MEMO_SIZE = 7,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a destination");
}

static const char *keep(struct pg_fl *fl, const struct wh_buf *b)
{
    return b->p ? wh_arena_strndup(fl->arena, b->p, b->n) : NULL;
}

/* ---- what was asked ----------------------------------------------------------------------------
 */

static wh_status copy_settings(struct pg_fl *fl, const struct wh_target *io,
                               struct wh_error *reterr)
{
    const char *run = io->fence && io->fence->run.s
                          ? wh_arena_strndup(fl->arena, io->fence->run.s, io->fence->run.n)
                          : "";

    if (!run)
        return no_memory(reterr);
    if (io->fence)
        fl->fence = *io->fence;
    fl->fence.run = wh_str(run);
    fl->fence.memo = (struct wh_bytes){0};
    fl->mode = io->mode;
    fl->atomic = io->atomic;
    fl->o = io->opts;
    fl->ctx = io->ctx;
    fl->marker_off = io->marker_off;
    fl->no_sequences = io->no_sequences;
    fl->recreate = io->create == WH_CREATE_RECREATE;
    fl->staged = sql_is_staged(io);
    sql_stage_name(&fl->fence, fl->stage);
    if (io->comment.n) {
        fl->comment = wh_arena_strndup(fl->arena, io->comment.s, io->comment.n);
        if (!fl->comment)
            return no_memory(reterr);
    }
    fl->replace_keys = io->mode == WH_MODE_DELETE_INSERT && io->replace_keys;
    if (io->mode == WH_MODE_DELETE_INSERT && !fl->replace_keys) {
        if (!io->replace_where || !*io->replace_where)
            return wh_fail(reterr, WH_E_USAGE, "E1063", "delete-insert needs write.replace.where");
        fl->replace_where = wh_arena_strdup(fl->arena, io->replace_where);
        if (!fl->replace_where)
            return no_memory(reterr);
    }
    return WH_OK;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

/* Where an unqualified new table is made: the first schema of the role's own search path. */
static wh_status default_schema(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    if (fl->o->schema) {
        fl->schema = wh_arena_strdup(fl->arena, fl->o->schema);
        return fl->schema ? WH_OK : no_memory(reterr);
    }
    WH_TRY(pg_query(se->c,
                    "select n.nspname from pg_settings s, "
                    "regexp_split_to_table(s.reset_val, '\\s*,\\s*') with ordinality p(w, i) "
                    "join pg_namespace n on n.nspname = case when trim(both '\"' from p.w) = "
                    "'$user' then current_user else trim(both '\"' from p.w) end "
                    "where s.name = 'search_path' order by p.i limit 1",
                    0, NULL, &r, reterr));
    fl->schema = pg_n_rows(r) ? wh_arena_strndup(fl->arena, pg_cell(r, 0, 0).s, pg_cell(r, 0, 0).n)
                              : "public";
    return fl->schema ? WH_OK : no_memory(reterr);
}

static wh_status check_name(struct wh_str t, struct wh_error *reterr)
{
    if (t.n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "which table? (postgresql://..#schema.table)");
    if (sql_is_own(t))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "\"%.*s\" is a name of our own tables",
                       WH_STR_FMT(t));
    if (!wh_utf8_valid(t.s, t.n) || memchr(t.s, 0, t.n))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "the table's name is no valid text");
    if (t.n > 63)
        return wh_fail(reterr, WH_E_USAGE, "E3013",
                       "\"%.*s\" has %zu bytes, a name in PostgreSQL at most 63", WH_STR_FMT(t),
                       t.n);
    return WH_OK;
}

/* A schema that is not there is said at once, not by the first statement. */
static wh_status need_schema(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    bool there = false;

    WH_TRY(pg_schema_there(se, fl->schema, &there, reterr));
    if (there)
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "there is no schema \"%s\"", fl->schema));
    if (reterr)
        wh_error_hint(reterr, "create schema \"%s\"", fl->schema);
    return WH_E_NOT_FOUND;
}

static wh_status set_names(struct pg_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (pg_qualified(&b, fl->schema, fl->table) != WH_OK || !(fl->name = keep(fl, &b)))
        return no_memory(reterr);
    wh_buf_clear(&b);
    if (pg_qualified(&b, fl->schema, fl->stage) != WH_OK || !(fl->stage_name = keep(fl, &b)))
        return no_memory(reterr);
    fl->into = fl->staged ? fl->stage_name : fl->name;
    fl->markers = fl->o->marker_schema ? fl->o->marker_schema : fl->schema;
    return pg_claim_note(fl->ep, fl->schema, fl->table, fl->marker_off ? NULL : fl->markers,
                         reterr);
}

static wh_status find_table(struct pg_fl *fl, struct pg_se *se, const struct wh_target *io,
                            struct wh_error *reterr)
{
    struct wh_name from_source = {.part = {io->source_name}, .n = 1};
    const struct wh_name *asked = io->object && io->object->n > 0 ? io->object : &from_source;
    struct wh_error err = {0};
    int st;

    WH_TRY(check_name(asked->part[asked->n - 1], reterr));
    st = pg_describe(se, asked, fl->o->schema, &fl->now, &err);
    fl->existed = st == WH_OK;
    if ((st == WH_E_NOT_FOUND && strcmp(err.code, "E3001") == 0) || st == WH_BLOCKED) {
        struct wh_str t = asked->part[asked->n - 1];

        fl->table = wh_arena_strndup(fl->arena, t.s, t.n);
        if (asked->n > 1)
            fl->schema = wh_arena_strndup(fl->arena, asked->part[asked->n - 2].s,
                                          asked->part[asked->n - 2].n);
        else
            WH_TRY(default_schema(fl, se, reterr));
        if (!fl->table || !fl->schema)
            return no_memory(reterr);
        return st == WH_BLOCKED ? set_names(fl, reterr) == WH_OK ? st : no_memory(reterr)
                                : need_schema(fl, se, reterr);
    }
    if (st != WH_OK) {
        if (reterr)
            *reterr = err;
        return st;
    }
    fl->schema = fl->now.schema;
    fl->table = fl->now.name;
    return WH_OK;
}

static wh_status may_be_written(const struct pg_fl *fl, const struct wh_target *io,
                                struct wh_error *reterr)
{
    if (!fl->existed && io->create == WH_CREATE_NEVER)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "there is no table %s, and create=never",
                       fl->name);
    if (!fl->existed)
        return WH_OK;
    if (fl->now.kind == 'f')
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E3010",
                       "%s is a foreign table: its rows and our marker would not commit together",
                       fl->name);
    if (fl->now.kind != 'r' && fl->now.kind != 'p')
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E3010", "%s is a %s: only tables are written",
                       fl->name, fl->now.kind == 'v' ? "view" : "materialized view");
    if (fl->now.persistence == 't')
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E3010", "%s is a temporary table", fl->name);
    return WH_OK;
}

/* ---- how a stage gets into place ---------------------------------------------------------------
 */

/* Foreign keys of others point here: rows are merged by the table's key. */
static wh_status merge_key(struct pg_fl *fl, struct wh_error *reterr)
{
    const char **pk = wh_arena_alloc(fl->arena, (size_t)(fl->now.n_cols + 1) * sizeof *pk);

    if (!pk)
        return no_memory(reterr);
    fl->n_keys = pg_shape_primary(fl, pk);
    fl->keys = pk;
    if (fl->n_keys)
        return WH_OK;
    return wh_fail(reterr, WH_E_UNSUPPORTED, "E1061",
                   "%s cannot be overwritten: foreign keys of other tables point to it, and it has "
                   "no primary key to exchange rows by",
                   fl->name);
}

static wh_status choose_publish(struct pg_fl *fl, struct pg_se *se, const struct wh_target *io,
                                struct wh_error *reterr)
{
    const char *memo = io->memo.p;

    if (!fl->staged)
        return WH_OK;
    if (fl->mode != WH_MODE_OVERWRITE)
        fl->publish = PG_PUB_POUR;
    else if (!fl->existed || fl->recreate)
        fl->publish = PG_PUB_RENAME;
    else
        WH_TRY(pg_swap_judge(se, fl, reterr));
    /* As the plan said, but never more lightly than the table allows now. */
    if (io->memo.n == MEMO_SIZE && memo[2] > (char)fl->publish && fl->publish == PG_PUB_SWAP)
        fl->publish = (enum pg_publish)memo[2];
    return fl->publish == PG_PUB_MERGE ? merge_key(fl, reterr) : WH_OK;
}

/* ---- statements --------------------------------------------------------------------------------
 */

static wh_status keep_script(struct pg_fl *fl, struct sql_script *s, const char **ret)
{
    struct wh_str text = sql_script_say(s);

    *ret = wh_arena_strndup(fl->arena, text.s, text.n);
    wh_buf_clear(&s->b);
    return *ret ? WH_OK : WH_E_NOMEM;
}

/* What is made. A stage that will take the place of a table is made after it, when it is made. */
static wh_status ddl(struct pg_fl *fl, struct sql_script *s)
{
    bool fresh = !fl->existed || fl->recreate;
    bool order = fl->publish == PG_PUB_POUR && sql_by_key(fl->mode);

    fl->keyed = pg_ddl_keyed(fl);
    if (fresh && fl->publish != PG_PUB_RENAME) {
        WH_TRY(pg_ddl_create(fl, fl->name, true, false, s));
        WH_TRY(keep_script(fl, s, &fl->create));
    }
    if (fl->publish == PG_PUB_RENAME || fl->publish == PG_PUB_POUR) {
        WH_TRY(pg_ddl_create(fl, fl->stage_name, fl->publish == PG_PUB_RENAME, order, s));
        WH_TRY(keep_script(fl, s, &fl->create_stage));
    }
    return WH_OK;
}

static wh_status keep_text(struct pg_fl *fl, struct wh_buf *b, const char **ret)
{
    *ret = keep(fl, b);
    wh_buf_clear(b);
    return *ret ? WH_OK : WH_E_NOMEM;
}

/* How rows get into the table, or into the stage. */
static wh_status dml(struct pg_fl *fl, struct wh_buf *b)
{
    enum wh_mode load = fl->staged ? WH_MODE_APPEND : fl->mode;

    for (int i = 0; i < fl->n_dest; i++)
        fl->pours |= fl->dest[i].cast || fl->dest[i].computed;
    fl->pours |= sql_by_key(load);
    WH_TRY(pg_ddl_copy(fl, b));
    WH_TRY(keep_text(fl, b, &fl->copy));
    if (!fl->pours)
        return WH_OK;
    WH_TRY(pg_ddl_rows(fl, b));
    WH_TRY(keep_text(fl, b, &fl->make_rows));
    fl->no_fresh = fl->now.kind == 'p';
    fl->put_counts = (load == WH_MODE_UPSERT || load == WH_MODE_REPLACE) && !fl->no_fresh;
    WH_TRY(pg_ddl_put(fl, fl->into, PG_ROWS, true, load, fl->put_counts, b));
    WH_TRY(keep_text(fl, b, &fl->put));
    if (sql_by_key(load)) {
        WH_TRY(pg_ddl_due(fl, PG_ROWS, true, load, b));
        if (b->n)
            WH_TRY(keep_text(fl, b, &fl->due));
    }
    if (load != WH_MODE_UPDATE)
        return WH_OK;
    WH_TRY(pg_ddl_missed(fl, b));
    return keep_text(fl, b, &fl->missed);
}

static wh_status statements(struct pg_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct sql_script s = SQL_SCRIPT;
    int st;

    fl->wires = wh_arena_alloc(fl->arena, (size_t)fl->n_dest * sizeof *fl->wires);
    if (!fl->wires)
        return no_memory(reterr);
    for (int i = 0; i < fl->n_dest; i++)
        fl->wires[i] = fl->dest[i].wire;
    st = ddl(fl, &s);
    wh_buf_free(&s.b);
    if (st == WH_OK)
        st = dml(fl, &b);
    if (st == WH_E_LIMIT)
        return wh_fail(reterr, st, "E3014", "the statements for %s are too long", fl->name);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ON CONFLICT looks at no constraint that may wait for the commit; EXPLAIN does not tell. */
static wh_status no_deferrable(const struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->name};
    int st = wh_buf_adds(&b, "select c.relname from pg_index i join pg_class c on c.oid = "
                             "i.indexrelid where i.indrelid = $1::text::regclass and not "
                             "i.indimmediate");

    if (fl->mode != WH_MODE_UPSERT && fl->mode != WH_MODE_REPLACE &&
        fl->mode != WH_MODE_INSERT_IGNORE)
        return WH_OK;
    if (st == WH_OK && fl->mode != WH_MODE_INSERT_IGNORE) { /* there any constraint is in the way */
        st = sql_add(&b,
                     " and i.indisunique and i.indnkeyatts = %d and not exists (select 1 from "
                     "pg_attribute a where a.attrelid = i.indexrelid and a.attnum <= "
                     "i.indnkeyatts and a.attname not in (",
                     (int64_t)fl->n_keys);
        for (size_t i = 0; i < fl->n_keys && st == WH_OK; i++) {
            struct wh_str key = wh_str(fl->keys[i]);

            st = sql_add(&b, i ? ", %l" : "%l", &key);
        }
        if (st == WH_OK)
            st = wh_buf_adds(&b, "))");
    }
    if (st != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 1, params, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    st = wh_fail(reterr, WH_E_USAGE, "E1062", "the constraint \"%.*s\" of %s is deferrable",
                 WH_STR_FMT(pg_cell(r, 0, 0)), fl->name);
    wh_error_hint(reterr, "PostgreSQL finds no conflicts by it: make it not deferrable, or take "
                          "--mode overwrite");
    return st;
}

/* The server itself says whether the statement can run: rights, a key without a unique index, a
 * wrong replace.where. */
static wh_status try_statements(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_error err = {0};
    int st;

    if (!fl->existed || fl->recreate)
        return WH_OK;
    for (int i = 0; i < fl->n_dest; i++)
        if (fl->dest[i].added)
            return WH_OK;
    if (fl->replace_keys) {
        WH_TRY(pg_replaced_probe(se, fl, reterr));
    } else if (fl->mode == WH_MODE_DELETE_INSERT) {
        if (sql_add(&b,
                    "set search_path to default; explain (costs off) delete from %s where "
                    "(%s\n); set search_path to ''",
                    fl->name, fl->replace_where) != WH_OK)
            return no_memory(reterr);
        WH_TRY(pg_exec(se->c, b.p, reterr));
        wh_buf_clear(&b);
    }
    if (fl->mode == WH_MODE_UPDATE)
        return WH_OK;
    if (pg_ddl_probe(fl, &b) != WH_OK)
        return no_memory(reterr);
    st = pg_exec(se->c, b.p, &err);
    if (st < 0 && strcmp(err.sqlstate, "42P10") == 0) {
        st = wh_fail(reterr, WH_E_USAGE, "E1062", "%s has no unique index on the key", fl->name);
        wh_error_hint(reterr, "create unique index on %s (the key), or take --mode overwrite",
                      fl->name);
        return st;
    }
    if (st != WH_OK && reterr)
        *reterr = err;
    return st == WH_OK ? no_deferrable(fl, se, reterr) : st;
}

/* An update cannot name a column that is generated always as identity. */
static wh_status warn_always(struct pg_fl *fl, struct wh_error *reterr)
{
    bool updates = fl->mode == WH_MODE_UPSERT || fl->mode == WH_MODE_REPLACE ||
                   fl->mode == WH_MODE_UPDATE || fl->publish == PG_PUB_MERGE;
    int st = WH_OK;

    for (int i = 0; i < fl->n_dest && updates && st == WH_OK; i++)
        if (fl->dest[i].always && !fl->dest[i].key && fl->warn.n < fl->warn.max / 2)
            st = wh_buf_printf(&fl->warn,
                               "column \"%s\" is generated always as identity: rows that are there "
                               "keep its value (alter table .. set generated by default lets them "
                               "take the source's)\n",
                               fl->dest[i].name);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static wh_status count_existing(struct pg_fl *fl, struct pg_se *se, struct wh_target *io,
                                struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_error err = {0};
    int st;

    /* Hidden rows are rows: how many there are, nobody says. */
    if (!fl->existed || fl->now.hides)
        return WH_OK;
    /* A guard compares with it, so it is either counted or just "some". */
    if (sql_add(&b, "begin read only; set local statement_timeout = %d; select count(*) from %s",
                (int64_t)COUNT_MS, fl->name) != WH_OK)
        return no_memory(reterr);
    st = fl->now.est_rows > 20000000 ? WH_E_REMOTE : pg_query(se->c, b.p, 0, NULL, &r, &err);
    pg_rollback(se->c);
    if (st == WH_LOST) {
        if (reterr)
            *reterr = err;
        return st;
    }
    if (st != WH_OK) {
        wh_buf_clear(&b);
        pg_rows_freep(&r);
        if (sql_add(&b, "select exists (select 1 from %s)::int", fl->name) != WH_OK)
            return no_memory(reterr);
        WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    }
    io->existing_rows = pg_cell_i64(r, 0, 0, -1);
    return WH_OK;
}

/* Whole rows may pass as the source's server sends them, if every column's bytes mean the same. */
static void choose_frame(const struct pg_fl *fl, const struct wh_target *io, struct wh_target *ret)
{
    const char *why = NULL;

    for (int i = 0; i < fl->n_dest && !why; i++) {
        const struct pg_dest *d = &fl->dest[i];
        struct pg_passes from = {{"", 0}, {"", 0}},
                         to = {wh_str(d->decl), wh_str(d->shape ? d->shape : "")};

        wh_ignore(wh_meta_get(io->source->children[i], WH_META_TYPE, &from.type) != NULL);
        wh_ignore(wh_meta_get(io->source->children[i], WH_META_SHAPE, &from.shape) != NULL);
        if (!pg_frame_fits(&from, &to, &why)) {
            snprintf(ret->frame_why, sizeof ret->frame_why, "column %.60s: %s", fl->dest[i].name,
                     why);
            return;
        }
    }
    ret->frame = PG_FRAME;
}

/* Dates and timestamps that are here what they are there. */
static wh_status keep_infinite(struct pg_fl *fl, struct wh_target *io, struct wh_error *reterr)
{
    fl->infinite = wh_arena_alloc(fl->arena, (size_t)fl->n_dest * sizeof *fl->infinite);
    if (!fl->infinite)
        return no_memory(reterr);
    for (int i = 0; i < fl->n_dest && io->infinite; i++) {
        struct wh_type from, to;

        WH_TRY(wh_type_of(io->source->children[i], &from, reterr));
        WH_TRY(wh_type_of(fl->accept.children[i], &to, reterr));
        fl->infinite[i] = (to.kind == WH_K_DATE32 || to.kind == WH_K_TIMESTAMP) &&
                          from.kind == to.kind && from.unit == to.unit && from.zoned == to.zoned;
    }
    io->keeps_infinite = fl->infinite;
    return WH_OK;
}

static void say_note(const struct pg_fl *fl, struct wh_target *io)
{
    size_t n = 0;

    io->note[0] = 0;
    if (fl->now.persistence == 'u')
        n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                              "the table is UNLOGGED: a crash of the server empties it");
    if (fl->why_publish[0])
        n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                              "%srows are exchanged, not swapped: %s", n ? "; " : "",
                              fl->why_publish);
    for (int i = 0; i < fl->n_dest && n < sizeof io->note - 90; i++)
        if (fl->dest[i].cast)
            n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                                  "%s%.40s (%.30s) travels as %s", n ? "; " : "", fl->dest[i].name,
                                  fl->dest[i].decl, pg_travels_as(&fl->dest[i]));
    for (int i = 0; i < fl->n_dest && n < sizeof io->note - 110; i++)
        if (fl->dest[i].computed)
            n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                                  "%s%.40s is generated: the table computes its own values",
                                  n ? "; " : "", fl->dest[i].name);
}

static void say_instant(const struct pg_fl *fl, struct wh_target *io)
{
    static const char *const words[] = {
        [PG_PUB_NONE] = "each unit when it commits",
        [PG_PUB_RENAME] = "all rows at once, when the stage gets the table's name",
        [PG_PUB_SWAP] = "all rows at once, when the stage takes the table's place",
        [PG_PUB_EXCHANGE] =
            "all rows at once, when the table is truncated and filled in one transaction",
        [PG_PUB_MERGE] = "all rows at once, when the stage is merged by key in one transaction",
        [PG_PUB_POUR] =
            "all rows at once, when the stage is poured into the table in one transaction",
    };

    snprintf(io->instant, sizeof io->instant, "%s", words[fl->publish]);
    if (fl->staged)
        snprintf(io->on_kill, sizeof io->on_kill,
                 "the table stays as it was; committed units stay in %s for resume", fl->stage);
    else
        snprintf(io->on_kill, sizeof io->on_kill,
                 "%scommitted units stay, an open one is rolled back by the server",
                 fl->mode == WH_MODE_TRUNCATE ? "the table was emptied; " : "");
}

static void say_loses(const struct pg_fl *fl, struct wh_target *io)
{
    for (int k = 0; k < fl->now.n_cols && fl->existed && fl->recreate; k++) {
        bool stays = false;

        for (int i = 0; i < fl->n_dest && !stays; i++)
            stays = strcmp(fl->now.cols[k].name, fl->dest[i].name) == 0;
        if (!stays)
            sql_loses(io, fl->now.cols[k].name);
    }
}

static void answers(struct pg_fl *fl, struct wh_target *io)
{
    say_loses(fl, io);
    io->grain = WH_GRAIN_BATCH;
    io->commit_class = fl->marker_off ? WH_CLASS_A : WH_CLASS_T;
    io->atomic_given = fl->staged ? WH_ATOMIC_TABLE : WH_ATOMIC_UNIT;
    io->exists = fl->existed;
    io->needs_key_order = !fl->once;
    io->max_writers = 0;
    io->frame = NULL;
    choose_frame(fl, io, io);
    io->ret_object = (struct wh_name){.part = {wh_str(fl->schema), wh_str(fl->table)}, .n = 2};
    io->say_create = wh_str(fl->create ? fl->create : !fl->existed ? fl->create_stage : "");
    io->say_warn = (struct wh_str){fl->warn.p, fl->warn.n};
    fl->memo[0] = MEMO_VERSION;
    fl->memo[1] = fl->existed;
    fl->memo[2] = (char)fl->publish;
    memcpy(fl->memo + 3, &fl->now.oid, 4);
    if (io->memo.n == MEMO_SIZE) /* what the plan fixed stays, also when a swap was done */
        memcpy(fl->memo, io->memo.p, MEMO_SIZE);
    io->ret_memo = (struct wh_bytes){fl->memo, MEMO_SIZE};
    pg_identity(fl->ep, fl->schema, fl->table, io->identity, sizeof io->identity);
    say_instant(fl, io);
    say_note(fl, io);
}

/* What the plan fixed holds for ever: PREPARE may have made the table since. */
static wh_status by_memo(struct pg_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    const char *memo = io->memo.p;
    uint32_t oid;

    if (io->memo.n == 0)
        return WH_OK;
    if (io->memo.n != MEMO_SIZE || memo[0] != MEMO_VERSION)
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored plan of %s is of another version",
                       fl->name);
    memcpy(&oid, memo + 3, 4);
    if (memo[1] && !fl->existed)
        return wh_fail(reterr, WH_E_STATE, "E7009", "table %s is gone since the plan", fl->name);
    /* A swap makes it another one; recreate does, too. */
    if (memo[1] && fl->now.oid != oid && memo[2] != PG_PUB_SWAP && memo[2] != PG_PUB_RENAME &&
        !fl->recreate)
        return wh_fail(reterr, WH_E_STATE, "E7009",
                       "table %s is another one than when the run began", fl->name);
    fl->existed = memo[1];
    fl->another = fl->now.oid != oid;
    return WH_OK;
}

static wh_status look(struct pg_fl *fl, struct pg_se *se, struct wh_target *io,
                      struct wh_error *reterr)
{
    WH_TRY(copy_settings(fl, io, reterr));
    WH_TRY(find_table(fl, se, io, reterr));
    WH_TRY(set_names(fl, reterr));
    WH_TRY(pg_units_look(fl, se, io, reterr));
    fl->statements = sql_statements_of(io, fl->name);
    WH_TRY(by_memo(fl, io, reterr));
    WH_TRY(may_be_written(fl, io, reterr));
    WH_TRY(pg_shape_keys(fl, io, reterr));
    WH_TRY(pg_shape_columns(fl, io, reterr));
    WH_TRY(pg_native_types(fl, se, io, reterr));
    WH_TRY(pg_native_money(fl, se, reterr));
    WH_TRY(choose_publish(fl, se, io, reterr));
    WH_TRY(pg_policy_judge(fl, se, io, reterr));
    WH_TRY(pg_shape_mark(fl, reterr));
    WH_TRY(pg_keys_look(fl, se, reterr));
    WH_TRY(pg_keys_all(fl, se, reterr));
    fl->once = pg_keys_once(fl, io);
    WH_TRY(statements(fl, reterr));
    WH_TRY(pg_shape_same(fl, se, io, reterr));
    WH_TRY(try_statements(fl, se, reterr));
    WH_TRY(pg_replaced_cascades(fl, se, reterr));
    WH_TRY(warn_always(fl, reterr));
    return count_existing(fl, se, io, reterr);
}

static wh_status target_open(void *self, void *ep, void *session, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct pg_fl *fl = self;
    struct wh_error err = {0};
    int st;

    fl->ep = ep;
    fl->receipt = WH_BUF(1 << 20);
    fl->warn = WH_BUF(64 << 10);
    fl->arena = wh_arena_new(64 << 20);
    io->existing_rows = -1;
    if (!fl->arena)
        return no_memory(reterr);
    st = look(fl, session, io, &err);
    if (st == WH_BLOCKED) { /* a look has no other session of ours in its way */
        struct pg_se *se = session;

        st = wh_fail(&err, WH_E_REMOTE, "E5010", "table %s is locked by another session",
                     fl->name ? fl->name : "");
        if (fl->name)
            pg_blocked_by_table(se, fl->name, &err);
    }
    if (st != WH_OK) {
        if (reterr)
            *reterr = err;
        return st;
    }
    answers(fl, io);
    WH_TRY(keep_infinite(fl, io, reterr));
    if (wh_schema_pack(&fl->accept) != WH_OK)
        return no_memory(reterr);
    wh_schema_lend(&fl->accept, &io->accept);
    return WH_OK;
}

static void target_close(void *self)
{
    struct pg_fl *fl = self;

    wh_schema_release(&fl->accept);
    pg_table_free(&fl->now);
    wh_arena_free(TAKE_PTR(fl->arena));
    wh_buf_free(&fl->receipt);
    wh_buf_free(&fl->warn);
}

const struct wh_sink_ops pg_sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct pg_fl),
    .wr_size = PG_WRITER_SIZE,
    .target_open = target_open,
    .steps = pg_steps,
    .apply = pg_apply,
    .writer_open = pg_writer_open,
    .writer_write = pg_writer_write,
    .writer_flush = pg_writer_flush,
    .writer_seal = pg_writer_seal,
    .writer_commit = pg_writer_commit,
    .lookup = pg_lookup,
    .verify = pg_verify,
    .writer_close = pg_writer_close,
    .target_close = target_close,
};
