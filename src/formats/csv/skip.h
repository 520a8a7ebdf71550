/* SPDX-License-Identifier: Apache-2.0 */
/* Runs over a record that is too large to be held, byte by byte, to find its end. */
#ifndef WHERRY_FORMATS_CSV_SKIP_H
#define WHERRY_FORMATS_CSV_SKIP_H

#include "formats/csv/csv.h"

struct csv_skip {
    const struct wh_csv_dialect *d;
    int state;
    uint64_t tail; /* the last bytes of the field, to find a delimiter of several bytes */
};

void csv_skip_start(struct csv_skip *, const struct wh_csv_dialect *, bool comment);
/* True when the record ended: *ret_used bytes belong to it, line end included. A CR that ends the
 * text waits for the next byte unless `last`. */
bool csv_skip_run(struct csv_skip *, const uint8_t *p, size_t n, bool last, size_t *ret_used);
bool csv_skip_in_quotes(const struct csv_skip *);

#endif
