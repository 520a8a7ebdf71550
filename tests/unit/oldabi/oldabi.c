/* SPDX-License-Identifier: Apache-2.0 */
/* A module of another version, for test_registry: it must be refused before any verb is called. */
#include <wherry/connector.h>

WH_CONNECTOR(oldabi);
const struct wh_connector wh_connector_oldabi = {
    .abi = WH_ABI + 1, .size = sizeof(struct wh_connector), .name = "oldabi"};
