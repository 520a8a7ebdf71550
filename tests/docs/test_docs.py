#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents tell the truth.

    tests/docs/test_docs.py --wherry PROGRAM

Red when a path, target, stage or error code named in a document does not exist, a folder of the
source has no line in ARCHITECTURE.md, a connector has no row in README.md, a command named `wherry X`
is unknown, or an example in a ```sh block fails in bash, dash or zsh."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCS = sorted(os.path.relpath(os.path.join(base, name), ROOT) for top in ('docs', 'examples', 'tests', '.')
              for base, dirs, names in os.walk(os.path.join(ROOT, top))
              if top != '.' or os.path.samefile(base, ROOT)
              for name in names if name.endswith('.md'))
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


def sh_blocks(doc):
    return re.findall(r'^```sh\n(.*?)^```', read(doc), re.M | re.S)


def run_block(block, shell, program):
    scratch = tempfile.mkdtemp(prefix='wherry-docs-')
    os.symlink(os.path.join(ROOT, 'examples'), os.path.join(scratch, 'examples'))
    os.mkdir(os.path.join(scratch, '.bin'))
    wrapper = os.path.join(scratch, '.bin', 'wherry')
    with open(wrapper, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\nexec %s "$@"\n' % program)
    os.chmod(wrapper, 0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'WHERRY_', 'WH_TEST_'))}
    env.update(HOME=scratch, PATH=os.path.dirname(wrapper) + ':' + env['PATH'])
    p = subprocess.run([shell, '-e', '-c', block], cwd=scratch, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    shutil.rmtree(scratch, ignore_errors=True)
    if p.returncode:
        yield 'exit %d: %s' % (p.returncode, p.stdout.decode('utf-8', 'replace')[-600:])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--wherry', required=True)
    args = ap.parse_args()
    program = os.path.abspath(args.wherry)
    report = Report()
    for doc in DOCS:
        for test in (missing_paths, missing_targets, unknown_codes, unknown_stages):
            report.check(test(doc), '%s: %s' % (doc, test.__name__))
    report.check(folders_without_a_line(), 'every folder has its line')
    if not os.access(program, os.X_OK):
        report.check(['no program at %s' % program], 'the program is built')
    else:
        report.check(connectors_without_a_row(program), 'every connector has its row')
        for doc in DOCS:
            for block in sh_blocks(doc):
                for shell in ('bash', 'dash', 'zsh'):
                    if shutil.which(shell):
                        report.check(run_block(block, shell, program), '%s in %s' % (doc, shell))
                    else:
                        report.skipped += 1
                        print('SKIP missing: %s' % shell)
    print('%d passed, %d failed, %d skipped' % (report.passed, report.failed, report.skipped))
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())
