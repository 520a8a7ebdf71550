# SPDX-License-Identifier: Apache-2.0
"""Encrypted files (`encrypt`): judged by Python's cryptography, which knows nothing of our code, and by
what the format's description says."""
import hashlib
import os
import re
import sqlite3

import harness
from files_packed import got, put

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    HKDF = None

KEY, OTHER = '00112233445566778899aabbccddeeff' * 2, 'ff' * 32
SEGMENT, HEADER, TAG = 1 << 20, 40, 16
ENC = "encrypt=${file:%s}"


class Sealed:
    """The format AES256_GCM_HKDF_1MB by its description."""

    def __init__(self, key=KEY):
        self.key = bytes.fromhex(key)

    def cipher(self, header):
        salt = header[1:33]
        return AESGCM(HKDF(hashes.SHA256(), 32, salt, b'').derive(self.key))

    @staticmethod
    def nonce(header, i, last):
        return header[33:40] + i.to_bytes(4, 'big') + bytes([last])

    def seal(self, text):
        header = b'\x28' + os.urandom(39)
        pieces, size = [text[:SEGMENT - HEADER - TAG]], SEGMENT - TAG
        pieces += [text[i:i + size] for i in range(len(pieces[0]), len(text), size)]
        c = self.cipher(header)
        return header + b''.join(c.encrypt(self.nonce(header, i, i == len(pieces) - 1), p, b'') for i, p in enumerate(pieces))

    def open(self, data):
        header, out = data[:HEADER], []
        assert data[0] == HEADER
        c, n = self.cipher(header), -(-len(data) // SEGMENT)
        for i in range(n):
            piece = data[max(i * SEGMENT, HEADER):(i + 1) * SEGMENT]
            out.append(c.decrypt(self.nonce(header, i, i == n - 1), piece, b''))
        return b''.join(out)

    def opens(self, data):
        try:
            self.open(data)
            return True
        except (InvalidTag, AssertionError):
            return False


def key(place, name, text=KEY, mode=0o600):
    path = put(place, name, text + '\n')
    os.chmod(path, mode)
    return ENC % path


def table(n):
    return ('id,name\n' + ''.join('%d,name %d\n' % (i, i * 7) for i in range(n))).encode()


def there(t):
    if HKDF:
        return True
    t.skip('missing: python3-cryptography')
    return False


def sealed_read_back(t):
    """Red when a file that another program encrypted is read as another text, or one that we wrote is not read
    by it: plain, packed, in one segment, in many, with a last segment that is full, without rows."""
    if not there(t):
        return
    place, s = harness.Place('sealed'), Sealed()
    try:
        k = key(place, 'k')
        first = SEGMENT - HEADER - TAG
        for n in (1, 20000, 400000):
            text = table(n)
            put(place, 'a.csv', text)
            put(place, 'b.csv.enc', s.seal(text))
            place.forget()
            code, _, err = place.run('copy', 'b.csv.enc', 'b.csv', '--mode', 'overwrite', '--from', k)
            t.check(code == 0 and got(place, 'b.csv') == text, 'read: %d rows' % n, err)
            for name in ('c.csv.enc', 'c.csv.gz.enc', 'c.jsonl.zst.enc', 'c.csv')[:1 if n > 50000 else 4]:
                place.forget()
                code, _, err = place.run('copy', 'a.csv', name, '--mode', 'overwrite', '--to', k)
                if not t.check(code == 0, 'written: %s, %d rows' % (name, n), err):
                    continue
                data = got(place, name)
                t.check(b'name' not in data, 'nothing of it can be read', name)
                t.check(s.opens(data), 'another program opens it: ' + name, len(data))
                if name.endswith('.csv.enc') or name == 'c.csv':
                    t.check(s.open(data) == text, 'and finds the text: ' + name, len(data))
                place.forget()
                code, _, err = place.run('copy', name, 'd.csv', '--mode', 'overwrite', '--from', k)
                t.check(code == 0 and got(place, 'd.csv') == text, 'we read it too: %s, %d rows' % (name, n), err)
        for n in (first - 1, first, first + 1, first + SEGMENT - TAG, first + SEGMENT - TAG + 1, 0, 1):
            text = (b'x\n' + b'1234567\n' * (n // 8 + 1))[:n]
            put(place, 'e/e.bin', s.seal(text))
            place.forget()
            code, _, err = place.run('copy', 'e/', 'f/', '--mode', 'overwrite', '--from', 'format=binary', '--from', k)
            t.check(code == 0 and got(place, 'f/e.bin') == text, 'as it is: %d bytes' % n, err)
            code, _, err = place.run('copy', 'f/', 'g/', '--mode', 'overwrite', '--from', 'format=binary', '--to', k)
            t.check(code == 0 and s.open(got(place, 'g/e.bin')) == text, 'and back: %d bytes' % n, err)
        salts = {got(place, n)[1:33] for n in ('c.csv', 'c.csv.enc', 'c.csv.gz.enc', 'g/e.bin', 'b.csv.enc')}
        t.check(len(salts) == 5, 'each file has a salt of its own', salts)
        sealed_json = s.seal(b'[{"a": 1}]')
        put(place, 'j.json.enc', sealed_json)
        put(place, 'h.csv.enc', s.seal(b'a,b\n'))
        place.forget()
        code, _, err = place.run('copy', 'h.csv.enc', 'i.csv.enc', '--from', k, '--to', k, '--types', 'a=int64,b=int64')
        t.check(code == 0 and s.open(got(place, 'i.csv.enc')) == b'a,b\n', 'without rows', err)
        base64 = key(place, 'k64', 'ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=')
        code, _, err = place.run('copy', 'j.json.enc', 'j.csv', '--from', base64)
        t.check(code == 0 and got(place, 'j.csv') == b'a\n1\n', 'a key in base64', err)
    finally:
        place.remove()


def sealed_damaged(t):
    """Red when one changed bit, a cut at any place, another key, a file that is not encrypted or two segments
    that changed places let a row through, or end with another code than E4022."""
    if not there(t):
        return
    place, s = harness.Place('sealed-bad'), Sealed()
    try:
        k, wrong = key(place, 'k'), key(place, 'w', OTHER)
        text = table(400000)
        whole = s.seal(text)
        n = len(whole)
        flips = [0, 1, 33, 39, 40, 1000, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 17, n - 17, n - 1]
        cases = [('bit at %d' % at, whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]) for at in flips]
        cases += [('cut at %d' % at, whole[:at]) for at in (0, 1, 39, 40, 55, 56, 1000, SEGMENT, 2 * SEGMENT, n - 16, n - 1)]
        cases += [('longer', whole + b'x'), ('twice', whole + whole), ('not encrypted', text), ('nothing', b''),
                  ('exchanged', whole[:SEGMENT] + whole[2 * SEGMENT:3 * SEGMENT] + whole[SEGMENT:2 * SEGMENT] + whole[3 * SEGMENT:]),
                  ('of two files', s.seal(text)[:SEGMENT] + whole[SEGMENT:])]
        for what, data in cases:
            place.forget()
            put(place, 'x.csv.enc', data)
            code, _, err = place.run('copy', 'x.csv.enc', 'o.db#t', '--from', k, '--mode', 'overwrite', WH_TEST_UNIT_BYTES='1000000')
            t.check(code in (1, 2) and 'E4022' in err, what + ': refused', '%s %s' % (code, err))
            if os.path.exists(place.path('o.db')):
                rows = sqlite3.connect(place.path('o.db')).execute('select count(*) from sqlite_master where name = ?', ('t',)).fetchone()
                t.check(rows == (0,), what + ': no table', rows)
                os.unlink(place.path('o.db'))
        put(place, 'x.csv.enc', whole)
        place.forget()
        code, _, err = place.run('copy', 'x.csv.enc', 'o.csv', '--from', wrong)
        t.check(code == 2 and 'E4022' in err and 'key' in err and not os.path.exists(place.path('o.csv')), 'another key', err)
        code, _, err = place.run('copy', 'x.csv.enc', 'o.csv')
        t.check(code == 2 and "encrypt='${file:" in err, 'without a key the words say how', err)
    finally:
        place.remove()


def sealed_keys(t):
    """Red when a key is taken from where others read it, or lies in the state, the plan or the log."""
    if not there(t):
        return
    place = harness.Place('sealed-keys')
    try:
        put(place, 'a.csv', table(30))
        k = key(place, 'k')
        for what, option, code, words in (('written out', 'encrypt=' + KEY, 'E1056', 'written out'),
                                          ('readable by others', key(place, 'open', KEY, 0o644), 'E1055', 'others may read'),
                                          ('too short', key(place, 'short', KEY[:62]), 'E1002', 'no key'),
                                          ('a passphrase', key(place, 'words', 'correct horse battery staple'), 'E1002', 'no key'),
                                          ('not there', ENC % place.path('none'), 'E1055', 'none')):
            rc, out, err = place.run('copy', 'a.csv', 'x.csv.enc', '--to', option)
            t.check(rc == 2 and code in err and words in err and not os.path.exists(place.path('x.csv.enc')), 'a key that is ' + what, err)
            t.check(KEY[:20] not in out + err and 'horse' not in out + err, 'and is not printed', out + err)
        for direction in (('-', 'x.csv', '--from'), ('a.csv', '-', '--to')):
            rc, out, err = place.run('copy', *direction, k)
            t.check(rc == 2 and 'E1007' in err, 'not for standard streams', err)
        rc, out, err = place.run('copy', 'a.csv', 'x.csv.enc', '--to', k, '-v', '--debug', 'all')
        t.check(rc == 0, 'copied', err)
        rc, more, err2 = place.run('copy', 'a.csv', 'z.csv.enc', '--to', k, '--save', place.path('job.yaml'))
        t.check(rc == 0, 'saved', err2)
        rc, plan, err3 = place.run('plan', 'job.yaml', '-o', place.path('p.json'))
        rc2, env_out, env_err = place.run('copy', 'x.csv.enc', 'y.csv', '--from', 'encrypt=${env:ENC_KEY}', ENC_KEY=KEY)
        t.check(rc2 == 0 and got(place, 'y.csv') == table(30), 'a key of the environment', env_err)
        said = (out + err + more + err2 + plan + err3 + env_out + env_err).encode()
        for base, _, names in os.walk(place.dir):
            for n in names:
                if n not in ('k', 'open', 'short', 'words', 'a.csv'):
                    said += got(place, os.path.join(base, n))
        t.check(KEY.encode() not in said and bytes.fromhex(KEY) not in said, 'the key is nowhere', len(said))
        t.check(b'${file:' in said, 'the place of it is', len(said))
    finally:
        place.remove()


def sealed_folders(t):
    """Red when parts, a manifest, sums, a list or _SUCCESS of encrypted files are not what they say; when byte ranges
    or members of an archive are read wrong."""
    if not there(t):
        return
    place, s = harness.Place('sealed-many'), Sealed()
    try:
        k = key(place, 'k')
        text = table(300000)
        put(place, 'a.csv', text)
        code, _, err = place.run('copy', 'a.csv', 'out/', '--to', 'part_rows=70000', '--to', 'success_file=true', '--to', 'md5=sha256',
                                 '--to', 'list={name}.list', '--to', 'compression=gzip', '--to', k)
        t.check(code == 0, 'parts', err)
        names = sorted(os.listdir(place.path('out')))
        parts = [n for n in names if n.endswith('.csv.gz.enc')]
        t.check(len(parts) >= 5 and '_SUCCESS' in names and 'a.list' in names, 'their names', names)
        for n in parts:
            data = got(place, 'out/' + n)
            t.check(s.opens(data), 'opens: ' + n, len(data))
            t.check(got(place, 'out/%s.sha256' % n).split()[0].decode() == hashlib.sha256(data).hexdigest(), 'its sum is that of the file', n)
        manifest = got(place, 'out/' + [n for n in names if n.startswith('_wherry_manifest')][0]).decode()
        sizes = [int(x) for x in re.findall(r'"name": [^}]*"bytes": (\d+)', manifest)]
        t.check(sizes == [os.path.getsize(place.path('out', n)) for n in parts] and 'hash' not in manifest, 'the manifest', manifest)
        for extra in ((), ('--from', 'md5=require')):
            place.forget()
            code, _, err = place.run('copy', 'out/', 'back.csv', '--mode', 'overwrite', '--from', k, *extra)
            t.check(code == 0 and sorted(got(place, 'back.csv').splitlines()) == sorted(text.splitlines()), 'the folder is read', err)
        place.forget()
        code, _, err = place.run('copy', 'out/', 'more/', '--from', k, '--to', k)
        t.check(code == 0 and os.listdir(place.path('more')) == ['out.csv.enc'], 'a table of a folder has .enc', os.listdir(place.path('more')))
        place.forget()
        put(place, 'big.csv.enc', s.seal(text))
        code, plan, err = place.run('plan', 'big.csv.enc', 'o.csv', '--from', k, WH_TEST_UNIT_BYTES='400000')
        t.check('byte ranges' in plan and 'AES-256-GCM' in plan, 'the plan says ranges', plan)
        code, _, err = place.run('copy', 'big.csv.enc', 'o.csv.enc', '--from', k, '--to', k, '--validate', 'checksum', WH_TEST_UNIT_BYTES='400000')
        t.check(code == 0 and s.open(got(place, 'o.csv.enc')) == text, 'ranges, joined into one file', err)
        import io
        import tarfile
        import zipfile
        z, tar = io.BytesIO(), io.BytesIO()
        with zipfile.ZipFile(z, 'w', zipfile.ZIP_DEFLATED) as f:
            f.writestr('m.csv', text)
        with tarfile.open(fileobj=tar, mode='w:gz') as f:
            info = tarfile.TarInfo('m.csv')
            info.size = len(text)
            f.addfile(info, io.BytesIO(text))
        for n, data in (('z.zip.enc', z.getvalue()), ('z.tar.gz.enc', tar.getvalue())):
            put(place, n, s.seal(data))
            place.forget()
            code, _, err = place.run('copy', n, 'm.csv', '--mode', 'overwrite', '--from', k, WH_TEST_UNIT_BYTES='400000')
            t.check(code == 0 and got(place, 'm.csv') == text, 'a member of ' + n, err)
    finally:
        place.remove()


POINTS = ['commit-before', 'commit-after', 'record-after', 'record-after:3', 'publish-step-intended', 'publish-step-applied', 'closing-before']


def sealed_killed(t):
    """Red when a kill lets a row be lost or doubled, leaves text that can be read in the stage, or when a resume goes
    on with another key."""
    if not there(t):
        return
    place, s = harness.Place('sealed-killed'), Sealed()
    try:
        k = key(place, 'k')
        text = table(60000)
        put(place, 'a.csv.enc', s.seal(text))
        for target in ('o.csv.enc', 'p/'):
            for point in POINTS:
                for n in ('o.csv.enc', 'p'):
                    harness.shutil.rmtree(place.path(n), ignore_errors=True)
                    if os.path.isfile(place.path(n)):
                        os.unlink(place.path(n))
                key(place, 'k')
                place.forget()
                more = ('--to', 'part_rows=20000') if target == 'p/' else ()
                what = '%s killed at %s' % (target, point)
                code, _, err = place.run('copy', 'a.csv.enc', target, '--from', k, '--to', k, *more, WH_TEST_UNIT_BYTES='150000',
                                         WH_TEST_KILL=point if ':' in point else point + ':1')
                if not t.check(code == -9, what, '%s %s' % (code, err)):
                    continue
                t.kills['publish' if 'publish' in point else 'close' if 'closing' in point else 'commit'] += 1
                stage = b''.join(got(place, os.path.join(b, n)) for b, _, f in os.walk(place.dir) for n in f if '.wherry-' in b)
                t.check(b'name' not in stage, what + ': the stage cannot be read', len(stage))
                if point == 'record-after':
                    key(place, 'k', OTHER)
                    code, _, err = place.run('resume')
                    t.check(code != 0 and 'E4022' in err, what + ': not with another key', '%s %s' % (code, err))
                    key(place, 'k')
                code, _, err = place.run('resume')
                t.check(code == 0, what + ': resumed', err)
                if target == 'o.csv.enc':
                    t.check(s.open(got(place, target)) == text, what + ': all rows once', len(got(place, target)))
                    continue
                parts = sorted(n for n in os.listdir(place.path('p')) if n.endswith('.csv.enc'))
                rows = [x for n in parts for x in s.open(got(place, 'p/' + n)).splitlines()[1:]]
                t.check(sorted(rows) == sorted(text.splitlines()[1:]), what + ': all rows once', len(rows))
    finally:
        place.remove()


ALL = [sealed_read_back, sealed_damaged, sealed_keys, sealed_folders, sealed_killed]
