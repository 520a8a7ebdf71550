/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded receipts of a flow, in the order of units, a page at a time: a publish of a million
 * files holds one page of them. */
#include "engine/runtime.h"

enum {
    PAGE = 256,
    PAGE_BYTES = 64 << 20,
};

struct wh_receipt_cursor {
    struct wh_runtime *run;
    int flow;
    struct wh_arena *arena;
    struct wh_unit_record *page;
    size_t n, at;
    bool last; /* the page was not full: there is none behind it */
    int64_t after;
    int64_t total;
};

static bool has_receipt(const struct wh_unit_record *u)
{
    return u->rows_written > 0 || u->receipt.n > 0;
}

static int next_page(struct wh_receipt_cursor *c, struct wh_error *reterr)
{
    c->at = c->n = 0;
    if (c->last)
        return WH_END;
    wh_arena_reset(c->arena);
    WH_TRY(wh_state_units(c->run->state, c->run->id, c->flow, 1u << WH_UNIT_RECORDED, c->after,
                          PAGE, c->arena, &c->page, &c->n, reterr));
    c->last = c->n < PAGE;
    if (c->n)
        c->after = c->page[c->n - 1].unit;
    return c->n ? WH_OK : WH_END;
}

static int cursor_next(struct wh_receipts *r, struct wh_receipt *ret)
{
    struct wh_receipt_cursor *c = r->self;

    for (;;) {
        const struct wh_unit_record *u;

        if (c->at == c->n)
            WH_TRY(next_page(c, NULL));
        u = &c->page[c->at++];
        if (!has_receipt(u))
            continue;
        *ret = (struct wh_receipt){.unit = u->unit,
                                   .rows = u->rows_written,
                                   .bytes = u->bytes_written,
                                   .attempt = u->attempt,
                                   .receipt = u->receipt};
        return WH_OK;
    }
}

static void cursor_rewind(struct wh_receipts *r)
{
    struct wh_receipt_cursor *c = r->self;

    c->at = c->n = 0;
    c->after = 0;
    c->last = false;
}

int wh_receipts_open(struct wh_runtime *run, int flow, struct wh_receipt_cursor **ret,
                     struct wh_receipts *ret_view, struct wh_error *reterr)
{
    struct wh_receipt_cursor *c = wh_calloc(1, sizeof *c);
    int st = WH_OK;

    if (!c || !(c->arena = wh_arena_new(PAGE_BYTES))) {
        wh_free(c);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "receipts");
    }
    c->run = run;
    c->flow = flow;
    while (st == WH_OK) {
        st = next_page(c, reterr);
        for (size_t i = 0; st == WH_OK && i < c->n; i++)
            c->total += has_receipt(&c->page[i]);
    }
    if (st != WH_END) {
        wh_receipts_close(c);
        return st;
    }
    *ret_view = (struct wh_receipts){
        .self = c, .next = cursor_next, .rewind = cursor_rewind, .n = c->total};
    cursor_rewind(ret_view);
    *ret = c;
    return WH_OK;
}

void wh_receipts_close(struct wh_receipt_cursor *c)
{
    if (!c)
        return;
    wh_arena_free(c->arena);
    wh_free(c);
}
