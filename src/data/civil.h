/* SPDX-License-Identifier: Apache-2.0 */
/* Days since 1970-01-01 and civil dates, inline for row loops. Years run from March, so that the
 * leap day is the last of its year; 400 years are one era of 146097 days. */
#ifndef WHERRY_DATA_CIVIL_H
#define WHERRY_DATA_CIVIL_H

#include <stdint.h>

struct wh_civil {
    int64_t year;
    unsigned month, day;
};

#define WH_ERA_DAYS 146097
#define WH_ERA_BASE 719468 /* 0000-03-01 to 1970-01-01 */

static inline int64_t wh_civil_to_days(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned of_era = (unsigned)(y - era * 400);
    unsigned of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;

    return era * WH_ERA_DAYS + (int64_t)days - WH_ERA_BASE;
}

static inline struct wh_civil wh_days_to_civil(int64_t days)
{
    days += WH_ERA_BASE;
    int64_t era = (days >= 0 ? days : days - (WH_ERA_DAYS - 1)) / WH_ERA_DAYS;
    unsigned of_era = (unsigned)(days - era * WH_ERA_DAYS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned m = (5 * of_year + 2) / 153; /* months from March */

    return (struct wh_civil){.year = (int64_t)year + era * 400 + (m >= 10),
                             .month = m < 10 ? m + 3 : m - 9,
                             .day = of_year - (153 * m + 2) / 5 + 1};
}

#endif
