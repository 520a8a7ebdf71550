/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones without the process-wide TZ: reads compiled zone files (RFC 8536, TZif). */
#ifndef WHERRY_ENGINE_ZONE_H
#define WHERRY_ENGINE_ZONE_H

#include "core/alloc.h"

struct wh_zone;

/* Wall time in a zone. */
struct wh_civil {
    int64_t year;
    unsigned month, day; /* from 1 */
    int hour, minute, second;
    int64_t micro;
};

/* "Asia/Shanghai", "UTC", "+08:00"; NULL = the system's. E1002 for an unknown name. */
wh_status wh_zone_open(struct wh_arena *, const char *name, struct wh_zone **ret,
                       struct wh_error *reterr);
const char *wh_zone_name(const struct wh_zone *);
/* Seconds east of UTC at an instant. */
int32_t wh_zone_offset(const struct wh_zone *, int64_t utc_s);
struct wh_civil wh_zone_civil(const struct wh_zone *, int64_t utc_us);
/* The instant of a wall time; the earlier one where it exists twice, the moved one where a clock
 * change skips it. */
int64_t wh_zone_instant(const struct wh_zone *, const struct wh_civil *);

#endif
