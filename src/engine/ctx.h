/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of struct wh_ctx: services per process, endpoint and attempt. */
#ifndef WHERRY_ENGINE_CTX_H
#define WHERRY_ENGINE_CTX_H

#include "engine/plan.h"

/* One per process: helper pool, clocks, budgets, where small files go. */
struct wh_services;

wh_status wh_services_new(const char *state_dir, const char *program, struct wh_services **ret,
                          struct wh_error *reterr);
void wh_services_free(struct wh_services *);

/* Fills ep->ctx for an endpoint (run may be ""); freed with the endpoint. */
wh_status wh_ctx_endpoint(struct wh_services *, struct wh_endpoint *, const char *run,
                          const char *timezone, struct wh_error *reterr);
void wh_ctx_endpoint_free(struct wh_endpoint *);
/* What `instant` counts durations back from. */
void wh_ctx_planned(struct wh_endpoint *, int64_t planned_us);

/* Body of the hidden command `wherry hold CONNECTOR FILE TTL_MS` (CONTRACT 5); argv as of main. */
int wh_hold_main(int argc, char **argv);

/* Named kill points (DESIGN 10): WH_TEST_KILL="name:nth" raises SIGKILL there, WH_TEST_STOP the
 * same with SIGSTOP; WH_TEST_KILL_LOG=file appends every name reached. Costs one load when unset.
 */
void wh_kill_point(const char *name);

#endif
