/* SPDX-License-Identifier: Apache-2.0 */
/* gen: made-up tables. What its shapes (gen_<shape>.c) and the connector (gen.c) share.
 *
 * Every cell is a pure function of (seed, shape, column, row): no state runs from row to row, so
 * any range can be made alone and in parallel. A shape is a list of columns; a column fills n rows
 * at a time. Changing any formula changes GEN_VERSION, so that a run started by another version of
 * the formulas is not resumed with this one. Formulas are written at the columns;
 * tests/gen/gen_ref.py computes them a second time.
 */
#ifndef WHERRY_BUILTIN_GEN_H
#define WHERRY_BUILTIN_GEN_H

#include <wherry/connector.h>
#include "data/builder.h"
#include "gen_rand.h"

#define GEN_VERSION "1"

enum {
    GEN_BLOCK = 1024,            /* most rows that are filled at once */
    GEN_MAX_COLUMNS = 4096,      /* of the shape wide */
    GEN_MAX_CELL = 64 * 1048576, /* option big may ask for that much */
};

struct gen_options {
    int64_t rows, seed, columns, unit_rows, big;
    double null_ratio;
    bool nested, nul, nan;
};

struct gen_scan;
struct gen_column;

/* Rows [first, first + n) of the table, n <= GEN_BLOCK, and what a shape computed for all of its
 * columns (shape->prepare). */
struct gen_block {
    int64_t first;
    int n;
    void *facts;
};

typedef wh_status (*gen_fill)(const struct gen_scan *, const struct gen_column *,
                              struct wh_column *out, const struct gen_block *);

struct gen_column {
    const char *name;
    const char *type; /* words of wh_type_parse, or what nest() of the shape understands */
    gen_fill fill;
    const char *native; /* the type's name where the table comes from, or NULL */
    int key;            /* position in the key, 0 = not in it */
    bool nullable;
    enum wh_logical logical;
    int64_t low, count, span; /* parameters of the formula: see the fill functions */
    bool skew;
    const char *const *words;
    const void *list; /* values that the formula picks from; `count` of them */
    uint64_t stream;  /* filled by the scan: gen_sub(gen_sub(seed, shape), place in the shape) */
};

struct gen_shape {
    const char *name, *comment;
    const struct gen_column *columns;
    int64_t n_columns;
    /* Builds the columns instead of `columns` (wide, evil): *ret in the scan's arena. */
    wh_status (*make)(struct gen_scan *, struct gen_column **ret, int64_t *ret_n);
    /* Tables that all rows share (text pools), made once per scan. */
    wh_status (*setup)(struct gen_scan *);
    void (*prepare)(const struct gen_scan *, struct gen_block *);
    size_t facts_size;
    int block_rows;                                /* rows per fill, <= GEN_BLOCK */
    int64_t (*row_bytes)(const struct gen_scan *); /* mean, for estimates */
};

struct gen_scan {
    const struct gen_shape *shape;
    struct gen_options opts;
    struct wh_arena *arena;
    int64_t rows; /* rows of this scan: opts.rows or the limit */
    int64_t unit_rows, row_bytes;
    uint64_t key;               /* gen_sub(seed, number of the shape) */
    uint32_t null_below;        /* a cell is null where the low 32 bits of its hash are below it */
    struct gen_column *columns; /* the chosen ones, in order */
    int64_t n_columns;
    struct ArrowSchema schema; /* of the chosen columns */
    char *pool;                /* text that cells are cut from, and its line starts */
    size_t pool_n;
    int32_t *lines;
    int32_t n_lines;
    uint8_t token[16]; /* split_next's answer */
    uint8_t cursor[8]; /* ditto */
    char bounds[256];
};

extern const struct gen_shape wh_gen_lineitem, wh_gen_hits, wh_gen_posts, wh_gen_wide, wh_gen_evil;

#endif
