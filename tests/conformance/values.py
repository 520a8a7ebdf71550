# SPDX-License-Identifier: Apache-2.0
"""What a value means, whatever text, number or object it is kept as: `meaning(kind, raw)` is the same for
the source's witness and the destination's, or the value was changed on its way.

Kinds: int, float, float32, decimal, text, bytes, bool, date, time, naive, instant, uuid, json, interval,
duration, own (a type that one system alone has, by its text there). raw is what Python's sqlite3, json or a text file gives: int, float, Decimal, bool, str, bytes,
Pairs (a JSON object), list; None is NULL."""
import decimal
import json
import re
import struct
import uuid
from decimal import Decimal

INF = {'inf': 'inf', '+inf': 'inf', 'infinity': 'inf', '-inf': '-inf', '-infinity': '-inf', 'nan': 'nan'}
DAY = 86400 * 10**9
decimal.getcontext().prec = 2000  # nothing is rounded here


class Pairs(list):
    """The members of a JSON object, in order, twice if they are there twice."""


def load_json(text):
    return json.loads(text, parse_float=Decimal, parse_int=int, object_pairs_hook=Pairs)


def plain(v):
    """A JSON value without the difference of 1.10 and 1.1, or of the order of members."""
    if isinstance(v, Pairs):
        return ('object', sorted((k, repr(plain(x))) for k, x in v))
    if isinstance(v, dict):
        return plain(Pairs(v.items()))
    if isinstance(v, (list, tuple)):
        return ('array', [plain(x) for x in v])
    if isinstance(v, bool) or v is None or isinstance(v, str):
        return v
    return Decimal(str(v)).normalize()


def number(raw):
    """Text or number as a Decimal, infinities and NaN as words."""
    word = INF.get(str(raw).strip().lower())
    return word if word else Decimal(repr(raw) if isinstance(raw, float) else str(raw).replace('$', '').replace(',', ''))


def floating(raw, code):
    v = float(number(raw)) if not isinstance(raw, float) else raw
    if v != v:
        return 'nan'
    try:
        return struct.pack(code, v)
    except OverflowError:  # rounds up to infinity as a float
        return struct.pack(code, float('inf') if v > 0 else float('-inf'))


def binary(raw):
    if isinstance(raw, str):
        if not raw.startswith('\\x'):
            raise ValueError('no hexadecimal bytes: %r' % raw[:40])
        return bytes.fromhex(raw[2:])
    return bytes(raw)


def truth(raw):
    return {'t': True, 'true': True, '1': True, 'f': False, 'false': False, '0': False}[str(raw).lower()]


def days(y, m, d):
    """Since 0000-03-01, proleptic Gregorian."""
    y -= m <= 2
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * ((m + 9) % 12) + 2) // 5 + d - 1


STAMP = re.compile(r'([+-]?\d+)-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?(?::?\d\d)?)?( BC)?$')


def stamp(raw, zoned):
    """Nanoseconds since day 0; of an instant at UTC."""
    word = INF.get(str(raw).lower())
    m = None if word else STAMP.match(str(raw))
    if word:
        return word
    if not m:
        raise ValueError('no time: %r' % raw)
    year = 1 - int(m[1]) if m[9] else int(m[1])
    h, mi, s = (int(m[i] or 0) for i in (4, 5, 6))
    ns = int((m[7] or '').ljust(9, '0')[:9] or 0)
    if zoned != bool(m[8]):
        raise ValueError('%s zone: %r' % ('no' if zoned else 'a', raw))
    away = 0
    if m[8] and m[8] != 'Z':
        part = [int(x) for x in re.findall(r'\d\d', m[8])] + [0, 0]
        away = (part[0] * 3600 + part[1] * 60 + part[2]) * (-1 if m[8][0] == '-' else 1)
    return days(year, int(m[2]), int(m[3])) * DAY + ((h * 60 + mi) * 60 + s - away) * 10**9 + ns


def clock(raw):
    m = re.match(r'(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?$', str(raw))
    return ((int(m[1]) * 60 + int(m[2])) * 60 + int(m[3] or 0)) * 10**9 + int((m[4] or '').ljust(9, '0')[:9] or 0)


SPAN = re.compile(r'(-)?P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?)?$')


def span(raw):
    m = SPAN.match(str(raw))
    if not m:
        raise ValueError('no span of time: %r' % raw)
    n = lambda i: int(m[i] or 0)
    seconds = (n(9) * 10**9 + int((m[10] or '').ljust(9, '0')[:9] or 0)) * (-1 if m[8] else 1)
    return n(2) * 12 + n(3), n(4) * 7 + n(5), (n(6) * 3600 + n(7) * 60) * 10**9 + seconds


def text(raw):
    if not isinstance(raw, str):
        raise ValueError('no text: %r' % (raw,))
    return raw


def document(raw):
    """A document as text or, in JSON lines, as itself: there a text that is no document is a JSON string."""
    try:
        return plain(load_json(raw) if isinstance(raw, str) else raw)
    except ValueError:
        return raw


MEANING = {'int': lambda v: int(number(v)), 'float': lambda v: floating(v, '<d'), 'float32': lambda v: floating(v, '<f'),
           'decimal': lambda v: number(v), 'text': text, 'bytes': binary, 'bool': truth, 'date': lambda v: stamp(v, False),
           'time': clock, 'naive': lambda v: stamp(v, False), 'instant': lambda v: stamp(v, True),
           'uuid': lambda v: uuid.UUID(bytes=v) if isinstance(v, bytes) else uuid.UUID(str(v)), 'json': document,
           'interval': span, 'duration': span, 'own': text}


def meaning(kind, raw):
    return None if raw is None else MEANING[kind](raw)


def same(kind, wanted, raw):
    """Whether raw, at the destination, means `wanted`; a raw that means nothing of that kind is not."""
    try:
        return meaning(kind, raw) == wanted
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return False
