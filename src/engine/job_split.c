/* SPDX-License-Identifier: Apache-2.0 */
/* How a table is cut into units, and how many of them are under way: `split:` and `parallel:`. */
#include "engine/job_internal.h"

#include <string.h>

#define ROW(T, NAME, f, kind, ctype, ...)                                                          \
    {                                                                                              \
        .name = NAME, .type = (kind), .offset = WH_OPT_OFF_(T, f, ctype), __VA_ARGS__              \
    }
#define S struct wh_stream

static const struct wh_option parallel_rows[] = {
    ROW(S, "parallel", parallel, WH_T_I64, int64_t, .min = 1, .max = 1024), WH_OPT_END};
const struct wh_options wh_stream_parallel = {parallel_rows, sizeof(S), "a stream"};
static const struct wh_option side_rows[] = {
    ROW(S, "read", parallel_read, WH_T_I64, int64_t, .min = 1, .max = 1024),
    ROW(S, "write", parallel_write, WH_T_I64, int64_t, .min = 1, .max = 1024), WH_OPT_END};
const struct wh_options wh_stream_sides = {side_rows, sizeof(S), "parallel"};

static const struct wh_option split_rows[] = {
    ROW(S, "target_bytes", split_bytes, WH_T_SIZE, int64_t, .min = 1 << 20,
        .max = INT64_C(1) << 40),
    ROW(S, "by", split_by, WH_T_STRING, const char *),
    ROW(S, "parts", split_parts, WH_T_I64, int64_t, .min = 1, .max = 1000000),
    ROW(S, "target_rows", split_rows, WH_T_I64, int64_t, .min = 1, .max = INT64_MAX),
    ROW(S, "range", split_range, WH_T_LIST, struct wh_list),
    WH_OPT_END};
const struct wh_options wh_stream_split = {split_rows, sizeof(S), "split"};

/* One number for both sides, or one for each. */
bool wh_job_parallel(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    static const struct wh_node key = {.kind = WH_NODE_SCALAR, .text = "parallel"};

    return node->kind == WH_NODE_MAP ? wh_job_group(r, node, "parallel", &wh_stream_sides, s)
                                     : wh_job_one(r, &wh_stream_parallel, s, &key, node);
}

/* "1..100" (a flag) as the two ends that it means. */
static bool set_range(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct wh_list *l = &s->split_range;
    const char *dots = l->n == 1 ? strstr(l->v[0], "..") : NULL;

    if (dots) {
        const char **ends = wh_arena_alloc(r->arena, 2 * sizeof *ends);

        if (!ends || !(ends[0] = wh_arena_strndup(r->arena, l->v[0], (size_t)(dots - l->v[0]))))
            return wh_job_no_memory(r);
        ends[1] = dots + 2;
        *l = (struct wh_list){ends, 2};
    }
    if (l->n == 2 && l->v[0][0] && l->v[1][0] && s->split_by)
        return true;
    wh_problem_add(r->problems, l->n == 2 && !s->split_by ? "E1005" : "E1002",
                   wh_job_where(r, node), "write split: { by: id, range: [1, 1000] }",
                   l->n == 2 && !s->split_by
                       ? "split.range needs split.by: the column that it is about"
                       : "split.range wants two ends, both included");
    return false;
}

static bool check_split(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    if ((s->split_bytes > 0) + (s->split_parts > 0) + (s->split_rows > 0) > 1) {
        wh_problem_add(r->problems, "E1007", wh_job_where(r, node), "take one of them",
                       "split.parts, split.target_rows and split.target_bytes exclude each other");
        return false;
    }
    return !s->split_range.n || set_range(r, node, s);
}

bool wh_job_split(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const char *text = wh_node_text(node, NULL);

    if (text && strcmp(text, "none") == 0)
        return s->split_none = true;
    if (text && strcmp(text, "auto") == 0)
        return true;
    node = wh_job_as_map(r, node);
    return node && wh_job_group(r, node, "split", &wh_stream_split, s) && check_split(r, node, s);
}
