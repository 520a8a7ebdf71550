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
    WH_VALIDATE_CHECKSUM
};

struct wh_validated {
    const char *source, *target; /* true names, for people */
    char sign;                   /* '=' equal, '*' different, '-' not at the destination */
    int64_t rows_source, rows_target;
    int64_t unfit_source, unfit_target; /* rows that do not fit the compared types */
    struct wh_u128 sum_source, sum_target;
    double seconds;
    struct wh_error error; /* status 0 if the pair could be looked at */
};

typedef void (*wh_validated_fn)(void *arg, const struct wh_validated *);

/* One call of `each` per pair, in the order of the job. The job's write modes are set to one that
 * accepts what is there. *ret_different counts pairs that are not '='. */
wh_status wh_validate_job(struct wh_job *, struct wh_services *, enum wh_validate_level,
                          wh_validated_fn each, void *arg, int64_t *ret_different,
                          struct wh_error *reterr);

/* The same for the flows of a plan that was carried out, whose streams ask for it (`validate:`).
 * The plan's scans and targets are used again. Pairs whose destination held rows before an append
 * cannot be compared: they are given with sign '?' and E1060. */
wh_status wh_validate_plan(struct wh_plan *, struct wh_services *, wh_validated_fn each, void *arg,
                           int64_t *ret_different, struct wh_error *reterr);

#endif
