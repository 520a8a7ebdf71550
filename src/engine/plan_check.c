/* SPDX-License-Identifier: Apache-2.0 */
/* What this pair can do: refusals worded once, lanes, memory, promises. */
#include "engine/plan_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LANE_BYTES = 9 << 20,     /* batch 1, queue 3, unacknowledged 4, encoder 1 MiB (DESIGN 6.7) */
    CLIENT_BYTES = 3 << 20,   /* a client library that says nothing */
    PROGRAM_BYTES = 16 << 20, /* the program itself, its modules, the plan */
    WORDS_NAMED = 6           /* columns in one warning */
};

const char *wh_mode_name(int mode)
{
    static const char *const names[] = {"append",  "overwrite", "truncate",      "upsert",
                                        "replace", "update",    "insert-ignore", "delete-insert"};

    return mode >= 0 && mode < WH_MODE_COUNT ? names[mode] : "?";
}

const char *wh_class_letter(enum wh_class c)
{
    static const char *const letters[] = {"T", "P", "D", "K", "X", "A"};

    return (size_t)c < 6 ? letters[c] : "?";
}

const char *wh_atomic_name(int atomic)
{
    static const char *const names[] = {"unit", "table", "run"};

    return atomic >= 0 && atomic < 3 ? names[atomic] : "?";
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static int refuse_mode(const struct wh_stream *s, struct wh_error *reterr)
{
    const struct wh_capabilities *caps = s->to.connector->caps;
    char modes[160] = "";
    size_t n = 0;
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "%s cannot be written with mode %s",
                     s->to.connector->name, wh_mode_name(s->write.mode));

    for (int i = 0; i < WH_MODE_COUNT; i++)
        if (caps->modes & 1u << i)
            n += (size_t)snprintf(modes + n, sizeof modes - n, "%s%s", n ? ", " : "",
                                  wh_mode_name(i));
    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "it can be written with %s", modes);
    return st;
}

static int refuse_atomic(const struct wh_stream *s, struct wh_error *reterr)
{
    const struct wh_capabilities *caps = s->to.connector->caps;
    char words[64] = "";
    size_t n = 0;
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "%s cannot publish with atomic: %s",
                     s->to.connector->name, wh_atomic_name(s->write.atomic));

    for (int i = 0; i < 3; i++)
        if (caps->atomics & 1u << i)
            n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", n ? ", " : "",
                                  wh_atomic_name(i));
    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "it can give: %s", words);
    return st;
}

static int refuse_filter(const struct wh_stream *s, const char *key, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1064", "%s has no language for '%s'",
                     s->from.connector->name, key);

    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "load the rows into SQLite first and filter there");
    return st;
}

static int refuse_split_by(const struct wh_stream *s, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s does not divide a table by a column",
                     s->from.connector->name);

    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "leave split.by out: units are cut by places or bytes");
    return st;
}

static int refuse_statements(const struct wh_stream *s, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1068", "%s runs no SQL: write.%s is not possible",
                     s->to.connector->name, s->write.before.n ? "before" : "after");

    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "leave it out, or run a program of yours before and after wherry");
    return st;
}

/* What needs no server. */
int wh_plan_check_stream(const struct wh_stream *s, struct wh_error *reterr)
{
    const struct wh_capabilities *from = s->from.connector->caps, *to = s->to.connector->caps;
    bool stdio = s->from.name.n == 1 && wh_str_eqs(s->from.name.part[0], "-");

    if (!(to->modes & 1u << s->write.mode))
        return refuse_mode(s, reterr);
    if (s->write.atomic >= 0 && !(to->atomics & 1u << s->write.atomic))
        return refuse_atomic(s, reterr);
    if ((s->write.before.n || s->write.after.n) && !(to->flags & WH_CAP_STATEMENTS))
        return refuse_statements(s, reterr);
    if (s->where && !(from->flags & WH_CAP_WHERE))
        return refuse_filter(s, "where", reterr);
    if (s->split_by && !(from->flags & WH_CAP_SPLIT_BY))
        return refuse_split_by(s, reterr);
    if (s->query && !(from->flags & WH_CAP_QUERY))
        return refuse_filter(s, "query", reterr);
    if (stdio && s->from.connector->storage && !(from->flags & WH_CAP_STDIO))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s cannot read standard input",
                       s->from.connector->name);
    if (s->query && s->from.pattern && !s->from.whole)
        return wh_fail(reterr, WH_E_USAGE, "E1007", "a query and a pattern exclude each other");
    return WH_OK;
}

static bool replaces(int mode)
{
    return mode == WH_MODE_OVERWRITE || mode == WH_MODE_TRUNCATE || mode == WH_MODE_DELETE_INSERT;
}

/* One file under two names (a link, another spelling) is one database all the same. */
static bool same_file(const struct wh_endpoint *a, const struct wh_endpoint *b)
{
    const char *x = wh_node_text(wh_node_get(a->options, "path"), NULL);
    const char *y = wh_node_text(wh_node_get(b->options, "path"), NULL);
    struct stat u, v;

    return a->connector == b->connector && x && y && stat(x, &u) == 0 && stat(y, &v) == 0 &&
           u.st_dev == v.st_dev && u.st_ino == v.st_ino;
}

/* A path as folder (resolved) and last part; relative ones start at the connection's root. */
struct place {
    char folder[PATH_MAX];
    char name[PATH_MAX];
};

static bool place_of(const struct wh_endpoint *ep, struct wh_str path, struct place *ret)
{
    const char *root = wh_node_text(wh_node_get(ep->options, "root"), ".");
    bool absolute = path.n && path.s[0] == '/';
    char text[PATH_MAX];
    int n = snprintf(text, sizeof text, "%s%s%.*s", absolute ? "" : root, absolute ? "" : "/",
                     WH_STR_FMT(path));

    if (n < 0 || n >= (int)sizeof text)
        return false;
    char *slash = strrchr(text, '/');

    snprintf(ret->name, sizeof ret->name, "%s", slash + 1);
    slash[slash == text] = 0;
    return realpath(text, ret->folder);
}

/* Would reading this path, glob or folder meet the file that is written? */
static bool meets(const struct wh_flow *f, struct wh_str source, const struct place *target)
{
    struct place from;

    return place_of(f->from, source, &from) && strcmp(from.folder, target->folder) == 0 &&
           (!from.name[0] || wh_glob_match(from.name, wh_str(target->name), false));
}

static bool reads_its_target(const struct wh_flow *f)
{
    const struct wh_connector *c = f->from->connector;
    const struct wh_list *more = &f->stream->from.more;
    struct place target;

    if (!c->storage || c != f->to->connector || !(c->caps->flags & WH_CAP_LOCAL) ||
        f->source.n != 1 || f->tgt.ret_object.n != 1 ||
        !place_of(f->to, f->tgt.ret_object.part[0], &target) || !target.name[0])
        return false;
    for (size_t i = 0; i < more->n; i++)
        if (meets(f, wh_str(more->v[i]), &target))
            return true;
    return meets(f, f->source.part[0], &target);
}

static int read_and_written(const struct wh_flow *f, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1026", "%s would be read and written at once", f->table);

    wh_error_where(reterr, "%s", f->stream->where_place);
    wh_error_hint(reterr, "name another destination");
    return st;
}

/* `-` is two things: what comes in, and what goes out. */
static bool are_streams(const struct wh_flow *f)
{
    return f->from->connector->caps->flags & WH_CAP_STDIO && f->source.n == 1 &&
           f->tgt.ret_object.n == 1 && wh_str_eqs(f->source.part[0], "-") &&
           wh_str_eqs(f->tgt.ret_object.part[0], "-");
}

static int same_object(const struct wh_flow *f, struct wh_error *reterr)
{
    if (are_streams(f))
        return WH_OK;
    if (reads_its_target(f))
        return read_and_written(f, reterr);
    if ((f->from != f->to && !same_file(f->from, f->to)) || f->stream->query || f->source.n == 0 ||
        f->tgt.ret_object.n == 0)
        return WH_OK;
    const struct wh_name *a = &f->source, *b = &f->tgt.ret_object;
    int n = a->n < b->n ? a->n : b->n;

    for (int i = 1; i <= n; i++)
        if (!wh_str_eq(a->part[a->n - i], b->part[b->n - i]))
            return WH_OK;
    return read_and_written(f, reterr);
}

/* What the destination says of its columns, line by line. */
static void target_warnings(struct wh_flow *f)
{
    const char *p = f->tgt.say_warn.s, *end = p ? p + f->tgt.say_warn.n : NULL;

    while (p && p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);

        wh_problem_warn(&f->notes, "E3018", f->stream->where_place, NULL, "%.*s", (int)n, p);
        p += n + 1;
    }
}

/* Is this column the source's own text of a type that is lost on the way? Between two of the same
 * system the destination has said what becomes of it, unless the text itself says less. */
static bool is_words(const struct wh_flow *f, const struct wh_plan_column *c, bool rounded)
{
    struct wh_str words = {0};

    return c->source >= 0 &&
           wh_meta_get(f->source_schema.children[c->source], WH_META_WORDS, &words) &&
           wh_str_eqs(words, rounded ? "rounded" : "exact") &&
           (rounded || f->from->connector != f->to->connector);
}

static void words_warning(struct wh_flow *f, bool rounded)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    int n = 0;

    for (int64_t i = 0; i < f->n_columns; i++) {
        struct wh_str native = {"?", 1};

        if (!is_words(f, &f->columns[i], rounded) || n++ >= WORDS_NAMED)
            continue;
        wh_ignore(wh_meta_get(f->source_schema.children[f->columns[i].source], WH_META_TYPE,
                              &native) != NULL);
        if (wh_buf_printf(&b, "%s\"%.60s\" (%.*s)", n > 1 ? ", " : "", f->columns[i].name,
                          WH_STR_FMT(wh_str_clip(native, 60))) != WH_OK)
            return;
    }
    if (n > WORDS_NAMED && wh_buf_printf(&b, " and %d more", n - WORDS_NAMED) != WH_OK)
        return;
    if (n)
        wh_problem_warn(&f->notes, "E3019", f->stream->where_place, NULL,
                        "%s arrive%s as %s's text, %s", b.p, n == 1 ? "s" : "",
                        f->from->connector->name,
                        rounded ? "which has fewer digits than the value may hold"
                                : "exact, but of no type of its own");
}

int wh_plan_check_flow(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;

    WH_TRY(same_object(f, reterr));
    target_warnings(f);
    words_warning(f, false);
    words_warning(f, true);
    if (s->limit && !f->scan.limit_done && f->scan.chained)
        wh_problem_warn(&f->notes, "E1065", s->where_place, NULL,
                        "limit: rows are cut by the engine, in the order in which units are read");
    if (replaces(s->write.mode) && f->tgt.exists && f->tgt.existing_rows != 0 &&
        !s->guard_empty_allow)
        f->guard = s->guard_max_shrink > 0
                       ? "rows are replaced only if the source is not empty and does not shrink "
                         "too much"
                       : "rows are replaced only if the source is not empty";
    if (s->write.mode == WH_MODE_TRUNCATE && f->tgt.existing_rows != 0)
        wh_problem_warn(&f->notes, "E5009", s->where_place, NULL,
                        "truncate empties in place: after a failure it is partly filled until "
                        "'wherry resume'");
    if (s->write.before.n && s->write.on_resume == 1 && f->tgt.atomic_given == WH_ATOMIC_UNIT)
        wh_problem_warn(&f->notes, "E1068", s->where_place, "'on_resume: skip' runs it once",
                        "write.before runs again with every resume, where rows of committed units "
                        "are then there already");
    return WH_OK;
}

/* ---- lanes ------------------------------------------------------------------------------------
 */

static int64_t default_parallel(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > 4 ? 4 : cores;
}

static int least(int64_t a, int64_t b)
{
    if (a <= 0)
        return (int)b;
    return (int)(b <= 0 || a < b ? a : b);
}

static int64_t unit_bytes(const struct wh_flow *f)
{
    return f->scan.unit_bytes > 0 ? f->scan.unit_bytes : 64 << 20;
}

static int64_t estimate_units(const struct wh_flow *f)
{
    if (!f->scan.splittable || f->stream->split_none)
        return 1;
    if (f->scan.est_bytes < 0)
        return -1;
    int64_t n = f->scan.est_bytes / unit_bytes(f) + (f->scan.est_bytes % unit_bytes(f) != 0);

    return n > 0 ? n : 1;
}

static void decide_lanes(struct wh_planner *p, struct wh_flow *f)
{
    int lanes = least(p->plan->parallel, f->stream->parallel);

    lanes = least(lanes, f->scan.max_readers);
    lanes = least(lanes, f->tgt.max_writers);
    f->est_units = estimate_units(f);
    if (f->est_units > 0)
        lanes = least(lanes, f->est_units);
    if (f->tgt.needs_key_order && lanes > 1) {
        lanes = 1;
        wh_problem_warn(&f->notes, "E1060", f->stream->where_place, NULL,
                        "one lane: the destination needs the rows of one key in order");
    }
    f->lanes = lanes < 1 ? 1 : lanes;
}

/* ---- promises ---------------------------------------------------------------------------------
 */

static const char *delivery(const struct wh_flow *f)
{
    if (f->stream->write.marker_off && f->tgt.commit_class == WH_CLASS_T)
        return "at least once";
    switch (f->tgt.commit_class) {
    case WH_CLASS_T:
        return f->tgt.atomic_given == WH_ATOMIC_UNIT ? "exactly once per unit"
                                                     : "exactly once per run";
    case WH_CLASS_P:
        return "exactly once per run";
    case WH_CLASS_X:
        return "exactly once per unit";
    case WH_CLASS_K:
    case WH_CLASS_D:
        return "idempotent";
    case WH_CLASS_A:
        break;
    }
    return "at least once";
}

/* What kill -9 leaves, where the connector did not say it. */
static const char *on_kill(const struct wh_flow *f)
{
    static const char *const words[] = {
        "committed units stay and are not read again; 'wherry resume' does the rest",
        "nothing is visible until it is complete; 'wherry resume' goes on with what was staged",
        "units are sent again; the destination drops what it knows, inside its window",
        "units that were in flight are written again over the same keys",
        "open transactions end by themselves; 'wherry resume' does the rest",
        "units that were in flight are written again: rows may be there twice"};

    if (f->tgt.on_kill[0])
        return f->tgt.on_kill;
    return words[f->stream->write.marker_off ? WH_CLASS_A : f->tgt.commit_class];
}

static bool all_identity(const struct wh_flow *f)
{
    if (f->n_columns != f->source_schema.n_children)
        return false;
    for (int64_t i = 0; i < f->n_columns; i++)
        if (f->columns[i].source != i || f->columns[i].fit > WH_FIT_WIDENING)
            return false;
    return true;
}

/* No policy that may change or refuse a value that both ends can hold. */
static bool values_stay(const struct wh_stream *s)
{
    const struct wh_value_policy *v = &s->values;

    return !(v->zero_date_null || v->infinity_null || v->nan_null || v->invalid_text_replace ||
             v->empty_text_null || v->char_padding_trim || v->nan_refuse || v->infinity_refuse);
}

/* A frame passes only if nothing looks at its rows (DESIGN 4). NULL: it does; "": there is nothing
 * to say about it. */
static const char *why_no_frame(const struct wh_flow *f)
{
    const struct wh_stream *s = f->stream;

    if (!f->to->connector->caps->frames || (!f->scan.frame && !f->scan.frame_why[0]))
        return "";
    if (!f->scan.frame)
        return f->scan.frame_why;
    if (!f->from->connector->source->use_frames)
        return "the source cannot";
    if (!f->tgt.frame || strcmp(f->scan.frame, f->tgt.frame) != 0)
        return f->tgt.frame_why[0] ? f->tgt.frame_why : "the destination does not take it";
    if (!all_identity(f))
        return "columns are left out, reordered or converted";
    if (s->dirty_rows > 0 || s->dirty_ratio > 0)
        return "dirty rows are allowed, so each is looked at";
    if (!values_stay(s))
        return "values: asks for a look at every value";
    return NULL;
}

static void decide_frame(struct wh_flow *f)
{
    f->frame = NULL;
    f->frame_why = why_no_frame(f);
    if (f->frame_why)
        return;
    f->frame = f->scan.frame;
    f->from->connector->source->use_frames(f->sc, true);
}

/* Both ends hold infinite dates and times: they pass, unless the job wants NULL. One that another
 * column cannot hold is refused for all. */
static int decide_infinite(struct wh_planner *p, struct wh_flow *f)
{
    const struct wh_source_ops *ops = f->from->connector->source;
    int64_t n = f->source_schema.n_children;
    bool null = f->stream->values.infinity_null;

    if (!ops->infinite || n == 0 || p->plan->no_source)
        return WH_OK;
    f->infinite = wh_arena_alloc(p->arena, (size_t)n * sizeof *f->infinite);
    if (!f->infinite)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < n; i++)
        f->infinite[i] = null ? WH_INFINITE_NULL : WH_INFINITE_REJECT;
    for (int64_t i = 0; i < f->n_columns && f->tgt.keeps_infinite; i++)
        if (f->columns[i].source >= 0 && f->tgt.keeps_infinite[i])
            f->infinite[f->columns[i].source] = WH_INFINITE_KEEP;
    for (int64_t i = 0; i < f->n_columns && f->tgt.keeps_infinite; i++)
        if (f->columns[i].source >= 0 && !f->tgt.keeps_infinite[i] &&
            f->infinite[f->columns[i].source] == WH_INFINITE_KEEP)
            f->infinite[f->columns[i].source] = WH_INFINITE_NEITHER;
    for (int64_t i = 0; i < f->n_columns; i++)
        f->columns[i].infinite =
            f->columns[i].source >= 0 && f->infinite[f->columns[i].source] == WH_INFINITE_KEEP;
    ops->infinite(f->sc, f->infinite, n);
    return WH_OK;
}

static bool under_one_batch(const struct wh_flow *f)
{
    return f->scan.est_rows >= 0 && f->scan.est_rows <= WH_BATCH_ROWS && f->scan.est_bytes >= 0 &&
           f->scan.est_bytes <= WH_BATCH_BYTES;
}

int wh_plan_decide(struct wh_planner *p, struct wh_flow *f)
{
    WH_TRY(decide_infinite(p, f));
    decide_frame(f);
    f->fused = f->frame || under_one_batch(f);
    f->delivery = delivery(f);
    f->on_kill = on_kill(f);
    if (f->tgt.commit_class == WH_CLASS_D)
        wh_problem_warn(&f->notes, "E1060", f->stream->where_place, NULL,
                        "the destination drops repeated units only inside its own window of time");
    if (f->stream->write.marker_off && f->tgt.commit_class == WH_CLASS_T)
        wh_problem_warn(&f->notes, "E5013", f->stream->where_place, NULL,
                        "marker: off gives up exactly once: a kill may leave rows twice");
    decide_lanes(p, f);
    return WH_OK;
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static int64_t footprint(const struct wh_endpoint *ep)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;

    if (ops->footprint)
        return ops->footprint(ep->opts);
    return ep->connector->caps->flags & WH_CAP_LOCAL ? 0 : CLIENT_BYTES;
}

/* One lane of the costliest flow: what it holds at most at once. A row of 4 MiB fits the parts as
 * they are; above it batch, queue and encoder each hold one more. */
static int64_t lane_bytes(const struct wh_planner *p)
{
    int64_t most = LANE_BYTES + CLIENT_BYTES;

    for (size_t i = 0; i < p->plan->n_flows; i++) {
        const struct wh_flow *f = p->plan->flows[i];
        int64_t over = f->stream->max_row_bytes - (4 << 20);

        if (f->refused)
            continue;
        int64_t bytes =
            LANE_BYTES + footprint(f->from) + footprint(f->to) + (over > 0 ? 4 * over : 0);

        most = bytes > most ? bytes : most;
    }
    return most;
}

int wh_plan_memory(struct wh_planner *p, struct wh_error *reterr)
{
    struct wh_plan *plan = p->plan;
    int64_t limit = p->job->run.memory, lane = lane_bytes(p);
    int wanted = plan->parallel, lanes = 1;

    for (size_t i = 0; i < plan->n_flows; i++)
        if (!plan->flows[i]->refused && plan->flows[i]->lanes > lanes)
            lanes = plan->flows[i]->lanes;
    /* Several tables at once fill the lanes that one table leaves. */
    if (plan->n_flows > 1)
        lanes = plan->parallel;
    while (limit > 0 && lanes > 1 && PROGRAM_BYTES + lanes * lane > limit)
        lanes--;
    plan->memory = PROGRAM_BYTES + lanes * lane;
    if (limit > 0 && plan->memory > limit) {
        int st = wh_fail(
            reterr, WH_E_USAGE, "E8001",
            "one lane needs %lld MB and the program %d MB, but --memory allows %lld MB",
            (long long)(lane / 1000000), PROGRAM_BYTES / 1000000, (long long)(limit / 1000000));

        wh_error_hint(reterr, "raise --memory, or lower values.max_row_bytes");
        return st;
    }
    if (limit > 0 && PROGRAM_BYTES + wanted * lane > limit) {
        plan->parallel = lanes;
        for (size_t i = 0; i < plan->n_flows; i++)
            plan->flows[i]->lanes = least(plan->flows[i]->lanes, lanes);
        wh_problem_warn(&plan->problems, "E8001", "", "raise --memory for more",
                        "--memory %lld MB holds %d lane%s of %lld MB", (long long)(limit / 1000000),
                        lanes, lanes == 1 ? "" : "s", (long long)(lane / 1000000));
    }
    return WH_OK;
}

/* ---- targets ----------------------------------------------------------------------------------
 */

static void refuse_flow(struct wh_plan *plan, struct wh_flow *f, int status, const char *code,
                        const char *hint, const char *text)
{
    struct wh_error err;

    err.status = wh_fail(&err, status, code, "%s", text);
    wh_error_where(&err, "%s", f->stream->where_place);
    wh_error_hint(&err, "%s", hint);
    wh_plan_refuse(plan, f, &err);
}

static bool merged(const struct wh_flow *a, const struct wh_flow *b)
{
    return strcmp(a->stream->name, b->stream->name) == 0 && a->stream->merge == 1 &&
           b->stream->merge == 1;
}

#define BOTH_SPELLINGS                                                                             \
    "write {source.table} into the destination's name, or 'merge: same' (--merge same) if the "    \
    "rows of all belong into one table"

/* The target is made once, by the first of them. */
static void follow(struct wh_flow *f, const struct wh_flow *leader)
{
    size_t n = 0;

    f->leader = leader;
    for (size_t i = 0; i < f->n_steps; i++)
        if (f->steps[i].step.phase != WH_PREPARE && !(f->steps[i].step.flags & WH_STEP_STATEMENT))
            f->steps[n++] = f->steps[i];
    f->n_steps = n;
    f->tgt.say_create.n = 0;
}

/* Rows of several tables go together only where nothing replaces what another flow wrote. */
static void check_pair(struct wh_plan *plan, struct wh_flow *a, struct wh_flow *b)
{
    if (a->refused || b->refused || !a->tgt.identity[0] ||
        strcmp(a->tgt.identity, b->tgt.identity) != 0)
        return;
    char text[400];

    if (!merged(a, b)) {
        snprintf(text, sizeof text, "%.120s and %.120s would both be written to %.120s", a->table,
                 b->table, wh_plan_target_text(b));
        refuse_flow(plan, b, WH_E_USAGE, a->stream == b->stream ? "E1027" : "E1042", BOTH_SPELLINGS,
                    text);
    } else if (a->stream->write.mode != WH_MODE_APPEND || b->stream->write.mode != WH_MODE_APPEND ||
               a->tgt.commit_class != WH_CLASS_T) {
        refuse_flow(plan, b, WH_E_UNSUPPORTED, "E1060", "use mode append into a database",
                    "many tables go into one only by append into a transactional destination in "
                    "this build");
    } else if (!wh_schema_equal(&a->mapped, &b->mapped)) {
        snprintf(text, sizeof text,
                 "merge: same, but %.150s has other columns or types than %.150s", b->table,
                 a->table);
        refuse_flow(plan, b, WH_E_USAGE, "E3005", "name the columns that all have (columns:)",
                    text);
    } else {
        follow(b, a);
    }
}

static int by_identity(const void *a, const void *b)
{
    const struct wh_flow *x = *(const struct wh_flow *const *)a,
                         *y = *(const struct wh_flow *const *)b;
    int order = strcmp(x->tgt.identity, y->tgt.identity);

    return order ? order : x->index - y->index;
}

/* A destination that cannot commit while it is read, and something of this run reads it. */
static void check_alone(struct wh_plan *plan, struct wh_flow *f)
{
    char text[400];

    if (f->refused || !f->tgt.alone[0])
        return;
    for (size_t i = 0; i < plan->n_endpoints; i++) {
        const struct wh_endpoint *ep = plan->endpoints[i];

        if (!ep->is_source || (ep != f->to && !same_file(ep, f->to)))
            continue;
        snprintf(text, sizeof text,
                 "%.120s cannot be committed while %.120s is read: both are one file",
                 wh_plan_target_text(f), ep->name);
        refuse_flow(plan, f, WH_E_UNSUPPORTED, "E1026", f->tgt.alone, text);
        return;
    }
}

int wh_plan_targets(struct wh_planner *p)
{
    struct wh_plan *plan = p->plan;
    size_t n = plan->n_flows, first = 0;
    WH_CLEANUP(wh_freep) struct wh_flow **sorted = wh_calloc(n + 1, sizeof(struct wh_flow *));

    if (!sorted)
        return WH_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = plan->flows[i];
        check_alone(plan, plan->flows[i]);
    }
    qsort(sorted, n, sizeof(struct wh_flow *), by_identity);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(sorted[i]->tgt.identity, sorted[first]->tgt.identity) != 0)
            first = i;
        else
            check_pair(plan, sorted[first], sorted[i]);
    }
    return WH_OK;
}

int wh_plan_parallel(const struct wh_job *job)
{
    return (int)(job->run.parallel > 0 ? job->run.parallel : default_parallel());
}
