/* SPDX-License-Identifier: Apache-2.0 */
/* Rows out of a text in memory, fed in pieces: for unit tests, oracles' tools and fuzz targets. */
#ifndef WHERRY_TESTS_LIB_READ_ROWS_H
#define WHERRY_TESTS_LIB_READ_ROWS_H

#include <stdint.h>
#include <string.h>

#include "formats/rows.h"

/* Reads [at, n) of the text, at most `step` bytes given at once, to the end; tell takes each batch.
 * Returns what ended it: WH_END or a failure. */
static inline int read_rows(struct wh_text_rows *rows, const void *text, size_t n, size_t at,
                            size_t step, void (*tell)(void *arg, struct wh_batch *), void *arg,
                            struct wh_error *reterr)
{
    for (;;) {
        struct wh_batch b = {0};
        bool hungry;
        void *room;
        size_t k;
        int st = wh_text_rows_next(rows, &b, &hungry, reterr);
        if (st != WH_OK)
            return st;
        if (!hungry) {
            tell(arg, &b);
            continue;
        }
        if ((st = wh_text_rows_space(rows, &room, &k, reterr)) != WH_OK)
            return st;
        if (!k)
            return wh_fail(reterr, WH_E_BUG, "E9001", "no room to read into");
        k = n - at < k ? n - at : k;
        k = step < k ? step : k;
        memcpy(room, (const char *)text + at, k);
        at += k;
        wh_text_rows_filled(rows, k, at == n);
    }
}

#endif
