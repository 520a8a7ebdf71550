/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share. */
#ifndef WHERRY_TESTS_FUZZ_FUZZ_H
#define WHERRY_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A replay (replay_main.c says 1) proves each property of a target on each input; a fuzzer, which
 * sees a million inputs, only one of them, which the input chooses. */
extern int fuzz_all __attribute__((weak));

static inline bool fuzz_turn(unsigned choice, unsigned of, unsigned turn)
{
    return (&fuzz_all && fuzz_all) || choice % of == turn;
}

/* A property that does not hold ends the process like any other defect. */
#define FUZZ_CHECK(cond)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
