#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every connector that reads into every connector that writes: types with their extremes, shapes of tables,
cancel, kill -9, restarts, locks, bad rows, writers at the source.

    tests/conformance/test_conformance.py [--all] [WORD...]   only jobs whose name holds one of the words
    tests/conformance/test_conformance.py --write             writes docs/conformance.md anew

Red when a value arrives as another one, when a row is lost, doubled, or refused without a name, and when
docs/conformance.md is not what came out. A new connector is a class in ends.py; a new type, a line in
kinds.py; a new case, a line in trials.py. --all kills at more points."""
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'lib')]
import ends  # noqa: E402
import harness  # noqa: E402
import page  # noqa: E402
import pairs  # noqa: E402
import servers  # noqa: E402
import trials  # noqa: E402


def types(pg, out):
    jobs = [('types of ' + e.name, pairs.pair, (e.name, pg, out)) for e in ends.SOURCES if e.name != 'gen']
    return jobs + [('types of gen to ' + e.name, pairs.gen_pair, (e.name, pg, out)) for e in ends.SINKS]


def main(words):
    t = harness.Tally('conformance', harness.seed_of())
    if not servers.binaries():
        t.skip('missing: no PostgreSQL server is installed')
        return t.finish()
    if '--all' in words:
        trials.KILLS += trials.MORE_KILLS
    chosen = [w for w in words if not w.startswith('--')]
    out = tempfile.mkdtemp(prefix='wherry-conformance-')
    trials.prepare()
    with servers.Postgres() as pg:
        jobs = types(pg, out) + ([] if '--write' in words else trials.jobs(pg))
        harness.run_jobs(t, sorted([j for j in jobs if not chosen or any(w in j[0] for w in chosen)],
                                   key=lambda j: not j[0].startswith(('a server', 'types of gen to post', 'kill'))))
    if not chosen:
        page.check(t, out, '--write' in words)
    shutil.rmtree(out)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
