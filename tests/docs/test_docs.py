#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents tell the truth.

    tests/docs/test_docs.py --wherry PROGRAM              --only DOC for one page
    tests/docs/test_docs.py --wherry PROGRAM --write      make docs/errors.md out of `explain`

Red when a path, target, stage or error code named in a document does not exist, a folder of the
source has no line in ARCHITECTURE.md, a connector has no row in README.md, a command named `wherry X`
is unknown, a page cannot be followed from its first to its last command in bash, dash and zsh (how:
guides.py), a translation has other commands than its original, or docs/errors.md is not what
`explain` says."""
import argparse
import contextlib
import itertools
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCS = sorted(os.path.relpath(os.path.join(base, name), ROOT) for top in ('docs', 'examples', 'tests', '.')
              for base, dirs, names in os.walk(os.path.join(ROOT, top))
              if top != '.' or os.path.samefile(base, ROOT)
              for name in names if name.endswith('.md'))
sys.path[:0] = [os.path.join(ROOT, 'tests', 'docs'), os.path.join(ROOT, 'tests', 'lib')]
import guides  # noqa: E402
import servers  # noqa: E402

SHELLS = ('bash', 'dash', 'zsh')
FAMILIES = {'E1': 'usage and job file', 'E2': 'connection and rights', 'E3': 'schema and types', 'E4': 'reading',
            'E5': 'writing and commit', 'E6': 'dirty rows and limits', 'E7': 'state and resume', 'E8': 'resources',
            'E9': 'our own bugs'}
TOPS = ('src/', 'include/', 'tests/', 'tools/', 'docs/', 'examples/', '.ci/')


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, problems, what):
        problems = list(problems)
        if problems:
            self.failed += 1
            print('FAILED %s' % what)
            for p in problems[:20]:
                print('    %s' % p)
        else:
            self.passed += 1


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def missing_paths(doc):
    for word in re.findall(r'`([^`\s]+)`', read(doc)):
        if word.startswith(TOPS) and not re.search(r'\bNAME\b|NAME\.|_NAME|[*<>{}]', word):
            path = os.path.join(ROOT, word)
            here = os.path.join(ROOT, os.path.dirname(doc), word)
            if not os.path.exists(path) and not os.path.exists(here):
                yield '%s: %s does not exist' % (doc, word)


def missing_targets(doc):
    targets = set(re.findall(r'^([a-z][\w-]*):', read('Makefile'), re.M))
    for word in re.findall(r'(?:^ {4}|`)make ([a-z][\w-]*)', read(doc), re.M):
        if word not in targets:
            yield '%s: make %s does not exist' % (doc, word)


def unknown_codes(doc):
    known = set(re.findall(r'^WH_ERR\((E\d{4})', read('src/core/errors.def'), re.M))
    for word in re.findall(r'\bE[1-9]\d{3}\b', read(doc)):
        if word not in known:
            yield '%s: %s is no error code' % (doc, word)


def unknown_stages(doc):
    names = set(re.findall(r"^@stage\('([\w-]+)'", read('tools/lib/stages.py'), re.M))
    for line in re.findall(r'tools/check ([a-z][a-z -]*)', read(doc)):
        for word in line.split():
            if word not in names and not word.startswith('-'):
                yield '%s: tools/check %s: no such stage' % (doc, word)


def folders_without_a_line():
    text = read('docs/ARCHITECTURE.md')
    for folder in sorted(os.listdir(os.path.join(ROOT, 'src'))):
        if os.path.isdir(os.path.join(ROOT, 'src', folder)) and '`src/%s`' % folder not in text:
            yield 'src/%s has no line in docs/ARCHITECTURE.md' % folder
    for folder in sorted(os.listdir(os.path.join(ROOT, 'src', 'connectors'))):
        if os.path.isdir(os.path.join(ROOT, 'src', 'connectors', folder)) and '`%s`' % folder not in text:
            yield 'src/connectors/%s has no line in docs/ARCHITECTURE.md' % folder


def connectors_without_a_row(program):
    p = subprocess.run([program, 'connectors'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30)
    names = [n for n in re.findall(r'^([a-z]\w*)  ', p.stdout.decode(), re.M) if n != 'name']
    if not names:
        yield '`wherry connectors` lists nothing'
    for name in names:
        if '| `%s`' % name not in read('README.md'):
            yield '%s has no row in README.md' % name


def promises_without_a_test(program):
    """Every mode of every destination stands in docs/guarantees.md, in words that the plan prints, with a test."""
    words = set(re.findall(r'"(exactly once per \w+|at least once|idempotent)"', read('src/engine/plan_check.c')))
    rows = [[c.strip() for c in line.strip('|').split('|')] for line in read('docs/guarantees.md').split('\n')
            if line.startswith('| ')][2:]
    for row in rows:
        if len(row) != 6 or row[2] not in words:
            yield '%s: not in the words of the plan' % row[0]
        if not re.search(r'`tests/[^`]+`', row[-1]):
            yield '%s: no test tries to break it' % row[0]
    p = subprocess.run([program, 'connectors'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30)
    for name in re.findall(r'^([a-z]\w*)  ', p.stdout.decode(), re.M):
        if name not in ('name', 'gen') and not any(re.match(name + r'\b', row[0]) for row in rows):
            yield '%s has no row' % name


def translations():
    for doc in DOCS:
        if re.search(r'\.[a-z]{2}\.md$', doc):
            yield doc, re.sub(r'\.[a-z]{2}\.md$', '.md', doc)


def differing_blocks(doc, original):
    ours, theirs = guides.commands(read(doc)), guides.commands(read(original))
    for a, b in itertools.zip_longest(ours, theirs):
        if a != b:
            yield '%s: %s\n    %s: %s' % (doc, a, original, b)


def errors_page(program):
    """docs/errors.md, out of the pages that `explain` prints."""
    def explain(*code):
        p = subprocess.run([program, 'explain', *code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30, check=True)
        return p.stdout.decode()

    out = [read('tests/docs/errors.head.md').rstrip()]
    family = None
    for line in explain().splitlines():
        code, title = line.split(None, 1)
        if code[:2] != family:
            family = code[:2]
            out.append('\n## %sxxx: %s\n' % (family, FAMILIES[family]))
        body = explain(code).split('\n', 1)[1].strip()
        out.append('### %s %s\n\n%s\n' % (code, title, re.sub(r'\n(?=Do: |It |Exit code)', '\n\n', re.sub(r'\n+', '\n', body))))
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(out)).rstrip() + '\n'


def stale_errors_page(program):
    if read('docs/errors.md') != errors_page(program):
        yield 'docs/errors.md is not what `explain` says: tests/docs/test_docs.py --wherry PROGRAM --write'


SELF = (('```sh\ntrue\n```\n', True), ('```sh\nfalse\n```\n', False), ('```sh exit=3\n(exit 3)\n```\n', True),
        ('```sh\nfalse\ntrue\n```\n', False), ('```sh\necho one two\n```\n\n```text\n... two\n```\n', True),
        ('```sh\necho one\n```\n\n```text\ntwo\n```\n', False), ('```sh\nfalse\n```\n\n```sh\ntrue\n```\n', False),
        ('```sh\nexport A=1\n```\n\n```sh\ntest "$A" = 1\n```\n', True),
        ('```yaml\n# a.yaml: x\n```\n\n```sh\ncat a.yaml\n```\n\n```text\n# a.yaml: x\n```\n', True))


def wrong_verdicts(program):
    """The test of the test: a page that does not keep its word is found, one that does is not."""
    for text, good in SELF:
        for shell in filter(shutil.which, SHELLS):
            if (not list(guides.follow(text, shell, program, ROOT))) != good:
                yield '%s: %r is taken for %s' % (shell, text, 'bad' if good else 'good')


def follow_pages(report, program):
    """Every page with commands, in every shell (a translation has those of its original); PostgreSQL only where a page asks for it."""
    pages = [doc for doc in DOCS if doc not in dict(translations()) and any(kind == 'sh' for kind, _, _ in guides.blocks(read(doc)))]
    with contextlib.ExitStack() as stack:
        pg = None
        for doc in pages:
            wants = 'PGHOST' in read(doc)
            if wants and pg is None and servers.binaries():
                pg = stack.enter_context(servers.Postgres())
            for shell in SHELLS:
                if not shutil.which(shell) or (wants and pg is None):
                    report.skipped += 1
                    print('SKIP missing: %s' % (shell if not shutil.which(shell) else 'PostgreSQL server'))
                    continue
                extra = {}
                if wants:
                    extra = {'PGHOST': '127.0.0.1', 'PGPORT': str(pg.port), 'PGUSER': 'postgres',
                             'PGDATABASE': pg.database('d%d' % (report.passed + report.failed))}
                report.check(guides.follow(read(doc), shell, program, ROOT, extra), '%s in %s' % (doc, shell))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--wherry', required=True)
    ap.add_argument('--write', action='store_true', help='write docs/errors.md, nothing else')
    ap.add_argument('--only', metavar='DOC', help='follow only this page')
    args = ap.parse_args()
    program = os.path.abspath(args.wherry)
    if args.only:
        DOCS[:] = [doc for doc in DOCS if args.only in doc]
    if args.write:
        with open(os.path.join(ROOT, 'docs/errors.md'), 'w', encoding='utf-8') as f:
            f.write(errors_page(program))
        return 0
    report = Report()
    for doc in DOCS:
        for test in (missing_paths, missing_targets, unknown_codes, unknown_stages):
            report.check(test(doc), '%s: %s' % (doc, test.__name__))
        if doc.startswith(('docs/guide', 'docs/connectors')) or doc == 'README.md':
            report.check(guides.unknown_kinds(read(doc)), '%s: blocks that can be followed' % doc)
        if '```ini' in read(doc) and shutil.which('systemd-analyze'):
            report.check(guides.bad_units(read(doc)), '%s: systemd takes the units' % doc)
    for doc, original in translations():
        report.check(differing_blocks(doc, original), '%s has the blocks of %s' % (doc, original))
    report.check(folders_without_a_line(), 'every folder has its line')
    if not os.access(program, os.X_OK):
        report.check(['no program at %s' % program], 'the program is built')
    else:
        report.check(connectors_without_a_row(program), 'every connector has its row')
        report.check(promises_without_a_test(program), 'docs/guarantees.md holds every destination')
        report.check(stale_errors_page(program), 'docs/errors.md is fresh')
        report.check(wrong_verdicts(program), 'a page that breaks its word is found')
        follow_pages(report, program)
    print('%d passed, %d failed, %d skipped' % (report.passed, report.failed, report.skipped))
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())
