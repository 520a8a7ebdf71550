/* SPDX-License-Identifier: Apache-2.0 */
/* Text into batches: the reader of one format or the other, used alike. One of the two is there. */
#ifndef WHERRY_FORMATS_ROWS_H
#define WHERRY_FORMATS_ROWS_H

#include "formats/csv/csv.h"
#include "formats/json/json.h"

struct wh_text_rows {
    struct wh_csv_reader *csv;
    struct wh_json_reader *json;
};

static inline bool wh_text_rows_there(const struct wh_text_rows *r)
{
    return r->csv || r->json;
}

static inline void wh_text_rows_free(struct wh_text_rows *r)
{
    wh_csv_reader_free(r->csv);
    wh_json_reader_free(r->json);
    *r = (struct wh_text_rows){NULL, NULL};
}

static inline void wh_text_rows_adopt(struct wh_text_rows *r, void *arg, int64_t max_rows)
{
    if (r->json)
        wh_json_adopt(r->json, arg, max_rows);
    else
        wh_csv_adopt(r->csv, arg, max_rows);
}

static inline wh_status wh_text_rows_space(struct wh_text_rows *r, void **ret_p, size_t *ret_n,
                                           struct wh_error *reterr)
{
    return r->json ? wh_json_space(r->json, ret_p, ret_n, reterr)
                   : wh_csv_space(r->csv, ret_p, ret_n, reterr);
}

static inline void wh_text_rows_filled(struct wh_text_rows *r, size_t n, bool last)
{
    if (r->json)
        wh_json_filled(r->json, n, last);
    else
        wh_csv_filled(r->csv, n, last);
}

static inline wh_status wh_text_rows_next(struct wh_text_rows *r, struct wh_batch *ret,
                                          bool *ret_hungry, struct wh_error *reterr)
{
    return r->json ? wh_json_next(r->json, ret, ret_hungry, reterr)
                   : wh_csv_next(r->csv, ret, ret_hungry, reterr);
}

static inline int64_t wh_text_rows_offset(const struct wh_text_rows *r)
{
    return r->json ? wh_json_offset(r->json) : wh_csv_offset(r->csv);
}

static inline int64_t wh_text_rows_line(const struct wh_text_rows *r)
{
    return r->json ? wh_json_line(r->json) : wh_csv_line(r->csv);
}

static inline int64_t wh_text_rows_count(const struct wh_text_rows *r)
{
    return r->json ? wh_json_rows(r->json) : wh_csv_rows(r->csv);
}

#endif
