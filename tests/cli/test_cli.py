#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands that look, describe, remember and steer: what the engine suite and the golden cases do not
reach. Needs python3-jsonschema, python3-yaml, tmux, bash, zsh and fish.

    tests/cli/test_cli.py [WORD...]      only jobs whose name holds a word

Red when a command of the list below does not do what INTERFACE.md says; each job says more."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
sys.path.insert(0, HERE)
import harness  # noqa: E402
import archive  # noqa: E402
import debug  # noqa: E402
import dirty_limits  # noqa: E402
import events  # noqa: E402
import imports  # noqa: E402
import nights  # noqa: E402
import output  # noqa: E402
import own  # noqa: E402
import plans  # noqa: E402
import refused  # noqa: E402
import runs  # noqa: E402
import screens  # noqa: E402
import settings  # noqa: E402
import steer  # noqa: E402
import textfiles  # noqa: E402
import validated  # noqa: E402
import words  # noqa: E402

JOBS = [words.schema, words.schema_and_reader_agree, words.completion, words.complete_words, words.origin,
        own.connections, own.passwords, own.saved,
        steer.at_once, steer.limit, steer.watch, steer.speed, steer.logs, steer.unlock, steer.gc,
        plans.carried_out, plans.another, plans.kept_files, plans.refused, plans.still_fits, plans.stopped, plans.side_by_side, plans.damaged, plans.output_files, plans.secrets,
        plans.shapes, plans.changes, debug.components, debug.erased,
        refused.listed, refused.exported, refused.both_ends, refused.beginnings, refused.dropped, refused.replayed, refused.replay_refused,
        refused.replay_killed,
        archive.kept, archive.shared, archive.said_wrong, archive.killed, archive.cannot_be_written, archive.beside_the_job,
        archive.thirty_days,
        dirty_limits.borders, dirty_limits.over_lanes, dirty_limits.into_files, dirty_limits.by_key, dirty_limits.words_of_changed,
        dirty_limits.words_of_locked,
        imports.datax, imports.datax_moves, imports.cdm, imports.sling, imports.refused, imports.not_here,
        validated.stats, validated.rows, validated.rows_many, validated.words_of, validated.written,
        validated.sampled, validated.extra, validated.as_of, validated.after_refused, validated.part_of_run,
        validated.refused_in_plan,
        output.empty, output.which, output.quiet,
        output.summary_of_refused, output.terminal, output.for_programs, output.traps,
        events.not_begun,
        settings.table, settings.limit_of_none, textfiles.read, textfiles.headers, textfiles.templates, textfiles.objects, events.ends, events.interrupted, events.again, events.masked,
        runs.several, runs.finished, runs.goes_on, runs.consent, runs.dry, runs.stopped, runs.waited, runs.elsewhere, runs.other_ends, runs.damaged_state, runs.guarded, runs.edited, runs.twice, runs.selected,
        nights.systemd, nights.cron, nights.first,
        screens.narrow, screens.suspended, screens.watched, screens.plainly, screens.unseen, screens.wide, screens.looked]


def main():
    t = harness.Tally('commands', harness.seed_of())
    chosen = [(j.__name__, j, ()) for j in JOBS if not sys.argv[1:] or any(w in j.__name__ for w in sys.argv[1:])]
    harness.run_jobs(t, chosen, workers=2)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
