# SPDX-License-Identifier: Apache-2.0
"""Packed files and archives, files as they are. Judged by libsnappy, Python's zipfile and tarfile."""
import ctypes
import hashlib
import os
import shutil
import subprocess
import zipfile

import harness


def put(place, name, data):
    path = place.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def got(place, name):
    with open(place.path(name), 'rb') as f:
        return f.read()


# ---- snappy -------------------------------------------------------------------------------------


def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        table.append(n)
    crc = 0xffffffff
    for b in data:
        crc = table[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8 & 0xffffffff).to_bytes(4, 'little')


class Snappy:
    """The framing format by its description, blocks by libsnappy."""
    MARK = b'\xff\x06\0\0sNaPpY'

    def __init__(self):
        self.lib = ctypes.CDLL('libsnappy.so.1')

    def block(self, data):
        n = ctypes.c_size_t(32 + len(data) + len(data) // 6)
        out = ctypes.create_string_buffer(n.value)
        assert self.lib.snappy_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(n)) == 0
        return out.raw[:n.value]

    def text(self, block):
        n = ctypes.c_size_t()
        assert self.lib.snappy_uncompressed_length(block, ctypes.c_size_t(len(block)), ctypes.byref(n)) == 0
        out = ctypes.create_string_buffer(n.value + 1)
        assert self.lib.snappy_uncompress(block, ctypes.c_size_t(len(block)), out, ctypes.byref(n)) == 0
        return out.raw[:n.value]

    def pack(self, data):
        out = self.MARK
        for i in range(0, len(data), 65536):
            piece = data[i:i + 65536]
            body = masked(piece) + self.block(piece)
            out += b'\0' + len(body).to_bytes(3, 'little') + body
        return out

    def unpack(self, data):
        """The text, and how many streams it stands in."""
        out, at, streams = [], 0, 0
        while at < len(data):
            kind, n = data[at], int.from_bytes(data[at + 1:at + 4], 'little')
            body = data[at + 4:at + 4 + n]
            assert len(body) == n
            if kind == 255:
                assert body == b'sNaPpY'
                streams += 1
            elif kind in (0, 1):
                assert streams and n <= 76490 + 4
                piece = self.text(body[4:]) if kind == 0 else body[4:]
                assert masked(piece) == body[:4] and len(piece) <= 65536
                out.append(piece)
            else:
                assert kind == 0xfe
            at += 4 + n
        return b''.join(out), streams

    def hadoop(self, data):
        out = b''
        for i in range(0, len(data), 200000):
            piece = data[i:i + 200000]
            out += len(piece).to_bytes(4, 'big')
            for k in range(0, len(piece), 70000):
                block = self.block(piece[k:k + 70000])
                out += len(block).to_bytes(4, 'big') + block
        return out


def snappy(t):
    """Red when libsnappy reads another text than was written, or we another one than it packed, in either
    framing; when a cut or damaged file ends well."""
    place = harness.Place('snappy')
    try:
        lib = Snappy()
        text = ('id,name\n' + ''.join('%d,name %d\n' % (i, i * 7) for i in range(20000))).encode()
        put(place, 'in.csv', text)
        for suffix in ('sz', 'snappy'):
            place.forget()
            code, _, err = place.run('copy', 'in.csv', 'x.csv.' + suffix, '--mode', 'overwrite')
            if not t.check(code == 0, 'written: ' + suffix, err):
                continue
            back, streams = lib.unpack(got(place, 'x.csv.' + suffix))
            t.check(back == text and streams > 1, 'libsnappy reads it: ' + suffix, (len(back), streams))
            t.check(len(got(place, 'x.csv.' + suffix)) < len(text) * 0.6, 'it packs', len(got(place, 'x.csv.' + suffix)))
            put(place, 'y.csv.' + suffix, lib.pack(text) + lib.pack(b'20000,behind\n'))
            put(place, 'h.csv.' + suffix, lib.hadoop(text))
            for name, want in (('x', text), ('y', text + b'20000,behind\n'), ('h', text)):
                code, _, err = place.run('copy', '%s.csv.%s' % (name, suffix), 'z.csv', '--mode', 'overwrite')
                t.check(code == 0 and got(place, 'z.csv') == want, 'read: %s.csv.%s' % (name, suffix), err)
            whole = got(place, 'y.csv.' + suffix)
            flipped = bytearray(whole)
            flipped[len(whole) // 2] ^= 16
            for what, bad, want in (('cut', whole[:-3], 'E4004'), ('damaged', bytes(flipped), 'E4005'), ('no snappy', text, 'E4011')):
                put(place, 'bad.csv.' + suffix, bad)
                place.forget()
                code, _, err = place.run('copy', 'bad.csv.' + suffix, 'w.csv')
                t.check(code in (1, 2) and want in err and not os.path.exists(place.path('w.csv')), '%s: %s' % (what, suffix), err)
        with open(place.path('y.csv.sz'), 'rb') as f:
            p = subprocess.run([harness.program(), 'copy', '-', '-'], cwd=place.dir, env=place.env, stdin=f, capture_output=True, timeout=60, check=False)
        t.check(p.returncode == 0 and p.stdout == text + b'20000,behind\n', 'standard input is known by its first bytes', p.stderr)
    finally:
        place.remove()


# ---- zip ----------------------------------------------------------------------------------------


def zipped(t):
    """Red when a zip of one file is read as another text than Python put in, an archive that is not read here is
    taken for one, or a cut one ends well."""
    place = harness.Place('zip')
    try:
        text = ('id,name\n' + ''.join('%d,name %d\n' % (i, i * 7) for i in range(20000))).encode()
        def pack(name, *members):
            with zipfile.ZipFile(put(place, name, b''), 'w', zipfile.ZIP_DEFLATED) as z:
                for member in members:
                    z.writestr(member, text)
        pack('a.csv.zip', 'data/a.csv')
        pack('one.zip', 'a.csv')
        pack('two.csv.zip', 'a.csv', 'b.csv')
        whole = got(place, 'a.csv.zip')
        for args in (['a.csv.zip'], ['one.zip'], ['one.zip', '--from', 'format=csv']):
            code, _, err = place.run('copy', args[0], 'z.csv', '--mode', 'overwrite', *args[1:])
            t.check(code == 0 and got(place, 'z.csv') == text, 'read: ' + args[0], err)
        encrypted = bytearray(whole)
        encrypted[6] |= 1
        damaged = bytearray(whole)
        damaged[whole.index(b'PK\1\2') - 400] ^= 4
        for what, data, want in (('encrypted', bytes(encrypted), 'is encrypted'), ('cut in its directory', whole[:-30], 'E4004'),
                                 ('cut in its middle', whole[:len(whole) // 2], 'E4004'), ('damaged', bytes(damaged), 'E4005'),
                                 ('no zip', text, 'E4011')):
            put(place, 'bad.csv.zip', data)
            place.forget()
            code, _, err = place.run('copy', 'bad.csv.zip', 'w.csv')
            t.check(code in (1, 2) and want in err and not os.path.exists(place.path('w.csv')), what, err)
        place.forget()
        code, _, err = place.run('copy', 'a.csv.zip', 'w.csv.zip')
        t.check(code == 2 and 'E1014' in err and 'zip can be read, not written' in err, 'archives are not written', err)
        with open(place.path('two.csv.zip'), 'rb') as f:
            p = subprocess.run([harness.program(), 'copy', '-', '-'], cwd=place.dir, env=place.env, stdin=f, capture_output=True, timeout=60, check=False)
        t.check(p.returncode != 0 and b'more than one file' in p.stderr, 'standard input is an archive of one file', p.stderr)
    finally:
        place.remove()


# ---- files as they are --------------------------------------------------------------------------

AS_IS = ('--from', 'format=binary')


def tree(top):
    """Path below, content, rights and time of the last change (in microseconds) of every file that is none of ours."""
    found = {}
    for base, _, names in os.walk(top):
        for n in names:
            path = os.path.join(base, n)
            if not n.startswith('_wherry_manifest.') and '/.wherry-' not in base:
                with open(path, 'rb') as f:
                    s = os.stat(path)
                    found[os.path.relpath(path, top)] = (f.read(), s.st_mode & 0o7777, s.st_mtime_ns // 1000)
    return found


def some_files(place):
    put(place, 'in/empty', b'')
    put(place, 'in/a.csv.gz', b'no gzip at all\0\xff\n')
    put(place, 'in/sub/x "y" \u00e9*.bin', os.urandom(70000))
    put(place, 'in/sub/deep/large', os.urandom(5 << 20) + b'tail')
    put(place, 'in/sub/deep/one more', b'1')
    with open(put(place, 'in/sparse', b''), 'r+b') as f:
        f.truncate(9 << 20)
        f.seek(8 << 20)
        f.write(b'data')
    os.symlink('sub/deep/one more', place.path('in/link'))
    os.chmod(place.path('in/a.csv.gz'), 0o640)
    os.chmod(place.path('in/sub/deep/large'), 0o755)
    os.utime(place.path('in/sub/deep/large'), ns=(0, 1580608922123456000))
    return tree(place.path('in'))


def as_is(t):
    """Red when a file that is copied as it is differs in path, content, rights or time, when one that exists is
    changed by an append, when ranges are put together wrongly, or a comparison afterwards does not see a changed byte."""
    place = harness.Place('as-is')
    try:
        want = some_files(place)
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--validate', 'checksum')
        t.check(code == 0 and tree(place.path('out')) == want and '= in/**' in err, 'a folder of files', err)
        t.check(sorted(os.listdir(place.path('out')))[0] == '_wherry_manifest.in.json', 'nothing of ours but the manifest', os.listdir(place.path('out')))
        t.check(place.leftovers() == [], 'nothing left', place.leftovers())
        flipped = bytearray(got(place, 'out/sub/deep/large'))
        flipped[3 << 20] ^= 1
        put(place, 'out/sub/deep/large', bytes(flipped))
        put(place, 'out/stranger', b'stays')
        code, out, err = place.run('validate', 'in/**', 'out/', *AS_IS)
        t.check(code == 4, 'one changed bit is seen', out + err)
        before = tree(place.path('out'))
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS)
        t.check(code != 0 and 'E5012' in err and tree(place.path('out')) == before, 'append changes no file', err)
        place.forget()
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--mode', 'overwrite')
        now = tree(place.path('out'))
        t.check(code == 0 and now.pop('stranger', (b'',))[0] == b'stays' and now == want, 'overwrite replaces what it brings, and leaves strangers', err)
        code, _, err = place.run('copy', 'in/**', 'ranges/', *AS_IS, '--from', 'md5=check', '--to', 'md5=md5', '--columns', '* except (mode, mtime)', '--validate', 'checksum',
                                 WH_TEST_PACK_BYTES='1')
        now = tree(place.path('ranges'))
        sums = {n[:-4]: now.pop(n)[0].split()[0].decode() for n in list(now) if n.endswith('.md5')}
        t.check(code == 0 and {n: v[0] for n, v in now.items()} == {n: v[0] for n, v in want.items()}, 'without rights and times', err)
        t.check(sums == {n: hashlib.md5(v[0]).hexdigest() for n, v in want.items()}, 'sums beside them', sums)
        code, _, err = place.run('copy', 'ranges/**', 'again/', *AS_IS, '--from', 'md5=require')
        t.check(code == 0 and set(tree(place.path('again'))) == set(want), 'sums are compared, and not copied as files', err)
        put(place, 'ranges/sub/deep/one more', b'2')
        place.forget()
        code, _, err = place.run('copy', 'ranges/**', 'third/', *AS_IS, '--from', 'md5=require')
        t.check(code != 0 and 'E4016' in err and not os.path.exists(place.path('third/empty')), 'a file that does not fit its sum', err)
    finally:
        place.remove()


def as_is_left_out(t):
    """Red when a copy of everything leaves out hidden files, pipes or links to nothing without a warning and a count."""
    place = harness.Place('as-is-left-out')
    try:
        put(place, 'in/a', b'1')
        put(place, 'in/.hidden', b'2')
        put(place, 'in/_sub/b', b'3')
        os.mkfifo(place.path('in/pipe'))
        os.symlink('nowhere', place.path('in/dead'))
        words = ('warning: 2 hidden files are not copied (hidden=true takes them)', 'warning: 2 pipes, sockets, devices or links to nothing are not copied')
        code, out, _ = place.run('plan', 'in/**', 'out/', *AS_IS)
        t.check(code == 0 and all(w in out for w in words), 'said by the plan', out)
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS)
        t.check(code == 0 and list(tree(place.path('out'))) == ['a'] and all(w in err for w in words), 'said by the run', err)
        code, _, err = place.run('copy', 'in/**', 'all/', *AS_IS, '--from', 'hidden=true')
        t.check(code == 0 and sorted(tree(place.path('all'))) == ['.hidden', '_sub/b', 'a'] and words[0] not in err and words[1] in err, 'hidden ones taken', err)
        put(place, 'csv/.h.csv', b'a\n1\n')
        code, _, err = place.run('copy', 'csv/', 'o.csv')
        t.check(code == 2 and '1 files there have hidden names' in err, 'nothing but a hidden one', err)
        put(place, 'csv/a.csv', b'a\n1\n')
        os.symlink('nowhere', place.path('csv/dead.csv'))
        code, _, err = place.run('copy', 'csv/', 'o.csv')
        t.check(code == 0 and '1 hidden files left out' in err and '1 pipes, devices and links to nothing left out' in err, 'noted of text', err)
    finally:
        place.remove()


def as_is_in_the_way(t):
    """Red when a folder has the name of a file, a file that of a folder, or another file its place, and the run
    does not end with what and where while nothing shows; when its hint does not work, or rows are said to stay."""
    place = harness.Place('as-is-way')
    try:
        want = some_files(place)

        def bar(how):
            place.forget()
            shutil.rmtree(place.path('out'), ignore_errors=True)
            os.makedirs(place.path('out/empty') if how == 'folder' else place.path('out'))
            if how != 'folder':
                put(place, 'out/sub' if how == 'file' else 'out/empty', b'other')

        def unbar(how):
            os.rmdir(place.path('out/empty')) if how == 'folder' else os.unlink(place.path('out/sub' if how == 'file' else 'out/empty'))

        for how, mode, words in (('folder', 'overwrite', "out/empty' is a folder"), ('folder', 'append', "out/empty' is a folder"),
                                 ('file', 'overwrite', "out/sub' is no folder"), ('file', 'append', "out/sub' is no folder"),
                                 ('other', 'append', "out/empty' is there already")):
            what = '%s in the way, %s' % (how, mode)
            bar(how)
            before = tree(place.path('out'))
            code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--mode', mode)
            t.check(code == 1 and 'E5012' in err and words in err and "'wherry resume'" in err and tree(place.path('out')) == before, what, err)
            unbar(how)
            code, _, err = place.run('resume')
            t.check(code == 0 and tree(place.path('out')) == want, what + ': moved away, resumed', err)
            bar(how)
            before = tree(place.path('out'))
            code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--mode', mode)
            run = err.split('wherry cancel ')[1].split()[0]
            code, out, err = place.run('cancel', run, '--discard')
            t.check(code == 0 and 'stay' not in out + err and tree(place.path('out')) == before, what + ': given up, nothing stays', out + err)
            t.check([n for n in os.listdir(place.path('out')) if n.startswith('.wherry-')] == [], what + ': no parts are left', os.listdir(place.path('out')))
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--mode', 'overwrite')
        t.check(code == 0 and tree(place.path('out')) == want, 'begun again with overwrite, as the hint says', err)
    finally:
        place.remove()


def as_is_refused(t):
    """Red when a pair, path or setting that cannot work is not refused with its reason before anything is made."""
    place = harness.Place('as-is-refused')
    try:
        some_files(place)
        put(place, 'more/sub', b'a file where the other has a folder')
        put(place, 'twin/empty', b'x')
        cases = [
            (['in/**', 'o.db#t', *AS_IS], 'E1060', 'sqlite takes rows'),
            (['in/**', '-', *AS_IS], 'E1060', 'no folder'),
            (['in/empty', 'x.bin', *AS_IS], 'E1060', "'x.bin/'"),
            (['in/**', 'out/', *AS_IS, '--to', 'format=csv'], 'E1060', 'another format'),
            (['gen:lineitem?rows=5', 'out/', '--to', 'format=binary'], 'E1060', 'the source gives rows'),
            (['-', 'out/', *AS_IS], 'E1060', 'standard input'),
            (['in/**', 'more/**', 'out/', *AS_IS], 'E1028', 'a folder of others'),
            (['in/**', 'twin/**', 'out/', *AS_IS], 'E1028', 'two of the files'),
            (['in/**', 'out/', *AS_IS, '--limit', '3'], 'E1007', 'whole files'),
            (['in/**', 'out/', *AS_IS, '--from', 'encoding=latin1'], 'E1007', 'encoding'),
            (['in/**', 'out/', *AS_IS, '--from', 'compression=gzip'], 'E1007', 'compression'),
            (['in/**', 'out/', *AS_IS, '--to', 'part_size=1MB'], 'E1007', 'part_size'),
            (['in/**', 'out/', *AS_IS, '--columns', 'path,data,size'], 'E1060', "'offset'"),
            (['in/**', 'out/', *AS_IS, '--columns', '*,more=path'], 'E1060', "'path'"),
        ]
        for args, error, words in cases:
            place.forget()
            code, _, err = place.run('copy', *args)
            t.check(code == 2 and error in err and words in err and not os.path.exists(place.path('out')), '%s: %s' % (error, ' '.join(args)), err)
        os.rename(place.path('in/empty'), place.path('in/empty').encode() + b'\xff')
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS)
        t.check(code != 0 and 'E4006' in err and not os.path.exists(place.path('out')), 'a name that is not UTF-8', err)
        os.unlink(place.path('in/empty').encode() + b'\xff')
        long = '/'.join(['n' * 200] * 3)
        put(place, 'in/' + long, b'x')
        code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS)
        t.check(code == 1 and 'E1020' in err and 'too long' in err and tree(place.path('out')) == {}, 'a path that is too long', err)
    finally:
        place.remove()


KILLED = ['commit-before', 'commit-after', 'record-after', 'publish-step-before', 'publish-step-intended', 'publish-step-applied',
          'publish-step-recorded', 'closing-before']


def as_is_killed(t):
    """Red when a kill at any point leaves half a file under its name, or a resume loses or changes one."""
    place = harness.Place('as-is-killed')
    try:
        want = some_files(place)
        for mode in ('append', 'overwrite'):
            for point in KILLED:
                for nth in (1, 3):
                    place.forget()
                    shutil.rmtree(place.path('out'), ignore_errors=True)
                    what = 'killed at %s:%d, %s' % (point, nth, mode)
                    code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, '--mode', mode, WH_TEST_KILL='%s:%d' % (point, nth), WH_TEST_PACK_BYTES='1')
                    if code == 0:
                        continue
                    t.kills['publish' if 'publish' in point else 'commit'] += 1
                    seen = tree(place.path('out'))
                    t.check(code == -9 and all(want[n][0] == v[0] for n, v in seen.items()), what + ': what shows is whole', '%s %s' % (code, sorted(seen)))
                    t.check('publish' in point or 'closing' in point or not seen, what + ': nothing shows before', sorted(seen))
                    code, _, err = place.run('resume')
                    t.check(code == 0 and tree(place.path('out')) == want, what + ': resumed', err)
        halfway(t, place, want)
        place.forget()
        shutil.rmtree(place.path('out'), ignore_errors=True)
        p = place.start('copy', 'in/**', 'out/', *AS_IS, WH_TEST_STOP='commit-before:1', WH_TEST_PACK_BYTES='1')
        if t.check(harness.wait_stopped(p, 20), 'stopped in the middle'):
            with open(place.path('in/sub/deep/large'), 'ab') as f:
                f.write(b'grown')
            with open(place.path('in/sparse'), 'r+b') as f:
                f.truncate(100)
            p.send_signal(18)
        code, _, err = harness.finish(p, 30)
        t.check(code != 0 and 'E4007' in err and tree(place.path('out')) == {}, 'a file that changed while it was copied', err)
    finally:
        place.remove()


def halfway(t, place, want):
    """A kill between two files of the publishing: some have their names, their parts are gone or not yet."""
    for keep in (False, True):
        for n in ('sub/deep/one more', 'sub/deep/large'):
            place.forget()
            shutil.rmtree(place.path('out'), ignore_errors=True)
            code, _, err = place.run('copy', 'in/**', 'out/', *AS_IS, WH_TEST_KILL='publish-step-intended:1', WH_TEST_PACK_BYTES='1')
            stage = place.path('out', [x for x in os.listdir(place.path('out')) if x.startswith('.wherry-')][0])
            put(place, 'out/' + n, want[n][0])
            os.chmod(place.path('out', n), want[n][1])
            os.utime(place.path('out', n), ns=(0, want[n][2] * 1000))
            for part in os.listdir(stage):
                with open(os.path.join(stage, part), 'rb') as f:
                    text = f.read()
                if not keep and part.endswith('.part') and text and text in want[n][0] and not any(text == v[0] for k, v in want.items() if k != n):
                    os.unlink(os.path.join(stage, part))
            code, _, err = place.run('resume')
            t.check(code == 0 and tree(place.path('out')) == want, 'killed halfway behind %s, parts %s' % (n, 'there' if keep else 'gone'), err)
            t.kills['publish'] += 1


ALL = [snappy, zipped, as_is, as_is_left_out, as_is_in_the_way, as_is_refused, as_is_killed]
