#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: built from the tree as it would be handed out, judged by lintian, installed by apt
in a root that has nothing but Debian's essentials, and used there.

    tests/package/test_deb.py SCRATCH

Red when the source package does not build, lintian finds an error, a file is in no package, a dependency
is missing from the packages' own fields, or the installed program cannot copy a file there.

The clean root needs mmdebstrap, the machine's own package sources, and root or user namespaces. Where one
of them is missing the packages are unpacked beside one another and the program is used from there: that
proves what is in them, not that their dependencies suffice, and is said."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
sys.path.insert(0, os.path.join(ROOT, 'tools', 'lib'))
import harness  # noqa: E402

SOURCES = ('/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list')
# What the clean root is asked to do; its last words are read from the log.
INSIDE = '''set -e
cd /root
apt-get install -q -y --no-install-recommends ./wherry_*.deb
wherry version --json
printf 'id,name\\n1,Ada\\n2,Bob\\n' > a.csv
HOME=/root wherry copy a.csv a.db
HOME=/root wherry validate a.csv a.db#a
apt-get install -q -y --no-install-recommends ./wherry-postgresql_*.deb ./wherry-dev_*.deb
wherry version --json
test -s /usr/include/wherry/connector.h
apt-get purge -q -y wherry wherry-postgresql wherry-dev
test ! -e /usr/bin/wherry && test ! -e /usr/share/wherry
echo CLEAN-ROOT-DONE
'''


def sh(cmd, cwd=None, env=None, timeout=1500):
    p = subprocess.run(cmd, cwd=cwd, env=dict(os.environ, LC_ALL='C.UTF-8', **(env or {})), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)
    text = p.stdout.decode('utf-8', 'replace')
    print('$ %s\n%s' % (' '.join(cmd)[:200], text[-20000:]))
    return p.returncode, text


def export(folder):
    """The files of the project, without git."""
    from stages import tracked
    for f in tracked():
        to = os.path.join(folder, f)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.join(ROOT, f), to, follow_symlinks=False)


def build(t, work):
    src = os.path.join(work, 'wherry')
    os.makedirs(src)
    export(src)
    # Without -g, which nobody looks at here: a third of the time.
    code, out = sh(['dpkg-buildpackage', '-b', '-us', '-uc'], cwd=src,
                   env={'DEB_BUILD_OPTIONS': 'nocheck noautodbgsym parallel=2', 'DEB_CFLAGS_STRIP': '-g'})
    t.check(code == 0, 'dpkg-buildpackage', out[-2000:])
    shutil.rmtree(src)
    return {os.path.basename(d).split('_')[0]: d for d in glob.glob(work + '/*.deb')}


def contents(t, debs):
    def field(name, what):
        return subprocess.run(['dpkg-deb', '-f', debs[name], what], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    t.check(sorted(debs) == ['wherry', 'wherry-dev', 'wherry-postgresql'], 'three packages', debs)
    version = field('wherry', 'Version')
    with open(os.path.join(ROOT, 'meson.build'), encoding='utf-8') as f:
        t.check(version == re.search(r"version: '([^']+)'", f.read()).group(1), 'the version is that of the build', version)
    t.check('libpq' not in field('wherry', 'Depends'), 'the base needs no client library', field('wherry', 'Depends'))
    t.check('libpq5' in field('wherry-postgresql', 'Depends') and 'wherry (= %s)' % version in field('wherry-postgresql', 'Depends'),
            'wherry-postgresql needs libpq and exactly this wherry', field('wherry-postgresql', 'Depends'))
    t.check('wherry (= %s)' % version in field('wherry-dev', 'Depends'), 'wherry-dev needs exactly this wherry')
    listing = {n: subprocess.run(['dpkg-deb', '-c', d], stdout=subprocess.PIPE, check=True).stdout.decode() for n, d in debs.items()}
    for word in ('man1/wherry-copy.1.gz', 'man5/wherry-job.5.gz', 'bash-completion/completions/wherry', 'wherry.spdx.json', 'wherry-sqlite.so'):
        t.check(word in listing['wherry'], 'wherry has %s' % word)
    for word in ('include/wherry/connector.h', 'pkgconfig/wherry.pc', 'examples/connector/fixed.c', 'connector-guide.md'):
        t.check(word in listing['wherry-dev'], 'wherry-dev has %s' % word)


def lint(t, work):
    if not shutil.which('lintian'):
        print('SKIP missing: lintian')
        t.skipped += 1
        return
    code, out = sh(['lintian', '--fail-on', 'error', '--allow-root'] + glob.glob(work + '/*.changes'))
    t.check(code == 0, 'lintian finds no error', out)


def proxies():
    p = subprocess.run(['apt-config', 'dump', '--format', '%f "%v";%n', 'Acquire::http::Proxy', 'Acquire::https::Proxy'], stdout=subprocess.PIPE,
                       check=False)
    return [w for line in p.stdout.decode().splitlines() if '""' not in line for w in ('--aptopt', line)]


def clean_root(t, work, debs):
    """True if it was tried and told a verdict; False with the reason where it cannot be made here."""
    sources = [s for s in SOURCES if os.path.exists(s)][:1]
    if not shutil.which('mmdebstrap') or not sources:
        return False, 'mmdebstrap or the package sources are missing'
    code, out = sh(['mmdebstrap', '--variant=apt', '--format=null', *proxies(),
                    '--customize-hook=copy-in %s /root' % ' '.join(debs.values()),
                    '--customize-hook=echo CLEAN-ROOT-BEGINS', '--customize-hook=chroot "$1" sh -c \'%s\'' % INSIDE.replace("'", "'\\''"),
                    'bookworm', '-', sources[0]], timeout=900)
    if 'CLEAN-ROOT-BEGINS' not in out:
        return False, 'mmdebstrap made no root: %s' % (out.strip().splitlines() or ['?'])[-1][:200]
    t.check(code == 0 and 'CLEAN-ROOT-DONE' in out, 'apt installs the packages in a clean root, they work, and go', out[-3000:])
    told = [json.loads(l) for l in out.splitlines() if l.startswith('{"v":1,"version"')]
    names = [sorted(m['name'] for m in v['modules'] if 'libraries' in m) for v in told]
    t.check(names == [['file', 'gen', 'null', 'sqlite'], ['file', 'gen', 'null', 'postgresql', 'sqlite']],
            'the modules of the base, then PostgreSQL as well', names)
    t.check(re.search(r'\b2 written\b', out), 'a file is copied there', out[-3000:])
    return True, ''


def unpacked(t, work, debs):
    root = os.path.join(work, 'root')
    for d in debs.values():
        subprocess.run(['dpkg-deb', '-x', d, root], check=True)
    modules = glob.glob(root + '/usr/lib/*/wherry')[0]
    with open(os.path.join(work, 'a.csv'), 'w', encoding='ascii') as f:
        f.write('id,name\n1,Ada\n2,Bob\n')
    env = {'WHERRY_MODULES': modules, 'HOME': work}
    code, out = sh([root + '/usr/bin/wherry', 'copy', 'a.csv', 'a.db'], cwd=work, env=env)
    t.check(code == 0 and '2 written' in out, 'the unpacked program copies a file', out)
    code, out = sh([root + '/usr/bin/wherry', 'version', '--json'], env=env)
    t.check(code == 0 and len([m for m in json.loads(out)['modules'] if 'libraries' in m]) == 5, 'the unpacked modules load', out)


def main():
    work = os.path.abspath(sys.argv[1])
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    t = harness.Tally('Debian packages', 0)
    if not shutil.which('dpkg-buildpackage') or not shutil.which('dh'):
        print('SKIP missing: dpkg-dev, debhelper')
        t.skipped += 1
        return t.finish()
    debs = build(t, work)
    if len(debs) == 3:
        contents(t, debs)
        lint(t, work)
        made, why = clean_root(t, work, debs)
        if not made:
            print('NOTE no clean root here (%s): that dependencies suffice is not proved' % why)
            unpacked(t, work, debs)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
