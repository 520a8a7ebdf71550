/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/csv/skip.h"

enum {
    FIELD_START,
    PLAIN,
    PLAIN_ESCAPED,
    QUOTED,
    QUOTED_ESCAPED,
    CLOSED, /* a quote inside quotes: the end of the field, or the first of two */
    AFTER_CR,
    COMMENT, /* in which quotes and escapes mean nothing */
};

void csv_skip_start(struct csv_skip *k, const struct wh_csv_dialect *d, bool comment)
{
    *k = (struct csv_skip){.d = d, .state = comment ? COMMENT : FIELD_START};
}

bool csv_skip_in_quotes(const struct csv_skip *k)
{
    return k->state == QUOTED || k->state == QUOTED_ESCAPED;
}

static bool delimiter_ends_here(struct csv_skip *k, uint8_t c)
{
    const struct wh_csv_dialect *d = k->d;
    k->tail = k->tail << 8 | c;
    uint64_t want = 0, mask = 0;
    for (int i = 0; i < d->delimiter_n; i++) {
        want = want << 8 | (uint8_t)d->delimiter[i];
        mask = mask << 8 | 0xff;
    }
    return (k->tail & mask) == want;
}

static int plain(struct csv_skip *k, uint8_t c)
{
    if (c == '\r')
        return AFTER_CR;
    if (k->d->escape >= 0 && k->d->escape != k->d->quote && c == (uint8_t)k->d->escape) {
        k->tail = 0;
        return PLAIN_ESCAPED;
    }
    if (!delimiter_ends_here(k, c))
        return PLAIN;
    k->tail = 0;
    return FIELD_START;
}

static int step(struct csv_skip *k, uint8_t c)
{
    const struct wh_csv_dialect *d = k->d;
    bool escapes = d->escape >= 0 && d->escape != d->quote;
    switch (k->state) {
    case FIELD_START:
        return d->quote >= 0 && c == (uint8_t)d->quote ? QUOTED : plain(k, c);
    case QUOTED:
        if (escapes && c == (uint8_t)d->escape)
            return QUOTED_ESCAPED;
        return c == (uint8_t)d->quote ? CLOSED : QUOTED;
    case QUOTED_ESCAPED:
        return QUOTED;
    case CLOSED:
        return c == (uint8_t)d->quote && !escapes ? QUOTED : plain(k, c);
    case PLAIN_ESCAPED:
        return PLAIN;
    case COMMENT:
        return c == '\r' ? AFTER_CR : COMMENT;
    default:
        return plain(k, c);
    }
}

bool csv_skip_run(struct csv_skip *k, const uint8_t *p, size_t n, bool last, size_t *ret_used)
{
    for (size_t i = 0; i < n; i++) {
        if (k->state == AFTER_CR) {
            *ret_used = i + (p[i] == '\n');
            return true;
        }
        bool data = csv_skip_in_quotes(k) || k->state == PLAIN_ESCAPED;
        if (p[i] == '\n' && !data) {
            *ret_used = i + 1;
            return true;
        }
        k->state = step(k, p[i]);
    }
    *ret_used = n;
    return last && !csv_skip_in_quotes(k);
}
