/* SPDX-License-Identifier: Apache-2.0 */
/* A destination: is the table there, does it fit, which types shall the engine deliver, what will
 * be made. Looks only; making is PREPARE's. */
#include "sqlite_target.h"

#include <limits.h>
#include <stdlib.h>

#include "sqlite_feed.h"
#include "sqlite_scan.h"

enum {
    COUNT_MS = 200 /* longest time for counting the rows of an existing table */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a destination");
}

static const char *keep(struct lite_fl *fl, struct wh_buf *b)
{
    return b->p ? wh_arena_strndup(fl->arena, b->p, b->n) : NULL;
}

/* ---- what was asked ----------------------------------------------------------------------------
 */

static wh_status copy_settings(struct lite_fl *fl, const struct wh_target *io,
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
    fl->run = run;
    fl->mode = io->mode;
    fl->o = io->opts;
    fl->ctx = io->ctx;
    fl->marker_off = io->marker_off;
    fl->recreate = io->create == WH_CREATE_RECREATE;
    fl->strict = fl->o->strict;
    fl->staged = sql_is_staged(io);
    fl->swaps = io->mode == WH_MODE_OVERWRITE;
    sql_stage_name(&fl->fence, fl->stage);
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

static wh_status find_table(struct lite_fl *fl, struct lite_se *se, const struct wh_target *io,
                            struct wh_error *reterr)
{
    struct wh_name from_source = {.part = {io->source_name}, .n = 1};
    const struct wh_name *asked = io->object && io->object->n > 0 ? io->object : &from_source;
    struct wh_str wanted = asked->part[asked->n - 1];

    if (asked->n < 1 || wanted.n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "which table? (sqlite:FILE#TABLE)");
    if (sql_is_own(wanted) ||
        (wanted.n >= 7 && wh_str_ieqs((struct wh_str){wanted.s, 7}, "sqlite_")))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "\"%.*s\" is a reserved name in SQLite files",
                       WH_STR_FMT(wanted));
    if (!wh_utf8_valid(wanted.s, wanted.n) || memchr(wanted.s, 0, wanted.n))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "the table's name is no valid text");
    WH_TRY(lite_resolve(se, asked, fl->arena, &fl->table, reterr));
    if (!fl->table) {
        fl->table = wh_arena_strndup(fl->arena, wanted.s, wanted.n);
        return fl->table ? WH_OK : no_memory(reterr);
    }
    fl->existed = true;
    WH_TRY(lite_describe_settled(se, fl->table, &fl->now, reterr));
    if (!fl->recreate)
        fl->strict = fl->now.strict;
    return WH_OK;
}

static wh_status may_be_written(const struct lite_fl *fl, const struct wh_target *io,
                                struct wh_error *reterr)
{
    if (!fl->existed && io->create == WH_CREATE_NEVER)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001",
                       "there is no table \"%s\", and create=never", fl->table);
    if (fl->existed && (fl->now.kind != WH_OBJ_TABLE || fl->now.is_virtual))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E3010", "\"%s\" is a %s: only tables are written",
                       fl->table, fl->now.is_virtual ? "virtual table" : "view");
    return WH_OK;
}

/* ---- columns -----------------------------------------------------------------------------------
 */

static wh_status twice(const struct lite_fl *fl, int i, struct wh_error *reterr)
{
    for (int j = 0; j < i; j++)
        if (wh_str_ieqs(wh_str(fl->dest[j].name), fl->dest[i].name))
            return wh_fail(reterr, WH_E_TYPE, "E3008",
                           "columns \"%s\" and \"%s\" are the same name in SQLite",
                           fl->dest[j].name, fl->dest[i].name);
    return WH_OK;
}

/* at: 1-based position in the key of the table, 0 = none. */
static wh_status set_accept(struct lite_fl *fl, const struct wh_target *io, int64_t i, int at,
                            struct lite_dest *d, struct wh_type *t, struct wh_error *reterr)
{
    const struct ArrowSchema *source = io->source->children[i];
    const char *meta[] = {WH_META_TYPE, d->decl, NULL, NULL, NULL};
    char key[16];

    if (at > 0) {
        snprintf(key, sizeof key, "%d", at);
        meta[2] = WH_META_KEY;
        meta[3] = key;
    }
    sql_as_frozen(io, i, t);
    if ((t->kind == WH_K_F32 || t->kind == WH_K_F64) && d->affinity == LITE_A_REAL) {
        struct wh_str word;

        d->lossy = wh_meta_get(source, WH_META_LOSSY, &word);
        d->no_minus_zero = !d->lossy;
    }
    if (wh_schema_set(&fl->accept, i, d->name, t, meta) != WH_OK)
        return no_memory(reterr);
    return WH_OK;
}

/* The only column of a key gets the very word INTEGER, which makes it the rowid. */
static bool sole_key(const struct wh_target *io, const struct lite_fl *fl, int64_t i)
{
    int n = 0;

    if (fl->n_keys && !fl->replace_keys)
        return fl->n_keys == 1 && wh_str_ieqs(wh_str(fl->keys[0]), io->source->children[i]->name);
    for (int64_t j = 0; j < io->source->n_children; j++)
        n += sql_key_position(io->source->children[j]) > 0;
    return n == 1 && sql_key_position(io->source->children[i]) == 1;
}

static wh_status new_column(struct lite_fl *fl, const struct wh_target *io, int64_t i,
                            struct wh_error *reterr)
{
    const struct ArrowSchema *f = io->source->children[i];
    struct lite_dest *d = &fl->dest[i];
    struct wh_str native = {"", 0};
    struct wh_type t;

    WH_TRY(wh_type_of(f, &t, reterr));
    wh_ignore(wh_meta_get(f, WH_META_TYPE, &native) != NULL);
    d->name = wh_arena_strdup(fl->arena, f->name);
    if (!d->name)
        return no_memory(reterr);
    lite_decl_for(&t, native, fl->o, d->decl);
    if (t.kind == WH_K_I64 && sole_key(io, fl, i)) {
        snprintf(d->decl, sizeof d->decl, "INTEGER");
        d->never_null = true;
        t.nullable = false;
    }
    if (fl->strict)
        snprintf(d->decl, sizeof d->decl, "%s", lite_strict_word(&t));
    d->affinity = lite_affinity_of(d->decl);
    return set_accept(fl, io, i, fl->existed && !fl->recreate ? 0 : sql_key_position(f), d, &t,
                      reterr);
}

/* A generated column takes no value. Where the source computes it as well nothing is lost: the
 * value is taken and counted, and the table computes its own. */
static wh_status computed_column(struct lite_fl *fl, const struct wh_target *io, int64_t i,
                                 const struct lite_col *c, struct wh_type *t,
                                 struct wh_error *reterr)
{
    struct lite_dest *d = &fl->dest[i];
    struct wh_str how;

    if (!wh_meta_get(io->source->children[i], WH_META_GENERATED, &how) ||
        !wh_str_eqs(how, "always")) {
        wh_ignore(wh_fail(reterr, WH_E_TYPE, "E3005",
                          "column \"%s\" of \"%s\" is generated: it takes no value from a source",
                          c->name, fl->table));
        if (reterr)
            wh_error_hint(reterr, "leave it out: --columns '* except (%s)'", c->name);
        return WH_E_TYPE;
    }
    d->name = c->name;
    snprintf(d->decl, sizeof d->decl, "%s", c->decl);
    d->affinity = c->affinity;
    d->computed = true;
    return set_accept(fl, io, i, 0, d, t, reterr);
}

/* An existing column takes the source's own type if it keeps those values, else its own. */
static wh_status old_column(struct lite_fl *fl, const struct wh_target *io, int64_t i,
                            const struct lite_col *c, struct wh_error *reterr)
{
    const struct ArrowSchema *f = io->source->children[i];
    struct lite_dest *d = &fl->dest[i];
    char decl[LITE_DECL];
    struct wh_type t, again;

    WH_TRY(wh_type_of(f, &t, reterr));
    if (c->generated)
        return computed_column(fl, io, i, c, &t, reterr);
    lite_decl_for(&t, wh_str(c->decl), fl->o, decl);
    lite_type_of(decl, &again);
    d->name = c->name;
    snprintf(d->decl, sizeof d->decl, "%s", c->decl);
    d->affinity = c->affinity;
    /* Untyped columns store what comes; else the values must read as this column's type. */
    if (!(lite_keeps(c->affinity, &t) &&
          (c->any || wh_type_equal(&again, &c->type) || wh_type_equal(&t, &c->type))))
        t = c->type;
    d->never_null = fl->now.alias >= 0 && c == &fl->now.cols[fl->now.alias];
    d->digits = t.kind == WH_K_DECTEXT && c->affinity != LITE_A_TEXT && c->affinity != LITE_A_BLOB;
    d->no_numbers = t.kind == WH_K_UTF8 && c->affinity != LITE_A_TEXT && c->affinity != LITE_A_BLOB;
    t.nullable = !c->not_null && !d->never_null;
    return set_accept(fl, io, i, c->pk, d, &t, reterr);
}

static const struct lite_col *find_old(const struct lite_fl *fl, const char *name)
{
    int at = sql_find_column(SQL_NAMES(fl->now.cols, fl->now.n_cols), name);

    return at < 0 ? NULL : &fl->now.cols[at];
}

static wh_status missing_here(const struct lite_fl *fl, const char *name, struct wh_error *reterr)
{
    wh_ignore(
        wh_fail(reterr, WH_E_TYPE, "E3005", "table \"%s\" has no column \"%s\"", fl->table, name));
    if (reterr)
        wh_error_hint(reterr, "leave it out of columns, or add it: --evolve add");
    return WH_E_TYPE;
}

/* Columns that nobody delivers must be able to stay empty. */
static wh_status missing_there(const struct lite_fl *fl, struct wh_error *reterr)
{
    for (int i = 0; i < fl->now.n_cols; i++) {
        const struct lite_col *c = &fl->now.cols[i];
        bool delivered = c->generated || i == fl->now.alias || !c->not_null || c->dflt;

        for (int j = 0; j < fl->n_dest && !delivered; j++)
            delivered = wh_str_ieqs(wh_str(fl->dest[j].name), c->name);
        if (!delivered && fl->mode != WH_MODE_UPDATE)
            return wh_fail(reterr, WH_E_TYPE, "E3005",
                           "column \"%s\" of \"%s\" is NOT NULL without a default, and the source "
                           "delivers no such column",
                           c->name, fl->table);
    }
    return WH_OK;
}

static wh_status columns(struct lite_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    bool fresh = !fl->existed || fl->recreate;

    fl->n_dest = (int)io->source->n_children;
    fl->dest = wh_arena_alloc(fl->arena, (size_t)(fl->n_dest + 1) * sizeof *fl->dest);
    if (!fl->dest || wh_schema_init(&fl->accept, fl->n_dest) != WH_OK)
        return no_memory(reterr);
    if (fl->n_dest < 1 || fl->n_dest > 2000)
        return wh_fail(reterr, WH_E_TYPE, "E3014", "a SQLite table has 1 to 2000 columns, not %d",
                       fl->n_dest);
    for (int i = 0; i < fl->n_dest; i++) {
        const char *name = io->source->children[i]->name;
        const struct lite_col *c = fresh ? NULL : find_old(fl, name);

        if (c) {
            WH_TRY(old_column(fl, io, i, c, reterr));
        } else {
            if (!fresh && io->evolve == WH_EVOLVE_NONE)
                return missing_here(fl, name, reterr);
            WH_TRY(new_column(fl, io, i, reterr));
            fl->dest[i].added = !fresh;
            if (fl->dest[i].added) /* existing rows have nothing there */
                fl->accept.children[i]->flags |= ARROW_FLAG_NULLABLE;
        }
        WH_TRY(twice(fl, i, reterr));
    }
    return fresh ? WH_OK : missing_there(fl, reterr);
}

/* ---- keys --------------------------------------------------------------------------------------
 */

static wh_status keys(struct lite_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    const char **pk = NULL;
    size_t n = 0;

    if (fl->existed) {
        pk = wh_arena_alloc(fl->arena, (size_t)(fl->now.n_cols + 1) * sizeof *pk);
        if (!pk)
            return no_memory(reterr);
        for (int at = 1; at <= fl->now.n_cols; at++)
            for (int i = 0; i < fl->now.n_cols; i++)
                if (fl->now.cols[i].pk == at)
                    pk[n++] = fl->now.cols[i].name;
    }
    return sql_keys(fl->arena, io, fl->table, pk, n, &fl->keys, &fl->n_keys, reterr);
}

/* ---- statements --------------------------------------------------------------------------------
 */

static wh_status statements_of_job(struct lite_fl *fl, const struct wh_target *io,
                                   struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (sql_ident(&b, wh_str(fl->table)) != WH_OK)
        return no_memory(reterr);
    fl->statements = sql_statements_of(io, wh_arena_strdup(fl->arena, b.p));
    return fl->statements.target ? WH_OK : no_memory(reterr);
}

static wh_status statements(struct lite_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    bool fresh = !fl->existed || fl->recreate;
    /* A stage that is only poured out holds rows as they come; its conflicts are the table's. */
    enum wh_mode load = fl->staged ? WH_MODE_APPEND : fl->mode;
    int st = WH_OK;

    if (fresh && !fl->swaps) {
        st = lite_ddl_create(fl, fl->table, true, &b);
        if (st != WH_OK || !(fl->create = keep(fl, &b)))
            return no_memory(reterr);
        wh_buf_clear(&b);
    }
    if (fl->staged) {
        st = fl->swaps && !fresh ? lite_ddl_renamed(fl->now.sql, fl->stage, &b)
                                 : lite_ddl_create(fl, fl->stage, fl->swaps, &b);
        if (st != WH_OK || !(fl->create_stage = keep(fl, &b)))
            return no_memory(reterr);
        wh_buf_clear(&b);
    }
    st = lite_ddl_insert(fl, fl->staged ? fl->stage : fl->table, LITE_FEED, true, load, &b);
    if (st != WH_OK || !(fl->insert = keep(fl, &b)))
        return no_memory(reterr);
    fl->does_nothing = wh_str_ends((struct wh_str){b.p, b.n}, "do nothing");
    if (!fl->staged || fl->swaps)
        return WH_OK;
    wh_buf_clear(&b);
    st = lite_ddl_insert(fl, fl->table, fl->stage, false,
                         fl->mode == WH_MODE_DELETE_INSERT ? WH_MODE_APPEND : fl->mode, &b);
    if (st != WH_OK || !(fl->settle = keep(fl, &b)))
        return no_memory(reterr);
    fl->does_nothing = wh_str_ends((struct wh_str){b.p, b.n}, "do nothing");
    return WH_OK;
}

/* A definition that names its own table ("check(t.a > 0)") says nothing under another name. */
static wh_status try_stage(struct lite_fl *fl, struct lite_se *se, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    char why[256];
    int st;

    if (!fl->swaps)
        return WH_OK;
    st = lite_prepare(se, fl->create_stage, &s, reterr);
    if (st != WH_E_REMOTE)
        return st;
    snprintf(why, sizeof why, "%s", sqlite3_errmsg(se->db));
    if (strstr(why, "already exists")) /* the stage of this very run, at resume */
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_UNSUPPORTED, "E3010",
                      "\"%s\" cannot be made again under the name of a stage: %s", fl->table, why));
    if (reterr)
        wh_error_hint(reterr,
                      "its definition names the table itself: take --mode truncate, or make "
                      "the table without that");
    return WH_E_UNSUPPORTED;
}

/* SQLite itself says whether the statement can run: unknown columns, a key without a unique index,
 * a wrong replace.where. */
static wh_status try_statements(struct lite_fl *fl, struct lite_se *se, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL, *d WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(fl->table);
    int st;

    if (!fl->existed || fl->recreate)
        return WH_OK;
    for (int i = 0; i < fl->n_dest; i++)
        if (fl->dest[i].added)
            return WH_OK;
    if (fl->replace_keys) {
        if (lite_keys_delete(fl, NULL, &b) != WH_OK)
            return no_memory(reterr);
        WH_TRY(lite_prepare(se, b.p, &d, reterr));
    } else if (fl->mode == WH_MODE_DELETE_INSERT) {
        if (sql_add(&b, LITE_DELETE "%i where (%s\n)", &table, fl->replace_where) != WH_OK)
            return no_memory(reterr);
        WH_TRY(lite_prepare(se, b.p, &d, reterr));
    }
    wh_buf_clear(&b);
    if (lite_ddl_insert(fl, fl->table, LITE_FEED, true, fl->mode, &b) != WH_OK)
        return no_memory(reterr);
    WH_TRY(try_stage(fl, se, reterr));
    WH_TRY(lite_feed_open(se, fl->n_dest, reterr));
    st = lite_prepare(se, b.p, &s, reterr);
    if (st == WH_E_REMOTE && sql_by_key(fl->mode)) {
        char why[256];

        snprintf(why, sizeof why, "%s", sqlite3_errmsg(se->db));
        st = wh_fail(reterr, WH_E_USAGE, "E1062", "\"%s\" has no unique index on the key: %s",
                     fl->table, why);
        wh_error_hint(reterr, "create unique index on \"%s\" (the key), or take --mode overwrite",
                      fl->table);
    }
    return st;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static wh_status count_existing(struct lite_fl *fl, struct lite_se *se, struct wh_target *io,
                                struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(fl->table);
    int64_t n;

    if (!fl->existed)
        return WH_OK;
    /* A guard compares with it, so it is either counted or just "some". */
    if (sql_add(&b, "select count(*) from %i", &table) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number_within(se, b.p, COUNT_MS, -1, &n, reterr));
    if (n < 0) {
        wh_buf_clear(&b);
        if (sql_add(&b, "select exists(select 1 from %i)", &table) != WH_OK)
            return no_memory(reterr);
        WH_TRY(lite_number(se, b.p, 0, &n, reterr));
    }
    io->existing_rows = n;
    return WH_OK;
}

static void say_note(const struct lite_fl *fl, struct wh_target *io)
{
    bool floats = false, accepted = false;
    size_t n = 0;

    io->note[0] = 0;
    for (int i = 0; i < fl->n_dest && n < sizeof io->note - 160; i++) {
        const struct lite_dest *d = &fl->dest[i];
        bool text =
            !d->computed && strstr(d->decl, "_TEXT") != NULL && strcmp(d->decl, "JSON_TEXT") != 0;

        if (text)
            n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                                  "%s%.40s is stored as exact text (%.30s)", n ? "; " : "", d->name,
                                  d->decl);
        if (d->computed)
            n += (size_t)snprintf(io->note + n, sizeof io->note - n,
                                  "%s%.40s is generated: the table computes its own values",
                                  n ? "; " : "", d->name);
        floats |= d->no_minus_zero;
        accepted |= d->lossy;
    }
    if (floats || accepted)
        snprintf(io->note + n, sizeof io->note - n, "%sSQLite stores -0.0 as 0.0: %s",
                 n ? "; " : "",
                 !floats ? "accepted" : "a dirty row, unless --accept-lossy names the column");
}

static void say_loses(const struct lite_fl *fl, struct wh_target *io)
{
    for (int k = 0; k < fl->now.n_cols && fl->existed && fl->recreate; k++) {
        bool stays = false;

        for (int i = 0; i < fl->n_dest && !stays; i++)
            stays = wh_str_ieqs(wh_str(fl->now.cols[k].name), fl->dest[i].name);
        if (!stays)
            sql_loses(io, fl->now.cols[k].name);
    }
}

static void answers(struct lite_fl *fl, struct lite_se *se, struct wh_target *io)
{
    say_loses(fl, io);
    io->grain = WH_GRAIN_ROW;
    io->commit_class = fl->marker_off ? WH_CLASS_A : WH_CLASS_T;
    io->atomic_given = fl->staged ? WH_ATOMIC_TABLE : WH_ATOMIC_UNIT;
    io->exists = fl->existed;
    io->needs_key_order = false;
    io->max_writers = 1;
    io->frame = NULL;
    io->ret_object = (struct wh_name){.part = {wh_str(fl->table)}, .n = 1};
    io->say_create = wh_str(fl->create ? fl->create : !fl->existed ? fl->create_stage : "");
    fl->memo[0] = 1; /* version */
    fl->memo[1] = fl->existed;
    io->ret_memo = (struct wh_bytes){fl->memo, 2};
    lite_identity(fl->ep, fl->table, io->identity, sizeof io->identity);
    if (fl->swaps)
        snprintf(io->instant, sizeof io->instant, "all rows at once, when the stage is swapped in");
    else if (fl->staged)
        snprintf(io->instant, sizeof io->instant,
                 "all rows at once, when the stage is poured into the table in one transaction");
    else
        snprintf(io->instant, sizeof io->instant, "each unit when it commits");
    if (fl->staged)
        snprintf(io->on_kill, sizeof io->on_kill,
                 "the table stays as it was; committed units stay in %s for resume", fl->stage);
    else
        snprintf(
            io->on_kill, sizeof io->on_kill,
            "%scommitted units stay, an open one is rolled back by the next who opens the file",
            fl->mode == WH_MODE_TRUNCATE ? "the table was emptied; " : "");
    say_note(fl, io);
    if (se->db && !lite_is_wal(se->db) && se->ep->o->journal_mode != LITE_J_WAL)
        snprintf(
            io->alone, sizeof io->alone,
            "--to journal_mode=wal lets one process read and write the file; or copy to another "
            "file first");
}

/* What the plan fixed holds for ever: PREPARE may have made the table since. */
static wh_status by_memo(struct lite_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    const char *memo = io->memo.p;

    if (io->memo.n == 0)
        return WH_OK;
    if (io->memo.n != 2 || memo[0] != 1)
        return wh_fail(reterr, WH_E_STATE, "E7016",
                       "the stored plan of \"%s\" is of another version", fl->table);
    if (memo[1] && !fl->existed)
        return wh_fail(reterr, WH_E_STATE, "E7009", "table \"%s\" is gone since the plan",
                       fl->table);
    fl->existed = memo[1];
    return WH_OK;
}

static wh_status target_open(void *self, void *ep, void *session, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct lite_se *se = session;

    fl->ep = ep;
    fl->receipt = WH_BUF(1 << 20);
    fl->arena = wh_arena_new(64 << 20);
    io->existing_rows = -1;
    if (!fl->arena)
        return no_memory(reterr);
    if (!se->db)
        WH_TRY(lite_may_be_made(fl->ep, reterr));
    WH_TRY(copy_settings(fl, io, reterr));
    WH_TRY(find_table(fl, se, io, reterr));
    WH_TRY(lite_units_look(fl, se, io, reterr));
    WH_TRY(by_memo(fl, io, reterr));
    WH_TRY(may_be_written(fl, io, reterr));
    WH_TRY(keys(fl, io, reterr));
    WH_TRY(columns(fl, io, reterr));
    WH_TRY(lite_keys_look(fl, reterr));
    WH_TRY(statements_of_job(fl, io, reterr));
    WH_TRY(statements(fl, reterr));
    WH_TRY(try_statements(fl, se, reterr));
    WH_TRY(count_existing(fl, se, io, reterr));
    answers(fl, se, io);
    if (wh_schema_pack(&fl->accept) != WH_OK)
        return no_memory(reterr);
    wh_schema_lend(&fl->accept, &io->accept);
    return WH_OK;
}

static void target_close(void *self)
{
    struct lite_fl *fl = self;

    wh_schema_release(&fl->accept);
    lite_table_free(&fl->now);
    wh_arena_free(TAKE_PTR(fl->arena));
    wh_buf_free(&fl->receipt);
}

const struct wh_sink_ops lite_sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct lite_fl),
    .wr_size = LITE_WRITER_SIZE,
    .target_open = target_open,
    .steps = lite_steps,
    .apply = lite_apply,
    .writer_open = lite_writer_open,
    .writer_write = lite_writer_write,
    .writer_flush = lite_writer_flush,
    .writer_seal = lite_writer_seal,
    .writer_commit = lite_writer_commit,
    .lookup = lite_lookup,
    .verify = lite_verify,
    .writer_close = lite_writer_close,
    .target_close = target_close,
};
