/* SPDX-License-Identifier: Apache-2.0 */
/* Overwrite: a full stage takes the place of a table.
 *
 * What is wanted is that nobody can tell that it is another table: owner, grants, comments, indexes
 * and constraints under their names, triggers, statistics, sequences. All of it is read from the
 * catalogue and written as statements, by the server itself (the queries below); they run in the
 * one transaction that drops the old table and renames the stage. Where something points at the
 * table itself (views, row types, policies, publications, partitions ..) or we do not own it, rows
 * are exchanged instead: truncate and insert in one transaction. Where foreign keys of other tables
 * point here, rows that stay are updated by key, so that no key is away for a moment and nothing
 * cascades.
 *
 * Parameters of all queries: $1 the table, $2 the stage, both quoted and qualified, $3 the stage's
 * bare name. An index or constraint of the stage is called stage_i<oid of the one it stands for>.
 */
#include "pg_target.h"

/* Do foreign keys of others point here; and why a rename will not do, else NULL. */
static const char judge_sql[] =
    "select exists (select from pg_constraint k where k.contype = 'f' and k.confrelid = "
    "c.oid and k.conrelid <> c.oid), "
    "case when c.relkind = 'p' then 'it is partitioned' "
    "when c.relispartition then 'it is a partition' "
    "when exists (select from pg_inherits i where c.oid in (i.inhparent, i.inhrelid)) then "
    "'tables inherit from each other' "
    "when c.relpersistence <> 'p' then 'it is unlogged' "
    "when c.reloftype <> 0 then 'it is of a named type' "
    "when not pg_has_role(c.relowner, 'USAGE') then 'it belongs to ' || "
    "pg_get_userbyid(c.relowner) "
    "when c.relrowsecurity or exists (select from pg_policy p where p.polrelid = c.oid) then "
    "'it has row security' "
    "when exists (select from pg_rewrite r where r.ev_class = c.oid) then 'it has rules' "
    "when exists (select from pg_depend d where d.refclassid = 'pg_class'::regclass and "
    "d.refobjid = c.oid and d.deptype = 'n' and d.classid = 'pg_rewrite'::regclass) then "
    "'views depend on it' "
    "when exists (select from pg_depend d where d.refclassid = 'pg_class'::regclass and "
    "d.refobjid = c.oid and d.deptype = 'n' and d.classid = 'pg_proc'::regclass) then "
    "'functions depend on it' "
    "when exists (select from pg_depend d join pg_policy p on p.oid = d.objid where "
    "d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass and "
    "d.refobjid = c.oid and p.polrelid <> c.oid) then 'policies of other tables depend on it' "
    "when exists (select from pg_depend d join pg_type t on t.oid = d.refobjid where "
    "d.refclassid = 'pg_type'::regclass and (t.oid = c.reltype or t.typelem = c.reltype) and "
    "d.deptype = 'n') then 'its row type is in use' "
    "when exists (select from pg_constraint k where k.conrelid = c.oid and k.confrelid = "
    "c.oid) then 'it refers to itself' "
    "when exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'x') "
    "then 'it has an exclusion constraint' "
    "when exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 't') "
    "then 'it has constraint triggers' "
    "when exists (select from pg_publication_rel p where p.prrelid = c.oid) then 'a "
    "publication names it' "
    "when exists (select from pg_seclabel l where l.classoid = 'pg_class'::regclass and "
    "l.objoid = c.oid) then 'it has security labels' "
    "when exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid "
    "= c.oid and d.deptype = 'e') then 'it belongs to an extension' "
    "when exists (select from pg_index i join pg_class x on x.oid = i.indexrelid where "
    "i.indrelid = c.oid and (x.reltablespace <> c.reltablespace or not i.indisvalid)) then "
    "'an index is invalid or stands in another tablespace' "
    "when exists (select from pg_class o where o.oid = c.reltoastrelid and o.reloptions is "
    "not null) then 'it has options for long values' "
    "when exists (select from pg_depend d join pg_class q on q.oid = d.objid and q.relkind = "
    "'S' and q.relacl is not null where d.classid = 'pg_class'::regclass and d.refclassid = "
    "'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'i') then 'a sequence of it "
    "has grants' "
    "when exists (select from pg_depend d join pg_attrdef f on f.oid = d.objid join "
    "pg_depend s on s.objid = d.refobjid and s.classid = 'pg_class'::regclass and s.deptype "
    "= 'a' and s.refobjid = c.oid where d.classid = 'pg_attrdef'::regclass and f.adrelid <> "
    "c.oid) then 'another table draws from its sequence' "
    "end from pg_class c where c.oid = $1::regclass";

/* The stage, with the unique indexes of the table it will replace: a duplicate is then the row's
 * fault, at once. Other indexes are made when it is full. */
static const char stage_sql[] =
    "with c as (select c.*, c.oid::regclass::text as t, n.nspname from pg_class c join "
    "pg_namespace n on n.oid = c.relnamespace where c.oid = $1::regclass) "
    "select s from ( "
    "select 0 as o, 0::bigint as i, format('create table %s (like %s including all excluding "
    "indexes excluding statistics)%s%s%s', $2::text, t, "
    "coalesce((select ' using ' || quote_ident(m.amname) from pg_am m where m.oid = c.relam "
    "and m.amname <> 'heap'), ''), "
    "coalesce((select ' with (' || string_agg(split_part(o, '=', 1) || '=' || "
    "quote_literal(substr(o, strpos(o, '=') + 1)), ', ') || ')' from unnest(c.reloptions) "
    "o), ''), "
    "coalesce((select ' tablespace ' || quote_ident(b.spcname) from pg_tablespace b where "
    "b.oid = c.reltablespace), '')) as s from c "
    "union all select 1, a.attnum, format('select setval(pg_get_serial_sequence(%L, %L), "
    "s.last_value, s.is_called) from %s s', $2::text, a.attname, pg_get_serial_sequence(c.t, "
    "a.attname)) "
    "from c join pg_attribute a on a.attrelid = c.oid and a.attidentity <> '' and not "
    "a.attisdropped "
    "union all select 2, i.indexrelid, format('create unique index %I on %s using %s', $3::text || "
    "'_i' || i.indexrelid, $2::text, "
    "substr(pg_get_indexdef(i.indexrelid), length(format('CREATE UNIQUE INDEX %I ON %s USING "
    "', x.relname, c.t)) + 1)) "
    "from c join pg_index i on i.indrelid = c.oid and i.indisunique and i.indisvalid and not "
    "i.indisexclusion join pg_class x on x.oid = i.indexrelid "
    ") all_of_it order by o, i";

/* Made on the full stage: (kind, oid, statement). */
static const char later_sql[] =
    "select k, o, s from ( "
    "select 'i' as k, i.indexrelid as o, format('create index %I on %s using %s', $3::text || '_i' "
    "|| i.indexrelid, $2::text, "
    "substr(pg_get_indexdef(i.indexrelid), length(format('CREATE INDEX %I ON %s USING ', "
    "x.relname, c.oid::regclass::text)) + 1)) as s "
    "from pg_class c join pg_index i on i.indrelid = c.oid and not i.indisunique and "
    "i.indisvalid and not i.indisexclusion join pg_class x on x.oid = i.indexrelid where "
    "c.oid = $1::regclass "
    "union all select 'f', k.oid, format('alter table %s add constraint %I %s', $2::text, "
    "k.conname, pg_get_constraintdef(k.oid)) "
    "from pg_constraint k where k.conrelid = $1::regclass and k.contype = 'f' and "
    "k.confrelid <> k.conrelid "
    ") x order by k desc, o";

/* Everything else, in order. Before the stage exists (in a plan) its parts are taken for made. */
static const char swap_sql[] =
    "with c as (select c.*, c.oid::regclass::text as t, n.nspname, to_regclass($2::text) as stage "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = "
    "$1::regclass), "
    "ix as (select i.*, x.relname as name, k.conname, k.contype, k.condeferrable, "
    "k.condeferred, k.oid as kid, "
    "$3::text || '_i' || i.indexrelid as made, format('%I.%I', c.nspname, $3::text || '_i' || "
    "i.indexrelid) as made_full "
    "from c join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid "
    "left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u') and "
    "k.conrelid = c.oid), "
    "at as (select c.t, a.* from c join pg_attribute a on a.attrelid = c.oid where a.attnum "
    "> 0 and not a.attisdropped), "
    "own as (select c.t, q.oid as seq, q.relname, a.attname, a.attidentity from c "
    "join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid "
    "and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') "
    "join pg_class q on q.oid = d.objid and q.relkind = 'S' "
    "join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid) "
    "select s from ( "
    "select 10 as o, 0::bigint as i, format('lock table %s in access exclusive mode', t) as "
    "s from c "
    "union all select 20, 0, format('alter table %s owner to %I', $2::text, "
    "pg_get_userbyid(relowner)) from c "
    "union all select 30, seq, format('alter sequence %s owned by %s.%I', seq::regclass, $2::text, "
    "attname) from own where attidentity = '' "
    "union all select 31, seq, format('select setval(pg_get_serial_sequence(%L, %L), "
    "greatest(o.last_value, n.last_value), o.is_called or n.is_called) from %s o, %s n', "
    "$2::text, attname, seq::regclass, coalesce(pg_get_serial_sequence(case when c.stage is not "
    "null then $2::text end, attname), '(its own)')) "
    "from own, c where attidentity <> '' "
    "union all select 40, 0, format('drop table %s', t) from c "
    "union all select 50, 0, format('alter table %s rename to %I', $2::text, relname) from c "
    "union all select 51, seq, format('alter sequence %s rename to %I', "
    "coalesce(pg_get_serial_sequence(case when c.stage is not null then $2::text end, attname), "
    "format('%I.%I', c.nspname, $3::text || '_' || attname || '_seq')), own.relname) from own, c "
    "where attidentity <> '' "
    "union all select case contype when 'p' then 60 when 'u' then 61 else 62 end, indexrelid, "
    "case when c.stage is not null and to_regclass(made_full) is null then "
    "case when kid is null then pg_get_indexdef(indexrelid) else format('alter table %s add "
    "constraint %I %s', c.t, conname, pg_get_constraintdef(kid)) end "
    "when kid is null then format('alter index %s rename to %I', made_full, name) "
    "else format('alter table %s add constraint %I %s using index %I%s', c.t, conname, case "
    "contype when 'p' then 'primary key' else 'unique' end, made, "
    "case when condeferred then ' deferrable initially deferred' when condeferrable then ' "
    "deferrable' else '' end) end "
    "from ix, c "
    "union all select 63, i.indexrelid, format('drop index %s', format('%I.%I', c.nspname, "
    "x.relname)) from c join pg_index i on i.indrelid = c.stage "
    "join pg_class x on x.oid = i.indexrelid where not exists (select from ix where ix.made "
    "= x.relname) "
    "union all select 65, k.oid, format('alter table %s add constraint %I %s', c.t, "
    "k.conname, pg_get_constraintdef(k.oid)) from c "
    "join pg_constraint k on k.conrelid = c.oid and k.contype = 'f' "
    "where c.stage is not null and not exists (select from pg_constraint n where n.conrelid "
    "= c.stage and n.conname = k.conname) "
    "union all select 70, 0, format('comment on table %s is %L', t, obj_description(c.oid, "
    "'pg_class')) from c where obj_description(c.oid, 'pg_class') is not null "
    "union all select 71, indexrelid, format('comment on index %s is %L', format('%I.%I', "
    "c.nspname, name), obj_description(indexrelid, 'pg_class')) "
    "from ix, c where obj_description(indexrelid, 'pg_class') is not null "
    "union all select 72, k.oid, format('comment on constraint %I on %s is %L', k.conname, "
    "c.t, obj_description(k.oid, 'pg_constraint')) from c "
    "join pg_constraint k on k.conrelid = c.oid where obj_description(k.oid, "
    "'pg_constraint') is not null and k.contype <> 'c' "
    "union all select 80, 0, format('revoke all on %s from %s', c.t, string_agg(distinct "
    "case when x.grantee = 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) "
    "end, ', ')) "
    "from c join pg_class n on n.oid = c.stage, aclexplode(n.relacl) x group by c.t "
    "union all select 81, x.grantee::bigint, format('grant %s on %s to %s%s', "
    "string_agg(x.privilege_type, ', ' order by x.privilege_type), c.t, "
    "case when x.grantee = 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) "
    "end, case when x.is_grantable then ' with grant option' else '' end) "
    "from c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x "
    "where c.relacl is not null or (select n.relacl from pg_class n where n.oid = c.stage) "
    "is not null group by c.t, x.grantee, x.is_grantable "
    "union all select 82, at.attnum, format('grant %s (%I) on %s to %s%s', x.privilege_type, "
    "at.attname, at.t, "
    "case when x.grantee = 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) "
    "end, case when x.is_grantable then ' with grant option' else '' end) "
    "from at, aclexplode(at.attacl) x "
    "union all select 90, g.oid, pg_get_triggerdef(g.oid) from c join pg_trigger g on "
    "g.tgrelid = c.oid where not g.tgisinternal "
    "union all select 91, g.oid, format('alter table %s %s trigger %I', c.t, case "
    "g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' "
    "end, g.tgname) "
    "from c join pg_trigger g on g.tgrelid = c.oid where not g.tgisinternal and g.tgenabled "
    "<> 'O' "
    "union all select 92, g.oid, format('comment on trigger %I on %s is %L', g.tgname, c.t, "
    "obj_description(g.oid, 'pg_trigger')) "
    "from c join pg_trigger g on g.tgrelid = c.oid where not g.tgisinternal and "
    "obj_description(g.oid, 'pg_trigger') is not null "
    "union all select 93, e.oid, pg_get_statisticsobjdef(e.oid) from c join pg_statistic_ext "
    "e on e.stxrelid = c.oid "
    "union all select 94, at.attnum, format('alter table %s alter column %I set statistics "
    "%s', at.t, at.attname, at.attstattarget) from at where at.attstattarget > 0 "
    "union all select 95, at.attnum, format('alter table %s alter column %I set (%s)', at.t, "
    "at.attname, array_to_string(at.attoptions, ', ')) from at where at.attoptions is not "
    "null "
    "union all select 96, 0, format('alter table %s replica identity %s', t, case "
    "relreplident when 'f' then 'full' when 'n' then 'nothing' "
    "else (select format('using index %I', name) from ix where indisreplident) end) from c "
    "where relreplident <> 'd' "
    "union all select 97, indexrelid, format('alter table %s cluster on %I', c.t, name) from "
    "ix, c where indisclustered "
    ") all_of_it order by o, i, s";

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a step");
}

static wh_status ask(struct pg_se *se, const struct pg_fl *fl, const char *sql, int n,
                     struct pg_rows **ret, struct wh_error *reterr)
{
    const char *params[] = {fl->name, fl->stage_name, fl->stage};

    return pg_query(se->c, sql, n, params, ret, reterr);
}

/* Column `at` of all rows, each a statement. */
static wh_status statements(struct pg_se *se, const struct pg_fl *fl, const char *sql,
                            struct sql_script *s, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(ask(se, fl, sql, 3, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_str text = pg_cell(r, i, 0);

        if (text.n == 0) /* aggregates over nothing */
            continue;
        if (wh_buf_add(&s->b, text.s, text.n) != WH_OK || sql_script_end(s) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

wh_status pg_swap_judge(struct pg_se *se, struct pg_fl *fl, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str why;

    WH_TRY(ask(se, fl, judge_sql, 1, &r, reterr));
    if (pg_n_rows(r) != 1)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "table %s is gone", fl->name);
    why = pg_cell(r, 0, 1);
    fl->publish = why.n ? PG_PUB_EXCHANGE : PG_PUB_SWAP;
    snprintf(fl->why_publish, sizeof fl->why_publish, "%.*s", WH_STR_FMT(why.n ? why : wh_str("")));
    if (pg_cell_bool(r, 0, 0)) {
        fl->publish = PG_PUB_MERGE;
        snprintf(fl->why_publish, sizeof fl->why_publish,
                 "foreign keys of other tables point to it");
    }
    return WH_OK;
}

wh_status pg_swap_stage(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                        struct wh_error *reterr)
{
    return statements(se, fl, stage_sql, s, reterr);
}

wh_status pg_swap_later(struct pg_se *se, const struct pg_fl *fl, pg_oid_fn each, void *arg,
                        struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(ask(se, fl, later_sql, 3, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++)
        WH_TRY(each(arg, *pg_cell(r, i, 0).s, (uint32_t)pg_cell_i64(r, i, 1, 0), reterr));
    return WH_OK;
}

wh_status pg_swap_one(struct pg_se *se, const struct pg_fl *fl, char kind, const char *oid,
                      struct sql_script *s, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(ask(se, fl, later_sql, 3, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_str text = pg_cell(r, i, 2);

        if (*pg_cell(r, i, 0).s != kind || !wh_str_eqs(pg_cell(r, i, 1), oid))
            continue;
        if (wh_buf_add(&s->b, text.s, text.n) != WH_OK || sql_script_end(s) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK; /* dropped since: not wanted any more */
}

wh_status pg_swap_script(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                         struct wh_error *reterr)
{
    return statements(se, fl, swap_sql, s, reterr);
}
