/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the comparison share (validate*.c): one end of a pair while it is read. */
#ifndef WHERRY_ENGINE_VALIDATE_END_H
#define WHERRY_ENGINE_VALIDATE_END_H

#include "data/rowhash.h"
#include "engine/differ.h"
#include "engine/plan_internal.h"
#include "engine/service.h"

/* A scan, how its columns become the compared ones, and the sum. */
struct wh_end {
    struct wh_endpoint *ep;
    void *sc;                          /* open scan */
    const struct ArrowSchema *schema;  /* its columns */
    const struct ArrowSchema *compare; /* the compared columns: names and types */
    const int64_t *index;              /* compared column -> column of the scan, or behind
                                          them one that the flow makes */
    int64_t n;                         /* compared columns */
    const struct wh_flow *flow;        /* for value policies; NULL on the destination's side */
    const int64_t *flow_column;        /* compared column -> column of the flow */
    bool chained;                      /* as the scan said */
    bool hash;
    struct wh_sampling sampling; /* most = UINT64_MAX: all rows */
    const int64_t *keys;         /* of the sample: places among the compared columns */
    int64_t n_keys;              /* 0: a row is its own key */
    struct wh_attempt_hooks *hooks;
    void *se;
    bool se_called;

    struct wh_maker *maker; /* of the source's side; NULL */
    struct wh_convert **convert;
    struct wh_builder *builder; /* of the columns that are no identity */
    struct ArrowSchema built;
    struct wh_view *in, *out;
    struct wh_cell_reject *rejects;
    uint8_t *bad;     /* per row of a batch: a cell of it did not convert */
    int32_t *rows_in; /* rows of a batch that count */
    struct wh_u128 *key_hash;
    struct wh_view *key_views;
    int64_t cap_rows;

    struct wh_rowsum sum;     /* of the compared rows that fit */
    int64_t rows, unfit, raw; /* all; those with a value that does not fit; never became a row */
    int64_t compared;         /* of the sample */
    struct wh_stats *stats;   /* NULL: not asked for */
    struct wh_differ *differ; /* likewise */
    enum wh_pass pass;
    struct wh_ctx_self self;
    struct wh_ctx ctx;
    uint8_t end[64]; /* where the split before ended: of end_group, end_seq */
    size_t end_n;
    uint64_t end_group, end_seq;
    struct wh_error error;
    int status;
};

wh_status wh_end_session(struct wh_end *, struct wh_error *reterr);
void wh_end_context(struct wh_end *);
wh_status wh_end_columns(struct wh_end *, struct wh_error *reterr);
/* Converts and counts a batch as if it had been read; it is released. */
wh_status wh_end_take(struct wh_end *, struct wh_batch *, struct wh_error *reterr);
/* From its first row to its last; the counts begin at 0. */
wh_status wh_end_read(struct wh_end *, struct wh_error *reterr);
/* Both ends side by side. */
wh_status wh_ends_read(struct wh_end *, struct wh_end *, enum wh_pass, struct wh_error *reterr);
void wh_end_done(struct wh_end *);

/* validate_extra.c: tables that a pattern of the job would have made and that no flow leads to.
 * *ret: owned by the caller. *ret_why: where they cannot be told, words of the arena; else NULL. */
wh_status wh_validate_extra(struct wh_planner *, const struct wh_stream *, struct wh_name **ret,
                            size_t *ret_n, const char **ret_why, struct wh_error *reterr);

/* validate_dirty.c: what the archive of a run says of a flow's rows that were refused. */
struct wh_refusals {
    int64_t rows;       /* in the archive */
    int64_t unfit, raw; /* do not convert; never were rows: the source's end meets them again */
    int64_t unknown;    /* of those that are there, a value cannot be made again */
    struct wh_u128 sum; /* of the hashes of all others, as the source's end has them */
};
/* like: the source's end, read. column: compared column -> column of the flow. */
wh_status wh_validate_refusals(const struct wh_validate_run *, const struct wh_flow *,
                               const struct wh_end *like, const int64_t *column,
                               struct wh_refusals *ret, struct wh_error *reterr);

#endif
