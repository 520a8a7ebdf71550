# SPDX-License-Identifier: Apache-2.0
"""The fenced blocks of a document, as its reader meets them.

A page is followed from its first to its last line in one scratch folder with a HOME of its own, by one
shell. What a block is, its first line says:

    ```sh              commands; each must succeed
    ```sh exit=6       commands; the last one ends with 6
    ```text            what the commands above print: these lines in this order, `...` for any others.
                       Run numbers, times, sizes and rates may differ
    ```yaml, ```ini    a file; its first line is a comment that begins with its name
    ```console         what cannot be run here (root, the network, the user's own systemd); with a command of
                       wherry in it, the words behind say why: ```console needs the server db1

A page with PGHOST in it gets a server of PostgreSQL, and a database of its own by the usual variables."""
import os
import re
import shutil
import subprocess
import tempfile

FENCE = re.compile(r'^```(\w*)([^\n]*)\n(.*?)^```', re.M | re.S)
KINDS = ('sh', 'text', 'yaml', 'ini', 'console')
VARIABLE = ((r'r-\d{8}-[0-9a-f]{12}', 'RUN'), (r'\.wherry-[0-9a-f]{12}', '.wherry-RUN'), (r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ?', 'TIME'),
            (r'\b[\d.]+[kM]? rows/s', 'N rows/s'), (r'\b[\d.]+ (s|ms|B|kB|MB)\b', r'N \1'), (r'[ \t]+', ' '))


def blocks(text):
    """[(kind, words, content)], in the order of the page."""
    return [(m.group(1), m.group(2).split(), m.group(3)) for m in FENCE.finditer(text)]


def file_name(content):
    """The name in the first line of a file's block: `# nightly.yaml: what it is`."""
    found = re.match(r'# ([~\w./@-]+)', content)
    return found.group(1).rstrip(':.') if found else None


def plain(line, home):
    line = line.replace(home, '~')
    for pattern, instead in VARIABLE:
        line = re.sub(pattern, instead, line)
    return line.strip()


def broken_promises(promised, output, home):
    lines, at = [plain(x, home) for x in output.splitlines()], 0
    for promise in promised.splitlines():
        want = plain(promise, home)
        if want in ('', '...'):
            continue
        pattern = re.compile('.*'.join(map(re.escape, want.split('...'))) + '$')
        found = next((i for i in range(at, len(lines)) if pattern.match(lines[i])), None)
        if found is None:
            yield 'promised, not printed: %s' % promise
        else:
            at = found + 1


def script(page, folder, home):
    """Writes the page's files and commands into folder/.page; returns what each command block promises."""
    at = os.path.join(folder, '.page')
    os.mkdir(at)
    lines, ran = ['set +e'], []
    for number, (kind, words, content) in enumerate(page):
        path = os.path.join(at, '%d' % number)
        if kind in ('yaml', 'ini') and file_name(content):
            with open(path, 'w', encoding='utf-8') as f:
                f.write(content)
            name = file_name(content).replace('~', home)
            lines.append('mkdir -p "$(dirname "%s")"; cp "%s" "%s"' % (name, path, name))
        elif kind == 'sh':
            want = int(next((w[5:] for w in words if w.startswith('exit=')), '0'))
            with open(path + '.sh', 'w', encoding='utf-8') as f:
                f.write(content)
            before = 'set -e; ' if not want else ''
            lines.append('%s. "%s.sh" >"%s.out" 2>&1; code=$?; set +e; echo $code >"%s.rc"' % (before, path, path, path))
            ran.append([path, content, want, None])
        elif kind == 'text' and ran and page[number - 1][0] == 'sh':
            ran[-1][3] = content
    with open(os.path.join(at, 'all'), 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines) + '\n')
    return ran


def verdict(ran, home):
    for path, content, want, promised in ran:
        output = ''
        if os.path.exists(path + '.out'):
            with open(path + '.out', encoding='utf-8', errors='replace') as f:
                output = f.read()
        code = 'a failure'
        if os.path.exists(path + '.rc'):
            with open(path + '.rc', encoding='ascii') as f:
                code = int(f.read())
        if code != want:
            yield '%s\n    ended with %s, not %d: %s' % (content.rstrip(), code, want, output[-900:])
            return
        for problem in broken_promises(promised or '', output, home):
            yield '%s\n    after: %s    but: %s' % (problem, content, output[-1500:])


def follow(text, shell, program, root, extra=None):
    """Problems of a page in one shell."""
    page = blocks(text)
    folder = tempfile.mkdtemp(prefix='wherry-docs-')
    home = os.path.join(folder, '.home')
    binaries = os.path.join(folder, '.bin')
    os.mkdir(home)
    os.mkdir(binaries)
    os.symlink(os.path.join(root, 'examples'), os.path.join(folder, 'examples'))
    with open(os.path.join(binaries, 'wherry'), 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\nexec %s "$@"\n' % program)
    os.chmod(f.name, 0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'WHERRY_', 'WH_TEST_', 'PG'))}
    env.update(HOME=home, PATH=binaries + ':' + env['PATH'], LC_ALL='C.UTF-8', TZ='UTC', **(extra or {}))
    try:
        ran = script(page, folder, home)
        subprocess.run([shell, os.path.join(folder, '.page', 'all')], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180, check=False)
        yield from verdict(ran, home)
    except subprocess.TimeoutExpired:
        yield 'not at its end after 180 s'
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bad_units(text):
    """What systemd says to the units of a page; a template is tried with an instance."""
    folder = tempfile.mkdtemp(prefix='wherry-docs-')
    try:
        units = []
        for kind, _, content in blocks(text):
            name = file_name(content) if kind == 'ini' else None
            if name and name.endswith(('.service', '.timer')):
                path = os.path.join(folder, '.config', 'systemd', 'user', os.path.basename(name))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w', encoding='utf-8') as f:
                    f.write(content)
                units.append(path.replace('@.', '@fleet.'))
        if units:
            p = subprocess.run(['systemd-analyze', '--user', 'verify', *units], stdin=subprocess.DEVNULL, timeout=60,
                               env={'HOME': folder, 'XDG_RUNTIME_DIR': folder, 'PATH': os.environ['PATH']},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            yield from p.stdout.decode('utf-8', 'replace').splitlines()
            if p.returncode and not p.stdout:
                yield 'systemd-analyze verify ended with %d' % p.returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unknown_kinds(text):
    for line in re.findall(r'^(?: {4}|\t)(wherry \w.*)', FENCE.sub('', text), re.M):
        yield 'an indented command is not run; put it between fences: %s' % line
    for kind, words, content in blocks(text):
        if kind not in KINDS:
            yield 'a block is none of %s: %s' % (', '.join(KINDS), content.split('\n')[0])
        if kind == 'console' and len(words) < 3 and re.search(r'^(\$ )?wherry ', content, re.M):
            yield 'wherry can be run here; say sh, not console: %s' % content.split('\n')[0]
        if kind in ('yaml', 'ini') and not file_name(content):
            yield 'the first line of a file is its name: %s' % content.split('\n')[0]


def commands(text):
    """The blocks without comments: what a translation must have in common with its original."""
    bare = []
    for kind, words, content in blocks(text):
        lines = [re.sub(r'\s+#(?![\w{]).*| +# .*', '', line).rstrip() for line in content.splitlines()]
        bare.append((kind, words, [line for line in lines if line and not line.startswith('# ')]))
    return bare
