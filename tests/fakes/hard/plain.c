/* SPDX-License-Identifier: Apache-2.0 */
/* hard-plain: the easy one, for the other end of a copy.
 *
 * Source: any range of ids alone, a snapshot that can be entered again for ever. Sink: class T, one
 * short transaction per unit with its marker, any number of writers, grain BATCH, no unique key. */
#include "hard.h"

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_T);
static const char *const schemes[] = {"hard-plain", NULL};

WH_CONNECTOR(hard_plain);
const struct wh_connector wh_connector_hard_plain = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-plain",
    .title = "Fake: splittable source, transactional sink",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .source = &hard_range_source,
    .sink = &hard_plain_sink,
};
