/* SPDX-License-Identifier: Apache-2.0 */
/* Where the ends of a job are, beyond the words of the job: what its references came to, which
 * folder its relative paths mean, what the environment adds to a connection (PGDATABASE). Nobody
 * is asked and nothing is opened. The state keeps it of each run, so that a run that read or wrote
 * elsewhere is not taken for this job's.
 */
#ifndef WHERRY_ENGINE_ENDS_H
#define WHERRY_ENGINE_ENDS_H

#include "engine/job.h"

/* Lines "streams.orders.to.database=prod" in the order of the job; no secrets, nothing that may
 * change while running. References that cannot be resolved are refused as the plan refuses them. */
wh_status wh_ends_of(const struct wh_job *, struct wh_buf *ret, struct wh_error *reterr);
/* Where two of them differ; n = 0 of a line: it is not there. False: nowhere, or one of them is not
 * known (NULL). */
bool wh_ends_difference(const char *was, const char *is, struct wh_str *ret_key,
                        struct wh_str *ret_was, struct wh_str *ret_is);
/* The first difference, into `ret`: "streams.orders.to.database was 'test', is 'prod'". False:
 * none, or one of them is not known (NULL). */
bool wh_ends_differ(const char *was, const char *is, struct wh_buf *ret);

#endif
