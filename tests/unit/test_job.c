/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "engine/job.h"

#include <stdlib.h>

static struct wh_arena *arena;

static struct wh_problems no_problems(void)
{
    return (struct wh_problems){.arena = arena};
}

static void show(const struct wh_problems *p)
{
    for (size_t i = 0; i < p->n; i++)
        print_message("%s %s: %s (%s)\n", p->v[i].code, p->v[i].where, p->v[i].message,
                      p->v[i].hint ? p->v[i].hint : "");
}

static struct wh_job *must_read(const char *text)
{
    struct wh_problems p = no_problems();
    struct wh_job *job = NULL;
    int st = wh_job_read("t.yaml", text, strlen(text), NULL, NULL, &job, &p);

    if (st != WH_OK)
        show(&p);
    assert_int_equal(st, WH_OK);
    return job;
}

/* Red when a setting does not arrive where the engine looks for it. */
static void settings_arrive(void **state)
{
    struct wh_job *job =
        must_read("version: 1\n"
                  "name: shop\n"
                  "timezone: Asia/Shanghai\n"
                  "params: { day: { type: date, default: '2024-02-29' } }\n"
                  "connections:\n"
                  "  out: { type: sqlite, path: '/tmp/o.db' }\n"
                  "defaults: { dirty: { rows: 7 } }\n"
                  "streams:\n"
                  "  - from: gen:lineitem?rows=100\n"
                  "    to: 'null:planes'\n"
                  "    columns: [ l_orderkey, { from: l_tax, to: tax }, { to: d, value: "
                  "'${day:yyyyMMdd}' }, '* except (l_comment)' ]\n"
                  "    write: { mode: upsert, keys: [l_orderkey] }\n"
                  "    dirty: { ratio: 1% }\n"
                  "run: { parallel: 3, limits: { memory: 128MB, rate: 20MB/s } }\n");
    const struct wh_stream *s = &job->streams[0];

    assert_string_equal(s->name, "planes");
    assert_string_equal(s->from.connector->name, "gen");
    assert_string_equal(s->to.connector->name, "null");
    assert_int_equal(s->n_columns, 4);
    assert_string_equal(s->columns[2].value, "20240229");
    assert_string_equal(s->columns[3].except.v[0], "l_comment");
    assert_int_equal(s->write.mode, WH_MODE_UPSERT);
    assert_string_equal(s->write.keys.v[0], "l_orderkey");
    assert_int_equal(s->dirty_rows, 7);
    assert_true(s->dirty_ratio > 0.0099 && s->dirty_ratio < 0.0101);
    assert_int_equal(job->run.parallel, 3);
    wh_job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(settings_arrive)};

    arena = wh_arena_new(64 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    wh_arena_free(arena);
    return failed;
}
