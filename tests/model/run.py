#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the Promela models of the commit protocols with spin, and that the controls fail.

    tests/model/run.py [--all] [--only WORD]

A case is (model, name, kind, defines). `holds`: no assertion fails and no state is a dead
end, over every interleaving. `ends`: no cycle, so every behaviour comes to the end that init
checks. `fails`: spin must find an error; a control that holds would mean that the model does not
test the part it switches off. Red when the protocol, or the model's power to find its absence, is
broken."""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# (model, name, kind, defines)
CASES = [
    # two engines, everything: cut links, a kill, a restart with a new generation
    ('marker', 'two engines', 'holds', ['-DNE=2', '-DCUTS=1']),
    ('marker', 'two engines, two cuts', 'holds', ['-DNE=2', '-DCUTS=2']),
    ('marker', 'two engines end', 'ends', ['-DNE=2', '-DCUTS=1']),
    ('marker', 'three engines, one killed', 'holds', ['-DNE=3', '-DCUTS=0', '-DKILLS=1', '-DRESTARTS=0']),
    # what must break without each part: rows twice, rows twice, an old transaction alive, rows missing
    ('marker', 'control: no markers', 'fails', ['-DNE=2', '-DMARKER=0', '-DEND=0']),
    ('marker', 'control: epoch not compared', 'fails', ['-DNE=2', '-DEPOCH=0', '-DEND=0']),
    ('marker', 'control: claim and close do not wait', 'fails', ['-DNE=2', '-DEXCL=0', '-DEND=0']),
    ('marker', 'control: unknown outcome guessed', 'fails', ['-DNE=2', '-DLOOKUP=0']),
    ('marker', 'control: rest not in the marker', 'fails', ['-DNE=2', '-DREST=0']),
    ('staged', 'two engines', 'holds', ['-DNE=2']),
    ('staged', 'two engines end', 'ends', ['-DNE=2']),
    ('staged', 'two engines, the state does not fence', 'holds', ['-DNE=2', '-DFENCE=0']),
    ('staged', 'control: publish what is found', 'fails', ['-DNE=2', '-DRECEIPT=0']),
    ('staged', 'control: the last record wins', 'fails', ['-DNE=2', '-DFIRST=0', '-DFENCE=0']),
]
# In check-all: three engines with restarts and cuts; the last by bit-state hashing (not exhaustive).
CASES_ALL = [
    ('marker', 'three engines, a restart', 'holds', ['-DNE=3', '-DCUTS=0', '-DKILLS=0', '-DRESTARTS=1']),
    ('marker', 'three engines end', 'ends', ['-DNE=3', '-DCUTS=0', '-DKILLS=0', '-DRESTARTS=0']),
    ('staged', 'three engines', 'holds', ['-DNE=3']),
    ('marker', 'three engines, everything (bit-state)', 'sampled', ['-DNE=3', '-DCUTS=1', '-DKILLS=2', '-DRESTARTS=1']),
]


def sh(cmd, cwd, timeout):
    p = subprocess.run(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=timeout)
    return p.returncode, p.stdout.decode('utf-8', 'replace')


def explain(work, model, defines):
    """The last lines of spin's counter-example, for the log."""
    _, out = sh(['spin'] + defines + ['-t', '-p', model], work, 120)
    return '\n'.join(out.splitlines()[-60:])


def check(work, model, kind, defines):
    """(errors found, states, whole output)"""
    code, out = sh(['spin'] + defines + ['-a', model], work, 60)
    if code or not os.path.exists(os.path.join(work, 'pan.c')):
        return None, 0, out
    flags = {'ends': ['-DNP', '-DNOFAIR', '-DCOLLAPSE'], 'sampled': ['-DSAFETY', '-DBITSTATE']}.get(
        kind, ['-DSAFETY', '-DCOLLAPSE'])
    code, out = sh(['gcc', '-O1', '-w'] + flags + ['-o', 'pan', 'pan.c'], work, 120)
    if code:
        return None, 0, out
    args = ['./pan', '-m400000'] + {'ends': ['-l', '-w24'], 'sampled': ['-w31', '-k3']}.get(kind, ['-w24'])
    if kind == 'sampled':
        args = ['timeout', '-s', 'INT', '120'] + args
    code, out = sh(args, work, 900)
    errors = re.search(r'errors: (\d+)', out)
    states = re.search(r'(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored', out)
    complete = 'Search not completed' not in out or kind == 'sampled'
    if not errors or (not complete and errors.group(1) == '0') or 'max search depth too small' in out:
        return None, 0, out
    return int(errors.group(1)), float(states.group(1)) if states else 0, out


def run_case(case):
    """(good, text) of one case, in a folder of its own."""
    base, name, kind, defines = case
    with tempfile.TemporaryDirectory(prefix='wherry-model-') as work:
        start = time.monotonic()
        model = os.path.join(HERE, base + '.pml')
        errors, states, out = check(work, model, kind, defines)
        good = errors is not None and (errors > 0) == (kind == 'fails')
        said = re.findall(r'^pan:1: (.*?)(?: \(at depth.*)?$', out, re.M)
        text = '%-4s %-6s %-38s %-8s %12.0f states %6.1f s  %s' % (
            'ok' if good else 'BAD', base, name, kind, states, time.monotonic() - start, said[0] if said else '')
        if not good:
            text += '\n' + out[-4000:] + ('\n' + explain(work, model, defines) if errors else '')
    return good, text


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--all', action='store_true')
    ap.add_argument('--only', help='cases whose name holds this word')
    args = ap.parse_args()
    cases = [c for c in CASES + (CASES_ALL if args.all else []) if not args.only or args.only in c[1]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for good, text in pool.map(run_case, cases):
            print(text, flush=True)
            failed += not good
    print('%d passed, %d failed, 0 skipped' % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
