/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of text formats share: a window of the stream, its places as offset and line,
 * records that are refused, and batches that are finished.
 *
 * The window holds [pos, fill) of the stream undelivered. When a reader finds no whole record in
 * it, the rest moves to the front and more is read behind it; it doubles when a record is larger.
 * TEXTIN_PADDING bytes behind `fill` are readable, zeros after textin_filled. A struct textin is a
 * member of its reader: one owner, one thread, fields free to be read. */
#ifndef WHERRY_FORMATS_TEXTIN_H
#define WHERRY_FORMATS_TEXTIN_H

#include "data/builder.h"
#include "formats/reject.h"

enum {
    TEXTIN_WINDOW = 256 * 1024, /* unless the reader is told another size */
    TEXTIN_PADDING = 64,
};

struct textin_config {
    const char *what;                 /* "CSV": for messages */
    const struct ArrowSchema *schema; /* borrowed until textin_start returns */
    int64_t offset, line;             /* of the first byte that will be fed; line 0 = not known */
    int64_t stop_at;                  /* records that start at or after it are not read; -1 */
    int64_t max_rows;                 /* -1 = all */
    size_t buffer;                    /* window, bytes; 0 = TEXTIN_WINDOW */
    size_t max_row;
    bool cr_ends; /* a CR alone ends a line, too */
    wh_text_reject_fn reject;
    void *arg;
};

struct textin {
    struct textin_config cfg;
    struct wh_builder *builder;
    struct ArrowSchema schema; /* our copy */

    uint8_t *buf;
    size_t cap, fill, pos;
    bool last;    /* what is in the window ends the stream */
    int64_t base; /* stream offset of buf[0] */
    int64_t line; /* of buf[line_pos]; 0 = not known */
    size_t line_pos;
    int64_t mark_at, mark_line; /* textin_line_on: where it was asked last */

    uint8_t *scratch; /* made by textin_scratch */
    size_t scratch_cap;

    int64_t large_at, large_line; /* where a record begins that is passed over */

    int64_t delivered, pending; /* rows: in batches, in the builder */
    int64_t batch_bytes;        /* stream offset behind the last batch */
};

/* textin_free after a failure too. WH_E_NOMEM has no text yet (textin_worded). */
wh_status textin_start(struct textin *, const struct textin_config *, struct wh_error *reterr);
void textin_free(struct textin *);
/* Goes on for somebody else, as if it had just been started where it is. */
void textin_adopt(struct textin *, void *arg, int64_t max_rows);

/* Room behind the undelivered rest, at least half of the window. Moves what is in it. */
wh_status textin_space(struct textin *, void **ret_p, size_t *ret_n, struct wh_error *reterr);
void textin_filled(struct textin *, size_t n, bool last);
/* Room for the longest text of the window without quotes or escapes, and padding. */
wh_status textin_scratch(struct textin *);

/* Line ends in [p, p + n): LF, with cr_ends also a CR alone. Reads p[n]. `plain`: not with the best
 * that this machine has, for tests. */
int64_t textin_count_lines(const uint8_t *p, size_t n, bool cr_ends, bool plain);
/* Whether a sample is UTF-8; where it is not, E4006 says. A sample that is not the whole file may
 * end inside a character. */
wh_status textin_check_utf8(const char *sample, size_t n, bool whole, struct wh_error *reterr);
bool textin_is_ascii(const uint8_t *p, size_t n, bool plain);
int64_t textin_line_at(const struct textin *, size_t pos); /* 0 = not known */
/* The same for places that seldom go back: counts from the place before. */
int64_t textin_line_on(struct textin *, size_t pos);

/* Line ends of a text that comes in pieces, which may part a CR from its LF. */
struct textin_lines {
    int64_t n;
    bool cr_ends, cr; /* cr: the last byte was one, and is not counted yet */
};
WH_EXPORT void textin_lines_add(struct textin_lines *, const uint8_t *p, size_t n);
WH_EXPORT int64_t textin_lines_end(const struct textin_lines *); /* nothing follows, or no LF */

/* Columns of a schema that are no cells, but places of their rows. */
enum textin_place {
    TEXTIN_CELL,
    TEXTIN_LINE,
    TEXTIN_OFFSET,
};
WH_EXPORT enum textin_place textin_place_of(const struct ArrowSchema *field);
/* For the record at pos. WH_E_BUG: its line is not known. */
wh_status textin_put_place(struct textin *, enum textin_place, size_t pos, struct wh_column *);
/* The record at pos, wherever it ends, is behind the range. */
static inline bool textin_at_stop(const struct textin *t)
{
    return t->cfg.stop_at >= 0 && t->base + (int64_t)t->pos >= t->cfg.stop_at;
}
/* The same, or enough rows were read; `more` are neither delivered nor in the builder yet. */
static inline bool textin_enough(const struct textin *t, int64_t more)
{
    return textin_at_stop(t) ||
           (t->cfg.max_rows >= 0 && t->delivered + t->pending + more >= t->cfg.max_rows);
}

/* Hands [from, from + n) of the window to `reject` and answers what it answers. */
wh_status textin_reject(struct textin *, size_t from, size_t n, int32_t column, const char *code,
                        const char *text);
/* A record larger than max_row: its beginning is shown. */
wh_status textin_too_long(struct textin *, size_t from, size_t n);

/* A record that begins and does not end before the stream does. What is behind it cannot be read as
 * rows, and must not be passed over in silence either. Up to max_row it is one record that holds
 * all of the rest: refused (E6022), with all its bytes and how many lines they are. `what` never
 * ends: "the quote opened at line 2, byte 6". */
wh_status textin_never_ends(struct textin *, size_t from, size_t n, const char *what);
/* Above that no bytes are kept: the record is refused as too long, and the stream ends with `code`
 * and the place that textin_note_large was told. */
void textin_note_large(struct textin *, size_t from);
wh_status textin_lost(const struct textin *, const char *code, struct wh_error *reterr);

/* "column 'a': 'x1' is not a value of type int64"; the type stands there where `why` ends with a
 * blank. */
void textin_word_cell(const struct textin *, int32_t column, struct wh_str cell, const char *why,
                      char *out, size_t cap);

/* The rows of the builder as a batch; `offset` is that of the first record behind them. */
wh_status textin_finish(struct textin *, int64_t offset, struct wh_batch *ret,
                        struct wh_error *reterr);
/* Words for a status that has none. */
wh_status textin_worded(const struct textin *, int st, struct wh_error *reterr);

#endif
