/* SPDX-License-Identifier: Apache-2.0 */
/* An indexed piece of text whose records and cells can be looked at in any order. */
#ifndef WHERRY_FORMATS_CSV_SAMPLE_H
#define WHERRY_FORMATS_CSV_SAMPLE_H

#include "formats/csv/index.h"

struct csv_sample {
    const struct wh_csv_dialect *d;
    uint8_t *buf, *scratch;
    size_t n;
    struct csv_index ix;
};

/* Copies the text; close also after a failure. */
wh_status csv_sample_open(struct csv_sample *, const struct wh_csv_dialect *, const void *p,
                          size_t n, bool whole);
void csv_sample_close(struct csv_sample *);
size_t csv_sample_start(const struct csv_sample *, size_t record);
/* 0 for comments and empty lines. */
int64_t csv_sample_fields(const struct csv_sample *, size_t record);
/* Without quotes and escapes; borrowed until the next call. */
struct wh_str csv_sample_cell(const struct csv_sample *, size_t record, int64_t field,
                              bool *ret_quoted);
/* Adds "; text". */
void csv_note(char *note, size_t cap, const char *text);

#endif
