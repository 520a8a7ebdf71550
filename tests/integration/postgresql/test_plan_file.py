#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plan --diff, plan -o and run --plan against a real server.

Fails if a table that was just copied is said to differ, if a difference is not told in the words of the
destination, or if a plan is carried out although source or destination are others than it says."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import pgsite  # noqa: E402
import servers  # noqa: E402

MADE = '''create table t (id bigint primary key, name varchar(20) not null, price numeric(9,2), day date, at timestamptz,
  naive timestamp(3), b bytea, u uuid, j jsonb, f real, s smallint, ok boolean, arr int[], c char(3));
insert into t values (1, 'a', 1.5, '2020-01-01', now(), now(), '\\x00', '00112233-4455-6677-8899-aabbccddeeff', '{}', 1, 2,
  true, '{1}', 'x');'''


def kinds(out):
    return [(d['kind'], d['column'], d['source'], d['destination']) for d in json.loads(out.splitlines()[0])['tables'][0]['differences']]


def differs(t, server):
    with pgsite.Site(server, 'differs') as s:
        s.src(MADE)
        code, out, err = s.run('plan', '--diff', '--json')
        t.check((code, kinds(out)) == (4, [('table', None, 'planned', None)]), 'not there', out + err)
        t.check(s.copy()[0] == 0, 'copied')
        code, out, err = s.run('plan', '--diff', '--json')
        t.check((code, kinds(out)) == (0, []), 'what was made does not differ', out + err)
        s.dst('''alter table t alter price type numeric(8,1), alter name type text, alter name drop not null, alter day set not null,
                 drop column u, add more text, add must int not null default 5, add here int not null default 1, drop constraint t_pkey,
                 alter s type bigint; alter table t alter must drop default''')
        code, out, err = s.run('plan', '--diff', '--json')
        seen = kinds(out)
        wanted = [('type', 'price', 'decimal(9,2)', 'decimal(8,1)'), ('missing', 'u', 'uuid', None), ('extra', 'more', None, 'utf8'),
                  ('extra', 'must', None, 'int32 not null'), ('key', None, 'id', None), ('nullable', 'name', 'not null', 'nullable'),
                  ('nullable', 'day', 'nullable', 'not null'), ('type', 's', 'int16', 'int64')]
        t.check(code == 4 and all(w in seen for w in wanted), 'each difference', (seen, err))
        code, out, err = s.run('plan', '--diff')
        t.check(code == 4 and '~ price' in out and '+ u ' in out and '- must' in out and 'no row could be added' in out,
                'for people', out + err)
        t.check(int(s.dst('select count(*) from t').strip()) == 1, 'nothing was touched')


def carried_out(t, server):
    for change, said in ((None, ''), ('src alter table t add w int', 'column w of the source was not there'),
                         ('src alter table t alter name type varchar(10)', 'character varying(20)'),
                         ('src insert into t (id, name) select g, g::text from generate_series(2, 3000) g', ''),
                         ('dst create table t (id bigint)', 'refused: E3005'),
                         ('dst2 alter table t alter price type numeric(8,1)', 'decimal(8,1)'),
                         ('dst2 drop table t; create table t (like keep including all)', 'another one of the same name'),
                         ('src drop table t', 'refused: E3001')):
        with pgsite.Site(server, 'planned') as s:
            s.src(MADE)
            where, _, sql = (change or '').partition(' ')
            if where == 'dst2':
                s.copy()
                s.dst('create table keep (like t including all)')
            there = s.dst("select count(*) from pg_class where relname = 't'").strip()
            code, _, err = s.run('plan', '-o', 'p.json', '--mode', 'upsert', '--key', 'id')
            t.check(code == 0, 'planned', err)
            if sql:
                (s.src if where == 'src' else s.dst)(sql)
            code, out, err = s.place.run('run', '--plan', 'p.json')
            if said:
                t.check(code == 2 and 'E1066' in err and said in err, 'refused: ' + change, err)
                t.check(where != 'src' or s.dst("select count(*) from pg_class where relname = 't'").strip() == there, 'nothing was made')
            else:
                t.check(code == 0 and s.dst('select count(*) from t') == s.src('select count(*) from t'),
                        'rows that came since are read', err)


def other_server(t, server):
    """A job that names no database, and two of them by PGDATABASE: a plan made for one is not carried out on the other, and
    a night that is done in one is not done in the other."""
    with pgsite.Site(server, 'ends') as s:
        for sql in (s.src, s.dst):
            sql('create table t (id bigint); insert into t select generate_series(1, 3)')
        s.dst('insert into t values (4)')
        with open(s.place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write("version: 1\nconnections: { d: { type: postgresql, host: 127.0.0.1, port: %d, user: postgres } }\n"
                    "streams: [{ from: 'd:public.t', to: 'out.db#t' }, { from: 'gen:lineitem?rows=5', to: 'd:public.l', write: { mode: overwrite } }]\n" % server.port)
        a, b = {'PGDATABASE': s.a}, {'PGDATABASE': s.b}
        code, _, err = s.place.run('plan', 'j.yaml', '-o', 'p.json', **a)
        t.check(code == 0, 'planned', err)
        code, _, err = s.place.run('run', '--plan', 'p.json', **b)
        t.check(code == 2 and 'E1066' in err and s.a in err and s.b in err and 'identity of the source' in err
                and 'identity of the destination' in err and not os.path.exists(s.place.path('out.db')), 'not on another database', err)
        code, _, err = s.place.run('run', '--plan', 'p.json', **a)
        t.check(code == 0, 'carried out where it was planned', err)
        code, out, err = s.place.run('run', '--plan', 'p.json', **b)
        t.check(code == 2 and 'E7008' in err and s.b in err, 'done there is not done here', out + err)
        night = ['run', 'j.yaml', '--scheduled', '2026-11-01']
        code, _, err = s.place.run(*night, **a)
        t.check(code == 0 and s.src('select count(*) from l').strip() == '5', 'a night', err)
        code, out, err = s.place.run(*night, **b)
        t.check(code == 2 and 'E7008' in err and 'dbname=' + s.a in err and 'dbname=' + s.b in err, 'of that database', out + err)
        t.check(s.dst("select count(*) from pg_class where relname = 'l'").strip() == '0', 'nothing was touched')
        code, out, err = s.place.run(*night, **a)
        t.check(code == 0 and 'was finished before' in err, 'and in that it is done', err)
        code, out, err = s.place.run(*night, '--again', **b)
        t.check(code == 0 and s.dst('select count(*) from l').strip() == '5', 'here, too, if it is said', err)


def main():
    t = harness.Tally('postgresql plan files', harness.seed_of())
    with servers.Postgres() as server:
        differs(t, server)
        carried_out(t, server)
        other_server(t, server)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
