# SPDX-License-Identifier: Apache-2.0
"""What csv_oracle.py and json_oracle.py share: chance, the tool under test (oracle_tool.h is its other side)."""
import os
import random
import subprocess
import sys

TOOL = sys.argv[1]
ROUNDS = int(os.environ.get("WH_TEST_ROUNDS", "60"))
SEED = int(os.environ.get("WH_TEST_SEED", str(random.SystemRandom().getrandbits(32))))
rnd = random.Random(SEED)


def fail(what):
    print(f"FAIL seed {SEED}: {what}")
    sys.exit(1)


def run(args, data):
    p = subprocess.run([TOOL] + args, input=data, stdout=subprocess.PIPE, timeout=60)
    if p.returncode:
        fail(f"{args} ended with {p.returncode} on {data[:300]!r}")
    return p.stdout


def encode(rows):
    cells = (None if cell is None else cell.encode() for row in rows for cell in row)
    return b"".join(b"N\n" if b is None else b"%d\n%s\n" % (len(b), b) for b in cells)


def decode(data, n):
    """Rows of n cells, and what stands behind them."""
    cells, at = [], 0
    while at < len(data) and data[at:at + 1] not in (b"!", b"?"):
        end = data.index(b"\n", at)
        if data[at:end] == b"N":
            cells.append(None)
            at = end + 1
        else:
            size = int(data[at:end])
            cells.append(data[end + 1:end + 1 + size].decode())
            at = end + 2 + size
    return [cells[i:i + n] for i in range(0, len(cells), n)], data[at:].decode()


def text(alphabet):
    return "".join(rnd.choice(alphabet) for _ in range(rnd.choice([0, 1, 1, 2, 3, 5, 40])))


def cutting():
    """A window, and how much of the input is given at once."""
    return [str(rnd.choice([0, 64, 100, 4096])), str(rnd.choice([1, 7, 64, 1000, 1 << 20]))]
