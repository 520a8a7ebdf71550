/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema of a job file: what an editor offers and marks. Every key comes from the tables
 * that read the job, so that a key without a form here is a bug that shows at once. */
#include "engine/job_internal.h"

#include "engine/registry.h"

#include <stdio.h>
#include <string.h>

#define ANY_SCALAR "{\"type\":[\"string\",\"number\",\"boolean\"]}"
#define OPEN_MAP   "\"type\":\"object\",\"additionalProperties\":"
#define CLOSED     "},\"patternProperties\":{\"^x-\":{}},\"additionalProperties\":false"

/* Forms of keys that are no rows. */
struct form {
    const char *group, *key, *json;
};

static const struct form forms[] = {
    {"top", "version", "{\"description\":\"always 1\",\"enum\":[1,\"1\"]}"},
    {"top", "name",
     "{\"description\":\"names the runs; default: the file's "
     "name\",\"type\":[\"string\",\"number\"]}"},
    {"top", "description", ANY_SCALAR},
    {"top", "labels", "{" OPEN_MAP "true}"},
    {"top", "timezone",
     "{\"description\":\"of macros and --scheduled, as Asia/Shanghai; default: the "
     "system's\",\"type\":\"string\"}"},
    {"top", "params", "{" OPEN_MAP "{\"$ref\":\"#/definitions/param\"}}"},
    {"top", "connections", "{" OPEN_MAP "{\"$ref\":\"#/definitions/connection\"}}"},
    {"top", "defaults", "{\"$ref\":\"#/definitions/defaults\"}"},
    {"top", "streams",
     "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/definitions/stream\"}}"},
    {"top", "run", "{\"$ref\":\"#/definitions/run\"}"},
    {"", "name",
     "{\"description\":\"unique in the job; default: the destination's "
     "object\",\"type\":[\"string\",\"number\"]}"},
    {"", "description", ANY_SCALAR},
    {"", "from", "{\"$ref\":\"#/definitions/from\"}"},
    {"", "to", "{\"$ref\":\"#/definitions/to\"}"},
    {"", "columns",
     "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":["
     "\"string\",\"number\"]},"
     "{\"$ref\":\"#/definitions/column\"}]}}]}"},
    {"", "parallel",
     "{\"description\":\"units at once, at most; or of each side: { read: 2, write: 4 }\","
     "\"anyOf\":[{\"type\":[\"integer\",\"string\"]},{\"type\":\"object\",\"properties\":{"
     "\"read\":{\"type\":[\"integer\",\"string\"],\"description\":\"units that are read at "
     "once\"},\"write\":{\"type\":[\"integer\",\"string\"],\"description\":\"units that are "
     "written at once\"}},\"additionalProperties\":false}]}"},
    {"", "types", "{\"anyOf\":[{\"type\":\"string\"},{" OPEN_MAP "{\"type\":\"string\"}}]}"},
    {"", "override",
     "{\"description\":\"other settings for some tables: a name or pattern, then keys of a "
     "stream\"," OPEN_MAP "{\"$ref\":\"#/definitions/override\"}}"},
    {"write", "marker",
     "{\"description\":\"table of the markers; off: at least once\",\"anyOf\":[{\"enum\":[\"off\","
     "false]},{\"type\":\"string\"}]}"},
    {"write", "replace",
     "{\"type\":\"object\",\"properties\":{\"where\":{\"type\":\"string\",\"description\":"
     "\"the rows that delete-insert replaces\"},\"keys\":{\"type\":[\"boolean\",\"string\"],"
     "\"description\":\"true: those whose key comes from the source\"}},"
     "\"additionalProperties\":false}"},
    {"run.limits", "rate",
     "{\"description\":\"bytes in a second; or by time of day: { '08:00-20:00': 20MB/s, "
     "'20:00-08:00': none }, pause\",\"anyOf\":[{\"type\":[\"string\",\"number\"]},{" OPEN_MAP
     "{\"type\":[\"string\",\"number\"]}}]}"},
    {"run", "limits", "{\"$ref\":\"#/definitions/run.limits\"}"},
    {"run", "retry", "{\"$ref\":\"#/definitions/run.retry\"}"},
    {"run", "timeouts", "{\"$ref\":\"#/definitions/run.timeouts\"}"},
    {"column", "from", "{\"type\":[\"string\",\"number\"],\"description\":\"a source column\"}"},
    {"column", "to",
     "{\"type\":[\"string\",\"number\"],\"description\":\"its name at the destination\"}"},
    {"column", "type", "{\"type\":\"string\"}"},
    {"column", "value",
     "{\"type\":[\"string\",\"number\",\"boolean\"],\"description\":\"a constant\"}"},
    {"column", "source_expr",
     "{\"type\":[\"string\",\"number\"],\"description\":\"computed by the source, in its own "
     "SQL\"}"},
    {"column", "rest",
     "{\"description\":\"what no other line uses, as one JSON object\",\"enum\":[\"json\"]}"},
    {"column", "convert",
     "{\"description\":\"functions, one after the other\",\"anyOf\":[{\"$ref\":"
     "\"#/definitions/function\"},{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":"
     "\"#/definitions/function\"}}]}"},
    {"column", "source",
     "{\"type\":\"string\",\"description\":\"where the row came "
     "from\",\"enum\":[\"connection\",\"host\",\"database\","
     "\"schema\",\"table\",\"file\",\"line\",\"offset\"]}"},
};

/* What may stand in from: and to: beside the settings of the connector. */
static const struct form side_forms[] = {
    {"both", "conn", "{\"type\":\"string\",\"description\":\"a named connection\"}"},
    {"both", "type",
     "{\"type\":\"string\",\"description\":\"a connector, where no connection is named\"}"},
    {"both", "object",
     "{\"type\":[\"string\",\"array\"],\"description\":\"NAME:OBJECT, URL#OBJECT or PATH, as on "
     "the command line\"}"},
    {"both", "database", "{\"type\":\"string\"}"},
    {"both", "schema", "{\"type\":[\"string\",\"array\"]}"},
    {"both", "table", "{\"type\":[\"string\",\"array\"]}"},
    {"both", "path", "{\"type\":[\"string\",\"array\"]}"},
    {"from", "exclude",
     "{\"type\":[\"string\",\"array\"],\"description\":\"names or patterns to leave out\"}"},
};
#define N_SIDE (sizeof side_forms / sizeof side_forms[0])

static int member(struct wh_buf *b, const char *key, const char *json, bool *first)
{
    if (!*first)
        WH_TRY(wh_buf_addc(b, ','));
    *first = false;
    WH_TRY(wh_buf_json(b, key, strlen(key)));
    WH_TRY(wh_buf_addc(b, ':'));
    return wh_buf_adds(b, json);
}

static const char *form_of(const char *group, const char *key)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i].group, group) == 0 && strcmp(forms[i].key, key) == 0)
            return forms[i].json;
    return NULL;
}

static bool is_group(const char *name)
{
    for (const struct wh_job_group *g = wh_job_groups; g->name; g++)
        if (*name && strcmp(g->name, name) == 0)
            return true;
    return false;
}

static bool in_rows(const struct wh_job_group *g, const char *key)
{
    for (size_t i = 0; g && i < 3 && g->tables[i]; i++)
        if (wh_options_find(g->tables[i], wh_str(key)))
            return true;
    return false;
}

/* The keys that are no rows: their own form, or a group below. */
static int add_keys(const char *group, const struct wh_job_key *keys, const struct wh_job_group *g,
                    bool *first, struct wh_buf *b)
{
    for (const struct wh_job_key *k = keys; k && k->name; k++) {
        const char *json = form_of(group, k->name);
        char ref[96];

        if (k->refused || (!json && in_rows(g, k->name)))
            continue;
        if (!json && !*group && is_group(k->name)) {
            snprintf(ref, sizeof ref, "{\"$ref\":\"#/definitions/%s\"}", k->name);
            json = ref;
        }
        if (!json)
            return WH_E_BUG; /* a key was added and has no form here */
        WH_TRY(member(b, k->name, json, first));
    }
    return WH_OK;
}

/* "name":{"type":"object","properties":{...}} or, where a text may stand instead, both. */
static int add_group(const struct wh_job_group *g, const char *name, struct wh_buf *b)
{
    bool first = true;

    WH_TRY(wh_buf_printf(b, "\"%s\":{", name));
    if (g->text)
        WH_TRY(
            wh_buf_printf(b, "\"anyOf\":[{\"type\":\"string\",\"description\":\"%s\"},{", g->text));
    WH_TRY(wh_buf_adds(b, "\"type\":\"object\",\"properties\":{"));
    WH_TRY(add_keys(g->name, g->keys, g, &first, b));
    for (size_t i = g->formed; i < 3 && g->tables[i]; i++)
        WH_TRY(wh_options_schema_rows(g->tables[i], &first, b));
    return wh_buf_adds(b, g->text ? CLOSED "}]}," : CLOSED "},");
}

/* Settings of a stream but for those of `own` (ends with NULL). */
static int add_settings(const char *const *own, bool *first, struct wh_buf *b)
{
    const struct wh_job_group *g = wh_job_groups;
    struct wh_job_key keys[64];
    size_t n = 0;

    for (const struct wh_job_key *k = g->keys; k->name && n < 63; k++) {
        bool leave_out = false;

        for (size_t i = 0; own[i]; i++)
            leave_out |= strcmp(k->name, own[i]) == 0;
        if (!leave_out)
            keys[n++] = *k;
    }
    keys[n] = (struct wh_job_key){NULL};
    WH_TRY(add_keys("", keys, g, first, b));
    return wh_options_schema_rows(g->tables[0], first, b);
}

/* A stream; the defaults of all of them, which name no ends; what a table may have for itself. */
static int add_streams(struct wh_buf *b)
{
    static const char *const all[] = {NULL};
    static const char *const ends[] = {"name", "from", "to", "override", NULL};
    static const char *const source[] = {"name", "from", "to", "override", NULL};
    bool first = true;

    WH_TRY(wh_buf_adds(
        b, "\"stream\":{\"type\":\"object\",\"required\":[\"from\",\"to\"],\"properties\":{"));
    WH_TRY(add_settings(all, &first, b));
    first = true;
    WH_TRY(wh_buf_adds(b, CLOSED "},\"defaults\":{\"type\":\"object\",\"properties\":{"));
    WH_TRY(add_settings(ends, &first, b));
    first = true;
    WH_TRY(wh_buf_adds(b, CLOSED "},\"override\":{\"type\":\"object\",\"properties\":{"));
    WH_TRY(member(b, "skip",
                  "{\"type\":[\"boolean\",\"string\"],\"description\":\"leave the table out\"}",
                  &first));
    /* What it leaves out, the stream's own `to` says: no connection is required here. */
    WH_TRY(member(b, "to",
                  "{\"description\":\"another destination, or settings of it for these tables\","
                  "\"type\":[\"string\",\"array\",\"object\"]}",
                  &first));
    WH_TRY(add_settings(source, &first, b));
    return wh_buf_adds(b, CLOSED "},");
}

/* ---- connectors -------------------------------------------------------------------------------
 */

struct ends {
    const char *side; /* "from", "to", "connection" */
    struct wh_buf cases;
    bool first_case;
};

static bool has_row(const struct wh_options *t, const char *key)
{
    return t && t->rows && wh_options_find(t, wh_str(key));
}

/* k, t: the connector and its table of this side, whose own rows go before; NULL. */
static int add_side_forms(const char *side, const struct wh_connector *k,
                          const struct wh_options *t, bool *first, struct wh_buf *b)
{
    for (size_t i = 0; i < N_SIDE; i++) {
        const struct form *f = &side_forms[i];

        if (has_row(t, f->key) || (k && has_row(k->connection, f->key)))
            continue;
        if (strcmp(f->group, "both") == 0 || strcmp(f->group, side) == 0)
            WH_TRY(member(b, f->key, f->json, first));
    }
    return WH_OK;
}

static int rows_of(const struct wh_options *t, bool *first, struct wh_buf *b)
{
    return t && t->rows ? wh_options_schema_rows(t, first, b) : WH_OK;
}

/* if type is this connector, then these settings and no others */
static int add_case(struct ends *e, const struct wh_connector *k, const struct wh_options *t)
{
    bool connection = strcmp(e->side, "connection") == 0, first = true;
    struct wh_buf *b = &e->cases;

    WH_TRY(wh_buf_printf(b,
                         "%s{\"if\":{\"required\":[\"type\"],\"properties\":{\"type\":{"
                         "\"enum\":[\"%s\"",
                         e->first_case ? "" : ",", k->name));
    for (size_t i = 0; wh_registry_word(k->name, i); i++)
        WH_TRY(wh_buf_printf(b, ",\"%s\"", wh_registry_word(k->name, i)));
    WH_TRY(wh_buf_adds(b, "]}}},\"then\":{\"properties\":{"));
    e->first_case = false;
    if (connection)
        WH_TRY(member(b, "type", "true", &first));
    else
        WH_TRY(add_side_forms(e->side, k, t, &first, b));
    WH_TRY(rows_of(k->connection, &first, b));
    if (t)
        WH_TRY(rows_of(t, &first, b));
    return wh_buf_adds(b, CLOSED "}}");
}

static wh_status see(void *arg, const struct wh_connector *k)
{
    struct ends *e = arg;
    bool connection = strcmp(e->side, "connection") == 0;
    const struct wh_options *t = connection ? NULL : strcmp(e->side, "from") == 0 ? k->from : k->to;

    if (!connection && !(strcmp(e->side, "from") == 0 ? (bool)k->source : (bool)k->sink))
        return WH_OK;
    return add_case(e, k, t);
}

static int add_ends(const char *side, struct wh_buf *b)
{
    struct ends e = {.side = side, .cases = WH_BUF(1 << 22), .first_case = true};
    bool connection = strcmp(side, "connection") == 0, first = true;
    int st = wh_registry_each(see, &e, NULL);

    if (st == WH_OK)
        st = wh_buf_printf(
            b, "\"%s\":{%s", side,
            connection ? "\"type\":\"object\",\"required\":[\"type\"],\"properties\":{"
                         "\"type\":{\"type\":\"string\"}},"
                       : "\"anyOf\":[{\"type\":[\"string\",\"array\"]},{\"type\":\"object\","
                         "\"properties\":{");
    if (st == WH_OK && !connection)
        st = add_side_forms(side, NULL, NULL, &first, b);
    if (st == WH_OK && !connection)
        st = wh_buf_adds(b, "},\"anyOf\":[{\"required\":[\"conn\"]},{\"required\":[\"type\"]},"
                            "{\"required\":[\"object\"]},{\"required\":[\"path\"]}],");
    if (st == WH_OK)
        st = wh_buf_adds(b, "\"allOf\":[");
    if (st == WH_OK && e.cases.n)
        st = wh_buf_adds(b, e.cases.p);
    if (st == WH_OK)
        st = wh_buf_adds(b, connection ? "]}," : "]}]},");
    wh_buf_free(&e.cases);
    return st;
}

static int add_params(struct wh_buf *b)
{
    return wh_buf_adds(
        b, "\"param\":{\"anyOf\":[" ANY_SCALAR
           ",{\"type\":\"object\",\"properties\":{\"type\":{\"enum\":["
           "\"text\",\"string\",\"integer\",\"int\",\"decimal\",\"bool\",\"date\",\"timestamp\"]},"
           "\"default\":" ANY_SCALAR
           ",\"raw\":{\"type\":[\"boolean\",\"string\"]},\"description\":" ANY_SCALAR CLOSED "}]}");
}

static int whole(struct wh_buf *b)
{
    bool first = true;

    WH_TRY(wh_buf_adds(
        b,
        "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"Wherry job "
        "file\",\"$comment\":\"made by 'wherry schema'; keys are written with _ here, wherry reads "
        "- as well\",\"type\":\"object\",\"required\":[\"version\",\"streams\"],\"properties\":{"));
    WH_TRY(add_keys("top", wh_job_top_keys, NULL, &first, b));
    WH_TRY(wh_buf_adds(b, CLOSED ",\"definitions\":{"));
    WH_TRY(add_streams(b));
    for (const struct wh_job_group *g = wh_job_groups + 1; g->name; g++)
        WH_TRY(add_group(g, g->name, b));
    first = true;
    WH_TRY(wh_buf_adds(b, "\"column\":{\"type\":\"object\",\"properties\":{"));
    WH_TRY(add_keys("column", wh_job_column_keys, NULL, &first, b));
    WH_TRY(wh_buf_adds(b, CLOSED "},"));
    WH_TRY(wh_fn_schema(b));
    WH_TRY(wh_buf_addc(b, ','));
    WH_TRY(add_ends("from", b));
    WH_TRY(add_ends("to", b));
    WH_TRY(add_ends("connection", b));
    WH_TRY(add_params(b));
    return wh_buf_adds(b, "}}\n");
}

int wh_job_schema(struct wh_buf *b, struct wh_error *reterr)
{
    int st = whole(b);

    if (st == WH_OK)
        return WH_OK;
    return st == WH_E_BUG
               ? wh_fail(reterr, st, "E9001", "a key of the job file has no form in the schema")
               : wh_fail(reterr, st, "E8001", "the schema is too big");
}
