/* SPDX-License-Identifier: Apache-2.0 */
/* hard-manifest: one commit for many units (class P), as a manifest or a multipart upload is.
 *
 * A unit's commit leaves a staged file that no reader sees; PUBLISH makes one manifest that lists
 * the files of the recorded receipts, read as a cursor and never held in memory. Only what a
 * manifest lists is in the table. An engine that takes a unit's commit for visible rows reports
 * rows that are not there; one that publishes what it finds in the folder instead of what it
 * recorded doubles the units that were tried twice; one that publishes twice is stopped by the
 * name: the manifest carries the run and is made exclusively, and one that exists is compared. */
#include "hard_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MANIFEST_MAX = 1 << 28
};

struct writer {
    struct hard_writer base;
    char name[HARD_FILE + 64];
};

static wh_status target_open(void *fl, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    return hard_files_open(fl, ep, se, io, reterr);
}

static wh_status writer_open(void *self, void *fl, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *unit, const struct wh_fence *fence,
                             struct wh_error *reterr)
{
    struct writer *wr = self;
    char prefix[HARD_FILE];
    struct wh_fence own = {.run = fence->run, .flow = unit->flow, .generation = unit->generation};

    hard_files_prefix(fl, &own, prefix);
    snprintf(wr->name, sizeof wr->name, "%su%08lld-a%04d.part", prefix, (long long)unit->id,
             unit->attempt);
    return hard_writer_open(&wr->base, fl, se, attempt, unit, fence, reterr);
}

static wh_status write_file(struct writer *wr, const struct wh_marker *marker,
                            struct wh_error *reterr)
{
    const struct hard_files *fl = (const void *)wr->base.fl;
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(HARD_SPOOL_MAX);
    struct hard_value *row WH_CLEANUP(wh_freep) =
        wh_calloc((size_t)fl->base.accept.n_children + 1, sizeof *row);
    size_t at = 0;

    if (!row)
        return WH_E_NOMEM;
    while (hard_spool_next(&wr->base, &at, row))
        WH_TRY(hard_files_line(fl, row, &text));
    WH_TRY(hard_files_marker(&wr->base, marker, &text));
    return hard_files_put(fl->folder, wr->name, &text, false, reterr);
}

static wh_status writer_commit(void *self, const struct wh_marker *marker,
                               struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct writer *wr = self;
    int unknown = hard_unknown(wr->base.fl->ep);

    WH_TRY(hard_fault(wr->base.se, wr->base.ctx, "a commit", reterr));
    WH_TRY(hard_fenced(wr->base.se, wr->base.run, wr->base.epoch, reterr));
    if (unknown != 2)
        WH_TRY(write_file(wr, marker, reterr));
    if (unknown)
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the fake server did not answer the commit");
    *ret_receipt = (struct wh_bytes){wr->name, strlen(wr->name)};
    return WH_OK;
}

/* ---------------------------------------------------------------------------------------- steps */

static void manifest_name(const struct wh_fence *fence, char out[HARD_FILE])
{
    snprintf(out, HARD_FILE, "manifest-%.*s-f%u-g%u", WH_STR_FMT(fence->run), fence->flow,
             fence->generation);
}

static wh_status steps(void *self, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                       struct wh_step_sink *out, struct wh_error *reterr)
{
    if (phase == WH_PREPARE)
        return hard_files_step(phase, "make the folder", "folder", 1, 0, out);
    if (phase == WH_PUBLISH)
        return hard_files_step(phase, "link the manifest of all units", "manifest", 1, 0, out);
    if (phase == WH_DROP)
        return hard_files_step(phase, "remove staged files that no manifest lists", "sweep", 1,
                               WH_STEP_DESTRUCTIVE | WH_STEP_OPTIONAL, out);
    return WH_OK;
}

static wh_status manifest_text(struct wh_receipts *receipts, struct wh_buf *text)
{
    struct wh_receipt r;
    int64_t rows = 0, files = 0;
    int st = WH_OK;

    while (receipts && (st = receipts->next(receipts, &r)) == WH_OK) {
        if (!r.receipt.n)
            continue; /* a unit without rows */
        WH_TRY(wh_buf_printf(text, "%.*s %lld\n", (int)r.receipt.n, (const char *)r.receipt.p,
                             (long long)r.rows));
        rows += r.rows;
        files++;
    }
    if (st != WH_END && st != WH_OK)
        return st;
    return wh_buf_printf(text, "#end %lld files %lld rows\n", (long long)files, (long long)rows);
}

/* The control (marker=off): what lies in the folder instead of what was recorded. */
static wh_status found_text(const struct hard_files *fl, const struct wh_fence *fence,
                            struct wh_buf *text, struct wh_error *reterr)
{
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(MANIFEST_MAX);
    char prefix[HARD_FILE];
    size_t n = 0;

    hard_files_prefix(fl, fence, prefix);
    WH_TRY(hard_files_list(fl->folder, prefix, &names, &n, reterr));
    char *rest = names.p;

    for (size_t i = 0; i < n; i++) {
        struct wh_buf part WH_CLEANUP(wh_buf_free) = WH_BUF(HARD_SPOOL_MAX);
        const char *name = strsep(&rest, "\n");
        int64_t rows = -1; /* the marker's line is none */

        if (!wh_str_ends(wh_str(name), ".part"))
            continue;
        WH_TRY(hard_files_read(fl->folder, name, &part, reterr));
        for (size_t k = 0; k < part.n; k++)
            rows += part.p[k] == '\n';
        WH_TRY(wh_buf_printf(text, "%s %lld\n", name, (long long)rows));
    }
    return wh_buf_adds(text, "#end control\n");
}

static wh_status publish(const struct hard_files *fl, const struct wh_fence *fence,
                         struct wh_receipts *receipts, struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(MANIFEST_MAX);
    struct wh_buf there WH_CLEANUP(wh_buf_free) = WH_BUF(MANIFEST_MAX);
    char name[HARD_FILE];

    manifest_name(fence, name);
    if (fl->base.ep->opts->marker)
        WH_TRY(manifest_text(receipts, &text));
    else
        WH_TRY(found_text(fl, fence, &text, reterr));
    int st = hard_files_put(fl->folder, name, &text, true, reterr);

    if (st != WH_REFUSED)
        return st;
    WH_TRY(hard_files_read(fl->folder, name, &there, reterr));
    if (there.n == text.n && memcmp(there.p, text.p, text.n) == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_STATE, "E5007", "%s exists and lists other files", name);
}

static wh_status sweep(const struct hard_files *fl, const struct wh_fence *fence,
                       struct wh_error *reterr)
{
    struct wh_buf listed WH_CLEANUP(wh_buf_free) = WH_BUF(MANIFEST_MAX);
    char name[HARD_FILE], path[HARD_PATH * 2];

    manifest_name(fence, name);
    snprintf(path, sizeof path, "%s/%s", fl->folder, name);
    if (access(path, F_OK) == 0)
        WH_TRY(hard_files_read(fl->folder, name, &listed, reterr));
    return hard_files_sweep(fl, fence, listed.p, reterr);
}

static wh_status apply(void *self, void *session, const struct wh_step *step,
                       const struct wh_fence *fence, struct wh_receipts *receipts, bool maybe_done,
                       struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct hard_files *fl = self;
    struct hard_session *se = session;
    char run[HARD_RUN];

    snprintf(run, sizeof run, "%.*s", WH_STR_FMT(fence->run));
    *ret_receipt = (struct wh_bytes){0};
    WH_TRY(hard_fault(se, se->ep->ctx, "a step", reterr));
    WH_TRY(hard_fenced(se, run, fence->epoch, reterr));
    if (step->phase == WH_PREPARE)
        return hard_files_make_folder(fl, reterr);
    if (step->phase == WH_PUBLISH)
        return publish(fl, fence, receipts, reterr);
    return sweep(fl, fence, reterr);
}

static const struct wh_sink_ops sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct hard_files),
    .wr_size = sizeof(struct writer),
    .target_open = target_open,
    .steps = steps,
    .apply = apply,
    .writer_open = writer_open,
    .writer_write = hard_writer_write,
    .writer_flush = hard_writer_flush,
    .writer_seal = hard_writer_seal,
    .writer_commit = writer_commit,
    .lookup = hard_files_lookup,
    .verify = hard_files_verify,
    .writer_close = hard_writer_close,
    .target_close = hard_target_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_P);
static const char *const schemes[] = {"hard-manifest", NULL};

WH_CONNECTOR(hard_manifest);
const struct wh_connector wh_connector_hard_manifest = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-manifest",
    .title = "Fake: a sink with one commit for all units",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .sink = &sink,
};
