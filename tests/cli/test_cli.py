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
import imports  # noqa: E402
import output  # noqa: E402
import own  # noqa: E402
import refused  # noqa: E402
import steer  # noqa: E402
import validated  # noqa: E402
import words  # noqa: E402

JOBS = [words.schema, words.schema_and_reader_agree, words.completion, words.complete_words, words.origin,
        own.connections, own.passwords, own.saved,
        steer.limit, steer.watch, steer.logs, steer.unlock, steer.gc,
        refused.listed, refused.exported, refused.dropped, refused.replayed, refused.replay_refused,
        refused.replay_killed,
        imports.datax, imports.datax_moves, imports.cdm, imports.sling, imports.refused, imports.not_here,
        validated.stats, validated.rows, validated.rows_many, validated.words_of, validated.written,
        output.empty, output.which, output.quiet,
        output.terminal, output.for_programs, output.traps]


def main():
    t = harness.Tally('commands', harness.seed_of())
    chosen = [(j.__name__, j, ()) for j in JOBS if not sys.argv[1:] or any(w in j.__name__ for w in sys.argv[1:])]
    harness.run_jobs(t, chosen, workers=2)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
