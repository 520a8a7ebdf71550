#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th system call fails, or the program is killed at it: `strace -e inject`. Each call that a run makes
is a place to strike; in the soak all of them, one by one, else a few dozen of each job by chance, every kind
of fault at least once. What the loader does (before main, and with modules) is left alone.

    tests/fault/test_syscall.py [WORD...]     only jobs whose name holds one of the words

Red when the program hangs, crashes, ends without a code, or when an interrupted call (EINTR) is seen at
all; and when what `wherry resume` leaves is not the source, row by row."""
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402
from kit import harness  # noqa: E402

JOBS = ['csv > sqlite', 'csv > sqlite, overwrite', 'csv > folder', 'sqlite > csv', 'sqlite > pg', 'pg > pg as bytes',
        'pg > pg, overwrite', 'pg > csv']
LIMIT = kit.FAULTS * 3
KILL = 'signal=KILL'
WRITES = ('ENOSPC', 'EIO', 'EDQUOT', KILL)
# Which faults a call can meet. EINTR: where the system may interrupt it and the caller must go on. Left out is what
# cannot happen: SQLite does not expect fsync to be interrupted, and local file systems do not; a connection that
# is reset for one send is so for good (test_proxy.py cuts it); glibc gives memory back by brk without a look.
FAULTS = {
    'pwrite64': (*WRITES, 'EINTR'), 'write': (*WRITES, 'EINTR'), 'writev': WRITES, 'ftruncate': ('ENOSPC', 'EIO', KILL),
    'fallocate': WRITES, 'fsync': ('EIO', 'ENOSPC', KILL), 'fdatasync': ('EIO', 'ENOSPC', KILL),
    'sync_file_range': ('EIO', KILL), 'openat': ('EMFILE', 'ENFILE', 'EIO', 'ENOMEM', KILL), 'mkdir': ('ENOSPC', 'EIO', KILL),
    'mkdirat': ('ENOSPC', 'EIO', KILL), 'link': ('ENOSPC', 'EIO', KILL), 'linkat': ('ENOSPC', 'EIO', KILL),
    'rename': ('ENOSPC', 'EIO', KILL), 'renameat': ('ENOSPC', 'EIO', KILL), 'renameat2': ('ENOSPC', 'EIO', KILL),
    'unlink': (KILL,), 'unlinkat': (KILL,), 'close': ('EIO', KILL), 'read': ('EIO', 'EINTR', KILL),
    'pread64': ('EIO', 'EINTR', KILL), 'newfstatat': ('EIO',), 'getdents64': ('EIO',), 'mmap': ('ENOMEM', KILL),
    'clone3': ('EAGAIN', KILL), 'clone': ('EAGAIN', KILL), 'vfork': ('EAGAIN',), 'pipe2': ('EMFILE',),
    'eventfd2': ('EMFILE',), 'fcntl': (KILL,), 'flock': ('ENOLCK', KILL), 'socket': ('EMFILE', 'ENOMEM'),
    'connect': ('ECONNREFUSED', 'ETIMEDOUT', 'ENETUNREACH', KILL), 'sendto': ('EINTR', KILL),
    'recvfrom': ('ECONNRESET', 'EINTR', KILL), 'poll': ('EINTR', 'ENOMEM', KILL),
    'setsockopt': ('ENOPROTOOPT',), 'getsockopt': ('ENOMEM',), 'execve': ('ENOMEM', KILL),
}
LINE = re.compile(r'^(\d+) +([a-z0-9_]+)\(')
ENDED = re.compile(r'^(\d+) +\+\+\+ (?:exited with (\d+)|killed by SIG([A-Z]+))', re.M)


def why_not():
    """Why strace cannot be used here, or None."""
    if not shutil.which('strace'):
        return 'missing: strace'
    done = subprocess.run(['strace', '-f', '-qq', '-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO:when=1', 'true'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    return None if done.returncode == 0 else 'unsuitable: strace is not allowed here: %s' % done.stdout.decode().strip()


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def children(pid):
    try:
        return read('/proc/%d/task/%d/children' % (pid, pid)).split()
    except OSError:
        return []


def traced(b, *options, **env):
    """The job under strace: (exit, stdout, stderr), and strace's own words in the file `trace`. The holder of a
    snapshot outlives a killed engine, so strace is not waited for but the engine."""
    names = [b.place.path('in', n) for n in ('trace', 'stdout', 'stderr')]
    for name in names:
        if os.path.exists(name):
            os.remove(name)
    with open(names[1], 'wb') as out, open(names[2], 'wb') as err:
        p = subprocess.Popen(['strace', '-f', '-o', names[0], *options, harness.program(), *b.args, '--json'],
                             cwd=b.place.dir, env={**b.place.env, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    end, began, hangs = time.monotonic() + kit.SECONDS, False, False
    while p.poll() is None:
        alive = children(p.pid)
        began = began or bool(alive)
        if began and not alive:
            time.sleep(0.05)
            break
        if time.monotonic() > end:
            hangs = True
            for pid in alive:
                os.kill(int(pid), signal.SIGKILL)
            break
        time.sleep(0.01)
    if p.poll() is None:
        p.terminate()   # it lets go of the holder, which lives on
        harness.gone(p, 5) or p.kill()
    p.wait()
    trace = read(names[0]) if os.path.exists(names[0]) else ''
    first = re.match(r'\d+', trace)
    ends = [m for m in ENDED.finditer(trace) if first and m.group(1) == first.group(0)]
    code = 124 if hangs else p.returncode
    if ends and not hangs:
        code = int(ends[-1].group(2)) if ends[-1].group(2) else -getattr(signal, 'SIG' + ends[-1].group(3))
    return code, read(names[1]), read(names[2])


def calls(b):
    """{call: the numbers N that are ours}: N counts per thread, and what the loader does is left out."""
    b.clean()
    code, _, err = traced(b, '-y', '-e', 'trace=' + ','.join('?' + c for c in (*FAULTS, 'rt_sigaction')))
    if code:
        raise AssertionError('the undisturbed run ended with %s: %s' % (code, err))
    seen, not_ours, main = collections.Counter(), collections.defaultdict(set), False
    most = collections.Counter()
    for line in read(b.place.path('in', 'trace')).splitlines():
        m = LINE.match(line)
        if not m:
            continue
        main = main or m.group(2) == 'rt_sigaction'   # main begins with its signals
        seen[m.groups()] += 1
        n = seen[m.groups()]
        most[m.group(2)] = max(most[m.group(2)], n)
        if not main or re.search(r'\.so\b|ld\.so|/locale/|/gconv', line):
            not_ours[m.group(2)].add(n)
    return {c: [n for n in range(1, most[c] + 1) if n not in not_ours[c]] for c in FAULTS if most[c]}


def places(b, rng):
    """[(call, fault, N)]: all of them in the soak."""
    found = calls(b)
    kinds = [(c, f, numbers) for c, numbers in found.items() for f in FAULTS[c] if numbers]
    everything = [(c, f, n) for c, f, numbers in kinds for n in numbers]
    if kit.SOAK:
        return everything
    once = [(c, f, rng.choice(numbers)) for c, f, numbers in kinds]
    rng.shuffle(once)
    more = rng.sample(everything, min(len(everything), LIMIT // 3))
    return list(dict.fromkeys(once[:LIMIT * 2 // 3] + more))


def sweep(t, server, name):
    with kit.Bench(name, server) as b:
        chosen = places(b, t.rng)
        for call, fault, n in chosen:
            how = fault if fault == KILL else 'error=' + fault
            words = ('-q', '--seccomp-bpf', '-e', 'trace=' + call, '-e', 'signal=none', '-e', 'inject=%s:%s:when=%d' % (call, how, n))
            kit.trial(t, b, '%s %d: %s' % (call, n, fault), lambda w=words: traced(b, *w), killed=fault == KILL,
                      allowed=(0,) if fault == 'EINTR' else (0, 1, 2, 5, 7, 9, 10))
            t.notes['on ' + fault.replace('signal=', '')] += 1
        print('%s: %d faults of system calls' % (name, len(chosen)))


def main():
    why = why_not()
    if why:
        t = harness.Tally('system calls fail', harness.seed_of())
        t.skip(why)
        return t.finish()
    return kit.main('system calls fail', [(name, sweep, (name,)) for name in JOBS], sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
