#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The engine suite on the hard cases (tests/fakes/hard/README.md): plan, run, kill -9 at every named
point, resume without help, zombies, dirty rows, cancel, limits, conservation, targets and identity.

    tests/engine/test_engine.py [WORD...]      only jobs whose name holds one of the words

Red when a row is lost, doubled or changed, when a resume does not end or leaves something behind,
when a word of plan or summary is not true, or when a control stays green. Judged by hardctl.py and
Python's sqlite3. WH_TEST_SEED repeats a run; WH_TEST_FAST is less of everything, a sample of the
kill points (sanitizers);
WH_TEST_LATER_STEP=1 kills at every later hit as well; WH_TEST_KEEP leaves the folders."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import again  # noqa: E402
import archives  # noqa: E402
import cases  # noqa: E402
import columns  # noqa: E402
import faults  # noqa: E402
import files_options  # noqa: E402
import files_packed  # noqa: E402
import files_sealed  # noqa: E402
import harness  # noqa: E402
import kills  # noqa: E402
import many  # noqa: E402
import night  # noqa: E402
import pieces  # noqa: E402
import plans  # noqa: E402
import statements  # noqa: E402
import stops  # noqa: E402

# Jobs for every case, and jobs that stand alone; the longest first.
EACH = [('kill first', lambda t, n: kills.every_point(t, n, cases.LARGE, True)),
        ('zombies', stops.zombies),
        ('injected', faults.injected),
        ('kill later', lambda t, n: kills.every_point(t, n, cases.SMALL, False)),
        ('signals', stops.signals),
        ('dirty', faults.dirty),
        ('plan', plans.touches_nothing),
        ('control markers', kills.control_markers),
        ('control snapshot', kills.control_snapshot)]
SOME = [('tables', many.tables, 'late'), ('tables', many.tables, 'paged'), ('tables', many.tables, 'held'),
        ('tables', many.tables, 'sessions'), ('tables', many.tables, 'manifest')]
ALONE = [kills.last_unit, many.upserts, many.one_fails, many.two_resumes, many.discard_living, many.source_gone,
         faults.out_of_tries, faults.kept_elsewhere, faults.holder_dies, stops.cancelled, stops.own_limits, plans.held_words, plans.refused_plan,
         again.same_identity, again.job_changed, again.copy_does_not_guess, again.targets, again.fresh,
         again.target_changed, again.living_owner_stopped,
         night.stopped_while_it_waits, night.lost_state, night.owner_elsewhere, night.restored,
         night.what_was_committed, night.closed_pipe,
         statements.statements, statements.statements_again, statements.statement_fails,
         files_options.which_files, files_options.nothing_to_read, files_options.ready, files_options.sums, files_options.codecs, files_options.provenance,
         columns.lines, columns.converted, columns.declared,
         files_options.written_beside, files_options.put_away, files_options.odd_folders, files_options.put_away_killed] + files_packed.ALL + files_sealed.ALL + archives.ALL + pieces.ALL


# No hard case keeps a memo, nor does one do anything after its publishing: there, what is real is killed.
ELSEWHERE = dict.fromkeys(['remember-before', 'remember-after'] + ['finish-step-' + p for p in ('before', 'intended', 'applied', 'recorded')],
                          'tests/integration/postgresql/test_edges.py: killed_elsewhere')
ELSEWHERE.update(dict.fromkeys(['retire-before', 'retire-after'], 'files_options.py: put_away_killed'))
ELSEWHERE.update(dict.fromkeys(['compare-before', 'compared', 'compare-recorded'], 'tests/cli/validated.py: part_of_run'))


def jobs():
    out = [('%s %s' % (name, c.name), job, (c.name,)) for name, job in EACH for c in cases.CASES]
    out += [('%s %s' % (name, case), job, (case,)) for name, job, case in SOME]
    return out + [(job.__name__, job, ()) for job in ALONE]


def main():
    t = harness.Tally('engine suite on the hard cases', harness.seed_of())
    words = sys.argv[1:]
    chosen = [j for j in jobs() if not words or any(w in j[0] for w in words)]
    harness.run_jobs(t, chosen)
    if not words:
        t.histogram(harness.PHASES)
        t.check(t.notes['sessions: mixed'] > 0, 'a snapshot in sessions was lost at no kill')
        missing = [p for p, _ in harness.kill_points() if not t.notes['reached ' + p]]
        print('kill points that no case reaches: %s' % (', '.join(missing) or 'none'))
        t.check(set(missing) <= set(ELSEWHERE), 'points that nobody reaches', sorted(set(missing) - set(ELSEWHERE)))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
