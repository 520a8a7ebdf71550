# SPDX-License-Identifier: Apache-2.0
"""The machinery of tools/check: stages, counting, builds, logs. What the stages do is in stages.py.

A stage is a function that gets a Stage object. It runs commands with s.sh(), counts with s.ok(),
s.bad(), s.skip() or with the s.meson()/s.script() helpers, which count what the tests themselves
report. A stage that counts nothing, or raises, has failed.

How a test program reports (s.meson and s.script understand both):
  * cmocka's own lines;
  * a last line `N passed, N failed, N skipped`, with lines `SKIP missing: why` (something that
    could be installed is not here: a failure under CI) or `SKIP unsuitable: why` (cannot be here);
  * neither: its exit status is one test (77 = skipped).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, 'build', 'logs')
FLOOR = os.path.join(ROOT, 'tests', 'floor')
CI = os.environ.get('CI', '').lower() in ('true', '1', 'yes')
TIERS = ('check', 'all', 'soak')
STAGES = []   # (name, tiers, rest, function)

SUM = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped', re.M)
CMOCKA_RAN = re.compile(r'^\[=+\] .*?(\d+) test\(s\) run\.', re.M)
CMOCKA = {k: re.compile(r'^\[  %s *\] (?:.*?: )?(\d+) test\(s\)' % k, re.M)
          for k in ('PASSED', 'FAILED', 'SKIPPED')}


class Failed(Exception):
    """A stage that cannot go on; the message is shown in its line."""


def stage(name, tiers=TIERS, rest=False):
    """Registers a stage. rest: `--all --rest` runs it, because it does more than in plain check."""
    def wrap(fn):
        STAGES.append((name, tiers, rest or 'check' not in tiers, fn))
        return fn
    return wrap


def floors():
    out = {}
    with open(FLOOR, encoding='utf-8') as f:
        for line in f:
            line = line.split('#')[0].split()
            if line:
                out[line[0]] = int(line[1])
    return out


def count_text(text):
    """(passed, failed, skipped, missing) as a test program reported it, or None."""
    missing = len(re.findall(r'^SKIP missing:', text, re.M))
    found = SUM.findall(text)
    if found:
        p, f, s = (int(n) for n in found[-1])
        return p, f, s, min(missing, s)
    if CMOCKA_RAN.search(text):
        p, f, s = (sum(int(n) for n in CMOCKA[k].findall(text)) for k in ('PASSED', 'FAILED', 'SKIPPED'))
        return p, f, s, s if missing or 'SKIP unsuitable:' not in text else 0
    return None


class Stage:
    def __init__(self, name, tier):
        self.name, self.tier = name, tier
        self.passed = self.failed = self.skipped = 0
        self.notes, self.problems = [], []
        self.counting = threading.Lock()
        self.path = os.path.join(LOGS, name + '.log')
        self.log = open(self.path, 'w', encoding='utf-8', errors='replace')
        self.env = dict(os.environ)
        home = os.path.join(ROOT, 'build', 'home', name)
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(os.path.join(home, 'tmp'))
        cache = os.environ.get('WHERRY_TEST_CACHE')
        self.env['WHERRY_TEST_CACHE'] = cache or os.path.join(os.path.expanduser('~'), '.cache', 'wherry-tests')
        for key in [k for k in self.env if k.startswith(('XDG_', 'WHERRY_')) and k != 'WHERRY_TEST_CACHE']:
            del self.env[key]
        # Debian's own tools first: a Python or compiler of the user's must not decide.
        self.env.update(HOME=home, TMPDIR=os.path.join(home, 'tmp'), WH_TEST_TIER=tier, LC_ALL='C.UTF-8', TERM='dumb',
                        PATH='/usr/bin:/bin:' + os.environ.get('PATH', ''))
        corpora = os.path.join(os.path.dirname(ROOT), 'shared', 'corpora')
        if 'WH_TEST_CORPORA' not in self.env and os.path.isdir(corpora):
            self.env['WH_TEST_CORPORA'] = corpora

    # ---- counting ----
    def ok(self, n=1):
        self.passed += n

    def bad(self, why, n=1):
        self.failed += n
        self.problems.append(why)
        print('FAILED: %s' % why, file=self.log, flush=True)

    def skip(self, why, n=1, missing=True):
        if CI and missing:
            self.bad('skipped under CI: %s' % why, n)
        else:
            self.skipped += n
            self.notes.append('skipped: %s' % why)

    def note(self, text):
        self.notes.append(text)

    def add(self, name, counts, code, text):
        """Takes over what one test program reported."""
        if counts is None:
            if code == 77:
                self.skip('%s: %s' % (name, last_line(text)))
            elif code == 0:
                self.ok()
            else:
                self.bad('%s: exit %d: %s' % (name, code, last_line(text)))
            return
        p, f, s, missing = counts
        self.ok(p)
        if f:
            self.bad('%s: %d failed' % (name, f), f)
        elif code != 0:
            self.bad('%s: exit %d although no test failed' % (name, code))
        reasons = re.findall(r'^SKIP (?:missing|unsuitable): *(.*)', text, re.M)
        if missing:
            self.skip('%s: %s' % (name, reasons[0] if reasons else 'no reason given'), missing)
        if s > missing:
            self.skip('%s: %s' % (name, reasons[-1] if reasons else ''), s - missing, missing=False)

    # ---- running ----
    def sh(self, cmd, cwd=ROOT, timeout=1800, env=None, check=True):
        """Runs a command (list), output into the log. Returns (exit status, output)."""
        print('\n$ %s' % ' '.join(cmd), file=self.log, flush=True)
        start = time.monotonic()
        try:
            p = subprocess.run(cmd, cwd=cwd, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
            code, out = p.returncode, p.stdout.decode('utf-8', 'replace')
        except FileNotFoundError:
            code, out = 127, '%s: not found; run tools/setup --tests' % cmd[0]
        except subprocess.TimeoutExpired as e:
            code, out = 124, (e.stdout or b'').decode('utf-8', 'replace') + '\ntimeout after %d s' % timeout
        self.log.write(out)
        print('[exit %d, %.1f s]' % (code, time.monotonic() - start), file=self.log, flush=True)
        if check and code:
            raise Failed('%s: exit %d' % (' '.join(cmd[:4]), code))
        return code, out

    def build(self, variant, only=None):
        """Configures and builds one variant; one that exists is brought up to date. only: a pattern
        of the file names of the targets that are wanted."""
        path = os.path.join(ROOT, 'build-' + variant)
        cc, options = VARIANTS[variant]
        if not os.path.exists(os.path.join(path, 'build.ninja')):
            shutil.rmtree(path, ignore_errors=True)
            self.sh(['meson', 'setup', path] + options, env={'CC': cc})
        targets = []
        if only:
            _, out = self.sh(['meson', 'introspect', '--targets', path])
            files = [f for t in json.loads(out[out.index('['):]) for f in t['filename']]
            targets = [os.path.relpath(f, path) for f in files if re.search(only, os.path.basename(f))]
        code, out = self.sh(['ninja', '-k', '0', '-C', path] + targets, check=False)
        if code:
            first = re.search(r'^.*(?:: error:|undefined reference|ERROR:).*$', out, re.M)
            raise Failed('build-%s does not build: %s' % (variant, first.group(0)[:160] if first else 'see the log'))
        return path

    def tests_of(self, path, suites):
        _, out = self.sh(['meson', 'introspect', '--tests', path])
        return [t['name'] for t in json.loads(out[out.index('['):])
                if {s.split(':')[-1] for s in t['suite']} & set(suites)]

    def meson(self, variant, suites, timeout_factor=1, env=None):
        """Runs the meson tests of these suites and counts what they report."""
        path = self.build(variant)
        names = self.tests_of(path, suites)
        if not names:
            return 0
        base = 'log-%s' % self.name
        cmd = ['meson', 'test', '-C', path, '--no-rebuild', '--logbase', base, '-t', str(timeout_factor),
               '--print-errorlogs']
        for suite in suites:
            cmd += ['--suite', suite]
        self.sh(cmd, env=env, check=False, timeout=3 * 3600)
        seen = 0
        with open(os.path.join(path, 'meson-logs', base + '.json'), encoding='utf-8') as f:
            for line in f:
                t = json.loads(line)
                text = (t.get('stdout') or '') + '\n' + (t.get('stderr') or '')
                code = t['returncode']
                if t['result'] == 'TIMEOUT':
                    self.bad('%s: timeout after %.0f s' % (t['name'], t['duration']))
                else:
                    self.add(t['name'], count_text(text), code, text)
                seen += 1
        if seen != len(names):
            self.bad('%d of %d test programs left a result' % (seen, len(names)))
        self.note('%d program%s' % (seen, '' if seen == 1 else 's'))
        return seen

    def script(self, cmd, name=None, timeout=1800, env=None):
        """Runs one test script and counts what it reports."""
        code, out = self.sh(cmd, check=False, timeout=timeout, env=env)
        with self.counting:
            self.add(name or os.path.basename(cmd[1] if len(cmd) > 1 else cmd[0]), count_text(out), code, out)
        for said in re.findall(r'^(kills by phase: .*|\d+ of \d+ edges of the model seen.*)$', out, re.M):
            self.note(said)
        return out


# The builds of the gate: compiler, meson options. -Werror belongs to the gate, not to users.
VARIANTS = {
    'gcc': ('gcc', ['-Dwerror=true']),
    'clang': ('clang-14', ['-Dwerror=true']),
    'builtin': ('gcc', ['-Dwerror=true', '-Dmodules=builtin', '-Dtests=false']),
    'asan': ('gcc', ['-Db_sanitize=address,undefined', '-Db_lundef=false', '-Doptimization=1']),
    'tsan': ('gcc', ['-Db_sanitize=thread', '-Db_lundef=false', '-Doptimization=1']),
    'fuzz': ('clang-14', ['-Dfuzz=true', '-Db_lundef=false', '-Db_sanitize=address,undefined', '-Doptimization=1',
                          '-Dc_args=-fsanitize=fuzzer-no-link']),
}


def last_line(text):
    lines = [l.strip() for l in text.splitlines() if l.strip()]
    return lines[-1][:160] if lines else '(no output)'


def print_stages():
    for name, tiers, rest, fn in STAGES:
        doc = ' '.join((fn.__doc__ or '').split())
        more = '' if 'check' in tiers else '(--all) '
        print('%-12s %s%s' % (name, more, doc))


def cpu_seconds():
    """What the ended processes below this one have used. Wall time says how busy the machine was."""
    used = os.times()
    return used.children_user + used.children_system


def run_stage(name, fn, tier):
    s = Stage(name, tier)
    start, cpu = time.monotonic(), cpu_seconds()
    try:
        fn(s)
        if not (s.passed or s.failed or s.skipped):
            s.note('no tests yet')
    except Failed as e:
        s.bad(str(e))
    except Exception as e:   # a mistake of the gate itself is a failure, never a crash of it
        import traceback
        traceback.print_exc(file=s.log)
        s.bad('%s: %s' % (type(e).__name__, e))
    return s, time.monotonic() - start, cpu_seconds() - cpu


def check_floor(s, floor):
    if s.name in floor and s.passed < floor[s.name] and not s.failed:
        s.bad('%d tests passed, tests/floor says at least %d' % (s.passed, floor[s.name]))


def report(s, seconds, cpu):
    s.log.close()
    verdict = 'FAILED' if s.failed else 'ok'
    print('%-12s %-6s %6.1f s %6.1f cpu  %4d passed %3d failed %3d skipped  %s'
          % (s.name, verdict, seconds, cpu, s.passed, s.failed, s.skipped, '; '.join(s.notes)), flush=True)
    for p in s.problems[:20]:
        print('    ' + p)
    if s.failed:
        kept = s.path + '.failed'   # the same stage of a later call leaves it
        shutil.copyfile(s.path, kept)
        with open(kept, encoding='utf-8', errors='replace') as f:
            lines = f.readlines()
        said = [i for i, line in enumerate(lines) if line.startswith('FAILED')][:12]
        shown = sorted({k for i in said for k in range(i, min(i + 12, len(lines)))} | set(range(len(lines)))
                       - set(range(len(lines) - 25)))
        print('    ---- what failed in %s, and its end' % os.path.relpath(kept, ROOT))
        for i in shown:
            print('    ' + lines[i].rstrip()[:400])
        sys.stdout.flush()


def raise_floor(results):
    floor = floors()
    for s in results:
        floor[s.name] = max(floor.get(s.name, 0), s.passed)
    head = []
    with open(FLOOR, encoding='utf-8') as f:
        for line in f:
            if line.startswith('#'):
                head.append(line)
    with open(FLOOR, 'w', encoding='utf-8') as f:
        f.writelines(head)
        for name, *_ in STAGES:
            if floor.get(name):
                f.write('%-12s %d\n' % (name, floor[name]))


def run(tier, wanted, rest, raise_it):
    known = [name for name, *_ in STAGES]
    unknown = [w for w in wanted if w not in known]
    if unknown:
        print('check: unknown stage %s; there are: %s' % (', '.join(unknown), ' '.join(known)), file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    floor, results, start = floors(), [], time.monotonic()
    for name, tiers, more, fn in STAGES:
        if (wanted and name not in wanted) or (not wanted and tier not in tiers) or (rest and not more):
            continue
        s, seconds, cpu = run_stage(name, fn, tier)
        check_floor(s, floor)
        report(s, seconds, cpu)
        results.append(s)
    if raise_it and not any(s.failed for s in results):
        raise_floor(results)
    failed = sum(s.failed for s in results)
    print('%s: %d stages in %.0f s, %.0f cpu%s' % (tier, len(results), time.monotonic() - start, cpu_seconds(),
          ': FAILED: ' + ' '.join(s.name for s in results if s.failed) if failed else ''))
    print('%d passed, %d failed, %d skipped' % (sum(s.passed for s in results), failed,
                                                sum(s.skipped for s in results)), flush=True)
    return 1 if failed else 0
