#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges the type lattice by values, over every pair of types.

    lattice.py LIBLATTICE.so

For each pair of types the verdict that must stand in the table is worked out here: from a rule that
says which pairs have a meaning, and from what happens to hard values (extremes, fractions, zeros,
odd texts, far dates) under definitions written with Python's int, Decimal, Fraction and date. Then
every hard value is converted by the library and must come out as expected, or be rejected exactly
where expected. pyarrow makes and reads all arrays (so the C data interface is judged too), validates
them fully, and its own safe casts are a second judge where they mean the same.

A table entry that is wrong makes this red: too generous (a value gets lost), too strict (CHECKED
though nothing can fail), a missing or a surplus pair.
Last line: N passed, N failed, N skipped.
"""
import ctypes
import os
import subprocess
import sys

CACHE = os.environ.get("WHERRY_TEST_CACHE") or os.path.expanduser("~/.cache/wherry-tests")
VENV = os.path.join(CACHE, "venv-pyarrow")


def with_pyarrow():
    """Runs this file again inside the venv; makes the venv first."""
    python = os.path.join(VENV, "bin", "python")
    probe = [python, "-c", "import pyarrow"]
    try:
        if not os.path.exists(python) or subprocess.run(probe, timeout=120).returncode:
            os.makedirs(CACHE, exist_ok=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True, timeout=300)
            subprocess.run([python, "-m", "pip", "install", "-q", "pyarrow"], check=True,
                           timeout=600)
    except (OSError, subprocess.SubprocessError) as e:
        if os.environ.get("CI"):
            print(f"pyarrow cannot be installed into {VENV}: {e}")
            print("0 passed, 1 failed, 0 skipped")
            sys.exit(1)
        print(f"skipped: pyarrow cannot be installed into {VENV}: {e}")
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(77)
    os.execv(python, [python] + sys.argv)


try:
    import pyarrow as pa
except ImportError:
    if sys.prefix == VENV:
        raise
    with_pyarrow()

from model import (BAD, TYPES, expected, fit_of, hard_values, make_array, read_array, same,
                   pyarrow_may_judge)

FITS = ["exact", "widening", "checked", "lossy", "impossible"]
LOSSY_OK = 32


class Reject(ctypes.Structure):
    _fields_ = [("row", ctypes.c_int64), ("column", ctypes.c_int32), ("code", ctypes.c_char * 6),
                ("text", ctypes.c_char * 200)]


lib = ctypes.CDLL(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cases import Cases  # noqa: E402

cases = Cases()
check = cases.check


class CStruct:
    """Memory for an ArrowSchema (72 bytes) or ArrowArray (80)."""

    def __init__(self):
        self.memory = ctypes.create_string_buffer(80)
        self.address = ctypes.addressof(self.memory)
        self._as_parameter_ = ctypes.c_void_p(self.address)  # ctypes passes the object, alive


class CField(CStruct):
    """An exported field; pyarrow releases it at the end."""

    def __init__(self, field):
        super().__init__()
        field._export_to_c(self.address)

    def __del__(self):
        pa.Field._import_from_c(self.address)


def type_field(text):
    """A field built by the library from words, read by pyarrow."""
    c = CStruct()
    message = ctypes.create_string_buffer(640)
    st = lib.lattice_field(text.encode(), c, message)
    if st:
        raise ValueError(f"{text}: {message.value.decode()}")
    return pa.Field._import_from_c(c.address)


def convert(a, array, b, policy=0):
    """(result array, {row: (code, text)}, identity) or an error text."""
    field_a, field_b = CField(a.field), CField(b.field)
    given, got = CStruct(), CStruct()
    array._export_to_c(given.address)
    rejects = (Reject * (len(array) + 1))()
    n, identity = ctypes.c_int64(), ctypes.c_int()
    message = ctypes.create_string_buffer(640)
    st = lib.lattice_convert(field_a, given, field_b, policy,
                             got, rejects, ctypes.c_int64(len(array)),
                             ctypes.byref(n), ctypes.byref(identity), message)
    if st:
        return message.value.decode()
    result = pa.Array._import_from_c(got.address, b.field.type)
    result.validate(full=b.kind != "time")  # pyarrow does not know 24:00:00
    rows = {r.row: (r.code.decode(), r.text.decode()) for r in rejects[:n.value]}
    assert len(rows) == n.value, "a row was rejected twice"
    assert all(r.column == 7 for r in rejects[:n.value])
    return result, rows, bool(identity.value)


def decide(a, b):
    why = ctypes.create_string_buffer(200)
    fit = lib.lattice_decide(CField(a.field), CField(b.field), why)
    return FITS[fit] if fit >= 0 else f"error: {why.value.decode()}", why.value.decode()


def text_of(a, array, row):
    c, field = CStruct(), CField(a.field)
    array._export_to_c(c.address)
    out = ctypes.create_string_buffer(1 << 16)
    n = lib.lattice_text(field, c, ctypes.c_int64(row), out,
                         ctypes.c_int64(len(out)))
    # hand it back to pyarrow, which releases it
    pa.Array._import_from_c(c.address, a.field.type)
    return out.raw[:n].decode() if n >= 0 else None


def judge_values(a, b, fit, values):
    """All hard values of a, in one array with nulls, cut out of a longer one."""
    policy = LOSSY_OK if fit == "lossy" else 0
    padded = [None] * 3 + values[:2] + values + [None] + values[:5]
    array = make_array(a, padded)[3 + len(values[:2]):]
    result = convert(a, array, b, policy)
    if not check(not isinstance(result, str), lambda: f"{a} -> {b}: {result}"):
        return
    out, rejects, identity = result
    got = read_array(b, out)
    want = [expected(a, b, v, lossy=bool(policy)) for v in values]
    want = want + [None] + want[:5]
    check(len(got) == len(want), f"{a} -> {b}: {len(got)} rows of {len(want)}")
    for row, (w, g) in enumerate(zip(want, got)):
        v = (values + [None] + values)[row]
        if w is BAD:
            ok = row in rejects and g is None
            check(ok, lambda: f"{a} -> {b}: {v!r} must be rejected, gave {g!r} {rejects.get(row)}")
            if ok:
                code, text = rejects[row]
                check(code[:2] == "E6" and len(code) == 5 and len(text) > 10,
                      lambda: f"{a} -> {b}: {v!r}: bad reject {code} {text!r}")
        else:
            check(row not in rejects and same(b, g, w),
                  lambda: f"{a} -> {b}: {v!r} gave {g!r} {rejects.get(row)}, wanted {w!r}")
    if fit in ("exact", "widening") and a.kind != "null" and b.kind != "null":
        seen = {}
        for v, g in zip(values, got):
            key = repr(g)
            check(key not in seen or seen[key] == v,  # 0.0 and -0.0 are one
                  lambda: f"{a} -> {b}: {seen[key]!r} and {v!r} both became {g!r}")
            seen[key] = v
    judge_by_pyarrow(a, b, values, got)


pyarrow_judged = 0


def judge_by_pyarrow(a, b, values, got):
    global pyarrow_judged
    for v, g in zip(values, got):
        if v is None or not pyarrow_may_judge(a, b, v):
            continue
        try:
            theirs = read_array(b, make_array(a, [v]).cast(b.field.type, safe=True))[0]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
            theirs = None
        pyarrow_judged += 1
        check(same(b, g, theirs), lambda: f"{a} -> {b}: {v!r} gave {g!r}, pyarrow {theirs!r}")


def judge_pair(a, b):
    cases.begin(f"{a} -> {b}")
    values = hard_values(a, b)
    want = fit_of(a, b, values)
    fit, why = decide(a, b)
    check(fit == want, lambda: f"{a} -> {b}: table says {fit} ({why}), values say {want}")
    check((why == "") == (fit == "exact"), lambda: f"{a} -> {b}: {fit} without a reason")
    if fit == "impossible":
        result = convert(a, make_array(a, values), b)
        check(isinstance(result, str) and result.startswith(("E3003", "E3011")),
              lambda: f"{a} -> {b}: impossible but converted: {result}")
        return
    if fit == "lossy":
        result = convert(a, make_array(a, values), b)
        check(isinstance(result, str) and result.startswith("E3004"),
              lambda: f"{a} -> {b}: lossy without consent: {result}")
    judge_values(a, b, fit, values)


def judge_texts(a):
    """The canonical text of every value, by view, is that of the conversion to utf8."""
    values = hard_values(a, None)
    array = make_array(a, values)
    utf8 = next(t for t in TYPES if t.text == "utf8")
    for row, v in enumerate(values):
        want = expected(a, utf8, v)
        got = text_of(a, array, row)
        check(got == (want if want is not None else ""),
              lambda: f"text of {a} {v!r}: {got!r}, wanted {want!r}")


def judge_types():
    for t in TYPES:
        t.field = type_field(t.text)
        check(t.field.type == t.arrow, lambda: f"{t.text} became {t.field.type}, not {t.arrow}")
        out = ctypes.create_string_buffer(4096)
        st = lib.lattice_type_text(CField(t.field), out, ctypes.c_int64(4096))
        check(st == 0 and out.value.decode() == t.text,
              lambda: f"{t.text} prints as {out.value.decode()}")
    for theirs in (pa.large_string(), pa.float16(), pa.date64(), pa.time32("s"),
                   pa.list_(pa.int32(), 2), pa.dictionary(pa.int8(), pa.string()),
                   pa.dense_union([pa.field("a", pa.int32())])):
        fit, why = decide(type("F", (), {"field": pa.field("c", theirs)}), TYPES[0])
        check(fit.startswith("error") and "carried" in fit, lambda: f"{theirs} was accepted: {fit}")


# (types, policy bits, value in, value out or BAD)
POLICIES = [
    ("utf8", "date", 1, "0000-00-00", None), ("utf8", "date", 0, "0000-00-00", BAD),
    ("utf8", "timestamp(us)", 1, "0000-00-00 00:00:00", None),
    ("utf8", "date", 2, "infinity", None), ("utf8", "date", 0, "-infinity", BAD),
    ("float64", "float64", 4, float("nan"), None),
    ("float64", "float64", 64, float("nan"), BAD),
    ("float64", "float64", 0, float("nan"), float("nan")),
    ("float64", "float64", 2, float("-inf"), None),
    ("float64", "float64", 128, float("inf"), BAD),
    ("float64", "int32", 4, float("nan"), None), ("float64", "int32", 2, float("inf"), None),
    ("float64", "utf8", 64, float("nan"), BAD), ("float64", "decimal", 4, float("nan"), None),
    ("utf8", "utf8", 8, "", None), ("utf8", "utf8", 0, "", ""), ("utf8", "utf8", 8, "  ", "  "),
    ("utf8", "utf8", 16, "ab  ", "ab"), ("utf8", "utf8", 24, "  ", None),
    ("utf8", "utf8(5)", 16, "abcde   ", "abcde"), ("utf8", "utf8(5)", 0, "abcde ", BAD),
    ("dictionary<utf8>", "dictionary<utf8>", 24, "ab ", "ab"),
    ("dictionary<utf8>", "dictionary<utf8>", 24, " ", None),
    ("dictionary<utf8>", "dictionary<utf8>", 8, "", None),
    ("dictionary<utf8>", "utf8", 24, "ab ", "ab"), ("dictionary<utf8>", "utf8", 24, " ", None),
    ("float64", "float32", 32, 0.1, 0.10000000149011612), ("float64", "float32", 32, 1e300, BAD),
    ("float64", "int32", 32, 2.5, 2), ("float64", "int32", 32, 3.5, 4),
    ("float64", "int32", 32, -2.5, -2), ("float64", "int32", 32, 3e9, BAD),
    ("int64", "float64", 32, 2 ** 53 + 1, float(2 ** 53)),
    ("decimal(38,10)", "decimal(5,2)", 32, "1.2350000000", "1.24"),
    ("decimal(38,10)", "decimal(5,2)", 32, "1.2250000000", "1.22"),
    ("decimal(38,10)", "decimal(5,2)", 32, "-1.2250000001", "-1.23"),
    ("decimal(38,10)", "decimal(5,2)", 32, "999.9950000001", BAD),
    ("decimal(76,0)", "decimal(60,20)", 32, "7", "7.00000000000000000000"),
    ("decimal(60,20)", "decimal(18,0)", 32, "2.50000000000000000001", "3"),
    ("decimal", "decimal(5,2)", 32, "0.00500000000000000000000000000000000000000000000000000000000"
     "00000000000000000000000000000000000000000000000001", "0.01"),
    ("decimal", "int32", 32, "2.5", 2), ("decimal(5,2)", "int8", 32, "1.50", 2),
    ("utf8", "decimal(5,2)", 32, "1.005", "1.00"), ("utf8", "int32", 32, "1.7", 2),
    ("timestamp(ns)", "timestamp(s)", 32, -1, -1), ("timestamp(us)", "date", 32, -1, -1),
    ("timestamp(us, utc)", "timestamp(us)", 32, 5, 5),
    ("utf8", "timestamp(us)", 32, "1970-01-01 02:00:00+02", 0),
    ("time(ns)", "time(us)", 32, 1999, 1),
]


def judge_policies():
    from decimal import Decimal
    by_text = {t.text: t for t in TYPES}
    for source, target, policy, v, want in POLICIES:
        a, b = by_text[source], by_text[target]
        if a.kind == "dec":
            v = Decimal(v)
        if b.kind == "dec" and isinstance(want, str):
            want = Decimal(want)
        cases.begin(f"{a} -> {b} policy {policy} {v!r}")
        result = convert(a, make_array(a, [v, None, v]), b, policy)
        if not check(not isinstance(result, str), lambda: f"{a} -> {b} policy {policy}: {result}"):
            continue
        out, rejects, _ = result
        got = read_array(b, out)
        if want is BAD:
            check(sorted(rejects) == [0, 2] and got == [None] * 3,
                  lambda: f"{a} -> {b} policy {policy}: {v!r} gave {got}, wanted a reject")
        else:
            check(not rejects and same(b, got[0], want) and got[1] is None and same(b, got[2], want),
                  lambda: f"{a} -> {b} policy {policy}: {v!r} gave {got} {rejects}, want {want!r}")


def judge_nested_hash():
    """Rows with lists, structs, maps, cut out of longer arrays, against the second implementation."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
    from rowhash_ref import row_hash
    pairs = {"list<int32>": lambda v: [("int32", x) for x in v],
             "list<utf8>": lambda v: [("utf8", x) for x in v],
             "struct<a: int32, b: utf8>": lambda v: [("int32", v["a"]), ("utf8", v["b"])],
             "map<utf8, int64>": lambda v: [c for k, x in v for c in (("utf8", k), ("int64", x))],
             "dictionary<utf8>": None}
    types = [t for t in TYPES if t.text in pairs]
    for t in types:
        values = hard_values(t, None)
        rows = [None] * 3 + values + [None]
        array = make_array(t, rows)[2:]
        field, given = CField(pa.field("r", pa.struct([t.field]))), CStruct()
        pa.StructArray.from_arrays([array], fields=[t.field])._export_to_c(given.address)
        out, message = ctypes.create_string_buffer(33), ctypes.create_string_buffer(640)
        st = lib.lattice_hash(field, given, out, message)
        pa.Array._import_from_c(given.address, pa.struct([t.field]))
        want = sum(row_hash([("utf8", v) if t.kind == "dict" or v is None else
                             (t.text, pairs[t.text](v))]) for v in rows[2:]) % 2 ** 128
        check(st == 0 and int(out.value, 16) == want,
              lambda: f"hash of {t}: {out.value} {message.value}, wanted {want:032x}")


def main():
    judge_types()
    judge_nested_hash()
    for a in TYPES:
        cases.begin(f"texts of {a}")
        judge_texts(a)
        for b in TYPES:
            judge_pair(a, b)
    judge_policies()
    print(f"{len(TYPES)} types, {len(TYPES) ** 2} pairs, {pyarrow_judged} values judged by pyarrow "
          f"{pa.__version__}")
    return cases.finish()


sys.exit(main())
