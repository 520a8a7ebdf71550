/* SPDX-License-Identifier: Apache-2.0 */
/* wherry validate JOB | A B: `=` equal, `*` different, `-` missing, `+` only at the destination,
 * per object, then per column (--level stats) or row (--level rows); exit 0, 4, or why it could not
 * look. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "data/number.h"
#include "engine/validate.h"

struct report {
    struct wh_cli *c;
    struct wh_validate_options o;
    struct wh_buf b;
    int64_t pairs, rows;
};

static void member(struct wh_buf *b, const char *key, const char *text)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":", key));
    wh_ignore(text ? wh_buf_json(b, text, strlen(text)) : wh_buf_adds(b, "null"));
}

static void stats_json(struct wh_buf *b, const struct wh_validated *v)
{
    wh_ignore(wh_buf_adds(b, ",\"columns\":["));
    for (int64_t i = 0; i < v->n_columns; i++) {
        const struct wh_column_stats *x = &v->stats_source[i], *y = &v->stats_target[i];
        wh_ignore(wh_buf_printf(b,
                                "%s{\"equal\":%s,\"nulls_source\":%" PRId64
                                ",\"nulls_target\":%" PRId64 ",\"bytes_source\":%" PRId64
                                ",\"bytes_target\":%" PRId64,
                                i ? "," : "", wh_u128_eq(x->sum, y->sum) ? "true" : "false",
                                x->nulls, y->nulls, x->bytes, y->bytes));
        member(b, "column", v->columns[i]);
        member(b, "least_source", x->least);
        member(b, "least_target", y->least);
        member(b, "most_source", x->most);
        member(b, "most_target", y->most);
        wh_ignore(wh_buf_addc(b, '}'));
    }
    wh_ignore(wh_buf_addc(b, ']'));
}

static void rows_json(struct wh_buf *b, const struct wh_differences *d)
{
    member(b, "keys", d->keys);
    wh_ignore(wh_buf_printf(b,
                            ",\"missing\":%" PRId64 ",\"extra\":%" PRId64 ",\"changed\":%" PRId64
                            ",\"more\":%s,\"rows\":[",
                            d->missing, d->extra, d->changed, d->more ? "true" : "false"));
    for (size_t i = 0; i < d->n; i++) {
        wh_ignore(wh_buf_printf(b, "%s{\"sign\":\"%c\"", i ? "," : "", d->v[i].sign));
        member(b, "key", d->v[i].key);
        member(b, "what", d->v[i].what);
        wh_ignore(wh_buf_addc(b, '}'));
    }
    wh_ignore(wh_buf_addc(b, ']'));
}

static const char *result_word(const struct wh_validated *v)
{
    static const struct {
        char sign;
        const char *word;
    } words[] = {{'=', "equal"}, {'-', "missing"}, {'+', "extra"}, {'*', "different"}};
    for (size_t i = 0; !v->error.status && i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].sign == v->sign)
            return words[i].word;
    return v->error.status ? "error" : "not compared";
}

static void sample_json(struct wh_buf *b, const struct wh_validated *v)
{
    member(b, "sampled_by", v->sampled_by);
    wh_ignore(wh_buf_printf(
        b, ",\"seed\":%" PRIu64 ",\"compared_source\":%" PRId64 ",\"compared_target\":%" PRId64,
        v->sample.seed, v->compared_source, v->compared_target));
}

static void json_line(struct report *r, const struct wh_validated *v)
{
    char a[33], b[33];
    wh_u128_hex(v->sum_source, a);
    wh_u128_hex(v->sum_target, b);
    wh_ignore(wh_buf_printf(&r->b, "{\"v\":1,\"type\":\"validate\",\"source\":"));
    wh_ignore(wh_buf_json(&r->b, v->source ? v->source : "", v->source ? strlen(v->source) : 0));
    wh_ignore(wh_buf_adds(&r->b, ",\"target\":"));
    wh_ignore(wh_buf_json(&r->b, v->target ? v->target : "", v->target ? strlen(v->target) : 0));
    wh_ignore(wh_buf_printf(
        &r->b,
        ",\"result\":\"%s\",\"rows_source\":%" PRId64 ",\"rows_target\":%" PRId64
        ",\"unfit_source\":%" PRId64 ",\"unfit_target\":%" PRId64,
        result_word(v), v->rows_source, v->rows_target, v->unfit_source, v->unfit_target));
    if (r->o.level != WH_VALIDATE_COUNT)
        wh_ignore(wh_buf_printf(&r->b, ",\"sum_source\":\"%s\",\"sum_target\":\"%s\"", a, b));
    if (v->sampled)
        sample_json(&r->b, v);
    if (v->note)
        member(&r->b, "note", v->note);
    if (v->left_out)
        member(&r->b, "left_out", v->left_out);
    if (v->stats_source && v->stats_target)
        stats_json(&r->b, v);
    if (v->differences)
        rows_json(&r->b, v->differences);
    if (v->error.status) {
        wh_ignore(wh_buf_printf(&r->b, ",\"code\":\"%s\",\"message\":", v->error.code));
        wh_ignore(wh_buf_json(&r->b, v->error.message, strlen(v->error.message)));
    }
    wh_ignore(wh_buf_adds(&r->b, "}\n"));
}

/* "nulls 0 against 1" */
static void count_against(struct wh_buf *b, const char *word, int64_t x, int64_t y, int *n)
{
    if (x == y)
        return;
    wh_ignore(wh_buf_printf(b, "%s%s ", (*n)++ ? ", " : "", word));
    wh_text_count(b, x);
    wh_ignore(wh_buf_adds(b, " against "));
    wh_text_count(b, y);
}

static void value(struct wh_buf *b, const char *text)
{
    struct wh_str cut = wh_str_clip(wh_str(text ? text : "none"), 80);
    wh_ignore(wh_buf_printf(b, text ? "'%.*s'" : "%.*s", WH_STR_FMT(cut)));
}

/* "least 'a' against 'b'" */
static void against(struct wh_buf *b, const char *word, const char *x, const char *y, int *n)
{
    if ((!x && !y) || (x && y && strcmp(x, y) == 0))
        return;
    wh_ignore(wh_buf_printf(b, "%s%s ", (*n)++ ? ", " : "", word));
    value(b, x);
    wh_ignore(wh_buf_adds(b, " against "));
    value(b, y);
}

/* The columns whose values are not the same, a line each. */
static void stats_lines(struct report *r, const struct wh_validated *v)
{
    for (int64_t i = 0; i < v->n_columns; i++) {
        const struct wh_column_stats *x = &v->stats_source[i], *y = &v->stats_target[i];
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
        int n = 0;
        if (wh_u128_eq(x->sum, y->sum))
            continue;
        wh_ignore(wh_buf_printf(&b, "  * %s  ", v->columns[i]));
        count_against(&b, "nulls", x->nulls, y->nulls, &n);
        against(&b, "least", x->least, y->least, &n);
        against(&b, "greatest", x->most, y->most, &n);
        count_against(&b, "bytes", x->bytes, y->bytes, &n);
        if (n == 0)
            wh_ignore(wh_buf_adds(&b, "other values between the same least and greatest"));
        if (b.n) {
            wh_text_line(&r->b, b.p);
            wh_ignore(wh_buf_addc(&r->b, '\n'));
        }
    }
}

static void rows_lines(struct report *r, const struct wh_differences *d)
{
    for (size_t i = 0; i < d->n; i++) {
        wh_ignore(wh_buf_printf(&r->b, "  %c ", d->v[i].sign));
        wh_text_line(&r->b, d->v[i].key);
        wh_ignore(wh_buf_adds(&r->b, d->v[i].sign == '-'   ? "  only at the source"
                                     : d->v[i].sign == '+' ? "  only at the destination"
                                                           : "  "));
        wh_text_line(&r->b, d->v[i].what);
        wh_ignore(wh_buf_addc(&r->b, '\n'));
    }
    int64_t all = d->missing + d->extra + d->changed;
    if (all == 0)
        return;
    if ((int64_t)d->n < all)
        wh_ignore(wh_buf_printf(&r->b, "  ... (-n N lists more)\n"));
    wh_ignore(wh_buf_printf(
        &r->b, "  %s%" PRId64 " missing, %" PRId64 " extra, %" PRId64 " changed, by %s\n",
        d->more ? "at least " : "", d->missing, d->extra, d->changed,
        d->keys ? d->keys : "whole rows (--key names a key)"));
}

/* What was not compared stands beside what was. */
static void sample_lines(struct report *r, const struct wh_validated *v)
{
    wh_ignore(wh_buf_adds(&r->b, "  sample: the values of "));
    wh_text_count(&r->b, v->compared_source);
    if (v->compared_source != v->compared_target) {
        wh_ignore(wh_buf_adds(&r->b, " and "));
        wh_text_count(&r->b, v->compared_target);
    }
    wh_ignore(wh_buf_printf(&r->b,
                            " rows were compared (chosen by %s, seed %" PRIu64 "), those of ",
                            v->sampled_by ? v->sampled_by : "the whole row", v->sample.seed));
    wh_text_count(&r->b, v->rows_source - v->compared_source);
    wh_ignore(wh_buf_adds(&r->b, " were not; all were counted\n"));
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
    wh_ignore(wh_buf_printf(&r->b, "%c %s  %s  ", v->sign, v->source ? v->source : "-", v->target));
    if (strchr("-+", v->sign) || v->note) {
        wh_ignore(wh_buf_printf(&r->b, "%s\n",
                                v->note          ? v->note
                                : v->sign == '-' ? "not at the destination"
                                                 : "only at the destination"));
        return;
    }
    wh_text_count(&r->b, v->rows_source);
    if (v->rows_source != v->rows_target) {
        wh_ignore(wh_buf_adds(&r->b, " rows, the destination has "));
        wh_text_count(&r->b, v->rows_target);
    }
    wh_ignore(wh_buf_adds(&r->b, " rows"));
    if (r->o.level != WH_VALIDATE_COUNT) {
        wh_u128_hex(v->sum_source, sum);
        wh_ignore(wh_buf_printf(&r->b, "  %s", sum));
        if (!wh_u128_eq(v->sum_source, v->sum_target)) {
            wh_u128_hex(v->sum_target, sum);
            wh_ignore(wh_buf_printf(&r->b, " against %s", sum));
        }
    }
    if (v->unfit_source || v->unfit_target)
        wh_ignore(wh_buf_printf(
            &r->b, "  (%" PRId64 " and %" PRId64 " rows do not fit the compared types)",
            v->unfit_source, v->unfit_target));
    wh_ignore(wh_buf_addc(&r->b, '\n'));
    if (v->left_out)
        wh_ignore(wh_buf_printf(
            &r->b, "  not compared: %s (computed by the source, anew each time)\n", v->left_out));
    if (v->sampled)
        sample_lines(r, v);
    if (v->stats_source && v->stats_target)
        stats_lines(r, v);
    if (v->differences)
        rows_lines(r, v->differences);
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
    static const char *const words[] = {"count", "checksum", "stats", "rows", NULL};
    const char *l = c->level ? c->level : "checksum", *near;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], l) == 0) {
            *ret = (enum wh_validate_level)i;
            return true;
        }
    near = wh_did_you_mean(wh_str(l), words);
    wh_cli_usage(c, "E1002",
                 near ? wh_arena_printf(c->arena, "did you mean %s?", near)
                      : "count, stats, checksum or rows",
                 "--level does not know '%s'", l);
    return false;
}

/* "a,b" */
static bool ignored(struct wh_cli *c, struct wh_list *ret)
{
    const char **v = wh_arena_alloc(c->arena, (c->ignore ? strlen(c->ignore) : 0) * sizeof(*v) + 1);
    char *text = wh_arena_strdup(c->arena, c->ignore ? c->ignore : "");
    if (!v || !text)
        return false;
    *ret = (struct wh_list){v, 0};
    for (char *save, *w = strtok_r(text, ", ", &save); w; w = strtok_r(NULL, ", ", &save))
        v[ret->n++] = w;
    return true;
}

/* "1%", "0.01", "5000", each with ",seed=7" */
static bool sample_of(struct wh_cli *c, struct wh_sampling *ret)
{
    char *text = wh_arena_strdup(c->arena, c->sample ? c->sample : "");
    char *comma = text ? strchr(text, ',') : NULL;
    int64_t seed = 0;
    *ret = (struct wh_sampling){0};
    if (!c->sample)
        return true;
    if (comma)
        *comma = '\0';
    bool share = text && strpbrk(text, "%.");
    bool ok = text && (share ? wh_parse_double(text, &ret->fraction)
                             : wh_parse_i64(text, &ret->rows) && ret->rows > 0);
    ok = ok && (!share || (ret->fraction > 0 && ret->fraction <= 1));
    ok = ok && (!comma || (strncmp(comma + 1, "seed=", 5) == 0 && wh_parse_i64(comma + 6, &seed)));
    ret->seed = (uint64_t)seed;
    if (!ok)
        wh_cli_usage(c, "E1002", "write 1%, 0.01 or 5000, and ,seed=7 for other rows",
                     "--sample does not know '%s'", c->sample);
    return ok;
}

static bool as_of_is_time(struct wh_cli *c)
{
    size_t n = c->as_of ? strlen(c->as_of) : 0;
    int64_t ms, us;
    int32_t days;
    bool zoned;
    if (!c->as_of || wh_parse_duration(c->as_of, &ms) || wh_read_date(c->as_of, n, &days) ||
        wh_read_timestamp(c->as_of, n, WH_MICRO, &us, &zoned))
        return true;
    wh_cli_usage(c, "E1002", "2026-11-22, 2026-11-22T08:00:00Z, or how long ago (2d)",
                 "--as-of '%s' is no time", c->as_of);
    return false;
}

static bool options_of(struct wh_cli *c, struct wh_validate_options *o)
{
    int64_t n = 20;
    if (!level_of(c, &o->level) || !ignored(c, &o->ignore) || !sample_of(c, &o->sample) ||
        !as_of_is_time(c))
        return false;
    if (c->sample && o->level == WH_VALIDATE_COUNT) {
        wh_cli_usage(c, "E1007", "leave one of them out",
                     "--level count looks at no values, and "
                     "--sample chooses whose are looked at");
        return false;
    }
    o->as_of = c->as_of;
    if (c->lines && (!wh_parse_i64(c->lines, &n) || n < 1 || n > 100000)) {
        wh_cli_usage(c, "E1002", "1 to 100000", "-n wants a number of rows, not '%s'", c->lines);
        return false;
    }
    o->rows = (size_t)n;
    return true;
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
    if (!options_of(c, &r.o))
        return 2;
    struct wh_job *job = c->args.n == 1 ? wh_cli_job(c, c->args.v[0]) : wh_cli_copy_job(c, 0);
    if (!job)
        return 2;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_validate_job(job, services, &r.o, one, &r, &different, &e);
    wh_job_free(job);
    wh_buf_free(&r.b);
    if (st != WH_OK)
        return r.pairs ? wh_exit_code(&e) : wh_cli_fail(c, &e);
    return different ? 4 : 0;
}
