# SPDX-License-Identifier: Apache-2.0
"""Counts cases, not comparisons: a script that compares a million values has not run a million
tests. A case is what was begun last, or else the line that checks; it fails with its first value."""
import sys


class Cases:
    def __init__(self):
        self.case, self.good, self.compared, self.shown = None, {}, 0, 0

    def begin(self, case):
        self.case = case

    def check(self, ok, *say):
        case = self.case if self.case is not None else sys._getframe(1).f_lineno
        self.compared += 1
        self.good[case] = self.good.get(case, True) and bool(ok)
        if not ok and self.shown < 60:
            self.shown += 1
            print('FAILED:', *[s() if callable(s) else s for s in say])
        return ok

    def finish(self):
        """Prints the line that the gate reads; the exit status."""
        failed = list(self.good.values()).count(False)
        print('%d values compared' % self.compared)
        print('%d passed, %d failed, 0 skipped' % (len(self.good) - failed, failed))
        return failed != 0
