#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hardctl.py: the other hand on a hard-case server (tests/fakes/hard/README.md).

    hardctl.py fill PATH TABLE ROWS [--accounts N]      a source table; prints its count and sum
    hardctl.py writer PATH TABLE [--seconds S] [--pause MS] [--append]
                                                        moves money between rows, sum constant
    hardctl.py judge PATH TABLE [--rows N] [--sum S] [--refused SQL] [--allow KINDS]
                                                        one line of JSON about a destination; exit 1
                                                        if anything is not as it should be
    hardctl.py holders PATH [--kill]                    pids of living holders of hard-held
    hardctl.py sessions PATH                            sessions the server knows, with their pid
    hardctl.py gc PATH                                  drops versions and markers that nobody needs

Judging: rows, sum of amount, distinct ids, doubled ids, missing ids (1..N when --rows is given), and
leftovers: open runs, markers, targets, staged files, sessions of dead processes, living holders.
"""
import argparse
import fcntl
import glob
import json
import os
import random
import sqlite3
import sys
import time


def connect(path):
    os.makedirs(path, exist_ok=True)
    db = sqlite3.connect(os.path.join(path, 'server.db'), timeout=30, isolation_level=None)
    db.execute('pragma journal_mode = wal')
    db.execute('pragma synchronous = normal')
    return db


def name(table):
    return '"' + table.replace('"', '""') + '"'


def has_table(db, table):
    return db.execute("select count(*) from sqlite_schema where type = 'table' and name = ?",
                      (table,)).fetchone()[0] > 0


def fill(path, table, rows, accounts=100):
    """Rows id 1..rows, account 'a<n>', amount that depends on the id; a new table."""
    db = connect(path)
    db.execute('begin immediate')
    db.execute(f'drop table if exists {name(table)}')
    db.execute(f'create table {name(table)}(id integer primary key, account text, amount integer)')
    db.executemany(f'insert into {name(table)} values(?, ?, ?)',
                   ((i, f'a{i * 7919 % accounts}', 1000 + i * 31 % 977) for i in range(1, rows + 1)))
    db.execute('commit')
    result = db.execute(f'select count(*), coalesce(sum(amount), 0) from {name(table)}').fetchone()
    db.close()
    return result


def writer(path, table, seconds=5.0, pause_ms=2.0, append=False, stop=None, seed=1):
    """Moves money between two random rows per transaction until the time is over or stop() says so;
    with append also adds pairs of rows above the highest id whose amounts cancel out."""
    db, rng = connect(path), random.Random(seed)
    low, high = db.execute(f'select min(id), max(id) from {name(table)}').fetchone()
    end, moves = time.monotonic() + seconds, 0
    while time.monotonic() < end and not (stop and stop()):
        a, b, amount = rng.randint(low, high), rng.randint(low, high), rng.randint(1, 50)
        db.execute('begin immediate')
        db.execute(f'update {name(table)} set amount = amount - ? where id = ?', (amount, a))
        db.execute(f'update {name(table)} set amount = amount + ? where id = ?', (amount, b))
        if append and moves % 10 == 0:
            db.execute(f'insert into {name(table)} select max(id) + 1, ?, ? from {name(table)}',
                       (f'a{rng.randint(0, 99)}', amount))
            db.execute(f'insert into {name(table)} select max(id) + 1, ?, ? from {name(table)}',
                       (f'a{rng.randint(0, 99)}', -amount))
        db.execute('commit')
        moves += 1
        if pause_ms:
            time.sleep(pause_ms / 1000)
    db.close()
    return moves


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def holders(path):
    """(pid, version) of every holder whose lock is held."""
    found = []
    for lock in glob.glob(os.path.join(path, 'holder-*.lock')):
        with open(lock, 'rb') as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found.append((int(f.read().split()[0] or 0), int(lock.rsplit('-', 1)[1][:-5])))
    return found


# ----------------------------------------------------------------------------- what a table holds

def json_lines(path):
    with open(path, encoding='utf-8') as f:
        for line in f:
            if not line.startswith('#'):
                yield json.loads(line.rstrip('\n').split('\t', 1)[1])


def manifest_rows(folder, problems):
    for manifest in sorted(glob.glob(os.path.join(folder, 'manifest-*'))):
        if manifest.endswith('.tmp'):
            continue
        with open(manifest, encoding='utf-8') as f:
            lines = f.read().split('\n')
        if not lines[-2].startswith('#end '):
            problems.append(f'{manifest} is cut off')
        for line in lines:
            if line and not line.startswith('#'):
                part, want = line.rsplit(' ', 1)
                if not os.path.exists(os.path.join(folder, part)):
                    problems.append(f'{manifest} lists {part}, which is not there')
                    continue
                rows = list(json_lines(os.path.join(folder, part)))
                if len(rows) != int(want):
                    problems.append(f'{part} has {len(rows)} rows, the manifest says {want}')
                yield from rows


def settled_rows(folder, problems):
    commits = sorted(glob.glob(os.path.join(folder, 'commit-' + '[0-9]' * 8)))
    if not commits:
        return
    with open(commits[-1], encoding='utf-8') as f:
        for line in f.read().split('\n')[1:]:
            if line:
                yield from json_lines(os.path.join(folder, line.split(' ', 1)[1]))


def table_rows(path, table, problems):
    """Rows (lists) of a destination: a table of the server, or files."""
    folder = os.path.join(path, 'files', table)
    if os.path.isdir(folder):
        if glob.glob(os.path.join(folder, 'commit-*')):
            return list(settled_rows(folder, problems))
        return list(manifest_rows(folder, problems))
    db = connect(path)
    rows = db.execute(f'select * from {name(table)}').fetchall() if has_table(db, table) else []
    db.close()
    return rows


def column_of(path, table, column):
    """Place of a column; files have the source's order: id, account, amount."""
    db = connect(path)
    names = [r[1] for r in db.execute(f'pragma table_info({name(table)})')]
    db.close()
    return (names or ['id', 'account', 'amount']).index(column)


def leftovers(path, table):
    db, left = connect(path), {}
    if has_table(db, 'wherry_run'):
        left['open_runs'] = db.execute(
            "select count(*) from wherry_run where state = 'open'").fetchone()[0]
        left['markers'] = db.execute('select count(*) from wherry_unit').fetchone()[0]
        left['targets'] = db.execute('select count(*) from wherry_target').fetchone()[0]
        left['dead_sessions'] = sum(
            1 for (pid,) in db.execute('select pid from hard_session') if not alive(pid))
    db.close()
    folder = os.path.join(path, 'files', table)
    listed = ''
    for manifest in glob.glob(os.path.join(folder, 'manifest-*')):
        with open(manifest, encoding='utf-8') as f:
            listed += f.read()
    left['stages'] = sum(1 for p in os.listdir(folder) if p.endswith('.tmp') or
                         (p.startswith('part-') and p not in listed)) if os.path.isdir(folder) else 0
    left['holders'] = len(holders(path))
    return left


def judge(path, table, rows=None, total=None, refused=None, allow=('dead_sessions',)):
    """Everything about a destination as a dict; result['problems'] is empty if all is well.

    rows: ids 1..rows must be there once each, less those that `refused` (SQL over id) is true for.
    total: what the amounts must add up to. allow: leftovers that are no problem."""
    problems = []
    found = table_rows(path, table, problems)
    result = {'rows': len(found)}
    if found and rows is not None:
        place = column_of(path, table, 'id')
        counts = {}
        for r in found:
            counts[r[place]] = counts.get(r[place], 0) + 1
        want = set(range(1, rows + 1))
        if refused:
            db = sqlite3.connect(':memory:')
            want = {i for i in want if not db.execute(
                f'select ({refused}) from (select ? as id)', (i,)).fetchone()[0]}
        result['distinct'] = len(counts)
        result['doubled'] = sum(n - 1 for n in counts.values())
        result['missing'] = len(want - set(counts))
        result['extra'] = len(set(counts) - want)
        for k in ('doubled', 'missing', 'extra'):
            if result[k]:
                problems.append(f'{result[k]} rows {k}')
    elif rows:
        problems.append('no rows at all')
    if found and total is not None:
        place = column_of(path, table, 'amount')
        result['sum'] = sum(int(r[place]) for r in found)
        if result['sum'] != total:
            problems.append(f'sum {result["sum"]}, not {total}')
    result['leftovers'] = leftovers(path, table)
    problems += [f'{n} {k} left' for k, n in result['leftovers'].items() if n and k not in allow]
    result['problems'] = problems
    return result


def gc(path):
    db = connect(path)
    if not has_table(db, 'hard_version'):
        return 0
    living = {v for _, v in holders(path)}
    gone = [v for (v,) in db.execute('select version from hard_version') if v not in living]
    for v in gone:
        db.execute('begin immediate')
        for (t,) in db.execute("select name from sqlite_schema where type = 'table' and name like ?",
                               (f'@{v}@%',)).fetchall():
            db.execute(f'drop table {name(t)}')
        db.execute('delete from hard_version where version = ?', (v,))
        db.execute('commit')
    for pid, in db.execute('select distinct pid from hard_session').fetchall():
        if not alive(pid):
            db.execute('delete from hard_session where pid = ?', (pid,))
    db.close()
    return len(gone)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    sub = p.add_subparsers(dest='command', required=True)
    for command, words in (('fill', 'path table rows:int'), ('writer', 'path table'),
                           ('judge', 'path table'), ('holders', 'path'), ('sessions', 'path'),
                           ('gc', 'path')):
        c = sub.add_parser(command)
        for word in words.split():
            c.add_argument(word.split(':')[0], type=int if word.endswith(':int') else str)
        if command == 'fill':
            c.add_argument('--accounts', type=int, default=100)
        if command == 'writer':
            c.add_argument('--seconds', type=float, default=5)
            c.add_argument('--pause', type=float, default=2, help='ms between two moves')
            c.add_argument('--append', action='store_true')
            c.add_argument('--seed', type=int, default=1)
        if command == 'judge':
            c.add_argument('--rows', type=int)
            c.add_argument('--sum', type=int)
            c.add_argument('--refused', help='SQL over id: rows that the server refused')
            c.add_argument('--allow', default='dead_sessions', help='leftovers that are no problem')
        if command == 'holders':
            c.add_argument('--kill', action='store_true')
    return p.parse_args()


def main():
    a = arguments()
    if a.command == 'fill':
        print('%d rows, sum %d' % fill(a.path, a.table, a.rows, a.accounts))
    elif a.command == 'writer':
        print(writer(a.path, a.table, a.seconds, a.pause, a.append, seed=a.seed), 'moves')
    elif a.command == 'judge':
        result = judge(a.path, a.table, a.rows, a.sum, a.refused, a.allow.split(','))
        print(json.dumps(result))
        return 1 if result['problems'] else 0
    elif a.command == 'holders':
        for pid, version in holders(a.path):
            print(pid, version)
            if a.kill:
                os.kill(pid, 9)
    elif a.command == 'sessions':
        db = connect(a.path)
        for row in db.execute('select * from hard_session'):
            print(*row, 'alive' if alive(row[3]) else 'dead')
    else:
        print(gc(a.path), 'versions dropped')
    return 0


if __name__ == '__main__':
    sys.exit(main())
