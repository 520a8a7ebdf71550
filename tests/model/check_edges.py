#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares logged state transitions of real runs with the edges of the model.

    tests/model/check_edges.py FILE...      each line `<what> <id> <from> <to>` (WH_TEST_TRANSITIONS)
    tests/model/check_edges.py --list       the edges

The edges are read from the edge(what, from, to) calls of marker.pml; what the model leaves out has
a row in edges.txt with its reason. Red when a run did something that the model does not know, or
when the logs do not even show the ordinary way of a run (then they prove nothing)."""
import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WHAT = {'s_run': 'run', 's_flow': 'flow', 's_unit': 'unit', 's_step': 'step'}
# A log without these is not the log of a run.
ORDINARY = [('run', 'claimed', 'moving'), ('run', 'closing', 'closed'), ('unit', 'drawn', 'leased'),
            ('unit', 'leased', 'recorded')]


def edges():
    out = {}
    with open(os.path.join(HERE, 'marker.pml'), encoding='utf-8') as f:
        for m in re.finditer(r'\bedge\((s_\w+)(?:\[[^\]]*\])?, (\w+), (\w+)\)', f.read()):
            out[(WHAT[m.group(1)], m.group(2), m.group(3))] = 'model'
    with open(os.path.join(HERE, 'edges.txt'), encoding='utf-8') as f:
        for line in f:
            line = line.split('#')[0].split()
            if line:
                out.setdefault((line[0], line[1], line[2]), 'edges.txt')
    return out


def main():
    known = edges()
    if sys.argv[1:] == ['--list']:
        for edge in sorted(known):
            print('%-5s %-11s %-11s %s' % (*edge, known[edge]))
        return 0
    seen, unknown, bad_lines = collections.Counter(), {}, 0
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8', errors='replace') as f:
            for number, line in enumerate(f, 1):
                part = line.split()
                if len(part) != 4:
                    bad_lines += 1
                    print('%s:%d: not a transition: %s' % (path, number, line.rstrip()[:120]))
                    continue
                edge = (part[0], part[2], part[3])
                seen[edge] += 1
                if edge not in known:
                    unknown.setdefault(edge, '%s:%d: %s' % (path, number, line.strip()))
    for edge in sorted(seen):
        print('%8d  %-5s %s -> %s%s' % (seen[edge], *edge, '' if edge in known else '   NOT AN EDGE'))
    for where in unknown.values():
        print('not an edge of the model: ' + where)
    missing = [e for e in ORDINARY if not seen[e]]
    for e in missing:
        print('no %s went from %s to %s in these logs' % e)
    print('%d of %d edges of the model seen, %d transitions' %
          (len([e for e in seen if e in known]), len(known), sum(seen.values())))
    failed = len(unknown) + len(missing) + bad_lines
    print('%d passed, %d failed, %d skipped' % (len([e for e in seen if e in known]), failed, 0))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
