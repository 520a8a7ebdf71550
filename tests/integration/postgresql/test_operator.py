#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator meets: passwords that are not kept, tables that are not there, targets that others
hold, copies that are given up.

Fails if an exit code is another than the promised one, if the words do not name what to do next, or if
a session or holder of a copy that nobody can resume stays."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

SETUP = '''
create table planes as select g id, 'p' || g name from generate_series(1, 50000) g;
create schema sales; create table sales.orders (id int);
create view "views" as select * from planes;
create role hand login password '%s'; grant select on planes to hand;
''' % servers.PASSWORD


def meets(t, what, got, code, *words):
    missing = [w for w in words if w not in got[1] + got[2]]
    return t.check(got[0] == code and not missing, what,
                   'exit %d, not %d; without %s\n%s' % (got[0], code, missing, got[1] + got[2]))


def names(t, place, pg):
    meets(t, 'a typing error is seen', place.run('copy', pg.url('plane'), 'a.db'), 2, 'E3001', "'public.planes'?")
    meets(t, 'a table of another schema', place.run('copy', pg.url('order'), 'a.db'), 2, "'sales.orders'?")
    meets(t, 'the hint can be typed', place.run('copy', pg.url('qqqqqqqq'), 'a.db'), 2,
          "wherry discover '%s'" % pg.url())
    meets(t, 'one view is left out', place.run('copy', pg.url('*e*'), 'b.db'), 0, '1 view of', 'is left out')
    got = place.run('discover', pg.url(), 'pl*')
    meets(t, 'a pattern for the table alone', got, 0, 'public.planes')
    t.check('orders' not in got[1], 'a pattern leaves others out', got[1])
    t.check(not os.path.exists(place.path('a.db')), 'a refused copy makes no file')


def passwords(t, place, pg):
    url = pg.url('planes', user='hand', password=servers.PASSWORD)
    meets(t, 'a wrong password', place.run('check', pg.url(user='hand', password='wrong-one')), 9, 'E2005', '~/.pgpass')
    got = place.run('copy', url, 'c.db', WH_TEST_KILL='first-batch:1')
    t.check(got[0] == -9 and 'E1069' in got[2] and servers.PASSWORD not in got[2], 'a password is said, not printed', got)
    meets(t, 'a password is not kept', place.run('resume'), 9, 'E2005', 'PGPASSWORD')
    meets(t, 'a password from elsewhere', place.run('resume', PGPASSWORD=servers.PASSWORD), 0, '50,000 written')


def held(t, place, pg):
    other = {'HOME': place.path('other')}
    os.mkdir(other['HOME'])
    pg.sql('create table dest (id int, name text)')
    p = place.start('copy', pg.url('planes'), pg.url('dest'), WH_TEST_STOP='commit-before:1')
    harness.wait_stopped(p, 30)
    meets(t, 'a living owner', place.run('copy', pg.url('planes'), pg.url('dest'), **other), 10, 'E7006', '--lock-wait')
    harness.end(p)
    until = time.time() + 20  # the server notices that its client is gone
    while pg.sessions('wherry/%/e%') and time.time() < until:
        time.sleep(0.1)
    meets(t, 'a dead owner', place.run('copy', pg.url('planes'), pg.url('dest'), **other), 2, 'E7005', '--rebuild-state')
    meets(t, 'finished elsewhere', place.run('resume', '--rebuild-state', pg.url('dest'), **other), 0, '50,000 written')
    run = [line.split()[1] for line in place.run('status')[1].splitlines() if line.startswith('run ')][0]
    meets(t, 'nothing to go on with', place.run('resume', run), 2, 'E7017', 'cancel')
    meets(t, 'forgotten here', place.run('cancel', run, '--discard', '--yes'), 0, 'given up')
    t.check(pg.sql('select count(*), count(distinct id) from dest') == '50000|50000', 'rows stay, once')


def streams(t, place, pg):
    p = place.start('copy', pg.url('planes'), '-', '--rate', '100kB/s')
    p.stdout.readline()
    p.stdout.close()
    p.wait(60)
    t.check(p.returncode == 141, 'a closed pipe', p.returncode)
    p.stderr.close()
    until = time.time() + 20
    while pg.sessions() and time.time() < until:
        time.sleep(0.1)
    t.check(pg.sessions() == [], 'no session of a copy that nobody resumes', pg.sessions())


def main():
    t = harness.Tally('postgresql operator', harness.seed_of())
    with servers.Postgres() as pg:
        place = harness.Place('pg-operator')
        pg.sql(SETUP)
        for part in (names, passwords, held, streams):
            part(t, place, pg)
        place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
