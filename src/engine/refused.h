/* SPDX-License-Identifier: Apache-2.0 */
/* The archive of refused rows, read back: which rows a run did not write, and why (dirty.c writes
 * it). One thread. A row counts when its unit was committed with it; what attempts left that did
 * not win is no part of the archive. */
#ifndef WHERRY_ENGINE_REFUSED_H
#define WHERRY_ENGINE_REFUSED_H

#include "engine/start.h"
#include "state/state.h"

struct wh_refused {
    int flow;
    const char *stream, *table; /* never NULL */
    int64_t unit;
    /* Its unit was committed without the row. Else the row is why its table ended, and a resume
     * reads it again. */
    bool committed;
    const char *position, *column, *code, *reason; /* column: or NULL; the others never */
    /* One of both: the columns that were read (or, with `mapped`, those of the destination) as
     * canonical text, nulls as NULL nodes; or the bytes of what never became a row. */
    const struct wh_node *row;
    bool mapped, side_said;
    struct wh_bytes raw;
    int64_t raw_cut_from; /* 0: raw is whole; else it is the beginning of so many bytes, or more */
    const char *line;     /* as it is kept: one JSON object, no newline */
    size_t line_n;
};

typedef wh_status (*wh_refused_fn)(void *arg, const struct wh_refused *);

/* Every kept row in the order of flows and units; texts are borrowed for the call. table: only that
 * one, NULL all. The callback's END stops. *ret_missing: rows that the state counts and the archive
 * does not hold any more. */
wh_status wh_refused_each(struct wh_state *, const char *run, const char *table, wh_refused_fn each,
                          void *arg, int64_t *ret_missing, struct wh_error *reterr);
/* Whether the job says what the columns of this table are: then a row as it was read and one for
 * the destination are laid out in two ways. narrows: not all columns of the source were read, so
 * that lines as they lay there have others. */
wh_status wh_refused_maps(struct wh_state *, const char *run, const char *table, bool *ret_maps,
                          bool *ret_narrows, struct wh_error *reterr);
/* Files and bytes of the archive of a run; 0 where there is none. */
void wh_refused_size(struct wh_state *, const char *run, int64_t *ret_files, int64_t *ret_bytes);
/* What is kept outside of the state's folder (`dirty.archive`); with `drop` it goes. */
wh_status wh_refused_outside(struct wh_state *, const char *run, bool drop, int64_t *ret_files,
                             int64_t *ret_bytes, struct wh_error *reterr);
/* The archive goes. */
wh_status wh_refused_drop(struct wh_state *, const char *run, struct wh_error *reterr);

/* ---- replay (replay.c) --------------------------------------------------------------------------
 */

/* A part of a run's refused rows that can be written again: one table, rows of one shape. */
struct wh_replay {
    int flow;
    bool mapped;
    const char *table;
    const char *id;     /* --run-id of the run that writes them: the same each time */
    const char *target; /* identity that the job must lead to */
    int64_t rows;
    struct wh_node *job; /* MAP */
};
struct wh_replays {
    struct wh_arena *arena; /* given */
    struct wh_replay *v;
    size_t n;
    int64_t rows, raw, unreadable; /* those that are written; those that never were rows; others */
};

/* The jobs that write the refused rows of a finished run to where they should have gone: each reads
 * a file in replay/RUN of the state's folder, made by the first call and never changed. Rows that
 * could not be read would be refused again, so they are only counted. */
wh_status wh_replay_make(struct wh_state *, const char *run, struct wh_arena *,
                         struct wh_replays *ret, struct wh_error *reterr);
/* Plans and carries out one of them: E6023 if it led to another target. A second time it is
 * answered with WH_STARTED_DONE_BEFORE and moves nothing. */
wh_status wh_replay_start(const struct wh_replay *, struct wh_services *, struct wh_state *,
                          const struct wh_start *, struct wh_outcome *ret, struct wh_error *reterr);

#endif
