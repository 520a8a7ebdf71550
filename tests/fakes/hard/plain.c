/* SPDX-License-Identifier: Apache-2.0 */
/* hard-plain: the easy one, for the other end of a copy.
 *
 * Source: any range of ids alone, a snapshot that can be entered again for ever; it remembers which
 * splits were acknowledged (hard_ack), however often. Sink: class T, one
 * short transaction per unit with its marker, any number of writers, grain BATCH, no unique key. */
#include "hard.h"

#include "core/buf.h"

static wh_status acknowledge(void *sc, void *session, const struct wh_bytes *bookmark,
                             struct wh_error *reterr)
{
    struct wh_buf hex WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct hard_session *se = session;

    for (size_t i = 0; i < bookmark->n; i++)
        if (wh_buf_printf(&hex, "%02x", ((const unsigned char *)bookmark->p)[i]) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "bookmark");
    return hard_exec(se->db, reterr,
                     "create table if not exists hard_ack(token blob primary key);"
                     "insert or ignore into hard_ack values(x'%s')",
                     hex.p ? hex.p : "");
}

static const struct wh_source_ops source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct hard_scan),
    .rd_size = sizeof(struct hard_reader),
    .scan_open = hard_range_scan,
    .split_next = hard_range_split,
    .reader_open = hard_range_open,
    .reader_next = hard_reader_next,
    .reader_cut = hard_range_cut,
    .acknowledge = acknowledge,
    .reader_close = hard_reader_close,
    .scan_close = hard_scan_close,
};

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
    .source = &source,
    .sink = &hard_plain_sink,
};
