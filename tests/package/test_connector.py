#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A connector from outside: examples/connector, built in a scratch folder from nothing but an installed
tree (headers, pkg-config), moves rows both ways and survives kills; modules that are no connector, of
another version or not whole are refused by name.

    tests/package/test_connector.py DEST      DEST: what `make install DESTDIR=` made, PREFIX=/usr

Red when the installed headers do not suffice, one row is lost, doubled or changed, a resume does not
end, anything is left behind, or a bad module is taken or refused without its code."""
import glob
import os
import shutil
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402

ROWS = 20000
COLUMNS = 'columns=id:8:int,name:24,amount:12:int'
KILLS = 6


def pkg_config(dest, *args):
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=dest, PKG_CONFIG_PATH=os.path.dirname(pc_file(dest)))
    return subprocess.run(['pkg-config'] + list(args), stdout=subprocess.PIPE, check=True, env=env).stdout.decode().strip()


def pc_file(dest):
    found = glob.glob(os.path.join(dest, 'usr/lib/*/pkgconfig/wherry.pc'))
    return found[0] if found else os.path.join(dest, 'nothing')


def build(t, dest, place):
    """examples/connector alone, in a folder from which the sources of Wherry are not to be seen."""
    work = place.path('author')
    shutil.copytree(os.path.join(ROOT, 'examples', 'connector'), work)
    env = dict(place.env, PKG_CONFIG_SYSROOT_DIR=dest, PKG_CONFIG_PATH=os.path.dirname(pc_file(dest)))
    p = subprocess.run(['make', 'WARN=-Wall -Wextra -Wno-unused-parameter -Werror'], cwd=work, env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    made = os.path.join(work, 'wherry-fixed.so')
    t.check(p.returncode == 0 and os.path.exists(made), 'the example builds from the installed tree', p.stdout.decode())
    staged = place.path('staged')
    p = subprocess.run(['make', 'install', 'DESTDIR=' + staged], cwd=work, env=env, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    found = glob.glob(staged + '/**/wherry-fixed.so', recursive=True)
    t.check(p.returncode == 0 and len(found) == 1, 'the example installs itself', p.stdout.decode())
    return work


def row(i):
    name = ['plain %d' % i, 'naïve 😀 %d' % i, '', 'x' * 24, ' leading %d' % i][i % 5]
    return i, name, '' if i % 7 == 0 else str(i * 7919 - 10 ** 7)


def make_csv(path, first=1, last=ROWS):
    with open(path, 'w', encoding='utf-8') as f:
        f.write('id,name,amount\n')
        for i in range(first, last + 1):
            f.write('%d,%s,%s\n' % row(i))


def fixed_line(i):
    n, name, amount = row(i)
    name = name.encode()
    return b'%8d%s%12s\n' % (n, name + b' ' * (24 - len(name)), amount.encode())


def judge(path, rows=ROWS):
    """None, or why the fixed-width file is not that of the rows; written here a second time."""
    if not os.path.exists(path):
        return 'no file'
    with open(path, 'rb') as f:
        got = f.read()
    want = b''.join(fixed_line(i) for i in range(1, rows + 1))
    if got != want:
        return '%d bytes, wanted %d, or other content' % (len(got), len(want))
    left = glob.glob(path + '.wherry-*')
    return 'left behind: %s' % left if left else None


def moves(t, place):
    """There and back, with plan and validate; then what it must refuse."""
    make_csv(place.path('a.csv'))
    code, out, err = place.run('plan', 'a.csv', 'fixed:a.fix', '--to', COLUMNS)
    t.check(code == 0 and 'class P' in out + err and not os.path.exists(place.path('a.fix')), 'plan touches nothing', out + err)
    code, _, err = place.run('copy', 'a.csv', 'fixed:a.fix', '--to', COLUMNS)
    t.check(code == 0 and 'exactly once per run' in err, 'copy to fixed', err)
    t.check(judge(place.path('a.fix')) is None, 'what was written', judge(place.path('a.fix')))
    code, _, err = place.run('validate', 'a.csv', 'fixed:a.fix', '--to', COLUMNS)
    t.check(code == 0, 'validate finds both ends equal', err)
    code, _, err = place.run('copy', 'fixed:a.fix', 'back.csv', '--from', COLUMNS)
    with open(place.path('a.csv'), 'rb') as a, open(place.path('back.csv'), 'rb') as b:
        t.check(code == 0 and a.read() == b.read(), 'the way back gives the same file', err)
    with open(place.path('a.fix'), 'r+b') as f:
        f.seek(45 * 4711)
        f.write(b'    4712other')
    code, out, err = place.run('validate', 'a.csv', 'fixed:a.fix', '--to', COLUMNS)
    t.check(code == 4, 'validate sees one changed cell', out + err)
    code, _, err = place.run('copy', 'a.csv', 'fixed:a.fix', '--to', COLUMNS)
    t.check(code == 2 and 'E5007' in err, 'append never changes a file', err)
    code, _, err = place.run('copy', 'a.csv', 'fixed:a.fix', '--to', COLUMNS, '--mode', 'overwrite')
    t.check(code == 0 and judge(place.path('a.fix')) is None, 'overwrite replaces it', err)
    code, _, err = place.run('copy', 'a.csv', 'fixed:b.fix')
    t.check(code == 2 and 'E1005' in err, 'the layout is required', err)


def dirty(t, place):
    """Rows that either side refuses are named, counted, and only as many as allowed."""
    with open(place.path('d.csv'), 'w', encoding='utf-8') as f:
        f.write('id,name,amount\n1,good,5\n2,%s,5\n3,"space at the end ",5\n4,good,\n' % ('long' * 9))
    code, _, err = place.run('copy', 'd.csv', 'fixed:d.fix', '--to', COLUMNS)
    t.check(code == 6, 'a text that does not fit ends the table', err)
    code, out, err = place.run('copy', 'd.csv', 'fixed:d2.fix', '--to', COLUMNS, '--dirty', 'rows=2', '--json')
    done = harness.finished(out)
    t.check(code == 0 and (done.get('rows_written'), done.get('rows_dirty')) == (2, 2) and not harness.unbalanced(done),
            'two dirty rows are tolerated and counted', out + err)
    with open(place.path('bad.fix'), 'wb') as f:
        f.write(fixed_line(1) + b'%8s%-24s%12s\n' % (b'1x', b'no number', b'3') + fixed_line(2))
    code, out, err = place.run('copy', 'fixed:bad.fix', 'bad.csv', '--from', COLUMNS, '--dirty', 'rows=1', '--json')
    done = harness.finished(out)
    t.check(code == 0 and (done.get('rows_written'), done.get('rows_dirty')) == (2, 1) and 'line 2' in out,
            'a record that is not understood is dirty, with its line', out + err)
    with open(place.path('cut.fix'), 'wb') as f:
        f.write(fixed_line(1)[:-3])
    code, _, err = place.run('plan', 'fixed:cut.fix', 'null:', '--from', COLUMNS)
    t.check(code != 0 and 'E4011' in err, 'a file that is cut off is refused in the plan', err)


def units(place):
    """A job with many units."""
    with open(place.path('job.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nname: kills\nstreams:\n  - from: a.csv\n    to: { type: fixed, table: k.fix, columns: [%s] }\n'
                % ', '.join("'%s'" % c for c in COLUMNS[8:].split(',')))
    place.env['WH_TEST_UNIT_BYTES'] = '65536'


def kills(t, place):
    """kill -9 at named points of all phases, each resumed without help."""
    units(place)
    log = place.path('points.txt')
    code, _, err = place.run('run', 'job.yaml', WH_TEST_KILL_LOG=log)
    t.check(code == 0 and judge(place.path('k.fix')) is None, 'the job runs undisturbed', err + str(judge(place.path('k.fix'))))
    seen = harness.points_in(log)
    chosen, _ = harness.spread(t.rng, seen, harness.kill_points(), KILLS)
    for name, phase, times in chosen:
        place.forget()
        for left in glob.glob(place.path('k.fix*')):
            os.remove(left)
        code, _, err = place.run('run', 'job.yaml', WH_TEST_KILL='%s:%d' % (name, times))
        t.kills[phase] += code == -signal.SIGKILL
        for _ in range(3):
            code, _, err = place.run('run', 'job.yaml')
            # Killed when all was recorded: the run is over, the next one meets a file that is there.
            if code == 0 or (phase == 'close' and 'E5007' in err):
                code = 0
                break
        t.check(code == 0 and judge(place.path('k.fix')) is None, 'killed at %s:%d, then run again' % (name, times),
                '%s\n%s' % (judge(place.path('k.fix')), err))
    t.check(sum(t.kills.values()) >= KILLS - 1, 'kills struck', dict(t.kills))


BAD = {
    'oldabi': ('E2011', '.abi = WH_ABI + 1'),
    'nonext': ('E2017', '.source = &(struct wh_source_ops){.size = sizeof(struct wh_source_ops), .scan_open = so, '
                        '.split_next = sn, .reader_open = ro, .reader_close = rc}'),
    'nolook': ('E2017', '.sink = &half'),
    'noside': ('E2017', '.title = "neither read nor written"'),
    'other': ('E2017', '.name = "another"'),
    'short': ('E2011', '.endpoint = &(struct wh_endpoint_ops){.size = 8}'),
    'foreign': ('E2010', None),
}
SOURCE = '''#include <stddef.h>
#include <wherry/connector.h>
static wh_status so(void *a, void *b, void *c, struct wh_scan *d, struct ArrowSchema *e, struct wh_error *f) { return WH_END; }
static wh_status sn(void *a, void *b, const struct wh_bytes *c, struct wh_split *d, struct wh_bytes *e, struct wh_error *f) { return WH_END; }
static wh_status ro(void *a, void *b, void *c, const struct wh_ctx *d, const struct wh_split *e, struct ArrowSchema *f, struct wh_error *g) { return WH_OK; }
static void rc(void *a) {}
static wh_status to(void *a, void *b, void *c, struct wh_target *d, struct wh_error *e) { return WH_OK; }
static wh_status wo(void *a, void *b, void *c, const struct wh_ctx *d, const struct wh_unit *e, const struct wh_fence *f, struct wh_error *g) { return WH_OK; }
static wh_status ww(void *a, const struct wh_batch *b, int64_t c, const int32_t *d, int64_t e, int64_t f, struct wh_acks *g, struct wh_error *h) { return WH_OK; }
static wh_status wf(void *a, int64_t b, struct wh_acks *c, struct wh_error *d) { return WH_OK; }
static wh_status ws(void *a, struct wh_tally *b, struct wh_error *c) { return WH_OK; }
static wh_status wc(void *a, const struct wh_marker *b, struct wh_bytes *c, struct wh_error *d) { return WH_OK; }
static const struct wh_sink_ops half = {.size = sizeof half, .target_open = to, .writer_open = wo, .writer_write = ww,
                                        .writer_flush = wf, .writer_seal = ws, .writer_commit = wc};
static const struct wh_endpoint_ops ep = {.size = sizeof ep};
static const struct wh_capabilities caps = {.grade = "G5", .commit_class = WH_CLASS_K};
static const char *const words[] = {"NAME", NULL};
const void *const unused[] = {so, sn, ro, rc, &half};
WH_CONNECTOR(NAME);
const struct wh_connector wh_connector_NAME = {.abi = WH_ABI, .size = sizeof(struct wh_connector), .name = "NAME",
    .title = "t", .schemes = words, .caps = &caps, .endpoint = &ep, CHANGE};
'''


def refusals(t, dest, place):
    """Modules that are not what they must be: refused with a code, and the others are not hidden."""
    folder = place.path('bad')
    os.mkdir(folder)
    flags = pkg_config(dest, '--cflags', 'wherry').split()
    for name, (_, change) in BAD.items():
        source = os.path.join(folder, name + '.c')
        with open(source, 'w', encoding='ascii') as f:
            f.write(SOURCE.replace('CHANGE', change).replace('NAME', name) if change else 'int wherry;\n')
        p = subprocess.run(['cc', '-w', '-shared', '-fPIC', '-o', os.path.join(folder, 'wherry-%s.so' % name), source] + flags,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        t.check(p.returncode == 0, 'a bad module %s is built' % name, p.stdout.decode())
    with open(os.path.join(folder, 'wherry-text.so'), 'w', encoding='ascii') as f:
        f.write('no module\n')
    shutil.copy(os.path.join(folder, 'wherry-oldabi.so'), os.path.join(folder, 'wherry-renamed.so'))
    for name, code in [(n, c) for n, (c, _) in BAD.items()] + [('text', 'E2010'), ('renamed', 'E2010')]:
        end, out, err = place.run('plan', name + ':x', 'null:', WHERRY_MODULES=folder + ':' + place.env['WHERRY_MODULES'])
        t.check(end == 2 and code in err, 'module %s is refused with %s' % (name, code), out + err)
    missing = {'nonext': 'reader_next', 'nolook': 'lookup', 'noside': 'source, sink'}
    for name, word in missing.items():
        _, out, err = place.run('plan', name + ':x', 'null:', WHERRY_MODULES=folder + ':' + place.env['WHERRY_MODULES'])
        t.check(word in err, 'the message about %s names %s' % (name, word), err)
    code, out, _ = place.run('connectors', WHERRY_MODULES=folder + ':' + place.env['WHERRY_MODULES'])
    t.check(code == 0 and 'cannot be loaded' in out and '\nfixed ' in out and '\nsqlite ' in out, 'the whole ones are listed', out)


def guide(t, dest, place):
    """The first listing of the guide builds as it says, and is refused for the reason that it says."""
    with open(os.path.join(ROOT, 'docs', 'internals', 'connector-guide.md'), encoding='utf-8') as f:
        listing = f.read().split('```c\n')[1].split('```')[0]
    folder = place.path('guide')
    os.mkdir(folder)
    with open(os.path.join(folder, 'mine.c'), 'w', encoding='ascii') as f:
        f.write(listing)
    p = subprocess.run(['cc', '-Wall', '-Werror', '-shared', '-fPIC', '-o', 'wherry-mine.so', 'mine.c'] +
                       pkg_config(dest, '--cflags', 'wherry').split(), cwd=folder, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    t.check(p.returncode == 0, 'the listing of the guide builds', p.stdout.decode())
    code, out, err = place.run('plan', 'mine:x', 'null:', WHERRY_MODULES=folder + ':' + place.env['WHERRY_MODULES'])
    t.check(code == 2 and 'E2017' in err and 'no source, sink and storage' in err, 'it neither reads nor writes', out + err)


def main():
    dest = os.path.abspath(sys.argv[1])
    os.environ['WHERRY_PROGRAM'] = os.path.join(dest, 'usr/bin/wherry')
    t = harness.Tally('a connector from outside', harness.seed_of())
    place = harness.Place('outside')
    t.check(os.path.exists(pc_file(dest)), 'wherry.pc is installed')
    t.check(pkg_config(dest, '--variable=abi', 'wherry') == '0', 'wherry.pc says the ABI')
    modules = pkg_config(dest, '--variable=moduledir', 'wherry')
    modules = modules if modules.startswith(dest) else dest + modules
    t.check(glob.glob(modules + '/wherry-file.so'), 'moduledir is where the modules are', modules)
    place.env['WHERRY_MODULES'] = build(t, dest, place) + ':' + modules
    code, out, _ = place.run('connectors', 'fixed')
    t.check(code == 0 and 'commit class P' in out, 'the program knows it', out)
    moves(t, place)
    dirty(t, place)
    kills(t, place)
    refusals(t, dest, place)
    guide(t, dest, place)
    place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
