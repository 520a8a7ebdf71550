#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Floats as text and back, judged by Python's repr and float (and exact fractions for singles).

    floats.py LIBLATTICE.so [COUNT]

Red when a double does not print as repr prints it, when a text is not read as the nearest double or
single (ties to even), or when overflow and underflow to zero are not refused. The seed is printed.
Last line: N passed, N failed, N skipped.
"""
import ctypes
import os
import random
import struct
import sys
from fractions import Fraction

lib = ctypes.CDLL(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 200000
out = ctypes.create_string_buffer(33)
lib.lattice_print_f64.argtypes = [ctypes.c_double, ctypes.c_char_p]
lib.lattice_print_f32.argtypes = [ctypes.c_float, ctypes.c_char_p]
got64, got32 = ctypes.c_double(), ctypes.c_float()


sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cases import Cases  # noqa: E402

cases = Cases()
check = cases.check


def bits64(v):
    return struct.pack("<d", v)


def read64(text):
    raw = text.encode()
    return got64.value if lib.lattice_read_f64(raw, ctypes.c_int64(len(raw)), ctypes.byref(got64)) else None


def read32(text):
    raw = text.encode()
    return got32.value if lib.lattice_read_f32(raw, ctypes.c_int64(len(raw)), ctypes.byref(got32)) else None


def judge_read64(text):
    want = float(text)
    zero = not any(c in "123456789" for c in text.lower().split("e")[0])
    if want in (float("inf"), float("-inf")) or (want == 0 and not zero):
        want = None
    got = read64(text)
    check(got == want if want is None or got is None else bits64(got) == bits64(want),
          f"{text[:60]} read as {got!r}, wanted {want!r}")


def singles():
    """All magnitudes as fractions, for neighbours."""
    for bits in (0, 1, 2, 0x7FFFFF, 0x800000, 0x800001, 0x3F800000, 0x4B800000, 0x7F7FFFFE, 0x7F7FFFFF):
        yield bits


def judge_read32(bits, digits):
    """Texts at, and just beside, the middle between a single and its successor."""
    a = Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])
    top = bits == 0x7F7FFFFF
    b = Fraction(2) ** 128 if top else Fraction(struct.unpack("<f", struct.pack("<I", bits + 1))[0])
    middle = (a + b) / 2
    for delta in (-1, 0, 1):
        v = middle + Fraction(delta, 10 ** digits) * middle
        text = decimal_text(v, digits + 40)
        exact = Fraction(text)
        up = exact > middle or (exact == middle and bits & 1)
        want = (None if top else bits + 1) if up else bits
        got = read32(text)
        raw = struct.unpack("<I", struct.pack("<f", got))[0] if got is not None else None
        if want == 0 and exact != 0:
            want = None
        check(raw == want, f"{text[:60]} read as single {raw}, wanted {want}")


def decimal_text(v, digits):
    """Scientific, cut after so many digits (exact when fewer do)."""
    if v == 0:
        return "0"
    e = 0
    while v >= 10:
        v, e = v / 10, e + 1
    while v < 1:
        v, e = v * 10, e - 1
    whole = v * 10 ** digits
    text = str(whole.numerator // whole.denominator)
    return f"{text[0]}.{text[1:]}e{e}"


def main():
    seed = int(os.environ.get("WH_TEST_SEED", "0")) or random.SystemRandom().randint(1, 10 ** 9)
    print(f"seed {seed} (WH_TEST_SEED)")
    r = random.Random(seed)
    hard = [0, 1, 2, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000,
            0x7FF8000000000000, 0x8000000000000000, 0x4340000000000000, 0x433FFFFFFFFFFFFF, 0x44B52D02C7E14AF6,
            0x44B52D02C7E14AF7, 0x4830F0CF064DD592]
    hard += [e << 52 | m for e in range(0, 2047) for m in (0, 1, (1 << 52) - 1)]
    for i in range(count + len(hard)):
        if i < len(hard):
            b = hard[i]
        elif i % 3 == 0:
            b = struct.unpack("<Q", bits64(r.randint(-10 ** 9, 10 ** 9) / 10 ** r.randint(0, 9)))[0]
        else:
            b = r.getrandbits(64)
        v = struct.unpack("<d", struct.pack("<Q", b))[0]
        n = lib.lattice_print_f64(v, out)
        check(out.raw[:n].decode() == repr(v), f"{v!r} printed {out.raw[:n]}")
        if v - v == 0:
            back = read64(repr(v))
            check(back is not None and bits64(back) == bits64(v), f"{v!r} read back as {back!r}")
            if i % 10 == 0:
                judge_read64(f"{v:.{r.randint(0, 40)}e}")
                f = Fraction(v)
                after = struct.unpack("<d", struct.pack("<Q", b + 1))[0] if b & (1 << 63) == 0 else None
                if after and after - after == 0:  # the middle, exactly, and a hair beside
                    text = decimal_text((f + Fraction(after)) / 2, 800)
                    judge_read64(text)
                    judge_read64(text.replace("e", "1e"))
                    judge_read64(text[:60] + "e" + text.split("e")[1])
    for text in ("1e400", "-1e400", "1e-400", "0e400", "4.9e-324", "2.4703282292062327e-324",
                 "2.4703282292062328e-324", "1.7976931348623158e308", "1.7976931348623159e308", "9" * 5000,
                 "0." + "0" * 5000 + "1", "1" + "0" * 400 + "e-400", "0" * 1000 + "1.5", "123456789" * 100 + "e-850"):
        judge_read64(text)
    for text in ("", ".", "+", "-", "e5", "1e", "1e+", ".e1", "1.2.3", "0x1p3", " 1", "1 ", "1_0", "infx", "nann",
                 "1,5", "--1", "+-1", "1e5.", "\0", "1\0"):
        check(read64(text) is None and read32(text) is None, f"{text!r} was read")
    for text, want in (("inf", float("inf")), ("-Infinity", float("-inf")), ("+INF", float("inf"))):
        check(read64(text) == want == read32(text), text)
    check(read64("NaN") != read64("NaN"), "NaN")
    for bits in list(singles()) + [r.getrandbits(31) % 0x7F800000 for _ in range(3000)]:
        judge_read32(bits, r.choice([8, 15, 18, 19, 20, 30]))
        v = struct.unpack("<f", struct.pack("<I", bits))[0]
        n = lib.lattice_print_f32(v, out)
        text = out.raw[:n].decode()
        back = read32(text)
        check(back == v and struct.unpack("<f", struct.pack("<f", float(text)))[0] == v, f"single {v!r} printed {text}")
        digits = len(text.split("e")[0].replace(".", "").strip("0"))
        if digits > 1:  # no shorter text may read back
            short = f"{v:.{digits - 2}e}"
            check(struct.unpack("<f", struct.pack("<f", min(float(short), 3.4028234e38)))[0] != v,
                  f"single {v!r} printed {text}, {short} is shorter")
    return cases.finish()


sys.exit(main())
