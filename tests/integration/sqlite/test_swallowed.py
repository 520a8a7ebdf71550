#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SQLite tables whose triggers drop rows without a word: RAISE(IGNORE).

Fails if a row that such a trigger swallows is counted as written, if an old row that one keeps stays behind a delete, or
if a trigger that only looks on is taken for one of these."""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402

TABLE = "create table t(k int primary key, e text unique, v text); insert into t values(1, 'e1', 'old'), (100, 'e7', 'old'), (5, 'e5', 'old');"
LOG = 'create table log(what text);'
ROWS = [(i, 'e%d' % i, 'new') for i in range(10)] + [(3, 'e3', 'last')]
WHEN = {'append': 'insert', 'upsert': 'insert', 'replace': 'insert', 'update': 'update', 'insert-ignore': 'insert', 'delete-insert': 'insert'}


def copied(place, setup, rows, *flags):
    """What is in the table before and after a copy, and what the copy said."""
    for end in ('', '-wal', '-shm', '-journal'):
        if os.path.exists(place.path('dst.db' + end)):
            os.unlink(place.path('dst.db' + end))
    db = sqlite3.connect(place.path('dst.db'))
    db.executescript(setup)
    before = db.execute('select * from t order by k, e').fetchall()
    db.close()
    with open(place.path('src.csv'), 'w', encoding='utf-8') as f:
        f.write('k,e,v\n' + ''.join('%s,%s,%s\n' % r for r in rows))
    place.forget()
    code, out, err = place.run('copy', 'src.csv', 'dst.db#t', '--no-progress', '--json', *flags)
    db = sqlite3.connect(place.path('dst.db'))
    after = db.execute('select * from t order by k, e').fetchall()
    db.close()
    return before, after, code, out + err


def flags_of(mode, atomic):
    flags = ['--mode', mode] + (['--atomic', atomic] if mode != 'delete-insert' else [])
    return flags + (['--replace-where', 'k >= 100'] if mode == 'delete-insert' else ['--key', 'k'] if mode != 'append' else [])


def swallowed(t, place):
    """Every mode: a swallowed row is refused by name, or ends the step that pours."""
    for mode in WHEN:
        for atomic in ('unit', 'table'):
            if mode == 'delete-insert' and atomic == 'unit':
                continue
            # Plain modes get rows that meet nobody.
            rows = ROWS[:7] + ROWS[8:] if mode in ('upsert', 'replace', 'update') else ROWS if mode == 'insert-ignore' else [(i + 200, 'f%d' % i, 'new') for i in range(10)]
            key = rows[5][0]
            table = TABLE if mode != 'insert-ignore' else TABLE.replace(", (5, 'e5', 'old')", '')
            skip = 'create trigger g before %s on t when new.k = %d begin select raise(ignore); end;' % (WHEN[mode], key)
            before, after, code, said = copied(place, table + skip, rows, *flags_of(mode, atomic))
            what = '%s, %s' % (mode, atomic)
            t.check(code == 6 and 'skipped the row' in said or code == 1 and 'E5005' in said and 'trigger' in said, 'swallowed: ' + what,
                    'exit %s\n%s' % (code, said[-1500:]))
            t.check(after == before, 'nothing is written: ' + what, str(after))
            look = LOG + "create trigger g before %s on t begin insert into log values('x'); end;" % WHEN[mode]
            before, after, code, said = copied(place, table + look, rows, *flags_of(mode, atomic))
            plain = copied(place, table, rows, *flags_of(mode, atomic))
            t.check(code == 0 and after == plain[1] and plain[2] == 0, 'a trigger that looks on: ' + what,
                    'exit %s\n%s\n%s\n%s' % (code, after, plain[1], said[-1500:]))


def one_dirty(t, place):
    """The row that a trigger skips is named; the others are in."""
    skip = 'create trigger g before insert on t when new.k = 4 begin select raise(ignore); end;'
    for mode in ('append', 'upsert', 'insert-ignore'):
        rows = [(i + (200 if mode == 'append' else 0), 'f%d' % i, 'new') for i in range(10)]
        before, after, code, said = copied(place, TABLE + skip.replace('4', '%d' % rows[4][0]), rows, *flags_of(mode, 'unit'), '--dirty', 'rows=1')
        t.check(code == 0 and rows[4][0] not in [r[0] for r in after] and len(after) == {'append': 12, 'upsert': 10, 'insert-ignore': 10}[mode],
                'the others are in: ' + mode, 'exit %s %s\n%s' % (code, after, said[-1500:]))


def kept(t, place):
    """Old rows that are to go and stay."""
    skip = 'create trigger g before delete on t when old.k = 5 begin select raise(ignore); end;'
    look = LOG + "create trigger g before delete on t begin insert into log values('x'); end;"
    new = [(i + 200, 'f%d' % i, 'new') for i in range(4)]
    for mode, flags in (('delete-insert', ['--replace-where', 'k >= 2']), ('truncate', [])):
        before, after, code, said = copied(place, TABLE + skip, new, '--mode', mode, *flags)
        t.check(code == 1 and 'E5005' in said and 'keeps 1 of' in said and after == before, 'a kept row is an error: ' + mode,
                'exit %s %s\n%s' % (code, after, said[-1500:]))
        before, after, code, said = copied(place, TABLE + look, new, '--mode', mode, *flags)
        t.check(code == 0 and len(after) == (5 if flags else 4), 'a trigger that looks on: ' + mode, 'exit %s %s\n%s' % (code, after, said[-1500:]))
    before, after, code, said = copied(place, TABLE + look, new, '--mode', 'delete-insert', '--replace-where', 'k = (select max(k) from t)')
    t.check(code == 0 and len(after) == 6, 'a condition that looks at the table', 'exit %s %s\n%s' % (code, after, said[-1500:]))


def main():
    t = harness.Tally('sqlite, swallowed', harness.seed_of())
    place = harness.Place('sqlite-swallowed')
    for test in (swallowed, one_dirty, kept):
        if not sys.argv[1:] or test.__name__ in sys.argv[1:]:
            test(t, place)
    place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
