/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "engine/ctx.h"
#include "engine/look.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

static struct wh_services *services;
static char folder[] = "/tmp/wh_look_XXXXXX", database[64];

static int set_up(void **state)
{
    struct wh_error err;
    sqlite3 *db = NULL;

    if (!mkdtemp(folder))
        return -1;
    snprintf(database, sizeof database, "%s/a.db", folder);
    if (sqlite3_open(database, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "create table t(id integer primary key, name text not null default 'x');"
                     "insert into t values(1, 'one'), (2, 'two'), (3, 'NULL');"
                     "create table empty(a text); create view v as select 1 as one",
                     NULL, NULL, NULL) != SQLITE_OK)
        return -1;
    sqlite3_close(db);
    return wh_services_new(folder, NULL, &services, &err) == WH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    wh_services_free(services);
    unlink(database);
    rmdir(folder);
    return 0;
}

static struct wh_look *open_look(const char *object)
{
    struct wh_look *look = NULL;
    struct wh_error err;

    if (wh_look_open(object, NULL, NULL, services, &look, &err) != WH_OK)
        fail_msg("%s: %s", object, err.message);
    return look;
}

/* What callbacks saw, as one text. */
static char seen[4096];

static void see(const char *text)
{
    size_t n = strlen(seen);

    snprintf(seen + n, sizeof seen - n, "%s", text);
}

static wh_status each_object(void *arg, const struct wh_seen_object *o)
{
    char text[200];

    snprintf(text, sizeof text, "%s %s %lld; ", o->name, o->kind, (long long)o->n_columns);
    see(text);
    return arg ? WH_END : WH_OK;
}

/* Red when an object is missing or made up, or a pattern is not heeded. */
static void discovering(void **state)
{
    static const struct {
        const char *object, *want;
    } table[] = {{"", "empty table 1; t table 2; v view 1; "},
                 {"#t", "t table 2; "},
                 {"#T", "t table 2; "},
                 {"#*t*", "empty table 1; t table 2; "},
                 {"#/^[tv]$/", "t table 2; v view 1; "},
                 {"#none", ""}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char object[128];
        struct wh_error err;

        snprintf(object, sizeof object, "%s%s", database, table[i].object);
        struct wh_look *look = open_look(object);

        seen[0] = 0;
        assert_ok(wh_look_discover(look, each_object, NULL, &err));
        assert_string_equal(seen, table[i].want);
        assert_ok(wh_look_check(look, &err));
        wh_look_close(look);
    }
    struct wh_look *look = open_look(database);
    struct wh_error err;

    seen[0] = 0;
    assert_ok(wh_look_discover(look, each_object, "stop", &err));
    assert_string_equal(seen, "empty table 1; ");
    wh_look_close(look);
}

/* Red when a column's type, key, nullability or default is told wrongly. */
static void describing(void **state)
{
    char object[128];
    struct wh_seen_table t;
    struct wh_error err;

    snprintf(object, sizeof object, "%s#t", database);
    struct wh_look *look = open_look(object);

    assert_ok(wh_look_describe(look, &t, &err));
    assert_string_equal(t.name, "t");
    assert_int_equal(t.n_columns, 2);
    assert_string_equal(t.columns[0].name, "id");
    assert_string_equal(t.columns[0].type, "int64");
    assert_int_equal(t.columns[0].key, 1);
    assert_string_equal(t.columns[1].type, "utf8");
    assert_false(t.columns[1].nullable);
    assert_string_equal(t.columns[1].def, "'x'");
    assert_int_equal(t.est_rows, 3);
    wh_look_close(look);
    look = open_look(database);
    assert_int_equal(wh_look_describe(look, &t, &err), WH_E_USAGE);
    assert_string_equal(err.code, "E1013");
    wh_look_close(look);
    assert_int_equal(wh_look_open("nowhere:x", NULL, NULL, services, &look, &err), WH_E_USAGE);
    assert_string_equal(err.code, "E1022");
}

static wh_status head(void *arg, const struct ArrowSchema *columns)
{
    for (int64_t i = 0; i < columns->n_children; i++) {
        see(columns->children[i]->name);
        see(" ");
    }
    see("| ");
    return WH_OK;
}

static wh_status row(void *arg, const struct wh_str *cells, int64_t n)
{
    char text[300];

    for (int64_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%.*s,", cells[i].s ? (int)cells[i].n : 4,
                 cells[i].s ? cells[i].s : "null");
        see(text);
    }
    see("; ");
    return WH_OK;
}

/* Red when a row is missing, doubled, or more are read than asked for. */
static void previewing(void **state)
{
    struct wh_preview to = {.head = head, .row = row, .rows = 2};
    char object[128];
    struct wh_error err;

    snprintf(object, sizeof object, "%s#t", database);
    struct wh_look *look = open_look(object);

    seen[0] = 0;
    assert_ok(wh_look_preview(look, &to, &err));
    assert_string_equal(seen, "id name | 1,one,; 2,two,; ");
    to.rows = 100;
    seen[0] = 0;
    assert_ok(wh_look_preview(look, &to, &err));
    assert_string_equal(seen, "id name | 1,one,; 2,two,; 3,NULL,; ");
    wh_look_close(look);
    snprintf(object, sizeof object, "%s#empty", database);
    look = open_look(object);
    seen[0] = 0;
    assert_ok(wh_look_preview(look, &to, &err));
    assert_string_equal(seen, "a | ");
    wh_look_close(look);
}

static struct wh_job *read_job(struct wh_arena *arena, const char *more)
{
    struct wh_problems problems = {.arena = arena};
    struct wh_job *job = NULL;
    char text[600];

    snprintf(text, sizeof text,
             "version: 1\nstreams:\n  - { name: a, from: '%s#t', to: 'null:', columns: [{ to: k,"
             " value: 7, type: int32 }, { from: name, to: n }] }\n%s",
             database, more);
    assert_ok(wh_job_read("t", text, strlen(text), NULL, NULL, &job, &problems));
    return job;
}

/* Red when the rows shown are not those that the destination would get. */
static void after_mapping(void **state)
{
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_job *job = read_job(arena, "");
    struct wh_preview to = {.head = head, .row = row, .rows = 2};
    struct wh_error err;

    seen[0] = 0;
    assert_ok(wh_preview_stream(job, NULL, services, &to, &err));
    assert_string_equal(seen, "k n | 7,one,; 7,two,; ");
    assert_int_equal(wh_preview_stream(job, "zzz", services, &to, &err), WH_E_USAGE);
    wh_job_free(job);
    wh_arena_free(arena);
}

static wh_status each_connection(void *arg, const char *connection, const struct wh_error *err)
{
    see(err->status == WH_OK ? "ok " : err->code);
    return WH_OK;
}

/* Red when a connection of a job is checked twice or not at all. */
static void checking(void **state)
{
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_job *job =
        read_job(arena, "  - { name: b, from: '/nonexistent/x.db#t', to: 'null:' }\n"
                        "  - { name: c, from: '/nonexistent/x.db#u', to: 'null:' "
                        "}\n");
    struct wh_error err;

    seen[0] = 0;
    assert_ok(wh_check_job(job, services, each_connection, NULL, &err));
    assert_string_equal(seen, "ok ok E2012");
    wh_job_free(job);
    wh_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discovering),   cmocka_unit_test(describing), cmocka_unit_test(previewing),
        cmocka_unit_test(after_mapping), cmocka_unit_test(checking),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
