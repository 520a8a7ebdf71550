#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Golden tests: words that people see, frozen.

    tests/golden/run.py --wherry PROGRAM [--update] [CASE...]

A case is one file tests/golden/cases/NAME.txt, read like a shell session:

    # Red when ...                 what would make it fail; kept
    <<< job.yaml                   a file of the scratch folder, up to
    >>>                            this line
    $ wherry plan job.yaml         a command for sh; PATH holds the program
    text of stdout
    ! text of stderr
    [exit 2]                       left out for 0

Each case runs in a scratch folder with a HOME of its own; examples/ is linked into it. What differs
from run to run is replaced (RULES). --update writes what came out; read the difference like code.
One command is one test."""
import argparse
import difflib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CASES = os.path.join(HERE, 'cases')

RULES = [
    (r'\br-\d{8}-[0-9a-f]{4,}\b', 'r-RUN'),
    (r'\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?(?=[" ,]|$)', 'TIME'),
    (r'(?<![\w.])[\d.,]+ (B|kB|MB|GB|KiB|MiB)/s', 'N MB/s'),
    (r'(?<![\w.])[\d.,]+[kM]? rows/s', 'N rows/s'),
    (r'\bcpu [\d.]+ s\b', 'cpu N s'),
    (r'\bpeak [\d.]+ (MB|MiB|kB)\b', 'peak N MB'),
    (r'(?<![\w.])\d+(\.\d+)? (ms|s)(?=[ ,.)]|$)', 'N s'),
    (r'\bpid \d+', 'pid N'),
    (r'"(seconds|cpu_seconds|peak_rss|pid)":[\d.]+', r'"\1":N'),
]


def normalise(text, scratch, program):
    text = text.replace(scratch, '$SCRATCH').replace(ROOT, '$ROOT').replace(program, 'wherry')
    text = text.replace(socket.gethostname(), 'HOST')
    out = []
    for line in text.split('\n'):
        new = line
        for pattern, to in RULES:
            new = re.sub(pattern, to, new)
        if new != line:   # widths of columns change with what was replaced
            new = re.sub(r'  +', '  ', new)
        out.append(new.rstrip())
    return '\n'.join(out)


def parse(path):
    """[(kind, text)]: kind '#' other lines, 'file' (name, text), '$' (command, expected)."""
    out, lines, i = [], open(path, encoding='utf-8').read().split('\n'), 0
    while lines and lines[-1] == '':
        lines.pop()
    while i < len(lines):
        line = lines[i]
        if line.startswith('<<< '):
            end = lines.index('>>>', i)
            out.append(('file', (line[4:].strip(), '\n'.join(lines[i + 1:end]) + '\n')))
            i = end + 1
        elif line.startswith('$ '):
            j = i + 1
            while j < len(lines) and not lines[j].startswith(('$ ', '<<< ', '# ')):
                j += 1
            out.append(('$', (line[2:], '\n'.join(lines[i + 1:j]).rstrip('\n'))))
            i = j
        else:
            out.append(('#', line))
            i += 1
    return out


def run_command(command, scratch, env, program):
    p = subprocess.run(['sh', '-c', command], cwd=scratch, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60)
    out = normalise(p.stdout.decode('utf-8', 'replace'), scratch, program).rstrip('\n')
    err = normalise(p.stderr.decode('utf-8', 'replace'), scratch, program).rstrip('\n')
    text = ([out] if out else []) + (['! ' + l if l else '!' for l in err.split('\n')] if err else [])
    if p.returncode:
        text.append('[exit %d]' % p.returncode)
    return '\n'.join(text)


def write_case(path, parts):
    with open(path, 'w', encoding='utf-8') as f:
        for kind, what in parts:
            if kind == 'file':
                f.write('<<< %s\n%s>>>\n' % what)
            elif kind == '$':
                f.write('$ %s\n%s\n' % (what[0], what[1]) if what[1] else '$ %s\n' % what[0])
            else:
                f.write(what + '\n')


def run_case(path, program, update):
    """(commands, failed)"""
    scratch = tempfile.mkdtemp(prefix='wherry-golden-')
    os.symlink(os.path.join(ROOT, 'examples'), os.path.join(scratch, 'examples'))
    bin_dir = os.path.join(scratch, '.bin')
    os.mkdir(bin_dir)
    # A link would make the program look for its modules here.
    with open(os.path.join(bin_dir, 'wherry'), 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\nexec %s "$@"\n' % program)
    os.chmod(os.path.join(bin_dir, 'wherry'), 0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'WHERRY_', 'WH_TEST_'))}
    env.update(HOME=os.path.join(scratch, '.home'), PATH=bin_dir + ':' + env.get('PATH', '/usr/bin:/bin'),
               LC_ALL='C.UTF-8', TZ='UTC', TERM='dumb', COLUMNS='100')
    os.mkdir(env['HOME'])
    n = failed = 0
    parts = parse(path)
    for i, (kind, what) in enumerate(parts):
        if kind == 'file':
            target = os.path.join(scratch, what[0])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, 'w', encoding='utf-8', newline='') as f:
                f.write(what[1])
        elif kind == '$':
            n += 1
            got = run_command(what[0], scratch, env, program)
            if got != what[1]:
                if update:
                    parts[i] = ('$', (what[0], got))
                    continue
                failed += 1
                print('FAILED %s: $ %s' % (os.path.basename(path), what[0]))
                print('\n'.join(difflib.unified_diff(what[1].split('\n'), got.split('\n'), 'expected', 'got',
                                                     lineterm='')), flush=True)
    if update:
        write_case(path, parts)
    shutil.rmtree(scratch, ignore_errors=True)
    return n, failed


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--wherry', required=True)
    ap.add_argument('--update', action='store_true')
    ap.add_argument('case', nargs='*')
    args = ap.parse_args()
    program = os.path.abspath(args.wherry)
    if not os.access(program, os.X_OK):
        print('no program at %s: run make' % program)
        return 2
    cases = sorted(f for f in os.listdir(CASES) if f.endswith('.txt'))
    total = bad = 0
    for name in cases:
        if args.case and name[:-4] not in args.case:
            continue
        n, failed = run_case(os.path.join(CASES, name), program, args.update)
        total += n
        bad += failed
        print('%-3s %s (%d)' % ('ok' if not failed else 'BAD', name, n), flush=True)
    print('%d passed, %d failed, 0 skipped' % (total - bad, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
