# SPDX-License-Identifier: Apache-2.0
"""Writes the table of powers of ten for number_float.c: for k in [-342, 324] the upper 128 bits of
10^k, rounded down, as {high, low}; exact integers, no floating point."""
import sys

LO, HI = -342, 324


def upper128(k):
    if k >= 0:
        v = 10 ** k
        shift = v.bit_length() - 128
        return v >> shift if shift > 0 else v << -shift
    d = 10 ** -k
    v = (1 << (d.bit_length() + 127)) // d  # 128 or 129 bits
    return v >> (v.bit_length() - 128)


with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by pow10.py. */\n")
    out.write(f"#define POW10_LO ({LO})\n#define POW10_HI {HI}\n")
    out.write("static const uint64_t pow10_128[][2] = {\n")
    for k in range(LO, HI + 1):
        v = upper128(k)
        out.write(f"    {{0x{v >> 64:016x}u, 0x{v & (1 << 64) - 1:016x}u}}, /* {k} */\n")
    out.write("};\n")
