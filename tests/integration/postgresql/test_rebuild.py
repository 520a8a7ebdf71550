#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state folder is lost after a kill: `resume --rebuild-state` makes it again from the markers in
PostgreSQL and enters the snapshot again, while a writer changes the source.

Fails if a row is lost or doubled, if the rows are not those of one instant though the summary says so, if
a living run is taken over, or if something of ours stays."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = 40000
POINTS = {'append': ['claim-after', 'remember-after', 'prepare-step-applied', 'writer-opened:3', 'commit-before:2', 'commit-after:3',
                     'record-after:5', 'published', 'closing-recorded'],
          'overwrite': ['remember-after', 'commit-after:2', 'record-after:4', 'publish-step-intended', 'publish-step-applied',
                        'run-close-before']}


def prepare(server):
    server.sql('create table src(id int, v int, pad text)')
    server.sql("insert into src select g, 100, repeat('x', 120) from generate_series(1, %d) g" % ROWS)
    server.sql('analyze src')


def change(server):
    """Moves money and replaces rows: sums and ids stay."""
    server.sql('update src set v = v + case when id %% 2 = 0 then 7 else -7 end where id <= %d' % (ROWS // 2 * 2))
    server.sql('with gone as (delete from src where id % 5 = 0 returning *) insert into src select * from gone')


def lost(t, place, server, mode, point, second):
    url = server.url('src')
    server.sql('drop table if exists dst')
    if mode == 'overwrite':
        server.sql('create table dst(id int, v int, pad text); insert into dst values (-1, -1, null)')
    words = ['copy', url, server.url('dst'), '-j', '2', '--mode', mode, '--no-progress']
    place.forget()
    code, _, err = place.run(*words, WH_TEST_KILL=point)
    said = '%s: exit %d\n%s' % (point, code, err)
    t.kills[dict(harness.kill_points())[point.split(':')[0]]] += code == -9
    change(server)
    for tries in range(4):
        place.forget(holders=True)
        extra = {'WH_TEST_KILL': second} if second and tries == 0 else {}
        code, out, err = place.run('resume', '--rebuild-state', server.url(), '--no-progress', '--json', **extra)
        said += 'rebuild: exit %d\n%s%s' % (code, out, err)
        change(server)
        if code == 0:
            break
        if code == 2 and 'has no unfinished run' in out + err:
            if server.sql("select count(*) from pg_class where relname = 'dst'").strip() == '0':
                code, out, err = place.run(*words)
                said += 'again: exit %d\n%s%s' % (code, out, err)
            break
    got = server.sql('select count(*), count(distinct id), sum(v), min(id), max(id) from dst').strip()
    want = '%d|%d|%d|1|%d' % (ROWS, ROWS, 100 * ROWS, ROWS)
    mixed = 'mixed' in said
    t.check(got == want or (mixed and got.split('|')[:2] == [str(ROWS)] * 2),
            '%s killed at %s, then %s: every row once, one instant' % (mode, point, second or '-'), '%s\n%s' % (got, said))
    left = server.sql("""select count(*) from pg_class where relname like 'wherry_stage%'""").strip() + \
        server.sql("""select count(*) from wherry_unit""").strip()
    t.check(left == '00', '%s killed at %s: nothing of ours stays' % (mode, point), left + said)


def main():
    t = harness.Tally('a lost state made again from PostgreSQL', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    place = harness.Place('pg-rebuild')
    place.env['WH_TEST_UNIT_BYTES'] = '700000'
    server = servers.Postgres(place.path('server'))
    try:
        prepare(server)
        for mode, points in POINTS.items():
            for point in points:
                lost(t, place, server, mode, point, t.rng.choice(['', '', 'commit-after:2', 'record-after:1']))
        p = place.start('copy', server.url('src'), server.url('dst2'), '--no-progress', WH_TEST_STOP='record-after:2')
        t.check(harness.wait_stopped(p, 30), 'the owner stops')
        os.mkdir(place.path('other'))
        code, _, err = place.run('resume', '--rebuild-state', server.url(), HOME=place.path('other'))
        t.check(code == 10, 'a living owner is not taken over', '%d %s' % (code, err))
        harness.end(p)
        print('kills by phase: ' + ', '.join('%s %d' % (k, v) for k, v in sorted(t.kills.items())))
        t.check(sum(t.kills.values()) >= 10, 'too few kills hit', dict(t.kills))
    finally:
        server.stop()
        place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
