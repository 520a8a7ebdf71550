/* SPDX-License-Identifier: Apache-2.0 */
/* wherry validate JOB | A B: `=` equal, `*` different, `-` missing, per object; exit 0, 4, or why
 * it could not look. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/validate.h"

struct report {
    struct wh_cli *c;
    enum wh_validate_level level;
    struct wh_buf b;
    int64_t pairs, rows;
};

static void json_line(struct report *r, const struct wh_validated *v)
{
    char a[33], b[33];
    wh_u128_hex(v->sum_source, a);
    wh_u128_hex(v->sum_target, b);
    wh_ignore(wh_buf_printf(&r->b, "{\"v\":1,\"type\":\"validate\",\"source\":"));
    wh_ignore(wh_buf_json(&r->b, v->source ? v->source : "", v->source ? strlen(v->source) : 0));
    wh_ignore(wh_buf_adds(&r->b, ",\"target\":"));
    wh_ignore(wh_buf_json(&r->b, v->target ? v->target : "", v->target ? strlen(v->target) : 0));
    wh_ignore(wh_buf_printf(&r->b,
                            ",\"result\":\"%s\",\"rows_source\":%" PRId64
                            ",\"rows_target\":%" PRId64 ",\"unfit_source\":%" PRId64
                            ",\"unfit_target\":%" PRId64,
                            v->error.status  ? "error"
                            : v->sign == '=' ? "equal"
                            : v->sign == '-' ? "missing"
                                             : "different",
                            v->rows_source, v->rows_target, v->unfit_source, v->unfit_target));
    if (r->level == WH_VALIDATE_CHECKSUM)
        wh_ignore(wh_buf_printf(&r->b, ",\"sum_source\":\"%s\",\"sum_target\":\"%s\"", a, b));
    if (v->error.status) {
        wh_ignore(wh_buf_printf(&r->b, ",\"code\":\"%s\",\"message\":", v->error.code));
        wh_ignore(wh_buf_json(&r->b, v->error.message, strlen(v->error.message)));
    }
    wh_ignore(wh_buf_adds(&r->b, "}\n"));
}

static void text_line(struct report *r, const struct wh_validated *v)
{
    char sum[33];
    if (v->error.status) {
        wh_ignore(wh_buf_printf(&r->b, "? %s  %s  %s %s\n", v->source ? v->source : "?",
                                v->target ? v->target : "?", v->error.code, v->error.message));
        if (v->error.hint[0])
            wh_ignore(wh_buf_printf(&r->b, "  %s\n", v->error.hint));
        return;
    }
    wh_ignore(wh_buf_printf(&r->b, "%c %s  %s  ", v->sign, v->source, v->target));
    if (v->sign == '-') {
        wh_ignore(wh_buf_adds(&r->b, "not at the destination\n"));
        return;
    }
    wh_text_count(&r->b, v->rows_source);
    if (v->rows_source != v->rows_target) {
        wh_ignore(wh_buf_adds(&r->b, " rows, the destination has "));
        wh_text_count(&r->b, v->rows_target);
    }
    wh_ignore(wh_buf_adds(&r->b, " rows"));
    if (r->level == WH_VALIDATE_CHECKSUM) {
        wh_u128_hex(v->sum_source, sum);
        wh_ignore(wh_buf_printf(&r->b, "  %s", sum));
        if (!wh_u128_eq(v->sum_source, v->sum_target)) {
            wh_u128_hex(v->sum_target, sum);
            wh_ignore(wh_buf_printf(&r->b, " against %s", sum));
        }
    }
    if (v->unfit_source || v->unfit_target)
        wh_ignore(wh_buf_printf(
            &r->b, "  (%" PRId64 " and %" PRId64 " values do not fit the compared types)",
            v->unfit_source, v->unfit_target));
    wh_ignore(wh_buf_addc(&r->b, '\n'));
}

static void one(void *arg, const struct wh_validated *v)
{
    struct report *r = arg;
    r->pairs++;
    r->rows += v->rows_source;
    if (r->c->json)
        json_line(r, v);
    else
        text_line(r, v);
    wh_cli_print(&r->b);
}

static bool level_of(struct wh_cli *c, enum wh_validate_level *ret)
{
    const char *l = c->level ? c->level : "checksum";
    *ret = strcmp(l, "count") == 0 ? WH_VALIDATE_COUNT : WH_VALIDATE_CHECKSUM;
    if (strcmp(l, "count") == 0 || strcmp(l, "checksum") == 0)
        return true;
    if (strcmp(l, "stats") == 0 || strcmp(l, "rows") == 0)
        wh_cli_usage(c, "E1014", "count and checksum are there",
                     "--level %s is not part of this version", l);
    else
        wh_cli_usage(c, "E1002", "count or checksum", "--level does not know '%s'", l);
    return false;
}

int wh_cmd_validate(struct wh_cli *c)
{
    struct report r = {.c = c, .b = WH_BUF(1 << 20)};
    struct wh_services *services;
    struct wh_error e = {0};
    int64_t different = 0;
    if (c->args.n < 1)
        return wh_cli_usage(c, "E1011", "wherry validate JOB, or wherry validate A B",
                            "validate needs a job or two objects");
    if (!level_of(c, &r.level))
        return 2;
    struct wh_job *job = c->args.n == 1 ? wh_cli_job(c, c->args.v[0]) : wh_cli_copy_job(c, 0);
    if (!job)
        return 2;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_validate_job(job, services, r.level, one, &r, &different, &e);
    wh_job_free(job);
    wh_buf_free(&r.b);
    if (st != WH_OK)
        return r.pairs ? wh_exit_code(&e) : wh_cli_fail(c, &e);
    return different ? 4 : 0;
}
