#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python's csv module judges our reader and writer on random tables.

Fails if a cell, a NULL or a row that Python sees in a file is another one for us (all kernels, all
ways of cutting the input), if Python reads our output as other cells, or if a double is written
otherwise than Python's repr. The seed is printed; WH_TEST_SEED repeats it.
"""
import csv
import io
import math
import struct

import oracle
from oracle import ROUNDS, SEED, cutting, decode, encode, fail, rnd, run

ALPHABET = ["a", "b", "7", " ", ",", ";", "|", '"', '""', "\n", "\r", "\r\n", "\t", "é", "中", "😀",
            "'", "\\", "NA", "#", "sep=", ".", "-"]


def text():
    return oracle.text(ALPHABET)


def table():
    n = rnd.choice([2, 2, 3, 5, 17])
    return [[text() for _ in range(n)] for _ in range(rnd.choice([1, 3, 20, 200]))], n


def kernels():
    return [str(rnd.choice([-1, 0, 1, 2]))] + cutting()


def python_writes():
    rows, n = table()
    delimiter = rnd.choice([",", ";", "\t", "|"])
    escape = rnd.choice(["none", "none", "\\"])
    out = io.StringIO(newline="")
    options = {"delimiter": delimiter, "lineterminator": rnd.choice(["\n", "\r\n"]),
               "quoting": rnd.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])}
    if escape != "none":
        options.update(doublequote=False, escapechar=escape)
        options["quoting"] = csv.QUOTE_ALL
    if options["lineterminator"] == "\n":  # it does not quote a CR then, which ends a line
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    csv.writer(out, **options).writerows(rows)
    data = out.getvalue().encode()
    if rnd.random() < 0.3 and not out.getvalue().endswith("\r\n"):
        data = data[:-1] if data.endswith(b"\n") and not data.endswith(b"\n\n") else data
    got, rest = decode(run(["read", delimiter, '"', escape] + kernels() + [str(n)], data), n)
    quoted = options["quoting"] == csv.QUOTE_ALL
    want = [[cell if cell or quoted else None for cell in row] for row in rows]
    if got != want or rest:
        for g, w in zip(got, want):
            if g != w:
                fail(f"reading: got {g!r}, want {w!r} in {data[:400]!r}")
        fail(f"reading: {len(got)} rows of {len(want)}, {rest!r} in {data[:400]!r}")


def python_reads():
    rows, n = table()
    for row in rows:
        for i in range(n):
            if rnd.random() < 0.2:
                row[i] = None
    delimiter = rnd.choice([",", ";", "\t", "|"])
    data = run(["write", delimiter, '"', "none", str(n)], encode(rows))
    got = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True))
    want = [["" if cell is None else cell for cell in row] for row in rows]
    if got != want:
        for g, w in zip(got, want):
            if g != w:
                fail(f"writing: Python reads {g!r}, wanted {w!r} in {data[:400]!r}")
        fail(f"writing: Python reads {len(got)} rows of {len(want)}")
    back, rest = decode(run(["read", delimiter, '"', "none"] + kernels() + [str(n)], data), n)
    if back != rows or rest:
        fail(f"round trip: {rest!r} in {data[:400]!r}")


def floats():
    values = [0.0, -0.0, 1.0, 0.1, 0.01, 0.29, 1e12, 1e12 - 0.01, 999999999999.99, 1e16, 1e22, 5e-324,
              1.7976931348623157e308, 123456.78, 0.07, 1.005, 2.675, -37891.84]
    for _ in range(3000):
        values.append(round(rnd.uniform(-1e6, 1e6), rnd.randrange(5)))
        values.append(rnd.uniform(-1, 1) * 10 ** rnd.randrange(-20, 20))
        values.append(struct.unpack("<d", rnd.getrandbits(64).to_bytes(8, "little"))[0])
        values.append(rnd.randrange(10 ** 14) / 100)
    values = [v for v in values if math.isfinite(v)]
    got = run(["floats"], struct.pack(f"<{len(values)}d", *values)).decode().split("\n")
    for v, g in zip(values, got):
        if repr(v) != g:
            fail(f"double {v!r} was written {g}")
    if len(got) != len(values) + 1:
        fail("doubles are missing")


print(f"seed {SEED}")
floats()
for _ in range(ROUNDS):
    python_writes()
    python_reads()
print(f"{ROUNDS} tables each way")
