#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What somebody does to a table, a policy, a trigger or a server while a run is made, lies, or goes on.

Fails if columns that changed their names pass for the same, if rows that a policy hides are taken for none, if "nothing was
touched" (exit 2) is said of a run that touched something, or if a trigger function that works in psql does not here."""
import os
import re
import resource
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402
from pgsite import Site, went  # noqa: E402

ROWS = "create table t(id int, a text, b text); insert into t select g, 'a' || g, repeat('b', 90) from generate_series(1, 20000) g; analyze t"
SWAP = 'alter table t rename a to x; alter table t rename b to a; alter table t rename x to b'
AGAIN = 'alter table t drop column b; alter table t add column b text'


def end_holders(s):
    s.place.end_holders()


def renamed(t, server):
    """Between kill and resume two columns change their names with each other, or one is dropped and made again."""
    cases = [(side, how, made, flags) for side in ('source', 'target') for how, made, flags in (
        (SWAP, '', ()), (AGAIN, '', ()), (SWAP, 'create table t(id int, a text, b text)', ()))]
    cases.append(('target', SWAP, 'create table t(id int primary key, a text, b text)', ('--mode', 'upsert', '--key', 'id', '--atomic', 'table')))
    for i, (side, change, made, flags) in enumerate(cases):
        with Site(server, 'renamed_%d' % i) as s:
            s.src(ROWS)
            s.dst(made)
            p = s.place.start('copy', server.url('t', s.a), server.url('t', s.b), '--no-progress', '--json', '-j', '1', '--from', 'split_bytes=256KiB',
                              *flags, WH_TEST_KILL='commit-after:2')
            code, out, err = harness.finish(p)
            if code != -9:
                t.check(False, 'killed between two units', went(code, out, err))
                continue
            end_holders(s)
            (s.src if side == 'source' else s.dst)(change)
            had = s.dst("select count(*) from t")
            code, out, err = s.place.run('resume', '--no-progress', '--json', '--accept-mixed')
            what = '%s: %s%s' % (side, 'renamed' if change == SWAP else 'made again', ', there before' if made else '')
            column = 'b' if change == AGAIN else '[ab]'  # one of both
            t.check(code == 2 and 'E7008' in out + err and (re.search(r'''column ['"\\]*%s\b''' % column, out + err) and re.search(r'\b[23]\b.*now it is.*\b[234]\b', out + err)
                                                             or side == 'source' and change == SWAP and "another order (from 'b' on)" in out + err),
                    'the difference is told: ' + what, went(code, out, err))
            t.check(s.dst("select count(*) from t") == had, 'and nothing is written: ' + what)


def swapped_in(t, server):
    """A table that an overwrite put in place has its columns in other places: its resume goes on all the same."""
    with Site(server, 'swapped') as s:
        s.src(ROWS)
        s.dst('create table t(id int, gone int, a text, b text); alter table t drop column gone')
        for point in ('publish-step-applied:1', 'publish-step-recorded:1', 'run-close-before:1'):
            p = s.place.start('copy', server.url('t', s.a), server.url('t', s.b), '--no-progress', '--json', '--mode', 'overwrite', WH_TEST_KILL=point)
            code, out, err = harness.finish(p)
            if code == -9:
                code, out, err = s.place.run('resume', '--no-progress', '--json')
            t.check(code == 0 and s.dst('select count(*) from t') == '20000', 'killed at %s and resumed' % point, went(code, out, err))


POLICY = ("create table t(k int primary key, v text); insert into t select g, 'old' from generate_series(0, 9) g; alter table t owner to plain; "
          'alter table t enable row level security, force row level security; create policy a on t for select using (k < 5); '
          'create policy b on t for insert with check (true); create policy c on t for update using (true); create policy d on t for delete using (true); '
          'grant all on schema public to plain')


def hidden(t, server):
    """Row security of the target: refused before anything is touched, or said and obeyed."""
    modes = [('append', ()), ('truncate', ()), ('overwrite', ()), ('upsert', ('--key', 'k')), ('replace', ('--key', 'k')), ('update', ('--key', 'k')),
             ('insert-ignore', ('--key', 'k')), ('delete-insert', ('--replace-where', 'k >= 0'))]
    with Site(server, 'hidden') as s:
        s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(20, 29) g")
        s.dst(POLICY)
        before = s.dst('select * from t order by k')
        for on in ('off', 'on'):
            for mode, flags in modes:
                if mode == 'overwrite':
                    continue
                url = s.server.url('t', s.b, user='plain', password=servers.PASSWORD, row_security=on)
                code, out, err = s.place.run('copy', s.server.url('t', s.a), url, '--no-progress', '--json', '--mode', mode, *flags)
                what = '%s, row_security=%s' % (mode, on)
                if on == 'off' or mode not in ('append', 'truncate'):
                    t.check(code == 9 and 'E2006' in out + err and 'row security' in out + err, 'refused: ' + what, went(code, out, err))
                    t.check(s.dst('select * from t order by k') == before, 'and nothing is touched: ' + what)
                    t.check('status' not in s.place.run('status')[1] and s.dst("select to_regclass('wherry_run')") == '', 'nor claimed: ' + what)
                else:
                    t.check(code == 0 and 'row security' in out + err, 'said and done: ' + what, went(code, out, err))
                    rows = 10 if mode == 'truncate' else 20
                    t.check(s.dst('select count(*) from t') == str(rows), 'rows are there: ' + what, s.dst('select count(*) from t'))
                    s.dst("drop table wherry_run, wherry_unit, wherry_target; truncate t; insert into t select g, 'old' from generate_series(0, 9) g")


LOGS = ("create schema app; create table app.log(k int); create function app.f() returns trigger language plpgsql as "
        "'begin insert into log values (new.k); return new; end'; create table t(k int primary key, v text); "
        'create trigger g before insert or update on t for each row execute function app.f();')


def own_path(t, server):
    """A trigger function names its table as the owner's search path finds it: it works here as in psql, straight, poured, from a stage,
    deferred, and in careful mode behind a savepoint."""
    deferred = LOGS.replace('create trigger g before insert or update on t', 'create constraint trigger g after insert or update on t deferrable initially deferred')
    for i, (table, flags) in enumerate(((LOGS, ()), (LOGS, ('--mode', 'upsert', '--key', 'k')), (LOGS, ('--mode', 'upsert', '--key', 'k', '--atomic', 'table')),
                                        (deferred, ()), (LOGS, ('--dirty', 'rows=5')), (LOGS, ('--marker', 'off')),
                                        (LOGS, ('--mode', 'delete-insert', '--replace-where', 'k = (select coalesce(max(k), 0) from log)')))):
        with Site(server, 'path_%d' % i) as s:
            s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(1, 1000) g" +
                  ("; insert into t values (7, 'twice')" if '--dirty' in flags else ''))
            s.dst('alter database %s set search_path = public, app' % s.b)
            s.dst(table)
            code, out, err = s.copy(*flags)
            t.check(code == 0 and s.dst('select count(*) from app.log') == '1000' and s.dst('select count(*) from t') == '1000',
                    'the trigger finds its table: %s%s' % (' '.join(flags), ', deferred' if table is deferred else ''), went(code, out, err))
            t.check('--dirty' in flags or not s.place.leftovers(), 'nothing is left behind: ' + ' '.join(flags), str(s.place.leftovers()))


def touched(t, server):
    """Exit 2 says that nothing was touched: never of a table that was emptied, or of a run whose first table is in."""
    with Site(server, 'touched') as s:
        s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(1, 1000) g")
        s.dst("create table t(k int, v text); insert into t values (0, 'old'); create function f() returns trigger language plpgsql as "
              "'begin insert into public.nowhere values (new.k); return new; end'; create trigger g before insert on t for each row execute function f();")
        code, out, err = s.copy('--mode', 'truncate')
        t.check(code == 1 and 'E3001' in out and '"exit":1' in out, 'a trigger fails behind the truncate', went(code, out, err))
        t.check(s.dst('select count(*) from t') == '0', 'which it did')
        s.dst('create table nowhere(k int)')
        code, out, err = s.place.run('resume', '--no-progress', '--json')
        t.check(code == 0 and s.dst('select count(*) from t') == '1000', 'mended, it goes on', went(code, out, err))


def black_hole(t, server):
    """A server that stops to answer while our tables are made: a lost connection, not a fault of the schema."""
    with Site(server, 'hole') as s:
        s.src("create table t(k int); insert into t values (1)")
        s.dst("create table t(k int); create function f() returns event_trigger language plpgsql as 'begin perform pg_sleep(30); end'; "
              "create event trigger slow on ddl_command_start when tag in ('CREATE TABLE') execute function f()")
        job = s.place.path('hole.yaml')
        with open(job, 'w', encoding='utf-8') as f:
            f.write("version: 1\nstreams: [{from: '%s', to: '%s'}]\nrun: {retry: {times: 0}, timeouts: {no_progress: 1s}}\n" % s.urls())
        code, out, err = s.place.run('run', job, '--no-progress', '--json')
        t.check(code == 5 and 'E4010' in out + err and 'E5013' not in out + err, 'temporary', went(code, out, err))
        s.dst('drop event trigger slow')
        code, out, err = s.place.run('run', job, '--no-progress', '--json')
        t.check(code == 0 and s.dst('select count(*) from t') == '1', 'and the same command does it', went(code, out, err))


def job_of(s, no_progress):
    job = s.place.path('works.yaml')
    with open(job, 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{from: '%s', to: '%s'}]\nrun: {retry: {times: 0}, timeouts: {no_progress: %s}}\n" % (*s.urls(), no_progress))
    return job


def works(t, server):
    """A server that works for longer than no_progress (a slow trigger, a lock in a trigger) is waited for, and the words say at what;
    one that waits for its client is not."""
    slow = ("create table t(k int); create function f() returns trigger language plpgsql as 'begin perform pg_sleep(6); return new; end'; "
            'create trigger g before insert on t for each row execute function f()')
    lock = slow.replace('pg_sleep(6)', 'pg_advisory_xact_lock(1)')
    for what, table, words in (('a slow trigger', slow, 'Timeout PgSleep'), ('a lock', lock, 'Lock advisory.*in the way: pid [0-9]+, role postgres')):
        with Site(server, 'works') as s:
            s.src("create table t(k int); insert into t values (1)")
            s.dst(table)
            p = s.place.start('run', job_of(s, '1s'), '--no-progress', '--json', '-j', '1')
            if table is lock:
                s.dst('select pg_advisory_lock(1), pg_sleep(6)')
            code, out, err = harness.finish(p)
            t.check(code == 0 and s.dst('select count(*) from t') == '1', 'waited for: ' + what, went(code, out, err))
            t.check(re.search("works at it and is waited for: " + words, out), 'and told: ' + what, went(code, out, err))
            t.check(1 <= out.count('works at it') <= 7, 'once in a while: ' + what, str(out.count('works at it')))


def patience(t, server):
    """What is too long may be said anew by the job file: the unfinished run takes it."""
    with Site(server, 'patience') as s:
        s.src("create table t(k int); insert into t select generate_series(1, 10)")
        s.dst("create table t(k int); create function f() returns event_trigger language plpgsql as 'begin perform pg_sleep(2); end'; "
              "create event trigger slow on ddl_command_start when tag in ('CREATE TABLE') execute function f()")
        job = job_of(s, '1s')
        code, out, err = harness.finish(s.place.start('run', job, '--no-progress', '--json', WH_TEST_KILL='claim-before:1'))
        t.check(code == -9, 'killed', went(code, out, err))
        job_of(s, '17m')
        code, out, err = s.place.run('run', job, '--no-progress', '--json')
        t.check(code == 0 and s.dst('select count(*) from t') == '10', 'another no_progress is taken by the same run', went(code, out, err))
        t.check(len(s.place.run('history')[1].splitlines()) == 1, 'it is the same')


def holders(s, seconds=0):
    """Processes that hold snapshots of this place, once they had time to end."""
    end = time.monotonic() + seconds
    while True:
        found = []
        for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as f:
                    words = f.read().split(b'\0')
            except OSError:
                continue
            if len(words) > 3 and words[1] == b'hold' and words[3].startswith(os.fsencode(s.place.dir) + b'/'):
                found.append(pid)
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def last_run(s):
    return s.place.run('history')[1].split()[0]


def unlocked(t, server):
    """A target whose run is dead is named as it was typed; where it is gone for good, or is another table, the run can be forgotten."""
    for what in ('there', 'another', 'gone'):
        with Site(server, 'unlocked_' + what) as s:
            s.src(ROWS)
            s.dst('create table t(id int, a text, b text)')
            p = s.place.start('copy', *s.urls(), '--no-progress', '-j', '1', '--from', 'split_bytes=256KiB', WH_TEST_KILL='commit-after:2')
            code, out, err = harness.finish(p)
            t.check(code == -9 and holders(s), 'killed, and its holder lives', went(code, out, err) + str(holders(s)))
            if what == 'another':
                s.dst('drop table t; create table t(id int, a text, b text)')
            if what == 'gone':
                s.server.sql('drop database %s with (force)' % s.b)
            if what != 'there':
                code, out, err = s.place.run('cancel', last_run(s), '--discard', '--yes')
                t.check(code != 0 and 'wherry unlock r-' in err, 'discard names the way out: ' + what, went(code, out, err))
            code, out, err = s.place.run('unlock', s.urls('u')[1])
            t.check(code == 2 and 'E7007' in err, 'no other table is meant', went(code, out, err))
            code, out, err = s.place.run('unlock', s.urls()[1])
            t.check(code == 2 and 'E1012' in err and '.t' in out, 'as it was typed: ' + what, went(code, out, err))
            code, out, err = s.place.run('unlock', s.urls()[1] if what == 'there' else last_run(s), '--yes')
            t.check(code == 0 and not holders(s, 2), 'given up, and the holder goes: ' + what, went(code, out, err) + str(holders(s)))
            t.check('nothing runs and nothing is unfinished' in ''.join(s.place.run('status')[1:]), 'nothing is unfinished: ' + what)
            if what == 'gone':
                s.server.sql('create database ' + s.b)
                s.dst('create table t(id int, a text, b text)')
            code, out, err = s.copy(*(() if what == 'gone' else ('--fresh', '--yes')))
            t.check(code == 0, 'and the next run goes: ' + what, went(code, out, err))


def no_descriptor(t, server):
    """A process that can open nothing any more when it lets go of its snapshot: the holder ends all the same, and nothing of it lies around."""
    with Site(server, 'descriptor') as s:
        s.src("create table t(k int); insert into t select generate_series(1, 10)")
        s.dst('create table t(k int)')
        p = s.place.start('copy', *s.urls(), '--no-progress', '-j', '1', WH_TEST_STOP='record-after:1')
        stopped = harness.wait_stopped(p, 20)
        most = resource.prlimit(p.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (3, most[1]))
        p.send_signal(signal.SIGCONT)
        code, out, err = harness.finish(p)
        t.check(stopped and not holders(s, 5), 'the holder ends', went(code, out, err) + str(holders(s)))
        t.check(not os.listdir(s.place.path('home', '.local', 'state', 'wherry', 'holders')), 'its file is gone')
        t.check(s.src("select count(*) from pg_stat_activity where application_name like 'wherry/%%'") == '0', 'and its session')
        if code:  # a sanitizer's own look at the end wants a descriptor
            code, out, err = s.place.run('resume')
        t.check((code == 0 or 'no run is unfinished' in err) and s.dst('select count(*) from t') == '10', 'the rows are there', went(code, out, err))


def same_table(t, server):
    """One table by two addresses of its server is read and written at once: refused, whatever the mode."""
    with Site(server, 'same') as s:
        s.src('create table t(id int); insert into t select generate_series(1, 100)')
        one = server.url('t', s.a)
        other = one.replace('127.0.0.1', 'localhost')
        for words in (('--mode', 'truncate', '--consistent', 'off'), ('--consistent', 'off'), ('--mode', 'overwrite'), ()):
            code, out, err = s.place.run('copy', one, other, '--no-progress', '--json', *words)
            t.check(one != other and code == 2 and 'E1026' in out + err and s.src('select count(*) from t') == '100', 'one table by two names %s' % (words,),
                    went(code, out, err))


def elsewhere(t, server):
    """A resume that would read the rest of a table in another database of the same shape."""
    with Site(server, 'elsewhere') as s:
        for sql in (s.src, s.dst):
            sql(ROWS.replace('id int', 'id int primary key'))
        s.dst("update t set a = 'other'")
        env = {'PGHOST': '127.0.0.1', 'PGPORT': str(server.port), 'PGUSER': 'postgres'}
        for words in ('', 'split: { by: id }, '):
            with open(s.place.path('j.yaml'), 'w', encoding='utf-8') as f:
                f.write("version: 1\nstreams:\n  - { from: 'postgresql:///?split_bytes=256KiB#t', to: m.db, %sparallel: 1 }\nrun: { consistent: off }\n" % words)
            p = s.place.start('run', 'j.yaml', '--no-progress', '--json', WH_TEST_KILL='commit-after:2', PGDATABASE=s.a, **env)
            code, out, err = harness.finish(p)
            t.check(code == -9, 'killed between two units', went(code, out, err))
            for more in ((), ('--accept-mixed',)):
                code, out, err = s.place.run('resume', '--no-progress', '--json', *more, PGDATABASE=s.b, **env)
                t.check(code == 2 and 'E7008' in out + err and 'source' in out + err, 'another database %s %s' % (words, more), went(code, out, err))
            code, out, err = s.place.run('resume', '--no-progress', '--json', PGDATABASE=s.a, **env)
            t.check(code == 0, 'the one in which it began', went(code, out, err))
            db = sqlite3.connect(s.place.path('m.db'))
            found = db.execute("select count(*), count(*) filter (where a = 'other') from t").fetchone()
            db.close()
            t.check(found == (20000, 0), 'all rows of one database', found)
            os.remove(s.place.path('m.db'))


TESTS = [renamed, swapped_in, same_table, elsewhere, hidden, own_path, touched, black_hole, works, patience, unlocked, no_descriptor]


def main():
    if not servers.binaries():
        print('SKIPPED no PostgreSQL server is installed')
        return 1 if os.environ.get('CI') == 'true' else 0
    wanted = sys.argv[1:]
    t = harness.Tally('postgresql, attacked', harness.seed_of())
    with servers.Postgres() as server:
        for test in TESTS:
            if not wanted or test.__name__ in wanted:
                test(t, server)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
