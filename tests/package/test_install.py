#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is installed is whole and hardened, and says what it is made of.

    tests/package/test_install.py DEST BUILD     DEST: what `make install DESTDIR=` made, PREFIX=/usr

Red when a file has no PIE, RELRO, immediate binding, stack protector, fortified calls, landing pads or
has an executable stack or a path of the build in it; when a command, flag, option or connector has no
manual page or the page is not clean; when `version --json` or the bill of materials leaves out a
library that a file loads."""
import glob
import json
import os
import re
import shutil
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402

# Modules so small that they have no call that could be fortified or no array on the stack.
SMALL = ('wherry-null.so',)


def out_of(*cmd, **kw):
    return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
                          env=dict(os.environ, LC_ALL='C.UTF-8', **kw)).stdout.decode('utf-8', 'replace')


def function_bytes(path, pattern):
    """The first four bytes of the first exported function whose name matches."""
    found = re.search(r'^\s*\d+: ([0-9a-f]+)\s+[1-9]\d*\s+FUNC\s+GLOBAL\s+DEFAULT\s+\d+ (?:%s)' % pattern, out_of('readelf', '-sW', path), re.M)
    if not found:
        return None
    at = int(found.group(1), 16)
    for offset, addr, size in re.findall(r'LOAD\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+)', out_of('readelf', '-lW', path)):
        offset, addr, size = (int(x, 16) for x in (offset, addr, size))
        if addr <= at < addr + size:
            with open(path, 'rb') as f:
                f.seek(at - addr + offset)
                return f.read(4)
    return None


def landing_pads(path):
    """endbr64 in the code: functions that may be jumped to."""
    with open(path, 'rb') as f:
        return f.read().count(struct.pack('<I', 0xfa1e0ff3))


def hardened(t, path, program):
    name = os.path.basename(path)
    head, dynamic, segments, symbols = (out_of('readelf', o, path) for o in ('-hW', '-dW', '-lW', '-sW'))
    t.check(re.search(r'Type:\s+DYN', head) and (not program or 'PIE' in dynamic), name + ': position independent', head)
    t.check('GNU_RELRO' in segments and re.search(r'BIND_NOW|FLAGS_1.*NOW', dynamic), name + ': RELRO and bound at once', dynamic)
    t.check(re.search(r'GNU_STACK.*\bRW\b', segments) and not re.search(r'\bRWE\b', segments), name + ': nothing is writable and executable',
            segments)
    t.check(not re.search(r'TEXTREL|RPATH|RUNPATH', dynamic), name + ': no text relocations, no paths of libraries', dynamic)
    if name not in SMALL:
        t.check('__stack_chk_fail' in symbols, name + ': stack protector')
        t.check(re.search(r'__\w+_chk\b', symbols.replace('__stack_chk', '')), name + ': fortified calls')
    machine = re.search(r'Machine:\s+(.*)', head).group(1)
    if 'X86-64' in machine:
        t.check(landing_pads(path) >= (100 if program else 5), name + ': landing pads for indirect jumps', landing_pads(path))
        if program:
            t.check(function_bytes(path, 'wh_fail') == b'\xf3\x0f\x1e\xfa', 'exported functions begin with a landing pad')
    with open(path, 'rb') as f:
        text = f.read()
    t.check(ROOT.encode() not in re.sub(rb'(?s)\.debug.*', b'', text) or b'.debug_info' in text, name + ': no path of the build')


def manual_pages(t, dest, tables):
    pages = {os.path.basename(p): p for p in glob.glob(os.path.join(dest, 'usr/share/man/man*/*'))}
    text = {}
    for name, path in pages.items():
        with open(path, encoding='utf-8') as f:
            text[name] = f.read().replace('\\-', '-')
        if shutil.which('man'):
            said = out_of('man', '--warnings=w', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', path)
            said = '\n'.join(l for l in said.splitlines() if re.match(r'(man|troff|groff|grotty|.*?):.*(warning|error|cannot)', l))
            t.check(not said, 'manual page %s is clean' % name, said)
    for c in tables['commands']:
        page = text.get('wherry-%s.1' % c['name'], '')
        if not c['hidden']:
            t.check(page and all('--' + f['name'] in page for f in c['flags']), 'wherry-%s(1) has every flag' % c['name'])
            t.check('wherry-%s' % c['name'] in text.get('wherry.1', ''), 'wherry(1) names %s' % c['name'])
    for k in tables['connectors']:
        page = text.get('wherry-connector-%s.7' % k['name'], '')
        rows = k['connection'] + k['from'] + k['to']
        t.check(page and all('\\fB%s\\fR' % o['name'] in page for o in rows), 'wherry-connector-%s(7) has every option' % k['name'])
    job = text.get('wherry-job.5', '')
    t.check(all('\\fB%s\\fR' % w in job for w in ('run.parallel', 'defaults', 'write.mode', 'version')), 'wherry-job(5) has the keys')


def hand_written(t, tables):
    """docs/man speaks of commands and flags that exist."""
    flags = {f['name'] for c in tables['commands'] for f in c['flags']} | {f['name'] for f in tables['flags']}
    commands = {c['name'] for c in tables['commands'] if not c['hidden']}
    pages = {'wherry-' + c for c in commands} | {'wherry', 'wherry-job'} | {'wherry-connector-' + k['name'] for k in tables['connectors']}
    for path in sorted(glob.glob(os.path.join(ROOT, 'docs/man/*.txt'))):
        with open(path, encoding='utf-8') as f:
            text = f.read()
        name = os.path.basename(path)
        t.check(name[:-4] in pages, 'docs/man/%s belongs to a page' % name)
        wrong = [w for w in re.findall(r'--([a-z][a-z-]+)', text) if w not in flags]
        wrong += [w for w in re.findall(r'^ {4}wherry ([a-z]+)', text, re.M) if w not in commands]
        t.check(not wrong, 'docs/man/%s names what exists' % name, wrong)


def versions(t, program, env, modules):
    v = json.loads(out_of(program, 'version', '--json', **env))
    told = {m['name']: m for m in v['modules']}
    t.check(sorted(told) == sorted(v['connectors']) and len(told) == len(modules), 'version --json lists the modules', v)
    t.check(all(m['abi'] == v['abi'] and os.path.exists(m['file']) for m in told.values()), 'with ABI and file', v)
    t.check({'glibc', 'libyaml', 'sqlite', 'xxhash'} <= set(v['libraries']), 'and the libraries of the program', v)
    want = {'file': {'zlib', 'libdeflate', 'isa-l', 'zstd', 'bzip2', 'lz4'}, 'postgresql': {'libpq'}, 'sqlite': {'sqlite'}}
    for name, libraries in want.items():
        t.check(set(told.get(name, {}).get('libraries', {})) == libraries, 'the libraries of %s' % name, told.get(name))
    t.check(all(re.match(r'\d+(\.\d+)+', x) for m in [v] + v['modules'] for x in m['libraries'].values()), 'every library has a version', v)
    # What a module tells is what it loads.
    for m in v['modules']:
        loads = set(re.findall(r'\(NEEDED\).*\[lib(\w+)', out_of('readelf', '-d', m['file']))) - {'c', 'm', 'dl', 'pthread'}
        names = {n.replace('lib', '').replace('isa-l', 'isal').replace('zlib', 'z').replace('bzip2', 'bz2') for n in m['libraries']}
        names = {'z' if n == '' else n for n in names}
        t.check({('z' if l == 'z' else l) for l in loads} <= names | {'z'}, '%s tells all that it loads' % m['name'], (loads, names))
    t.check('libpq' in out_of(program, 'version', '-v', **env), 'version -v tells people')


def bill(t, build, modules):
    doc = json.loads(out_of(sys.executable, os.path.join(ROOT, 'tools/sbom'), build, SOURCE_DATE_EPOCH='1700000000'))
    again = json.loads(out_of(sys.executable, os.path.join(ROOT, 'tools/sbom'), build, SOURCE_DATE_EPOCH='1700000000'))
    t.check(doc == again, 'the bill of materials is reproducible')
    t.check(doc['spdxVersion'] == 'SPDX-2.3' and doc['dataLicense'] == 'CC0-1.0' and doc['creationInfo']['created'] == '2023-11-14T22:13:20Z'
            and all(k in doc for k in ('SPDXID', 'name', 'documentNamespace')), 'it is an SPDX document', list(doc))
    ids = [e['SPDXID'] for e in doc['packages'] + doc['files']] + ['SPDXRef-DOCUMENT']
    t.check(len(ids) == len(set(ids)) and all(re.fullmatch(r'SPDXRef-[A-Za-z0-9.-]+', i) for i in ids), 'identifiers are unique and well formed', ids)
    ends = {e[k] for e in doc['relationships'] for k in ('spdxElementId', 'relatedSpdxElement')}
    t.check(ends <= set(ids), 'relationships join what is there', ends - set(ids))
    for e in doc['packages'] + doc['files']:
        need = ('name', 'versionInfo', 'downloadLocation', 'licenseConcluded') if e in doc['packages'] else ('fileName', 'checksums')
        t.check(all(e.get(k) for k in need), 'element %s has what SPDX asks' % e['SPDXID'], e)
    names = {p['name'] for p in doc['packages']}
    t.check({'wherry', 'libc6', 'libpq5', 'zlib1g', 'libzstd1', 'libbz2-1.0', 'liblz4-1'} <= names, 'packages that are loaded', names)
    static = {e['relatedSpdxElement'] for e in doc['relationships'] if e['relationshipType'] == 'STATIC_LINK'}
    t.check({'SPDXRef-Package-libsqlite3-dev', 'SPDXRef-Package-libyaml-dev'} <= static, 'libraries that are linked in', static)
    t.check(len(doc['files']) == 1 + len(modules), 'the program and every module')


def main():
    dest, build = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    t = harness.Tally('the installed tree', 0)
    program = os.path.join(dest, 'usr/bin/wherry')
    modules = sorted(glob.glob(os.path.join(dest, 'usr/lib/*/wherry/wherry-*.so')))
    env = {'HOME': '/nonexistent', 'WHERRY_MODULES': os.path.dirname(modules[0]) if modules else '/nonexistent'}
    t.check(len(modules) >= 5, 'modules', modules)
    hardened(t, program, True)
    for m in modules:
        hardened(t, m, False)
    tables = json.loads(out_of(program, 'tables', **env))
    manual_pages(t, dest, tables)
    hand_written(t, tables)
    for shell, path in (('bash', 'bash-completion/completions/wherry'), ('zsh', 'zsh/vendor-completions/_wherry'),
                        ('fish', 'fish/vendor_completions.d/wherry.fish')):
        path = os.path.join(dest, 'usr/share', path)
        t.check(os.path.exists(path) and 'wherry' in open(path, encoding='utf-8').read(), 'completion for %s' % shell)
    for name in ('batch', 'connector', 'option', 'status', 'storage'):
        t.check(os.path.exists(os.path.join(dest, 'usr/include/wherry/%s.h' % name)), '%s.h' % name)
    versions(t, program, env, modules)
    bill(t, build, modules)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
