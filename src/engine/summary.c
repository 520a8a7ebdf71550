/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ended: one result per table, the words that are true now, exit codes (INTERFACE 6). */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/errors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECE = 32 << 10
};

static const int worst_first[] = {130, 143, 129, 141, 2, 10, 5, 7, 9, 1, 6, 4, 3, 8, 0};

int wh_exit_worse(int a, int b)
{
    for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++)
        if (worst_first[i] == a || worst_first[i] == b)
            return worst_first[i];
    return a ? a : b; /* another signal */
}

int wh_error_json(const struct wh_error *e, struct wh_buf *b)
{
    WH_TRY(wh_buf_printf(b, "{\"code\":\"%s\",\"retriable\":%s,\"message\":", e->code,
                         e->retriable ? "true" : "false"));
    WH_TRY(wh_buf_json(b, e->message, strlen(e->message)));
    WH_TRY(wh_buf_adds(b, ",\"where\":"));
    WH_TRY(wh_buf_json(b, e->where, strlen(e->where)));
    WH_TRY(wh_buf_adds(b, ",\"hint\":"));
    WH_TRY(wh_buf_json(b, e->hint, strlen(e->hint)));
    return wh_buf_addc(b, '}');
}

/* ---- one table ---------------------------------------------------------------------------------
 */

/* Why this process stopped before the flow was through; 0 = it did not. */
static int stop_exit(const struct wh_runtime *run)
{
    if (run->fenced)
        return 10;
    if (run->stuck)
        return 5;
    if (run->stop_level)
        return run->stop_signal ? 128 + run->stop_signal : 130;
    if (run->over_time || run->over_memory)
        return 7;
    return run->halted ? run->halt_exit : 0;
}

bool wh_run_into_stdout(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++) {
        const struct wh_flow *f = run->flows[i].flow;

        if (!f->to->connector->storage || f->tgt.ret_object.n != 1 ||
            !wh_str_eqs(f->tgt.ret_object.part[0], "-"))
            return false;
    }
    return run->n_flows > 0;
}

int wh_run_untouched_exit(const struct wh_runtime *run, const struct wh_error *err)
{
    return err->status == WH_E_CANCELLED && stop_exit(run) ? stop_exit(run)
                                                           : wh_error_exit(err->code, false);
}

static int flow_exit(const struct wh_runtime *run, const struct wh_run_flow *fr)
{
    int stopped;

    if (fr->error)
        return wh_error_exit(fr->error->code, true);
    if (fr->different)
        return 4;
    if (fr->stage >= WH_AT_PUBLISHED && fr->stage <= WH_AT_DONE)
        return run->options->strict && fr->counts.rows_dirty > 0 ? 3 : 0;
    stopped = stop_exit(run);
    return stopped ? stopped : 1;
}

static const char *flow_status(const struct wh_run_flow *fr)
{
    if (fr->stage == WH_AT_DONE || fr->stage == WH_AT_PUBLISHED || fr->stage == WH_AT_FINISHING)
        return "done";
    if (fr->stage == WH_AT_FAILED)
        return "failed";
    return fr->counts.units_done > 0 ? "partial" : "stopped";
}

static const char *instants(struct wh_runtime *run, uint64_t bits)
{
    int n = __builtin_popcountll(bits);

    if (n <= 1)
        return "one instant";
    return wh_arena_printf(run->plan->arena, "mixed (%d instants)", n);
}

/* What both ends compared; only what they did compare. */
static const char *hash_word(const struct wh_runtime *run, const struct wh_run_flow *fr)
{
    if (fr->hash_off || run->options->checksum == 2)
        return "off";
    if (fr->flow->frame)
        return "bytes";
    return run->options->checksum == 0 ? "rows" : "off";
}

/* The result outlives the run. */
static const struct wh_error *kept(struct wh_runtime *run, const struct wh_error *err)
{
    struct wh_error *own = err ? wh_arena_alloc(run->plan->arena, sizeof *own) : NULL;

    if (own)
        *own = *err;
    return !err || own ? own : &wh_error_unkept;
}

static void table_result(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_table_result *t)
{
    const struct wh_flow *flow = fr->flow;
    int64_t end = fr->ended_ns ? fr->ended_ns : wh_now_ns();
    bool done = strcmp(flow_status(fr), "done") == 0;

    *t = (struct wh_table_result){.stream = flow->stream->name,
                                  .table = flow->table,
                                  .status = flow_status(fr),
                                  .exit_code = flow_exit(run, fr),
                                  .error = kept(run, fr->error)};
    wh_run_counts(run, fr, &t->counts);
    t->seconds = fr->started_ns ? (double)(end - fr->started_ns) / 1e9 : 0;
    t->delivery = done ? flow->delivery : NULL;
    t->hash = hash_word(run, fr);
    t->snapshot = flow->from->snapshot.kind != WH_SNAP_NONE || (fr->instants & (fr->instants - 1))
                      ? instants(run, fr->instants)
                      : "none";
    if (done && flow->scan.chained && t->counts.units_done > 1)
        t->ranges =
            wh_arena_printf(run->plan->arena, "%" PRId64 " (verified)", t->counts.units_done);
}

/* ---- the run -----------------------------------------------------------------------------------
 */

static void add_counts(struct wh_counts *sum, const struct wh_counts *c)
{
    sum->rows_read += c->rows_read;
    sum->rows_written += c->rows_written;
    sum->rows_dirty += c->rows_dirty;
    sum->rows_filtered += c->rows_filtered;
    sum->rows_skipped += c->rows_skipped;
    sum->bytes_read += c->bytes_read;
    sum->bytes_written += c->bytes_written;
    sum->units_done += c->units_done;
    sum->units_total =
        sum->units_total < 0 || c->units_total < 0 ? -1 : sum->units_total + c->units_total;
    sum->retries += c->retries;
    sum->read_wait_ns += c->read_wait_ns;
    sum->write_wait_ns += c->write_wait_ns;
}

/* At how many instants the rows of one source were read: what was begun again counts once. */
static uint64_t instants_of(const struct wh_runtime *run, const struct wh_endpoint *ep)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->from == ep)
            bits |= run->flows[i].instants;
    return bits;
}

static const char *run_snapshot(struct wh_runtime *run)
{
    uint64_t most = 0;
    int taken = 0;

    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        const struct wh_endpoint *ep = run->plan->endpoints[i];
        uint64_t bits = instants_of(run, ep);

        if (!ep->is_source ||
            (ep->snapshot.kind == WH_SNAP_NONE && __builtin_popcountll(bits) <= 1))
            continue;
        taken++;
        if (__builtin_popcountll(bits) > __builtin_popcountll(most))
            most = bits;
    }
    if (__builtin_popcountll(most) > 1)
        return instants(run, most);
    if (taken > 1)
        return wh_arena_printf(run->plan->arena, "%d instants, one per server", taken);
    return taken ? "one instant" : "none";
}

static const char *status_word(int exit_code)
{
    switch (exit_code) {
    case 0:
    case 3:
    case 8:
        return "done";
    case 4:
        return "different";
    case 129:
    case 130:
    case 143:
    case 141: /* the reader of our pipe had enough */
        return "interrupted";
    case 7:
        return "stopped";
    default:
        return "failed";
    }
}

static bool finished(int exit_code)
{
    return exit_code == 0 || exit_code == 3 || exit_code == 4 || exit_code == 8;
}

int wh_summary(struct wh_runtime *run, const struct wh_error *err, struct wh_run_result *ret)
{
    int exit_code = 0;

    *ret = (struct wh_run_result){.run = run->id, .job = run->plan->job->name};
    ret->tables = wh_arena_alloc(run->plan->arena, (run->n_flows + 1) * sizeof *ret->tables);
    if (!ret->tables)
        return WH_E_NOMEM;
    for (size_t i = 0; i < run->n_flows; i++) {
        table_result(run, &run->flows[i], &ret->tables[i]);
        add_counts(&ret->counts, &ret->tables[i].counts);
        exit_code = wh_exit_worse(exit_code, ret->tables[i].exit_code);
    }
    ret->n_tables = run->n_flows;
    if (err && err->status)
        exit_code = wh_exit_worse(exit_code, wh_error_exit(err->code, run->touched));
    if (stop_exit(run) && (!finished(exit_code) || run->recorded_state < WH_RUN_CLOSED))
        exit_code = wh_exit_worse(exit_code, stop_exit(run));
    if (exit_code == 0 && run->options->error_on_empty && ret->counts.rows_read == 0)
        exit_code = 8;
    ret->exit_code = exit_code;
    ret->status = status_word(exit_code);
    ret->retryable = exit_code == 5 || exit_code == 7 || exit_code == 10;
    ret->ended_us = wh_wall_us();
    ret->seconds = (double)(wh_now_ns() - run->started_ns) / 1e9;
    ret->cpu_seconds = (double)wh_cpu_ns() / 1e9;
    ret->peak_rss = wh_mem_peak_rss();
    ret->snapshot = run_snapshot(run);
    ret->rows_staying = run->start->rows_staying + run->rows_disowned;
    if (!finished(exit_code) && exit_code != 2 && !wh_run_into_stdout(run))
        ret->resume = wh_arena_printf(run->plan->arena, "wherry resume %s", run->id);
    return WH_OK;
}

int wh_summary_text(const struct wh_run_result *r, struct wh_buf *b, wh_drain_fn drain, void *arg)
{
    for (size_t i = 0; i < r->n_tables; i++) {
        const struct wh_table_result *t = &r->tables[i];
        const struct wh_counts *c = &t->counts;

        WH_TRY(wh_buf_printf(b,
                             "%s  %s  %" PRId64 " read  %" PRId64 " written  %" PRId64
                             " dirty  %" PRId64 " filtered  %" PRId64 " skipped  %.1f s%s%s",
                             t->table, t->status, c->rows_read, c->rows_written, c->rows_dirty,
                             c->rows_filtered, c->rows_skipped, t->seconds, t->delivery ? "  " : "",
                             t->delivery ? t->delivery : ""));
        if (t->ranges)
            WH_TRY(wh_buf_printf(b, "  ranges: %s", t->ranges));
        if (t->error)
            WH_TRY(wh_buf_printf(b, "  %s %s", t->error->code, t->error->message));
        WH_TRY(wh_buf_addc(b, '\n'));
        if (drain && b->n > PIECE)
            drain(arg, b);
    }
    if (r->snapshot && strncmp(r->snapshot, "mixed", 5) == 0)
        WH_TRY(wh_buf_printf(b, "snapshot: %s\n", r->snapshot));
    if (r->rows_staying)
        WH_TRY(wh_buf_printf(b, "%" PRId64 " rows of the given-up run stay\n", r->rows_staying));
    return wh_buf_printf(b, "run %s %s  exit %d  peak %" PRId64 " MB  cpu %.1f s\n", r->run,
                         r->status, r->exit_code, r->peak_rss / 1000000, r->cpu_seconds);
}
