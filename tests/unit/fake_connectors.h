/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors for tests of the planner: linked in, so no module is needed.
 *
 *   postgresql  URL form SERVER, secrets, aliases; cannot be opened by tests
 *   file        paths; SRC below is its source
 *   sqlite      URL form PATH
 *   gen, null   URL form OBJECT
 *   lake        what the plan's tests read and write: its options say what it answers
 */
#ifndef WHERRY_TESTS_FAKE_CONNECTORS_H
#define WHERRY_TESTS_FAKE_CONNECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wherry/connector.h>

#include "core/alloc.h"
#include "data/type.h"

#define UNUSED __attribute__((unused))

/* ---- tables of options ------------------------------------------------------------------------
 */

struct fake_server {
    const char *host, *user, *database, *sslmode;
    struct wh_secret password;
    int64_t port;
};
static const struct wh_option fake_server_rows[] = {
    WH_OPT_STR(struct fake_server, host),
    WH_OPT_STR(struct fake_server, user),
    WH_OPT_SECRET(struct fake_server, password),
    WH_OPT_STR(struct fake_server, database),
    WH_OPT_STR(struct fake_server, sslmode, .def = "verify-full", .aliases = "tls"),
    WH_OPT_I64(struct fake_server, port, 1, 65535, .def = "5432"),
    WH_OPT_END};
static const struct wh_options fake_server_table = {fake_server_rows, sizeof(struct fake_server),
                                                    "postgresql connection"};

struct fake_path {
    const char *path;
};
static const struct wh_option fake_path_rows[] = {WH_OPT_STR(struct fake_path, path), WH_OPT_END};
static const struct wh_options fake_path_table = {fake_path_rows, sizeof(struct fake_path),
                                                  "sqlite connection"};

struct fake_root {
    const char *root;
};
static const struct wh_option fake_root_rows[] = {WH_OPT_STR(struct fake_root, root), WH_OPT_END};
static const struct wh_options fake_root_table = {fake_root_rows, sizeof(struct fake_root),
                                                  "file connection"};

struct fake_from {
    struct wh_list path;
    const char *format, *delimiter;
    int64_t rows, seed;
};
static const struct wh_option fake_from_rows[] = {
    WH_OPT_LIST(struct fake_from, path),
    WH_OPT_STR(struct fake_from, format, .def = "auto"),
    WH_OPT_STR(struct fake_from, delimiter, .def = "auto"),
    WH_OPT_I64(struct fake_from, rows, 0, INT64_MAX, .def = "10"),
    WH_OPT_I64(struct fake_from, seed, 0, INT64_MAX, .def = "1"),
    WH_OPT_END};
static const struct wh_options fake_from_table = {fake_from_rows, sizeof(struct fake_from),
                                                  "source"};
struct fake_to {
    const char *format, *null_text;
};
static const struct wh_option fake_to_rows[] = {WH_OPT_STR(struct fake_to, format, .def = "auto"),
                                                WH_OPT_STR(struct fake_to, null_text), WH_OPT_END};
static const struct wh_options fake_to_table = {fake_to_rows, sizeof(struct fake_to), "target"};

/* ---- lake: what it answers is in its options ---------------------------------------------------
 */

struct lake_connection {
    const char *name, *tables, *fail; /* tables: "s.orders,s.items,v:s.recent" */
    struct wh_secret token;
};
static const struct wh_option lake_connection_rows[] = {
    WH_OPT_STR(struct lake_connection, name, .def = "lake"),
    WH_OPT_STR(struct lake_connection, tables), WH_OPT_STR(struct lake_connection, fail),
    WH_OPT_SECRET(struct lake_connection, token), WH_OPT_END};
static const struct wh_options lake_connection_table = {
    lake_connection_rows, sizeof(struct lake_connection), "lake connection"};

struct lake_from {
    const char *columns; /* "id int64 key, name utf8(20), d date" */
    const char *bounds, *guessed;
    int64_t rows, bytes, max_readers;
    bool chained, physical, unsplittable;
};
static const struct wh_option lake_from_rows[] = {
    WH_OPT_STR(struct lake_from, columns, .def = "id int64 key;name utf8"),
    WH_OPT_STR(struct lake_from, bounds),
    WH_OPT_STR(struct lake_from, guessed),
    WH_OPT_I64(struct lake_from, rows, -1, INT64_MAX, .def = "1000000"),
    WH_OPT_I64(struct lake_from, bytes, -1, INT64_MAX, .def = "1000000000"),
    WH_OPT_I64(struct lake_from, max_readers, 0, 64, .def = "0"),
    WH_OPT_BOOL(struct lake_from, chained),
    WH_OPT_BOOL(struct lake_from, physical),
    WH_OPT_BOOL(struct lake_from, unsplittable),
    WH_OPT_END};
static const struct wh_options lake_from_table = {lake_from_rows, sizeof(struct lake_from),
                                                  "lake source"};

struct lake_to {
    const char *accept; /* "name decimal(9,2);..." : other types than offered */
    const char *key, *memo, *identity;
    int64_t max_writers, existing;
    int commit_class, atomic;
    bool key_order, no_key;
};
static const struct wh_enum lake_classes[] = {
    {WH_CLASS_T, "t"}, {WH_CLASS_P, "p"}, {WH_CLASS_D, "d"}, {WH_CLASS_K, "k"},
    {WH_CLASS_X, "x"}, {WH_CLASS_A, "a"}, {0, NULL}};
static const struct wh_enum lake_atomics[] = {
    {WH_ATOMIC_UNIT, "unit"}, {WH_ATOMIC_TABLE, "table"}, {WH_ATOMIC_RUN, "run"}, {0, NULL}};
static const struct wh_option lake_to_rows[] = {
    WH_OPT_STR(struct lake_to, accept),
    WH_OPT_STR(struct lake_to, key),
    WH_OPT_STR(struct lake_to, memo),
    WH_OPT_STR(struct lake_to, identity),
    WH_OPT_I64(struct lake_to, max_writers, 0, 64, .def = "0"),
    WH_OPT_I64(struct lake_to, existing, -1, INT64_MAX, .def = "-1"),
    WH_OPT_ENUM(struct lake_to, commit_class, lake_classes, .def = "t"),
    WH_OPT_ENUM(struct lake_to, atomic, lake_atomics, .def = "unit"),
    WH_OPT_BOOL(struct lake_to, key_order),
    WH_OPT_BOOL(struct lake_to, no_key),
    WH_OPT_END};
static const struct wh_options lake_to_table = {lake_to_rows, sizeof(struct lake_to),
                                                "lake target"};

/* How often verbs were called: close must follow open. */
static struct lake_counts {
    int opened, closed, sessions, sessions_closed, scans, scans_closed, targets, targets_closed,
        catalogs;
    char expected[2000]; /* "from s.items s.orders;to ods.x;from;to;" */
} lake_counts;

struct lake_ep {
    const struct lake_connection *o;
};

static wh_status lake_open(void *ep, const struct wh_ctx *ctx, enum wh_role role, const void *opts,
                           struct wh_error *reterr)
{
    struct lake_ep *self = ep;

    lake_counts.opened++;
    self->o = opts;
    if (self->o->fail && strcmp(self->o->fail, "open") == 0)
        return wh_fail(reterr, WH_E_REMOTE, "E2001", "lake %s does not answer", self->o->name);
    return WH_OK;
}

static wh_status lake_session(void *se, void *ep, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    const struct lake_ep *self = ep;

    lake_counts.sessions++;
    if (self->o->fail && strcmp(self->o->fail, "session") == 0)
        return wh_fail(reterr, WH_E_AUTH, "E2005", "lake refuses the login");
    *ret_ident = WH_STR("1");
    return WH_OK;
}

static void lake_session_close(void *se)
{
    lake_counts.sessions_closed++;
}

static void lake_close(void *ep)
{
    lake_counts.closed++;
}

/* "v:s.recent" -> kind, name */
static struct wh_object lake_object(const char *text, size_t n)
{
    struct wh_object o = {.kind = WH_OBJ_TABLE, .est_rows = -1, .est_bytes = -1};

    if (n > 2 && strncmp(text, "v:", 2) == 0) {
        o.kind = WH_OBJ_VIEW;
        text += 2;
        n -= 2;
    }
    while (n) {
        const char *dot = memchr(text, '.', n);
        size_t len = dot ? (size_t)(dot - text) : n;

        o.name.part[o.name.n++] = (struct wh_str){text, len};
        text += len + (dot != NULL);
        n -= len + (dot != NULL);
    }
    return o;
}

static wh_status lake_catalog(void *ep, void *se, const struct wh_pattern *pattern,
                              wh_catalog_fn each, void *arg, struct wh_error *reterr)
{
    const char *p = ((struct lake_ep *)ep)->o->tables;

    lake_counts.catalogs++;
    while (p && *p) {
        size_t n = strcspn(p, ",");
        struct wh_object o = lake_object(p, n);

        WH_TRY(each(arg, &o));
        p += n + (p[n] == ',');
    }
    return WH_OK;
}

static wh_status lake_expect(void *ep, void *se, const struct wh_objects *objects, const void *opts,
                             bool targets, struct wh_error *reterr)
{
    const struct lake_ep *self = ep;
    char *to = lake_counts.expected;
    size_t size = sizeof lake_counts.expected, n = strlen(to);

    n += (size_t)snprintf(to + n, size - n, "%s", targets ? "to" : "from");
    for (size_t i = 0; i < objects->n; i++)
        for (int k = 0; k < objects->v[i].n; k++)
            n += (size_t)snprintf(to + n, size - n, "%s%.*s", k ? "." : " ",
                                  WH_STR_FMT(objects->v[i].part[k]));
    snprintf(to + n, size - n, ";");
    if (self->o->fail && strcmp(self->o->fail, "expect") == 0)
        return wh_fail(reterr, WH_E_REMOTE, "E4002", "lake knows nothing before it is asked");
    return WH_OK;
}

/* "id int64 key;name utf8" into a schema. */
static wh_status lake_schema(const char *columns, const char *guessed, struct ArrowSchema *ret,
                             struct wh_error *reterr)
{
    const char *v[64];
    size_t lens[64], n = 0;

    for (const char *p = columns; *p && n < 64; n++) {
        v[n] = p;
        lens[n] = strcspn(p, ";");
        p += lens[n] + (p[lens[n]] == ';');
    }
    WH_TRY(wh_schema_init(ret, (int64_t)n));
    for (size_t i = 0; i < n; i++) {
        char text[200] = "";
        bool key, not_null;
        int st = WH_OK;

        memcpy(text, v[i], lens[i]);
        char *type = strchr(text, ' ');
        char *word = strstr(text, " key");

        key = word != NULL;
        if (key)
            *word = 0;
        word = strstr(text, " not null");
        not_null = word != NULL || key;
        if (word)
            *word = 0;
        *type++ = 0;
        st = wh_field_parse(type, text, ret->children[i], reterr);
        if (st == WH_OK && key)
            st = wh_meta_set(ret->children[i], WH_META_KEY, "1");
        if (st == WH_OK && guessed && strstr(guessed, text))
            st = wh_meta_set(ret->children[i], WH_META_GUESSED, "1");
        if (st != WH_OK) {
            wh_schema_release(ret);
            return st;
        }
        if (not_null)
            ret->children[i]->flags &= ~(int64_t)ARROW_FLAG_NULLABLE;
    }
    return WH_OK;
}

/* Only the columns that were asked for. */
static wh_status lake_project(const struct wh_scan *io, struct ArrowSchema *all,
                              struct ArrowSchema *ret, struct wh_error *reterr)
{
    WH_TRY(wh_schema_init(ret, (int64_t)io->n_columns));
    for (size_t i = 0; i < io->n_columns; i++) {
        int64_t at =
            wh_schema_find(all, (struct wh_str){io->columns[i], strlen(io->columns[i])}, false);

        if (at < 0) {
            wh_schema_release(ret);
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "no column '%s'", io->columns[i]);
        }
        WH_TRY(wh_schema_copy(all->children[at], ret->children[i]));
    }
    return WH_OK;
}

static bool lake_has(const struct lake_connection *o, const struct wh_name *name)
{
    for (const char *p = o->tables; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
        struct wh_object object = lake_object(p, strcspn(p, ","));
        struct wh_str a = object.name.part[object.name.n - 1], b = name->part[name->n - 1];

        if (a.n == b.n && memcmp(a.s, b.s, a.n) == 0)
            return true;
    }
    return !o->tables;
}

static wh_status lake_scan_open(void *sc, void *ep, void *se, struct wh_scan *io,
                                struct ArrowSchema *ret, struct wh_error *reterr)
{
    const struct lake_from *o = io->opts;
    struct ArrowSchema all = {0};

    lake_counts.scans++;
    if (strcmp(((struct lake_ep *)ep)->o->fail ? ((struct lake_ep *)ep)->o->fail : "", "lost") == 0)
        return WH_LOST;
    if (io->object->n && !lake_has(((struct lake_ep *)ep)->o, io->object))
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "no table '%.*s'",
                       WH_STR_FMT(io->object->part[io->object->n - 1]));
    WH_TRY(lake_schema(o->columns, o->guessed, &all, reterr));
    int st = io->columns ? lake_project(io, &all, ret, reterr) : wh_schema_copy(&all, ret);

    wh_schema_release(&all);
    snprintf(io->method, sizeof io->method, "key ranges");
    io->ret_bounds = (struct wh_bytes){o->bounds, o->bounds ? strlen(o->bounds) : 0};
    io->est_rows = o->rows;
    io->est_bytes = o->bytes;
    io->max_readers = (int)o->max_readers;
    io->splittable = !o->unsplittable;
    io->chained = o->chained;
    io->physical = o->physical;
    io->resumable = true;
    io->sampled_rows = o->guessed ? 10000 : 0;
    return st;
}

static void lake_scan_close(void *sc)
{
    lake_counts.scans_closed++;
}

static wh_status lake_target_open(void *fl, void *ep, void *se, struct wh_target *io,
                                  struct wh_error *reterr)
{
    const struct lake_to *o = io->opts;
    struct ArrowSchema other = {0};
    const struct wh_name *name = io->object;

    lake_counts.targets++;
    WH_TRY(wh_schema_copy(io->source, &io->accept));
    if (o->accept)
        WH_TRY(lake_schema(o->accept, NULL, &other, reterr));
    for (int64_t i = 0; i < other.n_children; i++) {
        int64_t at = wh_schema_find(
            &io->accept, (struct wh_str){other.children[i]->name, strlen(other.children[i]->name)},
            false);

        if (at < 0)
            continue;
        io->accept.children[at]->release(io->accept.children[at]);
        WH_TRY(wh_schema_copy(other.children[i], io->accept.children[at]));
    }
    wh_schema_release(&other);
    for (int64_t i = 0; o->no_key && i < io->accept.n_children; i++)
        WH_TRY(wh_meta_set(io->accept.children[i], WH_META_KEY, ""));
    io->commit_class = (enum wh_class)o->commit_class;
    io->atomic_given = io->atomic_asked ? io->atomic : (enum wh_atomic)o->atomic;
    io->grain = WH_GRAIN_BATCH;
    io->max_writers = (int)o->max_writers;
    io->needs_key_order = o->key_order;
    io->existing_rows = o->existing;
    io->exists = o->existing >= 0;
    io->ret_memo = (struct wh_bytes){o->memo, o->memo ? strlen(o->memo) : 0};
    if (name->n)
        io->ret_object = *name;
    else
        io->ret_object = (struct wh_name){.part = {io->source_name}, .n = 1};
    struct wh_str last = io->ret_object.part[io->ret_object.n - 1];

    snprintf(io->identity, sizeof io->identity, "lake:%s:%.*s",
             o->identity ? o->identity : ((struct lake_ep *)ep)->o->name, WH_STR_FMT(last));
    if (!io->exists)
        io->say_create = WH_STR("create table t");
    return WH_OK;
}

static wh_status lake_steps(void *fl, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                            struct wh_step_sink *out, struct wh_error *reterr)
{
    struct wh_step step = {.id = 1, .phase = phase};

    if (phase == WH_PREPARE) {
        step.say = WH_STR("create table t");
        return out->add(out, &step);
    }
    if (phase == WH_PUBLISH) {
        step.say = WH_STR("swap t");
        step.flags = WH_STEP_DESTRUCTIVE;
        return out->add(out, &step);
    }
    return WH_OK;
}

static void lake_target_close(void *fl)
{
    lake_counts.targets_closed++;
}

/* Verbs that a connector must have and that no plan calls. */
#define NEVER(ops, verb) .verb = (__typeof__(((struct ops *)0)->verb))(uintptr_t)1
#define NEVER_AT_ENDPOINT                                                                          \
    NEVER(wh_endpoint_ops, snapshot), NEVER(wh_endpoint_ops, claim),                               \
        NEVER(wh_endpoint_ops, run_close)
#define NEVER_READ                                                                                 \
    NEVER(wh_source_ops, split_next), NEVER(wh_source_ops, reader_open),                           \
        NEVER(wh_source_ops, reader_next), NEVER(wh_source_ops, reader_close)
#define NEVER_WRITTEN                                                                              \
    NEVER(wh_sink_ops, writer_open), NEVER(wh_sink_ops, writer_write),                             \
        NEVER(wh_sink_ops, writer_flush), NEVER(wh_sink_ops, writer_seal),                         \
        NEVER(wh_sink_ops, writer_commit), NEVER(wh_sink_ops, lookup), NEVER(wh_sink_ops, apply)

static const struct wh_endpoint_ops lake_endpoint = {.size = sizeof(struct wh_endpoint_ops),
                                                     .open = lake_open,
                                                     .session_open = lake_session,
                                                     .catalog = lake_catalog,
                                                     .expect = lake_expect,
                                                     .session_close = lake_session_close,
                                                     .close = lake_close,
                                                     NEVER_AT_ENDPOINT};
static const struct wh_source_ops lake_source = {.size = sizeof(struct wh_source_ops),
                                                 .scan_open = lake_scan_open,
                                                 .scan_close = lake_scan_close,
                                                 NEVER_READ};
static const struct wh_sink_ops lake_sink = {.size = sizeof(struct wh_sink_ops),
                                             .target_open = lake_target_open,
                                             .steps = lake_steps,
                                             .target_close = lake_target_close,
                                             NEVER_WRITTEN};

/* ---- connectors --------------------------------------------------------------------------------
 */

static const struct wh_endpoint_ops plain_endpoint = {
    .size = sizeof(struct wh_endpoint_ops), NEVER(wh_endpoint_ops, catalog), NEVER_AT_ENDPOINT};
static const struct wh_source_ops plain_source = {
    .size = sizeof(struct wh_source_ops), NEVER(wh_source_ops, scan_open), NEVER_READ};
static const struct wh_sink_ops plain_sink = {.size = sizeof(struct wh_sink_ops),
                                              NEVER(wh_sink_ops, target_open),
                                              NEVER(wh_sink_ops, steps),
                                              NEVER_WRITTEN};
static const struct wh_storage_ops plain_storage = {.size = sizeof(struct wh_storage_ops)};

static const struct wh_capabilities db_caps = {
    .flags = WH_CAP_WHOLE_DATABASE | WH_CAP_WHERE | WH_CAP_QUERY | WH_CAP_PROJECTION | WH_CAP_LIMIT,
    .modes = 0xFF & ~(1u << WH_MODE_REPLACE),
    .commit_class = WH_CLASS_T,
    .atomics = 7,
    .snapshot = WH_SNAP_HELD,
    .grade = "G5"};
static const struct wh_capabilities file_caps = {.flags = WH_CAP_STDIO | WH_CAP_LOCAL,
                                                 .modes =
                                                     1u << WH_MODE_APPEND | 1u << WH_MODE_OVERWRITE,
                                                 .commit_class = WH_CLASS_P,
                                                 .atomics = 1u << WH_ATOMIC_TABLE,
                                                 .grade = "G5"};

#define FAKE(n, form, conn, caps_, ...)                                                            \
    {                                                                                              \
        .abi = WH_ABI, .size = sizeof(struct wh_connector), .name = n, .title = n, .url = form,    \
        .connection = conn, .caps = &caps_, __VA_ARGS__                                            \
    }
#define PLAIN                                                                                      \
    .from = &fake_from_table, .to = &fake_to_table, .endpoint = &plain_endpoint,                   \
    .source = &plain_source, .sink = &plain_sink

static const struct wh_connector fake_postgresql =
    FAKE("postgresql", WH_URL_SERVER, &fake_server_table, db_caps, PLAIN,
         .schemes = (const char *const[]){"postgresql", "postgres", "pg", NULL});
static const struct wh_connector fake_file =
    FAKE("file", WH_URL_OBJECT, &fake_root_table, file_caps, PLAIN, .storage = &plain_storage,
         .schemes = (const char *const[]){"file", NULL});
static const struct wh_connector fake_sqlite =
    FAKE("sqlite", WH_URL_PATH, &fake_path_table, db_caps, PLAIN,
         .schemes = (const char *const[]){"sqlite", NULL});
static const struct wh_connector fake_gen = FAKE(
    "gen", WH_URL_OBJECT, NULL, file_caps, .from = &fake_from_table, .endpoint = &plain_endpoint,
    .source = &plain_source, .schemes = (const char *const[]){"gen", NULL});
static const struct wh_connector fake_null =
    FAKE("null", WH_URL_OBJECT, NULL, file_caps, .to = &fake_to_table, .endpoint = &plain_endpoint,
         .sink = &plain_sink, .schemes = (const char *const[]){"null", NULL});
static const struct wh_connector fake_lake = FAKE(
    "lake", WH_URL_PATH, &lake_connection_table, db_caps, .from = &lake_from_table,
    .to = &lake_to_table, .ep_size = sizeof(struct lake_ep), .endpoint = &lake_endpoint,
    .source = &lake_source, .sink = &lake_sink, .schemes = (const char *const[]){"lake", NULL});

extern const struct wh_connector *const wh_builtin_connectors[];
const struct wh_connector *const wh_builtin_connectors[] = {
    &fake_postgresql, &fake_file, &fake_sqlite, &fake_gen, &fake_null, &fake_lake, NULL};

#endif
