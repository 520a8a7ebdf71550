/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion kernels: one per (source class, destination class), found in the table of lattice.c.
 *
 * A kernel for fixed-size results works on blocks of 64 rows: it writes all of them and answers
 * with a mask of those that cannot be converted, and why in cause[]. Nulls and validity are the
 * driver's business (wh_blocks). A kernel for text results appends cell by cell (wh_cells). The
 * drivers are inlined into each kernel, so there is no call through a pointer per cell. */
#ifndef WHERRY_DATA_KERNEL_H
#define WHERRY_DATA_KERNEL_H

#include "data/lattice.h"

/* Kinds that behave alike. */
enum wh_class {
    WH_C_NULL,
    WH_C_BOOL,
    WH_C_INT,
    WH_C_FLOAT,
    WH_C_DEC,
    WH_C_DECTEXT,
    WH_C_TEXT,
    WH_C_BYTES,
    WH_C_DATE,
    WH_C_TIME,
    WH_C_STAMP,
    WH_C_DURATION,
    WH_C_INTERVAL,
    WH_C_LIST,
    WH_C_STRUCT,
    WH_C_MAP,
    WH_C_DICT,
    WH_C_COUNT
};

enum wh_cause {
    WH_FINE,
    WH_BAD_RANGE,   /* E6003 */
    WH_BAD_DIGITS,  /* E6013 */
    WH_BAD_SYNTAX,  /* E6006 */
    WH_BAD_DATE,    /* E6007 */
    WH_BAD_NAN,     /* E6012 */
    WH_BAD_LENGTH,  /* E6004 */
    WH_BAD_NO_ZONE, /* E6021 */
    WH_BAD_ZONE,    /* E6021 */
    WH_MAKE_NULL,   /* a policy says so; not a reject */
};

#define WH_BLOCK 64

struct wh_job {
    const struct wh_view *in;
    struct wh_column *out;
    struct wh_type from, to;
    struct wh_value_policy policy;
    uint8_t cause[WH_BLOCK]; /* of the rows whose bit is set in a block's mask */
    int32_t column;
    struct wh_cell_reject *rejects;
    size_t cap, n_rejects;
    struct wh_error *reterr;
    char type_text[64];
    struct wh_buf scratch; /* of text kernels, kept over rows */
};

typedef wh_status (*wh_kernel)(struct wh_job *);
typedef enum wh_fit (*wh_judge)(const struct wh_type *from, const struct wh_type *to,
                                const char **why);

struct wh_pairing {
    wh_judge judge; /* NULL = IMPOSSIBLE */
    wh_kernel kernel;
};

enum wh_class wh_class_of(enum wh_kind);
const struct wh_pairing *wh_pairing(const struct wh_type *from, const struct wh_type *to);

/* convert.c: drivers' slow parts */
wh_status wh_job_reject(struct wh_job *, int64_t row, enum wh_cause);
wh_status wh_job_rejects(struct wh_job *, int64_t row, uint64_t mask); /* by cause[] */
wh_status wh_col_add_valid(struct wh_column *, uint64_t keep, int m);  /* column.c: n += m */
uint64_t wh_valid_bits(const struct wh_view *, int64_t i, int m);      /* bits 0..m */

/* Writes m results at out (the column's own width; BOOL: one byte per row) from input row i on;
 * answers with the rows that are bad, of which cause[] says why. Rows that are null are garbage. */
typedef uint64_t (*wh_block_fn)(struct wh_job *, int64_t i, int m, uint64_t valid, void *out);

void wh_pack_bools(struct wh_column *, const uint8_t *bytes, int m); /* at n, before n moves */

static inline __attribute__((always_inline)) wh_status wh_blocks(struct wh_job *j, wh_block_fn f)
{
    struct wh_column *c = j->out;
    uint8_t bools[WH_BLOCK];

    WH_TRY(wh_col_reserve(c, j->in->n, 0));
    for (int64_t i = 0; i < j->in->n; i += WH_BLOCK) {
        int m = j->in->n - i < WH_BLOCK ? (int)(j->in->n - i) : WH_BLOCK;
        uint64_t valid = wh_valid_bits(j->in, i, m);
        void *out = c->width ? (void *)(c->data + c->n * c->width) : bools;
        uint64_t bad = 0;

        if (valid)
            bad = f(j, i, m, valid, out) & valid;
        else
            memset(out, 0, (size_t)m * (size_t)(c->width ? c->width : 1));
        if (!c->width)
            wh_pack_bools(c, bools, m);
        WH_TRY(wh_col_add_valid(c, valid & ~bad, m));
        if (bad)
            WH_TRY(wh_job_rejects(j, i, bad));
    }
    return WH_OK;
}

/* Appends one converted cell to the column, or says why not. *st: a failure of memory or limits. */
typedef enum wh_cause (*wh_cell_fn)(struct wh_job *, int64_t i, int *st);

static inline __attribute__((always_inline)) wh_status wh_cells(struct wh_job *j, wh_cell_fn f)
{
    for (int64_t i = 0; i < j->in->n; i++) {
        int st = WH_OK;

        if (wh_view_null(j->in, i)) {
            WH_TRY(wh_put_null(j->out));
            continue;
        }
        enum wh_cause cause = f(j, i, &st);

        if (st == WH_E_LIMIT) { /* longer than a cell may be */
            st = WH_OK;
            cause = WH_BAD_LENGTH;
        }
        if (st != WH_OK)
            return st;
        if (cause != WH_FINE) {
            WH_TRY(wh_put_null(j->out));
            if (cause != WH_MAKE_NULL)
                WH_TRY(wh_job_reject(j, i, cause));
        }
    }
    return WH_OK;
}

/* The same for one cell of a fixed-size result, parsed or computed alone. */
#define WH_CELL_BLOCK(name, ctype, cell)                                                           \
    static uint64_t name##_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)    \
    {                                                                                              \
        uint64_t bad = 0;                                                                          \
                                                                                                   \
        for (int k = 0; k < m; k++) {                                                              \
            ctype v = {0};                                                                         \
                                                                                                   \
            if (valid >> k & 1) {                                                                  \
                j->cause[k] = (uint8_t)cell(j, i + k, &v);                                         \
                bad |= (uint64_t)(j->cause[k] != WH_FINE) << k;                                    \
            }                                                                                      \
            ((ctype *)out)[k] = v;                                                                 \
        }                                                                                          \
        return bad;                                                                                \
    }                                                                                              \
    wh_status name(struct wh_job *j)                                                               \
    {                                                                                              \
        return wh_blocks(j, name##_block);                                                         \
    }

/* char_padding; the text may become empty. */
static inline void wh_text_policy(const struct wh_value_policy *p, struct wh_bytes *cell)
{
    const char *s = cell->p;

    if (p->char_padding_trim)
        while (cell->n && s[cell->n - 1] == ' ')
            cell->n--;
}

/* Kernels, by file. */
wh_status wh_k_nulls(struct wh_job *); /* convert.c */
wh_status wh_k_copy(struct wh_job *);

wh_status wh_k_int_int(struct wh_job *); /* kernel_int.c: BOOL and INT on either side */
wh_status wh_k_int_float(struct wh_job *);
wh_status wh_k_int_dec(struct wh_job *);
wh_status wh_k_float_int(struct wh_job *);
wh_status wh_k_float_float(struct wh_job *);

wh_status wh_k_float_dec(struct wh_job *); /* kernel_dec.c */
wh_status wh_k_dec_int(struct wh_job *);
wh_status wh_k_dec_float(struct wh_job *);
wh_status wh_k_dec_dec(struct wh_job *);
wh_status wh_k_dectext_int(struct wh_job *);
wh_status wh_k_dectext_float(struct wh_job *);
wh_status wh_k_dectext_dec(struct wh_job *);
wh_status wh_k_float_dectext(struct wh_job *);

wh_status wh_k_date_stamp(struct wh_job *); /* kernel_time.c */
wh_status wh_k_stamp_date(struct wh_job *);
wh_status wh_k_stamp_time(struct wh_job *);
wh_status wh_k_units(struct wh_job *); /* same class, other unit */
wh_status wh_k_duration_time(struct wh_job *);
wh_status wh_k_duration_interval(struct wh_job *);
wh_status wh_k_interval_duration(struct wh_job *);

wh_status wh_k_text(struct wh_job *); /* kernel_text.c: anything to TEXT or DECTEXT */
wh_status wh_k_text_text(struct wh_job *);
wh_status wh_k_text_bool(struct wh_job *);
wh_status wh_k_text_int(struct wh_job *);
wh_status wh_k_text_float(struct wh_job *);
wh_status wh_k_text_dec(struct wh_job *);
wh_status wh_k_text_dectext(struct wh_job *);
wh_status wh_k_text_bytes(struct wh_job *);
wh_status wh_k_text_date(struct wh_job *);
wh_status wh_k_text_time(struct wh_job *);
wh_status wh_k_text_stamp(struct wh_job *);
wh_status wh_k_text_duration(struct wh_job *);
wh_status wh_k_text_interval(struct wh_job *);
wh_status wh_k_bytes_bytes(struct wh_job *);

#endif
