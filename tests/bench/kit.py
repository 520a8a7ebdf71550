# SPDX-License-Identifier: Apache-2.0
"""What the cases of tests/bench share: a measured process, the inputs, the table."""
import json
import os
import shutil
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.environ.get('WHERRY_BENCH') or os.path.join(ROOT, 'build', 'bench')


class Run:
    """One process: wall and CPU seconds, peak resident bytes, exit status, what it printed."""

    def __init__(self, argv, stdin=None, env=None):
        out, report = os.path.join(WORK, 'out.txt'), os.path.join(WORK, 'report.txt')
        with open(out, 'wb') as f, open(stdin or os.devnull, 'rb') as i:
            subprocess.run([os.path.join(WORK, 'measure'), report, *argv], stdin=i, stdout=f, stderr=subprocess.STDOUT,
                           env=env, cwd=WORK, check=True)
        with open(report, encoding='ascii') as f:
            wall, cpu, peak, code = f.read().split()
        self.wall, self.cpu, self.peak, self.code = float(wall), float(cpu), int(peak) * 1024, int(code)
        with open(out, encoding='utf-8', errors='replace') as f:
            self.text = f.read()


class Bench:
    def __init__(self, program, quick, pairs):
        self.program, self.quick, self.pairs = program, quick, pairs
        self.rows, self.wrong, self.at_end = [], 0, []
        subprocess.run(['gcc', '-O2', '-o', os.path.join(WORK, 'measure'), os.path.join(HERE, 'measure.c')], check=True)
        home = os.path.join(WORK, 'home')
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'WHERRY_', 'WH_TEST_'))}
        self.env['HOME'] = home

    def close(self):
        for act in self.at_end:
            act()

    def wherry(self, *words, fine=True):
        r = Run([self.program, *words], env=self.env)
        if fine and r.code:
            raise SystemExit('bench: wherry %s: exit %d\n%s' % (' '.join(words), r.code, r.text))
        return r

    def line(self, case, goal, got, cpu, peak, verified, met):
        if not verified:
            self.wrong += 1
        self.rows.append((case, goal, got, cpu, peak, 'yes' if verified else 'NO', 'met' if met else 'missed'))
        print('  %s: %s (goal %s)' % (case, got if verified else 'WRONG CONTENT', goal), flush=True)

    def lineitem(self, ending='csv'):
        """The input of the CSV cases, or the same rows as 'jsonl': made once by the program, checked by counting lines."""
        rows = 20000 if self.quick else 1000000
        path = os.path.join(WORK, 'lineitem-%d.%s' % (rows, ending))
        if not os.path.exists(path):
            self.wherry('copy', 'gen:lineitem?rows=%d,seed=1' % rows, path)
        with open(path, 'rb') as f:
            lines = sum(block.count(b'\n') for block in iter(lambda: f.read(1 << 20), b''))
        expected = rows + (ending == 'csv')
        if lines != expected:
            raise SystemExit('bench: %s has %d lines, expected %d' % (path, lines, expected))
        with open(path, 'rb') as f:   # both start with a warm cache
            while f.read(1 << 20):
                pass
        return path, rows


def duck_python():
    """A Python that has DuckDB, or None."""
    for python in filter(None, (os.environ.get('WHERRY_DUCKDB_PYTHON'), os.path.join(WORK, 'venv-duckdb', 'bin', 'python'))):
        if os.path.exists(python) and subprocess.run([python, '-c', 'import duckdb'], check=False,
                                                     stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


def mb(n):
    return '%.1f MB' % (n / 1e6)


def spread(values, unit=''):
    return '%.2f%s (%.2f to %.2f)' % (statistics.median(values), unit, min(values), max(values))


def finished(text):
    """The last event of --json."""
    for line in reversed(text.splitlines()):
        if '"run_finished"' in line:
            return json.loads(line)
    return {}
