#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL is crashed (immediate stop) and started again while a run is under way, as source, as destination
and as both: at named points of the run, where the engine is held for the moment, and at moments by chance. It
is away for less or for longer than the engine waits.

    tests/fault/test_server.py [WORD...]     only jobs whose name holds one of the words

Red when the run ends in anything but success, exit 5, or the stop that a lost snapshot asks for (E7011); when
resume does not lead to the end; when a row is lost or doubled, or a session or holder left."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402
from kit import harness  # noqa: E402

LIMIT = 60 if kit.SOAK else max(3, kit.FAULTS // 2)
JOBS = ['pg > pg as bytes', 'sqlite > pg', 'pg > csv', 'pg > sqlite', 'pg > pg, overwrite', 'sqlite > pg, upsert']
# Before these nothing of the run is at the server.
EARLY = ('run-new', 'run-owned')


def right(code, said):
    return code in (0, 5) or (code == 1 and 'E7011' in said)


def at_point(b, server, point, away):
    """The engine stands at a point while the server crashes. away: seconds; None: until the engine has given up."""
    p = b.place.start(*b.args, '--json', WH_TEST_STOP=point, WH_TEST_OUTAGE_MS='300' if away is None else '8000',
                      WH_TEST_STALE_MS='30000')
    if not harness.wait_stopped(p, 30):
        return harness.finish(p, kit.SECONDS)
    server.stop(signal.SIGQUIT)
    if away == 0:
        server.start()
    p.send_signal(signal.SIGCONT)
    if away:
        time.sleep(away)
        server.start()
    ended = harness.finish(p, kit.SECONDS)
    if away is None:
        server.start()
    return ended


def at_moment(b, server, seconds, away):
    """Slowly, so that there is a middle."""
    p = b.place.start(*b.args, '--rows-per-second', '5000', '--json', WH_TEST_OUTAGE_MS='8000')
    time.sleep(seconds)
    server.restart(immediate=True, pause=away)
    return harness.finish(p, kit.SECONDS)


def sweep(t, _, name):
    if not kit.servers.binaries():
        t.skip('missing: postgresql-15')
        return
    server = kit.servers.Postgres()   # of this process, which crashes it
    try:
        crash(t, server, name)
    finally:
        server.remove()


def crash(t, server, name):
    with kit.Bench(name, server) as b:
        seen = [p for p in harness.reached(b.place, b.args, b.place.path('in', 'points')).items() if p[0] not in EARLY]
        for point, most in t.rng.sample(seen, min(len(seen), LIMIT * 2)):
            nth = t.rng.randint(1, most)
            away = t.rng.choice((0, 0.5, None))
            kit.trial(t, b, 'the server crashes at %s:%d, away %s s' % (point, nth, away),
                      lambda: at_point(b, server, '%s:%d' % (point, nth), away), allowed=right)
        for _ in range(LIMIT):
            seconds, away = t.rng.uniform(0.02, 0.7), t.rng.uniform(0, 0.5)
            kit.trial(t, b, 'the server crashes after %.2f s, away %.1f s' % (seconds, away),
                      lambda: at_moment(b, server, seconds, away), allowed=right)


if __name__ == '__main__':
    sys.exit(kit.main('PostgreSQL crashes', [(name, sweep, (name,)) for name in JOBS], sys.argv[1:], workers=2, needs_server=False))
