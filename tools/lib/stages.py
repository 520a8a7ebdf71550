# SPDX-License-Identifier: Apache-2.0
"""The stages of the gate, in the order in which they run: cheap and often wrong first."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess

from gate import ROOT, Failed, last_line, stage

# How deep each tier goes; tests read these from the environment.
DEPTH = {'check': {'WH_TEST_KILLS': '5', 'WH_TEST_KILL_ROWS': '50000', 'WH_TEST_PG_ROWS': '100000'},
         'all': {'WH_TEST_KILLS': '20', 'WH_TEST_KILL_ROWS': '500000', 'WH_TEST_PG_ROWS': '2000000'},
         'soak': {'WH_TEST_KILLS': '200', 'WH_TEST_KILL_ROWS': '500000', 'WH_TEST_PG_ROWS': '2000000'}}
FUZZ_RUNS = {'all': 1000000, 'soak': 10000000}
SIM_SEEDS = {'check': '200', 'all': '10000', 'soak': '200000'}
FUZZ_LEAST = 100000     # fewer inputs than this prove too little, however loaded the machine is
FUZZ_SECONDS = {'all': 180, 'soak': 7200}
# The slowest first, so that two at a time end together; and bytes of an input, where less is enough
# (soak: twice as many).
FUZZ_FIRST = ('csv', 'json_rows', 'convert', 'job', 'csv_write', 'yaml')
FUZZ_LEN = {'csv': 128, 'json_rows': 128, 'csv_write': 128, 'object': 256}


def tracked(*patterns):
    """Files of the project: what git knows, or (in an export) what is there."""
    if os.path.exists(os.path.join(ROOT, '.git')):
        out = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT,
                             stdout=subprocess.PIPE, check=True).stdout.decode().split('\n')
        files = [f for f in out if f and os.path.exists(os.path.join(ROOT, f))]
    else:
        files = []
        for base, dirs, names in os.walk(ROOT):
            dirs[:] = [d for d in dirs if not d.startswith('build') and d != '.git']
            files += [os.path.relpath(os.path.join(base, n), ROOT) for n in names]
    return sorted({f for f in files if not patterns or f.endswith(patterns)})


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as f:
        return f.read()


# ---- reading the source ---------------------------------------------------------------------------


@stage('format')
def format_(s):
    """clang-format-14 would change no C file"""
    files = tracked('.c', '.h')
    code, out = s.sh(['clang-format-14', '--dry-run', '-Werror', '--ferror-limit=1'] + files, check=False)
    wrong = sorted(set(re.findall(r'^(\S+?):\d+:\d+: error', out, re.M)))
    if code and not wrong:
        raise Failed(last_line(out))
    for f in wrong:
        s.bad('%s: not formatted (make format)' % os.path.relpath(f, ROOT))
    s.ok(0 if wrong else 1)
    s.note('%d files' % len(files))


def strip_c(text):
    """C without comments and the contents of strings; line numbers stay."""
    def blank(m):
        t = m.group(0)
        if t[0] == '/':
            return re.sub(r'[^\n]', ' ', t)
        return t[0] + ' ' * (len(t) - 2) + t[0]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


BANNED = re.compile(r'(?<![\w.>])(sprintf|vsprintf|strcpy|strcat|strncpy|strncat|gets|strtok|atoi|atol|atoll|atof'
                    r'|sscanf|system|localtime|gmtime|ctime|asctime|strerror|alloca)\s*\(')
MALLOC = re.compile(r'(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|posix_memalign'
                    r'|aligned_alloc|getline)\s*\(')
# What a layer may include with a layer's name in front (DESIGN 3). Its own folder is always allowed.
ARROWS = {'core': (), 'data': ('core',), 'net': ('core',), 'formats': ('core', 'data'), 'state': ('core', 'net'),
          'connectors': ('core', 'data', 'formats', 'net'), 'engine': ('core', 'data', 'state'),
          'cli': ('core', 'data', 'state', 'engine')}
# Files that may use the malloc family: the one place, and memory that foreign libraries hand over.
MAY_MALLOC = ('src/core/alloc.c',)
SPDX = 'SPDX-License-Identifier: Apache-2.0'
NO_SPDX = ('LICENSE', '.json', '.csv', '.gz', '.zst', '.sql', '.expect', '.out', '.err', '.gitignore', '.clang-format',
           '.txt', '.bin', '.parquet', '.md', '.input', '.seed')
MACHINE = re.compile(r'/work/|/root/|/home/[a-z]|/tmp/bash_jobs')


def lines_with(pattern, path, text):
    for m in pattern.finditer(text):
        yield '%s:%d: %s' % (path, text.count('\n', 0, m.start()) + 1, m.group(0).strip())


@stage('banned')
def banned(s):
    """no banned call, no malloc outside core/alloc, includes follow the arrows, licence lines, error codes known"""
    c_files = tracked('.c', '.h')
    calls, mallocs, arrows = [], [], []
    for f in c_files:
        text = strip_c(read(f))
        calls += lines_with(BANNED, f, text)
        if f.startswith('src/') and f not in MAY_MALLOC:
            mallocs += [x for x in lines_with(MALLOC, f, text) if 'allow-malloc' not in line_of(x)]
        if f.startswith(('src/', 'include/')):
            arrows += wrong_includes(f)
    verdict(s, 'banned calls', calls)
    verdict(s, 'malloc family outside core/alloc', mallocs)
    verdict(s, 'includes against the arrows', arrows)
    verdict(s, 'files without an SPDX line', [f for f in tracked() if needs_spdx(f) and SPDX not in read(f)[:400]])
    verdict(s, 'paths of one machine', [x for f in tracked() if not f.endswith(('.gz', '.csv')) and f != 'tools/lib/stages.py'
                                        for x in lines_with(MACHINE, f, read(f))])
    verdict(s, 'error codes', error_codes())
    s.note('%d C files' % len(c_files))


def line_of(where):
    path, number = where.split(':')[:2]
    return read(path).split('\n')[int(number) - 1]


def needs_spdx(f):
    name = os.path.basename(f)
    if f.startswith(('tests/corpus/', 'tests/golden/cases/')) or name in NO_SPDX:
        return False
    if f.startswith('debian/') and name != 'rules':   # debian/copyright speaks for them
        return False
    return not name.endswith(NO_SPDX) and name not in ('floor', 'README')


def wrong_includes(f):
    part = f.split('/')
    layer = part[1] if part[0] == 'src' else 'include'
    allowed = ARROWS.get(layer, ()) + (layer,)
    for m in re.finditer(r'^\s*#\s*include\s+["<]([^">]+)[">]', read(f), re.M):
        first = m.group(1).split('/')[0]
        if '..' in m.group(1) or (first in ARROWS and first not in allowed):
            yield '%s: includes %s' % (f, m.group(1))


def error_codes():
    """Every code used is a row of errors.def. (A row stays when its code is no longer used.)"""
    table = 'src/core/errors.def'
    rows = set(re.findall(r'^WH_ERR\((E[1-9]\d{3}),', read(table), re.M))
    used = {}
    for f in tracked('.c', '.h'):
        if f.startswith('src/'):
            for m in re.finditer(r'"(E[1-9]\d{3})"', read(f)):
                used.setdefault(m.group(1), f)
    for code in sorted(set(used) - rows):
        yield '%s: %s has no row in %s' % (used[code], code, table)


def verdict(s, what, found):
    found = list(found)
    if not found:
        s.ok()
        return
    s.bad('%s: %d' % (what, len(found)))
    for x in found[:15]:
        s.problems.append('  ' + x)


@stage('complexity')
def complexity(s):
    """no function with a cyclomatic complexity over 50 (pmccabe); the five highest are named"""
    files = [f for f in tracked('.c') if f.startswith('src/')]
    _, out = s.sh(['pmccabe'] + files)
    rows = []
    for line in out.splitlines():
        part = line.split('\t')
        if len(part) == 6 and part[0].isdigit():
            rows.append((int(part[1]), part[5]))
    if not rows:
        raise Failed('pmccabe reported nothing')
    rows.sort(reverse=True)
    for n, where in rows:
        if n > 50:
            s.bad('%s: complexity %d' % (where, n))
    if rows[0][0] <= 50:
        s.ok()
    s.note('%d functions, highest: %s' % (len(rows), ', '.join('%s %d' % (w.split(': ')[-1], n) for n, w in rows[:5])))


# ---- building ---------------------------------------------------------------------------------------


@stage('build-gcc')
def build_gcc(s):
    """gcc, all warnings, -Werror"""
    s.build('gcc')
    s.ok()


@stage('build-clang')
def build_clang(s):
    """clang-14, all warnings, -Werror"""
    s.build('clang')
    s.ok()


# ---- testing ----------------------------------------------------------------------------------------


@stage('unit')
def unit(s):
    """unit tests (cmocka) of every layer"""
    s.meson('gcc', ['unit'])


@stage('lattice')
def lattice(s):
    """the type lattice, every pair by value, judged by pyarrow"""
    s.meson('gcc', ['lattice', 'oracle'], timeout_factor=3)


@stage('golden')
def golden(s):
    """words people see: output, errors, exit codes, plans"""
    s.build('gcc')
    s.script(['/usr/bin/python3', 'tests/golden/run.py', '--wherry', 'build-gcc/wherry'])
    s.meson('gcc', ['golden'])


@stage('cli')
def cli(s):
    """commands: schema, completion in three shells, settings and where they came from, connections"""
    scripts(s, 'cli', DEPTH['check'])


@stage('bad', rest=True)
def bad(s):
    """what bad input gets: the table of tests/bad (--all: its slow rows as well)"""
    scripts(s, 'bad', {})


def check_edges(s, log):
    """Every transition that real runs logged is an edge of the model."""
    if os.path.exists(log):
        s.script(['/usr/bin/python3', 'tests/model/check_edges.py', log])


def two_at_a_time(do, what):
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(do, what))


def scripts(s, folder, env, timeout=3600):
    """tests/FOLDER/test_*.py on the gcc build, two at a time: they wait for servers half of their time.
    The longest text first, so that both end together; each has a TMPDIR and servers of its own."""
    path = s.build('gcc')
    found = glob.glob(os.path.join(ROOT, 'tests', folder, 'test_*.py'))
    two_at_a_time(lambda script: s.script(['/usr/bin/python3', os.path.relpath(script, ROOT)], timeout=timeout,
                                          env={**env, 'WHERRY_PROGRAM': os.path.join(path, 'wherry')}),
                  sorted(found, key=lambda f: (-os.path.getsize(f), f)))


@stage('engine')
def engine(s):
    """the engine suite on the hard cases, connectors of the slice, faults, edges of the model"""
    log = os.path.join(s.env['HOME'], 'transitions.txt')
    s.meson('gcc', ['engine', 'conformance', 'fault'], timeout_factor=4,
            env={**DEPTH['check'], 'WH_TEST_TRANSITIONS': log})
    check_edges(s, log)


@stage('engine-more', tiers=('all', 'soak'))
def engine_more(s):
    """the engine suite with every later hit of every kill point, and pairs of hard cases"""
    log = os.path.join(s.env['HOME'], 'transitions.txt')
    scripts(s, 'engine', {**DEPTH[s.tier], 'WH_TEST_LATER_STEP': '1', 'WH_TEST_TRANSITIONS': log})
    check_edges(s, log)


@stage('kill', rest=True)
def kill(s):
    """kill -9 at every named point with controls, zombies, resume without help (--all: 20 per destination)"""
    log = os.path.join(s.env['HOME'], 'transitions.txt')
    env = {**DEPTH[s.tier], 'WH_TEST_TRANSITIONS': log}
    s.meson('gcc', ['kill'], timeout_factor=4 if s.tier == 'check' else 20, env=env)
    scripts(s, 'kill', env, timeout=3 * 3600)
    check_edges(s, log)


@stage('fault', tiers=('all', 'soak'))
def fault(s):
    """allocations, system calls and statements fail, networks and disks give way, servers crash; then resume (soak: one by one)"""
    scripts(s, 'fault', {'WH_TEST_FAULTS': '60' if s.tier == 'soak' else '8'}, timeout=6 * 3600)


@stage('postgresql')
def postgresql(s):
    """reading and writing a real PostgreSQL server, judged by psql and pg_dump"""
    scripts(s, os.path.join('integration', 'postgresql'), DEPTH[s.tier])


@stage('sqlite')
def sqlite(s):
    """what SQLite files can be, judged by Python's sqlite3"""
    scripts(s, os.path.join('integration', 'sqlite'), DEPTH[s.tier])


@stage('conformance')
def conformance(s):
    """every connector into every other: types, wide tables, kill -9, cancel, restarts, bad rows, writers; docs/conformance.md is fresh"""
    path = s.build('gcc')
    s.script(['/usr/bin/python3', 'tests/conformance/test_conformance.py'] + (['--all'] if s.tier != 'check' else []), timeout=1200,
             env={**DEPTH[s.tier], 'WHERRY_PROGRAM': os.path.join(path, 'wherry')})


@stage('fuzz-replay')
def fuzz_replay(s):
    """corpora and once-bad inputs through every parser"""
    s.meson('gcc', ['fuzz', 'fuzz-replay'])


def engine_short(s, variant, options, reports):
    """The engine suite in its short form on a build with a sanitizer. What processes report that are
    killed, or whose exit nobody looks at, lies in files: none may be there."""
    path = s.build(variant)
    where = os.path.join(s.env['HOME'], 'report')
    s.script(['/usr/bin/python3', 'tests/engine/test_engine.py'], timeout=900,
             env={**DEPTH['check'], 'WH_TEST_FAST': '1', 'WHERRY_PROGRAM': os.path.join(path, 'wherry'),
                  'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1:log_path=%s' % where,
                  reports: '%s:log_path=%s' % (options, where)})
    found = sorted(glob.glob(where + '.*'))
    for f in found[:5]:
        s.bad('%s: %s' % (os.path.basename(f), first_report(f)))
    if not found:
        s.ok()


def first_report(path):
    lines = [l for l in read(path).splitlines() if 'SUMMARY' in l or 'runtime error' in l or 'WARNING' in l]
    return lines[-1][:200] if lines else 'see ' + path


@stage('asan')
def asan(s):
    """unit tests, replay, and the engine suite in its short form, under AddressSanitizer and UBSan"""
    options = 'detect_leaks=1:abort_on_error=0:allocator_may_return_null=1'
    env = {**DEPTH['check'], 'WH_TEST_FAST': '1', 'ASAN_OPTIONS': options,
           'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'}
    s.meson('asan', ['unit', 'fuzz', 'fuzz-replay', 'conformance'], timeout_factor=6, env=env)
    engine_short(s, 'asan', options, 'ASAN_OPTIONS')


@stage('tsan')
def tsan(s):
    """unit tests, the runtime among them, and the engine suite in its short form, under ThreadSanitizer"""
    options = 'halt_on_error=1:second_deadlock_stack=1'
    s.meson('tsan', ['unit'], timeout_factor=8,
            env={**DEPTH['check'], 'WH_TEST_FAST': '1', 'TSAN_OPTIONS': options})
    engine_short(s, 'tsan', options, 'TSAN_OPTIONS')


@stage('model', rest=True)
def model(s):
    """the marker protocol in Promela: holds, and fails as it must without marker, epoch, lookup"""
    s.script(['/usr/bin/python3', 'tests/model/run.py'] + (['--all'] if s.tier != 'check' else []), timeout=2400)


@stage('sim', rest=True)
def sim(s):
    """a simulated world decided by seeds: kills, zombies, lost answers, clocks; planted faults are found"""
    path = s.build('gcc')
    s.script([os.path.join(path, 'tests', 'sim', 'sim'), '--seeds', SIM_SEEDS[s.tier], '--jobs', '2'], 'seeds', timeout=3600)
    if s.tier != 'check':
        s.script([os.path.join(path, 'tests', 'sim', 'sim'), '--mutants', '4000', '--jobs', '2'], 'planted faults', timeout=1200)


@stage('builtin')
def builtin(s):
    """-Dmodules=builtin: one file that copies real tables alone"""
    path = s.build('builtin')
    s.ok()
    alone = os.path.join(ROOT, 'build', 'home', 'builtin', 'alone')
    os.makedirs(alone)
    shutil.copy(os.path.join(path, 'wherry'), alone)
    s.script(['/usr/bin/python3', 'tests/demo/test_demo.py', '--wherry', os.path.join(alone, 'wherry')])


@stage('install')
def install(s):
    """make install into a DESTDIR: runs by itself, hardened, manual pages, bill of materials; a connector from outside"""
    dest = os.path.join(ROOT, 'build', 'home', 'install', 'dest')
    s.sh(['make', 'install', 'DESTDIR=' + dest, 'PREFIX=/usr'])
    program = os.path.join(dest, 'usr/bin/wherry')
    modules = glob.glob(os.path.join(dest, 'usr/lib/*/wherry/wherry-*.so'))
    for what, good in (('usr/bin/wherry', os.path.exists(program)), ('modules in usr/lib/<triplet>/wherry', modules)):
        s.ok() if good else s.bad('make install made no %s' % what)
    if modules:
        code, out = s.sh([program, 'copy', os.path.join(ROOT, 'examples/nycflights/airlines.csv'),
                          os.path.join(s.env['HOME'], 'a.db')], check=False,
                         env={'WHERRY_MODULES': os.path.dirname(modules[0])})
        s.ok() if code == 0 else s.bad('the installed program: exit %d: %s' % (code, last_line(out)))
    s.script(['/usr/bin/python3', 'tests/package/test_install.py', dest, 'build'])
    s.script(['/usr/bin/python3', 'tests/package/test_connector.py', dest])


@stage('package', tiers=('all', 'soak'))
def package(s):
    """Debian packages: built, lintian, installed by apt in a clean root (mmdebstrap), used and removed there"""
    out = s.script(['/usr/bin/python3', 'tests/package/test_deb.py', os.path.join(s.env['HOME'], 'deb')])
    for why in re.findall(r'^NOTE (.*)$', out, re.M):
        s.note(why)


@stage('demo')
def demo(s):
    """the demo runs, twice, and every column and value is what Python reads from the files"""
    s.build('gcc')
    s.script(['/usr/bin/python3', 'tests/demo/test_demo.py', '--wherry', 'build-gcc/wherry'])
    for _ in range(2):
        code, out = s.sh(['tests/demo/demo'], check=False, timeout=600)
        s.ok() if code == 0 else s.bad('tests/demo/demo: exit %d: %s' % (code, last_line(out)))
    # What it tells the reader to try must work, in its order and place.
    folder = os.path.join(ROOT, 'build', 'demo')
    env = {'XDG_STATE_HOME': folder + '/state', 'PATH': os.path.join(ROOT, 'build') + ':' + s.env['PATH']}
    for line in re.findall(r'^  (wherry .*?)(?:  |$)', read('tests/demo/demo'), re.M):
        code, out = s.sh(['sh', '-c', line], cwd=folder, env=env, check=False, timeout=120)
        s.ok() if code == 0 else s.bad('the demo says "%s": exit %d: %s' % (line, code, last_line(out)))


@stage('docs')
def docs(s):
    """paths and codes in documents exist, every folder has its place, examples run in bash, dash and zsh"""
    s.build('gcc')
    s.script(['/usr/bin/python3', 'tests/docs/test_docs.py', '--wherry', 'build-gcc/wherry'])
    code, out = s.sh(['/usr/bin/python3', 'tools/gendocs', 'check', 'build-gcc/wherry'], check=False)
    s.ok() if code == 0 else s.bad('docs/connectors: ' + last_line(out))


# ---- long -----------------------------------------------------------------------------------------------


@stage('fuzz', tiers=('all', 'soak'))
def fuzz(s):
    """libFuzzer: 10^6 inputs per parser (soak: 10^7), inputs and edges reported"""
    path = s.build('fuzz', only='^fuzz_')
    targets = [t for t in sorted(glob.glob(os.path.join(path, 'tests/fuzz/fuzz_*')))
               if os.path.isfile(t) and os.access(t, os.X_OK)]
    targets.sort(key=lambda t: (FUZZ_FIRST + (fuzz_name(t),)).index(fuzz_name(t)))
    two_at_a_time(lambda target: fuzz_one(s, target), targets)


def fuzz_input(work):
    """The input that ended a target, to be kept in tests/corpus."""
    for name in sorted(os.listdir(work)):
        if re.match(r'(crash|timeout|oom|leak)-', name):
            with open(os.path.join(work, name), 'rb') as f:
                return '; input: %r' % f.read(600)
    return ''


def fuzz_name(target):
    return os.path.basename(target)[5:]


def fuzz_one(s, target):
    name = fuzz_name(target)
    runs = FUZZ_RUNS[s.tier]
    work = os.path.join(s.env['HOME'], 'fuzz_' + name)
    os.makedirs(work)
    seeds = [d for d in (os.path.join(ROOT, 'tests/corpus', name),
                         os.path.join(s.env.get('WH_TEST_CORPORA', ''), 'fuzz', name)) if os.path.isdir(d)]
    # A small quarantine and short stacks of allocations: a third of the time would go there.
    env = dict(s.env, ASAN_OPTIONS='quarantine_size_mb=8:malloc_context_size=4')
    code, out = s.sh([target, '-runs=%d' % runs, '-seed=1', '-max_len=%d' % (FUZZ_LEN.get(name, 512) << (s.tier == 'soak')), '-entropic=0',
                      '-timeout=20', '-rss_limit_mb=1024', '-max_total_time=%d' % FUZZ_SECONDS[s.tier],
                      '-print_final_stats=1', '-artifact_prefix=' + work + '/', work] + seeds,
                     check=False, timeout=3 * 3600, env=env)
    done = re.findall(r'stat::number_of_executed_units: (\d+)', out)
    edges = re.findall(r'cov: (\d+)', out)
    n = int(done[-1]) if done else 0
    text = 'fuzz_%s: %d inputs, %s edges' % (name, n, edges[-1] if edges else '?')
    with s.counting:
        if code:
            s.bad('%s: exit %d: %s%s' % (text, code, last_line(out), fuzz_input(work)))
        elif n < FUZZ_LEAST or (n < runs and s.tier != 'all'):
            s.bad('%s: stopped by time before %d inputs' % (text, FUZZ_LEAST if s.tier == 'all' else runs))
        else:
            s.ok()
        if n < runs and not code:
            text += ' (SHORT of %d)' % runs
        s.note(text)
