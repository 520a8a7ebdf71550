# SPDX-License-Identifier: Apache-2.0
"""Dates, times and spans as text and back, over Python's own calendar in cycles of 400 years."""
import math
import re
from datetime import date

BAD = object()  # cannot be read, or does not fit
PER_SECOND = {"s": 1, "ms": 10 ** 3, "us": 10 ** 6, "ns": 10 ** 9}
DAY = 86400
I64 = range(-2 ** 63, 2 ** 63)


def date_text(days):
    cycle, rest = divmod(days + 719162, 146097)  # from 0001-01-01, in 400 years
    d = date.fromordinal(rest + 1)
    y = d.year + 400 * cycle
    return f"{'-' if y < 0 else ''}{abs(y):04d}-{d.month:02d}-{d.day:02d}"


def date_parse(text):
    m = re.fullmatch(r"([+-]?)(\d{4,})-(\d\d)-(\d\d)", text, re.ASCII)
    if not m:
        return BAD
    y = int(m[2]) * (-1 if m[1] == "-" else 1)
    cycle, year = divmod(y - 1, 400)
    try:
        d = date(year + 1, int(m[3]), int(m[4]))
    except ValueError:
        return BAD
    return d.toordinal() - 719163 + cycle * 146097


def clock_text(seconds, fraction, unit):
    digits = len(str(PER_SECOND[unit])) - 1
    tail = f".{fraction:0{digits}d}".rstrip("0") if fraction else ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}"


CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"


def clock_parse(groups):
    """(seconds, nanoseconds) or BAD"""
    h, m, s = int(groups[0]), int(groups[1]), int(groups[2] or 0)
    ns = int((groups[3] or "0").ljust(9, "0"))
    total = h * 3600 + m * 60 + s
    if m > 59 or s > 59 or (h > 23 and (total, ns) != (DAY, 0)):
        return BAD
    return total, ns


def from_ns(ns, unit, limit=I64, floor=False):
    tick = 10 ** 9 // PER_SECOND[unit]
    if ns % tick and not floor:
        return BAD
    return ns // tick if ns // tick in limit else BAD


def span_text(v, unit):
    if v == 0:
        return "PT0S"
    sign, n = ("-" if v < 0 else ""), abs(v)
    s, fraction = divmod(n, PER_SECOND[unit])
    out = "PT"
    if s // 3600:
        out += f"{sign}{s // 3600}H"
    if s // 60 % 60:
        out += f"{sign}{s // 60 % 60}M"
    if s % 60 or fraction:
        digits = len(str(PER_SECOND[unit])) - 1
        tail = f".{fraction:0{digits}d}".rstrip("0") if fraction else ""
        out += f"{sign}{s % 60}{tail}S"
    return out


def interval_text(v):
    months, days, ns = v
    if v == (0, 0, 0):
        return "PT0S"
    y, m = int(math.copysign(abs(months) // 12, months)), int(math.copysign(abs(months) % 12, months))
    out = "P" + (f"{y}Y" if y else "") + (f"{m}M" if m else "") + (f"{days}D" if days else "")
    return out + (span_text(ns, "ns")[1:] if ns else "")


SPAN = re.compile(r"(-?)P(?:([+-]?\d+)Y)?(?:([+-]?\d+)M)?(?:([+-]?\d+)W)?(?:([+-]?\d+)D)?"
                  r"(?:(T)(?:([+-]?\d+)H)?(?:([+-]?\d+)M)?(?:([+-]?)(\d+)(?:\.(\d{1,9}))?S)?)?",
                  re.ASCII)


def span_parse(text):
    """(months, days, ns) or BAD"""
    m = SPAN.fullmatch(text)
    if not m or text.lstrip("-") in ("P", "PT") or text.endswith("T"):
        return BAD
    g = [int(x) if x and re.fullmatch(r"[+-]?\d+", x) else 0 for x in m.groups()]
    sign = -1 if m[1] else 1
    seconds = int(m[10] or 0) * 10 ** 9 + int((m[11] or "").ljust(9, "0"))
    seconds *= -1 if m[9] == "-" else 1
    return (sign * (g[1] * 12 + g[2]), sign * (g[3] * 7 + g[4]),
            sign * (g[6] * 3600 * 10 ** 9 + g[7] * 60 * 10 ** 9 + seconds))
