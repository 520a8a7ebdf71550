#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL read in many small units: every shape of table, judged by psql row by row.

Fails if a row is left out, read twice or changed, if a table is divided in another way than the plan
says, or if what cannot be read is not refused with its reason."""
import json
import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

SMALL = '16384'  # WH_TEST_UNIT_BYTES: two blocks

SHAPES = '''
create schema app;
alter database postgres set search_path = app, public;
create table app.plain (id int, grp int, note text);
insert into app.plain select g, g % 7, repeat('x', g % 200) from generate_series(1, 5000) g;
delete from app.plain where id % 10 = 3;                         -- holes
update app.plain set note = 'moved' where id % 10 = 4;           -- rows at other places
alter table app.plain add column late int default 42, drop column grp;
create table app.keyed (id int primary key, note text);
insert into app.keyed select g * 3, 'n' || g from generate_series(1, 7000) g;
analyze app.keyed;
create table app.unanalysed (id bigint primary key, note text);
insert into app.unanalysed select g * g, 'n' || g from generate_series(1, 7000) g;
create table app.words (w text collate "C" primary key, n int);
insert into app.words select 'w' || md5(g::text) || case when g % 3 = 0 then E'\\'\\\\"é' else '' end, g from generate_series(1, 5000) g;
analyze app.words;
create table app.pair (a int, b text, v int, primary key (a, b));
insert into app.pair select g % 5, 'b' || g, g from generate_series(1, 5000) g;
analyze app.pair;
create table app.sparse (u int unique, v int);                   -- a unique key with NULLs
insert into app.sparse select case when g % 4 = 0 then null else g end, g from generate_series(1, 7000) g;
analyze app.sparse;
create table app.empty (id int primary key, v text);
create table app.wide (id int primary key, doc text);            -- TOAST: few blocks, many bytes
alter table app.wide alter doc set storage external;
insert into app.wide select g, repeat(md5(g::text), 400) from generate_series(1, 60) g;
create table app.parted (id int, v text) partition by range (id);
create table app.p_low partition of app.parted for values from (0) to (5000);
create table app.p_mid partition of app.parted for values from (5000) to (15000) partition by hash (id);
create table app.p_mid0 partition of app.p_mid for values with (modulus 2, remainder 0);
create table app.p_mid1 (v text, id int);                        -- columns in another order
alter table app.p_mid attach partition app.p_mid1 for values with (modulus 2, remainder 1);
create table app.p_none partition of app.parted for values from (15000) to (16000);
create table app.p_rest partition of app.parted default;
insert into app.parted select g, 'p' || g from generate_series(0, 20000) g where g not between 15000 and 15999;
create table app.no_leaf (id int) partition by list (id);
create table app.parent (id int, v text);
create table app.child (extra int) inherits (app.parent);
insert into app.parent select g, 'parent' from generate_series(1, 3000) g;
insert into app.child select g, 'child', 1 from generate_series(3001, 6000) g;
create view app.seen as select id, note from app.keyed where id % 2 = 0;
create materialized view app.kept as select id, note from app.keyed where id < 18000;
create schema "Odd schema";
create table "Odd schema"."Ta""ble; drop" ("I d" int, "na.me" text, "select" int);
insert into "Odd schema"."Ta""ble; drop" select g, 'q' || g, -g from generate_series(1, 5000) g;
create table app.nothing ();
insert into app.nothing default values;
create function app.twice(int) returns int language sql as 'select 2 * $1';
'''


def expected(pg, select):
    text = pg.sql('select row_to_json(s) from (%s) s' % select)
    return sorted((list(json.loads(line).values()) for line in text.splitlines()), key=repr)


def copied(place, table='t'):
    db = sqlite3.connect(place.path('out.db'))
    try:
        return sorted((list(r) for r in db.execute('select * from "%s"' % table)), key=repr)
    finally:
        db.close()


def plan(place, source, *more, **env):
    code, out, err = place.run('plan', source, 'sqlite:plan.db#t', *more, WH_TEST_UNIT_BYTES=SMALL, **env)
    return code, out + err


def one(t, pg, place, name, source, select, method, *more):
    """One table over both ways of dividing it."""
    want = expected(pg, select)
    for how in ((), ('--consistent', 'off')):
        for f in ('out.db', 'out.db-wal', 'out.db-shm', 'plan.db'):
            if os.path.exists(place.path(f)):
                os.unlink(place.path(f))
        what = '%s%s' % (name, ' without a snapshot' if how else '')
        code, text = plan(place, source, *more, *how)
        words = method[1] if how else method[0]
        t.check(code == 0 and words in text, what + ': the plan says how it is divided', '%s not in:\n%s' % (words, text))
        code, out, err = place.run('copy', source, 'sqlite:out.db#t', '-j', '3', '--json', *more, *how, WH_TEST_UNIT_BYTES=SMALL)
        end = harness.finished(out)
        t.check(code == 0, what + ': copied', err + out[-2000:])
        if code:
            continue
        got = copied(place)
        t.check(got == want, what + ': the same rows', '%d rows, expected %d; first difference %s' % (
            len(got), len(want), next(((a, b) for a, b in zip(got, want) if a != b), None)))
        t.check(not harness.unbalanced(end), what + ': counts', harness.unbalanced(end))
        snapshot = end.get('tables', [{}])[0].get('snapshot')
        t.check(snapshot == ('none' if how else 'one instant'), what + ': snapshot', snapshot)


BLOCKS, STREAM = 'ctid ranges of', 'one stream'
CASES = [
    # name, source, what psql reads, (divided with a snapshot, without), arguments
    ('plain', 'app.plain', 'select * from app.plain', (BLOCKS, BLOCKS)),
    ('unqualified', 'plain', 'select * from app.plain', (BLOCKS, BLOCKS)),
    ('key', 'app.keyed', 'select * from app.keyed', (BLOCKS, 'ranges of "id"')),
    ('key without statistics', 'app.unanalysed', 'select * from app.unanalysed', (BLOCKS, 'ranges of "id"')),
    ('key of words', 'app.words', 'select * from app.words', (BLOCKS, 'ranges of "w"')),
    ('key of two', 'app.pair', 'select * from app.pair', (BLOCKS, 'ranges of "a"')),
    ('key with nulls', 'app.sparse', 'select * from app.sparse', (BLOCKS, 'ranges of "u"')),
    ('empty', 'app.empty', 'select * from app.empty', (STREAM, '')),
    ('toast', 'app.wide', 'select * from app.wide', (BLOCKS, 'ranges of "id"')),
    ('partitions', 'app.parted', 'select * from app.parted', (BLOCKS, BLOCKS)),
    ('no partition', 'app.no_leaf', 'select * from app.no_leaf', ('each partition', 'each partition')),
    ('heirs', 'app.parent', 'select * from app.parent', (BLOCKS, BLOCKS)),
    ('view', 'app.seen', 'select * from app.seen', (STREAM, STREAM)),
    ('materialized view', 'app.kept', 'select * from app.kept', (BLOCKS, BLOCKS)),
    ('odd names', '%22Odd schema%22.%22Ta%22%22ble; drop%22', 'select * from "Odd schema"."Ta""ble; drop"', (BLOCKS, BLOCKS)),
    ('where', 'app.keyed', 'select * from app.keyed where app.twice(id) > 20000', (BLOCKS, 'ranges of "id"'),
     '--where', 'twice(keyed.id) > 20000 -- the rest'),
    ('where of partitions', 'app.parted', "select * from app.parted where id % 3 = 1", (BLOCKS, BLOCKS), '--where', 'parted.id % 3 = 1'),
    ('columns', 'app.keyed', 'select note from app.keyed', (BLOCKS, 'ranges of "id"'), '--columns', 'note'),
]


def shapes(t, pg, place):
    for name, table, select, method, *more in CASES:
        one(t, pg, place, name, pg.url(table), select, method, *more)
    query = ('select id, twice(id) as two from keyed where id < 3000;', 'select id, app.twice(id) as two from app.keyed where id < 3000')
    one(t, pg, place, 'query', pg.url(), query[1], (STREAM, STREAM), '--query', query[0])


def refusals(t, pg, place):
    code, text = plan(place, pg.url('app.nothing'))
    t.check(code == 2 and 'E3002' in text, 'a table without columns is refused', text)
    code, text = plan(place, pg.url('app.keyed'), '--where', 'nonsense(id)')
    t.check(code == 2 and 'E4009' in text and 'nonsense' in text, 'a where that does not compile is refused', text)
    code, text = plan(place, pg.url('app.missing'))
    t.check(code == 2 and 'E3001' in text, 'a table that is not there', text)
    code, text = plan(place, pg.url('app.keyed'), '--columns', 'id,nte=note2')
    t.check(code == 2 and 'E3002' in text, 'a column that is not there', text)
    code, _, err = place.run('copy', pg.url('app.keyed'), 'sqlite:q.db#t', '--query', 'delete from app.keyed returning id', '--yes')
    t.check(code != 0 and pg.sql('select count(*) from app.keyed') == '7000', 'a query only reads', err)


def limits(t, pg, place):
    code, out, err = place.run('copy', pg.url('app.keyed'), 'sqlite:l.db#t', '--limit', '7', '--json')
    end = harness.finished(out)
    t.check(code == 0 and end.get('rows_read') == 7 and end.get('rows_written') == 7, 'limit', err)


DIVIDED = [
    # table, split, what psql reads, least and most units
    ('app.plain', 'parts=6', 'select * from app.plain', 5, 8),
    ('app.plain', 'parts=1', 'select * from app.plain', 1, 1),
    ('app.keyed', 'target_rows=1000', 'select * from app.keyed', 6, 9),
    ('app.keyed', 'by=id,parts=6', 'select * from app.keyed', 5, 7),
    ('app.keyed', 'by=id,target_rows=1000', 'select * from app.keyed', 6, 8),
    ('app.keyed', 'by=id,range=300..9001,parts=4', 'select * from app.keyed where id between 300 and 9001', 3, 5),
    ('app.keyed', 'by=id,range=9..9', 'select * from app.keyed where id = 9', 1, 4),
    ('app.keyed', 'by=note,range=n1..n2,parts=2', "select * from app.keyed where note between 'n1' and 'n2'", 1, 3),
    ('app.unanalysed', 'by=id,range=4..900', 'select * from app.unanalysed where id between 4 and 900', 1, 4),
    ('app.words', "by=w,range=w3..wa'b\\,parts=3", "select * from app.words where w between 'w3' and E'wa\\'b\\\\'", 2, 4),
    ('app.sparse', 'by=u,range=1..7000,parts=3', 'select * from app.sparse where u is not null', 2, 4),
    ('app.parted', 'by=id,range=100..12000,parts=5', 'select * from app.parted where id between 100 and 12000', 1, 6),
    ('app.parent', 'parts=4', 'select * from app.parent', 2, 6),
    ('app.fine', 'by=price,range=1..1.005', "select * from app.fine where price <= 1", 1, 4),
    ('app.fine', 'by=code,range=abcd..zzzz', "select * from app.fine where code > 'abc'", 1, 4),
    ('app.seen', 'by=id,range=1..100', 'select * from app.seen where id between 1 and 100', 1, 4),
]


def divided(t, pg, place):
    """Red when a range of a column takes other rows than psql finds in it (NULLs are in none), or when `parts` and
    `target_rows` come to other numbers of units than about those."""
    pg.sql("create table app.fine (price numeric(5, 2), code varchar(3)); insert into app.fine values (1.00, 'abc'), (1.01, 'abd')")
    for table, words, select, least, most in DIVIDED:
        want = expected(pg, select)
        for how in ((), ('--consistent', 'off')):
            for f in ('out.db', 'out.db-wal', 'out.db-shm'):
                if os.path.exists(place.path(f)):
                    os.unlink(place.path(f))
            what = '%s, %s%s' % (table, words, ' without a snapshot' if how else '')
            code, out, err = place.run('copy', pg.url(table), 'sqlite:out.db#t', '-j', '3', '--json', '--split', words, *how)
            end = harness.finished(out)
            t.check(code == 0 and copied(place) == want, what, '%s\n%s' % (code, err[-1500:]))
            t.check(not harness.unbalanced(end), what + ': counts', harness.unbalanced(end))
            units = sum(e['type'] == 'unit_done' for e in harness.events(out))
            t.check(least <= units <= most, what + ': so many units', units)
    for words, says in (('by=id,range=1..x', 'E4009'), ('by=no,range=1..2', 'E3002'), ('by=id,range=5', 'E1002'), ('range=1..2', 'E1005')):
        code, text = plan(place, pg.url('app.keyed'), '--split', words)
        t.check(code == 2 and says in text, words + ' is refused', text)
    path = place.path('j.yaml')
    with open(path, 'w', encoding='utf-8') as f:
        f.write("version: 1\nname: cut\nstreams:\n  - { name: t, from: '%s', to: 'sqlite:out.db#cut', "
                "split: { by: id, range: [300, 15000], parts: 12 } }\n" % pg.url('app.keyed'))
    code, out, err = place.run('run', path, '--json', WH_TEST_KILL='record-after:4')
    code, out, err = place.run('resume', '--json')
    t.check(code == 0 and copied(place, 'cut') == expected(pg, 'select * from app.keyed where id between 300 and 15000'),
            'a range, killed and resumed', (code, err[-1500:]))


def shape_moves(t, pg, place):
    """A column that becomes another type of the same width between plan and run is not read as nonsense."""
    pg.sql('create table app.turns (id int, f int); insert into app.turns select g, g from generate_series(1, 100) g')
    p = place.start('copy', pg.url('app.turns'), 'sqlite:turns.db#t', WH_TEST_STOP='snapshot-before:1')
    try:
        if t.check(harness.wait_stopped(p, 20), 'stopped before the snapshot'):
            pg.sql('alter table app.turns alter f type real')
    finally:
        code, out, err = resume(p)
    t.check(code == 1 and 'E3006' in err, 'a column of another type is seen', '%d\n%s' % (code, err))
    t.check(len(pg.sessions()) == 1, 'the snapshot is kept for a resume', pg.sessions())
    run = json.loads(place.run('history', '--json')[1].splitlines()[0])['run']
    code, out, err = place.run('status', run)
    t.check('pins xmin' in out and 'held by process' in out, 'status tells who holds the snapshot', out + err)
    said = pg.sql("set lock_timeout = '200ms'; alter table app.turns alter f type int", check=False)
    t.check(said is None, 'the table stays as it is while the snapshot is held')
    pg.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry/%/hold%'")
    end = time.time() + 5
    while pg.sessions() and time.time() < end:
        time.sleep(0.05)


def resume(p):
    p.send_signal(signal.SIGCONT)
    return harness.finish(p, 60)


def main():
    t = harness.Tally('postgresql read', harness.seed_of())
    with servers.Postgres() as pg:
        place = harness.Place('pg-read')
        try:
            pg.sql(SHAPES)
            shapes(t, pg, place)
            refusals(t, pg, place)
            limits(t, pg, place)
            divided(t, pg, place)
            shape_moves(t, pg, place)
            left = pg.sessions()
            t.check(not left, 'no session is left', left)
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
