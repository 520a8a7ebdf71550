/* SPDX-License-Identifier: Apache-2.0 */
/* What this pair can do: refusals of what is there, promises. */
#include "engine/plan_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WORDS_NAMED = 6 /* columns in one warning */
};

static bool replaces(const struct wh_write_options *w)
{
    return w->mode == WH_MODE_OVERWRITE || w->mode == WH_MODE_TRUNCATE ||
           (w->mode == WH_MODE_DELETE_INSERT && !w->replace_keys);
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
    if (reads_its_target(f) ||
        (f->scan.identity && f->scan.identity[0] && strcmp(f->scan.identity, f->tgt.identity) == 0))
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

/* What an end says, line by line: the source of what it leaves out, the destination of its columns.
 */
static void said_warnings(struct wh_flow *f, const char *code, struct wh_str said)
{
    const char *p = said.s, *end = p ? p + said.n : NULL;

    while (p && p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);

        wh_problem_warn(&f->notes, code, f->stream->where_place, NULL, "%.*s", (int)n, p);
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

/* What is computed anew each time is not the row's alone. */
static void varying_warning(struct wh_flow *f)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    const char *where = NULL;
    int n = 0;

    for (int64_t i = 0; i < f->n_columns; i++) {
        const struct wh_plan_column *c = &f->columns[i];

        if (!c->varies || n++ >= WORDS_NAMED)
            continue;
        where = where ? where : c->where;
        if (wh_buf_printf(&b, "%s'%.60s'", n > 1 ? ", " : "", c->name) != WH_OK)
            return;
    }
    if (n > WORDS_NAMED && wh_buf_printf(&b, " and %d more", n - WORDS_NAMED) != WH_OK)
        return;
    if (n)
        wh_problem_warn(&f->notes, "E3021", where, NULL,
                        "%s: the source computes %s anew whenever a row is read, so that validate "
                        "leaves %s out",
                        b.p, n == 1 ? "it" : "them", n == 1 ? "it" : "them");
}

/* Pieces of files are no rows of a table. */
static int check_as_is(const struct wh_flow *f, struct wh_error *reterr)
{
    struct wh_str any;
    bool as_is = false;

    for (int64_t i = 0; i < f->source_schema.n_children; i++)
        as_is |= wh_meta_get(f->source_schema.children[i], WH_META_AS_IS, &any) != NULL;
    if (!as_is || f->to->connector->caps->flags & WH_CAP_AS_IS)
        return WH_OK;
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                     "format=binary copies files as they are, and %s takes rows",
                     f->to->connector->name);

    wh_error_where(reterr, "%s", f->stream->where_place);
    wh_error_hint(reterr, "copy them into a folder ('out/'), or leave format=binary out to read "
                          "their rows");
    return st;
}

int wh_plan_check_flow(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;

    WH_TRY(check_as_is(f, reterr));
    WH_TRY(same_object(f, reterr));
    said_warnings(f, "E4019", f->scan.say_warn);
    said_warnings(f, "E3018", f->tgt.say_warn);
    words_warning(f, false);
    words_warning(f, true);
    varying_warning(f);
    if (s->limit && !f->scan.limit_done && f->scan.chained)
        wh_problem_warn(&f->notes, "E1065", s->where_place, NULL,
                        "limit: rows are cut by the engine, in the order in which units are read");
    if (replaces(&s->write) && f->tgt.exists && f->tgt.existing_rows != 0 && !s->guard_empty_allow)
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
    if (f->n_columns != f->source_schema.n_children || f->n_made)
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

/* What is made of a column has no words for infinity. */
static void made_are_finite(struct wh_flow *f)
{
    for (int64_t i = 0; i < f->n_made; i++) {
        const struct wh_made *m = &f->made[i];

        for (size_t j = 0; j < m->n_members; j++)
            if (f->infinite[m->members[j]] == WH_INFINITE_KEEP)
                f->infinite[m->members[j]] = WH_INFINITE_NEITHER;
        if (m->chain && f->infinite[m->source] == WH_INFINITE_KEEP)
            f->infinite[m->source] = WH_INFINITE_NEITHER;
    }
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
    made_are_finite(f);
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
    wh_plan_lanes(p, f);
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
