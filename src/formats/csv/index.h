/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 1 of reading CSV: where fields and records end in a window that starts at a record.
 *
 * at[] holds the positions of all delimiters and record ends outside quotes, rec[] the indices in
 * at[] of the record ends. CRLF is one end, at its CR. The vector kernels handle one-byte
 * delimiters without escape and comment; where a quote stands in a place that RFC 4180 does not
 * know, they give up and the scalar walk, which knows all habits, does the window again.
 */
#ifndef WHERRY_FORMATS_CSV_INDEX_H
#define WHERRY_FORMATS_CSV_INDEX_H

#include "formats/csv/csv.h"

/* Flags in at[]: positions stay below CSV_AT_MASK. */
#define CSV_AT_MALFORMED 0x80000000u /* text after the closing quote of this field */
#define CSV_AT_COMMENT   0x40000000u /* the record is a comment */
#define CSV_AT_MASK      0x3fffffffu
#define CSV_PADDING      64 /* readable bytes behind every window */

struct csv_index {
    uint32_t *at, *rec;
    size_t n, cap, n_rec, rec_cap;
    bool ascii;         /* no byte above 127 in the window */
    bool open;          /* the window ends inside quotes... */
    uint32_t opened_at; /* ...that were opened here (scalar walk only) */
    bool irregular;     /* set by kernels: do it again with the scalar walk */
    bool flagged;       /* some at[] carries a flag */
    bool closing;       /* given: the last byte ends a record even behind an escape */
};

enum csv_simd {
    CSV_SCALAR,
    CSV_SSE2,
    CSV_AVX2
};

/* Best kernel of this machine for this dialect. */
enum csv_simd csv_index_best(const struct wh_csv_dialect *);
/* Fills the index for [p, p + n). WH_OK or WH_E_NOMEM. */
wh_status csv_index_run(struct csv_index *, const struct wh_csv_dialect *, enum csv_simd,
                        const uint8_t *p, size_t n);
void csv_index_free(struct csv_index *);
/* Behind the last record in the index. In the last window it is less than n when the line end that
 * ends the text is escaped: put another one behind it. */
size_t csv_index_end(const struct csv_index *, const uint8_t *p, size_t n);

/* Kernels (index_simd.c). False: no room, call again after csv_index_grow. */
wh_status csv_index_grow(struct csv_index *, size_t at_more, size_t rec_more);
wh_status csv_index_sse2(struct csv_index *, const struct wh_csv_dialect *, const uint8_t *p,
                         size_t n);
wh_status csv_index_avx2(struct csv_index *, const struct wh_csv_dialect *, const uint8_t *p,
                         size_t n);

static inline bool csv_is_end(uint8_t c)
{
    return c == '\n' || c == '\r';
}

/* Offset of the record after the one that ends at `end`. */
static inline size_t csv_after_end(const uint8_t *p, size_t n, size_t end)
{
    return end + 1 + (p[end] == '\r' && end + 1 < n && p[end + 1] == '\n');
}

/* One field as it stands between two structurals. */
static inline bool csv_is_quoted(const struct wh_csv_dialect *d, const uint8_t *s, size_t n)
{
    return n && d->quote >= 0 && s[0] == (uint8_t)d->quote;
}

/* Text of a quoted or escaped field without quotes and escapes; out has room for n bytes. */
size_t csv_unquote(const struct wh_csv_dialect *, const uint8_t *s, size_t n, uint8_t *out);

#endif
