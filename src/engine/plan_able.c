/* SPDX-License-Identifier: Apache-2.0 */
/* What connectors can do at all, by their capabilities: refusals worded once, before any server is
 * asked. */
#include "engine/plan_internal.h"

#include <stdio.h>

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

/* With the place of the stream in the job, and what to do. */
static int placed(const struct wh_stream *s, int st, const char *hint, struct wh_error *reterr)
{
    wh_error_where(reterr, "%s", s->where_place);
    wh_error_hint(reterr, "%s", hint);
    return st;
}

/* "append, overwrite": what the bits stand for. */
static void words_of(unsigned bits, int n, const char *(*name)(int), char *out, size_t size)
{
    size_t at = 0;

    for (int i = 0; i < n; i++)
        if (bits & 1u << i)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", name(i));
}

static int refuse_mode(const struct wh_stream *s, struct wh_error *reterr)
{
    char modes[160] = "", hint[200];

    words_of(s->to.connector->caps->modes, WH_MODE_COUNT, wh_mode_name, modes, sizeof modes);
    snprintf(hint, sizeof hint, "it can be written with %s", modes);
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "%s cannot be written with mode %s",
                          s->to.connector->name, wh_mode_name(s->write.mode)),
                  hint, reterr);
}

static int refuse_atomic(const struct wh_stream *s, struct wh_error *reterr)
{
    char words[64] = "", hint[100];

    words_of(s->to.connector->caps->atomics, 3, wh_atomic_name, words, sizeof words);
    snprintf(hint, sizeof hint, "it can give: %s", words);
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "%s cannot publish with atomic: %s",
                          s->to.connector->name, wh_atomic_name(s->write.atomic)),
                  hint, reterr);
}

static int refuse_filter(const struct wh_stream *s, const char *key, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1064", "%s has no language for '%s'",
                          s->from.connector->name, key),
                  "load the rows into SQLite first and filter there", reterr);
}

static int refuse_split_by(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                          "%s does not divide a table by a column", s->from.connector->name),
                  "leave split.by out: units are cut by places or bytes", reterr);
}

static int refuse_parts(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                          "%s does not divide a table by numbers of units or rows: split.%s",
                          s->from.connector->name, s->split_parts ? "parts" : "target_rows"),
                  "give the size of a unit: 'split: { target_bytes: 64MiB }'", reterr);
}

static int refuse_statements(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1068",
                          "%s runs no SQL: write.%s is not possible", s->to.connector->name,
                          s->write.before.n ? "before" : "after"),
                  "leave it out, or run a program of yours before and after wherry", reterr);
}

static bool can_be_read_back(const struct wh_stream *s)
{
    const struct wh_connector *c = s->to.connector;
    bool stdio = c->storage && s->to.name.n == 1 && wh_str_eqs(s->to.name.part[0], "-");

    return c->source && !stdio;
}

static int refuse_validate(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                          "%s cannot be read back, so not validated",
                          s->to.connector->source ? "standard output" : s->to.connector->name),
                  "leave validate out; counts and hashes of each unit are compared anyway", reterr);
}

static int refuse_replace_keys(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "%s cannot replace rows by key",
                          s->to.connector->name),
                  "name the rows: --replace-where SQL (write.replace.where)", reterr);
}

static int refuse_marker(const struct wh_stream *s, struct wh_error *reterr)
{
    return placed(s,
                  wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s keeps no markers in a table",
                          s->to.connector->name),
                  "leave --marker (write.marker) out", reterr);
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
    if (s->write.replace_keys && !(to->flags & WH_CAP_REPLACE_KEYS))
        return refuse_replace_keys(s, reterr);
    if (s->write.marker && !(to->flags & WH_CAP_MARKER_TABLE))
        return refuse_marker(s, reterr);
    if ((s->write.before.n || s->write.after.n) && !(to->flags & WH_CAP_STATEMENTS))
        return refuse_statements(s, reterr);
    if (s->where && !(from->flags & WH_CAP_WHERE))
        return refuse_filter(s, "where", reterr);
    if (s->split_by && !(from->flags & WH_CAP_SPLIT_BY))
        return refuse_split_by(s, reterr);
    if ((s->split_parts || s->split_rows) && !(from->flags & WH_CAP_PARTS))
        return refuse_parts(s, reterr);
    if (s->query && s->split_range.n)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "a query and split.range exclude each other: put it into the query");
    if (s->query && !(from->flags & WH_CAP_QUERY))
        return refuse_filter(s, "query", reterr);
    if (stdio && s->from.connector->storage && !(from->flags & WH_CAP_STDIO))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s cannot read standard input",
                       s->from.connector->name);
    if (s->validate && !can_be_read_back(s))
        return refuse_validate(s, reterr);
    if (s->query && s->from.pattern && !s->from.whole)
        return wh_fail(reterr, WH_E_USAGE, "E1007", "a query and a pattern exclude each other");
    return WH_OK;
}
