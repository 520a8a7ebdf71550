/* SPDX-License-Identifier: Apache-2.0 */
/* A row of COPY BINARY as JSON, for the archive of dirty rows: what people read when a row could
 * not become part of a batch. Values print as the server prints them; what is rare prints as \x. */
#include "pg_scan.h"
#include "pg_codec.h"

#include <inttypes.h>
#include <stdio.h>

#include "data/number.h"

enum {
    CELL_MOST = 4096 /* of one text, where a row is too large to be kept whole */
};

static const char *infinity(bool below)
{
    return below ? "-infinity" : "infinity";
}

static size_t date_text(int32_t days, char out[64])
{
    if (days == INT32_MIN || days == INT32_MAX || days > INT32_MAX - PG_EPOCH_DAYS)
        return (size_t)snprintf(out, 64, "%s", infinity(days < 0));
    return wh_print_date(days + PG_EPOCH_DAYS, out);
}

static size_t timestamp_text(int64_t us, bool zoned, char out[64])
{
    if (us == INT64_MIN || us > INT64_MAX - PG_EPOCH_US)
        return (size_t)snprintf(out, 64, "%s", infinity(us < 0));
    return wh_print_timestamp(us + PG_EPOCH_US, WH_MICRO, zoned, out);
}

static wh_status quoted(const void *p, size_t n, size_t most, struct wh_buf *out)
{
    struct wh_str s = wh_str_clip((struct wh_str){p, n}, most);

    return wh_buf_json(out, s.s, s.n);
}

static wh_status hex(const uint8_t *p, size_t n, size_t most, struct wh_buf *out)
{
    WH_TRY(wh_buf_adds(out, "\"\\\\x"));
    for (size_t i = 0; i < n && i < most / 2; i++)
        WH_TRY(wh_buf_printf(out, "%02x", p[i]));
    return wh_buf_addc(out, '"');
}

static wh_status numeric(const uint8_t *p, size_t n, size_t most, struct wh_buf *out)
{
    size_t room = pg_numeric_size(p, n), len;
    char *text WH_CLEANUP(wh_freep) = room ? wh_alloc(room) : NULL;

    len = text ? pg_numeric_text(p, n, text) : 0;
    return len ? quoted(text, len, most, out) : hex(p, n, most, out);
}

/* Bytes that a wire has when it is well-formed; 0 = any number. */
static size_t width(enum pg_wire wire)
{
    switch (wire) {
    case PG_W_BOOL:
        return 1;
    case PG_W_I16:
        return 2;
    case PG_W_I32:
    case PG_W_OID:
    case PG_W_DATE:
        return 4;
    case PG_W_I64:
    case PG_W_TIMESTAMP:
    case PG_W_TIMESTAMPTZ:
        return 8;
    default:
        return 0;
    }
}

static wh_status cell(enum pg_wire wire, const uint8_t *p, size_t n, size_t most,
                      struct wh_buf *out)
{
    char text[64];

    if (width(wire) && width(wire) != n)
        return hex(p, n, most, out);
    switch (wire) {
    case PG_W_TEXT:
        return quoted(p, n, most, out);
    case PG_W_JSONB:
        return n ? quoted(p + 1, n - 1, most, out) : hex(p, n, most, out);
    case PG_W_CHAR:
        return n == 1 && *p < 0x80 ? quoted(p, *p != 0, most, out) : hex(p, n, most, out);
    case PG_W_BOOL:
        return wh_buf_adds(out, *p ? "true" : "false");
    case PG_W_I16:
        return wh_buf_printf(out, "%d", (int16_t)pg_be16(p));
    case PG_W_I32:
        return wh_buf_printf(out, "%" PRId32, (int32_t)pg_be32(p));
    case PG_W_OID:
        return wh_buf_printf(out, "%" PRIu32, pg_be32(p));
    case PG_W_I64:
        return wh_buf_printf(out, "%" PRId64, (int64_t)pg_be64(p));
    case PG_W_NUMERIC:
        return numeric(p, n, most, out);
    case PG_W_DATE:
        return quoted(text, date_text((int32_t)pg_be32(p), text), most, out);
    case PG_W_TIMESTAMP:
    case PG_W_TIMESTAMPTZ:
        return quoted(text, timestamp_text((int64_t)pg_be64(p), wire == PG_W_TIMESTAMPTZ, text),
                      most, out);
    default:
        return hex(p, n, most, out);
    }
}

/* most: bytes of one text. */
static wh_status row_json(const struct pg_col *cols, int n_cols, struct wh_bytes row, size_t most,
                          struct wh_buf *out)
{
    const uint8_t *p = row.p, *end = p + row.n;

    if (row.n < 2)
        return WH_E_DATA;
    p += 2;
    for (int i = 0; i < n_cols; i++) {
        uint32_t n;

        if (end - p < 4)
            return WH_E_DATA;
        n = pg_be32(p);
        p += 4;
        WH_TRY(wh_buf_addc(out, i ? ',' : '{'));
        WH_TRY(wh_buf_json(out, cols[i].name, strlen(cols[i].name)));
        WH_TRY(wh_buf_addc(out, ':'));
        if (n == UINT32_MAX) {
            WH_TRY(wh_buf_adds(out, "null"));
            continue;
        }
        if (n > (size_t)(end - p))
            return WH_E_DATA;
        WH_TRY(cell(cols[i].wire, p, n, most, out));
        p += n;
    }
    return wh_buf_addc(out, '}');
}

wh_status pg_row_json(const struct pg_col *cols, int n_cols, struct wh_bytes row,
                      struct wh_buf *out, int64_t *ret_cut_of)
{
    *ret_cut_of = 0;
    if (row.n < PG_ROWTEXT_MAX) {
        int st = row_json(cols, n_cols, row, SIZE_MAX, out);

        if (st != WH_E_LIMIT)
            return st;
    }
    wh_buf_clear(out);
    WH_TRY(row_json(cols, n_cols, row, CELL_MOST, out));
    *ret_cut_of = (int64_t)(row.n > out->n ? row.n : out->n + 1);
    return WH_OK;
}
