/* SPDX-License-Identifier: Apache-2.0 */
/* hard-settle: settling reads the destination, as an upsert into a lake table does.
 *
 * The table is a set of file groups, by key, and numbered commit files that say which file is the
 * present one of each group. Attempts spill their rows by group and touch nothing else; SETTLE has
 * one step per touched group that reads the group's present file, merges what the recorded receipts
 * spilled into it, in the order of units, and writes a new file; PUBLISH makes the next commit
 * file. Two lanes never write one group. An engine that settles before all units are recorded loses
 * rows; one that merges twice is harmless here only because a step begins from the commit the run
 * began on (memo); one that settles from staged leftovers instead of receipts doubles rows in
 * append mode; one that publishes over a commit of somebody else loses theirs (refused: E5012).
 *
 * Files in <server>/files/<object>: part-...-u-a-k<group>.part (spill), part-...-u-a.part (index
 * with the marker: its rename is the unit's commit), group-<k>-<run>-f-g (merged), commit-<8
 * digits>. */
#include "hard_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "data/number.h"

enum {
    TEXT_MAX = 1 << 29,
    GROUPS_MOST = 1024
};

/* ---------------------------------------------------------------------------------- the commits */

/* Number of the latest commit, 0 if there is none. */
static wh_status latest(const struct hard_files *fl, int64_t *ret, struct wh_error *reterr)
{
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    size_t n = 0;

    *ret = 0;
    WH_TRY(hard_files_list(fl->folder, "commit-", &names, &n, reterr));
    char *rest = names.p;

    for (size_t i = 0; i < n; i++) {
        const char *name = strsep(&rest, "\n");

        if (strlen(name) == 15 && !wh_read_i64(name + 7, 8, ret))
            return wh_fail(reterr, WH_E_DATA, "E7016", "%s is no commit", name);
    }
    return WH_OK;
}

static wh_status read_commit(const struct hard_files *fl, int64_t version, struct wh_buf *out,
                             struct wh_error *reterr)
{
    char name[32];

    if (!version)
        return WH_OK;
    snprintf(name, sizeof name, "commit-%08lld", (long long)version);
    return hard_files_read(fl->folder, name, out, reterr);
}

/* Line "<group> <file>" of a commit; false if the group has no file. The first line names the run.
 */
static bool file_of(const struct wh_buf *commit, int group, char out[HARD_FILE + 64])
{
    const char *p = commit->p;
    char want[16];
    int n = snprintf(want, sizeof want, "\n%d ", group);

    p = p ? strstr(p, want) : NULL;
    if (!p)
        return false;
    p += n;
    snprintf(out, HARD_FILE + 64, "%.*s", (int)strcspn(p, "\n"), p);
    return true;
}

static wh_status target_open(void *self, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct hard_files *fl = self;

    WH_TRY(hard_files_open(fl, ep, se, io, reterr));
    if (io->memo.n && !wh_read_i64(io->memo.p, io->memo.n, &fl->version))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the memo is none of ours");
    if (!io->memo.n)
        WH_TRY(latest(fl, &fl->version, reterr));
    snprintf(fl->memo, sizeof fl->memo, "%lld", (long long)fl->version);
    io->ret_memo = (struct wh_bytes){fl->memo, strlen(fl->memo)};
    return WH_OK;
}

/* --------------------------------------------------------------------------------------- writer */

struct writer {
    struct hard_writer base;
    char stem[HARD_FILE + 48]; /* "part-...-u00000001-a0001" */
    char name[HARD_FILE + 64];
};

static wh_status writer_open(void *self, void *fl, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *unit, const struct wh_fence *fence,
                             struct wh_error *reterr)
{
    struct writer *wr = self;
    char prefix[HARD_FILE];
    struct wh_fence own = {.run = fence->run, .flow = unit->flow, .generation = unit->generation};

    hard_files_prefix(fl, &own, prefix);
    snprintf(wr->stem, sizeof wr->stem, "%su%08lld-a%04d", prefix, (long long)unit->id,
             unit->attempt);
    snprintf(wr->name, sizeof wr->name, "%s.part", wr->stem);
    return hard_writer_open(&wr->base, fl, se, attempt, unit, fence, reterr);
}

static int group_of(const struct hard_files *fl, const struct hard_value *row)
{
    const struct hard_value *key = &row[fl->key_column];
    uint64_t h = key->kind == HARD_TEXT ? wh_hash64(key->text.s, key->text.n, 0)
                                        : (uint64_t)(key->kind == HARD_INT ? key->i : 0);

    return (int)(h % (uint64_t)fl->base.ep->opts->groups);
}

static wh_status spill(struct writer *wr, struct wh_buf *groups, int64_t *counts)
{
    const struct hard_files *fl = (const void *)wr->base.fl;
    struct hard_value *row WH_CLEANUP(wh_freep) =
        wh_calloc((size_t)fl->base.accept.n_children + 1, sizeof *row);
    size_t at = 0;

    if (!row)
        return WH_E_NOMEM;
    while (hard_spool_next(&wr->base, &at, row)) {
        int k = group_of(fl, row);

        counts[k]++;
        groups[k].max = HARD_SPOOL_MAX;
        WH_TRY(hard_files_line(fl, row, &groups[k]));
    }
    return WH_OK;
}

/* The groups' files first; the index that lists them is the commit. */
static wh_status write_files(struct writer *wr, const struct wh_marker *marker,
                             struct wh_buf *groups, const int64_t *counts, struct wh_error *reterr)
{
    const struct hard_files *fl = (const void *)wr->base.fl;
    struct wh_buf index WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);

    for (int k = 0; k < fl->base.ep->opts->groups; k++) {
        char name[HARD_FILE + 80];

        if (!counts[k])
            continue;
        snprintf(name, sizeof name, "%s-k%d.part", wr->stem, k);
        WH_TRY(hard_files_put(fl->folder, name, &groups[k], false, reterr));
        WH_TRY(wh_buf_printf(&index, "%d %lld\n", k, (long long)counts[k]));
    }
    WH_TRY(hard_files_marker(&wr->base, marker, &index));
    return hard_files_put(fl->folder, wr->name, &index, false, reterr);
}

static wh_status stage(struct writer *wr, const struct wh_marker *marker, struct wh_error *reterr)
{
    int64_t n = wr->base.fl->ep->opts->groups;
    struct wh_buf *groups = wh_calloc((size_t)n, sizeof *groups);
    int64_t *counts = wh_calloc((size_t)n, sizeof *counts);
    int st = groups && counts ? spill(wr, groups, counts) : WH_E_NOMEM;

    if (st == WH_OK)
        st = write_files(wr, marker, groups, counts, reterr);
    for (int64_t k = 0; groups && k < n; k++)
        wh_buf_free(&groups[k]);
    wh_free(groups);
    wh_free(counts);
    return st;
}

static wh_status writer_commit(void *self, const struct wh_marker *marker,
                               struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct writer *wr = self;
    int unknown = hard_unknown(wr->base.fl->ep);

    WH_TRY(hard_fault(wr->base.se, wr->base.ctx, "a commit", reterr));
    WH_TRY(hard_fenced(wr->base.se, wr->base.run, wr->base.epoch, reterr));
    if (unknown != 2)
        WH_TRY(stage(wr, marker, reterr));
    if (unknown)
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the fake server did not answer the commit");
    *ret_receipt = (struct wh_bytes){wr->name, strlen(wr->name)};
    return WH_OK;
}

/* --------------------------------------------------------------------------------------- settle */

/* Marks the groups that a receipt's index file lists. */
static wh_status touched_by(const struct hard_files *fl, const struct wh_receipt *r, bool *touched,
                            struct wh_error *reterr)
{
    struct wh_buf index WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char name[HARD_FILE + 64];

    snprintf(name, sizeof name, "%.*s", (int)r->receipt.n, (const char *)r->receipt.p);
    WH_TRY(hard_files_read(fl->folder, name, &index, reterr));
    char *rest = index.p;

    for (char *line = strsep(&rest, "\n"); line && *line && *line != '#';
         line = strsep(&rest, "\n")) {
        int64_t k = -1;

        if (!wh_read_i64(line, strcspn(line, " "), &k) || k < 0 || k >= GROUPS_MOST)
            return wh_fail(reterr, WH_E_DATA, "E7016", "%s lists group '%s'", name, line);
        touched[k] = true;
    }
    return WH_OK;
}

static wh_status touched_groups(const struct hard_files *fl, struct wh_receipts *receipts,
                                bool touched[GROUPS_MOST], struct wh_error *reterr)
{
    struct wh_receipt r;
    int st;

    while ((st = receipts->next(receipts, &r)) == WH_OK)
        if (r.receipt.n)
            WH_TRY(touched_by(fl, &r, touched, reterr));
    return st == WH_END ? WH_OK : st;
}

/* One line of a group's file with its place in time. */
struct line {
    const char *p;
    size_t key_n, n;
    int64_t order;
};

struct lines {
    struct line *v;
    size_t n, cap;
};

static int by_key(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    size_t n = x->key_n < y->key_n ? x->key_n : y->key_n;
    int c = memcmp(x->p, y->p, n);

    if (c == 0 && x->key_n != y->key_n)
        c = x->key_n < y->key_n ? -1 : 1;
    return c ? c : x->order < y->order ? -1 : 1;
}

static wh_status add_lines(struct lines *l, const struct wh_buf *text, size_t from)
{
    const char *p = text->p + from, *end = text->p + text->n;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *tab = newline ? memchr(p, '\t', (size_t)(newline - p)) : NULL;

        if (!tab)
            return WH_E_DATA;
        if (l->n == l->cap) {
            size_t cap = l->cap ? l->cap * 2 : 1024;
            struct line *more = wh_realloc(l->v, cap * sizeof *more);

            if (!more)
                return WH_E_NOMEM;
            l->v = more;
            l->cap = cap;
        }
        l->v[l->n] = (struct line){p, (size_t)(tab - p), (size_t)(newline + 1 - p), (int64_t)l->n};
        l->n++;
        p = newline + 1;
    }
    return WH_OK;
}

/* One spilled file, if that attempt had rows of the group. */
static wh_status add_spilled(const struct hard_files *fl, const char *name, struct wh_buf *text,
                             struct wh_error *reterr)
{
    char path[HARD_PATH * 2];

    snprintf(path, sizeof path, "%s/%s", fl->folder, name);
    return access(path, F_OK) ? WH_OK : hard_files_read(fl->folder, name, text, reterr);
}

static wh_status add_recorded(const struct hard_files *fl, int group, struct wh_receipts *receipts,
                              struct wh_buf *text, struct wh_error *reterr)
{
    char name[HARD_FILE + 80];
    struct wh_receipt r;
    int st;

    while ((st = receipts->next(receipts, &r)) == WH_OK) {
        if (r.receipt.n <= 5)
            continue; /* a unit without rows */
        snprintf(name, sizeof name, "%.*s-k%d.part", (int)r.receipt.n - 5,
                 (const char *)r.receipt.p, group);
        WH_TRY(add_spilled(fl, name, text, reterr));
    }
    return st == WH_END ? WH_OK : st;
}

/* The control (marker=off): what lies in the folder instead of what was recorded. */
static wh_status add_found(const struct hard_files *fl, int group, const struct wh_fence *fence,
                           struct wh_buf *text, struct wh_error *reterr)
{
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char prefix[HARD_FILE], suffix[24];
    size_t n = 0;

    hard_files_prefix(fl, fence, prefix);
    snprintf(suffix, sizeof suffix, "-k%d.part", group);
    WH_TRY(hard_files_list(fl->folder, prefix, &names, &n, reterr));
    char *rest = names.p;

    for (size_t i = 0; i < n; i++) {
        const char *name = strsep(&rest, "\n");

        if (wh_str_ends(wh_str(name), suffix))
            WH_TRY(add_spilled(fl, name, text, reterr));
    }
    return WH_OK;
}

/* All text first (the buffer moves while it grows), then the lines. */
static wh_status gather(const struct hard_files *fl, int group, const struct wh_fence *fence,
                        struct wh_receipts *receipts, struct wh_buf *text, struct wh_error *reterr)
{
    struct wh_buf commit WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char name[HARD_FILE + 80];

    WH_TRY(read_commit(fl, fl->version, &commit, reterr));
    if (file_of(&commit, group, name))
        WH_TRY(hard_files_read(fl->folder, name, text, reterr));
    if (!fl->base.ep->opts->marker)
        return add_found(fl, group, fence, text, reterr);
    return add_recorded(fl, group, receipts, text, reterr);
}

static void group_name(const struct wh_fence *fence, int group, char out[HARD_FILE + 64])
{
    snprintf(out, HARD_FILE + 64, "group-%d-%.*s-f%u-g%u", group, WH_STR_FMT(fence->run),
             fence->flow, fence->generation);
}

static wh_status put_merged(const struct hard_files *fl, const struct wh_fence *fence, int group,
                            struct lines *l, struct wh_error *reterr)
{
    struct wh_buf out WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char name[HARD_FILE + 64];

    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_key);
    for (size_t i = 0; i < l->n; i++) {
        const struct line *a = &l->v[i], *b = i + 1 < l->n ? a + 1 : NULL;
        bool replaced = fl->upsert && b && a->key_n == b->key_n && !memcmp(a->p, b->p, a->key_n);

        if (!replaced)
            WH_TRY(wh_buf_add(&out, a->p, a->n));
    }
    group_name(fence, group, name);
    return hard_files_put(fl->folder, name, &out, false, reterr);
}

static wh_status settle(const struct hard_files *fl, const struct wh_step *step,
                        const struct wh_fence *fence, struct wh_receipts *receipts,
                        struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    struct lines l = {0};
    int64_t group = 0;

    if (!wh_read_i64(step->token.p, step->token.n, &group) || group < 0 || group >= GROUPS_MOST)
        return wh_fail(reterr, WH_E_STATE, "E7003", "a step that is none of ours");
    WH_TRY(gather(fl, (int)group, fence, receipts, &text, reterr));
    int st = text.n ? add_lines(&l, &text, 0) : WH_OK;

    if (st == WH_OK)
        st = put_merged(fl, fence, (int)group, &l, reterr);
    wh_free(l.v);
    return st;
}

/* -------------------------------------------------------------------------------------- publish */

static wh_status commit_text(const struct hard_files *fl, const struct wh_fence *fence,
                             const struct wh_buf *before, struct wh_buf *out)
{
    WH_TRY(wh_buf_printf(out, "#%.*s f%u g%u\n", WH_STR_FMT(fence->run), fence->flow,
                         fence->generation));
    for (int k = 0; k < fl->base.ep->opts->groups; k++) {
        char mine[HARD_FILE + 64], path[HARD_PATH * 2], old[HARD_FILE + 64];

        group_name(fence, k, mine);
        snprintf(path, sizeof path, "%s/%s", fl->folder, mine);
        if (access(path, F_OK) == 0)
            WH_TRY(wh_buf_printf(out, "%d %s\n", k, mine));
        else if (file_of(before, k, old))
            WH_TRY(wh_buf_printf(out, "%d %s\n", k, old));
    }
    return WH_OK;
}

/* The next number, made exclusively: ours already = done, anybody else's = the table changed. */
static wh_status publish(const struct hard_files *fl, const struct wh_fence *fence,
                         struct wh_error *reterr)
{
    struct wh_buf before WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    struct wh_buf there WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char name[32];

    WH_TRY(read_commit(fl, fl->version, &before, reterr));
    WH_TRY(commit_text(fl, fence, &before, &text));
    snprintf(name, sizeof name, "commit-%08lld", (long long)fl->version + 1);
    int st = hard_files_put(fl->folder, name, &text, true, reterr);

    if (st != WH_REFUSED)
        return st;
    WH_TRY(hard_files_read(fl->folder, name, &there, reterr));
    if (there.n == text.n && memcmp(there.p, text.p, text.n) == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_STATE, "E5012", "%s was made by somebody else", name);
}

/* After our commit file is there the spilled files may be gone. */
static wh_status verify(void *self, void *se, struct wh_receipts *committed,
                        const struct wh_fence *fence, struct wh_error *reterr)
{
    struct hard_files *fl = self;
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(TEXT_MAX);
    char ours[HARD_RUN + 4];

    if (read_commit(fl, fl->version + 1, &text, NULL) == WH_OK) {
        int n = snprintf(ours, sizeof ours, "#%.*s ", WH_STR_FMT(fence->run));

        if (text.n > (size_t)n && memcmp(text.p, ours, (size_t)n) == 0)
            return WH_OK;
    }
    return hard_files_verify(fl, se, committed, fence, reterr);
}

/* ---------------------------------------------------------------------------------------- steps */

static wh_status settle_steps(const struct hard_files *fl, struct wh_receipts *receipts,
                              struct wh_step_sink *out, struct wh_error *reterr)
{
    bool touched[GROUPS_MOST] = {false};
    uint32_t id = 0;

    if (!receipts)
        return hard_files_step(WH_SETTLE, "merge each touched file group", "0", 1, WH_STEP_PARALLEL,
                               out);
    WH_TRY(touched_groups(fl, receipts, touched, reterr));
    for (int k = 0; k < GROUPS_MOST; k++) {
        char say[48], token[16];

        if (!touched[k])
            continue;
        snprintf(say, sizeof say, "merge file group %d", k);
        snprintf(token, sizeof token, "%d", k);
        WH_TRY(hard_files_step(WH_SETTLE, say, token, ++id, WH_STEP_PARALLEL, out));
    }
    return WH_OK;
}

static wh_status steps(void *self, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                       struct wh_step_sink *out, struct wh_error *reterr)
{
    switch (phase) {
    case WH_PREPARE:
        return hard_files_step(phase, "make the folder", "folder", 1, 0, out);
    case WH_SETTLE:
        return settle_steps(self, receipts, out, reterr);
    case WH_PUBLISH:
        return hard_files_step(phase, "make the next commit file", "commit", 1, 0, out);
    case WH_DROP:
        return hard_files_step(phase, "remove the spilled files", "sweep", 1,
                               WH_STEP_DESTRUCTIVE | WH_STEP_OPTIONAL, out);
    default:
        return WH_OK;
    }
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
    switch (step->phase) {
    case WH_PREPARE:
        return hard_files_make_folder(fl, reterr);
    case WH_SETTLE:
        return settle(fl, step, fence, receipts, reterr);
    case WH_PUBLISH:
        return publish(fl, fence, reterr);
    default:
        return hard_files_sweep(fl, fence, NULL, reterr);
    }
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
    .verify = verify,
    .writer_close = hard_writer_close,
    .target_close = hard_target_close,
};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_WHOLE_DATABASE | WH_CAP_LOCAL,
    .modes = 1u << WH_MODE_APPEND | 1u << WH_MODE_UPSERT,
    .commit_class = WH_CLASS_P,
    .atomics = 1u << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_NONE,
    .grade = "G5",
    .limits = "a fake for tests",
};
static const char *const schemes[] = {"hard-settle", NULL};

WH_CONNECTOR(hard_settle);
const struct wh_connector wh_connector_hard_settle = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-settle",
    .title = "Fake: a sink whose settling reads the destination",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .sink = &sink,
};
