/* SPDX-License-Identifier: Apache-2.0 */
/* `plan --diff`: what the source is, as it is mapped, and what the destination has now.
 *
 * Both are said in the destination's own terms: the columns that it would make if the table were
 * not there, and those that are there. Where a destination cannot say what it would make, the types
 * of the source stand for it. Columns whose type was guessed from text have none that a table could
 * differ from, and files have names alone. Nothing is made or changed. Management thread.
 */
#ifndef WHERRY_ENGINE_PLAN_SHAPE_H
#define WHERRY_ENGINE_PLAN_SHAPE_H

#include "engine/plan.h"

enum wh_shape_kind {
    WH_SHAPE_TABLE,    /* the destination is not there */
    WH_SHAPE_MISSING,  /* column: the destination lacks it */
    WH_SHAPE_EXTRA,    /* column: the source lacks it */
    WH_SHAPE_TYPE,     /* of a column of both */
    WH_SHAPE_NULLABLE, /* of a column of both */
    WH_SHAPE_KEY,      /* the primary key */
};
extern const char *const wh_shape_kinds[]; /* "table" "missing" "extra" "type" "nullable" "key" */

struct wh_shape_difference {
    enum wh_shape_kind kind;
    const char *column;               /* NULL: TABLE, KEY */
    const char *source, *destination; /* as people read it; NULL: nothing */
    const char *note;                 /* what follows from it; NULL */
};

struct wh_shape {
    const struct wh_flow *flow;
    bool exists;
    const char *unseen; /* why it could not be compared; NULL: it was */
    struct wh_shape_difference *v;
    size_t n;
};

/* Each table of a plan that was made, refused ones too. Texts live as long as the plan. */
wh_status wh_plan_shapes(struct wh_plan *, struct wh_services *,
                         wh_status (*each)(void *, const struct wh_shape *), void *arg,
                         struct wh_error *reterr);

#endif
