#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th allocation fails, for N = 1, 2, ... until the run is not touched any more (src/core/alloc.c,
WH_TEST_FAIL_ALLOC). In the soak every N; else a few dozen of each job, evenly, from an offset by chance.

    tests/fault/test_alloc.py [WORD...]     only jobs whose name holds one of the words

Red when it crashes, hangs, ends in another way than "out of memory, try again" or success, or when what
`wherry resume` leaves is not the source, row by row. WHERRY_PROGRAM may be a build with sanitizers."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402

LIMIT = kit.FAULTS * 3


def due(b, n):
    """Whether a run makes n allocations: the failure asked for is noted by the program."""
    b.clean()
    log = b.place.path('tmp', 'due')
    b.run(WH_TEST_FAIL_ALLOC=str(n), WH_TEST_FAIL_LOG=log)
    return os.path.exists(log)


def how_many(b):
    """About the number of allocations that a run makes (threads make it vary)."""
    low, high = 1, 4096
    while due(b, high):
        low, high = high, high * 2
    while high - low > max(8, high // 64):
        middle = (low + high) // 2
        low, high = (middle, high) if due(b, middle) else (low, middle)
    return high


def sweep(t, server, name):
    with kit.Bench(name, server) as b:
        n = how_many(b)
        tried = kit.chosen(t.rng, n + 5, LIMIT)
        for i in tried:
            kit.trial(t, b, 'allocation %d of %d fails' % (i, n), lambda i=i: b.run(WH_TEST_FAIL_ALLOC=str(i)), allowed=(0, 5))
        print('%s: %d of about %d allocations' % (name, len(tried), n))


def resumed(t, server, name):
    """The same of a resume: the run was killed in its middle, and what goes on with it has no memory."""
    with kit.Bench(name, server) as b:
        def act(i):
            code, out, err = b.run(WH_TEST_KILL='record-after:2')
            if code != -kit.signal.SIGKILL:
                return code, out, err
            return b.go(['resume', '--json'], WH_TEST_FAIL_ALLOC=str(i))
        for i in kit.chosen(t.rng, 1000, LIMIT // 2):
            kit.trial(t, b, 'allocation %d of a resume fails' % i, lambda i=i: act(i), allowed=(0, 5))


def recorded(b, n):
    """Whether the run that allocation n ends has left a record."""
    b.clean()
    b.run(WH_TEST_FAIL_ALLOC=str(n))
    return bool(b.place.leftovers())


def claim(t, server, name):
    """One by one around the run's first record: what it then reads again of itself must not be taken for the doing
    of somebody else (a copy that met its own record ended with 2)."""
    with kit.Bench(name, server) as b:
        first = next((n for n in range(STEP, 2000, STEP) if recorded(b, n)), None)
        if not t.check(first, '%s: some allocation fails behind the first record' % name):
            return
        for i in range(first - STEP, first + 2 * STEP):
            kit.trial(t, b, 'allocation %d, near the first record, fails' % i, lambda i=i: b.run(WH_TEST_FAIL_ALLOC=str(i)),
                      allowed=(0, 5))


STEP = 16
CLAIMS = [('claim: ' + n, claim, (n,)) for n in ('csv > sqlite, upsert',)]
RESUMED = [('resumed: ' + n, resumed, (n,)) for n in ('csv > sqlite', 'csv > folder', 'pg > pg as bytes', 'sqlite > pg, upsert')]

if __name__ == '__main__':
    sys.exit(kit.main('allocations fail', [(name, sweep, (name,)) for name in kit.JOBS] + RESUMED + CLAIMS, sys.argv[1:], workers=2))
