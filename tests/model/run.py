#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the Promela model of the marker protocol with spin, and that the controls fail.

    tests/model/run.py [--all] [--keep DIR]

A case is (name, defines, what must come out). `holds`: no assertion fails and no state is a dead
end, over every interleaving. `ends`: no cycle, so every behaviour comes to the end that init
checks. `fails`: spin must find an error; a control that holds would mean that the model does not
test the part it switches off. Red when the protocol, or the model's power to find its absence, is
broken."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, 'marker.pml')

CASES = [
    # two engines, everything: cut links, a kill, a restart with a new generation
    ('two engines', 'holds', ['-DNE=2', '-DCUTS=1']),
    ('two engines, two cuts', 'holds', ['-DNE=2', '-DCUTS=2']),
    ('two engines end', 'ends', ['-DNE=2', '-DCUTS=1']),
    ('three engines, one killed', 'holds', ['-DNE=3', '-DCUTS=0', '-DKILLS=1', '-DRESTARTS=0']),
    # what must break without each part: rows twice, rows twice, an old transaction alive, rows missing
    ('control: no markers', 'fails', ['-DNE=2', '-DMARKER=0', '-DEND=0']),
    ('control: epoch not compared', 'fails', ['-DNE=2', '-DEPOCH=0', '-DEND=0']),
    ('control: claim and close do not wait', 'fails', ['-DNE=2', '-DEXCL=0', '-DEND=0']),
    ('control: unknown outcome guessed', 'fails', ['-DNE=2', '-DLOOKUP=0']),
    ('control: rest not in the marker', 'fails', ['-DNE=2', '-DREST=0']),
]
# In check-all: three engines with restarts and cuts; the last by bit-state hashing (not exhaustive).
CASES_ALL = [
    ('three engines, a restart', 'holds', ['-DNE=3', '-DCUTS=0', '-DKILLS=0', '-DRESTARTS=1']),
    ('three engines end', 'ends', ['-DNE=3', '-DCUTS=0', '-DKILLS=0', '-DRESTARTS=0']),
    ('three engines, everything (bit-state)', 'sampled', ['-DNE=3', '-DCUTS=1', '-DKILLS=2', '-DRESTARTS=1']),
]


def sh(cmd, cwd, timeout):
    p = subprocess.run(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=timeout)
    return p.returncode, p.stdout.decode('utf-8', 'replace')


def explain(work, defines):
    """The last lines of spin's counter-example, for the log."""
    _, out = sh(['spin'] + defines + ['-t', '-p', MODEL], work, 120)
    return '\n'.join(out.splitlines()[-60:])


def check(work, kind, defines):
    """(errors found, states, whole output)"""
    code, out = sh(['spin'] + defines + ['-a', MODEL], work, 60)
    if code or not os.path.exists(os.path.join(work, 'pan.c')):
        return None, 0, out
    flags = {'ends': ['-DNP', '-DNOFAIR', '-DCOLLAPSE'], 'sampled': ['-DSAFETY', '-DBITSTATE']}.get(
        kind, ['-DSAFETY', '-DCOLLAPSE'])
    code, out = sh(['gcc', '-O2', '-w'] + flags + ['-o', 'pan', 'pan.c'], work, 120)
    if code:
        return None, 0, out
    args = ['./pan', '-m400000'] + {'ends': ['-l', '-w24'], 'sampled': ['-w31', '-k3']}.get(kind, ['-w24'])
    if kind == 'sampled':
        args = ['timeout', '-s', 'INT', '240'] + args
    code, out = sh(args, work, 900)
    errors = re.search(r'errors: (\d+)', out)
    states = re.search(r'(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored', out)
    complete = 'Search not completed' not in out or kind == 'sampled'
    if not errors or (not complete and errors.group(1) == '0') or 'max search depth too small' in out:
        return None, 0, out
    return int(errors.group(1)), float(states.group(1)) if states else 0, out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--all', action='store_true')
    ap.add_argument('--only', help='cases whose name holds this word')
    args = ap.parse_args()
    passed = failed = 0
    for name, kind, defines in CASES + (CASES_ALL if args.all else []):
        if args.only and args.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix='wherry-model-') as work:
            start = time.monotonic()
            errors, states, out = check(work, kind, defines)
            good = errors is not None and (errors > 0) == (kind == 'fails')
            said = re.findall(r'^pan:1: (.*?)(?: \(at depth.*)?$', out, re.M)
            print('%-4s %-38s %-8s %12.0f states %6.1f s  %s' % ('ok' if good else 'BAD', name, kind, states,
                  time.monotonic() - start, said[0] if said else ''), flush=True)
            if not good:
                print(out[-4000:])
                if errors:
                    print(explain(work, defines))
            passed += good
            failed += not good
    print('%d passed, %d failed, %d skipped' % (passed, failed, 0))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
