/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a function with its N-th allocation failing, for N = 1, 2, ... until none is left. */
#ifndef WHERRY_TESTS_UNIT_SWEEP_H
#define WHERRY_TESTS_UNIT_SWEEP_H

#include "test.h"

#include "core/alloc.h"

/* `run` returns a status; it may succeed although something failed only if that was not needed.
 * Red when anything leaks, crashes, or fails with another status than WH_E_NOMEM or `also`. */
static inline void sweep(int (*run)(void *), void *arg, int also)
{
    assert_ok(run(arg)); /* first without a failure: warms what is kept once */
    for (int forever = 0; forever < 2; forever++) {
        for (int64_t nth = 1;; nth++) {
            struct wh_mem_stats before = wh_mem_stats();

            assert_true(nth < 100000);
            wh_mem_fail_at(nth, forever);
            int st = run(arg);

            wh_mem_fail_at(0, false);
            struct wh_mem_stats after = wh_mem_stats();

            if (after.bytes != before.bytes)
                fail_msg("allocation %lld: %lld bytes leaked", (long long)nth,
                         (long long)(after.bytes - before.bytes));
            if (st != WH_OK && st != WH_E_NOMEM && st != also)
                fail_msg("allocation %lld: %s", (long long)nth, wh_status_name(st));
            if (after.calls - before.calls < nth)
                break;
        }
    }
}

#endif
