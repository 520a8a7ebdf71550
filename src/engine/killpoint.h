/* SPDX-License-Identifier: Apache-2.0 */
/* Named kill points: one before and one after each external effect and each record, so that tests
 * can stop the process in every window of the protocol (random kills practically never hit them).
 *
 * WH_TEST_KILL="name:nth" raises SIGKILL when the name is reached for the nth time, WH_TEST_STOP
 * the same with SIGSTOP, WH_TEST_KILL_LOG=file appends every name that is reached.
 */
#ifndef WHERRY_ENGINE_KILLPOINT_H
#define WHERRY_ENGINE_KILLPOINT_H

#include "engine/ctx.h"

struct wh_kill_name {
    const char *name;
    const char *phase; /* prepare move commit settle publish close */
};

/* All of them, in the order in which a run reaches them first. */
const struct wh_kill_name *wh_kill_names(size_t *ret_n);

/* The four points of a step: phase is an enum wh_phase, at 0..3 = before intent, intended, applied,
 * outcome recorded. */
void wh_kill_step(int phase, int at);

#endif
