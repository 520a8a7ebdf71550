# SPDX-License-Identifier: Apache-2.0
"""What types and conversions mean, in Python's own numbers: the expectation of lattice.py.

Nothing here is taken from the C code: integers are int, decimals Decimal, dates datetime.date in
cycles of 400 years, texts regular expressions.
"""
import json
import math
import re
import struct
import uuid
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction

import pyarrow as pa

from timetext import (BAD, CLOCK, DAY, I64, PER_SECOND, clock_parse, clock_text, date_parse, date_text, from_ns,
                      interval_text, span_parse, span_text)


class Type:
    def __init__(self, text, kind, arrow, **more):
        self.text, self.kind, self.arrow = text, kind, arrow
        self.bits = self.signed = self.p = self.s = self.unit = self.zoned = self.length = None
        self.logical = None
        self.field = None
        self.__dict__.update(more)

    def __repr__(self):
        return self.text


def _types():
    yield Type("null", "null", pa.null())
    yield Type("bool", "bool", pa.bool_())
    for bits in (8, 16, 32, 64):
        yield Type(f"int{bits}", "int", getattr(pa, f"int{bits}")(), bits=bits, signed=True)
        yield Type(f"uint{bits}", "int", getattr(pa, f"uint{bits}")(), bits=bits, signed=False)
    yield Type("float32", "float", pa.float32(), bits=32)
    yield Type("float64", "float", pa.float64(), bits=64)
    for p, s in ((5, 2), (15, 3), (18, 0), (20, 0), (38, 10), (38, 38), (10, -3), (2, 5)):
        yield Type(f"decimal({p},{s})", "dec", pa.decimal128(p, s), p=p, s=s)
    for p, s in ((76, 0), (60, 20), (76, 76)):
        yield Type(f"decimal({p},{s})", "dec", pa.decimal256(p, s), p=p, s=s)
    yield Type("decimal", "dectext", pa.string())
    yield Type("utf8", "text", pa.string(), length=0)
    yield Type("utf8(5)", "text", pa.string(), length=5)
    yield Type("utf8(40)", "text", pa.string(), length=40)
    yield Type("json", "text", pa.string(), length=0, logical="json")
    yield Type("binary", "bytes", pa.binary(), length=0, fixed=False)
    yield Type("binary(3)", "bytes", pa.binary(), length=3, fixed=False)
    yield Type("fixed(4)", "bytes", pa.binary(4), length=4, fixed=True)
    yield Type("uuid", "bytes", pa.binary(16), length=16, fixed=True, logical="uuid")
    yield Type("date", "date", pa.date32())
    for unit in ("us", "ns"):
        yield Type(f"time({unit})", "time", pa.time64(unit), unit=unit)
    for unit in PER_SECOND:
        yield Type(f"timestamp({unit})", "stamp", pa.timestamp(unit), unit=unit, zoned=False)
        yield Type(f"timestamp({unit}, utc)", "stamp", pa.timestamp(unit, "UTC"), unit=unit,
                   zoned=True)
        yield Type(f"duration({unit})", "duration", pa.duration(unit), unit=unit)
    yield Type("interval", "interval", pa.month_day_nano_interval())
    yield Type("list<int32>", "nested", pa.list_(pa.int32()))
    yield Type("list<utf8>", "nested", pa.list_(pa.string()))
    yield Type("struct<a: int32, b: utf8>", "nested",
               pa.struct([("a", pa.int32()), ("b", pa.string())]))
    yield Type("map<utf8, int64>", "nested", pa.map_(pa.string(), pa.int64()))
    yield Type("dictionary<utf8>", "dict", pa.dictionary(pa.int32(), pa.string()), length=0)
    yield Type("int16 year", "int", pa.int16(), bits=16, signed=True, logical="year")


TYPES = list(_types())

# ---------------------------------------------------------------------------- arrays


def make_array(t, values):
    if t.kind in ("date", "time", "stamp", "duration"):
        storage = pa.int32() if t.kind == "date" else pa.int64()
        return pa.array(values, storage).view(t.arrow)
    if t.kind == "dict":
        plain = pa.array(values, pa.string())
        return plain.dictionary_encode().cast(t.arrow)
    if t.kind == "interval":
        return pa.array([None if v is None else pa.MonthDayNano(v) for v in values], t.arrow)
    if t.kind == "dec":
        with localcontext() as c:
            c.prec = 100
            values = [None if v is None else v.scaleb(t.s).to_integral_value() for v in values]
        width = 16 if t.p <= 38 else 32  # negative scales are easier by their bytes
        raw = b"".join(int(v or 0).to_bytes(width, "little", signed=True) for v in values)
        bits = bytearray((len(values) + 7) // 8)
        for i, v in enumerate(values):
            bits[i // 8] |= (v is not None) << (i % 8)
        return pa.Array.from_buffers(t.arrow, len(values), [pa.py_buffer(bytes(bits)),
                                                            pa.py_buffer(raw)])
    return pa.array(values, t.arrow)


def read_array(t, array):
    if t.kind in ("date", "time", "stamp", "duration"):
        return array.view(pa.int32() if t.kind == "date" else pa.int64()).to_pylist()
    if t.kind == "dec":
        width = 16 if t.p <= 38 else 32
        raw = array.buffers()[1].to_pybytes()[array.offset * width:]
        out = []
        with localcontext() as c:
            c.prec = 100
            for i in range(len(array)):
                unscaled = int.from_bytes(raw[i * width:(i + 1) * width], "little", signed=True)
                out.append(Decimal(unscaled).scaleb(-t.s) if array[i].is_valid else None)
        return out
    if t.kind == "interval":
        return [None if v is None else tuple(v) for v in array.to_pylist()]
    return array.to_pylist()


def same(t, x, y):
    if x is None or y is None or x is BAD or y is BAD:
        return x is y
    if t.kind == "float":
        return struct.pack("<d", x) == struct.pack("<d", y) or (x != x and y != y)
    if t.kind == "dectext":
        return number(x) == number(y) if number(x) is not None else x == y
    if t.text == "json":
        return x == y
    return type(x) is type(y) and x == y


# ---------------------------------------------------------------------------- numbers as text


def f32(v):
    try:
        return struct.unpack("<f", struct.pack("<f", v))[0]
    except OverflowError:
        return math.copysign(math.inf, v)


def shortest(t, v):
    """repr for doubles; for singles the first precision that reads back, in repr's layout."""
    if t.bits == 64 or v != v or v in (math.inf, -math.inf):
        return repr(v)
    for digits in range(1, 10):
        text = f"{v:.{digits - 1}e}"
        if f32(float(text)) == v:
            break
    mantissa, exponent = text.split("e")
    e = int(exponent)
    if -4 <= e < 16:
        plain = format(Decimal(text), "f")
        if "." in plain:
            plain = plain.rstrip("0")
        return plain + "0" if plain.endswith(".") else plain if "." in plain else plain + ".0"
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{'-' if e < 0 else '+'}{abs(e):02d}"


def number(text):
    """A decimal text as Decimal, nan and infinities as words, or None."""
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        try:
            return Decimal(text)
        except InvalidOperation:
            return None
    word = text.lower().lstrip("+")
    if re.fullmatch(r"[+-]?(inf|infinity)", text, re.I):
        return "-inf" if word.startswith("-") else "inf"
    if re.fullmatch(r"[+-]?nan", text, re.I):
        return "nan"
    return None


def significant(d):
    sign, digits, exponent = d.as_tuple()
    return len("".join(map(str, digits)).strip("0"))


def fits(d, p, s):
    """d as a decimal of precision p and scale s, or BAD."""
    unscaled = Fraction(d) * Fraction(10) ** s
    if unscaled.denominator != 1 or abs(unscaled) >= 10 ** p:
        return BAD
    with localcontext() as c:
        c.prec = 100
        return Decimal(int(unscaled)).scaleb(-s)


def int_range(t):
    return range(-2 ** (t.bits - 1), 2 ** (t.bits - 1)) if t.signed else range(0, 2 ** t.bits)


def nearest(t, d):
    """The float nearest to a Decimal or int, exactly rounded; None when out of range."""
    fraction = Fraction(d)
    try:
        v = fraction.numerator / fraction.denominator
    except OverflowError:
        return None
    if t.bits == 64:
        return v
    v = f32_nearest(fraction)
    return v if math.isfinite(v) else None


def f32_nearest(fraction):
    """Rounded once: candidates around the double, compared as fractions."""
    try:
        v = f32(fraction.numerator / fraction.denominator)
    except OverflowError:
        return math.inf
    if not math.isfinite(v):
        bits = struct.unpack("<I", struct.pack("<f", math.copysign(3.4028234663852886e38, v)))[0]
    else:
        bits = struct.unpack("<I", struct.pack("<f", v))[0]
    best = []
    for b in range(max(bits - 1, 0), bits + 2):
        c = struct.unpack("<f", struct.pack("<I", b & 0xFFFFFFFF))[0]
        if c != c:
            continue
        exact = Fraction(2) ** 128 * (1 if c > 0 else -1) if math.isinf(c) else Fraction(c)
        best.append((abs(exact - fraction), b & 1, c))
    return min(best)[2]


# ---------------------------------------------------------------------------- texts


def text_of(t, v):
    """The canonical text."""
    k = t.kind
    if k == "bool":
        return "true" if v else "false"
    if k == "float":
        return shortest(t, v)
    if k == "dec":
        return format(v, "f") if t.s > 0 else str(int(v))
    if k == "bytes":
        return str(uuid.UUID(bytes=v)) if t.logical == "uuid" else "\\x" + v.hex()
    if k == "date":
        return date_text(v)
    if k == "time":
        return clock_text(*divmod(v, PER_SECOND[t.unit]), t.unit)
    if k == "stamp":
        seconds, fraction = divmod(v, PER_SECOND[t.unit])
        days, of_day = divmod(seconds, DAY)
        return f"{date_text(days)} {clock_text(of_day, fraction, t.unit)}{'Z' if t.zoned else ''}"
    if k == "duration":
        return span_text(v, t.unit)
    if k == "interval":
        return interval_text(v)
    if k == "nested":
        return json.dumps(dict(v) if t.text.startswith("map") else v, separators=(",", ":"),
                          ensure_ascii=False)
    return str(v)


def parse(text, t, lossy=False):
    """A text as a value of t, or BAD."""
    k = t.kind
    if k == "bool":
        word = text.lower()
        return True if word in ("true", "t", "1", "yes", "y", "on") else \
            False if word in ("false", "f", "0", "no", "n", "off") else BAD
    if k == "int":
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            return BAD
        return int(text) if int(text) in int_range(t) else BAD
    if k == "float":
        return parse_float(text, t)
    if k in ("dec", "dectext"):
        d = number(text)
        if k == "dectext":
            return BAD if d is None else text
        if not isinstance(d, Decimal) or (d != 0 and not -1000 < d.adjusted() < 1000):
            return BAD
        return fits(d, t.p, t.s)
    if k == "bytes":
        if t.length == 16 and t.fixed and re.fullmatch(
                r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
            return uuid.UUID(text).bytes
        if not re.fullmatch(r"\\x([0-9a-fA-F]{2})*", text):
            return BAD
        raw = bytes.fromhex(text[2:])
        return raw if bytes_fit(raw, t) else BAD
    if k == "date":
        days = date_parse(text)
        return days if days is not BAD and -2 ** 31 <= days < 2 ** 31 else BAD
    if k == "time":
        m = re.fullmatch(CLOCK, text, re.ASCII)
        c = clock_parse(m.groups()) if m else BAD
        return BAD if c is BAD else from_ns(c[0] * 10 ** 9 + c[1], t.unit)
    if k == "stamp":
        return parse_stamp(text, t)
    v = span_parse(text)
    if v is BAD:
        return BAD
    if k == "duration":
        return from_ns(v[1] * DAY * 10 ** 9 + v[2], t.unit) if v[0] == 0 else BAD
    inside = all(-2 ** 31 <= x < 2 ** 31 for x in v[:2]) and v[2] in I64
    return v if inside else BAD


def parse_float(text, t):
    d = number(text)
    if d is None:
        return BAD
    if not isinstance(d, Decimal):
        return float(d)
    if d == 0:
        return -0.0 if text.startswith("-") else 0.0
    if not -100000 < d.adjusted() < 100000:
        return BAD
    v = nearest(t, d)
    if v is None or v == 0:
        return BAD
    digits, safe, enough = significant(d), *((15, 17) if t.bits == 64 else (6, 9))
    # Up to 17 (9) digits are what a program prints of a float: printed again, they must be the same.
    again = digits <= safe or (digits <= enough and Decimal("%.*e" % (digits - 1, v)) == d)
    return v if again or Fraction(v) == Fraction(d) else BAD


def parse_stamp(text, t):
    m = re.fullmatch(r"([+-]?\d{4,}-\d\d-\d\d)[Tt ]" + CLOCK +
                     r"([zZ]|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?", text, re.ASCII)
    if not m:
        return BAD
    days, c = date_parse(m[1]), clock_parse(m.groups()[1:5])
    if days is BAD or c is BAD or bool(m[6]) != t.zoned:
        return BAD
    east = 0
    if m[6] and m[6] not in "zZ":
        parts = [int(x) for x in re.findall(r"\d\d", m[6])] + [0, 0]
        if parts[0] > 23 or parts[1] > 59 or parts[2] > 59:
            return BAD
        east = (parts[0] * 3600 + parts[1] * 60 + parts[2]) * (-1 if m[6][0] == "-" else 1)
    return from_ns((days * DAY + c[0] - east) * 10 ** 9 + c[1], t.unit)


def json_ok(text):
    def no_constants(_):
        raise ValueError
    try:
        json.loads(text, parse_constant=no_constants)
        return True
    except (ValueError, RecursionError):
        return False


def bytes_fit(raw, t):
    return len(raw) == t.length if t.fixed else not t.length or len(raw) <= t.length


# ---------------------------------------------------------------------------- conversions


def to_text(a, b, v):
    text = text_of(a, v)
    if b.logical == "json" and a.logical != "json":
        if a.kind in ("text", "dict"):
            return text if json_ok(text) else BAD
        if not (a.kind == "nested" or json_ok(text)):
            text = json.dumps(text, ensure_ascii=False)
    return text if not b.length or len(text) <= b.length else BAD


def expected(a, b, v, lossy=False):
    """The value of type b that v of type a must become; BAD = a reject."""
    if v is None:
        return None
    if b.text == a.text:
        return v
    if b.kind == "text":
        return to_text(a, b, v)
    if a.kind in ("text", "dict"):
        return parse(v, b)
    if a.kind in ("bool", "int", "float", "dec", "dectext"):
        return from_number(a, b, v)
    return from_other(a, b, v, lossy)


def from_number(a, b, v):
    d = {"bool": int, "int": int, "float": lambda x: number(shortest(a, x)),
         "dec": lambda x: x, "dectext": number}[a.kind](v)
    if isinstance(d, str):  # nan, inf, -inf
        return float(d) if b.kind == "float" else \
            {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[d] if b.kind == "dectext" else BAD
    if a.kind == "float" and b.kind == "int":  # what the float is, not how it is written
        d = Decimal(v)
    far = d != 0 and not -1000 < Decimal(d).adjusted() < 1000
    if b.kind == "bool":
        return bool(d) if d in (0, 1) else BAD
    if far and b.kind in ("int", "dec"):
        return BAD
    if b.kind == "int":
        return int(d) if d == int(d) and int(d) in int_range(b) else BAD
    if b.kind == "dec":
        return fits(d, b.p, b.s)
    if b.kind == "dectext":
        return format(Decimal(d), "f")
    return number_to_float(a, b, v, d)


def number_to_float(a, b, v, d):
    if a.kind == "float":
        return v if b.bits == 64 or f32(v) == v else BAD
    if d == 0:
        return -0.0 if str(v).startswith("-") else 0.0
    if not -100000 < Decimal(d).adjusted() < 100000:
        return BAD
    f = nearest(b, d)
    if f is None or f == 0:
        return BAD
    back = Fraction(f) if a.kind in ("int", "bool") else Fraction(Decimal(shortest(b, f)))
    return f if back == Fraction(d) else BAD


def from_other(a, b, v, lossy):
    pair = (a.kind, b.kind)
    if pair == ("bytes", "bytes"):
        return v if bytes_fit(v, b) else BAD
    if pair == ("date", "stamp"):
        return from_ns(v * DAY * 10 ** 9, b.unit)
    if a.kind in ("stamp", "time", "duration"):
        ns = v * (10 ** 9 // PER_SECOND[a.unit])
    if pair == ("stamp", "date"):
        days, rest = divmod(ns, DAY * 10 ** 9)
        return days if (lossy or not rest) and -2 ** 31 <= days < 2 ** 31 else BAD
    if pair == ("stamp", "time"):
        return from_ns(ns % (DAY * 10 ** 9), b.unit, floor=lossy)
    if pair == ("duration", "time"):
        return from_ns(ns, b.unit) if 0 <= ns <= DAY * 10 ** 9 else BAD
    if pair == ("duration", "interval"):
        return (0, 0, ns) if ns in I64 else BAD
    if pair == ("interval", "duration"):
        return from_ns(v[2], b.unit) if v[:2] == (0, 0) else BAD
    return from_ns(ns, b.unit, floor=lossy)


# ---------------------------------------------------------------------------- verdicts

NUMBERS = {"bool", "int", "float", "dec", "dectext"}
MEANING = {  # besides text, to and from which everything scalar goes
    "bool": {"bool", "int", "float", "dec", "dectext"},
    "int": NUMBERS,
    "float": NUMBERS - {"bool"},
    "dec": NUMBERS - {"bool"},
    "dectext": NUMBERS - {"bool"},
    "bytes": {"bytes"},
    "date": {"date", "stamp"},
    "time": {"time", "duration"},
    "stamp": {"stamp", "date", "time"},
    "duration": {"duration", "time", "interval"},
    "interval": {"interval", "duration"},
    "nested": set(),
}


def possible(a, b):
    if a.kind == "null" or a.text == b.text:
        return True
    if b.kind == "text":
        return True
    if a.kind in ("text", "dict"):
        return b.kind not in ("null", "nested", "dict")
    if b.kind in ("null", "dict") or b.kind not in MEANING[a.kind]:
        return False
    if a.kind == "bytes" and a.fixed and (b.length < a.length if not b.fixed
                                          else b.length != a.length):
        return not b.fixed and b.length == 0
    if b.kind == "stamp" and b.zoned and not (a.kind == "stamp" and a.zoned):
        return False  # needs a zone
    return True


def lossy(a, b):
    if a.kind != "stamp":
        return False
    return b.kind == "time" or (a.zoned and b.kind == "date") or \
        (a.zoned and b.kind == "stamp" and not b.zoned)


def fit_of(a, b, values):
    if a.text == b.text:
        return "exact"
    if not possible(a, b):
        return "impossible"
    if lossy(a, b):
        return "lossy"
    return "checked" if any(expected(a, b, v) is BAD for v in values) else "widening"


# ---------------------------------------------------------------------------- hard values


def _floats(t):
    v = [0.0, -0.0, 1.0, -1.0, 0.5, 0.1, 1 / 3, 2.5, -2.5, 127.0, 128.0, 255.0, 256.0, 32767.0, 32768.0,
         65535.0, 65536.0, 2.0 ** 24, 2.0 ** 24 + 1, 2.0 ** 31, 2.0 ** 31 - 1, 2.0 ** 32, 2.0 ** 53,
         2.0 ** 53 - 1, 2.0 ** 63, -2.0 ** 63, 2.0 ** 64, 1e15, 1e16, 123456789012345680.0, 1e22, 1e23,
         5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 3.4028234663852886e38, 1e-45,
         1.1754943508222875e-38, 0.0001, 0.00001, 123.45, 999.99, 1e38, 99999.995, 1.5e-7,
         9007199254740993.0, math.nan, math.inf, -math.inf]
    return v if t.bits == 64 else sorted({f32(x) for x in v if x == x}, key=lambda x: (x, repr(x))) + \
        [-0.0, math.nan]


def _decimals(t):
    top = 10 ** t.p - 1
    unscaled = {0, 1, -1, 5, 10, 25, 50, 99, 100, 125, 12345, top, -top, top // 10, 10 ** (t.p - 1),
                127, 128, 255, 32768, 2 ** 31, 2 ** 63 - 1, 2 ** 63, -2 ** 63, 2 ** 64, 2 ** 53 + 1,
                10000000000000001, 123456789012345678, 100 * 10 ** max(t.s, 0)}
    with localcontext() as c:
        c.prec = 100
        return [Decimal(u).scaleb(-t.s) for u in sorted(unscaled) if abs(u) <= top]


def _ticks(t):
    per = PER_SECOND[t.unit]
    if t.kind == "time":
        return [0, 1, per, per - 1, 3723 * per + per // 2, DAY * per - 1, DAY * per, 1500000]
    v = [0, 1, -1, per, -per, per // 2, -per // 2, DAY * per, -DAY * per, DAY * per - 1, 1709164800 * per,
         -62135596800 * per, 253402300799 * per, 951782400 * per + per // 10, 3723 * per + per // 4,
         2 ** 63 - 1, -2 ** 63, 2 ** 31 * DAY * per, 1500, 1500000]
    return [x for x in dict.fromkeys(v) if x in I64]


TEXTS = ["", " ", "a", "abc", "abcdef", "  ab ", "héé", "日本語テキスト", "😀😀😀😀😀", "😀😀😀😀😀😀", "x" * 41, "x" * 300,
         " 1", "1 ", "+5", "-0", "007", "1e3", "1E-2", "1.", ".5", ".", "-", "+", "1e", "1e+", "0x10", "--1",
         "1_000", "1,5", "NaN", "nan", "-nan", "inf", "+Infinity", "-inf", "infinit", "1e400", "-1e400",
         "1e-400", "0e9999999999", "1e99999999999", "0.1000000000000000055511151231257827",
         "0.1000000000000000055511151231257827021181583404541015625", "3.14159265358979323846",
         "0.30000000000000004", "0.10000000000000001", "179769313486231580793e289", "9" * 400, "0." + "0" * 400 + "1",
         "2.2250738585072011e-308", "8.41e21", "9007199254740993", "9007199254740992.5", "16777217",
         "1.00000017881393432617187499", "1.00000017881393432617187500", "1.00000017881393432617187501",
         "18446744073709551615", "18446744073709551616", "-9223372036854775809", "99999999999999999999",
         "T", "yes", "OFF", "tru", "2024-02-29", "2023-02-29", "2024-13-01", "2024-00-10", "2024-1-1",
         "0000-00-00", "0000-00-00 00:00:00", "0000-01-01", "-0001-12-31", "+12345-06-07", "12345-06-07",
         "1900-02-29", "2000-02-29", "24-02-29", "2024-02-29 ", "2024/02/29", "20240229", "5881580-07-11",
         "5881580-07-12", "-5877641-06-23", "-5877641-06-22", "99999999999999-01-01", "infinity", "-infinity",
         "2024-02-29T12:34:56", "2024-02-29 12:34", "2024-02-29 12", "2024-02-29 24:00:00",
         "2024-02-29 24:00:01", "2024-02-29 23:59:60", "2024-02-29 12:34:56.", "2024-02-29 12:34:56.5",
         "2024-02-29 12:34:56.123456789", "2024-02-29 12:34:56.1234567890", "2024-02-29 12:34:56.100000000",
         "2024-02-29 12:34:56Z", "2024-02-29t12:34:56z", "2024-02-29 12:34:56+02", "2024-02-29 12:34:56-0330",
         "2024-02-29 12:34:56+05:30", "2024-02-29 12:34:56+05:30:15", "2024-02-29 12:34:56+24",
         "2024-02-29 12:34:56 +02", "2024-02-29 12:34:56.25-08:00", "2024-02-29  12:34:56", "12:34:56",
         "12:34", "1:02:03", "25:00:00", "24:00:00", "24:00:00.1", "12:60:00", "12:34:60", "12:34:56.000001",
         "12:34:56.0000001", "12:34:56,5", "1677-09-21 00:12:43.145224192", "1677-09-21 00:12:43.145224191",
         "2262-04-11 23:47:16.854775807Z", "2262-04-11 23:47:16.854775808Z", "P", "PT", "P1Y", "P1Y2M3DT4H5M6.7S",
         "P1W", "-P1D", "PT-1.5S", "P1DT", "PT1.5H", "P-1M", "PT0S", "p1d", "PT1H-30M", "PT2562047H47M16.854775807S",
         "PT2562047H47M16.854775808S", "-PT2562047H47M16.854775808S", "P3000000000D", "PT1S2M", "\\x", "\\x6869", "\\x616",
         "\\x61626", "\\x01020304", "\\X61", "\\xzz", "6869", "\\x616263", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
         "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae7dec11d0a76500a0c91e6bf6",
         "\\xf81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bfg", "{}", "[]", "null", "true",
         "[1,2", "{\"a\":1}", "{\"a\" : [1, null, \"x\\u00e9\"]}", "{a:1}", "[1,]", "\"x\"", "\"\\x\"", "01", "-1.5e+3",
         "[NaN]", "'x'", "\"tab\there\""]


def hard_values(t, b):
    """Values that break careless conversions. For texts also the texts of all other types."""
    k = t.kind
    if k == "null":
        return [None, None, None]
    if k == "bool":
        return [True, False]
    if k == "int":
        r = int_range(t)
        near = {x + d for x in (0, 2 ** 7, 2 ** 8, 2 ** 15, 2 ** 16, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 62,
                                2 ** 63, 2 ** 64, 10 ** 3, 10 ** 5, 10 ** 15, 10 ** 18, 10 ** 19)
                for d in (-1, 0, 1)}
        return [v for v in sorted(near | {-x for x in near}) if v in r]
    if k == "float":
        return _floats(t)
    if k == "dec":
        return _decimals(t)
    if k == "dectext":
        return [x for x in all_texts() if number(x) is not None]
    if k in ("text", "dict"):
        values = all_texts()
        if t.logical == "json":
            values = [v for v in values if json_ok(v)]
        return [v for v in values if not t.length or len(v) <= t.length]
    if k == "bytes":
        values = [b"", b"\0", b"abc", b"abcd", b"\xff\xfe", b"\x80" * 16, bytes(range(16)), b"x" * 40]
        return [v for v in values if bytes_fit(v, t)]
    if k == "date":
        return [0, 1, -1, 19782, -719162, -719163, -719528, 2932896, 2932897, 2 ** 31 - 1, -2 ** 31, 11016, 106751,
                106752, -106752, -106753, 10957]
    if k in ("time", "stamp", "duration"):
        return _ticks(t)
    if k == "interval":
        return [(0, 0, 0), (1, 0, 0), (14, -3, 5), (-14, 3, -5), (2 ** 31 - 1, -2 ** 31, 2 ** 63 - 1),
                (-2 ** 31, 2 ** 31 - 1, -2 ** 63), (0, 0, 1), (0, 0, 3723 * 10 ** 9 + 5 * 10 ** 8), (0, 0, -10 ** 9)]
    return {"list<int32>": [[], [1, None, -3], [2 ** 31 - 1], None, [0] * 70],
            "list<utf8>": [[], ["", None, "a\"b\\c\n", "é😀"], ["x" * 50]],
            "struct<a: int32, b: utf8>": [{"a": 1, "b": "x"}, {"a": None, "b": None}, None,
                                          {"a": -5, "b": "日本" * 20}],
            "map<utf8, int64>": [[], [("a", 1), ("b", None)], [("", -2 ** 63)],
                                 [("long", 2 ** 62), ("longer", 2 ** 62 + 1)]]}[t.text]


_all = []


def all_texts():
    if not _all:
        texts = dict.fromkeys(TEXTS)
        for t in TYPES:
            if t.kind not in ("text", "dict", "dectext", "null"):
                texts.update(dict.fromkeys(text_of(t, v) for v in hard_values(t, None) if v is not None))
        _all.extend(texts)
    return _all


# ---------------------------------------------------------------------------- the second judge


def pyarrow_may_judge(a, b, v):
    """Pairs and values where pyarrow's safe cast means what ours does."""
    pair = (a.kind, b.kind)
    if pair == ("int", "int"):
        return True
    if pair == ("int", "float"):  # pyarrow knows the range of exact integers, not single ones beyond
        return abs(v) <= 2 ** (53 if b.bits == 64 else 24)
    if pair == ("float", "int"):
        return math.isfinite(v) and abs(v) < 2 ** 62
    if pair == ("float", "float"):
        return b.bits == 64
    if pair == ("int", "dec"):
        return b.s >= 0 and b.p - b.s >= len(str(int_range(a)[-1]))  # it refuses others whole
    if pair == ("dec", "dec"):
        return a.s >= 0 and b.s >= 0 and a.p >= a.s and b.p >= b.s and \
            abs(v) * 10 ** b.s < 2 ** (127 if b.p <= 38 else 255)  # beyond, it overflows silently
    if pair in (("time", "time"), ("duration", "duration")):
        return True
    if pair == ("stamp", "stamp"):
        return a.zoned == b.zoned
    if pair == ("bool", "int"):
        return True
    if pair in (("int", "text"), ("bool", "text")):
        return not b.length and not b.logical
    return False
