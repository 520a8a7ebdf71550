/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and for how long, something that failed is tried again: `run.retry`. A failure that
 * may pass is tried `times` times; a server that went away is waited for until `outage` is over, so
 * that a restart is lived through.
 */
#include "engine/runtime.h"

#include "core/clock.h"

#include <string.h>

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MOST_MS = 30000,
    MS = 1000000,
};

/* E2001 to E2008, those that may pass: cannot connect, no answer, too many, connection lost. */
bool wh_is_away(int st, const struct wh_error *err)
{
    return st == WH_LOST || (err->retriable && strncmp(err->code, "E200", 4) == 0);
}

bool wh_retry_more(const struct wh_runtime *run, struct wh_retry *r, int st,
                   const struct wh_error *err)
{
    int64_t now = wh_now_ns();

    if (!r->since_ns)
        r->since_ns = now;
    int64_t times = run->options->retry_times, outage = run->outage_ms;

    if (r->of && r->of->retry.times >= 0)
        times = r->of->retry.times;
    if (r->of && r->of->retry.outage_ms >= 0)
        outage = r->of->retry.outage_ms;
    if (r->failures++ < (int)times)
        return true;
    return times > 0 && wh_is_away(st, err) && now - r->since_ns < outage * MS;
}

bool wh_retry_pause(struct wh_runtime *run, const struct wh_retry *r, const struct wh_error *err)
{
    int64_t said =
        r->of && r->of->retry.wait_ms >= 0 ? r->of->retry.wait_ms : run->options->retry_wait_ms;
    int64_t most = said > 0 ? said : BACKOFF_MOST_MS;
    int n = r->failures > 0 ? r->failures - 1 : 0;
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << (n < 16 ? n : 16);

    if (ms > most)
        ms = most;
    if (ms > BACKOFF_MOST_MS)
        ms = BACKOFF_MOST_MS;
    ms = ms / 2 + (int64_t)(wh_random64() % (uint64_t)(ms / 2 + 1)); /* jitter */
    if (err->retry_after_ms > ms)
        ms = err->retry_after_ms;
    return wh_run_pause(run, ms * MS, NULL);
}
