#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gen_copies.py WHERRY: copies every shape of gen to CSV and to SQLite with the program and reads the
result back with Python's csv and sqlite3, cell by cell against gen_ref.py.

Red when a value that arrives is another one than the formula gives: digits of decimals, fractions of
seconds, the years 1 and 9999, unsigned 64 bits, quotes and newlines, nulls (SQLite; in CSV a null and
an empty text look alike to Python). Last line: N passed, N failed, N skipped.
"""
import csv
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from decimal import Decimal

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gen_ref  # noqa: E402

csv.field_size_limit(1 << 30)
NS = {'s': 10**9, 'ms': 10**6, 'us': 10**3, 'ns': 1}


# ------------------------------------------------------------------ canonical text, by definition

def fraction(nanoseconds):
    return f'.{nanoseconds:09d}'.rstrip('0').rstrip('.')


def date_text(days):
    """Proleptic Gregorian from days since 1970-01-01, by counting, not by a library."""
    days += 719162  # since 0001-01-01
    cycles, days = divmod(days, 146097)
    year = 1 + 400 * cycles
    while True:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if days < 365 + leap:
            break
        days -= 365 + leap
        year += 1
    month = 0
    lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while days >= lengths[month]:
        days -= lengths[month]
        month += 1
    return f'{year:04d}-{month + 1:02d}-{days + 1:02d}'


def time_text(ns):
    s, f = divmod(ns, 10**9)
    return f'{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}' + fraction(f)


def timestamp_text(ns, zoned):
    day, rest = divmod(ns, 86400 * 10**9)
    return f'{date_text(day)} {time_text(rest)}' + ('Z' if zoned else '')


def duration_parts(ns):
    """'24H', '-9M-55.791753S': each part with the sign of the whole."""
    sign, ns = ('-', -ns) if ns < 0 else ('', ns)
    h, m, s = ns // (3600 * 10**9), ns // (60 * 10**9) % 60, ns % (60 * 10**9)
    text = f'{sign}{h}H' if h else ''
    text += f'{sign}{m}M' if m else ''
    return text + (f'{sign}{s // 10**9}{fraction(s % 10**9)}S' if s else '')


def interval_text(months, days, ns):
    sign = -1 if months < 0 else 1
    years, rest = sign * (abs(months) // 12), sign * (abs(months) % 12)
    text = ''.join(f'{n}{u}' for n, u in ((years, 'Y'), (rest, 'M'), (days, 'D')) if n)
    time = duration_parts(ns)
    return 'P' + text + ('T' + time if time else '') if text or time else 'PT0S'


def decimal_text(v, scale):
    digits = str(abs(v)).rjust(scale + 1, '0')
    text = digits[:-scale] + '.' + digits[-scale:] if scale else digits
    return ('-' if v < 0 else '') + text


def unit_of(kind):
    return NS[kind[kind.index('(') + 1:].split(',')[0].rstrip(')')]


def text_of(kind, v):
    """Canonical text of a cell of gen_ref; None for null. Floats are compared as floats elsewhere."""
    if v is None:
        return None
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, gen_ref.Dec):
        return decimal_text(v.unscaled, int(kind[:-1].split(',')[1]))
    if kind == 'uuid':
        h = v.hex()
        return '-'.join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
    if isinstance(v, bytes):
        return '\\x' + v.hex()
    if kind == 'date':
        return date_text(v)
    if kind.startswith('time('):
        return time_text(v * unit_of(kind))
    if kind.startswith('timestamp'):
        return timestamp_text(v * unit_of(kind), 'utc' in kind)
    if kind.startswith('duration'):
        return 'PT' + (duration_parts(v * unit_of(kind)) or '0S')
    if kind == 'interval':
        return interval_text(*v)
    return str(v)


def float_of(v):
    return struct.unpack('>d' if v.width == 64 else '>f', v.bits.to_bytes(v.width // 8, 'big'))[0]


def same_float(want, got, width):
    if width == 32 and math.isfinite(got):
        got = struct.unpack('>f', struct.pack('>f', got))[0]
    return (want != want and got != got) or want == got


# ---------------------------------------------------------------------------------------- judging

def csv_cell(kind, want, got):
    if isinstance(want, gen_ref.Bits):
        w = float_of(want)
        return got != '' and same_float(w, float(got), want.width) and \
            math.copysign(1, w) == math.copysign(1, float(got)) or w != w
    return got == (text_of(kind, want) or '')


def sqlite_cell(kind, want, got):
    """By value: SQLite may keep a small decimal as a number, and has no negative zero."""
    if want is None or got is None:
        return want is None and got is None
    if isinstance(want, gen_ref.Bits):
        return isinstance(got, float) and same_float(float_of(want), got, want.width)
    if isinstance(want, bool):
        return got == int(want)
    if isinstance(want, gen_ref.Dec) and not isinstance(got, str):
        return Decimal(repr(got)) == Decimal(text_of(kind, want))
    if isinstance(want, bytes) and isinstance(got, bytes):
        return got == want
    if isinstance(want, int) and isinstance(got, int):
        return got == want
    return got == text_of(kind, want)


def judge(t, rows, same, count):
    """Number of cells that are not as they should be."""
    bad = n = 0
    for i, row in enumerate(rows):
        n += 1
        for (name, kind, *_), want, got in zip(t.columns, t.row(i), row):
            if not same(kind, want, got):
                bad += 1
                if bad <= 5:
                    print(f'    row {i} {name} ({kind}): {got!r:.100}, not {text_of(kind, want) if not isinstance(want, gen_ref.Bits) else float_of(want)!r:.100}')
    if n != count:
        print(f'    {n} rows, not {count}')
        bad += 1
    return bad


def copy(program, home, source, target):
    env = {'PATH': os.environ['PATH'], 'HOME': home, 'XDG_STATE_HOME': home, 'LC_ALL': 'C.UTF-8'}
    for key in ('WHERRY_MODULES', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'):
        if key in os.environ:
            env[key] = os.environ[key]
    p = subprocess.run([program, 'copy', source, target, '-j', '1', '--no-progress', '--accept-lossy', 'f32,f64'], env=env,
                       capture_output=True, timeout=240, check=False)
    if p.returncode:
        print(p.stderr.decode('utf-8', 'replace')[-800:])
    return p.returncode == 0


def csv_rows(path):
    with open(path, newline='', encoding='utf-8') as f:
        reader = csv.reader(f)
        next(reader)
        yield from reader


def sqlite_rows(path, table):
    db = sqlite3.connect(path)
    yield from db.execute(f'select * from "{table}" order by 1, 4')
    db.close()


CASES = [('lineitem', 5000, {}), ('hits', 1500, {'null_ratio': '0.2'}), ('posts', 400, {}),
         ('wide', 300, {'columns': '120', 'null_ratio': '0.3'}),
         ('evil', 1500, {'big': '20000', 'nan': 'false'})]


def main(program):
    passed = failed = 0
    home = tempfile.mkdtemp(prefix='wherry-gen-')
    for shape, rows, options in CASES:
        t = gen_ref.table(shape, **options)
        source = f'gen:{shape}?rows={rows}' + ''.join(f',{k}={v}' for k, v in options.items())
        for target, same in ((f'{home}/{shape}.csv', csv_cell), (f'{home}/{shape}.db', sqlite_cell)):
            bad = 1
            if copy(program, home, source, target):
                found = csv_rows(target) if same is csv_cell else sqlite_rows(target, shape)
                bad = judge(t, found, same, rows)
            print(f'{"FAILED" if bad else "ok    "} {source} -> {target[-3:].strip(".")}'
                  + (f': {bad} cells differ' if bad else ''))
            passed, failed = passed + (not bad), failed + bool(bad)
    shutil.rmtree(home)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(os.path.abspath(sys.argv[1])))
