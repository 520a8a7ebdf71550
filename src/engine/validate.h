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

/* Which rows' values are compared: those whose key falls into a part of all hashes, so both ends
 * choose alike, in any order and without an index. All rows are counted. */
struct wh_sampling {
    double fraction; /* 0: all, or `rows` */
    int64_t rows;    /* about so many; 0: all, or `fraction` */
    uint64_t seed;
    uint64_t most; /* made from them: the greatest hash that is in */
};

struct wh_validate_options {
    enum wh_validate_level level;
    struct wh_list ignore; /* columns at the destination that are not compared */
    size_t rows;           /* of those that differ, how many are listed; 0: 20 */
    struct wh_sampling sample;
    const char *as_of; /* the source as it was at that time; NULL: as it is */
};

struct wh_validated {
    const struct wh_flow *flow;  /* NULL: of none */
    const char *source, *target; /* true names, for people */
    char sign;                   /* '=' equal, '*' different, '-' not at the destination, '+' only
                                    there, '?' not compared */
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
    /* Of a sample: whose values were compared, chosen by which key (NULL: by the whole row). */
    bool sampled;
    int64_t compared_source, compared_target;
    const char *sampled_by;
    struct wh_sampling sample;
    /* After a run: rows that it refused, which are missing at the destination with reason. */
    int64_t refused;
    const char *note; /* why it is not compared though nothing failed; NULL */
    /* Columns that the source computes anew each time, "loaded, seen"; they are not compared. NULL:
     * none. */
    const char *left_out;
};

typedef void (*wh_validated_fn)(void *arg, const struct wh_validated *);

/* One call of `each` per pair, in the order of the job. The job's write modes are set to one that
 * accepts what is there. *ret_different counts pairs that are not '='. */
wh_status wh_validate_job(struct wh_job *, struct wh_services *, const struct wh_validate_options *,
                          wh_validated_fn each, void *arg, int64_t *ret_different,
                          struct wh_error *reterr);

struct wh_state;
struct wh_attempt_hooks;

/* Of one flow that was carried out. */
struct wh_validate_moved {
    int64_t rows_dirty;  /* refused: archived instead of written */
    int64_t rows_before; /* at the destination before the run; -1 unknown */
};

/* A run whose rows are compared while it still owns its targets. */
struct wh_validate_run {
    struct wh_state *state;
    const char *run;
    const struct wh_validate_moved *flows; /* per flow of the plan */
    struct wh_attempt_hooks *hooks;        /* two: cancelled from another thread to stop it */
};

/* The same for the flows of a plan that was carried out, whose streams ask for it (`validate:`).
 * The plan's scans and targets are used again. Rows that the run refused and archived are missing
 * at the destination with reason. What cannot be compared without anybody's fault is given with
 * sign '?': `excused` and E1060 where the destination held rows before an append, `note` where
 * refused rows cannot be told from others. */
wh_status wh_validate_plan(struct wh_plan *, struct wh_services *, const struct wh_validate_run *,
                           wh_validated_fn each, void *arg, int64_t *ret_different,
                           struct wh_error *reterr);

#endif
