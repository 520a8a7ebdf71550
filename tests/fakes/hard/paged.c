/* SPDX-License-Identifier: Apache-2.0 */
/* hard-paged: a source that comes page by page and cannot be split, as a REST API is.
 *
 * The only way to page n + 1 is the token that came with page n. There is one split for the whole
 * table; what is left after a page is a split again (reader_cut). An engine that cannot cut has one
 * transaction for everything and starts at page 0 after a kill; one that stores the rest beside the
 * rows instead of with them doubles or loses pages when it dies in between; one that keeps a token
 * of another snapshot reads other rows.
 *
 * Token: 'p', then 16 hex digits of (id of the last row, whitened), then 4 of the page's check, so
 * that nobody makes one by arithmetic. The empty rest "" is the first page. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"

enum {
    TOKEN = 21
};

static const uint64_t whitener = 0x5DEECE66D1234567u;

static unsigned check_of(uint64_t v)
{
    return (unsigned)(wh_hash64(&v, 8, 77) & 0xFFFF);
}

static void make_token(int64_t last, char out[64])
{
    uint64_t v = (uint64_t)last ^ whitener;

    snprintf(out, 64, "p%016llx%04x", (unsigned long long)v, check_of(v));
}

static bool hex_value(const char *p, int n, uint64_t *ret)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, p[i]);

        if (!p[i] || !d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *ret = v;
    return true;
}

static bool read_token(struct wh_bytes token, int64_t *ret_last)
{
    const char *p = token.p;
    uint64_t v, check;

    if (token.n != TOKEN || p[0] != 'p' || !hex_value(p + 1, 16, &v) ||
        !hex_value(p + 17, 4, &check) || check != check_of(v))
        return false;
    *ret_last = (int64_t)(v ^ whitener);
    return true;
}

static wh_status scan_open(void *sc, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    snprintf(io->method, sizeof io->method, "page after page");
    io->splittable = false;
    return hard_scan_open(sc, ep, se, io, ret, reterr);
}

/* One split, the first page's. */
static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct hard_scan *sc = self;

    if (cursor && cursor->n)
        return WH_END;
    make_token(INT64_MIN, sc->token);
    *ret = (struct wh_split){.token = {sc->token, strlen(sc->token)},
                             .label = "all pages",
                             .est_rows = sc->rows,
                             .est_bytes = -1};
    *ret_cursor = (struct wh_bytes){"end", 3};
    return WH_OK;
}

static wh_status reader_open(void *self, void *scan, void *se, const struct wh_ctx *ctx,
                             const struct wh_split *split, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr)
{
    struct hard_reader *rd = self;
    struct hard_scan *sc = scan;

    if (!read_token(split->token, &rd->position))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the server gave no such page token");
    WH_TRY(hard_reader_begin(rd, scan, se, ctx,
                             "select id, id, account, amount from \"%w\""
                             " where id > ?1 and id < ?2 order by id",
                             reterr));
    sqlite3_bind_int64(rd->stmt, 1, rd->position);
    sqlite3_bind_int64(rd->stmt, 2, sc->high);
    ret_actual->release = NULL;
    return WH_OK;
}

/* What is left: the next page's token. What was read cannot be asked for again by itself. */
static wh_status reader_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                            struct wh_error *reterr)
{
    struct hard_reader *rd = self;

    if (rd->end)
        return WH_END;
    if (ret_done) {
        *ret_done = (struct wh_split){.token = {rd->done, 0}, .est_rows = rd->delivered};
        snprintf(ret_done->label, sizeof ret_done->label, "pages before");
    }
    make_token(rd->position, rd->rest);
    *ret_rest = (struct wh_split){.token = {rd->rest, strlen(rd->rest)},
                                  .est_rows = rd->sc->rows - rd->delivered,
                                  .est_bytes = -1};
    snprintf(ret_rest->label, sizeof ret_rest->label, "pages after %s", rd->rest);
    return WH_OK;
}

static const struct wh_source_ops source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct hard_scan),
    .rd_size = sizeof(struct hard_reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = reader_open,
    .reader_next = hard_reader_next,
    .reader_cut = reader_cut,
    .reader_close = hard_reader_close,
    .scan_close = hard_scan_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_T);
static const char *const schemes[] = {"hard-paged", NULL};

WH_CONNECTOR(hard_paged);
const struct wh_connector wh_connector_hard_paged = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-paged",
    .title = "Fake: a source of pages that cannot be split",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .source = &source,
};
