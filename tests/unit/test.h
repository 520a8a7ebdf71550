/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes. */
#ifndef WHERRY_TESTS_UNIT_TEST_H
#define WHERRY_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <wherry/status.h>

/* A status with its words, so that a red test says why. */
#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        int st_ = (expr);                                                                          \
        if (st_ != WH_OK)                                                                          \
            fail_msg("%s: %s", #expr, wh_status_name(st_));                                        \
    } while (0)

#endif
