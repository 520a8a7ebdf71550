/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading the file of `plan -o`. */
#include "engine/plan_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ends.h"
#include "engine/plan_internal.h"

#define FORMAT "wherry-plan"

enum {
    VERSION = 1,
    FILE_ARENA = 1 << 30, /* 5,000 tables of 100 columns */
    JOB_MAX = 64 << 20,
    HASH_TAIL = 9 + 32 + 2, /* ,"hash":"..."} */
};

/* ---- writing -----------------------------------------------------------------------------------
 */

static int text(struct wh_buf *out, const char *field, const char *value)
{
    WH_TRY(wh_buf_printf(out, "%s\"%s\":", out->p[out->n - 1] == '{' ? "" : ",", field));
    return value ? wh_buf_json(out, value, strlen(value)) : wh_buf_adds(out, "null");
}

static int schema(struct wh_buf *out, const char *field, const struct ArrowSchema *s)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf json = WH_BUF(64 << 20);

    if (!s->release)
        return text(out, field, NULL);
    WH_TRY(wh_schema_to_json(s, &json));
    return text(out, field, json.p);
}

static int digest(struct wh_buf *out, const char *field, struct wh_bytes bytes)
{
    char hex[33];

    wh_u128_hex(wh_hash128(bytes.p, bytes.n, 0), hex);
    return text(out, field, hex);
}

static int one_table(struct wh_buf *out, const struct wh_flow *f)
{
    WH_TRY(wh_buf_addc(out, '{'));
    WH_TRY(text(out, "table", f->table));
    WH_TRY(schema(out, "source_schema", &f->source_schema));
    WH_TRY(schema(out, "accept_schema", &f->tgt.accept));
    /* Files are listed in the bounds; those of a live table say how it is cut, which may change. */
    if (f->from && f->from->connector->storage)
        WH_TRY(digest(out, "reads", f->scan.ret_bounds));
    WH_TRY(text(out, "source_identity", f->scan.identity));
    WH_TRY(digest(out, "writes", f->tgt.ret_memo));
    return wh_buf_addc(out, '}');
}

/* Scalars are texts; the job reader types them again. */
static int node(struct wh_buf *out, const struct wh_node *n)
{
    bool map = n->kind == WH_NODE_MAP;

    if (n->kind == WH_NODE_NULL)
        return wh_buf_adds(out, "null");
    if (n->kind == WH_NODE_SCALAR)
        return wh_buf_json(out, n->text, strlen(n->text));
    WH_TRY(wh_buf_addc(out, map ? '{' : '['));
    for (size_t i = 0; i < n->n; i++) {
        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        if (map) {
            WH_TRY(wh_buf_json(out, n->keys[i]->text, strlen(n->keys[i]->text)));
            WH_TRY(wh_buf_addc(out, ':'));
        }
        WH_TRY(node(out, n->items[i]));
    }
    return wh_buf_addc(out, map ? '}' : ']');
}

static int own_part(const struct wh_plan *plan, const struct wh_plan_origin *from,
                    struct wh_buf *out)
{
    WH_TRY(wh_buf_printf(out, ",\"file\":{\"format\":\"%s\",\"version\":%d", FORMAT, VERSION));
    WH_TRY(text(out, "wherry", WHERRY_VERSION));
    WH_TRY(text(out, "job_file", from->job_file));
    if (from->job_file)
        WH_TRY(digest(out, "job_hash", (struct wh_bytes){from->text, from->n}));
    if (from->settings && from->settings->n) {
        WH_TRY(wh_buf_adds(out, ",\"settings\":"));
        WH_TRY(node(out, from->settings));
    }
    WH_CLEANUP(wh_buf_free) struct wh_buf ends = WH_BUF(JOB_MAX);
    struct wh_error err;
    int st = wh_ends_of(plan->job, &ends, &err);

    if (st == WH_E_NOMEM)
        return st;
    if (st == WH_OK) /* else a reference cannot be resolved, and the plan is refused */
        WH_TRY(text(out, "ends", ends.p));
    WH_TRY(wh_buf_adds(out, ",\"job\":"));
    WH_TRY(wh_job_to_json(plan->job, out));
    WH_TRY(wh_buf_adds(out, ",\"tables\":["));
    for (size_t i = 0; i < plan->n_flows; i++) {
        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(one_table(out, plan->flows[i]));
    }
    return wh_buf_adds(out, "]}");
}

int wh_plan_file_print(const struct wh_plan *plan, const struct wh_plan_origin *from,
                       struct wh_buf *out)
{
    size_t begin = out->n;
    char hex[33];

    WH_TRY(wh_plan_to_json(plan, out));
    out->p[--out->n] = '\0'; /* the object goes on */
    WH_TRY(own_part(plan, from, out));
    wh_u128_hex(wh_hash128(out->p + begin, out->n - begin, 0), hex);
    return wh_buf_printf(out, ",\"hash\":\"%s\"}\n", hex);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static int unfit(const char *name, const char *hint, struct wh_error *reterr, const char *why)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1072", "%s", why);

    wh_error_where(reterr, "%s", name);
    if (hint)
        wh_error_hint(reterr, "%s", hint);
    return st;
}

bool wh_plan_file_is(const char *text, size_t n)
{
    static const char begin[] = "{\"v\":1,\"run\":\"";

    return n >= sizeof begin - 1 && memcmp(text, begin, sizeof begin - 1) == 0;
}

/* The bytes are those that were written. */
static bool whole(const char *text, size_t n)
{
    char tail[HASH_TAIL + 1], hex[33];

    while (n && strchr("\r\n \t", text[n - 1]))
        n--;
    if (n < HASH_TAIL)
        return false;
    n -= HASH_TAIL;
    wh_u128_hex(wh_hash128(text, n, 0), hex);
    snprintf(tail, sizeof tail, ",\"hash\":\"%s\"}", hex);
    return memcmp(text + n, tail, HASH_TAIL) == 0;
}

static bool has_mask(const struct wh_node *n)
{
    if (n->kind == WH_NODE_SCALAR)
        return strstr(n->text, "***") != NULL;
    for (size_t i = 0; i < n->n; i++)
        if (has_mask(n->items[i]))
            return true;
    return false;
}

static int read_doc(struct wh_plan_file *f, const char *text, size_t n, struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = f->arena};
    struct wh_node *doc = NULL;
    int st = wh_json_parse(f->arena, f->name, text, n, &doc, &problems);

    if (st == WH_E_NOMEM)
        return wh_plan_no_memory(reterr);
    const struct wh_node *own = st == WH_OK ? wh_node_get(doc, "file") : NULL;
    const char *version = wh_node_text(wh_node_get(own, "version"), "");

    if (st != WH_OK && !wh_plan_file_is(text, n))
        return unfit(f->name, "make one with: wherry plan JOB -o FILE", reterr,
                     "this is no plan file");
    if (st != WH_OK)
        return unfit(f->name, "make the plan again", reterr,
                     "the plan file is damaged: it was cut off or changed");
    if (strcmp(wh_node_text(wh_node_get(own, "format"), ""), FORMAT) != 0)
        return unfit(f->name, "make one with: wherry plan JOB -o FILE", reterr,
                     wh_node_get(doc, "tables") && wh_node_get(doc, "run")
                         ? "this is what 'plan --json' prints, which no run can be made from"
                         : "this is no plan file");
    if (strtol(version, NULL, 10) != VERSION)
        return unfit(f->name, "take the wherry that made it, or make the plan again", reterr,
                     "the plan file is of another version than this program reads");
    if (!whole(text, n))
        return unfit(f->name, "make the plan again; what it says is changed in the job", reterr,
                     "the plan file was changed after it was made, or is damaged");
    f->doc = doc;
    return WH_OK;
}

int wh_plan_file_read(const char *name, const char *text, size_t n, struct wh_plan_file *ret,
                      struct wh_error *reterr)
{
    *ret = (struct wh_plan_file){.arena = wh_arena_new(FILE_ARENA)};
    if (!ret->arena || !(ret->name = wh_arena_strdup(ret->arena, name))) {
        wh_plan_file_free(ret);
        return wh_plan_no_memory(reterr);
    }
    int st = read_doc(ret, text, n, reterr);

    if (st == WH_OK) {
        const struct wh_node *own = wh_node_get(ret->doc, "file"), *job = wh_node_get(own, "job");

        ret->run = wh_node_text(wh_node_get(ret->doc, "run"), "");
        ret->job_file = wh_node_text(wh_node_get(own, "job_file"), "");
        ret->job_file = *ret->job_file ? ret->job_file : NULL;
        ret->job_hash = wh_node_text(wh_node_get(own, "job_hash"), "");
        ret->settings = wh_node_get(own, "settings");
        ret->masked = job && has_mask(job);
        if (!job || !*ret->run)
            st = unfit(name, "make the plan again", reterr, "the plan file holds no job");
    }
    if (st != WH_OK)
        wh_plan_file_free(ret);
    return st;
}

void wh_plan_file_free(struct wh_plan_file *f)
{
    wh_arena_free(f->arena);
    f->arena = NULL;
}

bool wh_plan_file_same_job(const struct wh_plan_file *f, const char *text, size_t n)
{
    char hex[33];

    wh_u128_hex(wh_hash128(text, n, 0), hex);
    return strcmp(hex, f->job_hash) == 0;
}

int wh_plan_file_job(const struct wh_plan_file *f, struct wh_job **ret, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf json = WH_BUF(JOB_MAX);
    struct wh_problems problems = {.arena = f->arena};

    if (node(&json, wh_node_get(wh_node_get(f->doc, "file"), "job")) != WH_OK)
        return wh_plan_no_memory(reterr);
    int st = wh_job_read(f->name, json.p, json.n, NULL, NULL, ret, &problems);

    if (st == WH_OK)
        return st;
    st = wh_fail(reterr, WH_E_USAGE, problems.n ? problems.v[0].code : "E1072",
                 "the job of the plan: %s", problems.n ? problems.v[0].message : "cannot be read");
    wh_error_where(reterr, "%s", f->name);
    wh_error_hint(reterr, "%s",
                  problems.n && problems.v[0].hint ? problems.v[0].hint : "make the plan again");
    return st;
}
