/* SPDX-License-Identifier: Apache-2.0 */
/* Are both ends equal? Counts, or the sum of row hashes, of each pair of a job (DESIGN 6.8).
 *
 * The destination is read back as a source. The hash is defined on the destination's column types:
 * the source's values are converted to them by the same strict kernels as in a copy; a value that
 * does not convert is a difference. Types that the destination only guesses (a CSV file) are taken
 * from the source. Nothing is written.
 */
#ifndef WHERRY_ENGINE_VALIDATE_H
#define WHERRY_ENGINE_VALIDATE_H

#include "engine/plan.h"

enum wh_validate_level {
    WH_VALIDATE_COUNT,
    WH_VALIDATE_CHECKSUM,
    WH_VALIDATE_STATS, /* and each column's nulls, least and greatest value, and own sum */
    WH_VALIDATE_ROWS,  /* and which rows differ */
};

struct wh_column_stats {
    int64_t nulls, bytes;     /* bytes: of texts and byte strings */
    struct wh_u128 sum;       /* of the hashes of its values */
    const char *least, *most; /* canonical text; NULL: it has no value, or no order of its own */
};

struct wh_row_difference {
    char sign;        /* '-' only at the source, '+' only at the destination, '*' in both */
    const char *key;  /* "id='3'"; without a key the whole row */
    const char *what; /* '*': "v: 'x' against 'y'" */
};

struct wh_differences {
    struct wh_row_difference *v;
    size_t n;                        /* listed */
    int64_t missing, extra, changed; /* found; `-`, `+`, `*` */
    bool more;                       /* too many differ: there are more than were counted */
    const char *keys;                /* "id, day"; NULL: no key, rows are compared whole */
};

struct wh_validate_options {
    enum wh_validate_level level;
    struct wh_list ignore; /* columns at the destination that are not compared */
    size_t rows;           /* of those that differ, how many are listed; 0: 20 */
};

struct wh_validated {
    const char *source, *target; /* true names, for people */
    char sign;                   /* '=' equal, '*' different, '-' not at the destination */
    int64_t rows_source, rows_target;
    int64_t unfit_source, unfit_target; /* rows that do not fit the compared types */
    struct wh_u128 sum_source, sum_target;
    double seconds;
    struct wh_error error; /* status 0 if the pair could be looked at */
    bool excused;          /* it could not, and that is no fault */
    /* STATS: of the compared columns. ROWS: what differs. Borrowed for the call. */
    int64_t n_columns;
    const char *const *columns;
    const struct wh_column_stats *stats_source, *stats_target;
    const struct wh_differences *differences;
};

typedef void (*wh_validated_fn)(void *arg, const struct wh_validated *);

/* One call of `each` per pair, in the order of the job. The job's write modes are set to one that
 * accepts what is there. *ret_different counts pairs that are not '='. */
wh_status wh_validate_job(struct wh_job *, struct wh_services *, const struct wh_validate_options *,
                          wh_validated_fn each, void *arg, int64_t *ret_different,
                          struct wh_error *reterr);

/* The same for the flows of a plan that was carried out, whose streams ask for it (`validate:`).
 * The plan's scans and targets are used again. Pairs whose destination held rows before an append
 * cannot be compared: they are given with sign '?' and E1060. */
wh_status wh_validate_plan(struct wh_plan *, struct wh_services *, wh_validated_fn each, void *arg,
                           int64_t *ret_different, struct wh_error *reterr);

#endif
