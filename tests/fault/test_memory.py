#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rows up to max_row_bytes and above it under a ceiling of resident memory, on four lanes.

    tests/fault/test_memory.py

The kernel tells the peak of resident memory of each process (ru_maxrss). Red when a run needs more
than --memory, dies of a long row, loses or doubles one, or archives other rows than the two
that are longer than max_row_bytes, with their places."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.abspath(os.environ.get('WHERRY_PROGRAM', os.path.join(ROOT, 'build', 'wherry')))
MIB = 1 << 20
LENGTHS = [10, MIB, 3 * MIB, 4 * MIB - 100, 4 * MIB + 1, 64 * 1000 * 1000, 10] + [MIB] * 16 + [3 * MIB] * 8
LONG = {4, 5}       # numbers of the rows that are too long


def text(i, n):
    return chr(97 + i % 26) * n


def write_csv(path):
    with open(path, 'w', encoding='ascii') as f:
        f.write('id,doc\n')
        for i, n in enumerate(LENGTHS):
            f.write('%d,%s\n' % (i, text(i, n)))


def write_sqlite(path):
    db = sqlite3.connect(path)
    db.execute('create table a(id integer primary key, doc text)')
    db.executemany('insert into a values (?,?)', ((i, text(i, n)) for i, n in enumerate(LENGTHS)))
    db.commit()
    db.close()


def rows_of(path):
    """{id: length}, and that each value is what was written."""
    found = {}
    if path.endswith('.db'):
        got = list(sqlite3.connect(path).execute('select id, length(doc), substr(doc, 1, 1), doc = '
                                                 'replace(doc, substr(doc, 2, 1), substr(doc, 1, 1)) from a'))
        for i, n, first, same in got:
            found.setdefault(int(i), []).append(n if first == text(int(i), 1) and same else -1)
        return found
    with open(path, encoding='ascii') as f:
        next(f) if path.endswith('.csv') else None
        for line in f:
            i, doc = line.rstrip('\n').split(',', 1) if path.endswith('.csv') else json.loads(line).values()
            found.setdefault(int(i), []).append(len(doc) if set(doc) == {text(int(i), 1)} else -1)
    return found


def run(folder, state, source, target, memory):
    """(exit code, peak in kB, archived rows, what it said)"""
    env = dict(os.environ, HOME=state, XDG_STATE_HOME=state)
    p = subprocess.Popen([PROGRAM, 'copy', source, target, '--memory', '%dMB' % memory, '--dirty', 'rows=5', '-j', '4'], cwd=folder,
                         env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = p.stderr.read().decode('utf-8', 'replace')
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    archived = []
    for base, _, names in os.walk(state):
        for name in names:
            if name.endswith('.jsonl') and os.sep + 'dirty' + os.sep in base + os.sep:
                with open(os.path.join(base, name), encoding='utf-8') as f:
                    archived += [a for a in map(json.loads, f) if 'code' in a]
    return p.returncode, usage.ru_maxrss, archived, said


def check(base, source, target, memory):
    state = os.path.join(base, 'state')
    shutil.rmtree(state, ignore_errors=True)
    os.makedirs(state)
    out = target.split('#')[0]
    code, peak, archived, said = run(base, state, source, target, memory)
    wrong = []
    if code != 0:
        wrong.append('exit %d: %s' % (code, said[-400:]))
    if peak > memory * 1000000 / 1024 and 'san' not in os.environ.get('WH_TEST_BUILD', ''):
        wrong.append('%d kB resident' % peak)
    if code == 0 and out != 'null:':
        want = {i: [n] for i, n in enumerate(LENGTHS) if i not in LONG}
        got = rows_of(os.path.join(base, out))
        if got != want:
            wrong.append('rows differ: %s' % {i: got.get(i) for i in want if got.get(i) != want[i]})
    if code == 0 and (len(archived) != len(LONG) or {a['code'] for a in archived} != {'E6010'} or not all(a['position'] for a in archived)):
        wrong.append('archived: %s' % [(a['code'], a['position']) for a in archived])
    print('%-6s %-12s > %-10s %4d MB: peak %6d kB  %s' % ('ok' if not wrong else 'FAILED', source, target, memory, peak, '; '.join(wrong)))
    return not wrong


def main():
    if sys.argv[1:2] == ['--make']:
        write_csv(os.path.join(sys.argv[2], 'a.csv'))
        write_sqlite(os.path.join(sys.argv[2], 'a.db'))
        return 0
    base = tempfile.mkdtemp(prefix='wherry-memory-')
    passed = failed = 0
    try:
        # In a process of its own: what this one once held would count as the peak of its children.
        subprocess.run([sys.executable, os.path.abspath(__file__), '--make', base], check=True)
        for source, target, memory in (('a.csv', 'o1.csv', 64), ('a.csv', 'o2.db#a', 64), ('a.csv', 'null:', 64), ('a.csv', 'o6.jsonl', 64),
                                       ('sqlite:a.db#a', 'o3.csv', 256), ('a.csv', 'o4.jsonl', 256), ('a.csv', 'o5.db#a', 256)):
            good = check(base, source, target, memory)
            passed += good
            failed += not good
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print('%d passed, %d failed, 0 skipped' % (passed, failed))
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
