#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The engine suite on the hard cases (tests/fakes/hard/README.md): plan, run, kill -9 at every named
point, resume without help, zombies, dirty rows, cancel, limits, conservation, targets and identity.

    tests/engine/test_engine.py [WORD...]      only jobs whose name holds one of the words

Red when a row is lost, doubled or changed, when a resume does not end or leaves something behind,
when a word of plan or summary is not true, or when a control stays green. Judged by hardctl.py and
Python's sqlite3. WH_TEST_SEED repeats a run; WH_TEST_FAST is less of everything (sanitizers);
WH_TEST_LATER_STEP=1 kills at every later hit as well; WH_TEST_KEEP leaves the folders."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases  # noqa: E402
import harness  # noqa: E402
import kills  # noqa: E402


def jobs():
    out = []
    for c in cases.CASES:
        out.append(('kill first %s' % c.name, kills.every_point, (c.name, cases.LARGE, True)))
        out.append(('kill later %s' % c.name, kills.every_point, (c.name, cases.SMALL, False)))
    for c in cases.CASES:
        out.append(('control markers %s' % c.name, kills.control_markers, (c.name,)))
        out.append(('control snapshot %s' % c.name, kills.control_snapshot, (c.name,)))
    return out


def main():
    t = harness.Tally('engine suite on the hard cases', harness.seed_of())
    words = sys.argv[1:]
    chosen = [j for j in jobs() if not words or any(w in j[0] for w in words)]
    harness.run_jobs(t, chosen)
    if not words:
        t.histogram(harness.PHASES)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
