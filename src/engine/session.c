/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: server connections that outlive an attempt. One pool per endpoint and use; a lane takes
 * one for an attempt and gives it back. READ sessions are inside the run's snapshot and may not be
 * replaceable, so they are kept to the end of the last unit.
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>

struct wh_session_set *wh_session_set(struct wh_runtime *run, const struct wh_endpoint *ep)
{
    return &run->sessions[ep->index];
}

static int set_count(const struct wh_session_set *set, enum wh_use use)
{
    int n = 0;

    for (struct wh_session *s = set->list[use]; s; s = s->next)
        n++;
    return n;
}

static void set_remove(struct wh_session_set *set, struct wh_session *session)
{
    struct wh_session **at = &set->list[session->use];

    while (*at && *at != session)
        at = &(*at)->next;
    if (*at)
        *at = session->next;
}

/* Makes the memory and puts it on the list, so that the keeper can interrupt its opening. */
static struct wh_session *session_new(struct wh_runtime *run, struct wh_endpoint *ep,
                                      enum wh_use use)
{
    struct wh_session *s = wh_calloc(1, sizeof *s);
    struct wh_session_set *set = wh_session_set(run, ep);

    if (!s || !(s->mem = wh_calloc(1, ep->connector->se_size ? ep->connector->se_size : 1))) {
        wh_free(s);
        return NULL;
    }
    s->ep = ep;
    s->use = use;
    s->busy = true;
    s->next = set->list[use];
    set->list[use] = s;
    return s;
}

/* Closes and frees; the mutex is not held. */
static void session_free(struct wh_runtime *run, struct wh_session *s)
{
    pthread_mutex_lock(&run->mutex);
    s->closing = true; /* from here on nobody interrupts it */
    set_remove(wh_session_set(run, s->ep), s);
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
    if (s->open && s->ep->connector->endpoint->session_close)
        s->ep->connector->endpoint->session_close(s->mem);
    if (s->broken)
        wh_log(WH_LOG_DEBUG, "engine", "%s: session %s is given up", s->ep->name, s->ident);
    wh_free(s->mem);
    wh_free(s);
}

static int session_open(struct wh_runtime *run, struct wh_session *s, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = s->ep->connector->endpoint;
    static const char *const uses[] = {"look", "read", "write", "do steps"};
    struct wh_str ident = {0};
    int st;

    pthread_mutex_lock(&run->mutex);
    s->open = true; /* close once per open, failed or not */
    s->opening_ns = wh_now_ns();
    pthread_mutex_unlock(&run->mutex);
    st = ops->session_open ? ops->session_open(s->mem, s->ep->ep, s->use, &ident, reterr) : WH_OK;
    if (wh_log_on(WH_LOG_DEBUG, "engine"))
        wh_log(WH_LOG_DEBUG, "engine", "%s: session %.*s opened to %s: %s, %.1f ms", s->ep->name,
               (int)ident.n, ident.n ? ident.s : "", uses[s->use], wh_status_name(st),
               (double)(wh_now_ns() - s->opening_ns) / 1e6);
    pthread_mutex_lock(&run->mutex);
    s->opening_ns = 0;
    pthread_mutex_unlock(&run->mutex);
    if (st == WH_OK && s->broken)
        st = wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    if (st == WH_OK && ident.n)
        snprintf(s->ident, sizeof s->ident, "%.*s", WH_STR_FMT(ident));
    return st;
}

static struct wh_session *find_idle(struct wh_session_set *set, enum wh_use use)
{
    struct wh_session *s = set->list[use];

    while (s && (s->busy || s->broken))
        s = s->next;
    if (s)
        s->busy = true;
    return s;
}

/* With a snapshot that is gone only the living sessions are left: wait for one of them. */
static int wait_living(struct wh_runtime *run, struct wh_session_set *set, enum wh_use use,
                       struct wh_session **ret, struct wh_error *reterr)
{
    struct wh_session *s;

    while (!(s = find_idle(set, use)) && set_count(set, use) > 0 && run->stop_level < 2 &&
           !run->fenced)
        pthread_cond_wait(&run->change, &run->mutex);
    if (!s)
        return wh_fail(reterr, WH_GONE, "E4008",
                       "the snapshot can no longer be entered and no session in it is left");
    *ret = s;
    return WH_OK;
}

int wh_session_get(struct wh_runtime *run, struct wh_endpoint *ep, enum wh_use use,
                   struct wh_session **ret, struct wh_error *reterr)
{
    struct wh_session_set *set = wh_session_set(run, ep);
    struct wh_session *s;
    int st = WH_OK;

    pthread_mutex_lock(&run->mutex);
    s = find_idle(set, use);
    if (!s && use == WH_READ && set->gone)
        st = wait_living(run, set, use, &s, reterr);
    if (s || st != WH_OK) {
        pthread_mutex_unlock(&run->mutex);
        *ret = s;
        return st;
    }
    s = session_new(run, ep, use);
    pthread_mutex_unlock(&run->mutex);
    if (!s)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "session of '%s'", ep->name);
    st = session_open(run, s, reterr);
    if (st == WH_OK) {
        *ret = s;
        return WH_OK;
    }
    session_free(run, s);
    if (st == WH_GONE && use == WH_READ) {
        pthread_mutex_lock(&run->mutex);
        set->gone = true;
        st = wait_living(run, set, use, ret, reterr);
        pthread_mutex_unlock(&run->mutex);
    }
    return st;
}

/* A dead session may still hold locks at its server: its ident is evicted before anything of ours
 * waits for them (CONTRACT 4). */
static void evict(struct wh_runtime *run, struct wh_endpoint *ep, const char *ident)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_fence fence = {.run = {run->id, strlen(run->id)}, .epoch = run->epoch};
    struct wh_str name = {ident, strlen(ident)};
    struct wh_session *s = NULL;
    struct wh_error err = {0};
    int st;

    if (!ops->evict || !name.n || run->stop_level >= 2)
        return;
    st = wh_session_get(run, ep, WH_CONTROL, &s, &err);
    if (st == WH_OK)
        st = ops->evict(ep->ep, s->mem, &fence, &name, &err);
    if (s && st == WH_LOST)
        s->broken = true;
    if (st != WH_OK)
        wh_log(WH_LOG_WARN, "engine", "%s: session %s could not be ended: %s", ep->name, ident,
               err.message);
    if (s && s->broken)
        session_free(run, s);
    else
        wh_session_put(run, s);
}

void wh_session_put(struct wh_runtime *run, struct wh_session *s)
{
    char ident[sizeof s->ident];
    struct wh_endpoint *ep;
    enum wh_use use;

    if (!s)
        return;
    pthread_mutex_lock(&run->mutex);
    if (!s->broken) {
        s->busy = false;
        pthread_cond_broadcast(&run->change);
        pthread_mutex_unlock(&run->mutex);
        return;
    }
    pthread_mutex_unlock(&run->mutex);
    ep = s->ep;
    use = s->use;
    memcpy(ident, s->ident, sizeof ident);
    session_free(run, s);
    if (use == WH_WRITE || use == WH_STEP)
        evict(run, ep, ident);
}

void wh_sessions_close(struct wh_runtime *run, struct wh_endpoint *ep, int use)
{
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_session_set *set = wh_session_set(run, run->plan->endpoints[i]);

        if (ep && run->plan->endpoints[i] != ep)
            continue;
        for (int u = 0; u < WH_USES; u++) {
            if (use >= 0 && u != use)
                continue;
            for (;;) {
                struct wh_session *s;

                pthread_mutex_lock(&run->mutex);
                for (s = set->list[u]; s && s->busy; s = s->next)
                    ;
                if (s)
                    s->busy = true;
                pthread_mutex_unlock(&run->mutex);
                if (!s)
                    break;
                session_free(run, s);
            }
        }
    }
}
