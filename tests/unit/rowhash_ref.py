#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The row hash a second time, from its definition in src/data/rowhash.h, over Python's numbers.

    rowhash_ref.py LIBLATTICE.so

As a module: row_hash([(type, value), ...]) -> 128-bit int. As a program: makes random rows (the seed
is printed), gives them as canonical texts to the library, which converts and hashes them, and
compares. Red when C and this disagree about any row, when values that are equal in two types hash
differently, or when different rows hash alike.
Last line: N passed, N failed, N skipped.
"""
import ctypes
import os
import random
import re
import struct
import sys
from decimal import Decimal, localcontext

M = (1 << 64) - 1
H0, H1 = 0x243F6A8885A308D3, 0x13198A2E03707344
P0, P1 = 0x9E3779B97F4A7C15, 0xA4093822299F31D1
TAGS = dict(NULL=0x082EFA98EC4E6C88, BOOL=0x452821E638D01376, INT=0xBE5466CF34E90C6C,
            BIG=0xC0AC29B7C97C50DC, FLOAT=0x3F84D5B5B5470916, DEC=0x9216D5D98979FB1A,
            BYTES=0xD1310BA698DFB5AC, DATE=0x2FFD72DBD01ADFB6, TIME=0xB8E1AFED6A267E96,
            ZONED=0xBA7C9045F12C7F98, NAIVE=0x24A19947B3916CF6, DURATION=0x0801F2E2858EFC16,
            INTERVAL=0x636920D871574E68, LIST=0xA458FEA3F4933D7E, STRUCT=0x0D95748F728EB658)
NS = {"s": 10 ** 9, "ms": 10 ** 6, "us": 10 ** 3, "ns": 1}


def mum(a, b):
    p = a * b
    return p >> 64 ^ p & M


def mix(x):
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & M
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & M
    return x ^ x >> 33


class Row:
    def __init__(self):
        self.h0, self.h1 = H0, H1

    def word(self, tag, w):
        w &= M
        self.h0 = mum(self.h0 ^ w, P0 ^ TAGS[tag])
        self.h1 = mum(self.h1 ^ w, P1 ^ TAGS[tag])

    def pair(self, tag, x, y):
        x, y = x & M, y & M
        self.h0, self.h1 = mum(self.h0 ^ x, P0 ^ TAGS[tag] ^ y), mum(self.h1 ^ y, P1 ^ TAGS[tag] ^ x)

    def bytes(self, raw):
        self.h0 = self.h0 + len(raw) * P0 & M
        self.h1 = self.h1 + len(raw) * P1 & M
        for i in range(0, max(len(raw), 1), 16):
            self.pair("BYTES", *struct.unpack("<QQ", raw[i:i + 16].ljust(16, b"\0")))

    def decimal(self, d):
        special = {"NaN": 1, "Infinity": 2, "-Infinity": 3}.get(str(d))
        if special:
            return self.pair("DEC", 0, special)
        sign, digits, e = d.as_tuple()
        m = int("".join(map(str, digits)))
        while m and m % 10 == 0:
            m, e = m // 10, e + 1
        if m == 0:
            sign = e = 0
        chunks = []
        while True:
            chunks.append(m % 10 ** 18)
            m //= 10 ** 18
            if not m:
                break
        self.pair("DEC", chunks[0], e & 0xFFFFFFFF | sign << 32 | len(chunks) << 33)
        for c in chunks[1:]:
            self.word("DEC", c)

    def wide(self, tag, v):
        self.pair(tag, v, v >> 64)

    def cell(self, t, v):
        """v: None, bool, int, float, Decimal, str, bytes; dates and times as counts; (m, d, ns)"""
        base = re.split(r"[(<]", t)[0]
        unit = NS.get((re.search(r"\((\w+)", t) or [0, ""])[1])
        if v is None:
            self.word("NULL", 0)
        elif base == "bool":
            self.word("BOOL", int(v))
        elif base.startswith(("int", "uint")) and base != "interval":
            self.word("BIG" if v >= 1 << 63 else "INT", v)
        elif base.startswith("float"):
            bits = 0x7FF8 << 48 if v != v else struct.unpack("<Q", struct.pack("<d", v + 0.0))[0]
            self.word("FLOAT", bits)
        elif base == "decimal":
            self.decimal(v)
        elif base == "date":
            self.word("DATE", v)
        elif base == "time":
            self.word("TIME", v * unit)
        elif base == "timestamp":
            self.wide("ZONED" if "utc" in t else "NAIVE", v * unit)
        elif base == "duration":
            self.wide("DURATION", v * unit)
        elif base == "interval":
            self.pair("INTERVAL", v[0], v[1])
            self.word("INTERVAL", v[2])
        elif base in ("list", "map", "struct"):
            self.word("STRUCT" if base == "struct" else "LIST",
                      len(v) if base != "map" else len(v) // 2)
            for item_type, item in v:  # of a map: key, value, key, value
                self.cell(item_type, item)
        else:
            self.bytes(v.encode() if isinstance(v, str) else v)

    def value(self):
        h0 = mix(self.h0)
        return mix(self.h1 ^ h0) << 64 | h0


def row_hash(cells):
    row = Row()
    for t, v in cells:
        row.cell(t, v)
    return row.value()


# ---------------------------------------------------------------------------- program

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lattice"))


def random_cell(r, t):
    """(value, canonical text)"""
    base = re.split(r"[(<]", t)[0]
    if r.random() < 0.1:
        return None, None
    if base == "bool":
        v = r.random() < 0.5
        return v, "true" if v else "false"
    if base.startswith(("int", "uint")) and base != "interval":
        bits = int(re.search(r"\d+", base)[0])
        v = r.getrandbits(r.randint(1, bits))
        v = v - 2 ** (bits - 1) if base[0] == "i" else v
        return v, str(v)
    if base == "float32":
        v = struct.unpack("<f", struct.pack("<f", r.choice([0.0, -0.0, r.uniform(-1e6, 1e6)])))[0]
        return v, f"{v:.9g}"
    if base == "float64":
        v = r.choice([0.0, -0.0, float("nan"), float("inf"), r.uniform(-1e9, 1e9), r.random() * 1e-300])
        return v, repr(v)
    if base == "decimal":
        return random_decimal(r, t)
    if base in ("utf8", "json"):
        v = "".join(r.choice("abz \"é日😀") for _ in range(r.choice([0, 1, 7, 8, 15, 16, 17, 40])))
        return v, v
    if base in ("binary", "fixed"):
        n = 4 if base == "fixed" else r.choice([0, 1, 8, 16, 33])
        v = r.randbytes(n)
        return v, "\\x" + v.hex()
    return random_time(r, t, base)


def random_decimal(r, t):
    m = re.search(r"\((\d+),(-?\d+)\)", t)
    if not m and r.random() < 0.1:
        return r.choice([(Decimal("NaN"), "NaN"), (Decimal("-Infinity"), "-Infinity")])
    p, s = (int(m[1]), int(m[2])) if m else (r.randint(1, 120), r.randint(-5, 60))
    v = r.randint(-10 ** r.randint(0, p) + 1, 10 ** r.randint(0, p) - 1)
    if r.random() < 0.3:
        v = v // 10 ** (p // 2) * 10 ** (p // 2)
    with localcontext() as c:
        c.prec = 300
        d = Decimal(v).scaleb(-s)
        return d, format(d, "f")


def random_time(r, t, base):
    from timetext import PER_SECOND, clock_text, date_text, interval_text, span_text
    unit = (re.search(r"\((\w+)", t) or [0, "s"])[1]
    per = PER_SECOND[unit]
    if base == "date":
        v = r.randint(-10 ** 6, 10 ** 6)
        return v, date_text(v)
    if base == "time":
        v = r.randint(0, 86400 * per)
        return v, clock_text(*divmod(v, per), unit)
    if base == "interval":
        v = (r.randint(-99, 99), r.randint(-99, 99), r.randint(-10 ** 15, 10 ** 15))
        return v, interval_text(v)
    v = r.randint(-2 ** r.randint(1, 62), 2 ** r.randint(1, 62))
    if base == "duration":
        return v, span_text(v, unit)
    days, of_day = divmod(v // per, 86400)
    return v, f"{date_text(days)} {clock_text(of_day, v % per, unit)}{'Z' if 'utc' in t else ''}"


TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64", "decimal(18,2)",
         "decimal(38,10)", "decimal(60,20)", "decimal(10,-3)", "decimal", "utf8", "binary", "fixed(4)", "date",
         "time(us)", "time(ns)", "timestamp(s)", "timestamp(us, utc)", "timestamp(ns)", "duration(ms)", "interval"]

# groups of (type, text) that mean the same value
EQUAL = [
    [("int8", "-5"), ("int16", "-5"), ("int32", "-5"), ("int64", "-5")],
    [("uint8", "200"), ("uint64", "200"), ("int16", "200"), ("int64", "200")],
    [("float32", "0.5"), ("float64", "0.5")], [("float64", "0.0"), ("float64", "-0.0")],
    [("decimal(18,2)", "1.50"), ("decimal(38,10)", "1.5"), ("decimal(60,20)", "1.5"), ("decimal", "1.500"),
     ("decimal", "15e-1")],
    [("decimal(10,-3)", "5000"), ("decimal(18,0)", "5000"), ("decimal", "5e3")],
    [("timestamp(s)", "2024-02-29 01:02:03"), ("timestamp(ns)", "2024-02-29 01:02:03")],
    [("utf8", "ab"), ("binary", "\\x6162")], [("time(us)", "01:02:03.5"), ("time(ns)", "01:02:03.5")],
]
DIFFERENT = [("int64", "0"), ("bool", "false"), ("utf8", ""), ("utf8", "\x01"), ("float64", "0"), ("decimal", "0"),
             ("date", "1970-01-01"), ("timestamp(s)", "1970-01-01 00:00:00"),
             ("timestamp(s, utc)", "1970-01-01 00:00:00Z"), ("time(us)", "00:00:00"), ("duration(s)", "PT0S"),
             ("interval", "PT0S"), ("int64", None), ("uint64", str(2 ** 64 - 1)), ("int64", "-1"), ("int64", "1")]


def c_hashes(lib, types, rows):
    """rows: lists of texts or None"""
    flat = [x.encode() if x is not None else None for row in rows for x in row]
    cells = (ctypes.c_char_p * len(flat))(*flat)
    names = (ctypes.c_char_p * len(types))(*[t.encode() for t in types])
    out = ctypes.create_string_buffer(33 * len(rows) + 1)
    message = ctypes.create_string_buffer(640)
    if lib.lattice_hash_texts(names, ctypes.c_int64(len(types)), cells, ctypes.c_int64(len(rows)), out,
                              message):
        raise ValueError(message.value.decode())
    return [int(h, 16) for h in out.value.decode().split()]


def main():
    lib = ctypes.CDLL(sys.argv[1])
    seed = int(os.environ.get("WH_TEST_SEED", "0")) or random.SystemRandom().randint(1, 10 ** 9)
    print(f"seed {seed} (WH_TEST_SEED)")
    r = random.Random(seed)
    passed = failed = 0
    seen = {}
    for _ in range(60):
        before = failed
        types = [r.choice(TYPES) for _ in range(r.randint(1, 10))]
        rows = [[random_cell(r, t) for t in types] for _ in range(r.choice([1, 40, 300]))]
        got = c_hashes(lib, types, [[text for _, text in row] for row in rows])
        for row, g in zip(rows, got):
            want = row_hash([(t, v) for t, (v, _) in zip(types, row)])
            if g != want:
                failed += 1
                print(f"FAILED: {types} {row}: {g:032x}, wanted {want:032x}")
            if len(types) > 5:  # long random rows never repeat
                key = repr((types, [text for _, text in row]))
                if seen.setdefault(g, key) != key:
                    failed += 1
                    print(f"FAILED: collision of {seen[g]} and {key}")
        passed += failed == before
    for group in EQUAL:
        hashes = {c_hashes(lib, [t], [[text]])[0] for t, text in group}
        passed, failed = passed + (len(hashes) == 1), failed + (len(hashes) != 1)
        if len(hashes) != 1:
            print(f"FAILED: {group} hash differently")
    hashes = [c_hashes(lib, [t], [[text]])[0] for t, text in DIFFERENT]
    ok = len(set(hashes)) == len(DIFFERENT)
    passed, failed = passed + ok, failed + (not ok)
    if not ok:
        print("FAILED: two of DIFFERENT hash alike")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
