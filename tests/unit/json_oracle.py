#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python's json module judges our reader and writer on random documents.

Fails if a key, a place, a digit or a character that Python sees is another one for us (all layouts,
all ways of cutting the input), if text that Python refuses is read as a row or the other way round,
or if Python reads our output as other values. The seed is printed; WH_TEST_SEED repeats it.
"""
import decimal
import json

import oracle
from oracle import ROUNDS, SEED, cutting, decode, encode, fail, rnd, run

ALPHABET = ["a", "b", "7", " ", ",", ":", '"', "\\", "/", "\n", "\r", "\t", "\b", "\f", "\x00", "\x1f",
            "\x7f", "é", "中", "😀", "{", "}", "[", "]", "null", "u0041", "\u2028"]
NAMES = ["a", "b", "key with blanks", "é", 'q"q', "back\\slash", "n\nl", "", "a.b", "0", "a" * 80]


def text():
    return oracle.text(ALPHABET)


def number():
    kind = rnd.randrange(6)
    if kind == 0:
        return str(rnd.randrange(-1000, 1000))
    if kind == 1:
        return str(rnd.randrange(-10 ** 40, 10 ** 40))
    if kind == 2:
        return repr(rnd.uniform(-1e6, 1e6))
    if kind == 3:
        return "%d.%0*d" % (rnd.randrange(-10 ** 20, 10 ** 20), rnd.randrange(1, 30), rnd.randrange(100))
    if kind == 4:
        return "%de%s%d" % (rnd.randrange(1, 100), rnd.choice(["", "+", "-"]), rnd.randrange(300))
    return rnd.choice(["0", "-0", "0.0", "1E5", "9007199254740993", "9223372036854775808", "0.1"])


class Number(str):
    """A number as it was written."""


def value(depth):
    kind = rnd.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return None
    if kind == 1:
        return rnd.choice([True, False])
    if kind == 2:
        return Number(number())
    if kind in (3, 4):
        return text()
    if kind == 5:
        return [value(depth + 1) for _ in range(rnd.randrange(4))]
    return {rnd.choice(NAMES): value(depth + 1) for _ in range(rnd.randrange(4))}


def blank(lines):
    return rnd.choice(["", "", "", " ", "\t", "  "] + ([] if lines else ["\n", "\r\n"]))


def write_text(s):
    if rnd.random() < 0.5:
        return json.dumps(s, ensure_ascii=rnd.random() < 0.5)
    return '"' + "".join("\\u%04x" % ord(c) if ord(c) < 0x10000 and rnd.random() < 0.3 else
                         json.dumps(c, ensure_ascii=False)[1:-1] for c in s) + '"'


def write(v, lines):
    """JSON as programs and people write it."""
    if isinstance(v, Number):
        return str(v)
    if isinstance(v, str):
        return write_text(v)
    if isinstance(v, list):
        return "[" + blank(lines) + ",".join(blank(lines) + write(x, lines) + blank(lines) for x in v) + "]"
    if isinstance(v, dict):
        return "{" + blank(lines) + ",".join(blank(lines) + write_text(k) + blank(lines) + ":" + blank(lines) +
                                             write(x, lines) + blank(lines) for k, x in v.items()) + "}"
    return {None: "null", True: "true", False: "false"}[v]


def parse(s):
    return json.loads(s, parse_int=Number, parse_float=Number, parse_constant=fail)


def follow(v, path):
    for step in path:
        if isinstance(v, dict):
            if step not in v:
                return None
            v = v[step]
        elif isinstance(v, list) and step.isdigit() and str(int(step)) == step and int(step) < len(v):
            v = v[int(step)]
        else:
            return None
    return v


def python_writes():
    layout = rnd.choice(["lines", "array", "values"])
    lines = layout == "lines"
    names = rnd.sample(NAMES, rnd.randrange(2, 6))
    rows = []
    for _ in range(rnd.choice([1, 3, 30, 200])):
        keys = [k for k in names if rnd.random() < 0.9]
        if rnd.random() < 0.2:
            rnd.shuffle(keys)
        rows.append({k: value(1) for k in keys})
    parts = [write(r, lines) for r in rows]
    if lines:
        data = "".join(p + rnd.choice(["\n", "\r\n", "\n\n"]) for p in parts)
    elif layout == "array":
        data = ",".join(blank(False) + p + blank(False) for p in parts) + "]" + blank(False)
    else:
        data = "".join(p + blank(False) for p in parts)
    paths = [[n] for n in names] + [[rnd.choice(names), rnd.choice(NAMES + ["1", "2"])] for _ in range(2)]
    paths = [p for i, p in enumerate(paths) if p not in paths[:i]]
    args = ["".join("/" + p.replace("~", "~0").replace("/", "~1") for p in path) for path in paths]
    got, rest = decode(run(["read", layout] + cutting() + ["j" * len(args)] + args, data.encode()), len(args))
    if rest or len(got) != len(rows):
        at = int(rest.split()[2]) if rest else 0
        fail(f"reading: {len(got)} rows of {len(rows)}, {rest[:300]!r} in {data.encode()[at:at + 600]!r}")
    for row, cells in zip(rows, got):
        for path, cell in zip(paths, cells):
            want = follow(row, path)
            have = parse(cell) if cell is not None else None
            if have != want or type(have) is not type(want):
                fail(f"reading: {path} is {cell!r}, Python has {want!r} in {data[:600]!r}")


def damage(s):
    at = rnd.randrange(len(s))
    how = rnd.randrange(3)
    if how == 0:
        return s[:at] + s[at + 1:]
    if how == 1:
        return s[:at] + rnd.choice('{}[]",:\\0123-+.eE truefalsnl') + s[at:]
    return s[:at] + rnd.choice('{}[]",:\\0123-+.eE truefalsnl') + s[at + 1:]


def no_constant(c):
    raise ValueError(c)


def python_judges():
    """One damaged object per line: read as a row exactly if Python reads it as an object."""
    lines = []
    for _ in range(60):
        s = write({rnd.choice(["a", "b", "c"]): value(2) for _ in range(3)}, True)
        for _ in range(rnd.choice([1, 1, 2])):
            s = damage(s) if s else s
        lines.append(s.replace("\n", " ").strip() or "{}")
    got, rest = decode(run(["read", "lines"] + cutting() + ["j", "z"], "\n".join(lines).encode()), 1)
    bad = {int(line.split()[1]) for line in rest.splitlines() if line.startswith("!")}
    for i, line in enumerate(lines, 1):
        try:
            is_row = isinstance(json.loads(line, parse_constant=no_constant, parse_int=str), dict)
        except ValueError:
            is_row = False
        if is_row == (i in bad):
            fail(f"Python says {'row' if is_row else 'no row'}, we the opposite: {line!r}: {rest[:400]!r}")
    if len(got) + len(bad) != len(lines):
        fail(f"{len(got)} rows and {len(bad)} rejects of {len(lines)} lines")


def python_reads():
    names = rnd.sample(NAMES, rnd.randrange(2, 6))
    types = "".join(rnd.choice("tjif") for _ in names)
    rows = []
    for _ in range(rnd.choice([1, 3, 50])):
        row = []
        for t in types:
            row.append(None if rnd.random() < 0.2 else
                       text() if t == "t" else
                       json.dumps(parse(write(value(1), True)), ensure_ascii=False) if t == "j" else
                       str(rnd.randrange(-2 ** 63, 2 ** 63)) if t == "i" else
                       repr(rnd.choice([0.1, -0.0, 1e300, 5e-324, rnd.uniform(-1, 1)])))
        rows.append([None if c == "null" else c for c in row])
    cells = encode(rows)
    layout = rnd.choice(["lines", "array"])
    data = run(["write", layout, types] + names, cells).decode()
    if layout == "lines":
        if not data.endswith("\n") or data.count("\n") != len(rows):
            fail(f"writing: {data.count(chr(10))} lines of {len(rows)}")
        got = [parse(line) for line in data.split("\n")[:-1]]
    else:
        got = parse(data)
    for g, row in zip(got, rows):
        want = {n: None if c is None else c if t == "t" else parse(c) for n, t, c in zip(names, types, row)}
        for n, t in zip(names, types):
            same = float(g[n]) == float(want[n]) if t == "f" and g[n] is not None and want[n] is not None \
                else g[n] == want[n]
            if not same or list(g) != names:
                fail(f"writing: Python reads {g!r}, wanted {want!r}")
    if len(got) != len(rows):
        fail(f"writing: Python reads {len(got)} rows of {len(rows)}")


def numbers():
    """Digits through int64, double and decimal: what Python's int, float and Decimal say."""
    texts = [number() for _ in range(4000)]
    data = "".join('{"i":%s,"f":%s,"d":%s}\n' % (t, t, t) for t in texts).encode()
    for t, name in (("i", "i"), ("f", "f"), ("d", "d")):
        got, rest = decode(run(["read", "lines"] + cutting() + [t, name], data), 1)
        bad = {int(line.split()[1]) for line in rest.splitlines() if line.startswith("!")}
        cells = iter(got)
        for i, s in enumerate(texts, 1):
            exact = decimal.Decimal(s)
            if t == "i":
                good = exact == exact.to_integral_value() and -2 ** 63 <= exact < 2 ** 63
            else:
                good = True
            if good == (i in bad):
                fail(f"{s} as {t}: {'refused' if good else 'taken'}")
            if not good:
                continue
            cell = next(cells)[0]
            same = cell == s if t == "d" else int(cell) == exact if t == "i" else cell == repr(float(s))
            if not same:
                fail(f"{s} as {t} is {cell}")


print(f"seed {SEED}")
decimal.getcontext().prec = 1000
numbers()
for _ in range(ROUNDS):
    python_writes()
    python_judges()
    python_reads()
print(f"{ROUNDS} documents each way")
