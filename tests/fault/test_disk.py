#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The disk is full: a small file system of its own for the destination, for the state and for
the archive of refused rows, at sizes from nothing to nearly enough; then there is room, and `resume`
finishes. Where nothing can be mounted, files may not grow beyond a limit instead.

    tests/fault/test_disk.py [WORD...]     only jobs whose name holds one of the words

Red when a full disk ends in anything but exit 5 (or success, where it fits), when half of a file or table can
be seen, when a row is lost, doubled or not archived."""
import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402

SIZES = 40 if kit.SOAK else max(3, kit.FAULTS // 2)
FULL = 4096     # KiB: what the place has in the end; everything fits


def can_mount():
    if os.getuid() != 0:
        return False
    folder = kit.harness.scratch('mount')
    ok = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], check=False, stderr=subprocess.DEVNULL).returncode == 0
    if ok:
        subprocess.run(['umount', folder], check=False)
    os.rmdir(folder)
    return ok


class Small:
    """A folder that holds so many KiB, of 4 MB."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dk' % FULL, 'tmpfs', path], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(['umount', '-l', self.path], check=False)

    def fill(self, kib):
        """All but so many KiB are taken by somebody else."""
        self.empty()
        room = os.statvfs(self.path)
        take = room.f_bavail * room.f_frsize - kib * 1024
        if take > 0:
            with open(os.path.join(self.path, 'ballast'), 'wb') as f:
                os.posix_fallocate(f.fileno(), 0, take)

    def empty(self):
        path = os.path.join(self.path, 'ballast')
        if os.path.exists(path):
            os.remove(path)


def needed(b, path):
    """KiB that an undisturbed run takes in a folder."""
    b.clean()
    before = used(path)
    code, _, err = b.run()
    assert code == 0, err
    return max(8, used(path) - before)


def used(path):
    room = os.statvfs(path)
    return (room.f_blocks - room.f_bfree) * room.f_frsize // 1024


def sizes(t, most):
    """From nothing to a little more than enough."""
    return [0] + sorted(t.rng.randint(1, most * 3) for _ in range(SIZES - 2)) + [most // 2]


def full(t, server, name, where):
    with kit.Bench(name, server) as b:
        path = b.out() if where == 'destination' else b.place.path('state') if where == 'state' else b.place.path('tmp')
        with Small(path) as small:
            if where == 'state':   # HOME is made anew each time; what is in it stands in the small one
                os.mkdir(os.path.join(path, 's'))
                b.place.env['XDG_STATE_HOME'] = os.path.join(path, 's')
                b.place.state = lambda *parts: os.path.join(path, 's', 'wherry', *parts)
                b.forget = lambda: kit.empty(os.path.join(path, 's'))
            most = needed(b, path)
            for kib in sizes(t, most):
                b.clean()
                small.fill(kib)
                kit.trial(t, b, '%d of %d KiB are free for the %s' % (kib, most, where), b.run, allowed=(0, 5), mend=small.empty,
                          clean=False)


# ---- the archive -------------------------------------------------------------------------------------

BAD = 400


class Archive(kit.Bench):
    """CSV -> SQLite with refused rows (a null where the target takes none). `dirty` of the state is small."""

    def __init__(self):
        self.state = None
        super().__init__('csv > sqlite', flags=('--dirty', 'rows=%d' % (BAD + 10)))
        self.state = self.place.path('xdg', 'wherry')
        self.place.env['XDG_STATE_HOME'] = self.place.path('xdg')
        leftovers = self.place.leftovers
        self.place.state = lambda *parts: os.path.join(self.state, *parts)
        self.place.leftovers = lambda ended=False: [n for n in leftovers(ended) if not n.startswith('dirty/')]

    def make_source(self):
        super().make_source()
        with open(self.place.path('in', 't.csv'), 'a', newline='', encoding='utf-8') as f:
            f.writelines('%d,,bad %s\n' % (10 ** 6 + i, 'x' * 300) for i in range(BAD))

    def forget(self):
        for name in os.listdir(self.state) if self.state else []:
            path = os.path.join(self.state, name)
            if name == 'dirty':
                kit.empty(path)
            elif os.path.isdir(path):
                kit.shutil.rmtree(path)
            else:
                os.remove(path)

    def clean(self):
        super().clean()
        db = kit.sqlite3.connect(self.out('t.db'))
        db.execute('create table t(id bigint, balance bigint not null, note text)')
        db.commit()
        db.close()

    def whole(self):
        """Every good row in the target, every refused one in the archive, once."""
        code, out, err = self.place.run('dirty', 'export', *self.last_run(), timeout=kit.SECONDS)
        got = [line for line in out.splitlines() if '"bad x' in line or ',bad x' in line or 'bad xxx' in line]
        return super().whole() or (None if len(got) == BAD else 'exit %d, %d of %d refused rows are archived: %s' % (
            code, len(got), BAD, err[-300:]))

    def last_run(self):
        db = kit.sqlite3.connect('file:%s?mode=ro' % os.path.join(self.state, 'state.db'), uri=True)
        found = db.execute('select run from run order by created_us desc limit 1').fetchone()
        db.close()
        return list(found or [])


def archive(t, server):
    with Archive() as b:
        with Small(os.path.join(b.state, 'dirty')) as small:
            most = needed(b, small.path)
            t.check(b.whole() is None, 'the archive of an undisturbed run', b.whole())
            for kib in sizes(t, most):
                b.clean()
                small.fill(kib)
                kit.trial(t, b, '%d of %d KiB are free for the archive' % (kib, most), b.run, allowed=(0, 5), mend=small.empty,
                          clean=False)


# ---- without a file system of its own ------------------------------------------------------------------


def limited(t, server, name):
    """Files may not grow beyond a limit: a disk that is full for each of them."""
    with kit.Bench(name, server) as b:
        for kib in [4] + sorted(t.rng.randint(5, 200) for _ in range(SIZES)):
            def run(kib=kib):
                p = subprocess.Popen([kit.harness.program(), *b.args, '--json'], cwd=b.place.dir, env=b.place.env,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, kib << 10)))
                return kit.harness.finish(p, kit.SECONDS)
            kit.trial(t, b, 'files hold %d KiB' % kib, run, allowed=(0, 5))


NAMES = ['csv > sqlite', 'csv > sqlite, overwrite', 'csv > folder', 'sqlite > csv', 'sqlite > csv, overwrite', 'pg > csv']


def jobs():
    found = [('files may not grow: ' + n, limited, (n,)) for n in ('csv > sqlite', 'csv > folder', 'sqlite > csv, overwrite')]
    if can_mount():
        found += [('full destination: ' + n, full, (n, 'destination')) for n in NAMES]
        found += [('full state: ' + n, full, (n, 'state')) for n in ('csv > sqlite', 'csv > folder', 'sqlite > pg', 'pg > pg, overwrite')]
        found += [('full archive', archive, ())]
    return found


if __name__ == '__main__':
    sys.exit(kit.main('full disks', jobs(), sys.argv[1:], workers=2))
