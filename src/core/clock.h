/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic for waiting, UTC for people, civil dates without libc. */
#ifndef WHERRY_CORE_CLOCK_H
#define WHERRY_CORE_CLOCK_H

#include <wherry/status.h>

WH_EXPORT int64_t wh_now_ns(void);      /* monotonic */
WH_EXPORT int64_t wh_wall_us(void);     /* microseconds since 1970-01-01 UTC */
WH_EXPORT int64_t wh_cpu_ns(void);      /* CPU time of this process */
WH_EXPORT void wh_sleep_ms(int64_t ms); /* engine only; connectors ask the context */
/* "2026-11-22T01:02:03.456Z": at most 32 bytes with NUL. */
WH_EXPORT size_t wh_format_utc(int64_t wall_us, char out[32]);
/* Proleptic Gregorian, days since 1970-01-01. */
WH_EXPORT int64_t wh_days_from_civil(int64_t y, unsigned m, unsigned d);
WH_EXPORT void wh_civil_from_days(int64_t days, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d);

#endif
