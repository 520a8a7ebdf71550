/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of the row readers share: a reading, told as a story that can be compared. */
#ifndef WHERRY_TESTS_FUZZ_FUZZ_ROWS_H
#define WHERRY_TESTS_FUZZ_FUZZ_ROWS_H

#include "../lib/read_rows.h"
#include "core/hash.h"
#include "data/view.h"
#include "fuzz.h"

enum {
    COLUMNS_MAX = 64,
    BAD_MAX = 512,
};

/* What a reading said: cells, rejects, end. */
struct story {
    const struct ArrowSchema *schema;
    struct wh_buf text;
    uint64_t rejects;                       /* sum of hashes: their order is not promised */
    int64_t n_rejects, n_bad, bad[BAD_MAX]; /* bad: where they are */
    const struct story *else_bad;           /* a value of another kind may only stand in those */
    int status;
    char code[6];
    int64_t end;
};

static inline struct story new_story(void)
{
    return (struct story){.text = WH_BUF(1 << 28)};
}

static inline void forget(struct story *s)
{
    wh_buf_free(&s->text);
    *s = new_story();
}

/* The same cells and rejects. */
static inline bool same(const struct story *a, const struct story *b)
{
    return a->text.n == b->text.n && a->rejects == b->rejects && a->n_rejects == b->n_rejects &&
           !memcmp(a->text.p ? a->text.p : "", b->text.p ? b->text.p : "", a->text.n);
}

static inline wh_status note_reject(void *arg, const struct wh_text_reject *r)
{
    struct story *s = arg;
    char text[80];
    int n = snprintf(text, sizeof text, "%s@%lld+%zu", r->code, (long long)r->offset, r->raw.n);
    s->rejects += wh_hash64(text, (size_t)n, 1);
    s->n_rejects++;
    if (s->n_bad < BAD_MAX)
        s->bad[s->n_bad++] = r->offset;
    bool kind = !strcmp(r->code, "E6006") || !strcmp(r->code, "E6003"), known = !s->else_bad;
    for (int64_t i = 0; !known && i < s->else_bad->n_bad; i++)
        known = s->else_bad->bad[i] == r->offset;
    FUZZ_CHECK(!kind || known || s->else_bad->n_bad == BAD_MAX);
    return WH_OK;
}

static inline void tell_cell(struct story *s, const struct wh_view *v, int64_t row)
{
    struct wh_buf cell = WH_BUF(1 << 24);
    if (wh_view_null(v, row)) {
        FUZZ_CHECK(wh_buf_adds(&s->text, "N ") == WH_OK);
        return;
    }
    FUZZ_CHECK(wh_view_text(v, row, &cell) == WH_OK);
    FUZZ_CHECK(v->type.kind != WH_K_UTF8 || !cell.n || wh_utf8_valid(cell.p, cell.n));
    FUZZ_CHECK(wh_buf_printf(&s->text, "%zu:", cell.n) == WH_OK);
    FUZZ_CHECK(wh_buf_add(&s->text, cell.p ? cell.p : "", cell.n) == WH_OK);
    wh_buf_free(&cell);
}

static inline void tell(void *arg, struct wh_batch *b)
{
    struct story *s = arg;
    struct wh_view v[COLUMNS_MAX];
    struct wh_error err;
    FUZZ_CHECK(wh_views_init(s->schema, &b->rows, v, &err) == WH_OK);
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < s->schema->n_children; c++)
            tell_cell(s, &v[c], r);
        FUZZ_CHECK(wh_buf_addc(&s->text, '\n') == WH_OK);
    }
    wh_batch_release(b);
}

/* Reads [offset, n) in steps, adds to the story and ends it. Takes the reader, whose rejects go to
 * note_reject with the story. `part`: it may end before the text does. */
static inline void read_story(struct wh_text_rows rows, const struct ArrowSchema *schema,
                              const uint8_t *p, size_t n, int64_t offset, size_t step, bool part,
                              struct story *s)
{
    struct wh_error err = {0};
    s->schema = schema;
    s->status = read_rows(&rows, p, n, (size_t)offset, step, tell, s, &err);
    FUZZ_CHECK(s->status != WH_E_BUG);
    memcpy(s->code, err.code, sizeof s->code);
    s->end = wh_text_rows_offset(&rows);
    FUZZ_CHECK(s->end >= offset && s->end <= (int64_t)n);
    FUZZ_CHECK(s->status != WH_END || part || s->end == (int64_t)n);
    wh_text_rows_free(&rows);
}

#endif
