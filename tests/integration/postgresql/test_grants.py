#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""wherry grants: what it prints is enough, and not less is.

Fails if a role with the printed rights cannot do what they are for, if it can without them, or if what
is held is told wrongly; if membership in a role that may do everything is proposed."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

SETUP = '''
revoke all on schema public from public;
revoke connect on database postgres from public;
create schema "Shop 1";
create table "Shop 1"."Order" (id int primary key, note text);
insert into "Shop 1"."Order" select g, 'n' || g from generate_series(1, 1000) g;
create table "Shop 1".other (a int);
create schema dest;
create table dest.there (id int primary key, note text);
insert into dest.there values (1, 'old');
create role etl login password '%s';
'''


def sections(text):
    """{purpose: [statement]} of what is missing."""
    found, purpose = {}, None
    for line in text.splitlines():
        if line.startswith('-- has: '):
            continue
        if line.startswith('-- ') and 'not proposed' not in line:
            purpose = line[3:]
            found[purpose] = []
        elif line:
            found[purpose].append(line)
    return found


def of(found, start):
    return next(v for k, v in found.items() if k.startswith(start))


def grants(t, place, url):
    code, out, err = place.run('grants', url)
    t.check(code == 0, 'grants', err)
    return sections(out)


def can(t, place, pg, code, what, *args):
    got, out, err = place.run('copy', *args)
    return t.check(got == code, what, 'exit %d, not %d\n%s' % (got, code, out + err))


def main():
    t = harness.Tally('postgresql grants', harness.seed_of())
    with servers.Postgres() as pg:
        place = harness.Place('pg-grants')
        try:
            pg.sql(SETUP % servers.PASSWORD)
            login = {'user': 'etl', 'password': servers.PASSWORD}
            source = pg.url('%22Shop%201%22.%22Order%22', **login)
            code, _, err = place.run('grants', source)
            t.check(code == 9 and 'E2005' in err or 'E2006' in err, 'without connect nothing can be asked', err)
            pg.sql('grant connect on database postgres to etl')
            # Reading.
            can(t, place, pg, 9, 'no right to read', source, 'sqlite:a.db#t')
            need = of(grants(t, place, source), 'to read')
            t.check(need == ['grant usage on schema "Shop 1" to etl;', 'grant select on table "Shop 1"."Order" to etl;'],
                    'two statements are missing', need)
            for i in range(len(need)):
                pg.sql('begin; %s; commit' % '; '.join(n for k, n in enumerate(need) if k != i))
                can(t, place, pg, 9, 'not without: ' + need[i], source, 'sqlite:b%d.db#t' % i)
                pg.sql('revoke all on schema "Shop 1" from etl; revoke all on "Shop 1"."Order" from etl')
            pg.sql('\n'.join(need))
            can(t, place, pg, 0, 'reads with what was printed', source, 'sqlite:c.db#t')
            t.check(of(grants(t, place, source), 'to read') == [], 'nothing is missing now')
            whole = of(grants(t, place, pg.url(**login)), 'to read')
            t.check('grant select on all tables in schema dest to etl;' in whole and
                    'grant select on all tables in schema "Shop 1" to etl;' in whole, 'the whole database', whole)
            # Writing.
            new = pg.url('dest.made', **login)
            can(t, place, pg, 9, 'no right to write', source, new)
            found = grants(t, place, new)
            pg.sql('\n'.join(of(found, 'to write at all')))
            can(t, place, pg, 0, 'makes a table with what was printed', source, new)
            old = pg.url('dest.there', **login)
            can(t, place, pg, 9, 'no right to append', source, old)
            found = grants(t, place, old)
            pg.sql("delete from dest.there")
            pg.sql('\n'.join(of(found, 'to append')))
            can(t, place, pg, 0, 'appends with what was printed', source, old)
            t.check(pg.sql('select count(*) from dest.there') == '1000', 'rows are there')
            for mode, start in (('upsert', 'to upsert'), ('truncate', 'to truncate'), ('overwrite', 'to overwrite')):
                pg.sql('revoke all on dest.there from etl')
                if mode == 'overwrite':   # it belongs to a superuser
                    said = of(grants(t, place, old), start)
                    t.check(len(said) == 1 and said[0].startswith('-- dest.there belongs to postgres') and
                            'alter table dest.there owner to etl;' in said[0], 'never all rights', said)
                    pg.sql('create role keeper; alter table dest.there owner to keeper; grant all on schema dest to keeper')
                    t.check(of(grants(t, place, old), start) == ['grant keeper to etl;'], 'a role of little rights')
                pg.sql('\n'.join(of(grants(t, place, old), start)))
                can(t, place, pg, 0, '%s with what was printed' % mode, source, old, '--mode', mode)
            code, out, _ = place.run('grants', pg.url('dest.there', **login), '--json')
            rows = [r for r in harness.events(out) if r.get('type') != 'warning']  # of the password in the URL
            t.check(code == 0 and rows and all({'purpose', 'sql', 'held'} <= set(r) for r in rows), 'as JSON', out)
            code, _, err = place.run('grants', 'sqlite:c.db')
            t.check(code == 2 and 'E1060' in err, 'files have no rights to grant', err)
            t.check(servers.PASSWORD not in out + err, 'no password is shown')
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
