/* SPDX-License-Identifier: Apache-2.0 */
/* `validate:` of a run: both ends are compared when all tables are finished and before the run is
 * recorded as closing, so that whoever dies in between leaves a run that compares again. What came
 * of it is in the records of the flows (exit code 4), where a resume that only closes finds it.
 */
#include "engine/runtime.h"
#include "engine/validate.h"

#include "core/errors.h"
#include "engine/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool wanted(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->stream->validate)
            return true;
    return false;
}

/* ---- words ---- */

static void add_words(struct wh_buf *b, const struct wh_validated *v)
{
    int64_t unfit = v->unfit_source;

    wh_ignore(wh_buf_printf(b, "%c %s  %s  %" PRId64 " and %" PRId64 " rows", v->sign, v->source,
                            v->target ? v->target : "?", v->rows_source, v->rows_target));
    if (v->refused)
        wh_ignore(wh_buf_printf(b, ", %" PRId64 " refused", v->refused));
    if (v->note)
        wh_ignore(
            wh_buf_printf(b, "; not comparable: %" PRId64 " dirty rows, %s", v->refused, v->note));
    else if (v->sign != '=' && unfit > v->refused)
        wh_ignore(wh_buf_printf(b, "; %" PRId64 " rows of the source do not fit", unfit));
    if (v->left_out)
        wh_ignore(wh_buf_printf(b, "; without %s, computed anew each time", v->left_out));
}

static struct wh_run_flow *flow_of(struct wh_runtime *run, const struct wh_validated *v)
{
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow == v->flow)
            return &run->flows[i];
    return NULL;
}

static void compared(void *arg, const struct wh_validated *v)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10);
    struct wh_runtime *run = arg;
    struct wh_run_flow *fr = flow_of(run, v);
    enum wh_event_type type = WH_EV_VALIDATE;

    if (v->error.status && !v->excused)
        return; /* told once, with what becomes of the run */
    if (v->excused)
        type = WH_EV_WARNING;
    else
        add_words(&b, v);
    if (fr)
        fr->different = !v->excused && !v->note && v->sign != '=';
    wh_run_event(run, type, fr, b.p ? b.p : "", v->excused ? &v->error : NULL, NULL);
}

/* ---- one comparison ---- */

/* What cannot be done ends with what that means for a run that moved its rows: never "refused". */
static void in_words_of_a_run(struct wh_error *err)
{
    const struct wh_error_page *page = wh_error_page(err->code);
    struct wh_error inner = *err;

    if (!page || page->exit_code != 2)
        return;
    wh_ignore(wh_fail(err, inner.status, "E4021", "both ends cannot be compared: %s %s", inner.code,
                      inner.message));
    if (inner.hint[0])
        wh_error_hint(err, "%s", inner.hint);
}

static int compare(struct wh_runtime *run, struct wh_attempt_hooks *hooks, struct wh_error *reterr)
{
    struct wh_validate_moved *moved = wh_calloc(run->n_flows + 1, sizeof *moved);
    struct wh_validate_run what = {run->state, run->id, moved, hooks};
    int64_t different = 0;
    int st;

    if (!moved)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "comparison");
    for (size_t i = 0; i < run->n_flows; i++)
        moved[i] =
            (struct wh_validate_moved){run->flows[i].counts.rows_dirty, run->flows[i].rows_before};
    run->services->quiet_ms = 0; /* a count may be silent for long */
    st = wh_validate_plan(run->plan, run->services, &what, compared, run, &different, reterr);
    wh_free(moved);
    return st;
}

/* The keeper wakes whoever reads when the run shall stop. */
static int watched(struct wh_runtime *run, struct wh_error *reterr)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), st;
    struct wh_attempt_hooks hooks[2] = {{.wake_fd = fd}, {.wake_fd = fd}};

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E8003", "comparison");
    pthread_mutex_lock(&run->mutex);
    run->comparing = hooks;
    pthread_mutex_unlock(&run->mutex);
    st = compare(run, hooks, reterr);
    pthread_mutex_lock(&run->mutex);
    run->comparing = NULL;
    pthread_mutex_unlock(&run->mutex);
    close(fd);
    return st;
}

/* mutex held */
void wh_run_compare_stop(struct wh_runtime *run)
{
    uint64_t one = 1;

    if (!run->comparing)
        return;
    for (int i = 0; i < 2; i++)
        run->comparing[i].cancelled = true;
    ssize_t n = write(run->comparing[0].wake_fd, &one, sizeof one);
    (void)n; /* a full counter is readable as well */
}

int wh_run_compare(struct wh_runtime *run, struct wh_error *reterr)
{
    int st;

    if (!wanted(run) || wh_run_stopping(run))
        return WH_OK;
    wh_run_events(run);
    wh_sessions_close(run, NULL, -1);
    wh_kill_point("compare-before");
    st = watched(run, reterr);
    if (st == WH_E_CANCELLED && wh_run_stopping(run)) {
        *reterr = (struct wh_error){0};
        return WH_OK; /* unfinished: a resume compares */
    }
    if (st != WH_OK) {
        in_words_of_a_run(reterr);
        return st;
    }
    wh_kill_point("compared");
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].different)
            WH_TRY(wh_run_flow_differs(run, &run->flows[i], reterr));
    wh_kill_point("compare-recorded");
    return WH_OK;
}
